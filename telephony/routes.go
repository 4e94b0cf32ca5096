package telephony

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// Route is a plan with a name that several tracking numbers can share.
type Route struct {
	AccountID string
	ID        string
	Name      string
	Plan      Plan
	Version   int64 // counts changes; the ETag
	CreatedAt time.Time
	RetiredAt *time.Time
}

// RouteChange is a partial change of a route: nil leaves a field as it is.
type RouteChange struct {
	Version *int64
	Name    *string
	Plan    *Plan
}

// BlockedCaller is a caller whose calls are refused (and kept and shown).
type BlockedCaller struct {
	Caller    string // E.164, or "anonymous" for everyone who withholds the number
	Reason    string
	CreatedAt time.Time
	CreatedBy string
}

// blockAnonymous is the word that blocks whoever withholds the number.
const blockAnonymous = "anonymous"

// CreateRoute keeps a plan under a name. Errors are Invalid with the fields.
func (n *Numbers) CreateRoute(ctx context.Context, accountID, actor, name string, plan Plan) (Route, error) {
	row := routeRow{AccountID: accountID, ID: callwheel.NewID("route"), Name: strings.TrimSpace(name), Version: 1, CreatedAt: store.At(n.now())}
	err := n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		if err := row.set(ctx, tx, plan); err != nil {
			return err
		}
		if err := insertRoute(ctx, tx, row); err != nil {
			return err
		}
		return audit(ctx, tx, n.now(), accountID, actor, "route.create", row.ID)
	})
	if err != nil {
		return Route{}, err
	}
	n.log.InfoContext(ctx, "route created", "account_id", accountID, "route_id", row.ID, "actor", actor)
	return row.value(), nil
}

// Route returns one route; NotFound when the account has none of this id.
func (n *Numbers) Route(ctx context.Context, accountID, id string) (Route, error) {
	row, err := routeByID(ctx, n.db, accountID, id, "")
	return row.value(), err
}

// Routes returns up to limit+1 routes after a place, oldest first.
func (n *Numbers) Routes(ctx context.Context, accountID string, after Place, limit int) ([]Route, error) {
	rows, err := listRoutes(ctx, n.db, accountID, after, limit+1)
	list := make([]Route, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.value())
	}
	return list, err
}

// UpdateRoute changes what is present. Errors are NotFound, Invalid, Stale, and
// Conflict for a retired route.
func (n *Numbers) UpdateRoute(ctx context.Context, accountID, actor, id string, c RouteChange) (Route, error) {
	var row routeRow
	err := n.changeRoute(ctx, accountID, id, c.Version, &row, func(ctx context.Context, tx *store.Tx) error {
		if c.Name != nil {
			row.Name = strings.TrimSpace(*c.Name)
		}
		plan := row.plan()
		set(&plan, c.Plan)
		if err := row.set(ctx, tx, plan); err != nil {
			return err
		}
		return audit(ctx, tx, n.now(), accountID, actor, "route.update", id)
	})
	if err != nil {
		return Route{}, err
	}
	n.log.InfoContext(ctx, "route changed", "account_id", accountID, "route_id", id, "actor", actor)
	return row.value(), nil
}

// RetireRoute takes a route out of use. It fails with kind Conflict while a
// tracking number still uses it, and with kind Stale as UpdateRoute does.
func (n *Numbers) RetireRoute(ctx context.Context, accountID, actor, id string, version *int64) error {
	var row routeRow
	err := n.changeRoute(ctx, accountID, id, version, &row, func(ctx context.Context, tx *store.Tx) error {
		var users int64
		err := tx.Get(ctx, &users, `
			SELECT count(number_id) FROM tracking_numbers
			WHERE account_id = ? AND route_id = ? AND state <> 'released'`, accountID, id)
		if err != nil {
			return err
		}
		if users > 0 {
			return callwheel.Errorf(callwheel.Conflict, "%d tracking numbers still use this route", users)
		}
		row.RetiredAt = store.At(n.now())
		return audit(ctx, tx, n.now(), accountID, actor, "route.retire", id)
	})
	if err != nil {
		return err
	}
	n.log.InfoContext(ctx, "route retired", "account_id", accountID, "route_id", id, "actor", actor)
	return nil
}

// changeRoute runs change on the locked row and saves it as the next version.
func (n *Numbers) changeRoute(ctx context.Context, accountID, id string, version *int64, row *routeRow, change func(context.Context, *store.Tx) error) error {
	return n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		var err error
		if *row, err = routeByID(ctx, tx, accountID, id, tx.ForUpdate()); err != nil {
			return err
		}
		if !row.RetiredAt.IsZero() {
			return callwheel.Errorf(callwheel.Conflict, "the route was retired")
		}
		if version != nil && *version != row.Version {
			return callwheel.Errorf(callwheel.Stale, "the route was changed by somebody else meanwhile")
		}
		if err := change(ctx, tx); err != nil {
			return err
		}
		row.Version++
		return saveRoute(ctx, tx, *row)
	})
}

