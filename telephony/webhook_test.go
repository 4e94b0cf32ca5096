package telephony_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

const (
	officePhone = "+12015550188"
	lastResort  = "+12015550199"
)

// exchange is a switchboard with its door, its database and a clock that only
// the test moves.
type exchange struct {
	t       testing.TB
	db      *store.DB
	board   *telephony.Switchboard
	door    http.Handler
	secrets []telephony.Secret
	spool   string
	mu      sync.Mutex
	now     time.Time
}

type attributorFunc func(ctx context.Context, c telephony.Call) (string, error)

func (f attributorFunc) Attribute(ctx context.Context, c telephony.Call) (string, error) {
	return f(ctx, c)
}

type setup func(*telephony.Config, *telephony.Deps)

func open(t testing.TB, db *store.DB, more ...setup) *exchange {
	t.Helper()
	x := &exchange{t: t, db: db, now: noon, secrets: []telephony.Secret{{AccountRef: accountSID, Tokens: []string{token}}}}
	cfg := telephony.Config{PublicURL: base, SpoolDir: t.TempDir(), Destination: lastResort, WriteBudget: 3 * time.Second, StatusBudget: 5 * time.Second, AttributeBudget: 2 * time.Second, WhisperBudget: 2 * time.Second}
	deps := telephony.Deps{
		Providers: map[string]telephony.Provider{"twilio": twilio.New()},
		Secrets:   func() []telephony.Secret { return x.secrets },
		Now:       x.clock,
	}
	for _, m := range more {
		m(&cfg, &deps)
	}
	x.spool = cfg.SpoolDir
	x.board = telephony.NewSwitchboard(db, cfg, deps)
	t.Cleanup(func() { x.board.Close() })
	x.door = telephony.NewWebhook(x.board)
	return x
}

func (x *exchange) clock() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

func (x *exchange) at(t time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = t
}

func (x *exchange) exec(query string, args ...any) {
	x.t.Helper()
	err := x.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		if err != nil {
			return err
		}
		return telephony.BumpRouting(ctx, tx)
	})
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *exchange) account(id, destination string) {
	x.t.Helper()
	x.exec(`INSERT INTO accounts (account_id, name, tz, currency, destination, created_at) VALUES (?, ?, 'UTC', 'USD', ?, 1)`, id, id, destination)
}

