package telephony

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// ReconcilerConfig says when the provider is asked about a call that seems to
// go on. The zero value takes the defaults.
type ReconcilerConfig struct {
	Provider   string        // whose calls: "twilio"
	QuietAfter time.Duration // no news for so long: ask. Default 2 minutes
	LongAfter  time.Duration // no call lasts longer at the provider: always ask. Default 4 h 5 min
	LostAfter  time.Duration // the provider does not know a call this old: close it. Default 24 hours
	ListEvery  time.Duration // how often the provider's list is read for calls we never heard of. Default 5 minutes
	ListBack   time.Duration // how far back the very first reading goes. Default 1 hour
	ListMost   time.Duration // how far back a reading goes after an outage. Default 7 days
	Settle     time.Duration // calls younger than this may still be told to us in the usual way. Default 1 minute
	Batch      int           // calls asked about in one sweep. Default 50
}

func (c ReconcilerConfig) withDefaults() ReconcilerConfig {
	if c.Provider == "" {
		c.Provider = "twilio"
	}
	for field, standard := range map[*time.Duration]time.Duration{
		&c.QuietAfter: 2 * time.Minute, &c.LongAfter: 4*time.Hour + 5*time.Minute, &c.LostAfter: 24 * time.Hour,
		&c.ListEvery: 5 * time.Minute, &c.ListBack: time.Hour, &c.ListMost: 7 * 24 * time.Hour, &c.Settle: time.Minute,
	} {
		if *field == 0 {
			*field = standard
		}
	}
	if c.Batch == 0 {
		c.Batch = 50
	}
	return c
}

// listOverlap is how much of the window before is read again: the provider's
// list is up to date only after a while. listWindow bounds one reading: what a
// long outage left is read in several.
const (
	listOverlap = 10 * time.Minute
	listWindow  = 24 * time.Hour
)

// Reconciler asks the provider about calls whose end we were never told, and
// about calls we never heard of. It is the only remedy for a lost final
// callback: the network tells the end of a call once.
type Reconciler struct {
	db         *store.DB
	carrierFor CarrierFor
	board      *Switchboard
	cfg        ReconcilerConfig
	log        *slog.Logger
	metrics    reconcileMetrics

	mu    sync.Mutex
	asked map[string]attempt // by account and call: not again before
}

// attempt is how often we asked about a call, and when to ask again.
type attempt struct {
	times int64
	next  time.Time
}

// NewReconciler makes the value; log and reg may be nil.
func NewReconciler(db *store.DB, carrierFor CarrierFor, board *Switchboard, cfg ReconcilerConfig, log *slog.Logger, reg prometheus.Registerer) *Reconciler {
	return &Reconciler{
		db: db, carrierFor: carrierFor, board: board, cfg: cfg.withDefaults(), log: orQuiet(log),
		metrics: newReconcileMetrics(reg), asked: map[string]attempt{},
	}
}

// Sweep asks about open calls without news and reads the provider's list for
// calls that nobody told us of. It returns how many calls it put right. Its
// shape is a job's step.
func (r *Reconciler) Sweep(ctx context.Context, now time.Time) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended, err := r.sweepOpen(ctx, now)
	found, listErr := r.sweepLists(ctx, now)
	return ended + found, errors.Join(err, listErr)
}

// openCall is a call that, as far as we know, goes on.
type openCall struct {
	AccountID string     `db:"account_id"`
	CallID    string     `db:"call_id"`
	Ref       string     `db:"provider_call_id"`
	Status    *string    `db:"status"`
	StartedAt store.Time `db:"started_at"`
	UpdatedAt store.Time `db:"updated_at"`
}

func (c openCall) key() string { return c.AccountID + "/" + c.CallID }

func (r *Reconciler) sweepOpen(ctx context.Context, now time.Time) (int, error) {
	var open []openCall
	err := r.db.Select(ctx, &open, `
		SELECT account_id, call_id, provider_call_id, status, started_at, updated_at FROM calls
		WHERE account_id <> '' AND provider = ? AND ended_at IS NULL AND NOT imported AND updated_at <= ?
		ORDER BY updated_at
		LIMIT 2000`, r.cfg.Provider, store.Micros(now.Add(-r.cfg.QuietAfter)))
	if err != nil {
		return 0, fmt.Errorf("find open calls: %w", err)
	}
	r.forget(open)
	var errs []error
	done, asked := 0, 0
	for _, c := range open {
		if asked == r.cfg.Batch {
			break
		}
		if now.Before(r.asked[c.key()].next) {
			continue
		}
		asked++
		fixed, err := r.ask(ctx, c, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("ask about call %s: %w", c.CallID, err))
		}
		if fixed {
			done++
		}
	}
	return done, errors.Join(errs...)
}

