package attribution

import (
	"context"
	"fmt"

	"github.com/callwheel/callwheel/store"
)

const (
	callsNamed = `
SELECT ` + callColumns + `
FROM calls c
WHERE c.call_id = ?
ORDER BY c.account_id`

	// What was brought in from elsewhere follows from nothing here.
	forgetAttribution = `
DELETE FROM attributions
WHERE account_id = ? AND call_id = ? AND method <> ?`
)

// Repair attributes calls anew that Verify found missing or different. An
// attribution is a conclusion: what it follows from is untouched. When it is
// interrupted Sweep finds the call. done counts the calls.
func (l *Ledger) Repair(ctx context.Context, callIDs []string) (done int, err error) {
	for _, id := range callIDs {
		var rows []callRow
		if err := l.db.Select(ctx, &rows, callsNamed, id); err != nil {
			return done, fmt.Errorf("repair attribution of call %s: %w", id, err)
		}
		for _, r := range rows {
			err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, forgetAttribution, r.AccountID, r.ID, string(MethodImported))
				return err
			})
			if err != nil {
				return done, fmt.Errorf("repair attribution of call %s: %w", id, err)
			}
			call := r.call()
			call.Shell = false // as Sweep has it
			if _, err := l.Attribute(ctx, call); err != nil {
				return done, fmt.Errorf("repair attribution of call %s: %w", id, err)
			}
			done++
		}
	}
	return done, nil
}
