package telephony_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// watched is a provider at which something happens while it is asked.
type watched struct {
	*world
	onRelease func(ref string) // before the first release is done
	onBuy     func()           // after a purchase is done, before it is answered
}

func (h *watched) Release(ctx context.Context, ref string) error {
	if f := h.onRelease; f != nil {
		h.onRelease = nil
		f(ref)
	}
	return h.world.Release(ctx, ref)
}

func (h *watched) Buy(ctx context.Context, number string, s telephony.NumberSettings) (telephony.CarrierNumber, error) {
	c, err := h.world.Buy(ctx, number, s)
	if h.onBuy != nil {
		h.onBuy()
	}
	return c, err
}

func newWatched(t *testing.T, db *store.DB, offered ...string) (office, *watched) {
	t.Helper()
	addAccounts(t, db, "acct_a", "acct_b")
	h := &watched{world: newWorld(offered...)}
	o := newOffice(t, db, h.world)
	o.Numbers = telephony.NewNumbers(db, func(string) (telephony.Carrier, error) { return h, nil },
		telephony.NumbersConfig{Settings: settings}, o.clock.read, quiet, nil)
	return o, h
}

func (o office) get(t *testing.T, id string) telephony.TrackingNumber {
	t.Helper()
	return must[telephony.TrackingNumber](t, "get")(o.Get(context.Background(), "acct_a", id))
}

// Two numbers are claimed in one step; while the first is given back a person
// wants both of them again.
func TestANumberIsRescuedUntilTheProviderIsTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db, "+13125550171", "+13125550172")
		byRef := map[string]telephony.TrackingNumber{}
		for _, number := range []string{"+13125550171", "+13125550172"} {
			n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: number}))
			byRef[n.ProviderNumberID] = n
			must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		}
		active := telephony.NumberActive
		var rescued telephony.TrackingNumber
		h.onRelease = func(ref string) {
			_, err := o.Update(ctx, "acct_a", "u", byRef[ref].ID, telephony.NumberChange{State: &active})
			wantKind(t, "rescue while the provider takes it back", err, callwheel.Conflict)
			if again := must[telephony.TrackingNumber](t, "release again")(o.Release(ctx, "acct_a", "u", byRef[ref].ID, telephony.Parting{})); again.State != telephony.NumberQuarantined {
				t.Errorf("released again meanwhile: got %s", again.State)
			}
			for other, n := range byRef {
				if other != ref {
					rescued = must[telephony.TrackingNumber](t, "rescue")(o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{State: &active}))
				}
			}
		}
		if _, err := o.RetireStep(ctx, o.clock.move(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for ref, n := range byRef {
			_, owned := h.owned[n.Number]
			now := o.get(t, n.ID)
			if isRescued := ref == rescued.ProviderNumberID; isRescued != owned || isRescued != (now.State == telephony.NumberActive) {
				t.Errorf("%s (rescued: %v): %s here, owned at the provider: %v", n.Number, isRescued, now.State, owned)
			}
		}
		if rescued.ConfirmedAt != nil {
			t.Error("a rescued number counts as confirmed before anybody looked")
		}
		o.ConfirmStep(ctx, o.clock.move(time.Second))
		if o.get(t, rescued.ID).ConfirmedAt == nil {
			t.Error("a rescued number is not confirmed again")
		}
	})
}

func TestANumberThatWentToAndFroIsNotMovedByAnOldClaim(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db, "+13125550171", "+13125550172")
		ids := map[string]string{}
		for _, number := range []string{"+13125550171", "+13125550172"} {
			n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: number}))
			ids[n.ProviderNumberID] = n.ID
			must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		}
		h.onRelease = func(ref string) {
			for other, id := range ids {
				if other == ref {
					continue
				}
				for _, state := range []telephony.NumberState{telephony.NumberActive, telephony.NumberQuarantined} {
					must[telephony.TrackingNumber](t, "update")(o.Update(ctx, "acct_a", "u", id, telephony.NumberChange{State: &state}))
				}
			}
		}
		if _, err := o.RetireStep(ctx, o.clock.move(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if len(h.released) != 1 {
			t.Errorf("given back: got %v, want only the one that stayed", h.released)
		}
	})
}

