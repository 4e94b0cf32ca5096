package telephony

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Entry is one provider request as it is kept: what came, what we decided, and
// what we answered. Everything else about calls and messages can be rebuilt
// from entries.
type Entry struct {
	AccountID   string     `db:"account_id"` // "" while nobody could tell whose it is
	ID          string     `db:"entry_id"`
	Provider    string     `db:"provider"`
	Key         string     `db:"key"`
	Door        Door       `db:"door"`
	CallRef     string     `db:"call_ref"`
	ReceivedAt  store.Time `db:"received_at"`
	Target      string     `db:"target"`
	ContentType string     `db:"content_type"`
	Body        []byte     `db:"body"`
	Decision    string     `db:"decision"` // JSON of Decision
	Answer      string     `db:"answer"`
}

const entryColumns = `account_id, entry_id, provider, key, door, call_ref, received_at, target, content_type, body, decision, answer`

// newEntry makes the row of a request. Columns of the journal that are text
// hold only what both databases can hold; the body is kept byte for byte.
func newEntry(accountID, key string, r Request, e Event, d Decision, answer []byte) Entry {
	decision, _ := json.Marshal(d) //nolint:errcheck // a Decision is plain data
	body := r.Body
	if body == nil {
		body = []byte{}
	}
	return Entry{
		AccountID: accountID, ID: callwheel.DerivedID("evt", e.Provider, key),
		Provider: e.Provider, Key: key, Door: r.Door, CallRef: e.CallRef,
		ReceivedAt: store.At(r.ReceivedAt), Target: columnText(r.Target), ContentType: columnText(r.ContentType),
		Body: body, Decision: string(decision), Answer: columnText(string(answer)),
	}
}

// columnText makes a stranger's text fit for a TEXT column of either database:
// PostgreSQL refuses NUL and broken UTF-8.
func columnText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// request gives the entry back as it came.
func (en Entry) request() Request {
	return Request{
		Door: en.Door, Target: en.Target, ContentType: en.ContentType,
		Body: en.Body, ReceivedAt: en.ReceivedAt.Time,
	}
}

