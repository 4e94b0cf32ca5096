package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

var deskNow = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// openDesk is a house whose first account has the default dispositions and one
// call, call_1, of +13125550101.
func openDesk(t *testing.T, db *store.DB) *house {
	t.Helper()
	desk := scoring.NewDesk(db, func() time.Time { return deskNow }, slog.New(slog.DiscardHandler), nil)
	h := open(t, db, func(d *api.Deps) { d.Desk = desk })
	if err := desk.SeedLists(context.Background(), h.account.ID); err != nil {
		t.Fatal(err)
	}
	h.addCall(db, h.account.ID, "call_1", "+13125550101")
	return h
}

func (h *house) addCall(db *store.DB, accountID, id, from string) {
	h.t.Helper()
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_e164, from_kind, outcome, started_at, updated_at)
			VALUES (?, ?, 'test', ?, ?, 'e164', 'answered', ?, 1)`,
			accountID, id, id, from, store.Micros(deskNow.Add(-time.Hour)))
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// agentOf gives the call an agent and returns a token of theirs.
func (h *house) agentOf(callID string) (token string) {
	h.t.Helper()
	owner := h.tokens[account.Owner]
	id := h.ask(owner, "POST", "/v1/agents", `{"name":"Ines"}`).is(201).json()["id"].(string)
	h.ask(owner, "PUT", "/v1/calls/"+callID+"/agent", `{"agent_id":"`+id+`"}`).is(200)
	return h.ask(owner, "POST", "/v1/tokens", `{"name":"Ines","role":"agent","agent_id":"`+id+`"}`).is(201).json()["token"].(string)
}

func TestDeskStory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		manager, agent := h.tokens[account.Manager], h.tokens[account.Agent]

		// The manager sets up the lists; the agent may not.
		h.ask(agent, "POST", "/v1/tags", `{"name":"price"}`).is(403)
		for _, name := range []string{"price", "Café / crème"} {
			body, _ := json.Marshal(map[string]string{"name": name})
			h.ask(manager, "POST", "/v1/tags", string(body)).is(201)
		}
		h.ask(manager, "POST", "/v1/tags", `{"name":"PRICE"}`).is(409)
		card := h.ask(manager, "POST", "/v1/scorecards", `{"name":"Sales call","criteria":[
			{"id":"greeting","name":"Greeting","weight":10,"max_level":4},{"name":"Needs","weight":20,"max_level":4},
			{"name":"Offer","weight":25,"max_level":4},{"name":"Closing","weight":20,"max_level":4},
			{"name":"Follow-up","weight":15,"max_level":4},{"name":"Law","weight":10,"max_level":4,"critical":true}]}`).is(201).json()

		// A desk that nobody has touched has an ETag too.
		first := h.ask(agent, "GET", "/v1/calls/call_1/desk", "").is(200)
		if got := first.Header().Get("ETag"); got != `"0"` {
			t.Errorf("ETag: got %s, want \"0\"", got)
		}

		// Tags by name, escaped; an unknown one is refused with suggestions.
		a := h.ask(agent, "PUT", "/v1/calls/call_1/tags/cafe%CC%81%20%2F%20cr%C3%A8me", "", "If-Match", `"0"`).is(200)
		if got := a.Header().Get("ETag"); got != `"1"` {
			t.Errorf("ETag: got %s, want \"1\"", got)
		}
		if got := a.json()["tags"].([]any); len(got) != 1 || got[0] != "Café / crème" {
			t.Errorf("tags: got %v", got)
		}
		a = h.ask(agent, "PUT", "/v1/calls/call_1/tags/prise", "").is(422)
		if !strings.Contains(a.Body.String(), `nearest: \"price\"`) || !slices.Equal(a.fields(), []string{"tag"}) {
			t.Errorf("unknown tag: got %s", a.Body)
		}
		h.ask(agent, "PUT", "/v1/calls/call_1/tags/price", "", "If-Match", `"0"`).is(412)
		h.ask(agent, "PUT", "/v1/calls/call_1/tags/price", "", "If-Match", `"1"`).is(200)
		h.ask(agent, "DELETE", "/v1/calls/call_1/tags/Price", "").is(204)

		a = h.ask(agent, "PUT", "/v1/calls/call_1/disposition", `{"disposition":"lead"}`).is(200)
		if v := a.json(); v["disposition"] != "Lead" || v["qualified"] != true || a.Header().Get("ETag") != `"4"` {
			t.Errorf("disposition: got %v with ETag %s", v, a.Header().Get("ETag"))
		}
		a = h.ask(agent, "PUT", "/v1/calls/call_1/disposition", `{"disposition":"Leat"}`).is(422)
		if !strings.Contains(a.Body.String(), `\"Lead\"`) {
			t.Errorf("unknown disposition: got %s", a.Body)
		}

		// Two scorers: the worked card, and full marks.
		worked := `{"scorecard":"Sales call","marks":[{"criterion":"greeting","level":4},{"criterion":"Needs","level":2},{"criterion":"Offer","level":4},
			{"criterion":"Closing","level":3},{"criterion":"Follow-up","level":null},{"criterion":"Law","level":4}],"comment":"good"}`
		score := h.ask(agent, "POST", "/v1/calls/call_1/scores", worked).is(201)
		if got := float(t, score.json()["score"]); math.Abs(got-82.3529) > 1e-9 {
			t.Errorf("score: got %v, want 82.3529", got)
		}
		if score.Header().Get("ETag") != `"5"` || score.Header().Get("Location") == "" {
			t.Errorf("headers: got %v", score.Header())
		}
		full := `{"scorecard":"` + card["id"].(string) + `","marks":[{"criterion":"greeting","level":4}]}`
		h.ask(manager, "POST", "/v1/calls/call_1/scores", full).is(201)
		a = h.ask(agent, "POST", "/v1/calls/call_1/scores", `{"scorecard":"Sales call","marks":[{"criterion":"greeting","level":5},{"criterion":"x","level":1}]}`).is(422)
		if got := a.fields(); !slices.Equal(got, []string{"marks[0].level", "marks[1].criterion"}) {
			t.Errorf("refused marks: got %v", got)
		}
		h.ask(agent, "POST", "/v1/calls/call_1/scores", `{"scorecard":"Sales call","marks":[{"criterion":"greeting","level":2.5}]}`).is(422)

		// A sale, part of it given back, by another hand the same way twice.
		sale := h.ask(agent, "POST", "/v1/calls/call_1/sales", `{"value":{"amount":"120.00","currency":"USD"},"margin":{"amount":"40","currency":"USD"},"sold_at":"2026-03-02T11:30:00Z"}`).is(201).json()
		refund := `{"value":{"amount":"20","currency":"USD"},"refund_of":"` + sale["id"].(string) + `"}`
		one := h.ask(agent, "POST", "/v1/calls/call_1/sales", refund, "Idempotency-Key", "k1").is(201)
		two := h.ask(agent, "POST", "/v1/calls/call_1/sales", refund, "Idempotency-Key", "k1").is(201)
		if one.Body.String() != two.Body.String() {
			t.Errorf("the same key: got %s and %s", one.Body, two.Body)
		}
		h.ask(agent, "POST", "/v1/calls/call_1/sales", strings.Replace(refund, "20", "100.01", 1)).is(422)
		for _, bad := range []string{
			`{"value":{"amount":"-5","currency":"USD"}}`, `{"value":{"amount":"5","currency":"usd"}}`, `{"value":{"amount":"5.001","currency":"USD"}}`,
			`{"value":{"amount":5,"currency":"USD"}}`, `{"value":{"amount":"5","currency":"USD"},"sold_at":"2026-03-09T00:00:00Z"}`, `{}`,
		} {
			h.ask(agent, "POST", "/v1/calls/call_1/sales", bad).is(422)
		}
		h.ask(agent, "POST", "/v1/calls/call_1/sales", `{"value":{"amount":"5","currency":"USD"},"margin":{"amount":"5","currency":"usd"}}`).is(422)
		eur := `{"value":{"amount":"1","currency":"EUR"},"margin":null,"sold_at":null,"refund_of":null}`
		h.ask(agent, "POST", "/v1/calls/call_1/sales", eur, "If-Match", `"0"`).is(412)
		h.ask(agent, "POST", "/v1/calls/call_1/notes", `{"text":"wants the blue one"}`).is(201)
		h.ask(agent, "POST", "/v1/calls/call_1/feedback", `{"kind":"nps","value":9,"comment":"fine"}`).is(201)
		h.ask(agent, "POST", "/v1/calls/call_1/feedback", `{"kind":"csat","value":6}`).is(422)
		h.ask(agent, "POST", "/v1/calls/call_1/callback", `{"connected":true}`).is(201)

		// What it all comes to.
		desk := h.ask(h.tokens[account.ReadOnly], "GET", "/v1/calls/call_1/desk", "").is(200).json()
		if got := float(t, desk["score"]); math.Abs(got-91.1765) > 1e-9 {
			t.Errorf("score: got %v, want 91.1765, the mean of 82.3529 and 100", got)
		}
		value := desk["value"].(map[string]any)
		if value["amount"] != "100.00" || value["currency"] != "USD" || desk["note"] != "wants the blue one" {
			t.Errorf("got value %v and note %v", value, desk["note"])
		}
		var kinds []string
		for _, j := range items(h.ask(agent, "GET", "/v1/calls/call_1/history", "").is(200)) {
			kinds = append(kinds, j["kind"].(string))
			if !strings.HasPrefix(j["actor"].(string), "token_") || j["at"] != "2026-03-02T12:00:00.000000Z" {
				t.Errorf("judgement: got %v", j)
			}
		}
		want := []string{"tagged", "tagged", "untagged", "disposed", "scored", "scored", "sold", "sold", "noted", "feedback", "called_back"}
		if !slices.Equal(kinds, want) {
			t.Errorf("history: got %v, want %v", kinds, want)
		}

		// The person, and whom they sent.
		h.ask(agent, "POST", "/v1/callers/+13125550101/referrals", `{"referred":"+13125550102"}`).is(201)
		h.ask(agent, "POST", "/v1/callers/+13125550101/referrals", `{}`).is(422)
		caller := h.ask(agent, "GET", "/v1/callers/%2B13125550101", "").is(200).json()
		// The sale made a lead of them before anybody gave the disposition.
		for _, name := range []string{"lead_at", "qualified_at", "won_at"} {
			if caller[name] != "2026-03-02T11:30:00.000000Z" {
				t.Errorf("%s: got %v, want the moment of the sale", name, caller[name])
			}
		}
		if len(caller["calls"].([]any)) != 1 || len(caller["sales"].([]any)) != 2 || len(caller["referred"].([]any)) != 1 {
			t.Errorf("caller: got %v", caller)
		}
		masked := h.ask(h.tokens[account.Marketer], "GET", "/v1/callers/+13125550101", "").is(200).Body.String()
		if strings.Contains(masked, "+13125550102") || strings.Contains(masked, "+13125550101") {
			t.Errorf("a marketer sees numbers: %s", masked)
		}
		h.ask(agent, "GET", "/v1/callers/+13125550103", "").is(404)
	})
}

