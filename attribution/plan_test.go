package attribution_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func (h *house) plan(pool string, q attribution.PlanQuery, now time.Time) attribution.Plan {
	h.t.Helper()
	p, err := h.ledger.Plan(context.Background(), h.account, pool, q, now)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func val[T any](v T) *T { return &v }

// input finds a figure that a plan was computed from.
func input(t *testing.T, p attribution.Plan, name string) attribution.PlanInput {
	t.Helper()
	for _, in := range p.Inputs {
		if in.Name == name {
			return in
		}
	}
	t.Fatalf("the plan does not say what it took for %s", name)
	return attribution.PlanInput{}
}

func TestAPlanAnswersWhatIf(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(15)
		q := attribution.PlanQuery{VisitorsPerHour: val(60.0), SessionMinutes: val(5.0), TailMinutes: val(30.0), TargetAccuracy: val(0.7)}
		p := h.plan(pool.ID, q, start)
		// The oracle's figures: 35 erlangs need 47 numbers, and 15 are right about 0.574184.
		if p.Now != 15 || p.Numbers != 15 || math.Abs(p.Erlangs-35) > 1e-9 || p.ForOverflow == nil || *p.ForOverflow != 47 {
			t.Errorf("got %+v", p)
		}
		near(t, "accuracy", p.Accuracy, 0.5741840078549563, 1e-12)
		near(t, "overflow", p.Overflow, attribution.ErlangB(15, 35), 1e-12)
		near(t, "reuse gap", p.ReuseGapMinutes, 10, 1e-12)
		if p.ForAccuracy == nil || *p.ForAccuracy <= 20 || *p.ForAccuracy > 40 || *p.Needed != 47 { // 0.6346 at 20, 0.7114 at 40
			t.Errorf("got %v numbers for 70 %%", p.ForAccuracy)
		}
		if p.ForFivePoints == nil || attribution.HolderAccuracy(15+*p.ForFivePoints, 60, 5.0/60, attribution.DefaultDelays().Parts) < p.Accuracy+0.05 {
			t.Errorf("got %v numbers for five points", p.ForFivePoints)
		}
		q.Numbers = val(160)
		near(t, "accuracy of 160", h.plan(pool.ID, q, start).Accuracy, 0.8385714291617453, 1e-12)
		if again := h.plan(pool.ID, q, start); again.Now != 15 || again.Numbers != 160 {
			t.Errorf("what if 160: got %d now and %d asked", again.Now, again.Numbers)
		}
	})
}

func TestAPlanSaysWhenNoNumberOfNumbersHelps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(15)
		p := h.plan(pool.ID, attribution.PlanQuery{VisitorsPerHour: val(60.0), SessionMinutes: val(5.0), TailMinutes: val(0.0), TargetAccuracy: val(0.95)}, start)
		if p.ForAccuracy != nil || p.Needed != nil || !strings.Contains(p.Hopeless, "60 numbers") || !strings.Contains(strings.Join(p.Advice, " "), "identity") {
			t.Errorf("got %v numbers and %q; advice %q", p.ForAccuracy, p.Hopeless, p.Advice)
		}
		if p.ForOverflow == nil || *p.ForOverflow != 11 {
			t.Errorf("5 erlangs: got %v, want 11", p.ForOverflow)
		}
	})
}

