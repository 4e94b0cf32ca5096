package attribution

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// DeclareDelays makes what the account knows of its callers the next version of
// its delay model: measured elsewhere, or before its calls came here. It counts
// for calls from now on, until a fit to the account's own calls says better; what
// was attributed before stays as it was. Errors are Invalid, with the field.
func (l *Ledger) DeclareDelays(ctx context.Context, who account.Identity, d Delays) (DelayModel, error) {
	if err := d.declarable(); err != nil {
		return DelayModel{}, err
	}
	m := DelayModel{FittedAt: store.At(l.now()).Time, Delays: d}
	parameters, err := json.Marshal(d)
	if err != nil {
		return DelayModel{}, fmt.Errorf("declare delays: %w", err)
	}
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.Get(ctx, &m.Version, addDeclared, who.AccountID, store.Micros(m.FittedAt), string(parameters), who.AccountID); err != nil {
			return err
		}
		return account.Audit(ctx, tx, l.now(), who, "delay_model.declare", m.name(), nil)
	})
	if err != nil {
		return DelayModel{}, fmt.Errorf("declare delays: %w", err)
	}
	l.remember(who.AccountID, m, l.now())
	return m, nil
}

// Declared says whether the model was told, not fitted.
func (m DelayModel) Declared() bool { return m.Version > 0 && m.Calls == 0 }

// DelayModels returns the account's delay models, the newest first. The last of
// them, version 0, are the defaults.
func (l *Ledger) DelayModels(ctx context.Context, accountID string) ([]DelayModel, error) {
	var rows []modelRow
	if err := l.db.Select(ctx, &rows, listModels, accountID); err != nil {
		return nil, fmt.Errorf("list delay models: %w", err)
	}
	list := make([]DelayModel, 0, len(rows)+1)
	for _, r := range rows {
		m, err := r.model()
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return append(list, DelayModel{Delays: DefaultDelays()}), nil
}

// declarable is Validate with the field that is wrong.
func (d Delays) declarable() error {
	var bad fields
	sum := 0.0
	for i, p := range d.Parts {
		if !(p.Weight > 0) || !(p.MeanHours > 0) || math.IsInf(p.MeanHours, 0) {
			bad.add(fmt.Sprintf("parts[%d]", i), "must have a weight and a mean_hours above zero")
		}
		sum += p.Weight
	}
	if len(d.Parts) == 0 || len(d.Parts) > maxParts || math.Abs(sum-1) > 1e-9 {
		bad.add("parts", "must be 1 to %d parts whose weights add up to 1", maxParts)
	}
	if !(d.Propensity > 0 && d.Propensity <= 1) {
		bad.add("propensity", "must be above 0 and at most 1")
	}
	if !(d.Background > 0) {
		bad.add("background", "must be above 0 calls per hour")
	}
	if len(bad) == 0 && d.OnScreen < d.Propensity*d.Density(0) {
		bad.add("on_screen", "must be at least %.4g calls per hour: a visitor is no likelier to call just after the page was left", d.Propensity*d.Density(0))
	}
	if err := bad.err(); err != nil {
		return err
	}
	if err := d.Validate(); err != nil {
		return callwheel.Errorf(callwheel.Invalid, "declare delays: %w", err)
	}
	return nil
}

// maxParts bounds a mixture of delays.
const maxParts = 8

const addDeclared = `
INSERT INTO delay_models (account_id, version, fitted_at, calls, identified, parameters)
SELECT ?, COALESCE(MAX(version), 0) + 1, ?, 0, 0, ?
FROM delay_models
WHERE account_id = ?
RETURNING version`

const listModels = `
SELECT ` + modelColumns + `
FROM delay_models
WHERE account_id = ?
ORDER BY version DESC`
