package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
)

// form is one of the three forms of an answer.
type form int

const (
	asJSON form = iota
	asCSV
	asNDJSON
)

// formTypes are the media types that ask for each form.
var formTypes = map[string]form{
	"text/csv": asCSV, "application/x-ndjson": asNDJSON,
	"application/json": asJSON, "application/*": asJSON, "*/*": asJSON,
}

// wanted returns the form that the Accept header prefers among those we have,
// the first of equals; JSON when it names none.
func wanted(h http.Header) form {
	best, quality := asJSON, 0.0
	for entry := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		f, known := formTypes[mediaType(entry)]
		if q := qualityOf(entry); known && q > quality {
			best, quality = f, q
		}
	}
	return best
}

// qualityOf reads the weight of an entry of an Accept header: 1 without one, 0
// for one that cannot be read.
func qualityOf(entry string) float64 {
	_, params, _ := strings.Cut(entry, ";")
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// rawBody is an answer that has its bytes already.
type rawBody []byte

// transform gives every answer of an operation the form and the fields that
// were asked for.
func (s *Server) transform(ctx huma.Context, _ string, v any) (any, error) {
	if isProblem(v) {
		return v, nil
	}
	o := s.ops[ctx.Method()+" "+echoPath(ctx.Operation().Path)]
	if o == nil || o.fields == nil {
		return v, nil
	}
	selected := ctx.Query("fields")
	if t, ok := v.(report.Tabular); ok && wanted(http.Header{"Accept": {ctx.Header("Accept")}}) == asCSV {
		ctx.SetHeader("Content-Type", "text/csv; charset=utf-8; header=present")
		ctx.SetHeader("Content-Disposition", `attachment; filename="`+o.ID+`.csv"`)
		return reportCSV(t, selected)
	}
	kind := asJSON
	if o.list != "" {
		kind = wanted(http.Header{"Accept": {ctx.Header("Accept")}})
	}
	if kind == asJSON && selected == "" {
		return v, nil
	}
	var names []string
	if selected != "" {
		names = strings.Split(selected, ",")
	}
	if e, ok := v.(exporter); ok && kind != asJSON && e.export() != nil {
		return s.streamList(ctx, o, kind, names, e.export()), nil
	}
	text, err := marshal(v)
	if err != nil {
		return nil, err
	}
	whole, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	if o.list == "" {
		return rawBody(whole.only(names).json()), nil
	}
	items, err := whole.items(o.list, names)
	if err != nil {
		return nil, err
	}
	switch kind {
	case asCSV:
		s.linkNext(ctx, whole)
		setCSV(ctx, o)
		return rawBody(toCSV(items, selectHeader(o.header, names))), nil
	case asNDJSON:
		s.linkNext(ctx, whole)
		ctx.SetHeader("Content-Type", "application/x-ndjson")
		var lines bytes.Buffer
		for _, item := range items {
			lines.Write(item.json())
			lines.WriteByte('\n')
		}
		return rawBody(lines.Bytes()), nil
	}
	return rawBody(whole.with(o.list, items).json()), nil
}

// reportCSV writes a report as the terminal does, or the selected columns of it.
func reportCSV(t report.Tabular, selected string) (rawBody, error) {
	if selected != "" {
		t = t.Table().Select(strings.Split(selected, ","))
	}
	var b bytes.Buffer
	err := report.WriteCSV(&b, t)
	return b.Bytes(), err
}

// linkNext says where the next page is, for forms that have no place for it.
func (s *Server) linkNext(ctx huma.Context, whole object) {
	var next string
	if json.Unmarshal(whole.get("next_cursor"), &next) != nil || next == "" {
		return
	}
	u := ctx.URL()
	q := u.Query()
	q.Set("cursor", next)
	ctx.SetHeader("Link", "<"+(&url.URL{Path: u.Path, RawQuery: q.Encode()}).String()+`>; rel="next"`)
}

// checkFields refuses names that the answer does not have.
func (o *operation) checkFields(selected string) error {
	if selected == "" || len(o.fields) == 0 {
		return nil
	}
	for name := range strings.SplitSeq(selected, ",") {
		if !slices.Contains(o.fields, name) {
			return callwheel.InvalidField("fields", "%q is not a field of this; it has %s", clip(name), strings.Join(o.fields, ", "))
		}
	}
	return nil
}

// shapeOf says what is known of a body from its type: the name of its list, the
// fields that may be selected, and the columns of its CSV. Fields are empty but
// not nil where the type does not tell (a map).
func shapeOf(body reflect.Type) (list string, fields, header []string) {
	body = deref(body)
	if body.Kind() != reflect.Struct {
		return "", []string{}, nil
	}
	item := body
	for f := range jsonFields(body) {
		if (f.name == "items" || f.name == "rows" || f.name == "periods") && f.typ.Kind() == reflect.Slice {
			list, item = f.name, deref(f.typ.Elem())
		}
	}
	fields = []string{}
	if item.Kind() != reflect.Struct {
		return list, fields, nil
	}
	for f := range jsonFields(item) {
		fields = append(fields, f.name)
	}
	if sample, err := marshal(sampleOf(item).Interface()); err == nil && list != "" {
		if o, err := parseObject(sample); err == nil {
			for _, cell := range flatten("", o) {
				header = append(header, cell.name)
			}
		}
	}
	return list, fields, header
}

type jsonField struct {
	name string
	typ  reflect.Type
}

// jsonFields walks the fields of a struct as encoding/json names them.
func jsonFields(t reflect.Type) func(yield func(jsonField) bool) {
	return func(yield func(jsonField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" || f.Anonymous && name == "" {
				continue
			}
			if name == "" {
				name = f.Name
			}
			if !yield(jsonField{name, deref(f.Type)}) {
				return
			}
		}
	}
}

