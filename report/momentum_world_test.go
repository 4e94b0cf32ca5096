package report_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// busy fills the days from January to the middle of March: every day ten people
// call, of whom so many as missed says are not reached, and who wait 10 seconds,
// every third of them 80. Every fourth is a lead, every eighth buys.
func busy(w *world, missed func(day int) int) {
	w.source("src_ads", "Ads", "cpc")
	w.source("src_mail", "Mail", "print")
	begin := when("2025-01-01T15:00:00Z")
	for d := range 75 {
		for i := range 10 {
			id, caller := fmt.Sprintf("call_%02d_%d", d, i), fmt.Sprintf("+1312%03d%04d", 555+i, d)
			at := begin.AddDate(0, 0, d).Add(time.Duration(i) * 40 * time.Minute)
			outcome := "answered"
			if i < missed(d) {
				outcome = "abandoned"
			}
			w.ring(id, caller, at.Format(time.RFC3339), outcome)
			if i%2 == 0 {
				w.bySource(id, "src_ads", "Ads", "cpc")
			} else {
				w.bySource(id, "src_mail", "Mail", "print")
			}
			if i%4 == 3 && outcome == "answered" {
				w.dispose(id, "disp_lead", at.Add(time.Hour).Format(time.RFC3339))
			}
			if i == 7 {
				w.sell("sale_"+id, id, caller, at.Add(2*time.Hour).Format(time.RFC3339), 10_000, "USD")
			}
		}
	}
	w.exec(`UPDATE calls SET ring_seconds = 10, wait_seconds = 12, duration_seconds = 60 WHERE account_id = ?`, acct)
	w.exec(`UPDATE calls SET ring_seconds = 80 WHERE account_id = ? AND call_id LIKE '%_3'`, acct)
	w.exec(`INSERT INTO feedback (account_id, feedback_id, call_id, person, kind, value, given_at)
		SELECT account_id, 'fb_' || call_id, call_id, from_e164, 'nps', CASE WHEN call_id LIKE '%0_6' THEN 3 ELSE 9 END, started_at + 1000000 FROM calls
		WHERE account_id = ? AND call_id LIKE '%_6'`, acct)
}

