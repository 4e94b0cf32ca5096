package telephony_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// TestNobodyOccupiesTheKeysOfAStrangersCalls is about an account that names the
// installation's provider account as its own and gets its request in first.
func TestNobodyOccupiesTheKeysOfAStrangersCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.account("acct_2", officePhone)
		x.number("acct_1", tracking, plainPlan)
		x.secrets = append(x.secrets, telephony.Secret{AccountRef: accountSID, AccountID: "acct_2", Tokens: []string{"theirtoken"}})
		list := played(t, scenarios[6].tapes...)
		for _, p := range list {
			x.at(p.receivedAt().Add(-time.Minute))
			target := "/webhooks/twilio/" + string(p.Door)
			if q := hopOf(p); p.Door != telephony.DoorVoice && p.Door != telephony.DoorStatus {
				target += "?" + q.Encode() // acct_1's own URLs
			}
			if w := x.post(target, "theirtoken", p.values()); w.Code >= 300 {
				t.Fatalf("%s: got %d", p.Name, w.Code)
			}
		}
		for i, p := range list {
			w := x.play(p, hopOf(p))
			if i == 0 && !strings.Contains(document(t, w), agent1) {
				t.Errorf("acct_1's caller gets the answer of acct_2: %s", w.Body)
			}
		}
		if got := told(x.row("acct_1", refOf(scenarios[6], t))); fmt.Sprint(got) != fmt.Sprint(scenarios[6].want) {
			t.Errorf("acct_1's call: got %v, want %v", got, scenarios[6].want)
		}
		if c := x.row("acct_1", refOf(scenarios[6], t)); !c.StartedAt.Equal(noon) {
			t.Errorf("acct_1's call began at %v, the moment of a stranger's request", c.StartedAt)
		}
	})
}

func TestAnAccountsOwnRequestsAdoptNothingThatWasParked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		const theirSID = "AC00000000000000000000000000000002"
		x.account("acct_1", "")
		x.account("acct_2", officePhone)
		x.number("acct_1", tracking, plainPlan)
		x.secrets = append(x.secrets, telephony.Secret{AccountRef: theirSID, AccountID: "acct_2", Tokens: []string{"theirtoken"}})
		for _, p := range played(t, "f2", "f3") {
			x.play(p, telephony.Query{}) // nobody can tell whose they are
		}
		voice := played(t, "f1")[0]
		form := voice.values()
		form.Set("AccountSid", theirSID)
		x.post("/webhooks/twilio/voice", "theirtoken", form)
		ref := refOf(scenarios[6], t)
		if c := x.row("acct_2", ref); c.Events != 1 || len(c.Legs) != 0 {
			t.Errorf("acct_2 took %d events and %d legs that it did not sign", c.Events-1, len(c.Legs))
		}
		x.play(voice, telephony.Query{})
		if c := x.row("acct_1", ref); c.Events != 3 || len(c.Legs) != 1 {
			t.Errorf("acct_1: got %d events and %d legs, want its 3 and 1", c.Events, len(c.Legs))
		}
	})
}

func TestAnAccountCanRefuseCallersWhoHideTheirNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.exec(`INSERT INTO blocked_callers (account_id, caller, created_at) VALUES ('acct_1', 'anonymous', 1)`)
		x.number("acct_1", tracking, plainPlan)
		for i, c := range []struct{ from, want string }{
			{"+266696687", "<Reject"}, {"anonymous", "<Reject"}, {caller, agent1}, {"Restricted", "<Reject"}, {"JOHN SMITH", agent1},
		} {
			form := played(t, "d1")[0].values()
			form.Set("From", c.from)
			form.Set("CallSid", sid(fmt.Sprint("A", i)))
			if body := document(t, x.post("/webhooks/twilio/voice", token, form)); !strings.Contains(body, c.want) {
				t.Errorf("from %q: got %s, want %s", c.from, body, c.want)
			}
		}
	})
}

func TestANumberIsNeverForwardedToItself(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for name, c := range map[string]struct{ account, installation, want string }{
			"the account's destination":      {tracking, lastResort, lastResort},
			"the installation's destination": {"", tracking, "<Record"},
			"both":                           {tracking, tracking, "<Record"},
			"neither":                        {officePhone, tracking, officePhone},
		} {
			x := open(t, db, func(cfg *telephony.Config, _ *telephony.Deps) { cfg.Destination = c.installation })
			x.exec(`DELETE FROM accounts`)
			x.account("acct_1", c.account)
			x.refresh()
			form := played(t, "d1")[0].values()
			form.Set("CallSid", sid("A"+name))
			body := document(t, x.post("/webhooks/twilio/voice", token, form))
			if !strings.Contains(body, c.want) || strings.Contains(body, ">"+tracking+"<") {
				t.Errorf("%s is the number itself: got %s, want %s", name, body, c.want)
			}
		}
	})
}

func TestAProviderThatHangsUpDoesNotUndoItsEvent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db, func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = "" })
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		asked := 0
		x.board.SetAttributor(attributorFunc(func(ctx context.Context, _ telephony.Call) (string, error) {
			asked++
			return "s", ctx.Err()
		}))
		gone, hangUp := context.WithCancel(context.Background())
		hangUp()
		for _, p := range played(t, "e-v", "e") {
			target, form := "/webhooks/twilio/"+string(p.Door), p.values()
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode())).WithContext(gone)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Twilio-Signature", sign(token, base+target, form))
			x.door.ServeHTTP(httptest.NewRecorder(), r)
		}
		if entries, calls := x.count(`SELECT count(*) FROM journal`), x.count(`SELECT count(*) FROM calls`); entries != 2 || calls != 1 {
			t.Errorf("got %d entries and %d calls, want 2 and 1", entries, calls)
		}
		if asked != 1 {
			t.Errorf("attributed %d times, want once", asked)
		}
	})
}

// TestACallerWaitsForTheBudgetAndNotLonger hangs the database in the middle of a
// write, on a clock that moves only while everybody waits.
func TestACallerWaitsForTheBudgetAndNotLonger(t *testing.T) {
	address, spool := storetest.SQLiteURL(t), t.TempDir()
	for door, budget := range map[string]time.Duration{"voice": 300 * time.Millisecond, "voice/next": 300 * time.Millisecond, "status": 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			db, err := store.Open(address)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var hang chan struct{}
			inside := 0
			x := open(t, db, func(c *telephony.Config, d *telephony.Deps) {
				c.SpoolDir, c.WriteBudget, c.StatusBudget = spool, 0, 0 // what is usual
				d.Now = func() time.Time {
					if inside++; hang != nil && inside == 2 { // the first is the receipt
						<-hang
					}
					return noon
				}
			})
			if x.count(`SELECT count(*) FROM accounts`) == 0 {
				x.account("acct_1", "")
				x.number("acct_1", tracking, plainPlan)
			}
			x.refresh()
			form := url.Values{"AccountSid": {accountSID}, "CallSid": {sid("A" + door)}, "To": {tracking}, "CallStatus": {"ringing"}}
			hang, inside = make(chan struct{}), 0
			began := time.Now()
			if w := x.post("/webhooks/twilio/"+door, token, form); w.Code >= 300 {
				t.Errorf("%s: got %d", door, w.Code)
			}
			if took := time.Since(began); took != budget {
				t.Errorf("%s: took %v while the database hung, want %v", door, took, budget)
			}
			close(hang)
		})
	}
}
