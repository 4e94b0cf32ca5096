package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/callwheel/callwheel/store"
)

// touch is one meeting of a person with a source. name is under which of the
// person's names it is known; call is the call that was itself the touch, ""
// for one on a site; asked says that it was a form or a chat.
type touch struct {
	id    string
	at    int64
	name  string
	call  string
	asked bool
	*arrival
}

// arrival is what a touch tells about where it came from. Most are alike: those
// of one report's persons share one.
type arrival struct{ sourceID, source, medium, campaign, term, content, landing string }

// arrivals finds those that are alike.
type arrivals map[arrival]*arrival

func (all arrivals) of(from arrival) *arrival {
	known, ok := all[from]
	if !ok {
		known = &from
		all[from] = known
	}
	return known
}

// cell puts the touch's names into a cell.
func (t touch) cell(b *book) cell {
	names, ok := b.arrivals[*t.arrival]
	if !ok {
		names = &[touchNames]string{
			b.source(t.sourceID, t.source), orNone(t.medium), orNone(t.campaign), orNone(t.term), orNone(t.content), orNone(t.landing),
		}
		if b.arrivals == nil {
			b.arrivals = map[arrival]*[touchNames]string{}
		}
		b.arrivals[*t.arrival] = names
	}
	var c cell
	copy(c.names[:], names[:])
	return c
}

// direct says whether the touch came from nowhere in particular.
func (t touch) direct() bool { return fold(t.source) == "direct" }

// person is everything that is known of one person, in order of time.
type person struct {
	name string
	// proofs says why a name belongs to the person: by which calls, "" for
	// beyond doubt. A call must not prove its own visitor.
	proofs map[string][]string
	// likely are visitors who are given a call for the sake of their source,
	// without it being sure that it was they: they count for that call alone.
	likely   map[string][]string
	calls    []*call
	touches  []touch
	sales    []*sale
	outcomes []outcome
	given    []given
}

// sale is a sale with what was given back of it.
type sale struct {
	ID       string `db:"sale_id"`
	CallID   string `db:"call_id"`
	Person   string `db:"person"`
	Value    int64  `db:"value_micros"`
	Margin   *int64 `db:"margin_micros"`
	Currency string `db:"currency"`
	SoldAt   int64  `db:"sold_at"`
	RefundOf string `db:"refund_of"`
	Refunded int64  `db:"refunded_micros"`
	back     int64  // given back, taken off Value
}

// outcome is an imported outcome.
type outcome struct {
	ID          string `db:"outcome_id"`
	Person      string `db:"person"`
	LeadAt      *int64 `db:"lead_at"`
	QualifiedAt *int64 `db:"qualified_at"`
	WonAt       *int64 `db:"won_at"`
	Value       *int64 `db:"value_micros"`
	Margin      *int64 `db:"margin_micros"` // of what was kept of it
	Refunded    int64  `db:"refunded_micros"`
	Currency    string `db:"currency"`
	CallID      string `db:"call_id"` // on which it came about, "" where nobody says
	on          string // the call that it belongs to; see momentum
}

const outcomeColumns = `outcome_id, person, call_id, lead_at, qualified_at, won_at, value_micros, margin_micros, refunded_micros, currency`

// given is a disposition that was given to a call.
type given struct {
	ID            string `db:"judgement_id"`
	CallID        string `db:"call_id"`
	DispositionID string `db:"disposition_id"`
	At            int64  `db:"given_at"`
}

// seeds are the persons a report is about, before it is known who is who:
// names (numbers, visitors, imported names) and calls.
type seeds struct {
	names map[string]bool
	calls map[string]bool
	read  *spanCalls
}

// spanCalls are the inbound calls of a span of time, all of which are seeds.
type spanCalls struct {
	reach
	list []*call
}

func newSeeds() seeds {
	return seeds{names: map[string]bool{}, calls: map[string]bool{}, read: &spanCalls{}}
}

