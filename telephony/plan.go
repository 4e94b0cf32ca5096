package telephony

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/callwheel/callwheel"
)

// Plan says what happens to a caller: whom to ring in which order, what the
// agent hears before the bridge, whether the call is recorded, and what becomes
// of a caller whom nobody answers. It is data, kept as JSON with a route; a
// plan and a hop decide an answer without looking at anything else.
type Plan struct {
	Steps               []Step `json:"steps"`
	Whisper             string `json:"whisper,omitempty"`               // spoken to the agent; {source} is replaced
	PressToAccept       bool   `json:"press_to_accept,omitempty"`       // the agent presses 1 to take the call
	Record              bool   `json:"record,omitempty"`                // from answer, in two channels
	Announcement        string `json:"announcement,omitempty"`          // spoken to the caller before a recorded call
	Voicemail           bool   `json:"voicemail,omitempty"`             // when nobody answered
	Greeting            string `json:"greeting,omitempty"`              // spoken before the voicemail's tone
	VoicemailMaxSeconds int    `json:"voicemail_max_seconds,omitempty"` // 5 to 600; 0 means 120
	CallerID            string `json:"caller_id,omitempty"`             // shown to the agent, E.164; "" shows the caller
	Language            string `json:"language,omitempty"`              // BCP 47 of every spoken text
}

// Step is one round of ringing: all its destinations ring together. Steps
// follow one another until somebody answers.
type Step struct {
	Destinations   []string `json:"destinations"`              // E.164
	TimeoutSeconds int      `json:"timeout_seconds,omitempty"` // 5 to 60; 0 means 20
}

// The bounds of a plan. Ten phones in one Dial is the provider's own limit; a
// spoken text of 500 characters is about half a minute of a caller's patience.
const (
	maxSteps        = 8
	maxDestinations = 10
	minTimeout      = 5
	maxTimeout      = 60
	defaultTimeout  = 20
	maxSpoken       = 500
	minVoicemail    = 5
	maxVoicemail    = 600
	defaultMailSecs = 120
)

// What is said when a plan leaves the words to us.
const (
	defaultAnnouncement = "This call may be recorded."
	defaultGreeting     = "Nobody can take your call right now. Please leave a message after the tone."
	acceptPrompt        = "Press 1 to take the call."
	acceptDigit         = "1"
)

// RecordSilently is the account's recording policy under which a plan may
// record without an announcement. Every other policy needs one.
const RecordSilently = "silent"

// Validate returns an Invalid error that names every field which is not
// allowed. A plan that records needs an announcement; see ValidateFor.
func (p Plan) Validate() error { return p.ValidateFor("") }

// ValidateFor is Validate under an account's recording policy.
func (p Plan) ValidateFor(recordingPolicy string) error {
	var bad []callwheel.FieldError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if len(p.Steps) == 0 && !p.Voicemail {
		refuse("steps", "at least one step, or voicemail, is needed: a caller must reach something")
	}
	if len(p.Steps) > maxSteps {
		refuse("steps", "at most %d steps", maxSteps)
	}
	for i, step := range p.Steps {
		step.validate(fmt.Sprintf("steps[%d]", i), refuse)
	}
	for field, text := range map[string]string{"whisper": p.Whisper, "announcement": p.Announcement, "greeting": p.Greeting} {
		if !speakable(text) {
			refuse(field, "must be plain text of at most %d characters", maxSpoken)
		}
	}
	if p.Record && strings.TrimSpace(p.Announcement) == "" && recordingPolicy != RecordSilently {
		refuse("announcement", "recording needs an announcement to the caller")
	}
	if s := p.VoicemailMaxSeconds; s != 0 && (s < minVoicemail || s > maxVoicemail) {
		refuse("voicemail_max_seconds", "must be %d to %d", minVoicemail, maxVoicemail)
	}
	if p.CallerID != "" && !isE164(p.CallerID) {
		refuse("caller_id", "must be a phone number in E.164, such as +13125550171")
	}
	if !languageTag(p.Language) {
		refuse("language", "must be a language tag such as en-US")
	}
	sortFields(bad)
	return callwheel.InvalidFields(bad)
}

func (s Step) validate(field string, refuse func(field, format string, args ...any)) {
	if len(s.Destinations) == 0 || len(s.Destinations) > maxDestinations {
		refuse(field+".destinations", "must be 1 to %d phone numbers", maxDestinations)
	}
	seen := map[string]bool{}
	for i, number := range s.Destinations {
		switch at := fmt.Sprintf("%s.destinations[%d]", field, i); {
		case !isE164(number):
			refuse(at, "must be a phone number in E.164, such as +13125550171")
		case seen[number]:
			refuse(at, "rings in this step already")
		}
		seen[number] = true
	}
	if s.TimeoutSeconds != 0 && (s.TimeoutSeconds < minTimeout || s.TimeoutSeconds > maxTimeout) {
		refuse(field+".timeout_seconds", "must be %d to %d", minTimeout, maxTimeout)
	}
}

