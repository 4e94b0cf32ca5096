package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

// overflowTo notes that the pool has another overflow number than before. A
// number that was lent ends its hold: from now on everybody is shown it, and a
// call to it says nothing about who held it last.
func overflowTo(ctx context.Context, tx *store.Tx, p Pool, before string, now time.Time) error {
	if p.OverflowNumberID == before {
		return nil
	}
	t := store.Micros(now)
	steps := []struct {
		query string
		args  []any
	}{{endOverflow, []any{t, p.AccountID, p.ID}}}
	if p.OverflowNumberID != "" {
		steps = append(steps, []struct {
			query string
			args  []any
		}{
			{beginOverflow, []any{p.ID, t, p.AccountID, p.OverflowNumberID}},
			{endHolds, []any{t, p.AccountID, p.AccountID, p.OverflowNumberID, t, t}},
			{freeHeld, []any{t, t, p.AccountID, p.AccountID, p.OverflowNumberID, t}},
		}...)
	}
	for _, s := range steps {
		if _, err := tx.Exec(ctx, s.query, s.args...); err != nil {
			return fmt.Errorf("change overflow number: %w", err)
		}
	}
	return nil
}

const endOverflow = `
UPDATE overflow_numbers SET used_until = ?
WHERE account_id = ? AND pool_id = ? AND used_until IS NULL`

const beginOverflow = `
INSERT INTO overflow_numbers (account_id, number, pool_id, used_from)
SELECT t.account_id, t.number, ?,
    CASE WHEN EXISTS (
      SELECT 1 FROM overflow_numbers o WHERE o.account_id = t.account_id AND o.number = t.number
    ) THEN CAST(? AS BIGINT) ELSE 0 END
FROM tracking_numbers t
WHERE t.account_id = ? AND t.number_id = ?
ON CONFLICT (account_id, number, pool_id, used_from) DO UPDATE SET used_until = NULL`

const endHolds = `
UPDATE leases SET leased_until = ?
WHERE account_id = ?
  AND lease_id IN (
    SELECT n.lease_id
    FROM pool_numbers n
    JOIN tracking_numbers t ON t.account_id = n.account_id AND t.number = n.number
    WHERE n.account_id = ? AND t.number_id = ? AND n.leased_until > ?
  )
  AND leased_until > ?`

const freeHeld = `
UPDATE pool_numbers SET lease_id = '', leased_until = ?, free_at = ?
WHERE account_id = ?
  AND number IN (SELECT number FROM tracking_numbers WHERE account_id = ? AND number_id = ?)
  AND leased_until > ?`
