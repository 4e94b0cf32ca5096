package telephony

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Recording is what is known of one recording of a call. Where the provider or
// we keep the media is never part of it.
type Recording struct {
	ID         string
	CallID     string
	Kind       string // call, voicemail
	State      string // pending, kept, absent, failed, deleted
	Seconds    *int64
	Channels   *int64 // in the provider's order
	MediaType  string
	Bytes      *int64
	Transcript string
	FinishedAt *time.Time
	KeptAt     *time.Time
	DeletedAt  *time.Time
}

// The states of a recording, and the kind of the row that only says that a
// call's recordings are not wanted.
const (
	recordingPending = "pending"
	recordingKept    = "kept"
	recordingFailed  = "failed"
	recordingDeleted = "deleted"
	kindTombstone    = "tombstone"
)

// RecorderConfig is where recordings are kept and how patient their fetching is.
type RecorderConfig struct {
	Dir      string        // the storage folder
	MaxBytes int64         // larger media is refused
	Attempts int64         // after so many a recording counts as failed
	Batch    int           // how many rows one step takes
	Deadline time.Duration // for one download
}

func (c RecorderConfig) withDefaults() RecorderConfig {
	if c.MaxBytes == 0 {
		c.MaxBytes = 512 << 20 // four hours in two channels are about 460 MB
	}
	if c.Attempts == 0 {
		c.Attempts = 10
	}
	if c.Batch == 0 {
		c.Batch = 10
	}
	if c.Deadline == 0 {
		c.Deadline = 5 * time.Minute
	}
	return c
}

// Recorder fetches recordings from the provider, keeps them as files, gives
// them out, and deletes them here and there.
type Recorder struct {
	db         *store.DB
	carrierFor CarrierFor
	cfg        RecorderConfig
	now        func() time.Time
	log        *slog.Logger
	metrics    recorderMetrics
}

// NewRecorder makes the value; log and reg may be nil.
func NewRecorder(db *store.DB, carrierFor CarrierFor, cfg RecorderConfig, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Recorder {
	return &Recorder{db: db, carrierFor: carrierFor, cfg: cfg.withDefaults(), now: now, log: orQuiet(log), metrics: newRecorderMetrics(reg)}
}

// Fetch downloads recordings that are ready and keeps them. What goes wrong is
// tried again later and longer apart, until the recording counts as failed; one
// that is not wanted any more is never downloaded. Its shape is a job's step.
func (r *Recorder) Fetch(ctx context.Context, now time.Time) (int, error) {
	rows, err := claimRecordings(ctx, r.db, recordingPending, now, r.cfg)
	if err != nil {
		return 0, fmt.Errorf("claim recordings: %w", err)
	}
	var errs []error
	for _, row := range rows {
		if err := r.fetchOne(ctx, row, now); err != nil {
			errs = append(errs, fmt.Errorf("fetch recording %s: %w", row.ID, err))
		}
	}
	return len(rows), errors.Join(errs...)
}

func (r *Recorder) fetchOne(ctx context.Context, row recordingRow, now time.Time) error {
	buried, err := isBuried(ctx, r.db, row.AccountID, row.CallID)
	if err != nil {
		return err
	}
	if buried {
		r.metrics.fetched.WithLabelValues("deleted").Inc()
		return r.drop(ctx, row.AccountID, row.CallID, now)
	}
	media, err := r.download(ctx, row)
	if err != nil {
		return r.putOff(ctx, row, now, err)
	}
	kept, err := r.keep(ctx, row, media, now)
	if err != nil || !kept {
		// Deleted while it was on its way, or not written down: the file must
		// not outlive the row.
		os.Remove(filepath.Join(r.cfg.Dir, media.path)) //nolint:errcheck // the next attempt overwrites it
		return err
	}
	r.metrics.fetched.WithLabelValues("kept").Inc()
	r.metrics.bytes.Add(float64(media.bytes))
	return nil
}

// medium is a downloaded file.
type medium struct {
	path      string // below the storage folder
	mediaType string
	bytes     int64
}

// download writes the media to its file: whole or not at all.
func (r *Recorder) download(ctx context.Context, row recordingRow) (medium, error) {
	if row.MediaURL == "" {
		return medium{}, callwheel.Errorf(callwheel.Unavailable, "download: the provider has not said where it is")
	}
	carrier, err := r.carrierFor(row.AccountID)
	if err != nil {
		return medium{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Deadline)
	defer cancel()
	body, contentType, err := carrier.Media(ctx, row.MediaURL)
	if err != nil {
		return medium{}, err
	}
	defer body.Close()
	m := medium{path: row.place(), mediaType: audioType(contentType)}
	m.bytes, err = writeWhole(filepath.Join(r.cfg.Dir, m.path), body, r.cfg.MaxBytes)
	return m, err
}

// place is where the media of a recording is kept, below the storage folder.
func (r recordingRow) place() string { return filepath.Join(r.AccountID, r.ID+".wav") }

// audioType keeps the provider's media type when it is one of sound: the file
// is given to browsers with it.
func audioType(contentType string) string {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(t, "audio/") {
		return "audio/wav"
	}
	return t
}

// fetching is how the file of a download is called until it is whole.
const fetching = ".fetch-*"

// writeWhole writes body to file through a temporary one, on disk before it
// gets its name. It fails with kind Invalid beyond most bytes and for nothing at
// all.
func writeWhole(file string, body io.Reader, most int64) (int64, error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, fmt.Errorf("make storage folder: %w", err)
	}
	temp, err := os.CreateTemp(dir, fetching)
	if err != nil {
		return 0, fmt.Errorf("open file: %w", err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone already after the rename
	defer temp.Close()           //nolint:errcheck // closed before the rename
	n, err := io.Copy(temp, io.LimitReader(body, most+1))
	switch {
	case err != nil:
		return n, fmt.Errorf("download: %w", err)
	case n > most:
		return n, callwheel.Errorf(callwheel.Invalid, "download: larger than %d bytes", most)
	case n == 0:
		return n, callwheel.Errorf(callwheel.Unavailable, "download: empty")
	}
	if err := temp.Sync(); err != nil {
		return n, fmt.Errorf("write file: %w", err)
	}
	if err := temp.Close(); err != nil {
		return n, fmt.Errorf("write file: %w", err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return n, fmt.Errorf("name file: %w", err)
	}
	return n, syncFolder(dir)
}

// syncFolder puts a new name on disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("write folder: %w", err)
	}
	return nil
}

// keep writes down that the file is there; false when the recording is not
// wanted any more.
func (r *Recorder) keep(ctx context.Context, row recordingRow, m medium, now time.Time) (bool, error) {
	kept := false
	err := r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `
			UPDATE recordings
			SET state = 'kept', media_path = ?, media_type = ?, media_bytes = ?, kept_at = ?, due_at = NULL, last_error = ''
			WHERE account_id = ? AND recording_id = ? AND state = 'pending'`,
			m.path, m.mediaType, m.bytes, store.Micros(now), row.AccountID, row.ID)
		kept = n == 1
		return err
	})
	return kept, err
}

