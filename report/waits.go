package report

import (
	"maps"
	"math"
	"slices"
)

// waited is how long somebody waited, in seconds; ended says whether it ended as
// is asked: of the time to answer in an answer, of patience in hanging up.
// Otherwise it was cut short by something else: the wait is censored, it would
// have taken longer.
type waited struct {
	seconds float64
	ended   bool
}

// survival is how many still wait after a time: the product-limit estimate of
// Kaplan and Meier (JASA 53, 1958, 457-481). Waits that ended come before those
// that were given up at the same time.
type survival struct {
	times []float64 // at which waits ended, ascending
	left  []float64 // share that still waits after each
	sums  []float64 // Greenwood's Σ d ÷ (n·(n − d)) up to each
}

// waits are how often somebody waited so long: few are different, in seconds.
type waits map[waited]int

func (w *waits) add(one waited) {
	if *w == nil {
		*w = waits{}
	}
	(*w)[one]++
}

func newSurvival(list []waited) survival {
	var w waits
	for _, one := range list {
		w.add(one)
	}
	return w.survival()
}

func (w waits) survival() survival {
	var s survival
	waiting, ended, gone := 0.0, map[float64]float64{}, map[float64]float64{}
	for one, n := range w {
		waiting += float64(n)
		gone[one.seconds] += float64(n)
		if one.ended {
			ended[one.seconds] += float64(n)
		}
	}
	share, sum := 1.0, 0.0
	for _, at := range slices.Sorted(maps.Keys(gone)) {
		if d := ended[at]; d > 0 {
			share *= 1 - d/waiting
			sum += d / (waiting * (waiting - d))
			s.times, s.left, s.sums = append(s.times, at), append(s.left, share), append(s.sums, sum)
		}
		waiting -= gone[at]
	}
	return s
}

// quantile is the time by which a share p of the waits has ended; nil where it
// cannot be told, because too many gave up before.
func (s survival) quantile(p float64) *float64 {
	for i, left := range s.left {
		if left <= 1-p+1e-12 {
			return number(s.times[i])
		}
	}
	return nil
}

// within is the share of waits that end within so many seconds, and its 95 %
// interval on the scale of ln(−ln S), which stays in [0, 1]; nil where nobody or
// everybody had been waiting no more.
func (s survival) within(seconds float64) (share float64, interval *Interval) {
	i, _ := slices.BinarySearchFunc(s.times, seconds, func(t, want float64) int {
		if t <= want {
			return -1
		}
		return 1
	})
	if i == 0 {
		return 0, nil
	}
	left := s.left[i-1]
	if left <= 0 || left >= 1 {
		return 1 - left, nil
	}
	half := z95 * math.Sqrt(s.sums[i-1]) / math.Abs(math.Log(left))
	return 1 - left, &Interval{tidy(1 - math.Pow(left, math.Exp(-half))), tidy(1 - math.Pow(left, math.Exp(half)))}
}
