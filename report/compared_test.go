package report_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// The ROI report looks further ahead for its horizons: that is nothing to the
// paths of the range that did not convert.
func TestAModelOfAllPathsIsTheSameBesideHorizons(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2025-06-20T12:00:00Z")
		for i := range 6 {
			who := fmt.Sprint("buyer_", i)
			w.touch("tch_"+who, who, "2025-03-02T12:00:00Z", "", []string{"a", "b"}[i%2], "", "")
			w.sell("sale_"+who, "", who, "2025-03-04T12:00:00Z", 10_00, "USD")
		}
		for i := range 4 { // who came in the range and once more after it, for nothing
			who := fmt.Sprint("guest_", i)
			w.touch("tch_a"+who, who, "2025-03-08T12:00:00Z", "", "a", "", "")
			w.touch("tch_b"+who, who, "2025-03-20T12:00:00Z", "", "b", "", "")
		}
		q := report.Query{From: "2025-03-01", Until: "2025-03-11", CreditFor: report.ForSale, Model: "markov", GroupBy: []report.Dimension{report.Source}}
		alone := w.attribution(q)
		q.Model, q.Compare = "linear", "markov"
		beside := w.roi(q)
		for _, name := range []string{"a", "b"} {
			if got, want := row(t, beside, name).Compare.Credit, row(t, alone, name).Credit; got != want {
				t.Errorf("%s: got %v beside horizons, want %v as alone", name, got, want)
			}
		}
	})
}

// folded are the names of a row whatever their case: it is written as the first
// touch of the row was, which may have no credit by one of the models.
func folded(a *report.Attribution, r report.Row) string {
	return strings.ToLower(fmt.Sprint(names(a, r)))
}

// Two models side by side are what each is alone, in both reports, row by row; a
// cent that several rows have an equal claim to goes to whichever comes first.
func TestEachOfTwoModelsIsWhatItIsAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := town(t, db)
		w.now = when("2025-06-20T12:00:00Z")
		rapid.Check(t, func(rt *rapid.T) {
			q := report.Query{AccountID: acct, From: "2025-02-01", Until: "2025-02-20"}
			q.Model, q.With = drawParams(rt, "model")
			q.Compare, q.CompareTo = drawParams(rt, "second model")
			q.CreditFor = rapid.SampledFrom([]report.Goal{report.ForCall, report.ForLead, report.ForQualified, report.ForSale}).Draw(rt, "goal")
			q.Reading = rapid.SampledFrom([]report.Reading{report.Winner, report.Expected}).Draw(rt, "reading")
			if q.Model == report.StoredWinner || q.Compare == report.StoredWinner {
				q.Reading = report.Winner
			}
			q.WindowDays = rapid.SampledFrom([]int{1, 10, 90}).Draw(rt, "window")
			q.GroupBy = rapid.SliceOfNDistinct(rapid.SampledFrom([]report.Dimension{report.Source, report.Campaign, report.Week, report.AgentName}), 1, 2, rapid.ID[report.Dimension]).Draw(rt, "groups")
			ask := w.desk.Attribution
			if rapid.Bool().Draw(rt, "roi") {
				ask = w.desk.ROI
			}
			both, err := ask(context.Background(), q)
			if err != nil {
				rt.Fatal(err)
			}
			q.Model, q.With, q.Compare, q.CompareTo = q.Compare, q.CompareTo, "", attribution.Params{}
			alone, err := ask(context.Background(), q)
			if err != nil {
				rt.Fatal(err)
			}
			want := map[string]report.Figures{}
			for _, r := range alone.Rows {
				want[folded(alone, r)] = r.Figures
			}
			for _, r := range both.Rows {
				credit, revenue := 0.0, int64(0)
				if f, ok := want[folded(both, r)]; ok {
					credit, revenue = f.Credit, f.Revenue.Micros
				}
				if math.Abs(r.Compare.Credit-credit) > 1e-9 || max(r.Compare.Revenue.Micros-revenue, revenue-r.Compare.Revenue.Micros) > 10_000 {
					rt.Fatalf("%s, %s: got %v and %s beside %s, want %v and %d as alone", both.Compare, folded(both, r), r.Compare.Credit, r.Compare.Revenue, both.Model, credit, revenue)
				}
			}
			if alone.Totals.Credit != both.Totals.Compare.Credit {
				rt.Fatalf("totals: got %v, want %v", both.Totals.Compare.Credit, alone.Totals.Credit)
			}
		})
	})
}

// A path that somebody took who called after the range led to a call, also where
// it is only likely that it was they.
func TestALikelyPathThatLedToALaterCallIsNoNull(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2025-06-20T12:00:00Z")
		for i, path := range []string{"ab", "b"} {
			caller, call := fmt.Sprint("+1312555000", i), fmt.Sprint("call_", i)
			for k, source := range path {
				w.touch(fmt.Sprint("tch_", i, k), caller, fmt.Sprintf("2025-03-0%dT12:00:00Z", 2+k), "", string(source), "", "")
			}
			w.ring(call, caller, "2025-03-05T12:00:00Z", "answered")
			w.byVisitor(call, "", "vis_"+call, "tch_"+call, "", "b", "", "")
		}
		w.touch("tch_v1", "vis_v", "2025-03-06T12:00:00Z", "", "a", "", "")
		w.touch("tch_v2", "vis_v", "2025-03-07T12:00:00Z", "", "b", "", "")
		w.ring("later", "+13125550009", "2025-03-20T12:00:00Z", "answered")
		w.doubtful("later", "winner", 0.95, 0.8, "vis_v", "b", `[{"visitor_id":"vis_v","source":"b","weight":0.8},{"visitor_id":"","source":"b","visitors":2,"weight":0.15}]`)
		q := report.Query{From: "2025-03-01", Until: "2025-03-11", CreditFor: report.ForCall, Model: "markov", GroupBy: []report.Dimension{report.Source}}
		// a>b and b: without a, half is lost, without b everything.
		if a := row(t, w.attribution(q), "a").Credit; math.Abs(a-2.0/3) > 1e-9 {
			t.Errorf("winner: a has %v, want 2/3", a)
		}
		// A fifth of a null over a>b, as the call was somebody else's with 0.2.
		q.Reading = report.Expected
		whole := w.attribution(q)
		if a := row(t, whole, "a").Credit; math.Abs(a/1.96-shareOfA(0.2)) > 1e-9 {
			t.Errorf("expected: a has %v, want %v", a, 1.96*shareOfA(0.2))
		}
	})
}

// shareOfA is what a has of one path a>b and one b that converted, and so many a>b
// that did not: b ends them all, so the removal of a loses the part that began there.
func shareOfA(nulls float64) float64 {
	a := (1 + nulls) / (2 + nulls)
	return a / (a + 1)
}
