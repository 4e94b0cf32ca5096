package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files")

// shop is the worked example. March 2025 in New York; spend is in place for
// the whole month, the reports ask for its first ten days.
//
//	Google Ads / cpc / spring   310.00 for 31 days: 10.00 a day, 100.00 in ten days
//	Billboard                   620.00 for 31 days: 20.00 a day, and 5.00 for 2 March
//	                            alone, which replaces that day's 20.00: 9·20 + 5 = 185.00
//
// Ann (+1…01) came by Google Ads on the 2nd, called ten minutes later and was
// answered, became a lead, bought for 900.00 and got 100.00 back: 800.00.
// On the 5th she called the billboard's number, bought again for 250.00.
// Bob (+1…02) called the billboard's number on the 3rd, nobody answered.
// On the 6th somebody anonymous called a number that nobody held.
//
// Last non-direct, credit for sales. Ann's first sale has one eligible touch,
// Google Ads. Her second has the billboard call after the first sale. So
//
//	Google Ads  revenue  800.00  spend 100.00  roi (800−100)/100 = 7
//	            margin 40 %: (320−100)/100 = 2.2, roas 8
//	Billboard   revenue  250.00  spend 185.00  roi 65/185 = 0.3513513514
//	            margin: (100−185)/185 = −0.4594594595
//	total       revenue 1050.00  spend 285.00  roi 765/285 = 2.6842105263
func shop(w *world) {
	w.source("src_g", "Google Ads", "cpc")
	w.source("src_b", "Billboard", "")
	w.touch("tch_1", "vis_a", "2025-03-02T15:00:00Z", "src_g", "google ads", "cpc", "spring")
	w.ring("call_1", "+13125550001", "2025-03-02T15:10:00Z", "answered")
	w.byVisitor("call_1", "+13125550001", "vis_a", "tch_1", "src_g", "google ads", "cpc", "spring")
	w.dispose("call_1", "disp_lead", "2025-03-02T15:20:00Z")
	w.sell("sale_1", "call_1", "+13125550001", "2025-03-02T15:30:00Z", 900_00, "USD")
	w.refund("sale_r", "sale_1", "call_1", "+13125550001", "2025-03-15T10:00:00Z", 100_00)

	w.ring("call_2", "+13125550002", "2025-03-03T16:00:00Z", "abandoned")
	w.bySource("call_2", "src_b", "Billboard", "(none)")

	w.ring("call_3", "+13125550001", "2025-03-05T16:00:00Z", "answered")
	w.bySource("call_3", "src_b", "Billboard", "(none)")
	w.dispose("call_3", "disp_won", "2025-03-05T16:05:00Z")
	w.sell("sale_2", "call_3", "+13125550001", "2025-03-05T16:10:00Z", 250_00, "USD")

	w.ring("call_4", "", "2025-03-06T16:00:00Z", "voicemail")
	w.untracked("call_4")
	w.ring("call_5", "+13125550009", "2025-03-06T17:00:00Z", "blocked")
	w.untracked("call_5")

	w.spend("line 2", "google ads", "cpc", "Spring", "2025-03-01", "2025-04-01", 310_00)
	w.spend("line 3", "Billboard", "", "", "2025-03-01", "2025-04-01", 620_00)
	w.spend("line 4", "billboard", "", "", "2025-03-02", "2025-03-03", 5_00)
}

