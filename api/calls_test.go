package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// phoneLine is a house with calls: its switchboard, and where recordings are kept.
type phoneLine struct {
	*house
	db    *store.DB
	board *telephony.Switchboard
	dir   string
}

func openLine(t *testing.T, db *store.DB) phoneLine {
	t.Helper()
	l := phoneLine{db: db, dir: t.TempDir()}
	l.house = open(t, db, func(d *api.Deps) {
		l.board = d.Switchboard
		none := func(string) (telephony.Carrier, error) { return nil, callwheel.Errorf(callwheel.Unavailable, "none") }
		d.Recorder = telephony.NewRecorder(db, none, telephony.RecorderConfig{Dir: l.dir}, time.Now, d.Log, nil)
	})
	return l
}

// tell makes a state of a call known through a switchboard.
func (l phoneLine) tell(board *telephony.Switchboard, ref, from string, status telephony.Status, at time.Time) string {
	l.t.Helper()
	_, err := board.Learn(context.Background(), l.account.ID, telephony.Event{
		Provider: "twilio", Door: telephony.DoorReconcile, CallRef: ref, At: at, From: from, To: "+13125550171",
		Status: status, Sequence: -1, Seconds: -1, Caller: telephony.CallerDetails{Name: "ANNA", City: "Chicago"},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return telephony.CallID("twilio", ref)
}

func (l phoneLine) run(query string, args ...any) {
	l.t.Helper()
	err := l.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestACallIsShownInTheWordsOfTheContract(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		id := l.tell(l.board, "CA1", "+12125550143", telephony.NoAnswer, noon)
		c := l.ask(l.tokens[account.Agent], "GET", "/v1/calls/"+id, "").is(200).json()
		for _, field := range strings.Fields(`id created_at provider provider_call_id direction status outcome from tracking_number destination
			wait_seconds started_at answered_at ended_at ring_seconds talk_seconds duration_seconds first_time_caller prior_calls caller
			agent attribution tags disposition qualified value score note recording legs`) {
			if _, ok := c[field]; !ok {
				t.Errorf("no field %s", field)
			}
		}
		from := c["from"].(map[string]any)
		if from["e164"] != "+12125550143" || from["national"] != "(212) 555-0143" || from["kind"] != "e164" {
			t.Errorf("from: got %v", from)
		}
		if c["started_at"] != "2026-11-20T12:00:00.000000Z" || c["provider_call_id"] != "CA1" || c["first_time_caller"] != true {
			t.Errorf("got %v", c)
		}
		if c["caller"].(map[string]any)["name"] != "ANNA" {
			t.Errorf("caller: got %v", c["caller"])
		}
		hidden := l.tell(l.board, "CA2", "anonymous", telephony.NoAnswer, noon)
		c = l.ask(l.tokens[account.Agent], "GET", "/v1/calls/"+hidden, "").is(200).json()
		if from := c["from"].(map[string]any); from["e164"] != nil || from["kind"] != "anonymous" || c["first_time_caller"] != nil {
			t.Errorf("anonymous: got %v, first time %v", from, c["first_time_caller"])
		}
	})
}

func TestCallersAreMaskedForRolesThatMayNotSeeThem(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		id := l.tell(l.board, "CA1", "+12125550143", telephony.NoAnswer, noon)
		for _, role := range []account.Role{account.Marketer, account.ReadOnly} {
			for _, path := range []string{"/v1/calls", "/v1/calls/" + id, "/v1/calls/" + id + "/events"} {
				got := l.ask(l.tokens[role], "GET", path, "").is(200).Body.String()
				if strings.Contains(got, "2125550143") || strings.Contains(got, "555-0143") || strings.Contains(got, "ANNA") {
					t.Errorf("%s reads the caller at %s: %s", role, path, got)
				}
			}
			l.ask(l.tokens[role], "GET", "/v1/calls?caller=%2B12125550143", "").is(403)
			if items := l.ask(l.tokens[role], "GET", "/v1/calls?q=5550143", "").is(200).json()["items"].([]any); len(items) != 0 {
				t.Errorf("%s finds a caller by digits", role)
			}
			l.ask(l.tokens[role], "GET", "/v1/calls/"+id+"/recording", "").is(403)
			l.ask(l.tokens[role], "GET", "/v1/calls", "", "Accept", "text/csv").is(403)
		}
		events := l.ask(l.tokens[account.Agent], "GET", "/v1/calls/"+id+"/events", "").is(200).Body.String()
		if !strings.Contains(events, "+12125550143") || !strings.Contains(events, `"door":"reconcile"`) {
			t.Errorf("an agent does not see the facts: %s", events)
		}
	})
}

