package report

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// CallQuery asks for calls. Zero fields do not filter; pointers filter when
// they are set.
type CallQuery struct {
	From, Until time.Time // of started_at, half-open

	Source         string // as attributed, any case; "untracked" finds calls that no source is given
	Medium         string
	Campaign       string
	Outcome        string // an outcome, or "missed" for all in which nobody spoke to the caller
	Direction      string
	Tag            string // name or id
	Agent          string // name or id
	Disposition    string // name or id
	Qualified      *bool
	FirstTime      *bool
	Scored         *bool
	Caller         string // E.164, or a kind of caller such as "anonymous"
	TrackingNumber string // E.164
	PoolID         string
	MinTalkSeconds *int64

	// Text is looked for, as it stands, in the caller's number (digits only),
	// name and city, and in notes.
	Text string
	// CallersHidden keeps Text from finding what the asking role may not see.
	CallersHidden bool

	// Momentum asks for the calls behind a figure of momentum, whose period is
	// From to Until: the attempts that began in it, the leads and sales of it.
	// Baseline names the baseline whose yardsticks are meant, "" for the present.
	// By and Segment, together, ask for those of one source, campaign or agent, by
	// the name that the report has for it.
	Momentum string
	Baseline string
	By       Dimension
	Segment  string
	Now      time.Time // what leads are old enough by

	After CallPlace // where the page before ended
	Limit int
}

// CallPlace is a position in the list of calls. The zero value is the
// beginning.
type CallPlace struct {
	StartedAt int64  `json:"s"` // microseconds
	CallID    string `json:"c"`
}

// CallRow is one call with everything that all rooms know of it.
type CallRow struct {
	telephony.Call
	PriorCalls *int64 // nil for a caller who is not identified
	FirstTime  *bool  // nil for a caller who is not identified

	AgentID, Agent string // "" when nobody is known to have talked
	AgentByHand    bool   // said by a person, not concluded from the phone that answered
	Attribution    *CallAttribution

	Tags        []string         // names, in alphabetical order
	Disposition string           // name
	Qualified   *bool            // nil without a disposition
	ScorePPM    *int64           // millionths of full marks
	Value       *callwheel.Money // sales less refunds; nil without any, or when they are in several currencies
	Note        string           // the latest
	DeskVersion int64            // the ETag of the desk's view; 0 before the first judgement
	Lead        *LeadScore       // nil for a call that was not scored

	Recordings []telephony.Recording
}

// Place is where the list goes on after this row.
func (r CallRow) Place() CallPlace {
	return CallPlace{StartedAt: store.Micros(r.StartedAt), CallID: r.ID}
}

// CallAttribution is what attribution concluded about a call.
type CallAttribution struct {
	Verdict, Method                         string
	Confidence                              float64 // of the source
	VisitorConfidence                       float64
	Contaminated                            bool // a known caller on a number that has gone to somebody else
	Source, Medium, Campaign, Term, Content string
	ClickIDs                                map[string]string
	LandingPage, Referrer                   string
	VisitorID, SessionID, PoolID            string
}

// Calls reads calls as people see them: the facts of telephony together with
// the conclusions and judgements of the other rooms.
type Calls struct{ db database }

// NewCalls makes the value.
func NewCalls(db *store.DB) *Calls { return &Calls{db: db} }

// exportPage is how many calls an export reads at a time.
const exportPage = 500

