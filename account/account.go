package account

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Config is what a Directory needs beside its database.
type Config struct {
	// SecretKey is the installation's secret, at least 16 bytes. Sealed
	// provider credentials can be opened only with the same key.
	SecretKey []byte
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// OnRouting is called in the transaction of a change that the routing of
	// calls must learn of; nil for none.
	OnRouting func(ctx context.Context, tx *store.Tx) error
}

// Directory keeps accounts, users, tokens, web sessions, idempotency keys and
// the audit log. It is safe for concurrent use.
type Directory struct {
	db        *store.DB
	sealer    *sealer
	now       func() time.Time
	onRouting func(ctx context.Context, tx *store.Tx) error
	hashing   chan struct{} // holds at most two: an argon2id run takes 19 MiB
}

// NewDirectory makes the room. It fails with kind Invalid for a secret key that
// is too short.
func NewDirectory(db *store.DB, cfg Config) (*Directory, error) {
	s, err := newSealer(cfg.SecretKey)
	if err != nil {
		return nil, err
	}
	d := &Directory{db: db, sealer: s, now: cfg.Now, onRouting: cfg.OnRouting, hashing: make(chan struct{}, 2)}
	if d.now == nil {
		d.now = time.Now
	}
	if d.onRouting == nil {
		d.onRouting = func(context.Context, *store.Tx) error { return nil }
	}
	return d, nil
}

// Recording policies of an account.
const (
	Announce = "announce" // a recorded call begins with an announcement
	Silent   = "silent"   // it may do without, where the law allows
)

// Account is one business. Version grows with every change; it is what
// If-Match speaks of.
type Account struct {
	ID                     string
	Name                   string
	TZ                     string // IANA zone
	Currency               string // ISO 4217
	MarginPPM              *int64 // share of revenue that is margin, in millionths; nil: not known
	Destination            string // E.164 of the person who is rung when nothing else is known; "" none
	RecordingPolicy        string
	RecordingRetentionDays int64
	JournalRetentionDays   int64
	ProviderAccount        string // its own account at the provider, "" for the installation's
	Version                int64
	CreatedAt              time.Time
}

// Location returns the account's time zone; it was checked when it was set.
func (a Account) Location() *time.Location {
	loc, err := time.LoadLocation(a.TZ)
	if err != nil {
		return time.UTC
	}
	return loc
}

// AccountParams is what an account is made of. Name is required; TZ and
// Currency default to UTC and USD.
type AccountParams struct {
	Name        string
	TZ          string
	Currency    string
	Destination string
}

// AccountChange is a change of the fields that are not nil.
type AccountChange struct {
	Name                   *string
	TZ                     *string
	Currency               *string
	MarginPPM              **int64 // a pointer to nil: no longer known
	Destination            *string
	RecordingPolicy        *string
	RecordingRetentionDays *int64
	JournalRetentionDays   *int64
}

// Create makes an account. It fails with kind Invalid when a field is.
func (d *Directory) Create(ctx context.Context, p AccountParams) (Account, error) {
	a := Account{
		ID:                     callwheel.NewID("acct"),
		Name:                   strings.TrimSpace(p.Name),
		TZ:                     orElse(p.TZ, "UTC"),
		Currency:               orElse(p.Currency, "USD"),
		Destination:            p.Destination,
		RecordingPolicy:        Announce,
		RecordingRetentionDays: 365,
		JournalRetentionDays:   730,
		Version:                1,
		CreatedAt:              store.At(d.now()).Time,
	}
	if err := a.validate(); err != nil {
		return Account{}, err
	}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := insertAccount(ctx, tx, a); err != nil {
			return err
		}
		if err := d.onRouting(ctx, tx); err != nil {
			return err
		}
		return Audit(ctx, tx, d.now(), Operator(a.ID), "account.create", a.ID, nil)
	})
	if err != nil {
		return Account{}, fmt.Errorf("create account: %w", err)
	}
	return a, nil
}

// marginRateProblem is what is wrong with a margin rate that is none.
const marginRateProblem = "must be a share of revenue from 0 to 1, such as 0.35 for 35 %"

// MarginPPM turns a margin rate into millionths; nil stays nil. It fails with kind
// Invalid for one that is not from 0 to 1.
func MarginPPM(rate *float64) (*int64, error) {
	if rate == nil {
		return nil, nil //nolint:nilnil // not known is a value here
	}
	if !(*rate >= 0 && *rate <= 1) {
		return nil, callwheel.InvalidField("margin_rate", "%s", marginRateProblem)
	}
	ppm := int64(math.Round(*rate * 1e6))
	return &ppm, nil
}

// Get returns an account, or fails with kind NotFound.
func (d *Directory) Get(ctx context.Context, accountID string) (Account, error) {
	a, err := selectAccount(ctx, d.db, accountID, "")
	if err != nil {
		return Account{}, fmt.Errorf("get account: %w", err)
	}
	return a, nil
}

