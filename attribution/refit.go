package attribution

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

// When an account's delays are fitted, and to what.
const (
	refitEvery    = 7 * day
	refitBack     = 180 * day // calls before that tell little about today
	refitCalls    = 3000      // the newest ones; enough for the figures, and little to read
	refitNeeds    = 200       // calls of identified people; with fewer the defaults stay
	refitAccounts = 4         // in one step
)

// Refit estimates, for accounts that have enough calls of identified people and
// whose model is a week old, how long their callers wait, and keeps it as the
// next version of the delay model: for calls that start from now on. What was
// attributed before keeps the version that it names. It is a step for the job
// table.
func (l *Ledger) Refit(ctx context.Context, now time.Time) (int, error) {
	var accounts []string
	if err := l.db.Select(ctx, &accounts, accountsToRefit, store.Micros(now.Add(-refitEvery))); err != nil {
		return 0, fmt.Errorf("refit delays: %w", err)
	}
	done := 0
	for _, accountID := range accounts {
		fitted, err := l.refit(ctx, accountID, now)
		if err != nil {
			return done, fmt.Errorf("refit delays: %w", err)
		}
		if fitted {
			if done++; done == refitAccounts {
				break
			}
		}
	}
	return done, nil
}

// refit fits one account's delays, and says whether there was enough to fit.
func (l *Ledger) refit(ctx context.Context, accountID string, now time.Time) (bool, error) {
	calls, err := readFitted(ctx, l.db, accountID, now)
	if err != nil || calls.identified < refitNeeds {
		return false, err
	}
	observed, err := l.observe(ctx, accountID, calls, now)
	if err != nil || observed.Visitors == 0 || observed.NumberHours <= 0 {
		return false, err
	}
	last, err := readModel(ctx, l.db, newestModel, accountID)
	if err != nil {
		return false, err
	}
	m := DelayModel{
		Version: last.Version + 1, FittedAt: store.At(now).Time, Calls: int64(len(observed.Calls)), Identified: int64(calls.identified),
		Delays: DefaultDelays().Fit(observed), // always from the same start: a bad week leaves no trace
	}
	if err := m.Validate(); err != nil {
		l.log.WarnContext(ctx, "fitted delays not used", "account_id", accountID, "error", err)
		return false, nil
	}
	parameters, err := json.Marshal(m.Delays)
	if err != nil {
		return false, err
	}
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, addModel, accountID, m.Version, store.Micros(m.FittedAt), m.Calls, m.Identified, string(parameters))
		return err
	})
	if err != nil {
		return false, err
	}
	l.remember(accountID, m, l.now())
	return true, nil
}

// fittedRow is a call to a number of a pool.
type fittedRow struct {
	ID         string     `db:"call_id"`
	Number     string     `db:"tracking_number"`
	StartedAt  store.Time `db:"started_at"`
	Identified bool       `db:"identified"`
	From       string     `db:"from_e164"`
}

type fittedRows struct {
	rows       []fittedRow
	identified int
}

func readFitted(ctx context.Context, q store.Querier, accountID string, now time.Time) (fittedRows, error) {
	var f fittedRows
	if err := q.Select(ctx, &f.rows, callsToFit, accountID, store.Micros(now.Add(-refitBack)), store.Micros(now), refitCalls); err != nil {
		return f, err
	}
	for _, r := range f.rows {
		if r.Identified {
			f.identified++
		}
	}
	return f, nil
}

// observe gathers what the calls were made among.
func (l *Ledger) observe(ctx context.Context, accountID string, calls fittedRows, now time.Time) (Observed, error) {
	oldest := calls.rows[len(calls.rows)-1].StartedAt
	var e struct {
		Visitors int64 `db:"visitors"`
		OnScreen int64 `db:"on_screen"`
		Numbers  int64 `db:"numbers"`
		First    int64 `db:"first"`
	}
	from := store.Micros(oldest.Time)
	if err := l.db.Get(ctx, &e, exposure, accountID, from, accountID, from); err != nil {
		return Observed{}, err
	}
	o := Observed{
		Visitors: float64(e.Visitors), OnScreenHours: time.Duration(e.OnScreen * 1000).Hours(),
		NumberHours: float64(e.Numbers) * now.Sub(store.FromMicros(max(e.First, from))).Hours(),
	}
	for _, r := range calls.rows {
		call, err := l.fittedCall(ctx, accountID, r)
		if err != nil {
			return Observed{}, err
		}
		o.Calls = append(o.Calls, call)
	}
	return o, nil
}

