package main

import (
	"context"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/store"
)

// replayRepairs spoils what was concluded from the journal, has it repaired, and
// then takes away what nothing can bring back.
func replayRepairs(t *testing.T, databaseURL string) {
	t.Helper()
	environ := environOf(t, databaseURL)
	spoil(t, databaseURL,
		`UPDATE calls SET hops = 99`,
		`DELETE FROM attributions`,
		`DELETE FROM recordings`,
		`INSERT INTO journal (account_id, entry_id, provider, key, door, received_at, target, content_type, body)
			SELECT '', 'evt_x', provider, 'x', door, received_at, target, content_type, body FROM journal LIMIT 1`)
	if r := command(t, environ, "replay"); r.code != exitFailed || !strings.Contains(r.out, "hops: stored 99") || !strings.Contains(r.out, "has none yet") || !strings.Contains(r.out, "recording: stored") {
		t.Errorf("replay of what was spoiled: got exit code %d\n%s", r.code, r.out)
	}
	printed := command(t, environ, "replay", "--fix").ok(t)
	if !strings.Contains(printed, "parked: 1 entries") || !strings.HasPrefix(printed, "rewritten: ") || strings.HasPrefix(printed, "rewritten: 0") {
		t.Errorf("replay --fix: got\n%s", printed)
	}
	command(t, environ, "replay").ok(t)
	spoil(t, databaseURL, `DELETE FROM journal`)
	for _, args := range [][]string{{"replay"}, {"replay", "--fix"}} {
		if r := command(t, environ, args...); r.code != exitFailed || !strings.Contains(r.out, "journal: stored") {
			t.Errorf("%v without a journal: got exit code %d\n%s", args, r.code, r.out)
		}
	}
}

func spoil(t *testing.T, databaseURL string, statements ...string) {
	t.Helper()
	db, err := store.Open(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
