package telephony

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// storedCall is a row of calls.
type storedCall struct {
	AccountID        string     `db:"account_id"`
	CallID           string     `db:"call_id"`
	Provider         string     `db:"provider"`
	ProviderCallID   string     `db:"provider_call_id"`
	Direction        string     `db:"direction"`
	Status           *string    `db:"status"`
	Outcome          *string    `db:"outcome"`
	FromKind         *string    `db:"from_kind"`
	FromE164         *string    `db:"from_e164"`
	FromRaw          *string    `db:"from_raw"`
	TrackingNumber   *string    `db:"tracking_number"`
	NumberID         string     `db:"number_id"`
	Destination      *string    `db:"destination"`
	AnsweredBy       *string    `db:"answered_by"`
	Hops             int64      `db:"hops"`
	StartedAt        store.Time `db:"started_at"`
	AnsweredAt       store.Time `db:"answered_at"`
	EndedAt          store.Time `db:"ended_at"`
	WaitSeconds      *int64     `db:"wait_seconds"`
	RingSeconds      *int64     `db:"ring_seconds"`
	TalkSeconds      *int64     `db:"talk_seconds"`
	DurationSeconds  *int64     `db:"duration_seconds"`
	VoicemailSeconds *int64     `db:"voicemail_seconds"`
	CallerName       string     `db:"caller_name"`
	CallerCity       string     `db:"caller_city"`
	CallerState      string     `db:"caller_state"`
	CallerZip        string     `db:"caller_zip"`
	CallerCountry    string     `db:"caller_country"`
	Verstat          string     `db:"verstat"`
	Flags            string     `db:"flags"`
	Shell            bool       `db:"shell"`
	Imported         bool       `db:"imported"`
	Events           int64      `db:"events"`
}

const storedCallColumns = `account_id, call_id, provider, provider_call_id, direction, status, outcome,
	from_kind, from_e164, from_raw, tracking_number, number_id, destination, answered_by, hops,
	started_at, answered_at, ended_at, wait_seconds, ring_seconds, talk_seconds, duration_seconds, voicemail_seconds,
	caller_name, caller_city, caller_state, caller_zip, caller_country, verstat, flags, shell, imported, events`

// rowOf writes a call as its row.
func rowOf(c Call) storedCall {
	flags := c.Flags
	if flags == nil {
		flags = []string{}
	}
	text, _ := json.Marshal(flags) //nolint:errcheck // a list of texts
	return storedCall{
		AccountID: c.AccountID, CallID: c.ID, Provider: c.Provider, ProviderCallID: c.ProviderCallID,
		Direction: string(c.Direction), Status: orNull(string(c.Status)), Outcome: orNull(string(c.Outcome)),
		FromKind: orNull(string(c.CallerKind)), FromE164: orNull(c.From), FromRaw: orNull(columnText(c.FromRaw)),
		TrackingNumber: orNull(c.TrackingNumber), NumberID: c.NumberID,
		Destination: orNull(columnText(c.Destination)), AnsweredBy: orNull(columnText(c.AnsweredBy)), Hops: c.Hops,
		StartedAt: store.At(c.StartedAt), AnsweredAt: store.AtPtr(c.AnsweredAt), EndedAt: store.AtPtr(c.EndedAt),
		WaitSeconds: c.WaitSeconds, RingSeconds: c.RingSeconds, TalkSeconds: c.TalkSeconds,
		DurationSeconds: c.DurationSeconds, VoicemailSeconds: c.VoicemailSeconds,
		CallerName: columnText(c.Caller.Name), CallerCity: columnText(c.Caller.City), CallerState: columnText(c.Caller.State),
		CallerZip: columnText(c.Caller.Zip), CallerCountry: columnText(c.Caller.Country),
		Verstat: columnText(c.Verstat), Flags: string(text), Shell: c.Shell, Imported: c.Imported, Events: c.Events,
	}
}

