//go:build unix

package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

const (
	benchBase    = "http://callwheel.example"
	benchRef     = "AC00000000000000000000000000000001"
	benchToken   = "an auth token of the benchmarks"
	benchOrigin  = "https://shop.example"
	benchPrinted = "+13125550100"
)

// constant is the yardstick's answer, of the size of ours.
const constant = `<?xml version="1.0" encoding="UTF-8"?>
<Response><Dial timeout="25" answerOnBridge="true" action="http://callwheel.example/webhooks/twilio/voice/next?a=acct_1&amp;n=%2B13125550171&amp;hop=1"><Number statusCallback="http://callwheel.example/webhooks/twilio/leg?a=acct_1&amp;hop=1" statusCallbackEvent="initiated ringing answered completed">+17735550101</Number></Dial></Response>
`

// eachCrowd runs a benchmark with one client and with many.
func eachCrowd(b *testing.B, run func(b *testing.B, clients int)) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { run(b, clients) })
	}
}

// eachOffice runs a benchmark on fresh databases of both kinds, with one client
// and with many.
func eachOffice(b *testing.B, run func(b *testing.B, s *office, clients int)) {
	addresses := map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL}
	if os.Getenv("TEST_POSTGRES_URL") != "" {
		addresses["postgres"] = storetest.PostgresURL
	}
	for _, name := range []string{"sqlite", "postgres"} {
		address, ok := addresses[name]
		if !ok {
			continue
		}
		b.Run("db="+name, func(b *testing.B) {
			eachCrowd(b, func(b *testing.B, clients int) { run(b, newOffice(b, address(b)), clients) })
		})
	}
}

// BenchmarkEcho is the yardstick: echo reads a request of the same size and
// answers a constant document.
func BenchmarkEcho(b *testing.B) {
	e := echo.New()
	e.POST("/*", func(c echo.Context) error {
		if _, err := io.ReadAll(c.Request().Body); err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "text/xml", []byte(constant))
	})
	b.Run("webhook", func(b *testing.B) {
		eachCrowd(b, func(b *testing.B, clients int) {
			drill{handler: e, clients: clients, request: voice("+13125550171"), want: "<Dial"}.run(b)
		})
	})
	b.Run("page", func(b *testing.B) {
		eachCrowd(b, func(b *testing.B, clients int) {
			drill{handler: e, clients: clients, request: newVisit("dni_key"), want: "<Dial"}.run(b)
		})
	})
}

// BenchmarkEchoSigned is the yardstick that believes nobody: the same, once the
// provider's signature was checked.
func BenchmarkEchoSigned(b *testing.B) {
	provider, secrets := twilio.New(), benchSecrets()
	e := echo.New()
	e.POST("/*", func(c echo.Context) error {
		r := c.Request()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_, err = provider.Verify(telephony.Request{
			Door: telephony.DoorVoice, Method: r.Method, Target: r.RequestURI, ContentType: r.Header.Get("Content-Type"),
			Body: body, Signatures: r.Header.Values("X-Twilio-Signature"),
		}, benchBase, secrets)
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "text/xml", []byte(constant))
	})
	eachCrowd(b, func(b *testing.B, clients int) {
		drill{handler: e, clients: clients, request: voice("+13125550171"), want: "<Dial"}.run(b)
	})
}

// BenchmarkVoice is a new call to a number that somebody holds: signature,
// TwiML, and on disk before the answer leaves the event, the call and who
// earned it.
func BenchmarkVoice(b *testing.B) {
	eachOffice(b, func(b *testing.B, s *office, clients int) {
		held := s.lend(50)
		drill{handler: s.door, db: s.db, clients: clients, request: voice(held...), want: "<Dial"}.run(b)
		s.has(sends(b), `SELECT count(*) FROM journal WHERE door = 'voice'`)
		s.has(sends(b), `SELECT count(*) FROM calls WHERE NOT shell AND from_kind = 'e164'`)
		s.has(sends(b), `SELECT count(*) FROM attributions WHERE verdict = 'winner'`)
	})
}

