package twilio

import (
	"encoding/xml"
	"strings"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
)

// Twilio's own limits: the size of a document (beyond it the caller hears an
// error), phones rung together, the seconds a Dial may ring, and the characters
// of one Say.
const (
	maxDocument  = 64 << 10
	maxTargets   = 10
	minRing      = 5
	maxRing      = 600
	maxSay       = 4096
	maxRecordSec = 14400
)

// Connection overrides, written into the fragment of the URLs that Twilio is
// given; a fragment is neither sent nor signed. Without them Twilio repeats
// nothing but a failed connect, and gives up a callback that met a restart of
// ours. A live caller has 15 seconds in all, so a question is repeated early.
const (
	liveRetry     = "#rc=2&rp=5xx,ct,rt&rt=4000&tt=14000"
	callbackRetry = "#rc=5&rp=all"
)

// ContentType of a rendered document. Its encoding is in the XML declaration.
const ContentType = "text/xml"

// Render writes the instructions as TwiML. An empty list is an empty Response,
// which ends a call that is still there and lets a whispered leg through.
//
// It fails with kind Invalid for what Twilio would refuse while the caller
// waits: a Dial without targets, with more than ten, or with something that is
// not a number; a document over 64 kB. Texts are cut and control characters
// dropped without a word, and times are brought into the allowed range.
func (p *Provider) Render(list []telephony.Instruction) (body []byte, contentType string, err error) {
	var doc response
	for _, instruction := range list {
		verb, err := translate(instruction)
		if err != nil {
			return nil, "", err
		}
		if verb != nil {
			doc.Verbs = append(doc.Verbs, verb)
		}
	}
	text, err := xml.Marshal(doc)
	if err != nil {
		return nil, "", callwheel.Errorf(callwheel.Internal, "render TwiML: %w", err)
	}
	body = append([]byte(xml.Header), text...)
	if len(body) > maxDocument {
		return nil, "", callwheel.Errorf(callwheel.Invalid, "render TwiML: %d bytes, at most %d are read", len(body), maxDocument)
	}
	return body, ContentType, nil
}

// The verbs that we use. Attributes are written in the order of the fields, so
// equal instructions give equal bytes.
type (
	response struct {
		XMLName xml.Name `xml:"Response"`
		Verbs   []any
	}
	sayVerb struct {
		XMLName  xml.Name `xml:"Say"`
		Language string   `xml:"language,attr,omitempty"`
		Text     string   `xml:",chardata"`
	}
	dialVerb struct {
		XMLName         xml.Name `xml:"Dial"`
		AnswerOnBridge  bool     `xml:"answerOnBridge,attr,omitempty"`
		Timeout         int      `xml:"timeout,attr,omitempty"`
		CallerID        string   `xml:"callerId,attr,omitempty"`
		Action          string   `xml:"action,attr,omitempty"`
		Method          string   `xml:"method,attr,omitempty"`
		Record          string   `xml:"record,attr,omitempty"`
		RecordingURL    string   `xml:"recordingStatusCallback,attr,omitempty"`
		RecordingMethod string   `xml:"recordingStatusCallbackMethod,attr,omitempty"`
		RecordingEvents string   `xml:"recordingStatusCallbackEvent,attr,omitempty"`
		Numbers         []numberNoun
	}
	numberNoun struct {
		XMLName      xml.Name `xml:"Number"`
		URL          string   `xml:"url,attr,omitempty"`
		Method       string   `xml:"method,attr,omitempty"`
		StatusURL    string   `xml:"statusCallback,attr,omitempty"`
		StatusMethod string   `xml:"statusCallbackMethod,attr,omitempty"`
		StatusEvents string   `xml:"statusCallbackEvent,attr,omitempty"`
		Number       string   `xml:",chardata"`
	}
	recordVerb struct {
		XMLName         xml.Name `xml:"Record"`
		Action          string   `xml:"action,attr,omitempty"`
		Method          string   `xml:"method,attr,omitempty"`
		MaxLength       int      `xml:"maxLength,attr,omitempty"`
		RecordingURL    string   `xml:"recordingStatusCallback,attr,omitempty"`
		RecordingMethod string   `xml:"recordingStatusCallbackMethod,attr,omitempty"`
		RecordingEvents string   `xml:"recordingStatusCallbackEvent,attr,omitempty"`
	}
	gatherVerb struct {
		XMLName   xml.Name `xml:"Gather"`
		Input     string   `xml:"input,attr"`
		NumDigits int      `xml:"numDigits,attr,omitempty"`
		Timeout   int      `xml:"timeout,attr,omitempty"`
		Action    string   `xml:"action,attr,omitempty"`
		Method    string   `xml:"method,attr,omitempty"`
		Prompt    *sayVerb
	}
	rejectVerb struct {
		XMLName xml.Name `xml:"Reject"`
		Reason  string   `xml:"reason,attr"`
	}
	hangupVerb struct {
		XMLName xml.Name `xml:"Hangup"`
	}
	pauseVerb struct {
		XMLName xml.Name `xml:"Pause"`
		Length  int      `xml:"length,attr"`
	}
)

