package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

// Reap clears the mark of leases whose tail has ended and counts those that are
// running. Nothing depends on it: a lease ends by the clock, and who held a
// number stays in the lease history. It is a step for the job table.
func (l *Ledger) Reap(ctx context.Context, now time.Time) (int, error) {
	var accounts []string
	if err := l.db.Select(ctx, &accounts, accountsWithLapsed, store.Micros(now)); err != nil {
		return 0, fmt.Errorf("reap leases: %w", err)
	}
	done := 0
	for _, accountID := range accounts {
		var n int64
		err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			var err error
			n, err = tx.Exec(ctx, clearLapsed, accountID, store.Micros(now))
			return err
		})
		if err != nil {
			return done, fmt.Errorf("reap leases: %w", err)
		}
		done += int(n)
	}
	l.metrics.lapsed.Add(float64(done))
	var active int64
	if err := l.db.Get(ctx, &active, activeLeases, store.Micros(now)); err != nil {
		return done, fmt.Errorf("reap leases: %w", err)
	}
	l.metrics.leasesActive.Set(float64(active))
	return done, nil
}

// forgetBatch bounds one step of Forget.
const forgetBatch = 200

// Forget removes visitors who were not seen for Config.VisitorMemory and never
// called: what they are, their sessions and where they came from. The lease
// history keeps only that a number was somebody's. It is a step for the job
// table.
func (l *Ledger) Forget(ctx context.Context, now time.Time) (int, error) {
	var old []struct {
		AccountID string `db:"account_id"`
		VisitorID string `db:"visitor_id"`
	}
	before := store.Micros(now.Add(-l.cfg.VisitorMemory))
	if err := l.db.Select(ctx, &old, oldVisitors, before, forgetBatch); err != nil {
		return 0, fmt.Errorf("forget visitors: %w", err)
	}
	if len(old) == 0 {
		return 0, nil
	}
	done := 0
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = 0
		for _, v := range old {
			// Seen again since the list was read: stays.
			n, err := tx.Exec(ctx, deleteVisitor, v.AccountID, v.VisitorID, before)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			for _, statement := range forgetStatements {
				if _, err := tx.Exec(ctx, statement, v.AccountID, v.VisitorID); err != nil {
					return err
				}
			}
			done++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget visitors: %w", err)
	}
	l.metrics.forgotten.Add(float64(done))
	return done, nil
}

const accountsWithLapsed = `
SELECT DISTINCT account_id FROM pool_numbers
WHERE lease_id <> '' AND leased_until <= ?
ORDER BY account_id`

const clearLapsed = `
UPDATE pool_numbers SET lease_id = ''
WHERE account_id = ? AND lease_id <> '' AND leased_until <= ?`

// One figure for the whole installation, without an account: a gauge carries
// none.
const activeLeases = `SELECT count(account_id) FROM pool_numbers WHERE leased_until > ?`

const oldVisitors = `
SELECT v.account_id, v.visitor_id
FROM visitors v
WHERE v.last_seen_at < ?
  AND NOT EXISTS (
    SELECT 1 FROM attributions a WHERE a.account_id = v.account_id AND a.visitor_id = v.visitor_id AND a.visitor_id <> ''
  )
ORDER BY v.last_seen_at
LIMIT ?`

const deleteVisitor = `
DELETE FROM visitors
WHERE account_id = ? AND visitor_id = ? AND last_seen_at < ?`

var forgetStatements = []string{
	`DELETE FROM touches WHERE account_id = ? AND person = ?`,
	`DELETE FROM sessions WHERE account_id = ? AND visitor_id = ?`,
	`UPDATE pool_numbers SET visitor_id = '' WHERE account_id = ? AND visitor_id = ? AND lease_id = ''`,
}
