package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// outage takes a database away and gives it back.
type outage interface {
	url() string
	leave()  // as a program finds it that starts
	hinder() // as a program finds it that runs
	comeBack()
}

// While the database is away, at the start or in the middle, callers reach a
// person and the provider is told that we know; when it is back everything is
// in it, once.
func TestCallersGetThroughWhileTheDatabaseIsAway(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		callersGetThrough(t, newLockedFile(t, storetest.SQLiteURL(t)))
	})
	if os.Getenv("TEST_POSTGRES_URL") == "" {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		callersGetThrough(t, newCutLine(t, storetest.PostgresURL(t)))
	})
}

const (
	failopenPublic = "https://calls.example.com"
	dialledNumber  = "+13125550171"

	// An account with a provider account of its own.
	ownNumber     = "+13125550172"
	ownAccountSID = "AC00000000000000000000000000000077"
	ownAuthToken  = "the-token-of-their-own"
)

func callersGetThrough(t *testing.T, database outage) {
	cfg := failopenConfig(t, database.url())
	token := furnishForFailopen(t, cfg)

	database.leave()
	p := started(t, cfg)
	w := wire{t: t, p: p, token: token}
	is(t, "/readyz/voice without a database", w.ready("voice"), http.StatusOK)
	is(t, "/readyz/api without a database", w.ready("api"), http.StatusServiceUnavailable)
	is(t, "/v1/calls without a database", w.get("/v1/calls").status, http.StatusServiceUnavailable)

	first := w.callComes("CA0000000000000000000000000000000a")
	again := w.voice("CA0000000000000000000000000000000a", "voice")
	is(t, "the same question again", again.body, first)
	w.callEnds("CA0000000000000000000000000000000a")
	w.ownCallComes("CA0000000000000000000000000000000c")
	if waiting := files(t, cfg.SpoolDir); !slices.Contains(waiting, "events.spool") {
		t.Errorf("spool: got %q, want events waiting in it", waiting)
	}
	unsigned := send(t, http.DefaultClient, http.MethodPost, w.address("/webhooks/twilio/voice"), "CallSid=CA1",
		"Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", "AAAA")
	is(t, "a stranger while the database is away", unsigned.status, http.StatusForbidden)

	database.comeBack()
	eventually(t, "the database is found again", time.Minute, func() bool { return w.ready("api") == http.StatusOK })
	w.isThereOnce("CA0000000000000000000000000000000a", "voice", "status")
	w.ownCallIsThere("CA0000000000000000000000000000000c")
	late := w.voice("CA0000000000000000000000000000000a", "voice")
	is(t, "the same question after that", late.body, first)
	w.isThereOnce("CA0000000000000000000000000000000a", "voice", "status")

	database.hinder()
	second := w.callComes("CA0000000000000000000000000000000b")
	is(t, "the answer does not depend on the database", strings.ReplaceAll(second, "000000b", "000000a"), first)
	w.callEnds("CA0000000000000000000000000000000b")
	is(t, "/readyz/voice in an outage", w.ready("voice"), http.StatusOK)
	database.comeBack()
	w.isThereOnce("CA0000000000000000000000000000000b", "voice", "status")

	for _, name := range files(t, cfg.SpoolDir) {
		if name == "events.refused" {
			t.Error("an event was set aside: the database refused it for what it is")
		}
	}
}

// A database that lacks a migration and cannot be written to can still be read:
// callers reach a person although there are no last known good routes.
func TestRoutesAreReadFromADatabaseThatCannotBeWrittenTo(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		t.Parallel()
		cfg := failopenConfig(t, databaseURL)
		token := furnishForFailopen(t, cfg)
		driver, address := "pgx", databaseURL
		if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
			driver, address = "sqlite3", "file:"+path
		}
		db, err := sql.Open(driver, address)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{`DROP TABLE job_locks`, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if driver == "sqlite3" {
			file := newLockedFile(t, databaseURL)
			file.hinder()
			t.Cleanup(file.comeBack)
		} else {
			cfg.DatabaseURL += "&default_transaction_read_only=on"
		}
		cfg.SpoolDir = filepath.Join(t.TempDir(), "spool") // no last known good routes in it
		w := wire{t: t, p: started(t, cfg), token: token}
		is(t, "/readyz/voice", w.ready("voice"), http.StatusOK)
		is(t, "/readyz/api", w.ready("api"), http.StatusServiceUnavailable)
		w.callComes("CA0000000000000000000000000000000c")
	})
}

