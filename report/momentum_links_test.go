package report_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scripts/draws"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

const oddName = `Ads & Söhne + 5 %`

// inSegments gives the facts of a town sources, campaigns and agents, under names
// that a link has to carry to the letter, and ends the town at an instant.
func (w *bruteTown) inSegments(to *world, r *rand.Rand, now time.Time) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	campaign := func() string {
		return pick("", "Spring", "spring", " spring", "a=b&c;d/é?#", "(none)", "untracked", "100% +1")
	}
	var list []statement
	add := func(query string, args ...any) { list = append(list, statement{query, args}) }
	for i, name := range []string{"Kim", "Kim", "(none)", "Zoë O'Neil"} {
		id, phone := fmt.Sprint("agent_", i), fmt.Sprint("+1312555020", i)
		add(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, ?, ?, ?, 0)`, acct, id, name, phone)
		add(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, ?, ?, 0)`, acct, id, phone)
	}
	for _, c := range w.calls {
		if r.IntN(8) > 0 {
			verdict, confidence, source, sourceID := pick("winner", "source", "source", "ambiguous", "untracked"), 0.99, pick(strings.ToUpper(oddName), "mail", "(none)", "untracked", ""), ""
			if r.IntN(3) == 0 {
				source, sourceID = "a former name", "src_odd"
			}
			if r.IntN(8) == 0 {
				confidence = 0.5
			}
			add(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source_id, source, medium, campaign, model_version, attributed_at) VALUES (?, ?, ?, 'lease', ?, ?, ?, 'cpc', ?, 'v', 0)`,
				acct, c.id, verdict, confidence, sourceID, source, campaign())
		}
		if c.outcome == "answered" {
			add(`UPDATE calls SET answered_by = ? WHERE account_id = ? AND call_id = ?`, fmt.Sprint("+1312555020", r.IntN(6)), acct, c.id)
		}
		if r.IntN(3) == 0 {
			add(`UPDATE call_desks SET agent_id = ? WHERE account_id = ? AND call_id = ?`, fmt.Sprint("agent_", r.IntN(4)), acct, c.id)
		}
	}
	for i := range w.sales {
		if r.IntN(3) > 0 { // some are sold on the call of somebody else
			add(`UPDATE sales SET call_id = ? WHERE account_id = ? AND sale_id = ?`, w.calls[r.IntN(len(w.calls))].id, acct, fmt.Sprint("sale_", i))
		}
	}
	for i := range w.enquiries {
		add(`UPDATE enquiries SET source = ?, campaign = ? WHERE account_id = ? AND enquiry_id = ?`, pick("", oddName, "mail"), campaign(), acct, fmt.Sprint("enq_", i))
	}
	for i := range 60 { // bought and brought in without a call of their own
		of := w.calls[r.IntN(len(w.calls))]
		add(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, won_at, value_micros, refunded_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'USD', 0)`,
			acct, fmt.Sprint("out_", i), of.who(), of.at, of.at+r.Int64N(40*aDay), 5_000_000, r.Int64N(2)*1_000_000)
	}
	for _, fact := range []struct{ table, at string }{
		{"calls", "started_at"},
		{"sales", "sold_at"},
		{"feedback", "given_at"},
		{"enquiries", "at"},
		{"callbacks", "called_at"},
		{"call_dispositions", "given_at"},
		{"referrals", "referred_at"},
		{"outcomes", "won_at"},
	} {
		add(`DELETE FROM `+fact.table+` WHERE account_id = ? AND `+fact.at+` >= ?`, acct, store.Micros(now))
	}
	add(`UPDATE sales SET call_id = '' WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.account_id = sales.account_id AND c.call_id = sales.call_id)`, acct)
	w.into(to)
	to.now = now
	to.source("src_odd", oddName, "cpc")
	err := to.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, s := range list {
			if _, err := tx.Exec(ctx, s.query, s.args...); err != nil {
				return fmt.Errorf("%s: %w", s.query, err)
			}
		}
		return nil
	})
	if err != nil {
		to.t.Fatal(err)
	}
}

