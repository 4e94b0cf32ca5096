package report

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// MomentumQuery asks for the flywheel. Period cuts the range into days, weeks or
// months; "" and Whole leave it in one piece. Baseline is the id of a frozen one,
// "FROM/UNTIL" (instants or dates), "year_ago" for the same weeks a year ago, or
// "" for the account's present one. An account that has none gets one with its
// first report that has enough data: the same weeks a year ago when the account
// is so old, else the 90 days before From.
type MomentumQuery struct {
	AccountID string
	From      string
	Until     string
	TZ        string
	Period    Unit
	Baseline  string
	By        Dimension // source, campaign or agent: divides every change among them; "" does not
}

// MomentumReport is the answer of the momentum report.
type MomentumReport struct {
	Head
	Model           string           `json:"model" doc:"The yardsticks: what counts as prompt, matured, returned"`
	Yardsticks      Yardsticks       `json:"yardsticks"`
	Period          Unit             `json:"period"`
	By              Dimension        `json:"by" doc:"What segments are: source, campaign or agent; empty without"`
	BaselineID      *string          `json:"baseline_id" doc:"The frozen baseline; null for one that was counted for this answer"`
	BaselineVersion *int64           `json:"baseline_version"`
	Baseline        MomentumPeriod   `json:"baseline"`
	Periods         []MomentumPeriod `json:"periods"`
	Foreign
	Alerts []Alert `json:"alerts" doc:"When more was lost at a joint than chance explains, by a CUSUM chart of each day against the baseline"`
}

// MomentumPeriod is the flywheel over one period. What is not available is nil.
type MomentumPeriod struct {
	From          string         `json:"from" format:"date-time"`
	Until         string         `json:"until" format:"date-time"`
	Days          float64        `json:"days" doc:"Elapsed, in units of 24 hours"`
	Speed         *float64       `json:"speed" doc:"Opportunities a day"`
	Friction      *float64       `json:"friction"`
	Resistance    *Resistance    `json:"resistance" doc:"Where the friction is: it adds up over the joints; null when nothing is left of one"`
	Weight        *float64       `json:"weight"`
	Momentum      *float64       `json:"momentum" doc:"L, over the parts used"`
	Index         *float64       `json:"index" doc:"M, 100 is the baseline; null without enough data"`
	Smoothed      *float64       `json:"index_smoothed" doc:"The index of what was before the end of the period, where a fact of a half-life ago counts half"`
	SmoothedParts []string       `json:"index_smoothed_parts" doc:"The parts that it was computed over: those measured in what was before, and in the baseline"`
	Interval      *Interval      `json:"interval"`
	Changed       bool           `json:"changed" doc:"Whether the interval leaves out 100"`
	Parts         MomentumParts  `json:"parts"`
	PartsUsed     []string       `json:"parts_used" doc:"Measured in the period and in the baseline"`
	Counts        MomentumCounts `json:"counts"`
	Phases        MomentumPhases `json:"phases"`
	Change        *Change        `json:"change"`
	EnoughData    bool           `json:"enough_data"`
	Missing       []Gap          `json:"missing"`

	Segments []MomentumSegment `json:"segments" doc:"What each moved the index by, of the baseline what it is made of; empty unless asked for with by"`
	Levers   []Lever           `json:"levers" doc:"What moving each part would bring, the largest first"`
	Behind   []Behind          `json:"behind" doc:"What each part, the gain, and who stayed, was computed from, with links to the calls"`
}

// Resistance is friction as a sum over its joints.
type Resistance struct {
	Total float64            `json:"total" doc:"−ln(1 − friction)"`
	Parts map[string]float64 `json:"parts" doc:"−ln of each part"`
}

// MomentumParts are the parts as measured, also where there are too few cases
// to use them; nil when there is nothing to measure.
type MomentumParts struct {
	Opportunities int64    `json:"opportunities"`
	Reached       *float64 `json:"reached"`
	Prompt        *float64 `json:"prompt"`
	Handled       *float64 `json:"handled"`
	Won           *float64 `json:"won"`
	Kept          *float64 `json:"kept"`
	Content       *float64 `json:"content"`
}

