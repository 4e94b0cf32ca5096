package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// ResponseQuery asks how fast the business answers and calls back. Of the query
// the range, the zone, the groups and the filters are used.
type ResponseQuery struct {
	Query
	WithinSeconds int // what counts as a quick answer; 0: 20
}

const (
	defaultWithin = 20
	maxWithin     = 3600
	contactDays   = 7 // in which a further call says that the first did not resolve the matter
)

// ServiceLevelFormula names which of the service levels in use the report
// states: the third, which nothing flatters.
const ServiceLevelFormula = "3: answered within T ÷ (answered + missed), T in seconds"

// Response is the answer of the report about speed: of answering and of calling
// back, and whether one call was enough.
type Response struct {
	Head
	WithinSeconds int             `json:"within_seconds" doc:"T: what counts as a quick answer"`
	ServiceLevel  string          `json:"service_level_formula" doc:"Which of the formulas in use service_level is"`
	GroupBy       []Dimension     `json:"group_by"`
	Rows          []ResponseRow   `json:"rows"`
	Totals        ResponseFigures `json:"totals"`
}

// ResponseRow is one line of the report.
type ResponseRow struct {
	Groups
	ResponseFigures
}

// ResponseFigures are the figures of a line, or of the totals. What is not
// available is nil.
type ResponseFigures struct {
	Answered              int64     `json:"answered"`
	Missed                int64     `json:"missed"`
	WaitMedianSeconds     *float64  `json:"wait_median_seconds" doc:"Median time to answer; null when too many gave up to tell"`
	WaitP90Seconds        *float64  `json:"wait_p90_seconds" doc:"90th percentile of the time to answer; null when too many gave up to tell"`
	WithinShare           *float64  `json:"within_share" doc:"Share of callers who are answered within T, if they wait"`
	WithinShareInterval   *Interval `json:"within_share_interval"`
	ServiceLevel          *float64  `json:"service_level" doc:"Share of callers who were answered within T"`
	ServiceLevelInterval  *Interval `json:"service_level_interval"`
	CalledBack            int64     `json:"called_back" doc:"Missed calls that were called back within 24 hours, and somebody was reached"`
	CalledBackRate        *float64  `json:"called_back_rate"`
	CalledBackInterval    *Interval `json:"called_back_rate_interval"`
	CallbackMedianSeconds *float64  `json:"callback_median_seconds" doc:"Median time from a missed call until somebody was reached by calling back; null while fewer than half were"`
	CallbackP90Seconds    *float64  `json:"callback_p90_seconds"`
	FirstContacts         *int64    `json:"first_contacts" doc:"Answered calls of identified callers that began a matter; null until seven days after the period"`
	FirstContactRate      *float64  `json:"first_contact_rate" doc:"Share of them without a further call about the same matter within seven days"`
	FirstContactInterval  *Interval `json:"first_contact_rate_interval"`
}

var responseFigures = []string{
	"answered", "missed", "wait_median_seconds", "wait_p90_seconds", "within_share", "within_share_interval", "service_level", "service_level_interval",
	"called_back", "called_back_rate", "called_back_rate_interval", "callback_median_seconds", "callback_p90_seconds",
	"first_contacts", "first_contact_rate", "first_contact_rate_interval",
}

// responseSums gathers one line.
type responseSums struct {
	answered, missed, quick int64
	waits, backs            waits
	calledBack              int64
	contacts, resolved      int64
	latest                  int64 // contact
}

// responseCall is a call with what the report needs besides.
type responseCall struct {
	*call
	offered []*agent // whose phones rang, of a missed call
	waits   *waited  // nil where it is not known how long
	back    *waited  // of a missed call
	contact bool     // it began a matter
	settled bool     // and there was no further call about it
}

