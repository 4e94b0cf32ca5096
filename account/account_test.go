package account_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

var (
	ctx       = context.Background()
	secretKey = []byte("a secret key of the tests, long enough")
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// open makes a directory with one account.
func open(t *testing.T, db *store.DB) (*account.Directory, account.Account, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	d, err := account.NewDirectory(db, account.Config{SecretKey: secretKey, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.Create(ctx, account.AccountParams{Name: "Plumb & Sons", TZ: "America/New_York", Currency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	return d, a, c
}

func wantKind(t *testing.T, err error, want callwheel.Kind) {
	t.Helper()
	if got := callwheel.KindOf(err); got != want {
		t.Errorf("kind: got %q (%v), want %q", got, err, want)
	}
}

func newUser(t *testing.T, d *account.Directory, accountID, email string, role account.Role) account.User {
	t.Helper()
	u, err := d.CreateUser(ctx, account.Operator(accountID), account.UserParams{Email: email, Name: "Somebody", Password: "correct horse", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAnAccountIsRefusedFieldByField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, _, _ := open(t, db)
		for _, tt := range []struct {
			name   string
			params account.AccountParams
			field  string
		}{
			{"blank name", account.AccountParams{Name: " \t "}, "name"},
			{"name with a line break", account.AccountParams{Name: "a\nb"}, "name"},
			{"invisible name", account.AccountParams{Name: "\u200b\u200b"}, "name"},
			{"name written backwards", account.AccountParams{Name: "abc\u202edef"}, "name"},
			{"name too long", account.AccountParams{Name: strings.Repeat("x", 201)}, "name"},
			{"unknown zone", account.AccountParams{Name: "a", TZ: "Mars/Olympus"}, "tz"},
			{"zone outside the zone database", account.AccountParams{Name: "a", TZ: "../../etc/passwd"}, "tz"},
			{"zone of the machine", account.AccountParams{Name: "a", TZ: "Local"}, "tz"},
			{"lower-case currency", account.AccountParams{Name: "a", Currency: "usd"}, "currency"},
			{"letters as destination", account.AccountParams{Name: "a", Destination: "call me"}, "destination"},
		} {
			_, err := d.Create(ctx, tt.params)
			wantKind(t, err, callwheel.Invalid)
			if err != nil && !strings.Contains(err.Error(), "; "+tt.field+": ") {
				t.Errorf("%s: %v does not name %s", tt.name, err, tt.field)
			}
		}
		accounts, err := d.Accounts(ctx)
		if err != nil || len(accounts) != 1 {
			t.Errorf("accounts: got %d, %v, want 1", len(accounts), err)
		}
	})
}

func TestAChangeOfAnAccountBumpsRoutingInTheSameTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		bumped := 0
		refuse := false
		d, err := account.NewDirectory(db, account.Config{SecretKey: secretKey, OnRouting: func(context.Context, *store.Tx) error {
			bumped++
			if refuse {
				return callwheel.Errorf(callwheel.Unavailable, "no")
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := d.Create(ctx, account.AccountParams{Name: "A"})
		if err != nil {
			t.Fatal(err)
		}
		name, who := "B", account.Operator(a.ID)
		changed, err := d.Update(ctx, who, account.AccountChange{Name: &name}, &a.Version)
		if err != nil || changed.Version != a.Version+1 || bumped != 2 {
			t.Errorf("got version %d, %d bumps, %v", changed.Version, bumped, err)
		}
		_, err = d.Update(ctx, who, account.AccountChange{Name: &name}, &a.Version)
		wantKind(t, err, callwheel.Stale)
		if _, err = d.Update(ctx, who, account.AccountChange{Name: &name}, nil); err != nil || bumped != 2 {
			t.Errorf("a change that changes nothing: %d bumps, %v", bumped, err)
		}
		refuse, name = true, "C"
		_, err = d.Update(ctx, who, account.AccountChange{Name: &name}, nil)
		wantKind(t, err, callwheel.Unavailable)
		if got, err := d.Get(ctx, a.ID); err != nil || got.Name != "B" {
			t.Errorf("after an undone change: %q, %v", got.Name, err)
		}
	})
}

func TestProviderCredentialsAreKeptSealed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, _ := open(t, db)
		who := account.Operator(a.ID)
		if err := d.SetProvider(ctx, who, "AC123", []string{"newest-token", "older-token"}, nil); err != nil {
			t.Fatal(err)
		}
		secrets := func(d *account.Directory) ([]account.ProviderSecret, []error) {
			t.Helper()
			sealed, err := d.SealedProviders(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return d.OpenProviders(sealed)
		}
		list, problems := secrets(d)
		if len(problems) != 0 || len(list) != 1 || list[0].AccountID != a.ID || list[0].ProviderAccount != "AC123" || !slices.Equal(list[0].Tokens, []string{"newest-token", "older-token"}) {
			t.Errorf("secrets: got %+v, %v", list, problems)
		}
		var kept string
		if err := db.Get(ctx, &kept, `SELECT provider_secrets FROM accounts WHERE account_id = ?`, a.ID); err != nil {
			t.Fatal(err)
		}
		if kept == "" || strings.Contains(kept, "newest") {
			t.Errorf("the row holds %q", kept)
		}
		other, err := account.NewDirectory(db, account.Config{SecretKey: []byte("quite another secret key")})
		if err != nil {
			t.Fatal(err)
		}
		if list, problems := secrets(other); len(list) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Error(), a.ID) {
			t.Errorf("another secret key: opened %+v, told %v", list, problems)
		}
		wantKind(t, d.SetProvider(ctx, who, "AC123", nil, nil), callwheel.Invalid)
		wantKind(t, d.SetProvider(ctx, who, "AC 123", []string{"newest-token"}, nil), callwheel.Invalid)
		if err := d.SetProvider(ctx, who, "", nil, nil); err != nil {
			t.Fatal(err)
		}
		if list, problems := secrets(d); len(problems) != 0 || len(list) != 0 {
			t.Errorf("after removing: %v, %v", list, problems)
		}
	})
}

func TestOneDamagedCredentialDoesNotSilenceTheOtherAccounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, _ := open(t, db)
		b, err := d.Create(ctx, account.AccountParams{Name: "B", TZ: "UTC", Currency: "USD"})
		if err != nil {
			t.Fatal(err)
		}
		for id, name := range map[string]string{a.ID: "AC1", b.ID: "AC2"} {
			if err := d.SetProvider(ctx, account.Operator(id), name, []string{"token-of-" + name}, nil); err != nil {
				t.Fatal(err)
			}
		}
		sealed, err := d.SealedProviders(ctx)
		if err != nil || len(sealed) != 2 {
			t.Fatalf("got %+v, %v", sealed, err)
		}
		for name, damaged := range map[string]string{"cut": sealed[0].Sealed[:20], "empty": "", "of another account": sealed[1].Sealed} {
			rows := slices.Clone(sealed)
			rows[0].Sealed = damaged
			list, problems := d.OpenProviders(rows)
			if len(list) != 1 || list[0].AccountID != rows[1].AccountID || len(problems) != 1 || !strings.Contains(problems[0].Error(), rows[0].AccountID) {
				t.Errorf("%s: opened %+v, told %v", name, list, problems)
			}
		}
	})
}

