package scoring_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

const (
	acct  = "acct_1"
	other = "acct_2"
	ana   = "+13125550101"
	bob   = "+13125550102"
)

var boss = account.Identity{AccountID: acct, Actor: "user_boss", Role: account.Manager}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// scene is two accounts with seeded lists, and a clock that a test may move.
type scene struct {
	*testing.T
	db    *store.DB
	desk  *scoring.Desk
	mu    sync.Mutex
	clock time.Time
}

func each(t *testing.T, fn func(s *scene)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := &scene{T: t, db: db, clock: noon}
		now := func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.clock
		}
		s.desk = scoring.NewDesk(db, now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		for _, id := range []string{acct, other} {
			s.exec(`INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES (?, 'A', 'UTC', 'USD', 1)`, id)
			if err := s.desk.SeedLists(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		fn(s)
	})
}

var ctx = context.Background()

func (s *scene) exec(query string, args ...any) {
	s.Helper()
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

// call makes a call that started an hour ago; from "" is an anonymous one.
func (s *scene) call(id, from string) string {
	s.Helper()
	var e164 *string
	if from != "" {
		e164 = &from
	}
	s.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_e164, started_at, updated_at) VALUES (?, ?, 't', ?, ?, ?, 1)`,
		acct, id, id, e164, store.Micros(s.clock.Add(-time.Hour)))
	return id
}

func (s *scene) act(call string) scoring.Act {
	return scoring.Act{AccountID: acct, CallID: call, Actor: "user_1"}
}

func (s *scene) view(call string) *scoring.View {
	s.Helper()
	v, err := s.desk.View(ctx, acct, call)
	if err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *scene) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) kind(what string, err error, want callwheel.Kind) {
	s.Helper()
	if got := callwheel.KindOf(err); got != want {
		s.Errorf("%s: got %v, want kind %s", what, err, want)
	}
}

func (s *scene) tags(names ...string) {
	s.Helper()
	for _, n := range names {
		if _, err := s.desk.CreateTag(ctx, boss, n); err != nil {
			s.Fatal(err)
		}
	}
}

func (s *scene) card(name string) scoring.Scorecard {
	s.Helper()
	criteria := sixCriteria()
	c, err := s.desk.CreateScorecard(ctx, boss, scoring.ScorecardEdit{Name: &name, Criteria: &criteria})
	if err != nil {
		s.Fatal(err)
	}
	return c
}

func fields(err error) map[string]string {
	var e *callwheel.Error
	out := map[string]string{}
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			out[f.Field] = f.Message
		}
	}
	return out
}

func usd(micros int64) callwheel.Money { return callwheel.Money{Micros: micros, Currency: "USD"} }

func ptr[T any](v T) *T { return &v }

func marks(levels ...int64) []scoring.Mark {
	var out []scoring.Mark
	for i, l := range levels {
		out = append(out, scoring.Mark{Criterion: fmt.Sprint("c", i), Level: &l})
	}
	return out
}

func TestFiftyCreatorsOfOneTagMakeOneRow(t *testing.T) {
	each(t, func(s *scene) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		kinds := map[callwheel.Kind]int{}
		for i := range 50 {
			wg.Go(func() {
				name := []string{"Caf\u00e9 Visit", "CAFE\u0301  visit "}[i%2]
				_, err := s.desk.CreateTag(ctx, boss, name)
				mu.Lock()
				kinds[callwheel.KindOf(err)]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if kinds[""] != 1 || kinds[callwheel.Conflict] != 49 {
			s.Errorf("got %v, want one made and 49 conflicts", kinds)
		}
		tags, err := s.desk.Tags(ctx, acct, scoring.Page{})
		if err != nil || len(tags) != 1 {
			s.Errorf("got %v, %v, want one tag", tags, err)
		}
	})
}

func TestManyTaggersLeaveEveryTagOnceAndOneVersionPerChange(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		var names []string
		for i := range 10 {
			names = append(names, fmt.Sprintf("tag %02d", i))
		}
		s.tags(names...)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				act := s.act(call)
				act.Actor = fmt.Sprint("user_", i)
				if _, err := s.desk.Tag(ctx, act, names[i%10]); err != nil {
					s.Errorf("tagger %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		v := s.view(call)
		if len(v.Tags) != 10 || v.Version != 10 {
			s.Errorf("got %d tags at version %d, want 10 at 10", len(v.Tags), v.Version)
		}
		history, err := s.desk.History(ctx, acct, call)
		if err != nil || len(history) != 10 {
			s.Errorf("got %d judgements, %v, want 10", len(history), err)
		}
	})
}

func TestOfManyEditorsOfOneVersionOneWins(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		var wg sync.WaitGroup
		var mu sync.Mutex
		kinds := map[callwheel.Kind]int{}
		for i := range 20 {
			wg.Go(func() {
				act := s.act(call)
				act.Actor, act.IfVersion = fmt.Sprint("user_", i), ptr(int64(0))
				_, err := s.desk.Dispose(ctx, act, "Lead")
				mu.Lock()
				kinds[callwheel.KindOf(err)]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if kinds[""] != 1 || kinds[callwheel.Stale] != 19 {
			s.Errorf("got %v, want one done and 19 stale", kinds)
		}
		if v := s.view(call); v.Version != 1 {
			s.Errorf("version: got %d, want 1", v.Version)
		}
	})
}

func TestAStaleJudgementChangesNothing(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		s.tags("price")
		_, err := s.desk.Tag(ctx, s.act(call), "price")
		s.ok(err)
		card := s.card("Sales call")
		act := s.act(call)
		act.IfVersion = ptr(int64(0))
		writes := map[string]func() error{
			"untag":    func() error { _, err := s.desk.Untag(ctx, act, "price"); return err },
			"dispose":  func() error { _, err := s.desk.Dispose(ctx, act, "Lead"); return err },
			"note":     func() error { _, _, err := s.desk.Note(ctx, act, "hello"); return err },
			"sell":     func() error { _, _, err := s.desk.Sell(ctx, act, scoring.NewSale{Value: usd(1)}); return err },
			"feedback": func() error { _, _, err := s.desk.Feedback(ctx, act, scoring.NPS, 9, ""); return err },
			"callback": func() error { _, _, err := s.desk.CallBack(ctx, act, true, nil); return err },
			"score": func() error {
				_, _, err := s.desk.Score(ctx, act, scoring.Filled{Scorecard: card.ID, Marks: marks(1)})
				return err
			},
		}
		for name, write := range writes {
			s.kind(name, write(), callwheel.Stale)
		}
		v := s.view(call)
		if v.Version != 1 || len(v.Tags) != 1 || v.Disposition != nil || len(v.Notes)+len(v.Sales)+len(v.Feedback)+len(v.CallBacks)+len(v.Scores) != 0 {
			s.Errorf("got %+v, want the tag alone at version 1", v)
		}
	})
}

func TestAnUnknownNameIsRefusedWithTheNearestOnes(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		_, err := s.desk.Tag(ctx, s.act(call), "price")
		checkFields(t, err, map[string]string{"tag": "none yet"})
		s.tags("price", "spare parts", "urgent", "Prize draw", "warranty")
		_, err = s.desk.Tag(ctx, s.act(call), "Pirce")
		checkFields(t, err, map[string]string{"tag": `nearest: "price", "urgent"`})
		_, err = s.desk.Untag(ctx, s.act(call), "urgnet")
		checkFields(t, err, map[string]string{"tag": `nearest: "urgent"`})
		_, err = s.desk.Dispose(ctx, s.act(call), "Leed")
		checkFields(t, err, map[string]string{"disposition": `nearest: "Lead"`})
		s.card("Sales call")
		_, _, err = s.desk.Score(ctx, s.act(call), scoring.Filled{Scorecard: "Sale call"})
		checkFields(t, err, map[string]string{"scorecard": `nearest: "Sales call"`})
		if v := s.view(call); v.Version != 0 {
			s.Errorf("version: got %d, want 0: nothing was judged", v.Version)
		}
		// What another account has is no suggestion here.
		if _, err := s.desk.CreateTag(ctx, account.Operator(other), "theirs"); err != nil {
			t.Fatal(err)
		}
		if _, err = s.desk.Tag(ctx, s.act(call), "theirs"); strings.Contains(fmt.Sprint(err), `nearest: "theirs"`) {
			s.Errorf("got %v: suggests another account's tag", err)
		}
	})
}

func TestAnotherAccountsCallDoesNotExist(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		sale, _, err := s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(5_000_000)})
		s.ok(err)
		act := scoring.Act{AccountID: other, CallID: call, Actor: "user_9"}
		_, err = s.desk.Dispose(ctx, act, "Lead")
		s.kind("dispose", err, callwheel.NotFound)
		_, _, err = s.desk.Note(ctx, act, "x")
		s.kind("note", err, callwheel.NotFound)
		_, err = s.desk.View(ctx, other, call)
		s.kind("view", err, callwheel.NotFound)
		_, err = s.desk.History(ctx, other, call)
		s.kind("history", err, callwheel.NotFound)
		_, err = s.desk.Sales(ctx, other, call)
		s.kind("sales", err, callwheel.NotFound)
		_, err = s.desk.Scores(ctx, other, call)
		s.kind("scores", err, callwheel.NotFound)
		_, err = s.desk.Caller(ctx, other, ana)
		s.kind("caller", err, callwheel.NotFound)
		s.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, started_at, updated_at) VALUES (?, 'call_2', 't', 'p2', 1, 1)`, other)
		act.CallID = "call_2"
		_, _, err = s.desk.Sell(ctx, act, scoring.NewSale{Value: usd(1), RefundOf: sale.ID})
		checkFields(t, err, map[string]string{"refund_of": "no such sale"})
	})
}

