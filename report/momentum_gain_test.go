package report_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// Of January's 40 opportunities five more follow, by hand:
//
//   - c1 bought in January and calls in February: 1. That she buys then, and calls
//     in March, follows from February.
//   - c2 bought and sends c3, who calls twice before buying: 2. What c3 does as a
//     customer follows from c3.
//   - c4 calls twice before buying, c5 never buys and sends c7: nothing.
//   - c6 bought in December; what she calls for in January follows from December,
//     what she calls for after buying again from January: 1.
//   - c8 calls 91 days after: too late.
//   - c9 buys and calls again within January: 1.
//
// Of the 40 themselves two were earned: what c6 called for, and c9's second.
func TestTheGainOfACohortIsWhatItsCustomersEarned(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		n := 0
		calls := func(who int, days ...string) {
			for _, day := range days {
				n++
				caller := ""
				if who > 0 {
					caller = fmt.Sprintf("+1312555%04d", who)
				}
				w.ring(fmt.Sprintf("call_%03d", n), caller, day+"T16:00:00Z", "answered")
			}
		}
		buys := func(who int, days ...string) {
			for _, day := range days {
				n++
				w.sell(fmt.Sprintf("sale_%03d", n), "", fmt.Sprintf("+1312555%04d", who), day+"T17:00:00Z", 10_000, "USD")
			}
		}
		sends := func(who, whom int, day string) {
			w.exec(`INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by) VALUES (?, ?, ?, ?, ?, 'user_1')`,
				acct, fmt.Sprint("ref_", whom), fmt.Sprintf("+1312555%04d", who), fmt.Sprintf("+1312555%04d", whom), store.Micros(when(day+"T20:00:00Z")))
		}
		for i := range 30 {
			calls(100+i, "2025-01-05")
		}
		calls(0, "2025-01-05")
		calls(1, "2025-01-06", "2025-02-03", "2025-03-01")
		buys(1, "2025-01-06", "2025-02-03")
		calls(2, "2025-01-07")
		buys(2, "2025-01-07")
		calls(3, "2025-02-04", "2025-02-06", "2025-02-10")
		buys(3, "2025-02-06")
		sends(2, 3, "2025-02-04") // told in the call itself
		calls(4, "2025-01-08", "2025-01-10")
		buys(4, "2025-01-10")
		calls(5, "2025-01-09", "2025-02-09")
		sends(5, 7, "2025-02-01")
		calls(7, "2025-02-12")
		calls(6, "2024-12-10", "2025-01-11", "2025-02-11")
		buys(6, "2024-12-10", "2025-01-11")
		calls(8, "2025-01-12", "2025-04-13")
		buys(8, "2025-01-12")
		calls(9, "2025-01-13", "2025-01-20")
		buys(9, "2025-01-13")

		january := func(q report.MomentumQuery) report.MomentumPeriod {
			for _, p := range w.momentum(q).Periods {
				if strings.HasPrefix(p.From, "2025-01-01T") {
					return p
				}
			}
			t.Fatalf("%+v: no January", q)
			return report.MomentumPeriod{}
		}
		alone := report.MomentumQuery{From: "2025-01-01", Until: "2025-02-01"}
		among := report.MomentumQuery{From: "2024-12-01", Until: "2025-03-01", Period: report.ByMonth}
		for day, complete := range map[string]bool{"2025-03-20": false, "2025-05-20": true} {
			w.now = when(day + "T12:00:00Z")
			for _, q := range []report.MomentumQuery{alone, among} {
				f := january(q).Phases
				if num(f.Gain) != "0.125" || f.GainComplete != complete || f.SelfSustaining || num(f.EarnedShare) != "0.05" || f.Multiplier == nil || math.Abs(*f.Multiplier-1/0.875) > 1e-9 {
					t.Errorf("on %s, from %s: got %+v, want 5 of 40, a share of 2 of 40, complete %v", day, q.From, f, complete)
				}
				// The squares about the mean are 6.1875, so five count as 5 ÷ 1.2375,
				// with Byar's limits.
				if f.GainInterval == nil || math.Abs(f.GainInterval[0]-0.033930) > 1e-5 || math.Abs(f.GainInterval[1]-0.318633) > 1e-5 {
					t.Errorf("interval: got %v", f.GainInterval)
				}
			}
		}
	})
}
