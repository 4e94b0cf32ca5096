package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// When lead models are fitted, to what, and when calls are scored.
const (
	leadEvery      = 7 * 24 * time.Hour
	leadBack       = 365 * 24 * time.Hour // calls before that tell little about today
	leadMost       = 20_000               // the newest ones of an account
	leadPooledEach = 2_000                // of an account, in the prior
	leadPooledMost = 50_000
	leadAccounts   = 4               // in one step
	leadKnown      = 2 * time.Minute // after the start of a call, its facts are known
	leadLate       = 24 * time.Hour  // older calls are not scored any more
	leadBatch      = 200             // calls in one step
	pooledAccount  = ""              // whose models the prior's are
	leadSure       = 0.7             // least confidence of an attribution that counts
)

// LeadOrigin says what a lead model was made of.
type LeadOrigin string

// The origins.
const (
	LeadFitted LeadOrigin = "fitted" // the account's own outcomes
	LeadPooled LeadOrigin = "pooled" // the prior of all accounts, moved to the account's share of qualified calls
)

// LeadModel is one version of what makes a call likely to be qualified. It
// counts for calls that begin after it was fitted, until the next version.
type LeadModel struct {
	Version   int64 // 0: there is none yet
	Origin    LeadOrigin
	Prior     int64 // of a pooled one: the version of the prior
	FittedAt  time.Time
	Outcomes  int64 // it was fitted to; of version 0: that there are
	Positives int64
	LeadWeights
	Judgement LeadJudgement // on later outcomes than it was fitted to; of a pooled one: how the prior did
}

// Useful says whether the facts told more than the share of qualified calls, on
// later data.
func (m LeadModel) Useful() bool { return m.Judgement.Skill != nil && *m.Judgement.Skill > 0 }

type leadModelRow struct {
	Version   int64      `db:"version"`
	Origin    string     `db:"origin"`
	Prior     int64      `db:"prior"`
	FittedAt  store.Time `db:"fitted_at"`
	Outcomes  int64      `db:"outcomes"`
	Positives int64      `db:"positives"`
	Model     string     `db:"model"`
	Judgement string     `db:"judgement"`
}

func (r leadModelRow) model() (LeadModel, error) {
	m := LeadModel{Version: r.Version, Origin: LeadOrigin(r.Origin), Prior: r.Prior, FittedAt: r.FittedAt.Time, Outcomes: r.Outcomes, Positives: r.Positives}
	err := json.Unmarshal([]byte(r.Model), &m.LeadWeights)
	if err == nil {
		err = json.Unmarshal([]byte(r.Judgement), &m.Judgement)
	}
	if err != nil {
		return LeadModel{}, fmt.Errorf("read lead model %d: %w", r.Version, err)
	}
	return m, nil
}

const selectLeadModels = `
	SELECT version, origin, prior, fitted_at, outcomes, positives, model, judgement FROM lead_models
	WHERE account_id = ? `

// LeadModel returns a version of the account's lead model, 0 for the newest;
// while there is none, version 0 with the outcomes that there are. NotFound for
// another version that does not exist.
func (d *Desk) LeadModel(ctx context.Context, accountID string, version int64) (LeadModel, error) {
	var m LeadModel
	err := d.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error {
		var err error
		m, err = readLeadModel(ctx, q, accountID, version)
		if version != 0 || callwheel.KindOf(err) != callwheel.NotFound {
			return err
		}
		list, err := readLeads(ctx, q, accountID, d.now(), leadMost)
		m = LeadModel{}
		m.Outcomes, m.Positives = countLeads(list)
		return err
	})
	if err != nil {
		return LeadModel{}, fmt.Errorf("read lead model: %w", err)
	}
	return m, nil
}

func readLeadModel(ctx context.Context, q store.Querier, accountID string, version int64) (LeadModel, error) {
	query, args := selectLeadModels+`ORDER BY version DESC LIMIT 1`, []any{accountID}
	if version != 0 {
		query, args = selectLeadModels+`AND version = ?`, []any{accountID, version}
	}
	var row leadModelRow
	if err := q.Get(ctx, &row, query, args...); err != nil {
		return LeadModel{}, err
	}
	return row.model()
}

func countLeads(list []LeadOutcome) (outcomes, positives int64) {
	for _, o := range list {
		outcomes++
		if o.Qualified {
			positives++
		}
	}
	return outcomes, positives
}

