package twilio_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

const door = "https://calls.example.com/webhooks/twilio/"

var documents = map[string][]telephony.Instruction{
	"empty": nil,
	"ring one, bridge on answer": {telephony.Dial{
		Targets:     []telephony.Target{{Number: "+17735550101", WhisperURL: door + "voice/whisper?a=acct_1&hop=1", StatusURL: door + "leg?a=acct_1&hop=1"}},
		TimeoutSecs: 20, AnswerOnBridge: true, ActionURL: door + "voice/next?a=acct_1&hop=1",
	}},
	"announce, record, ring two": {
		telephony.Say{Text: "This call is recorded.", Language: "en-US"},
		telephony.Dial{
			Targets:     []telephony.Target{{Number: "+17735550101", StatusURL: door + "leg"}, {Number: "+17735550102", StatusURL: door + "leg"}},
			TimeoutSecs: 25, CallerID: "+13125550171", Record: true, RecordingURL: door + "recording", ActionURL: door + "voice/next?hop=1",
		},
	},
	"ring with nothing set": {telephony.Dial{Targets: []telephony.Target{{Number: "+17735550101"}}}},
	"times out of range":    {telephony.Dial{Targets: []telephony.Target{{Number: "+17735550101"}}, TimeoutSecs: 1}, telephony.Pause{Seconds: -3}, telephony.Record{MaxSeconds: 99999}},
	"voicemail": {
		telephony.Say{Text: "Nobody can take your call. Please leave a message."},
		telephony.Record{ActionURL: door + "voice/voicemail", RecordingURL: door + "recording", MaxSeconds: 120},
	},
	"whisper with a key": {
		telephony.Gather{Prompt: "Call from Spring & Summer <ads>. Press 1 to take it.", Language: "en-US", NumDigits: 1, TimeoutSecs: 8, ActionURL: door + "voice/keys"},
		telephony.Hangup{},
	},
	"refuse":                      {telephony.Reject{}},
	"refuse as busy":              {telephony.Reject{Busy: true}},
	"wait and hang up":            {telephony.Pause{Seconds: 2}, telephony.Hangup{}},
	"text that XML cannot hold":   {telephony.Say{Text: "a\x00b\x1b\u0085c\nd \"quoted\" 'single' é ☕ \ufffe]]>\xff"}, telephony.Say{Text: " \x01 "}},
	"an own fragment is kept":     {telephony.Dial{Targets: []telephony.Target{{Number: "+17735550101", StatusURL: door + "leg#rc=0"}}}},
	"a URL that breaks out of it": {telephony.Dial{Targets: []telephony.Target{{Number: "+17735550101"}}, ActionURL: `https://x.example/?q="><Hangup/>`}},
}

