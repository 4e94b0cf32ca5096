package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// momentumSegments are the dimensions that a change can be divided into.
var momentumSegments = []Dimension{Source, Campaign, AgentName}

// groupBy returns the segment to which a call, or a form or a chat, belongs:
// "(none)" for what was brought in without either.
func (w *wheel) groupBy(d Dimension) func(id string) string {
	at := slices.Index(momentumSegments, d)
	return func(id string) string {
		if e, ok := w.enquiries[id]; ok {
			return e.segment(w.book, d)
		}
		c, known := w.of[id]
		if !known {
			return NoneRow
		}
		return c.segments[at]
	}
}

// segment is the group of a dimension to which a call belongs.
func (w *wheel) segment(c *call, d Dimension) string {
	if d == AgentName {
		if a := w.book.agent(c); a != nil {
			return orNone(a.Name)
		}
		return NoneRow
	}
	switch {
	case !c.tracked():
		return UntrackedRow
	case d == Campaign:
		return orNone(c.Campaign)
	}
	return w.book.source(c.SourceID, c.Source)
}

// charted are the joints that are watched day by day.
var charted = grips

// watched is what the days brought to a joint, and the standard deviation of what
// one case of them lost; 0 where cases are lost or kept.
type watched struct {
	days   []lost
	spread float64
}

// daily lists, for each joint, what was lost on each whole day of the period
// that is over: of attempts those missed, of waits those beyond the target, of
// leads those not won, of answers those of detractors; of a scored call the marks
// it fell short of, of a sale the share that was given back.
func (w *wheel) daily(p Period) map[string]watched {
	list := map[string]watched{}
	var marks, back weighed
	for _, d := range p.days() {
		one := Period{From: dayStart(d, p.Zone), Until: dayStart(d.AddDate(0, 0, 1), p.Zone), Zone: p.Zone}
		if one.Until.After(p.Until) || store.Micros(one.Until) > w.now {
			break
		}
		c := w.tallyCases(w.all(one), func(string) string { return "" }).at("")
		for joint, day := range map[string]lost{
			partReached: {c.Opportunities, c.Opportunities - c.Reached}, partPrompt: {float64(len(c.prompt.values)), c.Late},
			partHandled: c.handled.short(), partWon: {c.Leads, c.Leads - c.Won}, partKept: c.back.lost(), partContent: {c.Answers, c.Detractors},
		} {
			of := list[joint]
			of.days = append(of.days, day)
			list[joint] = of
		}
		marks, back = marks.join(c.handled), back.join(c.back)
	}
	for joint, of := range map[string]weighed{partHandled: marks, partKept: back} {
		// Cases that are all alike say nothing of how much others vary.
		if sd := of.sample().SD; sd > 1e-9 {
			w := list[joint]
			w.spread = sd
			list[joint] = w
		}
	}
	return list
}

// Alert is a time in which more was lost at a joint, day after day, than chance
// explains.
type Alert struct {
	Part     string        `json:"part"`
	Since    string        `json:"since" format:"date" doc:"The day from which losses began to add up"`
	On       string        `json:"on" format:"date" doc:"The day on which they were too many for chance"`
	Until    *string       `json:"until" format:"date" doc:"The day on which the wheel was as before; null while it is not"`
	Peak     float64       `json:"peak" doc:"Largest value of the statistic; above 5 is an alert"`
	Baseline float64       `json:"baseline" doc:"p, the share lost in the baseline: of handled the marks, of kept what is given back of a sale"`
	Spread   *float64      `json:"spread" doc:"s, the standard deviation of a case in the baseline; null where cases are lost or kept"`
	Sigma    float64       `json:"sigma" doc:"σ, how much more than chance the baseline's days varied"`
	Share    float64       `json:"share" doc:"Share lost since then: lost ÷ cases"`
	Cases    float64       `json:"cases" doc:"n, all days since"`
	Lost     float64       `json:"lost" doc:"Of handled and kept a sum of shares"`
	Calls    []CallsBehind `json:"calls" doc:"Of all days since, up to the day on which the wheel was as before"`
	Days     []AlertDay    `json:"days" doc:"From since to on: how the statistic rose above the limit"`
}

// AlertDay is one day of an alert.
type AlertDay struct {
	On        string        `json:"on" format:"date"`
	Cases     float64       `json:"cases"`
	Lost      float64       `json:"lost"`
	Statistic float64       `json:"statistic" doc:"After this day"`
	Calls     []CallsBehind `json:"calls"`
}

