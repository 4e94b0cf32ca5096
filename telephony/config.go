package telephony

import (
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
)

// Config is what an operator can set about the switchboard. The zero value of
// a duration or a count is its default.
type Config struct {
	// PublicURL is the base URL that the provider was given. Signatures are
	// checked against it and callbacks are made from it, never from the Host
	// header of a request.
	PublicURL string
	// SpoolDir is where events and the last known good routes wait while the
	// database is away; "" does without both. Processes may share one that
	// knows locks; each then has a file of its own in it.
	SpoolDir string
	// Destination is rung, E.164, when neither a number nor its account says
	// whom to ring; "" takes a message instead.
	Destination string

	WriteBudget     time.Duration // for keeping an event while a caller waits; 300 ms
	StatusBudget    time.Duration // for keeping an event that nobody waits for; 2 s
	AttributeBudget time.Duration // for the attributor, after a call was kept; 150 ms
	WhisperBudget   time.Duration // for the attributor, before an agent hears the source; 200 ms
	Remember        int           // how many calls and answers are kept in memory; 10,000
}

// WithDefaults returns the configuration with every zero filled in.
func (c Config) WithDefaults() Config {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	for field, def := range map[*time.Duration]time.Duration{
		&c.WriteBudget:     300 * time.Millisecond,
		&c.StatusBudget:    2 * time.Second,
		&c.AttributeBudget: 150 * time.Millisecond,
		&c.WhisperBudget:   200 * time.Millisecond,
	} {
		if *field == 0 {
			*field = def
		}
	}
	if c.Remember == 0 {
		c.Remember = 10_000
	}
	return c
}

// patience is the longest that a caller waits for the proper answer: what all
// budgets together may take, and two seconds for a machine that is busy. As the
// budgets usually are, that is less than the four seconds after which the provider
// asks again.
func (c Config) patience() time.Duration {
	return 2*c.WriteBudget + c.AttributeBudget + c.WhisperBudget + 2*time.Second
}

// Validate returns an Invalid error that names every setting which cannot work.
func (c Config) Validate() error {
	var bad []callwheel.FieldError
	refuse := func(field, message string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: message})
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		refuse("public_url", "must be an http or https URL such as https://calls.example.com")
	} else if strings.Contains(u.Hostname(), "_") {
		refuse("public_url", "providers refuse host names with an underscore")
	}
	if c.Destination != "" && !isE164(c.Destination) {
		refuse("destination", "must be a phone number in E.164, such as +13125550171")
	}
	for field, d := range map[string]time.Duration{
		"write_budget": c.WriteBudget, "status_budget": c.StatusBudget,
		"attribute_budget": c.AttributeBudget, "whisper_budget": c.WhisperBudget,
	} {
		// The provider gives up on a voice request after 15 s at most.
		if d < 0 || d > 5*time.Second {
			refuse(field, "must be at most 5s")
		}
	}
	if c.Remember < 0 {
		refuse("remember", "must not be negative")
	}
	sortFields(bad)
	return callwheel.InvalidFields(bad)
}

// Deps is what the switchboard needs from the rest of the program.
type Deps struct {
	Providers  map[string]Provider // by name
	Secrets    func() []Secret     // asked for every request, so that tokens can rotate
	Attributor Attributor          // may be set later; see SetAttributor
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil keeps the figures to ourselves
	Now        func() time.Time      // nil is the machine's clock
}

func (d Deps) withDefaults() Deps {
	if d.Secrets == nil {
		d.Secrets = func() []Secret { return nil }
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return d
}
