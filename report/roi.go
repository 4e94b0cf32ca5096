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

// horizonOf is when sales may count to a horizon of the period's touches.
func horizonOf(period Period) Period {
	period.Until = period.Until.Add(spanOf(longestHorizon))
	return period
}

// touchesOfHorizon are those that such sales are divided over.
func touchesOfHorizon(period Period) reach {
	return reach{store.Micros(period.From.Add(-spanOf(longestHorizon))), store.Micros(horizonOf(period).Until)}
}

// earnHorizons adds up what touches inside the period have earned.
func earnHorizons(ctx context.Context, db store.Querier, b *book, s *sheet, period Period) error {
	who, err := readSeeds(ctx, db, s.qu.AccountID, ForSale, horizonOf(period))
	if err != nil {
		return err
	}
	p, err := loadPeople(ctx, db, s.qu.AccountID, who, scope{touches: touchesOfHorizon(period), stages: s.qu.model.Moments})
	if err != nil {
		return err
	}
	if err := p.finish(ctx, b, s); err != nil {
		return err
	}
	p.earn(b, s, period)
	return nil
}

// earn adds up what touches inside the period have earned of what these people
// bought.
func (p *people) earn(b *book, s *sheet, period Period) {
	list := p.conversions(ForSale, s.qu.account, b, horizonOf(period))
	p.mark(list, s.qu, b)
	for h, days := range horizonDays {
		k := newCounter(b, s)
		k.inside = &period
		k.each(list, func(v conversion, ways []way) []way { return v.atHorizon(s.qu, days, ways) },
			func(c *counted) { s.earn(b, h, c, period.contains) })
	}
}
