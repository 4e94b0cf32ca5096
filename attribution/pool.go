package attribution

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Pool is a set of tracking numbers that are lent to website sessions.
type Pool struct {
	AccountID   string
	ID          string
	Name        string
	Destination string // E.164 that its numbers ring, "" for the account's
	// LeaseTailSeconds is how long a number stays a session's after the page
	// was last seen open.
	LeaseTailSeconds int64
	// CooldownSeconds is how long a number rests before it is lent again.
	CooldownSeconds int64
	// OverflowNumberID is the tracking number that everybody is shown while
	// none is free. It is never lent.
	OverflowNumberID string
	// SourceNumbers says when a source's own number is shown on a site of this
	// pool: SourceNumbersFirst or SourceNumbersWhenShort.
	SourceNumbers string
	Version       int64
	CreatedAt     time.Time
	RetiredAt     *time.Time
}

// When a source's own number is shown instead of a pool's.
const (
	SourceNumbersFirst     = "first"      // always: its visitors never need the pool
	SourceNumbersWhenShort = "when_short" // only when the pool has none to lend
)

// Lease is one session's hold on one pool number for [From, Until). It covers
// one stretch of presence and what follows: a visitor who comes back during
// the tail, or who arrives anew from elsewhere, starts the next lease of the
// same number, so that what a past instant looked like never changes.
type Lease struct {
	ID         string
	Number     string
	PoolID     string
	SessionID  string
	VisitorID  string
	TouchID    string
	From       time.Time
	LastBeatAt time.Time
	LeftAt     time.Time // when the page said that it was left; zero while it has not
	Until      time.Time // end of the tail
	// BeatSeconds is how often the page was asked to beat. It is kept with the
	// lease because attributions are recomputed with it.
	BeatSeconds int64
}

// Present says whether the page was open at t, as far as its beats tell: the
// last of them is less than two intervals old, and did not say that the page
// was left.
//
// The same rule ends a stretch of presence: a beat that comes later begins the
// next lease. So what it says of an instant never changes afterwards.
func (l Lease) Present(t time.Time) bool {
	if !l.LeftAt.IsZero() && !t.Before(l.LeftAt) {
		return false
	}
	return t.Before(l.LastBeatAt.Add(allowance(l.BeatSeconds)))
}

// allowance is how long a page counts as open without a beat.
func allowance(beatSeconds int64) time.Duration { return 2 * time.Duration(beatSeconds) * time.Second }

// ask is what somebody wants from a pool.
type ask struct {
	accountID string
	leaseID   string // of the lease that begins, if one does
	pool      Pool
	sessionID string
	visitorID string
	touchID   string
	beat      int64 // seconds between beats
	left      bool  // the page is being left
	delays    Delays
	lend      Lend
	now       time.Time

	address netip.Addr    // where the page is, as far as it can be told
	first   time.Duration // how long a lease that begins is promised; 0: to the end of the tail
	// admit says why no other number may be lent; nil: nothing stands against it.
	admit func(context.Context, *store.Tx) error
}

// grant says until when a lease that begins is promised, and when its number is
// free again. A page that was heard of once only may have nobody before it: it
// gets a short lease without rest, which its first beat lengthens to the tail.
func (a ask) grant() (until, freeAt time.Time) {
	if short := a.now.Add(a.first); a.first > 0 && short.Before(a.until()) {
		return short, short
	}
	return a.until(), a.freeAt()
}

func (a ask) until() time.Time {
	tail := time.Duration(a.pool.LeaseTailSeconds) * time.Second
	if a.left {
		return a.now.Add(tail)
	}
	return a.now.Add(allowance(a.beat) + tail)
}

// leftAt is when the page was left, zero while it is open.
func (a ask) leftAt() time.Time {
	if a.left {
		return a.now
	}
	return time.Time{}
}

func (a ask) freeAt() time.Time {
	return a.until().Add(time.Duration(a.pool.CooldownSeconds) * time.Second)
}

// hold gives the session a number: the one it has, else the one its visitor had
// last, else the one that Config.Lend says. It fails with kind Exhausted when the
// pool has none. Everything about which number is chosen is below this
// call: an allocator in memory could stand in its place.
func hold(ctx context.Context, tx *store.Tx, a ask) (Lease, error) {
	current, err := newestLease(ctx, tx, a.accountID, a.sessionID, a.pool.ID)
	if err != nil {
		return Lease{}, err
	}
	if current == nil {
		// A new session may begin while the last one's tail still runs.
		if current, err = leaseOfVisitor(ctx, tx, a); err != nil {
			return Lease{}, err
		}
	}
	if current != nil {
		lease, ok, err := prolong(ctx, tx, a, *current)
		if err != nil || ok {
			return lease, err
		}
	}
	number, err := takeBack(ctx, tx, a, "")
	if err != nil {
		return Lease{}, err
	}
	if number == "" && a.admit != nil {
		if err := a.admit(ctx, tx); err != nil {
			return Lease{}, err
		}
	}
	if number == "" && a.lend != LendRested {
		if number, err = takeQuietest(ctx, tx, a); err != nil {
			return Lease{}, err
		}
	}
	if number == "" {
		if number, err = take(ctx, tx, a); err != nil {
			return Lease{}, err
		}
	}
	if number == "" {
		return Lease{}, callwheel.Errorf(callwheel.Exhausted, "lease number: pool %s empty", a.pool.ID)
	}
	return begin(ctx, tx, a, number)
}

