package report

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/scripts/draws"
)

var gainStart = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// tried adds opportunities of a person at so many hours; bought says which of them
// ended in a purchase half an hour later.
func (w *wheel) tried(name string, bought bool, hours ...float64) {
	for _, h := range hours {
		at := gainStart.UnixMicro() + int64(h*3600)*second
		w.attempts = append(w.attempts, attempt{at: at, caller: name, reached: true, wait: -1})
		if bought {
			one := w.people.get(name)
			one.sales = append(one.sales, &sale{SoldAt: at + 1800*second, Value: 1e6, Currency: "USD"})
		}
	}
	slices.SortStableFunc(w.attempts, func(a, b attempt) int { return int(a.at/second - b.at/second) })
}

func newGainWheel() *wheel {
	return &wheel{
		by: DefaultYardsticks(), now: gainStart.AddDate(2, 0, 0).UnixMicro(), account: account{Currency: "USD"},
		people: &people{canon: map[string]string{}, persons: map[string]*person{}},
	}
}

func gainDays(from, until int) Period {
	return Period{From: gainStart.AddDate(0, 0, from), Until: gainStart.AddDate(0, 0, until), Zone: time.UTC}
}

func (w *wheel) gainOf(p Period) MomentumPhases {
	c := w.counts(p)
	c.Won = 1
	var m MomentumPeriod
	w.phases(&m, p, c)
	return m.Phases
}

// On the wheel of this test a quarter of each day's customers come again on the
// next. Only when as many come every day is the share of those who come again the
// gain.
func TestThePlainShareIsTheGainOnlyAtEquilibrium(t *testing.T) {
	for _, c := range []struct {
		growth int
		share  float64
	}{{1, 0.25}, {2, 0.125}} {
		w := newGainWheel()
		size, last := 40, []string(nil)
		for d := range 6 {
			var today []string
			today = append(today, last[len(last)-len(last)/4:]...) // who come again
			for i := len(today); i < size; i++ {
				today = append(today, fmt.Sprintf("day %d, %d", d, i))
			}
			for i, name := range today {
				w.tried(name, true, float64(24*d)+float64(i)/1000)
			}
			if d == 3 {
				if share := float64(len(last)/4) / float64(size); share != c.share {
					t.Fatalf("share: got %v, want %v", share, c.share)
				}
			}
			last, size = today, size*c.growth
		}
		if f := w.gainOf(gainDays(3, 4)); f.Gain == nil || *f.Gain != 0.25 {
			t.Errorf("growing %d times a day: got %+v, want a gain of a quarter", c.growth, f)
		}
	}
}

func TestAWheelIsSaidToTurnByItselfOnlyWhenThatIsSure(t *testing.T) {
	// n customers, of whom each comes again twice, but for some who do not.
	turning := func(n, without int) MomentumPhases {
		w := newGainWheel()
		for i := range n {
			name := fmt.Sprint("customer ", i)
			w.tried(name, true, float64(i)/100)
			if i >= without {
				w.tried(name, false, 48+float64(i)/100, 72+float64(i)/100)
			}
		}
		return w.gainOf(gainDays(0, 1))
	}
	// Above 1, but not surely.
	if f := turning(40, 18); f.Gain == nil || *f.Gain != 1.1 || f.GainInterval[0] > 1 || f.SelfSustaining || f.Multiplier != nil {
		t.Errorf("44 of 40: got %+v, want a gain above 1 that is not claimed", f)
	}
	if f := turning(400, 40); f.Gain == nil || *f.Gain != 1.8 || f.GainInterval[0] <= 1 || !f.SelfSustaining {
		t.Errorf("720 of 400: got %+v, want it claimed", f)
	}
	// As many, by two customers.
	w := newGainWheel()
	for i := range 400 {
		w.tried(fmt.Sprint("customer ", i), true, float64(i)/100)
	}
	for i := range 360 {
		w.tried("customer 0", false, 48+float64(i))
		w.tried("customer 1", false, 48.5+float64(i))
	}
	if f := w.gainOf(gainDays(0, 1)); f.Gain == nil || *f.Gain != 1.8 || f.SelfSustaining || f.GainInterval[0] > 1 {
		t.Errorf("720 of 400 by two customers: got %+v, want it not claimed", f)
	}
}

// Every earned opportunity follows from one other: periods that make up a range
// add up to it, to what the definition says of each opportunity by itself.
func TestEarnedOpportunitiesAreCountedOnce(t *testing.T) {
	draws.Thousands(t, func(t *rapid.T) {
		w := newGainWheel()
		w.by.ReturnDays = rapid.Int64Range(7, 40).Draw(t, "return days")
		people := rapid.IntRange(1, 6).Draw(t, "people")
		hour := rapid.Map(rapid.IntRange(0, 90*24-1), func(h int) float64 { return float64(h) })
		for i := range people {
			name := fmt.Sprint(i)
			w.tried(name, false, rapid.SliceOfNDistinct(hour, 0, 6, rapid.ID[float64]).Draw(t, "tried")...)
			w.tried(name, true, rapid.SliceOfNDistinct(hour, 0, 3, rapid.ID[float64]).Draw(t, "bought")...)
		}
		for range rapid.IntRange(0, 4).Draw(t, "sent") {
			a, b := rapid.IntRange(0, people-1).Draw(t, "who"), rapid.IntRange(0, people-1).Draw(t, "whom")
			if a != b {
				w.referrals = append(w.referrals, referral{fmt.Sprint(a), fmt.Sprint(b), gainStart.UnixMicro() + int64(hour.Draw(t, "at")*3600)*second})
			}
		}
		whole := gainDays(0, 90)
		sum := func(p Period) (n float64) {
			for _, x := range w.earned(p) {
				n += x
			}
			return n
		}
		cut := rapid.IntRange(1, 89).Draw(t, "cut")
		if a, b, all := sum(gainDays(0, cut)), sum(gainDays(cut, 90)), sum(whole); a+b != all {
			t.Fatalf("got %v before day %d and %v after, %v in all", a, cut, b, all)
		}
		want := 0.0
		for _, b := range w.attempts {
			if w.follows(b) {
				want++
			}
		}
		if got := sum(whole); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// follows says by the definition alone whether an opportunity follows from
// another.
func (w *wheel) follows(b attempt) bool {
	// last is when somebody last bought before an instant, −1 for never.
	last := func(name string, before int64) int64 {
		at := int64(-1)
		for other, one := range w.people.persons {
			for _, s := range one.sales {
				if other == name && s.SoldAt < before {
					at = max(at, s.SoldAt)
				}
			}
		}
		return at
	}
	customer, bought := b.caller, last(b.caller, b.at)
	if bought < 0 {
		first := int64(math.MaxInt64)
		for _, r := range w.referrals {
			if r.Referred == b.caller && (r.At < first || r.At == first && r.Referrer < customer) {
				first, customer = r.At, r.Referrer
			}
		}
		if first == math.MaxInt64 {
			return false
		}
		if bought = last(customer, min(b.at, first+1)); bought < 0 {
			return false
		}
	}
	began := int64(-1)
	for _, a := range w.attempts {
		if a.caller == customer && a.at <= bought {
			began = max(began, a.at)
		}
	}
	return began >= 0 && b.at-began <= w.by.ReturnDays*day
}
