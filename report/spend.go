package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Spend is what a source cost over the dates [From, Until) of the account's
// zone. Source, medium, campaign and dates together name it, whatever their
// case: the same again corrects the cost.
type Spend struct {
	ID        string
	Source    string
	Medium    string
	Campaign  string
	From      string // YYYY-MM-DD
	Until     string // the day after the last
	Cost      callwheel.Money
	CreatedAt time.Time
	UpdatedAt time.Time
}

// SpendItem is spend as it is handed in. At says where it stood, for what is
// said about it: "items[3]", "line 7", or "" when it came alone.
type SpendItem struct {
	At       string
	Source   string
	Medium   string
	Campaign string
	From     string
	Until    string
	Cost     callwheel.Money
}

// SpendImported says what an import did.
type SpendImported struct {
	Created   int `json:"created"`
	Corrected int `json:"corrected"`
	Unchanged int `json:"unchanged"`
}

// maxCost is the largest cost of one item, in micros: sums of thousands of them
// still fit.
const maxCost = 1_000_000_000_000_000

const maxSpendName = 300

// field names a field of the item in an error.
func (i SpendItem) field(name string) string {
	if i.At == "" {
		return name
	}
	return i.At + "." + name
}

// clean trims the names and lists what is wrong with the item.
func (i *SpendItem) clean() []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, callwheel.FieldError{Field: i.field(field), Message: fmt.Sprintf(format, args...)})
	}
	for _, n := range []struct {
		field string
		text  *string
	}{{"source", &i.Source}, {"medium", &i.Medium}, {"campaign", &i.Campaign}} {
		*n.text = strings.Join(strings.Fields(*n.text), " ")
		switch {
		case !utf8.ValidString(*n.text), strings.ContainsFunc(*n.text, unicode.IsControl):
			refuse(n.field, "must be text without control characters")
		case utf8.RuneCountInString(*n.text) > maxSpendName:
			refuse(n.field, "must have at most %d characters", maxSpendName)
		}
	}
	if i.Source == "" {
		refuse("source", "must not be empty")
	}
	from, err := parseDate(i.From)
	if err != nil {
		refuse("from", "%v", err)
	}
	until, err2 := parseDate(i.Until)
	if err2 != nil {
		refuse("until", "%v", err2)
	}
	switch {
	case err != nil || err2 != nil:
	case !from.Before(until):
		refuse("until", "must be after from: it is the day after the last")
	case dates(from, until) > maxRangeDays:
		refuse("until", "the span has more than %d days", maxRangeDays)
	}
	switch {
	case i.Cost.Micros < 0:
		refuse("cost", "must not be negative")
	case i.Cost.Micros > maxCost:
		refuse("cost", "must be at most %s", callwheel.Money{Micros: maxCost, Currency: i.Cost.Currency})
	}
	if err := callwheel.CheckCurrency(i.Cost.Currency); err != nil {
		refuse("cost", "%q is not an upper-case ISO 4217 code", clip(i.Cost.Currency))
	}
	return bad
}

// Key is what makes the item one of its kind: the same again corrects.
func (i SpendItem) Key() string { return i.id("") }

// id derives the spend's id from what names it.
func (i SpendItem) id(accountID string) string {
	return callwheel.DerivedID("spend", accountID, fold(i.Source), fold(i.Medium), fold(i.Campaign), i.From, i.Until)
}

// dates counts the dates of [from, until).
func dates(from, until time.Time) int64 { return int64(until.Sub(from) / (24 * time.Hour)) }

