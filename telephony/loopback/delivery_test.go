package loopback_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// statuses answers the given codes one after another at a path, then 204 or
// TwiML.
func statuses(path string, codes ...int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path || len(codes) == 0 {
			return false
		}
		code := codes[0]
		codes = codes[1:]
		w.WriteHeader(code)
		return true
	}
}

func tokensAt(o *office, path string) []string {
	var tokens []string
	for _, r := range o.got {
		if r.path == path {
			tokens = append(tokens, r.token)
		}
	}
	return tokens
}

func TestByDefaultAServerErrorIsNotRetriedAndTheCallbackIsLost(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = `<Reject/>`
	o.override = statuses("/cb/number", 503)
	placed := n.Call(script())
	finish(t, n)
	if got := len(tokensAt(o, "/cb/number")); got != 1 || placed.Lost != 1 {
		t.Errorf("asked %d times, %d lost; want once and one lost", got, placed.Lost)
	}
}

func TestTheFragmentOrdersRetriesUnderOneTokenAndIsNotSigned(t *testing.T) {
	o, n := newOffice(t, nil)
	n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in", Status: base + "/cb/number#rc=2&rp=5xx,ct,rt"})
	o.answers["/v/in"] = `<Reject/>`
	o.override = statuses("/cb/number", 503, 500)
	placed := n.Call(script())
	finish(t, n)
	tokens := tokensAt(o, "/cb/number")
	if len(tokens) != 3 || tokens[0] == "" || len(slices.Compact(tokens)) != 1 {
		t.Errorf("tokens of the attempts %q, want three equal ones", tokens)
	}
	if placed.Lost != 0 {
		t.Errorf("%d callbacks lost, want none", placed.Lost)
	}
	equalLines(t, o.lines(), []string{
		"0 /v/in CallStatus=ringing",
		"0 /cb/number CallStatus=no-answer SequenceNumber=0 CallDuration=0 Duration=0",
		"1 /cb/number CallStatus=no-answer SequenceNumber=0 CallDuration=0 Duration=0",
		"2 /cb/number CallStatus=no-answer SequenceNumber=0 CallDuration=0 Duration=0",
	})
}

func TestARefusalIsRetriedOnlyWhereTheFragmentSaysSo(t *testing.T) {
	for fragment, want := range map[string]int{"": 1, "#rc=3&rp=5xx": 1, "#rc=3&rp=4xx": 4, "#rc=5&rp=all": 6, "#rp=nonsense&rc=3": 1, "#rc=5&rp=all&tt=2000": 2} {
		o, n := newOffice(t, nil)
		n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in", Status: base + "/cb/number" + fragment})
		o.answers["/v/in"] = `<Reject/>`
		o.override = statuses("/cb/number", 409, 409, 409, 409, 409, 409, 409)
		n.Call(script())
		finish(t, n)
		if got := len(tokensAt(o, "/cb/number")); got != want {
			t.Errorf("%q: asked %d times, want %d", fragment, got, want)
		}
	}
}

func TestAFailedConnectIsRetriedOnce(t *testing.T) {
	// Nobody listens on port 1, and nobody is lent it: a port that was free a moment
	// ago may be somebody's.
	address := "http://127.0.0.1:1"
	attempts := 0
	n := loopback.New(loopback.Config{
		PublicURL: address, AccountSID: account, AuthToken: token, Clock: loopback.NewClock(noon),
		Observe: func(e loopback.Exchange) { attempts++ },
	})
	n.AddNumber(tracking, loopback.NumberURLs{Voice: address + "/v/in"})
	placed := n.Call(script())
	finish(t, n)
	if attempts != 2 || placed.Outcome != telephony.OutcomeFailed {
		t.Errorf("%d attempts and outcome %s, want 2 and failed", attempts, placed.Outcome)
	}
}

func TestATimeoutIsRetriedWhereTheFragmentSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		n := loopback.New(loopback.Config{
			PublicURL: base, AccountSID: account, AuthToken: token, Clock: loopback.NewClock(noon),
			HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if attempts++; attempts < 3 {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return twiml(`<Reject reason="busy"/>`), nil
			})},
		})
		n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in#rc=2&rp=rt&rt=100&ct=100"})
		placed := n.Call(script())
		finish(t, n)
		if attempts != 3 || placed.Outcome != telephony.Blocked || placed.Status != telephony.Busy {
			t.Errorf("%d attempts, outcome %s, status %s; want 3, blocked, busy", attempts, placed.Outcome, placed.Status)
		}
	})
}

func TestTheFallbackURLIsAskedWithTheCodeOfTheFailure(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"11217": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"11215": func(w http.ResponseWriter) { w.WriteHeader(http.StatusMovedPermanently) },
		"12300": func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/json") },
		"12100": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, "<Response><Say>half")
		},
		"11750": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, "<Response><Say>"+strings.Repeat("x", 65<<10)+"</Say></Response>")
		},
	}
	for code, answer := range answers {
		o, n := newOffice(t, nil)
		n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in", Fallback: base + "/v/fallback"})
		o.answers["/v/fallback"] = `<Reject/>`
		o.override = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v/in" {
				answer(w)
			}
			return r.URL.Path == "/v/in"
		}
		placed := n.Call(script())
		finish(t, n)
		last := o.got[len(o.got)-1]
		if last.path != "/v/fallback" || last.form.Get("ErrorCode") != code || last.form.Get("ErrorUrl") != base+"/v/in" {
			t.Errorf("%s: last request %s with ErrorUrl %q", code, last.line(), last.form.Get("ErrorUrl"))
		}
		if placed.Outcome != telephony.Blocked {
			t.Errorf("%s: outcome %s, want the fallback's answer to be played", code, placed.Outcome)
		}
	}
}

