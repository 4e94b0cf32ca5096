package main

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

func TestOneCallFromVisitToReport(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		h := newHouse(t, databaseURL)
		key := h.shop(4)

		visitor, session, leased := h.visit(key)
		placed := h.place(loopback.CallScript{
			From: "+12125550143", To: leased, At: storyStart.Add(30 * time.Second), CallerName: "ANN SMITH",
			Phone: func(string, int) loopback.Phone {
				return loopback.Phone{Answers: true, After: 7 * time.Second, Talk: 120 * time.Second}
			},
		})
		h.heardWhatTheRouteSays(placed)
		c := h.theOneCall(placed, leased, visitor, session)
		h.everyRequestIsKept(c.ID)
		h.evidence(c.ID, visitor)

		h.until(storyStart.Add(10 * time.Minute))
		h.work()
		h.recordingIsHeard(c.ID)
		h.judge(c.ID)
		h.historyNamesWhoAndWhen(c.ID)
		h.strangersSeeNothing(c.ID)

		h.call(account.Marketer, http.MethodPost, "/v1/spend", map[string]any{
			"source": "google", "medium": "cpc", "campaign": "emergency",
			"from": "2026-10-06", "until": "2026-10-07", "cost": money("250.00"),
		}, nil)
		csv := h.returnOnInvestment()
		h.momentumSaysWhatIsMissing()

		h.close()
		environ := environOf(t, databaseURL)
		printed := command(t, environ, "report", "roi", "--account", h.opened.AccountID, "--csv", "--group-by", "source,campaign", "--from", "2026-10-06", "--until", "2026-10-07").ok(t)
		sameFigures(t, table(t, printed), table(t, csv))
		for _, report := range []string{"roi", "attribution", "agents", "momentum"} {
			fitsATerminal(t, command(t, environ, "report", report, "--account", h.opened.AccountID, "--from", "2026-10-06", "--until", "2026-10-07").ok(t))
		}
		nothingDiffers(t, command(t, environ, "replay"))
	})
}