// add takes a name; "call:…" stands for a call whose caller has none.
func (s seeds) add(name string) {
	if id, ok := strings.CutPrefix(name, "call:"); ok {
		s.calls[id] = true
		return
	}
	if name != "" {
		s.names[name] = true
	}
}

// addCall takes the person of a call.
func (s seeds) addCall(id, caller, visitor string) {
	switch {
	case caller != "":
		s.names[caller] = true
	case visitor != "":
		s.names[visitor] = true
	default:
		s.calls[id] = true
	}
}

// people loads everything about the persons of the seeds.
type people struct {
	db      store.Querier
	account string
	canon   map[string]string // alias → person
	persons map[string]*person
	calls   map[string]*call
	read    reach // of which every inbound call is there
	arrivals
	names, ids []string // see inOrder
}

// inOrder returns the names of the persons, in order: they are asked for again
// and again, and only grow.
func (p *people) inOrder() []string {
	if len(p.names) != len(p.persons) {
		p.names = sortedKeys(p.persons)
	}
	return p.names
}

// callIDs is the same of the calls.
func (p *people) callIDs() []string {
	if len(p.ids) != len(p.calls) {
		p.ids = sortedKeys(p.calls)
	}
	return p.ids
}

// reach is a span of time.
type reach struct{ from, until int64 }

// scope is what matters of persons, beside their calls and what they bought.
type scope struct {
	touches reach
	doubt   bool // touches of everybody who may have made a call, not only of whom it is given to
	stages  bool // when they became leads and qualified
}

func loadPeople(ctx context.Context, db store.Querier, accountID string, s seeds, matters scope) (*people, error) {
	p := &people{db: db, account: accountID, canon: map[string]string{}, persons: map[string]*person{}, calls: map[string]*call{}, arrivals: arrivals{}}
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"calls", func(ctx context.Context) error { return p.loadSeedCalls(ctx, s) }},
		{"links", func(ctx context.Context) error { return p.loadLinks(ctx, s) }},
		{"calls", p.loadCalls},
		{"sales", p.loadSales},
		{"outcomes", p.loadOutcomes},
		{"dispositions", func(ctx context.Context) error { return p.loadGiven(ctx, matters) }},
		{"touches", func(ctx context.Context) error { return p.loadTouches(ctx, matters) }},
	}
	for _, step := range steps {
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("read %s of persons: %w", step.what, err)
		}
	}
	return p, nil
}

// nameOf returns whose call it is.
func (p *people) nameOf(c *call) string {
	switch {
	case c.Caller != "":
		return c.Caller
	case c.VisitorID != "" && c.tracked() && c.sureOfVisitor():
		return cmp.Or(p.canon[c.VisitorID], c.VisitorID)
	}
	return "call:" + c.ID
}

// get finds or makes a person.
func (p *people) get(name string) *person {
	one, ok := p.persons[name]
	if !ok {
		one = &person{name: name, proofs: map[string][]string{name: {""}}}
		p.persons[name] = one
	}
	return one
}

// loadSeedCalls reads the calls that the seeds name and adds their persons.
func (p *people) loadSeedCalls(ctx context.Context, s seeds) error {
	p.read = s.read.reach
	for _, c := range s.read.list {
		p.calls[c.ID] = c
		delete(s.calls, c.ID)
	}
	list, err := callsIn(ctx, p.db, p.account, sortedKeys(s.calls), `c.call_id IN (?)`)
	if err != nil {
		return err
	}
	for _, c := range list {
		p.calls[c.ID] = c
		if c.Caller != "" || (c.VisitorID != "" && c.tracked()) {
			s.addCall(c.ID, c.Caller, c.VisitorID)
		}
	}
	return nil
}

type link struct {
	Alias  string `db:"alias"`
	Person string `db:"person"`
	CallID string `db:"call_id"`
}

