package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
)

// cell is where something belongs: the names of a touch and of a call, and a
// moment. names follows the order of Dimensions up to AgentName.
type cell struct {
	names [9]string
	tags  []string
	at    int64
}

const (
	touchNames = 6 // the first six names are the touch's
	callNames  = 9
)

// literal fills the touch's names with one of the rows that are no source.
func (c *cell) literal(name string) {
	for i := range touchNames {
		c.names[i] = name
	}
}

// ofCall fills the call's names; a nil call has none.
func (c *cell) ofCall(b *book, k *call) {
	if k == nil {
		c.names[6], c.names[7], c.names[8] = NoneRow, NoneRow, NoneRow
		return
	}
	c.names[6] = orNone(k.TrackingNumber)
	c.names[7] = NoneRow
	if k.PoolID != "" {
		c.names[7] = cmp.Or(b.pools[k.PoolID], k.PoolID)
	}
	c.names[8] = NoneRow
	if a := b.agent(k); a != nil {
		c.names[8] = a.Name
	}
	c.tags = k.tags
}

// ofAttribution fills the touch's names with what the call was attributed to.
func (c *cell) ofAttribution(b *book, k *call) {
	if !k.tracked() {
		c.literal(UntrackedRow)
		return
	}
	c.names = [9]string{
		b.source(k.SourceID, k.Source), orNone(k.Medium), orNone(k.Campaign), orNone(k.Term), orNone(k.Content), orNone(k.LandingPage),
		c.names[6], c.names[7], c.names[8],
	}
}

// line gathers one row while facts are read. Money is micros.
type line struct {
	names []string
	sort  string

	calls, answered, missed, blocked, firstTime, qualified int64

	credit        float64
	conversions   int64 // how many have a part in the credit
	revenue       int64
	contribution  int64     // margin of the revenue
	noMargin      bool      // some of it is not known
	squares       float64   // of credited revenues, in minor units of the currency
	together      bool      // some of the revenue was divided over all paths together: there is no spread of conversions
	positions     []float64 // credit by the touch's position in its path; the last one holds what comes later
	revenueAbsent bool      // an amount could not be converted
	spend         int64
	spendKnown    bool
	spendAbsent   bool
	provisional   bool // some of the spend may still be revised
	horizons      [len(horizonDays)]horizonLine
	origin        originLine
	turn, taken   int // where it stands among those that take part, see [sheet.credit]
}

type horizonLine struct {
	credit  float64
	revenue int64
	absent  bool
}

// horizonDays are the spans of the ROI report's horizons.
var horizonDays = [...]int{30, 90, longestHorizon}

const longestHorizon = 365

// sheet gathers rows by the question's groups.
type sheet struct {
	qu      question
	lines   map[string]*line
	total   line
	unit    float64 // minor unit of the currency, in micros
	spendOK bool    // spend can be told apart by the groups and filters
	named   bool    // rows keep the spelling they have: calls and touches name them before spend does
	byTouch bool    // rows and filters are about touches alone
	near    map[*arrival][]*line
	turn    int // of crediting
	taken   []taking
	room    room
	ledger  *ledger
}

// taking is what a line takes of the conversions that are being credited.
type taking struct {
	line            *line
	credit, squares float64
}

func newSheet(qu question) *sheet {
	s := &sheet{
		qu: qu, unit: float64(callwheel.MinorUnit(qu.account.Currency)), lines: map[string]*line{}, spendOK: true,
		ledger: newLedger(qu.account.Currency), near: map[*arrival][]*line{}, byTouch: true,
	}
	for _, d := range s.dimensions() {
		s.byTouch = s.byTouch && slices.Contains(Dimensions[:touchNames], d)
	}
	for _, d := range qu.GroupBy {
		s.spendOK = s.spendOK && d.ofSpend()
	}
	for d := range qu.Filters {
		s.spendOK = s.spendOK && d.ofSpend()
	}
	return s
}

// wantsTags says whether the tags of calls must be read.
func (s *sheet) wantsTags() bool {
	_, filtered := s.qu.Filters[Tag]
	return filtered || slices.Contains(s.qu.GroupBy, Tag)
}

