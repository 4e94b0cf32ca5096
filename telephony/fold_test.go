package telephony_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	_ "github.com/callwheel/callwheel/scripts/draws"
	"github.com/callwheel/callwheel/telephony"
)

var (
	whispering = telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1}}}, Whisper: "Call from {source}", Voicemail: true}.WithDefaults()
	plainPlan  = telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1}}}, Voicemail: true}.WithDefaults()
	hunting    = telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1}}, {Destinations: []string{agent2}}}, Voicemail: true}.WithDefaults()
	pressing   = telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1}}}, PressToAccept: true, Voicemail: true}.WithDefaults()
	noMailbox  = telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1}}}}.WithDefaults()
)

// fold reads tapes under a plan, with the decisions that the plan takes.
func facts(plan telephony.Plan, list []tape) []telephony.Folded {
	hop := 0
	var events []telephony.Folded
	for _, p := range list {
		query := telephony.Query{AccountID: "acct_1", Number: tracking, PlanVersion: 7}
		if p.Door != telephony.DoorVoice && p.Door != telephony.DoorStatus {
			query.Hop = max(hop, 1)
		}
		f := telephony.Folded{Event: p.event(query)}
		c := telephony.Callback{PublicURL: base, Provider: "twilio", Query: query}
		switch p.Door {
		case telephony.DoorVoice:
			_, f.Decision = plan.Open(c)
			hop = 1
		case telephony.DoorNext:
			_, f.Decision = plan.Next(c, f.Event)
			hop = max(hop, f.Decision.Hop)
		case telephony.DoorWhisper:
			_, f.Decision = plan.Greet(c, query.Hop, "a source")
		case telephony.DoorKeys:
			_, f.Decision = plan.Keys(f.Digits)
		}
		events = append(events, f)
	}
	return events
}

type scenario struct {
	name  string
	plan  telephony.Plan
	tapes []string
	want  map[string]any
}

func at(s int) string { return noon.Add(time.Duration(s) * time.Second).Format("15:04:05") }

var scenarios = []scenario{
	{"a, caller hung up first", whispering, []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"}, map[string]any{
		"status": "completed", "outcome": "answered", "answered_at": at(9), "ended_at": at(135), "ring": 7, "wait": 9, "talk": 126, "duration": 126, "hops": 1, "by": agent1, "legs": 1,
	}},
	{"a, callee hung up first", whispering, []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7'", "a8", "a9"}, map[string]any{
		"status": "completed", "outcome": "answered", "answered_at": at(9), "ended_at": at(135), "ring": 7, "wait": 9, "talk": 126, "duration": 126, "hops": 1, "by": agent1, "legs": 1,
	}},
	{"b", plainPlan, []string{"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"}, map[string]any{
		"status": "completed", "outcome": "voicemail", "ended_at": at(49), "duration": 48, "voicemail": 14, "hops": 1, "legs": 1,
	}},
	{"c", hunting, []string{"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11"}, map[string]any{
		"status": "completed", "outcome": "answered", "answered_at": at(12), "ended_at": at(72), "ring": 7, "wait": 12, "talk": 60, "duration": 60, "hops": 2, "by": agent2, "legs": 2,
	}},
	{"d without answerOnBridge", plainPlan, []string{"d1", "d2", "d3", "d4i", "d5i", "d6i"}, map[string]any{
		"status": "completed", "outcome": "abandoned", "ended_at": at(8), "duration": 8, "hops": 1, "legs": 1,
	}},
	{"d with answerOnBridge", plainPlan, []string{"d1", "d2", "d3", "d4ii", "d5ii", "d6ii"}, map[string]any{
		"status": "no-answer", "outcome": "abandoned", "ended_at": at(8), "duration": 0, "hops": 1, "legs": 1,
	}},
	{"f", plainPlan, []string{"f1", "f2", "f3", "f4", "f5", "f6", "f7"}, map[string]any{
		"status": "completed", "outcome": "answered", "answered_at": at(9), "ended_at": at(21), "ring": 7, "wait": 9, "talk": 11, "duration": 21, "hops": 1, "by": agent1, "legs": 1,
	}},
	{"e", plainPlan, []string{"e-v", "e"}, map[string]any{"status": "completed", "ended_at": at(61), "duration": 61, "hops": 1, "legs": 0}},
}

