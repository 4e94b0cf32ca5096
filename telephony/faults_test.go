package telephony_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// market is a Numbers that buys through the real adapter at the pretend network.
type market struct {
	office
	carrier *twilio.Carrier
	network *loopback.Network
	offers  []string
}

func newMarket(t *testing.T, db *store.DB) market {
	t.Helper()
	addAccounts(t, db, "acct_a")
	network := loopback.New(loopback.Config{PublicURL: "https://calls.example", AccountSID: accountSID, AuthToken: token, Clock: loopback.NewClock(noon)})
	api := httptest.NewServer(network.REST())
	t.Cleanup(func() {
		api.CloseClientConnections() // one that hangs would be waited for
		api.Close()
	})
	carrier, err := twilio.NewCarrier(twilio.CarrierConfig{
		AccountSID: accountSID, AuthToken: token, APIURL: api.URL, Timeout: time.Second,
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: day}
	m := market{carrier: carrier, network: network}
	m.office = office{db: db, clock: c, Numbers: telephony.NewNumbers(db, func(string) (telephony.Carrier, error) { return carrier, nil },
		telephony.NumbersConfig{Settings: settings}, c.read, quiet, nil)}
	found := must[[]telephony.CarrierNumber](t, "search")(m.Search(context.Background(), "acct_a", telephony.CarrierSearch{Country: "US", AreaCode: "312", Limit: 20}))
	for _, f := range found {
		m.offers = append(m.offers, f.Number)
	}
	return m
}

// Whatever the provider does to a purchase, in the end there is one number, here
// and there, set up and routed; or none.
func TestANumberIsBoughtOnceThroughEveryFaultOfTheProvider(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		m := newMarket(t, db)
		const owned = "IncomingPhoneNumbers"
		for i, c := range []struct {
			name   string
			faults []loopback.Fault
		}{
			{"none", nil},
			{"busy", []loopback.Fault{{Kind: loopback.TooMany, Method: "POST", Path: owned}}},
			{"broken", []loopback.Fault{{Kind: loopback.ServerError, Method: "POST", Path: owned}}},
			{"away", []loopback.Fault{{Kind: loopback.Unavailable, Method: "POST", Path: owned}}},
			{"no answer, not done", []loopback.Fault{{Kind: loopback.Hang, Method: "POST", Path: owned}}},
			{"no answer, done", []loopback.Fault{{Kind: loopback.HangAfter, Method: "POST", Path: owned}}},
			{"cut, done", []loopback.Fault{{Kind: loopback.CutAfter, Method: "POST", Path: owned}}},
			{"done, and the look fails", []loopback.Fault{{Kind: loopback.CutAfter, Method: "POST", Path: owned}, {Kind: loopback.ServerError, Method: "GET", Path: owned}}},
			{"done, and the look is refused for long", []loopback.Fault{{Kind: loopback.CutAfter, Method: "POST", Path: owned}, {Kind: loopback.TooMany, Method: "GET", Path: owned, Times: 6}}},
			{"twice not done, then done without a word", []loopback.Fault{
				{Kind: loopback.ServerError, Method: "POST", Path: owned}, {Kind: loopback.Unavailable, Method: "POST", Path: owned}, {Kind: loopback.CutAfter, Method: "POST", Path: owned},
			}},
		} {
			for _, f := range c.faults {
				m.network.Fault(f)
			}
			number := m.offers[i]
			n, err := m.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: number})
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if want := telephony.NumberOrdered; len(c.faults) > 0 && n.State != want {
				t.Errorf("%s: at first %s, want %s", c.name, n.State, want)
			}
			for range 6 {
				m.OrderStep(ctx, m.clock.move(2*time.Hour)) //nolint:errcheck // failed looks are part of it
			}
			if n = m.get(t, n.ID); n.State != telephony.NumberActive || n.ConfirmedAt == nil || n.ProviderNumberID == "" {
				t.Errorf("%s: in the end got %+v", c.name, n)
			}
			there := must[[]telephony.CarrierNumber](t, "owned")(m.carrier.Owned(ctx, number))
			if len(there) != 1 || there[0].Ref != n.ProviderNumberID || there[0].VoiceURL != settings.VoiceURL {
				t.Errorf("%s: at the provider: %+v", c.name, there)
			}
			m.network.ClearFaults()
		}
		if all := must[[]telephony.CarrierNumber](t, "owned")(m.carrier.Owned(ctx, "")); len(all) != 10 {
			t.Errorf("numbers that are paid for: got %d, want 10", len(all))
		}
		if n := countRows(t, db, `SELECT count(*) FROM number_orders WHERE state <> 'bought'`); n != 0 {
			t.Errorf("orders that are not done: got %d", n)
		}
		m.network.Take(m.offers[10])
		_, err := m.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: m.offers[10]})
		wantKind(t, "one that somebody else took", err, callwheel.Conflict)
	})
}

func TestANumberIsGivenBackThroughEveryFaultOfTheProvider(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		m := newMarket(t, db)
		for i, kind := range []loopback.FaultKind{loopback.TooMany, loopback.ServerError, loopback.Unavailable, loopback.Hang, loopback.HangAfter, loopback.CutAfter} {
			n := must[telephony.TrackingNumber](t, "buy")(m.Buy(ctx, "acct_a", "u", telephony.NewNumber{Number: m.offers[i]}))
			must[telephony.TrackingNumber](t, "release")(m.Release(ctx, "acct_a", "u", n.ID, telephony.Parting{}))
			m.network.Fault(loopback.Fault{Kind: kind, Method: "DELETE"})
			if _, err := m.RetireStep(ctx, m.clock.move(time.Minute)); err == nil {
				t.Errorf("%s: a release that nobody confirmed counts as done", kind)
			}
			if got := m.get(t, n.ID).State; got != telephony.NumberQuarantined {
				t.Errorf("%s: got %s while nobody knows", kind, got)
			}
			if _, err := m.RetireStep(ctx, m.clock.move(time.Hour)); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			if got := m.get(t, n.ID).State; got != telephony.NumberReleased {
				t.Errorf("%s: got %s in the end", kind, got)
			}
		}
		if all := must[[]telephony.CarrierNumber](t, "owned")(m.carrier.Owned(ctx, "")); len(all) != 0 {
			t.Errorf("still paid for: %+v", all)
		}
	})
}
