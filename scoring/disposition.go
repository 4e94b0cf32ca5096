package scoring

import (
	"context"
	"fmt"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// Stage is how far a disposition says the caller has come.
type Stage string

// The stages, earliest first.
const (
	StageNone      Stage = "none"
	StageLead      Stage = "lead"
	StageQualified Stage = "qualified"
	StageWon       Stage = "won"
)

// Rank orders the stages: 0 for none to 3 for won, -1 for an unknown word.
func (s Stage) Rank() int {
	switch s {
	case StageNone:
		return 0
	case StageLead:
		return 1
	case StageQualified:
		return 2
	case StageWon:
		return 3
	}
	return -1
}

// Disposition is one outcome that a call of the account may have. An edit
// changes what it means for every call it was given to; the history keeps what
// it meant when it was given.
type Disposition struct {
	ID        string     `db:"disposition_id"`
	Name      string     `db:"name"`
	Qualified bool       `db:"qualified"` // a call with it is a qualified call
	Stage     Stage      `db:"stage"`
	Genuine   bool       `db:"genuine"`  // false: spam, wrong number, test
	Position  int64      `db:"position"` // its place in the list, smallest first
	Version   int64      `db:"version"`
	CreatedAt store.Time `db:"created_at"`
}

// detail is what the audit log keeps of a disposition.
func (d Disposition) detail() map[string]any {
	return map[string]any{"name": d.Name, "qualified": d.Qualified, "stage": d.Stage, "genuine": d.Genuine}
}

// DispositionEdit holds the fields that shall change; nil leaves one as it is.
// For a new disposition nil means: stage none, qualified when the stage is not
// none, genuine, position at the end.
type DispositionEdit struct {
	Name      *string
	Qualified *bool
	Stage     *Stage
	Genuine   *bool
	Position  *int64
}

// apply lays the edit over the disposition and checks the result.
func (e DispositionEdit) apply(d *Disposition) error {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
	}
	if e.Name != nil {
		clean, problem := cleanName(*e.Name)
		if problem != "" {
			refuse("name", problem)
		}
		d.Name = clean
	} else if d.Name == "" {
		refuse("name", "must not be empty")
	}
	if e.Stage != nil {
		d.Stage = *e.Stage
	}
	if e.Qualified != nil {
		d.Qualified = *e.Qualified
	}
	if e.Genuine != nil {
		d.Genuine = *e.Genuine
	}
	if e.Position != nil {
		d.Position = *e.Position
	}
	switch {
	case d.Stage.Rank() < 0:
		refuse("stage", "must be none, lead, qualified or won")
	case !d.Genuine && (d.Stage != StageNone || d.Qualified):
		refuse("genuine", "what is not genuine has stage none and is not qualified")
	case d.Stage.Rank() >= StageQualified.Rank() && !d.Qualified:
		refuse("qualified", fmt.Sprintf("a disposition of stage %s is qualified", d.Stage))
	}
	return callwheel.InvalidFields(bad)
}

const selectDisposition = `
	SELECT disposition_id, name, qualified, stage, genuine, position, version, created_at
	FROM dispositions WHERE account_id = ? AND retired_at IS NULL`

// Dispositions lists the account's dispositions by position.
func (d *Desk) Dispositions(ctx context.Context, accountID string, page Page) ([]Disposition, error) {
	list := []Disposition{}
	err := d.db.Select(ctx, &list, selectDisposition+`
		AND (? = '' OR (position, disposition_id) > (SELECT o.position, o.disposition_id FROM dispositions o WHERE o.account_id = ? AND o.disposition_id = ?))
		ORDER BY position, disposition_id LIMIT ?`, accountID, page.After, accountID, page.After, page.most())
	if err != nil {
		return nil, fmt.Errorf("list dispositions: %w", err)
	}
	return list, nil
}

// DispositionByID returns one disposition, or NotFound; a retired one is not
// found.
func (d *Desk) DispositionByID(ctx context.Context, accountID, id string) (Disposition, error) {
	var o Disposition
	if err := d.db.Get(ctx, &o, selectDisposition+` AND disposition_id = ?`, accountID, id); err != nil {
		return Disposition{}, fmt.Errorf("read disposition: %w", err)
	}
	return o, nil
}

// CreateDisposition adds a disposition. It fails with Conflict when the account
// has one of that name.
func (d *Desk) CreateDisposition(ctx context.Context, who account.Identity, e DispositionEdit) (Disposition, error) {
	o := Disposition{ID: callwheel.NewID("disp"), Stage: StageNone, Genuine: true, Version: 1, CreatedAt: store.At(d.now())}
	if e.Stage != nil {
		o.Qualified = *e.Stage != StageNone
	}
	if err := e.apply(&o); err != nil {
		return Disposition{}, err
	}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if e.Position == nil {
			err := tx.Get(ctx, &o.Position, `SELECT COALESCE(max(position), 0) + 1 FROM dispositions WHERE account_id = ? AND retired_at IS NULL`, who.AccountID)
			if err != nil {
				return err
			}
		}
		added, err := insertDisposition(ctx, tx, who.AccountID, o)
		if err == nil && !added {
			return conflict("disposition", o.Name)
		}
		return d.audited(ctx, tx, who, "disposition.create", o.ID, o.detail(), err)
	})
	if err != nil {
		return Disposition{}, fmt.Errorf("create disposition: %w", err)
	}
	return o, nil
}

