package telephony

import (
	"context"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// numberRow is a row of tracking_numbers.
type numberRow struct {
	AccountID        string     `db:"account_id"`
	ID               string     `db:"number_id"`
	Number           string     `db:"number"`
	State            string     `db:"state"`
	SourceID         string     `db:"source_id"`
	PoolID           string     `db:"pool_id"`
	Campaign         string     `db:"campaign"`
	Destination      string     `db:"destination"`
	PoolDestination  string     `db:"pool_destination"`
	RouteID          string     `db:"route_id"`
	Record           bool       `db:"record"`
	Whisper          string     `db:"whisper"`
	Provider         string     `db:"provider"`
	ProviderNumberID string     `db:"provider_number_id"`
	ConfirmedAt      store.Time `db:"confirmed_at"`
	Problem          string     `db:"problem"`
	DueAt            store.Time `db:"due_at"`
	Attempts         int64      `db:"attempts"`
	ReleasingAt      store.Time `db:"releasing_at"`
	Version          int64      `db:"version"`
	CreatedAt        store.Time `db:"created_at"`
	ReleasedAt       store.Time `db:"released_at"`
	ReleaseForced    bool       `db:"release_forced"` // given back although it is still called
}

const numberColumns = `account_id, number_id, number, state, source_id, pool_id, campaign, destination,
	pool_destination, route_id, record, whisper, provider, provider_number_id, confirmed_at, problem,
	due_at, attempts, releasing_at, version, created_at, released_at, release_forced`

func newNumberRow(accountID, provider string, in NewNumber, now time.Time) numberRow {
	r := numberRow{
		AccountID: accountID, ID: callwheel.NewID("num"), Number: in.Number, State: string(in.State),
		SourceID: in.SourceID, PoolID: in.PoolID, Campaign: in.Campaign, Destination: in.Destination,
		RouteID: in.RouteID, Record: in.Record, Whisper: in.Whisper, Provider: provider,
		Version: 1, CreatedAt: store.At(now),
	}
	if in.PoolID != "" {
		r.PoolDestination = in.PoolDestination
	}
	return r
}

// asNew is the row as a request would have written it, to be checked again.
func (r numberRow) asNew(state NumberState) NewNumber {
	return NewNumber{
		Number: r.Number, SourceID: r.SourceID, PoolID: r.PoolID, PoolDestination: r.PoolDestination,
		Campaign: r.Campaign, Destination: r.Destination, RouteID: r.RouteID, Record: r.Record,
		Whisper: r.Whisper, State: state,
	}
}

func (r numberRow) value() TrackingNumber {
	return TrackingNumber{
		AccountID: r.AccountID, ID: r.ID, Number: r.Number, State: NumberState(r.State),
		SourceID: r.SourceID, PoolID: r.PoolID, Campaign: r.Campaign, Destination: r.Destination,
		PoolDestination: r.PoolDestination, RouteID: r.RouteID, Record: r.Record, Whisper: r.Whisper,
		Provider: r.Provider, ProviderNumberID: r.ProviderNumberID, ConfirmedAt: r.ConfirmedAt.Ptr(),
		Problem: r.Problem, Version: r.Version, CreatedAt: r.CreatedAt.Time, ReleasedAt: r.ReleasedAt.Ptr(),
	}
}

func numberValues(rows []numberRow) []TrackingNumber {
	list := make([]TrackingNumber, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.value())
	}
	return list
}

