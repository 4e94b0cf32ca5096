package attribution_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

// verified fails when an attribution does not follow from the facts.
func (h *house) verified(want int) {
	h.t.Helper()
	v, err := h.ledger.Verify(context.Background())
	if err != nil || v.Checked != want || len(v.Differ)+len(v.Missing) != 0 {
		h.t.Errorf("got %+v, %v, want %d attributions that agree", v, err, want)
	}
}

func weights(e attribution.Evidence) (sum float64, of map[string]float64) {
	of = map[string]float64{}
	sum = e.UntrackedWeight
	for _, c := range e.Candidates {
		of[c.VisitorID] += c.Weight
		sum += c.Weight
	}
	return sum, of
}

// The worked example, through the doors: two visitors of one source and one of
// another see the only number one after the other.
func TestEveryPastHolderIsACandidateByHowLongAgoTheySawTheNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		call := start.Add(10 * day)
		v3 := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), call.Add(-48*time.Hour))
		v2 := h.visit(page(site, "?utm_source=google&utm_medium=organic"), call.Add(-110*time.Minute))
		v1 := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), call.Add(-8*time.Minute))
		c := h.ring(v1.Swap[printed], call)
		if got := h.attribute(c); got != "google" {
			t.Errorf("got %q, want google", got)
		}
		e := h.evidence(c)
		sum, of := weights(e)
		nearly(t, "sum", sum, 1, 1e-9)
		nearly(t, "the first", of[v1.Visitor], 0.944800239, 2e-9)
		nearly(t, "the second", of[v2.Visitor], 0.028199664, 2e-9)
		nearly(t, "the third", of[v3.Visitor], 0.000754319, 2e-9)
		nearly(t, "nobody", e.UntrackedWeight, 0.026245778, 5e-9)
		nearly(t, "source", e.Confidence, 0.945554558, 2e-9)
		nearly(t, "visitor", e.VisitorConfidence, 0.944800239, 2e-9)
		if e.Medium != "cpc" || e.VisitorID != v1.Visitor || e.Method != attribution.MethodLeaseTail || e.Candidates[0].Evidence[0] != "Saw the number last 8 min before the call." {
			t.Errorf("got %+v", e)
		}
		h.explained(e)
		h.verified(1)
		h.repeated(c, e)

		unknown := h.ringFrom("+12125550177", v1.Swap[printed], call.Add(40*day))
		if got := h.attribute(unknown); got != "" {
			t.Errorf("40 days later: got %q, want nobody", got)
		}
	})
}

// repeated takes the attribution away and lets Sweep find the call, long after.
func (h *house) repeated(c telephony.Call, before attribution.Evidence) {
	h.t.Helper()
	h.exec(`DELETE FROM attributions WHERE account_id = ? AND call_id = ?`, c.AccountID, c.ID)
	if n, err := h.ledger.Sweep(context.Background(), c.StartedAt.Add(3*day)); err != nil || n != 1 {
		h.t.Fatalf("got %d, %v, want the call swept up", n, err)
	}
	after := h.evidence(c)
	if got, want := fmt.Sprint(after.Candidates, after.Why, after.WhatIf, after.Confidence), fmt.Sprint(before.Candidates, before.Why, before.WhatIf, before.Confidence); got != want {
		h.t.Errorf("asked again it is\n%s\nit was\n%s", got, want)
	}
}

