package scoring

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// How it is said who sent whom.
const (
	ViaField  = "field"  // somebody asked and wrote it down
	ViaKeypad = "keypad" // the caller keyed the number in
	ViaLink   = "link"   // the caller had come by a link with somebody's code
)

// ParamReferral is the parameter of a landing page that holds a referral code.
const ParamReferral = "cw_ref"

// Sender is who sent a caller; exactly one of its fields.
type Sender struct {
	Referrer string // E.164
	Digits   string // as they were keyed in: with or without the country code, in the country of the number that was called
	Code     string // a referral code
}

// ReferCall keeps who sent the caller of a call, once however often it is said.
// Errors: Invalid for a call whose caller is not identified, for a number that
// cannot be dialled, for an unknown code, and for somebody sending themselves;
// NotFound.
func (d *Desk) ReferCall(ctx context.Context, accountID, actor, callID string, from Sender) (Referral, error) {
	var call struct {
		From   *string    `db:"from_e164"`
		Called *string    `db:"tracking_number"`
		At     store.Time `db:"started_at"`
	}
	if err := d.db.Get(ctx, &call, `SELECT from_e164, tracking_number, started_at FROM calls WHERE account_id = ? AND call_id = ?`, accountID, callID); err != nil {
		return Referral{}, fmt.Errorf("find call: %w", err)
	}
	if call.From == nil {
		return Referral{}, callwheel.InvalidField("id", "the caller is not identified: nobody can be said to have sent them")
	}
	at := call.At.Time
	switch {
	case from.Digits != "":
		number, err := keyedIn(from.Digits, call.Called, *call.From)
		if err != nil {
			return Referral{}, err
		}
		return d.refer(ctx, accountID, actor, ViaKeypad, number, *call.From, &at)
	case from.Code != "":
		person, err := d.ownerOfCode(ctx, accountID, from.Code)
		if err != nil {
			return Referral{}, err
		}
		return d.refer(ctx, accountID, actor, ViaLink, person, *call.From, &at)
	}
	return d.refer(ctx, accountID, actor, ViaField, from.Referrer, *call.From, &at)
}

// keyedIn reads digits as people of the country of the number that was called,
// or else of the caller, dial them.
func keyedIn(digits string, called *string, caller string) (string, error) {
	region := telephony.Region(caller)
	if called != nil && telephony.Region(*called) != "" {
		region = telephony.Region(*called)
	}
	text := strings.TrimRight(strings.TrimSpace(digits), "#*")
	number, err := telephony.ParseNumber(text, region)
	if err != nil {
		return "", callwheel.InvalidField("digits", "are no phone number that can be dialled")
	}
	return number, nil
}

// ReferralCode is what a caller hands on in links.
type ReferralCode struct {
	Code   string `db:"code"`
	Person string `db:"person"`
}

// ReferralCode returns a caller's code, which is made the first time. It tells
// nothing of the number. Errors: NotFound for what is no number.
func (d *Desk) ReferralCode(ctx context.Context, accountID, e164 string) (ReferralCode, error) {
	person, problem := mustPhone(e164)
	if problem != "" {
		return ReferralCode{}, callwheel.Errorf(callwheel.NotFound, "find caller: not found")
	}
	c := ReferralCode{}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO referral_codes (account_id, code, person, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			accountID, strings.ToLower(rand.Text()[:12]), person, store.Micros(d.now())); err != nil {
			return err
		}
		return tx.Get(ctx, &c, `SELECT code, person FROM referral_codes WHERE account_id = ? AND person = ?`, accountID, person)
	})
	if err != nil {
		return ReferralCode{}, fmt.Errorf("make referral code: %w", err)
	}
	return c, nil
}

