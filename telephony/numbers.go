package telephony

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// NumberState says where a tracking number stands in its life.
type NumberState string

// The states of a tracking number. It rings in every one but Released.
const (
	NumberOrdered     NumberState = "ordered"     // a purchase was sent and nobody knows yet whether it went through
	NumberActive      NumberState = "active"      // in use
	NumberDraining    NumberState = "draining"    // no longer lent or printed; late callers still get through
	NumberQuarantined NumberState = "quarantined" // about to be given back; still rings
	NumberReleased    NumberState = "released"    // given back: not ours any more
)

// TrackingNumber is a number we own whose calls are measured. It stands for
// one source, or belongs to one pool, or for neither yet.
type TrackingNumber struct {
	AccountID        string
	ID               string
	Number           string // E.164, one row per number in the whole installation until released
	State            NumberState
	SourceID         string
	PoolID           string
	Campaign         string
	Destination      string // short for a route with one step; "" leaves it to the route, the pool or the account
	PoolDestination  string // what the pool says, copied here so that routing reads one table
	RouteID          string
	Record           bool
	Whisper          string
	Provider         string
	ProviderNumberID string     // "" until confirmed
	ConfirmedAt      *time.Time // the provider said that we own it and it points at us
	Problem          string     // what the confirmation found wrong, for a person
	Version          int64      // counts changes; the ETag
	CreatedAt        time.Time
	ReleasedAt       *time.Time
}

// NewNumber is a tracking number to be: owned at the provider already, or about
// to be bought. Whether the source or the pool exists is for the caller to
// know; their rooms own them.
type NewNumber struct {
	Number          string      `json:"-"` // as a person writes it, with + and country code
	SourceID        string      `json:"source_id,omitempty"`
	PoolID          string      `json:"pool_id,omitempty"`
	PoolDestination string      `json:"pool_destination,omitempty"` // of the pool named
	Campaign        string      `json:"campaign,omitempty"`
	Destination     string      `json:"destination,omitempty"`
	RouteID         string      `json:"route_id,omitempty"`
	Record          bool        `json:"record,omitempty"`
	Whisper         string      `json:"whisper,omitempty"`
	State           NumberState `json:"state,omitempty"` // active (the default), draining or quarantined
}

// NumberChange is a partial change: nil leaves a field as it is.
type NumberChange struct {
	Version         *int64 // the version the caller has seen; nil: whatever it is
	SourceID        *string
	PoolID          *string
	PoolDestination *string
	Campaign        *string
	Destination     *string
	RouteID         *string
	Record          *bool
	Whisper         *string
	State           *NumberState // active, draining or quarantined
}

// NumberFilter narrows a list; zero fields do not filter. Released numbers are
// shown only when State asks for them.
type NumberFilter struct {
	State    NumberState
	SourceID string
	PoolID   string
	Number   string // E.164
}

// Place is where a list goes on: after the row made at At with this id. The
// zero Place is the beginning.
type Place struct {
	At time.Time
	ID string
}

// NumbersConfig is what numbers need to know of the installation.
type NumbersConfig struct {
	Provider      string         // word for new rows: "twilio"
	Settings      NumberSettings // what every number is told to do at the provider
	DrainFor      time.Duration  // how long a retired number drains before its quarantine
	QuarantineFor time.Duration  // how long it then rests before it is given back
	QuietFor      time.Duration  // how long nobody may have called it by then
	Batch         int            // how many rows one step takes
}

// withDefaults fills what was left open.
func (c NumbersConfig) withDefaults() NumbersConfig {
	if c.Provider == "" {
		c.Provider = "twilio"
	}
	if c.DrainFor == 0 {
		c.DrainFor = 30 * 24 * time.Hour
	}
	if c.QuarantineFor == 0 {
		c.QuarantineFor = 60 * 24 * time.Hour
	}
	if c.QuietFor == 0 {
		c.QuietFor = 28 * 24 * time.Hour
	}
	if c.Batch == 0 {
		c.Batch = 20
	}
	return c
}

// CarrierFor gives the provider's REST API as an account uses it: with its own
// credentials or the installation's. An account without any gets an error of
// kind Unavailable or Forbidden.
type CarrierFor func(accountID string) (Carrier, error)

