package report

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// explained is a database that keeps, of every statement that a report sends, how
// its rows will be found.
type explained struct {
	*store.DB
	plans map[string][]string // statement → the steps of its plan
	rows  *int                // read into slices, all statements together; may be nil
}

func (w explained) InSnapshot(ctx context.Context, fn func(ctx context.Context, q store.Querier) error) error {
	return w.DB.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error {
		return fn(ctx, explainer{q, w})
	})
}

func (w explained) Get(ctx context.Context, dest any, query string, args ...any) error {
	return explainer{w.DB, w}.Get(ctx, dest, query, args...)
}

func (w explained) Select(ctx context.Context, dest any, query string, args ...any) error {
	return explainer{w.DB, w}.Select(ctx, dest, query, args...)
}

func (w explained) Rows(ctx context.Context, query string, args ...any) (*store.Rows, error) {
	return explainer{w.DB, w}.Rows(ctx, query, args...)
}

// explainer asks for the plan of each statement before it runs it.
type explainer struct {
	store.Querier
	by explained
}

func (w explainer) note(ctx context.Context, query string, args []any) error {
	if w.by.plans[query] != nil {
		return nil
	}
	explain := `EXPLAIN (COSTS OFF) `
	if w.by.Dialect().Name() == "sqlite" {
		explain = `EXPLAIN QUERY PLAN `
	}
	rows, err := w.Querier.Rows(ctx, explain+query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	steps := []string{}
	for rows.Next() {
		columns, err := rows.SliceScan()
		if err != nil {
			return err
		}
		steps = append(steps, fmt.Sprint(columns[len(columns)-1]))
	}
	w.by.plans[query] = steps
	return rows.Err()
}

func (w explainer) Get(ctx context.Context, dest any, query string, args ...any) error {
	if err := w.note(ctx, query, args); err != nil {
		return err
	}
	return w.Querier.Get(ctx, dest, query, args...)
}

func (w explainer) Select(ctx context.Context, dest any, query string, args ...any) error {
	if err := w.note(ctx, query, args); err != nil {
		return err
	}
	err := w.Querier.Select(ctx, dest, query, args...)
	if w.by.rows != nil {
		*w.by.rows += reflect.ValueOf(dest).Elem().Len()
	}
	return err
}

func (w explainer) Rows(ctx context.Context, query string, args ...any) (*store.Rows, error) {
	if err := w.note(ctx, query, args); err != nil {
		return nil, err
	}
	return w.Querier.Rows(ctx, query, args...)
}

// settled are the tables that do not grow with every call or visitor: what people
// set up, and a row a day. They may be read whole.
var settled = []string{
	"accounts", "agents", "agent_phones", "sources", "source_names", "source_mediums", "pools", "tags", "dispositions", "sites", "number_bindings",
	"baselines", "delay_models", "swap_pages", "rates", "daily_states", "daily_marks",
	"tracking_numbers",
}

// What momentum reads beyond the range by its nature: how long there were customers
// is counted from their first purchase on, and who was sent long ago may come now.
const everBought = "SELECT person FROM sales"

// firstRows is a statement that takes the first rows of a list and no condition.
var firstRows = regexp.MustCompile(`WHERE account_id = \? ORDER BY [\w, ]+ LIMIT \?$`)

// mayReachBack says whether a report may read all sales, or stops at the first rows
// of an index, in whose order it reads.
func mayReachBack(run, query string, plan []string) bool {
	query = strings.TrimSpace(query)
	if firstRows.MatchString(query) {
		return !slices.ContainsFunc(plan, func(step string) bool { return strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "Sort") })
	}
	return strings.HasPrefix(query, "SELECT min(started_at) FROM calls") ||
		// Patience is looked for in a year, an eighth of what there is: PostgreSQL may
		// join desks by reading them all.
		strings.Contains(query, "c.duration_seconds, COALESCE(k.disposition_id, '') AS disposition_id") && strings.Contains(strings.Join(plan, " "), "using calls_started on calls c") ||
		(strings.HasPrefix(query, everBought) || query == selectReferrals) && slices.ContainsFunc(append([]string{"Momentum", "FreezeBaseline"}, MomentumFigures...),
			func(name string) bool { return strings.Contains(run, name) })
}

