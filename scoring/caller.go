package scoring

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Referral says who sent whom.
type Referral struct {
	ID         string     `db:"referral_id"`
	Referrer   string     `db:"referrer"` // E.164 of who sent
	Referred   string     `db:"referred"` // E.164 of who was sent
	ReferredAt store.Time `db:"referred_at"`
	RecordedBy string     `db:"recorded_by"`
	Via        string     `db:"via"` // field, keypad, link: how it was said
}

const selectReferrals = `SELECT referral_id, referrer, referred, referred_at, recorded_by, via FROM referrals WHERE account_id = ?`

// Refer keeps that one person sent another, once however often it is said. at
// nil is now. Neither need have called yet. Errors: Invalid for a number that
// cannot be dialled, for somebody sending themselves or somebody who sent them,
// directly or through others, and for an instant more than a day ahead.
func (d *Desk) Refer(ctx context.Context, accountID, actor, referrer, referred string, at *time.Time) (Referral, error) {
	return d.refer(ctx, accountID, actor, ViaField, referrer, referred, at)
}

func (d *Desk) refer(ctx context.Context, accountID, actor, via, referrer, referred string, at *time.Time) (Referral, error) {
	from, problem := mustPhone(referrer)
	if problem != "" {
		return Referral{}, callwheel.InvalidField("referrer", "%s", problem)
	}
	to, problem := mustPhone(referred)
	switch {
	case problem != "":
		return Referral{}, callwheel.InvalidField("referred", "%s", problem)
	case from == to:
		return Referral{}, callwheel.InvalidField("referred", "nobody sends themselves")
	}
	now := d.now()
	if at == nil {
		at = &now
	}
	if at.After(now.Add(slack)) {
		return Referral{}, callwheel.InvalidField("referred_at", "lies more than a day ahead")
	}
	var r Referral
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `
			INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by, via) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, accountID, callwheel.NewID("ref"), from, to, store.At(*at), actor, via)
		if err == nil && n > 0 {
			err = refuseCircle(ctx, tx, accountID, "referrer", sending{from, to})
		}
		if err != nil {
			return err
		}
		r = Referral{}
		return tx.Get(ctx, &r, selectReferrals+` AND referrer = ? AND referred = ?`, accountID, from, to)
	})
	if err != nil {
		return Referral{}, fmt.Errorf("record referral: %w", err)
	}
	return r, nil
}

func mustPhone(text string) (phone, problem string) {
	phone, err := telephony.ParseNumber(text, "")
	if err != nil {
		return "", firstMessage(err)
	}
	return phone, ""
}

// Milestones are the first moments at which a person had come so far; zero
// while they have not. See the package comment for the rule.
type Milestones struct {
	LeadAt      store.Time `db:"lead_at"`
	QualifiedAt store.Time `db:"qualified_at"`
	WonAt       store.Time `db:"won_at"`
}

// Milestones works out how far a person (an E.164 number, or 'call:' and the id
// of an anonymous call) has come, and since when.
func (d *Desk) Milestones(ctx context.Context, accountID, person string) (Milestones, error) {
	m, err := milestones(ctx, d.db, accountID, person)
	if err != nil {
		return Milestones{}, fmt.Errorf("work out milestones: %w", err)
	}
	return m, nil
}

func milestones(ctx context.Context, q store.Querier, accountID, person string) (Milestones, error) {
	var m Milestones
	err := q.Get(ctx, &m, `
		SELECT min(CASE WHEN reached >= 1 THEN at END) AS lead_at,
		       min(CASE WHEN reached >= 2 THEN at END) AS qualified_at,
		       min(CASE WHEN reached >= 3 THEN at END) AS won_at
		FROM (
			SELECT CASE o.stage WHEN 'lead' THEN 1 WHEN 'qualified' THEN 2 WHEN 'won' THEN 3 ELSE 0 END AS reached, g.given_at AS at
			FROM calls c
			JOIN call_dispositions g ON g.account_id = c.account_id AND g.call_id = c.call_id
			JOIN dispositions o ON o.account_id = g.account_id AND o.disposition_id = g.disposition_id
			WHERE c.account_id = ? AND (c.from_e164 = ? OR c.from_e164 IS NULL AND 'call:' || c.call_id = ?)
			UNION ALL
			SELECT 3, sold_at FROM sales WHERE account_id = ? AND refund_of = ''
			AND (person = ? OR call_id IN (SELECT call_id FROM calls WHERE account_id = ? AND from_e164 = ?))
			UNION ALL
			SELECT 1, lead_at FROM outcomes WHERE account_id = ? AND `+isPerson+`
			UNION ALL
			SELECT 2, qualified_at FROM outcomes WHERE account_id = ? AND `+isPerson+`
			UNION ALL
			SELECT 3, won_at FROM outcomes WHERE account_id = ? AND `+isPerson+`
		) moments WHERE at IS NOT NULL`,
		accountID, person, person, accountID, person, accountID, person,
		accountID, person, accountID, person, accountID, person, accountID, person, accountID, person, accountID, person)
	return m, err
}

// isPerson is the condition that a row is about somebody, under the number or
// another name of theirs. It takes the number, the account, the number.
const isPerson = `(person = ? OR person IN (SELECT l.alias FROM person_links l WHERE l.account_id = ? AND l.person = ?))`

// readPurchases reads what somebody bought, oldest first: sales on their calls,
// and outcomes of theirs that were brought in with a value, each followed by what
// was given back of it. By call as well as by
// person: a call may have been sold on before its caller was known.
func readPurchases(ctx context.Context, q store.Querier, accountID, e164 string) ([]Sale, error) {
	return readSales(ctx, q, selectSales+`
		AND (person = ? OR call_id IN (SELECT call_id FROM calls WHERE account_id = ? AND from_e164 = ?))
		UNION ALL
		SELECT outcome_id, '', person, value_micros, CASE WHEN refunded_micros = 0 THEN margin_micros END, refunded_micros, currency, won_at, '', imported_at, '`+importer+`'
		FROM outcomes WHERE account_id = ? AND won_at IS NOT NULL AND value_micros IS NOT NULL AND `+isPerson+`
		UNION ALL
		SELECT outcome_id, '', person, -refunded_micros, NULL, 0, currency, won_at, outcome_id, imported_at, '`+importer+`'
		FROM outcomes WHERE account_id = ? AND won_at IS NOT NULL AND refunded_micros > 0 AND `+isPerson+`
		ORDER BY sold_at, refund_of, sale_id`, accountID, e164, accountID, e164, accountID, e164, accountID, e164, accountID, e164, accountID, e164)
}

// CallerCall is one call in the page of a caller.
type CallerCall struct {
	ID              string     `db:"call_id"`
	StartedAt       store.Time `db:"started_at"`
	Outcome         *string    `db:"outcome"`
	TrackingNumber  *string    `db:"tracking_number"`
	TalkSeconds     *int64     `db:"talk_seconds"`
	DurationSeconds *int64     `db:"duration_seconds"`
	Disposition     *string    `db:"disposition"`
}

// Sent is whom a caller sent, and what they bought.
type Sent struct {
	Referral
	Sales  []Sale            // oldest first, refunds too
	Values []callwheel.Money // sales less refunds, by currency
}

// Caller is a person over time.
type Caller struct {
	E164       string
	Milestones Milestones
	CallCount  int64             // of all calls
	FirstCall  store.Time        // when the first call started, zero: never called
	LastCall   store.Time        // when the latest call started
	Calls      []CallerCall      // newest first, at most MaxCallerCalls
	Enquiries  []Enquiry         // forms and chats, newest first, at most MaxCallerCalls
	Sales      []Sale            // oldest first, refunds too, and outcomes that were brought in
	Values     []callwheel.Money // sales less refunds, by currency
	Feedback   []Feedback        // oldest first
	Referred   []Sent            // whom they sent
	ReferredBy []Referral        // who sent them
	History    []Judgement       // about all their calls, newest first, at most MaxCallerCalls
}

// MaxCallerCalls is how many calls, enquiries and judgements the page of a caller
// shows.
const MaxCallerCalls = 500

// Caller returns a person over time, by E.164 number. Errors: NotFound for
// somebody of whom this account knows nothing, and for what is no number.
func (d *Desk) Caller(ctx context.Context, accountID, e164 string) (*Caller, error) {
	number, problem := mustPhone(e164)
	if problem != "" {
		return nil, callwheel.Errorf(callwheel.NotFound, "find caller: not found")
	}
	c := &Caller{E164: number}
	err := d.db.InSnapshot(ctx, func(ctx context.Context, q store.Querier) error { return c.read(ctx, q, accountID) })
	if err != nil {
		return nil, fmt.Errorf("read caller: %w", err)
	}
	known := c.CallCount > 0 || len(c.Enquiries) > 0 || len(c.Sales) > 0 || len(c.Feedback) > 0 || len(c.Referred) > 0 || len(c.ReferredBy) > 0 || !c.Milestones.LeadAt.IsZero()
	if !known {
		return nil, callwheel.Errorf(callwheel.NotFound, "find caller: not found")
	}
	return c, nil
}

func (c *Caller) read(ctx context.Context, q store.Querier, accountID string) error {
	var err error
	if c.Milestones, err = milestones(ctx, q, accountID, c.E164); err != nil {
		return err
	}
	var span struct {
		Calls int64      `db:"calls"`
		First store.Time `db:"first"`
		Last  store.Time `db:"last"`
	}
	if err = q.Get(ctx, &span, `
		SELECT count(*) AS calls, min(started_at) AS first, max(started_at) AS last
		FROM calls WHERE account_id = ? AND from_e164 = ?`, accountID, c.E164); err != nil {
		return err
	}
	c.CallCount, c.FirstCall, c.LastCall = span.Calls, span.First, span.Last
	if err = q.Select(ctx, &c.Calls, `
		SELECT c.call_id, c.started_at, c.outcome, c.tracking_number, c.talk_seconds, c.duration_seconds, o.name AS disposition
		FROM calls c
		LEFT JOIN call_desks k ON k.account_id = c.account_id AND k.call_id = c.call_id
		LEFT JOIN dispositions o ON o.account_id = k.account_id AND o.disposition_id = k.disposition_id
		WHERE c.account_id = ? AND c.from_e164 = ? ORDER BY c.started_at DESC, c.call_id DESC LIMIT ?`,
		accountID, c.E164, MaxCallerCalls); err != nil {
		return err
	}
	if err = q.Select(ctx, &c.Enquiries, selectEnquiries+` AND `+isPerson+` ORDER BY at DESC, enquiry_id DESC LIMIT ?`,
		accountID, c.E164, accountID, c.E164, MaxCallerCalls); err != nil {
		return err
	}
	if c.Sales, err = readPurchases(ctx, q, accountID, c.E164); err != nil {
		return err
	}
	c.Values = netValues(c.Sales)
	if err = q.Select(ctx, &c.Feedback, `
		SELECT feedback_id, call_id, person, kind, value, comment, given_at FROM feedback
		WHERE account_id = ? AND call_id IN (SELECT call_id FROM calls WHERE account_id = ? AND from_e164 = ?)
		ORDER BY given_at, feedback_id`, accountID, accountID, c.E164); err != nil {
		return err
	}
	var sent []Referral
	if err = q.Select(ctx, &sent, selectReferrals+` AND referrer = ? ORDER BY referred_at, referral_id`, accountID, c.E164); err != nil {
		return err
	}
	for _, r := range sent {
		s := Sent{Referral: r}
		if s.Sales, err = readPurchases(ctx, q, accountID, r.Referred); err != nil {
			return err
		}
		s.Values = netValues(s.Sales)
		c.Referred = append(c.Referred, s)
	}
	if err = q.Select(ctx, &c.ReferredBy, selectReferrals+` AND referred = ? ORDER BY referred_at, referral_id`, accountID, c.E164); err != nil {
		return err
	}
	c.History, err = readJudgements(ctx, q, selectJudgements+`
		AND call_id IN (SELECT call_id FROM calls WHERE account_id = ? AND from_e164 = ?)
		ORDER BY at DESC, judgement_id DESC LIMIT ?`, accountID, accountID, c.E164, MaxCallerCalls)
	return err
}
