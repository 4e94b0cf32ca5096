package attribution

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Ledger is the room's main value: it is told of visits, lends numbers, and
// says which source earned a call. It is safe for concurrent use.
type Ledger struct {
	db      *store.DB
	cfg     Config
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	gate    *gate

	mu     sync.Mutex
	sites  map[string]knownSite  // by key
	models map[string]knownModel // by account
}

type knownSite struct {
	site   Site
	readAt time.Time
}

// NewLedger makes a Ledger over a migrated database. now is the clock of the
// account's own lists; visits and steps are given their time. reg may be nil.
func NewLedger(db *store.DB, cfg Config, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *Ledger {
	cfg = cfg.WithDefaults()
	return &Ledger{
		db: db, cfg: cfg, now: now, log: log, metrics: newMetrics(reg), gate: newGate(cfg.BeatInterval),
		sites: map[string]knownSite{}, models: map[string]knownModel{},
	}
}

// Reason says what a visit got and why.
type Reason string

// The reasons.
const (
	Leased       Reason = "leased"        // a number of the site's pool
	SourceNumber Reason = "source_number" // the number of the source it came from
	Overflow     Reason = "overflow"      // the pool lent none; the source's number or the overflow number where there is one
	NoTarget     Reason = "no_target"     // none of the page's numbers is to be replaced
	Excluded     Reason = "excluded"      // the page asked to be left alone
	NoConsent    Reason = "no_consent"    // the person has not agreed; nothing is stored
	Bot          Reason = "bot"           // a crawler or a page rendered ahead; nothing is stored
)

// VisitRequest is what a page tells when it is viewed. Everything in it is a
// stranger's word.
type VisitRequest struct {
	SiteKey  string
	Visitor  string // from an earlier answer, or ""
	Session  string // the same
	Page     string
	Referrer string
	Numbers  []string // phone numbers that the page shows, E.164
	// Consent is what the person said, nil while they have not been asked.
	Consent *bool
	// OptOut is a browser-wide refusal (Global Privacy Control).
	OptOut    bool
	Origin    string
	UserAgent string
	Prerender bool   // nobody looks at the page yet
	Region    string // where the visitor is, such as "US-IL", if anybody knows
	// Known is what somebody else calls the visitor: the same name is the same
	// visitor. It counts where Visitor is "".
	Known string
	// Address is where the page is, for the lease caps; zero when it cannot be
	// told, and then there are none. It is not stored.
	Address netip.Addr
}

// VisitAnswer is what the page shall show.
type VisitAnswer struct {
	Visitor string // "" when nothing may be stored
	Session string
	Swap    map[string]string // number on the page → E.164 to show instead
	// LeaseUntil is how long the shown number is surely this session's, zero
	// when none is leased. The first beat moves it to the end of the tail.
	LeaseUntil  time.Time
	BeatSeconds int
	Reason      Reason
	// Touch is where the session came from, and by which rule that was seen;
	// zero when nothing may be stored.
	Touch Touch
}

// maxPageNumbers bounds how many numbers of one page are looked at.
const maxPageNumbers = 100

// Visit records a page view and answers which numbers the page shall show. It
// finds or makes the visitor and the session, keeps the touch, and lends a
// number, all in one transaction.
//
// An exhausted pool is an answer, not an error. Errors have kind NotFound (no
// such site), Forbidden (a foreign origin) or Unavailable; a door that gets
// Unavailable leaves the page as it is.
func (l *Ledger) Visit(ctx context.Context, req VisitRequest, now time.Time) (VisitAnswer, error) {
	site, err := l.SiteByKey(ctx, req.SiteKey)
	if err != nil {
		return VisitAnswer{}, err
	}
	if !site.Allows(req.Origin) {
		return VisitAnswer{}, callwheel.Errorf(callwheel.Forbidden, "visit site: origin not allowed")
	}
	answer := VisitAnswer{Swap: map[string]string{}, BeatSeconds: l.BeatSeconds()}
	if answer.Reason = refuse(site, req); answer.Reason == "" {
		err = l.visit(ctx, site, req, now, &answer)
	} else if req.Consent != nil && !*req.Consent {
		err = l.withdraw(ctx, site, req.Visitor, now)
	}
	if err != nil {
		return VisitAnswer{}, fmt.Errorf("visit site: %w", err)
	}
	l.metrics.visits.WithLabelValues(string(answer.Reason)).Inc()
	return answer, nil
}

// refuse returns why nothing of the visit may be stored, "" when it may.
func refuse(site Site, req VisitRequest) Reason {
	switch {
	case req.Prerender, isCrawler(req.UserAgent):
		return Bot
	case excluded(req.Page):
		return Excluded
	case req.OptOut, req.Consent != nil && !*req.Consent, site.Consent == ConsentRequired && req.Consent == nil:
		return NoConsent
	}
	return ""
}

func (l *Ledger) visit(ctx context.Context, site Site, req VisitRequest, now time.Time, answer *VisitAnswer) error {
	sources, err := l.Sources(ctx, site.AccountID, "", 0)
	if err != nil {
		return err
	}
	landing := Classify(Landing{Page: req.Page, Referrer: req.Referrer, OwnHosts: site.hosts()}, sources)
	targets := site.targets(req.Numbers)
	model, err := l.newestModel(ctx, l.db, site.AccountID)
	if err != nil {
		return err
	}
	now = store.At(now).Time
	var out VisitAnswer
	door := &admission{gate: l.gate}
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		out = *answer
		v := visit{ledger: l, tx: tx, site: site, req: req, now: now, landing: landing, delays: model.Delays, door: door}
		var touch Touch
		var err error
		if out.Visitor, err = v.visitor(ctx); err != nil {
			return err
		}
		if out.Session, touch, err = v.session(ctx, out.Visitor); err != nil {
			return err
		}
		out.Touch = touch
		told := pageCounts{Found: len(targets)}
		if err := notePage(ctx, tx, site, out.Session, pagePath(req.Page), told, now); err != nil {
			return err
		}
		if len(targets) == 0 {
			out.Reason = NoTarget
			return nil
		}
		number, err := v.number(ctx, touch, &out)
		if err != nil {
			return err
		}
		out.Swap = map[string]string{}
		for _, target := range targets {
			if number != "" {
				out.Swap[target] = number
			}
		}
		return nil
	})
	door.close(err == nil && out.Reason == Leased)
	if err != nil {
		return err
	}
	if why := door.why(); out.Reason == Overflow {
		l.metrics.refused.WithLabelValues(string(why)).Inc()
	}
	*answer = out
	return nil
}

