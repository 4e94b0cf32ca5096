package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/telephony/loopback"
)

type simulateCmd struct {
	URL        string    `name:"url" help:"Public address of a running server; without it a server of its own is played to on a moved clock." placeholder:"URL"`
	Site       string    `help:"Site key; without it nobody visits and callers dial the given numbers." placeholder:"KEY"`
	Origin     string    `default:"https://shop.example" help:"Origin of the site."`
	Printed    string    `default:"+13125550100" help:"The number that the site's pages print." placeholder:"NUMBER"`
	AccountSID string    `name:"account-sid" help:"The provider account to sign as." placeholder:"SID"`
	AuthToken  string    `name:"auth-token" help:"Its token." placeholder:"TOKEN"`
	Numbers    []string  `help:"Tracking numbers that callers may dial." placeholder:"NUMBER"`
	Token      string    `help:"API token of an agent; without it nobody judges the calls." placeholder:"TOKEN"`
	Visitors   int       `default:"400" help:"How many people come."`
	Calls      int       `help:"About so many calls, in place of --visitors."`
	Rate       float64   `default:"1" help:"With --url: how much faster than real time people act."`
	Hours      float64   `default:"24" help:"Over how many hours they come."`
	Until      time.Time `help:"Without --url: when they have all come; default the hour that has begun." placeholder:"INSTANT"`
	Chaos      bool      `help:"Duplicate, reorder, delay and drop callbacks."`
	Seed       uint64    `default:"1" help:"The same seed and --until play the same story."`
	Data       string    `help:"Without --url: folder for the server's data, kept; default a new one among the temporary files." type:"path" placeholder:"DIR"`
	Truth      string    `required:"" help:"Where to write what really happened, one JSON object a line." type:"path" placeholder:"FILE"`
	plainFlags
}

// Help shows an example.
func (simulateCmd) Help() string {
	return `Example: callwheel simulate --calls 2000 --hours 336 --chaos --data ./sim --truth truth.jsonl
         callwheel accuracy --truth truth.jsonl

         callwheel simulate --plain --calls 2000 --propensity 0.5 --background 0.02 --withheld 1 --data ./sim --truth truth.jsonl
         callwheel accuracy --truth truth.jsonl --strict

         callwheel simulate --url http://127.0.0.1:8080 --site KEY --account-sid AC… --auth-token … \
           --visitors 50 --hours 0.1 --truth truth.jsonl`
}

// What a story may be: two years, and no faster than a year in five minutes.
const (
	longestStory = 2 * 366 * 24
	fastestStory = 100_000
)

// Validate refuses what cannot be played and flags that do not go together, before the truth file is
// touched.
func (c simulateCmd) Validate() error {
	if err := c.validate(c.URL); err != nil {
		return err
	}
	switch {
	case c.Visitors < 1:
		return errors.New("--visitors must be at least 1")
	case c.Calls < 0:
		return errors.New("--calls must not be negative")
	case !(c.Hours > 0 && c.Hours <= longestStory): // also what is no number
		return fmt.Errorf("--hours must be more than 0 and at most %d", longestStory)
	case !(c.Rate > 0 && c.Rate <= fastestStory):
		return fmt.Errorf("--rate must be more than 0 and at most %d", fastestStory)
	case c.URL == "":
		return nil
	case c.AccountSID == "" || c.AuthToken == "":
		return errors.New("--url needs --account-sid and --auth-token: requests are signed")
	case c.Site == "" && len(c.Numbers) == 0:
		return errors.New("--url needs --site, --numbers, or both")
	}
	return nil
}

