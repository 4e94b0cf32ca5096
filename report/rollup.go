package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// settle is how long a transaction may take between stamping a row and
// committing it: changes are looked for that much further back. Requests end
// long before.
const settle = 10 * time.Minute

const (
	// rollBatch is how many days one step counts.
	rollBatch = 60
	// manyChanges is when following changes one by one is dearer than counting
	// every day again.
	manyChanges = 50_000
)

// span64 is a half-open range of instants in micros.
type span64 struct{ from, until int64 }

// rollable says whether prepared days can answer the question's counts.
func (s *sheet) rollable() bool {
	return !s.qu.oneByOne && s.spendOK && s.qu.zone.String() == s.qu.account.zone.String()
}

// state says how far changes have been followed, and for which account as it
// was the days were prepared.
type state struct {
	TZ        string `db:"tz"`
	Currency  string `db:"currency"`
	MarginPPM *int64 `db:"margin_ppm"`
	SeenUntil int64  `db:"seen_until"`
}

const selectState = `SELECT tz, currency, margin_ppm, seen_until FROM daily_states WHERE account_id = ?`

// holds says whether the days are still cut and valued as the account is now.
func (s state) holds(a account) bool {
	same := s.MarginPPM == a.MarginPPM || s.MarginPPM != nil && a.MarginPPM != nil && *s.MarginPPM == *a.MarginPPM
	return s.TZ == a.TZ && s.Currency == a.Currency && same
}

// changed is a call that was written since some instant.
type changed struct {
	ID        string `db:"call_id"`
	StartedAt int64  `db:"started_at"`
	Caller    string `db:"caller"`
}

// counted is where a call was last counted.
type countedCall struct {
	ID        string `db:"call_id"`
	DayOn     string `db:"day_on"`
	StartedAt int64  `db:"started_at"`
	Caller    string `db:"caller"`
}

// changedDays lists the days whose counts may differ from what was prepared,
// given every change stamped at or after since: the present day of each changed
// call, the day it was counted in, and the days of later calls of its callers,
// who may have become, or stopped being, first-time callers. ok is false when
// there are too many to follow.
func changedDays(ctx context.Context, q store.Querier, accountID string, zone *time.Location, since int64) (days map[string]bool, ok bool, err error) {
	var list []changed
	// CROSS JOIN begins with the few that changed, whatever SQLite supposes.
	err = q.Select(ctx, &list, `
		SELECT c.call_id, c.started_at, COALESCE(c.from_e164, '') AS caller FROM calls c WHERE c.account_id = ? AND c.updated_at >= ?
		UNION ALL SELECT c.call_id, c.started_at, COALESCE(c.from_e164, '') FROM attributions a
		CROSS JOIN calls c WHERE c.account_id = a.account_id AND c.call_id = a.call_id AND a.account_id = ? AND a.attributed_at >= ?
		UNION ALL SELECT c.call_id, c.started_at, COALESCE(c.from_e164, '') FROM call_desks k
		CROSS JOIN calls c WHERE c.account_id = k.account_id AND c.call_id = k.call_id AND k.account_id = ? AND k.updated_at >= ?
		LIMIT ?`, accountID, since, accountID, since, accountID, since, manyChanges)
	if err != nil {
		return nil, false, fmt.Errorf("read what changed: %w", err)
	}
	if len(list) == manyChanges {
		return nil, false, nil
	}
	days = map[string]bool{}
	earliest := map[string]int64{}
	ids := make([]string, len(list))
	note := func(caller string, at int64) {
		if t, ok := earliest[caller]; caller != "" && (!ok || at < t) {
			earliest[caller] = at
		}
	}
	for i, c := range list {
		ids[i] = c.ID
		days[dayName(c.StartedAt, zone)] = true
		note(c.Caller, c.StartedAt)
	}
	before, err := selectIn[countedCall](ctx, q, accountID, ids, `SELECT call_id, day_on, started_at, caller FROM daily_calls WHERE account_id = ? AND call_id IN (?)`)
	if err != nil {
		return nil, false, fmt.Errorf("read where calls were counted: %w", err)
	}
	for _, c := range before {
		days[c.DayOn] = true
		note(c.Caller, c.StartedAt)
	}
	others, err := selectIn[changed](ctx, q, accountID, sortedKeys(earliest), `
		SELECT call_id, started_at, from_e164 AS caller FROM calls WHERE account_id = ? AND from_e164 IN (?) AND direction = 'inbound'`)
	if err != nil {
		return nil, false, fmt.Errorf("read other calls of the callers: %w", err)
	}
	for _, c := range others {
		if c.StartedAt >= earliest[c.Caller] {
			days[dayName(c.StartedAt, zone)] = true
		}
	}
	ok, err = changedSales(ctx, q, accountID, zone, since, ids, days)
	return days, ok, err
}

