package telephony

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// OrderState says how far a purchase has come.
type OrderState string

// The states of an order. Intent and Sent are open: one per number in the whole
// installation.
const (
	OrderIntent  OrderState = "intent"  // written down, not sent
	OrderSent    OrderState = "sent"    // sent; what became of it is not known
	OrderBought  OrderState = "bought"  // ours
	OrderRefused OrderState = "refused" // the provider said no
)

// Order is one purchase of a number at the provider.
type Order struct {
	ID     string
	Number string // E.164
	State  OrderState
	Reason string // why it was refused, or what stands in the way
}

// How long an order waits before somebody looks what became of it. The first
// wait is longer than a request to the provider lives, so that nobody looks
// while it is still under way.
const (
	orderFirstLook = time.Minute
	orderMaxWait   = time.Hour
	buyDeadline    = orderFirstLook / 2
	orderBatch     = 10
)

// Search asks the provider for numbers on offer. Errors are Invalid for a
// question it cannot answer, and Unavailable or Forbidden as the provider says.
func (n *Numbers) Search(ctx context.Context, accountID string, q CarrierSearch) ([]CarrierNumber, error) {
	if len(q.Country) != 2 || strings.Trim(q.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return nil, callwheel.InvalidField("country", "must be a country's two capital letters, such as US")
	}
	switch q.Kind {
	case "":
		q.Kind = "local"
	case "local", "toll_free", "mobile":
	default:
		return nil, callwheel.InvalidField("kind", "must be local, toll_free or mobile")
	}
	if q.Limit <= 0 || q.Limit > 100 {
		q.Limit = 20
	}
	carrier, err := n.carrierFor(accountID)
	if err != nil {
		return nil, err
	}
	found, err := carrier.Search(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("search numbers: %w", err)
	}
	return found, nil
}

// Buy buys a number and returns it as a tracking number. The intent is on disk
// before the provider hears of it, and only one order per number is open in the
// installation, so a number is never bought twice.
//
// When the provider does not say what became of the purchase the number comes
// back in state ordered, and OrderStep finds out; it is routed meanwhile. Errors
// are Conflict for a number that is bought or being bought already or that
// somebody else got, and Invalid for settings or a number that cannot be.
func (n *Numbers) Buy(ctx context.Context, accountID, actor string, in NewNumber) (TrackingNumber, error) {
	in, err := in.checked()
	if err != nil {
		return TrackingNumber{}, err
	}
	carrier, err := n.carrierFor(accountID)
	if err != nil {
		return TrackingNumber{}, err
	}
	order, err := n.intend(ctx, accountID, actor, in)
	if err != nil {
		return TrackingNumber{}, err
	}
	// From here on the work is not the client's to cancel: an answer that
	// nobody waits for must still be written down.
	ctx = context.WithoutCancel(ctx)
	n.log.InfoContext(ctx, "number order begun", "account_id", accountID, "order_id", order.ID, "actor", actor)
	if err := n.markSent(ctx, &order); err != nil {
		return TrackingNumber{}, err
	}
	return n.send(ctx, carrier, order)
}

// intend writes the intent. Inserting first and looking second matters: a rival
// who has just finished has taken away the open order and left the number.
func (n *Numbers) intend(ctx context.Context, accountID, actor string, in NewNumber) (orderRow, error) {
	settings, err := json.Marshal(in)
	if err != nil {
		return orderRow{}, fmt.Errorf("write order: %w", err)
	}
	now := n.now()
	row := orderRow{
		AccountID: accountID, ID: callwheel.NewID("order"), Number: in.Number, State: string(OrderIntent),
		Settings: string(settings), DueAt: store.At(now.Add(orderFirstLook)),
		CreatedAt: store.At(now), UpdatedAt: store.At(now),
	}
	err = n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil { // one after the other with whoever makes it a destination
			return err
		}
		added, err := insertOrder(ctx, tx, row)
		if err != nil {
			return err
		}
		if !added {
			return callwheel.Errorf(callwheel.Conflict, "this number is being bought already")
		}
		held, err := numberIsHeld(ctx, tx, in.Number)
		if err != nil {
			return err
		}
		if held {
			return callwheel.Errorf(callwheel.Conflict, "this number is a tracking number already")
		}
		if err := checkNotRungByOthers(ctx, tx, in.Number); err != nil {
			return err
		}
		wanted := newNumberRow(accountID, n.cfg.Provider, in, now)
		if err := n.place(ctx, tx, &wanted, wanted.SourceID, wanted.PoolID); err != nil {
			return err
		}
		if err := checkRouting(ctx, tx, wanted); err != nil {
			return err
		}
		return audit(ctx, tx, now, accountID, actor, "number.buy", row.ID)
	})
	return row, err
}