// putOff notes a failure and when to try again, if ever.
func (r *Recorder) putOff(ctx context.Context, row recordingRow, now time.Time, cause error) error {
	state, result := recordingPending, "retry"
	due := store.At(now.Add(backoff(30*time.Second, 6*time.Hour, row.Attempts-1)))
	if row.Attempts >= r.cfg.Attempts || callwheel.KindOf(cause) == callwheel.Invalid {
		state, result, due = recordingFailed, "failed", store.Time{}
	}
	r.metrics.fetched.WithLabelValues(result).Inc()
	r.log.WarnContext(ctx, "recording not fetched", "account_id", row.AccountID, "recording_id", row.ID,
		"attempts", row.Attempts, "result", result, "error", shortText(cause.Error()))
	return r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE recordings SET state = ?, due_at = ?, last_error = ?
			WHERE account_id = ? AND recording_id = ? AND state = 'pending'`,
			state, due, shortText(cause.Error()), row.AccountID, row.ID)
		return err
	})
}

// Open opens the media of a call: its recording, or else its voicemail. The
// caller closes it. NotFound means that there is none, not yet or no more.
func (r *Recorder) Open(ctx context.Context, accountID, callID string) (io.ReadSeekCloser, Recording, error) {
	row, err := keptRecording(ctx, r.db, accountID, callID)
	if err != nil {
		return nil, Recording{}, err
	}
	if !filepath.IsLocal(row.MediaPath) {
		return nil, Recording{}, fmt.Errorf("open recording %s: its path leaves the storage folder", row.ID)
	}
	file, err := os.Open(filepath.Join(r.cfg.Dir, row.MediaPath))
	if errors.Is(err, os.ErrNotExist) {
		return nil, Recording{}, callwheel.Errorf(callwheel.NotFound, "the file of this recording is gone")
	}
	if err != nil {
		return nil, Recording{}, fmt.Errorf("open recording %s: %w", row.ID, err)
	}
	return file, row.value(), nil
}

// Delete removes every recording of a call, here at once and at the provider by
// DeleteStep, and keeps later ones of that call from being fetched. A call
// without recordings is buried all the same: they may still be on their way.
// Whether the call exists is for the caller to know.
func (r *Recorder) Delete(ctx context.Context, accountID, callID, actor string) error {
	now := r.now()
	err := r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := bury(ctx, tx, accountID, callID, now); err != nil {
			return err
		}
		return audit(ctx, tx, now, accountID, actor, "recording.delete", callID)
	})
	if err != nil {
		return fmt.Errorf("delete recordings: %w", err)
	}
	r.metrics.deleted.WithLabelValues("request").Inc()
	r.log.InfoContext(ctx, "recordings deleted", "account_id", accountID, "call_id", callID, "actor", actor)
	return r.drop(ctx, accountID, callID, now)
}

// drop marks what a buried call has as deleted and removes the files. A file
// that cannot be removed now is removed by DeleteStep.
func (r *Recorder) drop(ctx context.Context, accountID, callID string, now time.Time) error {
	var rows []recordingRow
	err := r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows = nil
		if err := markDeleted(ctx, tx, accountID, callID, now); err != nil {
			return err
		}
		return tx.Select(ctx, &rows, `
			SELECT `+recordingColumns+` FROM recordings
			WHERE account_id = ? AND call_id = ? AND state = 'deleted' AND kind <> '`+kindTombstone+`'`, accountID, callID)
	})
	if err != nil {
		return fmt.Errorf("delete recordings: %w", err)
	}
	for _, row := range rows {
		if err := r.removeFile(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes the file of a deleted recording and forgets its path. It
// looks where the file belongs, whatever the row says: a crash can leave a file
// that no row names.
func (r *Recorder) removeFile(ctx context.Context, row recordingRow) error {
	for _, path := range []string{row.place(), row.MediaPath} {
		if path == "" {
			continue
		}
		if !filepath.IsLocal(path) {
			return fmt.Errorf("remove recording %s: its path leaves the storage folder", row.ID)
		}
		if err := os.Remove(filepath.Join(r.cfg.Dir, path)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove recording %s: %w", row.ID, err)
		}
	}
	if row.MediaPath == "" {
		return nil
	}
	return r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE recordings SET media_path = '' WHERE account_id = ? AND recording_id = ? AND state = 'deleted'`,
			row.AccountID, row.ID)
		return err
	})
}

