package telephony_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// noon is second 0 of every scenario.
var noon = time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC)

const (
	token    = "testauthtoken"
	base     = "https://calls.example.com"
	tracking = "+13125550171"
	caller   = "+12125550143"
	agent1   = "+17735550101"
	agent2   = "+17735550102"
)

// tape is one signed provider request of a scenario.
type tape struct {
	Name     string            `json:"name"`
	Scenario string            `json:"scenario"`
	Door     telephony.Door    `json:"door"`
	Params   map[string]string `json:"params"`
}

// after says how many seconds into the call our clock stood when the request
// reached us, for those whose moment the scenarios tell.
var after = map[string]int{
	"a4": 9, "a7": 135, "a7'": 135, "a9": 140, "b5": 26, "b6": 48, "b8": 52, "b9": 110, "c4": 3, "c9": 72, "c11": 77,
	"d4i": 8, "d4ii": 8, "f5": 20,
}

// geo is what the provider knows about the places of caller and number.
var geo = map[string]string{
	"FromCity": "NEW YORK", "FromState": "NY", "FromZip": "10001", "FromCountry": "US",
	"CallerCity": "NEW YORK", "CallerState": "NY", "CallerZip": "10001", "CallerCountry": "US",
	"ToCity": "", "ToState": "IL", "ToZip": "", "ToCountry": "US",
	"CalledCity": "", "CalledState": "IL", "CalledZip": "", "CalledCountry": "US",
}

const accountSID = "AC00000000000000000000000000000001"

// sid writes "A1" as the 32 digits of scenario a's first call.
func sid(short string) string {
	return "CA" + strings.ToLower(short[:1]) + strings.Repeat("0", 30) + short[1:]
}

func recordingSID(scenario string) string { return "RE" + scenario + strings.Repeat("0", 30) + "9" }

func mediaURL(scenario string) string {
	return "https://api.twilio.com/2010-04-01/Accounts/" + accountSID + "/Recordings/" + recordingSID(scenario)
}

func stamp(second int) string {
	return noon.Add(time.Duration(second) * time.Second).Format("Mon, 02 Jan 2006 15:04:05 -0700")
}

