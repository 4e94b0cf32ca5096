package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Desk is where calls are judged. It is safe for concurrent use.
type Desk struct {
	db      *store.DB
	now     func() time.Time
	log     *slog.Logger
	metrics metrics
}

// NewDesk makes a desk that writes with db and dates with now. reg may be nil.
func NewDesk(db *store.DB, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Desk {
	return &Desk{db: db, now: now, log: log, metrics: newMetrics(reg)}
}

// Act says who judges which call, and what they had seen of it.
type Act struct {
	AccountID string
	CallID    string
	Actor     string    // user_…, token_…, "import"
	At        time.Time // when the judgement was given; zero: now. Imports tell the past.
	IfVersion *int64    // the version of the desk that was judged; nil: whatever it is
}

// slack is how far ahead of our clock an instant that a person states may lie:
// their day may have begun when ours has not.
const slack = 24 * time.Hour

// sitting is one judgement in the making: the transaction that holds the desk
// of a call.
type sitting struct {
	Act
	tx   *store.Tx
	at   time.Time
	call callRow
	desk deskRow
}

type callRow struct {
	From      *string           `db:"from_e164"`
	StartedAt store.Time        `db:"started_at"`
	Outcome   telephony.Outcome `db:"outcome"`
}

type deskRow struct {
	Version     int64  `db:"version"`
	Disposition string `db:"disposition_id"`
	AgentID     string `db:"agent_id"`
}

// person is who called; see the package comment.
func (s *sitting) person() string {
	if s.call.From != nil && *s.call.From != "" {
		return *s.call.From
	}
	return "call:" + s.CallID
}

// judgementKind says what sort of judgement one is.
type judgementKind string

const (
	nothing    judgementKind = "" // said already: changes nothing
	tagged     judgementKind = "tagged"
	untagged   judgementKind = "untagged"
	disposed   judgementKind = "disposed"
	scored     judgementKind = "scored"
	sold       judgementKind = "sold"
	noted      judgementKind = "noted"
	fedBack    judgementKind = "feedback"
	calledBack judgementKind = "called_back"
	assigned   judgementKind = "assigned"
	disputed   judgementKind = "disputed"
	resolved   judgementKind = "resolved"
	referred   judgementKind = "referred" // told by a file
)

// verdict is what a judgement comes to: its kind, its id and the detail that
// the history keeps.
type verdict struct {
	kind   judgementKind
	id     string
	detail map[string]any
}

// judge is the frame of every write on a desk: one transaction that locks the
// call's desk, lets fn write, counts the version up and appends the judgement.
// It returns the version of the desk afterwards. Errors: NotFound for a call
// that is not this account's, Stale for an outdated IfVersion, and fn's own.
func (d *Desk) judge(ctx context.Context, act Act, doing string, fn func(ctx context.Context, s *sitting) (verdict, error)) (int64, error) {
	var version int64
	var kind judgementKind
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := d.sit(ctx, tx, act)
		if err != nil {
			return err
		}
		v, err := fn(ctx, s)
		if err != nil {
			return err
		}
		version, kind = s.desk.Version, v.kind
		if v.kind == nothing {
			return nil
		}
		version++
		return d.record(ctx, s, v)
	})
	if err != nil {
		d.metrics.refused.WithLabelValues(string(callwheel.KindOf(err))).Inc()
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	if kind != nothing {
		d.metrics.judgements.WithLabelValues(string(kind)).Inc()
		d.log.DebugContext(ctx, "judged", "account_id", act.AccountID, "call_id", act.CallID, "kind", string(kind), "version", version)
	}
	return version, nil
}

