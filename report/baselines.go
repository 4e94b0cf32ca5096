package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Baseline is a period that momentum is measured against, frozen with its
// yardsticks and its counts: later facts do not change it. A moved yardstick is
// a new baseline.
type Baseline struct {
	ID         string
	Version    int64 // counts up; the highest is the account's present one
	From       time.Time
	Until      time.Time
	TZ         string
	Yardsticks Yardsticks
	Counts     Counts
	Automatic  bool // frozen by the first report rather than by a person
	CreatedBy  string
	CreatedAt  time.Time

	segments map[Dimension]Segments
	charts   map[string]chart
}

// period is the baseline's range.
func (b Baseline) period() Period {
	zone, err := loadZone(b.TZ)
	if err != nil {
		zone = time.UTC
	}
	return Period{From: b.From, Until: b.Until, Zone: zone}
}

// BaselineRequest asks for a baseline to be frozen. From and Until are instants
// or dates of the account's zone. Yardsticks are all of them: start from
// [Desk.Yardsticks] to move one. The wait that halves goodwill is kept only where
// it comes from a person ([HalfSet]); otherwise the callers' patience up to Until
// decides.
type BaselineRequest struct {
	AccountID  string
	From       string
	Until      string
	Yardsticks Yardsticks
	Actor      string
}

type baselineRow struct {
	ID         string     `db:"baseline_id"`
	Version    int64      `db:"version"`
	From       store.Time `db:"from_at"`
	Until      store.Time `db:"until_at"`
	TZ         string     `db:"tz"`
	Yardsticks string     `db:"yardsticks"`
	Counts     string     `db:"counts"`
	Segments   string     `db:"segments"`
	Charts     string     `db:"charts"`
	Automatic  bool       `db:"automatic"`
	CreatedBy  string     `db:"created_by"`
	CreatedAt  store.Time `db:"created_at"`
}

const selectBaselines = `
	SELECT baseline_id, version, from_at, until_at, tz, yardsticks, counts, segments, charts, automatic, created_by, created_at
	FROM baselines WHERE account_id = ?`

func (r baselineRow) baseline() (Baseline, error) {
	b := Baseline{
		ID: r.ID, Version: r.Version, From: r.From.Time, Until: r.Until.Time, TZ: r.TZ, Automatic: r.Automatic,
		CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt.Time,
	}
	for _, part := range []struct {
		text string
		into any
	}{{r.Yardsticks, &b.Yardsticks}, {r.Counts, &b.Counts}, {r.Segments, &b.segments}, {r.Charts, &b.charts}} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return b, fmt.Errorf("read baseline %s: %w", r.ID, err)
		}
	}
	b.Yardsticks = b.Yardsticks.asFrozen()
	// A chart of kept without a spread is of whole refunds; days are no longer
	// counted so.
	if b.charts[partKept].Spread == 0 {
		delete(b.charts, partKept)
	}
	return b, nil
}

// currentBaseline returns the account's present baseline, nil when there is none.
func currentBaseline(ctx context.Context, db store.Querier, accountID string) (*Baseline, error) {
	list, err := readBaselines(ctx, db, selectBaselines+` ORDER BY version DESC LIMIT 1`, accountID)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func readBaselines(ctx context.Context, db store.Querier, query string, args ...any) ([]Baseline, error) {
	var rows []baselineRow
	if err := db.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read baselines: %w", err)
	}
	list := make([]Baseline, len(rows))
	for i, r := range rows {
		b, err := r.baseline()
		if err != nil {
			return nil, err
		}
		list[i] = b
	}
	return list, nil
}

// Baselines lists the account's baselines, the present one first, those with a
// version below before (0 for all).
func (d *Desk) Baselines(ctx context.Context, accountID string, before int64, limit int) ([]Baseline, error) {
	return readBaselines(ctx, d.db, selectBaselines+` AND (? = 0 OR version < ?) ORDER BY version DESC LIMIT ?`, accountID, before, before, limit)
}

// BaselineByID returns one baseline, or NotFound.
func (d *Desk) BaselineByID(ctx context.Context, accountID, id string) (Baseline, error) {
	return baselineByID(ctx, d.db, accountID, id)
}

