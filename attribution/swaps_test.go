package attribution_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// tell is what the script in a page says after it has looked at it.
func (h *house) tell(site attribution.Site, session, page string, found, swapped int, at time.Time, whys ...string) {
	h.t.Helper()
	err := h.ledger.Beat(context.Background(), attribution.BeatRequest{
		SiteKey: site.Key, Session: session, Origin: origin, Page: page, Found: found, Swapped: swapped, Failed: len(whys), Why: whys,
	}, at)
	if err != nil {
		h.t.Fatal(err)
	}
}

// sums are sessions, found and swapped of a page over all days.
func (h *house) sums(site attribution.Site, page string) string {
	h.t.Helper()
	var row struct {
		Sessions int `db:"sessions"`
		Found    int `db:"found"`
		Swapped  int `db:"swapped"`
	}
	err := h.db.Get(context.Background(), &row, `
		SELECT coalesce(sum(sessions), 0) AS sessions, coalesce(sum(found), 0) AS found, coalesce(sum(swapped), 0) AS swapped
		FROM swap_days WHERE account_id = ? AND site_id = ? AND page = ?`, h.account, site.ID, page)
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprint(row.Sessions, row.Found, row.Swapped)
}

func TestWhatAPageTellsIsCountedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(5).ID)
		ann := h.visit(page(site, "contact?utm_source=x"), start)
		h.expect(site, "/contact", "1 1 0") // the visit names one number
		h.tell(site, ann.Session, "", 3, 2, start.Add(time.Second), "input")
		h.tell(site, ann.Session, "", 3, 2, start.Add(30*time.Second), "input")
		h.tell(site, ann.Session, origin+"/contact?x=1#y", 3, 2, start.Add(60*time.Second), "input")
		h.expect(site, "/contact", "1 3 2")
		// More turns up, and then the page is loaded anew.
		h.tell(site, ann.Session, "", 4, 3, start.Add(90*time.Second), "input", "noswap", "strange")
		h.visit(back(page(site, "contact"), ann), start.Add(2*time.Minute))
		h.tell(site, ann.Session, "", 4, 3, start.Add(3*time.Minute), "input", "noswap", "strange")
		h.expect(site, "/contact", "1 4 3")
		// Another page, back again, and another visitor.
		h.visit(back(page(site, "offer"), ann), start.Add(4*time.Minute))
		h.tell(site, ann.Session, "", 1, 1, start.Add(4*time.Minute))
		h.tell(site, ann.Session, origin+"/contact", 4, 3, start.Add(5*time.Minute))
		h.expect(site, "/offer", "1 1 1")
		bob := h.visit(page(site, "contact"), start.Add(6*time.Minute))
		h.tell(site, bob.Session, "", 4, 0, start.Add(6*time.Minute), "late", "late")
		h.expect(site, "/contact", "2 8 3")
		for why, want := range map[string]int{"input": 1, "noswap": 1, "other": 1, "late": 2, "strange": 0} {
			if n := h.count(`SELECT coalesce(sum(failed), 0) FROM swap_failures WHERE account_id = ? AND why = ?`, h.account, why); n != want {
				t.Errorf("%s: got %d, want %d", why, n, want)
			}
		}
		// The day is the account's: 9:00 UTC is 4:00 in New York.
		if n := h.count(`SELECT count(*) FROM swap_days WHERE account_id = ? AND day = ?`, h.account, store.Micros(time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC))); n != 2 {
			t.Errorf("got %d rows of 2 March in New York, want 2", n)
		}
		// A stranger's session id counts nowhere.
		h.tell(site, "ses_nobody", origin+"/contact", 9, 9, start.Add(7*time.Minute))
		h.expect(site, "/contact", "2 8 3")
	})
}

func (h *house) expect(site attribution.Site, page, want string) {
	h.t.Helper()
	if got := h.sums(site, page); got != want {
		h.t.Errorf("%s: got %s, want %s (sessions, found, swapped)", page, got, want)
	}
}

