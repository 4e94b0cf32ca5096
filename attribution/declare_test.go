package attribution_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestDeclaredDelaysCountFromThenOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		site := h.newSite(h.newPool(1).ID)
		a := h.visit(page(site, "?utm_source=google&utm_medium=cpc"), start)
		n := a.Swap[printed]
		h.leave(site, a.Session, start)
		silent := start.Add(10 * time.Hour)
		first := h.ring(n, silent)
		h.attribute(first)

		slow := attribution.DefaultDelays()
		slow.Parts = []attribution.DelayPart{{Weight: 1, MeanHours: 10}}
		slow.Propensity = 0.5
		h.clock = silent.Add(time.Minute)
		m, err := h.ledger.DeclareDelays(context.Background(), h.who(), slow)
		if err != nil || m.Version != 1 || !m.Declared() {
			t.Fatalf("declare: got %+v, %v, want a declared version 1", m, err)
		}
		second := h.ringFrom("+12125550188", n, silent.Add(2*time.Minute))
		h.attribute(second)
		was, is := h.evidence(first), h.evidence(second)
		if was.ModelVersion != attribution.ModelVersion || is.ModelVersion != attribution.ModelVersion+"/1" {
			t.Errorf("models: got %s and %s, want the defaults and version 1", was.ModelVersion, is.ModelVersion)
		}
		if len(is.Candidates) != 1 || is.Candidates[0].Weight < 0.8 || was.Candidates[0].Weight > 0.5 {
			t.Errorf("got %+v and %+v, want callers of whom half wait ten hours to be likelier than those of the defaults", was.Candidates, is.Candidates)
		}
		if v, err := h.ledger.Verify(context.Background()); err != nil || v.Checked != 2 || len(v.Differ) > 0 {
			t.Errorf("judged again: got %+v, %v, want 2 alike", v, err)
		}

		h.clock = silent.Add(time.Hour)
		if m, err = h.ledger.DeclareDelays(context.Background(), h.who(), attribution.DefaultDelays()); err != nil || m.Version != 2 {
			t.Errorf("declare again: got %+v, %v, want version 2", m, err)
		}
		list, err := h.ledger.DelayModels(context.Background(), h.account)
		if err != nil || len(list) != 3 || list[0].Version != 2 || list[1].Propensity != 0.5 || list[2].Version != 0 || list[2].Declared() {
			t.Errorf("versions: got %+v, %v, want 2, 1 and the defaults", list, err)
		}
	})
}

func TestDelaysThatMakeNoPosteriorAreRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		for field, spoil := range map[string]func(*attribution.Delays){
			"parts":      func(d *attribution.Delays) { d.Parts = nil },
			"parts[1]":   func(d *attribution.Delays) { d.Parts[1].MeanHours = 0 },
			"propensity": func(d *attribution.Delays) { d.Propensity = 1.1 },
			"background": func(d *attribution.Delays) { d.Background = 0 },
			"on_screen":  func(d *attribution.Delays) { d.OnScreen = 0.4 }, // 0.4626 an hour just after the page was left
		} {
			d := attribution.DefaultDelays()
			spoil(&d)
			_, err := h.ledger.DeclareDelays(context.Background(), h.who(), d)
			var refused *callwheel.Error
			if !errors.As(err, &refused) || len(refused.Fields) != 1 || refused.Fields[0].Field != field {
				t.Errorf("%s: got %v, want it refused", field, err)
			}
		}
		if list, err := h.ledger.DelayModels(context.Background(), h.account); err != nil || len(list) != 1 {
			t.Errorf("got %+v, %v, want nothing but the defaults", list, err)
		}
	})
}
