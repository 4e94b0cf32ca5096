package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
)

type leadScoreBody struct {
	Probability  float64            `json:"probability" doc:"0 to 1"`
	Facts        []scoring.LeadFact `json:"facts" doc:"The three that moved it most, the strongest first"`
	ModelVersion int64              `json:"model_version" doc:"That it was made with; it stays"`
	ScoredAt     stamp              `json:"scored_at"`
}

func leadScoreOut(l *report.LeadScore) *leadScoreBody {
	if l == nil {
		return nil
	}
	return &leadScoreBody{Probability: l.Probability, Facts: l.Facts, ModelVersion: l.ModelVersion, ScoredAt: at(l.ScoredAt.Time)}
}

type leadModelBody struct {
	Version   int64                 `json:"version" doc:"0: there is none yet"`
	Origin    *string               `json:"origin" enum:"fitted,pooled" doc:"fitted to the account's own outcomes, or the prior of all accounts moved to its share of qualified calls"`
	Prior     *int64                `json:"prior" doc:"Of a pooled one: the version of the prior"`
	From      *stamp                `json:"from" doc:"Counts for calls that begin from then on, until the next version"`
	Outcomes  int64                 `json:"outcomes" doc:"Calls whose outcome is known"`
	Positives int64                 `json:"positives" doc:"Of them, qualified ones"`
	Useful    bool                  `json:"useful" doc:"On later data it told more than the share of qualified calls does"`
	Note      *string               `json:"note" doc:"What it lacks"`
	Intercept *float64              `json:"intercept" doc:"Log-odds of a call without any of the values"`
	Factors   []scoring.LeadFactor  `json:"factors"`
	Judgement scoring.LeadJudgement `json:"judgement" doc:"How the first 70 % of the outcomes foretold the last 30 %, in order of time; of a pooled one: how the prior did"`
}

func leadModelOut(m scoring.LeadModel) leadModelBody {
	b := leadModelBody{
		Version: m.Version, Origin: orNil(string(m.Origin)), Outcomes: m.Outcomes, Positives: m.Positives, Useful: m.Useful(),
		Factors: m.Factors, Judgement: m.Judgement,
	}
	if b.Factors == nil {
		b.Factors = []scoring.LeadFactor{}
	}
	if b.Judgement.Bins == nil {
		b.Judgement.Bins = []scoring.LeadBin{}
	}
	enough := scoring.EnoughLeads(m.Outcomes, m.Positives)
	switch {
	case m.Version == 0 && enough:
		b.Note = new("it is fitted within the hour")
	case !enough:
		b.Note = new(fmt.Sprintf("not enough data for a model of its own: 200 outcomes needed, %d seen; of them 40 of each kind, %d qualified seen", m.Outcomes, m.Positives))
	case !m.Useful():
		b.Note = new("on later data it told no more than the share of qualified calls does")
	}
	if m.Version > 0 {
		from := at(m.FittedAt)
		b.From, b.Intercept = &from, &m.Intercept
	}
	if m.Prior > 0 {
		b.Prior = &m.Prior
	}
	return b
}

type leadModelQuery struct {
	Version int64 `query:"version" minimum:"0" doc:"0 or none: the newest"`
}

func (s *Server) leadDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/lead-scores/model", ID: "lead-model", Tag: "reports",
		Summary: "What makes a call likely to be qualified, and how well that foretold later calls", Need: account.ReadReports,
		Doc: "A logistic regression on what is known when a call begins. It is fitted weekly; every score names the version that it was made with.",
	}, func(ctx context.Context, who account.Identity, in *leadModelQuery) (*found[leadModelBody], error) {
		m, err := s.desk.LeadModel(ctx, who.AccountID, in.Version)
		if err != nil {
			return nil, err
		}
		return &found[leadModelBody]{Body: leadModelOut(m)}, nil
	})
}
