package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// Facts change at random and days are rolled up at random; after each step a
// report is compared with the same report without prepared days, and with the
// same from single calls and sales.
func TestPreparedDaysGiveTheSameAnswerAsTheCallsThemselves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		prepared := 0
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			id := fmt.Sprintf("acct_%d", round)
			w := &world{t: t, db: db, now: when("2025-03-09T03:30:00Z")}
			w.desk = report.NewDesk(db, func() time.Time { return w.now }, slog.New(slog.DiscardHandler), nil)
			w.exec(`INSERT INTO accounts (account_id, name, tz, currency, margin_ppm, created_at) VALUES (?, 'R', 'America/New_York', 'USD', 333350, 0)`, id)
			w.exec(`INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, created_at) VALUES (?, 'd1', 'd1', 'd1', ?, 'lead', ?, 0)`, id, true, true)
			w.exec(`INSERT INTO sources (account_id, source_id, name, folded, created_at) VALUES (?, 's1', 'Google', 'google', 0)`, id)
			for i, name := range []string{"Google", "bing"} {
				w.exec(`INSERT INTO spend (account_id, spend_id, source, campaign, from_on, until_on, cost_micros, currency, created_at, updated_at)
					VALUES (?, ?, ?, 'A', '2025-03-01', '2025-03-11', 77770000, 'USD', 0, 0)`, id, fmt.Sprintf("spend_%d", i), name)
			}
			defer func() { // a roll-up looks at every account there is
				for _, table := range []string{"dispositions", "sources", "spend", "accounts"} {
					w.exec(`DELETE FROM `+table+` WHERE account_id = ?`, id)
				}
			}()
			s := scene{world: w, rt: rt, id: id}
			for i := range 4 {
				s.call()
				s.sell(fmt.Sprintf("c%d", i+1))
			}
			if rapid.Bool().Draw(rt, "prepared to begin with") {
				for range 2 {
					w.now = w.now.Add(26 * time.Hour)
					s.roll()
				}
				w.now = w.now.Add(time.Hour)
			}
			for range rapid.IntRange(4, 9).Draw(rt, "steps") {
				s.step()
				prepared += s.compare()
			}
		})
		if prepared == 0 {
			t.Error("no answer ever came from prepared days: nothing was tested")
		}
	})
}

type scene struct {
	*world
	rt    *rapid.T
	id    string
	calls int
	sales int
}

func (s *scene) pick(what string, of ...string) string { return rapid.SampledFrom(of).Draw(s.rt, what) }

// at draws an instant around the clock change, some days back.
func (s *scene) at() int64 {
	days, hours := rapid.IntRange(0, 5).Draw(s.rt, "days ago"), rapid.IntRange(0, 23).Draw(s.rt, "hours ago")
	return store.Micros(s.now.Add(-time.Duration(24*days+hours) * time.Hour))
}

