package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func block(ctx context.Context, tx *store.Tx, account, caller string) error {
	_, err := tx.Exec(ctx, `INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by) VALUES (?, ?, ?, ?, ?, ?)`,
		account, caller, caller, caller, int64(1), "t")
	return err
}

func count(t *testing.T, db *store.DB) int {
	t.Helper()
	var n int
	if err := db.Get(context.Background(), &n, `SELECT count(*) FROM referrals`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestManyWritersCommitTogetherAndAFailedOneUndoesOnlyItself(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		refused := errors.New("refused")
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
					if err := block(ctx, tx, "a", fmt.Sprint(i)); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return refused
					case 2:
						panic("a fault of ours")
					}
					return nil
				})
				switch {
				case i%4 == 1 && !errors.Is(err, refused):
					t.Errorf("transaction %d: got %v, want the function's own error", i, err)
				case i%4 == 2 && err == nil:
					t.Errorf("transaction %d panicked and committed", i)
				case i%4 == 0 && err != nil:
					t.Errorf("transaction %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if got := count(t, db); got != 100 {
			t.Errorf("rows: got %d, want the 100 that were not refused", got)
		}
	})
}

func TestAViolatedUniqueIndexIsRecognised(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		twice := func(ctx context.Context, tx *store.Tx) error { return block(ctx, tx, "a", "x") }
		if err := db.InTx(ctx, twice); err != nil {
			t.Fatal(err)
		}
		if err := db.InTx(ctx, twice); !store.IsUnique(err) {
			t.Errorf("got %v, want a unique violation", err)
		}
	})
}

func TestAMissingRowIsNotFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var name string
		err := db.Get(context.Background(), &name, `SELECT name FROM accounts WHERE account_id = ?`, "none")
		if callwheel.KindOf(err) != callwheel.NotFound {
			t.Errorf("got %v, want kind not_found", err)
		}
	})
}

func TestInstantsReadBackToTheMicrosecond(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		want := time.Date(2026, 3, 8, 7, 0, 0, 123456789, time.FixedZone("x", -5*3600))
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES ('a', 'A', 'UTC', 'USD', ?)`, store.At(want))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var got store.Time
		if err := db.Get(ctx, &got, `SELECT created_at FROM accounts`); err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want.Truncate(time.Microsecond)) || got.Location() != time.UTC {
			t.Errorf("got %v, want %v in UTC", got, want)
		}
	})
}

func TestAWaiterThatGivesUpLeavesTheWriterWorking(t *testing.T) {
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	entered, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			close(entered)
			<-leave
			return block(ctx, tx, "a", "first")
		})
	}()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	second := make(chan error, 1)
	go func() {
		second <- db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return block(ctx, tx, "a", "second") })
	}()
	cancel()
	if err := <-second; callwheel.KindOf(err) != callwheel.Unavailable {
		t.Errorf("given up: got %v, want kind unavailable", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("the one before: %v", err)
	}
	if err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error { return block(ctx, tx, "a", "third") }); err != nil {
		t.Errorf("the one after: %v", err)
	}
	if got := count(t, db); got != 2 {
		t.Errorf("rows: got %d, want first and third", got)
	}
}

func TestMigratingTwiceChangesNothingAndANewerSchemaIsRefused(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		db, err := store.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		list, err := db.Migrations(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if !m.Applied {
				t.Errorf("%s is not applied", m.Name)
			}
		}
		err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)`, 9999, true)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(ctx); callwheel.KindOf(err) != callwheel.Conflict {
			t.Errorf("newer schema: got %v, want kind conflict", err)
		}
		list, err = db.Migrations(ctx)
		if last := list[len(list)-1]; err != nil || last != (store.Migration{Version: 9999, Applied: true}) {
			t.Errorf("newer schema: got %+v, %v, want the step that this program does not know", last, err)
		}
	})
}

// racers is how many processes begin at once on a database that nobody made yet.
const racers = 6

