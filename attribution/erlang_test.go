package attribution_test

import (
	"cmp"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/attribution"
)

// poolOracle is the published file of pool figures.
type poolOracle struct {
	ErlangB []struct {
		N    int
		A, B float64
		LnB  float64 `json:"lnB"`
	} `json:"erlang_b"`
	Published []struct {
		N        int
		A        float64
		B        *float64
		BRounded *float64 `json:"B_rounded"`
		LnB      *float64 `json:"lnB"`
		Source   string   `json:"source"`
	} `json:"erlang_b_published"`
	Traffic map[string]map[string]float64 `json:"erlang_b_traffic_for_blocking"`
	Needed  []struct {
		A, Target float64
		N         int
		B         float64
	} `json:"numbers_needed"`
	Engset []struct {
		N, Sources int
		Alpha      float64 `json:"alpha_per_idle_source"`
		Time       float64 `json:"time_congestion"`
		Call       float64 `json:"call_congestion"`
	} `json:"engset"`
	Reuse []struct {
		PerHour float64 `json:"visitors_per_hour"`
		Delay   float64 `json:"mean_call_delay_minutes"`
		Free    int     `json:"free_numbers"`
		LRR     float64 `json:"lrr"`
		Random  float64 `json:"random"`
		Fixed   float64 `json:"fixed_gap"`
	} `json:"reuse_before_call_exponential"`
	Mixture struct {
		Weights   []float64 `json:"weights"`
		MeanHours []float64 `json:"mean_hours"`
	} `json:"delay_mixture"`
	LRR []struct {
		N        int
		PerHour  float64 `json:"visitors_per_hour"`
		Session  float64 `json:"session_minutes"`
		Free     float64 `json:"free"`
		Accuracy float64 `json:"accuracy"`
	} `json:"last_holder_accuracy_lrr"`
	Random []struct {
		N        int
		Accuracy float64 `json:"accuracy"`
	} `json:"last_holder_accuracy_random"`
	Simulated struct {
		LRR    map[string]float64 `json:"lrr"`
		Random map[string]float64 `json:"random"`
		Error  float64            `json:"standard_error_about"`
	} `json:"simulated_150_days"`
}

func readPoolOracle(t *testing.T) poolOracle {
	t.Helper()
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("left out: CALLWHEEL_ORACLES is not set")
	}
	b, err := os.ReadFile(filepath.Join(dir, "oracles", "pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	var o poolOracle
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{
		"erlang_b": len(o.ErlangB), "published": len(o.Published), "traffic": len(o.Traffic), "needed": len(o.Needed), "engset": len(o.Engset),
		"reuse": len(o.Reuse), "lrr": len(o.LRR), "random": len(o.Random), "simulated": len(o.Simulated.LRR),
	} {
		if n == 0 {
			t.Fatalf("the oracle has no %s", name)
		}
	}
	return o
}

func (o poolOracle) waits() []attribution.DelayPart {
	var list []attribution.DelayPart
	for i, w := range o.Mixture.Weights {
		list = append(list, attribution.DelayPart{Weight: w, MeanHours: o.Mixture.MeanHours[i]})
	}
	return list
}

// near compares with a tolerance relative to the larger of want and 1e-300.
func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > relative*max(math.Abs(want), 1e-300) {
		t.Errorf("%s: got %.15g, want %.15g", what, got, want)
	}
}

func TestErlangBAgreesWithThePublishedFigures(t *testing.T) {
	o := readPoolOracle(t)
	for _, c := range o.ErlangB {
		near(t, label("B", c.N, c.A), attribution.ErlangB(c.N, c.A), c.B, 1e-12)
		near(t, label("ln B", c.N, c.A), attribution.LogErlangB(c.N, c.A), c.LnB, 1e-12)
	}
	for _, c := range o.Published {
		got := attribution.ErlangB(c.N, c.A)
		switch {
		case c.LnB != nil:
			near(t, c.Source, attribution.LogErlangB(c.N, c.A), *c.LnB, 1e-11)
		case c.BRounded != nil:
			if math.Round(got*1e4)/1e4 != *c.BRounded {
				t.Errorf("%s: got %.6f, want about %.4f", c.Source, got, *c.BRounded)
			}
		case *c.B == 0.01: // the manual gives the load to four digits
			near(t, c.Source, got, *c.B, 1e-4)
		default:
			near(t, c.Source, got, *c.B, 1e-14)
		}
	}
}

func label(what string, n int, a float64) string {
	return what + "(" + strconv.Itoa(n) + ", " + strconv.FormatFloat(a, 'g', -1, 64) + ")"
}

func TestTheLoadThatNumbersCarryAgreesWithTheTables(t *testing.T) {
	o := readPoolOracle(t)
	for n, row := range o.Traffic {
		for blocking, want := range row {
			target, _ := strconv.ParseFloat(blocking, 64)
			numbers, _ := strconv.Atoi(n)
			got := attribution.LoadForOverflow(numbers, target)
			if math.Abs(got-want) > 5.1e-7 {
				t.Errorf("%s numbers at %s: got %.6f, want %.6f", n, blocking, got, want)
			}
		}
	}
}

