package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/web"
)

// swapping is a website in a real browser: pages of web/dni/testdata on one
// port, the product on another, and a wire between them that can be made slow,
// cut or noisy, and keeps what went over it.
type swapping struct {
	*house
	pool    string
	pages   *httptest.Server
	wire    *relay
	browser context.Context
}

// relay passes on what pages ask of the product.
type relay struct {
	server *httptest.Server
	target *httputil.ReverseProxy

	mu   sync.Mutex
	mode string // "", slow, dead, garbage, broken
	sent []sent
}

// sent is what a page sent.
type sent struct {
	Door, Origin, Body string
}

func newSwapping(t *testing.T) *swapping {
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	s := &swapping{house: newHouse(t, storetest.SQLiteURL(t))}
	s.pool = s.make("/v1/pools", map[string]any{"name": "Web", "lease_tail_seconds": 1800, "cooldown_seconds": 600})
	for i := range 60 {
		s.number(fmt.Sprintf("+1312555%04d", 171+i), map[string]any{"pool_id": s.pool})
	}
	s.wire = newRelay(t, s.url(""))
	s.pages = httptest.NewServer(http.FileServer(http.Dir("../../web/dni/testdata")))
	t.Cleanup(s.pages.Close)
	s.browser = openBrowser(t, program).ctx
	return s
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	w := &relay{target: httputil.NewSingleHostReverseProxy(u)}
	w.target.ErrorLog = log.New(io.Discard, "", 0) // pages that were left do not wait
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	return w
}

// slowness is longer than the script waits.
const slowness = 1300 * time.Millisecond

func (w *relay) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.target.ServeHTTP(out, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.mu.Lock()
	mode := w.mode
	w.sent = append(w.sent, sent{Door: r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], Origin: r.Header.Get("Origin"), Body: string(body)})
	w.mu.Unlock()
	switch mode {
	case "slow":
		select {
		case <-time.After(slowness):
		case <-r.Context().Done():
			return
		}
	case "dead":
		panic(http.ErrAbortHandler)
	case "garbage":
		out.Header().Set("Access-Control-Allow-Origin", "*")
		io.WriteString(out, `<html>{"swap":{"+13125550100":{"e164":"<b>`)
		return
	case "broken":
		http.Error(out, "broken", http.StatusInternalServerError)
		return
	}
	w.target.ServeHTTP(out, r)
}

func (w *relay) set(mode string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode = mode
}

// of lists what was sent to a door from an origin.
func (w *relay) of(door, origin string) []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []sent
	for _, x := range w.sent {
		if x.Door == door && x.Origin == origin {
			list = append(list, x)
		}
	}
	return list
}

// website is one site of the account, on a port of its own so that what it
// sends can be told from the others'.
type website struct {
	*swapping
	t      *testing.T
	id     string
	key    string
	server *httptest.Server
	host   string // www.shop.localhost:port
	policy string // the content security policy of its pages
	head   string // markup for the head of the pages
}

// site makes a website of the account. Settings go to /v1/sites.
func (s *swapping) site(t *testing.T, settings map[string]any) *website {
	t.Helper()
	w := &website{swapping: s, t: t}
	w.server = httptest.NewServer(http.HandlerFunc(w.page))
	t.Cleanup(w.server.Close)
	port := w.server.URL[strings.LastIndex(w.server.URL, ":"):]
	w.host = "www.shop.localhost" + port
	body := map[string]any{
		"name": t.Name(), "origins": []string{w.origin(), "http://blog.shop.localhost" + port}, "pool_id": s.pool, "swap": []string{printed},
	}
	for name, value := range settings {
		body[name] = value
	}
	var made struct{ ID, Key string }
	s.call(account.Manager, http.MethodPost, "/v1/sites", body, &made)
	w.id, w.key = made.ID, made.Key
	return w
}

func (w *website) origin() string { return "http://" + w.host }

func (w *website) script() string { return w.wire.server.URL + "/dni/v1/" + w.key + ".js" }

// page serves a page of testdata with the script's address filled in. A path
// that is no file is a route of the single-page application.
func (w *website) page(out http.ResponseWriter, r *http.Request) {
	if w.policy != "" {
		out.Header().Set("Content-Security-Policy", w.policy)
	}
	if r.URL.Path == "/favicon.ico" {
		out.WriteHeader(http.StatusNoContent)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/vendor/") {
		w.pages.Config.Handler.ServeHTTP(out, r)
		return
	}
	rec := httptest.NewRecorder()
	w.pages.Config.Handler.ServeHTTP(rec, r)
	text := rec.Body.String()
	frozen := web.FrozenVersions()[0]
	text = strings.NewReplacer(
		"__HEAD__", w.head, "__SCRIPT__", w.script()+"?", "__SITE__", w.key,
		"__FROZEN__", w.wire.server.URL+frozen.Path, "__INTEGRITY__", frozen.Integrity,
	).Replace(text)
	text = strings.ReplaceAll(text, ".js?\"", ".js\"")
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	out.WriteHeader(rec.Code)
	io.WriteString(out, text)
}

// visits and beats are what the site's pages sent.
func (w *website) visits() []sent { return w.wire.of("visits", w.origin()) }

func (w *website) beats() []sent { return w.wire.of("beats", w.origin()) }

