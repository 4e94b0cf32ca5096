package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
)

// problem is an error as the outside sees it (RFC 9457).
type problem struct {
	Type      string                 `json:"type" doc:"A stable slug that names the kind of error"`
	Title     string                 `json:"title"`
	Status    int                    `json:"status"`
	Detail    string                 `json:"detail,omitempty" doc:"What was wrong, for a person"`
	RequestID string                 `json:"request_id,omitempty" doc:"Quote it when asking for help; absent on 404, whose bytes are the same for every unknown id"`
	Errors    []callwheel.FieldError `json:"errors,omitempty" doc:"The fields that were refused"`

	header http.Header // sent beside the body
}

// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus lets huma send the problem with its status.
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders lets huma send the problem's headers.
func (p *problem) GetHeaders() http.Header { return p.header }

// ContentType lets huma send the problem under its own media type.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// slugs names each status that has no better name.
var slugs = map[int]string{
	http.StatusBadRequest:                   "malformed",
	http.StatusUnauthorized:                 "unauthorized",
	http.StatusForbidden:                    "forbidden",
	http.StatusNotFound:                     "not-found",
	http.StatusMethodNotAllowed:             "method-not-allowed",
	http.StatusNotAcceptable:                "not-acceptable",
	http.StatusRequestTimeout:               "timeout",
	http.StatusConflict:                     "conflict",
	http.StatusPreconditionFailed:           "stale",
	http.StatusRequestEntityTooLarge:        "too-large",
	http.StatusUnsupportedMediaType:         "unsupported-media-type",
	http.StatusRequestedRangeNotSatisfiable: "range-not-satisfiable",
	http.StatusUnprocessableEntity:          "invalid",
	http.StatusTooManyRequests:              "too-many-requests",
	http.StatusInternalServerError:          "internal",
	http.StatusServiceUnavailable:           "unavailable",
	http.StatusGatewayTimeout:               "took-too-long",
}

// statuses is the one place where a kind becomes an HTTP status.
var statuses = map[callwheel.Kind]int{
	callwheel.Malformed:   http.StatusBadRequest,
	callwheel.Invalid:     http.StatusUnprocessableEntity,
	callwheel.NotFound:    http.StatusNotFound,
	callwheel.Conflict:    http.StatusConflict,
	callwheel.Stale:       http.StatusPreconditionFailed,
	callwheel.Forbidden:   http.StatusForbidden,
	callwheel.Exhausted:   http.StatusConflict,
	callwheel.Unavailable: http.StatusServiceUnavailable,
	callwheel.Internal:    http.StatusInternalServerError,
}

// newProblem makes a problem. slug "" takes the status's own.
func newProblem(status int, slug, detail string) *problem {
	if slug == "" {
		slug = slugs[status]
	}
	if slug == "" {
		slug = "error-" + strconv.Itoa(status)
	}
	return &problem{Type: slug, Title: http.StatusText(status), Status: status, Detail: detail}
}

// problemOf turns any error into what the outside may know of it.
func problemOf(ctx context.Context, err error) *problem {
	var p *problem
	var he *echo.HTTPError
	var ke *callwheel.Error
	switch {
	case errors.As(err, &p):
		p = p.copy()
	case errors.As(err, &he):
		p = newProblem(he.Code, "", "")
	case errors.As(err, &ke):
		p = ofKind(ke)
	default:
		p = ofKind(&callwheel.Error{Kind: callwheel.Internal})
	}
	return p.finish(ctx)
}

func ofKind(e *callwheel.Error) *problem {
	status, ok := statuses[e.Kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	slug := ""
	if e.Kind == callwheel.Exhausted {
		slug = "exhausted"
	}
	p := newProblem(status, slug, e.Message)
	p.Errors = e.Fields
	return p
}

func (p *problem) copy() *problem {
	c := *p
	c.header = p.header.Clone()
	return &c
}

// finish makes the problem fit to be sent: what must not differ does not, what
// must not be told is not.
func (p *problem) finish(ctx context.Context) *problem {
	if p.Status == http.StatusNotFound {
		return &problem{Type: slugs[p.Status], Title: http.StatusText(p.Status), Status: p.Status, Detail: "there is nothing here by that name", header: p.header}
	}
	p.RequestID = requestID(ctx)
	switch p.Status {
	case http.StatusInternalServerError:
		p.Detail, p.Errors = "something went wrong on our side; the request id finds it in the log", nil
	case http.StatusServiceUnavailable:
		p.Detail = "a part that this needs is away for the moment"
		p.set("Retry-After", "2")
	case http.StatusUnauthorized:
		p.set("WWW-Authenticate", `Bearer realm="callwheel"`)
	}
	return p
}

func (p *problem) set(name, value string) {
	if p.header == nil {
		p.header = http.Header{}
	}
	if p.header.Get(name) == "" {
		p.header.Set(name, value)
	}
}

// huma keeps its error constructors and some rules in package variables; they
// are set once, before anything is served.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return humaProblem(context.Background(), status, msg, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return humaProblem(ctx.Context(), status, msg, errs)
	}
}

