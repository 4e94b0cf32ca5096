package attribution

import (
	"context"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Rings tells telephony what a number may stand for: it refuses, with kind
// Invalid, a source or a pool that the account does not have or has retired ("" is
// none), and returns where the pool rings, "" for the account's destination.
func (l *Ledger) Rings(ctx context.Context, q store.Querier, accountID, sourceID, poolID string) (string, error) {
	if sourceID != "" {
		if _, err := readSource(ctx, q, accountID, sourceID, ""); err != nil {
			return "", notOurs(err, "source_id", "is not a source of this account")
		}
	}
	if poolID == "" {
		return "", nil
	}
	pool, err := readPool(ctx, q, accountID, poolID, "")
	return pool.Destination, notOurs(err, "pool_id", "is not a pool of this account")
}

func notOurs(err error, field, message string) error {
	if callwheel.KindOf(err) == callwheel.NotFound {
		return callwheel.InvalidField(field, "%s", message)
	}
	return err
}