// RefitLeads fits, for accounts whose lead model is a week old, the next version
// to their own outcomes where there are enough (200, of them 40 of each kind),
// or else takes the pooled prior. What was scored before keeps the version that
// it names. It is a step for the job table.
func (d *Desk) RefitLeads(ctx context.Context, now time.Time) (int, error) {
	due := store.Micros(now.Add(-leadEvery))
	prior, err := d.refitPrior(ctx, now, due)
	if err != nil {
		return 0, fmt.Errorf("refit leads: %w", err)
	}
	var accounts []string
	if err := d.db.Select(ctx, &accounts, `
		SELECT a.account_id FROM accounts a
		WHERE NOT EXISTS (SELECT 1 FROM lead_models m WHERE m.account_id = a.account_id AND m.fitted_at > ?)
		ORDER BY a.account_id`, due); err != nil {
		return 0, fmt.Errorf("refit leads: %w", err)
	}
	done := 0
	for _, id := range accounts {
		fitted, err := d.refitLeads(ctx, id, prior, now)
		if err != nil {
			return done, fmt.Errorf("refit leads: %w", err)
		}
		if fitted {
			if done++; done == leadAccounts {
				break
			}
		}
	}
	return done, nil
}

// refitLeads makes an account's next model and says whether it could.
func (d *Desk) refitLeads(ctx context.Context, accountID string, prior *LeadModel, now time.Time) (bool, error) {
	list, err := readLeads(ctx, d.db, accountID, now, leadMost)
	if err != nil {
		return false, err
	}
	outcomes, positives := countLeads(list)
	if EnoughLeads(outcomes, positives) {
		if m, ok := d.fitLeads(ctx, accountID, list, leadFacts); ok {
			return true, d.keepLeadModel(ctx, accountID, m, now)
		}
	}
	if prior == nil || outcomes == 0 {
		return false, nil
	}
	m := *prior
	m.Origin, m.Prior, m.Outcomes, m.Positives = LeadPooled, prior.Version, outcomes, positives
	m.LeadWeights = prior.moveTo(float64(prior.Positives)/float64(prior.Outcomes), outcomes, positives)
	return true, d.keepLeadModel(ctx, accountID, m, now)
}

// refitPrior fits the pooled prior when it is due, to the facts that mean the
// same in every account, and returns the newest; nil while there is none.
func (d *Desk) refitPrior(ctx context.Context, now time.Time, due int64) (*LeadModel, error) {
	m, err := readLeadModel(ctx, d.db, pooledAccount, 0)
	switch {
	case err == nil && store.Micros(m.FittedAt) > due:
		return &m, nil
	case err != nil && callwheel.KindOf(err) != callwheel.NotFound:
		return nil, err
	}
	var accounts []string
	if err := d.db.Select(ctx, &accounts, `SELECT account_id FROM accounts ORDER BY account_id`); err != nil {
		return nil, err
	}
	var all []LeadOutcome
	for _, id := range accounts {
		list, err := readLeads(ctx, d.db, id, now, leadPooledEach)
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); len(all) > leadPooledMost {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b LeadOutcome) int { return a.At.Compare(b.At) })
	if EnoughLeads(countLeads(all)) {
		if next, ok := d.fitLeads(ctx, pooledAccount, all, pooledFacts); ok {
			if err := d.keepLeadModel(ctx, pooledAccount, next, now); err != nil {
				return nil, err
			}
			m, err = readLeadModel(ctx, d.db, pooledAccount, 0)
			return &m, err
		}
	}
	if m.Version == 0 {
		return nil, nil
	}
	return &m, nil
}

// fitLeads fits and judges a model; ok is false where the outcomes do not
// determine one.
func (d *Desk) fitLeads(ctx context.Context, accountID string, list []LeadOutcome, facts []string) (m LeadModel, ok bool) {
	weights, err := FitLeads(list, facts)
	if err == nil {
		m.Judgement, err = judgeLeads(list, facts)
	}
	if err != nil {
		d.log.WarnContext(ctx, "lead model not fitted", "account_id", accountID, "error", err)
		return LeadModel{}, false
	}
	m.Origin, m.LeadWeights = LeadFitted, weights
	m.Outcomes, m.Positives = countLeads(list)
	return m, true
}

