package scoring

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// silent says whether a file tells nothing of the call.
func (i ImportedDesk) silent() bool {
	return i.Agent == "" && len(i.Tags) == 0 && len(i.Given) == 0 && i.Value == nil && i.ScorePPM == nil && i.CSAT == nil && i.NPS == nil &&
		i.CalledBack == nil && i.ReferredBy == ""
}

// checkFacts lists what cannot be of score, ratings, call-back and referral.
func (i ImportedDesk) checkFacts() []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
	}
	if i.ScorePPM != nil && (*i.ScorePPM < 0 || *i.ScorePPM > importedMarks) {
		refuse("score", "must be from 0 to 100")
	}
	if i.ScorePPM != nil && unheard(i.Outcome) && i.CalledBack == nil {
		refuse("score", unheardProblem(i.Outcome))
	}
	ratings := i.ratings()
	for _, kind := range []FeedbackKind{CSAT, NPS} {
		if value, said := ratings[kind]; said {
			if problem := kind.check(value); problem != "" {
				refuse(string(kind), problem)
			}
		}
	}
	for _, f := range []struct {
		field string
		at    *time.Time
	}{{"rated_at", i.RatedAt}, {"called_back_at", i.CalledBack}} {
		if f.at != nil && f.at.Before(i.StartedAt) {
			refuse(f.field, "is before the call itself")
		}
	}
	if i.RatedAt != nil && len(ratings) == 0 {
		refuse("rated_at", "needs csat or nps")
	}
	if i.ReferredBy != "" {
		from, problem := mustPhone(i.ReferredBy)
		switch {
		case problem != "":
			refuse("referred_by", problem)
		case i.From == "":
			refuse("referred_by", "the caller is not identified: nobody can be said to have sent them")
		case i.From == from:
			refuse("referred_by", "nobody sends themselves")
		}
	}
	return bad
}

// ratings are what the caller said, by scale.
func (i ImportedDesk) ratings() map[FeedbackKind]int64 {
	said := map[FeedbackKind]int64{}
	if i.CSAT != nil {
		said[CSAT] = *i.CSAT
	}
	if i.NPS != nil {
		said[NPS] = *i.NPS
	}
	return said
}

// importedMarks are full marks on the card of imported scores: a score of
// another system is one figure.
const importedMarks = 1_000_000

