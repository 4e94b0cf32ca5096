package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// attempt is one person's attempt to reach the business.
type attempt struct {
	at      int64
	caller  string
	reached bool
	wait    float64 // seconds until a person was there; below 0 when not known
	first   string  // the call that began it
	by      string  // the call in which, or after which, they were reached
	enquiry string  // the form or chat that it is; "" for calls
}

// evidence is the call that stands for the attempt.
func (a *attempt) evidence() string { return cmp.Or(a.by, a.first) }

// of is the call, form or chat by which the attempt's segment is told.
func (a *attempt) of() string { return cmp.Or(a.evidence(), a.enquiry) }

// referral is who sent whom.
type referral struct {
	Referrer string `db:"referrer"`
	Referred string `db:"referred"`
	At       int64  `db:"referred_at"`
}

type rating struct {
	CallID string `db:"call_id"`
	Kind   string `db:"kind"`
	Value  int64  `db:"value"`
	At     int64  `db:"given_at"`
}

// detractor says whether the customer is discontent: 0 to 6 of 10, or 1 and 2
// of 5.
func (r rating) detractor() bool {
	if r.Kind == "nps" {
		return r.Value <= 6
	}
	return r.Value <= 2
}

// wheel is everything momentum counts, read once for all periods.
type wheel struct {
	account   account
	by        Yardsticks
	now       int64
	from      time.Time // since when everything was read
	near      nearness
	distant   []pastAttempt // by time: those of which nobody asks who made them
	attempts  []attempt     // by time: all others
	left      []leftOut     // calls that are no attempts
	scores    []scoredCall
	ratings   []rating
	referrals []referral
	people    *people
	names     []string // of the persons, in order
	book      *book
	leads     map[string]reachedAt // by person
	won       map[string]reachedAt
	of        map[string]placed // the calls that were read, and those that persons became something on
	enquiries map[string]enquiry

	segmentsSeen map[[3]string]*[3]string // that calls share
	returned     *returned                // once it was asked for
	timeline     *timeline                // so is this
}

type scoredCall struct {
	at    int64
	call  string
	score float64
}

type leftOut struct {
	at   int64
	call string
}

// reachedAt is when something became true of a person, and on which call.
type reachedAt struct {
	at   int64
	call string // "" for what was imported
}

const (
	second = int64(time.Second / time.Microsecond)
	day    = 24 * 3600 * second
)

// newWheel makes a wheel of which nothing was read but how it is counted.
func newWheel(ctx context.Context, db store.Querier, a account, by Yardsticks, from, now time.Time) (*wheel, error) {
	w := &wheel{
		account: a, by: by, now: store.Micros(now), from: from,
		leads: map[string]reachedAt{}, won: map[string]reachedAt{}, of: map[string]placed{},
		enquiries: map[string]enquiry{}, near: nearness{all: true},
	}
	var err error
	if a.exchange == nil {
		if w.account.exchange, err = readExchange(ctx, db, a); err != nil {
			return nil, err
		}
	}
	w.book, err = readBook(ctx, db, a.ID)
	return w, err
}

// readWheel reads what happened in [from, until), and the customers of before.
// near says of what more than counts is needed.
func readWheel(ctx context.Context, db store.Querier, a account, by Yardsticks, from, until, now time.Time, near nearness) (*wheel, error) {
	w, err := newWheel(ctx, db, a, by, from, now)
	if err != nil {
		return nil, err
	}
	w.near = near
	lo, hi := store.Micros(from), store.Micros(until)
	if err := w.readReferrals(ctx, db); err != nil {
		return nil, err
	}
	if err := w.readPeople(ctx, db, from, until); err != nil {
		return nil, err
	}
	if err := w.readAttempts(ctx, db, lo, hi); err != nil {
		return nil, err
	}
	if err := w.addEnquiries(ctx, db, lo-day, hi+day); err != nil {
		return nil, err
	}
	if err := w.readFeedback(ctx, db, lo, hi); err != nil {
		return nil, err
	}
	return w, w.placeFacts(ctx, db)
}

func (w *wheel) readReferrals(ctx context.Context, db store.Querier) error {
	if err := db.Select(ctx, &w.referrals, selectReferrals, w.account.ID); err != nil {
		return fmt.Errorf("read referrals: %w", err)
	}
	return nil
}

