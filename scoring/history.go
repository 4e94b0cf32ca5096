package scoring

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/callwheel/callwheel/store"
)

// Judgement is one entry of a call's history: who judged what, and when.
type Judgement struct {
	ID     string
	CallID string
	At     store.Time
	Actor  string
	Kind   string          // tagged, untagged, disposed, scored, sold, noted, feedback, called_back, assigned, disputed, resolved, referred
	Detail json.RawMessage // an object: names as they were then, ids of what was written
}

type judgementRow struct {
	ID     string     `db:"judgement_id"`
	CallID string     `db:"call_id"`
	At     store.Time `db:"at"`
	Actor  string     `db:"actor"`
	Kind   string     `db:"kind"`
	Detail string     `db:"detail"`
}

const selectJudgements = `SELECT judgement_id, call_id, at, actor, kind, detail FROM judgements WHERE account_id = ?`

// History lists every judgement about a call in the order in which they were
// given. Errors: NotFound.
func (d *Desk) History(ctx context.Context, accountID, callID string) ([]Judgement, error) {
	if err := d.callExists(ctx, accountID, callID); err != nil {
		return nil, err
	}
	history, err := readJudgements(ctx, d.db, selectJudgements+` AND call_id = ? ORDER BY at, judgement_id`, accountID, callID)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return history, nil
}

func readJudgements(ctx context.Context, q store.Querier, query string, args ...any) ([]Judgement, error) {
	var rows []judgementRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	out := make([]Judgement, len(rows))
	for i, r := range rows {
		out[i] = Judgement{ID: r.ID, CallID: r.CallID, At: r.At, Actor: r.Actor, Kind: r.Kind, Detail: json.RawMessage(r.Detail)}
	}
	return out, nil
}
