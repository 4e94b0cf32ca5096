package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Rate is what one unit of a currency was worth in the account's on a day.
// Account, currencies and day name it: the same again corrects it.
type Rate struct {
	ID        string
	Currency  string
	To        string // the account's currency when it was given
	Day       string // YYYY-MM-DD
	Rate      string // plain decimal text above 0
	CreatedAt time.Time
	UpdatedAt time.Time
}

// RateItem is a rate as it is handed in; To "" is the account's currency. At
// says where it stood, as in SpendItem.
type RateItem struct {
	At       string
	Currency string
	To       string
	Day      string
	Rate     string
}

// RatesTaken says what became of rates that were handed in.
type RatesTaken struct {
	Created   int `json:"created"`
	Corrected int `json:"corrected"`
	Unchanged int `json:"unchanged"`
}

// rateDays is for how many days a rate stands in for days without one:
// reference rates are not published at weekends and on holidays.
const rateDays = 7

var ratePattern = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,12})?$`)

func (i RateItem) field(name string) string { return SpendItem{At: i.At}.field(name) }

// clean lists what is wrong with the item and writes its rate without needless
// zeros.
func (i *RateItem) clean(home string) []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, callwheel.FieldError{Field: i.field(field), Message: fmt.Sprintf(format, args...)})
	}
	if i.To == "" {
		i.To = home
	}
	if err := callwheel.CheckCurrency(i.Currency); err != nil {
		refuse("currency", "%q is not an upper-case ISO 4217 code", clip(i.Currency))
	}
	switch {
	case i.To != home:
		refuse("to", "must be the account's currency, %s", home)
	case i.Currency == home:
		refuse("currency", "is the account's own: it needs no rate")
	}
	if _, err := parseDate(i.Day); err != nil {
		refuse("day", "%v", err)
	}
	rate, err := decimal.NewFromString(i.Rate)
	switch {
	case !ratePattern.MatchString(i.Rate) || err != nil:
		refuse("rate", "%q is not a plain decimal number such as 1.0837", clip(i.Rate))
	case !rate.IsPositive():
		refuse("rate", "must be above 0")
	default:
		i.Rate = rate.String()
	}
	return bad
}

func rateID(accountID, currency, to, day string) string {
	return callwheel.DerivedID("rate", accountID, currency, to, day)
}

// PutRates takes all rates or none. A rate of the same currency and day as one
// that is there corrects it; reports convert with what stands now. It fails with
// kind Invalid and one field error per thing that is wrong; two rates of one
// currency and day in one batch are refused.
func (d *Desk) PutRates(ctx context.Context, accountID string, items []RateItem) (RatesTaken, error) {
	var done RatesTaken
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = RatesTaken{}
		a, err := readAccount(ctx, tx, accountID)
		if err != nil {
			return err
		}
		var bad []callwheel.FieldError
		seen := map[string]string{}
		list := slices.Clone(items)
		for n := range list {
			bad = append(bad, list[n].clean(a.Currency)...)
			key := list[n].Currency + " " + list[n].Day
			if first, ok := seen[key]; ok {
				bad = append(bad, callwheel.FieldError{Field: list[n].field("day"), Message: "the same currency and day as " + first})
				continue
			}
			seen[key] = list[n].At
		}
		if err := callwheel.InvalidFields(bad); err != nil {
			return err
		}
		for _, item := range list {
			if err := putRate(ctx, tx, accountID, item, store.Micros(d.now()), &done); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && callwheel.KindOf(err) != callwheel.Invalid {
		err = fmt.Errorf("put rates: %w", err)
	}
	return done, err
}

func putRate(ctx context.Context, tx *store.Tx, accountID string, i RateItem, now int64, done *RatesTaken) error {
	n, err := tx.Exec(ctx, `
		INSERT INTO rates (account_id, currency, to_currency, day, rate, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, accountID, i.Currency, i.To, i.Day, i.Rate, now, now)
	if err != nil || n > 0 {
		done.Created += int(n)
		return err
	}
	n, err = tx.Exec(ctx, `
		UPDATE rates SET rate = ?, updated_at = ?
		WHERE account_id = ? AND to_currency = ? AND currency = ? AND day = ? AND rate <> ?`,
		i.Rate, now, accountID, i.To, i.Currency, i.Day, i.Rate)
	if n > 0 {
		done.Corrected++
	} else {
		done.Unchanged++
	}
	return err
}