// importedCard is the scorecard of scores that were brought in. It is retired:
// nobody is asked to fill it in.
func importedCard(ctx context.Context, s *sitting) (Scorecard, error) {
	c := Scorecard{
		ID: callwheel.DerivedID("card", importer, s.AccountID), Version: 1, Name: "Imported", CreatedAt: store.At(s.at),
		Criteria: []Criterion{{ID: "score", Name: "Score", Weight: 1, MaxLevel: importedMarks}},
	}
	criteria, err := json.Marshal(c.Criteria)
	if err != nil {
		return c, err
	}
	_, err = s.tx.Exec(ctx, `
		INSERT INTO scorecards (account_id, scorecard_id, version, name, criteria, current, created_at, retired_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		s.AccountID, c.ID, c.Version, c.Name, string(criteria), true, c.CreatedAt, c.CreatedAt)
	return c, err
}

// importScore gives the call the file's score, beside those of people, or takes
// back what an import had given. One that was disputed is kept, as superseded: what
// an agent said of it, and what became of that, stays.
func importScore(ctx context.Context, s *sitting, _ lists, one ImportedDesk) ([]verdict, error) {
	standing, err := readScores(ctx, s.tx, selectScores+` AND s.call_id = ? AND s.scorer = ? ORDER BY s.score_id`, s.AccountID, s.CallID, importer)
	if err != nil {
		return nil, err
	}
	told := lastTold(standing)
	switch {
	case one.ScorePPM == nil && (told == nil || !told.SupersededAt.IsZero()):
		return nil, nil
	case one.ScorePPM != nil && told != nil && told.Levels["score"] == *one.ScorePPM && told.ScoredAt.Equal(s.at):
		return nil, nil
	}
	if _, err := s.tx.Exec(ctx, `
		DELETE FROM scores WHERE account_id = ? AND call_id = ? AND scorer = ?
		AND NOT EXISTS (SELECT 1 FROM score_disputes d WHERE d.account_id = scores.account_id AND d.score_id = scores.score_id)`,
		s.AccountID, s.CallID, importer); err != nil {
		return nil, err
	}
	if _, err := s.tx.Exec(ctx, `UPDATE scores SET superseded_at = ? WHERE account_id = ? AND call_id = ? AND scorer = ? AND superseded_at IS NULL`,
		store.Micros(s.at), s.AccountID, s.CallID, importer); err != nil {
		return nil, err
	}
	if one.ScorePPM == nil {
		return []verdict{newVerdict(scored, map[string]any{"score": nil})}, s.meanScore(ctx)
	}
	if err := s.mustBeHeard(ctx); callwheel.KindOf(err) == callwheel.Conflict {
		return nil, callwheel.InvalidField("score", "%v", err)
	} else if err != nil {
		return nil, err
	}
	card, err := importedCard(ctx, s)
	if err != nil {
		return nil, err
	}
	levels := map[string]int64{"score": *one.ScorePPM}
	given := Score{
		ID: callwheel.NewID("score"), CallID: s.CallID, Card: card, Scorer: importer, Levels: levels, Result: Total(card.Criteria, levels), ScoredAt: store.At(s.at),
	}
	return []verdict{newVerdict(scored, map[string]any{"score_id": given.ID, "score": given.Result.Score})}, s.keepScore(ctx, given)
}

// lastTold is the score that a file told last: the valid one, or one in whose place
// somebody put another; nil for none, and for one that was taken back.
func lastTold(scores []Score) *Score {
	var told *Score
	for i := range scores {
		x := &scores[i]
		if x.SupersededAt.IsZero() || x.Dispute != nil && x.Dispute.Outcome == Changed && (told == nil || !told.SupersededAt.IsZero()) {
			told = x
		}
	}
	return told
}

// importRatings keeps what the file says that the caller said, or corrects it.
func importRatings(ctx context.Context, s *sitting, _ lists, one ImportedDesk) ([]verdict, error) {
	at := s.at
	if one.RatedAt != nil {
		at = store.At(*one.RatedAt).Time
	}
	var said []verdict
	ratings := one.ratings()
	for _, kind := range []FeedbackKind{CSAT, NPS} {
		id := callwheel.DerivedID("fb", importer, s.AccountID, s.CallID, string(kind))
		var standing []Feedback
		if err := s.tx.Select(ctx, &standing, `SELECT feedback_id, person, value, given_at FROM feedback WHERE account_id = ? AND feedback_id = ?`, s.AccountID, id); err != nil {
			return nil, err
		}
		value, told := ratings[kind]
		if len(standing) == 0 && !told || len(standing) == 1 && told && standing[0].Value == value && standing[0].GivenAt.Equal(at) && standing[0].Person == s.person() {
			continue
		}
		if _, err := s.tx.Exec(ctx, `DELETE FROM feedback WHERE account_id = ? AND feedback_id = ?`, s.AccountID, id); err != nil {
			return nil, err
		}
		if told {
			if err := s.keepFeedback(ctx, Feedback{ID: id, CallID: s.CallID, Person: s.person(), Kind: kind, Value: value, GivenAt: store.At(at)}); err != nil {
				return nil, err
			}
		}
		said = append(said, newVerdict(fedBack, map[string]any{"feedback_id": id, "kind": kind, "value": value}))
	}
	return said, nil
}

// importCallBack keeps when the file says that somebody was reached by calling
// back, or corrects it.
func importCallBack(ctx context.Context, s *sitting, _ lists, one ImportedDesk) ([]verdict, error) {
	id := callwheel.DerivedID("cb", importer, s.AccountID, s.CallID)
	var standing []store.Time
	if err := s.tx.Select(ctx, &standing, `SELECT called_at FROM callbacks WHERE account_id = ? AND callback_id = ?`, s.AccountID, id); err != nil {
		return nil, err
	}
	if len(standing) == 0 && one.CalledBack == nil || len(standing) == 1 && one.CalledBack != nil && standing[0].Equal(*one.CalledBack) {
		return nil, nil
	}
	if _, err := s.tx.Exec(ctx, `DELETE FROM callbacks WHERE account_id = ? AND callback_id = ?`, s.AccountID, id); err != nil {
		return nil, err
	}
	v := newVerdict(calledBack, map[string]any{"callback_id": id, "called_at": nil, "connected": one.CalledBack != nil})
	if one.CalledBack == nil {
		return []verdict{v}, nil
	}
	c := CallBack{ID: id, CallID: s.CallID, CalledAt: store.At(*one.CalledBack), Connected: true, CalledBy: importer}
	v.detail["called_at"] = instant(c.CalledAt)
	return []verdict{v}, s.keepCallBack(ctx, c)
}

// importReferral keeps who sent the caller. Like at the doors, what was told once
// stays; of several calls that tell it the first counts.
func importReferral(ctx context.Context, s *sitting, _ lists, one ImportedDesk) ([]verdict, error) {
	if one.ReferredBy == "" {
		return nil, nil
	}
	changed, err := importReferred(ctx, s.tx, s.AccountID, one.ReferredBy, one.From, one.StartedAt)
	if err != nil || !changed {
		return nil, err
	}
	return []verdict{newVerdict(referred, map[string]any{"referred_by": one.ReferredBy})}, nil
}

// importReferred keeps that one number sent another, and says whether that is
// new, or earlier than was told.
func importReferred(ctx context.Context, tx *store.Tx, accountID, referrer, referred string, at time.Time) (bool, error) {
	from, problem := mustPhone(referrer)
	to, other := mustPhone(referred)
	if problem = cmp.Or(problem, other); problem != "" {
		return false, callwheel.InvalidField("referred_by", "%s", problem)
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by, via) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, referrer, referred) DO UPDATE SET referred_at = excluded.referred_at
		WHERE referrals.recorded_by = excluded.recorded_by AND excluded.referred_at < referrals.referred_at`,
		accountID, callwheel.NewID("ref"), from, to, store.At(at), importer, ViaField)
	if err == nil && n > 0 {
		err = refuseCircle(ctx, tx, accountID, "referred_by", sending{from, to})
	}
	return n > 0, err
}
