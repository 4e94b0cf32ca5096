package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "time/tzdata" // zones of accounts on machines without a zone database

	"github.com/alecthomas/kong"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/store"
)

// Exit codes, as the operator's scripts know them.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitBadConfig = 78
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		// Whoever asks twice means now. What was acknowledged is on disk.
		<-signals
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr, os.Environ()}))
}

// stdio is what a command sees of the process around it.
type stdio struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
}

// cli is the command line: every command with its flags.
type cli struct {
	Settings settings `embed:""`

	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Demo     demoCmd     `cmd:"" help:"Show the product: an embedded server, weeks of history through the real doors, then live calls."`
	Simulate simulateCmd `cmd:"" help:"Drive a server through its public doors, with the truth written beside."`
	Accuracy accuracyCmd `cmd:"" help:"Compare what the server attributed with the truth."`
	Report   reportCmd   `cmd:"" help:"Print a report on the terminal."`
	Import   importCmd   `cmd:"" help:"Bring history in: touches, outcomes, spend, calls."`
	Account  accountCmd  `cmd:"" help:"Accounts."`
	User     userCmd     `cmd:"" help:"People who sign in."`
	Token    tokenCmd    `cmd:"" help:"API tokens."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database schema up to date, or show where it stands."`
	Backup   backupCmd   `cmd:"" help:"Copy the SQLite database while the server works."`
	Replay   replayCmd   `cmd:"" help:"Rebuild every derived table from the journal and prove that it comes out the same."`
	Config   configCmd   `cmd:"" help:"Settings."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// settings are the flags that every command shares. They win over the
// environment, which wins over the file.
type settings struct {
	ConfigFile  string  `name:"config" help:"YAML file with settings." type:"path" env:"CALLWHEEL_CONFIG" placeholder:"FILE"`
	DatabaseURL *string `help:"sqlite:PATH or postgres://…" placeholder:"URL"`
	LogLevel    *string `help:"debug, info, warn or error." placeholder:"LEVEL"`
}

// load reads the settings; more are the flags of the command itself.
func (s settings) load(environ []string, more map[string]any) (configs.Config, error) {
	flags := map[string]any{}
	if s.DatabaseURL != nil {
		flags["database_url"] = *s.DatabaseURL
	}
	if s.LogLevel != nil {
		flags["log.level"] = *s.LogLevel
	}
	for key, value := range more {
		flags[key] = value
	}
	cfg, err := configs.Load(s.ConfigFile, environ, flags)
	if err != nil {
		return cfg, badConfig{err}
	}
	// Only the driver knows every option of a database's address.
	db, err := store.Open(cfg.DatabaseURL)
	if err != nil {
		return cfg, badConfig{err}
	}
	return cfg, db.Close()
}

// badConfig marks an error that is about the settings.
type badConfig struct{ error }

func (b badConfig) Unwrap() error { return b.error }

// run parses the arguments, runs the command and returns the exit code.
func run(ctx context.Context, args []string, std stdio) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("callwheel"),
		kong.Description("Open, self-hosted call tracking: which place earned the call, what it was worth, whether the business gains momentum."),
		kong.UsageOnError(),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
	)
	if err != nil {
		fmt.Fprintln(std.err, "callwheel:", err)
		return exitFailed
	}
	command, err := parser.Parse(asHelp(args))
	if exited >= 0 { // --help printed and left
		return exited
	}
	if err != nil {
		fmt.Fprintf(std.err, "callwheel: %v\nTry: callwheel help\n", err)
		return exitUsage
	}
	if err := command.Run(&c.Settings); err != nil {
		fmt.Fprintln(std.err, "callwheel:", oneLine(err))
		return codeOf(err)
	}
	return exitDone
}

// asHelp turns "help COMMAND" into "COMMAND --help", and no arguments into help.
func asHelp(args []string) []string {
	if len(args) == 0 {
		return []string{"--help"}
	}
	if args[0] == "help" {
		return append(append([]string{}, args[1:]...), "--help")
	}
	return args
}

func codeOf(err error) int {
	var bad badConfig
	if errors.As(err, &bad) {
		return exitBadConfig
	}
	return exitFailed
}

// oneLine keeps an error on one line: logs and terminals are read by lines.
func oneLine(err error) string {
	if fields := fieldErrors(err); len(fields) > 0 {
		parts := make([]string, len(fields))
		for i, f := range fields {
			parts[i] = f.Field + ": " + f.Message
		}
		return strings.Join(parts, "; ")
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// fieldErrors are the fields that an error names.
func fieldErrors(err error) []callwheel.FieldError {
	var e *callwheel.Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}
