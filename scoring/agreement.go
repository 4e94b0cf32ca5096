package scoring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel/store"
)

// CriterionAgreement is how far the scorers of a card agree on one criterion.
type CriterionAgreement struct {
	Criterion Criterion
	Versions  []int64 // of the card in which the criterion asks the same question; their marks are compared
	Reliability
	// RankAgents says that agents may be compared by the criterion: its alpha is
	// at least LeastAlpha.
	RankAgents bool
	Note       string // why they may not; "" where they may
}

// Agreement is how far the scorers of a card agree.
type Agreement struct {
	Card     Scorecard // in its current version
	Calls    int64     // that at least two people scored with it
	Scorers  int64     // of those calls
	Criteria []CriterionAgreement
}

// What is said of a criterion by which agents may not be compared.
const (
	notTwice  = "no call was marked twice"
	notVaried = "not enough variation"
	tooLow    = "do not rank agents on this item"
)

// Agreement works out Krippendorff's alpha, on the ordinal scale, for every
// criterion of a card: over the calls that started in [from, until) and that
// several people scored, by their valid scores. Marks are compared across the
// versions of the card that ask the same question: the criterion with the same
// id, name, description, levels and rule. Errors: NotFound.
func (d *Desk) Agreement(ctx context.Context, accountID, scorecardID string, from, until time.Time) (Agreement, error) {
	var a Agreement
	err := d.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error {
		a = Agreement{}
		var row scorecardRow
		err := q.Get(ctx, &row, selectScorecard+` AND scorecard_id = ?`, accountID, scorecardID)
		if err == nil {
			a.Card, err = row.card()
		}
		if err != nil {
			return err
		}
		scores, err := readScores(ctx, q, selectScores+` AND s.scorecard_id = ? AND s.superseded_at IS NULL
			AND s.call_id IN (SELECT c.call_id FROM calls c WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ?)
			ORDER BY s.call_id, s.scored_at, s.score_id`,
			accountID, scorecardID, accountID, store.Micros(from), store.Micros(until))
		if err != nil {
			return err
		}
		a.compare(scores)
		return nil
	})
	if err != nil {
		return Agreement{}, fmt.Errorf("work out agreement: %w", err)
	}
	return a, nil
}

// compare compares scores in the order of their calls.
func (a *Agreement) compare(scores []Score) {
	byCall := slices.Collect(func(yield func([]Score) bool) {
		for len(scores) > 0 {
			n := slices.IndexFunc(scores, func(s Score) bool { return s.CallID != scores[0].CallID })
			if n < 0 {
				n = len(scores)
			}
			if !yield(scores[:n]) {
				return
			}
			scores = scores[n:]
		}
	})
	scorers := map[string]bool{}
	for _, call := range byCall {
		if len(call) < 2 {
			continue
		}
		a.Calls++
		for _, s := range call {
			scorers[s.Scorer] = true
		}
	}
	a.Scorers = int64(len(scorers))
	for _, c := range a.Card.Criteria {
		a.Criteria = append(a.Criteria, agreementOn(c, a.Card.Version, byCall))
	}
}

func agreementOn(c Criterion, current int64, byCall [][]Score) CriterionAgreement {
	versions := map[int64]bool{current: true}
	units := make([][]float64, len(byCall))
	for i, call := range byCall {
		for _, s := range call {
			level, marked := s.Levels[c.ID]
			if then, known := findCriterion(s.Card.Criteria, c.ID); marked && known && c.asksAs(then) {
				units[i] = append(units[i], float64(level))
				versions[s.Card.Version] = true
			}
		}
	}
	a := CriterionAgreement{Criterion: c, Reliability: Alpha(units, Ordinal)}
	for v := range current {
		if versions[v+1] {
			a.Versions = append(a.Versions, v+1)
		}
	}
	switch {
	case a.Units == 0:
		a.Note = notTwice
	case !a.Varied():
		a.Note = notVaried
	case *a.Alpha < LeastAlpha:
		a.Note = tooLow
	default:
		a.RankAgents = true
	}
	return a
}

// asksAs says whether two versions of a criterion ask the same question. What
// it weighs is no part of the question.
func (c Criterion) asksAs(o Criterion) bool {
	c.Weight = o.Weight
	return c == o
}
