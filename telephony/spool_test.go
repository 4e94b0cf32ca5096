package telephony

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

func waiting(key string) spooled {
	return spooled{Entry: Entry{Key: key, Body: []byte("CWS1" + key), ReceivedAt: store.At(time.Unix(1000, 0))}}
}

func drained(t testing.TB, s *spool) []string {
	t.Helper()
	var keys []string
	for {
		n, err := s.Drain(2, func(rec spooled) error {
			keys = append(keys, rec.Entry.Key)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return keys
		}
	}
}

func filled(t testing.TB, dir string, keys ...string) *spool {
	t.Helper()
	s, err := openSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if err := s.Append(waiting(key)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSpooledEventsSurviveARestartInTheirOrder(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir, "one", "two", "three")
	if got := s.Age(time.Unix(1060, 0)); got != time.Minute {
		t.Errorf("age of the oldest: got %v, want 1m", got)
	}
	s.Close()
	s = filled(t, dir, "four")
	if got := s.Age(time.Unix(1060, 0)); got != time.Minute {
		t.Errorf("age after a restart: got %v, want 1m", got)
	}
	if got, want := drained(t, s), []string{"one", "two", "three", "four"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s.Bytes() != 0 || s.Age(time.Unix(2000, 0)) != 0 {
		t.Errorf("after the drain: %d bytes wait", s.Bytes())
	}
}

func TestADrainStopsAtAnAbsentDatabaseAndPassesOverAnImpossibleEvent(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir, "one", "bad", "three")
	away := &callwheel.Error{Kind: callwheel.Unavailable}
	n, err := s.Drain(10, func(rec spooled) error {
		switch rec.Entry.Key {
		case "bad":
			return errors.New("no such thing")
		case "three":
			return away
		}
		return nil
	})
	if n != 2 || !errors.Is(err, away) {
		t.Errorf("got %d, %v, want two taken and then the error", n, err)
	}
	if got := drained(t, s); !slices.Equal(got, []string{"three"}) {
		t.Errorf("what is left: got %v", got)
	}
	aside, err := os.ReadFile(filepath.Join(dir, "events.refused"))
	if err != nil || !bytes.Contains(aside, []byte(`"bad"`)) {
		t.Errorf("the impossible event was not set aside: %v", err)
	}
}

func TestAnEventThatWasSetAsideIsTriedAgainAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir, "one", "bad")
	refuse := func(rec spooled) error {
		if rec.Entry.Key == "bad" {
			return errors.New("no such thing")
		}
		return nil
	}
	for start := range 3 {
		if n, err := s.Drain(10, refuse); n == 0 || err != nil {
			t.Fatalf("start %d: got %d, %v", start, n, err)
		}
		if got := s.Refused(); got != 1 {
			t.Errorf("start %d: %d are set aside, want 1", start, got)
		}
		s.Close()
		s = filled(t, dir)
		if got := s.Refused(); got != 0 {
			t.Errorf("after start %d: %d are still set aside", start, got)
		}
	}
	if got := drained(t, s); !slices.Equal(got, []string{"bad"}) {
		t.Errorf("when nothing refuses it any more: got %v", got)
	}
}

