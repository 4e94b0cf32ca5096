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

// conversion is one thing that is credited. Money is micros of the account's
// currency.
type conversion struct {
	id     string
	at     int64
	person *person
	prev   int64 // the person's conversion of the same kind before it; noPrev for none
	call   *call // that converted, or that the sale was booked on; nil when it was imported

	outcome *outcome // the imported outcome that it is; nil for anything else
	moments [3]int64 // of becoming a lead, qualified and won; noPrev for unknown

	value    int64
	margin   int64
	noMargin bool             // part of the margin is not known
	absent   map[string]int64 // amounts without a rate, by currency
	rated    []exchanged      // amounts that were converted
}

const noPrev = int64(-1) << 62

// foreign says whether some of its value could not be counted.
func (v conversion) foreign() bool { return len(v.absent) > 0 }

// worth adds an amount with its margin (as booked, else by the account's rate),
// each converted at the rate of the day on which it was earned.
func (v *conversion) worth(a account, at, value int64, margin *int64, currency string) {
	if currency != a.Currency {
		rate, ok := a.exchange.at(currency, at)
		if !ok {
			if v.absent == nil {
				v.absent = map[string]int64{}
			}
			v.absent[currency] += value
			return
		}
		into := a.exchange.convert(value, rate)
		v.rated = append(v.rated, exchanged{rate: rate, micros: value, into: into})
		value = into
		if margin != nil {
			converted := a.exchange.convert(*margin, rate)
			margin = &converted
		}
	}
	v.value += value
	switch {
	case margin != nil:
		v.margin += *margin
	case a.MarginPPM != nil:
		v.margin += a.marginOf(value)
	default:
		v.noMargin = v.noMargin || value != 0
	}
}

// marginOf is the account's rate of a value, rounded half up to a micro.
func (a account) marginOf(value int64) int64 {
	const whole = 1_000_000 // in two steps, so that it cannot overflow
	return value/whole**a.MarginPPM + (value%whole**a.MarginPPM+whole/2)/whole
}

func (v *conversion) worthSale(a account, s *sale) {
	v.worth(a, s.SoldAt, s.Value, s.Margin, s.Currency)
}

func (v *conversion) worthOutcome(a account, o outcome) {
	if o.WonAt != nil && o.Value != nil {
		v.worth(a, *o.WonAt, *o.Value-o.Refunded, o.Margin, cmp.Or(o.Currency, a.Currency))
	}
}

// readSeeds finds the persons who have something of the goal in the period.
func readSeeds(ctx context.Context, db store.Querier, accountID string, goal Goal, p Period) (seeds, error) {
	s := newSeeds()
	err := addSeeds(ctx, db, accountID, goal, p, s)
	return s, err
}

// addSeeds adds them to others.
func addSeeds(ctx context.Context, db store.Querier, accountID string, goal Goal, p Period, s seeds) error {
	from, until := store.Micros(p.From), store.Micros(p.Until)
	if goal == ForCall {
		return readCallSeeds(ctx, db, accountID, reach{from, until}, s)
	}
	var names []string
	err := db.Select(ctx, &names, `
		SELECT person FROM sales WHERE account_id = ? AND sold_at >= ? AND sold_at < ? AND refund_of = ''
		UNION ALL SELECT person FROM outcomes WHERE account_id = ? AND won_at >= ? AND won_at < ?`,
		accountID, from, until, accountID, from, until)
	if err == nil && goal != ForSale {
		var more []string
		err = db.Select(ctx, &more, `
			SELECT 'call:' || call_id FROM call_dispositions WHERE account_id = ? AND given_at >= ? AND given_at < ?
			UNION ALL SELECT person FROM outcomes WHERE account_id = ?
			AND ((lead_at >= ? AND lead_at < ?) OR (qualified_at >= ? AND qualified_at < ?))`,
			accountID, from, until, accountID, from, until, from, until)
		names = append(names, more...)
	}
	if err != nil {
		return fmt.Errorf("read who converted: %w", err)
	}
	for _, name := range names {
		s.add(name)
	}
	return nil
}

// readCallSeeds reads who called in the range, and their calls with it.
func readCallSeeds(ctx context.Context, db store.Querier, accountID string, within reach, s seeds) error {
	if s.read.reach == within {
		return nil
	}
	s.read.reach, s.read.list = within, nil
	err := streamCalls(ctx, db, `SELECT `+callColumns+`, 0 AS first_time`+callJoins+`
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'`,
		[]any{accountID, within.from, within.until}, func(c *call) error {
			s.read.list = append(s.read.list, c)
			s.addCall(c.ID, c.Caller, c.VisitorID)
			return nil
		})
	if err != nil {
		return fmt.Errorf("read who called: %w", err)
	}
	return nil
}