// resume is hold for a page that shows a number already: it keeps that number
// alive, or takes it back when nobody else has had it since. It never gives
// another number, because the page would not show it.
func resume(ctx context.Context, tx *store.Tx, a ask, current Lease) (string, error) {
	if a.left && !current.LeftAt.IsZero() {
		return "left", nil // it had been before: nobody has seen it since
	}
	if _, ok, err := prolong(ctx, tx, a, current); err != nil || ok {
		return "prolonged", err
	}
	if a.left {
		return "lapsed", nil
	}
	number, err := takeBack(ctx, tx, a, current.Number)
	if err != nil || number == "" {
		return "lapsed", err
	}
	_, err = begin(ctx, tx, a, number)
	return "taken_back", err
}

// prolong keeps the session's present lease alive. While the page was open all
// along and means the same touch, the lease grows; otherwise the next lease of
// the same number begins where this one is cut off: never before the last sign
// of it, however another replica's clock goes. It says false when the lease has
// ended.
func prolong(ctx context.Context, tx *store.Tx, a ask, current Lease) (Lease, bool, error) {
	if a.now.Before(current.LastBeatAt) {
		a.now = current.LastBeatAt
	}
	next := current
	turn := !current.Present(a.now) || current.TouchID != a.touchID || current.SessionID != a.sessionID
	if turn {
		next.ID = a.leaseID
	}
	n, err := tx.Exec(ctx, prolongNumber, next.ID, a.visitorID,
		store.Micros(a.until()), store.Micros(a.until()), store.Micros(a.freeAt()), store.Micros(a.freeAt()), store.Micros(a.now),
		a.accountID, current.Number, a.pool.ID, current.ID, store.Micros(a.now))
	if err != nil {
		return Lease{}, false, fmt.Errorf("prolong lease: %w", err)
	}
	if n == 0 {
		return Lease{}, false, nil
	}
	if !turn {
		var until int64
		err := tx.Get(ctx, &until, prolongLease, store.Micros(a.now), store.Micros(a.now), store.At(a.leftAt()),
			store.Micros(a.until()), store.Micros(a.until()), a.accountID, current.ID)
		if err != nil {
			return Lease{}, false, fmt.Errorf("prolong lease: %w", err)
		}
		next.LastBeatAt, next.LeftAt, next.Until = a.now, a.leftAt(), store.FromMicros(until)
		return next, true, nil
	}
	if _, err := tx.Exec(ctx, cutLease, store.Micros(a.now), a.accountID, current.ID); err != nil {
		return Lease{}, false, fmt.Errorf("turn lease over: %w", err)
	}
	next.SessionID, next.TouchID, next.From, next.LastBeatAt, next.LeftAt, next.BeatSeconds = a.sessionID, a.touchID, a.now, a.now, a.leftAt(), a.beat
	if a.until().After(current.Until) {
		next.Until = a.until()
	}
	return next, true, insertLease(ctx, tx, a.accountID, next)
}

// begin writes the lease of a number that was just claimed.
func begin(ctx context.Context, tx *store.Tx, a ask, number string) (Lease, error) {
	until, _ := a.grant()
	lease := Lease{
		ID: a.leaseID, Number: number, PoolID: a.pool.ID, SessionID: a.sessionID, VisitorID: a.visitorID,
		TouchID: a.touchID, From: a.now, LastBeatAt: a.now, Until: until, BeatSeconds: a.beat,
	}
	return lease, insertLease(ctx, tx, a.accountID, lease)
}

// take claims the free number that has rested longest, "" when there is none: it
// is what takeQuietest falls back on when rivals have its choices.
//
// The claim lives on the row that is locked: the statement that looks is the
// statement that writes. Numbers that a rival holds at this moment are passed
// over first, which keeps a crowd from queueing behind one row; but a row that
// was passed over is neither free nor taken, so before the answer is "none"
// the same is asked twice without passing over anything: the first time waits
// for the rivals, the second sees what was released while it waited.
func take(ctx context.Context, tx *store.Tx, a ask) (string, error) {
	until, freeAt := a.grant()
	for _, lock := range []string{tx.SkipLocked(), tx.ForUpdate(), tx.ForUpdate()} {
		var number string
		err := tx.Get(ctx, &number, fmt.Sprintf(claimRested, lock), a.leaseID, a.visitorID, store.Micros(until), store.Micros(freeAt),
			a.accountID, a.accountID, a.pool.ID, store.Micros(a.now), store.Micros(a.now))
		if err == nil {
			return number, handOver(ctx, tx, a, number)
		}
		if callwheel.KindOf(err) != callwheel.NotFound {
			return "", fmt.Errorf("lease number: %w", err)
		}
	}
	return "", nil
}

