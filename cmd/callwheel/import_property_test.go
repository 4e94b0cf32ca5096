package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scripts/draws"
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
	"judge", "judge", "assign", "sell hidden",
}

func drawAct(t *rapid.T) act {
	return act{
		Kind: rapid.SampledFrom(acts).Draw(t, "kind"), Who: rapid.IntRange(0, 3).Draw(t, "who"), N: rapid.IntRange(0, 59).Draw(t, "n"),
		After: time.Duration(rapid.SampledFrom([]int{0, 7, 45, 600, 1500, 4000}).Draw(t, "after")) * time.Minute,
	}
}

// Any history that is played through the doors, written to files and brought into
// another account is answered alike there, whatever the file of calls leaves open
// that the touches tell, in whichever order the files come, and whatever other
// lines of the same ids told before.
func TestAnyHistoryIsTheSameBroughtIn(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		fresh := func() string { return storetest.SQLiteURL(t) }
		draws.Few(t, 8)
		if !strings.HasPrefix(databaseURL, "sqlite:") {
			fresh = func() string { return storetest.PostgresURL(t) }
			draws.Few(t, 25) // of those
		}
		rapid.Check(t, func(rt *rapid.T) {
			history := rapid.SliceOfN(rapid.Custom(drawAct), 3, 24).Draw(rt, "history")
			tell := rapid.SampledFrom([]telling{tellAll, tellSource, tellNothing}).Draw(rt, "the file of calls tells")
			order := rapid.Permutation(fileKinds).Draw(rt, "order")
			databaseURL := fresh()
			p := newPast(newHouse(t, databaseURL))
			defer p.h.close()
			for _, a := range history {
				p.play(a)
			}
			dir := t.TempDir()
			p.h.export(dir, tell)
			b := p.elsewhere(rt, environOf(t, databaseURL))
			wrong := rapid.Bool().Draw(rt, "the files were wrong at first")
			if wrong {
				slips := filepath.Join(dir, "wrong")
				for _, kind := range order {
					slip(rt, t, dir, slips, kind)
					b.file(kind, slips, "--keep-going")
				}
			}
			b.bring(dir, order, wrong)
			if rapid.Bool().Draw(rt, "days are prepared") {
				p.h.work()
			}
			b.same(p.questions(rt)...)
			p.h.close()
			nothingDiffers(t, command(t, b.environ, "replay"))
		})
	})
}

// When a call was judged is a fact of its own: a history that differed by the
// moments between the end of a call and its disposition.
func TestTheMomentOfADispositionIsBroughtIn(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		p := newPast(newHouse(t, databaseURL))
		for _, a := range []act{{"dial", 2, 23, 7 * time.Minute}, {"refer", 2, 1, 7 * time.Minute}, {"dial", 2, 14, 7 * time.Minute}} {
			p.play(a)
		}
		dir := t.TempDir()
		p.h.export(dir, tellAll)
		b := p.elsewhere(t, environOf(t, databaseURL))
		b.bring(dir, []string{"calls", "outcomes", "spend", "touches"}, false)
		b.same("/v1/reports/momentum?period=week&by=source&from=2026-10-06&until=2026-10-08")
	})
}

var fileKinds = []string{"touches", "calls", "outcomes", "spend"}

// errorer is a test, or a case of a property.
type errorer interface {
	Helper()
	Errorf(format string, args ...any)
}

// another is an account into which a past is brought.
type another struct {
	t         errorer
	p         *past
	id, token string
	environ   []string
}

// elsewhere opens an account into which the past can be brought.
func (p *past) elsewhere(t errorer, environ []string) *another {
	b := &another{t: t, p: p, environ: environ}
	b.id, b.token = p.h.anew()
	p.listSources(b.id)
	return b
}

func (b *another) file(kind, dir string, flags ...string) ran {
	b.t.Helper()
	return command(b.p.h.t, b.environ, append([]string{"import", kind, filepath.Join(dir, kind+".csv"), "--account", b.id}, flags...)...)
}

// bring imports the files twice: the second time nothing is new.
func (b *another) bring(dir string, order []string, corrects bool) {
	b.t.Helper()
	for _, again := range []bool{false, true} {
		for _, kind := range order {
			said := b.file(kind, dir).ok(b.p.h.t)
			if !strings.Contains(said, " 0 refused") || !strings.Contains(said, " 0 corrected") && (again || !corrects) || again && !strings.Contains(said, " 0 new,") {
				b.t.Errorf("%s: %s", kind, said)
			}
		}
	}
}

// same asks both accounts.
func (b *another) same(questions ...string) {
	b.t.Helper()
	for _, question := range questions {
		if lived, brought := b.p.h.answer(b.p.h.opened.Tokens[account.Marketer], question), b.p.h.answer(b.token, question); lived != brought {
			b.t.Errorf("%s:\n%s", question, unlike(lived, brought))
		}
	}
}

