package loopback_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	v2010 "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/callwheel/callwheel/telephony/loopback"
)

// api is the REST API on a socket, with the calls of a client.
type api struct {
	t      *testing.T
	server *httptest.Server
}

func newAPI(t *testing.T, n *loopback.Network) api {
	t.Helper()
	server := httptest.NewServer(n.REST())
	t.Cleanup(server.Close)
	return api{t, server}
}

// do returns status and the decoded body (nil when it is not JSON).
func (a api) do(method, path string, form url.Values) (int, map[string]any) {
	a.t.Helper()
	resp, body := a.raw(method, path, form)
	var decoded map[string]any
	_ = json.Unmarshal(body, &decoded)
	return resp.StatusCode, decoded
}

func (a api) raw(method, path string, form url.Values) (*http.Response, []byte) {
	a.t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/2010-04-01/Accounts/" + account + "/" + path
	}
	req, err := http.NewRequest(method, a.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(account, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp, body
}

func TestNumbersAreSearchedBoughtChangedAndReleased(t *testing.T) {
	_, n := newOffice(t, nil)
	a := newAPI(t, n)

	_, found := a.do("GET", "AvailablePhoneNumbers/US/Local.json?AreaCode=303&PageSize=3", nil)
	offers := found["available_phone_numbers"].([]any)
	if len(offers) != 3 {
		t.Fatalf("%d offers, want 3", len(offers))
	}
	number := offers[1].(map[string]any)["phone_number"].(string)
	if !strings.HasPrefix(number, "+1303555") {
		t.Errorf("offered %s for area 303", number)
	}

	status, bought := a.do("POST", "IncomingPhoneNumbers.json", url.Values{"PhoneNumber": {number}, "VoiceUrl": {base + "/v/in"}, "StatusCallback": {base + "/cb/number"}})
	sid, _ := bought["sid"].(string)
	if status != 201 || !strings.HasPrefix(sid, "PN") || bought["voice_url"] != base+"/v/in" {
		t.Fatalf("bought with %d: %v", status, bought)
	}
	if status, again := a.do("POST", "IncomingPhoneNumbers.json", url.Values{"PhoneNumber": {number}}); status != 400 || again["code"] != float64(21422) {
		t.Errorf("bought twice with %d: %v", status, again)
	}
	if status, bad := a.do("POST", "IncomingPhoneNumbers.json", url.Values{"PhoneNumber": {"555"}}); status != 400 || bad["code"] != float64(21421) {
		t.Errorf("bought nonsense with %d: %v", status, bad)
	}

	s := script()
	s.To = number
	placed := n.Call(s)
	finish(t, n)
	if len(placed.Documents)+len(placed.Warnings) == 0 {
		t.Error("a call to the bought number asked nobody")
	}

	_, listed := a.do("GET", "IncomingPhoneNumbers.json?PhoneNumber="+url.QueryEscape(number), nil)
	if got := len(listed["incoming_phone_numbers"].([]any)); got != 1 {
		t.Errorf("%d numbers by that filter, want 1", got)
	}
	if _, changed := a.do("POST", "IncomingPhoneNumbers/"+sid+".json", url.Values{"VoiceFallbackUrl": {base + "/v/f"}}); changed["voice_fallback_url"] != base+"/v/f" || changed["voice_url"] != base+"/v/in" {
		t.Errorf("changed to %v", changed)
	}
	if status, _ := a.do("DELETE", "IncomingPhoneNumbers/"+sid+".json", nil); status != 204 {
		t.Errorf("released with %d", status)
	}
	if status, gone := a.do("GET", "IncomingPhoneNumbers/"+sid+".json", nil); status != 404 || gone["code"] != float64(20404) {
		t.Errorf("after release: %d %v", status, gone)
	}
}

func TestANumberThatSomebodyElseTookIsOfferedButCannotBeBought(t *testing.T) {
	_, n := newOffice(t, nil)
	a := newAPI(t, n)
	n.Take("+13035550100")
	_, found := a.do("GET", "AvailablePhoneNumbers/US/Local.json?Contains=3035550100", nil)
	if got := len(found["available_phone_numbers"].([]any)); got != 1 {
		t.Errorf("%d offers, want the one", got)
	}
	if _, refused := a.do("POST", "IncomingPhoneNumbers.json", url.Values{"PhoneNumber": {"+13035550100"}}); refused["code"] != float64(21422) {
		t.Errorf("bought: %v", refused)
	}
}

func TestTheCallListKnowsTheTruthAndIsPaged(t *testing.T) {
	o, n := newOffice(t, func(c *loopback.Config) { c.Chaos.Drop = 1 })
	o.answers = scenarios[2].answers
	s := script()
	scenarios[2].script(&s)
	placed := n.Call(s)
	finish(t, n)
	a := newAPI(t, n)

	_, one := a.do("GET", "Calls/"+placed.SID+".json", nil)
	if one["status"] != "completed" || one["duration"] != "60" || one["start_time"] != "Tue, 06 Oct 2026 14:00:00 +0000" || one["parent_call_sid"] != nil {
		t.Errorf("the call is listed as %v", one)
	}
	_, legs := a.do("GET", "Calls.json?ParentCallSid="+placed.SID, nil)
	rows := legs["calls"].([]any)
	if len(rows) != 2 || rows[1].(map[string]any)["status"] != "busy" || rows[1].(map[string]any)["duration"] != nil {
		t.Errorf("legs are listed as %v", rows)
	}

	path, seen := "Calls.json?PageSize=2", 0
	for path != "" {
		_, page := a.do("GET", path, nil)
		seen += len(page["calls"].([]any))
		path, _ = page["next_page_uri"].(string)
	}
	if seen != 3 {
		t.Errorf("%d rows over all pages, want 3", seen)
	}
	for query, want := range map[string]int{
		"StartTime%3E=2026-10-06": 3, "StartTime%3C=2026-10-05": 0, "StartTime=2026-10-06": 3,
		"StartTime%3E=2026-10-06T14:00:02Z": 1, "Status=busy": 1, "To=" + url.QueryEscape(agent2): 1,
	} {
		if _, page := a.do("GET", "Calls.json?"+query, nil); len(page["calls"].([]any)) != want {
			t.Errorf("%s: %d rows, want %d", query, len(page["calls"].([]any)), want)
		}
	}
}

func TestANewCallIsMissingFromTheListForAWhile(t *testing.T) {
	o, n := newOffice(t, func(c *loopback.Config) { c.ListLag = 10 * time.Second })
	o.answers["/v/in"] = dialOne(``, ``)
	n.Call(script())
	a := newAPI(t, n)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{5 * time.Second, 0}, {10 * time.Second, 1}, {15 * time.Second, 2}} {
		if err := n.Run(t.Context(), noon.Add(step.after)); err != nil {
			t.Fatal(err)
		}
		if _, page := a.do("GET", "Calls.json", nil); len(page["calls"].([]any)) != step.want {
			t.Errorf("after %v: %d rows, want %d", step.after, len(page["calls"].([]any)), step.want)
		}
	}
}

