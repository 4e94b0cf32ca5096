package report

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// planned is a database that says of every statement how SQLite will find its
// rows.
type planned struct {
	store.Querier
	seen map[string]string // statement → plan
}

func (p planned) note(ctx context.Context, query string, args []any) error {
	var steps []struct {
		ID, Parent, Notused int
		Detail              string
	}
	if err := p.Querier.Select(ctx, &steps, `EXPLAIN QUERY PLAN `+query, args...); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	for _, s := range steps {
		p.seen[query] += s.Detail + "\n"
	}
	return nil
}

func (p planned) Select(ctx context.Context, dest any, query string, args ...any) error {
	if err := p.note(ctx, query, args); err != nil {
		return err
	}
	return p.Querier.Select(ctx, dest, query, args...)
}

// Tables that grow with every call, and the names that statements give them.
// Found by the account alone they would be read from the first day on.
const growing = `(?:calls|attributions|call_desks|call_dispositions|sales|outcomes|touches|person_links|daily_\w+|spend|[aceksr])`

var (
	scanned  = regexp.MustCompile(`(?m)^SCAN ` + growing + `\b.*$`)
	unbroken = regexp.MustCompile(`(?m)^SEARCH ` + growing + ` .*\(account_id=\?\).*$`)
)

// allowed are reads that the account alone bounds: a row an account.
func allowed(step string) bool { return strings.Contains(step, "daily_states") }

func (p planned) check(t *testing.T, what string) {
	t.Helper()
	if len(p.seen) == 0 {
		t.Errorf("%s: no statement was seen", what)
	}
	for query, plan := range p.seen {
		for _, step := range append(scanned.FindAllString(plan, -1), unbroken.FindAllString(plan, -1)...) {
			if !allowed(step) {
				t.Errorf("%s: %s\nin %s", what, step, clip(strings.Join(strings.Fields(query), " ")))
			}
		}
	}
}

// Only SQLite is asked: with a handful of rows PostgreSQL reads whole tables
// whatever their indexes, which are the same.
func TestReportsReadNoMoreThanTheirRange(t *testing.T) {
	t.Run("knowing nothing of the rows", func(t *testing.T) { noMoreThanTheRange(t, false) })
	t.Run("knowing how many there are", func(t *testing.T) { noMoreThanTheRange(t, true) })
}

