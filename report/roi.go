package report

import (
	"cmp"
	"context"

	"github.com/callwheel/callwheel/store"
)

// ROI is Attribution seen as money: credit for sales unless the query says
// otherwise, and what the touches of the range have earned 30, 90 and 365 days
// after. Errors as for Attribution.
func (d *Desk) ROI(ctx context.Context, q Query) (*Attribution, error) {
	q.CreditFor = cmp.Or(q.CreditFor, ForSale)
	return d.attribution(ctx, "roi", q, true)
}

// earnHorizons adds up what touches inside the period have earned.
func earnHorizons(ctx context.Context, db store.Querier, b *book, s *sheet, period Period) error {
	qu := s.qu
	longest := spanOf(longestHorizon)
	sold := Period{From: period.From, Until: period.Until.Add(longest), Zone: qu.zone}
	who, err := readSeeds(ctx, db, qu.AccountID, ForSale, sold)
	if err != nil {
		return err
	}
	p, err := loadPeople(ctx, db, qu.AccountID, who, reach{
		from: store.Micros(period.From.Add(-longest)), until: store.Micros(sold.Until),
	})
	if err != nil {
		return err
	}
	if err := p.finish(ctx, b, s); err != nil {
		return err
	}
	list := p.conversions(ForSale, qu.account, b, sold)
	for h, days := range horizonDays {
		k := newCounter(b, s)
		k.inside = &period
		k.each(list, func(v conversion, ways []way) []way { return v.atHorizon(qu, days, ways) },
			func(c *counted) { s.earn(b, h, c, period.contains) })
	}
	return nil
}