// failopenConfig is a program that listens anywhere but was given to the
// provider under a fixed name.
func failopenConfig(t *testing.T, databaseURL string) configs.Config {
	t.Helper()
	dir := t.TempDir()
	cfg := configs.Defaults()
	cfg.DatabaseURL, cfg.PublicURL = databaseURL, failopenPublic
	cfg.Listen, cfg.OpsListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.SecretKey = strings.Repeat("k", 32)
	cfg.SpoolDir, cfg.RecordingsDir = filepath.Join(dir, "spool"), filepath.Join(dir, "recordings")
	cfg.Twilio = configs.Twilio{AccountSID: stageAccountSID, AuthToken: stageAuthToken, APIURL: "http://127.0.0.1:1"}
	cfg.Serving.DrainDelay = 0
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// furnishForFailopen is the life before: an account with one number, whose
// routes the program wrote down as the last known good ones.
func furnishForFailopen(t *testing.T, cfg configs.Config) (token string) {
	t.Helper()
	p := started(t, cfg)
	ctx := t.Context()
	made, err := p.directory.Create(ctx, account.AccountParams{Name: "Harbor Plumbing", TZ: "UTC", Currency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.desk.SeedLists(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.desk.CreateAgent(ctx, account.Operator(made.ID), scoring.AgentEdit{Name: ptr("Maria"), Phone: ptr(deskPhone)}); err != nil {
		t.Fatal(err)
	}
	_, err = p.numbers.Create(ctx, made.ID, "test", telephony.NewNumber{Number: dialledNumber, Destination: deskPhone, Whisper: "{source}"})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err = p.directory.CreateToken(ctx, account.Operator(made.ID), account.TokenParams{Name: "test", Role: account.Manager})
	if err != nil {
		t.Fatal(err)
	}
	own, err := p.directory.Create(ctx, account.AccountParams{Name: "Lakeside Dental", TZ: "UTC", Currency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.directory.SetProvider(ctx, account.Operator(own.ID), ownAccountSID, []string{ownAuthToken}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.numbers.Create(ctx, own.ID, "test", telephony.NewNumber{Number: ownNumber, Destination: mobilePhone}); err != nil {
		t.Fatal(err)
	}
	if err := p.switchboard.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.keys.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(cfg.SpoolDir, "providers.json")); err != nil || strings.Contains(string(text), ownAuthToken) || !strings.Contains(string(text), own.ID) {
		t.Errorf("provider keys on disk: got %q, %v, want them sealed", text, err)
	}
	if err := p.stop(ctx); err != nil {
		t.Fatal(err)
	}
	return token
}

func ptr[T any](v T) *T { return &v }

// started is the program as serve starts it.
func started(t *testing.T, cfg configs.Config) *program {
	t.Helper()
	p, err := assemble(cfg, time.Now, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	t.Cleanup(func() {
		once.Do(func() { p.stop(context.WithoutCancel(t.Context())) }) //nolint:errcheck // stopped already where it matters
	})
	return p
}

// wire is the outside of a running program: the provider and a manager.
type wire struct {
	t     *testing.T
	p     *program
	token string
}

func (w wire) address(path string) string { return "http://" + w.p.publicAddr + path }

func (w wire) get(path string) reply {
	w.t.Helper()
	return send(w.t, http.DefaultClient, http.MethodGet, w.address(path), "", "Authorization", "Bearer "+w.token)
}

func (w wire) ready(what string) int {
	w.t.Helper()
	return send(w.t, http.DefaultClient, http.MethodGet, "http://"+w.p.opsAddr+"/readyz/"+what, "").status
}

// voice sends what the provider sends when a call comes in, or when it ends.
func (w wire) voice(sid, door string, more ...string) reply {
	w.t.Helper()
	form := url.Values{
		"AccountSid": {stageAccountSID}, "ApiVersion": {"2010-04-01"}, "CallSid": {sid}, "CallStatus": {"ringing"},
		"Direction": {"inbound"}, "From": {"+12125550143"}, "To": {dialledNumber}, "Caller": {"+12125550143"}, "Called": {dialledNumber},
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	path := "/webhooks/twilio/" + door
	return send(w.t, http.DefaultClient, http.MethodPost, w.address(path), form.Encode(),
		"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8",
		"X-Twilio-Signature", loopback.Sign(stageAuthToken, failopenPublic+path, form))
}

// callComes is answered with the route, in time.
func (w wire) callComes(sid string) string {
	w.t.Helper()
	began := time.Now()
	got := w.voice(sid, "voice").is(w.t, http.StatusOK)
	if took := time.Since(began); took > 14*time.Second { // the provider has given up by then
		w.t.Errorf("the caller waited %s", took)
	}
	is(w.t, "content type", got.header.Get("Content-Type"), "text/xml")
	is(w.t, "content length", got.header.Get("Content-Length"), fmt.Sprint(len(got.body)))
	if !strings.Contains(got.body, "<Dial ") || !strings.Contains(got.body, ">"+deskPhone+"</Number>") {
		w.t.Errorf("a call without a database: got %s, want the route", got.body)
	}
	return got.body
}

// ownCallComes is a call of the account that signs with its own token.
func (w wire) ownCallComes(sid string) {
	w.t.Helper()
	form := url.Values{"AccountSid": {ownAccountSID}, "CallSid": {sid}, "CallStatus": {"ringing"}, "From": {"+12125550143"}, "To": {ownNumber}}
	post := func(token string) reply {
		return send(w.t, http.DefaultClient, http.MethodPost, w.address("/webhooks/twilio/voice"), form.Encode(),
			"Content-Type", "application/x-www-form-urlencoded", "X-Twilio-Signature", loopback.Sign(token, failopenPublic+"/webhooks/twilio/voice", form))
	}
	if got := post(ownAuthToken).is(w.t, http.StatusOK); !strings.Contains(got.body, mobilePhone) {
		w.t.Errorf("an account with its own provider account: got %s, want its route", got.body)
	}
	post("some-other-token").is(w.t, http.StatusForbidden)
}

func (w wire) ownCallIsThere(sid string) {
	w.t.Helper()
	var accounts []string
	eventually(w.t, "the call "+sid+" is in the database", time.Minute, func() bool {
		err := w.p.db.Select(w.t.Context(), &accounts, `SELECT a.name FROM calls c JOIN accounts a ON a.account_id = c.account_id WHERE c.provider_call_id = ?`, sid)
		return err == nil && len(accounts) > 0
	})
	is(w.t, "whose call it is", strings.Join(accounts, ", "), "Lakeside Dental")
}

func (w wire) callEnds(sid string) {
	w.t.Helper()
	got := w.voice(sid, "status", "CallStatus", "no-answer", "CallDuration", "0", "Timestamp", time.Now().UTC().Format(time.RFC1123Z), "CallbackSource", "call-progress-events", "SequenceNumber", "0")
	got.is(w.t, http.StatusNoContent)
}

// isThereOnce waits until the call is in the list and counts what is known of
// it.
func (w wire) isThereOnce(sid string, doors ...string) {
	w.t.Helper()
	eventually(w.t, "the call "+sid+" is in the database with its events", time.Minute, func() bool {
		found := w.rows(sid)
		return len(found) > 0 && len(w.doorsOf(found[0].ID)) >= len(doors)
	})
	found := w.rows(sid)
	is(w.t, "rows of the call", len(found), 1)
	got := w.doorsOf(found[0].ID)
	slices.Sort(got)
	slices.Sort(doors)
	if !slices.Equal(got, doors) {
		w.t.Errorf("events: got %q, want each of %q once", got, doors)
	}
	is(w.t, "outcome", found[0].Outcome, "abandoned")
}

// rows are the rows of a call, none while the database is away.
func (w wire) rows(sid string) []callJSON {
	w.t.Helper()
	r := w.get("/v1/calls")
	if r.status != http.StatusOK {
		return nil
	}
	list := parsed[struct{ Items []callJSON }](w.t, r.body).Items
	return slices.DeleteFunc(list, func(c callJSON) bool { return c.ProviderCallID != sid })
}

func (w wire) doorsOf(callID string) []string {
	w.t.Helper()
	r := w.get("/v1/calls/"+callID+"/events").is(w.t, http.StatusOK)
	var doors []string
	for _, e := range parsed[struct{ Items []eventJSON }](w.t, r.body).Items {
		doors = append(doors, e.Door)
	}
	return doors
}

// lockedFile is a SQLite file that is not where it should be, or that another
// process writes to and does not let go.
type lockedFile struct {
	t    *testing.T
	path string
	back func()
}

func newLockedFile(t *testing.T, databaseURL string) *lockedFile {
	return &lockedFile{t: t, path: strings.TrimPrefix(databaseURL, "sqlite:"), back: func() {}}
}

func (f *lockedFile) url() string { return "sqlite:" + f.path }

func (f *lockedFile) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *lockedFile) leave() {
	f.must(os.Rename(f.path, f.path+".away"))
	f.must(os.Mkdir(f.path, 0o700))
	f.back = func() {
		f.must(os.Remove(f.path))
		f.must(os.Rename(f.path+".away", f.path))
	}
}

func (f *lockedFile) hinder() {
	db, err := sql.Open("sqlite3", "file:"+f.path+"?_busy_timeout=5000&_txlock=immediate")
	f.must(err)
	tx, err := db.Begin()
	f.must(err)
	f.back = func() {
		f.must(tx.Rollback())
		f.must(db.Close())
	}
}

func (f *lockedFile) comeBack() { f.back() }

// cutLine is a PostgreSQL server behind a line that can be cut. While it is cut
// the port is kept, and whoever calls is hung up on: a port that is let go may
// be somebody else's when the line comes back.
type cutLine struct {
	server   string
	database *url.URL
	listener net.Listener

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]bool
}

func newCutLine(t *testing.T, databaseURL string) *cutLine {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutLine{server: u.Host, database: u, listener: listener, open: map[net.Conn]bool{}}
	u.Host = listener.Addr().String()
	go c.listen()
	t.Cleanup(func() {
		listener.Close()
		c.leave()
	})
	return c
}

func (c *cutLine) url() string { return c.database.String() }

func (c *cutLine) listen() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		go c.join(in)
	}
}

// join carries bytes between the program and the server until either ends.
func (c *cutLine) join(in net.Conn) {
	out, err := net.Dial("tcp", c.server)
	if err != nil {
		in.Close()
		return
	}
	c.mu.Lock()
	if c.cut {
		c.mu.Unlock()
		in.(*net.TCPConn).SetLinger(0) //nolint:errcheck // hung up on, not answered
		in.Close()
		out.Close()
		return
	}
	c.open[in], c.open[out] = true, true
	c.mu.Unlock()
	var wg sync.WaitGroup
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			io.Copy(pair[0], pair[1]) //nolint:errcheck // cut on purpose
			pair[0].Close()
		})
	}
	wg.Wait()
	c.mu.Lock()
	delete(c.open, in)
	delete(c.open, out)
	c.mu.Unlock()
}

func (c *cutLine) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for conn := range c.open {
		conn.Close()
	}
}

