package report

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func TestSmallGroupsAreDrawnTowardsThePooledRate(t *testing.T) {
	groups := []casesOf{{8, 10}, {30, 60}, {2, 4}, {45, 120}, {0, 3}, {70, 100}}
	for i, want := range []float64{0.685247, 0.502294, 0.513945, 0.383123, 0.365702, 0.688310} {
		if got := shrunken(groups)[i]; got == nil || math.Abs(*got-want) > 5e-7 {
			t.Errorf("%v: got %v, want %v", groups[i], *got, want)
		}
	}
	p, m := pool(groups)
	if math.Abs(*p-0.5218855218855218) > 1e-12 || math.Abs(m-7.024472508555946) > 1e-9 {
		t.Errorf("got rate %v and strength %v", *p, m)
	}
	if got := shrunken([]casesOf{{}, {}}); got[0] != nil || got[1] != nil {
		t.Errorf("without a case: got %v", got)
	}
	// One group cannot say how much groups differ: (3 + 20·0.75)/(4 + 20).
	if got := shrunken([]casesOf{{3, 4}}); *got[0] != 0.75 {
		t.Errorf("one group: got %v", *got[0])
	}
}

func TestStatisticsAgreeWithTheOracles(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("left out: CALLWHEEL_ORACLES is not set")
	}
	text, err := os.ReadFile(filepath.Join(dir, "oracles", "statistics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var oracle struct {
		Wilson []struct {
			X, N      int64
			Low, High float64
		} `json:"wilson_95"`
		Shrinkage struct {
			Data   [][2]int64
			Shrunk []float64
		} `json:"beta_binomial_shrinkage"`
	}
	if err := json.Unmarshal(text, &oracle); err != nil {
		t.Fatal(err)
	}
	if len(oracle.Wilson) == 0 || len(oracle.Shrinkage.Data) == 0 {
		t.Fatal("the oracles are empty")
	}
	for _, c := range oracle.Wilson {
		if got := wilson(c.X, c.N); math.Abs(got[0]-c.Low) > 1e-9 || math.Abs(got[1]-c.High) > 1e-9 {
			t.Errorf("%d of %d: got %v, want %v to %v", c.X, c.N, got, c.Low, c.High)
		}
	}
	var groups []casesOf
	for _, d := range oracle.Shrinkage.Data {
		groups = append(groups, casesOf{d[0], d[1]})
	}
	for i, got := range shrunken(groups) {
		if math.Abs(*got-oracle.Shrinkage.Shrunk[i]) > 5e-7 {
			t.Errorf("%v: got %v, want %v", groups[i], *got, oracle.Shrinkage.Shrunk[i])
		}
	}
}

// The cases of Newcombe, Statistics in Medicine 17 (1998), 857-872.
func TestWilsonIntervalsAreThePublishedOnes(t *testing.T) {
	for _, c := range []struct {
		x, n      int64
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		if got := wilson(c.x, c.n); math.Abs(got[0]-c.low) > 5e-5 || math.Abs(got[1]-c.high) > 5e-5 {
			t.Errorf("%d of %d: got %v, want %v to %v", c.x, c.n, got, c.low, c.high)
		}
	}
}

// A shrunken rate lies between the group's own and the pooled one, and in [0, 1].
func TestShrunkenRatesLieBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) casesOf {
			n := rapid.Int64Range(0, 50).Draw(t, "n")
			return casesOf{rapid.Int64Range(0, n).Draw(t, "x"), n}
		}), 1, 8).Draw(t, "groups")
		p, m := pool(groups)
		for i, got := range shrunken(groups) {
			if got == nil {
				if p != nil {
					t.Fatalf("%v has no rate", groups[i])
				}
				continue
			}
			low, high := *p, *p
			if g := groups[i]; g.n > 0 {
				own := float64(g.x) / float64(g.n)
				low, high = min(*p, own), max(*p, own)
			}
			if m < 0 || *got < low-1e-9 || *got > high+1e-9 {
				t.Fatalf("%v: got %v, want from %v to %v (strength %v)", groups[i], *got, low, high, m)
			}
		}
	})
}
