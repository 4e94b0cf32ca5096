package report

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/scripts/draws"
)

var gainStart = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// tried adds opportunities of a person at so many hours; bought says which of them
// ended in a purchase half an hour later.
func (w *wheel) tried(name string, bought bool, hours ...float64) {
	for _, h := range hours {
		at := gainStart.UnixMicro() + int64(h*3600)*second
		w.attempts = append(w.attempts, attempt{at: at, caller: name, reached: true, wait: -1})
		if bought {
			one := w.people.get(name)
			one.sales = append(one.sales, &sale{SoldAt: at + 1800*second, Value: 1e6, Currency: "USD"})
		}
	}
	slices.SortStableFunc(w.attempts, func(a, b attempt) int { return int(a.at/second - b.at/second) })
}

func newGainWheel() *wheel {
	return &wheel{
		by: DefaultYardsticks(), now: gainStart.AddDate(2, 0, 0).UnixMicro(), account: account{Currency: "USD"},
		people: &people{canon: map[string]string{}, persons: map[string]*person{}},
	}
}

func gainDays(from, until int) Period {
	return Period{From: gainStart.AddDate(0, 0, from), Until: gainStart.AddDate(0, 0, until), Zone: time.UTC}
}

func (w *wheel) gainOf(p Period) MomentumPhases {
	c := w.counts(p)
	c.Won = 1
	var m MomentumPeriod
	w.phases(&m, p, c)
	return m.Phases
}

// On the wheel of this test a quarter of each day's customers come again on the
// next. Only when as many come every day is the share of those who come again the
// gain.
func TestThePlainShareIsTheGainOnlyAtEquilibrium(t *testing.T) {
	for _, c := range []struct {
		growth int
		share  float64
	}{{1, 0.25}, {2, 0.125}} {
		w := newGainWheel()
		size, last := 40, []string(nil)
		for d := range 6 {
			var today []string
			today = append(today, last[len(last)-len(last)/4:]...) // who come again
			for i := len(today); i < size; i++ {
				today = append(today, fmt.Sprintf("day %d, %d", d, i))
			}
			for i, name := range today {
				w.tried(name, true, float64(24*d)+float64(i)/1000)
			}
			last, size = today, size*c.growth
		}
		if f := w.gainOf(gainDays(3, 4)); f.Gain == nil || *f.Gain != 0.25 || math.Abs(*f.EarnedShare-c.share) > 1e-9 {
			t.Errorf("growing %d times a day: got %+v, want a gain of a quarter and a share of %v", c.growth, f, c.share)
		}
	}
}

func TestAWheelIsSaidToTurnByItselfOnlyWhenThatIsSure(t *testing.T) {
	// n customers, of whom each comes again twice, but for some who do not.
	turning := func(n, without int) MomentumPhases {
		w := newGainWheel()
		for i := range n {
			name := fmt.Sprint("customer ", i)
			w.tried(name, true, float64(i)/100)
			if i >= without {
				w.tried(name, false, 48+float64(i)/100, 72+float64(i)/100)
			}
		}
		return w.gainOf(gainDays(0, 1))
	}
	// Above 1, but not surely.
	if f := turning(40, 18); f.Gain == nil || *f.Gain != 1.1 || f.GainInterval[0] > 1 || f.SelfSustaining || f.Multiplier != nil {
		t.Errorf("44 of 40: got %+v, want a gain above 1 that is not claimed", f)
	}
	if f := turning(400, 40); f.Gain == nil || *f.Gain != 1.8 || f.GainInterval[0] <= 1 || !f.SelfSustaining {
		t.Errorf("720 of 400: got %+v, want it claimed", f)
	}
	// As many, by two customers.
	w := newGainWheel()
	for i := range 400 {
		w.tried(fmt.Sprint("customer ", i), true, float64(i)/100)
	}
	for i := range 360 {
		w.tried("customer 0", false, 48+float64(i))
		w.tried("customer 1", false, 48.5+float64(i))
	}
	if f := w.gainOf(gainDays(0, 1)); f.Gain == nil || *f.Gain != 1.8 || f.SelfSustaining || f.GainInterval[0] > 1 {
		t.Errorf("720 of 400 by two customers: got %+v, want it not claimed", f)
	}
}