func (w *world) spend(at, source, medium, campaign, from, until string, cents int64) {
	w.t.Helper()
	_, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
		At: at, Source: source, Medium: medium, Campaign: campaign, From: from, Until: until,
		Cost: callwheel.Money{Micros: cents * 10_000, Currency: "USD"},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

var tenDays = report.Query{From: "2025-03-01", Until: "2025-03-11", GroupBy: []report.Dimension{report.Source}}

func amount(m *callwheel.Money) string {
	if m == nil {
		return "n/a"
	}
	return m.Amount()
}

func num(x *float64) string {
	if x == nil {
		return "n/a"
	}
	return fmt.Sprint(*x)
}

func TestTheReturnOnSpendIsTheOneWorkedOutByHand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		a := w.roi(tenDays)
		for _, c := range []struct {
			name string
			f    report.Figures
			want string
		}{
			{"Google Ads", row(t, a, "Google Ads").Figures, "calls 1 answered 1 missed 0 first 1 qualified 1 credit 1 revenue 800.00 spend 100.00 per call 100.00 per qualified 100.00 roi 7 margin 2.2 roas 8"},
			{"Billboard", row(t, a, "Billboard").Figures, "calls 2 answered 1 missed 1 first 1 qualified 1 credit 1 revenue 250.00 spend 185.00 per call 92.50 per qualified 185.00 roi 0.3513513514 margin -0.4594594595 roas 1.3513513514"},
			{"untracked", row(t, a, "untracked").Figures, "calls 1 answered 0 missed 1 first 0 qualified 0 credit 0 revenue 0.00 spend n/a per call n/a per qualified n/a roi n/a margin n/a roas n/a"},
			{"totals", a.Totals, "calls 4 answered 2 missed 2 first 2 qualified 2 credit 2 revenue 1050.00 spend 285.00 per call 71.25 per qualified 142.50 roi 2.6842105263 margin 0.4736842105 roas 3.6842105263"},
		} {
			f := c.f
			got := fmt.Sprintf("calls %d answered %d missed %d first %d qualified %d credit %v revenue %s spend %s per call %s per qualified %s roi %s margin %s roas %s",
				f.Calls, f.Answered, f.Missed, f.FirstTime, f.Qualified, f.Credit, amount(f.Revenue), amount(f.Spend), amount(f.CostPerCall), amount(f.CostPerQualified), num(f.ROI), num(f.ROIMargin), num(f.ROAS))
			if got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
			}
		}
		if a.Totals.Blocked != 1 {
			t.Errorf("blocked: got %d, want the one refused call beside the others", a.Totals.Blocked)
		}
		if a.Model != "last_non_direct" || a.CreditFor != report.ForSale || a.WindowDays != 90 || a.TZ != "America/New_York" ||
			a.From != "2025-03-01T05:00:00.000000Z" || a.Until != "2025-03-11T04:00:00.000000Z" || a.Definitions["roi"] != "/v1/definitions#roi" {
			t.Errorf("the report states %+v %s %s", a.Head, a.Model, a.CreditFor)
		}
		if a.Totals.ROIInterval != nil {
			t.Errorf("an interval of two sales: got %v, want none", a.Totals.ROIInterval)
		}
		for _, h := range a.Totals.Horizons {
			if got := amount(h.Revenue); got != "1050.00" || h.Complete {
				t.Errorf("%d days: got %s complete %v, want both sales, not yet complete", h.Days, got, h.Complete)
			}
		}
	})
}

func TestModelsDivideASaleOverThePathAndHorizonsLetAnInvestmentPayTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.touch("tch_1", "+13125550001", "2025-01-10T12:00:00Z", "", "google", "cpc", "a")
		w.touch("tch_2", "+13125550001", "2025-01-20T12:00:00Z", "", "mail", "email", "b")
		w.touch("tch_3", "+13125550001", "2025-01-25T12:00:00Z", "", "Direct", "(none)", "")
		w.ring("call_1", "+13125550001", "2025-01-25T13:00:00Z", "answered")
		w.untracked("call_1")
		w.sell("sale_1", "call_1", "+13125550001", "2025-01-25T14:00:00Z", 100_00, "USD")
		w.sell("sale_2", "call_1", "+13125550001", "2025-03-01T14:00:00Z", 50_00, "USD")
		q := report.Query{From: "2025-01-01", Until: "2025-02-01", GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale}
		for model, want := range map[string]map[string]string{
			"first_touch":     {"google": "1 100.00"},
			"last_touch":      {"Direct": "1 100.00"},
			"last_non_direct": {"mail": "1 100.00"},
			"linear":          {"google": "0.3333333334 33.34", "mail": "0.3333333333 33.33", "Direct": "0.3333333333 33.33"},
		} {
			q.Model = model
			a := w.attribution(q)
			var credit float64
			var revenue int64
			got := map[string]string{}
			for _, r := range a.Rows {
				credit += r.Credit
				revenue += r.Revenue.Micros
				if r.Credit > 0 {
					got[r.Name(report.Source)] = fmt.Sprintf("%v %s", r.Credit, amount(r.Revenue))
				}
			}
			if model != "linear" {
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: got %v, want %v", model, got, want)
				}
			}
			if math.Abs(credit-1) > 1e-9 || revenue != 100_000_000 {
				t.Errorf("%s: credits add up to %v and %d, want 1 and 100.00", model, credit, revenue)
			}
		}
		// The second sale has no new touch: (returning). Its horizon of 90 days
		// still knows the mail of January.
		q.From, q.Until, q.Model = "2025-02-01", "2025-04-01", ""
		if r := row(t, w.attribution(q), report.ReturningRow); r.Credit != 1 || amount(r.Revenue) != "50.00" {
			t.Errorf("(returning): got %v %s, want 1 50.00", r.Credit, amount(r.Revenue))
		}
		q.From, q.Until = "2025-01-01", "2025-02-01"
		mail := row(t, w.roi(q), "mail")
		var got []string
		for _, h := range mail.Horizons {
			got = append(got, fmt.Sprintf("%d: %v %s", h.Days, h.Credit, amount(h.Revenue)))
		}
		if want := "[30: 1 100.00 90: 2 150.00 365: 2 150.00]"; fmt.Sprint(got) != want {
			t.Errorf("mail paid %v, want %s", got, want)
		}
	})
}

