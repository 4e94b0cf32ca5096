package report_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// The yardstick: what somebody would write by hand who wants the same figures
// from the same tables and knows what is in them, one statement a part.
const (
	handCalls = `
		SELECT CASE WHEN a.verdict IN ('winner', 'source') AND a.confidence >= 0.7 THEN a.campaign ELSE 'untracked' END AS campaign,
			SUM(c.outcome <> 'blocked') AS calls, SUM(c.outcome = 'answered') AS answered,
			SUM(c.outcome NOT IN ('answered', 'blocked')) AS missed, SUM(c.outcome = 'blocked') AS blocked,
			SUM(c.outcome <> 'blocked' AND NOT EXISTS (
				SELECT 1 FROM calls p WHERE p.account_id = c.account_id AND p.from_e164 = c.from_e164 AND p.direction = 'inbound'
				AND p.started_at <= c.started_at AND (p.started_at, p.call_id) < (c.started_at, c.call_id))) AS first_time,
			SUM(c.outcome <> 'blocked' AND k.disposition_id = 'disp_q') AS qualified
		FROM calls c
		LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
		LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
		GROUP BY 1`
	handSales = `
		SELECT CASE WHEN a.verdict IN ('winner', 'source') AND a.confidence >= 0.7 THEN a.campaign ELSE 'untracked' END AS campaign,
			COUNT(*) AS sales, SUM(s.value_micros - s.refunded_micros) AS revenue,
			SUM(COALESCE(s.margin_micros * (s.value_micros - s.refunded_micros) / s.value_micros, (s.value_micros - s.refunded_micros) * 4 / 10)) AS margin,
			SUM(1.0 * (s.value_micros - s.refunded_micros) * (s.value_micros - s.refunded_micros)) AS squares
		FROM sales s
		LEFT JOIN attributions a ON a.account_id = s.account_id AND a.call_id = s.call_id
		WHERE s.account_id = ? AND s.sold_at >= ? AND s.sold_at < ? AND s.refund_of = ''
		GROUP BY 1`
	handEarned = `
		SELECT a.campaign, SUM(s.sold_at - c.started_at <= 30 * 86400000000) AS sales_30, SUM((s.sold_at - c.started_at <= 30 * 86400000000) * (s.value_micros - s.refunded_micros)) AS revenue_30,
			SUM(s.sold_at - c.started_at <= 90 * 86400000000) AS sales_90, SUM((s.sold_at - c.started_at <= 90 * 86400000000) * (s.value_micros - s.refunded_micros)) AS revenue_90,
			COUNT(*) AS sales_365, SUM(s.value_micros - s.refunded_micros) AS revenue_365
		FROM sales s
		CROSS JOIN attributions a ON a.account_id = s.account_id AND a.call_id = s.call_id
		CROSS JOIN calls c ON c.account_id = s.account_id AND c.call_id = s.call_id
		WHERE s.account_id = ? AND s.sold_at >= ? AND s.refund_of = '' AND a.verdict IN ('winner', 'source') AND a.confidence >= 0.7
		AND c.started_at >= ? AND c.started_at < ? AND s.sold_at - c.started_at BETWEEN 0 AND 365 * 86400000000
		GROUP BY 1`
	handSpend = `SELECT campaign, SUM(cost_micros) AS spend FROM spend WHERE account_id = ? AND from_on >= '2024-01-01' AND from_on < '2025-01-01' GROUP BY 1`
)

