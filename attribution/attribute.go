package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// ModelVersion names the rule by which calls are attributed. It changes
// whenever the same facts would be read differently. With every attribution it
// is stored together with the version of the account's delay model that was
// used, "posterior-1/3"; without one the defaults were.
const ModelVersion = "posterior-1"

// Verdict is what an attribution comes to.
type Verdict string

// The verdicts.
const (
	Winner    Verdict = "winner"    // a visitor, and so their touch
	BySource  Verdict = "source"    // a source, without a visitor
	Ambiguous Verdict = "ambiguous" // several may have called; the leading source is named, with a confidence below 0.7
	Untracked Verdict = "untracked" // nobody we know of
)

// Method is how an attribution came about.
type Method string

// The methods.
const (
	MethodLease     Method = "lease"           // the number was on the visitor's open page
	MethodLeaseTail Method = "lease_tail"      // it was still theirs, but the page had gone silent
	MethodPastLease Method = "past_lease"      // it had been theirs
	MethodCaller    Method = "known_caller"    // the caller is known, and the number has gone to somebody else since; or, of a call that was brought in, tells nothing
	MethodSource    Method = "source_number"   // the number is bound to a source for good
	MethodOverflow  Method = "overflow_number" // the number that is shown when a pool is empty
	MethodImported  Method = "imported"        // brought in with the call
	MethodNone      Method = "none"
)

// Two confidences are assumptions, not measurements: a number that is printed
// in one place can still be misdialled or passed on, and a phone can be lent.
const (
	confidenceSource = 0.99
	confidenceCaller = 0.95
)

// Candidate is somebody who may have made the call.
type Candidate struct {
	VisitorID string  `json:"visitor_id"`
	SessionID string  `json:"session_id,omitempty"`
	LeaseID   string  `json:"lease_id,omitempty"`
	SourceID  string  `json:"source_id,omitempty"`
	Source    string  `json:"source"`
	Medium    string  `json:"medium"`
	Campaign  string  `json:"campaign"`
	Weight    float64 `json:"weight"` // the candidates' weights and the untracked one add up to 1
	// Times are micros; all of them are no later than the call.
	ShownFrom   int64    `json:"shown_from,omitempty"`    // beginning of the hold, 0 for a source without a visitor
	LastShownAt int64    `json:"last_shown_at,omitempty"` // when the page was last known to be open
	OnScreen    bool     `json:"on_screen,omitempty"`     // it was, when the call began
	Ratios      []Ratio  `json:"ratios,omitempty"`
	Visitors    int64    `json:"visitors,omitempty"` // without a visitor id: how many of the source are added up here
	Evidence    []string `json:"evidence,omitempty"` // sentences; those that follow from the fields above are made when they are read
}

// Shown returns since when the number was the candidate's, and when it was last
// known to be on their page.
func (c Candidate) Shown() (from, last time.Time) {
	return store.FromMicros(c.ShownFrom), store.FromMicros(c.LastShownAt)
}

// Attribution is the conclusion about one call: which touch or source earned
// it, by which method, on which evidence. It depends only on facts as they were
// when the call started, so asking again gives the same answer.
type Attribution struct {
	CallID     string
	Verdict    Verdict
	Method     Method
	Confidence float64 // that the source is right; that nobody we know called, for an untracked call
	// VisitorConfidence is how sure it is that this visitor called: at most
	// Confidence, because several visitors may have come from the source.
	VisitorConfidence float64
	UntrackedWeight   float64 // share of the call that nobody we know made
	Background        float64 // calls per hour from beyond the candidates that this share comes from
	// Contaminated: the caller is known, and the number, which they had called
	// before, has gone to another visitor since.
	Contaminated bool
	VisitorID    string
	SessionID    string
	LeaseID      string
	TouchID      string
	PoolID       string
	ModelVersion string
	Candidates   []Candidate
	Why          []string // sentences for a person
	JudgedAt     time.Time
	AttributedAt time.Time
	Classification
	counted   []pairing // what the call adds to the account's counts
	forgotten bool      // a candidate's source is known no longer
}

