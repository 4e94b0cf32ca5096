package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// plainFlags are the rules of a plain world (loopback.PlainConfig).
type plainFlags struct {
	Plain      bool          `help:"Play a plain world in place of a plumber's: visitors come evenly, look once, and call as the rules below say. This is what the mathematics of attribution assumes, so accuracy can hold the server to it."`
	PerHour    float64       `default:"60" help:"Plain: visitors an hour." placeholder:"RATE"`
	Stay       time.Duration `default:"5m" help:"Plain: how long a page is open on average." placeholder:"SPAN"`
	Delays     delayList     `default:"0.60@4m,0.25@1h,0.15@48h" help:"Plain: how long callers wait after they left: share@mean of each part." placeholder:"LIST"`
	Propensity float64       `default:"0.05" help:"Plain: share of visitors who call after they left." placeholder:"SHARE"`
	OnScreen   float64       `default:"6" help:"Plain: calls per hour of a visitor whose page is open." placeholder:"RATE"`
	Background float64       `default:"0.002" help:"Plain: calls of strangers per hour and number." placeholder:"RATE"`
	Withheld   float64       `help:"Plain: share of callers who show no number." placeholder:"SHARE"`
	PoolSize   int           `default:"40" help:"Plain: numbers of the pool." placeholder:"N"`
	Tail       time.Duration `help:"Plain: how long a number stays a visitor's after they left." placeholder:"SPAN"`
	Lend       string        `default:"quietest" enum:"quietest,rested" help:"Plain: which free number is lent next, as the setting visits.lend."`
	Undeclared bool          `help:"Plain: do not tell the server of these rules; it keeps its defaults."`
	BeatEvery  time.Duration `default:"30s" help:"Plain: how often an open page beats." placeholder:"SPAN"`
}

// maxPlainPool is how many numbers are kept for fiction, in the areas that the
// pretend provider has.
const maxPlainPool = 290

func (f plainFlags) validate(url string) error {
	switch {
	case !f.Plain:
		return nil
	case url != "":
		return errors.New("--plain brings its own server: it goes on for weeks")
	case !(f.PerHour > 0) || f.Stay <= 0 || f.BeatEvery <= 0 || f.PoolSize < 1 || f.PoolSize > maxPlainPool:
		return fmt.Errorf("--per-hour, --stay and --beat-every must be above zero, and --pool-size between 1 and %d", maxPlainPool)
	case !(f.Propensity >= 0 && f.Propensity <= 1) || !(f.Withheld >= 0 && f.Withheld <= 1):
		return errors.New("--propensity and --withheld must be between 0 and 1")
	case !(f.OnScreen >= 0) || !(f.Background >= 0) || f.callsPerVisitor() == 0:
		return errors.New("--on-screen and --background must not be negative, and somebody must call")
	}
	return nil
}

// callsPerVisitor is how many calls a visitor makes on average.
func (f plainFlags) callsPerVisitor() float64 { return f.Propensity + f.OnScreen*f.Stay.Hours() }

// plainWorld is what a truth file says of the rules of a plain world.
type plainWorld struct {
	PerHour    float64          `json:"visitors_per_hour"`
	Stay       time.Duration    `json:"stay"`
	Delays     []loopback.Delay `json:"delays"`
	Propensity float64          `json:"propensity"`
	OnScreen   float64          `json:"on_screen"`
	Background float64          `json:"background"`
	Withheld   float64          `json:"withheld"`
	PoolSize   int              `json:"pool_size"`
	Tail       time.Duration    `json:"tail"`
	Lend       string           `json:"lend"`
}

func (f plainFlags) world() *plainWorld {
	return &plainWorld{
		PerHour: f.PerHour, Stay: f.Stay, Delays: f.Delays, Propensity: f.Propensity, OnScreen: f.OnScreen, Background: f.Background,
		Withheld: f.Withheld, PoolSize: f.PoolSize, Tail: f.Tail, Lend: f.Lend,
	}
}

// latestHolder is how often whoever saw the number last made a call after the
// visit, when numbers are lent in the order of their release.
func (w plainWorld) latestHolder() float64 {
	parts := make([]attribution.DelayPart, len(w.Delays))
	for i, d := range w.Delays {
		parts[i] = attribution.DelayPart{Weight: d.Share, MeanHours: d.Mean.Hours()}
	}
	return attribution.HolderAccuracy(w.PoolSize, w.PerHour, w.Stay.Hours(), parts)
}