// Numbers keeps tracking numbers, routes and the block list, and buys and
// gives back numbers at the provider. Every change that a call could notice is
// in the routing snapshot soon after.
type Numbers struct {
	db         *store.DB
	carrierFor CarrierFor
	cfg        NumbersConfig
	now        func() time.Time
	log        *slog.Logger
	metrics    numberMetrics
	owners     Owners
}

// Owners is the room that knows the sources and the pools which a number may
// stand for.
type Owners interface {
	// Rings returns where the pool rings, "" for the account's destination. It
	// refuses, with kind Invalid, a source or a pool that the account does not
	// have; "" is none. It reads on q, which is the transaction that changes the
	// number.
	Rings(ctx context.Context, q store.Querier, accountID, sourceID, poolID string) (string, error)
}

// NewNumbers makes the value; log and reg may be nil.
func NewNumbers(db *store.DB, carrierFor CarrierFor, cfg NumbersConfig, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Numbers {
	return &Numbers{db: db, carrierFor: carrierFor, cfg: cfg.withDefaults(), now: now, log: orQuiet(log), metrics: newNumberMetrics(reg)}
}

// SetOwners introduces the room that knows sources and pools, before anything is
// asked. Without it every source and pool is believed, with the destination that
// comes along.
func (n *Numbers) SetOwners(o Owners) { n.owners = o }

// place refuses a source or a pool of the number that the account does not have,
// and notes where the pool rings now.
func (n *Numbers) place(ctx context.Context, tx *store.Tx, r *numberRow, sourceID, poolID string) error {
	if n.owners == nil || sourceID == "" && poolID == "" {
		return nil
	}
	rings, err := n.owners.Rings(ctx, tx, r.AccountID, sourceID, poolID)
	if err == nil && poolID != "" {
		r.PoolDestination = rings
	}
	return err
}

// Create registers a number that is owned at the provider already. The provider
// is not asked here: the number is routed at once and ConfirmStep looks it up
// later. Errors are Invalid with the fields, and Conflict for a number that
// somebody in the installation has already.
func (n *Numbers) Create(ctx context.Context, accountID, actor string, in NewNumber) (TrackingNumber, error) {
	in, err := in.checked()
	if err != nil {
		return TrackingNumber{}, err
	}
	now := n.now()
	row := newNumberRow(accountID, n.cfg.Provider, in, now)
	row.DueAt = n.nextLook(row, now)
	err = n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := n.add(ctx, tx, &row); err != nil {
			return err
		}
		return audit(ctx, tx, now, accountID, actor, "number.create", row.ID)
	})
	if err != nil {
		return TrackingNumber{}, err
	}
	n.log.InfoContext(ctx, "number created", "account_id", accountID, "number_id", row.ID, "actor", actor)
	return row.value(), nil
}

// add inserts a number with its first binding. Bumping first makes changes of
// routing wait for each other, so that two of them cannot build a loop together.
func (n *Numbers) add(ctx context.Context, tx *store.Tx, row *numberRow) error {
	if err := BumpRouting(ctx, tx); err != nil {
		return err
	}
	if err := n.place(ctx, tx, row, row.SourceID, row.PoolID); err != nil {
		return err
	}
	if err := checkRouting(ctx, tx, *row); err != nil {
		return err
	}
	if err := checkNotRungByOthers(ctx, tx, row.Number); err != nil {
		return err
	}
	ordered, err := numberIsOrdered(ctx, tx, row.Number)
	if err != nil {
		return err
	}
	if ordered {
		return callwheel.Errorf(callwheel.Conflict, "this number is being bought already")
	}
	added, err := insertNumber(ctx, tx, *row)
	if err != nil {
		return err
	}
	if !added {
		return callwheel.Errorf(callwheel.Conflict, "this number is a tracking number already")
	}
	return bind(ctx, tx, *row, n.now())
}

// Get returns one number; NotFound when the account has none of this id.
func (n *Numbers) Get(ctx context.Context, accountID, id string) (TrackingNumber, error) {
	row, err := numberByID(ctx, n.db, accountID, id, "")
	return row.value(), err
}

// List returns up to limit+1 numbers after a place, oldest first: one more than
// asked says that there is more.
func (n *Numbers) List(ctx context.Context, accountID string, f NumberFilter, after Place, limit int) ([]TrackingNumber, error) {
	rows, err := listNumbers(ctx, n.db, accountID, f, after, limit+1)
	return numberValues(rows), err
}