// told is a call in the words of the expectations; what is not known is not in
// it.
func told(c telephony.Call) map[string]any {
	m := map[string]any{}
	text := func(name, v string) {
		if v != "" {
			m[name] = v
		}
	}
	instant := func(name string, v *time.Time) {
		if v != nil {
			m[name] = v.UTC().Format("15:04:05")
		}
	}
	number := func(name string, v *int64) {
		if v != nil {
			m[name] = int(*v)
		}
	}
	text("status", string(c.Status))
	text("outcome", string(c.Outcome))
	text("by", c.AnsweredBy)
	instant("answered_at", c.AnsweredAt)
	instant("ended_at", c.EndedAt)
	number("ring", c.RingSeconds)
	number("wait", c.WaitSeconds)
	number("talk", c.TalkSeconds)
	number("duration", c.DurationSeconds)
	number("voicemail", c.VoicemailSeconds)
	m["hops"], m["legs"] = int(c.Hops), len(c.Legs)
	return m
}

func TestEachScenarioFoldsToItsRow(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			call := telephony.Fold("acct_1", facts(s.plan, played(t, s.tapes...)))
			if diff := cmp.Diff(s.want, told(call)); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
			if call.From != caller || call.CallerKind != telephony.CallerE164 || call.TrackingNumber != tracking || call.Shell {
				t.Errorf("identity: got %q %q %q shell=%v", call.From, call.CallerKind, call.TrackingNumber, call.Shell)
			}
			if !call.StartedAt.Equal(noon) {
				t.Errorf("started at %v, want the receipt of the voice request", call.StartedAt)
			}
		})
	}
}

// permutations calls fn with orders of list: all of them up to exhaustive
// events, else a fixed random sample.
func permutations[T any](list []T, fn func([]T)) {
	if len(list) > exhaustive {
		rng := rand.New(rand.NewPCG(1, 2))
		for range 5000 {
			rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			fn(list)
		}
		return
	}
	var walk func(k int)
	walk = func(k int) {
		if k == len(list) {
			fn(list)
			return
		}
		for i := k; i < len(list); i++ {
			list[k], list[i] = list[i], list[k]
			walk(k + 1)
			list[k], list[i] = list[i], list[k]
		}
	}
	walk(0)
}

func TestEveryOrderAndEveryDoubleFoldsToTheSameRow(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			events := facts(s.plan, played(t, s.tapes...))
			want := telephony.Fold("acct_1", events)
			n := 0
			permutations(slices.Clone(events), func(order []telephony.Folded) {
				n++
				doubled := order
				if n%3 == 0 { // one fact twice, the repetition received later
					again := order[n%len(order)]
					again.ReceivedAt = again.ReceivedAt.Add(time.Minute)
					doubled = append(slices.Clone(order), again)
				}
				if got := telephony.Fold("acct_1", doubled); !reflect.DeepEqual(got, want) {
					t.Fatalf("order %v:\n%s", keys(doubled), cmp.Diff(want, got))
				}
			})
		})
	}
}

// TestASetOfFactsHasOneOrder is why the order of arrival cannot matter, for any
// number of facts: the fold sorts them first, and what it sorts by is a strict
// total order, looked at here for every pair and every triple of each scenario. A
// sort by such an order gives the same list from each of the n! arrivals.
func TestASetOfFactsHasOneOrder(t *testing.T) {
	for _, s := range scenarios {
		events := facts(s.plan, played(t, s.tapes...))
		for _, a := range events {
			for _, b := range events {
				ab := telephony.CompareFacts(a, b)
				if ab != -telephony.CompareFacts(b, a) || (ab == 0) != (a.Key == b.Key) {
					t.Fatalf("%s: %v is not ordered", s.name, keys([]telephony.Folded{a, b}))
				}
				for _, c := range events {
					if ab < 0 && telephony.CompareFacts(b, c) < 0 && telephony.CompareFacts(a, c) >= 0 {
						t.Fatalf("%s: %v go round", s.name, keys([]telephony.Folded{a, b, c}))
					}
				}
			}
		}
	}
}

