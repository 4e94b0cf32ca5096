package configs_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/configs"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callwheel.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheExampleSaysWhatTheDefaultsAre(t *testing.T) {
	got, err := configs.Load(write(t, string(configs.Example)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := configs.Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example reads as\n%+v\nthe defaults are\n%+v", got, want)
	}
	for env, key := range configs.Keys() {
		last := key[strings.LastIndex(key, ".")+1:]
		if !strings.Contains(string(configs.Example), last+":") {
			t.Errorf("the example does not document %s (%s)", key, env)
		}
	}
}

func TestFlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := write(t, "listen: 127.0.0.1:1\nops_listen: 127.0.0.1:2\nlog:\n  level: warn\nvoice:\n  write_budget: 200ms\n")
	got, err := configs.Load(path,
		[]string{"CALLWHEEL_OPS_LISTEN=127.0.0.1:3", "CALLWHEEL_LOG_LEVEL=error", "CALLWHEEL_TWILIO_ACCOUNT_SID=AC1", "CALLWHEEL_TWILIO_AUTH_TOKEN=new, old", "CALLWHEEL_API_TRUSTED_PROXIES=10.0.0.0/8,192.168.0.0/16"},
		map[string]any{"log.level": "debug"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Listen != "127.0.0.1:1" || got.OpsListen != "127.0.0.1:3" || got.Log.Level != "debug" || got.Voice.WriteBudget != 200*time.Millisecond {
		t.Errorf("got %+v", got)
	}
	if tokens := got.Twilio.Tokens(); !reflect.DeepEqual(tokens, []string{"new", "old"}) {
		t.Errorf("tokens: got %q", tokens)
	}
	if !reflect.DeepEqual(got.API.TrustedProxies, []string{"10.0.0.0/8", "192.168.0.0/16"}) {
		t.Errorf("trusted proxies: got %q", got.API.TrustedProxies)
	}
	if got.PublicURL != "http://127.0.0.1:1" || got.Visits.SessionIdle != 30*time.Minute {
		t.Errorf("derived and default values: got %+v", got)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	path := write(t, "listen: nowhere\npublic_url: ftp://x\ndestination: 911\ntwilio:\n  account_sid: AC1\nlog:\n  level: loud\n")
	_, err := configs.Load(path, nil, nil)
	var e *callwheel.Error
	if !errors.As(err, &e) || e.Kind != callwheel.Invalid {
		t.Fatalf("got %v, want kind invalid", err)
	}
	for _, field := range []string{"listen", "public_url", "destination", "twilio", "log.level"} {
		if !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s is not named in %q", field, err)
		}
	}
}

// Values that cannot be read do not hide what else is wrong, and each problem
// says where it stands.
func TestEveryProblemSaysWhereItStands(t *testing.T) {
	path := write(t, `
lisen: 127.0.0.1:1
ops_listen: nowhere
secret_key: [hunter2]
voice: {write_budget: soon}
visits: {beat_interval: 5}
api: {requests_per_minute: many}
log: {level: loud}
serving: {drain_delay: 0}
`)
	_, err := configs.Load(path,
		[]string{"CALLWHEEL_LISTEN=127.0.0.1:99999", "CALLWHEEL_DESTINATION=911", "CALLWHEEL_VISITS_SESSION_IDLE=long", "CALLWHEEL_TWILIO_ACCOUNT_SID=AC1"},
		map[string]any{"log.format": "xml", "public_url": "ftp://x", "database_url": "postgres://h/d"})
	var e *callwheel.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a list of problems", err)
	}
	got := map[string]string{}
	for _, f := range e.Fields {
		if got[f.Field] != "" {
			t.Errorf("%s is told twice", f.Field)
		}
		got[f.Field] = f.Message
	}
	for field, where := range map[string]string{
		"lisen": "callwheel.yaml:lisen", "ops_listen": "callwheel.yaml:ops_listen", "secret_key": "callwheel.yaml:secret_key",
		"voice.write_budget": "callwheel.yaml:voice.write_budget", "visits.beat_interval": "callwheel.yaml:visits.beat_interval",
		"api.requests_per_minute": "callwheel.yaml:api.requests_per_minute", "log.level": "callwheel.yaml:log.level",
		"listen": "CALLWHEEL_LISTEN", "destination": "CALLWHEEL_DESTINATION", "visits.session_idle": "CALLWHEEL_VISITS_SESSION_IDLE",
		"twilio": "CALLWHEEL_TWILIO_ACCOUNT_SID", "log.format": "--log-format", "public_url": "--public-url",
	} {
		if !strings.HasSuffix(got[field], "("+where+")") {
			t.Errorf("%s: got %q, want to be sent to %s", field, got[field], where)
		}
		delete(got, field)
	}
	if len(got) > 0 {
		t.Errorf("problems that are none: %q", got)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is printed: %v", err)
	}
}

