package report

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
)

// way is one reading of how a conversion came about, before any model is asked:
// a path to divide, one touch that has it all, or a row that is no source. The
// weights of a conversion's ways add up to 1.
type way struct {
	weight  float64
	literal string // the row that is no source; "" for a path
	path    []touch
	alone   bool // the path is a source that is known without a touch: nothing is divided
}

// counted are conversions that are alike for the model and for the rows: they
// took the same ways. They are divided once.
type counted struct {
	conversion // the first of them; value and margin are those of all
	ways       []way
	times      float64
	valued     int64        // how many had a value
	squares    float64      // of their values, in minor units of the currency
	noted      []conversion // those with money that was converted, or could not be
	aged       *aged        // nil unless what a touch gets depends on its age
}

// once is a conversion by itself.
func (s *sheet) once(v conversion, ways ...way) *counted {
	c := &counted{conversion: v, ways: ways}
	c.value, c.margin = 0, 0
	c.add(s, v)
	return c
}

func (c *counted) add(s *sheet, v conversion) {
	c.times++
	c.value += v.value
	c.margin += v.margin
	if v.value != 0 {
		c.valued++
		minor := float64(v.value) / s.unit
		c.squares += minor * minor
	}
	if v.foreign() || len(v.rated) > 0 {
		c.noted = append(c.noted, v)
	}
}

// share is a touch, or a row that is no source, and its part of the conversions.
type share struct {
	touch    touch
	literal  string
	weight   float64 // of one conversion, on average
	value    float64
	margin   float64
	position int // of the touch in its path, from 1; 0 for none
	place    int // in the order of the ways and their touches
}

// shares divides the conversions over their ways. The weights add up to 1. They
// are valid until the sheet is asked for the next.
func (s *sheet) shares(b *book, c *counted) []share {
	list, place := s.room.shares[:0], 0
	add := func(one share) {
		one.value, one.margin = float64(c.value)*one.weight, float64(c.margin)*one.weight
		if c.aged != nil {
			sum := c.aged.sums[place]
			one.weight, one.value, one.margin = sum.weight/c.times, sum.value, sum.margin
		}
		one.place = place
		place++
		if one.weight != 0 {
			list = append(list, one)
		}
	}
	for _, w := range c.ways {
		switch {
		case w.literal != "":
			add(share{literal: w.literal, weight: w.weight})
		case w.alone:
			add(share{touch: w.path[0], weight: w.weight})
		case c.aged != nil:
			for i := range w.path {
				add(share{touch: w.path[i], position: i + 1})
			}
		default:
			path := c.path(b, s.qu, w.path, s.room.steps)
			for i, credit := range s.qu.model.Credit(path) {
				add(share{touch: w.path[i], weight: w.weight * credit, position: i + 1})
			}
			s.room.steps = path.Steps
		}
	}
	s.room.shares = list
	return list
}

// room is what dividing uses again and again.
type room struct {
	shares          []share
	steps           []attribution.Step
	values, margins []float64
	parts           []part
}

// cellOf is where a share belongs.
func (c *counted) cellOf(b *book, literal string, t touch, at int64) cell {
	var to cell
	if literal != "" {
		to.literal(literal)
	} else {
		to = t.cell(b)
	}
	to.ofCall(b, c.call)
	to.at = at
	return to
}

// parts turns shares into what lines receive: money divided in micros so that
// it adds up. at says to which moment a share belongs. They are valid until the
// sheet is asked for the next.
func (s *sheet) parts(b *book, c *counted, list []share, at func(share) int64) []part {
	room := &s.room
	room.values, room.margins, room.parts = room.values[:0], room.margins[:0], room.parts[:0]
	for _, one := range list {
		room.values = append(room.values, one.value)
		room.margins = append(room.margins, one.margin)
	}
	revenues, contributions := roundTo(c.value, room.values), roundTo(c.margin, room.margins)
	for i, one := range list {
		p := part{
			at: at(one), weight: one.weight * c.times, revenue: revenues[i], contribution: contributions[i],
			position: one.position, place: one.place,
		}
		if s.byTouch && one.position > 0 {
			p.from = one.touch.arrival
		}
		if _, known := s.near[p.from]; !known {
			p.cell = c.cellOf(b, one.literal, one.touch, p.at)
		}
		room.parts = append(room.parts, p)
	}
	return room.parts
}

