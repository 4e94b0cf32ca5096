package report_test

import (
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// What was won is the same money whatever it is credited for, and what is only
// expected (a value without a win) is none.
func TestWonMoneyIsTheSameForLeadsAndForSales(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for _, o := range []struct {
			id, lead, won string
			cents         int64
		}{
			{"both", "2025-03-05T10:00:00Z", "2025-03-07T10:00:00Z", 1_00},
			{"at midnight", "2025-03-05T10:00:00Z", "2025-03-05T00:00:00Z", 20_00}, // the system knew only the date of the sale
			{"won alone", "", "2025-03-06T10:00:00Z", 400_00},
			{"expected", "2025-03-05T10:00:00Z", "", 8000_00},
		} {
			at := func(text string) any {
				if text == "" {
					return nil
				}
				return store.Micros(when(text))
			}
			w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, won_at, value_micros, refunded_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, ?, 0, 'USD', 0)`,
				acct, o.id, "p-"+o.id, at(o.lead), at(o.won), o.cents*10_000)
		}
		for _, goal := range []report.Goal{report.ForLead, report.ForQualified, report.ForSale} {
			a := w.attribution(report.Query{AccountID: acct, From: "2025-03-01", Until: "2025-04-01", CreditFor: goal})
			if got := a.Totals.Revenue.String(); got != "421.00 USD" {
				t.Errorf("for a %s: got %s, want 421.00 USD", goal, got)
			}
		}
	})
}

// A call in which nobody spoke to the caller has no handling that could be good or
// bad; that nobody did may become known after it was scored.
func TestHandledCountsCallsInWhichSomebodySpokeToTheCaller(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, call := range []struct {
			outcome string
			score   int64
		}{{"answered", 800_000}, {"voicemail", 100_000}, {"abandoned", 0}, {"no-answer", 600_000}} {
			id := "call_" + call.outcome
			w.ring(id, "+1312555010"+string(rune('0'+i)), "2025-03-05T10:00:00Z", call.outcome)
			w.exec(`INSERT INTO call_desks (account_id, call_id, version, score_ppm, scores, updated_at) VALUES (?, ?, 1, ?, 1, 0)`, acct, id, call.score)
		}
		w.exec(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, 'cb_1', 'call_no-answer', ?, ?, 'user_1')`,
			acct, store.Micros(when("2025-03-09T10:00:00Z")), true)
		w.exec(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, 'cb_2', 'call_voicemail', ?, ?, 'user_1')`,
			acct, store.Micros(when("2025-03-05T11:00:00Z")), false)
		m := w.momentum(report.MomentumQuery{AccountID: acct, From: "2025-03-01", Until: "2025-04-01"})
		if got := m.Periods[0].Counts.Scored; got != 2 {
			t.Errorf("scored calls: got %d, want the answered one and the one that was called back", got)
		}
	})
}
