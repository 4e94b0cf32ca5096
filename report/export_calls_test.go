package report_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestAnExportTellsEveryCallOnceInConstantMemory(t *testing.T) {
	const calls = 6_000
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		// Ten calls begin in the same second, so pages end amid equals.
		w.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, started_at, updated_at, caller_name)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
			SELECT CAST(? AS TEXT), 'call_' || i, 'test', 'call_' || i, 'answered', '+1312555' || (1000 + i % 900), (i / 10) * 1000000, 0, 'a name that takes some room in memory' FROM n`, acct)
		seen := map[string]bool{}
		var last report.CallPlace
		var early, late uint64
		err := report.NewCalls(db).Each(context.Background(), acct, report.CallQuery{}, func(r report.CallRow) error {
			if seen[r.ID] {
				t.Errorf("%s was told twice", r.ID)
			}
			seen[r.ID] = true
			at := r.Place()
			if len(seen) > 1 && (at.StartedAt > last.StartedAt || at.StartedAt == last.StartedAt && at.CallID >= last.CallID) {
				t.Errorf("%+v came after %+v", at, last)
			}
			last = at
			switch len(seen) {
			case 700:
				early = heap()
			case calls - 300:
				late = heap()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) != calls {
			t.Errorf("got %d calls, want %d", len(seen), calls)
		}
		// The test itself keeps the ids; a call takes 2 kB and more.
		if grown := int64(late) - int64(early); grown > 3<<20 {
			t.Errorf("%d bytes more were held after 5,000 more calls", grown)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
