package callwheel_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/callwheel/callwheel"

// mayImport is the plan of the house: who may import whom. A later room knows
// the earlier ones, never the reverse; attribution and scoring do not know each
// other; only api knows echo and no room knows HTTP frameworks.
var mayImport = map[string][]string{
	"":                   {},
	"store":              {""},
	"store/storetest":    {"store"},
	"account":            {"", "store"},
	"telephony":          {"", "store", "account"},
	"telephony/twilio":   {"", "telephony"},
	"telephony/loopback": {"", "telephony"},
	"attribution":        {"", "store", "account", "telephony"},
	"scoring":            {"", "store", "account", "telephony"},
	"report":             {"", "store", "telephony", "attribution", "scoring"},
	"jobs":               {"", "store"},
	"web":                {},
	"api":                {"", "account", "telephony", "attribution", "scoring", "report"},
	"configs":            {"", "telephony", "attribution"}, // whose Config it assembles
	"cmd/callwheel":      {"*"},
}

// exceptions are imports beside the plan; docs/adr/0011 argues each.
var exceptions = map[string][]string{
	"api":                {"web"},
	"scripts/kill9":      {"scripts/ports", "store", "telephony/loopback"},
	"scripts/leases":     {"scripts/ports"},
	"scripts/ports":      {},
	"scripts/draws":      {},
	"scripts/leasecheck": {"store"},
}

// testExceptions are imports that only the tests of a package have; docs/adr/0011
// argues each. Beside them a test may import its own package, and storetest where
// the package may import store.
var testExceptions = map[string][]string{
	"store":            {"store/storetest"},
	"api":              {"store", "store/storetest", "telephony/loopback", "telephony/twilio"},
	"telephony":        {"telephony/loopback", "telephony/twilio"},
	"telephony/twilio": {"telephony/loopback"},
	"report":           {"account"},
}

// homes says in which packages an outside library may be used, so that
// replacing it is one folder's work.
var homes = map[string][]string{
	"github.com/labstack/echo":        {"api"},
	"github.com/danielgtaylor/huma":   {"api"},
	"github.com/twilio/twilio-go":     {"telephony/twilio"},
	"github.com/jmoiron/sqlx":         {"store"},
	"github.com/mattn/go-sqlite3":     {"store"},
	"github.com/jackc/pgx":            {"store"},
	"github.com/pressly/goose":        {"store"},
	"github.com/nyaruka/phonenumbers": {"telephony"},
	"github.com/knadh/koanf":          {"configs"},
	"github.com/alecthomas/kong":      {"cmd/callwheel"},
	"github.com/alexedwards/argon2id": {"account"},
	"github.com/shopspring/decimal":   {"", "report"},
	"golang.org/x/text/currency":      {""},
	"github.com/tdewolff/minify":      {"web"},
}

// testHomes are the packages whose tests use a library that their code does not;
// docs/adr/0011 argues each.
var testHomes = map[string][]string{
	"github.com/twilio/twilio-go": {"telephony/loopback"},
}

// draws is what makes a package's property tests repeatable.
const draws = "scripts/draws"

type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestImportsPointFromLaterRoomsToEarlierOnes(t *testing.T) {
	rooms := map[string]bool{}
	for _, p := range listPackages(t) {
		room := roomOf(p.ImportPath)
		rooms[room] = true
		allowed, planned := mayImport[room]
		if !planned && exceptions[room] == nil {
			t.Errorf("package %q is not in the plan of the house: add it to mayImport and say why in an ADR", room)
			continue
		}
		allowed = slices.Concat(allowed, exceptions[room])
		checkImports(t, room, p.Imports, allowed, homes)

		inTests := slices.Concat(allowed, []string{room, draws}, testExceptions[room])
		if slices.Contains(allowed, "store") {
			inTests = append(inTests, "store/storetest")
		}
		checkImports(t, room+" (test)", p.TestImports, inTests, withTests(room))
		checkImports(t, room+" (test)", p.XTestImports, inTests, withTests(room))
		tests := slices.Concat(p.TestImports, p.XTestImports)
		if slices.Contains(tests, "pgregory.net/rapid") && !slices.Contains(tests, module+"/"+draws) {
			t.Errorf("the property tests of %q do not draw from RAPID_SEED: import %s", room, draws)
		}
	}
	for _, list := range []map[string][]string{mayImport, exceptions, testExceptions} {
		for room := range list {
			if !rooms[room] {
				t.Errorf("the plan names %q, which is no package", room)
			}
		}
	}
}

// checkImports compares what a package imports with what it may.
func checkImports(t *testing.T, who string, imports, allowed []string, homes map[string][]string) {
	t.Helper()
	room := strings.TrimSuffix(who, " (test)")
	for _, path := range imports {
		if !strings.HasPrefix(path, module) {
			checkHome(t, who, room, path, homes)
			continue
		}
		if target := roomOf(path); !slices.Contains(allowed, target) && !slices.Contains(allowed, "*") {
			t.Errorf("%s imports %s: the plan allows only %q", who, target, allowed)
		}
	}
}

func checkHome(t *testing.T, who, room, path string, homes map[string][]string) {
	t.Helper()
	for library, rooms := range homes {
		if strings.HasPrefix(path, library) && !slices.Contains(rooms, room) {
			t.Errorf("%s imports %s, whose home is %q", who, path, rooms)
		}
	}
}

// withTests are the homes of libraries as the tests of a room see them.
func withTests(room string) map[string][]string {
	all := maps.Clone(homes)
	for library, rooms := range testHomes {
		if slices.Contains(rooms, room) {
			all[library] = append(slices.Clone(all[library]), room)
		}
	}
	return all
}

func roomOf(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	var list []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 10 {
		t.Fatalf("found %d packages: the list cannot be right", len(list))
	}
	return list
}
