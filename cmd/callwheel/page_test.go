package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// The dashboard and the API's page as people meet them: the scripts run, under
// the policy that the server sends, in the browser that they were written for.
func TestTheDeskInARealBrowser(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	h := newHouse(t, storetest.SQLiteURL(t))
	leased := h.oneCallThatWasPaidFor()
	h.call(account.Marketer, http.MethodPost, "/v1/spend", map[string]any{
		"source": "radio", "from": "2026-10-06", "until": "2026-10-07", "cost": map[string]any{"amount": "40.00", "currency": "EUR"},
	}, nil)
	p := openBrowser(t, program)

	p.do("open the page", chromedp.Navigate(h.url("/")))
	p.signIn(h.opened.Email, h.opened.Password)

	p.shows("#calls-table tbody tr[data-id]", "(212) 555-0143", "google", "answered", "Maria Lopez")
	p.shows("#roi-table tbody tr", "google", "$250.00")
	for _, list := range []string{"#summary-missing", "#roi-missing"} {
		p.shows(list, "Spend without €40.00 (1 amount): no exchange rate from EUR to USD.")
	}
	p.shows("#live-state", "Nobody is on the phone.")

	h.becomesASale(p)
	h.ringsAndIsAnswered(p, leased)

	p.do("open an operation on the API's page, which shows no more of the long list than fits", chromedp.Navigate(h.url("/docs#/calls/live")))
	p.shows(".opblock[id$='-live']", "GET", "/v1/live")
	p.complainedOfNothing()
}

// oneCallThatWasPaidFor is what the page has to show: a visitor of an
// advertisement called and was answered. It returns the number that the site
// showed.
func (h *house) oneCallThatWasPaidFor() string {
	h.t.Helper()
	_, _, leased := h.visit(h.shop(1))
	h.place(answeredCall("+12125550143", leased, storyStart.Add(time.Minute)))
	h.call(account.Marketer, http.MethodPost, "/v1/spend", map[string]any{
		"source": "google", "medium": "cpc", "campaign": "emergency",
		"from": "2026-10-06", "until": "2026-10-07", "cost": money("250.00"),
	}, nil)
	h.until(storyStart.Add(10 * time.Minute))
	h.work()
	return leased
}

// answeredCall is bridged eleven seconds after it came in.
func answeredCall(from, to string, at time.Time) loopback.CallScript {
	return loopback.CallScript{From: from, To: to, At: at, Phone: func(string, int) loopback.Phone {
		return loopback.Phone{Answers: true, After: 7 * time.Second, Talk: 120 * time.Second}
	}}
}

// becomesASale judges the one call at the desk.
func (h *house) becomesASale(p *page) {
	h.t.Helper()
	p.do("open the desk", chromedp.Click(chromedp.CSS("#calls-table tbody tr[data-id] button")))
	p.shows("#desk-facts", "Google", "emergency", "answered")
	p.shows("#desk-history", "Nothing yet.")
	p.do("choose a disposition",
		chromedp.SetValue(chromedp.CSS("#disposition"), "Sale"),
		chromedp.Click(chromedp.CSS("#desk-disposition button[type=submit]")))
	p.shows("#desk-done", "The disposition is kept.")
	p.shows("#desk-history", "Disposition “Sale”")
	p.do("close the desk", chromedp.Click(chromedp.CSS("#desk-close")))
	p.shows("#calls-table tbody tr[data-id]", "Sale")

	list := h.calls("")
	if len(list) != 1 {
		h.t.Fatalf("calls: got %d, want 1", len(list))
	}
	isPtr(h.t, "disposition", list[0].Disposition, "Sale")
	isPtr(h.t, "qualified", list[0].Qualified, true)
}

