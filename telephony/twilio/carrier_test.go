package twilio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

const (
	account  = "AC00000000000000000000000000000001"
	numberID = "PN00000000000000000000000000000001"
	callID   = "CA00000000000000000000000000000001"
	prefix   = "/2010-04-01/Accounts/" + account
	mediaURL = "https://api.twilio.com" + prefix + "/Recordings/RE00000000000000000000000000000009"
)

// answer is one scripted reply of the pretend API.
type answer struct {
	status int
	body   string
	header map[string]string
}

// script is an API that gives its answers in order, the last one for ever, and
// remembers what it was asked.
type script struct {
	mu      sync.Mutex
	answers []answer
	asked   []asked
	slept   []time.Duration
	open    atomic.Int64 // bodies that were not closed
}

type asked struct {
	method, path, host string
	query, form        url.Values
	user, password     string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	r.ParseForm()
	s.asked = append(s.asked, asked{r.Method, r.URL.Path, r.Host, r.URL.Query(), r.PostForm, user, password})
	a := s.answers[min(len(s.asked), len(s.answers))-1]
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	io.WriteString(w, a.body)
}

// watch counts the bodies that are handed out and not closed.
type watch struct{ s *script }

func (w watch) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		w.s.open.Add(1)
		res.Body = &watched{ReadCloser: res.Body, s: w.s}
	}
	return res, err
}

type watched struct {
	io.ReadCloser
	s    *script
	once sync.Once
}

func (b *watched) Close() error {
	b.once.Do(func() { b.s.open.Add(-1) })
	return b.ReadCloser.Close()
}