// recordingEvents: absent too, or the row of a silent recording would wait for
// ever.
const recordingEvents = "completed absent"

func translate(instruction telephony.Instruction) (any, error) {
	switch i := instruction.(type) {
	case telephony.Say:
		if say := sayOf(i.Text, i.Language); say != nil {
			return *say, nil
		}
		return nil, nil
	case telephony.Dial:
		return dialOf(i)
	case telephony.Record:
		v := recordVerb{MaxLength: min(max(i.MaxSeconds, 0), maxRecordSec)}
		v.Action, v.Method = link(i.ActionURL, liveRetry)
		v.RecordingURL, v.RecordingMethod = link(i.RecordingURL, callbackRetry)
		v.RecordingEvents = unlessEmpty(v.RecordingURL, recordingEvents)
		return v, nil
	case telephony.Gather:
		v := gatherVerb{
			Input:     "dtmf",
			NumDigits: max(i.NumDigits, 0),
			Timeout:   max(i.TimeoutSecs, 0),
			Prompt:    sayOf(i.Prompt, i.Language),
		}
		v.Action, v.Method = link(i.ActionURL, liveRetry)
		return v, nil
	case telephony.Reject:
		if i.Busy {
			return rejectVerb{Reason: "busy"}, nil
		}
		return rejectVerb{Reason: "rejected"}, nil
	case telephony.Hangup:
		return hangupVerb{}, nil
	case telephony.Pause:
		return pauseVerb{Length: max(i.Seconds, 1)}, nil
	}
	return nil, callwheel.Errorf(callwheel.Internal, "render TwiML: no verb for %T", instruction)
}

func dialOf(i telephony.Dial) (any, error) {
	if len(i.Targets) == 0 || len(i.Targets) > maxTargets {
		return nil, callwheel.Errorf(callwheel.Invalid, "render Dial: %d targets, must be 1 to %d", len(i.Targets), maxTargets)
	}
	v := dialVerb{AnswerOnBridge: i.AnswerOnBridge, CallerID: printable(i.CallerID)}
	if i.TimeoutSecs > 0 {
		v.Timeout = min(max(i.TimeoutSecs, minRing), maxRing)
	}
	v.Action, v.Method = link(i.ActionURL, liveRetry)
	if i.Record {
		v.Record = "record-from-answer-dual"
		v.RecordingURL, v.RecordingMethod = link(i.RecordingURL, callbackRetry)
		v.RecordingEvents = unlessEmpty(v.RecordingURL, recordingEvents)
	}
	for _, t := range i.Targets {
		if !dialable(t.Number) {
			return nil, callwheel.Errorf(callwheel.Invalid, "render Dial: a target is not a number in E.164")
		}
		n := numberNoun{Number: t.Number}
		n.URL, n.Method = link(t.WhisperURL, liveRetry)
		n.StatusURL, n.StatusMethod = link(t.StatusURL, callbackRetry)
		n.StatusEvents = unlessEmpty(n.StatusURL, "initiated ringing answered completed")
		v.Numbers = append(v.Numbers, n)
	}
	return v, nil
}

func sayOf(text, language string) *sayVerb {
	text = printable(text)
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if utf8.RuneCountInString(text) > maxSay {
		text = string([]rune(text)[:maxSay])
	}
	return &sayVerb{Text: text, Language: printable(language)}
}

// dialable says whether a number is a plus and 3 to 15 digits: anything else
// would end the Dial as failed, with the caller waiting.
func dialable(number string) bool {
	if len(number) < 4 || len(number) > 16 || number[0] != '+' {
		return false
	}
	return strings.Trim(number[1:], "0123456789") == ""
}

// link writes a URL that Twilio will POST to, with its overrides, unless the
// URL has a fragment of its own. No URL, no method.
func link(url, overrides string) (href, method string) {
	url = printable(url)
	if url == "" {
		return "", ""
	}
	if !strings.Contains(url, "#") {
		url += overrides
	}
	return url, "POST"
}

func unlessEmpty(condition, value string) string {
	if condition == "" {
		return ""
	}
	return value
}

// printable drops what XML cannot hold and what nobody can say: control
// characters (line ends become spaces) and broken UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r == utf8.RuneError, r == 0xfffe, r == 0xffff:
			return -1
		}
		return r
	}, s)
}