// sqliteStep is a table's part in a plan of SQLite, by the name that the
// statement gives it.
var sqliteStep = regexp.MustCompile(`^(SCAN|SEARCH) (\w+)(?: .*?\((.*)\))?`)

// postgresStep is the same of PostgreSQL; what is looked up stands in the line
// after it.
var (
	postgresStep = regexp.MustCompile(`(Seq Scan|Index Scan|Index Only Scan|Bitmap Heap Scan|Bitmap Index Scan)(?: Backward)?(?: using \w+)? on (\w+)`)
	postgresCond = regexp.MustCompile(`^\s*Index Cond: \((.*)\)$`)
)

// unbounded lists the steps of a plan that read a growing table from its
// beginning, or as much of it as the account has.
func unbounded(dialect, query string, plan []string) []string {
	if dialect == "sqlite" {
		return unboundedSQLite(query, plan)
	}
	var bad []string
	for i, line := range plan {
		step := postgresStep.FindStringSubmatch(line)
		if step == nil || step[1] == "Bitmap Heap Scan" || slices.Contains(settled, tableOf(step[2])) {
			continue
		}
		by := ""
		if i+1 < len(plan) {
			if cond := postgresCond.FindStringSubmatch(plan[i+1]); cond != nil {
				by = cond[1]
			}
		}
		if !strings.Contains(by, " AND ") {
			bad = append(bad, strings.TrimSpace(line)+" by "+by)
		}
	}
	return bad
}

func unboundedSQLite(query string, plan []string) []string {
	var bad []string
	for _, line := range plan {
		step := sqliteStep.FindStringSubmatch(line)
		if step == nil {
			continue
		}
		table := step[2]
		if named := regexp.MustCompile(`\b([a-z_]+)\s+(?:AS\s+)?` + table + `\b`).FindStringSubmatch(query); named != nil && tables[named[1]] {
			table = named[1]
		}
		if !tables[table] || slices.Contains(settled, table) {
			continue
		}
		if step[1] == "SCAN" || !strings.Contains(step[3], " AND ") {
			bad = append(bad, line)
		}
	}
	return bad
}

// tableOf is the table of an index by its name, or the table itself.
func tableOf(name string) string {
	for len(name) > 0 && !tables[name] {
		name = name[:max(0, strings.LastIndexByte(name, '_'))]
	}
	return name
}

// tables are the names of all tables.
var tables = func() map[string]bool {
	list := map[string]bool{}
	for _, m := range regexp.MustCompile(`CREATE TABLE (\w+)`).FindAllStringSubmatch(store.Schema(), -1) {
		list[m[1]] = true
	}
	return list
}()

// Every report is run, on both databases, over a month of an account of eight
// years, and not one of the statements that it sent reads a table that grows with
// the calls any further than the month, or one person, or one call, asks for.
func TestReportsReadNoMoreThanTheirRange(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		db, err := store.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { db.Close() }()
		fillBounded(t, db)
		// SQLite plans by its rules alone until ANALYZE has counted rows; PostgreSQL
		// counts them by itself.
		if db.Dialect().Name() == "sqlite" {
			t.Run("knowing nothing of the rows", func(t *testing.T) { noMoreThanTheRange(t, db) })
		}
		db = countRows(t, db, url)
		t.Run("knowing how many there are", func(t *testing.T) { noMoreThanTheRange(t, db) })
	})
}

