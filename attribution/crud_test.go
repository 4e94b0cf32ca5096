package attribution_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// refused returns the names of the fields that err refuses.
func refused(err error) []string {
	var e *callwheel.Error
	if !errors.As(err, &e) {
		return nil
	}
	var names []string
	for _, f := range e.Fields {
		names = append(names, f.Field)
	}
	return names
}

func TestSourcesAreNamedOnceAndChangedByVersion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		ctx := context.Background()
		a := h.newSource(attribution.SourceDraft{Name: " Google  Ads ", Medium: "CPC", Rules: []attribution.Rule{{UTMSource: "google", NotLanding: "/jobs*"}}})
		if a.Name != "Google Ads" || a.Medium != "cpc" || a.Kind != "online" || a.Version != 1 || a.Position != 1 {
			t.Errorf("got %+v", a)
		}
		read, err := h.ledger.Source(ctx, h.account, a.ID)
		if err != nil || read.Name != a.Name || len(read.Rules) != 1 || read.Rules[0] != a.Rules[0] || !read.CreatedAt.Equal(a.CreatedAt) {
			t.Errorf("got %+v, %v, want %+v", read, err, a)
		}
		_, err = h.ledger.CreateSource(ctx, h.who(), attribution.SourceDraft{Name: "GOOGLE ads"})
		kind(t, err, callwheel.Conflict)
		b := h.newSource(attribution.SourceDraft{Name: "Bing"})
		name := "google ads"
		_, err = h.ledger.UpdateSource(ctx, h.who(), b.ID, nil, attribution.SourcePatch{Name: &name})
		kind(t, err, callwheel.Conflict)
		medium := "paid"
		changed, err := h.ledger.UpdateSource(ctx, h.who(), a.ID, version(1), attribution.SourcePatch{Medium: &medium})
		if err != nil || changed.Version != 2 || changed.Medium != "paid" || changed.Name != a.Name {
			t.Errorf("got %+v, %v, want only the medium changed", changed, err)
		}
		_, err = h.ledger.UpdateSource(ctx, h.who(), a.ID, version(1), attribution.SourcePatch{Medium: &medium})
		kind(t, err, callwheel.Stale)
		kind(t, h.ledger.RetireSource(ctx, h.who(), a.ID, version(1)), callwheel.Stale)
		if err := h.ledger.RetireSource(ctx, h.who(), a.ID, version(2)); err != nil {
			t.Fatal(err)
		}
		if n := h.count(`SELECT count(*) FROM audit_log WHERE account_id = ? AND object = ? AND action IN ('source.create', 'source.update', 'source.retire')`, h.account, a.ID); n != 3 {
			t.Errorf("got %d entries in the audit log, want 3", n)
		}
		_, err = h.ledger.Source(ctx, h.account, a.ID)
		kind(t, err, callwheel.NotFound)
		kind(t, h.ledger.RetireSource(ctx, h.who(), a.ID, nil), callwheel.NotFound)
		h.newSource(attribution.SourceDraft{Name: "Google Ads"}) // the name is free again
		_, err = h.ledger.Source(ctx, h.newAccount(), b.ID)
		kind(t, err, callwheel.NotFound)
	})
}

func TestSourcesAreListedInTheOrderTheyAreTried(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		ctx := context.Background()
		first := int64(-5)
		for _, name := range []string{"a", "b", "c"} {
			h.newSource(attribution.SourceDraft{Name: name})
		}
		h.newSource(attribution.SourceDraft{Name: "z", Position: &first})
		var names []string
		for after := ""; ; {
			list, err := h.ledger.Sources(ctx, h.account, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, s := range list {
				names = append(names, s.Name)
			}
			after = list[len(list)-1].ID
		}
		if got := strings.Join(names, ""); got != "zabc" {
			t.Errorf("got %s, want zabc", got)
		}
	})
}

