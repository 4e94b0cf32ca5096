package attribution

import (
	"math"
	"time"
)

// shaped gives shares a and b to the first and the last touch and m to those
// between, in equal parts; without any between, a and b are scaled to the whole.
func shaped(a, m, b float64) func(Path) []float64 {
	return func(p Path) []float64 {
		n := len(p.Steps)
		w := make([]float64, n)
		switch n {
		case 0:
		case 1:
			w[0] = 1
		case 2:
			w[0], w[1] = a/(a+b), b/(a+b)
		default:
			for i := range w {
				w[i] = m / float64(n-2)
			}
			w[0], w[n-1] = a, b
			scale(w)
		}
		return w
	}
}

// timeDecay weighs each touch by 2^(−age ÷ half-life) at the conversion. The age
// is taken from the last touch on, which changes no share and keeps the weights
// of long ago from all becoming zero.
func timeDecay(halfLifeDays float64) func(Path) []float64 {
	return func(p Path) []float64 {
		w := make([]float64, len(p.Steps))
		for i, s := range p.Steps {
			age := p.Steps[len(w)-1].At.Sub(s.At)
			w[i] = math.Exp2(-age.Hours() / 24 / halfLifeDays)
		}
		scale(w)
		return w
	}
}

// reached is the last touch at or before a moment: the one that brought it
// about. It is -1 when the moment is unknown or no touch is that old.
func (p Path) reached(at time.Time) int {
	if at.IsZero() {
		return -1
	}
	for i := len(p.Steps) - 1; i >= 0; i-- {
		if !p.Steps[i].At.After(at) {
			return i
		}
	}
	return -1
}

// leadCreation gives everything to the touch that made a lead of the person.
// Where that is not known, or lies outside what counts, the last touch has it.
func leadCreation(p Path) []float64 {
	if i := p.reached(p.LeadAt); i >= 0 {
		return only(p, i)
	}
	return only(p, len(p.Steps)-1)
}

func wShaped(p Path) []float64 { return milestones(p, 0.30, p.LeadAt, p.QualifiedAt) }

func fullPath(p Path) []float64 {
	return milestones(p, 0.225, p.LeadAt, p.QualifiedAt, p.WonAt)
}

// betweenMilestones is shared by the touches that are no milestone.
const betweenMilestones = 0.10

// milestones gives each to the first touch and to those that reached the
// moments, and a tenth to the others. Weights of milestones on one touch add up;
// one without a touch is dropped, and what is left is scaled to the whole.
func milestones(p Path, each float64, moments ...time.Time) []float64 {
	n := len(p.Steps)
	w := make([]float64, n)
	if n == 0 {
		return w
	}
	w[0] = each
	for _, at := range moments {
		if i := p.reached(at); i >= 0 {
			w[i] += each
		}
	}
	others := 0
	for _, x := range w {
		if x == 0 {
			others++
		}
	}
	for i := range w {
		if w[i] == 0 {
			w[i] = betweenMilestones / float64(others)
		}
	}
	scale(w)
	return w
}

// scale makes weights add up to 1.
func scale(w []float64) {
	sum := 0.0
	for _, x := range w {
		sum += x
	}
	for i := range w {
		w[i] /= sum
	}
}