// markSent notes that from now on the provider may have sold us the number.
func (n *Numbers) markSent(ctx context.Context, o *orderRow) error {
	o.State, o.DueAt = string(OrderSent), store.At(n.now().Add(orderFirstLook))
	return n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return n.saveOrder(ctx, tx, o) })
}

// send makes the one purchase of a sent order and notes what came of it.
func (n *Numbers) send(ctx context.Context, carrier Carrier, o orderRow) (TrackingNumber, error) {
	bought, err := n.buyOnce(ctx, carrier, o.Number)
	switch callwheel.KindOf(err) {
	case "":
		return n.finish(ctx, o, bought)
	case callwheel.Conflict, callwheel.Invalid, callwheel.NotFound, callwheel.Forbidden:
		if refuseErr := n.refuse(ctx, o, err); refuseErr != nil {
			return TrackingNumber{}, refuseErr
		}
		return TrackingNumber{}, fmt.Errorf("buy number: %w", err)
	}
	return n.leaveOpen(ctx, o, err)
}

// buyOnce sends one purchase, and gives up well before anybody looks what came
// of it.
func (n *Numbers) buyOnce(ctx context.Context, carrier Carrier, number string) (CarrierNumber, error) {
	ctx, cancel := context.WithTimeout(ctx, buyDeadline)
	defer cancel()
	return carrier.Buy(ctx, number, n.cfg.Settings)
}

// finish writes the purchase down: order and tracking number together.
func (n *Numbers) finish(ctx context.Context, o orderRow, bought CarrierNumber) (TrackingNumber, error) {
	var row numberRow
	now := n.now()
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		var err error
		if row, err = n.numberOfOrder(ctx, tx, o, now); err != nil {
			return err
		}
		row.State, row.ProviderNumberID = string(o.settings().State), bought.Ref
		if pointsAt(bought, n.cfg.Settings) {
			row.ConfirmedAt = store.At(now)
		}
		row.DueAt, row.Attempts = n.nextLook(row, now), 0 // confirmed like any other
		row.Version++
		if err := saveNumber(ctx, tx, row); err != nil {
			return err
		}
		o.State, o.ProviderNumberID, o.DueAt, o.LastError = string(OrderBought), bought.Ref, store.Time{}, ""
		return n.saveOrder(ctx, tx, &o)
	})
	if err != nil {
		return TrackingNumber{}, fmt.Errorf("write down purchase: %w", err)
	}
	n.metrics.orders.WithLabelValues(string(OrderBought)).Inc()
	return row.value(), nil
}

// leaveOpen keeps an order whose outcome nobody knows; the number is shown, and
// routed, as ordered.
func (n *Numbers) leaveOpen(ctx context.Context, o orderRow, cause error) (TrackingNumber, error) {
	var row numberRow
	now := n.now()
	o.LastError = shortText(cause.Error())
	o.Attempts++
	o.DueAt = store.At(now.Add(backoff(orderFirstLook, orderMaxWait, o.Attempts-1)))
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		var err error
		if row, err = n.numberOfOrder(ctx, tx, o, now); err != nil {
			return err
		}
		return n.saveOrder(ctx, tx, &o)
	})
	if err != nil {
		return TrackingNumber{}, err
	}
	n.metrics.orders.WithLabelValues("unknown").Inc()
	n.log.WarnContext(ctx, "number order left open", "account_id", o.AccountID, "order_id", o.ID, "error", o.LastError)
	return row.value(), nil
}