// fittedCall reads who had been shown the number, and of an identified caller
// when they had last been.
func (l *Ledger) fittedCall(ctx context.Context, accountID string, r fittedRow) (FittedCall, error) {
	call := FittedCall{Identified: r.Identified}
	t := store.Micros(r.StartedAt.Time)
	var leases []leaseRow
	var err error
	if r.Identified {
		err = l.db.Select(ctx, &leases, leasesOfCaller, accountID, r.Number, t, accountID, r.From, r.ID)
	} else {
		err = l.db.Select(ctx, &leases, leasesOfNumber, accountID, r.Number, t, maxLeases)
	}
	if err != nil {
		return call, err
	}
	seen := map[string]bool{}
	for _, row := range leases {
		lease := row.lease()
		if seen[lease.VisitorID] {
			continue
		}
		seen[lease.VisitorID] = true
		since, present := max(r.StartedAt.Sub(lease.LastBeatAt), 0), lease.Present(r.StartedAt.Time)
		switch {
		case r.Identified:
			if present {
				since = 0
			}
			if call.Caller == nil || since < *call.Caller {
				call.Caller = &since
			}
		case present:
			call.OnScreen++
		default:
			call.Since = append(call.Since, since)
		}
	}
	return call, nil
}

const accountsToRefit = `
SELECT DISTINCT p.account_id
FROM pools p
WHERE NOT EXISTS (SELECT 1 FROM delay_models d WHERE d.account_id = p.account_id AND d.fitted_at > ?)
ORDER BY p.account_id`

// callsToFit are the newest calls to numbers of pools. A call is identified when
// another call, or a form, proved whose phone it is.
const callsToFit = `
SELECT c.call_id, c.tracking_number, c.started_at, COALESCE(c.from_e164, '') AS from_e164,
    EXISTS (
        SELECT 1 FROM person_links p
        WHERE p.account_id = c.account_id AND p.person = c.from_e164 AND p.call_id <> c.call_id
    ) AS identified
FROM calls c
JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
  AND a.pool_id <> '' AND a.method IN ('lease', 'lease_tail', 'past_lease', 'known_caller', 'none')
ORDER BY c.started_at DESC, c.call_id DESC
LIMIT ?`

// exposure counts to how many visitors numbers were shown, how long their pages
// counted as open, and how many numbers there were since when.
const exposure = `
SELECT
    (SELECT count(*) FROM (SELECT DISTINCT number, visitor_id FROM leases WHERE account_id = ? AND leased_from >= ?) shown) AS visitors,
    CAST(COALESCE(SUM(COALESCE(left_at, last_beat_at + 2000000 * beat_seconds) - leased_from), 0) AS BIGINT) AS on_screen,
    count(DISTINCT number) AS numbers, COALESCE(MIN(leased_from), 0) AS first
FROM leases
WHERE account_id = ? AND leased_from >= ?`

const leasesOfNumber = `
SELECT ` + leaseColumns + `
FROM leases
WHERE account_id = ? AND number = ? AND leased_from <= ?
ORDER BY leased_from DESC, lease_id DESC
LIMIT ?`

const leasesOfCaller = `
SELECT ` + leaseColumns + `
FROM leases
WHERE account_id = ? AND number = ? AND leased_from <= ? AND visitor_id IN (
    SELECT alias FROM person_links WHERE account_id = ? AND person = ? AND call_id <> ?)
ORDER BY leased_from DESC, lease_id DESC`

const addModel = `
INSERT INTO delay_models (account_id, ` + modelColumns + `)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, version) DO NOTHING`
