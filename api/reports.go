package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
)

// ReportRange is embedded in the input of every report.
type ReportRange struct {
	From  string `query:"from" doc:"Instant or date (the first instant of that day in tz); without it the last 30 days"`
	Until string `query:"until" doc:"First instant, or date, after the range; without it the end of today"`
	TZ    string `query:"tz" doc:"IANA zone whose days are meant; without it the account's" example:"America/New_York"`
}

// reportQuery is the input of the attribution and the ROI report. Names are
// checked by the room, which knows which there are.
type reportQuery struct {
	ReportRange
	GroupBy         string  `query:"group_by" doc:"Dimensions, separated by commas: source, medium, campaign, term, content, landing_page, tracking_number, pool, agent, tag, hour_of_week, day, week, month" example:"source,campaign"`
	Model           string  `query:"model" doc:"first_touch, last_touch, last_non_direct (the default), lead_creation, linear, position (40/20/40), shaped, w_shaped, full_path, time_decay, shapley, shapley_ordered, markov or stored_winner (what each call's own attribution says, whatever came before)" example:"linear"`
	Shape           string  `query:"shape" doc:"Of shaped: percentages of the first touch, those between and the last" example:"20/20/60"`
	HalfLife        float64 `query:"half_life_days" minimum:"0.01" maximum:"3650" doc:"Of time_decay: days in which a touch loses half its weight; without it 7"`
	Order           int     `query:"order" minimum:"1" maximum:"4" doc:"Of markov: how many touches make a state; without it 1"`
	Compare         string  `query:"compare" doc:"A second model, whose figures stand beside the first one's in each row, with the difference" example:"position"`
	CompareShape    string  `query:"compare_shape" doc:"shape of the second model; so are those that follow"`
	CompareHalfLife float64 `query:"compare_half_life_days" minimum:"0.01" maximum:"3650"`
	CompareOrder    int     `query:"compare_order" minimum:"1" maximum:"4"`
	Origin          bool    `query:"origin" doc:"Tell first, repeat and referred purchases by where the person first came from, too"`
	CreditFor       string  `query:"credit_for" doc:"call, lead, qualified or sale"`
	WindowDays      int     `query:"window_days" minimum:"1" maximum:"3650" default:"90" doc:"Look-back"`
	Reading         string  `query:"reading" doc:"winner (the default) or expected"`

	Source         string `query:"source" doc:"Only what has this name in the dimension; so are those that follow"`
	Medium         string `query:"medium"`
	Campaign       string `query:"campaign"`
	TrackingNumber string `query:"tracking_number"`
	Pool           string `query:"pool"`
	Agent          string `query:"agent"`
	Tag            string `query:"tag"`
}

// query is the room's question.
func (in *reportQuery) query(who account.Identity) (report.Query, error) {
	number := in.TrackingNumber
	if rest, ok := strings.CutPrefix(number, " "); ok {
		number = "+" + rest // a plus sign that was not escaped
	}
	if number != report.NoneRow {
		var err error
		if number, err = phone("tracking_number", number); err != nil {
			return report.Query{}, err
		}
	}
	q := report.Query{
		AccountID: who.AccountID, From: in.From, Until: in.Until, TZ: in.TZ, GroupBy: report.ParseDimensions(in.GroupBy),
		Model: in.Model, With: attribution.Params{Shape: in.Shape, HalfLifeDays: in.HalfLife, Order: in.Order},
		Compare: in.Compare, CompareTo: attribution.Params{Shape: in.CompareShape, HalfLifeDays: in.CompareHalfLife, Order: in.CompareOrder},
		Origin:    in.Origin,
		CreditFor: report.Goal(in.CreditFor), WindowDays: in.WindowDays, Reading: report.Reading(in.Reading),
		Filters: map[report.Dimension]string{},
	}
	for d, name := range map[report.Dimension]string{
		report.Source: in.Source, report.Medium: in.Medium, report.Campaign: in.Campaign, report.TrackingNumber: number,
		report.Pool: in.Pool, report.AgentName: in.Agent, report.Tag: in.Tag,
	} {
		if name != "" {
			q.Filters[d] = name
		}
	}
	return q, nil
}

