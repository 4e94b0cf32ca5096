package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel/store"
)

// nearness says of which times more than counts is needed: the best month and the
// faded past need no more of a year's attempts than when they were and how they
// went.
type nearness struct {
	all       bool     // of all that is read
	shown     []span64 // whose calls have a place in segments
	gains     span64   // whose opportunities, or what those earned, tell who called
	segmented bool     // where the calls of the times shown stand is asked for
}

// shows says whether an instant is shown.
func (n nearness) shows(at int64) bool {
	return n.all || slices.ContainsFunc(n.shown, func(s span64) bool { return s.contains(at) })
}

// names says whether it is asked who called at an instant.
func (n nearness) names(at int64) bool { return n.shows(at) || n.gains.contains(at) }

// pastAttempt is an attempt of which nobody asks who made it.
type pastAttempt struct {
	at      int64
	reached bool
	wait    float64 // as of [attempt]
	call    string  // that stands for it; "" for a form or a chat
}

// stretch is a part of a range that is read in one way.
type stretch struct {
	span64
	placed bool // with what tells where a call stands
}

// stretches cuts a range where calls need to be placed. An attempt goes on for a
// day at most after it began.
func (n nearness) stretches(whole span64) []stretch {
	if n.all {
		return []stretch{{whole, true}}
	}
	bounds := []int64{whole.from, whole.until}
	for _, s := range n.shown {
		bounds = append(bounds, s.from, s.until+day)
	}
	slices.Sort(bounds)
	var list []stretch
	for i, from := range bounds[:len(bounds)-1] {
		until := min(bounds[i+1], whole.until)
		if from = max(from, whole.from); from >= until {
			continue
		}
		placed := n.segmented && slices.ContainsFunc(n.shown, func(s span64) bool { return from >= s.from && from < s.until+day })
		if last := len(list) - 1; last >= 0 && list[last].placed == placed {
			list[last].until = until
			continue
		}
		list = append(list, stretch{span64{from, until}, placed})
	}
	return list
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
	open := openAttempts{gap: w.by.AttemptGapSeconds * second, by: map[string]openAttempt{}}
	for _, part := range w.near.stretches(span64{lo - day, hi + day}) {
		err := w.eachAttemptCall(ctx, db, part, func(c *call) {
			if part.placed {
				w.place(c)
			}
			w.takeCall(c, &open, back[c.ID])
		})
		if err != nil {
			return fmt.Errorf("read calls: %w", err)
		}
	}
	return nil
}

// takeCall adds the latest call to the attempts.
func (w *wheel) takeCall(c *call, open *openAttempts, called int64) {
	if c.ScorePPM != nil {
		w.scores = append(w.scores, scoredCall{c.StartedAt, c.ID, float64(*c.ScorePPM) / 1e6})
	}
	if w.book.junk(c, w.by) {
		w.left = append(w.left, leftOut{c.StartedAt, c.ID})
		return
	}
	next := openAttempt{at: len(w.attempts)}
	if !w.near.names(c.StartedAt) {
		next = openAttempt{at: len(w.distant), past: true}
	}
	of, goesOn := open.of(c, next)
	switch {
	case goesOn:
	case of.past:
		w.distant = append(w.distant, pastAttempt{at: c.StartedAt, wait: -1, call: c.ID})
	default:
		w.attempts = append(w.attempts, attempt{at: c.StartedAt, caller: c.Caller, wait: -1, first: c.ID})
	}
	if of.past {
		a := &w.distant[of.at]
		if wait, ok := c.reachedBy(a.at, called, w.by); ok && sooner(wait, a.reached, a.wait) {
			a.reached, a.wait, a.call = true, wait, c.ID
		}
		return
	}
	a := &w.attempts[of.at]
	if wait, ok := c.reachedBy(a.at, called, w.by); ok && sooner(wait, a.reached, a.wait) {
		a.reached, a.wait, a.by = true, wait, c.ID
	}
}