func TestADatabaseAddressThatCannotBeReadIsRefusedAndNotShown(t *testing.T) {
	key := "CALLWHEEL_SECRET_KEY=" + strings.Repeat("k", 32)
	for _, address := range []string{
		"postgres://u:se%cret@h/db", "postgres://u:secret#x@h/db", "postgres://u:secret@h:notaport/db", "postgres://u:12/secret@h/db",
		"postgres://u:12?secret@h/db", "postgres://u:12#secret@h/db", "postgresql://u@h/db?password=%secret",
	} {
		_, err := configs.Load("", []string{"CALLWHEEL_DATABASE_URL=" + address, key}, nil)
		if err == nil || !strings.Contains(err.Error(), "database_url: ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want to be refused without being repeated", address, err)
		}
		cfg := configs.Defaults()
		cfg.DatabaseURL = address
		if text := strings.Join(cfg.Describe(), "\n"); strings.Contains(text, "secret@") || strings.Contains(text, "se%cret") || strings.Contains(text, "=%secret") {
			t.Errorf("%s is shown:\n%s", address, text)
		}
	}
	for _, address := range []string{
		"postgres://u:hunter2@h:5432/db?sslmode=require", "postgres://u@h/db?password=hunter2", "postgres://h/db?sslmode=require&sslpassword=hunter2",
	} {
		cfg, err := configs.Load("", []string{"CALLWHEEL_DATABASE_URL=" + address, key}, nil)
		if err != nil {
			t.Errorf("%s: %v", address, err)
		}
		text := strings.Join(cfg.Describe(), "\n")
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "@h") && !strings.Contains(text, "//h/db") {
			t.Errorf("%s is shown as\n%s", address, text)
		}
	}
}

func TestThePublicAddressOfADoorOnAllAddressesIsThisMachines(t *testing.T) {
	for listen, want := range map[string]string{
		":21081": "http://127.0.0.1:21081", "0.0.0.0:80": "http://127.0.0.1:80", "[::]:80": "http://127.0.0.1:80",
		"10.0.0.7:8080": "http://10.0.0.7:8080", "calls.local:8080": "http://calls.local:8080", "[::1]:8080": "http://[::1]:8080",
	} {
		cfg, err := configs.Load("", []string{"CALLWHEEL_LISTEN=" + listen}, nil)
		if err != nil || cfg.PublicURL != want {
			t.Errorf("%s: got %q, %v, want %s", listen, cfg.PublicURL, err, want)
		}
	}
}

func TestATypingErrorInTheFileIsNamed(t *testing.T) {
	for _, text := range []string{"lisen: 127.0.0.1:1\n", "twilio:\n  token: x\n", "voice:\n  write_budget: soon\n", "listen: [\n"} {
		_, err := configs.Load(write(t, text), nil, nil)
		if callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("%q: got %v, want kind invalid", text, err)
		}
	}
	if got := configs.UnknownEnv([]string{"CALLWHEEL_LISEN=x", "CALLWHEEL_LISTEN=x", "HOME=/"}); !reflect.DeepEqual(got, []string{"CALLWHEEL_LISEN"}) {
		t.Errorf("unknown environment names: got %q", got)
	}
}

func TestPostgresNeedsTheKeyThatReplicasShare(t *testing.T) {
	_, err := configs.Load("", []string{"CALLWHEEL_DATABASE_URL=postgres://h/d"}, nil)
	if err == nil || !strings.Contains(err.Error(), "secret_key") {
		t.Errorf("secret_key is not asked for: %v", err)
	}
	got, err := configs.Load("", []string{"CALLWHEEL_DATABASE_URL=postgres://h/d", "CALLWHEEL_SECRET_KEY=" + strings.Repeat("k", 32)}, nil)
	if err != nil || got.SpoolDir == "" || got.RecordingsDir == "" || got.SpoolDir == got.RecordingsDir {
		t.Errorf("with a key: got %q and %q, %v", got.SpoolDir, got.RecordingsDir, err)
	}
}

func TestTheSecretKeyIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	made := 0
	random := func() string { made++; return strings.Repeat("k", 40) }
	first, err := configs.MakeSecretKey(dir, random)
	if err != nil {
		t.Fatal(err)
	}
	second, err := configs.MakeSecretKey(dir, random)
	if err != nil || first != second || made != 1 {
		t.Errorf("got %q then %q, %v, made %d times", first, second, err, made)
	}
	info, err := os.Stat(filepath.Join(dir, "callwheel.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v, want 0600", info.Mode(), err)
	}
}