func TestACallIsEndedThroughREST(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers["/v/in"] = dialOne(`answerOnBridge="true"`, ``)
	o.answers["/v/after"] = ``
	s := script()
	s.Phone = phones(map[string]loopback.Phone{agent1: {Answers: true, After: time.Second, Talk: time.Hour}})
	placed := n.Call(s)
	if err := n.Run(t.Context(), noon.Add(30*time.Second)); err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, n)
	if status, _ := a.do("POST", "Calls/"+placed.SID+".json", url.Values{"Status": {"completed"}}); status != 200 {
		t.Fatalf("ended with %d", status)
	}
	finish(t, n)
	if left := o.clock.Now().Sub(noon); left > 5*time.Minute {
		t.Errorf("the clock went on to %v for a conversation that was over", left)
	}
	if placed.TalkSeconds != 27 || placed.Status != "completed" {
		t.Errorf("talked %d s, status %s; want 27, completed", placed.TalkSeconds, placed.Status)
	}
	if status, body := a.do("POST", "Calls/"+placed.SID+".json", url.Values{"Status": {"completed"}}); status != 400 || body["code"] != float64(21220) {
		t.Errorf("ended twice with %d %v", status, body)
	}
}

func TestRecordingsAreListedPlayedAndDeleted(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers = scenarios[0].answers
	s := script()
	scenarios[0].script(&s)
	placed := n.Call(s)
	finish(t, n)
	a := newAPI(t, n)
	sid := placed.Recordings[0]

	_, row := a.do("GET", "Recordings/"+sid+".json", nil)
	if row["duration"] != "122" || row["channels"] != float64(2) || row["call_sid"] != placed.SID {
		t.Errorf("recording is %v", row)
	}
	for suffix, want := range map[string]string{"": "RIFF", ".wav": "RIFF", ".mp3": "\xff\xfb\x90\x00"} {
		resp, media := a.raw("GET", "Recordings/"+sid+suffix, nil)
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(media), want) || int64(len(media)) != resp.ContentLength {
			t.Errorf("media %q: %d, %d bytes", suffix, resp.StatusCode, len(media))
		}
		if want == "RIFF" && media[22] != 2 {
			t.Errorf("the WAV has %d channels, want 2", media[22])
		}
	}
	if status, _ := a.do("DELETE", "Recordings/"+sid+".json", nil); status != 204 {
		t.Errorf("deleted with %d", status)
	}
	if resp, _ := a.raw("GET", "Recordings/"+sid+".wav", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("media after deletion: %d", resp.StatusCode)
	}
}

