package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestTheScriptIsServedWithItsSitesSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		owner := w.tokens[account.Owner]
		site := w.ask(owner, "GET", "/v1/sites", "").is(200).json()["items"].([]any)[0].(map[string]any)
		if site["cookie_days"] != json.Number("90") || site["cookieless"] != false || site["respect_dnt"] != false || site["consent_mode"] != "ignored" {
			t.Errorf("defaults: got %v", site)
		}
		if got := site["snippet"]; got != `<script async src="http://callwheel.example/dni/v1/`+w.key+`.js"></script>` {
			t.Errorf("snippet: got %v", got)
		}
		first := w.ask("", "GET", "/dni/v1/"+w.key+".js", "").is(200)
		if !strings.Contains(first.Body.String(), `"swap":[{"e164":"+13125550100","national":"(312) 555-0100","cc":"1"}]`) || first.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("got %v %.200s", first.Header(), first.Body)
		}
		w.ask("", "GET", "/dni/v1/"+w.key+".js", "", "If-None-Match", first.Header().Get("ETag")).is(304)
		w.ask(owner, "PATCH", "/v1/sites/"+site["id"].(string), `{"cookie_days":7,"cookieless":true,"respect_dnt":true,"consent_mode":"ad_storage"}`).is(200)
		if got := w.ask(owner, "PATCH", "/v1/sites/"+site["id"].(string), `{"cookie_days":0}`).is(422).fields(); len(got) != 1 || got[0] != "cookie_days" {
			t.Errorf("refused: got %v", got)
		}
		if got := w.ask(owner, "PATCH", "/v1/sites/"+site["id"].(string), `{"consent_mode":"x"}`).is(422).fields(); len(got) != 1 || got[0] != "consent_mode" {
			t.Errorf("refused: got %v", got)
		}
		settings := w.ask("", "GET", "/dni/v1/"+w.key+"/settings", "", "Origin", shop).is(200)
		s := settings.json()
		if s["key"] != w.key || s["cookie_days"] != json.Number("7") || s["cookieless"] != true || s["respect_dnt"] != true || s["consent_mode"] != "ad_storage" || s["beat_seconds"] != json.Number("30") {
			t.Errorf("settings: got %v", s)
		}
		second := w.ask("", "GET", "/dni/v1/"+w.key+".js", "", "If-None-Match", first.Header().Get("ETag")).is(200)
		if !strings.Contains(second.Body.String(), `"cookieless":true`) {
			t.Error("the script has the old settings")
		}
		for _, path := range []string{"dni_nobody.js", w.key, w.key + ".css", "dni-9.9.9.js", "dni_nobody/settings", ".js"} {
			w.ask("", "GET", "/dni/v1/"+path, "").is(404)
		}

		// With the database away a site that was seen is served on.
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		w.ask("", "GET", "/dni/v1/"+w.key+".js", "").is(200)
		w.ask("", "GET", "/dni/v1/"+w.key+"/settings", "").is(200)
		away := w.ask("", "GET", "/dni/v1/"+w.key+"/number", "", "Origin", shop).is(200).json()
		if away["phoneNumber"] != "+13125550100" || away["reason"] != "overflow" {
			t.Errorf("with the database away: got %v, want the printed number", away)
		}
	})
}

func TestFrozenScriptsAreListedWithTheirIntegrity(t *testing.T) {
	h := open(t, storetestSQLite(t))
	list := h.ask("", "GET", "/dni/v1/scripts.json", "").is(200).json()["items"].([]any)
	if len(list) == 0 {
		t.Fatal("none")
	}
	for _, one := range list {
		f := one.(map[string]any)
		a := h.ask("", "GET", f["path"].(string), "", "Origin", shop).is(200)
		if !strings.HasPrefix(f["integrity"].(string), "sha384-") || a.Header().Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(a.Header().Get("Cache-Control"), "immutable") || json.Number("0") == f["bytes"] {
			t.Errorf("got %v, %v", f, a.Header())
		}
	}
}