func TestAPlanWeighsTheCostOfOneMoreNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(20)
		cost, err := callwheel.ParseMoney("1.15", "USD")
		if err != nil {
			t.Fatal(err)
		}
		p := h.plan(pool.ID, attribution.PlanQuery{VisitorsPerHour: val(60.0), SessionMinutes: val(5.0), TailMinutes: val(30.0), NumberCost: &cost}, start)
		if p.Cost == nil || p.Cost.Amount() != "23.00" {
			t.Errorf("20 numbers: got %v, want 23.00", p.Cost)
		}
		near(t, "gain", p.OneMore.Accuracy, attribution.HolderAccuracy(21, 60, 5.0/60, attribution.DefaultDelays().Parts)-p.Accuracy, 1e-9)
		if p.OneMore.CostPerPoint == nil || p.OneMore.CostPerPoint.Currency != "USD" {
			t.Fatalf("got no price for a point")
		}
		near(t, "price of a point", float64(p.OneMore.CostPerPoint.Micros)/1e6, 1.15/(100*p.OneMore.Accuracy), 0.01)
		before := attribution.PlanRow{Numbers: -1, Overflow: 1}
		for _, r := range p.ByNumbers {
			if r.Numbers <= before.Numbers || r.Accuracy < before.Accuracy || r.Overflow > before.Overflow {
				t.Errorf("by numbers: %+v after %+v", r, before)
			}
			before = r
		}
		for i, r := range p.ByTail {
			if i > 0 && (r.Erlangs <= p.ByTail[i-1].Erlangs || *r.Numbers < *p.ByTail[i-1].Numbers) {
				t.Errorf("by tail: %+v after %+v", r, p.ByTail[i-1])
			}
		}
	})
}

func TestAPlanIsComputedFromWhatWasMeasured(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(10)
		p := h.plan(pool.ID, attribution.PlanQuery{}, start)
		if in := input(t, p, "visitors_per_hour"); in.From != "assumed" || in.Value != 10 {
			t.Errorf("of nobody: got %+v, want an assumption", in)
		}
		if in := input(t, p, "tail_minutes"); in.From != "pool" || math.Abs(in.Value-41) > 1e-9 {
			t.Errorf("tail: got %+v, want 1 + 30 + 10", in)
		}
		// Forty whole hours; in the i-th, i visitors of six minutes. What an
		// address had too many of, and another pool's visitors, are no load.
		add := func(at time.Time, pool, lent string) {
			id := callwheel.NewID("ses")
			h.exec(`INSERT INTO sessions (account_id, session_id, visitor_id, site_id, started_at, last_beat_at, pool_id, lent) VALUES (?, ?, ?, 'site_1', ?, ?, ?, ?)`,
				h.account, id, id, store.Micros(at), store.Micros(at.Add(6*time.Minute)), pool, lent)
		}
		first := start.Add(-40 * time.Hour)
		for i := range 40 {
			for range i + 1 {
				add(first.Add(time.Duration(i)*time.Hour+time.Second), pool.ID, "leased")
			}
			add(first.Add(time.Duration(i)*time.Hour), pool.ID, "capped")
			add(first.Add(time.Duration(i)*time.Hour), "pool_other", "leased")
		}
		add(start.Add(-30*day), pool.ID, "leased") // before the window
		p = h.plan(pool.ID, attribution.PlanQuery{}, start)
		if in := input(t, p, "visitors_per_hour"); in.From != "measured" || in.Value != 38 {
			t.Errorf("visitors: got %+v, want the 38th of 40 hours", in)
		}
		if in := input(t, p, "session_minutes"); in.From != "measured" || math.Abs(in.Value-6) > 1e-9 {
			t.Errorf("session: got %+v, want 6 minutes", in)
		}
		near(t, "erlangs", p.Erlangs, 38*47.0/60, 1e-9)
		// Soon after the first visitor there is no percentile yet.
		if in := input(t, h.plan(pool.ID, attribution.PlanQuery{}, first.Add(10*time.Hour)), "visitors_per_hour"); in.Value != 10 || !strings.Contains(in.Detail, "busiest") {
			t.Errorf("after ten hours: got %+v, want the busiest", in)
		}
		_, err := h.ledger.Plan(context.Background(), h.account, "pool_none", attribution.PlanQuery{}, start)
		kind(t, err, callwheel.NotFound)
	})
}

func TestSessionsRememberWhetherThePoolServedThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(1)
		site := h.newSite(pool.ID)
		first := h.visit(page(site, ""), start)
		second := h.visit(page(site, ""), start)
		lent := func(a attribution.VisitAnswer, want string) {
			t.Helper()
			if n := h.count(`SELECT count(*) FROM sessions WHERE account_id = ? AND session_id = ? AND pool_id = ? AND lent = ?`, h.account, a.Session, pool.ID, want); n != 1 {
				t.Errorf("the session does not say %q", want)
			}
		}
		lent(first, "leased")
		lent(second, "empty")
		h.exec(`UPDATE pool_numbers SET free_at = 0, leased_until = 0, lease_id = '' WHERE account_id = ?`, h.account)
		third := h.visit(back(page(site, "two"), second), start.Add(time.Minute))
		lent(third, "leased")
		if got := h.visit(back(page(site, "two"), first), start.Add(time.Minute)); got.Reason != attribution.Overflow {
			t.Fatalf("got %s, want overflow: the number is somebody else's now", got.Reason)
		}
		lent(first, "leased") // it had one
	})
}

func TestASourcesOwnNumberIsShownWhenThePoolIsShort(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(1)
		site := h.newSite(pool.ID)
		source := h.newSource(attribution.SourceDraft{Name: "Letters", Rules: []attribution.Rule{{UTMSource: "letters"}}})
		h.addNumber("+13125550888", source.ID, "", start)
		overflow := h.addNumber("+13125550999", "", pool.ID, start)
		patch := attribution.PoolPatch{OverflowNumberID: &overflow}
		if _, err := h.ledger.UpdatePool(context.Background(), h.who(), pool.ID, nil, patch); err != nil {
			t.Fatal(err)
		}
		if got := h.visit(page(site, "?utm_source=letters"), start); got.Reason != attribution.SourceNumber || got.Swap[printed] != "+13125550888" {
			t.Errorf("first: got %s %v, want the source's number", got.Reason, got.Swap)
		}
		patch.SourceNumbers = val(attribution.SourceNumbersWhenShort)
		if _, err := h.ledger.UpdatePool(context.Background(), h.who(), pool.ID, nil, patch); err != nil {
			t.Fatal(err)
		}
		if got := h.visit(page(site, "?utm_source=letters"), start); got.Reason != attribution.Leased || got.Swap[printed] != number(0) {
			t.Errorf("when_short: got %s %v, want the pool's", got.Reason, got.Swap)
		}
		if got := h.visit(page(site, "?utm_source=letters"), start); got.Reason != attribution.Overflow || got.Swap[printed] != "+13125550888" {
			t.Errorf("and short: got %s %v, want the source's number", got.Reason, got.Swap)
		}
		if got := h.visit(page(site, "?utm_source=else"), start); got.Reason != attribution.Overflow || got.Swap[printed] != "+13125550999" {
			t.Errorf("a source without a number: got %s %v, want the overflow number", got.Reason, got.Swap)
		}
		_, err := h.ledger.UpdatePool(context.Background(), h.who(), pool.ID, nil, attribution.PoolPatch{SourceNumbers: val("never")})
		kind(t, err, callwheel.Invalid)
	})
}

func TestAShortLeaseEndsByItselfAndTheFirstBeatLengthensIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.glance(page(site, ""), start)
		short := a.LeaseUntil.Sub(start)
		if short < time.Minute || short > 2*time.Minute {
			t.Errorf("got a first lease of %s, want a minute or two", short)
		}
		if got := h.glance(page(site, ""), a.LeaseUntil.Add(-time.Microsecond)); got.Reason != attribution.Overflow {
			t.Errorf("before its end: got %s, want overflow", got.Reason)
		}
		b := h.glance(page(site, ""), a.LeaseUntil) // no rest after a page that vanished
		if b.Reason != attribution.Leased {
			t.Fatalf("after its end: got %s, want leased", b.Reason)
		}
		h.beat(site, b.Session, a.LeaseUntil.Add(30*time.Second))
		if got := h.glance(page(site, ""), b.LeaseUntil.Add(time.Minute)); got.Reason != attribution.Overflow {
			t.Errorf("after a beat: got %s, want the tail to be kept", got.Reason)
		}
		if n := h.count(overlappingLeases, h.account); n != 0 {
			t.Errorf("got %d overlapping leases, want none", n)
		}
	})
}
