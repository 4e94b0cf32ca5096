package report

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
)

// Agents is the answer of the report about people.
type Agents struct {
	Head
	Rows   []AgentRow `json:"rows"`
	Totals AgentRow   `json:"totals"`
	Foreign
}

// AgentRow is what one agent did. A call that nobody answered is no agent's.
type AgentRow struct {
	AgentID               string           `json:"agent_id"`
	Agent                 string           `json:"agent"`
	Offered               int64            `json:"offered" doc:"Calls that rang the agent's phone"`
	Answered              int64            `json:"answered"`
	RingSeconds           *int64           `json:"ring_seconds" doc:"Mean over answered calls; it flatters, because the impatient are gone"`
	RingMedianSeconds     *float64         `json:"ring_median_seconds" doc:"Median time to answer; callers who gave up while the agent's phone rang would have waited longer"`
	RingP90Seconds        *float64         `json:"ring_p90_seconds" doc:"90th percentile of the same; null when too many gave up to tell"`
	TalkSeconds           *int64           `json:"talk_seconds" doc:"Mean over answered calls"`
	Scored                int64            `json:"scored" doc:"How many calls the score is the mean of"`
	Score                 *float64         `json:"score" doc:"0 to 100, the mean as it was given"`
	ScoreInterval         *Interval        `json:"score_interval"`
	ScoresMixed           bool             `json:"scores_mixed" doc:"The scores come from different scorecards or versions"`
	ScoreAdjusted         *float64         `json:"score_adjusted" doc:"With the leniency of each scorer taken out"`
	ScoreShrunken         *float64         `json:"score_shrunken" doc:"score_adjusted, drawn towards everybody's mean the more, the fewer scores there are"`
	ScoreShrunkenInterval *Interval        `json:"score_shrunken_interval"`
	Rank                  *int64           `json:"rank" doc:"By score_shrunken, 1 is the best; null with fewer than ten scored calls"`
	Qualified             int64            `json:"qualified"`
	QualifiedRate         *float64         `json:"qualified_rate"`
	QualifiedRateInterval *Interval        `json:"qualified_rate_interval"`
	QualifiedRateShrunken *float64         `json:"qualified_rate_shrunken" doc:"Drawn towards everybody's rate: to compare agents with few calls"`
	Sales                 int64            `json:"sales"`
	Revenue               *callwheel.Money `json:"revenue"`
}

// agentSums gathers one agent's row.
type agentSums struct {
	row          AgentRow
	rings        int64
	ringSum      int64
	talks        int64
	talkSum      int64
	waits        waits
	scoreSum     int64
	scoreSquares float64
	card         string // that the latest score was given with
	revenue      int64
	incomplete   bool
}

// Agents answers how each agent's calls went. Of the query only the range and
// the zone are used. Errors as for Attribution.
func (d *Desk) Agents(ctx context.Context, q Query) (*Agents, error) {
	var answer *Agents
	q = Query{AccountID: q.AccountID, From: q.From, Until: q.Until, TZ: q.TZ}
	err := d.ask(ctx, "agents", q, func(ctx context.Context, db store.Querier, qu question) error {
		b, err := readBook(ctx, db, qu.AccountID)
		if err != nil {
			return err
		}
		sums, err := gatherAgents(ctx, db, b, qu)
		if err != nil {
			return err
		}
		answer = sums.answer(qu, d.now())
		return nil
	})
	return answer, err
}

type agentBook struct {
	sums     map[string]*agentSums
	total    agentSums
	ledger   *ledger
	markings []scoring.Marking
	leniency scoring.Leniency
	named    []outcome // that name a call of the range
}

func (s *agentBook) of(a *agent) *agentSums {
	one, ok := s.sums[a.ID]
	if !ok {
		one = &agentSums{row: AgentRow{AgentID: a.ID, Agent: a.Name}}
		s.sums[a.ID] = one
	}
	return one
}

