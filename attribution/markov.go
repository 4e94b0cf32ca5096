package attribution

import (
	"cmp"
	"math"
	"slices"
)

// Chain is the Markov chain that journeys walk, solved. A walk starts as often
// in each state as journeys do, goes from state to state in the proportions in
// which journeys went, and ends converted or not.
type Chain struct {
	Probability   float64 // that a walk converts: conversions ÷ (conversions + nulls)
	ExpectedValue float64 // of a walk
	States        int
	// RemovalConversions says, for each channel, which part of the conversions
	// is lost when every walk ends unconverted where it meets the channel;
	// RemovalValue says the same of the value. From 0 to 1; empty without any
	// conversion, or value.
	RemovalConversions map[string]float64
	RemovalValue       map[string]float64
}

// Division gives each channel its part of the removal effects.
func (c Chain) Division() Division {
	part := func(effects map[string]float64) map[string]float64 {
		names := sortedNames(effects)
		sum := 0.0
		for _, name := range names {
			sum += effects[name]
		}
		parts := make(map[string]float64, len(names))
		for _, name := range names {
			parts[name] = effects[name] / sum
		}
		return parts
	}
	return Division{Conversions: part(c.RemovalConversions), Value: part(c.RemovalValue)}
}

func sortedNames(m map[string]float64) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Markov solves the chain whose states are windows of order (1 to 4) touches in
// a row; a shorter path is one state. Removing a channel removes every state
// that holds it. It is solved by linear algebra to the last digits, never by
// simulation (removal effects: Anderl et al.; the facts that tests check are in
// docs/adr/0012-models-read-paths.md). Journeys without channels are left out.
func Markov(journeys []Journey, order int) Chain {
	w := newWalk(journeys, order)
	answer := Chain{States: len(w.states), RemovalConversions: map[string]float64{}, RemovalValue: map[string]float64{}}
	if w.total == 0 || w.conversions == 0 {
		return answer
	}
	whole := w.solve(nil, 0)
	p, v := w.atStart(whole)
	answer.Probability, answer.ExpectedValue = p/w.total, v/w.total*w.unit
	for c, name := range w.channels {
		lost, worth := w.atStart(w.solve(whole, int32(c)))
		answer.RemovalConversions[name] = min(1, lost/p)
		if v > 0 {
			answer.RemovalValue[name] = min(1, worth/v)
		}
	}
	return answer
}

// window is a state: the channels of up to four touches in a row, −1 where
// there are fewer.
type window [mostOrder]int32

func (s window) holds(channel int32) bool {
	return s[0] == channel || s[1] == channel || s[2] == channel || s[3] == channel
}

// edge is how many journeys went on from a state to another.
type edge struct {
	to    int32
	count float64
}

// node is a state with its way on. away is what leaves it, whatever becomes of
// it; staying in the state changes nothing and is left out.
type node struct {
	window
	edges     []edge
	away      float64
	converted float64
	value     float64 // in units of the mean value of a conversion
	started   float64
}

// walk is the chain as counted.
type walk struct {
	channels    []string
	states      []node
	order       []int32 // of solving: a state after those it leads to, where there is no way back
	total       float64
	conversions float64
	unit        float64 // mean value of a conversion
}

