package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// tokenMark begins every token, so that people and secret scanners recognise
// one that lies about.
const tokenMark = "cw_"

// lastUsedEvery is how exactly LastUsedAt is kept: a write per request would
// make every read a write.
const lastUsedEvery = time.Minute

// Token is a credential for a program. The token's text itself is shown once,
// when it is made; only its SHA-256 is kept. It has 256 random bits, so no slow
// hash is needed.
type Token struct {
	ID         string
	AccountID  string
	Name       string
	Prefix     string // the first characters, to recognise it by
	Role       Role
	AgentID    string
	CreatedBy  string // user_…, token_… or "operator"
	RootUser   string // the person at the beginning of its chain of makers, "" when that is the operator
	CreatedAt  time.Time
	LastUsedAt *time.Time // to the minute
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
}

// TokenParams is what a token is made of. ExpiresAt nil: never, or with the
// token that makes it.
type TokenParams struct {
	Name      string
	Role      Role
	AgentID   string
	ExpiresAt *time.Time
}

// CreateToken makes a token in who's account and returns it with its text,
// which cannot be had again. A token that another token makes hangs on it: it
// ends with it, and stands for the same person. It fails with kind Forbidden when
// the role is above who's own, and with kind Invalid when it would outlive the
// token that makes it.
func (d *Directory) CreateToken(ctx context.Context, who Identity, p TokenParams) (Token, string, error) {
	text := tokenMark + randomText(32)
	t := Token{
		ID:        callwheel.NewID("token"),
		AccountID: who.AccountID,
		Name:      strings.TrimSpace(p.Name),
		Prefix:    text[:len(tokenMark)+5],
		Role:      p.Role,
		AgentID:   p.AgentID,
		CreatedBy: who.Actor,
		CreatedAt: store.At(d.now()).Time,
		ExpiresAt: store.AtPtr(p.ExpiresAt).Ptr(),
	}
	if err := t.validate(); err != nil {
		return Token{}, "", err
	}
	if !who.Role.Covers(t.Role) {
		return Token{}, "", callwheel.Errorf(callwheel.Forbidden, "nobody gives away a role above their own")
	}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := d.descend(ctx, tx, who, &t); err != nil {
			return err
		}
		if err := insertToken(ctx, tx, t, hashOf(text)); err != nil {
			return err
		}
		return Audit(ctx, tx, d.now(), who, "token.create", t.ID, map[string]any{"role": t.Role})
	})
	if err != nil {
		return Token{}, "", fmt.Errorf("create token: %w", err)
	}
	return t, text, nil
}

// descend hangs a new token on who makes it. The account's row is locked first:
// a token must not be made with one that is being revoked.
func (d *Directory) descend(ctx context.Context, tx *store.Tx, who Identity, t *Token) error {
	if _, err := selectAccount(ctx, tx, who.AccountID, tx.ForUpdate()); err != nil {
		return err
	}
	if who.Actor == operator {
		t.RootUser = ""
		return nil
	}
	parent, err := selectToken(ctx, tx, who.AccountID, who.Actor)
	if callwheel.KindOf(err) == callwheel.NotFound {
		t.RootUser = who.Actor
		return nil
	}
	if err != nil {
		return err
	}
	if parent.RevokedAt != nil {
		return callwheel.Errorf(callwheel.Forbidden, "the token that asks was revoked")
	}
	if t.ExpiresAt == nil {
		t.ExpiresAt = parent.ExpiresAt
	}
	if parent.ExpiresAt != nil && t.ExpiresAt.After(*parent.ExpiresAt) {
		return callwheel.InvalidField("expires_at", "must not be after the end of the token that makes it")
	}
	t.RootUser = parent.RootUser
	return nil
}

func (t Token) validate() error {
	var bad []callwheel.FieldError
	if !isName(t.Name) {
		bad = append(bad, callwheel.FieldError{Field: "name", Message: "must have 1 to 200 visible characters"})
	}
	if !t.Role.Known() {
		bad = append(bad, callwheel.FieldError{Field: "role", Message: "must be one of owner, admin, manager, agent, marketer, read-only"})
	}
	if t.ExpiresAt != nil && !t.ExpiresAt.After(t.CreatedAt) {
		bad = append(bad, callwheel.FieldError{Field: "expires_at", Message: "must be in the future"})
	}
	return callwheel.InvalidFields(bad)
}

// GetToken returns a token of the account, or fails with kind NotFound.
func (d *Directory) GetToken(ctx context.Context, accountID, tokenID string) (Token, error) {
	t, err := selectToken(ctx, d.db, accountID, tokenID)
	if err != nil {
		return Token{}, fmt.Errorf("get token: %w", err)
	}
	return t, nil
}

// Tokens lists the account's tokens with ids above after, also the revoked
// ones, in the order in which they were made.
func (d *Directory) Tokens(ctx context.Context, accountID, after string, limit int) ([]Token, error) {
	list, err := selectTokens(ctx, d.db, accountID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// RevokeToken ends a token at once, with every token that was made with it;
// doing it again changes nothing.
func (d *Directory) RevokeToken(ctx context.Context, who Identity, tokenID string) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// See descend for the lock.
		if _, err := selectAccount(ctx, tx, who.AccountID, tx.ForUpdate()); err != nil {
			return err
		}
		t, err := selectToken(ctx, tx, who.AccountID, tokenID)
		if err != nil {
			return err
		}
		if !who.Role.Covers(t.Role) {
			return callwheel.Errorf(callwheel.Forbidden, "nobody revokes a token above their own role")
		}
		n, err := revokeChain(ctx, tx, who.AccountID, tokenID, store.At(d.now()))
		if err != nil || n == 0 {
			return err
		}
		return Audit(ctx, tx, d.now(), who, "token.revoke", tokenID, map[string]any{"tokens": n})
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// ByToken returns who a token stands for. It fails with kind Forbidden for a
// token that is unknown, expired or revoked, and when the person at the beginning
// of its chain of makers was disabled or has a role below the token's by now.
func (d *Directory) ByToken(ctx context.Context, text string) (Identity, error) {
	refused := callwheel.Errorf(callwheel.Forbidden, "the token is not valid")
	if !strings.HasPrefix(text, tokenMark) || len(text) > 200 {
		return Identity{}, refused
	}
	t, root, err := selectTokenByHash(ctx, d.db, hashOf(text))
	if callwheel.KindOf(err) == callwheel.NotFound {
		return Identity{}, refused
	}
	if err != nil {
		return Identity{}, fmt.Errorf("check token: %w", err)
	}
	now := d.now()
	if t.RevokedAt != nil || t.ExpiresAt != nil && !now.Before(*t.ExpiresAt) {
		return Identity{}, refused
	}
	if root != nil && (root.disabled || !root.role.Covers(t.Role)) {
		return Identity{}, refused
	}
	d.noteUse(ctx, t, now)
	return Identity{AccountID: t.AccountID, Actor: t.ID, Role: t.Role, AgentID: t.AgentID}, nil
}

// noteUse keeps when the token was last used, to the minute. A request is not
// refused because this could not be written.
func (d *Directory) noteUse(ctx context.Context, t Token, now time.Time) {
	if t.LastUsedAt != nil && now.Sub(*t.LastUsedAt) < lastUsedEvery && !now.Before(*t.LastUsedAt) {
		return
	}
	d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { //nolint:errcheck // a convenience, see above
		_, err := tx.Exec(ctx, `UPDATE tokens SET last_used_at = ? WHERE account_id = ? AND token_id = ?`,
			store.Micros(now), t.AccountID, t.ID)
		return err
	})
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
