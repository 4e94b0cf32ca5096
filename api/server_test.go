package api_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

func TestAccountStory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		first := h.ask(owner, "GET", "/v1/account", "").is(200)
		tag := first.Header().Get("ETag")
		got := h.ask(owner, "PATCH", "/v1/account", `{"name":"New name","margin_rate":0.4,"destination":"+1 312 555 0171"}`, "If-Match", tag).is(200).json()
		if got["name"] != "New name" || got["margin_rate"].(json.Number).String() != "0.4" {
			t.Errorf("after the change: %v", got)
		}
		if n := got["destination"].(map[string]any)["national"]; n != "(312) 555-0171" {
			t.Errorf("national number: got %v", n)
		}
		h.ask(owner, "PATCH", "/v1/account", `{"name":"Too late"}`, "If-Match", tag).is(412)
		h.ask(owner, "PATCH", "/v1/account", `{"name":"Too late"}`, "If-Match", `"not ours"`).is(412)
		cleared := h.ask(owner, "PATCH", "/v1/account", `{"margin_rate":null,"destination":null}`).is(200).json()
		if cleared["margin_rate"] != nil || cleared["destination"] != nil || cleared["name"] != "New name" {
			t.Errorf("after null: %v", cleared)
		}
		bad := h.ask(owner, "PATCH", "/v1/account", `{"tz":"../../etc/passwd","currency":"usd"}`).is(422)
		if f := bad.fields(); !slices.Equal(f, []string{"tz", "currency"}) {
			t.Errorf("refused fields: got %v", f)
		}
		h.ask(owner, "PUT", "/v1/account/provider", `{"provider_account":"AC1","tokens":["0123456789abcdef"]}`).is(204)
		audit := h.ask(owner, "GET", "/v1/audit", "").is(200)
		if !strings.Contains(audit.Body.String(), "account.provider") || strings.Contains(audit.Body.String(), "0123456789abcdef") {
			t.Errorf("audit log: %s", audit.Body)
		}
	})
}

func TestUsersAndTokensStory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner, admin := h.tokens[account.Owner], h.tokens[account.Admin]
		made := h.ask(owner, "POST", "/v1/users", `{"email":"Ana@Shop.example","name":"Ana","password":"correct horse","role":"agent"}`).is(201)
		id := made.json()["id"].(string)
		if got := made.Header().Get("Location"); got != "/v1/users/"+id {
			t.Errorf("Location: got %q", got)
		}
		if strings.Contains(made.Body.String(), "correct horse") || made.json()["email"] != "ana@shop.example" {
			t.Errorf("user: %s", made.Body)
		}
		h.ask(owner, "POST", "/v1/users", `{"email":"ana@shop.example","name":"Ana","password":"correct horse","role":"agent"}`).is(409)
		h.ask(admin, "POST", "/v1/users", `{"email":"eve@shop.example","name":"Eve","password":"correct horse","role":"owner"}`).is(403)
		h.ask(admin, "POST", "/v1/tokens", `{"name":"up","role":"owner"}`).is(403)
		missing := h.ask(owner, "POST", "/v1/users", `{"email":"x@shop.example","name":"X","role":"boss"}`).is(422)
		if f := missing.fields(); !slices.Contains(f, "password") || !slices.Contains(f, "role") {
			t.Errorf("refused fields: got %v", f)
		}
		token := h.ask(owner, "POST", "/v1/tokens", `{"name":"script","role":"marketer"}`).is(201).json()
		text := token["token"].(string)
		h.ask(text, "GET", "/v1/account", "").is(200)
		h.ask(owner, "DELETE", "/v1/tokens/"+token["id"].(string), "").is(204)
		h.ask(text, "GET", "/v1/account", "").is(401)
		list := h.ask(owner, "GET", "/v1/tokens?limit=500", "").is(200)
		if strings.Contains(list.Body.String(), text) {
			t.Error("a token was shown a second time")
		}
	})
}

func TestAnUnknownAMalformedAndAForeignIDAnswerTheSameBytes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		foreign := h.ask(h.stranger, "POST", "/v1/tokens", `{"name":"theirs","role":"agent"}`).is(201).json()["id"].(string)
		h.ask(h.stranger, "GET", "/v1/tokens/"+foreign, "").is(200)
		var want string
		for _, id := range []string{foreign, "token_00000000000000000000000000", "0", "-1", "%00", "%ff", "..%2f..%2fetc", strings.Repeat("9", 21), strings.Repeat("x", 3000)} {
			got := h.ask(h.tokens[account.Owner], "GET", "/v1/tokens/"+id, "").is(404).Body.String()
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("id %.40q: got %s, want %s", id, got, want)
			}
			h.ask(h.tokens[account.Owner], "DELETE", "/v1/tokens/"+id, "").is(404)
		}
		h.ask(h.stranger, "GET", "/v1/tokens/"+foreign, "").is(200)
	})
}

