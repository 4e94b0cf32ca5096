package telephony

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Switchboard takes in what the network tells and answers what it asks. Its one
// verb is Receive; Answer and Take put it behind the two sorts of doors. It is
// safe for concurrent use.
type Switchboard struct {
	db      *store.DB
	cfg     Config
	deps    Deps
	metrics *switchMetrics
	spool   *spool
	hub     *hub

	snapshot    atomic.Pointer[Snapshot]
	routed      atomic.Bool               // the snapshot came from the database
	refreshedAt atomic.Pointer[time.Time] // when it was last known to be current
	refreshing  sync.Mutex
	emptied     sync.Once // told that the database was begun anew
	draining    sync.Mutex
	adopting    sync.Mutex
	adoptAfter  subject // where the next step of Adopt goes on

	attributor atomic.Pointer[Attributor]
	asking     chan struct{} // one token per question under way

	answers *memory[given]    // by what was asked
	calls   *memory[liveCall] // by account, provider and call
	owners  *memory[string]   // accounts, by provider and call; only what the installation's secret signed
}

// given is an answer that was rendered.
type given struct {
	body        []byte
	contentType string
	decision    Decision
	receivedAt  time.Time // when it was first asked for
}

// liveCall is what is remembered of a call while it lasts.
type liveCall struct {
	line Line
	call Call // as it was last kept; without id while it is not
}

// maxAsking bounds the questions to the attributor that go on after their time
// is up: an attributor that hangs must not pile up goroutines.
const maxAsking = 64

// NewSwitchboard makes a switchboard over a migrated database. It knows no
// routes until Refresh or LoadLastGood. A spool that cannot be opened is logged
// and done without: calls are answered all the same.
func NewSwitchboard(db *store.DB, cfg Config, deps Deps) *Switchboard {
	s := &Switchboard{db: db, cfg: cfg.WithDefaults(), deps: deps.withDefaults(), hub: newHub(), asking: make(chan struct{}, maxAsking)}
	s.snapshot.Store(&Snapshot{})
	s.answers = newMemory[given](s.cfg.Remember)
	s.calls = newMemory[liveCall](s.cfg.Remember)
	s.owners = newMemory[string](s.cfg.Remember)
	var err error
	if s.spool, err = openSpool(s.cfg.SpoolDir); err != nil {
		s.deps.Log.Error("spool not available", "error", err)
	}
	s.recall()
	s.metrics = newSwitchMetrics(s.deps.Registerer, s)
	s.SetAttributor(s.deps.Attributor)
	return s
}

// recall takes the answers that wait in the spool back into memory: the provider
// may ask again before they are in the database, and gets the same.
func (s *Switchboard) recall() {
	if s.cfg.SpoolDir == "" {
		return
	}
	recentEntries(s.cfg.SpoolDir, func(en Entry) {
		p, ok := s.deps.Providers[en.Provider]
		if !ok || !en.Door.Live() || en.CallRef == "" || en.Answer == "" {
			return
		}
		g := given{body: []byte(en.Answer), contentType: "text/xml", receivedAt: en.ReceivedAt.Time}
		if _, contentType, err := safeRender(p, nil); err == nil {
			g.contentType = contentType
		}
		json.Unmarshal([]byte(en.Decision), &g.decision) //nolint:errcheck // one that cannot be read says nothing
		if before, ok := s.answers.Get(memoKey(en.Provider, en.Key)); !ok || g.receivedAt.Before(before.receivedAt) {
			s.answers.Put(memoKey(en.Provider, en.Key), g)
		}
	})
}

// SetAttributor introduces the room that knows which source earned a call; nil
// is nobody. It may be called while calls come in.
func (s *Switchboard) SetAttributor(a Attributor) {
	if a == nil {
		s.attributor.Store(nil)
		return
	}
	s.attributor.Store(&a)
}

// Close closes the spool file.
func (s *Switchboard) Close() error { return s.spool.Close() }

// Receipt is a request that was believed and understood, with what we told the
// network to do about it.
type Receipt struct {
	Secret    Secret  // who signed it
	Request   Request // as it came
	Event     Event
	AccountID string // "" when nobody could tell: see Receive
	Decision  Decision
	Answer    []byte
}

// own says whether an account's own provider account signed the request: it
// then concerns that account alone.
func (r Receipt) own() bool { return r.Secret.AccountID != "" }

// key is what the provider says the request is. Keys of an account's own
// provider account stand in a space of their own, so that nobody can occupy
// the keys of a stranger's calls.
func (r Receipt) key() string {
	key := r.Event.Key
	if key == "" { // the adapter could make nothing of it
		sum := sha256.Sum256(append([]byte(r.Request.Target+"\n"), r.Request.Body...))
		key = string(r.Request.Door) + ":" + hex.EncodeToString(sum[:])
	}
	if r.own() {
		return r.Secret.AccountID + "/" + key
	}
	return key
}