// silent runs the watch and returns the gauge.
func silent(t *testing.T, h *house, reg *prometheus.Registry, now time.Time) float64 {
	t.Helper()
	if _, err := h.ledger.WatchSwaps(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	n, err := testutil.GatherAndCount(reg, "callwheel_attribution_dni_silent_pages")
	if err != nil || n != 1 {
		t.Fatalf("got %d gauges, %v", n, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "callwheel_attribution_dni_silent_pages" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func TestAPageThatSwapsNothingForADayWhileSessionsGoOnIsAnAlarm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		reg := prometheus.NewRegistry()
		h.ledger = attribution.NewLedger(db, attribution.Config{}, func() time.Time { return h.clock }, slog.New(slog.DiscardHandler), reg)
		site := h.newSite(h.newPool(20).ID)
		come := func(path string, swapped int, at time.Time) {
			a := h.visit(page(site, path), at)
			h.tell(site, a.Session, "", 1, swapped, at.Add(time.Second))
		}
		expect := func(at time.Time, want float64) {
			t.Helper()
			if got := silent(t, h, reg, at); got != want {
				t.Errorf("at %s: got %v silent pages, want %v", at.Sub(start), got, want)
			}
		}
		come("good", 1, start)
		come("bad", 1, start)
		come("bad", 0, start.Add(time.Hour)) // it breaks
		expect(start.Add(2*time.Hour), 0)
		come("good", 1, start.Add(23*time.Hour))
		come("bad", 0, start.Add(24*time.Hour))
		expect(start.Add(25*time.Hour-time.Second), 0)
		expect(start.Add(25*time.Hour+time.Second), 1)
		// Nobody comes any more: nothing is known of the page.
		expect(start.Add(49*time.Hour), 0)
		come("bad", 0, start.Add(50*time.Hour))
		expect(start.Add(50*time.Hour), 1)
		come("bad", 1, start.Add(51*time.Hour))
		expect(start.Add(51*time.Hour+time.Minute), 0)

		// A page without any number is no alarm while the site swaps elsewhere.
		without := page(site, "about")
		without.Numbers = nil
		h.visit(without, start.Add(51*time.Hour))
		h.visit(without, start.Add(75*time.Hour))
		expect(start.Add(75*time.Hour+time.Minute), 1) // the whole site has been silent for a day
		come("good", 1, start.Add(75*time.Hour+time.Minute))
		expect(start.Add(75*time.Hour+2*time.Minute), 0)
		if err := h.ledger.RetireSite(context.Background(), h.who(), site.ID, nil); err != nil {
			t.Fatal(err)
		}
		expect(start.Add(75*time.Hour+2*time.Minute), 0)

		removed, err := h.ledger.WatchSwaps(context.Background(), start.Add(480*day))
		if err != nil || removed == 0 || h.count(`SELECT count(*) FROM swap_days`)+h.count(`SELECT count(*) FROM swap_pages`) != 0 {
			t.Errorf("after 480 days: removed %d, %v", removed, err)
		}
	})
}

func TestTheFlagOfAPage(t *testing.T) {
	at := func(hours int) *time.Time { u := start.Add(-time.Duration(hours) * time.Hour); return &u }
	for _, c := range []struct {
		name string
		page attribution.SwapPage
		site *time.Time // when the site last swapped
		want string
	}{
		{"swaps", attribution.SwapPage{LastSessionAt: *at(1), LastSwappedAt: at(1), Numbered: true}, at(1), ""},
		{"new and broken", attribution.SwapPage{LastSessionAt: *at(1), SilentSince: at(23), Numbered: true}, nil, ""},
		{"broken for a day", attribution.SwapPage{LastSessionAt: *at(1), SilentSince: at(24), Numbered: true}, at(1), attribution.SwappedNothing},
		{"broken, nobody comes", attribution.SwapPage{LastSessionAt: *at(24), SilentSince: at(100), Numbered: true}, at(1), ""},
		{"no number on it", attribution.SwapPage{LastSessionAt: *at(1), SilentSince: at(100)}, at(2), attribution.NoNumber},
		{"no number, silent site", attribution.SwapPage{LastSessionAt: *at(1), SilentSince: at(100)}, at(30), attribution.SwappedNothing},
		{"no number, site never swapped", attribution.SwapPage{LastSessionAt: *at(1), SilentSince: at(100)}, nil, attribution.SwappedNothing},
	} {
		if got := c.page.Flag(c.site, start); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPagesOfASiteAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite("")
		err := h.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			for i := range 999 {
				if _, err := tx.Exec(ctx, `INSERT INTO swap_pages (account_id, site_id, page, first_session_at, last_session_at) VALUES (?, ?, ?, 1, 1)`,
					h.account, site.ID, fmt.Sprintf("/%d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"new", "newer", "newest", "7"} {
			h.visit(page(site, path), start)
		}
		h.expect(site, "/new", "1 1 0")
		h.expect(site, "/newer", "0 0 0")
		h.expect(site, attribution.OtherPages, "2 2 0")
		h.expect(site, "/7", "1 1 0")
		// One session cannot fill it either.
		a := h.visit(page(site, "p0"), start.Add(time.Hour))
		for i := range 40 {
			h.visit(back(page(site, fmt.Sprintf("p%d", i)), a), start.Add(time.Hour))
		}
		h.expect(site, attribution.OtherPages, "32 32 0")
	})
}

func TestWhoTakesConsentBackIsForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(2).ID)
		no := false
		refuse := func(a attribution.VisitAnswer) {
			req := back(page(site, ""), a)
			req.Consent = &no
			if got := h.visit(req, start.Add(time.Minute)); got.Reason != attribution.NoConsent || got.Visitor != "" || len(got.Swap) != 0 {
				t.Errorf("got %+v, want nothing", got)
			}
		}
		ann := h.visit(page(site, "?utm_source=x"), start)
		bob := h.visit(page(site, "?utm_source=y"), start)
		h.attribute(h.ring(bob.Swap[printed], start.Add(30*time.Second)))
		refuse(ann)
		refuse(bob)
		refuse(attribution.VisitAnswer{Visitor: "vis_nobody"})
		for table, column := range map[string]string{"visitors": "visitor_id", "sessions": "visitor_id", "touches": "person"} {
			if n := h.count(`SELECT count(*) FROM `+table+` WHERE `+column+` = ?`, ann.Visitor); n != 0 {
				t.Errorf("%s: %d rows of who took it back", table, n)
			}
			if n := h.count(`SELECT count(*) FROM `+table+` WHERE `+column+` = ?`, bob.Visitor); n != 1 {
				t.Errorf("%s: %d rows of who has called, want 1", table, n)
			}
		}
	})
}

