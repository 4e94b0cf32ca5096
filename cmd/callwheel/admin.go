package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// office is what the administrative commands need: the database, migrated, and
// the rooms that they write to.
type office struct {
	cfg       configs.Config
	db        *store.DB
	directory *account.Directory
	desk      *scoring.Desk
}

// openOffice opens the database for a command that writes. It migrates first:
// every command that writes does.
func openOffice(ctx context.Context, s *settings, std stdio) (*office, error) {
	cfg, err := s.load(std.environ, nil)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(cfg.DatabaseURL)
	if err != nil {
		return nil, badConfig{err}
	}
	o := &office{cfg: cfg, db: db}
	if err := o.furnish(ctx, std); err != nil {
		db.Close()
		return nil, err
	}
	return o, nil
}

func (o *office) furnish(ctx context.Context, std stdio) error {
	if err := o.db.Migrate(ctx); err != nil {
		return err
	}
	key, err := secretKey(o.cfg)
	if err != nil {
		return err
	}
	o.directory, err = account.NewDirectory(o.db, account.Config{SecretKey: key, Now: time.Now, OnRouting: telephony.BumpRouting})
	if err != nil {
		return err
	}
	o.desk = scoring.NewDesk(o.db, time.Now, newLog(o.cfg.Log, std.err), nil)
	return nil
}

// secretKey returns the installation's key: the configured one, or the one kept
// beside the SQLite file.
func secretKey(cfg configs.Config) ([]byte, error) {
	if cfg.SecretKey != "" {
		return []byte(cfg.SecretKey), nil
	}
	key, err := configs.MakeSecretKey(cfg.DataDir(), randomText)
	return []byte(key), err
}

// randomText returns 32 random bytes as text.
func randomText() string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

type accountCmd struct {
	Create accountCreateCmd `cmd:"" help:"Make an account; prints its id."`
}

// Help shows an example.
func (accountCmd) Help() string {
	return `Example: callwheel account create --name "Loft & Co" --tz America/New_York`
}

type accountCreateCmd struct {
	Name        string `required:"" help:"What people call it."`
	TZ          string `name:"tz" default:"UTC" help:"IANA zone: days of reports." placeholder:"ZONE"`
	Currency    string `default:"USD" help:"ISO 4217 code: money of reports." placeholder:"CODE"`
	Destination string `help:"Who is rung when a number does not say, E.164." placeholder:"NUMBER"`
	JSON        bool   `name:"json" help:"Print a JSON object."`
}

// Help shows an example.
func (accountCreateCmd) Help() string {
	return `Example: callwheel account create --name "Loft & Co" --tz America/New_York --currency USD`
}

// Run makes the account with its first lists.
func (c accountCreateCmd) Run(ctx context.Context, s *settings, std stdio) error {
	o, err := openOffice(ctx, s, std)
	if err != nil {
		return err
	}
	defer o.db.Close()
	if c.Destination != "" {
		if c.Destination, err = telephony.CheckDestination(ctx, o.db, c.Destination); err != nil {
			return err
		}
	}
	made, err := o.directory.Create(ctx, account.AccountParams{Name: c.Name, TZ: c.TZ, Currency: c.Currency, Destination: c.Destination})
	if err != nil {
		return err
	}
	if err := o.desk.SeedLists(ctx, made.ID); err != nil {
		return err
	}
	return printID(std.out, c.JSON, made.ID, map[string]any{"id": made.ID, "name": made.Name, "tz": made.TZ, "currency": made.Currency})
}

type userCmd struct {
	Create userCreateCmd `cmd:"" help:"Make somebody who can sign in; prints the id."`
}

// Help shows an example.
func (userCmd) Help() string {
	return `Example: callwheel user create --account acct_… --email ann@example.com --name Ann`
}

type userCreateCmd struct {
	Account string `required:"" help:"The account's id." placeholder:"ID"`
	Email   string `required:"" help:"What they sign in with."`
	Name    string `required:"" help:"What people call them."`
	Role    string `default:"owner" enum:"owner,admin,manager,agent,marketer,read-only" help:"owner, admin, manager, agent, marketer or read-only."`
	Stdin   bool   `name:"password-stdin" help:"Read the password from standard input; otherwise one is made and printed on standard error."`
	JSON    bool   `name:"json" help:"Print a JSON object."`
}

// Help shows an example.
func (userCreateCmd) Help() string {
	return `Example: callwheel user create --account acct_… --email ann@example.com --name Ann --role owner`
}

// Run makes the user.
func (c userCreateCmd) Run(ctx context.Context, s *settings, std stdio) error {
	password := randomText()[:20]
	if c.Stdin {
		text, err := io.ReadAll(io.LimitReader(std.in, 1024))
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}
		password = trimNewline(string(text))
	}
	o, err := openOffice(ctx, s, std)
	if err != nil {
		return err
	}
	defer o.db.Close()
	if err := mustKnow(ctx, o.directory, c.Account); err != nil {
		return err
	}
	made, err := o.directory.CreateUser(ctx, account.Operator(c.Account), account.UserParams{
		Email: c.Email, Name: c.Name, Password: password, Role: account.Role(c.Role),
	})
	if err != nil {
		return err
	}
	more := map[string]any{"id": made.ID, "email": made.Email, "role": made.Role}
	if !c.Stdin {
		more["password"] = password
		if !c.JSON {
			fmt.Fprintln(std.err, "password:", password)
		}
	}
	return printID(std.out, c.JSON, made.ID, more)
}

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make an API token; prints it, once."`
}

