package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
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
		b.file("touches", touches).ok(t)
		b.house.everyGoal("newsletter/email/nov: 3 calls, credit 3.000, 60.00")
		for kind, lines := range map[string][]string{"calls": calls, "touches": touches} {
			if got := b.file(kind, lines).ok(t); !strings.Contains(got, " 0 new, ") || !strings.Contains(got, " 0 corrected") {
				t.Errorf("%s again: %s", kind, got)
			}
		}
		b.house.everyGoal("newsletter/email/nov: 3 calls, credit 3.000, 60.00")

		// A touch that turns out to be another's explains nothing here any more.
		b.file("touches", []string{touchColumns,
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
		b.file("touches", []string{touchColumns, "1,+12125550101,2026-09-20T10:00:00Z,radio,,,,,,,", "2,+12125550102,2026-09-20T10:00:00Z,radio,fm,,,,,,"}).ok(t)
		b.file("calls", []string{
			callColumns,
			"1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,,,,,,Lead,10.00,USD",
			"2,2026-10-01T10:00:00Z,+12125550102,+13125550171,answered,5,60,untracked,,,,,Lead,10.00,USD",
			"3,2026-10-01T10:00:00Z,+12125550103,+13125550171,answered,5,60,radio,,,,,Lead,10.00,USD",
			"4,2026-10-01T10:00:00Z,anonymous,+13125550171,answered,5,60,Radio,,,,,Lead,10.00,USD",
			"5,2026-10-01T10:00:00Z,+12125550105,+13125550171,answered,5,60,,,,,,Lead,10.00,USD",
			"6,2026-12-25T10:00:00Z,+12125550101,+13125550171,answered,5,60,,,,,,,,", // the touch was 96 days before
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
			"outcome_id,person,won_at,value,currency",
			"1,+12125550101,2026-10-02T10:00:00Z,100.00,USD",
			"2,+12125550102,2026-10-02T10:00:00Z,200.00,USD",
			"3,+12125550102,2026-10-03T10:00:00Z,,", // nobody says for how much
		}).ok(t)
		for _, e := range []map[string]any{
			{"external_id": "f1", "source": "Newsletter", "at": "2026-09-21T10:00:00Z"}, // came from the touch
			{"external_id": "f2", "source": "Fair", "campaign": "spring", "at": "2026-09-22T10:00:00Z"},
			{"external_id": "f3", "at": "2026-09-23T10:00:00Z"},
		} {
			e["person"], e["kind"] = "+12125550101", "form"
			h.call(account.Agent, http.MethodPost, "/v1/enquiries", e, nil)
		}
		h.call(account.Agent, http.MethodPost, "/v1/callers/+12125550101/referrals", map[string]any{"referred": "+12125550102", "referred_at": "2026-09-30T10:00:00Z"}, nil)

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
		if len(page.Referred) != 1 || len(page.Referred[0].Sales) != 2 {
			t.Fatalf("whom they sent: got %+v", page.Referred)
		}
		sent := page.Referred[0]
		is(t, "who was sent", sent.Referred.E164, "+12125550102")
		is(t, "what they bought", fmt.Sprint(sent.Values), "[{230.00}]")
		isNull(t, "call of an outcome", sent.Sales[1].CallID)
	})
}
