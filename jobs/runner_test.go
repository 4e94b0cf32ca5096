package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/jobs"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	start = time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC)
)

func TestOneReplicaAtATimeHoldsAJob(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := start
		clock := func() time.Time { return now }
		ran := 0
		job := jobs.Job{Name: "count", Step: func(context.Context, time.Time) (int, error) { ran++; return 1, nil }}
		first := jobs.NewRunner(db, []jobs.Job{job}, clock, quiet, nil)
		second := jobs.NewRunner(db, []jobs.Job{job}, clock, quiet, nil)
		ctx := context.Background()

		for _, step := range []struct {
			name   string
			runner *jobs.Runner
			after  time.Duration
			want   int
		}{
			{"the first takes it", first, 0, 1},
			{"the second finds it held", second, time.Second, 0},
			{"the first keeps it", first, time.Second, 1},
			{"the second still waits", second, time.Minute, 0},
			{"the first is gone, the hold runs out", second, 2 * time.Minute, 1},
			{"now the first waits", first, time.Second, 0},
		} {
			now = now.Add(step.after)
			if got, err := step.runner.RunOnce(ctx, job); err != nil || got != step.want {
				t.Errorf("%s: got %d, %v, want %d", step.name, got, err, step.want)
			}
		}
		if ran != 3 {
			t.Errorf("steps run: got %d, want 3", ran)
		}
	})
}

func TestOfManyReplicasAtOnceOneRunsTheStep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var ran atomic.Int64
		job := jobs.Job{Name: "once", Step: func(context.Context, time.Time) (int, error) { ran.Add(1); return 0, nil }}
		var wg sync.WaitGroup
		for range 16 {
			runner := jobs.NewRunner(db, nil, func() time.Time { return start }, quiet, nil)
			wg.Go(func() {
				if _, err := runner.RunOnce(context.Background(), job); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if ran.Load() != 1 {
			t.Errorf("steps run: got %d, want 1", ran.Load())
		}
	})
}

func TestAFailingOrPanickingStepIsCountedAndTheJobGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		reg := prometheus.NewRegistry()
		calls := 0
		job := jobs.Job{Name: "shaky", Step: func(context.Context, time.Time) (int, error) {
			calls++
			switch calls {
			case 1:
				return 0, errors.New("away")
			case 2:
				panic("a fault of ours")
			}
			return 0, nil
		}}
		runner := jobs.NewRunner(db, []jobs.Job{job}, func() time.Time { return start }, quiet, reg)
		for i, wantErr := range []bool{true, true, false} {
			if _, err := runner.RunOnce(context.Background(), job); (err != nil) != wantErr {
				t.Errorf("run %d: got %v, want an error: %v", i+1, err, wantErr)
			}
		}
		if got := testutil.CollectAndCount(reg, "callwheel_jobs_failed_total"); got != 1 {
			t.Errorf("failure counters: got %d, want 1", got)
		}
	})
}

func TestStopWaitsForTheBatchUnderWayAndGivesTheLockBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		entered, leave := make(chan struct{}), make(chan struct{})
		finished := false
		job := jobs.Job{Name: "long", Interval: time.Hour, Step: func(ctx context.Context, _ time.Time) (int, error) {
			close(entered)
			<-leave
			finished = ctx.Err() == nil
			return 0, nil
		}}
		clock := func() time.Time { return start }
		runner := jobs.NewRunner(db, []jobs.Job{job}, clock, quiet, nil)
		runner.Start()
		<-entered
		stopped := make(chan struct{})
		go func() {
			if err := runner.Stop(context.Background()); err != nil {
				t.Error(err)
			}
			close(stopped)
		}()
		close(leave)
		<-stopped
		if !finished {
			t.Error("the batch under way was cut off")
		}
		other := jobs.NewRunner(db, nil, clock, quiet, nil)
		took := jobs.Job{Name: "long", Step: func(context.Context, time.Time) (int, error) { return 7, nil }}
		if got, err := other.RunOnce(context.Background(), took); err != nil || got != 7 {
			t.Errorf("another replica right after: got %d, %v, want the lock", got, err)
		}
	})
}

// A stop has a limit: a step that hangs is told, and left to its lock's end.
func TestStopDoesNotWaitLongerThanItMay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		entered, told := make(chan struct{}), make(chan struct{})
		job := jobs.Job{Name: "hangs", Interval: time.Hour, Step: func(ctx context.Context, _ time.Time) (int, error) {
			close(entered)
			<-ctx.Done()
			close(told)
			return 0, ctx.Err()
		}}
		runner := jobs.NewRunner(db, []jobs.Job{job}, func() time.Time { return start }, quiet, nil)
		runner.Start()
		<-entered
		limit, end := context.WithCancel(context.Background())
		end()
		if err := runner.Stop(limit); callwheel.KindOf(err) != callwheel.Unavailable {
			t.Errorf("got %v, want kind unavailable", err)
		}
		<-told
	})
}
