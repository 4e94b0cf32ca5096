package attribution_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// sessionSource returns the source that describes a session.
func (h *house) sessionSource(session string) string {
	h.t.Helper()
	var source string
	err := h.db.Get(context.Background(), &source, `SELECT t.source FROM sessions s JOIN touches t ON t.account_id = s.account_id AND t.touch_id = s.touch_id
		WHERE s.account_id = ? AND s.session_id = ?`, h.account, session)
	if err != nil {
		h.t.Fatal(err)
	}
	return source
}

func TestDirectNeverOverwritesAKnownSourceInsideTheWindow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(3).ID)
		first := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		for _, c := range []struct {
			name string
			req  attribution.VisitRequest
			at   time.Time
			want string
		}{
			{"direct, a day later", page(site, ""), start.Add(day), "google"},
			{"from the payment page", attribution.VisitRequest{SiteKey: site.Key, Page: origin, Referrer: "https://www.paypal.com/", Origin: origin}, start.Add(2 * day), "google"},
			{"by another link", page(site, "?utm_source=bing&utm_medium=cpc"), start.Add(3 * day), "bing"},
			{"direct again", page(site, ""), start.Add(4 * day), "bing"},
			{"direct, inside ninety days", page(site, ""), start.Add(93*day - time.Minute), "bing"},
			{"direct, outside ninety days", page(site, ""), start.Add(93*day + time.Hour), "direct"},
		} {
			got := h.visit(back(c.req, first), c.at)
			if source := h.sessionSource(got.Session); source != c.want {
				t.Errorf("%s: got %s, want %s", c.name, source, c.want)
			}
		}
		// google, direct, bing, direct, direct, direct: a payment page is no arrival.
		if n := h.count(`SELECT count(*) FROM touches WHERE account_id = ? AND person = ?`, h.account, first.Visitor); n != 6 {
			t.Errorf("got %d touches, want 6", n)
		}
	})
}

func TestASessionGetsANewTouchOnlyForNewEvidence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(3).ID)
		google := "https://www.google.com/"
		at := start
		view := func(a attribution.VisitAnswer, query, referrer string) attribution.VisitAnswer {
			at = at.Add(5 * time.Minute)
			req := back(page(site, query), a)
			req.Referrer = referrer
			return h.visit(req, at)
		}
		a := view(attribution.VisitAnswer{}, "?gclid=1", google)
		for _, c := range []struct {
			query, referrer string
			touches         int
			source          string
		}{
			{"two", google, 1, "google"},                         // the page changed its address without loading
			{"?gclid=1", google, 1, "google"},                    // reloaded
			{"three", origin + "/two", 1, "google"},              // a link on the site
			{"", "", 1, "google"},                                // typed
			{"?gclid=2", google, 2, "google"},                    // another click
			{"?utm_source=june&utm_medium=email", "", 3, "june"}, // the newsletter
			{"", "https://partner.test/", 4, "partner.test"},
		} {
			got := view(a, c.query, c.referrer)
			if got.Session != a.Session {
				t.Errorf("%q: got session %s, want %s", c.query, got.Session, a.Session)
			}
			if n := h.count(`SELECT count(*) FROM touches WHERE account_id = ?`, h.account); n != c.touches {
				t.Errorf("%q from %q: got %d touches, want %d", c.query, c.referrer, n, c.touches)
			}
			if source := h.sessionSource(got.Session); source != c.source {
				t.Errorf("%q: got %s, want %s", c.query, source, c.source)
			}
			if got.Swap[printed] != a.Swap[printed] {
				t.Errorf("%q: got %s, want the number to stay %s", c.query, got.Swap[printed], a.Swap[printed])
			}
		}
	})
}