// soldMoment is when a sale was made, and when the call began on which it was
// booked.
type soldMoment struct {
	SoldAt    int64  `db:"sold_at"`
	StartedAt *int64 `db:"started_at"`
}

// changedSales adds the days whose sales may differ: of sales and refunds
// recorded since, the days of the sale and of its call; and of the calls that
// have changed, the days of their sales, and those that their sales ever had: a
// file may tell that one was made on another day, or not at all.
func changedSales(ctx context.Context, q store.Querier, accountID string, zone *time.Location, since int64, calls []string, days map[string]bool) (ok bool, err error) {
	var list []soldMoment
	err = q.Select(ctx, &list, `
		SELECT s.sold_at, c.started_at FROM sales s
		LEFT JOIN calls c ON c.account_id = s.account_id AND c.call_id = s.call_id
		WHERE s.account_id = ? AND s.recorded_at >= ?
		UNION ALL SELECT s.sold_at, c.started_at FROM sales r
		CROSS JOIN sales s
		LEFT JOIN calls c ON c.account_id = s.account_id AND c.call_id = s.call_id
		WHERE s.account_id = r.account_id AND s.sale_id = r.refund_of AND r.account_id = ? AND r.recorded_at >= ? AND r.refund_of <> ''
		LIMIT ?`, accountID, since, accountID, since, manyChanges)
	if err != nil {
		return false, fmt.Errorf("read what was sold since: %w", err)
	}
	if len(list) == manyChanges {
		return false, nil
	}
	ofCalls, err := selectIn[soldMoment](ctx, q, accountID, calls, `SELECT sold_at FROM sales WHERE account_id = ? AND call_id IN (?)`)
	if err != nil {
		return false, fmt.Errorf("read sales of the calls that changed: %w", err)
	}
	for _, m := range append(list, ofCalls...) {
		days[dayName(m.SoldAt, zone)] = true
		if m.StartedAt != nil {
			days[dayName(*m.StartedAt, zone)] = true
		}
	}
	told, err := selectIn[string](ctx, q, accountID, calls, `SELECT detail FROM judgements WHERE account_id = ? AND call_id IN (?) AND kind = 'sold'`)
	if err != nil {
		return false, fmt.Errorf("read when the calls that changed had sold: %w", err)
	}
	for _, detail := range told {
		var was struct {
			SoldAt time.Time `json:"sold_at"`
		}
		if err := json.Unmarshal([]byte(detail), &was); err != nil {
			return false, fmt.Errorf("read when the calls that changed had sold: %w", err)
		}
		if !was.SoldAt.IsZero() {
			days[dayName(store.Micros(was.SoldAt), zone)] = true
		}
	}
	return true, nil
}

func dayName(us int64, zone *time.Location) string {
	return time.UnixMicro(us).In(zone).Format(dateFormat)
}

// fact is what was counted of the calls of a day.
type fact struct {
	factKey
	Calls     int64 `db:"calls"`
	Answered  int64 `db:"answered"`
	Missed    int64 `db:"missed"`
	Blocked   int64 `db:"blocked"`
	FirstTime int64 `db:"first_time"`
	Qualified int64 `db:"qualified"`
}

func (f *fact) addTo(l *line) {
	l.calls += f.Calls
	l.answered += f.Answered
	l.missed += f.Missed
	l.blocked += f.Blocked
	l.firstTime += f.FirstTime
	l.qualified += f.Qualified
}

// soldFact is what was sold on a day, credited to the stored winners.
type soldFact struct {
	factKey
	soldSum
	Unlike int64 `db:"unlike"`
}

