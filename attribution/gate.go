package attribution

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/callwheel/callwheel/store"
)

// The gate keeps a few machines from taking a pool's numbers away from
// everybody else. It looks only at visitors who would begin a lease, and only at
// how many leases their address and its network have already.
//
// Addresses are kept in memory, hashed with a secret of the process, and for
// about an hour; none is written down. Each replica counts the leases that it
// began itself, so an address may hold as many times the caps as there are
// replicas; what a lease has become, and how full the pool is, are read from the
// database and are the same for all.

// Bounds of the gate.
const (
	freshNewcomers  = 3  // newcomers of one address while three quarters of the pool are free
	leastLive       = 4  // leases that an address may always have, but for the last fifth of the pool
	leastNetwork    = 8  // the same for a network
	leastBesieged   = 1  // as leastLive, while the pool is besieged
	leastSiege      = 20 // refusals within a minute or two that make a siege, when they are most of what is asked
	maxGateEntries  = 100_000
	longestWait     = time.Hour
	gateRefresh     = 5 * time.Second // how often the database is asked again about one newcomer
	gateSweep       = time.Minute
	gateForgetAfter = 10 * time.Minute // leases of addresses that did not come back
)

// Why a lease was refused.
type refusalReason string

const (
	poolEmpty      refusalReason = "empty"      // no number is free
	tooMany        refusalReason = "address"    // the address has its share of leases
	networkTooMany refusalReason = "network"    // its network has
	newcomersFirst refusalReason = "newcomers"  // its visitors before this one have not been heard of again yet
	lastShare      refusalReason = "last_share" // the pool is nearly full, and the address has a number
	mustWait       refusalReason = "waiting"    // its visitors before vanished without a sign
)

// crowd is what counts when an address asks for one more lease.
type crowd struct {
	stocked, free int // numbers of the pool
	newcomers     int // live leases of the address that were not heard of again
	staying       int // live leases of the address whose page went on telling that it is open
	live          int // all of the address
	network       int // all of its network
	besieged      bool
}

// refuse returns why the address may not have one more lease, "" when it may.
// The fuller the pool, the less one address gets: the caps are shares of what is
// free, so that whoever comes for the first time finds a number for longest.
func (c crowd) refuse() refusalReason {
	newcomers, live := 1+c.staying, max(leastLive, c.free/8)
	if c.besieged {
		live = max(leastBesieged, c.free/32)
	}
	if 4*c.free >= 3*c.stocked {
		newcomers = max(newcomers, freshNewcomers)
	}
	switch {
	case c.newcomers >= newcomers:
		return newcomersFirst
	case 5*c.free <= c.stocked && c.live > 0:
		return lastShare
	case c.live >= live:
		return tooMany
	case c.network >= max(leastNetwork, c.stocked/2):
		return networkTooMany
	}
	return ""
}

// seat is a lease that an address holds, as far as the gate knows.
type seat struct {
	accountID, session string
	begun, until       time.Time
	heard              time.Time // last sign of the page; begun when there was none
	checked            time.Time
	gone               bool
}

func (s *seat) newcomer(now time.Time, beat time.Duration) bool {
	return s.heard.Sub(s.begun) < beat/2 && now.Sub(s.begun) < 4*beat
}

// guest is what the gate remembers of an address or a network in one pool.
type guest struct {
	seats   []*seat
	strikes int       // times in a row that its newcomers vanished without a sign
	wait    time.Time // until when it is refused for that
}

func (g *guest) live() []*seat {
	kept := g.seats[:0]
	for _, s := range g.seats {
		if !s.gone {
			kept = append(kept, s)
		}
	}
	clear(g.seats[len(kept):])
	g.seats = kept
	return kept
}

// pulse counts what was asked of one pool's gate, in the present minute and the
// one before.
type pulse struct {
	since             time.Time
	admitted, refused [2]int
}

// besieged says whether a pool is asked mostly by addresses that have had their
// share. Then the caps are tighter, also for those that beat as pages do.
func (p *pulse) besieged(now time.Time) bool {
	if age := now.Sub(p.since); age >= 2*time.Minute || age < 0 {
		*p = pulse{since: now}
	} else if age >= time.Minute {
		p.since = now
		p.admitted, p.refused = [2]int{0, p.admitted[0]}, [2]int{0, p.refused[0]}
	}
	refused, admitted := p.refused[0]+p.refused[1], p.admitted[0]+p.admitted[1]
	return refused >= leastSiege && refused >= 2*admitted
}

