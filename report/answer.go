package report

import (
	"math"
	"time"

	"github.com/callwheel/callwheel"
)

// Head is what every report states about itself.
type Head struct {
	Report      string            `json:"report" doc:"Which report this is"`
	From        string            `json:"from" format:"date-time" doc:"First instant of the range"`
	Until       string            `json:"until" format:"date-time" doc:"First instant after the range"`
	TZ          string            `json:"tz" doc:"IANA zone whose days are meant"`
	Currency    string            `json:"currency" doc:"Of every amount"`
	GeneratedAt string            `json:"generated_at" format:"date-time"`
	Definitions map[string]string `json:"definitions" doc:"A link to the definition of each figure"`
}

// Attribution is the answer of the attribution and the ROI report.
type Attribution struct {
	Head
	Model      string      `json:"model" doc:"The model with its parameters"`
	Compare    string      `json:"compare_model,omitempty" doc:"The second model with its parameters, when two are compared"`
	CreditFor  Goal        `json:"credit_for"`
	WindowDays int         `json:"window_days" doc:"Look-back"`
	Reading    Reading     `json:"reading"`
	GroupBy    []Dimension `json:"group_by"`
	Rows       []Row       `json:"rows"`
	Totals     Figures     `json:"totals"`
	Foreign
}

// Groups are the names of a row, one per dimension that rows are grouped by.
type Groups struct {
	Source         *string `json:"source,omitempty"`
	Medium         *string `json:"medium,omitempty"`
	Campaign       *string `json:"campaign,omitempty"`
	Term           *string `json:"term,omitempty"`
	Content        *string `json:"content,omitempty"`
	LandingPage    *string `json:"landing_page,omitempty"`
	TrackingNumber *string `json:"tracking_number,omitempty"`
	Pool           *string `json:"pool,omitempty"`
	Agent          *string `json:"agent,omitempty"`
	Tag            *string `json:"tag,omitempty"`
	HourOfWeek     *string `json:"hour_of_week,omitempty"`
	Day            *string `json:"day,omitempty"`
	Week           *string `json:"week,omitempty"`
	Month          *string `json:"month,omitempty"`
}

// of returns where the name of a dimension stands.
func (g *Groups) of(d Dimension) **string {
	return map[Dimension]**string{
		Source: &g.Source, Medium: &g.Medium, Campaign: &g.Campaign, Term: &g.Term, Content: &g.Content,
		LandingPage: &g.LandingPage, TrackingNumber: &g.TrackingNumber, Pool: &g.Pool, AgentName: &g.Agent,
		Tag: &g.Tag, HourOfWeek: &g.HourOfWeek, Day: &g.Day, Week: &g.Week, Month: &g.Month,
	}[d]
}

// Name returns the row's name in a dimension, "" when rows are not grouped by
// it.
func (g Groups) Name(d Dimension) string {
	if at := g.of(d); at != nil && *at != nil {
		return **at
	}
	return ""
}

// Row is one line of an attribution or ROI report.
type Row struct {
	Groups
	Figures
}

// Figures are the figures of a row, or of the totals. What is not available is
// nil.
type Figures struct {
	Calls                 int64            `json:"calls"`
	Answered              int64            `json:"answered"`
	Missed                int64            `json:"missed"`
	Blocked               int64            `json:"blocked"`
	FirstTime             int64            `json:"first_time"`
	Qualified             int64            `json:"qualified"`
	Credit                float64          `json:"credit"`
	Revenue               *callwheel.Money `json:"revenue"`
	Spend                 *callwheel.Money `json:"spend"`
	CostPerCall           *callwheel.Money `json:"cost_per_call"`
	CostPerQualified      *callwheel.Money `json:"cost_per_qualified"`
	CostPerLead           *callwheel.Money `json:"cost_per_lead"`
	CostPerSale           *callwheel.Money `json:"cost_per_sale"`
	ROI                   *float64         `json:"roi"`
	ROIInterval           *Interval        `json:"roi_interval"`
	ROIMargin             *float64         `json:"roi_margin"`
	ROAS                  *float64         `json:"roas"`
	AnsweredRate          *float64         `json:"answered_rate"`
	AnsweredRateInterval  *Interval        `json:"answered_rate_interval"`
	QualifiedRate         *float64         `json:"qualified_rate"`
	QualifiedRateInterval *Interval        `json:"qualified_rate_interval"`
	SpendProvisional      bool             `json:"spend_provisional" doc:"Some of the spend is of the last two days, and may still be revised"`
	Small                 bool             `json:"small" doc:"Too few calls to compare the row with others"`
	Rank                  *int             `json:"rank" doc:"Place among the rows by credit; null for small rows and for those that are no source or a time"`
	Horizons              []Horizon        `json:"horizons,omitempty"`
	Origin                *Origin          `json:"origin,omitempty" doc:"When asked for: what was bought in the range, by where its buyer first came from"`
	Positions             []float64        `json:"positions,omitempty" doc:"Credit by the position of the touch in its path, of the model shapley_ordered; the 50th holds all later ones"`
	Compare               *Compared        `json:"compare,omitempty" doc:"The same figures by the second model"`
	Difference            *Compared        `json:"difference,omitempty" doc:"The second model's figures less the first one's"`
}

