package callwheel

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure an error is, in words that every room and
// every door understands. The api package maps a kind to an HTTP status in one
// place; rooms never speak HTTP.
type Kind string

// The kinds of failure. An error without a kind is Internal: a fault of ours.
const (
	Internal    Kind = "internal"    // a fault of ours; details go to the log, not to the client
	NotFound    Kind = "not_found"   // no such thing in this account, whatever the form of its id
	Invalid     Kind = "invalid"     // read, but not allowed; Fields say which field and why
	Malformed   Kind = "malformed"   // cannot be read at all
	Conflict    Kind = "conflict"    // contradicts what is already there
	Stale       Kind = "stale"       // the caller edited an older version (If-Match)
	Forbidden   Kind = "forbidden"   // this role may not do that
	Exhausted   Kind = "exhausted"   // none left (a number pool, a quota)
	Unavailable Kind = "unavailable" // something we depend on is away; try again later
)

// FieldError names one field that was refused and why, in words for a person.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a failure with a kind, a sentence for a person, and where it helps
// the fields concerned. It may wrap the cause.
type Error struct {
	Kind    Kind
	Message string
	Fields  []FieldError
	Err     error

	told bool // Message says already what Err says
}

// Error returns the sentence, the fields and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Field, f.Message)
	}
	if e.Err != nil && !e.told {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of the given kind. Like fmt.Errorf it understands %w,
// also several; the text of a cause stands in the sentence, once.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: kind, Message: err.Error(), Err: errors.Unwrap(err), told: true}
	if _, several := err.(interface{ Unwrap() []error }); several { //nolint:errorlint // the wrapper itself is asked
		e.Err = err
	}
	return e
}

// InvalidField makes an Invalid error about one field.
func InvalidField(field, format string, args ...any) error {
	return &Error{
		Kind:    Invalid,
		Message: "the request was understood but is not allowed",
		Fields:  []FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}},
	}
}

// InvalidFields makes an Invalid error about several fields, or nil when there
// are none, so that a validator can collect and return.
func InvalidFields(fields []FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Message: "the request was understood but is not allowed", Fields: fields}
}

// KindOf returns the kind of err: of the first *Error in its chain, Internal
// for any other error, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
