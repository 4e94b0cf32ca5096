package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// rate says what one euro is worth on a day.
func (w *world) rate(day, rate string) report.RatesTaken {
	w.t.Helper()
	done, err := w.desk.PutRates(context.Background(), acct, []report.RateItem{{Currency: "EUR", Day: day, Rate: rate}})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func TestAmountsAreConvertedAtTheRateOfTheirDay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google Ads", "cpc")
		w.ring("call_1", "+13125550001", "2025-03-03T10:00:00Z", "answered")
		w.bySource("call_1", "src_g", "Google Ads", "cpc")
		// Friday the 7th at 1.08, Monday the 10th at 1.09.
		w.rate("2025-03-07", "1.08")
		w.rate("2025-03-10", "1.0900")
		w.sell("sale_sat", "call_1", "+13125550001", "2025-03-08T12:00:00Z", 100_01, "EUR") // Saturday: Friday's, 108.0108
		w.sell("sale_mon", "call_1", "+13125550001", "2025-03-10T12:00:00Z", 50_00, "EUR")  // 54.50
		w.sell("sale_usd", "call_1", "+13125550001", "2025-03-10T12:00:00Z", 10_00, "USD")
		w.exec(`UPDATE sales SET margin_micros = 20000000 WHERE account_id = ? AND sale_id = 'sale_mon'`, acct) // 20.00 EUR: 21.80
		_, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
			Source: "Google Ads", From: "2025-03-08", Until: "2025-03-11", Cost: callwheel.Money{Micros: 30_000_000, Currency: "EUR"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		// 10.00 EUR a day: 10.80, 10.80 and 10.90, together 32.50.
		roi := w.roi(report.Query{From: "2025-03-01", Until: "2025-04-01", GroupBy: []report.Dimension{report.Source}})
		total := roi.Totals
		if got := fmt.Sprint(*total.Revenue, "; ", *total.Spend); got != "172.51 USD; 32.50 USD" {
			t.Errorf("got %s, want 108.01 + 54.50 + 10.00 = 172.51 USD and 32.50 USD", got)
		}
		// Margins: 40 % of 108.01 and of 10.00, and 21.80 as booked: 43.204 + 4.00 + 21.80.
		if want := (43.204 + 4 + 21.8 - 32.5) / 32.5; total.ROIMargin == nil || *total.ROIMargin-want > 1e-9 || want-*total.ROIMargin > 1e-9 {
			t.Errorf("roi_margin: got %v, want %v", total.ROIMargin, want)
		}
		var used []string
		for _, r := range roi.Rates {
			used = append(used, fmt.Sprint(r.Currency, " ", r.Day, " ", r.Rate, " ", r.Count, " ", r.Amount, " ", r.Converted))
		}
		want := "EUR 2025-03-07 1.08 3 120.01 EUR 129.61 USD, EUR 2025-03-10 1.09 2 60.00 EUR 65.40 USD"
		if got := strings.Join(used, ", "); got != want || len(roi.Missing) != 0 {
			t.Errorf("rates: got %s, missing %v; want %s", got, roi.Missing, want)
		}
		agents, err := w.desk.Agents(context.Background(), report.Query{AccountID: acct, From: "2025-03-01", Until: "2025-04-01"})
		if err != nil || len(agents.Missing) != 0 {
			t.Errorf("agents: got %v, %v", agents, err)
		}

		// A rate that is corrected corrects the report; nothing else is touched.
		if done := w.rate("2025-03-10", "1.10"); done.Corrected != 1 {
			t.Errorf("got %+v, want one corrected", done)
		}
		if done := w.rate("2025-03-10", "1.1"); done.Unchanged != 1 {
			t.Errorf("the same rate again: got %+v, want unchanged", done)
		}
		if got := w.roi(report.Query{From: "2025-03-01", Until: "2025-04-01"}).Totals.Revenue.String(); got != "173.01 USD" {
			t.Errorf("after a correction: got %s, want 108.01 + 55.00 + 10.00", got)
		}
	})
}