// alerts runs the charts of the baseline over the days of the range.
func (w *wheel) alerts(p Period, charts map[string]chart, with linked) []Alert {
	list := []Alert{}
	daily := w.daily(p)
	days := p.days()
	span := func(first, last int) Period { // days, both included
		return Period{From: dayStart(days[first], p.Zone), Until: dayStart(days[last].AddDate(0, 0, 1), p.Zone), Zone: p.Zone}
	}
	for _, joint := range charted {
		c, ok := charts[joint]
		if !ok {
			continue
		}
		of := daily[joint].days
		statistic := c.run(of)
		for _, e := range episodes(statistic) {
			a := Alert{
				Part: joint, Since: days[e.rise].Format(dateFormat), On: days[e.alert].Format(dateFormat),
				Peak: tidy(e.peak), Baseline: tidy(c.Share), Sigma: tidy(c.Sigma),
				Calls: w.callsBehind(figuresOf[joint], span(e.rise, e.end-1), with),
			}
			if c.Spread > 0 {
				a.Spread = number(c.Spread)
			}
			var n, x float64
			for _, d := range of[e.rise:e.end] {
				n, x = n+d.n, x+d.x
			}
			a.Cases, a.Lost, a.Share = tidy(n), tidy(x), tidy(x/n)
			for i := e.rise; i <= e.alert; i++ {
				a.Days = append(a.Days, AlertDay{
					On: days[i].Format(dateFormat), Cases: tidy(of[i].n), Lost: tidy(of[i].x), Statistic: tidy(statistic[i]),
					Calls: w.callsBehind(figuresOf[joint], span(i, i), with),
				})
			}
			if e.end < len(statistic) {
				until := days[e.end].Format(dateFormat)
				a.Until = &until
			}
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b Alert) int { return cmp.Compare(a.On, b.On) })
	return list
}

// Lever is what moving one part would bring: momentum is proportional to each.
type Lever struct {
	Part      string           `json:"part"`
	What      string           `json:"what" doc:"half_of_missed: answering half of what is missed; half_to_best: half the gap to the account's own best month"`
	Now       float64          `json:"now"`
	Then      float64          `json:"then"`
	Best      *float64         `json:"best" doc:"The part in the best month"`
	BestMonth *string          `json:"best_month" doc:"Of the twelve before the end of the range"`
	Points    *float64         `json:"points" doc:"Added to the index"`
	Customers *float64         `json:"customers" doc:"Customer-equivalents added in a period as long as this one"`
	Margin    *callwheel.Money `json:"margin" doc:"Margin on what they buy; null when no margin is known, or a sale has no exchange rate"`
	Calls     []CallsBehind    `json:"calls" doc:"half_of_missed: those missed; half_to_best: what the best month was counted from"`
}

// best is a part's best month.
type best struct {
	value  float64
	month  string
	period Period
	calls  []CallsBehind
}

// bests finds each part's best calendar month among the twelve before an
// instant. A month counts where the part has enough cases in it.
func (w *wheel) bests(end time.Time, zone *time.Location) map[string]best {
	if now := time.UnixMicro(w.now); end.After(now) {
		end = now
	}
	list := map[string]best{}
	last := dateOf(end, zone)
	for i := range 12 {
		first := time.Date(last.Year(), last.Month()-time.Month(i+1), 1, 0, 0, 0, 0, time.UTC)
		month := Period{From: dayStart(first, zone), Until: dayStart(first.AddDate(0, 1, 0), zone), Zone: zone}
		for name, g := range w.counts(month).gauges() {
			if old, had := list[name]; g.known && len(g.gaps) == 0 && (!had || g.value > old.value) {
				list[name] = best{value: g.value, month: first.Format("2006-01"), period: month}
			}
		}
	}
	return list
}

// historyFrom is how far back the best month and the smoothed index look.
func historyFrom(from, until time.Time, zone *time.Location, by Yardsticks) time.Time {
	last := dateOf(until, zone)
	year := dayStart(time.Date(last.Year(), last.Month()-12, 1, 0, 0, 0, 0, time.UTC), zone)
	if faded := from.AddDate(0, 0, -10*int(by.HalfLifeDays)-1); faded.Before(year) {
		return faded
	}
	return year
}

// levers lists what moving each part would bring, the largest first.
func (w *wheel) levers(p Period, c Counts, used []string, index *float64, bests map[string]best, with linked) []Lever {
	g := c.gauges()
	list := []Lever{}
	if c.Days <= 0 || len(used) == 0 {
		return list
	}
	own := momentumOf(g, used)
	margin := w.marginPerSale(p)
	add := func(part, what string, then float64, b *best) {
		now := g[part].value
		if now <= 0 || then <= now {
			return
		}
		grow := then/now - 1
		l := Lever{Part: part, What: what, Now: tidy(now), Then: tidy(then)}
		if b != nil {
			l.Best, l.BestMonth, l.Calls = number(b.value), &b.month, b.calls
		} else {
			l.Calls = w.callsBehind([]string{"missed"}, p, with)
		}
		if index != nil {
			l.Points = number(*index * grow)
		}
		if slices.Contains(used, partWon) {
			l.Customers = number(own.Momentum * c.Days * grow)
			if margin != nil {
				sales := c.Opportunities * g[partReached].value * g[partWon].value * grow
				l.Margin = w.money(sales * *margin)
			}
		}
		list = append(list, l)
	}
	for _, part := range used {
		if part == partReached {
			add(part, "half_of_missed", (1+g[part].value)/2, nil)
		}
		if b, ok := bests[part]; ok {
			add(part, "half_to_best", (g[part].value+b.value)/2, &b)
		}
	}
	slices.SortStableFunc(list, func(a, b Lever) int { return cmp.Compare(b.Then/b.Now, a.Then/a.Now) })
	return list
}

