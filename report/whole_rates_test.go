package report_test

import (
	"fmt"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// Two sales of 100.00 EUR: of one day the rate is known, of the other it is not.
func TestModelsOfAllPathsConvertAndMissWhatOthersDo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, source := range []string{"a", "b"} {
			person := fmt.Sprint("p", i)
			w.touch("t"+source, person, "2025-03-02T10:00:00Z", "", source, "", "")
			w.sell("s"+source, "", person, fmt.Sprintf("2025-03-0%dT15:00:00Z", 4-i), 100_00, "EUR")
		}
		w.rate("2025-03-04", "1.10")
		told := map[string]string{}
		for _, model := range []string{"linear", "markov"} {
			a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-03-11", GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: model})
			told[model] = fmt.Sprintf("%d %+v; %+v; %v %v", len(a.Rates), a.Rates, a.Missing, a.Totals.Credit, a.Totals.Revenue)
			if len(a.Rates) != 1 || a.Rates[0].Count != 1 || len(a.Missing) != 1 || a.Missing[0].Count != 1 || a.Totals.Revenue != nil {
				t.Errorf("%s tells %s, want one amount converted and one missing", model, told[model])
			}
		}
		if told["linear"] != told["markov"] {
			t.Errorf("linear tells %s\nmarkov tells %s", told["linear"], told["markov"])
		}
	})
}
