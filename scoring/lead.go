package scoring

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// LeadFacts are what is known of a call two minutes after it began, by the name
// of the fact: never what only its course tells, such as how long it went on.
type LeadFacts map[string][]string

// The facts. Those that mean the same in every account make the pooled prior.
const (
	factSource = "source" // as attributed, or untracked
	factArea   = "area"   // country and area code
	factTags   = "tags"   // put on within two minutes: keys that were pressed, first words
	factHour   = "hour"   // part of the day in the account's zone
	factDay    = "day"    // weekday or weekend there
	factCaller = "caller" // first call, called before, customer, anonymous
)

var (
	leadFacts   = []string{factSource, factArea, factTags, factHour, factDay, factCaller}
	pooledFacts = []string{factHour, factDay, factCaller}
)

const (
	leadNeeds     = 200 // outcomes that an account's own model needs
	leadNeedsEach = 40  // of them of each kind
	leastOfLevel  = 10  // outcomes with the same value of a fact, for it to count
	mostLevels    = 30  // values of one fact, the most frequent ones
	leadRidge     = 1   // a value is thought to change the log-odds by about 1
	movedBy       = 3   // facts that a score comes with
)

// LeadFact is one fact that moved a score.
type LeadFact struct {
	Fact   string  `json:"fact" enum:"source,area,tags,hour,day,caller"`
	Value  string  `json:"value"`
	Effect float64 `json:"effect" doc:"On the log-odds, against the average call: above 0 made the call likelier to be qualified. 0.69 doubles the odds"`
}

// LeadLevel is one value of a fact and what it weighs.
type LeadLevel struct {
	Value    string  `json:"value"`
	Weight   float64 `json:"weight" doc:"On the log-odds"`
	Share    float64 `json:"share" doc:"Of the calls it was fitted to that had it"`
	Outcomes int64   `json:"outcomes" doc:"Calls it was fitted to that had it"`
}

// LeadFactor is one fact with its values.
type LeadFactor struct {
	Fact   string      `json:"fact"`
	Levels []LeadLevel `json:"levels"`
}

// LeadWeights is a fitted model: log-odds = Intercept + the weights of the values
// that a call has.
type LeadWeights struct {
	Intercept float64      `json:"intercept"`
	Factors   []LeadFactor `json:"factors"`
}

// LeadOutcome is a call whose outcome is known.
type LeadOutcome struct {
	Facts     LeadFacts
	At        time.Time
	Qualified bool
}

// dayParts name the hours of a day, six each.
var dayParts = []string{"0–6 h", "6–12 h", "12–18 h", "18–24 h"}

// timeFacts adds what the moment of a call tells.
func (f LeadFacts) timeFacts(at time.Time) {
	f[factHour] = []string{dayParts[at.Hour()/6]}
	f[factDay] = []string{"weekday"}
	if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
		f[factDay] = []string{"weekend"}
	}
}

// EnoughLeads says whether outcomes are enough for a model of their own.
func EnoughLeads(outcomes, positives int64) bool {
	return outcomes >= leadNeeds && min(positives, outcomes-positives) >= leadNeedsEach
}

// FitLeads fits the weights of the values of the named facts to outcomes: a
// logistic regression with a ridge. Values with fewer than ten outcomes do not
// count.
func FitLeads(list []LeadOutcome, facts []string) (LeadWeights, error) {
	w := LeadWeights{}
	place := map[[2]string]int{}
	for _, fact := range facts {
		levels := commonLevels(list, fact)
		for _, l := range levels {
			place[[2]string{fact, Fold(l.Value)}] = len(place)
		}
		w.Factors = append(w.Factors, LeadFactor{Fact: fact, Levels: levels})
	}
	x, y := make([][]float64, len(list)), make([]bool, len(list))
	for i, o := range list {
		x[i], y[i] = make([]float64, len(place)), o.Qualified
		for _, fact := range facts {
			for _, value := range o.Facts[fact] {
				if at, ok := place[[2]string{fact, Fold(value)}]; ok {
					x[i][at] = 1
				}
			}
		}
	}
	fit, err := FitLogistic(x, y, leadRidge)
	if err != nil {
		return LeadWeights{}, err
	}
	w.Intercept = fit.Coefficients[0]
	at := 1
	for _, f := range w.Factors {
		for i := range f.Levels {
			f.Levels[i].Weight = fit.Coefficients[at]
			at++
		}
	}
	return w, nil
}