// aged adds up what each touch of a path gets, where that depends on its age:
// there the conversions over one path are not divided alike, but what they give
// goes to the same rows.
type aged struct {
	sums    []agedSum
	squares []float64 // by row, as [counted.squares], of what it gets of each conversion
	all     float64   // the same of what all rows get
	taken   []float64 // by row, while a conversion is divided
}

type agedSum struct {
	weight, value, margin float64
	row                   int // places of one row have one number
	out                   bool
}

// newAged finds out which of the places are in one row, and in one at all.
func (c *counted) newAged(b *book, s *sheet) *aged {
	a := &aged{}
	rows := map[string]int{}
	add := func(literal string, t touch) {
		to := c.cellOf(b, literal, t, c.at)
		key := s.qu.names(to)
		row, ok := rows[key]
		if !ok {
			row = len(rows)
			rows[key] = row
		}
		_, in := s.admits(to)
		a.sums = append(a.sums, agedSum{row: row, out: !in})
	}
	for _, w := range c.ways {
		if w.literal != "" {
			add(w.literal, touch{})
		}
		for _, t := range w.path {
			add("", t)
		}
	}
	a.squares, a.taken = make([]float64, len(rows)), make([]float64, len(rows))
	return a
}

// age divides one more of the conversions, over its own ways.
func (c *counted) age(k *counter, v conversion, ways []way) {
	a, place, all := c.aged, 0, 0.0
	clear(a.taken)
	give := func(weight float64) {
		sum := &a.sums[place]
		sum.weight += weight
		sum.value += weight * float64(v.value)
		sum.margin += weight * float64(v.margin)
		a.taken[sum.row] += weight
		if !sum.out {
			all += weight
		}
		place++
	}
	for _, w := range ways {
		if w.literal != "" || w.alone {
			give(w.weight)
			continue
		}
		for _, credit := range k.s.qu.model.Credit(k.agesOf(v, w.path)) {
			give(w.weight * credit)
		}
	}
	minor := float64(v.value) / k.s.unit
	for row, weight := range a.taken {
		a.squares[row] += weight * minor * (weight * minor)
	}
	a.all += all * minor * (all * minor)
}

// agesOf is what a model of ages sees of a path, until it is asked for the next.
func (k *counter) agesOf(v conversion, touches []touch) attribution.Path {
	k.steps = k.steps[:0]
	for i := range touches {
		k.steps = append(k.steps, attribution.Step{At: store.FromMicros(touches[i].at)})
	}
	return attribution.Path{ConvertedAt: store.FromMicros(v.at), Steps: k.steps}
}

// channel is what touches are told apart by, and what it is called in rows.
type channel struct {
	key    string // what models call it, whatever the case
	number uint32
	names  [touchNames]string
}

// channels numbers what touches are told apart by: how the dimensions that the
// question is about spell them, and whether they came from nowhere in particular.
type channels struct {
	b     *book
	qu    question
	near  map[*arrival]*channel // by where touches came from
	named map[string]*channel
}

func newChannels(b *book, qu question) *channels {
	return &channels{b: b, qu: qu, near: map[*arrival]*channel{}, named: map[string]*channel{}}
}

func (all *channels) of(t *touch) *channel {
	known, ok := all.near[t.arrival]
	if !ok {
		known = all.spelt(*t)
		all.near[t.arrival] = known
	}
	return known
}

func (all *channels) spelt(t touch) *channel {
	c := t.cell(all.b)
	key := make([]string, 1, 1+touchNames)
	if t.direct() {
		key[0] = "direct"
	}
	for i, d := range Dimensions[:touchNames] {
		if all.qu.about(d) {
			key = append(key, c.names[i])
		}
	}
	text := strings.Join(key, "\x00")
	known, ok := all.named[text]
	if !ok {
		known = &channel{key: all.qu.channel(all.b, t), number: uint32(len(all.named)), names: [touchNames]string(c.names[:touchNames])}
		all.named[text] = known
	}
	return known
}

