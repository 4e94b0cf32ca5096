package telephony

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// ImportProvider is the provider of calls that were brought in.
const ImportProvider = "import"

// ImportedCall is a call that another system took, as a file tells it.
type ImportedCall struct {
	Ref            string // the other system's id, unique in the account
	StartedAt      time.Time
	From           string // E.164, or what stands for a caller without a number
	TrackingNumber string // E.164
	Outcome        Outcome
	RingSeconds    int64 // until it was answered or given up; -1 when not known
	TalkSeconds    int64 // -1 when not known
}

// maxCallSeconds is the longest that a call can ring or be talked on.
const maxCallSeconds = 7 * 24 * 3600

// Check lists what cannot be: the fields are named as in the file.
func (c ImportedCall) Check() []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if c.Ref == "" || len(c.Ref) > 200 {
		refuse("call_id", "must have from 1 to 200 characters")
	}
	if kind, _ := Classify(c.From); kind == CallerInvalid {
		refuse("from", "is neither a phone number in E.164, such as +13125550171, nor anonymous")
	}
	if kind, _ := Classify(c.TrackingNumber); kind != CallerE164 {
		refuse("tracking_number", "must be a phone number in E.164, such as +13125550171")
	}
	switch c.Outcome {
	case "", Answered, Voicemail, Abandoned, OutcomeBusy, OutcomeNoAnswer, OutcomeFailed, Blocked:
	default:
		refuse("outcome", "must be answered, voicemail, abandoned, busy, no-answer, failed or blocked")
	}
	for field, n := range map[string]int64{"ring_seconds": c.RingSeconds, "talk_seconds": c.TalkSeconds} {
		if n < -1 || n > maxCallSeconds {
			refuse(field, "must be from 0 to %d", maxCallSeconds)
		}
	}
	if c.TalkSeconds > 0 && c.Outcome != "" && c.Outcome != Answered {
		refuse("talk_seconds", "nobody talks on a call that is %s", c.Outcome)
	}
	return bad
}

// ID is the call's id here.
func (c ImportedCall) ID() string { return CallID(ImportProvider, c.Ref) }

// event is the fact as the journal keeps it.
func (c ImportedCall) event(accountID string, revision int64) Event {
	outcome := c.Outcome
	if outcome == "" && c.TalkSeconds > 0 {
		outcome = Answered
	}
	return Event{
		Provider: ImportProvider, Door: DoorImport, CallRef: c.Ref, At: c.StartedAt.UTC(), Sequence: revision,
		From: c.From, To: c.TrackingNumber, Direction: string(Inbound), Status: Completed,
		Seconds: -1, DialSeconds: -1, RecordingSeconds: -1, Query: Query{AccountID: accountID},
		Told: &Told{Outcome: outcome, RingSeconds: c.RingSeconds, TalkSeconds: c.TalkSeconds},
	}
}

// Imported says what became of a fact that was brought in.
type Imported string

// What became of it.
const (
	ImportNew       Imported = "new"
	ImportUnchanged Imported = "unchanged"
	ImportCorrected Imported = "corrected"
)

// ImportCalls keeps calls that were brought in, all or none, and says of each
// what became of it. A call that is told anew is corrected: the journal keeps
// both facts, the latest counts. Told as it stands it changes nothing.
func (s *Switchboard) ImportCalls(ctx context.Context, accountID string, calls []ImportedCall) ([]Imported, error) {
	var done []Imported
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = make([]Imported, len(calls))
		for i, c := range calls {
			var err error
			if done[i], err = s.importCall(ctx, tx, accountID, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import calls: %w", err)
	}
	return done, nil
}

func (s *Switchboard) importCall(ctx context.Context, tx *store.Tx, accountID string, c ImportedCall) (Imported, error) {
	now := s.deps.Now()
	entries, err := entriesOf(ctx, tx, accountID, ImportProvider, c.Ref)
	if err != nil {
		return "", err
	}
	var standing Event
	revision := int64(-1)
	for _, en := range entries {
		if e := readOwn(en); e.Told != nil && e.Sequence > revision {
			standing, revision = e, e.Sequence
		}
	}
	if revision >= 0 && tellsTheSame(standing, c.event(accountID, revision)) {
		return ImportUnchanged, nil
	}
	e := c.event(accountID, revision+1)
	body, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	e.Key = fmt.Sprintf("%s/%s:%s:%d", accountID, DoorImport, c.Ref, e.Sequence)
	r := Request{Door: DoorImport, Target: "/" + string(DoorImport), ContentType: ownType, Body: body, ReceivedAt: now}
	if _, err := s.keep(ctx, tx, newEntry(accountID, e.Key, r, e, Decision{}, nil), true); err != nil {
		return "", err
	}
	if revision < 0 {
		return ImportNew, nil
	}
	return ImportCorrected, nil
}

func tellsTheSame(a, b Event) bool {
	return a.At.Equal(b.At) && a.From == b.From && a.To == b.To && *a.Told == *b.Told
}

// latestImport leaves of the facts that imports told of a call only the latest
// revision.
func latestImport(events []Folded) []Folded {
	latest := int64(-1)
	for _, e := range events {
		if e.Told != nil {
			latest = max(latest, e.Sequence)
		}
	}
	if latest < 0 {
		return events
	}
	kept := events[:0]
	for _, e := range events {
		if e.Told == nil || e.Sequence == latest {
			kept = append(kept, e)
		}
	}
	return kept
}

// imported fills in what an import told of the call; what it does not tell
// stays open. It tells how long the phone rang and how long people talked, and
// so when the call was answered and ended.
func (f *folding) imported(c *Call) {
	for _, e := range f.events {
		if e.Told == nil {
			continue
		}
		t := *e.Told
		c.Outcome = t.Outcome
		rang, talked := max(0, t.RingSeconds), max(0, t.TalkSeconds)
		end := c.StartedAt.Add(time.Duration(rang+talked) * time.Second)
		c.EndedAt = &end
		if t.RingSeconds >= 0 || t.TalkSeconds >= 0 {
			c.DurationSeconds = seconds(rang + talked)
		}
		if t.Outcome != Answered {
			return
		}
		if t.TalkSeconds >= 0 {
			c.TalkSeconds = seconds(t.TalkSeconds)
		}
		if t.RingSeconds >= 0 {
			c.RingSeconds = seconds(t.RingSeconds)
			at := c.StartedAt.Add(time.Duration(rang) * time.Second)
			c.AnsweredAt = &at
		}
		return
	}
}
