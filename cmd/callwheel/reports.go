package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
)

type reportCmd struct {
	ROI         roiCmd         `cmd:"" name:"roi" help:"What every source cost and brought."`
	Attribution attributionCmd `cmd:"" help:"Which source earned the calls, leads or sales."`
	Agents      agentsCmd      `cmd:"" help:"What people at the phones did."`
	Response    responseCmd    `cmd:"" help:"How fast callers were answered and called back."`
	Pools       poolsCmd       `cmd:"" help:"Whether the number pools are large enough."`
	Momentum    momentumCmd    `cmd:"" help:"Speed, friction and weight of the flywheel."`
}

// Help shows an example.
func (reportCmd) Help() string {
	return `Example: callwheel report roi --from 2026-10-01 --group-by source,campaign`
}

// asking are the flags that every report shares.
type asking struct {
	Account string `help:"The account's id; needed when there are several." placeholder:"ID"`
	From    string `help:"First day or instant; default 30 days back." placeholder:"DATE"`
	Until   string `help:"The day after the last, or an instant." placeholder:"DATE"`
	TZ      string `name:"tz" help:"IANA zone whose days are meant; default the account's." placeholder:"ZONE"`
	Columns string `help:"Only these columns of a table, separated by commas; all for every one. Without it those that fit a terminal." placeholder:"LIST"`
	CSV     bool   `name:"csv" xor:"form" help:"Print CSV."`
	JSON    bool   `name:"json" xor:"form" help:"Print JSON."`
}

// crediting are the flags of reports that credit touches.
type crediting struct {
	GroupBy             string  `default:"source,medium,campaign" help:"Dimensions, separated by commas." placeholder:"LIST"`
	Model               string  `help:"Attribution model: first_touch, last_touch, last_non_direct, lead_creation, linear, position, shaped, w_shaped, full_path, time_decay, shapley, shapley_ordered, markov or stored_winner." placeholder:"NAME"`
	Shape               string  `help:"Of shaped: percentages of the first touch, those between and the last, such as 20/20/60." placeholder:"A/M/B"`
	HalfLifeDays        float64 `help:"Of time_decay: days in which a touch loses half its weight." placeholder:"DAYS"`
	Order               int     `help:"Of markov: how many touches make a state, 1 to 4." placeholder:"N"`
	Compare             string  `help:"A second model, whose figures stand beside." placeholder:"NAME"`
	CompareShape        string  `help:"shape of the second model." placeholder:"A/M/B"`
	CompareHalfLifeDays float64 `help:"half-life-days of the second model." placeholder:"DAYS"`
	CompareOrder        int     `help:"order of the second model." placeholder:"N"`
	CreditFor           string  `help:"call, lead, qualified or sale." placeholder:"GOAL"`
	WindowDays          int     `help:"Look-back of a conversion, in days."`
	Origin              bool    `help:"Tell first, repeat and referred purchases by where the person first came from."`
	Reading             string  `help:"How a doubtful call is credited: winner or expected." placeholder:"READING"`
}

func (c crediting) into(q report.Query) report.Query {
	q.GroupBy = report.ParseDimensions(c.GroupBy)
	q.Model, q.With = c.Model, attribution.Params{Shape: c.Shape, HalfLifeDays: c.HalfLifeDays, Order: c.Order}
	q.Compare, q.CompareTo = c.Compare, attribution.Params{Shape: c.CompareShape, HalfLifeDays: c.CompareHalfLifeDays, Order: c.CompareOrder}
	q.Origin = c.Origin
	q.CreditFor, q.WindowDays, q.Reading = report.Goal(c.CreditFor), c.WindowDays, report.Reading(c.Reading)
	return q
}

// usual are the columns that a terminal shows: the names of the lines, and these
// figures.
func (c crediting) usual(figures ...string) []string {
	var columns []string
	for _, d := range report.ParseDimensions(c.GroupBy) {
		columns = append(columns, string(d))
	}
	columns = append(columns, figures...)
	if c.Origin {
		columns = append(columns, "origin_first_revenue", "origin_repeat_revenue", "origin_referred_revenue", "origin_roi")
	}
	if c.Compare != "" {
		columns = append(columns, "compare_credit", "difference_credit", "compare_revenue", "difference_revenue")
	}
	return columns
}

type roiCmd struct {
	asking
	crediting
}

// Help shows an example.
func (roiCmd) Help() string {
	return "Example: callwheel report roi --from 2026-10-01 --until 2026-11-01 --group-by source,campaign --columns source,campaign,revenue,spend,roi"
}

// Run prints the report.
func (c roiCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.print(ctx, s, std, c.usual("calls", "qualified", "revenue", "spend", "cost_per_qualified", "roi"), func(d *report.Desk, q report.Query) (report.Tabular, error) { return d.ROI(ctx, c.into(q)) })
}

type attributionCmd struct {
	asking
	crediting
}

// Help shows an example.
func (attributionCmd) Help() string {
	return "Example: callwheel report attribution --model first_touch --credit-for qualified --csv"
}

// Run prints the report.
func (c attributionCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.print(ctx, s, std, c.usual("calls", "answered", "missed", "qualified", "credit", "revenue"), func(d *report.Desk, q report.Query) (report.Tabular, error) { return d.Attribution(ctx, c.into(q)) })
}

type agentsCmd struct{ asking }

// Help shows an example.
func (agentsCmd) Help() string { return "Example: callwheel report agents --from 2026-10-01" }

// usualOfAgents are the columns of the agents' report that a terminal shows.
var usualOfAgents = []string{"agent", "offered", "answered", "ring_median_seconds", "score_shrunken", "rank", "qualified", "sales", "revenue"}

