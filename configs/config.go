package configs

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/telephony"
)

// Example is the documented sample file; it says what the defaults are.
//
//go:embed callwheel.example.yaml
var Example []byte

// Config is everything an operator can set. Keys are the YAML names; the
// environment name of a key is CALLWHEEL_ and the key in capitals, with _ for
// the dot.
type Config struct {
	DatabaseURL   string `koanf:"database_url"`   // sqlite:PATH or postgres://…
	Listen        string `koanf:"listen"`         // public doors
	OpsListen     string `koanf:"ops_listen"`     // metrics and health, private
	PublicURL     string `koanf:"public_url"`     // the base URL the provider was given; "" is where listen is reached on this machine
	SecretKey     string `koanf:"secret_key"`     // seals provider tokens, signs cookies and cursors
	SpoolDir      string `koanf:"spool_dir"`      // "": beside the SQLite file, or below callwheel-data
	RecordingsDir string `koanf:"recordings_dir"` // "": the same; replicas share it
	Destination   string `koanf:"destination"`    // who is rung when neither number nor account says

	Twilio  Twilio  `koanf:"twilio"`
	Voice   Voice   `koanf:"voice"`
	API     API     `koanf:"api"`
	Visits  Visits  `koanf:"visits"`
	Log     Log     `koanf:"log"`
	Serving Serving `koanf:"serving"`
}

// Twilio is the installation's provider account.
type Twilio struct {
	AccountSID string `koanf:"account_sid"`
	AuthToken  string `koanf:"auth_token"` // several, separated by commas, while rotating
	APIURL     string `koanf:"api_url"`    // "": Twilio's own
}

// Tokens lists the auth tokens, the current one first.
func (t Twilio) Tokens() []string {
	var list []string
	for _, token := range strings.Split(t.AuthToken, ",") {
		if token = strings.TrimSpace(token); token != "" {
			list = append(list, token)
		}
	}
	return list
}

// Voice is how live calls are treated.
type Voice struct {
	WriteBudget time.Duration `koanf:"write_budget"` // how long a live answer waits for its event to be on disk before it goes to the spool
	FallbackURL string        `koanf:"fallback_url"` // given to every number as its fallback URL at the provider
}

// API is how the REST API treats its users.
type API struct {
	RequestsPerMinute int      `koanf:"requests_per_minute"` // per token
	TrustedProxies    []string `koanf:"trusted_proxies"`     // networks whose X-Forwarded-For is believed, as CIDR
}

// Visits is how the browser's doors work.
type Visits struct {
	BeatInterval  time.Duration `koanf:"beat_interval"`  // how often a visible page beats
	SessionIdle   time.Duration `koanf:"session_idle"`   // a session ends after so long without a beat
	KnownSource   time.Duration `koanf:"known_source"`   // how long a direct visit inherits the last known source
	VisitorMemory time.Duration `koanf:"visitor_memory"` // visitors not seen for so long are forgotten
	Lend          string        `koanf:"lend"`           // which free number of a pool is lent next: quietest, rested
}

// Log is what is written to standard error.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn, error
	Format string `koanf:"format"` // text, json
}

// Serving is how the server starts and stops.
type Serving struct {
	DrainDelay time.Duration `koanf:"drain_delay"` // after a stop signal: not ready, but still answering
	DrainLimit time.Duration `koanf:"drain_limit"` // then requests under way get so long
}

// Defaults returns the settings of an installation that sets nothing.
func Defaults() Config {
	return Config{
		DatabaseURL: "sqlite:callwheel.db",
		Listen:      "127.0.0.1:8080",
		OpsListen:   "127.0.0.1:9090",
		Voice:       Voice{WriteBudget: 300 * time.Millisecond},
		API:         API{RequestsPerMinute: 6000, TrustedProxies: []string{}},
		Visits: Visits{
			BeatInterval:  30 * time.Second,
			SessionIdle:   30 * time.Minute,
			KnownSource:   90 * 24 * time.Hour,
			VisitorMemory: 400 * 24 * time.Hour,
			Lend:          string(attribution.LendQuietest),
		},
		Log:     Log{Level: "info", Format: "text"},
		Serving: Serving{DrainDelay: 5 * time.Second, DrainLimit: 25 * time.Second},
	}
}

