package attribution

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/callwheel/callwheel/store"
)

// What a plan looks at, and what it takes for too little.
const (
	planWindow      = 28 * day
	planPercentile  = 0.95  // of the hours of the window
	planSample      = 5_000 // newest sessions whose length is looked at
	leastSessions   = 50    // fewer say nothing about their length
	leastHours      = 24    // fewer make no percentile
	assumedVisitors = 10.0  // an hour
	assumedSession  = 5.0   // minutes
)

// planFacts is what the database knows about a pool's load.
type planFacts struct {
	pool     Pool
	numbers  int
	hours    []int // visitors who wanted a number, by hour, oldest first
	partial  int   // in the hour that runs
	sessions int64 // whose length was looked at
	mean     time.Duration
	delays   []DelayPart
	fitted   string // where the delays are from
	beat     int64  // seconds between beats
}

func (l *Ledger) planFacts(ctx context.Context, pool Pool, now time.Time) (planFacts, error) {
	f := planFacts{pool: pool}
	var shelf shelfRow
	if err := l.db.Get(ctx, &shelf, shelfOfPool, store.Micros(now), pool.AccountID, pool.ID); err != nil {
		return f, err
	}
	f.numbers = shelf.Stocked
	var rows []hourRow
	since := store.Micros(now.Add(-planWindow))
	if err := l.db.Select(ctx, &rows, arrivalsByHour, pool.AccountID, pool.ID, since, store.Micros(now)); err != nil {
		return f, fmt.Errorf("count arrivals: %w", err)
	}
	f.count(rows, now)
	var length struct {
		Sessions int64 `db:"sessions"`
		Micros   int64 `db:"micros"`
	}
	if err := l.db.Get(ctx, &length, sessionLengths, pool.AccountID, pool.ID, since, store.Micros(now), planSample); err != nil {
		return f, fmt.Errorf("measure sessions: %w", err)
	}
	if f.sessions = length.Sessions; f.sessions > 0 {
		f.mean = time.Duration(length.Micros/length.Sessions) * time.Microsecond
	}
	var err error
	f.beat = int64(l.BeatSeconds())
	f.delays, f.fitted, err = l.planDelays(ctx, pool.AccountID)
	return f, err
}

// planDelays says how long the account's callers wait, and where that is from.
func (l *Ledger) planDelays(ctx context.Context, accountID string) ([]DelayPart, string, error) {
	model, err := l.newestModel(ctx, l.db, accountID)
	if err != nil || model.Version == 0 {
		return DefaultDelays().Parts, "assumed", err
	}
	return model.Parts, "fitted", nil
}

// count lays the arrivals on the whole hours since the first of them, or since
// the window began; an hour in which nobody came counts as one.
func (f *planFacts) count(rows []hourRow, now time.Time) {
	if len(rows) == 0 {
		return
	}
	running := store.Micros(now) / hourMicros
	first := max(rows[0].Hour, store.Micros(now.Add(-planWindow))/hourMicros+1)
	f.hours = make([]int, max(running-first, 0))
	for _, r := range rows {
		switch {
		case r.Hour == running:
			f.partial = r.N
		case r.Hour >= first && r.Hour < running:
			f.hours[r.Hour-first] = r.N
		}
	}
}

// visitors is the 95th percentile of the hours: the load of a busy hour, which
// one day's rush does not move.
func (f planFacts) visitors() PlanInput {
	in := PlanInput{Name: "visitors_per_hour", From: "measured"}
	all, most := f.partial, f.partial
	for _, n := range f.hours {
		all, most = all+n, max(most, n)
	}
	sorted := slices.Sorted(slices.Values(f.hours))
	switch {
	case all == 0:
		in.Value, in.From = assumedVisitors, "assumed"
		in.Detail = "Nobody asked this pool for a number in the last 28 days: give visitors_per_hour."
	case len(sorted) < leastHours:
		in.Value = float64(most)
		in.Detail = fmt.Sprintf("The busiest hour of %d visitors so far: fewer than %d whole hours have been seen.", all, leastHours)
	default:
		rank := int(math.Ceil(planPercentile*float64(len(sorted)) - 1e-9))
		in.Value = float64(sorted[rank-1])
		in.Detail = fmt.Sprintf("The 95th percentile of %d hours with %d visitors.", len(sorted), all)
		if in.Value == 0 {
			in.Value = float64(most)
			in.Detail = fmt.Sprintf("The busiest of %d hours: most had no visitor.", len(sorted))
		}
	}
	return in
}

func (f planFacts) session() PlanInput {
	in := PlanInput{Name: "session_minutes", Value: f.mean.Minutes(), From: "measured", Detail: fmt.Sprintf("The mean of the %d newest sessions with a number.", f.sessions)}
	if f.sessions < leastSessions {
		in.Value, in.From = assumedSession, "assumed"
		in.Detail = fmt.Sprintf("Only %d sessions had a number in the last 28 days: too few to measure.", f.sessions)
	}
	return in
}

// tail is all the time that a number is held after its page was last heard of.
func (f planFacts) tail() PlanInput {
	silence := allowance(f.beat)
	held := silence + time.Duration(f.pool.LeaseTailSeconds+f.pool.CooldownSeconds)*time.Second
	return PlanInput{
		Name: "tail_minutes", Value: held.Minutes(), From: "pool",
		Detail: fmt.Sprintf("What the pool does after a page's last sign: %s until the page counts as closed, %s of tail, %s of rest.",
			silence, time.Duration(f.pool.LeaseTailSeconds)*time.Second, time.Duration(f.pool.CooldownSeconds)*time.Second),
	}
}

func (f planFacts) delayInput() PlanInput {
	mean := 0.0
	for _, d := range f.delays {
		mean += d.Weight * d.MeanHours
	}
	in := PlanInput{Name: "mean_delay_minutes", Value: 60 * mean, From: f.fitted, Detail: "How long callers wait after they last saw the number: "}
	for i, d := range f.delays {
		if i > 0 {
			in.Detail += ", "
		}
		in.Detail += fmt.Sprintf("%s of mean %s", sharePercent(d.Weight), ago(time.Duration(d.MeanHours*float64(time.Hour))))
	}
	in.Detail += "."
	return in
}

type hourRow struct {
	Hour int64 `db:"hour"`
	N    int   `db:"n"`
}

const hourMicros = int64(time.Hour / time.Microsecond)

// Sessions that an address had too many of are no load.
const arrivalsByHour = `
SELECT started_at / 3600000000 AS hour, count(session_id) AS n
FROM sessions
WHERE account_id = ? AND pool_id = ? AND started_at >= ? AND started_at < ? AND lent <> 'capped'
GROUP BY started_at / 3600000000
ORDER BY started_at / 3600000000`

const sessionLengths = `
SELECT count(session_id) AS sessions, CAST(COALESCE(sum(last_beat_at - started_at), 0) AS BIGINT) AS micros
FROM (
  SELECT session_id, started_at, last_beat_at
  FROM sessions
  WHERE account_id = ? AND pool_id = ? AND started_at >= ? AND started_at < ? AND lent = 'leased'
  ORDER BY started_at DESC
  LIMIT ?
) AS newest`
