package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
)

// readVisitors adds everybody with a touch in the period: models that look at
// all paths together need those that did not convert, too.
func readVisitors(ctx context.Context, db store.Querier, accountID string, p Period, s seeds) error {
	from, until := store.Micros(p.From), store.Micros(p.Until)
	var names []string
	err := db.Select(ctx, &names, `
		SELECT person FROM touches WHERE account_id = ? AND touched_at >= ? AND touched_at < ?
		UNION ALL SELECT person FROM enquiries WHERE account_id = ? AND at >= ? AND at < ? AND source <> ''`,
		accountID, from, until, accountID, from, until)
	if err != nil {
		return fmt.Errorf("read who came: %w", err)
	}
	for _, name := range names {
		s.add(name)
	}
	return readCallSeeds(ctx, db, accountID, reach{from, until}, s)
}

// around is when a conversion can have claimed a touch of the period, or one that
// lies in the look-back before it.
func (qu question) around() Period {
	return Period{From: qu.period.From.Add(-qu.window), Until: qu.period.Until.Add(qu.window), Zone: qu.zone}
}

// readClaimants adds who converted before the period, or after it, and may have
// claimed touches of visitors who are not known to be the same person. Those of
// their own names bring their persons along.
func readClaimants(ctx context.Context, db store.Querier, qu question, s seeds) error {
	all := qu.around()
	for _, p := range []Period{{From: all.From, Until: qu.period.From, Zone: qu.zone}, {From: qu.period.Until, Until: all.Until, Zone: qu.zone}} {
		if qu.CreditFor != ForCall {
			if err := addSeeds(ctx, db, qu.AccountID, qu.CreditFor, p, s); err != nil {
				return err
			}
			continue
		}
		doubt, args := `a.visitor_id <> '' AND a.visitor_confidence > 0 AND a.visitor_confidence < ?`, []any{surelyVisitor}
		if qu.Reading == Expected {
			doubt, args = `a.candidates <> '' AND a.candidates <> '[]'`, nil
		}
		var list []struct {
			ID      string `db:"call_id"`
			Caller  string `db:"caller"`
			Visitor string `db:"visitor_id"`
		}
		err := db.Select(ctx, &list, `
			SELECT c.call_id, COALESCE(c.from_e164, '') AS caller, a.visitor_id
			FROM calls c JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
			WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound' AND `+doubt,
			append([]any{qu.AccountID, store.Micros(p.From), store.Micros(p.Until)}, args...)...)
		if err != nil {
			return fmt.Errorf("read who else called: %w", err)
		}
		for _, c := range list {
			s.addCall(c.ID, c.Caller, c.Visitor)
		}
	}
	return nil
}

// cohort are the conversions that a model divides together: those that belong
// to the same names of the call and the same span of time, as far as rows are
// told apart by them.
type cohort struct {
	cell         cell
	journeys     map[string]*attribution.Journey // by their channels
	conversions  float64
	revenue      int64
	contribution int64
	noMargin     bool
	foreign      bool
	placed       bool
}

// cohorts gathers them by key.
type cohorts struct {
	*channels
	s     *sheet
	list  map[string]*cohort
	names map[string]*[touchNames]string // of channels, by what the model calls them
}

func newCohorts(c *channels, s *sheet) *cohorts {
	return &cohorts{channels: c, s: s, list: map[string]*cohort{}, names: map[string]*[touchNames]string{}}
}

// giveWhole divides the conversions by a model that looks at all paths together.
// Conversions without a touch are credited outside of it.
func (p *people) giveWhole(b *book, s *sheet, list []conversion) {
	k := newCounter(b, s)
	all := newCohorts(k.channels, s)
	type entered struct {
		*counted
		in     []*cohort
		placed bool
	}
	var noted []entered
	k.each(list, func(v conversion, ways []way) []way { return v.ways(s.qu, ways) }, func(c *counted) {
		in, placed := all.enter(c)
		if len(c.noted) > 0 {
			noted = append(noted, entered{c, in, placed})
		}
	})
	all.passAll(p.unconverted(s.qu, b))
	for _, key := range sortedKeys(all.list) {
		all.divide(all.list[key])
	}
	for _, c := range noted {
		if !c.placed && !slices.ContainsFunc(c.in, func(c *cohort) bool { return c.placed }) {
			continue
		}
		for _, v := range c.counted.noted {
			s.ledger.value(v)
		}
	}
}

