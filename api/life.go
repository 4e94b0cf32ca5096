package api

import (
	"context"
	"net/http"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/telephony"
)

type tailBody struct {
	State        string      `json:"state"`
	Calls7Days   int64       `json:"calls_7_days"`
	Calls28Days  int64       `json:"calls_28_days"`
	CallsByWeek  []int64     `json:"calls_by_week" doc:"Of the last twelve weeks, the present one last"`
	Callers      int64       `json:"callers_28_days" doc:"Different callers who are known by their number"`
	LentUntil    *stamp      `json:"lent_until" doc:"End of its last lease; null when it was never lent, or is lent now"`
	CallsSince   *int64      `json:"calls_since_lent" doc:"Calls since then"`
	LastCallAt   *stamp      `json:"last_call_at"`
	LastCaller   *wireNumber `json:"last_caller" doc:"null when withheld"`
	Releasable   bool        `json:"releasable" doc:"Whether it may be given back: nobody has called for quiet_days"`
	ReleasableAt *stamp      `json:"releasable_at" doc:"When it may be given back, if nobody calls again; null: now"`
	QuietDays    int         `json:"quiet_days"`
}

// tailDoor shows who still calls a number.
func (s *Server) tailDoor() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/numbers/{id}/tail", ID: "get-number-tail", Tag: "numbers",
		Summary: "Who still calls a number, and whether it may be given back", Need: account.ReadNumbers,
		Doc: "Calls refused by a rule do not count.",
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*struct{ Body tailBody }, error) {
		n, err := s.numbers.Get(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		lent, err := s.ledger.LastLent(ctx, who.AccountID, n.Number, s.now())
		if err != nil {
			return nil, err
		}
		var since time.Time
		if lent != nil {
			since = *lent
		}
		t, err := s.numbers.Tail(ctx, who.AccountID, in.ID, since)
		if err != nil {
			return nil, err
		}
		return &struct{ Body tailBody }{tailOut(who, n, t, lent)}, nil
	})
}

func tailOut(who account.Identity, n telephony.TrackingNumber, t telephony.Tail, lent *time.Time) tailBody {
	b := tailBody{
		State: string(n.State), Calls7Days: t.Week, Calls28Days: t.Month, CallsByWeek: t.Weeks, Callers: t.Callers,
		LastCallAt: atPtr(t.LastCallAt), LastCaller: callerNumber(who, t.LastCaller), Releasable: t.Quiet(),
		QuietDays: int(t.QuietFor / (24 * time.Hour)), LentUntil: atPtr(lent),
	}
	if lent != nil {
		b.CallsSince = &t.Since
	}
	if !b.Releasable {
		b.ReleasableAt = atPtr(&t.ReleasableAt)
	}
	return b
}

type shrinkPost struct {
	ByID
	Body struct {
		By     int  `json:"by" minimum:"1" maximum:"1000" doc:"How many numbers the pool shall lend less"`
		DryRun bool `json:"dry_run,omitempty" doc:"Only say which they would be"`
	}
}

type spareBody struct {
	NumberID   string      `json:"number_id"`
	Number     *wireNumber `json:"number"`
	Calls      int64       `json:"calls_90_days"`
	LastCallAt *stamp      `json:"last_call_at"`
	LentUntil  *stamp      `json:"lent_until" doc:"End of its present or last lease; null: never lent"`
	State      string      `json:"state" enum:"active,draining"`
}

type shrunk struct {
	Body struct {
		Items []spareBody `json:"items" doc:"Those that would be missed least first"`
	}
}

// shrinkDoor takes the numbers out of a pool that would be missed least.
func (s *Server) shrinkDoor() {
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/pools/{id}/shrink", ID: "shrink-pool", Tag: "pools", Status: http.StatusOK,
		Summary: "Make a pool smaller", Need: account.ManageNumbers,
		Doc: "The numbers with the fewest calls drain: they are lent no more, still ring, rest, and are given back once nobody calls them.",
	}, func(ctx context.Context, who account.Identity, in *shrinkPost) (*shrunk, error) {
		spare, err := s.ledger.Spare(ctx, who.AccountID, in.ID, in.Body.By+1, s.now())
		if err != nil {
			return nil, err
		}
		if len(spare) <= in.Body.By {
			return nil, callwheel.InvalidField("by", "must leave a number: the pool lends %d; retire it to stop lending", len(spare))
		}
		spare = spare[:in.Body.By]
		state := telephony.NumberActive
		if !in.Body.DryRun {
			state = telephony.NumberDraining
			if _, err := s.numbers.Drain(ctx, who.AccountID, who.Actor, each(spare, func(n attribution.SpareNumber) string { return n.NumberID })); err != nil {
				return nil, err
			}
			s.settle(ctx, who, in.ID)
		}
		out := &shrunk{}
		out.Body.Items = each(spare, func(n attribution.SpareNumber) spareBody {
			b := spareBody{NumberID: n.NumberID, Number: number(n.Number), Calls: n.Calls, LastCallAt: atPtr(n.LastCallAt), State: string(state)}
			if !n.LentUntil.IsZero() {
				b.LentUntil = atPtr(&n.LentUntil)
			}
			return b
		})
		return out, nil
	})
}