// Run prints the report.
func (c agentsCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.print(ctx, s, std, usualOfAgents, func(d *report.Desk, q report.Query) (report.Tabular, error) { return d.Agents(ctx, q) })
}

type responseCmd struct {
	asking
	GroupBy       string `default:"agent" help:"Dimensions, separated by commas." placeholder:"LIST"`
	WithinSeconds int    `default:"20" help:"What counts as a quick answer."`
}

// Help shows an example.
func (responseCmd) Help() string {
	return "Example: callwheel report response --from 2026-10-01 --group-by hour_of_week"
}

// Run prints the report.
func (c responseCmd) Run(ctx context.Context, s *settings, std stdio) error {
	groups := report.ParseDimensions(c.GroupBy)
	usual := []string{"answered", "missed", "wait_median_seconds", "wait_p90_seconds", "within_share", "service_level", "called_back_rate", "first_contact_rate"}
	for _, d := range groups {
		usual = append(usual, string(d))
	}
	return c.print(ctx, s, std, usual, func(d *report.Desk, q report.Query) (report.Tabular, error) {
		q.GroupBy = groups
		return d.Response(ctx, report.ResponseQuery{Query: q, WithinSeconds: c.WithinSeconds})
	})
}

type poolsCmd struct{ asking }

// Help shows an example.
func (poolsCmd) Help() string { return "Example: callwheel report pools --from 2026-10-01" }

// usualOfPools are the columns of the pools' report that a terminal shows.
var usualOfPools = []string{"pool", "numbers", "utilisation", "visitors", "overflow_share", "reuse_gap_minutes", "calls", "expected_accuracy"}

// Run prints the report.
func (c poolsCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.print(ctx, s, std, usualOfPools, func(d *report.Desk, q report.Query) (report.Tabular, error) { return d.Pools(ctx, q) })
}

type momentumCmd struct {
	asking
	Period   string `default:"range" enum:"day,week,month,range" help:"day, week, month, or range for the whole."`
	Baseline string `help:"What the index is measured against: the id of a frozen baseline, FROM/UNTIL, or year_ago. Without it the account's present baseline." placeholder:"RANGE"`
	By       string `help:"Divide every change among source, campaign or agent." placeholder:"DIMENSION"`
}

// Help shows an example.
func (momentumCmd) Help() string {
	return "Example: callwheel report momentum --from 2026-09-01 --period month"
}

// Run prints the report.
func (c momentumCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.print(ctx, s, std, []string{"line", "from", "speed", "friction", "weight", "momentum", "index"}, func(d *report.Desk, q report.Query) (report.Tabular, error) {
		period := report.Unit(c.Period)
		if c.Period == "range" {
			period = report.Whole
		}
		return d.Momentum(ctx, report.MomentumQuery{
			AccountID: q.AccountID, From: q.From, Until: q.Until, TZ: q.TZ, Period: period, Baseline: c.Baseline, By: report.Dimension(c.By),
		})
	})
}

// print opens the database, asks, and writes in the wanted form; usual are the
// columns that a terminal shows.
func (a asking) print(ctx context.Context, s *settings, std stdio, usual []string, ask func(*report.Desk, report.Query) (report.Tabular, error)) error {
	cfg, err := s.load(std.environ, nil)
	if err != nil {
		return err
	}
	db, err := store.Open(cfg.DatabaseURL)
	if err != nil {
		return badConfig{err}
	}
	defer db.Close()
	if err := db.MustBeCurrent(ctx); err != nil {
		return err
	}
	if a.Account, err = oneAccount(ctx, db, a.Account); err != nil {
		return err
	}
	answer, err := ask(report.NewDesk(db, time.Now, newLog(cfg.Log, std.err), nil),
		report.Query{AccountID: a.Account, From: a.From, Until: a.Until, TZ: a.TZ})
	if err != nil {
		return err
	}
	return a.write(std.out, answer, usual)
}

func (a asking) write(w io.Writer, answer report.Tabular, usual []string) error {
	switch {
	case a.CSV:
		return report.WriteCSV(w, answer)
	case a.JSON:
		return report.WriteJSON(w, answer)
	}
	table := answer.Table()
	switch {
	case a.Columns == "all":
	case a.Columns != "":
		table = table.Select(strings.Split(a.Columns, ","))
	default:
		some := table.Select(usual)
		some.Facts = table.Facts
		if page, ok := answer.(interface{ Page(io.Writer) error }); ok {
			if err := page.Page(w); err != nil {
				return err
			}
			some.Title, some.Notes = "In figures", nil // the page has told them
		}
		some.Notes = append(some.Notes, "--columns all, --csv and --json show every figure")
		table = some
	}
	return report.WriteTable(w, table)
}

// oneAccount is the account with the id, or the only one of an installation
// that has one.
func oneAccount(ctx context.Context, db *store.DB, id string) (string, error) {
	directory, err := account.NewDirectory(db, account.Config{SecretKey: make([]byte, 32), Now: time.Now})
	if err != nil {
		return "", err
	}
	if id != "" {
		return id, mustKnow(ctx, directory, id)
	}
	list, err := directory.Accounts(ctx)
	if err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", fmt.Errorf("there are %d accounts: say which with --account", len(list))
	}
	return list[0].ID, nil
}

// mustKnow is an error in words when there is no such account.
func mustKnow(ctx context.Context, directory *account.Directory, id string) error {
	_, err := directory.Get(ctx, id)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return callwheel.Errorf(callwheel.NotFound, "there is no account %q", id)
	}
	return err
}