func TestARateThatIsMissingMakesTheFigureUnavailable(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google Ads", "cpc")
		w.ring("call_1", "+13125550001", "2025-03-03T10:00:00Z", "answered")
		w.bySource("call_1", "src_g", "Google Ads", "cpc")
		w.rate("2025-03-01", "1.08") // counts until the 8th
		w.sell("sale_1", "call_1", "+13125550001", "2025-03-08T17:00:00Z", 100_00, "EUR")
		if got := w.roi(report.Query{From: "2025-03-01", Until: "2025-04-01"}).Totals.Revenue; got == nil || got.String() != "108.00 USD" {
			t.Errorf("seven days after: got %v, want 108.00", got)
		}
		w.sell("sale_2", "call_1", "+13125550001", "2025-03-09T17:00:00Z", 100_00, "EUR")
		a := w.roi(report.Query{From: "2025-03-01", Until: "2025-04-01"})
		if a.Totals.Revenue != nil || len(a.Missing) != 1 || a.Missing[0].Amount.String() != "100.00 EUR" {
			t.Errorf("eight days after: got %v, missing %v; want not available and 100.00 EUR missing", a.Totals.Revenue, a.Missing)
		}
		_, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
			Source: "Google Ads", From: "2025-03-07", Until: "2025-03-11", Cost: callwheel.Money{Micros: 40_000_000, Currency: "EUR"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		days := w.roi(report.Query{From: "2025-03-07", Until: "2025-03-11", GroupBy: []report.Dimension{report.Day}})
		for _, r := range days.Rows {
			available := r.Name(report.Day) <= "2025-03-08"
			if (r.Spend != nil) != available {
				t.Errorf("%s: spend %v", r.Name(report.Day), r.Spend)
			}
		}
		if days.Totals.Spend != nil {
			t.Errorf("total: got %v, want not available", days.Totals.Spend)
		}
	})
}

func TestRatesAreRefusedByField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for name, c := range map[string]struct {
			item report.RateItem
			want string
		}{
			"the account's own": {report.RateItem{Currency: "USD", Day: "2025-03-01", Rate: "1"}, "currency"},
			"no currency":       {report.RateItem{Currency: "EURO", Day: "2025-03-01", Rate: "1"}, "currency"},
			"another target":    {report.RateItem{Currency: "EUR", To: "GBP", Day: "2025-03-01", Rate: "1"}, "to"},
			"no date":           {report.RateItem{Currency: "EUR", Day: "2025-02-30", Rate: "1"}, "day"},
			"zero":              {report.RateItem{Currency: "EUR", Day: "2025-03-01", Rate: "0.00"}, "rate"},
			"negative":          {report.RateItem{Currency: "EUR", Day: "2025-03-01", Rate: "-1"}, "rate"},
			"an exponent":       {report.RateItem{Currency: "EUR", Day: "2025-03-01", Rate: "1e3"}, "rate"},
			"no number":         {report.RateItem{Currency: "EUR", Day: "2025-03-01", Rate: "NaN"}, "rate"},
		} {
			_, err := w.desk.PutRates(context.Background(), acct, []report.RateItem{{Currency: "EUR", Day: "2025-03-02", Rate: "1"}, c.item})
			if callwheel.KindOf(err) != callwheel.Invalid || !strings.Contains(err.Error(), c.want+":") {
				t.Errorf("%s: got %v, want %s refused", name, err, c.want)
			}
		}
		twice := []report.RateItem{{At: "line 2", Currency: "EUR", Day: "2025-03-02", Rate: "1"}, {At: "line 3", Currency: "EUR", Day: "2025-03-02", Rate: "2"}}
		if _, err := w.desk.PutRates(context.Background(), acct, twice); err == nil || !strings.Contains(err.Error(), "line 3.day") {
			t.Errorf("one day twice: got %v", err)
		}
		list, err := w.desk.ListRates(context.Background(), acct, report.RatePage{Limit: 10})
		if err != nil || len(list) != 0 {
			t.Errorf("nothing may be taken: got %v, %v", list, err)
		}
	})
}
