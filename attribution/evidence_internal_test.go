package attribution

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/store"
)

func TestEvidenceIsCountedAndKeptWithinBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		got  float64
		want float64
	}{
		{"a phone with one call in four hundred", phoneRatio(1, 400), 400},
		{"a phone that calls rarely among very many", phoneRatio(1, 5000), 1000},
		{"the only phone there is", phoneRatio(7, 7), 1},
		{"a phone that is known from a form", phoneRatio(0, 300), 1000},
		{"nothing counted", together{kinds: 3}.ratio(), 1},
		{"nothing counted at all", together{}.ratio(), 1},
		// (9+1)/(10+2) over (10+1)/(20+2)
		{"area fits", together{both: 9, told: 10, given: 10, all: 20, kinds: 2}.ratio(), (10.0 / 12) / (11.0 / 22)},
		{"area does not fit", together{both: 0, told: 10, given: 10, all: 20, kinds: 2}.ratio(), (1.0 / 12) / (11.0 / 22)},
		{"area fits too well", together{both: 5000, told: 5000, given: 5000, all: 1_000_000, kinds: 300}.ratio(), 20},
		{"area fits never", together{both: 0, told: 5000, given: 5000, all: 10_000, kinds: 2}.ratio(), 1.0 / 20},
		{"all together", product([]Ratio{{RatioPhone, 1000}, {RatioArea, 20}}), 1000},
		{"none", product(nil), 1},
	} {
		if math.Abs(c.got-c.want) > 1e-9*c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestRegionsAndDevicesAreReadFromWhatStrangersSay(t *testing.T) {
	for told, want := range map[string]string{" us-il ": "US-IL", "IL": "IL", "": "", "x": "", "Île-de-France": "", "US-IL; DROP": ""} {
		if got := region(told); got != want {
			t.Errorf("%q: got %q, want %q", told, got, want)
		}
	}
	for agent, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148": "mobile",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0":               "desktop",
		"curl/8": "",
	} {
		if got := device(agent); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}

// Candidates that are not named one by one are added up by source, and nothing
// is lost.
func TestALongListOfHoldersIsAddedUpBySource(t *testing.T) {
	d := DefaultDelays()
	var streams []stream
	for i := range 200 {
		streams = append(streams, stream{
			lease: Lease{ID: "lease", VisitorID: string(rune('A' + i))}, since: time.Duration(i+1) * time.Hour, source: []string{"a", "b"}[i%2], medium: "cpc",
		})
	}
	shares := d.Posterior(holdersOfStreams(streams), d.Background)
	list, untracked := candidates(streams, shares)
	if len(list) != maxNamed+2 || list[maxNamed].Visitors != 88 || list[maxNamed].VisitorID != "" {
		t.Fatalf("got %d candidates, the last %+v, want 24 and two sources of 88 more", len(list), list[len(list)-1])
	}
	sum, bySource := int64(math.Round(untracked*nano)), map[string]float64{}
	for _, c := range list {
		sum += int64(math.Round(c.Weight * nano))
		bySource[c.Source] += c.Weight
	}
	if sum != nano {
		t.Errorf("weights add up to %d billionths", sum)
	}
	for source, want := range map[string]float64{"a": shares.Sources["a\x00cpc"], "b": shares.Sources["b\x00cpc"]} {
		if math.Abs(bySource[source]-want) > 1e-6 {
			t.Errorf("%s: got %v, want %v", source, bySource[source], want)
		}
	}
}

// With equal visitors who each hold a number once, in turn, the least residual
// call mass is that of the number which has rested longest.
func TestTheQuietestNumberOfASteadyRotationIsTheLongestRested(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := DefaultDelays()
		n := rapid.IntRange(2, 12).Draw(t, "numbers")
		gap := time.Duration(rapid.Int64Range(int64(time.Second), int64(6*time.Hour)).Draw(t, "gap"))
		at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		pool := make([]freeNumber, n)
		for i := range pool {
			pool[i] = freeNumber{Number: string(rune('a' + i)), Mass: "[]"}
		}
		for i := range 4 * n {
			at = at.Add(gap)
			next := quietest(pool, d, at)[0]
			if next.Number != pool[i%n].Number {
				t.Fatalf("visitor %d gets %s, want %s", i, next.Number, pool[i%n].Number)
			}
			one := &pool[i%n]
			one.Mass, one.MassAt = massJSON(one.masses(d, at)), store.Micros(at)
			one.SeenAt, one.FreeAt = store.Micros(at), store.Micros(at)
		}
	})
}

func TestANumberWhosePastHoldersMayStillCallRestsLonger(t *testing.T) {
	d, now := DefaultDelays(), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ago := func(h float64) int64 { return store.Micros(now.Add(-time.Duration(h * float64(time.Hour)))) }
	busy := freeNumber{Number: "busy", FreeAt: ago(3), Mass: "[0.2,3,30]", MassAt: ago(4), SeenAt: ago(3)}
	calm := freeNumber{Number: "calm", FreeAt: ago(2), Mass: "[0,0,2]", MassAt: ago(4), SeenAt: ago(2)}
	unused := freeNumber{Number: "unused", FreeAt: ago(1), Mass: "[]"}
	got := quietest([]freeNumber{busy, calm, unused}, d, now)
	if got[0].Number != "unused" || got[1].Number != "calm" || got[2].Number != "busy" {
		t.Errorf("got %s, %s, %s, want the least residual call mass first", got[0].Number, got[1].Number, got[2].Number)
	}
	// Σ S(u): the stored parts decay from mass_at, the last holder from seen_at.
	want := d.Parts[1].Weight*0 + d.Parts[2].Weight*2*math.Exp(-4.0/48) + d.Survival(2*time.Hour)
	if mass := calm.mass(d, now); math.Abs(mass-want) > 1e-12 {
		t.Errorf("got %v, want %v", mass, want)
	}
}