func (x *exchange) number(account, number string, plan telephony.Plan) {
	x.t.Helper()
	text, err := json.Marshal(plan)
	if err != nil {
		x.t.Fatal(err)
	}
	x.exec(`INSERT INTO routes (account_id, route_id, name, plan, created_at) VALUES (?, ?, 'r', ?, 1)`, account, "route_"+number, string(text))
	x.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, route_id, created_at) VALUES (?, ?, ?, 'active', ?, 1)`, account, "num_"+number, number, "route_"+number)
	x.refresh()
}

func (x *exchange) refresh() {
	x.t.Helper()
	if err := x.board.Refresh(context.Background()); err != nil {
		x.t.Fatal(err)
	}
}

// post sends a signed form to one of our doors.
func (x *exchange) post(target, secret string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", sign(secret, base+target, form))
	w := httptest.NewRecorder()
	x.door.ServeHTTP(w, r)
	return w
}

func (p tape) values() url.Values {
	values := url.Values{}
	for name, value := range p.Params {
		values.Set(name, value)
	}
	return values
}

// play sends a tape at its moment, with the query that our own callback URL
// would have carried.
func (x *exchange) play(p tape, query telephony.Query) *httptest.ResponseRecorder {
	x.t.Helper()
	x.at(p.receivedAt())
	target := "/webhooks/twilio/" + string(p.Door)
	if text := query.Encode(); text != "" && p.Door != telephony.DoorVoice && p.Door != telephony.DoorStatus {
		target += "?" + text
	}
	w := x.post(target, token, p.values())
	want := http.StatusNoContent
	if p.Door.Live() || p.Door == telephony.DoorMessage {
		want = http.StatusOK
	}
	if w.Code != want {
		x.t.Errorf("%s: got status %d, want %d: %s", p.Name, w.Code, want, w.Body)
	}
	return w
}

func (x *exchange) playAll(list []tape) {
	x.t.Helper()
	for _, p := range list {
		x.play(p, hopOf(p))
	}
}

// hopOf is the context in which a tape of scenario c's second step is sent;
// all others belong to the first.
func hopOf(p tape) telephony.Query {
	q := telephony.Query{AccountID: "acct_1", Number: tracking, Hop: 1}
	if slices.Contains([]string{"c5", "c6", "c7", "c8", "c9", "c11"}, p.Name) {
		q.Hop = 2
	}
	return q
}

// row reads a call back as it is stored.
func (x *exchange) row(account, ref string) telephony.Call {
	x.t.Helper()
	calls := telephony.NewCalls(x.db)
	c, err := calls.Get(context.Background(), account, telephony.CallID("twilio", ref))
	if err != nil {
		x.t.Fatal(err)
	}
	return c.Call
}

func (x *exchange) count(query string, args ...any) int {
	x.t.Helper()
	var n int
	if err := x.db.Get(context.Background(), &n, query, args...); err != nil {
		x.t.Fatal(err)
	}
	return n
}

// document checks what every voice answer must be and returns its text.
func document(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") || w.Header().Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("answer: got %d %q, length %q of %d", w.Code, w.Header().Get("Content-Type"), w.Header().Get("Content-Length"), len(body))
	}
	if err := xml.Unmarshal([]byte(body), new(struct{})); err != nil {
		t.Errorf("not XML: %v: %s", err, body)
	}
	return body
}

func refOf(s scenario, t *testing.T) string { return played(t, s.tapes[0])[0].Params["CallSid"] }

func TestEveryScenarioThroughTheDoorEndsInItsRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		for i, s := range scenarios {
			plan := s.plan
			x.exec(`DELETE FROM tracking_numbers`)
			x.exec(`DELETE FROM routes`)
			x.number("acct_1", tracking, plan)
			if strings.HasSuffix(s.name, "first") || strings.HasPrefix(s.name, "d ") {
				// Two scenarios share a call id: the second begins afresh.
				for _, table := range []string{"journal", "calls", "legs", "recordings"} {
					x.exec(`DELETE FROM ` + table)
				}
			}
			list := played(t, s.tapes...)
			x.playAll(list)
			x.playAll(list) // and everything again
			got := x.row("acct_1", refOf(s, t))
			for name, want := range s.want {
				if told(got)[name] != want {
					t.Errorf("scenario %d %s: %s is %v, want %v", i, s.name, name, told(got)[name], want)
				}
			}
			if int(got.Events) != len(list) {
				t.Errorf("%s: folded from %d events, want %d", s.name, got.Events, len(list))
			}
			recordings := 0
			if strings.ContainsAny(s.tapes[0], "abc") {
				recordings = 1
			}
			if n := x.count(`SELECT count(*) FROM recordings WHERE call_id = ? AND state = 'pending' AND due_at IS NOT NULL`, got.ID); n != recordings {
				t.Errorf("%s: %d recordings to fetch, want %d", s.name, n, recordings)
			}
			if !got.StartedAt.Equal(noon) || got.NumberID != "num_"+tracking {
				t.Errorf("%s: started at %v by %s", s.name, got.StartedAt, got.NumberID)
			}
		}
		res, err := x.board.Replay(context.Background(), false)
		if err != nil || res.Differents != 0 || res.Calls == 0 {
			t.Errorf("replay: got %+v, %v, want no difference", res, err)
		}
	})
}

func TestAnyOrderOfArrivalEndsInTheSameRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		list := played(t, scenarios[0].tapes...)
		rng := rand.New(rand.NewPCG(3, 4))
		for range 25 {
			for _, table := range []string{"journal", "calls", "legs", "recordings"} {
				x.exec(`DELETE FROM ` + table)
			}
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			x.playAll(list)
			if got := told(x.row("acct_1", refOf(scenarios[0], t))); fmt.Sprint(got) != fmt.Sprint(scenarios[0].want) {
				t.Fatalf("got %v, want %v", got, scenarios[0].want)
			}
		}
	})
}

func TestRequestsThatAreNotGenuineChangeNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		form := played(t, "a1")[0].values()
		target := "/webhooks/twilio/voice"
		good := sign(token, base+target, form)
		for _, c := range []struct {
			name   string
			change func(r *http.Request)
			status int
		}{
			{"another token", func(r *http.Request) { r.Header.Set("X-Twilio-Signature", sign("other", base+target, form)) }, 403},
			{"no signature", func(r *http.Request) { r.Header.Del("X-Twilio-Signature") }, 403},
			{"an empty signature", func(r *http.Request) { r.Header.Set("X-Twilio-Signature", "") }, 403},
			{"two signatures", func(r *http.Request) { r.Header.Add("X-Twilio-Signature", good) }, 403},
			{"another path", func(r *http.Request) { r.URL.Path, r.RequestURI = "/webhooks/twilio/status", "/webhooks/twilio/status" }, 403},
			{"an added query", func(r *http.Request) { r.RequestURI += "?a=acct_2" }, 403},
			{"JSON of another token", func(r *http.Request) {
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("X-Twilio-Signature", sign("other", base+target, form))
			}, 415},
			{"plain text without a signature", func(r *http.Request) {
				r.Header.Set("Content-Type", "text/plain")
				r.Header.Del("X-Twilio-Signature")
			}, 415},
			{"GET with the signature of a form", func(r *http.Request) { r.Method = http.MethodGet }, 403},
			{"GET without a signature", func(r *http.Request) { r.Method = http.MethodGet; r.Header.Del("X-Twilio-Signature") }, 405},
			{"PUT of another token", func(r *http.Request) {
				r.Method = http.MethodPut
				r.Header.Set("X-Twilio-Signature", sign("other", base+target, form))
			}, 405},
			{"GET where nobody waits", func(r *http.Request) {
				r.Method, r.URL.Path, r.RequestURI = http.MethodGet, "/webhooks/twilio/status", "/webhooks/twilio/status"
				r.Header.Set("X-Twilio-Signature", sign(token, base+"/webhooks/twilio/status", nil))
			}, 405},
			{"an unknown door", func(r *http.Request) { r.URL.Path = "/webhooks/twilio/other" }, 404},
			{"a final slash", func(r *http.Request) { r.URL.Path, r.RequestURI = target+"/", target+"/" }, 404},
			{"a final slash where nobody waits", func(r *http.Request) {
				r.URL.Path, r.RequestURI = "/webhooks/twilio/status/", "/webhooks/twilio/status/"
			}, 404},
			{"a door of ours", func(r *http.Request) { r.URL.Path = "/webhooks/twilio/reconcile" }, 404},
			{"an unknown provider", func(r *http.Request) { r.URL.Path = "/webhooks/other/voice" }, 404},
		} {
			kinds := map[int]string{403: "forbidden", 404: "not-found", 405: "method-not-allowed", 415: "unsupported-media-type"}
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Twilio-Signature", good)
			c.change(r)
			w := httptest.NewRecorder()
			x.door.ServeHTTP(w, r)
			if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: got %d %s, want %d", c.name, w.Code, w.Header().Get("Content-Type"), c.status)
			}
			var p struct{ Type, Title, Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Type != kinds[c.status] || p.Title != http.StatusText(c.status) || p.Detail == "" {
				t.Errorf("%s: got %s, %v", c.name, w.Body, err)
			}
			if c.status == 405 && w.Header().Get("Allow") != "POST" {
				t.Errorf("%s: Allow is %q", c.name, w.Header().Get("Allow"))
			}
		}
		big := url.Values{"CallSid": {strings.Repeat("x", 70<<10)}}
		huge := url.Values{"CallSid": {strings.Repeat("x", 1<<20)}}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"a big body that is not signed": x.post(target, "other", big),
			"a huge body":                   x.post(target, token, huge),
			"a big body, nobody waits":      x.post("/webhooks/twilio/status", token, big),
		} {
			if w.Code != 413 {
				t.Errorf("%s: got %d, want 413", name, w.Code)
			}
		}
		if n := x.count(`SELECT count(*) FROM journal`); n != 0 {
			t.Errorf("%d requests were kept", n)
		}
	})
}

func TestARepeatedVoiceRequestGetsTheSameBytes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		voice := played(t, "e-v")[0]
		first := document(t, x.play(voice, telephony.Query{}))
		if !strings.Contains(first, agent1) {
			t.Fatalf("rings nobody: %s", first)
		}
		again := document(t, x.play(voice, telephony.Query{}))
		// Routes change, and the next repetition reaches another replica.
		x.exec(`UPDATE routes SET plan = ?`, `{"steps":[{"destinations":["+17735550109"]}]}`)
		x.refresh()
		third := document(t, x.play(voice, telephony.Query{}))
		y := open(t, db)
		y.refresh()
		elsewhere := document(t, y.play(voice, telephony.Query{}))
		if again != first || third != first || elsewhere != first {
			t.Errorf("answers differ:\n%s\n%s\n%s\n%s", first, again, third, elsewhere)
		}
		if n := x.count(`SELECT count(*) FROM calls`); n != 1 {
			t.Errorf("calls: got %d, want 1", n)
		}
	})
}

func TestTheIdempotencyHeaderIdentifiesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		send := func(p tape, header string) {
			t.Helper()
			target, form := "/webhooks/twilio/"+string(p.Door), p.values()
			r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Twilio-Signature", sign(token, base+target, form))
			if header != "" {
				r.Header.Set("I-Twilio-Idempotency-Token", header)
			}
			w := httptest.NewRecorder()
			x.door.ServeHTTP(w, r)
			if w.Code != http.StatusNoContent {
				t.Errorf("%s: got %d", p.Name, w.Code)
			}
		}
		ended := played(t, "e")[0]
		for _, header := range []string{"one", "one", "two", ""} {
			send(ended, header) // the same fact, whatever the header says
		}
		other := played(t, "f7")[0]
		send(other, "one") // another fact under a header that was seen before
		if n := x.count(`SELECT count(*) FROM journal`); n != 2 {
			t.Errorf("kept %d facts, want 2", n)
		}
	})
}

func TestFiftyCopiesAtOnceHaveOneEffect(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		var asked sync.Map
		x.board.SetAttributor(attributorFunc(func(_ context.Context, c telephony.Call) (string, error) {
			if _, twice := asked.LoadOrStore(c.ID, true); twice {
				return "", errors.New("asked twice")
			}
			return "s", nil
		}))
		for _, name := range []string{"e-v", "e"} {
			p := played(t, name)[0]
			x.at(p.receivedAt())
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if w := x.post("/webhooks/twilio/"+string(p.Door), token, p.values()); w.Code >= 300 {
						t.Errorf("%s: got %d", name, w.Code)
					}
				})
			}
			wg.Wait()
		}
		if calls, entries := x.count(`SELECT count(*) FROM calls`), x.count(`SELECT count(*) FROM journal`); calls != 1 || entries != 2 {
			t.Errorf("got %d calls from %d entries, want 1 from 2", calls, entries)
		}
	})
}

func TestTwoReplicasThatShareACallLoseNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x, y := open(t, db), open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		y.refresh()
		list := played(t, scenarios[0].tapes...)
		for round := range 15 {
			for _, table := range []string{"journal", "calls", "legs", "recordings"} {
				x.exec(`DELETE FROM ` + table)
			}
			var wg sync.WaitGroup
			for i, p := range append(slices.Clone(list), list...) {
				replica := []*exchange{x, y}[(i+round)%2]
				target := "/webhooks/twilio/" + string(p.Door)
				if q := hopOf(p); p.Door != telephony.DoorVoice && p.Door != telephony.DoorStatus {
					target += "?" + q.Encode()
				}
				wg.Go(func() {
					if w := replica.post(target, token, p.values()); w.Code >= 300 {
						t.Errorf("%s: got %d", p.Name, w.Code)
					}
				})
			}
			wg.Wait()
			got := told(x.row("acct_1", refOf(scenarios[0], t)))
			for _, name := range []string{"status", "outcome", "answered_at", "ended_at", "ring", "talk", "duration", "hops", "by", "legs"} {
				if got[name] != scenarios[0].want[name] {
					t.Fatalf("round %d: %s is %v, want %v", round, name, got[name], scenarios[0].want[name])
				}
			}
		}
	})
}

func TestEventsWaitInTheSpoolWhileTheDatabaseIsAway(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, address string) {
		spool := t.TempDir()
		db, err := store.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		keep := func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = spool; c.StatusBudget = time.Second }
		x := open(t, db, keep)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		db.Close()
		for _, p := range played(t, scenarios[0].tapes...) {
			w := x.play(p, hopOf(p))
			if p.Name == "a1" && !strings.Contains(document(t, w), agent1) {
				t.Errorf("the caller does not get through: %s", w.Body)
			}
		}
		x.board.Close()

		// A new start: no database yet, routes from the file.
		x = open(t, db, keep)
		if err := x.board.LoadLastGood(); err != nil {
			t.Fatal(err)
		}
		second := played(t, "d1")[0]
		if body := document(t, x.play(second, telephony.Query{})); !strings.Contains(body, agent1) {
			t.Errorf("after a start without a database: %s", body)
		}
		x.board.Close()

		db, err = store.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		x = open(t, db, keep)
		x.refresh()
		n, err := x.board.Drain(context.Background(), noon)
		if err != nil || n != 10 {
			t.Fatalf("drained %d, %v, want 10", n, err)
		}
		if got := told(x.row("acct_1", refOf(scenarios[0], t))); fmt.Sprint(got) != fmt.Sprint(scenarios[0].want) {
			t.Errorf("got %v, want %v", got, scenarios[0].want)
		}
		if n, err := x.board.Drain(context.Background(), noon); n != 0 || err != nil {
			t.Errorf("drained again: %d, %v", n, err)
		}
		if info, err := os.Stat(filepath.Join(spool, "events.spool")); err != nil || info.Size() != 0 {
			t.Errorf("the spool is not empty: %v", err)
		}
	})
}

func TestAnEventThatNobodyCanKeepIsRefusedForARetry(t *testing.T) {
	address := storetest.SQLiteURL(t)
	db, err := store.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, db, func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = "" })
	x.account("acct_1", "")
	x.number("acct_1", tracking, plainPlan)
	db.Close()
	p := played(t, "e")[0]
	w := x.post("/webhooks/twilio/status", token, p.values())
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if body := document(t, x.post("/webhooks/twilio/voice", token, played(t, "e-v")[0].values())); !strings.Contains(body, agent1) {
		t.Errorf("the caller does not get through: %s", body)
	}

	// The provider tries again when the database is back: the work is done then.
	if db, err = store.Open(address); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	x = open(t, db)
	x.refresh()
	x.play(p, telephony.Query{})
	if c := x.row("acct_1", p.Params["CallSid"]); c.Status != telephony.Completed || *c.DurationSeconds != 61 {
		t.Errorf("after the retry: got %v", told(c))
	}
}

// brokenProvider is the adapter with a fault.
type brokenProvider struct {
	telephony.Provider
	parse, render func() error
}

func (b brokenProvider) Parse(r telephony.Request) telephony.Event {
	if b.parse != nil {
		panic("parse")
	}
	return b.Provider.Parse(r)
}

func (b brokenProvider) Render(list []telephony.Instruction) ([]byte, string, error) {
	if b.render != nil {
		if err := b.render(); err != nil {
			return nil, "", err
		}
	}
	return b.Provider.Render(list)
}

func TestTheCallerAlwaysGetsThrough(t *testing.T) {
	good := played(t, "a1")[0].values()
	unknown := played(t, "a1")[0].values()
	unknown.Set("To", "+13125550199")
	// once breaks the first writing on every new switchboard.
	once := func(fault func() error) setup {
		return func(_ *telephony.Config, d *telephony.Deps) {
			n := 0
			b := brokenProvider{Provider: twilio.New(), render: func() error {
				if n++; n == 1 {
					return fault()
				}
				return nil
			}}
			d.Providers = map[string]telephony.Provider{"twilio": b}
		}
	}
	broken := func(b brokenProvider) setup {
		return func(_ *telephony.Config, d *telephony.Deps) {
			b.Provider = twilio.New()
			d.Providers = map[string]telephony.Provider{"twilio": b}
		}
	}
	attributor := func(f attributorFunc) setup {
		return func(_ *telephony.Config, d *telephony.Deps) { d.Attributor = f }
	}
	for _, c := range []struct {
		name     string
		form     url.Values
		accounts map[string]string // id → destination
		number   bool
		setup    setup
		reaches  string
	}{
		{"as it should be", good, map[string]string{"acct_1": officePhone}, true, nil, agent1},
		{"an unknown number of the only account", unknown, map[string]string{"acct_1": officePhone}, true, nil, officePhone},
		{"an unknown number of nobody", unknown, map[string]string{"acct_1": officePhone, "acct_2": officePhone}, true, nil, lastResort},
		{"no account at all", good, nil, false, nil, lastResort},
		{"nowhere to ring", good, map[string]string{"acct_1": ""}, false, func(c *telephony.Config, _ *telephony.Deps) { c.Destination = "" }, "<Record"},
		{"no parameters", url.Values{}, map[string]string{"acct_1": officePhone}, true, nil, officePhone},
		{"odd parameters", url.Values{"CallSid": {"CA\x00\xff"}, "To": {"<&>"}, "From": {strings.Repeat("9", 5000)}}, map[string]string{"acct_1": officePhone}, true, nil, officePhone},
		{"the attributor panics", good, map[string]string{"acct_1": officePhone}, true, attributor(func(context.Context, telephony.Call) (string, error) { panic("x") }), agent1},
		{"the attributor fails", good, map[string]string{"acct_1": officePhone}, true, attributor(func(context.Context, telephony.Call) (string, error) { return "", errors.New("x") }), agent1},
		{"the attributor hangs", good, map[string]string{"acct_1": officePhone}, true, func(c *telephony.Config, d *telephony.Deps) {
			c.AttributeBudget = 10 * time.Millisecond
			d.Attributor = attributorFunc(func(context.Context, telephony.Call) (string, error) { select {} })
		}, agent1},
		{"reading panics", good, map[string]string{"acct_1": officePhone}, true, broken(brokenProvider{parse: func() error { return nil }}), officePhone},
		{"writing fails once", good, map[string]string{"acct_1": officePhone}, true, once(func() error { return errors.New("cannot write") }), agent1},
		{"writing panics", good, map[string]string{"acct_1": officePhone}, true, once(func() error { panic("write") }), agent1},
		{"writing never works", good, map[string]string{"acct_1": officePhone}, true, broken(brokenProvider{render: func() error { panic("write") }}), "<Dial>" + agent1 + "</Dial>"},
		{"writing never works and the number is unknown", unknown, map[string]string{"acct_1": officePhone}, true, broken(brokenProvider{render: func() error { return errors.New("no") }}), "<Dial>" + officePhone + "</Dial>"},
		{"writing never works and nowhere to ring", good, map[string]string{"acct_1": ""}, false, func(c *telephony.Config, d *telephony.Deps) {
			c.Destination = ""
			broken(brokenProvider{render: func() error { return errors.New("no") }})(c, d)
		}, `</Say><Record maxLength="120" action="` + base + `/webhooks/twilio/voice/voicemail?a=acct_1"/>`},
		{"no spool", good, map[string]string{"acct_1": officePhone}, true, func(c *telephony.Config, _ *telephony.Deps) { c.SpoolDir = "/dev/null/nowhere" }, agent1},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				var more []setup
				if c.setup != nil {
					more = append(more, c.setup)
				}
				x := open(t, db, more...)
				for id, destination := range c.accounts {
					x.account(id, destination)
				}
				if c.number {
					x.number("acct_1", tracking, plainPlan)
				} else {
					x.refresh()
				}
				if body := document(t, x.post("/webhooks/twilio/voice", token, c.form)); !strings.Contains(body, c.reaches) {
					t.Errorf("does not reach %s: %s", c.reaches, body)
				}
				db.Close()
				form := url.Values{}
				for name, values := range c.form {
					form[name] = values
				}
				form.Set("CallSid", "CAf000000000000000000000000000000f")
				if body := document(t, x.post("/webhooks/twilio/voice", token, form)); !strings.Contains(body, "<Dial") && !strings.Contains(body, "<Record") {
					t.Errorf("without the database: %s", body)
				}
			})
		})
	}
}

func TestASignedRequestThatNamesNoCallIsKeptAndMakesNoCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.refresh()
		for _, door := range []string{"voice", "voice/next", "voice/whisper", "voice/keys", "voice/voicemail"} {
			document(t, x.post("/webhooks/twilio/"+door, token, url.Values{"AccountSid": {accountSID}}))
		}
		for _, door := range []string{"status", "leg", "recording", "transcription", "message/status"} {
			if w := x.post("/webhooks/twilio/"+door, token, url.Values{"AccountSid": {accountSID}}); w.Code != 204 || w.Body.Len() != 0 {
				t.Errorf("%s: got %d", door, w.Code)
			}
		}
		if n := x.count(`SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM legs) + (SELECT count(*) FROM recordings) + (SELECT count(*) FROM messages)`); n != 0 {
			t.Errorf("%d rows of calls that nobody made", n)
		}
		if n := x.count(`SELECT count(*) FROM journal`); n != 10 {
			t.Errorf("the journal holds %d requests, want all 10", n)
		}
		res, err := x.board.Replay(context.Background(), false)
		if err != nil || res.Calls+res.Messages+res.Differents != 0 {
			t.Errorf("replay: got %+v, %v, want nothing to rebuild", res, err)
		}
	})
}

func TestLegsBeforeTheVoiceRequestAreParkedUntilItTells(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.account("acct_2", "")
		x.number("acct_1", tracking, plainPlan)
		ref := refOf(scenarios[6], t)
		for _, p := range played(t, "f2", "f3") {
			x.play(p, telephony.Query{}) // our own URL lost its query
		}
		if parked, calls := x.count(`SELECT count(*) FROM journal WHERE account_id = ''`), x.count(`SELECT count(*) FROM calls`); parked != 2 || calls != 0 {
			t.Errorf("got %d parked and %d calls, want 2 and none", parked, calls)
		}
		x.play(played(t, "f1")[0], telephony.Query{})
		if c := x.row("acct_1", ref); len(c.Legs) != 1 || c.Events != 3 || c.Shell {
			t.Errorf("after the voice request: got %d legs of %d events, shell=%v", len(c.Legs), c.Events, c.Shell)
		}
		// A replica that remembers nothing finds the owner in the call's row.
		y := open(t, db)
		y.refresh()
		y.play(played(t, "f6")[0], telephony.Query{})
		if c := x.row("acct_1", ref); c.AnsweredAt == nil {
			t.Error("the other replica's event is not in the call")
		}
	})
}

// A replica took the call before it knew the number, and nothing more was told.
func TestParkedCallsComeToTheAccountThatHadTheNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		asked := []telephony.Call{}
		x := open(t, db, func(_ *telephony.Config, d *telephony.Deps) {
			d.Attributor = attributorFunc(func(_ context.Context, c telephony.Call) (string, error) {
				asked = append(asked, c)
				return "", nil
			})
		})
		x.account("acct_1", "")
		x.account("acct_2", "")
		x.account("acct_3", "")
		x.exec(`UPDATE accounts SET provider_account = 'AC9' WHERE account_id = 'acct_3'`)
		x.refresh()
		for _, p := range played(t, "f1", "f7", "g1") {
			x.play(p, telephony.Query{})
		}
		parked := func(want int) {
			t.Helper()
			res, err := x.board.Replay(ctx, false)
			if n := x.count(`SELECT count(*) FROM journal WHERE account_id = ''`); n != want || err != nil || res.Parked != want {
				t.Errorf("parked: got %d, counted %d, %v, want %d", n, res.Parked, err, want)
			}
		}
		adopt := func(want int) {
			t.Helper()
			if n, err := x.board.Adopt(ctx, x.clock()); n != want || err != nil {
				t.Errorf("adopt: got %d, %v, want %d", n, err, want)
			}
		}
		parked(3)
		adopt(0)
		number := func(account, id string, from, until any) {
			x.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, created_at, released_at) VALUES (?, ?, ?, 'released', ?, ?)`,
				account, id, tracking, from, until)
		}
		before, after := store.Micros(noon.Add(-time.Hour)), store.Micros(noon.Add(time.Hour))
		number("acct_3", "num_own", before-2, nil) // what it signs is never parked
		number("acct_2", "num_gone", before-1, before)
		adopt(0) // it had the number until an hour before, and nobody has had it since
		number("acct_2", "num_later", after, nil)
		adopt(0) // whoever gets it later is told nothing
		number("acct_1", "num_then", before, after)
		adopt(2)
		parked(0)
		c := x.row("acct_1", refOf(scenarios[6], t))
		if c.Shell || c.Events != 2 || c.EndedAt == nil || len(asked) != 1 || asked[0].ID != c.ID {
			t.Errorf("adopted: got %+v, attributed %d", c, len(asked))
		}
		if n := x.count(`SELECT count(*) FROM messages WHERE account_id = 'acct_1'`); n != 1 {
			t.Errorf("texts: got %d", n)
		}
		adopt(0)
	})
}

