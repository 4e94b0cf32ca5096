package jobs

import (
	"context"
	"time"

	"github.com/callwheel/callwheel/store"
)

// lock takes or prolongs this replica's hold on a job until the given instant.
// It returns false while another replica holds it. A holder that dies loses the
// job when its hold runs out.
func lock(ctx context.Context, db *store.DB, job, holder string, now, until time.Time) (bool, error) {
	held := false
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The claim lives on the row that is locked: of two replicas at once,
		// the second waits for the first's row and then finds it held.
		n, err := tx.Exec(ctx, `
			INSERT INTO job_locks (account_id, job, holder, held_until) VALUES ('', ?, ?, ?)
			ON CONFLICT (account_id, job) DO UPDATE
			SET holder = excluded.holder, held_until = excluded.held_until
			WHERE job_locks.holder = excluded.holder OR job_locks.held_until <= ?`,
			job, holder, store.Micros(until), store.Micros(now))
		held = n > 0
		return err
	})
	return held, err
}

// unlock gives the job back at once, so that another replica need not wait.
func unlock(ctx context.Context, db *store.DB, job, holder string) error {
	return db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job_locks SET held_until = 0 WHERE account_id = '' AND job = ? AND holder = ?`, job, holder)
		return err
	})
}
