package report_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// scoredBy adds a call of the agent with one score by a scorer.
func (w *world) scoredBy(call, agent, scorer string, version int, points float64) {
	w.ring(call, "+13125550001", "2025-03-05T16:00:00Z", "answered")
	w.exec(`INSERT INTO call_desks (account_id, call_id, version, agent_id, score_ppm, scores, updated_at) VALUES (?, ?, 1, ?, ?, 1, 0)`, acct, call, agent, int64(points*1e4))
	w.exec(`INSERT INTO scores (account_id, score_id, call_id, scorecard_id, scorecard_version, scorer, marks, points_ppm, uncritical_ppm, auto_failed, scored_at)
		VALUES (?, ?, ?, 'card_1', ?, ?, '{}', ?, ?, FALSE, 0)`, acct, "score_"+call, call, version, scorer, int64(points*1e4), int64(points*1e4))
}

// Ann and Bea are equally good. A strict scorer, who gives 10 points less, took
// most of Ann's calls, a kind one most of Bea's. Cleo has two calls.
func TestAgentsAreComparedWithoutTheirScorers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for _, name := range []string{"Ann", "Bea", "Cleo"} {
			w.exec(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, ?, ?, '', 0)`, acct, "agent_"+name, name)
		}
		for i := range 12 {
			spread := float64(i%3-1) * 2
			strict, kind := "user_kind", "user_strict"
			if i < 10 {
				strict, kind = kind, strict
			}
			points := map[string]float64{"user_strict": 65 + spread, "user_kind": 75 + spread}
			w.scoredBy(fmt.Sprint("ann_", i), "agent_Ann", strict, 1, points[strict])
			w.scoredBy(fmt.Sprint("bea_", i), "agent_Bea", kind, 1, points[kind])
		}
		w.scoredBy("cleo_1", "agent_Cleo", "user_kind", 1, 99)
		w.scoredBy("cleo_2", "agent_Cleo", "user_kind", 2, 97)
		a, err := w.desk.Agents(context.Background(), report.Query{AccountID: acct, From: "2025-03-01", Until: "2025-03-11"})
		if err != nil {
			t.Fatal(err)
		}
		ann, bea, cleo := a.Rows[0], a.Rows[1], a.Rows[2]
		// Ann: ten strict scores, of which the spreads add up to −2, and two kind
		// ones, whose spreads add up to 2.
		if want := (10*65 + 2*75) / 12.0; math.Abs(*ann.Score-want) > 1e-6 || math.Abs(*bea.Score-(2*65+10*75)/12.0) > 1e-6 {
			t.Errorf("raw: got %v and %v", *ann.Score, *bea.Score)
		}
		if d := *bea.ScoreAdjusted - *ann.ScoreAdjusted; math.Abs(d) > 2 || *ann.ScoreAdjusted < *ann.Score+2 {
			t.Errorf("adjusted: got %v and %v, want hardly a difference", *ann.ScoreAdjusted, *bea.ScoreAdjusted)
		}
		for _, r := range []report.AgentRow{ann, bea} {
			i, s := r.ScoreInterval, r.ScoreShrunkenInterval
			if r.Rank == nil || i[0] >= *r.Score || i[1] <= *r.Score || s[0] >= *r.ScoreShrunken || s[1] <= *r.ScoreShrunken || r.ScoresMixed {
				t.Errorf("%s: got %+v", r.Agent, r)
			}
		}
		// Two scores of 99 and 97: 98 ± 12.7062·√2/√2, cut at 100. Too few for a rank.
		if i := cleo.ScoreInterval; cleo.Rank != nil || !cleo.ScoresMixed || !a.Totals.ScoresMixed || math.Abs(i[0]-(98-12.7062047)) > 1e-6 || i[1] != 100 {
			t.Errorf("Cleo: got rank %v, interval %v, mixed %v", cleo.Rank, cleo.ScoreInterval, cleo.ScoresMixed)
		}
		notes := strings.Join(a.Table().Notes, "\n")
		for _, want := range []string{"different scorecards or versions", "No rank for 1 agent with fewer than 10 scored calls"} {
			if !strings.Contains(notes, want) {
				t.Errorf("the notes do not say %q: %s", want, notes)
			}
		}
	})
}