// hand runs the yardstick and returns the figures by campaign.
func hand(t *testing.T, db *store.DB) map[string]map[string]any {
	t.Helper()
	figures := map[string]map[string]any{}
	from, until := when(sizeFrom).UnixMicro(), when(sizeUntil).UnixMicro()
	err := db.InSnapshot(context.Background(), func(ctx context.Context, q store.Querier) error {
		for _, part := range []struct {
			text string
			args []any
		}{{handCalls, []any{acct, from, until}}, {handSales, []any{acct, from, until}}, {handEarned, []any{acct, from, from, until}}, {handSpend, []any{acct}}} {
			rows, err := q.Rows(ctx, part.text, part.args...)
			if err != nil {
				return err
			}
			for rows.Next() {
				one := map[string]any{}
				if err := rows.MapScan(one); err != nil {
					return err
				}
				name := fmt.Sprint(one["campaign"])
				if figures[name] == nil {
					figures[name] = map[string]any{}
				}
				for k, v := range one {
					figures[name][k] = v
				}
			}
			if err := rows.Err(); err != nil {
				return err
			}
			rows.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

// sameFigures compares what was written by hand with the report.
func sameFigures(t *testing.T, byHand map[string]map[string]any, a *report.Attribution) {
	t.Helper()
	if len(byHand) != len(a.Rows) {
		t.Fatalf("%d campaigns by hand, %d in the report", len(byHand), len(a.Rows))
	}
	for _, r := range a.Rows {
		want := byHand[r.Name(report.Campaign)]
		got := map[string]int64{
			"calls": r.Calls, "answered": r.Answered, "missed": r.Missed, "blocked": r.Blocked, "first_time": r.FirstTime, "qualified": r.Qualified,
			"sales": int64(r.Credit), "revenue": r.Revenue.Micros,
			"sales_30": int64(r.Horizons[0].Credit), "revenue_30": r.Horizons[0].Revenue.Micros,
			"sales_365": int64(r.Horizons[2].Credit), "revenue_365": r.Horizons[2].Revenue.Micros,
		}
		if r.Spend != nil {
			got["spend"] = r.Spend.Micros
		}
		for figure, n := range got {
			if w, there := want[figure]; there && w != n || !there && n != 0 {
				t.Errorf("%s of %s: the report has %d, by hand it is %v", figure, r.Name(report.Campaign), n, w)
			}
		}
	}
}

// yearOfCalls opens the large shop without any prepared day, and a desk for the time
// when everything has been sold. REPORT_CALLS says how many calls; REPORT_DB may
// name a file to keep them in for the next time.
func yearOfCalls(t *testing.T) (calls int, db *store.DB, desk *report.Desk, now *time.Time) {
	calls, err := strconv.Atoi(os.Getenv("REPORT_CALLS"))
	if err != nil {
		t.Skip("left out: REPORT_CALLS names no number of calls")
	}
	db, err = store.Open(large(t, calls))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM daily_states`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	after := when(sizeUntil).AddDate(0, 0, 90)
	now = &after
	return calls, db, report.NewDesk(db, func() time.Time { return *now }, slog.New(slog.DiscardHandler), nil), now
}

// taken is what something took.
type taken struct{ cpu, wall time.Duration }

func (x taken) String() string { return fmt.Sprintf("%v of CPU in %v", x.cpu, x.wall) }

func timed(t *testing.T, f func()) taken {
	began, before := time.Now(), cpuTime(t)
	f()
	return taken{cpuTime(t) - before, time.Since(began)}
}

// middle is the median of how often each is contained in its partner, and the
// least and the most.
func middle(each, in []taken, of func(taken) time.Duration) (median, least, most float64) {
	ratios := make([]float64, len(each))
	for i := range each {
		ratios[i] = of(each[i]).Seconds() / of(in[i]).Seconds()
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1]
}

func ofCPU(x taken) time.Duration  { return x.cpu }
func ofWall(x taken) time.Duration { return x.wall }

const sizeRounds = 3

// Reports on a year of calls, beside plain SQL, in one run.
func TestAYearOfCallsBesidePlainSQL(t *testing.T) {
	n, db, desk, now := yearOfCalls(t)
	q := report.Query{AccountID: acct, From: sizeFrom, Until: sizeUntil, GroupBy: []report.Dimension{report.Campaign}, Model: report.StoredWinner}
	roi := func(q report.Query) *report.Attribution {
		a, err := desk.ROI(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	compare := func(what string, most float64) {
		var byHand, stored []taken
		for range sizeRounds {
			var plain map[string]map[string]any
			var a *report.Attribution
			byHand = append(byHand, timed(t, func() { plain = hand(t, db) }))
			stored = append(stored, timed(t, func() { a = roi(q) }))
			t.Logf("%s: by hand %v, report %v", what, byHand[len(byHand)-1], stored[len(stored)-1])
			sameFigures(t, plain, a)
		}
		median, low, high := middle(stored, byHand, ofCPU)
		t.Logf("%s: report ÷ by hand = %.3f of the CPU (%.3f–%.3f)", what, median, low, high)
		if n >= 1_000_000 && median > most { // with few calls it is the rest that takes the time
			t.Errorf("%s: more than %.3f of what plain SQL takes", what, most)
		}
		median, low, high = middle(stored, byHand, ofWall)
		t.Logf("%s: report ÷ by hand = %.3f of the time (%.3f–%.3f)", what, median, low, high)
	}
	compare("from the calls", 1.3)
	days := 0
	took := timed(t, func() {
		for {
			done, err := desk.RollUp(context.Background(), *now)
			if err != nil {
				t.Fatal(err)
			}
			if days += done; done == 0 {
				break
			}
		}
	})
	t.Logf("prepared %d days: %v", days, took)
	*now = now.Add(time.Hour)
	compare("from prepared days", 1.0/25)
	for _, goal := range []report.Goal{report.ForSale, report.ForCall} {
		q.Model, q.CreditFor = "", goal
		t.Logf("by the default model, for each %s: %v", goal, timed(t, func() { roi(q) }))
	}
}

// Reports on a year of calls by every model, beside last_touch, which reads and
// counts the same paths and gives each to one touch, in one run.
func TestAYearOfCallsByEveryModel(t *testing.T) {
	_, _, desk, _ := yearOfCalls(t)
	for _, goal := range []report.Goal{report.ForSale, report.ForCall} {
		q := report.Query{AccountID: acct, From: sizeFrom, Until: sizeUntil, GroupBy: []report.Dimension{report.Campaign}, CreditFor: goal}
		ask := func(model string) taken {
			q.Model, q.With = model, attribution.Params{}
			if model == "shaped" {
				q.With.Shape = "20/20/60"
			}
			return timed(t, func() {
				if _, err := desk.Attribution(context.Background(), q); err != nil {
					t.Fatal(err)
				}
			})
		}
		ask("last_touch")
		for _, model := range attribution.Models() {
			var each, counting []taken
			for range sizeRounds {
				counting = append(counting, ask("last_touch"))
				each = append(each, ask(model))
			}
			median, low, high := middle(each, counting, ofCPU)
			wall, _, _ := middle(each, counting, ofWall)
			t.Logf("for each %s, %s ÷ last_touch = %.2f of the CPU (%.2f–%.2f), %.2f of the time; last took %v", goal, model, median, low, high, wall, each[sizeRounds-1])
			if median > 8 {
				t.Errorf("%s: more than 8 times the pass that counts", model)
			}
		}
	}
}

// cpuTime is what this process has used: on a shared machine the steady figure.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// large returns the address of the large shop.
func large(t *testing.T, n int) string {
	file := os.Getenv("REPORT_DB")
	if file != "" {
		if _, err := os.Stat(file); err == nil {
			return "sqlite:" + file
		}
	}
	url := storetest.SQLiteURL(t)
	if file != "" {
		if err := os.Rename(strings.TrimPrefix(url, "sqlite:"), file); err != nil {
			t.Fatal(err)
		}
		url = "sqlite:" + file
	}
	fillLarge(t, strings.TrimPrefix(url, "sqlite:"), n)
	return url
}