func (s *scene) step() {
	call := fmt.Sprintf("c%d", rapid.IntRange(1, s.calls).Draw(s.rt, "which"))
	now := store.Micros(s.now)
	switch what := s.pick("what", "call", "call", "move", "move", "caller", "attribute", "attribute", "dispose", "meaning", "rename", "wait", "wait", "roll", "roll", "zone", "sell", "sell", "sell", "refund", "outcome", "rate", "rate"); what {
	case "sell":
		s.sell(call)
	case "refund":
		s.refund()
	case "outcome":
		s.exec(`INSERT INTO outcomes (account_id, outcome_id, person, won_at, value_micros, margin_micros, currency, imported_at) VALUES (?, ?, 'p', ?, ?, ?, 'USD', ?)
			ON CONFLICT (account_id, outcome_id) DO UPDATE SET won_at = excluded.won_at, imported_at = excluded.imported_at`,
			s.id, s.pick("outcome", "o1", "o2"), s.at(), s.cents(), s.margin(), now)
	case "rate":
		s.exec(`UPDATE accounts SET margin_ppm = ? WHERE account_id = ?`, s.margin(), s.id)
	case "move":
		s.exec(`UPDATE calls SET started_at = ?, updated_at = ? WHERE account_id = ? AND call_id = ?`, s.at(), now, s.id, call)
	case "caller":
		s.exec(`UPDATE calls SET from_e164 = ?, outcome = 'answered', updated_at = ? WHERE account_id = ? AND call_id = ?`, s.pick("caller", "+13125550001", "+13125550002"), now, s.id, call)
	case "attribute":
		s.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source_id, source, medium, campaign, model_version, attributed_at)
			VALUES (?, ?, ?, 'x', ?, ?, ?, ?, ?, 'v', ?) ON CONFLICT (account_id, call_id) DO UPDATE SET
			source = excluded.source, source_id = excluded.source_id, verdict = excluded.verdict, attributed_at = excluded.attributed_at`,
			s.id, call, s.pick("verdict", "winner", "source", "untracked"), rapid.SampledFrom([]float64{0.6, 0.9}).Draw(s.rt, "confidence"),
			s.pick("source id", "", "s1"), s.pick("source", "google", "Google", "bing", ""), s.pick("medium", "", "cpc", "(none)"), s.pick("campaign", "", "A", "a"), now)
	case "dispose":
		s.exec(`INSERT INTO call_desks (account_id, call_id, version, disposition_id, updated_at) VALUES (?, ?, 1, ?, ?)
			ON CONFLICT (account_id, call_id) DO UPDATE SET disposition_id = excluded.disposition_id, updated_at = excluded.updated_at`,
			s.id, call, s.pick("disposition", "d1", ""), now)
	case "meaning":
		s.exec(`UPDATE dispositions SET qualified = NOT qualified WHERE account_id = ?`, s.id)
		s.exec(`UPDATE call_desks SET updated_at = ? WHERE account_id = ? AND disposition_id = 'd1'`, now, s.id)
	case "rename":
		s.exec(`UPDATE sources SET name = ?, folded = lower(?) WHERE account_id = ?`, s.pick("name", "Google", "Search"), "x", s.id)
	case "wait":
		s.now = s.now.Add(rapid.SampledFrom([]time.Duration{time.Minute, 11 * time.Minute, 5 * time.Hour, 26 * time.Hour}).Draw(s.rt, "wait"))
	case "roll":
		s.roll()
	case "zone":
		if rapid.IntRange(0, 4).Draw(s.rt, "move house") == 0 {
			s.exec(`UPDATE accounts SET tz = ? WHERE account_id = ?`, s.pick("tz", "America/New_York", "Asia/Tokyo"), s.id)
		}
	case "call":
		s.call()
	}
}

func (s *scene) roll() {
	if _, err := s.desk.RollUp(context.Background(), s.now); err != nil {
		s.rt.Fatal(err)
	}
}

func (s *scene) cents() int64 { return int64(rapid.IntRange(0, 99_999).Draw(s.rt, "cents")) * 10_000 }

// margin is one that is not known, or less than a cent's share of most things.
func (s *scene) margin() any {
	if rapid.Bool().Draw(s.rt, "margin known") {
		return int64(rapid.IntRange(0, 999).Draw(s.rt, "margin")) * 1_000
	}
	return nil
}

// sell books a sale as scoring does: on the person whose call it is at the time.
func (s *scene) sell(call string) {
	s.sales++
	var caller []string
	if err := s.db.Select(context.Background(), &caller, `SELECT COALESCE(from_e164, 'call:' || call_id) FROM calls WHERE account_id = ? AND call_id = ?`, s.id, call); err != nil {
		s.rt.Fatal(err)
	}
	s.exec(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, margin_micros, currency, sold_at, recorded_at, recorded_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'user_1')`,
		s.id, fmt.Sprintf("sale%d", s.sales), call, caller[0], s.cents(), s.margin(), s.pick("currency", "USD", "USD", "USD", "EUR"), s.at(), store.Micros(s.now))
}

