package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
)

// StoredWinner is the model that looks at no path: a call, and what it sold,
// belong to whom the call's own attribution names, as it stands.
const StoredWinner = "stored_winner"

// storedWinner is the name alone: what is credited is decided by
// [conversion.stored].
var storedWinner = attribution.Model{Name: StoredWinner, Text: StoredWinner}

// findModel adds the stored winner to the models of paths.
func findModel(name string, with attribution.Params) (attribution.Model, error) {
	if name == StoredWinner {
		if with != (attribution.Params{}) {
			return storedWinner, callwheel.InvalidField("model", "%s has no parameters", StoredWinner)
		}
		return storedWinner, nil
	}
	return attribution.FindModel(name, with)
}

// stored says whether the question is about stored winners.
func (qu question) stored() bool { return qu.model.Name == StoredWinner }

// stored gives the conversion to the attribution of its call. Without a call
// nobody is known to have earned it.
func (v conversion) stored() way {
	switch {
	case v.call == nil:
		return way{literal: NoneRow, weight: 1}
	case !v.call.tracked():
		return way{literal: UntrackedRow, weight: 1}
	}
	return way{path: []touch{v.call.touch()}, alone: true, weight: 1}
}

// storedAtHorizon is the sale's call, when it began in the days before the sale.
func (v conversion) storedAtHorizon(days int) []way {
	if v.call == nil || !v.call.tracked() || v.call.StartedAt > v.at || v.call.StartedAt < v.at-spanOf(days).Microseconds() {
		return nil
	}
	return []way{v.stored()}
}

func spanOf(days int) time.Duration { return time.Duration(days) * 24 * time.Hour }

// touch is the call as a touch of what it was attributed to.
func (c *call) touch() touch {
	from := c.arrival()
	return touch{id: c.ID, at: c.StartedAt, call: c.ID, arrival: &from}
}

func (c *call) arrival() arrival {
	return arrival{c.SourceID, c.Source, c.Medium, c.Campaign, c.Term, c.Content, c.LandingPage}
}

// loadSaleCalls reads the calls on which sales were booked that are not the
// person's own: a number that was corrected since, an outbound call.
func (p *people) loadSaleCalls(ctx context.Context) error {
	missing := map[string]bool{}
	for _, one := range p.persons {
		for _, s := range one.sales {
			if p.calls[s.CallID] == nil {
				missing[s.CallID] = true
			}
		}
	}
	list, err := callsIn(ctx, p.db, p.account, sortedKeys(missing), `c.call_id IN (?)`)
	if err != nil {
		return fmt.Errorf("read calls of sales: %w", err)
	}
	for _, c := range list {
		p.calls[c.ID] = c
	}
	return nil
}

// summable says whether the database can add up what the rows are about: they
// and the filters are by names of the call itself. Moments, tags and agents take
// the zone, several rows and a phone's history into account.
func (s *sheet) summable() bool {
	if s.qu.oneByOne {
		return false
	}
	for _, d := range s.dimensions() {
		if sumColumns[d] == "" {
			return false
		}
	}
	return true
}

