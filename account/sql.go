package account

import (
	"context"

	"github.com/callwheel/callwheel/store"
)

const accountColumns = `
	account_id, name, tz, currency, margin_ppm, destination, recording_policy,
	recording_retention_days, journal_retention_days, provider_account, version, created_at`

type accountRow struct {
	ID                     string     `db:"account_id"`
	Name                   string     `db:"name"`
	TZ                     string     `db:"tz"`
	Currency               string     `db:"currency"`
	MarginPPM              *int64     `db:"margin_ppm"`
	Destination            string     `db:"destination"`
	RecordingPolicy        string     `db:"recording_policy"`
	RecordingRetentionDays int64      `db:"recording_retention_days"`
	JournalRetentionDays   int64      `db:"journal_retention_days"`
	ProviderAccount        string     `db:"provider_account"`
	Version                int64      `db:"version"`
	CreatedAt              store.Time `db:"created_at"`
}

func (r accountRow) account() Account {
	return Account{
		ID:                     r.ID,
		Name:                   r.Name,
		TZ:                     r.TZ,
		Currency:               r.Currency,
		MarginPPM:              r.MarginPPM,
		Destination:            r.Destination,
		RecordingPolicy:        r.RecordingPolicy,
		RecordingRetentionDays: r.RecordingRetentionDays,
		JournalRetentionDays:   r.JournalRetentionDays,
		ProviderAccount:        r.ProviderAccount,
		Version:                r.Version,
		CreatedAt:              r.CreatedAt.Time,
	}
}

func selectAccount(ctx context.Context, q store.Querier, accountID, lock string) (Account, error) {
	var r accountRow
	err := q.Get(ctx, &r, `SELECT`+accountColumns+` FROM accounts WHERE account_id = ?`+lock, accountID)
	return r.account(), err
}

func selectAccounts(ctx context.Context, q store.Querier) ([]Account, error) {
	var rows []accountRow
	if err := q.Select(ctx, &rows, `SELECT`+accountColumns+` FROM accounts ORDER BY created_at, account_id`); err != nil {
		return nil, err
	}
	list := make([]Account, len(rows))
	for i, r := range rows {
		list[i] = r.account()
	}
	return list, nil
}

func insertAccount(ctx context.Context, tx *store.Tx, a Account) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO accounts (account_id, name, tz, currency, margin_ppm, destination, recording_policy,
			recording_retention_days, journal_retention_days, version, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.Name, a.TZ, a.Currency, a.MarginPPM, a.Destination, a.RecordingPolicy,
		a.RecordingRetentionDays, a.JournalRetentionDays, a.Version, store.Micros(a.CreatedAt))
	return err
}

func updateAccount(ctx context.Context, tx *store.Tx, a Account) error {
	_, err := tx.Exec(ctx, `
		UPDATE accounts
		SET name = ?, tz = ?, currency = ?, margin_ppm = ?, destination = ?, recording_policy = ?,
			recording_retention_days = ?, journal_retention_days = ?, version = ?
		WHERE account_id = ?`,
		a.Name, a.TZ, a.Currency, a.MarginPPM, a.Destination, a.RecordingPolicy,
		a.RecordingRetentionDays, a.JournalRetentionDays, a.Version, a.ID)
	return err
}

const userColumns = ` account_id, user_id, email, name, password_hash, role, agent_id, disabled_at, version, created_at`

type userRow struct {
	AccountID    string     `db:"account_id"`
	ID           string     `db:"user_id"`
	Email        string     `db:"email"`
	Name         string     `db:"name"`
	PasswordHash string     `db:"password_hash"`
	Role         string     `db:"role"`
	AgentID      string     `db:"agent_id"`
	DisabledAt   store.Time `db:"disabled_at"`
	Version      int64      `db:"version"`
	CreatedAt    store.Time `db:"created_at"`
}

func (r userRow) user() User {
	return User{
		ID:         r.ID,
		AccountID:  r.AccountID,
		Email:      r.Email,
		Name:       r.Name,
		Role:       Role(r.Role),
		AgentID:    r.AgentID,
		DisabledAt: r.DisabledAt.Ptr(),
		Version:    r.Version,
		CreatedAt:  r.CreatedAt.Time,
	}
}

func selectUser(ctx context.Context, q store.Querier, accountID, userID, lock string) (User, string, error) {
	var r userRow
	err := q.Get(ctx, &r, `SELECT`+userColumns+` FROM users WHERE account_id = ? AND user_id = ?`+lock, accountID, userID)
	return r.user(), r.PasswordHash, err
}

// selectUserByEmail is how an account is found at sign-in: the one statement on
// users that cannot name it.
func selectUserByEmail(ctx context.Context, q store.Querier, email string) (User, string, error) {
	var r userRow
	err := q.Get(ctx, &r, `SELECT`+userColumns+` FROM users WHERE email = ?`, email)
	return r.user(), r.PasswordHash, err
}

func selectUsers(ctx context.Context, q store.Querier, accountID, after string, limit int) ([]User, error) {
	var rows []userRow
	err := q.Select(ctx, &rows, `SELECT`+userColumns+`
		FROM users
		WHERE account_id = ? AND user_id > ?
		ORDER BY user_id
		LIMIT ?`, accountID, after, limit)
	list := make([]User, len(rows))
	for i, r := range rows {
		list[i] = r.user()
	}
	return list, err
}

