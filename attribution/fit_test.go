package attribution_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
)

// telling makes an account's calls with known delays: numbers that are shown to
// one visitor after the other, who call while the page is open, after one part
// of the mixture, or never, and strangers. A share of the calls is identified.
//
// who says for each call which of its holders made it: those on screen first,
// then the others as in Since; -1 for a stranger, or somebody too long ago.
func telling(d attribution.Delays, numbers, visitors int, gap, stay, identified float64, random *rand.Rand) (o attribution.Observed, who []int) {
	o.Visitors = float64(numbers * visitors)
	for range numbers {
		lefts := make([]float64, visitors)
		at := 0.0
		type call struct {
			at   float64
			from int // -1: a stranger
		}
		var calls []call
		for v := range visitors {
			at += random.ExpFloat64() * gap
			left := at + stay
			lefts[v] = left
			o.OnScreenHours += stay
			if random.Float64() < d.OnScreen*stay {
				calls = append(calls, call{at + random.Float64()*stay, v})
			}
			if random.Float64() < d.Propensity {
				x, k := random.Float64(), 0
				for ; k < len(d.Parts)-1 && x >= d.Parts[k].Weight; k++ {
					x -= d.Parts[k].Weight
				}
				calls = append(calls, call{left + random.ExpFloat64()*d.Parts[k].MeanHours, v})
			}
			at = left
		}
		o.NumberHours += at
		for t := random.ExpFloat64() / d.Background; t < at; t += random.ExpFloat64() / d.Background {
			calls = append(calls, call{t, -1})
		}
		for _, c := range calls {
			if c.at > at {
				continue // after the end of what was watched
			}
			one, made := attribution.FittedCall{Identified: random.Float64() < identified}, -1
			for v := visitors - 1; v >= 0 && len(one.Since) < 250; v-- {
				if v == c.from {
					made = one.OnScreen + len(one.Since)
				}
				switch {
				case lefts[v]-stay > c.at:
				case lefts[v] > c.at:
					one.OnScreen++
				default:
					one.Since = append(one.Since, hours(c.at-lefts[v]))
				}
			}
			if one.Identified && c.from >= 0 {
				since := max(hours(c.at-lefts[c.from]), 0)
				one.Caller = &since
			}
			o.Calls, who = append(o.Calls, one), append(who, made)
		}
	}
	return o, who
}

// The tolerances are those of the worked simulation for the short parts; the
// slow part and the background, which cannot be told apart without identities
// (they came out at half and at five times the truth), must be right here.
func TestDelaysAreFoundAgainInCallsThatWereMadeWithThem(t *testing.T) {
	truth := attribution.DefaultDelays()
	truth.OnScreen = 0.5
	start := truth
	start.Parts = []attribution.DelayPart{{Weight: 0.4, MeanHours: 0.2}, {Weight: 0.3, MeanHours: 3}, {Weight: 0.3, MeanHours: 200}}
	start.Propensity, start.Background, start.OnScreen = 0.02, 0.02, 6
	o, _ := telling(truth, 16, 2000, 0.58, 5.0/60, 0.3, rand.New(rand.NewPCG(1, 2)))
	began := time.Now()
	got := start.Fit(o)
	t.Logf("%d calls in %s: %+v", len(o.Calls), time.Since(began), got)
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	relative := func(name string, got, want, tolerance float64) {
		t.Helper()
		if got < want*(1-tolerance) || got > want*(1+tolerance) {
			t.Errorf("%s: got %.5f, want %.5f within %.0f %%", name, got, want, tolerance*100)
		}
	}
	for k, tolerance := range []float64{0.1, 0.3, 0.2} {
		relative("mean", got.Parts[k].MeanHours, truth.Parts[k].MeanHours, tolerance)
		relative("share of visitors", got.Propensity*got.Parts[k].Weight, truth.Propensity*truth.Parts[k].Weight, tolerance)
	}
	relative("background", got.Background, truth.Background, 0.3)
	relative("on screen", got.OnScreen, truth.OnScreen, 0.15)
}

// The acceptance test of the posterior: of the calls for which it is so sure, so
// many are right, within three standard errors, in every band; of visitors and
// of sources, with every visitor from one of three.
func TestTheConfidenceOfAnAnswerIsHowOftenItIsRight(t *testing.T) {
	d := attribution.DefaultDelays()
	d.OnScreen = 0.6
	random := rand.New(rand.NewPCG(3, 4))
	o, who := telling(d, 20, 2000, 0.58, 5.0/60, 0, random)
	type band struct{ calls, right, stated, variance float64 }
	bands := map[string]*band{}
	add := func(kind string, confidence float64, right bool) {
		key := fmt.Sprintf("%s %.1f", kind, math.Floor(confidence*10)/10)
		if bands[key] == nil {
			bands[key] = &band{}
		}
		b := bands[key]
		b.calls++
		b.stated += confidence
		b.variance += confidence * (1 - confidence)
		if right {
			b.right++
		}
	}
	for i, c := range o.Calls {
		var holders []attribution.Holder
		for k := range c.OnScreen + len(c.Since) {
			h := attribution.Holder{Source: []string{"a", "b", "c"}[random.IntN(3)], Ratio: 1, OnScreen: k < c.OnScreen}
			if !h.OnScreen {
				h.Since = c.Since[k-c.OnScreen]
			}
			holders = append(holders, h)
		}
		s := d.Posterior(holders, d.Background)
		if s.Holder < 0 {
			add("nobody", s.Untracked, who[i] < 0)
			continue
		}
		add("visitor", s.Holders[s.Holder], who[i] == s.Holder)
		add("source", s.Confidence(), who[i] >= 0 && holders[who[i]].Source == s.Source)
	}
	judged := 0
	for name, b := range bands {
		if b.calls < 100 {
			continue
		}
		judged++
		if off := math.Abs(b.stated - b.right); off > 3*math.Sqrt(b.variance) {
			t.Errorf("%s: %.0f calls, %.3f sure, %.3f right", name, b.calls, b.stated/b.calls, b.right/b.calls)
		}
	}
	if judged < 8 {
		t.Errorf("only %d bands had enough calls", judged)
	}
}