// takeBack claims a number whose last holder was this visitor, even while it
// rests; only that one when number is given. It returns "" when there is none.
func takeBack(ctx context.Context, tx *store.Tx, a ask, number string) (string, error) {
	var got string
	until, freeAt := a.grant()
	err := tx.Get(ctx, &got, fmt.Sprintf(claimOwn, tx.ForUpdate()), a.leaseID, store.Micros(until), store.Micros(freeAt), store.Micros(freeAt), store.Micros(a.now),
		a.accountID, a.accountID, a.pool.ID, a.visitorID, store.Micros(a.now), number, number, store.Micros(a.now))
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("lease number again: %w", err)
	}
	return got, nil
}

// stock makes the pools' shelves agree with the tracking numbers: active
// numbers of a living pool are lent, all others are not, and a pool's overflow
// number never is. It returns how many rows changed.
func stock(ctx context.Context, tx *store.Tx, accountID string) (int64, error) {
	added, err := tx.Exec(ctx, stockNumbers, accountID)
	if err != nil {
		return 0, fmt.Errorf("stock pools: %w", err)
	}
	removed, err := tx.Exec(ctx, unstockNumbers, accountID)
	if err != nil {
		return 0, fmt.Errorf("stock pools: %w", err)
	}
	return added + removed, nil
}

// Stock makes the account's pools agree with its tracking numbers. It is called
// after every change of a number or a pool, and again by Restock.
func (l *Ledger) Stock(ctx context.Context, accountID string) error {
	return l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := stock(ctx, tx, accountID)
		return err
	})
}

// Restock is Stock for every account that has a pool: a step for the job table,
// so that a number is lent even when the change was made elsewhere.
func (l *Ledger) Restock(ctx context.Context, _ time.Time) (int, error) {
	var accounts []string
	if err := l.db.Select(ctx, &accounts, accountsWithPools); err != nil {
		return 0, fmt.Errorf("stock pools: %w", err)
	}
	done := 0
	for _, id := range accounts {
		err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			n, err := stock(ctx, tx, id)
			done += int(n)
			return err
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

type leaseRow struct {
	ID         string     `db:"lease_id"`
	Number     string     `db:"number"`
	PoolID     string     `db:"pool_id"`
	SessionID  string     `db:"session_id"`
	VisitorID  string     `db:"visitor_id"`
	TouchID    string     `db:"touch_id"`
	From       store.Time `db:"leased_from"`
	LastBeatAt store.Time `db:"last_beat_at"`
	LeftAt     store.Time `db:"left_at"`
	Until      store.Time `db:"leased_until"`
	Beat       int64      `db:"beat_seconds"`
}

func (r leaseRow) lease() Lease {
	return Lease{
		ID: r.ID, Number: r.Number, PoolID: r.PoolID, SessionID: r.SessionID, VisitorID: r.VisitorID, TouchID: r.TouchID,
		From: r.From.Time, LastBeatAt: r.LastBeatAt.Time, LeftAt: r.LeftAt.Time, Until: r.Until.Time, BeatSeconds: r.Beat,
	}
}

// newestLease returns the session's last lease, of one pool or of any when
// poolID is "", and nil when it never had one.
func newestLease(ctx context.Context, q store.Querier, accountID, sessionID, poolID string) (*Lease, error) {
	var row leaseRow
	err := q.Get(ctx, &row, leaseOfSession, accountID, sessionID, poolID, poolID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read lease: %w", err)
	}
	lease := row.lease()
	return &lease, nil
}

// leaseOfVisitor returns the lease of the pool that is this visitor's at the
// moment, nil when none is.
func leaseOfVisitor(ctx context.Context, q store.Querier, a ask) (*Lease, error) {
	var row leaseRow
	err := q.Get(ctx, &row, runningLease, a.accountID, a.pool.ID, a.visitorID, store.Micros(a.now))
	if callwheel.KindOf(err) == callwheel.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read lease: %w", err)
	}
	lease := row.lease()
	return &lease, nil
}

func insertLease(ctx context.Context, tx *store.Tx, accountID string, l Lease) error {
	_, err := tx.Exec(ctx, addLease, accountID, l.ID, l.Number, l.PoolID, l.SessionID, l.VisitorID, l.TouchID,
		store.Micros(l.From), store.Micros(l.LastBeatAt), store.At(l.LeftAt), store.Micros(l.Until), l.BeatSeconds)
	if err != nil {
		return fmt.Errorf("write lease: %w", err)
	}
	return nil
}