func (r Receipt) entry() Entry {
	return newEntry(r.AccountID, r.key(), r.Request, r.Event, r.Decision, r.Answer)
}

// Kept is what became of a received event.
type Kept struct {
	New       bool   // false: it was known already, and nothing changed
	Answer    string // of a known event: what was answered to it then
	AccountID string // "" when it is parked
	Call      Call   // of an event about a call that changed it: as it is now
}

// Receive keeps an event for good: when it returns nil the event is on disk and
// the row of its call or message shows it. Receiving it again changes nothing
// but the moment of its first receipt, where that was earlier than was known, and
// gives back the answer given before.
//
// An event whose account nobody can tell is parked in the journal until an
// event of the same call tells it, or Adopt can. An event that names no call is kept in the
// journal and makes no row. The error is Unavailable when the database does not
// take the event within the time of ctx; it may then still have been kept.
func (s *Switchboard) Receive(ctx context.Context, r Receipt) (Kept, error) {
	return s.commit(ctx, r.entry(), r.own())
}

// commit keeps an entry in one transaction and then tells whoever waits for
// the change.
func (s *Switchboard) commit(ctx context.Context, en Entry, own bool) (Kept, error) {
	started := time.Now()
	result := make(chan Kept, 1) // a transaction that outlives its waiter writes here, not into our variables
	once := func(ctx context.Context, tx *store.Tx) error {
		kept, err := s.keep(ctx, tx, en, own)
		if err != nil {
			return err
		}
		select {
		case <-result: // an earlier run of this function that was undone
		default:
		}
		result <- kept
		return nil
	}
	err := s.db.InTx(ctx, once)
	if store.IsUnique(err) {
		// Two replicas made the row of a new call in the same instant; now it
		// is there.
		err = s.db.InTx(ctx, once)
	}
	if err != nil {
		s.metrics.observeCommit(started, "error")
		return Kept{}, err
	}
	s.metrics.observeCommit(started, "ok")
	kept := <-result
	if kept.Call.ID != "" {
		s.remember(kept.Call, own)
		s.hub.tell(kept.AccountID, kept.Call.ID)
	}
	return kept, nil
}

// keep is the transaction. The entry goes in first: a duplicate stops there and
// takes no lock. Then the row of the call is locked before the call's entries
// are read, so that of two replicas with two events of one call the second
// reads what the first has written.
func (s *Switchboard) keep(ctx context.Context, tx *store.Tx, en Entry, own bool) (Kept, error) {
	if en.AccountID == "" && en.CallRef != "" {
		owner, err := ownerOf(ctx, tx, en.Provider, en.CallRef)
		if err != nil {
			return Kept{}, err
		}
		en.AccountID = owner
	}
	fresh, err := insertEntry(ctx, tx, en)
	if err != nil {
		return Kept{}, err
	}
	kept := Kept{New: fresh, AccountID: en.AccountID}
	if !fresh {
		if kept.Answer, err = givenAnswer(ctx, tx, en.Provider, en.Key); err != nil {
			return Kept{}, err
		}
		owner, lowered, err := lowerReceipt(ctx, tx, en)
		if !lowered || err != nil {
			return kept, err
		}
		en.AccountID = owner
	}
	if en.AccountID == "" || en.CallRef == "" {
		return kept, nil
	}
	if en.Door.message() {
		return kept, s.refoldMessage(ctx, tx, en.AccountID, en.Provider, en.CallRef, own)
	}
	kept.Call, err = s.refoldCall(ctx, tx, en.AccountID, en.Provider, en.CallRef, own, en.Key)
	return kept, err
}

// refoldCall rebuilds a call from its entries and writes it. Of its legs and
// recordings it writes those that the entry with the key names, as no others can
// have changed; all when key is "", or when parked entries joined.
func (s *Switchboard) refoldCall(ctx context.Context, tx *store.Tx, accountID, provider, ref string, own bool, key string) (Call, error) {
	now := s.deps.Now()
	if err := lockCall(ctx, tx, accountID, provider, ref, now); err != nil {
		return Call{}, err
	}
	events, joined, err := s.eventsOf(ctx, tx, accountID, provider, ref, own)
	if err != nil {
		return Call{}, err
	}
	call := Fold(accountID, events)
	if err := writeCall(ctx, tx, call, now); err != nil {
		return Call{}, err
	}
	about := Event{}
	all := joined || key == ""
	if i := slices.IndexFunc(events, func(e Folded) bool { return e.Key == key }); i >= 0 {
		about = events[i].Event
	}
	for _, leg := range call.Legs {
		if !all && leg.Ref != about.LegRef {
			continue
		}
		if err := writeLeg(ctx, tx, call, leg); err != nil {
			return Call{}, err
		}
	}
	if !all && about.RecordingRef == "" {
		return call, nil
	}
	for _, m := range foldMedia(events) {
		if !all && m.ref != about.RecordingRef {
			continue
		}
		if err := keepRecording(ctx, tx, call, m); err != nil {
			return Call{}, err
		}
	}
	return call, nil
}

