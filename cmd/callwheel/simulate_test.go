package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/store/storetest"
)

// Two weeks with callbacks doubled, out of order, late and lost: what was lost is
// asked for, and in the end every call is there once with the outcome that it
// had, printed numbers are never attributed wrongly, and the journal gives the
// same rows again.
func TestASimulationWithChaosAgreesWithTheTruth(t *testing.T) {
	t.Parallel()
	calls := 550
	if raced {
		calls = 60
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		data := t.TempDir()
		simulated(t, "sqlite:"+filepath.Join(data, "callwheel.db"), calls, "--data", data)
	})
	if os.Getenv("TEST_POSTGRES_URL") == "" {
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		databaseURL := storetest.PostgresURL(t)
		simulated(t, databaseURL, 60, "--data", t.TempDir(), "--database-url", databaseURL)
	})
}

func simulated(t *testing.T, databaseURL string, calls int, flags ...string) {
	t.Helper()
	truth := filepath.Join(t.TempDir(), "truth.jsonl")
	args := append([]string{
		"simulate", "--calls", strconv.Itoa(calls), "--hours", "336", "--chaos", "--truth", truth,
		"--until", "2026-11-03T00:00:00Z", // clocks in New York are put back two days before
	}, flags...)
	played := command(t, nil, args...)
	if !strings.HasPrefix(played.ok(t), "played ") {
		t.Errorf("simulate: got %q", played.out)
	}

	compared := parsed[accuracy](t, command(t, nil, "accuracy", "--truth", truth, "--strict", "--json").ok(t))
	t.Logf("%d calls: %+v from print, %+v from pages, %+v long after", compared.Calls, compared.SourceNumbers, compared.Pool, compared.Late)
	if least := calls - 3*int(math.Sqrt(float64(calls))); compared.Calls < least {
		t.Errorf("calls: got %d, want about %d", compared.Calls, calls)
	}
	is(t, "missing", compared.Missing, 0)
	is(t, "twice", compared.Twice, 0)
	is(t, "never made", compared.Unexpected, 0)
	is(t, "with the wrong outcome", compared.WrongOutcome, 0)
	is(t, "with another talk time", compared.WrongDuration, 0)
	is(t, "source numbers wrong", compared.SourceNumbers.Wrong, 0)
	is(t, "source numbers unknown", compared.SourceNumbers.Unknown, 0)
	if compared.SourceNumbers.Right == 0 || compared.Pool.Right == 0 {
		t.Errorf("attributed: got %+v and %+v, want some of both sorts", compared.SourceNumbers, compared.Pool)
	}
	is(t, "pool numbers wrong while the page was open or soon after", compared.Pool.Wrong, 0)
	if share := float64(compared.Pool.Unknown) / float64(compared.Pool.Right+compared.Pool.Unknown); share > 0.25 {
		t.Errorf("pool numbers unknown: %.0f %%, want at most a quarter: there were enough numbers", 100*share)
	}
	nothingDiffers(t, command(t, environOf(t, databaseURL), "replay"))
}

// The truth is what the comparison trusts: it must find what is wrong.
func TestAccuracyFindsWhatIsWrong(t *testing.T) {
	truth := []truthLine{
		{Kind: "call", ProviderCallID: "A", Outcome: "answered", TalkSeconds: 60, Source: "billboard", Campaign: "route-9", Offline: true},
		{Kind: "call", ProviderCallID: "B", Outcome: "voicemail", VisitorID: "vis_1"},
		{Kind: "call", ProviderCallID: "C", Outcome: "answered", VisitorID: "vis_1", TalkSeconds: 5, Source: "google", Medium: "cpc"},
		{Kind: "call", ProviderCallID: "D", Outcome: "abandoned", VisitorID: "vis_2", Late: true},
		{Kind: "visit"},
	}
	a := compare(truth, []attributed{
		{ProviderCallID: "A", Outcome: "answered", TalkSeconds: 60, Method: "source_number", Source: "print ad", Campaign: "route-9", Confidence: 1},
		{ProviderCallID: "C", Outcome: "answered", TalkSeconds: 6, Method: "lease", Source: "google", Medium: "CPC", VisitorID: "vis_1", Confidence: 0.97, VisitorConfidence: 0.6},
		{ProviderCallID: "C", Outcome: "answered", TalkSeconds: 6, VisitorID: "vis_1", Confidence: 0.97},
		{ProviderCallID: "D", Outcome: "busy", Method: "overflow_number", Source: "google"},
	})
	is(t, "calls", a.Calls, 4)
	is(t, "missing", a.Missing, 1)
	is(t, "twice", a.Twice, 1)
	is(t, "wrong outcome", a.WrongOutcome, 1)
	is(t, "another talk time", a.WrongDuration, 1)
	is(t, "source numbers", a.SourceNumbers, tally{Wrong: 1})
	is(t, "pool", a.Pool, tally{Right: 1})
	is(t, "late", a.Late, tally{Unknown: 1})
	is(t, "not attributed", a.Unattributed, 0)
	is(t, "calls of which the server named a source and was sure", a.Source.Bands[9].Calls, 2)
	is(t, "share of them that was right", a.Source.Bands[9].Share, 0.5)
	is(t, "calls of which it named the visitor and was not", a.Visitor.Bands[6].Calls, 1)
	is(t, "what is told", len(a.details), 5)
	a.unexpected(truth, []attributed{{ProviderCallID: "A"}, {ProviderCallID: "E", Outcome: "busy"}})
	is(t, "unexpected", a.Unexpected, 1)
}

// A strict comparison fails for a call too many and for another talk time. The
// folder of a simulation that was given none is told, for accuracy reads there.
func TestAStrictComparisonFailsForWhatIsTooMuch(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	story := filepath.Join(dir, "truth.jsonl")
	played := command(t, nil, "simulate", "--visitors", "60", "--hours", "24", "--until", "2026-11-03T00:00:00Z", "--truth", story)
	played.ok(t)
	_, data, told := strings.Cut(strings.TrimSpace(played.err), "kept in ")
	if !told || len(files(t, data)) == 0 {
		t.Fatalf("got %q, want to be told where the data is", played.err)
	}
	command(t, nil, "accuracy", "--truth", story, "--strict").ok(t)
	text, err := os.ReadFile(story)
	if err != nil {
		t.Fatal(err)
	}
	var without, longer []string
	for line := range strings.Lines(string(text)) {
		one := parsed[map[string]any](t, line)
		if one["kind"] == "call" && one["outcome"] == "answered" && len(longer) == len(without) {
			one["talk_seconds"] = 77777
			changed, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			longer = append(longer, string(changed)+"\n")
			continue
		}
		without, longer = append(without, line), append(longer, line)
	}
	if len(longer) != len(without)+1 {
		t.Fatal("nobody was answered in the story")
	}
	for name, lines := range map[string][]string{"never made": without, "talked for 77777 s": longer} {
		file := filepath.Join(dir, "changed.jsonl")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		r := command(t, nil, "accuracy", "--truth", file, "--strict")
		if r.code != exitFailed || !strings.Contains(r.err, name) {
			t.Errorf("%s: got %d and %q, want to fail and say so", name, r.code, r.err)
		}
	}
}

func TestAccuracyRefusesAFileWithoutItsServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "truth.jsonl")
	if err := os.WriteFile(file, []byte(`{"kind":"call","provider_call_id":"A"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := command(t, nil, "accuracy", "--truth", file)
	is(t, "exit code", r.code, exitFailed)
	if !strings.Contains(r.err, "server") {
		t.Errorf("got %q, want to be told what is missing", r.err)
	}
}
