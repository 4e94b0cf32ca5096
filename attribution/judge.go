package attribution

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// judge is one call under judgement, with what may be considered: facts from
// before the call, and of those that others may write down late, the ones that
// were known at judgedAt. It reads and writes nothing else.
type judge struct {
	db       store.Querier
	call     telephony.Call
	model    DelayModel
	judgedAt time.Time
	kept     map[string]Candidate // by visitor, what an earlier judgement of this call noted; nil the first time
}

// conclude judges a call for the first time.
func (l *Ledger) conclude(ctx context.Context, q store.Querier, call telephony.Call) (Attribution, error) {
	model, err := l.modelAt(ctx, q, call.AccountID, call.StartedAt)
	if err != nil {
		return Attribution{}, err
	}
	j := judge{db: q, call: call, model: model, judgedAt: store.At(l.now()).Time}
	return j.conclude(ctx)
}

// conclude judges the call by what its number was when it started.
func (j judge) conclude(ctx context.Context) (Attribution, error) {
	a := Attribution{
		CallID: j.call.ID, Verdict: Untracked, Method: MethodNone, Confidence: 1, UntrackedWeight: 1, ModelVersion: j.model.name(),
		Candidates: []Candidate{}, JudgedAt: j.judgedAt,
	}
	binding, err := bindingAt(ctx, j.db, j.call.AccountID, j.call.TrackingNumber, store.Micros(j.call.StartedAt))
	if err != nil {
		return Attribution{}, err
	}
	a.PoolID = binding.PoolID
	streams, background, err := j.holders(ctx)
	if err != nil {
		return Attribution{}, err
	}
	held := binding.SourceID == "" && len(streams) > 0 && streams[0].holds(j.call.StartedAt)
	overflow := ""
	if !held {
		t := store.Micros(j.call.StartedAt)
		overflow, err = optional(ctx, j.db, poolOfOverflow, j.call.AccountID, j.call.TrackingNumber, t, t)
		if err != nil {
			return Attribution{}, err
		}
		a.PoolID = firstOf(a.PoolID, overflow)
	}
	switch {
	case binding.SourceID != "":
		return j.bySource(ctx, a, binding, overflow != "")
	case overflow != "":
		a.Method = MethodOverflow
		a.Why = append(a.Why, "The number that was dialled is the one everybody is shown while the pool has none free: the visitor cannot be told.")
		return a, nil
	}
	return j.byHolders(ctx, a, streams, background)
}

// bySource is the verdict on a number that was bound to a source.
func (j judge) bySource(ctx context.Context, a Attribution, b bindingRow, overflow bool) (Attribution, error) {
	var row sourceRow
	err := j.db.Get(ctx, &row, anySource, j.call.AccountID, b.SourceID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		a.Why = append(a.Why, "The number that was dialled was bound to a source that does not exist.")
		return a, nil
	}
	if err != nil {
		return Attribution{}, fmt.Errorf("find source: %w", err)
	}
	if row.Medium, err = mediumOf(ctx, j.db, j.call.AccountID, b.SourceID, j.call.StartedAt); err != nil {
		return Attribution{}, fmt.Errorf("find medium of source: %w", err)
	}
	a.Verdict, a.Method, a.Confidence, a.UntrackedWeight = BySource, MethodSource, confidenceSource, left(confidenceSource)
	if overflow {
		a.Method = MethodOverflow
	}
	a.Classification = Classification{SourceID: row.ID, Source: row.Name, Medium: firstOf(row.Medium, None), Campaign: b.Campaign}
	a.Candidates = append(a.Candidates, Candidate{
		SourceID: a.SourceID, Source: a.Source, Medium: a.Medium, Campaign: a.Campaign, Weight: confidenceSource,
		Evidence: []string{fmt.Sprintf("The number belongs to %s alone.", row.Name)},
	})
	a.Why = append(a.Why, fmt.Sprintf("The number that was dialled belonged to %s when the call began.", described(a.Classification)))
	return a, nil
}

// left is what is left of 1, in billionths.
func left(weight float64) float64 { return float64(nano-int64(weight*nano)) / nano }

// Holders are named one by one down to a share of leastWeight, the likeliest
// maxNamed of them; the others are added up by source.
const (
	leastWeight = 1e-5
	maxNamed    = 24
)

// byHolders is the verdict on a number of a pool: everybody who was shown it
// before, and nobody we know, each by how likely they are to call now.
func (j judge) byHolders(ctx context.Context, a Attribution, streams []stream, background float64) (Attribution, error) {
	who, err := j.caller(ctx, streams)
	if err != nil {
		return Attribution{}, err
	}
	if who.contaminates {
		a.Contaminated = true
		decided, err := j.byCaller(ctx, &a, streams)
		if err != nil || decided {
			return a, err
		}
	}
	if err := j.weigh(ctx, who, streams); err != nil {
		return Attribution{}, err
	}
	a.Background = background
	shares := j.model.Posterior(holdersOfStreams(streams), background)
	a.Verdict, a.Confidence = shares.Verdict, shares.Confidence()
	a.forgotten = slices.ContainsFunc(streams, func(s stream) bool { return s.forgotten })
	a.Candidates, a.UntrackedWeight = candidates(streams, shares)
	if shares.Verdict == Winner {
		a.counted = j.countable(streams, shares.Holder, background)
	}
	if shares.Holder >= 0 {
		a.VisitorConfidence = shares.Holders[shares.Holder]
		if err := j.name(ctx, &a, streams[shares.Holder]); err != nil {
			return Attribution{}, err
		}
	}
	a.Why = append(a.Why, a.reasons(j.call.StartedAt, streams)...)
	return a, nil
}

