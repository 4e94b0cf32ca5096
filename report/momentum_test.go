package report

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/scripts/draws"
)

func fieldsOf(err error) []callwheel.FieldError {
	var e *callwheel.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: got %.12f, want %.12f", what, got, want)
	}
}

// growthBase and growth are a shop that grew: more callers, answered better,
// more of them won.
var (
	growthBase = Counts{
		Days: 28, Opportunities: 560, Reached: 448, Prompt: Sample{448, 0.9, 0.2}, Handled: Sample{120, 0.78, 0.15},
		Leads: 400, Won: 100, Sold: 50000, Refunded: 2500, Sales: 100, Answers: 40, Detractors: 6,
		CustomerDays: 12000, Repeats: 120, Referrals: 40,
	}
	growth = Counts{
		Days: 31, Opportunities: 713, Reached: 606, Prompt: Sample{606, 0.93, 0.18}, Handled: Sample{150, 0.8, 0.14},
		Leads: 540, Won: 151, Sold: 80000, Refunded: 3200, Sales: 151, Answers: 60, Detractors: 6,
		CustomerDays: 15500, Repeats: 150, Referrals: 65,
	}
)

func TestAGrowingShopGainsMomentumAndTheCausesAddUp(t *testing.T) {
	c := Compare(growthBase, growth)
	if !c.Enough || c.Index == nil || c.Interval == nil || len(c.Parts) != 8 {
		t.Fatalf("got %+v, want all eight parts compared", c)
	}
	near(t, "index", *c.Index, 158.376071014)
	near(t, "momentum before", c.Baseline.Momentum, 4.988412)
	near(t, "momentum now", c.Period.Momentum, 7.900450931613)
	near(t, "friction before", c.Baseline.Friction, 0.886627)
	near(t, "friction now", c.Period.Friction, 0.847224765217)
	near(t, "low end", c.Interval[0], 114.634271444375)
	near(t, "high end", c.Interval[1], 218.808734542729)
	var sum float64
	for part, want := range map[string]float64{
		partSpeed: 17.744049081, partReached: 7.686372103, partPrompt: 4.162966081, partHandled: 3.214325873,
		partWon: 14.220060335, partKept: 1.329426707, partContent: 7.256780232, partWeight: 2.762090602,
	} {
		near(t, part, c.Change[part], want)
		sum += c.Change[part]
	}
	near(t, "sum of causes", sum, *c.Index-100)
}

func TestNobodyReachedIsAZeroAndTooFewAttemptsAreNoAnswer(t *testing.T) {
	base := Counts{Days: 30, Opportunities: 150, Reached: 120}
	silent := Compare(base, Counts{Days: 30, Opportunities: 45})
	if !silent.Enough || silent.Index == nil || *silent.Index != 0 {
		t.Fatalf("45 attempts, none reached: got %+v, want an index of 0", silent)
	}
	if silent.Change[partReached] != -100 || silent.Change[partSpeed] != 0 {
		t.Errorf("causes: got %v, want everything on reached", silent.Change)
	}
	few := Compare(base, Counts{Days: 30, Opportunities: 12})
	if few.Enough || few.Index != nil {
		t.Fatalf("12 attempts: got %+v, want not enough data", few)
	}
	found := false
	for _, gap := range few.Missing {
		found = found || gap.Part == partSpeed && gap.Where == "period" && gap.Message == "not enough data: 30 attempts needed, 12 seen"
	}
	if !found {
		t.Errorf("missing: got %v, want 30 attempts needed, 12 seen", few.Missing)
	}
}

func TestWaitingCostsGoodwill(t *testing.T) {
	for wait, want := range map[float64]float64{0: 1, 20: 1, 30: 0.923076923077, 60: 0.75, 140: 0.5, 300: 0.3, 600: 0.171428571429, 1800: 0.063157894737} {
		near(t, "goodwill", DefaultYardsticks().Goodwill(wait), want)
	}
}