// call reads the row back, without its legs.
func (r storedCall) call() Call {
	c := Call{
		AccountID: r.AccountID, ID: r.CallID, Provider: r.Provider, ProviderCallID: r.ProviderCallID,
		Direction: Direction(r.Direction), Status: Status(deref(r.Status)), Outcome: Outcome(deref(r.Outcome)),
		CallerKind: CallerKind(deref(r.FromKind)), From: deref(r.FromE164), FromRaw: deref(r.FromRaw),
		TrackingNumber: deref(r.TrackingNumber), NumberID: r.NumberID,
		Destination: deref(r.Destination), AnsweredBy: deref(r.AnsweredBy), Hops: r.Hops,
		StartedAt: r.StartedAt.Time, AnsweredAt: r.AnsweredAt.Ptr(), EndedAt: r.EndedAt.Ptr(),
		WaitSeconds: r.WaitSeconds, RingSeconds: r.RingSeconds, TalkSeconds: r.TalkSeconds,
		DurationSeconds: r.DurationSeconds, VoicemailSeconds: r.VoicemailSeconds,
		Caller:  CallerDetails{Name: r.CallerName, City: r.CallerCity, State: r.CallerState, Zip: r.CallerZip, Country: r.CallerCountry},
		Verstat: r.Verstat, Shell: r.Shell, Imported: r.Imported, Events: r.Events,
	}
	json.Unmarshal([]byte(r.Flags), &c.Flags) //nolint:errcheck // written by rowOf
	return c
}

// lockCall makes sure that the call has a row and holds it until the end of the
// transaction, so that two replicas with two events of one call fold one after
// the other and the second sees what the first has written.
func lockCall(ctx context.Context, tx *store.Tx, accountID, provider, ref string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO calls (account_id, call_id, provider, provider_call_id, started_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, call_id) DO UPDATE SET updated_at = excluded.updated_at`,
		accountID, CallID(provider, ref), provider, ref, store.Micros(now), store.Micros(now))
	if err != nil {
		return fmt.Errorf("lock the call: %w", err)
	}
	return nil
}

// writeCall replaces what the row says.
func writeCall(ctx context.Context, tx *store.Tx, c Call, now time.Time) error {
	r := rowOf(c)
	_, err := tx.Exec(ctx, `
		UPDATE calls SET
			direction = ?, status = ?, outcome = ?, from_kind = ?, from_e164 = ?, from_raw = ?,
			tracking_number = ?, number_id = ?, destination = ?, answered_by = ?, hops = ?,
			started_at = ?, answered_at = ?, ended_at = ?,
			wait_seconds = ?, ring_seconds = ?, talk_seconds = ?, duration_seconds = ?, voicemail_seconds = ?,
			caller_name = ?, caller_city = ?, caller_state = ?, caller_zip = ?, caller_country = ?,
			verstat = ?, flags = ?, shell = ?, imported = ?, events = ?, updated_at = ?
		WHERE account_id = ? AND call_id = ?`,
		r.Direction, r.Status, r.Outcome, r.FromKind, r.FromE164, r.FromRaw,
		r.TrackingNumber, r.NumberID, r.Destination, r.AnsweredBy, r.Hops,
		r.StartedAt, r.AnsweredAt, r.EndedAt,
		r.WaitSeconds, r.RingSeconds, r.TalkSeconds, r.DurationSeconds, r.VoicemailSeconds,
		r.CallerName, r.CallerCity, r.CallerState, r.CallerZip, r.CallerCountry,
		r.Verstat, r.Flags, r.Shell, r.Imported, r.Events, store.Micros(now),
		r.AccountID, r.CallID)
	if err != nil {
		return fmt.Errorf("write the call: %w", err)
	}
	return nil
}

// writeLeg replaces what the row of one leg says.

func writeLeg(ctx context.Context, tx *store.Tx, c Call, leg Leg) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO legs (account_id, call_id, leg_ref, number, status, initiated_at, ringing_at, answered_at, ended_at,
			talk_seconds, bridged, sip_code)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, call_id, leg_ref) DO UPDATE SET
			number = excluded.number, status = excluded.status,
			initiated_at = excluded.initiated_at, ringing_at = excluded.ringing_at,
			answered_at = excluded.answered_at, ended_at = excluded.ended_at,
			talk_seconds = excluded.talk_seconds, bridged = excluded.bridged, sip_code = excluded.sip_code`,
		c.AccountID, c.ID, leg.Ref, columnText(leg.Number), string(leg.Status),
		store.AtPtr(leg.InitiatedAt), store.AtPtr(leg.RingingAt), store.AtPtr(leg.AnsweredAt), store.AtPtr(leg.EndedAt),
		leg.TalkSeconds, truthOrNull(leg.Bridged), columnText(leg.SIPCode))
	if err != nil {
		return fmt.Errorf("write the legs: %w", err)
	}
	return nil
}