type momentumQuery struct {
	ReportRange
	Period   string `query:"period" doc:"day, week or month; without it the whole range"`
	Baseline string `query:"baseline" doc:"The id of a frozen baseline, two dates or instants with a slash, or year_ago for the same weeks a year ago; without it the account's present baseline, which the first report with enough data freezes" example:"2026-01-01/2026-04-01"`
	By       string `query:"by" doc:"source, campaign or agent: divides every change among them, each with links to its calls" example:"source"`
}

// reported is the output of a report: JSON, or the same figures as CSV.
type reported[T any] struct{ Body *T }

// reportDoors are what the owner asks.
func (s *Server) reportDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/attribution", ID: "report-attribution", Tag: "reports", Report: true,
		Summary: "Which touches earned the calls, leads, qualified callers or sales", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *reportQuery) (*reported[report.Attribution], error) {
		q, err := in.query(who)
		if err != nil {
			return nil, err
		}
		a, err := s.reports.Attribution(ctx, q)
		return &reported[report.Attribution]{a}, err
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/roi", ID: "report-roi", Tag: "reports", Report: true,
		Summary: "What the money spent has returned", Need: account.ReadReports,
		Doc: "The rows of the attribution report seen as money (credit for sales unless asked otherwise), with horizons: what touches of the range have earned 30, 90 and 365 days after.",
	}, func(ctx context.Context, who account.Identity, in *reportQuery) (*reported[report.Attribution], error) {
		q, err := in.query(who)
		if err != nil {
			return nil, err
		}
		a, err := s.reports.ROI(ctx, q)
		return &reported[report.Attribution]{a}, err
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/agents", ID: "report-agents", Tag: "reports", Report: true,
		Summary: "How each agent's calls went", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *struct{ ReportRange }) (*reported[report.Agents], error) {
		a, err := s.reports.Agents(ctx, report.Query{AccountID: who.AccountID, From: in.From, Until: in.Until, TZ: in.TZ})
		return &reported[report.Agents]{a}, err
	})
	s.responseDoor()
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/pools", ID: "report-pools", Tag: "reports", Report: true,
		Summary: "How the number pools did: enough numbers, and numbers that come round late enough", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *struct{ ReportRange }) (*reported[report.Pools], error) {
		p, err := s.reports.Pools(ctx, report.Query{AccountID: who.AccountID, From: in.From, Until: in.Until, TZ: in.TZ})
		return &reported[report.Pools]{p}, err
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/momentum", ID: "report-momentum", Tag: "reports", Report: true,
		Summary: "How the flywheel turns, against a baseline", Need: account.ReadReports,
	}, func(ctx context.Context, who account.Identity, in *momentumQuery) (*reported[report.MomentumReport], error) {
		m, err := s.reports.Momentum(ctx, report.MomentumQuery{
			AccountID: who.AccountID, From: in.From, Until: in.Until, TZ: in.TZ,
			Period: cmp.Or(report.Unit(in.Period), report.Whole), Baseline: in.Baseline, By: report.Dimension(in.By),
		})
		return &reported[report.MomentumReport]{m}, err
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/reports/dni", ID: "report-dni", Tag: "reports", Report: true,
		Summary: "Whether the numbers on the sites' pages are really swapped", Need: account.ReadReports,
		Doc: "One row per site and page, from what the script in the page tells: what it found, swapped and could not swap. A page that swapped nothing for 24 hours while sessions went on is flagged.",
	}, func(ctx context.Context, who account.Identity, in *struct{ ReportRange }) (*reported[report.DNI], error) {
		a, err := s.reports.DNI(ctx, report.Query{AccountID: who.AccountID, From: in.From, Until: in.Until, TZ: in.TZ})
		return &reported[report.DNI]{a}, err
	})
	s.definitionDoor()
	s.baselineDoors()
}

func (s *Server) definitionDoor() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/definitions", ID: "list-definitions", Tag: "reports",
		Summary: "What every figure of the reports means", Need: account.ReadReports,
	}, func(_ context.Context, who account.Identity, in *struct{ Paging }) (*listed[report.Definition], error) {
		same := func(d report.Definition) report.Definition { return d }
		return pageOf(s, who, "definitions", report.Definitions, in.Paging, same, func(d report.Definition) string { return d.Figure })
	})
}
