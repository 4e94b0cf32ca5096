package api_test

import (
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestAnAccountSaysWhatItKnowsOfItsCallers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner, agent := h.tokens[account.Owner], h.tokens[account.Agent]
		const body = `{"parts":[{"weight":0.7,"mean_hours":0.1},{"weight":0.3,"mean_hours":24}],"propensity":0.1,"on_screen":6,"background":0.01}`
		h.ask(agent, "POST", "/v1/delay-models", body).is(403)
		h.ask(owner, "POST", "/v1/delay-models", `{"parts":[{"weight":0.7,"mean_hours":0.1}],"propensity":0.1,"on_screen":6,"background":0.01}`).is(422)
		made := h.ask(owner, "POST", "/v1/delay-models", body).is(201).json()
		if float(t, made["version"]) != 1 || made["origin"] != "declared" || made["from"] == nil {
			t.Errorf("got %v, want a declared version 1", made)
		}
		items := h.ask(owner, "GET", "/v1/delay-models", "").is(200).json()["items"].([]any)
		if len(items) != 2 || float(t, items[0].(map[string]any)["propensity"]) != 0.1 || items[1].(map[string]any)["origin"] != "default" {
			t.Errorf("got %v, want version 1 and the defaults", items)
		}
		if items = h.ask(h.stranger, "GET", "/v1/delay-models", "").is(200).json()["items"].([]any); len(items) != 1 {
			t.Errorf("a stranger sees %v, want the defaults", items)
		}
	})
}