func TestCallsLeadsAndQualifiedCallersAreCreditedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		w.dispose("call_1", "disp_qualified", "2025-03-08T15:20:00Z")
		for goal, want := range map[report.Goal]string{
			report.ForCall:      "map[Billboard:2 250.00 Google Ads:1 800.00 untracked:1 0.00]",
			report.ForLead:      "map[Google Ads:1 1050.00]",
			report.ForQualified: "map[Google Ads:1 1050.00]", // a sale is won, which is later than qualified
			report.ForSale:      "map[Billboard:1 250.00 Google Ads:1 800.00]",
		} {
			q := tenDays
			q.CreditFor = goal
			got := map[string]string{}
			for _, r := range w.attribution(q).Rows {
				if r.Credit != 0 {
					got[r.Name(report.Source)] = fmt.Sprintf("%v %s", r.Credit, amount(r.Revenue))
				}
			}
			if fmt.Sprint(got) != want {
				t.Errorf("%s: got %v, want %s", goal, got, want)
			}
		}
		q := tenDays
		q.Reading = report.Expected
		a := w.attribution(q)
		if got := row(t, a, "Google Ads").Credit; got != 0.98 {
			t.Errorf("expected reading, Google Ads: got %v, want the 0.98 of the lease", got)
		}
		// 0.02 of the lease, 0.01 of each call to the billboard, and the unknown call.
		if got := row(t, a, "untracked").Credit; math.Abs(got-1.04) > 1e-9 {
			t.Errorf("expected reading, untracked: got %v, want 1.04", got)
		}
		if got := a.Totals.Credit; got != 4 {
			t.Errorf("expected reading: credits add up to %v, want the 4 calls", got)
		}
	})
}

