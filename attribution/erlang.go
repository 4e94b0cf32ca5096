package attribution

import "math"

// ErlangB returns the share of visitors who find all n numbers lent while the
// offered load is a erlangs (arrivals per hour × hours a number is held). It
// holds for Poisson arrivals and any distribution of the hold. No numbers lose
// everybody, no load loses nobody.
//
//	B(0, a) = 1, B(n, a) = a·B(n−1, a) ÷ (n + a·B(n−1, a))
func ErlangB(n int, a float64) float64 {
	b := 1.0
	for k := 1; k <= n; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b
}

// LogErlangB is ln ErlangB, for losses too small for a float64; minus infinity
// when nobody is lost.
//
//	1/B(n, a) = 1 + n/a · 1/B(n−1, a)
func LogErlangB(n int, a float64) float64 {
	inverse := 0.0 // ln 1/B
	for k := 1; k <= n; k++ {
		if x := math.Log(float64(k)/a) + inverse; x > 0 {
			inverse = x + math.Log1p(math.Exp(-x))
		} else {
			inverse = math.Log1p(math.Exp(x))
		}
	}
	return -inverse
}

// Engset is ErlangB for few possible visitors: sources of them, each of whom
// comes at rate alpha per mean hold while away. It returns the share of time in
// which all n numbers are lent, and the share of visitors who find it so, which
// is what the others see: the same with one source less.
func Engset(n, sources int, alpha float64) (time, call float64) {
	return engset(n, sources, alpha), engset(n, sources-1, alpha)
}

// engset computes C(s, n)·αⁿ ÷ Σ C(s, k)·αᵏ by the recursion
// E(k) = (s−k+1)·α·E(k−1) ÷ (k + (s−k+1)·α·E(k−1)).
func engset(n, sources int, alpha float64) float64 {
	e := 1.0
	for k := 1; k <= n; k++ {
		x := float64(max(sources-k+1, 0)) * alpha * e
		e = x / (float64(k) + x)
	}
	return e
}

// maxNumbers is the largest pool that is thought about.
const maxNumbers = 3_000_000

// NumbersForOverflow returns the smallest pool that loses at most the share
// target of the visitors at a load of a erlangs, and false when none of up to
// three million numbers does.
func NumbersForOverflow(a, target float64) (int, bool) {
	b := 1.0
	for n := 0; n <= maxNumbers; n++ {
		if n > 0 {
			b = a * b / (float64(n) + a*b)
		}
		if b <= target {
			return n, true
		}
	}
	return 0, false
}

// LoadForOverflow returns how many erlangs n numbers carry while they lose the
// share target of the visitors. Target is between 0 and 1, both excluded.
func LoadForOverflow(n int, target float64) float64 {
	low, high := 0.0, 1.0
	for ErlangB(n, high) < target {
		low, high = high, 2*high
	}
	for range 200 {
		middle := (low + high) / 2
		if middle <= low || middle >= high {
			break
		}
		if ErlangB(n, middle) < target {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// freeNumbers is how many numbers wait to be lent: those that no page shows.
func freeNumbers(n int, perHour, sessionHours float64) float64 {
	return max(0, float64(n)-perHour*sessionHours)
}

// HolderAccuracy returns the share of calls that come before their number is
// shown to somebody else, and so are rightly credited to its latest holder, when
// n numbers are lent in the order of their release to perHour visitors an hour
// who stay sessionHours. For a wait of mean m the gap until the number is shown
// again is Erlang with N − λs phases of rate λ:
//
//	Acc = 1 − Σ wᵢ·(λ ÷ (λ + 1/mᵢ))^(N − λs)
func HolderAccuracy(n int, perHour, sessionHours float64, waits []DelayPart) float64 {
	free := freeNumbers(n, perHour, sessionHours)
	wrong := 0.0
	for _, w := range waits {
		wrong += w.Weight * math.Exp(-free*math.Log1p(1/(perHour*w.MeanHours)))
	}
	return clampShare(1 - wrong)
}

// RandomAccuracy is HolderAccuracy for numbers that are lent at random, which is
// worse: some come round again at once.
//
//	Acc = 1 − Σ wᵢ·λ ÷ (λ + (N − λs)/mᵢ)
func RandomAccuracy(n int, perHour, sessionHours float64, waits []DelayPart) float64 {
	free := freeNumbers(n, perHour, sessionHours)
	wrong := 0.0
	for _, w := range waits {
		wrong += w.Weight / (1 + free/(perHour*w.MeanHours))
	}
	return clampShare(1 - wrong)
}

// GapAccuracy is the share of callers who call within gap hours.
func GapAccuracy(gap float64, waits []DelayPart) float64 {
	late := 0.0
	for _, w := range waits {
		late += w.Weight * math.Exp(-gap/w.MeanHours)
	}
	return clampShare(1 - late)
}

// ReuseGap returns how many hours pass on average from a visitor's last look at
// a number until somebody else is shown it; infinite when nobody comes.
//
//	(N − λs) ÷ λ
func ReuseGap(n int, perHour, sessionHours float64) float64 {
	return freeNumbers(n, perHour, sessionHours) / perHour
}

// NumbersForAccuracy returns the smallest pool with an accuracy of at least
// target, and false when most numbers do not reach it.
func NumbersForAccuracy(target, perHour, sessionHours float64, waits []DelayPart, most int) (int, bool) {
	if HolderAccuracy(most, perHour, sessionHours, waits) < target {
		return 0, false
	}
	low, high := -1, most // accuracy(low) < target ≤ accuracy(high)
	for high-low > 1 {
		middle := (low + high) / 2
		if HolderAccuracy(middle, perHour, sessionHours, waits) < target {
			low = middle
		} else {
			high = middle
		}
	}
	return high, true
}

func clampShare(x float64) float64 { return min(1, max(0, x)) }
