package report_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// What everybody bought and became is read in one go where there are many, and
// looked up person by person where there are few. Which of the two makes no
// difference to any figure, whatever the facts: sales and judgements of callers
// without a number, of visitors who are linked to one, of persons with imported
// outcomes; on both databases.
func TestEverybodyAtOnceIsWhoeverIsLookedUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for seed := range uint64(4) {
			w := newWorld(t, db)
			r := rand.New(rand.NewPCG(seed, 7))
			facts := drawTown(r)
			strange(facts, r)
			facts.into(w)
			q := report.MomentumQuery{From: "2025-02-01", Until: "2025-03-15", Baseline: "2024-12-20/2025-02-01", Period: report.ByMonth, By: report.Campaign}
			if seed%2 == 1 {
				y := report.DefaultYardsticks()
				y.WonStage = "qualified"
				w.exec(`INSERT INTO baselines (account_id, baseline_id, version, from_at, until_at, tz, yardsticks, counts, segments, charts, automatic, created_by, created_at)
					VALUES (?, 'base_1', 1, 0, 1, 'UTC', ?, '{}', '{}', '{}', ?, 'user_1', 0)`, acct, asJSON(t, y), false)
			}
			var few, many *report.MomentumReport
			report.LookingUpAtMost(1<<30, func() { few = w.momentum(q) })
			report.LookingUpAtMost(0, func() { many = w.momentum(q) })
			if got, want := asJSON(t, many), asJSON(t, few); got != want {
				t.Fatalf("seed %d, in one go: %s\nlooked up: %s", seed, got, want)
			}
			if c := few.Periods[0].Counts; c.Won == 0 || c.Leads == c.Won || c.Repeats == 0 || c.Referrals == 0 || len(few.Periods[0].Segments) < 3 {
				t.Errorf("seed %d: %+v: too little happened to tell anything", seed, c)
			}
			for _, table := range []string{"calls", "attributions", "person_links", "outcomes", "call_dispositions", "call_desks", "callbacks", "feedback", "enquiries", "sales", "referrals", "baselines", "dispositions", "accounts"} {
				w.exec(`DELETE FROM `+table+` WHERE account_id = ?`, acct)
			}
		}
	})
}

func asJSON(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// strange adds what makes it hard to tell whose something is.
func strange(w *bruteTown, r *rand.Rand) {
	add := func(query string, args ...any) { w.write = append(w.write, statement{query, args}) }
	at := func() int64 { return store.Micros(when("2024-12-20T05:00:00Z")) + r.Int64N(85*aDay) }
	someone := func() string { return fmt.Sprintf("+1312555%04d", r.IntN(260)) }
	for i := range 60 {
		visitor, id := fmt.Sprint("vis_", r.IntN(40)), fmt.Sprint("odd_", i)
		began := at()
		add(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, tracking_number, started_at, ring_seconds, updated_at) VALUES (?, ?, 'test', ?, 'answered', '+13125550100', ?, 5, 0)`,
			acct, id, id, began)
		if r.IntN(3) > 0 {
			add(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, visitor_confidence, source, campaign, visitor_id, model_version, attributed_at) VALUES (?, ?, 'winner', 'lease', ?, ?, 'Google', ?, ?, '2', 0)`,
				acct, id, []float64{0.5, 0.95}[r.IntN(2)], []float64{0, 0.8, 0.95}[r.IntN(3)], fmt.Sprint("C", r.IntN(3)), visitor)
		}
		if r.IntN(2) == 0 {
			add(`INSERT INTO person_links (account_id, alias, person, linked_at, call_id, known_at) VALUES (?, ?, ?, 0, '', 0) ON CONFLICT (account_id, alias) DO NOTHING`, acct, visitor, someone())
		}
		judged := []string{"disp_none", "disp_lead", "disp_qualified", "disp_won", "disp_spam"}[r.IntN(5)]
		if r.IntN(2) == 0 {
			add(`INSERT INTO call_dispositions (account_id, judgement_id, call_id, disposition_id, given_at, given_by) VALUES (?, ?, ?, ?, ?, 'user_1')`, acct, "judg_"+id, id, judged, began+aDay)
			add(`INSERT INTO call_desks (account_id, call_id, version, disposition_id, updated_at) VALUES (?, ?, 1, ?, 0)`, acct, id, judged)
		}
		if r.IntN(3) == 0 {
			add(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, refunded_micros, recorded_at, recorded_by) VALUES (?, ?, ?, ?, ?, 'USD', ?, 0, 0, 'user_1')`,
				acct, "sold_"+id, id, "call:"+id, (1+r.Int64N(90_000))*10_000, began+r.Int64N(20*aDay))
		}
		if r.IntN(5) == 0 {
			when := at()
			add(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, won_at, value_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, 50000000, 'USD', 0)`,
				acct, "out_"+id, []string{someone(), "crm_" + fmt.Sprint(r.IntN(9)), visitor}[r.IntN(3)], when, when+r.Int64N(20*aDay))
		}
	}
	add(`INSERT INTO person_links (account_id, alias, person, linked_at, call_id, known_at) VALUES (?, 'crm_7', ?, 0, '', 0)`, acct, someone())
}
