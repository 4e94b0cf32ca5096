package telephony

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// ReplayResult says how the tables compare with what the journal says they
// should be.
type ReplayResult struct {
	Calls      int          // compared
	Messages   int          // compared
	Entries    int          // read
	Parked     int          // entries that no account has: in no call, until Adopt can tell whose they are
	Trimmed    int          // calls of which entries have been deleted for age; left alone
	Fixed      int          // calls and messages rewritten; what cannot be rebuilt is left as it is
	Different  []Difference // at most maxDifferences of them
	Differents int          // all of them
}

// Difference is one column that is not what the journal says.
type Difference struct {
	AccountID string
	ID        string // of the call or message
	Field     string
	Stored    string
	Rebuilt   string
}

const maxDifferences = 1000

// subject is one call or message in the journal.
type subject struct {
	AccountID string `db:"account_id"`
	Provider  string `db:"provider"`
	Ref       string `db:"call_ref"`
	Messages  bool   `db:"messages"`
}

// Replay rebuilds every call, leg and message from the journal, one at a time,
// and compares; it looks for recordings that have no row, and for calls that have
// no entries though none of theirs can be past retention. With fix it writes what
// differs, unless entries are missing. It may run beside live traffic: a row that
// changes meanwhile is compared under its lock.
func (s *Switchboard) Replay(ctx context.Context, fix bool) (ReplayResult, error) {
	var res ReplayResult
	accounts, err := s.replayable(ctx)
	if err != nil {
		return res, err
	}
	for _, a := range accounts {
		if err := s.replayAccount(ctx, a, fix, &res); err != nil {
			return res, err
		}
		if err := s.bereft(ctx, a, &res); err != nil {
			return res, err
		}
	}
	res.Parked, err = s.countParked(ctx)
	return res, err
}

// keeper is an account and since when its journal is whole; the zero instant is
// since ever.
type keeper struct {
	AccountID string
	Since     time.Time
}

// trimmed says whether entries of a call that began then may be past retention.
func (k keeper) trimmed(began time.Time) bool { return began.Before(k.Since) }

// replayable lists the accounts that have entries or calls.
func (s *Switchboard) replayable(ctx context.Context) ([]keeper, error) {
	var rows []struct {
		ID   string `db:"account_id"`
		Days int64  `db:"days"`
	}
	err := s.db.Select(ctx, &rows, `
		SELECT u.account_id, COALESCE(a.journal_retention_days, 0) AS days
		FROM (SELECT account_id FROM journal UNION SELECT account_id FROM calls) AS u
		LEFT JOIN accounts a ON a.account_id = u.account_id
		WHERE u.account_id <> ''
		ORDER BY u.account_id`)
	if err != nil {
		return nil, fmt.Errorf("replay: list the accounts: %w", err)
	}
	list := make([]keeper, 0, len(rows))
	for _, r := range rows {
		k := keeper{AccountID: r.ID}
		if r.Days > 0 {
			k.Since = s.deps.Now().AddDate(0, 0, -int(r.Days))
		}
		list = append(list, k)
	}
	return list, nil
}

func (s *Switchboard) replayAccount(ctx context.Context, k keeper, fix bool, res *ReplayResult) error {
	last := subject{AccountID: k.AccountID}
	for {
		batch, err := s.subjects(ctx, last, replayBatch)
		if err != nil {
			return err
		}
		for _, sub := range batch {
			if err := s.replayOne(ctx, k, sub, fix, res); err != nil {
				return err
			}
		}
		if len(batch) < replayBatch {
			return nil
		}
		last = batch[len(batch)-1]
	}
}

const replayBatch = 500

// subjects returns the next calls and messages of an account's journal; the
// account "" is what is parked.
func (s *Switchboard) subjects(ctx context.Context, after subject, limit int) ([]subject, error) {
	var list []subject
	err := s.db.Select(ctx, &list, `
		SELECT DISTINCT account_id, provider, call_ref, door IN ('message', 'message/status') AS messages
		FROM journal
		WHERE account_id = ? AND call_ref <> '' AND (provider, call_ref) > (?, ?)
		ORDER BY provider, call_ref
		LIMIT ?`, after.AccountID, after.Provider, after.Ref, limit)
	if err != nil {
		return nil, fmt.Errorf("list the calls of the journal: %w", err)
	}
	return list, nil
}

