package report

import (
	"time"

	"github.com/callwheel/callwheel"
)

// Compared are the figures that depend on the model.
type Compared struct {
	Credit    float64          `json:"credit"`
	Revenue   *callwheel.Money `json:"revenue"`
	ROI       *float64         `json:"roi"`
	ROIMargin *float64         `json:"roi_margin"`
	ROAS      *float64         `json:"roas"`
}

// beside returns a sheet for the same question by its second model, nil when
// there is none.
func (s *sheet) beside() *sheet {
	if s.qu.second == nil {
		return nil
	}
	qu := s.qu
	qu.model, qu.second, qu.Origin = *s.qu.second, nil, false
	return newSheet(qu)
}

// answerBeside is answer with the figures of a second sheet, if there is one,
// beside those of each row.
func (s *sheet) answerBeside(second *sheet, now time.Time, horizons bool) *Attribution {
	if second == nil {
		return s.answer(now, horizons)
	}
	for key, l := range second.lines {
		if s.lines[key] == nil {
			s.lines[key] = &line{names: l.names, sort: l.sort}
		}
	}
	second.total.spent(&s.total)
	for key, l := range s.lines {
		if second.lines[key] == nil {
			second.lines[key] = &line{names: l.names, sort: l.sort}
		}
		second.lines[key].spent(l)
	}
	a := s.answer(now, horizons)
	a.Compare = second.qu.model.Text
	for _, name := range []string{"compare", "difference"} {
		a.Definitions[name] = definitionLink(name)
	}
	lines := s.sorted()
	others := make([]*line, len(lines))
	for i, l := range lines {
		others[i] = second.lines[l.sort]
	}
	for i, f := range second.round(others, false, now) {
		mine := &a.Totals
		if i < len(a.Rows) {
			mine = &a.Rows[i].Figures
		}
		mine.compare(f)
	}
	return a
}

// spent takes the spend of another line.
func (l *line) spent(from *line) {
	l.spend, l.spendKnown, l.spendAbsent = from.spend, from.spendKnown, from.spendAbsent
}

func (f *Figures) compare(other Figures) {
	f.Compare = &Compared{Credit: other.Credit, Revenue: other.Revenue, ROI: other.ROI, ROIMargin: other.ROIMargin, ROAS: other.ROAS}
	f.Difference = &Compared{
		Credit: tidy(other.Credit - f.Credit), ROI: less(other.ROI, f.ROI), ROIMargin: less(other.ROIMargin, f.ROIMargin), ROAS: less(other.ROAS, f.ROAS),
	}
	if f.Revenue != nil && other.Revenue != nil {
		f.Difference.Revenue = &callwheel.Money{Micros: other.Revenue.Micros - f.Revenue.Micros, Currency: f.Revenue.Currency}
	}
}

// less is a − b, nil when either is not available.
func less(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return number(*a - *b)
}

func (c *Compared) texts() []string {
	return []string{numberText(&c.Credit), moneyText(c.Revenue), numberText(c.ROI), numberText(c.ROIMargin), numberText(c.ROAS)}
}

// comparedNames are the columns of compared figures.
var comparedNames = []string{"credit", "revenue", "roi", "roi_margin", "roas"}

// mostPositions is how many positions are told apart.
const mostPositions = 50

// inPosition notes where in its path a credited touch stood.
func (l *line) inPosition(position int, credit float64) {
	if position == 0 {
		return
	}
	at := min(position, mostPositions) - 1
	for len(l.positions) <= at {
		l.positions = append(l.positions, 0)
	}
	l.positions[at] += credit
}

// roundPositions fills the credit by position; each column adds up.
func (s *sheet) roundPositions(list []Figures, lines []*line) {
	at := func(l *line, k int) float64 {
		if k < len(l.positions) {
			return l.positions[k]
		}
		return 0
	}
	for k, total := range s.total.positions {
		parts, sum := column(lines, total, 1/creditUnit, func(l *line) float64 { return at(l, k) })
		for i := range list {
			units := sum
			if i < len(lines) {
				units = parts[i]
			}
			list[i].Positions = append(list[i].Positions, float64(units)/creditUnit)
		}
	}
}
