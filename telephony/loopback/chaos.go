package loopback

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Chaos is how badly requests are delivered. Shares are between 0 and 1 and
// are drawn for each request from the seed, the call and the request's place in
// the call: the same seed spoils the same requests, however fast anything is.
//
// Status callbacks (of legs, numbers and recordings) suffer from everything. A
// request that asks for TwiML is only ever doubled, and the first answer is
// played: a caller waits for it.
type Chaos struct {
	Duplicate float64 // sent a second time, callbacks within ReorderBy
	Reorder   float64 // held back for up to ReorderBy, so that later ones overtake it
	Delay     float64 // held back for up to DelayBy
	Drop      float64 // lost: nobody will ever send it again
	// ReorderBy and DelayBy are 8 s and 2 min when zero.
	ReorderBy, DelayBy time.Duration
}

// Rough is the chaos of a bad week: every kind, often enough that a few hundred
// calls meet all of them.
func Rough() Chaos {
	return Chaos{Duplicate: 0.08, Reorder: 0.15, Delay: 0.05, Drop: 0.02}
}

// fate is what chaos does to one request.
type fate struct {
	dropped bool
	hold    time.Duration // before the first delivery
	again   bool          // delivered twice
	pause   time.Duration // between the two
}

func (c Chaos) fateOf(seed uint64, callSID string, request int) fate {
	if c == (Chaos{}) {
		return fate{}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(callSID))
	dice := rand.New(rand.NewPCG(seed, h.Sum64()^uint64(request)*0x9e3779b97f4a7c15)) //nolint:gosec // a repeatable choice, not a secret
	// Every die is thrown every time, so that one share does not shift the
	// others.
	drop, reorder, delay, again := dice.Float64(), dice.Float64(), dice.Float64(), dice.Float64()
	reorderBy := span(dice, c.ReorderBy, 8*time.Second)
	delayBy := span(dice, c.DelayBy, 2*time.Minute)
	pause := span(dice, c.ReorderBy, 8*time.Second)

	f := fate{dropped: drop < c.Drop}
	if reorder < c.Reorder {
		f.hold = reorderBy
	}
	if delay < c.Delay {
		f.hold = delayBy
	}
	if again < c.Duplicate {
		f.again, f.pause = true, pause
	}
	return f
}

// span draws a whole number of seconds from 1 to the limit.
func span(dice *rand.Rand, limit, otherwise time.Duration) time.Duration {
	if limit <= 0 {
		limit = otherwise
	}
	return time.Duration(1+dice.IntN(max(1, int(limit/time.Second)))) * time.Second
}