func (s *Switchboard) refoldMessage(ctx context.Context, tx *store.Tx, accountID, provider, ref string, own bool) error {
	now := s.deps.Now()
	if err := lockMessage(ctx, tx, accountID, provider, ref, now); err != nil {
		return err
	}
	events, _, err := s.eventsOf(ctx, tx, accountID, provider, ref, own)
	if err != nil {
		return err
	}
	return writeMessage(ctx, tx, FoldMessage(accountID, events), now)
}

// eventsOf reads all events of a call, with those that were parked before
// anybody knew whose it is, and says whether any of those joined now. What an
// account signed itself never takes parked events: they came in under the
// installation's name.
func (s *Switchboard) eventsOf(ctx context.Context, tx *store.Tx, accountID, provider, ref string, own bool) (events []Folded, joined bool, err error) {
	if !own {
		if joined, err = adopt(ctx, tx, accountID, provider, ref); err != nil {
			return nil, false, err
		}
	}
	entries, err := entriesOf(ctx, tx, accountID, provider, ref)
	if err != nil {
		return nil, false, err
	}
	return s.read(entries), joined, nil
}

// Learn keeps a fact that we asked for ourselves: the door is DoorReconcile (the
// provider's list of calls) or DoorImport (history brought in). It says whether
// the fact was new; the same fact again changes nothing. Times and lengths that
// are not known are zero and -1. Errors are as of Receive.
func (s *Switchboard) Learn(ctx context.Context, accountID string, e Event) (bool, error) {
	if e.CallRef == "" || e.Provider == "" || accountID == "" || (e.Door != DoorReconcile && e.Door != DoorImport) {
		return false, callwheel.Errorf(callwheel.Invalid, "learn an event: it names no call, account or door of ours")
	}
	received := e.ReceivedAt
	if received.IsZero() {
		received = s.deps.Now()
	}
	e.ReceivedAt, e.Query.AccountID = time.Time{}, accountID
	body, err := json.Marshal(e)
	if err != nil {
		return false, fmt.Errorf("learn an event: %w", err)
	}
	key := e.Key
	if key == "" {
		sum := sha256.Sum256(body)
		key = string(e.Door) + ":" + hex.EncodeToString(sum[:])
	}
	r := Request{Door: e.Door, Target: "/" + string(e.Door), ContentType: ownType, Body: body, ReceivedAt: received}
	kept, err := s.commit(ctx, newEntry(accountID, accountID+"/"+key, r, e, Decision{}, nil), true)
	return kept.New, err
}

// Take keeps an event that nobody waits for on the line. It returns nil when the
// event is on disk, in the database or in the spool; otherwise an error of kind
// Unavailable, and the provider should try again.
func (s *Switchboard) Take(ctx context.Context, p Provider, secret Secret, req Request) error {
	e := safeParse(p, req)
	sn := s.Snapshot()
	r := Receipt{Secret: secret, Request: req, Event: e, AccountID: s.account(sn, secret, e)}
	_, err := s.store(ctx, r, s.cfg.StatusBudget)
	return err
}

// store keeps the event in the database, or else in the spool. Each has the
// budget, whether or not whoever asked still waits.
func (s *Switchboard) store(ctx context.Context, r Receipt, budget time.Duration) (Kept, error) {
	ctx = context.WithoutCancel(ctx)
	door := string(r.Event.Door)
	kept, err := s.receiveWithin(ctx, r, budget)
	if err == nil {
		s.metrics.events.WithLabelValues(door, resultOf(r, kept)).Inc()
		return kept, nil
	}
	s.deps.Log.WarnContext(ctx, "event not taken by the database", "door", door, "error", err)
	if spoolErr := s.spool.AppendWithin(budget, spooled{Entry: r.entry(), Own: r.own()}); spoolErr != nil {
		s.metrics.events.WithLabelValues(door, "lost").Inc()
		s.deps.Log.ErrorContext(ctx, "event not taken by the spool", "door", door, "error", spoolErr)
		return Kept{}, callwheel.Errorf(callwheel.Unavailable, "keep an event: neither database nor spool took it")
	}
	s.metrics.events.WithLabelValues(door, "spooled").Inc()
	return Kept{}, nil
}