// fitsATerminal wants one table, not wider than a terminal, and what it is about.
func fitsATerminal(t *testing.T, printed string) {
	t.Helper()
	for line := range strings.Lines(printed) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 120 && !strings.HasPrefix(line, "note: ") {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
	if rules := strings.Count(printed, "\n──"); rules > 2 { // under the names, above the totals
		t.Errorf("got %d rules, want one table:\n%s", rules, printed)
	}
	for _, fact := range []string{"from: ", "\ncurrency: ", "--columns"} {
		if !strings.Contains(printed, fact) {
			t.Errorf("%q is missing:\n%s", fact, printed)
		}
	}
}

func money(amount string) map[string]string {
	return map[string]string{"amount": amount, "currency": "USD"}
}

// shop furnishes a website with a pool of numbers and returns its key.
func (h *house) shop(numbers int) string {
	h.t.Helper()
	pool := h.make("/v1/pools", map[string]any{"name": "Web site", "lease_tail_seconds": 1800, "cooldown_seconds": 600})
	for i := range numbers {
		h.number(fmt.Sprintf("+1312555%04d", 171+i), map[string]any{"pool_id": pool})
	}
	var site struct {
		Key string `json:"key"`
	}
	h.call(account.Manager, http.MethodPost, "/v1/sites", map[string]any{
		"name": "Shop", "origins": []string{shop}, "pool_id": pool, "swap": []string{printed},
	}, &site)
	return site.Key
}

const landing = shop + "/emergency?utm_source=google&utm_medium=cpc&utm_campaign=emergency&utm_term=plumber+near+me&utm_content=ad-2&gclid=Cj0story"

// visit opens a page as a browser does, and returns the number that it shows.
func (h *house) visit(key string) (visitor, session, leased string) {
	h.t.Helper()
	body := `{"visitor":"","session":"","page":"` + landing + `","referrer":"https://www.google.com/","numbers":["` + printed + `"],"consent":null}`
	got := send(h.t, h.stage.client, http.MethodPost, h.url("/dni/v1/"+key+"/visits"), body,
		"Content-Type", "application/json", "Origin", shop,
		"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36").is(h.t, http.StatusOK)
	is(h.t, "the page may read the answer", got.header.Get("Access-Control-Allow-Origin"), shop)
	answer := parsed[struct {
		Visitor, Session, Reason string
		Swap                     map[string]struct{ E164, National string }
		Lease                    *struct {
			Until       time.Time `json:"until"`
			BeatSeconds int       `json:"beat_seconds"`
		}
	}](h.t, got.body)
	is(h.t, "reason", answer.Reason, "leased")
	shown := answer.Swap[printed]
	if !strings.HasPrefix(shown.E164, "+13125550") || shown.E164 == printed {
		h.t.Fatalf("shown number: got %q, want one of the pool", shown.E164)
	}
	if answer.Lease == nil || !answer.Lease.Until.After(storyStart) || answer.Lease.BeatSeconds <= 0 {
		h.t.Errorf("lease: got %+v, want one that lasts", answer.Lease)
	}
	return answer.Visitor, answer.Session, shown.E164
}

// heardWhatTheRouteSays looks at the documents that the network played.
func (h *house) heardWhatTheRouteSays(placed *loopback.PlacedCall) {
	h.t.Helper()
	is(h.t, "what really happened", placed.Outcome, telephony.Answered)
	first := placed.Documents[0].Body
	say, dial := strings.Index(first, "<Say>This call is recorded.</Say>"), strings.Index(first, "<Dial ")
	if say < 0 || dial < say {
		h.t.Errorf("the announcement must come before the Dial: %s", first)
	}
	for _, attribute := range []string{`record="record-from-answer-dual"`, `recordingStatusCallback="http`, ">" + deskPhone + "</Number>"} {
		if !strings.Contains(first, attribute) {
			h.t.Errorf("the first document has no %s: %s", attribute, first)
		}
	}
	whispered := slices.ContainsFunc(placed.Documents, func(d loopback.Document) bool {
		return strings.Contains(d.URL, "/voice/whisper") && strings.Contains(d.Body, "<Say>google</Say>")
	})
	if !whispered {
		h.t.Errorf("the agent was not told the source: %+v", placed.Documents)
	}
}

// theOneCall checks the facts and the conclusion. With the network's clock:
//
//	14:01:00  the call, and the announcement of 22 letters, spoken in 2 s
//	14:01:02  Dial
//	14:01:04  the first ring
//	14:01:11  picked up, 7 s later; the whisper of one second
//	14:01:12  bridge
//	14:03:12  the end, 120 s later
//
// The leg counts from its answer: 121 s. The caller's leg was answered by the
// announcement: 132 s.
func (h *house) theOneCall(placed *loopback.PlacedCall, leased, visitor, session string) callJSON {
	h.t.Helper()
	list := h.calls("")
	if len(list) != 1 {
		h.t.Fatalf("calls: got %d, want 1", len(list))
	}
	t, c := h.t, list[0]
	is(t, "provider_call_id", c.ProviderCallID, placed.SID)
	is(t, "outcome", c.Outcome, "answered")
	is(t, "started_at", c.StartedAt.UTC(), storyStart.Add(30*time.Second))
	isPtr(t, "from", c.From.E164, "+12125550143")
	is(t, "tracking_number", c.TrackingNumber.E164, leased)
	isPtr(t, "ring_seconds", c.RingSeconds, 7)
	isPtr(t, "wait_seconds", c.WaitSeconds, 11)
	isPtr(t, "talk_seconds", c.TalkSeconds, placed.TalkSeconds)
	is(t, "talk_seconds at the provider", placed.TalkSeconds, 121)
	isPtr(t, "duration_seconds", c.DurationSeconds, 132)
	isPtr(t, "first_time_caller", c.FirstTimeCaller, true)
	isPtr(t, "prior_calls", c.PriorCalls, 0)
	is(t, "whose phone answered", c.Agent.ID, h.agent)
	is(t, "legs", len(c.Legs), 1)

	a := c.Attribution
	if a == nil {
		t.Fatal("the call is not attributed")
	}
	isPtr(t, "source", a.Source, "google")
	isPtr(t, "medium", a.Medium, "cpc")
	isPtr(t, "campaign", a.Campaign, "emergency")
	isPtr(t, "term", a.Term, "plumber near me")
	isPtr(t, "content", a.Content, "ad-2")
	is(t, "gclid", a.ClickIDs["gclid"], "Cj0story")
	if a.LandingPage == nil || !strings.HasPrefix(*a.LandingPage, shop+"/emergency") {
		t.Errorf("landing_page: got %v, want the page", a.LandingPage)
	}
	isPtr(t, "visitor_id", a.VisitorID, visitor)
	isPtr(t, "session_id", a.SessionID, session)
	is(t, "method", a.Method, "lease")
	if a.Confidence < 0.9 || a.Confidence > 1 {
		t.Errorf("confidence: got %v, want 0.9 to 1 for the visitor who sees the number", a.Confidence)
	}
	return c
}

// everyRequestIsKept compares the journal with what the network sent.
func (h *house) everyRequestIsKept(callID string) {
	h.t.Helper()
	var sent, kept []string
	for _, x := range h.tape {
		address, _, _ := strings.Cut(x.URL, "?")
		address, _, _ = strings.Cut(address, "#")
		_, door, _ := strings.Cut(address, "/webhooks/twilio/")
		sent = append(sent, door+" "+x.Params["CallSid"]+" "+x.Params["CallStatus"]+" "+x.Params["RecordingSid"])
	}
	for _, e := range h.events(callID) {
		if e.Body == nil || e.Target == nil {
			h.t.Fatal("an event without its body and target")
		}
		f := form(h.t, *e.Body)
		kept = append(kept, e.Door+" "+f.Get("CallSid")+" "+f.Get("CallStatus")+" "+f.Get("RecordingSid"))
		if target, _, _ := strings.Cut(*e.Target, "?"); target != path.Join("/webhooks/twilio", e.Door) {
			h.t.Errorf("target: got %s for the door %s", target, e.Door)
		}
	}
	is(h.t, "requests", len(sent), 9)
	is(h.t, "the first event", kept[0], sent[0])
	slices.Sort(sent) // on a clock that stands still, several arrive at one instant
	slices.Sort(kept)
	if !slices.Equal(kept, sent) {
		h.t.Errorf("the journal differs from what was sent:\ngot  %q\nwant %q", kept, sent)
	}
}

// evidence reads why the call was attributed as it was.
func (h *house) evidence(callID, visitor string) {
	h.t.Helper()
	var e struct {
		Verdict    string
		Method     string
		Lease      *struct{ Number struct{ E164 string } }
		Candidates []struct {
			VisitorID *string `json:"visitor_id"`
			Source    string
			Weight    float64
			Evidence  []string
		}
		Untracked struct{ Weight float64 }
		Why       []string
	}
	h.call(account.Marketer, http.MethodGet, "/v1/calls/"+callID+"/attribution", nil, &e)
	is(h.t, "verdict", e.Verdict, "winner")
	is(h.t, "method", e.Method, "lease")
	sum := e.Untracked.Weight
	for _, c := range e.Candidates {
		sum += c.Weight
	}
	if sum < 1-1e-9 || sum > 1+1e-9 {
		h.t.Errorf("weights: they add up to %v, want 1", sum)
	}
	if len(e.Candidates) == 0 || e.Candidates[0].VisitorID == nil || *e.Candidates[0].VisitorID != visitor || len(e.Candidates[0].Evidence) == 0 {
		h.t.Errorf("candidates: got %+v, want the visitor first, with evidence", e.Candidates)
	}
	if len(e.Why) == 0 || e.Lease == nil {
		h.t.Errorf("got why %q and lease %v, want words and the lease", e.Why, e.Lease)
	}
}

// recordingIsHeard streams the recording as the roles may.
func (h *house) recordingIsHeard(callID string) {
	h.t.Helper()
	t := h.t
	c := h.calls("")[0]
	if c.Recording == nil || c.Recording.State != "kept" || c.Recording.Kind != "call" {
		t.Fatalf("recording: got %+v, want it kept", c.Recording)
	}
	isPtr(t, "seconds of the recording", c.Recording.Seconds, 120)
	isPtr(t, "channels", c.Recording.Channels, 2)

	at, agent := "/v1/calls/"+callID+"/recording", h.opened.Tokens[account.Agent]
	whole := h.ask(agent, http.MethodGet, at, "").is(t, http.StatusOK)
	if !strings.HasPrefix(whole.body, "RIFF") {
		t.Errorf("the recording is no WAV file: %q", whole.body[:min(12, len(whole.body))])
	}
	piece := h.ask(agent, http.MethodGet, at, "", "Range", "bytes=100-1099").is(t, http.StatusPartialContent)
	is(t, "Content-Range", piece.header.Get("Content-Range"), fmt.Sprintf("bytes 100-1099/%d", len(whole.body)))
	is(t, "the piece", piece.body, whole.body[100:1100])
	h.ask(agent, http.MethodGet, at, "", "Range", "bytes=99999999-").is(t, http.StatusRequestedRangeNotSatisfiable)
	for _, role := range []account.Role{account.Marketer, account.ReadOnly} {
		h.ask(h.opened.Tokens[role], http.MethodGet, at, "").is(t, http.StatusForbidden)
	}
	h.ask("nobody", http.MethodGet, at, "").is(t, http.StatusUnauthorized)
}

// judge is the agent's work after the call. The score is 100·(1·4/4 + 3·2/4)/4
// = 62.5.
func (h *house) judge(callID string) {
	h.t.Helper()
	t, at := h.t, "/v1/calls/"+callID
	h.call(account.Agent, http.MethodPut, at+"/tags/emergency", nil, nil)
	h.call(account.Agent, http.MethodPut, at+"/disposition", map[string]any{"disposition": "Sale"}, nil)
	h.call(account.Agent, http.MethodPost, at+"/scores", map[string]any{"scorecard": h.card.ID, "marks": []map[string]any{
		{"criterion": h.card.Criteria[0].ID, "level": 4}, {"criterion": h.card.Criteria[1].ID, "level": 2},
	}}, nil)
	h.call(account.Agent, http.MethodPost, at+"/notes", map[string]any{"text": "Burst pipe, coming at noon"}, nil)
	h.call(account.Agent, http.MethodPost, at+"/sales", map[string]any{"value": money("1000.00"), "margin": money("400.00")}, nil)
	h.ask(h.opened.Tokens[account.Marketer], http.MethodPut, at+"/tags/emergency", "").is(t, http.StatusForbidden)

	c := h.calls("")[0]
	if !slices.Equal(c.Tags, []string{"emergency"}) {
		t.Errorf("tags: got %q", c.Tags)
	}
	isPtr(t, "disposition", c.Disposition, "Sale")
	isPtr(t, "qualified", c.Qualified, true)
	isPtr(t, "score", c.Score, 62.5)
	isPtr(t, "note", c.Note, "Burst pipe, coming at noon")
	isPtr(t, "value", c.Value, callwheel.Money{Micros: 1_000_000_000, Currency: "USD"})
}

func (h *house) historyNamesWhoAndWhen(callID string) {
	h.t.Helper()
	var tokens struct {
		Items []struct{ ID, Role string }
	}
	h.call(account.Owner, http.MethodGet, "/v1/tokens", nil, &tokens)
	agent := ""
	for _, token := range tokens.Items {
		if token.Role == string(account.Agent) {
			agent = token.ID
		}
	}
	var history struct {
		Items []struct {
			Kind, Actor string
			At          time.Time
		}
	}
	h.call(account.Manager, http.MethodGet, "/v1/calls/"+callID+"/history", nil, &history)
	var kinds []string
	for _, j := range history.Items {
		kinds = append(kinds, j.Kind)
		is(h.t, "who "+j.Kind, j.Actor, agent)
		is(h.t, "when "+j.Kind, j.At.UTC(), storyStart.Add(10*time.Minute))
	}
	slices.Sort(kinds)
	if want := []string{"disposed", "noted", "scored", "sold", "tagged"}; !slices.Equal(kinds, want) {
		h.t.Errorf("history: got %q, want %q", kinds, want)
	}
}

// strangersSeeNothing asks with the token of another account: what is there and
// what never was must answer the same bytes.
func (h *house) strangersSeeNothing(callID string) {
	h.t.Helper()
	ctx, directory := h.t.Context(), h.stage.program.directory
	other, err := directory.Create(ctx, account.AccountParams{Name: "Somebody Else", TZ: "UTC", Currency: "USD"})
	if err != nil {
		h.t.Fatal(err)
	}
	_, token, err := directory.CreateToken(ctx, account.Operator(other.ID), account.TokenParams{Name: "stranger", Role: account.Owner})
	if err != nil {
		h.t.Fatal(err)
	}
	never := callwheel.NewID("call")
	for _, one := range []struct{ method, tail, body string }{
		{http.MethodGet, "", ""},
		{http.MethodGet, "/events", ""},
		{http.MethodGet, "/attribution", ""},
		{http.MethodGet, "/history", ""},
		{http.MethodGet, "/recording", ""},
		{http.MethodDelete, "/recording", ""},
		{http.MethodGet, "/sales", ""},
		{http.MethodPut, "/disposition", `{"disposition":"Sale"}`},
		{http.MethodPost, "/notes", `{"text":"hello"}`},
	} {
		there := h.ask(token, one.method, "/v1/calls/"+callID+one.tail, one.body, "Content-Type", "application/json").is(h.t, http.StatusNotFound)
		nowhere := h.ask(token, one.method, "/v1/calls/"+never+one.tail, one.body, "Content-Type", "application/json").is(h.t, http.StatusNotFound)
		is(h.t, one.method+" "+one.tail+": the body", there.body, nowhere.body)
		for _, r := range []reply{there, nowhere} {
			for _, name := range []string{"X-Request-Id", "Date", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
				r.header.Del(name)
			}
		}
		is(h.t, one.method+" "+one.tail+": the headers", fmt.Sprint(there.header), fmt.Sprint(nowhere.header))
	}
}

// figuresJSON are the figures of a report's row.
type figuresJSON struct {
	Source, Campaign *string
	Calls            int64
	Answered         int64
	Missed           int64
	Blocked          int64
	FirstTime        int64 `json:"first_time"`
	Qualified        int64
	Credit           float64
	Revenue          *callwheel.Money
	Spend            *callwheel.Money
	CostPerCall      *callwheel.Money `json:"cost_per_call"`
	CostPerQualified *callwheel.Money `json:"cost_per_qualified"`
	ROI              *float64         `json:"roi"`
	ROIMargin        *float64         `json:"roi_margin"`
	ROAS             *float64         `json:"roas"`
}

type reportJSON struct {
	From, Until time.Time
	TZ          string
	Currency    string
	Model       string
	CreditFor   string `json:"credit_for"`
	Rows        []figuresJSON
	Totals      figuresJSON
}

// returnOnInvestment checks the figures of the day against these, by hand:
//
//	one call, answered, its caller new, its disposition qualified
//	credit        1       the one sale, to the visitor's only touch
//	revenue    1000.00
//	margin      400.00    as booked with the sale
//	spend       250.00
//	cost_per_call, cost_per_qualified   250.00 / 1
//	roi         (1000 − 250) / 250 = 3
//	roi_margin   (400 − 250) / 250 = 0.6
//	roas                1000 / 250 = 4
//
// It returns the same answer as CSV.
func (h *house) returnOnInvestment() string {
	h.t.Helper()
	const question = "/v1/reports/roi?group_by=source,campaign&from=2026-10-06&until=2026-10-07"
	var r reportJSON
	h.call(account.Marketer, http.MethodGet, question, nil, &r)
	t := h.t
	is(t, "from: midnight in New York", r.From.UTC(), time.Date(2026, 10, 6, 4, 0, 0, 0, time.UTC))
	is(t, "until", r.Until.UTC(), time.Date(2026, 10, 7, 4, 0, 0, 0, time.UTC))
	is(t, "tz", r.TZ, "America/New_York")
	is(t, "credit_for", r.CreditFor, "sale")
	if len(r.Rows) != 1 {
		t.Fatalf("rows: got %d, want 1: %+v", len(r.Rows), r.Rows)
	}
	isPtr(t, "source", r.Rows[0].Source, "google")
	isPtr(t, "campaign", r.Rows[0].Campaign, "emergency")
	for name, f := range map[string]figuresJSON{"row": r.Rows[0], "totals": r.Totals} {
		is(t, name+": calls", f.Calls, 1)
		is(t, name+": answered", f.Answered, 1)
		is(t, name+": first_time", f.FirstTime, 1)
		is(t, name+": qualified", f.Qualified, 1)
		is(t, name+": credit", f.Credit, 1)
		isPtr(t, name+": revenue", f.Revenue, usd(1000))
		isPtr(t, name+": spend", f.Spend, usd(250))
		isPtr(t, name+": cost_per_call", f.CostPerCall, usd(250))
		isPtr(t, name+": cost_per_qualified", f.CostPerQualified, usd(250))
		isPtr(t, name+": roi", f.ROI, 3)
		isPtr(t, name+": roi_margin", f.ROIMargin, 0.6)
		isPtr(t, name+": roas", f.ROAS, 4)
	}
	csv := h.ask(h.opened.Tokens[account.Marketer], http.MethodGet, question, "", "Accept", "text/csv").is(t, http.StatusOK)
	rows := table(t, csv.body)
	if len(rows) != 1 {
		t.Fatalf("CSV rows: got %d, want 1: %s", len(rows), csv.body)
	}
	for column, want := range map[string]string{
		"source": "google", "campaign": "emergency", "calls": "1", "answered": "1", "missed": "0", "qualified": "1", "credit": "1",
		"revenue": "1000.00", "spend": "250.00", "cost_per_call": "250.00", "cost_per_qualified": "250.00",
		"roi": "3", "roi_margin": "0.6", "roas": "4", "currency": "USD",
	} {
		is(t, "CSV: "+column, rows[0][column], want)
	}
	return csv.body
}

func usd(units int64) callwheel.Money {
	return callwheel.Money{Micros: units * 1_000_000, Currency: "USD"}
}

// momentumSaysWhatIsMissing: one call is no trend.
func (h *house) momentumSaysWhatIsMissing() {
	h.t.Helper()
	var r struct {
		Periods []struct {
			Index      *float64
			EnoughData bool `json:"enough_data"`
			Missing    []struct{ Part, Where, Message string }
			Parts      struct{ Opportunities int64 }
		}
	}
	h.call(account.ReadOnly, http.MethodGet, "/v1/reports/momentum?from=2026-10-06&until=2026-10-07", nil, &r)
	if len(r.Periods) != 1 {
		h.t.Fatalf("periods: got %d, want 1", len(r.Periods))
	}
	p := r.Periods[0]
	is(h.t, "enough_data", p.EnoughData, false)
	isNull(h.t, "index", p.Index)
	is(h.t, "opportunities", p.Parts.Opportunities, 1)
	if len(p.Missing) == 0 {
		h.t.Error("missing: got nothing, want what more is needed")
	}
	for _, m := range p.Missing {
		if m.Part == "" || m.Where == "" || m.Message == "" {
			h.t.Errorf("missing: got %+v, want it named", m)
		}
	}
}

// sameFigures compares two answers to one question, but for when they were
// given.
func sameFigures(t *testing.T, got, want []map[string]string) {
	t.Helper()
	for _, rows := range [][]map[string]string{got, want} {
		for _, row := range rows {
			delete(row, "generated_at")
			for column := range row { // whether a horizon has passed, and spend is settled, depends on the clock
				if strings.HasPrefix(column, "complete_") || column == "spend_provisional" {
					delete(row, column)
				}
			}
		}
	}
	is(t, "the same figures", fmt.Sprint(got), fmt.Sprint(want))
}

func nothingDiffers(t *testing.T, r ran) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(r.ok(t)), "\n") {
		if !strings.Contains(line, " 0 differ") {
			t.Errorf("replay: got %q, want 0 differ", line)
		}
	}
}

