package loopback

import (
	"sync"
	"time"
)

// Clock is the time of the pretend network and of the server it plays against:
// hand Clock.Now to the server as its clock. A moved clock stands still until
// the network reaches the next instant at which something happens; a live one
// is the machine's. It is safe for use by several goroutines.
type Clock struct {
	mu   sync.RWMutex
	at   time.Time
	live bool
}

// NewClock makes a moved clock that stands at the given instant.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// WallClock makes a clock that is the machine's from the beginning.
func WallClock() *Clock { return &Clock{live: true} }

// Now is the present instant in UTC.
func (c *Clock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.live {
		return time.Now().UTC()
	}
	return c.at.UTC()
}

// Advance moves a moved clock forward to the given instant. It never goes
// back, and does nothing to a live clock.
func (c *Clock) Advance(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live && to.After(c.at) {
		c.at = to
	}
}

// GoLive turns a moved clock into the machine's, for good: the demo plays its
// history in seconds and then stays in the present. Call it only while the
// network is not running.
func (c *Clock) GoLive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = true
}

// Live says whether the clock is the machine's.
func (c *Clock) Live() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.live
}
