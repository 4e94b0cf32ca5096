package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/account"
	_ "github.com/callwheel/callwheel/scripts/draws"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// act is one thing that happens in a history.
type act struct {
	Kind  string
	Who   int // of the persons
	N     int // whatever the kind makes of it
	After time.Duration
}

// acts are what may happen; the more often a kind stands here the likelier it is.
var acts = []string{
	"look", "call", "call", "call", "miss", "poster", "poster", "hidden", "dial", "sell", "sell", "refund", "score", "rate", "call back", "refer", "ask", "ask", "tag", "rename",
}

func drawAct(t *rapid.T) act {
	return act{
		Kind: rapid.SampledFrom(acts).Draw(t, "kind"), Who: rapid.IntRange(0, 3).Draw(t, "who"), N: rapid.IntRange(0, 59).Draw(t, "n"),
		After: time.Duration(rapid.SampledFrom([]int{7, 45, 600, 1500, 4000}).Draw(t, "after")) * time.Minute,
	}
}

// few leaves a hundredth of the cases that are asked for, times n: each opens a
// house.
func few(t *testing.T, n int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	asked := checks.String()
	all, err := strconv.Atoi(asked)
	if err == nil {
		err = checks.Set(strconv.Itoa(max(1, all*n/100)))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checks.Set(asked) }) //nolint:errcheck // it was taken before
}

// Any history that is played through the doors, written to files and brought into
// another account is answered alike there, whatever the file of calls leaves open
// that the touches tell, and in whichever order the files come.
func TestAnyHistoryIsTheSameBroughtIn(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		another := func() string { return storetest.SQLiteURL(t) }
		few(t, 12)
		if !strings.HasPrefix(databaseURL, "sqlite:") {
			another = func() string { return storetest.PostgresURL(t) }
			few(t, 25) // of those
		}
		rapid.Check(t, func(rt *rapid.T) {
			history := rapid.SliceOfN(rapid.Custom(drawAct), 3, 24).Draw(rt, "history")
			tell := rapid.SampledFrom([]telling{tellAll, tellSource, tellNothing}).Draw(rt, "the file of calls tells")
			order := rapid.Permutation([]string{"touches", "calls", "outcomes", "spend"}).Draw(rt, "order")
			databaseURL := another()
			h := newHouse(t, databaseURL)
			defer h.close()
			p := newPast(h)
			for _, a := range history {
				p.play(a)
			}
			dir := t.TempDir()
			h.export(dir, tell)

			fresh, token := h.anew()
			p.listSources(fresh)
			environ := environOf(t, databaseURL)
			for _, unchanged := range []bool{false, true} {
				for _, kind := range order {
					said := command(t, environ, "import", kind, filepath.Join(dir, kind+".csv"), "--account", fresh).ok(t)
					if !strings.Contains(said, " 0 corrected, 0 refused") || unchanged && !strings.Contains(said, " 0 new,") {
						rt.Errorf("%s: %s", kind, said)
					}
				}
			}
			if rapid.Bool().Draw(rt, "days are prepared") {
				h.work()
			}
			for _, question := range p.questions(rt) {
				if lived, brought := h.answer(h.opened.Tokens[account.Marketer], question), h.answer(token, question); lived != brought {
					rt.Errorf("%s:\n%s", question, unlike(lived, brought))
				}
			}
			h.close()
			nothingDiffers(t, command(t, environ, "replay"))
		})
	})
}

// past is a history in the making: what of it the next act refers to.
type past struct {
	h        *house
	key      string
	at       time.Time
	visitors [4]string
	calls    [4]callJSON // the latest of each person
	sales    [4]string   // the latest, until it is given back
	onSale   [4]string   // the call that it was booked on
	in       [4]string   // its currency
	said     map[string]bool
	senders  map[string][]string // by who was sent
	google   string              // the source's id
}

// The numbers of the house: printed on a poster, and one that tells nothing.
const (
	posterNumber = "+13125550199"
	plainNumber  = "+13125550188"
)

// rates are what the euro is worth; a week of some history has none.
var rates = map[string]any{"items": []map[string]any{
	{"day": "2026-10-06", "currency": "EUR", "rate": "1.0837"},
	{"day": "2026-10-08", "currency": "EUR", "rate": "1.1"},
	{"day": "2026-10-25", "currency": "EUR", "rate": "1.07"},
}}

