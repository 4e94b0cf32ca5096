package report_test

import (
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// Who calls without a number is known as a visitor, also by what they did before
// the range.
func TestAVisitorWithoutANumberReturns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.touch("tch_1", "vis_1", "2025-02-01T10:00:00Z", "", "mail", "", "")
		for _, call := range []struct{ id, at string }{{"call_1", "2025-02-02T10:00:00Z"}, {"call_2", "2025-03-05T10:00:00Z"}} {
			w.ring(call.id, "", call.at, "answered")
			w.byVisitor(call.id, "", "vis_1", "tch_1", "", "mail", "", "")
		}
		a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-04-01", GroupBy: []report.Dimension{report.Source}})
		if got := row(t, a, report.ReturningRow).Credit; got != 1 {
			t.Errorf("got %v of the second call for (returning), want all of it: the first one was made before the range", got)
		}
	})
}

// Where the reading is expected, whoever may have made a call has their part of
// it, also when it is all but sure who did.
func TestAnUnlikelyCandidateHasTheirPart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.touch("tch_1", "vis_1", "2025-03-05T09:50:00Z", "", "mail", "", "")
		w.touch("tch_2", "vis_2", "2025-03-05T09:20:00Z", "", "bing", "", "")
		w.ring("call_1", "+13125550001", "2025-03-05T10:00:00Z", "answered")
		w.doubtful("call_1", "winner", 0.95, 0.95, "vis_1", "mail",
			`[{"visitor_id":"vis_1","source":"mail","weight":0.95},{"visitor_id":"vis_2","source":"bing","weight":0.05}]`)
		for reading, want := range map[report.Reading]map[string]float64{
			report.Expected: {"mail": 0.95, "bing": 0.05},
			report.Winner:   {"mail": 1},
		} {
			a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-04-01", GroupBy: []report.Dimension{report.Source}, Reading: reading})
			for source, credit := range want {
				if got := row(t, a, source).Credit; got != credit {
					t.Errorf("%s: got %v for %s, want %v", reading, got, source, credit)
				}
			}
			if len(want) != len(a.Rows) {
				t.Errorf("%s: got %d rows, want %d", reading, len(a.Rows), len(want))
			}
		}
	})
}
