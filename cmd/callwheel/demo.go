package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/telephony/loopback"
)

type demoCmd struct {
	Listen    string `default:"127.0.0.1:8080" help:"Address of the public doors." placeholder:"HOST:PORT"`
	OpsListen string `default:"127.0.0.1:9090" help:"Address of metrics and health." placeholder:"HOST:PORT"`
	Data      string `help:"Folder for the data; must be empty or not exist. Without it a temporary one, removed at the end." type:"path" placeholder:"DIR"`
	Days      int    `default:"60" help:"Days of history to play."`
	Seed      uint64 `default:"1" help:"The same seed plays the same history."`
	JSON      bool   `name:"json" help:"When ready, print one JSON object on standard output."`
	Exit      bool   `help:"Play the history, print the reports and exit."`
}

// Help shows an example.
func (demoCmd) Help() string {
	return `Example: callwheel demo --days 30 --listen 127.0.0.1:8000

The server runs in this process on a clock that a pretend phone network moves, so days pass in seconds while every request still goes over HTTP through the public doors. Then the clock becomes the real one and a trickle of live calls goes on.`
}

// demoVisitors is the mean number of visitors on a weekday: enough for figures
// that mean something after 60 days, few enough to be played in under a minute.
const demoVisitors = 45

// Validate refuses what would take hours, addresses that are none and flags that
// do not go together.
func (c demoCmd) Validate() error {
	for flag, address := range map[string]string{"--listen": c.Listen, "--ops-listen": c.OpsListen} {
		if err := configs.CheckAddress(address); err != nil {
			return fmt.Errorf("%s %w", flag, err)
		}
	}
	if c.Exit && c.JSON {
		return errors.New("--json says when the live part is ready, and --exit ends before that: give one of them")
	}
	if c.Days < 1 || c.Days > 400 {
		return errors.New("--days must be 1 to 400")
	}
	return nil
}

// Run shows the product.
func (c demoCmd) Run(ctx context.Context, s *settings, std stdio) error {
	dir, remove, err := demoDir(c.Data)
	if err != nil {
		return err
	}
	defer remove()
	say := func(format string, args ...any) { fmt.Fprintf(std.err, format, args...) }

	began := time.Now()
	until := began.UTC().Truncate(time.Second)
	world := loopback.NewWorld(loopback.WorldConfig{
		Seed: c.Seed, From: until.AddDate(0, 0, -c.Days), Until: until,
		VisitorsPerDay: demoVisitors, Growth: 0.15, BeatEvery: playedBeats,
	})
	level := "error"
	if s.LogLevel != nil {
		level = *s.LogLevel
	}
	stage, err := newStage(ctx, stageParams{
		DatabaseURL: "sqlite:" + filepath.Join(dir, "callwheel.db"), Dir: dir,
		Listen: c.Listen, OpsListen: c.OpsListen, Start: until.AddDate(0, 0, -c.Days), Seed: c.Seed, BeatEvery: playedBeats,
		Log: newLog(configs.Log{Level: level, Format: "text"}, std.err),
	})
	if err != nil {
		return err
	}
	defer stage.close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is kept of a demo
	say("Playing %d days of a plumber's calls through the real doors ", c.Days)
	b, player, err := c.history(ctx, stage, world, until, say)
	if err != nil {
		return err
	}
	say(" done in %.0f s: %d page views, %d calls.\n", time.Since(began).Seconds(), player.visits, player.calls)
	if c.Exit {
		return b.printReports(ctx, stage, std.out, until.AddDate(0, 0, -c.Days))
	}
	stage.goLive()
	if c.JSON {
		if err := json.NewEncoder(std.out).Encode(b.ready(stage)); err != nil {
			return err
		}
	}
	c.welcome(stage, b, say)
	return c.live(ctx, stage, b)
}

// history furnishes the business and plays its past.
func (c demoCmd) history(ctx context.Context, s *stage, world *loopback.World, until time.Time, say func(string, ...any)) (*business, *player, error) {
	b, err := furnish(ctx, s, world.Channels(), 24)
	if err != nil {
		return nil, nil, err
	}
	if err := b.pay(ctx, s, world); err != nil {
		return nil, nil, err
	}
	player := b.player(ctx, s, world)
	player.schedule()
	days := 0
	s.everyHours(ctx, 6, until, player, func() {
		if days++; days%16 == 0 { // every four days
			say(".")
		}
	})
	if err := s.network.Run(ctx, until); err != nil {
		return nil, nil, err
	}
	return b, player, errors.Join(player.err(), s.program.runner.RunAll(ctx))
}

// everyHours runs the background jobs on the moved clock, and then tells.
func (s *stage) everyHours(ctx context.Context, hours int, until time.Time, p *player, told func()) {
	var again func()
	next := s.clock.Now()
	again = func() {
		p.failed(s.program.runner.RunAll(ctx))
		told()
		if next = next.Add(time.Duration(hours) * time.Hour); next.Before(until) {
			s.network.Schedule(next, again)
		}
	}
	s.network.Schedule(next, again)
}