func TestWhatCannotBeIsRefusedFieldByField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		ctx := context.Background()
		long := strings.Repeat("x", 201)
		_, err := h.ledger.CreateSource(ctx, h.who(), attribution.SourceDraft{Name: " ", Kind: "radio", Rules: []attribution.Rule{{}, {Landing: "**"}, {Referrer: long}}})
		if got, want := refused(err), []string{"name", "kind", "rules[0]", "rules[1].landing", "rules[2].referrer"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		_, err = h.ledger.CreateSource(ctx, h.who(), attribution.SourceDraft{Name: "Untracked"})
		if got := refused(err); !slices.Equal(got, []string{"name"}) {
			t.Errorf("a reserved name: got %v", got)
		}
		negative, long64 := int64(-1), int64(1<<40)
		_, err = h.ledger.CreatePool(ctx, h.who(), attribution.PoolDraft{LeaseTailSeconds: &negative, CooldownSeconds: &long64, Destination: "911", OverflowNumberID: "num_x"})
		if got, want := refused(err), []string{"name", "lease_tail_seconds", "cooldown_seconds", "destination", "overflow_number_id"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		_, err = h.ledger.CreateSite(ctx, h.who(), attribution.SiteDraft{
			Origins: []string{"https://ok.example", "shop.example", "https://*.example", "https://x.example/path", "ftp://x"},
			Swap:    []string{"555-0100", "+13125550100"}, Consent: "maybe", PoolID: "pool_x",
		})
		want := []string{"name", "origins[1]", "origins[2]", "origins[3]", "origins[4]", "swap[0]", "consent", "pool_id"}
		if got := refused(err); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestPoolsAndSitesAreEditedAndRetired(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		ctx := context.Background()
		pool := h.newPool(1)
		site := h.newSite(pool.ID)
		dest, zero := "+13125550171", int64(0)
		changed, err := h.ledger.UpdatePool(ctx, h.who(), pool.ID, version(pool.Version), attribution.PoolPatch{Destination: &dest, CooldownSeconds: &zero})
		if err != nil || changed.Destination != dest || changed.CooldownSeconds != 0 || changed.LeaseTailSeconds != 1800 || changed.Version != 2 {
			t.Errorf("got %+v, %v", changed, err)
		}
		if n := h.count(`SELECT count(*) FROM tracking_numbers WHERE account_id = ? AND pool_destination = ?`, h.account, dest); n != 1 {
			t.Error("the pool's numbers do not ring its new destination")
		}
		own := number(0)
		_, err = h.ledger.UpdatePool(ctx, h.who(), pool.ID, nil, attribution.PoolPatch{Destination: &own})
		if got := refused(err); !slices.Equal(got, []string{"destination"}) {
			t.Errorf("a tracking number as destination: got %v (%v)", got, err)
		}
		_, err = h.ledger.CreatePool(ctx, h.who(), attribution.PoolDraft{Name: strings.ToUpper(pool.Name)})
		kind(t, err, callwheel.Conflict)
		kind(t, h.ledger.RetirePool(ctx, h.who(), pool.ID, nil), callwheel.Conflict)
		origins := []string{"HTTPS://Shop.Example/", "https://shop.example:443", "http://localhost:3000"}
		none := ""
		edited, err := h.ledger.UpdateSite(ctx, h.who(), site.ID, version(1), attribution.SitePatch{Origins: &origins, PoolID: &none})
		if err != nil || !slices.Equal(edited.Origins, []string{"https://shop.example", "http://localhost:3000"}) || edited.Key != site.Key || edited.Version != 2 {
			t.Errorf("got %+v, %v", edited, err)
		}
		if err := h.ledger.RetirePool(ctx, h.who(), pool.ID, version(2)); err != nil {
			t.Fatal(err)
		}
		if n := h.count(`SELECT count(*) FROM pool_numbers WHERE account_id = ? AND stocked`, h.account); n != 0 {
			t.Errorf("got %d numbers of a retired pool still lent, want 0", n)
		}
		pools, err := h.ledger.Pools(ctx, h.account, "", 0)
		if err != nil || len(pools) != 0 {
			t.Errorf("got %v, %v, want no pools", pools, err)
		}
		sites, err := h.ledger.Sites(ctx, h.account, "", 0)
		if err != nil || len(sites) != 1 || sites[0].ID != site.ID {
			t.Errorf("got %v, %v, want the one site", sites, err)
		}
	})
}
