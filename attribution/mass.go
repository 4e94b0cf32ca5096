package attribution

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// maxFree is how many free numbers are compared before one is lent: those that
// have rested longest. The choice hardly ever lies beyond them, because what
// past holders may still call dies away with rest.
const maxFree = 24

// freeNumber is a number that may be lent, with what is known of how likely its
// past holders still are to call it.
type freeNumber struct {
	Number string `db:"number"`
	FreeAt int64  `db:"free_at"`
	Mass   string `db:"mass"`    // JSON list: per part of the mixture, how many holders are still to call, as of MassAt
	MassAt int64  `db:"mass_at"` // micros; 0 for none
	SeenAt int64  `db:"seen_at"` // when its last holder had it before them, 0: never shown
}

// masses returns the residual call mass by part of the mixture at t: for every
// past holder the chance, of those who will wait as that part does, that they
// have not called yet. The last holder, who is not in the stored figures, is
// added.
func (n freeNumber) masses(d Delays, t time.Time) []float64 {
	var stored []float64
	if n.Mass != "[]" {
		_ = json.Unmarshal([]byte(n.Mass), &stored) // written by massJSON
	}
	list := make([]float64, len(d.Parts))
	for k, p := range d.Parts {
		decay := func(from int64) float64 {
			return math.Exp(-max(t.Sub(store.FromMicros(from)).Hours(), 0) / p.MeanHours)
		}
		if k < len(stored) {
			list[k] = stored[k] * decay(n.MassAt)
		}
		if n.SeenAt != 0 {
			list[k] += decay(n.SeenAt)
		}
	}
	return list
}

// mass is Σ S(u) over the past holders: how many calls to the number are still
// to be expected of them, in units of the propensity, which is one for all.
func (n freeNumber) mass(d Delays, t time.Time) float64 {
	sum := 0.0
	for k, m := range n.masses(d, t) {
		sum += d.Parts[k].Weight * m
	}
	return sum
}

// quietest orders free numbers by their residual call mass, those that are the
// same to a billionth by who has rested longest.
func quietest(free []freeNumber, d Delays, t time.Time) []freeNumber {
	type rated struct {
		freeNumber
		mass int64
	}
	list := make([]rated, len(free))
	for i, n := range free {
		list[i] = rated{n, int64(math.Round(n.mass(d, t) * nano))}
	}
	slices.SortStableFunc(list, func(a, b rated) int {
		return cmp.Or(cmp.Compare(a.mass, b.mass), cmp.Compare(a.FreeAt, b.FreeAt), cmp.Compare(a.Number, b.Number))
	})
	ordered := make([]freeNumber, len(list))
	for i, n := range list {
		ordered[i] = n.freeNumber
	}
	return ordered
}

// choices is how many of the quietest numbers a claim may fall on: a crowd does
// not queue behind one row. Beyond them it is left to take.
const choices = 8

// takeQuietest claims the free number with the least residual call mass, passing
// over those that a rival holds at this moment; "" when none was free or rivals
// had the quietest ones. The claim is on the locked row, as that of take.
func takeQuietest(ctx context.Context, tx *store.Tx, a ask) (string, error) {
	free, err := readFree(ctx, tx, a)
	if err != nil || len(free) == 0 {
		return "", err
	}
	free = quietest(free, a.delays, a.now)
	free = free[:min(len(free), choices)]
	for len(free) < choices { // one text to prepare
		free = append(free, free[len(free)-1])
	}
	until, freeAt := a.grant()
	args := []any{a.leaseID, a.visitorID, store.Micros(until), store.Micros(freeAt), store.Micros(a.now), store.Micros(a.now)}
	var numbers []any
	for _, n := range free {
		numbers = append(numbers, n.Number)
		args = append(args, n.Number, massJSON(n.masses(a.delays, a.now)))
	}
	args = append(args, a.accountID, a.accountID, a.pool.ID, store.Micros(a.now))
	args = append(append(append(args, numbers...), numbers...), store.Micros(a.now))
	var number string
	err = tx.Get(ctx, &number, fmt.Sprintf(claimQuietest, tx.SkipLocked()), args...)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return "", fmt.Errorf("lease number: %w", err)
	}
	return number, nil
}

// readFree reads the numbers of the pool that have rested longest.
func readFree(ctx context.Context, tx *store.Tx, a ask) ([]freeNumber, error) {
	rows, err := tx.Rows(ctx, restedNumbers, a.accountID, a.pool.ID, store.Micros(a.now), maxFree)
	if err != nil {
		return nil, fmt.Errorf("lease number: %w", err)
	}
	defer rows.Close()
	list := make([]freeNumber, 0, maxFree)
	for rows.Next() {
		var n freeNumber
		if err := rows.Scan(&n.Number, &n.FreeAt, &n.Mass, &n.MassAt, &n.SeenAt); err != nil {
			return nil, fmt.Errorf("lease number: %w", err)
		}
		list = append(list, n)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("lease number: %w", err)
	}
	return list, nil
}

// handOver adds the holder before to the residual call mass of a number that was
// just claimed without looking at it.
func handOver(ctx context.Context, tx *store.Tx, a ask, number string) error {
	var n freeNumber
	if err := tx.Get(ctx, &n, claimedNumber, a.accountID, number); err != nil {
		return fmt.Errorf("lease number: %w", err)
	}
	_, err := tx.Exec(ctx, keepMass, massJSON(n.masses(a.delays, a.now)), store.Micros(a.now), store.Micros(a.now), a.accountID, number)
	if err != nil {
		return fmt.Errorf("lease number: %w", err)
	}
	return nil
}

// massJSON writes masses with as many digits as matter.
func massJSON(masses []float64) string {
	for i, m := range masses {
		masses[i] = math.Round(m*nano) / nano
	}
	return toJSON(masses)
}

const freeNumberColumns = `number, free_at, mass, mass_at, seen_at`

const restedNumbers = `
SELECT ` + freeNumberColumns + `
FROM pool_numbers
WHERE account_id = ? AND pool_id = ? AND stocked AND free_at <= ?
ORDER BY free_at, number
LIMIT ?`

const claimedNumber = `
SELECT ` + freeNumberColumns + `
FROM pool_numbers
WHERE account_id = ? AND number = ?`

const keepMass = `
UPDATE pool_numbers SET mass = ?, mass_at = ?, seen_at = ?
WHERE account_id = ? AND number = ?`

// claimQuietest claims the first of eight numbers, in the order they are given,
// that is still free; %s is the row lock, empty on SQLite. || ” and + 0 keep the
// planner on the key: by the index of free numbers it would look at all of them.
const claimQuietest = `
UPDATE pool_numbers
SET lease_id = ?, visitor_id = ?, leased_until = ?, free_at = ?, mass_at = ?, seen_at = ?,
    mass = CASE number WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? END
WHERE account_id = ?
  AND number = (
    SELECT number FROM pool_numbers
    WHERE account_id = ? AND pool_id || '' = ? AND stocked AND free_at + 0 <= ? AND number IN (?, ?, ?, ?, ?, ?, ?, ?)
    ORDER BY CASE number WHEN ? THEN 1 WHEN ? THEN 2 WHEN ? THEN 3 WHEN ? THEN 4 WHEN ? THEN 5 WHEN ? THEN 6 WHEN ? THEN 7 WHEN ? THEN 8 END
    LIMIT 1%s
  )
  AND free_at <= ?
RETURNING number`
