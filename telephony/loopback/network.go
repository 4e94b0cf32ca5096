package loopback

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Config says what the pretend network is connected to. Only PublicURL,
// AccountSID and AuthToken are required.
type Config struct {
	// PublicURL is the base URL that the server told its provider, without a
	// trailing slash: "http://127.0.0.1:8080". Default doors are below it.
	PublicURL string
	// AccountSID and AuthToken sign every request and are the credentials of
	// the REST API.
	AccountSID, AuthToken string
	// Clock is shared with the server. Nil means the machine's.
	Clock *Clock
	// HTTP lends its transport, which may lead a public name to a local port or
	// straight into a handler. Nil makes one. Redirects are never followed.
	HTTP *http.Client
	// APIURL is where recordings are said to be, https://api.twilio.com when
	// empty. Give the address under which REST is served.
	APIURL string
	// Seed fixes every random choice of the network.
	Seed uint64
	// Chaos spoils the delivery of requests; the zero value delivers all.
	Chaos Chaos
	// Scale above 1 shortens every span of time (scripts, ringing, time-outs,
	// prompts) by that factor; reported seconds are those that really passed.
	// It is for live clocks.
	Scale float64
	// FirstSID is where the counters of SIDs and idempotency tokens begin. Two
	// networks that play to one server must not share it.
	FirstSID uint64
	// ListLag keeps a new call out of the REST call list for a while, as the
	// provider's list is only eventually consistent.
	ListLag time.Duration
	// VoicePath, FallbackPath and StatusPath are the doors of numbers that
	// AddNumber registers without URLs: "/webhooks/twilio/voice", none, and
	// "/webhooks/twilio/status" when empty.
	VoicePath, FallbackPath, StatusPath string
	// Observe, when set, is shown every attempt of every request, in the order
	// of the answers, on the goroutine that runs the network.
	Observe func(Exchange)
}

// Network is a pretend phone network with its numbers, its calls and its
// provider. New makes one, Call and Schedule give it something to do, and Run,
// Step or Finish let time pass. Scripts, results and callbacks belong to the
// goroutine that runs it; Schedule, Call, AddNumber, Fault and the REST handler
// may be used from any.
type Network struct {
	config   Config
	clock    *Clock
	http     *http.Client
	agenda   *agenda
	inFlight atomic.Int64
	tokens   atomic.Uint64
	registry *registry
	faults   faults
	placed   []*PlacedCall
}

// New makes a network without numbers.
func New(config Config) *Network {
	config.PublicURL = strings.TrimSuffix(config.PublicURL, "/")
	config.APIURL = strings.TrimSuffix(orElse(config.APIURL, "https://api.twilio.com"), "/")
	config.VoicePath = orElse(config.VoicePath, "/webhooks/twilio/voice")
	config.StatusPath = orElse(config.StatusPath, "/webhooks/twilio/status")
	if config.Clock == nil {
		config.Clock = WallClock()
	}
	client := &http.Client{Transport: newTransport()}
	if config.HTTP != nil {
		client.Transport = config.HTTP.Transport
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Network{
		config:   config,
		clock:    config.Clock,
		http:     client,
		agenda:   newAgenda(),
		registry: newRegistry(config),
	}
}

// newTransport keeps connections for bursts of overlapping calls, and drops
// idle ones before any server does: a connection that dies under a request
// would look like a lost callback.
func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second}
}

// Clock is the network's clock: the one of its Config, or the machine's.
func (n *Network) Clock() *Clock { return n.clock }

// NumberURLs are the webhooks of one number at the provider. An empty Fallback
// or Status means that there is none; a number without Voice cannot be called.
type NumberURLs struct{ Voice, Fallback, Status string }

// AddNumber makes the account own a number, or changes the URLs of one that it
// owns. With zero URLs the number gets the doors of the Config. It returns the
// number's SID.
func (n *Network) AddNumber(e164 string, urls NumberURLs) string {
	if urls == (NumberURLs{}) {
		urls = n.defaultURLs()
	}
	return n.registry.own(e164, urls, n.clock.Now()).sid
}

func (n *Network) defaultURLs() NumberURLs {
	urls := NumberURLs{Voice: n.config.PublicURL + n.config.VoicePath, Status: n.config.PublicURL + n.config.StatusPath}
	if n.config.FallbackPath != "" {
		urls.Fallback = n.config.PublicURL + n.config.FallbackPath
	}
	return urls
}

// Call lets a caller dial at script.At (at once when that is zero or past) and
// returns what will become of it: read the result when Finish has returned, or
// from the script's OnEnd.
func (n *Network) Call(script CallScript) *PlacedCall {
	if script.At.IsZero() {
		script.At = n.clock.Now()
	}
	placed := &PlacedCall{Script: script}
	n.Schedule(script.At, func() {
		n.placed = append(n.placed, placed)
		newCall(n, placed).begin()
	})
	return placed
}

// Calls returns every call that has begun, in the order of beginning.
func (n *Network) Calls() []*PlacedCall { return n.placed }

// nextToken makes the value of I-Twilio-Idempotency-Token: one for a request
// and its retries.
func (n *Network) nextToken() string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", (n.config.FirstSID+n.tokens.Add(1))&0xffffffffffff)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
