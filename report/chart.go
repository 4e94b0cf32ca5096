package report

import "math"

// A chart watches one joint of the wheel day by day: how much of so many was
// lost, against the share that the baseline lost. Most joints lose a case or keep
// it; a score, or what is given back of a sale, loses a part of one.
type chart struct {
	Share  float64 `json:"share"`            // p, lost in the baseline
	Spread float64 `json:"spread,omitempty"` // standard deviation of what one case loses; 0 for √(p·(1 − p)), of cases that are lost or kept
	Sigma  float64 `json:"sigma"`            // spread of a baseline day's z; 1 for pure chance
}

// lost is what one day brought to a joint: n cases, of which x was lost.
type lost struct {
	n, x float64
}

// Slack and limit of the chart: it is alarmed once in 930 quiet days, and after
// ten days when friction rises by one standard deviation.
const (
	chartSlack = 0.5
	chartLimit = 5.0
)

// newChart learns a chart from the days of a baseline and the standard deviation
// of what one case of theirs lost, 0 where cases are lost or kept. Large counts spread more
// than chance makes them; a day's z is divided by the mean moving range of the
// baseline's, as Laney does, where that is larger than chance (1). ok is false
// where nothing, or everything, was lost.
func newChart(days []lost, spread float64) (c chart, ok bool) {
	c = chart{Sigma: 1, Spread: spread}
	var n, x float64
	for _, d := range days {
		n, x = n+d.n, x+d.x
	}
	if n == 0 || x <= 0 || x >= n {
		return c, false
	}
	c.Share = x / n
	var ranges, last float64
	seen := 0
	for _, d := range days {
		if d.n == 0 {
			continue
		}
		z := c.raw(d)
		if seen > 0 {
			ranges += math.Abs(z - last)
		}
		last = z
		seen++
	}
	if seen > 1 {
		c.Sigma = math.Max(1, ranges/float64(seen-1)/1.128)
	}
	return c, true
}

// raw is a day's z, as if only chance were at work.
func (c chart) raw(d lost) float64 {
	spread := c.Spread
	if spread == 0 {
		spread = math.Sqrt(c.Share * (1 - c.Share))
	}
	return (d.x - d.n*c.Share) / (math.Sqrt(d.n) * spread)
}

// step is the statistic S = max(0, S + z − 0.5) after one more day; a day without
// anybody leaves it where it was.
func (c chart) step(s float64, d lost) float64 {
	if d.n == 0 {
		return s
	}
	return math.Max(0, s+c.raw(d)/c.Sigma-chartSlack)
}

// run is the statistic after each day.
func (c chart) run(days []lost) []float64 {
	list := make([]float64, len(days))
	s := 0.0
	for i, d := range days {
		s = c.step(s, d)
		list[i] = s
	}
	return list
}

// episode is a stretch of days in which a chart was alarmed.
type episode struct {
	rise  int // the day on which the statistic left 0
	alert int // the first day above the limit
	end   int // the day on which it was 0 again, or how many there are
	peak  float64
}

// episodes finds the stretches in the statistic.
func episodes(statistic []float64) []episode {
	var list []episode
	rise, alarmed := -1, false
	for i, s := range statistic {
		switch {
		case s == 0:
			if alarmed {
				list[len(list)-1].end = i
			}
			rise, alarmed = -1, false
			continue
		case rise < 0:
			rise = i
		}
		if s > chartLimit && !alarmed {
			alarmed = true
			list = append(list, episode{rise: rise, alert: i, end: len(statistic)})
		}
		if alarmed {
			list[len(list)-1].peak = math.Max(list[len(list)-1].peak, s)
		}
	}
	return list
}
