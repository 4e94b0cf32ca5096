package scoring

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// NewSale is a sale, or a refund of one, as somebody reports it.
type NewSale struct {
	Value    callwheel.Money  // above 0, of a refund too
	Margin   *callwheel.Money // what remains of Value; nil: not known. Of a refund: what is lost of the sale's margin
	SoldAt   *time.Time       // nil: now
	RefundOf string           // the id of the sale that is taken back, "" for a sale
}

// Sale is money that a caller brought. A refund is one with a negative value
// that names the sale it takes back.
type Sale struct {
	ID         string
	CallID     string
	Person     string
	Value      callwheel.Money  // below 0 for a refund
	Margin     *callwheel.Money // of a refund: usually below 0; nil: not known
	Refunded   callwheel.Money  // of a sale: what has been given back of it
	SoldAt     store.Time
	RefundOf   string
	RecordedAt store.Time
	RecordedBy string
}

type saleRow struct {
	ID         string     `db:"sale_id"`
	CallID     string     `db:"call_id"`
	Person     string     `db:"person"`
	Value      int64      `db:"value_micros"`
	Margin     *int64     `db:"margin_micros"`
	Refunded   int64      `db:"refunded_micros"`
	Currency   string     `db:"currency"`
	SoldAt     store.Time `db:"sold_at"`
	RefundOf   string     `db:"refund_of"`
	RecordedAt store.Time `db:"recorded_at"`
	RecordedBy string     `db:"recorded_by"`
}

const selectSales = `
	SELECT sale_id, call_id, person, value_micros, margin_micros, refunded_micros, currency, sold_at, refund_of, recorded_at, recorded_by
	FROM sales WHERE account_id = ?`

func (r saleRow) sale() Sale {
	s := Sale{
		ID: r.ID, CallID: r.CallID, Person: r.Person,
		Value:    callwheel.Money{Micros: r.Value, Currency: r.Currency},
		Refunded: callwheel.Money{Micros: r.Refunded, Currency: r.Currency},
		SoldAt:   r.SoldAt, RefundOf: r.RefundOf, RecordedAt: r.RecordedAt, RecordedBy: r.RecordedBy,
	}
	if r.Margin != nil {
		s.Margin = &callwheel.Money{Micros: *r.Margin, Currency: r.Currency}
	}
	return s
}

func readSales(ctx context.Context, q store.Querier, query string, args ...any) ([]Sale, error) {
	var rows []saleRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	sales := make([]Sale, len(rows))
	for i, r := range rows {
		sales[i] = r.sale()
	}
	return sales, nil
}

// maxValue is the largest value of one sale, in micros: sums of thousands of
// them still fit.
const maxValue = 1_000_000_000_000_000

// check refuses what cannot be a sale, whatever the call.
func (n NewSale) check() error {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
	}
	if err := callwheel.CheckCurrency(n.Value.Currency); err != nil {
		refuse("value.currency", firstMessage(err))
	}
	switch {
	case n.Value.Micros <= 0:
		refuse("value", "must be above 0; a refund is written as a sale with refund_of")
	case n.Value.Micros > maxValue:
		refuse("value", "must be at most "+callwheel.Money{Micros: maxValue, Currency: n.Value.Currency}.String())
	}
	if problem := marginProblem(n.Value, n.Margin); problem != "" && len(bad) == 0 {
		refuse("margin", problem)
	}
	return callwheel.InvalidFields(bad)
}

// marginProblem says what cannot be of the margin of a value, "" for nothing.
func marginProblem(value callwheel.Money, margin *callwheel.Money) string {
	switch {
	case margin == nil:
	case margin.Currency != value.Currency:
		return "must be in the currency of the value, " + value.Currency
	case margin.Micros > value.Micros || margin.Micros < -maxValue:
		least := callwheel.Money{Micros: -maxValue, Currency: value.Currency}
		return fmt.Sprintf("must be an amount from %s to %s: what remains of the value after costs, below 0 for a loss", least.Amount(), value)
	}
	return ""
}

// checkWorth lists what cannot be of a value that another system tells, of its
// margin and of what was given back of it.
func checkWorth(value, margin, refunded *callwheel.Money) []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		if problem != "" {
			bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
		}
	}
	if value == nil {
		if margin != nil {
			refuse("margin", "needs a value in the same currency")
		}
		if refunded != nil {
			refuse("refunded", "needs a value in the same currency")
		}
		return bad
	}
	wrong := value.Micros < 0 || value.Micros > maxValue
	if wrong {
		refuse("value", "must be from 0 to "+callwheel.Money{Micros: maxValue, Currency: value.Currency}.String())
	}
	if !wrong || margin != nil && margin.Currency != value.Currency {
		refuse("margin", marginProblem(*value, margin))
	}
	switch {
	case refunded == nil:
	case refunded.Currency != value.Currency:
		refuse("refunded", "must be in the currency of the value, "+value.Currency)
	case !wrong && (refunded.Micros < 0 || refunded.Micros > value.Micros):
		refuse("refunded", "must be from 0 to the value, "+value.String())
	}
	return bad
}

