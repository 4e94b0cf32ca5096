package attribution_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/scripts/draws"
)

// thousands checks 2,000 cases, unless the command line says how many.
func thousands(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	draws.Thousands(t, property)
}

// drawModel draws any model with any parameters.
func drawModel(t *rapid.T) attribution.Model {
	name := rapid.SampledFrom(attribution.Models()).Draw(t, "model")
	var with attribution.Params
	switch name {
	case "shaped":
		a := rapid.IntRange(0, 100).Draw(t, "first")
		b := rapid.IntRange(0, 100-a).Draw(t, "last")
		if a+b == 0 {
			a = 1
		}
		with.Shape = fmt.Sprintf("%d/%d/%d", a, 100-a-b, b)
	case "time_decay":
		with.HalfLifeDays = rapid.Float64Range(0.01, 3650).Draw(t, "half-life")
	case "markov":
		with.Order = rapid.IntRange(1, 4).Draw(t, "order")
	}
	m, err := attribution.FindModel(name, with)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func drawPath(t *rapid.T) attribution.Path {
	p := attribution.Path{ConvertedAt: start}
	hours := rapid.SliceOfN(rapid.IntRange(0, 24*90), 1, 30).Draw(t, "hours before")
	slices.SortFunc(hours, func(a, b int) int { return b - a })
	for i, h := range hours {
		p.Steps = append(p.Steps, attribution.Step{
			ID: fmt.Sprintf("%03d", i), At: start.Add(-time.Duration(h) * time.Hour),
			Direct: rapid.Bool().Draw(t, "direct"), Channel: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "channel"),
		})
	}
	moment := func(name string) time.Time {
		if rapid.Bool().Draw(t, name+" known") {
			return start.Add(-time.Duration(rapid.IntRange(-24, 24*100).Draw(t, name)) * time.Hour)
		}
		return time.Time{}
	}
	p.LeadAt, p.QualifiedAt, p.WonAt = moment("lead"), moment("qualified"), moment("won")
	return p
}

func drawJourneys(t *rapid.T) []attribution.Journey {
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) attribution.Journey {
		j := attribution.Journey{
			Channels:    rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 8).Draw(t, "path"),
			Conversions: float64(rapid.IntRange(0, 5).Draw(t, "conversions")),
			Nulls:       float64(rapid.IntRange(0, 5).Draw(t, "nulls")),
		}
		j.Value = j.Conversions * float64(rapid.IntRange(0, 1000).Draw(t, "value"))
		return j
	}), 1, 12).Draw(t, "journeys")
	list[0].Conversions += 1
	list[0].Value += 10
	return list
}

func TestEveryModelGivesAwayExactlyOneConversion(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		m, p := drawModel(t), drawPath(t)
		if m.Credit == nil {
			return
		}
		total := 0.0
		for _, w := range m.Credit(p) {
			if !(w >= 0) {
				t.Fatalf("%s: got the share %v", m.Text, w)
			}
			total += w
		}
		if math.Abs(total-1) > 1e-9 {
			t.Fatalf("%s: shares add up to %v, want 1", m.Text, total)
		}
		if got := m.Credit(attribution.Path{}); len(got) != 0 {
			t.Fatalf("%s: an empty path got %v", m.Text, got)
		}
	})
}

func TestEveryModelDividesAllConversionsAndTheirValue(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		m, list := drawModel(t), drawJourneys(t)
		d := m.Divide(list)
		for what, parts := range map[string]map[string]float64{"conversions": d.Conversions, "value": d.Value} {
			total := 0.0
			for channel, x := range parts {
				if !(x >= 0 && x <= 1) {
					t.Fatalf("%s, %s: %s got %v", m.Text, what, channel, x)
				}
				total += x
			}
			if math.Abs(total-1) > 1e-9 {
				t.Fatalf("%s, %s: shares add up to %v, want 1", m.Text, what, total)
			}
		}
	})
}

func TestReversingAPathSwapsTheEndsAndKeepsWhatIsSymmetric(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		p := drawPath(t)
		reversed := attribution.Path{Steps: slices.Clone(p.Steps), ConvertedAt: p.ConvertedAt}
		slices.Reverse(reversed.Steps)
		for _, pair := range [][2]string{{"first_touch", "last_touch"}, {"linear", "linear"}, {"position", "position"}, {"20/20/60", "60/20/20"}} {
			var m [2]attribution.Model
			for i, name := range pair {
				with := attribution.Params{}
				if strings.Contains(name, "/") {
					name, with.Shape = "shaped", name
				}
				found, err := attribution.FindModel(name, with)
				if err != nil {
					t.Fatal(err)
				}
				m[i] = found
			}
			want, got := m[0].Credit(p), m[1].Credit(reversed)
			slices.Reverse(want)
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-12 {
					t.Fatalf("%s and %s: got %v, want %v", m[0].Text, m[1].Text, got, want)
				}
			}
		}
	})
}

