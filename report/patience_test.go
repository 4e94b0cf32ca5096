package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// waitsOf adds one call after the other: of each outcome so many seconds from the
// first ring of a phone, which rings three seconds into the call.
func (w *world) waitsOf(prefix string, begin time.Time, outcome string, seconds ...int) {
	w.t.Helper()
	for i, s := range seconds {
		id, at := fmt.Sprintf("%s_%03d", prefix, i), begin.Add(time.Duration(i)*time.Hour)
		w.ring(id, fmt.Sprintf("+13126%02d%04d", begin.Minute(), i), at.Format(time.RFC3339), outcome)
		end := at.Add(time.Duration(s+3) * time.Second)
		if outcome == "answered" {
			w.exec(`UPDATE calls SET ring_seconds = ?, wait_seconds = ? WHERE account_id = ? AND call_id = ?`, s, s+3, acct, id)
			continue
		}
		w.exec(`UPDATE calls SET ended_at = ?, duration_seconds = ? WHERE account_id = ? AND call_id = ?`, store.Micros(end), s+3, acct, id)
		w.exec(`INSERT INTO legs (account_id, call_id, leg_ref, number, status, ringing_at, ended_at) VALUES (?, ?, 'leg', '+13125550001', 'canceled', ?, ?)`,
			acct, id, store.Micros(at.Add(3*time.Second)), store.Micros(end))
	}
}

func repeated(seconds, n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = seconds
	}
	return list
}

// Of 190 callers 60 are answered after 10 s, 40 sent to voicemail after 20 s, 30
// hang up after 30 s, 40 are answered after 40 s, 20 hang up after 60 s. By hand: at
// 30 s 90 still wait, S = 1 − 30/90 = 2/3; at 60 s all 20 that are left hang up,
// S = 0. The median patience is 60 s. The plain median of those who hung up would be
// 30 s, and of all waits 20 s.
func TestTheWaitThatHalvesGoodwillIsTheCallersOwn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		ctx := context.Background()
		begin := when("2025-01-02T15:00:00Z")
		w.waitsOf("answered", begin, "answered", repeated(10, 60)...)
		w.waitsOf("voicemail", begin.Add(time.Minute), "voicemail", repeated(20, 40)...)
		w.waitsOf("early", begin.Add(2*time.Minute), "abandoned", repeated(30, 30)...)
		w.waitsOf("served", begin.Add(3*time.Minute), "answered", repeated(40, 40)...)
		w.waitsOf("late", begin.Add(4*time.Minute), "abandoned", repeated(60, 19)...)
		// What is no attempt is no patience either: hung up at once, and spam.
		w.waitsOf("hangup", begin.Add(5*time.Minute), "abandoned", repeated(1, 80)...)
		w.waitsOf("spam", begin.Add(6*time.Minute), "abandoned", repeated(12, 80)...)
		for i := range 80 {
			w.dispose(fmt.Sprintf("spam_%03d", i), "disp_spam", "2025-01-20T00:00:00Z")
		}
		ask := func() *report.MomentumReport {
			return w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-01", Baseline: "2025-01-01/2025-02-01"})
		}
		// Of 49 nothing is concluded.
		m := ask()
		if y := m.Yardsticks; y.PromptHalfSeconds != 120 || y.PromptHalfFrom != report.HalfDefault || y.PromptHalfAbandoned != 49 || y.HalfReason() != "default: 50 abandonments needed, 49 seen" {
			t.Errorf("49 gave up: got %d s, %s", y.PromptHalfSeconds, y.HalfReason())
		}
		w.waitsOf("fiftieth", begin.Add(7*time.Minute), "abandoned", 60)
		m = ask()
		if y := m.Yardsticks; y.PromptHalfSeconds != 60 || y.PromptHalfFrom != report.HalfOwn || y.HalfReason() != "own patience, 50 abandonments" {
			t.Fatalf("50 gave up: got %d s, %s; want 60 by their own patience", y.PromptHalfSeconds, y.HalfReason())
		}
		if !strings.Contains(m.Model, "half 60 s by own patience") {
			t.Errorf("model: got %s", m.Model)
		}
		// 40 of the 100 served waited 20 s too long of 60: ¾ of their goodwill is left.
		if got := num(m.Baseline.Parts.Prompt); got != "0.9" {
			t.Errorf("prompt: got %s, want (60 + 40·0.75) ÷ 100", got)
		}
		var page strings.Builder
		if err := m.Page(&page); err != nil || !strings.Contains(page.String(), "60 s beyond 20 s halve goodwill (own patience, 50 abandonments)") {
			t.Errorf("page: %v\n%s", err, page.String())
		}

		// Freezing keeps it, and what callers do later does not move it.
		freeze := func(y report.Yardsticks) report.Baseline {
			b, err := w.desk.FreezeBaseline(ctx, report.BaselineRequest{AccountID: acct, From: "2025-01-01", Until: "2025-02-01", Yardsticks: y, Actor: "user_1"})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if b := freeze(report.DefaultYardsticks()); b.Yardsticks.PromptHalfSeconds != 60 || b.Yardsticks.PromptHalfFrom != report.HalfOwn {
			t.Errorf("frozen: got %+v", b.Yardsticks)
		}
		w.waitsOf("hasty", begin.Add(8*time.Minute), "abandoned", repeated(8, 300)...)
		present := func() report.Yardsticks {
			y, err := w.desk.Yardsticks(ctx, acct)
			if err != nil {
				t.Fatal(err)
			}
			return y
		}
		y := present()
		if got := w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-01"}).Yardsticks; y.PromptHalfSeconds != 60 || got != y {
			t.Errorf("after a hasty crowd: got %+v and %+v, want what was frozen", y, got)
		}
		// Another baseline asks them again: of 490 300 hang up after 8 s.
		if b := freeze(y); b.Yardsticks.PromptHalfSeconds != 8 || b.Version != 2 || b.Yardsticks.PromptHalfAbandoned != 350 {
			t.Errorf("frozen anew: got %+v, want 8 s of 350", b.Yardsticks)
		}
		// What a person has set wins, and stays.
		y.PromptHalfSeconds, y.PromptHalfFrom, y.PromptHalfAbandoned = 75, report.HalfSet, 0
		freeze(y)
		if b := freeze(present()); b.Yardsticks != y || b.Yardsticks.HalfReason() != "as set" {
			t.Errorf("set: got %+v, want %+v", b.Yardsticks, y)
		}
	})
}