// Keys maps the environment name of every setting to its key.
func Keys() map[string]string {
	names := map[string]string{}
	for key := range new(Config).fields() {
		names[envName(key)] = key
	}
	return names
}

// envName is the environment name of a key.
func envName(key string) string {
	return "CALLWHEEL_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// fields are the settings by key.
func (c *Config) fields() map[string]reflect.Value {
	list := map[string]reflect.Value{}
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			key := prefix + v.Type().Field(i).Tag.Get("koanf")
			if v.Field(i).Kind() == reflect.Struct {
				walk(v.Field(i), key+".")
				continue
			}
			list[key] = v.Field(i)
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return list
}

// UnknownEnv lists environment names that look like settings and are none: a
// typing error that would otherwise pass in silence.
func UnknownEnv(environ []string) []string {
	known := Keys()
	var odd []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, "CALLWHEEL_"), known[name] != "":
		case name == "CALLWHEEL_CONFIG", name == "CALLWHEEL_ORACLES": // the file itself; test data
		default:
			odd = append(odd, name)
		}
	}
	slices.Sort(odd)
	return odd
}

// complete derives what was left open from what was set.
func (c *Config) complete() {
	if c.PublicURL == "" {
		c.PublicURL = LocalURL(c.Listen)
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	dir := c.DataDir()
	if dir == "" {
		dir = "callwheel-data" // PostgreSQL: below the folder that the program was started in
	}
	if c.SpoolDir == "" {
		c.SpoolDir = filepath.Join(dir, "spool")
	}
	if c.RecordingsDir == "" {
		c.RecordingsDir = filepath.Join(dir, "recordings")
	}
}

// DataDir is the folder of the SQLite file, "" with PostgreSQL.
func (c Config) DataDir() string {
	if path, ok := strings.CutPrefix(c.DatabaseURL, "sqlite:"); ok {
		return filepath.Dir(path)
	}
	return ""
}

// Validate returns one Invalid error with every problem, or nil.
func (c Config) Validate() error {
	var bad []callwheel.FieldError
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			bad = append(bad, callwheel.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
		}
	}
	sqlite := strings.HasPrefix(c.DatabaseURL, "sqlite:") && len(c.DatabaseURL) > len("sqlite:")
	postgres := strings.HasPrefix(c.DatabaseURL, "postgres://") || strings.HasPrefix(c.DatabaseURL, "postgresql://")
	check(sqlite || postgres, "database_url", "must be sqlite:PATH or postgres://…")
	if postgres {
		problem := checkPostgres(c.DatabaseURL)
		check(problem == "", "database_url", "%s", problem)
	}
	check(!postgres || c.SecretKey != "", "secret_key", "is required with PostgreSQL: replicas must share it")
	check(c.SecretKey == "" || len(c.SecretKey) >= 32, "secret_key", "must have at least 32 characters")
	check(isAddress(c.Listen), "listen", badAddress)
	check(isAddress(c.OpsListen), "ops_listen", badAddress)
	check(c.Listen != c.OpsListen || strings.HasSuffix(c.Listen, ":0"), "ops_listen", "must differ from listen: it is private")
	check((c.Twilio.AccountSID == "") == (len(c.Twilio.Tokens()) == 0), "twilio", "account_sid and auth_token go together")
	check(c.Twilio.AccountSID == "" || strings.HasPrefix(c.Twilio.AccountSID, "AC"), "twilio.account_sid", "begins with AC")
	check(c.Twilio.APIURL == "" || isBaseURL(c.Twilio.APIURL), "twilio.api_url", "must be http:// or https:// and a host")
	check(c.Voice.FallbackURL == "" || isBaseURL(c.Voice.FallbackURL), "voice.fallback_url", "must be http:// or https:// and a host")
	check(c.Voice.WriteBudget >= 50*time.Millisecond, "voice.write_budget", "must be at least 50ms: a disk takes its time")
	check(c.API.RequestsPerMinute > 0, "api.requests_per_minute", "must be positive")
	for _, network := range c.API.TrustedProxies {
		_, _, err := net.ParseCIDR(network)
		check(err == nil, "api.trusted_proxies", "%q is not a network such as 10.0.0.0/8", network)
	}
	check(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level), "log.level", "must be debug, info, warn or error")
	check(slices.Contains([]string{"text", "json"}, c.Log.Format), "log.format", "must be text or json")
	check(c.Serving.DrainDelay >= 0 && c.Serving.DrainLimit > 0, "serving", "drain_delay and drain_limit are lengths of time")
	// The rooms know their own settings.
	bad = append(bad, of("voice.", c.Switchboard().Validate())...)
	bad = append(bad, of("visits.", c.Attribution().Validate())...)
	return callwheel.InvalidFields(bad)
}