func TestGainOfAWheel(t *testing.T) {
	f := Flow{Customers: 0.22, Delighted: 0.6, Earned: 0.3, Stay: 0.5}
	g, ok := f.Gain()
	if !ok {
		t.Fatal("no gain")
	}
	near(t, "gain", g, 0.0792)
	settled, ok := f.Equilibrium(15)
	if !ok {
		t.Fatal("no equilibrium")
	}
	near(t, "attract", settled.Attract, 16.290182450043)
	near(t, "engage", settled.Engage, 3.583840139010)
	near(t, "delight", settled.Delight, 4.300608166811)
	growth, _ := f.Growth()
	near(t, "growth", growth, 0.607352751355)
	steps, ok := f.Coast()
	if !ok {
		t.Fatal("never slows down")
	}
	near(t, "coast", steps, 1.390059984275)
	if _, ok := f.Times(1000); ok {
		t.Error("a wheel that slows down never turns a thousand times as fast")
	}
	own := Flow{Customers: 0.6, Delighted: 0.9, Earned: 1, Stay: 0.5}
	g, _ = own.Gain()
	near(t, "gain of a wheel that turns by itself", g, 1.08)
	growth, _ = own.Growth()
	near(t, "its growth", growth, 1.019519993466)
	if _, ok := own.Coast(); ok {
		t.Error("a wheel that turns by itself does not slow down")
	}
	if _, ok := own.Equilibrium(15); ok {
		t.Error("a wheel that turns by itself never settles")
	}
	steps, ok = own.Times(1000)
	near(t, "a thousandfold", steps, math.Log(1000)/math.Log(1.019519993466))
	if !ok {
		t.Error("it becomes a thousand times as fast")
	}
	if _, ok := (Flow{1, 1, 1, 1}).Gain(); ok {
		t.Error("customers who stay for ever have no finite gain")
	}
}

// drawCounts draws a period whose parts all have enough cases, or any at all.
func drawCounts(t *rapid.T, name string) Counts {
	enough := rapid.Bool().Draw(t, name+" enough")
	least := func(n int) int {
		if enough {
			return n
		}
		return 0
	}
	upTo := func(low, high int, what string) float64 {
		return float64(rapid.IntRange(min(least(low), high), high).Draw(t, name+" "+what))
	}
	c := Counts{Days: rapid.Float64Range(0.5, 400).Draw(t, name+" days")}
	c.Opportunities = upTo(30, 3000, "opportunities")
	c.Reached = upTo(20, int(c.Opportunities), "reached")
	c.Prompt = Sample{upTo(20, int(c.Reached), "timed"), rapid.Float64Range(0.05, 1).Draw(t, name+" prompt"), 0.2}
	c.Late = upTo(0, int(c.Prompt.N), "late")
	c.Handled = Sample{upTo(10, 3000, "scored"), float64(rapid.IntRange(0, 1000).Draw(t, name+" handled")) / 1000, 0.2}
	c.Leads = upTo(20, 3000, "leads")
	c.Won = upTo(5, int(c.Leads), "won")
	c.Sales = upTo(10, 3000, "sales")
	c.Sold = c.Sales * 100
	c.Refunded = rapid.Float64Range(0, 1).Draw(t, name+" refunded") * c.Sold
	c.Answers = upTo(10, 3000, "answers")
	c.Detractors = upTo(0, int(c.Answers), "detractors")
	c.CustomerDays = rapid.Float64Range(float64(least(900)), 1e6).Draw(t, name+" customer days")
	c.Repeats, c.Referrals = upTo(5, 3000, "repeats"), upTo(0, 3000, "referrals")
	return c
}

// scaled is a period with so many times as many of everything.
func (c Counts) scaled(k float64) Counts {
	for _, x := range []*float64{
		&c.Opportunities, &c.Reached, &c.Prompt.N, &c.Late, &c.Handled.N, &c.Leads, &c.Won, &c.Sold, &c.Refunded, &c.Sales,
		&c.Refunds, &c.Answers, &c.Detractors, &c.CustomerDays, &c.Repeats, &c.Referrals,
	} {
		*x *= k
	}
	return c
}