// slip writes a file with some cells empty or those of other lines. What a line is
// known by stays, and who sent somebody, which is not taken back once it was told.
func slip(rt *rapid.T, t *testing.T, dir, to, kind string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, kind+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header, rows := lines[0], lines[1:]
	sent := slices.Index(header, "referred_by")
	if len(rows) > 0 {
		for range rapid.IntRange(0, 6).Draw(rt, "slips in "+kind) {
			row := rapid.SampledFrom(rows).Draw(rt, "line")
			at := rapid.IntRange(1, len(header)-1).Draw(rt, "column")
			from := rapid.SampledFrom(append([][]string{make([]string, len(header))}, rows...)).Draw(rt, "instead")
			if kind == "spend" {
				at = slices.Index(header, "amount") // the others are its key
			}
			if header[at] != "enquiry" && at != sent && (sent < 0 || row[sent] == "") {
				row[at] = from[at]
			}
		}
	}
	var wrong bytes.Buffer
	err = csv.NewWriter(&wrong).WriteAll(lines)
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(to, kind+".csv"), wrong.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// past is a history in the making: what of it the next act refers to.
type past struct {
	h        *house
	key      string
	at       time.Time
	visitors [4]string
	calls    [4][]callJSON
	agent    string    // who was told of by hand
	sales    [4]string // the latest, until it is given back
	onSale   [4]string // the call that it was booked on
	in       [4]string // its currency
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
	p.agent = h.make("/v1/agents", map[string]any{"name": "Ada"})
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
	var call callJSON
	if calls := p.calls[a.Who]; len(calls) > 0 {
		call = calls[len(calls)-1-a.N/7%min(3, len(calls))] // the latest, or one of those before
	}
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
	case "sell hidden":
		for _, c := range h.calls("limit=500") {
			if c.From.E164 == nil && p.once("sold at once", c.ID) {
				h.sell(c.ID, money("77.70"), a.N%2 == 0, c.StartedAt)
				break
			}
		}
	case "ask":
		enquiry := map[string]any{
			"external_id": fmt.Sprint("form-", p.at.Unix()), "person": phoneOf(a.Who), "kind": []string{"form", "chat"}[a.N%2], "at": p.at,
			"source": []string{"google", "", "fair", "poster", "newsletter"}[a.N%5], "campaign": []string{"", "nov", "north"}[a.N%3],
		}
		if from := phoneOf(a.N % 7); a.N%2 == 0 && !p.sent(phoneOf(a.Who), from) && p.once("asked by", enquiry["external_id"].(string)) {
			p.senders[phoneOf(a.Who)] = append(p.senders[phoneOf(a.Who)], from)
			enquiry["referred_by"] = from
		}
		h.enquire(enquiry, a.N%4 > 0)
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
		switch {
		case a.N%3 == 0 && p.once("sold at once", call.ID):
			at = append(at, call.StartedAt)
		case a.N%7 == 1: // it was noted late
			at = append(at, call.StartedAt.Add(-time.Duration(a.N)*time.Hour))
		}
		p.in[a.Who] = []string{"USD", "USD", "EUR"}[a.N%3]
		value := map[string]string{"amount": fmt.Sprintf("%d.%02d", 40+7*a.N, a.N), "currency": p.in[a.Who]}
		p.sales[a.Who], p.onSale[a.Who] = h.sell(call.ID, value, a.N%4 == 0, at...), call.ID
	case "refund":
		if p.sales[a.Who] != "" {
			amount := []string{"0.07", "12.34", "40.00"}[a.N%3]
			if amount != "0.07" {
				defer func() { p.sales[a.Who] = "" }() // hardly anything is left
			}
			h.giveBack(p.onSale[a.Who], p.sales[a.Who], map[string]string{"amount": amount, "currency": p.in[a.Who]})
		}
	case "judge":
		name := []string{"Lead", "Sale", "Qualified lead", "Not a lead", "Spam", "Existing customer"}[a.N%6]
		h.call(account.Agent, http.MethodPut, on+"/disposition", map[string]any{"disposition": name}, nil)
	case "assign":
		h.call(account.Agent, http.MethodPut, on+"/agent", map[string]any{"agent_id": p.agent}, nil)
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
		if call.Outcome != "answered" {
			connected := a.N%3 > 0
			if connected {
				p.said["called back "+call.ID] = true
			}
			h.call(account.Agent, http.MethodPost, on+"/callback", map[string]any{"connected": connected}, nil)
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
	p.calls[a.Who] = append(p.calls[a.Who], call)
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