// earnedFact is what the calls of a day sold within a number of days.
type earnedFact struct {
	factKey
	Days    int64 `db:"days"`
	Sales   int64 `db:"sales"`
	Revenue int64 `db:"revenue_micros"`
	Unlike  int64 `db:"unlike"`
}

// prepared is which days of the range are answered from what was counted ahead:
// whole days only, for the range may begin or end inside one.
type prepared struct {
	runs []dayRun // of days in a row
	raw  []span64 // the rest of the range
}

// dayRun are the days from the first to the last, both included.
type dayRun struct{ first, last string }

// prepare finds the days that are prepared and fresh.
func prepare(ctx context.Context, q store.Querier, s *sheet) (prepared, error) {
	var fresh map[string]bool
	if s.rollable() {
		var err error
		if fresh, err = freshDays(ctx, q, s.qu); err != nil {
			return prepared{}, err
		}
	}
	return cutOut(s.qu.period, fresh), nil
}

// cutOut takes the named days out of the period.
func cutOut(p Period, names map[string]bool) prepared {
	if len(names) == 0 {
		return prepared{raw: []span64{{store.Micros(p.From), store.Micros(p.Until)}}}
	}
	var ready prepared
	from := p.From
	for _, d := range p.days() {
		start, end := dayStart(d, p.Zone), dayStart(d.AddDate(0, 0, 1), p.Zone)
		name := d.Format(dateFormat)
		if end.After(p.Until) || !names[name] {
			continue
		}
		if n := len(ready.runs); n > 0 && from.Equal(start) {
			ready.runs[n-1].last = name
		} else {
			ready.runs = append(ready.runs, dayRun{name, name})
		}
		if from.Before(start) {
			ready.raw = append(ready.raw, span64{store.Micros(from), store.Micros(start)})
		}
		from = end
	}
	if from.Before(p.Until) {
		ready.raw = append(ready.raw, span64{store.Micros(from), store.Micros(p.Until)})
	}
	return ready
}

// without takes days out again that cannot be used for one purpose.
func (p prepared) without(period Period, days []string) prepared {
	if len(days) == 0 {
		return p
	}
	names := map[string]bool{}
	for _, d := range period.days() {
		names[d.Format(dateFormat)] = p.has(d.Format(dateFormat))
	}
	for _, name := range days {
		names[name] = false
	}
	return cutOut(period, names)
}

func (p prepared) has(day string) bool {
	return slices.ContainsFunc(p.runs, func(r dayRun) bool { return day >= r.first && day <= r.last })
}

// factKey is what a prepared line is about.
type factKey struct {
	DayOn    string `db:"day_on"` // "" in sums over days
	SourceID string `db:"source_id"`
	Source   string `db:"source"`
	Medium   string `db:"medium"`
	Campaign string `db:"campaign"`
}

// cell is where the line belongs; ok is false for a day that cannot be read.
func (f factKey) cell(b *book, zone *time.Location) (c cell, ok bool) {
	c.ofCall(b, nil)
	if f.SourceID == "" && (f.Source == UntrackedRow || f.Source == NoneRow) {
		c.literal(f.Source)
	} else {
		c.names[0], c.names[1], c.names[2] = b.source(f.SourceID, f.Source), orNone(f.Medium), orNone(f.Campaign)
	}
	if f.DayOn == "" {
		return c, true
	}
	date, err := parseDate(f.DayOn)
	c.at = store.Micros(dayStart(date, zone))
	return c, err == nil
}

// dayColumn tells days apart where the rows do.
func (s *sheet) dayColumn() string {
	if slices.ContainsFunc(s.qu.GroupBy, Dimension.ofTime) {
		return `day_on`
	}
	return `''`
}

// sumDays reads the sums of prepared lines, run by run.
func sumDays[T any](ctx context.Context, q store.Querier, s *sheet, table, sums string, ready prepared) ([]T, error) {
	var list []T
	text := `SELECT ` + s.dayColumn() + ` AS day_on, source_id, source, medium, campaign, ` + sums + `
		FROM ` + table + ` WHERE account_id = ? AND day_on >= ? AND day_on <= ? GROUP BY 1, 2, 3, 4, 5`
	for _, run := range ready.runs {
		var part []T
		if err := q.Select(ctx, &part, text, s.qu.AccountID, run.first, run.last); err != nil {
			return nil, fmt.Errorf("read prepared days: %w", err)
		}
		list = append(list, part...)
	}
	return list, nil
}