// ringsAndIsAnswered lets the page watch a call. The clock stands still while
// the page is looked at.
func (h *house) ringsAndIsAnswered(p *page, leased string) {
	h.t.Helper()
	at := storyStart.Add(11 * time.Minute)
	h.stage.network.Call(answeredCall("+13105550144", leased, at))
	h.until(at.Add(6 * time.Second))
	p.shows("#live-state", "One call.")
	p.shows("#live-table tbody tr", "(310) 555-0144", "ringing")
	h.until(at.Add(30 * time.Second))
	p.shows("#live-table tbody tr", "(310) 555-0144", "talking")
	if err := h.stage.network.Finish(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	p.shows("#live-state", "Nobody is on the phone.")
	p.shows("#calls-table tbody tr:first-child", "(310) 555-0144", "answered")
}

// pagePatience is how long a page may take for one step on a busy machine.
const pagePatience = time.Minute

// page is one tab of a browser. What it tells its console is kept from the
// beginning.
type page struct {
	t       *testing.T
	ctx     context.Context
	console func(yield func(chromedp.ConsoleMessage, error) bool)
}

// openBrowser starts a browser without a past, which asks nobody but the pages
// that the test opens.
func openBrowser(t *testing.T, program string) *page {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:], // without a folder for its data it makes a new one and removes it
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-US"))
	allocator, release := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), flags...)
	ctx, shut := chromedp.NewContext(allocator)
	t.Cleanup(func() { shut(); release() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return &page{t: t, ctx: ctx, console: chromedp.Console(ctx)}
}

func (p *page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// signIn fills the form, and waits until the dashboard listens to live calls:
// what rings before that is not news to it.
func (p *page) signIn(email, password string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	listens := func(e network.EventResponseReceived) bool {
		return strings.HasSuffix(e.Response.URL, "/v1/live") && e.Response.Status == http.StatusOK
	}
	_, err := chromedp.Run(ctx, chromedp.WaitEvent(network.ResponseReceived, listens, chromedp.Steps(
		chromedp.SendKeys(chromedp.CSS("#email"), email),
		chromedp.SendKeys(chromedp.CSS("#password"), password),
		chromedp.Click(chromedp.CSS("form button[type=submit]")))))
	if err != nil {
		p.t.Fatalf("sign in: %v", err)
	}
}

// shows waits until an element can be seen and has all the words in it. It
// looks from outside, as the policy of the pages lets no script be made of text.
func (p *page) shows(selector string, words ...string) {
	p.t.Helper()
	look := chromedp.Evaluate[string](fmt.Sprintf(`(() => {
		const found = document.querySelector(%q);
		return found && found.checkVisibility() ? found.textContent : "";
	})()`, selector))
	var text string
	var err error
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%s shows %q (%v)", selector, text, err)
		}
	}()
	eventually(p.t, fmt.Sprintf("%s shows %q", selector, words), pagePatience, func() bool {
		if text, err = chromedp.Run(p.ctx, look); err != nil {
			return false // between two pages there is none
		}
		for _, word := range words {
			if !strings.Contains(text, word) {
				return false
			}
		}
		return true
	})
}

// complainedOfNothing reads what the pages told the console up to now: no
// error, no exception, nothing that the browser kept a page from doing.
func (p *page) complainedOfNothing() {
	p.t.Helper()
	const last = "this is all"
	p.do("mark the end of the console", chromedp.Evaluate[chromedp.Void](fmt.Sprintf("console.log(%q)", last)))
	patience := time.AfterFunc(pagePatience, func() { chromedp.Cancel(p.ctx) }) //nolint:errcheck // the loop below ends with an error
	defer patience.Stop()
	for m, err := range p.console {
		if err != nil {
			p.t.Fatalf("read the console: %v", err)
		}
		if m.Text == last {
			return
		}
		refused := m.Source == "security" || strings.Contains(m.Text, "Content Security Policy")
		if m.Type == chromedp.ConsoleError || m.IsException() || refused {
			p.t.Errorf("the console says at %s:%d: %s", m.URL, m.Line, m)
		}
	}
	p.t.Error("the console ended before its end was marked")
}