// Accounts lists every account of the installation, oldest first: for the
// operator and for background work, never for a door.
func (d *Directory) Accounts(ctx context.Context) ([]Account, error) {
	list, err := selectAccounts(ctx, d.db)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return list, nil
}

// Update changes an account on behalf of who. With ifVersion it fails with kind
// Stale when the account has another version by now.
func (d *Directory) Update(ctx context.Context, who Identity, ch AccountChange, ifVersion *int64) (Account, error) {
	var a Account
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if a, err = selectAccount(ctx, tx, who.AccountID, tx.ForUpdate()); err != nil {
			return err
		}
		if ifVersion != nil && *ifVersion != a.Version {
			return callwheel.Errorf(callwheel.Stale, "the account was changed by somebody else")
		}
		changed := ch.apply(&a)
		if len(changed) == 0 {
			return nil
		}
		if err := a.validate(); err != nil {
			return err
		}
		a.Version++
		if err := updateAccount(ctx, tx, a); err != nil {
			return err
		}
		if err := d.onRouting(ctx, tx); err != nil {
			return err
		}
		return Audit(ctx, tx, d.now(), who, "account.update", a.ID, map[string]any{"fields": changed})
	})
	if err != nil {
		return Account{}, fmt.Errorf("update account: %w", err)
	}
	return a, nil
}

// apply writes the change into a and names the fields that became different.
func (ch AccountChange) apply(a *Account) []string {
	var changed []string
	set := func(name string, different bool, do func()) {
		if different {
			do()
			changed = append(changed, name)
		}
	}
	if ch.Name != nil {
		name := strings.TrimSpace(*ch.Name)
		set("name", name != a.Name, func() { a.Name = name })
	}
	if ch.TZ != nil {
		set("tz", *ch.TZ != a.TZ, func() { a.TZ = *ch.TZ })
	}
	if ch.Currency != nil {
		set("currency", *ch.Currency != a.Currency, func() { a.Currency = *ch.Currency })
	}
	if ch.MarginPPM != nil {
		set("margin_rate", !equal(*ch.MarginPPM, a.MarginPPM), func() { a.MarginPPM = *ch.MarginPPM })
	}
	if ch.Destination != nil {
		set("destination", *ch.Destination != a.Destination, func() { a.Destination = *ch.Destination })
	}
	if ch.RecordingPolicy != nil {
		set("recording_policy", *ch.RecordingPolicy != a.RecordingPolicy, func() { a.RecordingPolicy = *ch.RecordingPolicy })
	}
	if ch.RecordingRetentionDays != nil {
		set("recording_retention_days", *ch.RecordingRetentionDays != a.RecordingRetentionDays, func() { a.RecordingRetentionDays = *ch.RecordingRetentionDays })
	}
	if ch.JournalRetentionDays != nil {
		set("journal_retention_days", *ch.JournalRetentionDays != a.JournalRetentionDays, func() { a.JournalRetentionDays = *ch.JournalRetentionDays })
	}
	return changed
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (a Account) validate() error {
	var bad []callwheel.FieldError
	refuse := func(field, message string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: message})
	}
	if !isName(a.Name) {
		refuse("name", "must have 1 to 200 visible characters")
	}
	if !isZone(a.TZ) {
		refuse("tz", "is not a known IANA time zone such as America/New_York")
	}
	if callwheel.CheckCurrency(a.Currency) != nil {
		refuse("currency", "is not an upper-case ISO 4217 code such as USD")
	}
	if a.MarginPPM != nil && (*a.MarginPPM < 0 || *a.MarginPPM > 1_000_000) {
		refuse("margin_rate", marginRateProblem)
	}
	if a.Destination != "" && !e164.MatchString(a.Destination) {
		refuse("destination", "must be a phone number in E.164, such as +13125550171")
	}
	if a.RecordingPolicy != Announce && a.RecordingPolicy != Silent {
		refuse("recording_policy", "must be announce or silent")
	}
	if a.RecordingRetentionDays < 1 || a.RecordingRetentionDays > 3650 {
		refuse("recording_retention_days", "must be between 1 and 3650")
	}
	if a.JournalRetentionDays < 30 || a.JournalRetentionDays > 3650 {
		refuse("journal_retention_days", "must be between 30 and 3650")
	}
	return callwheel.InvalidFields(bad)
}

// isZone accepts what time.LoadLocation knows, without the names that would
// depend on the machine or reach outside the zone database.
func isZone(tz string) bool {
	if tz == "" || tz == "Local" || len(tz) > 64 || strings.Contains(tz, "..") || strings.HasPrefix(tz, "/") {
		return false
	}
	_, err := time.LoadLocation(tz)
	return err == nil
}