// playPlain plays a plain world to a server of its own.
func (c simulateCmd) playPlain(ctx context.Context, s *settings, std stdio, truth *truthFile) error {
	visitors := c.Visitors
	if c.Calls > 0 {
		visitors = int(math.Ceil(float64(c.Calls) / c.callsPerVisitor()))
	}
	from := c.until().Add(-time.Duration(float64(visitors) / c.PerHour * float64(time.Hour)))
	stage, made, err := c.stage(ctx, s, std, stageParams{Start: from, BeatEvery: c.BeatEvery, Lend: c.Lend})
	if err != nil {
		return err
	}
	defer stage.close(context.WithoutCancel(ctx)) //nolint:errcheck // the play is over
	world := loopback.NewPlainWorld(loopback.PlainConfig{
		Seed: c.Seed, From: from.Add(time.Second), Visitors: visitors, PerHour: c.PerHour, Stay: c.Stay, BeatEvery: c.BeatEvery, Delays: c.Delays,
		Propensity: c.Propensity, OnScreen: c.OnScreen, Background: c.Background, PoolSize: c.PoolSize, Withheld: c.Withheld,
		After: c.turnover(),
	})
	b, err := furnishPlain(ctx, stage, c.plainFlags)
	if err != nil {
		return err
	}
	if err := truth.write(truthLine{Kind: "server", DatabaseURL: made.DatabaseURL, AccountID: b.AccountID, Plain: c.world()}); err != nil {
		return err
	}
	player := b.player(ctx, stage, world)
	player.agent, player.truth, player.pool = nil, truth, b.Pool // nobody judges: what calls are worth is another story
	player.schedule()
	stage.sweepUntil(ctx, player, world.Happenings()[len(world.Happenings())-1].At.Add(sweepEvery))
	if err := stage.network.Finish(ctx); err != nil {
		return err
	}
	return c.played(std, player, made)
}

// sweepEvery is how often calls are looked for whose attribution took too long
// for the caller to wait for it. On a busy machine there are some.
const sweepEvery = 6 * time.Hour

// sweepUntil lets the job that looks for them do so on the moved clock. The other
// jobs have nothing to do in a plain world, and the one that fits delays would
// change its rules.
func (s *stage) sweepUntil(ctx context.Context, p *player, end time.Time) {
	for at := s.clock.Now().Add(sweepEvery); !at.After(end); at = at.Add(sweepEvery) {
		s.network.Schedule(at, func() {
			for done, err := 1, error(nil); done > 0; {
				if done, err = s.program.ledger.Sweep(ctx, s.clock.Now()); err != nil {
					p.failed(err)
					return
				}
			}
		})
	}
}

// turnover is how long people must keep coming until every number has been
// shown to somebody else.
func (f plainFlags) turnover() time.Duration {
	return time.Duration(4*float64(f.PoolSize)/f.PerHour*float64(time.Hour)) + f.Tail
}

// furnishPlain opens an account that has a pool and a site, and knows the
// delays of its callers.
func furnishPlain(ctx context.Context, s *stage, flags plainFlags) (*business, error) {
	o, err := s.openAccount(ctx, account.AccountParams{
		Name: "Plain", TZ: "America/New_York", Currency: "USD", Destination: loopback.WorldAgents()[0].Phone,
	}, account.Owner, account.Agent)
	if err != nil {
		return nil, err
	}
	b := &business{opened: o, Origin: plumberSite, Printed: plumberPrinted}
	f := &furnisher{ctx: ctx, stage: s, api: s.api(o.Tokens[account.Owner]), business: b}
	f.pool(flags.PoolSize, flags.Tail, 0)
	f.site()
	if !flags.Undeclared {
		f.delays(flags)
	}
	return b, f.err
}

// delays tells the server what an owner would who has measured it.
func (f *furnisher) delays(flags plainFlags) {
	parts := make([]map[string]float64, len(flags.Delays))
	for i, d := range flags.Delays {
		parts[i] = map[string]float64{"weight": d.Share, "mean_hours": d.Mean.Hours()}
	}
	f.post(http.MethodPost, "/v1/delay-models", map[string]any{
		"parts": parts, "propensity": flags.Propensity, "on_screen": flags.OnScreen, "background": flags.Background,
	}, nil)
}

// delayList reads 0.60@4m,0.25@1h,0.15@48h.
type delayList []loopback.Delay

// UnmarshalText reads the flag.
func (l *delayList) UnmarshalText(text []byte) error {
	*l = nil
	sum := 0.0
	for _, part := range strings.Split(string(text), ",") {
		share, mean, ok := strings.Cut(strings.TrimSpace(part), "@")
		weight, err := strconv.ParseFloat(share, 64)
		span, err2 := time.ParseDuration(mean)
		if !ok || err != nil || err2 != nil || !(weight > 0) || span <= 0 {
			return fmt.Errorf("%q is not share@mean, such as 0.6@4m", part)
		}
		sum += weight
		*l = append(*l, loopback.Delay{Share: weight, Mean: span})
	}
	if math.Abs(sum-1) > 1e-9 {
		return fmt.Errorf("the shares add up to %v, not 1", sum)
	}
	return nil
}
