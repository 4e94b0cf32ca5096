package report

import (
	"errors"
	"strings"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
)

// models finds the query's model and the one to compare with, and refuses
// parameters that are not theirs.
func (q *Query) models() (model attribution.Model, second *attribution.Model, bad []callwheel.FieldError) {
	model, err := findModel(q.Model, q.With)
	bad = append(bad, namedAs(err, q.Model, "model", "")...)
	if q.Compare == "" {
		if q.CompareTo != (attribution.Params{}) {
			bad = append(bad, callwheel.FieldError{Field: "compare", Message: "is needed beside parameters of the second model"})
		}
		return model, nil, bad
	}
	other, err := findModel(q.Compare, q.CompareTo)
	return model, &other, append(bad, namedAs(err, q.Compare, "compare", "compare_")...)
}

// namedAs gives the fields of a refused model the names they have in a query.
func namedAs(err error, asked, model, prefix string) []callwheel.FieldError {
	var refused *callwheel.Error
	if !errors.As(err, &refused) {
		return nil
	}
	var list []callwheel.FieldError
	for _, f := range refused.Fields {
		if f.Field == "model" {
			f = callwheel.FieldError{Field: model, Message: `"` + clip(asked) + `" is not a model; there are ` + strings.Join(Models(), ", ")}
		} else {
			f.Field = prefix + f.Field
		}
		list = append(list, f)
	}
	return list
}

// channel is what models that depend on the grouping call the touch.
func (qu question) channel(b *book, t touch) string { return qu.names(t.cell(b)) }

// names is what a touch is called in the dimensions by which rows are grouped or
// filtered, whatever the case.
func (qu question) names(c cell) string {
	var names []string
	for i, d := range Dimensions[:touchNames] {
		if qu.about(d) {
			names = append(names, fold(c.names[i]))
		}
	}
	return strings.Join(names, "\x00")
}

// about says whether rows are told apart by the dimension.
func (qu question) about(d Dimension) bool {
	if _, filtered := qu.Filters[d]; filtered {
		return true
	}
	for _, g := range qu.GroupBy {
		if g == d {
			return true
		}
	}
	return false
}

// path is what the model sees of the conversion's touches; steps is room for
// them.
func (v conversion) path(b *book, qu question, touches []touch, steps []attribution.Step) attribution.Path {
	p := attribution.Path{ConvertedAt: store.FromMicros(v.at), Steps: steps[:0]}
	for i := range touches {
		t := &touches[i]
		step := attribution.Step{ID: t.id, At: store.FromMicros(t.at), Direct: t.direct()}
		if qu.model.Grouped {
			step.Channel = qu.channel(b, *t)
		}
		p.Steps = append(p.Steps, step)
	}
	if v.moments[0] != noPrev {
		p.LeadAt = store.FromMicros(v.moments[0])
	}
	if v.moments[1] != noPrev {
		p.QualifiedAt = store.FromMicros(v.moments[1])
	}
	if v.moments[2] != noPrev {
		p.WonAt = store.FromMicros(v.moments[2])
	}
	return p
}

// mark finds when the persons of the conversions became leads, qualified and
// won, where the model asks: the first moments after the person's conversion
// before, or those that an imported outcome tells itself, if they are earlier.
func (p *people) mark(list []conversion, qu question, b *book) {
	for i := range list {
		v := &list[i]
		v.moments = [3]int64{noPrev, noPrev, noPrev}
		if !qu.model.Moments {
			continue
		}
		for rank := range v.moments {
			if at, ok := v.person.momentAfter(v.prev, rank+1, b, p.calls); ok {
				v.moments[rank] = at
			}
		}
		if o := v.outcome; o != nil { // what it tells itself is of this conversion, also from before the last one
			for rank, at := range o.moments() {
				if at != nil && (v.moments[rank] == noPrev || *at < v.moments[rank]) {
					v.moments[rank] = *at
				}
			}
		}
	}
}

// momentAfter is the first moment after another at which the person is said to
// have reached a stage (its rank). A disposition of a later stage says so; that
// the person bought says that they had won, not when they had become a lead or
// qualified. What is said of a call that began no later than the other moment
// belongs to what came before it, however late it is said.
func (one *person) momentAfter(after int64, rank int, b *book, calls map[string]*call) (first int64, ok bool) {
	try := func(t int64) {
		if t > after && (!ok || t < first) {
			first, ok = t, true
		}
	}
	for _, g := range one.given {
		if c := calls[g.CallID]; stageRank(b.outcomes[g.DispositionID].Stage) >= rank && (c == nil || c.StartedAt > after) {
			try(g.At)
		}
	}
	if rank == stageRank("won") {
		for _, s := range one.sales {
			try(s.SoldAt)
		}
	}
	for _, o := range one.outcomes {
		if at := o.moments()[rank-1]; at != nil {
			try(*at)
		}
	}
	return first, ok
}

// moments are those of becoming a lead, qualified and won; nil for unknown.
func (o *outcome) moments() [3]*int64 { return [3]*int64{o.LeadAt, o.QualifiedAt, o.WonAt} }
