package report

import "slices"

// divide splits an amount by the weights so that the parts add up to it: each
// gets the floor of its share, and what is left goes to the largest remainders,
// one unit each, the earlier part first among equals.
func divide(amount int64, weights []float64) []int64 {
	exact := make([]float64, len(weights))
	for i, w := range weights {
		exact[i] = float64(amount) * w
	}
	return roundTo(amount, exact)
}

// roundTo rounds the exact shares to whole numbers that add up to the total, by
// largest remainder.
func roundTo(total int64, exact []float64) []int64 {
	parts := make([]int64, len(exact))
	order := make([]int, len(exact))
	left := total
	for i, x := range exact {
		parts[i] = floor(x)
		left -= parts[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		ra, rb := exact[a]-float64(parts[a]), exact[b]-float64(parts[b])
		switch {
		case ra > rb:
			return -1
		case ra < rb:
			return 1
		}
		return 0
	})
	for i := 0; left != 0 && len(order) > 0; i = (i + 1) % len(order) {
		if left > 0 {
			parts[order[i]]++
			left--
			continue
		}
		// Binary fractions can overshoot by a unit: take it from the smallest.
		parts[order[len(order)-1-i]]--
		left++
	}
	return parts
}

func floor(x float64) int64 {
	n := int64(x)
	if float64(n) > x {
		n--
	}
	return n
}