// MomentumCounts are what the parts were computed from.
type MomentumCounts struct {
	Opportunities int64            `json:"opportunities"`
	Reached       int64            `json:"reached"`
	Timed         int64            `json:"timed" doc:"Reached with a known wait"`
	Scored        int64            `json:"scored"`
	Leads         int64            `json:"leads" doc:"At least 30 days old"`
	Won           int64            `json:"won"`
	Sales         int64            `json:"sales"`
	Sold          *callwheel.Money `json:"sold" doc:"Null when there are sales in a currency without an exchange rate; so is refunded"`
	Refunded      *callwheel.Money `json:"refunded"`
	Unrated       int64            `json:"unrated" doc:"Sales in a currency without an exchange rate"`
	Answers       int64            `json:"answers"`
	Detractors    int64            `json:"detractors"`
	CustomerDays  float64          `json:"customer_days"`
	Repeats       int64            `json:"repeats"`
	Referrals     int64            `json:"referrals"`
}

// MomentumPhases are the flows from phase to phase, each per day.
type MomentumPhases struct {
	Attract Phase    `json:"attract" doc:"Persons who tried to reach the business"`
	Engage  Phase    `json:"engage" doc:"Of those, who were reached and, where that is known, won"`
	Delight Phase    `json:"delight" doc:"Of those, who kept what they bought and are content"`
	Gain    *float64 `json:"gain" doc:"Opportunities that the period's customers earned, for each of its opportunities"`

	GainInterval   *Interval `json:"gain_interval" doc:"95 %, from the number of those earned and how they bunch in few customers"`
	GainComplete   bool      `json:"gain_complete" doc:"Whether the return window of the last opportunity is over; until then the gain can only grow"`
	Multiplier     *float64  `json:"multiplier" doc:"What each push is multiplied by once the wheel has settled, 1/(1 − gain); null when it never does"`
	EarnedShare    *float64  `json:"earned_share" doc:"Share of the period's opportunities that customers brought: the gain only while the wheel neither gains nor loses speed"`
	SelfSustaining bool      `json:"self_sustaining" doc:"Whether the wheel turns without pushes: only if the lower end of gain_interval is above 1"`
	Turn           *Turn     `json:"turn" doc:"How the wheel goes on when nobody pushes; null where its rates are not measured"`
}

// Turn is a wheel that nobody pushes, in steps of the return window.
type Turn struct {
	StepDays  float64  `json:"step_days"`
	Customers float64  `json:"customers" doc:"For each opportunity: reached·won"`
	Delighted float64  `json:"delighted" doc:"For each customer: kept·content"`
	Earned    float64  `json:"earned" doc:"Returns for each customer and step: weight − 1"`
	Stay      float64  `json:"stay" doc:"Share of the customers of the step before who came back or sent somebody in this one"`
	Gain      float64  `json:"gain" doc:"By these rates: customers·delighted·earned ÷ (1 − stay)"`
	Growth    float64  `json:"growth" doc:"What a step changes the wheel by"`
	Pushes    float64  `json:"pushes" doc:"Opportunities of a step that no customer brought"`
	Settles   *Stages  `json:"settles" doc:"Persons in each phase, a step, once the wheel has settled under these pushes: attract = pushes ÷ (1 − gain); null when it never does"`
	CoastDays *float64 `json:"coast_days" doc:"Until half of it is left; null when it does not slow down"`
	Thousand  *float64 `json:"thousandfold_days" doc:"Until it turns a thousand times as fast; null for never"`
}

// Phase is one phase of the wheel.
type Phase struct {
	Flow *float64 `json:"flow" doc:"Persons a day; null when not measured"`
}