func TestAParkedCallComesToTheFirstWhoGetsItsNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.account("acct_2", "")
		x.refresh()
		x.play(played(t, "f1")[0], telephony.Query{})
		for account, at := range map[string]time.Time{"acct_1": noon.Add(time.Second), "acct_2": noon.Add(time.Hour)} {
			x.exec(`INSERT INTO tracking_numbers (account_id, number_id, number, state, created_at, released_at) VALUES (?, 'n', ?, 'released', ?, ?)`,
				account, tracking, store.Micros(at), store.Micros(at.Add(time.Minute)))
		}
		if n, err := x.board.Adopt(context.Background(), x.clock()); n != 1 || err != nil {
			t.Fatalf("adopt: got %d, %v", n, err)
		}
		x.row("acct_1", refOf(scenarios[6], t))
	})
}

func TestAnAccountsOwnSecretTouchesOnlyItsOwnCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		const theirSID = "AC00000000000000000000000000000002"
		x.account("acct_1", "")
		x.account("acct_2", officePhone)
		x.exec(`UPDATE accounts SET provider_account = ? WHERE account_id = 'acct_2'`, theirSID)
		x.number("acct_1", tracking, plainPlan)
		x.secrets = append(x.secrets, telephony.Secret{AccountRef: theirSID, AccountID: "acct_2", Tokens: []string{"theirtoken"}})

		// acct_2 claims acct_1's call in every way it can sign.
		ref := refOf(scenarios[6], t)
		for _, p := range played(t, "f1", "f7", "f2") {
			form := p.values()
			form.Set("AccountSid", theirSID)
			w := x.post("/webhooks/twilio/"+string(p.Door)+"?a=acct_1&n=%2B13125550171&hop=1", "theirtoken", form)
			if w.Code >= 300 {
				t.Errorf("%s: got %d", p.Name, w.Code)
			}
			if strings.Contains(w.Body.String(), agent1) {
				t.Errorf("a stranger is told whom acct_1 rings: %s", w.Body)
			}
		}
		if n := x.count(`SELECT count(*) FROM calls WHERE account_id = 'acct_1'`); n != 0 {
			t.Errorf("acct_1 has %d calls, want none", n)
		}
		x.playAll(played(t, scenarios[6].tapes...))
		if got := told(x.row("acct_1", ref)); fmt.Sprint(got) != fmt.Sprint(scenarios[6].want) {
			t.Errorf("acct_1's call: got %v, want %v", got, scenarios[6].want)
		}
		if c := x.row("acct_2", ref); c.Events != 3 {
			t.Errorf("acct_2's own row: %d events, want its 3", c.Events)
		}
	})
}

