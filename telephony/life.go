package telephony

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// moves is the life of a number. Whatever is not in the table does not happen;
// a number that was released may be bought again, but is another one then.
//
// A draining number is lent and printed no more, and rings as before: late
// callers get through and are attributed. A quarantined one rests: it still
// rings, and is given back once nobody has called it for NumbersConfig.QuietFor.
var moves = map[NumberState][]NumberState{
	NumberOrdered:     {NumberActive, NumberDraining, NumberQuarantined, NumberReleased},
	NumberActive:      {NumberDraining, NumberQuarantined, NumberReleased},
	NumberDraining:    {NumberActive, NumberQuarantined, NumberReleased},
	NumberQuarantined: {NumberActive, NumberDraining, NumberReleased},
	NumberReleased:    {},
}

// MayBecome says whether a number in state s can come into state next. From
// active straight to released go only numbers that were never confirmed.
func (s NumberState) MayBecome(next NumberState) bool { return slices.Contains(moves[s], next) }

// Tail is who still calls a number: what would be lost by giving it back. Calls
// that a rule refused do not count.
type Tail struct {
	Week, Month  int64      // calls in the last 7 and 28 days
	Callers      int64      // different identified callers of the 28 days
	Weeks        []int64    // calls of the last twelve weeks, oldest first
	LastCallAt   *time.Time // nil: nobody called in these weeks
	LastCaller   string     // E.164, "" when withheld
	Since        int64      // calls since the instant that was asked for
	QuietFor     time.Duration
	ReleasableAt time.Time // from when on it may be given back, if nobody calls again
	now          time.Time
}

// tailWeeks is how far a tail is shown.
const tailWeeks = 12

const week = 7 * 24 * time.Hour

// Quiet says whether nobody would miss the number.
func (t Tail) Quiet() bool { return !t.ReleasableAt.After(t.now) }

// refusal says why the number is not given back.
func (t Tail) refusal() string {
	by := "a withheld number"
	if t.LastCaller != "" {
		by = Mask(t.LastCaller)
	}
	return fmt.Sprintf("the number is still called: calls in the last 28 days: %d, by known callers: %d; the last on %s by %s. "+
		"It can be given back from %s on if nobody calls again, or at once with force and a reason",
		t.Month, t.Callers, t.LastCallAt.UTC().Format(time.DateOnly), by, t.ReleasableAt.UTC().Format(time.DateOnly))
}

// Tail says who still calls a number, and counts the calls since an instant: when
// it was last lent, say. NotFound when the account has none of this id.
func (n *Numbers) Tail(ctx context.Context, accountID, id string, since time.Time) (Tail, error) {
	row, err := numberByID(ctx, n.db, accountID, id, "")
	if err != nil {
		return Tail{}, err
	}
	t, err := n.tailOf(ctx, n.db, row, n.now())
	if err != nil || since.IsZero() {
		return t, err
	}
	if err := n.db.Get(ctx, &t.Since, callsSince, accountID, row.Number, store.Micros(since)); err != nil {
		return Tail{}, fmt.Errorf("count calls of number: %w", err)
	}
	return t, nil
}

