package scoring_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
)

func TestAScoreComesWithTheFactsThatMovedIt(t *testing.T) {
	w := scoring.LeadWeights{Intercept: -1, Factors: []scoring.LeadFactor{
		{Fact: "source", Levels: []scoring.LeadLevel{{Value: "Ads", Weight: 2, Share: 0.5}, {Value: "Radio", Weight: -1, Share: 0.5}}},
		{Fact: "day", Levels: []scoring.LeadLevel{{Value: "weekend", Weight: 0.5, Share: 0.2}}},
		{Fact: "caller", Levels: []scoring.LeadLevel{{Value: "customer", Weight: 3, Share: 0.1}}},
		{Fact: "area", Levels: []scoring.LeadLevel{{Value: "+1312", Weight: 0.1, Share: 1}}},
	}}
	// −1 + 2 + 0.1: the source adds 2 − (2·0.5 − 1·0.5) = 1.5 to the average, no
	// customer takes 0.3 away, no weekend 0.1, the area, that all have, nothing.
	p, moved := w.Predict(scoring.LeadFacts{"source": {"ads"}, "day": {"weekday"}, "caller": {"first call"}, "area": {"+1312"}})
	if math.Abs(p-1/(1+math.Exp(-1.1))) > 1e-12 {
		t.Errorf("got %v", p)
	}
	want := []scoring.LeadFact{{"source", "Ads", 1.5}, {"caller", "first call", -0.3}, {"day", "weekday", -0.1}}
	if len(moved) != 3 {
		t.Fatalf("got %+v", moved)
	}
	for i, f := range moved {
		if f.Fact != want[i].Fact || f.Value != want[i].Value || math.Abs(f.Effect-want[i].Effect) > 1e-12 {
			t.Errorf("got %+v, want %+v", f, want[i])
		}
	}
}

// Whatever the outcomes: probabilities lie in (0, 1), their mean over what was
// fitted is the share of qualified ones, and the order of outcomes of one moment
// does not matter.
func TestLeadModelRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) scoring.LeadOutcome {
			return scoring.LeadOutcome{
				Facts:     scoring.LeadFacts{"source": {rapid.SampledFrom([]string{"Ads", "ads", "Radio", "Mail"}).Draw(t, "source")}, "day": {rapid.SampledFrom([]string{"weekday", "weekend"}).Draw(t, "day")}},
				Qualified: rapid.Bool().Draw(t, "qualified"),
			}
		}), 20, 120).Draw(t, "outcomes")
		positives := 0
		for _, o := range list {
			if o.Qualified {
				positives++
			}
		}
		if positives == 0 || positives == len(list) {
			return
		}
		w, err := scoring.FitLeads(list, []string{"source", "day"})
		if err != nil {
			t.Fatal(err)
		}
		turned := slices.Clone(list)
		slices.Reverse(turned)
		again, err := scoring.FitLeads(turned, []string{"source", "day"})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, o := range list {
			p, moved := w.Predict(o.Facts)
			other, _ := again.Predict(o.Facts)
			if !(p > 0 && p < 1) || math.Abs(p-other) > 1e-6 || len(moved) > 3 {
				t.Fatalf("got %v and %v with %v", p, other, moved)
			}
			sum += p
		}
		if math.Abs(sum-float64(positives)) > 1e-5*float64(len(list)) {
			t.Fatalf("expected %v, seen %d", sum, positives)
		}
	})
}