func insertUser(ctx context.Context, tx *store.Tx, u User, hash string) (int64, error) {
	return tx.Exec(ctx, `
		INSERT INTO users (account_id, user_id, email, name, password_hash, role, agent_id, version, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (email) DO NOTHING`,
		u.AccountID, u.ID, u.Email, u.Name, hash, string(u.Role), u.AgentID, u.Version, store.Micros(u.CreatedAt))
}

func updateUser(ctx context.Context, tx *store.Tx, u User, hash string) error {
	_, err := tx.Exec(ctx, `
		UPDATE users
		SET name = ?, password_hash = ?, role = ?, agent_id = ?, disabled_at = ?, version = ?
		WHERE account_id = ? AND user_id = ?`,
		u.Name, hash, string(u.Role), u.AgentID, store.AtPtr(u.DisabledAt), u.Version, u.AccountID, u.ID)
	return err
}

const tokenColumns = `
	t.account_id, t.token_id, t.name, t.prefix, t.role, t.agent_id, t.created_by, t.root_user, t.created_at,
	t.last_used_at, t.expires_at, t.revoked_at`

type tokenRow struct {
	AccountID  string     `db:"account_id"`
	ID         string     `db:"token_id"`
	Name       string     `db:"name"`
	Prefix     string     `db:"prefix"`
	Role       string     `db:"role"`
	AgentID    string     `db:"agent_id"`
	CreatedBy  string     `db:"created_by"`
	RootUser   string     `db:"root_user"`
	CreatedAt  store.Time `db:"created_at"`
	LastUsedAt store.Time `db:"last_used_at"`
	ExpiresAt  store.Time `db:"expires_at"`
	RevokedAt  store.Time `db:"revoked_at"`
}

func (r tokenRow) token() Token {
	return Token{
		ID:         r.ID,
		AccountID:  r.AccountID,
		Name:       r.Name,
		Prefix:     r.Prefix,
		Role:       Role(r.Role),
		AgentID:    r.AgentID,
		CreatedBy:  r.CreatedBy,
		RootUser:   r.RootUser,
		CreatedAt:  r.CreatedAt.Time,
		LastUsedAt: r.LastUsedAt.Ptr(),
		ExpiresAt:  r.ExpiresAt.Ptr(),
		RevokedAt:  r.RevokedAt.Ptr(),
	}
}

func insertToken(ctx context.Context, tx *store.Tx, t Token, hash string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO tokens (account_id, token_id, name, prefix, hash, role, agent_id, created_by, root_user, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.AccountID, t.ID, t.Name, t.Prefix, hash, string(t.Role), t.AgentID, t.CreatedBy, t.RootUser,
		store.Micros(t.CreatedAt), store.AtPtr(t.ExpiresAt))
	return err
}

func selectToken(ctx context.Context, q store.Querier, accountID, tokenID string) (Token, error) {
	var r tokenRow
	err := q.Get(ctx, &r, `SELECT`+tokenColumns+` FROM tokens t WHERE t.account_id = ? AND t.token_id = ?`, accountID, tokenID)
	return r.token(), err
}

func selectTokens(ctx context.Context, q store.Querier, accountID, after string, limit int) ([]Token, error) {
	var rows []tokenRow
	err := q.Select(ctx, &rows, `SELECT`+tokenColumns+`
		FROM tokens t
		WHERE t.account_id = ? AND t.token_id > ?
		ORDER BY t.token_id
		LIMIT ?`, accountID, after, limit)
	list := make([]Token, len(rows))
	for i, r := range rows {
		list[i] = r.token()
	}
	return list, err
}

// revokeChain ends a token and every token that was made with it, directly or
// through others, and returns how many were alive.
func revokeChain(ctx context.Context, tx *store.Tx, accountID, tokenID string, at store.Time) (int64, error) {
	return tx.Exec(ctx, `
		WITH RECURSIVE chain (token_id) AS (
			SELECT token_id FROM tokens WHERE account_id = ? AND token_id = ?
			UNION
			SELECT t.token_id FROM tokens t JOIN chain ON t.account_id = ? AND t.created_by = chain.token_id
		)
		UPDATE tokens SET revoked_at = ?
		WHERE account_id = ? AND revoked_at IS NULL AND token_id IN (SELECT token_id FROM chain)`,
		accountID, tokenID, accountID, at, accountID)
}

// root is the user at the beginning of a token's chain, as they are now.
type root struct {
	role     Role
	disabled bool
}

// selectTokenByHash is how an account is found from a credential, so it cannot
// name it. The root is nil when the token descends from the operator, and
// stands for nobody when its user is gone.
func selectTokenByHash(ctx context.Context, q store.Querier, hash string) (Token, *root, error) {
	var r struct {
		tokenRow
		RootRole     *string    `db:"root_role"`
		RootDisabled store.Time `db:"root_disabled_at"`
	}
	err := q.Get(ctx, &r, `SELECT`+tokenColumns+`, u.role AS root_role, u.disabled_at AS root_disabled_at
		FROM tokens t
		LEFT JOIN users u ON u.account_id = t.account_id AND u.user_id = t.root_user
		WHERE t.hash = ?`, hash)
	if err != nil || r.RootUser == "" {
		return r.token(), nil, err
	}
	if r.RootRole == nil {
		return r.token(), &root{disabled: true}, nil
	}
	return r.token(), &root{role: Role(*r.RootRole), disabled: !r.RootDisabled.IsZero()}, nil
}