func TestTheNumbersNeededAgreeWithTheOracle(t *testing.T) {
	for _, c := range readPoolOracle(t).Needed {
		n, ok := attribution.NumbersForOverflow(c.A, c.Target)
		if !ok || n != c.N {
			t.Errorf("%g erlangs at %g: got %d, want %d", c.A, c.Target, n, c.N)
		}
		near(t, label("B", n, c.A), attribution.ErlangB(n, c.A), c.B, 1e-12)
	}
}

func TestEngsetAgreesWithTheOracle(t *testing.T) {
	for _, c := range readPoolOracle(t).Engset {
		time, call := attribution.Engset(c.N, c.Sources, c.Alpha)
		near(t, label("time congestion", c.N, c.Alpha), time, c.Time, 1e-12)
		near(t, label("call congestion", c.N, c.Alpha), call, c.Call, 1e-12)
	}
}

func TestReuseBeforeTheCallAgreesWithTheOracle(t *testing.T) {
	for _, c := range readPoolOracle(t).Reuse {
		one := []attribution.DelayPart{{Weight: 1, MeanHours: c.Delay / 60}}
		near(t, "by release", 1-attribution.HolderAccuracy(c.Free, c.PerHour, 0, one), c.LRR, 1e-12)
		near(t, "at random", 1-attribution.RandomAccuracy(c.Free, c.PerHour, 0, one), c.Random, 1e-12)
		near(t, "fixed gap", 1-attribution.GapAccuracy(attribution.ReuseGap(c.Free, c.PerHour, 0), one), c.Fixed, 1e-12)
	}
}

func TestAccuracyOfTheLatestHolderAgreesWithTheOracle(t *testing.T) {
	o := readPoolOracle(t)
	if waits := o.waits(); !slices.EqualFunc(waits, attribution.DefaultDelays().Parts, func(a, b attribution.DelayPart) bool {
		return a.Weight == b.Weight && math.Abs(a.MeanHours-b.MeanHours) < 1e-15
	}) {
		t.Errorf("the assumed waits are not those of the oracle: %v", waits)
	}
	for _, c := range o.LRR {
		near(t, label("by release", c.N, c.PerHour), attribution.HolderAccuracy(c.N, c.PerHour, c.Session/60, o.waits()), c.Accuracy, 1e-12)
		near(t, "free", attribution.ReuseGap(c.N, c.PerHour, c.Session/60)*c.PerHour, c.Free, 1e-12)
		if got, want := attribution.HolderAccuracy(c.N, c.PerHour, c.Session/60, o.waits()), o.Simulated.LRR[strconv.Itoa(c.N)]; math.Abs(got-want) > 3*o.Simulated.Error {
			t.Errorf("%d numbers: got %.4f, simulated %.4f", c.N, got, want)
		}
	}
	for _, c := range o.Random {
		near(t, label("at random", c.N, 60), attribution.RandomAccuracy(c.N, 60, 5.0/60, o.waits()), c.Accuracy, 1e-12)
		if got, want := attribution.RandomAccuracy(c.N, 60, 5.0/60, o.waits()), o.Simulated.Random[strconv.Itoa(c.N)]; math.Abs(got-want) > 3*o.Simulated.Error {
			t.Errorf("%d numbers at random: got %.4f, simulated %.4f", c.N, got, want)
		}
	}
}

func TestErlangBIsAShareThatFallsWithNumbersAndRisesWithLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 400).Draw(t, "n")
		a := rapid.Float64Range(1e-6, 500).Draw(t, "a")
		more := a + rapid.Float64Range(0, 100).Draw(t, "more")
		b := attribution.ErlangB(n, a)
		if b < 0 || b > 1 {
			t.Fatalf("B(%d, %g) = %g is no share", n, a, b)
		}
		if next := attribution.ErlangB(n+1, a); next > b {
			t.Fatalf("B rose from %g to %g with one more number", b, next)
		}
		if busier := attribution.ErlangB(n, more); busier < b*(1-1e-12) {
			t.Fatalf("B fell from %g to %g with more load", b, busier)
		}
		if b > 1e-300 && math.Abs(attribution.LogErlangB(n, a)-math.Log(b)) > 1e-9*max(1, math.Abs(math.Log(b))) {
			t.Fatalf("ln B(%d, %g): got %g, want %g", n, a, attribution.LogErlangB(n, a), math.Log(b))
		}
		if wanted, ok := attribution.NumbersForOverflow(a, 0.01); !ok || attribution.ErlangB(wanted, a) > 0.01 || wanted > 0 && attribution.ErlangB(wanted-1, a) <= 0.01 {
			t.Fatalf("%d is not the smallest pool for %g erlangs", wanted, a)
		}
	})
}

