package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/scripts/draws"
)

// pushed is the shop of growthBase after it bought twice the calls without
// answering them.
var pushed = Counts{
	Days: 28, Opportunities: 1120, Reached: 470, Prompt: Sample{470, 0.62, 0.3}, Handled: Sample{100, 0.74, 0.17},
	Leads: 410, Won: 96, Sold: 48000, Refunded: 3600, Sales: 96, Answers: 40, Detractors: 10,
	CustomerDays: 12600, Repeats: 118, Referrals: 34,
}

// partOf are the names that the checked figures use.
func partOf(name string) string {
	if name == partReached {
		return "answered"
	}
	return name
}

// flywheelFigures are the checked figures of one worked example.
type flywheelFigures struct {
	Factors0, Factors1 map[string]float64
	Ratios             map[string]float64
	M                  float64
	Eta0               float64             `json:"eta0"`
	F0                 float64             `json:"F0"`
	Mu0                float64             `json:"mu0"`
	MuParts0           map[string]float64  `json:"mu_parts0"`
	L0                 float64             `json:"L0"`
	Eta1               float64             `json:"eta1"`
	F1                 float64             `json:"F1"`
	Mu1                *float64            `json:"mu1"`
	MuParts1           map[string]*float64 `json:"mu_parts1"`
	L1                 float64             `json:"L1"`
	LogMean            *float64            `json:"logmean"`
	Contrib            map[string]float64
	ContribSum         *float64 `json:"contrib_sum"`
	Delta              *float64
	VarLn              map[string]float64 `json:"var_ln"`
	SE                 *float64           `json:"se"`
	CI                 []float64
}

func TestEveryFigureOfTheWorkedExamples(t *testing.T) {
	type example struct {
		Baseline, Period oracleCounts
		Result           flywheelFigures
	}
	var all struct {
		A example `json:"A_growth"`
		B example `json:"B_push_against_friction"`
		C example `json:"C_nobody_answered"`
	}
	oracle(t, &all, "oracles", "flywheel.json")
	for name, one := range map[string]example{"A": all.A, "B": all.B, "C": all.C} {
		base, period, want := one.Baseline.counts(), one.Period.counts(), one.Result
		c := Compare(base, period)
		before, now := base.gauges(), period.gauges()
		is := func(what string, got, want float64) { t.Helper(); near(t, name+" "+what, got, want) }
		if c.Index == nil || len(c.Parts) != len(want.Ratios) {
			t.Fatalf("%s: got index %v over %v", name, c.Index, c.Parts)
		}
		is("M", *c.Index, want.M)
		is("η0", c.Baseline.Grip, want.Eta0)
		is("η1", c.Period.Grip, want.Eta1)
		is("F0", c.Baseline.Friction, want.F0)
		is("F1", c.Period.Friction, want.F1)
		is("L0", c.Baseline.Momentum, want.L0)
		is("L1", c.Period.Momentum, want.L1)
		is("μ0", c.Baseline.resistance(), want.Mu0)
		if len(want.MuParts0) != len(c.Baseline.Resistance) {
			t.Errorf("%s: resistance of %v, want %v", name, c.Baseline.Resistance, want.MuParts0)
		}
		sum := 0.0
		for _, part := range c.Parts {
			as := partOf(part)
			is("factor before of "+part, before[part].value, want.Factors0[as])
			is("factor now of "+part, now[part].value, want.Factors1[as])
			is("ratio of "+part, now[part].value/before[part].value, want.Ratios[as])
			is("contribution of "+part, c.Change[part], want.Contrib[as])
			sum += c.Change[part]
			if mu, ok := want.MuParts0[as]; ok {
				is("μ0 of "+part, c.Baseline.Resistance[part], mu)
			}
			if v, ok := want.VarLn[as]; ok {
				is("variance of ln "+part, before[part].variance+now[part].variance, v)
			}
		}
		if want.Mu1 == nil {
			if c.Period.Resistance != nil || c.Interval != nil || *c.Index != 0 {
				t.Errorf("%s: got %+v, want no resistance and no interval at an index of 0", name, c)
			}
			continue
		}
		is("μ1", c.Period.resistance(), *want.Mu1)
		for as, mu := range want.MuParts1 {
			i := slices.IndexFunc(c.Parts, func(p string) bool { return partOf(p) == as })
			is("μ1 of "+as, c.Period.Resistance[c.Parts[i]], *mu)
		}
		is("logarithmic mean", logMean(*c.Index, 100), *want.LogMean)
		is("sum of contributions", sum, *want.ContribSum)
		is("difference", *c.Index-100, *want.Delta)
		if len(want.VarLn) != len(c.Parts) {
			t.Errorf("%s: %d variances, want %d", name, len(want.VarLn), len(c.Parts))
		}
		is("standard error", c.StdError, *want.SE)
		is("low end", c.Interval[0], want.CI[0])
		is("high end", c.Interval[1], want.CI[1])
	}
}

