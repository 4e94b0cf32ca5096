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

// Reports on a year of calls, beside plain SQL, in one run. REPORT_CALLS says how
// many calls; REPORT_DB may name a file to keep them in for the next time.
func TestAYearOfCallsBesidePlainSQL(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("REPORT_CALLS"))
	if err != nil {
		t.Skip("left out: REPORT_CALLS names no number of calls")
	}
	db, err := store.Open(large(t, n))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM daily_states`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	now := when(sizeUntil).AddDate(0, 0, 90) // after the last sale
	desk := report.NewDesk(db, func() time.Time { return now }, slog.New(slog.DiscardHandler), nil)
	q := report.Query{AccountID: acct, From: sizeFrom, Until: sizeUntil, GroupBy: []report.Dimension{report.Campaign}, Model: report.StoredWinner}
	timed := func(f func()) (cpu, wall time.Duration) {
		began, before := time.Now(), cpuTime(t)
		f()
		return cpuTime(t) - before, time.Since(began)
	}
	var a *report.Attribution
	ask := func() {
		if a, err = desk.ROI(context.Background(), q); err != nil {
			t.Fatal(err)
		}
	}
	var plain map[string]map[string]any
	write := func() { plain = hand(t, db) }
	compare := func(what string, most float64) {
		var ratios []float64
		for round := range 3 {
			base, baseWall := timed(write)
			took, wall := timed(ask)
			t.Logf("%s, round %d: by hand %v of CPU in %v, report %v in %v", what, round+1, base, baseWall, took, wall)
			ratios = append(ratios, took.Seconds()/base.Seconds())
			sameFigures(t, plain, a)
		}
		slices.Sort(ratios)
		t.Logf("%s: report ÷ by hand = %.3f of the CPU (%.3f–%.3f)", what, ratios[1], ratios[0], ratios[2])
		if n >= 1_000_000 && ratios[1] > most { // with few calls it is the rest that takes the time
			t.Errorf("%s: more than %.3f of what plain SQL takes", what, most)
		}
	}
	compare("from the calls", 1.3)
	days := 0
	took, wall := timed(func() {
		for {
			done, err := desk.RollUp(context.Background(), now)
			if err != nil {
				t.Fatal(err)
			}
			if days += done; done == 0 {
				break
			}
		}
	})
	t.Logf("prepared %d days: %v of CPU in %v", days, took, wall)
	now = now.Add(time.Hour)
	compare("from prepared days", 1.0/25)
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
