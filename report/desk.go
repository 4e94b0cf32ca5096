package report

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Desk answers the owner's questions. It is safe for concurrent use.
type Desk struct {
	db      database
	now     func() time.Time
	log     *slog.Logger
	metrics metrics
}

// database is what the room asks of a [store.DB].
type database interface {
	store.Querier
	InSnapshot(ctx context.Context, fn func(ctx context.Context, q store.Querier) error) error
	InTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error
}

// NewDesk makes the room. The clock says what today is; reg may be nil.
func NewDesk(db *store.DB, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Desk {
	return &Desk{db: db, now: now, log: log, metrics: newMetrics(reg)}
}

// account is what reports need to know of the account.
type account struct {
	ID        string `db:"account_id"`
	TZ        string `db:"tz"`
	Currency  string `db:"currency"`
	MarginPPM *int64 `db:"margin_ppm"`
	zone      *time.Location
	exchange  *exchange // where amounts are added up, else nil
}

func readAccount(ctx context.Context, q store.Querier, id string) (account, error) {
	var a account
	if err := q.Get(ctx, &a, `SELECT account_id, tz, currency, margin_ppm FROM accounts WHERE account_id = ?`, id); err != nil {
		return a, fmt.Errorf("read account: %w", err)
	}
	zone, err := loadZone(a.TZ)
	if err != nil {
		return a, fmt.Errorf("read account: %w", err)
	}
	a.zone = zone
	return a, nil
}

// ask understands a query and answers it on one consistent view.
func (d *Desk) ask(ctx context.Context, name string, q Query, answer func(ctx context.Context, db store.Querier, qu question) error) error {
	began := time.Now()
	m, second, err := q.check()
	if err != nil {
		return err
	}
	err = d.db.InSnapshot(ctx, func(ctx context.Context, db store.Querier) error {
		a, err := readAccount(ctx, db, q.AccountID)
		if err != nil {
			return err
		}
		if a.exchange, err = readExchange(ctx, db, a); err != nil {
			return err
		}
		period, err := span(q.From, q.Until, q.TZ, a.zone, d.now())
		if err != nil {
			return err
		}
		return answer(ctx, db, question{
			Query: q, zone: period.Zone, period: period, model: m, second: second, account: a, today: dateOf(d.now(), a.zone),
			window: time.Duration(q.WindowDays) * 24 * time.Hour,
		})
	})
	if err != nil && callwheel.KindOf(err) != callwheel.Invalid {
		return fmt.Errorf("report %s: %w", name, err)
	}
	d.metrics.seconds.WithLabelValues(name).Observe(time.Since(began).Seconds())
	return err
}
