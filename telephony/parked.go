package telephony

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// parkedBatch bounds one step of Adopt.
const parkedBatch = 200

// errAdopted undoes an adoption that came too late: the call has told by itself
// whose it is.
var errAdopted = errors.New("nothing is parked any more")

// Adopt gives calls and messages that were parked, because nobody could tell whose
// they are, to the account that is known to have the number by now: a call that
// came before the snapshot knew its number would be in no report otherwise. What
// still cannot be told stays parked, until Trim. done counts calls and messages.
// Its shape is a job's step: it goes on where it ended the last time, and begins
// anew at the end.
func (s *Switchboard) Adopt(ctx context.Context, _ time.Time) (done int, err error) {
	s.adopting.Lock()
	defer s.adopting.Unlock()
	batch, err := s.subjects(ctx, s.adoptAfter, parkedBatch)
	if err != nil {
		return 0, err
	}
	s.adoptAfter = subject{}
	if len(batch) == parkedBatch {
		s.adoptAfter = batch[len(batch)-1]
	}
	var errs []error
	for _, sub := range batch {
		adopted, err := s.adoptOne(ctx, sub)
		if err != nil {
			errs = append(errs, fmt.Errorf("adopt what is parked: %w", err))
		}
		if adopted {
			done++
		}
	}
	parked, err := s.countParked(ctx)
	s.metrics.parked.Set(float64(parked))
	return done, errors.Join(append(errs, err)...)
}

// countParked counts the entries of the journal that no account has.
func (s *Switchboard) countParked(ctx context.Context) (int, error) {
	var n int
	if err := s.db.Get(ctx, &n, `SELECT count(entry_id) FROM journal WHERE account_id = ''`); err != nil {
		return 0, fmt.Errorf("count what is parked: %w", err)
	}
	return n, nil
}

// adoptOne finds whose one parked call or message is and rebuilds it there.
func (s *Switchboard) adoptOne(ctx context.Context, sub subject) (bool, error) {
	found := make(chan Call, 1) // as in commit
	once := func(ctx context.Context, tx *store.Tx) error {
		owner, err := s.ownerOfParked(ctx, tx, sub)
		if err != nil || owner == "" {
			return err
		}
		call := Call{AccountID: owner}
		if sub.Messages {
			err = s.refoldMessage(ctx, tx, owner, sub.Provider, sub.Ref, false)
		} else if call, err = s.refoldCall(ctx, tx, owner, sub.Provider, sub.Ref, false, ""); err == nil && call.Events == 0 {
			err = errAdopted
		}
		select {
		case <-found: // an earlier run that was undone
		default:
		}
		found <- call
		return err
	}
	err := s.db.InTx(ctx, once)
	if store.IsUnique(err) {
		err = s.db.InTx(ctx, once)
	}
	if errors.Is(err, errAdopted) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	select {
	case call := <-found:
		s.adopted(ctx, call)
		return true, nil
	default:
		return false, nil
	}
}

// adopted tells whoever waits for it of a call that has come to its account.
func (s *Switchboard) adopted(ctx context.Context, call Call) {
	if call.ID == "" {
		return // a message
	}
	s.remember(call, false)
	s.hub.tell(call.AccountID, call.ID)
	if !call.Shell {
		s.attribute(ctx, call)
	}
}

// ownerOfParked tells whose a parked call or message is: by its row, by what we
// wrote into the callback's URL, by the number; "" when still nobody can tell.
func (s *Switchboard) ownerOfParked(ctx context.Context, tx *store.Tx, sub subject) (string, error) {
	if owner, err := ownerOf(ctx, tx, sub.Provider, sub.Ref); err != nil || owner != "" {
		return owner, err
	}
	entries, err := entriesOf(ctx, tx, "", sub.Provider, sub.Ref)
	if err != nil {
		return "", err
	}
	events := s.read(entries)
	slices.SortFunc(events, func(a, b Folded) int {
		return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.Key, b.Key))
	})
	for _, e := range events {
		if owner, err := ownerOfEvent(ctx, tx, e.Event); err != nil || owner != "" {
			return owner, err
		}
	}
	return "", nil
}

// ownerOfEvent tells whose an event is that was signed with the installation's
// secret. Of a number it is the account that had it at that moment, or, when
// nobody had it yet, the first one that got it. What an account signs with a
// provider account of its own is never parked, so those are left out.
func ownerOfEvent(ctx context.Context, tx *store.Tx, e Event) (string, error) {
	var owner string
	at := store.Micros(e.ReceivedAt)
	err := tx.Get(ctx, &owner, `
		SELECT account_id FROM (
			SELECT a.account_id, 0 AS choice, CAST(0 AS BIGINT) AS since FROM accounts a WHERE a.account_id = ? AND a.provider_account = ''
			UNION ALL
			SELECT a.account_id, 1, n.created_at FROM tracking_numbers n JOIN accounts a ON a.account_id = n.account_id
			WHERE n.number = ? AND a.provider_account = '' AND (n.released_at IS NULL OR n.released_at > ?)
				AND (n.created_at <= ? OR NOT EXISTS (
					SELECT 1 FROM tracking_numbers b WHERE b.number = n.number AND b.created_at <= ?))
		) AS owners
		ORDER BY choice, since, account_id
		LIMIT 1`, e.Query.AccountID, tracked(e), at, at, at)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find whose number it was: %w", err)
	}
	return owner, nil
}