func gatherAgents(ctx context.Context, db store.Querier, b *book, qu question) (*agentBook, error) {
	s := &agentBook{sums: map[string]*agentSums{}, ledger: newLedger(qu.account.Currency)}
	for i := range b.agents {
		if b.agents[i].RetiredAt.IsZero() {
			s.of(&b.agents[i])
		}
	}
	for _, p := range qu.period.weeks() {
		week := qu
		week.period = p
		if err := s.addWeek(ctx, db, b, week); err != nil {
			return nil, err
		}
	}
	if err := s.addOutcomes(ctx, db, b, qu); err != nil {
		return nil, err
	}
	s.leniency = scoring.FitLeniency(s.markings)
	return s, nil
}

// addWeek adds the calls of a part of the range, which are held meanwhile.
func (s *agentBook) addWeek(ctx context.Context, db store.Querier, b *book, qu question) error {
	calls := map[string]*call{}
	err := eachCall(ctx, db, qu.AccountID, store.Micros(qu.period.From), store.Micros(qu.period.Until), func(c *call) error {
		calls[c.ID] = c
		if a := b.agent(c); a != nil {
			for _, one := range []*agentSums{s.of(a), &s.total} {
				one.add(b, c)
			}
		}
		return nil
	})
	for _, add := range []func(context.Context, store.Querier, *book, question, map[string]*call) error{
		s.addOffers, s.addMissed, s.addScores, s.addSales, s.addNamed,
	} {
		if err == nil {
			err = add(ctx, db, b, qu, calls)
		}
	}
	return err
}

func (s *agentSums) add(b *book, c *call) {
	if c.ScorePPM != nil {
		s.row.Scored++
		s.scoreSum += *c.ScorePPM
		s.scoreSquares += float64(*c.ScorePPM) * float64(*c.ScorePPM)
	}
	if !c.answered() {
		return
	}
	s.row.Answered++
	if b.outcomes[c.DispositionID].Qualified {
		s.row.Qualified++
	}
	if w := c.answeredAfter(); w != nil {
		s.waits.add(*w)
	}
	if c.RingSeconds != nil {
		s.rings++
		s.ringSum += *c.RingSeconds
	}
	if c.TalkSeconds != nil {
		s.talks++
		s.talkSum += *c.TalkSeconds
	}
}

type offer struct {
	CallID string `db:"call_id"`
	Number string `db:"number"`
}

// addOffers counts whose phone rang. A call that rang one phone twice was
// offered once; one that was answered by an agent was offered to that agent.
func (s *agentBook) addOffers(ctx context.Context, db store.Querier, b *book, qu question, calls map[string]*call) error {
	var offers []offer
	err := db.Select(ctx, &offers, `
		SELECT DISTINCT l.call_id, l.number FROM calls c JOIN legs l ON l.account_id = c.account_id AND l.call_id = c.call_id
		WHERE c.account_id = ? AND c.started_at >= ? AND c.started_at < ? AND c.direction = 'inbound'`,
		qu.AccountID, store.Micros(qu.period.From), store.Micros(qu.period.Until))
	if err != nil {
		return fmt.Errorf("read whose phone rang: %w", err)
	}
	rang := map[string]map[string]*agent{}
	note := func(callID string, a *agent) {
		if rang[callID] == nil {
			rang[callID] = map[string]*agent{}
		}
		rang[callID][a.ID] = a
	}
	for _, o := range offers {
		c := calls[o.CallID]
		if c == nil {
			continue
		}
		if a := b.holder(o.Number, c.StartedAt); a != nil {
			note(o.CallID, a)
		}
	}
	for id, c := range calls {
		if a := b.agent(c); a != nil && c.answered() {
			note(id, a)
		}
	}
	for _, agents := range rang {
		for _, a := range agents {
			s.of(a).row.Offered++
		}
		s.total.row.Offered++
	}
	return nil
}