func newWalk(journeys []Journey, order int) *walk {
	w := &walk{unit: 1}
	ids, states, edges := map[string]int32{}, map[window]int32{}, map[[2]int32]float64{}
	var path []int32
	value := 0.0
	for _, j := range journeys {
		count := j.Conversions + j.Nulls
		if len(j.Channels) == 0 || count == 0 {
			continue
		}
		path = path[:0]
		for _, name := range j.Channels {
			id, ok := ids[name]
			if !ok {
				id = int32(len(w.channels))
				ids[name] = id
				w.channels = append(w.channels, name)
			}
			path = append(path, id)
		}
		size := min(order, len(path))
		before := int32(-1)
		for i := 0; i+size <= len(path); i++ {
			at := w.state(states, path[i:i+size])
			if before >= 0 && before != at {
				edges[[2]int32{before, at}] += count
			} else if before < 0 {
				w.states[at].started += count
			}
			before = at
		}
		end := &w.states[before]
		end.converted += j.Conversions
		end.away += count
		w.total += count
		w.conversions += j.Conversions
		if j.Conversions > 0 {
			end.value += j.Value
			value += j.Value
		}
	}
	for pair, count := range edges {
		from := &w.states[pair[0]]
		from.edges = append(from.edges, edge{pair[1], count})
	}
	if value > 0 {
		w.unit = value / w.conversions
	}
	for i := range w.states {
		s := &w.states[i]
		s.value /= w.unit
		slices.SortFunc(s.edges, func(a, b edge) int { return cmp.Compare(a.to, b.to) })
		for _, e := range s.edges {
			s.away += e.count
		}
	}
	w.arrange()
	return w
}

func (w *walk) state(known map[window]int32, touches []int32) int32 {
	s := window{-1, -1, -1, -1}
	copy(s[:], touches)
	id, ok := known[s]
	if !ok {
		id = int32(len(w.states))
		known[s] = id
		w.states = append(w.states, node{window: s})
	}
	return id
}

// arrange orders the states so that a sweep meets what a state leads to before
// the state itself, as far as there are no circles.
func (w *walk) arrange() {
	type visit struct {
		at   int32
		next int
	}
	seen := make([]bool, len(w.states))
	for i := range w.states {
		if seen[i] {
			continue
		}
		seen[i] = true
		stack := []visit{{at: int32(i)}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if edges := w.states[top.at].edges; top.next < len(edges) {
				to := edges[top.next].to
				top.next++
				if !seen[to] {
					seen[to] = true
					stack = append(stack, visit{at: to})
				}
				continue
			}
			w.order = append(w.order, top.at)
			stack = stack[:len(stack)-1]
		}
	}
}

// yield is what a walk from a state converts to: its chance, and its value in
// units.
type yield struct{ chance, value float64 }

// settled is the relative change of a sweep at which a figure stands: the last
// bits of a float64.
const (
	settled   = 4e-16
	mostSweep = 200_000
)

// solve finds what walks from each state yield. With whole (the answer of the
// entire chain) it finds what of it is lost with the channel: walks that never
// meet the channel lose nothing, and where they meet it everything is lost. So
// small losses are as exact as large ones. It sweeps over the equations
// (Gauss-Seidel) until nothing changes; figures only grow, since all that is
// added is positive.
func (w *walk) solve(whole []yield, channel int32) []yield {
	x := make([]yield, len(w.states))
	open := w.order
	if whole != nil {
		open = make([]int32, 0, len(w.order))
		for _, i := range w.order {
			if w.states[i].holds(channel) {
				x[i] = whole[i]
			} else {
				open = append(open, i)
			}
		}
	}
	for range mostSweep {
		changed := false
		for _, i := range open {
			s := &w.states[i]
			var sum yield
			if whole == nil {
				sum = yield{s.converted, s.value}
			}
			for _, e := range s.edges {
				sum.chance += e.count * x[e.to].chance
				sum.value += e.count * x[e.to].value
			}
			sum.chance /= s.away
			sum.value /= s.away
			changed = changed || unsettled(x[i].chance, sum.chance) || unsettled(x[i].value, sum.value)
			x[i] = sum
		}
		if !changed {
			break
		}
	}
	return x
}

func unsettled(from, to float64) bool { return math.Abs(to-from) > settled*math.Abs(to) }

// atStart adds up over where walks start.
func (w *walk) atStart(x []yield) (chance, value float64) {
	for i, s := range w.states {
		chance += s.started * x[i].chance
		value += s.started * x[i].value
	}
	return chance, value
}
