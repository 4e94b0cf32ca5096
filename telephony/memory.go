package telephony

import (
	"container/list"
	"sync"
)

// memory keeps the values used last, up to a bound. It is safe for concurrent
// use.
type memory[V any] struct {
	mu    sync.Mutex
	limit int
	order *list.List // most recently used first
	items map[string]*list.Element
}

type remembered[V any] struct {
	key   string
	value V
}

func newMemory[V any](limit int) *memory[V] {
	return &memory[V]{limit: limit, order: list.New(), items: map[string]*list.Element{}}
}

// Get returns the value and makes it the most recently used.
func (m *memory[V]) Get(key string) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	el, ok := m.items[key]
	if !ok {
		var none V
		return none, false
	}
	m.order.MoveToFront(el)
	return el.Value.(*remembered[V]).value, true
}

// Put keeps the value and forgets the least recently used beyond the bound.
func (m *memory[V]) Put(key string, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if el, ok := m.items[key]; ok {
		el.Value.(*remembered[V]).value = value
		m.order.MoveToFront(el)
		return
	}
	m.items[key] = m.order.PushFront(&remembered[V]{key, value})
	for len(m.items) > m.limit {
		last := m.order.Back()
		m.order.Remove(last)
		delete(m.items, last.Value.(*remembered[V]).key)
	}
}
