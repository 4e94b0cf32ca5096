package report

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// call is one call with its attribution and its desk, as reports see it.
// Instants are micros; texts are empty where nothing is known.
type call struct {
	ID              string  `db:"call_id"`
	Caller          string  `db:"caller"`
	StartedAt       int64   `db:"started_at"`
	Outcome         string  `db:"outcome"`
	TrackingNumber  string  `db:"tracking_number"`
	AnsweredBy      string  `db:"answered_by"`
	WaitSeconds     *int64  `db:"wait_seconds"`
	RingSeconds     *int64  `db:"ring_seconds"`
	TalkSeconds     *int64  `db:"talk_seconds"`
	DurationSeconds *int64  `db:"duration_seconds"`
	Verdict         string  `db:"verdict"`
	Confidence      float64 `db:"confidence"`
	OfVisitor       float64 `db:"visitor_confidence"`
	SourceID        string  `db:"source_id"`
	Source          string  `db:"source"`
	Medium          string  `db:"medium"`
	Campaign        string  `db:"campaign"`
	Term            string  `db:"term"`
	Content         string  `db:"content"`
	LandingPage     string  `db:"landing_page"`
	VisitorID       string  `db:"visitor_id"`
	TouchID         string  `db:"touch_id"`
	PoolID          string  `db:"pool_id"`
	Candidates      string  `db:"candidates"`
	DispositionID   string  `db:"disposition_id"`
	AgentID         string  `db:"agent_id"`
	ScorePPM        *int64  `db:"score_ppm"`
	FirstTime       int64   `db:"first_time"`
	tags            []string
}

// missedOutcomes are those in which nobody spoke to the caller, for statements; see
// telephony's Missed.
const missedOutcomes = `'voicemail', 'abandoned', 'busy', 'no-answer', 'failed'`

// heardScore is the score of a call in which somebody of the business spoke to the
// caller: it was answered, or somebody called back and got through. That nobody did
// may be known only after the score was given.
const heardScore = `
	CASE WHEN k.score_ppm IS NULL
		OR COALESCE(c.outcome, '') NOT IN (` + missedOutcomes + `, 'blocked')
		OR EXISTS (SELECT 1 FROM callbacks b WHERE b.account_id = c.account_id AND b.call_id = c.call_id AND b.connected)
	THEN k.score_ppm END AS score_ppm`

const callColumns = `
	c.call_id, COALESCE(c.from_e164, '') AS caller, c.started_at, COALESCE(c.outcome, '') AS outcome,
	COALESCE(c.tracking_number, '') AS tracking_number, COALESCE(c.answered_by, '') AS answered_by,
	c.wait_seconds, c.ring_seconds, c.talk_seconds, c.duration_seconds,
	COALESCE(a.verdict, '') AS verdict, COALESCE(a.confidence, 0) AS confidence,
	COALESCE(a.visitor_confidence, 0) AS visitor_confidence,
	COALESCE(a.source_id, '') AS source_id, COALESCE(a.source, '') AS source, COALESCE(a.medium, '') AS medium,
	COALESCE(a.campaign, '') AS campaign, COALESCE(a.term, '') AS term, COALESCE(a.content, '') AS content,
	COALESCE(a.landing_page, '') AS landing_page, COALESCE(a.visitor_id, '') AS visitor_id,
	COALESCE(a.touch_id, '') AS touch_id, COALESCE(a.pool_id, '') AS pool_id, COALESCE(a.candidates, '') AS candidates,
	COALESCE(k.disposition_id, '') AS disposition_id, COALESCE(k.agent_id, '') AS agent_id, ` + heardScore

const callJoins = `
	FROM calls c
	LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
	LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id`

// firstTimeColumn is 1 for an identified caller without an earlier inbound call.
const firstTimeColumn = `
	CASE WHEN c.from_e164 IS NOT NULL AND NOT EXISTS (
		SELECT 1 FROM calls p
		WHERE p.account_id = c.account_id AND p.from_e164 = c.from_e164 AND p.direction = 'inbound'
		AND p.started_at <= c.started_at AND (p.started_at, p.call_id) < (c.started_at, c.call_id)
	) THEN 1 ELSE 0 END AS first_time`

// texts keeps one copy of texts that come again and again.
type texts map[string]string

// mostTexts bounds how many are kept.
const mostTexts = 1 << 16

func (all texts) share(list ...*string) {
	for _, text := range list {
		if *text == "" {
			continue
		}
		known, ok := all[*text]
		if !ok && len(all) < mostTexts {
			all[*text] = *text
		} else if ok {
			*text = known
		}
	}
}