// countsIn finds every count with a link in an answer, whatever it stands in.
func countsIn(v reflect.Value) []report.CallsBehind {
	if one, ok := v.Interface().(report.CallsBehind); ok {
		return []report.CallsBehind{one}
	}
	var list []report.CallsBehind
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			list = countsIn(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			list = append(list, countsIn(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				list = append(list, countsIn(v.Field(i))...)
			}
		}
	}
	return list
}

// linkQuery is what a link asks for.
func linkQuery(t testing.TB, link string, now time.Time) report.CallQuery {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Path != "/v1/calls" {
		t.Fatalf("link %q: %v", link, err)
	}
	q := u.Query()
	return report.CallQuery{
		Momentum: q.Get("momentum"), From: when(q.Get("from")), Until: when(q.Get("until")), Baseline: q.Get("baseline"),
		By: report.Dimension(q.Get("by")), Segment: q.Get("segment"), Now: now,
	}
}

// segmentOf tells from the row alone in which segment a call is.
func segmentOf(by report.Dimension, r report.CallRow) string {
	name := r.Agent
	if by != report.AgentName {
		a := r.Attribution
		if a == nil || a.Verdict != "winner" && a.Verdict != "source" || a.Source == "" || a.Confidence < 0.7 {
			return "untracked"
		}
		name = a.Source
		if by == report.Campaign {
			name = a.Campaign
		} else if name == "a former name" || strings.EqualFold(name, oddName) {
			name = oddName
		}
	}
	if name == "" {
		return "(none)"
	}
	return name
}

// follow lists what a link lists: an export, and the list page by page beside it.
func follow(t testing.TB, db *store.DB, link string, now time.Time, page int) []string {
	t.Helper()
	q, calls := linkQuery(t, link, now), report.NewCalls(db)
	var ids []string
	if err := calls.Each(context.Background(), acct, q, func(r report.CallRow) error {
		ids = append(ids, r.ID)
		// A lead that was won is in the segment of the call that made it a lead.
		if q.By != "" && q.Momentum != "won" && segmentOf(q.By, r) != q.Segment {
			t.Errorf("%s lists a call of %q", link, segmentOf(q.By, r))
		}
		return nil
	}); err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	if page > 0 {
		var paged []string
		for q.Limit = page; ; {
			rows, err := calls.List(context.Background(), acct, q)
			if err != nil {
				t.Fatalf("%s: %v", link, err)
			}
			for _, r := range rows[:min(len(rows), page)] {
				paged = append(paged, r.ID)
			}
			if len(rows) <= page {
				break
			}
			q.After = rows[page-1].Place()
		}
		if !slices.Equal(paged, ids) {
			t.Errorf("%s by pages of %d: got %d calls, the export has %d", link, page, len(paged), len(ids))
		}
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("%s lists %s twice", link, id)
		}
		seen[id] = true
	}
	return ids
}