func TestMomentumKeepsItsAxiomsOnRandomPeriods(t *testing.T) {
	draws.Thousands(t, func(t *rapid.T) {
		p, q, r := drawCounts(t, "p"), drawCounts(t, "q"), drawCounts(t, "r")
		c := Compare(p, q)
		for _, x := range []float64{c.Period.Momentum, c.Baseline.Momentum, c.Period.Friction, c.Baseline.Friction, c.StdError} {
			if !finite(x) {
				t.Fatalf("got %+v: not a number", c)
			}
		}
		if c.Index == nil && len(c.Missing) == 0 {
			t.Fatalf("no index, and nothing is missing: %+v", c)
		}
		if c.Index == nil {
			return
		}
		one := func(name string, of Comparison) float64 {
			if of.Index == nil || !finite(*of.Index) || *of.Index < 0 {
				t.Fatalf("%s: no index: %+v", name, of)
			}
			return *of.Index
		}
		m := one("p to q", c)
		close := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
				t.Fatalf("%s: got %v, want %v", what, got, want)
			}
		}
		// 4: fixed base.
		if same := Compare(p, p); same.Baseline.Momentum > 0 {
			close("a period against itself", one("p to p", same), 100)
		}
		if back := Compare(q, p); m > 0 && back.Index != nil && len(back.Parts) == len(c.Parts) {
			close("there and back", m**back.Index, 1e4)
		}
		on, far := Compare(q, r), Compare(p, r)
		if m > 0 && on.Index != nil && far.Index != nil && slices.Equal(on.Parts, c.Parts) && slices.Equal(far.Parts, c.Parts) {
			close("over q to r", m**on.Index/100, *far.Index)
		}
		// 5: the causes add up, and what did not change is no cause.
		sum := 0.0
		before, now := p.gauges(), q.gauges()
		for part, points := range c.Change {
			sum += points
			if before[part].value == now[part].value && m > 0 && points != 0 {
				t.Fatalf("%s did not change and moved the index by %v", part, points)
			}
		}
		close("sum of causes", sum, m-100)
		// 6: what is missing in one is missing in both.
		if swapped := Compare(q, p); !slices.Equal(swapped.Parts, c.Parts) {
			t.Fatalf("parts one way %v, the other way %v", c.Parts, swapped.Parts)
		}
		// 3 and 9: scale changes the interval only.
		k := float64(rapid.IntRange(2, 9).Draw(t, "k"))
		large := Compare(p.scaled(k), q.scaled(k))
		if slices.Equal(large.Parts, c.Parts) {
			close("everything many times", one("scaled", large), m)
			if c.Interval != nil && large.Interval != nil && large.StdError > c.StdError {
				t.Fatalf("more of the same widened the error from %v to %v", c.StdError, large.StdError)
			}
		}
		worsens := func(what string, strictly bool, change func(*Counts)) {
			other := q
			change(&other)
			got := Compare(p, other)
			if !slices.Equal(got.Parts, c.Parts) || got.Index == nil {
				return // a part has crossed its gate
			}
			if *got.Index > m*(1+1e-12) || (strictly && m > 0 && *got.Index >= m) {
				t.Fatalf("%s: the index went from %v to %v", what, m, *got.Index)
			}
			if strings.Contains(what, "missed") && got.Period.Friction < c.Period.Friction-1e-12 {
				t.Fatalf("%s: friction fell from %v to %v", what, c.Period.Friction, got.Period.Friction)
			}
		}
		// 1
		worsens("one more missed attempt", false, func(c *Counts) { c.Opportunities++ })
		if q.Reached >= 1 {
			worsens("an answered attempt missed", true, func(c *Counts) { c.Reached-- })
		}
		// 2
		if q.Refunded+1 <= q.Sold {
			worsens("one more refund", slices.Contains(c.Parts, partKept), func(c *Counts) { c.Refunded++ })
		}
		if q.Detractors < q.Answers {
			worsens("one more detractor", slices.Contains(c.Parts, partContent), func(c *Counts) { c.Detractors++ })
		}
		if q.Repeats >= 1 {
			worsens("a repeat purchase less", false, func(c *Counts) { c.Repeats-- })
		}
		if q.Referrals >= 1 {
			worsens("a referral less", false, func(c *Counts) { c.Referrals-- })
		}
		if q.Won >= 1 {
			worsens("a win less", false, func(c *Counts) { c.Won-- })
		}
	})
}

func TestSegmentsAddUpToTheChangeOfTheAccount(t *testing.T) {
	draws.Thousands(t, func(t *rapid.T) {
		draw := func(when string) (Counts, Segments) {
			groups, total := Segments{}, Counts{Days: rapid.Float64Range(1, 90).Draw(t, when+" days")}
			var prompt, handled float64
			for _, name := range []string{"a", "b", "c", "d"} {
				if !rapid.Bool().Draw(t, when+name) {
					continue
				}
				g := Counts{Days: total.Days, Opportunities: float64(rapid.IntRange(0, 400).Draw(t, when+name+" opportunities"))}
				g.Reached = float64(rapid.IntRange(0, int(g.Opportunities)).Draw(t, when+name+" reached"))
				g.Prompt = Sample{g.Reached, rapid.Float64Range(0.1, 1).Draw(t, when+name+" prompt"), 0.1}
				g.Handled = Sample{float64(rapid.IntRange(0, 40).Draw(t, when+name+" scored")), float64(rapid.IntRange(0, 1000).Draw(t, when+name+" handled")) / 1000, 0.1}
				groups[name] = g
				total.Opportunities += g.Opportunities
				total.Reached += g.Reached
				total.Prompt.N += g.Prompt.N
				total.Handled.N += g.Handled.N
				prompt += g.Prompt.N * g.Prompt.Mean
				handled += g.Handled.N * g.Handled.Mean
			}
			total.Prompt.Mean, total.Handled.Mean = ratio(prompt, total.Prompt.N), ratio(handled, total.Handled.N)
			return total, groups
		}
		p, before := draw("p")
		q, now := draw("q")
		c := Compare(p, q)
		list, ok := decompose(p, q, before, now, c)
		if !ok {
			return
		}
		sum := 0.0
		for _, one := range list {
			parts := 0.0
			for _, points := range one.parts {
				if !finite(points) {
					t.Fatalf("%s: %v", one.name, one.parts)
				}
				parts += points
			}
			if math.Abs(parts-one.total) > 1e-9*math.Max(1, math.Abs(one.total)) {
				t.Fatalf("%s: parts add up to %v, the segment to %v", one.name, parts, one.total)
			}
			sum += one.total
		}
		if math.Abs(sum-(*c.Index-100)) > 1e-8*math.Max(100, *c.Index) {
			t.Fatalf("segments add up to %v, the index changed by %v", sum, *c.Index-100)
		}
	})
}

