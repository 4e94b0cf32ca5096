package main

import (
	"cmp"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/store/storetest"
)

// The truth test. `make truth` plays its long form, named by CALLWHEEL_TRUTH:
// the number of calls of each story.

// truthCalls is how many calls are played: as many as asked for, else few.
func truthCalls(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("CALLWHEEL_TRUTH")
	if text == "" {
		return few
	}
	calls, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("CALLWHEEL_TRUTH is no number of calls: %v", err)
	}
	return calls
}

func long() bool { return os.Getenv("CALLWHEEL_TRUTH") != "" }

// played plays a plain world and returns its truth file.
func played(t *testing.T, databaseURL string, flags ...string) string {
	t.Helper()
	truth := filepath.Join(t.TempDir(), "truth.jsonl")
	args := append([]string{"simulate", "--plain", "--truth", truth, "--until", "2026-11-03T00:00:00Z", "--data", t.TempDir(), "--database-url", databaseURL}, flags...)
	if out := command(t, nil, args...).ok(t); !strings.HasPrefix(out, "played ") {
		t.Errorf("simulate: got %q", out)
	}
	return truth
}

// onBoth runs fn on SQLite and, where there is one, on PostgreSQL. fn may ask for
// as many databases as it likes. A story is tens of thousands of commits of which
// none must survive, so that none waits for a disk.
func onBoth(t *testing.T, fn func(t *testing.T, fresh func() string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, func() string { return "sqlite:" + filepath.Join(inMemory(t), "callwheel.db") })
	})
	if os.Getenv("TEST_POSTGRES_URL") == "" {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(t, func() string {
			u, err := url.Parse(storetest.PostgresURL(t))
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			q.Set("synchronous_commit", "off")
			u.RawQuery = q.Encode()
			return u.String()
		})
	})
}

// inMemory is a folder that is no disk, where the system has one.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "callwheel-truth")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a temporary folder
	return dir
}

// Half of all visitors call, strangers ten times as often as by default: the
// chances are those of one in twenty, and a tenth of the visitors is enough. The
// callers withhold their numbers, so that nothing but the delays decides.
func TestTruthOfWhatTheServerIsSureOf(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, fresh func() string) {
		few := 2000
		if raced {
			few = 100
		}
		calls := truthCalls(t, few)
		truth := played(t, fresh(), "--calls", strconv.Itoa(calls), "--pool-size", "40",
			"--propensity", "0.5", "--background", "0.02", "--withheld", "1", "--beat-every", "1m")
		t.Log("\n" + command(t, nil, "accuracy", "--truth", truth, "--strict").ok(t))
		a := parsed[accuracy](t, command(t, nil, "accuracy", "--truth", truth, "--json").ok(t))
		if least := calls - 4*int(math.Sqrt(float64(calls))); a.Calls < least {
			t.Errorf("calls: got %d, want about %d", a.Calls, calls)
		}
		is(t, "calls that the server says nothing of", a.Unattributed, 0)
		if raced {
			return
		}
		for what, c := range map[string]calibration{"source": a.Source, "visitor": a.Visitor} {
			if math.Abs(c.All.off()) > bandErrors || c.All.Calls < calls*3/4 {
				t.Errorf("%s: got %+v, want it calibrated over nearly all calls", what, c.All)
			}
		}
		if a.Source.All.Confidence <= a.Visitor.All.Confidence || a.Source.All.Share <= a.Visitor.All.Share {
			t.Errorf("source %+v, visitor %+v: want the source surer and oftener right", a.Source.All, a.Visitor.All)
		}
	})
}

// The server as it is delivered, in a world that keeps its defaults: one visitor
// in twenty calls, callers show their numbers.
func TestTruthOfTheDefaults(t *testing.T) {
	if !long() {
		t.Skip("left out: CALLWHEEL_TRUTH is not set; make truth plays it")
	}
	t.Parallel()
	onBoth(t, func(t *testing.T, fresh func() string) {
		truth := played(t, fresh(), "--calls", strconv.Itoa(truthCalls(t, 0)), "--undeclared")
		t.Log("\n" + command(t, nil, "accuracy", "--truth", truth, "--strict").ok(t))
	})
}

// Numbers lent in the order of their release, everybody calls once after they
// left, nobody comes back: then whoever saw the number last made the share of
// calls that the formula says.
func TestTruthOfTheFormula(t *testing.T) {
	t.Parallel()
	sizes := map[string]float64{"20": 0.6346} // by the formula, at 60 visitors an hour who stay five minutes
	if long() {
		sizes = map[string]float64{"15": 0.5742, "20": 0.6346, "40": 0.7114, "80": 0.7815}
	}
	onBoth(t, func(t *testing.T, fresh func() string) {
		for size, formula := range sizes {
			few := 1200
			if raced {
				few = 60
			}
			truth := played(t, fresh(), "--calls", strconv.Itoa(truthCalls(t, few)/2), "--pool-size", size,
				"--propensity", "1", "--on-screen", "0", "--background", "0", "--withheld", "1", "--undeclared", "--lend", "rested", "--beat-every", "1m")
			a := parsed[accuracy](t, command(t, nil, "accuracy", "--truth", truth, "--json").ok(t))
			l := a.Latest
			t.Logf("%s numbers: whoever saw the number last made %.4f ± %.4f of %d calls; by the formula %.4f", size, l.Share, l.Error, l.Calls, *l.Formula)
			if math.Abs(*l.Formula-formula) > 5e-5 {
				t.Errorf("%s numbers: formula %.4f, want %.4f", size, *l.Formula, formula)
			}
			if math.Abs(l.Share-formula) > 3*cmp.Or(l.Error, 1) {
				t.Errorf("%s numbers: got %.4f ± %.4f, want %.4f", size, l.Share, l.Error, formula)
			}
		}
	})
}