// loadLinks finds out which names are one person.
func (p *people) loadLinks(ctx context.Context, s seeds) error {
	names := sortedKeys(s.names)
	list, err := selectIn[link](ctx, p.db, p.account, names, `SELECT alias, person, call_id FROM person_links WHERE account_id = ? AND alias IN (?)`)
	if err != nil {
		return err
	}
	for _, l := range list {
		p.canon[l.Alias] = l.Person
	}
	for _, name := range names {
		p.get(cmp.Or(p.canon[name], name))
	}
	list, err = selectIn[link](ctx, p.db, p.account, p.inOrder(), `SELECT alias, person, call_id FROM person_links WHERE account_id = ? AND person IN (?)`)
	if err != nil {
		return err
	}
	for _, l := range list {
		p.canon[l.Alias] = l.Person
		one := p.get(l.Person)
		one.proofs[l.Alias] = append(one.proofs[l.Alias], l.CallID)
	}
	return nil
}

// loadCalls reads every inbound call of the persons.
func (p *people) loadCalls(ctx context.Context) error {
	var numbers, others []string
	for _, one := range p.persons {
		for name := range one.proofs {
			if strings.HasPrefix(name, "+") {
				numbers = append(numbers, name)
			} else if !strings.HasPrefix(name, "call:") {
				others = append(others, name)
			}
		}
	}
	slices.Sort(numbers)
	slices.Sort(others)
	list, err := callsIn(ctx, p.db, p.account, slices.Compact(numbers),
		`c.from_e164 IN (?) AND c.direction = 'inbound' AND (c.started_at < ? OR c.started_at >= ?)`, p.read.from, p.read.until)
	if err != nil {
		return err
	}
	anonymous, err := p.anonymous(ctx, slices.Compact(others))
	if err != nil {
		return err
	}
	for _, c := range append(list, anonymous...) {
		if p.calls[c.ID] == nil {
			p.calls[c.ID] = c
		}
	}
	for _, c := range p.calls {
		one := p.get(p.nameOf(c))
		one.calls = append(one.calls, c)
		if c.VisitorID != "" && c.tracked() {
			if c.sureOfVisitor() {
				if by := one.proofs[c.VisitorID]; !slices.Contains(by, c.ID) {
					one.proofs[c.VisitorID] = append(by, c.ID)
				}
			} else {
				if one.likely == nil {
					one.likely = map[string][]string{}
				}
				one.likely[c.VisitorID] = append(one.likely[c.VisitorID], c.ID)
			}
		}
	}
	for _, one := range p.persons {
		slices.SortFunc(one.calls, func(a, b *call) int {
			return cmp.Or(cmp.Compare(a.StartedAt, b.StartedAt), strings.Compare(a.ID, b.ID))
		})
	}
	return nil
}

// anonymous reads the calls of visitors that tell no number.
func (p *people) anonymous(ctx context.Context, visitors []string) ([]*call, error) {
	ids, err := selectIn[string](ctx, p.db, p.account, visitors,
		`SELECT call_id FROM attributions WHERE account_id = ? AND visitor_id IN (?) AND visitor_id <> ''`)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return p.calls[id] != nil })
	return callsIn(ctx, p.db, p.account, ids, `c.call_id IN (?) AND c.from_e164 IS NULL AND c.direction = 'inbound'`)
}

const saleColumns = `sale_id, call_id, person, value_micros, margin_micros, currency, sold_at, refund_of, refunded_micros`

