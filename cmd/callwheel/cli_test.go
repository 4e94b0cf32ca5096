package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func TestWrongUsageExitsWith2(t *testing.T) {
	for _, args := range [][]string{
		{"dial"},
		{"serve", "--nonsense"},
		{"account", "create"},
		{"token", "create", "--account", "acct_1", "--role", "emperor"},
		{"report", "roi", "--csv", "--json"},
		{"accuracy", "--truth", filepath.Join(t.TempDir(), "none")},
		{"backup"},
		{"demo", "--days", "0"},
		{"demo", "--listen", "bad"},
		{"demo", "--ops-listen", "127.0.0.1:99999"},
		{"demo", "--exit", "--json"},
		{"simulate", "--truth", "t", "--visitors=-3"},
		{"simulate", "--truth", "t", "--calls=-5"},
		{"simulate", "--truth", "t", "--hours=0"},
		{"simulate", "--truth", "t", "--hours=-1"},
		{"simulate", "--truth", "t", "--hours=NaN"},
		{"simulate", "--truth", "t", "--rate=0"},
		{"simulate"},
		{"simulate", "--truth", "t", "--plain", "--url", "http://127.0.0.1:1", "--site", "key", "--account-sid", "AC1", "--auth-token", "x"},
		{"simulate", "--truth", "t", "--plain", "--delays", "0.5@4m,0.4@1h"},
		{"simulate", "--truth", "t", "--plain", "--delays", "1@soon"},
		{"simulate", "--truth", "t", "--plain", "--propensity", "1.5"},
		{"simulate", "--truth", "t", "--plain", "--pool-size", "0"},
		{"simulate", "--truth", "t", "--plain", "--lend", "random"},
		{"simulate", "--truth", "t", "--url", "http://127.0.0.1:1", "--site", "key"},
		{"simulate", "--truth", "t", "--url", "http://127.0.0.1:1", "--account-sid", "AC1", "--auth-token", "x"},
	} {
		r := command(t, nil, args...)
		if r.code != exitUsage || r.out != "" {
			t.Errorf("%q: got exit code %d and %q, want %d and nothing on standard output", args, r.code, r.out, exitUsage)
		}
		if !strings.Contains(r.err, "callwheel help") {
			t.Errorf("%q: got %q, want to be told about help", args, r.err)
		}
	}
}

func TestBadSettingsExitWith78AndOneLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte("listen: nowhere\nlog: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		args    []string
		environ []string
		names   []string
	}{
		{[]string{"serve"}, []string{"CALLWHEEL_LISTEN=nowhere", "CALLWHEEL_LOG_LEVEL=loud"}, []string{"listen", "log.level"}},
		{[]string{"serve", "--public-url", "ftp://x"}, nil, []string{"public_url"}},
		{[]string{"config", "check", "--config", file}, nil, []string{"listen", "log.level"}},
		{[]string{"config", "check", "--config", file + ".none"}, nil, []string{"bad.yaml.none"}},
		{[]string{"migrate", "--database-url", "mysql://x"}, nil, []string{"database_url"}},
		{[]string{"config", "check"}, []string{"CALLWHEEL_LISTEN=nowhere", "CALLWHEEL_VOICE_WRITE_BUDGET=soon", "CALLWHEEL_DESTINATION=911"}, []string{"CALLWHEEL_LISTEN", "CALLWHEEL_VOICE_WRITE_BUDGET", "CALLWHEEL_DESTINATION"}},
		{[]string{"config", "check"}, []string{"CALLWHEEL_LISTEN=127.0.0.1:99999"}, []string{"listen"}},
		{[]string{"config", "check", "--database-url", "postgres://u:se%cret@h/db"}, []string{"CALLWHEEL_SECRET_KEY=" + strings.Repeat("k", 32)}, []string{"database_url", "--database-url"}},
		{[]string{"config", "check", "--database-url", "postgres://u@h/db?sslmode=perhaps"}, []string{"CALLWHEEL_SECRET_KEY=" + strings.Repeat("k", 32)}, []string{"database_url"}},
		{[]string{"replay"}, []string{"CALLWHEEL_DATABASE_URL=postgres://127.0.0.1/x"}, []string{"secret_key"}},
	} {
		r := command(t, one.environ, one.args...)
		if r.code != exitBadConfig {
			t.Errorf("%q: got exit code %d, want %d: %s", one.args, r.code, exitBadConfig, r.err)
		}
		if lines := strings.Count(r.err, "\n"); lines != 1 {
			t.Errorf("%q: got %d lines, want one: %q", one.args, lines, r.err)
		}
		for _, name := range one.names {
			if !strings.Contains(r.err, name) {
				t.Errorf("%q: %q does not say that it is about %s", one.args, r.err, name)
			}
		}
	}
}

