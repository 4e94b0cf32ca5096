package scoring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// importer is the author of judgements that were brought in.
const importer = "import"

// ImportedDesk is what another system says of a call: whose it was, what became
// of it, what it sold. What is empty was not told.
type ImportedDesk struct {
	CallID     string
	Outcome    telephony.Outcome // of the call; "" where the file does not tell
	At         time.Time         // when it was said: a file tells of the end of the call
	StartedAt  time.Time         // when the call began, and what it sold was sold
	Agent      string            // names of the account's lists; those that are missing are made
	Tags       []string
	Given      []GivenDisposition // what it was judged as, in the order of time: the last one counts
	Value      *callwheel.Money   // what it sold, with the margin of that and what was given back
	Margin     *callwheel.Money
	Refunded   *callwheel.Money
	ScorePPM   *int64     // how well it was handled, in millionths of full marks
	CSAT, NPS  *int64     // what the caller said
	RatedAt    *time.Time // when; nil: At
	CalledBack *time.Time // when the business called back and somebody was reached
	From       string     // the caller's number, "" for none; needed for
	ReferredBy string     // the number of who sent the caller
}

// GivenDisposition is a disposition of the account's list, by its name, and when
// a call was given it.
type GivenDisposition struct {
	Name string
	At   time.Time
}

// Check lists what cannot be: the fields are named as in the file.
func (i ImportedDesk) Check() []callwheel.FieldError {
	var bad []callwheel.FieldError
	name := func(field, text string) {
		if _, problem := cleanName(text); text != "" && problem != "" {
			bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
		}
	}
	name("agent", i.Agent)
	for n, g := range i.Given {
		name("disposition", g.Name)
		switch {
		case g.At.Before(i.StartedAt):
			bad = append(bad, callwheel.FieldError{Field: "disposed_at", Message: "is before the call itself"})
		case n > 0 && g.At.Before(i.Given[n-1].At):
			bad = append(bad, callwheel.FieldError{Field: "disposed_at", Message: "must go on in time: the last disposition counts"})
		}
	}
	for _, t := range i.Tags {
		name("tags", t)
	}
	bad = append(bad, checkWorth(i.Value, i.Margin, i.Refunded)...)
	return append(bad, i.checkFacts()...)
}

// Made are the names that an import added to the account's lists.
type Made struct{ Agents, Tags, Dispositions []string }

// lists are the account's lists by folded name.
type lists struct{ agents, tags, dispositions map[string]string }

type listed struct {
	ID      string     `db:"id"`
	Name    string     `db:"name"`
	Retired store.Time `db:"retired_at"`
}

