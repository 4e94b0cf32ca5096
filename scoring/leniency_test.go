package scoring_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/scoring"
)

// Two agents who are equally good, of whom each was scored mostly by another
// scorer: the raw means differ by 8, the adjusted ones hardly.
func TestLeniencyTellsStrictScorersFromBadAgents(t *testing.T) {
	var list []scoring.Marking
	add := func(agent, scorer string, n int) {
		for i := range n {
			score := 75 + float64(i%3-1)*2 // 73, 75, 77
			if scorer == "strict" {
				score -= 10
			}
			list = append(list, scoring.Marking{Agent: agent, Scorer: scorer, Score: score})
		}
	}
	add("ann", "strict", 27)
	add("ann", "kind", 3)
	add("bea", "strict", 3)
	add("bea", "kind", 27)
	got := scoring.FitLeniency(list)
	ann, bea := got.Agents["ann"], got.Agents["bea"]
	if ann.Raw != 66 || bea.Raw != 74 || ann.Scores != 30 {
		t.Errorf("raw: got %v and %v over %d, want 66 and 74 over 30", ann.Raw, bea.Raw, ann.Scores)
	}
	if d := bea.Adjusted - ann.Adjusted; math.Abs(d) > 1 {
		t.Errorf("adjusted: got %v and %v, want hardly a difference", ann.Adjusted, bea.Adjusted)
	}
	if d := got.Scorers["kind"] - got.Scorers["strict"]; math.Abs(d-10) > 1 {
		t.Errorf("leniency: got %v between the scorers, want about 10", d)
	}
	if ann.Error == nil || *ann.Error <= 0 || *ann.Error > 1 {
		t.Errorf("error: got %v", ann.Error)
	}
}

// By hand: one scorer, agents with scores 60, 70, 80 and 90: two of the first,
// two of the second. Within: ((60−65)²+(70−65)²+(80−85)²+(90−85)²)/2 = 50;
// between: (2·10²·2 − 1·50)/(4 − 8/4) = 175; strength 50/175 = 2/7. The only
// scorer has nobody to be compared with, so that effect is 0 and agents are
// 75 ∓ 10·2/(2+2/7) = 75 ∓ 8.75.
func TestLeniencyByHand(t *testing.T) {
	got := scoring.FitLeniency([]scoring.Marking{{"a", "s", 60}, {"b", "s", 80}, {"a", "s", 70}, {"b", "s", 90}})
	for name, want := range map[string][2]float64{"a": {65, 66.25}, "b": {85, 83.75}} {
		a := got.Agents[name]
		if a.Raw != want[0] || math.Abs(a.Adjusted-want[0]) > 1e-8 || math.Abs(a.Shrunken-want[1]) > 1e-8 {
			t.Errorf("%s: got %+v, want %v", name, a, want)
		}
		if want := math.Sqrt(50 / (2 + 2.0/7)); a.Error == nil || math.Abs(*a.Error-want) > 1e-8 {
			t.Errorf("%s: got error %v, want %v", name, a.Error, want)
		}
	}
	if math.Abs(got.Mean-75) > 1e-8 || math.Abs(got.Scorers["s"]) > 1e-8 {
		t.Errorf("got mean %v and scorer %v, want 75 and 0", got.Mean, got.Scorers["s"])
	}
	if empty := scoring.FitLeniency(nil); len(empty.Agents) != 0 {
		t.Errorf("of nothing: got %v", empty)
	}
}

// Whatever the scores: everything is finite, a shrunken mean lies between the
// adjusted one and everybody's, the order of the scores does not matter, and
// scorers who all give c points more move every mean by c.
func TestLeniencyRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scoring.Marking {
			return scoring.Marking{
				Agent: fmt.Sprint("agent", rapid.IntRange(0, 3).Draw(t, "agent")), Scorer: fmt.Sprint("scorer", rapid.IntRange(0, 3).Draw(t, "scorer")),
				Score: float64(rapid.IntRange(0, 90).Draw(t, "score")),
			}
		}), 1, 30).Draw(t, "markings")
		a := scoring.FitLeniency(list)
		var turned []scoring.Marking
		for i := range list {
			m := list[len(list)-1-i]
			m.Score += 7
			turned = append(turned, m)
		}
		b := scoring.FitLeniency(turned)
		for name, one := range a.Agents {
			low, high := min(one.Adjusted, a.Mean), max(one.Adjusted, a.Mean)
			if !(one.Shrunken >= low-1e-6 && one.Shrunken <= high+1e-6) {
				t.Fatalf("%s: %v is not between %v and %v", name, one.Shrunken, low, high)
			}
			if d := b.Agents[name].Shrunken - one.Shrunken; math.Abs(d-7) > 1e-6 {
				t.Fatalf("%s: got %v more, want 7", name, d)
			}
		}
	})
}