// Whatever is asked of a town of random facts, each count of the answer has a link
// that lists exactly its calls, each once, in an export and page by page.
func TestEveryLinkOfMomentumListsWhatItCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		r := rand.New(rand.NewPCG(5, 6))
		drawTown(r).inSegments(w, r, when("2025-03-08T17:00:00Z"))
		w.exec(`ANALYZE`) // hundreds of links are followed
		freeze := func(y report.Yardsticks) report.Baseline {
			b, err := w.desk.FreezeBaseline(context.Background(), report.BaselineRequest{AccountID: acct, From: "2024-12-20", Until: "2025-02-01", Yardsticks: y, Actor: "user_1"})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		brief := report.DefaultYardsticks()
		brief.ReturnDays = 30 // two such windows have been: it can be told who stayed
		turning, frozen := freeze(brief), freeze(report.DefaultYardsticks())
		// Every link of one question for each dimension.
		whats, now := map[string]int{}, map[string]report.CallsBehind{}
		for _, by := range []report.Dimension{report.Source, report.Campaign, report.AgentName} {
			counted := w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-15", Baseline: "2024-12-20/2025-02-01", By: by})
			p := counted.Periods[0]
			if p.Index == nil || len(p.Segments) < 3 || len(counted.Baseline.Segments) < 3 {
				t.Fatalf("by %s: %d segments, index %s: want several and an index", by, len(p.Segments), num(p.Index))
			}
			var sum int64
			for _, s := range p.Segments {
				sum += s.Opportunities
				for _, c := range s.Calls {
					if c.What == "opportunities" && c.Count != s.Opportunities {
						t.Errorf("%s: %d opportunities behind %d", s.Name, c.Count, s.Opportunities)
					}
				}
			}
			if sum != p.Counts.Opportunities {
				t.Errorf("by %s: segments have %d opportunities, the account %d", by, sum, p.Counts.Opportunities)
			}
			for _, c := range countsIn(reflect.ValueOf(counted)) {
				if _, seen := now[c.URL]; seen {
					continue
				}
				now[c.URL] = c
				whats[c.What]++
				if ids := follow(t, db, c.URL, w.now, 0); int64(len(ids)) != *c.Calls {
					t.Errorf("%s: %d counted by %d calls, the link lists %d", c.URL, c.Count, *c.Calls, len(ids))
				}
			}
			// A frozen baseline has its counts, and the same links.
			kept := w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-15", By: by})
			behind := countsIn(reflect.ValueOf(kept.Baseline))
			if len(behind) < 30 {
				t.Errorf("by %s: %d counts of the frozen baseline", by, len(behind))
			}
			for _, c := range behind {
				if same, ok := now[c.URL]; !ok || c.Calls != nil || c.Count != same.Count {
					t.Errorf("frozen %s: got %d, want %d as counted", c.URL, c.Count, same.Count)
				}
			}
		}
		stay := w.momentum(report.MomentumQuery{From: "2025-01-10", Until: "2025-03-15", Baseline: turning.ID}).Periods[0]
		if stay.Phases.Turn == nil {
			t.Fatalf("no turn: %+v, %+v", stay.Counts, stay.Missing)
		}
		for _, b := range stay.Behind {
			for _, c := range b.Calls {
				if b.Part != "stay" {
					continue
				}
				whats[c.What]++
				if ids := follow(t, db, c.URL, w.now, 0); int64(len(ids)) != *c.Calls || c.Count == 0 {
					t.Errorf("%s: %d counted by %d calls, the link lists %d", c.URL, c.Count, *c.Calls, len(ids))
				}
			}
			if b.Part == "stay" && (stay.Phases.Turn == nil || math.Abs(*b.Numerator / *b.Denominator - stay.Phases.Turn.Stay) > 1e-9) {
				t.Errorf("stay: %v of %v, and r is %+v", *b.Numerator, *b.Denominator, stay.Phases.Turn)
			}
		}
		for _, figure := range report.MomentumFigures {
			if whats[figure] == 0 {
				t.Errorf("nothing links to %s", figure)
			}
		}
		if t.Failed() {
			return
		}
		draws.Few(t, map[string]int{"sqlite": 25, "postgres": 5}[db.Dialect().Name()])
		rapid.Check(t, func(rt *rapid.T) {
			first := rapid.IntRange(0, 75).Draw(rt, "first day")
			last := first + rapid.IntRange(1, 60).Draw(rt, "days")
			date := func(n int) string { return when("2024-12-22T00:00:00Z").AddDate(0, 0, n).Format("2006-01-02") }
			q := report.MomentumQuery{
				From: date(first), Until: date(last),
				Period:   rapid.SampledFrom([]report.Unit{report.ByWeek, report.ByMonth, report.Whole}).Draw(rt, "period"),
				By:       rapid.SampledFrom([]report.Dimension{report.Source, report.Campaign, report.AgentName}).Draw(rt, "by"),
				Baseline: rapid.SampledFrom([]string{"", frozen.ID, "2024-12-20/2025-02-01", "2025-02-01/2025-03-01"}).Draw(rt, "baseline"),
			}
			list := countsIn(reflect.ValueOf(w.momentum(q)))
			for range 2 {
				c := rapid.SampledFrom(list).Draw(rt, "count")
				ids := follow(t, db, c.URL, w.now, rapid.IntRange(1, 60).Draw(rt, "page"))
				if c.Calls != nil && int64(len(ids)) != *c.Calls || int64(len(ids)) > c.Count {
					rt.Fatalf("%s: %d counted, the link lists %d", c.URL, c.Count, len(ids))
				}
			}
			if t.Failed() {
				rt.FailNow()
			}
		})
	})
}

