package attribution_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
)

func credit(t testing.TB, model string, p attribution.Path) []float64 {
	t.Helper()
	m, err := attribution.FindModel(model, attribution.Params{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Credit(p)
}

func pathOf(direct ...bool) attribution.Path {
	p := attribution.Path{ConvertedAt: start}
	for i, d := range direct {
		p.Steps = append(p.Steps, attribution.Step{ID: fmt.Sprint(i), At: start.Add(time.Duration(i-len(direct)) * time.Hour), Direct: d})
	}
	return p
}

func TestModelsGiveWhatTheirNamesSay(t *testing.T) {
	for _, c := range []struct {
		model string
		path  attribution.Path
		want  []float64
	}{
		{"first_touch", pathOf(false, false, true), []float64{1, 0, 0}},
		{"last_touch", pathOf(false, false, true), []float64{0, 0, 1}},
		{"last_non_direct", pathOf(false, false, true), []float64{0, 1, 0}},
		{"last_non_direct", pathOf(true, true), []float64{0, 1}},
		{"last_non_direct", pathOf(false, true, false), []float64{0, 0, 1}},
		{"", pathOf(false, true), []float64{1, 0}},
		{"linear", pathOf(false, true, false, false), []float64{0.25, 0.25, 0.25, 0.25}},
		{"linear", pathOf(), []float64{}},
		{"first_touch", pathOf(), []float64{}},
		{"last_non_direct", pathOf(), []float64{}},
	} {
		if got := credit(t, c.model, c.path); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.model, got, c.want)
		}
	}
	if _, err := attribution.FindModel("astrology", attribution.Params{}); callwheel.KindOf(err) != callwheel.Invalid {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestOnlyTouchesOfTheWindowAndSinceTheLastConversionCount(t *testing.T) {
	step := func(id string, ago time.Duration) attribution.Step {
		return attribution.Step{ID: id, At: start.Add(-ago)}
	}
	steps := []attribution.Step{
		step("after", -time.Second), step("c", day), step("b", day), step("now", 0), step("edge", 90*day), step("old", 90*day+time.Second), step("a", 40*day),
	}
	ids := func(p attribution.Path) (list []string) {
		for _, s := range p.Steps {
			list = append(list, s.ID)
		}
		return list
	}
	if got := ids(attribution.Within(steps, start, 90*day, nil)); !slices.Equal(got, []string{"edge", "a", "b", "c", "now"}) {
		t.Errorf("got %v", got)
	}
	previous := start.Add(-day)
	if got := ids(attribution.Within(steps, start, 90*day, &previous)); !slices.Equal(got, []string{"now"}) {
		t.Errorf("after a conversion: got %v", got)
	}
}

func TestAWiderWindowChangesNothingForAPathInsideTheOldOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var steps []attribution.Step
		for i, hours := range rapid.SliceOfN(rapid.IntRange(0, 24*30), 0, 20).Draw(t, "hours") {
			steps = append(steps, attribution.Step{ID: fmt.Sprint(i), At: start.Add(-time.Duration(hours) * time.Hour)})
		}
		narrow, wide := attribution.Within(steps, start, 30*day, nil), attribution.Within(steps, start, 90*day, nil)
		if !slices.Equal(narrow.Steps, wide.Steps) {
			t.Fatalf("got %v, then %v", narrow.Steps, wide.Steps)
		}
	})
}
