package loopback_test

import (
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// pressOne is a whisper that wants a key before it bridges.
const pressOne = `<Gather numDigits="1" timeout="4" action="` + base + `/v/keys"><Say>press 1 to answer</Say></Gather><Hangup/>`

func TestPhonesOfOneDialRingTogetherAndTheFirstTakesTheCall(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = `<Dial answerOnBridge="true" action="/v/after"><Number ` + allEvents + `>` + agent1 + `</Number><Number ` + allEvents + `>` + agent2 + `</Number></Dial>`
	o.answers["/v/after"] = ``
	s := script()
	s.Phone = phones(map[string]loopback.Phone{
		agent1: {Answers: true, After: 9 * time.Second, Talk: time.Minute},
		agent2: {Answers: true, After: 4 * time.Second, Talk: 30 * time.Second},
	})
	placed := n.Call(s)
	finish(t, n)
	if placed.AnsweredBy != agent2 || placed.Legs[0].Status != telephony.Canceled || !placed.Legs[1].Bridged {
		t.Errorf("answered by %q, the first phone %s", placed.AnsweredBy, placed.Legs[0].Status)
	}
	if placed.TalkSeconds != 30 || placed.DurationSeconds != 30 {
		t.Errorf("talk %d s, duration %d s, want 30 both", placed.TalkSeconds, placed.DurationSeconds)
	}
	want := "6 /cb/leg CallStatus=canceled SequenceNumber=2 CallDuration=0 Duration=0 SipResponseCode=487"
	if !strings.Contains(strings.Join(o.lines(), "\n"), want) {
		t.Errorf("requests %q do not have %q", o.lines(), want)
	}
}

func TestAPhoneThatPressesNoKeyIsNotBridged(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = dialOne(`answerOnBridge="true"`, ` url="`+base+`/v/whisper"`)
	o.answers["/v/whisper"] = pressOne
	o.answers["/v/after"] = ``
	s := script()
	s.Phone = phones(map[string]loopback.Phone{agent1: {Answers: true, After: time.Second, Talk: time.Hour}})
	placed := n.Call(s)
	finish(t, n)
	if placed.Outcome != telephony.OutcomeNoAnswer || placed.Legs[0].Bridged {
		t.Errorf("outcome %s, want no-answer: the mobile's voicemail took it", placed.Outcome)
	}
	// answered at 3, 2 s of prompt, 4 s of waiting
	equalLines(t, o.lines(), []string{
		"0 /v/in CallStatus=ringing",
		"1 /cb/leg CallStatus=initiated SequenceNumber=0",
		"2 /cb/leg CallStatus=ringing SequenceNumber=1",
		"3 /v/whisper CallStatus=in-progress",
		"3 /cb/leg CallStatus=in-progress SequenceNumber=2",
		"9 /cb/leg CallStatus=completed SequenceNumber=3 CallDuration=6 Duration=1 SipResponseCode=200",
		"9 /v/after?hop=1 CallStatus=ringing DialCallStatus=completed DialCallDuration=6 DialBridged=false",
		"9 /cb/number CallStatus=completed SequenceNumber=0 CallDuration=0 Duration=0",
	})
}

func TestACallerWhoIsBridgedIsPatient(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"], o.answers["/v/after"] = dialOne(``, ``), ``
	s := script()
	s.Patience = 10 * time.Second
	s.Phone = phones(map[string]loopback.Phone{agent1: {Answers: true, After: 3 * time.Second, Talk: time.Minute}})
	placed := n.Call(s)
	finish(t, n)
	if placed.TalkSeconds != 60 || placed.DurationSeconds != 65 {
		t.Errorf("talked %d s of %d s, want 60 of 65", placed.TalkSeconds, placed.DurationSeconds)
	}
}

func TestAPressedKeyIsBroughtToTheActionAndBridges(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = dialOne(`answerOnBridge="true"`, ` url="`+base+`/v/whisper"`)
	o.answers["/v/whisper"] = pressOne
	o.answers["/v/keys"] = ``
	o.answers["/v/after"] = ``
	s := script()
	s.Phone = phones(map[string]loopback.Phone{agent1: {Answers: true, After: time.Second, PressKey: "1", Talk: time.Minute}})
	placed := n.Call(s)
	finish(t, n)
	if placed.Outcome != telephony.Answered || !placed.AnsweredAt.Equal(noon.Add(6*time.Second)) {
		t.Errorf("outcome %s, bridged at %v, want answered at 6 s", placed.Outcome, placed.AnsweredAt)
	}
	if line := o.lines()[5]; line != "6 /v/keys CallStatus=in-progress Digits=1" {
		t.Errorf("the key came as %q", line)
	}
}

func TestOutcomesOfCallsThatNobodyAnswers(t *testing.T) {
	voicemail := `<Say>leave a message</Say><Record action="/v/vm-done" recordingStatusCallback="/cb/recording"/>`
	cases := []struct {
		name, voice, after string
		script             func(*loopback.CallScript)
		want               telephony.Outcome
		status             telephony.Status
	}{
		{"rejected", `<Reject/>`, ``, nil, telephony.Blocked, telephony.NoAnswer},
		{"rejected as busy", `<Reject reason="busy"/>`, ``, nil, telephony.Blocked, telephony.Busy},
		{"nobody picks up and that is all", dialOne(``, ``), `<Hangup/>`, nil, telephony.OutcomeNoAnswer, telephony.Completed},
		{"the only phone is busy", dialOne(``, ``), ``, func(s *loopback.CallScript) {
			s.Phone = phones(map[string]loopback.Phone{agent1: {Busy: true}})
		}, telephony.OutcomeBusy, telephony.Completed},
		{"the only phone cannot be reached", dialOne(``, ``), ``, func(s *loopback.CallScript) {
			s.Phone = phones(map[string]loopback.Phone{agent1: {Fails: true}})
		}, telephony.OutcomeFailed, telephony.Completed},
		{"a caller id that is not ours", `<Dial callerId="+12125550199" action="/v/after"><Number>` + agent1 + `</Number></Dial>`, ``, nil, telephony.OutcomeFailed, telephony.Completed},
		{"a message of 3 s", dialOne(``, ``), voicemail, func(s *loopback.CallScript) { s.Voicemail = 3 * time.Second }, telephony.Voicemail, telephony.Completed},
		{"a message of 2 s is none", dialOne(``, ``), voicemail, func(s *loopback.CallScript) { s.Voicemail = 2 * time.Second }, telephony.Abandoned, telephony.Completed},
		{"hangs up at the beep", dialOne(``, ``), voicemail, nil, telephony.Abandoned, telephony.Completed},
		{"hangs up in the greeting", dialOne(``, ``), voicemail, func(s *loopback.CallScript) {
			s.Patience, s.Voicemail = 26*time.Second+500*time.Millisecond, time.Minute
		}, telephony.Abandoned, telephony.Completed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o, n := newOffice(t, nil)
			o.answers["/v/in"], o.answers["/v/after"], o.answers["/v/vm-done"] = c.voice, c.after, ``
			s := script()
			if c.script != nil {
				c.script(&s)
			}
			placed := n.Call(s)
			finish(t, n)
			if placed.Outcome != c.want || placed.Status != c.status {
				t.Errorf("outcome %s, status %s; want %s, %s", placed.Outcome, placed.Status, c.want, c.status)
			}
			last := o.lines()
			if !strings.Contains(strings.Join(last, "\n"), "/cb/number CallStatus="+string(c.status)) {
				t.Errorf("the number's callback is missing or wrong: %q", last)
			}
		})
	}
}

