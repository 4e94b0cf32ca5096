package account

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// User is a person who signs in. A user belongs to one account; the e-mail
// address is theirs alone in the whole installation.
type User struct {
	ID         string
	AccountID  string
	Email      string // lower case
	Name       string
	Role       Role
	AgentID    string // the agent this person is, "" for none
	DisabledAt *time.Time
	Version    int64 // grows with every change; what If-Match speaks of
	CreatedAt  time.Time
}

// Identity returns who this user is to the doors.
func (u User) Identity() Identity {
	return Identity{AccountID: u.AccountID, Actor: u.ID, Role: u.Role, AgentID: u.AgentID}
}

// UserParams is what a user is made of.
type UserParams struct {
	Email    string
	Name     string
	Password string
	Role     Role
	AgentID  string
}

// UserChange is a change of the fields that are not nil.
type UserChange struct {
	Name     *string
	Password *string
	Role     *Role
	AgentID  *string
	Disabled *bool
}

// The limits of a password, in characters and bytes. Long ones are refused
// before any hashing: hashing a megabyte is a way to stop a server.
const (
	minPasswordRunes = 10
	maxPasswordBytes = 256
)

// passwordParams are OWASP's for argon2id: 19 MiB, two passes.
var passwordParams = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// decoyHash is a hash of a password that nobody knows. It is compared with when
// an address is unknown, so that the answer takes as long.
const decoyHash = "$argon2id$v=19$m=19456,t=2,p=1$Y2FsbHdoZWVsLWRlY295IQ$0zpfmVWZVn2Vv3KvVSz3OSGlWNhRfr4dxkYP5jZoOoQ"

// CreateUser makes a user in who's account. It fails with kind Invalid for bad
// fields, Forbidden when the role is above who's own, and Conflict when the
// address is taken.
func (d *Directory) CreateUser(ctx context.Context, who Identity, p UserParams) (User, error) {
	u := User{
		ID:        callwheel.NewID("user"),
		AccountID: who.AccountID,
		Name:      strings.TrimSpace(p.Name),
		Role:      p.Role,
		AgentID:   p.AgentID,
		Version:   1,
		CreatedAt: store.At(d.now()).Time,
	}
	var err error
	if u.Email, err = normalEmail(p.Email); err != nil {
		return User{}, err
	}
	if err := u.validate(); err != nil {
		return User{}, err
	}
	if err := checkPassword(p.Password); err != nil {
		return User{}, err
	}
	if !who.Role.Covers(u.Role) {
		return User{}, callwheel.Errorf(callwheel.Forbidden, "nobody gives away a role above their own")
	}
	hash, err := d.hash(ctx, p.Password)
	if err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := insertUser(ctx, tx, u, hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return callwheel.Errorf(callwheel.Conflict, "a user with this e-mail address exists already")
		}
		return Audit(ctx, tx, d.now(), who, "user.create", u.ID, map[string]any{"role": u.Role})
	})
	if err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	return u, nil
}

// GetUser returns a user of the account, or fails with kind NotFound.
func (d *Directory) GetUser(ctx context.Context, accountID, userID string) (User, error) {
	u, _, err := selectUser(ctx, d.db, accountID, userID, "")
	if err != nil {
		return User{}, fmt.Errorf("get user: %w", err)
	}
	return u, nil
}

// Users lists the account's users with ids above after, in the order in which
// they were made.
func (d *Directory) Users(ctx context.Context, accountID, after string, limit int) ([]User, error) {
	list, err := selectUsers(ctx, d.db, accountID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return list, nil
}

// UpdateUser changes a user. A new password, another role and disabling end
// the user's web sessions. It fails with kind Forbidden when who's role does
// not cover the user's old and new role, with kind Conflict when the account
// would be left without an owner or admin, and with ifVersion with kind Stale
// when the user has another version by now.
func (d *Directory) UpdateUser(ctx context.Context, who Identity, userID string, ch UserChange, ifVersion *int64) (User, error) {
	newHash := ""
	if ch.Password != nil {
		if err := checkPassword(*ch.Password); err != nil {
			return User{}, err
		}
		var err error
		if newHash, err = d.hash(ctx, *ch.Password); err != nil {
			return User{}, fmt.Errorf("update user: %w", err)
		}
	}
	var u User
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The account's row is locked first: two admins who disable each other
		// at once must not both succeed.
		if _, err := selectAccount(ctx, tx, who.AccountID, tx.ForUpdate()); err != nil {
			return err
		}
		old, hash, err := selectUser(ctx, tx, who.AccountID, userID, tx.ForUpdate())
		if err != nil {
			return err
		}
		if ifVersion != nil && *ifVersion != old.Version {
			return callwheel.Errorf(callwheel.Stale, "the user was changed by somebody else")
		}
		u = old
		changed := ch.apply(&u, d.now())
		if newHash != "" {
			hash, changed = newHash, append(changed, "password")
		}
		if len(changed) == 0 {
			return nil
		}
		if err := u.validate(); err != nil {
			return err
		}
		if !who.Role.Covers(old.Role) || !who.Role.Covers(u.Role) {
			return callwheel.Errorf(callwheel.Forbidden, "nobody changes a user above their own role")
		}
		u.Version++
		if err := updateUser(ctx, tx, u, hash); err != nil {
			return err
		}
		if err := requireAdmin(ctx, tx, who.AccountID, old, u); err != nil {
			return err
		}
		if newHash != "" || u.Role != old.Role || u.DisabledAt != nil {
			if err := deleteSessionsOf(ctx, tx, who.AccountID, u.ID); err != nil {
				return err
			}
		}
		return Audit(ctx, tx, d.now(), who, "user.update", u.ID, map[string]any{"fields": changed})
	})
	if err != nil {
		return User{}, fmt.Errorf("update user: %w", err)
	}
	return u, nil
}