func TestABillboardIsJudgedByItsNumber(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		h := newHouse(t, databaseURL)
		source := h.make("/v1/sources", map[string]any{"name": "billboard", "medium": "offline", "kind": "offline"})
		const ad = "+13125550190"
		h.number(ad, map[string]any{"source_id": source, "campaign": "route 9"})
		h.make409(source)

		// Nobody answers: both phones ring out, and the caller leaves a message.
		mailed := h.place(loopback.CallScript{From: "+12125550143", To: ad, At: storyStart.Add(time.Minute), Voicemail: 14 * time.Second})
		// The same caller an hour later has no patience.
		abandoned := h.place(loopback.CallScript{From: "+12125550143", To: ad, At: storyStart.Add(time.Hour), Patience: 6 * time.Second})
		// Somebody withholds the number and reaches the mobile: the office is busy.
		hidden := h.place(loopback.CallScript{
			From: "anonymous", To: ad, At: storyStart.Add(2 * time.Hour),
			Phone: func(number string, _ int) loopback.Phone {
				return loopback.Phone{Busy: number == deskPhone, Answers: number == mobilePhone, After: 3 * time.Second, Talk: 30 * time.Second, HangsUpFirst: loopback.AgentParty}
			},
		})
		h.call(account.Manager, http.MethodPost, "/v1/blocked-callers", map[string]any{"caller": "+12125550166", "reason": "robot"}, nil)
		blocked := h.place(loopback.CallScript{From: "+12125550166", To: ad, At: storyStart.Add(3 * time.Hour)})
		h.until(storyStart.Add(4 * time.Hour))
		h.work()

		if doc := blocked.Documents[0].Body; !strings.Contains(doc, "<Reject") {
			t.Errorf("a blocked caller: got %s, want Reject", doc)
		}
		list := h.calls("")
		if len(list) != 4 {
			t.Fatalf("calls: got %d, want 4", len(list))
		}
		for i, want := range []struct {
			placed  *loopback.PlacedCall
			outcome string
			kind    string
		}{
			{mailed, "voicemail", "e164"}, {abandoned, "abandoned", "e164"}, {hidden, "answered", "anonymous"}, {blocked, "blocked", "e164"},
		} {
			c := list[i]
			is(t, "provider_call_id", c.ProviderCallID, want.placed.SID)
			is(t, "outcome", c.Outcome, want.outcome)
			is(t, "what really happened", string(want.placed.Outcome), want.outcome)
			is(t, "kind of caller", c.From.Kind, want.kind)
			isPtr(t, "source of the "+want.outcome+" call", c.Attribution.Source, "billboard")
			isPtr(t, "campaign", c.Attribution.Campaign, "route 9")
			is(t, "method", c.Attribution.Method, "source_number")
			isNull(t, "visitor", c.Attribution.VisitorID)
		}
		h.theMessage(list[0])
		isPtr(t, "prior calls of the abandoned call", list[1].PriorCalls, 1)
		isPtr(t, "first time", list[1].FirstTimeCaller, false)
		isNull(t, "talk of the abandoned call", list[1].TalkSeconds)
		isNull(t, "number of the anonymous caller", list[2].From.E164)
		isNull(t, "first time of the anonymous caller", list[2].FirstTimeCaller)
		isPtr(t, "talk of the anonymous caller", list[2].TalkSeconds, hidden.TalkSeconds)
		is(t, "phones rung", len(list[2].Legs), 2)
		h.billboardReport()
		is(t, "missed calls", len(h.calls("outcome=missed")), 2)
		is(t, "calls of the billboard", len(h.calls("source=Billboard")), 4)
		is(t, "anonymous calls", len(h.calls("caller=anonymous")), 1)

		h.close()
		nothingDiffers(t, command(t, environOf(t, databaseURL), "replay"))
		replayRepairs(t, databaseURL)
	})
}