func TestMaskedRolesReadNoNumberInTextAndFindNoneByIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		id := l.tell(l.board, "CA1", "+12125550143", telephony.NoAnswer, noon)
		agent := l.tokens[account.Agent]
		l.ask(agent, "POST", "/v1/calls/"+id+"/notes", `{"text":"Call Anna back at (212) 555-0143 before 12"}`).is(201)
		l.ask(agent, "POST", "/v1/calls/"+id+"/feedback", `{"kind":"nps","value":9,"comment":"ring +1 212 555 0143"}`).is(201)
		for _, role := range []account.Role{account.Marketer, account.ReadOnly} {
			for _, path := range []string{"/v1/calls", "/v1/calls/" + id, "/v1/calls/" + id + "/notes", "/v1/calls/" + id + "/desk", "/v1/calls/" + id + "/history", "/v1/callers/%2B12125550143"} {
				got := l.ask(l.tokens[role], "GET", path, "").is(200).Body.String()
				if strings.Contains(got, "555-0143") || strings.Contains(got, "555 0143") {
					t.Errorf("%s reads a number at %s: %s", role, path, got)
				}
			}
			found := func(q string) int {
				t.Helper()
				return len(l.ask(l.tokens[role], "GET", "/v1/calls?q="+q, "").is(200).json()["items"].([]any))
			}
			if found("Anna") != 1 || found("back+at+(2") != 0 || found("555-0143") != 0 {
				t.Errorf("%s finds a number in a note digit by digit", role)
			}
		}
		l.ask(agent, "GET", "/v1/callers/%2B12125550143", "").is(200)
		l.ask(agent, "GET", "/v1/callers/%2B12125550199", "").is(404)
		if got := l.ask(agent, "GET", "/v1/calls?q=555-0143", "").is(200).json()["items"].([]any); len(got) != 1 {
			t.Errorf("an agent finds %d calls", len(got))
		}
		if got := l.ask(agent, "GET", "/v1/calls/"+id+"/notes", "").is(200).Body.String(); !strings.Contains(got, "(212) 555-0143") {
			t.Errorf("an agent reads: %s", got)
		}
	})
}

