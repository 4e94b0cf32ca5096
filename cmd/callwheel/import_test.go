package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// A small world is played through the doors: people come from several places,
// call, come again, buy and buy again. What is known of it is written to the
// four files, and read into an account that is empty. Both accounts then answer
// every question alike.
func TestImportedHistoryReportsAsWhatCameThroughTheDoors(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		h := newHouse(t, databaseURL)
		h.playMonths()
		dir := t.TempDir()
		h.export(dir, tellAll)

		fresh, token := h.anew()
		environ := environOf(t, databaseURL)
		for _, kind := range []string{"calls", "outcomes", "touches", "spend"} { // in no helpful order
			said := command(t, environ, "import", kind, filepath.Join(dir, kind+".csv"), "--account", fresh).ok(t)
			if !strings.Contains(said, " 0 unchanged, 0 corrected, 0 refused") || strings.Contains(said, " 0 new") {
				t.Errorf("%s: %s", kind, said)
			}
		}

		const span = "from=2026-10-06&until=2026-11-26"
		questions := []string{
			"/v1/reports/momentum?from=2026-10-31&until=2026-11-26&baseline=2026-10-05/2026-10-31",
			"/v1/reports/momentum?baseline=2026-10-05/2026-10-31&" + span,
			"/v1/reports/momentum?period=week&" + span,
			"/v1/reports/momentum?period=month&by=source&" + span,
			"/v1/reports/agents?" + span,
			"/v1/reports/response?" + span,
			"/v1/reports/response?group_by=source,campaign&" + span,
			"/v1/reports/roi?origin=true&group_by=source&" + span,
		}
		for _, groups := range []string{"", "source", "source,medium,campaign", "month", "landing_page,term,content", "week,agent", "tag"} {
			for _, goal := range []string{"call", "lead", "qualified", "sale"} {
				for _, model := range []string{"first_touch", "last_touch", "last_non_direct", "linear", "stored_winner"} {
					questions = append(questions, fmt.Sprintf("/v1/reports/roi?%s&group_by=%s&credit_for=%s&model=%s", span, groups, goal, model))
				}
			}
		}
		for _, question := range questions {
			lived := h.answer(h.opened.Tokens[account.Marketer], question)
			brought := h.answer(token, question)
			if lived != brought {
				t.Errorf("%s:\n%s", question, unlike(lived, brought))
			}
		}
		var world struct {
			Periods []struct {
				Index  *float64
				Parts  map[string]*float64
				Counts map[string]any
			}
		}
		h.call(account.Marketer, http.MethodGet, questions[1], nil, &world)
		wheel := world.Periods[0]
		for name, part := range wheel.Parts {
			if part == nil || *part == 0 || *part == 1 {
				t.Errorf("the world is too small to compare: %s is %v", name, part)
			}
		}
		if wheel.Index == nil || fmt.Sprint(wheel.Counts["referrals"]) == "0" || fmt.Sprint(wheel.Counts["repeats"]) == "0" {
			t.Errorf("the world is too small to compare: index %v, counts %v", wheel.Index, wheel.Counts)
		}

		for _, kind := range []string{"touches", "outcomes", "spend", "calls"} {
			said := command(t, environ, "import", kind, filepath.Join(dir, kind+".csv"), "--account", fresh).ok(t)
			if !strings.Contains(said, " 0 new, ") || !strings.Contains(said, " 0 corrected, 0 refused") {
				t.Errorf("%s again: %s", kind, said)
			}
		}
		h.close()
		nothingDiffers(t, command(t, environ, "replay"))
	})
}