func TestPushingAgainstFrictionGainsNothing(t *testing.T) {
	c := Compare(growthBase, pushed)
	near(t, "index", *c.Index, 52.305349548098)
	near(t, "friction", c.Period.Friction, 0.968725266551)
	near(t, "low end", c.Interval[0], 35.510855515425)
	near(t, "high end", c.Interval[1], 77.042626871107)
	for part, want := range map[string]float64{
		partSpeed: 51.011980525459, partReached: -47.483888678187, partPrompt: -27.426937493895, partHandled: -3.874301422068,
		partWon: -4.821529908497, partKept: -1.962642479054, partContent: -9.211347878119, partWeight: -3.925983117542,
	} {
		near(t, part, c.Change[part], want)
	}
	if c.Interval[1] >= 100 {
		t.Errorf("got %v: it surely fell", *c.Interval)
	}
	// Resistance of the growing shop, before and after.
	grown := Compare(growthBase, growth)
	near(t, "μ before", grown.Baseline.resistance(), 2.177072011276)
	near(t, "μ after", grown.Period.resistance(), 1.878787491416)
	near(t, "standard error", grown.StdError, 0.164914045040)
	near(t, "logarithmic mean", logMean(*grown.Index, 100), 126.959090432141)
}

// The index is a fixed-base one: what moved it from one period to the next is
// their comparison, in points of the first one's index.
func TestAChainOfPeriodsIsDecomposedInPointsOfTheFixedBase(t *testing.T) {
	first, second, step := Compare(growthBase, growth), Compare(growthBase, pushed), Compare(growth, pushed)
	near(t, "over the first period", *first.Index**step.Index/100, *second.Index)
	sum := 0.0
	for part, want := range map[string]float64{
		partSpeed: 52.982545611, partReached: -67.570329411, partPrompt: -38.820286668, partHandled: -7.464241259,
		partWon: -16.996195642, partKept: -3.555837063, partContent: -17.455941236, partWeight: -7.190435799,
	} {
		points := step.Change[part] * *first.Index / 100
		near(t, part, points, want)
		sum += points
	}
	near(t, "all", sum, -106.070721466)
	near(t, "all, as a difference", sum, *second.Index-*first.Index)
}

func TestSilenceIsAMeasuredZero(t *testing.T) {
	c := Compare(
		Counts{Days: 30, Opportunities: 150, Reached: 120, Prompt: Sample{120, 0.88, 0.2}, Leads: 100, Won: 22},
		Counts{Days: 30, Opportunities: 45},
	)
	if c.Index == nil || *c.Index != 0 || !slices.Equal(c.Parts, []string{partSpeed, partReached}) || c.Period.Friction != 1 || c.Period.Momentum != 0 {
		t.Fatalf("got %+v, want an index of 0 over speed and reached", c)
	}
	near(t, "momentum before", c.Baseline.Momentum, 4)
	near(t, "friction before", c.Baseline.Friction, 0.2)
}