// Every earned opportunity follows from one other: periods that make up a range
// add up to it, to what the definition says of each opportunity by itself.
func TestEarnedOpportunitiesAreCountedOnce(t *testing.T) {
	draws.Thousands(t, func(t *rapid.T) {
		w := newGainWheel()
		w.by.ReturnDays = rapid.Int64Range(7, 40).Draw(t, "return days")
		people := rapid.IntRange(1, 6).Draw(t, "people")
		hour := rapid.Map(rapid.IntRange(0, 90*24-1), func(h int) float64 { return float64(h) })
		for i := range people {
			name := fmt.Sprint(i)
			w.tried(name, false, rapid.SliceOfNDistinct(hour, 0, 6, rapid.ID[float64]).Draw(t, "tried")...)
			w.tried(name, true, rapid.SliceOfNDistinct(hour, 0, 3, rapid.ID[float64]).Draw(t, "bought")...)
		}
		for range rapid.IntRange(0, 4).Draw(t, "sent") {
			a, b := rapid.IntRange(0, people-1).Draw(t, "who"), rapid.IntRange(0, people-1).Draw(t, "whom")
			if a != b {
				w.referrals = append(w.referrals, referral{fmt.Sprint(a), fmt.Sprint(b), gainStart.UnixMicro() + int64(hour.Draw(t, "at")*3600)*second})
			}
		}
		whole := gainDays(0, 90)
		sum := func(p Period) (n float64) {
			for _, x := range w.earned(p) {
				n += x
			}
			return n
		}
		cut := rapid.IntRange(1, 89).Draw(t, "cut")
		if a, b, all := sum(gainDays(0, cut)), sum(gainDays(cut, 90)), sum(whole); a+b != all {
			t.Fatalf("got %v before day %d and %v after, %v in all", a, cut, b, all)
		}
		want := 0.0
		for _, b := range w.attempts {
			if w.follows(b) {
				want++
			}
		}
		if got := sum(whole); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// follows says by the definition alone whether an opportunity follows from
// another.
func (w *wheel) follows(b attempt) bool {
	// last is when somebody last bought before an instant, −1 for never.
	last := func(name string, before int64) int64 {
		at := int64(-1)
		for other, one := range w.people.persons {
			for _, s := range one.sales {
				if other == name && s.SoldAt < before {
					at = max(at, s.SoldAt)
				}
			}
		}
		return at
	}
	customer, bought := b.caller, last(b.caller, b.at)
	if bought < 0 {
		first := int64(math.MaxInt64)
		for _, r := range w.referrals {
			if r.Referred == b.caller && (r.At < first || r.At == first && r.Referrer < customer) {
				first, customer = r.At, r.Referrer
			}
		}
		if first == math.MaxInt64 {
			return false
		}
		if bought = last(customer, min(b.at, first+1)); bought < 0 {
			return false
		}
	}
	began := int64(-1)
	for _, a := range w.attempts {
		if a.caller == customer && a.at <= bought {
			began = max(began, a.at)
		}
	}
	return began >= 0 && b.at-began <= w.by.ReturnDays*day
}

// A shop of which everything is known: c = 0.8·0.25, d = 0.95·0.85, f = 1.2 and, of
// twelve customers of the window before, six came again in the last one, r = ½.
func TestHowTheWheelGoesOnByItself(t *testing.T) {
	w := newGainWheel()
	p := gainDays(180, 208)
	for i := range 12 {
		name := fmt.Sprint(i)
		w.tried(name, true, float64(24*(60+i)))
		if i < 6 {
			w.tried(name, true, float64(24*(130+i)))
		}
	}
	for i := range 560 {
		w.tried("", false, float64(24*180)+float64(i))
	}
	var m MomentumPeriod
	w.phases(&m, p, growthBase)
	turn := m.Phases.Turn
	if turn == nil || turn.StepDays != 90 {
		t.Fatalf("got %+v", m.Phases)
	}
	x := 0.8 * 0.25 * 0.95 * 0.85 * 1.2
	near(t, "customers", turn.Customers, 0.2)
	near(t, "delighted", turn.Delighted, 0.8075)
	near(t, "earned", turn.Earned, 1.2)
	near(t, "stay", turn.Stay, 0.5)
	near(t, "gain", turn.Gain, x/0.5)
	// ρ solves ρ³ − ρ²/2 = x.
	if rho := turn.Growth; math.Abs(rho*rho*(rho-0.5)-x) > 1e-9 || rho >= 1 {
		t.Errorf("growth: got %v", rho)
	}
	near(t, "coast", *turn.CoastDays, 90*math.Ln2/-math.Log(turn.Growth))
	if turn.Thousand != nil {
		t.Errorf("a thousand times as fast after %v days, though it slows down", *turn.Thousand)
	}
	// 20 a day for 90 days, of which nobody's customer is one.
	near(t, "pushes", turn.Pushes, 1800)
	near(t, "attract", turn.Settles.Attract, 1800/(1-x/0.5))
	near(t, "engage", turn.Settles.Engage, 0.2*turn.Settles.Attract)
	near(t, "delight", turn.Settles.Delight, 0.8075*turn.Settles.Engage/0.5)

	// Asked until a month ahead it is the same wheel: those days have not been.
	w.now = p.Until.UnixMicro()
	m = MomentumPeriod{}
	w.phases(&m, gainDays(180, 240), growthBase)
	near(t, "stay, asked ahead", m.Phases.Turn.Stay, 0.5)

	// With ten times the returns it turns by its own rates, and never settles.
	many := growthBase
	many.Repeats *= 10
	m = MomentumPeriod{}
	w.phases(&m, p, many)
	turn = m.Phases.Turn
	if turn.Growth <= 1 || turn.CoastDays != nil || turn.Settles != nil || turn.Thousand == nil {
		t.Fatalf("got %+v, want it to grow", turn)
	}
	near(t, "a thousandfold", *turn.Thousand, 90*math.Log(1000)/math.Log(turn.Growth))
	if m.Phases.SelfSustaining {
		t.Error("rates are no proof: the cohort has earned nothing yet")
	}
}

// Each part counts from so many cases on, and not one earlier.
func TestEveryPartHasItsGate(t *testing.T) {
	for _, c := range []struct {
		part string
		less func(*Counts)
		want string
	}{
		{partSpeed, func(c *Counts) { c.Opportunities, c.Reached = 29, 25 }, "not enough data: 30 attempts needed, 29 seen"},
		{partReached, func(c *Counts) { c.Opportunities, c.Reached = 29, 25 }, "not enough data: 30 attempts needed, 29 seen"},
		{partPrompt, func(c *Counts) { c.Prompt.N = 19 }, "not enough data: 20 reached needed, 19 seen"},
		{partHandled, func(c *Counts) { c.Handled.N = 9 }, "not enough data: 10 scored calls needed, 9 seen"},
		{partWon, func(c *Counts) { c.Leads, c.Won = 19, 10 }, "not enough data: 20 matured leads needed, 19 seen"},
		{partWon, func(c *Counts) { c.Won = 4 }, "not enough data: 5 won needed, 4 seen"},
		{partKept, func(c *Counts) { c.Sales = 9 }, "not enough data: 10 sales needed, 9 seen"},
		{partContent, func(c *Counts) { c.Answers = 9 }, "not enough data: 10 answers needed, 9 seen"},
		{partWeight, func(c *Counts) { c.CustomerDays = 899 }, "not enough data: 900 customer-days needed, 899 seen"},
		{partWeight, func(c *Counts) { c.Repeats, c.Referrals = 3, 1 }, "not enough data: 5 returns needed, 4 seen"},
	} {
		least := growth
		least.Opportunities, least.Reached, least.Prompt.N, least.Handled.N, least.Leads, least.Won = 30, 25, 20, 10, 20, 5
		least.Sales, least.Answers, least.Detractors, least.CustomerDays, least.Repeats, least.Referrals = 10, 10, 1, 900, 3, 2
		if full := Compare(least, growth); len(full.Parts) != len(partNames) || len(full.Missing) != 0 {
			t.Fatalf("the least of everything: got %v without %v", full.Parts, full.Missing)
		}
		c.less(&least)
		for where, compared := range map[string]Comparison{"baseline": Compare(least, growth), "period": Compare(growth, least)} {
			if slices.Contains(compared.Parts, c.part) || !slices.ContainsFunc(compared.Missing, func(g Gap) bool {
				return g.Part == c.part && g.Where == where && g.Message == c.want
			}) {
				t.Errorf("%s of the %s: got %v without %v, want it left out: %s", c.part, where, compared.Parts, compared.Missing, c.want)
			}
			if _, moved := compared.Change[c.part]; moved || compared.Enough != (c.part != partSpeed && c.part != partReached) {
				t.Errorf("%s of the %s: got change %v, enough %v", c.part, where, compared.Change, compared.Enough)
			}
		}
	}
}

// The page says which of the two it is, a wheel that slows down or one that grows
// a thousandfold by itself, and claims the second only when it is sure.
func TestThePageClaimsNoMoreThanIsSure(t *testing.T) {
	days := func(x float64) *float64 { return &x }
	for _, c := range []struct {
		phases        MomentumPhases
		says, saysNot string
	}{
		{
			MomentumPhases{Gain: days(0.4), GainInterval: &Interval{0.3, 0.5}, GainComplete: true, Multiplier: days(1 / 0.6), Turn: &Turn{CoastDays: days(80)}},
			"gain 0.4 (0.3 to 0.5): each push counts 1.67 times; without pushes the wheel comes to rest\nwithout pushes half is left after 80 days; it never becomes a thousand times as fast by itself\n",
			"so far",
		},
		{
			MomentumPhases{Gain: days(1.1), GainInterval: &Interval{0.9, 1.3}, Turn: &Turn{Thousand: days(900)}},
			"so far: not sure that the wheel turns by itself\nwithout pushes it would be a thousand times as fast after 900 days by its rates, of which nobody can be sure yet\n",
			"the wheel turns by itself\n",
		},
		{
			MomentumPhases{Gain: days(1.8), GainInterval: &Interval{1.6, 2}, GainComplete: true, SelfSustaining: true, Turn: &Turn{Thousand: days(700)}},
			": the wheel turns by itself\nwithout pushes it would be a thousand times as fast after 700 days\n",
			"sure",
		},
	} {
		var b strings.Builder
		writePhases(&b, c.phases)
		if !strings.Contains(b.String(), c.says) || strings.Contains(strings.ReplaceAll(b.String(), "not sure that the wheel turns by itself\n", ""), c.saysNot) {
			t.Errorf("got %s\nwant %s without %s", b.String(), c.says, c.saysNot)
		}
	}
}

// The interval of a gain holds the truth as often as it says, though customers
// return in bunches: of 300 opportunities three in ten end in a purchase, after
// which customers come again 1.5 times on average, as a Poisson number about a
// mean of their own that is itself exponential. The gain is 0.45.
func TestTheIntervalOfAGainHoldsTheTruth(t *testing.T) {
	const runs, cohort = 2000, 300
	r := rand.New(rand.NewPCG(7, 7))
	held := 0
	for range runs {
		w := newGainWheel()
		for i := range cohort {
			name, at := fmt.Sprint(i), gainStart.UnixMicro()+int64(i)*60*second
			w.attempts = append(w.attempts, attempt{at: at, caller: name, reached: true, wait: -1})
			if r.Float64() >= 0.3 {
				continue
			}
			one := w.people.get(name)
			one.sales = append(one.sales, &sale{SoldAt: at + second, Value: 1e6, Currency: "USD"})
			for mean, next := 1.5*r.ExpFloat64(), r.ExpFloat64(); next < mean; next += r.ExpFloat64() {
				w.attempts = append(w.attempts, attempt{at: at + 2*day + r.Int64N(60*day), caller: name, reached: true, wait: -1})
			}
		}
		slices.SortFunc(w.attempts, func(a, b attempt) int { return cmp.Compare(a.at, b.at) })
		g, ok := w.gain(gainDays(0, 1), Counts{Opportunities: cohort, Won: 1})
		if !ok {
			t.Fatal("no gain")
		}
		if g.interval[0] <= 0.45 && 0.45 <= g.interval[1] {
			held++
		}
	}
	share := float64(held) / runs
	t.Logf("%.4f", share)
	if math.Abs(share-0.95) > 3*math.Sqrt(0.95*0.05/runs) {
		t.Errorf("got %.4f, want 0.95", share)
	}
}