func TestRowsByEveryDimensionConserveCallsCreditAndMoney(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		for _, name := range []string{"vip", "spring"} {
			w.exec(`INSERT INTO tags (account_id, tag_id, name, folded, created_at) VALUES (?, ?, ?, ?, 0)`, acct, "tag_"+name, name, name)
			w.exec(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, 'call_1', ?, 0, 'u')`, acct, "tag_"+name)
		}
		for _, d := range report.Dimensions {
			q := tenDays
			q.GroupBy, q.Model = []report.Dimension{d}, "linear"
			a := w.attribution(q)
			var credit float64
			var revenue, calls int64
			for _, r := range a.Rows {
				credit += r.Credit
				revenue += r.Revenue.Micros
				calls += r.Calls
				if r.Name(d) == "" {
					t.Errorf("by %s: a row without a name", d)
				}
			}
			if math.Abs(credit-4) > 1e-9 || revenue != 1_050_000_000 {
				t.Errorf("by %s: rows add up to %v and %d micros, want 4 and 1050.00", d, credit, revenue)
			}
			want := int64(4)
			if d == report.Tag {
				want = 5 // the call with two tags stands in both rows
			}
			if calls != want || a.Totals.Calls != 4 {
				t.Errorf("by %s: %d calls in rows and %d in totals, want %d and 4", d, calls, a.Totals.Calls, want)
			}
			if spent := a.Totals.Spend != nil; spent != (d == report.Source || d == report.Medium || d == report.Campaign || d == report.Day || d == report.Week || d == report.Month) {
				t.Errorf("by %s: spend is %v", d, a.Totals.Spend)
			}
		}
		q := tenDays
		q.GroupBy = []report.Dimension{report.Tag}
		if r := row(t, w.attribution(q), "vip"); r.Calls != 1 || r.Credit != 0.5 || amount(r.Revenue) != "400.00" {
			t.Errorf("vip: got %d calls, credit %v, %s; want the call, half its credit and money", r.Calls, r.Credit, amount(r.Revenue))
		}
		q.GroupBy, q.Filters = []report.Dimension{report.Day}, map[report.Dimension]string{report.Source: "BILLBOARD"}
		a := w.attribution(q)
		if a.Totals.Calls != 2 || amount(a.Totals.Spend) != "185.00" || row(t, a, "2025-03-02").Spend.Amount() != "5.00" {
			t.Errorf("only Billboard: got %d calls, spend %s", a.Totals.Calls, amount(a.Totals.Spend))
		}
	})
}

func TestAnAmountInAnotherCurrencyIsNotAvailableAndNeverAdded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		w.sell("sale_3", "call_2", "+13125550002", "2025-03-04T10:00:00Z", 70_00, "EUR")
		if _, err := w.desk.ImportSpend(context.Background(), acct, []report.SpendItem{{
			Source: "Google Ads", From: "2025-03-10", Until: "2025-03-12", Cost: callwheel.Money{Micros: 10_000_000, Currency: "EUR"},
		}}); err != nil {
			t.Fatal(err)
		}
		a := w.roi(tenDays)
		billboard, google := row(t, a, "Billboard"), row(t, a, "Google Ads")
		if billboard.Revenue != nil || billboard.ROI != nil || amount(billboard.Spend) != "185.00" {
			t.Errorf("Billboard: got revenue %s roi %s, want not available", amount(billboard.Revenue), num(billboard.ROI))
		}
		if google.Spend != nil || google.ROI != nil || amount(google.Revenue) != "800.00" {
			t.Errorf("Google Ads: got spend %s roi %s, want not available", amount(google.Spend), num(google.ROI))
		}
		if a.Totals.Revenue != nil || a.Totals.ROI != nil {
			t.Errorf("totals: got %s, want not available", amount(a.Totals.Revenue))
		}
		got := ""
		for _, m := range a.Missing {
			got += fmt.Sprintf("%s %d %s; ", m.Figure, m.Count, m.Amount)
		}
		if want := "revenue 1 70.00 EUR; spend 1 5.00 EUR; "; got != want {
			t.Errorf("missing: got %q, want %q", got, want)
		}
	})
}

func TestAnotherAccountAndAnUnknownOneSeeNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		w.exec(`INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES ('acct_2', 'Other', 'UTC', 'USD', 0)`)
		q := tenDays
		q.AccountID = "acct_2"
		a, err := w.desk.ROI(context.Background(), q)
		if err != nil || len(a.Rows) != 0 || a.Totals.Calls != 0 {
			t.Errorf("another account: got %v rows, %v", a, err)
		}
		q.AccountID = "acct_none"
		if _, err := w.desk.ROI(context.Background(), q); callwheel.KindOf(err) != callwheel.NotFound {
			t.Errorf("unknown account: got %v, want kind not_found", err)
		}
		q.Model = "shapely"
		_, err = w.desk.Attribution(context.Background(), q)
		if callwheel.KindOf(err) != callwheel.Invalid || !strings.Contains(err.Error(), "last_non_direct") {
			t.Errorf("unknown model: got %v, want kind invalid and the models there are", err)
		}
	})
}

func TestJSONCSVAndTerminalGiveTheSameFigures(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		shop(w)
		w.ring("call_6", "+13125550003", "2025-03-07T16:00:00Z", "answered")
		w.bySource("call_6", "", `=HYPERLINK("http://evil")`, "-cmd")
		w.exec(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, 'agent_1', 'Kim', '+13125550200', 0)`, acct)
		w.exec(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, 'agent_1', '+13125550200', 0)`, acct)
		w.exec(`UPDATE calls SET answered_by = '+13125550200', ring_seconds = 7, talk_seconds = 100 WHERE account_id = ? AND outcome = 'answered'`, acct)
		q := tenDays
		q.GroupBy = []report.Dimension{report.Source, report.Medium, report.TrackingNumber}
		q2 := tenDays
		q2.Model, q2.GroupBy = "linear", []report.Dimension{report.Source}
		agents, err := w.desk.Agents(context.Background(), report.Query{AccountID: acct, From: "2025-03-01", Until: "2025-03-11"})
		if err != nil {
			t.Fatal(err)
		}
		momentum, err := w.desk.Momentum(context.Background(), report.MomentumQuery{AccountID: acct, From: "2025-03-01", Until: "2025-03-11", Period: report.ByWeek})
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]report.Tabular{"attribution": w.attribution(q), "roi": w.roi(q2), "agents": agents, "momentum": momentum} {
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

// compareFigures reads the three forms back and compares them figure by figure.
func compareFigures(t *testing.T, name string, asJSON []byte, asCSV, asTable string) {
	t.Helper()
	var doc struct {
		Rows    []map[string]any `json:"rows"`
		Periods []map[string]any `json:"periods"`
		Totals  map[string]any   `json:"totals"`
	}
	dec := json.NewDecoder(bytes.NewReader(asJSON))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(asCSV)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := doc.Rows
	lines := printedRows(t, asTable)
	if name == "momentum" {
		rows, records, lines = doc.Periods, append(records[:1:1], records[2:]...), lines[1:]
	}
	if len(records)-1 != len(rows) || len(rows) == 0 {
		t.Fatalf("%s: %d lines of CSV for %d rows", name, len(records)-1, len(rows))
	}
	compared := 0
	for i, r := range rows {
		for j, column := range records[0] {
			want, ok := inJSON(r, column)
			if !ok {
				continue
			}
			compared++
			got := strings.TrimPrefix(records[i+1][j], "'")
			if got != want {
				t.Errorf("%s, row %d, %s: CSV %q, JSON %q", name, i, column, got, want)
			}
			if shown, printed := lines[i][column]; !printed || !sameFigure(shown, want) {
				t.Errorf("%s, row %d, %s: JSON %q, the terminal %q", name, i, column, want, shown)
			}
		}
	}
	if compared < 5*len(rows) {
		t.Errorf("%s: only %d figures were compared", name, compared)
	}
}

// inJSON finds a table's column in a row of JSON: amounts are text, intervals
// are pairs, horizons are numbered.
func inJSON(r map[string]any, column string) (string, bool) {
	if v, ok := r[column]; ok {
		switch v := v.(type) {
		case nil:
			return "", true
		case map[string]any:
			text, ok := v["amount"].(string)
			return text, ok
		case json.Number:
			return v.String(), true
		case string:
			return v, true
		}
		return "", false
	}
	for end, suffix := range []string{"_low", "_high"} {
		if base, ok := strings.CutSuffix(column, suffix); ok {
			pair, there := r[base].([]any)
			if !there {
				return "", r[base] == nil && base != "change"
			}
			return fmt.Sprint(pair[end]), true
		}
	}
	if parts, ok := r["parts"].(map[string]any); ok {
		if v, ok := parts[column]; ok {
			if v == nil {
				return "", true
			}
			return fmt.Sprint(v), true
		}
	}
	for _, base := range []string{"compare", "difference", "origin"} {
		if name, ok := strings.CutPrefix(column, base+"_"); ok {
			if figures, ok := r[base].(map[string]any); ok {
				return inJSON(figures, name)
			}
		}
	}
	if position, ok := strings.CutPrefix(column, "positions_"); ok {
		list, _ := r["positions"].([]any)
		n, err := strconv.Atoi(position)
		if err != nil || n > len(list) {
			return "", false
		}
		return fmt.Sprint(list[n-1]), true
	}
	list, _ := r["horizons"].([]any)
	for _, h := range list {
		at, _ := h.(map[string]any)
		if base, ok := strings.CutSuffix(column, fmt.Sprintf("_%v", at["days"])); ok && base != "complete" {
			return inJSON(at, base)
		}
	}
	return "", false
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from its golden file:\n%s", name, got)
	}
}

func TestASpreadsheetWillNotRunACell(t *testing.T) {
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "+cmd": "'+cmd", "-cmd": "'-cmd", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx",
		"+13125550171": "+13125550171", "-12.50": "-12.50", "-12.5.0": "'-12.5.0", "+1312555017a": "'+1312555017a", "": "", "shop": "shop",
	} {
		if got := report.SafeCell(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSpendIsTakenWholeOrNotAtAllAndTheSameKeyCorrects(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		ctx := context.Background()
		file := "source,medium,campaign,from,until,amount,currency\n" +
			"Google,cpc,,2025-03-01,2025-04-01,1000.00,USD\n" +
			"Bing,cpc,x,2025-03-01,2025-03-02,5.5,USD\n"
		items, bad, err := report.ReadSpendCSV(strings.NewReader(file))
		if err != nil || len(bad) > 0 || len(items) != 2 {
			t.Fatalf("read: %d items, %v, %v", len(items), bad, err)
		}
		for i, want := range []report.SpendImported{{Created: 2}, {Unchanged: 2}, {Corrected: 1, Unchanged: 1}} {
			if i == 2 {
				items[0].Cost.Micros, items[0].Source = 1_100_000_000, "GOOGLE"
			}
			got, err := w.desk.ImportSpend(ctx, acct, items)
			if err != nil || got != want {
				t.Errorf("import %d: got %+v, %v, want %+v", i, got, err, want)
			}
		}
		wrong := append(items[:1:1], report.SpendItem{At: "items[1]", Source: " ", From: "2025-03-05", Until: "2025-03-05", Cost: callwheel.Money{Micros: -1, Currency: "usd"}}, items[0])
		wrong[0].Cost.Micros = 1
		_, err = w.desk.ImportSpend(ctx, acct, wrong)
		for _, field := range []string{"items[1].source", "items[1].until", "items[1].cost", "line 2.source"} {
			if callwheel.KindOf(err) != callwheel.Invalid || !strings.Contains(err.Error(), field) {
				t.Errorf("wrong items: got %v, want %s refused", err, field)
			}
		}
		list, err := w.desk.ListSpend(ctx, acct, report.SpendPage{Limit: 10})
		if err != nil || len(list) != 2 || list[1].Cost.Amount()+list[0].Cost.Amount() != "5.501100.00" && list[1].Cost.Amount()+list[0].Cost.Amount() != "1100.005.50" {
			t.Errorf("list: got %+v, %v; want the corrected amount and the other one", list, err)
		}
		next, err := w.desk.ListSpend(ctx, acct, report.SpendPage{Limit: 10, AfterFrom: list[0].From, AfterID: list[0].ID})
		if err != nil || len(next) != 1 || next[0].ID != list[1].ID {
			t.Errorf("after the first: got %+v, %v", next, err)
		}
		if err := w.desk.DeleteSpend(ctx, "acct_2", list[0].ID); callwheel.KindOf(err) != callwheel.NotFound {
			t.Errorf("another account's: got %v, want kind not_found", err)
		}
		if err := w.desk.DeleteSpend(ctx, acct, list[0].ID); err != nil {
			t.Error(err)
		}
	})
}

func TestASpendFileIsRefusedByColumnAndByLine(t *testing.T) {
	_, _, err := report.ReadSpendCSV(strings.NewReader("source,channel,from,until,amount\n"))
	if callwheel.KindOf(err) != callwheel.Invalid || !strings.Contains(err.Error(), "channel") || !strings.Contains(err.Error(), "currency") {
		t.Errorf("columns: got %v, want the unknown and the missing one named", err)
	}
	items, bad, err := report.ReadSpendCSV(strings.NewReader("source,from,until,amount,currency\na,2025-01-01,2025-01-02,1.234,USD\nb,2025-01-01,2025-01-02,1.23,USD\nc,2025-01-01\nd,01/02/2025,2025-01-02,1,USD\n"))
	if err != nil || len(items) != 1 || items[0].Source != "b" {
		t.Fatalf("got %v, %v, want the one good line", items, err)
	}
	text := fmt.Sprint(bad)
	for _, want := range []string{"line 2.amount", "line 4", "line 5.from"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %s named", text, want)
		}
	}
}

func TestSpendFollowsASourceThatWasRenamedWhateverElseIsInTheRange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.source("src_p", "print ad", "")
		w.spend("", "Print Ad", "", "", "2025-03-04", "2025-03-05", 2000)
		w.exec(`UPDATE sources SET name = 'Village Paper', folded = 'village paper' WHERE account_id = ?`, acct)
		w.exec(`INSERT INTO source_names (account_id, folded, source_id, named_at) VALUES (?, 'village paper', 'src_p', 1)`, acct)
		q := report.Query{From: "2025-03-04", Until: "2025-03-05", GroupBy: []report.Dimension{report.Source}}
		if got := amount(row(t, w.roi(q), "Village Paper").Spend); got != "20.00" {
			t.Errorf("spend of a day without calls: %s, want 20.00", got)
		}
		q.Filters = map[report.Dimension]string{report.Source: "village paper"}
		if got := amount(w.roi(q).Totals.Spend); got != "20.00" {
			t.Errorf("spend asked for by the new name: %s, want 20.00", got)
		}
	})
}

func TestATagThatWasMadeAnewCountsACallOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.ring("call_1", "+13125550001", "2025-03-04T16:00:00Z", "answered")
		for id, name := range map[string]string{"tag_1": "Zed", "tag_2": "ZED"} {
			w.exec(`INSERT INTO tags (account_id, tag_id, name, folded, created_at, retired_at) VALUES (?, ?, ?, 'zed', 0, CASE WHEN CAST(? AS TEXT) = 'tag_1' THEN CAST(1 AS BIGINT) END)`, acct, id, name, id)
			w.exec(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES (?, 'call_1', ?, 0, 'u')`, acct, id)
		}
		a := w.attribution(report.Query{From: "2025-03-01", Until: "2025-03-10", GroupBy: []report.Dimension{report.Tag}})
		if len(a.Rows) != 1 || a.Rows[0].Calls != 1 || a.Rows[0].Credit != 1 {
			t.Errorf("rows by tag: %+v, want one with one call", a.Rows)
		}
	})
}

