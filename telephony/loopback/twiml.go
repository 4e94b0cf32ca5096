package loopback

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// verb is one element of a TwiML document.
type verb struct {
	name     string
	attrs    map[string]string
	text     string
	children []verb
}

func (v verb) attr(name, otherwise string) string {
	if value, ok := v.attrs[name]; ok {
		return value
	}
	return otherwise
}

func (v verb) isTrue(name string) bool { return v.attrs[name] == "true" }

// seconds reads an attribute in whole seconds; what cannot be read is the
// default.
func (v verb) seconds(name string, otherwise int) time.Duration {
	n, err := strconv.Atoi(v.attr(name, ""))
	if err != nil || n < 0 {
		n = otherwise
	}
	return time.Duration(n) * time.Second
}

// known lists the verbs that the network plays, with the attributes that the
// provider's schema allows for them.
var known = map[string]string{
	"Dial": "action method timeout timeLimit callerId answerOnBridge hangupOnStar record trim " +
		"recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent recordingTrack sequential ringTone callReason",
	"Number":   "url method sendDigits statusCallback statusCallbackMethod statusCallbackEvent",
	"Say":      "voice language loop",
	"Play":     "loop digits",
	"Pause":    "length",
	"Gather":   "action method input timeout speechTimeout numDigits finishOnKey actionOnEmptyResult language hints",
	"Record":   "action method timeout finishOnKey maxLength playBeep trim recordingStatusCallback recordingStatusCallbackMethod recordingStatusCallbackEvent transcribe transcribeCallback",
	"Reject":   "reason",
	"Redirect": "method",
	"Hangup":   "",
}

// maxDocument is the size above which the provider refuses an answer.
const maxDocument = 64 << 10

// parseDocument reads a TwiML answer. The warnings are what the provider would
// log and ignore; an error is what makes it give the document up.
func parseDocument(body []byte) (verbs []verb, warnings []string, err error) {
	decoder := xml.NewDecoder(strings.NewReader(string(body)))
	root, err := readRoot(decoder)
	if err != nil {
		return nil, nil, err
	}
	if root.name != "Response" {
		return nil, nil, fmt.Errorf("root element is %s, not Response", root.name)
	}
	for i, v := range root.children {
		warnings = append(warnings, check(v)...)
		if v.name == "Reject" && i > 0 {
			warnings = append(warnings, "12200 Reject is not the first verb")
		}
	}
	return root.children, warnings, nil
}

func check(v verb) []string {
	allowed, ok := known[v.name]
	if !ok {
		return []string{"12200 unknown element " + v.name}
	}
	var warnings []string
	names := strings.Fields(allowed)
	for name := range v.attrs {
		if !slices.Contains(names, name) {
			warnings = append(warnings, "12200 unknown attribute "+v.name+"/"+name)
		}
	}
	slices.Sort(warnings)
	for _, child := range v.children {
		if v.name == "Say" {
			continue // speech markup is spoken, not checked
		}
		warnings = append(warnings, check(child)...)
	}
	return warnings
}

func readRoot(decoder *xml.Decoder) (verb, error) {
	for {
		token, err := decoder.Token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return verb{}, errors.New("no element at all")
			}
			return verb{}, err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		root, err := readVerb(decoder, start)
		if err != nil {
			return verb{}, err
		}
		for { // whatever follows must still be XML
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				return root, nil
			} else if err != nil {
				return verb{}, err
			}
		}
	}
}

func readVerb(decoder *xml.Decoder, start xml.StartElement) (verb, error) {
	v := verb{name: start.Name.Local, attrs: map[string]string{}}
	for _, a := range start.Attr {
		v.attrs[a.Name.Local] = a.Value
	}
	var text strings.Builder
	for {
		token, err := decoder.Token()
		if err != nil {
			return verb{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			child, err := readVerb(decoder, t)
			if err != nil {
				return verb{}, err
			}
			v.children = append(v.children, child)
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			v.text = strings.TrimSpace(text.String())
			return v, nil
		}
	}
}

// lettersPerSecond is the pace at which texts are spoken on this network.
const lettersPerSecond = 15

// speakingTime is how long a prompt (Say, Play, Pause) takes, in whole seconds.
func speakingTime(v verb) time.Duration {
	switch v.name {
	case "Pause":
		return v.seconds("length", 1)
	case "Play":
		return 3 * time.Second
	}
	letters := utf8.RuneCountInString(v.text)
	for _, child := range v.children {
		letters += utf8.RuneCountInString(child.text)
	}
	return time.Duration((letters+lettersPerSecond-1)/lettersPerSecond) * time.Second
}

// promptTime is how long the prompts inside a Gather take together.
func promptTime(gather verb) time.Duration {
	var sum time.Duration
	for _, child := range gather.children {
		sum += speakingTime(child)
	}
	return sum
}
