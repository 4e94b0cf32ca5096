package telephony

import "time"

// Direction says who called whom.
type Direction string

// The directions of a call.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Status is the provider's state of a leg, in the provider-neutral words that
// happen to be Twilio's. It only ever moves forward: see Rank.
type Status string

// The states of a leg, earliest first. The last five are final.
const (
	Queued     Status = "queued"
	Initiated  Status = "initiated"
	Ringing    Status = "ringing"
	InProgress Status = "in-progress"
	Completed  Status = "completed"
	Busy       Status = "busy"
	NoAnswer   Status = "no-answer"
	Failed     Status = "failed"
	Canceled   Status = "canceled"
)

// Rank orders states: a leg never goes from a higher to a lower rank. Unknown
// words rank below everything.
func (s Status) Rank() int {
	switch s {
	case Queued:
		return 1
	case Initiated:
		return 2
	case Ringing:
		return 3
	case InProgress:
		return 4
	case Completed, Busy, NoAnswer, Failed, Canceled:
		return 5
	}
	return 0
}

// Final says whether a leg in this state has ended.
func (s Status) Final() bool { return s.Rank() == 5 }

// Outcome is what became of a call from the business's point of view. It is
// empty while that is not known.
type Outcome string

// The outcomes. All but Answered and Blocked count as missed.
const (
	Answered        Outcome = "answered"  // a person was bridged to the caller
	Voicemail       Outcome = "voicemail" // nobody answered and a message of at least 3 s was left
	Abandoned       Outcome = "abandoned" // the caller hung up before anyone answered and left no message
	OutcomeBusy     Outcome = "busy"
	OutcomeNoAnswer Outcome = "no-answer"
	OutcomeFailed   Outcome = "failed"
	Blocked         Outcome = "blocked" // refused by a rule; kept and shown
)

// Missed says whether nobody of the business spoke to the caller.
func (o Outcome) Missed() bool {
	switch o {
	case Voicemail, Abandoned, OutcomeBusy, OutcomeNoAnswer, OutcomeFailed:
		return true
	}
	return false
}

// CallerKind says what the provider's From really is. Only an E164 caller is
// an identified person; two anonymous callers are never one person.
type CallerKind string

// The kinds of caller.
const (
	CallerE164      CallerKind = "e164"
	CallerAnonymous CallerKind = "anonymous"
	CallerSIP       CallerKind = "sip"
	CallerClient    CallerKind = "client"
	CallerShort     CallerKind = "short"
	CallerInvalid   CallerKind = "invalid"
)

// Call is one conversation, or the attempt at one. The row is a fold over the
// set of its events: the same for every order of arrival and every repetition,
// see Fold. Only this room writes it. Pointers are nil while something is not
// known, and stay nil when the event that would have told never came.
type Call struct {
	AccountID      string
	ID             string
	Provider       string
	ProviderCallID string
	Direction      Direction
	Status         Status
	Outcome        Outcome
	CallerKind     CallerKind
	From           string // E.164, "" unless CallerKind is CallerE164
	FromRaw        string
	TrackingNumber string // E.164 that was dialled
	NumberID       string
	Destination    string // rung last, or the one that answered
	AnsweredBy     string // the destination that was bridged
	Hops           int64  // steps of the plan that were tried
	StartedAt      time.Time
	AnsweredAt     *time.Time
	EndedAt        *time.Time

	WaitSeconds      *int64 // started to bridge
	RingSeconds      *int64 // first ring of an agent's phone to the bridge
	TalkSeconds      *int64
	DurationSeconds  *int64 // of the caller's leg, as the provider counts it
	VoicemailSeconds *int64

	Caller   CallerDetails
	Verstat  string
	Flags    []string
	Shell    bool // known only from events other than the voice request
	Imported bool
	Events   int64
	Legs     []Leg
}

// Leg is one agent's phone that was rung for a call.
type Leg struct {
	Ref         string
	Number      string
	Status      Status
	InitiatedAt *time.Time
	RingingAt   *time.Time
	AnsweredAt  *time.Time
	EndedAt     *time.Time
	TalkSeconds *int64
	Bridged     Truth
	SIPCode     string
}