func TestSomebodyElsesNameForAVisitorIsTheSameVisitor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site, other := h.newSite(h.newPool(4).ID), h.newSite("")
		named := func(site attribution.Site, name string) attribution.VisitAnswer {
			req := page(site, "")
			req.Known = name
			return h.visit(req, start)
		}
		first, again := named(site, "amp-abc"), named(site, "amp-abc")
		if first.Visitor != again.Visitor || first.Session != again.Session || first.Swap[printed] != again.Swap[printed] {
			t.Errorf("got %+v and %+v, want one visitor", first, again)
		}
		if b := named(site, "amp-xyz"); b.Visitor == first.Visitor || b.Swap[printed] == first.Swap[printed] {
			t.Error("another name is the same visitor")
		}
		if b := named(other, "amp-abc"); b.Visitor == first.Visitor {
			t.Error("the same name on another site is the same visitor")
		}
	})
}

func TestHowTheScriptBehavesIsSetBySite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		ctx := context.Background()
		site := h.newSite("")
		if want := (attribution.Script{CookieDays: 90, ConsentMode: attribution.ConsentModeIgnored}); site.Script != want {
			t.Errorf("defaults: got %+v, want %+v", site.Script, want)
		}
		days, yes, mode := int64(30), true, attribution.ConsentModeAds
		changed, err := h.ledger.UpdateSite(ctx, h.who(), site.ID, nil, attribution.SitePatch{
			ScriptPatch: attribution.ScriptPatch{CookieDays: &days, Cookieless: &yes, RespectDNT: &yes, ConsentMode: &mode},
		})
		if err != nil {
			t.Fatal(err)
		}
		byKey, err := h.ledger.SiteByKey(ctx, site.Key)
		want := attribution.Script{CookieDays: 30, Cookieless: true, RespectDNT: true, ConsentMode: mode}
		if err != nil || changed.Script != want || byKey.Script != want {
			t.Errorf("got %+v and %+v, %v, want %+v", changed.Script, byKey.Script, err, want)
		}
		days, mode = 396, "everything"
		_, err = h.ledger.UpdateSite(ctx, h.who(), site.ID, nil, attribution.SitePatch{ScriptPatch: attribution.ScriptPatch{CookieDays: &days, ConsentMode: &mode}})
		kind(t, err, callwheel.Invalid)
	})
}