func TestTheGainOfTheExamplesInEveryFigure(t *testing.T) {
	f := Flow{Customers: 0.22, Delighted: 0.6, Earned: 0.3, Stay: 0.5}
	one, ok := f.Equilibrium(1)
	near(t, "each push is multiplied by", one.Attract, 1.086012163336)
	steps, slows := f.Coast()
	if !ok || !slows {
		t.Fatal("it settles and slows down")
	}
	near(t, "half of it, at 15 days a step", steps*15, 20.850899764118)
	if os.Getenv("CALLWHEEL_ORACLES") == "" {
		return
	}
	var all struct {
		Gain struct {
			Matrix struct {
				C           float64 `json:"lead_to_customer"`
				D           float64 `json:"customer_to_delighted"`
				F           float64 `json:"earned_leads_per_delighted_per_turn"`
				R           float64 `json:"delighted_stays"`
				U           float64 `json:"outside_pushes_per_step"`
				Gain        float64
				Multiplier  float64
				Equilibrium struct{ Attract, Engage, Delight float64 }
				Growth      float64 `json:"spectral_radius"`
				Coast       float64 `json:"coast_half_life_steps"`
			} `json:"matrix_example"`
			Own struct {
				C, D, F, R, Gain float64
				Growth           float64 `json:"spectral_radius"`
			} `json:"self_sustaining"`
		}
		Promptness struct {
			Target int64 `json:"target_s"`
			Half   int64 `json:"half_s"`
			Mean   struct {
				Waits []float64
				Mean  float64
			} `json:"mean_example"`
		}
		Elapsed []struct {
			Zone, Month string
			Days        float64
		} `json:"elapsed_days"`
	}
	oracle(t, &all, "oracles", "flywheel.json")
	m := all.Gain.Matrix
	f = Flow{Customers: m.C, Delighted: m.D, Earned: m.F, Stay: m.R}
	gain, _ := f.Gain()
	settled, _ := f.Equilibrium(m.U)
	one, _ = f.Equilibrium(1)
	growth, _ := f.Growth()
	steps, _ = f.Coast()
	near(t, "gain", gain, m.Gain)
	near(t, "multiplier", one.Attract, m.Multiplier)
	near(t, "attract", settled.Attract, m.Equilibrium.Attract)
	near(t, "engage", settled.Engage, m.Equilibrium.Engage)
	near(t, "delight", settled.Delight, m.Equilibrium.Delight)
	near(t, "growth", growth, m.Growth)
	near(t, "coast", steps, m.Coast)
	own := all.Gain.Own
	f = Flow{Customers: own.C, Delighted: own.D, Earned: own.F, Stay: own.R}
	gain, _ = f.Gain()
	growth, _ = f.Growth()
	near(t, "gain of a wheel that turns by itself", gain, own.Gain)
	near(t, "its growth", growth, own.Growth)

	by := DefaultYardsticks()
	if by.PromptTargetSeconds != all.Promptness.Target || by.PromptHalfSeconds != all.Promptness.Half {
		t.Errorf("target and half: got %d and %d s", by.PromptTargetSeconds, by.PromptHalfSeconds)
	}
	near(t, "mean goodwill", goodwillOf(all.Promptness.Mean.Waits), all.Promptness.Mean.Mean)
	for _, e := range all.Elapsed {
		first, err := time.Parse("2006-01", e.Month)
		if err != nil {
			t.Fatal(err)
		}
		zone := zoneOf(t, e.Zone)
		p := Period{From: dayStart(first, zone), Until: dayStart(first.AddDate(0, 1, 0), zone), Zone: zone}
		w := wheel{now: p.Until.UnixMicro(), people: &people{}}
		near(t, e.Zone+" "+e.Month, w.counts(p).Days, e.Days)
	}
	if len(all.Elapsed) == 0 || len(all.Promptness.Mean.Waits) == 0 {
		t.Error("the figures are empty")
	}
}

// goodwillOf counts a wheel whose callers waited so long.
func goodwillOf(waits []float64) float64 {
	begin := time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)
	w := wheel{by: DefaultYardsticks(), now: begin.AddDate(0, 0, 1).UnixMicro(), people: &people{}}
	for i, wait := range waits {
		w.attempts = append(w.attempts, attempt{at: begin.UnixMicro() + int64(i), reached: true, wait: wait})
	}
	return w.counts(Period{From: begin, Until: begin.AddDate(0, 0, 1), Zone: time.UTC}).Prompt.Mean
}

