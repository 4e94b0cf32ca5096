package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/callwheel/callwheel"
)

// Rows are the rows of a statement that is being read. Whoever asked for them
// closes them.
type Rows = sqlx.Rows

// Querier is what a room's statements run on: a *DB for reads, a *Tx for writes
// and for reads that decide a write. Statements use ? for parameters.
//
// Errors carry a kind: NotFound when Get finds no row, Unavailable when the
// database is away. A violated unique index is recognised by IsUnique.
type Querier interface {
	// Get reads one row into dest (a struct or a scalar).
	Get(ctx context.Context, dest any, query string, args ...any) error
	// Select reads all rows into dest (a slice).
	Select(ctx context.Context, dest any, query string, args ...any) error
	// Rows streams rows; the caller closes them.
	Rows(ctx context.Context, query string, args ...any) (*Rows, error)
	// In expands slice arguments for IN (?) lists.
	In(query string, args ...any) (string, []any, error)
}

// rebinder turns ? into what the database wants, once per text.
type rebinder struct {
	bindType int
	texts    sync.Map
}

func (r *rebinder) rebind(query string) string {
	if r.bindType == sqlx.QUESTION {
		return query
	}
	if text, ok := r.texts.Load(query); ok {
		return text.(string)
	}
	text := sqlx.Rebind(r.bindType, query)
	r.texts.Store(query, text)
	return text
}

// in expands slices and leaves ? in place: rebind follows.
func in(query string, args ...any) (string, []any, error) { return sqlx.In(query, args...) }

// wrap gives a database error its kind. The text of the statement is not added:
// rooms say what they were attempting.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return &callwheel.Error{Kind: callwheel.NotFound, Message: "not found", Err: err}
	case isAway(err), errors.Is(err, sql.ErrConnDone), errors.Is(err, context.DeadlineExceeded):
		return &callwheel.Error{Kind: callwheel.Unavailable, Message: "database away", Err: err}
	}
	return err
}