// bereft looks for calls of which the journal knows nothing although it should.
// Nothing can rebuild them.
func (s *Switchboard) bereft(ctx context.Context, k keeper, res *ReplayResult) error {
	last := ""
	for {
		var rows []struct {
			ID        string     `db:"call_id"`
			Ref       string     `db:"provider_call_id"`
			StartedAt store.Time `db:"started_at"`
		}
		err := s.db.Select(ctx, &rows, `
			SELECT c.call_id, c.provider_call_id, c.started_at FROM calls c
			WHERE c.account_id = ? AND c.call_id > ? AND NOT c.imported AND NOT EXISTS (
				SELECT 1 FROM journal j WHERE j.account_id = c.account_id AND j.provider = c.provider AND j.call_ref = c.provider_call_id)
			ORDER BY c.call_id
			LIMIT ?`, k.AccountID, last, replayBatch)
		if err != nil {
			return fmt.Errorf("replay: list the calls without a journal: %w", err)
		}
		var r ReplayResult
		for _, c := range rows {
			if k.trimmed(c.StartedAt.Time) {
				r.Trimmed++
				continue
			}
			r.Different = append(r.Different, Difference{AccountID: k.AccountID, ID: c.ID, Field: "journal", Stored: c.Ref})
		}
		res.add(r)
		if len(rows) < replayBatch {
			return nil
		}
		last = rows[len(rows)-1].ID
	}
}

// replayOne compares one call or message inside a transaction that holds its
// row, so that what is compared belongs together.
func (s *Switchboard) replayOne(ctx context.Context, k keeper, sub subject, fix bool, res *ReplayResult) error {
	one := make(chan ReplayResult, 1)
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := holdSubject(ctx, tx, sub); err != nil {
			return err
		}
		entries, err := entriesOf(ctx, tx, sub.AccountID, sub.Provider, sub.Ref)
		if err != nil {
			return err
		}
		r := ReplayResult{Entries: len(entries)}
		if sub.Messages {
			err = s.replayMessage(ctx, tx, sub, entries, fix, &r)
		} else {
			err = s.replayCall(ctx, tx, k, sub, entries, fix, &r)
		}
		select {
		case <-one: // an earlier run that was undone
		default:
		}
		one <- r
		return err
	})
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	res.add(<-one)
	return nil
}

// holdSubject locks the row of a call or message, if it has one.
func holdSubject(ctx context.Context, tx *store.Tx, sub subject) error {
	query, id := `SELECT call_id FROM calls WHERE account_id = ? AND call_id = ?`, CallID(sub.Provider, sub.Ref)
	if sub.Messages {
		query, id = `SELECT message_id FROM messages WHERE account_id = ? AND message_id = ?`, MessageID(sub.Provider, sub.Ref)
	}
	var held []string
	if err := tx.Select(ctx, &held, query+tx.ForUpdate(), sub.AccountID, id); err != nil {
		return fmt.Errorf("lock the row: %w", err)
	}
	return nil
}

func (res *ReplayResult) add(r ReplayResult) {
	res.Calls += r.Calls
	res.Messages += r.Messages
	res.Entries += r.Entries
	res.Trimmed += r.Trimmed
	res.Fixed += r.Fixed
	res.Differents += len(r.Different)
	res.Different = append(res.Different, r.Different[:min(len(r.Different), max(0, maxDifferences-len(res.Different)))]...)
}

