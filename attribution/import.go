package attribution

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
		moments := map[string][]time.Time{} // at which persons' touches changed
		for i, t := range touches {
			row := t.row(sources)
			if row.Medium == "" && row.SourceID != "" {
				if row.Medium, err = mediumOf(ctx, tx, who.AccountID, row.SourceID, t.At); err != nil {
					return err
				}
			}
			old, there := standing[row.ID]
			switch {
			case there && old == row:
				done[i] = telephony.ImportUnchanged
				continue
			case there:
				done[i] = telephony.ImportCorrected
				moments[old.Person] = append(moments[old.Person], old.At.Time)
			default:
				done[i] = telephony.ImportNew
			}
			moments[t.Person] = append(moments[t.Person], t.At)
			if err := l.writeTouch(ctx, tx, who.AccountID, row); err != nil {
				return err
			}
		}
		return l.relink(ctx, tx, who.AccountID, moments)
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

const fileSays = "The file that brought the call in says so."

// UntrackedSource is what a file says of a call that nobody we know of made.
const UntrackedSource = "untracked"

// ImportedCall says what earned a call that was brought in. Source "" leaves the
// question to us: the number may be bound to a source, or the caller's history
// explain it. Confidence is how sure it is that the source earned the call, above 0
// and at most 1.
type ImportedCall struct {
	telephony.ImportedCall
	Source, Medium, Campaign string
	Confidence               float64
}

// call is what there is to judge.
func (c ImportedCall) call(accountID string) telephony.Call {
	kind, from := telephony.Classify(c.From)
	return telephony.Call{
		AccountID: accountID, ID: c.ID(), Direction: telephony.Inbound, CallerKind: kind, From: from,
		TrackingNumber: c.TrackingNumber, StartedAt: c.StartedAt,
	}
}

// told is what the file says of where the call came from, nil for nothing.
// Without a source id it says that nobody knows.
func (c ImportedCall) told(sources map[string]Source) *Candidate {
	if c.Source == "" {
		return nil
	}
	s := sources[strings.ToLower(cleanText(c.Source, 4*maxName))]
	return &Candidate{
		SourceID: s.ID, Source: s.Name, Medium: strings.ToLower(c.Medium), Campaign: c.Campaign, Weight: c.Confidence, Evidence: []string{fileSays},
	}
}

// told is what a file said of where the call came from: it stands as the only
// candidate, while source, medium and campaign of the attribution are those of
// the touch that explains it.
func (a Attribution) told() *Candidate {
	switch {
	case a.Method != MethodImported:
		return nil
	case len(a.Candidates) > 0:
		return &a.Candidates[0]
	}
	// As it was kept before: what the file said, and no more.
	return &Candidate{SourceID: a.SourceID, Source: a.Source, Medium: a.Medium, Campaign: a.Campaign, Weight: 1, Evidence: []string{fileSays}}
}

