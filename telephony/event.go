package telephony

import "time"

// Door names what a provider request is about. It is the last part of the
// door's path below /webhooks/{provider}/, and the journal keeps it.
type Door string

// The provider's doors, and two that are ours.
const (
	DoorVoice         Door = "voice"           // an incoming call: what shall happen?
	DoorStatus        Door = "status"          // the caller's leg ended
	DoorNext          Door = "voice/next"      // the Dial action: a step of the plan ended, what now?
	DoorWhisper       Door = "voice/whisper"   // an agent picked up: what do they hear before the bridge?
	DoorKeys          Door = "voice/keys"      // keys pressed (a whisper's "press 1 to take the call")
	DoorVoicemail     Door = "voice/voicemail" // a voicemail was recorded
	DoorLeg           Door = "leg"             // status of an agent's leg
	DoorRecording     Door = "recording"
	DoorTranscription Door = "transcription"
	DoorMessage       Door = "message"
	DoorMessageStatus Door = "message/status"
	DoorReconcile     Door = "reconcile" // what the provider's call list says; asked by us
	DoorImport        Door = "import"    // history brought in by an operator
)

// Live says whether a caller is on the line waiting for the answer: such a
// request is always answered with something to do, whatever is broken.
func (d Door) Live() bool {
	switch d {
	case DoorVoice, DoorNext, DoorWhisper, DoorKeys, DoorVoicemail:
		return true
	}
	return false
}

// Request is one provider request as it came, before anybody believed it.
type Request struct {
	Door        Door
	Method      string // not signed, and not kept: only a refusal depends on it
	Target      string // path and raw query exactly as received (Go's RequestURI)
	ContentType string
	Body        []byte
	Signatures  []string // every signature header; more than one is refused
	ReceivedAt  time.Time
}

// Event is one provider fact, normalised by an adapter. Everything but
// Provider, Door and CallRef is optional: zero means that the provider did not
// say. Texts are valid UTF-8 without NUL.
type Event struct {
	Provider   string
	Door       Door
	Key        string // what the provider says this request is: equal keys are the same fact
	AccountRef string // the provider's account
	CallRef    string // the provider's id of the caller's leg (the parent), or of the message
	LegRef     string // the provider's id of the agent's leg
	ReceivedAt time.Time
	At         time.Time // the provider's own time of the event; zero when it gave none
	Sequence   int64     // order within one leg, from 0; -1 when not given

	From, To  string // raw, as the provider wrote them
	Direction string
	Status    Status // of the leg the event is about; "" when not given or unknown
	RawStatus string // as written, also when unknown

	// Seconds is the length of the leg the event is about (CallDuration); -1
	// when not given or unreadable.
	Seconds int64
	SIPCode string

	// Dial action (DoorNext).
	DialStatus  Status // of the dialled leg; LegRef names it
	DialSeconds int64  // -1 when not given
	Bridged     Truth  // DialBridged

	Digits string // DoorKeys, DoorVoicemail

	// Media (DoorRecording, DoorVoicemail, DoorTranscription).
	RecordingRef      string
	RecordingURL      string
	RecordingStatus   string // in-progress, completed, absent, failed
	RecordingSeconds  int64  // -1 when not given
	RecordingChannels int64
	RecordingSource   string // provider's word; "RecordVerb" marks a voicemail
	Transcript        string

	Caller  CallerDetails
	Verstat string

	// Query of our own callback URL, signed with it: the account, the plan
	// version and the hop that we wrote there. Zero when absent or stale.
	Query Query

	// Message (DoorMessage, DoorMessageStatus).
	Text       string
	MediaCount int64
	OptOut     string
	ErrorCode  string

	Flags []string // oddities the adapter saw: "bad_duration", "bad_timestamp", "unknown_status"

	Told *Told `json:",omitempty"` // DoorImport
}

// Told is what an import says of a call that somebody else took. Sequence of
// its event is the revision: the latest counts.
type Told struct {
	Outcome     Outcome // "" when not known
	RingSeconds int64   // how long it rang; -1 when not given
	TalkSeconds int64   // -1 when not given
}

// CallerDetails is what the provider knows about a caller.
type CallerDetails struct{ Name, City, State, Zip, Country string }

// Truth is a boolean that may be unknown.
type Truth int8

// The three truths.
const (
	Unknown Truth = iota
	Yes
	No
)
