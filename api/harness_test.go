package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// house is a server over an empty database with two accounts and a token of
// every role in the first.
type house struct {
	t        *testing.T
	server   *api.Server
	accounts *account.Directory
	account  account.Account
	other    account.Account
	tokens   map[account.Role]string
	stranger string // an owner's token of the other account
}

var testKey = []byte("a secret key of the tests, long enough")

func open(t *testing.T, db *store.DB, change ...func(*api.Deps)) *house {
	t.Helper()
	dir, err := account.NewDirectory(db, account.Config{SecretKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, accounts: dir, tokens: map[account.Role]string{}}
	h.account = h.newAccount("Plumb & Sons")
	h.other = h.newAccount("Somebody Else")
	for _, role := range account.Roles() {
		h.tokens[role] = h.newToken(h.account.ID, role)
	}
	h.stranger = h.newToken(h.other.ID, account.Owner)
	deps := rooms(t, db)
	deps.Accounts, deps.SecretKey, deps.PublicURL = dir, testKey, "http://callwheel.example"
	for _, c := range change {
		c(&deps)
	}
	if h.server, err = api.New(deps); err != nil {
		t.Fatal(err)
	}
	return h
}

// rooms furnishes the doors with every room, over the same database.
func rooms(t *testing.T, db *store.DB) api.Deps {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	noCarrier := func(string) (telephony.Carrier, error) {
		return nil, callwheel.Errorf(callwheel.Unavailable, "no carrier in these tests")
	}
	ledger := attribution.NewLedger(db, attribution.Config{}, time.Now, log, nil)
	board := telephony.NewSwitchboard(db, telephony.Config{PublicURL: "http://callwheel.example"}, telephony.Deps{Attributor: ledger, Log: log})
	t.Cleanup(func() { board.Close() })
	numbers := telephony.NewNumbers(db, noCarrier, telephony.NumbersConfig{}, time.Now, log, nil)
	numbers.SetOwners(ledger)
	return api.Deps{
		Switchboard: board,
		Numbers:     numbers,
		Calls:       telephony.NewCalls(db),
		Recorder:    telephony.NewRecorder(db, noCarrier, telephony.RecorderConfig{Dir: t.TempDir()}, time.Now, log, nil),
		Ledger:      ledger,
		Desk:        scoring.NewDesk(db, time.Now, log, nil),
		Reports:     report.NewDesk(db, time.Now, log, nil),
		CallList:    report.NewCalls(db),
	}
}

func (h *house) newAccount(name string) account.Account {
	h.t.Helper()
	a, err := h.accounts.Create(context.Background(), account.AccountParams{Name: name, TZ: "America/New_York"})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *house) newToken(accountID string, role account.Role) string {
	h.t.Helper()
	_, text, err := h.accounts.CreateToken(context.Background(), account.Operator(accountID), account.TokenParams{Name: string(role), Role: role})
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// in returns the same house for a subtest.
func (h *house) in(t *testing.T) *house {
	c := *h
	c.t = t
	return &c
}

type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// ask sends a request with the token and a JSON body ("" for none). Headers are
// pairs of name and value.
func (h *house) ask(token, method, target, body string, headers ...string) answer {
	h.t.Helper()
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.server.Public().ServeHTTP(w, r)
	return answer{w, h.t}
}

// is fails the test when the status is another one.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("status: got %d, want %d: %s", a.Code, status, a.Body.String())
	}
	return a
}

// json decodes the body.
func (a answer) json() map[string]any {
	a.t.Helper()
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(a.Body.Bytes()))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		a.t.Fatalf("body is not JSON: %v: %s", err, a.Body.String())
	}
	return v
}

// fields returns the names of the refused fields of a problem.
func (a answer) fields() []string {
	a.t.Helper()
	var p struct {
		Errors []struct {
			Field string `json:"field"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil {
		a.t.Fatal(err)
	}
	var names []string
	for _, e := range p.Errors {
		names = append(names, e.Field)
	}
	return names
}

// logTo writes the server's log into w.
func logTo(w io.Writer) func(*api.Deps) {
	return func(d *api.Deps) { d.Log = slog.New(slog.NewTextHandler(w, nil)) }
}
