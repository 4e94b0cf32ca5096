package loopback_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	_ "github.com/callwheel/callwheel/scripts/draws"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// troubled is a server that answers each attempt late, or not at all. It is asked
// in a bubble, where waiting costs nothing.
type troubled struct {
	began    time.Time
	late     time.Duration // 0: never
	status   int
	attempts []time.Duration // when each began
	ended    time.Duration   // when the last one did
	fallback time.Duration   // when the fallback URL was asked, -1 for never
}

func (s *troubled) RoundTrip(r *http.Request) (*http.Response, error) {
	at := time.Since(s.began)
	if r.URL.Path == "/v/fallback" {
		s.fallback = at
		return twiml(`<Reject/>`), nil
	}
	s.attempts = append(s.attempts, at)
	defer func() { s.ended = time.Since(s.began) }()
	var done <-chan time.Time
	if s.late > 0 {
		timer := time.NewTimer(s.late)
		defer timer.Stop()
		done = timer.C
	}
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-done:
		w := httptest.NewRecorder()
		w.WriteHeader(s.status)
		return w.Result(), nil
	}
}

func twiml(verbs string) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/xml")
	_, _ = io.WriteString(w, "<Response>"+verbs+"</Response>")
	return w.Result()
}

// call plays one call, on the clock of the bubble, to a number whose voice URL has
// the fragment.
func (s *troubled) call(fragment string) error {
	s.began, s.fallback = time.Now(), -1
	n := loopback.New(loopback.Config{PublicURL: base, AccountSID: account, AuthToken: token, HTTP: &http.Client{Transport: s}})
	n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in" + fragment, Fallback: base + "/v/fallback"})
	n.Call(loopback.CallScript{From: caller, To: tracking, At: s.began})
	return n.Finish(context.Background())
}

func TestTheAttemptsOfAVoiceRequestEndAtTheirDeadline(t *testing.T) {
	seconds := func(list ...float64) (spans []time.Duration) {
		for _, s := range list {
			spans = append(spans, time.Duration(s*float64(time.Second)))
		}
		return spans
	}
	for _, c := range []struct {
		name, fragment string
		server         troubled
		attempts       []time.Duration // each waits for connect and read; a second's pause between
		ended          time.Duration
	}{
		{"no answer, no rules", "", troubled{}, seconds(0), 15 * time.Second},
		{"no answer, a short time for all", "#tt=2500", troubled{}, seconds(0), 2500 * time.Millisecond},
		{"no answer, repeated", "#rc=5&rp=rt&ct=1000&rt=3000", troubled{}, seconds(0, 5, 10), 14 * time.Second},
		{"no answer, the last attempt has what is left", "#rc=5&rp=all&ct=1000&rt=4000&tt=14000", troubled{}, seconds(0, 6, 12), 14 * time.Second},
		{"no answer, more attempts than rules", "#rc=1&rp=rt&ct=100&rt=100", troubled{}, seconds(0, 1.2), 1400 * time.Millisecond},
		{"errors at once", "#rc=5&rp=5xx", troubled{late: time.Nanosecond, status: 503}, nil, 0},
		{"errors that take their time", "#rc=5&rp=5xx", troubled{late: 4 * time.Second, status: 503}, seconds(0, 5, 10), 14 * time.Second},
		{"errors later than the deadline", "#rc=5&rp=all&tt=9000", troubled{late: 6 * time.Second, status: 500}, seconds(0, 7), 9 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.server
				if err := s.call(c.fragment); err != nil {
					t.Fatal(err)
				}
				if c.attempts == nil { // six, a second apart
					if len(s.attempts) != 6 || s.ended.Round(time.Millisecond) != 5*time.Second {
						t.Errorf("attempts at %v, ended at %v, want six in five seconds", s.attempts, s.ended)
					}
					return
				}
				if !slices.Equal(s.attempts, c.attempts) || s.ended != c.ended {
					t.Errorf("attempts at %v, ended at %v, want %v and %v", s.attempts, s.ended, c.attempts, c.ended)
				}
				if s.fallback != s.ended {
					t.Errorf("the fallback URL was asked at %v, the attempts ended at %v", s.fallback, s.ended)
				}
			})
		})
	}
}

// The time for all attempts is never exceeded, whatever the rules and the server.
func TestNoRulesKeepACallerLongerThanTheDeadline(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		total := rapid.IntRange(100, 15_000).Draw(draw, "tt")
		fragment := fmt.Sprintf("#rc=%d&rp=%s&ct=%d&rt=%d&tt=%d", rapid.IntRange(0, 5).Draw(draw, "rc"),
			rapid.SampledFrom([]string{"5xx", "rt", "ct", "4xx", "all", "5xx,rt"}).Draw(draw, "rp"),
			rapid.IntRange(100, 10_000).Draw(draw, "ct"), rapid.IntRange(100, 15_000).Draw(draw, "rt"), total)
		s := troubled{
			late:   time.Duration(rapid.IntRange(0, 20_000).Draw(draw, "late")) * time.Millisecond,
			status: rapid.SampledFrom([]int{404, 409, 500, 503}).Draw(draw, "status"),
		}
		var err error
		synctest.Test(t, func(*testing.T) { err = s.call(fragment) })
		if err != nil {
			draw.Fatal(err)
		}
		deadline := time.Duration(total) * time.Millisecond
		if s.ended > deadline || s.fallback > deadline || s.fallback < s.ended {
			draw.Fatalf("%s: attempts at %v, ended at %v, the fallback URL asked at %v", fragment, s.attempts, s.ended, s.fallback)
		}
	})
}

// On a moved clock an attempt takes no time, and counts as what it would have taken.
func TestOnAMovedClockTheDeadlineCountsAllTheSame(t *testing.T) {
	var limits []time.Duration
	attempts := 0
	n := loopback.New(loopback.Config{
		PublicURL: base, AccountSID: account, AuthToken: token, Clock: loopback.NewClock(noon),
		HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			attempts++
			deadline, _ := r.Context().Deadline()
			limits = append(limits, time.Until(deadline).Round(time.Second))
			return nil, context.DeadlineExceeded
		})},
	})
	n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in#rc=5&rp=all&ct=1000&rt=4000&tt=14000"})
	placed := n.Call(script())
	finish(t, n)
	if want := []time.Duration{5 * time.Second, 5 * time.Second, 2 * time.Second}; !slices.Equal(limits, want) || placed.Outcome != telephony.OutcomeFailed {
		t.Errorf("attempts had %v, outcome %s; want %v and failed", limits, placed.Outcome, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