func TestTheRecursionEqualsTheSumOfFractions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "n")
		top := rapid.Int64Range(1, 10_000).Draw(t, "numerator")
		bottom := rapid.Int64Range(1, 100).Draw(t, "denominator")
		load := big.NewRat(top, bottom)
		term, sum := big.NewRat(1, 1), big.NewRat(1, 1) // aᵏ/k!
		for k := 1; k <= n; k++ {
			term = new(big.Rat).Mul(term, new(big.Rat).Quo(load, big.NewRat(int64(k), 1)))
			sum = new(big.Rat).Add(sum, term)
		}
		want, _ := new(big.Rat).Quo(term, sum).Float64()
		a, _ := load.Float64()
		if got := attribution.ErlangB(n, a); math.Abs(got-want) > 1e-12*want {
			t.Fatalf("B(%d, %s): got %.17g, want %.17g", n, load, got, want)
		}
	})
}

func TestEngsetTendsToErlangBAndNeverExceedsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		a := rapid.Float64Range(0.01, 80).Draw(t, "a")
		sources := rapid.IntRange(n, 5000).Draw(t, "sources")
		b := attribution.ErlangB(n, a)
		time, call := attribution.Engset(n, sources, a/float64(sources))
		if time > b*(1+1e-12) || call > time*(1+1e-12) {
			t.Fatalf("Engset %g, %g exceeds Erlang-B %g", time, call, b)
		}
		endless, _ := attribution.Engset(n, 1<<40, a/float64(int64(1)<<40))
		if math.Abs(endless-b) > 1e-8*b {
			t.Fatalf("with endless sources: got %g, want %g", endless, b)
		}
		if _, none := attribution.Engset(sources, sources, 1); none != 0 {
			t.Fatalf("a number for everybody: %g find none", none)
		}
	})
}

func TestAccuracyRisesWithNumbersAndFallsWithVisitors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 500).Draw(t, "n")
		perHour := rapid.Float64Range(0.01, 500).Draw(t, "per hour")
		more := perHour * rapid.Float64Range(1, 5).Draw(t, "busier")
		stay := rapid.Float64Range(0, 0.5).Draw(t, "stay")
		waits := attribution.DefaultDelays().Parts
		acc := attribution.HolderAccuracy(n, perHour, stay, waits)
		if acc < 0 || acc > 1 {
			t.Fatalf("%g is no share", acc)
		}
		if bigger := attribution.HolderAccuracy(n+1, perHour, stay, waits); bigger < acc-1e-12 {
			t.Fatalf("fell from %g to %g with one more number", acc, bigger)
		}
		if busier := attribution.HolderAccuracy(n, more, stay, waits); busier > acc+1e-12 {
			t.Fatalf("rose from %g to %g with more visitors", acc, busier)
		}
		// With a number to choose, the order of release is never worse than
		// chance, nor better than a gap that is always the same.
		if random := attribution.RandomAccuracy(n, perHour, stay, waits); float64(n)-perHour*stay >= 1 && random > acc+1e-12 {
			t.Fatalf("at random %g beats %g", random, acc)
		}
		if floor := attribution.GapAccuracy(attribution.ReuseGap(n, perHour, stay), waits); acc > floor+1e-12 {
			t.Fatalf("%g beats the fixed gap %g", acc, floor)
		}
		target := rapid.Float64Range(0.01, 0.99).Draw(t, "target")
		need, ok := attribution.NumbersForAccuracy(target, perHour, stay, waits, 2000)
		if ok && (attribution.HolderAccuracy(need, perHour, stay, waits) < target || need > 0 && attribution.HolderAccuracy(need-1, perHour, stay, waits) >= target) {
			t.Fatalf("%d is not the smallest pool for %g", need, target)
		}
		if !ok && attribution.HolderAccuracy(2000, perHour, stay, waits) >= target {
			t.Fatalf("2000 numbers reach %g, but the answer was none", target)
		}
	})
}

// Property 1.5: under the order of release a number's grants are N/λ apart.
func TestGrantsOfOneNumberAreAsFarApartAsThePoolIsLarge(t *testing.T) {
	const perHour = 60.0
	dice := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // repeatable, not secret
	type release struct {
		at     float64
		number int
	}
	for _, n := range []int{15, 40} {
		queue := make([]int, n) // numbers in the order of release
		for i := range queue {
			queue[i] = i
		}
		var held []release // by time
		last, gaps, sum := map[int]float64{}, 0, 0.0
		for now := 0.0; gaps < 60_000; now += dice.ExpFloat64() / perHour {
			for len(held) > 0 && held[0].at <= now {
				queue, held = append(queue, held[0].number), held[1:]
			}
			if len(queue) == 0 {
				continue
			}
			number := queue[0]
			queue = queue[1:]
			if before, seen := last[number]; seen {
				gaps, sum = gaps+1, sum+now-before
			}
			last[number] = now
			back := release{now + dice.ExpFloat64()*5/60, number}
			i, _ := slices.BinarySearchFunc(held, back, func(a, b release) int { return cmp.Compare(a.at, b.at) })
			held = slices.Insert(held, i, back)
		}
		near(t, label("mean gap", n, perHour), sum/float64(gaps), float64(n)/perHour, 0.02)
	}
}
