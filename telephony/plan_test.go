package telephony_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
)

var here = telephony.Callback{PublicURL: base, Provider: "twilio", Query: telephony.Query{AccountID: "acct_1", Number: tracking, PlanVersion: 7}}

const context1 = "?a=acct_1&n=%2B13125550171&v=7"

func TestAnInvalidPlanIsRefusedWithItsFields(t *testing.T) {
	step := func(numbers ...string) []telephony.Step { return []telephony.Step{{Destinations: numbers}} }
	many := slices.Repeat(step(agent1), 9)
	for _, c := range []struct {
		name   string
		plan   telephony.Plan
		fields []string
	}{
		{"a step", telephony.Plan{Steps: step(agent1)}, nil},
		{"voicemail only", telephony.Plan{Voicemail: true}, nil},
		{"nothing", telephony.Plan{}, []string{"steps"}},
		{"too many steps", telephony.Plan{Steps: many}, []string{"steps"}},
		{"an empty step", telephony.Plan{Steps: step()}, []string{"steps[0].destinations"}},
		{"not E.164", telephony.Plan{Steps: step("555-0101")}, []string{"steps[0].destinations[0]"}},
		{"markup", telephony.Plan{Steps: step("<Dial>")}, []string{"steps[0].destinations[0]"}},
		{"an anonymous code", telephony.Plan{Steps: step("+86282452253")}, []string{"steps[0].destinations[0]"}},
		{"the same phone twice", telephony.Plan{Steps: step(agent1, agent1)}, []string{"steps[0].destinations[1]"}},
		{
			"timeouts",
			telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1}, TimeoutSeconds: 4}, {Destinations: []string{agent1}, TimeoutSeconds: 61}}},
			[]string{"steps[0].timeout_seconds", "steps[1].timeout_seconds"},
		},
		{"recording without announcement", telephony.Plan{Steps: step(agent1), Record: true}, []string{"announcement"}},
		{"recording with announcement", telephony.Plan{Steps: step(agent1), Record: true, Announcement: "Recorded."}, nil},
		{"endless words", telephony.Plan{Steps: step(agent1), Whisper: strings.Repeat("x", 501), Greeting: "a\x00b"}, []string{"greeting", "whisper"}},
		{"odd ids", telephony.Plan{Steps: step(agent1), CallerID: "me", Language: "klingon?", VoicemailMaxSeconds: 3}, []string{"caller_id", "language", "voicemail_max_seconds"}},
	} {
		err := c.plan.Validate()
		var got []string
		var e *callwheel.Error
		if errors.As(err, &e) {
			for _, f := range e.Fields {
				got = append(got, f.Field)
			}
		}
		if !slices.Equal(got, c.fields) {
			t.Errorf("%s: refused %v, want %v", c.name, got, c.fields)
		}
	}
	silent := telephony.Plan{Steps: step(agent1), Record: true}
	if err := silent.ValidateFor(telephony.RecordSilently); err != nil {
		t.Errorf("an account that records silently: %v", err)
	}
}

func TestAPlanThatDoesNotRecordDialsFirstAndAnswersOnBridge(t *testing.T) {
	list, d := plainPlan.Open(here)
	want := []telephony.Instruction{telephony.Dial{
		Targets:     []telephony.Target{{Number: agent1, StatusURL: base + "/webhooks/twilio/leg" + context1 + "&hop=1"}},
		TimeoutSecs: 20, AnswerOnBridge: true, ActionURL: base + "/webhooks/twilio/voice/next" + context1 + "&hop=1",
	}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("instructions (-want +got):\n%s", diff)
	}
	if d.Kind != telephony.DecidedDial || d.Hop != 1 || !slices.Equal(d.Destinations, []string{agent1}) || d.Whisper || d.Last {
		t.Errorf("decision: %+v", d)
	}
}

func TestARecordingPlanAnnouncesOnceAndNeverAnswersOnBridge(t *testing.T) {
	plan := hunting
	plan.Record, plan.Announcement, plan.Language = true, "Recorded.", "en-GB"
	list, _ := plan.Open(here)
	if say, ok := list[0].(telephony.Say); !ok || say.Text != "Recorded." || say.Language != "en-GB" {
		t.Errorf("first: %+v", list[0])
	}
	dial, ok := list[1].(telephony.Dial)
	if !ok || !dial.Record || dial.AnswerOnBridge || !strings.HasPrefix(dial.RecordingURL, base+"/webhooks/twilio/recording?") {
		t.Errorf("then: %+v", list[1])
	}
	busy := telephony.Event{Status: telephony.InProgress, DialStatus: telephony.Busy, Bridged: telephony.No, Query: telephony.Query{Hop: 1, PlanVersion: here.Query.PlanVersion}}
	list, _ = plan.Next(here, busy)
	if dial, ok := list[0].(telephony.Dial); !ok || len(list) != 1 || !dial.Record || dial.Targets[0].Number != agent2 {
		t.Errorf("second step: %+v", list)
	}
	for name, version := range map[string]int64{"another plan": 8, "an unknown plan": 0} {
		busy.Query.PlanVersion = version
		list, _ = plan.Next(here, busy)
		if say, ok := list[0].(telephony.Say); !ok || say.Text != "Recorded." || say.Language != "en-GB" || len(list) != 2 {
			t.Errorf("begun under %s: recorded unannounced: %+v", name, list)
		} else if dial := list[1].(telephony.Dial); !dial.Record || dial.AnswerOnBridge {
			t.Errorf("begun under %s: %+v", name, dial)
		}
	}
	plan.Record = false
	if list, _ = plan.Next(here, busy); len(list) != 1 {
		t.Errorf("announced although nothing is recorded: %+v", list)
	}
}