func noMoreThanTheRange(t *testing.T, db *store.DB) {
	ran := map[string]bool{}
	for _, r := range boundedRuns() {
		w := explained{DB: db, plans: map[string][]string{}}
		desk := NewDesk(db, func() time.Time { return boundedUntil }, slog.New(slog.DiscardHandler), nil)
		desk.db = w
		if err := r.run(context.Background(), desk, &Calls{db: w}); err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		ran[strings.Fields(r.name)[0]] = true
		if len(w.plans) == 0 {
			t.Errorf("%s: no statement was seen", r.name)
		}
		for _, query := range slices.Sorted(maps.Keys(w.plans)) {
			if mayReachBack(r.name, query, w.plans[query]) {
				continue
			}
			for _, step := range unbounded(db.Dialect().Name(), query, w.plans[query]) {
				t.Errorf("%s: %s\nin %s\n%s", r.name, step, strings.Join(strings.Fields(query), " "), strings.Join(w.plans[query], "\n"))
			}
		}
	}
	// Whoever adds a report adds it here.
	for _, of := range []any{&Desk{}, &Calls{}} {
		for i := range reflect.TypeOf(of).NumMethod() {
			if name := reflect.TypeOf(of).Method(i).Name; !ran[name] && !slices.Contains(writers, name) {
				t.Errorf("%s was not run", name)
			}
		}
	}
}

// writers write: their few reads are of what they are about to write.
var writers = []string{"DeleteSpend", "ImportSpend", "PutRates", "RollUp", "RollAgain"}

var (
	boundedFrom  = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	boundedUntil = time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)
)

// boundedRun is one question; the first word of its name is the method that
// answers it.
type boundedRun struct {
	name string
	run  func(ctx context.Context, d *Desk, c *Calls) error
}

