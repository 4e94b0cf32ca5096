package scoring_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/scoring"
)

// sixCriteria are the weights of a published example card; the last is critical.
func sixCriteria() []scoring.Criterion {
	var out []scoring.Criterion
	for i, w := range []float64{10, 20, 25, 20, 15, 10} {
		out = append(out, scoring.Criterion{ID: fmt.Sprint("c", i), Name: fmt.Sprint("Criterion ", i), Weight: w, MaxLevel: 4, Critical: i == 5})
	}
	return out
}

func TestTheWorkedScoreIsRight(t *testing.T) {
	// Marks 1, .5, 1, .75, not applicable, 1:
	// (10 + 10 + 25 + 15 + 10) / (10 + 20 + 25 + 20 + 10) = 70/85.
	levels := map[string]int64{"c0": 4, "c1": 2, "c2": 4, "c3": 3, "c5": 4}
	r := scoring.Total(sixCriteria(), levels)
	if r.Score == nil || math.Abs(*r.Score-82.352941) > 1e-6 || r.AutoFailed {
		t.Errorf("got %v, want 82.352941", r)
	}
	// The critical one fails: (10 + 10 + 25 + 15 + 0) / 85 stands beside the 0.
	levels["c5"] = 0
	r = scoring.Total(sixCriteria(), levels)
	if r.Score == nil || *r.Score != 0 || !r.AutoFailed || math.Abs(*r.Uncritical-100*60/85.0) > 1e-9 {
		t.Errorf("got %v %v, want 0 and 70.588235 beside it", r.Score, r.Uncritical)
	}
	if r = scoring.Total(sixCriteria(), nil); r.Score != nil || r.Uncritical != nil || r.AutoFailed {
		t.Errorf("nothing applies: got %v, want not scored", r)
	}
}

func card(t *rapid.T) ([]scoring.Criterion, map[string]int64) {
	var criteria []scoring.Criterion
	levels := map[string]int64{}
	for i := range rapid.IntRange(1, 12).Draw(t, "criteria") {
		c := scoring.Criterion{
			ID: fmt.Sprint("c", i), Weight: rapid.Float64Range(0.01, 1000).Draw(t, "weight"),
			MaxLevel: rapid.Int64Range(1, 10).Draw(t, "max"), Critical: rapid.IntRange(0, 4).Draw(t, "critical") == 0,
		}
		criteria = append(criteria, c)
		if rapid.IntRange(0, 3).Draw(t, "applies") > 0 {
			levels[c.ID] = rapid.Int64Range(0, c.MaxLevel).Draw(t, "level")
		}
	}
	return criteria, levels
}

func TestAScoreKeepsItsPropertiesWhateverTheCard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		criteria, levels := card(t)
		r := scoring.Total(criteria, levels)
		if (r.Score == nil) != (len(levels) == 0) {
			t.Fatalf("scored %v with %d applicable criteria", r.Score != nil, len(levels))
		}
		if r.Score == nil {
			return
		}
		failed := false
		for _, c := range criteria {
			x, applies := levels[c.ID]
			failed = failed || c.Critical && applies && x == 0
		}
		if r.AutoFailed != failed || failed && *r.Score != 0 || !failed && *r.Score != *r.Uncritical {
			t.Fatalf("critical failure %v: got %v, %v, %v", failed, r.AutoFailed, *r.Score, *r.Uncritical)
		}
		if *r.Uncritical < 0 || *r.Uncritical > 100 {
			t.Fatalf("%v is off the scale", *r.Uncritical)
		}
		// Only the shares of the weights matter.
		for i := range criteria {
			criteria[i].Weight *= 7
		}
		if again := scoring.Total(criteria, levels); math.Abs(*again.Uncritical-*r.Uncritical) > 1e-9 {
			t.Fatalf("seven times the weights: got %v, want %v", *again.Uncritical, *r.Uncritical)
		}
		// One level more never lowers the score.
		for _, c := range criteria {
			x, applies := levels[c.ID]
			if !applies || x == c.MaxLevel {
				continue
			}
			levels[c.ID]++
			if better := scoring.Total(criteria, levels); *better.Score < *r.Score-1e-9 || *better.Uncritical <= *r.Uncritical-1e-9 {
				t.Fatalf("a better mark lowered %v to %v", *r.Score, *better.Score)
			}
			levels[c.ID]--
		}
		for _, c := range criteria {
			if _, applies := levels[c.ID]; applies {
				levels[c.ID] = c.MaxLevel
			}
		}
		if full := scoring.Total(criteria, levels); *full.Score != 100 {
			t.Fatalf("full marks: got %v, want 100", *full.Score)
		}
	})
}

func TestMarksAreReadByIdOrNameAndEveryBadOneIsNamed(t *testing.T) {
	level := func(v int64) *int64 { return &v }
	levels, err := scoring.Levels(sixCriteria(), []scoring.Mark{
		{Criterion: "c0", Level: level(4)}, {Criterion: "criterion 1", Level: level(0)}, {Criterion: "c2"},
	})
	if err != nil || len(levels) != 2 || levels["c0"] != 4 || levels["c1"] != 0 {
		t.Errorf("got %v, %v", levels, err)
	}
	_, err = scoring.Levels(sixCriteria(), []scoring.Mark{
		{Criterion: "c0", Level: level(5)},
		{Criterion: "Criterium 1", Level: level(1)},
		{Criterion: "c3", Level: level(-1)},
		{Criterion: "c4", Level: level(1)},
		{Criterion: "c4"},
	})
	want := map[string]string{
		"marks[0].level": "from 0 to 4", "marks[1].criterion": `"Criterion 1"`, "marks[2].level": "from 0 to 4", "marks[4].criterion": "twice",
	}
	checkFields(t, err, want)
	_, err = scoring.Levels(sixCriteria(), nil) // would put nothing in the place of the score before
	checkFields(t, err, map[string]string{"marks": "at least one"})
}

// checkFields wants err to be Invalid, with exactly these fields, each message
// containing the text.
func checkFields(t *testing.T, err error, want map[string]string) {
	t.Helper()
	got := fields(err)
	if callwheel.KindOf(err) != callwheel.Invalid || len(got) != len(want) {
		t.Errorf("got %v, want kind invalid with fields %v", err, want)
	}
	for field, text := range want {
		if !strings.Contains(got[field], text) {
			t.Errorf("%s: got %q, want %q in it", field, got[field], text)
		}
	}
}
