package scoring_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
)

// by is act for another judge.
func (s *scene) by(call, actor string) scoring.Act {
	return scoring.Act{AccountID: acct, CallID: call, Actor: actor}
}

// greeting makes a card with one criterion of five levels and one of two.
func (s *scene) greeting() scoring.Scorecard {
	s.Helper()
	name := "Sales"
	c, err := s.desk.CreateScorecard(ctx, boss, scoring.ScorecardEdit{Name: &name, Criteria: &[]scoring.Criterion{
		{ID: "greet", Name: "Greeting", Weight: 3, MaxLevel: 4}, {ID: "law", Name: "Law", Weight: 1, MaxLevel: 1},
	}})
	s.ok(err)
	return c
}

func (s *scene) mark(call, scorer string, greet, law int64) scoring.Score {
	s.Helper()
	x, _, err := s.desk.Score(ctx, s.by(call, scorer), scoring.Filled{Scorecard: "Sales", Marks: []scoring.Mark{{Criterion: "greet", Level: &greet}, {Criterion: "law", Level: &law}}})
	s.ok(err)
	return x
}

// agentOf gives the call an agent.
func (s *scene) agentOf(call string) account.Identity {
	s.Helper()
	agent, err := s.desk.CreateAgent(ctx, boss, scoring.AgentEdit{Name: ptr("Ines")})
	s.ok(err)
	_, err = s.desk.Assign(ctx, s.by(call, "user_boss"), agent.ID)
	s.ok(err)
	return account.Identity{AccountID: acct, Actor: "user_ines", Role: account.Agent, AgentID: agent.ID}
}