func (w *world) momentum(q report.MomentumQuery) *report.MomentumReport {
	w.t.Helper()
	q.AccountID = acct
	m, err := w.desk.Momentum(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func steady(int) int { return 2 }

func TestEveryCountOfMomentumHasALinkThatListsExactlyItsCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		// One calls again after ten minutes and is reached; one was spam; one hung up.
		w.ring("again", "+13125550010", "2025-01-11T15:10:00Z", "answered")
		w.ring("spam", "+13125559999", "2025-02-11T14:00:00Z", "answered")
		w.dispose("spam", "disp_spam", "2025-02-11T15:00:00Z")
		w.ring("hangup", "+13125559998", "2025-02-11T14:00:00Z", "abandoned")
		w.exec(`UPDATE calls SET duration_seconds = 3 WHERE account_id = ? AND call_id = 'hangup'`, acct)
		// One tries before midnight and is reached after; one says in January what was
		// thought of a call of December.
		w.ring("before", "+13125559997", "2025-02-01T04:59:00Z", "abandoned")
		w.ring("after", "+13125559997", "2025-02-01T05:10:00Z", "answered")
		w.ring("december", "+13125559996", "2024-12-01T15:00:00Z", "answered")
		w.exec(`INSERT INTO feedback (account_id, feedback_id, call_id, person, kind, value, given_at) VALUES (?, 'fb_december', 'december', '+13125559996', 'nps', 9, ?)`,
			acct, store.Micros(when("2025-01-20T15:00:00Z")))
		m := w.momentum(report.MomentumQuery{From: "2025-01-05", Until: "2025-02-15", Baseline: "2025-01-05/2025-02-15"})
		p := m.Periods[0]
		counts := map[string]int64{}
		calls := report.NewCalls(db)
		for _, b := range p.Behind {
			if b.Formula == "" && b.Part != "handled" {
				t.Errorf("%s has no formula", b.Part)
			}
			for _, link := range b.Calls {
				counts[link.What] = link.Count
				u, err := url.Parse(link.URL)
				if err != nil || u.Path != "/v1/calls" {
					t.Fatalf("link %q: %v", link.URL, err)
				}
				q := report.CallQuery{
					Momentum: u.Query().Get("momentum"), From: when(u.Query().Get("from")), Until: when(u.Query().Get("until")), Now: w.now,
				}
				listed, last := map[string]bool{}, report.CallPlace{StartedAt: math.MaxInt64}
				if err := calls.Each(context.Background(), acct, q, func(r report.CallRow) error {
					if at := r.Place(); at.StartedAt > last.StartedAt || at.StartedAt == last.StartedAt && at.CallID >= last.CallID {
						t.Errorf("%s: %+v came after %+v", link.What, at, last)
					}
					last = r.Place()
					if listed[r.ID] {
						t.Errorf("%s: %s is listed twice", link.What, r.ID)
					}
					listed[r.ID] = true
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if n := int64(len(listed)); n != *link.Calls || n != link.Count {
					t.Errorf("%s: %d counted, %d calls, the link lists %d", link.What, link.Count, *link.Calls, n)
				}
				// A page at a time it is the same list.
				paged := 0
				for q.Limit = 7; ; {
					rows, err := calls.List(context.Background(), acct, q)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range rows[:min(len(rows), q.Limit)] {
						if paged++; !listed[r.ID] {
							t.Errorf("%s by pages: %s is not in the list", link.What, r.ID)
						}
					}
					if len(rows) <= q.Limit {
						break
					}
					q.After = rows[q.Limit-1].Place()
				}
				if paged != len(listed) {
					t.Errorf("%s by pages: got %d, want %d", link.What, paged, len(listed))
				}
			}
		}
		want := map[string]int64{"opportunities": 411, "reached": 330, "missed": 81, "timed": 328, "left_out": 2, "sales": 41, "answers": 42}
		for what, n := range want {
			if counts[what] != n {
				t.Errorf("%s: got %d, want %d", what, counts[what], n)
			}
		}
		if counts["reached"]+counts["missed"] != counts["opportunities"] {
			t.Errorf("reached %d and missed %d of %d", counts["reached"], counts["missed"], counts["opportunities"])
		}
		if _, err := calls.List(context.Background(), acct, report.CallQuery{Momentum: "missed", Limit: 1}); len(fieldNames(err)) != 1 {
			t.Errorf("without a period: got %v, want momentum to be refused", err)
		}
	})
}

func fieldNames(err error) []string {
	var names []string
	for _, f := range fieldsOfError(err) {
		names = append(names, f.Field)
	}
	return names
}

func TestTheFirstReportFreezesItsBaselineAndLaterFactsDoNotMoveIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		ctx := context.Background()
		first := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10"})
		if first.BaselineID == nil || *first.BaselineVersion != 1 {
			t.Fatalf("the first report: got baseline %v, want version 1", first.BaselineID)
		}
		// The account began on the first of January: of the 90 days before there are 40.
		if first.Baseline.From != "2025-01-01T05:00:00.000000Z" || first.Baseline.Until != "2025-02-10T05:00:00.000000Z" {
			t.Errorf("baseline from %s until %s, want January and ten days", first.Baseline.From, first.Baseline.Until)
		}
		// A late fact of January changes January, not what was frozen of it.
		for i := range 50 {
			w.ring(fmt.Sprintf("late_%d", i), fmt.Sprintf("+131255577%02d", i), "2025-01-15T18:00:00Z", "answered")
		}
		second := w.momentum(report.MomentumQuery{From: "2025-02-17", Until: "2025-03-10"})
		if second.BaselineID == nil || *second.BaselineID != *first.BaselineID || second.Baseline.Counts.Opportunities != 400 {
			t.Errorf("the second report: got baseline %v with %d attempts, want the first with 400", second.BaselineID, second.Baseline.Counts.Opportunities)
		}
		if b := second.Baseline.Behind; len(b) != 8 || len(b[0].Calls) != 1 || b[0].Calls[0].Count != 400 || b[0].Calls[0].Calls != nil {
			t.Errorf("frozen counts have no number of calls, which came later too: got %+v", b)
		}
		// A moved yardstick is a new baseline, and the old one still answers.
		y, err := w.desk.Yardsticks(ctx, acct)
		if err != nil {
			t.Fatal(err)
		}
		y.PromptTargetSeconds = 90
		b, err := w.desk.FreezeBaseline(ctx, report.BaselineRequest{AccountID: acct, From: "2025-01-01", Until: "2025-02-01", Yardsticks: y, Actor: "user_1"})
		if err != nil {
			t.Fatal(err)
		}
		if b.Version != 2 || b.Automatic || b.CreatedBy != "user_1" {
			t.Errorf("got %+v, want version 2 by user_1", b)
		}
		moved := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10"})
		if *moved.BaselineVersion != 2 || *moved.Periods[0].Parts.Prompt != 1 || moved.Yardsticks.PromptTargetSeconds != 90 {
			t.Errorf("moved: got version %d, prompt %v; want 2 and all goodwill", *moved.BaselineVersion, *moved.Periods[0].Parts.Prompt)
		}
		old := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: *first.BaselineID})
		if num(old.Periods[0].Index) != num(first.Periods[0].Index) || !strings.Contains(old.Periods[0].Behind[0].Calls[0].URL, "baseline="+*first.BaselineID) {
			t.Errorf("by the first baseline: got index %s, want %s", num(old.Periods[0].Index), num(first.Periods[0].Index))
		}
		list, err := w.desk.Baselines(ctx, acct, 0, 10)
		if err != nil || len(list) != 2 || list[0].Version != 2 || !list[1].Automatic {
			t.Errorf("list: got %+v, %v", list, err)
		}
		for _, bad := range []report.BaselineRequest{
			{From: "2025-01-01"}, {From: "2025-03-01", Until: "2025-04-01"}, {From: "2024-01-01", Until: "2024-02-01"},
		} {
			bad.AccountID, bad.Yardsticks = acct, y
			if _, err := w.desk.FreezeBaseline(ctx, bad); len(fieldNames(err)) == 0 {
				t.Errorf("%s to %s: got %v, want it refused by field", bad.From, bad.Until, err)
			}
		}
		y.PromptHalfSeconds = 0
		if _, err := w.desk.FreezeBaseline(ctx, report.BaselineRequest{AccountID: acct, From: "2025-01-01", Until: "2025-02-01", Yardsticks: y}); fmt.Sprint(fieldNames(err)) != "[yardsticks.prompt_half_seconds]" {
			t.Errorf("no half: got %v", err)
		}
	})
}

