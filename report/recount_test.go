package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestPreparedDaysThatDoNotFollowFromTheCallsAreFoundAndCountedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		w := newWorld(t, db)
		w.now = when("2025-03-07T12:00:00Z")
		shop(w)
		w.now = when("2025-03-09T12:00:00Z")
		if _, err := w.desk.RollUp(ctx, w.now); err != nil {
			t.Fatal(err)
		}
		recount := func(days int, want ...string) report.Recount {
			t.Helper()
			res, err := w.desk.Recount(ctx)
			var got []string
			for _, d := range res.Differ {
				got = append(got, d.DayOn)
				if d.AccountID != acct {
					t.Errorf("account: got %s", d.AccountID)
				}
			}
			if err != nil || res.Days != days || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %d days, different %v, %v, want %d and %v", res.Days, got, err, days, want)
			}
			return res
		}
		answer := func() string {
			text, err := json.Marshal(w.attribution(tenDays))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		right := answer()
		recount(7)
		w.exec(`UPDATE daily_facts SET calls = calls + 1 WHERE account_id = ? AND day_on = '2025-03-03'`, acct)
		w.exec(`DELETE FROM daily_facts WHERE account_id = ? AND day_on = '2025-03-02'`, acct)
		w.exec(`INSERT INTO daily_facts (account_id, day_on, source_id, source, medium, campaign, calls, answered, missed, blocked, first_time, qualified)
			VALUES (?, '2025-03-08', '', 'ghost', '', '', 1, 0, 0, 0, 0, 0)`, acct)
		res := recount(7, "2025-03-02", "2025-03-03", "2025-03-08")
		if err := w.desk.RollAgain(ctx, res.Differ, w.now); err != nil {
			t.Fatal(err)
		}
		recount(7)
		if got := answer(); got != right {
			t.Errorf("after counting again:\n got %s\nwant %s", got, right)
		}
		// What changed since is for the job, and nobody's mistake.
		w.dispose("call_2", "disp_lead", "2025-03-09T12:00:00Z")
		recount(6)
	})
}