// NumbersOfPool returns the numbers that belong to a pool and are not released,
// oldest first. It runs on the caller's transaction or database.
func NumbersOfPool(ctx context.Context, q store.Querier, accountID, poolID string) ([]TrackingNumber, error) {
	rows, err := listNumbers(ctx, q, accountID, NumberFilter{PoolID: poolID}, Place{}, 1_000_000)
	return numberValues(rows), err
}

// Update changes what is present in the change. Errors are NotFound, Invalid
// with the fields, Stale when the version has moved on, and Conflict for a
// number that was released or is being given back.
func (n *Numbers) Update(ctx context.Context, accountID, actor, id string, c NumberChange) (TrackingNumber, error) {
	var after numberRow
	now := n.now()
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		before, err := numberByID(ctx, tx, accountID, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		if c.Version != nil && *c.Version != before.Version {
			return callwheel.Errorf(callwheel.Stale, "the number was changed by somebody else meanwhile")
		}
		if after, err = n.changed(before, c, now); err != nil {
			return err
		}
		if err := n.place(ctx, tx, &after, deref(c.SourceID), deref(c.PoolID)); err != nil {
			return err
		}
		if err := checkRouting(ctx, tx, after); err != nil {
			return err
		}
		if err := saveNumber(ctx, tx, after); err != nil {
			return err
		}
		if !sameBinding(before, after) {
			if err := bind(ctx, tx, after, now); err != nil {
				return err
			}
		}
		return audit(ctx, tx, now, accountID, actor, "number.update", id)
	})
	if err != nil {
		return TrackingNumber{}, err
	}
	n.log.InfoContext(ctx, "number changed", "account_id", accountID, "number_id", id, "actor", actor)
	return after.value(), nil
}

// changed applies the change to a row, without asking the database.
func (n *Numbers) changed(r numberRow, c NumberChange, now time.Time) (numberRow, error) {
	if NumberState(r.State) == NumberReleased {
		return r, callwheel.Errorf(callwheel.Conflict, "the number was released")
	}
	if !r.ReleasingAt.IsZero() {
		return r, callwheel.Errorf(callwheel.Conflict, "the number is being given back")
	}
	if c.SourceID != nil && *c.SourceID != "" && c.PoolID == nil {
		r.PoolID, r.PoolDestination = "", ""
	}
	if c.PoolID != nil && *c.PoolID != "" && c.SourceID == nil {
		r.SourceID = ""
	}
	set(&r.SourceID, c.SourceID)
	set(&r.PoolID, c.PoolID)
	set(&r.PoolDestination, c.PoolDestination)
	set(&r.Campaign, c.Campaign)
	set(&r.Destination, c.Destination)
	set(&r.RouteID, c.RouteID)
	set(&r.Record, c.Record)
	set(&r.Whisper, c.Whisper)
	state := NumberState(r.State)
	set(&state, c.State)
	in, err := r.asNew(state).checked()
	if err != nil && !(state == NumberOrdered && c.State == nil) {
		return r, err
	}
	r.Destination, r.Campaign, r.Whisper = in.Destination, in.Campaign, in.Whisper
	if r.PoolID == "" {
		r.PoolDestination = ""
	}
	if c.State != nil && string(*c.State) != r.State {
		if NumberState(r.State) == NumberOrdered {
			return r, callwheel.InvalidField("state", "the purchase is not decided yet")
		}
		if !NumberState(r.State).MayBecome(*c.State) {
			return r, callwheel.InvalidField("state", "a number that is %s cannot become %s", r.State, *c.State)
		}
		r.State, r.ReleaseForced, r.Problem = string(*c.State), false, ""
		if *c.State == NumberActive {
			r.ConfirmedAt = store.Time{} // who knows what became of it at the provider meanwhile
		}
		r.DueAt, r.Attempts = n.nextLook(r, now), 0
	}
	r.Version++
	return r, nil
}

// nextLook says when a job should look at a number that just entered its state.
func (n *Numbers) nextLook(r numberRow, now time.Time) store.Time {
	switch NumberState(r.State) {
	case NumberActive:
		if r.ConfirmedAt.IsZero() {
			return store.At(now)
		}
	case NumberDraining:
		return store.At(now.Add(n.cfg.DrainFor))
	case NumberQuarantined:
		return store.At(now.Add(n.cfg.QuarantineFor))
	}
	return store.Time{}
}

