package api_test

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestStrictDecoding(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		for _, tt := range []struct {
			name   string
			body   string
			status int
			field  string // that the problem names
		}{
			{"an object", `{"name":"good"}`, 200, ""},
			{"white space around it", " \n{\"name\":\"good\"}\t ", 200, ""},
			{"an astral character as a pair", `{"name":"\ud83d\ude00 good"}`, 200, ""},
			{"an escaped backslash before u0000", `{"name":"good \\u0000"}`, 200, ""},
			{"cut", `{"name":"goo`, 400, ""},
			{"something behind it", `{"name":"good"} x`, 400, ""},
			{"a second object", `{"name":"good"}{"name":"bad"}`, 400, ""},
			{"a key twice", `{"name":"good","name":"bad"}`, 400, ""},
			{"a key twice, once escaped", `{"name":"good","n\u0061me":"bad"}`, 400, ""},
			{"a byte order mark", "\ufeff{\"name\":\"good\"}", 400, ""},
			{"null", `null`, 400, ""},
			{"an array", `[{"name":"good"}]`, 400, ""},
			{"a text", `"name"`, 400, ""},
			{"NaN", `{"margin_rate":NaN}`, 400, ""},
			{"a trailing comma", `{"name":"good",}`, 400, ""},
			{"single quotes", `{'name':'good'}`, 400, ""},
			{"a comment", `{"name":"good"/*x*/}`, 400, ""},
			{"a raw NUL", "{\"name\":\"a\x00b\"}", 400, ""},
			{"an escaped NUL", `{"name":"a\u0000b"}`, 400, ""},
			{"broken UTF-8", "{\"name\":\"a\xff\"}", 400, ""},
			{"half a surrogate pair", `{"name":"a\ud83d"}`, 400, ""},
			{"the wrong half", `{"name":"a\ude00"}`, 400, ""},
			{"two first halves", `{"name":"a\ud83d\ud83d"}`, 400, ""},
			{"a first half and another escape", `{"name":"a\ud83d\n1234"}`, 400, ""},
			{"a broken escape", `{"name":"a\u12"}`, 400, ""},
			{"nested too deeply", `{"name":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, 400, ""},
			{"too large", `{"name":"` + strings.Repeat("x", 300<<10) + `"}`, 413, ""},
			{"an unknown field", `{"nme":"good"}`, 422, "nme"},
			{"a field in the wrong case", `{"Name":"good"}`, 422, "Name"},
			{"somebody else's account", `{"account_id":"acct_x"}`, 422, "account_id"},
			{"a number for a text", `{"name":7}`, 422, "name"},
			{"null for a text", `{"name":null}`, 422, "name"},
			{"a text for a number", `{"journal_retention_days":"30"}`, 422, "journal_retention_days"},
			{"a fraction for a whole number", `{"journal_retention_days":30.5}`, 422, "journal_retention_days"},
			{"a number beyond all bounds", `{"journal_retention_days":99999999999999999999}`, 422, "journal_retention_days"},
			{"a value that is not on the list", `{"recording_policy":"never"}`, 422, "recording_policy"},
			{"a rate above one", `{"margin_rate":1.01}`, 422, "margin_rate"},
			{"letters as a phone number", `{"destination":"call me"}`, 422, "destination"},
			{"an emergency-length number", `{"destination":"+1911"}`, 422, "destination"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				h := h.in(t)
				before := h.ask(h.tokens[account.Owner], "GET", "/v1/account", "").is(200).Body.String()
				a := h.ask(h.tokens[account.Owner], "PATCH", "/v1/account", tt.body).is(tt.status)
				after := h.ask(h.tokens[account.Owner], "GET", "/v1/account", "").is(200).Body.String()
				if tt.status >= 400 && before != after {
					t.Errorf("a refused request changed something: %s", after)
				}
				if tt.field != "" && !slices.Contains(a.fields(), tt.field) {
					t.Errorf("fields: got %v, want %s", a.fields(), tt.field)
				}
			})
		}
	})
}

func TestAProblemNeverRepeatsWhatWasSent(t *testing.T) {
	h := open(t, storetestSQLite(t))
	const secret = "hunter2-hunter2"
	for _, body := range []string{
		`{"email":"a@b.example","name":"x","role":"agent","password":["` + secret + `"]}`,
		`{"email":"` + secret + `","name":"x","role":"` + secret + `","password":"` + secret + `"}`,
		`{"email":{"` + secret + `":1}}`,
	} {
		a := h.ask(h.tokens[account.Owner], "POST", "/v1/users", body).is(422)
		if strings.Contains(a.Body.String(), secret) {
			t.Errorf("the answer repeats the value: %s", a.Body)
		}
	}
}

func TestOnlyJSONInUTF8IsRead(t *testing.T) {
	h := open(t, storetestSQLite(t))
	for _, tt := range []struct {
		header, value string
		status        int
	}{
		{"Content-Type", "application/json; charset=utf-8", 200},
		{"Content-Type", "application/json; charset=UTF-8", 200},
		{"Content-Type", "application/json; charset=utf-16", 415},
		{"Content-Type", "text/plain", 415},
		{"Content-Type", "application/x-www-form-urlencoded", 415},
		{"Content-Type", "text/csv", 415},
		{"Content-Type", "application/merge-patch+json", 415},
		{"Content-Type", "", 415},
		{"Content-Encoding", "gzip", 415},
	} {
		a := h.ask(h.tokens[account.Owner], "PATCH", "/v1/account", `{"name":"good"}`, tt.header, tt.value)
		if a.Code != tt.status {
			t.Errorf("%s %q: got %d, want %d", tt.header, tt.value, a.Code, tt.status)
		}
	}
	h.ask(h.tokens[account.Owner], "PATCH", "/v1/account", "").is(400)
}

func TestACursorIsGoodForItsAccountAndItsListOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		seen := map[string]bool{}
		target, first := "/v1/tokens?limit=4", ""
		for pages := 0; target != ""; pages++ {
			body := h.ask(owner, "GET", target, "").is(200).json()
			for _, item := range body["items"].([]any) {
				id := item.(map[string]any)["id"].(string)
				if seen[id] {
					t.Errorf("%s came twice", id)
				}
				seen[id] = true
			}
			h.newToken(h.account.ID, account.Agent) // rows arrive while somebody pages
			next, more := body["next_cursor"].(string)
			if target = ""; more && pages < 2 {
				target = "/v1/tokens?limit=4&cursor=" + next
				if first == "" {
					first = next
				}
			}
		}
		if len(seen) < len(account.Roles()) {
			t.Errorf("saw %d tokens, want at least %d", len(seen), len(account.Roles()))
		}
		for name, ask := range map[string][2]string{
			"another account":  {h.stranger, "/v1/tokens?cursor=" + first},
			"another list":     {owner, "/v1/users?cursor=" + first},
			"one letter off":   {owner, "/v1/tokens?cursor=" + flip(first)},
			"cut":              {owner, "/v1/tokens?cursor=" + first[:len(first)-3]},
			"cut to nothing":   {owner, "/v1/tokens?cursor=x"},
			"not base 64":      {owner, "/v1/tokens?cursor=%21%21"},
			"something behind": {owner, "/v1/tokens?cursor=" + first + "AAAA"},
		} {
			if got := h.ask(ask[0], "GET", ask[1], "").is(400).json()["type"]; got != "bad-cursor" {
				t.Errorf("%s: type %v", name, got)
			}
		}
	})
}

func flip(s string) string {
	b := []byte(s)
	if b[5] == 'A' {
		b[5] = 'B'
	} else {
		b[5] = 'A'
	}
	return string(b)
}

func TestAnIdempotencyKeyDoesTheWorkOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		const body = `{"name":"once","role":"agent"}`
		first := h.ask(owner, "POST", "/v1/tokens", body, "Idempotency-Key", "k1").is(201)
		again := h.ask(owner, "POST", "/v1/tokens", body, "Idempotency-Key", "k1").is(201)
		if first.Body.String() != again.Body.String() || again.Header().Get("Location") != first.Header().Get("Location") || again.Header().Get("Content-Type") != first.Header().Get("Content-Type") {
			t.Errorf("the second answer differs: %s and %s", first.Body, again.Body)
		}
		if again.Header().Get("Idempotent-Replayed") != "true" {
			t.Error("the second answer does not say that it is one")
		}
		h.ask(owner, "POST", "/v1/tokens", `{"name":"other","role":"agent"}`, "Idempotency-Key", "k1").is(422)
		h.ask(h.tokens[account.Admin], "POST", "/v1/tokens", body, "Idempotency-Key", "k1").is(422)
		h.ask(h.stranger, "POST", "/v1/tokens", body, "Idempotency-Key", "k1").is(201)
		h.ask(owner, "POST", "/v1/tokens", body, "Idempotency-Key", strings.Repeat("k", 10_000)).is(400)
		h.ask(owner, "POST", "/v1/tokens", body, "Idempotency-Key", "with space").is(400)

		h.ask(owner, "POST", "/v1/tokens", `{"name":"","role":"agent"}`, "Idempotency-Key", "k2").is(422)
		h.ask(owner, "POST", "/v1/tokens", `{"name":"mended","role":"agent"}`, "Idempotency-Key", "k2").is(201)

		before := h.count(owner, "/v1/tokens?limit=500")
		var wg sync.WaitGroup
		codes := make([]int, 12)
		for i := range codes {
			wg.Go(func() {
				codes[i] = h.ask(owner, "POST", "/v1/tokens", body, "Idempotency-Key", "k3").Code
			})
		}
		wg.Wait()
		for _, code := range codes {
			if code != 201 && code != 409 {
				t.Errorf("statuses: %v", codes)
			}
		}
		if !slices.Contains(codes, 201) || h.count(owner, "/v1/tokens?limit=500") != before+1 {
			t.Errorf("twelve at once made %d tokens: %v", h.count(owner, "/v1/tokens?limit=500")-before, codes)
		}
	})
}

func (h *house) count(token, target string) int {
	h.t.Helper()
	return len(h.ask(token, "GET", target, "").is(200).json()["items"].([]any))
}

func TestFieldsSelectAndFormsAgree(t *testing.T) {
	h := open(t, storetestSQLite(t))
	owner := h.tokens[account.Owner]
	h.ask(owner, "POST", "/v1/tokens", `{"name":"=cmd|' /C calc'!A0","role":"agent"}`).is(201)

	one := h.ask(owner, "GET", "/v1/account?fields=name,tz", "").is(200)
	if got, want := one.Body.String(), `{"name":"Plumb & Sons","tz":"America/New_York"}`; got != want {
		t.Errorf("selected: got %s, want %s", got, want)
	}
	list := h.ask(owner, "GET", "/v1/tokens?fields=name,role&limit=2", "").is(200).json()
	if item := list["items"].([]any)[0].(map[string]any); len(item) != 2 || item["role"] != "owner" || list["next_cursor"] == nil {
		t.Errorf("selected list: %v", list)
	}

	sheet := h.ask(owner, "GET", "/v1/tokens", "", "Accept", "text/csv").is(200)
	if got := sheet.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
		t.Errorf("Content-Type: got %q", got)
	}
	rows, err := csv.NewReader(sheet.Body).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"id", "name", "prefix", "role"}; !slices.Equal(rows[0][:4], want) {
		t.Errorf("header: got %v, want %v…", rows[0], want)
	}
	if last := rows[len(rows)-1]; last[1] != "'=cmd|' /C calc'!A0" {
		t.Errorf("a formula came through as %q", last[1])
	}
	empty := h.ask(h.stranger, "GET", "/v1/users", "", "Accept", "text/csv").is(200)
	if got := empty.Body.String(); !strings.HasPrefix(got, "id,email,name,role,agent_id") {
		t.Errorf("an empty list has no header: %q", got)
	}
	next := h.ask(owner, "GET", "/v1/tokens?limit=2", "", "Accept", "text/csv").is(200).Header().Get("Link")
	target, ok := strings.CutSuffix(strings.TrimPrefix(next, "<"), `>; rel="next"`)
	if !ok {
		t.Fatalf("Link: got %q", next)
	}
	h.ask(owner, "GET", target, "", "Accept", "text/csv").is(200)

	lines := h.ask(owner, "GET", "/v1/tokens?fields=name", "", "Accept", "application/x-ndjson").is(200)
	if got := strings.Split(lines.Body.String(), "\n")[0]; got != `{"name":"owner"}` {
		t.Errorf("first line: got %q", got)
	}
	if n := strings.Count(lines.Body.String(), "\n"); n != len(rows)-1 {
		t.Errorf("%d lines, %d rows", n, len(rows)-1)
	}
}

func TestTheLogAndTheMetricsHoldNoPathNoQueryAndNoSecret(t *testing.T) {
	var log strings.Builder
	h := open(t, storetestSQLite(t), logTo(&log))
	h.ask(h.tokens[account.Owner], "GET", "/v1/users/+13125550171?fields=id", "")
	h.ask(h.tokens[account.Owner], "GET", "/v1/nothing/+13125550171", "")
	h.ask("cw_made-up-token", "GET", "/v1/users?cursor=+13125550171", "")
	w := httptest.NewRecorder()
	h.server.Ops().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), `callwheel_api_requests_total{code="404",method="GET",route="/v1/users/:id"} 1`) {
		t.Errorf("metrics: %s", w.Body)
	}
	for _, text := range []string{log.String(), w.Body.String()} {
		for _, hidden := range []string{"5550171", "made-up", h.tokens[account.Owner], "fields="} {
			if strings.Contains(text, hidden) {
				t.Errorf("%q got out: %s", hidden, text)
			}
		}
	}
	if !strings.Contains(log.String(), "/v1/users/:id") {
		t.Errorf("log: %s", log.String())
	}
}

func TestReadiness(t *testing.T) {
	h := open(t, storetestSQLite(t))
	for _, path := range []string{"/livez", "/readyz/voice", "/readyz/api"} {
		w := httptest.NewRecorder()
		h.server.Ops().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 200 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
	h.ask("", "GET", "/metrics", "").is(404)
	h.ask("", "GET", "/debug/pprof/", "").is(404)
}