func TestTheLatestDispositionCountsAndEarlierOnesStay(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		if v := s.view(call); v.Qualified() != nil {
			s.Errorf("qualified before any disposition: got %v, want nil", *v.Qualified())
		}
		for i, name := range []string{"Lead", "Spam", "qualified  LEAD"} {
			version, err := s.desk.Dispose(ctx, s.act(call), name)
			s.ok(err)
			if version != int64(i+1) {
				s.Errorf("version: got %d, want %d", version, i+1)
			}
		}
		version, err := s.desk.Dispose(ctx, s.act(call), "Qualified lead")
		if err != nil || version != 3 {
			s.Errorf("said again: got version %d, %v, want 3 and no change", version, err)
		}
		// One that was given earlier but arrives late does not win.
		late := s.act(call)
		late.At = noon.Add(-30 * time.Minute)
		_, err = s.desk.Dispose(ctx, late, "Sale")
		s.ok(err)
		v := s.view(call)
		if v.Disposition.Name != "Qualified lead" || !*v.Qualified() || v.Version != 4 {
			s.Errorf("got %+v at %d, want Qualified lead at 4", v.Disposition, v.Version)
		}
		var kept string
		s.ok(s.db.Get(ctx, &kept, `SELECT o.name FROM call_desks k JOIN dispositions o ON o.account_id = k.account_id AND o.disposition_id = k.disposition_id WHERE k.account_id = ?`, acct))
		if kept != v.Disposition.Name {
			s.Errorf("the desk row says %q, the judgements %q", kept, v.Disposition.Name)
		}
		history, err := s.desk.History(ctx, acct, call)
		s.ok(err)
		var order []string
		for _, j := range history {
			order = append(order, string(j.Detail))
			if j.Actor != "user_1" || j.Kind != "disposed" {
				s.Errorf("got %s by %s", j.Kind, j.Actor)
			}
		}
		for i, want := range []string{`"Sale"`, `"Lead"`, `"Spam"`, `"Qualified lead"`} {
			if i >= len(order) || !strings.Contains(order[i], `"disposition":`+want) {
				s.Errorf("history %d: got %v, want %s", i, order, want)
			}
		}
	})
}