func TestTwoProcessesOnOneFolderWriteToFilesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	first := filled(t, dir, "one")
	second := filled(t, dir, "two")
	for _, key := range []string{"three", "four"} {
		if err := errors.Join(first.Append(waiting(key)), second.Append(waiting("2"+key))); err != nil {
			t.Fatal(err)
		}
	}
	all := func(rec spooled) error { return nil }
	if n, err := second.DrainLeft(10, all); n != 0 || err != nil {
		t.Errorf("took %d events of a process that is there, %v", n, err)
	}
	if got := drained(t, second); !slices.Equal(got, []string{"two", "2three", "2four"}) {
		t.Errorf("the second process: got %v", got)
	}
	first.Close()
	if err := second.Append(waiting("five")); err != nil {
		t.Fatal(err)
	}
	var left []string
	for {
		n, err := second.DrainLeft(2, func(rec spooled) error {
			left = append(left, rec.Entry.Key)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if !slices.Equal(left, []string{"one", "three", "four"}) {
		t.Errorf("left behind by the first: got %v", left)
	}
	third := filled(t, dir, "six") // the first's name is free again
	second.Close()                 // with an event in it
	if n, err := third.DrainLeft(10, all); n != 1 || err != nil {
		t.Errorf("left behind by the second: %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, spoolName(2))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty file stays: %v", err)
	}
	if got := drained(t, third); !slices.Equal(got, []string{"six"}) {
		t.Errorf("the third process: got %v", got)
	}
}

func TestWhatADiskDamagedIsPassedOverAndTheRestIsRead(t *testing.T) {
	keys := []string{"alpha", "beta", "gamma", "delta"}
	whole := func(dir string) []byte {
		s := filled(t, dir, keys...)
		s.Close()
		text, err := os.ReadFile(filepath.Join(dir, "events.spool"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	base := whole(t.TempDir())
	size := len(base) / len(keys) // about one record
	rapid.Check(t, func(rt *rapid.T) {
		text := slices.Clone(base)
		from := rapid.IntRange(0, len(text)-1).Draw(rt, "from")
		length := rapid.IntRange(1, size).Draw(rt, "length")
		torn := rapid.Bool().Draw(rt, "torn")
		if torn {
			text = text[:from]
		} else {
			for i := from; i < min(from+length, len(text)); i++ {
				text[i] = rapid.Byte().Draw(rt, "byte")
			}
		}
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "events.spool"), text, 0o600); err != nil {
			rt.Fatal(err)
		}
		s := filled(t, dir, "later")
		defer s.Close()
		got := drained(t, s)
		if len(got) == 0 || got[len(got)-1] != "later" {
			rt.Fatalf("what was appended after the damage is lost: %v", got)
		}
		want := append(slices.Clone(keys), "later")
		for _, key := range got {
			if i := slices.Index(want, key); i < 0 {
				rt.Fatalf("read %q, which nobody wrote, or out of order: %v", key, got)
			} else {
				want = want[i+1:]
			}
		}
		// Damage of at most one record's length touches at most two records.
		if !torn && len(got) < len(keys)+1-3 {
			rt.Fatalf("too much is lost: %v", got)
		}
	})
}

func FuzzSpoolReadsAnyFile(f *testing.F) {
	f.Add([]byte("CWS1\x00\x00\x00\x02\x00\x00\x00\x00{}"))
	f.Add(append(frame([]byte(`{"entry":{"Key":"x"}}`)), "CWS1CWS1"...))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "events.spool"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := filled(t, dir, "later")
		defer s.Close()
		if got := drained(t, s); len(got) == 0 || got[len(got)-1] != "later" {
			t.Fatalf("got %v", got)
		}
	})
}

func TestADiskThatHangsDoesNotHoldACaller(t *testing.T) {
	s := filled(t, t.TempDir(), "one")
	s.syncing.Lock()
	if err := s.AppendWithin(time.Millisecond, waiting("two")); callwheel.KindOf(err) != callwheel.Unavailable {
		t.Errorf("got %v, want kind unavailable", err)
	}
	s.syncing.Unlock()
	if err := s.AppendWithin(time.Minute, waiting("three")); err != nil {
		t.Fatal(err)
	}
	if got := drained(t, s); !slices.Contains(got, "one") || !slices.Contains(got, "three") {
		t.Errorf("got %v", got)
	}
}

func TestWhatAnFsyncMayHaveDroppedIsNotAcknowledged(t *testing.T) {
	s := filled(t, t.TempDir())
	end, err := s.write(frame([]byte(`{"entry":{"Key":"one"}}`)), time.Unix(1000, 0))
	if err != nil {
		t.Fatal(err)
	}
	good := s.file
	if s.file, err = os.Open(os.DevNull); err != nil {
		t.Fatal(err)
	}
	s.file.Close() // fsync fails
	if err := s.sync(end); err == nil {
		t.Fatal("a failed fsync was taken for success")
	}
	s.file = good
	if err := s.sync(end); !errors.Is(err, errNotSynced) {
		t.Errorf("a second fsync: got %v, want %v", err, errNotSynced)
	}
	if err := s.Append(waiting("two")); err != nil {
		t.Errorf("a later event: %v", err)
	}
}

func TestEventsAppendedWhileTheSpoolDrainsAreAllDrained(t *testing.T) {
	s := filled(t, t.TempDir())
	const events = 200
	var writers sync.WaitGroup
	for i := range events {
		writers.Go(func() {
			if err := s.AppendWithin(time.Minute, waiting(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	got := map[string]int{}
	for finished := false; ; {
		for _, key := range drained(t, s) {
			got[key]++
		}
		if finished {
			break
		}
		select {
		case <-done:
			finished = true
		default:
		}
	}
	if len(got) != events {
		t.Errorf("drained %d events, want %d", len(got), events)
	}
	for key, n := range got {
		if n != 1 {
			t.Errorf("%s was handed over %d times", key, n)
		}
	}
}

func TestNoSpoolTakesNothing(t *testing.T) {
	var s *spool
	if err := s.AppendWithin(time.Minute, waiting("x")); callwheel.KindOf(err) != callwheel.Unavailable {
		t.Errorf("got %v, want kind unavailable", err)
	}
	if n, err := s.Drain(1, nil); n != 0 || err != nil {
		t.Errorf("drain: got %d, %v", n, err)
	}
}

func TestMemoryForgetsTheLeastRecentlyUsed(t *testing.T) {
	m := newMemory[int](2)
	m.Put("a", 1)
	m.Put("b", 2)
	m.Get("a")
	m.Put("c", 3)
	if _, ok := m.Get("b"); ok {
		t.Error("b was used least recently and is still there")
	}
	if v, ok := m.Get("a"); !ok || v != 1 {
		t.Errorf("a: got %d, %v", v, ok)
	}
}
