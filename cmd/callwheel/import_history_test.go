package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony/loopback"
)

const touchColumns = "touch_id,person,touched_at,source,medium,campaign,term,content,click_id,landing_page,referrer"

// rowsOf are the rows of an attribution report that have something in them, each
// as names and figures in one text.
func (h *house) rowsOf(params string) []string {
	h.t.Helper()
	var report struct {
		Rows []struct {
			Source   string  `json:"source"`
			Medium   string  `json:"medium"`
			Campaign string  `json:"campaign"`
			Calls    int     `json:"calls"`
			Credit   float64 `json:"credit"`
			Revenue  *struct{ Amount string }
		} `json:"rows"`
	}
	h.call(account.Marketer, http.MethodGet, "/v1/reports/attribution?group_by=source,medium,campaign&from=2026-09-01&until=2026-11-01&"+params, nil, &report)
	var list []string
	for _, r := range report.Rows {
		if r.Calls > 0 || r.Credit > 0 {
			list = append(list, fmt.Sprintf("%s/%s/%s: %d calls, credit %.3f, %s", r.Source, r.Medium, r.Campaign, r.Calls, r.Credit, r.Revenue.Amount))
		}
	}
	slices.Sort(list)
	return list
}

// everyGoal wants the same rows for every goal, by paths and by what the calls
// themselves are attributed to.
func (h *house) everyGoal(want ...string) {
	h.t.Helper()
	for _, goal := range []string{"call", "lead", "qualified", "sale"} {
		for _, model := range []string{"last_non_direct", "stored_winner"} {
			if got := h.rowsOf("credit_for=" + goal + "&model=" + model); !slices.Equal(got, want) {
				h.t.Errorf("credit for %s by %s: got %q, want %q", goal, model, got, want)
			}
		}
	}
}

