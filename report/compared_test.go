package report_test

import (
	"fmt"
	"testing"

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
