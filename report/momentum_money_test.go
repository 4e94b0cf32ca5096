package report_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// A shop sells one thing for 100.00 USD a day, margin 40 %. On 20 February it
// sells one for 100.01 EUR, of which 30.00 EUR are given back.
func abroad(w *world) {
	w.now = when("2025-04-20T12:00:00Z") // all leads are old enough
	busy(w, steady)
	w.sell("sale_eur", "call_50_7", "+13125620050", "2025-02-20T17:00:00Z", 100_01, "EUR")
	w.exec(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, refund_of, recorded_at, recorded_by)
		VALUES (?, 'back', 'call_50_7', '+13125620050', -30000000, 'EUR', ?, 'sale_eur', 0, 'user_1')`, acct, store.Micros(when("2025-02-25T17:00:00Z")))
	w.exec(`UPDATE sales SET refunded_micros = 30000000 WHERE account_id = ? AND sale_id = 'sale_eur'`, acct)
}

var february = report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10"}

func behind(p report.MomentumPeriod, part string) report.Behind {
	i := slices.IndexFunc(p.Behind, func(b report.Behind) bool { return b.Part == part })
	return p.Behind[i]
}

func TestMomentumCountsAmountsOfOtherCurrenciesAtTheirRate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		abroad(w)
		w.rate("2025-02-19", "1.08") // stands for the 20th, too
		m := w.momentum(february)
		p := m.Periods[0]
		// 70.01 EUR are 75.61 USD and 30.00 EUR are 32.40: 28 times 100.00 and 108.01.
		if got := fmt.Sprint(p.Counts.Sold, " ", p.Counts.Refunded, " ", p.Counts.Unrated); got != "2908.01 USD 32.40 USD 0" {
			t.Errorf("sold and refunded: got %s, want 2908.01 and 32.40", got)
		}
		if want := 1 - 32.40/2908.01; p.Parts.Kept == nil || math.Abs(*p.Parts.Kept-want) > 1e-9 || !slices.Contains(p.PartsUsed, "kept") {
			t.Errorf("kept: got %s of %v, want %v", num(p.Parts.Kept), p.PartsUsed, want)
		}
		for _, l := range p.Levers {
			// 40 % of 2875.61 USD in 29 sales.
			each := 0.4 * 2875.61 / 29
			if want := float64(p.Counts.Opportunities) * *p.Parts.Reached * *p.Parts.Won * (l.Then/l.Now - 1) * each; l.Margin == nil || math.Abs(float64(l.Margin.Micros)/1e6-want) > 0.01 {
				t.Errorf("%s: margin %v, want %.2f", l.Part, l.Margin, want)
			}
		}
		roi := w.roi(report.Query{From: february.From, Until: february.Until})
		if told := fmt.Sprint(m.Rates, m.Missing); len(m.Rates) != 1 || told != fmt.Sprint(roi.Rates, roi.Missing) {
			t.Errorf("momentum tells %s, the ROI report %v %v", told, roi.Rates, roi.Missing)
		}
		if sum := p.Counts.Sold.Micros - p.Counts.Refunded.Micros; sum != roi.Totals.Revenue.Micros {
			t.Errorf("sold less refunded is %d, the revenue is %s", sum, roi.Totals.Revenue)
		}
		wantOnPage(t, m, "counted as 75.61 USD")
	})
}

func TestMomentumSaysWhichAmountsHaveNoRateAndMeasuresNothingOnThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		abroad(w)
		m := w.momentum(february)
		p := m.Periods[0]
		if len(m.Rates) != 0 || len(m.Missing) != 1 || m.Missing[0].Count != 1 || m.Missing[0].Amount.String() != "70.01 EUR" || m.Missing[0].Reason != "no exchange rate from EUR to USD" {
			t.Errorf("got rates %v, missing %+v; want 70.01 EUR missing", m.Rates, m.Missing)
		}
		if p.Counts.Sold != nil || p.Counts.Refunded != nil || p.Counts.Unrated != 1 || p.Counts.Sales != 29 {
			t.Errorf("sold %v, refunded %v, %d of %d without a rate; want the amounts not available", p.Counts.Sold, p.Counts.Refunded, p.Counts.Unrated, p.Counts.Sales)
		}
		b := behind(p, "kept")
		if p.Parts.Kept != nil || b.Value != nil || b.Numerator != nil || b.Denominator != nil || slices.Contains(p.PartsUsed, "kept") {
			t.Errorf("kept: got %s of %v, behind it %+v; want not available", num(p.Parts.Kept), p.PartsUsed, b)
		}
		if !slices.ContainsFunc(p.Missing, func(g report.Gap) bool {
			return g.Part == "kept" && g.Where == "period" && g.Needed == 29 && g.Seen == 28
		}) {
			t.Errorf("gaps: got %+v, want kept", p.Missing)
		}
		if p.Index == nil || len(p.Levers) == 0 {
			t.Fatalf("the other parts are measured: got index %s", num(p.Index))
		}
		for _, l := range p.Levers {
			if l.Margin != nil {
				t.Errorf("%s: margin %s without a rate", l.Part, l.Margin)
			}
		}
		wantOnPage(t, m, "70.01 EUR")

		// The rate comes later, and everything is there.
		w.rate("2025-02-20", "1.08")
		if later := w.momentum(february); len(later.Missing) != 0 || later.Periods[0].Parts.Kept == nil {
			t.Errorf("with a rate: missing %v, kept %s", later.Missing, num(later.Periods[0].Parts.Kept))
		}
	})
}

// wantOnPage looks for a text on the page, where it is told once, and in the
// notes of the table.
func wantOnPage(t *testing.T, m *report.MomentumReport, text string) {
	t.Helper()
	var page strings.Builder
	if err := m.Page(&page); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), text); n != 1 {
		t.Errorf("%q is %d times on the page:\n%s", text, n, page.String())
	}
	if !slices.ContainsFunc(m.Table().Notes, func(note string) bool { return strings.Contains(note, text) }) {
		t.Errorf("%q is not in the notes %q", text, m.Table().Notes)
	}
}

// What is frozen cannot be made good by a rate that comes later.
func TestNoBaselineIsFrozenByItselfWhileItsAmountsHaveNoRate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		w.sell("sale_eur", "call_20_7", "+13125620020", "2025-01-21T17:00:00Z", 100_00, "EUR")
		q := report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10"}
		m := w.momentum(q)
		if m.BaselineID != nil || len(m.Missing) != 1 {
			t.Errorf("got baseline %v, missing %v; want none frozen, and the amount of the baseline missing", m.BaselineID, m.Missing)
		}
		w.rate("2025-01-21", "1.10")
		m = w.momentum(q)
		if m.BaselineID == nil || len(m.Rates) != 1 || m.Rates[0].Converted != (callwheel.Money{Micros: 110_000_000, Currency: "USD"}) {
			t.Errorf("got baseline %v, rates %v; want it frozen with 110.00 USD", m.BaselineID, m.Rates)
		}
		// The frozen counts are told by the baseline; the answer tells what it counts itself.
		m, err := w.desk.Momentum(context.Background(), report.MomentumQuery{AccountID: acct, From: "2025-02-10", Until: "2025-03-10"})
		if err != nil || m.Baseline.Counts.Sold.String() != "4110.00 USD" || len(m.Rates) != 0 {
			t.Errorf("frozen: got %v and %v, %v; want 4110.00 USD and no rate", m.Baseline.Counts.Sold, m.Rates, err)
		}
	})
}
