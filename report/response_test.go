package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// wait adds a call that waited so many seconds, for an answer or until the
// caller hung up, after the phone of the agent began to ring five seconds in.
func (w *world) wait(id, caller, at, outcome, phone string, seconds int) {
	w.ring(id, caller, at, outcome)
	start := when(at)
	rang, until := store.Micros(start.Add(5*time.Second)), store.Micros(start.Add(time.Duration(5+seconds)*time.Second))
	w.exec(`INSERT INTO legs (account_id, call_id, leg_ref, number, status, ringing_at, ended_at) VALUES (?, ?, 'leg', ?, 'completed', ?, ?)`, acct, id, phone, rang, until)
	if outcome == "answered" {
		w.exec(`UPDATE calls SET ring_seconds = ?, wait_seconds = ?, answered_by = ? WHERE account_id = ? AND call_id = ?`, seconds, seconds+5, phone, acct, id)
		return
	}
	w.exec(`UPDATE calls SET ended_at = ? WHERE account_id = ? AND call_id = ?`, until, acct, id)
}

func (w *world) response(q report.ResponseQuery) *report.Response {
	w.t.Helper()
	q.AccountID = acct
	a, err := w.desk.Response(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// switchboard is two days of a desk with two agents:
//
//	3 March  Kim answers after 4, 8, 12 and 30 s; a caller hangs up after 10 s
//	         while Kim's phone rings, one goes to voicemail after 20 s of Lee's
//	4 March  Lee answers after 6 s
//
// The caller who hung up was called back after 10 minutes, the other never.
// Ann (+1…01) calls on the 3rd about price and again on the 4th about delivery;
// Bob (+1…02) calls twice on the 3rd, without tags.
func switchboard(w *world) {
	for i, name := range []string{"Kim", "Lee"} {
		phone := fmt.Sprint("+1312555020", i)
		w.exec(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, ?, ?, ?, 0)`, acct, "agent_"+name, name, phone)
		w.exec(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, ?, ?, 0)`, acct, "agent_"+name, phone)
	}
	kim, lee := "+13125550200", "+13125550201"
	w.wait("call_1", "+13125550001", "2025-03-03T15:00:00Z", "answered", kim, 4)
	w.wait("call_2", "+13125550002", "2025-03-03T15:10:00Z", "answered", kim, 8)
	w.wait("call_3", "+13125550002", "2025-03-03T16:00:00Z", "answered", kim, 12)
	w.wait("call_4", "", "2025-03-03T16:10:00Z", "answered", kim, 30)
	w.wait("call_5", "+13125550003", "2025-03-03T17:00:00Z", "abandoned", kim, 10)
	w.wait("call_6", "+13125550004", "2025-03-03T18:00:00Z", "voicemail", lee, 20)
	w.exec(`UPDATE calls SET voicemail_seconds = 30, ended_at = ended_at + 35000000 WHERE account_id = ? AND call_id = 'call_6'`, acct)
	w.wait("call_7", "+13125550001", "2025-03-04T15:00:00Z", "answered", lee, 6)
	w.ring("call_8", "+13125550009", "2025-03-04T15:30:00Z", "blocked")
	w.exec(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, 'cb_0', 'call_5', ?, FALSE, 'u')`, acct, store.Micros(when("2025-03-03T17:05:00Z")))
	w.exec(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, 'cb_1', 'call_5', ?, TRUE, 'u')`, acct, store.Micros(when("2025-03-03T17:10:00Z")))
	for i, tag := range []string{"price", "delivery"} {
		w.exec(`INSERT INTO tags (account_id, tag_id, name, folded, created_at) VALUES (?, ?, ?, ?, 0)`, acct, "tag_"+tag, tag, tag)
		w.exec(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, ?, ?, 0, 'u')`, acct, []string{"call_1", "call_7"}[i], "tag_"+tag)
	}
	w.bySource("call_1", "", "Ads", "cpc")
}

func shown(f report.ResponseFigures) string {
	contacts := "n/a"
	if f.FirstContacts != nil {
		contacts = fmt.Sprint(*f.FirstContacts)
	}
	return fmt.Sprintf("%d+%d median %s p90 %s within %s level %s back %d %s after %s contacts %s %s", f.Answered, f.Missed, num(f.WaitMedianSeconds), num(f.WaitP90Seconds),
		num(f.WithinShare), num(f.ServiceLevel), f.CalledBack, num(f.CalledBackRate), num(f.CallbackMedianSeconds), contacts, num(f.FirstContactRate))
}

// By hand. Waits 4, 6, 8, 10+, 12, 20+, 30 (+ gave up):
//
//	S(4) = 6/7, S(6) = 5/7, S(8) = 4/7, S(12) = 4/7·2/3 = 8/21, S(30) = 0
//	median 12, 90th percentile 30, within 20 s 1 − 8/21 = 0.6190476190
//	service level: 4 of 7 within 20 s = 0.5714285714
//
// The answered alone would have a median of 8. Kim: 4, 8, 10+, 12, 30: S = 4/5,
// 3/5, 3/10, 0; within 1 − 3/10. Lee: 6 and 20+: S(6) = 1/2. First contacts are
// both of Ann's, about two matters, and Bob's first, after which he called again.
func TestTheResponseIsTheOneWorkedOutByHand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		switchboard(w)
		q := report.ResponseQuery{Query: report.Query{From: "2025-03-01", Until: "2025-03-11", GroupBy: []report.Dimension{report.AgentName}}}
		q.AccountID = acct
		a := w.response(q)
		if a.WithinSeconds != 20 || a.ServiceLevel != "3: answered within T ÷ (answered + missed), T in seconds" {
			t.Errorf("got T = %d and %q", a.WithinSeconds, a.ServiceLevel)
		}
		total := "5+2 median 12 p90 30 within 0.619047619 level 0.5714285714 back 1 0.5 after 600 contacts 3 0.6666666667"
		want := map[string]string{
			"Kim": "4+1 median 12 p90 30 within 0.7 level 0.6 back 1 1 after 600 contacts 2 0.5",
			"Lee": "1+1 median 6 p90 n/a within 0.5 level 0.5 back 0 0 after n/a contacts 1 1",
		}
		if len(a.Rows) != 2 {
			t.Fatalf("got %d rows, want 2", len(a.Rows))
		}
		for _, r := range a.Rows {
			if got := shown(r.ResponseFigures); got != want[*r.Agent] {
				t.Errorf("%s: got  %s\nwant %s", *r.Agent, got, want[*r.Agent])
			}
		}
		if got := shown(a.Totals); got != total {
			t.Errorf("totals: got  %s\nwant %s", got, total)
		}
		if i := a.Totals.ServiceLevelInterval; i == nil || i[0] >= 4.0/7 || i[1] <= 4.0/7 {
			t.Errorf("interval of the service level: got %v", i)
		}

		// The agents' report says the same of the phones that rang.
		agents, err := w.desk.Agents(context.Background(), q.Query)
		if err != nil {
			t.Fatal(err)
		}
		kim, lee := agents.Rows[0], agents.Rows[1]
		if *kim.RingMedianSeconds != 12 || *kim.RingP90Seconds != 30 || *kim.RingSeconds != 14 || *lee.RingMedianSeconds != 6 || lee.RingP90Seconds != nil || *agents.Totals.RingMedianSeconds != 12 {
			t.Errorf("agents: got Kim %s and %s, Lee %s and %s", num(kim.RingMedianSeconds), num(kim.RingP90Seconds), num(lee.RingMedianSeconds), num(lee.RingP90Seconds))
		}

		// The same without groups, by hour of week, by source and by tag.
		q.GroupBy = nil
		if a := w.response(q); len(a.Rows) != 1 || shown(a.Rows[0].ResponseFigures) != total {
			t.Errorf("without groups: got %+v", a.Rows)
		}
		for d, names := range map[report.Dimension][]string{
			report.HourOfWeek: {"Mon 10", "Mon 11", "Mon 12", "Mon 13", "Tue 10"}, report.Source: {"Ads", "untracked"},
			report.Tag: {"(none)", "delivery", "price"}, report.Day: {"2025-03-03", "2025-03-04"},
		} {
			q.GroupBy = []report.Dimension{d}
			a := w.response(q)
			var got []string
			for _, r := range a.Rows {
				got = append(got, r.Name(d))
			}
			slices.Sort(got)
			if !slices.Equal(got, names) || shown(a.Totals) != total {
				t.Errorf("by %s: got %v and totals %s", d, got, shown(a.Totals))
			}
		}
		q.GroupBy, q.Filters = nil, map[report.Dimension]string{report.AgentName: "lee"}
		if a := w.response(q); shown(a.Totals) != want["Lee"] {
			t.Errorf("only Lee: got %s", shown(a.Totals))
		}

		// Whether one call was enough is known a week after: of the 3rd by the start
		// of the 11th in New York, of a range up to the 11th not yet.
		w.now = when("2025-03-11T05:00:00Z")
		q.GroupBy, q.Filters, q.Until = []report.Dimension{report.Day}, nil, "2025-03-05"
		a = w.response(q)
		if a.Rows[0].FirstContacts == nil || a.Rows[1].FirstContacts != nil || a.Totals.FirstContactRate != nil {
			t.Errorf("a week after the first day: got %s, %s and totals %s", shown(a.Rows[0].ResponseFigures), shown(a.Rows[1].ResponseFigures), shown(a.Totals))
		}
	})
}

// Service level 3 of the published example: 1000 answered, 860 of them within
// 20 s, 60 abandoned: 860 ÷ 1060 = 0.811320755.
func TestTheServiceLevelIsTheThirdFormula(t *testing.T) {
	w := newWorld(t, sqlite(t))
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for i := range 1060 {
			outcome, ring := "answered", any(15)
			switch {
			case i >= 1000:
				outcome, ring = "abandoned", nil
			case i >= 860:
				ring = 25
			}
			if _, err := tx.Exec(ctx, `INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, ring_seconds, started_at, updated_at) VALUES (?, ?, 'test', ?, ?, ?, ?, 0)`,
				acct, fmt.Sprint("call_", i), fmt.Sprint(i), outcome, ring, store.Micros(when("2025-03-03T15:00:00Z"))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a := w.response(report.ResponseQuery{Query: report.Query{From: "2025-03-01", Until: "2025-03-11"}})
	if got := num(a.Totals.ServiceLevel); got != "0.8113207547" {
		t.Errorf("got %s, want 0.8113207547", got)
	}
}

func TestTheResponseInEveryForm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		switchboard(w)
		a := w.response(report.ResponseQuery{Query: report.Query{From: "2025-03-01", Until: "2025-03-11", GroupBy: []report.Dimension{report.AgentName, report.Day}}})
		var asJSON, asCSV, asTable bytes.Buffer
		if err := errors.Join(report.WriteJSON(&asJSON, a), report.WriteCSV(&asCSV, a), report.WriteTable(&asTable, a)); err != nil {
			t.Fatal(err)
		}
		golden(t, "response.json", asJSON.Bytes())
		golden(t, "response.csv", asCSV.Bytes())
		golden(t, "response.txt", asTable.Bytes())
		compareFigures(t, "response", asJSON.Bytes(), asCSV.String(), asTable.String())
	})
}

func TestResponseRefusesWhatCannotBeAsked(t *testing.T) {
	w := newWorld(t, sqlite(t))
	for _, q := range []report.ResponseQuery{
		{WithinSeconds: -1}, {WithinSeconds: 3601}, {Query: report.Query{GroupBy: []report.Dimension{"mood"}}}, {Query: report.Query{From: "yesterday"}},
	} {
		q.AccountID = acct
		if _, err := w.desk.Response(context.Background(), q); callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("%+v: got %v, want kind invalid", q, err)
		}
	}
	if a := w.response(report.ResponseQuery{}); a.Totals.Answered != 0 || a.Totals.ServiceLevel != nil || a.Totals.WithinShare != nil || len(a.Rows) != 0 {
		t.Errorf("of nothing: got %+v", a.Totals)
	}
}

func sqlite(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// A long range is read a week at a time. What each day comes to is the same as
// when the day is asked for alone, with the weeks around it in one piece.
func TestALongRangeIsItsDays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		switchboard(w)
		rnd := rand.New(rand.NewPCG(7, 8))
		begin := when("2025-03-01T05:00:00Z")
		for i := range 250 {
			id, at := fmt.Sprintf("more_%03d", i), begin.Add(time.Duration(rnd.IntN(40*24*60))*time.Minute).Format(time.RFC3339)
			outcome := []string{"answered", "answered", "abandoned"}[rnd.IntN(3)]
			w.wait(id, fmt.Sprintf("+1312555100%d", rnd.IntN(10)), at, outcome, "+13125550200", rnd.IntN(40))
			if tag := rnd.IntN(4); tag < 2 {
				w.exec(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, ?, ?, 0, 'u')`, acct, id, []string{"tag_price", "tag_delivery"}[tag])
			}
			if outcome == "abandoned" && rnd.IntN(2) == 0 {
				w.exec(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, ?, ?, ?, TRUE, 'u')`,
					acct, "cb_"+id, id, store.Micros(when(at))+rnd.Int64N(3_000_000_000))
			}
		}
		w.now = when("2025-06-01T12:00:00Z")
		long := w.response(report.ResponseQuery{Query: report.Query{From: "2025-03-01", Until: "2025-04-10", GroupBy: []report.Dimension{report.Day}}})
		if len(long.Rows) < 35 {
			t.Fatalf("%d days have calls, want nearly all of 40", len(long.Rows))
		}
		contacts := int64(0)
		for _, r := range long.Rows {
			day, _ := time.Parse(time.DateOnly, r.Name(report.Day))
			one := w.response(report.ResponseQuery{Query: report.Query{From: r.Name(report.Day), Until: day.AddDate(0, 0, 1).Format(time.DateOnly)}})
			got, _ := json.Marshal(r.ResponseFigures)
			want, _ := json.Marshal(one.Totals)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: in the long range\n%s\nalone\n%s", r.Name(report.Day), got, want)
			}
			contacts += *r.FirstContacts
		}
		if contacts == 0 || contacts != *long.Totals.FirstContacts {
			t.Errorf("%d first contacts by day, %d in all", contacts, *long.Totals.FirstContacts)
		}
	})
}