// isName accepts a label that people read, of at most 200 characters.
func isName(s string) bool { return utf8.RuneCountInString(s) <= 200 && Legible(s) }

// Legible says whether people can read a name and tell it from others: valid
// UTF-8, something visible in it and nothing that is not (control and format
// characters such as zero-width ones and bidirectional overrides, fillers, line
// breaks). Every room asks it of the names that people give.
func Legible(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	visible := false
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) || r == blank {
			return false
		}
		visible = visible || unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S)
	}
	return visible
}

// blank is the Braille pattern without a dot: a symbol that looks like a space.
const blank = '\u2800'

// ProviderSecret is one account's own credentials at the telephony provider.
type ProviderSecret struct {
	AccountID       string
	ProviderAccount string   // the provider's id of the account ("AC…")
	Tokens          []string // newest first; several while rotating
}

// SetProvider keeps an account's own provider credentials, sealed; an empty
// providerAccount removes them. With ifVersion it fails with kind Stale when the
// account has another version by now.
func (d *Directory) SetProvider(ctx context.Context, who Identity, providerAccount string, tokens []string, ifVersion *int64) error {
	sealed := ""
	if providerAccount != "" {
		if err := checkProvider(providerAccount, tokens); err != nil {
			return err
		}
		plain, err := json.Marshal(tokens)
		if err != nil {
			return fmt.Errorf("keep provider credentials: %w", err)
		}
		sealed = d.sealer.seal(sealContext(who.AccountID, "provider"), plain)
	}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := selectAccount(ctx, tx, who.AccountID, tx.ForUpdate())
		if err != nil {
			return err
		}
		if ifVersion != nil && *ifVersion != a.Version {
			return callwheel.Errorf(callwheel.Stale, "the account was changed by somebody else")
		}
		_, err = tx.Exec(ctx, `
			UPDATE accounts
			SET provider_account = ?, provider_secrets = ?, version = version + 1
			WHERE account_id = ?`, providerAccount, sealed, who.AccountID)
		if err != nil {
			return err
		}
		if err := d.onRouting(ctx, tx); err != nil {
			return err
		}
		return Audit(ctx, tx, d.now(), who, "account.provider", who.AccountID,
			map[string]any{"provider_account": providerAccount, "tokens": len(tokens)})
	})
	if err != nil {
		return fmt.Errorf("keep provider credentials: %w", err)
	}
	return nil
}

var (
	providerAccountPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{2,64}$`)
	providerTokenPattern   = regexp.MustCompile(`^[\x21-\x7e]{8,200}$`)
)

func checkProvider(providerAccount string, tokens []string) error {
	if !providerAccountPattern.MatchString(providerAccount) {
		return callwheel.InvalidField("provider_account", "is not the id of a provider account")
	}
	if len(tokens) == 0 || len(tokens) > 5 {
		return callwheel.InvalidField("tokens", "must hold one to five tokens, the newest first")
	}
	for _, t := range tokens {
		if !providerTokenPattern.MatchString(t) {
			return callwheel.InvalidField("tokens", "must be 8 to 200 visible ASCII characters each")
		}
	}
	return nil
}

// SealedProvider is one account's own provider credentials as they are kept. It
// may be written down: only the installation's secret key opens it.
type SealedProvider struct {
	AccountID       string `db:"account_id" json:"account_id"`
	ProviderAccount string `db:"provider_account" json:"provider_account"`
	Sealed          string `db:"provider_secrets" json:"sealed"`
}

// SealedProviders lists the credentials of every account that has its own.
func (d *Directory) SealedProviders(ctx context.Context) ([]SealedProvider, error) {
	var list []SealedProvider
	err := d.db.Select(ctx, &list, `
		SELECT account_id, provider_account, provider_secrets
		FROM accounts
		WHERE provider_account <> ''
		ORDER BY account_id`)
	if err != nil {
		return nil, fmt.Errorf("read provider credentials: %w", err)
	}
	return list, nil
}

// OpenProviders opens credentials, without the database. Those that do not open
// are reported and left out: one damaged row must not silence the other
// accounts.
func (d *Directory) OpenProviders(sealed []SealedProvider) (list []ProviderSecret, problems []error) {
	for _, s := range sealed {
		tokens, err := d.openTokens(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("open the provider credentials of %s: %w", s.AccountID, err))
			continue
		}
		list = append(list, ProviderSecret{AccountID: s.AccountID, ProviderAccount: s.ProviderAccount, Tokens: tokens})
	}
	return list, problems
}

func (d *Directory) openTokens(s SealedProvider) (tokens []string, err error) {
	plain, err := d.sealer.open(sealContext(s.AccountID, "provider"), s.Sealed)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(plain, &tokens); err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, callwheel.Errorf(callwheel.Internal, "no token in it")
	}
	return tokens, nil
}

func sealContext(accountID, what string) string { return what + "\x00" + accountID }

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func equal(a, b *int64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
