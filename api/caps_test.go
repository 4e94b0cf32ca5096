package api_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// pageFrom is a page view of a new visitor by a connection from remote; forwarded
// is what it brings as X-Forwarded-For.
func (w website) pageFrom(remote, forwarded string) map[string]any {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/dni/v1/"+w.key+"/visits", strings.NewReader(landing))
	r.RemoteAddr = remote + ":4711"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", shop)
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	rec := httptest.NewRecorder()
	w.server.Public().ServeHTTP(rec, r)
	return answer{rec, w.t}.is(200).json()
}

// A pool of two: a second newcomer of one address has to wait.
func TestTheCapsCountAddressesThatCannotBeForged(t *testing.T) {
	for name, c := range map[string]struct {
		remote  string
		trusted string // proxies
		forward [2]string
		second  string // reason of the second visitor's answer
		warned  bool
	}{
		"one address":              {remote: "203.0.113.7", second: "overflow"},
		"forged addresses":         {remote: "203.0.113.7", forward: [2]string{"198.51.100.1", "198.51.100.2"}, second: "overflow"},
		"behind a trusted proxy":   {remote: "10.1.2.3", trusted: "10.0.0.0/8", forward: [2]string{"198.51.100.1", "198.51.100.2"}, second: "leased"},
		"one address behind it":    {remote: "10.1.2.3", trusted: "10.0.0.0/8", forward: [2]string{"198.51.100.1", "198.51.100.1"}, second: "overflow"},
		"behind an unnamed proxy":  {remote: "10.1.2.3", forward: [2]string{"198.51.100.1", "198.51.100.1"}, second: "leased", warned: true},
		"a proxy on this machine":  {remote: "127.0.0.1", forward: [2]string{"198.51.100.1", "198.51.100.1"}, second: "leased", warned: true},
		"this machine":             {remote: "127.0.0.1", second: "leased"},
		"one private network host": {remote: "10.1.2.3", second: "overflow"},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				var log bytes.Buffer
				w := website{db: db}
				w.house = open(t, db, logTo(&log), func(d *api.Deps) {
					if c.trusted != "" {
						d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
					}
				})
				w.furnish()
				if got := w.pageFrom(c.remote, c.forward[0]); got["reason"] != "leased" {
					t.Fatalf("the first: got %v", got)
				}
				got := w.pageFrom(c.remote, c.forward[1])
				if got["reason"] != c.second || len(got["swap"].(map[string]any)) != 1 {
					t.Errorf("the second: got %v, want %s and a number", got, c.second)
				}
				if warned := strings.Contains(log.String(), "api.trusted_proxies"); warned != c.warned {
					t.Errorf("warned of a proxy: got %t, want %t", warned, c.warned)
				}
				if strings.Contains(log.String(), c.remote) || strings.Contains(log.String(), "198.51.100.1") {
					t.Error("an address is in the log")
				}
			})
		})
	}
}

// furnish makes a pool of two numbers with an overflow number, and a site of it.
func (w *website) furnish() {
	w.t.Helper()
	owner := w.tokens[account.Owner]
	w.pool = w.ask(owner, "POST", "/v1/pools", `{"name":"Web","destination":"+13125550171"}`).is(201).json()["id"].(string)
	for _, n := range []string{"+13125550172", "+13125550173"} {
		w.ask(owner, "POST", "/v1/numbers", `{"number":"`+n+`","pool_id":"`+w.pool+`"}`).is(201)
	}
	shared := w.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550174"}`).is(201).json()["id"].(string)
	w.ask(owner, "PATCH", "/v1/pools/"+w.pool, `{"overflow_number_id":"`+shared+`"}`).is(200)
	w.key = w.ask(owner, "POST", "/v1/sites", `{"name":"Shop","origins":["`+shop+`"],"pool_id":"`+w.pool+`","swap":["+13125550100"]}`).is(201).json()["key"].(string)
}
