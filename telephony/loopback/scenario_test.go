package loopback_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

const allEvents = `statusCallback="` + base + `/cb/leg" statusCallbackEvent="initiated ringing answered completed"`

// scenario is one of the written-down calls of the protocol.
type scenario struct {
	name    string
	answers map[string]string
	script  func(*loopback.CallScript)
	want    []string
	outcome telephony.Outcome
	// oracle names the signed payloads that are this call, in the order of the
	// requests; their SIDs differ.
	oracle []string
}

func dialOne(attributes, inside string) string {
	return `<Dial timeout="20" action="` + base + `/v/after?hop=1" ` + attributes + `><Number ` + allEvents + inside + `>` + agent1 + `</Number></Dial>`
}

var scenarios = []scenario{
	{
		name: "a answered, whisper, dual recording, the caller hangs up first",
		answers: map[string]string{
			"/v/in": dialOne(`answerOnBridge="true" record="record-from-answer-dual" recordingStatusCallback="`+base+`/cb/recording"`,
				` url="`+base+`/v/whisper?n=17"`),
			"/v/whisper": `<Say>` + strings.Repeat("ninety ", 8) + `</Say>`, // 55 letters: 4 s
			"/v/after":   ``,
		},
		script: func(s *loopback.CallScript) {
			s.Verstat = "TN-Validation-Passed-A"
			s.Phone = phones(map[string]loopback.Phone{agent1: {Answers: true, After: 7 * time.Second, Talk: 122 * time.Second}})
		},
		want: []string{
			"0 /v/in CallStatus=ringing",
			"1 /cb/leg CallStatus=initiated SequenceNumber=0",
			"2 /cb/leg CallStatus=ringing SequenceNumber=1",
			"9 /v/whisper?n=17 CallStatus=in-progress",
			"9 /cb/leg CallStatus=in-progress SequenceNumber=2",
			"135 /cb/leg CallStatus=completed SequenceNumber=3 CallDuration=126 Duration=3 SipResponseCode=200",
			"135 /v/after?hop=1 CallStatus=completed DialCallStatus=completed DialCallDuration=126 DialBridged=true",
			"135 /cb/number CallStatus=completed SequenceNumber=0 CallDuration=126 Duration=3",
			"140 /cb/recording RecordingStatus=completed RecordingDuration=122 RecordingChannels=2 RecordingSource=DialVerb",
		},
		outcome: telephony.Answered,
		oracle:  []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"},
	},
	{
		name: "b nobody answers, voicemail with transcript",
		answers: map[string]string{
			"/v/in": dialOne(``, ``),
			"/v/after": `<Say>` + strings.Repeat("x", 7*15) + `</Say><Record maxLength="120" action="` + base + `/v/vm-done" recordingStatusCallback="` +
				base + `/cb/recording" transcribe="true" transcribeCallback="` + base + `/cb/transcription"/>`,
			"/v/vm-done": ``,
		},
		script: func(s *loopback.CallScript) {
			s.Voicemail, s.Message = 14*time.Second, "Hi, this is Ann, please call me back about the loft."
		},
		want: []string{
			"0 /v/in CallStatus=ringing",
			"1 /cb/leg CallStatus=initiated SequenceNumber=0",
			"2 /cb/leg CallStatus=ringing SequenceNumber=1",
			"26 /cb/leg CallStatus=no-answer SequenceNumber=2 CallDuration=0 Duration=0 SipResponseCode=487",
			"26 /v/after?hop=1 CallStatus=in-progress DialCallStatus=no-answer DialBridged=false",
			"48 /v/vm-done CallStatus=completed RecordingDuration=14 Digits=hangup",
			"49 /cb/number CallStatus=completed SequenceNumber=0 CallDuration=48 Duration=1",
			"52 /cb/recording RecordingStatus=completed RecordingDuration=14 RecordingChannels=1 RecordingSource=RecordVerb",
			"110 /cb/transcription CallStatus=completed TranscriptionStatus=completed",
		},
		outcome: telephony.Voicemail,
		oracle:  []string{"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"},
	},
	{
		name: "c the first agent is busy, the second answers",
		answers: map[string]string{
			"/v/in": dialOne(`answerOnBridge="true"`, ``),
			"/v/after": `<Dial timeout="20" answerOnBridge="true" record="record-from-answer-dual" recordingStatusCallback="` + base + `/cb/recording" action="` +
				base + `/v/last?hop=2"><Number ` + allEvents + `>` + agent2 + `</Number></Dial>`,
			"/v/last": `<Hangup/>`,
		},
		script: func(s *loopback.CallScript) {
			s.Phone = phones(map[string]loopback.Phone{
				agent1: {Busy: true},
				agent2: {Answers: true, After: 7 * time.Second, Talk: 60 * time.Second, HangsUpFirst: loopback.AgentParty},
			})
		},
		want: []string{
			"0 /v/in CallStatus=ringing",
			"1 /cb/leg CallStatus=initiated SequenceNumber=0",
			"3 /cb/leg CallStatus=busy SequenceNumber=1 CallDuration=0 Duration=0 SipResponseCode=486",
			"3 /v/after?hop=1 CallStatus=ringing DialCallStatus=busy DialBridged=false",
			"4 /cb/leg CallStatus=initiated SequenceNumber=0",
			"5 /cb/leg CallStatus=ringing SequenceNumber=1",
			"12 /cb/leg CallStatus=in-progress SequenceNumber=2",
			"72 /cb/leg CallStatus=completed SequenceNumber=3 CallDuration=60 Duration=1 SipResponseCode=200",
			"72 /v/last?hop=2 CallStatus=in-progress DialCallStatus=completed DialCallDuration=60 DialBridged=true",
			"72 /cb/number CallStatus=completed SequenceNumber=0 CallDuration=60 Duration=1",
			"77 /cb/recording RecordingStatus=completed RecordingDuration=60 RecordingChannels=2 RecordingSource=DialVerb",
		},
		outcome: telephony.Answered,
		oracle:  []string{"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11"},
	},
	{
		name:    "d i the caller hangs up while it rings",
		answers: map[string]string{"/v/in": dialOne(``, ``), "/v/after": `<Say>nobody hears this</Say>`},
		script:  func(s *loopback.CallScript) { s.Patience = 8 * time.Second },
		want: []string{
			"0 /v/in CallStatus=ringing",
			"1 /cb/leg CallStatus=initiated SequenceNumber=0",
			"2 /cb/leg CallStatus=ringing SequenceNumber=1",
			"8 /v/after?hop=1 CallStatus=completed DialCallStatus=no-answer DialBridged=false",
			"8 /cb/leg CallStatus=no-answer SequenceNumber=2 CallDuration=0 Duration=0 SipResponseCode=487",
			"8 /cb/number CallStatus=completed SequenceNumber=0 CallDuration=8 Duration=1",
		},
		outcome: telephony.Abandoned,
		oracle:  []string{"d1", "d2", "d3", "d4i", "d5i", "d6i"},
	},
	{
		name:    "d ii the caller hangs up while it rings, answered on bridge",
		answers: map[string]string{"/v/in": dialOne(`answerOnBridge="true"`, ``), "/v/after": ``},
		script:  func(s *loopback.CallScript) { s.Patience = 8 * time.Second },
		want: []string{
			"0 /v/in CallStatus=ringing",
			"1 /cb/leg CallStatus=initiated SequenceNumber=0",
			"2 /cb/leg CallStatus=ringing SequenceNumber=1",
			"8 /v/after?hop=1 CallStatus=no-answer DialCallStatus=canceled DialBridged=false",
			"8 /cb/leg CallStatus=canceled SequenceNumber=2 CallDuration=0 Duration=0 SipResponseCode=487",
			"8 /cb/number CallStatus=no-answer SequenceNumber=0 CallDuration=0 Duration=0",
		},
		outcome: telephony.Abandoned,
		oracle:  []string{"d1", "d2", "d3", "d4ii", "d5ii", "d6ii"},
	},
}

