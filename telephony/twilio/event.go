package twilio

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callwheel/callwheel/telephony"
)

// The longest texts that are kept, in bytes. Ids and names longer than that are
// nobody's ids and names; the request itself is in the journal.
const (
	maxShort      = 255
	maxURL        = 2048
	maxMessage    = 4096
	maxTranscript = 64 << 10
)

// maxSeconds is the longest length that is believed. Twilio ends a call after a
// day at the latest.
const maxSeconds = 2 * 86400

// Parse reads a request into an event. It never refuses: what is missing or
// cannot be read stays zero (-1 for lengths and the sequence), and the package
// comment lists what is flagged. Only the body is read, or where a live request has
// none the query, and of a repeated parameter only the first value.
func (p *Provider) Parse(r telephony.Request) telephony.Event {
	_, query := splitTarget(r.Target)
	f := readForm(r, query)
	e := telephony.Event{
		Provider:         Name,
		Door:             r.Door,
		ReceivedAt:       r.ReceivedAt,
		AccountRef:       f.text("AccountSid"),
		From:             f.text("From"),
		To:               f.text("To"),
		Direction:        f.text("Direction"),
		SIPCode:          f.text("SipResponseCode"),
		Sequence:         f.count("SequenceNumber", 1<<31, "bad_sequence"),
		Seconds:          f.seconds("CallDuration"),
		DialSeconds:      -1,
		RecordingSeconds: -1,
		At:               f.time("Timestamp"),
		Verstat:          f.text("StirVerstat"),
		Caller: telephony.CallerDetails{
			Name:    f.text("CallerName"),
			City:    f.first("FromCity", "CallerCity"),
			State:   f.first("FromState", "CallerState"),
			Zip:     f.first("FromZip", "CallerZip"),
			Country: f.first("FromCountry", "CallerCountry"),
		},
	}
	if code := f.text("ErrorCode"); code != "0" {
		e.ErrorCode = code
	}
	e.Query = telephony.ParseQuery(query)

	f.readRefs(&e)
	f.readDoor(&e)
	e.Key = f.key(e, query)
	e.Flags = f.flags
	return e
}

// readRefs says which call an event is about. What concerns an agent's leg
// names the caller's leg as its parent; the rest is about the caller's leg
// itself, or a message.
func (f *form) readRefs(e *telephony.Event) {
	call, parent := f.text("CallSid"), f.text("ParentCallSid")
	switch e.Door {
	case telephony.DoorMessage, telephony.DoorMessageStatus:
		e.CallRef = clean(f.message(), maxShort, false)
	case telephony.DoorLeg, telephony.DoorWhisper:
		e.CallRef, e.LegRef = parent, call
		if parent == "" {
			f.flag("no_parent")
			return
		}
	case telephony.DoorKeys:
		// A key pressed by the agent in a whisper, or by the caller in a menu.
		e.CallRef = call
		if parent != "" {
			e.CallRef, e.LegRef = parent, call
		}
	case telephony.DoorNext:
		e.CallRef, e.LegRef = call, f.text("DialCallSid")
	default:
		e.CallRef = call
	}
	if e.CallRef == "" {
		f.flag("no_call")
	}
}

// readDoor reads what only some doors are told.
func (f *form) readDoor(e *telephony.Event) {
	switch e.Door {
	case telephony.DoorMessage, telephony.DoorMessageStatus:
		e.RawStatus = f.first("MessageStatus", "SmsStatus")
		if e.RawStatus != "" && !messageStatuses[strings.ToLower(e.RawStatus)] {
			f.flag("unknown_status")
		}
		e.Text = f.long("Body", maxMessage)
		e.MediaCount = max(f.count("NumMedia", 100, ""), 0)
		e.OptOut = f.text("OptOutType")
		return
	case telephony.DoorNext:
		e.DialStatus = f.status(f.text("DialCallStatus"))
		if strings.EqualFold(f.text("DialCallStatus"), "answered") {
			e.DialStatus = telephony.Completed // a Dial that has ended
		}
		e.DialSeconds = f.seconds("DialCallDuration")
		e.Bridged = truth(f.text("DialBridged"))
		if e.SIPCode == "" {
			e.SIPCode = f.text("DialSipResponseCode")
		}
		f.readRecording(e) // of a recorded Dial
	case telephony.DoorKeys:
		e.Digits = f.text("Digits")
	case telephony.DoorVoicemail:
		e.Digits = f.text("Digits")
		f.readRecording(e)
	case telephony.DoorRecording, telephony.DoorTranscription:
		f.readRecording(e)
	}
	e.RawStatus = f.text("CallStatus")
	e.Status = f.status(e.RawStatus)
}

