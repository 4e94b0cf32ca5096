package attribution

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Evidence is an attribution with what it rests on.
type Evidence struct {
	Attribution
	StartedAt time.Time
	Lease     *Lease // the hold that decided, nil for none
	WhatIf    []WhatIf
}

// Evidence returns why a call was attributed as it was. For a call that has not
// been attributed it says so; NotFound means that there is no such call here.
func (l *Ledger) Evidence(ctx context.Context, accountID, callID string) (Evidence, error) {
	a, err := readAttribution(ctx, l.db, accountID, callID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return l.noEvidence(ctx, accountID, callID)
	}
	if err != nil {
		return Evidence{}, err
	}
	e := Evidence{Attribution: a}
	if err := l.explain(ctx, accountID, &e); err != nil {
		return Evidence{}, err
	}
	if a.TouchID != "" {
		touch, err := readTouch(ctx, l.db, accountID, a.TouchID)
		if err != nil {
			return Evidence{}, err
		}
		e.Rule = touch.Rule
	}
	if a.LeaseID == "" {
		return e, nil
	}
	var row leaseRow
	err = l.db.Get(ctx, &row, leaseByID, accountID, a.LeaseID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return e, nil
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("read evidence: %w", err)
	}
	lease := row.lease()
	e.Lease = &lease
	return e, nil
}

func (l *Ledger) noEvidence(ctx context.Context, accountID, callID string) (Evidence, error) {
	var id string
	if err := l.db.Get(ctx, &id, callExists, accountID, callID); err != nil {
		return Evidence{}, fmt.Errorf("read evidence of call: %w", err)
	}
	return Evidence{Attribution: Attribution{
		CallID: callID, Verdict: Untracked, Method: MethodNone, UntrackedWeight: 1, ModelVersion: ModelVersion, Candidates: []Candidate{},
		Why: []string{"The call has not been attributed."},
	}}, nil
}

// explain adds what the attribution does not store because it follows from what
// it does: a sentence for each candidate, and what would have changed the answer.
func (l *Ledger) explain(ctx context.Context, accountID string, e *Evidence) error {
	var at int64
	err := l.db.Get(ctx, &at, startOfCall, accountID, e.CallID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read evidence of call: %w", err)
	}
	e.StartedAt = store.FromMicros(at)
	for i := range e.Candidates {
		if c := &e.Candidates[i]; len(c.Evidence) == 0 && (c.LastShownAt != 0 || c.Visitors > 0) {
			c.Evidence = c.sentences(e.StartedAt)
		}
	}
	version, ok := delayVersion(e.ModelVersion)
	if !ok || e.Contaminated || len(e.Candidates) == 0 || e.Candidates[0].LastShownAt == 0 {
		return nil
	}
	model, err := l.modelOf(ctx, accountID, version)
	if err != nil {
		return fmt.Errorf("read evidence of call: %w", err)
	}
	e.WhatIf = model.whatIf(e.Attribution, e.StartedAt)
	return nil
}

// sentences says for a person what speaks for and against a candidate.
func (c Candidate) sentences(t time.Time) []string {
	if c.Visitors > 0 {
		return []string{fmt.Sprintf("%d more visitors of this source who were shown the number, each too unlikely to be named.", c.Visitors)}
	}
	list := []string{fmt.Sprintf("Saw the number last %s before the call.", ago(t.Sub(store.FromMicros(c.LastShownAt))))}
	if c.OnScreen {
		list[0] = "Had the number on the screen when the call began."
	}
	for _, r := range c.Ratios {
		list = append(list, r.sentence())
	}
	return list
}

func (r Ratio) sentence() string {
	times := fmt.Sprintf("%s times as likely", figure(r.Value))
	if r.Value < 1 {
		times = fmt.Sprintf("%s times less likely", figure(1/r.Value))
	}
	switch {
	case r.Kind == RatioPhone && r.Value >= 1:
		return fmt.Sprintf("The caller's phone is known to be theirs: %s.", times)
	case r.Kind == RatioPhone:
		return fmt.Sprintf("Is known to call from another phone: %s.", times)
	case r.Kind == RatioArea:
		return fmt.Sprintf("The caller's area code, for a visitor from their region: %s.", times)
	}
	return fmt.Sprintf("The kind of line that called, for a visitor with their device: %s.", times)
}

// figure writes a number with as many digits as a person wants to read.
func figure(x float64) string {
	if x >= 10 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 2, 64)
}

// percent writes a chance as people say it; what is nearly sure is not called
// sure.
func percent(x float64) string {
	switch {
	case x >= 0.9995 && x < 1:
		return "over 99.9 %"
	case x <= 0.0005 && x > 0:
		return "under 0.1 %"
	}
	return strconv.FormatFloat(x*100, 'f', 1, 64) + " %"
}

// reasons says for a person why the posterior came out as it did.
func (a Attribution) reasons(t time.Time, streams []stream) []string {
	switch {
	case len(streams) == 0 && a.PoolID == "":
		return []string{"The number that was dialled was neither bound to a source nor part of a pool when the call began."}
	case len(streams) == 0:
		return []string{"The number that was dialled had not been shown to anybody when the call began."}
	}
	others := 0.0
	for _, c := range a.Candidates {
		if c.VisitorID != a.VisitorID {
			others += c.Weight
		}
	}
	seen := fmt.Sprintf("It had last been shown %s before the call.", ago(streams[0].since))
	if a.Verdict == Untracked {
		return []string{
			fmt.Sprintf("Nobody who was shown the number that was dialled is as likely to have called as somebody we do not know: %s.", percent(a.UntrackedWeight)),
			seen,
		}
	}
	var list []string
	switch a.Method {
	case MethodLease:
		list = append(list, "The number that was dialled was on a visitor's open page when the call began.")
	case MethodLeaseTail:
		list = append(list, "The number that was dialled was still one visitor's when the call began, though the page had gone silent.", seen)
	default:
		list = append(list, "Nobody held the number that was dialled as the likeliest visitor had: it was theirs before.", seen)
	}
	list = append(list, fmt.Sprintf("That visitor came from %s, and is %s likely to be the one who called.", described(a.Classification), percent(a.VisitorConfidence)))
	if others > 0 {
		list = append(list, fmt.Sprintf("Others who had been shown the number before: %s together.", percent(others)))
	}
	list = append(list, fmt.Sprintf("The source is %s sure (%s); %s goes to nobody we know.", percent(a.Confidence), Band(a.Confidence), percent(a.UntrackedWeight)))
	if a.Verdict == Ambiguous {
		list = append(list, "Below 70 % no source is given the call: reports count it as untracked, or divide it among the candidates.")
	}
	return list
}

func described(c Classification) string {
	words := c.Source
	if c.Medium != "" && c.Medium != None {
		words += " (" + c.Medium + ")"
	}
	if c.Campaign != "" {
		words += fmt.Sprintf(", campaign %q", c.Campaign)
	}
	return words
}

// ago writes a duration as people say it.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "a moment"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int64(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int64(d/time.Minute))
	case d < 2*day:
		return fmt.Sprintf("%d h", int64(d/time.Hour))
	}
	return fmt.Sprintf("%d days", int64(d/day))
}