// numberOfOrder returns the row of an ordered number, made on first need, and as
// it may be by now.
func (n *Numbers) numberOfOrder(ctx context.Context, tx *store.Tx, o orderRow, now time.Time) (numberRow, error) {
	row := newNumberRow(o.AccountID, n.cfg.Provider, o.settings(), now)
	row.State = string(NumberOrdered)
	if err := n.fit(ctx, tx, &row); err != nil {
		return row, err
	}
	added, err := insertNumber(ctx, tx, row)
	if err != nil {
		return row, err
	}
	if added {
		return row, bind(ctx, tx, row, now)
	}
	have, err := heldNumber(ctx, tx, o.AccountID, o.Number)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return row, callwheel.Errorf(callwheel.Conflict, "this number is a tracking number already")
	}
	if err != nil {
		return row, err
	}
	row = have
	if err := n.fit(ctx, tx, &row); err != nil {
		return row, err
	}
	if sameBinding(have, row) {
		return row, nil
	}
	return row, bind(ctx, tx, row, now)
}

// fit looks again at what was looked at before the purchase: meanwhile a pool may
// have moved or gone, or a destination become a tracking number. The number is
// ours and paid for, so what does not fit any more is left out and said, not
// refused.
func (n *Numbers) fit(ctx context.Context, tx *store.Tx, r *numberRow) error {
	r.Problem = ""
	for _, part := range []struct {
		check func() error
		leave func()
	}{
		{func() error { return n.place(ctx, tx, r, r.SourceID, r.PoolID) }, func() { r.SourceID, r.PoolID, r.PoolDestination = "", "", "" }},
		{func() error { return checkRouting(ctx, tx, *r) }, func() { r.Destination, r.PoolDestination, r.RouteID = "", "", "" }},
		{func() error { return checkNotRungByOthers(ctx, tx, r.Number) }, func() {}},
	} {
		err := part.check()
		if err != nil && callwheel.KindOf(err) != callwheel.Invalid {
			return err
		}
		if err != nil {
			part.leave()
			r.Problem = "changed while the number was bought: " + problemOf(err)
		}
	}
	return nil
}

// problemOf says what an Invalid error found wrong, with the field.
func problemOf(err error) string {
	var e *callwheel.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return e.Fields[0].Field + " " + e.Fields[0].Message
	}
	return err.Error()
}

// refuse closes an order that the provider declined, and forgets the number if
// it was shown as ordered.
func (n *Numbers) refuse(ctx context.Context, o orderRow, cause error) error {
	o.State, o.DueAt, o.LastError = string(OrderRefused), store.Time{}, shortText(cause.Error())
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		row, err := heldNumber(ctx, tx, o.AccountID, o.Number)
		switch {
		case callwheel.KindOf(err) == callwheel.NotFound:
		case err != nil:
			return err
		case NumberState(row.State) == NumberOrdered:
			row.Problem = "the provider refused the purchase: " + o.LastError
			row.Version++
			if err := letGo(ctx, tx, &row, n.now()); err != nil {
				return err
			}
		}
		return n.saveOrder(ctx, tx, &o)
	})
	if err == nil {
		n.metrics.orders.WithLabelValues(string(OrderRefused)).Inc()
	}
	return err
}

// OrderStep finds out what became of orders that were left open: it looks among
// the numbers that we own before it ever asks again to buy. Its shape is a
// job's step: a bounded batch, safe to repeat and to run in several replicas.
func (n *Numbers) OrderStep(ctx context.Context, now time.Time) (int, error) {
	orders, err := claimOrders(ctx, n.db, now, orderBatch)
	if err != nil {
		return 0, fmt.Errorf("claim orders: %w", err)
	}
	var errs []error
	for _, o := range orders {
		if err := n.settle(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("settle order %s: %w", o.ID, err))
		}
	}
	return len(orders), errors.Join(errs...)
}

func (n *Numbers) settle(ctx context.Context, o orderRow) error {
	carrier, err := n.carrierFor(o.AccountID)
	if err != nil {
		return err
	}
	found, err := ownedNumber(ctx, carrier, o.Number)
	if err != nil {
		return err // claimed: due again later
	}
	if found != nil {
		_, err := n.finish(ctx, o, *found)
		return err
	}
	if err := n.markSent(ctx, &o); err != nil {
		return err
	}
	bought, err := n.buyOnce(ctx, carrier, o.Number)
	switch callwheel.KindOf(err) {
	case "":
		_, err := n.finish(ctx, o, bought)
		return err
	case callwheel.Unavailable, callwheel.Internal:
		_, err := n.leaveOpen(ctx, o, err)
		return err
	}
	// "Not for sale" is also what the provider says of a number that our first
	// request did buy, while its list was not up to date.
	if found, lookErr := ownedNumber(ctx, carrier, o.Number); lookErr != nil {
		return lookErr
	} else if found != nil {
		_, err := n.finish(ctx, o, *found)
		return err
	}
	return n.refuse(ctx, o, err)
}

