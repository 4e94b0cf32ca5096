package report_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// Lumps and days of several sources and campaigns, in two currencies, some of
// them corrected later, over the weeks in which the clocks of New York change:
// what reports say was spent is what was handed in, to the cent, whichever way
// it is grouped and wherever the range is cut.
func TestSpendReconcilesWithWhatWasImported(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for day := when("2025-02-01T00:00:00Z"); day.Before(when("2025-05-01T00:00:00Z")); day = day.AddDate(0, 0, 5) {
			w.rate(day.Format("2006-01-02"), "1.1")
		}
		rapid.Check(t, func(rt *rapid.T) {
			w.exec(`DELETE FROM spend WHERE account_id = ?`, acct)
			booked := map[string]report.SpendItem{}
			rounds := rapid.IntRange(1, 3).Draw(rt, "rounds")
			for range rounds {
				batch := map[string]report.SpendItem{}
				for range rapid.IntRange(1, 12).Draw(rt, "items") {
					item := drawSpend(rt)
					batch[item.Key()] = item
				}
				var items []report.SpendItem
				for key, item := range batch {
					items = append(items, item)
					booked[key] = item
				}
				if _, err := w.desk.ImportSpend(context.Background(), acct, items); err != nil {
					rt.Fatal(err)
				}
			}
			want := map[string]int64{}
			for _, item := range booked {
				micros := item.Cost.Micros
				if item.Cost.Currency == "EUR" {
					micros = (micros*11/10 + 5_000) / 10_000 * 10_000
				}
				for _, key := range []string{"", "source " + item.Source, "campaign " + item.Source + " " + item.Campaign} {
					want[key] += micros
				}
			}
			total := want[""]
			cut := when("2025-02-10T05:00:00Z").AddDate(0, 0, rapid.IntRange(1, 60).Draw(rt, "cut")).Format("2006-01-02")
			var halves int64
			for _, q := range []report.Query{{From: "2025-02-01", Until: cut}, {From: cut, Until: "2025-05-01"}} {
				if spent := w.attribution(q).Totals.Spend; spent != nil {
					halves += spent.Micros
				}
			}
			if halves != total {
				rt.Errorf("cut at %s: got %d, want %d", cut, halves, total)
			}
			for name, groups := range map[string][]report.Dimension{
				"source": {report.Source}, "campaign": {report.Source, report.Campaign}, "month": {report.Month}, "day": {report.Day},
			} {
				a := w.attribution(report.Query{From: "2025-02-01", Until: "2025-05-01", GroupBy: groups})
				if a.Totals.Spend == nil || a.Totals.Spend.Micros != total {
					rt.Errorf("total by %s: got %v, want %d", name, a.Totals.Spend, total)
				}
				var sum int64
				for _, r := range a.Rows {
					if r.Spend == nil {
						continue
					}
					sum += r.Spend.Micros
					if key := fmt.Sprintf("%s %s", name, r.Name(report.Source)); name == "source" && want[key] != r.Spend.Micros {
						rt.Errorf("%s: got %v, want %d", key, r.Spend, want[key])
					}
					if key := fmt.Sprintf("%s %s %s", name, r.Name(report.Source), r.Name(report.Campaign)); name == "campaign" && want[key] != r.Spend.Micros {
						rt.Errorf("%s: got %v, want %d", key, r.Spend, want[key])
					}
				}
				if sum != total {
					rt.Errorf("rows by %s: add up to %d, want %d", name, sum, total)
				}
			}
		})
	})
}

// drawSpend draws a lump of a campaign that is paid by lumps, or a day of one
// that is paid by days: a day replaces a lump of the same campaign, it never
// adds to it.
func drawSpend(rt *rapid.T) report.SpendItem {
	from := when("2025-02-10T00:00:00Z").AddDate(0, 0, rapid.IntRange(0, 60).Draw(rt, "from"))
	days, campaign := 1, "daily"
	if rapid.Bool().Draw(rt, "lump") {
		days, campaign = rapid.IntRange(2, 15).Draw(rt, "days"), rapid.SampledFrom([]string{"spring", "brand"}).Draw(rt, "campaign")
	}
	currency := "USD"
	if rapid.IntRange(0, 3).Draw(rt, "currency") == 0 {
		currency = "EUR"
	}
	return report.SpendItem{
		Source: rapid.SampledFrom([]string{"mail", "radio", "search"}).Draw(rt, "source"), Campaign: campaign,
		From: from.Format("2006-01-02"), Until: from.AddDate(0, 0, days).Format("2006-01-02"),
		Cost: callwheel.Money{Micros: rapid.Int64Range(0, 5_000_00).Draw(rt, "cents") * 10_000, Currency: currency},
	}
}

func TestSpendOfTheLastTwoDaysIsProvisional(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db) // noon of the 20th in UTC, morning of the 20th in New York
		_, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
			Source: "mail", From: "2025-03-15", Until: "2025-03-25", Cost: callwheel.Money{Micros: 100_000_000, Currency: "USD"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-04-01", GroupBy: []report.Dimension{report.Day}})
		for _, r := range a.Rows {
			if want := r.Name(report.Day) >= "2025-03-19"; r.SpendProvisional != want {
				t.Errorf("%s: got %v, want %v", r.Name(report.Day), r.SpendProvisional, want)
			}
		}
		if !a.Totals.SpendProvisional || len(a.Rows) != 10 {
			t.Errorf("got %v of %d rows, want a provisional total of ten", a.Totals.SpendProvisional, len(a.Rows))
		}
		w.now = w.now.Add(10 * 24 * time.Hour)
		if a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-04-01"}); a.Totals.SpendProvisional {
			t.Error("ten days later the spend is still provisional")
		}
	})
}