func params(parts ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// voice is a request about the caller's leg.
func voice(name string, door telephony.Door, call, status string, more ...map[string]string) tape {
	own := map[string]string{
		"AccountSid": accountSID, "ApiVersion": "2010-04-01", "CallSid": sid(call), "CallStatus": status, "Direction": "inbound",
		"From": caller, "To": tracking, "Caller": caller, "Called": tracking,
	}
	return tape{Name: name, Scenario: name[:1], Door: door, Params: params(append([]map[string]string{own, geo}, more...)...)}
}

// leg is a status callback of an agent's leg.
func leg(name, call, of, status string, sequence, second int, agent string, more ...map[string]string) tape {
	own := map[string]string{
		"AccountSid": accountSID, "ApiVersion": "2010-04-01", "CallSid": sid(call), "ParentCallSid": sid(of), "CallStatus": status,
		"Direction": "outbound-dial", "From": caller, "To": agent, "Caller": caller, "Called": agent,
		"CallbackSource": "call-progress-events", "SequenceNumber": fmt.Sprint(sequence), "Timestamp": stamp(second),
	}
	return tape{Name: name, Scenario: name[:1], Door: telephony.DoorLeg, Params: params(append([]map[string]string{own}, more...)...)}
}

// lasted is what a final leg says of its length; Duration counts minutes.
func lasted(secs int, sip string) map[string]string {
	return map[string]string{"CallDuration": fmt.Sprint(secs), "Duration": fmt.Sprint((secs + 59) / 60), "SipResponseCode": sip}
}

// ended is the number's status callback.
func ended(name, call, status string, second, secs int) tape {
	more := lasted(secs, "")
	delete(more, "SipResponseCode")
	return voice(name, telephony.DoorStatus, call, status, more, map[string]string{
		"CallbackSource": "call-progress-events", "SequenceNumber": "0", "Timestamp": stamp(second),
	})
}

// next is the Dial action.
func next(name, call, status, dialStatus, dialled string, more ...map[string]string) tape {
	own := map[string]string{"DialCallStatus": dialStatus, "DialCallSid": sid(dialled), "DialBridged": "false"}
	return voice(name, telephony.DoorNext, call, status, append([]map[string]string{own}, more...)...)
}

func bridged(secs int, recording string) map[string]string {
	m := map[string]string{"DialBridged": "true", "DialCallDuration": fmt.Sprint(secs)}
	if recording != "" {
		m["RecordingUrl"] = mediaURL(recording)
	}
	return m
}

func recorded(name, scenario string, secs, channels int, source string, second int) tape {
	return tape{Name: name, Scenario: scenario, Door: telephony.DoorRecording, Params: map[string]string{
		"AccountSid": accountSID, "CallSid": sid(scenario + "1"), "RecordingSid": recordingSID(scenario), "RecordingUrl": mediaURL(scenario),
		"RecordingStatus": "completed", "RecordingDuration": fmt.Sprint(secs), "RecordingChannels": fmt.Sprint(channels),
		"RecordingSource": source, "RecordingStartTime": stamp(second), "RecordingTrack": "both", "ErrorCode": "0",
	}}
}

func text(name, ref, status string, more ...map[string]string) tape {
	own := map[string]string{"AccountSid": accountSID, "ApiVersion": "2010-04-01", "MessageSid": ref, "SmsSid": ref, "SmsStatus": status}
	door := telephony.DoorMessageStatus
	if name == "g1" {
		door = telephony.DoorMessage
	} else {
		own["MessageStatus"], own["From"], own["To"] = status, tracking, caller
	}
	return tape{Name: name, Scenario: "g", Door: door, Params: params(append([]map[string]string{own}, more...)...)}
}

// allTapes are seven calls and a text as the provider tells them: (a) answered
// with a whisper and a recording, (b) voicemail, (c) the second agent answers,
// (d) the caller hangs up while it rings, (e) a callback that is repeated, (f)
// completed arrives before answered, (g) texts.
func allTapes() []tape {
	unanswered := lasted(0, "487")
	messageIn, messageOut := "SMa"+strings.Repeat("0", 30)+"1", "SMa"+strings.Repeat("0", 30)+"2"
	whisper := leg("a4", "A2", "A1", "in-progress", 0, 0, agent1)
	whisper.Door = telephony.DoorWhisper
	for _, name := range []string{"CallbackSource", "SequenceNumber", "Timestamp"} {
		delete(whisper.Params, name)
	}
	return []tape{
		voice("a1", telephony.DoorVoice, "A1", "ringing", map[string]string{"StirVerstat": "TN-Validation-Passed-A"}),
		leg("a2", "A2", "A1", "initiated", 0, 1, agent1),
		leg("a3", "A2", "A1", "ringing", 1, 2, agent1),
		whisper,
		leg("a5", "A2", "A1", "in-progress", 2, 9, agent1),
		leg("a6", "A2", "A1", "completed", 3, 135, agent1, lasted(126, "200")),
		next("a7", "A1", "completed", "completed", "A2", bridged(126, "a")),
		next("a7'", "A1", "in-progress", "completed", "A2", bridged(126, "a")),
		ended("a8", "A1", "completed", 135, 126),
		recorded("a9", "a", 122, 2, "DialVerb", 13),

		voice("b1", telephony.DoorVoice, "B1", "ringing"),
		leg("b2", "B2", "B1", "initiated", 0, 1, agent1),
		leg("b3", "B2", "B1", "ringing", 1, 2, agent1),
		leg("b4", "B2", "B1", "no-answer", 2, 26, agent1, unanswered),
		next("b5", "B1", "in-progress", "no-answer", "B2"),
		voice("b6", telephony.DoorVoicemail, "B1", "completed", map[string]string{
			"RecordingUrl": mediaURL("b"), "RecordingSid": recordingSID("b"), "RecordingDuration": "14", "Digits": "hangup",
		}),
		ended("b7", "B1", "completed", 49, 48),
		recorded("b8", "b", 14, 1, "RecordVerb", 34),
		{Name: "b9", Scenario: "b", Door: telephony.DoorTranscription, Params: map[string]string{
			"AccountSid": accountSID, "ApiVersion": "2010-04-01", "CallSid": sid("B1"), "CallStatus": "completed", "Direction": "inbound",
			"From": caller, "To": tracking, "TranscriptionSid": "TRb" + strings.Repeat("0", 30) + "8", "TranscriptionStatus": "completed",
			"TranscriptionText": "Hi, this is Ann, please call me back about the loft.",
			"TranscriptionUrl":  mediaURL("b") + "/Transcriptions/TRb" + strings.Repeat("0", 30) + "8",
			"RecordingSid":      recordingSID("b"), "RecordingUrl": mediaURL("b"),
		}},

		voice("c1", telephony.DoorVoice, "C1", "ringing"),
		leg("c2", "C2", "C1", "initiated", 0, 1, agent1),
		leg("c3", "C2", "C1", "busy", 1, 3, agent1, lasted(0, "486")),
		next("c4", "C1", "ringing", "busy", "C2"),
		leg("c5", "C3", "C1", "initiated", 0, 4, agent2),
		leg("c6", "C3", "C1", "ringing", 1, 5, agent2),
		leg("c7", "C3", "C1", "in-progress", 2, 12, agent2),
		leg("c8", "C3", "C1", "completed", 3, 72, agent2, lasted(60, "200")),
		next("c9", "C1", "in-progress", "completed", "C3", bridged(60, "c")),
		ended("c10", "C1", "completed", 72, 60),
		recorded("c11", "c", 60, 2, "DialVerb", 12),

		voice("d1", telephony.DoorVoice, "D1", "ringing"),
		leg("d2", "D2", "D1", "initiated", 0, 1, agent1),
		leg("d3", "D2", "D1", "ringing", 1, 2, agent1),
		next("d4i", "D1", "completed", "no-answer", "D2"),
		leg("d5i", "D2", "D1", "no-answer", 2, 8, agent1, unanswered),
		ended("d6i", "D1", "completed", 8, 8),
		next("d4ii", "D1", "no-answer", "canceled", "D2"),
		leg("d5ii", "D2", "D1", "canceled", 2, 8, agent1, unanswered),
		ended("d6ii", "D1", "no-answer", 8, 0),

		ended("e", "E1", "completed", 61, 61),
		voice("e-v", telephony.DoorVoice, "E1", "ringing"),

		voice("f1", telephony.DoorVoice, "F1", "ringing"),
		leg("f2", "F2", "F1", "ringing", 1, 2, agent1),
		leg("f3", "F2", "F1", "initiated", 0, 1, agent1),
		leg("f4", "F2", "F1", "completed", 3, 20, agent1, lasted(11, "200")),
		next("f5", "F1", "in-progress", "completed", "F2", bridged(11, "")),
		leg("f6", "F2", "F1", "in-progress", 2, 9, agent1),
		ended("f7", "F1", "completed", 21, 21),

		text("g1", messageIn, "received", map[string]string{
			"ToCountry": "US", "ToState": "IL", "SmsMessageSid": messageIn, "NumMedia": "0", "ToCity": "CHICAGO", "FromZip": "10001",
			"FromState": "NY", "FromCity": "NEW YORK", "Body": "Is the loft still free? Tom & Ann ☕", "FromCountry": "US", "To": tracking,
			"ToZip": "60601", "NumSegments": "1", "From": caller,
		}),
		text("g-sent", messageOut, "sent"),
		text("g-delivered", messageOut, "delivered", map[string]string{"RawDlrDoneDate": "2610061403"}),
	}
}

func TestTheTapesAreThoseOfTheOracle(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("CALLWHEEL_ORACLES is not set: no scenarios to compare with")
	}
	content, err := os.ReadFile(filepath.Join(dir, "twilio", "scenarios.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Requests []struct {
			tape
			URL       string `json:"url"`
			Signature string `json:"signature"`
		} `json:"requests"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Requests) != len(allTapes()) {
		t.Fatalf("the oracle has %d requests, we have %d", len(file.Requests), len(allTapes()))
	}
	for _, want := range file.Requests {
		got := played(t, want.Name)[0]
		if diff := cmp.Diff(want.tape, got); diff != "" {
			t.Errorf("%s (-oracle +ours):\n%s", want.Name, diff)
		}
		if s := sign(token, want.URL, got.values()); s != want.Signature {
			t.Errorf("%s: signed %s, want %s", want.Name, s, want.Signature)
		}
	}
}

// played returns the named tapes in this order.
func played(t testing.TB, names ...string) []tape {
	t.Helper()
	all := allTapes()
	var list []tape
	for _, name := range names {
		i := slices.IndexFunc(all, func(p tape) bool { return p.Name == name })
		if i < 0 {
			t.Fatalf("no tape %s", name)
		}
		list = append(list, all[i])
	}
	return list
}

func (p tape) form() string {
	values := url.Values{}
	for name, value := range p.Params {
		values.Set(name, value)
	}
	return values.Encode()
}

// event reads the tape as the adapter does.
func (p tape) event(query telephony.Query) telephony.Event {
	target := "/webhooks/twilio/" + string(p.Door)
	if text := query.Encode(); text != "" {
		target += "?" + text
	}
	return twilio.New().Parse(telephony.Request{
		Door: p.Door, Method: "POST", Target: target, ContentType: "application/x-www-form-urlencoded",
		Body: []byte(p.form()), ReceivedAt: p.receivedAt(),
	})
}

// receivedAt is the provider's own time of the event, or what the scenario says.
func (p tape) receivedAt() time.Time {
	if s, ok := after[p.Name]; ok {
		return noon.Add(time.Duration(s) * time.Second)
	}
	if at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 -0700", p.Params["Timestamp"]); err == nil {
		return at
	}
	return noon
}

// sign computes a signature as the provider documents it.
func sign(secret, address string, form url.Values) string {
	var b strings.Builder
	b.WriteString(address)
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		// Each different value once, in order, as the provider signs them.
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(b.String()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
