package scoring_test

import (
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
)

func TestWhoSentACallerIsSaidInThreeWays(t *testing.T) {
	each(t, func(s *scene) {
		const cy, dee = "+13125550103", "+13125550104"
		for call, from := range map[string]string{"call_b": bob, "call_c": cy, "call_d": dee, "call_x": ""} {
			s.call(call, from)
		}
		s.exec(`UPDATE calls SET tracking_number = '+13125550190' WHERE account_id = ?`, acct)
		code, err := s.desk.ReferralCode(ctx, acct, ana)
		s.ok(err)
		again, err := s.desk.ReferralCode(ctx, acct, "+1 (312) 555-0101")
		s.ok(err)
		if len(code.Code) < 10 || again != code {
			t.Errorf("got %+v and %+v, want one code", code, again)
		}
		for call, c := range map[string]struct {
			from scoring.Sender
			via  string
		}{
			"call_b": {scoring.Sender{Referrer: ana}, "field"}, "call_c": {scoring.Sender{Digits: "3125550101#"}, "keypad"},
			"call_d": {scoring.Sender{Code: code.Code}, "link"},
		} {
			r, err := s.desk.ReferCall(ctx, acct, "user_1", call, c.from)
			s.ok(err)
			if r.Referrer != ana || r.Via != c.via || !r.ReferredAt.Equal(noon.Add(-time.Hour)) {
				t.Errorf("%s: got %+v, want %s by %s at the start of the call", call, r, ana, c.via)
			}
			same, err := s.desk.ReferCall(ctx, acct, "user_2", call, scoring.Sender{Referrer: ana})
			if err != nil || same != r {
				t.Errorf("%s, said again: got %+v, %v", call, same, err)
			}
		}
		_, err = s.desk.ReferCall(ctx, acct, "user_1", "call_x", scoring.Sender{Referrer: ana})
		checkFields(t, err, map[string]string{"id": "not identified"})
		_, err = s.desk.ReferCall(ctx, acct, "user_1", "call_b", scoring.Sender{Digits: "12#"})
		checkFields(t, err, map[string]string{"digits": "phone number"})
		_, err = s.desk.ReferCall(ctx, acct, "user_1", "call_b", scoring.Sender{Code: "nobodys"})
		checkFields(t, err, map[string]string{"code": "nobody"})
		_, err = s.desk.ReferCall(ctx, other, "user_1", "call_b", scoring.Sender{Referrer: ana})
		s.kind("another account's call", err, callwheel.NotFound)
		_, err = s.desk.ReferralCode(ctx, acct, "nobody")
		s.kind("the code of no number", err, callwheel.NotFound)
	})
}

// Bob came by Ana's link, Cy by his own, Dee perhaps by Ana's: only Bob was surely
// sent.
func TestLinksAreFollowedToTheCall(t *testing.T) {
	each(t, func(s *scene) {
		const cy, dee = "+13125550103", "+13125550104"
		of := map[string]string{}
		for _, person := range []string{ana, cy} {
			c, err := s.desk.ReferralCode(ctx, acct, person)
			s.ok(err)
			of[person] = c.Code
		}
		for id, c := range map[string]struct {
			from, landing string
			sure          float64
		}{
			"b": {bob, "https://shop.example/?utm_source=x&cw_ref=" + of[ana], 0.95}, "c": {cy, "https://shop.example/?cw_ref=" + of[cy], 0.95},
			"d": {dee, "https://shop.example/?cw_ref=" + of[ana], 0.6}, "e": {"+13125550105", "https://shop.example/?cw_ref=nobodys", 0.99},
		} {
			s.call("call_"+id, c.from)
			s.exec(`INSERT INTO touches (account_id, touch_id, person, touched_at, source, medium, landing_page, created_at) VALUES (?, ?, ?, ?, 'x', 'y', ?, 1)`,
				acct, "tch_"+id, "vis_"+id, store.Micros(noon.Add(-2*time.Hour)), c.landing)
			s.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, visitor_confidence, source, visitor_id, model_version, attributed_at)
				VALUES (?, ?, 'winner', 'lease', ?, ?, 'x', ?, 'v', ?)`, acct, "call_"+id, c.sure, c.sure, "vis_"+id, store.Micros(noon))
		}
		n, err := s.desk.NoteLinks(ctx, noon)
		s.ok(err)
		again, err := s.desk.NoteLinks(ctx, noon)
		s.ok(err)
		who, err := s.desk.Caller(ctx, acct, bob)
		s.ok(err)
		if n != 1 || again != 0 || len(who.ReferredBy) != 1 || who.ReferredBy[0].Referrer != ana || who.ReferredBy[0].Via != "link" {
			t.Errorf("got %d, then %d, and %+v", n, again, who.ReferredBy)
		}
	})
}

func TestFeedbackIsDatedAndNotBeforeTheCall(t *testing.T) {
	each(t, func(s *scene) {
		s.call("call_1", ana)
		s.pass(time.Hour)
		s.call("call_2", ana)
		id, err := s.desk.LatestCall(ctx, acct, ana, noon.Add(-time.Minute))
		s.ok(err)
		if id != "call_1" {
			t.Errorf("got %s, want the call that had begun then", id)
		}
		_, err = s.desk.LatestCall(ctx, acct, bob, noon)
		s.kind("nobody's call", err, callwheel.NotFound)
		act := s.act(id)
		for at, want := range map[time.Time]callwheel.Kind{
			noon.Add(-2 * time.Hour): callwheel.Invalid, noon.Add(26 * time.Hour): callwheel.Invalid, noon.Add(-time.Minute): "",
		} {
			act.At = at
			f, _, err := s.desk.Feedback(ctx, act, scoring.NPS, 9, "")
			s.kind("at "+at.String(), err, want)
			if err == nil && !f.GivenAt.Equal(at) {
				t.Errorf("got %s, want %s", f.GivenAt, at)
			}
		}
	})
}