func TestSeveralScorersAreAveragedAndOneWhoScoresAgainReplacesHisOwn(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		card := s.card("Sales call")
		var wg sync.WaitGroup
		for i, level := range []int64{4, 2} {
			wg.Go(func() {
				act := s.act(call)
				act.Actor = fmt.Sprint("user_", i)
				_, _, err := s.desk.Score(ctx, act, scoring.Filled{Scorecard: card.Name, Marks: marks(level, level)})
				if err != nil {
					s.Errorf("scorer %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if v := s.view(call); v.Score == nil || *v.Score != 75 || len(v.Scores) != 2 || v.Mixed || v.Version != 2 {
			s.Errorf("got %v of %d scores, mixed %v, version %d, want 75 of 2", v.Score, len(v.Scores), v.Mixed, v.Version)
		}
		act := s.act(call)
		act.Actor = "user_1"
		// The worked example of doc.go; criterion c4 does not apply.
		again := append(marks(4, 2, 4, 3), scoring.Mark{Criterion: "c4"}, scoring.Mark{Criterion: "c5", Level: ptr(int64(4))})
		given, _, err := s.desk.Score(ctx, act, scoring.Filled{Scorecard: card.ID, Marks: again, Comment: "better"})
		s.ok(err)
		if *given.Result.Score < 82.352940 || *given.Result.Score > 82.352942 {
			s.Errorf("got %v, want 82.352941", *given.Result.Score)
		}
		v := s.view(call)
		if len(v.Scores) != 2 || *v.Score != (100+*given.Result.Score)/2 {
			s.Errorf("got %v of %d, want the mean of 100 and the new one", *v.Score, len(v.Scores))
		}
		all, err := s.desk.Scores(ctx, acct, call)
		superseded := 0
		for _, sc := range all {
			if !sc.SupersededAt.IsZero() {
				superseded++
			}
		}
		if err != nil || len(all) != 3 || superseded != 1 {
			s.Errorf("got %d scores, %d superseded, %v, want 3 and 1", len(all), superseded, err)
		}
		var kept struct {
			PPM    int64 `db:"score_ppm"`
			Scores int64 `db:"scores"`
		}
		s.ok(s.db.Get(ctx, &kept, `SELECT score_ppm, scores FROM call_desks WHERE account_id = ?`, acct))
		if kept.PPM != 911765 || kept.Scores != 2 {
			s.Errorf("the desk row: got %+v, want 911765 of 2", kept)
		}
		_, _, err = s.desk.Score(ctx, act, scoring.Filled{Scorecard: card.ID, Marks: marks(9)})
		checkFields(t, err, map[string]string{"marks[0].level": "from 0 to 4"})
	})
}

func TestAScoreKeepsTheVersionOfItsCard(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		card := s.card("Sales call")
		_, _, err := s.desk.Score(ctx, s.act(call), scoring.Filled{Scorecard: card.ID, Marks: marks(4, 0)})
		s.ok(err)
		before := *s.view(call).Score
		changed := card.Criteria
		changed = slices.Clone(changed)
		changed[0].Weight = 1000
		next, err := s.desk.EditScorecard(ctx, boss, card.ID, scoring.ScorecardEdit{Criteria: &changed}, &card.Version)
		if err != nil || next.Version != 2 {
			s.Fatalf("got version %d, %v, want 2", next.Version, err)
		}
		if after := *s.view(call).Score; after != before {
			s.Errorf("an old score changed with its card: %v, was %v", after, before)
		}
		act := s.act(call)
		act.Actor = "user_2"
		_, _, err = s.desk.Score(ctx, act, scoring.Filled{Scorecard: card.ID, Marks: marks(4, 4)})
		s.ok(err)
		if v := s.view(call); !v.Mixed {
			s.Error("scores of two versions are averaged and the view does not say so")
		}
		_, err = s.desk.EditScorecard(ctx, boss, card.ID, scoring.ScorecardEdit{Criteria: &changed}, ptr(int64(1)))
		s.kind("edit of version 1", err, callwheel.Stale)
		s.ok(s.desk.RetireScorecard(ctx, boss, card.ID, ptr(int64(2))))
		_, _, err = s.desk.Score(ctx, act, scoring.Filled{Scorecard: card.ID})
		s.kind("score with a retired card", err, callwheel.Invalid)
		old, err := s.desk.ScorecardByID(ctx, acct, card.ID, 1)
		if err != nil || old.Criteria[0].Weight != 10 {
			s.Errorf("version 1: got %+v, %v", old, err)
		}
		s.card("SALES call")
	})
}

