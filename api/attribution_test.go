package api_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

const shop = "https://shop.example"

// website is a site of the house with a pool of two numbers.
type website struct {
	*house
	db     *store.DB
	ledger *attribution.Ledger
	key    string
	pool   string
}

func openWebsite(t *testing.T, db *store.DB) website {
	t.Helper()
	w := website{db: db}
	w.house = open(t, db, func(d *api.Deps) { w.ledger = d.Ledger })
	owner := w.tokens[account.Owner]
	w.pool = w.ask(owner, "POST", "/v1/pools", `{"name":"Web","destination":"+13125550171"}`).is(201).json()["id"].(string)
	for _, n := range []string{"+13125550172", "+13125550173"} {
		w.ask(owner, "POST", "/v1/numbers", `{"number":"`+n+`","pool_id":"`+w.pool+`"}`).is(201)
	}
	w.key = w.ask(owner, "POST", "/v1/sites", `{"name":"Shop","origins":["`+shop+`"],"pool_id":"`+w.pool+`","swap":["+13125550100"]}`).is(201).json()["key"].(string)
	return w
}

func (w website) page(body string, headers ...string) answer {
	w.t.Helper()
	return w.ask("", "POST", "/dni/v1/"+w.key+"/visits", body, append([]string{"Origin", shop}, headers...)...)
}

const landing = `{"visitor":"","session":"","page":"https://shop.example/?utm_source=google&utm_medium=cpc&utm_campaign=Spring&gclid=Cj0","referrer":"https://www.google.com/","numbers":["+13125550100"],"consent":null}`

func TestAPageIsLentANumberAndTheCallToItIsExplained(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		a := w.page(landing).is(200)
		if got := a.Header().Get("Access-Control-Allow-Origin"); got != shop || a.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("got origin %q, want the page's and no credentials", got)
		}
		body := a.json()
		swap := body["swap"].(map[string]any)["+13125550100"].(map[string]any)
		if body["reason"] != "leased" || swap["e164"] != "+13125550172" || swap["national"] != "(312) 555-0172" {
			t.Errorf("got %v", body)
		}
		lease := body["lease"].(map[string]any)
		until, err := time.Parse(time.RFC3339Nano, lease["until"].(string))
		if err != nil || time.Until(until) < 50*time.Second || time.Until(until) > 2*time.Minute || lease["beat_seconds"] != json.Number("30") {
			t.Errorf("got lease %v", lease)
		}
		if !strings.HasPrefix(body["visitor"].(string), "vis_") || !strings.HasPrefix(body["session"].(string), "ses_") {
			t.Errorf("got ids %v %v", body["visitor"], body["session"])
		}

		call := telephony.Call{AccountID: w.account.ID, ID: callwheel.NewID("call"), Direction: telephony.Inbound, TrackingNumber: "+13125550172", StartedAt: time.Now()}
		if source, err := w.ledger.Attribute(context.Background(), call); err != nil || source != "google" {
			t.Fatalf("got %q, %v, want google", source, err)
		}
		path := "/v1/calls/" + call.ID + "/attribution"
		e := w.ask(w.tokens[account.ReadOnly], "GET", path, "").is(200).json()
		if e["verdict"] != "winner" || e["method"] != "lease" || e["model_version"] != attribution.ModelVersion || e["rule"] != "click_id:gclid/1" || e["lease"] == nil {
			t.Errorf("got %v", e)
		}
		c := e["candidates"].([]any)[0].(map[string]any)
		if c["visitor_id"] != body["visitor"] || c["source"] != "google" || c["medium"] != "cpc" || c["campaign"] != "Spring" || c["weight"] != json.Number("0.999666777") {
			t.Errorf("got candidate %v", c)
		}
		if rest := e["untracked"].(map[string]any)["weight"]; rest != json.Number("0.000333223") {
			t.Errorf("got %v untracked, want what is left of 1", rest)
		}
		theirs := w.ask(w.stranger, "GET", path, "").is(404).Body.String()
		if nobodys := w.ask(w.stranger, "GET", "/v1/calls/call_none/attribution", "").is(404).Body.String(); theirs != nobodys {
			t.Errorf("another account's call answers %s, one that does not exist %s", theirs, nobodys)
		}
	})
}

