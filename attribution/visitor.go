package attribution

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Visitor is a browser that is recognised across sessions. Its id is random and
// made here; nothing about the person is in it.
type Visitor struct {
	ID          string
	SiteID      string
	FirstSeenAt time.Time
	LastSeenAt  time.Time
}

// Session is a visitor's continuous visit. It ends when nothing was heard of it
// for Config.SessionIdle; nobody has to end it.
type Session struct {
	ID         string
	VisitorID  string
	SiteID     string
	StartedAt  time.Time
	LastBeatAt time.Time
	// TouchID is the touch that describes the session: its own arrival, or
	// where that was direct, the visitor's last known source.
	TouchID string
}

// Touch is one arrival with evidence of where it came from. Touches are only
// ever added; a person's touches in order are the path that models credit.
type Touch struct {
	ID        string
	Person    string // visitor id, or the person that an import named
	SessionID string
	At        time.Time
	Classification
}

// visit is one Visit under way, inside its transaction.
type visit struct {
	ledger  *Ledger
	tx      *store.Tx
	site    Site
	req     VisitRequest
	now     time.Time
	landing Classification
	delays  Delays
	door    *admission
}

// visitor finds the visitor of the request or makes a new one. An id that is
// not of this account is replaced without a word. A page that kept only its
// session gets the session's visitor back.
func (v visit) visitor(ctx context.Context) (string, error) {
	id, named := v.req.Visitor, ""
	if id == "" && v.req.Known != "" {
		named = v.site.alias(v.req.Known)
		id = named
	}
	if id == "" && v.req.Session != "" {
		err := v.tx.Get(ctx, &id, visitorOfSession, v.site.AccountID, v.req.Session)
		if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
			return "", fmt.Errorf("find visitor: %w", err)
		}
	}
	if id != "" {
		n, err := v.tx.Exec(ctx, seeVisitor, store.Micros(v.now), v.site.AccountID, id)
		if err != nil {
			return "", fmt.Errorf("find visitor: %w", err)
		}
		if n == 1 {
			return id, nil
		}
	}
	id = callwheel.NewID("vis")
	if named != "" {
		id = named
	}
	if _, err := v.tx.Exec(ctx, addVisitor, v.site.AccountID, id, v.site.ID, store.Micros(v.now), store.Micros(v.now)); err != nil {
		return "", fmt.Errorf("add visitor: %w", err)
	}
	return id, nil
}

// session finds the visitor's running session or starts one, and returns the
// touch that describes it.
func (v visit) session(ctx context.Context, visitorID string) (string, Touch, error) {
	var row sessionRow
	err := v.tx.Get(ctx, &row, newestSession+v.tx.ForUpdate(), v.site.AccountID, visitorID)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return "", Touch{}, fmt.Errorf("find session: %w", err)
	}
	if err != nil || v.now.Sub(row.LastBeatAt.Time) > v.ledger.cfg.SessionIdle {
		return v.startSession(ctx, visitorID)
	}
	touch, err := v.continueSession(ctx, visitorID, row)
	return row.ID, touch, err
}

func (v visit) startSession(ctx context.Context, visitorID string) (string, Touch, error) {
	id := callwheel.NewID("ses")
	known, err := v.knownSource(ctx, visitorID)
	if err != nil {
		return "", Touch{}, err
	}
	touch := known
	if known == nil || !v.landing.continues() {
		arrival, err := v.addTouch(ctx, visitorID, id)
		if err != nil {
			return "", Touch{}, err
		}
		if known == nil || !v.landing.Direct() {
			touch = &arrival
		}
	}
	_, err = v.tx.Exec(ctx, addSession, v.site.AccountID, id, visitorID, v.site.ID, store.Micros(v.now), store.Micros(v.now), touch.ID,
		region(v.req.Region), device(v.req.UserAgent))
	if err != nil {
		return "", Touch{}, fmt.Errorf("start session: %w", err)
	}
	return id, *touch, nil
}

// continueSession adds a touch to a running session only for new evidence. A
// page that changes its address without loading tells the same referrer again
// and again: that is none.
func (v visit) continueSession(ctx context.Context, visitorID string, row sessionRow) (Touch, error) {
	touch, err := readTouch(ctx, v.tx, v.site.AccountID, row.TouchID)
	if err != nil {
		return Touch{}, err
	}
	if v.landing.newTo(touch.Classification) {
		if touch, err = v.addTouch(ctx, visitorID, row.ID); err != nil {
			return Touch{}, err
		}
	}
	if _, err := v.tx.Exec(ctx, seeSession, store.Micros(v.now), touch.ID, v.site.AccountID, row.ID); err != nil {
		return Touch{}, fmt.Errorf("continue session: %w", err)
	}
	return touch, nil
}

