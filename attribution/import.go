package attribution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// ImportedTouch is an arrival that another system saw.
type ImportedTouch struct {
	ID          string // the other system's, unique in the account
	Person      string // any stable string; an E.164 number is the caller of that number
	At          time.Time
	Source      string
	Medium      string
	Campaign    string
	Term        string
	Content     string
	ClickID     string
	LandingPage string
	Referrer    string
}

const (
	maxImportID   = 200
	maxImportText = 2000
	importRule    = "import"
	importedTouch = "imp_" // before the other system's id: ids of ours cannot be met, and theirs keep their order
)

// Check lists what cannot be: the fields are named as in the file.
func (t ImportedTouch) Check() []callwheel.FieldError {
	var bad fields
	for _, f := range []struct{ field, text string }{{"touch_id", t.ID}, {"person", t.Person}} {
		if f.text == "" || len(f.text) > maxImportID {
			bad.add(f.field, "must have from 1 to %d characters", maxImportID)
		}
	}
	bad = append(bad, CheckSourceName(t.Source)...)
	for _, f := range []struct{ field, text string }{
		{"medium", t.Medium},
		{"campaign", t.Campaign},
		{"term", t.Term},
		{"content", t.Content},
		{"click_id", t.ClickID},
		{"landing_page", t.LandingPage},
		{"referrer", t.Referrer},
	} {
		if len(f.text) > maxImportText {
			bad.add(f.field, "must have at most %d characters", maxImportText)
		}
	}
	return bad
}

// CheckSourceName lists what keeps a text from being the name of a source.
func CheckSourceName(name string) []callwheel.FieldError {
	s := Source{Name: name, Kind: "online"}
	err := s.check()
	if err == nil {
		return nil
	}
	var bad fields
	for _, f := range fieldsOf(err) {
		bad.add("source", "%s", f.Message)
	}
	return bad
}

// SourceNames finds the sources of the account that names mean, whatever their
// case and also by a former name, and makes those that are missing. It returns
// them by folded name, and the names of those it made.
func (l *Ledger) SourceNames(ctx context.Context, who account.Identity, names []string) (map[string]Source, []string, error) {
	var found map[string]Source
	var made []string
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		found, made, err = l.sourceNames(ctx, tx, who, names)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find the sources by name: %w", err)
	}
	return found, made, nil
}

func (l *Ledger) sourceNames(ctx context.Context, tx *store.Tx, who account.Identity, names []string) (map[string]Source, []string, error) {
	found := map[string]Source{}
	var made []string
	var rows []sourceRow
	if err := tx.Select(ctx, &rows, listSources, who.AccountID, "", who.AccountID, "", limitOf(0)); err != nil {
		return nil, nil, err
	}
	byID := map[string]Source{}
	for _, r := range rows {
		s := r.source()
		found[strings.ToLower(s.Name)], byID[s.ID] = s, s
	}
	var former []struct {
		Folded string `db:"folded"`
		ID     string `db:"source_id"`
	}
	if err := tx.Select(ctx, &former, `SELECT folded, source_id FROM source_names WHERE account_id = ?`, who.AccountID); err != nil {
		return nil, nil, err
	}
	for _, f := range former {
		if s, ok := byID[f.ID]; ok && found[f.Folded].ID == "" {
			found[f.Folded] = s
		}
	}
	for _, name := range names {
		if name == "" || found[strings.ToLower(cleanText(name, 4*maxName))].ID != "" {
			continue
		}
		s := Source{AccountID: who.AccountID, ID: callwheel.NewID("src"), Name: name, Kind: "online", Version: 1, CreatedAt: store.At(l.now()).Time}
		if err := s.check(); err != nil {
			return nil, nil, err
		}
		if err := tx.Get(ctx, &s.Position, nextPosition, who.AccountID); err != nil {
			return nil, nil, err
		}
		if err := l.insertSource(ctx, tx, who, s); err != nil {
			return nil, nil, err
		}
		found[strings.ToLower(s.Name)] = s
		made = append(made, s.Name)
	}
	return found, made, nil
}