// lead adds a call of an account with an outcome: what became of the source's
// calls before decides, the same in every run.
func (s *scene) lead(accountID string, i int, at time.Time, source string, qualified bool) {
	s.Helper()
	id := fmt.Sprint(accountID, "_call_", i)
	disposition := "disp_no"
	if qualified {
		disposition = "disp_yes"
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, started_at, updated_at) VALUES (?, ?, 't', ?, 'answered', ?, ?, 1)`,
			accountID, id, id, fmt.Sprintf("+1312555%04d", i%10000), store.Micros(at)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source, medium, model_version, attributed_at) VALUES (?, ?, 'source', 'source_number', 0.99, ?, 'print', 'v', 1)`,
			accountID, id, source); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO call_desks (account_id, call_id, version, disposition_id, disposed_at, updated_at) VALUES (?, ?, 1, ?, ?, 1)`,
			accountID, id, disposition, store.Micros(at.Add(10*time.Minute)))
		return err
	})
	s.ok(err)
}

// leads adds n calls an hour apart, the latest two hours ago. Of the calls by
// Ads seven in ten are qualified, of those by Radio one in five.
func (s *scene) leads(accountID string, n int) {
	s.Helper()
	for _, d := range []struct {
		id        string
		qualified bool
	}{{"disp_yes", true}, {"disp_no", false}} {
		s.exec(`INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, created_at) VALUES (?, ?, ?, ?, ?, 'none', ?, 1) ON CONFLICT DO NOTHING`,
			accountID, d.id, d.id, d.id, d.qualified, true)
	}
	for i := range n {
		source, qualified := "Ads", (i/2)%10 < 7
		if i%2 == 1 {
			source, qualified = "Radio", (i/2)%5 == 0
		}
		s.lead(accountID, i, noon.Add(-time.Duration(n-i+1)*time.Hour), source, qualified)
	}
}

func TestAnAccountsOwnCallsMakeItsLeadScores(t *testing.T) {
	each(t, func(s *scene) {
		s.leads(acct, 150)
		n, err := s.desk.RefitLeads(ctx, noon)
		s.ok(err)
		m, err := s.desk.LeadModel(ctx, acct, 0)
		s.ok(err)
		if n != 0 || m.Version != 0 || m.Outcomes != 150 || m.Positives == 0 {
			t.Fatalf("with too little: got %d models, %+v", n, m)
		}
		for i := range 250 {
			source, qualified := "Ads", (i/2)%10 < 7
			if i%2 == 1 {
				source, qualified = "Radio", (i/2)%5 == 0
			}
			s.lead(acct, 1000+i, noon.Add(-time.Duration(400-i)*time.Minute/2-time.Hour), source, qualified)
		}
		n, err = s.desk.RefitLeads(ctx, noon)
		s.ok(err)
		m, err = s.desk.LeadModel(ctx, acct, 0)
		s.ok(err)
		if n != 1 || m.Version != 1 || m.Origin != scoring.LeadFitted || m.Outcomes != 400 || !m.FittedAt.Equal(noon) {
			t.Fatalf("got %d models, %+v", n, m)
		}
		j := m.Judgement
		if j.Outcomes != 120 || *j.AUC < 0.7 || *j.AUC > 0.8 || !m.Useful() || *j.Skill < 0.15 || len(j.Bins) != 10 || math.Abs(*j.Slope-1) > 0.3 {
			t.Errorf("judged on later data: %d outcomes, AUC %v, skill %v, slope %v", j.Outcomes, *j.AUC, *j.Skill, *j.Slope)
		}

		// Nothing before the model is scored, nor what began less than two minutes
		// ago; what is scored stays.
		s.clock = noon.Add(time.Hour)
		for i, source := range []string{"Ads", "Radio", "ADS"} {
			s.lead(acct, 9000+i, noon.Add(time.Duration(i)*30*time.Minute-time.Duration(i/2)*30*time.Second), source, false)
		}
		n, err = s.desk.ScoreLeads(ctx, s.clock)
		s.ok(err)
		if n != 2 {
			t.Errorf("scored: got %d calls, want 2", n)
		}
		n, err = s.desk.ScoreLeads(ctx, s.clock)
		s.ok(err)
		if n != 0 {
			t.Errorf("scored again: got %d calls, want none", n)
		}
		var scores []struct {
			CallID      string  `db:"call_id"`
			Version     int64   `db:"model_version"`
			Probability float64 `db:"probability"`
			Facts       string  `db:"facts"`
		}
		s.ok(s.db.Select(ctx, &scores, `SELECT call_id, model_version, probability, facts FROM lead_scores WHERE account_id = ? ORDER BY call_id`, acct))
		if len(scores) != 2 || scores[0].Version != 1 || math.Abs(scores[0].Probability-0.7) > 0.12 || math.Abs(scores[1].Probability-0.2) > 0.12 {
			t.Errorf("got %+v", scores)
		}

		// A week later the next version is fitted; the older one can still be read.
		n, err = s.desk.RefitLeads(ctx, noon.Add(6*24*time.Hour))
		s.ok(err)
		if n != 0 {
			t.Errorf("after six days: got %d models", n)
		}
		n, err = s.desk.RefitLeads(ctx, noon.Add(7*24*time.Hour))
		s.ok(err)
		newest, err := s.desk.LeadModel(ctx, acct, 0)
		s.ok(err)
		first, err := s.desk.LeadModel(ctx, acct, 1)
		s.ok(err)
		if n != 1 || newest.Version != 2 || newest.Outcomes != 403 || first.Outcomes != 400 {
			t.Errorf("after a week: got %d models, version %d of %d, the first of %d", n, newest.Version, newest.Outcomes, first.Outcomes)
		}
		_, err = s.desk.LeadModel(ctx, acct, 3)
		s.kind("a version that is not there", err, callwheel.NotFound)
	})
}

// An account with few outcomes borrows what means the same everywhere, moved to
// its own share of qualified calls.
func TestAnAccountWithFewOutcomesHasThePooledPrior(t *testing.T) {
	each(t, func(s *scene) {
		s.leads(acct, 400)
		s.leads(other, 10)
		n, err := s.desk.RefitLeads(ctx, noon)
		s.ok(err)
		m, err := s.desk.LeadModel(ctx, other, 0)
		s.ok(err)
		if n != 2 || m.Origin != scoring.LeadPooled || m.Prior != 1 || m.Outcomes != 10 || m.Judgement.Outcomes != 123 {
			t.Fatalf("got %d models, %+v", n, m)
		}
		for _, f := range m.Factors {
			if f.Fact == "source" || f.Fact == "area" || f.Fact == "tags" {
				t.Errorf("the prior tells of another account's %s", f.Fact)
			}
		}
	})
}

// Tags that were put on later, or after the outcome, are not known beforehand.
func TestOnlyWhatWasKnownInTimeCounts(t *testing.T) {
	each(t, func(s *scene) {
		s.leads(acct, 400)
		for _, tag := range []string{"early", "late"} {
			s.exec(`INSERT INTO tags (account_id, tag_id, name, folded, created_at) VALUES (?, ?, ?, ?, 1)`, acct, "tag_"+tag, tag, tag)
			after := map[string]time.Duration{"early": time.Minute, "late": 3 * time.Minute}[tag]
			s.exec(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by)
				SELECT account_id, call_id, ?, started_at + ?, 'u' FROM calls WHERE account_id = ?`, "tag_"+tag, after.Microseconds(), acct)
		}
		_, err := s.desk.RefitLeads(ctx, noon)
		s.ok(err)
		m, err := s.desk.LeadModel(ctx, acct, 0)
		s.ok(err)
		at := slices.IndexFunc(m.Factors, func(f scoring.LeadFactor) bool { return f.Fact == "tags" })
		if at < 0 || len(m.Factors[at].Levels) != 1 || m.Factors[at].Levels[0].Value != "early" || m.Factors[at].Levels[0].Share != 1 {
			t.Errorf("got %+v", m.Factors)
		}
	})
}

