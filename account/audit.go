package account

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// AuditEntry says who did what to which thing, and when. It is never changed.
type AuditEntry struct {
	ID     string
	At     time.Time
	Actor  string          // user_…, token_…, or "operator"
	Action string          // "number.update"
	Object string          // id of what was acted on; of a refusal, the operation
	Detail json.RawMessage // names of the fields changed and the like; never secrets, never phone numbers
}

// Audit appends an entry to the audit log within the transaction of the change
// it tells of, so that neither exists without the other. Every room calls it.
// detail becomes a JSON object; it holds no secrets.
func Audit(ctx context.Context, tx *store.Tx, now time.Time, who Identity, action, object string, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO audit_log (account_id, audit_id, at, actor, action, object, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		who.AccountID, callwheel.NewID("audit"), store.Micros(now), who.Actor, action, object, string(text))
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return nil
}

// Note appends that who did something that several transactions make up, such
// as an import.
func (d *Directory) Note(ctx context.Context, who Identity, action, object string, detail map[string]any) error {
	return d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return Audit(ctx, tx, d.now(), who, action, object, detail)
	})
}

// NoteRefusal appends that who asked for an operation and may not have it. How
// often is for the caller to bound.
func (d *Directory) NoteRefusal(ctx context.Context, who Identity, operation string) error {
	return d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return Audit(ctx, tx, d.now(), who, "access.refused", operation, map[string]any{"role": who.Role})
	})
}

// AuditQuery asks for entries, newest first. Before is the id of the entry that
// the last page ended with, "" for the first page; ids sort by time.
type AuditQuery struct {
	Object string // "" for any
	Before string
	Limit  int
}

// AuditLog lists entries of one account.
func (d *Directory) AuditLog(ctx context.Context, accountID string, q AuditQuery) ([]AuditEntry, error) {
	var rows []struct {
		ID     string     `db:"audit_id"`
		At     store.Time `db:"at"`
		Actor  string     `db:"actor"`
		Action string     `db:"action"`
		Object string     `db:"object"`
		Detail string     `db:"detail"`
	}
	err := d.db.Select(ctx, &rows, `
		SELECT audit_id, at, actor, action, object, detail
		FROM audit_log
		WHERE account_id = ?
		  AND (CAST(? AS TEXT) = '' OR object = ?)
		  AND (CAST(? AS TEXT) = '' OR audit_id < ?)
		ORDER BY audit_id DESC
		LIMIT ?`,
		accountID, q.Object, q.Object, q.Before, q.Before, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	list := make([]AuditEntry, len(rows))
	for i, r := range rows {
		list[i] = AuditEntry{ID: r.ID, At: r.At.Time, Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: json.RawMessage(r.Detail)}
	}
	return list, nil
}
