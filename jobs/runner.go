package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Step is one bounded batch of background work. It returns how many things it
// did; more than zero means that there may be more, and it is called again
// without waiting for the next interval. It must be safe to repeat.
type Step func(ctx context.Context, now time.Time) (done int, err error)

// Job is a step and when it runs.
type Job struct {
	Name     string
	Interval time.Duration
	Step     Step
	// Everywhere marks work that each replica does for itself (its own memory,
	// its own files) and that therefore takes no lock.
	Everywhere bool
}

// hold is how long a replica keeps a job after its last step: longer than any
// step takes, short enough that a dead replica is soon replaced.
const hold = 2 * time.Minute

// Runner runs jobs until it is stopped.
type Runner struct {
	db      *store.DB
	log     *slog.Logger
	now     func() time.Time
	metrics metrics
	holder  string
	jobs    []Job
	stop    context.CancelFunc // no further step
	cut     context.CancelFunc // the steps under way end, too
	wg      sync.WaitGroup
}

// NewRunner makes a runner for the jobs. now is the clock that steps are given;
// reg may be nil.
func NewRunner(db *store.DB, list []Job, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Runner {
	return &Runner{db: db, log: log, now: now, metrics: newMetrics(reg), holder: callwheel.NewID("replica"), jobs: list}
}

// Start runs every job in its own loop until Stop.
func (r *Runner) Start() {
	steps, cut := context.WithCancel(context.Background())
	ctx, stop := context.WithCancel(steps)
	r.stop, r.cut = stop, cut
	for _, job := range r.jobs {
		r.wg.Go(func() { r.loop(ctx, steps, job) })
	}
}

// Stop lets the steps under way finish their batch, gives the locks back and
// returns. When ctx ends first, the steps' context ends with it and Stop returns
// at once, with kind Unavailable: a step is safe to repeat, and its lock runs out.
func (r *Runner) Stop(ctx context.Context) error {
	if r.stop == nil {
		return nil
	}
	defer r.cut()
	r.stop()
	ended := make(chan struct{})
	go func() { r.wg.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return callwheel.Errorf(callwheel.Unavailable, "background jobs did not end in time: %w", ctx.Err())
	}
}

// loop runs the job until ctx ends; steps is the context of the steps.
func (r *Runner) loop(ctx, steps context.Context, job Job) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.giveBack(job)
			return
		case <-timer.C:
		}
		r.drain(ctx, steps, job)
		timer.Reset(job.Interval)
	}
}

// drain calls the step until it has nothing more to do.
func (r *Runner) drain(ctx, steps context.Context, job Job) {
	for ctx.Err() == nil {
		// A step is not cut off in the middle of its batch while Stop waits.
		done, err := r.RunOnce(steps, job)
		if err != nil {
			r.log.Error("job step", "job", job.Name, "error", err)
			return
		}
		if done == 0 {
			return
		}
	}
}

// RunOnce takes the job's lock and runs one step, whatever the interval. It
// does nothing, without error, while another replica holds the job.
func (r *Runner) RunOnce(ctx context.Context, job Job) (done int, err error) {
	now := r.now()
	if !job.Everywhere {
		// The hold is measured on the clock of the steps: locks of one
		// installation all live on one clock.
		held, err := lock(ctx, r.db, job.Name, r.holder, now, now.Add(hold))
		if err != nil {
			return 0, fmt.Errorf("take job lock: %w", err)
		}
		if !held {
			return 0, nil
		}
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			r.metrics.failed.WithLabelValues(job.Name).Inc()
		}
	}()
	start := time.Now()
	done, err = job.Step(ctx, now)
	r.metrics.seconds.WithLabelValues(job.Name).Observe(time.Since(start).Seconds())
	r.metrics.done.WithLabelValues(job.Name).Add(float64(done))
	return done, err
}

// RunAll runs one step of every job, in their order: what the demo does when
// its clock jumps.
func (r *Runner) RunAll(ctx context.Context) error {
	for _, job := range r.jobs {
		if _, err := r.RunOnce(ctx, job); err != nil {
			return fmt.Errorf("job %s: %w", job.Name, err)
		}
	}
	return nil
}

func (r *Runner) giveBack(job Job) {
	if job.Everywhere {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := unlock(ctx, r.db, job.Name, r.holder); err != nil {
		r.log.Warn("give back job lock", "job", job.Name, "error", err)
	}
}