func TestIdsThatAreNotOfThisAccountAreReplaced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(3).ID)
		mine := h.visit(page(site, ""), start)
		own := h.account
		h.account = h.newAccount()
		foreign := h.newSite("")
		theirs := h.visit(page(foreign, ""), start)
		h.account = own
		for _, c := range []struct{ visitor, session string }{
			{theirs.Visitor, theirs.Session}, {"vis_nonsense", "ses_nonsense"}, {"", theirs.Session}, {strings.Repeat("x", 5000), "'; DROP TABLE visitors"},
		} {
			req := page(site, "")
			req.Visitor, req.Session = c.visitor, c.session
			got := h.visit(req, start.Add(time.Second))
			if got.Visitor == theirs.Visitor || got.Visitor == c.visitor || got.Session == theirs.Session || got.Visitor == mine.Visitor {
				t.Errorf("%.20q: got %s %s, want fresh ids", c.visitor, got.Visitor, got.Session)
			}
		}
		req := page(site, "")
		req.Session = mine.Session // cookies lost, session kept
		if got := h.visit(req, start.Add(time.Second)); got.Visitor != mine.Visitor || got.Session != mine.Session {
			t.Errorf("got %s %s, want the session's visitor back", got.Visitor, got.Session)
		}
	})
}

func TestEveryVisitSaysWhatItGotAndWhy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		radio := h.newSource(attribution.SourceDraft{Name: "Radio", Kind: "offline", Rules: []attribution.Rule{{Landing: "/radio"}}})
		h.addNumber("+13125550777", radio.ID, "", start)
		yes, no := true, false
		base := page(site, "")
		change := func(fn func(*attribution.VisitRequest)) attribution.VisitRequest {
			req := base
			fn(&req)
			return req
		}
		for _, c := range []struct {
			name   string
			req    attribution.VisitRequest
			want   attribution.Reason
			shown  string
			stored bool
		}{
			{"a crawler", change(func(r *attribution.VisitRequest) { r.UserAgent = "Mozilla/5.0 (compatible; Googlebot/2.1)" }), attribution.Bot, "", false},
			{"rendered ahead", change(func(r *attribution.VisitRequest) { r.Prerender = true }), attribution.Bot, "", false},
			{"own staff", change(func(r *attribution.VisitRequest) { r.Page += "?cw_exclude=1" }), attribution.Excluded, "", false},
			{"consent refused", change(func(r *attribution.VisitRequest) { r.Consent = &no }), attribution.NoConsent, "", false},
			{"opted out", change(func(r *attribution.VisitRequest) { r.OptOut = true; r.Consent = &yes }), attribution.NoConsent, "", false},
			{"no number on the page", change(func(r *attribution.VisitRequest) { r.Numbers = nil }), attribution.NoTarget, "", true},
			{"another number", change(func(r *attribution.VisitRequest) { r.Numbers = []string{"+13125550101", "tel", ""} }), attribution.NoTarget, "", true},
			{"its source has a number", change(func(r *attribution.VisitRequest) { r.Page += "radio" }), attribution.SourceNumber, "+13125550777", true},
			{"a phone called Cubot", change(func(r *attribution.VisitRequest) { r.UserAgent = "Mozilla/5.0 (Linux; Android 13; CUBOT X50)" }), attribution.Leased, number(0), true},
			{"nothing left", base, attribution.Overflow, "", true},
		} {
			got := h.visit(c.req, start)
			if got.Reason != c.want || got.Swap[printed] != c.shown {
				t.Errorf("%s: got %s %v, want %s %q", c.name, got.Reason, got.Swap, c.want, c.shown)
			}
			if (got.Visitor != "") != c.stored || (got.Session != "") != c.stored {
				t.Errorf("%s: got ids %q %q, want stored %v", c.name, got.Visitor, got.Session, c.stored)
			}
		}
		if n := h.count(`SELECT count(*) FROM visitors WHERE account_id = ?`, h.account); n != 5 {
			t.Errorf("got %d visitors stored, want 5", n)
		}
	})
}

