package attribution_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/attribution"
)

func hours(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }

func nearly(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %.9f, want %.9f", name, got, want)
	}
}

// worked are the three holders of the worked example: two from one source, one
// from another, who last saw the number 8 minutes, 110 minutes and 48 hours ago.
func worked(ratios ...float64) []attribution.Holder {
	return []attribution.Holder{
		{Source: "google_ads", Since: 8 * time.Minute, Ratio: ratios[0]},
		{Source: "organic", Since: 110 * time.Minute, Ratio: ratios[1]},
		{Source: "google_ads", Since: 48 * time.Hour, Ratio: ratios[2]},
	}
}

func TestTheWorkedExampleComesOutToTheLastFigure(t *testing.T) {
	d := attribution.DefaultDelays()
	for i, want := range []struct{ f, intensity float64 }{{1.439927210, 0.071996361}, {0.042977830, 0.002148891}, {0.001149623, 0.000057481}} {
		h := worked(1, 1, 1)[i]
		nearly(t, "f", d.Density(h.Since), want.f, 6e-10)
		nearly(t, "intensity", d.Intensity(h), want.intensity, 6e-10)
	}
	for _, c := range []struct {
		name         string
		holders      []attribution.Holder
		pi           []float64
		nobody       float64
		ads, organic float64
		verdict      attribution.Verdict
		source       string
		holder       int
	}{
		{"no evidence", worked(1, 1, 1), []float64{0.944800239, 0.028199664, 0.000754319}, 0.026245778, 0.945554558, 0.028199664, attribution.Winner, "google_ads", 0},
		{"the area fits the second", worked(0.5, 8, 0.5), []float64{0.651927740, 0.311331729, 0.000520492}, 0.036220039, 0.652448232, 0.311331729, attribution.Ambiguous, "google_ads", 0},
		{"the phone is the third's", worked(0.1, 0.1, 1000), []float64{0.107624815, 0.003212302, 0.859265589}, 0.029897293, 0.966890405, 0.003212302, attribution.Winner, "google_ads", 2},
		{"one old holder is no sure thing", worked(1, 1, 1)[1:2], []float64{0.517943525}, 0.482056475, 0, 0.517943525, attribution.Ambiguous, "organic", 0},
		{"nobody", nil, nil, 1, 0, 0, attribution.Untracked, "", -1},
	} {
		s := d.Posterior(c.holders, d.Background)
		for i, want := range c.pi {
			nearly(t, c.name, s.Holders[i], want, 6e-10)
		}
		nearly(t, c.name+": nobody", s.Untracked, c.nobody, 6e-10)
		nearly(t, c.name+": ads", s.Sources["google_ads"], c.ads, 6e-10)
		nearly(t, c.name+": organic", s.Sources["organic"], c.organic, 6e-10)
		if s.Verdict != c.verdict || s.Source != c.source || s.Holder != c.holder {
			t.Errorf("%s: got %s %q %d, want %s %q %d", c.name, s.Verdict, s.Source, s.Holder, c.verdict, c.source, c.holder)
		}
	}
}