func TestBeatsAreTakenFromPagesThatAreOpenAndThatAreLeft(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		session := w.page(landing).is(200).json()["session"].(string)
		for name, c := range map[string]struct{ contentType, body string }{
			"counts":  {"application/json", `{"session":"` + session + `","swapped":1,"found":2,"failed":[{"number":"+13125550199","why":"split"}],"visible":true}`},
			"lists":   {"text/plain;charset=UTF-8", `{"session":"` + session + `","swapped":["+13125550100"],"found":["a","b"],"failed":[{"number":"x","why":"y"}],"visible":false}`},
			"unknown": {"text/plain", `{"session":"ses_nonsense"}`},
		} {
			a := w.ask("", "POST", "/dni/v1/"+w.key+"/beats", c.body, "Origin", shop, "Content-Type", c.contentType).is(204)
			if a.Body.Len() != 0 || a.Header().Get("Access-Control-Allow-Origin") != shop {
				t.Errorf("%s: got %q, %v", name, a.Body.String(), a.Header())
			}
		}
		var n int
		if err := db.Get(context.Background(), &n, `SELECT count(*) FROM sessions WHERE session_id = ? AND swapped = 1 AND found = 2 AND failed = 1`, session); err != nil || n != 1 {
			t.Errorf("got %d, %v: the beat's counts were not kept", n, err)
		}
	})
}

func TestOnlyTheSitesOwnPagesGetAnAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		for _, door := range []string{"visits", "beats"} {
			for _, method := range []string{"POST", "OPTIONS"} {
				for _, origin := range []string{"https://evil.test", "null", "", "https://shop.example.evil.test", "http://shop.example"} {
					a := w.ask("", method, "/dni/v1/"+w.key+"/"+door, `{}`, "Origin", origin).is(403)
					if a.Header().Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%s %s from %q: the refusal can be read", method, door, origin)
					}
				}
				a := w.ask("", method, "/dni/v1/dni_nothing/"+door, `{}`, "Origin", shop).is(404)
				if a.Header().Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s of no site: the refusal can be read", method, door)
				}
			}
		}
		a := w.ask("", "OPTIONS", "/dni/v1/"+w.key+"/visits", "", "Origin", shop, "Access-Control-Request-Method", "POST").is(204)
		h := a.Header()
		if h.Get("Access-Control-Allow-Origin") != shop || h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Headers") != "Content-Type" || h.Get("Vary") != "Origin" {
			t.Errorf("got %v", h)
		}
	})
}

func TestAPageThatCannotBeReadIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		for name, c := range map[string]struct {
			body, contentType string
			status            int
		}{
			"no JSON":         {`page=1`, "text/plain", 400},
			"a list":          {`[]`, "application/json", 400},
			"a key twice":     {`{"page":"a","page":"b"}`, "application/json", 400},
			"a NUL":           {`{"page":"a\u0000b"}`, "application/json", 400},
			"bad UTF-8":       {"{\"page\":\"\xff\"}", "application/json", 400},
			"nested":          {strings.Repeat(`{"page":`, 1000), "application/json", 400},
			"a wrong type":    {`{"page":7}`, "application/json", 422},
			"an unknown name": {`{"account_id":"acct_1"}`, "application/json", 422},
			"a form":          {`a=b`, "application/x-www-form-urlencoded", 415},
			"too much":        {`{"page":"` + strings.Repeat("x", 9000) + `"}`, "application/json", 413},
		} {
			if a := w.page(c.body, "Content-Type", c.contentType); a.Code != c.status {
				t.Errorf("%s: got %d, want %d: %s", name, a.Code, c.status, a.Body)
			}
		}
		var n int
		if err := db.Get(context.Background(), &n, `SELECT count(*) FROM visitors`); err != nil || n != 0 {
			t.Errorf("got %d visitors, %v, want none", n, err)
		}
	})
}

func TestNothingOfAPersonIsStoredAgainstTheirWill(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		for name, c := range map[string]struct{ body, header, value, reason string }{
			"refused":        {strings.Replace(landing, "null", "false", 1), "X-None", "", "no_consent"},
			"opted out":      {landing, "Sec-GPC", "1", "no_consent"},
			"a crawler":      {landing, "User-Agent", "Googlebot/2.1", "bot"},
			"rendered ahead": {landing, "Sec-Purpose", "prefetch;prerender", "bot"},
			"own staff":      {strings.Replace(landing, "gclid=Cj0", "cw_exclude=1", 1), "X-None", "", "excluded"},
		} {
			got := w.page(c.body, c.header, c.value).is(200).json()
			if got["reason"] != c.reason || got["visitor"] != "" || got["session"] != "" || got["lease"] != nil || len(got["swap"].(map[string]any)) != 0 {
				t.Errorf("%s: got %v, want %s and nothing else", name, got, c.reason)
			}
		}
	})
}