func float(t *testing.T, v any) float64 {
	t.Helper()
	n, ok := v.(json.Number)
	if !ok {
		t.Fatalf("got %T %v, want a number", v, v)
	}
	f, err := n.Float64()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func items(a answer) []map[string]any {
	a.t.Helper()
	var out []map[string]any
	for _, v := range a.json()["items"].([]any) {
		out = append(out, v.(map[string]any))
	}
	return out
}

func TestAnotherAccountsCallIsNotFoundByAnyDeskDoor(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/desk", ""},
		{"GET", "/history", ""},
		{"GET", "/scores", ""},
		{"GET", "/sales", ""},
		{"GET", "/notes", ""},
		{"PUT", "/tags/price", ""},
		{"DELETE", "/tags/price", ""},
		{"PUT", "/disposition", `{"disposition":"Lead"}`},
		{"PUT", "/agent", `{"agent_id":null}`},
		{"POST", "/scores", `{"scorecard":"x","marks":[]}`},
		{"POST", "/sales", `{"value":{"amount":"1","currency":"USD"}}`},
		{"POST", "/notes", `{"text":"x"}`},
		{"POST", "/feedback", `{"kind":"nps","value":1}`},
		{"POST", "/callback", `{"connected":true}`},
	} {
		foreign := h.ask(h.stranger, c.method, "/v1/calls/call_1"+c.path, c.body).is(404)
		unknown := h.ask(h.tokens[account.Owner], c.method, "/v1/calls/call_none"+c.path, c.body).is(404)
		if foreign.Body.String() != unknown.Body.String() {
			t.Errorf("%s %s: a foreign id is told from an unknown one: %s, %s", c.method, c.path, foreign.Body, unknown.Body)
		}
	}
	h.ask(h.stranger, "GET", "/v1/callers/+13125550101", "").is(404)
}