func TestACallToANumberWithoutVoiceURLFailsWithoutAnyRequest(t *testing.T) {
	o, n := newOffice(t, nil)
	s := script()
	s.To = "+13125550199"
	placed := n.Call(s)
	finish(t, n)
	if placed.Outcome != telephony.OutcomeFailed || len(o.got) != 0 {
		t.Errorf("outcome %s after %d requests", placed.Outcome, len(o.got))
	}
}

func TestACallerPressesKeysAtAMenu(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = `<Gather numDigits="1" action="/v/menu"><Say>one or two</Say></Gather><Reject/>`
	o.answers["/v/menu"] = `<Say>thanks</Say><Redirect>/v/last</Redirect>`
	o.answers["/v/last"] = ``
	s := script()
	s.Keys = []string{"2"}
	n.Call(s)
	finish(t, n)
	equalLines(t, o.lines(), []string{
		"0 /v/in CallStatus=ringing",
		"2 /v/menu CallStatus=in-progress Digits=2",
		"3 /v/last CallStatus=in-progress",
		"3 /cb/number CallStatus=completed SequenceNumber=0 CallDuration=3 Duration=1",
	})
}

func TestManyCallsOverlapInTheOrderOfTime(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = dialOne(``, ``)
	o.answers["/v/after"] = ``
	ended := 0
	for i := range 20 {
		s := script()
		s.At = noon.Add(time.Duration(20-i) * 3 * time.Second)
		s.OnEnd = func(*loopback.PlacedCall) { ended++ }
		n.Call(s)
	}
	finish(t, n)
	if ended != 20 || len(n.Calls()) != 20 {
		t.Fatalf("%d of %d calls ended", ended, len(n.Calls()))
	}
	for i := 1; i < len(o.got); i++ {
		if o.got[i].at < o.got[i-1].at {
			t.Fatalf("request %d came before its predecessor", i)
		}
	}
}

func TestUnknownAttributesAreWarnedAboutAndIgnored(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = `<Say loudly="yes">hello</Say><Jump/>`
	placed := n.Call(script())
	finish(t, n)
	want := []string{"12200 unknown attribute Say/loudly", "12200 unknown element Jump"}
	if strings.Join(placed.Warnings, "|") != strings.Join(want, "|") {
		t.Errorf("warnings %q, want %q", placed.Warnings, want)
	}
}
