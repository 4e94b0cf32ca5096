package telephony_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

const wanted = "+13125550171"

func TestSixtyBuyersOfOneNumberBuyItOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		accounts := make([]string, 6)
		for i := range accounts {
			accounts[i] = fmt.Sprintf("acct_%d", i)
		}
		addAccounts(t, db, accounts...)
		w := newWorld(wanted)
		o := newOffice(t, db, w)
		errs := make([]error, 60)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = o.Buy(context.Background(), accounts[i%6], "u", telephony.NewNumber{Number: wanted})
			})
		}
		wg.Wait()
		got := map[callwheel.Kind]int{}
		for _, err := range errs {
			got[callwheel.KindOf(err)]++
		}
		if got[""] != 1 || got[callwheel.Conflict] != 59 {
			t.Errorf("answers: got %v, want one number and 59 conflicts", got)
		}
		if w.purchases[wanted] != 1 {
			t.Errorf("bought %d times", w.purchases[wanted])
		}
		if n := countRows(t, db, `SELECT count(*) FROM tracking_numbers`); n != 1 {
			t.Errorf("tracking numbers: got %d", n)
		}
	})
}

func TestAHalfDonePurchaseIsFoundAndNotRepeated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a", "acct_b")
		w := newWorld(wanted)
		w.trouble["buy"] = []string{"timeout"}
		o := newOffice(t, db, w)
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted, SourceID: "src_1", Destination: "+13125550100"}))
		if n.State != telephony.NumberOrdered {
			t.Errorf("while nobody knows: got %s, want ordered", n.State)
		}
		_, err := o.Buy(ctx, "acct_b", "u", telephony.NewNumber{Number: wanted})
		wantKind(t, "a rival meanwhile", err, callwheel.Conflict)
		if done, err := o.OrderStep(ctx, o.clock.move(time.Second)); done != 0 || err != nil {
			t.Errorf("looked while the request may be under way: %d, %v", done, err)
		}
		w.trouble["owned"] = []string{"429"}
		if _, err := o.OrderStep(ctx, o.clock.move(2*time.Minute)); err == nil {
			t.Error("a failed look counts as done")
		}
		if done, err := o.OrderStep(ctx, o.clock.move(time.Hour)); done != 1 || err != nil {
			t.Errorf("settle: got %d, %v", done, err)
		}
		n = must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID))
		if n.State != telephony.NumberActive || n.ProviderNumberID == "" || n.SourceID != "src_1" || n.ConfirmedAt == nil {
			t.Errorf("settled: got %+v", n)
		}
		if w.purchases[wanted] != 1 {
			t.Errorf("bought %d times", w.purchases[wanted])
		}
		if done, err := o.OrderStep(ctx, o.clock.move(24*time.Hour)); done != 0 || err != nil {
			t.Errorf("a settled order is looked at again: %d, %v", done, err)
		}
	})
}

func TestAPurchaseThatNeverArrivedIsSentAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		w := newWorld(wanted)
		w.trouble["buy"] = []string{"500", "429"}
		o := newOffice(t, db, w)
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		for range 2 {
			if done, err := o.OrderStep(ctx, o.clock.move(2*time.Hour)); done != 1 || err != nil {
				t.Errorf("settle: got %d, %v", done, err)
			}
		}
		n = must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID))
		if n.State != telephony.NumberActive || w.purchases[wanted] != 1 {
			t.Errorf("got %s, bought %d times", n.State, w.purchases[wanted])
		}
	})
}