// addMissed adds how long callers waited while phones of agents rang and nobody
// answered.
func (s *agentBook) addMissed(ctx context.Context, db store.Querier, b *book, qu question, calls map[string]*call) error {
	missed, err := readMissed(ctx, db, qu, b)
	if err != nil {
		return err
	}
	for id, m := range missed {
		c := calls[id]
		if c == nil || !c.missed() || len(m.offered) == 0 {
			continue
		}
		if w := m.gaveUpAfter(c); w != nil {
			for _, a := range m.offered {
				s.of(a).waits.add(*w)
			}
			s.total.waits.add(*w)
		}
	}
	return nil
}

// addSales adds what was sold on the calls of the range, net of refunds.
func (s *agentBook) addSales(ctx context.Context, db store.Querier, b *book, qu question, calls map[string]*call) error {
	list, err := selectIn[sale](ctx, db, qu.AccountID, sortedKeys(calls), `SELECT `+saleColumns+` FROM sales WHERE account_id = ? AND call_id IN (?)`)
	if err != nil {
		return fmt.Errorf("read sales: %w", err)
	}
	rows := map[string]*sale{}
	for i := range list {
		rows[list[i].ID] = &list[i]
	}
	for _, one := range netOf(rows) {
		s.addSale(b, soldOnCall{one, calls[one.CallID]}.conversion(qu.account))
	}
	return nil
}

// addNamed notes the imported outcomes that name one of the calls.
func (s *agentBook) addNamed(ctx context.Context, db store.Querier, _ *book, qu question, calls map[string]*call) error {
	list, err := selectIn[outcome](ctx, db, qu.AccountID, sortedKeys(calls), `SELECT `+outcomeColumns+` FROM outcomes WHERE account_id = ? AND call_id IN (?) AND call_id <> ''`)
	if err != nil {
		return fmt.Errorf("read imported outcomes of calls: %w", err)
	}
	s.named = append(s.named, list...)
	return nil
}

// addOutcomes adds the imported outcomes that belong to the calls of the range:
// those that name one, whenever they were won, and those won since its beginning
// whose person called last in it.
func (s *agentBook) addOutcomes(ctx context.Context, db store.Querier, b *book, qu question) error {
	since, err := outcomesWon(ctx, db, qu.AccountID, Period{From: qu.period.From, Until: always.Until})
	if err != nil {
		return err
	}
	won, err := conversionsOf(ctx, db, b, qu, append(s.named, since...), always)
	if err != nil {
		return err
	}
	for _, v := range won {
		if v.call != nil && qu.period.contains(v.call.StartedAt) {
			s.addSale(b, v)
		}
	}
	return nil
}

// always is a period that everything lies in.
var always = Period{From: time.Unix(0, 0), Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Zone: time.UTC}

func (s *agentBook) addSale(b *book, v conversion) {
	a := b.agent(v.call)
	if a == nil {
		return
	}
	s.ledger.value(v)
	for _, sums := range []*agentSums{s.of(a), &s.total} {
		sums.row.Sales++
		sums.incomplete = sums.incomplete || v.foreign()
		sums.revenue += v.value
	}
}

func (s *agentBook) answer(qu question, now time.Time) *Agents {
	a := &Agents{
		Head:    head("agents", qu.period, qu.account.Currency, now, agentFigures),
		Rows:    []AgentRow{},
		Foreign: s.ledger.foreign(),
	}
	for _, one := range s.sums {
		a.Rows = append(a.Rows, one.figures(qu.account.Currency))
	}
	slices.SortFunc(a.Rows, func(x, y AgentRow) int {
		if c := strings.Compare(fold(x.Agent), fold(y.Agent)); c != 0 {
			return c
		}
		return strings.Compare(x.AgentID, y.AgentID)
	})
	s.judge(a.Rows) // in their order: sums of fractions depend on it
	a.Totals = s.total.figures(qu.account.Currency)
	a.Totals.ScoreInterval = meanInterval(s.total.scoreSum, s.total.scoreSquares, a.Totals.Scored)
	return a
}