func isE164(number string) bool {
	kind, e164 := Classify(number)
	return kind == CallerE164 && e164 == number
}

// WithDefaults fills in what the plan leaves open: timeouts, and the words of
// an announcement or a greeting that is needed. It leaves the plan it is called
// on as it was.
func (p Plan) WithDefaults() Plan {
	steps := make([]Step, len(p.Steps))
	for i, step := range p.Steps {
		if step.TimeoutSeconds == 0 {
			step.TimeoutSeconds = defaultTimeout
		}
		steps[i] = step
	}
	p.Steps = steps
	if p.Voicemail && strings.TrimSpace(p.Greeting) == "" {
		p.Greeting = defaultGreeting
	}
	if p.VoicemailMaxSeconds == 0 {
		p.VoicemailMaxSeconds = defaultMailSecs
	}
	return p
}

// whispers says whether an agent hears something before the bridge, so that an
// answered leg alone does not prove a conversation.
func (p Plan) whispers() bool { return p.Whisper != "" || p.PressToAccept }

// Query is the context that we put into the callback URLs of a call. It comes
// back inside the signed URL, so it can be believed as far as the signature.
type Query struct {
	AccountID   string
	Number      string // the tracking number that was dialled, E.164
	PlanVersion int64
	Hop         int // the step of the plan, from 1; 0 when not given
}

// Encode writes the query of a callback URL. Empty parts are left out; the
// order is fixed, so that equal contexts make equal URLs.
func (q Query) Encode() string {
	var parts []string
	add := func(name, value string) { parts = append(parts, name+"="+url.QueryEscape(value)) }
	if q.AccountID != "" {
		add("a", q.AccountID)
	}
	if q.Number != "" {
		add("n", q.Number)
	}
	if q.PlanVersion != 0 {
		add("v", strconv.FormatInt(q.PlanVersion, 10))
	}
	if q.Hop != 0 {
		add("hop", strconv.Itoa(q.Hop))
	}
	return strings.Join(parts, "&")
}

// ParseQuery reads what Encode wrote. It never refuses: parts that are missing
// or make no sense stay zero, and the current plan takes their place.
func ParseQuery(rawQuery string) Query {
	values, _ := url.ParseQuery(rawQuery) //nolint:errcheck // what could be read is used
	q := Query{AccountID: values.Get("a")}
	if number := values.Get("n"); e164Pattern.MatchString(number) {
		q.Number = number
	}
	if v, err := strconv.ParseInt(values.Get("v"), 10, 64); err == nil && v > 0 {
		q.PlanVersion = v
	}
	if hop, err := strconv.Atoi(values.Get("hop")); err == nil && hop > 0 && hop <= maxSteps {
		q.Hop = hop
	}
	return q
}

// Callback is where the network finds our doors for one call.
type Callback struct {
	PublicURL string // the base URL that the provider was given, without a final slash
	Provider  string
	Query     Query
}

// URL returns the absolute URL of a door for a step of the plan; hop 0 leaves
// the step out.
func (c Callback) URL(door Door, hop int) string {
	q := c.Query
	q.Hop = hop
	address := c.PublicURL + "/webhooks/" + c.Provider + "/" + string(door)
	if text := q.Encode(); text != "" {
		address += "?" + text
	}
	return address
}

// The kinds of Decision.
const (
	DecidedDial      = "dial"
	DecidedVoicemail = "voicemail"
	DecidedReject    = "reject"
	DecidedHangup    = "hangup"
	DecidedEmpty     = "empty"
	DecidedWhisper   = "whisper"
	DecidedGather    = "gather"
	DecidedAccept    = "accept"
	DecidedFallback  = "fallback"
)

// Decision is what we told the network to do, kept with the request that asked.
// The fold reads it: an answered leg means something else under a plan that
// whispers, and only we know which plan that was.
type Decision struct {
	Kind         string   `json:"kind,omitempty"`
	PlanVersion  int64    `json:"plan_version,omitempty"`
	Hop          int      `json:"hop,omitempty"`          // the step that was begun
	Destinations []string `json:"destinations,omitempty"` // whom it rings
	Whisper      bool     `json:"whisper,omitempty"`      // the agent hears something before the bridge
	Press        bool     `json:"press,omitempty"`        // and must press a key
	Last         bool     `json:"last,omitempty"`         // nothing follows this step, neither step nor voicemail
	NumberID     string   `json:"number_id,omitempty"`
}

// dials says whether the decision rang somebody.
func (d Decision) dials() bool { return len(d.Destinations) > 0 }

// Open is the answer to an incoming call.
func (p Plan) Open(c Callback) ([]Instruction, Decision) {
	list, d := p.step(c, 1)
	return p.announced(list, d), d
}