type rateRow struct {
	Currency  string     `db:"currency"`
	To        string     `db:"to_currency"`
	Day       string     `db:"day"`
	Rate      string     `db:"rate"`
	CreatedAt store.Time `db:"created_at"`
	UpdatedAt store.Time `db:"updated_at"`
}

const selectRates = `SELECT currency, to_currency, day, rate, created_at, updated_at FROM rates WHERE account_id = ?`

// RatePage asks for a part of the list: the days [From, Until) ("" leaves an end
// open), of a currency ("" for all), after a position.
type RatePage struct {
	From, Until   string
	Currency      string
	AfterDay      string // Day of the last one seen, "" for the first page, with
	AfterCurrency string // its currencies
	AfterTo       string
	Limit         int
}

// ListRates lists rates, the latest day first, stable while rates arrive.
func (d *Desk) ListRates(ctx context.Context, accountID string, p RatePage) ([]Rate, error) {
	var bad []callwheel.FieldError
	for _, end := range []struct{ field, text string }{{"from", p.From}, {"until", p.Until}} {
		if _, err := parseDate(end.text); end.text != "" && err != nil {
			bad = append(bad, callwheel.FieldError{Field: end.field, Message: err.Error()})
		}
	}
	if err := callwheel.InvalidFields(bad); err != nil {
		return nil, err
	}
	var rows []rateRow
	err := d.db.Select(ctx, &rows, selectRates+`
		AND (? = '' OR day >= ?) AND (? = '' OR day < ?) AND (? = '' OR currency = ?)
		AND (? = '' OR (day, currency, to_currency) < (?, ?, ?))
		ORDER BY day DESC, currency DESC, to_currency DESC LIMIT ?`,
		accountID, p.From, p.From, p.Until, p.Until, p.Currency, strings.ToUpper(p.Currency),
		p.AfterDay, p.AfterDay, p.AfterCurrency, p.AfterTo, p.Limit)
	if err != nil {
		return nil, fmt.Errorf("list rates: %w", err)
	}
	list := make([]Rate, len(rows))
	for i, r := range rows {
		list[i] = Rate{
			ID: rateID(accountID, r.Currency, r.To, r.Day), Currency: r.Currency, To: r.To, Day: r.Day, Rate: r.Rate,
			CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
		}
	}
	return list, nil
}

var rateColumns = []LineColumn{{"day", true}, {"currency", true}, {"to", false}, {"rate", true}}

// ReadRatesCSV reads a file of rates with the columns day, currency, to and
// rate. Its errors are those of ReadSpendCSV.
func ReadRatesCSV(r io.Reader) ([]RateItem, []callwheel.FieldError, error) {
	return readFile(r, "rates file", rateColumns, func(line Line) (RateItem, []callwheel.FieldError) {
		return RateItem{At: line.At(), Currency: line.Get("currency"), To: line.Get("to"), Day: line.Get("day"), Rate: line.Get("rate")}, nil
	})
}

// exchange converts into the account's currency.
type exchange struct {
	home  string
	zone  *time.Location
	rates map[string][]dayRate // by currency, in order of days
}

// dayRate is a rate and since which day it stands.
type dayRate struct {
	currency string
	day      string
	rate     decimal.Decimal
}