func insertDisposition(ctx context.Context, tx *store.Tx, accountID string, o Disposition) (bool, error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, position, version, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		accountID, o.ID, o.Name, Fold(o.Name), o.Qualified, string(o.Stage), o.Genuine, o.Position, o.Version, o.CreatedAt)
	return n > 0, err
}

// EditDisposition changes the given fields. Errors: NotFound, Stale, Conflict
// when the name is taken, Invalid.
func (d *Desk) EditDisposition(ctx context.Context, who account.Identity, id string, e DispositionEdit, ifVersion *int64) (Disposition, error) {
	var o Disposition
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockDisposition(ctx, tx, &o, who.AccountID, id, ifVersion); err != nil {
			return err
		}
		before := o
		if err := e.apply(&o); err != nil || o == before {
			return err
		}
		o.Version++
		if _, err := tx.Exec(ctx, `
			UPDATE dispositions SET name = ?, folded = ?, qualified = ?, stage = ?, genuine = ?, position = ?, version = ?
			WHERE account_id = ? AND disposition_id = ?`,
			o.Name, Fold(o.Name), o.Qualified, string(o.Stage), o.Genuine, o.Position, o.Version, who.AccountID, id); err != nil {
			return taken(err, "disposition", o.Name)
		}
		return d.audited(ctx, tx, who, "disposition.update", id, o.detail(), d.remarkDisposed(ctx, tx, who.AccountID, id))
	})
	if err != nil {
		return Disposition{}, fmt.Errorf("edit disposition: %w", err)
	}
	return o, nil
}

// remarkDisposed marks the desks of the calls with the disposition as changed,
// so that whoever prepares figures from them prepares them again. What people
// edit did not change: the version stays.
func (d *Desk) remarkDisposed(ctx context.Context, tx *store.Tx, accountID, id string) error {
	_, err := tx.Exec(ctx, `UPDATE call_desks SET updated_at = ? WHERE account_id = ? AND disposition_id = ?`,
		store.Micros(d.now()), accountID, id)
	return err
}

// RetireDisposition takes a disposition off the list; calls that have it keep
// it. Errors: NotFound, Stale.
func (d *Desk) RetireDisposition(ctx context.Context, who account.Identity, id string, ifVersion *int64) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var o Disposition
		if err := lockDisposition(ctx, tx, &o, who.AccountID, id, ifVersion); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE dispositions SET retired_at = ?, version = version + 1 WHERE account_id = ? AND disposition_id = ?`,
			store.Micros(d.now()), who.AccountID, id)
		return d.audited(ctx, tx, who, "disposition.retire", id, o.detail(), err)
	})
	if err != nil {
		return fmt.Errorf("retire disposition: %w", err)
	}
	return nil
}

func lockDisposition(ctx context.Context, tx *store.Tx, o *Disposition, accountID, id string, ifVersion *int64) error {
	*o = Disposition{}
	if err := tx.Get(ctx, o, selectDisposition+` AND disposition_id = ?`+tx.ForUpdate(), accountID, id); err != nil {
		return err
	}
	return checkVersion(ifVersion, o.Version)
}

// findDisposition looks a disposition up by name, or refuses the name with the
// nearest ones.
func findDisposition(ctx context.Context, tx *store.Tx, accountID, name string) (Disposition, error) {
	var o Disposition
	err := tx.Get(ctx, &o, selectDisposition+` AND folded = ?`, accountID, Fold(name))
	if callwheel.KindOf(err) != callwheel.NotFound {
		return o, err
	}
	var known []string
	if err := tx.Select(ctx, &known, `SELECT name FROM dispositions WHERE account_id = ? AND retired_at IS NULL`, accountID); err != nil {
		return Disposition{}, err
	}
	return Disposition{}, unknownName("disposition", "disposition", name, known)
}

// defaultDispositions is the list that a new account begins with.
var defaultDispositions = []Disposition{
	{Name: "Sale", Qualified: true, Stage: StageWon, Genuine: true},
	{Name: "Booked", Qualified: true, Stage: StageWon, Genuine: true},
	{Name: "Qualified lead", Qualified: true, Stage: StageQualified, Genuine: true},
	{Name: "Lead", Qualified: true, Stage: StageLead, Genuine: true},
	{Name: "Not a lead", Stage: StageNone, Genuine: true},
	{Name: "Existing customer", Stage: StageNone, Genuine: true},
	{Name: "Wrong number", Stage: StageNone},
	{Name: "Spam", Stage: StageNone},
	{Name: "Test", Stage: StageNone},
}

// SeedLists gives a new account the dispositions it begins with. An account
// that ever had a disposition keeps what it has.
func (d *Desk) SeedLists(ctx context.Context, accountID string) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var have int
		if err := tx.Get(ctx, &have, `SELECT count(*) FROM dispositions WHERE account_id = ?`, accountID); err != nil || have > 0 {
			return err
		}
		for i, o := range defaultDispositions {
			o.ID, o.Position, o.Version, o.CreatedAt = callwheel.NewID("disp"), int64(i+1), 1, store.At(d.now())
			if _, err := insertDisposition(ctx, tx, accountID, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("seed lists: %w", err)
	}
	return nil
}
