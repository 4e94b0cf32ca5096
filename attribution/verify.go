package attribution

import (
	"context"
	"fmt"
	"math"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
)

// Verification is what Verify found.
type Verification struct {
	Checked int
	Missing []string // calls without an attribution that could have one
	Differ  []string // calls whose attribution does not follow from the facts
}

// Verify recomputes every attribution of this rule from the facts, each with the
// delay model that it names, and compares it with what was kept, without
// writing. Names of sources are
// not compared: a source may be renamed. Evidence that was
// counted over all calls stands as it was noted then, and so does what is noted
// of a visitor whom retention has forgotten; a call is passed over when one is
// forgotten who was not named. So are imported attributions and those of earlier
// rules, which follow from nothing that this program knows.
func (l *Ledger) Verify(ctx context.Context) (Verification, error) {
	var v Verification
	models := map[string]DelayModel{}
	after := callRow{}
	for {
		var rows []callRow
		err := l.db.Select(ctx, &rows, callsAfter, after.AccountID, after.ID, 500)
		if err != nil {
			return v, fmt.Errorf("verify attributions: %w", err)
		}
		if len(rows) == 0 {
			return v, nil
		}
		for _, r := range rows {
			if err := l.verify(ctx, r.call(), models, &v); err != nil {
				return v, fmt.Errorf("verify attributions: %w", err)
			}
		}
		after = rows[len(rows)-1]
	}
}

func (l *Ledger) verify(ctx context.Context, call telephony.Call, models map[string]DelayModel, v *Verification) error {
	kept, err := readAttribution(ctx, l.db, call.AccountID, call.ID)
	if callwheel.KindOf(err) == callwheel.NotFound {
		if judged(call) {
			v.Checked++
			v.Missing = append(v.Missing, call.ID)
		}
		return nil
	}
	if err != nil {
		return err
	}
	version, ok := delayVersion(kept.ModelVersion)
	if kept.Method == MethodImported || !ok {
		return nil
	}
	v.Checked++
	name := call.AccountID + "/" + kept.ModelVersion
	model, known := models[name]
	if !known {
		model, err = l.modelOf(ctx, call.AccountID, version)
		if callwheel.KindOf(err) == callwheel.NotFound {
			v.Differ = append(v.Differ, call.ID)
			return nil
		}
		if err != nil {
			return err
		}
		models[name] = model
	}
	j := judge{db: l.db, call: call, model: model, judgedAt: kept.JudgedAt, kept: byVisitor(kept.Candidates)}
	now, err := j.conclude(ctx)
	if err != nil {
		return err
	}
	if now.forgotten {
		v.Checked-- // the sources of small candidates cannot be told apart any more
		return nil
	}
	if !now.agrees(kept) {
		v.Differ = append(v.Differ, call.ID)
	}
	return nil
}

func byVisitor(list []Candidate) map[string]Candidate {
	found := make(map[string]Candidate, len(list))
	for _, c := range list {
		found[c.VisitorID] = c
	}
	return found
}

// agrees compares what two attributions of one call conclude, not how it is
// called. Candidates too unlikely to be noted may have had evidence that was
// counted otherwise; that much is let pass.
func (a Attribution) agrees(b Attribution) bool {
	const slack = 1e-3
	key := func(a Attribution) string {
		return fmt.Sprint(a.Verdict, a.Method, a.Contaminated, a.SourceID, a.Medium, a.Campaign, a.PoolID, a.VisitorID, a.SessionID, a.LeaseID, a.TouchID)
	}
	return key(a) == key(b) && math.Abs(a.Confidence-b.Confidence) < slack && math.Abs(a.VisitorConfidence-b.VisitorConfidence) < slack
}