func TestTheNumberAloneIsForThoseWhoMayAsk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		door := "/dni/v1/" + w.key + "/number?page=https://shop.example/amp%3Futm_source=google&referrer=https://www.google.com/"
		page := w.ask("", "GET", door, "", "Origin", shop).is(200)
		n := page.json()
		if n["phoneNumber"] != "+13125550172" || n["formattedPhoneNumber"] != "(312) 555-0172" || n["reason"] != "leased" || page.Header().Get("Access-Control-Allow-Origin") != shop {
			t.Errorf("got %v, %v", n, page.Header())
		}
		// Who says who it is gets the same number again.
		again := w.ask("", "GET", door+"&visitor="+n["visitor"].(string)+"&session="+n["session"].(string), "", "Origin", shop).is(200).json()
		if again["phoneNumber"] != n["phoneNumber"] || again["session"] != n["session"] {
			t.Errorf("again: got %v, want %v", again, n)
		}
		const cache = "https://shop-example.cdn.ampproject.org"
		amp := door + "&visitor=amp-client-id&__amp_source_origin=https%3A%2F%2Fshop.example"
		first := w.ask("", "GET", amp, "", "Origin", cache).is(200)
		if h := first.Header(); h.Get("Access-Control-Allow-Origin") != cache || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("AMP-Access-Control-Allow-Source-Origin") != shop {
			t.Errorf("AMP: got %v", h)
		}
		if b := w.ask("", "GET", amp, "", "Origin", cache).is(200).json(); b["visitor"] != first.json()["visitor"] || b["phoneNumber"] != first.json()["phoneNumber"] {
			t.Errorf("AMP again: got %v", b)
		}
		// The pool has two numbers: for the third visitor the printed one stays.
		if b := w.ask("", "GET", door, "", "Origin", shop).is(200).json(); b["phoneNumber"] != "+13125550100" || b["reason"] != "overflow" || b["lease"] != nil {
			t.Errorf("an empty pool: got %v", b)
		}
		server := w.ask(w.tokens[account.ReadOnly], "GET", door+"&visitor=cookie-7&consent=true&user_agent=Mozilla", "").is(200).json()
		if server["session"] == "" {
			t.Errorf("a server: got %v", server)
		}
		for name, c := range map[string]struct{ query, header, value string }{
			"a crawler":        {"&user_agent=Googlebot", "", ""},
			"consent refused":  {"&consent=false", "", ""},
			"privacy control":  {"&gpc=1", "", ""},
			"excluded":         {"", "", ""},
			"rendered ahead":   {"", "Sec-Purpose", "prefetch;prerender"},
			"the header's way": {"", "Sec-GPC", "1"},
		} {
			target := door + c.query
			if name == "excluded" {
				target = strings.Replace(door, "utm_source=google", attribution.ParamExclude+"=1", 1)
			}
			b := w.ask("", "GET", target, "", "Origin", shop, c.header, c.value).is(200).json()
			if b["session"] != "" || b["phoneNumber"] != "+13125550100" {
				t.Errorf("%s: got %v, want the printed number and nothing kept", name, b)
			}
		}
		for name, headers := range map[string][]string{
			"nobody":                 nil,
			"a foreign page":         {"Origin", "https://evil.test"},
			"a cache of others":      {"Origin", "https://evil.cdn.ampproject.org.evil.test"},
			"an unencrypted cache":   {"Origin", "http://shop-example.cdn.ampproject.org"},
			"a token and an origin":  {"Origin", "https://evil.test", "Authorization", "Bearer " + w.tokens[account.Owner]},
			"a token of somebody":    {"Authorization", "Bearer " + w.stranger},
			"a cache without source": {"Origin", cache},
		} {
			a := w.ask("", "GET", door, "", headers...).is(403)
			if a.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: the refusal can be read", name)
			}
		}
		w.ask("", "GET", door, "", "Authorization", "Bearer cw_nonsense").is(401)
		w.ask("", "GET", door+"&number=%2B13125550999", "", "Origin", shop).is(422)
		w.ask("", "GET", "/dni/v1/dni_nobody/number", "", "Origin", shop).is(404)
		pre := w.ask("", "OPTIONS", "/dni/v1/"+w.key+"/number", "", "Origin", shop, "Access-Control-Request-Method", "GET").is(204)
		if pre.Header().Get("Access-Control-Allow-Methods") != "GET" {
			t.Errorf("preflight: got %v", pre.Header())
		}
	})
}

func TestTheOverlayIsToldWhereTheSessionCameFrom(t *testing.T) {
	w := openWebsite(t, storetestSQLite(t))
	if got := w.page(landing).is(200).json(); got["debug"] != nil {
		t.Errorf("unasked: got %v", got["debug"])
	}
	d := w.page(strings.Replace(landing, `"consent":null`, `"debug":true`, 1)).is(200).json()["debug"].(map[string]any)
	if d["source"] != "google" || d["medium"] != "cpc" || d["campaign"] != "Spring" || d["rule"] != "click_id:gclid/1" {
		t.Errorf("got %v", d)
	}
}

