package attribution_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// open is how long after its last beat a page still counts as open: two
// intervals. tail is how long a number of these tests' pools stays a session's.
const (
	open = time.Minute
	tail = open + 30*time.Minute
)

func TestACallBelongsToWhoHeldTheNumberWhenItStarted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc&utm_campaign=Spring&gclid=Cj0"), start)
		second := start.Add(2 * time.Hour)
		b := h.visit(page(site, "?utm_source=june&utm_medium=email"), second)
		us := time.Microsecond
		for _, c := range []struct {
			name       string
			at         time.Time
			verdict    attribution.Verdict
			method     attribution.Method
			source     string
			visitor    string
			candidates int
		}{
			{"before anybody held it", start.Add(-us), attribution.Untracked, attribution.MethodNone, "", "", 0},
			{"at the instant of the lease", start, attribution.Winner, attribution.MethodLease, "google", a.Visitor, 1},
			{"while the page is open", start.Add(open - us), attribution.Winner, attribution.MethodLease, "google", a.Visitor, 1},
			{"after the page fell silent", start.Add(open), attribution.Winner, attribution.MethodLeaseTail, "google", a.Visitor, 1},
			{"in the last instant of the tail", start.Add(tail - us), attribution.Winner, attribution.MethodLeaseTail, "google", a.Visitor, 1},
			{"at the end of the tail", start.Add(tail), attribution.Winner, attribution.MethodPastLease, "google", a.Visitor, 1},
			{"just before the next holder", second.Add(-us), attribution.Untracked, attribution.MethodNone, "", "", 1},
			{"at the next holder's first instant", second, attribution.Winner, attribution.MethodLease, "june", b.Visitor, 2},
			{"days later", second.Add(3 * day), attribution.Untracked, attribution.MethodNone, "", "", 2},
		} {
			call := h.ring(number(0), c.at)
			call.CallerKind, call.From = telephony.CallerAnonymous, "" // nothing is learnt from one call for the next
			source := h.attribute(call)
			e := h.evidence(call)
			if source != c.source || e.Verdict != c.verdict || e.Method != c.method || e.VisitorID != c.visitor || len(e.Candidates) != c.candidates {
				t.Errorf("%s: got %q %s %s %q with %d candidates, want %+v", c.name, source, e.Verdict, e.Method, e.VisitorID, len(e.Candidates), c)
			}
			sum := e.UntrackedWeight
			for _, one := range e.Candidates {
				sum += one.Weight
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("%s: weights add up to %v, want 1", c.name, sum)
			}
			if len(e.Why) == 0 || e.ModelVersion != attribution.ModelVersion || (e.Lease != nil) != (c.visitor != "") {
				t.Errorf("%s: evidence is incomplete: %+v", c.name, e)
			}
		}
		e := h.evidence(h.attributed(start.Add(2 * time.Second)))
		if e.Medium != "cpc" || e.Campaign != "Spring" || e.ClickIDs["gclid"] != "Cj0" || e.SessionID != a.Session || e.Rule != "click_id:gclid/"+attribution.RulesVersion {
			t.Errorf("got %+v, want everything of the touch", e.Classification)
		}
	})
}

// attributed is a call to the first number that has been attributed.
func (h *house) attributed(at time.Time) telephony.Call {
	h.t.Helper()
	c := h.ring(number(0), at)
	h.attribute(c)
	return c
}

func TestWhatHappensLaterNeverChangesTheAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(2).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		n := a.Swap[printed]
		calls := map[string]telephony.Call{
			"open":       h.ring(n, start.Add(30*time.Second)),
			"tail":       h.ring(n, start.Add(10*time.Minute)),
			"newsletter": h.ring(n, start.Add(16*time.Minute)),
			"gap":        h.ring(n, start.Add(50*time.Minute)),
			"again":      h.ring(n, start.Add(70*time.Minute)),
		}
		attribute := func(names ...string) {
			for _, name := range names {
				h.attribute(calls[name])
			}
		}
		attribute("open", "tail")
		h.beat(site, a.Session, start.Add(15*time.Minute))                                                       // back during the tail
		h.visit(back(page(site, "?utm_source=june&utm_medium=email"), a), start.Add(15*time.Minute+time.Second)) // by another link
		attribute("newsletter")
		attribute("gap")
		h.beat(site, a.Session, start.Add(60*time.Minute)) // after the end: taken back
		h.beat(site, a.Session, start.Add(69*time.Minute+30*time.Second))
		attribute("again")
		h.visit(page(site, "?utm_source=other"), start.Add(9*time.Hour))
		h.visit(page(site, "?utm_source=another"), start.Add(9*time.Hour))
		for name, want := range map[string]struct {
			source string
			method attribution.Method
		}{
			"open": {"google", attribution.MethodLease}, "tail": {"google", attribution.MethodLeaseTail}, "newsletter": {"june", attribution.MethodLease},
			"gap": {"june", attribution.MethodPastLease}, "again": {"june", attribution.MethodLease},
		} {
			if got := h.evidence(calls[name]); got.Source != want.source || got.Method != want.method {
				t.Errorf("%s: got %q %s, want %q %s", name, got.Source, got.Method, want.source, want.method)
			}
		}
		v, err := h.ledger.Verify(context.Background())
		if err != nil || v.Checked != 5 || len(v.Differ) != 0 || len(v.Missing) != 0 {
			t.Errorf("got %+v, %v, want five that agree", v, err)
		}
		h.exec(`UPDATE attributions SET visitor_id = 'vis_forged' WHERE account_id = ? AND call_id = ?`, h.account, calls["open"].ID)
		h.exec(`DELETE FROM attributions WHERE account_id = ? AND call_id = ?`, h.account, calls["tail"].ID)
		v, err = h.ledger.Verify(context.Background())
		if err != nil || len(v.Differ) != 1 || v.Differ[0] != calls["open"].ID || len(v.Missing) != 1 || v.Missing[0] != calls["tail"].ID {
			t.Errorf("got %+v, %v, want the forged and the missing one named", v, err)
		}
		if n, err := h.ledger.Repair(context.Background(), append(v.Missing, v.Differ...)); n != 2 || err != nil {
			t.Errorf("repair: got %d, %v", n, err)
		}
		if v, err = h.ledger.Verify(context.Background()); err != nil || v.Checked != 5 || len(v.Differ)+len(v.Missing) != 0 {
			t.Errorf("repaired: got %+v, %v, want five that agree", v, err)
		}
		h.exec(`UPDATE attributions SET method = 'imported', source = 'elsewhere' WHERE account_id = ? AND call_id = ?`, h.account, calls["open"].ID)
		h.ledger.Repair(context.Background(), []string{calls["open"].ID, "call_never"}) //nolint:errcheck // nothing to repair
		if got := h.evidence(calls["open"]); got.Source != "elsewhere" {
			t.Errorf("what was brought in from elsewhere was judged anew: %+v", got.Attribution)
		}
	})
}

func TestASourceNumberIsItsSourceAndReachesBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		radio := h.newSource(attribution.SourceDraft{Name: "Radio", Medium: "audio", Kind: "offline"})
		poster := h.newSource(attribution.SourceDraft{Name: "Poster", Kind: "offline"})
		n := "+13125550777"
		h.addNumber(n, radio.ID, "", start)
		h.bind(n, poster.ID, "", "Autumn", store.Micros(start.Add(10*day)))
		h.bind(n, "", "", "", store.Micros(start.Add(20*day)))
		if err := h.ledger.RetireSource(context.Background(), h.who(), poster.ID, nil); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			at                       time.Time
			source, medium, campaign string
			verdict                  attribution.Verdict
		}{
			{start.Add(-365 * day), "Radio", "audio", "", attribution.BySource},
			{start.Add(10*day - time.Microsecond), "Radio", "audio", "", attribution.BySource},
			{start.Add(10 * day), "Poster", "(none)", "Autumn", attribution.BySource}, // retired since, and still its own
			{start.Add(20 * day), "", "", "", attribution.Untracked},
		} {
			call := h.ring(n, c.at)
			source := h.attribute(call)
			if e := h.evidence(call); source != c.source || e.Medium != c.medium || e.Campaign != c.campaign || e.Verdict != c.verdict {
				t.Errorf("at %s: got %q %q %q %s, want %+v", c.at, source, e.Medium, e.Campaign, e.Verdict, c)
			}
		}
	})
}

func TestTheOverflowNumberIsNamedAsSuch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(1)
		shared := h.addNumber("+13125550999", "", "", start)
		if _, err := h.ledger.UpdatePool(context.Background(), h.who(), pool.ID, nil, attribution.PoolPatch{OverflowNumberID: &shared}); err != nil {
			t.Fatal(err)
		}
		call := h.ring("+13125550999", start)
		if got := h.attribute(call); got != "" {
			t.Errorf("got source %q, want none", got)
		}
		if e := h.evidence(call); e.Verdict != attribution.Untracked || e.Method != attribution.MethodOverflow || e.PoolID != pool.ID {
			t.Errorf("got %s %s %s, want untracked by the overflow number of %s", e.Verdict, e.Method, e.PoolID, pool.ID)
		}
		web := h.newSource(attribution.SourceDraft{Name: "Website"})
		h.bind("+13125550999", web.ID, "", "", store.Micros(start.Add(time.Hour)))
		later := h.ring("+13125550999", start.Add(2*time.Hour))
		if got := h.attribute(later); got != "Website" || h.evidence(later).Method != attribution.MethodOverflow {
			t.Errorf("bound to a source: got %q %s, want Website by the overflow number", got, h.evidence(later).Method)
		}
	})
}

