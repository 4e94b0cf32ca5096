package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/jmoiron/sqlx"
	_ "github.com/mattn/go-sqlite3" // driver "sqlite3"

	"github.com/callwheel/callwheel"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	re      *rebinder
	read    *sqlx.DB
	write   *sqlx.DB // the same pool as read on PostgreSQL
	group   *group   // SQLite's one writer; nil on PostgreSQL
	path    string   // SQLite's file
}

// Open prepares "sqlite:PATH" or "postgres://…" for use. It neither connects
// nor migrates nor makes a file: a program that answers live calls starts whether the database
// is there or not, and finds out at the first statement (kind Unavailable).
// Open fails with kind Invalid for an address that it cannot read.
func Open(address string) (*DB, error) {
	switch {
	case strings.HasPrefix(address, "sqlite:"):
		return openSQLite(strings.TrimPrefix(address, "sqlite:"))
	case strings.HasPrefix(address, "postgres://"), strings.HasPrefix(address, "postgresql://"):
		return openPostgres(address)
	}
	return nil, callwheel.InvalidField("database_url", "must be sqlite:PATH or postgres://…")
}

func openSQLite(path string) (*DB, error) {
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, callwheel.InvalidField("database_url", "sqlite needs the path of a file")
	}
	file := "file:" + (&url.URL{Path: path}).EscapedPath()
	// The busy timeout is short because a live call's budget is 300 ms; the
	// writer retries in Go. mode=rw: nobody but Migrate makes the file.
	write, err := sqlx.Open("sqlite3", file+"?mode=rw&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on&_busy_timeout=200&_txlock=immediate&_stmt_cache_size=256")
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sqlx.Open("sqlite3", file+"?mode=ro&_query_only=1&_busy_timeout=5000&_stmt_cache_size=256")
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	read.SetMaxOpenConns(max(4, 2*runtime.NumCPU()))
	read.SetMaxIdleConns(max(4, 2*runtime.NumCPU()))
	db := &DB{
		dialect: Dialect{name: "sqlite", bindType: sqlx.QUESTION},
		re:      &rebinder{bindType: sqlx.QUESTION},
		read:    read,
		write:   write,
		path:    path,
	}
	db.group = newGroup(db)
	return db, nil
}

func openPostgres(address string) (*DB, error) {
	if _, err := pgx.ParseConfig(address); err != nil {
		return nil, callwheel.InvalidField("database_url", "cannot be read: %s", whyUnreadable(err))
	}
	pool, err := sqlx.Open("pgx", address)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(24)
	pool.SetMaxIdleConns(12)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return &DB{
		dialect: Dialect{name: "postgres", bindType: sqlx.DOLLAR, forUpdate: " FOR UPDATE", skipLocked: " FOR UPDATE SKIP LOCKED"},
		re:      &rebinder{bindType: sqlx.DOLLAR},
		read:    pool,
		write:   pool,
	}, nil
}

// whyUnreadable is the driver's reason without the address that it repeats: a
// password stands in it.
func whyUnreadable(err error) string {
	var parse *url.Error
	cause := errors.Unwrap(err)
	if cause == nil || errors.As(err, &parse) {
		return "it is no URL"
	}
	return cause.Error()
}

// Close waits for the write transactions under way and closes the pools.
func (db *DB) Close() error {
	if db.group == nil {
		return db.write.Close()
	}
	db.group.stop()
	readErr := db.read.Close()
	if err := db.write.Close(); err != nil {
		return err
	}
	return readErr
}

// Dialect returns which database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

// Get reads one row; see Querier.
func (db *DB) Get(ctx context.Context, dest any, query string, args ...any) error {
	return wrap(db.read.GetContext(ctx, dest, db.re.rebind(query), args...))
}

// Select reads all rows; see Querier.
func (db *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	return wrap(db.read.SelectContext(ctx, dest, db.re.rebind(query), args...))
}

// Rows streams rows; see Querier.
func (db *DB) Rows(ctx context.Context, query string, args ...any) (*Rows, error) {
	rows, err := db.read.QueryxContext(ctx, db.re.rebind(query), args...)
	return rows, wrap(err)
}

// In expands slice arguments; see Querier.
func (db *DB) In(query string, args ...any) (string, []any, error) { return in(query, args...) }

// InSnapshot runs fn on one consistent, read-only view of the database, for a
// report that reads several times.
func (db *DB) InSnapshot(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.group == nil {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := db.read.BeginTxx(ctx, opts)
	if err != nil {
		return wrap(err)
	}
	defer tx.Rollback() //nolint:errcheck // a read-only transaction has nothing to lose
	return fn(ctx, &Tx{tx: tx, re: db.re, dialect: db.dialect})
}

// Ping makes one small write and one read, to know whether the database can
// take an event at this moment.
func (db *DB) Ping(ctx context.Context) error {
	return db.InTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE routing_versions SET version = version WHERE account_id = ''`)
		return err
	})
}
