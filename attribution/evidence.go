package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// RatioKind is what a piece of evidence rests on.
type RatioKind string

// The kinds of evidence.
const (
	RatioPhone  RatioKind = "phone"  // the phone is known to be this visitor's, or another's
	RatioArea   RatioKind = "area"   // the caller's area code against the visitor's region
	RatioDevice RatioKind = "device" // the kind of line against the visitor's device
)

// Ratio is one piece of evidence about a holder: how much likelier it is if
// they made the call than if somebody else did.
type Ratio struct {
	Kind  RatioKind `json:"kind"`
	Value float64   `json:"value"`
}

// Ratios are kept within bounds: evidence may mislead.
const (
	maxRatio   = 1000.0 // of all evidence together, and of a phone that is the visitor's own
	otherRatio = 0.1    // of a phone that is known to be somebody else's, or a visitor known to have another
	maxCounted = 20.0   // of area and device, which are counted; the least is its inverse
)

// product is all evidence about a holder; the pieces count as independent.
func product(ratios []Ratio) float64 {
	e := 1.0
	for _, r := range ratios {
		e *= r.Value
	}
	return min(e, maxRatio)
}

// phoneRatio is how much likelier a call from this phone is if the visitor to
// whom it belongs made it: 1 / the share of all calls that come from it.
func phoneRatio(own, all int64) float64 {
	if own <= 0 || all <= 0 {
		return maxRatio
	}
	return max(1, min(float64(all)/float64(own), maxRatio))
}

// together are counts of calls: with what was told and what is given, with
// either, in all, and of how many different things can be told.
type together struct{ both, told, given, all, kinds int64 }

// ratio is P(told | given) / P(told), each with one more call of every kind, so
// that few calls say little.
func (c together) ratio() float64 {
	kinds := float64(max(c.kinds, 1))
	given := (float64(c.both) + 1) / (float64(c.given) + kinds)
	all := (float64(c.told) + 1) / (float64(c.all) + kinds)
	return min(max(given/all, 1/maxCounted), maxCounted)
}

// caller is what was known of the caller before the call.
type caller struct {
	known        bool  // the phone belongs to a visitor: an earlier call or form proved it
	own          int64 // earlier calls from the phone
	contaminates bool  // known, and called this number before its present holder, somebody else, had it
}

// caller looks up who has this phone.
func (j judge) caller(ctx context.Context, streams []stream) (caller, error) {
	if j.call.CallerKind != telephony.CallerE164 || j.call.From == "" {
		return caller{}, nil
	}
	account, t := j.call.AccountID, store.Micros(j.call.StartedAt)
	var links int64
	if err := j.db.Get(ctx, &links, linksOfCaller, account, j.call.From, t, store.Micros(j.judgedAt)); err != nil {
		return caller{}, fmt.Errorf("look up caller: %w", err)
	}
	if links == 0 {
		return caller{}, nil
	}
	handed := j.call.StartedAt
	if len(streams) > 0 {
		handed = streams[0].lease.From
	}
	var calls struct {
		Own  int64 `db:"own"`
		Here int64 `db:"here"`
	}
	err := j.db.Get(ctx, &calls, callsOfCaller, account, j.call.From, t, account, j.call.From, store.Micros(handed), j.call.TrackingNumber)
	if err != nil {
		return caller{}, fmt.Errorf("look up caller: %w", err)
	}
	foreign := len(streams) > 0 && streams[0].holds(j.call.StartedAt) && streams[0].person != j.call.From
	return caller{known: true, own: calls.Own, contaminates: foreign && calls.Here > 0}, nil
}

// late is how near the moment of judgement a link may have been written down
// for it to be unclear whether it was seen.
const late = 5 * time.Second

// weigh adds the evidence about each holder. When a call is judged again what
// was counted then stands: counts grow with every call.
func (j judge) weigh(ctx context.Context, who caller, streams []stream) error {
	all := int64(0)
	for i := range streams {
		s := &streams[i]
		old, again := j.kept[s.lease.VisitorID]
		switch {
		case again && j.unclear(*s):
			s.ratios = append(s.ratios, kept(old, RatioPhone)...)
		case s.person == "":
		case s.person != j.call.From:
			if j.call.CallerKind == telephony.CallerE164 {
				s.ratios = append(s.ratios, Ratio{RatioPhone, otherRatio})
			}
		case again && len(kept(old, RatioPhone)) == 1 && kept(old, RatioPhone)[0].Value >= 1:
			s.ratios = append(s.ratios, kept(old, RatioPhone)...)
		default:
			if all == 0 {
				limit := int64(maxRatio) * max(who.own, 1)
				err := j.db.Get(ctx, &all, callsBefore, j.call.AccountID, store.Micros(j.call.StartedAt), limit)
				if err != nil {
					return fmt.Errorf("count calls: %w", err)
				}
			}
			s.ratios = append(s.ratios, Ratio{RatioPhone, phoneRatio(who.own, all)})
		}
	}
	return j.weighCounts(ctx, streams)
}

// unclear says whether the link of a holder was written down so near the moment
// of the first judgement that it may not have been seen.
func (j judge) unclear(s stream) bool {
	d := j.judgedAt.Sub(store.FromMicros(s.knownAt))
	return s.person != "" && s.knownAt != 0 && d < late
}

// kept returns the evidence of one kind that an earlier judgement noted.
func kept(c Candidate, kind RatioKind) []Ratio {
	for _, r := range c.Ratios {
		if r.Kind == kind {
			return []Ratio{r}
		}
	}
	return nil
}
