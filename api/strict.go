package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel"
)

// The limits of a request body.
const (
	maxBody  = 256 << 10
	maxDepth = 32
)

// malformed is an error for what cannot be read at all.
func malformed(format string, args ...any) error {
	return callwheel.Errorf(callwheel.Malformed, format, args...)
}

// readBody reads the body of a request for an operation and checks what no
// later layer would: encoding/json takes the last of two equal keys, replaces
// broken UTF-8 and lone surrogates, and lets NUL through, which SQLite keeps
// and PostgreSQL refuses.
func readBody(r *http.Request, o op) ([]byte, error) {
	body, err := readAll(r, o.MaxBody)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	if err := checkContentType(r.Header.Values("Content-Type"), o); err != nil {
		return nil, err
	}
	if o.CSV && mediaType(r.Header.Get("Content-Type")) == "text/csv" {
		if bytes.IndexByte(body, 0) >= 0 {
			return nil, malformed("the body holds a NUL character")
		}
		return body, nil
	}
	return body, checkJSON(body)
}

// readAll reads a body of UTF-8 text up to a limit; 0 is the usual one.
func readAll(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if limit == 0 {
		limit = maxBody
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, malformed("the body ended early or came too slowly")
	}
	if int64(len(body)) > limit {
		return nil, newProblem(http.StatusRequestEntityTooLarge, "", "the body is too large")
	}
	if encoding := r.Header.Get("Content-Encoding"); len(body) > 0 && encoding != "" && encoding != "identity" {
		return nil, newProblem(http.StatusUnsupportedMediaType, "", "bodies are not compressed")
	}
	if !utf8.Valid(body) {
		return nil, malformed("the body is not valid UTF-8")
	}
	return body, nil
}

func checkContentType(values []string, o op) error {
	refused := newProblem(http.StatusUnsupportedMediaType, "", "the body must be application/json in UTF-8")
	if len(values) != 1 {
		return refused
	}
	kind, params, _ := strings.Cut(strings.ToLower(values[0]), ";")
	kind = strings.TrimSpace(kind)
	if kind != "application/json" && (!o.CSV || kind != "text/csv") {
		return refused
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if name == "charset" && strings.Trim(value, `"`) != "utf-8" {
			return refused
		}
	}
	return nil
}

// checkJSON accepts exactly one JSON object.
func checkJSON(body []byte) error {
	if err := checkEscapes(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return malformed("the body is not a JSON object")
	}
	if err := checkObject(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("something follows the JSON object")
	}
	return nil
}

// checkValue reads one value whose first token is t.
func checkValue(d *json.Decoder, t json.Token, depth int) error {
	switch t {
	case json.Delim('{'):
		return checkObject(d, depth+1)
	case json.Delim('['):
		return checkArray(d, depth+1)
	}
	return nil
}

func checkObject(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return malformed("the JSON is nested too deeply")
	}
	seen := map[string]bool{}
	for {
		key, err := d.Token()
		if err != nil {
			return malformed("the body is not JSON")
		}
		if key == json.Delim('}') {
			return nil
		}
		name := key.(string) //nolint:errcheck,forcetypeassert // in an object the decoder gives a string or }
		if seen[name] {
			return malformed("a key appears twice in one JSON object")
		}
		seen[name] = true
		value, err := d.Token()
		if err != nil {
			return malformed("the body is not JSON")
		}
		if err := checkValue(d, value, depth); err != nil {
			return err
		}
	}
}

func checkArray(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return malformed("the JSON is nested too deeply")
	}
	for {
		t, err := d.Token()
		if err != nil {
			return malformed("the body is not JSON")
		}
		if t == json.Delim(']') {
			return nil
		}
		if err := checkValue(d, t, depth); err != nil {
			return err
		}
	}
}

// checkEscapes refuses \u0000 and surrogates that are not a pair. A backslash
// occurs in JSON only inside strings, so no other state is needed.
func checkEscapes(body []byte) error {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++
		if i >= len(body) || body[i] != 'u' {
			continue
		}
		unit, ok := hexUnit(body, i+1)
		if !ok {
			return malformed("the body is not JSON")
		}
		i += 4
		switch {
		case unit == 0:
			return malformed("a text holds a NUL character")
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return malformed("a text holds half a surrogate pair")
		case unit >= 0xD800 && unit <= 0xDBFF:
			low, ok := hexUnit(body, i+3)
			if !ok || body[i+1] != '\\' || body[i+2] != 'u' || low < 0xDC00 || low > 0xDFFF {
				return malformed("a text holds half a surrogate pair")
			}
			i += 6
		}
	}
	return nil
}

// hexUnit reads four hexadecimal digits.
func hexUnit(body []byte, from int) (rune, bool) {
	if from+4 > len(body) {
		return 0, false
	}
	var unit rune
	for _, b := range body[from : from+4] {
		digit := strings.IndexByte("0123456789abcdef", b|0x20)
		if digit < 0 || b < '0' {
			return 0, false
		}
		unit = unit<<4 | rune(digit)
	}
	return unit, true
}

// checkQuery refuses a query that cannot be read (400), a parameter given twice
// (400) and one that the operation does not have (422).
func checkQuery(u *url.URL, o *operation) error {
	if len(u.RawQuery) > 8<<10 {
		return newProblem(http.StatusRequestURITooLong, "too-long", "the query is too long")
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return malformed("the query cannot be read")
	}
	var unknown []callwheel.FieldError
	for name, list := range values {
		if len(list) > 1 {
			return malformed("a query parameter was given twice")
		}
		if !isText(name) || !isText(list[0]) {
			return malformed("the query holds a NUL character or broken UTF-8")
		}
		if !slices.Contains(o.query, name) {
			unknown = append(unknown, callwheel.FieldError{Field: clip(name), Message: "is not a parameter of this"})
		}
	}
	slices.SortFunc(unknown, func(a, b callwheel.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return callwheel.InvalidFields(unknown)
}

// isText says whether both databases keep s as it is.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// checkNulls refuses null where a value is meant. huma takes null for an
// optional field as if the field were absent, so a change would be answered
// with 200 and not made.
func (s *Server) checkNulls(o *operation, body []byte) error {
	if o.body == nil || !bytes.Contains(body, []byte("null")) {
		return nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return nil //nolint:nilerr // huma names the place
	}
	return callwheel.InvalidFields(s.nulls(o.body, v, ""))
}

func (s *Server) nulls(schema *huma.Schema, v any, place string) []callwheel.FieldError {
	for schema != nil && schema.Ref != "" {
		schema = s.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	if schema == nil {
		return nil
	}
	var bad []callwheel.FieldError
	switch v := v.(type) {
	case nil:
		if schema.Type != "" && !schema.Nullable {
			bad = append(bad, callwheel.FieldError{Field: place, Message: "must not be null"})
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			bad = append(bad, s.nulls(schema.Properties[name], v[name], strings.TrimPrefix(place+"."+name, "."))...)
		}
	case []any:
		for i, item := range v {
			bad = append(bad, s.nulls(schema.Items, item, place+"["+strconv.Itoa(i)+"]")...)
		}
	}
	return bad
}