// insertNumber says whether the row was added: not when the number is taken.
func insertNumber(ctx context.Context, tx *store.Tx, r numberRow) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO tracking_numbers (`+numberColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		r.AccountID, r.ID, r.Number, r.State, r.SourceID, r.PoolID, r.Campaign, r.Destination,
		r.PoolDestination, r.RouteID, r.Record, r.Whisper, r.Provider, r.ProviderNumberID, r.ConfirmedAt, r.Problem,
		r.DueAt, r.Attempts, r.ReleasingAt, r.Version, r.CreatedAt, r.ReleasedAt, r.ReleaseForced)
	return n == 1, err
}

func saveNumber(ctx context.Context, tx *store.Tx, r numberRow) error {
	_, err := tx.Exec(ctx, `
		UPDATE tracking_numbers
		SET state = ?, source_id = ?, pool_id = ?, campaign = ?, destination = ?, pool_destination = ?,
			route_id = ?, record = ?, whisper = ?, provider_number_id = ?, confirmed_at = ?, problem = ?,
			due_at = ?, attempts = ?, releasing_at = ?, version = ?, released_at = ?, release_forced = ?
		WHERE account_id = ? AND number_id = ?`,
		r.State, r.SourceID, r.PoolID, r.Campaign, r.Destination, r.PoolDestination,
		r.RouteID, r.Record, r.Whisper, r.ProviderNumberID, r.ConfirmedAt, r.Problem,
		r.DueAt, r.Attempts, r.ReleasingAt, r.Version, r.ReleasedAt, r.ReleaseForced,
		r.AccountID, r.ID)
	return err
}

// numberByID reads one number; lock is the clause of the transaction or "".
func numberByID(ctx context.Context, q store.Querier, accountID, id, lock string) (numberRow, error) {
	var r numberRow
	err := q.Get(ctx, &r, `
		SELECT `+numberColumns+` FROM tracking_numbers
		WHERE account_id = ? AND number_id = ?`+lock, accountID, id)
	return r, err
}

func listNumbers(ctx context.Context, q store.Querier, accountID string, f NumberFilter, after Place, limit int) ([]numberRow, error) {
	rows := []numberRow{}
	err := q.Select(ctx, &rows, `
		SELECT `+numberColumns+` FROM tracking_numbers
		WHERE account_id = ?
			AND (state = CAST(? AS TEXT) OR (CAST(? AS TEXT) = '' AND state <> 'released'))
			AND (CAST(? AS TEXT) = '' OR source_id = CAST(? AS TEXT))
			AND (CAST(? AS TEXT) = '' OR pool_id = CAST(? AS TEXT))
			AND (CAST(? AS TEXT) = '' OR number = CAST(? AS TEXT))
			AND (created_at, number_id) > (CAST(? AS BIGINT), CAST(? AS TEXT))
		ORDER BY created_at, number_id
		LIMIT ?`,
		accountID, string(f.State), string(f.State), f.SourceID, f.SourceID, f.PoolID, f.PoolID, f.Number, f.Number,
		placeMicros(after), after.ID, limit)
	return rows, err
}

// placeMicros is the instant of a place; the beginning is before everything.
func placeMicros(p Place) int64 {
	if p.At.IsZero() {
		return -1
	}
	return store.Micros(p.At)
}

func setPoolDestination(ctx context.Context, tx *store.Tx, accountID, poolID, destination string) error {
	_, err := tx.Exec(ctx, `
		UPDATE tracking_numbers SET pool_destination = ?
		WHERE account_id = ? AND pool_id = ? AND state <> 'released' AND pool_destination <> ?`,
		destination, accountID, poolID, destination)
	return err
}

// numberIsTaken asks over all accounts whether a number is a tracking number or
// is being bought as one: a number rings in one account only, and the answer
// never says in which.
func numberIsTaken(ctx context.Context, q store.Querier, number string) (bool, error) {
	return anyTaken(ctx, q, []string{number})
}

// numberIsHeld is numberIsTaken without the purchases under way.
func numberIsHeld(ctx context.Context, q store.Querier, number string) (bool, error) {
	var n int64
	err := q.Get(ctx, &n, `
		SELECT count(account_id) FROM tracking_numbers WHERE number = ? AND state <> 'released'`, number)
	return n > 0, err
}

func numberIsOrdered(ctx context.Context, q store.Querier, number string) (bool, error) {
	var n int64
	err := q.Get(ctx, &n, `
		SELECT count(account_id) FROM number_orders WHERE number = ? AND state IN ('intent', 'sent')`, number)
	return n > 0, err
}

// checkRouting refuses a destination or a route that this number cannot use.
func checkRouting(ctx context.Context, tx *store.Tx, r numberRow) error {
	for _, destination := range []string{r.Destination, r.PoolDestination} {
		if destination == "" {
			continue
		}
		if destination == r.Number {
			return callwheel.InvalidField("destination", "is the tracking number itself")
		}
		if _, err := CheckDestination(ctx, tx, destination); err != nil {
			return err
		}
	}
	if r.RouteID == "" {
		return nil
	}
	route, err := routeByID(ctx, tx, r.AccountID, r.RouteID, "")
	if callwheel.KindOf(err) == callwheel.NotFound || (err == nil && !route.RetiredAt.IsZero()) {
		return callwheel.InvalidField("route_id", "is not a route of this account")
	}
	return err
}

// checkNotRungByOthers refuses a tracking number that is already the
// destination of another one, of a route or of an account: calls would go
// round for ever.
func checkNotRungByOthers(ctx context.Context, tx *store.Tx, number string) error {
	var n int64
	err := tx.Get(ctx, &n, `
		SELECT (SELECT count(account_id) FROM tracking_numbers
				WHERE state <> 'released' AND (destination = ? OR pool_destination = ?))
			+ (SELECT count(account_id) FROM routes WHERE retired_at IS NULL AND plan LIKE ?)
			+ (SELECT count(account_id) FROM accounts WHERE destination = ?)`,
		number, number, `%"`+number+`"%`, number)
	if err != nil {
		return err
	}
	if n > 0 {
		return callwheel.InvalidField("number", "is a destination of calls: they would go round for ever")
	}
	return nil
}

func sameBinding(a, b numberRow) bool {
	return a.SourceID == b.SourceID && a.PoolID == b.PoolID && a.Campaign == b.Campaign
}

// bind appends what a number stands for from now on. The first source of a
// number reaches back without end; changes within one microsecond follow each
// other by one, so that none is lost.
func bind(ctx context.Context, tx *store.Tx, r numberRow, now time.Time) error {
	var last struct {
		N     int64      `db:"n"`
		Until store.Time `db:"last"`
	}
	err := tx.Get(ctx, &last, `
		SELECT count(bound_from) AS n, max(bound_from) AS last FROM number_bindings
		WHERE account_id = ? AND number = ?`, r.AccountID, r.Number)
	if err != nil {
		return err
	}
	if last.N == 0 && r.SourceID == "" && r.PoolID == "" {
		return nil // stands for nothing yet: whatever comes first is the first
	}
	from := store.Micros(now)
	switch {
	case last.N == 0 && r.SourceID != "":
		from = 0
	case last.N > 0:
		from = max(from, store.Micros(last.Until.Time)+1)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO number_bindings (account_id, number, bound_from, source_id, pool_id, campaign, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.AccountID, r.Number, from, r.SourceID, r.PoolID, r.Campaign, store.Micros(now))
	return err
}

// claimNumbers takes up to limit numbers in one of the states whose time has
// come, and puts their next time off. The claim is on the locked row, so two
// replicas never take one number.
func claimNumbers(ctx context.Context, db *store.DB, states []string, now, next time.Time, limit int) ([]numberRow, error) {
	var claimed []numberRow
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		claimed = nil
		query, args, err := tx.In(`
			SELECT `+numberColumns+` FROM tracking_numbers
			WHERE account_id <> '' AND due_at <= ? AND state IN (?)
			ORDER BY due_at
			LIMIT ?`, store.Micros(now), states, limit)
		if err != nil {
			return err
		}
		if err := tx.Select(ctx, &claimed, query+tx.SkipLocked(), args...); err != nil {
			return err
		}
		for i := range claimed {
			claimed[i].DueAt, claimed[i].Attempts = store.At(next), claimed[i].Attempts+1
			_, err := tx.Exec(ctx, `
				UPDATE tracking_numbers SET due_at = ?, attempts = attempts + 1
				WHERE account_id = ? AND number_id = ?`, store.Micros(next), claimed[i].AccountID, claimed[i].ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return claimed, err
}

// routeRow is a row of routes.
type routeRow struct {
	AccountID string     `db:"account_id"`
	ID        string     `db:"route_id"`
	Name      string     `db:"name"`
	Plan      string     `db:"plan"`
	Version   int64      `db:"version"`
	CreatedAt store.Time `db:"created_at"`
	RetiredAt store.Time `db:"retired_at"`
}

const routeColumns = `account_id, route_id, name, plan, version, created_at, retired_at`

func routeByID(ctx context.Context, q store.Querier, accountID, id, lock string) (routeRow, error) {
	var r routeRow
	err := q.Get(ctx, &r, `
		SELECT `+routeColumns+` FROM routes WHERE account_id = ? AND route_id = ?`+lock, accountID, id)
	return r, err
}

func insertRoute(ctx context.Context, tx *store.Tx, r routeRow) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO routes (`+routeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.AccountID, r.ID, r.Name, r.Plan, r.Version, r.CreatedAt, r.RetiredAt)
	return err
}