// sit finds the call and locks its desk, which the first judgement makes.
func (d *Desk) sit(ctx context.Context, tx *store.Tx, act Act) (*sitting, error) {
	s := &sitting{Act: act, tx: tx}
	if err := tx.Get(ctx, &s.call, `SELECT from_e164, started_at, COALESCE(outcome, '') AS outcome FROM calls WHERE account_id = ? AND call_id = ?`, act.AccountID, act.CallID); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO call_desks (account_id, call_id, version, updated_at) VALUES (?, ?, 0, ?)
		ON CONFLICT DO NOTHING`, act.AccountID, act.CallID, store.Micros(d.now())); err != nil {
		return nil, err
	}
	if err := tx.Get(ctx, &s.desk, `
		SELECT version, disposition_id, agent_id FROM call_desks WHERE account_id = ? AND call_id = ?`+tx.ForUpdate(),
		act.AccountID, act.CallID); err != nil {
		return nil, err
	}
	// Dated under the lock, so that the order of times is the order of versions.
	if s.at = act.At; s.at.IsZero() {
		s.at = d.now()
	}
	s.at = store.At(s.at).Time
	return s, checkVersion(act.IfVersion, s.desk.Version)
}

// record appends the judgement and counts the desk's version up. updated_at is
// our clock even when the judgement is dated otherwise: it tells whoever
// prepares figures what is new.
func (d *Desk) record(ctx context.Context, s *sitting, v verdict) error {
	detail, err := json.Marshal(v.detail)
	if err != nil {
		return err
	}
	if _, err := s.tx.Exec(ctx, `
		INSERT INTO judgements (account_id, judgement_id, call_id, at, actor, kind, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		s.AccountID, v.id, s.CallID, store.Micros(s.at), s.Actor, string(v.kind), string(detail)); err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, `UPDATE call_desks SET version = version + 1, updated_at = ? WHERE account_id = ? AND call_id = ?`,
		store.Micros(d.now()), s.AccountID, s.CallID)
	return err
}

func newVerdict(kind judgementKind, detail map[string]any) verdict {
	return verdict{kind: kind, id: callwheel.NewID("judge"), detail: detail}
}

