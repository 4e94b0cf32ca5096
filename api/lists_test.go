package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestATableIsTheWholeListUnlessALimitIsGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		owner := h.tokens[account.Owner]
		const many = 520 // more than the longest page
		for i := range many {
			h.ask(owner, "POST", "/v1/tags", fmt.Sprintf(`{"name":"tag %03d"}`, i)).is(201)
		}
		for i := range 60 {
			h.ask(owner, "POST", "/v1/calls/call_1/notes", fmt.Sprintf(`{"text":"note %d"}`, i)).is(201)
			h.ask(owner, "POST", "/v1/blocked-callers", fmt.Sprintf(`{"caller":"+121255501%02d"}`, i)).is(201)
			h.ask(owner, "POST", "/v1/spend", fmt.Sprintf(`{"source":"s%02d","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1","currency":"USD"}}`, i)).is(201)
		}
		lines := func(target, accept string) []string {
			t.Helper()
			body := h.ask(owner, "GET", target, "", "Accept", accept).is(200).Body.String()
			return strings.Split(strings.TrimSpace(body), "\n")
		}
		for target, want := range map[string]int{
			"/v1/tags": many, "/v1/calls/call_1/notes": 60, "/v1/blocked-callers": 60, "/v1/spend": 60, "/v1/spend?source=s07": 1,
		} {
			if got := len(lines(target, "text/csv")) - 1; got != want {
				t.Errorf("%s as CSV: got %d rows, want %d", target, got, want)
			}
			if got := len(lines(target, "application/x-ndjson")); got != want {
				t.Errorf("%s as NDJSON: got %d rows, want %d", target, got, want)
			}
		}
		if got := len(lines("/v1/audit", "application/x-ndjson")); got < many {
			t.Errorf("the audit log: got %d rows", got)
		}
		if table := lines("/v1/tags?fields=name", "text/csv"); table[0] != "name\r" || table[1] != "tag 000\r" || table[many] != "tag 519" {
			t.Errorf("the table begins %q and ends %q", table[:2], table[many])
		}
		page := h.ask(owner, "GET", "/v1/tags?limit=7", "", "Accept", "text/csv").is(200)
		if got := strings.Count(page.Body.String(), "\n"); got != 8 || !strings.Contains(page.Header().Get("Link"), `rel="next"`) {
			t.Errorf("with a limit: got %d lines, Link %q", got, page.Header().Get("Link"))
		}
		if got := h.ask(owner, "GET", "/v1/tags", "").is(200).json()["items"].([]any); len(got) != 50 {
			t.Errorf("as JSON: got %d items, want a page of 50", len(got))
		}
	})
}

func TestACursorGoesOnOnlyAmongTheRowsItCameFrom(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	owner := h.tokens[account.Owner]
	for i := range 3 {
		h.ask(owner, "POST", "/v1/spend", fmt.Sprintf(`{"source":"Ads","from":"2026-03-0%d","until":"2026-03-09","cost":{"amount":"1","currency":"USD"}}`, i+1)).is(201)
	}
	first := h.ask(owner, "GET", "/v1/spend?limit=1&source=Ads&until=2026-04-01", "").is(200).json()
	cursor := "&cursor=" + first["next_cursor"].(string)
	h.ask(owner, "GET", "/v1/spend?until=2026-04-01&source=Ads&limit=2&fields=id"+cursor, "").is(200)
	for _, other := range []string{"/v1/spend?limit=1" + cursor, "/v1/spend?limit=1&source=Ads" + cursor, "/v1/spend?limit=1&source=Radio&until=2026-04-01" + cursor} {
		if got := h.ask(owner, "GET", other, "").is(400).json()["type"]; got != "bad-cursor" {
			t.Errorf("%s: got %v", other, got)
		}
	}
}

// edited are the things that people edit: what makes one, and how each change
// of it looks.
var edited = map[string]struct{ list, create, change string }{
	"PATCH /v1/account":              {"", "", `{"name":"Renamed"}`},
	"PUT /v1/account/provider":       {"", "", `{"provider_account":"AC1","tokens":["0123456789abcdef"]}`},
	"PATCH /v1/users/{id}":           {"/v1/users", `{"email":"ana@shop.example","name":"Ana","password":"correct horse","role":"agent"}`, `{"name":"Anna"}`},
	"PATCH /v1/tags/{id}":            {"/v1/tags", `{"name":"price"}`, `{"name":"cost"}`},
	"PATCH /v1/dispositions/{id}":    {"/v1/dispositions", `{"name":"Signed"}`, `{"name":"Won"}`},
	"PATCH /v1/scorecards/{id}":      {"/v1/scorecards", `{"name":"Card","criteria":[{"name":"A","weight":1,"max_level":2}]}`, `{"name":"Other"}`},
	"PATCH /v1/agents/{id}":          {"/v1/agents", `{"name":"Ines"}`, `{"name":"Nina"}`},
	"PATCH /v1/sources/{id}":         {"/v1/sources", `{"name":"Ads"}`, `{"name":"Adverts"}`},
	"PATCH /v1/pools/{id}":           {"/v1/pools", `{"name":"Website"}`, `{"name":"Shop"}`},
	"PATCH /v1/sites/{id}":           {"/v1/sites", `{"name":"Shop","origins":["https://shop.example"]}`, `{"name":"Store"}`},
	"PATCH /v1/numbers/{id}":         {"/v1/numbers", `{"number":"+13125550171"}`, `{"campaign":"spring"}`},
	"PATCH /v1/routes/{id}":          {"/v1/routes", `{"name":"Desk","plan":{"steps":[{"destinations":["+13125550100"]}]}}`, `{"name":"Front desk"}`},
	"PUT /v1/calls/{id}/tags/{tag}":  {"", "", ""},
	"PUT /v1/calls/{id}/disposition": {"", "", `{"disposition":"Lead"}`},
	"PUT /v1/calls/{id}/agent":       {"", "", `{"agent_id":"{agent}"}`},

	"PUT /v1/calls/{id}/scores/{score_id}/dispute": {"", "", `{"outcome":"upheld"}`},
}

