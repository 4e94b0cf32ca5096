package account

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// KeyLifetime is how long an idempotency key is remembered.
const KeyLifetime = 24 * time.Hour

// Answer is what was answered to the first request with a key.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// ClaimKey takes an idempotency key for a request, whose hash covers everything
// that makes it what it is (actor, method, path, body). It returns nil when the
// key is new: the caller does the work and then calls KeepAnswer or ReleaseKey.
// It returns the first answer when the same request was answered before.
//
// It fails with kind Invalid when the key was used for another request and with
// kind Conflict while the first request is still at work. That includes a
// request whose server was killed in the middle: nobody can know whether its
// work was done, so its key stays taken until it is forgotten.
func (d *Directory) ClaimKey(ctx context.Context, accountID, key, requestHash string) (*Answer, error) {
	var found *Answer
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found = nil
		now := d.now()
		// A key that is too old to count is taken over.
		n, err := tx.Exec(ctx, `
			INSERT INTO idempotency_keys (account_id, key, request_hash, status, created_at)
			VALUES (?, ?, ?, 0, ?)
			ON CONFLICT (account_id, key) DO UPDATE
			SET request_hash = excluded.request_hash, status = 0, header = '{}', body = NULL, created_at = excluded.created_at
			WHERE idempotency_keys.created_at < ?`,
			accountID, key, requestHash, store.Micros(now), store.Micros(now.Add(-KeyLifetime)))
		if err != nil || n > 0 {
			return err
		}
		var row struct {
			Hash   string `db:"request_hash"`
			Status int    `db:"status"`
			Header string `db:"header"`
			Body   []byte `db:"body"`
		}
		err = tx.Get(ctx, &row, `
			SELECT request_hash, status, header, body
			FROM idempotency_keys
			WHERE account_id = ? AND key = ?`, accountID, key)
		if err != nil {
			return err
		}
		if row.Hash != requestHash {
			return callwheel.InvalidField("Idempotency-Key", "was used for another request")
		}
		if row.Status == 0 {
			return callwheel.Errorf(callwheel.Conflict, "the first request with this Idempotency-Key has not been answered yet")
		}
		found = &Answer{Status: row.Status}
		if err := json.Unmarshal([]byte(row.Header), &found.Header); err != nil {
			return err
		}
		found.Body, err = d.sealer.open(sealContext(accountID, "answer\x00"+key), string(row.Body))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	return found, nil
}

// KeepAnswer remembers what the request that claimed the key was answered. The
// body is sealed: it may hold a token that is shown only once.
func (d *Directory) KeepAnswer(ctx context.Context, accountID, key string, a Answer) error {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	sealed := d.sealer.seal(sealContext(accountID, "answer\x00"+key), a.Body)
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE idempotency_keys SET status = ?, header = ?, body = ?
			WHERE account_id = ? AND key = ?`,
			a.Status, string(header), []byte(sealed), accountID, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return nil
}

// ReleaseKey gives a key back whose request changed nothing, so that it may be
// tried again.
func (d *Directory) ReleaseKey(ctx context.Context, accountID, key string) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE account_id = ? AND key = ? AND status = 0`, accountID, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("release idempotency key: %w", err)
	}
	return nil
}