// Tag puts a tag of the account's list on a call; one that is on it already
// changes nothing. It returns the desk's version. An unknown name is Invalid,
// with the nearest ones. Errors besides: NotFound, Stale.
func (d *Desk) Tag(ctx context.Context, act Act, name string) (int64, error) {
	return d.judge(ctx, act, "tag call", func(ctx context.Context, s *sitting) (verdict, error) {
		t, err := findTag(ctx, s.tx, s.AccountID, name)
		if err != nil {
			return verdict{}, err
		}
		n, err := s.tx.Exec(ctx, `
			INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, s.AccountID, s.CallID, t.ID, store.Micros(s.at), s.Actor)
		if err != nil || n == 0 {
			return verdict{}, err
		}
		return newVerdict(tagged, map[string]any{"tag": t.Name, "tag_id": t.ID}), nil
	})
}

// Untag takes a tag off a call; one that is not on it changes nothing. A tag
// that has retired from the list can still be taken off. It returns the desk's
// version. Errors: Invalid for a name that is neither in the list nor on the
// call, NotFound, Stale.
func (d *Desk) Untag(ctx context.Context, act Act, name string) (int64, error) {
	return d.judge(ctx, act, "untag call", func(ctx context.Context, s *sitting) (verdict, error) {
		var on []Tag
		if err := s.tx.Select(ctx, &on, `
			SELECT t.tag_id, t.name, t.version, t.created_at
			FROM call_tags c JOIN tags t ON t.account_id = c.account_id AND t.tag_id = c.tag_id
			WHERE c.account_id = ? AND c.call_id = ? AND t.folded = ? ORDER BY t.tag_id`, s.AccountID, s.CallID, Fold(name)); err != nil {
			return verdict{}, err
		}
		if len(on) == 0 {
			_, err := findTag(ctx, s.tx, s.AccountID, name)
			return verdict{}, err
		}
		for _, t := range on {
			if _, err := s.tx.Exec(ctx, `DELETE FROM call_tags WHERE account_id = ? AND call_id = ? AND tag_id = ?`,
				s.AccountID, s.CallID, t.ID); err != nil {
				return verdict{}, err
			}
		}
		return newVerdict(untagged, map[string]any{"tag": on[0].Name, "tag_id": on[0].ID}), nil
	})
}

// Dispose gives a call its disposition, by name. The latest counts, earlier
// ones stay in the history; the author repeating what stands changes nothing.
// It returns the desk's version. An unknown name is Invalid, with the nearest
// ones. Errors besides: NotFound, Stale.
func (d *Desk) Dispose(ctx context.Context, act Act, name string) (int64, error) {
	return d.judge(ctx, act, "dispose call", func(ctx context.Context, s *sitting) (verdict, error) {
		o, err := findDisposition(ctx, s.tx, s.AccountID, name)
		if err != nil {
			return verdict{}, err
		}
		standing, err := s.disposition(ctx)
		if err != nil || standing.DispositionID == o.ID && standing.GivenBy == s.Actor && act.At.IsZero() {
			return verdict{}, err
		}
		v := newVerdict(disposed, map[string]any{
			"disposition": o.Name, "disposition_id": o.ID,
			"qualified": o.Qualified, "stage": o.Stage, "genuine": o.Genuine,
		})
		if _, err := s.tx.Exec(ctx, `
			INSERT INTO call_dispositions (account_id, judgement_id, call_id, disposition_id, given_at, given_by) VALUES (?, ?, ?, ?, ?, ?)`,
			s.AccountID, v.id, s.CallID, o.ID, store.Micros(s.at), s.Actor); err != nil {
			return verdict{}, err
		}
		if standing, err = s.disposition(ctx); err != nil {
			return verdict{}, err
		}
		_, err = s.tx.Exec(ctx, `UPDATE call_desks SET disposition_id = ?, disposed_at = ? WHERE account_id = ? AND call_id = ?`,
			standing.DispositionID, standing.GivenAt, s.AccountID, s.CallID)
		return v, err
	})
}

type givenRow struct {
	DispositionID string     `db:"disposition_id"`
	GivenAt       store.Time `db:"given_at"`
	GivenBy       string     `db:"given_by"`
}

// disposition reads the one that counts; an empty row when there is none.
func (s *sitting) disposition(ctx context.Context) (givenRow, error) {
	var rows []givenRow
	err := s.tx.Select(ctx, &rows, `
		SELECT disposition_id, given_at, given_by FROM call_dispositions
		WHERE account_id = ? AND call_id = ? ORDER BY given_at DESC, judgement_id DESC LIMIT 1`, s.AccountID, s.CallID)
	if err != nil || len(rows) == 0 {
		return givenRow{}, err
	}
	return rows[0], nil
}

// Assign says by hand whose call it was; "" gives the call back to whoever's
// phone was bridged. It returns the desk's version. Errors: Invalid for an
// agent who is not in the account's list, NotFound, Stale.
func (d *Desk) Assign(ctx context.Context, act Act, agentID string) (int64, error) {
	return d.judge(ctx, act, "assign call", func(ctx context.Context, s *sitting) (verdict, error) {
		if s.desk.AgentID == agentID {
			return verdict{}, nil
		}
		if agentID != "" {
			var a Agent
			err := s.tx.Get(ctx, &a, selectAgent+` AND agent_id = ?`, s.AccountID, agentID)
			if callwheel.KindOf(err) == callwheel.NotFound {
				return verdict{}, callwheel.InvalidField("agent", "is not an agent of this account")
			}
			if err != nil {
				return verdict{}, err
			}
		}
		_, err := s.tx.Exec(ctx, `UPDATE call_desks SET agent_id = ? WHERE account_id = ? AND call_id = ?`, agentID, s.AccountID, s.CallID)
		return newVerdict(assigned, map[string]any{"agent_id": agentID}), err
	})
}

// maxNote is the longest note, in characters; maxComment the longest comment.
const (
	maxNote    = 10_000
	maxComment = 2_000
)

// Note is something that somebody wrote about a call.
type Note struct {
	ID        string     `db:"note_id"`
	CallID    string     `db:"call_id"`
	Text      string     `db:"text"`
	WrittenAt store.Time `db:"written_at"`
	WrittenBy string     `db:"written_by"`
}

// Note writes a note about a call and returns it with the desk's version.
// Errors: Invalid for an empty text or one of more than 10,000 characters,
// NotFound, Stale.
func (d *Desk) Note(ctx context.Context, act Act, text string) (Note, int64, error) {
	if problem := checkText(text, maxNote); problem != "" {
		return Note{}, 0, callwheel.InvalidField("text", "%s", problem)
	}
	if Fold(text) == "" {
		return Note{}, 0, callwheel.InvalidField("text", "must not be empty")
	}
	var n Note
	version, err := d.judge(ctx, act, "note on call", func(ctx context.Context, s *sitting) (verdict, error) {
		n = Note{ID: callwheel.NewID("note"), CallID: s.CallID, Text: text, WrittenAt: store.At(s.at), WrittenBy: s.Actor}
		_, err := s.tx.Exec(ctx, `
			INSERT INTO notes (account_id, note_id, call_id, text, written_at, written_by) VALUES (?, ?, ?, ?, ?, ?)`,
			s.AccountID, n.ID, n.CallID, n.Text, n.WrittenAt, n.WrittenBy)
		return newVerdict(noted, map[string]any{"note_id": n.ID}), err
	})
	return n, version, err
}

// FeedbackKind says on which scale a caller answered.
type FeedbackKind string

// The scales.
const (
	CSAT FeedbackKind = "csat" // 1 to 5: how content
	NPS  FeedbackKind = "nps"  // 0 to 10: how likely to recommend
)

// check says what is wrong with a value on the scale, "" for nothing.
func (k FeedbackKind) check(value int64) string {
	switch {
	case k == CSAT && (value < 1 || value > 5):
		return "csat goes from 1 to 5"
	case k == NPS && (value < 0 || value > 10):
		return "nps goes from 0 to 10"
	}
	return ""
}

// Feedback is what a caller said about the call.
type Feedback struct {
	ID      string       `db:"feedback_id"`
	CallID  string       `db:"call_id"`
	Person  string       `db:"person"`
	Kind    FeedbackKind `db:"kind"`
	Value   int64        `db:"value"`
	Comment string       `db:"comment"`
	GivenAt store.Time   `db:"given_at"`
}

// Feedback keeps what a caller said and returns it with the desk's version.
// With Act.At it was said then, as surveys tell. Errors: Invalid for a value off
// its scale and for an instant before the call or more than a day ahead, NotFound,
// Stale.
func (d *Desk) Feedback(ctx context.Context, act Act, kind FeedbackKind, value int64, comment string) (Feedback, int64, error) {
	if kind != CSAT && kind != NPS {
		return Feedback{}, 0, callwheel.InvalidField("kind", "must be csat or nps")
	}
	if problem := kind.check(value); problem != "" {
		return Feedback{}, 0, callwheel.InvalidField("value", "%s", problem)
	}
	if problem := checkText(comment, maxComment); problem != "" {
		return Feedback{}, 0, callwheel.InvalidField("comment", "%s", problem)
	}
	var f Feedback
	version, err := d.judge(ctx, act, "feedback on call", func(ctx context.Context, s *sitting) (verdict, error) {
		switch {
		case s.at.Before(s.call.StartedAt.Time):
			return verdict{}, callwheel.InvalidField("given_at", "is before the call itself")
		case s.at.After(d.now().Add(slack)):
			return verdict{}, callwheel.InvalidField("given_at", "lies more than a day ahead")
		}
		f = Feedback{ID: callwheel.NewID("fb"), CallID: s.CallID, Person: s.person(), Kind: kind, Value: value, Comment: comment, GivenAt: store.At(s.at)}
		return newVerdict(fedBack, map[string]any{"feedback_id": f.ID, "kind": f.Kind, "value": f.Value}), s.keepFeedback(ctx, f)
	})
	return f, version, err
}

func (s *sitting) keepFeedback(ctx context.Context, f Feedback) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO feedback (account_id, feedback_id, call_id, person, kind, value, comment, given_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		s.AccountID, f.ID, f.CallID, f.Person, string(f.Kind), f.Value, f.Comment, f.GivenAt)
	return err
}

// CallBack is the business calling a caller back.
type CallBack struct {
	ID        string     `db:"callback_id"`
	CallID    string     `db:"call_id"` // the call that was answered by calling back
	CalledAt  store.Time `db:"called_at"`
	Connected bool       `db:"connected"` // a person was reached
	CalledBy  string     `db:"called_by"`
}

// CallBack keeps that the business called back, at the instant given or now,
// and whether it connected. It returns the desk's version too. Errors: Invalid
// for an instant before the call or more than a day ahead, NotFound, Stale.
func (d *Desk) CallBack(ctx context.Context, act Act, connected bool, at *time.Time) (CallBack, int64, error) {
	var c CallBack
	version, err := d.judge(ctx, act, "call back", func(ctx context.Context, s *sitting) (verdict, error) {
		c = CallBack{ID: callwheel.NewID("cb"), CallID: s.CallID, CalledAt: store.At(s.at), Connected: connected, CalledBy: s.Actor}
		if at != nil {
			c.CalledAt = store.At(*at)
		}
		switch {
		case c.CalledAt.Before(s.call.StartedAt.Time):
			return verdict{}, callwheel.InvalidField("at", "is before the call itself")
		case c.CalledAt.After(s.at.Add(slack)):
			return verdict{}, callwheel.InvalidField("at", "lies more than a day ahead")
		}
		return newVerdict(calledBack, map[string]any{"callback_id": c.ID, "called_at": instant(c.CalledAt), "connected": connected}), s.keepCallBack(ctx, c)
	})
	return c, version, err
}

func (s *sitting) keepCallBack(ctx context.Context, c CallBack) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, ?, ?, ?, ?, ?)`,
		s.AccountID, c.ID, c.CallID, c.CalledAt, c.Connected, c.CalledBy)
	return err
}

// instant writes an instant as every answer does: UTC, microseconds.
func instant(t store.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }
