package attribution

import (
	"cmp"
	"math"
	"time"
)

// Holder is one visitor to whom a number was shown before a call, as far as the
// posterior looks at them. Only elapsed time matters.
type Holder struct {
	Source   string        // what their share counts for: any key, equal for holders of one source
	OnScreen bool          // the number is before them now
	Since    time.Duration // since it last was; of no meaning while OnScreen
	Ratio    float64       // product of their evidence ratios; 1 is no evidence
	// Propensity is the chance that this visitor calls after they left, 0 for
	// that of the model.
	Propensity float64
}

// Bounds of the bands in which a confidence is read.
const (
	highConfidence = 0.9
	minConfidence  = 0.7 // below it a winner is none
)

// Band says in a word how sure a confidence is: high from 0.9, medium from 0.7,
// low below.
func Band(confidence float64) string {
	switch {
	case confidence >= highConfidence:
		return "high"
	case confidence >= minConfidence:
		return "medium"
	}
	return "low"
}

// Shares is who made a call, as chances that add up to 1.
type Shares struct {
	Holders   []float64          // π of each holder, in the order they were given
	Untracked float64            // π₀: nobody we know
	Sources   map[string]float64 // source confidence C(s): the sum over the source's holders
	Verdict   Verdict            // Winner, Ambiguous or Untracked
	Source    string             // of the largest C(s); "" when Untracked
	Holder    int                // likeliest holder of Source; -1 when Untracked
}

// Confidence is how sure the verdict is: C of the leading source, or π₀.
func (s Shares) Confidence() float64 {
	if s.Holder < 0 {
		return s.Untracked
	}
	return s.Sources[s.Source]
}

// Intensity returns how many calls per hour are to be expected of the holder at
// the moment of the call: e·η while the number is on their screen, else e·p·f(u).
func (d Delays) Intensity(h Holder) float64 {
	if h.OnScreen {
		return h.Ratio * d.OnScreen
	}
	return h.Ratio * cmp.Or(h.Propensity, d.Propensity) * d.Density(h.Since)
}

// Posterior divides a call among everybody who may have made it: each holder by
// their share of the total intensity at that moment, as for superposed
// independent Poisson streams (mathematics: π_j = e_j·λ_j / (Σ e_i·λ_i + β)).
// background is β in calls per hour: everybody who is not among the holders.
// Without any intensity at all the call is untracked, with certainty.
func (d Delays) Posterior(holders []Holder, background float64) Shares {
	s := Shares{Holders: make([]float64, len(holders)), Sources: map[string]float64{}, Verdict: Untracked, Holder: -1}
	total := background
	for i, h := range holders {
		s.Holders[i] = d.Intensity(h)
		total += s.Holders[i]
	}
	if !(total > 0) || math.IsInf(total, 0) {
		clear(s.Holders)
		s.Untracked = 1
		return s
	}
	for i, h := range holders {
		s.Holders[i] /= total
		s.Sources[h.Source] += s.Holders[i]
	}
	s.Untracked = background / total
	s.judge(holders)
	return s
}

// judge gives the call to the largest of π₀ and the sources' confidences. The
// earlier holder's source is first among equals.
func (s *Shares) judge(holders []Holder) {
	best := s.Untracked
	for i, h := range holders {
		if c := s.Sources[h.Source]; c > best {
			best, s.Source, s.Holder = c, h.Source, i
		}
	}
	if s.Holder < 0 {
		return
	}
	for i, h := range holders {
		if h.Source == s.Source && s.Holders[i] > s.Holders[s.Holder] {
			s.Holder = i
		}
	}
	s.Verdict = Winner
	if best < minConfidence {
		s.Verdict = Ambiguous
	}
}

// nano is how finely weights are kept: in billionths, so that as decimals they
// add up to exactly 1.
const nano = 1_000_000_000
