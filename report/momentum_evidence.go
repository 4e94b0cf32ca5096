package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// MomentumFigures are the counts of momentum whose calls can be listed, each
// with what it counts.
var MomentumFigures = []string{
	"opportunities", "reached", "missed", "timed", "late", "left_out", "scored", "leads", "won", "sales", "refunds",
	"answers", "detractors", "customers", "repeats", "referrals", "earned", "brought", "bought_before", "stayed",
}

// ofAccount are the figures that are the account's alone: no segment has them.
var ofAccount = []string{"customers", "repeats", "referrals", "earned", "brought", "bought_before", "stayed"}

// figuresOf are the counts from which each part is computed.
var figuresOf = map[string][]string{
	partSpeed: {"opportunities", "left_out"}, partReached: {"reached", "missed"}, partPrompt: {"timed", "late"}, partHandled: {"scored"},
	partWon: {"leads", "won"}, partKept: {"sales", "refunds"}, partContent: {"answers", "detractors"},
	partWeight: {"customers", "repeats", "referrals"},
}

// Behind is what a part, or the gain, was computed from.
type Behind struct {
	Part        string        `json:"part" doc:"A part, gain, earned_share or stay"`
	Definition  string        `json:"definition" doc:"A link"`
	Formula     string        `json:"formula"`
	Value       *float64      `json:"value"`
	Interval    *Interval     `json:"interval" doc:"95 %: Wilson's for a share, that of the gain, null for what has none"`
	Numerator   *float64      `json:"numerator"`
	Denominator *float64      `json:"denominator"`
	Calls       []CallsBehind `json:"calls"`
}

// CallsBehind is a count with its calls.
type CallsBehind struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
	Calls *int64 `json:"calls" doc:"Calls behind the count: fewer where one call counts twice, or something was brought in without a call. Null for a frozen baseline, of which the counts were kept and not the calls"`
	URL   string `json:"url" doc:"Lists exactly these calls; of a frozen baseline those of its period as the facts are now"`
}

// eachFact calls fn with every fact of a period that a figure counts: of is the
// call, form or chat by which its segment is told, call the one that stands for it,
// "" for none. For an attempt that is the call in which the caller was reached, or
// else the one that began it.
func (w *wheel) eachFact(figure string, p Period, fn func(of, call string)) {
	switch figure {
	case "opportunities", "reached", "missed", "timed", "late":
		for _, past := range within(w.distant, p, pastAttempt.when) {
			a := attempt{at: past.at, reached: past.reached, wait: past.wait, first: past.call}
			if w.counted(figure, &a) {
				fn(a.of(), a.evidence())
			}
		}
		for _, a := range w.within(p) {
			if w.counted(figure, &a) {
				fn(a.of(), a.evidence())
			}
		}
	case "left_out":
		for _, one := range w.left {
			if p.contains(one.at) {
				fn(one.call, one.call)
			}
		}
	case "scored":
		for _, one := range w.scores {
			if p.contains(one.at) {
				fn(one.call, one.call)
			}
		}
	case "leads", "won":
		w.eachLead(p, func(lead reachedAt, won *reachedAt) {
			switch {
			case figure == "leads":
				fn(lead.call, lead.call)
			case won != nil:
				fn(lead.call, won.call)
			}
		})
	case "sales", "refunds":
		w.eachSale(p, func(s sold) {
			if figure == "sales" || s.back > 0 {
				fn(s.callID, s.callID)
			}
		})
	case "answers", "detractors":
		for _, r := range w.ratings {
			if p.contains(r.At) && (figure == "answers" || r.detractor()) {
				fn(r.CallID, r.CallID)
			}
		}
	default:
		w.eachReturn(figure, p, func(call string) { fn(call, call) })
	}
}

// counted says whether an attempt is one of those that a figure counts.
func (w *wheel) counted(figure string, a *attempt) bool {
	switch figure {
	case "reached":
		return a.reached
	case "missed":
		return !a.reached
	case "timed":
		return a.reached && a.wait >= 0
	case "late":
		return a.reached && a.wait > float64(w.by.PromptTargetSeconds)
	}
	return true
}