func (s *Switchboard) replayCall(ctx context.Context, tx *store.Tx, k keeper, sub subject, entries []Entry, fix bool, res *ReplayResult) error {
	events := s.read(entries)
	rebuilt := Fold(sub.AccountID, events)
	stored, err := readCall(ctx, tx, sub.AccountID, rebuilt.ID)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return err
	}
	lacking := stored.Events > rebuilt.Events
	if lacking && k.trimmed(stored.StartedAt) {
		res.Trimmed++
		return nil
	}
	res.Calls++
	res.Different = append(compareRows(sub.AccountID, rebuilt.ID, rowOf(stored), rowOf(rebuilt)), compareLegs(sub.AccountID, stored, rebuilt)...)
	missing, err := missingRecordings(ctx, tx, rebuilt, events)
	if err != nil {
		return err
	}
	res.Different = append(res.Different, missing...)
	if len(res.Different) == 0 || !fix || lacking {
		return nil // the row knows more than what is left of the journal
	}
	res.Fixed++
	if _, err := tx.Exec(ctx, `DELETE FROM legs WHERE account_id = ? AND call_id = ?`, sub.AccountID, rebuilt.ID); err != nil {
		return fmt.Errorf("rewrite the legs: %w", err)
	}
	_, err = s.refoldCall(ctx, tx, sub.AccountID, sub.Provider, sub.Ref, true, "")
	return err
}

func (s *Switchboard) replayMessage(ctx context.Context, tx *store.Tx, sub subject, entries []Entry, fix bool, res *ReplayResult) error {
	res.Messages++
	rebuilt := FoldMessage(sub.AccountID, s.read(entries))
	stored, err := readMessage(ctx, tx, sub.AccountID, rebuilt.ID)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return err
	}
	res.Different = compareRows(sub.AccountID, rebuilt.ID, stored, rebuilt)
	if len(res.Different) == 0 || !fix {
		return nil
	}
	res.Fixed++
	return s.refoldMessage(ctx, tx, sub.AccountID, sub.Provider, sub.Ref, true)
}

// missingRecordings compares what the events say of recordings with the rows.
// Only their presence is compared: what became of the media is not in the journal.
func missingRecordings(ctx context.Context, tx *store.Tx, call Call, events []Folded) ([]Difference, error) {
	told := foldMedia(events)
	if len(told) == 0 {
		return nil, nil
	}
	var have []string
	err := tx.Select(ctx, &have, `
		SELECT provider_ref FROM recordings WHERE account_id = ? AND call_id = ? AND provider = ?`, call.AccountID, call.ID, call.Provider)
	if err != nil {
		return nil, fmt.Errorf("read the recordings: %w", err)
	}
	var list []Difference
	for _, m := range told {
		if !slices.Contains(have, m.ref) {
			list = append(list, Difference{AccountID: call.AccountID, ID: call.ID, Field: "recording", Rebuilt: m.ref})
		}
	}
	return list, nil
}

func compareLegs(accountID string, stored, rebuilt Call) []Difference {
	have := map[string]Leg{}
	for _, leg := range stored.Legs {
		have[leg.Ref] = leg
	}
	var list []Difference
	for _, leg := range rebuilt.Legs {
		list = append(list, compareRows(accountID, rebuilt.ID, legText(have[leg.Ref]), legText(leg))...)
		delete(have, leg.Ref)
	}
	for ref := range have {
		list = append(list, Difference{AccountID: accountID, ID: rebuilt.ID, Field: "leg_ref", Stored: ref})
	}
	return list
}

// legText is a leg in the shape that compareRows compares.
func legText(l Leg) any {
	return struct {
		Leg string `db:"leg"`
	}{fmt.Sprintf("%s %s %s %s %s %s %s %s %d %s", l.Ref, l.Number, l.Status, show(l.InitiatedAt), show(l.RingingAt),
		show(l.AnsweredAt), show(l.EndedAt), show(l.TalkSeconds), l.Bridged, l.SIPCode)}
}

// compareRows compares two rows column by column. Clock columns are not part
// of them.
func compareRows(accountID, id string, stored, rebuilt any) []Difference {
	var list []Difference
	a, b := reflect.ValueOf(stored), reflect.ValueOf(rebuilt)
	for i := range a.NumField() {
		was, is := show(a.Field(i).Interface()), show(b.Field(i).Interface())
		if was != is {
			list = append(list, Difference{AccountID: accountID, ID: id, Field: a.Type().Field(i).Tag.Get("db"), Stored: was, Rebuilt: is})
		}
	}
	return list
}

// show writes a column's value as text; nil pointers and NULL instants are "".
func show(v any) string {
	if t, ok := v.(store.Time); ok {
		v = t.Ptr()
	}
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return ""
		}
		v = value.Elem().Interface()
	}
	return strings.TrimSpace(fmt.Sprint(v))
}
