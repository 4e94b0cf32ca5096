package loopback

import (
	"time"

	"github.com/callwheel/callwheel/telephony"
)

// CallScript is what one caller does, and what the phones they reach do. The
// server under test decides which phones those are.
type CallScript struct {
	From, To   string    // raw, as the network writes them; To is a number that was added
	At         time.Time // when the call reaches the network
	CallerName string    // CNAM; "" is not sent
	FromPlace  Place
	ToPlace    Place
	Verstat    string            // StirVerstat of the first request; "" is not sent
	Extra      map[string]string // further parameters of the caller's leg: ForwardedFrom, unknown names

	// Phone says what a phone does that the server lets ring: attempt counts
	// the phones of this call from 1. Nil means that nobody answers anywhere.
	Phone func(number string, attempt int) Phone

	// Patience is how long after At the caller hangs up while nobody has been
	// bridged and no message is being left. 0: they wait for whatever comes.
	Patience time.Duration
	// Keys are pressed at the Gathers that the caller hears, one after another.
	Keys []string
	// Voicemail is how long a message the caller leaves when asked; with 0 they
	// hang up at the beep. VoicemailKey ends the message in place of hanging up.
	Voicemail    time.Duration
	VoicemailKey string
	// Message is what the message says, when the server wants a transcript.
	Message string

	// OnEnd is called once, when the caller's leg has ended and the truth about
	// the call is known. It may schedule what follows, such as an agent's work.
	OnEnd func(*PlacedCall)

	// Ref is carried along untouched, for whoever wrote the script.
	Ref any
}

// Place is what a network believes about where a number is at home.
type Place struct{ City, State, Zip, Country string }

// Party is one end of a conversation.
type Party string

// The parties.
const (
	CallerParty Party = "caller"
	AgentParty  Party = "agent"
)

// Phone is what one business phone does when it rings. The zero value rings
// until the network gives up.
type Phone struct {
	Answers bool
	Busy    bool // refuses with the busy signal
	Fails   bool // cannot be reached at all
	// After is from the first ring to picking up; for Busy and Fails from
	// dialling to the refusal, 2 s when zero.
	After time.Duration
	// PressKey is pressed 1 s after a whisper has asked for a key; "" presses
	// none, as the voicemail of a mobile phone does.
	PressKey string
	// Talk is the length of the conversation, from the bridge to its end.
	Talk time.Duration
	// HangsUpFirst says who ends the conversation; the caller when empty.
	HangsUpFirst Party
}

// PlacedCall is the truth about one call: what really happened on the network,
// whatever the server was told of it.
type PlacedCall struct {
	Script CallScript
	SID    string

	// Outcome is final when Done. Answered means bridged; a message counts as
	// voicemail from 3 s; a rejected call is blocked.
	Outcome telephony.Outcome
	Done    bool

	StartedAt  time.Time
	AnsweredAt time.Time // of the bridge; zero when there was none
	EndedAt    time.Time

	AnsweredBy       string // the number that was bridged
	TalkSeconds      int64  // of the bridged leg, whisper included, as the provider counts it
	VoicemailSeconds int64
	DurationSeconds  int64            // of the caller's leg, as the provider counts it
	Status           telephony.Status // of the caller's leg

	Legs       []*PlacedLeg
	Recordings []string // SIDs of recordings that exist at the provider
	Documents  []Document

	// Warnings are what the provider's debugger would show: rejected answers,
	// unknown attributes, lost callbacks, and a repeated voice request that got
	// another answer than the first.
	Warnings []string
	// Dropped counts callbacks that chaos lost; Lost those that the server
	// refused for good.
	Dropped, Lost int
}

// PlacedLeg is the truth about one business phone that rang.
type PlacedLeg struct {
	SID         string
	Number      string
	Status      telephony.Status
	InitiatedAt time.Time
	RingingAt   time.Time
	AnsweredAt  time.Time
	EndedAt     time.Time
	Bridged     bool
	Seconds     int64 // from its answer to its end
}

// Document is one TwiML answer that the network played.
type Document struct {
	At   time.Time
	URL  string // that was asked, as configured
	Body string
}

// Exchange is one attempt of one request.
type Exchange struct {
	CallSID   string // of the caller's leg
	At        time.Time
	URL       string // as configured, fragment included
	Params    map[string]string
	Signature string
	Token     string // I-Twilio-Idempotency-Token
	Attempt   int    // from 1; above 1 is a retry, or a doubled request
	Live      bool   // asks for TwiML
	Status    int    // of the answer; 0 when there was none
	Body      string
	Err       error
}
