package report_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// milestoneTouches gives a person three touches of sources of their own.
func (w *world) milestoneTouches(person, caller string, days ...string) {
	for i, at := range days {
		w.touch(fmt.Sprintf("tch_%s_%d", person, i), caller, at, "", fmt.Sprint(person, i), "m", "")
	}
}

func (w *world) milestoneCredits(model, from, until string) map[string]float64 {
	got := map[string]float64{}
	for _, r := range w.attribution(report.Query{From: from, Until: until, CreditFor: report.ForSale, Model: model, GroupBy: []report.Dimension{report.Source}}).Rows {
		got[r.Name(report.Source)] = r.Credit
	}
	return got
}

func sameCredits(t *testing.T, what string, got, want map[string]float64) {
	t.Helper()
	for name, credit := range want {
		if math.Abs(got[name]-credit) > 1e-9 {
			t.Errorf("%s, %s: got %v, want %v", what, name, got[name], credit)
		}
	}
}

// The purchase says that the person had won, not that they had been qualified:
// worked conversion c04, whose two touches are told apart here.
func TestAMilestoneThatIsMissingIsDropped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, who := range []string{"brought", "lived"} {
			caller := fmt.Sprint("+1312555000", i)
			w.milestoneTouches(who, caller, "2025-03-02T12:00:00Z", "2025-03-03T12:00:00Z")
			if who == "brought" {
				w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, won_at, value_micros, currency, imported_at) VALUES (?, 'out', ?, ?, ?, 50000000, 'USD', 0)`,
					acct, caller, store.Micros(when("2025-03-02T12:05:00Z")), store.Micros(when("2025-03-04T12:00:00Z")))
				continue
			}
			w.ring("call", caller, "2025-03-02T12:01:00Z", "answered")
			w.untracked("call")
			w.dispose("call", "disp_lead", "2025-03-02T12:05:00Z")
			w.sell("sale", "call", caller, "2025-03-04T12:00:00Z", 50_00, "USD")
		}
		sameCredits(t, "w_shaped", w.milestoneCredits("w_shaped", "2025-03-01", "2025-03-11"),
			map[string]float64{"brought0": 6.0 / 7, "brought1": 1.0 / 7, "lived0": 6.0 / 7, "lived1": 1.0 / 7})
		sameCredits(t, "full_path", w.milestoneCredits("full_path", "2025-03-01", "2025-03-11"),
			map[string]float64{"brought0": 2.0 / 3, "brought1": 1.0 / 3, "lived0": 2.0 / 3, "lived1": 1.0 / 3})
	})
}

// What is said of the call of a purchase minutes after it is no moment of the
// next purchase.
func TestAJudgementGivenAfterThePurchaseIsNoMomentOfTheNextOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, given := range []string{"2025-01-10T15:04:00Z", "2025-01-10T15:09:00Z"} {
			who, caller, call := []string{"before", "after"}[i], fmt.Sprint("+1312555000", i), fmt.Sprint("call_", i)
			w.ring(call, caller, "2025-01-10T15:00:00Z", "answered")
			w.untracked(call)
			w.sell("sale_"+who, call, caller, "2025-01-10T15:05:00Z", 50_00, "USD")
			w.dispose(call, "disp_won", given)
			w.milestoneTouches(who, caller, "2025-03-02T12:00:00Z", "2025-03-03T12:00:00Z", "2025-03-04T12:00:00Z")
			w.sell("again_"+who, "", caller, "2025-03-05T12:00:00Z", 50_00, "USD")
		}
		sameCredits(t, "full_path", w.milestoneCredits("full_path", "2025-03-01", "2025-03-11"), map[string]float64{
			"before0": .225 / .55, "before1": .1 / .55, "before2": .225 / .55,
			"after0": .225 / .55, "after1": .1 / .55, "after2": .225 / .55,
		})
	})
}
