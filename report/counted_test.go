package report_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// crowd adds persons who walked a few paths over and over: alike but for when
// they became leads, which touch came from nowhere in particular, which lies
// before the range, and whether a source is known by a touch or by name alone.
func crowd(w *world) {
	r := rand.New(rand.NewPCG(13, 17))
	day := func(n int) string {
		return when("2025-01-05T12:00:00Z").AddDate(0, 0, n).Add(time.Duration(r.IntN(600)) * time.Minute).Format(time.RFC3339)
	}
	paths := [][]string{{"mail", "bing"}, {"mail", "direct", "bing"}, {"bing", "mail", "bing"}, {"mail", "bing", "direct"}}
	for i := range 60 {
		visitor, first := fmt.Sprintf("crowd_%02d", i), r.IntN(20)
		sources := paths[r.IntN(len(paths))]
		for k, source := range sources {
			w.touch(fmt.Sprintf("%s_%d", visitor, k), visitor, day(first+2*k), "", source, "cpc", "spring")
		}
		lead := store.Micros(when(day(first + r.IntN(2*len(sources)))))
		w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, qualified_at, won_at, value_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'USD', 0)`,
			acct, "out_"+visitor, visitor, lead, lead+r.Int64N(3*86_400_000_000), store.Micros(when(day(first+2*len(sources)))), r.Int64N(500)*1_000_000)
	}
	for i := range 12 {
		call, visitor := fmt.Sprintf("maybe_%02d", i), fmt.Sprintf("guess_%02d", i)
		w.touch(visitor+"_0", visitor, day(8), "", "mail", "email", "")
		w.ring(call, fmt.Sprintf("+131255520%02d", i), day(10), "answered")
		other := `{"visitor_id":"` + visitor + `","source":"mail","medium":"email","weight":0.5}`
		if i%2 == 0 {
			other = `{"visitor_id":"","source":"mail","medium":"email","visitors":2,"weight":0.5}`
		}
		w.doubtful(call, "ambiguous", 0.5, 0.5, visitor, "mail", `[`+other+`]`)
	}
}

// Conversions that took the same path are divided once. For every model,
// grouping, filter and reading that gives what dividing each by itself gives:
// credit to the last digits, money to the cent (of cents that are left over, one
// may go to another row).
func TestDividingPathsOnceIsDividingEachConversion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := town(t, db)
		w.spend("line 1", "google ads", "cpc", "Spring", "2025-01-01", "2025-04-01", 310_00)
		crowd(w)
		for i := 1; i < 60; i += 6 {
			w.sell(fmt.Sprintf("abroad_%02d", i), fmt.Sprintf("call_%02d", i), fmt.Sprintf("+131255510%02d", i), "2025-02-20T10:00:00Z", 50_00, "EUR")
		}
		rapid.Check(t, func(rt *rapid.T) {
			q := report.Query{AccountID: acct, From: "2025-01-10", Until: "2025-03-10"}
			q.Model, q.With = drawParams(rt, "model")
			q.CreditFor = rapid.SampledFrom([]report.Goal{report.ForCall, report.ForLead, report.ForQualified, report.ForSale}).Draw(rt, "goal")
			if q.Model != report.StoredWinner {
				q.Reading = rapid.SampledFrom([]report.Reading{report.Winner, report.Expected}).Draw(rt, "reading")
			}
			q.WindowDays = rapid.SampledFrom([]int{10, 90}).Draw(rt, "window")
			q.GroupBy = rapid.SliceOfNDistinct(rapid.SampledFrom(report.Dimensions), 0, 2, rapid.ID[report.Dimension]).Draw(rt, "groups")
			if rapid.Bool().Draw(rt, "filtered") {
				d := rapid.SampledFrom([]report.Dimension{report.Source, report.Campaign, report.Tag}).Draw(rt, "filter")
				q.Filters = map[report.Dimension]string{d: rapid.SampledFrom([]string{"mail", "spring", "vip", "(none)"}).Draw(rt, "name")}
			}
			ask := rapid.SampledFrom([]func(context.Context, report.Query) (*report.Attribution, error){w.desk.Attribution, w.desk.ROI}).Draw(rt, "report")
			counted, err := ask(context.Background(), q)
			if err != nil {
				rt.Fatal(err)
			}
			each, err := ask(context.Background(), q.OneByOne())
			if err != nil {
				rt.Fatal(err)
			}
			rows := map[string]report.Figures{"totals": each.Totals}
			for _, r := range each.Rows {
				rows[fmt.Sprint(names(each, r))] = r.Figures
			}
			if len(counted.Rows) != len(each.Rows) {
				rt.Fatalf("got %d rows, one by one %d", len(counted.Rows), len(each.Rows))
			}
			same := func(name string, got report.Figures) {
				want, ok := rows[name]
				if !ok {
					rt.Fatalf("row %s: one by one there is none", name)
				}
				if diff := unlike(got, want, name == "totals"); diff != "" {
					rt.Fatalf("%s of row %s: got %+v, one by one %+v", diff, name, got, want)
				}
			}
			for _, r := range counted.Rows {
				same(fmt.Sprint(names(counted, r)), r.Figures)
			}
			same("totals", counted.Totals)
			if !reflect.DeepEqual(counted.Missing, each.Missing) {
				rt.Fatalf("missing: got %+v, one by one %+v", counted.Missing, each.Missing)
			}
		})
	})
}

func names(a *report.Attribution, r report.Row) []string {
	var list []string
	for _, d := range a.GroupBy {
		list = append(list, r.Name(d))
	}
	return list
}

// unlike names the first figure by which the two differ. Money of totals must be
// the same, that of rows may differ by a cent.
func unlike(a, b report.Figures, total bool) string {
	cents := int64(1)
	if total {
		cents = 0
	}
	money := func(x, y *callwheel.Money) bool {
		if x == nil || y == nil {
			return x == y
		}
		return max(x.Micros-y.Micros, y.Micros-x.Micros) <= cents*10_000
	}
	near := func(x, y *float64, most float64) bool {
		if x == nil || y == nil {
			return x == y
		}
		return math.Abs(*x-*y) <= most*max(1, math.Abs(*x))
	}
	const credit = 1e-9 // rounded to 1e-10, by largest remainder
	switch {
	case a.Calls != b.Calls || a.Answered != b.Answered || a.Missed != b.Missed || a.FirstTime != b.FirstTime || a.Qualified != b.Qualified:
		return "calls"
	case !near(&a.Credit, &b.Credit, credit):
		return "credit"
	case !money(a.Revenue, b.Revenue):
		return "revenue"
	case !money(a.Spend, b.Spend):
		return "spend"
	case !near(a.ROI, b.ROI, 1e-3) || !near(a.ROIMargin, b.ROIMargin, 1e-3) || !near(a.ROAS, b.ROAS, 1e-3):
		return "roi"
	case (a.ROIInterval == nil) != (b.ROIInterval == nil):
		return "roi_interval"
	case a.ROIInterval != nil && math.Abs(a.ROIInterval[1]-*a.ROI-b.ROIInterval[1]+*b.ROI) > 1e-6*b.ROIInterval[1]:
		return "roi_interval"
	case len(a.Horizons) != len(b.Horizons) || len(a.Positions) != len(b.Positions):
		return "horizons or positions"
	}
	for i, h := range a.Horizons {
		if o := b.Horizons[i]; !near(&h.Credit, &o.Credit, credit) || !money(h.Revenue, o.Revenue) || h.Complete != o.Complete {
			return fmt.Sprint("horizon ", h.Days)
		}
	}
	for i := range a.Positions {
		if !near(&a.Positions[i], &b.Positions[i], credit) {
			return fmt.Sprint("position ", i+1)
		}
	}
	return ""
}