// explained checks what would have changed the answer: the page still open, the
// moment at which the answer turns, the phone known, the number nobody else's.
func (h *house) explained(e attribution.Evidence) {
	h.t.Helper()
	var texts []string
	for _, w := range e.WhatIf {
		texts = append(texts, fmt.Sprintf("%s: %s %s %.3f", w.If, w.Verdict, w.Source, w.Confidence))
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{
		"If the visitor from google (cpc) had still had the page open: winner google 0.999",
		"If the phone had been known as that of the visitor from google (cpc): winner google 1.000",
		"If the number had been shown to nobody but the visitor from google (cpc): winner google 0.973",
		"or earlier: ambiguous google 0.69",
	} {
		if !strings.Contains(all, want) {
			h.t.Errorf("got\n%s\nwant a line %q", all, want)
		}
	}
}

func TestAPhoneThatIsKnownSpeaksForItsVisitorAndAgainstOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		n := a.Swap[printed]
		h.attribute(h.ringFrom("+12125550101", n, start.Add(10*time.Second))) // proves whose phone it is
		for i := range 9 {
			h.attribute(h.ringFrom(fmt.Sprintf("+1212555020%d", i), "+13125559999", start.Add(time.Duration(i)*time.Minute)))
		}
		h.visit(page(site, "?utm_source=june&utm_medium=email"), start.Add(2*time.Hour))
		h.attribute(h.ringFrom("+12125550102", n, start.Add(2*time.Hour+10*time.Second)))
		at := start.Add(5 * time.Hour)
		h.clock = at
		own := h.ringFrom("+12125550101", n, at)
		h.attribute(own)
		e := h.evidence(own)
		// 1 of 11 calls came from this phone: e = 11. The other visitor is known by
		// another phone: e = 0.1.
		d := attribution.DefaultDelays()
		first, second := 11*0.05*d.Density(5*time.Hour), 0.1*0.05*d.Density(3*time.Hour)
		nearly(t, "its visitor", e.VisitorConfidence, first/(first+second+0.002), 1e-9)
		if e.Source != "google" || e.VisitorID != a.Visitor || e.Contaminated {
			t.Errorf("got %s %s contaminated %v, want its own visitor", e.Source, e.VisitorID, e.Contaminated)
		}
		if got := e.Candidates[1].Evidence[1]; got != "The caller's phone is known to be theirs: 11 times as likely." {
			t.Errorf("got %q", got)
		}
		// Counts that have grown since, and a link that was written down since,
		// change nothing of it.
		for i := range 5 {
			h.ringFrom(fmt.Sprintf("+1212555030%d", i), "+13125559999", start.Add(time.Hour))
		}
		h.exec(`UPDATE calls SET direction = 'outbound' WHERE from_e164 LIKE '+1212555030%'`)
		h.exec(`UPDATE person_links SET known_at = ? WHERE account_id = ? AND person = '+12125550102'`, store.Micros(at.Add(-time.Hour)), h.account)
		h.verified(12)
	})
}

func TestAKnownCallerOnARecycledNumberIsJudgedByTheirOwnHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		n := a.Swap[printed]
		h.attribute(h.ring(n, start.Add(10*time.Second)))
		at := start.Add(30 * day)
		h.clock = at
		b := h.visit(page(site, "?utm_source=june&utm_medium=email"), at)
		saved := h.ring(n, at.Add(10*time.Second)) // from the address book, while somebody else reads the page
		if got := h.attribute(saved); got != "google" {
			t.Errorf("got %q, want the caller's own source", got)
		}
		e := h.evidence(saved)
		_, of := weights(e)
		if !e.Contaminated || e.Method != attribution.MethodCaller || e.VisitorID != a.Visitor || of[b.Visitor] != 0 || len(e.Candidates) != 2 {
			t.Errorf("got %+v, want a contaminated call of the first visitor", e)
		}
		if n := h.count(`SELECT count(*) FROM attributions WHERE account_id = ? AND contaminated`, h.account); n != 1 {
			t.Errorf("got %d contaminated calls, want 1", n)
		}
		// A stranger who calls at the same time is the one who reads the page.
		stranger := h.ringFrom("+12125550166", n, at.Add(20*time.Second))
		if got := h.attribute(stranger); got != "june" || h.evidence(stranger).Contaminated {
			t.Errorf("a stranger: got %q, want june", got)
		}
		// And the same visitor on the site, called from their own phone, is no case.
		again := h.visit(back(page(site, ""), a), at.Add(9*time.Hour))
		mine := h.ring(again.Swap[printed], at.Add(9*time.Hour+10*time.Second))
		if h.attribute(mine); h.evidence(mine).Contaminated || h.evidence(mine).VisitorID != a.Visitor {
			t.Error("the caller's own visit counts as contaminated")
		}
		h.verified(4)
		// The visitor is gone from the leases' number: their touches still tell.
		h.exec(`UPDATE leases SET number = '+13125550000' WHERE visitor_id = ?`, a.Visitor)
		h.exec(`DELETE FROM attributions WHERE call_id = ?`, saved.ID)
		if got := h.attribute(saved); got != "google" || !h.evidence(saved).Contaminated {
			t.Errorf("by touches alone: got %q, want google", got)
		}
	})
}