func TestManyEditorsOfACardMakeOneVersionEach(t *testing.T) {
	each(t, func(s *scene) {
		card := s.card("Sales call")
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				name := fmt.Sprint("Card ", i)
				if _, err := s.desk.EditScorecard(ctx, boss, card.ID, scoring.ScorecardEdit{Name: &name}, nil); err != nil {
					s.Errorf("editor %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		now, err := s.desk.ScorecardByID(ctx, acct, card.ID, 0)
		if err != nil || now.Version != 11 {
			s.Errorf("got version %d, %v, want 11", now.Version, err)
		}
	})
}

func TestARefundTakesBackAtMostWhatIsLeft(t *testing.T) {
	each(t, func(s *scene) {
		call, later, stranger := s.call("call_1", ana), s.call("call_2", ana), s.call("call_3", bob)
		sale, _, err := s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(100_000_000), Margin: ptr(usd(33_330_000))})
		s.ok(err)
		refund := func(on string, micros int64, currency string) (scoring.Sale, error) {
			r, _, err := s.desk.Sell(ctx, s.act(on), scoring.NewSale{Value: callwheel.Money{Micros: micros, Currency: currency}, RefundOf: sale.ID})
			return r, err
		}
		_, err = refund(stranger, 1_000_000, "USD")
		checkFields(t, err, map[string]string{"refund_of": "another caller"})
		_, err = refund(call, 1_000_000, "EUR")
		checkFields(t, err, map[string]string{"value.currency": "USD"})
		_, err = refund(call, 100_010_000, "USD")
		checkFields(t, err, map[string]string{"value": "100.00 USD"})
		r, err := refund(later, 30_000_000, "USD")
		s.ok(err)
		// A third of 33.33, cut to the cent, is lost with the 30.
		if r.Value != usd(-30_000_000) || *r.Margin != usd(-9_990_000) {
			s.Errorf("got %v, margin %v, want -30.00 and -9.99", r.Value, r.Margin)
		}
		_, _, err = s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(1), RefundOf: r.ID})
		checkFields(t, err, map[string]string{"refund_of": "itself a refund"})
		before := sale.SoldAt.Add(-time.Second)
		_, _, err = s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(1), RefundOf: sale.ID, SoldAt: &before})
		checkFields(t, err, map[string]string{"sold_at": "before the sale"})

		// Twenty hands at once, from two calls, reach for the last 70 in tens.
		var wg sync.WaitGroup
		var mu sync.Mutex
		given := 0
		for i := range 20 {
			wg.Go(func() {
				_, err := refund([]string{call, later}[i%2], 10_000_000, "USD")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					given++
				} else if callwheel.KindOf(err) != callwheel.Invalid {
					s.Errorf("refund: %v", err)
				}
			})
		}
		wg.Wait()
		if given != 7 {
			s.Errorf("got %d refunds of 10, want 7", given)
		}
		c, err := s.desk.Caller(ctx, acct, ana)
		s.ok(err)
		if len(c.Values) != 1 || c.Values[0] != usd(0) {
			s.Errorf("what is left: got %v, want 0.00 USD", c.Values)
		}
		var margin int64
		for _, x := range c.Sales {
			margin += x.Margin.Micros
		}
		if margin != 0 {
			s.Errorf("margin left of a sale that was wholly refunded: got %d micros", margin)
		}
	})
}

func TestWhatCannotBeASaleIsRefused(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		ahead, within := noon.Add(25*time.Hour), noon.Add(23*time.Hour)
		for name, c := range map[string]struct {
			sale  scoring.NewSale
			field string
		}{
			"nothing":              {scoring.NewSale{Value: usd(0)}, "value"},
			"negative":             {scoring.NewSale{Value: usd(-5)}, "value"},
			"too much":             {scoring.NewSale{Value: usd(1 << 60)}, "value"},
			"no currency":          {scoring.NewSale{Value: callwheel.Money{Micros: 5}}, "value.currency"},
			"invented currency":    {scoring.NewSale{Value: callwheel.Money{Micros: 5, Currency: "XQZ"}}, "value.currency"},
			"margin above value":   {scoring.NewSale{Value: usd(5), Margin: ptr(usd(6))}, "margin"},
			"margin elsewhere":     {scoring.NewSale{Value: usd(5), Margin: &callwheel.Money{Micros: 1, Currency: "EUR"}}, "margin"},
			"in the future":        {scoring.NewSale{Value: usd(5), SoldAt: &ahead}, "sold_at"},
			"refund of no such id": {scoring.NewSale{Value: usd(5), RefundOf: "sale_none"}, "refund_of"},
		} {
			_, _, err := s.desk.Sell(ctx, s.act(call), c.sale)
			if callwheel.KindOf(err) != callwheel.Invalid || fields(err)[c.field] == "" {
				s.Errorf("%s: got %v, want %s refused", name, err, c.field)
			}
		}
		if v := s.view(call); v.Version != 0 || v.Value() != nil {
			s.Errorf("got value %v at version %d, want none", v.Value(), v.Version)
		}
		_, _, err := s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(5_000_000), Margin: ptr(usd(-1_000_000)), SoldAt: &within})
		s.ok(err)
		_, _, err = s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(2_500_000)})
		s.ok(err)
		if v := s.view(call); v.Value() == nil || *v.Value() != usd(7_500_000) {
			s.Errorf("got %v, want 7.50", v.Value())
		}
		_, _, err = s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: callwheel.Money{Micros: 1_000_000, Currency: "EUR"}})
		s.ok(err)
		if v := s.view(call); v.Value() != nil || len(v.Values) != 2 {
			s.Errorf("two currencies: got %v of %v, want no sum", v.Value(), v.Values)
		}
	})
}

