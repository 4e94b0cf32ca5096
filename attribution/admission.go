package attribution

import (
	"context"
	"fmt"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// admission is one Visit's way through the gate. It outlives the transaction: one
// that is tried again finds the seat that it was given.
type admission struct {
	gate    *gate
	seat    *seat
	refused refusalReason // by the gate; "" when it let the visit in or was not asked
}

// admits is what hold asks before it lends another number. Its error has kind
// Exhausted when the address has had its share.
func (d *admission) admits(a ask) func(context.Context, *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		if d.seat != nil {
			d.gate.rename(d.seat, a.sessionID)
			return nil
		}
		seat, why, err := d.gate.enter(ctx, tx, a)
		if err != nil {
			return fmt.Errorf("count leases of address: %w", err)
		}
		d.seat, d.refused = seat, why
		if why != "" {
			return callwheel.Errorf(callwheel.Exhausted, "lease number: refused, %s", why)
		}
		return nil
	}
}

// why says why nothing was lent.
func (d *admission) why() refusalReason {
	if d.refused != "" {
		return d.refused
	}
	return poolEmpty
}

// lent is the word that the session keeps.
func (d *admission) lent() string {
	if d.refused != "" {
		return "capped"
	}
	return "empty"
}

// close gives the seat back unless a lease came of it.
func (d *admission) close(leased bool) {
	if !leased && d.seat != nil {
		d.gate.leave(d.seat)
	}
}

// mark notes on the session which pool it asked and what it got. A session that
// had a number of its own at some time stays leased.
func (v visit) mark(ctx context.Context, a ask, lent string) error {
	_, err := v.tx.Exec(ctx, markSession, a.pool.ID, lent, a.accountID, a.sessionID, a.pool.ID, lent)
	return err
}

const markSession = `
UPDATE sessions
SET pool_id = ?, lent = CASE WHEN lent = 'leased' THEN lent ELSE ? END
WHERE account_id = ? AND session_id = ?
  AND (pool_id <> ? OR lent NOT IN ('leased', ?))`