// total is a column added up as the whole number that it is.
func total(columns ...string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = `CAST(SUM(` + c + `) AS BIGINT) AS ` + c
	}
	return strings.Join(list, `, `)
}

var (
	factColumns   = []string{"calls", "answered", "missed", "blocked", "first_time", "qualified"}
	soldColumns   = []string{"sales", "valued", "revenue_micros", "contribution_micros", "no_margin", "unlike"}
	earnedColumns = []string{"sales", "revenue_micros", "unlike"}
)

// countPrepared adds the calls of the days that are prepared.
func countPrepared(ctx context.Context, q store.Querier, b *book, s *sheet, ready prepared) error {
	facts, err := sumDays[fact](ctx, q, s, `daily_facts`, total(factColumns...), ready)
	if err != nil {
		return err
	}
	for i := range facts {
		if c, ok := facts[i].cell(b, s.qu.zone); ok {
			s.count(c, facts[i].addTo)
		}
	}
	return nil
}

// givePrepared credits the sales of the days that are prepared, and returns
// which of them could be used.
func givePrepared(ctx context.Context, q store.Querier, b *book, s *sheet, ready prepared) (prepared, error) {
	ready, err := onlyAlike(ctx, q, s, `daily_sales`, ready)
	if err != nil {
		return ready, err
	}
	facts, err := sumDays[soldFact](ctx, q, s, `daily_sales`, total(soldColumns...)+`, SUM(squares) AS squares`, ready)
	if err != nil {
		return ready, err
	}
	for i := range facts {
		if c, ok := facts[i].cell(b, s.qu.zone); ok {
			s.count(c, facts[i].addTo)
		}
	}
	return ready, nil
}

// earnPrepared adds what the calls of the days that are prepared have earned,
// and returns which of them could be used.
func earnPrepared(ctx context.Context, q store.Querier, b *book, s *sheet, ready prepared) (prepared, error) {
	ready, err := onlyAlike(ctx, q, s, `daily_earnings`, ready)
	if err != nil {
		return ready, err
	}
	for h, days := range horizonDays {
		facts, err := sumDays[earnedFact](ctx, q, s, fmt.Sprintf(`(SELECT * FROM daily_earnings WHERE days = %d) AS e`, days), total(earnedColumns...), ready)
		if err != nil {
			return ready, err
		}
		for _, f := range facts {
			if c, ok := f.cell(b, s.qu.zone); ok {
				s.count(c, func(l *line) {
					l.horizons[h].credit += float64(f.Sales)
					l.horizons[h].revenue += f.Revenue
				})
			}
		}
	}
	return ready, nil
}

// onlyAlike leaves out the days with amounts in other currencies: what those are
// worth is not prepared.
func onlyAlike(ctx context.Context, q store.Querier, s *sheet, table string, ready prepared) (prepared, error) {
	if len(ready.runs) == 0 {
		return ready, nil
	}
	var days []string
	err := q.Select(ctx, &days, `SELECT DISTINCT day_on FROM `+table+` WHERE account_id = ? AND day_on >= ? AND day_on <= ? AND unlike > 0`,
		s.qu.AccountID, ready.runs[0].first, ready.runs[len(ready.runs)-1].last)
	if err != nil {
		return prepared{}, fmt.Errorf("read prepared days: %w", err)
	}
	return ready.without(s.qu.period, days), nil
}

// spans are the instants of the prepared days.
func (p prepared) spans(zone *time.Location) ([]span64, error) {
	var list []span64
	for _, run := range p.runs {
		first, err := parseDate(run.first)
		if err != nil {
			return nil, err
		}
		last, err := parseDate(run.last)
		if err != nil {
			return nil, err
		}
		list = append(list, span64{store.Micros(dayStart(first, zone)), store.Micros(dayStart(last.AddDate(0, 0, 1), zone))})
	}
	return list, nil
}

// period is the span seen in a zone.
func (r span64) contains(at int64) bool { return at >= r.from && at < r.until }

func (r span64) period(zone *time.Location) Period {
	return Period{From: store.FromMicros(r.from), Until: store.FromMicros(r.until), Zone: zone}
}

