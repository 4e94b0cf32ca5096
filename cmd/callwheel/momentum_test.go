package main

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// momentumQuestions are asked of every house of this file.
var momentumQuestions = []string{
	"/v1/reports/momentum?from=2026-10-31&until=2026-11-26&baseline=2026-10-05/2026-10-31",
	"/v1/reports/momentum?period=week&from=2026-10-06&until=2026-11-26&by=source",
	"/v1/reports/momentum?from=2026-10-31&until=2026-11-26&baseline=2026-10-05/2026-10-31&by=agent",
}

// Events are counted once: months of calls, then every request of the provider
// a second time in a random order, change not a byte of momentum. Nor do months
// in which each was sent twice and out of order from the beginning.
func TestWebhooksThatComeTwiceLeaveMomentumAsItIs(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		h := newHouse(t, databaseURL)
		h.playMonths()
		h.work()
		once := h.momentum()
		calls := len(h.calls("limit=500"))
		h.sendAgain(rand.New(rand.NewPCG(1, 8))) //nolint:gosec // a repeatable order, not a secret
		h.work()
		if twice := h.momentum(); twice != once {
			t.Errorf("momentum changed:\nbefore %s\nafter  %s", once, twice)
		}
		is(t, "calls after everything came again", len(h.calls("limit=500")), calls)
	})
}

func TestWebhooksOutOfOrderLeaveMomentumAsItIs(t *testing.T) {
	var inOrder []string
	var sent int
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		h := newHouse(t, databaseURL)
		h.playMonths()
		h.work()
		inOrder = append(inOrder, h.momentum())
		sent = len(h.tape)
	})
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		h := newHouseOn(t, databaseURL, loopback.Chaos{Duplicate: 1, Reorder: 0.5})
		h.playMonths()
		h.work()
		if len(h.tape) < 2*sent {
			t.Errorf("%d requests came in order, and %d when each comes twice", sent, len(h.tape))
		}
		for _, want := range inOrder {
			if got := h.momentum(); got != want {
				t.Errorf("in order, once %s\nout of order, twice %s", want, got)
			}
		}
	})
}

// momentum is what the house answers to momentumQuestions.
func (h *house) momentum() string {
	h.t.Helper()
	var all strings.Builder
	for i, question := range momentumQuestions {
		said := h.answer(h.opened.Tokens[account.Marketer], question)
		if i == 0 && (!strings.Contains(said, `"enough_data": true`) || strings.Contains(said, `"index": null`)) {
			h.t.Fatalf("the world is too small to say anything: %s", said)
		}
		all.WriteString(said)
	}
	return all.String()
}

// sendAgain sends every request of the tape once more, signed as it was, in a
// random order.
func (h *house) sendAgain(dice *rand.Rand) {
	h.t.Helper()
	tape := append([]loopback.Exchange(nil), h.tape...)
	dice.Shuffle(len(tape), func(i, j int) { tape[i], tape[j] = tape[j], tape[i] })
	for _, x := range tape {
		body := url.Values{}
		for name, value := range x.Params {
			body.Set(name, value)
		}
		address, _, _ := strings.Cut(x.URL, "#")
		send(h.t, h.stage.client, http.MethodPost, address, body.Encode(), "Content-Type", "application/x-www-form-urlencoded",
			"X-Twilio-Signature", x.Signature, "I-Twilio-Idempotency-Token", x.Token+"-again").is(h.t, x.Status)
	}
}