// anew opens an account that is empty but for its lists, with the same margin rate,
// and returns its id and a marketer's token.
func (h *house) anew() (id, token string) {
	h.t.Helper()
	directory := h.stage.program.directory
	fresh, err := directory.Create(h.t.Context(), account.AccountParams{Name: "Harbor Plumbing, again", TZ: "America/New_York", Currency: "USD"})
	if err == nil {
		err = h.stage.program.desk.SeedLists(h.t.Context(), fresh.ID)
	}
	var lived account.Account
	if err == nil {
		lived, err = directory.Get(h.t.Context(), h.opened.AccountID)
	}
	if err == nil {
		_, err = directory.Update(h.t.Context(), account.Operator(fresh.ID), account.AccountChange{MarginPPM: &lived.MarginPPM}, nil)
	}
	if err == nil {
		_, token, err = directory.CreateToken(h.t.Context(), account.Operator(fresh.ID), account.TokenParams{Name: "fresh", Role: account.Marketer})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return fresh.ID, token
}

// playMonths lets 35 persons come and call for seven weeks.
func (h *house) playMonths() {
	h.t.Helper()
	key := h.shop(12)
	billboard := h.make("/v1/sources", map[string]any{"name": "Billboard", "medium": "outdoor", "kind": "offline"})
	h.number("+13125550199", map[string]any{"source_id": billboard, "campaign": "highway"})
	landings := []string{
		"?utm_source=google&utm_medium=cpc&utm_campaign=emergency&utm_term=plumber&gclid=g1",
		"?utm_source=newsletter&utm_medium=email&utm_campaign=autumn&utm_content=top",
		"", // direct
		"?utm_source=facebook&utm_medium=social&utm_campaign=autumn",
	}
	visitors := map[int]string{}
	lastCall := map[int]string{}
	at := storyStart
	for i := range 86 {
		at = at.Add(14*time.Hour + time.Duration(i%5)*7*time.Minute)
		h.until(at)
		who := i * 11 % 35
		if call := lastCall[who]; call != "" && i%4 == 2 {
			sale := h.sell(call, money(fmt.Sprintf("%d.%02d", 40+7*i, i)), i%3 == 0)
			if i%12 == 6 {
				h.giveBack(call, sale, money("17.23"))
			}
		}
		if i%7 == 3 {
			h.enquire(map[string]any{
				"external_id": fmt.Sprint("form-", i), "person": fmt.Sprintf("+1212555%04d", 100+who), "kind": []string{"form", "chat"}[i%2], "at": at,
				"source": []string{"google", "", "fair", "Billboard"}[i%4], "medium": []string{"", "", "", "outdoor"}[i%4], "campaign": []string{"", "emergency"}[i%2],
			}, i%3 != 0)
		}
		number := "+13125550199"
		if i%6 != 4 {
			visitors[who], number = h.land(key, visitors[who], shop+"/jobs"+landings[i%4])
		}
		if i%9 == 7 {
			continue // only looked
		}
		from := fmt.Sprintf("+1212555%04d", 100+who)
		script := loopback.CallScript{From: from, To: number, At: at.Add(40 * time.Second), Patience: 25 * time.Second}
		if i%5 != 3 {
			script.Patience = 0
			script.Phone = func(string, int) loopback.Phone {
				return loopback.Phone{Answers: true, After: time.Duration(4+i%9) * time.Second, Talk: time.Duration(60+i) * time.Second}
			}
		}
		h.place(script)
		call := h.calls("limit=1")[0]
		if call.From.E164 == nil || *call.From.E164 != from {
			h.t.Fatalf("the latest call is not %s's: %+v", from, call.From)
		}
		lastCall[who] = call.ID
		if i%10 == 4 && who > 0 {
			h.call(account.Agent, http.MethodPost, "/v1/calls/"+call.ID+"/referral", map[string]any{"referrer": fmt.Sprintf("+1212555%04d", 100+who/2)}, nil)
		}
		if script.Phone == nil {
			if i%2 == 0 {
				h.call(account.Agent, http.MethodPost, "/v1/calls/"+call.ID+"/callback", map[string]any{"connected": true, "at": call.StartedAt.Add(time.Duration(i) * time.Minute)}, nil)
			}
			continue
		}
		if i%2 == 0 {
			h.score(call.ID, i%5, (i+2)%5)
		}
		if i%3 == 0 {
			kind, most := "csat", 5
			if i%2 == 0 {
				kind, most = "nps", 10
			}
			h.call(account.Agent, http.MethodPost, "/v1/calls/"+call.ID+"/feedback", map[string]any{
				"kind": kind, "value": 1 + i%most, "given_at": call.StartedAt.Add(time.Duration(i) * time.Hour / 8),
			}, nil)
		}
		h.call(account.Agent, http.MethodPut, "/v1/calls/"+call.ID+"/disposition", map[string]any{
			"disposition": []string{"Lead", "Sale", "Qualified lead", "Not a lead", "Lead", "Spam"}[i%6],
		}, nil)
		if i%6 == 1 {
			h.sell(call.ID, money(fmt.Sprintf("%d.50", 200+i)), false, call.StartedAt)
		}
		if i%7 == 0 {
			h.call(account.Agent, http.MethodPut, "/v1/calls/"+call.ID+"/tags/emergency", nil, nil)
		}
	}
	for _, spend := range []map[string]any{
		{"source": "google", "medium": "cpc", "campaign": "emergency", "from": "2026-10-06", "until": "2026-11-20", "cost": money("1234.56")},
		{"source": "google", "medium": "cpc", "campaign": "emergency", "from": "2026-10-20", "until": "2026-10-21", "cost": money("99.99")},
		{"source": "billboard", "medium": "outdoor", "from": "2026-10-01", "until": "2026-12-01", "cost": money("800.00")},
	} {
		h.call(account.Marketer, http.MethodPost, "/v1/spend", spend, nil)
	}
}

// land opens a page as a browser that may have been there before.
func (h *house) land(key, visitor, page string) (known, number string) {
	h.t.Helper()
	body, _ := json.Marshal(map[string]any{"visitor": visitor, "session": "", "page": page, "referrer": "", "numbers": []string{printed}, "consent": nil})
	got := send(h.t, h.stage.client, http.MethodPost, h.url("/dni/v1/"+key+"/visits"), string(body), "Content-Type", "application/json", "Origin", shop,
		"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36").is(h.t, http.StatusOK)
	answer := parsed[struct {
		Visitor string
		Swap    map[string]struct{ E164 string }
	}](h.t, got.body)
	return answer.Visitor, answer.Swap[printed].E164
}

// sell books a sale and returns its id.
func (h *house) sell(call string, value map[string]string, margin bool, at ...time.Time) string {
	h.t.Helper()
	sale := map[string]any{"value": value}
	if len(at) > 0 {
		sale["sold_at"] = at[0]
	}
	if margin {
		sale["margin"] = map[string]string{"amount": "20.00", "currency": value["currency"]}
	}
	var made struct{ ID string }
	h.call(account.Agent, http.MethodPost, "/v1/calls/"+call+"/sales", sale, &made)
	return made.ID
}

// giveBack books the refund of a part of a sale.
func (h *house) giveBack(call, sale string, value map[string]string) {
	h.t.Helper()
	h.call(account.Agent, http.MethodPost, "/v1/calls/"+call+"/sales", map[string]any{"value": value, "refund_of": sale}, nil)
}

// score fills in the house's scorecard.
func (h *house) score(call string, levels ...int) {
	h.t.Helper()
	var marks []map[string]any
	for i, c := range h.card.Criteria {
		marks = append(marks, map[string]any{"criterion": c.ID, "level": levels[i]})
	}
	h.call(account.Agent, http.MethodPost, "/v1/calls/"+call+"/scores", map[string]any{"scorecard": h.card.ID, "marks": marks}, nil)
}

// enquire hands in a form or a chat, and that it was answered an hour later.
func (h *house) enquire(enquiry map[string]any, answered bool) {
	h.t.Helper()
	if answered {
		enquiry["answered_at"] = enquiry["at"].(time.Time).Add(time.Hour)
	}
	h.call(account.Agent, http.MethodPost, "/v1/enquiries", enquiry, nil)
}

// answer is a report without what differs between two accounts by right.
func (h *house) answer(token, question string) string {
	h.t.Helper()
	got := h.ask(token, http.MethodGet, question, "").is(h.t, http.StatusOK)
	a := parsed[map[string]any](h.t, got.body)
	delete(a, "generated_at")
	rows, _ := a["rows"].([]any)
	kept := []any{}
	for _, r := range rows {
		row := r.(map[string]any)
		delete(row, "agent_id")
		// No file tells on whose phone a call rang in vain, nor for how long.
		if _, person := row["offered"]; person {
			if row["answered"] == 0. {
				continue // no file names who never answered
			}
			for _, figure := range []string{"offered", "ring_median_seconds", "ring_p90_seconds"} {
				delete(row, figure)
			}
		}
		kept = append(kept, row)
	}
	if rows != nil {
		a["rows"] = kept
	}
	if totals, ok := a["totals"].(map[string]any); ok {
		if _, person := totals["offered"]; person {
			for _, figure := range []string{"offered", "ring_median_seconds", "ring_p90_seconds"} {
				delete(totals, figure)
			}
		}
	}
	text, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// unlike shows where two answers first differ.
func unlike(lived, brought string) string {
	a, b := strings.Split(lived, "\n"), strings.Split(brought, "\n")
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("lived\n%s\nbrought\n%s", strings.Join(a[max(0, i-40):min(len(a), i+20)], "\n"), strings.Join(b[max(0, i-3):min(len(b), i+20)], "\n"))
}

// telling is how much the file of calls says of where a call came from, when a
// touch in the other file tells it too.
type telling string

const (
	tellAll     telling = "source, medium and campaign"
	tellSource  telling = "the source alone"
	tellNothing telling = "nothing"
)

// export writes what is known to the four files, as somebody who changes the
// house would.
func (h *house) export(dir string, tell telling) {
	h.t.Helper()
	ctx, db, id := h.t.Context(), h.stage.program.db, h.opened.AccountID
	write := func(kind string, records [][]string) {
		file, err := os.Create(filepath.Join(dir, kind+".csv"))
		if err != nil {
			h.t.Fatal(err)
		}
		defer file.Close()
		if err := csv.NewWriter(file).WriteAll(records); err != nil {
			h.t.Fatal(err)
		}
	}

	var touches []struct {
		ID, Person, Source, Medium, Campaign, Term, Content string
		At                                                  store.Time
		Landing                                             string
		Referrer                                            string
	}
	err := db.Select(ctx, &touches, `
		SELECT t.touch_id AS id, COALESCE(l.person, t.person) AS person, t.touched_at AS at, t.source, t.medium, t.campaign, t.term, t.content,
			t.landing_page AS landing, t.referrer
		FROM touches t LEFT JOIN person_links l ON l.account_id = t.account_id AND l.alias = t.person
		WHERE t.account_id = ?`, id)
	if err != nil {
		h.t.Fatal(err)
	}
	records := [][]string{{"touch_id", "person", "touched_at", "source", "medium", "campaign", "term", "content", "landing_page", "referrer", "enquiry", "answered_at", "referred_by"}}
	for _, t := range touches {
		records = append(records, []string{t.ID, t.Person, t.At.Format(time.RFC3339Nano), t.Source, t.Medium, t.Campaign, t.Term, t.Content, t.Landing, t.Referrer, "", "", ""})
	}
	var enquiries struct {
		Items []struct {
			ExternalID string `json:"external_id"`
			Person     string
			Kind       string
			At         string
			Source     *string
			Medium     *string
			Campaign   *string
			AnsweredAt *string `json:"answered_at"`
		}
	}
	h.call(account.Manager, http.MethodGet, "/v1/enquiries?limit=500", nil, &enquiries)
	askedBy := map[string]string{}
	var sentToAsk []struct{ ID, Referrer string }
	if err := db.Select(ctx, &sentToAsk, `
		SELECT e.external_id AS id, r.referrer FROM referrals r JOIN enquiries e ON e.account_id = r.account_id AND e.person = r.referred AND e.at = r.referred_at
		WHERE r.account_id = ?`, id); err != nil {
		h.t.Fatal(err)
	}
	for _, s := range sentToAsk {
		askedBy[s.ID] = s.Referrer
	}
	for _, e := range enquiries.Items {
		records = append(records, []string{e.ExternalID, e.Person, e.At, text(e.Source), text(e.Medium), text(e.Campaign), "", "", "", "", e.Kind, text(e.AnsweredAt), askedBy[e.ExternalID]})
	}
	write("touches", records)
	var sent []struct{ CallID, Referrer string }
	if err := db.Select(ctx, &sent, `
		SELECT c.call_id AS callid, r.referrer FROM referrals r JOIN calls c ON c.account_id = r.account_id AND c.from_e164 = r.referred AND c.started_at = r.referred_at
		WHERE r.account_id = ?`, id); err != nil {
		h.t.Fatal(err)
	}
	referred := map[string]string{}
	for _, s := range sent {
		referred[s.CallID] = s.Referrer
	}

	var given []struct {
		CallID, Name string
		At           store.Time
	}
	if err := db.Select(ctx, &given, `
		SELECT g.call_id AS callid, d.name, g.given_at AS at FROM call_dispositions g
		JOIN dispositions d ON d.account_id = g.account_id AND d.disposition_id = g.disposition_id
		WHERE g.account_id = ? ORDER BY g.given_at, g.judgement_id`, id); err != nil {
		h.t.Fatal(err)
	}
	disposed := map[string][2][]string{} // names and instants
	for _, g := range given {
		d := disposed[g.CallID]
		disposed[g.CallID] = [2][]string{append(d[0], g.Name), append(d[1], g.At.Format(time.RFC3339Nano))}
	}

	records = [][]string{{"outcome_id", "person", "call_id", "won_at", "value", "margin", "refunded", "currency"}}
	sold := map[string][]string{}
	desks := map[string]deskJSON{}
	calls := h.calls("limit=500")
	for _, c := range calls {
		desk := h.desk(c.ID)
		desks[c.ID] = desk
		for _, s := range desk.Sales {
			margin := ""
			if s.Margin != nil {
				margin = s.Margin.Amount
			}
			worth := []string{s.Value.Amount, margin, s.Refunded.Amount, s.Value.Currency}
			switch {
			case s.RefundOf != nil:
			case s.SoldAt.Equal(c.StartedAt) && sold[c.ID] == nil:
				sold[c.ID] = worth
			default:
				records = append(records, slices.Concat([]string{s.ID, *c.From.E164, c.ProviderCallID, s.SoldAt.Format(time.RFC3339Nano)}, worth))
			}
		}
	}
	write("outcomes", records)

	records = [][]string{{
		"call_id", "started_at", "from", "tracking_number", "outcome", "ring_seconds", "talk_seconds", "source", "medium", "campaign", "agent", "tags", "disposition", "disposed_at",
		"value", "margin", "refunded", "currency", "score", "csat", "nps", "rated_at", "called_back_at", "referred_by",
	}}
	count := func(n *int64) string {
		if n == nil {
			return ""
		}
		return fmt.Sprint(*n)
	}
	waited := h.waited(calls)
	for _, c := range calls {
		source := []string{"untracked", "", ""}
		if a := c.Attribution; a != nil && a.Source != nil && a.Confidence >= 0.7 {
			source = []string{*a.Source, text(a.Medium), text(a.Campaign)}
			switch {
			case a.VisitorID == nil:
			case tell == tellSource:
				source = []string{*a.Source, "", ""}
			case tell == tellNothing:
				source = []string{"", "", ""}
			}
		}
		agent := ""
		if c.Agent != nil {
			agent = c.Agent.Name
		}
		if sold[c.ID] == nil {
			sold[c.ID] = make([]string, 4)
		}
		records = append(records, slices.Concat([]string{
			c.ProviderCallID, c.StartedAt.Format(time.RFC3339Nano), cmp.Or(text(c.From.E164), "anonymous"), c.TrackingNumber.E164, c.Outcome, count(waited[c.ID]), count(c.TalkSeconds),
		}, source, []string{agent, strings.Join(c.Tags, "; "), strings.Join(disposed[c.ID][0], "; "), strings.Join(disposed[c.ID][1], "; ")}, sold[c.ID], desks[c.ID].facts(), []string{referred[c.ID]}))
	}
	write("calls", records)

	records = [][]string{{"source", "medium", "campaign", "from", "until", "amount", "currency"}}
	var spend struct {
		Items []struct {
			Source, Medium, Campaign, From, Until string
			Cost                                  struct{ Amount, Currency string }
		}
	}
	h.call(account.Marketer, http.MethodGet, "/v1/spend?"+url.Values{"limit": {"500"}}.Encode(), nil, &spend)
	for _, s := range spend.Items {
		records = append(records, []string{s.Source, s.Medium, s.Campaign, s.From, s.Until, s.Cost.Amount, s.Cost.Currency})
	}
	write("spend", records)
}

// deskJSON is what people said of a call, as the API shows it.
type deskJSON struct {
	Score *float64
	Sales []struct {
		ID       string
		Value    struct{ Amount, Currency string }
		Margin   *struct{ Amount string }
		Refunded struct{ Amount string }
		RefundOf *string   `json:"refund_of"`
		SoldAt   time.Time `json:"sold_at"`
	}
	Feedback []struct {
		Kind    string
		Value   int
		GivenAt string `json:"given_at"`
	}
	CallBacks []struct {
		CalledAt  string `json:"called_at"`
		Connected bool
	}
}

func (h *house) desk(call string) (desk deskJSON) {
	h.t.Helper()
	h.call(account.Manager, http.MethodGet, "/v1/calls/"+call+"/desk", nil, &desk)
	return desk
}

// facts are the columns score, csat, nps, rated_at and called_back_at.
func (d deskJSON) facts() []string {
	list := make([]string, 5)
	if d.Score != nil {
		list[0] = fmt.Sprint(*d.Score)
	}
	for _, f := range d.Feedback {
		list[map[string]int{"csat": 1, "nps": 2}[f.Kind]] = fmt.Sprint(f.Value)
		list[3] = f.GivenAt
	}
	for _, c := range d.CallBacks {
		if c.Connected && (list[4] == "" || c.CalledAt < list[4]) {
			list[4] = c.CalledAt
		}
	}
	return list
}

// waited is how long the phone rang, and of calls that nobody answered how long
// their callers heard it.
func (h *house) waited(calls []callJSON) map[string]*int64 {
	h.t.Helper()
	var gaveUp []struct {
		CallID  string `db:"call_id"`
		Seconds int64  `db:"seconds"`
	}
	if err := h.stage.program.db.Select(h.t.Context(), &gaveUp, `
		SELECT c.call_id, (c.ended_at - COALESCE((SELECT min(l.ringing_at) FROM legs l WHERE l.account_id = c.account_id AND l.call_id = c.call_id), c.started_at)) / 1000000 AS seconds
		FROM calls c WHERE c.account_id = ? AND c.ended_at IS NOT NULL`, h.opened.AccountID); err != nil {
		h.t.Fatal(err)
	}
	seconds := map[string]*int64{}
	for i := range gaveUp {
		seconds[gaveUp[i].CallID] = &gaveUp[i].Seconds
	}
	for _, c := range calls {
		if c.Outcome == "answered" {
			seconds[c.ID] = c.RingSeconds
		}
	}
	return seconds
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
