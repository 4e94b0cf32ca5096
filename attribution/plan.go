package attribution

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
)

// The sizing rule: the smallest pool that loses at most this share of the
// visitors of a busy hour, and credits at least this share of the calls to whom
// saw the number last.
const (
	TargetOverflow = 0.01
	TargetAccuracy = 0.80
)

// enoughFactor is how many times the present pool is tried before the plan says
// that numbers do not help.
const enoughFactor = 4

// PlanQuery are the what-ifs of a plan. What is nil is measured.
type PlanQuery struct {
	VisitorsPerHour *float64 // who want a number, in a busy hour; above 0
	SessionMinutes  *float64 // from the first to the last sign of a page
	TailMinutes     *float64 // how long a number is held after that
	TargetAccuracy  *float64 // between 0 and 1
	Numbers         *int     // how many the pool shall be thought to have
	NumberCost      *callwheel.Money
}

// PlanInput is one figure that a plan was computed from, and where it is from:
// asked, measured, assumed or pool.
type PlanInput struct {
	Name   string
	Value  float64
	From   string
	Detail string // for a person
}

// PlanRow is what a pool of so many numbers does at the plan's load.
type PlanRow struct {
	Numbers         int
	Overflow        float64          // share of visitors who find none free
	Accuracy        float64          // share of calls that come before the number is shown to somebody else
	ReuseGapMinutes float64          // from one visitor's last look until the next is shown the number
	Cost            *callwheel.Money // a month, nil when the price of a number is not known
}

// PlanTail is what a tail would cost in numbers.
type PlanTail struct {
	TailMinutes float64
	Erlangs     float64
	Overflow    float64 // of the plan's numbers
	Numbers     *int    // for TargetOverflow; nil when more than can be thought about
}

// Plan says how many numbers a pool needs, and what they buy.
type Plan struct {
	PlanRow // for Numbers
	Pool    Pool
	Now     int // numbers that the pool lends
	Erlangs float64
	Target  float64
	// ForOverflow and ForAccuracy are the smallest pools for the two targets, nil
	// when no sensible number of numbers reaches them; Needed is the larger.
	ForOverflow, ForAccuracy, Needed *int
	Hopeless                         string // why ForAccuracy is nil
	// ForFivePoints is how many numbers must be added for five more points of
	// accuracy, nil when more than enough do not bring them.
	ForFivePoints *int
	// OneMore is what one more number buys.
	OneMore struct {
		Accuracy, Overflow float64          // gained, avoided
		CostPerPoint       *callwheel.Money // a month, for a point of accuracy
	}
	ByNumbers []PlanRow
	ByTail    []PlanTail
	Inputs    []PlanInput
	Advice    []string
}

// busy is the hour that a pool is planned for.
type busy struct {
	perHour, sessionHours, tailHours float64
	delays                           []DelayPart
	cost                             *callwheel.Money
}

func (b busy) erlangs() float64 { return b.perHour * (b.sessionHours + b.tailHours) }

func (b busy) row(n int) PlanRow {
	r := PlanRow{
		Numbers: n, Overflow: ErlangB(n, b.erlangs()), Accuracy: HolderAccuracy(n, b.perHour, b.sessionHours, b.delays),
		ReuseGapMinutes: 60 * ReuseGap(n, b.perHour, b.sessionHours),
	}
	if b.cost != nil && b.cost.Micros <= math.MaxInt64/int64(max(n, 1)) {
		r.Cost = &callwheel.Money{Micros: b.cost.Micros * int64(n), Currency: b.cost.Currency}
	}
	return r
}

// Plan computes how many numbers a pool needs from the account's own arrivals,
// session lengths and waits, or from what the query says instead. Errors are
// NotFound and Unavailable.
func (l *Ledger) Plan(ctx context.Context, accountID, poolID string, q PlanQuery, now time.Time) (Plan, error) {
	pool, err := readPool(ctx, l.db, accountID, poolID, "")
	if err != nil {
		return Plan{}, err
	}
	facts, err := l.planFacts(ctx, pool, now)
	if err != nil {
		return Plan{}, fmt.Errorf("plan pool: %w", err)
	}
	inputs := q.inputs(facts)
	p := compute(busy{
		perHour: inputs[0].Value, sessionHours: inputs[1].Value / 60, tailHours: inputs[2].Value / 60, delays: facts.delays, cost: q.NumberCost,
	}, facts.numbers, q.Numbers, inputs[3].Value)
	p.Pool, p.Inputs = pool, append(inputs, facts.delayInput())
	p.Advice = p.advise()
	return p, nil
}

// inputs takes what was asked, else what was measured: visitors, session, tail
// and target, in this order.
func (q PlanQuery) inputs(f planFacts) []PlanInput {
	list := []PlanInput{f.visitors(), f.session(), f.tail(), {Name: "target_accuracy", Value: TargetAccuracy, From: "assumed", Detail: "Four calls of five; ask for another with target_accuracy."}}
	for i, asked := range []*float64{q.VisitorsPerHour, q.SessionMinutes, q.TailMinutes, q.TargetAccuracy} {
		if asked != nil {
			list[i].Value, list[i].From, list[i].Detail = *asked, "asked", "As the request says."
		}
	}
	return list
}