func TestFailureExitsWith1AndOneLine(t *testing.T) {
	environ := sqliteEnviron(t)
	command(t, environ, "migrate").ok(t)
	for _, args := range [][]string{
		{"user", "create", "--account", "acct_none", "--email", "a@example.com", "--name", "A"},
		{"token", "create", "--account", "acct_none", "--role", "agent"},
		{"report", "agents", "--account", "acct_none"},
		{"report", "roi"},
		{"account", "create", "--name", "X", "--tz", "Mars/Olympus"},
	} {
		r := command(t, environ, args...)
		if strings.Contains(r.err, "sql:") || strings.Contains(r.err, "no rows") {
			t.Errorf("%q: got %q, want words for an operator", args, r.err)
		}
		if r.code != exitFailed || strings.Count(strings.TrimPrefix(r.err, "password"), "\n") != 1 {
			t.Errorf("%q: got exit code %d and %q, want 1 and one line", args, r.code, r.err)
		}
	}
}

func TestAReportOfADatabaseWithoutASchemaSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"report", "roi"}, {"report", "agents", "--account", "acct_none"}, {"replay"}} {
		r := command(t, []string{"CALLWHEEL_DATABASE_URL=sqlite:" + file}, args...)
		if r.code != exitFailed || !strings.Contains(r.err, "callwheel migrate") || strings.Contains(r.err, "no such table") {
			t.Errorf("%q: got %d and %q, want to be told to migrate", args, r.code, r.err)
		}
	}
}

