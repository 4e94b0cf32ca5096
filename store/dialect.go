package store

import (
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/mattn/go-sqlite3"
)

// Dialect is every difference between the two databases that a statement can
// meet, each with a name and a reason. If this list grows, the SQL is too clever.
type Dialect struct {
	name string
	// placeholders is what Rebind turns ? into.
	bindType int
	// forUpdate locks the selected rows until the end of the transaction.
	// SQLite has no such clause and needs none: it has one writer.
	forUpdate string
	// skipLocked also passes over rows that somebody else holds.
	skipLocked string
}

// Name returns "sqlite" or "postgres".
func (d Dialect) Name() string { return d.name }

// sqliteWords translates the few words of the migrations that SQLite's STRICT
// tables do not know. Affinities are what the rest of the text relies on.
var sqliteWords = strings.NewReplacer(
	"BIGINT", "INTEGER",
	"BOOLEAN", "INTEGER",
	"DOUBLE PRECISION", "REAL",
	"BYTEA", "BLOB",
	"/*STRICT*/", "STRICT",
)

// sqliteMigrations returns the migrations in SQLite's words.
func sqliteMigrations(src fs.FS) (fs.FS, error) {
	out := fstest.MapFS{}
	names, err := fs.Glob(src, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(src, name)
		if err != nil {
			return nil, err
		}
		out[name] = &fstest.MapFile{Data: []byte(sqliteWords.Replace(string(text))), Mode: 0o444}
	}
	return out, nil
}

// IsUnique says whether err is a violation of a primary key or a unique index.
func IsUnique(err error) bool {
	var lite sqlite3.Error
	if errors.As(err, &lite) {
		return lite.ExtendedCode == sqlite3.ErrConstraintUnique || lite.ExtendedCode == sqlite3.ErrConstraintPrimaryKey
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

// IsRefused says whether err speaks against what was to be written rather than
// against the database at this moment: a value that a column cannot hold, a
// violated constraint, a panic in the transaction. It would be refused again.
func IsRefused(err error) bool {
	if errors.Is(err, errPanic) {
		return true
	}
	var lite sqlite3.Error
	if errors.As(err, &lite) {
		return lite.Code == sqlite3.ErrConstraint || lite.Code == sqlite3.ErrMismatch || lite.Code == sqlite3.ErrTooBig
	}
	var pg *pgconn.PgError
	// 22: data, 23: constraints.
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// isAway says whether err means that the database cannot be used at the moment:
// busy, full, broken disk, no connection, a connection lost half-way, shutting
// down, a conflict with others that many tries did not solve. A damaged file is no
// such thing: waiting does not mend it.
func isAway(err error) bool {
	var lite sqlite3.Error
	if errors.As(err, &lite) {
		switch lite.Code {
		case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrIoErr, sqlite3.ErrFull, sqlite3.ErrCantOpen, sqlite3.ErrReadonly:
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "25006", "55P03": // a standby; a lock that somebody else does not let go
			return true
		}
		switch pg.Code[:min(2, len(pg.Code))] {
		// Connection, transaction rolled back, out of resources, operator
		// intervention, system error, internal error.
		case "08", "40", "53", "57", "58", "XX":
			return true
		}
		return false
	}
	return isLost(err)
}

// isLost says whether the connection broke under a statement. What it reports
// depends on how far the statement had come.
func isLost(err error) bool {
	for _, lost := range []error{driver.ErrBadConn, pgconn.ErrConnClosed, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, lost) {
			return true
		}
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err)
}

// isNoTable says whether a statement named a table that is not there. SQLite has
// one code for every error in a text.
func isNoTable(err error) bool {
	var lite sqlite3.Error
	if errors.As(err, &lite) {
		return lite.Code == sqlite3.ErrError && strings.HasPrefix(lite.Error(), "no such table")
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42P01"
}

// isReadOnly says whether SQLite refused to write to a file that it could only
// open for reading, or that is no longer the one at its path.
func isReadOnly(err error) bool {
	var lite sqlite3.Error
	return errors.As(err, &lite) && lite.Code == sqlite3.ErrReadonly
}

// isRetryable says whether PostgreSQL gave up a transaction that would succeed
// when it is run again: serialization failure or deadlock.
func isRetryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// isBusy says whether another process holds SQLite's write lock.
func isBusy(err error) bool {
	var lite sqlite3.Error
	return errors.As(err, &lite) && (lite.Code == sqlite3.ErrBusy || lite.Code == sqlite3.ErrLocked)
}