// refund gives a part of a sale back, if there is one, claimed on the sale.
func (s *scene) refund() {
	if s.sales == 0 {
		return
	}
	sale := fmt.Sprintf("sale%d", rapid.IntRange(1, s.sales).Draw(s.rt, "which sale"))
	var left []int64
	if err := s.db.Select(context.Background(), &left, `SELECT value_micros - refunded_micros FROM sales WHERE account_id = ? AND sale_id = ? AND refund_of = ''`, s.id, sale); err != nil {
		s.rt.Fatal(err)
	}
	if len(left) == 0 {
		return
	}
	back := left[0] / int64(rapid.IntRange(1, 3).Draw(s.rt, "part")) / 10_000 * 10_000
	s.sales++
	s.exec(`UPDATE sales SET refunded_micros = refunded_micros + ? WHERE account_id = ? AND sale_id = ?`, back, s.id, sale)
	s.exec(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, margin_micros, currency, sold_at, refund_of, recorded_at, recorded_by)
		SELECT account_id, CAST(? AS TEXT), call_id, person, CAST(? AS BIGINT), CASE WHEN margin_micros IS NULL THEN NULL ELSE -margin_micros / 4 END, currency, sold_at, sale_id, CAST(? AS BIGINT), 'user_1'
		FROM sales WHERE account_id = ? AND sale_id = ?`, fmt.Sprintf("sale%d", s.sales), -back, store.Micros(s.now), s.id, sale)
}

// call adds one more call.
func (s *scene) call() {
	s.calls++
	var from any
	if caller := s.pick("from", "+13125550001", "+13125550001", "+13125550002", ""); caller != "" {
		from = caller
	}
	s.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, started_at, updated_at) VALUES (?, ?, 'test', ?, ?, ?, ?, ?)`,
		s.id, fmt.Sprintf("c%d", s.calls), fmt.Sprintf("c%d", s.calls), s.pick("outcome", "answered", "abandoned", "blocked"), from, s.at(), store.Micros(s.now))
}

// compare returns how many prepared days there were to use.
func (s *scene) compare() int {
	ctx := context.Background()
	q := report.Query{AccountID: s.id, CreditFor: report.ForSale, Model: s.pick("model", "", report.StoredWinner, report.StoredWinner, report.StoredWinner)}
	q.GroupBy = [][]report.Dimension{
		{report.Source}, {report.Day, report.Campaign}, {report.Week}, {report.Medium, report.Month}, {}, {report.Campaign, report.TrackingNumber}, {report.Pool, report.Term},
	}[rapid.IntRange(0, 6).Draw(s.rt, "groups")]
	if rapid.Bool().Draw(s.rt, "filtered") {
		q.Filters = map[report.Dimension]string{report.Source: "google"}
	}
	if rapid.Bool().Draw(s.rt, "odd range") {
		q.From, q.Until = "2025-03-05T17:30:00Z", "2025-03-10T01:15:00Z"
	}
	with := s.answer(q)
	var marks int
	if err := s.db.Get(ctx, &marks, `SELECT count(*) FROM daily_marks WHERE account_id = ? AND rolled_at > 0`, s.id); err != nil {
		s.rt.Fatal(err)
	}
	// Without prepared days: the same report while the state is one of another
	// zone.
	s.exec(`UPDATE daily_states SET tz = tz || '-' WHERE account_id = ?`, s.id)
	without := s.answer(q)
	s.exec(`UPDATE daily_states SET tz = substr(tz, 1, length(tz) - 1) WHERE account_id = ?`, s.id)
	if with != without {
		s.rt.Fatalf("prepared: %s\nsummed: %s", with, without)
	}
	if single := s.answer(q.OneByOne()); with != single {
		s.rt.Fatalf("prepared and summed: %s\none by one: %s", with, single)
	}
	if again, err := s.desk.Recount(ctx); err != nil || len(again.Differ) != 0 {
		s.rt.Fatalf("counted again: %+v, %v", again, err)
	}
	return marks
}

func (s *scene) answer(q report.Query) string {
	a, err := s.desk.ROI(context.Background(), q)
	if err != nil {
		s.rt.Fatal(err)
	}
	text, err := json.Marshal(a)
	if err != nil {
		s.rt.Fatal(err)
	}
	return string(text)
}