// Interval is [low, high] of a 95 % interval.
type Interval [2]float64

// Horizon is what touches of the range have earned so many days after.
type Horizon struct {
	Days     int              `json:"days"`
	Complete bool             `json:"complete" doc:"Whether the days have passed since the end of the range"`
	Credit   float64          `json:"credit"`
	Revenue  *callwheel.Money `json:"revenue"`
	ROI      *float64         `json:"roi"`
	ROAS     *float64         `json:"roas"`
}

// creditUnit is what credits are rounded to, by largest remainder.
const creditUnit = 1e10

// column rounds one column so that its lines add up to its rounded total.
func column(lines []*line, total, unit float64, value func(*line) float64) (parts []int64, sum int64) {
	exact := make([]float64, len(lines))
	for i, l := range lines {
		exact[i] = value(l) / unit
	}
	sum = int64(math.Round(total / unit))
	return roundTo(sum, exact), sum
}

// answer turns the gathered lines into the report.
func (s *sheet) answer(now time.Time, horizons bool) *Attribution {
	qu := s.qu
	name, figures := "attribution", attributionFigures
	if horizons {
		name, figures = "roi", roiFigures
	}
	a := &Attribution{
		Head:  head(name, qu.period, qu.account.Currency, now, figures),
		Model: qu.model.Text, CreditFor: qu.CreditFor, WindowDays: qu.WindowDays, Reading: qu.Reading,
		GroupBy: append([]Dimension{}, qu.GroupBy...), Rows: []Row{}, Foreign: s.ledger.foreign(),
	}
	lines := s.sorted()
	rounded := s.round(lines, horizons, now)
	for i, l := range lines {
		row := Row{Figures: rounded[i]}
		for j, d := range qu.GroupBy {
			*row.of(d) = &l.names[j]
		}
		a.Rows = append(a.Rows, row)
	}
	a.Totals = rounded[len(lines)]
	if qu.Origin {
		a.Definitions["origin"] = definitionLink("origin")
	}
	if len(a.Totals.Positions) > 0 {
		a.Definitions["positions"] = definitionLink("positions")
	}
	return a
}

// round computes the figures of the lines and, last, of the total.
func (s *sheet) round(lines []*line, horizons bool, now time.Time) []Figures {
	unit := s.unit
	credits, credit := column(lines, s.total.credit, 1/creditUnit, func(l *line) float64 { return l.credit })
	revenues, revenue := column(lines, float64(s.total.revenue), unit, func(l *line) float64 { return float64(l.revenue) })
	list := make([]Figures, 0, len(lines)+1)
	for i, l := range append(lines[:len(lines):len(lines)], &s.total) {
		f := Figures{Calls: l.calls, Answered: l.answered, Missed: l.missed, Blocked: l.blocked, FirstTime: l.firstTime, Qualified: l.qualified}
		units, minor := credit, revenue
		if i < len(lines) {
			units, minor = credits[i], revenues[i]
		}
		f.Credit = float64(units) / creditUnit
		if !l.revenueAbsent {
			f.Revenue = s.money(minor * int64(unit))
		}
		s.costs(&f, l)
		f.rates(l)
		list = append(list, f)
	}
	s.rank(list, lines)
	if horizons && s.qu.model.Whole == nil {
		s.roundHorizons(list, lines, unit, now)
	}
	s.roundPositions(list, lines)
	if s.qu.Origin {
		s.roundOrigins(list, lines, unit)
	}
	return list
}

func (s *sheet) roundHorizons(list []Figures, lines []*line, unit float64, now time.Time) {
	for h, days := range horizonDays {
		total := &s.total.horizons[h]
		credits, credit := column(lines, total.credit, 1/creditUnit, func(l *line) float64 { return l.horizons[h].credit })
		revenues, revenue := column(lines, float64(total.revenue), unit, func(l *line) float64 { return float64(l.horizons[h].revenue) })
		complete := !s.qu.period.Until.AddDate(0, 0, days).After(now)
		for i, l := range append(lines[:len(lines):len(lines)], &s.total) {
			units, minor := credit, revenue
			if i < len(lines) {
				units, minor = credits[i], revenues[i]
			}
			at := Horizon{Days: days, Complete: complete, Credit: float64(units) / creditUnit}
			if !l.horizons[h].absent {
				at.Revenue = s.money(minor * int64(unit))
			}
			at.ROI, at.ROAS = returns(at.Revenue, list[i].Spend)
			list[i].Horizons = append(list[i].Horizons, at)
		}
	}
}