// number chooses what the page shall show: the source's own number, a leased
// one, or what everybody is shown while the pool lends none; "" leaves the page
// as it is.
func (v visit) number(ctx context.Context, touch Touch, out *VisitAnswer) (string, error) {
	pool, err := v.pool(ctx)
	if err != nil {
		return "", err
	}
	none := pool.ID == "" // only source numbers then
	if none || pool.SourceNumbers != SourceNumbersWhenShort {
		number, err := v.sourceNumber(ctx, touch)
		if err != nil || number != "" {
			out.Reason = SourceNumber
			return number, err
		}
	}
	out.Reason = Overflow
	if none {
		return "", nil
	}
	a := ask{
		accountID: v.site.AccountID, leaseID: callwheel.NewID("lease"), pool: pool,
		sessionID: out.Session, visitorID: out.Visitor, touchID: touch.ID, beat: int64(v.ledger.BeatSeconds()), delays: v.delays,
		lend: v.ledger.cfg.Lend, now: v.now, address: v.req.Address, first: firstLease(v.ledger.cfg.BeatInterval),
	}
	a.admit = v.door.admits(a)
	lease, err := v.hold(ctx, a)
	if err == nil {
		out.Reason, out.LeaseUntil = Leased, lease.Until
		return lease.Number, v.mark(ctx, a, "leased")
	}
	if callwheel.KindOf(err) != callwheel.Exhausted {
		return "", err
	}
	if err := v.mark(ctx, a, v.door.lent()); err != nil {
		return "", err
	}
	return v.shared(ctx, touch, pool)
}

// pool reads the site's pool, the zero value when it has none.
func (v visit) pool(ctx context.Context) (Pool, error) {
	if v.site.PoolID == "" {
		return Pool{}, nil
	}
	pool, err := readPool(ctx, v.tx, v.site.AccountID, v.site.PoolID, "")
	if callwheel.KindOf(err) == callwheel.NotFound {
		return Pool{}, nil
	}
	return pool, err
}

// shared is what everybody is shown who gets no number of their own: the
// source's, which keeps the channel true, or the pool's overflow number.
func (v visit) shared(ctx context.Context, touch Touch, pool Pool) (string, error) {
	number, err := v.sourceNumber(ctx, touch)
	if err != nil || number != "" {
		return number, err
	}
	return optional(ctx, v.tx, overflowNumber, v.site.AccountID, pool.OverflowNumberID)
}