// oracleCounts are counts as the worked examples write them.
type oracleCounts struct {
	D, O, R      float64
	T            float64 `json:"t"`
	NT           float64 `json:"nt"`
	SDT          float64 `json:"sdt"`
	Q            float64 `json:"q"`
	NQ           float64 `json:"nq"`
	SDQ          float64 `json:"sdq"`
	Leads, Won   float64
	Sold, Refund float64
	NSold        float64 `json:"nsold"`
	Resp, Det    float64
	X, Rep       float64
	Ref          float64 `json:"ref"`
}

func (o oracleCounts) counts() Counts {
	return Counts{
		Days: o.D, Opportunities: o.O, Reached: o.R, Prompt: Sample{o.NT, o.T, o.SDT},
		Handled: Sample{o.NQ, o.Q, o.SDQ}, Leads: o.Leads, Won: o.Won, Sold: o.Sold, Refunded: o.Refund,
		Sales: o.NSold, Answers: o.Resp, Detractors: o.Det, CustomerDays: o.X, Repeats: o.Rep, Referrals: o.Ref,
	}
}

func TestTheWorkedExamplesComeOutToTheLastDigit(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("CALLWHEEL_ORACLES is not set")
	}
	text, err := os.ReadFile(filepath.Join(dir, "oracles", "flywheel.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	part := func(name string) string {
		if name == partReached {
			return "answered"
		}
		return name
	}
	for _, name := range []string{"A_growth", "B_push_against_friction", "C_nobody_answered"} {
		var one struct {
			Baseline, Period oracleCounts
			Result           struct {
				M          float64
				Eta0, Eta1 float64
				F0, F1     float64
				L0, L1     float64
				Factors0   map[string]float64
				Factors1   map[string]float64
				Contrib    map[string]float64
				SE         *float64 `json:"se"`
				CI         []float64
			}
		}
		if err := json.Unmarshal(all[name], &one); err != nil {
			t.Fatal(err)
		}
		c := Compare(one.Baseline.counts(), one.Period.counts())
		if c.Index == nil {
			t.Fatalf("%s: no index: %v", name, c.Missing)
		}
		want := one.Result
		near(t, name+" M", *c.Index, want.M)
		near(t, name+" η0", c.Baseline.Grip, want.Eta0)
		near(t, name+" η1", c.Period.Grip, want.Eta1)
		near(t, name+" F0", c.Baseline.Friction, want.F0)
		near(t, name+" F1", c.Period.Friction, want.F1)
		near(t, name+" L0", c.Baseline.Momentum, want.L0)
		near(t, name+" L1", c.Period.Momentum, want.L1)
		before, now := one.Baseline.counts().gauges(), one.Period.counts().gauges()
		if len(c.Parts) != len(want.Contrib) {
			t.Errorf("%s: got the parts %v, want %d", name, c.Parts, len(want.Contrib))
		}
		for _, p := range c.Parts {
			near(t, name+" baseline "+p, before[p].value, want.Factors0[part(p)])
			near(t, name+" period "+p, now[p].value, want.Factors1[part(p)])
			near(t, name+" contribution "+p, c.Change[p], want.Contrib[part(p)])
		}
		if want.SE != nil {
			near(t, name+" se", c.StdError, *want.SE)
			near(t, name+" low", c.Interval[0], want.CI[0])
			near(t, name+" high", c.Interval[1], want.CI[1])
		}
	}
}