// ImportSpend takes all items or none. An item with the source, medium,
// campaign and dates of one that is there corrects its cost. It fails with kind
// Invalid and one field error per thing that is wrong; two items of one import
// with the same key are refused, because one of them would be lost.
func (d *Desk) ImportSpend(ctx context.Context, accountID string, items []SpendItem) (SpendImported, error) {
	var bad []callwheel.FieldError
	seen := map[string]string{}
	ids := make([]string, len(items))
	items = slices.Clone(items)
	for n := range items {
		bad = append(bad, items[n].clean()...)
		ids[n] = items[n].id(accountID)
		if first, ok := seen[ids[n]]; ok {
			bad = append(bad, callwheel.FieldError{Field: items[n].field("source"), Message: "the same source, medium, campaign and dates as " + first})
			continue
		}
		seen[ids[n]] = items[n].At
	}
	if err := callwheel.InvalidFields(bad); err != nil {
		return SpendImported{}, err
	}
	var done SpendImported
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = SpendImported{}
		var found string
		if err := tx.Get(ctx, &found, `SELECT account_id FROM accounts WHERE account_id = ?`, accountID); err != nil {
			return err
		}
		had, err := selectIn[spendRow](ctx, tx, accountID, ids, selectSpend+` AND spend_id IN (?)`)
		if err != nil {
			return err
		}
		before := map[string]spendRow{}
		for _, row := range had {
			before[row.ID] = row
		}
		now := store.Micros(d.now())
		for n, item := range items {
			old, ok := before[ids[n]]
			switch {
			case !ok:
				done.Created++
			case old.Cost == item.Cost.Micros && old.Currency == item.Cost.Currency:
				done.Unchanged++
				continue
			default:
				done.Corrected++
			}
			if err := writeSpend(ctx, tx, accountID, ids[n], item, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return SpendImported{}, fmt.Errorf("import spend: %w", err)
	}
	return done, nil
}

func writeSpend(ctx context.Context, tx *store.Tx, accountID, id string, i SpendItem, now int64) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO spend (account_id, spend_id, source, medium, campaign, from_on, until_on, cost_micros, currency, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, spend_id) DO UPDATE SET
			cost_micros = excluded.cost_micros, currency = excluded.currency, updated_at = excluded.updated_at`,
		accountID, id, i.Source, i.Medium, i.Campaign, i.From, i.Until, i.Cost.Micros, i.Cost.Currency, now, now)
	return err
}

type spendRow struct {
	ID        string     `db:"spend_id"`
	Source    string     `db:"source"`
	Medium    string     `db:"medium"`
	Campaign  string     `db:"campaign"`
	From      string     `db:"from_on"`
	Until     string     `db:"until_on"`
	Cost      int64      `db:"cost_micros"`
	Currency  string     `db:"currency"`
	CreatedAt store.Time `db:"created_at"`
	UpdatedAt store.Time `db:"updated_at"`
}

const selectSpend = `
	SELECT spend_id, source, medium, campaign, from_on, until_on, cost_micros, currency, created_at, updated_at
	FROM spend WHERE account_id = ?`

func (r spendRow) spend() Spend {
	return Spend{
		ID: r.ID, Source: r.Source, Medium: r.Medium, Campaign: r.Campaign, From: r.From, Until: r.Until,
		Cost:      callwheel.Money{Micros: r.Cost, Currency: r.Currency},
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

// SpendPage asks for a part of the list: what touches the dates [From, Until)
// ("" leaves an end open), of a source ("" for all), after a position.
type SpendPage struct {
	From, Until string
	Source      string
	AfterFrom   string // From of the last one seen, with
	AfterID     string // its id
	Limit       int
}

// ListSpend lists spend, the latest dates first, stable while rows arrive.
func (d *Desk) ListSpend(ctx context.Context, accountID string, p SpendPage) ([]Spend, error) {
	var rows []spendRow
	var bad []callwheel.FieldError
	for _, end := range []struct{ field, text string }{{"from", p.From}, {"until", p.Until}} {
		if _, err := parseDate(end.text); end.text != "" && err != nil {
			bad = append(bad, callwheel.FieldError{Field: end.field, Message: err.Error()})
		}
	}
	if err := callwheel.InvalidFields(bad); err != nil {
		return nil, err
	}
	query, args := selectSpend, []any{accountID}
	for _, c := range []struct {
		condition string
		values    []any // the condition counts when the first is given
	}{
		{`until_on > ?`, []any{p.From}},
		{`from_on < ?`, []any{p.Until}},
		{`(source = ? OR lower(source) = lower(?))`, []any{p.Source, p.Source}},
		{`(from_on, spend_id) < (?, ?)`, []any{p.AfterFrom, p.AfterID}},
	} {
		if c.values[0] != "" {
			query += ` AND ` + c.condition
			args = append(args, c.values...)
		}
	}
	err := d.db.Select(ctx, &rows, query+` ORDER BY from_on DESC, spend_id DESC LIMIT ?`, append(args, p.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list spend: %w", err)
	}
	list := make([]Spend, len(rows))
	for i, r := range rows {
		list[i] = r.spend()
	}
	return list, nil
}

// SpendByKey returns the spend that an item names, or NotFound.
func (d *Desk) SpendByKey(ctx context.Context, accountID string, item SpendItem) (Spend, error) {
	item.clean()
	return d.SpendByID(ctx, accountID, item.id(accountID))
}

// SpendByID returns one spend, or NotFound.
func (d *Desk) SpendByID(ctx context.Context, accountID, id string) (Spend, error) {
	var r spendRow
	if err := d.db.Get(ctx, &r, selectSpend+` AND spend_id = ?`, accountID, id); err != nil {
		return Spend{}, fmt.Errorf("read spend: %w", err)
	}
	return r.spend(), nil
}

// DeleteSpend takes spend back, or fails with NotFound.
func (d *Desk) DeleteSpend(ctx context.Context, accountID, id string) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM spend WHERE account_id = ? AND spend_id = ?`, accountID, id)
		if err == nil && n == 0 {
			return callwheel.Errorf(callwheel.NotFound, "no such spend")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete spend: %w", err)
	}
	return nil
}

