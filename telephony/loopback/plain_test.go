package loopback_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/callwheel/callwheel/telephony/loopback"
)

func plainConfig(visitors int) loopback.PlainConfig {
	return loopback.PlainConfig{
		Seed: 1, From: noon, Visitors: visitors, PerHour: 60, Stay: 5 * time.Minute, BeatEvery: 30 * time.Second,
		Delays:     []loopback.Delay{{Share: 0.6, Mean: 4 * time.Minute}, {Share: 0.25, Mean: time.Hour}, {Share: 0.15, Mean: 48 * time.Hour}},
		Propensity: 0.2, OnScreen: 3, Background: 0.05, PoolSize: 40, After: 2 * time.Hour,
	}
}

// within fails the test unless a count is as expected, within four standard
// errors of a Poisson count.
func within(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 4*math.Sqrt(want) {
		t.Errorf("%s: got %.0f, want %.0f or so", what, got, want)
	}
}

func TestAPlainWorldKeepsItsRules(t *testing.T) {
	const visitors = 20_000
	w := loopback.NewPlainWorld(plainConfig(visitors))
	opened, left := map[int]time.Time{}, map[int]time.Time{}
	var stayed, lookers, strangers, open, short, middle, slow float64
	afterwards := map[int]int{}
	from := map[string]int{}
	var before time.Time
	for _, h := range w.Happenings() {
		if h.At.Before(before) {
			t.Fatalf("%v is out of order", h.At)
		}
		before = h.At
		switch {
		case h.Visit != nil:
			if !opened[h.Visit.Session].IsZero() {
				t.Fatalf("session %d looked twice", h.Visit.Session)
			}
			opened[h.Visit.Session] = h.At
			if h.At.After(w.Until()) {
				lookers++
			}
		case h.Beat != nil && !left[h.Beat.Session].IsZero():
			t.Fatalf("session %d beats after it was left", h.Beat.Session)
		case h.Beat != nil && h.Beat.Left:
			left[h.Beat.Session] = h.At
			stayed += h.At.Sub(opened[h.Beat.Session]).Minutes()
		case h.Call != nil:
			c := h.Call
			if other, ok := from[c.From]; ok && other != c.Person {
				t.Fatalf("persons %d and %d have the phone %s", other, c.Person, c.From)
			}
			from[c.From] = c.Person
			wait := h.At.Sub(left[c.Session])
			switch {
			case c.Dials == loopback.PoolNumber:
				strangers++
			case opened[c.Session].After(w.Until()):
				t.Fatalf("session %d came after the others, and calls", c.Session)
			case c.Open != left[c.Session].IsZero():
				t.Fatalf("call %d: open is %v", c.Call, c.Open)
			case c.Open:
				open++
			default:
				if afterwards[c.Person]++; afterwards[c.Person] > 1 {
					t.Fatalf("person %d called twice after they had left", c.Person)
				}
				if wait < 4*time.Minute {
					short++
				} else if wait < 4*time.Hour {
					middle++
				} else {
					slow++
				}
			}
		}
	}
	hours := w.Until().Sub(noon).Hours()
	within(t, "visitors an hour", hours*60, visitors)
	within(t, "people who only look", lookers, 2*60)
	if mean := stayed / (visitors + lookers); math.Abs(mean-5) > 0.15 { // four standard errors
		t.Errorf("minutes on the page: got %.2f, want 5 or so", mean)
	}
	within(t, "calls while the page was open", open, visitors*3*5./60)
	within(t, "calls of strangers", strangers, 0.05*40*hours)
	calls := visitors * 0.2
	survival := func(h float64) float64 { return 0.6*math.Exp(-h*15) + 0.25*math.Exp(-h) + 0.15*math.Exp(-h/48) }
	within(t, "calls within four minutes", short, calls*(1-survival(4./60)))
	within(t, "calls within four hours", middle, calls*(survival(4./60)-survival(4)))
	within(t, "later calls", slow, calls*survival(4))
	if !reflect.DeepEqual(w.Happenings()[:1000], loopback.NewPlainWorld(plainConfig(visitors)).Happenings()[:1000]) {
		t.Error("two worlds of one seed differ")
	}
}

func TestCallersOfAPlainWorldMayWithholdTheirNumbers(t *testing.T) {
	c := plainConfig(500)
	c.Withheld = 1
	calls := 0
	for _, h := range loopback.NewPlainWorld(c).Happenings() {
		if h.Call != nil {
			if calls++; h.Call.From != "anonymous" {
				t.Fatalf("call from %s", h.Call.From)
			}
		}
	}
	if calls == 0 {
		t.Error("nobody called")
	}
}
