package twilio

import "github.com/callwheel/callwheel/telephony"

// Name is Twilio's word in paths, rows and metrics.
const Name = "twilio"

// SignatureHeader is the request header that carries the signature.
const SignatureHeader = "X-Twilio-Signature"

// Provider is Twilio's language as a telephony.Provider. It is safe for
// concurrent use; one value serves every account.
type Provider struct{ keys keyRing }

var _ telephony.Provider = (*Provider)(nil)

// New returns a Provider.
func New() *Provider { return &Provider{} }

// Name returns "twilio".
func (p *Provider) Name() string { return Name }