func (p *pulse) count(why refusalReason) {
	if why == "" {
		p.admitted[0]++
	} else {
		p.refused[0]++
	}
}

// gate is safe for concurrent use. Its zero value is not usable.
type gate struct {
	seed  maphash.Seed
	first time.Duration // how long a lease lasts that is never heard of again
	beat  time.Duration

	mu      sync.Mutex
	guests  map[uint64]*guest
	pulses  map[string]*pulse // by pool
	swept   time.Time
	entries int // seats taken since the last sweep
}

func newGate(beat time.Duration) *gate {
	return &gate{seed: maphash.MakeSeed(), first: firstLease(beat), beat: beat, guests: map[uint64]*guest{}, pulses: map[string]*pulse{}}
}

// firstLease is how long a number is a visitor's whose page was not heard of
// again: two beats and a half, so that one may be lost.
func firstLease(beat time.Duration) time.Duration { return 5 * beat / 2 }

// places returns the hashed names of an address and of its network in a pool: a
// single IPv4 address in its /24, an IPv6 /64 (what one connection has) in its
// /48.
func (g *gate) places(accountID, poolID string, address netip.Addr) (host, network uint64) {
	hostBits, networkBits := 32, 24
	if address.Is6() {
		hostBits, networkBits = 64, 48
	}
	return g.place(accountID, poolID, address, hostBits), g.place(accountID, poolID, address, networkBits)
}

func (g *gate) place(accountID, poolID string, address netip.Addr, bits int) uint64 {
	var h maphash.Hash
	h.SetSeed(g.seed)
	h.WriteString(accountID)
	h.WriteByte(0)
	h.WriteString(poolID)
	h.WriteByte(0)
	prefix := netip.PrefixFrom(address, bits).Masked().Addr().As16()
	h.Write(prefix[:])
	h.Write(binary.AppendUvarint(nil, uint64(bits)))
	return h.Sum64()
}

