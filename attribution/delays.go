package attribution

import (
	"math"
	"time"

	"github.com/callwheel/callwheel"
)

// Delays says how long people wait before they call, and how likely they are to
// call at all: the parameters of the posterior (section "How sure" of the
// package). Rates are calls per hour.
type Delays struct {
	// Parts are the mixture of exponentials that the delay after the last view
	// follows. Their weights add up to 1.
	Parts      []DelayPart `json:"parts"`
	Propensity float64     `json:"propensity"` // share of visitors who call after they left
	OnScreen   float64     `json:"on_screen"`  // calls per hour of a visitor who has the number before them
	Background float64     `json:"background"` // calls per hour of a number that come from nobody we know
}

// DelayPart is one exponential of a mixture.
type DelayPart struct {
	Weight    float64 `json:"weight"`
	MeanHours float64 `json:"mean_hours"`
}

// DefaultDelays returns the parameters of an account whose own calls do not say
// better yet. They are assumptions: nobody publishes a measured distribution.
func DefaultDelays() Delays {
	return Delays{
		Parts:      []DelayPart{{0.60, 4.0 / 60}, {0.25, 1}, {0.15, 48}},
		Propensity: 0.05, OnScreen: 6, Background: 0.002,
	}
}

// Density returns f(u): how likely a caller is to call at that moment, per hour.
// It never increases with u; before 0 it is f(0).
func (d Delays) Density(u time.Duration) float64 {
	hours := max(u.Hours(), 0)
	f := 0.0
	for _, p := range d.Parts {
		f += p.Weight / p.MeanHours * math.Exp(-hours/p.MeanHours)
	}
	return f
}

// Survival returns S(u): the share of callers who wait longer than u.
func (d Delays) Survival(u time.Duration) float64 {
	hours := max(u.Hours(), 0)
	s := 0.0
	for _, p := range d.Parts {
		s += p.Weight * math.Exp(-hours/p.MeanHours)
	}
	return s
}

// Validate returns an Invalid error for parameters that make no posterior: a
// figure that is negative or not finite, weights that do not add up to 1, or a
// visitor who is likelier to call just after the page was closed than before.
func (d Delays) Validate() error {
	sum := 0.0
	for _, p := range d.Parts {
		if !(p.Weight >= 0) || !(p.MeanHours > 0) || math.IsInf(p.MeanHours, 0) {
			return callwheel.Errorf(callwheel.Invalid, "a part of the delays weighs %v with a mean of %v h", p.Weight, p.MeanHours)
		}
		sum += p.Weight
	}
	switch {
	case math.Abs(sum-1) > 1e-9:
		return callwheel.Errorf(callwheel.Invalid, "the parts of the delays weigh %v together, not 1", sum)
	case !(d.Propensity > 0 && d.Propensity <= 1):
		return callwheel.Errorf(callwheel.Invalid, "the propensity is %v", d.Propensity)
	case !(d.Background > 0) || math.IsInf(d.Background, 0):
		return callwheel.Errorf(callwheel.Invalid, "the background is %v calls per hour", d.Background)
	case !(d.OnScreen >= d.Propensity*d.Density(0)) || math.IsInf(d.OnScreen, 0):
		return callwheel.Errorf(callwheel.Invalid, "%v calls per hour while the page is open, but %v when it has just been closed", d.OnScreen, d.Propensity*d.Density(0))
	}
	return nil
}