func (d *Desk) keepLeadModel(ctx context.Context, accountID string, m LeadModel, now time.Time) error {
	weights, err := json.Marshal(m.LeadWeights)
	if err != nil {
		return err
	}
	judgement, err := json.Marshal(m.Judgement)
	if err != nil {
		return err
	}
	return d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO lead_models (account_id, version, origin, prior, fitted_at, outcomes, positives, model, judgement)
			SELECT CAST(? AS TEXT), COALESCE(max(version), 0) + 1, CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT),
			       CAST(? AS TEXT), CAST(? AS TEXT)
			FROM lead_models WHERE account_id = ?`,
			accountID, string(m.Origin), m.Prior, store.Micros(now), m.Outcomes, m.Positives, string(weights), string(judgement), accountID)
		return err
	})
}

// leadRow is a call with what a lead score is worked out from.
type leadRow struct {
	CallID    string     `db:"call_id"`
	StartedAt store.Time `db:"started_at"`
	Caller    string     `db:"caller"`
	Source    string     `db:"source"`
	Qualified *bool      `db:"qualified"`
	Before    bool       `db:"called_before"`
	Bought    bool       `db:"bought_before"`
}

// leadColumns are the facts of calls. Source is the present name of what the
// call was surely attributed to. Who bought before had bought, and was known to,
// when the call began: a sale is often dated by its day alone, which began before
// the call that brought it.
const leadColumns = `
	SELECT c.call_id, c.started_at, COALESCE(c.from_e164, '') AS caller, COALESCE(s.name, a.source, '') AS source, o.qualified,
	       EXISTS (SELECT 1 FROM calls p WHERE p.account_id = c.account_id AND p.from_e164 = c.from_e164 AND p.direction = 'inbound' AND p.started_at < c.started_at) AS called_before,
	       EXISTS (SELECT 1 FROM sales b WHERE b.account_id = c.account_id AND b.person = c.from_e164 AND b.refund_of = '' AND b.sold_at < c.started_at AND b.recorded_at < c.started_at) AS bought_before
	FROM calls c
	LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
	LEFT JOIN dispositions o ON o.account_id = k.account_id AND o.disposition_id = k.disposition_id
	LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id AND a.verdict IN ('winner', 'source') AND a.confidence >= ?
	LEFT JOIN sources s ON s.account_id = a.account_id AND s.source_id = a.source_id
	WHERE c.account_id = ? AND c.direction = 'inbound' AND COALESCE(c.outcome, '') <> 'blocked' `

// readLeads reads the newest outcomes of an account, in order of time.
func readLeads(ctx context.Context, q store.Querier, accountID string, now time.Time, most int) ([]LeadOutcome, error) {
	rows, facts, err := readLeadFacts(ctx, q, accountID,
		leadColumns+`AND o.qualified IS NOT NULL AND c.started_at >= ? AND c.started_at < ? ORDER BY c.started_at DESC, c.call_id DESC LIMIT ?`,
		leadSure, accountID, store.Micros(now.Add(-leadBack)), store.Micros(now), most)
	if err != nil {
		return nil, err
	}
	list := make([]LeadOutcome, len(rows))
	for i, r := range rows {
		list[len(rows)-1-i] = LeadOutcome{Facts: facts[i], At: r.StartedAt.Time, Qualified: *r.Qualified}
	}
	return list, nil
}

// readLeadFacts reads calls and what was known of each two minutes after it
// began.
func readLeadFacts(ctx context.Context, q store.Querier, accountID, query string, args ...any) ([]leadRow, []LeadFacts, error) {
	var tz string
	if err := q.Get(ctx, &tz, `SELECT tz FROM accounts WHERE account_id = ?`, accountID); err != nil {
		return nil, nil, err
	}
	zone, err := time.LoadLocation(tz)
	if err != nil {
		return nil, nil, err
	}
	var rows []leadRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, nil, err
	}
	tags, err := earlyTags(ctx, q, accountID, rows)
	if err != nil {
		return nil, nil, err
	}
	facts := make([]LeadFacts, len(rows))
	for i, r := range rows {
		facts[i] = r.facts(zone)
		facts[i][factTags] = tags[r.CallID]
	}
	return rows, facts, nil
}

func (r leadRow) facts(zone *time.Location) LeadFacts {
	f := LeadFacts{factSource: {r.Source}, factArea: {telephony.Area(r.Caller)}}
	if r.Source == "" {
		f[factSource] = []string{"untracked"}
	}
	if f[factArea][0] == "" {
		f[factArea] = []string{"unknown"}
	}
	switch {
	case r.Caller == "":
		f[factCaller] = []string{"anonymous"}
	case r.Bought:
		f[factCaller] = []string{"customer"}
	case r.Before:
		f[factCaller] = []string{"called before"}
	default:
		f[factCaller] = []string{"first call"}
	}
	f.timeFacts(r.StartedAt.In(zone))
	return f
}

// earlyTags reads the tags that the calls had two minutes after they began, and
// before anybody said what became of them.
func earlyTags(ctx context.Context, q store.Querier, accountID string, rows []leadRow) (map[string][]string, error) {
	tags := map[string][]string{}
	for part := range slices.Chunk(rows, 500) {
		ids := make([]string, len(part))
		for i, r := range part {
			ids[i] = r.CallID
		}
		text, args, err := q.In(`
			SELECT g.call_id, t.name
			FROM call_tags g
			JOIN tags t ON t.account_id = g.account_id AND t.tag_id = g.tag_id
			JOIN calls c ON c.account_id = g.account_id AND c.call_id = g.call_id
			LEFT JOIN call_desks k ON k.account_id = g.account_id AND k.call_id = g.call_id
			WHERE g.account_id = ? AND g.call_id IN (?) AND g.tagged_at <= c.started_at + CAST(? AS BIGINT) AND (k.disposed_at IS NULL OR g.tagged_at < k.disposed_at)
			ORDER BY g.call_id, t.folded, t.tag_id`, accountID, ids, leadKnown.Microseconds())
		if err != nil {
			return nil, err
		}
		var list []struct {
			CallID string `db:"call_id"`
			Name   string `db:"name"`
		}
		if err := q.Select(ctx, &list, text, args...); err != nil {
			return nil, err
		}
		for _, t := range list {
			tags[t.CallID] = append(tags[t.CallID], t.Name)
		}
	}
	return tags, nil
}

// ScoreLeads predicts, for calls that began two minutes ago or earlier today,
// how likely they are to be qualified, with the model that counted when they
// began. A call is scored once. It is a step for the job table.
func (d *Desk) ScoreLeads(ctx context.Context, now time.Time) (int, error) {
	var accounts []string
	if err := d.db.Select(ctx, &accounts, `SELECT DISTINCT account_id FROM lead_models WHERE account_id <> '' ORDER BY account_id`); err != nil {
		return 0, fmt.Errorf("score leads: %w", err)
	}
	done := 0
	for _, id := range accounts {
		n, err := d.scoreLeads(ctx, id, now)
		if done += n; err != nil {
			return done, fmt.Errorf("score leads: %w", err)
		}
	}
	return done, nil
}

func (d *Desk) scoreLeads(ctx context.Context, accountID string, now time.Time) (int, error) {
	var models []leadModelRow
	if err := d.db.Select(ctx, &models, selectLeadModels+`ORDER BY version DESC LIMIT 3`, accountID); err != nil || len(models) == 0 {
		return 0, err
	}
	from := now.Add(-leadLate)
	if first := models[len(models)-1].FittedAt.Time; first.After(from) {
		from = first
	}
	rows, facts, err := readLeadFacts(ctx, d.db, accountID, leadColumns+`AND c.started_at >= ? AND c.started_at <= ?
		AND NOT EXISTS (SELECT 1 FROM lead_scores x WHERE x.account_id = c.account_id AND x.call_id = c.call_id)
		ORDER BY c.started_at, c.call_id LIMIT ?`,
		leadSure, accountID, store.Micros(from), store.Micros(now.Add(-leadKnown)), leadBatch)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i, r := range rows {
			at := slices.IndexFunc(models, func(m leadModelRow) bool { return !m.FittedAt.After(r.StartedAt.Time) })
			m, err := models[max(at, 0)].model()
			if err != nil {
				return err
			}
			if err := keepLeadScore(ctx, tx, accountID, r.CallID, m, facts[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	return len(rows), err
}

func keepLeadScore(ctx context.Context, tx *store.Tx, accountID, callID string, m LeadModel, facts LeadFacts, now time.Time) error {
	probability, moved := m.Predict(facts)
	text, err := json.Marshal(moved)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO lead_scores (account_id, call_id, model_version, probability, facts, scored_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, accountID, callID, m.Version, probability, string(text), store.Micros(now))
	return err
}