// A touch tells more than the call that it caused: call, lead and sale stand in
// the row of the touch, whatever the file leaves open and whichever comes first.
func TestWhatOneTouchCausedStandsInOneRow(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		calls := []string{
			callColumns,
			"1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,newsletter,,,,,Lead,10.00,USD", // names the source only
			"2,2026-10-01T11:00:00Z,+12125550102,+13125550171,answered,5,60,,,,,,Lead,20.00,USD",           // names nothing
			"3,2026-10-01T12:00:00Z,+12125550103,+13125550171,answered,5,60,Newsletter,EMAIL,,,,Lead,30.00,USD",
		}
		touches := []string{touchColumns}
		for i, caller := range []string{"+12125550101", "+12125550102", "+12125550103"} {
			touches = append(touches,
				fmt.Sprintf("%d,%s,2026-09-20T10:00:00Z,newsletter,email,nov,,,,https://shop.example/,", i, caller),
				fmt.Sprintf("d%d,%s,2026-09-30T10:00:00Z,direct,,,,,,,", i, caller)) // says nothing of where they come from
		}
		b.file("calls", calls).ok(t)
		err := b.house.stage.program.db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE attributions SET candidates = '[]' WHERE method = 'imported'`) // as they were kept before
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.file("touches", touches).ok(t)
		b.house.everyGoal("newsletter/email/nov: 3 calls, credit 3.000, 60.00")
		for kind, lines := range map[string][]string{"calls": calls, "touches": touches} {
			if got := b.file(kind, lines).ok(t); !strings.Contains(got, " 0 new, ") || !strings.Contains(got, " 0 corrected") {
				t.Errorf("%s again: %s", kind, got)
			}
		}
		b.house.everyGoal("newsletter/email/nov: 3 calls, credit 3.000, 60.00")

		// A touch that turns out to be another's explains nothing here any more.
		b.file("touches", []string{
			touchColumns,
			"1,+12125550199,2026-09-20T10:00:00Z,newsletter,email,nov,,,,https://shop.example/,",
			"d1,+12125550199,2026-09-30T10:00:00Z,direct,,,,,,,",
		}).ok(t)
		call := b.house.calls("caller=%2B12125550102")[0]
		is(t, "method", call.Attribution.Method, "none")
		b.file("touches", touches).ok(t)
		call = b.house.calls("caller=%2B12125550102")[0]
		is(t, "method", call.Attribution.Method, "known_caller")
		isPtr(t, "landing page", call.Attribution.LandingPage, "https://shop.example/")
		b.house.everyGoal("newsletter/email/nov: 3 calls, credit 3.000, 60.00")
		b.house.close()
		nothingDiffers(t, command(t, b.environ, "replay"))
	})
}

// Where no touch tells more, the list of sources does, as it does of spend and of
// numbers that are bound to a source; what a file says itself stands.
func TestWhatAFileLeavesOpenIsTheSourcesOwn(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		b.house.make("/v1/sources", map[string]any{"name": "Radio", "medium": "broadcast", "kind": "offline"})
		b.file("touches", []string{touchColumns, "1,+12125550101,2026-08-20T10:00:00Z,radio,,,,,,,", "2,+12125550102,2026-09-20T10:00:00Z,radio,fm,,,,,,"}).ok(t)
		b.file("calls", []string{
			callColumns,
			"1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,,,,,,Lead,10.00,USD",
			"2,2026-10-01T10:00:00Z,+12125550102,+13125550171,answered,5,60,untracked,,,,,Lead,10.00,USD",
			"3,2026-10-01T10:00:00Z,+12125550103,+13125550171,answered,5,60,radio,,,,,Lead,10.00,USD",
			"4,2026-10-01T10:00:00Z,anonymous,+13125550171,answered,5,60,Radio,,,,,Lead,10.00,USD",
			"5,2026-10-01T10:00:00Z,+12125550105,+13125550171,answered,5,60,,,,,,Lead,10.00,USD",
			"6,2026-11-24T10:00:00Z,+12125550101,+13125550171,answered,5,60,,,,,,,,", // the touch was 96 days before
		}).ok(t)
		b.file("spend", []string{"source,from,until,amount,currency", "RADIO,2026-10-01,2026-10-02,5.00,USD"}).ok(t)
		got := b.house.rowsOf("credit_for=call&model=last_touch")
		want := []string{"Radio/broadcast/(none): 3 calls, credit 3.000, 30.00", "untracked/untracked/untracked: 2 calls, credit 2.000, 20.00"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		is(t, "method of a call long after the touch", b.house.calls("caller=%2B12125550101")[1].Attribution.Method, "none")
	})
}

// Touches that came through the doors explain calls that are brought in, too: the
// source that the file makes is the one that the page's address named.
func TestACallThatIsBroughtInIsExplainedByAVisit(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		h := b.house
		_, number := h.land(h.shop(4), "", shop+"/?utm_source=newsletter&utm_medium=email&utm_campaign=nov")
		h.place(loopback.CallScript{From: "+12125550101", To: number, At: storyStart.Add(40 * time.Second), Phone: func(string, int) loopback.Phone {
			return loopback.Phone{Answers: true, After: 5 * time.Second, Talk: time.Minute}
		}})
		b.file("calls", []string{
			callColumns,
			"1,2026-10-06T15:00:00Z,+12125550101,+13125550188,answered,5,60,Newsletter,,,,,Lead,10.00,USD",
			"2,2026-10-06T16:00:00Z,+12125550101,+13125550188,answered,5,60,,,,,,Lead,20.00,USD",
		}).ok(t)
		is(t, "stored winner", strings.Join(h.rowsOf("credit_for=sale&model=stored_winner"), "; "), "Newsletter/email/nov: 3 calls, credit 2.000, 30.00")
		is(t, "by paths", strings.Join(h.rowsOf("credit_for=sale&model=first_touch"), "; "),
			"(returning)/(returning)/(returning): 0 calls, credit 1.000, 20.00; Newsletter/email/nov: 3 calls, credit 1.000, 10.00")
	})
}

// A person's page tells what reports make of them: every touch in their path, what
// was brought in as an outcome, and what those bought whom they sent.
func TestACallersPageTellsTheirWholeHistory(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		h := b.house
		b.file("touches", []string{touchColumns, "1,+12125550101,2026-09-20T10:00:00Z,newsletter,email,nov,,,,,"}).ok(t)
		b.file("calls", []string{
			callColumns,
			"1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,newsletter,,,,,Lead,10.00,USD",
			"2,2026-10-01T11:00:00Z,+12125550101,+13125550171,answered,5,60,Radio,,,,,Lead,,",
			"3,2026-10-01T12:00:00Z,+12125550102,+13125550171,answered,5,60,Radio,,,,,Lead,30.00,USD",
		}).ok(t)
		b.file("outcomes", []string{
			"outcome_id,person,won_at,value,refunded,currency,referred_by",
			"1,+12125550101,2026-10-02T10:00:00Z,100.00,,USD,",
			"2,+12125550102,2026-10-02T10:00:00Z,200.00,50.00,USD,+12125550101",
			"3,+12125550102,2026-10-03T10:00:00Z,,,,", // nobody says for how much
		}).ok(t)
		for _, e := range []map[string]any{
			{"external_id": "f1", "source": "Newsletter", "at": "2026-09-21T10:00:00Z"}, // came from the touch
			{"external_id": "f2", "source": "Fair", "campaign": "spring", "at": "2026-09-22T10:00:00Z"},
			{"external_id": "f3", "at": "2026-09-23T10:00:00Z"},
		} {
			e["person"], e["kind"] = "+12125550101", "form"
			h.call(account.Agent, http.MethodPost, "/v1/enquiries", e, nil)
		}

		var page struct {
			Touches   []struct{ Kind, Source string }
			Enquiries []struct {
				ExternalID string `json:"external_id"`
			}
			Values   []struct{ Amount string }
			Sales    []struct{ Value struct{ Amount string } }
			Referred []struct {
				Referred struct{ E164 string }
				Sales    []struct {
					CallID *string `json:"call_id"`
					Value  struct{ Amount string }
				}
				Values []struct{ Amount string }
			}
		}
		h.call(account.Agent, http.MethodGet, "/v1/callers/+12125550101", nil, &page)
		is(t, "touches", fmt.Sprint(page.Touches), "[{call Radio} {enquiry Fair} {arrival newsletter}]")
		is(t, "enquiries", fmt.Sprint(page.Enquiries), "[{f3} {f2} {f1}]")
		is(t, "sales", fmt.Sprint(page.Sales), "[{{10.00}} {{100.00}}]")
		is(t, "values", fmt.Sprint(page.Values), "[{110.00}]")
		if len(page.Referred) != 1 || len(page.Referred[0].Sales) != 3 {
			t.Fatalf("whom they sent: got %+v", page.Referred)
		}
		sent := page.Referred[0]
		is(t, "who was sent", sent.Referred.E164, "+12125550102")
		is(t, "what they bought", fmt.Sprint(sent.Values), "[{180.00}]")
		isNull(t, "call of an outcome", sent.Sales[1].CallID)
	})
}

const factColumns = "call_id,started_at,from,tracking_number,value,margin,refunded,score,csat,nps,rated_at,called_back_at,referred_by"

// Worth, score, ratings, call-back and referral of a call are corrected like
// everything else of it, and stand beside what people say here.
func TestWhatAFileTellsOfACallIsCorrected(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		h := b.house
		at := "1,2026-10-01T10:00:00Z,+12125550101,+13125550171,"
		first := at + "100.00,40.00,25.00,87.5,4,9,2026-10-03T10:00:00Z,2026-10-01T11:00:00Z,+1 (212) 555-0102"
		b.file("calls", []string{factColumns, first}).ok(t)
		id := h.calls("")[0].ID
		h.score(id, 4, 2) // 62.5 points
		h.call(account.Agent, http.MethodPost, "/v1/calls/"+id+"/feedback", map[string]any{"kind": "csat", "value": 1}, nil)
		for _, s := range h.desk(id).Sales {
			if s.RefundOf == nil {
				h.giveBack(id, s.ID, money("5.00"))
			}
		}
		for _, one := range []struct{ line, said, sales, ratings, backs, score string }{
			{first, "1 unchanged", "100.00 40.00 30.00; -25.00 -10.00 0.00; -5.00 -2.00 0.00", "csat 4, nps 9, csat 1", "2026-10-01T11:00:00.000000Z", "75"},
			{at + "90.00,,80.00,12.25,,0,,,", "1 corrected", "90.00 - 85.00; -80.00 - 0.00; -5.00 -2.00 0.00", "nps 0, csat 1", "", "37.375"},
			{at + "50.00,,,,,,,,", "1 corrected", "50.00 - 5.00; -5.00 -2.00 0.00", "csat 1", "", "62.5"},
			{first, "1 corrected", "100.00 40.00 30.00; -25.00 -10.00 0.00; -5.00 -2.00 0.00", "csat 4, nps 9, csat 1", "2026-10-01T11:00:00.000000Z", "75"},
		} {
			if got := b.file("calls", []string{factColumns, one.line}).ok(t); !strings.Contains(got, one.said) {
				t.Errorf("%s: got %s, want %s", one.line, got, one.said)
			}
			desk := h.desk(id)
			var sales, ratings, backs []string
			for _, s := range desk.Sales {
				margin := "-"
				if s.Margin != nil {
					margin = s.Margin.Amount
				}
				sales = append(sales, s.Value.Amount+" "+margin+" "+s.Refunded.Amount)
			}
			for _, f := range desk.Feedback {
				ratings = append(ratings, fmt.Sprint(f.Kind, " ", f.Value))
			}
			for _, c := range desk.CallBacks {
				backs = append(backs, c.CalledAt)
			}
			is(t, "sales", sorted(sales), sorted(strings.Split(one.sales, "; ")))
			is(t, "ratings", sorted(ratings), sorted(strings.Split(one.ratings, ", ")))
			is(t, "call-backs", strings.Join(backs, ", "), one.backs)
			is(t, "score", fmt.Sprint(*desk.Score), one.score)
		}
		if got := b.file("calls", []string{factColumns, at + "4.00,,,,,,,,"}); got.code != exitFailed || !strings.Contains(got.err, "value: 5.00 USD was given back") {
			t.Errorf("below what was given back here: got %d, %s", got.code, got.err)
		}
		var page struct {
			ReferredBy []struct{ Referrer struct{ E164 string } } `json:"referred_by"`
		}
		h.call(account.Agent, http.MethodGet, "/v1/callers/+12125550101", nil, &page)
		is(t, "who sent them", fmt.Sprint(page.ReferredBy), "[{{+12125550102}}]")

		wrong := map[string]string{
			"100.00,,,-1,,,,,":              "score: must be from 0 to 100",
			"100.00,,,NaN,,,,,":             "score: must be from 0 to 100",
			"100.00,100.01,,,,,,,":          "margin: must be an amount from -1000000000.00 to 100.00 USD: what remains of the value after costs, below 0 for a loss",
			"100.00,,100.01,,,,,,":          "refunded: must be from 0 to the value, 100.00 USD",
			",,5.00,,,,,,":                  "refunded: needs a value",
			",,,,6,,,,":                     "csat: csat goes from 1 to 5",
			",,,,,-1,,,":                    "nps: nps goes from 0 to 10",
			",,,,2.5,,,,":                   "csat: must be a whole number",
			",,,,,,2026-10-03T10:00:00Z,,":  "rated_at: needs csat or nps",
			",,,,,5,2026-09-30T10:00:00Z,,": "rated_at: is before the call itself",
			",,,,,,,2026-09-30T10:00:00Z,":  "called_back_at: is before the call itself",
			",,,,,,,2199-10-03T10:00:00Z,":  "called_back_at: lies more than a day ahead",
			",,,,,,,,+12125550101":          "referred_by: nobody sends themselves",
			",,,,,,,,somebody":              "referred_by: ",
		}
		for line, want := range wrong {
			if got := b.file("calls", []string{factColumns, at + line}); got.code != exitFailed || !strings.Contains(got.err, "line 2: "+want) {
				t.Errorf("%s: got %d, %s, want %s", line, got.code, got.err, want)
			}
		}
		for kind, lines := range map[string][2]string{ // a year mistyped
			"calls":    {"call_id,started_at,from,tracking_number,outcome,ring_seconds,talk_seconds,source,medium,campaign", "9,2199-10-01T10:00:00Z,+12125550101,,answered,5,60,,,"},
			"touches":  {touchColumns, "9,+12125550101,2199-10-01T10:00:00Z,google,,,,,,,"},
			"outcomes": {"outcome_id,person,won_at", "9,+12125550101,2199-10-01T10:00:00Z"},
		} {
			if got := b.file(kind, lines[:]); got.code != exitFailed || !strings.Contains(got.err, "lies more than a day ahead") {
				t.Errorf("%s of another century: got %d, %s", kind, got.code, got.err)
			}
		}
		h.close()
		nothingDiffers(t, command(t, b.environ, "replay"))
	})
}

// Forms and chats stand in a file of touches; what came in at the door with the
// same id is corrected by it.
func TestAFileOfTouchesTellsFormsAndChats(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		h := b.house
		h.call(account.Agent, http.MethodPost, "/v1/enquiries", map[string]any{"external_id": "2", "person": "ann", "kind": "chat", "at": "2026-10-01T10:00:00Z"}, nil)
		header := touchColumns + ",enquiry,answered_at,referred_by"
		lines := []string{
			header,
			"1,+12125550101,2026-10-01T10:00:00Z,Fair,,spring,,,,,,form,2026-10-01T10:30:00Z,+12125550199",
			"2,ann,2026-10-01T10:00:00Z,,,,,,,,,chat,2026-10-01T11:00:00Z,",
			"3,bob,2026-10-01T10:00:00Z,untracked,,,,,,,,Form,,",
			"4,bob,2026-10-01T10:00:00Z,google,cpc,,,,,,,,,",
		}
		said := b.file("touches", lines).ok(t)
		for _, want := range []string{"4 lines read, 3 new, 0 unchanged, 1 corrected", "made sources: google, Fair"} {
			if !strings.Contains(said, want) {
				t.Errorf("%q is missing: %s", want, said)
			}
		}
		if got := b.file("touches", lines).ok(t); !strings.Contains(got, "0 new, 4 unchanged") {
			t.Errorf("again: %s", got)
		}
		var list struct {
			Items []struct {
				ExternalID string  `json:"external_id"`
				AnsweredAt *string `json:"answered_at"`
				Source     *string
			}
		}
		h.call(account.Agent, http.MethodGet, "/v1/enquiries", nil, &list)
		is(t, "enquiries", len(list.Items), 3)
		for _, e := range list.Items {
			is(t, e.ExternalID+" is answered", e.AnsweredAt != nil, e.ExternalID != "3")
		}
		var page struct {
			ReferredBy []struct{ Referrer struct{ E164 string } } `json:"referred_by"`
		}
		h.call(account.Agent, http.MethodGet, "/v1/callers/+12125550101", nil, &page)
		is(t, "who sent them", fmt.Sprint(page.ReferredBy), "[{{+12125550199}}]")
		for line, want := range map[string]string{
			"5,bob,2026-10-01T10:00:00Z,google,,,,,,,,letter,,":                    "enquiry: must be form or chat",
			"5,bob,2026-10-01T10:00:00Z,google,,,,,,,,form,2026-10-01T09:00:00Z,":  "answered_at: is before the enquiry itself",
			"5,bob,2026-10-01T10:00:00Z,google,,,,,,,,,2026-10-01T11:00:00Z,":      "answered_at: belongs to a form or a chat",
			"5,+12125550101,2026-10-01T10:00:00Z,google,,,,,,,,,,+12125550102":     "referred_by: belongs to a form or a chat",
			"5,+12125550101,2026-10-01T10:00:00Z,google,,,,,,,,form,,+12125550101": "referred_by: nobody sends themselves",
			"5,bob,2026-10-01T10:00:00Z,google,,,,,,,,form,,+12125550101":          "person: must be a phone number in E.164",
			"5,,2026-10-01T10:00:00Z,google,,,,,,,,form,,":                         "person: must not be empty",
			",bob,2026-10-01T10:00:00Z,google,,,,,,,,form,,":                       "touch_id: must not be empty",
			"5,bob,,google,,,,,,,,form,,":                                          "touched_at: must not be empty",
		} {
			if got := b.file("touches", []string{header, line}); got.code != exitFailed || !strings.Contains(got.err, "line 2: "+want) {
				t.Errorf("%s: got %d, %s, want %s", line, got.code, got.err, want)
			}
		}
	})
}

// When a call was judged is told with what it was judged as, and corrected like it;
// what was sold on it belongs to it, whenever that was.
func TestDispositionsHaveMomentsAndOutcomesTheirCalls(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		h := b.house
		const header = "call_id,started_at,from,tracking_number,outcome,ring_seconds,talk_seconds,source,disposition,disposed_at"
		line := func(rest string) string {
			return "1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,Radio," + rest
		}
		second := "2,2026-10-01T11:00:00Z,+12125550101,+13125550171,answered,5,60,TV,,"
		for _, one := range []struct{ rest, said, stands, lead, qualified string }{
			{"Lead,", "2 new", "Lead", "2026-10-01T10:01:05.000000Z", ""},
			{"Lead,", "2 unchanged", "Lead", "2026-10-01T10:01:05.000000Z", ""},
			{"Lead,2026-10-03T10:00:00Z", "1 corrected", "Lead", "2026-10-03T10:00:00.000000Z", ""},
			{
				"Lead; Qualified lead ;Not a lead,2026-10-02T10:00:00Z;2026-10-03T10:00:00Z; 2026-10-03T10:00:00Z", "1 corrected", "Not a lead",
				"2026-10-02T10:00:00.000000Z", "2026-10-03T10:00:00.000000Z",
			},
			{
				"Lead;Qualified lead;Not a lead,2026-10-02T10:00:00Z;2026-10-03T10:00:00Z;2026-10-03T10:00:00Z", "2 unchanged", "Not a lead",
				"2026-10-02T10:00:00.000000Z", "2026-10-03T10:00:00.000000Z",
			},
			{"Spam;Lead,2026-10-02T10:00:00Z;2026-10-04T10:00:00Z", "1 corrected", "Lead", "2026-10-04T10:00:00.000000Z", ""},
			{",", "1 corrected", "", "", ""},
			{"Qualified lead,2026-10-05T10:00:00Z", "1 corrected", "Qualified lead", "2026-10-05T10:00:00.000000Z", "2026-10-05T10:00:00.000000Z"},
		} {
			if got := b.file("calls", []string{header, line(one.rest), second}).ok(t); !strings.Contains(got, one.said) {
				t.Errorf("%s: got %s, want %s", one.rest, got, one.said)
			}
			is(t, one.rest+": the disposition that stands", text(h.calls("limit=2")[0].Disposition), one.stands)
			var page struct {
				LeadAt      *string `json:"lead_at"`
				QualifiedAt *string `json:"qualified_at"`
			}
			h.call(account.Agent, http.MethodGet, "/v1/callers/+12125550101", nil, &page)
			is(t, one.rest+": a lead", text(page.LeadAt), one.lead)
			is(t, one.rest+": qualified", text(page.QualifiedAt), one.qualified)
		}
		for rest, want := range map[string]string{
			"Lead,2026-10-01T09:59:59Z":                                  "disposed_at: is before the call itself",
			"Lead,tomorrow":                                              "disposed_at: must be an instant",
			"Lead,2199-10-01T09:59:59Z":                                  "disposed_at: lies more than a day ahead",
			",2026-10-02T10:00:00Z":                                      "disposition: must not be empty where disposed_at tells when it was given",
			"Lead;Sale,2026-10-02T10:00:00Z;":                            "disposed_at: must tell of each disposition when it was given",
			"Lead,2026-10-02T10:00:00Z;2026-10-03T10:00:00Z":             "disposed_at: has 2 instants for 1 dispositions",
			"Lead;Sale,2026-10-03T10:00:00Z;2026-10-02T10:00:00Z":        "disposed_at: must go on in time",
			"Lead;;Sale,2026-10-02T10:00:00Z;2026-10-03T10:00:00Z;;":     "disposed_at: has 4 instants for 3 dispositions",
			"Lead;,2026-10-02T10:00:00Z;2026-10-03T10:00:00Z":            "disposition: must not be empty where disposed_at tells when it was given",
			"Lead;Sale,2026-10-02T10:00:00Z;2026-10-03T10:00:00Z;x; y;z": "disposed_at: has 5 instants for 2 dispositions",
		} {
			if got := b.file("calls", []string{header, line(rest)}); got.code != exitFailed || !strings.Contains(got.err, "line 2: "+want) {
				t.Errorf("%s: got %d, %s, want %s", rest, got.code, got.err, want)
			}
		}

		const sales = "outcome_id,person,call_id,won_at,value,currency"
		for _, one := range []struct{ call, want string }{
			{"1", "Radio/(none)/(none): 1 calls, credit 1.000, 100.00; TV/(none)/(none): 1 calls, credit 0.000, 0.00"},
			{"2", "Radio/(none)/(none): 1 calls, credit 0.000, 0.00; TV/(none)/(none): 1 calls, credit 1.000, 100.00"}, // before it began
			{"", "Radio/(none)/(none): 1 calls, credit 1.000, 100.00; TV/(none)/(none): 1 calls, credit 0.000, 0.00"},
			{"nobody's", "Radio/(none)/(none): 1 calls, credit 1.000, 100.00; TV/(none)/(none): 1 calls, credit 0.000, 0.00"},
		} {
			b.file("outcomes", []string{sales, "1,+12125550101," + one.call + ",2026-10-01T10:30:00Z,100.00,USD"}).ok(t)
			is(t, "sold on call "+one.call, strings.Join(h.rowsOf("credit_for=sale&model=stored_winner"), "; "), one.want)
		}
		h.close()
		nothingDiffers(t, command(t, b.environ, "replay"))
	})
}

func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, "; ")
}

// What the other system was not sure of is divided as what came in is.
func TestAFileTellsHowSureItsSourceIs(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		const columns = "call_id,started_at,from,tracking_number,outcome,talk_seconds,source,medium,campaign,confidence,value"
		calls := []string{
			columns,
			"1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,60,newsletter,email,nov,0.85,100.00", // with a touch that tells the same
			"2,2026-10-01T11:00:00Z,+12125550102,+13125550171,answered,60,fair,event,,0.4,10.00",
			"3,2026-10-01T12:00:00Z,+12125550103,+13125550171,answered,60,fair,event,,,1.00",
		}
		b.file("touches", []string{touchColumns, "1,+12125550101,2026-09-20T10:00:00Z,newsletter,email,nov,,,,,"}).ok(t)
		b.file("calls", calls).ok(t)
		for _, model := range []string{"last_non_direct", "linear", "w_shaped", "markov"} {
			for reading, want := range map[string][]string{
				"winner": {
					"fair/event/(none): 1 calls, credit 1.000, 1.00", "newsletter/email/nov: 1 calls, credit 1.000, 100.00", "untracked/untracked/untracked: 1 calls, credit 1.000, 10.00",
				},
				"expected": {
					"fair/event/(none): 1 calls, credit 1.400, 5.00", "newsletter/email/nov: 1 calls, credit 0.850, 85.00", "untracked/untracked/untracked: 1 calls, credit 0.750, 21.00",
				},
			} {
				if got := b.house.rowsOf("credit_for=call&model=" + model + "&reading=" + reading); !slices.Equal(got, want) {
					t.Errorf("%s, %s: got %q, want %q", model, reading, got, want)
				}
			}
		}
		verdict := func() string {
			var explained struct{ Verdict string }
			b.house.call(account.Manager, http.MethodGet, "/v1/calls/"+b.house.calls("caller=%2B12125550102")[0].ID+"/attribution", nil, &explained)
			return explained.Verdict
		}
		is(t, "verdict", verdict(), "ambiguous")
		if got := b.file("calls", calls).ok(t); !strings.Contains(got, " 0 new, ") || !strings.Contains(got, " 0 corrected") {
			t.Errorf("again: %s", got)
		}
		calls[2] = strings.Replace(calls[2], "0.4", "0.9", 1)
		if got := b.file("calls", calls).ok(t); !strings.Contains(got, " 1 corrected") {
			t.Errorf("surer: %s", got)
		}
		is(t, "verdict", verdict(), "source")
		for _, wrong := range []string{"fair,event,,0", "fair,event,,1.01", "fair,event,,NaN", "fair,event,,85 %", ",,,0.5", "untracked,,,0.5"} {
			got := b.file("calls", []string{columns, "4,2026-10-01T12:00:00Z,+12125550104,+13125550171,answered,60," + wrong + ","})
			if got.code != exitFailed || !strings.Contains(got.err, "confidence") {
				t.Errorf("%s: exit %d, %s", wrong, got.code, got.err)
			}
		}
		b.house.close()
		nothingDiffers(t, command(t, b.environ, "replay"))
	})
}
