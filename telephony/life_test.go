package telephony_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

func TestTheLifeOfANumberIsATable(t *testing.T) {
	all := []telephony.NumberState{
		telephony.NumberOrdered, telephony.NumberActive, telephony.NumberDraining, telephony.NumberQuarantined, telephony.NumberReleased,
	}
	want := map[telephony.NumberState]string{
		telephony.NumberOrdered:     "active draining quarantined released",
		telephony.NumberActive:      "draining quarantined released",
		telephony.NumberDraining:    "active quarantined released",
		telephony.NumberQuarantined: "active draining released",
		telephony.NumberReleased:    "",
	}
	for _, from := range all {
		var next []string
		for _, to := range all {
			if from.MayBecome(to) {
				next = append(next, string(to))
			}
		}
		if got := strings.Join(next, " "); got != want[from] {
			t.Errorf("%s may become %q, want %q", from, got, want[from])
		}
	}
}

// called adds a call to a number; an empty caller withheld theirs.
func (o office) called(t *testing.T, id, number, caller, outcome string, at time.Time) {
	t.Helper()
	var from any
	if caller != "" {
		from = caller
	}
	execSQL(t, o.db, `INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, tracking_number, started_at, updated_at) VALUES ('acct_a', ?, 'test', ?, ?, ?, ?, ?, 0)`,
		id, id, outcome, from, number, store.Micros(at))
}

func execSQL(t *testing.T, db *store.DB, query string, args ...any) {
	t.Helper()
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// owned opens an office with one confirmed number.
func ownedNumber(t *testing.T, db *store.DB) (office, telephony.TrackingNumber) {
	t.Helper()
	addAccounts(t, db, "acct_a")
	w := newWorld()
	w.owned["+13125550171"] = telephony.CarrierNumber{Ref: "PN1", Number: "+13125550171"}
	o := newOffice(t, db, w)
	n := must[telephony.TrackingNumber](t, "create")(o.Create(context.Background(), "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
	if _, err := o.ConfirmStep(context.Background(), o.clock.read()); err != nil {
		t.Fatal(err)
	}
	return o, n
}

func TestANumberThatPeopleStillCallIsNotGivenBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, n := ownedNumber(t, db)
		drain := must[telephony.TrackingNumber](t, "retire")(o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		if drain.State != telephony.NumberDraining {
			t.Fatalf("got %s, want draining", drain.State)
		}
		now := o.clock.move(40 * 24 * time.Hour)
		o.called(t, "call_old", n.Number, "+12125550143", "answered", now.Add(-39*24*time.Hour))
		o.called(t, "call_1", n.Number, "+12125550143", "answered", now.Add(-20*24*time.Hour))
		o.called(t, "call_2", n.Number, "+12125550144", "voicemail", now.Add(-3*24*time.Hour))
		o.called(t, "call_spam", n.Number, "+12125550199", "blocked", now.Add(-time.Hour))
		_, err := o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{})
		wantKind(t, "while it is called", err, callwheel.Conflict)
		for _, part := range []string{"calls in the last 28 days: 2", "by known callers: 2", "••••••••••44", now.Add(-3 * 24 * time.Hour).UTC().Format(time.DateOnly), now.Add(25 * 24 * time.Hour).UTC().Format(time.DateOnly)} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the refusal does not say %q: %v", part, err)
			}
		}
		if strings.Contains(err.Error(), "+12125550144") {
			t.Errorf("the refusal tells a number: %v", err)
		}
		_, err = o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{Force: true, Reason: "  "})
		wantKind(t, "forced without a reason", err, callwheel.Invalid)
		// Nobody calls for 28 days: it may go.
		o.clock.move(25*24*time.Hour + time.Second)
		if got := must[telephony.TrackingNumber](t, "release")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{})); got.State != telephony.NumberQuarantined {
			t.Errorf("got %s, want quarantined until the provider has it back", got.State)
		}
		if _, err := o.RetireStep(ctx, o.clock.move(time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID)); got.State != telephony.NumberReleased || len(o.world.owned) != 0 {
			t.Errorf("got %s, want released", got.State)
		}
	})
}

