package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// storyStart is where the clock of every played story stands at first: ten in
// the morning in New York.
var storyStart = time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC)

// ran is what a command left behind.
type ran struct {
	code     int
	out, err string
}

// command runs the program as a shell would, without touching the process.
func command(t *testing.T, environ []string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, stdio{in: strings.NewReader(""), out: &out, err: &errs, environ: environ})
	return ran{code, out.String(), errs.String()}
}

// ok fails the test unless the command did what it should, and returns what it
// printed.
func (r ran) ok(t *testing.T) string {
	t.Helper()
	if r.code != exitDone {
		t.Fatalf("exit code: got %d, want 0\nstdout: %s\nstderr: %s", r.code, r.out, r.err)
	}
	return r.out
}

// environOf is the environment of a command that works on a database.
func environOf(t *testing.T, databaseURL string) []string {
	t.Helper()
	dir := t.TempDir()
	return []string{
		"CALLWHEEL_DATABASE_URL=" + databaseURL,
		"CALLWHEEL_SECRET_KEY=" + strings.Repeat("k", 32),
		"CALLWHEEL_SPOOL_DIR=" + dir + "/spool",
		"CALLWHEEL_RECORDINGS_DIR=" + dir + "/recordings",
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// house is a stage with an account that has two people at the phones, a route,
// a scorecard and tags, and a tape of every request of the network.
type house struct {
	t      *testing.T
	stage  *stage
	opened *opened
	tape   []loopback.Exchange
	route  string
	agent  string // her id
	card   scorecard
	closed bool
}

// The phones and numbers of the stories.
const (
	deskPhone   = "+17735550101"
	mobilePhone = "+17735550102"
	printed     = "+13125550100"
	shop        = "https://shop.example"
)

func newHouse(t *testing.T, databaseURL string) *house {
	t.Helper()
	return newHouseOn(t, databaseURL, loopback.Chaos{})
}

// newHouseOn is newHouse on a network that delivers badly.
func newHouseOn(t *testing.T, databaseURL string, chaos loopback.Chaos) *house {
	t.Helper()
	h := &house{t: t}
	var err error
	h.stage, err = newStage(t.Context(), stageParams{
		DatabaseURL: databaseURL, Dir: t.TempDir(), Start: storyStart, Seed: 1, Chaos: chaos, Log: quiet(),
		Observe: func(x loopback.Exchange) { h.tape = append(h.tape, x) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	h.opened, err = h.stage.openAccount(t.Context(), account.AccountParams{
		Name: "Harbor Plumbing", TZ: "America/New_York", Currency: "USD", Destination: deskPhone,
	}, account.Roles()...)
	if err != nil {
		t.Fatal(err)
	}
	h.agent = h.make("/v1/agents", map[string]any{"name": "Maria Lopez", "phone": deskPhone})
	h.make("/v1/agents", map[string]any{"name": "Ben Carter", "phone": mobilePhone})
	h.make("/v1/tags", map[string]any{"name": "emergency"})
	h.call(account.Manager, http.MethodPost, "/v1/scorecards", map[string]any{
		"name": "Phone manners",
		"criteria": []map[string]any{
			{"name": "Said who is speaking", "weight": 1, "max_level": 4, "critical": true},
			{"name": "Offered an appointment", "weight": 3, "max_level": 4},
		},
	}, &h.card)
	h.route = h.make("/v1/routes", map[string]any{"name": "Office, then mobile, then voicemail", "plan": map[string]any{
		"steps": []map[string]any{
			{"destinations": []string{deskPhone}, "timeout_seconds": 15},
			{"destinations": []string{mobilePhone}, "timeout_seconds": 10},
		},
		"whisper": "{source}", "record": true, "announcement": "This call is recorded.",
		"voicemail": true, "greeting": "Please leave a message.",
	}})
	return h
}

func (h *house) close() {
	if h.closed {
		return
	}
	h.closed = true
	if err := h.stage.close(context.WithoutCancel(h.t.Context())); err != nil {
		h.t.Error(err)
	}
}

// call asks the API as a role and fails the test unless it answers 2xx.
func (h *house) call(role account.Role, method, path string, in, out any) {
	h.t.Helper()
	if err := h.stage.api(h.opened.Tokens[role]).call(h.t.Context(), method, path, in, out); err != nil {
		h.t.Fatal(err)
	}
}

// make posts as the manager and returns the id of what was made.
func (h *house) make(path string, in any) string {
	h.t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	h.call(account.Manager, http.MethodPost, path, in, &made)
	if made.ID == "" {
		h.t.Fatalf("POST %s answered no id", path)
	}
	return made.ID
}

// number makes the pretend provider own a number and the account use it.
func (h *house) number(e164 string, fields map[string]any) string {
	h.t.Helper()
	h.stage.network.AddNumber(e164, loopback.NumberURLs{})
	fields["number"], fields["route_id"] = e164, h.route
	return h.make("/v1/numbers", fields)
}

// place lets somebody call at an instant and plays until nothing is left to
// happen.
func (h *house) place(script loopback.CallScript) *loopback.PlacedCall {
	h.t.Helper()
	placed := h.stage.network.Call(script)
	if err := h.stage.network.Finish(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if !placed.Done {
		h.t.Fatalf("the call from %s did not end", script.From)
	}
	for _, w := range placed.Warnings {
		h.t.Errorf("the provider's debugger says of the call from %s: %s", script.From, w)
	}
	return placed
}

// until moves the clock to an instant.
func (h *house) until(at time.Time) {
	h.t.Helper()
	if err := h.stage.network.Run(h.t.Context(), at); err != nil {
		h.t.Fatal(err)
	}
}

// work runs every background job once.
func (h *house) work() {
	h.t.Helper()
	if err := h.stage.program.runner.RunAll(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// url is a public door's address.
func (h *house) url(path string) string { return h.stage.program.cfg.PublicURL + path }

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request without judging the answer. Headers are pairs of name and
// value.
func (h *house) ask(token, method, path, body string, headers ...string) reply {
	h.t.Helper()
	return send(h.t, h.stage.client, method, h.url(path), body, append(headers, "Authorization", "Bearer "+token)...)
}

func send(t *testing.T, client *http.Client, method, address, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// is fails the test when the status is another one.
func (r reply) is(t *testing.T, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status: got %d, want %d: %.500s", r.status, status, r.body)
	}
	return r
}

// callJSON is a call as the API shows it.
type callJSON struct {
	ID             string `json:"id"`
	ProviderCallID string `json:"provider_call_id"`
	Outcome        string `json:"outcome"`
	From           *struct {
		E164 *string `json:"e164"`
		Kind string  `json:"kind"`
	} `json:"from"`
	TrackingNumber *struct {
		E164 string `json:"e164"`
	} `json:"tracking_number"`
	StartedAt        time.Time `json:"started_at"`
	WaitSeconds      *int64    `json:"wait_seconds"`
	RingSeconds      *int64    `json:"ring_seconds"`
	TalkSeconds      *int64    `json:"talk_seconds"`
	DurationSeconds  *int64    `json:"duration_seconds"`
	VoicemailSeconds *int64    `json:"voicemail_seconds"`
	FirstTimeCaller  *bool     `json:"first_time_caller"`
	PriorCalls       *int64    `json:"prior_calls"`
	Agent            *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"agent"`
	Tags        []string         `json:"tags"`
	Disposition *string          `json:"disposition"`
	Qualified   *bool            `json:"qualified"`
	Value       *callwheel.Money `json:"value"`
	Score       *float64         `json:"score"`
	Note        *string          `json:"note"`
	Attribution *struct {
		Source      *string           `json:"source"`
		Medium      *string           `json:"medium"`
		Campaign    *string           `json:"campaign"`
		Term        *string           `json:"term"`
		Content     *string           `json:"content"`
		ClickIDs    map[string]string `json:"click_ids"`
		LandingPage *string           `json:"landing_page"`
		Referrer    *string           `json:"referrer"`
		VisitorID   *string           `json:"visitor_id"`
		SessionID   *string           `json:"session_id"`
		Method      string            `json:"method"`
		Confidence  float64           `json:"confidence"`
	} `json:"attribution"`
	Recording *struct {
		Kind     string `json:"kind"`
		State    string `json:"state"`
		Seconds  *int64 `json:"seconds"`
		Channels *int64 `json:"channels"`
	} `json:"recording"`
	Legs []struct {
		Number *struct {
			E164 string `json:"e164"`
		} `json:"number"`
		Status  string `json:"status"`
		Bridged *bool  `json:"bridged"`
	} `json:"legs"`
}

// calls lists the calls of the account, oldest first.
func (h *house) calls(query string) []callJSON {
	h.t.Helper()
	var page struct {
		Items []callJSON `json:"items"`
	}
	h.call(account.Manager, http.MethodGet, "/v1/calls?"+query, nil, &page)
	for i, j := 0, len(page.Items)-1; i < j; i, j = i+1, j-1 {
		page.Items[i], page.Items[j] = page.Items[j], page.Items[i]
	}
	return page.Items
}

// eventJSON is a provider fact as the API shows it.
type eventJSON struct {
	Door   string  `json:"door"`
	Target *string `json:"target"`
	Body   *string `json:"body"`
}

func (h *house) events(callID string) []eventJSON {
	h.t.Helper()
	var page struct {
		Items []eventJSON `json:"items"`
	}
	h.call(account.Manager, http.MethodGet, "/v1/calls/"+callID+"/events", nil, &page)
	return page.Items
}

// is compares one figure.
func is[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// isPtr compares one figure that may be null.
func isPtr[T comparable](t *testing.T, what string, got *T, want T) {
	t.Helper()
	switch {
	case got == nil:
		t.Errorf("%s: got null, want %v", what, want)
	case *got != want:
		t.Errorf("%s: got %v, want %v", what, *got, want)
	}
}

// isNull wants a figure that is not available.
func isNull[T any](t *testing.T, what string, got *T) {
	t.Helper()
	if got != nil {
		t.Errorf("%s: got %v, want null", what, *got)
	}
}

// table reads CSV with a header into one map per line.
func table(t *testing.T, text string) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) == 0 {
		t.Fatalf("not CSV with a header: %v: %.300s", err, text)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// parsed reads a JSON text.
func parsed[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not the JSON that was expected: %v: %.300s", err, text)
	}
	return v
}

// form reads a form-encoded body.
func form(t *testing.T, body string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// eventually waits for what another goroutine brings about by itself. It is for
// the real clock only: where a stage is played nothing happens by itself.
func eventually(t *testing.T, what string, limit time.Duration, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", limit, what)
		case <-tick.C:
		}
	}
}

// files lists the names in a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
