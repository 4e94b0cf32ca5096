package report

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

// Recount is how the prepared days compare with the calls.
type Recount struct {
	Days   int // that reports use as they are, all of them counted again
	Differ []DayDiffers
}

// DayDiffers is a prepared day whose counts do not follow from the calls.
type DayDiffers struct {
	AccountID string
	DayOn     string // date in the account's zone
}

// Recount counts every prepared day again that reports would believe, and
// compares, without writing. Days that RollUp is going to count again anyway are
// passed over. Errors are Unavailable when the database is away.
func (d *Desk) Recount(ctx context.Context) (Recount, error) {
	var res Recount
	var accounts []account
	if err := d.db.Select(ctx, &accounts, `SELECT account_id, tz, currency, margin_ppm FROM accounts ORDER BY account_id`); err != nil {
		return res, fmt.Errorf("recount: %w", err)
	}
	for _, a := range accounts {
		var err error
		if a.zone, err = loadZone(a.TZ); err != nil {
			continue // nothing is prepared in a zone that cannot be read
		}
		// One view of the database: a call that is written meanwhile is in both
		// counts or in none.
		err = d.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error { return recountAccount(ctx, q, a, &res) })
		if err != nil {
			return res, fmt.Errorf("recount account %s: %w", a.ID, err)
		}
	}
	return res, nil
}

func recountAccount(ctx context.Context, q store.Querier, a account, res *Recount) error {
	ever := Period{From: time.Unix(0, 0), Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Zone: a.zone}
	fresh, err := freshDays(ctx, q, question{Query: Query{AccountID: a.ID}, account: a, zone: a.zone, period: ever})
	if err != nil {
		return err
	}
	for _, day := range sortedKeys(fresh) {
		same, err := recountDay(ctx, q, a, day)
		if err != nil {
			return fmt.Errorf("count %s: %w", day, err)
		}
		res.Days++
		if !same {
			res.Differ = append(res.Differ, DayDiffers{AccountID: a.ID, DayOn: day})
		}
	}
	return nil
}

func recountDay(ctx context.Context, q store.Querier, a account, day string) (same bool, err error) {
	date, err := parseDate(day)
	if err != nil {
		return false, err
	}
	stored, err := storedFacts(ctx, q, a.ID, day)
	if err != nil {
		return false, err
	}
	counted, err := countDay(ctx, q, a, date)
	return stored.sameAs(counted), err
}

// RollAgain counts prepared days anew that Recount found to differ.
func (d *Desk) RollAgain(ctx context.Context, days []DayDiffers, now time.Time) error {
	for _, day := range days {
		a, err := readAccount(ctx, d.db, day.AccountID)
		if err != nil {
			return fmt.Errorf("roll again: %w", err)
		}
		err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return rollDay(ctx, tx, a, day.DayOn, now) })
		if err != nil {
			return fmt.Errorf("roll %s of account %s again: %w", day.DayOn, day.AccountID, err)
		}
	}
	return nil
}