// ownedNumber looks a number up among those we own; nil when it is not there.
func ownedNumber(ctx context.Context, carrier Carrier, number string) (*CarrierNumber, error) {
	list, err := carrier.Owned(ctx, number)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return nil, fmt.Errorf("look up number: %w", err)
	}
	for _, c := range list {
		if c.Number == number {
			return &c, nil
		}
	}
	return nil, nil
}

// Importable returns the numbers that the account owns at the provider and that
// no account of the installation uses yet.
func (n *Numbers) Importable(ctx context.Context, accountID string) ([]CarrierNumber, error) {
	carrier, err := n.carrierFor(accountID)
	if err != nil {
		return nil, err
	}
	owned, err := carrier.Owned(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("list owned numbers: %w", err)
	}
	free := make([]CarrierNumber, 0, len(owned))
	for _, c := range owned {
		taken, err := numberIsTaken(ctx, n.db, c.Number)
		if err != nil {
			return nil, err
		}
		if !taken {
			free = append(free, c)
		}
	}
	return free, nil
}

// ImportOwned registers numbers that are owned at the provider and unknown
// here: those named, or all of them when none is named. All get the settings.
// A number that another request registered meanwhile is left out.
func (n *Numbers) ImportOwned(ctx context.Context, accountID, actor string, numbers []string, in NewNumber) ([]TrackingNumber, error) {
	free, err := n.Importable(ctx, accountID)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, text := range numbers {
		number, err := readDialable("numbers", text)
		if err != nil {
			return nil, err
		}
		wanted[number] = true
	}
	list := []TrackingNumber{}
	for _, c := range free {
		if len(wanted) > 0 && !wanted[c.Number] {
			continue
		}
		in.Number = c.Number
		added, err := n.Create(ctx, accountID, actor, in)
		if callwheel.KindOf(err) == callwheel.Conflict {
			continue
		}
		if err != nil {
			return list, err
		}
		list = append(list, added)
	}
	return list, nil
}

// ConfirmStep looks new numbers up at the provider: are they ours, and do they
// point at us? It sets their URLs there, or writes down for a person what is
// wrong and looks again later. Its shape is a job's step.
func (n *Numbers) ConfirmStep(ctx context.Context, now time.Time) (int, error) {
	rows, err := claimNumbers(ctx, n.db, []string{string(NumberActive)}, now, now.Add(10*time.Minute), n.cfg.Batch)
	if err != nil {
		return 0, fmt.Errorf("claim numbers to confirm: %w", err)
	}
	var errs []error
	for _, r := range rows {
		if err := n.confirm(ctx, r, now); err != nil {
			errs = append(errs, fmt.Errorf("confirm number %s: %w", r.ID, err))
		}
	}
	return len(rows), errors.Join(errs...)
}