func baselineByID(ctx context.Context, db store.Querier, accountID, id string) (Baseline, error) {
	list, err := readBaselines(ctx, db, selectBaselines+` AND baseline_id = ?`, accountID, id)
	if err != nil {
		return Baseline{}, err
	}
	if len(list) == 0 {
		return Baseline{}, callwheel.Errorf(callwheel.NotFound, "no such baseline")
	}
	return list[0], nil
}

// Yardsticks returns those of the account's present baseline, or the defaults.
func (d *Desk) Yardsticks(ctx context.Context, accountID string) (Yardsticks, error) {
	current, err := currentBaseline(ctx, d.db, accountID)
	if err != nil {
		return Yardsticks{}, err
	}
	return current.yardsticks(), nil
}

func (b *Baseline) yardsticks() Yardsticks {
	if b == nil {
		return DefaultYardsticks()
	}
	return b.Yardsticks
}

// FreezeBaseline counts a period and keeps it as the account's present
// baseline. It fails with kind Invalid, naming the fields, for a range that
// cannot be read, is not over, or has too few attempts to compare with, and for
// yardsticks that cannot be.
func (d *Desk) FreezeBaseline(ctx context.Context, q BaselineRequest) (Baseline, error) {
	if bad := checkRange(q.From, q.Until, ""); q.From == "" || q.Until == "" || len(bad) > 0 {
		if len(bad) == 0 {
			bad = []callwheel.FieldError{{Field: "from", Message: "from and until must both be given"}}
		}
		return Baseline{}, callwheel.InvalidFields(bad)
	}
	if err := q.Yardsticks.Check(); err != nil {
		return Baseline{}, err
	}
	var b Baseline
	err := d.db.InSnapshot(ctx, func(ctx context.Context, db store.Querier) error {
		a, err := readAccount(ctx, db, q.AccountID)
		if err != nil {
			return err
		}
		p, err := span(q.From, q.Until, "", a.zone, d.now())
		if err != nil {
			return err
		}
		if p.Until.After(d.now()) {
			return callwheel.InvalidField("until", "must not be after now: a baseline is frozen")
		}
		held, err := readPatience(ctx, db, a, q.Yardsticks, p.Until)
		if err != nil {
			return err
		}
		near := nearness{shown: []span64{p.micros()}, segmented: true}
		w, err := readWheel(ctx, db, a, q.Yardsticks.patient(held), p.From, p.Until, d.now(), near)
		if err != nil {
			return err
		}
		b = w.baseline(p)
		if c := Compare(b.Counts, b.Counts); !c.Enough {
			// Other parts may be missing; what stands in the way is told of speed.
			gap := slices.IndexFunc(c.Missing, func(g Gap) bool { return g.Part == partSpeed })
			return callwheel.InvalidField("from", "%s", c.Missing[gap].Message)
		}
		return nil
	})
	if err != nil {
		if callwheel.KindOf(err) == callwheel.Invalid {
			return Baseline{}, err
		}
		return Baseline{}, fmt.Errorf("freeze baseline: %w", err)
	}
	b.CreatedBy = q.Actor
	kept, _, err := d.keepBaseline(ctx, q.AccountID, b)
	return kept, err
}

// baseline is a period as counted now.
func (w *wheel) baseline(p Period) Baseline {
	b := Baseline{
		From: p.From, Until: p.Until, TZ: p.Zone.String(), Yardsticks: w.by, Counts: w.counts(p),
		segments: map[Dimension]Segments{}, charts: map[string]chart{},
	}
	for _, by := range momentumSegments {
		b.segments[by] = w.segments(p, w.groupBy(by))
	}
	measured := b.Counts.gauges()
	for joint, of := range w.daily(p) {
		if c, ok := newChart(of.days, of.spread); ok && len(measured[joint].gaps) == 0 {
			b.charts[joint] = c
		}
	}
	return b
}