// Response answers how fast callers were answered and called back, and whether
// one call was enough. Errors: Invalid with the fields of the query, NotFound
// for an unknown account.
func (d *Desk) Response(ctx context.Context, q ResponseQuery) (*Response, error) {
	if q.WithinSeconds == 0 {
		q.WithinSeconds = defaultWithin
	}
	if q.WithinSeconds < 1 || q.WithinSeconds > maxWithin {
		return nil, callwheel.InvalidField("within_seconds", "must be from 1 to %d", maxWithin)
	}
	var answer *Response
	asked := Query{AccountID: q.AccountID, From: q.From, Until: q.Until, TZ: q.TZ, GroupBy: q.GroupBy, Filters: q.Filters}
	err := d.ask(ctx, "response", asked, func(ctx context.Context, db store.Querier, qu question) error {
		b, err := readBook(ctx, db, qu.AccountID)
		if err != nil {
			return err
		}
		now := d.now()
		r := responder{sheet: newSheet(qu), book: b, within: q.WithinSeconds, sums: map[*line]*responseSums{}}
		if err := eachResponse(ctx, db, b, qu, now, r.add); err != nil {
			return err
		}
		answer = r.answer(now)
		return nil
	})
	return answer, err
}

// eachResponse calls fn with the calls of the range by time. It holds a week of
// them and the weeks around it, because that is where further calls about a matter
// are.
func eachResponse(ctx context.Context, db store.Querier, b *book, qu question, now time.Time, fn func(responseCall)) error {
	const around = contactDays * day
	from := store.Micros(qu.period.From)
	back, err := readCallbacks(ctx, db, qu.AccountID, from, store.Micros(now)+day)
	if err != nil {
		return err
	}
	var near []*call
	known := from - around // until when calls were read
	for _, p := range qu.period.weeks() {
		week := qu
		week.period = p
		end := store.Micros(p.Until)
		before := len(near)
		err := eachCall(ctx, db, qu.AccountID, known, end+around, func(c *call) error {
			if !c.blocked() {
				near = append(near, c)
			}
			return nil
		})
		if err == nil {
			err = readTags(ctx, db, qu.AccountID, b, near[before:])
		}
		if err != nil {
			return err
		}
		missed, err := readMissed(ctx, db, week, b)
		if err != nil {
			return err
		}
		settled := firstContacts(near, b)
		for _, c := range near {
			if !week.period.contains(c.StartedAt) || !c.answered() && !c.missed() {
				continue
			}
			one := responseCall{call: c}
			one.settled, one.contact = settled[c.ID]
			if c.answered() {
				one.waits = c.answeredAfter()
			} else {
				one.missedAs(missed[c.ID], back[c.ID], store.Micros(now))
			}
			fn(one)
		}
		near = slices.DeleteFunc(near, func(c *call) bool { return c.StartedAt < end-around })
		known = end + around
	}
	return nil
}

// answeredAfter is how long the caller of an answered call waited; nil where it
// is not known.
func (c *call) answeredAfter() *waited {
	if waits := cmp.Or(c.RingSeconds, c.WaitSeconds); waits != nil {
		return &waited{float64(*waits), true}
	}
	return nil
}

// missedCall is how long the caller of a missed call waited for somebody.
type missedCall struct {
	CallID           string `db:"call_id"`
	EndedAt          *int64 `db:"ended_at"`
	VoicemailSeconds *int64 `db:"voicemail_seconds"`
	RingingAt        *int64 `db:"ringing_at"` // the first phone
	SilentAt         *int64 `db:"silent_at"`  // the last phone
	offered          []*agent
}

// ofMissed are the calls of a range that nobody answered.
const ofMissed = `
	WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound' AND COALESCE(c.outcome, '') <> 'answered'`