// continues says whether the landing is only somebody moving about, or coming
// back from a payment page: no arrival of its own.
func (c Classification) continues() bool {
	return strings.HasPrefix(c.Rule, "own_host/") || strings.HasPrefix(c.Rule, "payment_host/")
}

// newTo says whether the landing is evidence of another arrival than old.
func (c Classification) newTo(old Classification) bool {
	if c.Direct() {
		return false
	}
	if c.Tagged {
		return c.Source != old.Source || c.Medium != old.Medium || c.Campaign != old.Campaign ||
			c.Term != old.Term || c.Content != old.Content || clickJSON(c.ClickIDs) != clickJSON(old.ClickIDs)
	}
	return c.Referrer != "" && c.Referrer != old.Referrer
}

// knownSource returns the visitor's last touch inside the window that was not
// direct, nil for none.
func (v visit) knownSource(ctx context.Context, visitorID string) (*Touch, error) {
	var row touchRow
	err := v.tx.Get(ctx, &row, lastKnownTouch, v.site.AccountID, visitorID, store.Micros(v.now.Add(-v.ledger.cfg.KnownSource)))
	if callwheel.KindOf(err) == callwheel.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find known source: %w", err)
	}
	touch := row.touch()
	return &touch, nil
}

func (v visit) addTouch(ctx context.Context, person, sessionID string) (Touch, error) {
	t := Touch{ID: callwheel.NewID("tch"), Person: person, SessionID: sessionID, At: v.now, Classification: v.landing}
	_, err := v.tx.Exec(ctx, addTouch, v.site.AccountID, t.ID, t.Person, t.SessionID, store.Micros(t.At), t.SourceID, t.Source, t.Medium,
		t.Campaign, t.Term, t.Content, clickJSON(t.ClickIDs), t.LandingPage, t.Referrer, t.Rule, store.Micros(v.now))
	if err != nil {
		return Touch{}, fmt.Errorf("add touch: %w", err)
	}
	return t, nil
}

type sessionRow struct {
	ID         string     `db:"session_id"`
	VisitorID  string     `db:"visitor_id"`
	SiteID     string     `db:"site_id"`
	StartedAt  store.Time `db:"started_at"`
	LastBeatAt store.Time `db:"last_beat_at"`
	TouchID    string     `db:"touch_id"`
}

type touchRow struct {
	ID          string     `db:"touch_id"`
	Person      string     `db:"person"`
	SessionID   string     `db:"session_id"`
	At          store.Time `db:"touched_at"`
	SourceID    string     `db:"source_id"`
	Source      string     `db:"source"`
	Medium      string     `db:"medium"`
	Campaign    string     `db:"campaign"`
	Term        string     `db:"term"`
	Content     string     `db:"content"`
	ClickIDs    string     `db:"click_ids"`
	LandingPage string     `db:"landing_page"`
	Referrer    string     `db:"referrer"`
	Rule        string     `db:"rule"`
}

func (r touchRow) touch() Touch {
	return Touch{
		ID: r.ID, Person: r.Person, SessionID: r.SessionID, At: r.At.Time,
		Classification: Classification{
			SourceID: r.SourceID, Source: r.Source, Medium: r.Medium, Campaign: r.Campaign, Term: r.Term, Content: r.Content,
			ClickIDs: clickMap(r.ClickIDs), LandingPage: r.LandingPage, Referrer: r.Referrer, Rule: r.Rule,
		},
	}
}

func readTouch(ctx context.Context, q store.Querier, accountID, touchID string) (Touch, error) {
	var row touchRow
	err := q.Get(ctx, &row, touchByID, accountID, touchID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		// Forgotten by retention: what is left is that somebody came.
		return Touch{ID: touchID, Classification: Classification{Source: Direct, Medium: None}}, nil
	}
	if err != nil {
		return Touch{}, fmt.Errorf("read touch: %w", err)
	}
	return row.touch(), nil
}

// clickJSON writes click ids; keys come out in order, so equal ids make equal
// texts.
func clickJSON(ids map[string]string) string {
	if len(ids) == 0 {
		return "{}"
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return "{}"
	}
	return string(text)
}

func clickMap(text string) map[string]string {
	ids := map[string]string{}
	if json.Unmarshal([]byte(text), &ids) != nil {
		return map[string]string{}
	}
	return ids
}
