package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
)

// Table is a report as columns and lines of text: what CSV and the terminal
// print. Each figure is written as in JSON; "" is not available.
type Table struct {
	Title   string
	Columns []Column
	Rows    [][]string
	Totals  []string // one per column, nil when the report has none
	Facts   []Fact   // what the report states about itself
	Lists   []Table  // the same where it is a list: rates and missing amounts; the title is its name in JSON
	Notes   []string // what a reader should know
}

// Table returns itself: a table is a report, too.
func (t Table) Table() Table { return t }

// Select keeps the columns of the named figures, in the table's order: the
// figure itself and what is told of it in several columns ("roi_interval_low").
func (t Table) Select(names []string) Table {
	var keep []int
	for i, c := range t.Columns {
		if slices.ContainsFunc(names, func(name string) bool {
			return c.Name == name || strings.HasPrefix(c.Name, name+"_") && !isColumn(t, name)
		}) {
			keep = append(keep, i)
		}
	}
	pick := func(line []string) []string {
		kept := make([]string, len(keep))
		for n, i := range keep {
			kept[n] = line[i]
		}
		return kept
	}
	out := Table{Title: t.Title, Notes: t.Notes}
	for _, i := range keep {
		out.Columns = append(out.Columns, t.Columns[i])
	}
	for _, row := range t.Rows {
		out.Rows = append(out.Rows, pick(row))
	}
	if t.Totals != nil {
		out.Totals = pick(t.Totals)
	}
	return out
}

func isColumn(t Table, name string) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// Column is one column of a table.
type Column struct {
	Name string
	Text bool // names rather than figures
}

// Decimals is how many decimals of a figure a terminal shows; of one so small
// that they were zeros it shows four digits. JSON and CSV have all of them.
const Decimals = 4

// shown is a cell as a terminal prints it.
func (c Column) shown(v string) string {
	_, decimals, _ := strings.Cut(v, ".")
	x, err := strconv.ParseFloat(v, 64)
	if c.Text || err != nil || len(decimals) <= Decimals {
		return shown(v)
	}
	digits := Decimals
	if size := math.Abs(x); size < 0.001 && size > 0 {
		digits += -int(math.Floor(math.Log10(size))) - 1
	}
	text := strings.TrimRight(strconv.FormatFloat(x, 'f', digits, 64), "0")
	return strings.TrimSuffix(text, ".")
}

// Fact is one thing that a report states about itself, such as its range.
type Fact struct{ Name, Value string }

// Tabular is a report that can be seen as a table.
type Tabular interface{ Table() Table }

// WriteJSON writes a report as the doors do, indented.
func WriteJSON(w io.Writer, report Tabular) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

// terminalWidth is how wide a table may be before its figures go on below in a
// second block, under the same names.
const terminalWidth = 118

// WriteTable writes a report for a person at a terminal: aligned columns, the
// totals under a rule, "–" for what is not available, and below what the report
// is about. Figures are rounded as in [Column]. A table that is wider than a terminal is cut into blocks, each with
// the names of its lines. Control characters in names are replaced.
func WriteTable(w io.Writer, report Tabular) error {
	t := report.Table()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", t.Title)
	for _, block := range t.blocks(terminalWidth) {
		block.write(&b)
		b.WriteByte('\n')
	}
	for _, list := range t.Lists {
		if len(list.Rows) > 0 {
			fmt.Fprintf(&b, "%s\n", list.Title)
			list.write(&b)
			b.WriteByte('\n')
		}
	}
	for _, f := range t.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, shown(f.Value))
	}
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "note: %s\n", shown(n))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// blocks cuts the table's columns into pieces that are not wider than width.
// The names of the lines, which stand first, are in every one.
func (t Table) blocks(width int) []Table {
	widths := t.widths()
	names := 0
	for names < len(t.Columns) && t.Columns[names].Text {
		names++
	}
	fixed := 0
	for _, w := range widths[:names] {
		fixed += w + 2
	}
	var list []Table
	for first := names; first < len(t.Columns) || len(list) == 0; {
		used, last := fixed, first
		for last < len(t.Columns) && (last == first || used+widths[last] <= width) {
			used += widths[last] + 2
			last++
		}
		list = append(list, t.pick(names, first, last))
		first = last
	}
	return list
}