// streamCalls reads rows of [callColumns] and first_time. There can be millions
// of them: they are read without reflection, and what is alike in many is kept
// once.
func streamCalls(ctx context.Context, q store.Querier, query string, args []any, fn func(*call) error) error {
	rows, err := q.Rows(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	alike := texts{}
	for rows.Next() {
		var c call
		err := rows.Scan(&c.ID, &c.Caller, &c.StartedAt, &c.Outcome, &c.TrackingNumber, &c.AnsweredBy,
			&c.WaitSeconds, &c.RingSeconds, &c.TalkSeconds, &c.DurationSeconds, &c.Verdict, &c.Confidence, &c.OfVisitor,
			&c.SourceID, &c.Source, &c.Medium, &c.Campaign, &c.Term, &c.Content, &c.LandingPage, &c.VisitorID,
			&c.TouchID, &c.PoolID, &c.Candidates, &c.DispositionID, &c.AgentID, &c.ScorePPM, &c.FirstTime)
		if err != nil {
			return err
		}
		alike.share(&c.Outcome, &c.TrackingNumber, &c.AnsweredBy, &c.Verdict, &c.SourceID, &c.Source, &c.Medium, &c.Campaign,
			&c.Term, &c.Content, &c.LandingPage, &c.PoolID, &c.DispositionID, &c.AgentID)
		if err := fn(&c); err != nil {
			return err
		}
	}
	return rows.Err()
}

// callsIn collects calls whose first IN (?) is over keys, as [selectIn] does.
// where follows the account.
func callsIn(ctx context.Context, q store.Querier, accountID string, keys []string, where string, rest ...any) ([]*call, error) {
	var list []*call
	err := inChunks(ctx, q, keys, `SELECT `+callColumns+`, 0 AS first_time`+callJoins+` WHERE c.account_id = ? AND `+where,
		func(chunk []string) []any { return append([]any{accountID, chunk}, rest...) },
		func(text string, args []any) error {
			return streamCalls(ctx, q, text, args, func(c *call) error {
				list = append(list, c)
				return nil
			})
		})
	return list, err
}

// eachCall streams the inbound calls of a range by time.
func eachCall(ctx context.Context, q store.Querier, accountID string, from, until int64, fn func(*call) error) error {
	err := streamCalls(ctx, q, `SELECT `+callColumns+`,`+firstTimeColumn+callJoins+`
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'
		ORDER BY c.started_at, c.call_id`, []any{accountID, from, until}, fn)
	if err != nil {
		return fmt.Errorf("read calls: %w", err)
	}
	return nil
}

// minConfidence is the least confidence with which a call is given to its
// winner.
const minConfidence = 0.7

// tracked says whether the call is given to the source of its attribution.
func (c *call) tracked() bool {
	return (c.Verdict == "winner" || c.Verdict == "source") && c.Source != "" && c.Confidence >= minConfidence
}

func (c *call) blocked() bool  { return c.Outcome == string(telephony.Blocked) }
func (c *call) answered() bool { return c.Outcome == string(telephony.Answered) }
func (c *call) missed() bool   { return telephony.Outcome(c.Outcome).Missed() }

// isTouch says whether the call itself is the touch by which its source met the
// caller: the attribution knows a source but no arrival on a site.
func (c *call) isTouch() bool { return c.tracked() && c.TouchID == "" && c.VisitorID == "" }

// surelyVisitor is the least confidence with which a call shows that its visitor
// and its caller are one person.
const surelyVisitor = 0.9

// sureOfVisitor says whether it is sure which visitor called, not only from which
// source. Attributions that state no confidence of the visitor (imported ones)
// name nobody else.
func (c *call) sureOfVisitor() bool { return c.OfVisitor == 0 || c.OfVisitor >= surelyVisitor }

// candidate is one holder who may have made the call, with the weight of the
// evidence; or several holders of one source, without an id.
type candidate struct {
	VisitorID string  `json:"visitor_id"`
	SourceID  string  `json:"source_id"`
	Source    string  `json:"source"`
	Medium    string  `json:"medium"`
	Visitors  int64   `json:"visitors"`
	Weight    float64 `json:"weight"`
}

// candidates returns who may have made the call; none when the attribution kept
// no weights.
func (c *call) candidates() []candidate {
	var list []candidate
	if c.Candidates == "" || c.Candidates == "[]" {
		return nil
	}
	if err := json.Unmarshal([]byte(c.Candidates), &list); err != nil {
		return nil
	}
	kept := list[:0]
	for _, one := range list {
		if one.Weight > 0 && (one.VisitorID != "" || one.Visitors > 0) {
			kept = append(kept, one)
		}
	}
	return kept
}

// chunkSize bounds an IN list; shorter lists are filled up to a few sizes, so
// that there are few different texts to prepare.
const chunkSize = 512

// inChunks runs a statement with one IN (?) list over all keys, in pieces.
// Repeated values in a list change nothing.
func inChunks(ctx context.Context, q store.Querier, keys []string, query string, args func(chunk []string) []any, scan func(query string, args []any) error) error {
	for len(keys) > 0 {
		n := min(len(keys), chunkSize)
		chunk := append(make([]string, 0, chunkSize), keys[:n]...)
		keys = keys[n:]
		size := 1
		for size < n {
			size *= 8
		}
		for len(chunk) < size {
			chunk = append(chunk, chunk[0])
		}
		text, all, err := q.In(query, args(chunk)...)
		if err != nil {
			return err
		}
		if err := scan(text, all); err != nil {
			return err
		}
	}
	return nil
}

// selectIn collects the rows of a statement whose first IN (?) is over keys;
// the account leads the parameters, what follows the list comes after.
func selectIn[T any](ctx context.Context, q store.Querier, accountID string, keys []string, query string, rest ...any) ([]T, error) {
	var list []T
	err := inChunks(ctx, q, keys, query,
		func(chunk []string) []any { return append([]any{accountID, chunk}, rest...) },
		func(text string, args []any) error {
			var part []T
			if err := q.Select(ctx, &part, text, args...); err != nil {
				return err
			}
			list = append(list, part...)
			return nil
		})
	return list, err
}
