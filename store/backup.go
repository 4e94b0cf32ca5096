package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"

	"github.com/callwheel/callwheel"
)

// Backup writes a consistent copy of a SQLite database to file, which must not
// exist, while the server goes on working. The file appears when the copy is
// complete, verified and on disk; a copy that fails leaves nothing behind. It is
// readable by its owner only. Kinds: Conflict when file exists, NotFound when
// there is no database. PostgreSQL has its own tools; there it is Invalid.
func (db *DB) Backup(ctx context.Context, file string) error {
	if db.group == nil {
		return callwheel.Errorf(callwheel.Invalid, "backup of PostgreSQL is done with pg_dump or base backups")
	}
	if err := db.mustExist(); err != nil {
		return err
	}
	if _, err := os.Lstat(file); err == nil {
		return callwheel.Errorf(callwheel.Conflict, "%s exists already", file)
	}
	partial := fmt.Sprintf("%s.partial-%d", file, os.Getpid())
	defer discard(partial)
	for _, step := range []func() error{
		func() error { return makeFile(partial) },
		func() error { return db.copyTo(ctx, partial) },
		func() error { return syncFile(partial) },
		func() error { return os.Rename(partial, file) },
		func() error { return syncFile(filepath.Dir(file)) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("back up to %s: %w", file, err)
		}
	}
	return nil
}

// copyTo copies the database into an empty file and verifies the copy.
func (db *DB) copyTo(ctx context.Context, file string) (err error) {
	target, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	dst, err := target.Conn(ctx)
	if err != nil {
		return err
	}
	defer dst.Close()
	src, err := db.read.Conn(ctx)
	if err != nil {
		return wrap(err)
	}
	defer src.Close()
	err = dst.Raw(func(d any) error {
		return src.Raw(func(s any) error {
			b, err := d.(*sqlite3.SQLiteConn).Backup("main", s.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			// One step: a copy in pieces starts again at every write.
			if _, err := b.Step(-1); err != nil {
				b.Finish() //nolint:errcheck // the step's error is the one to tell
				return err
			}
			return b.Finish()
		})
	})
	if err != nil {
		return err
	}
	var verdict string
	if err := dst.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&verdict); err != nil {
		return fmt.Errorf("verify the copy: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("the copy does not verify: %s", verdict)
	}
	return nil
}

// makeFile makes an empty file for its owner only, and the folder for it. A
// database holds what callers said and who they are.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// syncFile waits until a file, or the names in a folder, are on disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// discard removes a SQLite file and what may stand beside it.
func discard(path string) {
	for _, end := range []string{"", "-journal", "-wal", "-shm"} {
		os.Remove(path + end) //nolint:errcheck // usually not there
	}
}
