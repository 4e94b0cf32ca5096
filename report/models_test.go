package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// town is a world of many persons: visitors with touches, calls that are theirs,
// doubtful or nobody's, tags, agents, stages, sales and imported outcomes.
func town(t testing.TB, db *store.DB) *world {
	w := newWorld(t, db)
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	at := func() string {
		return when("2025-01-05T00:00:00Z").Add(time.Duration(r.IntN(70*24*60)) * time.Minute).Format(time.RFC3339)
	}
	w.source("src_g", "Google Ads", "cpc")
	w.source("src_b", "Billboard", "")
	for _, name := range []string{"vip", "spring", "Plumbing"} {
		w.exec(`INSERT INTO tags (account_id, tag_id, name, folded, created_at) VALUES (?, ?, ?, lower(?), 0)`, acct, "tag_"+name, name, name)
	}
	w.exec(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, 'agent_1', 'Kim', '+13125550200', 0)`, acct)
	w.exec(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, 'agent_1', '+13125550200', 0)`, acct)
	for i := range 60 {
		visitor, caller := fmt.Sprintf("vis_%02d", i), fmt.Sprintf("+131255510%02d", i)
		for k := range 1 + r.IntN(6) {
			source := pick("google ads", "GOOGLE ADS", "mail", "bing", "direct", "")
			w.touch(fmt.Sprintf("tch_%02d_%d", i, k), visitor, at(), "", source, pick("cpc", "email", "(none)"), pick("spring", "Spring", "summer", ""))
		}
		call := fmt.Sprintf("call_%02d", i)
		if i%2 == 1 {
			continue // came and never called
		}
		from := caller
		if i%10 == 0 {
			from = ""
		}
		w.ring(call, from, at(), pick("answered", "answered", "abandoned", "blocked"))
		w.exec(`UPDATE calls SET answered_by = '+13125550200' WHERE account_id = ? AND call_id = ? AND outcome = 'answered'`, acct, call)
		switch r.IntN(4) {
		case 0:
			w.bySource(call, "src_b", "Billboard", "(none)")
		case 1:
			w.doubtful(call, "ambiguous", 0.5, 0.5, visitor, "mail",
				fmt.Sprintf(`[{"visitor_id":"%s","source":"mail","weight":0.5},{"visitor_id":"vis_%02d","source":"bing","weight":0.3},{"visitor_id":"","source":"mail","medium":"email","visitors":3,"weight":0.1}]`, visitor, i+1))
		case 2:
			w.untracked(call)
		default:
			w.byVisitor(call, from, visitor, fmt.Sprintf("tch_%02d_0", i), "", "mail", "email", "")
		}
		for _, tag := range []string{"vip", "spring", "Plumbing"}[:r.IntN(4)] {
			w.exec(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, ?, ?, 0, 'u')`, acct, call, "tag_"+tag)
		}
		if r.IntN(2) == 0 {
			w.dispose(call, pick("disp_lead", "disp_qualified", "disp_none"), at())
		}
		for k := range r.IntN(3) {
			person := from
			if person == "" {
				person = "call:" + call
			}
			w.sell(fmt.Sprintf("sale_%02d_%d", i, k), call, person, at(), 1_00+r.Int64N(1000_00), "USD")
		}
	}
	for i := range 10 {
		w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, won_at, value_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, ?, 'USD', 0)`,
			acct, fmt.Sprintf("out_%02d", i), fmt.Sprintf("vis_%02d", 2*i+1), store.Micros(when(at())), store.Micros(when(at())), r.Int64N(500_000_000))
	}
	return w
}

func drawParams(t *rapid.T, label string) (name string, with attribution.Params) {
	name = rapid.SampledFrom(report.Models()).Draw(t, label)
	switch name {
	case "shaped":
		with.Shape = rapid.SampledFrom([]string{"20/20/60", "60/20/20", "1/98/1", "33.3/33.4/33.3"}).Draw(t, "shape")
	case "time_decay":
		with.HalfLifeDays = rapid.Float64Range(0.1, 100).Draw(t, "half-life")
	case "markov":
		with.Order = rapid.IntRange(1, 4).Draw(t, "order")
	}
	return name, with
}

