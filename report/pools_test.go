package report_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func (w *world) pool(id, name string) {
	w.exec(`INSERT INTO pools (account_id, pool_id, name, created_at) VALUES (?, ?, ?, 0)`, acct, id, name)
}

func (w *world) bind(number, pool, at string) {
	w.exec(`INSERT INTO number_bindings (account_id, number, bound_from, pool_id, created_at) VALUES (?, ?, ?, ?, 0)`, acct, number, store.Micros(when(at)), pool)
}

func (w *world) lend(number, pool, visitor, from, beat, until string) {
	id := "lease_" + number + from
	w.exec(`INSERT INTO leases (account_id, lease_id, number, pool_id, session_id, visitor_id, touch_id, leased_from, last_beat_at, leased_until) VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?)`,
		acct, id, number, pool, id, visitor, store.Micros(when(from)), store.Micros(when(beat)), store.Micros(when(until)))
}

func (w *world) session(id, pool, lent, at string) {
	w.exec(`INSERT INTO sessions (account_id, session_id, visitor_id, site_id, started_at, last_beat_at, pool_id, lent) VALUES (?, ?, ?, '', ?, ?, ?, ?)`,
		acct, id, id, store.Micros(when(at)), store.Micros(when(at)), pool, lent)
}

func TestPoolsSayWhetherTheyAreLargeEnough(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.pool("pool_1", "Website")
		w.pool("pool_2", "=Other")
		w.bind("+13125550101", "pool_1", "2025-03-01T00:00:00Z")
		w.bind("+13125550102", "pool_1", "2025-03-01T00:00:00Z")
		w.bind("+13125550103", "pool_2", "2025-03-01T00:00:00Z")
		w.bind("+13125550103", "pool_1", "2025-03-10T12:00:00Z")

		w.lend("+13125550101", "pool_1", "V1", "2025-03-10T10:00:00Z", "2025-03-10T10:10:00Z", "2025-03-10T10:40:00Z")
		w.lend("+13125550101", "pool_1", "V2", "2025-03-10T11:10:00Z", "2025-03-10T11:20:00Z", "2025-03-10T12:00:00Z")
		w.lend("+13125550101", "pool_1", "V2", "2025-03-10T12:00:00Z", "2025-03-10T12:10:00Z", "2025-03-10T12:40:00Z")
		w.lend("+13125550101", "pool_1", "V3", "2025-03-11T01:10:00Z", "2025-03-11T01:20:00Z", "2025-03-11T02:00:00Z")
		w.lend("+13125550102", "pool_1", "V4", "2025-03-09T23:00:00Z", "2025-03-09T23:30:00Z", "2025-03-10T00:30:00Z")
		w.lend("+13125550102", "pool_1", "V5", "2025-03-10T06:00:00Z", "2025-03-10T06:00:00Z", "2025-03-10T06:01:00Z")

		w.session("s1", "pool_1", "leased", "2025-03-10T10:00:00Z")
		w.session("s2", "pool_1", "leased", "2025-03-10T11:10:00Z")
		w.session("s3", "pool_1", "empty", "2025-03-10T11:10:00Z")
		w.session("s4", "pool_1", "capped", "2025-03-10T11:10:00Z")
		w.session("s5", "pool_1", "empty", "2025-03-11T00:00:00Z")
		w.session("s6", "pool_2", "empty", "2025-03-10T11:10:00Z")

		for _, c := range []string{"c1", "c2"} {
			w.ring(c, "+12125550143", "2025-03-10T10:20:00Z", "answered")
			w.untracked(c)
			w.exec(`UPDATE attributions SET pool_id = 'pool_1' WHERE account_id = ? AND call_id = ?`, acct, c)
		}

		p, err := w.desk.Pools(context.Background(), report.Query{AccountID: acct, From: "2025-03-10T00:00:00Z", Until: "2025-03-11T00:00:00Z"})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Rows) != 2 || p.Rows[1].PoolID != "pool_1" {
			t.Fatalf("got %+v", p.Rows)
		}
		r := p.Rows[1]
		// Two numbers all day and one for half of it; 40 + 50 + 40 + 30 + 1
		// minutes of leases; V1's number came round after one hour, V2's after 13,
		// V5's never.
		delays := attribution.DefaultDelays().Parts
		for name, c := range map[string]struct {
			got  *float64
			want float64
		}{
			"numbers":           {r.Numbers, 2.5},
			"utilisation":       {r.Utilisation, 161.0 / 3600},
			"overflow_share":    {r.OverflowShare, 0.5},
			"reuse_gap_minutes": {r.ReuseGapMinutes, 420},
			"expected_accuracy": {r.ExpectedAccuracy, (attribution.GapAccuracy(1, delays) + attribution.GapAccuracy(13, delays) + 1) / 3},
			"numbers in total":  {p.Totals.Numbers, 3},
		} {
			if c.got == nil || math.Abs(*c.got-c.want) > 1e-9 {
				t.Errorf("%s: got %v, want %v", name, c.got, c.want)
			}
		}
		if r.Visitors != 4 || r.Overflow != 2 || r.Capped != 1 || r.Calls != 2 || r.Contaminated != 0 || p.Totals.Visitors != 5 {
			t.Errorf("got %+v, in total %+v", r, p.Totals)
		}
		if idle := p.Rows[0]; idle.ReuseGapMinutes != nil || idle.ExpectedAccuracy != nil || *idle.Utilisation != 0 || *idle.OverflowShare != 1 {
			t.Errorf("a pool that lent nothing: got %+v", idle)
		}
		var csv strings.Builder
		if err := report.WriteCSV(&csv, p); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(csv.String(), "\n"); !strings.HasPrefix(lines[1], "'=Other,0.5,0,1,1,1,0,,0,0,") || !strings.HasPrefix(lines[2], "Website,2.5,") {
			t.Errorf("got %s", csv.String())
		}
	})
}
