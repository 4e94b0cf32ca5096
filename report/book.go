package report

import (
	"context"
	"fmt"
	"strings"

	"github.com/callwheel/callwheel/store"
)

// book is the account's lists: what the ids in facts are called now.
type book struct {
	sources  map[string]string  // by id
	byName   map[string]string  // folded name → the name as people write it
	mediums  map[string]mediums // folded name → the source's own medium
	renamed  map[string]string  // folded former name → present name
	pools    map[string]string
	tags     map[string]string
	agents   []agent
	phones   map[string][]holding // by phone, the first who had it first
	outcomes map[string]disposition
	arrivals map[arrival]*[touchNames]string // what touches are called, as far as they were asked for
}

type agent struct {
	ID        string     `db:"agent_id"`
	Name      string     `db:"name"`
	RetiredAt store.Time `db:"retired_at"`
}

// holding is a time for which a phone was an agent's.
type holding struct {
	AgentID string     `db:"agent_id"`
	Phone   string     `db:"phone"`
	Until   store.Time `db:"held_until"` // zero while it is theirs
	agent   *agent
}

type disposition struct {
	ID        string `db:"disposition_id"`
	Qualified bool   `db:"qualified"`
	Genuine   bool   `db:"genuine"`
	Stage     string `db:"stage"`
}

type named struct {
	ID      string     `db:"id"`
	Name    string     `db:"name"`
	Medium  string     `db:"medium"`
	Retired store.Time `db:"retired_at"`
}

// formerName is a name that a source has or had.
type formerName struct {
	Folded   string `db:"folded"`
	SourceID string `db:"source_id"`
}

func readBook(ctx context.Context, q store.Querier, accountID string) (*book, error) {
	b := &book{
		sources: map[string]string{}, byName: map[string]string{}, mediums: map[string]mediums{}, renamed: map[string]string{},
		pools: map[string]string{}, tags: map[string]string{}, phones: map[string][]holding{}, outcomes: map[string]disposition{},
	}
	var sources, pools, tags []named
	// Retired ones first: a name that was given again belongs to the present source.
	err := q.Select(ctx, &sources, `
		SELECT source_id AS id, name, medium, retired_at FROM sources WHERE account_id = ?
		ORDER BY CASE WHEN retired_at IS NULL THEN 1 ELSE 0 END, created_at, source_id`, accountID)
	if err == nil {
		err = q.Select(ctx, &pools, `SELECT pool_id AS id, name, '' AS medium, retired_at FROM pools WHERE account_id = ?`, accountID)
	}
	if err == nil {
		err = q.Select(ctx, &tags, `SELECT tag_id AS id, name, '' AS medium, retired_at FROM tags WHERE account_id = ?`, accountID)
	}
	if err == nil {
		err = q.Select(ctx, &b.agents, `
			SELECT agent_id, name, retired_at FROM agents WHERE account_id = ? ORDER BY created_at, agent_id`, accountID)
	}
	var had map[string]mediums
	if err == nil {
		had, err = readMediums(ctx, q, accountID)
	}
	var former []formerName
	if err == nil {
		err = q.Select(ctx, &former, `SELECT folded, source_id FROM source_names WHERE account_id = ?`, accountID)
	}
	var phones []holding
	if err == nil {
		err = q.Select(ctx, &phones, `
			SELECT agent_id, phone, held_until FROM agent_phones WHERE account_id = ? ORDER BY held_from, agent_id`, accountID)
	}
	var dispositions []disposition
	if err == nil {
		err = q.Select(ctx, &dispositions, `SELECT disposition_id, qualified, genuine, stage FROM dispositions WHERE account_id = ?`, accountID)
	}
	if err != nil {
		return nil, fmt.Errorf("read the account's lists: %w", err)
	}
	for _, s := range sources {
		b.sources[s.ID] = s.Name
		b.byName[fold(s.Name)] = s.Name
		b.mediums[fold(s.Name)] = had[s.ID].orAlways(s.Medium)
	}
	for _, n := range former {
		if name, ok := b.sources[n.SourceID]; ok && fold(name) != n.Folded {
			b.renamed[n.Folded] = name
		}
	}
	for _, p := range pools {
		b.pools[p.ID] = p.Name
	}
	for _, t := range tags {
		b.tags[t.ID] = t.Name
	}
	for _, d := range dispositions {
		b.outcomes[d.ID] = d
	}
	for _, h := range phones {
		if h.agent = b.agentByID(h.AgentID); h.agent != nil {
			b.phones[h.Phone] = append(b.phones[h.Phone], h)
		}
	}
	return b, nil
}

// mediums are those that a source had, the first one first.
type mediums []struct {
	SourceID string `db:"source_id"`
	Medium   string `db:"medium"`
	Since    int64  `db:"set_at"`
}

// readMediums reads which medium a source had since when, by the source's id.
func readMediums(ctx context.Context, q store.Querier, accountID string) (map[string]mediums, error) {
	var list mediums
	err := q.Select(ctx, &list, `SELECT source_id, medium, set_at FROM source_mediums WHERE account_id = ? ORDER BY source_id, set_at`, accountID)
	had := map[string]mediums{}
	for i := range list {
		id := list[i].SourceID
		had[id] = append(had[id], list[i])
	}
	return had, err
}

// orAlways is the one medium of a source of which no other is known.
func (m mediums) orAlways(medium string) mediums {
	if len(m) == 0 {
		m = make(mediums, 1)
		m[0].Medium = medium
	}
	return m
}

// at is the medium at an instant: the latest that was set by then, else the first;
// "" of no source.
func (m mediums) at(at int64) string {
	medium := ""
	for i := range m {
		if i == 0 || m[i].Since <= at {
			medium = m[i].Medium
		}
	}
	return medium
}

// fold is how names of sources, mediums and campaigns are compared.
func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// source returns what a source is called now: by its id, else by a name in the
// list whatever the case, or a former name unless somebody has it now, else the
// text itself.
func (b *book) source(id, text string) string {
	if name, ok := b.sources[id]; ok {
		return name
	}
	if text == UntrackedRow {
		return text
	}
	f := fold(text)
	if name, ok := b.byName[f]; ok {
		return name
	}
	if name, ok := b.renamed[f]; ok {
		return name
	}
	return orNone(text)
}

// agent returns who took the call: set by hand, else whoever had the phone that
// was bridged. Nil when nobody is known.
func (b *book) agent(c *call) *agent {
	if c.AgentID != "" {
		return b.agentByID(c.AgentID)
	}
	return b.holder(c.AnsweredBy, c.StartedAt)
}

// holder returns whose a phone was at an instant, nil for nobody's. The first
// who had it counts for the time before, too.
func (b *book) holder(phone string, at int64) *agent {
	for _, h := range b.phones[phone] {
		if h.Until.IsZero() || h.Until.UnixMicro() > at {
			return h.agent
		}
	}
	return nil
}

func (b *book) agentByID(id string) *agent {
	for i := range b.agents {
		if b.agents[i].ID == id {
			return &b.agents[i]
		}
	}
	return nil
}

func orNone(text string) string {
	if text == "" {
		return NoneRow
	}
	return text
}
