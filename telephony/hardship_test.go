package telephony_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// hold takes the database away from everybody else, as a backup tool or a
// migration might, until the returned function is called.
func hold(t *testing.T, address string) (release func()) {
	t.Helper()
	driver, dsn, begin := "pgx", address, "BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE"
	if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, dsn, begin = "sqlite3", file, "BEGIN EXCLUSIVE"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), begin); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

func TestACallerDoesNotWaitForADatabaseThatSomebodyElseHolds(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		db, err := store.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		x := open(t, db, func(c *telephony.Config, _ *telephony.Deps) { c.WriteBudget, c.StatusBudget = 0, 0 }) // what is usual
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, whispering)
		release := hold(t, address)

		list := played(t, "a1", "a2", "a3", "a4", "a7'")
		for _, p := range list {
			started := time.Now()
			w := x.play(p, hopOf(p))
			// Not for as long as the database is held. That it is the budget, to the
			// millisecond, is tested where time is virtual.
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("%s: took %v", p.Name, took)
			}
			if p.Name == "a1" && !strings.Contains(document(t, w), agent1) {
				t.Errorf("the caller does not get through: %s", w.Body)
			}
		}
		again := document(t, x.play(list[0], telephony.Query{})) // asked again meanwhile: two wait now
		release()

		for {
			n, err := x.board.Drain(context.Background(), noon)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		if entries, calls := x.count(`SELECT count(*) FROM journal`), x.count(`SELECT count(*) FROM calls`); entries != len(list) || calls != 1 {
			t.Errorf("got %d entries and %d calls, want %d and 1", entries, calls, len(list))
		}
		var kept string
		if err := db.Get(context.Background(), &kept, `SELECT answer FROM journal WHERE door = 'voice'`); err != nil || kept != again {
			t.Errorf("kept the answer %q, %v, gave %q", kept, err, again)
		}
		x.playAll(played(t, scenarios[0].tapes...))
		if res, err := x.board.Replay(context.Background(), false); err != nil || res.Differents != 0 {
			t.Errorf("replay: got %+v, %v", res, err)
		}
	})
}