func TestATokenCountsUntilItIsRevokedLapsesOrItsMakerGoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, c := open(t, db)
		owner := newUser(t, d, a.ID, "owner@shop.example", account.Owner)
		admin := newUser(t, d, a.ID, "admin@shop.example", account.Admin)
		end := c.Now().Add(time.Hour)
		make := func(p account.TokenParams) (account.Token, string) {
			t.Helper()
			p.Name = "script"
			token, text, err := d.CreateToken(ctx, admin.Identity(), p)
			if err != nil {
				t.Fatal(err)
			}
			return token, text
		}
		_, lapsing := make(account.TokenParams{Role: account.Agent, ExpiresAt: &end, AgentID: "agent_1"})
		revoked, revokedText := make(account.TokenParams{Role: account.Marketer})
		_, lasting := make(account.TokenParams{Role: account.Admin})

		who, err := d.ByToken(ctx, lapsing)
		if err != nil || who.AccountID != a.ID || who.Role != account.Agent || who.AgentID != "agent_1" {
			t.Errorf("who: %+v, %v", who, err)
		}
		if !strings.HasPrefix(lapsing, "cw_") || len(lapsing) < 43 {
			t.Errorf("token %q is too short or has no mark", lapsing)
		}
		for _, bad := range []string{"", "cw_", lapsing + "x", strings.ToUpper(lapsing), "cw_" + strings.Repeat("A", 300)} {
			_, err := d.ByToken(ctx, bad)
			wantKind(t, err, callwheel.Forbidden)
		}

		c.add(time.Hour)
		_, err = d.ByToken(ctx, lapsing)
		wantKind(t, err, callwheel.Forbidden)

		if err := d.RevokeToken(ctx, owner.Identity(), revoked.ID); err != nil {
			t.Fatal(err)
		}
		_, err = d.ByToken(ctx, revokedText)
		wantKind(t, err, callwheel.Forbidden)
		wantKind(t, d.RevokeToken(ctx, owner.Identity(), "token_nothing"), callwheel.NotFound)

		manager := account.Manager
		if _, err := d.UpdateUser(ctx, owner.Identity(), admin.ID, account.UserChange{Role: &manager}, nil); err != nil {
			t.Fatal(err)
		}
		_, err = d.ByToken(ctx, lasting)
		wantKind(t, err, callwheel.Forbidden)
		back, disabled := account.Admin, true
		if _, err := d.UpdateUser(ctx, owner.Identity(), admin.ID, account.UserChange{Role: &back}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ByToken(ctx, lasting); err != nil {
			t.Errorf("after the maker got the role back: %v", err)
		}
		if _, err := d.UpdateUser(ctx, owner.Identity(), admin.ID, account.UserChange{Disabled: &disabled}, nil); err != nil {
			t.Fatal(err)
		}
		_, err = d.ByToken(ctx, lasting)
		wantKind(t, err, callwheel.Forbidden)
	})
}

