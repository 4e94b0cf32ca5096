package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
)

// delaysFields are how long callers wait, and how likely people are to call.
type delaysFields struct {
	Parts      []attribution.DelayPart `json:"parts" doc:"How long callers wait after they left the page: a share of them, weight, waits exponentially long with this mean"`
	Propensity float64                 `json:"propensity" doc:"Share of visitors who call after they left" example:"0.05"`
	OnScreen   float64                 `json:"on_screen" doc:"Calls per hour of a visitor who has the number before them" example:"6"`
	Background float64                 `json:"background" doc:"Calls per hour and number of people who saw no page" example:"0.002"`
}

type delayModelBody struct {
	Version int64  `json:"version" doc:"0: the defaults. An attribution names the version that it was made with"`
	Origin  string `json:"origin" enum:"default,declared,fitted"`
	From    *stamp `json:"from" doc:"Counts for calls that began from then on, until the next version; null for the defaults"`
	Calls   int64  `json:"calls" doc:"That it was fitted to"`
	delaysFields
}

func delayModelOut(m attribution.DelayModel) delayModelBody {
	b := delayModelBody{
		Version: m.Version, Origin: "fitted", Calls: m.Calls,
		delaysFields: delaysFields{Parts: m.Parts, Propensity: m.Propensity, OnScreen: m.OnScreen, Background: m.Background},
	}
	switch {
	case m.Version == 0:
		b.Origin = "default"
		return b
	case m.Declared():
		b.Origin = "declared"
	}
	from := at(m.FittedAt)
	b.From = &from
	return b
}

// delayModelDoors are what an account's attributions assume of its callers.
func (s *Server) delayModelDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/delay-models", ID: "list-delay-models", Tag: "attribution",
		Summary: "What attribution assumes of the account's callers, every version, the newest first", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[delayModelBody], error) {
		list, err := s.ledger.DelayModels(ctx, who.AccountID)
		if err != nil {
			return nil, err
		}
		return pageOf(s, who, "delay-models", list, in.Paging, delayModelOut, func(m attribution.DelayModel) string { return strconv.FormatInt(m.Version, 10) })
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/delay-models", ID: "declare-delay-model", Tag: "attribution",
		Summary: "Say what was measured of the account's callers, for calls from now on", Need: account.ManageNumbers,
		Doc: "It becomes the next version. What was attributed before is not judged again; a later fit to the account's own calls takes its place.",
	}, func(ctx context.Context, who account.Identity, in *struct{ Body delaysFields }) (*created[delayModelBody], error) {
		m, err := s.ledger.DeclareDelays(ctx, who, attribution.Delays(in.Body))
		if err != nil {
			return nil, err
		}
		return &created[delayModelBody]{Location: "/v1/delay-models", Body: delayModelOut(m)}, nil
	})
}