func TestDirectVisitsCallInTheNameOfTheLastKnownSource(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		b := h.visit(back(page(site, ""), a), start.Add(5*day))
		if got := h.attribute(h.ring(b.Swap[printed], start.Add(5*day+time.Minute))); got != "google" {
			t.Errorf("got %q, want google", got)
		}
	})
}

func TestAttributingTwiceKeepsTheFirstAnswerAndOnePerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		call := h.ring(number(0), start.Add(time.Minute))
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if got, err := h.ledger.Attribute(context.Background(), call); err != nil || got != "google" {
					t.Errorf("got %q, %v, want google", got, err)
				}
			})
		}
		wg.Wait()
		if n := h.count(`SELECT count(*) FROM attributions WHERE account_id = ?`, h.account); n != 1 {
			t.Errorf("got %d attributions, want 1", n)
		}
		if n := h.count(`SELECT count(*) FROM person_links WHERE account_id = ? AND alias = ? AND person = ? AND call_id = ?`, h.account, a.Visitor, call.From, call.ID); n != 1 {
			t.Error("visitor and caller were not linked")
		}
		anonymous := h.ring(number(0), start.Add(2*time.Minute))
		anonymous.CallerKind, anonymous.From = telephony.CallerAnonymous, ""
		h.attribute(anonymous)
		if n := h.count(`SELECT count(*) FROM person_links WHERE account_id = ?`, h.account); n != 1 {
			t.Errorf("got %d links, want 1: an anonymous caller is nobody", n)
		}
	})
}

func TestSweepGivesTheAnswerThatWasMissed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		missed := h.ring(number(0), start.Add(30*time.Second))
		shell := h.ring(number(0), start.Add(2*time.Minute))
		h.exec(`UPDATE calls SET shell = TRUE WHERE call_id = ?`, shell.ID)
		outgoing := h.ring(number(0), start.Add(3*time.Minute))
		h.exec(`UPDATE calls SET direction = 'outbound' WHERE call_id = ?`, outgoing.ID)
		nameless := h.ring(number(0), start.Add(3*time.Minute))
		h.exec(`UPDATE calls SET tracking_number = NULL WHERE call_id = ?`, nameless.ID)
		h.visit(page(site, "?utm_source=other"), start.Add(5*time.Hour)) // somebody else holds it by now
		ctx := context.Background()
		if n, err := h.ledger.Sweep(ctx, start.Add(10*time.Minute)); err != nil || n != 1 {
			t.Errorf("got %d, %v, want 1", n, err)
		}
		if e := h.evidence(missed); e.Source != "google" || e.Method != attribution.MethodLease {
			t.Errorf("got %q %s, want google by lease", e.Source, e.Method)
		}
		if n, err := h.ledger.Sweep(ctx, start.Add(10*time.Minute)); err != nil || n != 0 {
			t.Errorf("again: got %d, %v, want 0", n, err)
		}
		if n, err := h.ledger.Sweep(ctx, start.Add(2*time.Hour)); err != nil || n != 1 {
			t.Errorf("after the shell's grace: got %d, %v, want 1", n, err)
		}
		for _, c := range []telephony.Call{outgoing, nameless} {
			if e := h.evidence(c); e.Verdict != attribution.Untracked || !e.AttributedAt.IsZero() {
				t.Errorf("got %+v, want a call that was not attributed", e)
			}
		}
	})
}

func TestAnotherAccountsCallHasNoEvidence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		h.visit(page(site, "?utm_source=google"), start)
		call := h.attributed(start)
		other := h.newAccount()
		_, err := h.ledger.Evidence(context.Background(), other, call.ID)
		kind(t, err, callwheel.NotFound)
		_, err = h.ledger.Evidence(context.Background(), h.account, "call_nonsense")
		kind(t, err, callwheel.NotFound)
		call.AccountID = other // the same number, asked for by somebody else
		if got := h.attribute(call); got != "" {
			t.Errorf("got %q, want nothing of another account", got)
		}
		found, err := h.ledger.ByCalls(context.Background(), h.account, []string{call.ID, "call_nonsense"})
		if err != nil || len(found) != 1 || found[call.ID].Source != "google" {
			t.Errorf("got %v, %v, want the one call", found, err)
		}
	})
}
