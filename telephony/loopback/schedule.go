package loopback

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// event is something that happens at an instant. Events of one instant happen
// in the order in which they were scheduled.
type event struct {
	at    time.Time
	order uint64
	run   func()
	off   bool
}

// stop keeps an event from happening; nil and past events are fine.
func (e *event) stop() {
	if e != nil {
		e.off = true
	}
}

// agenda holds what is still to happen.
type agenda struct {
	mu     sync.Mutex
	events eventHeap
	order  uint64
	wake   chan struct{} // told when something was added
}

func newAgenda() *agenda { return &agenda{wake: make(chan struct{}, 1)} }

func (a *agenda) add(at time.Time, run func()) *event {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order++
	e := &event{at: at, order: a.order, run: run}
	heap.Push(&a.events, e)
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return e
}

// next returns the earliest event's instant without taking it.
func (a *agenda) next() (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetStopped()
	if len(a.events) == 0 {
		return time.Time{}, false
	}
	return a.events[0].at, true
}

// take removes the earliest event.
func (a *agenda) take() *event {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetStopped()
	if len(a.events) == 0 {
		return nil
	}
	return heap.Pop(&a.events).(*event)
}

// forgetStopped drops events at the front that will not happen: nobody waits
// for them, and the clock does not move for them.
func (a *agenda) forgetStopped() {
	for len(a.events) > 0 && a.events[0].off {
		heap.Pop(&a.events)
	}
}

type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].order < h[j].order
	}
	return h[i].at.Before(h[j].at)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

// Schedule lets fn happen at an instant, or at once when that has passed. It
// may be called from any goroutine; fn runs on the goroutine that runs the
// network, one at a time, and may schedule more.
func (n *Network) Schedule(at time.Time, fn func()) {
	n.agenda.add(at, fn)
}

// after lets fn happen when the span has passed, shortened by Config.Scale.
func (n *Network) after(span time.Duration, fn func()) *event {
	return n.agenda.add(n.clock.Now().Add(n.scaled(span)), fn)
}

func (n *Network) scaled(span time.Duration) time.Duration {
	if n.config.Scale <= 1 {
		return span
	}
	return time.Duration(float64(span) / n.config.Scale)
}

// Run plays everything that happens until the given instant and leaves the
// clock there. On a live clock it waits for instants as they come. It returns
// early only when the context ends, with its error. One goroutine runs a
// network at a time.
func (n *Network) Run(ctx context.Context, until time.Time) error {
	return n.play(ctx, &until)
}

// Finish plays until nothing is left to happen and every request has its
// answer. A function that keeps scheduling itself keeps Finish from ending.
func (n *Network) Finish(ctx context.Context) error {
	return n.play(ctx, nil)
}

// Step plays the single next event, on a moved clock at once, and says whether
// there was one.
func (n *Network) Step() bool {
	e := n.agenda.take()
	if e == nil {
		return false
	}
	n.clock.Advance(e.at)
	e.run()
	return true
}

func (n *Network) play(ctx context.Context, until *time.Time) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, some := n.agenda.next()
		beyond := until != nil && (!some || at.After(*until))
		switch {
		case some && !beyond && (!n.clock.Live() || !at.After(n.clock.Now())):
			n.Step()
		case n.clock.Live():
			if beyond && !n.clock.Now().Before(*until) {
				return nil
			}
			if until == nil && !some && n.inFlight.Load() == 0 {
				return nil
			}
			n.wait(ctx, at, some, until)
		case beyond:
			n.clock.Advance(*until)
			return nil
		default:
			return nil
		}
	}
}

// wait sleeps on a live clock until the next instant, the end of the run, or
// until something is added to the agenda.
func (n *Network) wait(ctx context.Context, at time.Time, some bool, until *time.Time) {
	if until != nil && (!some || at.After(*until)) {
		at, some = *until, true
	}
	var alarm <-chan time.Time
	if some {
		timer := time.NewTimer(at.Sub(n.clock.Now()))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-ctx.Done():
	case <-alarm:
	case <-n.agenda.wake:
	}
}