// Credits add up to the conversions and to the money, whatever the model, the
// filter, the grouping and the reading; and two models are what each is alone.
func TestNoModelLosesOrInventsCredit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := town(t, db)
		w.spend("line 1", "google ads", "cpc", "Spring", "2025-01-01", "2025-04-01", 310_00)
		filterOf := map[report.Dimension][]string{
			report.Source: {"google ads", "mail", "untracked", "(none)"}, report.Campaign: {"spring", "(none)"}, report.Tag: {"vip", "(none)"}, report.AgentName: {"kim", "(none)"},
		}
		worth := map[string]report.Figures{}
		rapid.Check(t, func(rt *rapid.T) {
			q := report.Query{AccountID: acct, From: "2025-02-01", Until: "2025-03-10"}
			q.Model, q.With = drawParams(rt, "model")
			q.Compare, q.CompareTo = drawParams(rt, "second model")
			q.CreditFor = rapid.SampledFrom([]report.Goal{report.ForCall, report.ForLead, report.ForQualified, report.ForSale}).Draw(rt, "goal")
			q.Reading = rapid.SampledFrom([]report.Reading{report.Winner, report.Expected}).Draw(rt, "reading")
			if q.Model == report.StoredWinner || q.Compare == report.StoredWinner {
				q.Reading = report.Winner // it has no weights
			}
			q.WindowDays = rapid.SampledFrom([]int{1, 10, 90}).Draw(rt, "window")
			q.GroupBy = rapid.SliceOfNDistinct(rapid.SampledFrom(report.Dimensions), 0, 3, rapid.ID[report.Dimension]).Draw(rt, "groups")
			touched := false
			q.Filters = map[report.Dimension]string{}
			if rapid.Bool().Draw(rt, "filtered") {
				d := rapid.SampledFrom([]report.Dimension{report.Source, report.Campaign, report.Tag, report.AgentName}).Draw(rt, "filter")
				q.Filters[d] = rapid.SampledFrom(filterOf[d]).Draw(rt, "name")
				touched = d == report.Source || d == report.Campaign
			}
			a, err := w.desk.Attribution(context.Background(), q)
			if err != nil {
				rt.Fatal(err)
			}
			var credit, compared float64
			var revenue, other int64
			for _, r := range a.Rows {
				credit += r.Credit
				revenue += r.Revenue.Micros
				compared += r.Compare.Credit
				other += r.Compare.Revenue.Micros
				if math.Abs(r.Compare.Credit-r.Credit-r.Difference.Credit) > 1e-9 || r.Compare.Revenue.Micros-r.Revenue.Micros != r.Difference.Revenue.Micros {
					rt.Fatalf("%+v: the difference of %v and %v is said to be %v", r.Groups, r.Compare, r.Figures, r.Difference)
				}
				if r.Credit < -1e-9 || r.Revenue.Micros < 0 {
					rt.Fatalf("%+v: got credit %v and %s", r.Groups, r.Credit, r.Revenue)
				}
			}
			if math.Abs(credit-a.Totals.Credit) > 1e-7 || revenue != a.Totals.Revenue.Micros || math.Abs(compared-a.Totals.Compare.Credit) > 1e-7 || other != a.Totals.Compare.Revenue.Micros {
				rt.Fatalf("rows add up to %v, %d and %v, %d; totals are %v", credit, revenue, compared, other, a.Totals)
			}
			if touched {
				return // how much of the whole belongs to a source is what models disagree about
			}
			key := fmt.Sprint(q.CreditFor, q.Filters)
			known, ok := worth[key]
			if !ok {
				known = w.attribution(report.Query{From: q.From, Until: q.Until, CreditFor: q.CreditFor, Filters: q.Filters, Model: "first_touch"}).Totals
				worth[key] = known
				if known.Credit != math.Trunc(known.Credit) {
					rt.Fatalf("got %v conversions", known.Credit)
				}
			}
			for _, got := range []report.Compared{{Credit: a.Totals.Credit, Revenue: a.Totals.Revenue}, *a.Totals.Compare} {
				if math.Abs(got.Credit-known.Credit) > 1e-9*max(1, known.Credit) || got.Revenue.Micros != known.Revenue.Micros {
					rt.Fatalf("%s and %s: credits add up to %v and %s, want %v and %s", a.Model, a.Compare, got.Credit, got.Revenue, known.Credit, known.Revenue)
				}
			}
		})
	})
}