func newPast(h *house) *past {
	h.t.Helper()
	p := &past{h: h, key: h.shop(8), at: storyStart, said: map[string]bool{}, senders: map[string][]string{}}
	p.google = h.make("/v1/sources", map[string]any{"name": "Google", "medium": "cpc"})
	poster := h.make("/v1/sources", map[string]any{"name": "Poster", "medium": "outdoor", "kind": "offline"})
	h.number(posterNumber, map[string]any{"source_id": poster, "campaign": "north"})
	h.number(plainNumber, map[string]any{})
	h.call(account.Owner, http.MethodPatch, "/v1/account", map[string]any{"margin_rate": 0.37}, nil)
	h.call(account.Marketer, http.MethodPut, "/v1/rates", rates, nil)
	for _, spend := range []map[string]any{
		{"source": "google", "from": "2026-10-06", "until": "2026-11-20", "cost": money("500.00")},
		{"source": "Poster", "from": "2026-10-06", "until": "2026-12-01", "cost": money("80.01")},
		{"source": "newsletter", "medium": "email", "campaign": "nov", "from": "2026-10-10", "until": "2026-10-11", "cost": money("9.99")},
	} {
		h.call(account.Marketer, http.MethodPost, "/v1/spend", spend, nil)
	}
	return p
}

// listSources makes sources and rates of another account what they are here.
func (p *past) listSources(accountID string) {
	h := p.h
	h.t.Helper()
	_, token, err := h.stage.program.directory.CreateToken(h.t.Context(), account.Operator(accountID), account.TokenParams{Name: "lists", Role: account.Owner})
	if err != nil {
		h.t.Fatal(err)
	}
	owner := h.stage.api(token)
	call := func(method, path string, in, out any) {
		if err := owner.call(h.t.Context(), method, path, in, out); err != nil {
			h.t.Fatal(err)
		}
	}
	call(http.MethodPut, "/v1/rates", rates, nil)
	var google struct{ ID string }
	call(http.MethodPost, "/v1/sources", map[string]any{"name": "Google", "medium": "cpc"}, &google)
	call(http.MethodPost, "/v1/sources", map[string]any{"name": "Poster", "medium": "outdoor", "kind": "offline"}, nil)
	if p.said["rename"] {
		call(http.MethodPatch, "/v1/sources/"+google.ID, map[string]any{"name": "Search"}, nil)
	}
}

// once says whether it is the first time that something is said of something.
func (p *past) once(what ...string) bool {
	key := strings.Join(what, " ")
	was := p.said[key]
	p.said[key] = true
	return !was
}

// sent says whether a person is, or was sent by, another: nobody is sent by whom they
// sent.
func (p *past) sent(person, by string) bool {
	return by == person || slices.ContainsFunc(p.senders[by], func(sender string) bool { return p.sent(person, sender) })
}

func phoneOf(who int) string { return fmt.Sprintf("+1212555%04d", 100+who) }

// play lets the act happen, where there is something that it can refer to.
func (p *past) play(a act) {
	h := p.h
	h.t.Helper()
	p.at = p.at.Add(a.After)
	h.until(p.at)
	call := p.calls[a.Who]
	on := "/v1/calls/" + call.ID
	switch a.Kind {
	case "look":
		p.land(a)
	case "call", "miss":
		p.ring(a, p.land(a))
	case "poster":
		p.ring(a, posterNumber)
	case "dial":
		p.ring(a, plainNumber)
	case "hidden":
		h.place(loopback.CallScript{From: "anonymous", To: posterNumber, At: p.at.Add(time.Second), Patience: 12 * time.Second})
	case "ask":
		h.enquire(map[string]any{
			"external_id": fmt.Sprint("form-", p.at.Unix()), "person": phoneOf(a.Who), "kind": []string{"form", "chat"}[a.N%2], "at": p.at,
			"source": []string{"google", "", "fair", "poster", "newsletter"}[a.N%5], "campaign": []string{"", "nov", "north"}[a.N%3],
		}, a.N%4 > 0)
	case "rename":
		if p.once("rename") {
			h.call(account.Manager, http.MethodPatch, "/v1/sources/"+p.google, map[string]any{"name": "Search"}, nil)
		}
	}
	if call.ID == "" {
		return
	}
	switch a.Kind {
	case "sell":
		var at []time.Time
		if a.N%3 == 0 && p.once("sold at once", call.ID) {
			at = append(at, call.StartedAt)
		}
		p.in[a.Who] = []string{"USD", "USD", "EUR"}[a.N%3]
		value := map[string]string{"amount": fmt.Sprintf("%d.%02d", 40+7*a.N, a.N), "currency": p.in[a.Who]}
		p.sales[a.Who], p.onSale[a.Who] = h.sell(call.ID, value, a.N%4 == 0, at...), call.ID
	case "refund":
		if p.sales[a.Who] != "" {
			h.giveBack(p.onSale[a.Who], p.sales[a.Who], map[string]string{"amount": []string{"0.07", "12.34", "40.00"}[a.N%3], "currency": p.in[a.Who]})
			p.sales[a.Who] = ""
		}
	case "score":
		if call.Outcome == "answered" || p.said["called back "+call.ID] { // else there is nothing to score
			h.score(call.ID, a.N%5, a.N/5%5)
		}
	case "rate":
		if p.once("rated", call.ID) {
			kind, most := "csat", 5
			if a.N%2 == 0 {
				kind, most = "nps", 10
			}
			h.call(account.Agent, http.MethodPost, on+"/feedback", map[string]any{"kind": kind, "value": 1 + a.N%most}, nil)
		}
	case "call back":
		if call.Outcome != "answered" && p.once("called back", call.ID) {
			h.call(account.Agent, http.MethodPost, on+"/callback", map[string]any{"connected": true}, nil)
		}
	case "refer":
		if from := phoneOf(a.N % 6); !p.sent(phoneOf(a.Who), from) && p.once("referred", call.ID) {
			p.senders[phoneOf(a.Who)] = append(p.senders[phoneOf(a.Who)], from)
			h.call(account.Agent, http.MethodPost, on+"/referral", map[string]any{"referrer": from}, nil)
		}
	case "tag":
		h.call(account.Agent, http.MethodPut, on+"/tags/emergency", nil, nil)
	}
}

