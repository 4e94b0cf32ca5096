package scoring

import (
	"context"
	"fmt"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// Tag is a free label of an account's list. Retiring one leaves it on the calls
// that carry it.
type Tag struct {
	ID        string     `db:"tag_id"`
	Name      string     `db:"name"`
	Version   int64      `db:"version"`
	CreatedAt store.Time `db:"created_at"`
}

const selectTag = `SELECT tag_id, name, version, created_at FROM tags WHERE account_id = ? AND retired_at IS NULL`

// Tags lists the account's tags by name.
func (d *Desk) Tags(ctx context.Context, accountID string, page Page) ([]Tag, error) {
	tags := []Tag{}
	err := d.db.Select(ctx, &tags, selectTag+`
		AND (? = '' OR (folded, tag_id) > (SELECT t.folded, t.tag_id FROM tags t WHERE t.account_id = ? AND t.tag_id = ?))
		ORDER BY folded, tag_id LIMIT ?`, accountID, page.After, accountID, page.After, page.most())
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	return tags, nil
}

// TagByID returns one tag, or NotFound; a retired one is not found.
func (d *Desk) TagByID(ctx context.Context, accountID, id string) (Tag, error) {
	var t Tag
	if err := d.db.Get(ctx, &t, selectTag+` AND tag_id = ?`, accountID, id); err != nil {
		return Tag{}, fmt.Errorf("read tag: %w", err)
	}
	return t, nil
}

// CreateTag adds a tag. It fails with Conflict when the account has one of that
// name, by folded form, and with Invalid for a name that cannot be one.
func (d *Desk) CreateTag(ctx context.Context, who account.Identity, name string) (Tag, error) {
	clean, problem := cleanName(name)
	if problem != "" {
		return Tag{}, callwheel.InvalidField("name", "%s", problem)
	}
	t := Tag{ID: callwheel.NewID("tag"), Name: clean, Version: 1, CreatedAt: store.At(d.now())}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `
			INSERT INTO tags (account_id, tag_id, name, folded, version, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, who.AccountID, t.ID, t.Name, Fold(t.Name), t.Version, t.CreatedAt)
		if err == nil && n == 0 {
			return conflict("tag", t.Name)
		}
		return d.audited(ctx, tx, who, "tag.create", t.ID, map[string]any{"name": t.Name}, err)
	})
	if err != nil {
		return Tag{}, fmt.Errorf("create tag: %w", err)
	}
	return t, nil
}

// RenameTag gives a tag another name, on all calls that carry it; nil leaves it
// as it is. Errors: NotFound, Stale, Conflict when the name is taken, Invalid.
func (d *Desk) RenameTag(ctx context.Context, who account.Identity, id string, name *string, ifVersion *int64) (Tag, error) {
	var t Tag
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockTag(ctx, tx, &t, who.AccountID, id, ifVersion); err != nil || name == nil {
			return err
		}
		clean, problem := cleanName(*name)
		if problem != "" {
			return callwheel.InvalidField("name", "%s", problem)
		}
		if t.Name == clean {
			return nil
		}
		before := t.Name
		t.Name, t.Version = clean, t.Version+1
		_, err := tx.Exec(ctx, `UPDATE tags SET name = ?, folded = ?, version = ? WHERE account_id = ? AND tag_id = ?`,
			t.Name, Fold(t.Name), t.Version, who.AccountID, id)
		return d.audited(ctx, tx, who, "tag.update", id, map[string]any{"name": t.Name, "was": before}, taken(err, "tag", t.Name))
	})
	if err != nil {
		return Tag{}, fmt.Errorf("rename tag: %w", err)
	}
	return t, nil
}

// RetireTag takes a tag off the list; its name becomes free. Errors: NotFound,
// Stale.
func (d *Desk) RetireTag(ctx context.Context, who account.Identity, id string, ifVersion *int64) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var t Tag
		if err := lockTag(ctx, tx, &t, who.AccountID, id, ifVersion); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE tags SET retired_at = ?, version = version + 1 WHERE account_id = ? AND tag_id = ?`,
			store.Micros(d.now()), who.AccountID, id)
		return d.audited(ctx, tx, who, "tag.retire", id, map[string]any{"name": t.Name}, err)
	})
	if err != nil {
		return fmt.Errorf("retire tag: %w", err)
	}
	return nil
}

func lockTag(ctx context.Context, tx *store.Tx, t *Tag, accountID, id string, ifVersion *int64) error {
	*t = Tag{}
	if err := tx.Get(ctx, t, selectTag+` AND tag_id = ?`+tx.ForUpdate(), accountID, id); err != nil {
		return err
	}
	return checkVersion(ifVersion, t.Version)
}

// findTag looks a tag up by name, or refuses the name with the nearest ones.
func findTag(ctx context.Context, tx *store.Tx, accountID, name string) (Tag, error) {
	var t Tag
	err := tx.Get(ctx, &t, selectTag+` AND folded = ?`, accountID, Fold(name))
	if callwheel.KindOf(err) != callwheel.NotFound {
		return t, err
	}
	var known []string
	if err := tx.Select(ctx, &known, `SELECT name FROM tags WHERE account_id = ? AND retired_at IS NULL`, accountID); err != nil {
		return Tag{}, err
	}
	return Tag{}, unknownName("tag", "tag", name, known)
}
