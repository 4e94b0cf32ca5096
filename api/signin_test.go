package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// browser keeps a cookie as a browser does.
type browser struct {
	h      *house
	cookie *http.Cookie
}

func (b *browser) send(method, target string, form url.Values, headers ...string) answer {
	b.h.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Host = "callwheel.example"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.h.server.Public().ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookie = c
		if c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return answer{w, b.h.t}
}

func (h *house) newUser(email string, role account.Role) account.User {
	h.t.Helper()
	u, err := h.accounts.CreateUser(context.Background(), account.Operator(h.account.ID), account.UserParams{
		Email: email, Name: "Ana", Password: "correct horse", Role: role,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

func TestSigningInAndOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		h.newUser("ana@shop.example", account.Admin)
		b := &browser{h: h}
		if got := b.send("GET", "/", nil).is(303).Header().Get("Location"); got != "/sign-in" {
			t.Errorf("a stranger is sent to %q", got)
		}
		b.send("GET", "/sign-in", nil).is(200)
		wrong := b.send("POST", "/sign-in", url.Values{"email": {"ana@shop.example"}, "password": {"wrong horse"}}).is(401)
		if b.cookie != nil || !strings.Contains(wrong.Body.String(), "is wrong") {
			t.Error("a wrong password got a cookie or no reason")
		}
		in := b.send("POST", "/sign-in", url.Values{"email": {"ana@shop.example"}, "password": {"correct horse"}, "next": {"//evil.example"}}).is(303)
		if got := in.Header().Get("Location"); got != "/" {
			t.Errorf("next led to %q", got)
		}
		if c := b.cookie; c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			t.Fatalf("cookie: %+v", b.cookie)
		}
		page := b.send("GET", "/", nil).is(200)
		if !strings.Contains(page.Body.String(), "Plumb &amp; Sons") {
			t.Errorf("dashboard: %s", page.Body)
		}
		if got := page.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; script-src 'self'; style-src 'self'") {
			t.Errorf("policy: %q", got)
		}
		b.send("GET", "/v1/account", nil).is(200)
		b.send("DELETE", "/v1/tokens/nothing", nil, "Sec-Fetch-Site", "same-origin").is(404)
		b.send("DELETE", "/v1/tokens/nothing", nil, "Sec-Fetch-Site", "cross-site").is(403)
		b.send("DELETE", "/v1/tokens/nothing", nil, "Origin", "https://evil.example").is(403)
		b.send("DELETE", "/v1/tokens/nothing", nil, "Origin", "http://callwheel.example").is(404)
		b.send("POST", "/sign-out", url.Values{}, "Sec-Fetch-Site", "cross-site").is(403)
		if b.cookie == nil {
			t.Fatal("another site signed us out")
		}
		old := b.cookie
		b.send("POST", "/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin").is(303)
		if b.cookie != nil {
			t.Error("the cookie stayed")
		}
		b.cookie = old
		b.send("GET", "/v1/account", nil).is(401)
	})
}

func TestOverHTTPSTheCookieBelongsToThisHostOnly(t *testing.T) {
	h := open(t, storetestSQLite(t), func(d *api.Deps) { d.PublicURL = "https://calls.example" })
	h.newUser("ana@shop.example", account.Agent)
	b := &browser{h: h}
	b.send("POST", "/sign-in", url.Values{"email": {"ana@shop.example"}, "password": {"correct horse"}}).is(303)
	if c := b.cookie; c == nil || c.Name != "__Host-callwheel" || !c.Secure || c.Domain != "" {
		t.Errorf("cookie: %+v", b.cookie)
	}
}

func TestTooManySignInsHaveToWait(t *testing.T) {
	h := open(t, storetestSQLite(t))
	b := &browser{h: h}
	for range 10 {
		b.send("POST", "/sign-in", url.Values{"email": {"not an address"}, "password": {strings.Repeat("x", 300)}}).is(401)
	}
	a := b.send("POST", "/sign-in", url.Values{"email": {"not an address"}, "password": {"x"}}, "X-Forwarded-For", "203.0.113.9").is(429)
	if a.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

func TestTriesFromElsewhereKeepNobodyOut(t *testing.T) {
	h := open(t, storetestSQLite(t), func(d *api.Deps) { d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	h.newUser("ana@shop.example", account.Admin)
	try := func(address, password string) answer {
		t.Helper()
		b := &browser{h: h.in(t)}
		return b.send("POST", "/sign-in", url.Values{"email": {"Ana@shop.example "}, "password": {password}}, "X-Forwarded-For", address)
	}
	tooLong := strings.Repeat("x", 300) // refused without hashing
	for range 10 {
		try("203.0.113.1", tooLong).is(401)
	}
	try("203.0.113.1", "correct horse").is(429)
	try("203.0.113.2", "correct horse").is(303)
	for i := range 90 { // from many addresses: the user's own budget
		try(fmt.Sprintf("198.51.100.%d", i), tooLong).is(401)
	}
	if a := try("203.0.113.3", "correct horse").is(429); a.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

func TestTheSignInFormIsReadStrictly(t *testing.T) {
	h := open(t, storetestSQLite(t))
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"a megabyte as password", "application/x-www-form-urlencoded", "password=" + strings.Repeat("x", 1<<20), 413},
		{"JSON", "application/json", `{"email":"x"}`, 415},
		{"a field twice", "application/x-www-form-urlencoded", "email=a&email=b", 400},
		{"a broken escape", "application/x-www-form-urlencoded", "email=%zz", 400},
		{"NUL", "application/x-www-form-urlencoded", "email=%00", 400},
	} {
		r := httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.contentType)
		w := httptest.NewRecorder()
		h.server.Public().ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, w.Code, tt.status)
		}
	}
}

func TestTheDocsPageAndItsFilesComeFromHere(t *testing.T) {
	h := open(t, storetestSQLite(t))
	h.ask("", "GET", "/docs", "").is(200)
	h.ask("", "GET", "/assets/docs/swagger-ui-bundle.js", "").is(200)
	for _, path := range []string{"/assets/", "/assets/docs/", "/assets/web.go", "/assets/..%2fweb.go", "/assets/docs%2fdocs.js", "/.git/config", "/debug/pprof/"} {
		h.ask("", "GET", path, "").is(404)
	}
}
