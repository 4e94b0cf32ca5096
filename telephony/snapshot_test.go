package telephony_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

func TestANumberRingsWhereTheNearestAnswerSays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		for _, c := range []struct{ number, route, destination, pool, want string }{
			{"+13125550101", `{"steps":[{"destinations":["+17735550109"]}]}`, agent1, agent2, "+17735550109"},
			{"+13125550102", `not a plan`, agent1, agent2, agent1},
			{"+13125550103", `{"steps":[]}`, "", agent2, agent2},
			{"+13125550104", "", agent1, agent2, agent1},
			{"+13125550105", "", "", agent2, agent2},
			{"+13125550106", "", "", "", officePhone},
		} {
			route := ""
			if c.route != "" {
				route = "route_" + c.number
				x.exec(`INSERT INTO routes (account_id, route_id, name, plan, created_at) VALUES ('acct_1', ?, 'r', ?, 1)`, route, c.route)
			}
			x.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, destination, pool_destination, route_id, created_at) VALUES ('acct_1', ?, ?, 'active', ?, ?, ?, 1)`,
				"num_"+c.number, c.number, c.destination, c.pool, route)
			x.refresh()
			line, ok := x.board.Snapshot().Line(c.number)
			if !ok || len(line.Plan.Steps) != 1 || line.Plan.Steps[0].Destinations[0] != c.want {
				t.Errorf("%s: rings %+v, want %s", c.number, line.Plan.Steps, c.want)
			}
		}
		x.exec(`UPDATE tracking_numbers SET record = ?, whisper = 'From {source}'`, true)
		x.refresh()
		line, _ := x.board.Snapshot().Line("+13125550104")
		if !line.Plan.Record || line.Plan.Announcement == "" || line.Plan.Whisper != "From {source}" {
			t.Errorf("what the number says is not in its plan: %+v", line.Plan)
		}
		x.exec(`UPDATE accounts SET recording_policy = 'silent', version = version + 1`)
		x.refresh()
		if line, _ = x.board.Snapshot().Line("+13125550104"); line.Plan.Announcement != "" {
			t.Errorf("an account that records silently announces %q", line.Plan.Announcement)
		}
	})
}

func TestAnAccountsOwnChangeReachesRoutingWithoutABump(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.refresh()
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE accounts SET destination = ?, version = version + 1`, agent2)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		x.refresh()
		if o, ok := x.board.Snapshot().Office("acct_1"); !ok || o.Destination != agent2 {
			t.Errorf("got %+v", o)
		}
	})
}

func TestADamagedRoutesFileIsNotBelieved(t *testing.T) {
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dir := t.TempDir()
	x := open(t, db, func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = dir })
	if err := x.board.LoadLastGood(); callwheel.KindOf(err) != callwheel.NotFound {
		t.Errorf("before any: got %v, want kind not_found", err)
	}
	x.account("acct_1", officePhone)
	x.number("acct_1", tracking, hunting)
	want, _ := x.board.Snapshot().Line(tracking)
	file := filepath.Join(dir, "routes.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.board.LoadLastGood(); err != nil {
		t.Fatal(err)
	}
	if got, ok := x.board.Snapshot().Line(tracking); !ok || got.Version != want.Version || len(got.Plan.Steps) != 2 {
		t.Errorf("read back: got %+v, want %+v", got, want)
	}
	for name, damaged := range map[string][]byte{
		"one byte":    bytes.Replace(text, []byte(agent1), []byte(agent2), 1),
		"cut":         text[:len(text)/2],
		"empty":       {},
		"no checksum": bytes.Split(text, []byte("\n"))[0],
	} {
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := x.board.LoadLastGood(); callwheel.KindOf(err) != callwheel.Conflict {
			t.Errorf("%s: got %v, want kind conflict", name, err)
		}
		if _, ok := x.board.Snapshot().Line(tracking); !ok {
			t.Errorf("%s: routing that was there is gone", name)
		}
	}
}

func TestADatabaseBegunAnewDoesNotForgetWhereNumbersRing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, lost *store.DB) {
		dir := t.TempDir()
		inDir := func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = dir }
		before := open(t, lost, inDir)
		before.account("acct_1", officePhone)
		before.number("acct_1", tracking, hunting)

		anew, err := store.Open(storetest.SQLiteURL(t))
		if err != nil {
			t.Fatal(err)
		}
		defer anew.Close()
		after := open(t, anew, inDir)
		if err := after.board.LoadLastGood(); err != nil {
			t.Fatal(err)
		}
		after.refresh()
		if _, ok := after.board.Snapshot().Line(tracking); !ok {
			t.Error("callers of an old number reach nobody")
		}
		after.account("acct_2", officePhone)
		after.number("acct_2", "+13125550179", hunting)
		if _, ok := after.board.Snapshot().Line("+13125550179"); !ok {
			t.Error("a new number is not routed")
		}
		if _, ok := after.board.Snapshot().Line(tracking); ok {
			t.Error("the database has numbers again, and an old one still rings")
		}
	})
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	good := telephony.Config{PublicURL: "https://calls.example.com/base/"}.WithDefaults()
	if err := good.Validate(); err != nil || good.PublicURL != "https://calls.example.com/base" {
		t.Errorf("got %v, %q", err, good.PublicURL)
	}
	for _, url := range []string{"", "calls.example.com", "ftp://x", "https://a_b.example.com", "https://x/?q=1", "https://u@x"} {
		c := good
		c.PublicURL = url
		if callwheel.KindOf(c.Validate()) != callwheel.Invalid {
			t.Errorf("%q is accepted", url)
		}
	}
	c := good
	c.Destination = "home"
	if callwheel.KindOf(c.Validate()) != callwheel.Invalid {
		t.Error("a destination that is not a number is accepted")
	}
}