func TestAnEventThatIsCommittedAfterItsBudgetIsKeptOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		asked := make(chan int, 1)
		asked <- 0
		spooled := make(chan bool)
		x := open(t, db, func(c *telephony.Config, d *telephony.Deps) {
			c.WriteBudget = 50 * time.Millisecond
			now := d.Now
			d.Now = func() time.Time {
				n := <-asked
				asked <- n + 1
				if n == 1 { // inside the transaction: the first was the receipt
					<-spooled
				}
				return now()
			}
		})
		x.account("acct_1", "")
		text := `{"steps":[{"destinations":["` + agent1 + `"]}]}`
		x.exec(`INSERT INTO routes (account_id, route_id, name, plan, created_at) VALUES ('acct_1', 'r', 'r', ?, 1)`, text)
		x.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, route_id, created_at) VALUES ('acct_1', 'n', ?, 'active', 'r', 1)`, tracking)
		y := open(t, db)
		y.refresh() // the file for x, without asking its clock
		<-asked
		asked <- 5
		x.refresh()
		<-asked
		asked <- 0

		answered := make(chan string)
		go func() {
			answered <- x.post("/webhooks/twilio/voice", token, played(t, "e-v")[0].values()).Body.String()
		}()
		if db.Dialect().Name() == "postgres" {
			close(spooled) // here the transaction ends with its budget
			if body := <-answered; !strings.Contains(body, agent1) {
				t.Errorf("got %s", body)
			}
		} else {
			if body := <-answered; !strings.Contains(body, agent1) {
				t.Errorf("got %s", body)
			}
			close(spooled)
		}
		if _, err := x.board.Drain(context.Background(), noon); err != nil {
			t.Fatal(err)
		}
		if entries, calls := x.count(`SELECT count(*) FROM journal`), x.count(`SELECT count(*) FROM calls`); entries != 1 || calls != 1 {
			t.Errorf("got %d entries and %d calls, want one each", entries, calls)
		}
	})
}

func TestADrainThatIsInterruptedLosesNothing(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		db, err := store.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		spool := t.TempDir()
		keep := func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir, c.StatusBudget = spool, time.Second }
		x := open(t, db, keep)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		db.Close()
		x.playAll(played(t, "f1", "f2", "f7"))
		x.board.Close()

		if db, err = store.Open(address); err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		x = open(t, db, keep)
		stopped, cancel := context.WithCancel(context.Background())
		cancel()
		if n, err := x.board.Drain(stopped, noon); n != 0 || err == nil {
			t.Errorf("while we stop: took %d, %v, want none", n, err)
		}
		if n, err := x.board.Drain(context.Background(), noon); n != 3 || err != nil {
			t.Errorf("afterwards: took %d, %v, want 3", n, err)
		}
		if c := x.row("acct_1", refOf(scenarios[6], t)); c.Events != 3 || c.Status != telephony.Completed {
			t.Errorf("got %v of %d events", told(c), c.Events)
		}
		if _, err := os.Stat(filepath.Join(spool, "events.refused")); err == nil {
			t.Error("an event was set aside although the database would have taken it")
		}
	})
}

func TestAnEventThatTheDatabaseRefusesDoesNotHoldUpTheOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		spool := t.TempDir()
		// A record without a body: no table takes it.
		body := []byte(`{"entry":{"AccountID":"acct_1","ID":"evt_1","Provider":"twilio","Key":"k","Door":"status","CallRef":"CA1"}}`)
		head := binary.BigEndian.AppendUint32([]byte("CWS1"), uint32(len(body)))
		head = binary.BigEndian.AppendUint32(head, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
		if err := os.WriteFile(filepath.Join(spool, "events.spool"), append(head, body...), 0o600); err != nil {
			t.Fatal(err)
		}
		x := open(t, db, func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = spool })
		if n, err := x.board.Drain(context.Background(), noon); n != 1 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if aside, err := os.ReadFile(filepath.Join(spool, "events.refused")); err != nil || !bytes.Contains(aside, []byte("evt_1")) {
			t.Errorf("it was not set aside: %v", err)
		}
	})
}

func TestASignedLiveRequestOfAnyTypeReachesSomebody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, plainPlan)
		send := func(target, contentType, signature, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			r.Header.Set("X-Twilio-Signature", signature)
			w := httptest.NewRecorder()
			x.door.ServeHTTP(w, r)
			return w
		}
		form := played(t, "a1")[0].values()
		bare := sign(token, base+"/webhooks/twilio/voice", form)
		if body := document(t, send("/webhooks/twilio/voice", "", bare, form.Encode())); !strings.Contains(body, agent1) {
			t.Errorf("no content type: %s", body)
		}
		for _, odd := range []string{"application/x-www-form-urlencoded; charset", "application/x-www-form-urlencoded;charset=utf-8;charset=utf-8", "Application/X-WWW-Form-urlencoded ; ="} {
			if body := document(t, send("/webhooks/twilio/voice", odd, bare, form.Encode())); !strings.Contains(body, agent1) {
				t.Errorf("%q: %s", odd, body)
			}
			ended := played(t, "a8")[0].values()
			if w := send("/webhooks/twilio/status", odd, sign(token, base+"/webhooks/twilio/status", ended), ended.Encode()); w.Code != http.StatusNoContent {
				t.Errorf("%q where nobody waits: got %d", odd, w.Code)
			}
		}
		text := `{"CallSid":"CA1"}`
		sum := sha256.Sum256([]byte(text))
		for door, want := range map[string]string{"voice": officePhone, "voice/next": "<Record", "voice/whisper": "<Response></Response>", "voice/keys": "<Hangup>", "voice/voicemail": "<Hangup>"} {
			target := "/webhooks/twilio/" + door + "?bodySHA256=" + hex.EncodeToString(sum[:])
			if body := document(t, send(target, "application/json", sign(token, base+target, nil), text)); !strings.Contains(body, want) {
				t.Errorf("signed JSON to %s: %s", door, body)
			}
			if w := send(target, "application/json", bare, text); w.Code != 415 {
				t.Errorf("unsigned JSON to %s: got %d, want 415", door, w.Code)
			}
		}
		target := "/webhooks/twilio/status?bodySHA256=" + hex.EncodeToString(sum[:])
		if w := send(target, "application/json", sign(token, base+target, nil), text); w.Code != 415 {
			t.Errorf("signed JSON to a door where nobody waits: got %d, want 415", w.Code)
		}
	})
}

func TestOddButSignedFormsReachSomebody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, plainPlan)
		many := url.Values{"CallSid": {"CAmany"}, "To": {tracking}, "AccountSid": {accountSID}}
		for i := range 5000 {
			many.Set(fmt.Sprintf("p%d", i), "x")
		}
		if body := document(t, x.post("/webhooks/twilio/voice", token, many)); !strings.Contains(body, agent1) {
			t.Errorf("5,000 parameters: %s", body)
		}
		loud := played(t, "d1")[0].values()
		loud.Set("CallerName", "</Response><Dial>+1900</Dial>]]>&amp;\x00\x1b[31m\r\n\u202e"+strings.Repeat("😀", 3000))
		loud.Set("CallSid", "CAloud")
		if body := document(t, x.post("/webhooks/twilio/voice", token, loud)); strings.Count(body, "<Dial") != 1 || !strings.Contains(body, agent1) {
			t.Errorf("a loud name: %s", body)
		}
		if c := x.row("acct_1", "CAloud"); len(c.Caller.Name) > 255 || strings.ContainsAny(c.Caller.Name, "\x00\x1b\r\n") {
			t.Errorf("kept the name %q", c.Caller.Name)
		}
		keys := url.Values{"CallSid": {"CAx"}, "ParentCallSid": {"CAnobody"}, "Digits": {strings.Repeat("1", 20_000)}, "CallStatus": {"<odd>"}}
		if body := document(t, x.post("/webhooks/twilio/voice/keys", token, keys)); !strings.Contains(body, "<Hangup") {
			t.Errorf("20,000 digits: %s", body)
		}

		// Broken escapes and semicolons stand for themselves.
		raw := "CallSid=CAraw&From=%zz;100%&To=%2B13125550171"
		plain := url.Values{"CallSid": {"CAraw"}, "From": {"%zz;100%"}, "To": {tracking}}
		r := httptest.NewRequest(http.MethodPost, "/webhooks/twilio/voice", strings.NewReader(raw))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", sign(token, base+"/webhooks/twilio/voice", plain))
		w := httptest.NewRecorder()
		x.door.ServeHTTP(w, r)
		if body := document(t, w); !strings.Contains(body, agent1) {
			t.Errorf("broken escapes: %s", body)
		}
		if c := x.row("acct_1", "CAraw"); c.CallerKind != telephony.CallerInvalid || c.From != "" || c.FromRaw != "%zz;100%" {
			t.Errorf("broken escapes: kept %q %q %q", c.CallerKind, c.From, c.FromRaw)
		}
	})
}

func TestASignedVoiceRequestThatIsOddlyAddressedOrLargeReachesSomebody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		spool := t.TempDir()
		x := open(t, db, in(spool))
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		voice := played(t, "c1")[0].values()
		if body := document(t, x.post("/webhooks/twilio/voice/", token, voice)); !strings.Contains(body, agent1) {
			t.Errorf("a final slash: %s", body)
		}
		busy := played(t, "c4")[0].values()
		if body := document(t, x.post("/webhooks/twilio/voice/next/?hop=1", token, busy)); !strings.Contains(body, agent2) {
			t.Errorf("a final slash before a query: %s", body)
		}
		big := played(t, "a1")[0].values()
		big.Set("SipHeader_X-Big", strings.Repeat("<", 300<<10)) // 900 kB as it is sent
		if body := document(t, x.post("/webhooks/twilio/voice", token, big)); !strings.Contains(body, agent1) {
			t.Errorf("a large body: %s", body)
		}
		if c := x.row("acct_1", big.Get("CallSid")); c.Shell || c.From != caller {
			t.Errorf("a large body: kept %+v", c)
		}
		x.exec(`DELETE FROM journal`)
		x.board.Close()
		big.Set("CallSid", sid("D9"))
		db.Close()
		x = open(t, db, in(spool))
		if err := x.board.LoadLastGood(); err != nil {
			t.Fatal(err)
		}
		if body := document(t, x.post("/webhooks/twilio/voice", token, big)); !strings.Contains(body, agent1) {
			t.Errorf("a large body without a database: %s", body)
		}
		x.board.Close()
		x = open(t, db, in(spool)) // and the spool gives it back
		if err := x.board.LoadLastGood(); err != nil {
			t.Fatal(err)
		}
		x.at(noon.Add(time.Minute))
		if body := document(t, x.post("/webhooks/twilio/voice", token, big)); !strings.Contains(body, agent1) {
			t.Errorf("asked again after a restart: %s", body)
		}
	})
}

func TestAnOwnAccountsMalformedVoiceRequestReachesItsOwnPeopleOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		const theirSID = "AC00000000000000000000000000000002"
		x.account("acct_1", "")
		x.account("acct_2", officePhone)
		x.number("acct_1", tracking, plainPlan)
		x.number("acct_2", "+13125550199", hunting)
		x.secrets = append(x.secrets, telephony.Secret{AccountRef: theirSID, AccountID: "acct_2", Tokens: []string{"theirtoken"}})
		for name, accounts := range map[string][]string{"none": nil, "two": {accountSID, theirSID}, "unknown": {"AC5"}} {
			form := url.Values{"CallSid": {sid("A" + name)}, "To": {"+13125550199"}, "From": {caller}, "AccountSid": accounts}
			if body := document(t, x.post("/webhooks/twilio/voice", "theirtoken", form)); !strings.Contains(body, agent1) {
				t.Errorf("%s: does not ring by the plan: %s", name, body)
			}
			form.Set("To", tracking) // a number of acct_1, whose plan rings agent1 too
			form.Set("CallSid", sid("B"+name))
			if body := document(t, x.post("/webhooks/twilio/voice?a=acct_1", "theirtoken", form)); !strings.Contains(body, officePhone) {
				t.Errorf("%s: a stranger's number: %s", name, body)
			}
			if w := x.post("/webhooks/twilio/status", "theirtoken", form); w.Code != http.StatusForbidden {
				t.Errorf("%s where nobody waits: got %d, want 403", name, w.Code)
			}
		}
		if mine, theirs := x.count(`SELECT count(*) FROM calls WHERE account_id = 'acct_1'`), x.count(`SELECT count(*) FROM calls WHERE account_id = 'acct_2'`); mine != 0 || theirs != 6 {
			t.Errorf("calls: acct_1 has %d, acct_2 %d, want 0 and 6", mine, theirs)
		}
	})
}

func TestAStaleQueryFallsBackToTheCurrentPlan(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		busy := played(t, "c4")[0]
		for _, c := range []struct{ query, want string }{
			{"", agent2},
			{"?hop=1", agent2},
			{"?v=77&hop=1", agent2},
			{"?hop=-3&v=x&a=acct_9&n=%2B1", agent2},
			{"?hop=2", "<Record"},
			{"?hop=8", "<Record"},
			{"?hop=99999999999999999999", agent2},
			{"?n=%2B13125550199", "<Record"}, // a number of nobody: its fallback's one step is over
		} {
			if body := document(t, x.post("/webhooks/twilio/voice/next"+c.query, token, busy.values())); !strings.Contains(body, c.want) {
				t.Errorf("%s: want %s in %s", c.query, c.want, body)
			}
		}
		// What is dialled counts, whatever the number's voice URL says.
		if body := document(t, x.post("/webhooks/twilio/voice?n=%2B13125550199", token, played(t, "c1")[0].values())); !strings.Contains(body, agent1) {
			t.Errorf("a voice URL with a query: %s", body)
		}
	})
}

func TestACallKeepsThePlanThatItBeganWith(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		answer := document(t, x.play(played(t, "c1")[0], telephony.Query{}))
		_, action, _ := strings.Cut(answer, ` action="`+base)
		action, _, _ = strings.Cut(action, "#")
		action = strings.ReplaceAll(action, "&amp;", "&")

		x.exec(`UPDATE routes SET plan = '{"steps":[{"destinations":["+17735550109"]},{"destinations":["+17735550108"]}]}'`)
		x.refresh()
		form := played(t, "c4")[0].values()
		if body := document(t, x.post(action, token, form)); !strings.Contains(body, agent2) {
			t.Errorf("after its route changed: %s", body)
		}
		x.exec(`DELETE FROM tracking_numbers`)
		x.refresh()
		form.Set("DialCallStatus", "no-answer")
		if body := document(t, x.post(action, token, form)); !strings.Contains(body, agent2) {
			t.Errorf("after its number was deleted: %s", body)
		}
		y := open(t, db) // a replica that remembers nothing
		y.refresh()
		form.Set("DialCallStatus", "failed")
		if body := document(t, y.post(action, token, form)); !strings.Contains(body, "<Record") {
			t.Errorf("elsewhere, without its number: %s", body)
		}
	})
}