// land opens the site; some arrivals say nothing of where they come from.
func (p *past) land(a act) (number string) {
	p.h.t.Helper()
	from := []string{
		"?utm_source=google&utm_medium=cpc&utm_campaign=nov&gclid=g1", "?utm_source=newsletter&utm_medium=email&utm_campaign=nov&utm_content=top", "",
		"?utm_source=google&utm_medium=organic", "?utm_source=newsletter&utm_medium=email&utm_campaign=dec",
	}[a.N%5]
	p.visitors[a.Who], number = p.h.land(p.key, p.visitors[a.Who], shop+"/"+from)
	return number
}

// ring calls, is answered unless it is missed, and then judged. A file tells one
// wait of a missed call: from the first ring on. How long it was before that, which
// decides whether it was hung up at once, is not told, so nobody gives up just then.
func (p *past) ring(a act, number string) {
	h := p.h
	h.t.Helper()
	script := loopback.CallScript{From: phoneOf(a.Who), To: number, At: p.at.Add(40 * time.Second), Patience: []time.Duration{2, 4, 12, 19, 26}[a.N%5] * time.Second}
	if a.Kind != "miss" {
		script.Patience = 0
		script.Phone = func(string, int) loopback.Phone {
			return loopback.Phone{Answers: true, After: time.Duration(2+a.N%12) * time.Second, Talk: time.Duration(30+a.N) * time.Second}
		}
	}
	h.place(script)
	p.at = h.stage.clock.Now()
	call := h.calls("limit=1&caller=" + url.QueryEscape(script.From))[0]
	p.calls[a.Who] = call
	if name := []string{"Lead", "Sale", "Qualified lead", "Not a lead", "Spam", ""}[a.N%6]; name != "" && a.Kind != "miss" {
		h.call(account.Agent, http.MethodPut, "/v1/calls/"+call.ID+"/disposition", map[string]any{"disposition": name}, nil)
	}
}

// questions are what both accounts are asked.
func (p *past) questions(t *rapid.T) []string {
	until := p.at.Add(48 * time.Hour).Format(time.DateOnly)
	span := "from=2026-10-06&until=" + until
	list := []string{
		"/v1/reports/momentum?baseline=2026-10-06/2026-10-13&" + span,
		"/v1/reports/momentum?period=week&by=source&" + span,
		"/v1/reports/agents?" + span,
		"/v1/reports/response?group_by=source,medium,campaign&" + span,
		"/v1/reports/roi?origin=true&group_by=source,medium&" + span,
	}
	for range 12 {
		list = append(list, fmt.Sprintf("/v1/reports/roi?%s&group_by=%s&credit_for=%s&model=%s&window_days=%d", span,
			rapid.SampledFrom([]string{"", "source", "medium", "campaign", "source,medium,campaign", "landing_page", "week", "tag", "agent"}).Draw(t, "groups"),
			rapid.SampledFrom([]string{"call", "lead", "qualified", "sale"}).Draw(t, "goal"),
			rapid.SampledFrom([]string{
				"first_touch", "last_touch", "last_non_direct", "lead_creation", "linear", "position", "time_decay", "w_shaped", "full_path", "markov", "shapley", "stored_winner",
			}).Draw(t, "model"), rapid.SampledFrom([]int{5, 90}).Draw(t, "window")))
	}
	return list
}