// Sell keeps a sale that a call brought, or the refund of one, and returns it
// with the desk's version. A refund belongs to the same caller as its sale, in
// the same currency, and takes back at most what is left of it; without a
// margin of its own it takes back the sale's margin in proportion. Errors:
// Invalid for all that, for a value not above 0 and for a date more than a day
// ahead; NotFound, Stale.
func (d *Desk) Sell(ctx context.Context, act Act, n NewSale) (Sale, int64, error) {
	if err := n.check(); err != nil {
		return Sale{}, 0, err
	}
	var r saleRow
	version, err := d.judge(ctx, act, "record sale", func(ctx context.Context, s *sitting) (verdict, error) {
		r = saleRow{
			ID: callwheel.NewID("sale"), CallID: s.CallID, Person: s.person(), Value: n.Value.Micros, Currency: n.Value.Currency,
			SoldAt: store.At(s.at), RefundOf: n.RefundOf, RecordedAt: store.At(s.at), RecordedBy: s.Actor,
		}
		if n.Margin != nil {
			r.Margin = &n.Margin.Micros
		}
		if n.SoldAt != nil {
			r.SoldAt = store.At(*n.SoldAt)
		}
		switch {
		case r.SoldAt.After(s.at.Add(slack)):
			return verdict{}, callwheel.InvalidField("sold_at", "lies more than a day ahead")
		case r.SoldAt.Unix() < 0:
			return verdict{}, callwheel.InvalidField("sold_at", "lies before 1970")
		}
		if n.RefundOf != "" {
			if err := s.takeBack(ctx, &r, n.SoldAt != nil); err != nil {
				return verdict{}, err
			}
		}
		if err := s.insertSale(ctx, r); err != nil {
			return verdict{}, err
		}
		sale := r.sale()
		return newVerdict(sold, map[string]any{
			"sale_id": sale.ID, "value": sale.Value, "margin": sale.Margin, "sold_at": instant(sale.SoldAt), "refund_of": sale.RefundOf,
		}), nil
	})
	if err != nil {
		return Sale{}, 0, err
	}
	return r.sale(), version, nil
}

func (s *sitting) insertSale(ctx context.Context, r saleRow) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, margin_micros, currency, sold_at, refund_of, recorded_at, recorded_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.AccountID, r.ID, r.CallID, r.Person, r.Value, r.Margin, r.Currency, r.SoldAt, r.RefundOf, r.RecordedAt, r.RecordedBy)
	return err
}

// takeBack checks the refund r against its sale, claims it there and turns its
// money negative. The claim is on the sale's own row: two refunds from two
// calls cannot both take the last of it.
func (s *sitting) takeBack(ctx context.Context, r *saleRow, dated bool) error {
	var of saleRow
	err := s.tx.Get(ctx, &of, selectSales+` AND sale_id = ?`+s.tx.ForUpdate(), s.AccountID, r.RefundOf)
	switch {
	case callwheel.KindOf(err) == callwheel.NotFound:
		return callwheel.InvalidField("refund_of", "there is no such sale")
	case err != nil:
		return err
	case of.RefundOf != "":
		return callwheel.InvalidField("refund_of", "is itself a refund")
	case of.CallID != r.CallID && of.Person != r.Person:
		return callwheel.InvalidField("refund_of", "is a sale to another caller")
	case of.Currency != r.Currency:
		return callwheel.InvalidField("value.currency", "the sale was in %s", of.Currency)
	case dated && r.SoldAt.Before(of.SoldAt.Time):
		return callwheel.InvalidField("sold_at", "is before the sale itself")
	case r.Value > of.Value-of.Refunded:
		left := callwheel.Money{Micros: of.Value - of.Refunded, Currency: of.Currency}
		return callwheel.InvalidField("value", "is more than what is left of the sale: %s", left)
	}
	if r.SoldAt.Before(of.SoldAt.Time) {
		r.SoldAt = of.SoldAt
	}
	if r.Margin == nil && of.Margin != nil {
		back := marginShare(of, of.Refunded+r.Value) - marginShare(of, of.Refunded)
		r.Margin = &back
	}
	if r.Margin != nil {
		lost := -*r.Margin
		r.Margin = &lost
	}
	if _, err := s.tx.Exec(ctx, `UPDATE sales SET refunded_micros = refunded_micros + ? WHERE account_id = ? AND sale_id = ?`,
		r.Value, s.AccountID, of.ID); err != nil {
		return err
	}
	r.Value = -r.Value
	return nil
}

// marginShare is the margin of the given part of a sale's value, in whole
// minor units of the currency until all of it is asked for: refunds that add up
// to the sale take back exactly its margin.
func marginShare(of saleRow, part int64) int64 {
	if part == of.Value {
		return *of.Margin
	}
	unit := big.NewInt(callwheel.MinorUnit(of.Currency))
	share := new(big.Int).Mul(big.NewInt(*of.Margin), big.NewInt(part))
	share.Quo(share, new(big.Int).Mul(big.NewInt(of.Value), unit))
	return share.Mul(share, unit).Int64()
}

// Sales lists the sales and refunds that a call brought, oldest first. Errors:
// NotFound.
func (d *Desk) Sales(ctx context.Context, accountID, callID string) ([]Sale, error) {
	if err := d.callExists(ctx, accountID, callID); err != nil {
		return nil, err
	}
	sales, err := readSales(ctx, d.db, selectSales+` AND call_id = ? ORDER BY sold_at, sale_id`, accountID, callID)
	if err != nil {
		return nil, fmt.Errorf("list sales: %w", err)
	}
	return sales, nil
}

// netValues sums sales and refunds per currency, in the order in which the
// currencies first appear.
func netValues(sales []Sale) []callwheel.Money {
	sums := []callwheel.Money{}
	at := map[string]int{}
	for _, s := range sales {
		i, ok := at[s.Value.Currency]
		if !ok {
			at[s.Value.Currency] = len(sums)
			sums = append(sums, s.Value)
			continue
		}
		sums[i].Micros += s.Value.Micros
	}
	return sums
}
