package scoring

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Marking is one score that a scorer gave to a call of an agent.
type Marking struct {
	Agent, Scorer string
	Score         float64
}

// AgentMean is how an agent's calls were scored. Scores are those that went in;
// a spread is nil where there is nothing to work it out from.
type AgentMean struct {
	Scores   int64
	Raw      float64  // mean of the scores
	Adjusted float64  // the same with each scorer's leniency taken out
	Shrunken float64  // Adjusted, drawn towards everybody's mean the more, the fewer scores there are
	Error    *float64 // standard error of Shrunken
}

// Leniency is what scores come to when strict and lenient scorers are told
// apart: score = Mean + agent + scorer + the rest.
type Leniency struct {
	Mean    float64
	Agents  map[string]AgentMean
	Scorers map[string]float64 // how many points more than the others a scorer gives
}

// fallbackStrength is how many scores everybody's mean counts as where the
// scores cannot say.
const fallbackStrength = 20

// FitLeniency fits the model by alternating means: the mean of what is left of
// the scores of each agent when scorers are taken out, and of each scorer when
// agents are, both drawn towards 0 as if there were some further scores without
// any effect. How many those are follows from how far the means differ beyond
// chance (variance within over variance between, by moments), 20 where that
// cannot be told. The fit is of a strictly convex sum of squares: it has one
// answer, whatever the order of the scores.
func FitLeniency(markings []Marking) Leniency {
	l := Leniency{Agents: map[string]AgentMean{}, Scorers: map[string]float64{}}
	if len(markings) == 0 {
		return l
	}
	list := slices.Clone(markings)
	slices.SortFunc(list, func(a, b Marking) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Scorer, b.Scorer), cmp.Compare(a.Score, b.Score))
	})
	byAgent := func(m Marking) string { return m.Agent }
	byScorer := func(m Marking) string { return m.Scorer }
	strength, scorerStrength := priorStrength(list, byAgent), priorStrength(list, byScorer)
	agents := map[string]float64{}
	for range 10_000 {
		before := l.Mean
		l.Mean = meanOf(list, func(m Marking) float64 { return m.Score - agents[m.Agent] - l.Scorers[m.Scorer] })
		moved := math.Abs(l.Mean - before)
		moved += effects(l.Scorers, list, scorerStrength, byScorer, func(m Marking) float64 { return m.Score - l.Mean - agents[m.Agent] })
		moved += effects(agents, list, strength, byAgent, func(m Marking) float64 { return m.Score - l.Mean - l.Scorers[m.Scorer] })
		if moved < 1e-11 {
			break
		}
	}
	l.describe(list, agents, strength)
	return l
}

func meanOf(list []Marking, value func(Marking) float64) float64 {
	var sum float64
	for _, m := range list {
		sum += value(m)
	}
	return sum / float64(len(list))
}

// effects sets each group's shrunken mean of the values and returns how far they
// moved together.
func effects(of map[string]float64, list []Marking, strength float64, group func(Marking) string, value func(Marking) float64) float64 {
	sums, counts := map[string]float64{}, map[string]float64{}
	for _, m := range list {
		sums[group(m)] += value(m)
		counts[group(m)]++
	}
	var moved float64
	for name, n := range counts {
		effect := sums[name] / (n + strength)
		moved += math.Abs(effect - of[name])
		of[name] = effect
	}
	return moved
}

// priorStrength is σ² ÷ τ², the variance within groups over the variance between
// their means, by the moments of a one-way analysis of variance.
func priorStrength(list []Marking, group func(Marking) string) float64 {
	sums, counts := map[string]float64{}, map[string]float64{}
	for _, m := range list {
		sums[group(m)] += m.Score
		counts[group(m)]++
	}
	n, k := float64(len(list)), float64(len(counts))
	mean := meanOf(list, func(m Marking) float64 { return m.Score })
	var within, between, squares float64
	for _, m := range list {
		d := m.Score - sums[group(m)]/counts[group(m)]
		within += d * d
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) { // in one order: sums of fractions depend on it
		c := counts[name]
		d := sums[name]/c - mean
		between += c * d * d
		squares += c * c
	}
	if k < 2 || n <= k {
		return fallbackStrength
	}
	sigma := within / (n - k)
	tau := (between - (k-1)*sigma) / (n - squares/n)
	if tau <= 0 || sigma <= 0 {
		return fallbackStrength
	}
	return sigma / tau
}

// describe fills the agents' means and their errors.
func (l *Leniency) describe(list []Marking, agents map[string]float64, strength float64) {
	type sums struct{ n, raw, adjusted float64 }
	of := map[string]*sums{}
	for _, m := range list {
		if of[m.Agent] == nil {
			of[m.Agent] = &sums{}
		}
		s := of[m.Agent]
		s.n++
		s.raw += m.Score
		s.adjusted += m.Score - l.Scorers[m.Scorer]
	}
	var rest float64
	for _, m := range list {
		d := m.Score - l.Scorers[m.Scorer] - of[m.Agent].adjusted/of[m.Agent].n
		rest += d * d
	}
	free := float64(len(list) - len(of))
	for name, s := range of {
		a := AgentMean{Scores: int64(s.n), Raw: s.raw / s.n, Adjusted: s.adjusted / s.n, Shrunken: l.Mean + agents[name]}
		if free > 0 {
			e := math.Sqrt(rest / free / (s.n + strength))
			a.Error = &e
		}
		l.Agents[name] = a
	}
}
