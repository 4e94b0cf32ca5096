package telephony_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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

// in keeps the spool in a folder and does not wait long for a database that is
// away.
func in(dir string) setup {
	return func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir, c.StatusBudget = dir, time.Second }
}

// reopened is the database after it came back.
func reopened(t *testing.T, address string) *store.DB {
	t.Helper()
	db, err := store.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func drainAll(t *testing.T, x *exchange) int {
	t.Helper()
	all := 0
	for {
		n, err := x.board.Drain(context.Background(), noon)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return all
		}
		all += n
	}
}

func TestProcessesThatShareASpoolFolderLoseNothing(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		dir := t.TempDir()
		db := reopened(t, address)
		x := open(t, db, in(dir))
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		y := open(t, db, in(dir)) // the next one starts while the old one still answers
		y.refresh()
		db.Close()
		for i := range 6 {
			form := url.Values{"CallSid": {sid(fmt.Sprintf("A%d", i))}, "CallStatus": {"completed"}, "To": {tracking}, "AccountSid": {accountSID}}
			if w := []*exchange{x, y}[i%2].post("/webhooks/twilio/status", token, form); w.Code != http.StatusNoContent {
				t.Fatalf("not acknowledged: %d", w.Code)
			}
		}
		x.board.Close()
		y.board.Close()
		z := open(t, reopened(t, address), in(dir))
		z.refresh()
		if n := drainAll(t, z); n != 6 {
			t.Errorf("acknowledged 6 events, drained %d", n)
		}
		if n := z.count(`SELECT count(*) FROM calls`); n != 6 {
			t.Errorf("got %d calls, want 6", n)
		}
	})
}

func TestAFaultOfTheDatabaseIsNoFaultOfTheEvent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		// What breaks it, and what mends it.
		faults := map[string][2]string{
			"a table that is not there":  {`ALTER TABLE journal RENAME TO journal2`, `ALTER TABLE journal2 RENAME TO journal`},
			"another that is not there":  {`ALTER TABLE calls RENAME TO calls2`, `ALTER TABLE calls2 RENAME TO calls`},
			"a column that is not there": {`ALTER TABLE calls RENAME COLUMN outcome TO outcome2`, `ALTER TABLE calls RENAME COLUMN outcome2 TO outcome`},
		}
		if db.Dialect().Name() == "postgres" {
			for _, code := range []string{"40001", "40P01", "55P03", "57014", "58030", "XX001", "42501", "0A000"} {
				faults[code] = [2]string{
					`CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '` + code + `'; END $$;
					 CREATE TRIGGER broken BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION broken()`,
					`DROP TRIGGER broken ON journal; DROP FUNCTION broken`,
				}
			}
		}
		dir := t.TempDir()
		x := open(t, db, in(dir))
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		sent := 0
		for name, fault := range faults {
			x.exec(fault[0])
			form := url.Values{"CallSid": {sid(fmt.Sprintf("A%d", sent))}, "CallStatus": {"completed"}, "To": {tracking}, "AccountSid": {accountSID}}
			sent++
			if w := x.post("/webhooks/twilio/status", token, form); w.Code != http.StatusNoContent {
				t.Fatalf("%s: not acknowledged: %d", name, w.Code)
			}
			if n, err := x.board.Drain(context.Background(), noon); n != 0 || callwheel.KindOf(err) != callwheel.Unavailable {
				t.Errorf("%s: drained %d, %v, want none and kind unavailable", name, n, err)
			}
			x.exec(fault[1])
			if n := drainAll(t, x); n != 1 {
				t.Errorf("%s: afterwards drained %d, want the event", name, n)
			}
		}
		if n := x.count(`SELECT count(*) FROM calls`); n != sent {
			t.Errorf("got %d calls, want %d", n, sent)
		}
		if _, err := os.Stat(filepath.Join(dir, "events.refused")); err == nil {
			t.Error("an event was set aside for a fault of the database")
		}
	})
}