func (f *form) readRecording(e *telephony.Event) {
	e.RecordingRef = f.text("RecordingSid")
	e.RecordingURL = f.url("RecordingUrl")
	if e.RecordingRef == "" {
		// The Record action need not name it, but its URL ends in the name.
		last := e.RecordingURL[strings.LastIndexByte(e.RecordingURL, '/')+1:]
		if strings.HasPrefix(last, "RE") {
			e.RecordingRef, _, _ = strings.Cut(last, ".")
		}
	}
	e.RecordingStatus = f.text("RecordingStatus")
	e.RecordingSeconds = f.seconds("RecordingDuration")
	e.RecordingChannels = max(f.count("RecordingChannels", 64, ""), 0)
	e.RecordingSource = f.text("RecordingSource")
	e.Transcript = f.long("TranscriptionText", maxTranscript)
}

// key says what a request is, from what the provider signed and nothing else;
// the idempotency header is not signed, so a replayed capture can carry a new
// one.
//
// Three sorts of request have a name of their own, and the name is the key,
// whatever else they say:
//
//	voice               the call: asked again, it is the same question, also at
//	                    the fallback URL
//	status, leg         the call, the status and the sequence number: the same
//	                    step of the same leg. Another status is another fact, and
//	                    so is the same status with another number
//	recording, message, the recording or message, and its status: a message id
//	message/status      alone would swallow "delivered" after "sent"
//
// Everything else (the Dial action, whispers, keys, voicemail, transcripts), and
// a request whose name is incomplete, is its content: every parameter, sorted,
// and our own signed query. A repetition by Twilio has the same content; two
// hops of one call differ in the query.
//
// The account is always part of the key. Somebody who can sign for one account
// therefore cannot occupy the keys of another.
func (f *form) key(e telephony.Event, query string) string {
	name := f.name(e.Door)
	if name == nil {
		return "content:" + f.digest(string(e.Door), query)
	}
	b := appendPart(nil, f.value("AccountSid"))
	for _, part := range name {
		b = appendPart(b, part)
	}
	return string(e.Door) + ":" + digest(b)
}

// name returns what the provider calls the fact, nil when it has no complete
// name. The parts are as they were sent: cleaned texts could be equal by
// accident.
func (f *form) name(door telephony.Door) [][]byte {
	call, status := f.value("CallSid"), f.value("CallStatus")
	switch door {
	case telephony.DoorVoice:
		return complete(call)
	case telephony.DoorStatus, telephony.DoorLeg:
		return complete(call, status, f.value("SequenceNumber"))
	case telephony.DoorRecording:
		return complete(f.value("RecordingSid"), f.value("RecordingStatus"))
	case telephony.DoorMessage:
		return complete(f.message())
	case telephony.DoorMessageStatus:
		return complete(f.message(), f.firstValue("MessageStatus", "SmsStatus"))
	}
	return nil
}

// complete returns the parts of a name, nil when one of the first two is
// missing. (A sequence number may be.)
func complete(parts ...[]byte) [][]byte {
	for _, part := range parts[:min(len(parts), 2)] {
		if len(part) == 0 {
			return nil
		}
	}
	return parts
}

func (f *form) message() []byte { return f.firstValue("MessageSid", "SmsSid", "SmsMessageSid") }

// digest is the identity of everything that was signed.
func (f *form) digest(door, query string) string {
	b := make([]byte, 0, 512+len(f.raw))
	b = appendPart(b, []byte(door))
	b = appendPart(b, []byte(query))
	if !f.readable {
		return digest(appendPart(b, f.raw))
	}
	for _, p := range sortPairs(f.pairs) {
		b = appendPart(b, p.name)
		b = appendPart(b, p.value)
	}
	return digest(b)
}