// loadSales reads the sales of the persons and of their calls, and takes off
// what was given back.
func (p *people) loadSales(ctx context.Context) error {
	list, err := selectIn[sale](ctx, p.db, p.account, p.inOrder(), `SELECT `+saleColumns+` FROM sales WHERE account_id = ? AND person IN (?)`)
	if err != nil {
		return err
	}
	ofCalls, err := selectIn[sale](ctx, p.db, p.account, p.callIDs(), `SELECT `+saleColumns+` FROM sales WHERE account_id = ? AND call_id IN (?)`)
	if err != nil {
		return err
	}
	byID := map[string]*sale{}
	for _, part := range [][]sale{list, ofCalls} {
		for i := range part {
			byID[part[i].ID] = &part[i]
		}
	}
	for _, s := range netOf(byID) {
		one := p.get(p.holder(s))
		one.sales = append(one.sales, s)
	}
	for _, one := range p.persons {
		slices.SortFunc(one.sales, func(a, b *sale) int {
			return cmp.Or(cmp.Compare(a.SoldAt, b.SoldAt), strings.Compare(a.ID, b.ID))
		})
	}
	return nil
}

// holder returns whose sale it is.
func (p *people) holder(s *sale) string {
	if id, ok := strings.CutPrefix(s.Person, "call:"); ok {
		if c := p.calls[id]; c != nil {
			return p.nameOf(c)
		}
		return s.Person
	}
	return cmp.Or(p.canon[s.Person], s.Person)
}

// netOf returns the sales among the rows, each with its refunds taken off its
// value and, in proportion or as the refund says, off its margin.
func netOf(rows map[string]*sale) []*sale {
	refunds, told, margins := map[string]int64{}, map[string]int64{}, map[string]int64{}
	for _, r := range rows {
		of := rows[r.RefundOf]
		if of == nil || r.Currency != of.Currency {
			continue
		}
		refunds[of.ID] += abs(r.Value)
		if r.Margin != nil {
			told[of.ID] += abs(r.Value)
			margins[of.ID] += *r.Margin // below 0 where a profit was taken back, above where a loss was
		}
	}
	var list []*sale
	for _, s := range rows {
		if s.RefundOf != "" || s.Value < 0 {
			continue
		}
		back := max(refunds[s.ID], s.Refunded)
		if back > 0 && s.Margin != nil {
			left := *s.Margin
			if untold := back - told[s.ID]; untold > 0 && s.Value != 0 {
				left = divide(left, []float64{float64(s.Value-untold) / float64(s.Value), float64(untold) / float64(s.Value)})[0]
			}
			left += margins[s.ID]
			s.Margin = &left
		}
		s.Value -= back
		s.back = back
		list = append(list, s)
	}
	return list
}

func abs(n int64) int64 { return max(n, -n) }

func (p *people) loadOutcomes(ctx context.Context) error {
	var names []string
	owner := map[string]*person{}
	for _, name := range p.inOrder() {
		one := p.persons[name]
		for alias := range one.proofs {
			if owner[alias] == nil || alias == one.name {
				owner[alias] = one
			}
		}
	}
	names = sortedKeys(owner)
	list, err := selectIn[outcome](ctx, p.db, p.account, names, `SELECT `+outcomeColumns+` FROM outcomes WHERE account_id = ? AND person IN (?)`)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b outcome) int { return strings.Compare(a.ID, b.ID) })
	for _, o := range list {
		one := owner[o.Person]
		if canon := p.canon[o.Person]; canon != "" {
			one = p.get(canon)
		}
		one.outcomes = append(one.outcomes, o)
	}
	return nil
}

func (p *people) loadGiven(ctx context.Context, matters scope) error {
	if !matters.stages {
		return nil
	}
	list, err := selectIn[given](ctx, p.db, p.account, p.callIDs(), `
		SELECT judgement_id, call_id, disposition_id, given_at FROM call_dispositions WHERE account_id = ? AND call_id IN (?)`)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b given) int { return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.ID, b.ID)) })
	for _, g := range list {
		one := p.get(p.nameOf(p.calls[g.CallID]))
		one.given = append(one.given, g)
	}
	return nil
}

type touchRow struct {
	ID       string `db:"touch_id"`
	Person   string `db:"person"`
	At       int64  `db:"touched_at"`
	SourceID string `db:"source_id"`
	Source   string `db:"source"`
	Medium   string `db:"medium"`
	Campaign string `db:"campaign"`
	Term     string `db:"term"`
	Content  string `db:"content"`
	Landing  string `db:"landing_page"`
}