func TestAFilterShowsTheRowThatTheWholeReportHas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := town(t, db)
		rapid.Check(t, func(rt *rapid.T) {
			q := report.Query{AccountID: acct, From: "2025-02-01", Until: "2025-03-10"}
			q.Model, q.With = drawParams(rt, "model")
			q.CreditFor = rapid.SampledFrom([]report.Goal{report.ForCall, report.ForSale}).Draw(rt, "goal")
			d := rapid.SampledFrom([]report.Dimension{report.Source, report.Campaign, report.Medium, report.Tag}).Draw(rt, "by")
			q.GroupBy = []report.Dimension{d}
			whole, err := w.desk.Attribution(context.Background(), q)
			if err != nil || len(whole.Rows) == 0 {
				rt.Fatal(err)
			}
			r := rapid.SampledFrom(whole.Rows).Draw(rt, "row")
			q.Filters = map[report.Dimension]string{d: r.Name(d)}
			if d == report.Tag {
				q.GroupBy = nil
			}
			a, err := w.desk.Attribution(context.Background(), q)
			if err != nil {
				rt.Fatal(err)
			}
			if d == report.Tag { // a call with several tags is divided in rows, and whole by itself
				if a.Totals.Credit < r.Credit-1e-9 {
					rt.Fatalf("only %s: got %v, want at least the row's %v", r.Name(d), a.Totals.Credit, r.Credit)
				}
				return
			}
			if math.Abs(a.Totals.Credit-r.Credit) > 1e-9 {
				rt.Fatalf("%s, only %s: got %v, want the row's %v", a.Model, r.Name(d), a.Totals.Credit, r.Credit)
			}
		})
	})
}

// Markov in a report is the published case: a>b three conversions and one null,
// a>c one and one: 2, 1.5, 0.5. Beside it a person who bought without a touch,
// and one who bought again without a new one, which are outside of the chain.
func TestMarkovReadsThePathsOfTheRangeAndThoseThatLedToNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		n := 0
		walk := func(second string, value int64) {
			n++
			person := fmt.Sprintf("person_%02d", n)
			w.touch(person+"_1", person, "2025-03-02T10:00:00Z", "", "a", "", "")
			w.touch(person+"_2", person, "2025-03-03T10:00:00Z", "", second, "", "")
			if value > 0 {
				w.sell(person, "", person, "2025-03-04T10:00:00Z", value, "USD")
			}
		}
		for range 3 {
			walk("b", 10_00)
		}
		walk("b", 0)
		walk("c", 10_01)
		walk("c", 0)
		// Not of this range: a visitor of January whose touch led to nothing.
		w.touch("old", "person_old", "2025-01-02T10:00:00Z", "", "d", "", "")
		// And one of this range who bought after it: no conversion here, and no null.
		w.touch("late", "person_late", "2025-03-06T10:00:00Z", "", "c", "", "")
		w.sell("late", "", "person_late", "2025-03-15T10:00:00Z", 99_00, "USD")
		w.sell("none", "", "person_none", "2025-03-04T10:00:00Z", 5_00, "USD")
		w.sell("again", "", "person_01", "2025-03-05T10:00:00Z", 7_00, "USD")
		q := report.Query{From: "2025-03-01", Until: "2025-03-11", GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: "markov"}
		a := w.attribution(q)
		if a.Model != "markov order 1" {
			t.Errorf("the model is said to be %q", a.Model)
		}
		for name, want := range map[string]string{"a": "2 20.01", "b": "1.5 15.00", "c": "0.5 5.00", "(none)": "1 5.00", "(returning)": "1 7.00"} {
			r := row(t, a, name)
			if got := fmt.Sprintf("%v %s", r.Credit, amount(r.Revenue)); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		if len(a.Rows) != 5 {
			t.Errorf("got %d rows, want nothing of January", len(a.Rows))
		}
		// By campaign all touches are one channel, and by month the chain is the same.
		q.GroupBy = []report.Dimension{report.Campaign}
		if r := row(t, w.attribution(q), "(none)"); r.Credit != 5 {
			t.Errorf("one channel: got %v, want 4 and the one without a touch", r.Credit)
		}
		q.GroupBy = []report.Dimension{report.Month, report.Source}
		if r := row(t, w.attribution(q), "2025-03", "b"); r.Credit != 1.5 {
			t.Errorf("by month: got %v, want 1.5", r.Credit)
		}
		// Told apart by the call, of which there is none here, nulls stay away: every
		// walk converts, a takes everything, b three quarters: 4·(1, 3/4, 1/4)/2.
		q.GroupBy = []report.Dimension{report.AgentName, report.Source}
		if r := row(t, w.attribution(q), "(none)", "c"); r.Credit != 0.5 {
			t.Errorf("by agent: got %v, want 0.5", r.Credit)
		}
		roi := w.roi(q)
		if roi.Totals.Horizons != nil || roi.Totals.ROIInterval != nil {
			t.Errorf("got %v %v, want neither horizons nor an interval", roi.Totals.Horizons, roi.Totals.ROIInterval)
		}
	})
}

