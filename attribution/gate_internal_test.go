package attribution

import (
	"net/netip"
	"testing"
	"time"
)

func TestTheFullerThePoolTheLessOneAddressGets(t *testing.T) {
	for name, c := range map[string]struct {
		crowd crowd
		want  refusalReason
	}{
		"the first of an address":                      {crowd{stocked: 100, free: 100}, ""},
		"a third newcomer of an empty house":           {crowd{stocked: 100, free: 98, newcomers: 2, live: 2, network: 2}, ""},
		"a fourth":                                     {crowd{stocked: 100, free: 97, newcomers: 3, live: 3, network: 3}, newcomersFirst},
		"a second newcomer of a house that is filling": {crowd{stocked: 100, free: 74, newcomers: 1, live: 1, network: 1}, newcomersFirst},
		"an office whose people are known to be there": {crowd{stocked: 100, free: 60, newcomers: 3, staying: 3, live: 6, network: 6}, ""},
		"an office that has its share of what is free": {crowd{stocked: 100, free: 60, staying: 7, live: 7, network: 7}, tooMany},
		"a small pool, four of one address":            {crowd{stocked: 10, free: 6, staying: 4, live: 4, network: 4}, tooMany},
		"the last fifth, an address that has one":      {crowd{stocked: 100, free: 20, staying: 1, live: 1, network: 1}, lastShare},
		"the last fifth, an address that has none":     {crowd{stocked: 100, free: 1}, ""},
		"a new address of a crowded street":            {crowd{stocked: 100, free: 40, network: 50}, networkTooMany},
		"an office of four while the pool is besieged": {crowd{stocked: 100, free: 50, staying: 3, live: 3, network: 3, besieged: true}, tooMany},
		"a street below its share":                     {crowd{stocked: 100, free: 40, network: 49}, ""},
		"a small pool, a street of eight":              {crowd{stocked: 10, free: 2, network: 7}, ""},
	} {
		if got := c.crowd.refuse(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAddressesAreCountedByWhatOneConnectionHas(t *testing.T) {
	g := newGate(30 * time.Second)
	at := func(text string) (uint64, uint64) { return g.places("acct_1", "pool_1", netip.MustParseAddr(text)) }
	host4, net4 := at("203.0.113.7")
	if h, n := at("203.0.113.8"); h == host4 || n != net4 {
		t.Error("two addresses of one /24: want two hosts of one network")
	}
	if _, n := at("203.0.114.7"); n == net4 {
		t.Error("another /24 is another network")
	}
	host6, net6 := at("2001:db8:1:2::3")
	if h, n := at("2001:db8:1:2:ffff::9"); h != host6 || n != net6 {
		t.Error("one /64 is one connection")
	}
	if h, n := at("2001:db8:1:3::3"); h == host6 || n != net6 {
		t.Error("two /64 of one /48: want two hosts of one network")
	}
	if h, _ := g.places("acct_1", "pool_2", netip.MustParseAddr("203.0.113.7")); h == host4 {
		t.Error("each pool counts for itself")
	}
	if h, _ := newGate(30*time.Second).places("acct_1", "pool_1", netip.MustParseAddr("203.0.113.7")); h == host4 {
		t.Error("the hash of an address is the same in another process")
	}
}

func TestTheGateForgets(t *testing.T) {
	g := newGate(30 * time.Second)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	sit := func(i int) {
		a := ask{accountID: "acct_1", pool: Pool{ID: "pool_1"}, now: now, address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
		host, network := g.places(a.accountID, a.pool.ID, a.address)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sit(host, network, a)
	}
	for i := range maxGateEntries * 6 / 5 {
		now = now.Add(time.Millisecond)
		sit(i)
		if len(g.guests) > maxGateEntries+2 {
			t.Fatalf("after %d addresses: %d are remembered", i, len(g.guests))
		}
	}
	now = now.Add(2 * time.Hour)
	sit(0)
	if len(g.guests) != 2 {
		t.Errorf("two hours later: got %d remembered, want the newest and its network", len(g.guests))
	}
}