func compute(b busy, have int, asked *int, target float64) Plan {
	n := have
	if asked != nil {
		n = *asked
	}
	p := Plan{PlanRow: b.row(n), Now: have, Erlangs: b.erlangs(), Target: target}
	most := n
	if need, ok := NumbersForOverflow(p.Erlangs, TargetOverflow); ok {
		p.ForOverflow, most = &need, max(n, need)
	}
	most *= enoughFactor
	if need, ok := NumbersForAccuracy(target, b.perHour, b.sessionHours, b.delays, most); ok {
		p.ForAccuracy = &need
	} else {
		p.Hopeless = fmt.Sprintf("Even %d numbers, four times as many, would be right about %s of the calls. Callers who wait for days cannot be told apart by the number they dial: it takes identity, such as forms, or callers who are known already.",
			most, sharePercent(HolderAccuracy(most, b.perHour, b.sessionHours, b.delays)))
	}
	if p.ForOverflow != nil && p.ForAccuracy != nil {
		need := max(*p.ForOverflow, *p.ForAccuracy)
		p.Needed = &need
	}
	if need, ok := NumbersForAccuracy(p.Accuracy+0.05, b.perHour, b.sessionHours, b.delays, most); ok {
		add := need - n
		p.ForFivePoints = &add
	}
	next := b.row(n + 1)
	p.OneMore.Accuracy, p.OneMore.Overflow = next.Accuracy-p.Accuracy, p.Overflow-next.Overflow
	if points := 100 * p.OneMore.Accuracy; b.cost != nil && points > 1e-6 {
		p.OneMore.CostPerPoint = perPoint(*b.cost, points)
	}
	p.ByNumbers, p.ByTail = b.byNumbers(p), b.byTail(n)
	return p
}

// perPoint divides a price, rounded to the currency's smallest unit; nil when it
// is beyond what money can be.
func perPoint(cost callwheel.Money, points float64) *callwheel.Money {
	unit := callwheel.MinorUnit(cost.Currency)
	units := math.Round(float64(cost.Micros) / points / float64(unit))
	if units > 1e12 {
		return nil
	}
	return &callwheel.Money{Micros: int64(units) * unit, Currency: cost.Currency}
}

// byNumbers is the what-if by the size of the pool.
func (b busy) byNumbers(p Plan) []PlanRow {
	n := max(p.Numbers, 1)
	sizes := []int{max(n/2, 1), n, n + 1, n + max(n/10, 2), n + (n+3)/4, n + (n+1)/2, 2 * n, 3 * n, enoughFactor * n}
	for _, need := range []*int{p.ForOverflow, p.ForAccuracy} {
		if need != nil {
			sizes = append(sizes, *need)
		}
	}
	slices.Sort(sizes)
	var rows []PlanRow
	for _, size := range slices.Compact(sizes) {
		rows = append(rows, b.row(size))
	}
	return rows
}

// planTails are the tails that are compared, in minutes.
var planTails = []float64{0, 5, 15, 30, 60, 120}

// byTail is the what-if by the tail. The tail decides the bill, but not the
// accuracy: while numbers are free, the order of release does as much.
func (b busy) byTail(n int) []PlanTail {
	tails := append(slices.Clone(planTails), 60*b.tailHours)
	slices.Sort(tails)
	var rows []PlanTail
	for _, minutes := range slices.Compact(tails) {
		b.tailHours = minutes / 60
		row := PlanTail{TailMinutes: minutes, Erlangs: b.erlangs(), Overflow: ErlangB(n, b.erlangs())}
		if need, ok := NumbersForOverflow(b.erlangs(), TargetOverflow); ok {
			row.Numbers = &need
		}
		rows = append(rows, row)
	}
	return rows
}

// advise says in words what the figures come to.
func (p Plan) advise() []string {
	list := []string{fmt.Sprintf("With %s, in a busy hour of %s visitors, %s of them find none free, and %s of the calls come before their number is shown to somebody else.",
		counted(p.Numbers, "number"), short(p.Inputs[0].Value), sharePercent(p.Overflow), sharePercent(p.Accuracy))}
	switch {
	case p.Needed == nil && p.Hopeless != "":
		list = append(list, p.Hopeless)
	case p.Needed == nil:
		list = append(list, "No pool that can be thought of serves so many visitors for so long: a shorter tail is needed.")
	case *p.Needed > p.Numbers:
		list = append(list, fmt.Sprintf("%d numbers would lose at most %s of the visitors and be right about %s of the calls: %s more.",
			*p.Needed, sharePercent(TargetOverflow), sharePercent(p.Target), counted(*p.Needed-p.Numbers, "number")))
	case *p.Needed < p.Numbers:
		list = append(list, fmt.Sprintf("%s would do for both targets: the pool can shrink by %d.", counted(*p.Needed, "number"), p.Numbers-*p.Needed))
	}
	if p.ForOverflow != nil && p.ForAccuracy != nil && *p.ForAccuracy > *p.ForOverflow {
		list = append(list, fmt.Sprintf("Size for accuracy, not for overflow: %s would serve the visitors, %d it takes to tell the callers apart.", counted(*p.ForOverflow, "number"), *p.ForAccuracy))
	}
	if p.ForFivePoints != nil {
		list = append(list, fmt.Sprintf("Five more points of accuracy take %s more.", counted(*p.ForFivePoints, "number")))
	}
	if p.OneMore.CostPerPoint != nil {
		list = append(list, fmt.Sprintf("A point of accuracy costs about %s a month at this size.", p.OneMore.CostPerPoint))
	}
	return list
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// percent writes a share as people say it.
func sharePercent(share float64) string { return short(100*share) + " %" }

// short writes a figure with at most one decimal.
func short(x float64) string { return fmt.Sprintf("%g", math.Round(10*x)/10) }