// The chance that somebody else made a call is the chance that a path led to
// nothing.
func TestADoubtfulPathIsPartlyANull(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := doubtfulWorld(t, db)
		q := report.Query{From: "2025-03-10", Until: "2025-03-13", GroupBy: []report.Dimension{report.Source}, Model: "markov"}
		for reading, want := range map[report.Reading]map[string]float64{
			// call_2 is Ads'. The touches of the others led to nothing, and are no Ads.
			report.Winner: {"Ads": 1, "untracked": 2},
			// Ads, Bing and Radio are chains of one touch each: what each converted.
			report.Expected: {"Ads": 1.4, "Bing": 0.25, "Radio": 0.125, "untracked": 1.225},
		} {
			q.Reading = reading
			a := w.attribution(q)
			for name, credit := range want {
				if got := row(t, a, name).Credit; math.Abs(got-credit) > 1e-9 {
					t.Errorf("%s, %s: got %v, want %v", reading, name, got, credit)
				}
			}
		}
	})
}

func TestOrderedShapleyTellsThePositions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, source := range []string{"a", "b", "a"} {
			w.touch(fmt.Sprint("t", i), "p", fmt.Sprintf("2025-03-0%dT10:00:00Z", i+2), "", source, "", "")
		}
		w.sell("s", "", "p", "2025-03-08T10:00:00Z", 10_00, "USD")
		a := w.attribution(report.Query{GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: "shapley_ordered"})
		for name, want := range map[string][]float64{"a": {0.25, 0, 0.25}, "b": {0, 0.5, 0}} {
			if got := row(t, a, name).Positions; !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
		if want := []float64{0.25, 0.5, 0.25}; !slices.Equal(a.Totals.Positions, want) || a.Definitions["positions"] == "" {
			t.Errorf("in all: got %v, want %v, and its definition", a.Totals.Positions, want)
		}
	})
}

func TestTwoModelsStandSideBySideInEveryForm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.journeys(journeyTouches, journeySales)
		w.spend("line 1", "paid", "", "", "2025-03-01", "2025-04-01", 100_00)
		q := report.Query{From: "2025-01-01", Until: "2025-06-01", GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: "first_touch", Compare: "shaped"}
		q.CompareTo.Shape = "20/20/60"
		a := w.attribution(q)
		if a.Model != "first_touch" || a.Compare != "shaped 20/20/60" || a.Definitions["compare"] == "" || a.Definitions["difference"] == "" {
			t.Errorf("got %s beside %s, %v", a.Model, a.Compare, a.Definitions)
		}
		// paid: p1, p3, p4 and p6 by the first touch, of which p6 gives three quarters
		// to its last; social loses three quarters of p2 to the email.
		for name, want := range map[string]string{"paid": "4 3.25 -0.75 -7.50 -0.075", "social": "1 0.25 -0.75 -150.00 n/a", "email": "1 1.75 0.75 150.00 n/a", "direct": "0 0.75 0.75 7.50 n/a"} {
			r := row(t, a, name)
			if got := fmt.Sprintf("%v %v %v %s %s", r.Credit, r.Compare.Credit, r.Difference.Credit, amount(r.Difference.Revenue), num(r.Difference.ROI)); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		if a.Totals.Difference.Credit != 0 || a.Totals.Difference.Revenue.Micros != 0 {
			t.Errorf("in all the models differ by %v", a.Totals.Difference)
		}
		q.Model = "shapley_ordered"
		for name, r := range map[string]report.Tabular{"compare": a, "positions": w.roi(q)} {
			var asJSON, asCSV, asTable bytes.Buffer
			if err := errors.Join(report.WriteJSON(&asJSON, r), report.WriteCSV(&asCSV, r), report.WriteTable(&asTable, r)); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", asJSON.Bytes())
			golden(t, name+".csv", asCSV.Bytes())
			golden(t, name+".txt", asTable.Bytes())
			compareFigures(t, name, asJSON.Bytes(), asCSV.String(), asTable.String())
		}
	})
}

func TestParametersOfModelsAreRefusedByTheirNameInTheQuery(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for want, q := range map[string]report.Query{
			"shape":                  {Model: "linear", With: attribution.Params{Shape: "20/20/60"}},
			"order":                  {Model: "markov", With: attribution.Params{Order: 9}},
			"half_life_days":         {Model: "time_decay", With: attribution.Params{HalfLifeDays: 1e9}},
			"compare":                {Compare: "astrology"},
			"compare_shape":          {Compare: "shaped"},
			"compare_order":          {Compare: "linear", CompareTo: attribution.Params{Order: 2}},
			"compare_half_life_days": {Compare: "time_decay", CompareTo: attribution.Params{HalfLifeDays: -1}},
		} {
			q.AccountID = acct
			_, err := w.desk.Attribution(context.Background(), q)
			var refused *callwheel.Error
			if !errors.As(err, &refused) || refused.Kind != callwheel.Invalid || len(refused.Fields) != 1 || refused.Fields[0].Field != want {
				t.Errorf("got %v, want %s refused", err, want)
			}
		}
		_, err := w.desk.Attribution(context.Background(), report.Query{AccountID: acct, CompareTo: attribution.Params{Order: 2}})
		if callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("parameters of no model: got %v", err)
		}
	})
}

