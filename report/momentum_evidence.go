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
				add(s.call)
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
		} else {
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

// figureCalls narrows a filter to the calls behind a figure of momentum and
// reads them by pages: which calls those are depends on more than the call.
func figureCalls(ctx context.Context, db store.Querier, accountID string, q CallQuery, now time.Time) ([]CallRow, error) {
	if !slices.Contains(MomentumFigures, q.Momentum) {
		return nil, callwheel.InvalidField("momentum", "must be one of %s", strings.Join(MomentumFigures, ", "))
	}
	if q.From.IsZero() || q.Until.IsZero() {
		return nil, callwheel.InvalidField("momentum", "needs from and until: the period of the figure")
	}
	if q.Until.Sub(q.From) > maxRangeDays*24*time.Hour {
		return nil, callwheel.InvalidField("until", "the range has more than %d days", maxRangeDays)
	}
	places, err := figurePlaces(ctx, db, accountID, q, now)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	rest := q
	rest.Momentum, rest.From, rest.Until, rest.After = "", time.Time{}, time.Time{}, CallPlace{}
	var rows []CallRow
	for chunk := range slices.Chunk(places, exportPage) {
		f := newCallFilter(accountID)
		if err := f.apply(rest); err != nil {
			return nil, err
		}
		f.and(`c.call_id IN (`+strings.TrimSuffix(strings.Repeat("?,", len(chunk)), ",")+`)`, anys(chunk)...)
		found, err := f.read(ctx, db, limit-len(rows))
		if err != nil {
			return nil, err
		}
		if rows = append(rows, found...); len(rows) >= limit {
			break
		}
	}
	return rows, nil
}

func anys(places []CallPlace) []any {
	list := make([]any, len(places))
	for i, p := range places {
		list[i] = p.CallID
	}
	return list
}

// figurePlaces are the calls behind a figure, the newest first, after the place
// where the page before ended.
func figurePlaces(ctx context.Context, db store.Querier, accountID string, q CallQuery, now time.Time) ([]CallPlace, error) {
	a, err := readAccount(ctx, db, accountID)
	if err != nil {
		return nil, err
	}
	current, err := currentBaseline(ctx, db, accountID)
	if err != nil {
		return nil, err
	}
	by := current.yardsticks()
	if q.Baseline != "" {
		b, err := baselineByID(ctx, db, accountID, q.Baseline)
		if callwheel.KindOf(err) == callwheel.NotFound {
			return nil, callwheel.InvalidField("baseline", "there is no such baseline")
		} else if err != nil {
			return nil, err
		}
		by = b.Yardsticks
	}
	p := Period{From: q.From, Until: q.Until, Zone: a.zone}
	w, err := readWheel(ctx, db, a, by, p.From, p.Until, now)
	if err != nil {
		return nil, err
	}
	ids, _ := w.evidence(q.Momentum, p)
	var places []CallPlace
	for _, id := range ids {
		c := w.of[id]
		if c == nil {
			return nil, fmt.Errorf("list calls of %s: call %s was not read", q.Momentum, id)
		}
		places = append(places, CallPlace{StartedAt: c.StartedAt, CallID: id})
	}
	slices.SortFunc(places, func(a, b CallPlace) int {
		return cmp.Or(cmp.Compare(b.StartedAt, a.StartedAt), strings.Compare(b.CallID, a.CallID))
	})
	if q.After.CallID == "" {
		return places, nil
	}
	return slices.DeleteFunc(places, func(p CallPlace) bool {
		return cmp.Or(cmp.Compare(p.StartedAt, q.After.StartedAt), strings.Compare(p.CallID, q.After.CallID)) >= 0
	}), nil
}