// Change is the difference to the baseline, split without rest.
type Change struct {
	Points   float64            `json:"points" doc:"index − 100"`
	Speed    float64            `json:"speed"`
	Friction float64            `json:"friction" doc:"Sum over its parts"`
	Weight   float64            `json:"weight"`
	Parts    map[string]float64 `json:"parts"`
}

// Momentum answers how the flywheel turns, period by period, against a
// baseline. Errors: Invalid with the fields, NotFound for an unknown account.
func (d *Desk) Momentum(ctx context.Context, q MomentumQuery) (*MomentumReport, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	var answer *MomentumReport
	var first *Baseline
	inner := Query{AccountID: q.AccountID, From: q.From, Until: q.Until, TZ: q.TZ}
	err := d.ask(ctx, "momentum", inner, func(ctx context.Context, db store.Querier, qu question) error {
		current, err := currentBaseline(ctx, db, q.AccountID)
		if err != nil {
			return err
		}
		frozen, base, err := baselineOf(ctx, db, q.Baseline, q.AccountID, qu.period, current)
		if err != nil {
			return err
		}
		by := current.yardsticks()
		from, until := qu.period.From, qu.period.Until
		if frozen != nil {
			by = frozen.Yardsticks
		} else {
			if base.From.Before(from) {
				from = base.From
			}
			if base.Until.After(until) {
				until = base.Until
			}
			if current == nil {
				held, err := readPatience(ctx, db, qu.account, by, base.Until)
				if err != nil {
					return err
				}
				by = by.patient(held)
			}
		}
		if past := historyFrom(qu.period.From, qu.period.Until, qu.zone, by); past.Before(from) {
			from = past
		}
		w, err := readWheel(ctx, db, qu.account, by, from, readUntil(until, d.now(), by), d.now(), nearTo(q, qu.period, frozen, base, by))
		if err != nil {
			return err
		}
		if frozen == nil {
			counted := w.baseline(base)
			frozen = &counted
			if q.Baseline == "" && !base.Until.After(d.now()) && counted.Counts.Unrated == 0 && Compare(counted.Counts, counted.Counts).Enough {
				first = &counted
			}
		}
		answer = w.report(q, qu.period, *frozen, d.now())
		return nil
	})
	if err == nil && first != nil {
		d.freezeFirst(ctx, q.AccountID, *first, answer)
	}
	return answer, err
}

// nearTo is of what a report needs more than counts: of its range, of a baseline
// that is counted for it, and who called while its opportunities could earn more.
func nearTo(q MomentumQuery, p Period, frozen *Baseline, base Period, by Yardsticks) nearness {
	n := nearness{shown: []span64{p.micros()}, gains: p.micros(), segmented: q.By != ""}
	n.gains.until += by.ReturnDays*day + 1
	if frozen == nil {
		n.shown = append(n.shown, base.micros())
		n.segmented = n.segmented || q.Baseline == "" // it may be kept
	}
	return n
}

// freezeFirst keeps the baseline of an account's first report. That it could not
// is no reason to keep the report back.
func (d *Desk) freezeFirst(ctx context.Context, accountID string, b Baseline, answer *MomentumReport) {
	b.Automatic, b.CreatedBy = true, "report"
	b, kept, err := d.keepBaseline(ctx, accountID, b)
	switch {
	case err != nil:
		d.log.Warn("the first baseline was not frozen", "account_id", accountID, "error", err)
	case kept:
		answer.BaselineID, answer.BaselineVersion = &b.ID, &b.Version
	}
}

