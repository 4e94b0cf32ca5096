package attribution_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// crowd lets n strangers arrive at once and returns what they were answered.
func (h *house) crowd(site attribution.Site, n int, at time.Time) []attribution.VisitAnswer {
	h.t.Helper()
	answers := make([]attribution.VisitAnswer, n)
	errs := make([]error, n)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			answers[i], errs[i] = h.ledger.Visit(context.Background(), page(site, "?utm_source=x"), at)
		})
	}
	close(gate)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return answers
}

// tally counts the leased numbers and fails on one that was given twice.
func tally(t *testing.T, answers []attribution.VisitAnswer) (leased, overflow int) {
	t.Helper()
	holder := map[string]string{}
	for _, a := range answers {
		switch a.Reason {
		case attribution.Leased:
			leased++
			n := a.Swap[printed]
			if other := holder[n]; other != "" {
				t.Errorf("%s was leased to %s and to %s", n, other, a.Session)
			}
			holder[n] = a.Session
		case attribution.Overflow:
			overflow++
		default:
			t.Errorf("got reason %s", a.Reason)
		}
	}
	return leased, overflow
}

func TestSixtyClaimantsNeverShareANumberAndNobodyIsToldEmptyWhileOneIsFree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(40).ID)
		for round := range 4 {
			at := start.Add(time.Duration(round) * 3 * time.Hour) // all numbers have rested by then
			leased, overflow := tally(t, h.crowd(site, 60, at))
			if leased != 40 || overflow != 20 {
				t.Errorf("round %d: got %d leased and %d overflow, want 40 and 20", round, leased, overflow)
			}
		}
		// The history itself holds no two holders of one number at one instant.
		if n := h.count(`SELECT count(*) FROM leases a JOIN leases b ON a.account_id = b.account_id AND a.number = b.number AND a.lease_id < b.lease_id
			WHERE a.account_id = ? AND a.leased_from < b.leased_until AND b.leased_from < a.leased_until`, h.account); n != 0 {
			t.Errorf("got %d overlapping leases, want none", n)
		}
	})
}

func TestFortyClaimantsForFortyNumbersAreAllServed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(40).ID)
		for round := range 4 {
			if leased, _ := tally(t, h.crowd(site, 40, start.Add(time.Duration(round)*3*time.Hour))); leased != 40 {
				t.Errorf("round %d: got %d leased, want 40", round, leased)
			}
		}
	})
}