// Attribute says which source earned the call, and keeps the answer. Asked
// again it returns what was kept. The source is "" when nobody we know of made
// the call, and for calls that cannot be judged yet: outgoing ones, and those
// known only by their legs. Errors are Unavailable; Sweep makes up for them.
func (l *Ledger) Attribute(ctx context.Context, call telephony.Call) (source string, err error) {
	if !judged(call) {
		return "", nil
	}
	stored, err := storedSource(ctx, l.db, call.AccountID, call.ID)
	if err != nil || stored != nil {
		return text(stored), err
	}
	a, err := l.conclude(ctx, l.db, call)
	if err != nil {
		return "", fmt.Errorf("attribute call: %w", err)
	}
	var added bool
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		added, err = l.keep(ctx, tx, call, a)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("attribute call: %w", err)
	}
	if added {
		l.metrics.verdicts.WithLabelValues(string(a.Verdict), string(a.Method)).Inc()
		return a.earner(), nil
	}
	stored, err = storedSource(ctx, l.db, call.AccountID, call.ID) // a rival was first
	return text(stored), err
}

// judged says whether enough is known of a call to attribute it.
func judged(call telephony.Call) bool {
	return !call.Shell && call.Direction != telephony.Outbound && call.TrackingNumber != "" && !call.StartedAt.IsZero()
}

