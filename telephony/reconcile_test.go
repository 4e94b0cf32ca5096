package telephony_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// desk is a Reconciler with the switchboard that it reports to.
type desk struct {
	*telephony.Reconciler
	board *telephony.Switchboard
	calls *telephony.Calls
	world *world
	clock *clock
}

func newDesk(t *testing.T, db *store.DB) desk {
	t.Helper()
	addAccounts(t, db, "acct_a", "acct_b")
	w, c := newWorld(), &clock{now: day}
	board := telephony.NewSwitchboard(db, telephony.Config{SpoolDir: t.TempDir()}, telephony.Deps{Now: c.read, Log: quiet})
	t.Cleanup(func() { board.Close() })
	return desk{
		Reconciler: telephony.NewReconciler(db, w.carrier, board, telephony.ReconcilerConfig{}, quiet, nil),
		board:      board, calls: telephony.NewCalls(db), world: w, clock: c,
	}
}

// ring makes a call known that has begun and of which nothing more is told.
func (d desk) ring(t *testing.T, ref string) string {
	t.Helper()
	_, err := d.board.Learn(context.Background(), "acct_a", telephony.Event{
		Provider: "twilio", Door: telephony.DoorReconcile, CallRef: ref, ReceivedAt: d.clock.read(), At: d.clock.read(),
		From: "+12125550143", To: "+13125550171", Status: telephony.InProgress, Sequence: -1, Seconds: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return telephony.CallID("twilio", ref)
}

func (d desk) sweep(t *testing.T, wait time.Duration, want int) {
	t.Helper()
	if got, err := d.Sweep(context.Background(), d.clock.move(wait)); got != want || err != nil {
		t.Errorf("sweep after %s: got %d, %v, want %d", wait, got, err, want)
	}
}

func (d desk) read(t *testing.T, callID string) telephony.CallDetail {
	t.Helper()
	return must[telephony.CallDetail](t, "read call")(d.calls.Get(context.Background(), "acct_a", callID))
}

func TestACallWhoseEndWasLostIsClosedFromTheProvidersRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		id := d.ring(t, "CA1")
		record := telephony.CarrierCall{Ref: "CA1", From: "+12125550143", To: "+13125550171", Status: telephony.InProgress, StartedAt: day, Seconds: -1}
		d.world.calls["CA1"] = record
		d.sweep(t, time.Minute, 0)
		if d.world.asked != 0 {
			t.Error("asked about a call of which there was news a minute ago")
		}
		d.sweep(t, time.Minute, 0)
		d.sweep(t, time.Minute, 0)
		if d.world.asked != 1 || d.read(t, id).EndedAt != nil {
			t.Errorf("a call that goes on: asked %d times", d.world.asked)
		}
		record.Status, record.EndedAt, record.Seconds = telephony.Completed, day.Add(95*time.Second), 95
		d.world.calls["CA1"] = record
		d.world.calls["CA2"] = telephony.CarrierCall{
			Ref: "CA2", ParentRef: "CA1", To: "+13125550100", Status: telephony.Completed,
			StartedAt: day.Add(5 * time.Second), EndedAt: day.Add(95 * time.Second), Seconds: 80,
		}
		d.world.trouble["call"] = []string{"429"}
		if _, err := d.Sweep(context.Background(), d.clock.move(time.Hour)); err == nil {
			t.Error("a refusal of the provider was not reported")
		}
		d.sweep(t, time.Hour, 1)
		c := d.read(t, id)
		if c.Status != telephony.Completed || c.EndedAt == nil || !c.EndedAt.Equal(record.EndedAt) || *c.DurationSeconds != 95 {
			t.Errorf("closed: got %+v", c.Call)
		}
		if len(c.Legs) != 1 || c.Legs[0].Number != "+13125550100" || !slices.Contains(c.Flags, "reconciled") {
			t.Errorf("legs and flags: got %+v, %v", c.Legs, c.Flags)
		}
		asked := d.world.asked
		d.sweep(t, time.Hour, 0)
		if d.world.asked != asked {
			t.Error("asked about a call that is closed")
		}
	})
}

func TestACallThatTheProviderDoesNotKnowIsClosedAfterADay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		id := d.ring(t, "CA1")
		d.sweep(t, 23*time.Hour, 0)
		d.sweep(t, 2*time.Hour, 1)
		c := d.read(t, id)
		if c.EndedAt == nil || !slices.Contains(c.Flags, "lost") {
			t.Errorf("got %+v", c.Call)
		}
		d.sweep(t, 24*time.Hour, 0)
	})
}

