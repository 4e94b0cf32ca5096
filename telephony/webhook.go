package telephony

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The bounds of a provider's request: what is kept without a caller waiting, and
// what a caller may bring along.
const (
	maxBody     = 64 << 10
	maxLiveBody = 1 << 20
)

// Webhook is the provider's door: /webhooks/{provider}/{door}. The signature is
// the only credential.
type webhook struct {
	s *Switchboard
}

// NewWebhook returns the handler of every path below /webhooks/.
//
// A request that the provider did not sign is refused and changes nothing. Once
// it is signed, a live call is answered 200 with something to do, by whatever
// method and in whatever shape it was asked; the package's documentation says
// what counts as signed. Other events are answered 204 when they are on disk, and
// 503 when neither the database nor the spool takes them.
func NewWebhook(s *Switchboard) http.Handler { return &webhook{s} }

// doors are the paths that exist; the others are ours alone.
var doors = map[Door]bool{
	DoorVoice: true, DoorStatus: true, DoorNext: true, DoorWhisper: true, DoorKeys: true, DoorVoicemail: true,
	DoorLeg: true, DoorRecording: true, DoorTranscription: true, DoorMessage: true, DoorMessageStatus: true,
}

// refusal is a request that is not taken, and why.
type refusal struct {
	status int
	reason string // counted
	detail string
}

// slugs are the types of problems by status, in the words of every door.
var slugs = map[int]string{
	http.StatusNotFound: "not-found", http.StatusMethodNotAllowed: "method-not-allowed", http.StatusUnsupportedMediaType: "unsupported-media-type",
	http.StatusRequestEntityTooLarge: "too-large", http.StatusBadRequest: "malformed", http.StatusForbidden: "forbidden",
	http.StatusServiceUnavailable: "unavailable",
}

var (
	refuseUnknown   = &refusal{http.StatusNotFound, "unknown_door", "no such door"}
	refuseMethod    = &refusal{http.StatusMethodNotAllowed, "method", "only POST is answered here"}
	refuseType      = &refusal{http.StatusUnsupportedMediaType, "content_type", "only forms are read here"}
	refuseSize      = &refusal{http.StatusRequestEntityTooLarge, "too_large", "the request is too large"}
	refuseBody      = &refusal{http.StatusBadRequest, "unreadable", "the request ended before its end"}
	refuseUnsigned  = &refusal{http.StatusForbidden, "unsigned", "the signature was not accepted"}
	refuseManySigns = &refusal{http.StatusForbidden, "many_signatures", "the signature was not accepted"}
	refuseSignature = &refusal{http.StatusForbidden, "signature", "the signature was not accepted"}
	refuseFull      = &refusal{http.StatusServiceUnavailable, "not_kept", "the event cannot be kept at the moment"}
)

// ServeHTTP verifies, then answers.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, req, no := h.read(w, r)
	if no != nil {
		h.refuse(w, no)
		return
	}
	secret, req, no := h.verify(r.Context(), p, req)
	if no != nil {
		no = unheard(req, no)
		h.s.deps.Log.WarnContext(r.Context(), "provider request refused", "provider", providerOf(r), "door", string(req.Door), "reason", no.reason)
		h.refuse(w, no)
		return
	}
	switch {
	case req.Door.Live():
		body, contentType := h.s.Answer(r.Context(), p, secret, req)
		document(w, body, contentType)
	case h.s.Take(r.Context(), p, secret, req) != nil:
		h.refuse(w, refuseFull)
	case req.Door == DoorMessage:
		body, contentType, err := safeRender(p, nil)
		if err != nil {
			body, contentType = nil, "text/xml"
		}
		document(w, body, contentType)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// unheard says why a request that was not signed is refused: for what is refused
// wherever nobody waits, else for the signature. A GET that says it is signed is
// refused for its signature, as numbers can be set up with GET.
func unheard(req Request, no *refusal) *refusal {
	switch {
	case strings.HasSuffix(path(req.Target), "/"):
		return refuseUnknown
	case req.Method == http.MethodGet && no != refuseUnsigned:
		return no
	case req.Method != http.MethodPost:
		return refuseMethod
	case !IsForm(req.ContentType):
		return refuseType
	case len(req.Body) > maxBody:
		return refuseSize
	}
	return no
}

// providerOf is the provider's name in the path.
func providerOf(r *http.Request) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/webhooks/"), "/")
	return name
}

func path(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}

