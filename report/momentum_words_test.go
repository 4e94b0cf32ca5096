package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestThePageSaysEachShortageOnceWithAllItsParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		m := w.momentum(report.MomentumQuery{From: "2025-03-01", Until: "2025-03-11"})
		var page strings.Builder
		if err := m.Page(&page); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"without speed and reached: not enough data: 30 attempts needed, 0 seen in the baseline, 4 seen in the period\n",
			"without weight: not enough data: 900 customer-days needed,",
		} {
			if !strings.Contains(page.String(), want) {
				t.Errorf("the page does not say %q:\n%s", want, page.String())
			}
		}
		seen := map[string]bool{}
		for line := range strings.Lines(page.String()) {
			if line = strings.TrimSpace(line); strings.Contains(line, "needed") && seen[line] {
				t.Errorf("twice: %s", line)
			}
			seen[line] = true
		}
		if got := strings.Count(page.String(), "30 attempts needed"); got != 1 {
			t.Errorf("attempts that are missing are said %d times", got)
		}
		// Of several periods, how many have no index.
		m = w.momentum(report.MomentumQuery{From: "2025-03-01", Until: "2025-03-11", Period: report.ByWeek})
		page.Reset()
		if err := m.Page(&page); err != nil || !strings.Contains(page.String(), "no index, for want of data: 3 of 3 periods\n") {
			t.Errorf("several periods: %v\n%s", err, page.String())
		}
	})
}

// An outcome that was brought in without a call belongs to no source: it is in
// the account's figures, and makes no segment of nothing.
func TestASegmentWithoutAttemptsIsNone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		for i, at := range []string{"2025-01-20T12:00:00Z", "2025-02-20T12:00:00Z"} {
			w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, won_at, value_micros, currency, imported_at) VALUES (?, ?, 'p', ?, 5000000, 'USD', 0)`,
				acct, []string{"out_1", "out_2"}[i], store.Micros(when(at)))
		}
		for _, by := range []report.Dimension{report.Source, report.Campaign} {
			q := february
			q.By = by
			m := w.momentum(q)
			if len(m.Periods[0].Segments) == 0 {
				t.Fatalf("by %s: no segments", by)
			}
			for _, s := range m.Periods[0].Segments {
				if s.Opportunities == 0 {
					t.Errorf("by %s: %+v", by, s)
				}
			}
		}
	})
}

// What was sold stands with the call that it was sold on, whether it was booked
// here or brought in: in the account's figures, those of each source and each
// agent, and in the lists of calls behind them.
func TestAnOutcomeStandsWhereItsCallDoes(t *testing.T) {
	for name, id := range map[string]string{"as its file says": "call_id", "with the last call": "''"} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				w := newWorld(t, db)
				busy(w, steady)
				w.exec(`INSERT INTO agents (account_id, agent_id, name, created_at) VALUES (?, 'agent_1', 'Ann', 0)`, acct)
				for d := range 75 {
					call, caller := fmt.Sprintf("call_%02d_4", d), fmt.Sprintf("+1312%03d%04d", 559, d)
					at := when("2025-01-01T17:40:00Z").AddDate(0, 0, d)
					w.sell("more_"+call, call, caller, at.Add(time.Hour).Format(time.RFC3339), 20_000, "USD")
					if d > 40 {
						w.refund("back_"+call, "more_"+call, call, caller, at.AddDate(0, 0, 1).Format(time.RFC3339), 9_000)
					}
					if id != "''" { // somebody else's number told them of it meanwhile, and it was noted before they called
						w.ring("again_"+call, caller, at.Add(40*time.Minute).Format(time.RFC3339), "answered")
						w.bySource("again_"+call, "src_mail", "Mail", "print")
						w.sell("early_"+call, call, caller, at.AddDate(0, 0, -10).Format(time.RFC3339), 500, "USD")
					}
				}
				w.exec(`INSERT INTO call_desks (account_id, call_id, version, agent_id, updated_at) SELECT account_id, call_id, 1, 'agent_1', 0 FROM calls WHERE account_id = ? AND call_id LIKE 'call_%_4'
					ON CONFLICT DO NOTHING`, acct)
				ask := func() string {
					agents, err := w.desk.Agents(context.Background(), report.Query{AccountID: acct, From: "2025-02-10", Until: "2025-03-10"})
					if err != nil {
						t.Fatal(err)
					}
					m := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10", By: report.Source})
					if len(m.Periods[0].Segments) != 2 || m.Periods[0].Segments[1].Parts["kept"] == 0 || agents.Rows[0].Sales == 0 {
						t.Fatalf("too small to compare: %+v", m.Periods[0].Segments)
					}
					text, err := json.MarshalIndent([]any{m, agents}, "", " ")
					if err != nil {
						t.Fatal(err)
					}
					return string(text)
				}
				lived := ask()
				w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, call_id, won_at, value_micros, refunded_micros, currency, imported_at)
					SELECT account_id, sale_id, person, `+id+`, sold_at, value_micros, refunded_micros, currency, 0 FROM sales WHERE account_id = ? AND refund_of = ''`, acct)
				w.exec(`DELETE FROM sales WHERE account_id = ?`, acct)
				if brought := ask(); brought != lived {
					a, b := strings.Split(lived, "\n"), strings.Split(brought, "\n")
					for i := range a {
						if i < len(b) && a[i] != b[i] {
							t.Fatalf("line %d of the answers: booked %s, brought in %s", i, a[i], b[i])
						}
					}
					t.Errorf("one answer is longer: %d and %d lines", len(a), len(b))
				}
			})
		})
	}
}
