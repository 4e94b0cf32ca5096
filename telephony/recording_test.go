package telephony_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// archive is a Recorder over one database, one folder and one pretend provider.
type archive struct {
	*telephony.Recorder
	db    *store.DB
	world *world
	clock *clock
	dir   string
}

func newArchive(t *testing.T, db *store.DB) archive {
	t.Helper()
	addAccounts(t, db, "acct_a", "acct_b")
	w, c, dir := newWorld(), &clock{now: day}, t.TempDir()
	cfg := telephony.RecorderConfig{Dir: dir, MaxBytes: 1000, Attempts: 3}
	return archive{
		Recorder: telephony.NewRecorder(db, w.carrier, cfg, c.read, quiet, nil),
		db:       db, world: w, clock: c, dir: dir,
	}
}

// add writes the row that a recording callback leaves behind.
func (a archive) add(t *testing.T, callID, ref, kind string) {
	t.Helper()
	url := "https://api.example/" + ref
	a.world.media[url] = "sound of " + ref
	now := store.Micros(a.clock.read())
	run(t, a.db, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO recordings (account_id, recording_id, call_id, provider, provider_ref, kind, state, media_url,
				transcript, due_at, finished_at)
			VALUES ('acct_a', ?, ?, 'twilio', ?, ?, 'pending', ?, 'words', ?, ?)`,
			"rec_"+ref, callID, ref, kind, url, now, now)
		return err
	})
}

func (a archive) state(t *testing.T, ref string) string {
	t.Helper()
	var state string
	err := a.db.Get(context.Background(), &state, `SELECT state FROM recordings WHERE account_id = 'acct_a' AND recording_id = ?`, "rec_"+ref)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func (a archive) files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(a.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (a archive) hear(t *testing.T, callID string) (string, error) {
	t.Helper()
	media, _, err := a.Open(context.Background(), "acct_a", callID)
	if err != nil {
		return "", err
	}
	defer media.Close()
	text, err := io.ReadAll(media)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), nil
}

func TestARecordingIsFetchedKeptAndGivenOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE2", "voicemail")
		a.add(t, "call_1", "RE1", "call")
		if done, err := a.Fetch(ctx, a.clock.read()); done != 2 || err != nil {
			t.Fatalf("fetch: got %d, %v", done, err)
		}
		media, meta, err := a.Open(ctx, "acct_a", "call_1")
		if err != nil {
			t.Fatal(err)
		}
		defer media.Close()
		if _, err := media.Seek(6, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(media)
		if string(text) != "of RE1" || meta.Kind != "call" || meta.MediaType != "audio/x-wav" || *meta.Bytes != 12 {
			t.Errorf("got %q, %+v", text, meta)
		}
		if done, err := a.Fetch(ctx, a.clock.move(24*time.Hour)); done != 0 || err != nil {
			t.Errorf("fetched again: %d, %v", done, err)
		}
		_, _, err = a.Open(ctx, "acct_b", "call_1")
		wantKind(t, "another account", err, callwheel.NotFound)
		if got := a.files(t); len(got) != 2 {
			t.Errorf("files: got %v", got)
		}
	})
}

func TestFetchingIsTriedAgainAndGivenUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE1", "call")
		a.world.trouble["media"] = []string{"500", "429"}
		for range 2 {
			if done, err := a.Fetch(ctx, a.clock.move(time.Hour)); done != 1 || err != nil {
				t.Fatalf("fetch: got %d, %v", done, err)
			}
			if got := a.state(t, "RE1"); got != "pending" {
				t.Errorf("after a failure: got %s", got)
			}
		}
		if done, err := a.Fetch(ctx, a.clock.read()); done != 0 || err != nil {
			t.Errorf("tried again at once: %d, %v", done, err)
		}
		a.Fetch(ctx, a.clock.move(time.Hour))
		if got := a.state(t, "RE1"); got != "kept" {
			t.Errorf("third attempt: got %s", got)
		}

		a.add(t, "call_2", "RE2", "call")
		a.world.trouble["media"] = []string{"500", "500", "500", "500"}
		for range 5 {
			a.Fetch(ctx, a.clock.move(12*time.Hour))
		}
		if got := a.state(t, "RE2"); got != "failed" || len(a.world.trouble["media"]) != 1 {
			t.Errorf("got %s with %d failures left", got, len(a.world.trouble["media"]))
		}

		a.add(t, "call_3", "RE3", "call")
		a.world.trouble["media"] = nil
		a.world.media["https://api.example/RE3"] = strings.Repeat("x", 1001)
		a.Fetch(ctx, a.clock.move(time.Hour))
		if got := a.state(t, "RE3"); got != "failed" {
			t.Errorf("too large: got %s", got)
		}
		if got := a.files(t); len(got) != 1 {
			t.Errorf("files: got %v, want only RE1", got)
		}
	})
}

func TestADeletedRecordingIsGoneHereAndAtTheProvider(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE1", "call")
		a.add(t, "call_2", "RE2", "call")
		a.Fetch(ctx, a.clock.read())
		if err := a.Delete(ctx, "acct_a", "call_1", "user_x"); err != nil {
			t.Fatal(err)
		}
		_, err := a.hear(t, "call_1")
		wantKind(t, "deleted", err, callwheel.NotFound)
		if got := a.files(t); len(got) != 1 || a.state(t, "RE1") != "deleted" {
			t.Errorf("got files %v, state %s", got, a.state(t, "RE1"))
		}
		if n := countRows(t, db, `SELECT count(*) FROM recordings WHERE recording_id = 'rec_RE1' AND transcript <> ''`); n != 0 {
			t.Error("its words are still there")
		}
		a.world.trouble["delete"] = []string{"500"}
		if _, err := a.DeleteStep(ctx, a.clock.move(time.Minute)); err == nil {
			t.Error("a failed deletion at the provider counts as done")
		}
		if done, err := a.DeleteStep(ctx, a.clock.move(24*time.Hour)); done != 1 || err != nil {
			t.Errorf("delete: got %d, %v", done, err)
		}
		if len(a.world.deleted) != 1 || a.world.deleted[0] != "RE1" {
			t.Errorf("at the provider: got %v", a.world.deleted)
		}
		if done, err := a.DeleteStep(ctx, a.clock.move(24*time.Hour)); done != 0 || err != nil {
			t.Errorf("deleted again: %d, %v", done, err)
		}
		if text, err := a.hear(t, "call_2"); err != nil || text != "sound of RE2" {
			t.Errorf("the other call: got %q, %v", text, err)
		}
	})
}

func TestARecordingThatComesAfterItsDeletionStaysDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		if err := a.Delete(ctx, "acct_a", "call_1", "user_x"); err != nil {
			t.Fatal(err)
		}
		a.add(t, "call_1", "RE1", "call")
		asked := false
		a.world.onMedia = func() { asked = true }
		a.Fetch(ctx, a.clock.move(time.Minute))
		if asked || a.state(t, "RE1") != "deleted" {
			t.Errorf("fetched %v, state %s", asked, a.state(t, "RE1"))
		}
		if done, err := a.DeleteStep(ctx, a.clock.move(time.Hour)); done != 1 || err != nil || len(a.world.deleted) != 1 {
			t.Errorf("at the provider: %d, %v, %v", done, err, a.world.deleted)
		}
	})
}

func TestARecordingDeletedWhileItIsFetchedLeavesNoFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE1", "call")
		a.world.onMedia = func() {
			if err := a.Delete(ctx, "acct_a", "call_1", "user_x"); err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Fetch(ctx, a.clock.read()); err != nil {
			t.Fatal(err)
		}
		if got := a.files(t); len(got) != 0 || a.state(t, "RE1") != "deleted" {
			t.Errorf("got files %v, state %s", got, a.state(t, "RE1"))
		}
	})
}

func TestRecordingsExpireByTheirAccountsRetention(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE1", "call")
		a.clock.move(20 * 24 * time.Hour)
		a.add(t, "call_2", "RE2", "call")
		a.Fetch(ctx, a.clock.read())
		if done, err := a.Expire(ctx, a.clock.read()); done != 0 || err != nil {
			t.Errorf("after 20 days: got %d, %v", done, err)
		}
		if done, err := a.Expire(ctx, a.clock.move(10*24*time.Hour)); done != 1 || err != nil {
			t.Errorf("after 30 days: got %d, %v", done, err)
		}
		if a.state(t, "RE1") != "deleted" || a.state(t, "RE2") != "kept" || len(a.files(t)) != 1 {
			t.Errorf("got %s, %s, %v", a.state(t, "RE1"), a.state(t, "RE2"), a.files(t))
		}
		a.DeleteStep(ctx, a.clock.read())
		if len(a.world.deleted) != 1 {
			t.Errorf("at the provider: got %v", a.world.deleted)
		}
		run(t, db, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE accounts SET recording_retention_days = 0 WHERE account_id = 'acct_a'`)
			return err
		})
		if done, err := a.Expire(ctx, a.clock.move(1000*24*time.Hour)); done != 0 || err != nil {
			t.Errorf("kept for ever: got %d, %v", done, err)
		}
	})
}

