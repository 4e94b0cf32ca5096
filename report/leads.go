package report

import (
	"context"
	"encoding/json"

	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
)

// LeadScore is how likely a call was to become a qualified one, by what was
// known when it began.
type LeadScore struct {
	Probability  float64
	Facts        []scoring.LeadFact // the three that moved it most
	ModelVersion int64
	ScoredAt     store.Time
}

// addLeads adds what was predicted of the calls.
func (p *callPage) addLeads(ctx context.Context, db store.Querier) error {
	var list []struct {
		CallID      string     `db:"call_id"`
		Version     int64      `db:"model_version"`
		Probability float64    `db:"probability"`
		Facts       string     `db:"facts"`
		ScoredAt    store.Time `db:"scored_at"`
	}
	err := p.many(ctx, db, &list, `
		SELECT call_id, model_version, probability, facts, scored_at FROM lead_scores
		WHERE account_id = ? AND call_id IN (?)`)
	for _, l := range list {
		score := LeadScore{Probability: tidy(l.Probability), ModelVersion: l.Version, ScoredAt: l.ScoredAt, Facts: []scoring.LeadFact{}}
		_ = json.Unmarshal([]byte(l.Facts), &score.Facts) // written by scoring as a list
		p.row(l.CallID).Lead = &score
	}
	return err
}