func TestAreaAndDeviceAreCountedFromSureCallsAndWeighed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		from := func(region, source string) attribution.VisitRequest {
			req := page(site, "?utm_medium=cpc&utm_source="+source)
			req.Region, req.UserAgent = region, "Mozilla/5.0 (Linux; Android 15) Mobile"
			return req
		}
		at := start
		learn := func(region, area string, times int) {
			for i := range times {
				at = at.Add(3 * time.Hour)
				a := h.visit(from(region, "google"), at)
				h.attribute(h.ringFrom(fmt.Sprintf("%s555011%d", area, i), a.Swap[printed], at.Add(time.Second)))
			}
		}
		learn("US-IL", "+1312", 6)
		learn("US-NY", "+1212", 6)
		if n := h.count(`SELECT calls FROM evidence_counts WHERE account_id = ? AND kind = 'area' AND told = '+1312' AND given = 'US-IL'`, h.account); n != 6 {
			t.Errorf("got %d calls of +1312 with US-IL, want 6", n)
		}
		if n := h.count(`SELECT count(*) FROM evidence_counts WHERE kind = 'device'`); n != 0 {
			t.Error("lines were told apart where numbers do not tell")
		}
		at = at.Add(3 * day)
		h.clock = at
		il, ny := h.visit(from("US-IL", "june"), at), h.visit(from("US-NY", "mail"), at.Add(2*time.Hour))
		call := h.ringFrom("+13125550199", ny.Swap[printed], at.Add(4*time.Hour))
		h.attribute(call)
		e := h.evidence(call)
		// (6+1)/(6+2) and (0+1)/(6+2) over (6+1)/(12+2).
		d := attribution.DefaultDelays()
		first, second := 1.75*0.05*d.Density(4*time.Hour), 0.25*0.05*d.Density(2*time.Hour)
		_, of := weights(e)
		nearly(t, "odds of the region that fits", of[il.Visitor]/of[ny.Visitor], first/second, 1e-6)
		h.verified(13)
		h.exec(`UPDATE evidence_counts SET calls = calls + 100 WHERE given = 'US-NY'`)
		h.verified(13)
		mobile := h.ringFrom("+447911123456", ny.Swap[printed], at.Add(2*time.Hour+time.Second))
		h.attribute(mobile)
		if n := h.count(`SELECT calls FROM evidence_counts WHERE kind = 'device' AND told = 'mobile' AND given = 'mobile'`); n != 1 {
			t.Error("a mobile line on a mobile device was not counted")
		}
	})
}

// Retention takes a visitor who never called; the calls for which they were a
// candidate can still be repeated.
func TestAForgottenCandidateStillCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		b := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start.Add(time.Hour))
		call := h.ring(b.Swap[printed], start.Add(time.Hour+30*time.Minute))
		h.attribute(call)
		before := h.evidence(call)
		if before.Confidence < before.VisitorConfidence+0.01 {
			t.Fatalf("got %v and %v, want two visitors of one source", before.Confidence, before.VisitorConfidence)
		}
		h.clock = start.Add(500 * day)
		if n, err := h.ledger.Forget(context.Background(), h.clock); err != nil || n != 1 {
			t.Fatalf("got %d, %v, want the one who never called forgotten", n, err)
		}
		h.verified(1)
		if after := h.evidence(call); math.Abs(after.Confidence-before.Confidence) > 0 {
			t.Errorf("%v became %v", before.Confidence, after.Confidence)
		}
	})
}