// readRung reads when phones rang for the calls of a period that nobody answered,
// by call.
func readRung(ctx context.Context, db store.Querier, accountID string, p Period) (map[string]*missedCall, error) {
	var list []missedCall
	err := db.Select(ctx, &list, `
		SELECT c.call_id, c.ended_at, c.voicemail_seconds,
			(SELECT min(l.ringing_at) FROM legs l WHERE l.account_id = c.account_id AND l.call_id = c.call_id) AS ringing_at,
			(SELECT max(l.ended_at) FROM legs l WHERE l.account_id = c.account_id AND l.call_id = c.call_id) AS silent_at
		FROM calls c`+ofMissed, accountID, store.Micros(p.From), store.Micros(p.Until))
	if err != nil {
		return nil, fmt.Errorf("read missed calls: %w", err)
	}
	byCall := map[string]*missedCall{}
	for i := range list {
		byCall[list[i].CallID] = &list[i]
	}
	return byCall, nil
}

// readMissed reads when phones rang for the calls of the range that nobody
// answered, and whose.
func readMissed(ctx context.Context, db store.Querier, qu question, b *book) (map[string]*missedCall, error) {
	missed, err := readRung(ctx, db, qu.AccountID, qu.period)
	if err != nil {
		return nil, err
	}
	var rang []struct {
		offer
		StartedAt int64 `db:"started_at"`
	}
	err = db.Select(ctx, &rang, `
		SELECT DISTINCT c.call_id, l.number, c.started_at
		FROM calls c JOIN legs l ON l.account_id = c.account_id AND l.call_id = c.call_id`+ofMissed+`
		ORDER BY c.call_id, l.number`,
		qu.AccountID, store.Micros(qu.period.From), store.Micros(qu.period.Until))
	if err != nil {
		return nil, fmt.Errorf("read missed calls: %w", err)
	}
	for _, r := range rang {
		if a := b.holder(r.Number, r.StartedAt); a != nil && missed[r.CallID] != nil && !slices.Contains(missed[r.CallID].offered, a) {
			missed[r.CallID].offered = append(missed[r.CallID].offered, a)
		}
	}
	return missed, nil
}

// missedAs fills what is known of a missed call: how long its caller waited and
// how long until they were called back, by now.
func (c *responseCall) missedAs(m *missedCall, calledAt, now int64) {
	switch {
	case calledAt >= c.StartedAt && calledAt > 0:
		c.back = &waited{float64(calledAt-c.StartedAt) / float64(second), true}
	default:
		c.back = &waited{float64(max(now-c.StartedAt, 0)) / float64(second), false}
	}
	if m != nil {
		c.offered, c.waits = m.offered, m.gaveUpAfter(c.call)
	}
}

// gaveUpAfter is how long the caller of a missed call waited: until they hung up,
// or until the phones were silent and a voicemail began; nil where it is not
// known.
func (m *missedCall) gaveUpAfter(c *call) *waited {
	from := c.StartedAt
	if m.RingingAt != nil {
		from = *m.RingingAt
	}
	until := int64(0)
	switch {
	case m.VoicemailSeconds != nil && m.SilentAt != nil:
		until = *m.SilentAt
	case m.EndedAt != nil:
		until = *m.EndedAt
		if m.VoicemailSeconds != nil {
			until -= *m.VoicemailSeconds * second
		}
	case c.DurationSeconds != nil:
		until = c.StartedAt + *c.DurationSeconds*second
	}
	if until == 0 {
		return nil
	}
	return &waited{float64(max(until-from, 0)) / float64(second), false}
}

// firstContacts finds the answered calls of identified callers that began a matter: no
// answered call about it in the seven days before; and says of each whether it
// settled the matter: no further call about it in the seven days after. Calls of
// one caller are about the same matter when they share a tag, or when one of
// them has none.
func firstContacts(calls []*call, b *book) map[string]bool {
	byCaller := map[string][]*call{}
	for _, c := range calls {
		if d, judged := b.outcomes[c.DispositionID]; c.Caller != "" && (!judged || d.Genuine) {
			byCaller[c.Caller] = append(byCaller[c.Caller], c)
		}
	}
	settled := map[string]bool{}
	for _, of := range byCaller {
		for i, c := range of {
			if !c.answered() || slices.ContainsFunc(of[:i], func(o *call) bool { return o.answered() && o.sameMatter(c) }) {
				continue
			}
			settled[c.ID] = !slices.ContainsFunc(of[i+1:], c.sameMatter)
		}
	}
	return settled
}