// appendPart writes a text with its length before it, so that no two lists of
// texts are written alike.
func appendPart(b, s []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// statuses are Twilio's words for the state of a leg. "answered" is an event
// that arrives as in-progress; some places use the word itself.
var statuses = map[string]telephony.Status{
	"queued":      telephony.Queued,
	"initiated":   telephony.Initiated,
	"ringing":     telephony.Ringing,
	"in-progress": telephony.InProgress,
	"answered":    telephony.InProgress,
	"completed":   telephony.Completed,
	"busy":        telephony.Busy,
	"no-answer":   telephony.NoAnswer,
	"failed":      telephony.Failed,
	"canceled":    telephony.Canceled,
	"cancelled":   telephony.Canceled,
}

var messageStatuses = map[string]bool{
	"accepted": true, "scheduled": true, "queued": true, "sending": true, "sent": true,
	"delivered": true, "undelivered": true, "failed": true, "receiving": true, "received": true,
	"read": true, "partially_delivered": true, "canceled": true,
}

func truth(word string) telephony.Truth {
	switch {
	case strings.EqualFold(word, "true"):
		return telephony.Yes
	case strings.EqualFold(word, "false"):
		return telephony.No
	}
	return telephony.Unknown
}

// form is a decoded body and the oddities found while reading it.
type form struct {
	raw      []byte
	pairs    []pair
	readable bool
	flags    []string
}

func readForm(r telephony.Request, query string) *form {
	hashed := false
	if !telephony.IsForm(r.ContentType) {
		hashed, _ = checkBodyHash(query, r.Body) // believed already
	}
	text, readable := parameters(r, query, hashed)
	f := &form{raw: r.Body, readable: readable}
	if len(r.Body) > 0 && !telephony.IsForm(r.ContentType) {
		f.flag("bad_body")
	}
	if !readable {
		return f
	}
	f.pairs, _ = appendPairs(make([]pair, 0, 40), make([]byte, 0, len(text)), text)
	return f
}

func (f *form) flag(name string) {
	for _, known := range f.flags {
		if known == name {
			return
		}
	}
	f.flags = append(f.flags, name)
}

// value returns the first value of a parameter as it was sent.
func (f *form) value(name string) []byte {
	var found []byte
	seen := false
	for _, p := range f.pairs {
		if string(p.name) != name {
			continue
		}
		if !seen {
			found, seen = p.value, true
			continue
		}
		if string(found) != string(p.value) {
			f.flag("repeated_parameter")
		}
	}
	return found
}

// text returns a short text on one line.
func (f *form) text(name string) string { return clean(f.value(name), maxShort, false) }

// long returns a text that may have several lines.
func (f *form) long(name string, limit int) string { return clean(f.value(name), limit, true) }

// url returns a text that is of no use when it is cut.
func (f *form) url(name string) string {
	if len(f.value(name)) > maxURL {
		return ""
	}
	return clean(f.value(name), maxURL, false)
}

// first returns the first of the parameters that is not empty.
func (f *form) first(names ...string) string { return clean(f.firstValue(names...), maxShort, false) }

func (f *form) firstValue(names ...string) []byte {
	for _, name := range names {
		if v := f.value(name); len(v) > 0 {
			return v
		}
	}
	return nil
}

func (f *form) status(word string) telephony.Status {
	if word == "" {
		return ""
	}
	s, ok := statuses[strings.ToLower(word)]
	if !ok {
		f.flag("unknown_status")
	}
	return s
}

func (f *form) seconds(name string) int64 { return f.count(name, maxSeconds, "bad_duration") }

// count reads a whole number from 0 to limit; -1 for anything else. An empty
// parameter counts as absent: Twilio writes one for a call that never lasted.
func (f *form) count(name string, limit int64, flag string) int64 {
	text := strings.TrimSpace(f.text(name))
	if text == "" {
		return -1
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || int64(n) > limit {
		if flag != "" {
			f.flag(flag)
		}
		return -1
	}
	return int64(n)
}

func (f *form) time(name string) time.Time {
	text := f.text(name)
	if text == "" {
		return time.Time{}
	}
	t, ok := parseTime(text)
	if !ok {
		f.flag("bad_timestamp")
	}
	return t
}

var timeLayouts = []string{
	"2 Jan 2006 15:04:05 -0700",
	"2 Jan 2006 15:04:05 MST",
	"2 Jan 2006 15:04 -0700",
	"2 Jan 2006 15:04 MST",
	time.RFC3339,
}

// parseTime reads a time of RFC 2822 as generously as is safe: the weekday is
// ignored and a leap second is the second before it. ISO 8601, which newer parts
// of Twilio use, is read too. Times outside 2000 to 2100 are not believed.
func parseTime(text string) (time.Time, bool) {
	if _, after, found := strings.Cut(text, ","); found {
		text = after
	}
	text = strings.Join(strings.Fields(text), " ")
	text = strings.Replace(text, ":60 ", ":59 ", 1)
	text = strings.Replace(text, ":60Z", ":59Z", 1)
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if zone, offset := t.Zone(); offset == 0 && strings.HasSuffix(layout, "MST") && !utcNames[zone] {
			return time.Time{}, false // a zone that Go knows by name only
		}
		t = t.UTC()
		if t.Year() < 2000 || t.Year() >= 2100 {
			return time.Time{}, false
		}
		return t, true
	}
	return time.Time{}, false
}

var utcNames = map[string]bool{"UTC": true, "GMT": true, "UT": true, "Z": true}

// clean makes a text fit for rows and pages: valid UTF-8 without control
// characters (a newline may stay where lines are meant), at most limit bytes,
// cut between characters. What is not text is replaced by U+FFFD, so that two
// different oddities do not silently become the same proper text.
func clean(b []byte, limit int, lines bool) string {
	if plain(b) && len(b) <= limit {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		b = b[size:]
		if r < ' ' && !(lines && (r == '\n' || r == '\r' || r == '\t')) || r >= 0x7f && r < 0xa0 {
			r = utf8.RuneError
		}
		if out.Len()+utf8.RuneLen(r) > limit {
			break
		}
		out.WriteRune(r)
	}
	return out.String()
}

func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