// demoReady is what demo --json prints.
type demoReady struct {
	URL       string            `json:"url"`
	OpsURL    string            `json:"ops_url"`
	AccountID string            `json:"account_id"`
	Tokens    map[string]string `json:"tokens"`
	SignIn    struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	} `json:"sign_in"`
	SiteKey  string `json:"site_key"`
	PoolID   string `json:"pool_id"`
	Provider struct {
		Name       string `json:"name"`
		AccountSID string `json:"account_sid"`
		AuthToken  string `json:"auth_token"`
		PublicURL  string `json:"public_url"`
	} `json:"provider"`
	TrackingNumbers []trackingNumber `json:"tracking_numbers"`
}

func (b *business) ready(s *stage) demoReady {
	r := demoReady{
		URL: s.program.cfg.PublicURL, OpsURL: "http://" + s.program.opsAddr, AccountID: b.AccountID,
		Tokens: map[string]string{}, SiteKey: b.SiteKey, PoolID: b.PoolID, TrackingNumbers: slices.Clone(b.Tracking),
	}
	// First what a caller can be sure of: numbers with a source of their own.
	slices.SortStableFunc(r.TrackingNumbers, func(a, b trackingNumber) int {
		return cmp.Compare(sourced(b), sourced(a))
	})
	for role, token := range b.Tokens {
		r.Tokens[string(role)] = token
	}
	r.SignIn.Email, r.SignIn.Password = b.Email, b.Password
	r.Provider.Name, r.Provider.AccountSID, r.Provider.AuthToken, r.Provider.PublicURL = "twilio", stageAccountSID, stageAuthToken, s.program.cfg.PublicURL
	return r
}

// sourced is 1 for a number that stands for one source.
func sourced(n trackingNumber) int { return min(len(n.Source), 1) }

func (c demoCmd) welcome(s *stage, b *business, say func(string, ...any)) {
	say(`
Look:     %[1]s            sign in as %[2]s with %[3]s
API:      %[1]s/docs
Ask:      curl -H 'Authorization: Bearer %[4]s' '%[1]s/v1/reports/roi?group_by=source,campaign'
Metrics:  http://%[5]s/metrics

A call rings every little while. Ctrl-C ends the demo.
`, s.program.cfg.PublicURL, b.Email, b.Password, b.Tokens[account.Owner], s.program.opsAddr)
}

// liveVisitors come within an hour of the live part, and nearly all of them
// call: somebody watches, and the pool is not to run out for it.
const liveVisitors = 40

// eager are the channels of people who would rather call than read.
func eager(channels []loopback.Channel) []loopback.Channel {
	for i := range channels {
		if channels[i].CallShare > 0 {
			channels[i].CallShare = 1
		}
		channels[i].CallsPerDay *= 40
	}
	return channels
}

// live keeps a trickle of visitors and calls going on the real clock until the
// demo is ended.
func (c demoCmd) live(ctx context.Context, s *stage, b *business) error {
	for n := 0; ctx.Err() == nil; n++ {
		from := time.Now()
		world := loopback.NewWorld(loopback.WorldConfig{
			Seed: c.Seed + uint64(n) + 1, From: from, Until: from.Add(time.Hour), AlwaysOpen: true, //nolint:gosec // n counts hours
			Visitors: liveVisitors, Channels: eager(loopback.DefaultChannels()), FirstPerson: 100_000 + n*10_000, BeatEvery: 30 * time.Second,
		})
		b.player(ctx, s, world).schedule()
		if err := s.network.Run(ctx, from.Add(time.Hour)); err != nil {
			return nil // ended by Ctrl-C
		}
	}
	return nil
}

// printReports prints what the owner would read, as tables.
func (b *business) printReports(ctx context.Context, s *stage, w io.Writer, from time.Time) error {
	q := report.Query{AccountID: b.AccountID, From: from.Format(time.RFC3339)}
	byCampaign := q
	byCampaign.GroupBy = []report.Dimension{report.Source, report.Campaign}
	roi, err := s.program.reports.ROI(ctx, byCampaign)
	if err != nil {
		return err
	}
	agents, err := s.program.reports.Agents(ctx, q)
	if err != nil {
		return err
	}
	half := from.Add(s.clock.Now().Sub(from) / 2)
	momentum, err := s.program.reports.Momentum(ctx, report.MomentumQuery{
		AccountID: b.AccountID, From: half.Format(time.RFC3339), Baseline: q.From + "/" + half.Format(time.RFC3339),
	})
	if err != nil {
		return err
	}
	for _, table := range []report.Tabular{
		roi.Table().Select([]string{"source", "campaign", "calls", "answered", "missed", "qualified", "credit", "revenue", "spend", "roi"}),
		agents.Table().Select([]string{"agent", "offered", "answered", "ring_median_seconds", "score", "qualified", "sales", "revenue"}),
	} {
		if err := report.WriteTable(w, table); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return momentum.Page(w)
}

// demoDir returns the folder to play in and how to leave it behind.
func demoDir(wanted string) (dir string, remove func(), err error) {
	if wanted == "" {
		dir, err := os.MkdirTemp("", "callwheel-demo")
		return dir, func() { os.RemoveAll(dir) }, err //nolint:errcheck // a temporary folder
	}
	if entries, err := os.ReadDir(wanted); err == nil && len(entries) > 0 {
		return "", nil, fmt.Errorf("%s is not empty: a demo makes its own data", wanted)
	}
	return wanted, func() {}, os.MkdirAll(wanted, 0o750)
}

func dayAfter(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return day.AddDate(0, 0, 1).Format(time.DateOnly)
}