// dimensions lists what rows are grouped or filtered by.
func (s *sheet) dimensions() []Dimension {
	list := slices.Clone(s.qu.GroupBy)
	for d := range s.qu.Filters {
		if !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	return list
}

// sumColumns are the columns by which sums are told apart, by dimension.
var sumColumns = map[Dimension]string{
	Source:         `COALESCE(a.source_id, '') AS source_id, COALESCE(a.source, '') AS source`,
	Medium:         `COALESCE(a.medium, '') AS medium`,
	Campaign:       `COALESCE(a.campaign, '') AS campaign`,
	Term:           `COALESCE(a.term, '') AS term`,
	Content:        `COALESCE(a.content, '') AS content`,
	LandingPage:    `COALESCE(a.landing_page, '') AS landing_page`,
	TrackingNumber: `COALESCE(c.tracking_number, '') AS tracking_number`,
	Pool:           `COALESCE(a.pool_id, '') AS pool_id`,
}

// Where a sum stands: with a source, with none, or without a call at all.
const (
	ofTracked   = 1
	ofUntracked = 0
	ofNoCall    = -1
)

// isTracked is [call.tracked] in SQL.
const isTracked = `a.verdict IN ('winner', 'source') AND a.source <> '' AND a.confidence >= 0.7`

const whereStands = `CASE WHEN ` + isTracked + ` THEN 1 WHEN c.call_id IS NULL THEN -1 ELSE 0 END AS standing`

// grouping is how sums are told apart: the columns, and the same by number.
type grouping struct{ columns, ordinals string }

// grouping tells apart what the rows and filters need and nothing else.
func (s *sheet) grouping() grouping { return groupingBy(s.dimensions()) }

func groupingBy(dimensions []Dimension) grouping {
	list := []string{whereStands}
	for _, d := range dimensions {
		list = append(list, sumColumns[d])
	}
	columns := strings.Join(list, `, `)
	ordinals := make([]string, strings.Count(columns, ` AS `))
	for i := range ordinals {
		ordinals[i] = fmt.Sprint(i + 1)
	}
	return grouping{columns, strings.Join(ordinals, `, `)}
}

// standing is where a sum belongs. Which of the columns are filled depends on
// the question.
type standing struct {
	Standing       int64  `db:"standing"` // ofTracked, …
	SourceID       string `db:"source_id"`
	Source         string `db:"source"`
	Medium         string `db:"medium"`
	Campaign       string `db:"campaign"`
	Term           string `db:"term"`
	Content        string `db:"content"`
	LandingPage    string `db:"landing_page"`
	TrackingNumber string `db:"tracking_number"`
	PoolID         string `db:"pool_id"`
}

// cell is where the sum belongs.
func (p *standing) cell(b *book) cell {
	var c cell
	switch p.Standing {
	case ofNoCall:
		c.ofCall(b, nil)
		c.literal(NoneRow)
		return c
	case ofTracked:
		c = touch{arrival: &arrival{p.SourceID, p.Source, p.Medium, p.Campaign, p.Term, p.Content, p.LandingPage}}.cell(b)
	default:
		c.literal(UntrackedRow)
	}
	c.ofCall(b, &call{TrackingNumber: p.TrackingNumber, PoolID: p.PoolID})
	return c
}

// callSum is what calls of one kind add up to.
type callSum struct {
	standing
	Calls     int64 `db:"calls"`
	Answered  int64 `db:"answered"`
	Missed    int64 `db:"missed"`
	Blocked   int64 `db:"blocked"`
	FirstTime int64 `db:"first_time"`
	Qualified int64 `db:"qualified"`
}

func (f *callSum) add(l *line) {
	l.calls += f.Calls
	l.answered += f.Answered
	l.missed += f.Missed
	l.blocked += f.Blocked
	l.firstTime += f.FirstTime
	l.qualified += f.Qualified
}

// callSums adds up [book.counted] over the inbound calls of a span.
const callSums = `,
	CAST(SUM(CASE WHEN c.outcome = 'blocked' THEN 0 ELSE 1 END) AS BIGINT) AS calls,
	CAST(SUM(CASE WHEN c.outcome = 'answered' THEN 1 ELSE 0 END) AS BIGINT) AS answered,
	CAST(SUM(CASE WHEN c.outcome IN (` + missedOutcomes + `) THEN 1 ELSE 0 END) AS BIGINT) AS missed,
	CAST(SUM(CASE WHEN c.outcome = 'blocked' THEN 1 ELSE 0 END) AS BIGINT) AS blocked,
	CAST(SUM(CASE WHEN c.outcome = 'blocked' OR c.from_e164 IS NULL THEN 0 WHEN EXISTS (
		SELECT 1 FROM calls p
		WHERE p.account_id = c.account_id AND p.from_e164 = c.from_e164 AND p.direction = 'inbound'
		AND p.started_at <= c.started_at AND (p.started_at, p.call_id) < (c.started_at, c.call_id)
	) THEN 0 ELSE 1 END) AS BIGINT) AS first_time,
	CAST(SUM(CASE WHEN c.outcome = 'blocked' THEN 0 WHEN k.disposition_id IN (
		SELECT d.disposition_id FROM dispositions d WHERE d.account_id = ? AND d.qualified
	) THEN 1 ELSE 0 END) AS BIGINT) AS qualified`

// countSums counts the calls of a span in the database.
func countSums(ctx context.Context, db store.Querier, b *book, s *sheet, r span64) error {
	by := s.grouping()
	var list []callSum
	err := db.Select(ctx, &list, `SELECT `+by.columns+callSums+callJoins+`
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
		GROUP BY `+by.ordinals, s.qu.AccountID, s.qu.AccountID, r.from, r.until)
	if err != nil {
		return fmt.Errorf("count calls: %w", err)
	}
	for i := range list {
		s.count(list[i].cell(b), list[i].add)
	}
	return nil
}

// soldSum is what sales come to.
type soldSum struct {
	Sales        int64   `db:"sales"`
	Valued       int64   `db:"valued"`
	Revenue      int64   `db:"revenue_micros"`
	Contribution int64   `db:"contribution_micros"`
	Squares      float64 `db:"squares"`
	NoMargin     int64   `db:"no_margin"`
}

// saleSum is what sales of one kind add up to.
type saleSum struct {
	standing
	soldSum
}

func (f *soldSum) add(s soldSum) {
	f.Sales += s.Sales
	f.Valued += s.Valued
	f.Revenue += s.Revenue
	f.Contribution += s.Contribution
	f.Squares += s.Squares
	f.NoMargin += s.NoMargin
}

func (f *soldSum) addTo(l *line) {
	l.credit += float64(f.Sales)
	l.conversions += f.Valued
	l.revenue += f.Revenue
	l.contribution += f.Contribution
	l.squares += f.Squares
	l.noMargin = l.noMargin || f.NoMargin > 0
}

// A sale is simple when the database can work its money out: it is in the
// account's currency, and no margin of it was given back. Others are odd, and
// told one by one.
const (
	isSale     = `s.account_id = ? AND s.refund_of = '' AND s.value_micros >= 0`
	simpleSale = isSale + ` AND s.currency = ? AND (s.refunded_micros = 0 OR s.margin_micros IS NULL)`
	oddSale    = isSale + ` AND (s.currency <> ? OR (s.refunded_micros <> 0 AND s.margin_micros IS NOT NULL))`
)

// saleSums adds up what [conversion.worthSale] says of simple sales. The margin
// by the account's rate is [account.marginOf].
const saleSums = `,
	COUNT(s.sale_id) AS sales,
	CAST(SUM(CASE WHEN s.value_micros <> s.refunded_micros THEN 1 ELSE 0 END) AS BIGINT) AS valued,
	CAST(SUM(s.value_micros - s.refunded_micros) AS BIGINT) AS revenue_micros,
	CAST(SUM(COALESCE(s.margin_micros,
		(s.value_micros - s.refunded_micros) / 1000000 * CAST(? AS BIGINT)
		+ ((s.value_micros - s.refunded_micros) % 1000000 * CAST(? AS BIGINT) + 500000) / 1000000)) AS BIGINT) AS contribution_micros,
	SUM(CAST(s.value_micros - s.refunded_micros AS DOUBLE PRECISION) / CAST(? AS DOUBLE PRECISION)
		* (CAST(s.value_micros - s.refunded_micros AS DOUBLE PRECISION) / CAST(? AS DOUBLE PRECISION))) AS squares,
	CAST(SUM(CASE WHEN s.margin_micros IS NULL AND s.value_micros <> s.refunded_micros THEN CAST(? AS BIGINT) ELSE 0 END) AS BIGINT) AS no_margin`

// sumSales adds up the simple sales of a span and lists the odd ones.
func sumSales(ctx context.Context, db store.Querier, a account, by grouping, r span64) ([]saleSum, []soldOnCall, error) {
	var rate, unknown int64 = 0, 1
	if a.MarginPPM != nil {
		rate, unknown = *a.MarginPPM, 0
	}
	unit := float64(callwheel.MinorUnit(a.Currency))
	var list []saleSum
	err := db.Select(ctx, &list, `SELECT `+by.columns+saleSums+`
		FROM sales s
		LEFT JOIN calls c ON c.account_id = s.account_id AND c.call_id = s.call_id
		LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
		WHERE `+simpleSale+` AND s.sold_at >= ? AND s.sold_at < ?
		GROUP BY `+by.ordinals, rate, rate, unit, unit, unknown, a.ID, a.Currency, r.from, r.until)
	if err != nil {
		return nil, nil, fmt.Errorf("add up sales: %w", err)
	}
	odd, err := readSales(ctx, db, a, `SELECT `+ofSales+` FROM sales s WHERE `+oddSale+` AND s.sold_at >= ? AND s.sold_at < ?`,
		a.ID, a.Currency, r.from, r.until)
	return list, odd, err
}

// ofSales are [saleColumns] of the table named s.
const ofSales = `s.sale_id, s.call_id, s.person, s.value_micros, s.margin_micros, s.currency, s.sold_at, s.refund_of, s.refunded_micros`

// soldOnCall is a sale with its call, nil when that is not known.
type soldOnCall struct {
	*sale
	call *call
}

// conversion is the sale as something that is credited.
func (s soldOnCall) conversion(a account) conversion {
	v := conversion{id: s.ID, at: s.SoldAt, call: s.call, prev: noPrev}
	v.worthSale(a, s.sale)
	return v
}

// readSales reads sales one by one, each with its call and what was given back.
func readSales(ctx context.Context, db store.Querier, a account, query string, args ...any) ([]soldOnCall, error) {
	var rows []sale
	if err := db.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read sales: %w", err)
	}
	byID, ids := map[string]*sale{}, map[string]bool{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
		ids[rows[i].CallID] = true
	}
	back, err := selectIn[sale](ctx, db, a.ID, sortedKeys(byID), `SELECT `+saleColumns+` FROM sales WHERE account_id = ? AND refund_of IN (?) AND refund_of <> ''`)
	if err != nil {
		return nil, fmt.Errorf("read refunds: %w", err)
	}
	for i := range back {
		byID[back[i].ID] = &back[i]
	}
	calls, err := callsIn(ctx, db, a.ID, sortedKeys(ids), `c.call_id IN (?)`)
	if err != nil {
		return nil, fmt.Errorf("read calls of sales: %w", err)
	}
	ofCall := map[string]*call{}
	for _, c := range calls {
		ofCall[c.ID] = c
	}
	var list []soldOnCall
	for _, s := range netOf(byID) {
		list = append(list, soldOnCall{s, ofCall[s.CallID]})
	}
	slices.SortFunc(list, func(a, b soldOnCall) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// wonOutcomes are the imported outcomes that were won in the period, as their
// persons have them. They are few, and an import can move them: they are never
// prepared or summed.
func wonOutcomes(ctx context.Context, db store.Querier, b *book, qu question, period Period) ([]conversion, error) {
	rows, err := outcomesWon(ctx, db, qu.AccountID, period)
	if err != nil {
		return nil, err
	}
	return conversionsOf(ctx, db, b, qu, rows, period)
}

func outcomesWon(ctx context.Context, db store.Querier, accountID string, period Period) ([]outcome, error) {
	var rows []outcome
	err := db.Select(ctx, &rows, `SELECT `+outcomeColumns+` FROM outcomes
		WHERE account_id = ? AND won_at >= ? AND won_at < ?`, accountID, store.Micros(period.From), store.Micros(period.Until))
	if err != nil {
		return nil, fmt.Errorf("read imported outcomes: %w", err)
	}
	return rows, nil
}

// conversionsOf are these imported outcomes, as far as they were won in the period.
func conversionsOf(ctx context.Context, db store.Querier, b *book, qu question, rows []outcome, period Period) ([]conversion, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	who, ids := newSeeds(), map[string]bool{}
	for _, o := range rows {
		who.add(o.Person)
		ids[o.ID] = true
	}
	p, err := loadPeople(ctx, db, qu.AccountID, who, scope{})
	if err != nil {
		return nil, err
	}
	list := p.conversions(ForSale, qu.account, b, period)
	return slices.DeleteFunc(list, func(v conversion) bool { return !ids[v.id] }), nil
}

// giveOne credits one conversion to its stored winner.
func (s *sheet) giveOne(b *book, v conversion) {
	s.give(b, s.once(v, v.stored()))
}

// earnOne adds what one conversion has earned for a call of the span.
func (s *sheet) earnOne(b *book, v conversion, r span64) {
	for h, days := range horizonDays {
		s.earn(b, h, s.once(v, v.storedAtHorizon(days)...), r.contains)
	}
}

// creditStored credits the sales of the range to the stored winners of their
// calls: from prepared days, then by sums where the rows allow it, else one by
// one.
func creditStored(ctx context.Context, db store.Querier, b *book, s *sheet, ready prepared, horizons bool) error {
	period := s.qu.period
	if horizons {
		period = horizonOf(period)
	}
	var won []conversion
	if len(ready.runs) > 0 || s.summable() {
		var err error
		if won, err = wonOutcomes(ctx, db, b, s.qu, period); err != nil {
			return err
		}
	}
	if err := giveStored(ctx, db, b, s, ready, won); err != nil || !horizons {
		return err
	}
	return earnStored(ctx, db, b, s, ready, won)
}

func giveStored(ctx context.Context, db store.Querier, b *book, s *sheet, ready prepared, won []conversion) error {
	ready, err := givePrepared(ctx, db, b, s, ready)
	if err != nil {
		return err
	}
	spans, err := ready.spans(s.qu.zone)
	if err != nil {
		return err
	}
	for _, r := range ready.raw {
		if !s.summable() {
			if err := giveCredit(ctx, db, b, s, nil, r.period(s.qu.zone), false); err != nil {
				return err
			}
			continue
		}
		sums, odd, err := sumSales(ctx, db, s.qu.account, s.grouping(), r)
		if err != nil {
			return err
		}
		for i := range sums {
			s.count(sums[i].cell(b), sums[i].addTo)
		}
		for _, one := range odd {
			s.giveOne(b, one.conversion(s.qu.account))
		}
		spans = append(spans, r)
	}
	for _, v := range won {
		if slices.ContainsFunc(spans, func(r span64) bool { return r.contains(v.at) }) {
			s.giveOne(b, v)
		}
	}
	return nil
}

// earnedSum is what calls of one kind sold within the horizons.
type earnedSum struct {
	standing
	Sales30    int64 `db:"sales_30"`
	Revenue30  int64 `db:"revenue_30"`
	Sales90    int64 `db:"sales_90"`
	Revenue90  int64 `db:"revenue_90"`
	Sales365   int64 `db:"sales_365"`
	Revenue365 int64 `db:"revenue_365"`
}

// horizons are the sums in the order of [horizonDays].
func (e *earnedSum) horizons() [len(horizonDays)]horizonLine {
	return [...]horizonLine{
		{credit: float64(e.Sales30), revenue: e.Revenue30},
		{credit: float64(e.Sales90), revenue: e.Revenue90},
		{credit: float64(e.Sales365), revenue: e.Revenue365},
	}
}

func (e *earnedSum) add(l *line) {
	for h, one := range e.horizons() {
		l.horizons[h].credit += one.credit
		l.horizons[h].revenue += one.revenue
	}
}

// dayMicros is 24 hours in the unit of instants.
const dayMicros = int64(24 * time.Hour / time.Microsecond)

var earnedSums = func() string {
	var text strings.Builder
	for _, days := range horizonDays {
		within := fmt.Sprintf(`CASE WHEN s.sold_at - c.started_at <= %d`, int64(days)*dayMicros)
		fmt.Fprintf(&text, `,
	CAST(SUM(%s THEN 1 ELSE 0 END) AS BIGINT) AS sales_%d,
	CAST(SUM(%s THEN s.value_micros - s.refunded_micros ELSE 0 END) AS BIGINT) AS revenue_%d`, within, days, within, days)
	}
	return text.String()
}()

// earned is what tracked calls of a span sold in the longest horizon, and which
// way to look for it: a wide span through its sales, of which there are fewer, a
// narrow one through its calls. CROSS JOIN keeps the order.
func earned(a account, r span64) (text string, args []any) {
	const longest = longestHorizon * dayMicros
	text, args = `FROM sales s CROSS JOIN calls c CROSS JOIN attributions a WHERE s.sold_at >= ? AND s.sold_at <= ? AND `, []any{r.from, r.until + longest}
	if r.until-r.from < 32*dayMicros {
		text, args = `FROM calls c CROSS JOIN sales s CROSS JOIN attributions a WHERE `, nil
	}
	text += `c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND s.account_id = c.account_id AND s.call_id = c.call_id
		AND s.sold_at >= c.started_at AND s.sold_at <= c.started_at + CAST(? AS BIGINT)
		AND a.account_id = c.account_id AND a.call_id = c.call_id AND ` + isTracked + `
		AND ` + isSale
	return text, append(args, a.ID, r.from, r.until, longest, a.ID)
}

// sumEarned adds up what the calls of a span sold within the horizons, and
// lists what was sold in other currencies.
func sumEarned(ctx context.Context, db store.Querier, a account, by grouping, r span64) ([]earnedSum, []soldOnCall, error) {
	from, args := earned(a, r)
	args = append(args, a.Currency)
	var list []earnedSum
	err := db.Select(ctx, &list, `SELECT `+by.columns+earnedSums+` `+from+` AND s.currency = ? GROUP BY `+by.ordinals, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("add up what calls earned: %w", err)
	}
	odd, err := readSales(ctx, db, a, `SELECT `+ofSales+` `+from+` AND s.currency <> ?`, args...)
	return list, odd, err
}

// earnStored adds up what the calls of the range have earned.
func earnStored(ctx context.Context, db store.Querier, b *book, s *sheet, ready prepared, won []conversion) error {
	ready, err := earnPrepared(ctx, db, b, s, ready)
	if err != nil {
		return err
	}
	spans, err := ready.spans(s.qu.zone)
	if err != nil {
		return err
	}
	for _, r := range ready.raw {
		if !s.summable() {
			if err := earnHorizons(ctx, db, b, s, r.period(s.qu.zone)); err != nil {
				return err
			}
			continue
		}
		sums, odd, err := sumEarned(ctx, db, s.qu.account, s.grouping(), r)
		if err != nil {
			return err
		}
		for i := range sums {
			s.count(sums[i].cell(b), sums[i].add)
		}
		for _, one := range odd {
			s.earnOne(b, one.conversion(s.qu.account), r)
		}
		spans = append(spans, r)
	}
	for _, v := range won {
		for _, r := range spans {
			s.earnOne(b, v, r)
		}
	}
	return nil
}
