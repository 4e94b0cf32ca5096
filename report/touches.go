package report

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/callwheel/callwheel/store"
)

// TouchKind is how a person met a source.
type TouchKind string

// The kinds.
const (
	ByArrival TouchKind = "arrival" // on a site, or brought in
	ByEnquiry TouchKind = "enquiry" // a form or a chat that names a source which nothing else explains
	ByCall    TouchKind = "call"    // to a number of the source itself
)

// Touch is one meeting of a person with a source, with what it told about where
// they came from.
type Touch struct {
	ID        string     `db:"touch_id"` // the enquiry's or the call's own, of those kinds
	Kind      TouchKind  `db:"kind"`
	TouchedAt store.Time `db:"touched_at"`
	Source    string     `db:"source"`
	Medium    string     `db:"medium"`
	Campaign  string     `db:"campaign"`
	Term      string     `db:"term"`
	Content   string     `db:"content"`
	ClickText string     `db:"click_ids"` // see ClickIDs
	Landing   string     `db:"landing_page"`
	Referrer  string     `db:"referrer"`   // "" where it was no arrival
	VisitorID string     `db:"visitor_id"` // "" for a touch that was imported under the number itself, and where it was no arrival
	SessionID string     `db:"session_id"` // "" for an imported touch, and where it was no arrival
}

// ClickIDs are the advertisers' click ids of the touch, by parameter.
func (t Touch) ClickIDs() map[string]string {
	ids := map[string]string{}
	_ = json.Unmarshal([]byte(t.ClickText), &ids) // written by attribution as an object of texts
	return ids
}

// maxTouches bounds what is told of one person.
const maxTouches = 500

// A person's arrivals are those of the visitors that a call has shown to be this
// person, and those imported under the number itself. The sum keeps
// the planner from going through everybody's touches in the order of the list.
const touchesOf = `SELECT t.touch_id, 'arrival' AS kind, t.touched_at, t.source, t.medium, t.campaign, t.term, t.content, t.click_ids,
	t.landing_page, t.referrer, CASE WHEN t.person = ? THEN '' ELSE t.person END AS visitor_id, t.session_id
FROM touches t
WHERE t.account_id = ? AND t.person IN (
	SELECT CAST(? AS TEXT) UNION ALL SELECT l.alias FROM person_links l WHERE l.account_id = ? AND l.person = ?)
ORDER BY t.touched_at + 0 DESC, t.touch_id DESC
LIMIT ?`

// Touches returns the latest 500 touches of the person with this number, newest
// first: those that reports find in their path.
func (d *Calls) Touches(ctx context.Context, accountID, e164 string) ([]Touch, error) {
	var list []Touch
	err := d.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error {
		list = nil
		if err := q.Select(ctx, &list, touchesOf, e164, accountID, e164, accountID, e164, maxTouches); err != nil {
			return err
		}
		who := newSeeds()
		who.add(e164)
		p, err := loadPeople(ctx, q, accountID, who, scope{touches: reach{from: noPrev, until: -noPrev}})
		if err != nil {
			return err
		}
		b, err := readBook(ctx, q, accountID)
		if err != nil {
			return err
		}
		for _, t := range p.get(e164).touches {
			if t.call == "" && !t.asked {
				continue // read above, with what paths do not need
			}
			kind := ByCall
			if t.asked {
				kind = ByEnquiry
			}
			list = append(list, Touch{
				ID: t.id, Kind: kind, TouchedAt: store.At(store.FromMicros(t.at)), Source: b.source(t.sourceID, t.source), Medium: t.medium,
				Campaign: t.campaign, Term: t.term, Content: t.content, Landing: t.landing,
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list touches: %w", err)
	}
	slices.SortStableFunc(list, func(a, b Touch) int {
		return cmp.Or(b.TouchedAt.Compare(a.TouchedAt.Time), strings.Compare(b.ID, a.ID))
	})
	return list[:min(len(list), maxTouches)], nil
}