func TestHelpShowsAnExampleOfEveryCommand(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.BindTo(context.Background(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 15 {
		t.Fatalf("commands: got %d, want every one", len(leaves))
	}
	for _, group := range parser.Model.Children {
		if !group.Leaf() {
			leaves = append(leaves, group)
		}
	}
	for _, leaf := range leaves {
		words := append([]string{"help"}, strings.Fields(leaf.Path())...)
		for i, w := range words {
			if strings.HasPrefix(w, "<") { // an argument
				words = words[:i]
				break
			}
		}
		text := command(t, nil, words...).ok(t)
		if !strings.Contains(text, "Example: ") || !strings.Contains(text, "callwheel "+words[1]) {
			t.Errorf("%q has no example:\n%s", words, text)
		}
	}
	all := command(t, nil, "help").ok(t)
	is(t, "help and no arguments", command(t, nil).ok(t), all)
	for _, leaf := range leaves {
		if name := strings.Fields(leaf.Path())[0]; !strings.Contains(all, name) {
			t.Errorf("help does not list %s", name)
		}
	}
}

func TestConfigCheckHidesSecrets(t *testing.T) {
	secrets := []string{strings.Repeat("s", 40), "hunter2", "0123token"}
	r := command(t, []string{
		"CALLWHEEL_SECRET_KEY=" + secrets[0],
		"CALLWHEEL_DATABASE_URL=postgres://bob:" + secrets[1] + "@db.example/callwheel",
		"CALLWHEEL_TWILIO_ACCOUNT_SID=AC1", "CALLWHEEL_TWILIO_AUTH_TOKEN=" + secrets[2],
		"CALLWHEEL_SPOOL_DIR=/tmp/spool", "CALLWHEEL_RECORDINGS_DIR=/tmp/recordings",
		"CALLWHEEL_LISTNE=127.0.0.1:1",
	}, "config", "check")
	r.ok(t)
	for _, secret := range secrets {
		if strings.Contains(r.out+r.err, secret) {
			t.Errorf("the secret %q is printed:\n%s%s", secret, r.out, r.err)
		}
	}
	for _, line := range []string{"twilio.account_sid: AC1", "twilio.auth_token: set", "secret_key: set", "db.example"} {
		if !strings.Contains(r.out, line) {
			t.Errorf("%q is missing:\n%s", line, r.out)
		}
	}
	if !strings.Contains(r.err, "CALLWHEEL_LISTNE") {
		t.Errorf("a misspelt setting passes in silence: %q", r.err)
	}
}

// sqliteEnviron is the environment of an installation that sets nothing but
// where its file is.
func sqliteEnviron(t *testing.T) []string {
	t.Helper()
	return []string{"CALLWHEEL_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "callwheel.db")}
}

func TestMigrateStatusTellsWhatIsPending(t *testing.T) {
	environ := sqliteEnviron(t)
	path := strings.TrimPrefix(environ[0], "CALLWHEEL_DATABASE_URL=sqlite:")
	for _, look := range [][]string{{"migrate", "status"}, {"backup", path + ".copy"}, {"report", "roi"}, {"replay"}} {
		r := command(t, environ, look...)
		if r.code != exitFailed || !strings.Contains(r.err, "no database at "+path) {
			t.Errorf("%q without a file: got %d and %q, want to be told that there is none", look, r.code, r.err)
		}
		if made := files(t, filepath.Dir(path)); len(made) > 0 {
			t.Errorf("%q without a file: it made %q", look, made)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := command(t, environ, "migrate", "status").ok(t)
	if !strings.Contains(before, "pending") || strings.Contains(before, "applied") {
		t.Errorf("before: got\n%s", before)
	}
	command(t, environ, "migrate").ok(t)
	after := command(t, environ, "migrate", "status").ok(t)
	is(t, "after", after, strings.ReplaceAll(before, "pending", "applied"))
	command(t, environ, "migrate", "up").ok(t)

	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	newer := command(t, environ, "migrate", "status").ok(t)
	if !strings.HasPrefix(newer, after) || !strings.Contains(newer, "9999") {
		t.Errorf("newer schema: got\n%s", newer)
	}
}

// The id or the token stands alone on standard output, so that a script can
// take it.
func TestFirstStepsWithoutTheWeb(t *testing.T) {
	environ := sqliteEnviron(t)
	alone := regexp.MustCompile(`^[!-~]+\n$`)

	made := command(t, environ, "account", "create", "--name", "Loft & Co", "--tz", "America/New_York", "--currency", "USD").ok(t)
	if !alone.MatchString(made) || !strings.HasPrefix(made, "acct_") {
		t.Fatalf("account create: got %q, want the id alone", made)
	}
	id := strings.TrimSpace(made)
	more := parsed[map[string]any](t, command(t, environ, "account", "create", "--name", "Second", "--json").ok(t))
	is(t, "currency", more["currency"], any("USD"))
	is(t, "tz", more["tz"], any("UTC"))

	user := command(t, environ, "user", "create", "--account", id, "--email", "ann@example.com", "--name", "Ann")
	if !alone.MatchString(user.ok(t)) || !strings.HasPrefix(user.out, "user_") || !strings.HasPrefix(user.err, "password: ") {
		t.Errorf("user create: got %q and %q, want the id and, apart, the password", user.out, user.err)
	}
	second := command(t, environ, "user", "create", "--account", id, "--email", "ann@example.com", "--name", "Ann")
	is(t, "the same e-mail again", second.code, exitFailed)

	token := command(t, environ, "token", "create", "--account", id, "--role", "marketer").ok(t)
	if !alone.MatchString(token) {
		t.Fatalf("token create: got %q, want the token alone", token)
	}
	full := parsed[struct{ ID, Token, Role string }](t, command(t, environ, "token", "create", "--account", id, "--role", "agent", "--json").ok(t))
	if full.Role != "agent" || full.Token == "" || !strings.HasPrefix(full.ID, "token_") {
		t.Errorf("token create --json: got %+v", full)
	}
	served(t, environ, strings.TrimSpace(token), id)
	backedUp(t, environ, id)
}

// backedUp copies the database and works with the copy.
func backedUp(t *testing.T, environ []string, accountID string) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	command(t, environ, "backup", copied).ok(t)
	command(t, []string{"CALLWHEEL_DATABASE_URL=sqlite:" + copied}, "token", "create", "--account", accountID, "--role", "agent").ok(t)
	again := command(t, environ, "backup", copied)
	if again.code != exitFailed || !strings.Contains(again.err, "exists") {
		t.Errorf("a second backup to the same file: got %d and %q, want to be refused", again.code, again.err)
	}
}

// screen is what a running command writes, to be read meanwhile.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// served starts the server, asks it with the token, and stops it as a signal
// would.
func served(t *testing.T, environ []string, token, accountID string) {
	t.Helper()
	environ = append(environ, "CALLWHEEL_SERVING_DRAIN_DELAY=0s", "CALLWHEEL_LOG_FORMAT=json")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log screen
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"},
			stdio{in: strings.NewReader(""), out: &log, err: &log, environ: environ})
	}()
	var at struct{ Msg, Public, Ops string }
	eventually(t, "the server says where it listens", time.Minute, func() bool {
		for line := range strings.Lines(log.String()) {
			if json.Unmarshal([]byte(line), &at) == nil && at.Msg == "listening" {
				return true
			}
		}
		return false
	})
	eventually(t, "the server is ready", time.Minute, func() bool {
		return send(t, http.DefaultClient, http.MethodGet, "http://"+at.Ops+"/readyz/api", "").status == http.StatusOK
	})
	got := send(t, http.DefaultClient, http.MethodGet, "http://"+at.Public+"/v1/account", "", "Authorization", "Bearer "+token).is(t, http.StatusOK)
	if !strings.Contains(got.body, accountID) {
		t.Errorf("/v1/account: got %s, want %s", got.body, accountID)
	}
	send(t, http.DefaultClient, http.MethodGet, "http://"+at.Ops+"/livez", "").is(t, http.StatusOK)
	send(t, http.DefaultClient, http.MethodGet, "http://"+at.Public+"/metrics", "").is(t, http.StatusNotFound)
	stop()
	select {
	case code := <-ended:
		is(t, "exit code of a stopped server", code, exitDone)
	case <-time.After(time.Minute):
		t.Fatal("the server does not stop")
	}
	if strings.Contains(log.String(), token) {
		t.Error("the token stands in the log")
	}
}