// candidates lists who may have made the call, the latest holder first and those
// who are not named one by one at the end, and what is left to nobody. Weights
// are whole billionths that add up to 1.
func candidates(streams []stream, shares Shares) ([]Candidate, float64) {
	least := leastWeight
	if len(streams) > maxNamed {
		sorted := slices.Sorted(slices.Values(shares.Holders))
		least = max(least, sorted[len(sorted)-maxNamed])
	}
	list, rest := []Candidate{}, int64(nano)
	var others []Candidate
	at := map[string]int{}
	sums := []float64{}
	take := func(weight float64) float64 {
		units := int64(weight * nano)
		rest -= units
		return float64(units) / nano
	}
	for i, s := range streams {
		if shares.Holders[i] >= least {
			list = append(list, s.candidate(take(shares.Holders[i])))
			continue
		}
		k, ok := at[s.key()]
		if !ok {
			k = len(others)
			at[s.key()] = k
			others = append(others, Candidate{SourceID: s.sourceID, Source: s.source, Medium: s.medium})
			sums = append(sums, 0)
		}
		others[k].Visitors++
		sums[k] += shares.Holders[i]
	}
	for k, c := range others {
		if c.Weight = take(sums[k]); c.Weight > 0 {
			list = append(list, c)
		}
	}
	return list, float64(rest) / nano
}

// name makes a holder the one whom the attribution is about.
func (j judge) name(ctx context.Context, a *Attribution, s stream) error {
	touch, err := readTouch(ctx, j.db, j.call.AccountID, s.lease.TouchID)
	if err != nil {
		return err
	}
	a.PoolID = firstOf(a.PoolID, s.lease.PoolID)
	a.LeaseID, a.VisitorID, a.SessionID, a.TouchID = s.lease.ID, s.lease.VisitorID, s.lease.SessionID, s.lease.TouchID
	a.Classification = touch.Classification
	a.SourceID, a.Source, a.Medium, a.Campaign = s.sourceID, s.source, s.medium, s.campaign
	switch {
	case s.onScreen:
		a.Method = MethodLease
	case s.holds(j.call.StartedAt):
		a.Method = MethodLeaseTail
	default:
		a.Method = MethodPastLease
	}
	return nil
}

// byCaller is the verdict on a call of somebody known to a number that has gone
// to another visitor since they last called it: it is judged by that person's
// own history. It says false when nothing is left of that.
func (j judge) byCaller(ctx context.Context, a *Attribution, streams []stream) (bool, error) {
	t, at := store.Micros(j.call.StartedAt), store.Micros(j.judgedAt)
	for _, s := range streams {
		if s.person != j.call.From {
			continue
		}
		if err := j.name(ctx, a, s); err != nil {
			return false, err
		}
		j.foreign(a, s.candidate(confidenceCaller), streams)
		return true, nil
	}
	var row touchRow
	err := j.db.Get(ctx, &row, lastTouchOfCaller, j.call.AccountID, t, j.call.AccountID, j.call.From, t, at)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read history of caller: %w", err)
	}
	touch := row.touch()
	a.VisitorID, a.SessionID, a.TouchID, a.Classification = touch.Person, touch.SessionID, touch.ID, touch.Classification
	j.foreign(a, Candidate{
		VisitorID: touch.Person, SessionID: touch.SessionID, SourceID: touch.SourceID, Source: touch.Source, Medium: touch.Medium, Campaign: touch.Campaign,
		Weight: confidenceCaller, Evidence: []string{"Is the person to whom the phone belongs: an earlier call or form proved it."},
	}, streams)
	return true, nil
}

// foreign completes the verdict of byCaller: the present holder is named, but
// without weight.
func (j judge) foreign(a *Attribution, own Candidate, streams []stream) {
	a.Verdict, a.Method, a.Confidence, a.VisitorConfidence = Winner, MethodCaller, confidenceCaller, confidenceCaller
	a.UntrackedWeight = left(confidenceCaller)
	own.Ratios = append(own.Ratios, Ratio{Kind: RatioPhone, Value: maxRatio})
	present := streams[0].candidate(0)
	present.Evidence = []string{"Held the number when the call began, but is not the caller: the phone belongs to somebody who had called this number before."}
	a.Candidates = append(a.Candidates, own, present)
	a.Why = append(a.Why,
		"The caller is known, and had called this number before it went to the visitor who held it when the call began.",
		fmt.Sprintf("So the call is judged by the caller's own history: they came from %s.", described(a.Classification)))
}

type bindingRow struct {
	SourceID string `db:"source_id"`
	PoolID   string `db:"pool_id"`
	Campaign string `db:"campaign"`
}

// bindingAt returns what a number stood for at an instant; nothing when it
// stood for nothing.
func bindingAt(ctx context.Context, q store.Querier, accountID, number string, micros int64) (bindingRow, error) {
	var row bindingRow
	err := q.Get(ctx, &row, bindingOfNumber, accountID, number, micros)
	if err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		return bindingRow{}, fmt.Errorf("find binding: %w", err)
	}
	return row, nil
}
