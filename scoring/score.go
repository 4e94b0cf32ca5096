package scoring

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Filled is a scorecard as a scorer filled it in.
type Filled struct {
	Scorecard string // id or name; its current version
	Marks     []Mark
	Comment   string
}

// Score is one scorer's filled-in scorecard, with the card as it was then.
type Score struct {
	ID           string
	CallID       string
	Card         Scorecard // in the version that was filled in
	Scorer       string
	Levels       map[string]int64 // by criterion id; a criterion without one did not apply
	Comment      string
	Result       Result
	ScoredAt     store.Time
	SupersededAt store.Time // zero while it is valid
	Dispute      *Dispute   // nil while nobody has disputed it
}

type scoreRow struct {
	scorecardRow
	ScoreID      string     `db:"score_id"`
	CallID       string     `db:"call_id"`
	Scorer       string     `db:"scorer"`
	Marks        string     `db:"marks"`
	Comment      string     `db:"comment"`
	ScoredAt     store.Time `db:"scored_at"`
	SupersededAt store.Time `db:"superseded_at"`
	disputeRow
}

// selectScores reads scores with their cards; the caller adds conditions.
const selectScores = `
	SELECT s.score_id, s.call_id, s.scorer, s.marks, s.comment, s.scored_at, s.superseded_at,
	       k.scorecard_id, k.version, k.name, k.criteria, k.created_at,
	       d.reason, d.disputed_at, d.disputed_by, d.outcome, d.comment AS dispute_comment, d.resolved_at, d.resolved_by, d.changed_to
	FROM scores s
	JOIN scorecards k ON k.account_id = s.account_id AND k.scorecard_id = s.scorecard_id AND k.version = s.scorecard_version
	LEFT JOIN score_disputes d ON d.account_id = s.account_id AND d.score_id = s.score_id
	WHERE s.account_id = ?`

// score works the score out again from its marks: the kept figure is rounded.
func (r scoreRow) score() (Score, error) {
	card, err := r.card()
	if err != nil {
		return Score{}, err
	}
	marks := map[string]*int64{}
	if err := json.Unmarshal([]byte(r.Marks), &marks); err != nil {
		return Score{}, fmt.Errorf("read marks of %s: %w", r.ScoreID, err)
	}
	levels := map[string]int64{}
	for id, level := range marks {
		if level != nil {
			levels[id] = *level
		}
	}
	return Score{
		ID: r.ScoreID, CallID: r.CallID, Card: card, Scorer: r.Scorer, Levels: levels, Comment: r.Comment,
		Result: Total(card.Criteria, levels), ScoredAt: r.ScoredAt, SupersededAt: r.SupersededAt, Dispute: r.dispute(),
	}, nil
}