// admits says whether the filters let the cell in, and with which of its tags.
func (s *sheet) admits(c cell) (tags []string, ok bool) {
	tags = c.tags
	for d, want := range s.qu.Filters {
		if d == Tag {
			tags = slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return fold(t) != fold(want) })
			if len(tags) == 0 && !(want == NoneRow && len(c.tags) == 0) {
				return nil, false
			}
			continue
		}
		if fold(c.names[slices.Index(Dimensions, d)]) != fold(want) {
			return nil, false
		}
	}
	return tags, true
}

// place returns the lines that the cell belongs to, none when a filter keeps it
// out. There are several only for a call with several tags in rows by tag.
func (s *sheet) place(c cell) []*line {
	tags, ok := s.admits(c)
	if !ok {
		return nil
	}
	if !slices.Contains(s.qu.GroupBy, Tag) || len(tags) == 0 {
		return []*line{s.line(c, NoneRow)}
	}
	var list []*line
	for _, t := range tags {
		list = append(list, s.line(c, t))
	}
	return list
}

// line finds or makes the row of the cell.
func (s *sheet) line(c cell, tag string) *line {
	names := make([]string, len(s.qu.GroupBy))
	order := make([]string, len(names))
	for i, d := range s.qu.GroupBy {
		switch {
		case d == Tag:
			names[i] = tag
		case d.ofTime():
			names[i], order[i] = moment(d, time.UnixMicro(c.at).In(s.qu.zone))
			continue
		default:
			names[i] = c.names[slices.Index(Dimensions, d)]
		}
		order[i] = fold(names[i])
	}
	key := strings.Join(order, "\x00")
	l, ok := s.lines[key]
	if !ok {
		l = &line{names: names, sort: key}
		s.lines[key] = l
		return l
	}
	for i, name := range names {
		if s.named {
			break
		}
		// Spellings that differ in case are one name; which is shown must not
		// depend on the order of reading.
		if name < l.names[i] {
			l.names[i] = name
		}
	}
	return l
}

// moment names the calendar unit of an instant, and gives a text by which such
// names sort in time.
func moment(d Dimension, t time.Time) (name, order string) {
	switch d {
	case HourOfWeek:
		name = t.Format("Mon 15")
		return name, string(rune('0'+(int(t.Weekday())+6)%7)) + t.Format("15")
	case Week:
		name = weekName(dateOf(t, t.Location()))
	case Month:
		name = t.Format("2006-01")
	default:
		name = t.Format(dateFormat)
	}
	return name, name
}

// count adds n calls to the lines and once to the total.
func (s *sheet) count(c cell, add func(*line)) {
	lines := s.place(c)
	for _, l := range lines {
		add(l)
	}
	if len(lines) > 0 {
		add(&s.total)
	}
}

// counted is one call's part in the counts.
func (b *book) counted(k *call) func(*line) {
	return func(l *line) {
		if k.blocked() {
			l.blocked++
			return
		}
		l.calls++
		l.firstTime += k.FirstTime
		switch {
		case k.answered():
			l.answered++
		case k.missed():
			l.missed++
		}
		if b.outcomes[k.DispositionID].Qualified {
			l.qualified++
		}
	}
}

// part is what one touch receives of one conversion.
type part struct {
	cell         cell
	at           int64
	from         *arrival // where the touch came from, when that alone says which lines it has; else nil
	weight       float64
	revenue      int64
	contribution int64
	position     int
	place        int
}

// give adds conversions: each part to its line, or in equal shares to its lines,
// and to the total.
func (s *sheet) give(b *book, c *counted) {
	parts := s.parts(b, c, s.shares(b, c), func(share) int64 { return c.at })
	if !s.credit(c, parts) {
		return
	}
	for _, v := range c.noted {
		s.ledger.value(v)
	}
}

