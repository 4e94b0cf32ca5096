package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// document is as much of an OpenAPI document as these tests look at.
type document struct {
	Paths      map[string]map[string]documented `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type documented struct {
	Parameters []struct {
		Name string `json:"name"`
		In   string `json:"in"`
	} `json:"parameters"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
}

func readDocument(t *testing.T, h *house) document {
	t.Helper()
	var doc document
	if err := json.Unmarshal(h.ask("", "GET", "/v1/openapi.json", "").is(200).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// resolve follows references, alternatives with null, and lists to an object.
func (d document) resolve(t *testing.T, s schema) schema {
	t.Helper()
	for {
		switch {
		case s.Ref != "":
			target, ok := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
			if !ok {
				t.Fatalf("%s is not in the document", s.Ref)
			}
			s = target
		case len(s.OneOf) > 0:
			s = s.OneOf[0]
		case s.Items != nil:
			s = *s.Items
		case s.Properties["items"].Items != nil:
			s = *s.Properties["items"].Items
		default:
			return s
		}
	}
}

func TestResourcesHaveTheFieldsThatProgramsRelyOn(t *testing.T) {
	h := open(t, storetestSQLite(t))
	doc := readDocument(t, h)
	for path, want := range map[string]string{
		"/v1/sources":                "id created_at name medium kind rules position",
		"/v1/numbers":                "id created_at number state source_id pool_id campaign destination route_id record whisper",
		"/v1/pools":                  "id created_at name destination lease_tail_seconds cooldown_seconds overflow_number_id",
		"/v1/sites":                  "id created_at name key origins pool_id swap consent",
		"/v1/spend":                  "id created_at source medium campaign from until cost",
		"/v1/enquiries":              "id created_at external_id person kind at source medium campaign answered_at",
		"/v1/rates":                  "id created_at day currency to rate",
		"/v1/baselines":              "id created_at version from until tz yardsticks counts automatic created_by",
		"/v1/account":                "id created_at name tz currency margin_rate destination recording_retention_days recording_policy",
		"/v1/tags":                   "id created_at name",
		"/v1/dispositions":           "id created_at name qualified stage genuine",
		"/v1/calls/{id}/attribution": "verdict method model_version rule lease candidates untracked why",
		"/v1/callers/{e164}":         "calls sales touches referred referred_by lead_at qualified_at won_at",
		"/v1/calls": "id created_at provider provider_call_id direction status outcome from tracking_number destination wait_seconds " +
			"started_at answered_at ended_at ring_seconds talk_seconds duration_seconds first_time_caller prior_calls " +
			"caller.name caller.city caller.state caller.zip caller.country agent " +
			"attribution.source attribution.medium attribution.campaign attribution.term attribution.content attribution.click_ids " +
			"attribution.landing_page attribution.referrer attribution.visitor_id attribution.session_id attribution.method attribution.confidence " +
			"tags disposition qualified value score note recording legs from.e164 from.national from.kind",
	} {
		content := doc.Paths[path]["get"].Responses["200"].Content["application/json"]
		body := doc.resolve(t, content.Schema)
		for name := range strings.FieldsSeq(want) {
			outer, inner, nested := strings.Cut(name, ".")
			property, ok := body.Properties[outer]
			if nested && ok {
				_, ok = doc.resolve(t, property).Properties[inner]
			}
			if !ok {
				t.Errorf("%s has no field %s", path, name)
			}
		}
	}
}

func TestListsAndReportsTakeTheirParameters(t *testing.T) {
	h := open(t, storetestSQLite(t))
	doc := readDocument(t, h)
	for path, want := range map[string]string{
		"/v1/calls": "from until source medium campaign outcome direction tag agent disposition qualified first_time caller " +
			"tracking_number pool_id min_talk_seconds scored q momentum baseline limit cursor fields",
		"/v1/calls/{id}/events":   "limit cursor fields",
		"/v1/calls/{id}/history":  "limit cursor fields",
		"/v1/definitions":         "limit cursor fields",
		"/v1/sources":             "limit cursor fields",
		"/v1/numbers":             "limit cursor fields",
		"/v1/reports/attribution": "from until tz group_by model credit_for window_days reading",
		"/v1/reports/roi":         "from until tz group_by model credit_for window_days reading",
		"/v1/reports/momentum":    "from until tz period baseline by",
		"/v1/baselines":           "limit cursor fields",
		"/v1/reports/agents":      "from until tz",
		"/v1/reports/pools":       "from until tz",
		"/v1/reports/response":    "from until tz group_by within_seconds agent source",
		"/v1/pools/{id}/plan":     "visitors_per_hour session_minutes tail_minutes target_accuracy",
	} {
		var have []string
		for _, p := range doc.Paths[path]["get"].Parameters {
			if p.In == "query" {
				have = append(have, p.Name)
			}
		}
		for name := range strings.FieldsSeq(want) {
			if !slices.Contains(have, name) {
				t.Errorf("%s does not take %s", path, name)
			}
		}
	}
}

func TestTheDocumentNamesNoDoorThatIsNotThere(t *testing.T) {
	h := open(t, storetestSQLite(t))
	known := map[string]bool{}
	for _, r := range h.server.Routes() {
		known[strings.ToLower(r.Method)+" "+r.Path] = true
	}
	for path, methods := range readDocument(t, h).Paths {
		for method := range methods {
			if strings.HasPrefix(path, "/v1/") && !known[method+" "+path] {
				t.Errorf("%s %s is described and not there", method, path)
			}
		}
	}
}

func TestHeadAnswersAsGetDoesWithoutTheBody(t *testing.T) {
	h := open(t, storetestSQLite(t))
	server := httptest.NewServer(h.server.Public())
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	for path, status := range map[string]int{
		"/v1/account": 200, "/v1/tags": 200, "/v1/tags/none": 404, "/v1/openapi.json": 200, "/docs": 200,
		"/assets/dashboard/callwheel.css": 200, "/v1/live": 200, "/nowhere": 404,
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodHead, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+h.tokens[account.Owner])
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("HEAD %s: %v", path, err)
		}
		response.Body.Close()
		if response.StatusCode != status || response.Header.Get("Content-Type") == "" {
			t.Errorf("HEAD %s: got %d with %v, want %d", path, response.StatusCode, response.Header, status)
		}
	}
	h.ask("", http.MethodHead, "/v1/account", "").is(401)
	for _, method := range []string{http.MethodOptions, http.MethodPut} {
		if got := h.ask(h.tokens[account.Owner], method, "/v1/account", "").Header().Get("Allow"); !strings.Contains(got, "GET, HEAD") {
			t.Errorf("%s: Allow is %q", method, got)
		}
	}
}