// The provider sold the number on the first request, said nothing, and its list
// is slow: the second request is refused, and only then does the list show it.
func TestARefusalOfWhatIsOursAlreadyIsNotBelieved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		slow := &slowList{world: newWorld(wanted)}
		slow.trouble["buy"] = []string{"timeout"}
		c := &clock{now: day}
		numbers := telephony.NewNumbers(db, func(string) (telephony.Carrier, error) { return slow, nil },
			telephony.NumbersConfig{Settings: settings}, c.read, quiet, nil)
		n := must[telephony.TrackingNumber](t, "buy")(numbers.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		slow.hidden[wanted] = true
		if done, err := numbers.OrderStep(ctx, c.move(2*time.Minute)); done != 1 || err != nil {
			t.Fatalf("settle: got %d, %v", done, err)
		}
		n = must[telephony.TrackingNumber](t, "get")(numbers.Get(ctx, "acct_a", n.ID))
		if n.State != telephony.NumberActive || slow.purchases[wanted] != 1 {
			t.Errorf("got %s, bought %d times", n.State, slow.purchases[wanted])
		}
	})
}

// slowList is a provider that refuses to sell what it sold, and whose list shows
// a number only after that.
type slowList struct{ *world }

func (s *slowList) Buy(ctx context.Context, number string, n telephony.NumberSettings) (telephony.CarrierNumber, error) {
	if s.purchases[number] > 0 {
		delete(s.hidden, number)
		return telephony.CarrierNumber{}, callwheel.Errorf(callwheel.Conflict, "21422: not available")
	}
	return s.world.Buy(ctx, number, n)
}

func TestARefusedPurchaseLeavesNothingBehind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a")
		w := newWorld()
		o := newOffice(t, db, w)
		_, err := o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted})
		wantKind(t, "not on offer", err, callwheel.Conflict)
		if n := countRows(t, db, `SELECT count(*) FROM tracking_numbers WHERE state <> 'released'`); n != 0 {
			t.Errorf("tracking numbers: got %d", n)
		}
		w.offered[wanted] = true
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		if n.State != telephony.NumberActive {
			t.Errorf("on offer again: got %s", n.State)
		}
		_, err = o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted})
		wantKind(t, "ours already", err, callwheel.Conflict)
	})
}

func TestAnOrderThatWasRefusedLaterIsForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a", "acct_b")
		w := newWorld()
		w.trouble["buy"] = []string{"500"}
		o := newOffice(t, db, w)
		n := must[telephony.TrackingNumber](t, "buy")(o.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: wanted}))
		if done, err := o.OrderStep(ctx, o.clock.move(2*time.Minute)); done != 1 || err != nil {
			t.Fatalf("settle: got %d, %v", done, err)
		}
		n = must[telephony.TrackingNumber](t, "get")(o.Get(ctx, "acct_a", n.ID))
		if n.State != telephony.NumberReleased || n.Problem == "" {
			t.Errorf("got %+v", n)
		}
		must[telephony.TrackingNumber](t, "another account")(o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: wanted}))
	})
}

func TestOwnedNumbersAreImportedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		addAccounts(t, db, "acct_a", "acct_b")
		w := newWorld()
		for i := range 4 {
			w.owned[numberAt(i)] = telephony.CarrierNumber{Ref: fmt.Sprint("PN", i), Number: numberAt(i)}
		}
		o := newOffice(t, db, w)
		must[telephony.TrackingNumber](t, "create")(o.Create(ctx, "acct_b", "u", telephony.NewNumber{Number: numberAt(0)}))
		if list := must[[]telephony.CarrierNumber](t, "importable")(o.Importable(ctx, "acct_a")); len(list) != 3 {
			t.Errorf("importable: got %v", list)
		}
		some := must[[]telephony.TrackingNumber](t, "import")(o.ImportOwned(ctx, "acct_a", "u", []string{numberAt(0), numberAt(1)}, telephony.NewNumber{Campaign: "x"}))
		if len(some) != 1 || some[0].Number != numberAt(1) || some[0].Campaign != "x" {
			t.Errorf("imported: got %+v", some)
		}
		all := must[[]telephony.TrackingNumber](t, "import")(o.ImportOwned(ctx, "acct_a", "u", nil, telephony.NewNumber{}))
		if len(all) != 2 {
			t.Errorf("the rest: got %+v", all)
		}
	})
}