// ImportTouches keeps arrivals that were brought in, all or none, and says of
// each what became of it: the same id again corrects. Sources that they name
// are made where there are none; their names are returned. Calls that were
// brought in, and that the touches explain, refer to them from then on.
func (l *Ledger) ImportTouches(ctx context.Context, who account.Identity, touches []ImportedTouch) (done []telephony.Imported, made []string, err error) {
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done, made = make([]telephony.Imported, len(touches)), nil
		names, ids := make([]string, len(touches)), make([]string, len(touches))
		for i, t := range touches {
			names[i], ids[i] = t.Source, importedTouch+t.ID
		}
		var sources map[string]Source
		var err error
		if sources, made, err = l.sourceNames(ctx, tx, who, names); err != nil {
			return err
		}
		standing, err := touchesByID(ctx, tx, who.AccountID, ids)
		if err != nil {
			return err
		}
		var persons []string
		for i, t := range touches {
			row := t.row(sources)
			old, there := standing[row.ID]
			switch {
			case there && old == row:
				done[i] = telephony.ImportUnchanged
				continue
			case there:
				done[i] = telephony.ImportCorrected
				persons = append(persons, old.Person)
			default:
				done[i] = telephony.ImportNew
			}
			persons = append(persons, t.Person)
			if err := l.writeTouch(ctx, tx, who.AccountID, row); err != nil {
				return err
			}
		}
		return l.relink(ctx, tx, who.AccountID, persons)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("import touches: %w", err)
	}
	return done, made, nil
}

// row is the touch as it is kept.
func (t ImportedTouch) row(sources map[string]Source) touchRow {
	clicks := map[string]string{}
	if t.ClickID != "" {
		clicks["click_id"] = t.ClickID
	}
	s := sources[strings.ToLower(cleanText(t.Source, 4*maxName))]
	return touchRow{
		ID: importedTouch + t.ID, Person: t.Person, At: store.At(t.At), SourceID: s.ID, Source: s.Name, Medium: strings.ToLower(t.Medium),
		Campaign: t.Campaign, Term: t.Term, Content: t.Content, ClickIDs: clickJSON(clicks), LandingPage: t.LandingPage, Referrer: t.Referrer, Rule: importRule,
	}
}

func touchesByID(ctx context.Context, q store.Querier, accountID string, ids []string) (map[string]touchRow, error) {
	query, args, err := q.In(`SELECT `+touchColumns+` FROM touches WHERE account_id = ? AND touch_id IN (?)`, accountID, ids)
	if err != nil {
		return nil, err
	}
	var rows []touchRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	found := map[string]touchRow{}
	for _, r := range rows {
		found[r.ID] = r
	}
	return found, nil
}

func (l *Ledger) writeTouch(ctx context.Context, tx *store.Tx, accountID string, r touchRow) error {
	_, err := tx.Exec(ctx, addTouch+`
		ON CONFLICT (account_id, touch_id) DO UPDATE SET
			person = excluded.person, touched_at = excluded.touched_at, source_id = excluded.source_id, source = excluded.source,
			medium = excluded.medium, campaign = excluded.campaign, term = excluded.term, content = excluded.content,
			click_ids = excluded.click_ids, landing_page = excluded.landing_page, referrer = excluded.referrer`,
		accountID, r.ID, r.Person, r.SessionID, r.At, r.SourceID, r.Source, r.Medium, r.Campaign, r.Term, r.Content,
		r.ClickIDs, r.LandingPage, r.Referrer, r.Rule, store.Micros(l.now()))
	return err
}

// UntrackedSource is what a file says of a call that nobody we know of made.
const UntrackedSource = "untracked"

// ImportedCall says what earned a call that was brought in. Source "" leaves the
// question to us: the number may be bound to a source.
type ImportedCall struct {
	telephony.ImportedCall
	Source, Medium, Campaign string
}

// importedRow is an imported attribution as it stands.
type importedRow struct {
	CallID    string     `db:"call_id"`
	Caller    string     `db:"caller"`
	StartedAt store.Time `db:"started_at"`
	SourceID  string     `db:"source_id"`
	Source    string     `db:"source"`
	Medium    string     `db:"medium"`
	Campaign  string     `db:"campaign"`
	TouchID   string     `db:"touch_id"`
}