// Switchboard is what the phone network's room is told.
func (c Config) Switchboard() telephony.Config {
	return telephony.Config{
		PublicURL: c.PublicURL, SpoolDir: c.SpoolDir, Destination: c.Destination, WriteBudget: c.Voice.WriteBudget,
	}
}

// Attribution is what the room of visits and sources is told.
func (c Config) Attribution() attribution.Config {
	return attribution.Config{
		BeatInterval: c.Visits.BeatInterval, SessionIdle: c.Visits.SessionIdle,
		KnownSource: c.Visits.KnownSource, VisitorMemory: c.Visits.VisitorMemory, Lend: attribution.Lend(c.Visits.Lend),
	}
}

// of returns a room's problems under the names that the settings have here.
func of(prefix string, err error) []callwheel.FieldError {
	var e *callwheel.Error
	if !errors.As(err, &e) {
		return nil
	}
	var list []callwheel.FieldError
	for _, f := range e.Fields {
		if f.Field != "public_url" && f.Field != "destination" {
			f.Field = prefix + f.Field
		}
		list = append(list, f)
	}
	return list
}

// MakeSecretKey returns the key that is kept beside the SQLite file, making it
// on first use. It is readable by its owner only.
func MakeSecretKey(dir string, random func() string) (string, error) {
	path := filepath.Join(dir, "callwheel.key")
	if b, err := os.ReadFile(path); err == nil {
		if key := strings.TrimSpace(string(b)); len(key) >= 32 {
			return key, nil
		}
		return "", callwheel.Errorf(callwheel.Invalid, "%s holds no key of at least 32 characters", path)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("keep secret key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) { // another process was quicker
		return MakeSecretKey(dir, random)
	}
	if err != nil {
		return "", fmt.Errorf("keep secret key: %w", err)
	}
	key := random()
	if _, err := f.WriteString(key + "\n"); err != nil {
		f.Close()
		return "", fmt.Errorf("keep secret key: %w", err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return "", fmt.Errorf("keep secret key: %w", err)
	}
	return key, f.Close()
}

// isAddress says whether text is HOST:PORT with a port that exists; 0 is any
// free one.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// CheckAddress is an error in words unless text is HOST:PORT.
func CheckAddress(text string) error {
	if !isAddress(text) {
		return errors.New(badAddress)
	}
	return nil
}

const badAddress = "must be HOST:PORT, with a port up to 65535"

// LocalURL is where somebody on this machine finds what listens there: an
// address without a host, or with the one that means all, is reached at the
// machine's own.
func LocalURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// checkPostgres says what is wrong with the address of a PostgreSQL database, ""
// when nothing is. It never repeats the address: a password stands in it, and an
// odd character in the password is the usual reason.
func checkPostgres(address string) string {
	const odd = "cannot be read as a URL: in a password write %23 for #, %2F for /, %3F for ?, %40 for @, %25 for %"
	u, err := url.Parse(address)
	if err != nil || u.Fragment != "" || strings.Contains(u.Path, "@") || strings.Contains(u.RawQuery, "@") {
		return odd
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return odd
	}
	return ""
}

func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.RawQuery == "" && u.Fragment == "" && u.User == nil
}
