package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/callwheel/callwheel"
)

// reportTimeout bounds the work of a report, waiting for its turn included.
const reportTimeout = 3 * time.Minute

// turns is how many reports are worked out at a time on this replica. A report
// keeps a processor and a connection of the database busy for as long as it takes:
// as many as there are processors leave connections over for everything else.
func turns() int { return max(2, runtime.NumCPU()) }

// errLate is why the context of a request ended: its time was over.
var errLate = errors.New("out of time")

// limit is how long the work of an operation may take.
func (s *Server) limit(o *operation) time.Duration {
	if o.Report {
		return s.reportLimit
	}
	return requestTimeout
}

// inTurn lets a report begin when fewer than so many are being worked out.
func inTurn[In, Out any](s *Server, ask func(ctx context.Context, in *In) (*Out, error)) func(ctx context.Context, in *In) (*Out, error) {
	return func(ctx context.Context, in *In) (*Out, error) {
		select {
		case s.reporting <- struct{}{}:
			defer func() { <-s.reporting }()
			return ask(ctx, in)
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for other reports: %w", ctx.Err())
		}
	}
}

// waitFor keeps the connection open for an answer that takes long.
func waitFor(w http.ResponseWriter, limit time.Duration) error {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + exportPatience))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("keep the connection open: %w", err)
	}
	return nil
}

// late returns what to tell when an operation failed because its time was over,
// err itself when it failed for another reason.
func (s *Server) late(ctx context.Context, o *operation, err error) error {
	kind := callwheel.KindOf(err)
	if !errors.Is(context.Cause(ctx), errLate) || kind != callwheel.Internal && kind != callwheel.Unavailable {
		return err
	}
	detail := fmt.Sprintf("this took longer than %v and was given up", s.limit(o))
	if o.Report {
		detail = fmt.Sprintf("the report took longer than %v and was given up; ask for a shorter range from–until, or use the command callwheel report, which takes as long as it needs", s.limit(o))
	}
	return newProblem(http.StatusGatewayTimeout, "", detail)
}