func TestACallStaysWithItsAccountWhenItsNumberMoves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.account("acct_2", officePhone)
		x.number("acct_1", tracking, plainPlan)
		list := played(t, scenarios[6].tapes...)
		x.play(list[0], telephony.Query{})
		x.exec(`UPDATE tracking_numbers SET state = 'released'`)
		x.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, created_at) VALUES ('acct_2', 'n2', ?, 'active', 1)`, tracking)
		x.refresh()
		x.playAll(list)
		if got := told(x.row("acct_1", refOf(scenarios[6], t))); fmt.Sprint(got) != fmt.Sprint(scenarios[6].want) {
			t.Errorf("got %v, want %v", got, scenarios[6].want)
		}
		if n := x.count(`SELECT count(*) FROM calls WHERE account_id = 'acct_2'`); n != 0 {
			t.Errorf("the number's next account has %d calls of the one before", n)
		}
		next := played(t, "d1")[0]
		if body := document(t, x.play(next, telephony.Query{})); !strings.Contains(body, officePhone) {
			t.Errorf("the next call: %s", body)
		}
	})
}

func TestAWhisperOfAnUnknownCallNamesTheNumberAndBridges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		x.board.SetAttributor(attributorFunc(func(_ context.Context, c telephony.Call) (string, error) {
			t.Errorf("asked about a call that nobody knows: %+v", c)
			return "wrong", nil
		}))
		form := played(t, "a4")[0].values()
		for _, parent := range []string{"CAnobody", ""} {
			form.Set("ParentCallSid", parent)
			body := document(t, x.post("/webhooks/twilio/voice/whisper?"+hopOf(tape{}).Encode(), token, form))
			if !strings.Contains(body, "Call from (312) 555-0171") || strings.Contains(body, "<Hangup") {
				t.Errorf("parent %q: %s", parent, body)
			}
		}
		if c := x.row("acct_1", "CAnobody"); !c.Shell || len(c.Legs) != 1 {
			t.Errorf("got %+v, want a shell with a leg", c)
		}
	})
}

func TestAnEmergencyDialIsNotAnAbandonedCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db, func(_ *telephony.Config, d *telephony.Deps) {
			d.Providers = map[string]telephony.Provider{"twilio": brokenProvider{Provider: twilio.New(), render: func() error { panic("render") }}}
		})
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, plainPlan)
		for _, p := range played(t, "a1", "a8") {
			x.play(p, telephony.Query{})
		}
		c := x.row("acct_1", refOf(scenarios[0], t))
		if c.Outcome != "" || c.Destination != agent1 || !slices.Contains(c.Flags, "fallback") {
			t.Errorf("got %v, rang %q, flags %v: nobody told what became of it", told(c), c.Destination, c.Flags)
		}
	})
}

func TestSecretsThatCannotBeReadAreNobodysSignature(t *testing.T) {
	x := open(t, nil, func(_ *telephony.Config, d *telephony.Deps) {
		d.Secrets = func() []telephony.Secret { panic("no secrets") }
	})
	if w := x.post("/webhooks/twilio/voice", token, played(t, "a1")[0].values()); w.Code != 403 {
		t.Errorf("got %d, want 403", w.Code)
	}
}

func TestARecordingOfADialIsKnownThoughItsCallbackIsLost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		told := played(t, "a8")[0] // the end of the Dial names it
		x.playAll(played(t, scenarios[0].tapes[:8]...))
		due := store.Micros(told.receivedAt().Add(10 * time.Minute))
		if n := x.count(`SELECT count(*) FROM recordings WHERE state = 'pending' AND kind = 'call' AND media_url <> '' AND finished_at IS NULL AND due_at = ?`, due); n != 1 {
			t.Errorf("recordings to look for ten minutes after the Dial ended: got %d, want 1", n)
		}
		x.play(played(t, "a9")[0], hopOf(tape{}))
		if n := x.count(`SELECT count(*) FROM recordings WHERE state = 'pending' AND kind = 'call' AND finished_at IS NOT NULL AND due_at < ?`, due); n != 1 {
			t.Errorf("recordings that are ready: got %d, want the same one", n)
		}
		if n := x.count(`SELECT count(*) FROM recordings`); n != 1 {
			t.Errorf("recordings: got %d", n)
		}
	})
}

func TestAnAbsentRecordingIsNobodysTask(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		x.playAll(played(t, scenarios[0].tapes[:8]...))
		absent := altered(t, "a9")
		absent.Params["RecordingStatus"] = "absent"
		delete(absent.Params, "RecordingDuration")
		x.play(absent, hopOf(absent))
		if n := x.count(`SELECT count(*) FROM recordings WHERE state = 'absent' AND due_at IS NULL AND seconds IS NULL`); n != 1 {
			t.Error("an absent recording is waited for")
		}
		x.play(played(t, "a9")[0], hopOf(absent)) // it was there after all
		if n := x.count(`SELECT count(*) FROM recordings WHERE state = 'pending' AND due_at IS NOT NULL AND seconds = 122`); n != 1 {
			t.Error("a recording that came late is not fetched")
		}
	})
}

func TestParkedRequestsThatNobodyCameForAreTrimmed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.account("acct_2", "")
		x.number("acct_1", tracking, plainPlan)
		x.play(played(t, "f2")[0], telephony.Query{}) // parked
		x.play(played(t, "a1")[0], telephony.Query{})
		if n, err := x.board.Trim(context.Background(), noon.AddDate(0, 0, 29)); n != 0 || err != nil {
			t.Errorf("after 29 days: %d, %v", n, err)
		}
		if n, err := x.board.Trim(context.Background(), noon.AddDate(0, 0, 31)); n != 1 || err != nil {
			t.Errorf("after 31 days: %d, %v", n, err)
		}
		if n := x.count(`SELECT count(*) FROM journal WHERE account_id = 'acct_1'`); n != 1 {
			t.Error("an account's own entry was trimmed before its time")
		}
	})
}

func TestNoPhoneNumberIsLogged(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		var log bytes.Buffer
		db, err := store.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		x := open(t, db, func(c *telephony.Config, d *telephony.Deps) {
			d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			d.Attributor = attributorFunc(func(_ context.Context, c telephony.Call) (string, error) { return "", context.DeadlineExceeded })
			c.StatusBudget = time.Second
			b := brokenProvider{Provider: twilio.New()}
			n := 0
			b.render = func() error {
				if n++; n%2 == 0 {
					panic("odd")
				}
				return nil
			}
			d.Providers = map[string]telephony.Provider{"twilio": b}
		})
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, whispering)
		x.exec(`UPDATE routes SET plan = '{"steps":[{"destinations":["` + agent1 + `","nonsense"]}]}'`)
		x.exec(`UPDATE tracking_numbers SET number_id = 'num_1'`)
		x.refresh()
		all := append(played(t, scenarios[0].tapes...), played(t, "b6", "b9", "g1")...)
		x.playAll(all)
		x.post("/webhooks/twilio/voice?n=%2B13125550171", "wrong", all[0].values())
		db.Close()
		x.playAll(played(t, scenarios[3].tapes...))
		x.board.Drain(context.Background(), noon)                           //nolint:errcheck // what it logs is looked at
		logged := strings.ReplaceAll(log.String(), "such as "+tracking, "") // an example in an error's text
		if logged == "" {
			t.Fatal("nothing was logged")
		}
		for _, number := range []string{caller, tracking, agent1, agent2, officePhone, lastResort} {
			if at := strings.Index(logged, number[2:]); at >= 0 {
				t.Errorf("%s is in the log: …%s", number, logged[max(0, at-200):min(len(logged), at+40)])
			}
		}
	})
}

// actionOf is where the first Dial of a document asks what comes next, as a
// target of ours.
func actionOf(t *testing.T, document string) string {
	t.Helper()
	_, action, found := strings.Cut(document, ` action="`+base)
	action, _, _ = strings.Cut(action, "#")
	if !found {
		t.Fatalf("no action in %s", document)
	}
	return strings.ReplaceAll(action, "&amp;", "&")
}