func TestGoodwillIsTheMeanOverThoseReached(t *testing.T) {
	near(t, "mean", goodwillOf([]float64{5, 12, 18, 25, 40, 60, 140, 10, 15, 300}), 0.836714285714)
}

func TestShrinkageInEveryFigure(t *testing.T) {
	groups := []casesOf{{8, 10}, {30, 60}, {2, 4}, {45, 120}, {0, 3}, {70, 100}}
	p, m := pool(groups)
	near(t, "pooled", *p, 0.521885521886)
	near(t, "strength", m, 7.024472508556)
	near(t, "ρ", 1/(1+m), 0.124618783220)
	for i, want := range []float64{0.61459, 0.505471, 0.518238, 0.395984, 0.453813, 0.670314} {
		if got := groups[i].drawn(*p, defaultStrength); math.Abs(got-want) > 5e-7 {
			t.Errorf("%v by the strength of 20: got %v, want %v", groups[i], got, want)
		}
	}
}

// runLength is how many days a chart takes on average from 0 to above a limit,
// when a day's z is standard normal about a shift: the Markov chain of Brook and
// Evans (Biometrika 59 (1972), 539-549) over the chart's own steps. sign −1 turns
// losses around.
func runLength(limit, shift, sign float64) float64 {
	const n = 300
	width := 2 * limit / (2*n - 1)
	c := chart{Share: 0.5, Sigma: 1}
	// Of four cases with p = ½ z is the number lost less 2.
	after := func(s, z float64) float64 { return c.step(s, lost{4, 2 + sign*z}) }
	// highest is the largest z by which the statistic does not pass an edge. A step
	// is exactly one to one with z above 0.
	below := func(s, edge float64) float64 {
		low, high := -20.0, 20.0
		if sign < 0 {
			low, high = high, low
		}
		for range 60 {
			if mid := (low + high) / 2; after(s, mid) <= edge {
				low = mid
			} else {
				high = mid
			}
		}
		x := low - shift
		if sign < 0 {
			x = -x
		}
		return 0.5 * math.Erfc(-x/math.Sqrt2)
	}
	// (I − Q)·lengths = 1, Q the chances to go from state to state below the limit.
	q, ones := mat.NewDense(n, n, nil), mat.NewVecDense(n, nil)
	for i := range n {
		last := 0.0
		for j := range n {
			up := below(float64(i)*width, (float64(j)+0.5)*width)
			q.Set(i, j, last-up)
			if i == j {
				q.Set(i, j, 1+last-up)
			}
			last = up
		}
		ones.SetVec(i, 1)
	}
	var lengths mat.VecDense
	if err := lengths.SolveVec(q, ones); err != nil {
		panic(err)
	}
	return lengths.AtVec(0)
}

func TestAChartRunsAsLongAsPublished(t *testing.T) {
	if chartLimit != 5 || chartSlack != 0.5 {
		t.Fatalf("got a limit of %v and a slack of %v, want the 5 and 0.5 of the published run lengths", chartLimit, chartSlack)
	}
	for _, c := range []struct{ limit, one, two, shifted float64 }{
		{4, 335.37, 167.68, 8.383},
		{chartLimit, 930.88, 465.44, 10.376},
	} {
		one, mirrored, shifted := runLength(c.limit, 0, 1), runLength(c.limit, 0, -1), runLength(c.limit, 1, 1)
		if math.Abs(one-c.one) > 0.01*c.one/100 {
			t.Errorf("limit %v: got %.3f quiet days, want %v", c.limit, one, c.one)
		}
		// Two charts, of more and of less, are alarmed as often as both together.
		if two := 1 / (1/one + 1/mirrored); math.Abs(two-c.two) > 0.01*c.two/100 {
			t.Errorf("limit %v, two-sided: got %.3f, want %v", c.limit, two, c.two)
		}
		if math.Abs(shifted-c.shifted) > 0.002 {
			t.Errorf("limit %v, one σ more lost: got %.4f days, want %v", c.limit, shifted, c.shifted)
		}
	}
}