func TestAnUnclosedQuoteInASpendFileIsNotReadable(t *testing.T) {
	for _, file := range []string{
		"source,from,until,amount,currency\n\"g,2026-11-01,2026-11-02,1,USD\n",
		"source,from,until,amount,currency\ng\"x,2026-11-01,2026-11-02,1,USD\n",
	} {
		if _, _, err := report.ReadSpendCSV(strings.NewReader(file)); callwheel.KindOf(err) != callwheel.Malformed {
			t.Errorf("%q: got %v, want malformed", file, err)
		}
	}
}

func FuzzASpendFileNeverPanics(f *testing.F) {
	f.Add("source,from,until,amount,currency\ng,2026-11-01,2026-11-02,1.00,USD\n")
	f.Add("source,from,until,amount,currency\n\"g,2026-11-01\n")
	f.Fuzz(func(t *testing.T, file string) {
		items, _, err := report.ReadSpendCSV(strings.NewReader(file))
		if err != nil && items != nil {
			t.Errorf("items beside an error: %v", err)
		}
	})
}

func TestSpendReconcilesWithWhatWasImportedWhateverTheZone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.spend("a", "x", "", "", "2025-02-20", "2025-04-05", 1000_01)
		w.spend("b", "y", "", "c", "2025-03-09", "2025-03-10", 7)
		w.spend("c", "y", "", "", "2030-01-01", "2030-01-04", 100) // ahead
		var sum int64
		for _, part := range [][2]string{{"2025-01-01", "2025-03-09"}, {"2025-03-09", "2025-03-10"}, {"2025-03-10", "2031-01-01"}} {
			for _, tz := range []string{"", "Asia/Tokyo"} {
				a := w.attribution(report.Query{From: part[0], Until: part[1], TZ: tz, GroupBy: []report.Dimension{report.Day}})
				if tz == "" {
					sum += a.Totals.Spend.Micros
				}
				var rows int64
				for _, r := range a.Rows {
					rows += r.Spend.Micros
				}
				if rows != a.Totals.Spend.Micros {
					t.Errorf("%v %s: days add up to %d, the total is %d", part, tz, rows, a.Totals.Spend.Micros)
				}
			}
		}
		if want := int64(1000_01+7+100) * 10_000; sum != want {
			t.Errorf("three neighbouring ranges: got %d micros, want the imported %d", sum, want)
		}
	})
}

