package report

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// ReferralRow is the origin of persons who were sent by somebody of whom no
// touch is known.
const ReferralRow = "(referral)"

// Origin is what persons have bought in the range whom the row brought first, or
// who were sent by such persons. Every purchase stands in one row, as one of the
// three kinds.
type Origin struct {
	FirstPurchases    int64            `json:"first_purchases"`
	FirstRevenue      *callwheel.Money `json:"first_revenue"`
	RepeatPurchases   int64            `json:"repeat_purchases"`
	RepeatRevenue     *callwheel.Money `json:"repeat_revenue"`
	ReferredPurchases int64            `json:"referred_purchases" doc:"Of persons who were sent, credited to where their referrer came from"`
	ReferredRevenue   *callwheel.Money `json:"referred_revenue"`
	ROI               *float64         `json:"roi" doc:"All three against the row's spend"`
}

// originNames are the columns of an origin.
var originNames = []string{"first_purchases", "first_revenue", "repeat_purchases", "repeat_revenue", "referred_purchases", "referred_revenue", "roi"}

func (o *Origin) texts() []string {
	return []string{
		countText(o.FirstPurchases), moneyText(o.FirstRevenue), countText(o.RepeatPurchases), moneyText(o.RepeatRevenue),
		countText(o.ReferredPurchases), moneyText(o.ReferredRevenue), numberText(o.ROI),
	}
}

// The kinds of purchases.
const (
	firstPurchase = iota
	repeatPurchase
	referredPurchase
	purchaseKinds
)

// originLine gathers a line's purchases by kind.
type originLine struct {
	counts   [purchaseKinds]int64
	revenues [purchaseKinds]int64
	absent   bool
}

// maxSent is how many persons are followed from who was sent to who sent.
const maxSent = 10

// sentAfter is how long after a person's first purchase it may be told that they
// were sent: people are asked when they have bought.
const sentAfter = 24 * time.Hour

// origins are the buyers of a range and those who sent them.
type origins struct {
	buyers *people
	known  map[string]*person // by each of a person's numbers
	sent   map[*person]referral
}

// originate fills the origins of what was bought in the range.
func originate(ctx context.Context, db store.Querier, b *book, s *sheet) error {
	qu := s.qu
	who, err := readSeeds(ctx, db, qu.AccountID, ForSale, qu.period)
	if err != nil {
		return err
	}
	o := &origins{known: map[string]*person{}, sent: map[*person]referral{}}
	for range maxSent {
		p, err := loadPeople(ctx, db, qu.AccountID, who, scope{touches: reach{noPrev, store.Micros(qu.period.Until)}})
		if err != nil {
			return err
		}
		if o.buyers == nil {
			o.buyers = p
		}
		if who, err = o.add(ctx, p); err != nil {
			return err
		}
		if len(who.names) == 0 {
			break
		}
	}
	if err := o.buyers.tag(ctx, b, s); err != nil {
		return err
	}
	for _, v := range o.buyers.conversions(ForSale, qu.account, b, qu.period) {
		s.originate(b, v, o)
	}
	return nil
}

// add takes persons in and returns who sent them and is not known yet.
func (o *origins) add(ctx context.Context, p *people) (seeds, error) {
	var numbers []string
	for _, name := range sortedKeys(p.persons) {
		one := p.persons[name]
		for alias := range one.proofs {
			if strings.HasPrefix(alias, "+") && o.known[alias] == nil {
				o.known[alias] = one
				numbers = append(numbers, alias)
			}
		}
	}
	next := newSeeds()
	list, err := selectIn[referral](ctx, p.db, p.account, numbers, selectReferrals+` AND referred IN (?)`)
	if err != nil {
		return next, fmt.Errorf("read who sent whom: %w", err)
	}
	for _, r := range list {
		one := o.known[r.Referred]
		first, bought := one.firstBought()
		if bought && r.At > first+sentAfter.Microseconds() {
			continue
		}
		had, ok := o.sent[one]
		if !ok || cmp.Or(cmp.Compare(r.At, had.At), strings.Compare(r.Referrer, had.Referrer)) < 0 {
			o.sent[one] = r
		}
		if o.known[r.Referrer] == nil {
			next.add(r.Referrer)
		}
	}
	return next, nil
}

// firstBought is when the person bought first.
func (one *person) firstBought() (at int64, ok bool) {
	try := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, s := range one.sales {
		try(s.SoldAt)
	}
	for _, o := range one.outcomes {
		if o.WonAt != nil {
			try(*o.WonAt)
		}
	}
	return at, ok
}

// of returns the kind of a purchase and where its person came from.
func (o *origins) of(v conversion) (kind int, from share) {
	if _, ok := o.sent[v.person]; ok {
		one, seen := v.person, map[*person]bool{}
		for r, ok := o.sent[one]; ok && !seen[one] && o.known[r.Referrer] != nil; r, ok = o.sent[one] {
			seen[one] = true
			one = o.known[r.Referrer]
		}
		for _, t := range one.touches {
			if t.at > v.at {
				break // what the referrer met later brought nobody before
			}
			if one != v.person && one.proofs[t.name] != nil {
				return referredPurchase, share{touch: t}
			}
		}
		return referredPurchase, share{literal: ReferralRow}
	}
	if v.prev != noPrev {
		kind = repeatPurchase
	}
	v.prev = noPrev
	if path := v.eligible(branch{}, maxWindowDays*24*time.Hour, noPrev); len(path) > 0 {
		return kind, share{touch: path[0]}
	}
	return kind, share{literal: v.nothing()}
}

// originate adds one purchase: it counts in each of its rows, its money is
// divided equally among them.
func (s *sheet) originate(b *book, v conversion, o *origins) {
	kind, from := o.of(v)
	var c cell
	if from.literal != "" {
		c.literal(from.literal)
	} else {
		c = from.touch.cell(b)
	}
	c.ofCall(b, v.call)
	c.at = v.at
	lines := s.place(c)
	equal := make([]float64, len(lines))
	for i := range equal {
		equal[i] = 1 / float64(len(lines))
	}
	revenues := divide(v.value, equal)
	for i, l := range lines {
		l.origin.buy(kind, revenues[i], v.foreign())
	}
	if len(lines) > 0 {
		s.total.origin.buy(kind, v.value, v.foreign())
	}
}

func (l *originLine) buy(kind int, revenue int64, absent bool) {
	l.counts[kind]++
	l.revenues[kind] += revenue
	l.absent = l.absent || absent
}

// roundOrigins fills the origins; each column of money adds up.
func (s *sheet) roundOrigins(list []Figures, lines []*line, unit float64) {
	for kind := range purchaseKinds {
		parts, sum := column(lines, float64(s.total.origin.revenues[kind]), unit, func(l *line) float64 { return float64(l.origin.revenues[kind]) })
		for i, l := range append(lines[:len(lines):len(lines)], &s.total) {
			minor := sum
			if i < len(lines) {
				minor = parts[i]
			}
			if list[i].Origin == nil {
				list[i].Origin = &Origin{}
			}
			list[i].Origin.put(kind, l.origin.counts[kind], s.money(minor*int64(unit)))
		}
	}
	for i, l := range append(lines[:len(lines):len(lines)], &s.total) {
		o := list[i].Origin
		if l.origin.absent {
			o.FirstRevenue, o.RepeatRevenue, o.ReferredRevenue = nil, nil, nil
			continue
		}
		o.ROI, _ = returns(s.money(o.FirstRevenue.Micros+o.RepeatRevenue.Micros+o.ReferredRevenue.Micros), list[i].Spend)
	}
}

func (o *Origin) put(kind int, count int64, revenue *callwheel.Money) {
	switch kind {
	case firstPurchase:
		o.FirstPurchases, o.FirstRevenue = count, revenue
	case repeatPurchase:
		o.RepeatPurchases, o.RepeatRevenue = count, revenue
	case referredPurchase:
		o.ReferredPurchases, o.ReferredRevenue = count, revenue
	}
}