// enter asks for a seat for a session whose visitor has none of the pool's
// numbers. It returns the seat, which the caller leaves again when the pool had
// no number after all, or why there is none. A zero address is nobody's: it
// always enters.
func (g *gate) enter(ctx context.Context, q store.Querier, a ask) (*seat, refusalReason, error) {
	if !a.address.IsValid() {
		return nil, "", nil
	}
	host, network := g.places(a.accountID, a.pool.ID, a.address)
	stale, wait := g.stale(host, network, a.now)
	if wait {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.pulse(a).count(mustWait)
		return nil, mustWait, nil
	}
	if err := g.refresh(ctx, q, a, stale); err != nil {
		return nil, "", err
	}
	var shelf shelfRow
	if err := q.Get(ctx, &shelf, shelfOfPool, store.Micros(a.now), a.accountID, a.pool.ID); err != nil {
		return nil, "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.count(host, network, shelf, a.now)
	c.besieged = g.pulse(a).besieged(a.now)
	why := c.refuse()
	g.pulse(a).count(why)
	if why != "" {
		return nil, why, nil
	}
	return g.sit(host, network, a), "", nil
}

func (g *gate) pulse(a ask) *pulse {
	p := g.pulses[a.pool.ID]
	if p == nil {
		p = &pulse{since: a.now}
		g.pulses[a.pool.ID] = p
	}
	return p
}

// sit adds a seat to an address and its network.
func (g *gate) sit(host, network uint64, a ask) *seat {
	g.sweep(a.now)
	s := &seat{accountID: a.accountID, session: a.sessionID, begun: a.now, heard: a.now, checked: a.now, until: a.now.Add(g.first)}
	for _, place := range []uint64{host, network} {
		one := g.guests[place]
		if one == nil {
			one = &guest{}
			g.guests[place] = one
		}
		one.seats = append(one.live(), s)
	}
	g.entries++
	return s
}

// rename gives a seat to the session that a second try of the visit began.
func (g *gate) rename(s *seat, session string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.session = session
}

// leave gives a seat back that led to no lease.
func (g *gate) leave(s *seat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.gone = true
}

// stale returns the seats about which the database may know more, and whether
// the address has to wait whatever it says.
func (g *gate) stale(host, network uint64, now time.Time) (list []*seat, wait bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one := g.guests[host]; one != nil {
		if now.Before(one.wait) {
			return nil, true
		}
		for _, s := range one.live() {
			if !now.Before(s.until) || s.newcomer(now, g.beat) && now.Sub(s.checked) >= gateRefresh {
				list = append(list, s)
			}
		}
	}
	if one := g.guests[network]; one != nil {
		for _, s := range one.live() {
			if !now.Before(s.until) && now.Sub(s.checked) >= gateRefresh && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list[:min(len(list), maxSigns)], false
}

// maxSigns bounds how many seats are looked up at once.
const maxSigns = 100

// refresh reads what became of the seats. An address all of whose newcomers
// vanished without a sign waits a minute, and twice as long each time.
func (g *gate) refresh(ctx context.Context, q store.Querier, a ask, stale []*seat) error {
	if len(stale) == 0 {
		return nil
	}
	sessions := make([]string, 0, len(stale))
	for _, s := range stale {
		sessions = append(sessions, s.session)
	}
	query, args, err := q.In(signsOfSessions, a.accountID, a.pool.ID, sessions)
	if err != nil {
		return err
	}
	var rows []signRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return err
	}
	signs := map[string]signRow{}
	for _, r := range rows {
		signs[r.SessionID] = r
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range stale {
		if r, ok := signs[s.session]; ok {
			s.heard, s.until = r.Heard.Time, r.Until.Time
		}
		s.checked = a.now
	}
	host, _ := g.places(a.accountID, a.pool.ID, a.address)
	if one := g.guests[host]; one != nil {
		one.judge(a.now)
	}
	return nil
}

// judge drops an address's seats whose lease has ended and counts strikes.
func (g *guest) judge(now time.Time) {
	vanished, heard := false, false
	for _, s := range g.seats {
		heard = heard || s.heard.After(s.begun)
		if s.gone || now.Before(s.until) {
			continue
		}
		vanished = vanished || !s.heard.After(s.begun)
		s.gone = true
	}
	g.live()
	switch {
	case heard:
		g.strikes, g.wait = 0, time.Time{}
	case vanished:
		g.wait = now.Add(min(longestWait, time.Minute<<min(g.strikes, 10)))
		g.strikes++
	}
}

// count says how many leases an address and its network have.
func (g *gate) count(host, network uint64, shelf shelfRow, now time.Time) crowd {
	c := crowd{stocked: shelf.Stocked, free: shelf.Free}
	if one := g.guests[host]; one != nil {
		for _, s := range one.live() {
			c.live++
			switch {
			case s.newcomer(now, g.beat):
				c.newcomers++
			case s.heard.Sub(s.begun) >= g.beat/2:
				c.staying++
			}
		}
	}
	if one := g.guests[network]; one != nil {
		for _, s := range one.live() {
			if now.Before(s.until) {
				c.network++
			}
		}
	}
	return c
}

// sweep forgets, once a minute, who has not come back; all at once when there
// are too many to be remembered.
func (g *gate) sweep(now time.Time) {
	if len(g.guests)+g.entries > maxGateEntries && now.Sub(g.swept) >= time.Second || now.Sub(g.swept) >= gateSweep || now.Before(g.swept) {
		g.swept, g.entries = now, 0
		for place, one := range g.guests {
			for _, s := range one.seats {
				s.gone = s.gone || now.Sub(s.until) >= gateForgetAfter
			}
			g.entries += len(one.live())
			if len(one.seats) == 0 && !now.Before(one.wait.Add(longestWait)) {
				delete(g.guests, place)
			}
		}
		for pool, p := range g.pulses {
			if now.Sub(p.since) >= 2*time.Minute {
				delete(g.pulses, pool)
			}
		}
	}
	if len(g.guests)+g.entries > maxGateEntries {
		clear(g.guests)
		g.entries = 0
	}
}

type shelfRow struct {
	Stocked int `db:"stocked"`
	Free    int `db:"free"`
}

type signRow struct {
	SessionID string     `db:"session_id"`
	Heard     store.Time `db:"heard"`
	Until     store.Time `db:"until"`
}

const shelfOfPool = `
SELECT count(number) AS stocked, COALESCE(sum(CASE WHEN free_at <= ? THEN 1 ELSE 0 END), 0) AS free
FROM pool_numbers
WHERE account_id = ? AND pool_id = ? AND stocked`

const signsOfSessions = `
SELECT session_id, max(last_beat_at) AS heard, max(leased_until) AS until
FROM leases
WHERE account_id = ? AND pool_id = ? AND session_id IN (?)
GROUP BY session_id`