// A chain is a person's token, the token made with it, and so on.
func TestATokenMadeByATokenEndsWithItsPersonAndItsMakers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, c := open(t, db)
		owner := newUser(t, d, a.ID, "owner@shop.example", account.Owner)
		admin := newUser(t, d, a.ID, "admin@shop.example", account.Admin)
		chain := func(who account.Identity, p account.TokenParams) (tokens []account.Token, texts []string) {
			t.Helper()
			for range 3 {
				p.Name = "link"
				token, text, err := d.CreateToken(ctx, who, p)
				if err != nil {
					t.Fatal(err)
				}
				tokens, texts = append(tokens, token), append(texts, text)
				if who, err = d.ByToken(ctx, text); err != nil {
					t.Fatal(err)
				}
			}
			return tokens, texts
		}
		counts := func(when string, texts []string, want ...bool) {
			t.Helper()
			for i, text := range texts {
				if _, err := d.ByToken(ctx, text); (err == nil) != want[i] {
					t.Errorf("%s: link %d: %v", when, i, err)
				}
			}
		}
		change := func(ch account.UserChange) {
			t.Helper()
			if _, err := d.UpdateUser(ctx, owner.Identity(), admin.ID, ch, nil); err != nil {
				t.Fatal(err)
			}
		}
		tokens, texts := chain(admin.Identity(), account.TokenParams{Role: account.Admin})
		if tokens[2].RootUser != admin.ID || tokens[2].CreatedBy != tokens[1].ID {
			t.Errorf("the last link: %+v", tokens[2])
		}
		agent, back, yes, no := account.Agent, account.Admin, true, false
		change(account.UserChange{Role: &agent})
		counts("demoted", texts, false, false, false)
		change(account.UserChange{Role: &back})
		counts("promoted again", texts, true, true, true)
		change(account.UserChange{Disabled: &yes})
		counts("disabled", texts, false, false, false)
		change(account.UserChange{Disabled: &no})

		middle, err := d.ByToken(ctx, texts[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := d.RevokeToken(ctx, owner.Identity(), tokens[1].ID); err != nil {
			t.Fatal(err)
		}
		counts("the middle revoked", texts, true, false, false)
		if last, err := d.GetToken(ctx, a.ID, tokens[2].ID); err != nil || last.RevokedAt == nil {
			t.Errorf("the last link is not shown as revoked: %+v, %v", last, err)
		}
		_, _, err = d.CreateToken(ctx, middle, account.TokenParams{Name: "late", Role: account.Agent})
		wantKind(t, err, callwheel.Forbidden)

		tokens, texts = chain(account.Operator(a.ID), account.TokenParams{Role: account.Owner})
		if tokens[2].RootUser != "" {
			t.Errorf("the operator's chain stands for %q", tokens[2].RootUser)
		}
		if err := d.RevokeToken(ctx, owner.Identity(), tokens[0].ID); err != nil {
			t.Fatal(err)
		}
		counts("the operator's first revoked", texts, false, false, false)

		end, later := c.Now().Add(time.Hour), c.Now().Add(2*time.Hour)
		tokens, texts = chain(owner.Identity(), account.TokenParams{Role: account.Agent, ExpiresAt: &end})
		who, err := d.ByToken(ctx, texts[0])
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = d.CreateToken(ctx, who, account.TokenParams{Name: "longer", Role: account.Agent, ExpiresAt: &later})
		wantKind(t, err, callwheel.Invalid)
		heir, _, err := d.CreateToken(ctx, who, account.TokenParams{Name: "open", Role: account.Agent})
		if err != nil || heir.ExpiresAt == nil || !heir.ExpiresAt.Equal(*tokens[0].ExpiresAt) {
			t.Errorf("an heir without an end: %+v, %v", heir, err)
		}
	})
}