// readFeedback reads the answers of a range.
func (w *wheel) readFeedback(ctx context.Context, db store.Querier, lo, hi int64) error {
	err := db.Select(ctx, &w.ratings, `SELECT call_id, kind, value, given_at FROM feedback WHERE account_id = ? AND given_at >= ? AND given_at < ?`, w.account.ID, lo, hi)
	if err != nil {
		return fmt.Errorf("read feedback: %w", err)
	}
	slices.SortStableFunc(w.ratings, func(a, b rating) int { return cmp.Compare(a.At, b.At) })
	return nil
}

// know reads the calls of these that were not read yet.
func (w *wheel) know(ctx context.Context, db store.Querier, ids []string) error {
	missing := map[string]bool{}
	for _, id := range ids {
		if _, known := w.of[id]; id != "" && !known {
			missing[id] = true
		}
	}
	list, err := selectIn[call](ctx, db, w.account.ID, sortedKeys(missing), `SELECT `+callColumns+`, 0 AS first_time`+callJoins+` WHERE c.account_id = ? AND c.call_id IN (?)`)
	if err != nil {
		return fmt.Errorf("read calls: %w", err)
	}
	for i := range list {
		w.place(&list[i])
	}
	return nil
}

// openAttempts are the attempts that the next call of their caller may go on with.
type openAttempts struct {
	gap  int64 // micros
	seen int
	by   map[string]openAttempt // by caller
}

type openAttempt struct {
	at   int   // which attempt it is
	past bool  // of the distant ones
	last int64 // when its last call was
}

// of says with which attempt a call, the latest so far, goes on, or that it begins
// the next one.
func (o *openAttempts) of(c *call, next openAttempt) (a openAttempt, goesOn bool) {
	if c.Caller == "" {
		return next, false
	}
	if o.seen++; o.seen%4096 == 0 {
		maps.DeleteFunc(o.by, func(_ string, a openAttempt) bool { return c.StartedAt-a.last > o.gap })
	}
	a, known := o.by[c.Caller]
	if goesOn = known && c.StartedAt-a.last <= o.gap; !goesOn {
		a = next
	}
	a.last = c.StartedAt
	o.by[c.Caller] = a
	return a, goesOn
}

// placed is what is kept of a call: when it was, and in which segments.
type placed struct {
	at       int64
	segments *[3]string // in the order of momentumSegments; calls share them
}

// place notes where a call stands.
func (w *wheel) place(c *call) {
	var in [3]string
	for i, d := range momentumSegments {
		in[i] = w.segment(c, d)
	}
	if w.segmentsSeen == nil {
		w.segmentsSeen = map[[3]string]*[3]string{}
	}
	shared := w.segmentsSeen[in]
	if shared == nil {
		shared = &in
		w.segmentsSeen[in] = shared
	}
	w.of[c.ID] = placed{c.StartedAt, shared}
}

// junk says whether a call is no opportunity: refused, judged not genuine, or
// hung up at once.
func (b *book) junk(c *call, by Yardsticks) bool {
	return c.blocked() || !b.genuine(c.DispositionID) ||
		c.Outcome == string(telephony.Abandoned) && c.DurationSeconds != nil && *c.DurationSeconds < by.HangupSeconds
}

// genuine says whether a call that was judged so, or not at all, may be a real
// attempt.
func (b *book) genuine(dispositionID string) bool {
	d, judged := b.outcomes[dispositionID]
	return !judged || d.Genuine
}

// reachedBy says whether somebody was there on a call of an attempt that began at
// an instant, and after how many seconds (below 0 when not known). called is when
// the business called back and got through, 0 for never.
func (c *call) reachedBy(began, called int64, by Yardsticks) (wait float64, ok bool) {
	switch {
	case c.answered():
		ring := cmp.Or(c.RingSeconds, c.WaitSeconds)
		if ring == nil {
			return -1, true
		}
		return float64(c.StartedAt-began)/float64(second) + float64(*ring), true
	case called >= c.StartedAt && called-c.StartedAt <= by.CallbackHours*3600*second:
		return float64(called-began) / float64(second), true
	}
	return -1, false
}

// sooner says whether a wait is the one that counts: the first that is known.
func sooner(wait float64, reached bool, before float64) bool {
	return !reached || wait >= 0 && wait < before
}

type callback struct {
	CallID   string `db:"call_id"`
	CalledAt int64  `db:"called_at"`
}

// readCallbacks returns by call when it was first called back successfully.
func readCallbacks(ctx context.Context, db store.Querier, accountID string, lo, hi int64) (map[string]int64, error) {
	var list []callback
	err := db.Select(ctx, &list, `SELECT call_id, called_at FROM callbacks WHERE account_id = ? AND called_at >= ? AND called_at < ? AND connected ORDER BY called_at`,
		accountID, lo, hi)
	if err != nil {
		return nil, fmt.Errorf("read call-backs: %w", err)
	}
	first := map[string]int64{}
	for _, c := range list {
		if _, ok := first[c.CallID]; !ok {
			first[c.CallID] = c.CalledAt
		}
	}
	return first, nil
}