func carrier(t *testing.T, answers ...answer) (*twilio.Carrier, *script) {
	t.Helper()
	s := &script{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := twilio.NewCarrier(twilio.CarrierConfig{
		AccountSID: account, AuthToken: "test-token.1", APIURL: server.URL, HTTP: watch{s},
		Sleep: func(_ context.Context, d time.Duration) error { s.slept = append(s.slept, d); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := s.open.Load(); n != 0 {
			t.Errorf("%d answers were not closed", n)
		}
	})
	return c, s
}

func object(fields map[string]any) string {
	text, _ := json.Marshal(fields)
	return string(text)
}

var settings = telephony.NumberSettings{VoiceURL: door + "voice", FallbackURL: "https://b.example/voice", StatusURL: door + "status"}

func TestSearchAsksForNumbersThatTakeCalls(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "dublin") // must not matter
	t.Setenv("TWILIO_REGION", "ie1")
	offers := answer{body: object(map[string]any{"available_phone_numbers": []any{
		map[string]any{"phone_number": "+13125550171", "locality": "Chicago", "region": "IL", "iso_country": "US", "latitude": "41.8", "longitude": 87.6},
		map[string]any{"phone_number": "+13125550172", "locality": nil, "region": "IL", "iso_country": "US"},
		map[string]any{"friendly_name": "without a number"},
		map[string]any{"phone_number": "+13125550173"},
	}})}
	for kind, path := range map[string]string{"": "Local", "local": "Local", "toll_free": "TollFree", "mobile": "Mobile"} {
		c, s := carrier(t, offers)
		got, err := c.Search(t.Context(), telephony.CarrierSearch{Country: "US", AreaCode: "312", Contains: "555*", Kind: kind, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		want := []telephony.CarrierNumber{
			{Number: "+13125550171", City: "Chicago", Region: "IL", Country: "US"},
			{Number: "+13125550172", Region: "IL", Country: "US"},
		}
		if !slices.Equal(got, want) {
			t.Errorf("kind %q: got %+v, want %+v", kind, got, want)
		}
		ask := s.asked[0]
		if ask.path != prefix+"/AvailablePhoneNumbers/US/"+path+".json" || ask.user != account || ask.password != "test-token.1" {
			t.Errorf("kind %q: asked %+v", kind, ask)
		}
		if q := ask.query; q.Get("AreaCode") != "312" || q.Get("Contains") != "555*" || q.Get("VoiceEnabled") != "true" || q.Get("PageSize") != "2" {
			t.Errorf("kind %q: got query %v", kind, q)
		}
	}
}

func TestSearchRefusesWhatMakesNoSense(t *testing.T) {
	c, s := carrier(t, answer{})
	for _, q := range []telephony.CarrierSearch{
		{},
		{Country: "usa"},
		{Country: "US/../.."},
		{Country: "us"},
		{Country: "US", Kind: "fax"},
		{Country: "US", AreaCode: "31"},
		{Country: "US", AreaCode: "-12"},
		{Country: "US", Contains: "1.5"},
		{Country: "US", Contains: strings.Repeat("1", 17)},
	} {
		if _, err := c.Search(t.Context(), q); callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("%+v: got %v, want kind invalid", q, err)
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("got %d requests, want none", len(s.asked))
	}
}

func TestBuySetsTheNumberUpInTheSameRequest(t *testing.T) {
	c, s := carrier(t, answer{status: 201, body: object(map[string]any{
		"sid": numberID, "phone_number": "+13125550171", "voice_url": door + "voice#rc=2&rp=5xx,ct,rt&rt=4000&tt=14000",
		"status_callback": door + "status#rc=5&rp=all", "trunk_sid": "",
	})})
	got, err := c.Buy(t.Context(), "+13125550171", settings)
	if err != nil {
		t.Fatal(err)
	}
	want := telephony.CarrierNumber{Ref: numberID, Number: "+13125550171", Country: "US", VoiceURL: door + "voice", StatusURL: door + "status"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	form := s.asked[0].form
	for name, want := range map[string]string{
		"PhoneNumber": "+13125550171", "VoiceMethod": "POST", "VoiceFallbackMethod": "POST", "StatusCallbackMethod": "POST",
		"VoiceUrl":         door + "voice#rc=2&rp=5xx,ct,rt&rt=4000&tt=14000",
		"VoiceFallbackUrl": "https://b.example/voice#rc=2&rp=5xx,ct,rt&rt=4000&tt=14000",
		"StatusCallback":   door + "status#rc=5&rp=all",
	} {
		if form.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, form.Get(name), want)
		}
	}
	if len(s.asked) != 1 || s.asked[0].path != prefix+"/IncomingPhoneNumbers.json" {
		t.Errorf("got %+v, want one purchase", s.asked)
	}
}

func TestAFallbackThatWeHaveNotIsNotTheOperatorsToLose(t *testing.T) {
	c, s := carrier(t, answer{status: 201, body: object(map[string]any{"sid": numberID, "phone_number": "+13125550171"})}, answer{body: "{}"})
	without := settings
	without.FallbackURL = ""
	if _, err := c.Buy(t.Context(), "+13125550171", without); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(t.Context(), numberID, without); err != nil {
		t.Fatal(err)
	}
	for _, ask := range s.asked {
		if ask.form.Has("VoiceFallbackUrl") || ask.form.Has("VoiceFallbackMethod") || !ask.form.Has("VoiceUrl") {
			t.Errorf("%s: got form %v, want no word of the fallback", ask.path, ask.form)
		}
	}
}

func TestAPurchaseIsSentOnceWhateverTheAnswer(t *testing.T) {
	cases := []struct {
		name   string
		answer answer
		want   callwheel.Kind
	}{
		{"too many", answer{429, `{"code":20429,"message":"Too Many Requests","status":429}`, map[string]string{"Retry-After": "1"}}, callwheel.Unavailable},
		{"away", answer{503, "", nil}, callwheel.Unavailable},
		{"a page of a proxy", answer{500, "<html>oops</html>", nil}, callwheel.Unavailable},
		{"nothing", answer{502, "", nil}, callwheel.Unavailable},
		{"a timeout at Twilio", answer{408, "", nil}, callwheel.Unavailable},
		{"a redirect", answer{301, "", map[string]string{"Location": "https://elsewhere.example/"}}, callwheel.Unavailable},
		{"success that is not JSON", answer{201, "<html>", nil}, callwheel.Unavailable},
		{"success without a name", answer{201, "{}", nil}, callwheel.Unavailable},
		{"success for another number", answer{201, `{"sid":"` + numberID + `","phone_number":"+18089255327"}`, nil}, callwheel.Unavailable},
		{"gone", answer{400, `{"code":21422,"message":"+13125550171 is not available.","status":400}`, nil}, callwheel.Conflict},
		{"the code as text", answer{400, `{"code":"21422"}`, nil}, callwheel.Conflict},
		{"no number", answer{400, `{"code":21421}`, nil}, callwheel.Invalid},
		{"papers missing", answer{400, `{"code":21649,"message":"Bundle required"}`, nil}, callwheel.Invalid},
		{"wrong credentials", answer{401, `{"code":20003,"message":"Authenticate"}`, nil}, callwheel.Forbidden},
		{"forbidden without words", answer{403, "", nil}, callwheel.Forbidden},
		{"no such account", answer{404, `{"code":20404}`, nil}, callwheel.NotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			carrier, s := carrier(t, c.answer)
			_, err := carrier.Buy(t.Context(), "+13125550171", settings)
			if got := callwheel.KindOf(err); got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
			if len(s.asked) != 1 || len(s.slept) != 0 {
				t.Errorf("got %d requests and %d waits, want one and none", len(s.asked), len(s.slept))
			}
			if err != nil && strings.Contains(err.Error(), "3125550171") {
				t.Errorf("the error names the number: %v", err)
			}
		})
	}
}

func TestReadsAreRepeatedWhenTwilioIsBusy(t *testing.T) {
	found := answer{body: object(map[string]any{"sid": callID, "status": "completed", "duration": "48"})}
	busy := func(after string) answer {
		return answer{429, `{"code":20429}`, map[string]string{"Retry-After": after}}
	}
	dated := answer{503, "", map[string]string{"Date": "Tue, 06 Oct 2026 14:00:00 GMT", "Retry-After": "Tue, 06 Oct 2026 14:00:02 GMT"}}
	cases := []struct {
		name    string
		answers []answer
		want    callwheel.Kind // "" is success
		asked   int
		slept   []time.Duration // -1 is any short wait
	}{
		{"at once", []answer{found}, "", 1, nil},
		{"after one 429 that says how long", []answer{busy("1"), found}, "", 2, []time.Duration{time.Second}},
		{"after a date", []answer{dated, found}, "", 2, []time.Duration{2 * time.Second}},
		{"after two that do not say", []answer{{status: 503}, {status: 429}, found}, "", 3, []time.Duration{-1, -1}},
		{"never", []answer{{status: 503, body: "<html>"}}, callwheel.Unavailable, 3, []time.Duration{-1, -1}},
		{"not for as long as that", []answer{busy("60"), found}, callwheel.Unavailable, 1, nil},
		{"not after a 500", []answer{{status: 500}, found}, callwheel.Unavailable, 1, nil},
		{"not after a 404", []answer{{status: 404}, found}, callwheel.NotFound, 1, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			carrier, s := carrier(t, c.answers...)
			call, err := carrier.Call(t.Context(), callID)
			if got := callwheel.KindOf(err); got != c.want {
				t.Fatalf("got %q (%v), want %q", got, err, c.want)
			}
			if c.want == "" && (call.Ref != callID || call.Seconds != 48) {
				t.Errorf("got %+v", call)
			}
			if len(s.asked) != c.asked || len(s.slept) != len(c.slept) {
				t.Fatalf("got %d requests, waits %v, want %d and %v", len(s.asked), s.slept, c.asked, c.slept)
			}
			for i, want := range c.slept {
				if got := s.slept[i]; want >= 0 && got != want || want < 0 && (got <= 0 || got > 400*time.Millisecond) {
					t.Errorf("wait %d: got %v, want %v", i, got, want)
				}
			}
		})
	}
}

