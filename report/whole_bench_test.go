package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
)

// benchWorld is so many journeys over so many paths of 1 to 20 touches in 12
// channels, a few of them far more often than the others; one in every so many
// converted.
func benchWorld(journeys, paths, every int) (list []conversion, nulls []unconverted) {
	r := rand.New(rand.NewPCG(3, 5))
	zone := time.UTC
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).UnixMicro()
	people, known := make([]*person, paths), arrivals{}
	weights, total := make([]float64, paths), 0.0
	for i := range people {
		one := &person{name: fmt.Sprint(i), proofs: map[string][]string{fmt.Sprint(i): {""}}}
		for k := range 1 + r.IntN(20) {
			one.touches = append(one.touches, touch{
				id: fmt.Sprintf("%d_%d", i, k), at: start + int64(k)*3_600_000_000, name: one.name, arrival: known.of(arrival{source: fmt.Sprint("channel ", int(12*math.Pow(r.Float64(), 1.5)))}),
			})
		}
		people[i] = one
		weights[i] = 1 / math.Pow(float64(i+1), 0.9)
		total += weights[i]
	}
	for i, one := range people {
		for n := range max(1, int(weights[i]/total*float64(journeys))) {
			if n%every > 0 {
				nulls = append(nulls, unconverted{path: one.touches, weight: 1})
				continue
			}
			list = append(list, conversion{id: fmt.Sprint(i, n), at: start + 30*24*3_600_000_000, person: one, prev: noPrev, value: r.Int64N(100_000_000)})
		}
	}
	return list, nulls
}

func benchQuestion(b *testing.B, name string, with attribution.Params) question {
	b.Helper()
	m, err := attribution.FindModel(name, with)
	if err != nil {
		b.Fatal(err)
	}
	return question{
		Query: Query{GroupBy: []Dimension{Source}, CreditFor: ForSale, Reading: Winner}, zone: time.UTC, model: m, window: 90 * 24 * time.Hour,
		period:  Period{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Zone: time.UTC},
		account: account{Currency: "USD"},
	}
}

// BenchmarkModels measures the pass that counts a million journeys into 9,000
// paths, three in four of which did not convert, and each model from the same conversions to the rows, counting included. In
// turns with each model it counts: "÷counting" is CPU time in units of the pass
// over the journeys that the model looks at. Markov looks at those that did not
// convert, too.
func BenchmarkModels(b *testing.B) {
	list, nulls := benchWorld(1_000_000, 10_000, 4)
	benchModels(b, list, nulls)
}

// BenchmarkModelsOfFewAlike is the same where counting helps least: most of
// 200,000 conversions took a path that no other took.
func BenchmarkModelsOfFewAlike(b *testing.B) {
	list, nulls := benchWorld(1_000, 200_000, 1)
	benchModels(b, list, nulls)
}

func benchModels(b *testing.B, list []conversion, nulls []unconverted) {
	empty := &book{}
	ways := func(qu question) func(conversion, []way) []way {
		return func(v conversion, came []way) []way { return v.ways(qu, came) }
	}
	count := func(qu question) int {
		k := newCounter(empty, newSheet(qu))
		k.each(list, ways(qu), func(*counted) {})
		return len(k.list)
	}
	counting := benchQuestion(b, "linear", attribution.Params{})
	var journeys []attribution.Journey
	b.Run("counting", func(b *testing.B) {
		for b.Loop() {
			count(counting)
		}
		b.ReportMetric(float64(len(list)), "conversions")
		b.ReportMetric(float64(count(counting)), "paths")
	})
	b.Run("counting what did not convert, too", func(b *testing.B) {
		qu := benchQuestion(b, "markov", attribution.Params{})
		for b.Loop() {
			journeys = countWhole(empty, qu, list, nulls).list[""].counts()
		}
		b.ReportMetric(float64(len(list)+len(nulls)), "journeys")
		b.ReportMetric(float64(len(journeys)), "paths")
	})
	for _, c := range []struct {
		name string
		with attribution.Params
	}{
		{"first_touch", attribution.Params{}},
		{"last_touch", attribution.Params{}},
		{"last_non_direct", attribution.Params{}},
		{"lead_creation", attribution.Params{}},
		{"linear", attribution.Params{}},
		{"position", attribution.Params{}},
		{"shaped", attribution.Params{Shape: "20/20/60"}},
		{"w_shaped", attribution.Params{}},
		{"full_path", attribution.Params{}},
		{"time_decay", attribution.Params{}},
		{"shapley", attribution.Params{}},
		{"shapley_ordered", attribution.Params{}},
		{"markov", attribution.Params{Order: 1}},
		{"markov", attribution.Params{Order: 2}},
		{"markov", attribution.Params{Order: 3}},
		{"markov", attribution.Params{Order: 4}},
	} {
		qu := benchQuestion(b, c.name, c.with)
		b.Run(qu.model.Text, func(b *testing.B) {
			var pass, model time.Duration
			for b.Loop() {
				began := cpuUsed(b)
				if qu.model.Whole == nil {
					count(counting)
				} else {
					countWhole(empty, qu, list, nulls)
				}
				between := cpuUsed(b)
				s := newSheet(qu)
				if qu.model.Whole == nil {
					newCounter(empty, s).each(list, ways(qu), func(c *counted) { s.give(empty, c) })
				} else {
					all := countWhole(empty, qu, list, nulls)
					all.divide(all.list[""])
				}
				pass += between - began
				model += cpuUsed(b) - between
			}
			b.ReportMetric(float64(model)/float64(pass), "÷counting")
		})
	}
	for order := 1; order <= 4 && journeys != nil; order++ {
		qu := benchQuestion(b, "markov", attribution.Params{Order: order})
		b.Run("divided/"+qu.model.Text, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				qu.model.Divide(journeys)
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB/op")
			b.ReportMetric(float64(attribution.Markov(journeys, order).States), "states")
		})
	}
}

// cpuUsed is the CPU time of this process: on a shared machine the steady figure.
func cpuUsed(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// countWhole counts everything into cohorts.
func countWhole(b *book, qu question, list []conversion, nulls []unconverted) *cohorts {
	k := newCounter(b, newSheet(qu))
	all := newCohorts(k.channels, k.s)
	k.each(list, func(v conversion, ways []way) []way { return v.ways(qu, ways) }, func(c *counted) { all.enter(c) })
	all.passAll(nulls)
	return all
}
