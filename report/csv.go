package report

import (
	"encoding/csv"
	"io"
	"regexp"
	"strings"
)

var (
	phonePattern    = regexp.MustCompile(`^\+[0-9]{7,15}$`)
	negativePattern = regexp.MustCompile(`^-[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$`)
)

// SafeCell returns a text that a spreadsheet will not run: what begins with
// = + - @, a tab or a line break gets a quote in front. Phone numbers and plain
// negative numbers are left as they are.
func SafeCell(text string) string {
	if text == "" || phonePattern.MatchString(text) || negativePattern.MatchString(text) {
		return text
	}
	switch text[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n':
		return "'" + text
	}
	return text
}

// cell is a list in one cell.
func (t Table) cell() string {
	entries := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		entries[i] = strings.Join(row, ", ")
	}
	return strings.Join(entries, "; ")
}

// WriteCSV writes a report as CSV that spreadsheets can be trusted with: a
// header, then one line per row, without totals, each line followed by what the
// report states about itself. A list of what it states is one cell: entries with
// "; " between them, and ", " between their values.
func WriteCSV(w io.Writer, report Tabular) error {
	t := report.Table()
	for _, list := range t.Lists {
		t.Facts = append(t.Facts, Fact{list.Title, list.cell()})
	}
	out := csv.NewWriter(w)
	header := make([]string, 0, len(t.Columns)+len(t.Facts))
	for _, c := range t.Columns {
		header = append(header, c.Name)
	}
	for _, f := range t.Facts {
		header = append(header, f.Name)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, row := range t.Rows {
		record := make([]string, 0, len(header))
		for _, v := range row {
			record = append(record, SafeCell(v))
		}
		for _, f := range t.Facts {
			record = append(record, SafeCell(f.Value))
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
