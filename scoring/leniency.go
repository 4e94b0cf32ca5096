package scoring

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
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

// negligible is the part of the variance of all scores below which a variance
// within or between groups is taken for none: less is rounding.
const negligible = 1e-6

// FitLeniency fits the model by least squares, the effects of agents and of
// scorers both drawn towards 0 as if there were some further scores without any
// effect. How many those are follows from how far the means differ beyond
// chance (variance within over variance between, by moments), 20 where that
// cannot be told. The sum of squares is strictly convex: it has one answer,
// whatever the order of the scores: the one that alternating means (of what is
// left of the scores when the others are taken out) come to in the end.
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
	l.solve(list, agents, strength, scorerStrength)
	l.describe(list, agents, strength)
	return l
}

// solve finds the mean and the effects: the normal equations of the squares,
// with the strengths on the diagonal. Scores are measured from their mean, so
// that everybody giving some points more moves nothing but the mean.
func (l *Leniency) solve(list []Marking, agents map[string]float64, strength, scorerStrength float64) {
	columns := map[[2]string]int{} // 0 is the mean's
	column := func(kind, name string) int {
		key := [2]string{kind, name}
		if columns[key] == 0 {
			columns[key] = 1 + len(columns)
		}
		return columns[key]
	}
	for _, m := range list {
		column("agent", m.Agent)
		column("scorer", m.Scorer)
	}
	n := 1 + len(columns)
	normal, right := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for key, j := range columns {
		if key[0] == "agent" {
			normal.SetSym(j, j, strength)
		} else {
			normal.SetSym(j, j, scorerStrength)
		}
	}
	centre := meanMarking(list)
	for _, m := range list {
		row := []int{0, column("agent", m.Agent), column("scorer", m.Scorer)}
		for k, i := range row {
			right.SetVec(i, right.AtVec(i)+m.Score-centre)
			for _, j := range row[k:] {
				normal.SetSym(i, j, normal.At(i, j)+1)
			}
		}
	}
	var chol mat.Cholesky
	var found mat.VecDense
	if !chol.Factorize(normal) || chol.SolveVecTo(&found, right) != nil {
		panic("leniency: strengths above 0 make the squares strictly convex") // see priorStrength
	}
	l.Mean = centre + found.AtVec(0)
	for key, j := range columns {
		if key[0] == "agent" {
			agents[key[1]] = found.AtVec(j)
		} else {
			l.Scorers[key[1]] = found.AtVec(j)
		}
	}
}

func meanMarking(list []Marking) float64 {
	var sum float64
	for _, m := range list {
		sum += m.Score
	}
	return sum / float64(len(list))
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
	mean := meanMarking(list)
	var within, between, squares, total float64
	for _, m := range list {
		d := m.Score - sums[group(m)]/counts[group(m)]
		within += d * d
		total += (m.Score - mean) * (m.Score - mean)
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
	if least := negligible * total / n; tau <= least || sigma <= least {
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
