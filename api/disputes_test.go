package api_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestADisputeIsDecidedByAManager(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		manager, agent, reader := h.tokens[account.Manager], h.tokens[account.Agent], h.tokens[account.ReadOnly]
		card := h.ask(manager, "POST", "/v1/scorecards", `{"name":"Sales","criteria":[{"id":"greet","name":"Greeting","weight":1,"max_level":4}]}`).is(201).json()
		score := h.ask(manager, "POST", "/v1/calls/call_1/scores", `{"scorecard":"Sales","marks":[{"criterion":"greet","level":1}]}`).is(201).json()
		if score["dispute"] != nil {
			t.Errorf("dispute: got %v, want null", score["dispute"])
		}
		door := "/v1/calls/call_1/scores/" + score["id"].(string) + "/dispute"

		// Only the agent whose call it was disputes.
		h.ask(manager, "POST", door, `{"reason":"not fair"}`).is(403)
		h.ask(agent, "POST", door, `{"reason":"not fair"}`).is(403)
		agent = h.agentOf("call_1")
		h.ask(reader, "POST", door, `{"reason":"not fair"}`).is(403)
		if got := h.ask(agent, "POST", door, `{"reason":""}`).is(422).fields(); !slices.Equal(got, []string{"reason"}) {
			t.Errorf("refused: got %v", got)
		}
		h.ask(agent, "POST", door, `{"reason":"not fair"}`, "If-Match", `"0"`).is(412)
		a := h.ask(agent, "POST", door, `{"reason":"call +1 312 555 0101 again"}`, "If-Match", `"2"`, "Idempotency-Key", "d1").is(201)
		h.ask(agent, "POST", door, `{"reason":"call +1 312 555 0101 again"}`, "If-Match", `"2"`, "Idempotency-Key", "d1").is(201)
		h.ask(agent, "POST", door, `{"reason":"and again"}`).is(409)
		open := a.json()["dispute"].(map[string]any)
		if a.Header().Get("ETag") != `"3"` || open["outcome"] != nil || open["resolved_at"] != nil {
			t.Errorf("got %v with ETag %s", open, a.Header().Get("ETag"))
		}
		h.ask(h.stranger, "POST", door, `{"reason":"x"}`).is(404)

		h.ask(agent, "PUT", door, `{"outcome":"upheld"}`).is(403)
		h.ask(manager, "PUT", door, `{"outcome":"perhaps"}`).is(422)
		if got := h.ask(manager, "PUT", door, `{"outcome":"changed","marks":[{"criterion":"greet","level":9}]}`).is(422).fields(); !slices.Equal(got, []string{"marks[0].level"}) {
			t.Errorf("refused: got %v", got)
		}
		done := h.ask(manager, "PUT", door, `{"outcome":"changed","comment":"right","marks":[{"criterion":"greet","level":4}]}`).is(200).json()["dispute"].(map[string]any)
		h.ask(manager, "PUT", door, `{"outcome":"upheld"}`).is(409)
		scores := h.ask(reader, "GET", "/v1/calls/call_1/scores", "").is(200).json()["items"].([]any)
		kept := scores[0].(map[string]any)["dispute"].(map[string]any)
		if kept["outcome"] != "changed" || kept["changed_to"] != scores[1].(map[string]any)["id"] || kept["changed_to"] != done["changed_to"] || kept["reason"] == open["reason"] {
			t.Errorf("as a reader sees it: got %v", kept)
		}

		// Two scorers who agree on what varies, and on what does not.
		h.addCall(db, h.account.ID, "call_2", "+13125550102")
		for i, call := range []string{"call_1", "call_2"} {
			for _, token := range []string{manager, agent} {
				level, _ := json.Marshal(4 - i)
				h.ask(token, "POST", "/v1/calls/"+call+"/scores", `{"scorecard":"Sales","marks":[{"criterion":"greet","level":`+string(level)+`}]}`).is(201)
			}
		}
		agreement := h.ask(reader, "GET", "/v1/scorecards/"+card["id"].(string)+"/agreement", "").is(200).json()
		greet := agreement["criteria"].([]any)[0].(map[string]any)
		if agreement["calls"].(json.Number) != "2" || greet["alpha"].(json.Number) != "1" || greet["n"].(json.Number) != "4" || greet["rank_agents"] != true || greet["note"] != nil {
			t.Errorf("got %v", agreement)
		}
		h.ask(reader, "GET", "/v1/scorecards/"+card["id"].(string)+"/agreement?from=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "").is(422)
		h.ask(h.stranger, "GET", "/v1/scorecards/"+card["id"].(string)+"/agreement", "").is(404)
	})
}