// What was brought in without a call belongs to the person's last call before.
func TestABroughtInSaleIsBehindTheLastCallBefore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_ads", "Ads", "cpc")
		w.ring("first", "+13125550001", "2025-01-10T15:00:00Z", "answered")
		w.ring("last", "+13125550001", "2025-01-11T15:00:00Z", "answered")
		w.ring("after", "+13125550001", "2025-01-20T15:00:00Z", "answered")
		w.bySource("last", "src_ads", "Ads", "cpc")
		for i, won := range []string{"2025-01-12T15:00:00Z", "2025-01-13T15:00:00Z"} {
			w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, won_at, value_micros, currency, imported_at) VALUES (?, ?, '+13125550001', ?, 5000000, 'USD', 0)`,
				acct, fmt.Sprint("out_", i), store.Micros(when(won)))
		}
		m := w.momentum(report.MomentumQuery{From: "2025-01-01", Until: "2025-02-01", Baseline: "2024-01-01/2024-02-01", By: report.Source})
		for _, c := range countsIn(reflect.ValueOf(m.Periods[0])) {
			if want, ok := map[string]int64{"sales": 2, "customers": 1, "repeats": 1}[c.What]; ok {
				if ids := follow(t, db, c.URL, w.now, 0); c.Count != want || !slices.Equal(ids, []string{"last"}) {
					t.Errorf("%s: %d counted, %v listed, want %d and the last call before", c.URL, c.Count, ids, want)
				}
			}
		}
		q := report.CallQuery{Momentum: "sales", From: when("2025-01-01T05:00:00Z"), Until: when("2025-02-01T05:00:00Z"), By: report.Source, Segment: "Ads", Now: w.now, Limit: 5}
		if rows, err := report.NewCalls(db).List(context.Background(), acct, q); err != nil || len(rows) != 1 || rows[0].ID != "last" {
			t.Errorf("of Ads: got %d calls, %v, want the last call before", len(rows), err)
		}
	})
}

func TestASegmentIsAskedForWithAFigureThatHasSegments(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		newWorld(t, db)
		calls := report.NewCalls(db)
		for _, c := range []struct{ momentum, by, segment, bad string }{
			{"", "source", "mail", "momentum"},
			{"", "", "mail", "momentum"},
			{"missed", "", "mail", "by"},
			{"missed", "source", "", "segment"},
			{"missed", "medium", "cpc", "by"},
			{"repeats", "source", "mail", "momentum"},
			{"earned", "agent", "Kim", "momentum"},
			{"missed", "source", "(none)", ""},
			{"left_out", "campaign", "untracked", ""},
		} {
			q := report.CallQuery{Momentum: c.momentum, By: report.Dimension(c.by), Segment: c.segment, From: when("2025-01-01T00:00:00Z"), Until: when("2025-02-01T00:00:00Z"), Limit: 5}
			want := []string(nil)
			if c.bad != "" {
				want = []string{c.bad}
			}
			_, err := calls.List(context.Background(), acct, q)
			exported := calls.Each(context.Background(), acct, q, func(report.CallRow) error { return nil })
			if got := fieldNames(err); !slices.Equal(got, want) {
				t.Errorf("%+v: got %v, want %v refused", c, err, want)
			}
			if got := fieldNames(exported); !slices.Equal(got, want) {
				t.Errorf("%+v exported: got %v, want %v refused", c, exported, want)
			}
		}
	})
}
