package api_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
	"github.com/callwheel/callwheel/telephony/twilio"
)

func TestNumbersAreSearchedBoughtAndImportedThroughTheDoors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const sid = "AC00000000000000000000000000000001"
		network := loopback.New(loopback.Config{AccountSID: sid, AuthToken: "token", PublicURL: "https://calls.example", Clock: loopback.NewClock(time.Now())})
		rest := httptest.NewServer(network.REST())
		t.Cleanup(rest.Close)
		carrier, err := twilio.NewCarrier(twilio.CarrierConfig{AccountSID: sid, AuthToken: "token", APIURL: rest.URL})
		if err != nil {
			t.Fatal(err)
		}
		h := open(t, db, func(d *api.Deps) {
			d.Numbers = telephony.NewNumbers(db, func(string) (telephony.Carrier, error) { return carrier, nil }, telephony.NumbersConfig{}, time.Now, nil, nil)
			d.Numbers.SetOwners(d.Ledger)
		})
		owner := h.tokens[account.Owner]
		items := h.ask(owner, "POST", "/v1/numbers/search", `{"area_code":"312","limit":4}`).is(200).json()["items"].([]any)
		if len(items) != 4 {
			t.Fatalf("offers: got %d", len(items))
		}
		offer := func(i int) string { return items[i].(map[string]any)["number"].(map[string]any)["e164"].(string) }
		h.ask(h.tokens[account.Agent], "POST", "/v1/numbers/buy", `{"number":"`+offer(0)+`"}`).is(403)
		made := h.ask(owner, "POST", "/v1/numbers/buy", `{"number":"`+offer(0)+`","campaign":"Spring"}`).is(201)
		if n := made.json(); n["state"] != "active" || n["campaign"] != "Spring" || made.Header().Get("Location") != "/v1/numbers/"+n["id"].(string) {
			t.Errorf("bought: got %v", n)
		}
		h.ask(owner, "POST", "/v1/numbers/buy", `{"number":"`+offer(0)+`"}`).is(409)

		network.Fault(loopback.Fault{Kind: loopback.CutAfter, Method: "POST"})
		if n := h.ask(owner, "POST", "/v1/numbers/buy", `{"number":"`+offer(1)+`"}`).is(202).json(); n["state"] != "ordered" {
			t.Errorf("nobody knows whether it was bought: got %v", n)
		}
		h.ask(h.stranger, "POST", "/v1/numbers/buy", `{"number":"`+offer(1)+`"}`).is(409)
		network.Take(offer(2))
		h.ask(owner, "POST", "/v1/numbers/buy", `{"number":"`+offer(2)+`"}`).is(409)

		// Owned there and unknown here.
		if _, err := carrier.Buy(context.Background(), offer(3), telephony.NumberSettings{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			if got := h.ask(owner, "POST", "/v1/numbers/import", `{"campaign":"Old"}`).is(200).json()["items"].([]any); len(got) != want {
				t.Errorf("imported: got %v, want %d", got, want)
			}
		}
	})
}
