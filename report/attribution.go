package report

import (
	"context"
	"fmt"
	"slices"

	"github.com/callwheel/callwheel/store"
)

// Attribution answers which touches earned the calls, leads, qualified callers
// or sales of a range. Errors: Invalid with the fields of the query, NotFound
// for an unknown account.
func (d *Desk) Attribution(ctx context.Context, q Query) (*Attribution, error) {
	return d.attribution(ctx, "attribution", q, false)
}

func (d *Desk) attribution(ctx context.Context, name string, q Query, horizons bool) (*Attribution, error) {
	var answer *Attribution
	err := d.ask(ctx, name, q, func(ctx context.Context, db store.Querier, qu question) error {
		b, err := readBook(ctx, db, qu.AccountID)
		if err != nil {
			return err
		}
		s := newSheet(qu)
		ready, err := prepare(ctx, db, s)
		if err != nil {
			return err
		}
		if err := countCalls(ctx, db, b, s, ready); err != nil {
			return err
		}
		second := s.beside()
		if err := credit(ctx, db, b, s, second, ready, horizons); err != nil {
			return err
		}
		if qu.Origin {
			if err := originate(ctx, db, b, s); err != nil {
				return err
			}
		}
		if err := addSpend(ctx, db, b, s); err != nil {
			return err
		}
		answer = s.answerBeside(second, d.now(), horizons)
		return nil
	})
	return answer, err
}

// credit divides what converted in the range, and what its touches have earned
// after.
func credit(ctx context.Context, db store.Querier, b *book, s, second *sheet, ready prepared, horizons bool) error {
	if s.qu.stored() && s.qu.CreditFor == ForSale && second == nil {
		return creditStored(ctx, db, b, s, ready, horizons)
	}
	return giveCredit(ctx, db, b, s, second, s.qu.period, horizons && s.qu.model.Whole == nil)
}

// countCalls fills the columns that count calls: from prepared days, and what
// those leave from the calls.
func countCalls(ctx context.Context, db store.Querier, b *book, s *sheet, ready prepared) error {
	if err := countPrepared(ctx, db, b, s, ready); err != nil {
		return err
	}
	for _, r := range ready.raw {
		count := countRaw
		if s.summable() {
			count = countSums
		}
		if err := count(ctx, db, b, s, r); err != nil {
			return err
		}
	}
	return nil
}

func countRaw(ctx context.Context, db store.Querier, b *book, s *sheet, r span64) error {
	var batch []*call
	err := eachCall(ctx, db, s.qu.AccountID, r.from, r.until, func(k *call) error {
		if s.wantsTags() {
			batch = append(batch, k)
			return nil
		}
		s.countCall(b, k)
		return nil
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	if err := readTags(ctx, db, s.qu.AccountID, b, batch); err != nil {
		return err
	}
	for _, k := range batch {
		s.countCall(b, k)
	}
	return nil
}

func (s *sheet) countCall(b *book, k *call) {
	var c cell
	c.ofCall(b, k)
	c.ofAttribution(b, k)
	c.at = k.StartedAt
	s.count(c, b.counted(k))
}

type callTag struct {
	CallID string `db:"call_id"`
	TagID  string `db:"tag_id"`
}

// readTags gives the calls their tags.
func readTags(ctx context.Context, db store.Querier, accountID string, b *book, calls []*call) error {
	byID := map[string][]*call{}
	for _, c := range calls {
		byID[c.ID] = append(byID[c.ID], c)
	}
	list, err := selectIn[callTag](ctx, db, accountID, sortedKeys(byID),
		`SELECT call_id, tag_id FROM call_tags WHERE account_id = ? AND call_id IN (?) ORDER BY call_id, tag_id`)
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	for _, t := range list {
		for _, c := range byID[t.CallID] {
			// A tag that was retired and made anew is one label.
			name := b.tags[t.TagID]
			if name != "" && !slices.ContainsFunc(c.tags, func(had string) bool { return fold(had) == fold(name) }) {
				c.tags = append(c.tags, name)
			}
		}
	}
	return nil
}

// giveCredit divides every conversion of the period, by the model of each sheet,
// and with horizons what its touches have earned after; second is nil when none
// is compared.
func giveCredit(ctx context.Context, db store.Querier, b *book, s, second *sheet, period Period, horizons bool) error {
	qu := s.qu
	sheets := []*sheet{s}
	if second != nil {
		sheets = append(sheets, second)
	}
	who, err := readSeeds(ctx, db, qu.AccountID, qu.CreditFor, period)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(sheets, func(s *sheet) bool { return s.qu.model.Whole != nil }) {
		if err := readVisitors(ctx, db, qu.AccountID, period, who); err != nil {
			return err
		}
		if err := readClaimants(ctx, db, qu, who); err != nil {
			return err
		}
	}
	matters := scope{
		touches: reach{store.Micros(period.From.Add(-qu.window)), store.Micros(period.Until)}, doubt: qu.Reading == Expected,
		stages: qu.CreditFor == ForLead || qu.CreditFor == ForQualified || slices.ContainsFunc(sheets, func(s *sheet) bool { return s.qu.model.Moments }),
	}
	if horizons {
		if err := addSeeds(ctx, db, qu.AccountID, ForSale, horizonOf(period), who); err != nil {
			return err
		}
		of := touchesOfHorizon(period)
		matters.touches = reach{min(matters.touches.from, of.from), max(matters.touches.until, of.until)}
	}
	p, err := loadPeople(ctx, db, qu.AccountID, who, matters)
	if err != nil {
		return err
	}
	if err := p.finish(ctx, b, sheets...); err != nil {
		return err
	}
	list := p.conversions(qu.CreditFor, qu.account, b, period)
	for _, s := range sheets {
		p.mark(list, s.qu, b)
		if s.qu.model.Whole != nil {
			p.giveWhole(b, s, list)
			continue
		}
		newCounter(b, s).each(list, func(v conversion, ways []way) []way { return v.ways(s.qu, ways) },
			func(c *counted) { s.give(b, c) })
	}
	if horizons {
		p.earn(b, s, period)
	}
	return nil
}

// finish reads what only some questions need of the persons.
func (p *people) finish(ctx context.Context, b *book, sheets ...*sheet) error {
	if slices.ContainsFunc(sheets, func(s *sheet) bool { return s.qu.stored() }) {
		if err := p.loadSaleCalls(ctx); err != nil {
			return err
		}
	}
	return p.tag(ctx, b, sheets[0])
}

// tag reads the tags of the persons' calls when the question needs them.
func (p *people) tag(ctx context.Context, b *book, s *sheet) error {
	if !s.wantsTags() {
		return nil
	}
	calls := make([]*call, 0, len(p.calls))
	for _, c := range p.calls {
		calls = append(calls, c)
	}
	return readTags(ctx, p.db, s.qu.AccountID, b, calls)
}