// set puts a plan into the row after every check.
func (r *routeRow) set(ctx context.Context, tx *store.Tx, plan Plan) error {
	if r.Name == "" || utf8.RuneCountInString(r.Name) > 100 {
		return callwheel.InvalidField("name", "must have 1 to 100 characters")
	}
	if !account.Legible(r.Name) {
		return callwheel.InvalidField("name", "must be visible, and hold no control or invisible characters")
	}
	var policy string
	if err := tx.Get(ctx, &policy, `SELECT recording_policy FROM accounts WHERE account_id = ?`, r.AccountID); err != nil {
		return err
	}
	if err := plan.ValidateFor(policy); err != nil {
		return err
	}
	var rung []string
	for i, step := range plan.Steps {
		for j, destination := range step.Destinations {
			field := fmt.Sprintf("plan.steps[%d].destinations[%d]", i, j)
			if _, err := readDestination(field, destination); err != nil {
				return err
			}
			rung = append(rung, destination)
		}
	}
	taken, err := anyTaken(ctx, tx, rung)
	if err != nil {
		return err
	}
	if taken {
		return callwheel.InvalidField("plan.steps", "rings a tracking number: the call would go round for ever")
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	r.Plan = string(text)
	return nil
}

// plan reads the plan of a row that set wrote.
func (r routeRow) plan() Plan {
	var p Plan
	_ = json.Unmarshal([]byte(r.Plan), &p) // only set writes it
	return p
}

func (r routeRow) value() Route {
	return Route{
		AccountID: r.AccountID, ID: r.ID, Name: r.Name, Plan: r.plan(), Version: r.Version,
		CreatedAt: r.CreatedAt.Time, RetiredAt: r.RetiredAt.Ptr(),
	}
}

// Block refuses a caller from now on: a phone number, or "anonymous" for all
// who withhold theirs. Blocking twice keeps the first row. It fails with kind
// Invalid for anything else.
func (n *Numbers) Block(ctx context.Context, accountID, actor, caller, reason string) (BlockedCaller, error) {
	caller, err := blockable(caller)
	if err != nil {
		return BlockedCaller{}, err
	}
	if utf8.RuneCountInString(reason) > 500 {
		return BlockedCaller{}, callwheel.InvalidField("reason", "must have at most 500 characters")
	}
	var row blockedRow
	err = n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO blocked_callers (account_id, caller, reason, created_at, created_by)
			VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, accountID, caller, reason, store.Micros(n.now()), actor)
		if err != nil {
			return err
		}
		if err := audit(ctx, tx, n.now(), accountID, actor, "caller.block", ""); err != nil {
			return err
		}
		return tx.Get(ctx, &row, `
			SELECT account_id, caller, reason, created_at, created_by FROM blocked_callers
			WHERE account_id = ? AND caller = ?`, accountID, caller)
	})
	return row.value(), err
}

// Unblock lets a caller through again; NotFound when it was not blocked.
func (n *Numbers) Unblock(ctx context.Context, accountID, actor, caller string) error {
	caller, err := blockable(caller)
	if err != nil {
		return callwheel.Errorf(callwheel.NotFound, "not blocked")
	}
	return n.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := BumpRouting(ctx, tx); err != nil {
			return err
		}
		gone, err := tx.Exec(ctx, `DELETE FROM blocked_callers WHERE account_id = ? AND caller = ?`, accountID, caller)
		if err == nil && gone == 0 {
			return callwheel.Errorf(callwheel.NotFound, "not blocked")
		}
		if err != nil {
			return err
		}
		return audit(ctx, tx, n.now(), accountID, actor, "caller.unblock", "")
	})
}

// Blocked returns up to limit+1 blocked callers after a place (whose ID is the
// caller), oldest first.
func (n *Numbers) Blocked(ctx context.Context, accountID string, after Place, limit int) ([]BlockedCaller, error) {
	var rows []blockedRow
	err := n.db.Select(ctx, &rows, `
		SELECT account_id, caller, reason, created_at, created_by FROM blocked_callers
		WHERE account_id = ? AND (created_at, caller) > (CAST(? AS BIGINT), CAST(? AS TEXT))
		ORDER BY created_at, caller
		LIMIT ?`, accountID, placeMicros(after), after.ID, limit+1)
	list := make([]BlockedCaller, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.value())
	}
	return list, err
}

func (r blockedRow) value() BlockedCaller {
	return BlockedCaller{Caller: r.Caller, Reason: r.Reason, CreatedAt: r.CreatedAt.Time, CreatedBy: r.CreatedBy}
}

func blockable(caller string) (string, error) {
	if strings.EqualFold(strings.TrimSpace(caller), blockAnonymous) {
		return blockAnonymous, nil
	}
	number, err := ParseNumber(caller, "")
	if err != nil {
		return "", callwheel.InvalidField("caller", "must be a phone number in E.164, or the word anonymous")
	}
	return number, nil
}
