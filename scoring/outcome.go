package scoring

import (
	"context"
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
	LeadAt, QualifiedAt, WonAt *time.Time
	Value, Margin              *callwheel.Money
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
	if o.Value != nil && o.Value.Micros < 0 {
		refuse("value", "must not be below 0")
	}
	if o.Margin != nil && (o.Value == nil || o.Margin.Currency != o.Value.Currency) {
		refuse("margin", "needs a value in the same currency")
	}
	return bad
}

// ImportOutcome keeps an imported outcome, or corrects the one with its id, and
// says whether that changed anything. It fails with Invalid.
func (d *Desk) ImportOutcome(ctx context.Context, accountID string, o Outcome) (changed bool, err error) {
	done, err := d.ImportOutcomes(ctx, accountID, []Outcome{o})
	return err == nil && done[0] != telephony.ImportUnchanged, err
}

func (d *Desk) importOutcome(ctx context.Context, tx *store.Tx, accountID string, o Outcome) (telephony.Imported, error) {
	var value, margin *int64
	currency := ""
	if o.Value != nil {
		value, currency = &o.Value.Micros, o.Value.Currency
	}
	if o.Margin != nil {
		margin = &o.Margin.Micros
	}
	args := []any{
		accountID, o.ID, o.Person, store.AtPtr(o.LeadAt), store.AtPtr(o.QualifiedAt), store.AtPtr(o.WonAt), value, margin, currency,
		store.Micros(d.now()),
	}
	const insert = `
		INSERT INTO outcomes (account_id, outcome_id, person, lead_at, qualified_at, won_at, value_micros, margin_micros, currency, imported_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, outcome_id) DO `
	if n, err := tx.Exec(ctx, insert+`NOTHING`, args...); err != nil || n > 0 {
		return telephony.ImportNew, err
	}
	n, err := tx.Exec(ctx, insert+`UPDATE SET
			person = excluded.person, lead_at = excluded.lead_at, qualified_at = excluded.qualified_at, won_at = excluded.won_at,
			value_micros = excluded.value_micros, margin_micros = excluded.margin_micros, currency = excluded.currency,
			imported_at = excluded.imported_at
		WHERE (outcomes.person, outcomes.currency) <> (excluded.person, excluded.currency)
			OR outcomes.lead_at IS DISTINCT FROM excluded.lead_at
			OR outcomes.qualified_at IS DISTINCT FROM excluded.qualified_at
			OR outcomes.won_at IS DISTINCT FROM excluded.won_at
			OR outcomes.value_micros IS DISTINCT FROM excluded.value_micros
			OR outcomes.margin_micros IS DISTINCT FROM excluded.margin_micros`, args...)
	if n > 0 {
		return telephony.ImportCorrected, err
	}
	return telephony.ImportUnchanged, err
}