// Next is the answer when a step of the plan has ended: nothing for a caller
// who is gone, the end after a conversation, else the next step, voicemail or
// the end. A request that does not say which step it was ended the first. A
// caller who is not known to have heard the plan's announcement hears it before
// a recorded step.
func (p Plan) Next(c Callback, e Event) ([]Instruction, Decision) {
	switch {
	case e.Status.Final():
		return nil, Decision{Kind: DecidedEmpty}
	case e.Bridged == Yes, undecided(e):
		// Taken for a conversation: ringing a second agent after one is worse.
		return []Instruction{Hangup{}}, Decision{Kind: DecidedHangup}
	}
	list, d := p.step(c, max(e.Query.Hop, 1)+1)
	if e.Query.PlanVersion == 0 || e.Query.PlanVersion != c.Query.PlanVersion {
		// The call began under another plan, or nobody can tell under which.
		list = p.announced(list, d)
	}
	return list, d
}

// announced puts what has to be said before a recording in front of a step.
func (p Plan) announced(list []Instruction, d Decision) []Instruction {
	if !p.Record || p.Announcement == "" || d.Kind != DecidedDial {
		return list
	}
	return append([]Instruction{Say{Text: p.Announcement, Language: p.Language}}, list...)
}

// step begins a step of the plan, counted from 1; beyond the last it is
// voicemail or the end.
func (p Plan) step(c Callback, hop int) ([]Instruction, Decision) {
	if hop > len(p.Steps) {
		return p.unanswered(c)
	}
	step := p.Steps[hop-1]
	dial := Dial{
		TimeoutSecs: step.TimeoutSeconds,
		CallerID:    p.CallerID,
		ActionURL:   c.URL(DoorNext, hop),
		// Ringing that the caller hears, and no cost before the bridge, are only
		// to be had when nothing was spoken before: an announcement answers.
		AnswerOnBridge: !p.Record,
	}
	if p.Record {
		dial.Record, dial.RecordingURL = true, c.URL(DoorRecording, hop)
	}
	for _, number := range step.Destinations {
		target := Target{Number: number, StatusURL: c.URL(DoorLeg, hop)}
		if p.whispers() {
			target.WhisperURL = c.URL(DoorWhisper, hop)
		}
		dial.Targets = append(dial.Targets, target)
	}
	return []Instruction{dial}, Decision{
		Kind: DecidedDial, Hop: hop, Destinations: step.Destinations,
		Whisper: p.whispers(), Press: p.PressToAccept,
		Last: hop == len(p.Steps) && !p.Voicemail,
	}
}

func (p Plan) unanswered(c Callback) ([]Instruction, Decision) {
	if !p.Voicemail {
		return []Instruction{Hangup{}}, Decision{Kind: DecidedHangup}
	}
	greeting := p.Greeting
	if greeting == "" {
		greeting = defaultGreeting
	}
	return []Instruction{
		Say{Text: greeting, Language: p.Language},
		Record{ActionURL: c.URL(DoorVoicemail, 0), RecordingURL: c.URL(DoorRecording, 0), MaxSeconds: p.VoicemailMaxSeconds},
	}, Decision{Kind: DecidedVoicemail}
}

// Greet is what an agent hears before the bridge: where the call comes from,
// and the question whether to take it. An agent who presses nothing is not
// bridged. source replaces {source}.
func (p Plan) Greet(c Callback, hop int, source string) ([]Instruction, Decision) {
	text := strings.ReplaceAll(p.Whisper, "{source}", source)
	switch {
	case p.PressToAccept:
		prompt := strings.TrimSpace(text + " " + acceptPrompt)
		gather := Gather{Prompt: prompt, Language: p.Language, NumDigits: 1, TimeoutSecs: 8, ActionURL: c.URL(DoorKeys, hop)}
		// Hangup is reached when no key came: the provider then falls through.
		return []Instruction{gather, Hangup{}}, Decision{Kind: DecidedGather}
	case text != "":
		return []Instruction{Say{Text: text, Language: p.Language}}, Decision{Kind: DecidedWhisper}
	}
	return nil, Decision{Kind: DecidedEmpty}
}

// Keys is the answer to an agent's key: 1 bridges, anything else drops the
// agent's leg and the call goes on ringing elsewhere.
func (p Plan) Keys(digits string) ([]Instruction, Decision) {
	if digits == acceptDigit {
		return nil, Decision{Kind: DecidedAccept}
	}
	return []Instruction{Hangup{}}, Decision{Kind: DecidedHangup}
}

// Refuse is the answer to a blocked caller: the call is never taken, so it
// costs nothing.
func Refuse() ([]Instruction, Decision) {
	return []Instruction{Reject{}}, Decision{Kind: DecidedReject}
}