// lastBeat is the last report of the site's pages.
func (w *website) lastBeat() (b struct {
	Swapped, Found int
	Failed         []struct{ Number, Why string }
	Page           string
	Visible        bool
},
) {
	list := w.beats()
	if len(list) == 0 {
		w.t.Fatal("no beat was sent")
	}
	if err := json.Unmarshal([]byte(list[len(list)-1].Body), &b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// tab is a page of the website in a browser without a past.
type tab struct {
	*page
	site *website
}

// visitor opens a browser of somebody who was never here. before runs in each
// page before its own scripts.
func (w *website) visitor(before ...string) *tab {
	w.t.Helper()
	ctx, shut := chromedp.NewContext(w.browser, chromedp.WithNewBrowserContext())
	w.t.Cleanup(shut)
	if err := chromedp.Do(ctx); err != nil {
		w.t.Fatalf("open a tab: %v", err)
	}
	v := &tab{page: &page{t: w.t, ctx: ctx, console: chromedp.Console(ctx)}, site: w}
	for _, source := range before {
		_, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) (struct{}, error) {
			_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: source})
			return struct{}{}, err
		})
		if err != nil {
			w.t.Fatalf("prepare the tab: %v", err)
		}
	}
	return v
}

// open goes to a path of the website.
func (v *tab) open(path string) {
	v.t.Helper()
	address := path
	if !strings.HasPrefix(path, "http") {
		address = v.site.origin() + path
	}
	v.do("open "+path, chromedp.Navigate(address))
}

// eval returns what an expression gives, as text.
func (v *tab) eval(expression string) string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, pagePatience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// promised is eval for a promise.
func (v *tab) promised(expression string) string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, pagePatience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("("+expression+").then(JSON.stringify)", chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// becomes waits for an expression to be true.
func (v *tab) becomes(expression string) {
	v.t.Helper()
	eventually(v.t, expression, pagePatience, func() bool {
		got, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		return err == nil && got
	})
}

// text is what an element shows.
func (v *tab) text(id string) string {
	v.t.Helper()
	return v.eval("document.getElementById('" + id + "').textContent")
}

// shown waits for the swap, and returns the number that the page shows.
func (v *tab) shown() string {
	v.t.Helper()
	v.becomes("window.callwheel && document.body && /555\\D?0(?!100)\\d{3}/.test(document.body.innerText)")
	n := parsed[struct {
		E164    string
		Swapped bool
	}](v.t, v.promised("callwheel.number()"))
	if !n.Swapped || n.E164 == printed {
		v.t.Fatalf("the page shows %+v, want a number of the pool", n)
	}
	return n.E164
}

// says reads the console: what the script did wrong, and how often the browser
// itself told of a request that failed, which no page can keep it from.
func (v *tab) says() (failedRequests int) {
	v.t.Helper()
	const last = "this is all of it"
	v.do("mark the end of the console", chromedp.Evaluate[chromedp.Void](fmt.Sprintf("console.log(%q)", last)))
	patience := time.AfterFunc(pagePatience, func() { chromedp.Cancel(v.ctx) }) //nolint:errcheck // the loop below ends with an error
	defer patience.Stop()
	for m, err := range v.console {
		switch {
		case err != nil:
			v.t.Fatalf("read the console: %v", err)
		case m.Text == last:
			return failedRequests
		case m.Source == "network", strings.Contains(m.Text, "blocked by CORS policy"):
			failedRequests++
		case m.Type == chromedp.ConsoleError || m.IsException() || m.Source == "security" || strings.Contains(m.Text, "Content Security Policy"):
			v.t.Errorf("the console says at %s:%d: %s", m.URL, m.Line, m)
		}
	}
	return failedRequests
}

// ending is the last four digits of a number.
func ending(e164 string) string { return e164[len(e164)-4:] }

// run lets the page do something.
func (v *tab) run(script string) {
	v.t.Helper()
	v.do(script, chromedp.Evaluate[chromedp.Void](script+";undefined"))
}

// screenshot writes the picture that docs/dni.md shows, when it is asked for.
func (v *tab) screenshot() {
	v.t.Helper()
	file := os.Getenv("CALLWHEEL_SCREENSHOT")
	if file == "" {
		return
	}
	picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(file, picture, 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// count asks the database.
func (s *swapping) count(query string, args ...any) int {
	var n int
	if err := s.stage.program.db.Get(context.Background(), &n, query, args...); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// work is what the main thread of a page has done, in seconds of its own time:
// what else the machine does meanwhile does not count.
type work struct{ all, layout float64 }

// mainThread asks the browser.
func (v *tab) mainThread() (w work) {
	v.t.Helper()
	_, err := chromedp.Run(v.ctx, func(ctx context.Context, t *chromedp.Target) (struct{}, error) {
		if _, err := cdp.Call(ctx, t, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
			return struct{}{}, err
		}
		got, err := cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
		if err != nil {
			return struct{}{}, err
		}
		for _, m := range got.Metrics {
			switch m.Name {
			case "TaskDuration":
				w.all = m.Value
			case "LayoutDuration", "RecalcStyleDuration":
				w.layout += m.Value
			}
		}
		return struct{}{}, nil
	})
	if err != nil {
		v.t.Fatalf("ask for the main thread's time: %v", err)
	}
	return w
}