func TestANumberIsForcedAwayWithAReason(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, n := ownedNumber(t, db)
		o.called(t, "call_1", n.Number, "+12125550143", "answered", o.clock.read())
		must[telephony.TrackingNumber](t, "drain")(o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		must[telephony.TrackingNumber](t, "force")(o.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{Force: true, Reason: "robocalls"}))
		if _, err := o.RetireStep(ctx, o.clock.move(time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID)); got.State != telephony.NumberReleased {
			t.Errorf("got %s, want released", got.State)
		}
		if n := countRows(t, db, `SELECT count(*) FROM audit_log WHERE action = 'number.release' AND detail LIKE '%robocalls%' AND detail LIKE '%"calls_28_days":1%'`); n != 1 {
			t.Error("the audit log does not say why")
		}
	})
}

func TestARestingNumberWaitsUntilNobodyCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, n := ownedNumber(t, db)
		must[telephony.TrackingNumber](t, "drain")(o.Retire(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
		step := func(wait time.Duration, want telephony.NumberState, problem string) {
			t.Helper()
			if _, err := o.RetireStep(ctx, o.clock.move(wait)); err != nil {
				t.Error(err)
			}
			got := must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID))
			if got.State != want || !strings.Contains(got.Problem, problem) || (problem == "") != (got.Problem == "") {
				t.Errorf("after %s: got %s, %q, want %s, %q", wait, got.State, got.Problem, want, problem)
			}
		}
		step(31*24*time.Hour, telephony.NumberQuarantined, "")
		o.called(t, "call_1", n.Number, "", "answered", o.clock.read().Add(50*24*time.Hour))
		step(61*24*time.Hour, telephony.NumberQuarantined, "by a withheld number")
		step(16*24*time.Hour, telephony.NumberQuarantined, "still called")
		step(2*24*time.Hour, telephony.NumberReleased, "")
	})
}

func TestATailShowsWhoWouldBeLost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		o, n := ownedNumber(t, db)
		now := o.clock.read()
		for i, days := range []int{0, 2, 6, 8, 27, 29, 83, 100} {
			o.called(t, fmt.Sprintf("call_%d", i), n.Number, []string{"+12125550143", "+12125550144"}[i%2], "answered", now.Add(-time.Duration(days)*24*time.Hour))
		}
		tail, err := o.Tail(ctx, "acct_a", n.ID, now.Add(-7*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if tail.Week != 3 || tail.Month != 5 || tail.Callers != 2 || tail.Since != 3 || tail.LastCaller != "+12125550143" || !tail.LastCallAt.Equal(now) {
			t.Errorf("got %+v", tail)
		}
		if want := []int64{1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 3}; !slices.Equal(tail.Weeks, want) {
			t.Errorf("weeks: got %v, want %v", tail.Weeks, want)
		}
		if tail.Quiet() || !tail.ReleasableAt.Equal(now.Add(28*24*time.Hour)) {
			t.Errorf("got releasable at %s", tail.ReleasableAt)
		}
		_, err = o.Tail(ctx, "acct_b", n.ID, time.Time{})
		wantKind(t, "another account's", err, callwheel.NotFound)
	})
}

func TestNumbersDrainTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		o := newOffice(t, db, newWorld())
		var ids []string
		for i := range 3 {
			n := must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: fmt.Sprintf("+1312555017%d", i), PoolID: "pool_1"}))
			ids = append(ids, n.ID)
		}
		resting := telephony.NumberQuarantined
		must[telephony.TrackingNumber](t, "rest")(o.Update(ctx, "acct_a", "u", ids[1], telephony.NumberChange{State: &resting}))
		before := o.routingVersion(t)
		drained, err := o.Drain(ctx, "acct_a", "u", ids)
		if err != nil || len(drained) != 2 || drained[0].State != telephony.NumberDraining || drained[0].PoolID != "pool_1" {
			t.Fatalf("got %+v, %v", drained, err)
		}
		if got := must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", ids[1])); got.State != resting {
			t.Errorf("the one that rested: got %s", got.State)
		}
		if o.routingVersion(t) <= before {
			t.Error("routing was not told")
		}
		_, err = o.Drain(ctx, "acct_a", "u", []string{ids[0], "num_none"})
		wantKind(t, "an unknown one", err, callwheel.NotFound)
	})
}
