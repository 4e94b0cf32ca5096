package report

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Where the wait that halves goodwill comes from.
const (
	HalfDefault = "default" // too little is known of the callers' own patience
	HalfOwn     = "own"     // the median patience of the account's own callers
	HalfSet     = "set"     // a person has set it
)

const (
	defaultHalf  = 120
	patienceFrom = 50  // calls given up that the account's own patience needs
	patienceDays = 365 // before the end of a baseline, in which they are looked for
)

// patience is how long callers wait before they hang up.
type patience struct {
	abandoned int64
	median    *float64 // seconds; nil where it cannot be told
}

// readPatience estimates the callers' patience from the calls of the year before
// an instant: the product-limit estimate of the time from the first ring until
// they hung up. Who was answered, or sent to voicemail, would have waited on:
// these waits are censored.
func readPatience(ctx context.Context, db store.Querier, a account, by Yardsticks, until time.Time) (patience, error) {
	b, err := readBook(ctx, db, a.ID)
	if err != nil {
		return patience{}, err
	}
	p := Period{From: until.AddDate(0, 0, -patienceDays), Until: until, Zone: a.zone}
	missed, err := readRung(ctx, db, a.ID, p)
	if err != nil {
		return patience{}, err
	}
	var list []call
	err = db.Select(ctx, &list, `
		SELECT c.call_id, c.started_at, COALESCE(c.outcome, '') AS outcome, c.duration_seconds, COALESCE(k.disposition_id, '') AS disposition_id
		FROM calls c LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound' AND COALESCE(c.outcome, '') <> 'answered'`,
		a.ID, store.Micros(p.From), store.Micros(p.Until))
	if err != nil {
		return patience{}, fmt.Errorf("read calls: %w", err)
	}
	var known patience
	var waits []waited
	for i := range list {
		c := &list[i]
		m := missed[c.ID]
		if m == nil || !c.missed() || b.junk(c, by) {
			continue
		}
		if w := m.gaveUpAfter(c); w != nil {
			if w.ended = c.Outcome == string(telephony.Abandoned); w.ended {
				known.abandoned++
			}
			waits = append(waits, *w)
		}
	}
	if known.abandoned < patienceFrom {
		return known, nil
	}
	served, err := readServed(ctx, db, b, a.ID, p)
	if err != nil {
		return patience{}, err
	}
	known.median = newSurvival(append(waits, served...)).quantile(0.5)
	return known, nil
}

// readServed reads how long the callers of a period waited who were answered, as
// waits to hang up: censored.
func readServed(ctx context.Context, db store.Querier, b *book, accountID string, p Period) ([]waited, error) {
	var list []struct {
		Seconds       int64  `db:"seconds"`
		DispositionID string `db:"disposition_id"`
		N             int    `db:"n"`
	}
	err := db.Select(ctx, &list, `
		SELECT COALESCE(c.ring_seconds, c.wait_seconds) AS seconds, COALESCE(k.disposition_id, '') AS disposition_id, count(*) AS n
		FROM calls c LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound' AND c.outcome = 'answered'
		AND COALESCE(c.ring_seconds, c.wait_seconds) IS NOT NULL
		GROUP BY COALESCE(c.ring_seconds, c.wait_seconds), COALESCE(k.disposition_id, '')`,
		accountID, store.Micros(p.From), store.Micros(p.Until))
	if err != nil {
		return nil, fmt.Errorf("read answered calls: %w", err)
	}
	var waits []waited
	for _, one := range list {
		if !b.genuine(one.DispositionID) {
			continue
		}
		for range one.N {
			waits = append(waits, waited{float64(one.Seconds), false})
		}
	}
	return waits, nil
}

// patient returns the yardsticks of an account with such a patience: the median
// wait after which its callers give up halves goodwill, unless a person has set
// another.
func (y Yardsticks) patient(p patience) Yardsticks {
	if y.PromptHalfFrom == HalfSet {
		return y
	}
	y.PromptHalfSeconds, y.PromptHalfFrom, y.PromptHalfAbandoned = defaultHalf, HalfDefault, p.abandoned
	if p.median != nil {
		y.PromptHalfSeconds, y.PromptHalfFrom = int64(math.Round(min(max(*p.median, 1), maxHalf))), HalfOwn
	}
	return y
}

// HalfReason says in words why so long a wait halves goodwill.
func (y Yardsticks) HalfReason() string {
	switch {
	case y.PromptHalfFrom == HalfOwn:
		return fmt.Sprintf("own patience, %d abandonments", y.PromptHalfAbandoned)
	case y.PromptHalfFrom == HalfSet:
		return "as set"
	case y.PromptHalfAbandoned < patienceFrom:
		return fmt.Sprintf("default: %d abandonments needed, %d seen", patienceFrom, y.PromptHalfAbandoned)
	}
	return fmt.Sprintf("default: most callers' patience was not tried to its end, %d abandonments", y.PromptHalfAbandoned)
}

// asFrozen completes yardsticks that were frozen before they told where the wait
// that halves goodwill comes from.
func (y Yardsticks) asFrozen() Yardsticks {
	if y.PromptHalfFrom == "" {
		y.PromptHalfFrom = HalfDefault
		if y.PromptHalfSeconds != defaultHalf {
			y.PromptHalfFrom = HalfSet
		}
	}
	return y
}