// costs fills what has to do with spend.
func (s *sheet) costs(f *Figures, l *line) {
	if !s.spendOK || !l.spendKnown || l.spendAbsent {
		return
	}
	f.Spend, f.SpendProvisional = s.money(l.spend), l.provisional
	if l.spend == 0 {
		return // what cost nothing has no ratio
	}
	f.CostPerCall = s.per(l.spend, l.calls)
	f.CostPerQualified = s.per(l.spend, l.qualified)
	switch s.qu.CreditFor {
	case ForLead:
		f.CostPerLead = s.perCredit(l.spend, f.Credit)
	case ForSale:
		f.CostPerSale = s.perCredit(l.spend, f.Credit)
	}
	f.ROI, f.ROAS = returns(f.Revenue, f.Spend)
	if f.ROI == nil {
		return
	}
	spend := float64(l.spend)
	if l.conversions >= leastForInterval && !l.together {
		half := z95 * math.Sqrt(l.squares) * s.unit / spend
		f.ROIInterval = &Interval{tidy(max(-1, *f.ROI-half)), tidy(*f.ROI + half)}
	}
	if !l.noMargin {
		f.ROIMargin = number((float64(l.contribution) - spend) / spend)
	}
}

// z95 is the standard normal quantile of a 95 % interval.
const z95 = 1.959963984540054

// leastForInterval is how many conversions with value an interval needs.
const leastForInterval = 5

// returns computes roi and roas; nil without spend or revenue.
func returns(revenue, spend *callwheel.Money) (roi, roas *float64) {
	if revenue == nil || spend == nil || spend.Micros == 0 {
		return nil, nil
	}
	r, s := float64(revenue.Micros), float64(spend.Micros)
	return number((r - s) / s), number(r / s)
}

// per divides money by a count, rounded to the minor unit; nil for none.
func (s *sheet) per(micros, n int64) *callwheel.Money {
	if n == 0 {
		return nil
	}
	return perCount(s.money(micros), n)
}

func perCount(m *callwheel.Money, n int64) *callwheel.Money {
	unit := callwheel.MinorUnit(m.Currency)
	return &callwheel.Money{Micros: int64(math.Round(float64(m.Micros)/float64(n)/float64(unit))) * unit, Currency: m.Currency}
}

// perCredit is per for credited conversions; nil for none.
func (s *sheet) perCredit(micros int64, credit float64) *callwheel.Money {
	unit := float64(callwheel.MinorUnit(s.qu.account.Currency))
	cost := math.Round(float64(micros) / credit / unit)
	if credit <= 0 || !finite(cost) || cost > maxCost {
		return nil
	}
	return s.money(int64(cost) * int64(unit))
}

// smallGroup is the number of calls below which a row is small: shares of fewer
// are too uncertain to compare rows by.
const smallGroup = 30

// rates fills in shares of calls, each with its interval.
func (f *Figures) rates(l *line) {
	ended := l.answered + l.missed
	f.AnsweredRate, f.AnsweredRateInterval = mean(l.answered, ended, 1), wilson(l.answered, ended)
	f.QualifiedRate, f.QualifiedRateInterval = mean(l.qualified, l.calls, 1), wilson(l.qualified, l.calls)
	f.Small = l.calls < smallGroup
}

// rank numbers the lines that can be compared, in the order of their credit.
func (s *sheet) rank(list []Figures, lines []*line) {
	if len(s.qu.GroupBy) == 0 || s.qu.GroupBy[0].ofTime() {
		return
	}
	place := 0
	for i, l := range lines {
		if !list[i].Small && l.literals() == 0 {
			place++
			rank := place
			list[i].Rank = &rank
		}
	}
}

func (s *sheet) money(micros int64) *callwheel.Money {
	return &callwheel.Money{Micros: micros, Currency: s.qu.account.Currency}
}

// number is a figure that exists: never NaN, never infinite.
func number(x float64) *float64 {
	if !finite(x) {
		return nil
	}
	x = tidy(x)
	return &x
}

// tidy rounds to ten decimals, so that a figure reads the same wherever it is
// printed; minus zero is zero.
func tidy(x float64) float64 {
	if math.Abs(x) > 1e5 {
		return x
	}
	return math.Round(x*1e10)/1e10 + 0
}

// head states what the report is about.
func head(name string, p Period, currency string, now time.Time, figures []string) Head {
	links := map[string]string{}
	for _, f := range figures {
		links[f] = definitionLink(f)
	}
	return Head{
		Report: name, From: instant(p.From), Until: instant(p.Until), TZ: p.Zone.String(),
		Currency: currency, GeneratedAt: instant(now), Definitions: links,
	}
}