func TestMarketersReadTheDeskAndDoNotWrite(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	for _, role := range []account.Role{account.Marketer, account.ReadOnly} {
		h.ask(h.tokens[role], "GET", "/v1/calls/call_1/sales", "").is(200)
		h.ask(h.tokens[role], "PUT", "/v1/calls/call_1/disposition", `{"disposition":"Lead"}`).is(403)
		h.ask(h.tokens[role], "POST", "/v1/dispositions", `{"name":"x"}`).is(403)
		h.ask(h.tokens[role], "GET", "/v1/dispositions", "").is(200)
	}
}

func TestListsArePagedAndEditedByETag(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	owner := h.tokens[account.Owner]
	for _, name := range []string{"c", "a", "b"} {
		h.ask(owner, "POST", "/v1/tags", `{"name":"`+name+`"}`).is(201)
	}
	var names []string
	cursor := ""
	for range 5 {
		page := h.ask(owner, "GET", "/v1/tags?limit=2"+cursor, "").is(200)
		for _, v := range items(page) {
			names = append(names, v["name"].(string))
		}
		next := page.json()["next_cursor"]
		if next == nil {
			break
		}
		cursor = "&cursor=" + next.(string)
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("pages: got %v, want a, b, c", names)
	}
	made := h.ask(owner, "POST", "/v1/agents", `{"name":"Ines","phone":"+1 312 555 0199","email":null}`).is(201)
	path := made.Header().Get("Location")
	changed := h.ask(owner, "PATCH", path, `{"phone":null}`, "If-Match", made.Header().Get("ETag")).is(200)
	if v := changed.json(); v["phone"] != nil || v["name"] != "Ines" || changed.Header().Get("ETag") != `"2"` {
		t.Errorf("agent: got %v", v)
	}
	h.ask(owner, "PATCH", path, `{"name":"Nina"}`, "If-Match", made.Header().Get("ETag")).is(412)
	h.ask(owner, "PATCH", path, `{"name":null}`).is(422)
	h.ask(owner, "DELETE", path, "", "If-Match", `"1"`).is(412)
	h.ask(owner, "DELETE", path, "", "If-Match", `"2"`).is(204)
	h.ask(owner, "GET", path, "").is(404)

	won := h.ask(owner, "POST", "/v1/dispositions", `{"name":"Signed","stage":"won"}`).is(201)
	if v := won.json(); v["qualified"] != true || v["genuine"] != true {
		t.Errorf("disposition: got %v", v)
	}
	if got := h.ask(owner, "PATCH", won.Header().Get("Location"), `{"genuine":false}`).is(422).fields(); !slices.Equal(got, []string{"genuine"}) {
		t.Errorf("refused: got %v", got)
	}
	h.ask(owner, "POST", "/v1/dispositions", `{"name":"x","stage":"sold"}`).is(422)

	card := h.ask(owner, "POST", "/v1/scorecards", `{"name":"Card","criteria":[{"name":"A","weight":1,"max_level":2}]}`).is(201)
	next := h.ask(owner, "PATCH", card.Header().Get("Location"), `{"criteria":[{"name":"A","weight":3,"max_level":2}]}`).is(200)
	if next.json()["version"] != json.Number("2") || next.Header().Get("ETag") != `"2"` {
		t.Errorf("scorecard: got %s", next.Body)
	}
	old := h.ask(owner, "GET", card.Header().Get("Location")+"?version=1", "").is(200).json()
	if old["criteria"].([]any)[0].(map[string]any)["weight"] != json.Number("1") {
		t.Errorf("version 1: got %v", old)
	}
	if got := h.ask(owner, "POST", "/v1/scorecards", `{"name":"","criteria":[{"name":"A","weight":0,"max_level":0}]}`).is(422).fields(); len(got) != 3 {
		t.Errorf("refused: got %v, want name, weight and max_level", got)
	}
}