func TestWhatDraggedIsSeenByPartBySourceAndByDay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, func(d int) int { // from the tenth of February on more are missed
			if d < 40 {
				return 1 + d%3
			}
			return 6
		})
		m := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10", By: report.Source})
		p := m.Periods[0]
		if p.Index == nil || !p.Changed || *p.Index >= 100 {
			t.Fatalf("index %s, changed %v: want it to have fallen", num(p.Index), p.Changed)
		}
		var points, worst float64
		for _, s := range p.Segments {
			points += *s.Points
			worst = min(worst, s.Parts["reached"])
		}
		if len(p.Segments) != 2 || math.Abs(points-p.Change.Points) > 1e-8 || worst >= 0 {
			t.Errorf("segments %+v add up to %v, want %v", p.Segments, points, p.Change.Points)
		}
		// Its days add up to what the alert is about, by the definition of the statistic.
		for _, a := range m.Alerts {
			sum, n := 0.0, 0.0
			for _, d := range a.Days {
				spread := math.Sqrt(a.Baseline * (1 - a.Baseline))
				if a.Spread != nil {
					spread = *a.Spread
				}
				if d.Cases > 0 {
					sum = max(0, sum+(d.Lost-d.Cases*a.Baseline)/(math.Sqrt(d.Cases)*spread)/a.Sigma-0.5)
				}
				if n += d.Cases; math.Abs(sum-d.Statistic) > 1e-6 {
					t.Errorf("%s on %s: the statistic is %v, want %v", a.Part, d.On, d.Statistic, sum)
				}
				if a.Part == "reached" && (len(d.Calls) != 2 || float64(d.Calls[1].Count) != d.Lost) {
					t.Errorf("reached on %s: %v lost, the links have %+v", d.On, d.Lost, d.Calls)
				}
			}
			if last := a.Days[len(a.Days)-1]; last.On != a.On || last.Statistic <= 5 || a.Days[0].On != a.Since || n > a.Cases || math.Abs(a.Lost/a.Cases-a.Share) > 1e-9 {
				t.Errorf("alert %+v does not rise from its first day to its last", a)
			}
		}
		if len(m.Alerts) == 0 || m.Alerts[0].Part != "reached" || m.Alerts[0].Since != "2025-02-10" || m.Alerts[0].Until != nil {
			t.Errorf("alerts: got %+v, want reached since the tenth of February", m.Alerts)
		}
		if len(p.Levers) == 0 || p.Levers[0].Part != "reached" {
			t.Fatalf("levers: got %+v, want reached first", p.Levers)
		}
		for _, l := range p.Levers {
			if want := *p.Index * (l.Then/l.Now - 1); l.Points == nil || math.Abs(*l.Points-want) > 1e-6 {
				t.Errorf("%s %s: points %s, want %v", l.Part, l.What, num(l.Points), want)
			}
		}
		if p.Smoothed == nil || *p.Smoothed >= 100 {
			t.Errorf("smoothed index: got %s, want it to have fallen", num(p.Smoothed))
		}
		var page strings.Builder
		if err := m.Page(&page); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for line := range strings.Lines(page.String()) {
			if utf8.RuneCountInString(line) > 160 {
				t.Errorf("a line of %d characters: %s", utf8.RuneCountInString(line), line)
			}
			var part string
			var points float64
			if n, _ := fmt.Sscanf(line, "  %s %f", &part, &points); n == 2 && strings.Contains(line, "→") {
				sum += points
			}
		}
		if index := math.Round(*p.Index*10) / 10; math.Abs(100+sum-index) > 1e-6 {
			t.Errorf("printed causes add up to %v, the printed index is %v", sum, index)
		}
		for _, want := range []string{
			"where 100 is the baseline 2025-01-01 to 2025-02-09\n", "it has fallen", "what pushed\n", "what dragged\n  reached", "what to do first\n  1. answer half of what is missed",
			"reached: since 2025-02-10 more was lost", "by source\n",
		} {
			if !strings.Contains(page.String(), want) {
				t.Errorf("%q is missing from the page:\n%s", want, page.String())
			}
		}
		// The same range in pieces has the same pieces, whatever else is asked.
		weeks := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10", Period: report.ByWeek})
		one := w.momentum(report.MomentumQuery{From: "2025-02-17", Until: "2025-02-24", Baseline: "2025-01-01/2025-02-10"})
		if num(weeks.Periods[1].Index) != num(one.Periods[0].Index) || num(weeks.Periods[1].Smoothed) != num(one.Periods[0].Smoothed) {
			t.Errorf("a week alone: %s and %s smoothed, among others %s and %s", num(one.Periods[0].Index), num(one.Periods[0].Smoothed), num(weeks.Periods[1].Index), num(weeks.Periods[1].Smoothed))
		}
	})
}

