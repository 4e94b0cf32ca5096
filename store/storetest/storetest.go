package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/callwheel/callwheel/store"
)

// Each runs fn once per kind of database, as subtests "sqlite" and "postgres".
func Each(t *testing.T, fn func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, open(t, SQLiteURL(t))) })
	if os.Getenv("TEST_POSTGRES_URL") != "" {
		t.Run("postgres", func(t *testing.T) { fn(t, open(t, PostgresURL(t))) })
	}
}

// EachURL is Each for tests that open the database themselves, such as those
// that start the whole program. The database is migrated.
func EachURL(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLiteURL(t)) })
	if os.Getenv("TEST_POSTGRES_URL") != "" {
		t.Run("postgres", func(t *testing.T) { fn(t, PostgresURL(t)) })
	}
}

func open(t testing.TB, address string) *store.DB {
	t.Helper()
	db, err := store.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var template struct {
	sync.Once
	file []byte
	err  error
}

// SQLiteURL returns the address of a fresh, migrated SQLite file. Migrating
// once and copying the file is what makes a database per test affordable.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	template.Do(func() {
		dir, err := os.MkdirTemp("", "callwheel-template")
		if err != nil {
			template.err = err
			return
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "t.db")
		if template.err = migrate("sqlite:" + file); template.err == nil {
			template.file, template.err = os.ReadFile(file)
		}
	})
	if template.err != nil {
		t.Fatal(template.err)
	}
	file := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(file, template.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + file
}

// PostgresURL returns the address of a fresh, migrated PostgreSQL database on
// the server of TEST_POSTGRES_URL, dropped when the test ends.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES_URL")
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	from, err := postgresTemplate(admin, server)
	if err != nil {
		t.Fatal(err)
	}
	return made(t, admin, server, "TEMPLATE "+from)
}

// EmptyPostgresURL is PostgresURL for tests of migrating: the database has no
// schema.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES_URL")
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return made(t, admin, server, "")
}

// made creates a database for one test and returns its address.
func made(t testing.TB, admin *sql.DB, server, how string) string {
	t.Helper()
	name := "callwheel_test_" + random()
	if _, err := admin.Exec(fmt.Sprintf("CREATE DATABASE %s %s", name, how)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	return withDatabase(t, server, name)
}

// postgresTemplate makes the migrated database that the others are copies of,
// once per schema: its name carries the hash of the migrations, and a lock keeps
// test programs that run side by side from making it twice.
func postgresTemplate(admin *sql.DB, server string) (string, error) {
	name := "callwheel_template_" + schemaHash()
	ctx := context.Background()
	conn, err := admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(4711)"); err != nil {
		return "", err
	}
	defer conn.ExecContext(ctx, "SELECT pg_advisory_unlock(4711)") //nolint:errcheck // ends with the connection anyway
	var have int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&have); err != nil {
		return "", err
	}
	if have > 0 {
		return name, nil
	}
	making := "callwheel_making_" + random()
	if _, err := conn.ExecContext(ctx, "CREATE DATABASE "+making); err != nil {
		return "", err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	u.Path = "/" + making
	if err := migrate(u.String()); err != nil {
		return "", err
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", making, name)); err != nil {
		return "", err
	}
	return name, nil
}

func migrate(address string) error {
	db, err := store.Open(address)
	if err != nil {
		return err
	}
	if err := db.Migrate(context.Background()); err != nil {
		db.Close()
		return err
	}
	return db.Close()
}

func withDatabase(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func schemaHash() string {
	sum := sha256.Sum256([]byte(store.Schema()))
	return hex.EncodeToString(sum[:6])
}

func random() string {
	var b [6]byte
	rand.Read(b[:]) //nolint:errcheck // never fails
	return hex.EncodeToString(b[:])
}
