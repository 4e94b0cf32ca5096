package attribution_test

import (
	"context"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func (h *house) leave(site attribution.Site, session string, at time.Time) {
	h.t.Helper()
	err := h.ledger.Beat(context.Background(), attribution.BeatRequest{SiteKey: site.Key, Session: session, Origin: origin, Left: true}, at)
	if err != nil {
		h.t.Fatal(err)
	}
}

// A page that says it was left is off screen at once; one that says nothing is
// given two intervals. A second word that it was left means nothing, and
// somebody who looks again starts the next lease.
func TestAPageThatWasLeftIsOffScreenAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, ""), start)
		n := a.Swap[printed]
		left := start.Add(20 * time.Second)
		h.leave(site, a.Session, left)
		h.leave(site, a.Session, left.Add(5*time.Second)) // the hidden tab was closed
		again := left.Add(time.Minute)
		h.beat(site, a.Session, again) // and opened again

		for _, one := range []struct {
			what   string
			at     time.Time
			screen bool
			shown  time.Time
		}{
			{"before it was left", start.Add(19 * time.Second), true, start.Add(19 * time.Second)},
			{"after it was left", left.Add(10 * time.Second), false, left},
			{"when it was opened again", again.Add(10 * time.Second), true, again},
			{"silent for a minute", again.Add(61 * time.Second), false, again},
		} {
			call := h.ring(n, one.at)
			h.attribute(call)
			got := h.evidence(call).Candidates
			if len(got) != 1 || got[0].OnScreen != one.screen || got[0].LastShownAt != store.Micros(one.shown) {
				t.Errorf("%s: got %+v, want one candidate, on screen %v, shown until %s", one.what, got, one.screen, one.shown)
			}
		}
		v, err := h.ledger.Verify(context.Background())
		if err != nil || v.Checked != 4 || len(v.Differ)+len(v.Missing) != 0 {
			t.Errorf("judged again: got %+v, %v, want 4 alike", v, err)
		}
	})
}

// The tail begins when the page was left, and is never cut short of what the
// page was promised before.
func TestTheTailBeginsWhenThePageWasLeft(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		until := func(want time.Duration) {
			t.Helper()
			if n := h.count(`SELECT count(*) FROM leases WHERE account_id = ? AND leased_until = ?`, h.account, store.Micros(start.Add(want))); n != 1 {
				t.Errorf("got %d leases until %s, want 1", n, want)
			}
		}
		a := h.visit(page(site, ""), start)
		h.leave(site, a.Session, start.Add(20*time.Second))
		until(open + 30*time.Minute)
		h.beat(site, a.Session, start.Add(10*time.Minute))
		h.leave(site, a.Session, start.Add(15*time.Minute)) // silent for longer than two intervals: seen until now
		until(45 * time.Minute)
		if got := h.visit(page(site, ""), start.Add(44*time.Minute)); got.Reason != attribution.Overflow {
			t.Errorf("during the tail: got %s, want overflow", got.Reason)
		}
	})
}