// SpendColumns are the columns of a spend file.
var SpendColumns = []LineColumn{
	{"source", true}, {"medium", false}, {"campaign", false}, {"from", true}, {"until", true}, {"amount", true}, {"currency", true},
}

// ReadSpendCSV reads a spend file: a header with source, medium, campaign,
// from, until, amount and currency, then one line each. Lines that cannot be
// read are returned as field errors ("line 7.amount") beside the items that
// can; a file that cannot be read at all, or has unknown or missing columns,
// is an error of kind Malformed or Invalid.
func ReadSpendCSV(r io.Reader) ([]SpendItem, []callwheel.FieldError, error) {
	return readFile(r, "spend file", SpendColumns, SpendOfLine)
}

// SpendOfLine reads one line of a spend file, and lists what is wrong with it.
func SpendOfLine(line Line) (SpendItem, []callwheel.FieldError) {
	if line.Problem != "" {
		return SpendItem{}, []callwheel.FieldError{{Field: line.At(), Message: line.Problem}}
	}
	item := SpendItem{
		At: line.At(), Source: line.Get("source"), Medium: line.Get("medium"), Campaign: line.Get("campaign"),
		From: line.Get("from"), Until: line.Get("until"),
	}
	var err error
	if item.Cost, err = callwheel.ParseMoney(line.Get("amount"), line.Get("currency")); err != nil {
		return item, []callwheel.FieldError{moneyProblem(item.At, err)}
	}
	bad := item.clean()
	return item, bad
}

func moneyProblem(at string, err error) callwheel.FieldError {
	var e *callwheel.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return callwheel.FieldError{Field: at + "." + e.Fields[0].Field, Message: e.Fields[0].Message}
	}
	return callwheel.FieldError{Field: at + ".amount", Message: err.Error()}
}

// perDay is the share of a span's cost that falls on its i-th date, counted
// from 0, in minor units: cumulative rounding, so that every sub-range is a
// difference of two whole numbers and the shares add up.
func perDay(cost, n, i int64) int64 { return cumulative(cost, n, i+1) - cumulative(cost, n, i) }

// cumulative is ⌊cost·i/n⌋ without overflow.
func cumulative(cost, n, i int64) int64 { return cost/n*i + cost%n*i/n }

// addSpend lays spend on the dates of the range and adds it to the lines.
func addSpend(ctx context.Context, q store.Querier, b *book, s *sheet) error {
	if !s.spendOK {
		return nil
	}
	days := s.qu.period.days()
	if len(days) == 0 {
		return nil
	}
	var rows []spendRow
	last := days[len(days)-1].AddDate(0, 0, 1)
	err := q.Select(ctx, &rows, selectSpend+` AND from_on < ? AND until_on > ?`,
		s.qu.AccountID, last.Format(dateFormat), days[0].Format(dateFormat))
	if err != nil {
		return fmt.Errorf("read spend: %w", err)
	}
	slices.SortFunc(rows, func(a, b spendRow) int { return strings.Compare(a.ID, b.ID) })
	spans, daily, err := readSpans(rows, b, s.qu.account.zone)
	if err != nil {
		return err
	}
	s.named = true
	for _, one := range spans {
		s.spendSpan(one, one.among(days), daily)
	}
	return nil
}

// spendSpan is spend whose dates and names were understood.
type spendSpan struct {
	row    spendRow
	from   time.Time
	n      int64
	source string
	medium func(date time.Time) string // "" when it has none
}

// among are the dates of the span among dates in a row.
func (one spendSpan) among(days []time.Time) []time.Time {
	last := int64(len(days))
	first := min(max(0, dates(days[0], one.from)), last)
	return days[first:max(first, min(dates(days[0], one.from)+one.n, last))]
}