// conversions lists what the persons converted, by time and id, each with the
// person's one before. Those outside the period are left out.
func (p *people) conversions(goal Goal, a account, b *book, period Period) []conversion {
	var list []conversion
	for _, one := range p.persons {
		var own []conversion
		switch goal {
		case ForCall:
			own = one.callConversions(a)
		case ForSale:
			own = one.saleConversions(a, p.calls)
		default:
			own = one.stageConversion(goal, a, b, p.calls)
		}
		slices.SortFunc(own, byMoment)
		prev := noPrev
		for _, v := range own {
			v.prev = prev
			prev = v.at
			if period.contains(v.at) {
				list = append(list, v)
			}
		}
	}
	return inOrder(list)
}

// inOrder sorts conversions by moment and id. They are large, and there can be
// millions: their places are sorted.
func inOrder(list []conversion) []conversion {
	type place struct {
		at int64
		i  int
	}
	places := make([]place, len(list))
	for i := range list {
		places[i] = place{list[i].at, i}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(list[a.i].id, list[b.i].id))
	})
	sorted := make([]conversion, len(list))
	for k, p := range places {
		sorted[k] = list[p.i]
	}
	return sorted
}

func byMoment(a, b conversion) int {
	return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id))
}

// callConversions are the person's calls, each worth the sales booked on it, and
// the imported outcomes that belong to it.
func (one *person) callConversions(a account) []conversion {
	var list []conversion
	at := map[string]int{}
	for _, c := range one.calls {
		if !c.blocked() {
			at[c.ID] = len(list)
			list = append(list, conversion{id: c.ID, at: c.StartedAt, person: one, call: c})
		}
	}
	for _, s := range one.sales {
		if i, ok := at[s.CallID]; ok {
			list[i].worthSale(a, s)
		}
	}
	for _, o := range one.outcomes {
		if o.WonAt == nil {
			continue
		}
		if c := one.callOf(o, *o.WonAt); c != nil {
			if i, ok := at[c.ID]; ok {
				list[i].worthOutcome(a, o)
			}
		}
	}
	return list
}

// callOf is the call that an imported outcome belongs to at one of its moments:
// the one it names, else the person's last call at or before, nil for none.
func (one *person) callOf(o outcome, at int64) *call {
	if o.CallID != "" {
		if i := slices.IndexFunc(one.calls, func(c *call) bool { return c.ID == o.CallID }); i >= 0 {
			return one.calls[i]
		}
	}
	for i := len(one.calls) - 1; i >= 0; i-- {
		if c := one.calls[i]; c.StartedAt <= at && !c.blocked() {
			return c
		}
	}
	return nil
}

// saleConversions are the person's sales, and imported outcomes that were won:
// each belongs to a call.
func (one *person) saleConversions(a account, calls map[string]*call) []conversion {
	var list []conversion
	for _, s := range one.sales {
		v := conversion{id: s.ID, at: s.SoldAt, person: one, call: calls[s.CallID]}
		v.worthSale(a, s)
		list = append(list, v)
	}
	for i, o := range one.outcomes {
		if o.WonAt != nil {
			v := conversion{id: o.ID, at: *o.WonAt, person: one, call: one.callOf(o, *o.WonAt), outcome: &one.outcomes[i]}
			v.worthOutcome(a, o)
			list = append(list, v)
		}
	}
	return list
}

// stageRank orders the stages of dispositions.
func stageRank(stage string) int {
	return slices.Index([]string{"none", "lead", "qualified", "won"}, stage)
}

// milestone is the first moment at which a person had reached a stage (its
// rank), and the call that says so; ok is false when there is none.
func (one *person) milestone(rank int, b *book, calls map[string]*call) (at int64, by *call, id string, ok bool) {
	try := func(t int64, c *call, source string) {
		if !ok || t < at || (t == at && source < id) {
			at, by, id, ok = t, c, source, true
		}
	}
	for _, g := range one.given {
		if stageRank(b.outcomes[g.DispositionID].Stage) >= rank {
			try(g.At, calls[g.CallID], g.ID)
		}
	}
	for _, s := range one.sales {
		try(s.SoldAt, calls[s.CallID], s.ID)
	}
	for _, o := range one.outcomes {
		for i, t := range []*int64{o.LeadAt, o.QualifiedAt, o.WonAt} {
			if t != nil && i+1 >= rank {
				try(*t, one.callOf(o, *t), o.ID)
			}
		}
	}
	return at, by, id, ok
}

// genuine says whether anything speaks for the person being a customer or a
// lead still: false when all that stands now about their calls is spam, a wrong
// number or a test.
func (one *person) genuine(b *book, calls map[string]*call) bool {
	if len(one.sales) > 0 || len(one.outcomes) > 0 {
		return true
	}
	for _, g := range one.given {
		c := calls[g.CallID]
		if c == nil || c.DispositionID == "" || b.outcomes[c.DispositionID].Genuine {
			return true
		}
	}
	return len(one.given) == 0
}