func humaProblem(ctx context.Context, status int, msg string, errs []error) huma.StatusError {
	p := newProblem(status, "", sentence(status, msg))
	for _, err := range errs {
		if err != nil {
			p.Errors = append(p.Errors, fieldErrors(err)...)
		}
	}
	return p.finish(ctx)
}

func sentence(status int, msg string) string {
	if status == http.StatusUnprocessableEntity {
		return invalidSentence
	}
	return msg
}

// invalidSentence is what every Invalid error of a room begins with.
var invalidSentence = callwheel.InvalidFields([]callwheel.FieldError{{}}).(*callwheel.Error).Message //nolint:errorlint // just made

// fieldErrors turns one of huma's findings into fields, without the value that
// huma would add: a value may be a secret or somebody's phone number.
func fieldErrors(err error) []callwheel.FieldError {
	var ke *callwheel.Error
	if errors.As(err, &ke) && len(ke.Fields) > 0 {
		return ke.Fields
	}
	var d *huma.ErrorDetail
	if !errors.As(err, &d) {
		return []callwheel.FieldError{{Field: "", Message: err.Error()}}
	}
	field := d.Location
	for _, place := range []string{"body.", "query.", "path.", "header."} {
		field = strings.TrimPrefix(field, place)
	}
	if name, ok := between(d.Message, "expected required property ", " to be present"); ok {
		return []callwheel.FieldError{{Field: join(field, name), Message: "is required"}}
	}
	// A type of ours refused a value while the JSON was decoded.
	if rest, ok := strings.CutPrefix(d.Message, invalidSentence+"; "); ok {
		name, message, _ := strings.Cut(rest, ": ")
		return []callwheel.FieldError{{Field: join(field, name), Message: message}}
	}
	return []callwheel.FieldError{{Field: field, Message: forPeople(d.Message)}}
}

// inOurWords is what we say for what huma says.
var inOurWords = map[string]string{
	"expected string to be RFC 3339 date":      "must be a date such as 2026-01-31",
	"expected string to be RFC 3339 date-time": "must be an instant such as 2026-01-31T09:00:00Z",
	"expected boolean":                         "must be true or false",
	"expected integer":                         "must be a whole number",
	"expected number":                          "must be a number",
	"expected string":                          "must be a text",
	"expected array":                           "must be a list",
	"expected object":                          "must be an object",
	"invalid boolean":                          "must be true or false",
	"invalid integer":                          "must be a whole number",
	"invalid float":                            "must be a number",
	"unexpected property":                      "is not a field of this",
}

// ourBeginnings is the same of messages that go on with a figure or with words,
// and what stands behind those.
var ourBeginnings = []struct{ theirs, ours, unit string }{
	{"expected string to be ", "must be ", ""},
	{"expected value to be ", "must be ", ""},
	{"expected number >= ", "must be at least ", ""},
	{"expected number <= ", "must be at most ", ""},
	{"expected number > ", "must be above ", ""},
	{"expected number < ", "must be below ", ""},
	{"expected length <= ", "must have at most ", " characters"},
	{"expected length >= ", "must have at least ", " characters"},
	{"expected array length <= ", "must have at most ", " items"},
	{"expected array length >= ", "must have at least ", " items"},
}

// forPeople says what huma found in words for a person.
func forPeople(message string) string {
	if ours, ok := inOurWords[message]; ok {
		return ours
	}
	for _, begin := range []string{"json: ", "parsing time", "invalid date/time"} {
		if strings.HasPrefix(message, begin) { // Go's words, layouts and types
			return "cannot be read as what it should be"
		}
	}
	for _, b := range ourBeginnings {
		if rest, ok := strings.CutPrefix(message, b.theirs); ok {
			return b.ours + plain(rest) + b.unit
		}
	}
	return message
}

// plain writes a bound as people do (1000000, not 1e+06), and a list of words
// without quotes around it.
func plain(text string) string {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	if words, ok := between(text, `one of "`, `"`); ok {
		return "one of " + words
	}
	return text
}

func between(s, before, after string) (string, bool) {
	rest, ok := strings.CutPrefix(s, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, after)
}

func join(place, name string) string {
	if place == "" || place == "body" {
		return name
	}
	return place + "." + name
}

// badCursor is what a cursor that is not ours gets.
func badCursor() error {
	p := newProblem(http.StatusBadRequest, "bad-cursor", "the cursor is not one that this list gave")
	p.Errors = []callwheel.FieldError{{Field: "cursor", Message: "is not valid"}}
	return p
}

// writeProblem sends an error from outside huma's operations.
func (s *Server) writeProblem(c echo.Context, err error) {
	if c.Response().Committed {
		return
	}
	p := problemOf(c.Request().Context(), err)
	s.logProblem(c.Request().Context(), p, err)
	for name, values := range p.header {
		c.Response().Header()[name] = values
	}
	body, _ := marshal(p)                              //nolint:errcheck // plain fields
	c.Blob(p.Status, "application/problem+json", body) //nolint:errcheck // the client is gone
}

// logProblem writes the cause of a failure of ours, once, where it is answered.
func (s *Server) logProblem(ctx context.Context, p *problem, err error) {
	if p.Status < 500 {
		return
	}
	s.log.ErrorContext(ctx, "request failed", "request_id", requestID(ctx), "status", p.Status, "error", err)
}