// Two replicas, or serve and a command, that start at the same moment on a fresh
// database: one migrates, the others find it done.
func TestProcessesThatMigrateAtOnceFindItDoneOnce(t *testing.T) {
	for name, address := range freshDatabases(t) {
		t.Run(name, func(t *testing.T) {
			var started, done sync.WaitGroup
			started.Add(racers)
			for range racers {
				db, err := store.Open(address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				done.Go(func() {
					started.Done()
					started.Wait()
					if err := db.Migrate(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			done.Wait()
			db, err := store.Open(address)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.MustBeCurrent(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// freshDatabases are addresses of databases without a schema.
func freshDatabases(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "made", "fresh.db")}
	if os.Getenv("TEST_POSTGRES_URL") != "" {
		list["postgres"] = storetest.EmptyPostgresURL(t)
	}
	return list
}

func TestALookAtTheSchemaChangesNothing(t *testing.T) {
	ctx := context.Background()
	for name, address := range freshDatabases(t) {
		t.Run(name, func(t *testing.T) {
			db, err := store.Open(address)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if path, sqlite := strings.CutPrefix(address, "sqlite:"); sqlite {
				if _, err := db.Migrations(ctx); callwheel.KindOf(err) != callwheel.NotFound {
					t.Errorf("no file: got %v, want kind not_found", err)
				}
				if err := db.MustBeCurrent(ctx); callwheel.KindOf(err) != callwheel.NotFound {
					t.Errorf("no file: got %v, want kind not_found", err)
				}
				if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a look made the folder of the file: %v", err)
				}
				return
			}
			list, err := db.Migrations(ctx)
			if err != nil || len(list) == 0 || list[0].Applied {
				t.Errorf("got %v, %v, want every step pending", list, err)
			}
			if err := db.MustBeCurrent(ctx); callwheel.KindOf(err) != callwheel.Conflict {
				t.Errorf("no schema: got %v, want kind conflict", err)
			}
			var tables int
			if err := db.Get(ctx, &tables, `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'`); err != nil || tables != 0 {
				t.Errorf("tables after a look: got %d, %v, want none", tables, err)
			}
		})
	}
}

// A database that nobody can write to, but that is up to date, is no reason not
// to read the routes in it.
func TestAnUpToDateDatabaseIsNotWrittenToByMigrate(t *testing.T) {
	ctx := context.Background()
	url := storetest.SQLiteURL(t)
	holder, err := sql.Open("sqlite3", "file:"+strings.TrimPrefix(url, "sqlite:")+"?_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	held, err := holder.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback() //nolint:errcheck // it wrote nothing
	db, err := store.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		t.Errorf("got %v, want no write and no error", err)
	}
}

func TestAWriterThatCouldOnlyReadIsForgotten(t *testing.T) {
	ctx := context.Background()
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	readOnly := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `PRAGMA query_only = 1`) // as a connection that was opened while the file was write protected
		return err
	}
	write := func(ctx context.Context, tx *store.Tx) error { return block(ctx, tx, "a", "x") }
	if err := db.InTx(ctx, readOnly); err != nil {
		t.Fatal(err)
	}
	if err := db.InTx(ctx, write); callwheel.KindOf(err) != callwheel.Unavailable {
		t.Fatalf("write protected: got %v, want kind unavailable", err)
	}
	if err := db.InTx(ctx, write); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestEveryTableIsLedByItsAccountAndStrictOnSQLite(t *testing.T) {
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables []struct {
		Name   string `db:"name"`
		Strict bool   `db:"strict"`
		First  string `db:"first"`
	}
	err = db.Select(context.Background(), &tables, `
		SELECT l.name, l.strict, (SELECT c.name FROM pragma_table_info(l.name) c WHERE c.cid = 0) AS first
		FROM pragma_table_list l
		WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite_%' AND l.name NOT LIKE 'goose_%'`)
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) < 30 {
		t.Fatalf("found %d tables", len(tables))
	}
	for _, table := range tables {
		if !table.Strict {
			t.Errorf("%s is not STRICT", table.Name)
		}
		if table.First != "account_id" {
			t.Errorf("%s begins with %s, not with account_id", table.Name, table.First)
		}
	}
}

func TestABackupIsACompleteCopy(t *testing.T) {
	ctx := context.Background()
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return block(ctx, tx, "a", "x") }); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(ctx, file); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(ctx, file); callwheel.KindOf(err) != callwheel.Conflict {
		t.Errorf("a second time: got %v, want kind conflict", err)
	}
	restored, err := store.Open("sqlite:" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if got := count(t, restored); got != 1 {
		t.Errorf("rows in the copy: got %d, want 1", got)
	}
}

func TestABackupIsForItsOwnerOnlyAndAFailedOneLeavesNothing(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	names := func() []string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	file := filepath.Join(dir, "copy.db")
	damaged := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(damaged, []byte(strings.Repeat("no database ", 400)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]callwheel.Kind{filepath.Join(dir, "none.db"): callwheel.NotFound, damaged: callwheel.Internal} {
		db, err := store.Open("sqlite:" + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Backup(ctx, file); callwheel.KindOf(err) != kind {
			t.Errorf("%s: got %v, want kind %s", path, err, kind)
		}
		db.Close()
		if got := names(); len(got) != 0 {
			t.Errorf("%s: a failed backup left %q", path, got)
		}
	}
	source := "sqlite:" + filepath.Join(t.TempDir(), "source.db")
	db, err := store.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(ctx, file); err != nil {
		t.Fatal(err)
	}
	if got := names(); len(got) != 1 {
		t.Errorf("got %q, want the copy alone", got)
	}
	for _, path := range []string{file, strings.TrimPrefix(source, "sqlite:")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want mode 0600", path, info.Mode(), err)
		}
	}
}

func TestAnAddressThatCannotBeReadIsRefused(t *testing.T) {
	for _, address := range []string{
		"", "callwheel.db", "mysql://x", "sqlite:", "sqlite::memory:",
		"postgres://u:se%cret@h/db", "postgres://u:secret@h:notaport/db", "postgres://u:secret@h/db?sslmode=perhaps", "postgres://u:secret@h/db?connect_timeout=soon",
	} {
		if _, err := store.Open(address); callwheel.KindOf(err) != callwheel.Invalid || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: got %v, want kind invalid and no password", address, err)
		}
	}
}

func TestADatabaseThatIsAwaySaysSoAtTheFirstStatement(t *testing.T) {
	for _, address := range []string{
		"postgres://nobody@127.0.0.1:1/none?connect_timeout=1",
		"sqlite:" + t.TempDir(), // a folder is no database
	} {
		db, err := store.Open(address)
		if err != nil {
			t.Errorf("%s: open: %v", address, err)
			continue
		}
		if err := db.Ping(context.Background()); callwheel.KindOf(err) != callwheel.Unavailable {
			t.Errorf("%s: ping: got %v, want kind unavailable", address, err)
		}
		if err := db.Migrate(context.Background()); callwheel.KindOf(err) != callwheel.Unavailable {
			t.Errorf("%s: migrate: got %v, want kind unavailable", address, err)
		}
		db.Close()
	}
}

func TestWhatSpeaksAgainstARowIsToldApartFromAFaultOfTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		for name, c := range map[string]struct {
			query   string
			args    []any
			refused bool
		}{
			"a column that must not be empty": {`INSERT INTO blocked_callers (account_id, caller, created_at) VALUES ('a', 'b', NULL)`, nil, true},
			"a value of another type":         {`UPDATE routing_versions SET version = ?`, []any{"many"}, true},
			"a table that is not there":       {`DELETE FROM nothing`, nil, false},
			"a statement that is none":        {`NONSENSE`, nil, false},
		} {
			err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, c.query, c.args...)
				return err
			})
			if err == nil || store.IsRefused(err) != c.refused || callwheel.KindOf(err) == callwheel.Unavailable {
				t.Errorf("%s: got %v (refused %v, kind %s)", name, err, store.IsRefused(err), callwheel.KindOf(err))
			}
		}
		if err := db.InTx(ctx, func(context.Context, *store.Tx) error { panic("x") }); !store.IsRefused(err) {
			t.Errorf("a panic: got %v", err)
		}
	})
}