// Models that look at positions and times do not care what a channel is called;
// direct is left alone.
func TestMergingTwoChannelsAddsTheirCredits(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		m, list := drawModel(t), drawJourneys(t)
		if m.Grouped {
			return
		}
		merged := slices.Clone(list)
		for i, j := range list {
			merged[i].Channels = slices.Clone(j.Channels)
			for k, c := range j.Channels {
				if c == "b" {
					merged[i].Channels[k] = "a"
				}
			}
		}
		before, after := m.Divide(list), m.Divide(merged)
		if got, want := after.Conversions["a"], before.Conversions["a"]+before.Conversions["b"]; math.Abs(got-want) > 1e-12 {
			t.Fatalf("%s: got %v, want %v", m.Text, got, want)
		}
		if got, want := after.Value["a"], before.Value["a"]+before.Value["b"]; math.Abs(got-want) > 1e-12 {
			t.Fatalf("%s: value: got %v, want %v", m.Text, got, want)
		}
	})
}

func TestALaterTouchNeverWeighsLessAndTheHalfLifeReachesFromLastTouchToLinear(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		p := drawPath(t)
		for _, days := range []float64{0.01, 0.5, 7, 3650} {
			m, err := attribution.FindModel("time_decay", attribution.Params{HalfLifeDays: days})
			if err != nil {
				t.Fatal(err)
			}
			w := m.Credit(p)
			if !slices.IsSorted(w) {
				t.Fatalf("%s: got %v, want no later touch with less", m.Text, w)
			}
			last := p.Steps[len(w)-1].At
			for i, s := range p.Steps {
				switch {
				case days == 0.01 && s.At.Before(last) && w[i] > 0.06*w[len(w)-1]: // an hour is over four half-lives
					t.Fatalf("%s: got %v, want nearly everything with the last touches", m.Text, w)
				case days == 3650 && math.Abs(w[i]-1/float64(len(w))) > 0.02/float64(len(w)):
					t.Fatalf("%s: got %v, want nearly equal shares", m.Text, w)
				}
			}
		}
	})
}

// The four facts of the exact chain.
func TestTheChainConvertsAsOftenAsJourneysDid(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		list := drawJourneys(t)
		order := rapid.IntRange(1, 4).Draw(t, "order")
		var conversions, all, value float64
		for _, j := range list {
			conversions += j.Conversions
			all += j.Conversions + j.Nulls
			value += j.Value
		}
		chain := attribution.Markov(list, order)
		if got, want := chain.Probability, conversions/all; math.Abs(got-want) > 1e-12 {
			t.Fatalf("order %d: got %v, want %v", order, got, want)
		}
		if got, want := chain.ExpectedValue, value/all; math.Abs(got-want) > 1e-12*want {
			t.Fatalf("order %d, value: got %v, want %v", order, got, want)
		}
		for i := range list {
			list[i].Nulls = 0
		}
		if got := attribution.Markov(list, order).Probability; math.Abs(got-1) > 1e-12 {
			t.Fatalf("order %d, without nulls: got %v, want 1", order, got)
		}
	})
}

func TestRepeatsNextToEachOtherChangeNothing(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		list := drawJourneys(t)
		collapsed := slices.Clone(list)
		for i, j := range list {
			collapsed[i].Channels = slices.Compact(slices.Clone(j.Channels))
		}
		same(t, attribution.Markov(list, 1), attribution.Markov(collapsed, 1))
	})
}

func TestOnlyTheProportionsOfCountsMatter(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		list := drawJourneys(t)
		order := rapid.IntRange(1, 4).Draw(t, "order")
		by := rapid.Float64Range(0.001, 1000).Draw(t, "by")
		scaled := slices.Clone(list)
		for i := range scaled {
			scaled[i].Conversions *= by
			scaled[i].Nulls *= by
			scaled[i].Value *= by
		}
		same(t, attribution.Markov(list, order), attribution.Markov(scaled, order))
	})
}

func same(t *rapid.T, a, b attribution.Chain) {
	for name, effect := range a.RemovalConversions {
		if math.Abs(b.RemovalConversions[name]-effect) > 1e-10 || math.Abs(b.RemovalValue[name]-a.RemovalValue[name]) > 1e-10 {
			t.Fatalf("%s: got %v and %v", name, effect, b.RemovalConversions[name])
		}
	}
}

// A channel's removal takes everything exactly when no conversion can be reached
// without it, and nothing exactly when no walk through it converts.
func TestRemovalEffectsAreBetweenNothingAndEverything(t *testing.T) {
	thousands(t, func(t *rapid.T) {
		list := drawJourneys(t)
		order := rapid.IntRange(1, 4).Draw(t, "order")
		chain := attribution.Markov(list, order)
		for channel, effect := range chain.RemovalConversions {
			if !(effect >= 0 && effect <= 1) {
				t.Fatalf("removing %s: got %v", channel, effect)
			}
			without, through := reachable(list, order, channel)
			if (effect > 1-1e-12) == without {
				t.Errorf("order %d: removing %s takes %v, and a conversion can be reached without it: %v", order, channel, effect, without)
			}
			if (effect > 0) != through {
				t.Errorf("order %d: removing %s takes %v, and a walk through it converts: %v", order, channel, effect, through)
			}
		}
	})
}

