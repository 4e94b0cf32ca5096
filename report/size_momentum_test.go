package report_test

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
)

// Reports that look at every call, on a year of them: what they take beside the
// pass that only reads the calls, and how much they hold. REPORT_CALLS and
// REPORT_DB are those of TestAYearOfCallsBesidePlainSQL.
func TestAYearOfCallsOneByOne(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("REPORT_CALLS"))
	if err != nil {
		t.Skip("left out: REPORT_CALLS names no number of calls")
	}
	db, err := store.Open(large(t, n))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	desk := report.NewDesk(db, func() time.Time { return when(sizeUntil) }, slog.New(slog.DiscardHandler), nil)
	ctx, year := context.Background(), report.Query{AccountID: acct, From: sizeFrom, Until: sizeUntil}
	pass := func() error { return readTheCalls(ctx, db) }
	baseline := "2024-02-01/2024-04-01"
	for round := range 3 {
		var base time.Duration
		for _, r := range []struct {
			name string
			ask  func() error
		}{
			{"reading the calls", pass},
			{"momentum by month", func() error {
				_, err := desk.Momentum(ctx, report.MomentumQuery{AccountID: acct, From: sizeFrom, Until: sizeUntil, Period: report.ByMonth, Baseline: baseline})
				return err
			}},
			{"momentum by month and campaign", func() error {
				_, err := desk.Momentum(ctx, report.MomentumQuery{AccountID: acct, From: sizeFrom, Until: sizeUntil, Period: report.ByMonth, By: report.Campaign, Baseline: baseline})
				return err
			}},
			{"response", func() error { _, err := desk.Response(ctx, report.ResponseQuery{Query: year}); return err }},
			{"agents", func() error { _, err := desk.Agents(ctx, year); return err }},
			{"a page of the missed calls", func() error {
				_, err := report.NewCalls(db).List(ctx, acct, report.CallQuery{Momentum: "missed", From: when(sizeFrom), Until: when(sizeUntil), Now: when(sizeUntil), Limit: 50})
				return err
			}},
		} {
			peak, before := heapPeak(), cpuTime(t)
			if err := r.ask(); err != nil {
				t.Fatalf("%s: %v", r.name, err)
			}
			took := cpuTime(t) - before
			if base == 0 {
				base = took
			}
			t.Logf("round %d, %s: %v of CPU, %.2f of reading the calls; %d bytes of heap a call at most", round+1, r.name, took, took.Seconds()/base.Seconds(), peak()/uint64(n))
		}
	}
}

// readTheCalls only reads the year's calls with their attributions and desks.
func readTheCalls(ctx context.Context, db *store.DB) error {
	rows, err := db.Rows(ctx, `
		SELECT c.call_id, c.from_e164, c.started_at, c.outcome, c.ring_seconds, a.source, a.campaign, k.disposition_id FROM calls c
		LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
		LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? ORDER BY c.started_at`, acct, when(sizeFrom).UnixMicro(), when(sizeUntil).UnixMicro())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if _, err := rows.SliceScan(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Momentum of one month, of a year of calls: what it takes beside reading the
// year's calls, and how much it holds.
func TestAMonthOfAYearOfCalls(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("REPORT_CALLS"))
	if err != nil {
		t.Skip("left out: REPORT_CALLS names no number of calls")
	}
	db, err := store.Open(large(t, n))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	desk := report.NewDesk(db, func() time.Time { return when(sizeUntil) }, slog.New(slog.DiscardHandler), nil)
	ctx := context.Background()
	for round := range 3 {
		base := timed(t, func() {
			if err := readTheCalls(ctx, db); err != nil {
				t.Fatal(err)
			}
		})
		for _, by := range []report.Dimension{"", report.Campaign} {
			peak := heapPeak()
			took := timed(t, func() {
				_, err := desk.Momentum(ctx, report.MomentumQuery{AccountID: acct, From: "2024-12-01", Until: "2025-01-01", By: by, Baseline: "2024-02-01/2024-03-01"})
				if err != nil {
					t.Fatal(err)
				}
			})
			t.Logf("round %d, momentum of a month, by %q: %v, %.2f of reading the year's calls (%v); %d MB of heap at most",
				round+1, by, took, took.cpu.Seconds()/base.cpu.Seconds(), base, peak()>>20)
		}
	}
}

// heapPeak looks at the heap until the returned function is called, which says
// how much it had grown at most, what is not collected yet included.
func heapPeak() func() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base, top := m.HeapAlloc, uint64(0)
	done, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&m)
			top = max(top, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-stopped
		return top - min(top, base)
	}
}