// Parting says how a number is to be given back. The zero value: whatever its
// version, and not while people still call it.
type Parting struct {
	Version *int64 // the version the caller has seen; nil: whatever it is
	Force   bool   // although people still call it
	Reason  string // why, for the audit log; Force needs one
}

// Retire takes a number out of use gently: it drains (late callers of an old
// advertisement still get through), then rests in quarantine, then a job gives
// it back. Retiring it again changes nothing, because networks repeat requests.
// Errors are as of Update, and Conflict while the purchase is not decided.
func (n *Numbers) Retire(ctx context.Context, accountID, actor, id string, how Parting) (TrackingNumber, error) {
	now, err := n.Get(ctx, accountID, id)
	if err != nil {
		return TrackingNumber{}, err
	}
	switch {
	case now.State == NumberOrdered:
		return now, callwheel.Errorf(callwheel.Conflict, "the purchase is not decided yet")
	case now.State == NumberActive:
		draining := NumberDraining
		return n.Update(ctx, accountID, actor, id, NumberChange{Version: how.Version, State: &draining})
	case how.Version != nil && *how.Version != now.Version:
		return now, callwheel.Errorf(callwheel.Stale, "the number was changed by somebody else meanwhile")
	}
	return now, nil
}

// Release gives a number back without draining: it stays quarantined until
// RetireStep has given it back at the provider, and there is no way back once
// that has begun. Errors are as of Retire, and Conflict, with what is still
// called, while people call it.
func (n *Numbers) Release(ctx context.Context, accountID, actor, id string, how Parting) (TrackingNumber, error) {
	if how.Reason = strings.TrimSpace(how.Reason); how.Force && how.Reason == "" {
		return TrackingNumber{}, callwheel.InvalidField("reason", "is needed to give back a number that people still call")
	}
	var row numberRow
	now := n.now()
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		var err error
		if row, err = numberByID(ctx, tx, accountID, id, tx.ForUpdate()); err != nil {
			return err
		}
		if how.Version != nil && *how.Version != row.Version {
			return callwheel.Errorf(callwheel.Stale, "the number was changed by somebody else meanwhile")
		}
		switch NumberState(row.State) {
		case NumberReleased:
			return nil
		case NumberOrdered:
			return callwheel.Errorf(callwheel.Conflict, "the purchase is not decided yet")
		}
		if !row.ReleasingAt.IsZero() {
			return nil
		}
		tail, err := n.tailOf(ctx, tx, row, now)
		if err != nil {
			return err
		}
		if !tail.Quiet() && !how.Force {
			return callwheel.Errorf(callwheel.Conflict, "%s", tail.refusal())
		}
		if err := account.Audit(ctx, tx, now, account.Identity{AccountID: accountID, Actor: actor}, "number.release", id, how.detail(tail)); err != nil {
			return err
		}
		row.Version++
		row.State, row.DueAt, row.Attempts, row.ReleaseForced = string(NumberQuarantined), store.At(now), 0, how.Force
		return saveNumber(ctx, tx, row)
	})
	if err != nil {
		return TrackingNumber{}, err
	}
	n.log.InfoContext(ctx, "number released", "account_id", accountID, "number_id", id, "actor", actor, "forced", how.Force)
	return row.value(), nil
}

// detail is what the audit log keeps.
func (p Parting) detail(t Tail) map[string]any {
	if !p.Force {
		return nil
	}
	return map[string]any{"forced": true, "reason": p.Reason, "calls_28_days": t.Month}
}

// letGo marks a number as not ours any more and ends what it stood for.
func letGo(ctx context.Context, tx *store.Tx, row *numberRow, now time.Time) error {
	row.State, row.ReleasedAt, row.DueAt = string(NumberReleased), store.At(now), store.Time{}
	if err := saveNumber(ctx, tx, *row); err != nil {
		return err
	}
	unbound := *row
	unbound.SourceID, unbound.PoolID, unbound.Campaign = "", "", ""
	return bind(ctx, tx, unbound, now)
}

// SetPoolDestination copies a pool's destination to its numbers, in the
// transaction that changes the pool. It fails with kind Invalid for a
// destination that cannot be rung.
func SetPoolDestination(ctx context.Context, tx *store.Tx, accountID, poolID, destination string) error {
	if err := BumpRouting(ctx, tx); err != nil {
		return err
	}
	if destination != "" {
		if _, err := CheckDestination(ctx, tx, destination); err != nil {
			return err
		}
	}
	return setPoolDestination(ctx, tx, accountID, poolID, destination)
}

