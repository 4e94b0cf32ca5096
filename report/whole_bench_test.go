package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
)

// benchWorld is a million journeys over 10,000 distinct paths of 1 to 20 touches
// in 12 channels, a few of them far more often than the others; three in four
// did not convert.
func benchWorld() (list []conversion, nulls []unconverted) {
	r := rand.New(rand.NewPCG(3, 5))
	const paths, journeys = 10_000, 1_000_000
	zone := time.UTC
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).UnixMicro()
	people := make([]*person, paths)
	weights, total := make([]float64, paths), 0.0
	for i := range people {
		one := &person{name: fmt.Sprint(i), proofs: map[string][]string{fmt.Sprint(i): {""}}}
		for k := range 1 + r.IntN(20) {
			one.touches = append(one.touches, touch{
				id: fmt.Sprintf("%d_%d", i, k), at: start + int64(k)*3_600_000_000, name: one.name, source: fmt.Sprint("channel ", int(12*math.Pow(r.Float64(), 1.5))),
			})
		}
		people[i] = one
		weights[i] = 1 / math.Pow(float64(i+1), 0.9)
		total += weights[i]
	}
	for i, one := range people {
		for n := range max(1, int(weights[i]/total*journeys)) {
			if n%4 > 0 {
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

// BenchmarkModels measures the pass that counts a million journeys into paths,
// and what each model then does with the counts; beside them, models that divide
// every conversion by itself.
func BenchmarkModels(b *testing.B) {
	list, nulls := benchWorld()
	empty := &book{}
	count := func() *cohorts {
		all := newCohorts(empty, newSheet(benchQuestion(b, "markov", attribution.Params{})))
		for _, v := range list {
			all.enter(v)
		}
		for _, n := range nulls {
			all.pass(n)
		}
		return all
	}
	var counted []attribution.Journey
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			counted = count().list[""].counts()
		}
		b.ReportMetric(float64(len(list)+len(nulls)), "journeys")
		b.ReportMetric(float64(len(counted)), "paths")
	})
	for _, c := range []struct {
		name string
		with attribution.Params
	}{
		{"linear", attribution.Params{}},
		{"position", attribution.Params{}},
		{"shapley", attribution.Params{}},
		{"markov", attribution.Params{Order: 1}},
		{"markov", attribution.Params{Order: 2}},
		{"markov", attribution.Params{Order: 3}},
		{"markov", attribution.Params{Order: 4}},
	} {
		qu := benchQuestion(b, c.name, c.with)
		b.Run("counts/"+qu.model.Text, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				qu.model.Divide(counted)
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB/op")
		})
	}
	b.Run("states", func(b *testing.B) {
		for order := 1; order <= 4; order++ {
			b.ReportMetric(float64(attribution.Markov(counted, order).States), fmt.Sprintf("states-%d", order))
		}
	})
	for _, name := range []string{"last_non_direct", "linear", "position", "time_decay", "shapley"} {
		qu := benchQuestion(b, name, attribution.Params{})
		b.Run("each/"+qu.model.Text, func(b *testing.B) {
			for b.Loop() {
				s := newSheet(qu)
				for _, v := range list {
					s.give(v, v.parts(empty, v.shares(empty, qu), func(share) int64 { return v.at }))
				}
			}
		})
	}
}