func (q *MomentumQuery) check() error {
	bad := checkRange(q.From, q.Until, q.TZ)
	if q.Period == "" || q.Period == "range" {
		q.Period = Whole
	}
	if !slices.Contains([]Unit{ByDay, ByWeek, ByMonth, Whole}, q.Period) {
		bad = append(bad, callwheel.FieldError{Field: "period", Message: "must be day, week, month or whole"})
	}
	if q.By != "" && !slices.Contains(momentumSegments, q.By) {
		bad = append(bad, callwheel.FieldError{Field: "by", Message: "must be " + join(momentumSegments)})
	}
	if q.Baseline != "" && q.Baseline != yearAgo && !isBaselineID(q.Baseline) {
		from, until, ok := strings.Cut(q.Baseline, "/")
		wrong := checkRange(from, until, "")
		switch {
		case !ok || from == "" || until == "":
			bad = append(bad, callwheel.FieldError{Field: "baseline", Message: "must be the id of a baseline, year_ago, or two dates or instants with a slash, such as 2026-01-01/2026-04-01"})
		case len(wrong) > 0:
			bad = append(bad, callwheel.FieldError{Field: "baseline", Message: "the two with the slash: each " + wrong[0].Message})
		}
	}
	return callwheel.InvalidFields(bad)
}

func (w *wheel) report(q MomentumQuery, whole Period, base Baseline, now time.Time) *MomentumReport {
	var with linked
	if isBaselineID(q.Baseline) {
		with.baseline = base.ID
	}
	r := &MomentumReport{
		Head:  head("momentum", whole, w.account.Currency, now, momentumFigures),
		Model: w.by.String(), Yardsticks: w.by, Period: q.Period, By: q.By, Periods: []MomentumPeriod{},
		Alerts: w.alerts(whole, base.charts, with),
	}
	if base.ID != "" {
		r.BaselineID, r.BaselineVersion = &base.ID, &base.Version
	}
	if base.ID == "" {
		r.Foreign = w.foreign(whole, base.period())
	} else {
		r.Foreign = w.foreign(whole)
	}
	r.Baseline = w.baselinePeriod(base, q.By, with)
	bests := w.bests(whole.Until, whole.Zone)
	for part, b := range bests {
		b.calls = w.callsBehind(figuresOf[part], b.period, with)
		bests[part] = b
	}
	for _, p := range whole.Cut(q.Period) {
		c := w.counts(p)
		compared := Compare(base.Counts, c)
		one := w.period(p, c, compared)
		w.phases(&one, p, c)
		if smooth := Compare(base.Counts, w.countOf(w.fadingTo(p))); smooth.Index != nil {
			one.Smoothed, one.SmoothedParts = number(*smooth.Index), smooth.Parts
		}
		one.Levers = w.levers(p, c, one.PartsUsed, compared.Index, bests, with)
		one.Behind = append(w.behind(p, c, with), w.behindGain(one.Phases, p, c, with)...)
		if q.By != "" {
			one.Segments = segmentsOf(base.Counts, c, base.segments[q.By], w.segments(p, w.groupBy(q.By)), compared)
			w.linkSegments(one.Segments, q.By, p, with)
		}
		r.Periods = append(r.Periods, one)
	}
	return r
}

// baselinePeriod writes the baseline out, with the segments whose counts the
// changes of those of the periods are made of.
func (w *wheel) baselinePeriod(base Baseline, by Dimension, with linked) MomentumPeriod {
	p, same := base.period(), Compare(base.Counts, base.Counts)
	m := w.period(p, base.Counts, same)
	if by != "" {
		m.Segments = segmentsOf(base.Counts, base.Counts, base.segments[by], base.segments[by], same)
	}
	if base.ID == "" {
		m.Behind = w.behind(p, base.Counts, with)
		w.linkSegments(m.Segments, by, p, with)
	} else {
		m.Behind = behindFrozen(base, with)
		linkFrozen(m.Segments, by, base, with)
	}
	return m
}

// firstAttempt is when the first of all was that were read.
func (w *wheel) firstAttempt() (at int64, ok bool) {
	at, ok = math.MaxInt64, len(w.distant)+len(w.attempts) > 0
	if len(w.distant) > 0 {
		at = w.distant[0].at
	}
	if len(w.attempts) > 0 {
		at = min(at, w.attempts[0].at)
	}
	return at, ok
}

