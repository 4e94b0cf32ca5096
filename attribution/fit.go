package attribution

import (
	"math"
	"slices"
	"time"
)

// FittedCall is one call as delays are fitted to it.
type FittedCall struct {
	OnScreen int             // visitors who had the number before them when the call began
	Since    []time.Duration // of every other visitor who had been shown it: how long before
	// Identified says that it is known from elsewhere who called. Caller is then
	// how long ago that visitor had seen the number, 0 while they had it before
	// them, nil for somebody who had never been shown it.
	Identified bool
	Caller     *time.Duration
}

// Observed is what an account's own calls say about delays.
type Observed struct {
	Calls         []FittedCall
	Visitors      float64 // who were shown a number, once for each number
	OnScreenHours float64 // of all of them
	NumberHours   float64 // numbers times hours that they could be called
}

// Fitting stops after so many rounds, or when no figure moves any more.
const (
	fitRounds = 400
	fitMoves  = 1e-5
	// minShare is how many calls a part of the mixture must explain to be
	// moved; with fewer it stays as it was.
	minShare = 5
)

// Fit estimates the delays from an account's own calls, beginning with d, by
// expectation maximisation over who called and after which part of the mixture
// (mathematics 1.4). The short parts are fitted to all calls. A slow caller and
// a stranger look the same, so the slowest part and the background are fitted
// to the calls of identified people alone: their proportion to the short parts
// there is their proportion everywhere.
func (d Delays) Fit(o Observed) Delays {
	f := fit{Delays: d, o: o}
	f.Parts = slices.Clone(d.Parts)
	slices.SortFunc(f.Parts, func(a, b DelayPart) int {
		if a.MeanHours < b.MeanHours {
			return -1
		}
		return 1
	})
	f.place()
	for range fitRounds {
		before := f.figures()
		f.round()
		if moved(before, f.figures()) < fitMoves {
			break
		}
	}
	return f.bounded()
}

// delayBins are the delays that are told apart: 400 from one second to about 20
// years, each 5 % longer than the one before.
const delayBins = 400

// binHours returns the delay in the middle of a bin.
func binHours(bin int) float64 { return math.Exp(float64(bin)*0.05) / 3600 }

func binOf(since time.Duration) uint16 {
	if since <= time.Second {
		return 0
	}
	return uint16(min(math.Round(math.Log(since.Seconds())/0.05), delayBins-1))
}

// intensities are p·w·f of one part by bin, and the same times the delay.
type intensities struct{ rate, delay [delayBins]float64 }

// fit is one estimation under way.
type fit struct {
	Delays
	o      Observed
	bins   [][]uint16 // of each call, its holders
	caller []uint16   // of each identified call, its caller
	table  []intensities
}

func (f *fit) place() {
	f.bins, f.caller = make([][]uint16, len(f.o.Calls)), make([]uint16, len(f.o.Calls))
	for i, c := range f.o.Calls {
		f.bins[i] = make([]uint16, len(c.Since))
		for k, since := range c.Since {
			f.bins[i][k] = binOf(since)
		}
		if c.Caller != nil {
			f.caller[i] = binOf(*c.Caller)
		}
	}
	f.table = make([]intensities, len(f.Parts))
}

// tally are calls by what explains them, in shares.
type tally struct {
	parts, delays        []float64 // calls of each part, and the sum of their delays in hours
	onScreen, background float64
}

func newTally(parts int) tally {
	return tally{parts: make([]float64, parts), delays: make([]float64, parts)}
}

// short are the calls by which the identified ones and all are compared.
func (t tally) short() float64 {
	sum := t.onScreen
	for _, n := range t.parts[:len(t.parts)-1] {
		sum += n
	}
	return sum
}

// round is one step of expectation and one of maximisation.
func (f *fit) round() {
	for k, p := range f.Parts {
		for bin := range delayBins {
			hours := binHours(bin)
			f.table[k].rate[bin] = f.Propensity * p.Weight / p.MeanHours * math.Exp(-hours/p.MeanHours)
			f.table[k].delay[bin] = f.table[k].rate[bin] * hours
		}
	}
	all, known := newTally(len(f.Parts)), newTally(len(f.Parts))
	for i, c := range f.o.Calls {
		f.explain(i, &all)
		if c.Identified {
			f.explain(i, &known)
		}
	}
	f.maximise(all, known)
}

// explain divides one call among everything that may have caused it.
func (f *fit) explain(i int, t *tally) {
	c := f.o.Calls[i]
	switch {
	case c.Identified && c.Caller == nil:
		t.background++
	case c.Identified && *c.Caller == 0:
		t.onScreen++
	case c.Identified:
		f.divide([]uint16{f.caller[i]}, 0, 0, t)
	default:
		f.divide(f.bins[i], float64(c.OnScreen)*f.OnScreen, f.Background, t)
	}
}

func (f *fit) divide(bins []uint16, onScreen, background float64, t *tally) {
	var sums, delays [8]float64
	total := onScreen + background
	for k := range f.Parts {
		table := &f.table[k]
		for _, bin := range bins {
			sums[k] += table.rate[bin]
			delays[k] += table.delay[bin]
		}
		total += sums[k]
	}
	if !(total > 0) {
		return
	}
	for k := range f.Parts {
		t.parts[k] += sums[k] / total
		t.delays[k] += delays[k] / total
	}
	t.onScreen += onScreen / total
	t.background += background / total
}

func (f *fit) maximise(all, known tally) {
	slow := len(f.Parts) - 1
	rates := make([]float64, len(f.Parts)) // p·w
	for k, p := range f.Parts {
		rates[k] = f.Propensity * p.Weight
	}
	for k := range slow {
		if all.parts[k] >= minShare {
			rates[k] = all.parts[k] / f.o.Visitors
			f.Parts[k].MeanHours = all.delays[k] / all.parts[k]
		}
	}
	if short := known.short(); short > 0 {
		scale := all.short() / short
		if known.parts[slow] >= minShare {
			rates[slow] = known.parts[slow] * scale / f.o.Visitors
			f.Parts[slow].MeanHours = known.delays[slow] / known.parts[slow]
		}
		f.Background = known.background * scale / f.o.NumberHours
	}
	if f.o.OnScreenHours > 0 && all.onScreen >= minShare {
		f.OnScreen = all.onScreen / f.o.OnScreenHours
	}
	f.Propensity = 0
	for _, r := range rates {
		f.Propensity += r
	}
	for k := range f.Parts {
		f.Parts[k].Weight = rates[k] / f.Propensity
	}
}

func (f *fit) figures() []float64 {
	list := []float64{f.Propensity, f.OnScreen, f.Background}
	for _, p := range f.Parts {
		list = append(list, p.Weight, p.MeanHours)
	}
	return list
}

// moved is the largest relative change of any figure.
func moved(before, after []float64) float64 {
	most := 0.0
	for i := range before {
		most = max(most, math.Abs(after[i]-before[i])/max(math.Abs(before[i]), 1e-9))
	}
	return most
}

// The least rates that are believed: nothing is impossible.
const (
	leastBackground = 1e-6
	mostPropensity  = 1.0
)

// bounded keeps the estimate to what the posterior may rest on: the background
// is never nothing, and a visitor who has the number before them is never less
// likely to call than one who has just left.
func (f *fit) bounded() Delays {
	d := f.Delays
	d.Background = max(d.Background, leastBackground)
	d.Propensity = min(d.Propensity, mostPropensity)
	d.OnScreen = max(d.OnScreen, d.Propensity*d.Density(0))
	return d
}
