package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

type replayCmd struct {
	Fix bool `help:"Write what differs, instead of only telling."`
}

// Help shows an example.
func (replayCmd) Help() string {
	return "Example: callwheel replay\n\nIt may run beside a working server. It exits with 1 when something differs; with --fix, when something still does."
}

// Run rebuilds calls, legs and texts from the journal, repeats every
// attribution, counts every prepared day again, and compares.
func (c replayCmd) Run(ctx context.Context, s *settings, std stdio) error {
	if !c.Fix { // only looks, so the database must be there
		if err := withDB(s, std, func(db *store.DB) error { return db.MustBeCurrent(ctx) }); err != nil {
			return err
		}
	}
	cfg, err := s.load(std.environ, nil)
	if err != nil {
		return err
	}
	p, err := assemble(cfg, time.Now, newLog(cfg.Log, std.err))
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // nothing is left open to lose
	if c.Fix {
		if err := p.db.Migrate(ctx); err != nil {
			return err
		}
		if err := p.repair(ctx, std.out); err != nil {
			return err
		}
	}
	found, err := p.compare(ctx)
	if err != nil {
		return err
	}
	found.print(std.out)
	if n := found.differences(); n > 0 {
		return fmt.Errorf("%d differences", n)
	}
	return nil
}

// comparison is how everything that can be recomputed compares with the facts.
type comparison struct {
	calls    telephony.ReplayResult
	verdicts attribution.Verification
	days     report.Recount
}

func (p *program) compare(ctx context.Context) (c comparison, err error) {
	if c.calls, err = p.switchboard.Replay(ctx, false); err != nil {
		return c, err
	}
	if c.verdicts, err = p.ledger.Verify(ctx); err != nil {
		return c, err
	}
	c.days, err = p.reports.Recount(ctx)
	return c, err
}

// repair writes what differs, each room's after what it follows from.
func (p *program) repair(ctx context.Context, out io.Writer) error {
	calls, err := p.switchboard.Replay(ctx, true)
	if err != nil {
		return err
	}
	verdicts, err := p.ledger.Verify(ctx)
	if err != nil {
		return err
	}
	attributed, err := p.ledger.Repair(ctx, append(verdicts.Missing, verdicts.Differ...))
	if err != nil {
		return err
	}
	days, err := p.reports.Recount(ctx)
	if err != nil {
		return err
	}
	if err := p.reports.RollAgain(ctx, days.Differ, p.now()); err != nil {
		return err
	}
	fmt.Fprintf(out, "rewritten: %d calls and texts, %d attributions, %d days\n", calls.Fixed, attributed, len(days.Differ))
	return nil
}

func (c comparison) differences() int {
	return c.calls.Differents + len(c.verdicts.Differ) + len(c.verdicts.Missing) + len(c.days.Differ)
}

func (c comparison) print(out io.Writer) {
	fmt.Fprintf(out, "journal: %d entries read, %d calls and %d texts rebuilt, %d differ", c.calls.Entries, c.calls.Calls, c.calls.Messages, c.calls.Differents)
	if c.calls.Trimmed > 0 {
		fmt.Fprintf(out, ", %d left alone because their entries are past retention", c.calls.Trimmed)
	}
	fmt.Fprintln(out)
	for _, d := range c.calls.Different {
		fmt.Fprintf(out, "  %s %s: stored %s, rebuilt %s\n", d.ID, d.Field, d.Stored, d.Rebuilt)
	}
	if c.calls.Parked > 0 {
		fmt.Fprintf(out, "parked: %d entries of which nobody can tell whose they are\n", c.calls.Parked)
	}
	fmt.Fprintf(out, "attributions: %d repeated, %d differ\n", c.verdicts.Checked, len(c.verdicts.Differ)+len(c.verdicts.Missing))
	for _, id := range c.verdicts.Differ {
		fmt.Fprintf(out, "  %s does not follow from the facts\n", id)
	}
	for _, id := range c.verdicts.Missing {
		fmt.Fprintf(out, "  %s has none yet\n", id)
	}
	fmt.Fprintf(out, "prepared days: %d counted again, %d differ\n", c.days.Days, len(c.days.Differ))
	for _, d := range c.days.Differ {
		fmt.Fprintf(out, "  %s of %s\n", d.DayOn, d.AccountID)
	}
}
