package report_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// ask adds a form that nobody has answered.
func (w *world) ask(id, person, at, source, medium, campaign string) {
	w.exec(`INSERT INTO enquiries (account_id, enquiry_id, external_id, person, kind, at, source, medium, campaign, recorded_at, recorded_by)
		VALUES (?, ?, ?, ?, 'form', ?, ?, ?, ?, 0, 'user_1')`, acct, id, id, person, store.Micros(when(at)), source, medium, campaign)
}

func TestAnEnquiryThatNamesASourceEarnsTheSaleThatFollows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google Ads", "cpc")
		// Ann asks by a form and buys two days later. Nobody knows more of her call.
		w.ask("enq_1", "+13125550001", "2025-03-03T15:00:00Z", "google ads", "cpc", "Spring")
		w.ring("call_1", "+13125550001", "2025-03-05T15:00:00Z", "answered")
		w.untracked("call_1")
		w.sell("sale_1", "call_1", "+13125550001", "2025-03-05T15:10:00Z", 300_00, "USD")
		// Bob came by a letter, and asked a day later because of it: one touch. What he
		// asked of another source is a second one, as is what the letter's other campaign
		// says.
		w.touch("tch_b", "vis_b", "2025-03-01T15:00:00Z", "", "Letter", "print", "north")
		w.exec(`INSERT INTO person_links (account_id, alias, person, linked_at) VALUES (?, 'vis_b', '+13125550002', 0)`, acct)
		w.ask("enq_2", "+13125550002", "2025-03-02T15:00:00Z", "letter", "", "North")
		w.ask("enq_3", "vis_b", "2025-03-02T16:00:00Z", "fair", "", "")
		w.ask("enq_4", "+13125550002", "2025-03-02T17:00:00Z", "letter", "", "south")
		w.sell("sale_2", "", "+13125550002", "2025-03-06T15:00:00Z", 300_00, "USD")
		// Cid's enquiries tell nothing, or come too late.
		w.ask("enq_5", "hash_c", "2025-03-02T15:00:00Z", "", "", "spring")
		w.ask("enq_6", "hash_c", "2025-03-02T16:00:00Z", "Untracked", "", "")
		w.ask("enq_7", "hash_c", "2025-03-08T15:00:00Z", "fair", "", "")
		w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, won_at, value_micros, currency, imported_at) VALUES (?, 'out_c', 'hash_c', ?, 100000000, 'USD', 0)`,
			acct, store.Micros(when("2025-03-07T15:00:00Z")))

		by := report.Query{From: "2025-03-01", Until: "2025-03-11", CreditFor: report.ForSale, Model: "linear", GroupBy: []report.Dimension{report.Source, report.Campaign}}
		check := func(a *report.Attribution, want map[[2]string]float64) {
			t.Helper()
			for names, credit := range want {
				if got := row(t, a, names[0], names[1]).Credit; math.Abs(got-credit) > 1e-9 {
					t.Errorf("%s %v: got credit %v, want %v", a.Model, names, got, credit)
				}
			}
		}
		paths := map[[2]string]float64{{"Google Ads", "Spring"}: 1, {"Letter", "north"}: 1. / 3, {"fair", "(none)"}: 1. / 3, {"letter", "south"}: 1. / 3, {"(none)", "(none)"}: 1}
		check(w.attribution(by), paths)
		by.Model = "shapley"
		check(w.attribution(by), paths)
		by.Model = "first_touch"
		first := w.attribution(by)
		check(first, map[[2]string]float64{{"Google Ads", "Spring"}: 1, {"Letter", "north"}: 1})
		if got := row(t, first, "Google Ads", "Spring").Revenue; fmt.Sprint(*got) != "300.00 USD" {
			t.Errorf("revenue of the form: got %v, want 300.00 USD", *got)
		}
		// By markov Dan, who only asked, is a path that did not convert: of two by Google
		// Ads one did, and without Google Ads none.
		w.ask("enq_8", "hash_d", "2025-03-04T15:00:00Z", "google ads", "cpc", "spring")
		by.Model, by.GroupBy = "markov", []report.Dimension{report.Source}
		if got := row(t, w.attribution(by), "Google Ads").Credit; got <= 0 || got >= 1 {
			t.Errorf("markov: got %v, want less than the sale of the only path, for its null", got)
		}
	})
}

func TestAnEnquiryFollowsTheSourceToItsPresentName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google", "cpc")
		// Ann's form and Bob's visit name the source as it was called then, Cid's form is
		// explained by his visit.
		w.ask("enq_1", "+13125550001", "2025-03-03T15:00:00Z", "google", "", "Spring")
		w.touch("tch_b", "+13125550002", "2025-03-03T15:00:00Z", "", "GOOGLE", "cpc", "spring")
		w.touch("tch_c", "+13125550003", "2025-03-02T15:00:00Z", "src_g", "Google", "cpc", "spring")
		w.ask("enq_3", "+13125550003", "2025-03-03T15:00:00Z", "google", "cpc", "")
		for i := range 3 {
			w.sell(fmt.Sprint("sale_", i), "", fmt.Sprintf("+1312555000%d", i+1), "2025-03-05T15:10:00Z", 100_00, "USD")
		}
		w.exec(`UPDATE sources SET name = 'Google Ads', folded = 'google ads' WHERE source_id = 'src_g'`)
		w.exec(`INSERT INTO source_names (account_id, folded, source_id, named_at) VALUES (?, 'google ads', 'src_g', 1)`, acct)
		by := report.Query{From: "2025-03-01", Until: "2025-03-11", CreditFor: report.ForSale, Model: "linear", GroupBy: []report.Dimension{report.Source, report.Medium, report.Campaign}}
		got := w.attribution(by)
		if len(got.Rows) != 1 {
			t.Errorf("got %d rows, want one of all three sales", len(got.Rows))
		}
		if credit := row(t, got, "Google Ads", "cpc", "Spring").Credit; math.Abs(credit-3) > 1e-9 {
			t.Errorf("got credit %v, want 3", credit)
		}
		by.Filters = map[report.Dimension]string{report.Source: "google ads"}
		if credit := w.attribution(by).Totals.Credit; math.Abs(credit-3) > 1e-9 {
			t.Errorf("filtered by the present name: got credit %v, want 3", credit)
		}
		// Whoever has the name now has it alone.
		w.exec(`INSERT INTO sources (account_id, source_id, name, folded, medium, created_at) VALUES (?, 'src_n', 'google', 'google', 'organic', 2)`, acct)
		w.exec(`UPDATE source_names SET source_id = 'src_n' WHERE folded = 'google'`)
		if credit := row(t, w.attribution(report.Query{From: by.From, Until: by.Until, CreditFor: by.CreditFor, Model: "linear", GroupBy: []report.Dimension{report.Source}}), "Google Ads").Credit; credit > 1 {
			t.Errorf("got credit %v for who had the name before", credit)
		}
	})
}

func TestInSegmentsAnEnquiryBelongsToWhatItNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		busy(w, steady)
		w.exec(`INSERT INTO source_names (account_id, folded, source_id, named_at) VALUES (?, 'adverts', 'src_ads', 0)`, acct) // their name before
		begin := when("2025-02-10T17:00:00Z")
		for i := range 40 {
			source := []string{"ads", "fair", "", "Adverts"}[i%4]
			w.ask(fmt.Sprintf("enq_%d", i), fmt.Sprintf("hash_%d", i), begin.Add(time.Duration(i)*12*time.Hour).Format(time.RFC3339), source, "", map[bool]string{true: "spring"}[source == "fair"])
		}
		moved := func(by report.Dimension) map[string]float64 {
			t.Helper()
			p := w.momentum(report.MomentumQuery{From: "2025-02-10", Until: "2025-03-10", Baseline: "2025-01-01/2025-02-10", By: by}).Periods[0]
			list, sum := map[string]float64{}, 0.0
			for _, s := range p.Segments {
				list[s.Name] = s.Parts["speed"]
				sum += *s.Points
			}
			if p.Change == nil || math.Abs(sum-p.Change.Points) > 1e-8 {
				t.Errorf("by %s: segments add up to %v, want the change %v", by, sum, p.Change)
			}
			return list
		}
		source := moved(report.Source)
		if _, ok := source["Mail"]; !ok || len(source) != 4 || source["Ads"] <= source["Mail"] {
			t.Errorf("by source: got %v, want Ads faster than Mail, with fair and (none) beside", source)
		}
		if _, ok := source["fair"]; !ok {
			t.Errorf("by source: got %v without the fair", source)
		}
		campaign := moved(report.Campaign)
		if _, ok := campaign["spring"]; !ok {
			t.Errorf("by campaign: got %v without spring", campaign)
		}
		if agent := moved(report.AgentName); len(agent) != 1 {
			t.Errorf("by agent: got %v, want (none) alone", agent)
		}
	})
}

// A source had another medium until the third of March. What names the source and no
// medium, spend and a form, goes with the calls of the time.
func TestWhatNamesNoMediumHasTheOneThatItsSourceHadThen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_g", "Google", "paid search")
		w.exec(`INSERT INTO source_mediums (account_id, source_id, set_at, medium) VALUES (?, 'src_g', 0, 'cpc')`, acct)
		w.exec(`INSERT INTO source_mediums (account_id, source_id, set_at, medium) VALUES (?, 'src_g', ?, 'paid search')`, acct, store.Micros(when("2025-03-03T12:00:00Z")))
		w.ring("call_1", "+13125550001", "2025-03-02T15:00:00Z", "answered")
		w.bySource("call_1", "src_g", "Google", "cpc")
		w.ring("call_2", "+13125550001", "2025-03-04T15:00:00Z", "answered")
		w.bySource("call_2", "src_g", "Google", "paid search")
		w.spend("line 1", "Google", "", "", "2025-03-01", "2025-03-06", 50_00)
		w.ask("enq_1", "p", "2025-03-03T10:00:00Z", "google", "", "")
		w.sell("s1", "", "p", "2025-03-05T10:00:00Z", 70_00, "USD")
		a := w.roi(report.Query{From: "2025-03-01", Until: "2025-03-06", GroupBy: []report.Dimension{report.Medium}})
		for medium, want := range map[string]string{"cpc": "30.00 brought 70.00", "paid search": "20.00 brought 0.00"} {
			r := row(t, a, medium)
			if got := amount(r.Spend) + " brought " + amount(r.Revenue); got != want {
				t.Errorf("%s: got %s, want %s", medium, got, want)
			}
		}
	})
}