func TestEveryOperationNamesAPermissionAndAsksForACredential(t *testing.T) {
	h := open(t, storetestSQLite(t))
	routes := h.server.Routes()
	if len(routes) < 10 {
		t.Fatalf("only %d operations", len(routes))
	}
	for _, r := range routes {
		target := strings.NewReplacer("{id}", "x", "{e164}", "+13125550171", "{", "", "}", "").Replace(r.Path)
		for _, headers := range [][]string{nil, {"Authorization", "Basic eDp5"}, {"Authorization", "Bearer cw_nothing"}, {"X-Account-Id", h.account.ID, "X-Role", "owner"}} {
			a := h.ask("", r.Method, target, "", headers...)
			if a.Code != 401 || a.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %v: got %d, want 401", r.Method, r.Path, headers, a.Code)
			}
		}
		for _, role := range account.Roles() {
			if r.Stream && role.May(r.Need) {
				continue // it would not end
			}
			a := h.ask(h.tokens[role], r.Method, target, "", "Accept", "application/json")
			if forbidden := !role.May(r.Need); (a.Code == 403) != forbidden {
				t.Errorf("%s %s as %s: got %d, forbidden should be %v", r.Method, r.Path, role, a.Code, forbidden)
			}
			if a.Code >= 500 {
				t.Errorf("%s %s as %s: %d %s", r.Method, r.Path, role, a.Code, a.Body)
			}
		}
	}
}

func TestEveryRouteIsInTheOpenAPIDocument(t *testing.T) {
	h := open(t, storetestSQLite(t))
	text := h.ask("", "GET", "/v1/openapi.json", "").is(200).Body.Bytes()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.server.Routes() {
		if _, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]; !ok {
			t.Errorf("%s %s is not described", r.Method, r.Path)
		}
	}
}

func TestErrorsOutsideOperationsAreProblemsToo(t *testing.T) {
	h := open(t, storetestSQLite(t))
	for _, tt := range []struct {
		name, token, method, target string
		status                      int
	}{
		{"an unknown path", "", "GET", "/nowhere", 404},
		{"an unknown path below /v1 without a credential", "", "GET", "/v1/nowhere", 401},
		{"an unknown path below /v1", "owner", "GET", "/v1/nowhere", 404},
		{"a method that the path does not have", "owner", "PUT", "/v1/account", 405},
		{"an invented method", "owner", "BREW", "/v1/account", 405},
		{"a query that cannot be read", "owner", "GET", "/v1/tokens?limit=%zz", 400},
		{"semicolons in a query", "owner", "GET", "/v1/tokens?a=1;b=2", 400},
		{"a parameter given twice", "owner", "GET", "/v1/tokens?limit=1&limit=2", 400},
		{"a parameter that does not exist", "owner", "GET", "/v1/tokens?color=red", 422},
		{"a limit of zero", "owner", "GET", "/v1/tokens?limit=0", 422},
		{"a limit that is no number", "owner", "GET", "/v1/tokens?limit=ten", 422},
		{"a limit beyond the highest", "owner", "GET", "/v1/tokens?limit=501", 422},
		{"NUL in a parameter", "owner", "GET", "/v1/tokens?cursor=%00", 400},
		{"a cursor that was made up", "owner", "GET", "/v1/tokens?cursor=abcdefghijklmnopqrstuvwxyz", 400},
		{"a field that does not exist", "owner", "GET", "/v1/tokens?fields=id,hash", 422},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := h.in(t).ask(h.tokens[account.Role(tt.token)], tt.method, tt.target, "").is(tt.status)
			if got := a.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type: got %q", got)
			}
			p := a.json()
			if p["type"] == "" || p["title"] == "" || p["status"].(json.Number).String() == "" {
				t.Errorf("problem: %v", p)
			}
			if (p["request_id"] == nil) != (tt.status == 404) {
				t.Errorf("request_id: %v", p["request_id"])
			}
			if tt.status == 405 && a.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestTheProviderDoorsRefuseInTheSameWords(t *testing.T) {
	h := open(t, storetestSQLite(t), func(d *api.Deps) { d.Webhook = telephony.NewWebhook(d.Switchboard) })
	a := h.ask("", "GET", "/webhooks/nobody/voice", "").is(404)
	if got := a.json(); got["type"] != "not-found" || got["request_id"] != nil {
		t.Errorf("an unknown door: %v", got)
	}
	none := provider{}
	h = open(t, storetestSQLite(t), func(d *api.Deps) {
		board := telephony.NewSwitchboard(storetestSQLite(t), telephony.Config{PublicURL: "http://callwheel.example"},
			telephony.Deps{Providers: map[string]telephony.Provider{"twilio": none}})
		t.Cleanup(func() { board.Close() })
		d.Webhook = telephony.NewWebhook(board)
	})
	a = h.ask("", "GET", "/webhooks/twilio/voice", "").is(405)
	if got := a.json(); got["type"] != "method-not-allowed" || got["title"] != "Method Not Allowed" || got["request_id"] != a.Header().Get("X-Request-Id") {
		t.Errorf("another method: %v", got)
	}
}

// provider is one that is never asked.
type provider struct{ telephony.Provider }

func TestTooManyRequestsAreTold(t *testing.T) {
	h := open(t, storetestSQLite(t), func(d *api.Deps) { d.RequestsPerMinute = 3 })
	for range 3 {
		h.ask(h.tokens[account.Owner], "GET", "/v1/account", "").is(200)
	}
	a := h.ask(h.tokens[account.Owner], "GET", "/v1/account", "").is(429)
	if a.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	h.ask(h.tokens[account.Admin], "GET", "/v1/account", "").is(200)
}

func TestAPanicIsAnAnswerAndTheServerLives(t *testing.T) {
	var log bytes.Buffer
	h := open(t, storetestSQLite(t), logTo(&log), func(d *api.Deps) {
		d.Webhook = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	})
	a := h.ask("", "POST", "/webhooks/twilio/voice", "").is(500)
	if strings.Contains(a.Body.String(), "secret") {
		t.Errorf("the panic reached the client: %s", a.Body)
	}
	// The stack leads to the line that panicked.
	if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "server_test.go:") {
		t.Errorf("the log does not say where: %s", log.String())
	}
	h.ask(h.tokens[account.Owner], "GET", "/v1/account", "").is(200)
}

func TestAPanicGivesTheIdempotencyKeyBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		desk := scoring.NewDesk(db, nil, slog.New(slog.DiscardHandler), nil) // without a clock: a write panics
		h := open(t, db, func(d *api.Deps) { d.Desk = desk })
		owner := h.tokens[account.Owner]
		for range 2 {
			h.ask(owner, "POST", "/v1/tags", `{"name":"price"}`, "Idempotency-Key", "k1").is(500)
		}
		// The key serves the next try, whatever it is.
		first := h.ask(owner, "POST", "/v1/tokens", `{"name":"t","role":"agent"}`, "Idempotency-Key", "k1").is(201)
		again := h.ask(owner, "POST", "/v1/tokens", `{"name":"t","role":"agent"}`, "Idempotency-Key", "k1").is(201)
		if first.Body.String() != again.Body.String() {
			t.Error("the second answer is another one")
		}
	})
}

func TestRefusedRightsAreInTheAuditLogButDoNotFillIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		count := func(object string) int {
			n := 0
			for _, e := range items(h.ask(owner, "GET", "/v1/audit?limit=500&object="+object, "").is(200)) {
				if e["action"] == "access.refused" && strings.HasPrefix(e["actor"].(string), "token_") {
					n++
				}
			}
			return n
		}
		h.ask(h.tokens[account.Marketer], "GET", "/v1/users", "").is(403)
		h.ask(h.tokens[account.Admin], "POST", "/v1/tokens", `{"name":"up","role":"owner"}`).is(403) // refused by the room
		if got := []int{count("list-users"), count("create-token")}; !slices.Equal(got, []int{1, 1}) {
			t.Errorf("entries: got %v, want one of each", got)
		}
		for range 50 {
			h.ask(h.tokens[account.Agent], "GET", "/v1/audit", "").is(403)
		}
		if got := count("list-audit"); got != 10 {
			t.Errorf("fifty refusals made %d entries, want 10", got)
		}
		h.ask(h.tokens[account.ReadOnly], "GET", "/v1/audit", "").is(403)
		if got := count("list-audit"); got != 11 {
			t.Errorf("another actor's refusal: %d entries, want 11", got)
		}
		if got := h.ask(h.stranger, "GET", "/v1/audit", "").is(200).Body.String(); strings.Contains(got, "access.refused") {
			t.Errorf("another account reads: %s", got)
		}
	})
}

