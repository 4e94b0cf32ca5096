package twilio_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	_ "github.com/callwheel/callwheel/scripts/draws"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file below testdata, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and read the diff.\ngot:\n%s\nwant:\n%s", name, got, want)
	}
}

// tape is one request as Twilio would send it.
type tape struct {
	Name        string `json:"name"`
	Door        string `json:"door"`
	Target      string `json:"target"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

func (t tape) request() telephony.Request {
	contentType := t.ContentType
	if contentType == "" {
		contentType = formType
	}
	return telephony.Request{
		Door: telephony.Door(t.Door), Method: "POST", Target: t.Target, ContentType: contentType, Body: []byte(t.Body),
		ReceivedAt: time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC),
	}
}

// told is what an event says beyond the values of one that says nothing.
func told(t *testing.T, e telephony.Event) map[string]any {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	silent := map[string]any{"Sequence": -1.0, "Seconds": -1.0, "DialSeconds": -1.0, "RecordingSeconds": -1.0, "At": "0001-01-01T00:00:00Z"}
	var drop func(m map[string]any)
	drop = func(m map[string]any) {
		for name, value := range m {
			if sub, ok := value.(map[string]any); ok {
				drop(sub)
				if len(sub) == 0 {
					delete(m, name)
				}
				continue
			}
			if value == nil || value == "" || value == 0.0 && silent[name] == nil || value == silent[name] {
				delete(m, name)
			}
		}
	}
	drop(fields)
	return fields
}

func TestTapesReadAsTheirGoldenEvents(t *testing.T) {
	var tapes []tape
	readJSON(t, "testdata/tapes.json", &tapes)
	type entry struct {
		Name  string         `json:"name"`
		Event map[string]any `json:"event"`
	}
	var got []entry
	p := twilio.New()
	for _, tape := range tapes {
		got = append(got, entry{tape.Name, told(t, p.Parse(tape.request()))})
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "events.golden.json", append(text, '\n'))
}

func parse(door telephony.Door, pairs ...string) telephony.Event {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return twilio.New().Parse(telephony.Request{Door: door, Target: "/x", ContentType: formType, Body: []byte(values.Encode())})
}

func TestDurationsAreSecondsOrUnknown(t *testing.T) {
	cases := []struct {
		text string
		want int64
		bad  bool
	}{
		{"0", 0, false},
		{"126", 126, false},
		{" 7 ", 7, false},
		{"007", 7, false},
		{"", -1, false},
		{"172800", 172800, false},
		{"172801", -1, true},
		{"-5", -1, true},
		{"+5", -1, true},
		{"abc", -1, true},
		{"1e9", -1, true},
		{"3.7", -1, true},
		{"1000000000", -1, true},
		{"99999999999999999999", -1, true},
		{"0x10", -1, true},
		{"٣", -1, true},
	}
	for _, c := range cases {
		status := parse(telephony.DoorStatus, "CallSid", "CA1", "CallStatus", "completed", "CallDuration", c.text)
		dial := parse(telephony.DoorNext, "CallSid", "CA1", "DialCallDuration", c.text)
		recording := parse(telephony.DoorRecording, "CallSid", "CA1", "RecordingDuration", c.text)
		for what, got := range map[string]int64{"call": status.Seconds, "dial": dial.DialSeconds, "recording": recording.RecordingSeconds} {
			if got != c.want {
				t.Errorf("%s duration %q: got %d, want %d", what, c.text, got, c.want)
			}
		}
		for _, e := range []telephony.Event{status, dial, recording} {
			if slices.Contains(e.Flags, "bad_duration") != c.bad {
				t.Errorf("duration %q: got flags %v, want bad_duration %v", c.text, e.Flags, c.bad)
			}
		}
	}
	if e := parse(telephony.DoorVoice, "CallSid", "CA1"); e.Seconds != -1 || e.DialSeconds != -1 || e.RecordingSeconds != -1 || e.Sequence != -1 {
		t.Errorf("got %d %d %d %d, want -1 where nothing was said", e.Seconds, e.DialSeconds, e.RecordingSeconds, e.Sequence)
	}
}

func TestTimestampsAreReadGenerouslyButNotBlindly(t *testing.T) {
	want := "2026-10-06T14:00:01Z"
	cases := map[string]string{
		"Tue, 06 Oct 2026 14:00:01 +0000":   want,
		"Tue, 6 Oct 2026 14:00:01 +0000":    want,
		"06 Oct 2026 14:00:01 +0000":        want,
		"Fri, 06 Oct 2026 14:00:01 +0000":   want, // the wrong weekday
		"tue,  06  oct 2026 14:00:01  GMT ": want,
		"Tue, 06 Oct 2026 14:00:01 UTC":     want,
		"Tue, 06 Oct 2026 16:00:01 +0200":   want,
		"2026-10-06T14:00:01Z":              want,
		"2026-10-06T14:00:01.000Z":          want,
		"Tue, 06 Oct 2026 14:00 +0000":      "2026-10-06T14:00:00Z",
		"Tue, 30 Jun 2026 23:59:60 +0000":   "2026-06-30T23:59:59Z",
		"2026-06-30T23:59:60Z":              "2026-06-30T23:59:59Z",
		"Tue, 06 Oct 2026 14:00:01 PST":     "", // a zone that only has a name
		"Tue, 06 Oct 1999 14:00:01 +0000":   "",
		"Tue, 06 Oct 2100 14:00:01 +0000":   "",
		"Tue, 06 Oct 26 14:00:01 +0000":     "",
		"Tue, 31 Feb 2026 14:00:01 +0000":   "",
		"Tue, 06 Oct 2026 24:00:01 +0000":   "",
		"1791295201":                        "",
		"yesterday":                         "",
		",,,":                               "",
	}
	for text, want := range cases {
		e := parse(telephony.DoorStatus, "CallSid", "CA1", "Timestamp", text)
		got := ""
		if !e.At.IsZero() {
			got = e.At.Format(time.RFC3339)
		}
		if got != want || slices.Contains(e.Flags, "bad_timestamp") != (want == "") {
			t.Errorf("%q: got %q with flags %v, want %q", text, got, e.Flags, want)
		}
	}
	if e := parse(telephony.DoorStatus, "CallSid", "CA1", "Timestamp", ""); len(e.Flags) != 0 || !e.At.IsZero() {
		t.Errorf("an absent time: got %v with flags %v, want zero and none", e.At, e.Flags)
	}
}

func TestStatusWordsMapOrAreFlagged(t *testing.T) {
	cases := map[string]telephony.Status{
		"queued": telephony.Queued, "initiated": telephony.Initiated, "ringing": telephony.Ringing,
		"in-progress": telephony.InProgress, "answered": telephony.InProgress, "completed": telephony.Completed,
		"busy": telephony.Busy, "no-answer": telephony.NoAnswer, "failed": telephony.Failed,
		"canceled": telephony.Canceled, "cancelled": telephony.Canceled, "Completed": telephony.Completed,
		"exploded": "", "": "",
	}
	for word, want := range cases {
		e := parse(telephony.DoorLeg, "CallSid", "CA2", "ParentCallSid", "CA1", "CallStatus", word)
		if e.Status != want || e.RawStatus != word {
			t.Errorf("%q: got %q, raw %q, want %q and the word itself", word, e.Status, e.RawStatus, want)
		}
		if flagged := slices.Contains(e.Flags, "unknown_status"); flagged != (want == "" && word != "") {
			t.Errorf("%q: got flags %v", word, e.Flags)
		}
	}
}

func TestTextsBecomeFitForRowsAndPages(t *testing.T) {
	long := strings.Repeat("ü", 400)
	e := parse(telephony.DoorMessage, "MessageSid", "SM1", "From", "a\x00b\x1f\u0085c\xff", "To", long, "Body", "line\nline\x00"+strings.Repeat("é", 5000))
	if want := "a\ufffdb\ufffd\ufffdc\ufffd"; e.From != want {
		t.Errorf("got From %q, want %q", e.From, want)
	}
	if len(e.To) > 255 || !utf8.ValidString(e.To) || !strings.HasPrefix(long, e.To) {
		t.Errorf("got To of %d bytes %q, want at most 255, cut between characters", len(e.To), e.To)
	}
	if !strings.HasPrefix(e.Text, "line\nline\ufffdé") || len(e.Text) > 4096 || !utf8.ValidString(e.Text) {
		t.Errorf("got text of %d bytes beginning %q", len(e.Text), e.Text[:12])
	}
	if e := parse(telephony.DoorRecording, "RecordingUrl", "https://x/"+strings.Repeat("y", 3000)); e.RecordingURL != "" {
		t.Errorf("got a cut URL %q, want none", e.RecordingURL)
	}
}

func TestTheKeyIsWhatTheProviderSaysTheRequestIs(t *testing.T) {
	leg := []string{"AccountSid", "AC1", "CallSid", "CA2", "ParentCallSid", "CA1", "CallStatus", "in-progress", "SequenceNumber", "2", "Timestamp", "Tue, 06 Oct 2026 14:00:01 +0000"}
	with := func(base []string, name, value string) []string {
		out := slices.Clone(base)
		for i := 0; i < len(out); i += 2 {
			if out[i] == name {
				out[i+1] = value
				return out
			}
		}
		return append(out, name, value)
	}
	next := []string{"AccountSid", "AC1", "CallSid", "CA1", "CallStatus", "in-progress", "DialCallStatus", "busy", "DialCallSid", "CA2"}
	voice := []string{"AccountSid", "AC1", "CallSid", "CA1", "CallStatus", "ringing", "From", "+12125550143"}
	message := []string{"AccountSid", "AC1", "MessageSid", "SM1", "MessageStatus", "sent"}
	recording := []string{"AccountSid", "AC1", "CallSid", "CA1", "RecordingSid", "RE1", "RecordingStatus", "completed"}
	cases := []struct {
		name string
		a, b telephony.Event
		same bool
	}{
		{"a repeated leg status", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, leg...), true},
		{"the same step told with another time", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "Timestamp", "later")...), true},
		{"another status", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "CallStatus", "completed")...), false},
		{"another sequence number", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "SequenceNumber", "3")...), false},
		{"no sequence number", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "SequenceNumber", "")...), false},
		{"another leg", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "CallSid", "CA3")...), false},
		{"another account", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "AccountSid", "AC2")...), false},
		{"another door", parse(telephony.DoorLeg, leg...), parse(telephony.DoorStatus, leg...), false},
		{"an unknown status", parse(telephony.DoorLeg, leg...), parse(telephony.DoorLeg, with(leg, "CallStatus", "exploded")...), false},
		{"two legs without a status", parse(telephony.DoorLeg, with(leg, "CallStatus", "")...), parse(telephony.DoorLeg, with(with(leg, "CallStatus", ""), "Timestamp", "later")...), false},
		{"a voice request asked again with more", parse(telephony.DoorVoice, voice...), parse(telephony.DoorVoice, with(voice, "ErrorCode", "11200")...), true},
		{"two calls", parse(telephony.DoorVoice, voice...), parse(telephony.DoorVoice, with(voice, "CallSid", "CA2")...), false},
		{"two nameless calls", parse(telephony.DoorVoice, with(voice, "CallSid", "")...), parse(telephony.DoorVoice, with(with(voice, "CallSid", ""), "From", "+13125550199")...), false},
		{"a repeated Dial action", parse(telephony.DoorNext, next...), parse(telephony.DoorNext, next...), true},
		{"a Dial action with another content", parse(telephony.DoorNext, next...), parse(telephony.DoorNext, with(next, "DialBridged", "false")...), false},
		{"sent and delivered", parse(telephony.DoorMessageStatus, message...), parse(telephony.DoorMessageStatus, with(message, "MessageStatus", "delivered")...), false},
		{"sent twice", parse(telephony.DoorMessageStatus, message...), parse(telephony.DoorMessageStatus, message...), true},
		{"a recording in progress and completed", parse(telephony.DoorRecording, recording...), parse(telephony.DoorRecording, with(recording, "RecordingStatus", "in-progress")...), false},
		{"a completed recording twice", parse(telephony.DoorRecording, recording...), parse(telephony.DoorRecording, recording...), true},
	}
	for _, c := range cases {
		if got := c.a.Key == c.b.Key; got != c.same {
			t.Errorf("%s: got same %v, want %v (%s, %s)", c.name, got, c.same, c.a.Key, c.b.Key)
		}
	}
	p := twilio.New()
	hop := func(target string) string {
		return p.Parse(telephony.Request{Door: telephony.DoorNext, Target: target, ContentType: formType, Body: []byte("CallSid=CA1")}).Key
	}
	if hop("/n?hop=1") == hop("/n?hop=2") {
		t.Error("two hops of one call have the same key")
	}
	if hop("/n?hop=1") != hop("/n?hop=1#ignored") {
		t.Error("a fragment changes the key")
	}
}

func TestTheKeyDoesNotDependOnOrderOrSpellingOfTheForm(t *testing.T) {
	p := twilio.New()
	rapid.Check(t, func(rt *rapid.T) {
		door := rapid.SampledFrom([]telephony.Door{
			telephony.DoorVoice, telephony.DoorStatus, telephony.DoorNext, telephony.DoorWhisper, telephony.DoorKeys, telephony.DoorVoicemail,
			telephony.DoorLeg, telephony.DoorRecording, telephony.DoorTranscription, telephony.DoorMessage, telephony.DoorMessageStatus,
		}).Draw(rt, "door")
		names := []string{"CallSid", "AccountSid", "CallStatus", "SequenceNumber", "ParentCallSid", "Digits", "MessageSid", "RecordingSid", "X"}
		var pieces []string
		for _, name := range names {
			value := rapid.String().Draw(rt, name)
			pieces = append(pieces, url.QueryEscape(name)+"="+url.QueryEscape(value))
		}
		a := p.Parse(telephony.Request{Door: door, Target: "/x", ContentType: formType, Body: []byte(strings.Join(pieces, "&"))})
		shuffled := rapid.Permutation(pieces).Draw(rt, "order")
		b := p.Parse(telephony.Request{Door: door, Target: "/x", ContentType: formType, Body: []byte("&" + strings.ReplaceAll(strings.Join(shuffled, "&"), "+", "%20"))})
		if a.Key != b.Key || a.Key == "" {
			rt.Errorf("got keys %q and %q, want one", a.Key, b.Key)
		}
		for _, text := range []string{a.CallRef, a.LegRef, a.AccountRef, a.RawStatus, a.Digits, a.RecordingRef} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) || len(text) > 255 {
				rt.Errorf("got %q, want short valid text without control characters", text)
			}
		}
	})
}

func TestScenariosReadAsWhatTheyAre(t *testing.T) {
	_, list := scenarios(t)
	p := twilio.New()
	keys := map[string]string{}
	for _, s := range list {
		r, _ := s.request(t)
		e := p.Parse(r)
		at := s.Scenario + " " + s.Name
		if len(e.Flags) != 0 {
			t.Errorf("%s: got flags %v, want none", at, e.Flags)
		}
		if other, taken := keys[e.Key]; taken {
			t.Errorf("%s has the key of %s", at, other)
		}
		keys[e.Key] = at
		wantCall, wantLeg := s.Params["CallSid"], ""
		if parent := s.Params["ParentCallSid"]; parent != "" {
			wantCall, wantLeg = parent, s.Params["CallSid"]
		}
		if child := s.Params["DialCallSid"]; child != "" {
			wantLeg = child
		}
		if message := s.Params["MessageSid"]; message != "" {
			wantCall = message
		}
		if e.CallRef != wantCall || e.LegRef != wantLeg {
			t.Errorf("%s: got call %q leg %q, want %q and %q", at, e.CallRef, e.LegRef, wantCall, wantLeg)
		}
		if s.Params["MessageSid"] == "" && string(e.Status) != s.Params["CallStatus"] {
			t.Errorf("%s: got status %q, want %q", at, e.Status, s.Params["CallStatus"])
		}
		if string(e.DialStatus) != s.Params["DialCallStatus"] {
			t.Errorf("%s: got dial status %q, want %q", at, e.DialStatus, s.Params["DialCallStatus"])
		}
		if s.Params["Timestamp"] != "" && e.At.IsZero() {
			t.Errorf("%s: the time was not read", at)
		}
	}
}

func FuzzParseNeverFails(f *testing.F) {
	f.Add("voice", "/x?hop=1", formType, []byte("CallSid=CA1&From=%2B1"))
	f.Add("leg", "?#", "", []byte("%&=&%zz=+"))
	f.Add("message", "", "application/json", []byte(`{"a":1}`))
	p := twilio.New()
	f.Fuzz(func(t *testing.T, door, target, contentType string, body []byte) {
		r := telephony.Request{Door: telephony.Door(door), Target: target, ContentType: contentType, Body: body}
		e := p.Parse(r)
		if e.Key == "" || e.Provider != "twilio" || string(e.Door) != door {
			t.Errorf("got key %q, provider %q, door %q", e.Key, e.Provider, e.Door)
		}
		if again := p.Parse(r); again.Key != e.Key {
			t.Errorf("got keys %q and %q for one request", e.Key, again.Key)
		}
		for _, text := range []string{e.From, e.To, e.Text, e.Transcript, e.RecordingURL, e.Caller.Name, e.RawStatus} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Errorf("got %q, want valid UTF-8 without NUL", text)
			}
		}
	})
}