const selectReferrals = `SELECT referrer, referred, referred_at FROM referrals WHERE account_id = ?`

// slice is a part of the facts: those of a period, each weighed. Without a
// weight every fact counts one.
type slice struct {
	Period
	weigh func(at int64) float64
	// elapsed is how much time the weights leave of a span.
	elapsed func(from, until int64) float64
	days    float64
}

// all is the whole period, unweighed, as far as it has been: the days ahead of one
// that still runs would make it look slow.
func (w *wheel) all(p Period) slice {
	if now := time.UnixMicro(w.now); p.Until.After(now) {
		p.Until = now
		if now.Before(p.From) {
			p.Until = p.From
		}
	}
	return slice{
		Period: p, weigh: func(int64) float64 { return 1 }, days: p.Days(),
		elapsed: func(from, until int64) float64 { return float64(until-from) / float64(day) },
	}
}

// fading is what was before an instant, where a fact of a half-life ago counts
// half: numerators and denominators alike, never the ratios. It ends ten
// half-lives back, so that it does not depend on how far one reads, and does not
// begin before since, when there was nothing to measure yet.
func fading(since, end time.Time, zone *time.Location, halfLife int64) slice {
	until := store.Micros(end)
	life := float64(halfLife * day)
	weigh := func(at int64) float64 { return math.Exp2(-float64(until-at) / life) }
	elapsed := func(from, to int64) float64 {
		return (weigh(to) - weigh(from)) * float64(halfLife) / math.Ln2
	}
	from := end.Add(-10 * time.Duration(halfLife) * 24 * time.Hour)
	if since.After(from) {
		from = since
	}
	return slice{
		Period: Period{From: from, Until: end, Zone: zone}, weigh: weigh, elapsed: elapsed,
		days: elapsed(store.Micros(from), until),
	}
}

// tally gathers the counts of one group.
type tally struct {
	Counts
	prompt, handled weighed
	back            weighed   // share of each sale that was given back
	daily           []float64 // opportunities of each day that begins in the period
}

// weighed are values with their weights.
type weighed struct{ values, weights []float64 }

func (w *weighed) add(value, weight float64) {
	w.values, w.weights = append(w.values, value), append(w.weights, weight)
}

func (w weighed) join(more weighed) weighed {
	return weighed{append(w.values, more.values...), append(w.weights, more.weights...)}
}

// lost reads the values as what was lost of each case.
func (w weighed) lost() lost {
	var sum lost
	for i, v := range w.values {
		sum.n, sum.x = sum.n+w.weights[i], sum.x+v*w.weights[i]
	}
	return sum
}

// short reads the values as what was reached of each case.
func (w weighed) short() lost {
	sum := w.lost()
	sum.x = sum.n - sum.x
	return sum
}

func (w weighed) sample() Sample {
	var s Sample
	for i, v := range w.values {
		s.N += w.weights[i]
		s.Mean += v * w.weights[i]
	}
	if s.N == 0 {
		return Sample{}
	}
	s.Mean /= s.N
	if s.N <= 1 {
		return s
	}
	for i, v := range w.values {
		s.SD += w.weights[i] * (v - s.Mean) * (v - s.Mean)
	}
	s.SD = math.Sqrt(s.SD / (s.N - 1))
	return s
}

// tallies are counts by group.
type tallies map[string]*tally

func (t tallies) at(group string) *tally {
	one, ok := t[group]
	if !ok {
		one = &tally{}
		t[group] = one
	}
	return one
}

// counts counts one period.
func (w *wheel) counts(p Period) Counts { return w.countOf(w.all(p)) }

// countOf counts a slice as a whole.
func (w *wheel) countOf(s slice) Counts {
	groups := w.tally(s, func(string) string { return "" })
	return groups.at("").finish(w, s)
}

// segments counts a period by the group to which each fact's call, or its
// form or chat, belongs.
func (w *wheel) segments(p Period, group func(id string) string) Segments {
	list := Segments{}
	s := w.all(p)
	for name, one := range w.tally(s, group) {
		if name == "" {
			continue // the account's customers, who are no segment's
		}
		list[name] = one.finish(w, s)
	}
	return list
}

