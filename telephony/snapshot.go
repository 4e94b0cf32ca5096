package telephony

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Line is one tracking number as an incoming call needs it.
type Line struct {
	AccountID string `json:"account_id"`
	NumberID  string `json:"number_id"`
	Number    string `json:"number"` // E.164
	Plan      Plan   `json:"plan"`
	// Version names the plan by its content: the same plan has the same
	// version on every replica and after every restart.
	Version int64 `json:"version"`
	// Generic is what an agent hears for {source} while nobody knows the source.
	Generic string `json:"generic"`
}

// Office is one account as an incoming call needs it.
type Office struct {
	Destination     string          `json:"destination,omitempty"`
	RecordingPolicy string          `json:"recording_policy"`
	Blocked         map[string]bool `json:"blocked,omitempty"` // E.164, or "anonymous"
}

// Snapshot is all routing of the installation at one moment. It never changes:
// a newer one takes its place whole, so that a call sees one state of affairs
// and no lock.
type Snapshot struct {
	mark    routingMark
	lines   map[string]Line
	offices map[string]Office
}

// routingMark tells whether anything that routing depends on has changed.
type routingMark struct {
	Version  int64 `db:"version" json:"version"`
	Accounts int64 `db:"accounts" json:"accounts"`
	Edits    int64 `db:"edits" json:"edits"`
}

// Line returns the tracking number, if it is one of ours.
func (sn *Snapshot) Line(number string) (Line, bool) {
	l, ok := sn.lines[number]
	return l, ok
}

// Office returns the account, if there is one.
func (sn *Snapshot) Office(accountID string) (Office, bool) {
	o, ok := sn.offices[accountID]
	return o, ok
}

// Size returns how many tracking numbers are routed.
func (sn *Snapshot) Size() int { return len(sn.lines) }

// OnlyAccount returns the account of an installation that has just one, else "".
func (sn *Snapshot) OnlyAccount() string {
	if len(sn.offices) != 1 {
		return ""
	}
	for id := range sn.offices {
		return id
	}
	return ""
}

// Blocks says whether the account refuses calls from this caller.
func (sn *Snapshot) Blocks(accountID, rawFrom string) bool {
	blocked := sn.offices[accountID].Blocked
	if len(blocked) == 0 {
		return false
	}
	kind, e164 := Classify(rawFrom)
	return kind == CallerE164 && blocked[e164] || kind == CallerAnonymous && blocked[blockAnonymous]
}

// BumpRouting tells every replica that routing has changed. Each write that the
// snapshot must know about calls it inside its transaction, first, so that such
// writes queue in one order.
func BumpRouting(ctx context.Context, tx *store.Tx) error {
	if _, err := tx.Exec(ctx, `UPDATE routing_versions SET version = version + 1 WHERE account_id = ''`); err != nil {
		return fmt.Errorf("bump routing: %w", err)
	}
	return nil
}

// readMark is cheap enough to be asked every second. Accounts belong to a room
// that knows nothing of routing, so their own versions are looked at.
func readMark(ctx context.Context, q store.Querier) (routingMark, error) {
	var m routingMark
	err := q.Get(ctx, &m, `
		SELECT r.version,
			(SELECT count(*) FROM accounts) AS accounts,
			(SELECT CAST(COALESCE(sum(version), 0) AS BIGINT) FROM accounts) AS edits
		FROM routing_versions r WHERE r.account_id = ''`)
	if err != nil {
		return m, fmt.Errorf("read the routing version: %w", err)
	}
	return m, nil
}

