package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/telephony"
)

// stampLayout is RFC 3339 in UTC with microseconds.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// stamp is an instant on the wire: RFC 3339, written in UTC with microseconds,
// read with any offset.
type stamp struct{ time.Time }

// at makes the stamp of an instant.
func at(t time.Time) stamp { return stamp{t.UTC().Truncate(time.Microsecond)} }

// atPtr makes the stamp of an instant that may not be known.
func atPtr(t *time.Time) *stamp {
	if t == nil {
		return nil
	}
	s := at(*t)
	return &s
}

// MarshalJSON writes the instant.
func (s stamp) MarshalJSON() ([]byte, error) {
	return []byte(`"` + s.UTC().Format(stampLayout) + `"`), nil
}

// UnmarshalJSON reads an instant; see UnmarshalText.
func (s *stamp) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	return s.UnmarshalText([]byte(text))
}

// UnmarshalText reads RFC 3339 of the years 1970 to 2199: beyond them lie
// typing mistakes, and what microseconds cannot hold.
func (s *stamp) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil || t.Year() < 1970 || t.Year() > 2199 {
		return callwheel.Errorf(callwheel.Invalid, "must be an instant in RFC 3339 such as 2026-11-22T10:31:00Z")
	}
	*s = at(t)
	return nil
}

// Schema describes the instant in the OpenAPI document.
func (stamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-11-22T10:31:00.000000Z"}}
}

// ptr returns the instant, nil when it was not given.
func (s *stamp) ptr() *time.Time {
	if s == nil || s.IsZero() {
		return nil
	}
	return &s.Time
}

// wireMoney is callwheel.Money as the OpenAPI document shows it.
type wireMoney struct {
	Amount   string `json:"amount" pattern:"^-?[0-9]{1,12}(\\.[0-9]{1,6})?$" patternDescription:"a plain decimal amount such as 1234.50" example:"1234.50"`
	Currency string `json:"currency" pattern:"^[A-Z]{3}$" patternDescription:"ISO 4217 code" example:"USD"`
}

// money reads the amount; what is wrong with it is listed, below the name of the
// field that holds it.
func (m wireMoney) money(field string) (callwheel.Money, []callwheel.FieldError) {
	read, err := callwheel.ParseMoney(m.Amount, m.Currency)
	if err == nil {
		return read, nil
	}
	var e *callwheel.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return read, []callwheel.FieldError{{Field: field, Message: err.Error()}}
	}
	return read, []callwheel.FieldError{{Field: field + "." + e.Fields[0].Field, Message: e.Fields[0].Message}}
}

// wireNumber is a phone number in an answer.
type wireNumber struct {
	E164     string `json:"e164" example:"+13125550171"`
	National string `json:"national" example:"(312) 555-0171"`
}

// number returns a number for the wire, nil for "".
func number(e164 string) *wireNumber {
	if e164 == "" {
		return nil
	}
	return &wireNumber{E164: e164, National: telephony.National(e164)}
}

// callerNumber is number for a caller's: masked for roles that may not see it.
func callerNumber(who account.Identity, e164 string) *wireNumber {
	if e164 == "" || who.May(account.SeeCallers) {
		return number(e164)
	}
	masked := telephony.Mask(e164)
	return &wireNumber{E164: masked, National: masked}
}

// phone reads a phone number of a request ("+13125550171") into E.164. "" stays
// "". It fails with kind Invalid, naming the field.
func phone(field, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	e164, err := telephony.ParseNumber(text, "")
	if err != nil {
		return "", callwheel.InvalidField(field, "must be a phone number in E.164, such as +13125550171")
	}
	return e164, nil
}

// optional is a field of a PATCH that may be absent, null or a value.
type optional[T any] struct {
	Present bool
	Value   *T // nil: null
}

// UnmarshalJSON notes that the field is present.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	o.Present = true
	if bytes.Equal(b, []byte("null")) {
		o.Value = nil
		return nil
	}
	o.Value = new(T)
	return json.Unmarshal(b, o.Value)
}

// Schema describes the field as a T or null.
func (optional[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	if s.Ref == "" {
		s.Nullable = true
		s.PrecomputeMessages()
		return &s
	}
	// huma takes any value for the type null; an enum of null is exact.
	null := &huma.Schema{Enum: []any{nil}}
	null.PrecomputeMessages()
	return &huma.Schema{OneOf: []*huma.Schema{&s, null}}
}

// marshal writes JSON as every answer has it: no HTML escapes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// mediaType returns the lower-case type of a Content-Type or Accept entry
// without its parameters.
func mediaType(header string) string {
	header, _, _ = strings.Cut(header, ";")
	return strings.ToLower(strings.TrimSpace(header))
}