// Run plays the story.
func (c simulateCmd) Run(ctx context.Context, s *settings, std stdio) (err error) {
	file, err := os.OpenFile(c.Truth, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(file)
	defer func() { err = errors.Join(err, buffered.Flush(), file.Close()) }()
	truth := &truthFile{w: buffered}
	switch {
	case c.Plain:
		return c.playPlain(ctx, s, std, truth)
	case c.URL == "":
		return c.alone(ctx, s, std, truth)
	}
	return c.against(ctx, std, truth)
}

// playedBeats is how often pages beat in a story of weeks: as seldom as they
// may.
const playedBeats = time.Minute

// visitors is how many people make the wanted number of calls. About one in
// nine calls; one more in seven of these calls again.
func (c simulateCmd) visitors() int {
	if c.Calls > 0 {
		return c.Calls * 13 / 2
	}
	return c.Visitors
}

func (c simulateCmd) chaos() loopback.Chaos {
	if c.Chaos {
		return loopback.Rough()
	}
	return loopback.Chaos{}
}

// alone plays to a server of its own on a moved clock: weeks in seconds.
func (c simulateCmd) alone(ctx context.Context, s *settings, std stdio, truth *truthFile) error {
	until := c.until()
	from := until.Add(-time.Duration(c.Hours * float64(time.Hour)))
	stage, made, err := c.stage(ctx, s, std, stageParams{Start: from, BeatEvery: playedBeats})
	if err != nil {
		return err
	}
	defer stage.close(context.WithoutCancel(ctx)) //nolint:errcheck // the play is over
	world := loopback.NewWorld(loopback.WorldConfig{Seed: c.Seed, From: from, Until: until, Visitors: c.visitors(), BeatEvery: playedBeats})
	b, err := furnish(ctx, stage, world.Channels(), 40)
	if err != nil {
		return err
	}
	if err := truth.write(truthLine{Kind: "server", DatabaseURL: made.DatabaseURL, AccountID: b.AccountID}); err != nil {
		return err
	}
	player := b.player(ctx, stage, world)
	player.truth = truth
	player.schedule()
	// Calls that begin at the end, late callers and late callbacks still come;
	// the reconcile job asks for what was lost when it is old enough.
	quiet, end := until.Add(24*time.Hour), until.Add(30*24*time.Hour)
	stage.everyHours(ctx, 3, quiet, player, func() {})
	stage.network.Schedule(quiet, func() { stage.everyHours(ctx, 24, end, player, func() {}) })
	if err := stage.network.Run(ctx, end); err != nil {
		return err
	}
	for range 5 {
		if err := stage.program.runner.RunAll(ctx); err != nil {
			return err
		}
	}
	return c.played(std, player, made)
}

// played ends a play to a server of its own.
func (c simulateCmd) played(std stdio, p *player, made stageParams) error {
	fmt.Fprintf(std.out, "played %d page views and %d calls\n", p.visits, p.calls)
	if c.Data == "" { // accuracy reads the database there
		fmt.Fprintf(std.err, "the server's data is kept in %s\n", made.Dir)
	}
	return p.err()
}

// stage makes the server that is played to, and returns what it was made of.
func (c simulateCmd) stage(ctx context.Context, s *settings, std stdio, sp stageParams) (*stage, stageParams, error) {
	dir, err := c.dataDir()
	if err != nil {
		return nil, sp, err
	}
	sp.DatabaseURL, sp.Dir, sp.Seed, sp.Chaos = "sqlite:"+filepath.Join(dir, "callwheel.db"), dir, c.Seed, c.chaos()
	if s.DatabaseURL != nil {
		sp.DatabaseURL = *s.DatabaseURL
	}
	level := "error"
	if s.LogLevel != nil {
		level = *s.LogLevel
	}
	sp.Log = newLog(configs.Log{Level: level, Format: "text"}, std.err)
	stage, err := newStage(ctx, sp)
	return stage, sp, err
}

// until is when everybody has come.
func (c simulateCmd) until() time.Time {
	if c.Until.IsZero() {
		return time.Now().UTC().Truncate(time.Hour)
	}
	return c.Until.UTC()
}

func (c simulateCmd) dataDir() (string, error) {
	if c.Data == "" {
		return os.MkdirTemp("", "callwheel-simulate")
	}
	return c.Data, os.MkdirAll(c.Data, 0o750)
}

// against drives a running server in real time.
func (c simulateCmd) against(ctx context.Context, std stdio, truth *truthFile) error {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	network := loopback.New(loopback.Config{
		PublicURL: c.URL, AccountSID: c.AccountSID, AuthToken: c.AuthToken, HTTP: client,
		Seed: c.Seed, Chaos: c.chaos(), Scale: c.Rate, FirstSID: uint64(time.Now().UnixMilli()), //nolint:gosec // after 1970
	})
	for _, number := range c.Numbers {
		network.AddNumber(number, loopback.NumberURLs{})
	}
	from := time.Now()
	length := time.Duration(c.Hours * float64(time.Hour))
	world := loopback.NewWorld(loopback.WorldConfig{
		Seed: c.Seed, From: from, Until: from.Add(length), Visitors: c.visitors(), AlwaysOpen: true, Site: c.Origin,
		FirstPerson: int(from.Unix() % 1_000_000 * 1000),
	})
	player := newPlayer(ctx, network, world, client, c.URL)
	player.siteKey, player.origin, player.printed, player.truth = c.Site, c.Origin, c.Printed, truth
	player.given, player.foreign = c.Numbers, true
	player.began, player.speed = from, c.Rate
	if c.Token != "" {
		player.agent = &apiClient{base: c.URL, token: c.Token, http: client}
	}
	if err := truth.write(truthLine{Kind: "server", URL: c.URL}); err != nil {
		return err
	}
	player.schedule()
	if err := network.Run(ctx, from.Add(player.span(length)+2*time.Minute)); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	fmt.Fprintf(std.out, "played %d page views and %d calls\n", player.visits, player.calls)
	return player.err()
}

// roleOfAccuracy is the role whose token may read what accuracy compares.
const roleOfAccuracy = account.Manager