// The provider may have taken the number back although it did not say so; once
// it has refused, the number can be rescued.
func TestANumberStaysMarkedWhileNobodyKnowsWhetherItIsGivenBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db, wanted)
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		h.trouble["release"] = []string{"500", "refused"}
		active := telephony.NumberActive
		if _, err := o.RetireStep(ctx, o.clock.move(time.Minute)); err == nil {
			t.Error("a failed release counts as done")
		}
		if problem := o.get(t, n.ID).Problem; !strings.Contains(problem, "500") {
			t.Errorf("problem: got %q", problem)
		}
		_, err := o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{State: &active})
		wantKind(t, "rescue while nobody knows", err, callwheel.Conflict)
		if _, err := o.RetireStep(ctx, o.clock.move(time.Hour)); err == nil {
			t.Error("a refused release counts as done")
		}
		must[telephony.TrackingNumber](t, "rescue after a refusal")(o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{State: &active}))
	})
}

func TestANumberAddedInALaterStateStaysThereItsFullTime(t *testing.T) {
	const day = 24 * time.Hour
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db, "+13125550173", "+13125550174")
		h.owned["+13125550171"] = telephony.CarrierNumber{Ref: "PN1", Number: "+13125550171"}
		h.owned["+13125550172"] = telephony.CarrierNumber{Ref: "PN2", Number: "+13125550172"}
		states := []telephony.NumberState{telephony.NumberDraining, telephony.NumberQuarantined}
		var list []telephony.TrackingNumber
		for i, number := range []string{"+13125550171", "+13125550172"} {
			list = append(list, must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: number, State: states[i]})))
		}
		for i, number := range []string{"+13125550173", "+13125550174"} {
			list = append(list, must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: number, State: states[i]})))
		}
		for _, at := range []struct {
			wait           time.Duration
			draining, rest telephony.NumberState
		}{
			{time.Minute, telephony.NumberDraining, telephony.NumberQuarantined},
			{29 * day, telephony.NumberDraining, telephony.NumberQuarantined},
			{day, telephony.NumberQuarantined, telephony.NumberQuarantined},
			{30 * day, telephony.NumberQuarantined, telephony.NumberReleased},
			{30 * day, telephony.NumberReleased, telephony.NumberReleased},
		} {
			if _, err := o.RetireStep(ctx, o.clock.move(at.wait)); err != nil {
				t.Fatal(err)
			}
			for i, n := range list {
				want := at.draining
				if i%2 == 1 {
					want = at.rest
				}
				if got := o.get(t, n.ID).State; got != want {
					t.Errorf("%s, added %s, at %s: got %s, want %s", n.Number, states[i%2], o.clock.read(), got, want)
				}
			}
		}
		if len(h.owned) != 0 {
			t.Errorf("still owned at the provider: %v", h.owned)
		}
	})
}

func TestANumberThatWasNeverConfirmedIsLookedUpBeforeItIsLetGo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db)
		h.owned[wanted] = telephony.CarrierNumber{Ref: "PN1", Number: wanted}
		ours := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		typo := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550199"}))
		for _, n := range []telephony.TrackingNumber{ours, typo} {
			must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		}
		h.trouble["owned"] = []string{"500", "500"}
		if _, err := o.RetireStep(ctx, o.clock.move(time.Minute)); err == nil {
			t.Error("a failed look counts as done")
		}
		for _, n := range []telephony.TrackingNumber{ours, typo} {
			if now := o.get(t, n.ID); now.State != telephony.NumberQuarantined || now.Problem == "" {
				t.Errorf("%s while the provider cannot be asked: %s, problem %q", n.Number, now.State, now.Problem)
			}
		}
		if _, err := o.RetireStep(ctx, o.clock.move(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for _, n := range []telephony.TrackingNumber{ours, typo} {
			if got := o.get(t, n.ID).State; got != telephony.NumberReleased {
				t.Errorf("%s: got %s", n.Number, got)
			}
		}
		if len(h.owned) != 0 || len(h.released) != 1 {
			t.Errorf("at the provider: owned %v, released %v", h.owned, h.released)
		}
	})
}

func TestRetiringTwiceIsRetiringOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db, wanted)
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		first := must[telephony.TrackingNumber](t, "retire")(o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		again := must[telephony.TrackingNumber](t, "retire")(o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		if again.State != telephony.NumberDraining || again.Version != first.Version {
			t.Errorf("again: got %s, version %d, want the first answer", again.State, again.Version)
		}
		_, err := o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{Version: &n.Version})
		wantKind(t, "an old version", err, callwheel.Stale)
		o.RetireStep(ctx, o.clock.move(time.Minute))
		if got := o.get(t, n.ID).State; got != telephony.NumberDraining || len(h.owned) != 1 {
			t.Errorf("a minute later: %s, owned %d", got, len(h.owned))
		}
	})
}