func TestWhenATokenWasLastUsedIsKeptToTheMinute(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, c := open(t, db)
		token, text, err := d.CreateToken(ctx, account.Operator(a.ID), account.TokenParams{Name: "script", Role: account.Agent})
		if err != nil {
			t.Fatal(err)
		}
		lastUsed := func() time.Time {
			t.Helper()
			if _, err := d.ByToken(ctx, text); err != nil {
				t.Fatal(err)
			}
			got, err := d.GetToken(ctx, a.ID, token.ID)
			if err != nil || got.LastUsedAt == nil {
				t.Fatalf("last used: %v, %v", got.LastUsedAt, err)
			}
			return *got.LastUsedAt
		}
		first := lastUsed()
		c.add(30 * time.Second)
		if got := lastUsed(); !got.Equal(first) {
			t.Errorf("half a minute later: got %v, want %v", got, first)
		}
		c.add(31 * time.Second)
		if got := lastUsed(); !got.Equal(c.Now()) {
			t.Errorf("a minute later: got %v, want %v", got, c.Now())
		}
	})
}

func TestSigningIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, _ := open(t, db)
		u := newUser(t, d, a.ID, "Ana@Shop.Example", account.Agent)
		if u.Email != "ana@shop.example" {
			t.Errorf("e-mail: got %q", u.Email)
		}
		who, token, err := d.SignIn(ctx, " ANA@shop.example ", "correct horse")
		if err != nil || who != u.Identity() {
			t.Fatalf("sign in: %+v, %v", who, err)
		}
		if _, second, err := d.SignIn(ctx, "ana@shop.example", "correct horse"); err != nil || second == token {
			t.Errorf("a second sign-in: same token %v, %v", second == token, err)
		}
		var texts []string
		for _, try := range [][2]string{
			{"ana@shop.example", "wrong horse"},
			{"nobody@shop.example", "correct horse"},
			{"not an address", "correct horse"},
			{"ana@shop.example", ""},
			{"ana@shop.example", strings.Repeat("x", 1<<20)},
			{"ana@shop.example\r\nBcc: x@y.example", "correct horse"},
		} {
			_, _, err := d.SignIn(ctx, try[0], try[1])
			wantKind(t, err, callwheel.Forbidden)
			texts = append(texts, strings.TrimPrefix(err.Error(), "sign in: "))
		}
		if slices.ContainsFunc(texts, func(s string) bool { return s != texts[0] }) {
			t.Errorf("the refusals differ: %q", texts)
		}
		if who, err := d.BySession(ctx, token); err != nil || who != u.Identity() {
			t.Errorf("by session: %+v, %v", who, err)
		}
		if err := d.SignOut(ctx, token); err != nil {
			t.Fatal(err)
		}
		_, err = d.BySession(ctx, token)
		wantKind(t, err, callwheel.Forbidden)
		if err := d.SignOut(ctx, token); err != nil {
			t.Errorf("signing out twice: %v", err)
		}
	})
}