// storedLeg is a row of legs.
type storedLeg struct {
	LegRef      string     `db:"leg_ref"`
	Number      string     `db:"number"`
	Status      string     `db:"status"`
	InitiatedAt store.Time `db:"initiated_at"`
	RingingAt   store.Time `db:"ringing_at"`
	AnsweredAt  store.Time `db:"answered_at"`
	EndedAt     store.Time `db:"ended_at"`
	TalkSeconds *int64     `db:"talk_seconds"`
	Bridged     *bool      `db:"bridged"`
	SIPCode     string     `db:"sip_code"`
}

func (r storedLeg) leg() Leg {
	l := Leg{
		Ref: r.LegRef, Number: r.Number, Status: Status(r.Status),
		InitiatedAt: r.InitiatedAt.Ptr(), RingingAt: r.RingingAt.Ptr(), AnsweredAt: r.AnsweredAt.Ptr(), EndedAt: r.EndedAt.Ptr(),
		TalkSeconds: r.TalkSeconds, SIPCode: r.SIPCode,
	}
	if r.Bridged != nil {
		l.Bridged = No
		if *r.Bridged {
			l.Bridged = Yes
		}
	}
	return l
}

// readCall reads a call with its legs. It fails with kind NotFound.
func readCall(ctx context.Context, q store.Querier, accountID, callID string) (Call, error) {
	var row storedCall
	err := q.Get(ctx, &row, `SELECT `+storedCallColumns+` FROM calls WHERE account_id = ? AND call_id = ?`, accountID, callID)
	if err != nil {
		return Call{}, fmt.Errorf("read the call: %w", err)
	}
	var legs []storedLeg
	err = q.Select(ctx, &legs, `
		SELECT leg_ref, number, status, initiated_at, ringing_at, answered_at, ended_at, talk_seconds, bridged, sip_code
		FROM legs WHERE account_id = ? AND call_id = ?`, accountID, callID)
	if err != nil {
		return Call{}, fmt.Errorf("read the legs: %w", err)
	}
	c := row.call()
	for _, leg := range legs {
		c.Legs = append(c.Legs, leg.leg())
	}
	sortLegs(c.Legs)
	return c, nil
}

// ownerOf finds whose call this is by its row, for events that do not say.
// Accounts with a provider account of their own are left out: what they sign
// is theirs already, and what they signed must not draw in the events of
// others.
func ownerOf(ctx context.Context, q store.Querier, provider, ref string) (string, error) {
	var accountID string
	err := q.Get(ctx, &accountID, `
		SELECT c.account_id FROM calls c
		WHERE c.provider = ? AND c.provider_call_id = ?
		AND EXISTS (SELECT 1 FROM accounts a WHERE a.account_id = c.account_id AND a.provider_account = '')
		ORDER BY c.account_id
		LIMIT 1`, provider, ref)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find whose call it is: %w", err)
	}
	return accountID, nil
}

// keepRecording tells the recordings table what the events say about one
// recording. The row is a task for the job that fetches media, so this only
// moves it forward: what was kept, given up or deleted stays so, and the job's
// own due_at is left alone once the provider has said that the media is ready.
func keepRecording(ctx context.Context, tx *store.Tx, c Call, m media) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO recordings (account_id, recording_id, call_id, provider, provider_ref, kind, state, media_url,
			seconds, channels, transcript, due_at, finished_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, recording_id) DO UPDATE SET
			kind = excluded.kind,
			state = CASE WHEN recordings.state IN ('pending', 'absent') THEN excluded.state ELSE recordings.state END,
			media_url = CASE WHEN excluded.media_url <> '' THEN excluded.media_url ELSE recordings.media_url END,
			seconds = COALESCE(excluded.seconds, recordings.seconds),
			channels = COALESCE(excluded.channels, recordings.channels),
			transcript = CASE WHEN recordings.state = 'deleted' THEN recordings.transcript ELSE excluded.transcript END,
			due_at = CASE
				WHEN recordings.state NOT IN ('pending', 'absent') THEN recordings.due_at
				WHEN excluded.state <> 'pending' THEN NULL
				WHEN recordings.finished_at IS NULL THEN excluded.due_at
				ELSE recordings.due_at END,
			finished_at = COALESCE(recordings.finished_at, excluded.finished_at)`,
		c.AccountID, callwheel.DerivedID("rec", c.Provider, m.ref), c.ID, c.Provider, m.ref, m.kind, m.state, m.url,
		m.seconds, m.channels, columnText(m.transcript), store.AtPtr(m.dueAt), store.AtPtr(m.finishedAt))
	if err != nil {
		return fmt.Errorf("keep the recording: %w", err)
	}
	return nil
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func truthOrNull(t Truth) *bool {
	if t == Unknown {
		return nil
	}
	yes := t == Yes
	return &yes
}
