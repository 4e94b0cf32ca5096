package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
)

type poolBody struct {
	ID               string      `json:"id"`
	Name             string      `json:"name"`
	Destination      *wireNumber `json:"destination" doc:"Who is rung by its numbers; null leaves it to the account"`
	LeaseTailSeconds int64       `json:"lease_tail_seconds" doc:"How long a number stays a session's after its page was last seen open"`
	CooldownSeconds  int64       `json:"cooldown_seconds" doc:"How long a number then rests before it is lent again"`
	OverflowNumberID *string     `json:"overflow_number_id" doc:"The tracking number that is shown while none is free"`
	SourceNumbers    string      `json:"source_numbers" enum:"first,when_short" doc:"When a source's own number is shown on the pool's sites: first, always; when_short, only to visitors who get none of the pool's"`
	CreatedAt        stamp       `json:"created_at"`
}

func poolOut(p attribution.Pool) poolBody {
	return poolBody{
		ID: p.ID, Name: p.Name, Destination: number(p.Destination), LeaseTailSeconds: p.LeaseTailSeconds, CooldownSeconds: p.CooldownSeconds,
		OverflowNumberID: orNil(p.OverflowNumberID), SourceNumbers: p.SourceNumbers, CreatedAt: at(p.CreatedAt),
	}
}

type poolPost struct {
	Body struct {
		Name             string           `json:"name" doc:"Unique in the account, whatever its case" example:"Website"`
		Destination      optional[string] `json:"destination,omitempty" doc:"E.164" example:"+13125550100"`
		LeaseTailSeconds *int64           `json:"lease_tail_seconds,omitempty" doc:"Without it: 1800"`
		CooldownSeconds  *int64           `json:"cooldown_seconds,omitempty" doc:"Without it: 600"`
		OverflowNumberID optional[string] `json:"overflow_number_id,omitempty"`
		SourceNumbers    string           `json:"source_numbers,omitempty" enum:"first,when_short" doc:"Without it: first"`
	}
}

type poolPatch struct {
	ChangeByID
	Body struct {
		Name             *string          `json:"name,omitempty"`
		Destination      optional[string] `json:"destination,omitempty"`
		LeaseTailSeconds *int64           `json:"lease_tail_seconds,omitempty"`
		CooldownSeconds  *int64           `json:"cooldown_seconds,omitempty"`
		OverflowNumberID optional[string] `json:"overflow_number_id,omitempty"`
		SourceNumbers    *string          `json:"source_numbers,omitempty" enum:"first,when_short"`
	}
}

// poolDoors are the sets of numbers that are lent to website sessions.
func (s *Server) poolDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/pools", ID: "list-pools", Tag: "pools",
		Summary: "The number pools, oldest first", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[poolBody], error) {
		next, err := s.after(who, "pools", in.Paging)
		if err != nil {
			return nil, err
		}
		list, err := s.ledger.Pools(ctx, who.AccountID, next.After, next.Limit)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "pools", list, in.Paging, poolOut, func(p attribution.Pool) any { return p.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/pools", ID: "create-pool", Tag: "pools",
		Summary: "Add a number pool; numbers are put into it through /v1/numbers", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *poolPost) (*created[poolBody], error) {
		p, err := s.ledger.CreatePool(ctx, who, attribution.PoolDraft{
			Name: in.Body.Name, Destination: given(in.Body.Destination), LeaseTailSeconds: in.Body.LeaseTailSeconds,
			CooldownSeconds: in.Body.CooldownSeconds, OverflowNumberID: given(in.Body.OverflowNumberID),
			SourceNumbers: in.Body.SourceNumbers,
		})
		if err != nil {
			return nil, err
		}
		return &created[poolBody]{Location: "/v1/pools/" + p.ID, ETag: etag(p.Version), Body: poolOut(p)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/pools/{id}", ID: "get-pool", Tag: "pools",
		Summary: "One number pool", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[poolBody], error) {
		p, err := s.ledger.Pool(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[poolBody]{ETag: etag(p.Version), Body: poolOut(p)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/pools/{id}", ID: "update-pool", Tag: "pools",
		Summary: "Change a number pool; its numbers ring a new destination from the next call on", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *poolPatch) (*found[poolBody], error) {
		p, err := s.ledger.UpdatePool(ctx, who, in.ID, in.Version(), attribution.PoolPatch{
			Name: in.Body.Name, Destination: present(in.Body.Destination), LeaseTailSeconds: in.Body.LeaseTailSeconds,
			CooldownSeconds: in.Body.CooldownSeconds, OverflowNumberID: present(in.Body.OverflowNumberID),
			SourceNumbers: in.Body.SourceNumbers,
		})
		if err != nil {
			return nil, err
		}
		s.refreshRoutes(ctx)
		return &found[poolBody]{ETag: etag(p.Version), Body: poolOut(p)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/pools/{id}", ID: "retire-pool", Tag: "pools",
		Summary: "Stop lending a pool's numbers; refused while a site uses it", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.ledger.RetirePool(ctx, who, in.ID, in.Version())
	})
	s.planDoor()
	s.shrinkDoor()
}
