package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
)

// LineColumn is a column that a file of facts may have, or must.
type LineColumn struct {
	Name     string
	Required bool
}

// LineReader reads a CSV file of facts line by line: a header of known columns,
// then one fact each. It holds one line at a time, however long the file is.
type LineReader struct {
	in      *csv.Reader
	what    string
	columns map[string]int
	width   int
}

// Line is one line of a file.
type Line struct {
	Number  int    // in the file, the header is line 1
	Problem string // why it cannot be read, "" when it can
	broken  bool   // it is not CSV at all
	record  []string
	columns map[string]int
}

// Get returns a column's text without blanks around it, "" where the file has
// no such column.
func (l Line) Get(name string) string {
	if i, ok := l.columns[name]; ok && l.Problem == "" {
		return strings.TrimSpace(l.record[i])
	}
	return ""
}

// At names the line in an error.
func (l Line) At() string { return fmt.Sprintf("line %d", l.Number) }

// ReadLines reads the header of a file. what names it in errors ("spend file").
// It fails with kind Malformed for a file without a header, and with kind
// Invalid, naming each, for unknown, doubled and missing columns.
func ReadLines(r io.Reader, what string, columns []LineColumn) (*LineReader, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, callwheel.Errorf(callwheel.Malformed, "read %s: no header", what)
	}
	l := &LineReader{in: in, what: what, columns: map[string]int{}, width: len(header)}
	var bad []callwheel.FieldError
	for i, name := range header {
		name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		if !slices.ContainsFunc(columns, func(c LineColumn) bool { return c.Name == name }) {
			bad = append(bad, callwheel.FieldError{Field: clip(name), Message: "is not a column of this; there are " + columnNames(columns)})
			continue
		}
		if _, twice := l.columns[name]; twice {
			bad = append(bad, callwheel.FieldError{Field: name, Message: "is there twice"})
		}
		l.columns[name] = i
	}
	for _, c := range columns {
		if _, there := l.columns[c.Name]; c.Required && !there {
			bad = append(bad, callwheel.FieldError{Field: c.Name, Message: "the column is missing"})
		}
	}
	return l, callwheel.InvalidFields(bad)
}

func columnNames(columns []LineColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Next returns the next line, io.EOF after the last. A line that cannot be read
// has a Problem; the lines after it can be. The line is valid until the next
// call.
func (l *LineReader) Next() (Line, error) {
	record, err := l.in.Read()
	var broken *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return Line{}, io.EOF
	case errors.As(err, &broken):
		return Line{Number: broken.Line, Problem: broken.Err.Error(), broken: true}, nil
	case err != nil:
		return Line{}, callwheel.Errorf(callwheel.Malformed, "read %s: %w", l.what, err)
	}
	number, _ := l.in.FieldPos(0)
	line := Line{Number: number, record: record, columns: l.columns}
	if len(record) != l.width {
		line.Problem = fmt.Sprintf("has %d fields where the header has %d", len(record), l.width)
	}
	for _, text := range record {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			line.Problem = "is not UTF-8 text"
		}
	}
	return line, nil
}

// readFile reads a whole file, all of which is taken or nothing. Lines that
// cannot be understood are field errors beside the items that can; a file that
// is not CSV is an error of kind Malformed.
func readFile[T any](r io.Reader, what string, columns []LineColumn, of func(Line) (T, []callwheel.FieldError)) (items []T, bad []callwheel.FieldError, err error) {
	in, err := ReadLines(r, what, columns)
	if err != nil {
		return nil, nil, err
	}
	for {
		line, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return items, bad, nil
		case err != nil:
			return nil, nil, err
		case line.broken:
			return nil, nil, callwheel.Errorf(callwheel.Malformed, "read %s: %s: %s", what, line.At(), line.Problem)
		case line.Problem != "":
			bad = append(bad, callwheel.FieldError{Field: line.At(), Message: line.Problem})
			continue
		}
		item, wrong := of(line)
		if len(wrong) > 0 {
			bad = append(bad, wrong...)
			continue
		}
		items = append(items, item)
	}
}
