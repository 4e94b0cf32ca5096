package report

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/callwheel/callwheel/store"
)

// Touch is one arrival of a person, with what it told about where they came
// from.
type Touch struct {
	ID        string     `db:"touch_id"`
	TouchedAt store.Time `db:"touched_at"`
	Source    string     `db:"source"`
	Medium    string     `db:"medium"`
	Campaign  string     `db:"campaign"`
	Term      string     `db:"term"`
	Content   string     `db:"content"`
	ClickText string     `db:"click_ids"` // see ClickIDs
	Landing   string     `db:"landing_page"`
	Referrer  string     `db:"referrer"`
	VisitorID string     `db:"visitor_id"` // "" for a touch that was imported under the number itself
	SessionID string     `db:"session_id"` // "" for an imported touch
}

// ClickIDs are the advertisers' click ids of the touch, by parameter.
func (t Touch) ClickIDs() map[string]string {
	ids := map[string]string{}
	_ = json.Unmarshal([]byte(t.ClickText), &ids) // written by attribution as an object of texts
	return ids
}

// maxTouches bounds what is told of one person.
const maxTouches = 500

// A person's touches are those of the visitors that a call has shown to be this
// person, and those imported under the number itself.
const touchesOf = `SELECT t.touch_id, t.touched_at, t.source, t.medium, t.campaign, t.term, t.content, t.click_ids,
	t.landing_page, t.referrer, CASE WHEN t.person = ? THEN '' ELSE t.person END AS visitor_id, t.session_id
FROM touches t
WHERE t.account_id = ? AND (t.person = ? OR t.person IN (
	SELECT l.alias FROM person_links l WHERE l.account_id = ? AND l.person = ?))
ORDER BY t.touched_at DESC, t.touch_id DESC
LIMIT ?`

// Touches returns the latest 500 touches of the person with this number, newest
// first; none for a number that nobody has called from.
func (d *Calls) Touches(ctx context.Context, accountID, e164 string) ([]Touch, error) {
	var list []Touch
	if err := d.db.Select(ctx, &list, touchesOf, e164, accountID, e164, accountID, e164, maxTouches); err != nil {
		return nil, fmt.Errorf("list touches: %w", err)
	}
	return list, nil
}