func storedSource(ctx context.Context, q store.Querier, accountID, callID string) (*string, error) {
	var source string
	err := q.Get(ctx, &source, attributedSource, accountID, callID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read attribution: %w", err)
	}
	return &source, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// earner is the source that earned the call, "" while that is not sure.
func (a Attribution) earner() string {
	if a.Verdict == Ambiguous {
		return ""
	}
	return a.Source
}

// keep writes the attribution unless there is one, and says whether it did. A
// winner who is sure to have called from a known phone is one person with the
// caller from then on.
func (l *Ledger) keep(ctx context.Context, tx *store.Tx, call telephony.Call, a Attribution) (bool, error) {
	now := store.Micros(l.now())
	n, err := tx.Exec(ctx, addAttribution, call.AccountID, call.ID, string(a.Verdict), string(a.Method), a.Confidence, a.VisitorConfidence,
		a.UntrackedWeight, a.Background, a.Contaminated, a.SourceID, a.Source, a.Medium, a.Campaign, a.Term, a.Content, clickJSON(a.ClickIDs),
		a.LandingPage, a.Referrer, a.VisitorID, a.SessionID, a.LeaseID, a.TouchID, a.PoolID, a.ModelVersion, toJSON(a.Candidates), toJSON(a.Why),
		store.Micros(a.JudgedAt), now)
	if err != nil || n == 0 {
		return false, err
	}
	if a.Verdict != Winner || a.VisitorConfidence < highConfidence || call.CallerKind != telephony.CallerE164 {
		return true, nil
	}
	if _, err = tx.Exec(ctx, linkPerson, call.AccountID, a.VisitorID, call.From, store.Micros(call.StartedAt), call.ID, now); err != nil {
		return true, err
	}
	return true, count(ctx, tx, call.AccountID, a.counted)
}

// sweepBatch bounds one step of Sweep, sweepBack how far it looks for calls
// that were missed; older ones are found by Verify.
const (
	sweepBatch = 200
	sweepBack  = 14 * day
	shellGrace = time.Hour
)

// Sweep attributes calls that Attribute missed, because the database was away
// or the answer took too long. It gives the answer that Attribute would have
// given then. A call that is still known only by its legs after an hour is
// judged by what is known. It is a step for the job table.
func (l *Ledger) Sweep(ctx context.Context, now time.Time) (int, error) {
	var accounts []string
	if err := l.db.Select(ctx, &accounts, allAccounts); err != nil {
		return 0, fmt.Errorf("sweep calls: %w", err)
	}
	done := 0
	for _, accountID := range accounts {
		var rows []callRow
		err := l.db.Select(ctx, &rows, unattributedCalls, accountID, store.Micros(now.Add(-sweepBack)), store.Micros(now.Add(-shellGrace)), sweepBatch-done)
		if err != nil {
			return done, fmt.Errorf("sweep calls: %w", err)
		}
		for _, r := range rows {
			call := r.call()
			call.Shell = false // its time is over
			if _, err := l.Attribute(ctx, call); err != nil {
				return done, fmt.Errorf("sweep calls: %w", err)
			}
			done++
		}
		if done >= sweepBatch {
			break
		}
	}
	return done, nil
}

type callRow struct {
	AccountID string     `db:"account_id"`
	ID        string     `db:"call_id"`
	Direction string     `db:"direction"`
	FromKind  string     `db:"from_kind"`
	From      string     `db:"from_e164"`
	Number    string     `db:"tracking_number"`
	StartedAt store.Time `db:"started_at"`
	Shell     bool       `db:"shell"`
}

func (r callRow) call() telephony.Call {
	return telephony.Call{
		AccountID: r.AccountID, ID: r.ID, Direction: telephony.Direction(r.Direction), CallerKind: telephony.CallerKind(r.FromKind), From: r.From,
		TrackingNumber: r.Number, StartedAt: r.StartedAt.Time, Shell: r.Shell,
	}
}

type attributionRow struct {
	CallID       string     `db:"call_id"`
	Verdict      string     `db:"verdict"`
	Method       string     `db:"method"`
	Confidence   float64    `db:"confidence"`
	OfVisitor    float64    `db:"visitor_confidence"`
	Untracked    float64    `db:"untracked_weight"`
	Background   float64    `db:"background"`
	Contaminated bool       `db:"contaminated"`
	SourceID     string     `db:"source_id"`
	Source       string     `db:"source"`
	Medium       string     `db:"medium"`
	Campaign     string     `db:"campaign"`
	Term         string     `db:"term"`
	Content      string     `db:"content"`
	ClickIDs     string     `db:"click_ids"`
	LandingPage  string     `db:"landing_page"`
	Referrer     string     `db:"referrer"`
	VisitorID    string     `db:"visitor_id"`
	SessionID    string     `db:"session_id"`
	LeaseID      string     `db:"lease_id"`
	TouchID      string     `db:"touch_id"`
	PoolID       string     `db:"pool_id"`
	ModelVersion string     `db:"model_version"`
	Candidates   string     `db:"candidates"`
	Why          string     `db:"why"`
	JudgedAt     store.Time `db:"judged_at"`
	AttributedAt store.Time `db:"attributed_at"`
}

func (r attributionRow) attribution() Attribution {
	a := Attribution{
		CallID: r.CallID, Verdict: Verdict(r.Verdict), Method: Method(r.Method), Confidence: r.Confidence, VisitorConfidence: r.OfVisitor, UntrackedWeight: r.Untracked,
		Background: r.Background, Contaminated: r.Contaminated, VisitorID: r.VisitorID, SessionID: r.SessionID, LeaseID: r.LeaseID, TouchID: r.TouchID, PoolID: r.PoolID, ModelVersion: r.ModelVersion,
		Candidates: fromJSON[Candidate](r.Candidates), Why: fromJSON[string](r.Why), JudgedAt: r.JudgedAt.Time, AttributedAt: r.AttributedAt.Time,
		Classification: Classification{
			SourceID: r.SourceID, Source: r.Source, Medium: r.Medium, Campaign: r.Campaign, Term: r.Term, Content: r.Content,
			ClickIDs: clickMap(r.ClickIDs), LandingPage: r.LandingPage, Referrer: r.Referrer,
		},
	}
	return a
}

func readAttribution(ctx context.Context, q store.Querier, accountID, callID string) (Attribution, error) {
	var row attributionRow
	if err := q.Get(ctx, &row, attributionOfCall, accountID, callID); err != nil {
		return Attribution{}, fmt.Errorf("read attribution: %w", err)
	}
	return row.attribution(), nil
}

// ByCalls returns the attributions of several calls by call id, for lists.
// Calls without one are missing from the map.
func (l *Ledger) ByCalls(ctx context.Context, accountID string, callIDs []string) (map[string]Attribution, error) {
	list, err := standingOf(ctx, l.db, accountID, callIDs)
	found := make(map[string]Attribution, len(list))
	for id, a := range list {
		found[id] = *a
	}
	return found, err
}