func TestHistoryTellsWhoAndWhenInOrder(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		s.tags("price")
		card := s.card("Sales call")
		agent, err := s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Ines"), Phone: ptr("+1 312 555 0199")})
		s.ok(err)
		steps := []func(act scoring.Act) error{
			func(a scoring.Act) error { _, err := s.desk.Tag(ctx, a, "PRICE"); return err },
			func(a scoring.Act) error { _, err := s.desk.Dispose(ctx, a, "Lead"); return err },
			func(a scoring.Act) error {
				_, _, err := s.desk.Score(ctx, a, scoring.Filled{Scorecard: card.ID, Marks: marks(1)})
				return err
			},
			func(a scoring.Act) error {
				_, _, err := s.desk.Sell(ctx, a, scoring.NewSale{Value: usd(1)})
				return err
			},
			func(a scoring.Act) error { _, _, err := s.desk.Note(ctx, a, "wants\nblue"); return err },
			func(a scoring.Act) error { _, _, err := s.desk.Feedback(ctx, a, scoring.CSAT, 5, "nice"); return err },
			func(a scoring.Act) error { _, _, err := s.desk.CallBack(ctx, a, true, nil); return err },
			func(a scoring.Act) error { _, err := s.desk.Assign(ctx, a, agent.ID); return err },
			func(a scoring.Act) error { _, err := s.desk.Untag(ctx, a, "price"); return err },
			func(a scoring.Act) error { _, err := s.desk.Untag(ctx, a, "price"); return err }, // changes nothing
		}
		for i, step := range steps {
			act := s.act(call)
			act.Actor = fmt.Sprint("user_", i)
			s.ok(step(act))
			s.pass(time.Minute)
		}
		history, err := s.desk.History(ctx, acct, call)
		s.ok(err)
		want := []string{"tagged", "disposed", "scored", "sold", "noted", "feedback", "called_back", "assigned", "untagged"}
		if len(history) != len(want) {
			s.Fatalf("got %d judgements, want %d", len(history), len(want))
		}
		for i, j := range history {
			at := noon.Add(time.Duration(i) * time.Minute)
			if j.Kind != want[i] || j.Actor != fmt.Sprint("user_", i) || !j.At.Equal(at) {
				s.Errorf("%d: got %s by %s at %s, want %s at %s", i, j.Kind, j.Actor, j.At, want[i], at)
			}
		}
		v := s.view(call)
		if v.Version != 9 || v.Agent == nil || v.Agent.Name != "Ines" || !v.Agent.ByHand || len(v.Tags) != 0 || v.Notes[0].Text != "wants\nblue" {
			s.Errorf("got %+v", v)
		}
		c, err := s.desk.Caller(ctx, acct, ana)
		s.ok(err)
		if len(c.History) != 9 || c.History[0].Kind != "untagged" || len(c.Feedback) != 1 {
			s.Errorf("the caller's page has %d judgements and %d feedback", len(c.History), len(c.Feedback))
		}
	})
}

func TestNotesFeedbackAndCallBacksOutOfRangeAreRefused(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		act := s.act(call)
		for _, text := range []string{"", " \n", strings.Repeat("x", 10_001), "a\x00b", "\xff"} {
			_, _, err := s.desk.Note(ctx, act, text)
			s.kind("note", err, callwheel.Invalid)
		}
		_, _, err := s.desk.Note(ctx, act, strings.Repeat("ж", 10_000))
		s.ok(err)
		for _, c := range []struct {
			kind  scoring.FeedbackKind
			value int64
			want  callwheel.Kind
		}{
			{scoring.CSAT, 0, callwheel.Invalid},
			{scoring.CSAT, 1, ""},
			{scoring.CSAT, 5, ""},
			{scoring.CSAT, 6, callwheel.Invalid},
			{scoring.NPS, -1, callwheel.Invalid},
			{scoring.NPS, 0, ""},
			{scoring.NPS, 10, ""},
			{scoring.NPS, 11, callwheel.Invalid},
			{"stars", 3, callwheel.Invalid},
		} {
			_, _, err := s.desk.Feedback(ctx, act, c.kind, c.value, "")
			s.kind(fmt.Sprint(c.kind, c.value), err, c.want)
		}
		for _, at := range []time.Time{noon.Add(-2 * time.Hour), noon.Add(25 * time.Hour)} {
			_, _, err := s.desk.CallBack(ctx, act, true, &at)
			s.kind("call back at "+at.String(), err, callwheel.Invalid)
		}
		at := noon.Add(-time.Minute)
		back, _, err := s.desk.CallBack(ctx, act, false, &at)
		if err != nil || back.Connected || !back.CalledAt.Equal(at) {
			s.Errorf("got %+v, %v", back, err)
		}
	})
}

func TestACallIsTheirsWhosePhoneWasBridgedUnlessSomebodySaysOtherwise(t *testing.T) {
	each(t, func(s *scene) {
		const phone = "+13125550199"
		ines, err := s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Ines"), Phone: ptr(phone)})
		s.ok(err)
		_, err = s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Omar"), Phone: ptr("+1 (312) 555-0199")})
		s.kind("a phone twice", err, callwheel.Conflict)
		first := s.call("call_1", ana)
		s.exec(`UPDATE calls SET answered_by = ? WHERE account_id = ? AND call_id = ?`, phone, acct, first)
		s.pass(time.Hour)
		s.ok(s.desk.RetireAgent(ctx, boss, ines.ID, nil))
		omar, err := s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Omar"), Phone: ptr(phone)})
		s.ok(err)
		s.pass(2 * time.Hour)
		second := s.call("call_2", ana)
		s.exec(`UPDATE calls SET answered_by = ? WHERE account_id = ? AND call_id = ?`, phone, acct, second)
		if a := s.view(first).Agent; a == nil || a.Name != "Ines" || a.ByHand {
			s.Errorf("the call before the phone changed hands: got %+v, want Ines", a)
		}
		if a := s.view(second).Agent; a == nil || a.Name != "Omar" {
			s.Errorf("the call after: got %+v, want Omar", a)
		}
		_, err = s.desk.Assign(ctx, s.act(second), ines.ID)
		checkFields(t, err, map[string]string{"agent": "not an agent"})
		lena, err := s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Lena")})
		s.ok(err)
		_, err = s.desk.Assign(ctx, s.act(second), lena.ID)
		s.ok(err)
		if a := s.view(second).Agent; a == nil || a.Name != "Lena" || !a.ByHand {
			s.Errorf("by hand: got %+v, want Lena", a)
		}
		_, err = s.desk.Assign(ctx, s.act(second), "")
		s.ok(err)
		if a := s.view(second).Agent; a == nil || a.ID != omar.ID {
			s.Errorf("given back: got %+v, want Omar", a)
		}
	})
}