func TestMoneyIsRefusedByTheNameOfItsField(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	owner := h.tokens[account.Owner]
	sale := func(value, margin string) string { return `{"value":` + value + `,"margin":` + margin + `}` }
	good := `{"amount":"10","currency":"USD"}`
	for _, tt := range []struct {
		target, body string
		fields       []string
	}{
		{"/v1/calls/call_1/sales", sale(`{"amount":"100.001","currency":"USD"}`, good), []string{"value.amount"}},
		{"/v1/calls/call_1/sales", sale(`{"amount":"1e3","currency":"USD"}`, good), []string{"value.amount"}},
		{"/v1/calls/call_1/sales", sale(`{"amount":"10","currency":"XXX"}`, good), []string{"value.currency"}},
		{"/v1/calls/call_1/sales", sale(good, `{"amount":"1.001","currency":"USD"}`), []string{"margin.amount"}},
		{"/v1/calls/call_1/sales", sale(`{"amount":"1","currency":"XTS"}`, `{"amount":"1.001","currency":"USD"}`), []string{"value.currency", "margin.amount"}},
		{"/v1/spend", `{"source":"Ads","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1","currency":"XXX"}}`, []string{"cost.currency"}},
		{"/v1/spend", `{"items":[{"source":"Ads","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1.001","currency":"USD"}}]}`, []string{"items[0].cost.amount"}},
	} {
		if got := h.ask(owner, "POST", tt.target, tt.body).is(422).fields(); !slices.Equal(got, tt.fields) {
			t.Errorf("%s: got %v, want %v", tt.body, got, tt.fields)
		}
	}
	h.ask(owner, "POST", "/v1/calls/call_1/sales", `{"value":`+good+`,"margin":null}`).is(201)
	h.ask(owner, "PATCH", "/v1/account", `{"currency":"XXX"}`).is(422)
	h.ask(owner, "PATCH", "/v1/account", `{"currency":"XOF"}`).is(200)
}

func TestNamesThatNobodySeesAreRefusedEverywhere(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	owner := h.tokens[account.Owner]
	bodies := map[string]string{
		"/v1/tags": `{"name":%s}`, "/v1/dispositions": `{"name":%s}`, "/v1/agents": `{"name":%s}`, "/v1/sources": `{"name":%s}`, "/v1/pools": `{"name":%s}`,
		"/v1/sites":      `{"name":%s,"origins":["https://shop.example"]}`,
		"/v1/scorecards": `{"name":%s,"criteria":[{"name":"A","weight":1,"max_level":2}]}`,
		"/v1/routes":     `{"name":%s,"plan":{"steps":[{"destinations":["+13125550100"]}]}}`,
		"/v1/tokens":     `{"name":%s,"role":"agent"}`,
	}
	for target, body := range bodies {
		for _, name := range []string{"\u200b", "price\u200b", "a\u202eb", "\u2066x\u2069", "\u3164", "\u2800", "\u00ad", "\u0301", "x\u2028y\u2029\u061c"} {
			a := h.ask(owner, "POST", target, strings.ReplaceAll(body, "%s", `"`+name+`"`))
			if a.Code != 422 || !slices.Equal(a.fields(), []string{"name"}) {
				t.Errorf("%s with %s: got %d %s", target, name, a.Code, a.Body)
			}
		}
		h.ask(owner, "POST", target, strings.ReplaceAll(body, "%s", `"Größe ❤️ 東京 №1"`)).is(201)
	}
}

func TestNumbersThatCostTheCallerAreNoDestinations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		owner := h.tokens[account.Owner]
		tracking := h.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550171"}`).is(201).Header().Get("Location")
		for _, number := range []string{"+19005551234", "+19001234567", "+13129761234", "+881612345678", "+8826123456789", "+883510012345678", "+870773111632", "+97912345678", "+449098790000", "+491805123456"} {
			for _, r := range [][4]string{
				{"PATCH", "/v1/account", `{"destination":"%s"}`, "destination"},
				{"POST", "/v1/pools", `{"name":"Website","destination":"%s"}`, "destination"},
				{"POST", "/v1/numbers", `{"number":"+13125550172","destination":"%s"}`, "destination"},
				{"PATCH", tracking, `{"destination":"%s"}`, "destination"},
				{"POST", "/v1/routes", `{"name":"Desk","plan":{"steps":[{"destinations":["%s"]}]}}`, "plan.steps[0].destinations[0]"},
			} {
				a := h.ask(owner, r[0], r[1], strings.ReplaceAll(r[2], "%s", number))
				if a.Code != 422 || !slices.Equal(a.fields(), []string{r[3]}) {
					t.Errorf("%s %s to %s: got %d %s", r[0], r[1], number, a.Code, a.Body)
				}
			}
		}
		for _, number := range []string{"+18005551234", "+80012345678", "+442079460123", "+4915112345678"} {
			h.ask(owner, "PATCH", "/v1/account", `{"destination":"`+number+`"}`).is(200)
		}
	})
}

func storetestSQLite(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