func TestWithoutAnyDocumentTheCallFails(t *testing.T) {
	o, n := newOffice(t, nil)
	o.override = statuses("/v/in", 500)
	placed := n.Call(script())
	finish(t, n)
	if placed.Outcome != telephony.OutcomeFailed || len(placed.Warnings) == 0 {
		t.Errorf("outcome %s, warnings %q; want failed, and to be told why", placed.Outcome, placed.Warnings)
	}
}

// chaoticRun plays some calls with chaos and returns what the server saw.
func chaoticRun(t *testing.T, seed uint64) ([]string, []*loopback.PlacedCall) {
	t.Helper()
	o, n := newOffice(t, func(c *loopback.Config) {
		c.Seed = seed
		c.Chaos = loopback.Chaos{Duplicate: 0.3, Reorder: 0.3, Delay: 0.2, Drop: 0.2}
	})
	o.answers = scenarios[0].answers
	for i := range 12 {
		s := script()
		scenarios[0].script(&s)
		s.At = noon.Add(time.Duration(i) * 40 * time.Second)
		n.Call(s)
	}
	finish(t, n)
	return o.lines(), n.Calls()
}

func TestChaosIsTheSameForTheSameSeed(t *testing.T) {
	first, calls := chaoticRun(t, 7)
	again, _ := chaoticRun(t, 7)
	other, _ := chaoticRun(t, 8)
	equalLines(t, again, first)
	if strings.Join(other, "\n") == strings.Join(first, "\n") {
		t.Error("another seed spoiled the same requests")
	}
	dropped := 0
	for _, c := range calls {
		dropped += c.Dropped
		if c.Outcome != telephony.Answered || c.TalkSeconds != 126 {
			t.Errorf("chaos changed the truth: %s, %d s", c.Outcome, c.TalkSeconds)
		}
	}
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
}

func TestChaosNeverHoldsBackOrLosesARequestForTwiML(t *testing.T) {
	live := map[string]int{}
	lines, calls := chaoticRun(t, 7)
	for _, line := range lines {
		live[strings.Fields(line)[1]]++
	}
	for _, path := range []string{"/v/in", "/v/whisper?n=17", "/v/after?hop=1"} {
		if live[path] < len(calls) {
			t.Errorf("%s was asked %d times for %d calls", path, live[path], len(calls))
		}
	}
	if live["/v/in"] == len(calls) {
		t.Error("no voice request was doubled")
	}
}

func TestARepeatedVoiceRequestThatIsAnsweredDifferentlyIsNoticed(t *testing.T) {
	o, n := newOffice(t, func(c *loopback.Config) { c.Chaos.Duplicate = 1 })
	count := 0
	o.override = func(w http.ResponseWriter, r *http.Request) bool {
		count++
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, "<Response><Say>"+strings.Repeat("x", count)+"</Say></Response>")
		return true
	}
	placed := n.Call(script())
	finish(t, n)
	if !slices.ContainsFunc(placed.Warnings, func(w string) bool { return strings.Contains(w, "answered differently") }) {
		t.Errorf("warnings %q, want one about different answers", placed.Warnings)
	}
}

func TestOnALiveClockTheNetworkWaitsForItsInstants(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v/in" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<Response><Dial answerOnBridge="true"><Number>`+agent1+`</Number></Dial></Response>`)
	}))
	defer server.Close()
	n := loopback.New(loopback.Config{PublicURL: server.URL, AccountSID: account, AuthToken: token, Scale: 100})
	n.AddNumber(tracking, loopback.NumberURLs{Voice: server.URL + "/v/in", Status: server.URL + "/cb/number"})
	s := script()
	s.At = time.Time{}
	s.Phone = phones(map[string]loopback.Phone{agent1: {Answers: true, After: 4 * time.Second, Talk: 10 * time.Second}})
	placed := n.Call(s)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := n.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	if placed.Outcome != telephony.Answered || placed.AnsweredBy != agent1 {
		t.Errorf("outcome %s by %q, want answered", placed.Outcome, placed.AnsweredBy)
	}
	if took := placed.EndedAt.Sub(placed.StartedAt); took < 150*time.Millisecond {
		t.Errorf("the call of 16 s at scale 100 took %v", took)
	}
}

func TestRunStopsAtItsInstantAndLeavesTheRestForLater(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = dialOne(``, ``)
	n.Call(script())
	if err := n.Run(context.Background(), noon.Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := len(o.got); got != 3 || !o.clock.Now().Equal(noon.Add(10*time.Second)) {
		t.Errorf("%d requests by %v, want 3 by ten seconds past", got, o.clock.Now())
	}
}