// enter adds conversions to their cohorts, and credits at once what has no path.
func (all *cohorts) enter(v *counted) (in []*cohort, placed bool) {
	weights := make([]float64, len(v.ways))
	for i, w := range v.ways {
		weights[i] = w.weight
	}
	revenues, contributions := divide(v.value, weights), divide(v.margin, weights)
	var outside []part
	for i, w := range v.ways {
		var c cell
		if w.literal != "" {
			c.literal(w.literal)
		}
		c.ofCall(all.b, v.call)
		c.at = v.at
		if w.literal != "" {
			outside = append(outside, part{cell: c, weight: w.weight * v.times, revenue: revenues[i], contribution: contributions[i]})
			continue
		}
		apart := all.s.apart(c)
		equal := make([]float64, len(apart))
		for k := range equal {
			equal[k] = 1 / float64(len(apart))
		}
		money, margin := divide(revenues[i], equal), divide(contributions[i], equal)
		for k, c := range apart {
			one := all.of(c)
			j := one.journey(all, w.path)
			j.Conversions += w.weight * equal[k] * v.times
			j.Value += float64(money[k])
			one.conversions += w.weight * equal[k] * v.times
			one.revenue += money[k]
			one.contribution += margin[k]
			one.noMargin = one.noMargin || v.noMargin
			one.foreign = one.foreign || v.foreign()
			in = append(in, one)
		}
	}
	return in, all.s.credit(v, outside)
}

// passAll adds paths that did not convert, alike ones together. Where rows are
// told apart by what belongs to a call, no call says where they belong.
func (all *cohorts) passAll(list []unconverted) {
	if slices.ContainsFunc([]Dimension{TrackingNumber, Pool, AgentName, Tag}, all.qu.about) {
		return
	}
	k := newCounter(all.b, all.s)
	k.channels, k.inside = all.channels, &all.qu.period
	known := map[string]*unconverted{}
	var order []*unconverted
	for _, n := range list {
		k.key = k.key[:0]
		k.keyOf(way{path: n.path}, [3]int64{})
		if one, ok := known[string(k.key)]; ok {
			one.weight += n.weight
			continue
		}
		known[string(k.key)] = &n
		order = append(order, &n)
	}
	for _, n := range order {
		all.pass(*n)
	}
}

// pass adds a path that did not convert: to each span of time in which one of
// its touches lies.
func (all *cohorts) pass(n unconverted) {
	met := map[*cohort]bool{}
	for _, t := range n.path {
		if !all.qu.period.contains(t.at) {
			continue
		}
		var c cell
		c.ofCall(all.b, nil)
		c.at = t.at
		if one := all.list[all.s.cohortKey(c)]; one != nil && !met[one] {
			met[one] = true
			one.journey(all, n.path).Nulls += n.weight
		}
	}
}

func (all *cohorts) of(c cell) *cohort {
	key := all.s.cohortKey(c)
	one, ok := all.list[key]
	if !ok {
		one = &cohort{cell: c, journeys: map[string]*attribution.Journey{}}
		all.list[key] = one
	}
	return one
}

// journey finds or makes the journey over the channels of the touches.
func (one *cohort) journey(all *cohorts, path []touch) *attribution.Journey {
	names := make([]string, len(path))
	for i := range path {
		c := all.channels.of(&path[i])
		names[i] = c.key
		all.name(c)
	}
	key := strings.Join(names, "\x01")
	j, ok := one.journeys[key]
	if !ok {
		j = &attribution.Journey{Channels: names}
		one.journeys[key] = j
	}
	return j
}

// name notes how a channel is spelt. As in rows: which spelling is shown must
// not depend on the order of reading.
func (all *cohorts) name(c *channel) {
	known, ok := all.names[c.key]
	if !ok {
		names := c.names
		all.names[c.key] = &names
		return
	}
	for i := range known {
		known[i] = min(known[i], c.names[i])
	}
}

// counts lists the cohort's journeys in a certain order.
func (one *cohort) counts() []attribution.Journey {
	journeys := make([]attribution.Journey, 0, len(one.journeys))
	for _, j := range one.journeys {
		journeys = append(journeys, *j)
	}
	slices.SortFunc(journeys, func(a, b attribution.Journey) int { return slices.Compare(a.Channels, b.Channels) })
	return journeys
}