// pick returns the table with the first columns and those in [from, until).
func (t Table) pick(first, from, until int) Table {
	cut := func(line []string) []string { return slices.Concat(line[:first], line[from:until]) }
	out := Table{Columns: slices.Concat(t.Columns[:first], t.Columns[from:until])}
	for _, row := range t.Rows {
		out.Rows = append(out.Rows, cut(row))
	}
	if t.Totals != nil {
		out.Totals = cut(t.Totals)
	}
	return out
}

func (t Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(c.Name)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.shown(row[i])))
		}
		if t.Totals != nil {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.shown(t.Totals[i])))
		}
	}
	return widths
}

func (t Table) write(b *strings.Builder) {
	widths := t.widths()
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	writeLine(b, t.Columns, widths, names)
	rule(b, widths)
	for _, row := range t.Rows {
		writeLine(b, t.Columns, widths, row)
	}
	if t.Totals != nil {
		rule(b, widths)
		writeLine(b, t.Columns, widths, t.Totals)
	}
}

func writeLine(b *strings.Builder, columns []Column, widths []int, values []string) {
	var line strings.Builder
	for i, v := range values {
		if i > 0 {
			line.WriteString("  ")
		}
		v = columns[i].shown(v)
		gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(v))
		if columns[i].Text {
			line.WriteString(v + gap)
		} else {
			line.WriteString(gap + v)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

func rule(b *strings.Builder, widths []int) {
	for i, w := range widths {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(strings.Repeat("─", w))
	}
	b.WriteByte('\n')
}

// shown is a value as a terminal may print it.
func shown(v string) string {
	if v == "" {
		return "–"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, v)
}

// several writes how many of something there are.
func several(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return countText(n) + " " + noun + "s"
}

// countText writes a count.
func countText(n int64) string { return strconv.FormatInt(n, 10) }

// secondsText writes whole seconds; nil is "".
func secondsText(n *int64) string {
	if n == nil {
		return ""
	}
	return countText(*n)
}

// numberText writes a number exactly as JSON does; nil is "".
func numberText(x *float64) string {
	if x == nil {
		return ""
	}
	text, err := json.Marshal(*x)
	if err != nil {
		return ""
	}
	return string(text)
}

// moneyText writes an amount without its currency; nil is "".
func moneyText(m *callwheel.Money) string {
	if m == nil {
		return ""
	}
	return m.Amount()
}

func endText(i *Interval, end int) string {
	if i == nil {
		return ""
	}
	return numberText(&i[end])
}

// Table returns the report as a table.
func (a *Attribution) Table() Table {
	t := Table{Title: "Attribution", Rows: [][]string{}, Facts: a.facts(), Lists: a.lists()}
	if a.Report == "roi" {
		t.Title = "Return on investment"
	}
	for _, d := range a.GroupBy {
		t.Columns = append(t.Columns, Column{string(d), true})
	}
	for _, name := range []string{
		"calls", "answered", "missed", "blocked", "first_time", "qualified", "credit", "revenue", "spend",
		"cost_per_call", "cost_per_qualified", "cost_per_lead", "cost_per_sale", "roi", "roi_interval_low", "roi_interval_high", "roi_margin", "roas",
		"answered_rate", "answered_rate_interval_low", "answered_rate_interval_high",
		"qualified_rate", "qualified_rate_interval_low", "qualified_rate_interval_high", "spend_provisional", "small", "rank",
	} {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	for _, h := range a.Totals.Horizons {
		for _, name := range []string{"credit", "revenue", "roi", "roas", "complete"} {
			t.Columns = append(t.Columns, Column{Name: fmt.Sprintf("%s_%d", name, h.Days)})
		}
	}
	if a.Totals.Origin != nil {
		for _, name := range originNames {
			t.Columns = append(t.Columns, Column{Name: "origin_" + name})
		}
	}
	for i := range a.Totals.Positions {
		t.Columns = append(t.Columns, Column{Name: fmt.Sprintf("positions_%d", i+1)})
	}
	if a.Compare != "" {
		for _, of := range []string{"compare", "difference"} {
			for _, name := range comparedNames {
				t.Columns = append(t.Columns, Column{Name: of + "_" + name})
			}
		}
	}
	for _, r := range a.Rows {
		line := make([]string, 0, len(t.Columns))
		for _, d := range a.GroupBy {
			line = append(line, r.Name(d))
		}
		t.Rows = append(t.Rows, append(line, r.Figures.texts()...))
	}
	t.Totals = make([]string, len(a.GroupBy), len(t.Columns))
	if len(t.Totals) > 0 {
		t.Totals[0] = "total"
		for i := range t.Totals[1:] {
			t.Totals[i+1] = " "
		}
	}
	t.Totals = append(t.Totals, a.Totals.texts()...)
	t.Notes = append(a.spendNotes(), a.Foreign.notes()...)
	return t
}

// spendNotes says in words when the totals set the spend of some rows against
// what all of them brought, and what it comes to without the others.
func (a *Attribution) spendNotes() []string {
	if a.Totals.Spend == nil {
		return nil
	}
	var sum Figures
	revenue, spend := &callwheel.Money{Currency: a.Currency}, &callwheel.Money{Currency: a.Currency}
	known := 0
	for _, r := range a.Rows {
		if r.Spend == nil {
			continue
		}
		known++
		spend.Micros += r.Spend.Micros
		sum.Qualified += r.Qualified
		if r.Revenue == nil {
			revenue = nil
		} else if revenue != nil {
			revenue.Micros += r.Revenue.Micros
		}
	}
	if known == len(a.Rows) {
		return nil
	}
	note := fmt.Sprintf("spend is known for %d of %s; the total sets it against what all of them brought", known, several(int64(len(a.Rows)), "row"))
	var alone []string
	if sum.Qualified > 0 && spend.Micros != 0 {
		alone = append(alone, "cost_per_qualified "+perCount(spend, sum.Qualified).String())
	}
	if roi, _ := returns(revenue, spend); roi != nil {
		alone = append(alone, fmt.Sprintf("roi %.4g", *roi))
	}
	if len(alone) > 0 {
		note += fmt.Sprintf(" (where it is known: %s)", strings.Join(alone, ", "))
	}
	return []string{note}
}

func (f Figures) texts() []string {
	list := []string{
		countText(f.Calls), countText(f.Answered), countText(f.Missed), countText(f.Blocked), countText(f.FirstTime), countText(f.Qualified),
		numberText(&f.Credit), moneyText(f.Revenue), moneyText(f.Spend), moneyText(f.CostPerCall), moneyText(f.CostPerQualified),
		moneyText(f.CostPerLead), moneyText(f.CostPerSale),
		numberText(f.ROI), endText(f.ROIInterval, 0), endText(f.ROIInterval, 1), numberText(f.ROIMargin), numberText(f.ROAS),
		numberText(f.AnsweredRate), endText(f.AnsweredRateInterval, 0), endText(f.AnsweredRateInterval, 1),
		numberText(f.QualifiedRate), endText(f.QualifiedRateInterval, 0), endText(f.QualifiedRateInterval, 1),
		strconv.FormatBool(f.SpendProvisional), strconv.FormatBool(f.Small), rankText(f.Rank),
	}
	for _, h := range f.Horizons {
		list = append(list, numberText(&h.Credit), moneyText(h.Revenue), numberText(h.ROI), numberText(h.ROAS), strconv.FormatBool(h.Complete))
	}
	if f.Origin != nil {
		list = append(list, f.Origin.texts()...)
	}
	for i := range f.Positions {
		list = append(list, numberText(&f.Positions[i]))
	}
	if f.Compare != nil {
		list = append(append(list, f.Compare.texts()...), f.Difference.texts()...)
	}
	return list
}

// rankText writes a place; nil is "".
func rankText(rank *int) string {
	if rank == nil {
		return ""
	}
	return strconv.Itoa(*rank)
}

func (a *Attribution) facts() []Fact {
	facts := append(a.Head.facts(), Fact{"model", a.Model})
	if a.Compare != "" {
		facts = append(facts, Fact{"compare_model", a.Compare})
	}
	return append(facts, Fact{"credit_for", string(a.CreditFor)},
		Fact{"window_days", strconv.Itoa(a.WindowDays)}, Fact{"reading", string(a.Reading)})
}

func (h Head) facts() []Fact {
	return []Fact{{"from", h.From}, {"until", h.Until}, {"tz", h.TZ}, {"currency", h.Currency}, {"generated_at", h.GeneratedAt}}
}