// fadingTo is what was before the end of a period, or before now, not reaching
// back before the account's first attempt.
func (w *wheel) fadingTo(p Period) slice {
	end := p.Until
	if now := time.UnixMicro(w.now); end.After(now) {
		end = now
	}
	var since time.Time
	if at, ok := w.firstAttempt(); ok {
		since = dayStart(dateOf(time.UnixMicro(at), p.Zone), p.Zone)
	}
	return fading(since, end, p.Zone, w.by.HalfLifeDays)
}

// period writes one period out.
func (w *wheel) period(p Period, c Counts, cmp Comparison) MomentumPeriod {
	g := c.gauges()
	value := func(name string) *float64 {
		if !g[name].known {
			return nil
		}
		return number(g[name].value)
	}
	m := MomentumPeriod{
		From: instant(p.From), Until: instant(p.Until), Days: tidy(c.Days),
		Speed: value(partSpeed),
		Parts: MomentumParts{
			Opportunities: int64(math.Round(c.Opportunities)), Reached: value(partReached), Prompt: value(partPrompt), Handled: value(partHandled),
			Won: value(partWon), Kept: value(partKept), Content: value(partContent),
		},
		Weight: value(partWeight), PartsUsed: append([]string{}, cmp.Parts...), Counts: w.countsOf(c),
		EnoughData: cmp.Enough, Missing: append([]Gap{}, cmp.Missing...),
		Segments: []MomentumSegment{}, Levers: []Lever{}, Behind: []Behind{}, SmoothedParts: []string{},
	}
	m.Phases = phases(g, cmp.Parts)
	if len(g[partSpeed].gaps) > 0 {
		return m
	}
	own := cmp.Period
	if !cmp.Enough {
		// Nothing to compare with: the period still has a momentum of its own.
		m.PartsUsed = []string{}
		for _, name := range partNames {
			if len(g[name].gaps) == 0 {
				m.PartsUsed = append(m.PartsUsed, name)
			}
		}
		own = momentumOf(g, m.PartsUsed)
	}
	m.Friction, m.Momentum, m.Resistance = number(own.Friction), number(own.Momentum), resistanceOf(own)
	if cmp.Index == nil {
		return m
	}
	m.Index = number(*cmp.Index)
	if cmp.Interval != nil {
		m.Interval = &Interval{tidy(cmp.Interval[0]), tidy(cmp.Interval[1])}
		m.Changed = cmp.Interval[0] > 100 || cmp.Interval[1] < 100
	}
	m.Change = changeOf(cmp)
	return m
}

func resistanceOf(m Momentum) *Resistance {
	if m.Resistance == nil {
		return nil
	}
	r := &Resistance{Total: tidy(m.resistance()), Parts: map[string]float64{}}
	for name, x := range m.Resistance {
		r.Parts[name] = tidy(x)
	}
	return r
}

func (p MomentumPeriod) resistance() *float64 {
	if p.Resistance == nil {
		return nil
	}
	return &p.Resistance.Total
}

func changeOf(cmp Comparison) *Change {
	c := &Change{Points: tidy(*cmp.Index - 100), Parts: map[string]float64{}}
	for name, points := range cmp.Change {
		c.Parts[name] = tidy(points)
		switch name {
		case partSpeed:
			c.Speed = tidy(points)
		case partWeight:
			c.Weight = tidy(points)
		}
	}
	var friction float64
	for _, name := range grips {
		friction += cmp.Change[name]
	}
	c.Friction = tidy(friction)
	return c
}

// phases multiplies the push as far as it is measured.
func phases(g map[string]gauge, used []string) MomentumPhases {
	flow := func(names ...string) *float64 {
		x := 1.0
		for _, name := range names {
			if name == partSpeed || name == partReached {
				if !g[name].known {
					return nil
				}
			} else if !slices.Contains(used, name) {
				return nil
			}
			x *= g[name].value
		}
		return number(x)
	}
	return MomentumPhases{
		Attract: Phase{flow(partSpeed)},
		Engage:  Phase{flow(partSpeed, partReached, partWon)},
		Delight: Phase{flow(partSpeed, partReached, partWon, partKept, partContent)},
	}
}

