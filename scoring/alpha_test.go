package scoring_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/scoring"
	_ "github.com/callwheel/callwheel/scripts/draws"
)

// rows turns observers' marks into units; below 0 stands for a missing mark.
func rows(observers ...[]float64) [][]float64 {
	units := make([][]float64, len(observers[0]))
	for _, marks := range observers {
		for i, m := range marks {
			if m >= 0 {
				units[i] = append(units[i], m)
			}
		}
	}
	return units
}

// The worked examples of Krippendorff, Computing Krippendorff's Alpha-Reliability
// (2011), whose figures are printed with three digits.
func TestAlphaOfThePublishedExamples(t *testing.T) {
	const no = -1
	canonical := rows(
		[]float64{1, 2, 3, 3, 2, 1, 4, 1, 2, no, no, no},
		[]float64{1, 2, 3, 3, 2, 2, 4, 1, 2, 5, no, 3},
		[]float64{no, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, no},
		[]float64{1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, no})
	binary := rows([]float64{0, 1, 0, 0, 0, 0, 0, 0, 1, 0}, []float64{1, 1, 1, 0, 0, 1, 0, 0, 0, 0})
	for _, c := range []struct {
		units [][]float64
		scale scoring.Scale
		want  float64
		marks int64
	}{
		{canonical, scoring.Nominal, 0.743421053, 40},
		{canonical, scoring.Ordinal, 0.815387504, 40},
		{canonical, scoring.IntervalScale, 0.849107143, 40},
		{canonical, scoring.Ratio, 0.797402775, 40},
		{binary, scoring.Nominal, 0.095238095, 20},
		{binary, scoring.Ordinal, 0.095238095, 20},
	} {
		got := scoring.Alpha(c.units, c.scale)
		if got.Alpha == nil || math.Abs(*got.Alpha-c.want) > 1e-9 || got.Marks != c.marks {
			t.Errorf("%s: got %v over %d marks, want %v over %d", c.scale, got.Alpha, got.Marks, c.want, c.marks)
		}
	}
}

func TestAlphaOfTheOracles(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("left out: CALLWHEEL_ORACLES is not set")
	}
	text, err := os.ReadFile(filepath.Join(dir, "oracles", "statistics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var oracle struct {
		Krippendorff map[string]map[string]any `json:"krippendorff"`
	}
	if err := json.Unmarshal(text, &oracle); err != nil {
		t.Fatal(err)
	}
	cases := 0
	for name, c := range oracle.Krippendorff {
		units := [][]float64{}
		for key, value := range c {
			marks, ok := value.([]any)
			if !ok {
				continue
			}
			if len(units) == 0 {
				units = make([][]float64, len(marks))
			}
			for i, m := range marks {
				switch m := m.(type) {
				case float64:
					units[i] = append(units[i], m)
				case string: // a name; only on the nominal scale
					units[i] = append(units[i], float64(m[0]))
				case nil:
				default:
					t.Fatalf("%s.%s: %v", name, key, m)
				}
			}
		}
		for _, scale := range []scoring.Scale{scoring.Nominal, scoring.Ordinal, scoring.IntervalScale, scoring.Ratio} {
			want, ok := c[string(scale)].(float64)
			if !ok {
				continue
			}
			cases++
			got := scoring.Alpha(units, scale)
			if got.Alpha == nil || math.Abs(*got.Alpha-want) > 1e-8 {
				t.Errorf("%s, %s: got %v, want %v", name, scale, got.Alpha, want)
			}
			if n, ok := c["n_pairable"].(float64); ok && float64(got.Marks) != n {
				t.Errorf("%s: got %d marks, want %v", name, got.Marks, n)
			}
		}
	}
	if cases < 8 {
		t.Errorf("got %d cases, want 8", cases)
	}
}

func TestAlphaWithoutVariationIsNotAvailable(t *testing.T) {
	for _, units := range [][][]float64{{}, {{1}, {2}}, {{3, 3}, {3, 3, 3}}} {
		if got := scoring.Alpha(units, scoring.Ordinal); got.Alpha != nil || got.Varied() {
			t.Errorf("%v: got %v, want none", units, *got.Alpha)
		}
	}
}

// What must hold of any marks: at most 1, and 1 exactly where all agree; the
// order of units and marks does not matter, nor do units marked once; renaming
// the marks changes nothing on the nominal scale, stretching them in order
// nothing on the ordinal, shifting and scaling nothing on the interval, scaling
// nothing on the ratio scale.
func TestAlphaRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOfN(rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 5), func(i int) float64 { return float64(i) }), 0, 4), 1, 12).Draw(t, "units")
		moved := func(f func(float64) float64) [][]float64 {
			out := make([][]float64, len(units))
			for i, marks := range units {
				for _, m := range marks {
					out[i] = append(out[i], f(m))
				}
				slices.Reverse(out[i])
			}
			slices.Reverse(out)
			return append(out, []float64{3}, nil)
		}
		renamed := map[float64]float64{0: 4, 1: 0, 2: 5, 3: 1, 4: 2, 5: 3}
		agreed := true
		for _, marks := range units {
			for _, m := range marks {
				agreed = agreed && m == marks[0]
			}
		}
		for scale, change := range map[scoring.Scale]func(float64) float64{
			scoring.Nominal:       func(x float64) float64 { return renamed[x] },
			scoring.Ordinal:       func(x float64) float64 { return x*x*x + 7 },
			scoring.IntervalScale: func(x float64) float64 { return 3*x - 5 },
			scoring.Ratio:         func(x float64) float64 { return 9 * x },
		} {
			a, b := scoring.Alpha(units, scale), scoring.Alpha(moved(change), scale)
			if (a.Alpha == nil) != (b.Alpha == nil) || a.Marks != b.Marks || a.Units != b.Units {
				t.Fatalf("%s: got %+v and %+v", scale, a, b)
			}
			if a.Alpha == nil {
				continue
			}
			if math.Abs(*a.Alpha-*b.Alpha) > 1e-9 {
				t.Fatalf("%s: got %v and %v", scale, *a.Alpha, *b.Alpha)
			}
			if *a.Alpha > 1 || (*a.Alpha == 1) != agreed {
				t.Fatalf("%s: got %v where everybody agrees: %v", scale, *a.Alpha, agreed)
			}
		}
	})
}
