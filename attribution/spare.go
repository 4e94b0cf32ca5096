package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

// SpareNumber is a number that a pool can do without, with what would be missed.
type SpareNumber struct {
	NumberID   string
	Number     string
	Calls      int64      // of the last 90 days
	LastCallAt *time.Time // nil: nobody called in these days
	LentUntil  time.Time  // end of its present or last lease, zero when it was never lent
}

// spareWindow is how far back calls count when a pool shrinks.
const spareWindow = 90 * day

// Spare lists up to n numbers of a pool, those that would be missed least first:
// the fewest calls, then those that nobody holds now, then those that were lent
// longest ago. Errors are NotFound and Unavailable.
func (l *Ledger) Spare(ctx context.Context, accountID, poolID string, n int, now time.Time) ([]SpareNumber, error) {
	if _, err := readPool(ctx, l.db, accountID, poolID, ""); err != nil {
		return nil, err
	}
	var rows []struct {
		NumberID  string     `db:"number_id"`
		Number    string     `db:"number"`
		Calls     int64      `db:"calls"`
		LastCall  store.Time `db:"last_call"`
		LentUntil store.Time `db:"leased_until"`
	}
	err := l.db.Select(ctx, &rows, spareNumbers, accountID, store.Micros(now.Add(-spareWindow)), accountID, poolID, accountID, poolID, store.Micros(now), limitOf(n))
	if err != nil {
		return nil, fmt.Errorf("find spare numbers: %w", err)
	}
	list := make([]SpareNumber, 0, len(rows))
	for _, r := range rows {
		one := SpareNumber{NumberID: r.NumberID, Number: r.Number, Calls: r.Calls, LastCallAt: r.LastCall.Ptr()}
		if r.LentUntil.UnixMicro() > 0 {
			one.LentUntil = r.LentUntil.Time
		}
		list = append(list, one)
	}
	return list, nil
}

// LastLent returns when a number's last lease ended, as far as is known now: nil
// when it was never lent, or is.
func (l *Ledger) LastLent(ctx context.Context, accountID, number string, now time.Time) (*time.Time, error) {
	var rows []store.Time
	if err := l.db.Select(ctx, &rows, lastLeaseEnd, accountID, number); err != nil {
		return nil, fmt.Errorf("find last lease: %w", err)
	}
	if len(rows) == 0 || rows[0].After(now) {
		return nil, nil //nolint:nilnil // not known
	}
	return rows[0].Ptr(), nil
}

const spareNumbers = `
SELECT t.number_id, t.number, COALESCE(c.calls, 0) AS calls, c.last_call, n.leased_until
FROM tracking_numbers t
JOIN pool_numbers n ON n.account_id = t.account_id AND n.number = t.number AND n.pool_id = t.pool_id AND n.stocked
LEFT JOIN (
  SELECT tracking_number, count(call_id) AS calls, max(started_at) AS last_call
  FROM calls
  WHERE account_id = ? AND started_at >= ? AND direction = 'inbound' AND COALESCE(outcome, '') <> 'blocked'
    AND tracking_number IN (SELECT number FROM pool_numbers WHERE account_id = ? AND pool_id = ?)
  GROUP BY tracking_number
) c ON c.tracking_number = t.number
WHERE t.account_id = ? AND t.pool_id = ? AND t.state = 'active'
ORDER BY COALESCE(c.calls, 0), CASE WHEN n.leased_until > ? THEN 1 ELSE 0 END, n.leased_until, t.number
LIMIT ?`

const lastLeaseEnd = `
SELECT leased_until FROM leases
WHERE account_id = ? AND number = ?
ORDER BY leased_from DESC, lease_id DESC
LIMIT 1`