// stageConversion is the person's one moment of becoming a lead, or qualified,
// worth everything the person bought.
func (one *person) stageConversion(goal Goal, a account, b *book, calls map[string]*call) []conversion {
	rank := stageRank(string(goal))
	at, by, id, ok := one.milestone(rank, b, calls)
	if !ok {
		return nil
	}
	v := conversion{id: id, at: at, person: one, call: by}
	for _, s := range one.sales {
		v.worthSale(a, s)
	}
	for _, o := range one.outcomes {
		v.worthOutcome(a, o)
	}
	return []conversion{v}
}

// branch is one reading of who made the call: the names that count, or the
// literal untracked.
type branch struct {
	weight    float64
	visitor   string // of this candidate; "" for whoever the names say
	callID    string // whose own proof does not count; "" for none
	untracked bool
	touch     *touch // of holders who are only known by their source; nil for a path
}

// The readings of conversions that are not in doubt.
var (
	whole     = []branch{{weight: 1}}
	untracked = []branch{{weight: 1, untracked: true}}
)

// branches says how a conversion's credit is divided before any path is looked
// at. The weights add up to 1.
func (v conversion) branches(qu question) []branch {
	switch {
	case v.call == nil:
		return whole
	case qu.Reading == Expected:
		return v.expected(qu.CreditFor)
	case v.call.tracked() || qu.CreditFor != ForCall:
		return whole
	}
	return untracked
}

func (v conversion) expected(goal Goal) []branch {
	var list []branch
	rest := 1.0
	for _, c := range v.call.candidates() {
		weight := min(c.Weight, rest)
		br := branch{weight: weight, visitor: c.VisitorID, callID: v.call.ID}
		if c.VisitorID == "" {
			br.touch = &touch{arrival: &arrival{sourceID: c.SourceID, source: c.Source, medium: c.Medium}}
		}
		list = append(list, br)
		rest -= weight
	}
	named := v.call.Source != "" && v.call.Verdict != "untracked"
	switch {
	case len(list) == 0 && named:
		list = []branch{v.call.leading()}
		rest = 1 - list[0].weight
	case len(list) == 0 && goal == ForCall:
		return untracked
	case len(list) == 0:
		return whole
	}
	if rest > 1e-12 {
		list = append(list, branch{weight: rest, untracked: true})
	}
	return list
}

// leading is the reading by which the source that the attribution names earned the
// call, where no weights are kept: a number of that source, or a call that was
// brought in.
func (c *call) leading() branch {
	br := branch{weight: min(1, max(0, c.Confidence))}
	if !c.tracked() && c.TouchID == "" {
		own := c.touch()
		br.touch = &own
	}
	return br
}

// eligible returns the touches of the branch that may be credited: inside the
// look-back, both ends included, and after the conversion before.
func (v conversion) eligible(br branch, window time.Duration, after int64) []touch {
	from := max(v.at-window.Microseconds(), after+1)
	byTime := func(t touch, at int64) int { return cmp.Compare(t.at, at) }
	first, _ := slices.BinarySearchFunc(v.person.touches, from, byTime)
	end, _ := slices.BinarySearchFunc(v.person.touches, v.at+1, byTime)
	if first >= end {
		return nil
	}
	within := v.person.touches[first:end:end]
	counts := func(t touch) bool {
		return br.callID == "" && v.call != nil && slices.Contains(v.person.likely[t.name], v.call.ID) || v.person.known(t.name, br.callID, br.visitor)
	}
	for i := range within {
		if counts(within[i]) {
			continue
		}
		path := slices.Clone(within[:i])
		for _, t := range within[i+1:] {
			if counts(t) {
				path = append(path, t)
			}
		}
		return path
	}
	return within
}

// ways says how the conversion came about. They are appended to list.
func (v conversion) ways(qu question, list []way) []way {
	if qu.stored() {
		return append(list, v.stored())
	}
	for _, br := range v.branches(qu) {
		w := way{weight: br.weight}
		switch {
		case br.untracked:
			w.literal = UntrackedRow
		case br.touch != nil:
			w.path, w.alone = []touch{*br.touch}, true
		default:
			if w.path = v.eligible(br, qu.window, v.prev); len(w.path) == 0 {
				w.literal = v.nothing()
			}
		}
		list = append(list, w)
	}
	return list
}

// nothing names the row of a conversion without an eligible touch.
func (v conversion) nothing() string {
	switch {
	case v.prev != noPrev:
		return ReturningRow
	case v.call != nil && !v.call.tracked():
		return UntrackedRow
	}
	return NoneRow
}

// atHorizon says how a sale came about in the span before it, whatever the
// person bought in between; none without a touch. It is appended to list.
func (v conversion) atHorizon(qu question, days int, list []way) []way {
	if qu.stored() {
		return append(list, v.storedAtHorizon(days)...)
	}
	if path := v.eligible(branch{}, spanOf(days), noPrev); len(path) > 0 {
		list = append(list, way{weight: 1, path: path})
	}
	return list
}