// read takes the request in as it came: the raw target and the raw body are
// what was signed.
func (h *webhook) read(w http.ResponseWriter, r *http.Request) (Provider, Request, *refusal) {
	// On a live door the signature decides: a caller is on the line of a signed
	// request, whatever its method, its type, its size within reason, and a final
	// slash.
	name := providerOf(r)
	door := strings.TrimPrefix(r.URL.EscapedPath(), "/webhooks/"+name+"/")
	if bare := strings.TrimSuffix(door, "/"); Door(bare).Live() {
		door = bare
	}
	p, ok := h.s.deps.Providers[name]
	if !ok || !doors[Door(door)] || !strings.HasPrefix(r.URL.EscapedPath(), "/webhooks/") {
		return nil, Request{}, refuseUnknown
	}
	req := Request{
		Door: Door(door), Method: r.Method, Target: target(r), ContentType: r.Header.Get("Content-Type"),
		Signatures: r.Header.Values("X-" + name + "-Signature"), ReceivedAt: h.s.deps.Now(),
	}
	most := int64(maxBody)
	switch {
	case req.Door.Live():
		most = maxLiveBody
	case r.Method != http.MethodPost:
		return nil, Request{}, refuseMethod
	case !IsForm(req.ContentType):
		return nil, Request{}, refuseType
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return p, req, nil // what a body would say there means nothing
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, Request{}, refuseSize
	}
	if err != nil {
		return nil, Request{}, refuseBody
	}
	req.Body = body
	return p, req, nil
}

// IsForm says whether a content type names a form. Its parameters do not matter,
// and a request without any type is read as a form, which is what providers send.
func IsForm(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return media == "" || strings.EqualFold(media, "application/x-www-form-urlencoded")
}

// target is the request line's target, byte for byte. Requests made in a test
// without a socket may not have one.
func target(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// verify asks the provider's language whether the request is genuine, and
// returns it as far as it is.
//
// A caller is not turned away for a body that the signature does not cover where
// the rest of the request is signed: such a body, which is no form, is dropped
// unread. (A form is always covered, or else somebody has changed it.)
func (h *webhook) verify(ctx context.Context, p Provider, req Request) (Secret, Request, *refusal) {
	switch {
	case len(req.Signatures) == 0 || len(req.Signatures) == 1 && req.Signatures[0] == "":
		return Secret{}, req, refuseUnsigned
	case len(req.Signatures) > 1:
		return Secret{}, req, refuseManySigns
	}
	secret, err := safeVerify(p, req, h.s.cfg.PublicURL, h.s.deps.Secrets)
	if err == nil {
		return secret, req, nil
	}
	if !req.Door.Live() || len(req.Body) == 0 || IsForm(req.ContentType) {
		return Secret{}, req, refuseSignature
	}
	bare := req
	bare.Body = nil
	secret, err = safeVerify(p, bare, h.s.cfg.PublicURL, h.s.deps.Secrets)
	if err != nil {
		return Secret{}, req, refuseSignature
	}
	h.s.deps.Log.WarnContext(ctx, "body of a provider request dropped: it was not signed", "door", string(req.Door), "content_type", req.ContentType, "bytes", len(req.Body))
	return secret, bare, nil
}

// safeVerify takes a verifier that panics for one that refuses.
func safeVerify(p Provider, req Request, base string, secrets func() []Secret) (secret Secret, err error) {
	defer func() {
		if recover() != nil {
			secret, err = Secret{}, ErrSignature
		}
	}()
	return p.Verify(req, base, secrets())
}

// document writes an answer whole. With its length known Go does not send it in
// chunks, which providers have refused.
func document(w http.ResponseWriter, body []byte, contentType string) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	w.Write(body) //nolint:errcheck // the provider has gone; nothing to do
}

func (h *webhook) refuse(w http.ResponseWriter, no *refusal) {
	h.s.metrics.refused.WithLabelValues(no.reason).Inc()
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	switch no {
	case refuseMethod:
		header.Set("Allow", http.MethodPost)
	case refuseFull:
		header.Set("Retry-After", "5")
	}
	// Why a signature was not accepted stands in our log: a stranger who tries
	// signatures learns nothing from the answer.
	problem := map[string]any{"type": slugs[no.status], "title": http.StatusText(no.status), "status": no.status, "detail": no.detail}
	// The doors around this one have numbered the request.
	if id := header.Get("X-Request-Id"); id != "" && no.status != http.StatusNotFound {
		problem["request_id"] = id
	}
	body, _ := json.Marshal(problem) //nolint:errcheck // plain data
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(no.status)
	w.Write(body) //nolint:errcheck // the other side has gone
}
