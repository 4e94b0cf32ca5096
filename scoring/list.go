package scoring

import (
	"context"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// Page says which part of a list is wanted: at most Limit items after the one
// with the id After ("" from the start). Limit 0 means all.
type Page struct {
	After string
	Limit int
}

// most is how many rows to read; a list that is read whole has a bound all the
// same.
func (p Page) most() int {
	if p.Limit <= 0 {
		return 100_000
	}
	return p.Limit
}

// checkVersion compares the version somebody edited against with the one that
// is there. nil is no expectation.
func checkVersion(expected *int64, have int64) error {
	if expected == nil || *expected == have {
		return nil
	}
	return callwheel.Errorf(callwheel.Stale, "version %d was edited, but it is at version %d by now", *expected, have)
}

// taken turns a violated unique index into a Conflict that says what is taken.
func taken(err error, what, name string) error {
	if store.IsUnique(err) {
		return conflict(what, name)
	}
	return err
}

func conflict(what, name string) error {
	return callwheel.Errorf(callwheel.Conflict, "there is a %s %q already", what, name)
}

// audited writes down a change of a list, in its transaction, when the change
// itself went well.
func (d *Desk) audited(ctx context.Context, tx *store.Tx, who account.Identity, action, object string, detail map[string]any, err error) error {
	if err != nil {
		return err
	}
	return account.Audit(ctx, tx, d.now(), who, action, object, detail)
}