func TestAWaitEndsWithTheContextAndIsNotBegunBeyondItsDeadline(t *testing.T) {
	s := &script{answers: []answer{{429, "", map[string]string{"Retry-After": "3"}}}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	gone := errors.New("gone away")
	c, err := twilio.NewCarrier(twilio.CarrierConfig{
		AccountSID: account, AuthToken: "t", APIURL: server.URL,
		Sleep: func(context.Context, time.Duration) error { return gone },
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(t.Context(), callID); !errors.Is(err, gone) || callwheel.KindOf(err) != callwheel.Unavailable {
		t.Errorf("got %v, want the context's reason as unavailable", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	before := len(s.asked)
	if _, err := c.Call(short, callID); errors.Is(err, gone) || callwheel.KindOf(err) != callwheel.Unavailable {
		t.Errorf("got %v, want the 429 itself", err)
	}
	if got := len(s.asked) - before; got != 1 {
		t.Errorf("got %d requests, want one", got)
	}
}

func TestASlowAnswerEndsWithTheDeadline(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "Recordings") || r.Method == http.MethodPost {
			<-release
			return
		}
		w.Write([]byte(`{"sid":`))
		w.(http.Flusher).Flush()
		<-release // half an answer
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	for name, timeout := range map[string]time.Duration{"of the context": time.Hour, "of the request": 20 * time.Millisecond} {
		c, err := twilio.NewCarrier(twilio.CarrierConfig{AccountSID: account, AuthToken: "t", APIURL: server.URL, Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		if timeout == time.Hour {
			ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		}
		_, callErr := c.Call(ctx, callID)
		_, buyErr := c.Buy(ctx, "+13125550171", settings)
		_, _, mediaErr := c.Media(ctx, mediaURL)
		for what, err := range map[string]error{"call": callErr, "buy": buyErr, "media": mediaErr} {
			if callwheel.KindOf(err) != callwheel.Unavailable {
				t.Errorf("deadline %s, %s: got %v, want kind unavailable", name, what, err)
			}
		}
		if timeout == time.Hour && !errors.Is(callErr, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline as the cause", callErr)
		}
		cancel()
	}
}

func TestAnUnreachableAPIIsUnavailableAndItsErrorNamesNoNumber(t *testing.T) {
	// Nobody listens on port 1. A port that was free a moment ago may be somebody's.
	c, err := twilio.NewCarrier(twilio.CarrierConfig{AccountSID: account, AuthToken: "secret1", APIURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Owned(t.Context(), "+13125550171")
	if callwheel.KindOf(err) != callwheel.Unavailable || strings.Contains(err.Error(), "5550171") || strings.Contains(err.Error(), "secret1") {
		t.Errorf("got %v, want unavailable without number and secret", err)
	}
}

func TestOwnedFollowsPagesButOnlyHere(t *testing.T) {
	page := func(next any, numbers ...map[string]any) answer {
		return answer{body: object(map[string]any{"incoming_phone_numbers": numbers, "next_page_uri": next})}
	}
	number := func(n int, more ...string) map[string]any {
		m := map[string]any{"sid": fmt.Sprintf("PN%032d", n), "phone_number": fmt.Sprintf("+1312555%04d", n)}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	c, s := carrier(t,
		page("https://evil.example/2010-04-01/Accounts/AC_other/Calls.json?Page=1&PageToken=PA1.5", number(1, "voice_url", door+"voice#rc=0")),
		page(prefix+"/IncomingPhoneNumbers.json?PageSize=1000&Page=2&PageToken=PA2", number(2, "voice_application_sid", "AP1")),
		page(nil, number(3, "trunk_sid", "TK1", "voice_application_sid", "AP1"), number(4)))
	got, err := c.Owned(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []telephony.CarrierNumber{
		{Ref: fmt.Sprintf("PN%032d", 1), Number: "+13125550001", Country: "US", VoiceURL: door + "voice#rc=0"},
		{Ref: fmt.Sprintf("PN%032d", 2), Number: "+13125550002", Country: "US", Overridden: "application AP1"},
		{Ref: fmt.Sprintf("PN%032d", 3), Number: "+13125550003", Country: "US", Overridden: "trunk TK1"},
		{Ref: fmt.Sprintf("PN%032d", 4), Number: "+13125550004", Country: "US"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(s.asked) != 3 {
		t.Fatalf("got %d requests, want 3", len(s.asked))
	}
	for i, ask := range s.asked {
		if ask.path != prefix+"/IncomingPhoneNumbers.json" {
			t.Errorf("page %d: asked for %s", i, ask.path)
		}
	}
	// twilio-go's own client would have sent "PA1".
	if got := s.asked[1].query; got.Get("PageToken") != "PA1.5" || got.Get("Page") != "1" {
		t.Errorf("got query %v, want the page's token", got)
	}
}

func TestAListThatTurnsInCirclesEnds(t *testing.T) {
	c, s := carrier(t, answer{body: `{"calls":[],"next_page_uri":"/x?Page=1&PageToken=a"}`})
	if _, err := c.Legs(t.Context(), callID); callwheel.KindOf(err) != callwheel.Unavailable {
		t.Errorf("got %v, want kind unavailable", err)
	}
	if len(s.asked) != 2 {
		t.Errorf("got %d requests, want 2", len(s.asked))
	}
}

func TestOwnedOneNumberIsThatNumberOrNone(t *testing.T) {
	c, s := carrier(t, answer{body: object(map[string]any{"incoming_phone_numbers": []any{
		map[string]any{"sid": numberID, "phone_number": "+131255501711"}, // the filter matches parts
	}})})
	got, err := c.Owned(t.Context(), "+13125550171")
	if err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v, want none", got, err)
	}
	if q := s.asked[0].query.Get("PhoneNumber"); q != "+13125550171" {
		t.Errorf("got filter %q", q)
	}
	if _, err := c.Owned(t.Context(), "*"); callwheel.KindOf(err) != callwheel.Invalid {
		t.Errorf("got %v, want kind invalid", err)
	}
}

func TestCallsAreReadWithWholeSecondsAndExactBounds(t *testing.T) {
	call := func(n int, start any, more map[string]any) map[string]any {
		m := map[string]any{"sid": fmt.Sprintf("CA%032d", n), "start_time": start, "direction": "inbound", "status": "completed"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	c, s := carrier(t, answer{body: object(map[string]any{"calls": []any{
		call(1, "Tue, 06 Oct 2026 14:00:00 +0000", map[string]any{"duration": "48", "end_time": "Tue, 06 Oct 2026 14:00:48 +0000", "from": "+12125550143", "to": "+13125550171"}),
		call(2, "Tue, 06 Oct 2026 14:00:01 +0000", map[string]any{"duration": "", "status": "no-answer", "parent_call_sid": fmt.Sprintf("CA%032d", 1), "direction": "outbound-dial"}),
		call(3, nil, map[string]any{"status": "queued", "duration": nil}),
		call(4, "Tue, 06 Oct 2026 15:00:00 +0000", nil),
		call(5, "Tue, 06 Oct 2026 13:59:59 +0000", nil),
	}})})
	from := time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC)
	got, err := c.Calls(t.Context(), from.Add(250*time.Millisecond), from.Add(time.Hour-time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	want := []telephony.CarrierCall{
		{Ref: fmt.Sprintf("CA%032d", 1), From: "+12125550143", To: "+13125550171", Direction: "inbound", Status: telephony.Completed, StartedAt: from, EndedAt: from.Add(48 * time.Second), Seconds: 48},
		{Ref: fmt.Sprintf("CA%032d", 2), ParentRef: fmt.Sprintf("CA%032d", 1), Direction: "outbound-dial", Status: telephony.NoAnswer, StartedAt: from.Add(time.Second), Seconds: -1},
		{Ref: fmt.Sprintf("CA%032d", 3), Direction: "inbound", Status: telephony.Queued, Seconds: -1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	q := s.asked[0].query
	if q.Get("StartTime>") != "2026-10-06T14:00:00Z" || q.Get("StartTime<") != "2026-10-06T15:00:00Z" {
		t.Errorf("got query %v", q)
	}
}

func TestReferencesCannotLeaveTheirPath(t *testing.T) {
	c, s := carrier(t, answer{})
	for _, ref := range []string{"", "..", "../Calls", "PN1/..", "PN1?x=1", "PN1.json", "PN1#", strings.Repeat("P", 65), "PN\n1"} {
		_, callErr := c.Call(t.Context(), ref)
		_, legsErr := c.Legs(t.Context(), ref)
		for _, err := range []error{callErr, legsErr, c.Configure(t.Context(), ref, settings), c.Release(t.Context(), ref), c.DeleteRecording(t.Context(), ref)} {
			if callwheel.KindOf(err) != callwheel.NotFound {
				t.Errorf("%q: got %v, want kind not_found", ref, err)
			}
		}
	}
	if len(s.asked) != 0 {
		t.Errorf("got %d requests, want none", len(s.asked))
	}
}

func TestConfigureReleaseAndDeleteSpeakOfOneThing(t *testing.T) {
	c, s := carrier(t, answer{body: "{}"}, answer{status: 204}, answer{status: 204}, answer{status: 404, body: `{"code":20404}`})
	if err := c.Configure(t.Context(), numberID, settings); err != nil {
		t.Error(err)
	}
	if err := c.Release(t.Context(), numberID); err != nil {
		t.Error(err)
	}
	if err := c.DeleteRecording(t.Context(), "RE1"); err != nil {
		t.Error(err)
	}
	if err := c.Release(t.Context(), numberID); callwheel.KindOf(err) != callwheel.NotFound {
		t.Errorf("got %v, want kind not_found", err)
	}
	var got []string
	for _, ask := range s.asked {
		got = append(got, ask.method+" "+strings.TrimPrefix(ask.path, prefix))
	}
	want := []string{
		"POST /IncomingPhoneNumbers/" + numberID + ".json", "DELETE /IncomingPhoneNumbers/" + numberID + ".json",
		"DELETE /Recordings/RE1.json", "DELETE /IncomingPhoneNumbers/" + numberID + ".json",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if form := s.asked[0].form; form.Get("VoiceUrl") == "" || form.Has("VoiceApplicationSid") || form.Has("TrunkSid") {
		t.Errorf("got form %v, want the URLs only", form)
	}
}

func TestMediaIsOpenedFromTheProviderOnly(t *testing.T) {
	c, s := carrier(t, answer{body: "RIFF", header: map[string]string{"Content-Type": "audio/x-wav"}})
	body, contentType, err := c.Media(t.Context(), mediaURL)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil || string(text) != "RIFF" || contentType != "audio/x-wav" {
		t.Errorf("got %q %q %v", text, contentType, err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	ask := s.asked[0]
	if ask.path != strings.TrimPrefix(mediaURL, "https://api.twilio.com")+".wav" || ask.user != account || len(ask.query) != 0 {
		t.Errorf("got %+v", ask)
	}
	own := "http://" + ask.host + strings.TrimPrefix(mediaURL, "https://api.twilio.com")
	if body, _, err := c.Media(t.Context(), own); err != nil {
		t.Errorf("the configured host: got %v", err)
	} else {
		body.Close()
	}
	asked := len(s.asked)
	for _, bad := range []string{
		"", "/" + mediaURL, mediaURL + ".wav", mediaURL + ".json", mediaURL + "?x=1", mediaURL + "#x", mediaURL + "/", mediaURL + "/../../../x",
		mediaURL + "\n", " " + mediaURL, strings.Replace(mediaURL, "https:", "http:", 1), strings.Replace(mediaURL, "https:", "file:", 1),
		strings.Replace(mediaURL, "api.twilio.com", "api.twilio.com.evil.example", 1),
		strings.Replace(mediaURL, "api.twilio.com", "api.twilio.com@evil.example", 1),
		strings.Replace(mediaURL, "api.twilio.com", "user:pass@api.twilio.com", 1),
		strings.Replace(mediaURL, "api.twilio.com", "api.twilio.com:8080", 1),
		strings.Replace(mediaURL, "api.twilio.com", "169.254.169.254", 1),
		strings.Replace(mediaURL, "api.twilio.com", "API.twilio.com", 1),
		strings.Replace(mediaURL, "/Accounts/", "/Accounts/%2e%2e/", 1),
		strings.Replace(mediaURL, "/Accounts/", "//Accounts/", 1),
		strings.Replace(mediaURL, "/Recordings/", "/Calls/", 1),
		strings.Replace(mediaURL, "2010-04-01", "2008-08-01", 1),
		mediaURL[:len(mediaURL)-1],
		"https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/../../../../latest/meta-data",
	} {
		if _, _, err := c.Media(t.Context(), bad); callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("%q: got %v, want kind invalid", bad, err)
		}
	}
	if len(s.asked) != asked {
		t.Errorf("got %d more requests, want none", len(s.asked)-asked)
	}
}

func TestMediaThatIsNotThereIsNotMedia(t *testing.T) {
	cases := []struct {
		name   string
		answer answer
		want   callwheel.Kind
	}{
		{"not yet", answer{404, `{"code":20404}`, nil}, callwheel.NotFound},
		{"a redirect", answer{302, "", map[string]string{"Location": "http://169.254.169.254/"}}, callwheel.Unavailable},
		{"a page", answer{200, "<html>", map[string]string{"Content-Type": "text/html"}}, callwheel.Unavailable},
		{"no credentials", answer{401, "", nil}, callwheel.Forbidden},
		{"away", answer{503, "", nil}, callwheel.Unavailable},
		{"nothing said", answer{200, "", map[string]string{"Content-Type": ""}}, callwheel.Unavailable},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			carrier, _ := carrier(t, c.answer)
			body, _, err := carrier.Media(t.Context(), mediaURL)
			if got := callwheel.KindOf(err); got != c.want || body != nil {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestACarrierNeedsSettingsThatCanBeRight(t *testing.T) {
	for field, cfg := range map[string]twilio.CarrierConfig{
		"account_sid":  {AccountSID: "AC1/..", AuthToken: "t"},
		"auth_token":   {AccountSID: account},
		"api_url":      {AccountSID: account, AuthToken: "t", APIURL: "ftp://x.example"},
		"api_url path": {AccountSID: account, AuthToken: "t", APIURL: "https://x.example/api"},
		"api_url user": {AccountSID: account, AuthToken: "t", APIURL: "https://u:p@x.example"},
		"api_url text": {AccountSID: account, AuthToken: "t", APIURL: "x.example"},
	} {
		_, err := twilio.NewCarrier(cfg)
		name, _, _ := strings.Cut(field, " ")
		if callwheel.KindOf(err) != callwheel.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want kind invalid that names the field", field, err)
		}
	}
}

func TestCarriersShareTheirMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := &script{answers: []answer{{status: 404}}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for range 2 {
		c, err := twilio.NewCarrier(twilio.CarrierConfig{AccountSID: account, AuthToken: "t", APIURL: server.URL, Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		c.Call(t.Context(), callID)
	}
	const name = "callwheel_telephony_carrier_request_seconds"
	if got := testutil.CollectAndCount(registry, name); got != 1 {
		t.Errorf("got %d series of %s, want 1", got, name)
	}
}