// Fading numerators and denominators alike is the exponentially weighted moving
// average: with a past of weight 1/λ at the target, Σ weight·x ÷ Σ weight is
// λ·x + (1 − λ)·(what was before). Published data with λ = 0.3 and target 50
// (NIST/SEMATECH e-Handbook 6.3.2.4), as scores that come at the pace at which a
// half-life of 14 days leaves 0.7.
func TestSmoothingIsAnExponentiallyWeightedMovingAverage(t *testing.T) {
	data := []float64{52, 47, 53, 49.3, 50.1, 47, 51, 50.1, 51.2, 50.5, 49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1}
	want := []float64{50, 50.6, 49.52, 50.56, 50.18, 50.16, 49.21, 49.75, 49.85, 50.26, 50.33, 50.11, 49.36, 49.52, 50.05, 49.38, 49.92, 50.73, 51.23, 51.94, 51.99}
	const lambda, target, halfLife = 0.3, 50.0, 14
	pace := int64(math.Round(math.Log2(1/(1-lambda)) * halfLife * float64(day)))
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(i int) int64 { return start.UnixMicro() + int64(i)*pace }
	exact := target
	for i, published := range want {
		s := fading(start.AddDate(0, 0, -1), time.UnixMicro(at(i)), time.UTC, halfLife)
		var faded weighed
		faded.add(target, s.weigh(at(0))/lambda)
		if i > 0 {
			exact = lambda*data[i-1] + (1-lambda)*exact
		}
		for j := 1; j <= i; j++ {
			faded.add(data[j-1], s.weigh(at(j)))
		}
		got := faded.sample().Mean
		if math.Abs(got-published) > 0.00501 || math.Abs(got-exact) > 1e-9 {
			t.Errorf("after %d: got %.6f, want %.2f, exactly %.6f", i, got, published, exact)
		}
	}
}

// drawCountsOf draws the counts of a period whose parts are as given: what chance
// makes of them.
func drawCountsOf(r *rand.Rand, days, speed float64, parts map[string]float64) Counts {
	share := func(n int, p float64) float64 {
		x := 0
		for range n {
			if r.Float64() < p {
				x++
			}
		}
		return float64(x)
	}
	poissonOf := func(mean float64) int {
		n, until := 0, r.ExpFloat64()
		for ; until < mean; until += r.ExpFloat64() {
			n++
		}
		return n
	}
	sample := func(n int, mean float64) Sample {
		var w weighed
		for range n {
			w.add(mean+(r.Float64()-0.5)*0.4, 1)
		}
		return w.sample()
	}
	c := Counts{Days: days, Opportunities: float64(poissonOf(speed * days))}
	c.Reached = share(int(c.Opportunities), parts[partReached])
	c.Prompt = sample(int(c.Reached), parts[partPrompt])
	c.Handled = sample(int(c.Reached)/4, parts[partHandled])
	c.Leads = math.Floor(c.Reached * 0.7)
	c.Won = share(int(c.Leads), parts[partWon])
	c.Sales = math.Floor(c.Reached * 0.4)
	c.Refunds = share(int(c.Sales), 1-parts[partKept])
	c.CustomerDays = speed * days * 90
	c.Repeats = float64(poissonOf((parts[partWeight] - 1) * c.CustomerDays / returnDays))
	c.Answers = math.Floor(c.Reached * 0.4)
	c.Detractors = share(int(c.Answers), 1-parts[partContent])
	return c
}

