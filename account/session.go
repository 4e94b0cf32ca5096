package account

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// A web session ends after IdleTimeout without a request, and after
// SessionLifetime whatever happens.
const (
	IdleTimeout     = 12 * time.Hour
	SessionLifetime = 7 * 24 * time.Hour
)

// touchEvery is how exactly the idle timeout is kept.
const touchEvery = 5 * time.Minute

// sweepBatch is how many rows one sweep step deletes at most.
const sweepBatch = 500

// sessionData is what a session remembers: who, and since when. A session
// library keeps a bag of values that any handler may change and writes it back
// at the end of each response; ours never changes after sign-in, so it is a row
// of its own, and the cookie is looked up by its hash, so that a stolen
// database holds no session.
type sessionData struct {
	UserID    string `json:"user_id"`
	CreatedAt int64  `json:"created_at"` // unix microseconds
}

// SignIn checks address and password as Authenticate does and begins a session;
// its token is the cookie's value. Every sign-in makes a new token: one that was
// planted before stays worthless.
func (d *Directory) SignIn(ctx context.Context, email, password string) (Identity, string, error) {
	u, err := d.Authenticate(ctx, email, password)
	if err != nil {
		return Identity{}, "", err
	}
	token := randomText(32)
	now := d.now()
	data, err := json.Marshal(sessionData{UserID: u.ID, CreatedAt: now.UnixMicro()})
	if err != nil {
		return Identity{}, "", fmt.Errorf("sign in: %w", err)
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO web_sessions (account_id, token, data, expires_at) VALUES (?, ?, ?, ?)`,
			u.AccountID, hashOf(token), data, store.Micros(now.Add(IdleTimeout)))
		if err != nil {
			return err
		}
		return Audit(ctx, tx, now, u.Identity(), "user.sign_in", u.ID, nil)
	})
	if err != nil {
		return Identity{}, "", fmt.Errorf("sign in: %w", err)
	}
	return u.Identity(), token, nil
}

// SignOut ends a session; an unknown one is no error.
func (d *Directory) SignOut(ctx context.Context, token string) error {
	s, err := d.session(ctx, token)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM web_sessions WHERE account_id = ? AND token = ?`, s.AccountID, hashOf(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// BySession returns who a session's token stands for and keeps the session
// alive. It fails with kind Forbidden for a token that is unknown or lapsed and
// for a user who was disabled.
func (d *Directory) BySession(ctx context.Context, token string) (Identity, error) {
	refused := callwheel.Errorf(callwheel.Forbidden, "the session has ended")
	if token == "" || len(token) > 100 {
		return Identity{}, refused
	}
	s, err := d.session(ctx, token)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return Identity{}, refused
	}
	if err != nil {
		return Identity{}, fmt.Errorf("check session: %w", err)
	}
	now := d.now()
	end := s.createdAt.Add(SessionLifetime)
	if !now.Before(s.expiresAt) || !now.Before(end) {
		return Identity{}, refused
	}
	u, _, err := selectUser(ctx, d.db, s.AccountID, s.userID, "")
	if callwheel.KindOf(err) == callwheel.NotFound || err == nil && u.DisabledAt != nil {
		return Identity{}, refused
	}
	if err != nil {
		return Identity{}, fmt.Errorf("check session: %w", err)
	}
	d.keepAlive(ctx, s, now)
	return u.Identity(), nil
}

type session struct {
	AccountID string     `db:"account_id"`
	Token     string     `db:"token"`
	Data      []byte     `db:"data"`
	ExpiresAt store.Time `db:"expires_at"`

	userID    string
	createdAt time.Time
	expiresAt time.Time
}

func (d *Directory) session(ctx context.Context, token string) (session, error) {
	var s session
	err := d.db.Get(ctx, &s, `SELECT account_id, token, data, expires_at FROM web_sessions WHERE token = ?`, hashOf(token))
	if err != nil {
		return session{}, err
	}
	var data sessionData
	if err := json.Unmarshal(s.Data, &data); err != nil {
		return session{}, fmt.Errorf("read session: %w", err)
	}
	s.userID, s.createdAt, s.expiresAt = data.UserID, store.FromMicros(data.CreatedAt), s.ExpiresAt.Time
	return s, nil
}

func (d *Directory) keepAlive(ctx context.Context, s session, now time.Time) {
	until := now.Add(IdleTimeout)
	if until.Sub(s.expiresAt) < touchEvery {
		return
	}
	d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { //nolint:errcheck // the session merely ends earlier
		_, err := tx.Exec(ctx, `UPDATE web_sessions SET expires_at = ? WHERE account_id = ? AND token = ?`,
			store.Micros(until), s.AccountID, s.Token)
		return err
	})
}

// deleteSessionsOf ends every session of a user. Sessions are few and the user
// is inside their data, so they are read and compared.
func deleteSessionsOf(ctx context.Context, tx *store.Tx, accountID, userID string) error {
	var rows []session
	if err := tx.Select(ctx, &rows, `SELECT account_id, token, data, expires_at FROM web_sessions WHERE account_id = ?`, accountID); err != nil {
		return err
	}
	for _, s := range rows {
		var data sessionData
		if json.Unmarshal(s.Data, &data) == nil && data.UserID != userID {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM web_sessions WHERE account_id = ? AND token = ?`, accountID, s.Token); err != nil {
			return err
		}
	}
	return nil
}

// Sweep deletes sessions that have ended and idempotency keys that are older
// than KeyLifetime, some hundred at a time. It is a background step.
func (d *Directory) Sweep(ctx context.Context, now time.Time) (int, error) {
	var done int64
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		sessions, err := tx.Exec(ctx, `
			DELETE FROM web_sessions
			WHERE token IN (SELECT token FROM web_sessions WHERE expires_at < ? LIMIT ?)`,
			store.Micros(now), sweepBatch)
		if err != nil {
			return err
		}
		keys, err := tx.Exec(ctx, `
			DELETE FROM idempotency_keys
			WHERE (account_id, key) IN (SELECT account_id, key FROM idempotency_keys WHERE created_at < ? LIMIT ?)`,
			store.Micros(now.Add(-KeyLifetime)), sweepBatch)
		done = sessions + keys
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sweep sessions and idempotency keys: %w", err)
	}
	return int(done), nil
}