// CheckDestination returns a destination in E.164, or an Invalid error when no
// call may be sent there: not dialable, an emergency or service number, one that
// is paid by the minute to its owner, or a tracking number of this installation
// (the call would go round for ever).
func CheckDestination(ctx context.Context, q store.Querier, text string) (string, error) {
	number, err := readDestination("destination", text)
	if err != nil {
		return "", err
	}
	taken, err := numberIsTaken(ctx, q, number)
	if err != nil {
		return "", err
	}
	if taken {
		return "", callwheel.InvalidField("destination", "is a tracking number: the call would go round for ever")
	}
	return number, nil
}

// MayRing is CheckDestination for a destination that another room keeps, such
// as an account's own.
func (n *Numbers) MayRing(ctx context.Context, destination string) error {
	_, err := CheckDestination(ctx, n.db, destination)
	return err
}

// readDestination reads a number that calls may be sent to. Sending one on costs
// us; some numbers exist to make that dear, and pay who asked for it.
func readDestination(field, text string) (string, error) {
	number, err := readDialable(field, text)
	if err != nil {
		return "", err
	}
	if isDear(number) {
		return "", callwheel.InvalidField(field, "premium-rate, shared-cost, pager and satellite numbers cannot be rung")
	}
	return number, nil
}

// readDialable reads a number that can be dialled.
func readDialable(field, text string) (string, error) {
	number, err := ParseNumber(text, "")
	if err != nil {
		return "", callwheel.InvalidField(field, "must be a phone number in E.164, such as +13125550171")
	}
	if isService(number) {
		return "", callwheel.InvalidField(field, "emergency and service numbers cannot be rung")
	}
	return number, nil
}

// isService says whether a number is one that people write with a country code
// although it has none: 911, 112 and the other short ones.
func isService(e164 string) bool {
	national := strings.TrimPrefix(e164, "+1")
	if national != e164 && len(national) == 10 && national[1:3] == "11" {
		return true
	}
	return len(e164) < 8
}

// checked normalises what a person wrote and refuses what cannot be, all
// fields at once.
func (in NewNumber) checked() (NewNumber, error) {
	var fields []callwheel.FieldError
	note := func(field string, err error) {
		if err != nil {
			fields = append(fields, callwheel.FieldError{Field: field, Message: messageOf(err)})
		}
	}
	number, err := readDialable("number", in.Number)
	note("number", err)
	in.Number = number
	if in.Destination != "" {
		destination, err := readDestination("destination", in.Destination)
		note("destination", err)
		in.Destination = destination
	}
	if in.Destination != "" && in.Destination == in.Number {
		note("destination", callwheel.InvalidField("destination", "is the tracking number itself"))
	}
	if in.SourceID != "" && in.PoolID != "" {
		note("pool_id", callwheel.InvalidField("pool_id", "a number has a source or a pool, not both"))
	}
	in.Campaign, in.Whisper = strings.TrimSpace(in.Campaign), strings.TrimSpace(in.Whisper)
	if len(in.Campaign) > 200 {
		note("campaign", callwheel.InvalidField("campaign", "must have at most 200 characters"))
	}
	if !speakable(in.Whisper) {
		note("whisper", callwheel.InvalidField("whisper", "must be plain text of at most %d characters", maxSpoken))
	}
	switch in.State {
	case "":
		in.State = NumberActive
	case NumberActive, NumberDraining, NumberQuarantined:
	default:
		note("state", callwheel.InvalidField("state", "must be active, draining or quarantined"))
	}
	return in, callwheel.InvalidFields(fields)
}

// messageOf returns the sentence about the field of an Invalid error.
func messageOf(err error) string {
	var e *callwheel.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return e.Fields[0].Message
	}
	return err.Error()
}

// audit notes who did what in the transaction that does it.
func audit(ctx context.Context, tx *store.Tx, now time.Time, accountID, actor, action, object string) error {
	return account.Audit(ctx, tx, now, account.Identity{AccountID: accountID, Actor: actor}, action, object, nil)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// orQuiet is the log, or one that goes nowhere.
func orQuiet(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