// insertEntry keeps the entry and says whether it was new. A duplicate changes
// nothing.
func insertEntry(ctx context.Context, tx *store.Tx, en Entry) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO journal (`+entryColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		en.AccountID, en.ID, en.Provider, en.Key, en.Door, en.CallRef, en.ReceivedAt,
		en.Target, en.ContentType, en.Body, en.Decision, en.Answer)
	if err != nil {
		return false, fmt.Errorf("keep the request: %w", err)
	}
	return n == 1, nil
}

// givenAnswer returns what was answered to the request with this key.
func givenAnswer(ctx context.Context, q store.Querier, provider, key string) (string, error) {
	var answer string
	err := q.Get(ctx, &answer, `SELECT answer FROM journal WHERE provider = ? AND key = ?`, provider, key)
	if err != nil {
		return "", fmt.Errorf("read the answer given before: %w", err)
	}
	return answer, nil
}

// lowerReceipt is for an entry that is there already and was received earlier
// than its row says: the first receipt counts. It returns whose it is, and
// whether anything changed.
func lowerReceipt(ctx context.Context, tx *store.Tx, en Entry) (accountID string, lowered bool, err error) {
	var owners []string
	err = tx.Select(ctx, &owners, `
		UPDATE journal SET received_at = ?
		WHERE provider = ? AND key = ? AND received_at > ?
		RETURNING account_id`, en.ReceivedAt, en.Provider, en.Key, en.ReceivedAt)
	if err != nil {
		return "", false, fmt.Errorf("note the first receipt: %w", err)
	}
	if len(owners) == 0 {
		return "", false, nil
	}
	return owners[0], true, nil
}

// entriesOf returns every entry of one call or message, without its answer and
// in no particular order: the fold needs neither.
func entriesOf(ctx context.Context, q store.Querier, accountID, provider, ref string) ([]Entry, error) {
	var list []Entry
	err := q.Select(ctx, &list, `
		SELECT account_id, provider, key, door, call_ref, received_at, target, content_type, body, decision
		FROM journal
		WHERE account_id = ? AND provider = ? AND call_ref = ?`, accountID, provider, ref)
	if err != nil {
		return nil, fmt.Errorf("read the requests of a call: %w", err)
	}
	return list, nil
}

// adopt gives the entries that were parked without an account to the account
// that turned out to be the call's, and says whether there were any.
func adopt(ctx context.Context, tx *store.Tx, accountID, provider, ref string) (bool, error) {
	n, err := tx.Exec(ctx, `
		UPDATE journal SET account_id = ?
		WHERE account_id = '' AND provider = ? AND call_ref = ?`, accountID, provider, ref)
	if err != nil {
		return false, fmt.Errorf("adopt the parked requests of a call: %w", err)
	}
	return n > 0, nil
}

// read reads the entries in the language of their provider.
func (s *Switchboard) read(entries []Entry) []Folded {
	list := make([]Folded, 0, len(entries))
	for _, en := range entries {
		f := Folded{Event: s.parseEntry(en)}
		f.Key = en.Key
		// A decision that cannot be read says nothing, which the fold can bear.
		json.Unmarshal([]byte(en.Decision), &f.Decision) //nolint:errcheck // see above
		list = append(list, f)
	}
	return list
}

func (s *Switchboard) parseEntry(en Entry) Event {
	if en.Door == DoorReconcile || en.Door == DoorImport {
		return readOwn(en)
	}
	p, ok := s.deps.Providers[en.Provider]
	if !ok {
		return Event{
			Provider: en.Provider, Door: en.Door, CallRef: en.CallRef, ReceivedAt: en.ReceivedAt.Time,
			Sequence: -1, Seconds: -1, DialSeconds: -1, RecordingSeconds: -1, Flags: []string{"unknown_provider"},
		}
	}
	return safeParse(p, en.request())
}

// ownType marks the entries whose facts we asked for ourselves; they are kept
// as our own JSON.
const ownType = "application/vnd.callwheel.event+json"

// readOwn reads an entry that Learn wrote.
func readOwn(en Entry) Event {
	e := Event{Sequence: -1, Seconds: -1, DialSeconds: -1, RecordingSeconds: -1}
	if err := json.Unmarshal(en.Body, &e); err != nil {
		e.Flags = append(e.Flags, "bad_body")
	}
	e.Provider, e.Door, e.CallRef, e.ReceivedAt = en.Provider, en.Door, en.CallRef, en.ReceivedAt.Time
	return e
}

// parkedDays is how long an entry waits for the call that tells whose it is.
const parkedDays = 30

// Trim deletes, for every account, journal entries older than its retention,
// and parked ones that nobody came for: one bounded batch of each. Rows folded
// from them stay; Replay leaves those alone.
func (s *Switchboard) Trim(ctx context.Context, now time.Time) (int, error) {
	type retention struct {
		ID   string `db:"account_id"`
		Days int64  `db:"journal_retention_days"`
	}
	var accounts []retention
	if err := s.db.Select(ctx, &accounts, `SELECT account_id, journal_retention_days FROM accounts WHERE journal_retention_days > 0`); err != nil {
		return 0, fmt.Errorf("trim the journal: %w", err)
	}
	done := 0
	for _, a := range append(accounts, retention{ID: "", Days: parkedDays}) {
		before := now.AddDate(0, 0, -int(a.Days))
		err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.Exec(ctx, `
				DELETE FROM journal
				WHERE account_id = ? AND entry_id IN (
					SELECT entry_id FROM journal WHERE account_id = ? AND received_at < ? ORDER BY received_at LIMIT 1000)`,
				a.ID, a.ID, store.Micros(before))
			done += int(n)
			return err
		})
		if err != nil {
			return done, fmt.Errorf("trim the journal: %w", err)
		}
	}
	return done, nil
}