// forget drops what is remembered of calls that are not open any more.
func (r *Reconciler) forget(open []openCall) {
	still := make(map[string]attempt, len(open))
	for _, c := range open {
		if a, ok := r.asked[c.key()]; ok {
			still[c.key()] = a
		}
	}
	r.asked = still
}

// ask asks about one call and says whether it has ended now.
func (r *Reconciler) ask(ctx context.Context, c openCall, now time.Time) (bool, error) {
	r.putOff(c, now)
	carrier, err := r.carrierFor(c.AccountID)
	if err != nil {
		return false, nil //nolint:nilerr // without credentials there is nobody to ask
	}
	r.metrics.asked.Inc()
	told, err := carrier.Call(ctx, c.Ref)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return r.lose(ctx, c, now)
	}
	if err != nil {
		return false, err
	}
	if !told.Status.Final() {
		return false, nil
	}
	if err := r.learnLegs(ctx, carrier, c.AccountID, told); err != nil {
		return false, err
	}
	if err := r.learn(ctx, c.AccountID, endOf(r.event(told, now), told, now)); err != nil {
		return false, err
	}
	r.fixed(ctx, "ended", c.AccountID, c.CallID)
	return true, nil
}

// putOff doubles the time until a call is asked about again, up to an hour, and
// to a quarter of one for a call that must long be over.
func (r *Reconciler) putOff(c openCall, now time.Time) {
	most := time.Hour
	if now.Sub(c.StartedAt.Time) >= r.cfg.LongAfter {
		most = 15 * time.Minute
	}
	a := r.asked[c.key()]
	a.next = now.Add(backoff(r.cfg.QuietAfter, most, a.times))
	a.times++
	r.asked[c.key()] = a
}

// lose closes a call of which the provider knows nothing, once that cannot be
// the slowness of its list any more. When it ended is not known: the last news
// stands for it.
func (r *Reconciler) lose(ctx context.Context, c openCall, now time.Time) (bool, error) {
	if now.Sub(c.StartedAt.Time) < r.cfg.LostAfter {
		return false, nil
	}
	status := Failed
	if Status(deref(c.Status)) == InProgress {
		status = Completed
	}
	e := r.event(CarrierCall{Ref: c.Ref, Status: status, Seconds: -1}, now)
	e.At, e.Flags = c.UpdatedAt.Time, []string{"lost"}
	if err := r.learn(ctx, c.AccountID, e); err != nil {
		return false, err
	}
	r.fixed(ctx, "lost", c.AccountID, c.CallID)
	return true, nil
}

func (r *Reconciler) fixed(ctx context.Context, how, accountID, callID string) {
	r.metrics.fixed.WithLabelValues(how).Inc()
	r.log.InfoContext(ctx, "call reconciled", "how", how, "account_id", accountID, "call_id", callID)
}

// event writes the provider's record of the caller's leg as a fact.
func (r *Reconciler) event(c CarrierCall, now time.Time) Event {
	return Event{
		Provider: r.cfg.Provider, Door: DoorReconcile, CallRef: c.Ref, ReceivedAt: now, Sequence: -1,
		From: c.From, To: c.To, Direction: c.Direction, Status: c.Status, RawStatus: string(c.Status),
		Seconds: c.Seconds, DialSeconds: -1, RecordingSeconds: -1,
	}
}

// endOf dates a fact at the end of its leg.
func endOf(e Event, c CarrierCall, now time.Time) Event {
	switch {
	case !c.EndedAt.IsZero():
		e.At = c.EndedAt
	case !c.StartedAt.IsZero():
		e.At = c.StartedAt.Add(time.Duration(max(c.Seconds, 0)) * time.Second)
	default:
		e.At = now
	}
	return e
}

// learnLegs hands over the provider's record of the phones that were rung.
func (r *Reconciler) learnLegs(ctx context.Context, carrier Carrier, accountID string, parent CarrierCall) error {
	legs, err := carrier.Legs(ctx, parent.Ref)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return err
	}
	for _, leg := range legs {
		if !leg.Status.Final() {
			continue
		}
		e := endOf(r.event(leg, leg.EndedAt), leg, leg.EndedAt)
		e.CallRef, e.LegRef = parent.Ref, leg.Ref
		if err := r.learn(ctx, accountID, e); err != nil {
			return err
		}
	}
	return nil
}

// learn hands a fact to the switchboard. Its key leaves out when we asked, so
// that the same answer twice is one fact.
func (r *Reconciler) learn(ctx context.Context, accountID string, e Event) error {
	_, err := r.board.Learn(ctx, accountID, e)
	return err
}

