package loopback_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/telephony/loopback"
)

const (
	base     = "https://calls.example.com"
	account  = "AC00000000000000000000000000000001"
	token    = "testauthtoken"
	caller   = "+12125550143"
	tracking = "+13125550171"
	agent1   = "+17735550101"
	agent2   = "+17735550102"
)

var noon = time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC)

// received is one request as the server saw it.
type received struct {
	at     time.Duration // since noon
	path   string        // with query
	form   url.Values
	token  string
	signed bool
}

// line is a request in short: when, where, and the fields that tell its kind.
func (r received) line() string {
	words := []string{fmt.Sprint(int(r.at / time.Second)), r.path}
	for _, name := range []string{
		"CallStatus", "SequenceNumber", "CallDuration", "Duration", "SipResponseCode", "DialCallStatus", "DialCallDuration",
		"DialBridged", "RecordingStatus", "RecordingDuration", "RecordingChannels", "RecordingSource", "Digits", "TranscriptionStatus", "ErrorCode",
	} {
		if name == "ErrorCode" && r.form.Get(name) == "0" {
			continue
		}
		if r.form.Has(name) {
			words = append(words, name+"="+r.form.Get(name))
		}
	}
	return strings.Join(words, " ")
}

// office is the server under test: it answers TwiML by path and remembers what
// it received. It is reached without a socket, at the public URL.
type office struct {
	t        *testing.T
	clock    *loopback.Clock
	answers  map[string]string                                       // TwiML by path
	override func(w http.ResponseWriter, r *http.Request) (did bool) // looks first
	got      []received
}

func (o *office) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Result(), nil
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		o.t.Errorf("read body: %v", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		o.t.Errorf("parse body: %v", err)
	}
	o.got = append(o.got, received{
		at: o.clock.Now().Sub(noon), path: r.URL.RequestURI(), form: form,
		token:  r.Header.Get("I-Twilio-Idempotency-Token"),
		signed: r.Header.Get("X-Twilio-Signature") == independentSignature(base+r.URL.RequestURI(), form),
	})
	if o.override != nil && o.override(w, r) {
		return
	}
	answer, ok := o.answers[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = io.WriteString(w, "<Response>"+answer+"</Response>")
}

// independentSignature is written without a look at Sign.
func independentSignature(address string, form url.Values) string {
	var names []string
	for name := range form {
		names = append(names, name)
	}
	sort.Strings(names)
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, address)
	for _, name := range names {
		_, _ = io.WriteString(mac, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (o *office) lines() []string {
	var lines []string
	for _, r := range o.got {
		if !r.signed {
			o.t.Errorf("request %s is not signed rightly", r.line())
		}
		lines = append(lines, r.line())
	}
	return lines
}

// newOffice makes a server and a network that plays to it, with one number.
func newOffice(t *testing.T, change func(*loopback.Config)) (*office, *loopback.Network) {
	t.Helper()
	o := &office{t: t, clock: loopback.NewClock(noon), answers: map[string]string{}}
	config := loopback.Config{
		PublicURL: base, AccountSID: account, AuthToken: token, Clock: o.clock, HTTP: &http.Client{Transport: o},
	}
	if change != nil {
		change(&config)
	}
	n := loopback.New(config)
	n.AddNumber(tracking, loopback.NumberURLs{Voice: base + "/v/in", Status: base + "/cb/number"})
	return o, n
}

func finish(t *testing.T, n *loopback.Network) {
	t.Helper()
	if err := n.Finish(context.Background()); err != nil {
		t.Fatalf("finish: %v", err)
	}
}

func equalLines(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests were\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func script() loopback.CallScript {
	return loopback.CallScript{
		From: caller, To: tracking, At: noon,
		FromPlace: loopback.Place{City: "NEW YORK", State: "NY", Zip: "10001", Country: "US"},
		ToPlace:   loopback.Place{State: "IL", Country: "US"},
	}
}

// phones answers by number.
func phones(by map[string]loopback.Phone) func(string, int) loopback.Phone {
	return func(number string, _ int) loopback.Phone { return by[number] }
}
