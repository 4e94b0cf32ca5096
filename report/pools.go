package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
)

// Pools is the answer of the report about number pools.
type Pools struct {
	Head
	Rows   []PoolRow `json:"rows"`
	Totals PoolRow   `json:"totals"`
}

// PoolRow is how one pool did. What is not available is nil.
type PoolRow struct {
	PoolID           string   `json:"pool_id"`
	Pool             string   `json:"pool"`
	Numbers          *float64 `json:"numbers" doc:"Numbers that belonged to it, on average over the range"`
	Utilisation      *float64 `json:"utilisation" doc:"Share of its numbers' time in which they were lent"`
	Visitors         int64    `json:"visitors" doc:"Sessions that wanted a number"`
	Overflow         int64    `json:"overflow" doc:"Of them, those that never had one of their own"`
	OverflowShare    *float64 `json:"overflow_share"`
	Capped           int64    `json:"capped" doc:"Of the overflow, those whose address had had its share"`
	ReuseGapMinutes  *float64 `json:"reuse_gap_minutes" doc:"Mean time from a visitor's last look until somebody else was shown the number"`
	Calls            int64    `json:"calls" doc:"Calls of its numbers"`
	Contaminated     int64    `json:"contaminated" doc:"Of them, those by a known caller of somebody else's number"`
	ExpectedAccuracy *float64 `json:"expected_accuracy" doc:"Share of calls that are expected to come before their number is shown to somebody else"`
}

var poolFigures = []string{
	"numbers", "utilisation", "visitors", "overflow", "overflow_share", "capped", "reuse_gap_minutes", "calls", "contaminated", "expected_accuracy",
}

// leaseMargin bounds how long before the range a lease may have begun that still
// counts in it, and how long after it a number may be shown again: a page that
// stays open for longer is cut, and a later reuse is none.
const leaseMargin = 8 * 24 * time.Hour

// poolSums gathers one pool's row.
type poolSums struct {
	row           PoolRow
	owned, lent   float64 // number-hours
	gaps          int64
	gapHours      float64
	releases      int64
	accurate      float64 // expected calls that come in time, a release each
	hours         float64 // of the range
	lastOfNumbers map[string]poolLease
}

type poolLease struct {
	PoolID    string `db:"pool_id"`
	Number    string `db:"number"`
	VisitorID string `db:"visitor_id"`
	From      int64  `db:"leased_from"`
	LastBeat  int64  `db:"last_beat_at"`
	Until     int64  `db:"leased_until"`
}

// Pools answers how the number pools did: enough numbers, and numbers that come
// round again late enough. Of the query only the range and the zone are used.
// Errors as for Attribution.
func (d *Desk) Pools(ctx context.Context, q Query) (*Pools, error) {
	var answer *Pools
	q = Query{AccountID: q.AccountID, From: q.From, Until: q.Until, TZ: q.TZ}
	err := d.ask(ctx, "pools", q, func(ctx context.Context, db store.Querier, qu question) error {
		now := d.now()
		sums, err := gatherPools(ctx, db, qu, now)
		if err != nil {
			return err
		}
		answer = answerPools(sums, qu, now)
		return nil
	})
	return answer, err
}