// freshDays lists the prepared days on which nothing has changed since.
func freshDays(ctx context.Context, q store.Querier, qu question) (map[string]bool, error) {
	var states []state
	if err := q.Select(ctx, &states, selectState, qu.AccountID); err != nil {
		return nil, fmt.Errorf("read the state of prepared days: %w", err)
	}
	if len(states) == 0 || !states[0].holds(qu.account) {
		return nil, nil
	}
	stale, ok, err := changedDays(ctx, q, qu.AccountID, qu.zone, states[0].SeenUntil-settle.Microseconds())
	if err != nil || !ok {
		return nil, err
	}
	var names []string
	err = q.Select(ctx, &names, `SELECT day_on FROM daily_marks WHERE account_id = ? AND rolled_at > 0 AND day_on >= ? AND day_on <= ?`,
		qu.AccountID, dayName(store.Micros(qu.period.From), qu.zone), dayName(store.Micros(qu.period.Until), qu.zone))
	if err != nil {
		return nil, fmt.Errorf("read prepared days: %w", err)
	}
	fresh := map[string]bool{}
	for _, name := range names {
		if !stale[name] {
			fresh[name] = true
		}
	}
	return fresh, nil
}

// RollUp is the job's step: it follows what has changed, marks the days
// concerned, and counts up to sixty closed days of all accounts. done is how
// many it counted. Repeating it is harmless; a report is the same without it.
func (d *Desk) RollUp(ctx context.Context, now time.Time) (done int, err error) {
	var accounts []account
	if err := d.db.Select(ctx, &accounts, `SELECT account_id, tz, currency, margin_ppm FROM accounts ORDER BY account_id`); err != nil {
		return 0, fmt.Errorf("roll up: %w", err)
	}
	for _, a := range accounts {
		if a.zone, err = loadZone(a.TZ); err != nil {
			d.log.WarnContext(ctx, "roll up: the account's zone cannot be read", "account_id", a.ID, "tz", a.TZ)
			continue
		}
		n, err := d.rollAccount(ctx, a, now, rollBatch-done)
		done += n
		if err != nil {
			return done, fmt.Errorf("roll up account %s: %w", a.ID, err)
		}
		if done >= rollBatch || ctx.Err() != nil {
			break
		}
	}
	d.metrics.rolled.Add(float64(done))
	return done, nil
}

func (d *Desk) rollAccount(ctx context.Context, a account, now time.Time, most int) (int, error) {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return follow(ctx, tx, a, now) })
	if err != nil {
		return 0, err
	}
	// The oldest first: whether a call is its caller's first rests on the calls
	// before it, and whose those were is remembered once their day is counted.
	var stale []string
	err = d.db.Select(ctx, &stale, `SELECT day_on FROM daily_marks WHERE account_id = ? AND rolled_at = 0 AND day_on < ? ORDER BY day_on LIMIT ?`,
		a.ID, dayName(store.Micros(now), a.zone), most)
	if err != nil {
		return 0, err
	}
	for i, day := range stale {
		err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return rollDay(ctx, tx, a, day, now) })
		if err != nil {
			return i, fmt.Errorf("count %s: %w", day, err)
		}
	}
	return len(stale), nil
}