func TestAPeriodOfMomentumDoesNotDependOnWhereTheRangeEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.ring("call_1", "+13125550001", "2025-03-04T04:50:00Z", "abandoned") // 23:50 on the third in New York
		w.ring("call_2", "+13125550001", "2025-03-04T05:05:00Z", "answered")
		w.exec(`UPDATE calls SET ring_seconds = 5, wait_seconds = 5, duration_seconds = 60 WHERE account_id = ?`, acct)
		reached := func(until string) float64 {
			m, err := w.desk.Momentum(context.Background(), report.MomentumQuery{AccountID: acct, From: "2025-03-03", Until: until, Period: report.ByDay})
			if err != nil {
				t.Fatal(err)
			}
			if r := m.Periods[0].Parts.Reached; r != nil {
				return *r
			}
			return -1
		}
		if short, long := reached("2025-03-04"), reached("2025-03-05"); short != 1 || long != 1 {
			t.Errorf("reached on the third: %v asked alone, %v with the day after; want 1 both times", short, long)
		}
	})
}

func TestALeadThatTurnedOutToBeSpamIsNoLeadOfMomentum(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.ring("call_1", "+13125550001", "2025-01-04T16:00:00Z", "answered")
		w.ring("call_2", "+13125550002", "2025-01-04T16:10:00Z", "answered")
		w.dispose("call_1", "disp_lead", "2025-01-04T17:00:00Z")
		w.dispose("call_2", "disp_lead", "2025-01-04T17:00:00Z")
		w.dispose("call_2", "disp_spam", "2025-01-04T18:00:00Z")
		m, err := w.desk.Momentum(context.Background(), report.MomentumQuery{AccountID: acct, From: "2025-01-01", Until: "2025-02-01"})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Periods[0].Counts.Leads; got != 1 {
			t.Errorf("leads: %d, want 1", got)
		}
	})
}

