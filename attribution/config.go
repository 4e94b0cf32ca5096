package attribution

import (
	"cmp"
	"time"

	"github.com/callwheel/callwheel"
)

// Config is what an operator can set about visits. A zero field is its default.
type Config struct {
	BeatInterval  time.Duration // how often an open page says so; 30 s
	SessionIdle   time.Duration // a session ends after so long without a sign; 30 min
	KnownSource   time.Duration // how long a direct visit inherits the last known source; 90 days
	VisitorMemory time.Duration // visitors without a call who were not seen for so long are forgotten; 400 days
	Lend          Lend          // which free number a new visitor gets; LendQuietest
}

// BeatSeconds is Config.BeatInterval in whole seconds.
func (l *Ledger) BeatSeconds() int { return int(l.cfg.BeatInterval / time.Second) }

// Lend is which free number of a pool is lent next.
type Lend string

// What may be lent next.
const (
	LendQuietest Lend = "quietest" // the one that past holders are least likely to call, among equals the one that has rested longest
	LendRested   Lend = "rested"   // the one that has rested longest
)

const day = 24 * time.Hour

// WithDefaults returns the configuration with every zero filled in.
func (c Config) WithDefaults() Config {
	fill := func(field *time.Duration, def time.Duration) {
		if *field == 0 {
			*field = def
		}
	}
	fill(&c.BeatInterval, 30*time.Second)
	fill(&c.SessionIdle, 30*time.Minute)
	fill(&c.KnownSource, 90*day)
	fill(&c.VisitorMemory, 400*day)
	c.Lend = cmp.Or(c.Lend, LendQuietest)
	return c
}

// Validate returns an Invalid error that names every setting that cannot work,
// or nil.
func (c Config) Validate() error {
	c = c.WithDefaults()
	var bad fields
	check := func(field string, v, low, high time.Duration) {
		if v < low || v > high {
			bad.add(field, "must be between %s and %s", low, high)
		}
	}
	check("beat_interval", c.BeatInterval, 5*time.Second, time.Minute)
	check("session_idle", c.SessionIdle, time.Minute, day)
	check("known_source", c.KnownSource, day, 730*day)
	check("visitor_memory", c.VisitorMemory, day, 3650*day)
	if c.VisitorMemory < c.KnownSource {
		bad = append(bad, callwheel.FieldError{Field: "visitor_memory", Message: "must not be shorter than known_source"})
	}
	if c.Lend != LendQuietest && c.Lend != LendRested {
		bad.add("lend", "must be %s or %s", LendQuietest, LendRested)
	}
	return bad.err()
}