func readSpans(rows []spendRow, b *book, zone *time.Location) (spans []spendSpan, daily map[string][]spendSpan, err error) {
	daily = map[string][]spendSpan{}
	for _, r := range rows {
		from, err := parseDate(r.From)
		if err != nil {
			return nil, nil, fmt.Errorf("read spend %s: %w", r.ID, err)
		}
		until, err := parseDate(r.Until)
		if err != nil {
			return nil, nil, fmt.Errorf("read spend %s: %w", r.ID, err)
		}
		one := spendSpan{row: r, from: from, n: dates(from, until), source: b.source("", r.Source)}
		own := b.mediums[fold(one.source)]
		always := cmp.Or(r.Medium, own.at(0))
		one.medium = func(time.Time) string { return always }
		if r.Medium == "" && len(own) > 1 {
			one.medium = func(date time.Time) string { return own.at(store.Micros(dayStart(date, zone))) }
		}
		spans = append(spans, one)
		if one.n == 1 {
			daily[r.From] = append(daily[r.From], one)
		}
	}
	return spans, daily, nil
}

// replaces says whether a single day's spend takes the place of a longer span's
// share: the same source, and medium and campaign agree or are left open.
func (one spendSpan) replaces(lump spendSpan) bool {
	agree := func(a, b string) bool { return a == "" || b == "" || fold(a) == fold(b) }
	return fold(one.source) == fold(lump.source) && agree(one.medium(one.from), lump.medium(one.from)) && agree(one.row.Campaign, lump.row.Campaign)
}

func (s *sheet) spendSpan(one spendSpan, days []time.Time, daily map[string][]spendSpan) {
	var c cell
	c.names[0], c.names[2] = one.source, orNone(one.row.Campaign)
	shares := s.sharesOf(one)
	absent := int64(-1)
	for _, d := range days {
		i := dates(one.from, d)
		if i < 0 || i >= one.n {
			continue
		}
		name := d.Format(dateFormat)
		if one.n > 1 && slices.ContainsFunc(daily[name], func(day spendSpan) bool { return day.replaces(one) }) {
			continue
		}
		c.names[1], c.at = orNone(one.medium(d)), store.Micros(dayStart(d, s.qu.zone))
		lines := s.place(c)
		if len(lines) == 0 {
			continue
		}
		share := shares(i)
		for _, l := range append(lines, &s.total) {
			if share.absent {
				l.spendAbsent = true
				continue
			}
			l.spendKnown = true
			l.spend += share.cost
			l.provisional = l.provisional || !d.Before(s.qu.today.AddDate(0, 0, 1-provisionalDays))
		}
		switch {
		case share.absent:
			absent = max(absent, 0) + share.booked
		case share.exchanged != nil:
			s.ledger.converted(*share.exchanged)
		}
	}
	if absent >= 0 {
		s.ledger.lack("spend", one.row.Currency, absent)
	}
}

// provisionalDays is for how many days, today included, spend may still be
// revised where it comes from: advertisers correct their figures for two days.
const provisionalDays = 2

// spendShare is what falls on one date of a span, in micros.
type spendShare struct {
	booked    int64 // in the currency of the spend
	cost      int64 // in the account's
	absent    bool  // there is no rate
	exchanged *exchanged
}

// sharesOf returns what falls on the i-th date of a span. In another currency
// the dates' shares are converted each at its rate and rounded cumulatively, as
// the span itself is: they add up to the converted whole, and every sub-range
// is a difference of two whole numbers.
func (s *sheet) sharesOf(one spendSpan) func(i int64) spendShare {
	unit := callwheel.MinorUnit(one.row.Currency)
	booked := func(i int64) int64 { return perDay(one.row.Cost/unit, one.n, i) * unit }
	if one.row.Currency == s.qu.account.Currency {
		return func(i int64) spendShare { return spendShare{booked: booked(i), cost: booked(i)} }
	}
	e := s.qu.account.exchange
	shares := make([]spendShare, one.n)
	sum, before := decimal.Zero, int64(0)
	for i := range one.n {
		share := spendShare{booked: booked(i)}
		rate, ok := e.on(one.row.Currency, one.from.AddDate(0, 0, int(i)))
		if !ok {
			share.absent = true
			shares[i] = share
			continue
		}
		sum = sum.Add(decimal.New(share.booked, -6).Mul(rate.rate))
		now := e.round(sum)
		share.cost, before = now-before, now
		share.exchanged = &exchanged{rate: rate, micros: share.booked, into: share.cost}
		shares[i] = share
	}
	return func(i int64) spendShare { return shares[i] }
}