// ImportCalls attributes calls that were brought in, and are kept already, and
// says of which that changed anything. A call whose file names a source comes
// from the latest touch of that source that its person has before it, within
// Config.KnownSource; without one it is a touch itself, as a call to a printed
// number is. A call of which the file names none is attributed like one that
// comes in, and where its number says nothing, to the latest touch of its person.
// Missing sources are made.
func (l *Ledger) ImportCalls(ctx context.Context, who account.Identity, calls []ImportedCall) (changed []bool, made []string, err error) {
	err = l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed, made = make([]bool, len(calls)), nil
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
		ids := make([]string, len(calls))
		for i, c := range calls {
			ids[i] = c.ID()
		}
		standing, err := standingOf(ctx, tx, who.AccountID, ids)
		if err != nil {
			return err
		}
		for i, c := range calls {
			call := c.call(who.AccountID)
			if changed[i], err = l.attributeImported(ctx, tx, call, c.told(sources), standing[call.ID]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("attribute imported calls: %w", err)
	}
	return changed, made, nil
}

// attributeImported keeps what earned a call that was brought in, and says
// whether that changed anything. standing is what was kept of it; nil for nothing.
func (l *Ledger) attributeImported(ctx context.Context, tx *store.Tx, call telephony.Call, told *Candidate, standing *Attribution) (bool, error) {
	a, err := l.concludeImported(ctx, tx, call, told, standing)
	if err != nil || standing != nil && a.says(*standing) {
		return false, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM attributions WHERE account_id = ? AND call_id = ?`, call.AccountID, call.ID); err != nil {
		return false, err
	}
	return l.keep(ctx, tx, call, a)
}

func (l *Ledger) concludeImported(ctx context.Context, tx *store.Tx, call telephony.Call, told *Candidate, standing *Attribution) (Attribution, error) {
	if told != nil {
		return l.byFile(ctx, tx, call, *told)
	}
	var a Attribution
	switch {
	case standing == nil || standing.Method == MethodImported:
		var err error
		if a, err = l.conclude(ctx, tx, call); err != nil || !a.empty() {
			return a, err
		}
	case standing.ModelVersion == importRule:
		a = *standing
		a.Method, a.Candidates = MethodNone, nil // its number told nothing
	case standing.empty():
		a = *standing
	default:
		return *standing, nil // as a call that came in
	}
	explained, err := l.byHistory(ctx, tx, call, &a)
	if err == nil && !explained && a.ModelVersion == importRule {
		return l.conclude(ctx, tx, call)
	}
	return a, err
}

// standingOf are the attributions of calls as they stand.
func standingOf(ctx context.Context, q store.Querier, accountID string, callIDs []string) (map[string]*Attribution, error) {
	found := map[string]*Attribution{}
	if len(callIDs) == 0 {
		return found, nil
	}
	query, args, err := q.In(attributionsOfCalls, accountID, callIDs)
	if err != nil {
		return nil, err
	}
	var rows []attributionRow
	if err := q.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read attributions: %w", err)
	}
	for _, r := range rows {
		a := r.attribution()
		found[r.CallID] = &a
	}
	return found, nil
}

// empty says whether the number that was called tells nothing: nobody was ever
// shown it.
func (a Attribution) empty() bool { return a.Method == MethodNone && len(a.Candidates) == 0 }

// says whether two attributions of a call that was brought in conclude the same.
// A source may be called otherwise by now.
func (a Attribution) says(b Attribution) bool {
	key := func(a Attribution) string {
		told := Candidate{}
		if t := a.told(); t != nil {
			told = Candidate{SourceID: t.SourceID, Medium: t.Medium, Campaign: t.Campaign, Weight: t.Weight}
		}
		return fmt.Sprintf("%q", []string{
			string(a.Verdict), string(a.Method), a.SourceID, a.Medium, a.Campaign, a.Term, a.Content, clickJSON(a.ClickIDs), a.LandingPage, a.Referrer,
			a.TouchID, a.PoolID, toJSON([]Candidate{told}),
		})
	}
	return key(a) == key(b)
}

// byFile is the verdict on a call whose file tells where it came from. What it
// leaves open is taken from the touch that explains the call, or from the source.
func (l *Ledger) byFile(ctx context.Context, tx *store.Tx, call telephony.Call, told Candidate) (Attribution, error) {
	a := Attribution{
		CallID: call.ID, Verdict: Untracked, Method: MethodImported, Confidence: 1, UntrackedWeight: 1, ModelVersion: importRule,
		Candidates: []Candidate{}, JudgedAt: store.At(l.now()).Time,
	}
	if told.SourceID == "" {
		return a, nil
	}
	a.Verdict, a.Confidence, a.UntrackedWeight = BySource, told.Weight, left(told.Weight)
	if a.Confidence < minConfidence {
		a.Verdict = Ambiguous
	}
	a.Candidates, a.Why = append(a.Candidates, told), []string{fileSays}
	touch, err := l.explains(ctx, tx, call, &told)
	if err != nil || touch != nil {
		a.by(touch)
		a.SourceID, a.Source = told.SourceID, told.Source
		return a, err
	}
	a.Classification = Classification{SourceID: told.SourceID, Source: told.Source, Medium: told.Medium, Campaign: told.Campaign}
	if a.Medium == "" {
		a.Medium, err = mediumOf(ctx, tx, call.AccountID, told.SourceID, call.StartedAt)
	}
	return a, err
}

// byHistory gives a call whose number tells nothing to the latest touch of its
// person, and says whether there is one.
func (l *Ledger) byHistory(ctx context.Context, tx *store.Tx, call telephony.Call, a *Attribution) (explained bool, err error) {
	touch, err := l.explains(ctx, tx, call, nil)
	if err != nil || touch == nil {
		return false, err
	}
	a.by(touch)
	a.Verdict, a.Method, a.Confidence, a.UntrackedWeight, a.ModelVersion = BySource, MethodCaller, confidenceCaller, left(confidenceCaller), importRule
	a.Candidates = []Candidate{{
		SourceID: a.SourceID, Source: a.Source, Medium: a.Medium, Campaign: a.Campaign, Weight: confidenceCaller,
		Evidence: []string{"Is where the caller had come from before."},
	}}
	a.Why = []string{fmt.Sprintf("The number that was dialled tells nothing; the caller had come from %s before.", described(a.Classification))}
	return true, nil
}

// by takes over what the touch tells.
func (a *Attribution) by(t *touchRow) {
	if t != nil {
		touch := t.touch()
		a.TouchID, a.Classification = touch.ID, touch.Classification
	}
}

// mediumOf is the medium that a source had at an instant.
func mediumOf(ctx context.Context, q store.Querier, accountID, sourceID string, at time.Time) (medium string, err error) {
	err = q.Get(ctx, &medium, mediumAt, store.Micros(at), accountID, sourceID)
	return medium, err
}

// touchesBefore are the latest touches of whoever a phone is known to be.
const touchesBefore = `
SELECT ` + touchColumns + `
FROM touches
WHERE account_id = ? AND touched_at <= ? AND touched_at >= ? AND (person = ? OR person IN (
    SELECT alias FROM person_links WHERE account_id = ? AND person = ?))
ORDER BY touched_at DESC, touch_id DESC
LIMIT 500`

// explains finds the touch from which a call came that was brought in, nil for
// none: the latest of the source that its file tells, or of any, where a direct
// one does not hide where somebody came from before.
func (l *Ledger) explains(ctx context.Context, tx *store.Tx, call telephony.Call, told *Candidate) (*touchRow, error) {
	if call.CallerKind != telephony.CallerE164 {
		return nil, nil
	}
	var rows []touchRow
	err := tx.Select(ctx, &rows, touchesBefore, call.AccountID, store.Micros(call.StartedAt), store.Micros(call.StartedAt.Add(-l.cfg.KnownSource)),
		call.From, call.AccountID, call.From)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	if told == nil {
		known := slices.IndexFunc(rows, func(t touchRow) bool { return !strings.EqualFold(t.Source, "direct") })
		return &rows[max(known, 0)], nil
	}
	open := func(told, has string) bool { return told == "" || strings.EqualFold(told, has) }
	i := slices.IndexFunc(rows, func(t touchRow) bool {
		same := t.SourceID == told.SourceID || t.SourceID == "" && strings.EqualFold(t.Source, told.Source)
		return same && open(told.Medium, t.Medium) && open(told.Campaign, t.Campaign)
	})
	if i < 0 {
		return nil, nil
	}
	return &rows[i], nil
}

// importedCallsOf are the calls of some callers that were brought in.
const importedCallsOf = `
SELECT ` + callColumns + `
FROM calls c
WHERE c.account_id = ? AND c.from_e164 IN (?) AND c.provider = '` + telephony.ImportProvider + `'`

// relink looks again which touch explains the imported calls of persons, after
// touches changed at the moments: what files come to must not depend on their
// order.
func (l *Ledger) relink(ctx context.Context, tx *store.Tx, accountID string, moments map[string][]time.Time) error {
	callers, err := callersOf(ctx, tx, accountID, moments)
	if err != nil || len(callers) == 0 {
		return err
	}
	query, args, err := tx.In(importedCallsOf, accountID, slices.Sorted(maps.Keys(callers)))
	if err != nil {
		return err
	}
	var rows []callRow
	if err := tx.Select(ctx, &rows, query, args...); err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r callRow) bool {
		return !slices.ContainsFunc(callers[r.From], func(at time.Time) bool {
			return !at.After(r.StartedAt.Time) && r.StartedAt.Sub(at) <= l.cfg.KnownSource
		})
	})
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	standing, err := standingOf(ctx, tx, accountID, ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		a := standing[r.ID]
		if a == nil {
			continue // its file is still being read: that attributes it
		}
		if _, err := l.attributeImported(ctx, tx, r.call(), a.told(), a); err != nil {
			return err
		}
	}
	return nil
}

// callersOf returns the moments by the phone numbers that the persons are known
// by.
func callersOf(ctx context.Context, q store.Querier, accountID string, moments map[string][]time.Time) (map[string][]time.Time, error) {
	callers := map[string][]time.Time{}
	var others []string
	for person, at := range moments {
		if strings.HasPrefix(person, "+") {
			callers[person] = at
		} else {
			others = append(others, person)
		}
	}
	if len(others) == 0 {
		return callers, nil
	}
	query, args, err := q.In(`SELECT alias, person FROM person_links WHERE account_id = ? AND alias IN (?)`, accountID, others)
	if err != nil {
		return nil, err
	}
	var links []struct {
		Alias  string `db:"alias"`
		Person string `db:"person"`
	}
	err = q.Select(ctx, &links, query, args...)
	for _, link := range links {
		callers[link.Person] = slices.Concat(callers[link.Person], moments[link.Alias])
	}
	return callers, err
}

func fieldsOf(err error) []callwheel.FieldError {
	var e *callwheel.Error
	if !errors.As(err, &e) {
		return nil
	}
	return e.Fields
}
