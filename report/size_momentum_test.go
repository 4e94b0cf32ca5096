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

func TestZMomentumSize(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("REPORT_CALLS"))
	if err != nil {
		t.Skip("left out: REPORT_CALLS names no number of calls")
	}
	db, err := store.Open(large(t, n))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := when(sizeUntil)
	desk := report.NewDesk(db, func() time.Time { return now }, slog.New(slog.DiscardHandler), nil)
	for _, q := range []report.MomentumQuery{
		{Period: report.ByMonth, By: report.Campaign, Baseline: "2024-02-01/2024-04-01"},
		{Period: report.ByMonth, Baseline: "2024-02-01/2024-04-01"},
	} {
		q.AccountID, q.From, q.Until = acct, sizeFrom, sizeUntil
		peak := watchHeap()
		began, before := time.Now(), cpuTime(t)
		m, err := desk.Momentum(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("momentum by %q: %v CPU, %v, peak heap %d MB, %d opportunities", q.By, cpuTime(t)-before, time.Since(began), peak()>>20, m.Periods[0].Parts.Opportunities)
	}
	peak := watchHeap()
	began, before := time.Now(), cpuTime(t)
	if _, err := desk.Response(context.Background(), report.ResponseQuery{Query: report.Query{AccountID: acct, From: sizeFrom, Until: sizeUntil, GroupBy: []report.Dimension{report.Month}}}); err != nil {
		t.Fatal(err)
	}
	t.Logf("response: %v CPU, %v, peak heap %d MB", cpuTime(t)-before, time.Since(began), peak()>>20)
	peak = watchHeap()
	began, before = time.Now(), cpuTime(t)
	if _, err := desk.Agents(context.Background(), report.Query{AccountID: acct, From: sizeFrom, Until: sizeUntil}); err != nil {
		t.Fatal(err)
	}
	t.Logf("agents: %v CPU, %v, peak heap %d MB", cpuTime(t)-before, time.Since(began), peak()>>20)
}

// watchHeap looks at the heap until the returned function is called, which says
// how much it had grown at most.
func watchHeap() func() uint64 {
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
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				top = max(top, m.HeapAlloc)
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-stopped
		return top - min(top, base)
	}
}