// eachReturn is eachFact for what is the account's alone.
func (w *wheel) eachReturn(figure string, p Period, fn func(call string)) {
	switch figure {
	case "customers", "repeats":
		w.eachPurchase(p.Until, func(call string, again bool) {
			if again == (figure == "repeats") {
				fn(call)
			}
		})
	case "referrals":
		w.eachReferred(p.Until, func(lead reachedAt) { fn(lead.call) })
	case "bought_before", "stayed":
		w.eachStay(p.Until, func(call string, stayed bool) {
			if stayed || figure == "bought_before" {
				fn(call)
			}
		})
	case "earned", "brought":
		list := w.traceReturns().earnedOf(p)
		if figure == "brought" {
			list = w.traceReturns().broughtOf(p)
		}
		for _, i := range list {
			fn(w.attempts[i].evidence())
		}
	}
}

// evidence is what a figure counts of one group: how much, and its calls.
type evidence struct {
	count int64
	calls []string
}

// evidence gathers what a figure counts in a period by group.
func (w *wheel) evidence(figure string, p Period, group func(of string) string) map[string]*evidence {
	groups := map[string]*evidence{}
	w.eachFact(figure, p, func(of, call string) {
		name := group(of)
		one := groups[name]
		if one == nil {
			one = &evidence{}
			groups[name] = one
		}
		one.count++
		if call != "" {
			one.calls = append(one.calls, call)
		}
	})
	for _, one := range groups {
		slices.Sort(one.calls)
		one.calls = slices.Compact(one.calls)
	}
	return groups
}

// everything is the one group that all facts are in.
func everything(string) string { return "" }

// eachPurchase calls fn with the call of the first purchase of everybody who was a
// customer before an instant, and with those of the repeat purchases of the return
// window that ends then.
func (w *wheel) eachPurchase(until time.Time, fn func(call string, again bool)) {
	end := store.Micros(until)
	for _, name := range w.names {
		for i, bought := range w.people.persons[name].purchases() {
			if bought.at < end && (i == 0 || bought.at >= end-w.by.ReturnDays*day) {
				fn(bought.call, i > 0)
			}
		}
	}
}

// eachStay calls fn with the call of the first purchase in the return window before
// the last one that ends at an instant, of everybody who bought then, and whether
// they bought again or sent somebody in the last.
func (w *wheel) eachStay(until time.Time, fn func(call string, stayed bool)) {
	end, window := store.Micros(until), w.by.ReturnDays*day
	last, before := span64{end - window, end}, span64{end - 2*window, end - window}
	sent := map[string]bool{}
	for _, r := range w.referrals {
		if last.contains(r.At) {
			sent[w.canonical(r.Referrer)] = true
		}
	}
	all := w.times().bought
	for _, name := range sortedKeys(all) {
		bought := all[name]
		i := slices.IndexFunc(bought, before.contains)
		if i >= 0 {
			fn(w.people.persons[name].purchases()[i].call, sent[name] || slices.ContainsFunc(bought, last.contains))
		}
	}
}

// purchase is when somebody bought, and on which call; "" for none.
type purchase struct {
	at   int64
	call string
}

// purchases are the moments of boughtAt with their calls.
func (one *person) purchases() []purchase {
	calls := map[int64][]string{}
	for _, s := range one.sales {
		calls[s.SoldAt] = append(calls[s.SoldAt], s.CallID)
	}
	for _, o := range one.outcomes {
		if o.WonAt != nil {
			calls[*o.WonAt] = append(calls[*o.WonAt], o.on)
		}
	}
	var list []purchase
	for _, at := range one.boughtAt() {
		list = append(list, purchase{at, calls[at][0]})
		calls[at] = calls[at][1:]
	}
	return list
}

