package scoring

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Outcome is what became of a person, as another system tells it: imported, not
// judged here.
type Outcome struct {
	ID                         string // the other system's
	Person                     string // any stable string: an E.164 number, a hashed address
	CallID                     string // of this person, on which it came about; "": the last one at or before
	LeadAt, QualifiedAt, WonAt *time.Time
	Value, Margin              *callwheel.Money // without WonAt: what is expected, which counts nowhere
	Refunded                   *callwheel.Money // what was given back of Value, and its part of Margin with it
	ReferredBy                 string           // the number of who sent the person, "" for nobody; the person is then a number too
}

// Check lists what cannot be: the fields are named as in the file.
func (o Outcome) Check() []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
	}
	for _, f := range []struct{ field, text string }{{"outcome_id", o.ID}, {"person", o.Person}} {
		if f.text == "" {
			refuse(f.field, "must not be empty")
		} else if problem := checkText(f.text, 200); problem != "" {
			refuse(f.field, problem)
		}
	}
	if o.LeadAt == nil && o.QualifiedAt == nil && o.WonAt == nil {
		refuse("lead_at", "an outcome needs lead_at, qualified_at or won_at")
	}
	bad = append(bad, o.outOfOrder()...)
	bad = append(bad, checkWorth(o.Value, o.Margin, o.Refunded)...)
	if o.WonAt == nil && o.Refunded != nil && o.Refunded.Micros > 0 {
		refuse("refunded", "needs won_at: nothing is given back of what was not sold")
	}
	if o.ReferredBy != "" {
		from, problem := mustPhone(o.ReferredBy)
		if problem != "" {
			refuse("referred_by", problem)
		}
		to, problem := mustPhone(o.Person)
		if problem != "" {
			refuse("person", "must be a phone number in E.164 when somebody sent them")
		}
		if from == to && from != "" {
			refuse("referred_by", "nobody sends themselves")
		}
	}
	return bad
}

// outOfOrder refuses a stage that came before an earlier one. A day is allowed:
// many systems know of the later stages only the date, which their exports write as
// its midnight.
func (o Outcome) outOfOrder() []callwheel.FieldError {
	type stage struct {
		field string
		at    *time.Time
	}
	var before *stage
	for _, s := range []stage{{"lead_at", o.LeadAt}, {"qualified_at", o.QualifiedAt}, {"won_at", o.WonAt}} {
		if s.at == nil {
			continue
		}
		if before != nil && s.at.Before(before.at.Add(-slack)) {
			return []callwheel.FieldError{{Field: s.field, Message: fmt.Sprintf("is more than a day before %s: correct one of them, or leave %s empty where it is not known", before.field, before.field)}}
		}
		before = &s
	}
	return nil
}

// first is the earliest moment that the outcome tells.
func (o Outcome) first() time.Time {
	var first time.Time
	for _, at := range []*time.Time{o.LeadAt, o.QualifiedAt, o.WonAt} {
		if at != nil && (first.IsZero() || at.Before(first)) {
			first = *at
		}
	}
	return first
}

// ImportOutcome keeps an imported outcome, or corrects the one with its id, and
// says whether that changed anything. It fails with Invalid.
func (d *Desk) ImportOutcome(ctx context.Context, accountID string, o Outcome) (changed bool, err error) {
	done, err := d.ImportOutcomes(ctx, accountID, []Outcome{o})
	return err == nil && done[0] != telephony.ImportUnchanged, err
}

func (d *Desk) importOutcome(ctx context.Context, tx *store.Tx, accountID string, o Outcome) (telephony.Imported, error) {
	sent := false
	if o.ReferredBy != "" {
		var err error
		if sent, err = importReferred(ctx, tx, accountID, o.ReferredBy, o.Person, o.first()); err != nil {
			return "", err
		}
	}
	var r saleRow // the money of an outcome is that of a sale
	var value *int64
	if o.Value != nil {
		r.Value, r.Currency = o.Value.Micros, o.Value.Currency
		value = &r.Value
	}
	if o.Refunded != nil {
		r.Refunded = o.Refunded.Micros
	}
	if o.Margin != nil {
		r.Margin = &o.Margin.Micros
		kept := o.Margin.Micros
		if r.Refunded > 0 {
			kept -= marginShare(r, r.Refunded)
		}
		r.Margin = &kept // of what was kept of the value
	}
	args := []any{
		accountID, o.ID, o.Person, o.CallID, store.AtPtr(o.LeadAt), store.AtPtr(o.QualifiedAt), store.AtPtr(o.WonAt), value, r.Margin, r.Refunded, r.Currency,
		store.Micros(d.now()),
	}
	const insert = `
		INSERT INTO outcomes (account_id, outcome_id, person, call_id, lead_at, qualified_at, won_at, value_micros, margin_micros, refunded_micros, currency, imported_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, outcome_id) DO `
	if n, err := tx.Exec(ctx, insert+`NOTHING`, args...); err != nil || n > 0 {
		return telephony.ImportNew, err
	}
	n, err := tx.Exec(ctx, insert+`UPDATE SET
			person = excluded.person, call_id = excluded.call_id, lead_at = excluded.lead_at, qualified_at = excluded.qualified_at, won_at = excluded.won_at,
			value_micros = excluded.value_micros, margin_micros = excluded.margin_micros, refunded_micros = excluded.refunded_micros,
			currency = excluded.currency, imported_at = excluded.imported_at
		WHERE (outcomes.person, outcomes.call_id, outcomes.currency, outcomes.refunded_micros)
				<> (excluded.person, excluded.call_id, excluded.currency, excluded.refunded_micros)
			OR outcomes.lead_at IS DISTINCT FROM excluded.lead_at
			OR outcomes.qualified_at IS DISTINCT FROM excluded.qualified_at
			OR outcomes.won_at IS DISTINCT FROM excluded.won_at
			OR outcomes.value_micros IS DISTINCT FROM excluded.value_micros
			OR outcomes.margin_micros IS DISTINCT FROM excluded.margin_micros`, args...)
	if n > 0 || sent {
		return telephony.ImportCorrected, err
	}
	return telephony.ImportUnchanged, err
}