func (s *agentSums) figures(currency string) AgentRow {
	r := s.row
	r.RingSeconds = meanSeconds(s.ringSum, s.rings)
	r.TalkSeconds = meanSeconds(s.talkSum, s.talks)
	waits := s.waits.survival()
	r.RingMedianSeconds, r.RingP90Seconds = waits.quantile(0.5), waits.quantile(0.9)
	r.Score = mean(s.scoreSum, r.Scored, 1e4)
	r.QualifiedRate = mean(r.Qualified, r.Answered, 1)
	r.QualifiedRateInterval = wilson(r.Qualified, r.Answered)
	if !s.incomplete {
		r.Revenue = &callwheel.Money{Micros: s.revenue, Currency: currency}
	}
	return r
}

// mean is sum ÷ n ÷ unit, nil for none.
func mean(sum, n int64, unit float64) *float64 {
	if n == 0 {
		return nil
	}
	return number(float64(sum) / float64(n) / unit)
}

// meanSeconds is sum ÷ n in whole seconds, nil for none.
func meanSeconds(sum, n int64) *int64 {
	if n == 0 {
		return nil
	}
	whole := int64(math.Round(float64(sum) / float64(n)))
	return &whole
}

// wilson is the 95 % interval of a proportion by Wilson's score, nil without a
// case.
func wilson(x, n int64) *Interval {
	if n <= 0 {
		return nil
	}
	const z = z95
	p, m := float64(x)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return &Interval{tidy(max(0, middle-half)), tidy(min(1, middle+half))}
}

// Table returns the report as a table.
func (a *Agents) Table() Table {
	t := Table{Title: "Agents", Rows: [][]string{}, Facts: a.facts(), Lists: a.lists(), Columns: []Column{
		{"agent", true},
		{Name: "offered"},
		{Name: "answered"},
		{Name: "ring_seconds"},
		{Name: "ring_median_seconds"},
		{Name: "ring_p90_seconds"},
		{Name: "talk_seconds"},
		{Name: "scored"},
		{Name: "score"},
		{Name: "score_interval_low"},
		{Name: "score_interval_high"},
		{Name: "scores_mixed"},
		{Name: "score_adjusted"},
		{Name: "score_shrunken"},
		{Name: "score_shrunken_interval_low"},
		{Name: "score_shrunken_interval_high"},
		{Name: "rank"},
		{Name: "qualified"},
		{Name: "qualified_rate"},
		{Name: "qualified_rate_interval_low"},
		{Name: "qualified_rate_interval_high"},
		{Name: "qualified_rate_shrunken"},
		{Name: "sales"},
		{Name: "revenue"},
	}}
	for _, r := range a.Rows {
		t.Rows = append(t.Rows, r.texts(r.Agent))
	}
	t.Totals = a.Totals.texts("total")
	t.Notes = slices.Concat(a.doubts(), a.Foreign.notes())
	return t
}

func (r AgentRow) texts(name string) []string {
	return []string{
		name, countText(r.Offered), countText(r.Answered), secondsText(r.RingSeconds), numberText(r.RingMedianSeconds), numberText(r.RingP90Seconds), secondsText(r.TalkSeconds),
		countText(r.Scored), numberText(r.Score),
		endText(r.ScoreInterval, 0), endText(r.ScoreInterval, 1), strconv.FormatBool(r.ScoresMixed), numberText(r.ScoreAdjusted),
		numberText(r.ScoreShrunken), endText(r.ScoreShrunkenInterval, 0), endText(r.ScoreShrunkenInterval, 1), secondsText(r.Rank), countText(r.Qualified), numberText(r.QualifiedRate),
		endText(r.QualifiedRateInterval, 0), endText(r.QualifiedRateInterval, 1), numberText(r.QualifiedRateShrunken), countText(r.Sales), moneyText(r.Revenue),
	}
}
