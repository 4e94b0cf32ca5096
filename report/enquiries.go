package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel/store"
)

// enquiryReach is how soon a form or a chat must be answered for its person to
// count as reached, as a call that is called back.
const enquiryReach = 24 * time.Hour

// enquiry is a form or a chat as reports see it.
type enquiry struct {
	ID         string `db:"enquiry_id"`
	Person     string `db:"person"` // the caller, where that is known
	At         int64  `db:"at"`
	AnsweredAt *int64 `db:"answered_at"`
	Source     string `db:"source"`
	Medium     string `db:"medium"`
	Campaign   string `db:"campaign"`
}

// segment is the group of a dimension to which the enquiry belongs: it names its
// source itself, and nobody at a phone took it.
func (e enquiry) segment(b *book, d Dimension) string {
	switch d {
	case Source:
		return b.source("", e.Source)
	case Campaign:
		return orNone(e.Campaign)
	}
	return NoneRow
}

// isTouch says whether the enquiry tells where its person came from.
func (e enquiry) isTouch() bool { return e.Source != "" && fold(e.Source) != UntrackedRow }

// reached says whether somebody answered soon enough, and after how many
// seconds.
func (e enquiry) reached() (wait float64, ok bool) {
	if e.AnsweredAt == nil || *e.AnsweredAt-e.At > enquiryReach.Microseconds() {
		return -1, false
	}
	return float64(*e.AnsweredAt-e.At) / float64(second), true
}

// readEnquiries reads the forms and chats of a range by time.
func readEnquiries(ctx context.Context, q store.Querier, accountID string, from, until int64) ([]enquiry, error) {
	var list []enquiry
	err := q.Select(ctx, &list, `
		SELECT e.enquiry_id, COALESCE(l.person, e.person) AS person, e.at, e.answered_at, e.source, e.medium, e.campaign
		FROM enquiries e LEFT JOIN person_links l ON l.account_id = e.account_id AND l.alias = e.person
		WHERE e.account_id = ? AND e.at >= ? AND e.at < ?
		ORDER BY e.at, e.enquiry_id`, accountID, from, until)
	if err != nil {
		return nil, fmt.Errorf("read enquiries: %w", err)
	}
	return list, nil
}

// addEnquiries adds the forms and chats of a range to the attempts: each is one.
func (w *wheel) addEnquiries(ctx context.Context, q store.Querier, from, until int64) error {
	list, err := readEnquiries(ctx, q, w.account.ID, from, until)
	if err != nil {
		return err
	}
	for _, e := range list {
		wait, reached := e.reached()
		if !w.near.names(e.At) {
			w.distant = append(w.distant, pastAttempt{at: e.At, reached: reached, wait: wait})
			continue
		}
		w.enquiries[e.ID] = e
		w.attempts = append(w.attempts, attempt{at: e.At, caller: e.Person, enquiry: e.ID, reached: reached, wait: wait})
	}
	slices.SortStableFunc(w.attempts, func(a, b attempt) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(w.distant, func(a, b pastAttempt) int { return cmp.Compare(a.at, b.at) })
	return nil
}

// metBefore is how long before an enquiry a touch of its source may lie that the
// enquiry came from, as for calls that were brought in.
const metBefore = 90 * 24 * time.Hour

// addEnquiries makes touches of the forms and chats that name a source which the
// person is not known to have met in another way. holders are whose a name is.
func (p *people) addEnquiries(ctx context.Context, holders map[string][]*person, within reach) error {
	const those = `SELECT enquiry_id, person, at, source, medium, campaign FROM enquiries WHERE account_id = ? AND `
	var list []enquiry
	var err error
	if names := sortedKeys(holders); len(names) <= manyNames {
		list, err = selectIn[enquiry](ctx, p.db, p.account, names, those+`person IN (?) AND at >= ? AND at < ? AND source <> ''`, within.from, within.until)
	} else {
		err = p.db.Select(ctx, &list, those+`at >= ? AND at < ? AND source <> ''`, p.account, within.from, within.until)
	}
	if err != nil {
		return fmt.Errorf("read enquiries: %w", err)
	}
	slices.SortFunc(list, func(a, b enquiry) int { return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.ID, b.ID)) })
	list = slices.DeleteFunc(list, func(e enquiry) bool { return !e.isTouch() || len(holders[e.Person]) == 0 })
	if len(list) == 0 {
		return nil
	}
	names := map[string]bool{}
	for _, e := range list {
		for _, one := range holders[e.Person] {
			for name := range one.proofs {
				names[name] = true
			}
		}
	}
	known, err := readNamed(ctx, p.db, p.account)
	if err != nil {
		return err
	}
	met := map[string][]touchRow{}
	first, last := list[0].At-metBefore.Microseconds(), list[len(list)-1].At
	err = p.eachTouch(ctx, sortedKeys(names), reach{first, last + 1}, func(t *touchRow) { met[t.Person] = append(met[t.Person], *t) })
	if err != nil {
		return err
	}
	for _, e := range list {
		source := known[fold(e.Source)]
		for _, one := range holders[e.Person] {
			if !one.explains(met, e, known) {
				one.touches = append(one.touches, touch{
					id: e.ID, at: e.At, name: e.Person, asked: true,
					arrival: p.arrivals.of(arrival{sourceID: source.SourceID, source: e.Source, medium: cmp.Or(e.Medium, source.mediums.at(e.At)), campaign: e.Campaign}),
				})
			}
		}
	}
	return nil
}

// namedSource is a source under one of its names.
type namedSource struct {
	formerName
	Medium  string `db:"medium"`
	mediums mediums
}

// namedSources are sources by every folded name that they have or had last.
type namedSources map[string]namedSource

// key tells sources apart: by id, else by whose the name is, else by the name.
func (known namedSources) key(id, name string) string {
	return cmp.Or(id, known[fold(name)].SourceID, fold(name))
}

func readNamed(ctx context.Context, q store.Querier, accountID string) (namedSources, error) {
	var list []namedSource
	err := q.Select(ctx, &list, `
		SELECT n.folded, n.source_id, s.medium FROM source_names n
		JOIN sources s ON s.account_id = n.account_id AND s.source_id = n.source_id WHERE n.account_id = ?`, accountID)
	if err != nil {
		return nil, fmt.Errorf("read names of sources: %w", err)
	}
	had, err := readMediums(ctx, q, accountID)
	if err != nil {
		return nil, fmt.Errorf("read mediums of sources: %w", err)
	}
	known := namedSources{}
	for _, n := range list {
		n.mediums = had[n.SourceID].orAlways(n.Medium)
		known[n.Folded] = n
	}
	return known, nil
}

// explains says whether one of the touches under the person's names is where
// the enquiry came from.
func (one *person) explains(met map[string][]touchRow, e enquiry, known namedSources) bool {
	open := func(told, has string) bool { return told == "" || fold(told) == fold(has) }
	for name := range one.proofs {
		if slices.ContainsFunc(met[name], func(t touchRow) bool {
			return t.At <= e.At && t.At >= e.At-metBefore.Microseconds() && known.key(t.SourceID, t.Source) == known.key("", e.Source) &&
				open(e.Medium, t.Medium) && open(e.Campaign, t.Campaign)
		}) {
			return true
		}
	}
	return false
}
