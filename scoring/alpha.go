package scoring

import (
	"math"
	"slices"
)

// Scale says what the distance between two marks means.
type Scale string

// The scales. Levels of a criterion are ordinal: 3 is more than 2, and nobody
// knows by how much.
const (
	Nominal       Scale = "nominal"
	Ordinal       Scale = "ordinal"
	IntervalScale Scale = "interval"
	Ratio         Scale = "ratio"
)

// LeastAlpha is the least agreement with which conclusions may be drawn from
// marks, tentative ones: Krippendorff's own lower limit.
const LeastAlpha = 0.667

// Reliability is how far several people agree who marked the same things.
type Reliability struct {
	Alpha *float64 // at most 1; nil where nothing was marked twice, and where all marks are alike
	Marks int64    // that could be compared: of units with at least two
	Units int64    // with at least two marks
}

// Varied says whether the marks that could be compared differ at all. Where they
// do not, nobody can tell agreement from a scorer who always gives the same.
func (r Reliability) Varied() bool { return r.Alpha != nil }

// Alpha is Krippendorff's α = 1 − D_o ÷ D_e over the marks of each unit (the
// call that was scored): observed over expected disagreement, whoever gave the
// marks, however many there are of a unit. Units with fewer than two marks say
// nothing. The distance of two marks is 1 where they differ (nominal), the
// number of marks ranked between them (ordinal), their difference (interval) or
// their difference over their sum (ratio; marks are at least 0), squared.
// Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
func Alpha(units [][]float64, scale Scale) Reliability {
	var r Reliability
	seen := map[float64]float64{}
	for _, marks := range units {
		if len(marks) < 2 {
			continue
		}
		r.Units++
		r.Marks += int64(len(marks))
		for _, m := range marks {
			seen[m]++
		}
	}
	distance := distances(seen, scale)
	var expected float64
	for a, na := range seen {
		for b, nb := range seen {
			expected += na * nb * distance(a, b)
		}
	}
	if expected == 0 {
		return r
	}
	var observed float64
	for _, marks := range units {
		var sum float64
		for _, a := range marks {
			for _, b := range marks {
				sum += distance(a, b)
			}
		}
		if len(marks) > 1 {
			observed += sum / float64(len(marks)-1)
		}
	}
	alpha := 1 - float64(r.Marks-1)*observed/expected
	r.Alpha = &alpha
	return r
}

// distances returns the squared distance of two of the marks that were seen so
// often.
func distances(seen map[float64]float64, scale Scale) func(a, b float64) float64 {
	switch scale {
	case Ordinal:
		return rankDistance(seen)
	case IntervalScale:
		return func(a, b float64) float64 { return (a - b) * (a - b) }
	case Ratio:
		return func(a, b float64) float64 {
			if a == b {
				return 0
			}
			d := (a - b) / (a + b)
			return d * d
		}
	}
	return func(a, b float64) float64 {
		if a == b {
			return 0
		}
		return 1
	}
}

// rankDistance counts the marks from one to the other, half of each end.
func rankDistance(seen map[float64]float64) func(a, b float64) float64 {
	marks := make([]float64, 0, len(seen))
	for m := range seen {
		marks = append(marks, m)
	}
	slices.Sort(marks)
	middle := map[float64]float64{} // marks below, and half of those that are equal
	var below float64
	for _, m := range marks {
		middle[m] = below + seen[m]/2
		below += seen[m]
	}
	return func(a, b float64) float64 { return math.Pow(middle[a]-middle[b], 2) }
}