func TestAPhoneThatChangesHandsTakesNoCallAlong(t *testing.T) {
	each(t, func(s *scene) {
		const phone = "+13125550199"
		ines, err := s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Ines"), Phone: ptr(phone)})
		s.ok(err)
		first := s.call("call_1", ana)
		s.pass(time.Hour)
		_, err = s.desk.EditAgent(ctx, boss, ines.ID, scoring.AgentEdit{Phone: ptr("+13125550188")}, nil)
		s.ok(err)
		_, err = s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Omar"), Phone: ptr(phone)})
		s.ok(err)
		s.pass(2 * time.Hour)
		second := s.call("call_2", ana)
		_, err = s.desk.EditAgent(ctx, boss, ines.ID, scoring.AgentEdit{Name: ptr("Ines M.")}, nil)
		s.ok(err)
		s.exec(`UPDATE calls SET answered_by = ? WHERE account_id = ?`, phone, acct)
		for call, want := range map[string]string{first: "Ines M.", second: "Omar"} {
			if a := s.view(call).Agent; a == nil || a.Name != want {
				s.Errorf("%s: got %+v, want %s", call, a, want)
			}
		}
	})
}

func TestRetiringATagLeavesItOnItsCallsAndFreesItsName(t *testing.T) {
	each(t, func(s *scene) {
		call := s.call("call_1", ana)
		s.tags("price")
		_, err := s.desk.Tag(ctx, s.act(call), "price")
		s.ok(err)
		tags, err := s.desk.Tags(ctx, acct, scoring.Page{})
		s.ok(err)
		s.kind("an old version", s.desk.RetireTag(ctx, boss, tags[0].ID, ptr(int64(7))), callwheel.Stale)
		s.kind("another account's", s.desk.RetireTag(ctx, account.Operator(other), tags[0].ID, nil), callwheel.NotFound)
		s.ok(s.desk.RetireTag(ctx, boss, tags[0].ID, &tags[0].Version))
		s.kind("twice", s.desk.RetireTag(ctx, boss, tags[0].ID, nil), callwheel.NotFound)
		if v := s.view(call); len(v.Tags) != 1 || v.Tags[0].Name != "price" {
			s.Errorf("on the call: got %v", v.Tags)
		}
		s.tags("Price")
		_, err = s.desk.Tag(ctx, s.act(call), "price")
		s.ok(err)
		if v := s.view(call); len(v.Tags) != 2 {
			s.Errorf("old and new: got %v", v.Tags)
		}
		_, err = s.desk.Untag(ctx, s.act(call), "price")
		s.ok(err)
		if v := s.view(call); len(v.Tags) != 0 {
			s.Errorf("taken off: got %v", v.Tags)
		}
	})
}

