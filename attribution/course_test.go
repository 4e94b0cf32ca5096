package attribution_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// Property 1.5: whatever visitors do, no number is on two live leases, and nobody
// is told that none is free while one is.
func TestWhateverVisitorsDoNoNumberIsLentTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(5)
		for seed := range uint64(4) {
			site := h.newSite(pool.ID)
			dice := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // repeatable, not secret
			at := start.Add(time.Duration(seed) * 10 * day)
			var people []attribution.VisitAnswer
			for range 80 {
				at = at.Add(time.Duration(dice.IntN(600)) * time.Second)
				if dice.IntN(10) == 0 {
					at = at.Add(time.Duration(dice.IntN(120)) * time.Minute)
				}
				var got attribution.VisitAnswer
				switch what := dice.IntN(4); {
				case what == 0 && len(people) > 0: // an open page tells
					h.beat(site, people[dice.IntN(len(people))].Session, at)
				case what == 1 && len(people) > 0: // somebody comes back, perhaps from elsewhere
					who := dice.IntN(len(people))
					got = h.glance(back(page(site, []string{"", "?utm_source=x"}[dice.IntN(2)]), people[who]), at)
					people[who] = got
				default:
					got = h.glance(page(site, "?utm_source=new"), at)
					people = append(people, got)
				}
				if got.Reason != attribution.Overflow {
					continue
				}
				if free := h.count(`SELECT count(*) FROM pool_numbers WHERE account_id = ? AND free_at <= ?`, h.account, store.Micros(at)); free > 0 {
					t.Fatalf("course %d: none at %s while %d are free", seed, at, free)
				}
			}
		}
		if n := h.count(overlappingLeases, h.account); n != 0 {
			t.Errorf("got %d overlapping leases, want none", n)
		}
		if n := h.count(`SELECT count(*) FROM leases WHERE account_id = ?`, h.account); n < 50 {
			t.Errorf("got %d leases: the courses tried nothing", n)
		}
	})
}