func TestThePublishedPosteriorsAreReproduced(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("CALLWHEEL_ORACLES is not set: no published figures to compare with")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "oracles", "pools.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		DelayMixture json.RawMessage `json:"delay_mixture"`
		Posterior    map[string]struct {
			Candidates []struct {
				Source     string  `json:"source"`
				Propensity float64 `json:"propensity"`
				Since      float64 `json:"hours_since_last_view"`
				Ratio      float64 `json:"evidence_ratio"`
				F          float64 `json:"f"`
				Intensity  float64 `json:"intensity"`
				Posterior  float64 `json:"posterior"`
			} `json:"candidates"`
			Background float64            `json:"background_per_hour"`
			Nobody     float64            `json:"posterior_nobody"`
			BySource   map[string]float64 `json:"by_source"`
		} `json:"posterior"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Posterior) < 5 {
		t.Fatalf("found %d cases", len(file.Posterior))
	}
	d := attribution.DefaultDelays()
	for name, c := range file.Posterior {
		var holders []attribution.Holder
		for _, one := range c.Candidates {
			h := attribution.Holder{Source: one.Source, Since: hours(one.Since), Ratio: one.Ratio, Propensity: one.Propensity}
			nearly(t, name+": f", d.Density(h.Since), one.F, 1e-12)
			nearly(t, name+": intensity", d.Intensity(h), one.Intensity, 1e-12)
			holders = append(holders, h)
		}
		s := d.Posterior(holders, c.Background)
		for i, one := range c.Candidates {
			nearly(t, name+": posterior", s.Holders[i], one.Posterior, 1e-12)
		}
		nearly(t, name+": nobody", s.Untracked, c.Nobody, 1e-12)
		if len(s.Sources) != len(c.BySource) {
			t.Errorf("%s: got sources %v, want %v", name, s.Sources, c.BySource)
		}
		for source, want := range c.BySource {
			nearly(t, name+": "+source, s.Sources[source], want, 1e-12)
		}
	}
}

func TestTheBandsOfConfidence(t *testing.T) {
	for confidence, want := range map[float64]string{1: "high", 0.9: "high", 0.8999: "medium", 0.7: "medium", 0.6999: "low", 0: "low"} {
		if got := attribution.Band(confidence); got != want {
			t.Errorf("%v: got %s, want %s", confidence, got, want)
		}
	}
}

func TestParametersThatMakeNoPosteriorAreRefused(t *testing.T) {
	if err := attribution.DefaultDelays().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, spoil := range map[string]func(*attribution.Delays){
		"weights that do not add up":                     func(d *attribution.Delays) { d.Parts[0].Weight = 0.5 },
		"a negative weight":                              func(d *attribution.Delays) { d.Parts[0].Weight, d.Parts[1].Weight = -0.1, 0.95 },
		"a mean of nothing":                              func(d *attribution.Delays) { d.Parts[0].MeanHours = 0 },
		"a mean that is no number":                       func(d *attribution.Delays) { d.Parts[0].MeanHours = math.NaN() },
		"nobody ever calls":                              func(d *attribution.Delays) { d.Propensity = 0 },
		"nobody else ever calls":                         func(d *attribution.Delays) { d.Background = 0 },
		"an open page that means less than a closed one": func(d *attribution.Delays) { d.OnScreen = 0.1 },
	} {
		d := attribution.DefaultDelays()
		spoil(&d)
		if d.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// drawn are holders such as a number may have had.
func drawn(t *rapid.T) []attribution.Holder {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) attribution.Holder {
		return attribution.Holder{
			Source:     rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "source"),
			OnScreen:   rapid.IntRange(0, 4).Draw(t, "open") == 0,
			Since:      hours(rapid.Float64Range(0, 2000).Draw(t, "since")),
			Ratio:      rapid.Float64Range(0.05, 1000).Draw(t, "ratio"),
			Propensity: rapid.SampledFrom([]float64{0, 0.01, 0.3}).Draw(t, "propensity"),
		}
	}), 0, 12).Draw(t, "holders")
}

// drawnDelays are parameters that Validate accepts.
func drawnDelays(t *rapid.T) attribution.Delays {
	d := attribution.Delays{
		Propensity: rapid.Float64Range(0.001, 1).Draw(t, "p"), Background: rapid.Float64Range(1e-6, 1).Draw(t, "background"),
	}
	w := rapid.Float64Range(0.01, 0.99).Draw(t, "weight")
	d.Parts = []attribution.DelayPart{
		{Weight: w, MeanHours: rapid.Float64Range(0.01, 1).Draw(t, "fast")}, {Weight: 1 - w, MeanHours: rapid.Float64Range(1, 500).Draw(t, "slow")},
	}
	d.OnScreen = d.Density(0) * rapid.Float64Range(1, 5).Draw(t, "open") // of the likeliest propensity, 1
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSharesAlwaysAddUpToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, holders := drawnDelays(t), drawn(t)
		s := d.Posterior(holders, d.Background)
		sum, bySource := s.Untracked, s.Untracked
		for i, w := range s.Holders {
			if w < 0 || w > 1 {
				t.Fatalf("holder %d has %v", i, w)
			}
			sum += w
		}
		for _, c := range s.Sources {
			bySource += c
		}
		if math.Abs(sum-1) > 1e-12 || math.Abs(bySource-1) > 1e-12 {
			t.Fatalf("got %v by holder and %v by source, want 1", sum, bySource)
		}
		switch {
		case s.Verdict == attribution.Untracked && (s.Holder >= 0 || s.Confidence() != s.Untracked):
			t.Fatalf("untracked, and yet %+v", s)
		case s.Verdict != attribution.Untracked && (holders[s.Holder].Source != s.Source || s.Confidence() <= s.Untracked):
			t.Fatalf("got %+v", s)
		case s.Verdict == attribution.Winner && s.Confidence() < 0.7, s.Verdict == attribution.Ambiguous && s.Confidence() >= 0.7:
			t.Fatalf("got %s with %v", s.Verdict, s.Confidence())
		}
	})
}

func TestOneFactorOnAllEvidenceAndTheBackgroundChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, holders := drawnDelays(t), drawn(t)
		before := d.Posterior(holders, d.Background)
		factor := rapid.Float64Range(1e-3, 1e3).Draw(t, "factor")
		scaled := append([]attribution.Holder{}, holders...)
		for i := range scaled {
			scaled[i].Ratio *= factor
		}
		after := d.Posterior(scaled, d.Background*factor)
		for i := range holders {
			if math.Abs(before.Holders[i]-after.Holders[i]) > 1e-9 {
				t.Fatalf("holder %d: %v became %v", i, before.Holders[i], after.Holders[i])
			}
		}
	})
}

func TestMovingAHolderIntoThePastNeverRaisesTheirShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, holders := drawnDelays(t), drawn(t)
		if len(holders) == 0 {
			return
		}
		i := rapid.IntRange(0, len(holders)-1).Draw(t, "who")
		before := d.Posterior(holders, d.Background).Holders[i]
		if holders[i].OnScreen {
			holders[i].OnScreen = false // the page was closed: however short ago
		} else {
			holders[i].Since += hours(rapid.Float64Range(0, 500).Draw(t, "later"))
		}
		if after := d.Posterior(holders, d.Background).Holders[i]; after > before+1e-12 {
			t.Fatalf("%v became %v", before, after)
		}
	})
}

func TestAddingAHolderNeverRaisesAnothersShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, holders := drawnDelays(t), drawn(t)
		if len(holders) == 0 {
			return
		}
		with, without := d.Posterior(holders, d.Background), d.Posterior(holders[1:], d.Background)
		for i := range without.Holders {
			if with.Holders[i+1] > without.Holders[i]+1e-12 {
				t.Fatalf("holder %d: %v became %v", i, without.Holders[i], with.Holders[i+1])
			}
		}
		if with.Untracked > without.Untracked+1e-12 {
			t.Fatalf("untracked: %v became %v", without.Untracked, with.Untracked)
		}
	})
}

func TestHoldersOfOneSourceMergeIntoTheSumOfTheirShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, holders := drawnDelays(t), drawn(t)
		s := d.Posterior(holders, d.Background)
		apart := append([]attribution.Holder{}, holders...)
		sums := map[string]float64{}
		for i, h := range holders {
			sums[h.Source] += s.Holders[i]
			apart[i].Source = string(rune('A' + i))
		}
		for source, sum := range sums {
			if math.Abs(s.Sources[source]-sum) > 1e-12 {
				t.Fatalf("%s: got %v, want %v", source, s.Sources[source], sum)
			}
		}
		for i, w := range d.Posterior(apart, d.Background).Holders {
			if math.Abs(w-s.Holders[i]) > 1e-12 {
				t.Fatalf("the share of holder %d depends on the names of sources", i)
			}
		}
	})
}