func TestFaultsSpoilTheRequestsTheyMatch(t *testing.T) {
	_, n := newOffice(t, nil)
	a := newAPI(t, n)
	n.Fault(loopback.Fault{Kind: loopback.TooMany, Path: "Calls", RetryAfter: 7 * time.Second})
	n.Fault(loopback.Fault{Kind: loopback.ServerError, Method: "POST", Path: "IncomingPhoneNumbers"})

	if status, _ := a.do("GET", "IncomingPhoneNumbers.json", nil); status != 200 {
		t.Errorf("a request that no fault matches got %d", status)
	}
	resp, body := a.raw("GET", "Calls.json", nil)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "7" || !strings.Contains(string(body), "20429") {
		t.Errorf("429 came as %d %s", resp.StatusCode, body)
	}
	if status, _ := a.do("GET", "Calls.json", nil); status != 200 {
		t.Errorf("the fault was for one request only, the second got %d", status)
	}
	form := url.Values{"PhoneNumber": {"+13035550105"}}
	if resp, body := a.raw("POST", "IncomingPhoneNumbers.json", form); resp.StatusCode != http.StatusInternalServerError || !strings.HasPrefix(string(body), "<html") {
		t.Errorf("500 came as %d %s", resp.StatusCode, body)
	}
	if status, _ := a.do("POST", "IncomingPhoneNumbers.json", form); status != 201 {
		t.Errorf("nothing was done by the failed purchase, and yet the second got %d", status)
	}
}

func TestAHalfDonePurchaseOwnsTheNumber(t *testing.T) {
	_, n := newOffice(t, nil)
	a := newAPI(t, n)
	n.Fault(loopback.Fault{Kind: loopback.CutAfter, Method: "POST"})
	form := url.Values{"PhoneNumber": {"+13035550106"}}
	req, err := http.NewRequest(http.MethodPost, a.server.URL+"/2010-04-01/Accounts/"+account+"/IncomingPhoneNumbers.json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(account, token)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Fatalf("got an answer with status %d", resp.StatusCode)
	}
	_, listed := a.do("GET", "IncomingPhoneNumbers.json?PhoneNumber=%2B13035550106", nil)
	if got := len(listed["incoming_phone_numbers"].([]any)); got != 1 {
		t.Errorf("%d such numbers, want 1: it was bought", got)
	}
}

func TestCredentialsAreChecked(t *testing.T) {
	_, n := newOffice(t, nil)
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/2010-04-01/Accounts/"+account+"/Calls.json", nil)
	req.SetBasicAuth(account, "wrong")
	n.REST().ServeHTTP(w, req)
	if w.Code != 401 || !strings.Contains(w.Body.String(), "20003") {
		t.Errorf("wrong token got %d %s", w.Code, w.Body)
	}
}

// toServer leads the client's requests to a local server.
type toServer struct{ host string }

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host = "http", s.host
	return http.DefaultTransport.RoundTrip(r)
}

func TestTheOfficialClientUnderstandsTheAnswers(t *testing.T) {
	o, n := newOffice(t, nil)
	o.answers = scenarios[0].answers
	s := script()
	scenarios[0].script(&s)
	placed := n.Call(s)
	finish(t, n)
	a := newAPI(t, n)
	base := &client.Client{
		Credentials: client.NewCredentials(account, token),
		HTTPClient:  &http.Client{Transport: toServer{strings.TrimPrefix(a.server.URL, "http://")}},
	}
	base.SetAccountSid(account)
	service := v2010.NewApiServiceWithClient(base)

	offers, err := service.ListAvailablePhoneNumberLocal("US", (&v2010.ListAvailablePhoneNumberLocalParams{}).SetAreaCode(415).SetLimit(2))
	if err != nil || len(offers) != 2 || !offers[0].Capabilities.Voice {
		t.Fatalf("search: %v %v", offers, err)
	}
	number, err := service.CreateIncomingPhoneNumber((&v2010.CreateIncomingPhoneNumberParams{}).SetPhoneNumber(*offers[0].PhoneNumber).SetVoiceUrl("https://calls.example.com/v"))
	if err != nil || *number.VoiceUrl != "https://calls.example.com/v" {
		t.Fatalf("buy: %v", err)
	}
	if _, err := service.UpdateIncomingPhoneNumber(*number.Sid, (&v2010.UpdateIncomingPhoneNumberParams{}).SetStatusCallback("https://calls.example.com/s")); err != nil {
		t.Errorf("update: %v", err)
	}
	if err := service.DeleteIncomingPhoneNumber(*number.Sid, nil); err != nil {
		t.Errorf("release: %v", err)
	}
	calls, err := service.ListCall((&v2010.ListCallParams{}).SetPageSize(1))
	if err != nil || len(calls) != 2 {
		t.Fatalf("calls: %d %v", len(calls), err)
	}
	if call, err := service.FetchCall(placed.SID, nil); err != nil || *call.Duration != "126" {
		t.Errorf("call: %v", err)
	}
	recordings, err := service.ListRecording((&v2010.ListRecordingParams{}).SetCallSid(placed.SID))
	if err != nil || len(recordings) != 1 || *recordings[0].Channels != 2 {
		t.Errorf("recordings: %v %v", recordings, err)
	}
	if err := service.DeleteRecording(placed.Recordings[0], nil); err != nil {
		t.Errorf("delete recording: %v", err)
	}
}
