package report

import "math"

// Flow are the rates at which a wheel of three stages turns: attract A, engage
// E and delight B. In one step A' = u + f·B, E' = c·A and B' = d·E + r·B, where
// u are pushes from outside.
type Flow struct {
	Customers float64 // c: customers for each lead
	Delighted float64 // d: delighted customers for each customer
	Earned    float64 // f: earned leads for each delighted customer and step
	Stay      float64 // r: share of the delighted who are so still after a step
}

// Stages are persons in the three stages.
type Stages struct {
	Attract float64 `json:"attract"`
	Engage  float64 `json:"engage"`
	Delight float64 `json:"delight"`
}

// possible says whether the rates are rates: only then has the wheel figures.
func (f Flow) possible() bool {
	return f.Stay >= 0 && f.Stay < 1 && f.Customers >= 0 && f.Delighted >= 0 && f.Earned >= 0 &&
		finite(f.Customers*f.Delighted*f.Earned)
}

// Gain is g = c·d·f/(1−r): the earned leads that one lead brings over its life.
// Above 1 the wheel turns by itself. ok is false when everybody stays for ever.
func (f Flow) Gain() (gain float64, ok bool) {
	if !f.possible() {
		return 0, false
	}
	return f.Customers * f.Delighted * f.Earned / (1 - f.Stay), true
}

// Equilibrium is where the wheel settles when so many leads are pushed in at
// every step: A* = u/(1−g). ok is false when it never settles.
func (f Flow) Equilibrium(pushes float64) (Stages, bool) {
	gain, ok := f.Gain()
	if !ok || gain >= 1 {
		return Stages{}, false
	}
	a := pushes / (1 - gain)
	e := f.Customers * a
	return Stages{a, e, f.Delighted * e / (1 - f.Stay)}, true
}

// Growth is the factor ρ by which a wheel that nobody pushes changes in a step:
// the spectral radius of its stages, the largest root of ρ³ − r·ρ² − c·d·f. It
// is on the same side of 1 as the gain.
func (f Flow) Growth() (growth float64, ok bool) {
	if !f.possible() {
		return 0, false
	}
	x := f.Customers * f.Delighted * f.Earned
	low, high := f.Stay, f.Stay+math.Cbrt(x) // the cubic rises from the one to the other
	for range 200 {
		mid := (low + high) / 2
		if mid*mid*(mid-f.Stay) < x {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2, true
}

// Coast is after how many steps without any push half of the wheel's turning is
// left: ln 2 / −ln ρ. ok is false when it never is.
func (f Flow) Coast() (steps float64, ok bool) {
	growth, ok := f.Growth()
	if !ok || growth >= 1 || growth <= 0 {
		return 0, false
	}
	return math.Ln2 / -math.Log(growth), true
}

// Times is after how many steps a wheel that nobody pushes turns so many times
// as fast: ln x / ln ρ. ok is false when it never does.
func (f Flow) Times(x float64) (steps float64, ok bool) {
	growth, ok := f.Growth()
	if !ok || growth <= 1 || x < 1 {
		return 0, false
	}
	return math.Log(x) / math.Log(growth), true
}

// poisson is the 95 % interval of an expected number of which so many were
// seen (Byar's approximation).
func poisson(seen float64) Interval {
	bound := func(n, z float64) float64 {
		if n <= 0 {
			return 0
		}
		root := 1 - 1/(9*n) + z/(3*math.Sqrt(n))
		return n * math.Pow(math.Max(0, root), 3)
	}
	return Interval{bound(seen, -z95), bound(seen+1, z95)}
}