// pools is the room that knows pools, in a map.
type pools map[string]string

func (p pools) Rings(_ context.Context, _ store.Querier, _, _, poolID string) (string, error) {
	rings, ok := p[poolID]
	if poolID != "" && !ok {
		return "", callwheel.InvalidField("pool_id", "is not a pool of this account")
	}
	return rings, nil
}

func TestWhatChangesDuringAPurchaseIsSeenWhenItIsFinished(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		numbers := []string{"+13125550171", "+13125550172", "+13125550173"}
		o, h := newWatched(t, db, numbers...)
		known := pools{"pool_1": "+13125550111"}
		o.SetOwners(known)
		_, err := o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: numbers[0], PoolID: "pool_2"})
		wantKind(t, "a pool of somebody else", err, callwheel.Invalid)

		h.onBuy = func() { known["pool_1"] = "+13125550222" }
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: numbers[0], PoolID: "pool_1"}))
		if n.PoolDestination != "+13125550222" || n.Problem != "" {
			t.Errorf("the pool moved: rings %s, problem %q", n.PoolDestination, n.Problem)
		}

		h.onBuy = func() { delete(known, "pool_1") }
		n = must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: numbers[1], PoolID: "pool_1"}))
		if n.State != telephony.NumberActive || n.PoolID != "" || !strings.Contains(n.Problem, "pool_id") || len(o.bindings(t, n.Number)) != 0 {
			t.Errorf("the pool went: got %+v", n)
		}

		h.onBuy = func() {
			must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550100"}))
		}
		n = must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: numbers[2], Destination: "+13125550100"}))
		if n.State != telephony.NumberActive || n.Destination != "" || !strings.Contains(n.Problem, "destination") {
			t.Errorf("the destination became a tracking number: got %+v", n)
		}
	})
}

func TestANumberThatIsBeingBoughtIsNoDestinationAndNobodyElses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, h := newWatched(t, db, wanted)
		x := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550199"}))
		destination := wanted
		h.onBuy = func() {
			_, err := o.Update(ctx, "acct_a", "u", x.ID, telephony.NumberChange{Destination: &destination})
			wantKind(t, "as a number's destination", err, callwheel.Invalid)
			plan := telephony.Plan{Steps: []telephony.Step{{Destinations: []string{wanted}}}}
			_, err = o.CreateRoute(ctx, "acct_a", "u", "Desk", plan)
			wantKind(t, "in a route", err, callwheel.Invalid)
			err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				return telephony.SetPoolDestination(ctx, tx, "acct_a", "pool_1", wanted)
			})
			wantKind(t, "as a pool's destination", err, callwheel.Invalid)
			wantKind(t, "as an account's destination", o.MayRing(ctx, wanted), callwheel.Invalid)
			_, err = o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: wanted})
			wantKind(t, "added by another account", err, callwheel.Conflict)
		}
		must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
	})
}

func TestAPurchaseOutlivesItsClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, leave := context.WithCancel(context.Background())
		o, h := newWatched(t, db, wanted)
		h.onBuy = leave
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		if got := o.get(t, n.ID); got.State != telephony.NumberActive || got.ProviderNumberID == "" {
			t.Errorf("got %+v", got)
		}
		if n := countRows(t, db, `SELECT count(*) FROM number_orders WHERE state = 'bought'`); n != 1 {
			t.Errorf("orders that are written down: got %d", n)
		}
	})
}

// An installation without a fallback of its own leaves the operator's alone.
func TestTheOperatorsFallbackIsLeftAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		w := newWorld()
		w.owned[wanted] = telephony.CarrierNumber{
			Ref: "PN1", Number: wanted, VoiceURL: settings.VoiceURL, StatusURL: settings.StatusURL, FallbackURL: "https://operator.example/fallback",
		}
		without := settings
		without.FallbackURL = ""
		c := &clock{now: day}
		numbers := telephony.NewNumbers(db, w.carrier, telephony.NumbersConfig{Settings: without}, c.read, quiet, nil)
		n := must[telephony.TrackingNumber](t, "create")(numbers.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		w.trouble["configure"] = []string{"500"}
		numbers.ConfirmStep(ctx, c.read())
		if n = must[telephony.TrackingNumber](t, "get")(numbers.Get(ctx, "acct_a", n.ID)); n.ConfirmedAt == nil || len(w.trouble["configure"]) != 1 {
			t.Errorf("a number that is right already was configured: %+v", n)
		}
	})
}