// sameMatter says whether two calls of one caller within seven days are about
// the same matter.
func (c *call) sameMatter(o *call) bool {
	if max(c.StartedAt, o.StartedAt)-min(c.StartedAt, o.StartedAt) > contactDays*day {
		return false
	}
	if len(c.tags) == 0 || len(o.tags) == 0 {
		return true
	}
	return slices.ContainsFunc(c.tags, func(t string) bool { return slices.Contains(o.tags, t) })
}

// responder gathers the lines.
type responder struct {
	*sheet
	book   *book
	within int
	sums   map[*line]*responseSums
	all    responseSums
}

// add adds a call to its lines: in rows by agent a missed call stands in the row
// of everybody whose phone rang.
func (r *responder) add(c responseCall) {
	var places []*line
	offered := c.offered
	if len(offered) == 0 {
		offered = []*agent{nil}
	}
	for _, rang := range offered {
		var at cell
		at.ofCall(r.book, c.call)
		at.ofAttribution(r.book, c.call)
		at.at = c.StartedAt
		if rang != nil {
			at.names[8] = rang.Name
		}
		for _, l := range r.place(at) {
			if !slices.Contains(places, l) {
				places = append(places, l)
			}
		}
	}
	for _, l := range places {
		l.calls++
		if r.sums[l] == nil {
			r.sums[l] = &responseSums{}
		}
		r.sums[l].add(c, r.within)
	}
	if len(places) > 0 {
		r.all.add(c, r.within)
	}
}

func (s *responseSums) add(c responseCall, within int) {
	if c.answered() {
		s.answered++
	} else {
		s.missed++
	}
	if c.waits != nil {
		s.waits.add(*c.waits)
		if c.waits.ended && c.waits.seconds <= float64(within) {
			s.quick++
		}
	}
	if c.back != nil {
		s.backs.add(*c.back)
		if c.back.ended && c.back.seconds <= callbackHours*3600 {
			s.calledBack++
		}
	}
	if c.contact {
		s.contacts++
		s.latest = max(s.latest, c.StartedAt)
		if c.settled {
			s.resolved++
		}
	}
}

func (r *responder) answer(now time.Time) *Response {
	a := &Response{
		Head: head("response", r.qu.period, r.qu.account.Currency, now, responseFigures), WithinSeconds: r.within, ServiceLevel: ServiceLevelFormula,
		GroupBy: append([]Dimension{}, r.qu.GroupBy...), Rows: []ResponseRow{},
	}
	for _, l := range r.sorted() {
		s := r.sums[l]
		if s == nil {
			continue
		}
		row := ResponseRow{ResponseFigures: s.figures(r.within, !r.ends(s.latest).AddDate(0, 0, contactDays).After(now))}
		for j, d := range r.qu.GroupBy {
			*row.of(d) = &l.names[j]
		}
		a.Rows = append(a.Rows, row)
	}
	a.Totals = r.all.figures(r.within, !r.qu.period.Until.AddDate(0, 0, contactDays).After(now))
	return a
}

// ends is when the period of a row ends in which something was at the instant:
// of rows by day, week or month that unit's, else the range's.
func (r *responder) ends(at int64) time.Time {
	until := r.qu.period.Until
	for _, d := range r.qu.GroupBy {
		unit := map[Dimension]Unit{Day: ByDay, Week: ByWeek, Month: ByMonth}[d]
		if unit == "" || at == 0 {
			continue
		}
		if end := dayStart(nextBound(dateOf(time.UnixMicro(at), r.qu.zone), unit), r.qu.zone); end.Before(until) {
			until = end
		}
	}
	return until
}