// marginPerSale is the mean margin of the period's sales in units of the
// account's currency, as booked or by the account's rate, net of what was given
// back; nil when it is not known of any, or when one has no exchange rate.
func (w *wheel) marginPerSale(p Period) *float64 {
	var n, sum float64
	absent := false
	w.eachSale(p, func(s sold) {
		absent = absent || s.foreign()
		if s.margined {
			n, sum = n+1, sum+float64(s.margin)/1e6
		}
	})
	if n == 0 || absent {
		return nil
	}
	mean := sum / n
	return &mean
}

// money is an estimate as an amount, rounded once.
func (w *wheel) money(units float64) *callwheel.Money {
	if math.Abs(units) > maxCost/1e6 {
		return nil
	}
	unit := callwheel.MinorUnit(w.account.Currency)
	return &callwheel.Money{Micros: int64(math.Round(units*1e6/float64(unit))) * unit, Currency: w.account.Currency}
}

// MomentumSegment is one source, campaign or agent: its own parts, and what it
// moved the index by.
type MomentumSegment struct {
	Name          string             `json:"name"`
	Opportunities int64              `json:"opportunities"`
	Reached       *float64           `json:"reached"`
	Interval      *Interval          `json:"reached_interval" doc:"Wilson, 95 %"`
	Shrunk        *float64           `json:"reached_shrunk" doc:"Drawn towards the account's, the more the fewer attempts; for ranking"`
	Rank          *int64             `json:"rank" doc:"By the shrunk rate; null below 10 attempts"`
	Points        *float64           `json:"points" doc:"Share of the index less 100; null without an index"`
	Parts         map[string]float64 `json:"parts" doc:"The points by part; mix is how the same people divide among segments"`
	Calls         []CallsBehind      `json:"calls" doc:"What its figures were counted from, with links to the calls; a count of 0 is left out"`
}

// rankFrom is how many attempts a segment needs to be ranked.
const rankFrom = 10

// segmentsOf lists the segments, those that moved the index the most upwards
// first; without an index the largest first. Their points add up to the index
// less 100.
func segmentsOf(before, now Counts, groupsBefore, groupsNow Segments, c Comparison) []MomentumSegment {
	changes, ok := decompose(before, now, groupsBefore, groupsNow, c)
	if !ok {
		changes = nil
		for name := range groupsNow {
			changes = append(changes, segmentChange{name: name})
		}
		slices.SortFunc(changes, func(a, b segmentChange) int {
			return cmp.Or(cmp.Compare(groupsNow[b.name].Opportunities, groupsNow[a.name].Opportunities), cmp.Compare(a.name, b.name))
		})
	}
	// Facts that no call or enquiry of a segment brought leave an empty one, which moves nothing.
	changes = slices.DeleteFunc(changes, func(one segmentChange) bool {
		return groupsBefore[one.name].Opportunities == 0 && groupsNow[one.name].Opportunities == 0
	})
	groups := make([]casesOf, len(changes))
	for i, one := range changes {
		groups[i] = casesOf{x: int64(groupsNow[one.name].Reached), n: int64(groupsNow[one.name].Opportunities)}
	}
	rates := shrunken(groups)
	list := make([]MomentumSegment, len(changes))
	for i, one := range changes {
		s := MomentumSegment{Name: one.name, Opportunities: groups[i].n, Parts: map[string]float64{}, Calls: []CallsBehind{}}
		if groups[i].n > 0 {
			s.Reached, s.Shrunk = number(float64(groups[i].x)/float64(groups[i].n)), rates[i]
			s.Interval = wilson(groups[i].x, groups[i].n)
		}
		if ok {
			s.Points = number(one.total)
			for part, points := range one.parts {
				s.Parts[part] = tidy(points)
			}
		}
		list[i] = s
	}
	rankSegments(list)
	return list
}

func rankSegments(list []MomentumSegment) {
	var order []int
	for i, s := range list {
		if s.Opportunities >= rankFrom {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(*list[b].Shrunk, *list[a].Shrunk) })
	for place, i := range order {
		rank := int64(place + 1)
		list[i].Rank = &rank
	}
}