// commonLevels lists the values of a fact that enough outcomes have, the most
// frequent first.
func commonLevels(list []LeadOutcome, fact string) []LeadLevel {
	byName := map[string]*LeadLevel{}
	for _, o := range list {
		had := map[string]bool{}
		for _, value := range o.Facts[fact] {
			name := Fold(value)
			if had[name] {
				continue
			}
			had[name] = true
			if byName[name] == nil {
				byName[name] = &LeadLevel{Value: value}
			}
			byName[name].Outcomes++
			byName[name].Share = float64(byName[name].Outcomes) / float64(len(list))
		}
	}
	levels := []LeadLevel{}
	for _, l := range byName {
		if l.Outcomes >= leastOfLevel {
			levels = append(levels, *l)
		}
	}
	slices.SortFunc(levels, func(a, b LeadLevel) int {
		return cmp.Or(cmp.Compare(b.Outcomes, a.Outcomes), cmp.Compare(Fold(a.Value), Fold(b.Value)))
	})
	return levels[:min(len(levels), mostLevels)]
}

// Predict returns the probability that a call with the facts is qualified, and
// the three facts that moved it most from what the average call is given.
func (w LeadWeights) Predict(facts LeadFacts) (probability float64, moved []LeadFact) {
	odds := w.Intercept
	moved = []LeadFact{}
	for _, factor := range w.Factors {
		effect := 0.0
		has := map[string]bool{}
		for _, value := range facts[factor.Fact] {
			has[Fold(value)] = true
		}
		var values []string
		for _, l := range factor.Levels {
			effect -= l.Weight * l.Share
			odds += l.Weight * l.Share
			if has[Fold(l.Value)] {
				effect += l.Weight
				values = append(values, l.Value)
			}
		}
		odds += effect
		if math.Abs(effect) > 1e-9 {
			moved = append(moved, LeadFact{Fact: factor.Fact, Value: named(values, facts[factor.Fact]), Effect: effect})
		}
	}
	slices.SortStableFunc(moved, func(a, b LeadFact) int { return cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)) })
	return sigmoid(odds), moved[:min(len(moved), movedBy)]
}

// named is how the values of a fact are shown: those that the model knows, else
// those that the call has.
func named(known, has []string) string {
	list := known
	if len(list) == 0 {
		list = has
	}
	text := "none"
	for i, v := range list {
		if i == 0 {
			text = v
			continue
		}
		text += ", " + v
	}
	return text
}

// judgeLeads fits to the first 70 % of the outcomes, which are in order of time,
// and judges by the rest.
func judgeLeads(list []LeadOutcome, facts []string) (LeadJudgement, error) {
	n := EarlierPart(len(list))
	w, err := FitLeads(list[:n], facts)
	if err != nil {
		return LeadJudgement{}, err
	}
	var p []float64
	var y []bool
	for _, o := range list[n:] {
		probability, _ := w.Predict(o.Facts)
		p, y = append(p, probability), append(y, o.Qualified)
	}
	return JudgeProbabilities(p, y), nil
}

// moveTo returns the pooled prior's weights for an account with its own share of
// qualified calls: positives of outcomes, drawn towards the prior's as if there
// were twenty more outcomes with that.
func (w LeadWeights) moveTo(prior float64, outcomes, positives int64) LeadWeights {
	share := (float64(positives) + fallbackStrength*prior) / (float64(outcomes) + fallbackStrength)
	w.Intercept += math.Log(share/(1-share)) - math.Log(prior/(1-prior))
	return w
}