// ImportCalls attributes calls that were brought in, and are kept already, to
// the sources that the file names, and says of which that changed anything. A
// call whose person has touches of its source before it, within
// Config.KnownSource, is the outcome of the latest of them; another is a touch
// itself, as a call to a printed number is. Missing sources are made.
func (l *Ledger) ImportCalls(ctx context.Context, who account.Identity, calls []ImportedCall) (changed []bool, made []string, err error) {
	var ours []int
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed, made, ours = make([]bool, len(calls)), nil, nil
		var names []string
		for _, c := range calls {
			if !strings.EqualFold(c.Source, UntrackedSource) {
				names = append(names, c.Source)
			}
		}
		sources, created, err := l.sourceNames(ctx, tx, who, names)
		if err != nil {
			return err
		}
		made = created
		for i, c := range calls {
			if changed[i], err = l.importAttribution(ctx, tx, who.AccountID, c, sources); err != nil {
				return err
			}
			if c.Source == "" {
				ours = append(ours, i)
			}
		}
		return nil
	})
	for _, i := range ours {
		if err != nil {
			break
		}
		c := calls[i]
		kind, from := telephony.Classify(c.From)
		_, err = l.Attribute(ctx, telephony.Call{
			AccountID: who.AccountID, ID: c.ID(), Direction: telephony.Inbound, CallerKind: kind, From: from,
			TrackingNumber: c.TrackingNumber, StartedAt: c.StartedAt,
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("attribute imported calls: %w", err)
	}
	return changed, made, nil
}

func (l *Ledger) importAttribution(ctx context.Context, tx *store.Tx, accountID string, c ImportedCall, sources map[string]Source) (bool, error) {
	var standing []attributionRow
	if err := tx.Select(ctx, &standing, attributionOfCall, accountID, c.ID()); err != nil {
		return false, err
	}
	imported := len(standing) > 0 && standing[0].Method == string(MethodImported)
	a := Attribution{CallID: c.ID(), Method: MethodImported, Confidence: 1, Verdict: Untracked, UntrackedWeight: 1, ModelVersion: importRule}
	if s, ok := sources[strings.ToLower(cleanText(c.Source, 4*maxName))]; ok && c.Source != "" {
		a.Verdict, a.UntrackedWeight = BySource, 0
		a.Classification = Classification{SourceID: s.ID, Source: s.Name, Medium: strings.ToLower(c.Medium), Campaign: c.Campaign}
		a.Why = []string{"the file that brought the call in says so"}
		kind, from := telephony.Classify(c.From)
		if kind == telephony.CallerE164 {
			row := importedRow{Caller: from, StartedAt: store.At(c.StartedAt), SourceID: s.ID, Medium: a.Medium, Campaign: a.Campaign}
			touch, err := l.explains(ctx, tx, accountID, row)
			if err != nil {
				return false, err
			}
			a.explainedBy(touch)
		}
	}
	switch {
	case c.Source == "" && !imported:
		return false, nil
	case imported && c.Source != "" && a.says(standing[0].attribution()):
		return false, nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM attributions WHERE account_id = ? AND call_id = ?`, accountID, c.ID()); err != nil || c.Source == "" {
		return true, err
	}
	now := store.Micros(l.now())
	_, err := tx.Exec(ctx, addAttribution, accountID, a.CallID, string(a.Verdict), string(a.Method), a.Confidence, a.VisitorConfidence,
		a.UntrackedWeight, a.Background, a.Contaminated, a.SourceID, a.Source, a.Medium, a.Campaign, a.Term, a.Content, clickJSON(a.ClickIDs),
		a.LandingPage, a.Referrer, a.VisitorID, a.SessionID, a.LeaseID, a.TouchID, a.PoolID, a.ModelVersion, toJSON(a.Candidates), toJSON(a.Why),
		now, now)
	return true, err
}

// says whether two attributions that were brought in conclude the same.
func (a Attribution) says(b Attribution) bool {
	key := func(a Attribution) [6]string {
		return [6]string{string(a.Verdict), a.SourceID, a.Medium, a.Campaign, a.TouchID, a.LandingPage}
	}
	return key(a) == key(b)
}

// explainedBy takes over what the touch tells beyond source, medium and
// campaign.
func (a *Attribution) explainedBy(t *touchRow) {
	if t == nil {
		a.TouchID, a.Term, a.Content, a.ClickIDs, a.LandingPage, a.Referrer = "", "", "", nil, "", ""
		return
	}
	a.TouchID, a.Term, a.Content, a.ClickIDs = t.ID, t.Term, t.Content, clickMap(t.ClickIDs)
	a.LandingPage, a.Referrer = t.LandingPage, t.Referrer
}

// touchesBefore are the latest touches of whoever a phone is known to be.
const touchesBefore = `
SELECT ` + touchColumns + `
FROM touches
WHERE account_id = ? AND touched_at <= ? AND touched_at >= ? AND (person = ? OR person IN (
    SELECT alias FROM person_links WHERE account_id = ? AND person = ?))
ORDER BY touched_at DESC, touch_id DESC
LIMIT 500`

// explains finds the touch by which the source of an imported call met its
// caller, nil for none.
func (l *Ledger) explains(ctx context.Context, tx *store.Tx, accountID string, r importedRow) (*touchRow, error) {
	var rows []touchRow
	err := tx.Select(ctx, &rows, touchesBefore, accountID, r.StartedAt, store.Micros(r.StartedAt.Add(-l.cfg.KnownSource)), r.Caller, accountID, r.Caller)
	if err != nil {
		return nil, err
	}
	open := func(told, has string) bool { return told == "" || strings.EqualFold(told, has) }
	i := slices.IndexFunc(rows, func(t touchRow) bool {
		return t.SourceID == r.SourceID && open(r.Medium, t.Medium) && open(r.Campaign, t.Campaign)
	})
	if i < 0 {
		return nil, nil
	}
	return &rows[i], nil
}

// importedCallsOf are the calls of some callers whose source a file told.
const importedCallsOf = `
SELECT c.call_id, c.from_e164 AS caller, c.started_at, a.source_id, a.source, a.medium, a.campaign, a.touch_id
FROM calls c
JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
WHERE c.account_id = ? AND c.from_e164 IN (?) AND a.method = 'imported' AND a.verdict = 'source'`

// relink looks again which touch explains the imported calls of persons whose
// touches changed: what files come to must not depend on their order.
func (l *Ledger) relink(ctx context.Context, tx *store.Tx, accountID string, persons []string) error {
	callers, err := callersOf(ctx, tx, accountID, persons)
	if err != nil || len(callers) == 0 {
		return err
	}
	query, args, err := tx.In(importedCallsOf, accountID, callers)
	if err != nil {
		return err
	}
	var rows []importedRow
	if err := tx.Select(ctx, &rows, query, args...); err != nil {
		return err
	}
	for _, r := range rows {
		touch, err := l.explains(ctx, tx, accountID, r)
		if err != nil {
			return err
		}
		var a Attribution
		a.explainedBy(touch)
		_, err = tx.Exec(ctx, `
			UPDATE attributions SET touch_id = ?, term = ?, content = ?, click_ids = ?, landing_page = ?, referrer = ?, attributed_at = ?
			WHERE account_id = ? AND call_id = ? AND (touch_id, term, content, click_ids, landing_page, referrer) <> (?, ?, ?, ?, ?, ?)`,
			a.TouchID, a.Term, a.Content, clickJSON(a.ClickIDs), a.LandingPage, a.Referrer, store.Micros(l.now()), accountID, r.CallID,
			a.TouchID, a.Term, a.Content, clickJSON(a.ClickIDs), a.LandingPage, a.Referrer)
		if err != nil {
			return err
		}
	}
	return nil
}

// callersOf returns the phone numbers that persons are known by.
func callersOf(ctx context.Context, q store.Querier, accountID string, persons []string) ([]string, error) {
	var callers, others []string
	slices.Sort(persons)
	for _, p := range slices.Compact(persons) {
		if strings.HasPrefix(p, "+") {
			callers = append(callers, p)
		} else {
			others = append(others, p)
		}
	}
	if len(others) == 0 {
		return callers, nil
	}
	query, args, err := q.In(`SELECT person FROM person_links WHERE account_id = ? AND alias IN (?)`, accountID, others)
	if err != nil {
		return nil, err
	}
	var linked []string
	err = q.Select(ctx, &linked, query, args...)
	return append(callers, linked...), err
}

func fieldsOf(err error) []callwheel.FieldError {
	var e *callwheel.Error
	if !errors.As(err, &e) {
		return nil
	}
	return e.Fields
}