func TestListsAreEditedAgainstTheirVersion(t *testing.T) {
	each(t, func(s *scene) {
		s.tags("price", "urgent")
		tags, err := s.desk.Tags(ctx, acct, scoring.Page{Limit: 1})
		s.ok(err)
		rest, err := s.desk.Tags(ctx, acct, scoring.Page{After: tags[0].ID, Limit: 5})
		s.ok(err)
		if len(tags) != 1 || len(rest) != 1 || tags[0].Name != "price" || rest[0].Name != "urgent" {
			s.Errorf("pages: got %v and %v", tags, rest)
		}
		_, err = s.desk.RenameTag(ctx, boss, tags[0].ID, ptr("URGENT"), nil)
		s.kind("a name that is taken", err, callwheel.Conflict)
		renamed, err := s.desk.RenameTag(ctx, boss, tags[0].ID, ptr("Prices"), ptr(int64(1)))
		if err != nil || renamed.Version != 2 {
			s.Errorf("got %+v, %v", renamed, err)
		}
		_, err = s.desk.RenameTag(ctx, boss, tags[0].ID, ptr("Costs"), ptr(int64(1)))
		s.kind("an old version", err, callwheel.Stale)
		var actions []string
		s.ok(s.db.Select(ctx, &actions, `SELECT action FROM audit_log WHERE account_id = ? AND actor = ? ORDER BY audit_id`, acct, boss.Actor))
		if want := []string{"tag.create", "tag.create", "tag.update"}; !slices.Equal(actions, want) {
			s.Errorf("audit log: got %v, want %v", actions, want)
		}

		list, err := s.desk.Dispositions(ctx, acct, scoring.Page{})
		s.ok(err)
		lead := list[slices.IndexFunc(list, func(d scoring.Disposition) bool { return d.Name == "Lead" })]
		_, err = s.desk.EditDisposition(ctx, boss, lead.ID, scoring.DispositionEdit{Genuine: ptr(false)}, nil)
		checkFields(t, err, map[string]string{"genuine": "stage none"})
		_, err = s.desk.EditDisposition(ctx, boss, lead.ID, scoring.DispositionEdit{Stage: ptr(scoring.StageWon), Qualified: ptr(false)}, nil)
		checkFields(t, err, map[string]string{"qualified": "is qualified"})
		_, err = s.desk.EditDisposition(ctx, boss, lead.ID, scoring.DispositionEdit{Name: ptr("spam")}, nil)
		s.kind("a name that is taken", err, callwheel.Conflict)
		lead, err = s.desk.EditDisposition(ctx, boss, lead.ID, scoring.DispositionEdit{Name: ptr("Enquiry")}, ptr(int64(1)))
		if err != nil || lead.Name != "Enquiry" || lead.Version != 2 || !lead.Qualified {
			s.Errorf("got %+v, %v", lead, err)
		}
		s.kind("retire an old version", s.desk.RetireDisposition(ctx, boss, lead.ID, ptr(int64(1))), callwheel.Stale)
		s.ok(s.desk.RetireDisposition(ctx, boss, lead.ID, ptr(int64(2))))
		s.ok(s.desk.SeedLists(ctx, acct))
		again, err := s.desk.Dispositions(ctx, acct, scoring.Page{})
		if err != nil || len(again) != len(list)-1 {
			s.Errorf("seeded again: got %d dispositions, want %d", len(again), len(list)-1)
		}
		won, err := s.desk.CreateDisposition(ctx, boss, scoring.DispositionEdit{Name: ptr("Signed"), Stage: ptr(scoring.StageWon)})
		if err != nil || !won.Qualified || !won.Genuine || won.Position != int64(len(list)+1) {
			s.Errorf("got %+v, %v", won, err)
		}

		_, err = s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr(" "), Phone: ptr("12"), Email: ptr("Ana <a@b.c>")})
		checkFields(t, err, map[string]string{"name": "empty", "phone": "", "email": "e-mail"})
		bad := []scoring.Criterion{{Name: "A", Weight: 0, MaxLevel: 1}, {Name: "a", Weight: 1, MaxLevel: 0}}
		_, err = s.desk.CreateScorecard(ctx, boss, scoring.ScorecardEdit{Criteria: &bad})
		checkFields(t, err, map[string]string{"name": "empty", "criteria[0].weight": "above 0", "criteria[1].name": "twice", "criteria[1].max_level": "1"})
		for _, name := range []string{"", "  ", "a\x00", "\xff", "..", strings.Repeat("x", 101), "a\x07"} {
			_, err := s.desk.CreateTag(ctx, boss, name)
			s.kind(fmt.Sprintf("tag %q", name), err, callwheel.Invalid)
		}
	})
}

func TestMilestonesAreTheFirstMomentOfAStageOrALaterOne(t *testing.T) {
	each(t, func(s *scene) {
		first, second := s.call("call_1", ana), s.call("call_2", ana)
		anonymous := s.call("call_3", "")
		const never = -99
		give := func(call, name string) {
			_, err := s.desk.Dispose(ctx, s.act(call), name)
			s.ok(err)
			s.pass(time.Hour)
		}
		check := func(person string, lead, qualified, won int) {
			t.Helper()
			m, err := s.desk.Milestones(ctx, acct, person)
			s.ok(err)
			for what, c := range map[string]struct {
				got  store.Time
				want int
			}{"lead": {m.LeadAt, lead}, "qualified": {m.QualifiedAt, qualified}, "won": {m.WonAt, won}} {
				want := time.Time{}
				if c.want != never {
					want = noon.Add(time.Duration(c.want) * time.Hour)
				}
				if !c.got.Equal(want) {
					t.Errorf("%s of %s: got %s, want %s", what, person, c.got, want)
				}
			}
		}
		check(ana, never, never, never)
		give(first, "Not a lead") // hour 0
		check(ana, never, never, never)
		give(second, "Qualified lead") // hour 1: a lead as well
		give(first, "Lead")            // hour 2
		give(second, "Spam")           // hour 3: what was given stays given
		check(ana, 1, 1, never)
		sale, _, err := s.desk.Sell(ctx, s.act(first), scoring.NewSale{Value: usd(5)}) // hour 4
		s.ok(err)
		s.pass(time.Hour)
		_, _, err = s.desk.Sell(ctx, s.act(first), scoring.NewSale{Value: usd(5), RefundOf: sale.ID})
		s.ok(err)
		check(ana, 1, 1, 4)
		_, err = s.desk.ImportOutcome(ctx, acct, scoring.Outcome{ID: "o1", Person: ana, LeadAt: ptr(noon.Add(-time.Hour))})
		s.ok(err)
		check(ana, -1, 1, 4)
		// An anonymous caller is a person of one call.
		give(anonymous, "Lead") // hour 5
		check("call:"+anonymous, 5, never, never)
		check(ana, -1, 1, 4)
	})
}