// Of intervals that promise 95 %, 95 % hold the truth: 2,000 pairs of periods of
// each size, from one seed. The periods are made of what the variances are of, and
// nothing else: attempts by chance in time, shares of cases, means of samples.
func TestIntervalsHoldTheTruthAsOftenAsTheySay(t *testing.T) {
	before := map[string]float64{partReached: 0.8, partPrompt: 0.75, partHandled: 0.7, partWon: 0.3, partKept: 0.9, partContent: 0.8, partWeight: 1.3}
	now := map[string]float64{partReached: 0.7, partPrompt: 0.8, partHandled: 0.65, partWon: 0.4, partKept: 0.95, partContent: 0.75, partWeight: 1.4}
	const days, runs = 28.0, 2000
	for _, attempts := range []float64{84, 168, 420, 1680} {
		r := rand.New(rand.NewPCG(5, uint64(attempts)))
		truth := 100 * 1.2
		for part := range before {
			truth *= now[part] / before[part]
		}
		held, told := 0, 0
		for range runs {
			c := Compare(drawCountsOf(r, days, attempts/days, before), drawCountsOf(r, days, 1.2*attempts/days, now))
			if c.Interval == nil || len(c.Parts) != len(partNames) {
				continue // too few cases of a part this time
			}
			told++
			if c.Interval[0] <= truth && truth <= c.Interval[1] {
				held++
			}
		}
		share := float64(held) / float64(told)
		slack := 3 * math.Sqrt(0.95*0.05/float64(told))
		t.Logf("%v attempts: %.4f of %d", attempts, share, told)
		if told < runs/2 || math.Abs(share-0.95) > slack {
			t.Errorf("%v attempts: %.4f of %d intervals hold the truth, want 0.95 ± %.4f", attempts, share, told, slack)
		}
	}
}

// A business whose days vary more than chance makes them has wider intervals.
func TestCrowdsOnSomeDaysWidenTheInterval(t *testing.T) {
	calm, wild := growth, growth
	wild.Dispersion = 4
	a, b := Compare(growthBase, calm), Compare(growthBase, wild)
	near(t, "variance", b.StdError*b.StdError-a.StdError*a.StdError, 3/growth.Opportunities)
	tame := growth
	tame.Dispersion = 0.2
	near(t, "less than chance counts as chance", Compare(growthBase, tame).StdError, a.StdError)
}

// The order of the parts does not matter to what they are given.
func TestContributionsDoNotDependOnTheOrderOfTheParts(t *testing.T) {
	draws.Thousands(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "parts")
		factor := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.01, 50))
		before, now := make([]float64, n), make([]float64, n)
		for i := range n {
			before[i], now[i] = factor.Draw(t, "before"), factor.Draw(t, "now")
		}
		order := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		})).Draw(t, "order")
		shuffled := func(list []float64) []float64 {
			other := make([]float64, n)
			for to, from := range order {
				other[to] = list[from]
			}
			return other
		}
		want, got := shuffled(split(before, now)), split(shuffled(before), shuffled(now))
		sum, size := 0.0, math.Max(1, math.Max(product(before), product(now)))
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-9*size*math.Max(1, math.Abs(math.Log(size))) {
				t.Fatalf("part %d: got %v in another order, %v before", i, got[i], want[i])
			}
			sum += got[i]
		}
		if math.Abs(sum-(product(now)-product(before))) > 1e-9*size*10 {
			t.Fatalf("got %v in all, want %v", sum, product(now)-product(before))
		}
	})
}

// The same events have the same momentum under any zone, and under any database of
// zones, if the instants of the period are the same: here New York as Berlin's
// rules would have it.
func TestMomentumKnowsInstantsNotZones(t *testing.T) {
	zones := []*time.Location{zoneOf(t, "America/New_York"), time.FixedZone("America/New_York", -4*3600), time.UTC, zoneOf(t, "Australia/Lord_Howe")}
	if berlin, err := os.ReadFile("/usr/share/zoneinfo/Europe/Berlin"); err == nil { // a machine may have no zone files
		other, err := time.LoadLocationFromTZData("America/New_York", berlin)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, other)
	}
	draws.Thousands(t, func(t *rapid.T) {
		w := newGainWheel()
		hours := rapid.SliceOfN(rapid.Float64Range(0, 120*24), 30, 60).Draw(t, "hours")
		slices.Sort(hours)
		for i, h := range hours {
			w.tried(fmt.Sprint(i%7), i%5 == 0, h)
		}
		from, until := rapid.IntRange(0, 59).Draw(t, "from"), rapid.IntRange(60, 120).Draw(t, "until")
		var first Counts
		for i, zone := range zones {
			p := gainDays(from, until)
			p.Zone = zone
			c := w.counts(p)
			c.Dispersion = 0 // of local days: it widens the interval, and moves nothing
			if i == 0 {
				first = c
			} else if c != first {
				t.Fatalf("in %s: got %+v, want %+v", zone, c, first)
			}
		}
	})
}

