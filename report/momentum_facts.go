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
	attempts  []attempt // by time
	left      []leftOut // calls that are no attempts
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
		enquiries: map[string]enquiry{},
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
func readWheel(ctx context.Context, db store.Querier, a account, by Yardsticks, from, until, now time.Time) (*wheel, error) {
	w, err := newWheel(ctx, db, a, by, from, now)
	if err != nil {
		return nil, err
	}
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
	return w, w.readFeedback(ctx, db, lo, hi)
}

func (w *wheel) readReferrals(ctx context.Context, db store.Querier) error {
	if err := db.Select(ctx, &w.referrals, selectReferrals, w.account.ID); err != nil {
		return fmt.Errorf("read referrals: %w", err)
	}
	return nil
}

// readFeedback reads the answers of a range and the calls that they are about,
// however long ago those were.
func (w *wheel) readFeedback(ctx context.Context, db store.Querier, lo, hi int64) error {
	err := db.Select(ctx, &w.ratings, `SELECT call_id, kind, value, given_at FROM feedback WHERE account_id = ? AND given_at >= ? AND given_at < ?`, w.account.ID, lo, hi)
	if err != nil {
		return fmt.Errorf("read feedback: %w", err)
	}
	ids := make([]string, len(w.ratings))
	for i, r := range w.ratings {
		ids[i] = r.CallID
	}
	return w.know(ctx, db, ids)
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

// readAttempts joins the calls of one number that are at most half an hour
// apart, and finds out whether and when somebody was there. It reads a day to
// both sides, because an attempt may go on after the range it began in: what a
// period comes to must not depend on where the question ends.
//
// The calls come in order of time and are let go one by one: what is kept of each
// is where it stands, and of an attempt how it went.
func (w *wheel) readAttempts(ctx context.Context, db store.Querier, lo, hi int64) error {
	back, err := readCallbacks(ctx, db, w.account.ID, lo-day, hi+2*day)
	if err != nil {
		return err
	}
	rows, err := db.Rows(ctx, `
		SELECT c.call_id, COALESCE(c.from_e164, '') AS caller, c.started_at, COALESCE(c.outcome, '') AS outcome,
			COALESCE(c.answered_by, '') AS answered_by, c.wait_seconds, c.ring_seconds, c.duration_seconds,
			COALESCE(a.verdict, '') AS verdict, COALESCE(a.confidence, 0) AS confidence, COALESCE(a.source_id, '') AS source_id,
			COALESCE(a.source, '') AS source, COALESCE(a.campaign, '') AS campaign,
			COALESCE(k.disposition_id, '') AS disposition_id, COALESCE(k.agent_id, '') AS agent_id, `+heardScore+callJoins+`
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
		ORDER BY c.started_at, c.call_id`, w.account.ID, lo-day, hi+day)
	if err != nil {
		return fmt.Errorf("read calls: %w", err)
	}
	defer rows.Close()
	open := openAttempts{gap: w.by.AttemptGapSeconds * second, by: map[string]openAttempt{}}
	for rows.Next() {
		var c call
		if err := rows.StructScan(&c); err != nil {
			return fmt.Errorf("read calls: %w", err)
		}
		w.place(&c)
		if c.ScorePPM != nil {
			w.scores = append(w.scores, scoredCall{c.StartedAt, c.ID, float64(*c.ScorePPM) / 1e6})
		}
		if w.book.junk(&c, w.by) {
			w.left = append(w.left, leftOut{c.StartedAt, c.ID})
			continue
		}
		i, goesOn := open.of(&c, len(w.attempts))
		if !goesOn {
			w.attempts = append(w.attempts, attempt{at: c.StartedAt, caller: c.Caller, wait: -1, first: c.ID})
		}
		w.attempts[i].join(&c, back[c.ID], w.by)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read calls: %w", err)
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
	last int64 // when its last call was
}

// of says with which attempt a call, the latest so far, goes on, or that it begins
// the next one.
func (o *openAttempts) of(c *call, next int) (at int, goesOn bool) {
	if c.Caller == "" {
		return next, false
	}
	if o.seen++; o.seen%4096 == 0 {
		maps.DeleteFunc(o.by, func(_ string, a openAttempt) bool { return c.StartedAt-a.last > o.gap })
	}
	a, known := o.by[c.Caller]
	if goesOn = known && c.StartedAt-a.last <= o.gap; !goesOn {
		a.at = next
	}
	a.last = c.StartedAt
	o.by[c.Caller] = a
	return a.at, goesOn
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

// join adds a call to the attempt. called is when the business called back and
// got through, 0 for never.
func (a *attempt) join(c *call, called int64, by Yardsticks) {
	var wait float64
	switch {
	case c.answered():
		ring := cmp.Or(c.RingSeconds, c.WaitSeconds)
		wait = -1
		if ring != nil {
			wait = float64(c.StartedAt-a.at)/float64(second) + float64(*ring)
		}
	case called >= c.StartedAt && called-c.StartedAt <= by.CallbackHours*3600*second:
		wait = float64(called-a.at) / float64(second)
	default:
		return
	}
	if !a.reached || (wait >= 0 && wait < a.wait) {
		a.reached, a.wait, a.by = true, wait, c.ID
	}
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

// readPeople loads everybody who ever bought, became a lead in the range, or
// was referred, and their milestones.
func (w *wheel) readPeople(ctx context.Context, db store.Querier, from, until time.Time) error {
	bought, err := readSeeds(ctx, db, w.account.ID, ForSale, Period{From: time.Unix(0, 0), Until: until})
	if err != nil {
		return err
	}
	window := time.Duration(w.by.ReturnDays) * 24 * time.Hour
	leads, err := readSeeds(ctx, db, w.account.ID, ForLead, Period{From: from.Add(-window), Until: until})
	if err != nil {
		return err
	}
	for name := range leads.names {
		bought.names[name] = true
	}
	for id := range leads.calls {
		bought.calls[id] = true
	}
	for _, r := range w.referrals {
		bought.add(r.Referred)
	}
	if w.people, err = loadPeople(ctx, db, w.account.ID, bought, scope{stages: true}); err != nil {
		return err
	}
	if err := w.readCallsOfSales(ctx, db); err != nil {
		return err
	}
	w.names = sortedKeys(w.people.persons)
	mark := func(list map[string]reachedAt, stage, name string, one *person) {
		if at, by, _, ok := one.milestone(stageRank(stage), w.book, w.people.calls); ok {
			m := reachedAt{at: at}
			if by != nil {
				m.call = by.ID
				w.place(by)
			}
			list[name] = m
		}
	}
	for name, one := range w.people.persons {
		if one.genuine(w.book, w.people.calls) {
			mark(w.leads, "lead", name, one)
		}
		mark(w.won, w.by.WonStage, name, one)
		for _, s := range one.sales {
			if c := w.people.calls[s.CallID]; c != nil {
				w.place(c)
			}
		}
		for i, o := range one.outcomes {
			if o.WonAt == nil {
				continue
			}
			if c := one.callOf(o, *o.WonAt); c != nil {
				one.outcomes[i].on = c.ID
				w.place(c)
			}
		}
	}
	// Their calls have said what they had to say.
	for _, one := range w.people.persons {
		one.calls, one.given = nil, nil
	}
	w.people.calls = nil
	return nil
}

// readCallsOfSales reads the calls of sales to somebody else than who called: which
// of them were read for their callers depends on the range.
func (w *wheel) readCallsOfSales(ctx context.Context, db store.Querier) error {
	missing := map[string]bool{}
	for _, one := range w.people.persons {
		for _, s := range one.sales {
			if s.CallID != "" && w.people.calls[s.CallID] == nil {
				missing[s.CallID] = true
			}
		}
	}
	list, err := callsIn(ctx, db, w.account.ID, sortedKeys(missing), `c.call_id IN (?)`)
	if err != nil {
		return fmt.Errorf("read calls of sales: %w", err)
	}
	for _, c := range list {
		w.people.calls[c.ID] = c
	}
	return nil
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
	back            weighed // share of each sale that was given back
	daily           map[string]float64
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
		one = &tally{daily: map[string]float64{}}
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
	for _, d := range s.Period.days() {
		if dayStart(d.AddDate(0, 0, 1), s.Zone).After(s.Until) {
			break // it is not over: it would look quiet
		}
		daily.add(t.daily[d.Format(dateFormat)], 1)
	}
	if one := daily.sample(); one.N >= 7 && one.Mean > 0 {
		t.Dispersion = one.SD * one.SD / one.Mean
	}
	return t.Counts
}

// tally counts everything by group.
func (w *wheel) tally(s slice, group func(id string) string) tallies {
	groups := tallies{}
	w.countAttempts(s, groups, group)
	for _, one := range w.scores {
		if s.contains(one.at) {
			groups.at(group(one.call)).handled.add(one.score, s.weigh(one.at))
		}
	}
	for _, r := range w.ratings {
		if !s.contains(r.At) {
			continue
		}
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
	w.countReturns(s, groups)
	return groups
}

// eachLead calls fn with the leads of a period that are old enough to be judged,
// and when each was won; nil when it was not, or not before it was that old.
func (w *wheel) eachLead(p Period, fn func(lead reachedAt, won *reachedAt)) {
	matures := w.by.MaturityDays * day
	for _, name := range w.names {
		lead, ok := w.leads[name]
		if !ok || !p.contains(lead.at) || lead.at+matures > w.now {
			continue
		}
		if won, ok := w.won[name]; ok && won.at <= lead.at+matures {
			fn(lead, &won)
		} else {
			fn(lead, nil)
		}
	}
}

// within are the attempts that began in a period.
func (w *wheel) within(p Period) []attempt {
	find := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(w.attempts, store.Micros(t), func(a attempt, at int64) int { return cmp.Compare(a.at, at) })
		return i
	}
	return w.attempts[find(p.From):find(p.Until)]
}

func (w *wheel) countAttempts(s slice, groups tallies, group func(string) string) {
	for _, a := range w.within(s.Period) {
		c, weight := groups.at(group(a.of())), s.weigh(a.at)
		c.Opportunities += weight
		c.daily[dayName(a.at, s.Zone)]++
		if !a.reached {
			continue
		}
		c.Reached += weight
		if a.wait >= 0 {
			c.prompt.add(w.by.Goodwill(a.wait), weight)
			if a.wait > float64(w.by.PromptTargetSeconds) {
				c.Late += weight
			}
		}
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
	for _, name := range w.names {
		one := w.people.persons[name]
		for _, s := range one.sales {
			if !p.contains(s.SoldAt) {
				continue
			}
			v := sold{conversion: conversion{at: s.SoldAt}, callID: s.CallID, returned: backShare(s.back, s.Value+s.back)}
			v.margined = s.Margin != nil || w.account.MarginPPM != nil
			v.worthSale(w.account, s)
			v.back = w.inHome(s.back, v.conversion)
			fn(v)
		}
		for _, o := range one.outcomes {
			if o.WonAt != nil && o.Value != nil && p.contains(*o.WonAt) {
				v := sold{conversion: conversion{at: *o.WonAt}, callID: o.on, margined: o.Margin != nil || w.account.MarginPPM != nil, returned: backShare(o.Refunded, *o.Value)}
				v.worthOutcome(w.account, o)
				v.back = w.inHome(o.Refunded, v.conversion)
				fn(v)
			}
		}
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
	inside := func(at int64) bool { return at >= window.from && at < window.until }
	for _, name := range w.names {
		bought := w.people.persons[name].boughtAt()
		if len(bought) == 0 || bought[0] >= end {
			continue
		}
		c.CustomerDays += s.elapsed(max(bought[0], window.from), end)
		for _, at := range bought[1:] {
			if inside(at) {
				c.Repeats += s.weigh(at)
			}
		}
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
