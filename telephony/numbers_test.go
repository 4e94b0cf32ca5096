package telephony_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

var settings = telephony.NumberSettings{
	VoiceURL:    "https://calls.example/webhooks/twilio/voice",
	FallbackURL: "https://calls.example/webhooks/twilio/voice",
	StatusURL:   "https://calls.example/webhooks/twilio/status",
}

// office is a Numbers over one database and one pretend provider.
type office struct {
	*telephony.Numbers
	db    *store.DB
	world *world
	clock *clock
}

func newOffice(t *testing.T, db *store.DB, w *world) office {
	t.Helper()
	c := &clock{now: day}
	return office{
		Numbers: telephony.NewNumbers(db, w.carrier, telephony.NumbersConfig{Settings: settings}, c.read, quiet, nil),
		db:      db, world: w, clock: c,
	}
}

type binding struct {
	From   int64  `db:"bound_from"`
	Source string `db:"source_id"`
	Pool   string `db:"pool_id"`
}

func (o office) bindings(t *testing.T, number string) []binding {
	t.Helper()
	var list []binding
	err := o.db.Select(context.Background(), &list, `
		SELECT bound_from, source_id, pool_id FROM number_bindings WHERE account_id = 'acct_a' AND number = ? ORDER BY bound_from`, number)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// giveBack runs the job that tells the provider of released numbers.
func (o office) giveBack(t *testing.T) {
	t.Helper()
	if _, err := o.RetireStep(context.Background(), o.clock.read()); err != nil {
		t.Fatal(err)
	}
}

func (o office) routingVersion(t *testing.T) int64 {
	t.Helper()
	return countRows(t, o.db, `SELECT version FROM routing_versions WHERE account_id = ''`)
}

func TestANumberIsRoutedAtOnceAndConfirmedLater(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		w := newWorld()
		w.owned["+13125550171"] = telephony.CarrierNumber{Ref: "PN1", Number: "+13125550171", VoiceURL: "https://old.example/"}
		o := newOffice(t, db, w)
		before := o.routingVersion(t)
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "user_x", telephony.NewNumber{
			Number: "+1 (312) 555-0171", SourceID: "src_1", Destination: "+1 312 555 0100", Campaign: " billboard ",
		}))
		if n.Number != "+13125550171" || n.State != telephony.NumberActive || n.Destination != "+13125550100" || n.Campaign != "billboard" || n.ConfirmedAt != nil {
			t.Errorf("created: got %+v", n)
		}
		if o.routingVersion(t) <= before {
			t.Error("routing was not told of a new number")
		}
		if done, err := o.ConfirmStep(ctx, o.clock.move(time.Second)); done != 1 || err != nil {
			t.Fatalf("confirm: got %d, %v", done, err)
		}
		n = must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID))
		if n.ProviderNumberID != "PN1" || n.ConfirmedAt == nil || n.Problem != "" {
			t.Errorf("confirmed: got %+v", n)
		}
		if got := w.owned["+13125550171"].VoiceURL; got != settings.VoiceURL {
			t.Errorf("voice URL at the provider: got %s", got)
		}
		if done, err := o.ConfirmStep(ctx, o.clock.move(24*time.Hour)); done != 0 || err != nil {
			t.Errorf("a confirmed number is left alone: got %d, %v", done, err)
		}
	})
}

func TestWhatIsWrongWithANumberIsWrittenDownAndLookedAtAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		w := newWorld()
		o := newOffice(t, db, w)
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		problem := func(want string) {
			t.Helper()
			if done, err := o.ConfirmStep(ctx, o.clock.move(7*time.Hour)); done != 1 || err != nil {
				t.Fatalf("confirm: got %d, %v", done, err)
			}
			n = must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID))
			if !strings.Contains(n.Problem, want) || (want == "") != (n.Problem == "") {
				t.Errorf("problem: got %q, want %q", n.Problem, want)
			}
		}
		problem("does not know this number")
		w.trouble["owned"] = []string{"500"}
		problem("could not be asked")
		w.owned["+13125550171"] = telephony.CarrierNumber{Ref: "PN1", Number: "+13125550171", Overridden: "trunk"}
		problem("trunk")
		if n.ConfirmedAt != nil {
			t.Error("a number whose calls go elsewhere counts as confirmed")
		}
		w.owned["+13125550171"] = telephony.CarrierNumber{Ref: "PN1", Number: "+13125550171"}
		problem("")
		if n.ConfirmedAt == nil {
			t.Error("not confirmed in the end")
		}
	})
}

func TestANumberRingsInOneAccountOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a", "acct_b")
		o := newOffice(t, db, newWorld())
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		_, err := o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: "+13125550171"})
		wantKind(t, "another account", err, callwheel.Conflict)
		_, err = o.Get(ctx, "acct_b", n.ID)
		wantKind(t, "read by another account", err, callwheel.NotFound)
		_, err = o.Update(ctx, "acct_b", "u", n.ID, telephony.NumberChange{})
		wantKind(t, "changed by another account", err, callwheel.NotFound)
		_, err = o.Release(ctx, "acct_b", "u", n.ID, telephony.Parting{})
		wantKind(t, "released by another account", err, callwheel.NotFound)
		if _, err := o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}); err != nil {
			t.Fatal(err)
		}
		o.giveBack(t)
		must[telephony.TrackingNumber](t, "once released")(o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: "+13125550171"}))
	})
}

func TestSixtyClaimantsOfOneNumberGetItOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		errs := make([]error, 60)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = o.Create(context.Background(), "acct_a", "u", telephony.NewNumber{Number: "+13125550171", SourceID: "src_1"})
			})
		}
		wg.Wait()
		got := map[callwheel.Kind]int{}
		for _, err := range errs {
			got[callwheel.KindOf(err)]++
		}
		if got[""] != 1 || got[callwheel.Conflict] != 59 {
			t.Errorf("got %v, want one number and 59 conflicts", got)
		}
	})
}

func TestCallsAreNeverSentWhereTheyMustNotGo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a", "acct_b")
		o := newOffice(t, db, newWorld())
		must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: "+13125550180", Destination: "+13125550100"}))
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		for _, destination := range []string{"911", "+911", "+1911", "112", "+112", "+19115550100", "72345", "sip:a@b", "+13125550180", "+13125550171", "x", "+1"} {
			_, err := o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{Destination: &destination})
			wantKind(t, "destination "+destination, err, callwheel.Invalid)
			_, err = o.CreateRoute(ctx, "acct_a", "u", "r", telephony.Plan{Steps: []telephony.Step{{Destinations: []string{destination}}}})
			wantKind(t, "route to "+destination, err, callwheel.Invalid)
			if strings.Contains(fmt.Sprint(err), "acct_b") {
				t.Errorf("%s: the answer names another account: %v", destination, err)
			}
		}
		_, err := o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550100"})
		wantKind(t, "a number that is rung by another", err, callwheel.Invalid)
		_, err = o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550181", Destination: "+13125550181", SourceID: "s", PoolID: "p", State: "lost"})
		wantKind(t, "all wrong", err, callwheel.Invalid)
		for _, field := range []string{"destination", "pool_id", "state"} {
			if !strings.Contains(fmt.Sprint(err), field) {
				t.Errorf("the refusal does not name %s: %v", field, err)
			}
		}
		missing := "route_nowhere"
		_, err = o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{RouteID: &missing})
		wantKind(t, "a route that is not there", err, callwheel.Invalid)
	})
}

func TestWhatANumberStoodForIsNeverForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		if got := o.bindings(t, n.Number); len(got) != 0 {
			t.Errorf("a number that stands for nothing has bindings %v", got)
		}
		change := func(c telephony.NumberChange) {
			t.Helper()
			must[telephony.TrackingNumber](t, "update")(o.Update(ctx, "acct_a", "u", n.ID, c))
		}
		first, second, pool, spoken := "src_1", "src_2", "pool_1", "hello"
		change(telephony.NumberChange{SourceID: &first})
		o.clock.move(time.Hour)
		change(telephony.NumberChange{SourceID: &second})
		change(telephony.NumberChange{PoolID: &pool}) // the same microsecond
		change(telephony.NumberChange{Whisper: &spoken})
		must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		o.giveBack(t)
		at := store.Micros(day.Add(time.Hour))
		want := []binding{{0, first, ""}, {at, second, ""}, {at + 1, "", pool}, {at + 2, "", ""}}
		if got := o.bindings(t, n.Number); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("bindings:\n got %v\nwant %v", got, want)
		}
	})
}

func TestAPoolsFirstBindingDoesNotReachBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171", PoolID: "pool_1", PoolDestination: "+13125550100"}))
		source := "src_1"
		o.clock.move(time.Hour)
		n = must[telephony.TrackingNumber](t, "update")(o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{SourceID: &source}))
		if n.PoolID != "" || n.PoolDestination != "" {
			t.Errorf("bound to a source, still of a pool: %+v", n)
		}
		want := []binding{{store.Micros(day), "", "pool_1"}, {store.Micros(day.Add(time.Hour)), source, ""}}
		if got := o.bindings(t, n.Number); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("bindings:\n got %v\nwant %v", got, want)
		}
	})
}

func TestAStaleChangeIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		campaign := "spring"
		changed := must[telephony.TrackingNumber](t, "update")(o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{Version: &n.Version, Campaign: &campaign}))
		if changed.Version != n.Version+1 {
			t.Errorf("version: got %d", changed.Version)
		}
		_, err := o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{Version: &n.Version, Campaign: &campaign})
		wantKind(t, "the old version again", err, callwheel.Stale)
	})
}

func TestARetiredNumberDrainsRestsAndIsGivenBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		w := newWorld()
		w.owned["+13125550171"] = telephony.CarrierNumber{Ref: "PN1", Number: "+13125550171"}
		o := newOffice(t, db, w)
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		o.ConfirmStep(ctx, o.clock.read())
		must[telephony.TrackingNumber](t, "retire")(o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		step := func(wait time.Duration, want telephony.NumberState) {
			t.Helper()
			if _, err := o.RetireStep(ctx, o.clock.move(wait)); err != nil {
				t.Logf("step: %v", err)
			}
			if got := must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID)).State; got != want {
				t.Errorf("after %s: got %s, want %s", wait, got, want)
			}
		}
		step(24*time.Hour, telephony.NumberDraining)
		step(30*24*time.Hour, telephony.NumberQuarantined)
		step(24*time.Hour, telephony.NumberQuarantined)
		w.trouble["release"] = []string{"500"}
		step(60*24*time.Hour, telephony.NumberQuarantined)
		step(time.Hour, telephony.NumberReleased)
		if len(w.owned) != 0 || len(w.released) != 1 {
			t.Errorf("at the provider: owned %v, released %v", w.owned, w.released)
		}
		state := telephony.NumberActive
		_, err := o.Update(ctx, "acct_a", "u", n.ID, telephony.NumberChange{State: &state})
		wantKind(t, "a released number", err, callwheel.Conflict)
	})
}

func TestAListGoesOnWhereItEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a", "acct_b")
		o := newOffice(t, db, newWorld())
		for i := range 7 { // all within one microsecond
			must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: numberAt(i)}))
		}
		must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: numberAt(99)}))
		var seen []string
		var after telephony.Place
		for {
			list := must[[]telephony.TrackingNumber](t, "list")(o.List(ctx, "acct_a", telephony.NumberFilter{}, after, 3))
			for _, n := range list[:min(3, len(list))] {
				seen = append(seen, n.Number)
				after = telephony.Place{At: n.CreatedAt, ID: n.ID}
			}
			if len(list) <= 3 {
				break
			}
		}
		if len(seen) != 7 || seen[0] != numberAt(0) || seen[6] != numberAt(6) {
			t.Errorf("got %v", seen)
		}
	})
}