func TestACustomersPageNeverSeesOurTroubles(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		w.page(landing).is(200)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		got := w.page(strings.Replace(landing, `"visitor":""`, `"visitor":"vis_1"`, 1)).is(200)
		if body := got.json(); body["reason"] != "overflow" || len(body["swap"].(map[string]any)) != 0 || body["visitor"] != "vis_1" || body["lease"] != nil {
			t.Errorf("got %v, want the page left as it is", body)
		}
		if got.Header().Get("Access-Control-Allow-Origin") != shop {
			t.Error("the page cannot read the answer")
		}
		w.ask("", "POST", "/dni/v1/"+w.key+"/beats", `{"session":"ses_1"}`, "Origin", shop).is(204)
		w.ask("", "POST", "/dni/v1/dni_never_seen/visits", landing, "Origin", shop).is(200)
	})
}

func TestSourcesPoolsAndSitesAreKeptOverTheAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner, marketer, agent := h.tokens[account.Owner], h.tokens[account.Marketer], h.tokens[account.Agent]
		for _, c := range []struct {
			path, maker, other, body, patch, field, bad string
		}{
			{"/v1/sources", marketer, agent, `{"name":"Radio","medium":"audio","kind":"offline","rules":[{"landing":"/radio","not_referrer":"x"}]}`, `{"medium":"spot"}`, "kind", `{"name":"x","rules":[{}]}`},
			{"/v1/pools", owner, marketer, `{"name":"Web","destination":"+13125550171","lease_tail_seconds":60,"cooldown_seconds":0,"overflow_number_id":null}`, `{"destination":null}`, "name", `{"name":"x","destination":"911"}`},
			{"/v1/sites", owner, marketer, `{"name":"Shop","origins":["https://shop.example"],"swap":["+13125550100"]}`, `{"consent":"required"}`, "key", `{"name":"x","origins":["shop"]}`},
		} {
			made := h.ask(c.maker, "POST", c.path, c.body).is(201)
			id := made.json()["id"].(string)
			if made.Header().Get("Location") != c.path+"/"+id || made.Header().Get("ETag") != `"1"` || made.json()[c.field] == "" {
				t.Errorf("%s: got %v %s", c.path, made.Header(), made.Body)
			}
			one := c.path + "/" + id
			h.ask(c.other, "GET", one, "").is(200)
			h.ask(c.other, "POST", c.path, c.body).is(403)
			h.ask(c.maker, "POST", c.path, strings.Replace(c.body, `"name":"`, `"name":" `, 1)).is(409)
			h.ask(c.maker, "POST", c.path, c.bad).is(422)
			h.ask(c.maker, "POST", c.path, `{"name":"x","account_id":"acct_x"}`).is(422)
			h.ask(c.maker, "PATCH", one, c.patch, "If-Match", `"7"`).is(412)
			if got := h.ask(c.maker, "PATCH", one, c.patch, "If-Match", `"1"`).is(200); got.Header().Get("ETag") != `"2"` {
				t.Errorf("%s: got ETag %s, want 2", c.path, got.Header().Get("ETag"))
			}
			h.ask(c.maker, "DELETE", one, "", "If-Match", `"1"`).is(412)
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				body := ""
				if method == "PATCH" {
					body = c.patch
				}
				theirs := h.ask(h.stranger, method, one, body).is(404).Body.String()
				if none := h.ask(h.stranger, method, c.path+"/nothing", body).is(404).Body.String(); theirs != none {
					t.Errorf("%s %s: another account's answers %s, nobody's %s", method, one, theirs, none)
				}
			}
			if items := h.ask(h.stranger, "GET", c.path, "").is(200).json()["items"].([]any); len(items) != 0 {
				t.Errorf("%s: a stranger sees %v", c.path, items)
			}
			h.ask(c.maker, "DELETE", one, "", "If-Match", `"2"`).is(204)
			h.ask(c.maker, "GET", one, "").is(404)
		}
	})
}

func TestSourcesArePagedInTheOrderTheyAreTried(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		for _, body := range []string{`{"name":"a"}`, `{"name":"b"}`, `{"name":"c"}`, `{"name":"first","position":-1}`} {
			h.ask(owner, "POST", "/v1/sources", body).is(201)
		}
		var names []string
		for cursor := ""; ; {
			got := h.ask(owner, "GET", "/v1/sources?limit=3&cursor="+cursor, "").is(200).json()
			for _, item := range got["items"].([]any) {
				names = append(names, item.(map[string]any)["name"].(string))
			}
			next, ok := got["next_cursor"].(string)
			if !ok {
				break
			}
			cursor = next
		}
		if want := []string{"first", "a", "b", "c"}; !slices.Equal(names, want) {
			t.Errorf("got %v, want %v", names, want)
		}
	})
}