func TestEveryChangeOfWhatPeopleEditTakesIfMatch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		owner := h.tokens[account.Owner]
		h.ask(owner, "POST", "/v1/tags", `{"name":"held"}`).is(201)
		agent := h.ask(owner, "POST", "/v1/agents", `{"name":"Ada"}`).is(201).json()["id"].(string)
		h.ask(owner, "POST", "/v1/scorecards", `{"name":"Rubric","criteria":[{"id":"a","name":"A","weight":1,"max_level":2}]}`).is(201)
		score := h.ask(owner, "POST", "/v1/calls/call_1/scores", `{"scorecard":"Rubric","marks":[{"criterion":"a","level":1}]}`).is(201).json()["id"].(string)
		h.ask(h.agentOf("call_1"), "POST", "/v1/calls/call_1/scores/"+score+"/dispute", `{"reason":"not fair"}`).is(201)
		for _, r := range h.server.Routes() {
			if r.Method != http.MethodPatch && r.Method != http.MethodPut {
				continue
			}
			if r.Path == "/v1/rates" {
				continue // facts with a key of their own, as spend is: there is no version to edit
			}
			e, known := edited[r.Method+" "+r.Path]
			if !known {
				t.Errorf("%s %s is not among the edited: say how it is changed", r.Method, r.Path)
				continue
			}
			e.change = strings.ReplaceAll(e.change, "{agent}", agent)
			target := strings.NewReplacer("{id}", "call_1", "{tag}", "held", "{score_id}", score).Replace(r.Path)
			shown := "/v1/account"
			if strings.HasPrefix(target, "/v1/calls/") {
				shown = "/v1/calls/call_1/desk"
			}
			if e.list != "" {
				made := h.ask(owner, "POST", e.list, e.create).is(201)
				target = made.Header().Get("Location")
				shown = target
				if got, again := made.Header().Get("ETag"), h.ask(owner, "GET", target, "").is(200).Header().Get("ETag"); got == "" || got != again {
					t.Errorf("%s: made with ETag %q, shown with %q", e.list, got, again)
				}
			}
			tag := func() string { return h.ask(owner, "GET", shown, "").is(200).Header().Get("ETag") }
			ok := 200
			if r.Path == "/v1/account/provider" {
				ok = 204
			}
			before := tag()
			for _, stale := range []string{`"999999"`, `W/` + before, `"999998", "999999"`, `999999`, `, ,`} {
				if got := h.ask(owner, r.Method, target, e.change, "If-Match", stale); got.Code != 412 {
					t.Errorf("%s %s with If-Match %s: got %d, want 412", r.Method, r.Path, stale, got.Code)
				}
			}
			if got := tag(); got != before {
				t.Fatalf("%s %s: a refused change made %s of %s", r.Method, r.Path, got, before)
			}
			h.ask(owner, r.Method, target, e.change, "If-Match", `"999999", `+before).is(ok)
			h.ask(owner, r.Method, target, e.change, "If-Match", `*`).is(ok)
			if got := tag(); got == before {
				t.Errorf("%s %s: the ETag stayed %s", r.Method, r.Path, got)
			}
		}
	})
}

func TestUsersAndTokensAreAgentsOfThisAccountOnly(t *testing.T) {
	h := openDesk(t, storetestSQLite(t))
	owner := h.tokens[account.Owner]
	ours := h.ask(owner, "POST", "/v1/agents", `{"name":"Ines"}`).is(201).json()["id"].(string)
	theirs := h.ask(h.stranger, "POST", "/v1/agents", `{"name":"Nina"}`).is(201).json()["id"].(string)
	user := h.ask(owner, "POST", "/v1/users", `{"email":"a@shop.example","name":"A","password":"correct horse","role":"agent","agent_id":"`+ours+`"}`).is(201).Header().Get("Location")
	var answers []string
	for _, id := range []string{theirs, "agent_nothing"} {
		for _, a := range []answer{
			h.ask(owner, "POST", "/v1/users", `{"email":"b@shop.example","name":"B","password":"correct horse","role":"agent","agent_id":"`+id+`"}`),
			h.ask(owner, "PATCH", user, `{"agent_id":"`+id+`"}`),
			h.ask(owner, "POST", "/v1/tokens", `{"name":"t","role":"agent","agent_id":"`+id+`"}`),
		} {
			if got := a.is(422).fields(); !slices.Equal(got, []string{"agent_id"}) {
				t.Errorf("refused: got %v", got)
			}
			p := a.json()
			delete(p, "request_id")
			text, _ := json.Marshal(p)
			answers = append(answers, string(text))
		}
	}
	if len(slices.Compact(answers)) != 1 {
		t.Errorf("a foreign and an absent agent answer differently: %v", answers)
	}
	h.ask(owner, "POST", "/v1/tokens", `{"name":"t","role":"agent","agent_id":"`+ours+`"}`).is(201)
	h.ask(owner, "PATCH", user, `{"agent_id":""}`).is(200)
}