// credit is give without noting what could not be counted. It says whether any
// part had a line.
func (s *sheet) credit(c *counted, parts []part) bool {
	s.turn++
	s.taken = s.taken[:0]
	for _, p := range parts {
		s.spread(p, func(l *line, credit float64, revenue, contribution int64) {
			l.credit += credit
			if s.qu.model.Positions {
				l.inPosition(p.position, credit)
			}
			l.revenue += revenue
			l.contribution += contribution
			if l.turn != s.turn {
				l.turn, l.taken = s.turn, len(s.taken)
				s.taken = append(s.taken, taking{line: l})
			}
			of := &s.taken[l.taken]
			of.credit += credit
			switch {
			case c.aged == nil:
				share := of.credit / c.times
				of.squares = share * share * c.squares
			case l == &s.total:
				of.squares = c.aged.all
			default:
				share := credit / p.weight // its rows by tag have equal ones
				of.squares = share * share * c.aged.squares[c.aged.sums[p.place].row]
			}
		})
	}
	for _, of := range s.taken {
		l := of.line
		l.squares += of.squares
		l.noMargin = l.noMargin || c.noMargin
		l.revenueAbsent = l.revenueAbsent || c.foreign()
		l.conversions += c.valued
	}
	return len(s.taken) > 0
}

// earn adds to a horizon of the ROI report what sales have earned for touches
// inside.
func (s *sheet) earn(b *book, h int, c *counted, inside func(at int64) bool) {
	for _, p := range s.parts(b, c, s.shares(b, c), func(sh share) int64 { return sh.touch.at }) {
		if !inside(p.at) {
			continue
		}
		s.spread(p, func(l *line, credit float64, revenue, _ int64) {
			at := &l.horizons[h]
			at.credit += credit
			at.revenue += revenue
			at.absent = at.absent || c.foreign()
		})
	}
}

// placeOf is place for a part, remembered where all touches that came from one
// place have the same lines.
func (s *sheet) placeOf(p part) []*line {
	if p.from == nil {
		return s.place(p.cell)
	}
	lines, known := s.near[p.from]
	if !known {
		lines = s.place(p.cell)
		s.near[p.from] = lines
	}
	return lines
}

// spread calls add for each line of the part's cell with an equal share of it,
// and for the total with the whole.
func (s *sheet) spread(p part, add func(l *line, credit float64, revenue, contribution int64)) {
	if p.weight == 0 {
		return
	}
	lines := s.placeOf(p)
	switch len(lines) {
	case 0:
		return
	case 1:
		add(lines[0], p.weight, p.revenue, p.contribution)
		add(&s.total, p.weight, p.revenue, p.contribution)
		return
	}
	equal := make([]float64, len(lines))
	for i := range equal {
		equal[i] = 1 / float64(len(lines))
	}
	revenues, contributions := divide(p.revenue, equal), divide(p.contribution, equal)
	for i, l := range lines {
		add(l, p.weight*equal[i], revenues[i], contributions[i])
	}
	add(&s.total, p.weight, p.revenue, p.contribution)
}

// sorted returns the lines in the order of the answer: by time when the first
// group is a time, else the largest first; rows that are no source last.
func (s *sheet) sorted() []*line {
	list := make([]*line, 0, len(s.lines))
	for _, l := range s.lines {
		list = append(list, l)
	}
	byTime := len(s.qu.GroupBy) > 0 && s.qu.GroupBy[0].ofTime()
	slices.SortFunc(list, func(a, b *line) int {
		if byTime {
			return strings.Compare(a.sort, b.sort)
		}
		return cmp.Or(
			cmp.Compare(a.literals(), b.literals()),
			cmp.Compare(math.Round(b.credit*1e9), math.Round(a.credit*1e9)),
			cmp.Compare(b.revenue, a.revenue),
			cmp.Compare(b.calls, a.calls),
			strings.Compare(a.sort, b.sort))
	})
	return list
}

// literals is 1 when the first name is no source.
func (l *line) literals() int {
	if len(l.names) == 0 {
		return 0
	}
	switch l.names[0] {
	case NoneRow, ReturningRow, UntrackedRow, ReferralRow:
		return 1
	}
	return 0
}
