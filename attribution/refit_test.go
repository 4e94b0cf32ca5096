package attribution_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// regulars writes weeks of a pool's history: on every number one visitor after
// the other, of whom every third calls two hours after leaving. All of them are
// known by their phones from elsewhere.
func (h *house) regulars(pool string, visitors int) time.Time {
	h.t.Helper()
	at := start
	h.atOnce(func(ctx context.Context, exec func(string, ...any)) {
		for i := range visitors {
			n, visitor := number(i%2), fmt.Sprintf("vis_%04d", i)
			at = at.Add(3 * time.Hour)
			exec(`INSERT INTO leases (account_id, lease_id, number, pool_id, session_id, visitor_id, touch_id, leased_from, last_beat_at, leased_until)
				VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?)`, h.account, callwheel.NewID("lease"), n, pool, "ses_"+visitor, visitor,
				store.Micros(at), store.Micros(at.Add(5*time.Minute)), store.Micros(at.Add(35*time.Minute)))
			if i%3 != 0 {
				continue
			}
			phone, call := fmt.Sprintf("+1212556%04d", i), callwheel.NewID("call")
			called := store.Micros(at.Add(2*time.Hour + 5*time.Minute))
			exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_kind, from_e164, tracking_number, started_at, updated_at)
				VALUES (?, ?, 'twilio', ?, 'e164', ?, ?, ?, ?)`, h.account, call, call, phone, n, called, called)
			exec(`INSERT INTO person_links (account_id, alias, person, linked_at) VALUES (?, ?, ?, ?)`, h.account, visitor, phone, store.Micros(at))
			exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, pool_id, model_version, attributed_at)
				VALUES (?, ?, 'untracked', 'none', 1, ?, 'earlier', ?)`, h.account, call, pool, called)
		}
	})
	return at.Add(3 * time.Hour)
}

func (h *house) atOnce(write func(ctx context.Context, exec func(string, ...any))) {
	h.t.Helper()
	err := h.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		write(ctx, func(query string, args ...any) {
			if _, err := tx.Exec(ctx, query, args...); err != nil {
				h.t.Error(err)
			}
		})
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestDelaysAreRefittedWeeklyAndNothingOldChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		pool := h.newPool(2)
		site := h.newSite(pool.ID)
		now := h.regulars(pool.ID, 597) // 199 calls of identified people: one too few
		h.clock = now
		ctx := context.Background()
		refit := func(at time.Time, want int) {
			t.Helper()
			if n, err := h.ledger.Refit(ctx, at); err != nil || n != want {
				t.Fatalf("got %d, %v, want %d accounts fitted", n, err, want)
			}
		}
		refit(now, 0)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), now)
		silent := now.Add(2 * time.Hour)
		first := h.ringFrom("+12125550188", a.Swap[printed], silent)
		h.attribute(first)
		if e := h.evidence(first); e.ModelVersion != attribution.ModelVersion {
			t.Errorf("got model %s, want the defaults", e.ModelVersion)
		}
		h.clock = silent.Add(time.Hour)
		before := h.evidence(first)

		h.exec(`UPDATE person_links SET call_id = '' WHERE account_id = ?`, h.account)
		h.oneMore(pool.ID, silent)
		refit(h.clock, 1)
		refit(h.clock.Add(7*day-time.Second), 0)
		if after := h.evidence(first); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("an old attribution changed: %+v became %+v", before, after)
		}
		second := h.ringFrom("+12125550188", a.Swap[printed], h.clock.Add(time.Minute))
		h.attribute(second)
		e := h.evidence(second)
		if e.ModelVersion != attribution.ModelVersion+"/1" {
			t.Errorf("got model %s, want the first that was fitted", e.ModelVersion)
		}
		v, err := h.ledger.Verify(ctx)
		if err != nil || v.Checked != 2 || len(v.Differ)+len(v.Missing) != 0 {
			t.Errorf("got %+v, %v, want both to agree, each by its own model", v, err)
		}
		refit(h.clock.Add(7*day), 1)
		if n := h.count(`SELECT count(*) FROM delay_models WHERE account_id = ? AND version IN (1, 2) AND calls >= 200 AND identified >= 200`, h.account); n != 2 {
			t.Errorf("got %d versions, want both kept", n)
		}
		h.exec(`UPDATE delay_models SET parameters = '{"parts":[{"weight":1,"mean_hours":9}],"propensity":0.9,"on_screen":9,"background":0.5}' WHERE version = 1`)
		if v, err = h.ledger.Verify(ctx); err != nil || len(v.Differ) != 1 || v.Differ[0] != second.ID {
			t.Errorf("got %+v, %v, want the one whose model was tampered with", v, err)
		}
	})
}

// oneMore adds the call that makes enough.
func (h *house) oneMore(pool string, at time.Time) {
	call := callwheel.NewID("call")
	h.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_kind, from_e164, tracking_number, started_at, updated_at)
		VALUES (?, ?, 'twilio', ?, 'e164', '+12125560000', ?, ?, ?)`, h.account, call, call, number(0), store.Micros(at), store.Micros(at))
	h.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, pool_id, model_version, attributed_at)
		VALUES (?, ?, 'untracked', 'none', 1, ?, 'earlier', ?)`, h.account, call, pool, store.Micros(at))
}
