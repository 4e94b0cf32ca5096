package scoring

import (
	"context"
	"fmt"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// circleProblem is said of a referral that would close a circle.
const circleProblem = "was sent by this person, directly or through others: nobody is sent by whom they sent"

// sending is that one number sent another.
type sending struct{ from, to string }

// sentBy is what a file tells of who sent somebody; the zero value where it tells
// nothing, or what is no number.
func sentBy(referrer, referred string) sending {
	from, problem := mustPhone(referrer)
	to, other := mustPhone(referred)
	if problem != "" || other != "" {
		return sending{}
	}
	return sending{from, to}
}

// closesCircle says whether the sender was sent, directly or through others, by
// whom they are said to have sent. others are sendings that are not kept yet. It
// holds for what the transaction sees: two that are told at the same instant may both
// be taken, and what walks from who was sent to who sent them must end where it has
// been (see report's origins).
func closesCircle(ctx context.Context, q store.Querier, accountID string, s sending, others []sending) (bool, error) {
	above := map[string][]string{}
	for _, o := range others {
		above[o.to] = append(above[o.to], o.from)
	}
	seen := map[string]bool{}
	for next := []string{s.from}; len(next) > 0; {
		person := next[0]
		next = next[1:]
		switch {
		case person == s.to:
			return true, nil
		case seen[person]:
			continue
		}
		seen[person] = true
		var senders []string
		if err := q.Select(ctx, &senders, `SELECT referrer FROM referrals WHERE account_id = ? AND referred = ? ORDER BY referrer`, accountID, person); err != nil {
			return false, fmt.Errorf("read who sent whom: %w", err)
		}
		next = append(append(next, senders...), above[person]...)
	}
	return false, nil
}

// refuseCircle fails with Invalid, naming the field, where s would close a circle.
func refuseCircle(ctx context.Context, q store.Querier, accountID, field string, s sending) error {
	closes, err := closesCircle(ctx, q, accountID, s, nil)
	if err == nil && closes {
		err = callwheel.InvalidField(field, "%s", circleProblem)
	}
	return err
}

// circles lists, by their place in the list, the sendings of a file that would
// close a circle with those before them and with those that are kept. Zero values
// are lines that tell of nobody.
func circles(ctx context.Context, q store.Querier, accountID string, list []sending) (map[int][]callwheel.FieldError, error) {
	bad := map[int][]callwheel.FieldError{}
	var taken []sending
	for i, s := range list {
		if s == (sending{}) {
			continue
		}
		var known []string
		if err := q.Select(ctx, &known, `SELECT referral_id FROM referrals WHERE account_id = ? AND referrer = ? AND referred = ?`, accountID, s.from, s.to); err != nil {
			return nil, fmt.Errorf("read who sent whom: %w", err)
		}
		if len(known) > 0 {
			continue
		}
		closes, err := closesCircle(ctx, q, accountID, s, taken)
		if err != nil {
			return nil, err
		}
		if closes {
			bad[i] = []callwheel.FieldError{{Field: "referred_by", Message: circleProblem}}
			continue
		}
		taken = append(taken, s)
	}
	return bad, nil
}

// CheckOutcomes lists, by their place in the list, what ImportOutcomes would refuse
// because of what is known already: a person who was sent by somebody they sent. It
// changes nothing.
func (d *Desk) CheckOutcomes(ctx context.Context, accountID string, list []Outcome) (map[int][]callwheel.FieldError, error) {
	sent := make([]sending, len(list))
	for i, o := range list {
		sent[i] = sentBy(o.ReferredBy, o.Person)
	}
	return circles(ctx, d.db, accountID, sent)
}
