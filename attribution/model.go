package attribution

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
)

// Step is what a model may look at of one touch of a path. Channel is the group
// that the touch stands for in the report that asks; only models that depend on
// the grouping look at it.
type Step struct {
	ID      string
	At      time.Time
	Direct  bool
	Channel string
}

// Path is how a person came to a conversion: their touches in order of time,
// then of id, the moment of the conversion, and the moments at which the person
// had become a lead, qualified and won. A moment that is not known is zero.
type Path struct {
	Steps       []Step
	ConvertedAt time.Time
	LeadAt      time.Time
	QualifiedAt time.Time
	WonAt       time.Time
}

// Model is a rule that divides conversions over their paths. Nothing is stored:
// whoever reports chooses the model when reading.
type Model struct {
	Name string
	// Text is the name with the parameters: letters alone mean different things
	// to different people.
	Text string
	// Credit divides one conversion. It returns one share per step, none
	// negative, that add up to 1; an empty path has none. It is nil for a model
	// that looks at all paths together.
	Credit func(p Path) []float64
	// Whole divides all conversions of a report at once; nil for a model that
	// divides each by itself.
	Whole func(journeys []Journey) Division
	// Grouped says that the answer depends on what counts as one channel.
	Grouped bool
	// Positions says that the credit is told by the position of the touch, too.
	Positions bool
	// Ages says that the model looks at how long before the conversion each touch
	// was. Of other models conversions get the same shares when their paths have
	// the same channels in order, the same direct ones, and the same touches that
	// reached the moments.
	Ages bool
	// Moments says that the model looks at when the person became a lead,
	// qualified and won.
	Moments bool
}

// Params are the parameters of models; zero values mean the model's default.
type Params struct {
	Shape        string  // of shaped: percentages of the first touch, those between, the last
	HalfLifeDays float64 // of time_decay: days in which a touch loses half its weight, default 7
	Order        int     // of markov: how many touches make a state, 1 (default) to 4
}

// DefaultModel is the model of a report that names none.
const DefaultModel = "last_non_direct"

const (
	defaultHalfLife = 7.0
	leastHalfLife   = 0.01
	mostHalfLife    = 3650
	mostOrder       = 4
)

// models are the models with their default parameters, in the order in which
// they are told.
var models = []Model{
	{Name: "first_touch", Credit: func(p Path) []float64 { return only(p, 0) }},
	{Name: "last_touch", Credit: func(p Path) []float64 { return only(p, len(p.Steps)-1) }},
	{Name: "last_non_direct", Credit: lastNonDirect},
	{Name: "lead_creation", Credit: leadCreation, Moments: true},
	{Name: "linear", Credit: linear},
	{Name: "position", Text: "position 40/20/40", Credit: shaped(40, 20, 40)},
	{Name: "shaped"},
	{Name: "w_shaped", Text: "w_shaped 30/30/30/10", Credit: wShaped, Moments: true},
	{Name: "full_path", Text: "full_path 22.5/22.5/22.5/22.5/10", Credit: fullPath, Moments: true},
	{Name: "time_decay", Ages: true},
	{Name: "shapley", Credit: shapley, Grouped: true},
	{Name: "shapley_ordered", Credit: shapley, Grouped: true, Positions: true},
	{Name: "markov", Grouped: true},
}

// Models returns the names of the models there are.
func Models() []string {
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Name
	}
	return names
}

