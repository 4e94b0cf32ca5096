package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
)

type evidenceBody struct {
	Verdict           string          `json:"verdict" enum:"winner,source,ambiguous,untracked" doc:"winner: a visitor; source: a source without a visitor; ambiguous: no source is 0.7 sure, the leading one is named; untracked: nobody we know"`
	Method            string          `json:"method" enum:"lease,lease_tail,past_lease,known_caller,source_number,overflow_number,imported,none"`
	Confidence        float64         `json:"confidence" doc:"0 to 1: that the source is right, or that nobody we know called"`
	VisitorConfidence float64         `json:"visitor_confidence" doc:"0 to 1: that this visitor called; at most the confidence of the source"`
	Band              string          `json:"band" enum:"high,medium,low" doc:"Of the confidence: high from 0.9, medium from 0.7"`
	Contaminated      bool            `json:"contaminated" doc:"A known caller on a number that has gone to another visitor since: judged by the caller's own history"`
	ModelVersion      string          `json:"model_version"`
	Rule              string          `json:"rule,omitempty" doc:"What named the source of the visitor's arrival, with its version"`
	Lease             *leaseBody      `json:"lease,omitempty" doc:"The hold on the number that decided"`
	Candidates        []candidateBody `json:"candidates"`
	Untracked         struct {
		Weight float64 `json:"weight" doc:"With the candidates' weights this adds up to 1"`
	} `json:"untracked"`
	Why          []string     `json:"why" doc:"For a person to read"`
	WhatIf       []whatIfBody `json:"what_if" doc:"What would have changed the answer, each with one thing otherwise"`
	AttributedAt *stamp       `json:"attributed_at" doc:"null: not yet"`
}

type whatIfBody struct {
	If         string  `json:"if" doc:"For a person to read"`
	Verdict    string  `json:"verdict" enum:"winner,ambiguous,untracked"`
	Source     *string `json:"source" doc:"null: untracked"`
	Confidence float64 `json:"confidence"`
}

type leaseBody struct {
	ID         string      `json:"id"`
	Number     *wireNumber `json:"number"`
	PoolID     string      `json:"pool_id"`
	From       stamp       `json:"from"`
	Until      stamp       `json:"until"`
	LastBeatAt stamp       `json:"last_beat_at" doc:"When the page was last known to be open"`
}

type candidateBody struct {
	VisitorID   *string     `json:"visitor_id" doc:"null for a source without a visitor"`
	Source      string      `json:"source"`
	Medium      string      `json:"medium"`
	Campaign    string      `json:"campaign"`
	Weight      float64     `json:"weight"`
	ShownFrom   *stamp      `json:"shown_from" doc:"Since when the number had been theirs; null for a source without a visitor"`
	LastShownAt *stamp      `json:"last_shown_at" doc:"When the number was last known to be on their page, no later than the call"`
	OnScreen    bool        `json:"on_screen" doc:"It was, when the call began"`
	Evidence    []string    `json:"evidence" doc:"For a person to read"`
	Ratios      []ratioBody `json:"ratios" doc:"The evidence in numbers"`
}

type ratioBody struct {
	Kind  string  `json:"kind" enum:"phone,area,device"`
	Value float64 `json:"value" doc:"How much likelier this is if they made the call than if somebody else did"`
}

func evidenceOut(e attribution.Evidence) evidenceBody {
	b := evidenceBody{
		Verdict: string(e.Verdict), Method: string(e.Method), Confidence: e.Confidence, VisitorConfidence: e.VisitorConfidence,
		Band: attribution.Band(e.Confidence), Contaminated: e.Contaminated, ModelVersion: e.ModelVersion, Rule: e.Rule,
		Candidates: []candidateBody{}, Why: e.Why, WhatIf: []whatIfBody{},
	}
	if !e.AttributedAt.IsZero() {
		b.AttributedAt = atPtr(&e.AttributedAt)
	}
	for _, c := range e.Candidates {
		b.Candidates = append(b.Candidates, candidateOut(c))
	}
	b.Untracked.Weight = e.UntrackedWeight
	for _, w := range e.WhatIf {
		b.WhatIf = append(b.WhatIf, whatIfBody{If: w.If, Verdict: string(w.Verdict), Source: orNil(w.Source), Confidence: w.Confidence})
	}
	if l := e.Lease; l != nil {
		b.Lease = &leaseBody{ID: l.ID, Number: number(l.Number), PoolID: l.PoolID, From: at(l.From), Until: at(l.Until), LastBeatAt: at(l.LastBeatAt)}
	}
	return b
}

func candidateOut(c attribution.Candidate) candidateBody {
	b := candidateBody{
		VisitorID: orNil(c.VisitorID), Source: c.Source, Medium: c.Medium, Campaign: c.Campaign, Weight: c.Weight, OnScreen: c.OnScreen,
		Evidence: c.Evidence, Ratios: []ratioBody{},
	}
	if b.Evidence == nil {
		b.Evidence = []string{}
	}
	if c.LastShownAt != 0 {
		from, last := c.Shown()
		b.ShownFrom, b.LastShownAt = atPtr(&from), atPtr(&last)
	}
	for _, r := range c.Ratios {
		b.Ratios = append(b.Ratios, ratioBody{string(r.Kind), r.Value})
	}
	return b
}

// attributionDoors tell why a call was attributed as it was.
func (s *Server) attributionDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/attribution", ID: "get-call-attribution", Tag: "calls",
		Summary: "Why a call was attributed as it was: the evidence", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*struct{ Body evidenceBody }, error) {
		e, err := s.ledger.Evidence(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &struct{ Body evidenceBody }{evidenceOut(e)}, nil
	})
}