func TestADisputeAndItsOutcomeAreKept(t *testing.T) {
	each(t, func(s *scene) {
		s.greeting()
		s.call("call_1", ana)
		score := s.mark("call_1", "user_1", 1, 1)
		ines := s.agentOf("call_1")
		rival := account.Identity{AccountID: acct, Actor: "user_bob", Role: account.Agent, AgentID: "agent_bob"}

		_, _, err := s.desk.Dispute(ctx, ines, s.by("call_1", "user_ines"), score.ID, " ")
		s.kind("without a reason", err, callwheel.Invalid)
		_, _, err = s.desk.Dispute(ctx, rival, s.by("call_1", "user_bob"), score.ID, "not fair")
		s.kind("somebody else's call", err, callwheel.Forbidden)
		_, _, err = s.desk.Dispute(ctx, ines, s.by("call_1", "user_ines"), "score_none", "not fair")
		s.kind("no such score", err, callwheel.NotFound)
		_, _, err = s.desk.Resolve(ctx, s.by("call_1", "user_boss"), score.ID, scoring.Resolution{Outcome: scoring.Upheld})
		s.kind("nothing to resolve", err, callwheel.NotFound)

		x, version, err := s.desk.Dispute(ctx, ines, s.by("call_1", "user_ines"), score.ID, "I did greet them")
		s.ok(err)
		if x.Dispute == nil || x.Dispute.Reason != "I did greet them" || x.Dispute.Outcome != "" || version != 3 {
			t.Errorf("got %+v at version %d", x.Dispute, version)
		}
		_, _, err = s.desk.Dispute(ctx, ines, s.by("call_1", "user_ines"), score.ID, "again")
		s.kind("disputed twice", err, callwheel.Conflict)

		s.pass(time.Hour)
		boss := s.by("call_1", "user_boss")
		for what, r := range map[string]scoring.Resolution{
			"an unknown outcome":          {Outcome: "open"},
			"marks of an upheld score":    {Outcome: scoring.Upheld, Marks: []scoring.Mark{}},
			"changed to nothing":          {Outcome: scoring.Changed},
			"marks that the card has not": {Outcome: scoring.Changed, Marks: []scoring.Mark{{Criterion: "smile"}}},
		} {
			_, _, err = s.desk.Resolve(ctx, boss, score.ID, r)
			s.kind(what, err, callwheel.Invalid)
		}
		if v := s.view("call_1"); v.Version != 3 || v.Scores[0].Dispute.Outcome != "" {
			t.Errorf("after refusals: got version %d and %+v", v.Version, v.Scores[0].Dispute)
		}
		right := scoring.Resolution{
			Outcome: scoring.Changed, Comment: "heard it", Marks: []scoring.Mark{{Criterion: "greet", Level: ptr(int64(4))}, {Criterion: "Law", Level: ptr(int64(1))}},
		}
		x, version, err = s.desk.Resolve(ctx, boss, score.ID, right)
		s.ok(err)
		if _, again, err := s.desk.Resolve(ctx, boss, score.ID, right); err != nil || again != version {
			t.Errorf("the same again: got version %d, %v, want %d", again, err, version)
		}
		right.Marks = right.Marks[:1]
		_, _, err = s.desk.Resolve(ctx, boss, score.ID, right)
		s.kind("other marks", err, callwheel.Conflict)
		d := x.Dispute
		if d.Outcome != scoring.Changed || d.ResolvedBy != "user_boss" || d.Comment != "heard it" || d.ResolvedAt.Sub(d.DisputedAt.Time) != time.Hour {
			t.Errorf("got %+v", d)
		}
		_, _, err = s.desk.Resolve(ctx, boss, score.ID, scoring.Resolution{Outcome: scoring.Upheld})
		s.kind("resolved twice", err, callwheel.Conflict)

		// The right marks count: (3·4/4 + 1·1)/4 = 100 in place of (3/4 + 1)/4 = 43.75.
		v := s.view("call_1")
		if len(v.Scores) != 1 || v.Scores[0].ID != d.ChangedTo || *v.Score != 100 || v.Scores[0].Scorer != "user_boss" {
			t.Errorf("got %+v with %v", v.Scores, v.Score)
		}
		all, err := s.desk.Scores(ctx, acct, "call_1")
		s.ok(err)
		if len(all) != 2 || *all[0].Result.Score != 43.75 || all[0].SupersededAt.IsZero() || all[0].Dispute.Outcome != scoring.Changed {
			t.Errorf("the disputed score is not kept: %+v", all)
		}
		history, err := s.desk.History(ctx, acct, "call_1")
		s.ok(err)
		var kinds []string
		for _, j := range history {
			kinds = append(kinds, j.Kind)
		}
		if !slices.Equal(kinds, []string{"scored", "assigned", "disputed", "resolved"}) || !strings.Contains(string(history[3].Detail), d.ChangedTo) {
			t.Errorf("history: got %v, %s", kinds, history[3].Detail)
		}
	})
}

func TestADisputedScoreMayStandOrBeGivenAgain(t *testing.T) {
	each(t, func(s *scene) {
		s.greeting()
		s.call("call_1", ana)
		ines := s.agentOf("call_1")
		first, second := s.mark("call_1", "user_1", 1, 1), s.mark("call_1", "user_2", 2, 1)
		for _, id := range []string{first.ID, second.ID} {
			_, _, err := s.desk.Dispute(ctx, boss, s.by("call_1", "user_boss"), id, "too strict")
			s.kind("an owner", err, callwheel.Forbidden)
			_, _, err = s.desk.Dispute(ctx, ines, s.by("call_1", "user_ines"), id, "too strict")
			s.ok(err)
		}
		x, _, err := s.desk.Resolve(ctx, s.by("call_1", "user_boss"), first.ID, scoring.Resolution{Outcome: scoring.Upheld})
		s.ok(err)
		if x.Dispute.Outcome != scoring.Upheld || !x.SupersededAt.IsZero() || x.Dispute.ChangedTo != "" {
			t.Errorf("upheld: got %+v, superseded at %v", x.Dispute, x.SupersededAt)
		}
		again := s.mark("call_1", "user_2", 4, 1)
		x, _, err = s.desk.Resolve(ctx, s.by("call_1", "user_boss"), second.ID, scoring.Resolution{Outcome: scoring.Changed})
		s.ok(err)
		if x.Dispute.ChangedTo != again.ID {
			t.Errorf("got %q, want the score that was given since, %q", x.Dispute.ChangedTo, again.ID)
		}
		_, _, err = s.desk.Dispute(ctx, ines, s.by("call_1", "user_ines"), second.ID, "again")
		s.kind("a score that is not valid", err, callwheel.Conflict)
	})
}

