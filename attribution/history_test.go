package attribution_test

import (
	"context"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// changePool edits a pool and fails the test when that is refused.
func (h *house) changePool(id string, patch attribution.PoolPatch) {
	h.t.Helper()
	if _, err := h.ledger.UpdatePool(context.Background(), h.who(), id, nil, patch); err != nil {
		h.t.Fatal(err)
	}
}

// unchanged fails the test when an attribution does not follow from the facts.
func (h *house) unchanged() {
	h.t.Helper()
	v, err := h.ledger.Verify(context.Background())
	if err != nil || len(v.Differ) > 0 || v.Checked == 0 {
		h.t.Errorf("verify: %+v, %v", v, err)
	}
}

func TestWhichNumberWasTheOverflowNumberIsNotForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(1)
		shared, other := h.addNumber("+13125550999", "", "", start), h.addNumber("+13125550998", "", "", start)
		h.changePool(pool.ID, attribution.PoolPatch{OverflowNumberID: &shared})
		c := h.ring("+13125550999", start)
		h.attribute(c)
		h.clock = start.Add(time.Hour)
		h.changePool(pool.ID, attribution.PoolPatch{OverflowNumberID: &other})
		h.unchanged()
		h.exec(`DELETE FROM attributions WHERE call_id = ?`, c.ID)
		h.attribute(c)
		if e := h.evidence(c); e.Method != attribution.MethodOverflow || e.PoolID != pool.ID {
			t.Errorf("asked again: got %s of pool %q, want overflow_number of %s", e.Method, e.PoolID, pool.ID)
		}
	})
}

func TestTheMediumThatASourceHadIsNotForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		h.clock = start.Add(-time.Hour)
		source, err := h.ledger.CreateSource(context.Background(), h.who(), attribution.SourceDraft{Name: "Village paper", Medium: "print", Kind: "offline"})
		if err != nil {
			t.Fatal(err)
		}
		h.addNumber("+13125550777", source.ID, "", start.Add(-time.Hour))
		first := h.ring("+13125550777", start)
		h.attribute(first)
		for i, medium := range []string{"leaflet", "email"} {
			h.clock = start.Add(time.Duration(i+1) * time.Hour)
			if _, err := h.ledger.UpdateSource(context.Background(), h.who(), source.ID, nil, attribution.SourcePatch{Medium: &medium}); err != nil {
				t.Fatal(err)
			}
		}
		between := h.ring("+13125550777", start.Add(90*time.Minute))
		before := h.ring("+13125550777", start.Add(-2*time.Hour)) // a source number reaches back without end
		h.attribute(between)
		h.attribute(before)
		h.unchanged()
		h.exec(`DELETE FROM attributions WHERE call_id = ?`, first.ID)
		h.attribute(first)
		for _, c := range []struct {
			call   telephony.Call
			medium string
		}{{first, "print"}, {between, "leaflet"}, {before, "print"}} {
			if e := h.evidence(c.call); e.Medium != c.medium || e.Candidates[0].Medium != c.medium {
				t.Errorf("a call of %s: got %q, want %q", c.call.StartedAt, e.Medium, c.medium)
			}
		}
		h.exec(`UPDATE attributions SET medium = 'radio' WHERE call_id = ?`, between.ID)
		if v, err := h.ledger.Verify(context.Background()); err != nil || len(v.Differ) != 1 || v.Differ[0] != between.ID {
			t.Errorf("verify: %+v, %v; want %s to differ", v, err, between.ID)
		}
	})
}

func TestANumberThatBecomesTheOverflowNumberIsNobodysAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(1)
		site := h.newSite(pool.ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), h.clock.Add(-time.Minute))
		var id string
		if err := db.Get(context.Background(), &id, `SELECT number_id FROM tracking_numbers WHERE account_id = ? AND number = ?`, h.account, a.Swap[printed]); err != nil {
			t.Fatal(err)
		}
		h.changePool(pool.ID, attribution.PoolPatch{OverflowNumberID: &id})
		later := h.clock.Add(time.Minute)
		if b := h.visit(page(site, "?utm_source=june&utm_medium=email"), later); b.Swap[printed] != a.Swap[printed] || b.Reason != attribution.Overflow {
			t.Fatalf("got %s %v, want the number as overflow", b.Reason, b.Swap)
		}
		c := h.ring(a.Swap[printed], later.Add(time.Minute))
		if got := h.attribute(c); got != "" {
			t.Errorf("a number that everybody is shown was credited to %q: %v", got, h.evidence(c).Why)
		}
		h.unchanged()
	})
}

func TestAVisitorWhoComesBackDuringTheTailKeepsTheNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(1)
		tail := int64(7200)
		h.changePool(pool.ID, attribution.PoolPatch{LeaseTailSeconds: &tail})
		site := h.newSite(pool.ID)
		a := h.visit(page(site, "?utm_source=a"), start)
		b := h.visit(back(page(site, ""), a), start.Add(45*time.Minute))
		if b.Session == a.Session {
			t.Fatal("the session went on")
		}
		if b.Reason != attribution.Leased || b.Swap[printed] != a.Swap[printed] {
			t.Errorf("got %s %v, want %v again", b.Reason, b.Swap, a.Swap)
		}
		c := h.ring(a.Swap[printed], start.Add(46*time.Minute))
		h.attribute(c)
		if e := h.evidence(c); e.SessionID != b.Session || e.VisitorID != a.Visitor {
			t.Errorf("got session %s of visitor %s, want %s of %s", e.SessionID, e.VisitorID, b.Session, a.Visitor)
		}
		if n := h.count(overlappingLeases, h.account); n != 0 {
			t.Errorf("%d leases overlap", n)
		}
	})
}

func TestAPageKeepsItsNumberWhileTheNumberDrains(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=a"), start)
		h.exec(`UPDATE tracking_numbers SET state = 'draining' WHERE account_id = ?`, h.account)
		if _, err := h.ledger.Restock(context.Background(), start); err != nil {
			t.Fatal(err)
		}
		at := start
		for range 90 {
			at = at.Add(30 * time.Second)
			h.beat(site, a.Session, at)
		}
		c := h.ring(a.Swap[printed], at)
		if got := h.attribute(c); got != "a" || h.evidence(c).Method != attribution.MethodLease {
			t.Errorf("got %q by %s, want a by lease", got, h.evidence(c).Method)
		}
		if b := h.visit(page(site, "?utm_source=b"), at); b.Reason == attribution.Leased {
			t.Error("a draining number was lent")
		}
	})
}

func TestAClockThatLagsDoesNotRewriteHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=a"), start)
		h.beat(site, a.Session, start.Add(time.Second))
		c := h.ring(a.Swap[printed], start.Add(100*time.Millisecond))
		h.attribute(c)
		h.visit(back(page(site, "?utm_source=b"), a), start.Add(-2*time.Second))
		h.unchanged()
		if n := h.count(`SELECT count(*) FROM leases WHERE account_id = ? AND leased_until < leased_from`, h.account); n != 0 {
			t.Errorf("%d leases end before they begin", n)
		}
	})
}
