package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/callwheel/callwheel"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one step of the schema and whether it has been applied.
type Migration struct {
	Version int64
	Name    string // "" when this program does not know the step
	Applied bool
}

// Migrate applies the migrations that are missing, in order, each once; one
// process does it while the others wait. It makes a SQLite file that is not
// there. A database that is up to date is only read, so one that cannot be
// written to passes. A schema newer than this binary knows is refused with kind
// Conflict.
func (db *DB) Migrate(ctx context.Context) error {
	if current, err := db.schemaIsCurrent(ctx); err == nil && current || callwheel.KindOf(err) == callwheel.Conflict {
		return err
	}
	unlock, err := db.lockMigrations(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer unlock()
	if err := db.makeDatabase(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// What was missing may have been applied while this process waited.
	if current, err := db.schemaIsCurrent(ctx); err != nil || current {
		return err
	}
	p, err := db.migrator()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		db.forgetReadOnly(err)
		return fmt.Errorf("migrate: %w", wrap(err))
	}
	_, err = db.schemaIsCurrent(ctx)
	return err
}

// Migrations lists every step with its state, also those that were applied by a
// newer program. It writes nothing. NotFound: there is no such SQLite file.
func (db *DB) Migrations(ctx context.Context) ([]Migration, error) {
	if err := db.mustExist(); err != nil {
		return nil, err
	}
	applied, err := db.appliedVersions(ctx)
	if err != nil {
		return nil, err
	}
	list := knownMigrations()
	for i := range list {
		list[i].Applied = slices.Contains(applied, list[i].Version)
	}
	for _, version := range applied {
		if !slices.ContainsFunc(list, func(m Migration) bool { return m.Version == version }) {
			list = append(list, Migration{Version: version, Applied: true})
		}
	}
	return list, nil
}

// MustBeCurrent is for programs that only read: NotFound when there is no
// database, Conflict when its schema is another one than this program's.
func (db *DB) MustBeCurrent(ctx context.Context) error {
	if err := db.mustExist(); err != nil {
		return err
	}
	current, err := db.schemaIsCurrent(ctx)
	if err == nil && !current {
		err = callwheel.Errorf(callwheel.Conflict, "the database lacks some of this program's schema: run callwheel migrate")
	}
	return err
}

// schemaIsCurrent says whether nothing is missing; Conflict when the schema is
// newer than this program.
func (db *DB) schemaIsCurrent(ctx context.Context) (bool, error) {
	applied, err := db.appliedVersions(ctx)
	if err != nil {
		return false, err
	}
	known := knownMigrations()
	newest := known[len(known)-1].Version
	if len(applied) > 0 && applied[len(applied)-1] > newest {
		return false, callwheel.Errorf(callwheel.Conflict, "the database has schema %d, this program knows up to %d: use a newer program", applied[len(applied)-1], newest)
	}
	for _, m := range known {
		if !slices.Contains(applied, m.Version) {
			return false, nil
		}
	}
	return true, nil
}

// appliedVersions reads goose's book, in order. Goose's own reading makes the
// table, which a look must not; a database without it has applied nothing.
func (db *DB) appliedVersions(ctx context.Context) ([]int64, error) {
	var list []int64
	err := db.read.SelectContext(ctx, &list, `SELECT DISTINCT version_id FROM goose_db_version WHERE is_applied AND version_id > 0 ORDER BY version_id`)
	if isNoTable(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read schema version: %w", wrap(err))
	}
	return list, nil
}

// knownMigrations lists the embedded steps in order, none applied.
func knownMigrations() []Migration {
	var list []Migration
	names, _ := fs.Glob(migrationFiles, "migrations/*.sql") //nolint:errcheck // the pattern is good
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			panic(err) // embedded under a name without a number
		}
		list = append(list, Migration{Version: version, Name: path.Base(name)})
	}
	return list
}

// mustExist is NotFound when there is no SQLite file.
func (db *DB) mustExist() error {
	if db.group == nil {
		return nil
	}
	if _, err := os.Stat(db.path); errors.Is(err, fs.ErrNotExist) {
		return callwheel.Errorf(callwheel.NotFound, "there is no database at %s", db.path)
	}
	return nil
}

// makeDatabase makes the SQLite file when there is none. An existing one is not
// even opened: closing it would let go of SQLite's own locks in this process.
func (db *DB) makeDatabase() error {
	if db.mustExist() == nil {
		return nil
	}
	if err := makeFile(db.path); err != nil {
		return &callwheel.Error{Kind: callwheel.Unavailable, Message: "database away", Err: err}
	}
	return nil
}

// migrationPatience is how long a process waits for another one's migration.
const migrationPatience = 2 * time.Minute

// lockMigrations waits until no other process migrates the SQLite file. The lock
// is on a file of its own, beside it and left there: SQLite's own locks cannot be
// held over several transactions, and are lost when anybody in the process closes
// the file. On PostgreSQL goose holds a session lock itself.
func (db *DB) lockMigrations(ctx context.Context) (unlock func(), err error) {
	if db.group == nil {
		return func() {}, nil
	}
	unavailable := func(err error) error {
		return &callwheel.Error{Kind: callwheel.Unavailable, Message: "lock the migrations of " + db.path, Err: err}
	}
	if err := os.MkdirAll(filepath.Dir(db.path), 0o750); err != nil {
		return nil, unavailable(err)
	}
	f, err := os.OpenFile(db.path+".migrate", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unavailable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, migrationPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, unavailable(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, unavailable(ctx.Err())
		}
	}
}

func (db *DB) migrator() (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	if db.group != nil {
		if files, err = sqliteMigrations(files); err != nil {
			return nil, err
		}
		return goose.NewProvider(goose.DialectSQLite3, db.write.DB, files)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db.write.DB, files, goose.WithSessionLocker(locker))
}

// Schema returns the text of all migrations, in order. Equal texts make equal
// schemas.
func Schema() string {
	var all []byte
	names, _ := fs.Glob(migrationFiles, "migrations/*.sql") //nolint:errcheck // the pattern is good
	for _, name := range names {
		text, _ := migrationFiles.ReadFile(name) //nolint:errcheck // embedded
		all = append(all, text...)
	}
	return string(all)
}