func TestMomentumCountsAttemptsNotCallsAndSaysWhatIsMissing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		base := when("2025-03-10T14:00:00Z")
		// 40 people; each calls, the even ones get through at once after 20 s of
		// ringing, of the odd ones every second calls again 10 minutes later.
		for i := range 40 {
			at := base.Add(time.Duration(i) * time.Hour)
			outcome := "answered"
			if i%2 == 1 {
				outcome = "abandoned"
			}
			caller := fmt.Sprintf("+131255510%02d", i)
			w.ring(fmt.Sprintf("call_%d", i), caller, at.Format(time.RFC3339), outcome)
			if i%4 == 1 {
				w.ring(fmt.Sprintf("again_%d", i), caller, at.Add(10*time.Minute).Format(time.RFC3339), "answered")
			}
		}
		w.exec(`UPDATE calls SET ring_seconds = 20 WHERE account_id = ? AND outcome = 'answered'`, acct)
		// One more is called back after an hour, one was spam, one hung up at once.
		w.exec(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, 'cb_1', 'call_3', ?, ?, 'u')`,
			acct, store.Micros(base.Add(4*time.Hour)), true)
		w.ring("spam", "+13125559999", "2025-03-11T14:00:00Z", "answered")
		w.dispose("spam", "disp_spam", "2025-03-11T15:00:00Z")
		w.ring("hangup", "+13125559998", "2025-03-11T14:00:00Z", "abandoned")
		w.exec(`UPDATE calls SET duration_seconds = 3 WHERE account_id = ? AND call_id = 'hangup'`, acct)

		r, err := w.desk.Momentum(context.Background(), report.MomentumQuery{AccountID: acct, From: "2025-03-01", Until: "2025-03-15"})
		if err != nil {
			t.Fatal(err)
		}
		p := r.Periods[0]
		// 13 days and 23 hours: the clocks went forward on the 9th.
		if p.Parts.Opportunities != 40 || p.Counts.Reached != 31 || p.Days != 13.9583333333 || num(p.Speed) != "2.8656716418" || num(p.Parts.Reached) != "0.775" {
			t.Errorf("got %d opportunities, %d reached, %v days, speed %s, reached %s", p.Parts.Opportunities, p.Counts.Reached, p.Days, num(p.Speed), num(p.Parts.Reached))
		}
		// 20 waited 20 s: 1. 10 waited 620 s: 1/6. One waited 3600 s: 1/(1+3580/120).
		want := (20 + 10.0/6 + 1/(1+3580.0/120)) / 31
		if p.Parts.Prompt == nil || math.Abs(*p.Parts.Prompt-want) > 1e-9 {
			t.Errorf("prompt: got %s, want %v", num(p.Parts.Prompt), want)
		}
		if p.EnoughData || p.Index != nil || p.Momentum == nil {
			t.Errorf("without a baseline: got index %s, momentum %s; want no index and a momentum", num(p.Index), num(p.Momentum))
		}
		if !strings.Contains(fmt.Sprint(p.Missing), "30 attempts needed, 0 seen") {
			t.Errorf("missing: got %v", p.Missing)
		}
		same, err := w.desk.Momentum(context.Background(), report.MomentumQuery{AccountID: acct, From: "2025-03-01", Until: "2025-03-15", Baseline: "2025-03-01/2025-03-15"})
		if err != nil {
			t.Fatal(err)
		}
		if got := num(same.Periods[0].Index); got != "100" || same.Periods[0].Changed {
			t.Errorf("against itself: got index %s, want 100, unchanged", got)
		}
	})
}