func (d *Desk) ownerOfCode(ctx context.Context, accountID, code string) (string, error) {
	var person string
	err := d.db.Get(ctx, &person, `SELECT person FROM referral_codes WHERE account_id = ? AND code = ?`, accountID, strings.ToLower(strings.TrimSpace(code)))
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "", callwheel.InvalidField("code", "is nobody's referral code")
	}
	if err != nil {
		return "", fmt.Errorf("find referral code: %w", err)
	}
	return person, nil
}

const (
	linksBack  = 3 * 24 * time.Hour // attributions that are looked at
	linksSure  = 0.9                // least confidence that the visitor is the caller
	linksBatch = 500
)

// NoteLinks keeps, for calls that surely came from a visitor who had landed with
// somebody's referral code, who sent the caller. It is a step for the job table.
func (d *Desk) NoteLinks(ctx context.Context, now time.Time) (int, error) {
	var accounts []string
	if err := d.db.Select(ctx, &accounts, `SELECT DISTINCT account_id FROM referral_codes ORDER BY account_id`); err != nil {
		return 0, fmt.Errorf("note referral links: %w", err)
	}
	done := 0
	for _, id := range accounts {
		n, err := d.noteLinks(ctx, id, now)
		if done += n; err != nil {
			return done, fmt.Errorf("note referral links: %w", err)
		}
	}
	return done, nil
}

func (d *Desk) noteLinks(ctx context.Context, accountID string, now time.Time) (int, error) {
	var list []struct {
		From    string     `db:"from_e164"`
		At      store.Time `db:"started_at"`
		Landing string     `db:"landing_page"`
	}
	// The arrivals of the visitor who called, not only the one that is credited.
	if err := d.db.Select(ctx, &list, `
		SELECT c.from_e164, c.started_at, t.landing_page
		FROM attributions a
		JOIN calls c ON c.account_id = a.account_id AND c.call_id = a.call_id
		JOIN touches t ON t.account_id = a.account_id AND t.person = a.visitor_id AND t.touched_at <= c.started_at
		WHERE a.account_id = ? AND a.attributed_at >= ? AND a.visitor_id <> '' AND a.visitor_confidence >= ? AND c.from_e164 IS NOT NULL
			AND t.landing_page LIKE '%`+ParamReferral+`=%'
			AND NOT EXISTS (SELECT 1 FROM referrals r WHERE r.account_id = a.account_id AND r.referred = c.from_e164)
		ORDER BY c.started_at, t.touched_at, t.touch_id LIMIT ?`,
		accountID, store.Micros(now.Add(-linksBack)), linksSure, linksBatch); err != nil {
		return 0, err
	}
	done, sent := 0, map[string]bool{}
	for _, l := range list {
		page, err := url.Parse(l.Landing)
		if err != nil || sent[l.From] {
			continue
		}
		person, err := d.ownerOfCode(ctx, accountID, page.Query().Get(ParamReferral))
		if callwheel.KindOf(err) == callwheel.Invalid || err == nil && person == l.From {
			continue // nobody's, or one's own
		}
		if err == nil {
			_, err = d.refer(ctx, accountID, "job", ViaLink, person, l.From, &l.At.Time)
		}
		if err != nil {
			return done, err
		}
		sent[l.From] = true
		done++
	}
	return done, nil
}

// LatestCall returns the id of the latest call of a caller that had begun at the
// instant: what they are asked about when a survey does not say. Errors: NotFound.
func (d *Desk) LatestCall(ctx context.Context, accountID, e164 string, at time.Time) (string, error) {
	person, problem := mustPhone(e164)
	if problem != "" {
		return "", callwheel.Errorf(callwheel.NotFound, "find caller: not found")
	}
	var id string
	err := d.db.Get(ctx, &id, `
		SELECT call_id FROM calls WHERE account_id = ? AND from_e164 = ? AND direction = 'inbound' AND started_at <= ?
		ORDER BY started_at DESC, call_id DESC LIMIT 1`, accountID, person, store.Micros(at))
	if err != nil {
		return "", fmt.Errorf("find latest call: %w", err)
	}
	return id, nil
}
