package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
)

// leastScoredForRank is how many scored calls an agent needs to be ranked.
const leastScoredForRank = 10

// scoreGiven is one scorer's valid score of a call.
type scoreGiven struct {
	CallID    string `db:"call_id"`
	Card      string `db:"scorecard_id"`
	Version   int64  `db:"scorecard_version"`
	Scorer    string `db:"scorer"`
	PointsPPM int64  `db:"points_ppm"`
}

// addScores reads who scored the calls, by which lenient scorers will be told from
// strict ones, and notes whether an agent's scores came from several cards or
// versions.
func (s *agentBook) addScores(ctx context.Context, db store.Querier, b *book, qu question, calls map[string]*call) error {
	list, err := selectIn[scoreGiven](ctx, db, qu.AccountID, sortedKeys(calls), `
		SELECT call_id, scorecard_id, scorecard_version, scorer, points_ppm FROM scores
		WHERE account_id = ? AND call_id IN (?) AND superseded_at IS NULL AND points_ppm IS NOT NULL`)
	if err != nil {
		return fmt.Errorf("read scores: %w", err)
	}
	for _, one := range list {
		a := b.agent(calls[one.CallID])
		if a == nil || calls[one.CallID].ScorePPM == nil {
			continue
		}
		s.markings = append(s.markings, scoring.Marking{Agent: a.ID, Scorer: one.Scorer, Score: float64(one.PointsPPM) / 1e4})
		for _, sums := range []*agentSums{s.of(a), &s.total} {
			sums.note(one)
		}
	}
	return nil
}

// note notes with which version of which card the score was given.
func (s *agentSums) note(one scoreGiven) {
	with := fmt.Sprint(one.Card, "\x00", one.Version)
	s.row.ScoresMixed = s.row.ScoresMixed || s.card != "" && s.card != with
	s.card = with
}

// judge fills what the scores of an agent come to beside their mean.
func (s *agentBook) judge(rows []AgentRow) {
	var qualified []casesOf
	for i := range rows {
		r := &rows[i]
		qualified = append(qualified, casesOf{r.Qualified, r.Answered})
		one := s.sums[r.AgentID]
		r.ScoreInterval = meanInterval(one.scoreSum, one.scoreSquares, r.Scored)
		if fit, ok := s.leniency.Agents[r.AgentID]; ok {
			r.ScoreAdjusted, r.ScoreShrunken = number(fit.Adjusted), number(fit.Shrunken)
			if fit.Error != nil {
				half := z95 * *fit.Error
				r.ScoreShrunkenInterval = &Interval{tidy(max(0, fit.Shrunken-half)), tidy(min(100, fit.Shrunken+half))}
			}
		}
	}
	for i, rate := range shrunken(qualified) {
		rows[i].QualifiedRateShrunken = rate
	}
	rankAgents(rows)
}

// rankAgents gives the agents with enough scored calls their rank, the best
// first; those who are equal share one.
func rankAgents(rows []AgentRow) {
	var ranked []*AgentRow
	for i := range rows {
		if r := &rows[i]; r.Scored >= leastScoredForRank && r.ScoreShrunken != nil {
			ranked = append(ranked, r)
		}
	}
	slices.SortStableFunc(ranked, func(a, b *AgentRow) int { return cmp.Compare(*b.ScoreShrunken, *a.ScoreShrunken) })
	for i, r := range ranked {
		rank := int64(i + 1)
		if i > 0 && *ranked[i-1].ScoreShrunken == *r.ScoreShrunken {
			rank = *ranked[i-1].Rank
		}
		r.Rank = &rank
	}
}

// meanInterval is the 95 % interval of the mean of n scores by Student's t, nil
// for fewer than two. Sum and squares are of millionths.
func meanInterval(sum int64, squares float64, n int64) *Interval {
	if n < 2 {
		return nil
	}
	m, mean := float64(n), float64(sum)/float64(n)
	spread := math.Sqrt(max(0, squares-m*mean*mean) / (m - 1))
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: m - 1}.Quantile(0.975) * spread / math.Sqrt(m)
	return &Interval{tidy(max(0, mean-half) / 1e4), tidy(min(1e6, mean+half) / 1e4)}
}

// doubts says in words what must be known before agents are compared.
func (a *Agents) doubts() []string {
	var notes []string
	few, mixed := 0, a.Totals.ScoresMixed
	for _, r := range a.Rows {
		if r.Scored > 0 && r.Scored < leastScoredForRank {
			few++
		}
	}
	if mixed {
		notes = append(notes, "Scores come from different scorecards or versions of one: their means mix what was asked")
	}
	if few > 0 {
		notes = append(notes, fmt.Sprintf("No rank for %s with fewer than %d scored calls", several(int64(few), "agent"), leastScoredForRank))
	}
	return notes
}
