package telephony

// Instruction is one thing to tell the network to do with a live call. An
// adapter renders a list of them into its provider's language. URLs are
// absolute. The list is short: what a call needs, not what a provider offers.
type Instruction interface{ instruction() }

// Say speaks a text to whoever is on the line.
type Say struct {
	Text     string
	Language string // BCP 47, "" for the provider's default
}

// Dial rings one or several phones together and bridges the first that
// answers. When it ends, ActionURL is asked what comes next.
type Dial struct {
	Targets        []Target
	TimeoutSecs    int
	CallerID       string // "" shows the caller's own number
	AnswerOnBridge bool   // the caller hears real ringing and is billed from the bridge; only when Dial comes first
	Record         bool   // from answer, in two channels
	RecordingURL   string // where to tell that a recording is ready
	ActionURL      string
}

// Target is one phone of a Dial.
type Target struct {
	Number     string // E.164
	WhisperURL string // asked when it answers, before the bridge; "" for none
	StatusURL  string // told of every state of this leg
}

// Record takes a voicemail.
type Record struct {
	ActionURL    string
	RecordingURL string
	MaxSeconds   int
}

// Gather asks for keys: Prompt is spoken while it waits.
type Gather struct {
	Prompt      string
	Language    string
	NumDigits   int
	TimeoutSecs int
	ActionURL   string
}

// Reject refuses the call without answering it (and without cost).
type Reject struct{ Busy bool }

// Hangup ends the leg that asked.
type Hangup struct{}

// Pause waits in silence.
type Pause struct{ Seconds int }

func (Say) instruction()    {}
func (Dial) instruction()   {}
func (Record) instruction() {}
func (Gather) instruction() {}
func (Reject) instruction() {}
func (Hangup) instruction() {}
func (Pause) instruction()  {}