// sweepLists reads the list of every provider account for calls that we never
// heard of.
func (r *Reconciler) sweepLists(ctx context.Context, now time.Time) (int, error) {
	var accounts []struct {
		ID              string `db:"account_id"`
		ProviderAccount string `db:"provider_account"`
	}
	err := r.db.Select(ctx, &accounts, `SELECT account_id, provider_account FROM accounts ORDER BY account_id`)
	if err != nil {
		return 0, fmt.Errorf("list accounts: %w", err)
	}
	var errs []error
	done := 0
	seen := map[string]bool{}
	for _, a := range accounts {
		if seen[a.ProviderAccount] {
			continue
		}
		seen[a.ProviderAccount] = true
		found, err := r.readList(ctx, a.ID, a.ProviderAccount, now)
		done += found
		if err != nil {
			errs = append(errs, fmt.Errorf("read the provider's list of calls: %w", err))
		}
	}
	return done, errors.Join(errs...)
}

// readList reads one provider account's list, through the credentials of one of
// the accounts that use it.
func (r *Reconciler) readList(ctx context.Context, accountID, providerAccount string, now time.Time) (int, error) {
	last, err := r.readUntil(ctx, providerAccount)
	if err != nil {
		return 0, err
	}
	if now.Sub(last) < r.cfg.ListEvery {
		return 0, nil
	}
	from, until := r.window(last, now)
	carrier, err := r.carrierFor(accountID)
	if err != nil {
		return 0, nil //nolint:nilerr // without credentials there is nobody to ask
	}
	list, err := carrier.Calls(ctx, from, until)
	if err != nil {
		return 0, err
	}
	done := 0
	for _, c := range list {
		found, err := r.discover(ctx, carrier, providerAccount, c, now)
		if err != nil {
			return done, err
		}
		if found {
			done++
		}
	}
	return done, r.noteRead(ctx, providerAccount, until)
}

// window is what to read of a list that was read up to last; zero is never.
func (r *Reconciler) window(last, now time.Time) (from, until time.Time) {
	until = now.Add(-r.cfg.Settle)
	if last.IsZero() {
		return until.Add(-r.cfg.ListBack), until
	}
	from = last.Add(-listOverlap)
	if most := until.Add(-r.cfg.ListMost); from.Before(most) {
		from = most
	}
	if end := from.Add(listWindow); end.Before(until) {
		until = end
	}
	return from, until
}

// readUntil returns how far a list has been read; zero for never.
func (r *Reconciler) readUntil(ctx context.Context, providerAccount string) (time.Time, error) {
	var until store.Time
	err := r.db.Get(ctx, &until, `
		SELECT read_until FROM call_lists WHERE account_id = '' AND provider = ? AND provider_account = ?`, r.cfg.Provider, providerAccount)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return time.Time{}, fmt.Errorf("read how far the list was read: %w", err)
	}
	return until.Time, nil
}

func (r *Reconciler) noteRead(ctx context.Context, providerAccount string, until time.Time) error {
	return r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO call_lists (account_id, provider, provider_account, read_until) VALUES ('', ?, ?, ?)
			ON CONFLICT (account_id, provider, provider_account) DO UPDATE SET read_until = excluded.read_until`,
			r.cfg.Provider, providerAccount, store.Micros(until))
		return err
	})
}

// discover takes in a call that rang one of our numbers without our knowing.
func (r *Reconciler) discover(ctx context.Context, carrier Carrier, providerAccount string, c CarrierCall, now time.Time) (bool, error) {
	if c.ParentRef != "" || strings.HasPrefix(c.Direction, string(Outbound)) {
		return false, nil
	}
	var owner struct {
		AccountID string `db:"account_id"`
	}
	err := r.db.Get(ctx, &owner, `
		SELECT n.account_id FROM tracking_numbers n JOIN accounts a ON a.account_id = n.account_id
		WHERE n.number = ? AND n.state <> 'released' AND a.provider_account = ?`, c.To, providerAccount)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return false, nil // not a number of ours
	}
	if err != nil {
		return false, err
	}
	callID := CallID(r.cfg.Provider, c.Ref)
	var known int64
	err = r.db.Get(ctx, &known, `SELECT count(call_id) FROM calls WHERE account_id = ? AND call_id = ?`, owner.AccountID, callID)
	if err != nil || known > 0 {
		return false, err
	}
	begin := r.event(c, now)
	begin.At, begin.Seconds, begin.Query.Number = c.StartedAt, -1, c.To
	begin.Status, begin.RawStatus = Ringing, string(Ringing)
	if err := r.learn(ctx, owner.AccountID, begin); err != nil {
		return false, err
	}
	if c.Status.Final() {
		if err := r.learnLegs(ctx, carrier, owner.AccountID, c); err != nil {
			return false, err
		}
		if err := r.learn(ctx, owner.AccountID, endOf(r.event(c, now), c, now)); err != nil {
			return false, err
		}
	}
	r.fixed(ctx, "found", owner.AccountID, callID)
	return true, nil
}