func saveRoute(ctx context.Context, tx *store.Tx, r routeRow) error {
	_, err := tx.Exec(ctx, `
		UPDATE routes SET name = ?, plan = ?, version = ?, retired_at = ?
		WHERE account_id = ? AND route_id = ?`, r.Name, r.Plan, r.Version, r.RetiredAt, r.AccountID, r.ID)
	return err
}

func listRoutes(ctx context.Context, q store.Querier, accountID string, after Place, limit int) ([]routeRow, error) {
	rows := []routeRow{}
	err := q.Select(ctx, &rows, `
		SELECT `+routeColumns+` FROM routes
		WHERE account_id = ? AND retired_at IS NULL AND (created_at, route_id) > (CAST(? AS BIGINT), CAST(? AS TEXT))
		ORDER BY created_at, route_id
		LIMIT ?`, accountID, placeMicros(after), after.ID, limit)
	return rows, err
}

// anyTaken returns whether one of the numbers is a tracking number, or is being
// bought as one.
func anyTaken(ctx context.Context, q store.Querier, numbers []string) (bool, error) {
	if len(numbers) == 0 {
		return false, nil
	}
	query, args, err := q.In(`
		SELECT (SELECT count(account_id) FROM tracking_numbers WHERE state <> 'released' AND number IN (?))
			+ (SELECT count(account_id) FROM number_orders WHERE state IN ('intent', 'sent') AND number IN (?))`, numbers, numbers)
	if err != nil {
		return false, err
	}
	var n int64
	err = q.Get(ctx, &n, query, args...)
	return n > 0, err
}

