package telephony

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

// CallDetail is one call with everything this room knows of it.
type CallDetail struct {
	Call
	Recordings []Recording
	// PriorCalls is how many earlier calls of this caller the account had; nil
	// for a caller who is not identified.
	PriorCalls *int64
	// FirstTime says that there was none; nil for a caller who is not
	// identified: such callers are never first-time nor repeat.
	FirstTime *bool
	UpdatedAt time.Time
}

// CallChange is what changed of a call, for those who watch.
type CallChange struct {
	Call      Call // without legs
	UpdatedAt time.Time
}

// Calls reads calls. Only the switchboard writes them.
type Calls struct{ db *store.DB }

// NewCalls makes the value.
func NewCalls(db *store.DB) *Calls { return &Calls{db: db} }

// Get returns a call with its legs and recordings. It fails with kind NotFound.
func (c *Calls) Get(ctx context.Context, accountID, callID string) (CallDetail, error) {
	var d CallDetail
	var err error
	if d.Call, err = readCall(ctx, c.db, accountID, callID); err != nil {
		return CallDetail{}, err
	}
	if d.Recordings, err = recordingsOfCall(ctx, c.db, accountID, callID); err != nil {
		return CallDetail{}, fmt.Errorf("read the recordings: %w", err)
	}
	var updated store.Time
	err = c.db.Get(ctx, &updated, `SELECT updated_at FROM calls WHERE account_id = ? AND call_id = ?`, accountID, callID)
	if err != nil {
		return CallDetail{}, fmt.Errorf("read the call: %w", err)
	}
	d.UpdatedAt = updated.Time
	if d.From == "" {
		return d, nil
	}
	var prior int64
	err = c.db.Get(ctx, &prior, `
		SELECT count(call_id) FROM calls
		WHERE account_id = ? AND from_e164 = ? AND (started_at, call_id) < (CAST(? AS BIGINT), CAST(? AS TEXT))`,
		accountID, d.From, store.Micros(d.StartedAt), callID)
	if err != nil {
		return CallDetail{}, fmt.Errorf("count earlier calls: %w", err)
	}
	first := prior == 0
	d.PriorCalls, d.FirstTime = &prior, &first
	return d, nil
}

// Exists fails with kind NotFound when the account has no such call.
func (c *Calls) Exists(ctx context.Context, accountID, callID string) error {
	var one int64
	err := c.db.Get(ctx, &one, `SELECT 1 FROM calls WHERE account_id = ? AND call_id = ?`, accountID, callID)
	if err != nil {
		return fmt.Errorf("find the call: %w", err)
	}
	return nil
}

// Events returns every provider request about a call as it was received, in the
// order of arrival. It fails with kind NotFound.
func (c *Calls) Events(ctx context.Context, accountID, callID string) ([]Entry, error) {
	var ref struct {
		Provider string `db:"provider"`
		Ref      string `db:"provider_call_id"`
	}
	err := c.db.Get(ctx, &ref, `
		SELECT provider, provider_call_id FROM calls WHERE account_id = ? AND call_id = ?`, accountID, callID)
	if err != nil {
		return nil, fmt.Errorf("find the call: %w", err)
	}
	list := []Entry{}
	err = c.db.Select(ctx, &list, `
		SELECT `+entryColumns+` FROM journal
		WHERE account_id = ? AND provider = ? AND call_ref = ?
		ORDER BY received_at, entry_id`, accountID, ref.Provider, ref.Ref)
	if err != nil {
		return nil, fmt.Errorf("read the requests of a call: %w", err)
	}
	return list, nil
}

// Changed returns calls whose row changed at since or later, oldest change
// first and at most limit: whoever watches asks again from the last one's
// moment and passes over what it has seen.
func (c *Calls) Changed(ctx context.Context, accountID string, since time.Time, limit int) ([]CallChange, error) {
	var rows []struct {
		storedCall
		UpdatedAt store.Time `db:"updated_at"`
	}
	err := c.db.Select(ctx, &rows, `
		SELECT `+storedCallColumns+`, updated_at FROM calls
		WHERE account_id = ? AND updated_at >= ?
		ORDER BY updated_at, call_id
		LIMIT ?`, accountID, store.Micros(since), limit)
	if err != nil {
		return nil, fmt.Errorf("read changed calls: %w", err)
	}
	list := make([]CallChange, 0, len(rows))
	for _, r := range rows {
		list = append(list, CallChange{Call: r.call(), UpdatedAt: r.UpdatedAt.Time})
	}
	return list, nil
}