// List returns up to Limit+1 calls, newest first: one more than asked says that
// there is more. Errors are Invalid for an outcome that does not exist.
func (d *Calls) List(ctx context.Context, accountID string, q CallQuery) ([]CallRow, error) {
	if err := q.checkFigure(); err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	q.Limit++
	var rows []CallRow
	err := d.db.InSnapshot(ctx, func(ctx context.Context, db store.Querier) error {
		var err error
		rows, err = readCalls(ctx, db, accountID, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list calls: %w", err)
	}
	return rows, nil
}

// Check refuses, with kind Invalid, a question that List and Each cannot answer: an
// export has no place for a refusal once it is being written.
func (d *Calls) Check(ctx context.Context, accountID string, q CallQuery) error {
	if err := newCallFilter(accountID).apply(q); err != nil {
		return err
	}
	if err := q.checkFigure(); err != nil || q.Momentum == "" {
		return err
	}
	_, err := yardsticksOf(ctx, d.db, accountID, q.Baseline)
	return err
}

// Each calls fn with every call that the query finds, newest first, whatever
// the limit, and stops at fn's first error. It holds a page at a time, so that
// an export of years needs little memory.
func (d *Calls) Each(ctx context.Context, accountID string, q CallQuery, fn func(CallRow) error) error {
	if err := q.checkFigure(); err != nil {
		return fmt.Errorf("export calls: %w", err)
	}
	q.Limit = exportPage
	each := func(rows []CallRow) error {
		for _, r := range rows {
			if err := fn(r); err != nil {
				return err
			}
		}
		return nil
	}
	if q.Momentum != "" {
		var refused error
		err := eachFigureCall(ctx, d.db, accountID, q, func(rows []CallRow) (bool, error) {
			refused = each(rows)
			return refused == nil, nil
		})
		if err != nil {
			return fmt.Errorf("export calls: %w", err)
		}
		return refused
	}
	for {
		rows, err := readCalls(ctx, d.db, accountID, q)
		if err != nil {
			return fmt.Errorf("export calls: %w", err)
		}
		if err := each(rows); err != nil || len(rows) < exportPage {
			return err
		}
		q.After = rows[len(rows)-1].Place()
	}
}

// Get returns one call; NotFound when the account has none of this id.
func (d *Calls) Get(ctx context.Context, accountID, callID string) (CallRow, error) {
	var rows []CallRow
	err := d.db.InSnapshot(ctx, func(ctx context.Context, db store.Querier) error {
		f := newCallFilter(accountID)
		f.and(`c.call_id = ?`, callID)
		var err error
		rows, err = f.read(ctx, db, 1)
		return err
	})
	if err != nil {
		return CallRow{}, fmt.Errorf("read call: %w", err)
	}
	if len(rows) == 0 {
		return CallRow{}, callwheel.Errorf(callwheel.NotFound, "no such call")
	}
	return rows[0], nil
}

func readCalls(ctx context.Context, db store.Querier, accountID string, q CallQuery) ([]CallRow, error) {
	if q.Momentum != "" {
		return figureCalls(ctx, db, accountID, q)
	}
	f := newCallFilter(accountID)
	if err := f.apply(q); err != nil {
		return nil, err
	}
	return f.read(ctx, db, q.Limit)
}

// callFilter gathers the conditions of one question about calls.
type callFilter struct {
	accountID string
	where     []string
	args      []any
	named     bool // the calls are named one by one
}

func newCallFilter(accountID string) *callFilter {
	f := &callFilter{accountID: accountID}
	f.and(`c.account_id = ?`, accountID)
	return f
}

func (f *callFilter) and(condition string, args ...any) {
	f.where = append(f.where, condition)
	f.args = append(f.args, args...)
}

// andText adds a condition on a text, unless the text is empty.
func (f *callFilter) andText(condition, text string) {
	if text == "" {
		return
	}
	args := make([]any, strings.Count(condition, "?"))
	for i := range args {
		args[i] = text
	}
	f.and(condition, args...)
}

// isFirst says that a call is the first of its identified caller.
const isFirst = `NOT EXISTS (
	SELECT 1 FROM calls e
	WHERE e.account_id = c.account_id AND e.from_e164 = c.from_e164
		AND (e.started_at, e.call_id) < (c.started_at, c.call_id))`

func (f *callFilter) apply(q CallQuery) error {
	if !q.From.IsZero() {
		f.and(`c.started_at >= ?`, store.Micros(q.From))
	}
	if !q.Until.IsZero() {
		f.and(`c.started_at < ?`, store.Micros(q.Until))
	}
	if q.After.CallID != "" {
		f.and(`(c.started_at, c.call_id) < (CAST(? AS BIGINT), CAST(? AS TEXT))`, q.After.StartedAt, q.After.CallID)
	}
	if err := f.outcome(q.Outcome); err != nil {
		return err
	}
	f.source(q.Source)
	f.andText(sameName(`a.medium`), q.Medium)
	f.andText(sameName(`a.campaign`), q.Campaign)
	f.andText(`c.direction = ?`, q.Direction)
	f.andText(`c.tracking_number = ?`, q.TrackingNumber)
	if strings.HasPrefix(q.Caller, "+") {
		f.andText(`c.from_e164 = ?`, q.Caller)
	} else {
		f.andText(`c.from_kind = ?`, q.Caller)
	}
	f.andText(`(a.pool_id = ? OR EXISTS (
		SELECT 1 FROM tracking_numbers n
		WHERE n.account_id = c.account_id AND n.number_id = c.number_id AND n.pool_id = ?))`, q.PoolID)
	if q.MinTalkSeconds != nil {
		f.and(`c.talk_seconds >= ?`, *q.MinTalkSeconds)
	}
	f.judged(q)
	f.text(q)
	return nil
}

func (f *callFilter) outcome(outcome string) error {
	switch o := telephony.Outcome(outcome); {
	case outcome == "":
	case outcome == "missed":
		f.and(`c.outcome IN (` + missedOutcomes + `)`)
	case o == telephony.Answered, o == telephony.Blocked, o.Missed():
		f.and(`c.outcome = ?`, outcome)
	default:
		return callwheel.InvalidField("outcome", "must be answered, missed, voicemail, abandoned, busy, no-answer, failed or blocked")
	}
	return nil
}

func (f *callFilter) source(source string) {
	if strings.EqualFold(source, "untracked") {
		// An ambiguous call is credited to nobody, and so is found here.
		f.and(`(a.call_id IS NULL OR a.verdict IN ('untracked', 'ambiguous'))`)
		return
	}
	if source != "" {
		f.and(`a.verdict <> 'ambiguous'`)
	}
	f.andText(`(`+sameName(`a.source`)+` OR (a.source_id <> '' AND a.source_id = ?))`, source)
}

// sameName compares a name whatever its case. Both databases can do that for
// ASCII; any other name is found as it is written.
func sameName(column string) string {
	return `(` + column + ` = CAST(? AS TEXT) OR lower(` + column + `) = lower(CAST(? AS TEXT)))`
}

// judged adds what the desk said.
func (f *callFilter) judged(q CallQuery) {
	f.andText(`EXISTS (
		SELECT 1 FROM call_tags ct JOIN tags t ON t.account_id = ct.account_id AND t.tag_id = ct.tag_id
		WHERE ct.account_id = c.account_id AND ct.call_id = c.call_id
			AND (ct.tag_id = ? OR `+sameName(`t.name`)+`))`, q.Tag)
	f.andText(`(ag.agent_id = ? OR `+sameName(`ag.name`)+`)`, q.Agent)
	f.andText(`(p.disposition_id = ? OR `+sameName(`p.name`)+`)`, q.Disposition)
	f.flag(q.Qualified, `p.qualified`, `NOT p.qualified`)
	f.flag(q.FirstTime, `(c.from_e164 IS NOT NULL AND `+isFirst+`)`, `(c.from_e164 IS NOT NULL AND NOT `+isFirst+`)`)
	f.flag(q.Scored, `d.scores > 0`, `COALESCE(d.scores, 0) = 0`)
}

func (f *callFilter) flag(want *bool, yes, no string) {
	switch {
	case want == nil:
	case *want:
		f.and(yes)
	default:
		f.and(no)
	}
}

// text looks for a text as it stands: no character of it is a wildcard.
func (f *callFilter) text(q CallQuery) {
	text := strings.TrimSpace(q.Text)
	if text == "" {
		return
	}
	like := `%` + escapeLike(text) + `%`
	conditions := []string{`lower(c.caller_city) LIKE lower(CAST(? AS TEXT)) ESCAPE '\'`}
	args := []any{like}
	// A note may hold a caller's number, which must not be found digit by digit.
	if !q.CallersHidden || !strings.ContainsFunc(text, unicode.IsDigit) {
		// Counted and not asked whether there is one: PostgreSQL would look for the
		// text in everybody's notes first.
		conditions = append(conditions, `(
			SELECT count(n.note_id) FROM notes n
			WHERE n.account_id = c.account_id AND n.call_id = c.call_id
				AND lower(n.text) LIKE lower(CAST(? AS TEXT)) ESCAPE '\') > 0`)
		args = append(args, like)
	}
	if !q.CallersHidden {
		conditions = append(conditions, `lower(c.caller_name) LIKE lower(CAST(? AS TEXT)) ESCAPE '\'`)
		args = append(args, like)
		if digits := onlyDigits(text); digits != "" {
			conditions = append(conditions, `c.from_e164 LIKE CAST(? AS TEXT)`)
			args = append(args, `%`+digits+`%`)
		}
	}
	f.and(`(`+strings.Join(conditions, ` OR `)+`)`, args...)
}

func escapeLike(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

// onlyDigits returns the digits of a text that is written like (a part of) a
// phone number, "" for any other text.
func onlyDigits(text string) string {
	var digits strings.Builder
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case strings.ContainsRune("+-.() ", r):
		default:
			return ""
		}
	}
	return digits.String()
}

// selectCalls is the one row per call; what a call has many of is read for the
// whole page at once.
const selectCalls = `
	SELECT c.call_id, c.provider, c.provider_call_id, c.direction, c.status, c.outcome, c.from_kind, c.from_e164,
		c.from_raw, c.tracking_number, c.number_id, c.destination, c.answered_by, c.hops, c.started_at, c.answered_at,
		c.ended_at, c.wait_seconds, c.ring_seconds, c.talk_seconds, c.duration_seconds, c.voicemail_seconds,
		c.caller_name, c.caller_city, c.caller_state, c.caller_zip, c.caller_country, c.verstat, c.flags, c.shell,
		c.imported, c.events,
		CASE WHEN c.from_e164 IS NOT NULL THEN (
			SELECT count(e.call_id) FROM calls e
			WHERE e.account_id = c.account_id AND e.from_e164 = c.from_e164
				AND (e.started_at, e.call_id) < (c.started_at, c.call_id)) END AS prior_calls,
		ag.agent_id, ag.name AS agent, COALESCE(d.agent_id, '') <> '' AS agent_by_hand,
		p.name AS disposition, p.qualified, d.score_ppm, d.version AS desk_version,
		a.verdict, a.method, a.confidence, a.visitor_confidence, a.contaminated, a.source, a.medium, a.campaign, a.term, a.content, a.click_ids,
		a.landing_page, a.referrer, a.visitor_id, a.session_id, a.pool_id
	FROM calls c
	LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
	LEFT JOIN call_desks d ON d.account_id = c.account_id AND d.call_id = c.call_id
	LEFT JOIN dispositions p ON p.account_id = d.account_id AND p.disposition_id = d.disposition_id
	LEFT JOIN agents ag ON ag.account_id = c.account_id AND ag.agent_id = COALESCE(NULLIF(d.agent_id, ''), (
		SELECT h.agent_id FROM agent_phones h
		WHERE h.account_id = c.account_id AND h.phone = c.answered_by AND (h.held_until IS NULL OR h.held_until > c.started_at)
		ORDER BY h.held_from, h.agent_id LIMIT 1))
	WHERE `

type callRow struct {
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
	PriorCalls       *int64     `db:"prior_calls"`
	AgentID          *string    `db:"agent_id"`
	Agent            *string    `db:"agent"`
	AgentByHand      bool       `db:"agent_by_hand"`
	Disposition      *string    `db:"disposition"`
	Qualified        *bool      `db:"qualified"`
	ScorePPM         *int64     `db:"score_ppm"`
	DeskVersion      *int64     `db:"desk_version"`
	Verdict          *string    `db:"verdict"`
	Method           *string    `db:"method"`
	Confidence       *float64   `db:"confidence"`
	OfVisitor        *float64   `db:"visitor_confidence"`
	Contaminated     *bool      `db:"contaminated"`
	Source           *string    `db:"source"`
	Medium           *string    `db:"medium"`
	Campaign         *string    `db:"campaign"`
	Term             *string    `db:"term"`
	Content          *string    `db:"content"`
	ClickIDs         *string    `db:"click_ids"`
	LandingPage      *string    `db:"landing_page"`
	Referrer         *string    `db:"referrer"`
	VisitorID        *string    `db:"visitor_id"`
	SessionID        *string    `db:"session_id"`
	PoolID           *string    `db:"pool_id"`
}

func (r callRow) value(accountID string) CallRow {
	row := CallRow{
		Call: telephony.Call{
			AccountID: accountID, ID: r.CallID, Provider: r.Provider, ProviderCallID: r.ProviderCallID,
			Direction: telephony.Direction(r.Direction), Status: telephony.Status(orEmpty(r.Status)),
			Outcome: telephony.Outcome(orEmpty(r.Outcome)), CallerKind: telephony.CallerKind(orEmpty(r.FromKind)),
			From: orEmpty(r.FromE164), FromRaw: orEmpty(r.FromRaw), TrackingNumber: orEmpty(r.TrackingNumber),
			NumberID: r.NumberID, Destination: orEmpty(r.Destination), AnsweredBy: orEmpty(r.AnsweredBy), Hops: r.Hops,
			StartedAt: r.StartedAt.Time, AnsweredAt: r.AnsweredAt.Ptr(), EndedAt: r.EndedAt.Ptr(),
			WaitSeconds: r.WaitSeconds, RingSeconds: r.RingSeconds, TalkSeconds: r.TalkSeconds,
			DurationSeconds: r.DurationSeconds, VoicemailSeconds: r.VoicemailSeconds,
			Caller: telephony.CallerDetails{
				Name: r.CallerName, City: r.CallerCity, State: r.CallerState, Zip: r.CallerZip, Country: r.CallerCountry,
			},
			Verstat: r.Verstat, Shell: r.Shell, Imported: r.Imported, Events: r.Events,
		},
		PriorCalls: r.PriorCalls, AgentID: orEmpty(r.AgentID), Agent: orEmpty(r.Agent),
		AgentByHand: r.AgentByHand, Tags: []string{},
		Disposition: orEmpty(r.Disposition), Qualified: r.Qualified, ScorePPM: r.ScorePPM,
	}
	if r.PriorCalls != nil {
		first := *r.PriorCalls == 0
		row.FirstTime = &first
	}
	if r.DeskVersion != nil {
		row.DeskVersion = *r.DeskVersion
	}
	_ = json.Unmarshal([]byte(r.Flags), &row.Flags) // written by telephony as a list of texts
	if r.Verdict != nil {
		row.Attribution = r.attribution()
	}
	return row
}

func (r callRow) attribution() *CallAttribution {
	a := &CallAttribution{
		Verdict: orEmpty(r.Verdict), Method: orEmpty(r.Method), Source: orEmpty(r.Source), Medium: orEmpty(r.Medium),
		Campaign: orEmpty(r.Campaign), Term: orEmpty(r.Term), Content: orEmpty(r.Content), ClickIDs: map[string]string{},
		LandingPage: orEmpty(r.LandingPage), Referrer: orEmpty(r.Referrer),
		VisitorID: orEmpty(r.VisitorID), SessionID: orEmpty(r.SessionID), PoolID: orEmpty(r.PoolID),
	}
	if r.Confidence != nil {
		a.Confidence, a.VisitorConfidence, a.Contaminated = *r.Confidence, *r.OfVisitor, *r.Contaminated
	}
	_ = json.Unmarshal([]byte(orEmpty(r.ClickIDs)), &a.ClickIDs) // written by attribution as an object of texts
	return a
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// read runs the question and completes the rows.
func (f *callFilter) read(ctx context.Context, db store.Querier, limit int) ([]CallRow, error) {
	var found []callRow
	started := `c.started_at`
	if f.named {
		// A sum has no index: named calls are looked up, not met in passing all.
		started += ` + 0`
	}
	query := selectCalls + strings.Join(f.where, "\n\t\tAND ") + `
	ORDER BY ` + started + ` DESC, c.call_id DESC
	LIMIT ?`
	if err := db.Select(ctx, &found, query, append(f.args, limit)...); err != nil {
		return nil, err
	}
	page := callPage{accountID: f.accountID, rows: make([]CallRow, 0, len(found)), byID: map[string]int{}}
	for _, r := range found {
		if _, ok := page.byID[r.CallID]; ok {
			continue
		}
		page.byID[r.CallID] = len(page.rows)
		page.ids = append(page.ids, r.CallID)
		page.rows = append(page.rows, r.value(f.accountID))
	}
	return page.rows, page.complete(ctx, db)
}

// callPage is the rows of one page, to which each reader adds its part.
type callPage struct {
	accountID string
	ids       []string
	byID      map[string]int
	rows      []CallRow
}

func (p *callPage) row(id string) *CallRow { return &p.rows[p.byID[id]] }

func (p *callPage) complete(ctx context.Context, db store.Querier) error {
	if len(p.ids) == 0 {
		return nil
	}
	for _, add := range []func(context.Context, store.Querier) error{p.addTags, p.addNotes, p.addSales, p.addLegs, p.addRecordings, p.addLeads} {
		if err := add(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// many reads the rows of a table that belong to the page's calls.
func (p *callPage) many(ctx context.Context, db store.Querier, dest any, query string) error {
	query, args, err := db.In(query, p.accountID, p.ids)
	if err != nil {
		return err
	}
	return db.Select(ctx, dest, query, args...)
}

func (p *callPage) addTags(ctx context.Context, db store.Querier) error {
	var list []struct {
		CallID string `db:"call_id"`
		Name   string `db:"name"`
	}
	err := p.many(ctx, db, &list, `
		SELECT ct.call_id, t.name
		FROM call_tags ct JOIN tags t ON t.account_id = ct.account_id AND t.tag_id = ct.tag_id
		WHERE ct.account_id = ? AND ct.call_id IN (?)
		ORDER BY t.folded, t.tag_id`)
	for _, t := range list {
		row := p.row(t.CallID)
		row.Tags = append(row.Tags, t.Name)
	}
	return err
}

func (p *callPage) addNotes(ctx context.Context, db store.Querier) error {
	var list []struct {
		CallID string `db:"call_id"`
		Text   string `db:"text"`
	}
	err := p.many(ctx, db, &list, `
		SELECT call_id, text FROM notes
		WHERE account_id = ? AND call_id IN (?)
		ORDER BY written_at, note_id`)
	for _, n := range list {
		p.row(n.CallID).Note = n.Text
	}
	return err
}

// addSales adds up what the calls sold, less refunds. Unlike currencies are
// never added: a call that sold in two of them shows no value.
func (p *callPage) addSales(ctx context.Context, db store.Querier) error {
	var list []struct {
		CallID     string `db:"call_id"`
		Micros     int64  `db:"micros"`
		Currency   string `db:"currency"`
		Currencies int64  `db:"currencies"`
	}
	err := p.many(ctx, db, &list, `
		SELECT call_id, CAST(sum(value_micros) AS BIGINT) AS micros, min(currency) AS currency,
			count(DISTINCT currency) AS currencies
		FROM sales
		WHERE account_id = ? AND call_id IN (?)
		GROUP BY call_id`)
	for _, s := range list {
		if s.Currencies == 1 {
			p.row(s.CallID).Value = &callwheel.Money{Micros: s.Micros, Currency: s.Currency}
		}
	}
	return err
}

func (p *callPage) addLegs(ctx context.Context, db store.Querier) error {
	var list []struct {
		CallID      string     `db:"call_id"`
		Ref         string     `db:"leg_ref"`
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
	err := p.many(ctx, db, &list, `
		SELECT call_id, leg_ref, number, status, initiated_at, ringing_at, answered_at, ended_at, talk_seconds, bridged, sip_code
		FROM legs
		WHERE account_id = ? AND call_id IN (?)
		ORDER BY call_id, initiated_at NULLS LAST, leg_ref`)
	for _, l := range list {
		row := p.row(l.CallID)
		row.Legs = append(row.Legs, telephony.Leg{
			Ref: l.Ref, Number: l.Number, Status: telephony.Status(l.Status),
			InitiatedAt: l.InitiatedAt.Ptr(), RingingAt: l.RingingAt.Ptr(), AnsweredAt: l.AnsweredAt.Ptr(), EndedAt: l.EndedAt.Ptr(),
			TalkSeconds: l.TalkSeconds, Bridged: truth(l.Bridged), SIPCode: l.SIPCode,
		})
	}
	return err
}

func truth(b *bool) telephony.Truth {
	switch {
	case b == nil:
		return telephony.Unknown
	case *b:
		return telephony.Yes
	}
	return telephony.No
}

// addRecordings adds the recordings of the conversation before voicemails.
func (p *callPage) addRecordings(ctx context.Context, db store.Querier) error {
	var list []struct {
		CallID     string     `db:"call_id"`
		ID         string     `db:"recording_id"`
		Kind       string     `db:"kind"`
		State      string     `db:"state"`
		Seconds    *int64     `db:"seconds"`
		Channels   *int64     `db:"channels"`
		MediaType  string     `db:"media_type"`
		Bytes      *int64     `db:"media_bytes"`
		Transcript string     `db:"transcript"`
		FinishedAt store.Time `db:"finished_at"`
		KeptAt     store.Time `db:"kept_at"`
		DeletedAt  store.Time `db:"deleted_at"`
	}
	err := p.many(ctx, db, &list, `
		SELECT call_id, recording_id, kind, state, seconds, channels, media_type, media_bytes, transcript,
			finished_at, kept_at, deleted_at
		FROM recordings
		WHERE account_id = ? AND call_id IN (?) AND kind IN ('call', 'voicemail')
		ORDER BY call_id, kind, finished_at DESC, recording_id`)
	for _, r := range list {
		row := p.row(r.CallID)
		row.Recordings = append(row.Recordings, telephony.Recording{
			ID: r.ID, CallID: r.CallID, Kind: r.Kind, State: r.State, Seconds: r.Seconds, Channels: r.Channels,
			MediaType: r.MediaType, Bytes: r.Bytes, Transcript: r.Transcript,
			FinishedAt: r.FinishedAt.Ptr(), KeptAt: r.KeptAt.Ptr(), DeletedAt: r.DeletedAt.Ptr(),
		})
	}
	return err
}