// finish completes the counts.
func (t *tally) finish(w *wheel, s slice) Counts {
	t.Days, t.ReturnDays = s.days, float64(w.by.ReturnDays)
	t.Prompt, t.Handled = t.prompt.sample(), t.handled.sample()
	var daily weighed
	for i, d := range s.Period.days() {
		if dayStart(d.AddDate(0, 0, 1), s.Zone).After(s.Until) {
			break // it is not over: it would look quiet
		}
		n := 0.0
		if i < len(t.daily) {
			n = t.daily[i]
		}
		daily.add(n, 1)
	}
	if one := daily.sample(); one.N >= 7 && one.Mean > 0 {
		t.Dispersion = one.SD * one.SD / one.Mean
	}
	return t.Counts
}

// tally counts everything by group.
func (w *wheel) tally(s slice, group func(id string) string) tallies {
	groups := w.tallyCases(s, group)
	w.countReturns(s, groups)
	return groups
}

// tallyCases is tally for what happened in the slice itself.
func (w *wheel) tallyCases(s slice, group func(id string) string) tallies {
	groups := tallies{}
	w.countAttempts(s, groups, group)
	for _, one := range within(w.scores, s.Period, scoredCall.when) {
		groups.at(group(one.call)).handled.add(one.score, s.weigh(one.at))
	}
	for _, r := range within(w.ratings, s.Period, rating.when) {
		c := groups.at(group(r.CallID))
		c.Answers += s.weigh(r.At)
		if r.detractor() {
			c.Detractors += s.weigh(r.At)
		}
	}
	w.eachLead(s.Period, func(lead reachedAt, won *reachedAt) {
		c := groups.at(group(lead.call))
		c.Leads += s.weigh(lead.at)
		if won != nil {
			c.Won += s.weigh(lead.at)
		}
	})
	w.countMoney(s, groups, group)
	return groups
}

// eachLead calls fn with the leads of a period that are old enough to be judged,
// and when each was won; nil when it was not, or not before it was that old.
func (w *wheel) eachLead(p Period, fn func(lead reachedAt, won *reachedAt)) {
	matures := w.by.MaturityDays * day
	for _, lead := range within(w.times().leads, p, namedLead.when) {
		if lead.at+matures > w.now {
			continue
		}
		if won, ok := w.won[lead.name]; ok && won.at <= lead.at+matures {
			fn(lead.reachedAt, &won)
		} else {
			fn(lead.reachedAt, nil)
		}
	}
}

// within are those of a list, which is in order of time, that are in a period.
func within[T any](list []T, p Period, when func(T) int64) []T {
	find := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(list, store.Micros(t), func(one T, at int64) int { return cmp.Compare(when(one), at) })
		return i
	}
	from, until := find(p.From), find(p.Until)
	return list[from:max(from, until)]
}

// within are the attempts that began in a period.
func (w *wheel) within(p Period) []attempt { return within(w.attempts, p, attempt.when) }

// when things were.
func (a attempt) when() int64      { return a.at }
func (a pastAttempt) when() int64  { return a.at }
func (one scoredCall) when() int64 { return one.at }
func (r rating) when() int64       { return r.At }

func (w *wheel) countAttempts(s slice, groups tallies, group func(string) string) {
	var starts []int64
	for _, d := range s.Period.days() {
		starts = append(starts, store.Micros(dayStart(d, s.Zone)))
	}
	count := func(c *tally, at int64, reached bool, wait float64, today int) {
		weight := s.weigh(at)
		c.Opportunities += weight
		if today >= 0 {
			for len(c.daily) <= today {
				c.daily = append(c.daily, 0)
			}
			c.daily[today]++
		}
		if !reached {
			return
		}
		c.Reached += weight
		if wait >= 0 {
			c.prompt.add(w.by.Goodwill(wait), weight)
			if wait > float64(w.by.PromptTargetSeconds) {
				c.Late += weight
			}
		}
	}
	today := -1
	dayOf := func(at int64) int {
		for today+1 < len(starts) && starts[today+1] <= at {
			today++
		}
		return today
	}
	if past := within(w.distant, s.Period, pastAttempt.when); len(past) > 0 {
		c := groups.at(group(""))
		for _, a := range past {
			count(c, a.at, a.reached, a.wait, dayOf(a.at))
		}
	}
	today = -1
	for _, a := range w.within(s.Period) {
		count(groups.at(group(a.of())), a.at, a.reached, a.wait, dayOf(a.at))
	}
}

