package scoring

import (
	"context"
	"maps"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// DisputeOutcome says what became of a dispute.
type DisputeOutcome string

// The outcomes. A dispute without one is open.
const (
	Upheld  DisputeOutcome = "upheld"  // the score stands
	Changed DisputeOutcome = "changed" // another score took its place
)

// Dispute is an agent saying that a score is not right, and what became of it.
// Neither is ever changed.
type Dispute struct {
	Reason     string
	DisputedAt store.Time
	DisputedBy string
	Outcome    DisputeOutcome // "" while it is open
	Comment    string         // of whoever resolved it
	ResolvedAt store.Time     // zero while it is open
	ResolvedBy string
	ChangedTo  string // the id of the score that took the disputed one's place
}

type disputeRow struct {
	Reason     *string    `db:"reason"`
	DisputedAt store.Time `db:"disputed_at"`
	DisputedBy *string    `db:"disputed_by"`
	Outcome    *string    `db:"outcome"`
	Comment    *string    `db:"dispute_comment"`
	ResolvedAt store.Time `db:"resolved_at"`
	ResolvedBy *string    `db:"resolved_by"`
	ChangedTo  *string    `db:"changed_to"`
}

func (r disputeRow) dispute() *Dispute {
	if r.Reason == nil {
		return nil
	}
	return &Dispute{
		Reason: *r.Reason, DisputedAt: r.DisputedAt, DisputedBy: *r.DisputedBy, Outcome: DisputeOutcome(*r.Outcome),
		Comment: *r.Comment, ResolvedAt: r.ResolvedAt, ResolvedBy: *r.ResolvedBy, ChangedTo: *r.ChangedTo,
	}
}

// Resolution is what a dispute comes to.
type Resolution struct {
	Outcome DisputeOutcome
	Comment string
	// Marks are the right ones, in the version of the card that was disputed. Only
	// with Changed; there nil means that the scorer has scored again since.
	Marks []Mark
}

// Dispute keeps that whoever took the call says that a score of it is not
// right, and returns the score with the desk's version. Somebody who is an agent
// disputes scores of their own calls only. Errors: Invalid without a reason,
// Forbidden, Conflict for a score that was disputed already or is not valid any
// more, NotFound, Stale.
func (d *Desk) Dispute(ctx context.Context, who account.Identity, act Act, scoreID, reason string) (Score, int64, error) {
	switch problem := checkText(reason, maxComment); {
	case problem != "":
		return Score{}, 0, callwheel.InvalidField("reason", "%s", problem)
	case Fold(reason) == "":
		return Score{}, 0, callwheel.InvalidField("reason", "must not be empty")
	}
	var x Score
	version, err := d.judge(ctx, act, "dispute score", func(ctx context.Context, s *sitting) (verdict, error) {
		var err error
		if x, err = s.score(ctx, scoreID); err != nil {
			return verdict{}, err
		}
		if err := s.mustBeOwn(ctx, who); err != nil {
			return verdict{}, err
		}
		switch {
		case x.Dispute != nil:
			return verdict{}, callwheel.Errorf(callwheel.Conflict, "the score was disputed already")
		case !x.SupersededAt.IsZero():
			return verdict{}, callwheel.Errorf(callwheel.Conflict, "the score is not valid any more: its scorer scored again")
		}
		x.Dispute = &Dispute{Reason: reason, DisputedAt: store.At(s.at), DisputedBy: s.Actor}
		if _, err := s.tx.Exec(ctx, `
			INSERT INTO score_disputes (account_id, score_id, call_id, reason, disputed_at, disputed_by) VALUES (?, ?, ?, ?, ?, ?)`,
			s.AccountID, x.ID, s.CallID, reason, x.Dispute.DisputedAt, s.Actor); err != nil {
			return verdict{}, err
		}
		return newVerdict(disputed, map[string]any{"score_id": x.ID, "scorer": x.Scorer, "reason": reason}), nil
	})
	return x, version, err
}

// Resolve keeps what became of a dispute and returns the score with the desk's
// version. Where it is changed, a score by whoever resolved it, or the one that
// its scorer has given since, takes its place. Errors: Invalid for an unknown
// outcome and for marks that do not fit it or the card, Conflict for a dispute
// that was resolved otherwise already, NotFound, Stale. Whoever says the same
// again changes nothing.
func (d *Desk) Resolve(ctx context.Context, act Act, scoreID string, r Resolution) (Score, int64, error) {
	switch problem := checkText(r.Comment, maxComment); {
	case problem != "":
		return Score{}, 0, callwheel.InvalidField("comment", "%s", problem)
	case r.Outcome != Upheld && r.Outcome != Changed:
		return Score{}, 0, callwheel.InvalidField("outcome", "must be upheld or changed")
	case r.Outcome == Upheld && r.Marks != nil:
		return Score{}, 0, callwheel.InvalidField("marks", "an upheld score keeps the marks that it has")
	}
	var x Score
	version, err := d.judge(ctx, act, "resolve dispute", func(ctx context.Context, s *sitting) (verdict, error) {
		var err error
		if x, err = s.score(ctx, scoreID); err != nil {
			return verdict{}, err
		}
		switch {
		case x.Dispute == nil:
			return verdict{}, callwheel.Errorf(callwheel.NotFound, "the score is not disputed")
		case x.Dispute.Outcome != "":
			return verdict{}, s.sameAgain(ctx, x, r)
		}
		if r.Outcome == Changed {
			if x.Dispute.ChangedTo, err = s.replace(ctx, x, r.Marks); err != nil {
				return verdict{}, err
			}
			if x.SupersededAt.IsZero() {
				x.SupersededAt = store.At(s.at)
			}
		}
		x.Dispute.Outcome, x.Dispute.Comment, x.Dispute.ResolvedAt, x.Dispute.ResolvedBy = r.Outcome, r.Comment, store.At(s.at), s.Actor
		if _, err := s.tx.Exec(ctx, `
			UPDATE score_disputes SET outcome = ?, comment = ?, resolved_at = ?, resolved_by = ?, changed_to = ?
			WHERE account_id = ? AND score_id = ?`,
			string(r.Outcome), r.Comment, x.Dispute.ResolvedAt, s.Actor, x.Dispute.ChangedTo, s.AccountID, x.ID); err != nil {
			return verdict{}, err
		}
		return newVerdict(resolved, map[string]any{
			"score_id": x.ID, "outcome": r.Outcome, "comment": r.Comment, "changed_to": x.Dispute.ChangedTo,
		}), nil
	})
	return x, version, err
}

// sameAgain refuses a resolution that is not the one that was kept.
func (s *sitting) sameAgain(ctx context.Context, x Score, r Resolution) error {
	same := x.Dispute.Outcome == r.Outcome && x.Dispute.ResolvedBy == s.Actor && x.Dispute.Comment == r.Comment
	if same && r.Marks != nil {
		instead, err := s.score(ctx, x.Dispute.ChangedTo)
		if err != nil {
			return err
		}
		levels, err := Levels(x.Card.Criteria, r.Marks)
		if err != nil {
			return err
		}
		same = maps.Equal(levels, instead.Levels)
	}
	if !same {
		return callwheel.Errorf(callwheel.Conflict, "the dispute was resolved already: %s", x.Dispute.Outcome)
	}
	return nil
}

// score reads one score of the call. NotFound.
func (s *sitting) score(ctx context.Context, id string) (Score, error) {
	list, err := readScores(ctx, s.tx, selectScores+` AND s.call_id = ? AND s.score_id = ?`, s.AccountID, s.CallID, id)
	switch {
	case err != nil:
		return Score{}, err
	case len(list) == 0:
		return Score{}, callwheel.Errorf(callwheel.NotFound, "not found")
	}
	return list[0], nil
}

// mustBeOwn refuses everybody but the agent whose call it was: others who do not
// agree give a score of their own, or decide.
func (s *sitting) mustBeOwn(ctx context.Context, who account.Identity) error {
	if who.AgentID == "" {
		return callwheel.Errorf(callwheel.Forbidden, "only the agent whose call it was disputes its score, and this user or token is no agent (it has no agent_id); others give a score of their own")
	}
	of := View{CallID: s.CallID}
	v := viewer{q: s.tx, accountID: s.AccountID, calls: []string{s.CallID}, views: map[string]*View{s.CallID: &of}}
	if err := v.agents(ctx); err != nil {
		return err
	}
	if of.Agent == nil || of.Agent.ID != who.AgentID {
		return callwheel.Errorf(callwheel.Forbidden, "only the agent whose call it was disputes its score; others give a score of their own")
	}
	return nil
}

// replace puts another score in the place of a disputed one and returns its id.
func (s *sitting) replace(ctx context.Context, x Score, marks []Mark) (string, error) {
	if marks == nil {
		list, err := readScores(ctx, s.tx, selectScores+` AND s.call_id = ? AND s.scorecard_id = ? AND s.scorer = ? AND s.superseded_at IS NULL`,
			s.AccountID, s.CallID, x.Card.ID, x.Scorer)
		switch {
		case err != nil:
			return "", err
		case len(list) == 0 || list[0].ID == x.ID:
			return "", callwheel.InvalidField("marks", "must be given: the scorer has not scored again")
		}
		return list[0].ID, nil
	}
	levels, err := Levels(x.Card.Criteria, marks)
	if err != nil {
		return "", err
	}
	if _, err := s.tx.Exec(ctx, `UPDATE scores SET superseded_at = ? WHERE account_id = ? AND score_id = ? AND superseded_at IS NULL`,
		store.Micros(s.at), s.AccountID, x.ID); err != nil {
		return "", err
	}
	given := Score{
		ID: callwheel.NewID("score"), CallID: s.CallID, Card: x.Card, Scorer: s.Actor, Levels: levels,
		Comment: "in place of " + x.ID + ", which was disputed", Result: Total(x.Card.Criteria, levels), ScoredAt: store.At(s.at),
	}
	return given.ID, s.keepScore(ctx, given)
}