func TestTheAgentHearsTheSourceOrTheNumbersOwnWords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, whispering)
		source := "Google Ads & more"
		x.board.SetAttributor(attributorFunc(func(_ context.Context, c telephony.Call) (string, error) {
			if c.TrackingNumber != tracking || !c.StartedAt.Equal(noon) {
				t.Errorf("asked about %+v", c)
			}
			if source == "" {
				return "", errors.New("not now")
			}
			return source, nil
		}))
		list := played(t, "a1", "a4")
		x.play(list[0], telephony.Query{})
		if body := document(t, x.play(list[1], hopOf(list[1]))); !strings.Contains(body, "Call from Google Ads &amp; more") {
			t.Errorf("whisper: %s", body)
		}
		source = ""
		y := open(t, db) // another replica, an attributor that fails
		y.refresh()
		again := hopOf(list[1])
		again.Hop = 2
		if body := document(t, y.play(list[1], again)); !strings.Contains(body, "Call from (312) 555-0171") {
			t.Errorf("generic whisper: %s", body)
		}
	})
}

func TestABlockedCallerIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.exec(`INSERT INTO blocked_callers (account_id, caller, created_at) VALUES ('acct_1', ?, 1)`, caller)
		x.number("acct_1", tracking, plainPlan)
		p := played(t, "d1")[0]
		if body := document(t, x.play(p, telephony.Query{})); !strings.Contains(body, "<Reject") {
			t.Errorf("answer: %s", body)
		}
		if c := x.row("acct_1", p.Params["CallSid"]); c.Outcome != telephony.Blocked {
			t.Errorf("outcome: got %q", c.Outcome)
		}
	})
}