// phases adds the gain of a period and how the wheel goes on by itself.
func (w *wheel) phases(m *MomentumPeriod, p Period, c Counts) {
	f := &m.Phases
	if cohort, ok := w.gain(p, c); ok {
		f.Gain, f.GainComplete = number(cohort.gain), cohort.complete
		f.GainInterval = &Interval{tidy(cohort.interval[0]), tidy(cohort.interval[1])}
		f.EarnedShare = number(cohort.share)
		f.SelfSustaining = cohort.interval[0] > 1
		if cohort.gain < 1 {
			f.Multiplier = number(1 / (1 - cohort.gain))
		}
	}
	g := c.gauges()
	for _, part := range []string{partReached, partWon, partWeight} {
		if !g[part].known || len(g[part].gaps) > 0 {
			return
		}
	}
	stay, n := w.stays(w.all(p).Until) // in days ahead nobody can have stayed
	if n < 10 {
		return
	}
	delighted := 1.0
	for _, part := range []string{partKept, partContent} {
		if g[part].known && len(g[part].gaps) == 0 {
			delighted *= g[part].value
		}
	}
	step := float64(w.by.ReturnDays)
	flow := Flow{Customers: g[partReached].value * g[partWon].value, Delighted: delighted, Earned: g[partWeight].value - 1, Stay: stay}
	gain, ok := flow.Gain()
	growth, grows := flow.Growth()
	if !ok || !grows {
		return
	}
	f.Turn = &Turn{
		StepDays: step, Customers: tidy(flow.Customers), Delighted: tidy(delighted), Earned: tidy(flow.Earned), Stay: tidy(stay),
		Gain: tidy(gain), Growth: tidy(growth),
	}
	if f.EarnedShare != nil && c.Days > 0 {
		f.Turn.Pushes = tidy(c.Opportunities / c.Days * step * (1 - *f.EarnedShare))
		if s, ok := flow.Equilibrium(f.Turn.Pushes); ok {
			f.Turn.Settles = &Stages{tidy(s.Attract), tidy(s.Engage), tidy(s.Delight)}
		}
	}
	if steps, ok := flow.Coast(); ok {
		f.Turn.CoastDays = number(steps * step)
	}
	if steps, ok := flow.Times(1000); ok {
		f.Turn.Thousand = number(steps * step)
	}
}

func (w *wheel) countsOf(c Counts) MomentumCounts {
	money := func(units float64) *callwheel.Money {
		if c.Unrated > 0 {
			return nil
		}
		unit := callwheel.MinorUnit(w.account.Currency)
		return &callwheel.Money{Micros: int64(units*1e6/float64(unit)+0.5) * unit, Currency: w.account.Currency}
	}
	n := func(count float64) int64 { return int64(math.Round(count)) }
	return MomentumCounts{
		Opportunities: n(c.Opportunities), Reached: n(c.Reached), Timed: n(c.Prompt.N), Scored: n(c.Handled.N), Leads: n(c.Leads), Won: n(c.Won),
		Sales: n(c.Sales), Sold: money(c.Sold), Refunded: money(c.Refunded), Unrated: n(c.Unrated), Answers: n(c.Answers), Detractors: n(c.Detractors),
		CustomerDays: tidy(c.CustomerDays), Repeats: n(c.Repeats), Referrals: n(c.Referrals),
	}
}