// BenchmarkLeg is the first word of an agent's phone about a call that has just
// come in: a second event, and a leg.
func BenchmarkLeg(b *testing.B) {
	eachOffice(b, func(b *testing.B, s *office, clients int) {
		number := s.lend(1)
		s.play(sends(b), voice(number...))
		drill{handler: s.door, db: s.db, clients: clients, request: s.leg(number[0], 0)}.run(b)
		s.has(sends(b), `SELECT count(*) FROM journal WHERE door = 'leg'`)
		s.has(sends(b), `SELECT count(*) FROM legs WHERE status = 'initiated'`)
		s.has(sends(b), `SELECT count(*) FROM calls WHERE events = 2`)
	})
}

// BenchmarkStatus is the last word about a call of which six events are known:
// the row is folded from seven.
func BenchmarkStatus(b *testing.B) {
	eachOffice(b, func(b *testing.B, s *office, clients int) {
		number := s.lend(1)
		s.play(sends(b), voice(number...))
		for step := range legSteps {
			s.play(sends(b), s.leg(number[0], step))
		}
		s.play(sends(b), s.next(number[0]))
		drill{handler: s.door, db: s.db, clients: clients, request: status(number[0])}.run(b)
		s.has(sends(b), `SELECT count(*) FROM journal WHERE door = 'status'`)
		s.has(sends(b), `SELECT count(*) FROM calls WHERE events = 7 AND outcome = 'answered' AND duration_seconds = 126`)
	})
}

// BenchmarkVisit is a new visitor's page view: visitor, session, touch and the
// lease of a number, on disk before the page is told the number.
func BenchmarkVisit(b *testing.B) {
	eachOffice(b, func(b *testing.B, s *office, clients int) {
		s.stock(sends(b))
		good := drill{
			handler: s.door, db: s.db, clients: clients, request: newVisit(s.site.Key),
			want: `"leased"`, late: `"visitor":""`,
		}.run(b)
		// A visit whose time was up may still have been kept.
		s.holds(good, sends(b), `SELECT count(DISTINCT number) FROM leases`)
		s.holds(good, sends(b), `SELECT count(*) FROM touches WHERE campaign = 'spring'`)
	})
}

// BenchmarkBeat is an open page that keeps its number.
func BenchmarkBeat(b *testing.B) {
	eachOffice(b, func(b *testing.B, s *office, clients int) {
		s.stock(sends(b))
		sessions := s.visit(sends(b))
		drill{handler: s.door, db: s.db, clients: clients, request: s.beat(sessions)}.run(b)
		s.has(sends(b), `SELECT count(*) FROM leases WHERE last_beat_at > leased_from`)
		s.has(sends(b), `SELECT count(*) FROM sessions WHERE swapped = 3`)
	})
}

// office is the product with every door that is measured, over one account with a
// website, twenty sources and a pool.
type office struct {
	b       *testing.B
	db      *store.DB
	board   *telephony.Switchboard
	ledger  *attribution.Ledger
	account string
	pool    attribution.Pool
	site    attribution.Site
	door    http.Handler
	numbers int // in the pool
}

func benchSecrets() []telephony.Secret {
	return []telephony.Secret{{AccountRef: benchRef, Tokens: []string{benchToken}}}
}