func TestTheReportShowsWhichPagesSwap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now := time.Now()
		w := website{db: db}
		later := 0 * time.Hour
		clock := func() time.Time { return now.Add(later) }
		w.house = open(t, db, func(d *api.Deps) {
			w.ledger, d.Now = d.Ledger, clock
			d.Reports = report.NewDesk(db, clock, slog.New(slog.DiscardHandler), nil)
		})
		owner := w.tokens[account.Owner]
		w.pool = w.ask(owner, "POST", "/v1/pools", `{"name":"Web","destination":"+13125550171"}`).is(201).json()["id"].(string)
		w.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550172","pool_id":"`+w.pool+`"}`).is(201)
		w.key = w.ask(owner, "POST", "/v1/sites", `{"name":"=Shop","origins":["`+shop+`"],"pool_id":"`+w.pool+`","swap":["+13125550100"]}`).is(201).json()["key"].(string)
		visit := func(path, beat string) {
			s := w.page(strings.Replace(landing, "https://shop.example/?", "https://shop.example"+path+"?", 1)).is(200).json()["session"].(string)
			w.ask("", "POST", "/dni/v1/"+w.key+"/beats", `{"session":"`+s+`",`+beat+`}`, "Origin", shop, "Content-Type", "text/plain").is(204)
		}
		visit("/good", `"swapped":2,"found":2,"failed":[],"visible":true`)
		visit("/bad", `"swapped":0,"found":2,"failed":[{"number":"+13125550100","why":"input"},{"number":"+13125550100","why":"late"}],"page":"https://shop.example/bad?x=1"`)
		rows := w.dni(owner)
		if len(rows) != 2 || rows["/bad"]["flag"] != nil || rows["/bad"]["last_swapped_at"] != nil || rows["/good"]["last_swapped_at"] == nil {
			t.Fatalf("got %v", rows)
		}
		b := rows["/bad"]
		failed, _ := json.Marshal(b["failed"])
		if b["site"] != "=Shop" || b["sessions"] != json.Number("1") || b["found"] != json.Number("2") || b["swapped"] != json.Number("0") || string(failed) != `[{"count":1,"why":"input"},{"count":1,"why":"late"}]` {
			t.Errorf("got %v", b)
		}
		later = 25 * time.Hour
		visit("/good", `"swapped":2,"found":2`)
		visit("/bad", `"swapped":0,"found":2`)
		for _, role := range account.Roles() {
			rows = w.dni(w.tokens[role])
			if rows["/bad"]["flag"] != "swapped_nothing" || rows["/good"]["flag"] != nil {
				t.Errorf("%s, a day later: got %v", role, rows)
			}
		}
		text := w.ask(owner, "GET", "/v1/reports/dni", "", "Accept", "text/csv").is(200)
		records, err := csv.NewReader(text.Body).ReadAll()
		if err != nil || len(records) != 3 || records[1][0] != "'=Shop" || records[1][1] != "/bad" || records[1][5] != "input=1; late=1" || records[1][8] != "swapped_nothing" {
			t.Errorf("CSV: got %v, %v", records, err)
		}
		whole := w.ask(owner, "GET", "/v1/reports/dni", "").is(200).json()
		if totals := whole["totals"].(map[string]any); totals["sessions"] != json.Number("4") || totals["silent"] != json.Number("1") || whole["definitions"].(map[string]any)["flag"] == nil {
			t.Errorf("got totals %v", totals)
		}
		if theirs := w.ask(w.stranger, "GET", "/v1/reports/dni", "").is(200).json()["rows"].([]any); len(theirs) != 0 {
			t.Errorf("another account sees %v", theirs)
		}
		before := w.ask(owner, "GET", "/v1/reports/dni?from=2020-01-01&until=2020-02-01", "").is(200).json()["rows"].([]any)
		if len(before) != 1 || before[0].(map[string]any)["sessions"] != json.Number("0") {
			t.Errorf("a month long ago: got %v, want the page that is flagged now and nothing counted", before)
		}
		if _, err := w.ledger.WatchSwaps(context.Background(), clock()); err != nil {
			t.Error(err)
		}
	})
}

// dni is the report by page.
func (w website) dni(token string) map[string]map[string]any {
	w.t.Helper()
	rows := map[string]map[string]any{}
	for _, r := range w.ask(token, "GET", "/v1/reports/dni", "").is(200).json()["rows"].([]any) {
		row := r.(map[string]any)
		rows[row["page"].(string)] = row
	}
	return rows
}