func TestTextsKeepTheirFurthestState(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		list := played(t, "g1", "g-delivered", "g-sent")
		if body := document(t, x.play(list[0], telephony.Query{})); strings.Contains(body, "<Message") {
			t.Errorf("answers a text: %s", body)
		}
		x.playAll(list)
		var rows []struct {
			Direction, Status, Body string
		}
		if err := db.Select(context.Background(), &rows, `SELECT direction, status, body FROM messages WHERE account_id = 'acct_1' ORDER BY direction`); err != nil {
			t.Fatal(err)
		}
		if len(rows) != 2 || rows[0].Status != "received" || rows[0].Body != "Is the loft still free? Tom & Ann ☕" || rows[1].Status != "delivered" {
			t.Errorf("got %+v", rows)
		}
		if n := x.count(`SELECT count(*) FROM calls`); n != 0 {
			t.Errorf("a text made %d calls", n)
		}
	})
}

func TestReplayFindsAndRepairsWhatWasTamperedWith(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		x.playAll(played(t, append([]string{"g1"}, scenarios[6].tapes...)...))
		x.exec(`UPDATE calls SET talk_seconds = 999, outcome = NULL`)
		x.exec(`UPDATE legs SET status = 'busy'`)
		x.exec(`UPDATE messages SET body = 'other'`)
		res, err := x.board.Replay(ctx, false)
		if err != nil || res.Differents != 4 || res.Fixed != 0 || res.Calls != 1 || res.Messages != 1 {
			t.Fatalf("got %+v, %v, want four differences", res, err)
		}
		if res, err = x.board.Replay(ctx, true); err != nil || res.Fixed != 2 {
			t.Fatalf("fix: got %+v, %v", res, err)
		}
		if res, err = x.board.Replay(ctx, false); err != nil || res.Differents != 0 {
			t.Errorf("after the fix: got %+v, %v", res, err)
		}
		x.exec(`DELETE FROM journal WHERE door = 'leg'`)
		events := x.row("acct_1", refOf(scenarios[6], t)).Events
		if res, err = x.board.Replay(ctx, true); err != nil || res.Trimmed != 0 || res.Fixed != 0 || res.Differents == 0 {
			t.Errorf("with entries lost: got %+v, %v, want a difference", res, err)
		}
		if got := x.row("acct_1", refOf(scenarios[6], t)).Events; got != events {
			t.Errorf("a call was rebuilt from what is left of its entries: %d of %d", got, events)
		}
		x.exec(`UPDATE accounts SET journal_retention_days = 30`)
		x.at(noon.AddDate(0, 0, 31))
		if res, err = x.board.Replay(ctx, true); err != nil || res.Trimmed != 1 || res.Fixed != 0 {
			t.Errorf("with entries deleted for age: got %+v, %v, want the call left alone", res, err)
		}
	})
}

