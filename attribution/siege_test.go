package attribution_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

const (
	hostileAddresses = 20
	hostilePerSecond = 200
)

// siegeSeconds is how long the siege lasts, on the moved clock: 10 s, or what
// SIEGE_SECONDS says.
func siegeSeconds(t *testing.T) int {
	text := os.Getenv("SIEGE_SECONDS")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SIEGE_SECONDS is %q", text)
	}
	return n
}

// siege is a pool that twenty addresses ask for numbers as fast as they can,
// while a genuine visitor comes every second from an address of their own.
type siege struct {
	*house
	site     attribution.Site
	beating  bool // the hostile pages tell that they are open
	mu       sync.Mutex
	hostile  map[string]int // leases by address, ever
	sessions map[string][]string
	genuine  []attribution.VisitAnswer
	answers  int
}

func (s *siege) ask(from netip.Addr, at time.Time) attribution.VisitAnswer {
	req := page(s.site, "?utm_source=x")
	req.Address = from
	a, err := s.ledger.Visit(context.Background(), req, at)
	if err != nil {
		s.t.Errorf("a visit failed: %v", err)
	}
	if a.Swap[printed] == "" {
		s.t.Errorf("a page was left without a number: %+v", a)
	}
	return a
}

func (s *siege) attack(i int, at time.Time) {
	from := netip.AddrFrom4([4]byte{198, 51, byte(100 + i%hostileAddresses/4), byte(i % hostileAddresses)})
	a := s.ask(from, at)
	s.mu.Lock()
	s.answers++
	if a.Reason == attribution.Leased {
		s.hostile[from.String()]++
		s.sessions[from.String()] = append(s.sessions[from.String()], a.Session)
	}
	var beats []string
	if s.beating && i%hostilePerSecond < hostileAddresses {
		beats = s.sessions[from.String()]
	}
	s.mu.Unlock()
	for _, session := range beats {
		s.beat(s.site, session, at)
	}
}

// run plays the seconds: within each, everything at once.
func (s *siege) run(seconds int) {
	type work struct {
		second, i int
	}
	for second := range seconds {
		todo := make(chan work, hostilePerSecond+1)
		for i := range hostilePerSecond {
			if i == second*37%hostilePerSecond {
				todo <- work{second, -1}
			}
			todo <- work{second, i}
		}
		close(todo)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for w := range todo {
					at := start.Add(time.Duration(w.second)*time.Second + time.Duration(max(w.i, 0))*5*time.Millisecond)
					if w.i >= 0 {
						s.attack(w.i, at)
						continue
					}
					a := s.ask(netip.AddrFrom4([4]byte{203, 0, byte(w.second), 9}), at)
					s.mu.Lock()
					s.genuine = append(s.genuine, a)
					s.mu.Unlock()
				}
			})
		}
		wg.Wait()
		for i, a := range s.genuine { // open pages beat every half minute
			if age := second - i; a.Reason == attribution.Leased && age > 0 && age%30 == 0 {
				s.beat(s.site, a.Session, start.Add(time.Duration(second)*time.Second+time.Millisecond*999))
			}
		}
	}
}

// S4: denial of attribution.
func TestTwentyHostileAddressesTakeNobodysNumber(t *testing.T) {
	seconds := siegeSeconds(t)
	for _, beating := range []bool{false, true} {
		t.Run(fmt.Sprintf("beating=%t", beating), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				h := newHouse(t, db)
				pool := h.newPool(100)
				overflow := h.addNumber("+13125550999", "", pool.ID, start)
				if _, err := h.ledger.UpdatePool(context.Background(), h.who(), pool.ID, nil, attribution.PoolPatch{OverflowNumberID: &overflow}); err != nil {
					t.Fatal(err)
				}
				s := &siege{house: h, site: h.newSite(pool.ID), beating: beating, hostile: map[string]int{}, sessions: map[string][]string{}}
				s.run(seconds)

				held := map[string]string{}
				served := 0
				for _, a := range s.genuine {
					if n := a.Swap[printed]; a.Reason == attribution.Leased && held[n] == "" {
						held[n] = a.Session
						served++
					}
				}
				if share := float64(served) / float64(seconds); share < 0.99 {
					t.Errorf("%d of %d genuine visitors got a number of their own: %.1f %%, want 99", served, seconds, 100*share)
				}
				most, all := 0, 0
				for _, n := range s.hostile {
					most, all = max(most, n), all+n
				}
				if s.answers != seconds*hostilePerSecond {
					t.Errorf("got %d answers to hostile visits, want %d", s.answers, seconds*hostilePerSecond)
				}
				if most > 4 {
					t.Errorf("one address got %d leases, want at most 4", most)
				}
				if n := h.count(overlappingLeases, h.account); n != 0 {
					t.Errorf("got %d overlapping leases, want none", n)
				}
				t.Logf("%d s, %d hostile visits: %d leases for 20 addresses, at most %d each; genuine %d of %d", seconds, s.answers, all, most, served, seconds)
			})
		})
	}
}

const overlappingLeases = `SELECT count(*) FROM leases a JOIN leases b ON a.account_id = b.account_id AND a.number = b.number AND a.lease_id < b.lease_id
	WHERE a.account_id = ? AND a.leased_from < b.leased_until AND b.leased_from < a.leased_until`