func TestAPoolsDestinationReachesItsNumbers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171", PoolID: "pool_1"}))
		before := o.routingVersion(t)
		run(t, db, func(ctx context.Context, tx *store.Tx) error {
			return telephony.SetPoolDestination(ctx, tx, "acct_a", "pool_1", "+13125550100")
		})
		if got := must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID)).PoolDestination; got != "+13125550100" {
			t.Errorf("got %q", got)
		}
		if o.routingVersion(t) <= before {
			t.Error("routing was not told")
		}
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return telephony.SetPoolDestination(ctx, tx, "acct_a", "pool_1", n.Number)
		})
		wantKind(t, "a loop", err, callwheel.Invalid)
		if list := must[[]telephony.TrackingNumber](t, "pool")(telephony.NumbersOfPool(ctx, db, "acct_a", "pool_1")); len(list) != 1 {
			t.Errorf("numbers of the pool: got %v", list)
		}
	})
}

func TestRoutesAndTheBlockList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		plan := telephony.Plan{Steps: []telephony.Step{{Destinations: []string{"+13125550100"}}}}
		r := must[telephony.Route](t, "create")(o.CreateRoute(ctx, "acct_a", "u", "Front desk", plan))
		n := must[telephony.TrackingNumber](t, "number")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171", RouteID: r.ID}))
		wantKind(t, "retire a route in use", o.RetireRoute(ctx, "acct_a", "u", r.ID, nil), callwheel.Conflict)
		name, old := "Desk", int64(7)
		_, err := o.UpdateRoute(ctx, "acct_a", "u", r.ID, telephony.RouteChange{Name: &name, Version: &old})
		wantKind(t, "a version that never was", err, callwheel.Stale)
		plan.Record = true
		_, err = o.UpdateRoute(ctx, "acct_a", "u", r.ID, telephony.RouteChange{Plan: &plan})
		wantKind(t, "recording without an announcement", err, callwheel.Invalid)
		r = must[telephony.Route](t, "update")(o.UpdateRoute(ctx, "acct_a", "u", r.ID, telephony.RouteChange{Name: &name}))
		if r.Name != name || r.Version != 2 || len(r.Plan.Steps) != 1 {
			t.Errorf("got %+v", r)
		}
		must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		o.giveBack(t)
		if err := o.RetireRoute(ctx, "acct_a", "u", r.ID, nil); err != nil {
			t.Errorf("retire: %v", err)
		}
		if list := must[[]telephony.Route](t, "list")(o.Routes(ctx, "acct_a", telephony.Place{}, 10)); len(list) != 0 {
			t.Errorf("retired routes are listed: %v", list)
		}

		b := must[telephony.BlockedCaller](t, "block")(o.Block(ctx, "acct_a", "user_x", "+1 212 555 0143", "spam"))
		if b.Caller != "+12125550143" || b.CreatedBy != "user_x" {
			t.Errorf("got %+v", b)
		}
		again := must[telephony.BlockedCaller](t, "block")(o.Block(ctx, "acct_a", "user_y", "+12125550143", "other"))
		if again != b {
			t.Errorf("blocked twice: got %+v, want the first %+v", again, b)
		}
		must[telephony.BlockedCaller](t, "block")(o.Block(ctx, "acct_a", "u", "Anonymous", ""))
		_, err = o.Block(ctx, "acct_a", "u", "nobody", "")
		wantKind(t, "block a word", err, callwheel.Invalid)
		if list := must[[]telephony.BlockedCaller](t, "list")(o.Blocked(ctx, "acct_a", telephony.Place{}, 10)); len(list) != 2 {
			t.Errorf("got %v", list)
		}
		if err := o.Unblock(ctx, "acct_a", "u", "anonymous"); err != nil {
			t.Errorf("unblock: %v", err)
		}
		wantKind(t, "unblock twice", o.Unblock(ctx, "acct_a", "u", "anonymous"), callwheel.NotFound)
	})
}