func TestADayIsCountedOnceAndAgainOnlyWhenItChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2025-03-07T12:00:00Z")
		shop(w)
		w.now = when("2025-03-08T12:00:00Z")
		roll := func(want int, why string) {
			t.Helper()
			if got, err := w.desk.RollUp(context.Background(), w.now); err != nil || got != want {
				t.Errorf("%s: counted %d days, %v, want %d", why, got, err, want)
			}
		}
		roll(6, "from the first call on the 2nd to the 7th")
		w.now = w.now.Add(time.Hour)
		roll(0, "nothing changed")
		w.dispose("call_2", "disp_lead", "2025-03-08T13:00:00Z")
		roll(1, "a call of the 3rd was judged")
		w.now = w.now.Add(time.Hour)
		roll(1, "it was judged so shortly before that another change may have been under way")
		w.now = w.now.Add(time.Hour)
		roll(0, "nothing changed again")
		if got := row(t, w.attribution(tenDays), "Billboard").Qualified; got != 2 {
			t.Errorf("qualified: got %d, want both calls to the billboard", got)
		}
	})
}

func TestMovingOneCallTurnsAnotherIntoTheFirstOneOfItsCaller(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2025-03-07T12:00:00Z")
		w.ring("call_1", "+13125550001", "2025-03-02T15:00:00Z", "answered")
		w.ring("call_2", "+13125550001", "2025-03-04T15:00:00Z", "answered")
		for range 2 {
			w.now = w.now.Add(time.Hour)
			if _, err := w.desk.RollUp(context.Background(), w.now); err != nil {
				t.Fatal(err)
			}
		}
		q := report.Query{From: "2025-03-01", Until: "2025-03-07", GroupBy: []report.Dimension{report.Day}, CreditFor: report.ForSale}
		first := func() string {
			got := ""
			for _, r := range w.attribution(q).Rows {
				got += fmt.Sprintf("%s: %d of %d; ", r.Name(report.Day), r.FirstTime, r.Calls)
			}
			return got
		}
		if got, want := first(), "2025-03-02: 1 of 1; 2025-03-04: 0 of 1; "; got != want {
			t.Errorf("before: got %s, want %s", got, want)
		}
		// The day of the other call is not touched by the change itself.
		w.exec(`UPDATE calls SET started_at = ?, updated_at = ? WHERE account_id = ? AND call_id = 'call_1'`,
			store.Micros(when("2025-03-06T15:00:00Z")), store.Micros(w.now), acct)
		want := "2025-03-04: 1 of 1; 2025-03-06: 0 of 1; "
		if got := first(); got != want {
			t.Errorf("after: got %s, want %s", got, want)
		}
		w.now = w.now.Add(time.Hour)
		if _, err := w.desk.RollUp(context.Background(), w.now); err != nil {
			t.Fatal(err)
		}
		if got := first(); got != want {
			t.Errorf("rolled up again: got %s, want %s", got, want)
		}
	})
}

// Seventy-nine days are counted in two steps. A call turns out to be somebody
// else's after the day of its caller's next call was counted, and before its own.
func TestACallerWhoIsCorrectedMeanwhileIsNotForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.now = when("2025-05-20T12:00:00Z")
		w.ring("call_1", "+13125550001", "2025-03-02T15:00:00Z", "answered")
		w.ring("call_2", "+13125550001", "2025-05-10T15:00:00Z", "answered")
		roll := func() {
			t.Helper()
			w.now = w.now.Add(time.Minute)
			if _, err := w.desk.RollUp(context.Background(), w.now); err != nil {
				t.Fatal(err)
			}
		}
		w.now = w.now.Add(time.Hour)
		roll()
		w.exec(`UPDATE calls SET from_e164 = '+13125550002', updated_at = ? WHERE account_id = ? AND call_id = 'call_1'`, store.Micros(w.now), acct)
		check := func(how string) {
			t.Helper()
			q := report.Query{From: "2025-03-01", Until: "2025-05-19", GroupBy: []report.Dimension{report.Month}, CreditFor: report.ForSale}
			got := ""
			for _, r := range w.attribution(q).Rows {
				got += fmt.Sprintf("%s: %d of %d; ", r.Name(report.Month), r.FirstTime, r.Calls)
			}
			if want := "2025-03: 1 of 1; 2025-05: 1 of 1; "; got != want {
				t.Errorf("%s: got %s, want %s", how, got, want)
			}
		}
		check("corrected")
		for range 3 {
			roll()
			check("counted")
		}
		w.now = w.now.Add(time.Hour)
		roll()
		check("an hour later")
	})
}
