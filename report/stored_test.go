package report_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestTheStoredWinnerOfACallEarnsWhatWasSoldOnIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2026-06-01T12:00:00Z")
		w.source("src_g", "Google", "cpc")
		w.source("src_b", "Bing", "cpc")
		w.ring("call_1", "+13125550001", "2025-03-02T15:00:00Z", "answered")
		w.byVisitor("call_1", "+13125550001", "vis_1", "tch_1", "src_g", "Google", "cpc", "Spring")
		w.touch("tch_1", "vis_1", "2025-03-02T14:00:00Z", "src_g", "Google", "cpc", "Spring")
		w.touch("tch_2", "vis_1", "2025-03-03T14:00:00Z", "src_b", "Bing", "cpc", "Summer") // before the sale, after the call
		w.ring("call_2", "", "2025-03-02T16:00:00Z", "answered")
		w.untracked("call_2")
		// Exactly 30 days after the call, and a microsecond more.
		w.sell("sale_1", "call_1", "+13125550001", "2025-04-01T15:00:00Z", 10_000, "USD")
		w.sell("sale_2", "call_1", "+13125550001", "2025-04-01T15:00:00.000001Z", 1_000, "USD")
		w.sell("sale_3", "call_2", "call:call_2", "2025-03-04T10:00:00Z", 500, "USD")
		w.sell("sale_4", "call_gone", "+13125550009", "2025-03-05T10:00:00Z", 70, "USD")
		w.refund("sale_5", "sale_1", "call_1", "+13125550001", "2025-05-01T10:00:00Z", 2_500)
		q := report.Query{From: "2025-03-01", Until: "2025-04-03", Model: report.StoredWinner, GroupBy: []report.Dimension{report.Campaign}}

		check := func(how string, a *report.Attribution) {
			t.Helper()
			for _, c := range []struct {
				row    string
				credit float64
				cents  int64
			}{{"Spring", 2, 8_500}, {report.UntrackedRow, 1, 500}, {report.NoneRow, 1, 70}} {
				r := row(t, a, c.row)
				if r.Credit != c.credit || r.Revenue.Micros != c.cents*10_000 {
					t.Errorf("%s: %s got %v credits and %s, want %v and %d cents", how, c.row, r.Credit, r.Revenue, c.credit, c.cents)
				}
			}
			h := row(t, a, "Spring").Horizons
			if h[0].Credit != 1 || h[0].Revenue.Micros != 75_000_000 || h[1].Credit != 2 || h[1].Revenue.Micros != 85_000_000 {
				t.Errorf("%s: within 30 and 90 days got %+v and %+v, want 1 sale of 75.00 and 2 of 85.00", how, h[0], h[1])
			}
			if len(a.Rows) != 3 || a.Model != report.StoredWinner {
				t.Errorf("%s: got %d rows by %s", how, len(a.Rows), a.Model)
			}
		}
		check("summed", w.roi(q))
		check("one by one", w.roi(q.OneByOne()))
		for range 2 {
			w.now = w.now.Add(time.Hour)
			for done := 1; done > 0; {
				var err error
				if done, err = w.desk.RollUp(context.Background(), w.now); err != nil {
					t.Fatal(err)
				}
			}
		}
		check("prepared", w.roi(q))

		// By the path the sales are Bing's, whose touch is the last before them.
		byPath := q
		byPath.Model = ""
		if r := row(t, w.roi(byPath), "Summer"); r.Credit != 1 {
			t.Errorf("by the path Summer got %v credits, want the first sale", r.Credit)
		}
		for _, goal := range []report.Goal{report.ForCall, report.ForLead, report.ForQualified} {
			q.CreditFor = goal
			if a := w.roi(q); goal == report.ForCall && (row(t, a, "Spring").Credit != 1 || row(t, a, report.UntrackedRow).Credit != 1) {
				t.Errorf("credit for calls: got %+v", a.Rows)
			}
		}
	})
}

func TestTheStoredWinnerHasNoWeightsAndNoParameters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		q := report.Query{AccountID: acct, Model: report.StoredWinner, Reading: report.Expected}
		if _, err := w.desk.ROI(context.Background(), q); callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("reading expected: got %v, want Invalid", err)
		}
		q = report.Query{AccountID: acct, Model: report.StoredWinner}
		q.With.Order = 2
		if _, err := w.desk.ROI(context.Background(), q); callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("order 2: got %v, want Invalid", err)
		}
		q = report.Query{AccountID: acct, Model: "linear", Compare: report.StoredWinner}
		a, err := w.desk.Attribution(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := json.Marshal(a); err != nil || len(text) == 0 {
			t.Errorf("compared: got %s, %v", text, err)
		}
	})
}
