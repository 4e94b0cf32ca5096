package report_test

import (
	"math"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// doubtful writes a call as attribution leaves it when several may have made it.
func (w *world) doubtful(call, verdict string, confidence, visitorConfidence float64, visitor, source, candidates string) {
	w.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, visitor_confidence, source, medium, visitor_id, touch_id,
			model_version, attributed_at, candidates) VALUES (?, ?, ?, 'past_lease', ?, ?, ?, 'cpc', ?, ?, 'v', ?, ?)`,
		acct, call, verdict, confidence, visitorConfidence, source, visitor, "tch_"+visitor, store.Micros(w.now), candidates)
}

// Three calls: one that two sources share and nobody is sure of, one whose
// source is sure and whose visitor is not, one of nobody.
func doubtfulWorld(t *testing.T, db *store.DB) *world {
	w := newWorld(t, db)
	for _, v := range []struct{ id, source string }{{"1", "Ads"}, {"2", "Bing"}, {"3", "Ads"}} {
		w.touch("tch_vis_"+v.id, "vis_"+v.id, "2025-03-10T10:00:00Z", "", v.source, "cpc", "")
	}
	w.ring("call_1", "+12125550101", "2025-03-10T12:00:00Z", "answered")
	w.doubtful("call_1", "ambiguous", 0.5, 0.5, "vis_1", "Ads",
		`[{"visitor_id":"vis_1","source":"Ads","weight":0.5},{"visitor_id":"vis_2","source":"Bing","weight":0.25},
		{"visitor_id":"","source":"Radio","medium":"audio","visitors":7,"weight":0.125}]`)
	w.sell("sale_1", "call_1", "+12125550101", "2025-03-10T12:30:00Z", 10_01, "USD")
	w.ring("call_2", "+12125550102", "2025-03-11T12:00:00Z", "answered")
	w.doubtful("call_2", "winner", 0.9, 0.5, "vis_1", "Ads",
		`[{"visitor_id":"vis_1","source":"Ads","weight":0.5},{"visitor_id":"vis_3","source":"Ads","weight":0.4}]`)
	w.ring("call_3", "+12125550103", "2025-03-12T12:00:00Z", "answered")
	w.untracked("call_3")
	return w
}

func TestADoubtfulCallIsCreditedByItsWinnerOrByItsChances(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := doubtfulWorld(t, db)
		for _, c := range []struct {
			reading report.Reading
			credit  map[string]float64
			cents   map[string]int64
		}{
			{report.Winner, map[string]float64{"Ads": 1, "untracked": 2}, map[string]int64{"Ads": 0, "untracked": 10_01}},
			{
				report.Expected,
				map[string]float64{"Ads": 0.5 + 0.9, "Bing": 0.25, "Radio": 0.125, "untracked": 0.125 + 0.1 + 1},
				map[string]int64{"Ads": 5_01, "Bing": 2_50, "Radio": 1_25, "untracked": 1_25},
			},
		} {
			for _, ask := range []func(report.Query) *report.Attribution{w.attribution, w.roi} {
				a := ask(report.Query{GroupBy: []report.Dimension{report.Source}, Reading: c.reading, CreditFor: report.ForCall})
				credits, revenue := 0.0, int64(0)
				for name, want := range c.credit {
					r := row(t, a, name)
					if math.Abs(r.Credit-want) > 1e-9 {
						t.Errorf("%s: %s is credited %v, want %v", c.reading, name, r.Credit, want)
					}
					if got := r.Revenue.Micros / 10_000; got != c.cents[name] {
						t.Errorf("%s: %s brought %d cents, want %d", c.reading, name, got, c.cents[name])
					}
				}
				for _, r := range a.Rows {
					credits += r.Credit
					revenue += r.Revenue.Micros
				}
				if math.Abs(credits-3) > 1e-9 || revenue != 10_010_000 {
					t.Errorf("%s: credits add up to %v and revenue to %d, want 3 calls and every cent", c.reading, credits, revenue)
				}
			}
		}
	})
}

func TestAVisitorWhoIsOnlyLikelyProvesNoPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := doubtfulWorld(t, db)
		// The caller of call_2 buys later, after another arrival of theirs.
		w.sell("sale_2", "", "+12125550102", "2025-03-15T12:00:00Z", 50_00, "USD")
		a := w.attribution(report.Query{GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: "linear"})
		if got := row(t, a, "(none)").Credit; got != 1 {
			t.Errorf("got %v of the sale for no source, want all: vis_1 was never shown to be this person", got)
		}
	})
}