func readExchange(ctx context.Context, q store.Querier, a account) (*exchange, error) {
	e := &exchange{home: a.Currency, zone: a.zone, rates: map[string][]dayRate{}}
	var rows []rateRow
	err := q.Select(ctx, &rows, selectRates+` AND to_currency = ? ORDER BY currency, day`, a.ID, a.Currency)
	if err != nil {
		return nil, fmt.Errorf("read rates: %w", err)
	}
	for _, r := range rows {
		rate, err := decimal.NewFromString(r.Rate)
		if err != nil {
			return nil, fmt.Errorf("read the rate of %s on %s: %w", r.Currency, r.Day, err)
		}
		e.rates[r.Currency] = append(e.rates[r.Currency], dayRate{r.Currency, r.Day, rate})
	}
	return e, nil
}

// on returns the rate that counts on a day: the day's own, else the latest of
// the seven days before it; ok is false when there is none.
func (e *exchange) on(currency string, day time.Time) (dayRate, bool) {
	list := e.rates[currency]
	name := day.Format(dateFormat)
	i, found := slices.BinarySearchFunc(list, name, func(r dayRate, name string) int { return strings.Compare(r.day, name) })
	if !found {
		i--
	}
	if i < 0 || list[i].day < day.AddDate(0, 0, -rateDays).Format(dateFormat) {
		return dayRate{}, false
	}
	return list[i], true
}

// at is on for the account's date of an instant.
func (e *exchange) at(currency string, us int64) (dayRate, bool) {
	return e.on(currency, dateOf(time.UnixMicro(us), e.zone))
}

// convert returns an amount in the account's currency, rounded to its minor
// unit, half away from zero: what is taken back at the same rate cancels out.
func (e *exchange) convert(micros int64, r dayRate) int64 {
	return e.round(decimal.New(micros, -6).Mul(r.rate))
}

func (e *exchange) round(amount decimal.Decimal) int64 {
	unit := callwheel.MinorUnit(e.home)
	return amount.Shift(6).DivRound(decimal.New(unit, 0), 0).IntPart() * unit
}

// exchanged is an amount that was converted, and how.
type exchanged struct {
	rate   dayRate
	micros int64 // in the rate's currency
	into   int64 // in the account's
}

// UsedRate is a rate that amounts of an answer were converted with.
type UsedRate struct {
	Currency  string          `json:"currency"`
	Day       string          `json:"day" doc:"Of the rate; it stands for the days after it without one, seven at most"`
	Rate      string          `json:"rate" doc:"What one unit is worth in the report's currency"`
	Count     int64           `json:"count" doc:"How many amounts"`
	Amount    callwheel.Money `json:"amount" doc:"Their sum as booked"`
	Converted callwheel.Money `json:"converted" doc:"Their sum as it is counted"`
}

// Missing is a sum of amounts that could not be counted.
type Missing struct {
	Figure   string          `json:"figure" doc:"revenue or spend"`
	Reason   string          `json:"reason"`
	Currency string          `json:"currency"`
	Count    int64           `json:"count"`
	Amount   callwheel.Money `json:"amount"`
}

// Foreign is what an answer states about amounts in other currencies.
type Foreign struct {
	Missing []Missing  `json:"missing" doc:"Amounts that could not be counted, and why"`
	Rates   []UsedRate `json:"rates" doc:"What amounts in other currencies were converted with"`
}

// ledger gathers what an answer states about amounts in other currencies: each
// amount once, however many rows it is in.
type ledger struct {
	home  string // the account's currency
	sums  map[missingKey]*Missing
	rates map[rateKey]*UsedRate
}

type missingKey struct{ figure, currency string }

type rateKey struct{ currency, day string }

func newLedger(home string) *ledger {
	return &ledger{home: home, sums: map[missingKey]*Missing{}, rates: map[rateKey]*UsedRate{}}
}