func (t *touchRow) arrival() arrival {
	return arrival{t.SourceID, t.Source, t.Medium, t.Campaign, t.Term, t.Content, t.Landing}
}

// loadTouches reads the touches under every name of the persons, and makes
// touches of the calls, forms and chats that are ones.
func (p *people) loadTouches(ctx context.Context, matters scope) error {
	within := matters.touches
	if within.from >= within.until {
		return nil
	}
	holders := map[string][]*person{}
	for _, name := range p.inOrder() {
		one := p.persons[name]
		for alias := range one.proofs {
			holders[alias] = append(holders[alias], one)
		}
		for _, c := range one.calls {
			for _, who := range c.mayBe(matters) {
				if who.VisitorID == "" {
					continue
				}
				if one.proofs[who.VisitorID] == nil && !slices.Contains(holders[who.VisitorID], one) {
					holders[who.VisitorID] = append(holders[who.VisitorID], one)
				}
			}
			if c.isTouch() && c.StartedAt >= within.from && c.StartedAt < within.until {
				one.touches = append(one.touches, touch{
					id: c.ID, at: c.StartedAt, name: one.name, call: c.ID, arrival: p.arrivals.of(c.arrival()),
				})
			}
		}
	}
	err := p.eachTouch(ctx, sortedKeys(holders), within, func(t *touchRow) {
		for _, one := range holders[t.Person] {
			one.touches = append(one.touches, touch{
				id: t.ID, at: t.At, name: t.Person, arrival: p.arrivals.of(t.arrival()),
			})
		}
	})
	if err == nil {
		err = p.addEnquiries(ctx, holders, within)
	}
	if err != nil {
		return err
	}
	for _, one := range p.persons {
		slices.SortFunc(one.touches, func(a, b touch) int {
			return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id))
		})
	}
	return nil
}

// mayBe are the candidates whose touches matter: unless all do, only where it is
// not sure which visitor the call is given to.
func (c *call) mayBe(matters scope) []candidate {
	if !matters.doubt && (c.VisitorID == "" || c.sureOfVisitor()) {
		return nil
	}
	return c.candidates()
}

// manyNames is how many names are looked up one by one. For more of them it is
// less work to read all touches of the time.
const manyNames = 8 * chunkSize

// eachTouch reads the touches under the names.
func (p *people) eachTouch(ctx context.Context, names []string, within reach, fn func(*touchRow)) error {
	const columns = `SELECT touch_id, person, touched_at, source_id, source, medium, campaign, term, content, landing_page FROM touches `
	if len(names) <= manyNames {
		// The sum keeps the planner from reading all touches of the time for the
		// sake of a few names, as PostgreSQL does while it has no statistics.
		list, err := selectIn[touchRow](ctx, p.db, p.account, names, columns+`
			WHERE account_id = ? AND person IN (?) AND touched_at + 0 >= ? AND touched_at + 0 < ?`, within.from, within.until)
		for i := range list {
			fn(&list[i])
		}
		return err
	}
	rows, err := p.db.Rows(ctx, columns+`WHERE account_id = ? AND touched_at >= ? AND touched_at < ?`, p.account, within.from, within.until)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t touchRow
		if err := rows.Scan(&t.ID, &t.Person, &t.At, &t.SourceID, &t.Source, &t.Medium, &t.Campaign, &t.Term, &t.Content, &t.Landing); err != nil {
			return err
		}
		fn(&t)
	}
	return rows.Err()
}

// known says whether touches under a name belong to the person's path when the
// given call is in question: the name is proven by something else than that
// call, or it is the visitor that is supposed to have made it.
func (one *person) known(name, callID, visitor string) bool {
	if name == visitor {
		return true
	}
	return slices.ContainsFunc(one.proofs[name], func(by string) bool { return by == "" || by != callID })
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
