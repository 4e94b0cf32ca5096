package scoring

import (
	"context"
	"fmt"
	"slices"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// View is the present state of a call's desk.
type View struct {
	CallID      string
	Version     int64 // 0 while nobody has judged the call
	Tags        []CallTag
	Disposition *Given // nil while none was given
	Agent       *CallAgent
	Score       *float64 // 0 to 100, the mean over the valid scores; nil: not scored
	Mixed       bool     // those scores come from different cards or versions
	Scores      []Score  // the valid ones
	Sales       []Sale   // refunds too
	Values      []callwheel.Money
	Notes       []Note
	Feedback    []Feedback
	CallBacks   []CallBack
	UpdatedAt   store.Time // zero while nobody has judged the call
}

// Qualified says whether the call counts as qualified; nil while it has no
// disposition.
func (v *View) Qualified() *bool {
	if v.Disposition == nil {
		return nil
	}
	return &v.Disposition.Qualified
}

// Value is what the call brought, sales less refunds: nil when there was no
// sale, and when the sales are in several currencies, which are not added.
func (v *View) Value() *callwheel.Money {
	if len(v.Values) != 1 {
		return nil
	}
	return &v.Values[0]
}

// CallTag is a tag on a call.
type CallTag struct {
	CallID   string     `db:"call_id"`
	ID       string     `db:"tag_id"`
	Name     string     `db:"name"`
	TaggedAt store.Time `db:"tagged_at"`
	TaggedBy string     `db:"tagged_by"`
}

// Given is the disposition that counts, with what the list says it means.
type Given struct {
	CallID    string     `db:"call_id"`
	ID        string     `db:"disposition_id"`
	Name      string     `db:"name"`
	Qualified bool       `db:"qualified"`
	Stage     Stage      `db:"stage"`
	Genuine   bool       `db:"genuine"`
	GivenAt   store.Time `db:"given_at"`
	GivenBy   string     `db:"given_by"`
}

// CallAgent is whose call it was.
type CallAgent struct {
	CallID string `db:"call_id"`
	ID     string `db:"agent_id"`
	Name   string `db:"name"`
	ByHand bool   `db:"by_hand"` // said by a person, not concluded from the phone
}

// View returns the present state of a call's desk. A call that nobody has
// judged has an empty one. Errors: NotFound.
func (d *Desk) View(ctx context.Context, accountID, callID string) (*View, error) {
	if err := d.callExists(ctx, accountID, callID); err != nil {
		return nil, err
	}
	views, err := d.Views(ctx, accountID, []string{callID})
	if err != nil {
		return nil, err
	}
	return views[callID], nil
}

// Views returns the desks of several calls, read at one moment; every id has
// an entry, empty where nothing is known.
func (d *Desk) Views(ctx context.Context, accountID string, callIDs []string) (map[string]*View, error) {
	views := make(map[string]*View, len(callIDs))
	for _, id := range callIDs {
		views[id] = &View{CallID: id}
	}
	if len(views) == 0 {
		return views, nil
	}
	err := d.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error {
		for part := range slices.Chunk(callIDs, 500) {
			if err := (&viewer{q: q, accountID: accountID, calls: part, views: views}).fill(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("view desk: %w", err)
	}
	return views, nil
}

// viewer fills views from one consistent reading.
type viewer struct {
	q         store.Querier
	accountID string
	calls     []string
	views     map[string]*View
}

func (v *viewer) fill(ctx context.Context) error {
	for _, step := range []func(context.Context) error{v.desks, v.tags, v.dispositions, v.agents, v.scores, v.sales, v.rest} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// in reads the rows of the viewer's calls; the query's parameters are the
// account and the list of calls.
func (v *viewer) in(ctx context.Context, dest any, query string) error {
	text, args, err := v.q.In(query, v.accountID, v.calls)
	if err != nil {
		return err
	}
	return v.q.Select(ctx, dest, text, args...)
}

func (v *viewer) desks(ctx context.Context) error {
	var rows []struct {
		CallID    string     `db:"call_id"`
		Version   int64      `db:"version"`
		UpdatedAt store.Time `db:"updated_at"`
	}
	err := v.in(ctx, &rows, `SELECT call_id, version, updated_at FROM call_desks WHERE account_id = ? AND call_id IN (?)`)
	for _, r := range rows {
		v.views[r.CallID].Version, v.views[r.CallID].UpdatedAt = r.Version, r.UpdatedAt
	}
	return err
}

func (v *viewer) tags(ctx context.Context) error {
	var rows []CallTag
	err := v.in(ctx, &rows, `
		SELECT c.call_id, t.tag_id, t.name, c.tagged_at, c.tagged_by
		FROM call_tags c JOIN tags t ON t.account_id = c.account_id AND t.tag_id = c.tag_id
		WHERE c.account_id = ? AND c.call_id IN (?) ORDER BY c.tagged_at, t.folded, t.tag_id`)
	for _, r := range rows {
		v.views[r.CallID].Tags = append(v.views[r.CallID].Tags, r)
	}
	return err
}

func (v *viewer) dispositions(ctx context.Context) error {
	var rows []Given
	err := v.in(ctx, &rows, `
		SELECT g.call_id, o.disposition_id, o.name, o.qualified, o.stage, o.genuine, g.given_at, g.given_by
		FROM (SELECT account_id, call_id, disposition_id, given_at, given_by,
		             row_number() OVER (PARTITION BY call_id ORDER BY given_at DESC, judgement_id DESC) AS place
		      FROM call_dispositions WHERE account_id = ? AND call_id IN (?)) g
		JOIN dispositions o ON o.account_id = g.account_id AND o.disposition_id = g.disposition_id
		WHERE g.place = 1`)
	for _, r := range rows {
		v.views[r.CallID].Disposition = &r
	}
	return err
}

func (v *viewer) agents(ctx context.Context) error {
	var rows []CallAgent
	// The one set by hand, else whoever had the phone when the call started. The
	// first who had it counts for calls of before, too.
	err := v.in(ctx, &rows, `
		SELECT c.call_id, a.agent_id, a.name, COALESCE(k.agent_id, '') <> '' AS by_hand
		FROM calls c
		LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
		JOIN agents a ON a.account_id = c.account_id AND a.agent_id = COALESCE(NULLIF(k.agent_id, ''), (
			SELECT h.agent_id FROM agent_phones h
			WHERE h.account_id = c.account_id AND h.phone = c.answered_by AND (h.held_until IS NULL OR h.held_until > c.started_at)
			ORDER BY h.held_from, h.agent_id LIMIT 1))
		WHERE c.account_id = ? AND c.call_id IN (?)`)
	for _, r := range rows {
		v.views[r.CallID].Agent = &r
	}
	return err
}

func (v *viewer) scores(ctx context.Context) error {
	text, args, err := v.q.In(selectScores+` AND s.call_id IN (?) AND s.superseded_at IS NULL ORDER BY s.scored_at, s.score_id`, v.accountID, v.calls)
	if err != nil {
		return err
	}
	scores, err := readScores(ctx, v.q, text, args...)
	if err != nil {
		return err
	}
	for _, s := range scores {
		v.views[s.CallID].Scores = append(v.views[s.CallID].Scores, s)
	}
	for _, id := range v.calls {
		view := v.views[id]
		view.Score, view.Mixed = meanScore(view.Scores)
	}
	return nil
}

func (v *viewer) sales(ctx context.Context) error {
	text, args, err := v.q.In(selectSales+` AND call_id IN (?) ORDER BY sold_at, sale_id`, v.accountID, v.calls)
	if err != nil {
		return err
	}
	sales, err := readSales(ctx, v.q, text, args...)
	if err != nil {
		return err
	}
	for _, s := range sales {
		v.views[s.CallID].Sales = append(v.views[s.CallID].Sales, s)
	}
	for _, id := range v.calls {
		v.views[id].Values = netValues(v.views[id].Sales)
	}
	return nil
}

func (v *viewer) rest(ctx context.Context) error {
	var notes []Note
	if err := v.in(ctx, &notes, `
		SELECT note_id, call_id, text, written_at, written_by FROM notes
		WHERE account_id = ? AND call_id IN (?) ORDER BY written_at, note_id`); err != nil {
		return err
	}
	for _, n := range notes {
		v.views[n.CallID].Notes = append(v.views[n.CallID].Notes, n)
	}
	var feedback []Feedback
	if err := v.in(ctx, &feedback, `
		SELECT feedback_id, call_id, person, kind, value, comment, given_at FROM feedback
		WHERE account_id = ? AND call_id IN (?) ORDER BY given_at, feedback_id`); err != nil {
		return err
	}
	for _, f := range feedback {
		v.views[f.CallID].Feedback = append(v.views[f.CallID].Feedback, f)
	}
	var back []CallBack
	if err := v.in(ctx, &back, `
		SELECT callback_id, call_id, called_at, connected, called_by FROM callbacks
		WHERE account_id = ? AND call_id IN (?) ORDER BY called_at, callback_id`); err != nil {
		return err
	}
	for _, c := range back {
		v.views[c.CallID].CallBacks = append(v.views[c.CallID].CallBacks, c)
	}
	return nil
}
