package scoring_test

import (
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/telephony"
)

func TestACallInWhichNobodySpokeToTheCallerCannotBeScored(t *testing.T) {
	each(t, func(s *scene) {
		card := s.card("Sales call")
		score := func(call string) error {
			_, _, err := s.desk.Score(ctx, s.act(call), scoring.Filled{Scorecard: card.ID, Marks: marks(1)})
			return err
		}
		for outcome, want := range map[string]callwheel.Kind{
			"voicemail": callwheel.Conflict, "abandoned": callwheel.Conflict, "busy": callwheel.Conflict, "no-answer": callwheel.Conflict,
			"failed": callwheel.Conflict, "blocked": callwheel.Conflict, "answered": "",
		} {
			call := s.call("call_"+outcome, ana)
			s.exec(`UPDATE calls SET outcome = ? WHERE account_id = ? AND call_id = ?`, outcome, acct, call)
			s.kind(outcome, score(call), want)
		}
		s.ok(score(s.call("call_live", ana))) // not over yet: the outcome may still be any

		_, _, err := s.desk.CallBack(ctx, s.act("call_busy"), false, nil)
		s.ok(err)
		s.kind("called back in vain", score("call_busy"), callwheel.Conflict)
		_, _, err = s.desk.CallBack(ctx, s.act("call_busy"), true, nil)
		s.ok(err)
		s.ok(score("call_busy"))

		told := scoring.ImportedDesk{CallID: "call_failed", StartedAt: noon, At: noon, Outcome: telephony.Outcome("failed"), ScorePPM: ptr(int64(500_000))}
		if bad := told.Check(); len(bad) != 1 || bad[0].Field != "score" {
			t.Errorf("in a file: got %v", bad)
		}
		told.CalledBack = &noon
		if bad := told.Check(); len(bad) != 0 {
			t.Errorf("in a file, called back: got %v", bad)
		}
		told.CalledBack, told.Outcome = nil, ""
		_, _, err = s.desk.ImportDesks(ctx, boss, []scoring.ImportedDesk{told})
		checkFields(t, err, map[string]string{"score": "nobody spoke to the caller"})
	})
}

func TestASheetOnWhichNothingAppliesLeavesTheScore(t *testing.T) {
	each(t, func(s *scene) {
		card := s.card("Sales call")
		call := s.call("call_1", ana)
		_, _, err := s.desk.Score(ctx, s.act(call), scoring.Filled{Scorecard: card.ID, Marks: marks(4, 4)})
		s.ok(err)
		before := *s.view(call).Score
		none := marks(4, 4)
		for i := range none {
			none[i].Level = nil
		}
		_, _, err = s.desk.Score(ctx, s.act(call), scoring.Filled{Scorecard: card.ID, Marks: none})
		checkFields(t, err, map[string]string{"marks": "at least one criterion"})
		if v := s.view(call); v.Score == nil || *v.Score != before || v.Version != 1 {
			t.Errorf("got %v at version %d, want %v as before", v.Score, v.Version, before)
		}
	})
}

func TestNobodyIsSentByWhomTheySent(t *testing.T) {
	each(t, func(s *scene) {
		const cy, dee = "+13125550103", "+13125550104"
		refer := func(from, to string) error {
			_, err := s.desk.Refer(ctx, acct, "user_1", from, to, nil)
			return err
		}
		s.ok(refer(ana, bob))
		s.ok(refer(bob, cy))
		s.ok(refer(ana, cy)) // two may have sent one
		s.ok(refer(ana, bob))
		checkFields(t, refer(bob, ana), map[string]string{"referrer": "was sent by this person"})
		checkFields(t, refer(cy, ana), map[string]string{"referrer": "was sent by this person"})
		checkFields(t, refer(ana, ana), map[string]string{"referred": "nobody sends themselves"})
		_, err := s.desk.Enquire(ctx, acct, "user_1", scoring.NewEnquiry{ExternalID: "f1", Person: ana, Kind: scoring.Form, ReferredBy: cy})
		checkFields(t, err, map[string]string{"referred_by": "was sent by this person"})
		if list, err := s.desk.Enquiries(ctx, acct, scoring.EnquiryPage{Limit: 9}); err != nil || len(list) != 0 {
			t.Errorf("half of what was refused is there: %v, %v", list, err)
		}
		_, err = s.desk.ImportOutcome(ctx, acct, scoring.Outcome{ID: "o1", Person: ana, WonAt: &noon, ReferredBy: bob})
		checkFields(t, err, map[string]string{"referred_by": "was sent by this person"})

		// A file is checked as a whole: against what is kept, and line against line.
		bad, err := s.desk.CheckOutcomes(ctx, acct, []scoring.Outcome{
			{Person: ana, ReferredBy: bob}, {Person: dee, ReferredBy: cy}, {Person: ana, ReferredBy: dee}, {Person: bob, ReferredBy: ana}, {Person: "p-1"},
		})
		s.ok(err)
		if len(bad) != 2 || len(bad[0]) != 1 || len(bad[2]) != 1 || bad[2][0].Field != "referred_by" {
			t.Errorf("got %v, want the first and the third line refused", bad)
		}
		calls, err := s.desk.CheckImport(ctx, acct, []scoring.ImportedDesk{{CallID: "call_1", From: ana, ReferredBy: cy}, {CallID: "call_2", From: dee, ReferredBy: ana}})
		s.ok(err)
		if len(calls) != 1 || len(calls[0]) != 1 {
			t.Errorf("calls: got %v, want the first refused", calls)
		}
		// Another account knows of none of them.
		_, err = s.desk.Refer(ctx, other, "user_1", bob, ana, nil)
		s.ok(err)
	})
}