// readSnapshot loads all routing in one consistent view. Broken plans are
// reported, not refused: their numbers fall back to the account's destination.
func readSnapshot(ctx context.Context, q store.Querier) (*Snapshot, []error, error) {
	mark, err := readMark(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	sn := &Snapshot{mark: mark, lines: map[string]Line{}, offices: map[string]Office{}}
	if err := sn.readOffices(ctx, q); err != nil {
		return nil, nil, err
	}
	problems, err := sn.readLines(ctx, q)
	return sn, problems, err
}

func (sn *Snapshot) readOffices(ctx context.Context, q store.Querier) error {
	var accounts []struct {
		ID          string `db:"account_id"`
		Destination string `db:"destination"`
		Policy      string `db:"recording_policy"`
	}
	if err := q.Select(ctx, &accounts, `SELECT account_id, destination, recording_policy FROM accounts`); err != nil {
		return fmt.Errorf("load routing: %w", err)
	}
	for _, a := range accounts {
		sn.offices[a.ID] = Office{Destination: a.Destination, RecordingPolicy: a.Policy, Blocked: map[string]bool{}}
	}
	var blocked []struct {
		ID     string `db:"account_id"`
		Caller string `db:"caller"`
	}
	if err := q.Select(ctx, &blocked, `SELECT account_id, caller FROM blocked_callers`); err != nil {
		return fmt.Errorf("load the block list: %w", err)
	}
	for _, b := range blocked {
		if o, ok := sn.offices[b.ID]; ok {
			o.Blocked[b.Caller] = true
		}
	}
	return nil
}

// wiring is what the tables say about one number.
type wiring struct {
	AccountID       string  `db:"account_id"`
	NumberID        string  `db:"number_id"`
	Number          string  `db:"number"`
	Campaign        string  `db:"campaign"`
	Destination     string  `db:"destination"`
	PoolDestination string  `db:"pool_destination"`
	Record          bool    `db:"record"`
	Whisper         string  `db:"whisper"`
	Plan            *string `db:"plan"`
}

func (sn *Snapshot) readLines(ctx context.Context, q store.Querier) ([]error, error) {
	var rows []wiring
	err := q.Select(ctx, &rows, `
		SELECT n.account_id, n.number_id, n.number, n.campaign, n.destination, n.pool_destination, n.record, n.whisper, r.plan
		FROM tracking_numbers n
		LEFT JOIN routes r ON r.account_id = n.account_id AND r.route_id = n.route_id AND n.route_id <> ''
		WHERE n.state <> 'released'`)
	if err != nil {
		return nil, fmt.Errorf("load the tracking numbers: %w", err)
	}
	var problems []error
	for _, w := range rows {
		plan, err := w.plan(sn.offices[w.AccountID])
		if err != nil {
			problems = append(problems, fmt.Errorf("number %s: %w", w.NumberID, err))
		}
		sn.lines[w.Number] = Line{
			AccountID: w.AccountID, NumberID: w.NumberID, Number: w.Number,
			Plan: plan, Version: planVersion(plan), Generic: w.generic(),
		}
	}
	return problems, nil
}

// plan works out what happens to a caller of this number: its route, else its
// own destination, its pool's, its account's. What the number itself says about
// whisper and recording adds to whichever it is.
func (w wiring) plan(o Office) (Plan, error) {
	plan, problem := w.route()
	if plan == nil {
		plan = straight(w.Destination, w.PoolDestination, o.Destination)
	}
	if w.Whisper != "" {
		plan.Whisper = w.Whisper
	}
	plan.Record = plan.Record || w.Record
	if plan.Record && plan.Announcement == "" && o.RecordingPolicy != RecordSilently {
		plan.Announcement = defaultAnnouncement
	}
	return plan.WithDefaults(), problem
}

// route reads the number's route; nil when it has none that can be used.
func (w wiring) route() (*Plan, error) {
	if w.Plan == nil {
		return nil, nil //nolint:nilnil // no route is no problem
	}
	var p Plan
	if err := json.Unmarshal([]byte(*w.Plan), &p); err != nil {
		return nil, fmt.Errorf("read its route: %w", err)
	}
	if err := p.ValidateFor(RecordSilently); err != nil {
		return nil, fmt.Errorf("use its route: %w", err)
	}
	return &p, nil
}

// straight is the plan of a number without a route: ring the first destination
// that is given, then take a message.
func straight(destinations ...string) *Plan {
	p := &Plan{Voicemail: true}
	for _, d := range destinations {
		if isE164(d) {
			p.Steps = []Step{{Destinations: []string{d}}}
			return p
		}
	}
	return p
}

func (w wiring) generic() string {
	if w.Campaign != "" {
		return w.Campaign
	}
	return National(w.Number)
}

// planVersion names a plan by its content. 48 bits keep it a small number in a
// URL.
func planVersion(p Plan) int64 {
	text, _ := json.Marshal(p) //nolint:errcheck // plain data
	sum := sha256.Sum256(text)
	v := int64(1)
	for _, b := range sum[:6] {
		v = v<<8 | int64(b)
	}
	return v & (1<<48 - 1)
}

// Snapshot returns the routing that calls are answered from.
func (s *Switchboard) Snapshot() *Snapshot { return s.snapshot.Load() }

// Ready says whether routing is known, even if it is empty: from the database
// or from the last known good file, so that calls ring where they should. It
// does not ask the database.
func (s *Switchboard) Ready() bool { return s.Snapshot().offices != nil }

// SnapshotAge returns how long ago routing was last known to be current.
func (s *Switchboard) SnapshotAge() time.Duration {
	at := s.refreshedAt.Load()
	if at == nil {
		return time.Duration(1<<63 - 1)
	}
	return s.deps.Now().Sub(*at)
}

// Refresh loads routing again when it has changed and swaps it in whole. It
// fails with kind Unavailable when the database is away; calls are then
// answered from what is there.
func (s *Switchboard) Refresh(ctx context.Context) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	mark, err := readMark(ctx, s.db)
	if err != nil {
		return err
	}
	now := s.deps.Now()
	if s.routed.Load() && mark == s.Snapshot().mark {
		s.refreshedAt.Store(&now)
		return nil
	}
	var next *Snapshot
	err = s.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error {
		sn, problems, err := readSnapshot(ctx, q)
		for _, p := range problems {
			s.deps.Log.WarnContext(ctx, "a route cannot be used", "error", p)
		}
		next = sn
		return err
	})
	if err != nil {
		return fmt.Errorf("refresh routing: %w", err)
	}
	if !s.routed.Load() && next.Size() == 0 && s.Snapshot().Size() > 0 {
		// The last known good routes are written at every change, so they agree
		// with the database unless that was lost and begun anew. Callers still
		// dial the old numbers.
		s.emptied.Do(func() {
			s.deps.Log.ErrorContext(ctx, "the database knows no numbers, the last known good routes do: answering calls from those", "numbers", s.Snapshot().Size())
		})
		s.refreshedAt.Store(&now)
		return nil
	}
	s.snapshot.Store(next)
	s.routed.Store(true)
	s.refreshedAt.Store(&now)
	if err := next.save(s.cfg.SpoolDir); err != nil {
		// Calls are answered all the same; only a start without a database
		// would miss it.
		s.deps.Log.ErrorContext(ctx, "last known good routes not written", "error", err)
	}
	return nil
}