// figures works a line out. old says that its period ended long enough ago to
// know whether callers called again.
func (s *responseSums) figures(within int, old bool) ResponseFigures {
	r := ResponseFigures{Answered: s.answered, Missed: s.missed, CalledBack: s.calledBack}
	waits, backs := s.waits.survival(), s.backs.survival()
	r.WaitMedianSeconds, r.WaitP90Seconds = waits.quantile(0.5), waits.quantile(0.9)
	r.CallbackMedianSeconds, r.CallbackP90Seconds = backs.quantile(0.5), backs.quantile(0.9)
	if len(s.waits) > 0 {
		share, interval := waits.within(float64(within))
		r.WithinShare, r.WithinShareInterval = number(share), interval
	}
	r.ServiceLevel, r.ServiceLevelInterval = mean(s.quick, s.answered+s.missed, 1), wilson(s.quick, s.answered+s.missed)
	r.CalledBackRate, r.CalledBackInterval = mean(s.calledBack, s.missed, 1), wilson(s.calledBack, s.missed)
	if old {
		r.FirstContacts = &s.contacts
		r.FirstContactRate, r.FirstContactInterval = mean(s.resolved, s.contacts, 1), wilson(s.resolved, s.contacts)
	}
	return r
}

// Table returns the report as a table.
func (a *Response) Table() Table {
	t := Table{Title: "Response", Rows: [][]string{}, Facts: append(a.facts(),
		Fact{"within_seconds", strconv.Itoa(a.WithinSeconds)}, Fact{"service_level_formula", a.ServiceLevel})}
	for _, d := range a.GroupBy {
		t.Columns = append(t.Columns, Column{string(d), true})
	}
	for _, name := range []string{
		"answered", "missed", "wait_median_seconds", "wait_p90_seconds", "within_share", "within_share_interval_low", "within_share_interval_high",
		"service_level", "service_level_interval_low", "service_level_interval_high",
		"called_back", "called_back_rate", "called_back_rate_interval_low", "called_back_rate_interval_high",
		"callback_median_seconds", "callback_p90_seconds",
		"first_contacts", "first_contact_rate", "first_contact_rate_interval_low", "first_contact_rate_interval_high",
	} {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	for _, r := range a.Rows {
		var names []string
		for _, d := range a.GroupBy {
			names = append(names, r.Name(d))
		}
		t.Rows = append(t.Rows, append(names, r.texts()...))
	}
	t.Totals = make([]string, len(a.GroupBy), len(t.Columns))
	for i := range t.Totals {
		t.Totals[i] = " "
	}
	if len(t.Totals) > 0 {
		t.Totals[0] = "total"
	}
	t.Totals = append(t.Totals, a.Totals.texts()...)
	t.Notes = append(t.Notes, fmt.Sprintf("Callers who gave up, or were sent to voicemail, count as waits that would have gone on (Kaplan-Meier); "+
		"whether one call was enough is shown for periods that ended %d days ago", contactDays))
	return t
}

func (r ResponseFigures) texts() []string {
	return []string{
		countText(r.Answered), countText(r.Missed), numberText(r.WaitMedianSeconds), numberText(r.WaitP90Seconds),
		numberText(r.WithinShare), endText(r.WithinShareInterval, 0), endText(r.WithinShareInterval, 1),
		numberText(r.ServiceLevel), endText(r.ServiceLevelInterval, 0), endText(r.ServiceLevelInterval, 1),
		countText(r.CalledBack), numberText(r.CalledBackRate), endText(r.CalledBackInterval, 0), endText(r.CalledBackInterval, 1),
		numberText(r.CallbackMedianSeconds), numberText(r.CallbackP90Seconds),
		secondsText(r.FirstContacts), numberText(r.FirstContactRate), endText(r.FirstContactInterval, 0), endText(r.FirstContactInterval, 1),
	}
}