func TestWhatComesAfterAStep(t *testing.T) {
	for _, c := range []struct {
		name  string
		plan  telephony.Plan
		event telephony.Event
		want  string
	}{
		{"the caller is gone", hunting, telephony.Event{Status: telephony.Completed, DialStatus: telephony.NoAnswer, Bridged: telephony.No}, telephony.DecidedEmpty},
		{"the caller is gone, answerOnBridge", hunting, telephony.Event{Status: telephony.NoAnswer, DialStatus: telephony.Canceled}, telephony.DecidedEmpty},
		{"after a conversation", hunting, telephony.Event{Status: telephony.InProgress, DialStatus: telephony.Completed, Bridged: telephony.Yes}, telephony.DecidedHangup},
		{"after what was probably a conversation", hunting, telephony.Event{Status: telephony.InProgress, DialStatus: telephony.Completed}, telephony.DecidedHangup},
		{"busy", hunting, telephony.Event{Status: telephony.Ringing, DialStatus: telephony.Busy, Bridged: telephony.No, Query: telephony.Query{Hop: 1}}, telephony.DecidedDial},
		{"a whisper that was not accepted", hunting, telephony.Event{Status: telephony.InProgress, DialStatus: telephony.Completed, Bridged: telephony.No, Query: telephony.Query{Hop: 1}}, telephony.DecidedDial},
		{"a request that lost its query", hunting, telephony.Event{Status: telephony.Ringing, DialStatus: telephony.Busy, Bridged: telephony.No}, telephony.DecidedDial},
		{"the last step", hunting, telephony.Event{Status: telephony.InProgress, DialStatus: telephony.NoAnswer, Query: telephony.Query{Hop: 2}}, telephony.DecidedVoicemail},
		{"a step that the plan no longer has", hunting, telephony.Event{Status: telephony.InProgress, DialStatus: telephony.NoAnswer, Query: telephony.Query{Hop: 7}}, telephony.DecidedVoicemail},
		{"the last step without a mailbox", noMailbox, telephony.Event{Status: telephony.InProgress, DialStatus: telephony.NoAnswer, Query: telephony.Query{Hop: 1}}, telephony.DecidedHangup},
	} {
		list, d := c.plan.Next(here, c.event)
		if d.Kind != c.want {
			t.Errorf("%s: got %s, want %s", c.name, d.Kind, c.want)
		}
		if (len(list) == 0) != (c.want == telephony.DecidedEmpty) {
			t.Errorf("%s: got %+v", c.name, list)
		}
	}
}

func TestWhatTheAgentHears(t *testing.T) {
	if list, d := whispering.Greet(here, 1, "Google <Ads>"); d.Kind != telephony.DecidedWhisper || !reflect.DeepEqual(list, []telephony.Instruction{telephony.Say{Text: "Call from Google <Ads>"}}) {
		t.Errorf("whisper: %+v %+v", list, d)
	}
	list, d := pressing.Greet(here, 2, "")
	gather, ok := list[0].(telephony.Gather)
	if !ok || d.Kind != telephony.DecidedGather || gather.NumDigits != 1 || gather.ActionURL != base+"/webhooks/twilio/voice/keys"+context1+"&hop=2" {
		t.Errorf("press: %+v", list)
	}
	if _, ok := list[1].(telephony.Hangup); !ok {
		t.Errorf("an agent who presses nothing is bridged: %+v", list)
	}
	if list, d := pressing.Keys("1"); len(list) != 0 || d.Kind != telephony.DecidedAccept {
		t.Errorf("1: %+v %+v", list, d)
	}
	for _, digits := range []string{"", "2", "11", "hangup"} {
		if list, d := pressing.Keys(digits); len(list) != 1 || d.Kind != telephony.DecidedHangup {
			t.Errorf("%q: %+v %+v", digits, list, d)
		}
	}
}

func TestAQueryReadsBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := telephony.Query{
			AccountID:   rapid.StringMatching(`(acct_[0-9a-z&=+%# ]{0,20})?`).Draw(t, "account"),
			Number:      rapid.StringMatching(`(\+[1-9][0-9]{6,14})?`).Draw(t, "number"),
			PlanVersion: rapid.Int64Range(0, 1<<48).Draw(t, "version"),
			Hop:         rapid.IntRange(0, 8).Draw(t, "hop"),
		}
		if got := telephony.ParseQuery(q.Encode()); got != q {
			t.Fatalf("got %+v, want %+v (%s)", got, q, q.Encode())
		}
	})
}

func FuzzParseQueryNeverRefuses(f *testing.F) {
	f.Add("a=acct_1&n=%2B13125550171&v=7&hop=2")
	f.Add("hop=-1&v=99999999999999999999&n=x&%zz&;")
	f.Fuzz(func(t *testing.T, raw string) {
		q := telephony.ParseQuery(raw)
		if q.Hop < 0 || q.Hop > 8 || q.PlanVersion < 0 {
			t.Errorf("%q: got %+v", raw, q)
		}
		if again := telephony.ParseQuery(q.Encode()); again != q {
			t.Errorf("%q: %+v reads back as %+v", raw, q, again)
		}
	})
}