// Two people score ten calls. On greeting they differ by a level on every other
// call; the law everybody keeps.
func TestAgreementOfACard(t *testing.T) {
	each(t, func(s *scene) {
		card := s.greeting()
		for i := range int64(10) {
			call := s.call(fmt.Sprint("call_", i), ana)
			s.mark(call, "user_1", i%5, 1)
			s.mark(call, "user_2", min(4, i%5+i%2), 1)
		}
		s.mark(s.call("call_once", ana), "user_1", 0, 0)
		var marks [][]float64
		for i := range int64(10) {
			marks = append(marks, []float64{float64(i % 5), float64(min(4, i%5+i%2))})
		}
		want := scoring.Alpha(marks, scoring.Ordinal)
		a, err := s.desk.Agreement(ctx, acct, card.ID, time.Time{}, noon.AddDate(1, 0, 0))
		s.ok(err)
		if a.Calls != 10 || a.Scorers != 2 || len(a.Criteria) != 2 {
			t.Fatalf("got %+v", a)
		}
		greet, law := a.Criteria[0], a.Criteria[1]
		if *greet.Alpha != *want.Alpha || greet.Marks != 20 || greet.Units != 10 || !greet.RankAgents || greet.Note != "" || !slices.Equal(greet.Versions, []int64{1}) {
			t.Errorf("greeting: got %+v with alpha %v, want %v", greet, *greet.Alpha, *want.Alpha)
		}
		if law.Alpha != nil || law.Note != "not enough variation" || law.RankAgents || law.Marks != 20 {
			t.Errorf("law: got %+v", law)
		}

		// Another weight is the same question, other levels are another one.
		edited, err := s.desk.EditScorecard(ctx, boss, card.ID, scoring.ScorecardEdit{Criteria: &[]scoring.Criterion{
			{ID: "greet", Name: "Greeting", Weight: 5, MaxLevel: 4}, {ID: "law", Name: "Law", Weight: 1, MaxLevel: 2},
		}}, nil)
		s.ok(err)
		call := s.call("call_v2", ana)
		s.mark(call, "user_1", 0, 2)
		s.mark(call, "user_2", 4, 2)
		s.mark(call, "user_3", 2, 0)
		a, err = s.desk.Agreement(ctx, acct, card.ID, time.Time{}, noon.AddDate(1, 0, 0))
		s.ok(err)
		greet, law = a.Criteria[0], a.Criteria[1]
		if a.Card.Version != edited.Version || greet.Marks != 23 || !slices.Equal(greet.Versions, []int64{1, 2}) {
			t.Errorf("greeting: got %+v", greet)
		}
		if law.Marks != 3 || !slices.Equal(law.Versions, []int64{2}) || law.Alpha == nil || law.Note != "do not rank agents on this item" {
			t.Errorf("law: got %+v", law)
		}

		// The range is of the calls, and another account has no such card.
		a, err = s.desk.Agreement(ctx, acct, card.ID, noon, noon.AddDate(1, 0, 0))
		s.ok(err)
		if a.Calls != 0 || a.Criteria[0].Note != "no call was marked twice" {
			t.Errorf("later calls: got %+v", a)
		}
		_, err = s.desk.Agreement(ctx, other, card.ID, time.Time{}, noon)
		s.kind("another account's card", err, callwheel.NotFound)
	})
}