// sampleOf makes a value whose optional structs are all there, to learn the
// columns of a list that may be empty.
func sampleOf(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	if t.Kind() != reflect.Struct {
		return v
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		switch inner := deref(f.Type); {
		case inner == t:
		case f.Type.Kind() == reflect.Pointer && inner.Kind() == reflect.Struct:
			p := reflect.New(inner)
			p.Elem().Set(sampleOf(inner))
			v.Field(i).Set(p)
		case f.Type.Kind() == reflect.Struct:
			v.Field(i).Set(sampleOf(inner))
		}
	}
	return v
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// object is a JSON object whose keys keep their order.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

func parseObject(text []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var o object
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	return o, nil
}

func (o object) get(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// only keeps the members that are named; no names keep all.
func (o object) only(names []string) object {
	if names == nil {
		return o
	}
	var kept object
	for _, m := range o {
		if slices.Contains(names, m.name) {
			kept = append(kept, m)
		}
	}
	return kept
}

// items returns the elements of a list member, each with the named members.
func (o object) items(list string, names []string) ([]object, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(o.get(list), &raw); err != nil {
		return nil, err
	}
	items := make([]object, len(raw))
	for i, text := range raw {
		item, err := parseObject(text)
		if err != nil {
			return nil, err
		}
		items[i] = item.only(names)
	}
	return items, nil
}

// with returns the object with its list replaced.
func (o object) with(list string, items []object) object {
	parts := make([][]byte, len(items))
	for i, item := range items {
		parts[i] = item.json()
	}
	o = slices.Clone(o)
	for i := range o {
		if o[i].name == list {
			o[i].value = slices.Concat([]byte("["), bytes.Join(parts, []byte(",")), []byte("]"))
		}
	}
	return o
}

func (o object) json() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := marshal(m.name) //nolint:errcheck // a string
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

type cell struct{ name, text string }

// flatten lays an object out as cells: an inner object's members are
// "outer_inner", a phone number is its E.164 form, money is its amount beside
// "…_currency", a list of texts is joined with "; ".
func flatten(prefix string, o object) []cell {
	var cells []cell
	for _, m := range o {
		cells = append(cells, flattenValue(prefix+m.name, m.value)...)
	}
	return cells
}

func flattenValue(name string, value json.RawMessage) []cell {
	switch {
	case len(value) == 0 || string(value) == "null":
		return []cell{{name, ""}}
	case value[0] == '"':
		var text string
		json.Unmarshal(value, &text) //nolint:errcheck // we wrote it
		return []cell{{name, text}}
	case value[0] == '[':
		return []cell{{name, flattenList(value)}}
	case value[0] != '{':
		return []cell{{name, string(value)}}
	}
	inner, err := parseObject(value)
	if err != nil {
		return []cell{{name, string(value)}}
	}
	if e164 := inner.get("e164"); e164 != nil {
		return flattenValue(name, e164)
	}
	if amount, currency := inner.get("amount"), inner.get("currency"); amount != nil && currency != nil {
		return append(flattenValue(name, amount), flattenValue(name+"_currency", currency)...)
	}
	return flatten(name+"_", inner)
}

func flattenList(value json.RawMessage) string {
	var texts []string
	if json.Unmarshal(value, &texts) == nil {
		return strings.Join(texts, "; ")
	}
	var items []json.RawMessage
	if json.Unmarshal(value, &items) == nil && len(items) == 0 {
		return ""
	}
	return string(value)
}

// toCSV writes a table with the known columns; where none are known, with
// those that the rows have.
func toCSV(items []object, header []string) []byte {
	if header == nil {
		header = columnsOf(items)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Write(header) //nolint:errcheck // into memory
	for _, item := range items {
		w.Write(record(item, header)) //nolint:errcheck // into memory
	}
	w.Flush()
	return b.Bytes()
}

func columnsOf(items []object) []string {
	var columns []string
	for _, item := range items {
		for _, c := range flatten("", item) {
			if !slices.Contains(columns, c.name) {
				columns = append(columns, c.name)
			}
		}
	}
	return columns
}

// record lays an object out below a header. What an inner object of free names
// holds goes into its one column, as name=value, so that every page of a list
// and its whole have the same columns.
func record(item object, header []string) []string {
	cells := make([]string, len(header))
	for _, c := range flatten("", item) {
		if i := slices.Index(header, c.name); i >= 0 {
			cells[i] = c.text
			continue
		}
		i := slices.IndexFunc(header, func(column string) bool { return strings.HasPrefix(c.name, column+"_") })
		if i < 0 || c.text == "" {
			continue
		}
		if cells[i] != "" {
			cells[i] += "; "
		}
		cells[i] += strings.TrimPrefix(c.name, header[i]+"_") + "=" + c.text
	}
	for i := range cells {
		cells[i] = safeCell(cells[i])
	}
	return cells
}

// harmless are texts that begin like a formula and are none: phone numbers and
// numbers.
var harmless = regexp.MustCompile(`^(\+[0-9•]{6,16}|-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?)$`)

// safeCell keeps a spreadsheet from taking a text for a formula.
func safeCell(text string) string {
	if text == "" || !strings.ContainsRune("=+-@\t\r", rune(text[0])) || harmless.MatchString(text) {
		return text
	}
	return "'" + text
}

// selectHeader keeps the columns of the selected fields.
func selectHeader(header, names []string) []string {
	if names == nil {
		return header
	}
	var kept []string
	for _, column := range header {
		if slices.ContainsFunc(names, func(name string) bool { return column == name || strings.HasPrefix(column, name+"_") }) {
			kept = append(kept, column)
		}
	}
	return kept
}