func TestAVoiceRequestThatWaitsInTheSpoolIsAnsweredTheSameAfterARestart(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		dir := t.TempDir()
		db := reopened(t, address)
		x := open(t, db, in(dir))
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		db.Close()
		voice := played(t, "a1")[0]
		first := document(t, x.play(voice, telephony.Query{}))
		x.board.Close()

		x = open(t, reopened(t, address), in(dir))
		x.exec(`UPDATE routes SET plan = ?`, `{"steps":[{"destinations":["+17735550109"]}]}`)
		x.refresh()
		x.at(noon.Add(40 * time.Second))
		if again := document(t, x.post("/webhooks/twilio/voice", token, voice.values())); again != first {
			t.Errorf("asked again before the drain:\n%s\nfirst:\n%s", again, first)
		}
		if c := x.row("acct_1", voice.Params["CallSid"]); !c.StartedAt.Equal(noon) {
			t.Errorf("started at %v, want the first receipt %v", c.StartedAt, noon)
		}
		drainAll(t, x)
		if c := x.row("acct_1", voice.Params["CallSid"]); !c.StartedAt.Equal(noon) || c.Events != 1 {
			t.Errorf("after the drain: started at %v, %d events", c.StartedAt, c.Events)
		}
	})
}

func TestTheFirstReceiptCountsWhereverItWaited(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		db := reopened(t, address)
		x := open(t, db, in(t.TempDir()))
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		db.Close()
		voice := played(t, "a1")[0]
		x.play(voice, telephony.Query{}) // at noon, into the spool of one replica

		db = reopened(t, address)
		y := open(t, db)
		y.refresh()
		y.at(noon.Add(5 * time.Second))
		y.post("/webhooks/twilio/voice", token, voice.values()) // asked again, of another
		x.board.Close()

		x = open(t, db, in(x.spool))
		told, stop := x.board.Watch("acct_1")
		defer stop()
		drainAll(t, x)
		c := x.row("acct_1", voice.Params["CallSid"])
		if !c.StartedAt.Equal(noon) || c.Events != 1 {
			t.Errorf("started at %v of %d events, want %v of 1", c.StartedAt, c.Events, noon)
		}
		if id := <-told; id != c.ID {
			t.Errorf("watchers were told of %s", id)
		}
		if res, err := x.board.Replay(context.Background(), false); err != nil || res.Differents != 0 {
			t.Errorf("replay: got %+v, %v", res, err)
		}
	})
}

func TestACallThatCameOutOfTheSpoolIsAttributed(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		dir := t.TempDir()
		db := reopened(t, address)
		x := open(t, db, in(dir))
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		db.Close()
		x.playAll(played(t, "f1", "f7"))
		x.board.Close()
		x = open(t, reopened(t, address), in(dir))
		x.refresh()
		var asked []string
		x.board.SetAttributor(attributorFunc(func(_ context.Context, c telephony.Call) (string, error) {
			asked = append(asked, c.ID)
			return "s", nil
		}))
		drainAll(t, x)
		if want := telephony.CallID("twilio", refOf(scenarios[6], t)); len(asked) != 1 || asked[0] != want {
			t.Errorf("asked about %v, want %s once", asked, want)
		}
	})
}

func TestARetryWhileTheDatabaseIsAwayGetsTheSameBytes(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		db := reopened(t, address)
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		release := hold(t, address)
		voice := played(t, "a1")[0]
		first := document(t, x.play(voice, telephony.Query{}))
		release()
		// Nothing of it is in the database when the route changes.
		text, err := json.Marshal(noMailbox)
		if err != nil {
			t.Fatal(err)
		}
		x.exec(`DELETE FROM journal`) // where the write was late rather than given up
		x.exec(`UPDATE routes SET plan = ?`, strings.ReplaceAll(string(text), agent1, agent2))
		x.refresh()
		if again := document(t, x.play(voice, telephony.Query{})); again != first {
			t.Errorf("got %s, want %s", again, first)
		}
	})
}
