package report

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// cohortGain is what the opportunities of a period earned.
type cohortGain struct {
	gain     float64 // earned opportunities for each opportunity
	interval Interval
	complete bool    // nothing more can be earned
	share    float64 // of its own opportunities that were earned, by whomever
}

// gain traces the opportunities that the customers of a period's opportunities
// brought within the return window after it. ok is false where that cannot be
// told.
func (w *wheel) gain(p Period, c Counts) (g cohortGain, ok bool) {
	if c.Opportunities < 30 || c.Won == 0 {
		return g, false
	}
	tried := map[string]float64{}
	alone := 0.0 // who did not say who they are earn nothing
	for _, a := range w.within(p) {
		if a.caller == "" {
			alone++
			continue
		}
		tried[w.canonical(a.caller)]++
	}
	earned := w.earned(p)
	sum := 0.0
	for _, n := range earned { // whole numbers: their order does not matter
		sum += n
	}
	g.gain, g.share = sum/c.Opportunities, float64(len(w.traceReturns().broughtOf(p)))/c.Opportunities
	// What one customer earns comes in bunches: the interval is that of a count of
	// as many independent ones as vary as much.
	squares := alone * g.gain * g.gain
	for _, name := range sortedKeys(tried) {
		d := earned[name] - g.gain*tried[name]
		squares += d * d
	}
	bunch := 1.0
	if sum > 0 {
		bunch = math.Max(1, squares/sum)
	}
	bounds := poisson(sum / bunch)
	g.interval = Interval{bounds[0] * bunch / c.Opportunities, bounds[1] * bunch / c.Opportunities}
	g.complete = !w.earnsUntil(p).After(time.UnixMicro(w.now))
	return g, true
}

// earnsUntil is the end of the return window of a period's last opportunity.
func (w *wheel) earnsUntil(p Period) time.Time {
	return p.Until.Add(time.Duration(w.by.ReturnDays) * 24 * time.Hour)
}

// senders is by whom each person was sent first.
func (w *wheel) senders() map[string]referral {
	list := map[string]referral{}
	for _, r := range w.referrals {
		name := w.canonical(r.Referred)
		if first, ok := list[name]; !ok || cmp.Or(cmp.Compare(r.At, first.At), cmp.Compare(r.Referrer, first.Referrer)) < 0 {
			list[name] = r
		}
	}
	return list
}

// broughtBy is the customer who brought an opportunity, and when they last bought
// before; nil for nobody. A person who has bought brings their own; one who has
// not is brought by whoever sent them, if that is a customer.
func (w *wheel) broughtBy(a attempt, senders map[string]referral) (customer string, bought *int64) {
	customer = w.canonical(a.caller)
	bought = w.lastBought(customer, a.at)
	if r, sent := senders[customer]; sent && bought == nil {
		customer = w.canonical(r.Referrer)
		bought = w.lastBought(customer, min(a.at, r.At+1))
	}
	return customer, bought
}

// returned are the opportunities that customers brought: which they are, and which
// opportunity each follows from.
type returned struct {
	brought []bringing  // by when they were
	follows []following // by when those were that they follow from
}

// bringing is an opportunity that a customer brought.
type bringing struct {
	at      int64
	attempt int // its place
}

// following is an opportunity that follows from another of a customer, which began
// at an instant.
type following struct {
	from     int64
	customer string
	attempt  int // its place
}

// earnedOf are the places of the opportunities that follow from those of a period.
func (r *returned) earnedOf(p Period) []int {
	var list []int
	for _, f := range r.followsFrom(p) {
		list = append(list, f.attempt)
	}
	return list
}

func (r *returned) followsFrom(p Period) []following {
	find := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(r.follows, t.UnixMicro(), func(f following, at int64) int { return cmp.Compare(f.from, at) })
		return i
	}
	return r.follows[find(p.From):find(p.Until)]
}

// broughtOf are the places of the opportunities of a period that customers brought.
func (r *returned) broughtOf(p Period) []int {
	find := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(r.brought, t.UnixMicro(), func(b bringing, at int64) int { return cmp.Compare(b.at, at) })
		return i
	}
	var list []int
	for _, b := range r.brought[find(p.From):find(p.Until)] {
		list = append(list, b.attempt)
	}
	return list
}

// traceReturns finds once which opportunities customers brought. One follows from
// the opportunity on which that customer last bought, if that began at most a
// return window before. Each has at most one that it follows from, so that periods
// add up.
func (w *wheel) traceReturns() *returned {
	if w.returned != nil {
		return w.returned
	}
	began := map[string][]int64{} // of customers: nobody else brings any
	for _, a := range w.attempts {
		if name := w.canonical(a.caller); a.caller != "" && len(w.times().bought[name]) > 0 {
			began[name] = append(began[name], a.at)
		}
	}
	w.returned = &returned{}
	senders := w.senders()
	for i, a := range w.attempts {
		customer, bought := w.broughtBy(a, senders)
		if bought == nil {
			continue
		}
		w.returned.brought = append(w.returned.brought, bringing{a.at, i})
		if from := lastBefore(began[customer], *bought+1); from != nil && a.at-*from <= w.by.ReturnDays*day {
			w.returned.follows = append(w.returned.follows, following{*from, customer, i})
		}
	}
	slices.SortStableFunc(w.returned.follows, func(a, b following) int { return cmp.Compare(a.from, b.from) })
	return w.returned
}

// earned counts by customer the opportunities that follow from those of a period.
func (w *wheel) earned(p Period) map[string]float64 {
	earned := map[string]float64{}
	for _, f := range w.traceReturns().followsFrom(p) {
		earned[f.customer]++
	}
	return earned
}

// canonical is the person behind a name.
func (w *wheel) canonical(name string) string { return cmp.Or(w.people.canon[name], name) }

// lastBought is when a person last bought before an instant; nil for never.
func (w *wheel) lastBought(name string, before int64) *int64 {
	return lastBefore(w.times().bought[name], before)
}

// lastBefore is the last of ascending instants before another; nil for none.
func lastBefore(list []int64, before int64) *int64 {
	i, _ := slices.BinarySearch(list, before)
	if i == 0 {
		return nil
	}
	return &list[i-1]
}

// stays is the share of the customers who bought in the return window before
// the last one and, in the last one, bought again or sent somebody: the r of a
// wheel whose step is that window. n is how many there were.
func (w *wheel) stays(until time.Time) (share float64, n int) {
	stayed := 0
	w.eachStay(until, func(_ string, came bool) {
		n++
		if came {
			stayed++
		}
	})
	if n == 0 {
		return 0, 0
	}
	return float64(stayed) / float64(n), n
}

// readUntil is how far the facts of a range must be read: until its opportunities
// can earn no more, or now.
func readUntil(until, now time.Time, by Yardsticks) time.Time {
	end := until.Add(time.Duration(by.ReturnDays) * 24 * time.Hour)
	if end.After(now) {
		end = now
	}
	if end.Before(until) {
		return until
	}
	return end
}