// counter counts conversions by their ways: the pass that every report makes,
// whatever the model. What a model and a row may look at is in the key, nothing
// else: so the first of those with one key stands for all of them.
type counter struct {
	*channels
	s        *sheet
	inside   *Period // nil: rows' moments are those of conversions; else those of touches inside
	byCall   []int
	byTag    bool
	byMoment []Dimension
	known    map[string]*counted
	list     []*counted // in the order in which they were met
	key      []byte
	steps    []attribution.Step
}

func newCounter(b *book, s *sheet) *counter {
	k := &counter{channels: newChannels(b, s.qu), s: s, byTag: s.qu.about(Tag), known: map[string]*counted{}}
	for i, d := range Dimensions[touchNames:callNames] {
		if s.qu.about(d) {
			k.byCall = append(k.byCall, touchNames+i)
		}
	}
	for _, d := range s.qu.GroupBy {
		if d.ofTime() {
			k.byMoment = append(k.byMoment, d)
		}
	}
	return k
}

// each counts the conversions by their ways, which ways appends to what it is
// given, and calls done once for all that are alike.
func (k *counter) each(list []conversion, ways func(conversion, []way) []way, done func(*counted)) {
	var came []way
	for _, v := range list {
		switch came = ways(v, came[:0]); {
		case len(came) == 0:
		case k.s.qu.oneByOne:
			done(k.s.once(v, came...))
		default:
			c := k.count(v, came)
			if !k.s.qu.model.Ages {
				continue
			}
			if c.aged == nil {
				c.aged = c.newAged(k.b, k.s)
			}
			c.age(k, v, came)
		}
	}
	for _, c := range k.list {
		done(c)
	}
}

// count adds a conversion that came about in these ways to those like it.
func (k *counter) count(v conversion, came []way) *counted {
	k.key = k.key[:0]
	k.keyOfCall(v)
	for _, w := range came {
		k.keyOf(w, v.moments)
	}
	c, ok := k.known[string(k.key)]
	if ok {
		c.add(k.s, v)
		return c
	}
	c = k.s.once(v, slices.Clone(came)...)
	k.known[string(k.key)] = c
	k.list = append(k.list, c)
	return c
}

// keyOfCall adds what tells rows and their figures apart beside the touches.
func (k *counter) keyOfCall(v conversion) {
	var flags byte
	if v.noMargin {
		flags |= 1
	}
	if v.foreign() {
		flags |= 2
	}
	k.key = append(k.key, flags)
	if len(k.byCall) > 0 || k.byTag {
		var c cell
		c.ofCall(k.b, v.call)
		for _, i := range k.byCall {
			k.keyText(c.names[i])
		}
		for _, t := range c.tags {
			k.keyText(t)
		}
		k.keyText("")
	}
	if k.inside == nil {
		k.keyOfMoment(v.at)
	}
}

func (k *counter) keyText(text string) {
	k.key = append(append(k.key, text...), 0)
}

func (k *counter) keyNumber(n uint32) { k.key = binary.LittleEndian.AppendUint32(k.key, n) }

func (k *counter) keyOfMoment(at int64) {
	for _, d := range k.byMoment {
		_, order := moment(d, time.UnixMicro(at).In(k.s.qu.zone))
		k.keyText(order)
	}
}

// keyOf adds a way: its weight, its touches, and which of them had brought the
// milestones about.
func (k *counter) keyOf(w way, moments [3]int64) {
	k.key = binary.LittleEndian.AppendUint64(k.key, math.Float64bits(w.weight))
	k.keyText(w.literal)
	k.keyNumber(uint32(len(w.path)))
	for i := range w.path {
		t := &w.path[i]
		if w.alone {
			k.keyNumber(k.spelt(*t).number)
			k.key = append(k.key, 'a')
		} else {
			k.keyNumber(k.of(t).number)
		}
		if k.inside == nil {
			continue
		}
		if !k.inside.contains(t.at) {
			k.key = append(k.key, 'o')
			continue
		}
		k.key = append(k.key, 'i')
		k.keyOfMoment(t.at)
	}
	if !k.s.qu.model.Moments || w.alone {
		return
	}
	for _, at := range moments {
		reached, _ := slices.BinarySearchFunc(w.path, at, func(t touch, at int64) int {
			if t.at <= at {
				return -1
			}
			return 1
		})
		k.keyNumber(uint32(reached))
	}
}