func TestACallNobodyToldUsOfIsFoundInTheProvidersList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		d := newDesk(t, db)
		numbers := telephony.NewNumbers(db, d.world.carrier, telephony.NumbersConfig{}, d.clock.read, quiet, nil)
		for account, number := range map[string]string{"acct_a": "+13125550171", "acct_b": "+13125550172"} {
			must[telephony.TrackingNumber](t, "number")(numbers.Create(ctx, account, "u", telephony.NewNumber{Number: number}))
		}
		add := func(ref, to string, ago time.Duration) {
			d.world.calls[ref] = telephony.CarrierCall{
				Ref: ref, From: "+12125550143", To: to, Direction: "inbound", Status: telephony.NoAnswer,
				StartedAt: day.Add(-ago), EndedAt: day.Add(-ago + 20*time.Second), Seconds: 0,
			}
		}
		add("CA1", "+13125550171", 30*time.Minute)
		add("CA2", "+13125550172", 20*time.Minute)
		add("CA3", "+13125550199", 20*time.Minute) // not ours
		add("CA4", "+13125550171", 10*time.Second) // may still be on its way
		add("CA5", "+13125550171", 48*time.Hour)   // before our time
		d.sweep(t, 0, 2)
		c := d.read(t, telephony.CallID("twilio", "CA1"))
		if c.Status != telephony.NoAnswer || !c.StartedAt.Equal(day.Add(-30*time.Minute)) || c.EndedAt == nil || c.TrackingNumber != "+13125550171" || !c.Shell {
			t.Errorf("found: got %+v", c.Call)
		}
		_, err := d.calls.Get(ctx, "acct_a", telephony.CallID("twilio", "CA2"))
		wantKind(t, "the other account's call", err, callwheel.NotFound)
		d.sweep(t, time.Minute, 0) // the list is not read every time
		d.sweep(t, 5*time.Minute, 1)
		d.sweep(t, 5*time.Minute, 0)
		if n := countRows(t, db, `SELECT count(*) FROM calls`); n != 3 {
			t.Errorf("calls: got %d, want CA1, CA2 and CA4", n)
		}
	})
}

// newDeskOver is the same desk after the program was started anew.
func newDeskOver(d desk, db *store.DB) desk {
	d.Reconciler = telephony.NewReconciler(db, d.world.carrier, d.board, telephony.ReconcilerConfig{}, quiet, nil)
	return d
}

func TestCallsOfALongOutageAreFoundAfterIt(t *testing.T) {
	const hour, day24 = time.Hour, 24 * time.Hour
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		d := newDesk(t, db)
		numbers := telephony.NewNumbers(db, d.world.carrier, telephony.NumbersConfig{}, d.clock.read, quiet, nil)
		must[telephony.TrackingNumber](t, "number")(numbers.Create(ctx, "acct_a", "u", telephony.NewNumber{Number: "+13125550171"}))
		d.sweep(t, 0, 0)
		for i, after := range []time.Duration{10 * time.Minute, 5 * hour, 30 * hour, 50 * hour} {
			ref := numberAt(i)
			d.world.calls[ref] = telephony.CarrierCall{
				Ref: ref, From: "+12125550143", To: "+13125550171", Direction: "inbound", Status: telephony.NoAnswer,
				StartedAt: day.Add(after), EndedAt: day.Add(after + 20*time.Second),
			}
		}
		d = newDeskOver(d, db)
		d.sweep(t, 60*hour, 2) // one day's worth at a time
		d.world.trouble["calls"] = []string{"500"}
		if _, err := d.Sweep(ctx, d.clock.move(time.Minute)); err == nil {
			t.Error("a refusal of the provider was not reported")
		}
		d.sweep(t, time.Minute, 1) // and nothing is passed over
		d.sweep(t, time.Minute, 1)
		d.sweep(t, time.Minute, 0)

		d.clock.move(30 * day24)
		for i, ago := range []time.Duration{8 * day24, 6 * day24} {
			ref := numberAt(10 + i)
			at := d.clock.read().Add(-ago)
			d.world.calls[ref] = telephony.CarrierCall{
				Ref: ref, From: "+12125550143", To: "+13125550171", Direction: "inbound", Status: telephony.NoAnswer, StartedAt: at, EndedAt: at,
			}
		}
		d.sweep(t, 0, 0)
		d.sweep(t, time.Minute, 1) // a week, not for ever
		for range 6 {
			d.sweep(t, time.Minute, 0)
		}
	})
}