// Their callbacks were lost, so nobody said when they were finished.
func TestRecordingsWithoutACallbackExpireToo(t *testing.T) {
	const day = 24 * time.Hour
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE1", "voicemail")
		a.add(t, "call_2", "RE2", "call")
		delete(a.world.media, "https://api.example/RE2") // never fetched
		begun := store.Micros(a.clock.read())
		run(t, db, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE recordings SET finished_at = NULL`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO calls (account_id, call_id, provider, provider_call_id, started_at, updated_at)
				VALUES ('acct_a', 'call_2', 'twilio', 'CA2', ?, ?)`, begun, begun)
			return err
		})
		a.Fetch(ctx, a.clock.move(time.Hour))
		if done, err := a.Expire(ctx, a.clock.move(29*day)); done != 0 || err != nil {
			t.Errorf("after 29 days: got %d, %v", done, err)
		}
		if done, err := a.Expire(ctx, a.clock.move(2*day)); done != 2 || err != nil {
			t.Errorf("after 31 days: got %d, %v", done, err)
		}
		if a.state(t, "RE1") != "deleted" || a.state(t, "RE2") != "deleted" || len(a.files(t)) != 0 {
			t.Errorf("got %s, %s, %v", a.state(t, "RE1"), a.state(t, "RE2"), a.files(t))
		}
	})
}