// eachAttemptCall streams the inbound calls of a stretch by time.
func (w *wheel) eachAttemptCall(ctx context.Context, db store.Querier, of stretch, fn func(*call)) error {
	standing, joins := ``, `
		FROM calls c
		LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id`
	if of.placed {
		standing, joins = `, COALESCE(c.answered_by, ''), COALESCE(k.agent_id, ''), COALESCE(a.verdict, ''), COALESCE(a.confidence, 0),
			COALESCE(a.source_id, ''), COALESCE(a.source, ''), COALESCE(a.campaign, '')`, callJoins
	}
	rows, err := db.Rows(ctx, `
		SELECT c.call_id, COALESCE(c.from_e164, ''), c.started_at, COALESCE(c.outcome, ''), c.wait_seconds, c.ring_seconds, c.duration_seconds,
			COALESCE(k.disposition_id, ''), `+heardScore+standing+joins+`
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
		ORDER BY c.started_at, c.call_id`, w.account.ID, of.from, of.until)
	if err != nil {
		return err
	}
	defer rows.Close()
	alike := texts{}
	for rows.Next() {
		var c call
		into := []any{&c.ID, &c.Caller, &c.StartedAt, &c.Outcome, &c.WaitSeconds, &c.RingSeconds, &c.DurationSeconds, &c.DispositionID, &c.ScorePPM}
		if of.placed {
			into = append(into, &c.AnsweredBy, &c.AgentID, &c.Verdict, &c.Confidence, &c.SourceID, &c.Source, &c.Campaign)
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		alike.share(&c.Outcome, &c.DispositionID)
		fn(&c)
	}
	return rows.Err()
}

// placeFacts finds out where the calls stand on which something happened in the
// times shown: answers, milestones and sales, however long ago the call was.
func (w *wheel) placeFacts(ctx context.Context, db store.Querier) error {
	if !w.near.segmented {
		return nil
	}
	var ids []string
	for _, s := range w.near.shown {
		p := s.period(time.UTC)
		for _, r := range within(w.ratings, p, rating.when) {
			ids = append(ids, r.CallID)
		}
		for _, lead := range within(w.times().leads, p, namedLead.when) {
			ids = append(ids, lead.call, w.won[lead.name].call)
		}
		for _, d := range within(w.times().deals, p, deal.when) {
			if d.sale != nil {
				ids = append(ids, d.sale.CallID)
			} else {
				ids = append(ids, d.outcome.on)
			}
		}
	}
	return w.know(ctx, db, ids)
}

// manyPeople is up to how many sales and judgements persons are looked up one by
// one. For more of them it is less work to read all that was ever sold and judged.
// Tests move it.
var manyPeople = 8 * chunkSize

// readPeople loads everybody who ever bought, became a lead in the range, or
// was referred, and their milestones.
func (w *wheel) readPeople(ctx context.Context, db store.Querier, from, until time.Time) error {
	became := Period{From: from.Add(-time.Duration(w.by.ReturnDays) * 24 * time.Hour), Until: until}
	many, err := w.areMany(ctx, db, became)
	if err != nil {
		return err
	}
	if many {
		return w.readEverybody(ctx, db, became)
	}
	who, err := readSeeds(ctx, db, w.account.ID, ForSale, Period{From: time.Unix(0, 0), Until: until})
	if err != nil {
		return err
	}
	if err := addSeeds(ctx, db, w.account.ID, ForLead, became, who); err != nil {
		return err
	}
	for _, r := range w.referrals {
		who.add(r.Referred)
	}
	if w.people, err = loadPeople(ctx, db, w.account.ID, who, scope{stages: true}); err != nil {
		return err
	}
	if err := w.readCallsOfSales(ctx, db); err != nil {
		return err
	}
	w.names = sortedKeys(w.people.persons)
	for name, one := range w.people.persons {
		w.mark(name, one, w.people)
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

// areMany says whether there are too many sales, or judgements of a period, to look
// persons up one by one.
func (w *wheel) areMany(ctx context.Context, db store.Querier, became Period) (bool, error) {
	var sold, judged []string
	err := db.Select(ctx, &sold, `SELECT sale_id FROM sales WHERE account_id = ? ORDER BY sale_id LIMIT ?`, w.account.ID, manyPeople+1)
	if err == nil {
		err = db.Select(ctx, &judged, `SELECT call_id FROM call_dispositions WHERE account_id = ? AND given_at >= ? AND given_at < ? LIMIT ?`,
			w.account.ID, store.Micros(became.From), store.Micros(became.Until), manyPeople+1)
	}
	if err != nil {
		return false, fmt.Errorf("read how many bought: %w", err)
	}
	return len(sold)+len(judged) > manyPeople, nil
}

// mark notes when a person became a lead and was won, and on which calls imported
// outcomes were.
func (w *wheel) mark(name string, one *person, p *people) {
	note := func(list map[string]reachedAt, stage string) {
		if at, by, _, ok := one.milestone(stageRank(stage), w.book, p.calls); ok {
			m := reachedAt{at: at}
			if by != nil {
				m.call = by.ID
			}
			list[name] = m
		}
	}
	if one.genuine(w.book, p.calls) {
		note(w.leads, "lead")
	}
	note(w.won, w.by.WonStage)
	for i := range one.outcomes {
		o := &one.outcomes[i]
		if o.WonAt == nil {
			continue
		}
		if c := one.callOf(*o, *o.WonAt); c != nil {
			o.on = c.ID
		}
	}
}

// milestones are what is kept of all that was judged of a person.
type milestones struct {
	lead, won first
	genuine   bool // something that stands speaks for the person
}

// first is the first of some moments; of those at one instant the one with the
// least id.
type first struct {
	at       int64
	id, call string
}

func (f *first) try(at int64, id, call string) {
	if f.id == "" || at < f.at || at == f.at && id < f.id {
		*f = first{at, id, call}
	}
}

// readEverybody is readPeople for many: it goes once through what was ever sold
// and once through what was ever judged, and keeps of each person who bought what
// they bought, and of each who became a lead in the period when. Persons with
// imported outcomes, which belong to calls that only the person's other calls
// tell, are loaded whole.
func (w *wheel) readEverybody(ctx context.Context, db store.Querier, became Period) error {
	if err := w.readImported(ctx, db); err != nil {
		return err
	}
	whole := map[string]bool{}
	for name := range w.people.persons {
		whole[name] = true
	}
	judged := map[string]*milestones{}
	if err := w.readSold(ctx, db, whole); err != nil {
		return fmt.Errorf("read what was sold: %w", err)
	}
	if err := w.readJudged(ctx, db, whole, judged); err != nil {
		return fmt.Errorf("read what was judged: %w", err)
	}
	settle := func(name string, m *milestones, sales []*sale) {
		for _, s := range sales {
			m.lead.try(s.SoldAt, s.ID, s.CallID)
			m.won.try(s.SoldAt, s.ID, s.CallID) // a sale is every stage
		}
		if m.lead.id == "" || len(sales) == 0 && !m.genuine || !became.contains(m.lead.at) {
			return
		}
		w.leads[name] = reachedAt{m.lead.at, m.lead.call}
		if m.won.id != "" {
			w.won[name] = reachedAt{m.won.at, m.won.call}
		}
	}
	for name, m := range judged {
		var sales []*sale
		if one := w.people.persons[name]; one != nil {
			sales = one.sales
		}
		settle(name, m, sales)
	}
	for name, one := range w.people.persons {
		if judged[name] == nil && !whole[name] {
			settle(name, &milestones{}, one.sales)
		}
	}
	onlyLead := &person{}
	for name := range w.leads {
		if w.people.persons[name] == nil {
			w.people.persons[name] = onlyLead
		}
	}
	w.names = sortedKeys(w.people.persons)
	return w.readAliases(ctx, db)
}

// readImported loads the persons with imported outcomes.
func (w *wheel) readImported(ctx context.Context, db store.Querier) error {
	w.people = &people{db: db, account: w.account.ID, canon: map[string]string{}, persons: map[string]*person{}}
	var names []string
	if err := db.Select(ctx, &names, `SELECT DISTINCT person FROM outcomes WHERE account_id = ?`, w.account.ID); err != nil || len(names) == 0 {
		return err
	}
	who := newSeeds()
	for _, name := range names {
		who.add(name)
	}
	p, err := loadPeople(ctx, db, w.account.ID, who, scope{stages: true})
	if err != nil {
		return err
	}
	w.people = p
	if err := w.readCallsOfSales(ctx, db); err != nil {
		return err
	}
	w.people = &people{db: db, account: w.account.ID, canon: p.canon, persons: map[string]*person{}}
	for _, one := range p.persons {
		// Who came along with them is known in part only.
		if len(one.outcomes) > 0 {
			w.people.persons[one.name] = one
			w.mark(one.name, one, p)
			one.calls, one.given = nil, nil
		}
	}
	return nil
}

// readSold reads every sale there is, but for those of persons who are there.
func (w *wheel) readSold(ctx context.Context, db store.Querier, whole map[string]bool) error {
	rows, err := db.Rows(ctx, `
		SELECT s.sale_id, s.call_id, s.person, s.value_micros, s.margin_micros, s.currency, s.sold_at, s.refund_of, s.refunded_micros, l.person, c.from_e164
		FROM sales s
		LEFT JOIN person_links l ON l.account_id = s.account_id AND l.alias = s.person
		LEFT JOIN calls c ON c.account_id = s.account_id AND c.call_id = s.call_id
		WHERE s.account_id = ?`, w.account.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	byID := map[string]*sale{}
	unnamed := map[string]bool{}
	alike := texts{}
	for rows.Next() {
		s := &sale{}
		var linked, caller *string
		if err := rows.Scan(&s.ID, &s.CallID, &s.Person, &s.Value, &s.Margin, &s.Currency, &s.SoldAt, &s.RefundOf, &s.Refunded, &linked, &caller); err != nil {
			return err
		}
		alike.share(&s.Currency)
		switch id, ofCall := strings.CutPrefix(s.Person, "call:"); {
		case linked != nil:
			s.Person = *linked
		case ofCall && id == s.CallID && caller != nil:
			s.Person = *caller
		case ofCall:
			unnamed[id] = true
		}
		byID[s.ID] = s
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	named, err := w.namesOfCalls(ctx, db, sortedKeys(unnamed))
	if err != nil {
		return err
	}
	for _, s := range netOf(byID) {
		if id, ofCall := strings.CutPrefix(s.Person, "call:"); ofCall {
			s.Person = cmp.Or(named[id], s.Person)
		}
		if !whole[s.Person] {
			one := w.people.persons[s.Person]
			if one == nil {
				one = &person{name: s.Person}
				w.people.persons[s.Person] = one
			}
			one.sales = append(one.sales, s)
		}
	}
	for _, one := range w.people.persons {
		slices.SortFunc(one.sales, func(a, b *sale) int { return cmp.Or(cmp.Compare(a.SoldAt, b.SoldAt), strings.Compare(a.ID, b.ID)) })
	}
	return nil
}

// namesOfCalls says whose calls these are.
func (w *wheel) namesOfCalls(ctx context.Context, db store.Querier, ids []string) (map[string]string, error) {
	list, err := callsIn(ctx, db, w.account.ID, ids, `c.call_id IN (?)`)
	if err != nil {
		return nil, err
	}
	visitors := map[string]bool{}
	for _, c := range list {
		if c.Caller == "" && c.VisitorID != "" {
			visitors[c.VisitorID] = true
		}
	}
	if err := w.readLinks(ctx, db, sortedKeys(visitors)); err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, c := range list {
		names[c.ID] = w.people.nameOf(c)
	}
	return names, nil
}

// readLinks reads who is behind these names.
func (w *wheel) readLinks(ctx context.Context, db store.Querier, names []string) error {
	list, err := selectIn[link](ctx, db, w.account.ID, names, `SELECT alias, person, call_id FROM person_links WHERE account_id = ? AND alias IN (?)`)
	for _, l := range list {
		w.people.canon[l.Alias] = l.Person
	}
	return err
}

// readAliases reads who is behind the names of those who sent and were sent.
func (w *wheel) readAliases(ctx context.Context, db store.Querier) error {
	names := map[string]bool{}
	for _, r := range w.referrals {
		names[r.Referrer], names[r.Referred] = true, true
	}
	return w.readLinks(ctx, db, sortedKeys(names))
}

// judgedRow is a disposition that was given to a call, and what stands now.
type judgedRow struct {
	id, call, disposition, caller, stands string
	at                                    int64
}

// readJudged goes through every disposition that was ever given to a call.
func (w *wheel) readJudged(ctx context.Context, db store.Querier, whole map[string]bool, judged map[string]*milestones) error {
	rows, err := db.Rows(ctx, `
		SELECT g.judgement_id, g.call_id, g.disposition_id, g.given_at, COALESCE(c.from_e164, ''), COALESCE(k.disposition_id, '')
		FROM call_dispositions g
		JOIN calls c ON c.account_id = g.account_id AND c.call_id = g.call_id
		LEFT JOIN call_desks k ON k.account_id = g.account_id AND k.call_id = g.call_id
		WHERE g.account_id = ?`, w.account.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	wonRank := stageRank(w.by.WonStage)
	take := func(name string, g judgedRow) {
		if whole[name] {
			return
		}
		m := judged[name]
		if m == nil {
			m = &milestones{}
			judged[name] = m
		}
		m.genuine = m.genuine || g.stands == "" || w.book.outcomes[g.stands].Genuine
		rank := stageRank(w.book.outcomes[g.disposition].Stage)
		if rank >= stageRank("lead") {
			m.lead.try(g.at, g.id, g.call)
		}
		if rank >= wonRank {
			m.won.try(g.at, g.id, g.call)
		}
	}
	var unnamed []judgedRow
	alike := texts{}
	for rows.Next() {
		var g judgedRow
		if err := rows.Scan(&g.id, &g.call, &g.disposition, &g.at, &g.caller, &g.stands); err != nil {
			return err
		}
		alike.share(&g.disposition, &g.stands)
		if g.caller == "" {
			unnamed = append(unnamed, g)
			continue
		}
		take(g.caller, g)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	ids := map[string]bool{}
	for _, g := range unnamed {
		ids[g.call] = true
	}
	named, err := w.namesOfCalls(ctx, db, sortedKeys(ids))
	if err != nil {
		return err
	}
	for _, g := range unnamed {
		take(named[g.call], g)
	}
	return nil
}

// timeline is what persons did, in order of time.
type timeline struct {
	leads   []namedLead
	deals   []deal
	firsts  []int64            // first purchases
	repeats []int64            // all others
	bought  map[string][]int64 // by customer
}

type namedLead struct {
	reachedAt
	name string
}

func (l namedLead) when() int64 { return l.at }

// deal is a sale, or an imported outcome that was won and says for how much.
type deal struct {
	at      int64
	one     *person
	sale    *sale
	outcome *outcome
}

func (d deal) when() int64 { return d.at }

// times puts what persons did in order, once.
func (w *wheel) times() *timeline {
	if w.timeline != nil {
		return w.timeline
	}
	t := &timeline{bought: map[string][]int64{}}
	w.timeline = t
	if w.people == nil {
		return t // nobody's were asked for
	}
	for name, lead := range w.leads {
		t.leads = append(t.leads, namedLead{lead, name})
	}
	slices.SortFunc(t.leads, func(a, b namedLead) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name)) })
	for _, name := range sortedKeys(w.people.persons) {
		one := w.people.persons[name]
		for _, s := range one.sales {
			t.deals = append(t.deals, deal{at: s.SoldAt, one: one, sale: s})
		}
		for i := range one.outcomes {
			if o := &one.outcomes[i]; o.WonAt != nil && o.Value != nil {
				t.deals = append(t.deals, deal{at: *o.WonAt, one: one, outcome: o})
			}
		}
		if bought := one.boughtAt(); len(bought) > 0 {
			t.bought[name] = bought
			t.firsts = append(t.firsts, bought[0])
			t.repeats = append(t.repeats, bought[1:]...)
		}
	}
	slices.SortStableFunc(t.deals, func(a, b deal) int { return cmp.Compare(a.at, b.at) })
	slices.Sort(t.firsts)
	slices.Sort(t.repeats)
	return t
}