func TestAPersonOverTimeHasCallsSalesAndReferrals(t *testing.T) {
	each(t, func(s *scene) {
		_, err := s.desk.Caller(ctx, acct, ana)
		s.kind("nobody", err, callwheel.NotFound)
		_, err = s.desk.Caller(ctx, acct, "not a number")
		s.kind("no number", err, callwheel.NotFound)
		first := s.call("call_1", ana)
		s.pass(time.Hour)
		second := s.call("call_2", ana)
		s.call("call_3", bob)
		_, err = s.desk.Dispose(ctx, s.act(second), "Booked")
		s.ok(err)
		for _, call := range []string{first, second} {
			_, _, err = s.desk.Sell(ctx, s.act(call), scoring.NewSale{Value: usd(10_000_000)})
			s.ok(err)
		}
		one, err := s.desk.Refer(ctx, acct, "user_1", "+1 312-555-0101", bob, nil)
		s.ok(err)
		two, err := s.desk.Refer(ctx, acct, "user_2", ana, bob, nil)
		if err != nil || one.ID != two.ID || two.RecordedBy != "user_1" {
			s.Errorf("said twice: got %+v and %+v, %v, want the first", one, two, err)
		}
		_, err = s.desk.Refer(ctx, acct, "user_1", ana, ana, nil)
		checkFields(t, err, map[string]string{"referred": "themselves"})
		_, err = s.desk.Refer(ctx, acct, "user_1", ana, "nobody", nil)
		checkFields(t, err, map[string]string{"referred": "phone number"})
		c, err := s.desk.Caller(ctx, acct, ana)
		s.ok(err)
		if c.CallCount != 2 || len(c.Calls) != 2 || c.Calls[0].ID != second || *c.Calls[0].Disposition != "Booked" || c.Calls[1].Disposition != nil {
			s.Errorf("calls: got %+v", c.Calls)
		}
		if !c.FirstCall.Equal(noon.Add(-time.Hour)) || !c.LastCall.Equal(noon) {
			s.Errorf("got calls from %s to %s", c.FirstCall, c.LastCall)
		}
		if len(c.Sales) != 2 || c.Values[0] != usd(20_000_000) || c.Milestones.WonAt.IsZero() {
			s.Errorf("sales: got %+v, %v", c.Sales, c.Values)
		}
		if len(c.Referred) != 1 || c.Referred[0].Referred != bob || len(c.ReferredBy) != 0 {
			s.Errorf("referrals: got %+v, %+v", c.Referred, c.ReferredBy)
		}
		if b, err := s.desk.Caller(ctx, acct, bob); err != nil || len(b.ReferredBy) != 1 {
			s.Errorf("the other side: got %+v, %v", b, err)
		}
	})
}

func TestAnOutcomeImportedTwiceChangesNothing(t *testing.T) {
	each(t, func(s *scene) {
		o := scoring.Outcome{ID: "o1", Person: "p-17", LeadAt: &noon, Value: ptr(usd(5)), Margin: ptr(usd(2))}
		for i, want := range []bool{true, false} {
			changed, err := s.desk.ImportOutcome(ctx, acct, o)
			if err != nil || changed != want {
				s.Errorf("import %d: got %v, %v, want %v", i, changed, err, want)
			}
		}
		o.WonAt = ptr(noon.Add(time.Hour))
		changed, err := s.desk.ImportOutcome(ctx, acct, o)
		if err != nil || !changed {
			s.Errorf("corrected: got %v, %v, want a change", changed, err)
		}
		for field, one := range map[string]scoring.Outcome{
			"won_at":       {LeadAt: ptr(noon.Add(25 * time.Hour)), WonAt: &noon},
			"qualified_at": {LeadAt: ptr(noon.Add(25 * time.Hour)), QualifiedAt: &noon, WonAt: ptr(noon.Add(30 * time.Hour))},
			"refunded":     {LeadAt: &noon, Value: ptr(usd(5)), Refunded: ptr(usd(1))},
			"margin":       {WonAt: &noon, Value: ptr(usd(5)), Margin: ptr(usd(6))},
		} {
			one.ID, one.Person = "o2", "p-18"
			_, err = s.desk.ImportOutcome(ctx, acct, one)
			checkFields(t, err, map[string]string{field: map[string]string{
				"won_at": "is more than a day before lead_at", "qualified_at": "is more than a day before lead_at", "refunded": "needs won_at",
				"margin": "must be an amount from -1000000000.00 to 0.000005 USD",
			}[field]})
		}
		// A system that knows only the date of a sale writes its midnight; another
		// has one instant for all; a third does not know when the lead came.
		for i, one := range []scoring.Outcome{{LeadAt: ptr(noon.Add(9 * time.Hour)), WonAt: &noon}, {LeadAt: &noon, QualifiedAt: &noon, WonAt: &noon}, {QualifiedAt: &noon, WonAt: &noon}} {
			one.ID, one.Person = fmt.Sprint("fine", i), "p-19"
			_, err = s.desk.ImportOutcome(ctx, acct, one)
			s.ok(err)
		}
		_, err = s.desk.ImportOutcome(ctx, acct, scoring.Outcome{Value: ptr(usd(-5)), Margin: &callwheel.Money{Micros: 1, Currency: "EUR"}})
		checkFields(t, err, map[string]string{"outcome_id": "empty", "person": "empty", "value": "", "margin": "currency", "lead_at": "needs"})
	})
}

func TestViewsOfManyCallsAreReadTogether(t *testing.T) {
	each(t, func(s *scene) {
		var ids []string
		for i := range 3 {
			id := s.call(fmt.Sprint("call_", i), ana)
			ids = append(ids, id)
			_, err := s.desk.Dispose(ctx, s.act(id), []string{"Lead", "Spam", "Sale"}[i])
			s.ok(err)
		}
		views, err := s.desk.Views(ctx, acct, append(ids, "call_none"))
		s.ok(err)
		for i, want := range []string{"Lead", "Spam", "Sale"} {
			if got := views[ids[i]].Disposition; got == nil || got.Name != want {
				s.Errorf("%s: got %+v, want %s", ids[i], got, want)
			}
		}
		if v := views["call_none"]; v == nil || v.Version != 0 {
			s.Errorf("an unknown call: got %+v, want an empty view", v)
		}
	})
}