// What people wrote down, and who sent the caller, is kept in the history too.
func TestMaskedRolesReadNoNumberInTheHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		manager, agent := h.tokens[account.Manager], h.agentOf("call_1")
		h.ask(manager, "POST", "/v1/scorecards", `{"name":"Sales","criteria":[{"id":"greet","name":"Greeting","weight":1,"max_level":4}]}`).is(201)
		score := h.ask(manager, "POST", "/v1/calls/call_1/scores", `{"scorecard":"Sales","marks":[{"criterion":"greet","level":1}]}`).is(201).json()
		door := "/v1/calls/call_1/scores/" + score["id"].(string) + "/dispute"
		h.ask(agent, "POST", door, `{"reason":"it was (212) 555-0143 who called"}`).is(201)
		h.ask(manager, "PUT", door, `{"outcome":"upheld","comment":"no: 212 555 0144"}`).is(200)
		desk := scoring.NewDesk(db, func() time.Time { return deskNow }, slog.New(slog.DiscardHandler), nil)
		told := scoring.ImportedDesk{CallID: "call_1", At: deskNow, StartedAt: deskNow.Add(-time.Hour), From: "+13125550101", ReferredBy: "+12125550145"}
		if _, _, err := desk.ImportDesks(context.Background(), account.Operator(h.account.ID), []scoring.ImportedDesk{told}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/v1/calls/call_1/history", "/v1/callers/%2B13125550101"} {
			for _, role := range []account.Role{account.Marketer, account.ReadOnly} {
				got := h.ask(h.tokens[role], "GET", path, "").is(200).Body.String()
				for _, number := range []string{"555-0143", "555 0144", "5550145"} {
					if strings.Contains(got, number) {
						t.Errorf("%s reads %s at %s: %s", role, number, path, got)
					}
				}
				if !strings.Contains(got, `"outcome":"upheld"`) || !strings.Contains(got, "who called") {
					t.Errorf("%s does not read what became of the dispute at %s: %s", role, path, got)
				}
			}
			got := h.ask(agent, "GET", path, "").is(200).Body.String()
			for _, number := range []string{"(212) 555-0143", "212 555 0144", "+12125550145"} {
				if !strings.Contains(got, number) {
					t.Errorf("an agent does not read %s at %s: %s", number, path, got)
				}
			}
		}
	})
}
