package telephony

import (
	"context"
	"errors"
	"time"
)

var (
	errBusyAttributor = errors.New("too many questions under way")
	errAttributor     = errors.New("the attributor panicked")
	errShell          = errors.New("its beginning is not known yet")
)

// attribute asks once, right after a call was first kept, which source earned
// it. Failure is counted: the later room finds the call by itself.
func (s *Switchboard) attribute(ctx context.Context, c Call) {
	s.ask(ctx, "call", s.cfg.AttributeBudget, c.ID, func(context.Context) (Call, error) { return c, nil })
}

// source names the source for the agent's ear, in the little time there is
// before the bridge; what is generic about the number when nobody can tell.
func (s *Switchboard) source(ctx context.Context, line Line, e Event) string {
	if line.AccountID == "" {
		return line.Generic
	}
	name := s.ask(ctx, "whisper", s.cfg.WhisperBudget, CallID(e.Provider, e.CallRef), func(ctx context.Context) (Call, error) {
		return s.callOf(ctx, line.AccountID, e)
	})
	if name == "" || !speakable(name) {
		return line.Generic
	}
	return name
}

// callOf returns the call as it was last kept: from memory, else, when another
// replica took it, from the database. A call that is not known to have begun is
// not asked about: its answer would be about the wrong moment.
func (s *Switchboard) callOf(ctx context.Context, accountID string, e Event) (Call, error) {
	if live, ok := s.calls.Get(liveKey(accountID, e)); ok && live.call.ID != "" && !live.call.Shell {
		return live.call, nil
	}
	c, err := readCall(ctx, s.db, accountID, CallID(e.Provider, e.CallRef))
	if err == nil && c.Shell {
		err = errShell
	}
	return c, err
}

// ask puts the question about the call that find finds, and waits no longer
// than the budget, whether or not database and attributor look at the clock. ""
// when there is no answer.
func (s *Switchboard) ask(ctx context.Context, moment string, budget time.Duration, callID string, find func(context.Context) (Call, error)) string {
	attributor := s.attributor.Load()
	if attributor == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget)
	defer cancel()
	name, err := s.askWithin(ctx, *attributor, find)
	if err != nil {
		s.metrics.attributions.WithLabelValues(moment, "failed").Inc()
		s.deps.Log.WarnContext(ctx, "call not attributed yet", "call_id", callID, "moment", moment, "error", err)
		return ""
	}
	s.metrics.attributions.WithLabelValues(moment, "answered").Inc()
	return name
}

type reply struct {
	source string
	err    error
}

func (s *Switchboard) askWithin(ctx context.Context, a Attributor, find func(context.Context) (Call, error)) (string, error) {
	select {
	case s.asking <- struct{}{}:
	default:
		return "", errBusyAttributor
	}
	replies := make(chan reply, 1)
	go func() {
		defer func() { <-s.asking }()
		defer func() {
			if cause := recover(); cause != nil {
				s.panicked(ctx, "attributor", cause)
				replies <- reply{err: errAttributor}
			}
		}()
		c, err := find(ctx)
		if err != nil {
			replies <- reply{err: err}
			return
		}
		source, err := a.Attribute(ctx, c)
		replies <- reply{source, err}
	}()
	select {
	case r := <-replies:
		return r.source, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
