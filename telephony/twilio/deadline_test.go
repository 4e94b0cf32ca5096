package twilio_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// slow is the other side of a connection in a bubble, where waiting costs nothing:
// it answers after a while, or never.
type slow struct {
	after    time.Duration // 0: never
	status   int
	header   map[string]string
	began    time.Time
	attempts []time.Duration // when each began
	ended    time.Duration   // when the last one did
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.attempts = append(s.attempts, time.Since(s.began))
	defer func() { s.ended = time.Since(s.began) }()
	var done <-chan time.Time
	if s.after > 0 {
		timer := time.NewTimer(s.after)
		defer timer.Stop()
		done = timer.C
	}
	select {
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	case <-done:
	}
	w := httptest.NewRecorder()
	for name, value := range s.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(s.status)
	return w.Result(), nil
}

// The provider allows a live caller 15 seconds in all. The rules that we write
// into our URLs leave of them what the fallback URL needs.
func TestOurRulesForALiveCallerEndBeforeTheProvidersDeadline(t *testing.T) {
	const public = "https://calls.example.com"
	body, _, err := twilio.New().Render([]telephony.Instruction{telephony.Dial{
		Targets: []telephony.Target{{Number: "+17735550101"}}, ActionURL: public + "/webhooks/twilio/voice/next",
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, rules, found := strings.Cut(string(body), "/voice/next#")
	rules, _, _ = strings.Cut(rules, `"`)
	rules = "#" + strings.ReplaceAll(rules, "&amp;", "&")
	if !found {
		t.Fatalf("no rules in %s", body)
	}
	for name, c := range map[string]struct {
		server   slow
		attempts int
	}{
		"a server that never answers":     {slow{}, 2},
		"errors after three seconds":      {slow{after: 3 * time.Second, status: 503}, 3},
		"errors just before the deadline": {slow{after: 3999 * time.Millisecond, status: 500}, 3},
		"errors at once":                  {slow{after: 1, status: 502}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.server
				s.began = time.Now()
				n := loopback.New(loopback.Config{PublicURL: public, AccountSID: account, AuthToken: "t", HTTP: &http.Client{Transport: &s}})
				n.AddNumber("+13125550171", loopback.NumberURLs{Voice: public + "/webhooks/twilio/voice" + rules})
				placed := n.Call(loopback.CallScript{From: "+12125550143", To: "+13125550171", At: s.began})
				if err := n.Finish(context.Background()); err != nil {
					t.Fatal(err)
				}
				if len(s.attempts) != c.attempts || s.ended > 14*time.Second || placed.Outcome != telephony.OutcomeFailed {
					t.Errorf("attempts at %v, ended at %v, %s; want %d within 14 s", s.attempts, s.ended, placed.Outcome, c.attempts)
				}
			})
		})
	}
}

func TestTheAPIIsNotAskedLongerThanItsRulesSay(t *testing.T) {
	busy := func(after time.Duration, wait string) slow {
		return slow{after: after, status: 503, header: map[string]string{"Retry-After": wait}}
	}
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		server   slow
		within   time.Duration // the context's; 0 for none
		buy      bool
		attempts []time.Duration
		ended    time.Duration
	}{
		"no answer":                           {server: slow{}, attempts: []time.Duration{0}, ended: 10 * time.Second},
		"no answer to a purchase":             {server: slow{}, buy: true, attempts: []time.Duration{0}, ended: 10 * time.Second},
		"no answer within the context":        {server: slow{}, within: 3 * time.Second, attempts: []time.Duration{0}, ended: 3 * time.Second},
		"busy for as long as can be":          {server: busy(9999*ms, "5"), attempts: []time.Duration{0, 14999 * ms, 29998 * ms}, ended: 39997 * ms},
		"busy for longer than is waited":      {server: busy(ms, "6"), attempts: []time.Duration{0}, ended: ms},
		"busy beyond the context":             {server: busy(8*time.Second, "5"), within: 12 * time.Second, attempts: []time.Duration{0}, ended: 8 * time.Second},
		"busy until the context ends":         {server: busy(3*time.Second, "1"), within: 9 * time.Second, attempts: []time.Duration{0, 4 * time.Second, 8 * time.Second}, ended: 9 * time.Second},
		"busy, and a purchase is no question": {server: busy(ms, "1"), buy: true, attempts: []time.Duration{0}, ended: ms},
		"a fault is not repeated":             {server: slow{after: ms, status: 500}, attempts: []time.Duration{0}, ended: ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.server
				s.began = time.Now()
				carrier, err := twilio.NewCarrier(twilio.CarrierConfig{AccountSID: account, AuthToken: "t", HTTP: &s})
				if err != nil {
					t.Fatal(err)
				}
				ctx := context.Background()
				if c.within > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.within)
					defer cancel()
				}
				if c.buy {
					_, err = carrier.Buy(ctx, "+13125550171", settings)
				} else {
					_, err = carrier.Call(ctx, callID)
				}
				if callwheel.KindOf(err) != callwheel.Unavailable {
					t.Errorf("got %v, want kind unavailable", err)
				}
				if !slices.Equal(s.attempts, c.attempts) || s.ended != c.ended || time.Since(s.began) != c.ended {
					t.Errorf("attempts at %v, ended at %v, given up at %v; want %v and %v", s.attempts, s.ended, time.Since(s.began), c.attempts, c.ended)
				}
			})
		})
	}
}
