package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestFormsAndChatsAreOpportunities(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := func() time.Time { return deskNow }
		log := slog.New(slog.DiscardHandler)
		h := open(t, db, func(d *api.Deps) {
			d.Reports, d.Desk = report.NewDesk(db, now, log, nil), scoring.NewDesk(db, now, log, nil)
		})
		agent, marketer := h.tokens[account.Agent], h.tokens[account.Marketer]
		post := func(body string) map[string]any { return h.ask(agent, "POST", "/v1/enquiries", body).is(201).json() }
		asked := func(hours int) string { return deskNow.Add(time.Duration(-hours) * time.Hour).Format(time.RFC3339) }

		h.ask(marketer, "POST", "/v1/enquiries", `{"person":"p","kind":"form"}`).is(403)
		first := post(fmt.Sprintf(`{"external_id":"f-1","person":"+13125550101","kind":"form","at":%q,"source":"google","medium":"cpc"}`, asked(50)))
		if first["answered_at"] != nil || first["source"] != "google" || first["campaign"] != nil {
			t.Errorf("got %v", first)
		}
		// Told later that somebody answered: the same one, corrected.
		again := post(fmt.Sprintf(`{"external_id":"f-1","person":"+13125550101","kind":"form","at":%q,"answered_at":%q,"source":"google","medium":"cpc"}`, asked(50), asked(49)))
		if again["id"] != first["id"] || again["answered_at"] == nil {
			t.Errorf("answered: got %v, want the same enquiry", again)
		}
		late := post(fmt.Sprintf(`{"person":"hash-7","kind":"chat","at":%q,"answered_at":%q}`, asked(40), asked(10)))
		post(fmt.Sprintf(`{"person":"+13125550102","kind":"chat","at":%q,"referred_by":"+13125550101"}`, asked(3)))
		if late["external_id"] == "" {
			t.Errorf("without an external id: got %v", late)
		}
		h.ask(agent, "GET", "/v1/enquiries/"+late["id"].(string), "").is(200)
		h.ask(h.stranger, "GET", "/v1/enquiries/"+late["id"].(string), "").is(404)

		page := h.ask(agent, "GET", "/v1/enquiries?limit=2", "").is(200).json()
		rest := h.ask(agent, "GET", "/v1/enquiries?limit=2&cursor="+page["next_cursor"].(string), "").is(200).json()
		var persons []string
		for _, e := range slices.Concat(page["items"].([]any), rest["items"].([]any)) {
			persons = append(persons, e.(map[string]any)["person"].(string))
		}
		if want := []string{"+13125550102", "hash-7", "+13125550101"}; !slices.Equal(persons, want) {
			t.Errorf("list: got %v, want %v", persons, want)
		}
		for _, e := range h.ask(marketer, "GET", "/v1/enquiries", "").is(200).json()["items"].([]any) {
			if person := e.(map[string]any)["person"].(string); slices.Contains(persons, person) {
				t.Errorf("a marketer sees %s", person)
			}
		}
		if got := h.ask(agent, "GET", "/v1/enquiries?until="+asked(41), "").is(200).json()["items"].([]any); len(got) != 1 {
			t.Errorf("until: got %v", got)
		}
		sent := h.ask(agent, "GET", "/v1/callers/+13125550101", "")
		if sent.Code == 200 && len(sent.json()["referred"].([]any)) != 1 {
			t.Errorf("who sent them: got %s", sent.Body)
		}

		// Three attempts: one answered after an hour, one after 30 hours, one not.
		m := h.ask(agent, "GET", "/v1/reports/momentum", "").is(200).json()["periods"].([]any)[0].(map[string]any)
		counts := m["counts"].(map[string]any)
		if counts["opportunities"].(json.Number) != "3" || counts["reached"].(json.Number) != "1" {
			t.Errorf("momentum: got %v, want three opportunities and one reached", counts)
		}
		// A wait of 3600 s leaves 1/(1 + 3580/120) of goodwill.
		if got := m["parts"].(map[string]any)["prompt"].(json.Number); got != "0.0324324324" {
			t.Errorf("prompt: got %v, want 0.0324324324", got)
		}

		for body, want := range map[string]string{
			`{"person":"","kind":"form"}`:                                                            "person",
			`{"person":"p","kind":"fax"}`:                                                            "kind",
			`{"person":"p","kind":"form","at":"2099-01-01T00:00:00Z"}`:                               "at",
			fmt.Sprintf(`{"person":"p","kind":"form","at":%q,"answered_at":%q}`, asked(1), asked(2)): "answered_at",
			`{"person":"p","kind":"form","referred_by":"+13125550101"}`:                              "person",
			`{"person":"+13125550101","kind":"form","referred_by":"+13125550101"}`:                   "referred_by",
		} {
			if got := h.ask(agent, "POST", "/v1/enquiries", body).is(422).fields(); !slices.Contains(got, want) {
				t.Errorf("%s: got %v refused, want %s", body, got, want)
			}
		}
	})
}