func gatherPools(ctx context.Context, db store.Querier, qu question, now time.Time) ([]*poolSums, error) {
	var pools []struct {
		ID   string `db:"pool_id"`
		Name string `db:"name"`
	}
	// A pool that was retired before the range began has nothing to say of it.
	err := db.Select(ctx, &pools, `
		SELECT pool_id, name FROM pools
		WHERE account_id = ? AND created_at < ? AND (retired_at IS NULL OR retired_at > ?)
		ORDER BY pool_id`, qu.AccountID, store.Micros(qu.period.Until), store.Micros(qu.period.From))
	if err != nil {
		return nil, fmt.Errorf("read pools: %w", err)
	}
	var list []*poolSums
	for _, p := range pools {
		one := &poolSums{row: PoolRow{PoolID: p.ID, Pool: p.Name}, lastOfNumbers: map[string]poolLease{}}
		for _, read := range []func(context.Context, store.Querier, question, time.Time) error{one.addNumbers, one.addLeases, one.addSessions, one.addCalls} {
			if err := read(ctx, db, qu, now); err != nil {
				return nil, err
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// overlap returns how many hours of [from, until) lie in the part of the range
// that has been.
func overlap(qu question, now time.Time, from, until int64) float64 {
	from = max(from, store.Micros(qu.period.From))
	until = min(until, store.Micros(qu.period.Until), store.Micros(now))
	return float64(max(until-from, 0)) / float64(time.Hour/time.Microsecond)
}

// addNumbers adds the time in which numbers belonged to the pool, by what they
// stood for when.
func (s *poolSums) addNumbers(ctx context.Context, db store.Querier, qu question, now time.Time) error {
	var bindings []struct {
		Number string `db:"number"`
		From   int64  `db:"bound_from"`
		PoolID string `db:"pool_id"`
	}
	err := db.Select(ctx, &bindings, `
		SELECT number, bound_from, pool_id FROM number_bindings
		WHERE account_id = ? AND number IN (SELECT number FROM number_bindings WHERE account_id = ? AND pool_id = ?)
		ORDER BY number, bound_from`, qu.AccountID, qu.AccountID, s.row.PoolID)
	if err != nil {
		return fmt.Errorf("read numbers of pool: %w", err)
	}
	for i, b := range bindings {
		until := int64(math.MaxInt64)
		if i+1 < len(bindings) && bindings[i+1].Number == b.Number {
			until = bindings[i+1].From
		}
		if b.PoolID == s.row.PoolID {
			s.owned += overlap(qu, now, b.From, until)
		}
	}
	s.hours = overlap(qu, now, 0, math.MaxInt64)
	return nil
}

// addLeases adds the time lent, and what came of every release: how long until
// somebody else was shown the number.
func (s *poolSums) addLeases(ctx context.Context, db store.Querier, qu question, now time.Time) error {
	delays, err := delaysOf(ctx, db, qu.AccountID)
	if err != nil {
		return err
	}
	rows, err := db.Rows(ctx, `
		SELECT pool_id, number, visitor_id, leased_from, last_beat_at, leased_until FROM leases
		WHERE account_id = ? AND pool_id = ? AND leased_from >= ? AND leased_from < ?
		ORDER BY number, leased_from, lease_id`,
		qu.AccountID, s.row.PoolID, store.Micros(qu.period.From.Add(-leaseMargin)), store.Micros(qu.period.Until.Add(leaseMargin)))
	if err != nil {
		return fmt.Errorf("read leases of pool: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l poolLease
		if err := rows.StructScan(&l); err != nil {
			return fmt.Errorf("read leases of pool: %w", err)
		}
		s.lent += overlap(qu, now, l.From, l.Until)
		if before, seen := s.lastOfNumbers[l.Number]; seen && before.VisitorID != l.VisitorID {
			s.release(qu, before, &l, delays)
		}
		s.lastOfNumbers[l.Number] = l
	}
	for _, last := range s.lastOfNumbers {
		s.release(qu, last, nil, delays)
	}
	return rows.Err()
}

// release counts one visitor's last look at a number, if it was in the range. A
// number that nobody else was shown since has not been reused.
func (s *poolSums) release(qu question, l poolLease, next *poolLease, delays []attribution.DelayPart) {
	if !qu.period.contains(l.LastBeat) {
		return
	}
	s.releases++
	if next == nil {
		s.accurate++
		return
	}
	gap := float64(max(next.From-l.LastBeat, 0)) / float64(time.Hour/time.Microsecond)
	s.gaps++
	s.gapHours += gap
	s.accurate += attribution.GapAccuracy(gap, delays)
}

func (s *poolSums) addSessions(ctx context.Context, db store.Querier, qu question, _ time.Time) error {
	err := db.Get(ctx, &s.row, `
		SELECT count(session_id) AS visitors,
			COALESCE(sum(CASE WHEN lent <> 'leased' THEN 1 ELSE 0 END), 0) AS overflow,
			COALESCE(sum(CASE WHEN lent = 'capped' THEN 1 ELSE 0 END), 0) AS capped
		FROM sessions
		WHERE account_id = ? AND pool_id = ? AND started_at >= ? AND started_at < ?`,
		qu.AccountID, s.row.PoolID, store.Micros(qu.period.From), store.Micros(qu.period.Until))
	if err != nil {
		return fmt.Errorf("count sessions of pool: %w", err)
	}
	return nil
}

// delaysOf reads how long the account's callers wait by its newest delay model;
// what is assumed of everybody where it has none.
func delaysOf(ctx context.Context, db store.Querier, accountID string) ([]attribution.DelayPart, error) {
	var parameters string
	err := db.Get(ctx, &parameters, `
		SELECT parameters FROM delay_models WHERE account_id = ? ORDER BY version DESC LIMIT 1`, accountID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return attribution.DefaultDelays().Parts, nil
	}
	var model attribution.Delays
	if err == nil {
		err = json.Unmarshal([]byte(parameters), &model)
	}
	if err != nil {
		return nil, fmt.Errorf("read delay model: %w", err)
	}
	return model.Parts, nil
}

func (s *poolSums) addCalls(ctx context.Context, db store.Querier, qu question, _ time.Time) error {
	err := db.Get(ctx, &s.row, `
		SELECT count(c.call_id) AS calls, COALESCE(sum(CASE WHEN a.contaminated THEN 1 ELSE 0 END), 0) AS contaminated
		FROM calls c
		JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
			AND COALESCE(c.outcome, '') <> 'blocked' AND a.pool_id = ?`,
		qu.AccountID, store.Micros(qu.period.From), store.Micros(qu.period.Until), s.row.PoolID)
	if err != nil {
		return fmt.Errorf("count calls of pool: %w", err)
	}
	return nil
}

func answerPools(list []*poolSums, qu question, now time.Time) *Pools {
	a := &Pools{Head: head("pools", qu.period, qu.account.Currency, now, poolFigures), Rows: []PoolRow{}}
	var total poolSums
	for _, s := range list {
		a.Rows = append(a.Rows, s.figures())
		total.add(s)
	}
	slices.SortFunc(a.Rows, func(x, y PoolRow) int {
		return cmp.Or(cmp.Compare(fold(x.Pool), fold(y.Pool)), cmp.Compare(x.PoolID, y.PoolID))
	})
	a.Totals = total.figures()
	return a
}

func (s *poolSums) add(o *poolSums) {
	s.owned, s.lent, s.hours = s.owned+o.owned, s.lent+o.lent, o.hours
	s.gaps, s.gapHours = s.gaps+o.gaps, s.gapHours+o.gapHours
	s.releases, s.accurate = s.releases+o.releases, s.accurate+o.accurate
	s.row.Visitors += o.row.Visitors
	s.row.Overflow += o.row.Overflow
	s.row.Capped += o.row.Capped
	s.row.Calls += o.row.Calls
	s.row.Contaminated += o.row.Contaminated
}

func (s *poolSums) figures() PoolRow {
	r := s.row
	r.Numbers = number(s.owned / s.hours)
	r.Utilisation = number(s.lent / s.owned)
	r.OverflowShare = number(float64(r.Overflow) / float64(r.Visitors))
	r.ReuseGapMinutes = number(60 * s.gapHours / float64(s.gaps))
	r.ExpectedAccuracy = number(s.accurate / float64(s.releases))
	return r
}

// Table returns the report as a table.
func (a *Pools) Table() Table {
	t := Table{Title: "Pools", Rows: [][]string{}, Facts: a.facts(), Columns: []Column{
		{"pool", true},
		{Name: "numbers"},
		{Name: "utilisation"},
		{Name: "visitors"},
		{Name: "overflow"},
		{Name: "overflow_share"},
		{Name: "capped"},
		{Name: "reuse_gap_minutes"},
		{Name: "calls"},
		{Name: "contaminated"},
		{Name: "expected_accuracy"},
	}}
	for _, r := range a.Rows {
		t.Rows = append(t.Rows, r.texts(r.Pool))
	}
	t.Totals = a.Totals.texts("total")
	return t
}

func (r PoolRow) texts(name string) []string {
	return []string{
		name, numberText(r.Numbers), numberText(r.Utilisation), countText(r.Visitors), countText(r.Overflow), numberText(r.OverflowShare),
		countText(r.Capped), numberText(r.ReuseGapMinutes), countText(r.Calls), countText(r.Contaminated), numberText(r.ExpectedAccuracy),
	}
}
