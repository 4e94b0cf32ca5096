package report_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// judge is the desk at which the calls of the world are judged.
func (w *world) judge() *scoring.Desk {
	return scoring.NewDesk(w.db, func() time.Time { return w.now }, slog.New(slog.DiscardHandler), nil)
}

func (w *world) sells(call string, n scoring.NewSale) scoring.Sale {
	w.t.Helper()
	x, _, err := w.judge().Sell(context.Background(), scoring.Act{AccountID: acct, CallID: call, Actor: "user_1"}, n)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

func usd(cents int64) callwheel.Money {
	return callwheel.Money{Micros: cents * 10_000, Currency: "USD"}
}

// What a refund takes of its sale's margin is what was kept with it: a loss that
// is taken back is gone, nothing lost is nothing lost. Each source sells one thing
// for 100.00 and costs 100.00.
func TestARefundTakesTheMarginThatWasKeptWithIt(t *testing.T) {
	cases := []struct {
		name   string
		margin int64
		back   int64
		lost   *int64 // nil: not told
		left   int64  // of the margin
	}{
		{"half of a profit", 40_00, 50_00, nil, 20_00},
		{"half of a loss", -20_00, 50_00, nil, -10_00},
		{"all of a loss", -20_00, 100_00, nil, 0},
		{"goods came back as new", 40_00, 50_00, new(int64(0)), 40_00},
		{"goods were lost", 40_00, 50_00, new(int64(50_00)), -10_00},
		{"more saved than kept", 10_00, 50_00, new(int64(-5_00)), 15_00},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, c := range cases {
			call := fmt.Sprintf("call_%d", i)
			w.source("src_"+call, c.name, "cpc")
			w.ring(call, fmt.Sprintf("+1312555000%d", i), "2025-03-02T15:00:00Z", "answered")
			w.bySource(call, "src_"+call, c.name, "cpc")
			w.spend("line 1", c.name, "", "", "2025-03-02", "2025-03-03", 100_00)
			margin, at := usd(c.margin), when("2025-03-02T16:00:00Z")
			sale := w.sells(call, scoring.NewSale{Value: usd(100_00), Margin: &margin, SoldAt: &at})
			refund := scoring.NewSale{Value: usd(c.back), RefundOf: sale.ID}
			if c.lost != nil {
				lost := usd(*c.lost)
				refund.Margin = &lost
			}
			w.sells(call, refund)
		}
		q := report.Query{From: "2025-03-01", Until: "2025-03-08", Model: report.StoredWinner, GroupBy: []report.Dimension{report.Source}}
		check := func(how string, q report.Query) {
			t.Helper()
			a := w.roi(q)
			for _, c := range cases {
				if got, want := num(row(t, a, c.name).ROIMargin), fmt.Sprint(float64(c.left-100_00)/100_00); got != want {
					t.Errorf("%s: %s: roi with margin is %s, want %s: a margin of %s less the spend", how, c.name, got, want, usd(c.left))
				}
			}
		}
		check("summed", q)
		check("one by one", q.OneByOne())
		w.now = w.now.Add(time.Hour)
		if _, err := w.desk.RollUp(context.Background(), w.now); err != nil {
			t.Fatal(err)
		}
		check("prepared", q)
		q.Model = ""
		check("by the path", q)
	})
}