// make409 wants that a number cannot be added twice.
func (h *house) make409(source string) {
	h.t.Helper()
	h.ask(h.opened.Tokens[account.Manager], http.MethodPost, "/v1/numbers", `{"number":"+13125550190","source_id":"`+source+`"}`,
		"Content-Type", "application/json").is(h.t, http.StatusConflict)
}

// theMessage was kept and can be heard.
func (h *house) theMessage(c callJSON) {
	h.t.Helper()
	isPtr(h.t, "voicemail_seconds", c.VoicemailSeconds, 14)
	isPtr(h.t, "first time", c.FirstTimeCaller, true)
	isNull(h.t, "talk of a voicemail", c.TalkSeconds)
	if c.Recording == nil || c.Recording.Kind != "voicemail" || c.Recording.State != "kept" {
		h.t.Fatalf("recording of the message: got %+v, want it kept", c.Recording)
	}
	isPtr(h.t, "length of the message", c.Recording.Seconds, 14)
	heard := h.ask(h.opened.Tokens[account.Agent], http.MethodGet, "/v1/calls/"+c.ID+"/recording", "").is(h.t, http.StatusOK)
	if !strings.HasPrefix(heard.body, "RIFF") {
		h.t.Error("the message is no WAV file")
	}
}

// billboardReport: three calls, one of them answered, one new caller; the
// blocked one stands beside. Nothing was spent, so there is no cost.
func (h *house) billboardReport() {
	h.t.Helper()
	var r reportJSON
	h.call(account.Marketer, http.MethodGet, "/v1/reports/attribution?group_by=source,campaign&from=2026-10-06&until=2026-10-07", nil, &r)
	if len(r.Rows) != 1 {
		h.t.Fatalf("rows: got %+v, want the billboard's", r.Rows)
	}
	isPtr(h.t, "source", r.Rows[0].Source, "billboard")
	for name, f := range map[string]figuresJSON{"row": r.Rows[0], "totals": r.Totals} {
		is(h.t, name+": calls", f.Calls, 3)
		is(h.t, name+": answered", f.Answered, 1)
		is(h.t, name+": missed", f.Missed, 2)
		is(h.t, name+": blocked", f.Blocked, 1)
		is(h.t, name+": first_time", f.FirstTime, 1)
		is(h.t, name+": credit", f.Credit, 3)
		isNull(h.t, name+": spend", f.Spend)
		isNull(h.t, name+": roi", f.ROI)
	}
}
