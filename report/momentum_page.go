package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// Page writes the report as a person at a terminal wants to read it: the index
// and how sure it is, what pushed, what dragged and what to do first. It is about
// the last period that has enough data, or else about the last. Figures in words
// are rounded, so that printed points add up to the printed change; WriteTable,
// CSV and JSON have them in full.
func (r *MomentumReport) Page(out io.Writer) error {
	var b strings.Builder
	p := r.shownPeriod()
	fmt.Fprintf(&b, "Flywheel momentum, %s\n\n", r.dates(p.From, p.Until))
	r.writeIndex(&b, p)
	r.writeCauses(&b, p)
	writeSegments(&b, r.By, p)
	writeLevers(&b, p)
	writeAlerts(&b, r.Alerts)
	writeForeign(&b, r.Foreign)
	writePhases(&b, p.Phases)
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *MomentumReport) shownPeriod() MomentumPeriod {
	for _, p := range slices.Backward(r.Periods) {
		if p.Index != nil {
			return p
		}
	}
	return r.Periods[len(r.Periods)-1]
}

// dates are a range in days of the report's zone, the last one included.
func (r *MomentumReport) dates(from, until string) string {
	zone, err := loadZone(r.TZ)
	if err != nil {
		zone = time.UTC
	}
	day := func(text string, back time.Duration) string {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return text
		}
		return t.Add(-back).In(zone).Format(dateFormat)
	}
	return day(from, 0) + " to " + day(until, time.Microsecond)
}

func (r *MomentumReport) writeIndex(b *strings.Builder, p MomentumPeriod) {
	of := "baseline " + r.dates(r.Baseline.From, r.Baseline.Until)
	if r.BaselineVersion != nil {
		of += fmt.Sprintf(", frozen as version %d", *r.BaselineVersion)
	}
	if p.Index == nil {
		b.WriteString("  index    not available: ")
		reason := "nothing to compare with"
		if slices.ContainsFunc(p.Missing, func(g Gap) bool { return g.Part == partSpeed }) {
			reason = "for want of what is listed below"
		}
		fmt.Fprintf(b, "%s\n           100 is the %s\n", reason, of)
	} else {
		fmt.Fprintf(b, "  index    %.1f, where 100 is the %s\n", *p.Index, of)
		switch {
		case p.Interval == nil:
			b.WriteString("           no interval: nothing was left of at least one part\n")
		case !p.Changed:
			fmt.Fprintf(b, "           %.1f to %.1f with 95 %% confidence: no change that chance does not explain\n", p.Interval[0], p.Interval[1])
		case *p.Index > 100:
			fmt.Fprintf(b, "           %.1f to %.1f with 95 %% confidence: it has risen\n", p.Interval[0], p.Interval[1])
		default:
			fmt.Fprintf(b, "           %.1f to %.1f with 95 %% confidence: it has fallen\n", p.Interval[0], p.Interval[1])
		}
	}
	if p.Smoothed != nil {
		fmt.Fprintf(b, "           %.1f smoothed (half-life %d days)\n", *p.Smoothed, r.Yardsticks.HalfLifeDays)
	}
	fmt.Fprintf(b, "  waiting  %d s beyond %d s halve goodwill (%s)\n", r.Yardsticks.PromptHalfSeconds, r.Yardsticks.PromptTargetSeconds, r.Yardsticks.HalfReason())
	fmt.Fprintf(b, "  measured %d of %d parts\n", len(p.PartsUsed), len(partNames))
	for _, text := range shortages(p.Missing) {
		fmt.Fprintf(b, "           %s\n", text)
	}
	for _, text := range r.shortPeriods() {
		fmt.Fprintf(b, "  %s\n", text)
	}
}

// writeCauses writes what pushed and what dragged, rounded so that the lines add
// up to the change.
func (r *MomentumReport) writeCauses(b *strings.Builder, p MomentumPeriod) {
	if p.Change == nil {
		return
	}
	before, now := r.Baseline.values(), p.values()
	var exact []float64
	for _, part := range p.PartsUsed {
		exact = append(exact, p.Change.Parts[part]*10)
	}
	if !slices.ContainsFunc(exact, func(x float64) bool { return math.Abs(x) > 1e12 }) {
		tenths := roundTo(int64(math.Round(*p.Index*10))-1000, exact)
		for i := range exact {
			exact[i] = float64(tenths[i])
		}
	}
	order := make([]int, len(exact))
	for i := range order {
		order[i] = i
	}
	write := func(title string, sign float64) {
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(sign*exact[y], sign*exact[x]) })
		fmt.Fprintf(b, "\n%s\n", title)
		none := true
		for _, i := range order {
			if part := p.PartsUsed[i]; sign*exact[i] > 0 {
				none = false
				fmt.Fprintf(b, "  %-9s%+7.1f   %s → %s%s\n", part, exact[i]/10, valueText(before[part]), valueText(now[part]), p.counted(part))
			}
		}
		if none {
			b.WriteString("  nothing\n")
		}
	}
	write("what pushed", 1)
	write("what dragged", -1)
}

// values are the parts by name.
func (p MomentumPeriod) values() map[string]*float64 {
	return map[string]*float64{
		partSpeed: p.Speed, partReached: p.Parts.Reached, partPrompt: p.Parts.Prompt, partHandled: p.Parts.Handled,
		partWon: p.Parts.Won, partKept: p.Parts.Kept, partContent: p.Parts.Content, partWeight: p.Weight,
	}
}