func TestTheFormThatIsPreferredIsGiven(t *testing.T) {
	h := open(t, storetestSQLite(t))
	for accept, want := range map[string]string{
		"":                                    "application/json",
		"image/png":                           "application/json",
		"text/html,*/*;q=0.8":                 "application/json",
		"text/csv":                            "text/csv",
		"TEXT/CSV; header=present":            "text/csv",
		"application/json;q=0.5, text/csv":    "text/csv",
		"application/x-ndjson, text/csv":      "application/x-ndjson",
		"text/csv;q=0":                        "application/json",
		"text/csv;q=lots":                     "application/json",
		"text/csv;q=NaN":                      "application/json",
		"text/csv;q=0.1,application/json;q=1": "application/json",
	} {
		got := h.ask(h.tokens[account.Owner], "GET", "/v1/tags", "", "Accept", accept).is(200).Header().Get("Content-Type")
		if kind, _, _ := strings.Cut(got, ";"); kind != want {
			t.Errorf("Accept %q: got %s, want %s", accept, got, want)
		}
	}
}

func TestAWholeListIsPagedWhenAsked(t *testing.T) {
	h := open(t, storetestSQLite(t))
	token := h.tokens[account.ReadOnly]
	var names []string
	target := "/v1/definitions?limit=10"
	for target != "" {
		page := h.ask(token, "GET", target, "").is(200).json()
		for _, item := range page["items"].([]any) {
			names = append(names, item.(map[string]any)["figure"].(string))
		}
		next, _ := page["next_cursor"].(string)
		if target = ""; next != "" {
			target = "/v1/definitions?limit=10&cursor=" + next
		}
		if len(names) > 1000 {
			t.Fatal("the pages do not end")
		}
	}
	whole := h.ask(token, "GET", "/v1/definitions?limit=500", "").is(200).json()["items"].([]any)
	if len(names) != len(whole) || len(names) < 15 {
		t.Errorf("page by page: %d figures, at once %d", len(names), len(whole))
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			t.Errorf("%s came twice", name)
		}
		seen[name] = true
	}
	h.ask(token, "GET", "/v1/calls/call_none/events?limit=1", "").is(404)
}

func TestACallersTouchesAreThoseOfTheirVisitorsAndOfNobodyElse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		h.addCall(db, h.account.ID, "call_1", "+13125550101")
		h.addCall(db, h.other.ID, "call_2", "+13125550101")
		err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for _, link := range [][]any{
				{h.account.ID, "vis_1", "+13125550101"}, {h.account.ID, "vis_2", "+13125550102"}, {h.other.ID, "vis_3", "+13125550101"},
			} {
				if _, err := tx.Exec(ctx, `INSERT INTO person_links (account_id, alias, person, linked_at) VALUES (?, ?, ?, 1)`, link...); err != nil {
					return err
				}
			}
			for _, touch := range [][]any{
				{h.account.ID, "tch_1", "vis_1", 1_000_000, "google", `{"gclid":"g1"}`},
				{h.account.ID, "tch_2", "vis_1", 2_000_000, "direct", `{}`},
				{h.account.ID, "tch_3", "+13125550101", 3_000_000, "mailing", `{}`},
				{h.account.ID, "tch_4", "vis_2", 4_000_000, "bing", `{}`},
				{h.other.ID, "tch_5", "vis_3", 5_000_000, "yahoo", `{}`},
				{h.other.ID, "tch_6", "vis_1", 6_000_000, "yahoo", `{}`},
			} {
				if _, err := tx.Exec(ctx, `INSERT INTO touches (account_id, touch_id, person, touched_at, source, click_ids, created_at)
					VALUES (?, ?, ?, ?, ?, ?, 1)`, touch...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		touches := h.ask(h.tokens[account.Agent], "GET", "/v1/callers/+13125550101", "").is(200).json()["touches"].([]any)
		var got []string
		for _, item := range touches {
			touch := item.(map[string]any)
			visitor, _ := touch["visitor_id"].(string)
			got = append(got, touch["id"].(string)+" "+touch["source"].(string)+" "+visitor)
		}
		want := []string{"tch_3 mailing ", "tch_2 direct vis_1", "tch_1 google vis_1"}
		if !slices.Equal(got, want) {
			t.Errorf("touches: got %q, want %q", got, want)
		}
		if ids := touches[2].(map[string]any)["click_ids"].(map[string]any); ids["gclid"] != "g1" {
			t.Errorf("click ids: got %v", ids)
		}
	})
}