func (n *Numbers) confirm(ctx context.Context, r numberRow, now time.Time) error {
	ref, problem, err := n.pointAtUs(ctx, r)
	var confirmed, due store.Time
	switch {
	case err != nil:
		problem = "the provider could not be asked: " + shortText(err.Error())
		due = store.At(now.Add(backoff(time.Minute, time.Hour, r.Attempts-1)))
	case problem != "":
		due = store.At(now.Add(backoff(10*time.Minute, 6*time.Hour, r.Attempts-1)))
	default:
		confirmed = store.At(now)
	}
	// Only what this step learned is written, and the version stays: people may
	// be editing the rest, and nothing of theirs has changed.
	return n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE tracking_numbers
			SET provider_number_id = CASE WHEN CAST(? AS TEXT) = '' THEN provider_number_id ELSE CAST(? AS TEXT) END,
				confirmed_at = ?, problem = ?, due_at = ?
			WHERE account_id = ? AND number_id = ? AND state = 'active'`,
			ref, ref, confirmed, problem, due, r.AccountID, r.ID)
		return err
	})
}

// pointAtUs sets a number's URLs at the provider. It returns the provider's id,
// and a problem in words when the number cannot work as it is.
func (n *Numbers) pointAtUs(ctx context.Context, r numberRow) (ref, problem string, err error) {
	carrier, err := n.carrierFor(r.AccountID)
	if err != nil {
		return "", "", err
	}
	found, err := ownedNumber(ctx, carrier, r.Number)
	if err != nil {
		return "", "", err
	}
	if found == nil {
		return "", "the provider does not know this number as ours", nil
	}
	if !pointsAt(*found, n.cfg.Settings) && n.cfg.Settings.VoiceURL != "" {
		if err := carrier.Configure(ctx, found.Ref, n.cfg.Settings); err != nil {
			return found.Ref, "", fmt.Errorf("set URLs: %w", err)
		}
	}
	if found.Overridden != "" {
		return found.Ref, "a setting at the provider wins over the voice URL: " + found.Overridden, nil
	}
	return found.Ref, "", nil
}

// pointsAt says whether a number at the provider does what the settings ask for.
// A fallback that we have no opinion about is the operator's own.
func pointsAt(c CarrierNumber, s NumberSettings) bool {
	return c.Overridden == "" && c.VoiceURL == s.VoiceURL && c.StatusURL == s.StatusURL &&
		(s.FallbackURL == "" || c.FallbackURL == s.FallbackURL)
}

// RetireStep moves numbers on when their time has come: from draining to
// quarantine, and from quarantine back to the provider, unless people still call
// them. Its shape is a job's step.
func (n *Numbers) RetireStep(ctx context.Context, now time.Time) (int, error) {
	states := []string{string(NumberDraining), string(NumberQuarantined)}
	rows, err := claimNumbers(ctx, n.db, states, now, now.Add(10*time.Minute), n.cfg.Batch)
	if err != nil {
		return 0, fmt.Errorf("claim numbers to retire: %w", err)
	}
	var errs []error
	for _, r := range rows {
		if err := n.moveOn(ctx, r, now); err != nil {
			errs = append(errs, fmt.Errorf("retire number %s: %w", r.ID, err))
		}
	}
	return len(rows), errors.Join(errs...)
}

func (n *Numbers) moveOn(ctx context.Context, r numberRow, now time.Time) error {
	if NumberState(r.State) == NumberDraining {
		return n.moved(ctx, r, func(ctx context.Context, tx *store.Tx, row *numberRow) error {
			row.State, row.DueAt, row.Attempts = string(NumberQuarantined), store.At(now.Add(n.cfg.QuarantineFor)), 0
			return saveNumber(ctx, tx, *row)
		})
	}
	if wait, err := n.stillCalled(ctx, r, now); err != nil || wait {
		return err
	}
	carrier, err := n.carrierFor(r.AccountID)
	if err != nil {
		return n.noteProblem(ctx, r, "the provider cannot be asked", err)
	}
	ref, err := refOf(ctx, carrier, r)
	if err != nil {
		return n.noteProblem(ctx, r, "the provider could not be asked", err)
	}
	if ref != "" {
		if begun, err := n.beginRelease(ctx, r, now); err != nil || !begun {
			return err
		}
		if err := n.giveBack(ctx, carrier, r, ref); err != nil {
			return n.noteProblem(ctx, r, "not given back yet", err)
		}
	}
	n.metrics.released.Inc()
	return n.moved(ctx, r, func(ctx context.Context, tx *store.Tx, row *numberRow) error {
		row.Problem, row.ReleasingAt = "", store.Time{}
		return letGo(ctx, tx, row, now)
	})
}

// refOf returns the provider's id of the number, "" when the provider does not
// have it as ours. A number that was never confirmed is looked up: it may be
// ours, and paid for, all the same.
func refOf(ctx context.Context, carrier Carrier, r numberRow) (string, error) {
	if r.ProviderNumberID != "" {
		return r.ProviderNumberID, nil
	}
	found, err := ownedNumber(ctx, carrier, r.Number)
	if err != nil || found == nil {
		return "", err
	}
	return found.Ref, nil
}

// beginRelease marks the number just before the provider is told to take it
// back: from then on nobody can rescue it. It says no when somebody has rescued
// it since it was claimed.
func (n *Numbers) beginRelease(ctx context.Context, r numberRow, now time.Time) (bool, error) {
	begun := false
	err := n.moved(ctx, r, func(ctx context.Context, tx *store.Tx, row *numberRow) error {
		begun = true
		row.ReleasingAt = store.At(now)
		return saveNumber(ctx, tx, *row)
	})
	return begun, err
}

// giveBack releases the number at the provider; one that is not there any more
// is given back already. While nobody knows what became of it the number stays
// marked; after a refusal it can be rescued again.
func (n *Numbers) giveBack(ctx context.Context, carrier Carrier, r numberRow, ref string) error {
	err := carrier.Release(ctx, ref)
	switch callwheel.KindOf(err) {
	case "", callwheel.NotFound:
		return nil
	case callwheel.Unavailable, callwheel.Internal:
		return err
	}
	return errors.Join(err, n.moved(ctx, r, func(ctx context.Context, tx *store.Tx, row *numberRow) error {
		row.ReleasingAt = store.Time{}
		return saveNumber(ctx, tx, *row)
	}))
}

// noteProblem tells a person why a number is not released, and returns cause:
// the number is claimed and comes again.
func (n *Numbers) noteProblem(ctx context.Context, r numberRow, what string, cause error) error {
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE tracking_numbers SET problem = ? WHERE account_id = ? AND number_id = ? AND state = ?`,
			what+": "+shortText(cause.Error()), r.AccountID, r.ID, r.State)
		return err
	})
	return errors.Join(cause, err)
}