// A day of 23 hours gets a full share of a lump, as every other day.
func TestADayOf23HoursGetsAFullShare(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		_, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
			Source: "mail", From: "2025-03-01", Until: "2025-04-01", Cost: callwheel.Money{Micros: 1_000_000_000, Currency: "USD"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-04-01", GroupBy: []report.Dimension{report.Day}})
		days := map[string]int{}
		for _, r := range a.Rows {
			days[r.Spend.Amount()]++
		}
		// 1,000.00 over 31 days: 25 of 32.26 and 6 of 32.25.
		if days["32.26"] != 25 || days["32.25"] != 6 || len(days) != 2 {
			t.Errorf("got %v", days)
		}
	})
}

func TestCostsOfLeadsAndSalesAreRatiosOfSums(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google Ads", "cpc")
		for i, person := range []string{"+13125550001", "+13125550002", "+13125550003"} {
			id := fmt.Sprint("call_", i)
			w.ring(id, person, "2025-03-03T10:00:00Z", "answered")
			w.bySource(id, "src_g", "Google Ads", "cpc")
			w.dispose(id, "disp_lead", "2025-03-03T11:00:00Z")
		}
		w.sell("sale_1", "call_0", "+13125550001", "2025-03-04T10:00:00Z", 500_00, "USD")
		cost := func(goal report.Goal) report.Figures {
			return w.roi(report.Query{From: "2025-03-01", Until: "2025-04-01", CreditFor: goal}).Totals
		}
		if got := cost(report.ForLead); got.CostPerLead != nil || got.CostPerSale != nil || got.ROI != nil {
			t.Errorf("without spend: got %v, %v, %v, want nothing", got.CostPerLead, got.CostPerSale, got.ROI)
		}
		_, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
			Source: "Google Ads", From: "2025-03-03", Until: "2025-03-04", Cost: callwheel.Money{Micros: 100_000_000, Currency: "USD"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		leads, sales := cost(report.ForLead), cost(report.ForSale)
		if leads.CostPerLead == nil || leads.CostPerLead.String() != "33.33 USD" || leads.CostPerSale != nil {
			t.Errorf("leads: got %v and %v, want 33.33 and nothing", leads.CostPerLead, leads.CostPerSale)
		}
		if sales.CostPerSale == nil || sales.CostPerSale.String() != "100.00 USD" || sales.CostPerLead != nil {
			t.Errorf("sales: got %v and %v, want 100.00 and nothing", sales.CostPerSale, sales.CostPerLead)
		}
		if r := leads.AnsweredRate; r == nil || *r != 1 || leads.AnsweredRateInterval == nil || !leads.Small || leads.Rank != nil {
			t.Errorf("rate: got %v, %v, small %v, rank %v", r, leads.AnsweredRateInterval, leads.Small, leads.Rank)
		}
		if r := leads.QualifiedRate; r == nil || *r != 1 {
			t.Errorf("qualified: got %v, want all three", r)
		}
		none := w.roi(report.Query{From: "2025-04-01", Until: "2025-05-01"}).Totals
		if none.AnsweredRate != nil || none.AnsweredRateInterval != nil || none.QualifiedRate != nil || none.CostPerSale != nil {
			t.Errorf("of nothing: got %+v", none)
		}
	})
}

// A source that cost nothing has a spend of nothing; what a call or a sale of it
// cost is not available.
func TestWhatCostNothingHasNoCosts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google Ads", "cpc")
		w.ring("call_1", "+13125550001", "2025-03-03T10:00:00Z", "answered")
		w.bySource("call_1", "src_g", "Google Ads", "cpc")
		w.dispose("call_1", "disp_won", "2025-03-03T11:00:00Z")
		w.sell("sale_1", "call_1", "+13125550001", "2025-03-04T10:00:00Z", 500_00, "USD")
		w.spend("line 1", "Google Ads", "", "", "2025-03-01", "2025-04-01", 0)
		for _, goal := range []report.Goal{report.ForLead, report.ForSale} {
			got := w.roi(report.Query{From: "2025-03-01", Until: "2025-04-01", CreditFor: goal}).Totals
			if amount(got.Spend) != "0.00" {
				t.Errorf("%s: spend %s, want 0.00", goal, amount(got.Spend))
			}
			for name, cost := range map[string]*callwheel.Money{
				"cost_per_call": got.CostPerCall, "cost_per_qualified": got.CostPerQualified, "cost_per_lead": got.CostPerLead, "cost_per_sale": got.CostPerSale,
			} {
				if cost != nil {
					t.Errorf("%s: %s is %s, want it not available", goal, name, cost)
				}
			}
			if got.ROI != nil || got.ROIMargin != nil || got.ROAS != nil {
				t.Errorf("%s: roi %s, with margin %s, roas %s, want them not available", goal, num(got.ROI), num(got.ROIMargin), num(got.ROAS))
			}
		}
	})
}

func TestRowsWithFewCallsAreNotRanked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for name, n := range map[string]int{"Few": 29, "Many": 30, "Most": 31} {
			w.source("src_"+name, name, "")
			for i := range n {
				id := fmt.Sprint(name, i)
				w.ring(id, "", "2025-03-03T10:00:00Z", "answered")
				w.bySource(id, "src_"+name, name, "")
			}
		}
		a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-04-01", GroupBy: []report.Dimension{report.Source}})
		got := ""
		for _, r := range a.Rows {
			rank := 0
			if r.Rank != nil {
				rank = *r.Rank
			}
			got += fmt.Sprint(r.Name(report.Source), " ", r.Small, " ", rank, "; ")
		}
		if want := "Most false 1; Many false 2; Few true 0; "; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