// FindModel returns the model of that name with the parameters, DefaultModel for
// "". An unknown name, a parameter that the model does not have and one that
// makes no sense are Invalid, with the fields model, shape, half_life_days and
// order.
func FindModel(name string, with Params) (Model, error) {
	name = firstOf(name, DefaultModel)
	i := slices.IndexFunc(models, func(m Model) bool { return m.Name == name })
	if i < 0 {
		return Model{}, callwheel.InvalidField("model", "must be one of %s", strings.Join(Models(), ", "))
	}
	m := models[i]
	m.Text = firstOf(m.Text, name)
	var bad fields
	if with.Shape != "" && name != "shaped" {
		bad.add("shape", "goes with the model shaped, not with %s", name)
	}
	if with.HalfLifeDays != 0 && name != "time_decay" {
		bad.add("half_life_days", "goes with the model time_decay, not with %s", name)
	}
	if with.Order != 0 && name != "markov" {
		bad.add("order", "goes with the model markov, not with %s", name)
	}
	if len(bad) == 0 {
		switch name {
		case "shaped":
			m.shape(&bad, with.Shape)
		case "time_decay":
			m.halfLife(&bad, with.HalfLifeDays)
		case "markov":
			m.order(&bad, with.Order)
		}
	}
	return m, bad.err()
}

func (m *Model) shape(bad *fields, text string) {
	parts := strings.Split(text, "/")
	var weights [3]float64
	var sum float64
	sound := len(parts) == len(weights)
	for i := range weights {
		if !sound {
			break
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(parts[i]), 64)
		sound = err == nil && x >= 0 && x <= 100
		weights[i] = x
		sum += x
	}
	switch {
	case text == "":
		bad.add("shape", "is needed by the model shaped, such as 20/20/60: percentages of the first touch, those between, the last")
	case !sound || math.Abs(sum-100) > 1e-9:
		bad.add("shape", "must be three percentages that add up to 100, such as 20/20/60")
	case weights[0]+weights[2] == 0:
		bad.add("shape", "must leave something to the first or the last touch")
	default:
		m.Text = fmt.Sprintf("shaped %s/%s/%s", plain(weights[0]), plain(weights[1]), plain(weights[2]))
		m.Credit = shaped(weights[0], weights[1], weights[2])
	}
}

func (m *Model) halfLife(bad *fields, days float64) {
	if days == 0 {
		days = defaultHalfLife
	}
	if !(days >= leastHalfLife && days <= mostHalfLife) {
		bad.add("half_life_days", "must be from %v to %v", leastHalfLife, mostHalfLife)
		return
	}
	m.Text = "time_decay half-life " + plain(days) + " days"
	m.Credit = timeDecay(days)
}

func (m *Model) order(bad *fields, order int) {
	if order == 0 {
		order = 1
	}
	if order < 1 || order > mostOrder {
		bad.add("order", "must be from 1 to %d", mostOrder)
		return
	}
	m.Text = fmt.Sprintf("markov order %d", order)
	m.Whole = func(journeys []Journey) Division { return Markov(journeys, order).Division() }
}

// plain writes a number without exponent or needless zeros.
func plain(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// Within returns the path that counts for a conversion: the steps from window
// before it up to the moment itself, both ends included, and only those after
// the person's previous conversion, if there was one. Steps are put in order.
func Within(steps []Step, convertedAt time.Time, window time.Duration, previous *time.Time) Path {
	p := Path{ConvertedAt: convertedAt}
	for _, s := range steps {
		if s.At.After(convertedAt) || s.At.Before(convertedAt.Add(-window)) || previous != nil && !s.At.After(*previous) {
			continue
		}
		p.Steps = append(p.Steps, s)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return p
}

// only gives everything to one step.
func only(p Path, i int) []float64 {
	w := make([]float64, len(p.Steps))
	if len(w) > 0 {
		w[i] = 1
	}
	return w
}

// lastNonDirect passes over direct arrivals, unless there is nothing else.
func lastNonDirect(p Path) []float64 {
	for i := len(p.Steps) - 1; i >= 0; i-- {
		if !p.Steps[i].Direct {
			return only(p, i)
		}
	}
	return only(p, len(p.Steps)-1)
}

func linear(p Path) []float64 {
	w := make([]float64, len(p.Steps))
	for i := range w {
		w[i] = 1 / float64(len(w))
	}
	return w
}
