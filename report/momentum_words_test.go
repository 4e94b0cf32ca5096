package report_test

import (
	"strings"
	"testing"

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