func TestPatienceThatWasNeverTriedIsNotGuessed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		begin := when("2025-01-02T15:00:00Z")
		w.waitsOf("abandoned", begin, "abandoned", repeated(6, 60)...)
		w.waitsOf("served", begin.Add(time.Minute), "answered", repeated(7, 100)...)
		y := w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-01", Baseline: "2025-01-01/2025-02-01"}).Yardsticks
		if y.PromptHalfSeconds != 120 || y.PromptHalfFrom != report.HalfDefault || !strings.Contains(y.HalfReason(), "not tried to its end, 60 abandonments") {
			t.Errorf("60 of 160 gave up after 6 s, nobody waited longer than 7: got %d s, %s", y.PromptHalfSeconds, y.HalfReason())
		}
		// Older than a year before the end of the baseline, or after it, they do not count.
		for _, at := range []string{"2024-01-30T15:00:00Z", "2025-02-01T05:00:00Z"} {
			w.exec(`UPDATE calls SET started_at = ? WHERE account_id = ? AND call_id LIKE 'abandoned%'`, store.Micros(when(at)), acct)
			y = w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-01", Baseline: "2025-01-01/2025-02-01"}).Yardsticks
			if y.PromptHalfAbandoned != 0 {
				t.Errorf("calls of %s: got %d, want none", at, y.PromptHalfAbandoned)
			}
		}
	})
}

// Baselines that were frozen before the wait told where it came from.
func TestAnOldBaselineKeepsItsWait(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		for seconds, from := range map[int]string{120: report.HalfDefault, 45: report.HalfSet} {
			w.exec(`DELETE FROM baselines WHERE account_id = ?`, acct)
			w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10"})
			w.exec(`UPDATE baselines SET yardsticks = ? WHERE account_id = ?`, fmt.Sprintf(`{"prompt_target_seconds":20,"prompt_half_seconds":%d,"attempt_gap_seconds":1800,
				"callback_hours":24,"hangup_seconds":5,"maturity_days":30,"return_days":90,"half_life_days":14,"won_stage":"won"}`, seconds), acct)
			y := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10"}).Yardsticks
			// Its chart of whole refunds is not compared with shares of sales.
			w.exec(`UPDATE sales SET refunded_micros = value_micros / 2 WHERE account_id = ?`, acct)
			w.exec(`UPDATE baselines SET charts = '{"kept":{"share":0.01,"sigma":1}}' WHERE account_id = ?`, acct)
			if m := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10"}); len(m.Alerts) != 0 {
				t.Errorf("a chart of whole refunds: got %+v", m.Alerts)
			}
			if y.PromptHalfSeconds != int64(seconds) || y.PromptHalfFrom != from {
				t.Errorf("%d s: got %d from %s, want it kept from %s", seconds, y.PromptHalfSeconds, y.PromptHalfFrom, from)
			}
		}
	})
}