func TestASessionEndsWhenIdleTooOldOrItsUserIsChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, c := open(t, db)
		owner := newUser(t, d, a.ID, "owner@shop.example", account.Owner)
		u := newUser(t, d, a.ID, "ana@shop.example", account.Agent)
		signIn := func() string {
			t.Helper()
			_, token, err := d.SignIn(ctx, "ana@shop.example", "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		idle := signIn()
		c.add(account.IdleTimeout)
		_, err := d.BySession(ctx, idle)
		wantKind(t, err, callwheel.Forbidden)

		busy := signIn()
		for began := c.Now(); c.Now().Sub(began) < account.SessionLifetime-account.IdleTimeout; c.add(account.IdleTimeout / 2) {
			if _, err := d.BySession(ctx, busy); err != nil {
				t.Fatalf("a busy session ended after %v: %v", c.Now().Sub(began), err)
			}
		}
		for range 3 {
			c.add(account.IdleTimeout / 2)
			_, err = d.BySession(ctx, busy)
		}
		wantKind(t, err, callwheel.Forbidden)

		password, manager, disabled := "another horse", account.Manager, true
		for name, change := range map[string]account.UserChange{
			"password": {Password: &password},
			"role":     {Role: &manager},
			"disabled": {Disabled: &disabled},
		} {
			_, token, err := d.SignIn(ctx, "owner@shop.example", "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			victim := newUser(t, d, a.ID, name+"@shop.example", account.Agent)
			_, theirs, err := d.SignIn(ctx, victim.Email, "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.UpdateUser(ctx, owner.Identity(), victim.ID, change, nil); err != nil {
				t.Fatal(err)
			}
			_, err = d.BySession(ctx, theirs)
			wantKind(t, err, callwheel.Forbidden)
			if _, err := d.BySession(ctx, token); err != nil {
				t.Errorf("somebody else's session ended too: %v", err)
			}
		}
		_ = u
	})
}

func TestTheLastAdminStaysEvenWhenTwoDisableEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, _ := open(t, db)
		users := []account.User{
			newUser(t, d, a.ID, "one@shop.example", account.Owner),
			newUser(t, d, a.ID, "two@shop.example", account.Owner),
		}
		disabled := true
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i := range users {
			wg.Go(func() {
				_, errs[i] = d.UpdateUser(ctx, users[i].Identity(), users[1-i].ID, account.UserChange{Disabled: &disabled}, nil)
			})
		}
		wg.Wait()
		var refused int
		for _, err := range errs {
			if err != nil {
				wantKind(t, err, callwheel.Conflict)
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%d of two were refused, want 1: %v", refused, errs)
		}
	})
}

