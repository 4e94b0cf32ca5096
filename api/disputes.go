package api

import (
	"context"
	"net/http"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
)

type disputeBody struct {
	Reason     string  `json:"reason"`
	DisputedAt stamp   `json:"disputed_at"`
	DisputedBy string  `json:"disputed_by"`
	Outcome    *string `json:"outcome" enum:"upheld,changed" doc:"null while it is open"`
	Comment    *string `json:"comment" doc:"Of whoever resolved it"`
	ResolvedAt *stamp  `json:"resolved_at"`
	ResolvedBy *string `json:"resolved_by"`
	ChangedTo  *string `json:"changed_to" doc:"The id of the score that took the disputed one's place"`
}

func disputeOut(who account.Identity, d *scoring.Dispute) *disputeBody {
	if d == nil {
		return nil
	}
	return &disputeBody{
		Reason: said(who, d.Reason), DisputedAt: at(d.DisputedAt.Time), DisputedBy: d.DisputedBy, Outcome: orNil(string(d.Outcome)),
		Comment: orNil(said(who, d.Comment)), ResolvedAt: atPtr(d.ResolvedAt.Ptr()), ResolvedBy: orNil(d.ResolvedBy), ChangedTo: orNil(d.ChangedTo),
	}
}

// ByScore is embedded in the input of an operation on one score.
type ByScore struct {
	ChangeByID
	ScoreID string `path:"score_id" maxLength:"200"`
}

type markIn struct {
	Criterion string `json:"criterion" doc:"Id or name"`
	Level     *int64 `json:"level" doc:"0 to the criterion's max_level, or null: does not apply"`
}

type disputePost struct {
	ByScore
	Body struct {
		Reason string `json:"reason" doc:"What is not right about the score"`
	}
}

type disputePut struct {
	ByScore
	Body struct {
		Outcome scoring.DisputeOutcome `json:"outcome" enum:"upheld,changed" doc:"upheld: the score stands. changed: another takes its place"`
		Comment string                 `json:"comment,omitempty"`
		Marks   *[]markIn              `json:"marks,omitempty" maxItems:"100" doc:"With changed: the right ones, in the version of the card that was disputed; a criterion without a mark does not apply. Without them: the score that its scorer has given since"`
	}
}

// disputeDoors are for agents who do not agree with a score, and for whoever
// decides.
func (s *Server) disputeDoors() {
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/scores/{score_id}/dispute", ID: "dispute-score", Tag: "desk",
		Summary: "Say that a score is not right", Need: account.WriteDesk,
		Doc: "Only the agent whose call it was, once: the agent_id of the user or token says who that is. Others give a score of their own.",
	}, func(ctx context.Context, who account.Identity, in *disputePost) (*created[scoreBody], error) {
		x, version, err := s.desk.Dispute(ctx, who, act(who, in.ChangeByID), in.ScoreID, in.Body.Reason)
		if err != nil {
			return nil, err
		}
		return &created[scoreBody]{Location: "/v1/calls/" + in.ID + "/scores", ETag: etag(version), Body: oneScore(who, x)}, nil
	})
	handle(s, op{
		Method: http.MethodPut, Path: "/v1/calls/{id}/scores/{score_id}/dispute", ID: "resolve-dispute", Tag: "desk",
		Summary: "Say what became of a dispute", Need: account.ManageLists,
		Doc: "Once; the outcome is kept with who said so and when.",
	}, func(ctx context.Context, who account.Identity, in *disputePut) (*found[scoreBody], error) {
		r := scoring.Resolution{Outcome: in.Body.Outcome, Comment: in.Body.Comment}
		if in.Body.Marks != nil {
			r.Marks = []scoring.Mark{}
			for _, m := range *in.Body.Marks {
				r.Marks = append(r.Marks, scoring.Mark(m))
			}
		}
		x, version, err := s.desk.Resolve(ctx, act(who, in.ChangeByID), in.ScoreID, r)
		if err != nil {
			return nil, err
		}
		return &found[scoreBody]{ETag: etag(version), Body: oneScore(who, x)}, nil
	})
}

type criterionAgreementBody struct {
	Criterion  string   `json:"criterion" doc:"The criterion's id"`
	Name       string   `json:"name"`
	Alpha      *float64 `json:"alpha" doc:"Krippendorff's alpha: 1 is full agreement, 0 what chance gives; null when no call was marked twice, or all marks are alike"`
	N          int64    `json:"n" doc:"Marks that could be compared"`
	Calls      int64    `json:"calls" doc:"Calls that at least two people marked"`
	Versions   []int64  `json:"versions" doc:"Of the card, in which the criterion asks the same question: their marks are compared"`
	RankAgents bool     `json:"rank_agents" doc:"Agents may be compared by this criterion: alpha is at least 0.667"`
	Note       *string  `json:"note" doc:"Why they may not"`
}

type agreementBody struct {
	ScorecardID string                   `json:"scorecard_id"`
	Scorecard   string                   `json:"scorecard"`
	Version     int64                    `json:"version" doc:"The current one, whose criteria these are"`
	Scale       scoring.Scale            `json:"scale" enum:"ordinal"`
	Calls       int64                    `json:"calls" doc:"Calls that at least two people scored"`
	Scorers     int64                    `json:"scorers" doc:"People who scored them"`
	Criteria    []criterionAgreementBody `json:"criteria"`
}

func agreementOut(a scoring.Agreement) agreementBody {
	return agreementBody{
		ScorecardID: a.Card.ID, Scorecard: a.Card.Name, Version: a.Card.Version, Scale: scoring.Ordinal, Calls: a.Calls, Scorers: a.Scorers,
		Criteria: each(a.Criteria, func(c scoring.CriterionAgreement) criterionAgreementBody {
			b := criterionAgreementBody{
				Criterion: c.Criterion.ID, Name: c.Criterion.Name, N: c.Marks, Calls: c.Units, Versions: c.Versions,
				RankAgents: c.RankAgents, Note: orNil(c.Note),
			}
			if c.Alpha != nil {
				b.Alpha = new(tidy(*c.Alpha))
			}
			return b
		}),
	}
}

type agreementQuery struct {
	ByID
	ListRange
}

func (s *Server) agreementDoor() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/scorecards/{id}/agreement", ID: "scorecard-agreement", Tag: "scorecards",
		Summary: "How far the scorers of a card agree, criterion by criterion", Need: account.ReadReports,
		Doc: "Krippendorff's alpha on the ordinal scale over the calls that several people scored. Below 0.667 agents are not to be ranked by the criterion.",
	}, func(ctx context.Context, who account.Identity, in *agreementQuery) (*found[agreementBody], error) {
		from, until, err := s.span(ctx, who, in.ListRange)
		if err != nil {
			return nil, err
		}
		if until.IsZero() {
			until = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		a, err := s.desk.Agreement(ctx, who.AccountID, in.ID, from, until)
		if err != nil {
			return nil, err
		}
		return &found[agreementBody]{ETag: etag(a.Card.Version), Body: agreementOut(a)}, nil
	})
}
