package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/telephony"
)

// What happened to a call, in the order in which it happens.
const (
	liveRing = iota + 1
	liveAnswered
	liveEnd
)

var liveNames = map[int]string{liveRing: "ring", liveAnswered: "answered", liveEnd: "end"}

const (
	liveLife    = 15 * time.Minute // how long one stream goes on; the reader comes back by itself
	livePoll    = time.Second      // how often the database is asked what other replicas did, and whether the reader may still read
	liveWrite   = 10 * time.Second // how long a reader may take to take what is written
	liveMost    = 20               // streams of one token or person, on this replica
	liveOverlap = 5 * time.Second  // how much of the last moments is asked again: writers finish out of order
	liveBeat    = 15 * time.Second // how often a silent stream shows that it lives
	liveBack    = 5 * time.Minute  // how far back a stream that was interrupted goes
	liveBatch   = 500
)

type liveIn struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"30" doc:"The id of the last event seen: the stream goes on from there, at most five minutes back"`
}

// liveDoors stream what happens while it happens.
func (s *Server) liveDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/live", ID: "live", Tag: "calls", Stream: true,
		Summary: "Server-sent events: calls as they ring, are answered, end", Need: account.ReadCalls,
		Doc: "Events are named ring, answered and end; their data is the call as GET /v1/calls/{id} shows it. " +
			"A stream ends after a quarter of an hour, and when the credential is no longer what it was; come back with the Last-Event-ID. " +
			"One token or person may have 20 streams; 429 beyond.",
	}, func(_ context.Context, who account.Identity, in *liveIn) (*huma.StreamResponse, error) {
		since := s.now()
		if us, err := strconv.ParseInt(in.LastEventID, 10, 64); err == nil {
			if seen := time.UnixMicro(us); seen.Before(since) && since.Sub(seen) < liveBack {
				since = seen
			}
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			c := humaecho.UnwrapV4(hc)
			w := c.Response()
			leave, ok := s.streams.enter(who.Actor)
			if !ok {
				s.writeProblem(c, tooManyStreams())
				return
			}
			defer leave()
			liftDeadline(w)
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect events
			w.WriteHeader(http.StatusOK)
			if isHead(c.Request().Context()) {
				return
			}
			v := &liveView{server: s, who: who, request: c.Request(), out: w.Writer, from: since, since: since, shown: map[string]int{}}
			v.run(c.Request().Context())
		}}, nil
	})
}

func tooManyStreams() error {
	p := newProblem(http.StatusTooManyRequests, "", "too many live streams; end one first")
	p.set("Retry-After", "60")
	return p
}

// EndStreams ends the live streams, so that a server that stops need not wait
// for browsers that would watch for ever.
func (s *Server) EndStreams() { s.streams.end() }

// streams counts the live streams and tells them all when it is time to end. The
// zero value is ready.
type streams struct {
	mu    sync.Mutex
	quit  chan struct{}
	ended bool
	open  map[string]int // by actor
}

// enter takes a place for one more stream of an actor, or returns false when
// they have enough.
func (q *streams) enter(actor string) (leave func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[actor] >= liveMost {
		return nil, false
	}
	if q.open == nil {
		q.open = map[string]int{}
	}
	q.open[actor]++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.open[actor]--; q.open[actor] == 0 {
			delete(q.open, actor)
		}
	}, true
}

func (q *streams) done() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.quit == nil {
		q.quit = make(chan struct{})
	}
	return q.quit
}

func (q *streams) end() {
	quit := q.done()
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.ended = true
		close(q.quit)
	}
	<-quit
}

// liveView is one reader's stream.
type liveView struct {
	server  *Server
	who     account.Identity
	request *http.Request // carries the credential
	out     http.ResponseWriter
	from    time.Time // when the stream began: what ended before is no news
	since   time.Time // up to when the database was asked
	shown   map[string]int
}

// errNoLonger ends a stream whose reader may not read any more.
var errNoLonger = errors.New("the credential is no longer what it was")

// run writes events until the reader is gone or may not read any more. Changes of this replica wake it
// at once; a poll finds those of the others.
func (v *liveView) run(ctx context.Context) {
	changed, stop := v.server.switchboard.Watch(v.who.AccountID)
	defer stop()
	poll := time.NewTicker(livePoll)
	defer poll.Stop()
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	end := time.NewTimer(liveLife)
	defer end.Stop()
	err := v.comment("live")
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-v.server.streams.done():
			return
		case <-end.C:
			return
		case id, ok := <-changed:
			if !ok {
				return
			}
			err = v.look(ctx, id)
		case <-poll.C:
			if err = v.identifyAgain(ctx); err == nil {
				err = v.catchUp(ctx)
			}
		case <-beat.C:
			err = v.comment("")
		}
	}
}

// identifyAgain fails when the credential that opened the stream is gone, or
// stands for somebody else or another role by now. That we cannot know at the
// moment, because the database is away, is a pause: nothing is shown then.
func (v *liveView) identifyAgain(ctx context.Context) error {
	who, err := v.server.identify(v.request)
	switch {
	case err != nil && problemOf(ctx, err).Status >= http.StatusInternalServerError:
		return v.pass(ctx, err)
	case err != nil || who != v.who:
		return errNoLonger
	}
	return nil
}

// look shows one call when something new happened to it.
func (v *liveView) look(ctx context.Context, callID string) error {
	c, err := v.server.calls.Get(ctx, v.who.AccountID, callID)
	if err != nil {
		return v.pass(ctx, err)
	}
	return v.show(ctx, c.Call, c.UpdatedAt)
}

// catchUp shows what the database says has changed since the last time.
func (v *liveView) catchUp(ctx context.Context) error {
	list, err := v.server.calls.Changed(ctx, v.who.AccountID, v.since.Add(-liveOverlap), liveBatch)
	if err != nil {
		return v.pass(ctx, err)
	}
	for _, c := range list {
		if err := v.show(ctx, c.Call, c.UpdatedAt); err != nil {
			return err
		}
		if c.UpdatedAt.After(v.since) {
			v.since = c.UpdatedAt
		}
	}
	if len(list) == liveBatch {
		v.since = list[liveBatch-1].UpdatedAt.Add(liveOverlap) // a crowd within the overlap: go on behind it
	}
	return nil
}

// pass makes a failure of ours a pause of the stream and not its end: the next
// poll finds what was missed.
func (v *liveView) pass(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if callwheel.KindOf(err) != callwheel.NotFound {
		v.server.log.WarnContext(ctx, "live view could not look", "error", err)
	}
	return nil
}

// show writes the event that leads to the state of a call, once.
func (v *liveView) show(ctx context.Context, c telephony.Call, updated time.Time) error {
	state := liveState(c)
	if v.shown[c.ID] >= state {
		return nil
	}
	if state == liveEnd && v.shown[c.ID] == 0 && (c.EndedAt == nil || c.EndedAt.Before(v.from.Add(-liveOverlap))) {
		return nil // an old call of which something was learned late
	}
	r, err := v.server.callList.Get(ctx, v.who.AccountID, c.ID)
	if err != nil {
		return v.pass(ctx, err)
	}
	data, err := marshal(callOut(v.who, r))
	if err != nil {
		return err
	}
	v.remember(c.ID, state)
	return v.write(fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", updated.UnixMicro(), liveNames[state], data))
}

// write sends a piece at once. A reader that does not take it in time is as
// good as gone; the deadline counts for this piece alone.
func (v *liveView) write(piece []byte) error {
	conn := http.NewResponseController(v.out)
	if err := supported(conn.SetWriteDeadline(time.Now().Add(liveWrite))); err != nil {
		return err
	}
	if _, err := v.out.Write(piece); err != nil {
		return err
	}
	if err := supported(conn.Flush()); err != nil {
		return err
	}
	return supported(conn.SetWriteDeadline(time.Time{}))
}

// supported takes what a connection cannot do for done: in tests there is none.
func supported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// remember keeps what was shown, and forgets ended calls when they become many.
func (v *liveView) remember(callID string, state int) {
	if len(v.shown) > 10_000 {
		for id, s := range v.shown {
			if s == liveEnd {
				delete(v.shown, id)
			}
		}
		v.from = v.since
	}
	v.shown[callID] = state
}

func (v *liveView) comment(text string) error {
	return v.write(fmt.Appendf(nil, ": %s\n\n", text))
}

func liveState(c telephony.Call) int {
	switch {
	case c.EndedAt != nil || c.Status.Final():
		return liveEnd
	case c.AnsweredAt != nil || c.Outcome == telephony.Answered:
		return liveAnswered
	}
	return liveRing
}