// Two provider accounts, each with a call to a number of the other's.
func TestALogOfOneProviderAccountSaysNothingAboutNumbersOfAnother(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		d := newDesk(t, db)
		run(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE accounts SET provider_account = 'AC2' WHERE account_id = 'acct_b'`)
			return err
		})
		worlds := map[string]*world{"acct_a": newWorld(), "acct_b": newWorld()}
		carrierFor := func(accountID string) (telephony.Carrier, error) { return worlds[accountID], nil }
		numbers := telephony.NewNumbers(db, carrierFor, telephony.NumbersConfig{}, d.clock.read, quiet, nil)
		for account, number := range map[string]string{"acct_a": "+13125550171", "acct_b": "+13125550172"} {
			must[telephony.TrackingNumber](t, "number")(numbers.Create(ctx, account, "u", telephony.NewNumber{Number: number}))
			for i, to := range []string{"+13125550171", "+13125550172"} {
				ref := account + numberAt(i)
				worlds[account].calls[ref] = telephony.CarrierCall{
					Ref: ref, From: "+12125550143", To: to, Direction: "inbound", Status: telephony.NoAnswer,
					StartedAt: day.Add(-10 * time.Minute), EndedAt: day.Add(-9 * time.Minute),
				}
			}
		}
		r := telephony.NewReconciler(db, carrierFor, d.board, telephony.ReconcilerConfig{}, quiet, nil)
		if n, err := r.Sweep(ctx, d.clock.read()); n != 2 || err != nil {
			t.Errorf("sweep: got %d, %v", n, err)
		}
		for account, ref := range map[string]string{"acct_a": "acct_a" + numberAt(0), "acct_b": "acct_b" + numberAt(1)} {
			if n := countRows(t, db, `SELECT count(*) FROM calls WHERE account_id = ? AND provider_call_id = ?`, account, ref); n != 1 {
				t.Errorf("%s: its own call is not known", account)
			}
		}
		if n := countRows(t, db, `SELECT count(*) FROM calls`); n != 2 {
			t.Errorf("calls: got %d, want each account's own", n)
		}
	})
}

func TestACallTellsWhetherItsCallerIsNew(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		d := newDesk(t, db)
		first := d.ring(t, "CA1")
		d.clock.move(time.Hour)
		second := d.ring(t, "CA2")
		_, err := d.board.Learn(ctx, "acct_a", telephony.Event{
			Provider: "twilio", Door: telephony.DoorReconcile, CallRef: "CA3", At: d.clock.read(),
			From: "anonymous", To: "+13125550171", Status: telephony.Ringing, Sequence: -1, Seconds: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if c := d.read(t, first); *c.PriorCalls != 0 || !*c.FirstTime {
			t.Errorf("first: got %d, %v", *c.PriorCalls, *c.FirstTime)
		}
		if c := d.read(t, second); *c.PriorCalls != 1 || *c.FirstTime {
			t.Errorf("second: got %d, %v", *c.PriorCalls, *c.FirstTime)
		}
		if c := d.read(t, telephony.CallID("twilio", "CA3")); c.PriorCalls != nil || c.FirstTime != nil {
			t.Errorf("anonymous: got %v, %v, want neither", c.PriorCalls, c.FirstTime)
		}
		_, err = d.calls.Get(ctx, "acct_b", first)
		wantKind(t, "another account", err, callwheel.NotFound)
		_, err = d.calls.Events(ctx, "acct_b", first)
		wantKind(t, "another account's events", err, callwheel.NotFound)
		events := must[[]telephony.Entry](t, "events")(d.calls.Events(ctx, "acct_a", first))
		if len(events) != 1 || events[0].Door != telephony.DoorReconcile || len(events[0].Body) == 0 {
			t.Errorf("events: got %+v", events)
		}
		changed := must[[]telephony.CallChange](t, "changed")(d.calls.Changed(ctx, "acct_a", day.Add(30*time.Minute), 10))
		if len(changed) != 2 || changed[0].Call.ID == first {
			t.Errorf("changed: got %+v", changed)
		}
	})
}