func TestReplayFindsWhatHasNoJournalAndWhatHasNoRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		x.playAll(played(t, scenarios[0].tapes...)) // recorded
		x.exec(`DELETE FROM recordings`)
		res, err := x.board.Replay(ctx, false)
		if err != nil || res.Differents != 1 || res.Different[0].Field != "recording" {
			t.Fatalf("without the recording's row: got %+v, %v", res, err)
		}
		if res, err = x.board.Replay(ctx, true); err != nil || res.Fixed != 1 {
			t.Fatalf("fix: got %+v, %v", res, err)
		}
		if n := x.count(`SELECT count(*) FROM recordings WHERE state = 'pending' AND due_at IS NOT NULL`); n != 1 {
			t.Errorf("recordings to fetch after the fix: got %d", n)
		}
		x.exec(`DELETE FROM journal`)
		for range 2 { // nothing can rebuild it
			if res, err = x.board.Replay(ctx, true); err != nil || res.Differents != 1 || res.Different[0].Field != "journal" || res.Fixed != 0 {
				t.Errorf("without its entries: got %+v, %v", res, err)
			}
		}
		x.exec(`UPDATE accounts SET journal_retention_days = 30`)
		x.at(noon.AddDate(0, 0, 31))
		if res, err = x.board.Replay(ctx, false); err != nil || res.Differents != 0 || res.Trimmed != 1 {
			t.Errorf("past retention: got %+v, %v", res, err)
		}
		x.at(noon)
		x.exec(`UPDATE calls SET imported = ?`, true)
		if res, err = x.board.Replay(ctx, false); err != nil || res.Differents != 0 {
			t.Errorf("brought in from elsewhere: got %+v, %v", res, err)
		}
	})
}

func TestADeletedRecordingStaysDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		list := played(t, scenarios[2].tapes...)
		x.playAll(list[:8])
		x.exec(`UPDATE recordings SET state = 'deleted', due_at = NULL`)
		x.play(list[8], hopOf(list[8])) // its transcript comes late
		if n := x.count(`SELECT count(*) FROM recordings WHERE state = 'deleted' AND due_at IS NULL AND transcript = ''`); n != 1 {
			t.Error("a late event brought a deleted recording back")
		}
	})
}

func TestWatchersLearnWhichCallsChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		mine, stop := x.board.Watch("acct_1")
		others, stopOthers := x.board.Watch("acct_2")
		x.playAll(played(t, scenarios[6].tapes...)) // nobody reads: nothing waits
		if got, want := <-mine, telephony.CallID("twilio", refOf(scenarios[6], t)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		stop()
		stopOthers()
		if id, more := <-others; more {
			t.Errorf("another account was told of %s", id)
		}
	})
}

func TestLearningTheSameFactTwiceChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		x := open(t, db)
		x.account("acct_1", "")
		x.number("acct_1", tracking, plainPlan)
		p := played(t, "f1")[0]
		x.play(p, telephony.Query{})
		e := telephony.Event{
			Provider: "twilio", Door: telephony.DoorReconcile, CallRef: p.Params["CallSid"], Status: telephony.Completed,
			At: noon.Add(30 * time.Second), Sequence: -1, Seconds: 30, DialSeconds: -1, RecordingSeconds: -1,
		}
		for i, want := range []bool{true, false} {
			if fresh, err := x.board.Learn(ctx, "acct_1", e); err != nil || fresh != want {
				t.Errorf("time %d: got %v, %v", i+1, fresh, err)
			}
		}
		c := x.row("acct_1", e.CallRef)
		if c.Status != telephony.Completed || *c.DurationSeconds != 30 || c.EndedAt == nil || !slices.Contains(c.Flags, "reconciled") {
			t.Errorf("got %v %v", told(c), c.Flags)
		}
		if _, err := x.board.Learn(ctx, "acct_1", telephony.Event{}); callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("an empty fact: got %v", err)
		}
	})
}
