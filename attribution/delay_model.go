package attribution

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// DelayModel is one version of an account's delays. Versions are only ever
// added; a call is judged by the one that was the newest when it started.
type DelayModel struct {
	Version    int64 // 0: the defaults
	FittedAt   time.Time
	Calls      int64 // that it was fitted to
	Identified int64 // of them, by people who were known otherwise
	Delays
}

// name is the model version that attributions carry.
func (m DelayModel) name() string {
	if m.Version == 0 {
		return ModelVersion
	}
	return ModelVersion + "/" + strconv.FormatInt(m.Version, 10)
}

// delayVersion reads the name of a model version: which delay model, and
// whether this program can repeat the judgement at all.
func delayVersion(name string) (version int64, ok bool) {
	rule, number, fitted := strings.Cut(name, "/")
	if rule != ModelVersion {
		return 0, false
	}
	if !fitted {
		return 0, true
	}
	version, err := strconv.ParseInt(number, 10, 64)
	return version, err == nil && version > 0
}

// modelMemory is how long the newest model of an account is remembered.
const modelMemory = time.Minute

type knownModel struct {
	model  DelayModel
	readAt time.Time
}

// modelAt returns the delay model by which a call of that moment is judged.
// Right after a refit, and for a minute on other replicas, it may still be the
// one before: the attribution says which.
func (l *Ledger) modelAt(ctx context.Context, q store.Querier, accountID string, t time.Time) (DelayModel, error) {
	m, err := l.newestModel(ctx, q, accountID)
	if err != nil || m.Version == 0 || !m.FittedAt.After(t) {
		return m, err
	}
	return readModel(ctx, q, modelAtInstant, accountID, store.Micros(t))
}

// newestModel returns the account's newest delay model, from memory mostly.
func (l *Ledger) newestModel(ctx context.Context, q store.Querier, accountID string) (DelayModel, error) {
	now := l.now()
	l.mu.Lock()
	known, ok := l.models[accountID]
	l.mu.Unlock()
	if age := now.Sub(known.readAt); ok && age >= 0 && age < modelMemory {
		return known.model, nil
	}
	m, err := readModel(ctx, q, newestModel, accountID)
	if err != nil {
		return DelayModel{}, err
	}
	l.remember(accountID, m, now)
	return m, nil
}

func (l *Ledger) remember(accountID string, m DelayModel, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.models[accountID] = knownModel{m, now}
}

// modelOf returns a version of an account's delay model; NotFound when there is
// none.
func (l *Ledger) modelOf(ctx context.Context, accountID string, version int64) (DelayModel, error) {
	if version == 0 {
		return DelayModel{Delays: DefaultDelays()}, nil
	}
	m, err := readModel(ctx, l.db, modelByVersion, accountID, version)
	if err == nil && m.Version == 0 {
		err = callwheel.Errorf(callwheel.NotFound, "no delay model %d", version)
	}
	return m, err
}

type modelRow struct {
	Version    int64      `db:"version"`
	FittedAt   store.Time `db:"fitted_at"`
	Calls      int64      `db:"calls"`
	Identified int64      `db:"identified"`
	Parameters string     `db:"parameters"`
}

func (r modelRow) model() (DelayModel, error) {
	m := DelayModel{Version: r.Version, FittedAt: r.FittedAt.Time, Calls: r.Calls, Identified: r.Identified}
	if err := json.Unmarshal([]byte(r.Parameters), &m.Delays); err != nil {
		return DelayModel{}, fmt.Errorf("read delay model %d: %w", r.Version, err)
	}
	return m, nil
}

// readModel reads one model, the defaults when there is none.
func readModel(ctx context.Context, q store.Querier, query string, args ...any) (DelayModel, error) {
	var row modelRow
	err := q.Get(ctx, &row, query, args...)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return DelayModel{Delays: DefaultDelays()}, nil
	}
	if err != nil {
		return DelayModel{}, fmt.Errorf("read delay model: %w", err)
	}
	return row.model()
}

const modelColumns = `version, fitted_at, calls, identified, parameters`

const newestModel = `
SELECT ` + modelColumns + `
FROM delay_models
WHERE account_id = ?
ORDER BY version DESC
LIMIT 1`

const modelAtInstant = `
SELECT ` + modelColumns + `
FROM delay_models
WHERE account_id = ? AND fitted_at <= ?
ORDER BY version DESC
LIMIT 1`

const modelByVersion = `
SELECT ` + modelColumns + `
FROM delay_models
WHERE account_id = ? AND version = ?`