func boundedRuns() []boundedRun {
	var list []boundedRun
	month := Query{AccountID: "acct_1", From: "2025-03-01", Until: "2025-04-01"}
	add := func(name string, run func(ctx context.Context, d *Desk, c *Calls) error) {
		list = append(list, boundedRun{name, run})
	}
	for _, c := range []struct {
		model string
		goal  Goal
		by    []Dimension
	}{
		{"", ForSale, []Dimension{Campaign}},
		{"", ForCall, []Dimension{Source, Day}},
		{"", ForLead, nil},
		{"", ForQualified, []Dimension{AgentName, Tag}},
		{StoredWinner, ForSale, []Dimension{Campaign}},
		{StoredWinner, ForSale, []Dimension{Day}},
		{StoredWinner, ForSale, []Dimension{LandingPage, Pool}},
		{"markov", ForSale, []Dimension{Source}},
	} {
		q := month
		q.Model, q.CreditFor, q.GroupBy = c.model, c.goal, c.by
		what := fmt.Sprintf("by %s for %s by %v", c.model, c.goal, c.by)
		add("ROI "+what, func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.ROI(ctx, q); return err })
		one := q
		one.oneByOne = true
		add("Attribution one by one, "+what, func(ctx context.Context, d *Desk, _ *Calls) error {
			_, err := d.Attribution(ctx, one)
			return err
		})
	}
	origin := month
	origin.Origin, origin.CreditFor, origin.Reading, origin.Compare = true, ForSale, Expected, "linear"
	add("ROI with origins", func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.ROI(ctx, origin); return err })
	add("Agents", func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.Agents(ctx, month); return err })
	add("Pools", func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.Pools(ctx, month); return err })
	add("DNI", func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.DNI(ctx, month); return err })
	add("Response", func(ctx context.Context, d *Desk, _ *Calls) error {
		q := month
		q.GroupBy = []Dimension{AgentName, Tag}
		_, err := d.Response(ctx, ResponseQuery{Query: q})
		return err
	})
	for _, base := range []string{"", yearAgo, "2025-01-01/2025-02-01"} {
		add("Momentum against "+base, func(ctx context.Context, d *Desk, _ *Calls) error {
			_, err := d.Momentum(ctx, MomentumQuery{AccountID: "acct_1", From: month.From, Until: month.Until, Period: ByWeek, By: Campaign, Baseline: base})
			return err
		})
	}
	add("FreezeBaseline", func(ctx context.Context, d *Desk, _ *Calls) error {
		_, err := d.FreezeBaseline(ctx, BaselineRequest{AccountID: "acct_1", From: "2025-01-01", Until: "2025-03-01", Yardsticks: DefaultYardsticks(), Actor: "u"})
		return err
	})
	add("Baselines", func(ctx context.Context, d *Desk, _ *Calls) error {
		_, err := d.Baselines(ctx, "acct_1", 0, 10)
		return err
	})
	add("BaselineByID", func(ctx context.Context, d *Desk, _ *Calls) error {
		known, err := d.Baselines(ctx, "acct_1", 0, 1)
		if err == nil {
			_, err = d.BaselineByID(ctx, "acct_1", known[0].ID)
		}
		return err
	})
	add("Yardsticks", func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.Yardsticks(ctx, "acct_1"); return err })
	add("ListRates", func(ctx context.Context, d *Desk, _ *Calls) error {
		_, err := d.ListRates(ctx, "acct_1", RatePage{From: month.From, Limit: 10})
		return err
	})
	for _, p := range []SpendPage{{}, {From: month.From, Until: month.Until}, {Source: "google", AfterFrom: month.From, AfterID: "x"}} {
		p.Limit = 10
		add(fmt.Sprintf("ListSpend %+v", p), func(ctx context.Context, d *Desk, _ *Calls) error {
			_, err := d.ListSpend(ctx, "acct_1", p)
			return err
		})
	}
	add("SpendByID", func(ctx context.Context, d *Desk, _ *Calls) error {
		_, err := d.SpendByID(ctx, "acct_1", "n1")
		return err
	})
	add("SpendByKey", func(ctx context.Context, d *Desk, _ *Calls) error {
		_, err := d.SpendByKey(ctx, "acct_1", SpendItem{Source: "google", From: month.From, Until: month.Until})
		if err == nil {
			return fmt.Errorf("there is no such spend")
		}
		return nil
	})
	add("Recount", func(ctx context.Context, d *Desk, _ *Calls) error { _, err := d.Recount(ctx); return err })
	add("Touches", func(ctx context.Context, _ *Desk, c *Calls) error {
		_, err := c.Touches(ctx, "acct_1", "+13125550001")
		return err
	})
	add("Get", func(ctx context.Context, _ *Desk, c *Calls) error { _, err := c.Get(ctx, "acct_1", "n1"); return err })
	yes := true
	for _, q := range []CallQuery{
		{},
		{Outcome: "missed", Source: "google", Medium: "cpc", Campaign: "spring", FirstTime: &yes},
		{Tag: "t", Agent: "kim", Disposition: "lead", Qualified: &yes, Scored: &yes, Text: "312", PoolID: "pool_1"},
		{Caller: "+13125550001"},
		{TrackingNumber: "+13125550100"},
	} {
		q.From, q.Until, q.Now, q.Limit = boundedFrom, boundedUntil, boundedUntil, 10
		add(fmt.Sprintf("List %+v", q), func(ctx context.Context, _ *Desk, c *Calls) error { _, err := c.List(ctx, "acct_1", q); return err })
		add(fmt.Sprintf("Each %+v", q), func(ctx context.Context, _ *Desk, c *Calls) error {
			return c.Each(ctx, "acct_1", q, func(CallRow) error { return nil })
		})
	}
	for _, figure := range MomentumFigures {
		q := CallQuery{Momentum: figure, From: boundedFrom, Until: boundedUntil, Now: boundedUntil, Limit: 3}
		add("List "+figure, func(ctx context.Context, _ *Desk, c *Calls) error { _, err := c.List(ctx, "acct_1", q); return err })
		add("Each "+figure, func(ctx context.Context, _ *Desk, c *Calls) error {
			return c.Each(ctx, "acct_1", q, func(CallRow) error { return nil })
		})
		add("Check "+figure, func(ctx context.Context, _ *Desk, c *Calls) error { return c.Check(ctx, "acct_1", q) })
		if !slices.Contains(ofAccount, figure) {
			of := q
			of.By, of.Segment = Source, "google"
			add("List "+figure+" of a source", func(ctx context.Context, _ *Desk, c *Calls) error { _, err := c.List(ctx, "acct_1", of); return err })
		}
	}
	return list
}

