package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Counts are what momentum is made of: plain counts of one period, which
// anyone can check. They are whole numbers, unless older facts count for less
// (see [Yardsticks.HalfLifeDays]).
type Counts struct {
	Days          float64 `json:"days"` // elapsed, in units of 24 hours
	Opportunities float64 `json:"opportunities"`
	Reached       float64 `json:"reached"`
	Dispersion    float64 `json:"dispersion"` // of daily opportunities against chance; below 1, or 0 for unknown, counts as 1
	Prompt        Sample  `json:"prompt"`     // goodwill left after waiting, over those reached
	Late          float64 `json:"late"`       // of those, who waited beyond the target
	Handled       Sample  `json:"handled"`    // share of full marks, over scored calls
	Leads         float64 `json:"leads"`      // matured
	Won           float64 `json:"won"`        // of those
	Sold          float64 `json:"sold"`       // value; 0 when values are not known
	Refunded      float64 `json:"refunded"`
	Unrated       float64 `json:"unrated"` // sales in a currency without a rate: the two above leave them out
	Sales         float64 `json:"sales"`
	Refunds       float64 `json:"refunds"` // sales that were given back entirely: used only without values
	Answers       float64 `json:"answers"`
	Detractors    float64 `json:"detractors"`
	CustomerDays  float64 `json:"customer_days"` // trailing return window
	Repeats       float64 `json:"repeats"`
	Referrals     float64 `json:"referrals"`   // referred leads
	ReturnDays    float64 `json:"return_days"` // that window; 0 means 90
}

// Sample is a mean with what its uncertainty needs.
type Sample struct {
	N    float64 `json:"n"`
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"`
}

// The parts of momentum, in the order in which a push travels.
const (
	partSpeed   = "speed"
	partReached = "reached"
	partPrompt  = "prompt"
	partHandled = "handled"
	partWon     = "won"
	partKept    = "kept"
	partContent = "content"
	partWeight  = "weight"
)

var partNames = []string{partSpeed, partReached, partPrompt, partHandled, partWon, partKept, partContent, partWeight}

// grips are the parts that friction is made of.
var grips = []string{partReached, partPrompt, partHandled, partWon, partKept, partContent}

// gauge is one part as measured.
type gauge struct {
	value    float64
	known    bool    // there is anything to measure
	variance float64 // of the part's logarithm
	gaps     []Gap
}

// Gap says what is missing for a part to count.
type Gap struct {
	Part    string `json:"part"`
	Where   string `json:"where" doc:"period or baseline"`
	Needed  int64  `json:"needed"`
	Seen    int64  `json:"seen"`
	Message string `json:"message"`
}

func (g *gauge) need(part, what string, needed int64, count float64) {
	if seen := int64(count + 1e-9); seen < needed {
		g.gaps = append(g.gaps, Gap{
			Part: part, Needed: needed, Seen: seen,
			Message: fmt.Sprintf("not enough data: %d %s needed, %d seen", needed, what, seen),
		})
	}
}

// share is a proportion as a gauge.
func proportion(value, n float64) gauge {
	g := gauge{value: value, known: n > 0}
	if g.known {
		g.variance = (1 - value) / (n * value)
	}
	return g
}

func (s Sample) gauge() gauge {
	g := gauge{value: s.Mean, known: s.N > 0}
	if g.known {
		g.variance = s.SD * s.SD / (s.N * s.Mean * s.Mean)
	}
	return g
}

func ratio(x, n float64) float64 {
	if n == 0 {
		return 0
	}
	return x / n
}

// gauges measures every part.
func (c Counts) gauges() map[string]gauge {
	speed := gauge{known: c.Days > 0}
	if speed.known {
		speed.value = c.Opportunities / c.Days
		speed.variance = math.Max(1, c.Dispersion) / c.Opportunities
	}
	speed.need(partSpeed, "attempts", 30, c.Opportunities)

	reached := proportion(ratio(c.Reached, c.Opportunities), c.Opportunities)
	reached.need(partReached, "attempts", 30, c.Opportunities)

	prompt := c.Prompt.gauge()
	prompt.need(partPrompt, "reached", 20, c.Prompt.N)

	handled := c.Handled.gauge()
	handled.need(partHandled, "scored calls", 10, c.Handled.N)

	won := proportion(ratio(c.Won, c.Leads), c.Leads)
	won.need(partWon, "matured leads", 20, c.Leads)
	won.need(partWon, "won", 5, c.Won)

	kept := proportion(c.kept(), c.Sales)
	kept.need(partKept, "sales", 10, c.Sales)
	if c.Unrated > 0 {
		kept.known = false
		kept.gaps = append(kept.gaps, Gap{
			Part: partKept, Needed: int64(c.Sales + 1e-9), Seen: int64(c.Sales - c.Unrated + 1e-9),
			Message: "not available: sales in a currency without an exchange rate",
		})
	}

	content := proportion(1-ratio(c.Detractors, c.Answers), c.Answers)
	content.need(partContent, "answers", 10, c.Answers)

	weight := gauge{value: 1, known: c.CustomerDays > 0}
	if weight.known {
		per, events := cmp.Or(c.ReturnDays, returnDays)/c.CustomerDays, c.Repeats+c.Referrals
		weight.value = 1 + per*events
		weight.variance = per * per * events / (weight.value * weight.value)
	}
	weight.need(partWeight, "customer-days", 900, c.CustomerDays)
	weight.need(partWeight, "returns", 5, c.Repeats+c.Referrals)

	return map[string]gauge{
		partSpeed: speed, partReached: reached, partPrompt: prompt, partHandled: handled,
		partWon: won, partKept: kept, partContent: content, partWeight: weight,
	}
}

