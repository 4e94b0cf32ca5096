package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenOpenAPI = "testdata/openapi.json"

func TestTheContractIsTheOneThatWasReviewed(t *testing.T) {
	h := open(t, storetestSQLite(t))
	got, err := h.server.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(goldenOpenAPI, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(goldenOpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the OpenAPI document changed: run make golden and review the difference of %s", goldenOpenAPI)
	}
}

func TestEveryOperationIsDescribedWell(t *testing.T) {
	h := open(t, storetestSQLite(t))
	text, err := h.server.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID        string                     `json:"operationId"`
			Summary   string                     `json:"summary"`
			Tags      []string                   `json:"tags"`
			Security  []map[string][]string      `json:"security"`
			Responses map[string]json.RawMessage `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			name := strings.ToUpper(method) + " " + path
			if o.ID == "" || o.Summary == "" || len(o.Tags) != 1 || len(o.Responses) == 0 {
				t.Errorf("%s: id %q, summary %q, tags %v, %d responses", name, o.ID, o.Summary, o.Tags, len(o.Responses))
			}
			if other := seen[o.ID]; other != "" {
				t.Errorf("%s and %s have one id", name, other)
			}
			seen[o.ID] = name
			if strings.HasPrefix(path, "/v1/") && len(o.Security) == 0 {
				t.Errorf("%s names no credential", name)
			}
		}
	}
}
