package report_test

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// journeys is the small case kept here: five persons, one rule of the paths
// each. touches and sales are "person moment source" and "person moment cents",
// followed by when the person became a lead and qualified, "-" for unknown.
const (
	journeyTouches = `
p1 2025-03-01T10:00:00Z paid
p2 2025-03-01T10:00:00Z social
p2 2025-03-08T10:00:00Z email
p3 2024-11-01T00:00:00Z print
p3 2025-03-10T08:00:00Z paid
p4 2025-03-05T15:00:00Z paid
p4 2025-03-20T15:00:00Z email
p6 2025-03-10T08:00:00Z paid
p6 2025-03-13T09:00:00Z direct
p6 2025-03-13T09:00:01Z referral`
	journeySales = `
p1 2025-03-03T10:00:00Z 10000
p2 2025-03-15T10:00:00Z 20000
p3 2025-03-11T08:00:00Z 12000
p4 2025-03-07T15:00:00Z 9000
p4 2025-03-22T15:00:00Z 9500
p4 2025-04-01T12:30:00Z 4000
p5 2025-03-12T11:00:00Z 7000
p6 2025-03-13T09:00:00Z 1000`
)

func (w *world) journeys(touches, sales string) {
	for i, line := range strings.Split(strings.TrimSpace(touches), "\n") {
		f := strings.Fields(line)
		w.touch(fmt.Sprintf("tch_%03d", i), f[0], f[1], "", f[2], "", "")
	}
	for i, line := range strings.Split(strings.TrimSpace(sales), "\n") {
		f := strings.Fields(line)
		cents, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			w.t.Fatal(err)
		}
		moments := [2]any{}
		for k := range moments {
			if len(f) > 3+k && f[3+k] != "-" {
				moments[k] = store.Micros(when(f[3+k]))
			}
		}
		w.exec(`INSERT INTO outcomes (account_id, outcome_id, person, lead_at, qualified_at, won_at, value_micros, currency, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'USD', 0)`,
			acct, fmt.Sprintf("out_%03d", i), f[0], moments[0], moments[1], store.Micros(when(f[1])), cents*10_000)
	}
}

func (w *world) credits(model string, window int) map[string]string {
	got := map[string]string{}
	a := w.attribution(report.Query{
		From: "2025-01-01", Until: "2025-06-01", GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: model, WindowDays: window,
	})
	for _, r := range a.Rows {
		got[r.Name(report.Source)] = fmt.Sprintf("%v %s", r.Credit, amount(r.Revenue))
	}
	return got
}

func TestJourneysAreDividedByTheRulesOfPaths(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.journeys(journeyTouches, journeySales)
		for _, c := range []struct {
			model  string
			window int
			want   map[string]string
		}{
			// The print of November is 130 days before the sale. A touch at the very
			// moment of the sale counts, one a second later does not. The second
			// sale of p4 has the email, the third nothing new, p5 nothing at all.
			{"first_touch", 90, map[string]string{"paid": "4 320.00", "social": "1 200.00", "email": "1 95.00", "(returning)": "1 40.00", "(none)": "1 70.00"}},
			{"first_touch", 200, map[string]string{"paid": "3 200.00", "social": "1 200.00", "print": "1 120.00", "email": "1 95.00", "(returning)": "1 40.00", "(none)": "1 70.00"}},
			{"last_touch", 90, map[string]string{"paid": "3 310.00", "email": "2 295.00", "direct": "1 10.00", "(returning)": "1 40.00", "(none)": "1 70.00"}},
			{"last_non_direct", 90, map[string]string{"paid": "4 320.00", "email": "2 295.00", "(returning)": "1 40.00", "(none)": "1 70.00"}},
			{"linear", 90, map[string]string{"paid": "3.5 315.00", "email": "1.5 195.00", "social": "0.5 100.00", "direct": "0.5 5.00", "(returning)": "1 40.00", "(none)": "1 70.00"}},
			{"linear", 5, map[string]string{"paid": "3.5 315.00", "email": "1 95.00", "direct": "0.5 5.00", "(returning)": "1 40.00", "(none)": "2 270.00"}},
		} {
			if got := w.credits(c.model, c.window); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s, %d days:\n got %v\nwant %v", c.model, c.window, got, c.want)
			}
		}
	})
}

func TestTheThirteenWorkedConversionsComeOut(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("left out: CALLWHEEL_ORACLES is not set")
	}
	dir = filepath.Join(dir, "attribution")
	text, err := os.ReadFile(filepath.Join(dir, "worked_expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Days map[string]struct {
			Totals map[string]struct {
				Conversions map[string]float64 `json:"conversions"`
				Value       map[string]float64 `json:"value_minor"`
			} `json:"totals"`
		} `json:"lookback_days"`
	}
	if err := json.Unmarshal(text, &expected); err != nil {
		t.Fatal(err)
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		var touches, sales strings.Builder
		for _, r := range lines(t, filepath.Join(dir, "worked_touches.csv")) {
			fmt.Fprintln(&touches, r[1], r[2], r[3])
		}
		for _, r := range lines(t, filepath.Join(dir, "worked_conversions.csv")) {
			fmt.Fprintln(&sales, r[1], r[4], r[5], cmp.Or(r[2], "-"), cmp.Or(r[3], "-"))
		}
		w.journeys(touches.String(), sales.String())
		for days, want := range expected.Days {
			window, err := strconv.Atoi(days)
			if err != nil {
				t.Fatal(err)
			}
			for name := range want.Totals {
				model := cmp.Or(map[string]string{
					"first": "first_touch", "last": "last_touch", "position_u": "position", "j": "shaped", "inverse_j": "shaped", "time_decay_7d": "time_decay",
					"w": "w_shaped", "shapley_set": "shapley",
				}[name], name)
				shape := map[string]string{"j": "20/20/60", "inverse_j": "60/20/20"}[name]
				a := w.attribution(report.Query{
					From: "2025-01-01", Until: "2025-06-01", GroupBy: []report.Dimension{report.Source}, CreditFor: report.ForSale, Model: model, WindowDays: window,
					With: attribution.Params{Shape: shape},
				})
				got := map[string]report.Figures{}
				for _, r := range a.Rows {
					got[r.Name(report.Source)] = r.Figures
				}
				for channel, credit := range want.Totals[name].Conversions {
					if math.Abs(got[channel].Credit-credit) > 1e-9 {
						t.Errorf("%s, %s days, %s: got %v, want %v", model, days, channel, got[channel].Credit, credit)
					}
					cents := 0.0
					if got[channel].Revenue != nil {
						cents = float64(got[channel].Revenue.Micros) / 1e4
					}
					if math.Abs(cents-want.Totals[name].Value[channel]) > 1 {
						t.Errorf("%s, %s days, %s: got %v cents, want %v", model, days, channel, cents, want.Totals[name].Value[channel])
					}
				}
				if a.Totals.Credit != 13 {
					t.Errorf("%s, %s days: credits add up to %v, want 13", model, days, a.Totals.Credit)
				}
			}
		}
	})
}

func lines(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records[1:]
}
