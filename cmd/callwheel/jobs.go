package main

import (
	"context"
	"time"

	"github.com/callwheel/callwheel/jobs"
)

// jobs is the table of background work: what, and how often. What each step
// does is written in its room.
func (p *program) jobs() []jobs.Job {
	return []jobs.Job{
		// Each replica for itself: its memory and its files.
		{Name: "refresh routing", Interval: time.Second, Step: step(p.switchboard.Refresh), Everywhere: true},
		{Name: "refresh provider keys", Interval: 5 * time.Second, Step: step(p.keys.Refresh), Everywhere: true},
		{Name: "drain spool", Interval: time.Second, Step: p.switchboard.Drain, Everywhere: true},

		// One replica at a time.
		{Name: "confirm numbers", Interval: 10 * time.Second, Step: p.numbers.ConfirmStep},
		{Name: "settle orders", Interval: 10 * time.Second, Step: p.numbers.OrderStep},
		{Name: "retire numbers", Interval: time.Minute, Step: p.numbers.RetireStep},
		{Name: "stock pools", Interval: 10 * time.Second, Step: p.ledger.Restock},
		{Name: "reap leases", Interval: 30 * time.Second, Step: p.ledger.Reap},
		{Name: "attribute missed calls", Interval: 5 * time.Second, Step: p.ledger.Sweep},
		{Name: "fit delays", Interval: time.Hour, Step: p.ledger.Refit},
		{Name: "fit lead models", Interval: time.Hour, Step: p.desk.RefitLeads},
		{Name: "score leads", Interval: 10 * time.Second, Step: p.desk.ScoreLeads},
		{Name: "note referral links", Interval: time.Minute, Step: p.desk.NoteLinks},
		{Name: "fetch recordings", Interval: 5 * time.Second, Step: p.recorder.Fetch},
		{Name: "delete recordings", Interval: 30 * time.Second, Step: p.recorder.DeleteStep},
		{Name: "expire recordings", Interval: 10 * time.Minute, Step: p.recorder.Expire},
		{Name: "tidy recordings", Interval: time.Hour, Step: p.recorder.Tidy},
		{Name: "reconcile calls", Interval: 30 * time.Second, Step: p.reconciler.Sweep},
		{Name: "roll up days", Interval: time.Minute, Step: p.reports.RollUp},
		{Name: "adopt parked calls", Interval: time.Minute, Step: p.switchboard.Adopt},
		{Name: "trim journal", Interval: time.Hour, Step: p.switchboard.Trim},
		{Name: "watch swaps", Interval: time.Minute, Step: p.ledger.WatchSwaps},
		{Name: "forget visitors", Interval: time.Hour, Step: p.ledger.Forget},
		{Name: "sweep sessions", Interval: 10 * time.Minute, Step: p.directory.Sweep},
	}
}

// step makes a step of something that is either done or not.
func step(do func(context.Context) error) jobs.Step {
	return func(ctx context.Context, _ time.Time) (int, error) { return 0, do(ctx) }
}