func (n *Numbers) tailOf(ctx context.Context, q store.Querier, row numberRow, now time.Time) (Tail, error) {
	t := Tail{Weeks: make([]int64, tailWeeks), QuietFor: n.cfg.QuietFor, now: now}
	at := store.Micros(now)
	back := func(d time.Duration) int64 { return store.Micros(now.Add(-d)) }
	var sums struct {
		Week    int64 `db:"week"`
		Month   int64 `db:"month"`
		Callers int64 `db:"callers"`
	}
	err := q.Get(ctx, &sums, recentCalls, back(week), row.AccountID, row.Number, back(4*week))
	if err != nil {
		return Tail{}, fmt.Errorf("count calls of number: %w", err)
	}
	t.Week, t.Month, t.Callers = sums.Week, sums.Month, sums.Callers
	var weeks []struct {
		Ago int64 `db:"ago"`
		N   int64 `db:"n"`
	}
	// A call of this very moment may be a moment ahead of the clock.
	err = q.Select(ctx, &weeks, callsByWeek, at, row.AccountID, row.Number, back(tailWeeks*week), at)
	if err != nil {
		return Tail{}, fmt.Errorf("count calls of number: %w", err)
	}
	for _, w := range weeks {
		t.Weeks[tailWeeks-1-min(w.Ago, tailWeeks-1)] += w.N
	}
	var last struct {
		At     store.Time `db:"started_at"`
		Caller string     `db:"caller"`
	}
	err = q.Get(ctx, &last, lastCallOf, row.AccountID, row.Number, back(max(tailWeeks*week, n.cfg.QuietFor)))
	if callwheel.KindOf(err) == callwheel.NotFound {
		return t, nil
	}
	if err != nil {
		return Tail{}, fmt.Errorf("find last call of number: %w", err)
	}
	t.LastCallAt, t.LastCaller, t.ReleasableAt = last.At.Ptr(), last.Caller, last.At.Add(n.cfg.QuietFor)
	return t, nil
}

// stillCalled says whether a number that has rested must rest longer, and says so
// on the number.
func (n *Numbers) stillCalled(ctx context.Context, r numberRow, now time.Time) (bool, error) {
	if r.ReleaseForced {
		return false, nil
	}
	t, err := n.tailOf(ctx, n.db, r, now)
	if err != nil || t.Quiet() {
		return false, err
	}
	n.metrics.kept.Inc()
	return true, n.moved(ctx, r, func(ctx context.Context, tx *store.Tx, row *numberRow) error {
		row.Problem, row.DueAt, row.Attempts = t.refusal(), store.At(t.ReleasableAt), 0
		return saveNumber(ctx, tx, *row)
	})
}

// Drain takes several active numbers out of use at once, as Retire does with one.
// Numbers that are not active any more are left alone. It returns those that
// drain now.
func (n *Numbers) Drain(ctx context.Context, accountID, actor string, ids []string) ([]TrackingNumber, error) {
	var drained []TrackingNumber
	now, draining := n.now(), NumberDraining
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		drained = nil
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		for _, id := range ids {
			row, err := numberByID(ctx, tx, accountID, id, tx.ForUpdate())
			if err != nil {
				return err
			}
			if NumberState(row.State) != NumberActive {
				continue
			}
			if row, err = n.changed(row, NumberChange{State: &draining}, now); err != nil {
				return err
			}
			if err := saveNumber(ctx, tx, row); err != nil {
				return err
			}
			if err := audit(ctx, tx, now, accountID, actor, "number.drain", id); err != nil {
				return err
			}
			drained = append(drained, row.value())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n.log.InfoContext(ctx, "numbers drain", "account_id", accountID, "numbers", len(drained), "actor", actor)
	return drained, nil
}

// Calls that were refused by a rule make no tail, and neither do calls out.
const calledNumber = `
FROM calls
WHERE account_id = ? AND tracking_number = ? AND started_at >= ?
  AND direction = 'inbound' AND COALESCE(outcome, '') <> 'blocked'`

const callsSince = `SELECT count(call_id)` + calledNumber

const recentCalls = `
SELECT COALESCE(sum(CASE WHEN started_at >= ? THEN 1 ELSE 0 END), 0) AS week, count(call_id) AS month, count(DISTINCT from_e164) AS callers` + calledNumber

const callsByWeek = `
SELECT (CAST(? AS BIGINT) - started_at) / 604800000000 AS ago, count(call_id) AS n` + calledNumber + `
  AND started_at <= ?
GROUP BY ago`

const lastCallOf = `
SELECT started_at, COALESCE(from_e164, '') AS caller` + calledNumber + `
ORDER BY started_at DESC
LIMIT 1`
