package telephony

import "sync"

// hub tells live views which calls have changed. It never makes a call wait:
// a watcher that reads slowly finds each changed call once, however often it
// changed meanwhile.
type hub struct {
	mu       sync.Mutex
	watchers map[string]map[*watcher]bool // by account
}

type watcher struct {
	mu      sync.Mutex
	pending []string
	queued  map[string]bool
	wake    chan struct{}
	quit    chan struct{}
	out     chan string
}

func newHub() *hub { return &hub{watchers: map[string]map[*watcher]bool{}} }

// Watch returns a channel of the ids of calls of the account that changed on
// this replica, and a function that ends the watch and closes the channel. An
// id says "look again"; it is sent after the change is on disk.
func (s *Switchboard) Watch(accountID string) (<-chan string, func()) {
	return s.hub.watch(accountID)
}

func (h *hub) watch(accountID string) (<-chan string, func()) {
	w := &watcher{
		queued: map[string]bool{},
		wake:   make(chan struct{}, 1),
		quit:   make(chan struct{}),
		out:    make(chan string),
	}
	h.mu.Lock()
	if h.watchers[accountID] == nil {
		h.watchers[accountID] = map[*watcher]bool{}
	}
	h.watchers[accountID][w] = true
	h.mu.Unlock()
	go w.run()
	var once sync.Once
	return w.out, func() {
		once.Do(func() {
			h.mu.Lock()
			delete(h.watchers[accountID], w)
			if len(h.watchers[accountID]) == 0 {
				delete(h.watchers, accountID)
			}
			h.mu.Unlock()
			close(w.quit)
		})
	}
}

// tell notes that the call has changed.
func (h *hub) tell(accountID, callID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[accountID] {
		w.add(callID)
	}
}

func (w *watcher) add(callID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queued[callID] {
		return
	}
	w.queued[callID] = true
	w.pending = append(w.pending, callID)
	select {
	case w.wake <- struct{}{}:
	default: // awake already
	}
}

func (w *watcher) take() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) == 0 {
		return "", false
	}
	id := w.pending[0]
	w.pending = w.pending[1:]
	delete(w.queued, id)
	return id, true
}

func (w *watcher) run() {
	defer close(w.out)
	for {
		id, ok := w.take()
		if !ok {
			select {
			case <-w.wake:
				continue
			case <-w.quit:
				return
			}
		}
		select {
		case w.out <- id:
		case <-w.quit:
			return
		}
	}
}