// Table returns the report as a table, one line per period.
func (r *MomentumReport) Table() Table {
	t := Table{Title: "Flywheel momentum", Rows: [][]string{}, Facts: append(r.facts(), Fact{"model", r.Model}), Columns: []Column{
		{"line", true}, {"from", true}, {"until", true},
	}}
	for _, name := range []string{
		"days", "opportunities", "reached", "prompt", "handled", "won", "kept", "content", "speed", "friction", "resistance", "weight",
		"momentum", "index", "index_smoothed", "interval_low", "interval_high", "changed", "change_speed", "change_friction", "change_weight",
	} {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	for _, name := range grips {
		t.Columns = append(t.Columns, Column{Name: "change_" + name})
	}
	for _, name := range []string{"attract", "engage", "delight", "gain", "enough_data"} {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	t.Columns = append(t.Columns, Column{Name: "missing", Text: true})
	t.Facts[0].Name, t.Facts[1].Name = "range_from", "range_until"
	t.Rows = append(t.Rows, append([]string{"baseline"}, r.Baseline.texts()...))
	for _, p := range r.Periods {
		t.Rows = append(t.Rows, append([]string{"period"}, p.texts()...))
	}
	t.Notes = r.shortPeriods()
	if len(r.Periods) == 1 {
		t.Notes = shortages(r.Periods[0].Missing)
	}
	t.Notes = append(t.Notes, r.Foreign.notes()...)
	t.Lists = r.lists()
	t.Lists[0].Title = "range_missing" // the lines tell what they miss
	return t
}

// shortPeriods says how many of several periods have no index.
func (r *MomentumReport) shortPeriods() []string {
	short := int64(0)
	for _, p := range r.Periods {
		if !p.EnoughData {
			short++
		}
	}
	if short == 0 || len(r.Periods) == 1 {
		return nil
	}
	return []string{fmt.Sprintf("no index, for want of data: %d of %s", short, several(int64(len(r.Periods)), "period"))}
}

// shortages says each shortage once: all the parts that it leaves out, and how
// much was seen where.
func shortages(gaps []Gap) []string {
	var order []string
	parts, seen := map[string][]string{}, map[string][]string{}
	for _, g := range gaps {
		what, count, counted := strings.Cut(g.Message, ", ")
		if !counted {
			count = "so"
		}
		if parts[what] == nil {
			order = append(order, what)
		}
		if !slices.Contains(parts[what], g.Part) {
			parts[what] = append(parts[what], g.Part)
		}
		if text := fmt.Sprintf("%s in the %s", count, g.Where); !slices.Contains(seen[what], text) {
			seen[what] = append(seen[what], text)
		}
	}
	var texts []string
	for _, what := range order {
		texts = append(texts, fmt.Sprintf("without %s: %s, %s", strings.Join(parts[what], " and "), what, strings.Join(seen[what], ", ")))
	}
	return texts
}

func (p MomentumPeriod) texts() []string {
	texts := []string{
		p.From, p.Until, numberText(&p.Days), countText(p.Parts.Opportunities), numberText(p.Parts.Reached), numberText(p.Parts.Prompt),
		numberText(p.Parts.Handled), numberText(p.Parts.Won), numberText(p.Parts.Kept), numberText(p.Parts.Content),
		numberText(p.Speed), numberText(p.Friction), numberText(p.resistance()), numberText(p.Weight), numberText(p.Momentum), numberText(p.Index), numberText(p.Smoothed),
		endText(p.Interval, 0), endText(p.Interval, 1),
	}
	texts = append(texts, fmt.Sprint(p.Changed))
	if p.Change == nil {
		texts = append(texts, make([]string, 3+len(grips))...)
	} else {
		texts = append(texts, numberText(&p.Change.Speed), numberText(&p.Change.Friction), numberText(&p.Change.Weight))
		for _, name := range grips {
			part := ""
			if points, used := p.Change.Parts[name]; used {
				part = numberText(&points)
			}
			texts = append(texts, part)
		}
	}
	var gaps []string
	for _, gap := range p.Missing {
		if gap.Where == "period" && !slices.Contains(gaps, gap.Part) {
			gaps = append(gaps, gap.Part)
		}
	}
	return append(texts, numberText(p.Phases.Attract.Flow), numberText(p.Phases.Engage.Flow), numberText(p.Phases.Delight.Flow),
		numberText(p.Phases.Gain), fmt.Sprint(p.EnoughData), strings.Join(gaps, "; "))
}
