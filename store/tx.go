package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Tx is one write transaction.
type Tx struct {
	tx      *sqlx.Tx
	re      *rebinder
	dialect Dialect
}

// InTx runs fn in one write transaction and returns nil once it is on disk. An
// error of fn, or a panic in it, undoes everything and is returned.
//
// On SQLite fn runs on the writer's goroutine; when ctx ends first InTx returns
// at once with kind Unavailable, and a transaction that had already begun may
// still commit: whoever repeats it needs a key that makes repetition harmless.
func (db *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if db.group != nil {
		return db.group.do(ctx, fn)
	}
	var err error
	for try := 0; try < 5; try++ {
		if err = db.inPostgresTx(ctx, fn); !isRetryable(err) {
			return err
		}
	}
	return err
}

func (db *DB) inPostgresTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	tx, err := db.write.BeginTxx(ctx, nil)
	if err != nil {
		return wrap(err)
	}
	if err := guard(ctx, &Tx{tx: tx, re: db.re, dialect: db.dialect}, fn); err != nil {
		tx.Rollback() //nolint:errcheck // the error of fn is the one to tell
		return err
	}
	return wrap(tx.Commit())
}

var errPanic = errors.New("panic in a transaction")

// guard turns a panic of fn into an error: one bad transaction must not take
// the writer with it.
func guard(ctx context.Context, tx *Tx, fn func(context.Context, *Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return fn(ctx, tx)
}

// Get reads one row; see Querier.
func (tx *Tx) Get(ctx context.Context, dest any, query string, args ...any) error {
	return wrap(tx.tx.GetContext(ctx, dest, tx.re.rebind(query), args...))
}

// Select reads all rows; see Querier.
func (tx *Tx) Select(ctx context.Context, dest any, query string, args ...any) error {
	return wrap(tx.tx.SelectContext(ctx, dest, tx.re.rebind(query), args...))
}

// Rows streams rows; see Querier. Close them before the next statement.
func (tx *Tx) Rows(ctx context.Context, query string, args ...any) (*Rows, error) {
	rows, err := tx.tx.QueryxContext(ctx, tx.re.rebind(query), args...)
	return rows, wrap(err)
}

// In expands slice arguments; see Querier.
func (tx *Tx) In(query string, args ...any) (string, []any, error) { return in(query, args...) }

// Exec runs a statement and returns how many rows it changed.
//
// On PostgreSQL a failed statement ends the transaction: do not catch a unique
// violation to go on, write ON CONFLICT DO NOTHING and look at the count.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(ctx, tx.re.rebind(query), args...)
	if err != nil {
		return 0, wrap(err)
	}
	n, err := res.RowsAffected()
	return n, wrap(err)
}

// ForUpdate is the clause that locks the rows a SELECT returns until the end of
// the transaction; empty on SQLite, whose one writer holds everything.
func (tx *Tx) ForUpdate() string { return tx.dialect.forUpdate }

// SkipLocked is ForUpdate that passes over rows which another transaction
// holds. A skipped row is not a free row and not a taken one: whoever is about
// to answer "none left" asks once more with ForUpdate.
func (tx *Tx) SkipLocked() string { return tx.dialect.skipLocked }