func (c *cutLine) hinder() { c.leave() }

func (c *cutLine) comeBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

// An event that meets a line which breaks under it must wait in the spool: it
// was not refused for what it is.
func TestALineThatBreaksInATransactionIsADatabaseThatIsAway(t *testing.T) {
	if os.Getenv("TEST_POSTGRES_URL") == "" {
		t.Skip("TEST_POSTGRES_URL is not set")
	}
	line := newCutLine(t, storetest.PostgresURL(t))
	db, err := store.Open(line.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	touch := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE routing_versions SET version = version WHERE account_id = ''`)
		return err
	}
	for where, fn := range map[string]func(context.Context, *store.Tx) error{
		"between statements": func(ctx context.Context, tx *store.Tx) error {
			if err := touch(ctx, tx); err != nil {
				return err
			}
			line.leave()
			return touch(ctx, tx)
		},
		"before the commit": func(ctx context.Context, tx *store.Tx) error {
			err := touch(ctx, tx)
			line.leave()
			return err
		},
	} {
		is(t, where, callwheel.KindOf(db.InTx(t.Context(), fn)), callwheel.Unavailable)
		line.comeBack()
		eventually(t, "the line works again", time.Minute, func() bool { return db.Ping(t.Context()) == nil })
	}
}

// Whatever is wrong with the database, the doors stay open: a file that is
// damaged or no database at all, credentials that another secret key sealed.
func TestABrokenDatabaseDoesNotKeepCallersOut(t *testing.T) {
	damage := map[string]func(t *testing.T, path string){
		"damaged pages": func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4096; i < len(text); i++ {
				text[i] ^= 0x5a
			}
			replaceFile(t, path, text)
		},
		"no database": func(t *testing.T, path string) { replaceFile(t, path, bytes.Repeat([]byte("garbage!"), 2000)) },
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := newLockedFile(t, storetest.SQLiteURL(t))
			cfg := failopenConfig(t, file.url())
			token := furnishForFailopen(t, cfg)
			spoil(t, file.path)
			w := wire{t: t, p: started(t, cfg), token: token}
			w.callComes("CA0000000000000000000000000000000a")
			w.callEnds("CA0000000000000000000000000000000a")
			w.ownCallComes("CA0000000000000000000000000000000c")
			is(t, "/readyz/api", w.ready("api"), http.StatusServiceUnavailable)
		})
	}
	t.Run("another secret key", func(t *testing.T) {
		t.Parallel()
		cfg := failopenConfig(t, storetest.SQLiteURL(t))
		token := furnishForFailopen(t, cfg)
		cfg.SecretKey = strings.Repeat("z", 32)
		w := wire{t: t, p: started(t, cfg), token: token}
		w.callComes("CA0000000000000000000000000000000a")
		eventually(t, "the rest of it works", time.Minute, func() bool { return w.ready("api") == http.StatusOK })
	})
}

// replaceFile puts another text in the place of a SQLite file.
func replaceFile(t *testing.T, path string, text []byte) {
	t.Helper()
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASchemaOfANewerProgramEndsTheStart(t *testing.T) {
	cfg := failopenConfig(t, storetest.SQLiteURL(t))
	furnishForFailopen(t, cfg)
	p, err := assemble(cfg, time.Now, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop(context.WithoutCancel(t.Context())) //nolint:errcheck // it did not start
	err = p.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context()); callwheel.KindOf(err) != callwheel.Conflict {
		t.Errorf("got %v, want kind conflict", err)
	}
}