// linked is what the links of a report carry along: a named baseline whose
// yardsticks are meant, "" for the present ones, and a segment.
type linked struct {
	baseline string
	by       Dimension
	segment  string
}

// behind lists what each part of a period was computed from.
func (w *wheel) behind(p Period, c Counts, with linked) []Behind {
	list := behindParts(c)
	for i := range list {
		list[i].Calls = w.callsBehind(figuresOf[list[i].Part], p, with)
	}
	return list
}

// behindFrozen is behind for a baseline that was frozen: its counts are those that
// were kept, whatever the facts have become. The links can only list what is there
// now: they have no number of calls.
func behindFrozen(b Baseline, with linked) []Behind {
	list := behindParts(b.Counts)
	for i := range list {
		list[i].Calls = frozenCalls(b.Counts, figuresOf[list[i].Part], b.period(), with)
	}
	return list
}

// behindParts are the numerators and denominators of the parts.
func behindParts(c Counts) []Behind {
	g := c.gauges()
	shares := map[string][2]float64{
		partReached: {c.Reached, c.Opportunities}, partWon: {c.Won, c.Leads}, partContent: {c.Answers - c.Detractors, c.Answers},
	}
	quotients := map[string][2]float64{
		partSpeed: {c.Opportunities, c.Days}, partPrompt: {c.Prompt.Mean * c.Prompt.N, c.Prompt.N},
		partHandled: {c.Handled.Mean * c.Handled.N, c.Handled.N}, partKept: {c.Sold - c.Refunded, c.Sold},
		partWeight: {c.Repeats + c.Referrals, c.CustomerDays},
	}
	list := make([]Behind, 0, len(partNames))
	for _, part := range partNames {
		b := Behind{Part: part, Definition: definitionLink(part), Formula: formulaOf(part)}
		if g[part].known {
			b.Value = number(g[part].value)
		}
		if share, ok := shares[part]; ok {
			b.Numerator, b.Denominator = number(share[0]), number(share[1])
			b.Interval = wilson(int64(share[0]), int64(share[1]))
		} else if part != partKept || c.Unrated == 0 {
			b.Numerator, b.Denominator = number(quotients[part][0]), number(quotients[part][1])
		}
		list = append(list, b)
	}
	return list
}

// behindGain is what the gain, the share of what customers brought, and the share
// of them who stayed were computed from, as far as they are told.
func (w *wheel) behindGain(f MomentumPhases, p Period, c Counts, with linked) []Behind {
	var list []Behind
	if f.Gain != nil {
		list = append(list,
			Behind{Part: "gain", Value: f.Gain, Interval: f.GainInterval, Denominator: number(c.Opportunities), Calls: w.callsBehind([]string{"earned", "opportunities"}, p, with)},
			Behind{Part: "earned_share", Value: f.EarnedShare, Denominator: number(c.Opportunities), Calls: w.callsBehind([]string{"brought", "opportunities"}, p, with)})
	}
	if f.Turn != nil {
		calls := w.callsBehind([]string{"stayed", "bought_before"}, p, with)
		list = append(list, Behind{
			Part: "stay", Value: number(f.Turn.Stay), Interval: wilson(calls[0].Count, calls[1].Count), Denominator: number(float64(calls[1].Count)), Calls: calls,
		})
	}
	for i := range list {
		b := &list[i]
		b.Definition, b.Formula, b.Numerator = definitionLink(b.Part), formulaOf(b.Part), number(float64(b.Calls[0].Count))
	}
	return list
}

// past is a period as far as it has been: what links are about, so that what comes
// after a report was counted is not listed by it.
func (w *wheel) past(p Period) Period {
	p = w.all(p).Period
	if !p.From.Before(p.Until) {
		p.Until = p.From.Add(time.Microsecond) // a list has no empty range
	}
	return p
}

// callsBehind are figures of a period with their calls.
func (w *wheel) callsBehind(figures []string, p Period, with linked) []CallsBehind {
	p = w.past(p)
	list := make([]CallsBehind, len(figures))
	for i, figure := range figures {
		list[i] = callsOf(figure, w.evidence(figure, p, everything)[""], p, with)
	}
	return list
}