// hold asks the pool, and before it believes that the pool is empty, whether
// numbers were bought that nobody has put on the shelf yet.
func (v visit) hold(ctx context.Context, a ask) (Lease, error) {
	lease, err := hold(ctx, v.tx, a)
	if callwheel.KindOf(err) != callwheel.Exhausted || v.door.refused != "" {
		return lease, err
	}
	changed, stockErr := stock(ctx, v.tx, a.accountID)
	if stockErr != nil {
		return Lease{}, stockErr
	}
	if changed == 0 {
		return Lease{}, err
	}
	return hold(ctx, v.tx, a)
}

func (v visit) sourceNumber(ctx context.Context, touch Touch) (string, error) {
	if touch.SourceID == "" {
		return "", nil
	}
	return optional(ctx, v.tx, activeSourceNumber, v.site.AccountID, touch.SourceID, touch.Campaign)
}

// optional reads one text, "" when there is no row.
func optional(ctx context.Context, q store.Querier, query string, args ...any) (string, error) {
	var text string
	err := q.Get(ctx, &text, query, args...)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "", nil
	}
	return text, err
}

// BeatRequest is what an open page tells every Config.BeatInterval, and once more when
// it is left.
type BeatRequest struct {
	SiteKey string
	Session string
	Origin  string
	Swapped int // numbers that the page replaced
	Found   int // numbers that it found
	Failed  int // numbers that it could not replace
	// Why says for each of those the reason code; Page is the page's address,
	// "" for that of the session's last visit.
	Why  []string
	Page string
	// Left says that the page was looked at until now and is not any more.
	Left bool
}

// Beat keeps the session's number its own for as long as the page is open. A
// number that somebody else has had since is not given back: the page's next
// visit gets another. A session that is unknown is no error; errors are those
// of Visit.
func (l *Ledger) Beat(ctx context.Context, req BeatRequest, now time.Time) error {
	site, err := l.SiteByKey(ctx, req.SiteKey)
	if err != nil {
		return err
	}
	if !site.Allows(req.Origin) {
		return callwheel.Errorf(callwheel.Forbidden, "beat: origin not allowed")
	}
	now = store.At(now).Time
	result := "unknown"
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		result, err = l.beat(ctx, tx, site, req, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	l.metrics.beats.WithLabelValues(result).Inc()
	l.metrics.swapFailures.Add(float64(bounded(req.Failed)))
	return nil
}

func (l *Ledger) beat(ctx context.Context, tx *store.Tx, site Site, req BeatRequest, now time.Time) (string, error) {
	var row sessionRow
	err := tx.Get(ctx, &row, sessionByID+tx.ForUpdate(), site.AccountID, req.Session)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "unknown", nil
	}
	if err != nil {
		return "", err
	}
	alive := store.Micros(now.Add(-l.cfg.SessionIdle))
	_, err = tx.Exec(ctx, beatSession, alive, store.Micros(now), store.Micros(now),
		bounded(req.Swapped), bounded(req.Found), bounded(req.Failed), site.AccountID, row.ID)
	if err != nil {
		return "", err
	}
	told := pageCounts{Found: bounded(req.Found), Swapped: bounded(req.Swapped), Failed: failures(req.Why)}
	if err := notePage(ctx, tx, site, row.ID, pagePath(req.Page), told, now); err != nil {
		return "", err
	}
	current, err := newestLease(ctx, tx, site.AccountID, row.ID, "")
	if err != nil || current == nil {
		return "no_lease", err
	}
	pool, err := readPool(ctx, tx, site.AccountID, current.PoolID, "")
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "lapsed", nil
	}
	if err != nil {
		return "", err
	}
	return resume(ctx, tx, ask{
		accountID: site.AccountID, leaseID: callwheel.NewID("lease"), pool: pool,
		sessionID: row.ID, visitorID: row.VisitorID, touchID: current.TouchID, beat: int64(l.BeatSeconds()), left: req.Left, now: now,
	}, *current)
}

// bounded keeps a page's count within reason.
func bounded(n int) int { return min(max(n, 0), 10_000) }

// targets returns the numbers of the page that are to be replaced, as the page
// wrote them.
func (s Site) targets(numbers []string) []string {
	printed := map[string]bool{}
	for _, n := range s.Swap {
		printed[n] = true
	}
	region := ""
	if len(s.Swap) > 0 {
		region = telephony.Region(s.Swap[0])
	}
	var found []string
	for _, text := range numbers[:min(len(numbers), maxPageNumbers)] {
		if printed[text] {
			found = append(found, text)
			continue
		}
		if e164, err := telephony.ParseNumber(clip(text, 40), region); err == nil && printed[e164] {
			found = append(found, text)
		}
	}
	return found
}