func TestAnotherAccountsUsersTokensAndAuditAreNotThere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, _ := open(t, db)
		other, err := d.Create(ctx, account.AccountParams{Name: "Other"})
		if err != nil {
			t.Fatal(err)
		}
		u := newUser(t, d, a.ID, "ana@shop.example", account.Owner)
		token, _, err := d.CreateToken(ctx, u.Identity(), account.TokenParams{Name: "x", Role: account.Agent})
		if err != nil {
			t.Fatal(err)
		}
		stranger, name := account.Operator(other.ID), "taken"
		_, err = d.GetUser(ctx, other.ID, u.ID)
		wantKind(t, err, callwheel.NotFound)
		_, err = d.UpdateUser(ctx, stranger, u.ID, account.UserChange{Name: &name}, nil)
		wantKind(t, err, callwheel.NotFound)
		_, err = d.GetToken(ctx, other.ID, token.ID)
		wantKind(t, err, callwheel.NotFound)
		wantKind(t, d.RevokeToken(ctx, stranger, token.ID), callwheel.NotFound)
		if list, err := d.Users(ctx, other.ID, "", 10); err != nil || len(list) != 0 {
			t.Errorf("users: %v, %v", list, err)
		}
		if list, err := d.Tokens(ctx, other.ID, "", 10); err != nil || len(list) != 0 {
			t.Errorf("tokens: %v, %v", list, err)
		}
		log, err := d.AuditLog(ctx, other.ID, account.AuditQuery{Limit: 10})
		if err != nil || len(log) != 1 || log[0].Action != "account.create" {
			t.Errorf("audit: %+v, %v", log, err)
		}
	})
}

func TestAKeyIsClaimedOnceByManyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, c := open(t, db)
		const claimants = 20
		results := make([]error, claimants)
		var wg sync.WaitGroup
		for i := range claimants {
			wg.Go(func() { _, results[i] = d.ClaimKey(ctx, a.ID, "key", "hash") })
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
				continue
			}
			wantKind(t, err, callwheel.Conflict)
		}
		if won != 1 {
			t.Fatalf("%d of %d won the key, want 1", won, claimants)
		}
		want := account.Answer{Status: 201, Header: map[string]string{"Location": "/v1/x"}, Body: []byte(`{"token":"cw_secret"}`)}
		if err := d.KeepAnswer(ctx, a.ID, "key", want); err != nil {
			t.Fatal(err)
		}
		got, err := d.ClaimKey(ctx, a.ID, "key", "hash")
		if err != nil || got == nil || got.Status != 201 || string(got.Body) != string(want.Body) || got.Header["Location"] != "/v1/x" {
			t.Errorf("replay: %+v, %v", got, err)
		}
		var kept []byte
		if err := db.Get(ctx, &kept, `SELECT body FROM idempotency_keys WHERE account_id = ?`, a.ID); err != nil || strings.Contains(string(kept), "secret") {
			t.Errorf("the row holds %q, %v", kept, err)
		}
		_, err = d.ClaimKey(ctx, a.ID, "key", "another hash")
		wantKind(t, err, callwheel.Invalid)
		if got, err := d.ClaimKey(ctx, "acct_other", "key", "another hash"); err != nil || got != nil {
			t.Errorf("another account's key: %+v, %v", got, err)
		}
		if err := d.ReleaseKey(ctx, "acct_other", "key"); err != nil {
			t.Fatal(err)
		}
		if got, err := d.ClaimKey(ctx, "acct_other", "key", "hash"); err != nil || got != nil {
			t.Errorf("a released key: %+v, %v", got, err)
		}
		c.add(account.KeyLifetime + time.Second)
		if got, err := d.ClaimKey(ctx, a.ID, "key", "another hash"); err != nil || got != nil {
			t.Errorf("a forgotten key: %+v, %v", got, err)
		}
	})
}

func TestSweepDeletesWhatHasEndedAndNothingElse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, a, c := open(t, db)
		newUser(t, d, a.ID, "ana@shop.example", account.Agent)
		if _, _, err := d.SignIn(ctx, "ana@shop.example", "correct horse"); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ClaimKey(ctx, a.ID, "old", "hash"); err != nil {
			t.Fatal(err)
		}
		c.add(account.KeyLifetime + time.Minute)
		_, young, err := d.SignIn(ctx, "ana@shop.example", "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.ClaimKey(ctx, a.ID, "young", "hash"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{2, 0} {
			if n, err := d.Sweep(ctx, c.Now()); err != nil || n != want {
				t.Errorf("sweep: got %d, %v, want %d", n, err, want)
			}
		}
		if _, err := d.BySession(ctx, young); err != nil {
			t.Errorf("a living session was swept: %v", err)
		}
		_, err = d.ClaimKey(ctx, a.ID, "young", "hash")
		wantKind(t, err, callwheel.Conflict)
	})
}
