package api_test

import (
	"slices"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestReferralsAndFeedbackComeInByCallAndByCaller(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		agent, reader := h.tokens[account.Agent], h.tokens[account.ReadOnly]
		h.ask(reader, "POST", "/v1/callers/+13125550102/referral-code", "").is(403)
		code := h.ask(agent, "POST", "/v1/callers/+13125550102/referral-code", "").is(201).json()
		if code["parameter"] != "cw_ref" || code["number"].(map[string]any)["e164"] != "+13125550102" {
			t.Errorf("got %v", code)
		}
		h.ask(agent, "POST", "/v1/callers/nobody/referral-code", "").is(404)
		for _, bad := range []string{`{}`, `{"referrer":"+13125550102","code":"x"}`} {
			if got := h.ask(agent, "POST", "/v1/calls/call_1/referral", bad).is(422).fields(); !slices.Equal(got, []string{"referrer"}) {
				t.Errorf("%s: refused %v", bad, got)
			}
		}
		r := h.ask(agent, "POST", "/v1/calls/call_1/referral", `{"code":"`+code["code"].(string)+`"}`).is(201).json()
		if r["via"] != "link" || r["referrer"].(map[string]any)["e164"] != "+13125550102" || r["referred"].(map[string]any)["e164"] != "+13125550101" {
			t.Errorf("got %v", r)
		}
		h.ask(h.stranger, "POST", "/v1/calls/call_1/referral", `{"digits":"3125550102"}`).is(404)
		keyed := h.ask(agent, "POST", "/v1/calls/call_1/referral", `{"digits":"3125550103#"}`).is(201).json()
		if keyed["via"] != "keypad" || keyed["referrer"].(map[string]any)["e164"] != "+13125550103" {
			t.Errorf("got %v", keyed)
		}

		// A survey tells later, of the caller, when they answered.
		f := h.ask(agent, "POST", "/v1/callers/+13125550101/feedback", `{"kind":"nps","value":3,"given_at":"2026-03-02T11:30:00Z"}`).is(201).json()
		if f["call_id"] != "call_1" || f["given_at"] != "2026-03-02T11:30:00.000000Z" {
			t.Errorf("got %v", f)
		}
		h.ask(agent, "POST", "/v1/callers/+13125550109/feedback", `{"kind":"nps","value":3}`).is(404)
		h.ask(reader, "POST", "/v1/callers/+13125550101/feedback", `{"kind":"nps","value":3}`).is(403)
		if got := h.ask(agent, "POST", "/v1/calls/call_1/feedback", `{"kind":"csat","value":4,"given_at":"2026-03-01T00:00:00Z"}`).is(422).fields(); !slices.Equal(got, []string{"given_at"}) {
			t.Errorf("before the call: refused %v", got)
		}
		caller := h.ask(reader, "GET", "/v1/callers/+13125550101", "").is(200).json()
		if len(caller["referred_by"].([]any)) != 2 || len(caller["feedback"].([]any)) != 1 {
			t.Errorf("got %v and %v", caller["referred_by"], caller["feedback"])
		}
	})
}