// resultOf says for the metrics what became of an event that the database took.
func resultOf(r Receipt, kept Kept) string {
	switch {
	case !kept.New:
		return "duplicate"
	case r.Event.CallRef == "":
		return "nameless"
	}
	return "new"
}

func (s *Switchboard) receiveWithin(ctx context.Context, r Receipt, budget time.Duration) (Kept, error) {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	return s.Receive(ctx, r)
}

// drainBatch bounds one step of the drain, so that a long outage does not
// become a storm on a database that has just come back.
const drainBatch = 500

// Drain hands waiting events to the database: one bounded batch, oldest first.
// It belongs to this replica, whose spool it is; then come events that another
// process in the same folder left behind. Repeating it is harmless, as every
// event has its key.
func (s *Switchboard) Drain(ctx context.Context, _ time.Time) (int, error) {
	if !s.draining.TryLock() {
		return 0, nil
	}
	defer s.draining.Unlock()
	keep := func(rec spooled) error { return s.drainOne(ctx, rec) }
	n, err := s.spool.Drain(drainBatch, keep)
	if err != nil || n == drainBatch {
		return n, err
	}
	more, err := s.spool.DrainLeft(drainBatch-n, keep)
	return n + more, err
}

// drainOne hands one event to the database. The error is of kind Unavailable
// unless the database refuses this very event for what it is: whatever else goes
// wrong says nothing against an event that was acknowledged, and it waits.
func (s *Switchboard) drainOne(ctx context.Context, rec spooled) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StatusBudget)
	defer cancel()
	kept, err := s.commit(ctx, rec.Entry, rec.Own)
	if err == nil {
		if kept.New && rec.Entry.Door == DoorVoice && kept.Call.ID != "" {
			s.attribute(ctx, kept.Call)
		}
		return nil
	}
	s.deps.Log.ErrorContext(ctx, "spooled event not taken", "entry_id", rec.Entry.ID, "refused", store.IsRefused(err), "error", err)
	if !store.IsRefused(err) {
		return callwheel.Errorf(callwheel.Unavailable, "drain the spool: %w", err)
	}
	return err
}

// account tells whose event it is without asking the database: by who signed
// it, by what we wrote into the callback's URL, by what is remembered of the
// call, by the dialled number, and where there is only one account by that. ""
// when all of that says nothing.
func (s *Switchboard) account(sn *Snapshot, secret Secret, e Event) string {
	if secret.AccountID != "" {
		return secret.AccountID
	}
	if _, ok := sn.Office(e.Query.AccountID); ok {
		return e.Query.AccountID
	}
	if owner, ok := s.owners.Get(e.Provider + "/" + e.CallRef); ok {
		return owner // also when the number has gone to another account meanwhile
	}
	if l, ok := sn.Line(tracked(e)); ok {
		return l.AccountID
	}
	return sn.OnlyAccount()
}

// tracked returns the tracking number that the event names.
func tracked(e Event) string {
	raw := e.To
	switch {
	case e.Door == DoorVoice: // what was dialled, whatever stands in the number's voice URL
	case e.Query.Number != "":
		raw = e.Query.Number
	case e.Door == DoorMessageStatus:
		raw = e.From
	case !parent(e) && e.Door != DoorMessage:
		return "" // To is an agent's phone
	}
	_, number := Classify(raw)
	return number
}

func liveKey(accountID string, e Event) string {
	return accountID + "/" + e.Provider + "/" + e.CallRef
}

// remember keeps the call at hand for the rest of its life.
func (s *Switchboard) remember(c Call, own bool) {
	key := liveKey(c.AccountID, Event{Provider: c.Provider, CallRef: c.ProviderCallID})
	live, _ := s.calls.Get(key)
	live.call = c
	s.calls.Put(key, live)
	if !own {
		s.owners.Put(c.Provider+"/"+c.ProviderCallID, c.AccountID)
	}
}

// safeParse reads a request and survives an adapter that does not: a caller may
// be on the line.
func safeParse(p Provider, r Request) (e Event) {
	defer func() {
		if recover() != nil {
			e = Event{
				Provider: p.Name(), Door: r.Door, ReceivedAt: r.ReceivedAt,
				Sequence: -1, Seconds: -1, DialSeconds: -1, RecordingSeconds: -1, Flags: []string{"unreadable"},
			}
		}
	}()
	return p.Parse(r)
}