// countMoney counts what was sold in the period and given back of it, in the
// account's currency. Sales in a currency without a rate have no value that
// could be counted: how many there are says so.
func (w *wheel) countMoney(s slice, groups tallies, group func(string) string) {
	w.eachSale(s.Period, func(one sold) {
		c, weight := groups.at(group(one.callID)), s.weigh(one.at)
		c.Sales += weight
		if one.returned == 1 {
			c.Refunds += weight
		}
		c.back.add(one.returned, weight)
		if one.foreign() {
			c.Unrated += weight
			return
		}
		c.Sold += weight * float64(one.value+one.back) / 1e6
		c.Refunded += weight * float64(one.back) / 1e6
	})
}

// sold is one sale, or one imported outcome that was won, worth what was not
// given back of it.
type sold struct {
	conversion
	callID   string
	back     int64   // what was given back, in micros of the account's currency
	returned float64 // the share that was
	margined bool    // its margin is known
}

// backShare is the share of an amount that was given back.
func backShare(back, value int64) float64 {
	switch {
	case back <= 0:
		return 0
	case back >= value:
		return 1
	}
	return float64(back) / float64(value)
}

// inHome is what was given back of a sale at the rate of the sale.
func (w *wheel) inHome(back int64, of conversion) int64 {
	for _, x := range of.rated {
		back = w.account.exchange.convert(back, x.rate)
	}
	return back
}

// eachSale calls fn with the sales of a period.
func (w *wheel) eachSale(p Period, fn func(sold)) {
	for _, d := range within(w.times().deals, p, deal.when) {
		if s := d.sale; s != nil {
			v := sold{conversion: conversion{at: s.SoldAt}, callID: s.CallID, returned: backShare(s.back, s.Value+s.back)}
			v.margined = s.Margin != nil || w.account.MarginPPM != nil
			v.worthSale(w.account, s)
			v.back = w.inHome(s.back, v.conversion)
			fn(v)
			continue
		}
		o := d.outcome
		v := sold{conversion: conversion{at: *o.WonAt}, callID: o.on, margined: o.Margin != nil || w.account.MarginPPM != nil, returned: backShare(o.Refunded, *o.Value)}
		v.worthOutcome(w.account, *o)
		v.back = w.inHome(o.Refunded, v.conversion)
		fn(v)
	}
}

// foreign is what the sales of the periods, each once, were converted with.
func (w *wheel) foreign(periods ...Period) Foreign {
	l := newLedger(w.account.Currency)
	whole := periods[0]
	for _, p := range periods {
		if p.From.Before(whole.From) {
			whole.From = p.From
		}
		if p.Until.After(whole.Until) {
			whole.Until = p.Until
		}
	}
	w.eachSale(whole, func(s sold) {
		if slices.ContainsFunc(periods, func(p Period) bool { return p.contains(s.at) }) {
			l.value(s.conversion)
		}
	})
	return l.foreign()
}

// countReturns counts the return window up to the end of the period: how long
// there were customers, how often they bought again, whom they sent. It is the
// account's alone, not a segment's.
func (w *wheel) countReturns(s slice, groups tallies) {
	c := groups.at("")
	end := store.Micros(s.Until)
	window := span64{end - w.by.ReturnDays*day, end}
	t := w.times()
	// Whoever was a customer before the window was one all through it.
	before, _ := slices.BinarySearch(t.firsts, window.from)
	upTo, _ := slices.BinarySearch(t.firsts, end)
	if before > 0 {
		c.CustomerDays += float64(before) * s.elapsed(window.from, end)
	}
	for _, first := range t.firsts[before:max(before, upTo)] {
		c.CustomerDays += s.elapsed(first, end)
	}
	from, _ := slices.BinarySearch(t.repeats, window.from)
	for _, at := range t.repeats[from:] {
		if at >= end {
			break
		}
		c.Repeats += s.weigh(at)
	}
	w.eachReferred(s.Until, func(lead reachedAt) { c.Referrals += s.weigh(lead.at) })
}

// eachReferred calls fn with the leads of the return window that ends at an instant
// whom somebody sent.
func (w *wheel) eachReferred(until time.Time, fn func(lead reachedAt)) {
	end := store.Micros(until)
	sent := map[string]bool{}
	for _, r := range w.referrals {
		if lead, ok := w.leads[w.canonical(r.Referred)]; ok && lead.at >= end-w.by.ReturnDays*day && lead.at < end && !sent[r.Referred] {
			sent[r.Referred] = true
			fn(lead)
		}
	}
}

// boughtAt lists the moments at which the person bought, in order.
func (one *person) boughtAt() []int64 {
	var list []int64
	for _, s := range one.sales {
		list = append(list, s.SoldAt)
	}
	for _, o := range one.outcomes {
		if o.WonAt != nil {
			list = append(list, *o.WonAt)
		}
	}
	slices.Sort(list)
	return list
}