func callsOf(figure string, e *evidence, p Period, with linked) CallsBehind {
	if e == nil {
		e = &evidence{}
	}
	n := int64(len(e.calls))
	return CallsBehind{What: figure, Count: e.count, Calls: &n, URL: callsLink(figure, p, with)}
}

// frozenCalls are figures as they were frozen.
func frozenCalls(c Counts, figures []string, p Period, with linked) []CallsBehind {
	list := []CallsBehind{}
	for _, figure := range figures {
		if count, kept := c.of(figure); kept {
			list = append(list, CallsBehind{What: figure, Count: int64(math.Round(count)), URL: callsLink(figure, p, with)})
		}
	}
	return list
}

// of is a count by the name of its figure; kept is false for what counts do not
// have.
func (c Counts) of(figure string) (count float64, kept bool) {
	count, kept = map[string]float64{
		"opportunities": c.Opportunities, "reached": c.Reached, "missed": c.Opportunities - c.Reached, "timed": c.Prompt.N, "late": c.Late,
		"scored": c.Handled.N, "leads": c.Leads, "won": c.Won, "sales": c.Sales, "answers": c.Answers, "detractors": c.Detractors,
		"repeats": c.Repeats, "referrals": c.Referrals,
	}[figure]
	return count, kept
}

// segmentFigures are the counts of which the figures of a segment are made: those
// of reached, and of each other part that its points are divided into.
func segmentFigures(s MomentumSegment) []string {
	list := []string{"opportunities"}
	for _, part := range own {
		if _, used := s.Parts[part]; used || part == partReached {
			list = append(list, figuresOf[part]...)
		}
	}
	return list
}

// linkSegments gives segments the calls behind their counts, by the groups that
// they were counted by. What counts nothing is left out, to keep answers small.
func (w *wheel) linkSegments(list []MomentumSegment, by Dimension, p Period, with linked) {
	p = w.past(p)
	seen := map[string]map[string]*evidence{}
	for i := range list {
		s := &list[i]
		for _, figure := range segmentFigures(*s) {
			if seen[figure] == nil {
				seen[figure] = w.evidence(figure, p, w.groupBy(by))
			}
			if e := seen[figure][s.Name]; e != nil {
				with.by, with.segment = by, s.Name
				s.Calls = append(s.Calls, callsOf(figure, e, p, with))
			}
		}
	}
}

// linkFrozen is linkSegments for the segments of a frozen baseline.
func linkFrozen(list []MomentumSegment, by Dimension, b Baseline, with linked) {
	for i := range list {
		s := &list[i]
		with.by, with.segment = by, s.Name
		for _, one := range frozenCalls(b.segments[by][s.Name], segmentFigures(*s), b.period(), with) {
			if one.Count > 0 {
				s.Calls = append(s.Calls, one)
			}
		}
	}
}

func callsLink(figure string, p Period, with linked) string {
	q := url.Values{"momentum": {figure}, "from": {instant(p.From)}, "until": {instant(p.Until)}}
	for name, value := range map[string]string{"baseline": with.baseline, "by": string(with.by), "segment": with.segment} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "/v1/calls?" + q.Encode()
}

func formulaOf(figure string) string {
	for _, d := range Definitions {
		if d.Figure == figure {
			return d.Formula
		}
	}
	return ""
}

