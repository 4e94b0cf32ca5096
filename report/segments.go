package report

import (
	"cmp"
	"math"
	"slices"
)

// Segments are the counts of the groups that a period's counts are made of: of
// each campaign, agent or source.
type Segments map[string]Counts

// own are the parts that a segment has of its own; weight is the account's.
var own = []string{partReached, partPrompt, partHandled, partWon, partKept, partContent}

// partMix is the factor that reconciles the segments with the account: it moves
// when the same people are divided otherwise among the segments.
const partMix = "mix"

// segmentChange is what one segment moved the index by.
type segmentChange struct {
	name  string
	total float64
	parts map[string]float64
}

// decompose splits the index less 100 into segments and, in each, parts, without
// rest: L = κ·Σ Π of a segment's parts, where a segment that has nobody to
// measure a part on, in either period, has the account's. κ makes the segments
// add up to the account's own momentum and is a part like any other. ok is false
// when the segments cannot carry the account's momentum.
func decompose(before, now Counts, groupsBefore, groupsNow Segments, c Comparison) ([]segmentChange, bool) {
	if c.Index == nil {
		return nil, false
	}
	names := map[string]bool{}
	for name := range groupsBefore {
		names[name] = true
	}
	for name := range groupsNow {
		names[name] = true
	}
	parts := append(slices.Clone(c.Parts), partMix)
	x0, x1 := map[string][]float64{}, map[string][]float64{}
	all0, all1 := before.gauges(), now.gauges()
	sum0, sum1 := 0.0, 0.0
	for name := range names {
		g0, g1 := groupsBefore[name], groupsNow[name]
		m0, m1 := g0.gauges(), g1.gauges()
		for _, part := range c.Parts {
			v0, v1 := all0[part].value, all1[part].value
			switch {
			case part == partSpeed:
				// A segment's speed is over the account's days.
				v0, v1 = g0.Opportunities/before.Days, g1.Opportunities/now.Days
			case slices.Contains(own, part) && m0[part].known && m1[part].known:
				v0, v1 = m0[part].value, m1[part].value
			}
			x0[name], x1[name] = append(x0[name], v0), append(x1[name], v1)
		}
		sum0, sum1 = sum0+product(x0[name]), sum1+product(x1[name])
	}
	if sum0 == 0 || (sum1 == 0) != (*c.Index == 0) {
		return nil, false
	}
	// Scaled so that the baseline's momentum is 100.
	scale := 100 / c.Baseline.Momentum
	k0 := scale * c.Baseline.Momentum / sum0
	k1 := k0
	if sum1 > 0 {
		k1 = scale * c.Period.Momentum / sum1
	}
	if !finite(k0) || !finite(k1) {
		return nil, false // too far apart for any number
	}
	var list []segmentChange
	for name := range names {
		one := segmentChange{name: name, parts: map[string]float64{}}
		for i, points := range split(append(x0[name], k0), append(x1[name], k1)) {
			if !finite(points) {
				return nil, false
			}
			one.parts[parts[i]] = points
			one.total += points
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b segmentChange) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.name, b.name))
	})
	return list, true
}

func product(list []float64) float64 {
	p := 1.0
	for _, x := range list {
		p *= x
	}
	return p
}

// split divides the difference of two products among their factors, without
// rest: by the logarithmic mean, and where one of the products is 0 by its
// limit: the factors that are 0 carry it in equal shares.
func split(before, now []float64) []float64 {
	m0, m1 := product(before), product(now)
	points := make([]float64, len(before))
	if m0 > 0 && m1 > 0 {
		scale := logMean(m1, m0)
		for i := range points {
			points[i] = scale * math.Log(now[i]/before[i])
		}
		return points
	}
	share := func(list []float64, whole float64) {
		zeros := 0
		for _, x := range list {
			if x == 0 {
				zeros++
			}
		}
		for i, x := range list {
			if x == 0 {
				points[i] += whole / float64(zeros)
			}
		}
	}
	if m0 > 0 {
		share(now, -m0)
	}
	if m1 > 0 {
		share(before, m1)
	}
	return points
}