func TestInstructionsRenderAsTheirGoldenDocuments(t *testing.T) {
	p := twilio.New()
	for name, list := range documents {
		t.Run(name, func(t *testing.T) {
			body, contentType, err := p.Render(list)
			if err != nil {
				t.Fatal(err)
			}
			if contentType != "text/xml" {
				t.Errorf("got content type %q, want text/xml", contentType)
			}
			golden(t, "twiml/"+strings.NewReplacer(" ", "_", ",", "").Replace(name)+".xml", body)
			again, _, _ := p.Render(list)
			if string(again) != string(body) {
				t.Error("the same instructions gave other bytes")
			}
			if _, err := readDocument(body); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatTwilioWouldRefuseIsNotRendered(t *testing.T) {
	many := make([]telephony.Target, 11)
	for i := range many {
		many[i] = telephony.Target{Number: fmt.Sprintf("+1773555%04d", i)}
	}
	long := make([]telephony.Instruction, 20)
	for i := range long {
		long[i] = telephony.Say{Text: strings.Repeat("x", 4000)}
	}
	cases := map[string][]telephony.Instruction{
		"no targets":           {telephony.Dial{}},
		"too many targets":     {telephony.Dial{Targets: many}},
		"a word":               {telephony.Dial{Targets: []telephony.Target{{Number: "front desk"}}}},
		"no plus":              {telephony.Dial{Targets: []telephony.Target{{Number: "17735550101"}}}},
		"an empty number":      {telephony.Dial{Targets: []telephony.Target{{Number: ""}}}},
		"one bad among good":   {telephony.Dial{Targets: []telephony.Target{{Number: "+17735550101"}, {Number: "+1773<Hangup/>"}}}},
		"more than 64 kB":      long,
		"no known instruction": {nil},
	}
	for name, list := range cases {
		body, _, err := twilio.New().Render(list)
		if err == nil || body != nil {
			t.Errorf("%s: got %d bytes, %v, want an error", name, len(body), err)
		}
		if kind := callwheel.KindOf(err); name != "no known instruction" && kind != callwheel.Invalid {
			t.Errorf("%s: got kind %q, want invalid", name, kind)
		}
	}
}

func TestOneSayIsCutToWhatTwilioSpeaks(t *testing.T) {
	body, _, err := twilio.New().Render([]telephony.Instruction{telephony.Say{Text: strings.Repeat("é", 5000)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(body), "é"); got != 4096 {
		t.Errorf("got %d characters, want 4096", got)
	}
}

// document is what a reader of the XML finds in it.
type document struct {
	verbs   []string
	numbers []string
}

func readDocument(body []byte) (document, error) {
	var d document
	dec := xml.NewDecoder(strings.NewReader(string(body)))
	var path []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return d, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			if len(path) == 2 {
				d.verbs = append(d.verbs, token.Name.Local)
			}
			if len(path) == 3 && token.Name.Local == "Number" {
				d.numbers = append(d.numbers, "")
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) == 3 && path[2] == "Number" {
				d.numbers[len(d.numbers)-1] += string(token)
			}
		}
	}
}

func FuzzRenderIsAlwaysXMLThatDialsWhatWasAsked(f *testing.F) {
	f.Add("hello", "en-US", "https://x.example/?a=1&b=2", "+17735550101", "+13125550171", 20, true)
	f.Add("\x00]]>", "\"", "#", "+1\n77", "&lt;", -1, false)
	f.Add(strings.Repeat("<", 9000), "\xff", strings.Repeat("&", 20000), "+4930123456", "", 1<<30, true)
	p := twilio.New()
	f.Fuzz(func(t *testing.T, text, language, link, number, callerID string, seconds int, flag bool) {
		list := []telephony.Instruction{
			telephony.Say{Text: text, Language: language},
			telephony.Gather{Prompt: text, Language: language, NumDigits: seconds, TimeoutSecs: seconds, ActionURL: link},
			telephony.Dial{
				Targets:     []telephony.Target{{Number: number, WhisperURL: link, StatusURL: link}, {Number: "+17735550102", StatusURL: link}},
				TimeoutSecs: seconds, CallerID: callerID, AnswerOnBridge: flag, Record: flag, RecordingURL: link, ActionURL: link,
			},
			telephony.Record{ActionURL: link, RecordingURL: link, MaxSeconds: seconds},
		}
		body, _, err := p.Render(list)
		if err != nil {
			if callwheel.KindOf(err) != callwheel.Invalid {
				t.Errorf("got %v, want kind invalid", err)
			}
			return
		}
		if len(body) > 64<<10 {
			t.Errorf("got %d bytes, want at most 64 kB", len(body))
		}
		d, err := readDocument(body)
		if err != nil {
			t.Fatalf("got %v for %q", err, body)
		}
		if want := []string{number, "+17735550102"}; !slices.Equal(d.numbers, want) {
			t.Errorf("got numbers %q, want %q", d.numbers, want)
		}
		want := []string{"Say", "Gather", "Dial", "Record"}
		if len(d.verbs) == 3 { // nothing was left to say
			want = want[1:]
		}
		if !slices.Equal(d.verbs, want) {
			t.Errorf("got verbs %v, want %v", d.verbs, want)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	p := twilio.New()
	list := documents["announce, record, ring two"]
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.Render(list); err != nil {
			b.Fatal(err)
		}
	}
}