// checkFigure refuses a question for the calls behind a figure that cannot be
// answered: without a period, or for a segment of what has none.
func (q CallQuery) checkFigure() error {
	switch {
	case (q.By != "" || q.Segment != "") && q.Momentum == "":
		return callwheel.InvalidField("momentum", "must be given with by and segment, which name a segment of the momentum report")
	case q.Momentum == "":
		return nil
	case !slices.Contains(MomentumFigures, q.Momentum):
		return callwheel.InvalidField("momentum", "must be one of %s", strings.Join(MomentumFigures, ", "))
	case q.From.IsZero() || q.Until.IsZero():
		return callwheel.InvalidField("momentum", "needs from and until: the period of the figure")
	case q.Until.Sub(q.From) > maxRangeDays*24*time.Hour:
		return callwheel.InvalidField("until", "the range has more than %d days", maxRangeDays)
	case q.By == "" && q.Segment == "":
		return nil
	case q.By == "":
		return callwheel.InvalidField("by", "must be given with segment: %s", join(momentumSegments))
	case !slices.Contains(momentumSegments, q.By):
		return callwheel.InvalidField("by", "must be %s", join(momentumSegments))
	case q.Segment == "":
		return callwheel.InvalidField("segment", "must be given with by: the segment's name as the momentum report writes it")
	case slices.Contains(ofAccount, q.Momentum):
		return callwheel.InvalidField("momentum", "%s is counted of the account as a whole: leave by and segment out", q.Momentum)
	}
	return nil
}

// figureCalls narrows a filter to the calls behind a figure of momentum, the
// newest first: which calls those are depends on more than the call.
func figureCalls(ctx context.Context, db store.Querier, accountID string, q CallQuery) ([]CallRow, error) {
	var rows []CallRow
	err := eachFigureCall(ctx, db, accountID, q, func(found []CallRow) (bool, error) {
		rows = append(rows, found...)
		return len(rows) < q.Limit, nil
	})
	return rows[:min(len(rows), q.Limit)], err
}