// DeleteStep deletes at the provider what was deleted here, and removes files
// that are still there. It tries until it succeeds. Its shape is a job's step.
func (r *Recorder) DeleteStep(ctx context.Context, now time.Time) (int, error) {
	rows, err := claimRecordings(ctx, r.db, recordingDeleted, now, r.cfg)
	if err != nil {
		return 0, fmt.Errorf("claim deleted recordings: %w", err)
	}
	var errs []error
	for _, row := range rows {
		if err := r.deleteOne(ctx, row, now); err != nil {
			errs = append(errs, fmt.Errorf("delete recording %s: %w", row.ID, err))
		}
	}
	return len(rows), errors.Join(errs...)
}

func (r *Recorder) deleteOne(ctx context.Context, row recordingRow, now time.Time) error {
	if err := r.removeFile(ctx, row); err != nil {
		return err // claimed: due again later
	}
	carrier, err := r.carrierFor(row.AccountID)
	if err != nil {
		return err
	}
	if err := carrier.DeleteRecording(ctx, row.ProviderRef); err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return err
	}
	r.metrics.deleted.WithLabelValues("provider").Inc()
	return r.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE recordings SET provider_deleted_at = ?, due_at = NULL, last_error = '', media_url = ''
			WHERE account_id = ? AND recording_id = ? AND state = 'deleted'`,
			store.Micros(now), row.AccountID, row.ID)
		return err
	})
}

// Expire deletes recordings that are older than their account keeps them. The
// files go at once, the provider's copies by DeleteStep. Its shape is a job's
// step.
func (r *Recorder) Expire(ctx context.Context, now time.Time) (int, error) {
	rows, err := expireRecordings(ctx, r.db, now, 10*r.cfg.Batch)
	if err != nil {
		return 0, fmt.Errorf("expire recordings: %w", err)
	}
	for _, row := range rows {
		r.metrics.deleted.WithLabelValues("retention").Inc()
		if err := r.removeFile(ctx, row); err != nil {
			return len(rows), err
		}
	}
	return len(rows), nil
}

// Tidy removes the beginnings of downloads that a crash has left behind. Those of
// a download that goes on are younger. Its shape is a job's step.
func (r *Recorder) Tidy(_ context.Context, now time.Time) (int, error) {
	files, err := filepath.Glob(filepath.Join(r.cfg.Dir, "*", fetching))
	if err != nil {
		return 0, fmt.Errorf("tidy recordings: %w", err)
	}
	done := 0
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, os.ErrNotExist) || err == nil && now.Sub(info.ModTime()) < 2*r.cfg.Deadline {
			continue
		}
		if err = errors.Join(err, os.Remove(file)); err != nil {
			return done, fmt.Errorf("tidy recordings: %w", err)
		}
		done++
	}
	return done, nil
}
