package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// printedBlock reads a block of a printed table, cell by cell.
func printedBlock(t *testing.T, lines []string) []map[string]string {
	t.Helper()
	cut := func(line string) []string {
		var cells []string
		rest := []rune(line)
		for _, rule := range strings.Split(lines[1], "  ") {
			n := min(len([]rune(rule)), len(rest))
			cells = append(cells, strings.TrimSpace(string(rest[:n])))
			rest = rest[min(n+2, len(rest)):]
		}
		return cells
	}
	names := cut(lines[0])
	var rows []map[string]string
	for _, line := range lines[2:] {
		row := map[string]string{}
		for i, cell := range cut(line) {
			row[names[i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// printedRows puts the pieces of each line of a printed table together again: a
// wide table is printed in blocks.
func printedRows(t *testing.T, asTable string) []map[string]string {
	t.Helper()
	var rows []map[string]string
	for _, block := range strings.Split(asTable, "\n\n") {
		lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
		if len(lines) < 2 || !strings.HasPrefix(lines[1], "─") {
			continue // the title, a list, or what the report is about
		}
		for i, row := range printedBlock(t, lines) {
			if i == len(rows) {
				rows = append(rows, map[string]string{})
			}
			for name, cell := range row {
				rows[i][name] = cell
			}
		}
	}
	return rows
}

// printedList reads a list below a printed table; nil when it is not there.
func printedList(t *testing.T, asTable, title string) []map[string]string {
	t.Helper()
	for _, block := range strings.Split(asTable, "\n\n") {
		if lines := strings.Split(block, "\n"); lines[0] == title && len(lines) > 3 {
			return printedBlock(t, lines[1:])
		}
	}
	return nil
}

// sameFigure says whether a terminal shows a figure: all of it, or rounded to
// the decimals that it shows, of which it drops no more than it must.
func sameFigure(shown, figure string) bool {
	if figure == "" {
		figure = "–"
	}
	if shown == figure {
		return true
	}
	x, err := strconv.ParseFloat(figure, 64)
	if err != nil {
		return false
	}
	_, decimals, _ := strings.Cut(shown, ".")
	if len(decimals) < report.Decimals {
		// Zeros at the end are not printed.
		return len(figure) > len(shown) && trimZeros(strconv.FormatFloat(x, 'f', report.Decimals, 64)) == shown && shown != "0" && shown != "-0"
	}
	return strconv.FormatFloat(x, 'f', len(decimals), 64) == shown
}

func trimZeros(text string) string { return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") }

func TestATerminalRoundsToWhatAPersonReads(t *testing.T) {
	list := report.Table{Title: "Title", Columns: []report.Column{{Name: "name", Text: true}, {Name: "figure"}}}
	for figure, want := range map[string]string{
		"0.3513513514": "0.3514", "-0.4594594595": "-0.4595", "12.5": "12.5", "7": "7", "1234.50": "1234.50", "2.6999999999": "2.7",
		"0.0000123456": "0.00001235", "1.5e-9": "1.5e-9", "false": "false", "": "–", "0.1234": "0.1234", "1.2345": "1.2345",
	} {
		list.Rows = [][]string{{"0.12345678", figure}}
		var out strings.Builder
		if err := report.WriteTable(&out, list); err != nil {
			t.Fatal(err)
		}
		if got := printedRows(t, out.String())[0]; got["figure"] != want || got["name"] != "0.12345678" {
			t.Errorf("%q is shown as %q, want %q", figure, got["figure"], want)
		}
		if !sameFigure(want, figure) {
			t.Errorf("%q is not seen to be %q", want, figure)
		}
	}
	for _, wrong := range []string{"0.3513", "0.35", "0.4", "0.3515"} {
		if sameFigure(wrong, "0.3513513514") {
			t.Errorf("%s passes for 0.3513513514", wrong)
		}
	}
}

// writeForms writes a report in its three forms.
func writeForms(t *testing.T, r report.Tabular) (asJSON []byte, asCSV, asTable string) {
	t.Helper()
	var j, c, p bytes.Buffer
	if err := errors.Join(report.WriteJSON(&j, r), report.WriteCSV(&c, r), report.WriteTable(&p, r)); err != nil {
		t.Fatal(err)
	}
	return j.Bytes(), c.String(), p.String()
}

// everyReport asks each report in every grouping.
func (w *world) everyReport(from, until string) map[string]report.Tabular {
	w.t.Helper()
	ctx := context.Background()
	list := map[string]report.Tabular{}
	add := func(name string, r report.Tabular, err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("%s: %v", name, err)
		}
		list[name] = r
	}
	q := report.Query{AccountID: acct, From: from, Until: until}
	for _, d := range report.Dimensions {
		by := q
		by.GroupBy = []report.Dimension{d}
		a, err := w.desk.Attribution(ctx, by)
		add("attribution by "+string(d), a, err)
		roi := by
		roi.Model, roi.Compare, roi.Origin = "linear", "first_touch", true
		a, err = w.desk.ROI(ctx, roi)
		add("roi by "+string(d), a, err)
		if r, err := w.desk.Response(ctx, report.ResponseQuery{Query: by}); callwheel.KindOf(err) != callwheel.Invalid {
			add("response by "+string(d), r, err)
		}
	}
	agents, err := w.desk.Agents(ctx, q)
	add("agents", agents, err)
	pools, err := w.desk.Pools(ctx, q)
	add("pools", pools, err)
	dni, err := w.desk.DNI(ctx, q)
	add("dni", dni, err)
	for _, period := range []report.Unit{report.ByDay, report.ByWeek, report.ByMonth, report.Whole} {
		for _, by := range []report.Dimension{"", report.Source, report.Campaign, report.AgentName} {
			m, err := w.desk.Momentum(ctx, report.MomentumQuery{AccountID: acct, From: from, Until: until, Period: period, By: by, Baseline: "2025-01-01/2025-02-10"})
			add(fmt.Sprintf("momentum by %s of %s", period, by), m, err)
		}
	}
	return list
}

func TestEveryReportInEveryGroupingIsTheSameInEveryForm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		abroad(w)
		w.rate("2025-02-19", "1.08")
		w.sell("sale_chf", "call_52_7", "+13125620052", "2025-02-22T17:00:00Z", 10_00, "CHF")
		w.exec(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, 'agent_1', 'Kim', '+13125550200', 0)`, acct)
		w.exec(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, 'agent_1', '+13125550200', 0)`, acct)
		w.exec(`UPDATE calls SET answered_by = '+13125550200', talk_seconds = 100 WHERE account_id = ? AND outcome = 'answered'`, acct)
		w.spend("line 2", "Ads", "cpc", "", "2025-02-01", "2025-03-01", 310_00)
		w.exec(`INSERT INTO pools (account_id, pool_id, name, destination, created_at) VALUES (?, 'pool_1', 'Site', '+13125550999', 0)`, acct)
		reports := w.everyReport("2025-02-19", "2025-02-24")
		if len(reports) < 2*len(report.Dimensions)+18 {
			t.Errorf("only %d reports", len(reports))
		}
		for name, r := range reports {
			asJSON, asCSV, asTable := writeForms(t, r)
			kind, _, _ := strings.Cut(name, " ")
			if kind != "dni" { // nobody looked at a page
				compareFigures(t, kind, asJSON, asCSV, asTable)
			}
			compareLists(t, name, kind, asJSON, asCSV, asTable)
			if t.Failed() {
				t.Fatalf("in the report %s", name)
			}
		}
	})
}

// compareLists compares the rates and the missing amounts, value by value.
func compareLists(t *testing.T, name, kind string, asJSON []byte, asCSV, asTable string) {
	t.Helper()
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(asJSON))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(asCSV)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for list, columns := range map[string][]string{
		"rates": {"currency", "day", "rate", "count", "amount", "converted"}, "missing": {"figure", "currency", "count", "amount", "reason"},
	} {
		entries, there := doc[list].([]any)
		hasMoney := kind == "attribution" || kind == "roi" || kind == "agents" || kind == "momentum"
		if there != hasMoney {
			t.Errorf("%s: has %s: %v", name, list, there)
		}
		if !hasMoney {
			continue
		}
		title := list
		if kind == "momentum" && list == "missing" {
			title = "range_missing"
		}
		if len(entries) != 1 {
			t.Errorf("%s: %d %s, want one", name, len(entries), list)
			continue
		}
		printed := printedList(t, asTable, title)
		if len(printed) != len(entries) {
			t.Fatalf("%s: %d %s in JSON, %d on the terminal:\n%s", name, len(entries), list, len(printed), asTable)
		}
		var values []string
		for _, column := range columns {
			want, ok := inJSON(entries[0].(map[string]any), column)
			if !ok || printed[0][column] != want {
				t.Errorf("%s: %s of %s: JSON %q, the terminal %q", name, column, list, want, printed[0][column])
			}
			values = append(values, want)
		}
		at := -1
		for i, column := range records[0] {
			if column == title {
				at = i
			}
		}
		for _, record := range records[1:] {
			if at < 0 || record[at] != strings.Join(values, ", ") {
				t.Fatalf("%s: CSV tells other %s than JSON, %q: %q", name, list, values, record)
			}
		}
	}
}

func TestTotalsSayHowManyRowsTheirSpendIsOf(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		// Of Google Ads, Billboard and untracked the last has no spend: 285.00 for two
		// qualified calls, (1050 − 285) ÷ 285.
		want := "spend is known for 2 of 3 rows; the total sets it against what all of them brought (where it is known: cost_per_qualified 142.50 USD, roi 2.684)"
		if notes := w.roi(tenDays).Table().Notes; len(notes) != 1 || notes[0] != want {
			t.Errorf("got %q, want %q", notes, want)
		}
		// Filtered to a source that has it, there is nothing to say.
		q := tenDays
		q.Filters = map[report.Dimension]string{report.Source: "Billboard"}
		if notes := w.roi(q).Table().Notes; len(notes) != 0 {
			t.Errorf("a source with spend: got %q", notes)
		}
	})
}