func TestTheDaysAheadOfAPeriodThatRunsDoNotSlowIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		w.now = when("2025-02-20T17:00:00Z")
		m := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10", Period: report.ByWeek})
		first, runs, ahead := m.Periods[0], m.Periods[1], m.Periods[2]
		if first.Days != 7 || runs.Days != 3.5 || ahead.Days != 0 { // Monday to Thursday noon in New York
			t.Errorf("days: got %v, %v and %v, want 7, 3.5 and 0", first.Days, runs.Days, ahead.Days)
		}
		if want := float64(runs.Parts.Opportunities) / 3.5; runs.Speed == nil || math.Abs(*runs.Speed-want) > 1e-9 || ahead.Speed != nil || ahead.EnoughData {
			t.Errorf("speed: got %s and %s, want %v and none", num(runs.Speed), num(ahead.Speed), want)
		}
	})
}

func TestTheBaselineOfAnOldAccountIsTheSameWeeksAYearAgo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2026-02-20T12:00:00Z")
		busy(w, steady)
		m := w.momentum(report.MomentumQuery{From: "2026-02-02", Until: "2026-02-16"})
		if m.Baseline.From != "2025-02-03T05:00:00.000000Z" || m.Baseline.Until != "2025-02-17T05:00:00.000000Z" || m.BaselineVersion == nil {
			t.Errorf("baseline from %s until %s, want the Mondays a year ago", m.Baseline.From, m.Baseline.Until)
		}
		if p := m.Periods[0]; p.EnoughData || !strings.Contains(fmt.Sprint(p.Missing), "not enough data: 30 attempts needed, 0 seen") {
			t.Errorf("missing: got %v", p.Missing)
		}
	})
}

func fieldsOfError(err error) []callwheel.FieldError {
	var e *callwheel.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}