// reachable follows the transitions as a graph, by its own means: whether some
// walk converts without the channel, and whether some walk through it does.
func reachable(list []attribution.Journey, order int, channel string) (without, through bool) {
	next, ends, starts := map[string]map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, j := range list {
		if j.Conversions+j.Nulls == 0 {
			continue
		}
		size := min(order, len(j.Channels))
		var before string
		for i := 0; i+size <= len(j.Channels); i++ {
			at := strings.Join(j.Channels[i:i+size], ">")
			if i == 0 {
				starts[at] = true
			} else {
				if next[before] == nil {
					next[before] = map[string]bool{}
				}
				next[before][at] = true
			}
			before = at
		}
		if j.Conversions > 0 {
			ends[before] = true
		}
	}
	var walk func(at string, met bool, seen map[string]bool)
	walk = func(at string, met bool, seen map[string]bool) {
		met = met || slices.Contains(strings.Split(at, ">"), channel)
		key := fmt.Sprint(at, met)
		if seen[key] {
			return
		}
		seen[key] = true
		if ends[at] {
			through = through || met
			without = without || !met
		}
		for to := range next[at] {
			walk(to, met, seen)
		}
	}
	seen := map[string]bool{}
	for at := range starts {
		walk(at, false, seen)
	}
	return without, through
}

// φ by its definition: over all orders of joining, what a channel adds to the
// conversions of the people whose channels have all joined.
func TestShapleyIsTheMeanOfWhatAChannelAddsOverAllOrders(t *testing.T) {
	m, err := attribution.FindModel("shapley", attribution.Params{})
	if err != nil {
		t.Fatal(err)
	}
	channels := []string{"a", "b", "c", "d", "e"}
	orders := permutations(channels)
	thousands(t, func(t *rapid.T) {
		list := drawJourneys(t)
		total := 0.0
		for _, j := range list {
			total += j.Conversions
		}
		worth := func(joined []string) (v float64) {
			for _, j := range list {
				if !slices.ContainsFunc(j.Channels, func(c string) bool { return !slices.Contains(joined, c) }) {
					v += j.Conversions
				}
			}
			return v
		}
		want := map[string]float64{}
		for _, order := range orders {
			for i, c := range order {
				want[c] += (worth(order[:i+1]) - worth(order[:i])) / float64(len(orders))
			}
		}
		d := m.Divide(list)
		for _, c := range channels {
			if math.Abs(d.Conversions[c]*total-want[c]) > 1e-9 {
				t.Fatalf("%s: got %v, want %v", c, d.Conversions[c]*total, want[c])
			}
		}
	})
}

func permutations(list []string) [][]string {
	if len(list) == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]string{list[i]}, p...))
		}
	}
	return all
}

func TestParametersThatMakeNoSenseAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		model string
		with  attribution.Params
		field string
	}{
		{"astrology", attribution.Params{}, "model"},
		{"shaped", attribution.Params{}, "shape"},
		{"shaped", attribution.Params{Shape: "20/20"}, "shape"},
		{"shaped", attribution.Params{Shape: "20/20/20/40"}, "shape"},
		{"shaped", attribution.Params{Shape: "20/20/50"}, "shape"},
		{"shaped", attribution.Params{Shape: "-20/60/60"}, "shape"},
		{"shaped", attribution.Params{Shape: "NaN/20/60"}, "shape"},
		{"shaped", attribution.Params{Shape: "0/100/0"}, "shape"},
		{"linear", attribution.Params{Shape: "20/20/60"}, "shape"},
		{"time_decay", attribution.Params{HalfLifeDays: -1}, "half_life_days"},
		{"time_decay", attribution.Params{HalfLifeDays: math.NaN()}, "half_life_days"},
		{"position", attribution.Params{HalfLifeDays: 7}, "half_life_days"},
		{"markov", attribution.Params{Order: 5}, "order"},
		{"markov", attribution.Params{Order: -1}, "order"},
		{"shapley", attribution.Params{Order: 1}, "order"},
	} {
		_, err := attribution.FindModel(c.model, c.with)
		if callwheel.KindOf(err) != callwheel.Invalid || !slices.Equal(refused(err), []string{c.field}) {
			t.Errorf("%s with %+v: got %v, want %s refused", c.model, c.with, err, c.field)
		}
	}
	for want, c := range map[string]struct {
		model string
		with  attribution.Params
	}{
		"last_non_direct":               {"", attribution.Params{}},
		"position 40/20/40":             {"position", attribution.Params{}},
		"shaped 12.5/25/62.5":           {"shaped", attribution.Params{Shape: "12.5/25/62.50"}},
		"w_shaped 30/30/30/10":          {"w_shaped", attribution.Params{}},
		"time_decay half-life 7 days":   {"time_decay", attribution.Params{}},
		"time_decay half-life 2.5 days": {"time_decay", attribution.Params{HalfLifeDays: 2.5}},
		"markov order 1":                {"markov", attribution.Params{}},
		"markov order 4":                {"markov", attribution.Params{Order: 4}},
	} {
		if m, err := attribution.FindModel(c.model, c.with); err != nil || m.Text != want {
			t.Errorf("got %q, %v, want %q", m.Text, err, want)
		}
	}
}