// Sales are often dated by their day alone, which began before the call that
// brought them. That is the outcome, and no fact that was known when it began.
func TestWhatACallSoldIsNoFactBeforeIt(t *testing.T) {
	each(t, func(s *scene) {
		s.leads(acct, 400)
		var qualified []string
		s.ok(s.db.Select(ctx, &qualified, `SELECT call_id FROM call_desks WHERE account_id = ? AND disposition_id = 'disp_yes' ORDER BY call_id`, acct))
		for _, id := range qualified {
			s.exec(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by)
				SELECT account_id, 'sale_' || call_id, call_id, from_e164, 1000000, 'USD', started_at - CAST(? AS BIGINT), started_at + CAST(? AS BIGINT), 'user_1'
				FROM calls WHERE account_id = ? AND call_id = ?`, (6 * time.Hour).Microseconds(), (10 * time.Minute).Microseconds(), acct, id)
		}
		_, err := s.desk.RefitLeads(ctx, noon)
		s.ok(err)
		m, err := s.desk.LeadModel(ctx, acct, 0)
		s.ok(err)
		if m.Version != 1 || m.Positives != int64(len(qualified)) {
			t.Fatalf("got %+v, want a model of %d qualified calls", m, len(qualified))
		}
		for _, factor := range m.Factors {
			for _, l := range factor.Levels {
				if l.Value == "customer" {
					s.Errorf("%d calls of customers weigh %.2f in the model; nobody had bought before", l.Outcomes, l.Weight)
				}
			}
		}
		if *m.Judgement.AUC > 0.9 {
			s.Errorf("AUC is %.2f: the model knew what became of the calls", *m.Judgement.AUC)
		}
	})
}
