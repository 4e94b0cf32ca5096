package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
)

type responseQuery struct {
	ReportRange
	GroupBy       string `query:"group_by" doc:"Dimensions, separated by commas: source, medium, campaign, term, content, landing_page, tracking_number, pool, agent, tag, hour_of_week, day, week, month" example:"agent"`
	WithinSeconds int    `query:"within_seconds" minimum:"1" maximum:"3600" default:"20" doc:"T: what counts as a quick answer"`

	Source         string `query:"source" doc:"Only what has this name in the dimension; so are those that follow"`
	Medium         string `query:"medium"`
	Campaign       string `query:"campaign"`
	TrackingNumber string `query:"tracking_number"`
	Pool           string `query:"pool"`
	Agent          string `query:"agent"`
	Tag            string `query:"tag"`
}

func (s *Server) responseDoor() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/response", ID: "report-response", Tag: "reports", Report: true,
		Summary: "How fast callers were answered and called back, and whether one call was enough", Need: account.ReadReports,
		Doc: "Callers who gave up, or were sent to voicemail, count as waits that would have gone on (Kaplan-Meier). The service level is the third of the formulas in use: answered within T over answered and missed.",
	}, func(ctx context.Context, who account.Identity, in *responseQuery) (*reported[report.Response], error) {
		asked := reportQuery{
			ReportRange: in.ReportRange, GroupBy: in.GroupBy, Source: in.Source, Medium: in.Medium, Campaign: in.Campaign,
			TrackingNumber: in.TrackingNumber, Pool: in.Pool, Agent: in.Agent, Tag: in.Tag,
		}
		q, err := asked.query(who)
		if err != nil {
			return nil, err
		}
		a, err := s.reports.Response(ctx, report.ResponseQuery{Query: q, WithinSeconds: in.WithinSeconds})
		return &reported[report.Response]{a}, err
	})
}