func TestCallsAreListedFilteredAndExported(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		owner := l.tokens[account.Owner]
		for i := range 60 {
			l.tell(l.board, fmt.Sprintf("CA%02d", i), "+12125550143", telephony.NoAnswer, noon.Add(time.Duration(i)*time.Minute))
		}
		list := l.ask(owner, "GET", "/v1/calls", "").is(200).json()
		items := list["items"].([]any)
		if len(items) != 50 || list["next_cursor"] == nil || items[0].(map[string]any)["provider_call_id"] != "CA59" {
			t.Errorf("first page: %d items, cursor %v", len(items), list["next_cursor"])
		}
		rest := l.ask(owner, "GET", "/v1/calls?cursor="+list["next_cursor"].(string), "").is(200).json()
		if len(rest["items"].([]any)) != 10 || rest["next_cursor"] != nil {
			t.Errorf("second page: %d items", len(rest["items"].([]any)))
		}
		count := func(query string, want int) {
			t.Helper()
			if got := len(l.ask(owner, "GET", "/v1/calls?limit=500&"+query, "").is(200).json()["items"].([]any)); got != want {
				t.Errorf("%s: got %d calls, want %d", query, got, want)
			}
		}
		count("from=2026-11-20T12:10:00Z&until=2026-11-20T12:20:00Z", 10)
		count("outcome=missed&first_time=false", 59)
		count("caller=%2B12125550143&tracking_number=%2B13125550171", 60)
		count("qualified=true", 0)
		l.ask(owner, "GET", "/v1/calls?outcome=great", "").is(422)
		// A date is that of the account's zone, New York: its 20th begins at 05:00 UTC.
		l.tell(l.board, "CAnight", "+12125550144", telephony.NoAnswer, time.Date(2026, 11, 20, 4, 59, 59, 0, time.UTC))
		l.tell(l.board, "CAmorning", "+12125550144", telephony.NoAnswer, time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC))
		count("caller=%2B12125550144&from=2026-11-20", 1)
		count("caller=%2B12125550144&until=2026-11-20", 1)
		count("caller=%2B12125550144&from=2026-11-19&until=2026-11-21", 2)
		count("caller=%2B12125550144&from=2026-11-20T07:00:00+02:00", 1) // a plus sign that was not escaped
		l.run(`DELETE FROM calls WHERE from_e164 = '+12125550144'`)
		for _, door := range []string{"/v1/calls", "/v1/enquiries", "/v1/scorecards/card_x/agreement", "/v1/reports/roi", "/v1/reports/momentum"} {
			for text, want := range map[string]string{
				"yesterday":            "must be a date such as 2026-01-31 or an instant such as 2026-01-31T09:00:00Z",
				"2026-13-01":           "must be a date such as 2026-01-31 or an instant such as 2026-01-31T09:00:00Z",
				"0001-01-01":           "must lie in the years 1900 to 2999",
				"9999-12-31T00:00:00Z": "must lie in the years 1900 to 2999",
			} {
				if got := l.ask(owner, "GET", door+"?from="+text, "").is(422).Body.String(); !strings.Contains(got, want) {
					t.Errorf("%s from %s: got %s, want %q", door, text, got, want)
				}
			}
		}
		l.ask(owner, "GET", "/v1/calls?nonsense=1", "").is(422)

		table := l.ask(owner, "GET", "/v1/calls", "", "Accept", "text/csv").is(200)
		lines := strings.Split(strings.TrimSpace(table.Body.String()), "\n")
		if len(lines) != 61 || !strings.HasPrefix(lines[0], "id,") || !strings.HasPrefix(table.Header().Get("Content-Type"), "text/csv") {
			t.Errorf("CSV: %d lines, %s", len(lines), lines[0])
		}
		if page := l.ask(owner, "GET", "/v1/calls?limit=5&fields=id,outcome", "", "Accept", "text/csv").is(200).Body.String(); strings.Count(page, "\n") != 6 || !strings.HasPrefix(page, "id,outcome\r\n") {
			t.Errorf("a page as CSV: %s", page)
		}
		stream := l.ask(owner, "GET", "/v1/calls", "", "Accept", "application/x-ndjson").is(200)
		if got := strings.Count(stream.Body.String(), "\n"); got != 60 {
			t.Errorf("NDJSON: got %d lines", got)
		}
		if got := l.ask(l.stranger, "GET", "/v1/calls", "").is(200).json()["items"].([]any); len(got) != 0 {
			t.Errorf("another account sees %d calls", len(got))
		}
	})
}

func TestARecordingIsPlayedThroughUsAndDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		id := l.tell(l.board, "CA1", "+12125550143", telephony.Completed, noon)
		agent := l.tokens[account.Agent]
		l.ask(agent, "GET", "/v1/calls/"+id+"/recording", "").is(404)
		l.run(`INSERT INTO recordings (account_id, recording_id, call_id, provider, provider_ref, kind, state, media_url, media_path, media_type, kept_at)
			VALUES (?, 'rec_1', ?, 'twilio', 'RE1', 'call', 'kept', 'https://api.provider.example/RE1', 'sound.wav', 'audio/wav', 1)`, l.account.ID, id)
		if err := os.WriteFile(filepath.Join(l.dir, "sound.wav"), []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := "/v1/calls/" + id + "/recording"
		whole := l.ask(agent, "GET", path, "").is(200)
		if whole.Body.String() != "0123456789" || whole.Header().Get("Content-Type") != "audio/wav" || whole.Header().Get("Accept-Ranges") != "bytes" {
			t.Errorf("got %q, %v", whole.Body.String(), whole.Header())
		}
		part := l.ask(agent, "GET", path, "", "Range", "bytes=3-5").is(206)
		if part.Body.String() != "345" || part.Header().Get("Content-Range") != "bytes 3-5/10" {
			t.Errorf("part: got %q, %v", part.Body.String(), part.Header())
		}
		beyond := l.ask(agent, "GET", path, "", "Range", "bytes=90-").is(416)
		if p := beyond.json(); p["type"] != "range-not-satisfiable" || p["request_id"] == nil || beyond.Header().Get("Content-Type") != "application/problem+json" ||
			beyond.Header().Get("Content-Range") != "bytes */10" {
			t.Errorf("beyond the end: got %s, %v", beyond.Body, beyond.Header())
		}
		l.ask(l.stranger, "GET", path, "").is(404)
		l.ask(l.stranger, "DELETE", path, "").is(404)
		call := l.ask(agent, "GET", "/v1/calls/"+id, "").is(200)
		if r := call.json()["recording"].(map[string]any); r["url"] != path || r["state"] != "kept" || strings.Contains(call.Body.String(), "provider.example") {
			t.Errorf("recording: got %v", r)
		}
		l.ask(agent, "DELETE", path, "").is(204)
		l.ask(agent, "GET", path, "").is(404)
		if r := l.ask(agent, "GET", "/v1/calls/"+id, "").is(200).json()["recording"].(map[string]any); r["url"] != nil || r["state"] != "deleted" {
			t.Errorf("deleted: got %v", r)
		}
		if _, err := os.Stat(filepath.Join(l.dir, "sound.wav")); !os.IsNotExist(err) {
			t.Errorf("the file is still there: %v", err)
		}
	})
}

// reader reads server-sent events.
type reader struct {
	t     *testing.T
	lines *bufio.Scanner
}

// next returns the name and the data of the next event.
func (r reader) next() (name, data string) {
	r.t.Helper()
	for r.lines.Scan() {
		switch text := r.lines.Text(); {
		case strings.HasPrefix(text, "event: "):
			name = strings.TrimPrefix(text, "event: ")
		case strings.HasPrefix(text, "data: "):
			return name, strings.TrimPrefix(text, "data: ")
		}
	}
	r.t.Fatalf("the stream ended: %v", r.lines.Err())
	return "", ""
}

func TestCallsAreSeenLiveFromEveryReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		other := telephony.NewSwitchboard(db, telephony.Config{PublicURL: "http://callwheel.example"}, telephony.Deps{})
		t.Cleanup(func() { other.Close() })
		server := httptest.NewServer(l.server.Public())
		t.Cleanup(server.Close)
		old := l.tell(l.board, "CA0", "+12125550143", telephony.NoAnswer, noon)

		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		t.Cleanup(cancel)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/live", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+l.tokens[account.Marketer])
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || got != "text/event-stream" {
			t.Fatalf("got %d, %s", response.StatusCode, got)
		}
		r := reader{t: t, lines: bufio.NewScanner(response.Body)}
		r.lines.Scan() // the first comment: the stream is listening

		now := time.Now()
		here := l.tell(l.board, "CA1", "+12125550143", telephony.Ringing, now)
		if name, data := r.next(); name != "ring" || !strings.Contains(data, here) || strings.Contains(data, "2125550143") {
			t.Errorf("here: got %s %s", name, data)
		}
		there := l.tell(other, "CA2", "+12125550144", telephony.Ringing, now)
		if name, data := r.next(); name != "ring" || !strings.Contains(data, there) {
			t.Errorf("at another replica: got %s %s", name, data)
		}
		l.tell(other, "CA1", "+12125550143", telephony.NoAnswer, now.Add(time.Second))
		if name, data := r.next(); name != "end" || !strings.Contains(data, here) || strings.Contains(data, old) {
			t.Errorf("end: got %s %s", name, data)
		}
		l.server.EndStreams()
		for r.lines.Scan() { // ends by itself
		}
		if ctx.Err() != nil {
			t.Error("the stream did not end with the server")
		}
	})
}