// moved runs change on the row unless somebody has taken it elsewhere since it
// was claimed: into another state, or there and back. A number that is being
// given back cannot be taken anywhere.
func (n *Numbers) moved(ctx context.Context, claimed numberRow, change func(context.Context, *store.Tx, *numberRow) error) error {
	return n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		row, err := numberByID(ctx, tx, claimed.AccountID, claimed.ID, tx.ForUpdate())
		if err != nil || row.State != claimed.State {
			return err
		}
		if row.ReleasingAt.IsZero() && !row.DueAt.Equal(claimed.DueAt.Time) {
			return nil
		}
		row.Version++
		return change(ctx, tx, &row)
	})
}

// backoff doubles a wait with every attempt, up to a limit.
func backoff(first, most time.Duration, attempts int64) time.Duration {
	wait := first
	for i := int64(0); i < attempts && wait < most; i++ {
		wait *= 2
	}
	return min(wait, most)
}

// shortText keeps what a row or a log line says about a failure to one line.
func shortText(s string) string {
	if len(s) > 300 {
		s = s[:300]
	}
	return strings.ToValidUTF8(s, "")
}

// orderRow is a row of number_orders.
type orderRow struct {
	AccountID        string     `db:"account_id"`
	ID               string     `db:"order_id"`
	Number           string     `db:"number"`
	State            string     `db:"state"`
	Settings         string     `db:"settings"`
	ProviderNumberID string     `db:"provider_number_id"`
	DueAt            store.Time `db:"due_at"`
	Attempts         int64      `db:"attempts"`
	LastError        string     `db:"last_error"`
	CreatedAt        store.Time `db:"created_at"`
	UpdatedAt        store.Time `db:"updated_at"`
}

// settings is what the number shall be once it is ours.
func (o orderRow) settings() NewNumber {
	var in NewNumber
	_ = json.Unmarshal([]byte(o.Settings), &in) // only intend writes it
	in.Number = o.Number
	return in
}

// saveOrder writes an order's progress. An order that is decided already stays
// as it is: two replicas may have looked at it.
func (n *Numbers) saveOrder(ctx context.Context, tx *store.Tx, o *orderRow) error {
	changed, err := tx.Exec(ctx, `
		UPDATE number_orders
		SET state = ?, provider_number_id = ?, due_at = ?, attempts = ?, last_error = ?, updated_at = ?
		WHERE account_id = ? AND order_id = ? AND state IN ('intent', 'sent')`,
		o.State, o.ProviderNumberID, o.DueAt, o.Attempts, o.LastError, store.Micros(n.now()), o.AccountID, o.ID)
	if err == nil && changed == 0 {
		return callwheel.Errorf(callwheel.Conflict, "the order is decided already")
	}
	return err
}