func readScores(ctx context.Context, q store.Querier, query string, args ...any) ([]Score, error) {
	var rows []scoreRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	scores := make([]Score, len(rows))
	var err error
	for i, r := range rows {
		if scores[i], err = r.score(); err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// unheard says that nobody of the business spoke to the caller in the call. Of one
// whose outcome is not known yet it may still turn out otherwise.
func unheard(o telephony.Outcome) bool { return o.Missed() || o == telephony.Blocked }

func unheardProblem(o telephony.Outcome) string {
	return fmt.Sprintf("nobody spoke to the caller (the outcome is %s): calls that were answered, or called back with success, can be scored", o)
}

// mustBeHeard refuses, with Conflict, to score a call in which there was nothing to
// score: nobody answered, and nobody has called back and got through.
func (s *sitting) mustBeHeard(ctx context.Context) error {
	if !unheard(s.call.Outcome) {
		return nil
	}
	var back []string
	err := s.tx.Select(ctx, &back, `SELECT callback_id FROM callbacks WHERE account_id = ? AND call_id = ? AND connected LIMIT 1`, s.AccountID, s.CallID)
	if err == nil && len(back) == 0 {
		err = callwheel.Errorf(callwheel.Conflict, "%s", unheardProblem(s.call.Outcome))
	}
	return err
}

// Score keeps a scorer's filled-in card and returns it with the desk's version.
// The scorer is the actor; several may score one call, and who scores again
// with the same card supersedes what they gave before. Errors: Invalid for an
// unknown card (with the nearest names) and for every mark that does not fit
// it, Conflict for a call in which nobody spoke to the caller, NotFound, Stale.
func (d *Desk) Score(ctx context.Context, act Act, filled Filled) (Score, int64, error) {
	if problem := checkText(filled.Comment, maxComment); problem != "" {
		return Score{}, 0, callwheel.InvalidField("comment", "%s", problem)
	}
	var given Score
	version, err := d.judge(ctx, act, "score call", func(ctx context.Context, s *sitting) (verdict, error) {
		if err := s.mustBeHeard(ctx); err != nil {
			return verdict{}, err
		}
		card, err := findScorecard(ctx, s.tx, s.AccountID, filled.Scorecard)
		if err != nil {
			return verdict{}, err
		}
		levels, err := Levels(card.Criteria, filled.Marks)
		if err != nil {
			return verdict{}, err
		}
		given = Score{
			ID: callwheel.NewID("score"), CallID: s.CallID, Card: card, Scorer: s.Actor, Levels: levels,
			Comment: filled.Comment, Result: Total(card.Criteria, levels), ScoredAt: store.At(s.at),
		}
		if err := s.keepScore(ctx, given); err != nil {
			return verdict{}, err
		}
		return newVerdict(scored, map[string]any{
			"score_id": given.ID, "scorecard": card.Name, "scorecard_id": card.ID, "scorecard_version": card.Version,
			"score": given.Result.Score, "auto_failed": given.Result.AutoFailed,
		}), nil
	})
	return given, version, err
}

func (s *sitting) keepScore(ctx context.Context, given Score) error {
	marks := map[string]*int64{}
	for _, c := range given.Card.Criteria {
		marks[c.ID] = nil
		if level, ok := given.Levels[c.ID]; ok {
			marks[c.ID] = &level
		}
	}
	text, err := json.Marshal(marks)
	if err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, `
		UPDATE scores SET superseded_at = ?
		WHERE account_id = ? AND call_id = ? AND scorecard_id = ? AND scorer = ? AND superseded_at IS NULL`,
		given.ScoredAt, s.AccountID, s.CallID, given.Card.ID, given.Scorer); err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, `
		INSERT INTO scores (account_id, score_id, call_id, scorecard_id, scorecard_version, scorer, marks, comment,
		                    points_ppm, uncritical_ppm, auto_failed, scored_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.AccountID, given.ID, given.CallID, given.Card.ID, given.Card.Version, given.Scorer, string(text), given.Comment,
		ppm(given.Result.Score), ppm(given.Result.Uncritical), given.Result.AutoFailed, given.ScoredAt); err != nil {
		return err
	}
	return s.meanScore(ctx)
}

// meanScore writes what the call's valid scores come to.
func (s *sitting) meanScore(ctx context.Context) error {
	valid, err := readScores(ctx, s.tx, selectScores+` AND s.call_id = ? AND s.superseded_at IS NULL ORDER BY s.scored_at, s.score_id`, s.AccountID, s.CallID)
	if err != nil {
		return err
	}
	mean, _ := meanScore(valid)
	_, err = s.tx.Exec(ctx, `UPDATE call_desks SET score_ppm = ?, scores = ? WHERE account_id = ? AND call_id = ?`,
		ppm(mean), len(valid), s.AccountID, s.CallID)
	return err
}

// meanScore is the score of a call: the mean of its valid scores, nil when no
// criterion of any applied. mixed says that they come from different cards or
// versions.
func meanScore(valid []Score) (mean *float64, mixed bool) {
	var sum float64
	var n int
	var first Scorecard
	for _, s := range valid {
		if s.Result.Score == nil {
			continue
		}
		if n == 0 {
			first = s.Card
		}
		mixed = mixed || s.Card.ID != first.ID || s.Card.Version != first.Version
		sum += *s.Result.Score
		n++
	}
	if n == 0 {
		return nil, false
	}
	m := sum / float64(n)
	return &m, mixed
}

// Scores lists all scores of a call in the order they were given, superseded
// ones too. Errors: NotFound.
func (d *Desk) Scores(ctx context.Context, accountID, callID string) ([]Score, error) {
	if err := d.callExists(ctx, accountID, callID); err != nil {
		return nil, err
	}
	scores, err := readScores(ctx, d.db, selectScores+` AND s.call_id = ? ORDER BY s.scored_at, s.score_id`, accountID, callID)
	if err != nil {
		return nil, fmt.Errorf("list scores: %w", err)
	}
	return scores, nil
}

// callExists fails with NotFound for a call that is not this account's.
func (d *Desk) callExists(ctx context.Context, accountID, callID string) error {
	var one int
	if err := d.db.Get(ctx, &one, `SELECT 1 FROM calls WHERE account_id = ? AND call_id = ?`, accountID, callID); err != nil {
		return fmt.Errorf("find call: %w", err)
	}
	return nil
}