// TestEveryFactTwiceAnywhereFoldsToTheSameRow repeats every fact of every
// scenario at every place among the others, in the order in which they happened
// and in the opposite one, and exchanges every two of them.
func TestEveryFactTwiceAnywhereFoldsToTheSameRow(t *testing.T) {
	for _, s := range scenarios {
		events := facts(s.plan, played(t, s.tapes...))
		want := telephony.Fold("acct_1", events)
		same := func(what string, order []telephony.Folded) {
			t.Helper()
			if got := telephony.Fold("acct_1", order); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, %s, %v:\n%s", s.name, what, keys(order), cmp.Diff(want, got))
			}
		}
		backwards := slices.Clone(events)
		slices.Reverse(backwards)
		for _, order := range [][]telephony.Folded{events, backwards} {
			for _, again := range events {
				again.ReceivedAt = again.ReceivedAt.Add(time.Minute) // the repetition is received later
				for at := range len(order) + 1 {
					same("one twice", slices.Insert(slices.Clone(order), at, again))
				}
			}
			for i := range order {
				for j := range i {
					swapped := slices.Clone(order)
					swapped[i], swapped[j] = swapped[j], swapped[i]
					same("two exchanged", swapped)
				}
			}
		}
		same("all twice", append(backwards, events...))
	}
}

func keys(events []telephony.Folded) []string {
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprint(e.Door, " ", e.RawStatus))
	}
	return list
}

func TestWhatIsKnownOfASubsetNeverContradictsTheWhole(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			events := facts(s.plan, played(t, s.tapes...))
			whole := telephony.Fold("acct_1", events)
			for mask := 1; mask < 1<<len(events); mask++ { // also those without the voice request
				var subset []telephony.Folded
				message := false
				for i, e := range events {
					if mask>>i&1 == 1 {
						subset = append(subset, e)
						message = message || e.Door == telephony.DoorVoicemail || e.Door == telephony.DoorRecording || e.Door == telephony.DoorTranscription
					}
				}
				part := telephony.Fold("acct_1", subset)
				// The one inference that a lost request can make wrong: sent to
				// voicemail and no message known means that none was left.
				if whole.Outcome == telephony.Voicemail && !message && part.Outcome == telephony.Abandoned {
					part.Outcome = ""
				}
				if err := contradicts(part, whole); err != nil {
					t.Fatalf("%v of %v: %v", keys(subset), s.name, err)
				}
			}
		})
	}
}

// contradicts returns what the part claims that the whole denies.
func contradicts(part, whole telephony.Call) error {
	if part.Status.Rank() > whole.Status.Rank() || part.Status.Rank() == whole.Status.Rank() && part.Status != whole.Status {
		return fmt.Errorf("status %q against %q", part.Status, whole.Status)
	}
	if part.Hops > whole.Hops || len(part.Legs) > len(whole.Legs) || part.Events > whole.Events {
		return fmt.Errorf("more steps or legs than there were")
	}
	have, all := told(part), told(whole)
	for name, value := range have {
		if name != "hops" && name != "legs" && name != "status" && all[name] != value {
			return fmt.Errorf("%s is %v against %v", name, value, all[name])
		}
	}
	for _, leg := range part.Legs {
		i := slices.IndexFunc(whole.Legs, func(l telephony.Leg) bool { return l.Ref == leg.Ref })
		if i < 0 {
			return fmt.Errorf("leg %s was not there", leg.Ref)
		}
		full := whole.Legs[i]
		if leg.Status.Rank() > full.Status.Rank() || leg.TalkSeconds != nil && *leg.TalkSeconds != *full.TalkSeconds ||
			leg.AnsweredAt != nil && !leg.AnsweredAt.Equal(*full.AnsweredAt) {
			return fmt.Errorf("leg %+v against %+v", leg, full)
		}
	}
	return nil
}

// with returns the named facts of a scenario only.
func with(t *testing.T, plan telephony.Plan, names ...string) telephony.Call {
	t.Helper()
	return telephony.Fold("acct_1", facts(plan, played(t, names...)))
}

// altered returns a tape; "-" after the name leaves out whether it was bridged,
// or makes the message too short, "+" leaves out on which leg, or makes the
// message just long enough.
func altered(t *testing.T, name string) tape {
	t.Helper()
	p := played(t, strings.TrimRight(name, "+-"))[0]
	p.Params = maps.Clone(p.Params)
	switch {
	case strings.HasSuffix(name, "-"):
		delete(p.Params, "DialBridged")
		p.Params["RecordingDuration"] = "2"
	case strings.HasSuffix(name, "+"):
		delete(p.Params, "DialCallSid")
		p.Params["RecordingDuration"] = "3"
	}
	return p
}