func TestNumbersReleasedWhileACrowdAsksAreFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(20)
		site := h.newSite(pool.ID)
		if leased, _ := tally(t, h.crowd(site, 20, start)); leased != 20 {
			t.Fatalf("got %d leased, want 20", leased)
		}
		// All twenty are taken. Each release is followed by an ask that begins
		// after it: with as many asks as releases, all must be served.
		answers := make([]attribution.VisitAnswer, 20)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE pool_numbers SET leased_until = 0, free_at = 0, lease_id = '' WHERE account_id = ? AND number = ?`, h.account, number(i))
					return err
				})
				if err == nil {
					answers[i], err = h.ledger.Visit(context.Background(), page(site, "?utm_source=y"), start.Add(time.Minute))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if leased, overflow := tally(t, answers); leased != 20 {
			t.Errorf("got %d leased and %d overflow, want 20 leased", leased, overflow)
		}
	})
}

func TestANumberThatARivalOnlyTouchesIsNotTakenForLent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		errGivenUp := errors.New("the rival gave up")
		var once sync.Once
		locked, release, rival := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			rival <- db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
				if _, err := tx.Exec(ctx, `UPDATE pool_numbers SET free_at = 0 WHERE account_id = ?`, h.account); err != nil {
					return err
				}
				once.Do(func() { close(locked) })
				<-release
				return errGivenUp
			})
		}()
		<-locked
		answered := make(chan attribution.VisitAnswer, 1)
		go func() {
			a, err := h.ledger.Visit(context.Background(), page(site, ""), start)
			if err != nil {
				t.Error(err)
			}
			answered <- a
		}()
		// On SQLite the visit waits for the one writer; on PostgreSQL it must be
		// seen to wait for the row.
		for db.Dialect().Name() == "postgres" && len(answered) == 0 &&
			h.count(`SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database()`) == 0 {
			runtime.Gosched()
		}
		close(release)
		if err := <-rival; !errors.Is(err, errGivenUp) {
			t.Fatal(err)
		}
		if a := <-answered; a.Reason != attribution.Leased {
			t.Errorf("got %s while a number was free, want leased", a.Reason)
		}
	})
}

func TestTheNumberThatRestedLongestIsLentFirstAndCooldownIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(3).ID)
		var order []string
		for i := range 3 {
			order = append(order, h.visit(page(site, ""), start.Add(time.Duration(i)*time.Minute)).Swap[printed])
		}
		// Two intervals, 30 min tail, 10 min cooldown.
		free := start.Add(41 * time.Minute)
		if got := h.visit(page(site, ""), free.Add(-time.Microsecond)); got.Reason != attribution.Overflow || len(got.Swap) != 0 {
			t.Errorf("while all rest: got %s %v, want overflow", got.Reason, got.Swap)
		}
		for i := range 3 {
			got := h.visit(page(site, ""), free.Add(time.Duration(i)*time.Minute))
			if got.Swap[printed] != order[i] {
				t.Errorf("lease %d: got %s, want %s", i, got.Swap[printed], order[i])
			}
		}
	})
}

// Two numbers: one that many saw since this morning, and has rested longer; and
// one that only one visitor saw.
func TestTheNumberWhosePastHoldersAreLeastLikelyToCallIsLentNext(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(2).ID)
		busy := h.visit(page(site, ""), start).Swap[printed]
		calm := h.visit(page(site, ""), start.Add(time.Minute)).Swap[printed]
		h.exec(`UPDATE pool_numbers SET stocked = FALSE WHERE number = ?`, calm)
		at := start
		for range 4 {
			at = at.Add(42 * time.Minute)
			if got := h.visit(page(site, ""), at).Swap[printed]; got != busy {
				t.Fatalf("got %s, want the only one there is", got)
			}
		}
		h.exec(`UPDATE pool_numbers SET stocked = TRUE WHERE number = ?`, calm)
		if got := h.visit(page(site, ""), at.Add(time.Minute)).Swap[printed]; got != calm {
			t.Fatalf("got %s, want %s", got, calm)
		}
		// Both are free and were last shown nearly at once: the busy one a minute
		// earlier. The calm one has had two holders, the busy one five.
		if got := h.visit(page(site, ""), at.Add(2*time.Hour)).Swap[printed]; got != calm {
			t.Errorf("got %s, want %s: fewer are left who may call it", got, calm)
		}
		if got := h.visit(page(site, ""), at.Add(2*time.Hour+time.Minute)).Swap[printed]; got != busy {
			t.Errorf("got %s, want %s, the other one", got, busy)
		}
	})
}

func TestAVisitorKeepsTheNumberAndGetsItBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(5).ID)
		first := h.visit(page(site, "?utm_source=a"), start)
		n := first.Swap[printed]
		again := h.visit(back(page(site, "two"), first), start.Add(time.Minute))
		if again.Swap[printed] != n || again.Session != first.Session || again.Visitor != first.Visitor {
			t.Errorf("next page: got %+v, want the number and ids of %+v", again, first)
		}
		if !again.LeaseUntil.After(first.LeaseUntil) {
			t.Errorf("next page: until %s did not move past %s", again.LeaseUntil, first.LeaseUntil)
		}
		resting := h.visit(back(page(site, ""), first), again.LeaseUntil.Add(time.Minute))
		if resting.Swap[printed] != n {
			t.Errorf("while it rests: got %s, want %s", resting.Swap[printed], n)
		}
		if resting.Session == first.Session {
			t.Error("after half an hour of silence: got the old session, want a new one")
		}
		nextDay := h.visit(back(page(site, ""), first), start.Add(day))
		if nextDay.Swap[printed] != n {
			t.Errorf("the next day, still free: got %s, want %s", nextDay.Swap[printed], n)
		}
	})
}

func TestBeatsKeepANumberAndNeverShortenIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, ""), start)
		at := start
		for range 200 { // 100 minutes of an open page
			at = at.Add(30 * time.Second)
			h.beat(site, a.Session, at)
		}
		if n := h.count(`SELECT count(*) FROM leases WHERE account_id = ?`, h.account); n != 1 {
			t.Errorf("got %d leases for one stretch of presence, want 1", n)
		}
		h.beat(site, a.Session, start) // late on the wire, or a clock that jumped
		want := store.Micros(at.Add(open + 30*time.Minute))
		if n := h.count(`SELECT count(*) FROM leases WHERE account_id = ? AND leased_until = ? AND last_beat_at = ?`, h.account, want, store.Micros(at)); n != 1 {
			t.Error("a late beat moved the end of the lease")
		}
		if n := h.count(`SELECT count(*) FROM sessions WHERE account_id = ? AND found = 2 AND swapped = 1 AND failed = 1 AND last_beat_at = ?`, h.account, store.Micros(at)); n != 1 {
			t.Error("the session does not hold what the page told")
		}
		if got := h.visit(page(site, ""), at.Add(31*time.Minute)); got.Reason != attribution.Overflow {
			t.Errorf("somebody else during the tail: got %s, want overflow", got.Reason)
		}
	})
}

func TestALapsedLeaseIsRevivedOnlyWhileNobodyElseHadTheNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, ""), start)
		h.beat(site, a.Session, start.Add(50*time.Minute)) // the laptop woke up, the page still shows it
		live := func(session string, at time.Time) int {
			return h.count(`SELECT count(*) FROM leases WHERE account_id = ? AND session_id = ? AND leased_from <= ? AND leased_until > ?`,
				h.account, session, store.Micros(at), store.Micros(at))
		}
		if live(a.Session, start.Add(51*time.Minute)) != 1 {
			t.Error("the number was nobody else's: want it back")
		}
		if live(a.Session, start.Add(40*time.Minute)) != 0 {
			t.Error("the gap before it came back must stay a gap")
		}
		b := h.visit(page(site, ""), start.Add(5*time.Hour))
		if b.Reason != attribution.Leased {
			t.Fatalf("got %s, want leased", b.Reason)
		}
		h.beat(site, a.Session, start.Add(5*time.Hour+time.Second))
		h.beat(site, "ses_garbage", start)
		if live(a.Session, start.Add(5*time.Hour+2*time.Second)) != 0 || live(b.Session, start.Add(5*time.Hour+2*time.Second)) != 1 {
			t.Error("a beat took a number away from its holder")
		}
	})
}

func TestShelvesFollowTheTrackingNumbers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(2)
		site := h.newSite(pool.ID)
		shared := h.addNumber("+13125550999", "", pool.ID, start)
		if _, err := h.ledger.UpdatePool(context.Background(), h.who(), pool.ID, nil, attribution.PoolPatch{OverflowNumberID: &shared}); err != nil {
			t.Fatal(err)
		}
		if leased, _ := tally(t, h.crowd(site, 4, start)); leased != 2 {
			t.Errorf("got %d leased, want 2: the overflow number is never lent", leased)
		}
		if got := h.visit(page(site, ""), start); got.Reason != attribution.Overflow || got.Swap[printed] != "+13125550999" {
			t.Errorf("got %s %v, want overflow with the shared number", got.Reason, got.Swap)
		}
		// Bought a minute ago, and nobody has stocked it: the visit finds it.
		h.addNumber(number(7), "", pool.ID, start)
		if got := h.visit(page(site, ""), start); got.Swap[printed] != number(7) {
			t.Errorf("got %v, want the new number", got.Swap)
		}
		h.exec(`UPDATE tracking_numbers SET state = 'draining' WHERE account_id = ? AND number = ?`, h.account, number(0))
		if n, err := h.ledger.Restock(context.Background(), start); err != nil || n != 1 {
			t.Errorf("got %d, %v, want one number taken off the shelf", n, err)
		}
		if n, err := h.ledger.Restock(context.Background(), start); err != nil || n != 0 {
			t.Errorf("again: got %d, %v, want nothing to do", n, err)
		}
		later := start.Add(3 * time.Hour)
		if leased, _ := tally(t, h.crowd(site, 4, later)); leased != 2 {
			t.Errorf("after one was taken away: got %d leased, want 2", leased)
		}
	})
}

func TestReapingChangesNothingButTheMark(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(2).ID)
		a := h.visit(page(site, ""), start)
		if n, err := h.ledger.Reap(context.Background(), start.Add(time.Minute)); err != nil || n != 0 {
			t.Errorf("while it runs: got %d, %v, want 0", n, err)
		}
		if n, err := h.ledger.Reap(context.Background(), start.Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("after its end: got %d, %v, want 1", n, err)
		}
		if got := h.visit(back(page(site, ""), a), start.Add(2*time.Hour)); got.Swap[printed] != a.Swap[printed] {
			t.Errorf("after reaping: got %s, want the visitor's %s", got.Swap[printed], a.Swap[printed])
		}
	})
}
