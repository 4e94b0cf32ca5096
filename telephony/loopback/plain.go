package loopback

import (
	"math/rand/v2"
	"slices"
	"time"
)

// PlainConfig says how a plain world goes: what the mathematics of attribution
// assumes, and nothing else, so that what it promises can be measured.
//
// Visitors come independently of each other, look once, and never come back.
// While a page is open its visitor calls at a steady rate; after it was left
// each calls once, or not at all, and waits before as Delays say. Strangers,
// who saw no page, call each number of the pool at a steady rate.
type PlainConfig struct {
	Seed     uint64
	From     time.Time
	Visitors int       // who may call
	PerHour  float64   // how many come in an hour
	Channels []Channel // where from, by weight; those of DefaultChannels that are online when nil
	// Stay is how long a page is open on average, exponentially; it beats every
	// BeatEvery, and once more when it is left.
	Stay, BeatEvery time.Duration
	Delays          []Delay
	Propensity      float64 // share of visitors who call after they left
	OnScreen        float64 // calls per hour while the page is open
	Background      float64 // calls of strangers per hour and number
	PoolSize        int     // numbers that strangers may call
	// Withheld is the share of callers who show no number. The others show one
	// of their own, a stranger one that nobody else has.
	Withheld float64
	// After is how long people keep coming who do not call, when the others have
	// come: the numbers of the last ones are shown again, as all others are.
	After time.Duration
}

// Delay is one part of how long callers wait after they left the page: a share
// of them waits exponentially long with this mean.
type Delay struct {
	Share float64       `json:"share"`
	Mean  time.Duration `json:"mean"`
}

// NewPlainWorld makes up a plain world. Visits and calls of strangers begin in
// [From, Until); World.Until is when the last of Visitors came.
func NewPlainWorld(c PlainConfig) *World {
	if c.Channels == nil {
		c.Channels = slices.DeleteFunc(DefaultChannels(), func(ch Channel) bool { return ch.Offline })
	}
	w := newWorld(WorldConfig{Seed: c.Seed, From: c.From, Channels: c.Channels, BeatEvery: c.BeatEvery, AlwaysOpen: true})
	p := plain{World: w, c: c}
	at := c.From
	for range c.Visitors {
		at = at.Add(w.exponential(hours(1 / c.PerHour)))
		p.visitor(at, true)
	}
	w.config.Until = at
	p.strangers()
	for end := at.Add(c.After); ; {
		if at = at.Add(w.exponential(hours(1 / c.PerHour))); at.After(end) {
			break
		}
		p.visitor(at, false)
	}
	w.sort()
	return w
}

type plain struct {
	*World
	c PlainConfig
}

// visitor lets somebody come, look once, and perhaps call.
func (p plain) visitor(at time.Time, mayCall bool) {
	p.persons++
	p.sessions++
	channel, person, session := p.drawChannel(), p.persons, p.sessions
	left := at.Add(p.exponential(p.c.Stay))
	p.add(Happening{At: at, Visit: &Visit{
		Person: person, Session: session, First: true, Channel: channel.Key, Page: p.landing(channel), Referrer: channel.Referrer,
	}})
	for beat := at.Add(p.c.BeatEvery); beat.Before(left); beat = beat.Add(p.c.BeatEvery) {
		p.add(Happening{At: beat, Beat: &Beat{Person: person, Session: session}})
	}
	p.add(Happening{At: left, Beat: &Beat{Person: person, Session: session, Left: true}})
	if !mayCall {
		return
	}
	c := PhoneCall{Person: person, Session: session, Channel: channel.Key, Dials: ShownNumber, Open: true}
	if p.c.OnScreen > 0 {
		for call := at.Add(p.exponential(hours(1 / p.c.OnScreen))); call.Before(left); call = call.Add(p.exponential(hours(1 / p.c.OnScreen))) {
			c.From = p.call(c, call)
		}
	}
	if p.chance(p.c.Propensity) {
		wait := p.wait()
		c.Open, c.Late = false, wait > longAfter
		p.call(c, left.Add(wait))
	}
}

// longAfter is when a call counts as dialled long after the visit.
const longAfter = 30 * time.Minute

// strangers call the numbers of the pool who saw no page.
func (p plain) strangers() {
	if p.c.Background <= 0 || p.c.PoolSize <= 0 {
		return
	}
	gap := hours(1 / (p.c.Background * float64(p.c.PoolSize)))
	for at := p.c.From.Add(p.exponential(gap)); at.Before(p.config.Until); at = at.Add(p.exponential(gap)) {
		p.persons++
		p.call(PhoneCall{Person: p.persons, Dials: PoolNumber, Nth: p.dice.IntN(p.c.PoolSize)}, at)
	}
}

// call lets somebody call, with a phone that they get when they first do, and
// returns what it shows. Most hang up while it rings: what becomes of a call has
// nothing to do with who made it, and a short one is soon played.
func (p plain) call(c PhoneCall, at time.Time) (from string) {
	p.calls++
	c.Call, c.Patience = p.calls, time.Second
	if c.From == "" {
		c.From = p.phone()
	}
	if p.chance(0.1) {
		c.Patience = 0
		c.Phones = []Phone{{Answers: true, After: 3 * time.Second, PressKey: "1", Talk: 20 * time.Second}}
	}
	c.Judgement.Quality = -1
	p.add(Happening{At: at, Call: &c})
	return c.From
}

// phone is what the phone of somebody new shows.
func (p plain) phone() string {
	if p.chance(p.c.Withheld) {
		return "anonymous"
	}
	p.World.phones++
	from, _ := personNumber(p.World.phones)
	return from
}

// wait draws how long somebody waits before they call.
func (p plain) wait() time.Duration {
	at := p.dice.Float64()
	for _, d := range p.c.Delays {
		if at -= d.Share; at < 0 {
			return p.exponential(d.Mean)
		}
	}
	return p.exponential(p.c.Delays[len(p.c.Delays)-1].Mean)
}

func (w *World) exponential(mean time.Duration) time.Duration {
	return time.Duration(w.dice.ExpFloat64() * float64(mean)).Truncate(time.Microsecond)
}

func hours(n float64) time.Duration { return time.Duration(n * float64(time.Hour)) }

// newDice makes the chance of a world.
func newDice(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x77_6f_72_6c_64)) //nolint:gosec // a repeatable story, not a secret
}