// lack notes an amount without a rate.
func (l *ledger) lack(figure, currency string, micros int64) {
	key := missingKey{figure, currency}
	if l.sums[key] == nil {
		l.sums[key] = &Missing{
			Figure: figure, Currency: currency, Amount: callwheel.Money{Currency: currency},
			Reason: "no exchange rate from " + currency + " to " + l.home,
		}
	}
	l.sums[key].Count++
	l.sums[key].Amount.Micros += micros
}

// converted notes an amount that was converted.
func (l *ledger) converted(x exchanged) {
	key := rateKey{x.rate.currency, x.rate.day}
	used := l.rates[key]
	if used == nil {
		used = &UsedRate{
			Currency: x.rate.currency, Day: x.rate.day, Rate: x.rate.rate.String(),
			Amount: callwheel.Money{Currency: x.rate.currency}, Converted: callwheel.Money{Currency: l.home},
		}
		l.rates[key] = used
	}
	used.Count++
	used.Amount.Micros += x.micros
	used.Converted.Micros += x.into
}

// value notes what a conversion is worth, as far as that is in other currencies.
func (l *ledger) value(v conversion) {
	for currency, micros := range v.absent {
		l.lack("revenue", currency, micros)
	}
	for _, x := range v.rated {
		l.converted(x)
	}
}

// foreign is what was noted, in the order of figures, currencies and days.
func (l *ledger) foreign() Foreign {
	f := Foreign{Missing: []Missing{}, Rates: []UsedRate{}}
	for _, m := range byKey(l.sums, func(a, b missingKey) int {
		return cmp.Or(strings.Compare(a.figure, b.figure), strings.Compare(a.currency, b.currency))
	}) {
		f.Missing = append(f.Missing, *m)
	}
	for _, r := range byKey(l.rates, func(a, b rateKey) int {
		return cmp.Or(strings.Compare(a.currency, b.currency), strings.Compare(a.day, b.day))
	}) {
		f.Rates = append(f.Rates, *r)
	}
	return f
}

// lists are what is missing and what was converted with, value by value.
func (f Foreign) lists() []Table {
	list := func(title string, columns ...string) Table {
		t := Table{Title: title}
		for _, name := range columns {
			t.Columns = append(t.Columns, Column{name, true})
		}
		return t
	}
	missing := list("missing", "figure", "currency", "count", "amount", "reason")
	for _, m := range f.Missing {
		missing.Rows = append(missing.Rows, []string{m.Figure, m.Currency, countText(m.Count), m.Amount.Amount(), m.Reason})
	}
	rates := list("rates", "currency", "day", "rate", "count", "amount", "converted")
	for _, r := range f.Rates {
		rates.Rows = append(rates.Rows, []string{r.Currency, r.Day, r.Rate, countText(r.Count), r.Amount.Amount(), r.Converted.Amount()})
	}
	return []Table{missing, rates}
}

// notes says in words what is missing and what was converted.
func (f Foreign) notes() []string {
	var notes []string
	for _, m := range f.Missing {
		notes = append(notes, fmt.Sprintf("%s is not available where %s of together %s may not be left out: %s", m.Figure, several(m.Count, "amount"), m.Amount, m.Reason))
	}
	for i := 0; i < len(f.Rates); {
		sum := f.Rates[i]
		days, last := 0, i
		for ; i < len(f.Rates) && f.Rates[i].Currency == sum.Currency; i++ {
			if days++; i > last {
				sum.Count += f.Rates[i].Count
				sum.Amount.Micros += f.Rates[i].Amount.Micros
				sum.Converted.Micros += f.Rates[i].Converted.Micros
			}
		}
		at := fmt.Sprintf("the rates of %d days from %s to %s", days, sum.Day, f.Rates[i-1].Day)
		if days == 1 {
			at = "the rate of " + sum.Day
		}
		notes = append(notes, fmt.Sprintf("%s in %s: together %s, counted as %s at %s",
			several(sum.Count, "amount"), sum.Currency, sum.Amount, sum.Converted, at))
	}
	return notes
}
