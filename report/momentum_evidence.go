package report

import (
	"cmp"
	"context"
	"fmt"
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
	"answers", "detractors", "repeats",
}

// Behind is what a part was computed from.
type Behind struct {
	Part        string        `json:"part"`
	Definition  string        `json:"definition" doc:"A link"`
	Formula     string        `json:"formula"`
	Value       *float64      `json:"value"`
	Interval    *Interval     `json:"interval" doc:"95 %: Wilson's for a share, null for what is none"`
	Numerator   *float64      `json:"numerator"`
	Denominator *float64      `json:"denominator"`
	Calls       []CallsBehind `json:"calls"`
}

// CallsBehind is a count with its calls.
type CallsBehind struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
	Calls int64  `json:"calls" doc:"Calls behind the count: fewer where one call counts twice, or something was brought in without a call"`
	URL   string `json:"url" doc:"Lists exactly these calls"`
}

// evidence lists the calls behind a figure: for an attempt the call in which the
// caller was reached, or else the one that began it.
func (w *wheel) evidence(figure string, p Period) (ids []string, count int64) {
	add := func(id string) {
		count++
		if id != "" {
			ids = append(ids, id)
		}
	}
	switch figure {
	case "opportunities", "reached", "missed", "timed", "late":
		for _, a := range w.within(p) {
			late := a.reached && a.wait > float64(w.by.PromptTargetSeconds)
			if map[string]bool{"opportunities": true, "reached": a.reached, "missed": !a.reached, "timed": a.reached && a.wait >= 0, "late": late}[figure] {
				add(a.evidence())
			}
		}
	case "left_out":
		for _, one := range w.left {
			if p.contains(one.at) {
				add(one.call)
			}
		}
	case "scored":
		for _, one := range w.scores {
			if p.contains(one.at) {
				add(one.call)
			}
		}
	case "leads", "won":
		for _, name := range w.names {
			lead, ok := w.leads[name]
			if !ok || !p.contains(lead.at) || !w.mature(lead) {
				continue
			}
			if figure == "leads" {
				add(lead.call)
			} else if w.wonInTime(name, lead) {
				add(w.won[name].call)
			}
		}
	case "sales", "refunds":
		w.eachSale(p, func(s sold) {
			if figure == "sales" || s.back > 0 {
				add(s.callID)
			}
		})
	case "answers", "detractors":
		for _, r := range w.ratings {
			if p.contains(r.At) && (figure == "answers" || r.detractor()) {
				add(r.CallID)
			}
		}
	case "repeats":
		w.eachRepeat(p.Until, add)
	}
	slices.Sort(ids)
	return slices.Compact(ids), count
}

// eachRepeat calls fn with the calls of the repeat purchases of the return
// window that ends at an instant.
func (w *wheel) eachRepeat(until time.Time, fn func(callID string)) {
	end := store.Micros(until)
	for _, name := range w.names {
		one := w.people.persons[name]
		calls := map[int64][]string{}
		for _, s := range one.sales {
			calls[s.SoldAt] = append(calls[s.SoldAt], s.CallID)
		}
		for _, o := range one.outcomes {
			if o.WonAt == nil {
				continue
			}
			if c := one.lastCall(*o.WonAt); c != nil {
				calls[*o.WonAt] = append(calls[*o.WonAt], c.ID)
			}
		}
		for i, at := range one.boughtAt() {
			id := ""
			if list := calls[at]; len(list) > 0 {
				id, calls[at] = list[0], list[1:]
			}
			if i > 0 && at >= end-w.by.ReturnDays*day && at < end {
				fn(id)
			}
		}
	}
}

// behind lists what each part of a period was computed from. With is a named
// baseline whose yardsticks the links carry along.
func (w *wheel) behind(p Period, c Counts, with string) []Behind {
	g := c.gauges()
	figures := map[string][]string{
		partSpeed: {"opportunities", "left_out"}, partReached: {"reached", "missed"}, partPrompt: {"timed", "late"}, partHandled: {"scored"},
		partWon: {"leads", "won"}, partKept: {"sales", "refunds"}, partContent: {"answers", "detractors"}, partWeight: {"repeats"},
	}
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
		b := Behind{Part: part, Definition: definitionLink(part), Formula: formulaOf(part), Calls: []CallsBehind{}}
		if g[part].known {
			b.Value = number(g[part].value)
		}
		if share, ok := shares[part]; ok {
			b.Numerator, b.Denominator = number(share[0]), number(share[1])
			b.Interval = wilson(int64(share[0]), int64(share[1]))
		} else if part != partKept || c.Unrated == 0 {
			b.Numerator, b.Denominator = number(quotients[part][0]), number(quotients[part][1])
		}
		for _, figure := range figures[part] {
			ids, count := w.evidence(figure, p)
			b.Calls = append(b.Calls, CallsBehind{What: figure, Count: count, Calls: int64(len(ids)), URL: callsLink(figure, p, with)})
		}
		list = append(list, b)
	}
	return list
}

func callsLink(figure string, p Period, with string) string {
	q := url.Values{"momentum": {figure}, "from": {instant(p.From)}, "until": {instant(p.Until)}}
	if with != "" {
		q.Set("baseline", with)
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
	if !slices.Contains(MomentumFigures, q.Momentum) {
		return callwheel.InvalidField("momentum", "must be one of %s", strings.Join(MomentumFigures, ", "))
	}
	if q.From.IsZero() || q.Until.IsZero() {
		return callwheel.InvalidField("momentum", "needs from and until: the period of the figure")
	}
	if q.Until.Sub(q.From) > maxRangeDays*24*time.Hour {
		return callwheel.InvalidField("until", "the range has more than %d days", maxRangeDays)
	}
	rest := q
	rest.Momentum, rest.From, rest.Until, rest.After = "", time.Time{}, time.Time{}, CallPlace{}
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
	if slices.Contains([]string{"answers", "detractors"}, q.Momentum) {
		err = w.readFeedback(ctx, db, store.Micros(p.From), store.Micros(p.Until))
	} else {
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
	ids, _ := w.evidence(q.Momentum, p)
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
