package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	v2010 "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
)

// session is twilio-go's HTTP client for one call of a Carrier method. Being
// made for one call, it can carry that call's context, which twilio-go has no
// place for. It sends what twilio-go's own client would, without its rules about
// secrets and query values.
type session struct {
	ctx context.Context // twilio-go has no other way to be told
	c   *Carrier
}

var _ client.BaseClient = session{}

// api returns twilio-go's endpoints for one call. The request handler is built
// here and not by twilio-go, which would read the host from the environment.
func (c *Carrier) api(ctx context.Context) *v2010.ApiService {
	return v2010.NewApiService(&client.RequestHandler{Client: session{ctx: ctx, c: c}})
}

// AccountSid returns the account whose resources are addressed.
func (s session) AccountSid() string { return s.c.accountSID }

// SetTimeout does nothing: the context and the transport keep the time.
func (s session) SetTimeout(time.Duration) {}

// SetOauth does nothing: requests carry basic credentials.
func (s session) SetOauth(client.OAuth) {}

// OAuth returns nil.
func (s session) OAuth() client.OAuth { return nil }

// SendRequest sends a form (or, for GET and DELETE, a query) and returns an
// answer of 2xx, or a *restError for any other.
func (s session) SendRequest(method, rawURL string, data url.Values, headers map[string]any, _ ...byte) (*http.Response, error) {
	var body io.Reader
	switch method {
	case http.MethodGet, http.MethodDelete:
		if len(data) > 0 {
			rawURL += "?" + data.Encode()
		}
	default:
		body = strings.NewReader(data.Encode())
	}
	req, err := http.NewRequestWithContext(s.ctx, method, rawURL, body)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		req.Header.Set(name, fmt.Sprint(value))
	}
	s.c.authorize(req)
	res, err := s.c.rest.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, readError(res)
	}
	return res, nil
}

// restError is an answer of the API that is not a success.
type restError struct {
	status, code int
	message      string
	requestID    string
	retryAfter   time.Duration
}

func (e *restError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "twilio answered %d", e.status)
	if e.code != 0 {
		fmt.Fprintf(&b, ", code %d", e.code)
	}
	if e.message != "" {
		fmt.Fprintf(&b, ": %s", e.message)
	}
	if e.retryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.retryAfter)
	}
	if e.requestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.requestID)
	}
	return b.String()
}

// readError reads an error answer, of which only the status is certain: a proxy
// answers in HTML, and some fields come as text or as numbers.
func readError(res *http.Response) *restError {
	defer discard(res)
	e := &restError{status: res.StatusCode, requestID: clean([]byte(res.Header.Get("Twilio-Request-Id")), 64, false)}
	e.retryAfter, _ = retryAfter(res.Header)
	var answer struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil || json.Unmarshal(text, &answer) != nil {
		return e
	}
	e.code, _ = strconv.Atoi(strings.Trim(string(answer.Code), `"`))
	e.message = withoutNumbers(clean([]byte(answer.Message), maxShort, false))
	return e
}

var longNumber = regexp.MustCompile(`\+?[0-9]{7,}`)

// withoutNumbers hides phone numbers: an error ends in a log.
func withoutNumbers(text string) string {
	return longNumber.ReplaceAllStringFunc(text, telephony.Mask)
}

// Twilio's error codes that say more than the HTTP status.
const (
	codeAuthenticate  = 20003
	codeNotFound      = 20404
	codeTooMany       = 20429
	codeInvalidNumber = 21421
	codeNotAvailable  = 21422
)

// failure gives an error its kind. What was not a clear answer is Unavailable:
// whether something was done is then not known.
func failure(doing string, err error) error {
	if err == nil {
		return nil
	}
	kind := callwheel.Unavailable
	var answer *restError
	if errors.As(err, &answer) {
		kind = answer.kind()
	}
	return callwheel.Errorf(kind, "%s: %w", doing, err)
}

func (e *restError) kind() callwheel.Kind {
	switch e.code {
	case codeAuthenticate:
		return callwheel.Forbidden
	case codeNotFound:
		return callwheel.NotFound
	case codeTooMany:
		return callwheel.Unavailable
	case codeInvalidNumber:
		return callwheel.Invalid
	case codeNotAvailable:
		return callwheel.Conflict
	}
	switch {
	case e.status == http.StatusUnauthorized, e.status == http.StatusForbidden:
		return callwheel.Forbidden
	case e.status == http.StatusNotFound:
		return callwheel.NotFound
	case e.status == http.StatusConflict:
		return callwheel.Conflict
	case e.status == http.StatusRequestTimeout, e.status == http.StatusTooManyRequests:
		return callwheel.Unavailable
	case e.status >= 400 && e.status < 500:
		return callwheel.Invalid
	}
	return callwheel.Unavailable
}