// leave writes a file below the storage folder, as a program does that is killed
// the moment after.
func (a archive) leave(t *testing.T, name string, at time.Time) {
	t.Helper()
	file := filepath.Join(a.dir, "acct_a", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestACrashLeavesNoSoundOfADeletedCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.add(t, "call_1", "RE1", "call")
		a.leave(t, "rec_RE1.wav", a.clock.read()) // named, and the row was not written
		if err := a.Delete(ctx, "acct_a", "call_1", "user_x"); err != nil {
			t.Fatal(err)
		}
		if got := a.files(t); len(got) != 0 {
			t.Errorf("after the deletion: got %v", got)
		}
		a.leave(t, "rec_RE1.wav", a.clock.read()) // a fetch was under way
		if done, err := a.DeleteStep(ctx, a.clock.move(time.Minute)); done != 1 || err != nil {
			t.Errorf("delete: got %d, %v", done, err)
		}
		if got := a.files(t); len(got) != 0 {
			t.Errorf("after the step: got %v", got)
		}
	})
}

func TestBeginningsOfDownloadsAreSwept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		a := newArchive(t, db)
		a.leave(t, ".fetch-1", a.clock.read())
		a.leave(t, "rec_RE9.wav", a.clock.read())
		if done, err := a.Tidy(ctx, a.clock.move(5*time.Minute)); done != 0 || err != nil {
			t.Errorf("while it may go on: got %d, %v", done, err)
		}
		a.leave(t, ".fetch-2", a.clock.read())
		if done, err := a.Tidy(ctx, a.clock.move(6*time.Minute)); done != 1 || err != nil {
			t.Errorf("later: got %d, %v", done, err)
		}
		if got := a.files(t); strings.Join(got, " ") != ".fetch-2 rec_RE9.wav" {
			t.Errorf("files: got %v", got)
		}
	})
}
