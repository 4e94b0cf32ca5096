package attribution_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// version is a version to be expected.
func version(v int64) *int64 { return &v }

// start is when the stories of these tests begin.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	origin  = "https://shop.example"
	printed = "+13125550100"
)

// house is one account with a ledger over a database of its own.
type house struct {
	t       *testing.T
	db      *store.DB
	ledger  *attribution.Ledger
	account string
	clock   time.Time
}

func newHouse(t *testing.T, db *store.DB) *house {
	h := &house{t: t, db: db, clock: start}
	h.ledger = attribution.NewLedger(db, attribution.Config{}, func() time.Time { return h.clock }, slog.New(slog.DiscardHandler), nil)
	h.account = h.newAccount()
	return h
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	err := h.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) count(query string, args ...any) int {
	h.t.Helper()
	var n int
	if err := h.db.Get(context.Background(), &n, query, args...); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) newAccount() string {
	id := callwheel.NewID("acct")
	h.exec(`INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES (?, 'Shop', 'America/New_York', 'USD', ?)`, id, store.Micros(start))
	return id
}

// who is the operator of the account.
func (h *house) who() account.Identity { return account.Operator(h.account) }

func number(i int) string { return fmt.Sprintf("+1312555%04d", 1000+i) }

// addNumber owns a number that stands for a source or a pool from at on, as the
// telephony room writes it.
func (h *house) addNumber(e164, sourceID, poolID string, at time.Time) string {
	h.t.Helper()
	id := callwheel.NewID("num")
	h.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, source_id, pool_id, created_at) VALUES (?, ?, ?, 'active', ?, ?, ?)`,
		h.account, id, e164, sourceID, poolID, store.Micros(at))
	if sourceID == "" && poolID == "" {
		return id
	}
	from := store.Micros(at)
	if sourceID != "" {
		from = 0
	}
	h.bind(e164, sourceID, poolID, "", from)
	return id
}

func (h *house) bind(e164, sourceID, poolID, campaign string, from int64) {
	h.t.Helper()
	h.exec(`INSERT INTO number_bindings (account_id, number, bound_from, source_id, pool_id, campaign, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		h.account, e164, from, sourceID, poolID, campaign, store.Micros(start))
}

// newPool makes a pool of n numbers.
func (h *house) newPool(n int) attribution.Pool {
	h.t.Helper()
	p, err := h.ledger.CreatePool(context.Background(), h.who(), attribution.PoolDraft{Name: callwheel.NewID("pool")})
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range n {
		h.addNumber(number(i), "", p.ID, start.Add(-day))
	}
	if err := h.ledger.Stock(context.Background(), h.account); err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) newSite(poolID string) attribution.Site {
	h.t.Helper()
	s, err := h.ledger.CreateSite(context.Background(), h.who(), attribution.SiteDraft{
		Name: callwheel.NewID("site"), Origins: []string{origin}, PoolID: poolID, Swap: []string{printed},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) newSource(d attribution.SourceDraft) attribution.Source {
	h.t.Helper()
	s, err := h.ledger.CreateSource(context.Background(), h.who(), d)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func page(site attribution.Site, query string) attribution.VisitRequest {
	return attribution.VisitRequest{SiteKey: site.Key, Page: origin + "/" + query, Numbers: []string{printed}, Origin: origin}
}

// visit is a page view, and the beat by which the page says that somebody looks
// at it.
func (h *house) visit(req attribution.VisitRequest, at time.Time) attribution.VisitAnswer {
	h.t.Helper()
	a := h.glance(req, at)
	if a.Reason == attribution.Leased {
		if err := h.ledger.Beat(context.Background(), attribution.BeatRequest{SiteKey: req.SiteKey, Session: a.Session, Origin: origin}, at); err != nil {
			h.t.Fatal(err)
		}
	}
	return a
}

// glance is a page view that is never heard of again.
func (h *house) glance(req attribution.VisitRequest, at time.Time) attribution.VisitAnswer {
	h.t.Helper()
	a, err := h.ledger.Visit(context.Background(), req, at)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// back is the next page view of somebody who was answered before.
func back(req attribution.VisitRequest, a attribution.VisitAnswer) attribution.VisitRequest {
	req.Visitor, req.Session = a.Visitor, a.Session
	return req
}

func (h *house) beat(site attribution.Site, session string, at time.Time) {
	h.t.Helper()
	err := h.ledger.Beat(context.Background(), attribution.BeatRequest{SiteKey: site.Key, Session: session, Origin: origin, Found: 2, Swapped: 1, Failed: 1}, at)
	if err != nil {
		h.t.Fatal(err)
	}
}

// ring is a call to a number as the telephony room keeps it.
func (h *house) ring(e164 string, at time.Time) telephony.Call {
	h.t.Helper()
	return h.ringFrom("+12125550143", e164, at)
}

// ringFrom is a call of a certain phone.
func (h *house) ringFrom(from, e164 string, at time.Time) telephony.Call {
	h.t.Helper()
	c := telephony.Call{
		AccountID: h.account, ID: callwheel.NewID("call"), Direction: telephony.Inbound, CallerKind: telephony.CallerE164, From: from,
		TrackingNumber: e164, StartedAt: at,
	}
	h.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_kind, from_e164, tracking_number, started_at, updated_at)
		VALUES (?, ?, 'twilio', ?, 'e164', ?, ?, ?, ?)`, c.AccountID, c.ID, c.ID, c.From, e164, store.Micros(at), store.Micros(at))
	return c
}

func (h *house) attribute(c telephony.Call) string {
	h.t.Helper()
	source, err := h.ledger.Attribute(context.Background(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	return source
}

func (h *house) evidence(c telephony.Call) attribution.Evidence {
	h.t.Helper()
	e, err := h.ledger.Evidence(context.Background(), c.AccountID, c.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

const day = 24 * time.Hour

func kind(t *testing.T, err error, want callwheel.Kind) {
	t.Helper()
	if got := callwheel.KindOf(err); got != want {
		t.Errorf("got kind %q (%v), want %q", got, err, want)
	}
}