func newOffice(b *testing.B, address string) *office {
	b.Helper()
	db, err := store.Open(address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	// As in service: a log line for each request, and figures that are counted.
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // lines are written out and then dropped
	registry := prometheus.NewRegistry()
	s := &office{b: b, db: db}
	s.ledger = attribution.NewLedger(db, attribution.Config{}, time.Now, log, registry)
	// Budgets wide enough for a busy machine: an event that took another way
	// than into the database would be another measurement.
	s.board = telephony.NewSwitchboard(db, telephony.Config{
		PublicURL: benchBase, SpoolDir: b.TempDir(), WriteBudget: 5 * time.Second, StatusBudget: 5 * time.Second, AttributeBudget: 5 * time.Second,
	}, telephony.Deps{
		Providers: map[string]telephony.Provider{"twilio": twilio.New()}, Secrets: benchSecrets,
		Attributor: s.ledger, Log: log, Registerer: registry,
	})
	b.Cleanup(func() { s.board.Close() })
	dir, err := account.NewDirectory(db, account.Config{SecretKey: testKey})
	if err != nil {
		b.Fatal(err)
	}
	server, err := api.New(api.Deps{
		Accounts: dir, Webhook: telephony.NewWebhook(s.board), Switchboard: s.board, Ledger: s.ledger,
		Log: log, Registry: registry, SecretKey: testKey, PublicURL: benchBase,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.door = server.Public()
	a, err := dir.Create(context.Background(), account.AccountParams{Name: "Shop", TZ: "America/Chicago"})
	if err != nil {
		b.Fatal(err)
	}
	s.account = a.ID
	s.furnish()
	return s
}

func (s *office) furnish() {
	s.b.Helper()
	ctx, who := context.Background(), account.Operator(s.account)
	for i := range 20 {
		_, err := s.ledger.CreateSource(ctx, who, attribution.SourceDraft{
			Name: fmt.Sprintf("Source %d", i), Medium: "cpc", Rules: []attribution.Rule{{UTMSource: fmt.Sprintf("network%d", i), UTMMedium: "cpc"}},
		})
		if err != nil {
			s.b.Fatal(err)
		}
	}
	var err error
	if s.pool, err = s.ledger.CreatePool(ctx, who, attribution.PoolDraft{Name: "Website"}); err != nil {
		s.b.Fatal(err)
	}
	s.site, err = s.ledger.CreateSite(ctx, who, attribution.SiteDraft{
		Name: "Website", Origins: []string{benchOrigin}, PoolID: s.pool.ID, Swap: []string{benchPrinted},
	})
	if err != nil {
		s.b.Fatal(err)
	}
}

// stock puts n numbers into the pool.
func (s *office) stock(n int) {
	s.b.Helper()
	ctx := context.Background()
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			number := fmt.Sprintf("+1312%07d", 2000000+i)
			_, err := tx.Exec(ctx, `
				INSERT INTO tracking_numbers (account_id, number_id, number, state, pool_id, pool_destination, created_at)
				VALUES (?, ?, ?, 'active', ?, '+17735550101', 1)`, s.account, fmt.Sprintf("num_%d", i), number, s.pool.ID)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO number_bindings (account_id, number, bound_from, pool_id, created_at) VALUES (?, ?, 1, ?, 1)`, s.account, number, s.pool.ID)
			if err != nil {
				return err
			}
		}
		return telephony.BumpRouting(ctx, tx)
	})
	if err != nil {
		s.b.Fatal(err)
	}
	if err := s.ledger.Stock(ctx, s.account); err != nil {
		s.b.Fatal(err)
	}
	if err := s.board.Refresh(ctx); err != nil {
		s.b.Fatal(err)
	}
	s.numbers = n
}

// lend gives n numbers to n visitors and returns them.
func (s *office) lend(n int) []string {
	s.b.Helper()
	s.stock(n)
	s.visit(n)
	var numbers []string
	if err := s.db.Select(context.Background(), &numbers, `SELECT number FROM leases ORDER BY number`); err != nil {
		s.b.Fatal(err)
	}
	return numbers
}

// visit lets n visitors come and returns their sessions.
func (s *office) visit(n int) []string {
	s.b.Helper()
	sessions := make([]string, n)
	// A moment ago, so that calls and beats come after it.
	now := time.Now().Add(-time.Second)
	s.crowd(n, func(i int) error {
		a, err := s.ledger.Visit(context.Background(), attribution.VisitRequest{
			SiteKey: s.site.Key, Page: benchPage(i), Referrer: "https://www.google.com/", Numbers: []string{benchPrinted}, Origin: benchOrigin,
		}, now)
		if err == nil && a.Reason != attribution.Leased {
			err = callwheel.Errorf(callwheel.Exhausted, "visitor %d got no number: %s", i, a.Reason)
		}
		sessions[i] = a.Session
		return err
	})
	return sessions
}

// play sends n requests ahead of a benchmark, straight to the handler.
func (s *office) play(n int, request func(int) []byte) {
	s.b.Helper()
	s.crowd(n, func(i int) error {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request(i))))
		if err != nil {
			return err
		}
		w := httptest.NewRecorder()
		s.door.ServeHTTP(w, r)
		if w.Code/100 != 2 {
			return callwheel.Errorf(callwheel.Invalid, "answered %d: %s", w.Code, w.Body)
		}
		return nil
	})
}

// crowd does n things, 32 at a time.
func (s *office) crowd(n int, do func(i int) error) {
	s.b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && !s.b.Failed(); i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					s.b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s.b.Failed() {
		s.b.FailNow()
	}
}

// has fails the benchmark when the database does not hold what was sent.
func (s *office) has(want int, query string) {
	s.b.Helper()
	s.holds(want, want, query)
}

// holds fails the benchmark when the database holds less than was promised, or
// more than was sent.
func (s *office) holds(promised, sent int, query string) {
	s.b.Helper()
	var got int
	if err := s.db.Get(context.Background(), &got, query); err != nil {
		s.b.Fatal(err)
	}
	if got < promised || got > sent {
		s.b.Errorf("%s: got %d; %d were promised and %d sent", query, got, promised, sent)
	}
}

// pair is a parameter of a form. Providers repeat names and have an order of
// their own, so a map would not do.
type pair struct{ name, value string }

func callRef(n int) string  { return fmt.Sprintf("CA%032x", n) }
func legRef(n int) string   { return fmt.Sprintf("CA%032x", 1<<40+n) }
func callerOf(n int) string { return fmt.Sprintf("+1212555%04d", n%10_000) }
func benchPage(n int) string {
	return fmt.Sprintf("%s/lofts?utm_source=network%d&utm_medium=cpc&utm_campaign=spring&utm_term=loft+rent&gclid=Cj0KCQ%040d", benchOrigin, n%20, n)
}

// callerLeg is what the provider tells about the caller's leg with every
// request.
func callerLeg(n int, number, status string) []pair {
	return []pair{
		{"AccountSid", benchRef},
		{"ApiVersion", "2010-04-01"},
		{"CallSid", callRef(n)},
		{"CallStatus", status},
		{"Direction", "inbound"},
		{"From", callerOf(n)},
		{"To", number},
		{"Caller", callerOf(n)},
		{"Called", number},
		{"FromCity", "NEW YORK"},
		{"FromState", "NY"},
		{"FromZip", "10001"},
		{"FromCountry", "US"},
		{"CallerCity", "NEW YORK"},
		{"CallerState", "NY"},
		{"CallerZip", "10001"},
		{"CallerCountry", "US"},
		{"ToCity", ""},
		{"ToState", "IL"},
		{"ToZip", ""},
		{"ToCountry", "US"},
		{"CalledCity", ""},
		{"CalledState", "IL"},
		{"CalledZip", ""},
		{"CalledCountry", "US"},
	}
}

// voice is a new call to one of the numbers.
func voice(numbers ...string) func(int) []byte {
	return func(n int) []byte {
		form := append(callerLeg(n, numbers[n%len(numbers)], "ringing"), pair{"StirVerstat", "TN-Validation-Passed-A"},
			pair{"CallerName", "MIRA OBERLIN"}, pair{"CallToken", strings.Repeat("t", 200)})
		return signed("/webhooks/twilio/voice", form)
	}
}

// legSteps is the life of an agent's phone.
var legSteps = []struct{ status, at string }{
	{"initiated", "Tue, 06 Oct 2026 14:00:01 +0000"},
	{"ringing", "Tue, 06 Oct 2026 14:00:02 +0000"},
	{"in-progress", "Tue, 06 Oct 2026 14:00:09 +0000"},
	{"completed", "Tue, 06 Oct 2026 14:02:15 +0000"},
}

func (s *office) leg(number string, step int) func(int) []byte {
	query := telephony.Query{AccountID: s.account, Number: number, Hop: 1}
	return func(n int) []byte {
		form := []pair{
			{"AccountSid", benchRef},
			{"ApiVersion", "2010-04-01"},
			{"CallSid", legRef(n)},
			{"ParentCallSid", callRef(n)},
			{"CallStatus", legSteps[step].status},
			{"Direction", "outbound-dial"},
			{"From", callerOf(n)},
			{"To", "+17735550101"},
			{"Caller", callerOf(n)},
			{"Called", "+17735550101"},
			{"CallbackSource", "call-progress-events"},
			{"SequenceNumber", fmt.Sprint(step)},
			{"Timestamp", legSteps[step].at},
		}
		if step == len(legSteps)-1 {
			form = append(form, pair{"CallDuration", "126"}, pair{"Duration", "3"}, pair{"SipResponseCode", "200"})
		}
		return signed("/webhooks/twilio/leg?"+query.Encode(), form)
	}
}

// next is what the provider asks when the agent has hung up.
func (s *office) next(number string) func(int) []byte {
	query := telephony.Query{AccountID: s.account, Number: number, Hop: 1}
	return func(n int) []byte {
		form := append(callerLeg(n, number, "in-progress"), pair{"DialCallStatus", "completed"}, pair{"DialCallSid", legRef(n)},
			pair{"DialCallDuration", "126"}, pair{"DialBridged", "true"})
		return signed("/webhooks/twilio/voice/next?"+query.Encode(), form)
	}
}

// status is the final callback of a call.
func status(number string) func(int) []byte {
	return func(n int) []byte {
		form := append(callerLeg(n, number, "completed"), pair{"CallDuration", "126"}, pair{"Duration", "3"},
			pair{"CallbackSource", "call-progress-events"}, pair{"SequenceNumber", "0"}, pair{"Timestamp", "Tue, 06 Oct 2026 14:02:15 +0000"})
		return signed("/webhooks/twilio/status", form)
	}
}

// signed is a request of the provider as it goes over the wire.
func signed(target string, form []pair) []byte {
	parts := make([]string, len(form))
	for i, p := range form {
		parts[i] = p.name + "=" + url.QueryEscape(p.value)
	}
	slices.SortFunc(form, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	mac := hmac.New(sha1.New, []byte(benchToken))
	io.WriteString(mac, benchBase+target)
	for _, p := range form {
		io.WriteString(mac, p.name+p.value)
	}
	return posted(target, "application/x-www-form-urlencoded; charset=UTF-8", strings.Join(parts, "&"),
		"X-Twilio-Signature: "+base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		"I-Twilio-Idempotency-Token: 5cf9ed36-2f5c-4a7e-9a3e-0d2e6a7b8c9d",
		"User-Agent: TwilioProxy/1.1",
		"Accept: */*")
}

// newVisit is a page view of somebody who was never seen before.
func newVisit(key string) func(int) []byte {
	return func(n int) []byte {
		body := fmt.Sprintf(`{"page":%q,"referrer":"https://www.google.com/","numbers":[%q]}`, benchPage(n), benchPrinted)
		return posted("/dni/v1/"+key+"/visits", "text/plain", body, fromPage()...)
	}
}

func (s *office) beat(sessions []string) func(int) []byte {
	return func(n int) []byte {
		body := fmt.Sprintf(`{"session":%q,"swapped":3,"found":3,"visible":true}`, sessions[n])
		return posted("/dni/v1/"+s.site.Key+"/beats", "text/plain", body, fromPage()...)
	}
}

func fromPage() []string {
	return []string{
		"Origin: " + benchOrigin,
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Accept: */*",
		"Accept-Language: en-US,en;q=0.5",
	}
}

func posted(target, contentType, body string, headers ...string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: callwheel.example\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n\r\n%s",
		target, contentType, len(body), strings.Join(headers, "\r\n"), body)
}