// divide credits the cohort's channels.
func (all *cohorts) divide(one *cohort) {
	d := all.s.qu.model.Divide(one.counts())
	if len(d.Value) == 0 {
		d.Value = d.Conversions
	}
	channels := sortedKeys(d.Conversions)
	worth := make([]float64, len(channels))
	for i, name := range channels {
		worth[i] = d.Value[name]
	}
	revenues, contributions := divide(one.revenue, worth), divide(one.contribution, worth)
	for i, name := range channels {
		c := one.cell
		copy(c.names[:touchNames], all.names[name][:])
		credit := part{cell: c, weight: d.Conversions[name] * one.conversions, revenue: revenues[i], contribution: contributions[i]}
		all.s.spread(credit, func(l *line, credit float64, revenue, contribution int64) {
			one.placed = true
			l.credit += credit
			l.revenue += revenue
			l.contribution += contribution
			l.noMargin = l.noMargin || one.noMargin
			l.revenueAbsent = l.revenueAbsent || one.foreign
			l.together = l.together || revenue != 0
		})
	}
}

// apart returns the cell once for each row by tag that it belongs to, none when
// the filter by tag keeps it out.
func (s *sheet) apart(c cell) []cell {
	tags := c.tags
	want, filtered := s.qu.Filters[Tag]
	if filtered {
		tags = slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return fold(t) != fold(want) })
		if len(tags) == 0 && !(want == NoneRow && len(c.tags) == 0) {
			return nil
		}
	}
	if !filtered && !slices.Contains(s.qu.GroupBy, Tag) || len(tags) == 0 {
		c.tags = tags
		return []cell{c}
	}
	list := make([]cell, len(tags))
	for i, t := range tags {
		list[i] = c
		list[i].tags = []string{t}
	}
	return list
}

// cohortKey tells apart what rows are told apart by, but for the touch's names.
func (s *sheet) cohortKey(c cell) string {
	var key []string
	for i, d := range Dimensions[touchNames:callNames] {
		if s.qu.about(d) {
			key = append(key, fold(c.names[touchNames+i]))
		}
	}
	if s.qu.about(Tag) {
		key = append(key, fold(strings.Join(c.tags, ""))) // one at most
	}
	for _, d := range s.qu.GroupBy {
		if d.ofTime() {
			_, order := moment(d, time.UnixMicro(c.at).In(s.qu.zone))
			key = append(key, order)
		}
	}
	return strings.Join(key, "\x00")
}

// unconverted is a path that led to nothing; weight is how sure that is.
type unconverted struct {
	path   []touch
	weight float64
}

// unconverted lists the paths with a touch in the period that no conversion has
// claimed, whenever it was. A path is what lies within the look-back before its
// last touch; what came after the period is not looked at, also where horizons
// have it read.
func (p *people) unconverted(qu question, b *book) []unconverted {
	claimed := map[string]float64{}
	for _, v := range p.conversions(qu.CreditFor, qu.account, b, qu.around()) {
		for _, br := range v.branches(qu) {
			if br.untracked || br.touch != nil {
				continue
			}
			for _, t := range v.eligible(br, qu.window, v.prev) {
				claimed[t.id] += br.weight
			}
		}
	}
	names := sortedKeys(p.persons)
	slices.SortStableFunc(names, func(a, b string) int { // a touch that two may have made is the caller's
		return min(1, len(p.persons[b].calls)) - min(1, len(p.persons[a].calls))
	})
	var list []unconverted
	seen, until := map[string]bool{}, qu.period.Until.UnixMicro()
	for _, name := range names {
		one := p.persons[name]
		var run []touch
		for _, t := range one.touches {
			if t.at >= until || one.proofs[t.name] == nil || seen[t.id] || 1-claimed[t.id] < 1e-9 {
				continue
			}
			seen[t.id] = true
			run = append(run, t)
		}
		for len(run) > 0 {
			last := run[len(run)-1].at
			begin, _ := slices.BinarySearchFunc(run, last-qu.window.Microseconds(), func(t touch, at int64) int { return cmp.Compare(t.at, at) })
			n := unconverted{path: run[begin:], weight: 1}
			inside := false
			for _, t := range n.path {
				inside = inside || qu.period.contains(t.at)
				n.weight = min(n.weight, 1-claimed[t.id])
			}
			if inside {
				list = append(list, n)
			}
			run = run[:begin]
		}
	}
	return list
}