func TestOutcomesOfCallsWithMissingEvents(t *testing.T) {
	for _, c := range []struct {
		name  string
		plan  telephony.Plan
		tapes []string
		want  telephony.Outcome
	}{
		{"a caller who hung up while it rang, without the Dial action", plainPlan, []string{"d1", "d2", "d3", "d5i", "d6i"}, telephony.Abandoned},
		{"the same with answerOnBridge", plainPlan, []string{"d1", "d2", "d3", "d5ii", "d6ii"}, telephony.Abandoned},
		{"the same without the leg's end", plainPlan, []string{"d1", "d2", "d3", "d6ii"}, telephony.Abandoned},
		{"the number's callback before anything else", plainPlan, []string{"d6ii", "d1"}, telephony.Abandoned},
		{"a caller who hung up during the greeting", plainPlan, []string{"b1", "b2", "b3", "b4", "b5", "b7"}, telephony.Abandoned},
		{"completed and nothing else", plainPlan, []string{"a1", "a8"}, ""},
		{"an answered leg under a whisper and no Dial action", whispering, []string{"a1", "a2", "a3", "a4", "a5", "a6", "a8"}, ""},
		{"an answered leg without a whisper and no Dial action", plainPlan, []string{"f1", "f2", "f4", "f7"}, telephony.Answered},
		{"nobody answered and there is no mailbox", noMailbox, []string{"b1", "b2", "b3", "b4", "b5", "b7"}, telephony.OutcomeNoAnswer},
		{"busy and there is no mailbox", noMailbox, []string{"c1", "c2", "c3", "c4", "c10"}, telephony.OutcomeBusy},
		{"still ringing", plainPlan, []string{"d1", "d2", "d3"}, ""},
		{"an action that does not tell of a bridge, without a whisper", plainPlan, []string{"f1", "f4", "f5-", "f7"}, telephony.Answered},
		{"the same under a whisper", whispering, []string{"f1", "f4", "f5-", "f7"}, ""},
		{"the same when the caller hung up first", whispering, []string{"a1", "a6", "a7-", "a8"}, ""},
		{"a bridge on a leg that is not named", whispering, []string{"a1", "a6", "a7+", "a8"}, telephony.Answered},
		{"the same without any leg", whispering, []string{"a1", "a7+", "a8"}, telephony.Answered},
		{"a message of two seconds", plainPlan, []string{"b1", "b2", "b3", "b4", "b5", "b6-", "b7"}, telephony.Abandoned},
		{"a message of three seconds", plainPlan, []string{"b1", "b2", "b3", "b4", "b5", "b6+", "b7"}, telephony.Voicemail},
	} {
		var list []tape
		for _, name := range c.tapes {
			list = append(list, altered(t, name))
		}
		if got := telephony.Fold("acct_1", facts(c.plan, list)).Outcome; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestACallKnownOnlyFromItsLegsIsAShell(t *testing.T) {
	call := with(t, plainPlan, "a2", "a3")
	if !call.Shell || call.CallerKind != "" || !call.StartedAt.Equal(noon.Add(time.Second)) || len(call.Legs) != 1 {
		t.Errorf("got %+v", call)
	}
	if call.ID != telephony.CallID("twilio", "CAa0000000000000000000000000000001") {
		t.Errorf("id %s is not that of the parent", call.ID)
	}
	if call = with(t, plainPlan, "f4"); call.WaitSeconds != nil {
		t.Errorf("waited %d s since nobody knows when", *call.WaitSeconds)
	}
}

func TestAnAcceptedKeyIsTheMomentOfTheBridge(t *testing.T) {
	list := played(t, "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8")
	keyed := list[3]
	keyed.Name, keyed.Door, keyed.Params = "keys", telephony.DoorKeys, map[string]string{}
	for name, value := range list[3].Params {
		keyed.Params[name] = value
	}
	keyed.Params["Digits"] = "1"
	events := facts(pressing, append(list, keyed))
	events[len(events)-1].ReceivedAt = noon.Add(13 * time.Second)
	call := telephony.Fold("acct_1", events)
	if call.Outcome != telephony.Answered || call.AnsweredAt == nil || !call.AnsweredAt.Equal(noon.Add(13*time.Second)) || *call.RingSeconds != 11 {
		t.Errorf("got %v", told(call))
	}
	if before := telephony.Fold("acct_1", events[:6]); before.Outcome != "" || before.AnsweredAt != nil {
		t.Errorf("before the key: got %v, want nothing claimed", told(before))
	}
}

func TestABlockedCallerIsKeptAsBlocked(t *testing.T) {
	events := facts(plainPlan, played(t, "d1", "d6ii"))
	_, events[0].Decision = telephony.Refuse()
	if got := telephony.Fold("acct_1", events).Outcome; got != telephony.Blocked {
		t.Errorf("got %q", got)
	}
}

func TestAnonymousCallersHaveNoNumber(t *testing.T) {
	p := played(t, "d1")[0]
	p.Params["From"] = "+266696687"
	call := telephony.Fold("acct_1", facts(plainPlan, []tape{p}))
	if call.From != "" || call.CallerKind != telephony.CallerAnonymous || call.FromRaw != "+266696687" {
		t.Errorf("got %q %q %q", call.From, call.CallerKind, call.FromRaw)
	}
}

// ringTogether is agents 1 and 2 rung together: 2 takes the call, and the
// network cancels 1.
func ringTogether(t *testing.T) []tape {
	t.Helper()
	return []tape{
		played(t, "c1")[0],
		leg("r1", "C2", "C1", "initiated", 0, 1, agent1), leg("r2", "C3", "C1", "initiated", 0, 1, agent2),
		leg("r3", "C2", "C1", "ringing", 1, 2, agent1), leg("r4", "C3", "C1", "ringing", 1, 3, agent2),
		leg("r5", "C3", "C1", "in-progress", 2, 12, agent2),
		leg("r6", "C2", "C1", "canceled", 2, 12, agent1, lasted(0, "487")),
		leg("r7", "C3", "C1", "completed", 3, 72, agent2, lasted(60, "200")),
		next("r8", "C1", "in-progress", "completed", "C3", bridged(60, "c")),
		ended("r9", "C1", "completed", 72, 60),
	}
}

func TestOfPhonesRungTogetherTheOneThatAnsweredCounts(t *testing.T) {
	together := telephony.Plan{Steps: []telephony.Step{{Destinations: []string{agent1, agent2}}}, Voicemail: true}.WithDefaults()
	events := facts(together, ringTogether(t))
	call := telephony.Fold("acct_1", events)
	want := map[string]any{
		"status": "completed", "outcome": "answered", "answered_at": at(12), "ended_at": at(72),
		"ring": 10, "wait": 12, "talk": 60, "duration": 60, "hops": 1, "by": agent2, "legs": 2,
	}
	if diff := cmp.Diff(want, told(call)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	for _, l := range call.Legs {
		if l.Number == agent1 && (l.Status != telephony.Canceled || l.TalkSeconds != nil) {
			t.Errorf("the phone that rang in vain: got %+v", l)
		}
	}
	var withoutAction []telephony.Folded
	for _, e := range events {
		if e.Door != telephony.DoorNext {
			withoutAction = append(withoutAction, e)
		}
	}
	if got := telephony.Fold("acct_1", withoutAction); got.AnsweredBy != agent2 || got.Outcome != telephony.Answered {
		t.Errorf("without the action: got %v", told(got))
	}
}

func TestAnAgentWhoPressesAnotherKeyHasNotAnswered(t *testing.T) {
	list := played(t, "b1", "b2", "b3", "a4", "b4", "b5", "b7")
	keyed := altered(t, "a4")
	keyed.Door, keyed.Params["CallSid"], keyed.Params["ParentCallSid"], keyed.Params["Digits"] = telephony.DoorKeys, sid("B2"), sid("B1"), "2"
	list[3] = keyed
	list[4] = leg("b4", "B2", "B1", "completed", 2, 26, agent1, lasted(5, "200"))
	list[5] = next("b5", "B1", "in-progress", "completed", "B2")
	events := facts(pressing, list)
	if events[5].Decision.Kind != telephony.DecidedVoicemail {
		t.Errorf("after the agent declined: %+v, want voicemail", events[5].Decision)
	}
	if call := telephony.Fold("acct_1", events); call.Outcome != telephony.Abandoned || call.AnsweredAt != nil || call.AnsweredBy != "" {
		t.Errorf("got %v", told(call))
	}
}

func TestAFinalCallbackWithoutAUsableTimeEndsTheCallWhenItCame(t *testing.T) {
	for _, stamp := range []string{"", "Sat, 31 Feb 2026 10:00:00 +0000", "Fri, 01 Jan 9999 00:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 +0000"} {
		p := altered(t, "a8")
		p.Params["Timestamp"] = stamp
		events := facts(plainPlan, append(played(t, "a1"), p))
		events[1].ReceivedAt = noon.Add(140 * time.Second)
		again := events[1]
		again.ReceivedAt = noon.Add(150 * time.Second)
		call := telephony.Fold("acct_1", append([]telephony.Folded{again}, events...))
		if call.EndedAt == nil || !call.EndedAt.Equal(noon.Add(140*time.Second)) || *call.DurationSeconds != 126 {
			t.Errorf("%q: got %v", stamp, told(call))
		}
		if flagged := slices.Contains(call.Flags, "bad_timestamp"); flagged != (stamp != "") {
			t.Errorf("%q: flags %v", stamp, call.Flags)
		}
	}
}

func TestALeapSecondIsATime(t *testing.T) {
	p := altered(t, "a8")
	p.Params["Timestamp"] = "Tue, 06 Oct 2026 14:02:60 +0000"
	call := telephony.Fold("acct_1", facts(plainPlan, append(played(t, "a1"), p)))
	if call.EndedAt == nil || !call.EndedAt.Equal(noon.Add(179*time.Second)) {
		t.Errorf("got %v", call.EndedAt)
	}
}

func TestMinutesAreNeverTakenForSeconds(t *testing.T) {
	var list []tape
	for _, p := range played(t, scenarios[0].tapes...) {
		p = altered(t, p.Name)
		delete(p.Params, "CallDuration")
		delete(p.Params, "DialCallDuration")
		list = append(list, p)
	}
	call := telephony.Fold("acct_1", facts(plainPlan, list)) // Duration, in minutes, is still there
	if call.TalkSeconds != nil || call.DurationSeconds != nil || call.Legs[0].TalkSeconds != nil {
		t.Errorf("got %v, want no length", told(call))
	}
}

// TestAnySoupOfEventsFoldsToOneRow draws events that no call ever had together:
// whatever they say, their order and repetition say nothing.
func TestAnySoupOfEventsFoldsToOneRow(t *testing.T) {
	all := append(played(t, append(slices.Clone(scenarios[0].tapes), scenarios[3].tapes...)...), ringTogether(t)...)
	for _, name := range []string{"a7-", "a7+", "b5", "b6-", "b8", "b9", "d4i", "d4ii", "d5ii", "d6ii"} {
		all = append(all, altered(t, name))
	}
	var pool []telephony.Folded
	for _, plan := range []telephony.Plan{whispering, pressing, hunting, noMailbox} {
		for i, e := range facts(plan, all) {
			e.CallRef, e.Key = sid("A1"), fmt.Sprint(plan.PressToAccept, plan.Voicemail, len(plan.Steps), plan.Whisper, i)
			pool = append(pool, e)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		events := rapid.SliceOfN(rapid.SampledFrom(pool), 1, 14).Draw(rt, "events")
		want := telephony.Fold("acct_1", events)
		order := rapid.Permutation(append(slices.Clone(events), events[0])).Draw(rt, "order")
		if got := telephony.Fold("acct_1", order); !reflect.DeepEqual(got, want) {
			rt.Fatalf("order matters:\n%s", cmp.Diff(want, got))
		}
		if want.Outcome == telephony.Answered && want.TalkSeconds != nil && *want.TalkSeconds < 0 {
			rt.Fatalf("negative talk: %v", told(want))
		}
		for _, n := range []*int64{want.WaitSeconds, want.RingSeconds, want.DurationSeconds, want.VoicemailSeconds} {
			if n != nil && *n < 0 {
				rt.Fatalf("negative length: %v", told(want))
			}
		}
	})
}