// LoadLastGood takes routing from the file that the last Refresh wrote, for a
// start without a database. It fails with kind NotFound when there is none and
// with kind Conflict when it is damaged.
func (s *Switchboard) LoadLastGood() error {
	sn, err := loadSnapshot(s.cfg.SpoolDir)
	if err != nil {
		return err
	}
	s.snapshot.Store(sn)
	return nil
}

// snapshotFile is the last known good routing on disk; see store.WriteLastGood.
type snapshotFile struct {
	Mark    routingMark       `json:"mark"`
	Lines   map[string]Line   `json:"lines"`
	Offices map[string]Office `json:"offices"`
}

const snapshotName = "routes.json"

func (sn *Snapshot) save(dir string) error {
	if dir == "" {
		return nil
	}
	return store.WriteLastGood(filepath.Join(dir, snapshotName), snapshotFile{Mark: sn.mark, Lines: sn.lines, Offices: sn.offices})
}

func loadSnapshot(dir string) (*Snapshot, error) {
	if dir == "" {
		return nil, callwheel.Errorf(callwheel.NotFound, "no last known good routes")
	}
	var f snapshotFile
	if err := store.ReadLastGood(filepath.Join(dir, snapshotName), &f); err != nil {
		return nil, err
	}
	return &Snapshot{mark: f.Mark, lines: f.Lines, offices: f.Offices}, nil
}