func (ch UserChange) apply(u *User, now time.Time) []string {
	var changed []string
	if ch.Name != nil && strings.TrimSpace(*ch.Name) != u.Name {
		u.Name, changed = strings.TrimSpace(*ch.Name), append(changed, "name")
	}
	if ch.Role != nil && *ch.Role != u.Role {
		u.Role, changed = *ch.Role, append(changed, "role")
	}
	if ch.AgentID != nil && *ch.AgentID != u.AgentID {
		u.AgentID, changed = *ch.AgentID, append(changed, "agent_id")
	}
	if ch.Disabled != nil && *ch.Disabled != (u.DisabledAt != nil) {
		u.DisabledAt, changed = nil, append(changed, "disabled")
		if *ch.Disabled {
			u.DisabledAt = store.At(now).Ptr()
		}
	}
	return changed
}

// requireAdmin refuses the change that takes the last owner or admin away.
func requireAdmin(ctx context.Context, tx *store.Tx, accountID string, old, changed User) error {
	if !isAdmin(old) || isAdmin(changed) {
		return nil
	}
	var left int
	err := tx.Get(ctx, &left, `
		SELECT count(*) FROM users
		WHERE account_id = ? AND disabled_at IS NULL AND role IN ('owner', 'admin')`, accountID)
	if err != nil {
		return err
	}
	if left == 0 {
		return callwheel.Errorf(callwheel.Conflict, "this is the account's last owner or admin")
	}
	return nil
}

func isAdmin(u User) bool { return u.DisabledAt == nil && (u.Role == Owner || u.Role == Admin) }

func (u User) validate() error {
	var bad []callwheel.FieldError
	if !isName(u.Name) {
		bad = append(bad, callwheel.FieldError{Field: "name", Message: "must have 1 to 200 visible characters"})
	}
	if !u.Role.Known() {
		bad = append(bad, callwheel.FieldError{Field: "role", Message: "must be one of owner, admin, manager, agent, marketer, read-only"})
	}
	if len(u.AgentID) > 100 {
		bad = append(bad, callwheel.FieldError{Field: "agent_id", Message: "is too long"})
	}
	return callwheel.InvalidFields(bad)
}

// normalEmail returns the address in lower case, or fails with kind Invalid.
func normalEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	refused := callwheel.InvalidField("email", "must be an e-mail address such as ana@shop.example")
	if len(text) > 254 || strings.ContainsAny(text, "\r\n\x00 \t<>\"") || !utf8.ValidString(text) {
		return "", refused
	}
	addr, err := mail.ParseAddress(text)
	if err != nil || addr.Address != text {
		return "", refused
	}
	return strings.ToLower(text), nil
}

func checkPassword(password string) error {
	if len(password) > maxPasswordBytes {
		return callwheel.InvalidField("password", "must not be longer than %d bytes", maxPasswordBytes)
	}
	if !utf8.ValidString(password) || utf8.RuneCountInString(password) < minPasswordRunes {
		return callwheel.InvalidField("password", "must have at least %d characters", minPasswordRunes)
	}
	return nil
}

// hash and matches take one of two places first: twenty people who sign in at
// once would otherwise need 380 MiB.
func (d *Directory) hash(ctx context.Context, password string) (string, error) {
	leave, err := d.enterHashing(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(password, passwordParams)
}

func (d *Directory) matches(ctx context.Context, password, hash string) (bool, error) {
	leave, err := d.enterHashing(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	return argon2id.ComparePasswordAndHash(password, hash)
}

func (d *Directory) enterHashing(ctx context.Context) (leave func(), err error) {
	select {
	case d.hashing <- struct{}{}:
		return func() { <-d.hashing }, nil
	case <-ctx.Done():
		return nil, &callwheel.Error{Kind: callwheel.Unavailable, Message: "too many people are signing in", Err: ctx.Err()}
	}
}

// Authenticate returns the user whose address and password these are. It fails
// with kind Forbidden, always with the same text and after the same work, for an
// unknown address, a wrong password and a disabled user.
func (d *Directory) Authenticate(ctx context.Context, email, password string) (User, error) {
	refused := callwheel.Errorf(callwheel.Forbidden, "the e-mail address or the password is wrong")
	if len(password) > maxPasswordBytes {
		return User{}, refused
	}
	u, hash, err := d.userByEmail(ctx, email)
	if err != nil {
		return User{}, fmt.Errorf("sign in: %w", err)
	}
	ok, err := d.matches(ctx, password, hash)
	if err != nil {
		return User{}, fmt.Errorf("sign in: %w", err)
	}
	if !ok || u.ID == "" || u.DisabledAt != nil {
		return User{}, refused
	}
	return u, nil
}

// userByEmail returns a zero User and the decoy's hash for an unknown address.
func (d *Directory) userByEmail(ctx context.Context, text string) (User, string, error) {
	email, err := normalEmail(text)
	if err != nil {
		email = ""
	}
	u, hash, err := selectUserByEmail(ctx, d.db, email)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return User{}, decoyHash, nil
	}
	return u, hash, err
}
