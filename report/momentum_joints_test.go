package report_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// spoil makes one joint worse from a day on: ten calls a day begin on the first of
// January at 15:00 UTC and are called call_DD_I (see busy).
var spoil = map[string]func(w *world, day string){
	"reached": func(w *world, day string) {
		w.exec(`UPDATE calls SET outcome = 'abandoned' WHERE account_id = ? AND call_id LIKE ? AND call_id NOT LIKE '%_7'`, acct, "call_"+day+"_%")
	},
	"prompt": func(w *world, day string) {
		w.exec(`UPDATE calls SET ring_seconds = 90 WHERE account_id = ? AND call_id LIKE ?`, acct, "call_"+day+"_%")
	},
	"handled": func(w *world, day string) {
		w.exec(`UPDATE call_desks SET score_ppm = score_ppm - 150000 WHERE account_id = ? AND call_id LIKE ?`, acct, "call_"+day+"_%")
	},
	"won": func(w *world, day string) {
		w.exec(`DELETE FROM sales WHERE account_id = ? AND call_id LIKE ? AND refund_of = ''`, acct, "call_"+day+"_%")
	},
	// A part of what was sold is given back, of every sale.
	"kept": func(w *world, day string) { w.giveBack(day, 2_000) },
	"content": func(w *world, day string) {
		w.exec(`UPDATE feedback SET value = 2 WHERE account_id = ? AND call_id LIKE ?`, acct, "call_"+day+"_%")
	},
}

func (w *world) giveBack(day string, cents int64) {
	w.t.Helper()
	w.refund("back_"+day, "sale_call_"+day+"_7", "call_"+day+"_7", "+131256200"+day, "2025-03-15T00:00:00Z", cents)
}

// A quiet town: scores from 0.7 to 0.9, a tenth given back of every third sale.
func quiet(w *world) {
	busy(w, steady)
	for d := range 75 {
		for i := 2; i < 10; i++ {
			w.exec(`INSERT INTO call_desks (account_id, call_id, version, score_ppm, updated_at) VALUES (?, ?, 1, ?, 0)
				ON CONFLICT (account_id, call_id) DO UPDATE SET score_ppm = excluded.score_ppm`, acct, fmt.Sprintf("call_%02d_%d", d, i), 700_000+int64((d*7+i*3)%5)*50_000)
		}
		if d%3 == 0 && d < 40 {
			w.giveBack(fmt.Sprintf("%02d", d), 1_000)
		}
	}
}

// The days from the tenth of February on are the 41st and later.
func TestEveryJointIsWatchedDayByDay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2025-05-01T12:00:00Z") // every lead is old enough
		quiet(w)
		ask := func() *report.MomentumReport {
			return w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10"})
		}
		calm := ask()
		if len(calm.Alerts) != 0 {
			t.Errorf("a quiet town: got alerts %+v", calm.Alerts)
		}
		for _, joint := range []string{"reached", "prompt", "handled", "kept", "content", "won"} {
			for d := 40; d < 75; d++ {
				spoil[joint](w, fmt.Sprintf("%02d", d))
			}
			m := ask()
			var found []report.Alert
			for _, a := range m.Alerts {
				if a.Part == joint {
					found = append(found, a)
				}
			}
			if len(found) != 1 {
				t.Errorf("%s: got %d alerts among %+v, want one", joint, len(found), m.Alerts)
				continue
			}
			if a := found[0]; a.Since != "2025-02-10" || a.On < a.Since || a.Until != nil || a.Share <= a.Baseline || a.Peak <= 5 {
				t.Errorf("%s: got %+v, want it alarmed since the tenth of February", joint, a)
			}
			var page strings.Builder
			if err := m.Page(&page); err != nil || !strings.Contains(page.String(), joint+": since 2025-02-10 more was lost") {
				t.Errorf("%s: %v; the page does not tell:\n%s", joint, err, page.String())
			}
		}
	})
}

// By hand: the baseline loses 0.2 of a score of 0.8 whose standard deviation s is
// that of the scores 0.7 to 0.9; a day of eight calls that lose 0.15 more is
// z = 8·0.15 ÷ (s·√8) above the quiet ones.
func TestTheChartOfScoresIsThatOfMeans(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		quiet(w)
		spoil["handled"](w, "40")
		m := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-02-11", Baseline: "2025-01-01/2025-02-10"})
		var scores []float64
		perDay := map[int]float64{}
		for d := range 41 {
			for i := 2; i < 10; i++ {
				s := 0.7 + float64((d*7+i*3)%5)*0.05
				if d < 40 {
					scores = append(scores, s)
				}
				perDay[d] += 1 - s
			}
		}
		perDay[40] += 8 * 0.15
		mean, squares := 0.0, 0.0
		for _, s := range scores {
			mean += s / float64(len(scores))
		}
		for _, s := range scores {
			squares += (s - mean) * (s - mean)
		}
		sd := math.Sqrt(squares / float64(len(scores)-1))
		z := func(d int) float64 { return (perDay[d] - 8*(1-mean)) / (sd * math.Sqrt(8)) }
		moved := 0.0
		for d := 1; d < 40; d++ {
			moved += math.Abs(z(d)-z(d-1)) / 39
		}
		want := z(40)/math.Max(1, moved/1.128) - 0.5
		if len(m.Alerts) != 1 || m.Alerts[0].Part != "handled" || math.Abs(m.Alerts[0].Peak-want) > 1e-9 {
			t.Errorf("got %+v, want handled with %v", m.Alerts, want)
		}
	})
}

// A joint that the baseline has not measured is not watched by the luck of a few.
func TestAJointThatTheBaselineDidNotMeasureIsNotWatched(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		w.exec(`DELETE FROM feedback WHERE account_id = ? AND given_at < ? AND feedback_id NOT IN ('fb_call_10_6', 'fb_call_11_6', 'fb_call_12_6')`,
			acct, store.Micros(when("2025-02-10T05:00:00Z")))
		w.exec(`UPDATE feedback SET value = 2 WHERE account_id = ? AND given_at >= ?`, acct, store.Micros(when("2025-02-10T05:00:00Z").Add(time.Hour)))
		m := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10"})
		for _, a := range m.Alerts {
			if a.Part == "content" {
				t.Errorf("three answers, one of them discontent, are no baseline: got %+v", a)
			}
		}
	})
}