// kept is the share that was not given back, by value or, without values, by
// number.
func (c Counts) kept() float64 {
	switch {
	case c.Sold > 0:
		return math.Max(0, 1-c.Refunded/c.Sold)
	case c.Sales > 0:
		return 1 - ratio(c.Refunds, c.Sales)
	}
	return 0
}

// Momentum is what a set of parts comes to.
type Momentum struct {
	Grip     float64 // η, the product of the parts between a push and a happy customer
	Friction float64 // F = 1 − η
	Momentum float64 // L = v·η·W

	// Resistance is μ = −ln η by joint, μ_j = −ln of the part: unlike friction it
	// adds up over the joints. It is nil when nothing is left of a part, or no part
	// of the grip is measured.
	Resistance map[string]float64
}

// resistance is μ, the sum over the joints.
func (m Momentum) resistance() float64 {
	sum := 0.0
	for _, name := range grips {
		sum += m.Resistance[name]
	}
	return sum
}

// momentumOf multiplies the named parts.
func momentumOf(parts map[string]gauge, used []string) Momentum {
	m := Momentum{Grip: 1, Momentum: 1}
	resistance := map[string]float64{}
	for _, name := range used {
		m.Momentum *= parts[name].value
		if slices.Contains(grips, name) {
			m.Grip *= parts[name].value
			resistance[name] = math.Abs(math.Log(parts[name].value)) // of a share: the logarithm is at most 0
		}
	}
	m.Friction = 1 - m.Grip
	if m.Grip > 0 && len(resistance) > 0 {
		m.Resistance = resistance
	}
	return m
}

// Comparison is a period against a baseline.
type Comparison struct {
	Enough   bool     // speed and reached are measured in both
	Parts    []string // measured in both, so compared
	Period   Momentum // over those parts
	Baseline Momentum
	Index    *float64           // M, nil when it cannot be computed
	Interval *Interval          // 95 %, nil when M is 0 or not known
	StdError float64            // of ln M
	Change   map[string]float64 // M − 100, split over the parts without rest
	Missing  []Gap
}

// Compare measures a period against a baseline. Parts without enough data in
// either are left out of both and listed; a measured zero is a zero. Nothing in
// the result is ever NaN or infinite.
func Compare(baseline, period Counts) Comparison {
	before, now := baseline.gauges(), period.gauges()
	var c Comparison
	for _, name := range partNames {
		gaps := append(at("baseline", before[name].gaps), at("period", now[name].gaps)...)
		c.Missing = append(c.Missing, gaps...)
		if len(gaps) == 0 {
			c.Parts = append(c.Parts, name)
		}
	}
	c.Enough = slices.Contains(c.Parts, partSpeed) && slices.Contains(c.Parts, partReached)
	c.Period, c.Baseline = momentumOf(now, c.Parts), momentumOf(before, c.Parts)
	if !c.Enough {
		return c
	}
	if c.Baseline.Momentum == 0 {
		c.Enough = false
		c.Missing = append(c.Missing, Gap{Part: partSpeed, Where: "baseline", Message: "not enough data: the baseline's momentum is 0, nothing can be compared with it"})
		return c
	}
	c.index(before, now)
	return c
}

func at(where string, gaps []Gap) []Gap {
	list := slices.Clone(gaps)
	for i := range list {
		list[i].Where = where
	}
	return list
}

// index computes M, its interval and its exact decomposition.
func (c *Comparison) index(before, now map[string]gauge) {
	m, variance := 100.0, 0.0
	var zeros []string
	for _, name := range c.Parts {
		m *= now[name].value / before[name].value
		if now[name].value == 0 {
			zeros = append(zeros, name)
			continue
		}
		variance += now[name].variance + before[name].variance
	}
	if !finite(m) || (m == 0 && len(zeros) == 0) {
		c.Missing = append(c.Missing, Gap{Part: partSpeed, Where: "period", Message: "the period and its baseline are too far apart for any number"})
		return
	}
	c.Index = &m
	c.Change = map[string]float64{}
	if len(zeros) > 0 {
		// The limit of the decomposition: the parts that became 0 took it all.
		for _, name := range c.Parts {
			c.Change[name] = 0
			if slices.Contains(zeros, name) {
				c.Change[name] = -100 / float64(len(zeros))
			}
		}
		return
	}
	scale := logMean(m, 100)
	for _, name := range c.Parts {
		c.Change[name] = scale * math.Log(now[name].value/before[name].value)
	}
	if se := math.Sqrt(variance); finite(m * math.Exp(z95*se)) {
		c.StdError = se
		c.Interval = &Interval{m * math.Exp(-z95*se), m * math.Exp(z95*se)}
	}
}

// finite says whether x is a number that can be written down.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// logMean is the logarithmic mean of two positive numbers.
func logMean(x, y float64) float64 {
	if x == y {
		return x
	}
	// Near each other both differences lose their digits; the mean is between.
	if d := math.Log(x / y); math.Abs(d) > 1e-9 {
		return (x - y) / d
	}
	return (x + y) / 2
}