// eachFigureCall calls fn with the calls behind a figure, the newest first after
// the place where the page before ended, a page at most at a time, until fn wants
// no more. It reads no further back than that.
func eachFigureCall(ctx context.Context, db store.Querier, accountID string, q CallQuery, fn func([]CallRow) (more bool, err error)) error {
	rest := q
	rest.Momentum, rest.By, rest.Segment, rest.From, rest.Until, rest.After = "", "", "", time.Time{}, time.Time{}, CallPlace{}
	return eachFigurePlace(ctx, db, accountID, q, func(places []CallPlace) (bool, error) {
		for chunk := range slices.Chunk(places, min(q.Limit, exportPage)) {
			f := newCallFilter(accountID)
			if err := f.apply(rest); err != nil {
				return false, err
			}
			f.named = true
			f.and(`c.call_id IN (`+strings.TrimSuffix(strings.Repeat("?,", len(chunk)), ",")+`)`, anys(chunk)...)
			found, err := f.read(ctx, db, len(chunk))
			if err != nil {
				return false, err
			}
			if more, err := fn(found); !more || err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

func anys(places []CallPlace) []any {
	list := make([]any, len(places))
	for i, p := range places {
		list[i] = p.CallID
	}
	return list
}

// ofAttempts are the figures whose facts are calls: they are told by the calls of
// a few days as well as by those of years.
var ofAttempts = []string{"opportunities", "reached", "missed", "timed", "late", "left_out", "scored"}

// eachFigurePlace calls fn with the calls behind a figure, the newest first, after
// the place where the page before ended, until fn wants no more.
func eachFigurePlace(ctx context.Context, db store.Querier, accountID string, q CallQuery, fn func([]CallPlace) (more bool, err error)) error {
	a, err := readAccount(ctx, db, accountID)
	if err != nil {
		return err
	}
	by, err := yardsticksOf(ctx, db, accountID, q.Baseline)
	if err != nil {
		return err
	}
	p := Period{From: q.From, Until: q.Until, Zone: a.zone}
	w, err := newWheel(ctx, db, a, by, p.From, q.Now)
	if err != nil {
		return err
	}
	if slices.Contains(ofAttempts, q.Momentum) {
		return w.walkBack(ctx, db, q, p, fn)
	}
	switch q.Momentum {
	case "answers", "detractors":
		err = w.readFeedback(ctx, db, store.Micros(p.From), store.Micros(p.Until))
	case "earned", "brought":
		w, err = readWheel(ctx, db, a, by, p.From, readUntil(p.Until, q.Now, by), q.Now, nearness{all: true})
	case "referrals", "stayed":
		// Who was sent may be known for nothing else.
		if err = w.readReferrals(ctx, db); err == nil {
			err = w.readPeople(ctx, db, p.From, p.Until)
		}
	default:
		err = w.readPeople(ctx, db, p.From, p.Until)
	}
	if err != nil {
		return err
	}
	places, err := w.places(ctx, db, q, p)
	if err != nil {
		return err
	}
	_, err = fn(places)
	return err
}

// yardsticksOf are those of a named baseline, or the account's present ones.
func yardsticksOf(ctx context.Context, db store.Querier, accountID, baseline string) (Yardsticks, error) {
	if baseline == "" {
		current, err := currentBaseline(ctx, db, accountID)
		return current.yardsticks(), err
	}
	b, err := baselineByID(ctx, db, accountID, baseline)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return Yardsticks{}, callwheel.InvalidField("baseline", "there is no such baseline")
	}
	return b.Yardsticks, err
}

// walkBack finds the calls behind attempts from the end of the period backwards,
// in steps of a day, two, four, at most 32: a page of the list reads the days that
// it is made of, and an export never more than a month at a time.
func (w *wheel) walkBack(ctx context.Context, db store.Querier, q CallQuery, p Period, fn func([]CallPlace) (more bool, err error)) error {
	end, from := store.Micros(p.Until), store.Micros(p.From)
	if q.After.CallID != "" {
		end = min(end, q.After.StartedAt+1) // no attempt begins after its call
	}
	var open []CallPlace
	for step := day; end > from; step = min(2*step, 32*day) {
		begin := max(from, end-step)
		w.attempts, w.left, w.scores, w.of = nil, nil, nil, map[string]placed{}
		if err := w.readAttempts(ctx, db, begin, end); err != nil {
			return err
		}
		places, err := w.places(ctx, db, q, Period{From: time.UnixMicro(begin), Until: time.UnixMicro(end), Zone: p.Zone})
		if err != nil {
			return err
		}
		open = append(open, places...)
		slices.SortFunc(open, newestFirst)
		// An attempt that began before may have been answered up to a day later.
		settled := len(open)
		if begin > from {
			settled, _ = slices.BinarySearchFunc(open, begin+day, func(p CallPlace, at int64) int { return cmp.Compare(at, p.StartedAt) })
		}
		if settled > 0 {
			if more, err := fn(open[:settled]); !more || err != nil {
				return err
			}
		}
		open, end = slices.Clone(open[settled:]), begin
	}
	return nil
}

// places are the calls behind a figure, the newest first, after the place where
// the page before ended.
func (w *wheel) places(ctx context.Context, db store.Querier, q CallQuery, p Period) ([]CallPlace, error) {
	group := everything
	if q.By != "" {
		group = w.groupBy(q.By)
		w.near.shown, w.near.segmented = []span64{p.micros()}, true
		if err := w.placeFacts(ctx, db); err != nil {
			return nil, err
		}
	}
	var ids []string
	if found := w.evidence(q.Momentum, p, group)[q.Segment]; found != nil {
		ids = found.calls
	}
	if err := w.know(ctx, db, ids); err != nil {
		return nil, err
	}
	var places []CallPlace
	for _, id := range ids {
		c, known := w.of[id]
		if !known {
			return nil, fmt.Errorf("list calls of %s: call %s was not read", q.Momentum, id)
		}
		if at := (CallPlace{StartedAt: c.at, CallID: id}); q.After.CallID == "" || newestFirst(at, q.After) > 0 {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, newestFirst)
	return places, nil
}

// newestFirst is the order of the list of calls.
func newestFirst(a, b CallPlace) int {
	return cmp.Or(cmp.Compare(b.StartedAt, a.StartedAt), strings.Compare(b.CallID, a.CallID))
}