func noMoreThanTheRange(t *testing.T, analysed bool) {
	url := storetest.SQLiteURL(t)
	db, err := store.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { db.Close() }()
	a := account{ID: "acct_1", TZ: "UTC", Currency: "USD", zone: time.UTC}
	period := Period{From: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC), Zone: time.UTC}
	day := "2025-03-05"
	err = db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, text := range []string{
			`INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES ('acct_1', 'A', 'UTC', 'USD', 0)`,
			`INSERT INTO daily_states (account_id, tz, currency, seen_until) VALUES ('acct_1', 'UTC', 'USD', ` + fmt.Sprint(store.Micros(period.Until)) + `)`,
			`INSERT INTO daily_marks (account_id, day_on, rolled_at) VALUES ('acct_1', '` + day + `', 1)`,
			`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by) VALUES ('acct_1', 's1', 'c1', '+13125550001', 1, 'EUR', ` + fmt.Sprint(store.Micros(period.From)) + `, 0, '')`,
			`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_e164, started_at, updated_at) VALUES ('acct_1', 'c1', 't', 'c1', '+13125550001', ` + fmt.Sprint(store.Micros(period.From)) + `, 0)`,
			`INSERT INTO outcomes (account_id, outcome_id, person, won_at, imported_at) VALUES ('acct_1', 'o1', '+13125550001', ` + fmt.Sprint(store.Micros(period.From)) + `, 0)`,
		} {
			if _, err := tx.Exec(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if analysed {
		db = analyse(t, db, url)
	}
	if a.exchange, err = readExchange(context.Background(), db, a); err != nil {
		t.Fatal(err)
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
	} {
		for _, fresh := range []bool{false, true} {
			q := planned{db, map[string]string{}}
			m, err := findModel(c.model, Query{}.With)
			if err != nil {
				t.Fatal(err)
			}
			s := newSheet(question{
				Query: Query{AccountID: a.ID, GroupBy: c.by, CreditFor: c.goal, Reading: Winner}, zone: time.UTC, period: period,
				model: m, window: 90 * 24 * time.Hour, account: a,
			})
			ctx, b := context.Background(), &book{}
			if _, err := freshDays(ctx, q, s.qu); err != nil {
				t.Fatal(err)
			}
			ready := cutOut(period, nil)
			if fresh && s.rollable() {
				ready = cutOut(period, map[string]bool{day: true})
			}
			if err := countCalls(ctx, q, b, s, ready); err != nil {
				t.Fatal(err)
			}
			if err := credit(ctx, q, b, s, nil, ready, true); err != nil {
				t.Fatal(err)
			}
			if err := addSpend(ctx, q, b, s); err != nil {
				t.Fatal(err)
			}
			q.check(t, fmt.Sprintf("%s for %s by %v, prepared %v", m.Name, c.goal, c.by, fresh))
		}
	}
}

// analyse adds rows, has SQLite count them and opens the database again, for it
// reads what it counted when it opens it.
func analyse(t *testing.T, db *store.DB, url string) *store.DB {
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		const rows = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT 'acct_1', `
		for _, text := range []string{
			`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_e164, started_at, updated_at) ` + rows + `'n' || i, 't', 'n' || i, '+1' || i, i, i FROM n`,
			`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source, model_version, attributed_at) ` + rows + `'n' || i, 'source', 'x', 1, 'google', '1', i FROM n`,
			`INSERT INTO call_desks (account_id, call_id, version, updated_at) ` + rows + `'n' || i, 1, i FROM n`,
			`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by) ` + rows + `'n' || i, 'n' || i, '+1' || i, 1, 'USD', i, i, '' FROM n`,
			`INSERT INTO outcomes (account_id, outcome_id, person, won_at, imported_at) ` + rows + `'n' || i, '+1' || i, i, i FROM n`,
			`INSERT INTO touches (account_id, touch_id, person, touched_at, source, created_at) ` + rows + `'n' || i, 'v' || i, i, 'google', i FROM n`,
			`INSERT INTO person_links (account_id, alias, person, linked_at) ` + rows + `'v' || i, '+1' || i, i FROM n`,
			`ANALYZE`,
			// So many that reading a table is never the cheapest.
			`UPDATE sqlite_stat1 SET stat = replace(replace(stat, '2000', '2000000'), '2001', '2000001')`,
			`DELETE FROM sqlite_stat1 WHERE tbl LIKE 'daily%' OR tbl = 'spend'`,
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
	db.Close()
	again, err := store.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// An export is read in the order in which it is written: nothing is sorted, and
// each page begins where the one before ended.
func TestCallsAreListedWithoutSortingThemAll(t *testing.T) {
	db, err := store.Open(storetest.SQLiteURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	from := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, query := range []CallQuery{
		{},
		{From: from, Until: from.AddDate(0, 1, 0)},
		{After: CallPlace{StartedAt: 1, CallID: "c"}},
		{From: from, Until: from.AddDate(0, 1, 0), After: CallPlace{StartedAt: 1, CallID: "c"}, Outcome: "missed", Source: "google"},
	} {
		query.Limit = exportPage
		q := planned{db, map[string]string{}}
		if _, err := readCalls(context.Background(), q, "acct_1", query); err != nil {
			t.Fatal(err)
		}
		for text, plan := range q.seen {
			if strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") || !strings.Contains(plan, "USING INDEX calls_started") {
				t.Errorf("%+v: got\n%s\nfor %s", query, plan, text)
			}
		}
	}
}
