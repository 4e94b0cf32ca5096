package report_test

import (
	"context"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// A file tells of a call and of what it sold. Told anew, the call moves to another
// day before its sale does: they are kept one after the other, and days may be
// counted in between. The day from which the sale moved must not keep it.
func TestASaleThatMovesToAnotherDayIsCountedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google", "cpc")
		w.ring("call_1", "+13125550001", "2025-03-02T15:00:00Z", "answered")
		w.bySource("call_1", "src_g", "Google", "cpc")
		value := usd(100_00)
		tell := func(at string) {
			t.Helper()
			told := scoring.ImportedDesk{CallID: "call_1", At: when(at), StartedAt: when(at), Value: &value}
			if _, _, err := w.judge().ImportDesks(context.Background(), account.Operator(acct), []scoring.ImportedDesk{told}); err != nil {
				t.Fatal(err)
			}
		}
		roll := func() {
			t.Helper()
			w.now = w.now.Add(time.Hour)
			if _, err := w.desk.RollUp(context.Background(), w.now); err != nil {
				t.Fatal(err)
			}
		}
		sold := func(how string) {
			t.Helper()
			q := report.Query{From: "2025-03-01", Until: "2025-03-08", Model: report.StoredWinner, GroupBy: []report.Dimension{report.Day}}
			if r := w.roi(q).Totals; r.Credit != 1 || amount(r.Revenue) != "100.00" {
				t.Errorf("%s: %v sales of %s, want one of 100.00", how, r.Credit, amount(r.Revenue))
			}
		}
		tell("2025-03-02T15:00:00Z")
		roll()
		roll()
		sold("as told first")
		w.exec(`UPDATE calls SET started_at = ?, updated_at = ? WHERE account_id = ? AND call_id = 'call_1'`, store.Micros(when("2025-03-04T15:00:00Z")), store.Micros(w.now), acct)
		roll()
		roll()
		sold("the call has moved")
		tell("2025-03-04T15:00:00Z")
		sold("the sale has moved, too")
		roll()
		sold("and was counted again")
		roll()
		sold("and once more")
		if again, err := w.desk.Recount(context.Background()); err != nil || len(again.Differ) > 0 {
			t.Errorf("counted again: %+v, %v", again, err)
		}
	})
}
