package telephony

import (
	"context"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// recordingRow is what the recorder reads of a row of recordings.
type recordingRow struct {
	AccountID   string     `db:"account_id"`
	ID          string     `db:"recording_id"`
	CallID      string     `db:"call_id"`
	ProviderRef string     `db:"provider_ref"`
	Kind        string     `db:"kind"`
	State       string     `db:"state"`
	MediaURL    string     `db:"media_url"`
	MediaPath   string     `db:"media_path"`
	MediaType   string     `db:"media_type"`
	MediaBytes  *int64     `db:"media_bytes"`
	Seconds     *int64     `db:"seconds"`
	Channels    *int64     `db:"channels"`
	Transcript  string     `db:"transcript"`
	Attempts    int64      `db:"attempts"`
	FinishedAt  store.Time `db:"finished_at"`
	KeptAt      store.Time `db:"kept_at"`
	DeletedAt   store.Time `db:"deleted_at"`
}

const recordingColumns = `account_id, recording_id, call_id, provider_ref, kind, state, media_url, media_path,
	media_type, media_bytes, seconds, channels, transcript, attempts, finished_at, kept_at, deleted_at`

func (r recordingRow) value() Recording {
	return Recording{
		ID: r.ID, CallID: r.CallID, Kind: r.Kind, State: r.State, Seconds: r.Seconds, Channels: r.Channels,
		MediaType: r.MediaType, Bytes: r.MediaBytes, Transcript: r.Transcript,
		FinishedAt: r.FinishedAt.Ptr(), KeptAt: r.KeptAt.Ptr(), DeletedAt: r.DeletedAt.Ptr(),
	}
}

// claimRecordings takes recordings of a state whose time has come and puts
// their next time off, past the deadline of a download. The claim is on the
// locked row, so two replicas never fetch one recording.
func claimRecordings(ctx context.Context, db *store.DB, state string, now time.Time, cfg RecorderConfig) ([]recordingRow, error) {
	var claimed []recordingRow
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		claimed = nil
		err := tx.Select(ctx, &claimed, `
			SELECT `+recordingColumns+` FROM recordings
			WHERE account_id <> '' AND due_at <= ? AND state = ?
			ORDER BY due_at
			LIMIT ?`+tx.SkipLocked(), store.Micros(now), state, cfg.Batch)
		if err != nil {
			return err
		}
		for i := range claimed {
			row := &claimed[i]
			row.Attempts++
			wait := backoff(time.Minute, 6*time.Hour, row.Attempts-1) + time.Duration(cfg.Batch)*cfg.Deadline
			_, err := tx.Exec(ctx, `
				UPDATE recordings SET due_at = ?, attempts = ? WHERE account_id = ? AND recording_id = ?`,
				store.Micros(now.Add(wait)), row.Attempts, row.AccountID, row.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return claimed, err
}

// keptRecording reads the recording of a call that can be played: of the
// conversation before the voicemail, the latest first.
func keptRecording(ctx context.Context, q store.Querier, accountID, callID string) (recordingRow, error) {
	var r recordingRow
	err := q.Get(ctx, &r, `
		SELECT `+recordingColumns+` FROM recordings
		WHERE account_id = ? AND call_id = ? AND state = 'kept'
		ORDER BY kind, finished_at DESC, recording_id
		LIMIT 1`, accountID, callID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return r, callwheel.Errorf(callwheel.NotFound, "this call has no recording")
	}
	return r, err
}

func recordingsOfCall(ctx context.Context, q store.Querier, accountID, callID string) ([]Recording, error) {
	var rows []recordingRow
	err := q.Select(ctx, &rows, `
		SELECT `+recordingColumns+` FROM recordings
		WHERE account_id = ? AND call_id = ? AND kind <> '`+kindTombstone+`'
		ORDER BY kind, finished_at, recording_id`, accountID, callID)
	list := make([]Recording, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.value())
	}
	return list, err
}

// bury says that the recordings of a call are not wanted, present or to come.
func bury(ctx context.Context, tx *store.Tx, accountID, callID string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO recordings (account_id, recording_id, call_id, provider, provider_ref, kind, state, deleted_at)
		VALUES (?, ?, ?, '', '', '`+kindTombstone+`', 'deleted', ?)
		ON CONFLICT DO NOTHING`,
		accountID, callwheel.DerivedID("rec", kindTombstone, callID), callID, store.Micros(now))
	return err
}

func isBuried(ctx context.Context, q store.Querier, accountID, callID string) (bool, error) {
	var n int64
	err := q.Get(ctx, &n, `
		SELECT count(recording_id) FROM recordings
		WHERE account_id = ? AND call_id = ? AND kind = '`+kindTombstone+`'`, accountID, callID)
	return n > 0, err
}

// markDeleted takes every recording of a call out of sight, with what was
// understood of it, and makes the provider's copy due for deletion.
func markDeleted(ctx context.Context, tx *store.Tx, accountID, callID string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE recordings
		SET state = 'deleted', deleted_at = ?, transcript = '', attempts = 0, last_error = '',
			due_at = CASE WHEN provider_deleted_at IS NULL THEN CAST(? AS BIGINT) END
		WHERE account_id = ? AND call_id = ? AND state <> 'deleted' AND kind <> '`+kindTombstone+`'`,
		store.Micros(now), store.Micros(now), accountID, callID)
	return err
}

// ageOfRecording is since when a recording is kept: of one whose callback was
// lost since it was fetched, of one that was never fetched since its call.
const ageOfRecording = `COALESCE(recordings.finished_at, recordings.kept_at, (
	SELECT c.started_at FROM calls c WHERE c.account_id = recordings.account_id AND c.call_id = recordings.call_id))`

// expireRecordings marks recordings as deleted whose account does not keep them
// that long, and returns them.
func expireRecordings(ctx context.Context, db *store.DB, now time.Time, limit int) ([]recordingRow, error) {
	const dayMicros = 24 * 60 * 60 * 1_000_000
	var rows []recordingRow
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows = nil
		err := tx.Select(ctx, &rows, `
			SELECT `+recordingColumns+` FROM recordings
			WHERE account_id <> '' AND state IN ('kept', 'failed', 'pending')
				AND `+ageOfRecording+` <= ? - (
					SELECT a.recording_retention_days FROM accounts a WHERE a.account_id = recordings.account_id AND a.recording_retention_days > 0
				) * ?
			ORDER BY `+ageOfRecording+`
			LIMIT ?`+tx.SkipLocked(), store.Micros(now), int64(dayMicros), limit)
		if err != nil {
			return err
		}
		for _, row := range rows {
			_, err := tx.Exec(ctx, `
				UPDATE recordings
				SET state = 'deleted', deleted_at = ?, transcript = '', attempts = 0, last_error = '', due_at = ?
				WHERE account_id = ? AND recording_id = ?`,
				store.Micros(now), store.Micros(now), row.AccountID, row.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}