// fillBounded writes one account with a row of every kind a day and a half,
// eight years long, the last one at the end of the month.
func fillBounded(t *testing.T, db *store.DB) {
	t.Helper()
	const n = 2000
	step := int64(36 * time.Hour / time.Microsecond)
	first := store.Micros(boundedUntil) - n*step
	from, until := fmt.Sprint(store.Micros(boundedFrom)), fmt.Sprint(store.Micros(boundedUntil))
	rows := func(into, columns, values string) string {
		return fmt.Sprintf(`INSERT INTO %s (account_id, %s) WITH RECURSIVE n (i, at) AS (
			SELECT CAST(1 AS BIGINT), CAST(%d AS BIGINT) UNION ALL SELECT i + 1, at + %d FROM n WHERE i < %d) SELECT 'acct_1', %s FROM n`, into, columns, first, step, n, values)
	}
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, text := range []string{
			`INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES ('acct_1', 'A', 'UTC', 'USD', 0)`,
			`INSERT INTO daily_states (account_id, tz, currency, seen_until) VALUES ('acct_1', 'UTC', 'USD', ` + until + `)`,
			`INSERT INTO daily_marks (account_id, day_on, rolled_at) VALUES ('acct_1', '2025-03-05', 1)`,
			`INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, created_at) VALUES ('acct_1', 'd1', 'Lead', 'lead', TRUE, 'lead', TRUE, 0)`,
			`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES ('acct_1', 'agent_1', 'Kim', '+13125550200', 0)`,
			`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES ('acct_1', 'agent_1', '+13125550200', 0)`,
			`INSERT INTO tags (account_id, tag_id, name, folded, created_at) VALUES ('acct_1', 't1', 'T', 't', 0)`,
			`INSERT INTO pools (account_id, pool_id, name, created_at) VALUES ('acct_1', 'pool_1', 'P', 0)`,
			`INSERT INTO rates (account_id, currency, to_currency, day, rate, created_at, updated_at) VALUES ('acct_1', 'EUR', 'USD', '2025-03-01', '1.1', 0, 0)`,
			`INSERT INTO sites (account_id, site_id, name, site_key, created_at) VALUES ('acct_1', 'site_1', 'S', 'k', 0)`,
			`INSERT INTO swap_pages (account_id, site_id, page, first_session_at, last_session_at) VALUES ('acct_1', 'site_1', '/', ` + from + `, ` + from + `)`,
			rows(`calls`, `call_id, provider, provider_call_id, outcome, from_kind, from_e164, tracking_number, answered_by, started_at, ended_at, updated_at`,
				`'n' || i, 't', 'n' || i, CASE WHEN i % 3 = 0 THEN 'abandoned' ELSE 'answered' END, 'e164', CASE WHEN i % 5 > 0 THEN '+1312' || i / 3 END, '+13125550100', '+13125550200', at, at + 1, at`),
			rows(`attributions`, `call_id, verdict, method, confidence, visitor_confidence, source, visitor_id, touch_id, pool_id, candidates, model_version, attributed_at`,
				`'n' || i, 'winner', 'lease', 1, 1, 'google', 'v' || i, 'n' || i, 'pool_1', '[{"visitor_id":"v' || i || '","weight":0.9}]', '1', at`),
			rows(`call_desks`, `call_id, version, disposition_id, score_ppm, scores, updated_at`, `'n' || i, 1, 'd1', 500000, 1, at`),
			rows(`call_dispositions`, `judgement_id, call_id, disposition_id, given_at, given_by`, `'n' || i, 'n' || i, 'd1', at, 'u'`),
			rows(`call_tags`, `call_id, tag_id, tagged_at, tagged_by`, `'n' || i, 't1', at, 'u'`),
			rows(`sales`, `sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by, refund_of`,
				`'n' || i, 'n' || i, '+1312' || i / 3, CASE WHEN i % 7 = 0 THEN -100 ELSE 100 END, CASE WHEN i % 2 = 0 THEN 'EUR' ELSE 'USD' END, at, at, 'u', CASE WHEN i % 7 = 0 THEN 'n' || (i - 2) ELSE '' END`),
			rows(`outcomes`, `outcome_id, person, call_id, lead_at, qualified_at, won_at, imported_at`, `'n' || i, '+1312' || i / 3, CASE i % 4 WHEN 0 THEN 'n' || i ELSE '' END, at, at, at, at`),
			rows(`touches`, `touch_id, person, touched_at, source, created_at`, `'n' || i, 'v' || i, at, 'google', at`),
			rows(`person_links`, `alias, person, linked_at, call_id`, `'v' || i, '+1312' || i / 3, at, 'n' || i`),
			rows(`enquiries`, `enquiry_id, person, kind, at, answered_at, source, recorded_at, recorded_by`, `'n' || i, 'v' || i, 'form', at, at + 1, 'bing', at, 'u'`),
			rows(`legs`, `call_id, leg_ref, number, status, ringing_at, ended_at`, `'n' || i, 'l', '+13125550200', 'completed', at, at + 1`),
			rows(`callbacks`, `callback_id, call_id, called_at, connected, called_by`, `'n' || i, 'n' || i, at + 1, TRUE, 'u'`),
			rows(`feedback`, `feedback_id, call_id, person, kind, value, given_at`, `'n' || i, 'n' || i, '+1312' || i / 3, 'nps', i % 11, at`),
			rows(`referrals`, `referral_id, referrer, referred, referred_at, recorded_by`, `'n' || i, '+1312' || i, '+1312' || (i / 3 + 1), at, 'u'`),
			rows(`scores`, `score_id, call_id, scorecard_id, scorecard_version, scorer, marks, points_ppm, auto_failed, scored_at`, `'n' || i, 'n' || i, 'c', 1, 'u', '{}', 500000, FALSE, at`),
			rows(`notes`, `note_id, call_id, text, written_at, written_by`, `'n' || i, 'n' || i, 'x', at, 'u'`),
			rows(`recordings`, `recording_id, call_id, provider, provider_ref, kind, state`, `'n' || i, 'n' || i, 't', 'n' || i, 'call', 'kept'`),
			rows(`lead_scores`, `call_id, model_version, probability, facts, scored_at`, `'n' || i, 1, 0.5, '[]', at`),
			rows(`sessions`, `session_id, visitor_id, site_id, pool_id, lent, started_at, last_beat_at`, `'n' || i, 'v' || i, 'site_1', 'pool_1', 'leased', at, at`),
			rows(`leases`, `lease_id, number, pool_id, session_id, visitor_id, touch_id, leased_from, last_beat_at, leased_until`, `'n' || i, '+13125550100', 'pool_1', 'n' || i, 'v' || i, 'n' || i, at, at, at + 1`),
			rows(`daily_calls`, `call_id, day_on, started_at, caller`, `'n' || i, '2025-03-' || (10 + i % 20), at, '+1312' || i / 3`),
			rows(`daily_facts`, `day_on, source_id, source, medium, campaign, calls, answered, missed, blocked, first_time, qualified`,
				`(2017 + i / 250) || '-03-' || (10 + i % 20), '', 'google' || i, '', '', 1, 1, 0, 0, 1, 0`),
			rows(`daily_sales`, `day_on, source_id, source, medium, campaign, sales, valued, revenue_micros, contribution_micros, squares, no_margin, unlike`,
				`(2017 + i / 250) || '-03-' || (10 + i % 20), '', 'google' || i, '', '', 1, 1, 100, 0, 1, 1, 0`),
			rows(`daily_earnings`, `day_on, source_id, source, medium, campaign, days, sales, revenue_micros, unlike`,
				`(2017 + i / 250) || '-03-' || (10 + i % 20), '', 'google' || i, '', '', 30, 1, 100, 0`),
			rows(`spend`, `spend_id, source, from_on, until_on, cost_micros, currency, created_at, updated_at`,
				`'n' || i, 'google' || i, (2017 + i / 250) || '-03-01', (2017 + i / 250) || '-03-02', 1, 'USD', at, at`),
			rows(`swap_days`, `site_id, page, day, sessions`, `'site_1', '/' || i % 3, at, 1`),
			rows(`swap_failures`, `site_id, page, day, why, failed`, `'site_1', '/' || i % 3, at, 'noswap', 1`),
		} {
			if _, err := tx.Exec(ctx, text); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// countRows has the database count its rows, and makes it believe in a thousand
// times as many: so many that reading a whole table is never the cheapest.
func countRows(t *testing.T, db *store.DB, url string) *store.DB {
	t.Helper()
	texts := []string{
		`SET LOCAL default_statistics_target = 10`, // few frequent values, which would be as frequent in a thousand times as many rows
		`ANALYZE`,
		`UPDATE pg_class SET reltuples = reltuples * 1000 WHERE reltuples >= 100 AND relnamespace = 'public'::regnamespace`,
	}
	if db.Dialect().Name() == "sqlite" {
		texts = []string{`ANALYZE`, `UPDATE sqlite_stat1 SET stat = replace(stat, '2000', '2000000')`}
	}
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, text := range texts {
			if _, err := tx.Exec(ctx, text); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	again, err := store.Open(url) // SQLite reads its counts when it opens the file
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// An export is read in the order in which it is written: nothing is sorted, and
// each page begins where the one before ended.
func TestCallsAreListedWithoutSortingThemAll(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		db, err := store.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { db.Close() }()
		fillBounded(t, db)
		db = countRows(t, db, url)
		for _, query := range []CallQuery{
			{},
			{From: boundedFrom, Until: boundedUntil},
			{After: CallPlace{StartedAt: store.Micros(boundedFrom), CallID: "c"}},
			{From: boundedFrom, Until: boundedUntil, After: CallPlace{StartedAt: store.Micros(boundedUntil), CallID: "c"}, Outcome: "missed", Source: "google"},
		} {
			query.Limit = exportPage
			w := explained{DB: db, plans: map[string][]string{}}
			if _, err := readCalls(context.Background(), explainer{db, w}, "acct_1", query); err != nil {
				t.Fatal(err)
			}
			pages := 0
			for text, plan := range w.plans {
				if !strings.Contains(text, "ORDER BY c.started_at DESC") {
					continue // what a page's calls have many of
				}
				pages++
				steps := strings.Join(plan, "\n")
				if strings.Contains(steps, "TEMP B-TREE FOR ORDER BY") || strings.Contains(steps, "Sort Key: c.") || !strings.Contains(steps, "calls_started") {
					t.Errorf("%+v: got\n%s\nfor %s", query, steps, text)
				}
			}
			if pages != 1 {
				t.Errorf("%+v: %d statements list calls, want one", query, pages)
			}
		}
	})
}

// A page of the calls behind a figure reads the days that it is made of, wherever
// in the years it is, and an export reads every day once.
func TestAPageOfAFigureReadsItsDaysOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		fillBounded(t, db)
		read := 0
		calls := Calls{db: explained{db, map[string][]string{}, &read}}
		q := CallQuery{Momentum: "opportunities", From: boundedFrom.AddDate(-8, 0, 0), Until: boundedUntil, Now: boundedUntil, Limit: 10}
		for _, after := range []time.Time{{}, boundedFrom.AddDate(-4, 0, 0)} {
			if !after.IsZero() {
				q.After = CallPlace{StartedAt: store.Micros(after), CallID: "x"}
			}
			read = 0
			rows, err := calls.List(context.Background(), "acct_1", q)
			if err != nil || len(rows) != q.Limit+1 {
				t.Fatalf("got %d calls and %v, want %d", len(rows), err, q.Limit+1)
			}
			// A call every 36 hours, and of each what it has many of.
			if read > 400 {
				t.Errorf("after %v: %d rows were read for %d calls", after, read, len(rows))
			}
		}
		// So does a page of one segment, which everybody is in here.
		q.By, q.Segment, read = Source, "google", 0
		if rows, err := calls.List(context.Background(), "acct_1", q); err != nil || len(rows) != q.Limit+1 || read > 400 {
			t.Errorf("of a segment: %d rows were read for %d calls, %v", read, len(rows), err)
		}
		read, q.After = 0, CallPlace{}
		told := 0
		if err := calls.Each(context.Background(), "acct_1", q, func(CallRow) error { told++; return nil }); err != nil {
			t.Fatal(err)
		}
		if told < 1900 || read > 20*told {
			t.Errorf("%d rows were read for %d calls", read, told)
		}
	})
}