// Help shows an example.
func (tokenCmd) Help() string {
	return `Example: callwheel token create --account acct_… --role marketer`
}

type tokenCreateCmd struct {
	Account string `required:"" help:"The account's id." placeholder:"ID"`
	Role    string `required:"" enum:"owner,admin,manager,agent,marketer,read-only" help:"owner, admin, manager, agent, marketer or read-only."`
	Name    string `default:"command line" help:"What it is for."`
	JSON    bool   `name:"json" help:"Print a JSON object."`
}

// Help shows an example.
func (tokenCreateCmd) Help() string {
	return `Example: callwheel token create --account acct_… --role marketer --name "weekly report"`
}

// Run makes the token.
func (c tokenCreateCmd) Run(ctx context.Context, s *settings, std stdio) error {
	o, err := openOffice(ctx, s, std)
	if err != nil {
		return err
	}
	defer o.db.Close()
	if err := mustKnow(ctx, o.directory, c.Account); err != nil {
		return err
	}
	made, text, err := o.directory.CreateToken(ctx, account.Operator(c.Account), account.TokenParams{Name: c.Name, Role: account.Role(c.Role)})
	if err != nil {
		return err
	}
	return printID(std.out, c.JSON, text, map[string]any{"id": made.ID, "token": text, "role": made.Role})
}

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" default:"1" help:"Apply what is missing."`
	Status migrateStatusCmd `cmd:"" help:"Show every step and whether it has been applied."`
}

// Help shows an example.
func (migrateCmd) Help() string { return `Example: callwheel migrate status` }

type migrateUpCmd struct{}

// Help shows an example.
func (migrateUpCmd) Help() string { return "Example: callwheel migrate" }

// Run migrates.
func (migrateUpCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return withDB(s, std, func(db *store.DB) error { return db.Migrate(ctx) })
}

type migrateStatusCmd struct{}

// Help shows an example.
func (migrateStatusCmd) Help() string { return "Example: callwheel migrate status" }

// Run lists the steps.
func (migrateStatusCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return withDB(s, std, func(db *store.DB) error {
		list, err := db.Migrations(ctx)
		if err != nil {
			return err
		}
		for _, m := range list {
			switch {
			case m.Name == "":
				fmt.Fprintf(std.out, "newer    %04d, applied by a newer program and not known to this one\n", m.Version)
			case m.Applied:
				fmt.Fprintf(std.out, "applied  %s\n", m.Name)
			default:
				fmt.Fprintf(std.out, "pending  %s\n", m.Name)
			}
		}
		return nil
	})
}

type backupCmd struct {
	File string `arg:"" help:"Where to; must not exist." type:"path"`
}

// Help shows an example.
func (backupCmd) Help() string {
	return "Example: callwheel backup /var/backups/callwheel-2026-11-22.db"
}

// Run copies the database and verifies the copy.
func (c backupCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return withDB(s, std, func(db *store.DB) error { return db.Backup(ctx, c.File) })
}

// withDB opens the configured database for fn.
func withDB(s *settings, std stdio, fn func(db *store.DB) error) error {
	cfg, err := s.load(std.environ, nil)
	if err != nil {
		return err
	}
	db, err := store.Open(cfg.DatabaseURL)
	if err != nil {
		return badConfig{err}
	}
	defer db.Close()
	return fn(db)
}

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say whether the settings are right, and what they come to."`
}

// Help shows an example.
func (configCmd) Help() string { return `Example: callwheel config check --config callwheel.yaml` }

type configCheckCmd struct{}

// Help shows an example.
func (configCheckCmd) Help() string { return "Example: callwheel config check --config callwheel.yaml" }

// Run reads the settings and prints them without their secrets.
func (configCheckCmd) Run(_ context.Context, s *settings, std stdio) error {
	cfg, err := s.load(std.environ, nil)
	if err != nil {
		return err
	}
	for _, name := range configs.UnknownEnv(std.environ) {
		fmt.Fprintf(std.err, "warning: %s is no setting\n", name)
	}
	for _, line := range cfg.Describe() {
		fmt.Fprintln(std.out, line)
	}
	return nil
}

type versionCmd struct{}

// Help shows an example.
func (versionCmd) Help() string { return "Example: callwheel version" }

// Run prints the version that the build was stamped with.
func (versionCmd) Run(std stdio) error {
	fmt.Fprintln(std.out, "callwheel", version())
	return nil
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(12, len(setting.Value))]
		}
	}
	return info.Main.Version
}

// printID writes the id (or token) alone, or with --json everything.
func printID(w io.Writer, asJSON bool, id string, more map[string]any) error {
	if !asJSON {
		_, err := fmt.Fprintln(w, id)
		return err
	}
	return json.NewEncoder(w).Encode(more)
}

func trimNewline(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}