// A purchase that was brought in is one like any other: the person had become a
// lead, qualified and won when their calls say so, or it does, whichever is first.
func TestMilestonesOfAnImportedOutcomeAreItsPersons(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, who := range []string{"lived", "brought", "told"} {
			caller, call := fmt.Sprint("+1312555000", i), "call_"+who
			w.touch("tch_1"+who, caller, "2025-03-03T15:00:00Z", "", who+" first", "m", "")
			w.touch("tch_2"+who, caller, "2025-03-04T15:00:00Z", "", who+" then", "m", "")
			w.touch("tch_3"+who, caller, "2025-03-05T15:00:00Z", "", who+" last", "m", "")
			w.ring(call, caller, "2025-03-04T16:00:00Z", "answered")
			w.untracked(call)
			var lead any // an outcome may know of one before the call
			switch who {
			case "lived":
				w.dispose(call, "disp_won", "2025-03-04T16:05:00Z")
				w.sell("sale", call, caller, "2025-03-06T15:00:00Z", 100_00, "USD")
				continue
			case "brought":
				w.dispose(call, "disp_won", "2025-03-04T16:05:00Z")
			case "told":
				lead = store.Micros(when("2025-03-04T15:30:00Z"))
			}
			w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, qualified_at, won_at, value_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, ?, 100000000, 'USD', 0)`,
				acct, "out_"+who, caller, lead, lead, store.Micros(when("2025-03-06T15:00:00Z")))
		}
		for _, model := range []string{"w_shaped", "full_path"} {
			a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-03-11", CreditFor: report.ForSale, Model: model, GroupBy: []report.Dimension{report.Source}})
			for _, touch := range []string{" first", " then", " last"} {
				lived := row(t, a, "lived"+touch).Credit
				if brought := row(t, a, "brought"+touch).Credit; math.Abs(lived-brought) > 1e-12 || lived == 0 {
					t.Errorf("%s%s: credit %v where it was lived, %v brought in", model, touch, lived, brought)
				}
			}
			if then, last := row(t, a, "told then").Credit, row(t, a, "told last").Credit; then <= last {
				t.Errorf("%s: the touch before the lead that was told has %v, the last %v", model, then, last)
			}
		}
	})
}

// Where all that a person met and bought lies in the range, the longest horizon
// divides each purchase as the report does, by every model that divides one.
func TestAHorizonDividesAPurchaseAsTheReportDoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		for i, from := range []string{"google", "mail", "fair", "Direct"} {
			w.touch(fmt.Sprint("tch_", i), "+13125550001", fmt.Sprintf("2025-03-0%dT15:00:00Z", 2+i), "", from, "m", "")
		}
		w.ring("call_1", "+13125550001", "2025-03-02T16:00:00Z", "answered")
		w.ring("call_2", "+13125550001", "2025-03-04T16:00:00Z", "answered")
		w.untracked("call_1")
		w.untracked("call_2")
		w.dispose("call_1", "disp_lead", "2025-03-02T16:05:00Z")
		w.dispose("call_2", "disp_qualified", "2025-03-04T16:05:00Z")
		w.sell("sale_1", "call_2", "+13125550001", "2025-03-06T15:00:00Z", 100_00, "USD")
		for _, model := range attribution.Models() {
			q := report.Query{From: "2025-03-01", Until: "2025-03-11", Model: model, GroupBy: []report.Dimension{report.Source}}
			if model == "shaped" {
				q.With.Shape = "10/60/30"
			}
			a := w.roi(q)
			if a.Totals.Horizons == nil && model != "markov" {
				t.Errorf("%s: no horizons", model)
			}
			for _, r := range a.Rows {
				if len(r.Horizons) == 0 {
					continue
				}
				if h := r.Horizons[len(r.Horizons)-1]; h.Credit != r.Credit || amount(h.Revenue) != amount(r.Revenue) {
					t.Errorf("%s, %s: %v %s in the report, %v %s within %d days", model, r.Name(report.Source), r.Credit, amount(r.Revenue), h.Credit, amount(h.Revenue), h.Days)
				}
			}
		}
	})
}
