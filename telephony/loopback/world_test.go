package loopback_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

func sixtyDays(seed uint64) *loopback.World {
	return loopback.NewWorld(loopback.WorldConfig{Seed: seed, From: noon, Until: noon.AddDate(0, 0, 60), Growth: 0.1})
}

func TestTheSameSeedMakesTheSameWorld(t *testing.T) {
	if !reflect.DeepEqual(sixtyDays(3).Happenings(), sixtyDays(3).Happenings()) {
		t.Error("two worlds of one seed differ")
	}
	if reflect.DeepEqual(sixtyDays(3).Happenings(), sixtyDays(4).Happenings()) {
		t.Error("another seed made the same world")
	}
}

func TestAWorldIsInOrderAndHoldsTogether(t *testing.T) {
	w := sixtyDays(1)
	seen := map[int]bool{}    // sessions that had their first page
	numbers := map[int]bool{} // calls so far
	dispositions := map[string]bool{}
	for _, d := range loopback.WorldDispositions() {
		dispositions[d.Name] = true
	}
	calls := map[string]int{}
	late, again, anonymous := 0, 0, 0
	var before time.Time
	for _, h := range w.Happenings() {
		if h.At.Before(before) || h.At.Before(noon) {
			t.Fatalf("%v is out of order", h.At)
		}
		before = h.At
		switch {
		case h.Visit != nil:
			if h.Visit.First == seen[h.Visit.Session] {
				t.Fatalf("session %d: first is %v", h.Visit.Session, h.Visit.First)
			}
			seen[h.Visit.Session] = true
			if h.Visit.First && w.Channel(h.Visit.Channel).Referrer != h.Visit.Referrer {
				t.Fatalf("referrer %q in channel %s", h.Visit.Referrer, h.Visit.Channel)
			}
		case h.Beat != nil:
			if !seen[h.Beat.Session] {
				t.Fatalf("a beat before the first page of session %d", h.Beat.Session)
			}
		case h.Call != nil:
			c := h.Call
			calls[c.Channel]++
			if c.Dials == loopback.ShownNumber && !seen[c.Session] {
				t.Fatalf("call %d dials a number that session %d has not shown", c.Call, c.Session)
			}
			if c.Dials == loopback.EarlierNumber && !numbers[c.Again] {
				t.Fatalf("call %d repeats call %d, which was not made", c.Call, c.Again)
			}
			if !dispositions[c.Judgement.Disposition] || (c.Judgement.Disposition == "won") != (c.Judgement.Sale != nil) {
				t.Fatalf("call %d is judged %+v", c.Call, c.Judgement)
			}
			kind, _ := telephony.Classify(c.From)
			if kind == telephony.CallerAnonymous {
				anonymous++
			} else if kind != telephony.CallerE164 || !strings.Contains(c.From, "55501") {
				t.Fatalf("call %d is from %q", c.Call, c.From)
			}
			numbers[c.Call] = true
			if c.Late {
				late++
			}
			if c.Again > 0 {
				again++
			}
		}
	}
	for _, channel := range w.Channels() {
		if calls[channel.Key] == 0 {
			t.Errorf("nobody called through %s", channel.Key)
		}
	}
	if late == 0 || again == 0 || anonymous == 0 || late > len(numbers)/4 {
		t.Errorf("of %d calls %d late, %d repeated, %d anonymous", len(numbers), late, again, anonymous)
	}
	if got := len(numbers); got < 400 || got > 2000 {
		t.Errorf("%d calls in sixty days of a small business", got)
	}
}

func TestAWorldOfAFewHoursHasExactlyItsVisitors(t *testing.T) {
	w := loopback.NewWorld(loopback.WorldConfig{
		Seed: 1, From: noon.Add(9 * time.Hour), Until: noon.Add(11 * time.Hour), Visitors: 300, AlwaysOpen: true, FirstPerson: 5000,
	})
	persons := map[int]bool{}
	for _, h := range w.Happenings() {
		if h.Visit != nil {
			persons[h.Visit.Person] = true
			if h.Visit.Person <= 5000 {
				t.Fatalf("person %d is of another world", h.Visit.Person)
			}
		}
	}
	if len(persons) != 300 {
		t.Errorf("%d visitors, want 300", len(persons))
	}
}

func TestSpendCoversEveryDayOfTheBusiness(t *testing.T) {
	w := loopback.NewWorld(loopback.WorldConfig{From: noon, Until: noon.AddDate(0, 0, 30)})
	days := map[string]int64{}
	for _, s := range w.Spend() {
		days[s.On] += s.Cost.Micros
	}
	// 180+110+70+4+25+60+20 a day; the thirtieth day's afternoon touches a 31st date
	if len(days) != 31 || days["2026-10-06"] != 469_000_000 || days["2026-11-01"] != 469_000_000 {
		t.Errorf("spend on %d days, first %d", len(days), days["2026-10-06"])
	}
}

func TestAWorldsCallsPlayToEveryOutcome(t *testing.T) {
	o, n := newOffice(t, nil)
	agents := loopback.WorldAgents()
	o.answers["/v/in"] = `<Dial timeout="15" answerOnBridge="true" action="/v/after"><Number url="/v/whisper">` + agents[0].Phone + `</Number></Dial>`
	o.answers["/v/whisper"] = pressOne
	o.answers["/v/keys"] = ``
	o.answers["/v/after"] = `<Say>please leave a message</Say><Record action="/v/vm-done"/>`
	o.answers["/v/vm-done"] = ``
	for _, h := range sixtyDays(1).Happenings() {
		if h.Call != nil {
			n.Call(h.Call.Script(tracking, h.At))
		}
	}
	finish(t, n)
	outcomes := map[telephony.Outcome]int{}
	for _, c := range n.Calls() {
		if !c.Done || len(c.Warnings) > 0 {
			t.Fatalf("call %s: done %v, warnings %q", c.SID, c.Done, c.Warnings)
		}
		outcomes[c.Outcome]++
	}
	if outcomes[telephony.Answered] < 100 || outcomes[telephony.Voicemail] < 20 || outcomes[telephony.Abandoned] < 20 {
		t.Errorf("outcomes %v", outcomes)
	}
	t.Logf("outcomes %v", outcomes)
}