// keepBaseline writes a baseline as the next version. An automatic one is kept
// only where there is none yet; kept says whether it was.
func (d *Desk) keepBaseline(ctx context.Context, accountID string, b Baseline) (out Baseline, kept bool, err error) {
	var texts [4]string
	for i, part := range []any{b.Yardsticks, b.Counts, b.segments, b.charts} {
		text, err := json.Marshal(part)
		if err != nil {
			return b, false, fmt.Errorf("keep baseline: %w", err)
		}
		texts[i] = string(text)
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The account's row is locked, so that versions follow each other.
		if _, err := tx.Exec(ctx, `UPDATE accounts SET account_id = account_id WHERE account_id = ?`, accountID); err != nil {
			return err
		}
		var last int64
		if err := tx.Get(ctx, &last, `SELECT COALESCE(max(version), 0) FROM baselines WHERE account_id = ?`, accountID); err != nil {
			return err
		}
		if kept = !b.Automatic || last == 0; !kept {
			return nil
		}
		b.Version, b.CreatedAt = last+1, d.now().UTC().Truncate(time.Microsecond)
		b.ID = callwheel.DerivedID("base", accountID, fmt.Sprint(b.Version))
		_, err := tx.Exec(ctx, `
			INSERT INTO baselines (account_id, baseline_id, version, from_at, until_at, tz, yardsticks, counts, segments, charts, automatic, created_by, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			accountID, b.ID, b.Version, store.Micros(b.From), store.Micros(b.Until), b.TZ, texts[0], texts[1], texts[2], texts[3],
			b.Automatic, b.CreatedBy, store.Micros(b.CreatedAt))
		return err
	})
	if err != nil {
		return b, false, fmt.Errorf("keep baseline: %w", err)
	}
	return b, kept, nil
}

// yearAgo asks for the same weeks a year ago.
const yearAgo = "year_ago"

// isBaselineID says whether a baseline is named rather than spelled out.
func isBaselineID(text string) bool { return strings.HasPrefix(text, "base_") }

// sameWeeks is the range 52 weeks before: the same days of the week.
func sameWeeks(p Period) Period {
	back := func(t time.Time) time.Time {
		local := t.In(p.Zone)
		start := dayStart(dateOf(t, p.Zone), p.Zone)
		return dayStart(dateOf(local, p.Zone).AddDate(0, 0, -364), p.Zone).Add(t.Sub(start))
	}
	return Period{From: back(p.From), Until: back(p.Until), Zone: p.Zone}
}

// baselineOf returns the baseline that a question means: as it is frozen, or
// only its period, which is counted now. asked says whether the question names
// it; otherwise it is the account's present one, and without one the same weeks
// a year ago when the account is old enough, else the 90 days before the range,
// or as many of them as the account has.
func baselineOf(ctx context.Context, db store.Querier, text string, accountID string, p Period, current *Baseline) (frozen *Baseline, counted Period, err error) {
	switch {
	case isBaselineID(text):
		b, err := baselineByID(ctx, db, accountID, text)
		if callwheel.KindOf(err) == callwheel.NotFound {
			return nil, p, callwheel.InvalidField("baseline", "there is no such baseline")
		}
		return &b, p, err
	case text == yearAgo:
		return nil, sameWeeks(p), nil
	case text != "":
		counted, err := baselineRange(text, p)
		return nil, counted, err
	case current != nil:
		return current, p, nil
	}
	var first *int64
	if err := db.Get(ctx, &first, `SELECT min(started_at) FROM calls WHERE account_id = ? AND direction = 'inbound'`, accountID); err != nil {
		return nil, p, fmt.Errorf("read the account's first call: %w", err)
	}
	year := sameWeeks(p)
	before := Period{From: dayStart(dateOf(p.From, p.Zone).AddDate(0, 0, -int(returnDays)), p.Zone), Until: p.From, Zone: p.Zone}
	if first == nil {
		return nil, before, nil
	}
	began := dayStart(dateOf(time.UnixMicro(*first), p.Zone), p.Zone)
	switch {
	case !began.After(year.From):
		return nil, year, nil
	case began.After(before.From) && began.Before(before.Until):
		before.From = began
	}
	return nil, before, nil
}

func baselineRange(text string, p Period) (Period, error) {
	first, last, _ := strings.Cut(text, "/")
	from, err := bound(first, p.Zone)
	if err != nil {
		return Period{}, callwheel.InvalidField("baseline", "%v", err)
	}
	until, err := bound(last, p.Zone)
	if err != nil {
		return Period{}, callwheel.InvalidField("baseline", "%v", err)
	}
	if !from.Before(until) || until.Sub(from) > maxRangeDays*24*time.Hour {
		return Period{}, callwheel.InvalidField("baseline", "must begin before it ends and have at most %d days", maxRangeDays)
	}
	return Period{From: from, Until: until, Zone: p.Zone}, nil
}