func (s scenario) run(t *testing.T) (*office, *loopback.PlacedCall) {
	t.Helper()
	o, n := newOffice(t, nil)
	o.answers = s.answers
	what := script()
	s.script(&what)
	placed := n.Call(what)
	finish(t, n)
	return o, placed
}

func TestTheWrittenDownCallsMakeExactlyTheirRequests(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			o, placed := s.run(t)
			equalLines(t, o.lines(), s.want)
			if placed.Outcome != s.outcome || !placed.Done {
				t.Errorf("outcome %q (done %v), want %q", placed.Outcome, placed.Done, s.outcome)
			}
			if len(placed.Warnings) > 0 {
				t.Errorf("the provider would warn: %q", placed.Warnings)
			}
		})
	}
}

// TestTheParametersAreThoseOfTheSignedPayloads compares every request with the
// published payload of the same step, field by field; SIDs are matched by
// their first appearance.
func TestTheParametersAreThoseOfTheSignedPayloads(t *testing.T) {
	folder := os.Getenv("CALLWHEEL_ORACLES")
	if folder == "" {
		t.Skip("CALLWHEEL_ORACLES is not set: no signed payloads to compare with")
	}
	text, err := os.ReadFile(filepath.Join(folder, "twilio", "scenarios.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Requests []struct {
			Name, Signature string
			URL             string            `json:"url"`
			Params          map[string]string `json:"params"`
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	payloads := map[string]map[string]string{}
	for _, r := range file.Requests {
		payloads[r.Name] = r.Params
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			o, _ := s.run(t)
			sids := map[string]string{} // ours → theirs
			for i, name := range s.oracle {
				want, ok := payloads[name]
				if !ok {
					t.Fatalf("no payload %s in the file", name)
				}
				got := o.got[i].form
				if len(got) != len(want) {
					t.Errorf("%s has %d parameters, want %d: %v", name, len(got), len(want), got)
				}
				for field, value := range want {
					compareField(t, sids, name+" "+field, got.Get(field), value)
				}
			}
		})
	}
}

func compareField(t *testing.T, sids map[string]string, what, got, want string) {
	t.Helper()
	for ours, theirs := range sids {
		got = strings.ReplaceAll(got, ours, theirs)
	}
	for _, prefix := range []string{"CA", "RE", "TR"} {
		if at := strings.Index(got, prefix+"000"); at >= 0 { // not seen before
			theirs := strings.Index(want, prefix+"a")
			for _, letter := range "bcd" {
				if theirs < 0 {
					theirs = strings.Index(want, prefix+string(letter))
				}
			}
			if theirs < 0 {
				t.Errorf("%s = %q, want %q", what, got, want)
				return
			}
			ours := got[at : at+34]
			sids[ours] = want[theirs : theirs+34]
			got = strings.ReplaceAll(got, ours, sids[ours])
		}
	}
	if got != want {
		t.Errorf("%s = %q, want %q", what, got, want)
	}
}