// A call an hour is 24 a day, however long the day was.
func TestADayOf23HoursIsNotFaster(t *testing.T) {
	zone := zoneOf(t, "America/New_York")
	start := dayStart(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), zone)
	w := &wheel{by: DefaultYardsticks(), now: start.AddDate(1, 0, 0).UnixMicro(), people: &people{}}
	for h := range 40 * 24 {
		w.attempts = append(w.attempts, attempt{at: start.Add(time.Duration(h) * time.Hour).UnixMicro(), reached: h%4 > 0, wait: 5})
	}
	count := func(date int, days int) Counts {
		first := time.Date(2025, 3, date, 0, 0, 0, 0, time.UTC)
		return w.counts(Period{From: dayStart(first, zone), Until: dayStart(first.AddDate(0, 0, days), zone), Zone: zone})
	}
	for date, opportunities := range map[int]float64{8: 24, 9: 23, 10: 24} {
		c := count(date, 1)
		if c.Opportunities != opportunities || c.gauges()[partSpeed].value != 24 {
			t.Errorf("March %d: got %v attempts, %v a day; want %v and 24", date, c.Opportunities, c.gauges()[partSpeed].value, opportunities)
		}
	}
	c := Compare(count(2, 4), count(8, 4)) // 96 hours and 95
	if c.Index == nil || math.Abs(c.Change[partSpeed]) > 1e-9 {
		t.Errorf("speed is said to have moved the index by %v", c.Change[partSpeed])
	}
}

func TestTheChartOfTheExampleInEveryFigure(t *testing.T) {
	var all struct {
		Cusum struct {
			K, H, P0        float64
			Offered, Missed []float64
			Z, High         []float64
			First           int `json:"first_alert_index_1_based"`
		}
		Runs struct {
			K  float64
			H4 struct {
				One float64 `json:"one_sided"`
			}
			H5 struct {
				One float64 `json:"one_sided"`
			}
		} `json:"cusum_arl"`
	}
	oracle(t, &all, "oracles", "statistics.json")
	want := all.Cusum
	if want.K != chartSlack || want.H != chartLimit || all.Runs.K != chartSlack || all.Runs.H4.One != 335.37 || all.Runs.H5.One != 930.88 {
		t.Fatalf("got %+v, want the slack and the limit of the charts", all)
	}
	c := chart{Share: want.P0, Sigma: 1}
	s := 0.0
	for i, n := range want.Offered {
		day := lost{n, want.Missed[i]}
		s = c.step(s, day)
		if math.Abs(c.raw(day)-want.Z[i]) > 5e-7 || math.Abs(s-want.High[i]) > 5e-7 {
			t.Errorf("day %d: got z %.6f and %.6f, want %v and %v", i+1, c.raw(day), s, want.Z[i], want.High[i])
		}
		if over := s > chartLimit; over != (i+1 >= want.First) {
			t.Errorf("day %d: alarmed %v, want it from day %d on", i+1, over, want.First)
		}
	}
}

// Scores that are all alike say nothing of how much others vary: the next day is
// judged as if each case were lost or kept, and not by the noise of an addition.
func TestScoresThatAreAllAlikeAreNoSpread(t *testing.T) {
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &wheel{by: DefaultYardsticks(), now: start.AddDate(1, 0, 0).UnixMicro(), people: &people{}}
	for i := range 300 {
		w.scores = append(w.scores, scoredCall{start.Add(time.Duration(i) * time.Hour).UnixMicro(), "", 0.7})
	}
	of := w.daily(gainDays(0, 12))[partHandled]
	c, ok := newChart(of.days, of.spread)
	if !ok || c.Spread != 0 {
		t.Fatalf("got %+v, want a chart of shares", c)
	}
	if s := c.step(0, lost{24, 24 * 0.3001}); s != 0 {
		t.Errorf("a hair worse: got %v", s)
	}
}