// ImportDesks keeps what files say of calls that are kept already, all or none,
// and says of each whether that changed anything. What was said by an import
// before is corrected; what people said stays. Names that the account's lists
// have not are added: dispositions with stage none, because nobody knows better.
// Errors: NotFound for a call that is not there, Invalid for a value below what
// was given back of the sale.
func (d *Desk) ImportDesks(ctx context.Context, who account.Identity, list []ImportedDesk) (changed []bool, made Made, err error) {
	err = d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed, made = make([]bool, len(list)), Made{}
		known, err := readLists(ctx, tx, who.AccountID)
		if err != nil {
			return err
		}
		if err := d.complete(ctx, tx, who, known, list, &made); err != nil {
			return err
		}
		for i, one := range list {
			if changed[i], err = d.importDesk(ctx, tx, who.AccountID, known, one); err != nil {
				return fmt.Errorf("call %s: %w", one.CallID, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, Made{}, fmt.Errorf("import what was said of calls: %w", err)
	}
	return changed, made, nil
}

func readLists(ctx context.Context, q store.Querier, accountID string) (lists, error) {
	read := func(query string) (map[string]string, error) {
		var rows []listed
		if err := q.Select(ctx, &rows, query, accountID); err != nil {
			return nil, err
		}
		// Present ones take the name from those that retired.
		slices.SortStableFunc(rows, func(a, b listed) int {
			if a.Retired.IsZero() == b.Retired.IsZero() {
				return 0
			}
			if a.Retired.IsZero() {
				return 1
			}
			return -1
		})
		found := map[string]string{}
		for _, r := range rows {
			found[Fold(r.Name)] = r.ID
		}
		return found, nil
	}
	var l lists
	var err error
	if l.agents, err = read(`SELECT agent_id AS id, name, retired_at FROM agents WHERE account_id = ? ORDER BY created_at DESC, agent_id DESC`); err != nil {
		return l, err
	}
	if l.tags, err = read(`SELECT tag_id AS id, name, retired_at FROM tags WHERE account_id = ? AND retired_at IS NULL`); err != nil {
		return l, err
	}
	l.dispositions, err = read(`SELECT disposition_id AS id, name, retired_at FROM dispositions WHERE account_id = ? AND retired_at IS NULL`)
	return l, err
}

// complete adds the names that the lists have not.
func (d *Desk) complete(ctx context.Context, tx *store.Tx, who account.Identity, known lists, list []ImportedDesk, made *Made) error {
	add := func(have map[string]string, name string, names *[]string, insert func(clean string) (id, action string, err error)) error {
		if name == "" || have[Fold(name)] != "" {
			return nil
		}
		clean, problem := cleanName(name)
		if problem != "" {
			return callwheel.InvalidField("name", "%s", problem)
		}
		id, action, err := insert(clean)
		have[Fold(name)] = id
		*names = append(*names, clean)
		return d.audited(ctx, tx, who, action, id, map[string]any{"name": clean}, err)
	}
	now := store.At(d.now())
	for _, one := range list {
		err := add(known.agents, one.Agent, &made.Agents, func(clean string) (string, string, error) {
			id := callwheel.NewID("agent")
			_, err := tx.Exec(ctx, `INSERT INTO agents (account_id, agent_id, name, created_at) VALUES (?, ?, ?, ?)`, who.AccountID, id, clean, now)
			return id, "agent.create", err
		})
		if err != nil {
			return err
		}
		for _, tag := range one.Tags {
			err := add(known.tags, tag, &made.Tags, func(clean string) (string, string, error) {
				id := callwheel.NewID("tag")
				_, err := tx.Exec(ctx, `INSERT INTO tags (account_id, tag_id, name, folded, version, created_at) VALUES (?, ?, ?, ?, 1, ?)`,
					who.AccountID, id, clean, Fold(clean), now)
				return id, "tag.create", err
			})
			if err != nil {
				return err
			}
		}
		for _, g := range one.Given {
			err := add(known.dispositions, g.Name, &made.Dispositions, func(clean string) (string, string, error) {
				o := Disposition{ID: callwheel.NewID("disp"), Name: clean, Stage: StageNone, Genuine: true, Version: 1, CreatedAt: now}
				err := tx.Get(ctx, &o.Position, `SELECT COALESCE(max(position), 0) + 1 FROM dispositions WHERE account_id = ? AND retired_at IS NULL`, who.AccountID)
				if err == nil {
					_, err = insertDisposition(ctx, tx, who.AccountID, o)
				}
				return o.ID, "disposition.create", err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Desk) importDesk(ctx context.Context, tx *store.Tx, accountID string, known lists, one ImportedDesk) (bool, error) {
	if one.silent() {
		// Most calls of most files. A desk that is not there needs no correction.
		var desks []string
		err := tx.Select(ctx, &desks, `SELECT call_id FROM call_desks WHERE account_id = ? AND call_id = ?`, accountID, one.CallID)
		if err != nil || len(desks) == 0 {
			return false, err
		}
	}
	s, err := d.sit(ctx, tx, Act{AccountID: accountID, CallID: one.CallID, Actor: importer, At: one.At})
	if err != nil {
		return false, err
	}
	changed := false
	for _, say := range []func(context.Context, *sitting, lists, ImportedDesk) (verdicts []verdict, err error){
		importAgent, importTags, importDispositions, importSale, importCallBack, importScore, importRatings, importReferral,
	} {
		said, err := say(ctx, s, known, one)
		if err != nil {
			return false, err
		}
		for _, v := range said {
			changed = true
			if err := d.record(ctx, s, v); err != nil {
				return false, err
			}
		}
	}
	return changed, nil
}

// importAgent says whose call it was, unless a person did.
func importAgent(ctx context.Context, s *sitting, known lists, one ImportedDesk) ([]verdict, error) {
	id := known.agents[Fold(one.Agent)]
	if one.Agent == "" {
		id = ""
	}
	if s.desk.AgentID == id {
		return nil, nil
	}
	var byHand []string
	if err := s.tx.Select(ctx, &byHand, `SELECT judgement_id FROM judgements WHERE account_id = ? AND call_id = ? AND kind = ? AND actor <> ? LIMIT 1`,
		s.AccountID, s.CallID, string(assigned), importer); err != nil || len(byHand) > 0 {
		return nil, err
	}
	_, err := s.tx.Exec(ctx, `UPDATE call_desks SET agent_id = ? WHERE account_id = ? AND call_id = ?`, id, s.AccountID, s.CallID)
	return []verdict{newVerdict(assigned, map[string]any{"agent_id": id})}, err
}

// importTags puts the file's tags on the call and takes off those that an
// import had put on and the file does not name any more.
func importTags(ctx context.Context, s *sitting, known lists, one ImportedDesk) ([]verdict, error) {
	var on []struct {
		ID string `db:"tag_id"`
		By string `db:"tagged_by"`
	}
	if err := s.tx.Select(ctx, &on, `SELECT tag_id, tagged_by FROM call_tags WHERE account_id = ? AND call_id = ?`, s.AccountID, s.CallID); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range one.Tags {
		wanted[known.tags[Fold(name)]] = true
	}
	var said []verdict
	for _, t := range on {
		switch {
		case wanted[t.ID]:
			delete(wanted, t.ID)
		case t.By == importer:
			if _, err := s.tx.Exec(ctx, `DELETE FROM call_tags WHERE account_id = ? AND call_id = ? AND tag_id = ?`, s.AccountID, s.CallID, t.ID); err != nil {
				return nil, err
			}
			said = append(said, newVerdict(untagged, map[string]any{"tag_id": t.ID}))
		}
	}
	for _, name := range one.Tags {
		id := known.tags[Fold(name)]
		if !wanted[id] {
			continue
		}
		delete(wanted, id)
		if _, err := s.tx.Exec(ctx, `INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, ?, ?, ?, ?)`,
			s.AccountID, s.CallID, id, store.Micros(s.at), importer); err != nil {
			return nil, err
		}
		said = append(said, newVerdict(tagged, map[string]any{"tag": name, "tag_id": id}))
	}
	return said, nil
}

// importDispositions gives the call the file's dispositions, or takes back what an
// import had given. A disposition that a person gave later counts before them.
func importDispositions(ctx context.Context, s *sitting, known lists, one ImportedDesk) ([]verdict, error) {
	var given []givenRow
	err := s.tx.Select(ctx, &given, `
		SELECT disposition_id, given_at, given_by FROM call_dispositions
		WHERE account_id = ? AND call_id = ? AND given_by = ? ORDER BY given_at, judgement_id`, s.AccountID, s.CallID, importer)
	if err != nil {
		return nil, err
	}
	told := make([]givenRow, len(one.Given))
	for i, g := range one.Given {
		told[i] = givenRow{DispositionID: known.dispositions[Fold(g.Name)], GivenAt: store.At(g.At), GivenBy: importer}
	}
	if slices.EqualFunc(given, told, func(a, b givenRow) bool { return a.DispositionID == b.DispositionID && a.GivenAt.Equal(b.GivenAt.Time) }) {
		return nil, nil
	}
	// An import tells facts of elsewhere: a correction replaces what it told,
	// and the history keeps that it did.
	if _, err := s.tx.Exec(ctx, `DELETE FROM call_dispositions WHERE account_id = ? AND call_id = ? AND given_by = ?`, s.AccountID, s.CallID, importer); err != nil {
		return nil, err
	}
	var said []verdict
	for i, g := range told {
		v := newVerdict(disposed, map[string]any{"disposition": one.Given[i].Name, "disposition_id": g.DispositionID, "given_at": instant(g.GivenAt)})
		if _, err := s.tx.Exec(ctx, `
			INSERT INTO call_dispositions (account_id, judgement_id, call_id, disposition_id, given_at, given_by) VALUES (?, ?, ?, ?, ?, ?)`,
			s.AccountID, v.id, s.CallID, g.DispositionID, g.GivenAt, importer); err != nil {
			return nil, err
		}
		said = append(said, v)
	}
	if len(said) == 0 {
		said = []verdict{newVerdict(disposed, map[string]any{"disposition": "", "disposition_id": ""})}
	}
	standing, err := s.disposition(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.tx.Exec(ctx, `UPDATE call_desks SET disposition_id = ?, disposed_at = ? WHERE account_id = ? AND call_id = ?`,
		standing.DispositionID, standing.GivenAt, s.AccountID, s.CallID)
	return said, err
}

// CheckImport lists, by their place in the list, what ImportDesks would refuse
// because of what is known of the calls already: a value below what was given back
// of the sale, a caller who was sent by somebody they sent. It changes nothing.
func (d *Desk) CheckImport(ctx context.Context, accountID string, list []ImportedDesk) (map[int][]callwheel.FieldError, error) {
	places, ids := map[string]int{}, make([]string, 0, 2*len(list))
	for i, one := range list {
		sale, refund := importedSaleIDs(accountID, one.CallID)
		places[sale], places[refund] = i, i
		ids = append(ids, sale, refund)
	}
	var rows []saleRow
	query, args, err := d.db.In(selectSales+` AND sale_id IN (?) AND (refunded_micros > 0 OR refund_of <> '')`, accountID, ids)
	if err == nil && len(ids) > 0 {
		err = d.db.Select(ctx, &rows, query, args...)
	}
	if err != nil {
		return nil, fmt.Errorf("check what was said of calls: %w", err)
	}
	standing := map[int][]saleRow{}
	for _, row := range rows {
		standing[places[row.ID]] = append(standing[places[row.ID]], row)
	}
	sent := make([]sending, len(list))
	for i, one := range list {
		sent[i] = sentBy(one.ReferredBy, one.From)
	}
	refused, err := circles(ctx, d.db, accountID, sent)
	if err != nil {
		return nil, fmt.Errorf("check what was said of calls: %w", err)
	}
	for i, sales := range standing {
		refused[i] = append(refused[i], list[i].undoes(sales)...)
		if len(refused[i]) == 0 {
			delete(refused, i)
		}
	}
	return refused, nil
}

// importedSaleIDs are those of the sale that a file tells of a call, and of what it
// tells was given back of it.
func importedSaleIDs(accountID, callID string) (sale, refund string) {
	return callwheel.DerivedID("sale", importer, accountID, callID), callwheel.DerivedID("sale", importer, accountID, callID, "refund")
}

// byHand is what people gave back of the sale that stands with what its file says
// was given back: a refund has a negative value, and nothing given back of it.
func byHand(standing []saleRow) (sum int64) {
	for _, was := range standing {
		sum += was.Refunded + min(was.Value, 0)
	}
	return sum
}

// undoes refuses a sale that is told anew so that it could not hold what people gave
// back of it.
func (i ImportedDesk) undoes(standing []saleRow) []callwheel.FieldError {
	given := byHand(standing)
	if given == 0 {
		return nil
	}
	var to callwheel.Money
	back := given
	if i.Value != nil && i.Value.Micros > 0 {
		to = *i.Value
		if i.Refunded != nil {
			back += max(0, i.Refunded.Micros)
		}
	}
	currency := standing[0].Currency
	if to.Micros > 0 && back <= to.Micros && to.Currency == currency {
		return nil
	}
	return []callwheel.FieldError{{Field: "value", Message: fmt.Sprintf("%s was given back of the sale: it cannot become %s", callwheel.Money{Micros: given, Currency: currency}, to)}}
}

// importSale books the file's value as the sale of the call's moment, with what
// was given back of it, or corrects both. What people gave back here stays.
func importSale(ctx context.Context, s *sitting, _ lists, one ImportedDesk) ([]verdict, error) {
	id, refund := importedSaleIDs(s.AccountID, s.CallID)
	r := saleRow{
		ID: id, CallID: s.CallID, Person: s.person(),
		SoldAt: store.At(one.StartedAt), RecordedAt: store.At(s.at), RecordedBy: importer,
	}
	back := r
	back.ID, back.RefundOf = refund, id
	var standing []saleRow
	if err := s.tx.Select(ctx, &standing, selectSales+` AND sale_id IN (?, ?)`+s.tx.ForUpdate(), s.AccountID, r.ID, back.ID); err != nil {
		return nil, err
	}
	var told []saleRow
	if one.Value != nil && one.Value.Micros > 0 {
		r.Value, r.Currency, r.Refunded = one.Value.Micros, one.Value.Currency, byHand(standing)
		if one.Margin != nil {
			r.Margin = &one.Margin.Micros
		}
		if one.Refunded != nil && one.Refunded.Micros > 0 {
			back.Value, back.Currency = -one.Refunded.Micros, r.Currency
			if r.Margin != nil {
				lost := -marginShare(r, one.Refunded.Micros)
				back.Margin = &lost
			}
			r.Refunded += one.Refunded.Micros
			told = append(told, back)
		}
		told = append(told, r)
	}
	if sameSales(standing, told) {
		return nil, nil
	}
	if err := callwheel.InvalidFields(one.undoes(standing)); err != nil {
		return nil, err
	}
	if _, err := s.tx.Exec(ctx, `DELETE FROM sales WHERE account_id = ? AND sale_id IN (?, ?)`, s.AccountID, r.ID, back.ID); err != nil {
		return nil, err
	}
	for _, row := range told {
		if err := s.insertSale(ctx, row); err != nil {
			return nil, err
		}
	}
	if r.Refunded > 0 {
		if _, err := s.tx.Exec(ctx, `UPDATE sales SET refunded_micros = ? WHERE account_id = ? AND sale_id = ?`, r.Refunded, s.AccountID, r.ID); err != nil {
			return nil, err
		}
	}
	detail := map[string]any{"sale_id": r.ID, "value": r.sale().Value, "sold_at": instant(r.SoldAt)}
	if back.Value != 0 {
		detail["refunded"] = callwheel.Money{Micros: -back.Value, Currency: back.Currency}
	}
	return []verdict{newVerdict(sold, detail)}, nil
}

// sameSales says whether what stands is what a file tells.
func sameSales(standing, told []saleRow) bool {
	same := func(a, b saleRow) bool {
		margin := a.Margin == b.Margin || a.Margin != nil && b.Margin != nil && *a.Margin == *b.Margin
		return margin && a.ID == b.ID && a.Value == b.Value && a.Refunded == b.Refunded && a.Currency == b.Currency && a.SoldAt.Equal(b.SoldAt.Time) && a.Person == b.Person
	}
	return len(standing) == len(told) && !slices.ContainsFunc(standing, func(a saleRow) bool {
		return !slices.ContainsFunc(told, func(b saleRow) bool { return same(a, b) })
	})
}

// ImportOutcomes keeps imported outcomes, all or none, and says of each what
// became of it: the same id again corrects. It fails with Invalid.
func (d *Desk) ImportOutcomes(ctx context.Context, accountID string, list []Outcome) ([]telephony.Imported, error) {
	for _, o := range list {
		if err := callwheel.InvalidFields(o.Check()); err != nil {
			return nil, err
		}
	}
	var done []telephony.Imported
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = make([]telephony.Imported, len(list))
		for i, o := range list {
			var err error
			if done[i], err = d.importOutcome(ctx, tx, accountID, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import outcomes: %w", err)
	}
	return done, nil
}