func valueText(x *float64) string {
	if x == nil {
		return "–"
	}
	return fmt.Sprintf("%.3g", *x)
}

// counted says in counts what a part was.
func (p MomentumPeriod) counted(part string) string {
	c := p.Counts
	switch part {
	case partSpeed:
		return fmt.Sprintf("   attempts a day; %d in %.4g days", c.Opportunities, p.Days)
	case partReached:
		return fmt.Sprintf("   %d of %s reached, %d missed", c.Reached, several(c.Opportunities, "attempt"), c.Opportunities-c.Reached)
	case partPrompt:
		return fmt.Sprintf("   goodwill left after waiting, of %d", c.Timed)
	case partHandled:
		return fmt.Sprintf("   mean of %s", several(c.Scored, "scored call"))
	case partWon:
		return fmt.Sprintf("   %d of %s", c.Won, several(c.Leads, "lead"))
	case partKept:
		return fmt.Sprintf("   %s given back of %s", c.Refunded, c.Sold)
	case partContent:
		return fmt.Sprintf("   %d of %d discontent", c.Detractors, c.Answers)
	}
	return fmt.Sprintf("   %d bought again, %d were sent", c.Repeats, c.Referrals)
}

// shownSegments is how many segments are printed from each end.
const shownSegments = 5

func writeSegments(b *strings.Builder, by Dimension, p MomentumPeriod) {
	if by == "" || len(p.Segments) == 0 {
		return
	}
	fmt.Fprintf(b, "\nby %s\n", by)
	for i, s := range p.Segments {
		if i >= shownSegments && i < len(p.Segments)-shownSegments {
			if i == shownSegments {
				fmt.Fprintf(b, "  … %d more\n", len(p.Segments)-2*shownSegments)
			}
			continue
		}
		name := []rune(shown(s.Name))
		if len(name) > 30 {
			name = append(name[:29], '…')
		}
		points := "      –"
		if s.Points != nil {
			points = fmt.Sprintf("%+7.1f", *s.Points)
		}
		fmt.Fprintf(b, "  %-30s %s   %s, %s reached\n", string(name), points, several(s.Opportunities, "attempt"), valueText(s.Reached))
	}
}

func writeLevers(b *strings.Builder, p MomentumPeriod) {
	if len(p.Levers) == 0 {
		return
	}
	b.WriteString("\nwhat to do first\n")
	for i, l := range p.Levers[:min(3, len(p.Levers))] {
		what := "answer half of what is missed"
		if l.What == "half_to_best" {
			what = fmt.Sprintf("bring %s half the way to the best month, %s", l.Part, *l.BestMonth)
		}
		fmt.Fprintf(b, "  %d. %s: %s %.3g → %.3g\n", i+1, what, l.Part, l.Now, l.Then)
		var brings []string
		if l.Points != nil {
			brings = append(brings, fmt.Sprintf("%+.1f points", *l.Points))
		}
		if l.Customers != nil {
			brings = append(brings, fmt.Sprintf("%.1f customers", *l.Customers))
		}
		if l.Margin != nil {
			brings = append(brings, l.Margin.String()+" of margin")
		}
		if len(brings) > 0 {
			fmt.Fprintf(b, "     adds %s in a period like this\n", strings.Join(brings, ", "))
		}
	}
}

func writeAlerts(b *strings.Builder, alerts []Alert) {
	if len(alerts) == 0 {
		return
	}
	b.WriteString("\nalerts\n")
	for _, a := range alerts {
		state := "still so"
		if a.Until != nil {
			state = "over on " + *a.Until
		}
		fmt.Fprintf(b, "  %s: since %s more was lost than chance explains (alert on %s, %s): %.1f %% where the baseline lost %.1f %%\n",
			a.Part, a.Since, a.On, state, 100*a.Share, 100*a.Baseline)
	}
}

func writeForeign(b *strings.Builder, f Foreign) {
	notes := f.notes()
	if len(notes) == 0 {
		return
	}
	b.WriteString("\nother currencies\n")
	for _, note := range notes {
		fmt.Fprintf(b, "  %s\n", note)
	}
}

func writePhases(b *strings.Builder, f MomentumPhases) {
	fmt.Fprintf(b, "\npersons a day: attract %s, engage %s, delight %s\n", valueText(f.Attract.Flow), valueText(f.Engage.Flow), valueText(f.Delight.Flow))
	if f.Gain != nil {
		fmt.Fprintf(b, "gain %.3g (%.3g to %.3g)", *f.Gain, f.GainInterval[0], f.GainInterval[1])
		if !f.GainComplete {
			b.WriteString(" so far")
		}
		switch {
		case f.SelfSustaining:
			b.WriteString(": the wheel turns by itself")
		case f.Multiplier != nil:
			fmt.Fprintf(b, ": each push counts %.3g times; without pushes the wheel comes to rest", *f.Multiplier)
		default:
			b.WriteString(": not sure that the wheel turns by itself")
		}
		b.WriteByte('\n')
	}
	if t := f.Turn; t != nil && t.CoastDays != nil {
		fmt.Fprintf(b, "without pushes half is left after %.0f days; it never becomes a thousand times as fast by itself\n", *t.CoastDays)
	} else if t != nil && t.Thousand != nil {
		fmt.Fprintf(b, "without pushes it would be a thousand times as fast after %.0f days", *t.Thousand)
		if !f.SelfSustaining {
			b.WriteString(" by its rates, of which nobody can be sure yet")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}