// A file may correct the score that it told; what an agent said of the one before,
// and what became of that, stays.
func TestADisputeOutlivesTheCorrectionOfAFile(t *testing.T) {
	each(t, func(s *scene) {
		s.call("call_1", ana)
		tell := func(ppm *int64) bool {
			s.Helper()
			changed, _, err := s.desk.ImportDesks(ctx, boss, []scoring.ImportedDesk{{CallID: "call_1", At: noon.Add(-time.Hour), StartedAt: noon.Add(-time.Hour), ScorePPM: ppm}})
			s.ok(err)
			return changed[0]
		}
		scores := func() (list []string) {
			s.Helper()
			all, err := s.desk.Scores(ctx, acct, "call_1")
			s.ok(err)
			for _, x := range all {
				text := fmt.Sprint(*x.Result.Score)
				if !x.SupersededAt.IsZero() {
					text += " superseded"
				}
				if x.Dispute != nil {
					text += " " + string(x.Dispute.Outcome)
				}
				list = append(list, text)
			}
			slices.Sort(list)
			return list
		}
		want := func(how string, want ...string) {
			s.Helper()
			if got := scores(); !slices.Equal(got, want) {
				s.Errorf("%s: got %q, want %q", how, got, want)
			}
		}
		tell(ptr(int64(400_000)))
		all, err := s.desk.Scores(ctx, acct, "call_1")
		s.ok(err)
		_, _, err = s.desk.Dispute(ctx, s.agentOf("call_1"), s.by("call_1", "user_ines"), all[0].ID, "it was better")
		s.ok(err)
		_, _, err = s.desk.Resolve(ctx, s.by("call_1", "user_boss"), all[0].ID, scoring.Resolution{Outcome: scoring.Upheld})
		s.ok(err)
		if tell(ptr(int64(400_000))) {
			s.Error("told as it stands, it changed")
		}
		want("told again", "40 upheld")
		if !tell(ptr(int64(700_000))) || tell(ptr(int64(700_000))) {
			s.Error("a correction changes something once")
		}
		want("corrected", "40 superseded upheld", "70")
		if !tell(ptr(int64(800_000))) {
			s.Error("a second correction changes nothing")
		}
		want("corrected again", "40 superseded upheld", "80")
		if !tell(nil) || tell(nil) {
			s.Error("a score that is taken back changes something once")
		}
		want("taken back", "40 superseded upheld")
		v, err := s.desk.View(ctx, acct, "call_1")
		s.ok(err)
		if v.Score != nil {
			s.Errorf("the call is scored %v, want not at all", *v.Score)
		}
		if !tell(ptr(int64(400_000))) {
			s.Error("told once more, it changes nothing")
		}
		want("told once more", "40", "40 superseded upheld")
	})
}

// The score that took the disputed one's place stands, however often the file is
// read.
func TestAChangedScoreOfAFileStaysChanged(t *testing.T) {
	each(t, func(s *scene) {
		s.call("call_1", ana)
		told := []scoring.ImportedDesk{{CallID: "call_1", At: noon.Add(-time.Hour), StartedAt: noon.Add(-time.Hour), ScorePPM: ptr(int64(400_000))}}
		_, _, err := s.desk.ImportDesks(ctx, boss, told)
		s.ok(err)
		all, err := s.desk.Scores(ctx, acct, "call_1")
		s.ok(err)
		_, _, err = s.desk.Dispute(ctx, s.agentOf("call_1"), s.by("call_1", "user_ines"), all[0].ID, "it was better")
		s.ok(err)
		_, _, err = s.desk.Resolve(ctx, s.by("call_1", "user_boss"), all[0].ID, scoring.Resolution{Outcome: scoring.Changed, Marks: []scoring.Mark{{Criterion: "score", Level: ptr(int64(900_000))}}})
		s.ok(err)
		changed, _, err := s.desk.ImportDesks(ctx, boss, told)
		s.ok(err)
		v, err := s.desk.View(ctx, acct, "call_1")
		s.ok(err)
		if changed[0] || v.Score == nil || *v.Score != 90 {
			s.Errorf("the file again: changed %v, score %v; want nothing changed from 90", changed, v.Score)
		}
	})
}