// follow marks the days that changed since the last time, and the days that
// have closed since.
func follow(ctx context.Context, tx *store.Tx, a account, now time.Time) error {
	var states []state
	if err := tx.Select(ctx, &states, selectState+tx.ForUpdate(), a.ID); err != nil {
		return err
	}
	fromScratch := len(states) == 0 || !states[0].holds(a)
	days := map[string]bool{}
	if !fromScratch {
		list, ok, err := changedDays(ctx, tx, a.ID, a.zone, states[0].SeenUntil-settle.Microseconds())
		if err != nil {
			return err
		}
		days, fromScratch = list, !ok
	}
	if fromScratch {
		for _, table := range []string{"daily_facts", "daily_sales", "daily_earnings", "daily_calls", "daily_marks", "daily_states"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE account_id = ?`, a.ID); err != nil {
				return err
			}
		}
		days = map[string]bool{}
	}
	closed, err := closedDays(ctx, tx, a, now)
	if err != nil {
		return err
	}
	for day := range closed {
		days[day] = true
	}
	for _, day := range sortedKeys(days) {
		_, err := tx.Exec(ctx, `
			INSERT INTO daily_marks (account_id, day_on, rolled_at) VALUES (?, ?, 0)
			ON CONFLICT (account_id, day_on) DO UPDATE SET rolled_at = 0`, a.ID, day)
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO daily_states (account_id, tz, currency, margin_ppm, seen_until) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account_id) DO UPDATE SET
			tz = excluded.tz, currency = excluded.currency, margin_ppm = excluded.margin_ppm, seen_until = excluded.seen_until`,
		a.ID, a.TZ, a.Currency, a.MarginPPM, store.Micros(now))
	return err
}

// closedDays lists the days before today that have no mark yet, from the first
// call on.
func closedDays(ctx context.Context, tx *store.Tx, a account, now time.Time) (map[string]bool, error) {
	var first []int64
	if err := tx.Select(ctx, &first, `SELECT started_at FROM calls WHERE account_id = ? ORDER BY started_at LIMIT 1`, a.ID); err != nil || len(first) == 0 {
		return nil, err
	}
	var marked []string
	if err := tx.Select(ctx, &marked, `SELECT day_on FROM daily_marks WHERE account_id = ?`, a.ID); err != nil {
		return nil, err
	}
	days := map[string]bool{}
	today := dateOf(now, a.zone)
	for d := dateOf(time.UnixMicro(first[0]), a.zone); d.Before(today); d = d.AddDate(0, 0, 1) {
		days[d.Format(dateFormat)] = true
	}
	for _, name := range marked {
		delete(days, name)
	}
	return days, nil
}

// rollDay counts one day again and remembers which calls it counted.
func rollDay(ctx context.Context, tx *store.Tx, a account, day string, now time.Time) error {
	date, err := parseDate(day)
	if err != nil {
		return err
	}
	var rolled int64
	if err := tx.Get(ctx, &rolled, `SELECT rolled_at FROM daily_marks WHERE account_id = ? AND day_on = ?`+tx.ForUpdate(), a.ID, day); err != nil {
		return err
	}
	facts, err := countDay(ctx, tx, a, date)
	if err != nil {
		return err
	}
	for _, table := range []string{"daily_facts", "daily_sales", "daily_earnings", "daily_calls"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE account_id = ? AND day_on = ?`, a.ID, day); err != nil {
			return err
		}
	}
	if err := writeFacts(ctx, tx, a.ID, facts); err != nil {
		return err
	}
	for part := range slices.Chunk(facts.calls, 200) {
		if err := rememberCalls(ctx, tx, a.ID, day, part); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE daily_marks SET rolled_at = ? WHERE account_id = ? AND day_on = ?`, store.Micros(now), a.ID, day)
	return err
}

func rememberCalls(ctx context.Context, tx *store.Tx, accountID, day string, calls []*call) error {
	args := make([]any, 0, 5*len(calls))
	for _, c := range calls {
		args = append(args, accountID, c.ID, day, c.StartedAt, c.Caller)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO daily_calls (account_id, call_id, day_on, started_at, caller) VALUES (?, ?, ?, ?, ?)`+
		strings.Repeat(`, (?, ?, ?, ?, ?)`, len(calls)-1)+`
		ON CONFLICT (account_id, call_id) DO UPDATE SET day_on = excluded.day_on, started_at = excluded.started_at, caller = excluded.caller`,
		args...)
	return err
}

// dayFacts is everything that is prepared of a day, in the order of its keys.
type dayFacts struct {
	counts []fact
	sold   []soldFact
	earned []earnedFact
	calls  []*call // that were counted
}

func (f dayFacts) sameAs(other dayFacts) bool {
	return slices.Equal(f.counts, other.counts) && slices.Equal(f.sold, other.sold) && slices.Equal(f.earned, other.earned)
}

// countDay works everything out that is prepared of a date.
func countDay(ctx context.Context, q store.Querier, a account, date time.Time) (dayFacts, error) {
	b, err := readBook(ctx, q, a.ID)
	if err != nil {
		return dayFacts{}, err
	}
	day := date.Format(dateFormat)
	r := span64{store.Micros(dayStart(date, a.zone)), store.Micros(dayStart(date.AddDate(0, 0, 1), a.zone))}
	var f dayFacts
	counts := map[factKey]fact{}
	err = eachCall(ctx, q, a.ID, r.from, r.until, func(k *call) error {
		f.calls = append(f.calls, k)
		key := keyOf(k, day)
		var l line
		b.counted(k)(&l)
		one := counts[key]
		one.factKey = key
		one.add(&l)
		counts[key] = one
		return nil
	})
	if err == nil {
		f.sold, err = soldOn(ctx, q, a, day, r)
	}
	if err == nil {
		f.earned, err = earnedOn(ctx, q, a, day, r)
	}
	f.counts = byKey(counts, factKey.compare)
	return f, err
}

func (f *fact) add(l *line) {
	f.Calls += l.calls
	f.Answered += l.answered
	f.Missed += l.missed
	f.Blocked += l.blocked
	f.FirstTime += l.firstTime
	f.Qualified += l.qualified
}

// byKey lists the values in the order of their keys.
func byKey[K comparable, V any](m map[K]V, compare func(a, b K) int) []V {
	keys := slices.SortedFunc(maps.Keys(m), compare)
	list := make([]V, len(keys))
	for i, key := range keys {
		list[i] = m[key]
	}
	return list
}

func (f factKey) compare(other factKey) int {
	return cmp.Or(
		strings.Compare(f.DayOn, other.DayOn), strings.Compare(f.SourceID, other.SourceID), strings.Compare(f.Source, other.Source),
		strings.Compare(f.Medium, other.Medium), strings.Compare(f.Campaign, other.Campaign))
}

// keyOf is the line of the call, or of what was sold on it; a nil call is none.
func keyOf(k *call, day string) factKey {
	switch {
	case k == nil:
		return factKey{DayOn: day, Source: NoneRow, Medium: NoneRow, Campaign: NoneRow}
	case !k.tracked():
		return factKey{DayOn: day, Source: UntrackedRow, Medium: UntrackedRow, Campaign: UntrackedRow}
	}
	return factKey{DayOn: day, SourceID: k.SourceID, Source: k.Source, Medium: k.Medium, Campaign: k.Campaign}
}

// key is keyOf for a sum.
func (p *standing) key(day string) factKey {
	if p.Standing == ofTracked {
		return factKey{DayOn: day, SourceID: p.SourceID, Source: p.Source, Medium: p.Medium, Campaign: p.Campaign}
	}
	if p.Standing == ofNoCall {
		return keyOf(nil, day)
	}
	return keyOf(&call{}, day)
}

var factGrouping = groupingBy([]Dimension{Source, Medium, Campaign})

// soldOn adds up the sales of a day.
func soldOn(ctx context.Context, q store.Querier, a account, day string, r span64) ([]soldFact, error) {
	sums, odd, err := sumSales(ctx, q, a, factGrouping, r)
	if err != nil {
		return nil, err
	}
	facts := map[factKey]soldFact{}
	for i := range sums {
		key := sums[i].key(day)
		f := facts[key]
		f.factKey = key
		f.add(sums[i].soldSum)
		facts[key] = f
	}
	unit := float64(callwheel.MinorUnit(a.Currency))
	for _, one := range odd {
		key := keyOf(one.call, day)
		f := facts[key]
		f.factKey = key
		if one.Currency == a.Currency {
			f.add(one.conversion(a).sum(unit))
		} else {
			f.Unlike++
		}
		facts[key] = f
	}
	return byKey(facts, factKey.compare), nil
}

// sum is one sale as sums have it.
func (v conversion) sum(unit float64) soldSum {
	revenue := float64(v.value) / unit
	s := soldSum{Sales: 1, Revenue: v.value, Contribution: v.margin, Squares: revenue * revenue}
	if v.value != 0 {
		s.Valued = 1
	}
	if v.noMargin {
		s.NoMargin = 1
	}
	return s
}

type earnedKey struct {
	factKey
	days int64
}

func (k earnedKey) compare(other earnedKey) int {
	return cmp.Or(k.factKey.compare(other.factKey), cmp.Compare(k.days, other.days))
}

// earnedOn adds up what the calls of a day sold.
func earnedOn(ctx context.Context, q store.Querier, a account, day string, r span64) ([]earnedFact, error) {
	sums, odd, err := sumEarned(ctx, q, a, factGrouping, r)
	if err != nil {
		return nil, err
	}
	facts := map[earnedKey]earnedFact{}
	add := func(at factKey, h int, more earnedFact) {
		key := earnedKey{at, int64(horizonDays[h])}
		f := facts[key]
		f.factKey, f.Days = at, key.days
		f.Sales += more.Sales
		f.Revenue += more.Revenue
		f.Unlike += more.Unlike
		facts[key] = f
	}
	for i := range sums {
		for h, one := range sums[i].horizons() {
			add(sums[i].key(day), h, earnedFact{Sales: int64(one.credit), Revenue: one.revenue})
		}
	}
	for _, one := range odd {
		v := conversion{at: one.SoldAt, call: one.call}
		for h, days := range horizonDays {
			if len(v.storedAtHorizon(days)) > 0 {
				add(keyOf(one.call, day), h, earnedFact{Unlike: 1})
			}
		}
	}
	maps.DeleteFunc(facts, func(_ earnedKey, f earnedFact) bool { return f.Sales == 0 && f.Unlike == 0 })
	return byKey(facts, earnedKey.compare), nil
}

// storedFacts reads what is prepared of a day.
func storedFacts(ctx context.Context, q store.Querier, accountID, day string) (dayFacts, error) {
	var f dayFacts
	from := ` FROM %s WHERE account_id = ? AND day_on = ? ORDER BY day_on, source_id, source, medium, campaign`
	const key = `SELECT day_on, source_id, source, medium, campaign, `
	err := q.Select(ctx, &f.counts, key+strings.Join(factColumns, `, `)+fmt.Sprintf(from, `daily_facts`), accountID, day)
	if err == nil {
		err = q.Select(ctx, &f.sold, key+`squares, `+strings.Join(soldColumns, `, `)+fmt.Sprintf(from, `daily_sales`), accountID, day)
	}
	if err == nil {
		err = q.Select(ctx, &f.earned, key+`days, `+strings.Join(earnedColumns, `, `)+fmt.Sprintf(from, `daily_earnings`)+`, days`, accountID, day)
	}
	if err != nil {
		return f, fmt.Errorf("read what is prepared: %w", err)
	}
	// The database may sort texts its own way.
	slices.SortStableFunc(f.counts, func(a, b fact) int { return a.compare(b.factKey) })
	slices.SortStableFunc(f.sold, func(a, b soldFact) int { return a.compare(b.factKey) })
	slices.SortStableFunc(f.earned, func(a, b earnedFact) int { return a.compare(b.factKey) })
	return f, nil
}

func writeFacts(ctx context.Context, tx *store.Tx, accountID string, facts dayFacts) error {
	for _, f := range facts.counts {
		_, err := tx.Exec(ctx, `
			INSERT INTO daily_facts (account_id, day_on, source_id, source, medium, campaign, calls, answered, missed, blocked, first_time, qualified)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			accountID, f.DayOn, f.SourceID, f.Source, f.Medium, f.Campaign, f.Calls, f.Answered, f.Missed, f.Blocked, f.FirstTime, f.Qualified)
		if err != nil {
			return err
		}
	}
	for _, f := range facts.sold {
		_, err := tx.Exec(ctx, `
			INSERT INTO daily_sales (account_id, day_on, source_id, source, medium, campaign, sales, valued, revenue_micros, contribution_micros, squares, no_margin, unlike)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			accountID, f.DayOn, f.SourceID, f.Source, f.Medium, f.Campaign, f.Sales, f.Valued, f.Revenue, f.Contribution, f.Squares, f.NoMargin, f.Unlike)
		if err != nil {
			return err
		}
	}
	for _, f := range facts.earned {
		_, err := tx.Exec(ctx, `
			INSERT INTO daily_earnings (account_id, day_on, source_id, source, medium, campaign, days, sales, revenue_micros, unlike)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			accountID, f.DayOn, f.SourceID, f.Source, f.Medium, f.Campaign, f.Days, f.Sales, f.Revenue, f.Unlike)
		if err != nil {
			return err
		}
	}
	return nil
}
