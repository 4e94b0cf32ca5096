package attribution

import (
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel/store"
)

// WhatIf is one thing that could have been otherwise, and what the answer would
// have been then.
type WhatIf struct {
	If         string
	Verdict    Verdict
	Source     string // "" when untracked
	Confidence float64
}

// whatIf says what would have changed the answer, or how far it was from
// changing, each time with one thing otherwise: when the likeliest visitor saw
// the number, whose phone it is, who else was shown the number.
func (d Delays) whatIf(a Attribution, t time.Time) []WhatIf {
	q := question{delays: d, attribution: a, leader: a.leader()}
	for _, c := range a.Candidates {
		s := stream{sourceID: c.SourceID, source: c.Source, medium: c.Medium}
		if c.Visitors > 0 { // whatever makes up their share of the intensity
			rate := c.Weight / max(a.UntrackedWeight, 1.0/nano) * a.Background
			q.holders = append(q.holders, Holder{Source: s.key(), Ratio: rate / d.Intensity(Holder{Ratio: 1})})
			continue
		}
		q.holders = append(q.holders, Holder{
			Source: s.key(), OnScreen: c.OnScreen, Since: t.Sub(store.FromMicros(c.LastShownAt)), Ratio: product(c.Ratios),
		})
	}
	who := described(Classification{Source: a.Candidates[q.leader].Source, Medium: a.Candidates[q.leader].Medium})
	var list []WhatIf
	if q.holders[q.leader].OnScreen {
		list = append(list, q.ask("If the visitor from "+who+" had closed the page an hour before", func(h []Holder) {
			h[q.leader].OnScreen, h[q.leader].Since = false, time.Hour
		}))
	} else {
		list = append(list, q.ask("If the visitor from "+who+" had still had the page open", func(h []Holder) { h[q.leader].OnScreen = true }))
	}
	if after, turned := q.turn(); turned != nil {
		turned.If = fmt.Sprintf("If the visitor from %s had last seen the number %s before, or earlier", who, ago(after))
		list = append(list, *turned)
	}
	if slices.ContainsFunc(a.Candidates, func(c Candidate) bool { return len(c.Ratios) > 0 }) {
		list = append(list, q.ask("If nothing had been known of the caller's phone, area or line", func(h []Holder) {
			for i := range h {
				h[i].Ratio = 1
			}
		}))
	}
	if len(kept(a.Candidates[q.leader], RatioPhone)) == 0 {
		list = append(list, q.ask("If the phone had been known as that of the visitor from "+who, func(h []Holder) { h[q.leader].Ratio = maxRatio }))
	}
	if len(q.holders) > 1 {
		list = append(list, q.ask("If the number had been shown to nobody but the visitor from "+who, func(h []Holder) {
			for i := range h {
				if i != q.leader {
					h[i].Ratio = 0
				}
			}
		}))
	}
	return list
}

// leader is the candidate whom the attribution names, else the likeliest.
func (a Attribution) leader() int {
	best := 0
	for i, c := range a.Candidates {
		if a.VisitorID != "" && c.VisitorID == a.VisitorID {
			return i
		}
		if c.Visitors == 0 && c.Weight > a.Candidates[best].Weight {
			best = i
		}
	}
	return best
}

// question is an attribution that is asked again with something changed.
type question struct {
	delays      Delays
	attribution Attribution
	holders     []Holder
	leader      int
}

func (q question) ask(what string, change func([]Holder)) WhatIf {
	holders := slices.Clone(q.holders)
	change(holders)
	s := q.delays.Posterior(holders, q.attribution.Background)
	w := WhatIf{If: what, Verdict: s.Verdict, Confidence: s.Confidence()}
	if s.Holder >= 0 {
		w.Source = q.attribution.Candidates[s.Holder].Source
	}
	return w
}

// turn finds how long ago the leader would have had to see the number for the
// answer to be another; nil when no time within a year makes it one.
func (q question) turn() (time.Duration, *WhatIf) {
	at := func(since time.Duration) WhatIf {
		return q.ask("", func(h []Holder) { h[q.leader].OnScreen, h[q.leader].Since = false, since })
	}
	now := q.ask("", func([]Holder) {})
	same := func(w WhatIf) bool { return w.Verdict == now.Verdict && w.Source == now.Source }
	low, high := q.holders[q.leader].Since, 365*day
	if now.Verdict == Untracked || !same(at(low)) || same(at(high)) {
		return 0, nil
	}
	for high-low > time.Minute {
		if middle := low + (high-low)/2; same(at(middle)) {
			low = middle
		} else {
			high = middle
		}
	}
	w := at(high)
	return high, &w
}
