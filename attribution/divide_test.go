package attribution_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
)

func model(t testing.TB, name string, with attribution.Params) attribution.Model {
	t.Helper()
	m, err := attribution.FindModel(name, with)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// journeys reads "a>b 3 1": three that converted, one that did not.
func journeys(lines ...string) []attribution.Journey {
	var list []attribution.Journey
	for _, line := range lines {
		var path string
		var j attribution.Journey
		_, _ = fmt.Sscan(line, &path, &j.Conversions, &j.Nulls)
		j.Channels = strings.Split(path, ">")
		j.Value = j.Conversions
		list = append(list, j)
	}
	return list
}

func agree(t testing.TB, what string, got, want, within float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > within*max(1e-3, math.Abs(want)) {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

// The small published cases: analyzecore.com (3 August 2016), the README of
// pychattr, the tests of the package mta, each as exact solutions.
func TestMarkovSolvesThePublishedCases(t *testing.T) {
	for name, c := range map[string]struct {
		paths   []string
		p       float64
		effects map[string]float64
		credits map[string]float64
	}{
		"three journeys": {
			[]string{"c1>c2>c3 1 0", "c1 0 1", "c2>c3 0 1"},
			1. / 3,
			map[string]float64{"c1": 0.5, "c2": 1, "c3": 1},
			map[string]float64{"c1": 0.2, "c2": 0.4, "c3": 0.4},
		},
		"no nulls": {
			[]string{"A>B>A>B>B>A 1 0", "A>B>B>A>A 1 0", "A>A 1 0"},
			1,
			map[string]float64{"A": 1, "B": 0.5},
			map[string]float64{"A": 2, "B": 1},
		},
		"a, b and c": {
			[]string{"a>b 3 1", "a>c 1 1"},
			2. / 3,
			map[string]float64{"a": 1, "b": 0.75, "c": 0.25},
			map[string]float64{"a": 2, "b": 1.5, "c": 0.5},
		},
		// c is in every converting path, and yet the chain knows start>a>conversion.
		"not every walk": {
			[]string{"c>a 1 0", "a 0 1"},
			0.5,
			map[string]float64{"a": 1, "c": 0.5},
			map[string]float64{"a": 2. / 3, "c": 1. / 3},
		},
	} {
		list := journeys(c.paths...)
		chain := attribution.Markov(list, 1)
		agree(t, name, chain.Probability, c.p, 1e-12)
		agree(t, name+" expected value", chain.ExpectedValue, c.p, 1e-12)
		conversions := 0.0
		for _, j := range list {
			conversions += j.Conversions
		}
		for channel, want := range c.effects {
			agree(t, name+" removing "+channel, chain.RemovalConversions[channel], want, 1e-12)
			agree(t, name+" removing the value of "+channel, chain.RemovalValue[channel], want, 1e-12)
		}
		d := chain.Division()
		for channel, want := range c.credits {
			agree(t, name+" credit of "+channel, d.Conversions[channel]*conversions, want*conversions/sum(c.credits), 1e-12)
		}
	}
}

func sum(m map[string]float64) (total float64) {
	for _, x := range m {
		total += x
	}
	return total
}

// Shapley: the tests of the package mta, and the three channels of the
// documentation of DP6's package, whose coalitions are worth 7, 6, 4, 15, 7, 9
// and 19: dividends 7, 6, 4, 2, −4, −1, 5. Dividends are what the exact sets
// converted, so negative ones are played as value.
func TestShapleySolvesThePublishedCases(t *testing.T) {
	for _, name := range []string{"shapley", "shapley_ordered"} {
		m := model(t, name, attribution.Params{})
		d := m.Divide(journeys("a 4 0", "a>b 6 9"))
		agree(t, name+" a", d.Conversions["a"]*10, 7, 1e-12)
		agree(t, name+" b", d.Conversions["b"]*10, 3, 1e-12)
		var list []attribution.Journey
		for path, dividend := range map[string]float64{"O": 7, "F": 6, "D": 4, "O>F": 2, "O>D>O": -4, "F>D": -1, "O>F>D": 5} {
			list = append(list, attribution.Journey{Channels: strings.Split(path, ">"), Conversions: 1, Value: dividend})
		}
		d = m.Divide(list)
		for channel, want := range map[string]float64{"O": 23. / 3, "F": 49. / 6, "D": 19. / 6} {
			agree(t, name+" "+channel, d.Value[channel]*19, want, 1e-12)
		}
	}
}

// Adobe's example: $50 over display and email on the day, social 6 and paid
// search 9 days before; and touches 28, 21, 14 and 7 days before.
func TestWeightsAreThePublishedOnes(t *testing.T) {
	ago := func(days ...float64) attribution.Path {
		p := attribution.Path{ConvertedAt: start}
		for i, d := range days {
			p.Steps = append(p.Steps, attribution.Step{ID: fmt.Sprint(i), At: start.Add(-time.Duration(d * 24 * float64(time.Hour)))})
		}
		return p
	}
	for _, c := range []struct {
		model string
		with  attribution.Params
		path  attribution.Path
		want  []float64
	}{
		{"time_decay", attribution.Params{}, ago(9, 6, 0, 0), []float64{6.923333206, 9.318115588, 16.879275603, 16.879275603}},
		{"time_decay", attribution.Params{HalfLifeDays: 7}, ago(28, 21, 14, 7), []float64{50. / 15, 100. / 15, 200. / 15, 400. / 15}},
		{"shaped", attribution.Params{Shape: "20/20/60"}, ago(9, 6, 0, 0), []float64{10, 5, 5, 30}},
		{"shaped", attribution.Params{Shape: "60/20/20"}, ago(9, 6), []float64{37.5, 12.5}},
		{"shaped", attribution.Params{Shape: "20/20/60"}, ago(9, 6), []float64{12.5, 37.5}},
		{"position", attribution.Params{}, ago(9, 6, 5, 0), []float64{20, 5, 5, 20}},
		{"position", attribution.Params{}, ago(9, 6), []float64{25, 25}},
		{"position", attribution.Params{}, ago(9), []float64{50}},
		{"linear", attribution.Params{}, ago(9, 6, 0, 0), []float64{12.5, 12.5, 12.5, 12.5}},
	} {
		m := model(t, c.model, c.with)
		for i, w := range m.Credit(c.path) {
			agree(t, fmt.Sprintf("%s, touch %d", m.Text, i), w*50, c.want[i], 1e-8)
		}
	}
}

func TestMilestonesTakeTheTouchesThatReachedThem(t *testing.T) {
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	steps := func(hours ...int) (list []attribution.Step) {
		for i, h := range hours {
			list = append(list, attribution.Step{ID: fmt.Sprint(i), At: at(h)})
		}
		return list
	}
	five := attribution.Path{Steps: steps(0, 10, 20, 30, 40), LeadAt: at(10), QualifiedAt: at(29), WonAt: at(41), ConvertedAt: at(41)}
	same := attribution.Path{Steps: steps(0, 10), LeadAt: at(1), QualifiedAt: at(10), WonAt: at(12), ConvertedAt: at(12)}
	unqualified := attribution.Path{Steps: steps(0, 10), LeadAt: at(1), ConvertedAt: at(12), WonAt: at(12)}
	before := attribution.Path{Steps: steps(0, 10, 20), LeadAt: at(-1), QualifiedAt: at(-1), WonAt: at(-1), ConvertedAt: at(30)}
	for _, c := range []struct {
		model string
		path  attribution.Path
		want  []float64
	}{
		{"lead_creation", five, []float64{0, 1, 0, 0, 0}},
		{"w_shaped", five, []float64{0.30, 0.30, 0.30, 0.05, 0.05}},
		{"full_path", five, []float64{0.225, 0.225, 0.225, 0.10, 0.225}},
		{"lead_creation", same, []float64{1, 0}},
		{"w_shaped", same, []float64{2. / 3, 1. / 3}},
		{"full_path", same, []float64{0.5, 0.5}},
		{"w_shaped", unqualified, []float64{6. / 7, 1. / 7}}, // no milestone fell on the second touch
		{"full_path", unqualified, []float64{2. / 3, 1. / 3}},
		{"lead_creation", before, []float64{0, 0, 1}},
		{"w_shaped", before, []float64{0.75, 0.125, 0.125}},
	} {
		for i, w := range model(t, c.model, attribution.Params{}).Credit(c.path) {
			agree(t, fmt.Sprintf("%s of %d touches, touch %d", c.model, len(c.path.Steps), i), w, c.want[i], 1e-12)
		}
	}
}

// oracle reads a file of published results, or leaves the test out.
func oracle(t testing.TB, into any, name ...string) string {
	t.Helper()
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("left out: CALLWHEEL_ORACLES is not set")
	}
	if into != nil {
		text, err := os.ReadFile(filepath.Join(append([]string{dir}, name...)...))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func records(t testing.TB, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return list[1:]
}

// pathData reads the 10,000 paths; as says what a channel is called.
func pathData(t testing.TB, dir string, as func(string) string, nulls bool) (list []attribution.Journey) {
	t.Helper()
	for _, r := range records(t, filepath.Join(dir, "attribution", "pathdata.csv")) {
		var figures [3]float64
		for i := range figures {
			x, err := strconv.ParseFloat(r[i+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			figures[i] = x
		}
		j := attribution.Journey{Channels: strings.Split(r[0], " > "), Conversions: figures[0], Value: figures[1]}
		if nulls {
			j.Nulls = figures[2]
		}
		for i, c := range j.Channels {
			j.Channels[i] = as(c)
		}
		list = append(list, j)
	}
	return list
}

func TestEveryModelAgreesWithTheOracleOnTenThousandPaths(t *testing.T) {
	var want struct {
		Models map[string]struct {
			Conversions        map[string]float64
			Value              map[string]float64
			P                  *float64           `json:"p_conversion"`
			ExpectedValue      *float64           `json:"expected_value"`
			States             *int               `json:"n_states"`
			RemovalConversions map[string]float64 `json:"removal_effect_conversions"`
			RemovalValue       map[string]float64 `json:"removal_effect_value"`
		}
	}
	dir := oracle(t, &want, "attribution", "pathdata_expected.json")
	same := func(c string) string { return c }
	list := pathData(t, dir, same, true)
	var conversions, value float64
	for _, j := range list {
		conversions += j.Conversions
		value += j.Value
	}
	check := func(name string, got attribution.Division, within float64, as func(string) string) {
		w, ok := want.Models[name]
		if !ok {
			t.Fatalf("there is no oracle of %s", name)
		}
		for channel, credit := range w.Conversions {
			agree(t, name+" "+channel, got.Conversions[as(channel)]*conversions, credit, within)
			agree(t, name+" value of "+channel, got.Value[as(channel)]*value, w.Value[channel], within)
		}
	}
	for name, c := range map[string]struct {
		model string
		with  attribution.Params
	}{
		"first_touch":               {"first_touch", attribution.Params{}},
		"last_touch":                {"last_touch", attribution.Params{}},
		"linear":                    {"linear", attribution.Params{}},
		"position_40_20_40":         {"position", attribution.Params{}},
		"j_20_20_60":                {"shaped", attribution.Params{Shape: "20/20/60"}},
		"inverse_j_60_20_20":        {"shaped", attribution.Params{Shape: "60/20/20"}},
		"shapley_set_linear_unique": {"shapley", attribution.Params{}},
	} {
		check(name, model(t, c.model, c.with).Divide(list), 1e-9, same)
	}
	check("shapley_set_linear_unique", model(t, "shapley_ordered", attribution.Params{}).Divide(list), 1e-9, same)
	direct := func(c string) string {
		if c == "alpha" {
			return attribution.Direct
		}
		return c
	}
	check("last_non_alpha", model(t, "", attribution.Params{}).Divide(pathData(t, dir, direct, true)), 1e-9, direct)

	for order := 1; order <= 4; order++ {
		name := fmt.Sprintf("markov_order_%d", order)
		began := time.Now()
		chain := attribution.Markov(list, order)
		t.Logf("order %d: %d states in %v", order, chain.States, time.Since(began))
		w := want.Models[name]
		if chain.States != *w.States {
			t.Errorf("%s: got %d states, want %d", name, chain.States, *w.States)
		}
		agree(t, name+" p", chain.Probability, conversions/(conversions+68602), 1e-12)
		agree(t, name+" expected value", chain.ExpectedValue, *w.ExpectedValue, 1e-12)
		for channel, effect := range w.RemovalConversions {
			agree(t, name+" removing "+channel, chain.RemovalConversions[channel], effect, 1e-8)
			agree(t, name+" removing the value of "+channel, chain.RemovalValue[channel], w.RemovalValue[channel], 1e-8)
		}
		check(name, chain.Division(), 1e-8, same)
	}
	name := "markov_order_1_no_null"
	chain := attribution.Markov(pathData(t, dir, same, false), 1)
	agree(t, name+" p", chain.Probability, 1, 1e-12)
	for channel, effect := range want.Models[name].RemovalConversions {
		agree(t, name+" removing "+channel, chain.RemovalConversions[channel], effect, 1e-8)
	}
	check(name, chain.Division(), 1e-8, same)
}

func TestShapleyAgreesWithTheOracleOnRealJourneysByPosition(t *testing.T) {
	var want struct {
		Set        map[string]float64            `json:"shapley_set"`
		First      map[string]float64            `json:"first"`
		Last       map[string]float64            `json:"last"`
		Linear     map[string]float64            `json:"linear"`
		ByPosition map[string]map[string]float64 `json:"ordered_shapley_by_position"`
	}
	dir := oracle(t, &want, "attribution", "journeys_sample_expected.json")
	var list []attribution.Journey
	for _, r := range records(t, filepath.Join(dir, "attribution", "journeys_sample.csv")) {
		list = append(list, attribution.Journey{Channels: strings.Split(r[1], " > "), Conversions: 1, Value: 1})
	}
	n := float64(len(list))
	for name, credits := range map[string]map[string]float64{"shapley": want.Set, "first_touch": want.First, "last_touch": want.Last, "linear": want.Linear} {
		d := model(t, name, attribution.Params{}).Divide(list)
		for channel, credit := range credits {
			agree(t, name+" "+channel, d.Conversions[channel]*n, credit, 1e-9)
		}
	}
	ordered := model(t, "shapley_ordered", attribution.Params{})
	got := map[string]map[string]float64{}
	for _, j := range list {
		var p attribution.Path
		for _, c := range j.Channels {
			p.Steps = append(p.Steps, attribution.Step{Channel: c})
		}
		for i, w := range ordered.Credit(p) {
			if got[j.Channels[i]] == nil {
				got[j.Channels[i]] = map[string]float64{}
			}
			got[j.Channels[i]][strconv.Itoa(i+1)] += w
		}
	}
	for channel, positions := range want.ByPosition {
		for position, credit := range positions {
			agree(t, channel+" in position "+position, got[channel][position], credit, 5e-8) // the file has nine decimals
		}
	}
}

func TestTheNinePathsWithValueComeOut(t *testing.T) {
	var want struct {
		Nine struct {
			Paths   []string
			Removal map[string]float64 `json:"removal_effect"`
			Value   map[string]float64
		} `json:"markov_nine_paths_value3"`
	}
	oracle(t, &want, "oracles", "attribution_small.json")
	var list []attribution.Journey
	total := 0.0
	for _, path := range want.Nine.Paths {
		list = append(list, attribution.Journey{Channels: strings.Split(path, " > "), Conversions: 1, Value: 3})
		total += 3
	}
	chain := attribution.Markov(list, 1)
	for channel, effect := range want.Nine.Removal {
		agree(t, "removing "+channel, chain.RemovalConversions[channel], effect, 1e-12)
		agree(t, "value of "+channel, chain.Division().Value[channel]*total, want.Nine.Value[channel], 1e-9)
	}
}