func TestASiteThatNeedsConsentStoresNothingBeforeIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		required := attribution.ConsentRequired
		if _, err := h.ledger.UpdateSite(context.Background(), h.who(), site.ID, nil, attribution.SitePatch{Consent: &required}); err != nil {
			t.Fatal(err)
		}
		if got := h.visit(page(site, "?gclid=1"), start); got.Reason != attribution.NoConsent || got.Visitor != "" || len(got.Swap) != 0 {
			t.Errorf("got %+v, want no_consent and nothing else", got)
		}
		if n := h.count(`SELECT (SELECT count(*) FROM visitors) + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM touches) + (SELECT count(*) FROM leases)`); n != 0 {
			t.Errorf("got %d rows, want none", n)
		}
		yes := true
		req := page(site, "?gclid=1")
		req.Consent = &yes
		if got := h.visit(req, start); got.Reason != attribution.Leased {
			t.Errorf("agreed: got %s, want leased", got.Reason)
		}
	})
}

func TestNumbersOnThePageAreRecognisedAsPeopleWriteThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		req := page(site, "")
		req.Numbers = []string{"(312) 555-0100", printed, "+1 312 555 0199"}
		got := h.visit(req, start)
		if len(got.Swap) != 2 || got.Swap["(312) 555-0100"] != number(0) || got.Swap[printed] != number(0) {
			t.Errorf("got %v, want both writings of the printed number", got.Swap)
		}
	})
}

func TestForeignOriginsAndUnknownKeysAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite("")
		for _, from := range []string{"", "null", "https://evil.test", "https://shop.example.evil.test", "http://shop.example", "https://shop.example:8443"} {
			req := page(site, "")
			req.Origin = from
			_, err := h.ledger.Visit(context.Background(), req, start)
			kind(t, err, callwheel.Forbidden)
			kind(t, h.ledger.Beat(context.Background(), attribution.BeatRequest{SiteKey: site.Key, Session: "x", Origin: from}, start), callwheel.Forbidden)
		}
		req := page(site, "")
		req.SiteKey = "dni_unknown"
		_, err := h.ledger.Visit(context.Background(), req, start)
		kind(t, err, callwheel.NotFound)
		if err := h.ledger.RetireSite(context.Background(), h.who(), site.ID, nil); err != nil {
			t.Fatal(err)
		}
		_, err = h.ledger.Visit(context.Background(), page(site, ""), start)
		kind(t, err, callwheel.NotFound)
	})
}

func TestWithTheDatabaseAwayTheSiteIsStillKnown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite("")
		h.visit(page(site, ""), start)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		h.clock = start.Add(time.Hour) // what is remembered is stale by now
		if got, err := h.ledger.SiteByKey(context.Background(), site.Key); err != nil || got.ID != site.ID {
			t.Errorf("got %s, %v, want the remembered site", got.ID, err)
		}
		if _, err := h.ledger.Visit(context.Background(), page(site, ""), start.Add(time.Hour)); err == nil {
			t.Error("got no error, want one")
		}
	})
}

func TestVisitorsWhoNeverCalledAreForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(3).ID)
		caller := h.visit(page(site, "?utm_source=a"), start)
		h.attribute(h.ring(caller.Swap[printed], start.Add(time.Minute)))
		old := h.visit(page(site, "?utm_source=b"), start)
		recent := h.visit(page(site, "?utm_source=c"), start.Add(300*day))
		n, err := h.ledger.Forget(context.Background(), start.Add(401*day))
		if err != nil || n != 1 {
			t.Errorf("got %d, %v, want one forgotten", n, err)
		}
		for visitor, want := range map[string]int{caller.Visitor: 3, old.Visitor: 0, recent.Visitor: 3} {
			got := h.count(`SELECT (SELECT count(*) FROM visitors WHERE visitor_id = ?) + (SELECT count(*) FROM sessions WHERE visitor_id = ?) + (SELECT count(*) FROM touches WHERE person = ?)`, visitor, visitor, visitor)
			if got != want {
				t.Errorf("%s: got %d rows, want %d", visitor, got, want)
			}
		}
		if n, err := h.ledger.Forget(context.Background(), start.Add(401*day)); err != nil || n != 0 {
			t.Errorf("again: got %d, %v, want 0", n, err)
		}
	})
}
