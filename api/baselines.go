package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
)

type baselineBody struct {
	ID         string            `json:"id"`
	Version    int64             `json:"version" doc:"Counts up; the highest is the present one"`
	From       stamp             `json:"from"`
	Until      stamp             `json:"until"`
	TZ         string            `json:"tz" doc:"IANA zone by whose days it was counted"`
	Yardsticks report.Yardsticks `json:"yardsticks"`
	Counts     report.Counts     `json:"counts" doc:"As they were when it was frozen"`
	Automatic  bool              `json:"automatic" doc:"Frozen by the first report rather than by a person"`
	CreatedBy  string            `json:"created_by"`
	CreatedAt  stamp             `json:"created_at"`
}

func baselineOut(b report.Baseline) baselineBody {
	return baselineBody{
		ID: b.ID, Version: b.Version, From: at(b.From), Until: at(b.Until), TZ: b.TZ, Yardsticks: b.Yardsticks, Counts: b.Counts,
		Automatic: b.Automatic, CreatedBy: b.CreatedBy, CreatedAt: at(b.CreatedAt),
	}
}

// yardstickPatch are the yardsticks that a new baseline moves.
type yardstickPatch struct {
	PromptTargetSeconds *int64  `json:"prompt_target_seconds,omitempty" minimum:"0" maximum:"3600" doc:"Waiting that costs no goodwill"`
	PromptHalfSeconds   *int64  `json:"prompt_half_seconds,omitempty" minimum:"1" maximum:"86400" doc:"Waiting beyond the target that halves goodwill. What is set stays set in later baselines"`
	PromptHalfFrom      *string `json:"prompt_half_from,omitempty" enum:"own" doc:"own: the patience of the account's own callers decides again, after it was set"`
	AttemptGapSeconds   *int64  `json:"attempt_gap_seconds,omitempty" minimum:"0" maximum:"43200" doc:"Calls of one number at most so far apart are one attempt"`
	CallbackHours       *int64  `json:"callback_hours,omitempty" minimum:"0" maximum:"24" doc:"Time to call back somebody who was not reached"`
	HangupSeconds       *int64  `json:"hangup_seconds,omitempty" minimum:"0" maximum:"60" doc:"Abandoned calls shorter than this are no attempt"`
	MaturityDays        *int64  `json:"maturity_days,omitempty" minimum:"1" maximum:"365" doc:"Age at which a lead is judged, and time it has to buy"`
	ReturnDays          *int64  `json:"return_days,omitempty" minimum:"7" maximum:"365" doc:"Window in which repeat purchases and referred leads count"`
	HalfLifeDays        *int64  `json:"half_life_days,omitempty" minimum:"1" maximum:"90" doc:"Age at which a fact counts half in the smoothed index"`
	WonStage            *string `json:"won_stage,omitempty" enum:"won,qualified" doc:"What counts as won"`
}

// onto returns the yardsticks with what was given moved.
func (p yardstickPatch) onto(y report.Yardsticks) (report.Yardsticks, error) {
	switch {
	case p.PromptHalfSeconds != nil && p.PromptHalfFrom != nil:
		return y, callwheel.InvalidField("yardsticks.prompt_half_from", "must be left out when prompt_half_seconds is given")
	case p.PromptHalfSeconds != nil:
		y.PromptHalfFrom, y.PromptHalfAbandoned = report.HalfSet, 0
	case p.PromptHalfFrom != nil:
		y.PromptHalfFrom = report.HalfOwn
	}
	for _, f := range []struct{ to, from *int64 }{
		{&y.PromptTargetSeconds, p.PromptTargetSeconds},
		{&y.PromptHalfSeconds, p.PromptHalfSeconds},
		{&y.AttemptGapSeconds, p.AttemptGapSeconds},
		{&y.CallbackHours, p.CallbackHours},
		{&y.HangupSeconds, p.HangupSeconds},
		{&y.MaturityDays, p.MaturityDays},
		{&y.ReturnDays, p.ReturnDays},
		{&y.HalfLifeDays, p.HalfLifeDays},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if p.WonStage != nil {
		y.WonStage = *p.WonStage
	}
	return y, nil
}

type baselinePost struct {
	Body struct {
		From       string         `json:"from" doc:"Instant, or date of the account's zone" example:"2026-01-01"`
		Until      string         `json:"until" doc:"First instant, or date, after it; not after now"`
		Yardsticks yardstickPatch `json:"yardsticks,omitempty" doc:"Those that move; the others stay as they are"`
	}
}

// baselinePosition is where a page of baselines ends.
type baselinePosition struct{ Version int64 }

// baselineDoors are what momentum is measured against.
func (s *Server) baselineDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/baselines", ID: "list-baselines", Tag: "reports",
		Summary: "What momentum is measured against, the present one first", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[baselineBody], error) {
		var after baselinePosition
		if _, err := s.readCursor(who, "baselines", in.Paging, &after); err != nil {
			return nil, err
		}
		list, err := s.reports.Baselines(ctx, who.AccountID, after.Version, in.Limit+1)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "baselines", list, in.Paging, baselineOut, func(b report.Baseline) any { return baselinePosition{b.Version} }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/baselines", ID: "freeze-baseline", Tag: "reports", Report: true,
		Summary: "Freeze a period as what momentum is measured against", Need: account.ManageLists,
		Doc: "The period is counted once and kept with its yardsticks, whatever becomes known later; from now on reports are measured against it. To move a yardstick, freeze a baseline with it: figures by different yardsticks are never compared.",
	}, func(ctx context.Context, who account.Identity, in *baselinePost) (*created[baselineBody], error) {
		y, err := s.reports.Yardsticks(ctx, who.AccountID)
		if err != nil {
			return nil, err
		}
		if y, err = in.Body.Yardsticks.onto(y); err != nil {
			return nil, err
		}
		b, err := s.reports.FreezeBaseline(ctx, report.BaselineRequest{
			AccountID: who.AccountID, From: in.Body.From, Until: in.Body.Until, Yardsticks: y, Actor: who.Actor,
		})
		if err != nil {
			return nil, err
		}
		return &created[baselineBody]{Location: "/v1/baselines/" + b.ID, Body: baselineOut(b)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/baselines/{id}", ID: "get-baseline", Tag: "reports",
		Summary: "One baseline", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[baselineBody], error) {
		b, err := s.reports.BaselineByID(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[baselineBody]{Body: baselineOut(b)}, nil
	})
}