func TestNobodyIsRecordedUnannouncedWhenThePlanChangesUnderACall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		action := actionOf(t, document(t, x.play(played(t, "c1")[0], telephony.Query{})))
		x.exec(`UPDATE routes SET plan = '{"steps":[{"destinations":["+17735550109"]},{"destinations":["+17735550108"]},{"destinations":["+17735550107"]}],"record":true,"announcement":"This call is recorded."}'`)
		y := open(t, db) // a start after the change: nobody remembers the old plan
		y.refresh()
		busy := played(t, "c4")[0].values()
		said := regexp.MustCompile(`<Say>This call is recorded\.</Say><Dial [^>]*record=`)
		next := document(t, y.post(action, token, busy))
		if !said.MatchString(next) || strings.Contains(next, "answerOnBridge") {
			t.Errorf("after the plan changed: %s", next)
		}
		// From here on the call is announced.
		busy.Set("DialCallStatus", "no-answer")
		if body := document(t, y.post(actionOf(t, next), token, busy)); strings.Contains(body, "<Say>") || !strings.Contains(body, "record=") {
			t.Errorf("announced twice: %s", body)
		}
		busy.Set("CallSid", sid("D1"))
		if body := document(t, y.post("/webhooks/twilio/voice/next", token, busy)); !said.MatchString(body) {
			t.Errorf("a request that lost its query: %s", body)
		}
	})
}

func TestCallsWithoutANameAreNotOneCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		x.number("acct_1", "+13125550199", telephony.Plan{Steps: []telephony.Step{{Destinations: []string{"+17735550777"}}, {Destinations: []string{"+17735550778"}}}})
		document(t, x.post("/webhooks/twilio/voice", token, url.Values{"To": {"+13125550199"}}))
		body := document(t, x.post("/webhooks/twilio/voice/next", token, url.Values{"To": {tracking}, "DialCallStatus": {"busy"}}))
		if !strings.Contains(body, agent2) {
			t.Errorf("rings by the plan of another call: %s", body)
		}
	})
}

func TestAnAdapterThatCannotWriteIsDoneWithout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db, func(c *telephony.Config, d *telephony.Deps) {
			c.Destination = ""
			d.Providers = map[string]telephony.Provider{"twilio": brokenProvider{Provider: twilio.New(), render: func() error { return fmt.Errorf("no") }}}
		})
		x.account("acct_1", "")
		x.refresh()
		for _, c := range []struct{ door, digits, want string }{
			{"voice", "", "<Record "},
			{"voice/next", "", "<Record "},
			{"voice/whisper", "", "<Response></Response>"}, // bridges
			{"voice/keys", "1", "<Response></Response>"},   // bridges
			{"voice/keys", "2", "<Hangup/>"},               // an empty document would bridge an agent who declined
			{"voice/voicemail", "", "<Hangup/>"},
		} {
			form := played(t, "d1")[0].values()
			form.Set("CallSid", sid(c.door+c.digits))
			form.Set("Digits", c.digits)
			if body := document(t, x.post("/webhooks/twilio/"+c.door, token, form)); !strings.Contains(body, c.want) {
				t.Errorf("%s %s: got %s, want %s", c.door, c.digits, body, c.want)
			}
		}
	})
}
