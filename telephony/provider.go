package telephony

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrSignature is returned by Provider.Verify for a request that the provider
// did not sign with any of the secrets. The text says why, for the log only.
var ErrSignature = errors.New("signature not accepted")

// Secret is one provider account whose signatures are believed. Several tokens
// are accepted while one is being rotated.
type Secret struct {
	AccountRef string   // the provider's account id
	AccountID  string   // ours when the account brought its own; "" for the installation's
	Tokens     []string // current first
}

// Provider is the language of one telephony provider: how its requests are
// believed, read and answered. Implementations are pure: no clock, no network,
// no database. Two exist: twilio, and whatever the tests need.
type Provider interface {
	// Name is the provider's word in paths and rows: "twilio".
	Name() string
	// Verify checks the request against the secrets and returns the one that
	// signed it, or an error that wraps ErrSignature. base is the public URL
	// that the provider was given; the signed URL is base plus Request.Target.
	Verify(r Request, base string, secrets []Secret) (Secret, error)
	// Parse reads the request into an event. It never refuses: what cannot be
	// read stays zero and is flagged, for a caller may be on the line.
	Parse(r Request) Event
	// Render writes the instructions in the provider's language. An empty list
	// is an empty document (nothing more to do), valid in the language.
	Render(list []Instruction) (body []byte, contentType string, err error)
}

// CarrierNumber is a number at the provider: offered, or owned.
type CarrierNumber struct {
	Ref         string // the provider's id of an owned number, "" when only offered
	Number      string // E.164
	City        string
	Region      string
	Country     string
	VoiceURL    string
	FallbackURL string
	StatusURL   string
	// Overridden names a setting at the provider that silently wins over the
	// voice URL (an application or a trunk), "" for none.
	Overridden string
}

// CarrierSearch asks for numbers to buy.
type CarrierSearch struct {
	Country  string // ISO 3166 two letters
	AreaCode string
	Contains string
	Kind     string // local, toll_free, mobile
	Limit    int
}

// NumberSettings is what a number of ours is told to do at the provider.
type NumberSettings struct{ VoiceURL, FallbackURL, StatusURL string }

// CarrierCall is the provider's own record of one leg.
type CarrierCall struct {
	Ref, ParentRef string
	From, To       string
	Direction      string
	Status         Status
	StartedAt      time.Time
	EndedAt        time.Time
	Seconds        int64 // -1 when the provider has none
}

// Carrier is the provider's REST API: numbers, the call list, media. Every
// method honours the context's deadline. Errors carry a kind: NotFound,
// Conflict (the number is gone), Unavailable (429, 5xx, timeouts: for a
// purchase the outcome is then unknown and must be looked up before trying
// again), Forbidden (credentials).
type Carrier interface {
	Search(ctx context.Context, q CarrierSearch) ([]CarrierNumber, error)
	Buy(ctx context.Context, number string, s NumberSettings) (CarrierNumber, error)
	Owned(ctx context.Context, number string) ([]CarrierNumber, error) // all when number is ""
	Configure(ctx context.Context, ref string, s NumberSettings) error
	Release(ctx context.Context, ref string) error

	Call(ctx context.Context, ref string) (CarrierCall, error)
	Legs(ctx context.Context, parentRef string) ([]CarrierCall, error)
	Calls(ctx context.Context, from, until time.Time) ([]CarrierCall, error)

	// Media opens a finished recording. It refuses, with kind Invalid, any URL
	// that does not have the provider's own host and path shape.
	Media(ctx context.Context, url string) (body io.ReadCloser, contentType string, err error)
	DeleteRecording(ctx context.Context, ref string) error
}