// blockedRow is a row of blocked_callers.
type blockedRow struct {
	AccountID string     `db:"account_id"`
	Caller    string     `db:"caller"`
	Reason    string     `db:"reason"`
	CreatedAt store.Time `db:"created_at"`
	CreatedBy string     `db:"created_by"`
}

// heldNumber reads the account's row of a number that is not released, and
// locks it.
func heldNumber(ctx context.Context, tx *store.Tx, accountID, number string) (numberRow, error) {
	var r numberRow
	err := tx.Get(ctx, &r, `
		SELECT `+numberColumns+` FROM tracking_numbers
		WHERE account_id = ? AND number = ? AND state <> 'released'`+tx.ForUpdate(), accountID, number)
	return r, err
}

const orderColumns = `account_id, order_id, number, state, settings, provider_number_id, due_at, attempts,
	last_error, created_at, updated_at`

// insertOrder says whether the order was added: not while another one for the
// same number is open anywhere in the installation.
func insertOrder(ctx context.Context, tx *store.Tx, o orderRow) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO number_orders (`+orderColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		o.AccountID, o.ID, o.Number, o.State, o.Settings, o.ProviderNumberID, o.DueAt, o.Attempts,
		o.LastError, o.CreatedAt, o.UpdatedAt)
	return n == 1, err
}

// claimOrders takes open orders whose time has come and puts the next look off,
// longer every time.
func claimOrders(ctx context.Context, db *store.DB, now time.Time, limit int) ([]orderRow, error) {
	var claimed []orderRow
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		claimed = nil
		err := tx.Select(ctx, &claimed, `
			SELECT `+orderColumns+` FROM number_orders
			WHERE account_id <> '' AND state IN ('intent', 'sent') AND due_at <= ?
			ORDER BY due_at
			LIMIT ?`+tx.SkipLocked(), store.Micros(now), limit)
		if err != nil {
			return err
		}
		for i := range claimed {
			o := &claimed[i]
			o.DueAt = store.At(now.Add(backoff(orderFirstLook, orderMaxWait, o.Attempts)))
			o.Attempts++
			_, err := tx.Exec(ctx, `
				UPDATE number_orders SET due_at = ?, attempts = ?
				WHERE account_id = ? AND order_id = ?`, o.DueAt, o.Attempts, o.AccountID, o.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return claimed, err
}
