package report

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	_ "github.com/callwheel/callwheel/scripts/draws"
)

// oracle reads one of the files of checked figures, or says that it was left
// out.
func oracle(t *testing.T, into any, path ...string) string {
	t.Helper()
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("CALLWHEEL_ORACLES is not set")
	}
	file := filepath.Join(append([]string{dir}, path...)...)
	if into == nil {
		return file
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAChartIsAlarmedOnTheEleventhDayOfTheExample(t *testing.T) {
	offered := []float64{40, 38, 45, 50, 42, 20, 18, 44, 41, 47, 52, 39, 22, 19}
	missed := []float64{8, 7, 10, 11, 9, 4, 3, 12, 13, 14, 17, 12, 6, 6}
	var days []lost
	for i := range offered {
		days = append(days, lost{offered[i], missed[i]})
	}
	got := chart{Share: 0.2, Sigma: 1}.run(days)
	for i, want := range []float64{0, 0, 0, 0, 0, 0, 0, 0.706045, 2.080131, 3.257578, 5.045716, 6.227062, 6.579865, 7.341651} {
		if math.Abs(got[i]-want) > 5e-7 {
			t.Errorf("day %d: got %.6f, want %.6f", i+1, got[i], want)
		}
	}
	list := episodes(got)
	if len(list) != 1 || list[0].rise != 7 || list[0].alert != 10 || list[0].end != 14 || list[0].peak != got[13] {
		t.Errorf("episodes: got %+v, want one that rises on day 8 and alerts on day 11", list)
	}
}

func TestADayWithoutAnybodyLeavesTheChartWhereItWas(t *testing.T) {
	c, ok := newChart([]lost{{100, 20}, {0, 0}, {100, 21}, {100, 19}}, 0)
	if !ok || c.Share != 0.2 || c.Sigma != 1 {
		t.Fatalf("got %+v, want a share of 0.2 and the spread of chance", c)
	}
	if s := c.run([]lost{{10, 8}, {0, 0}}); s[0] == 0 || s[0] != s[1] {
		t.Errorf("got %v", s)
	}
	for _, days := range [][]lost{nil, {{10, 0}}, {{10, 10}}} {
		if _, ok := newChart(days, 0); ok {
			t.Errorf("%v: a joint that loses nothing, or everything, has no chart", days)
		}
	}
}

func TestAChartNeverFallsBelowZeroAndMoreLossesNeverLowerIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var days []lost
		for range rapid.IntRange(1, 40).Draw(t, "days") {
			n := rapid.IntRange(0, 200).Draw(t, "n")
			days = append(days, lost{float64(n), float64(rapid.IntRange(0, n).Draw(t, "x"))})
		}
		c := chart{Share: rapid.Float64Range(0.01, 0.99).Draw(t, "p"), Sigma: rapid.Float64Range(1, 40).Draw(t, "σ")}
		s := c.run(days)
		worse := slices.Clone(days)
		at := rapid.IntRange(0, len(days)-1).Draw(t, "at")
		if worse[at].x < worse[at].n {
			worse[at].x++
		}
		for i, x := range c.run(worse) {
			if s[i] < 0 || !finite(s[i]) || x < s[i]-1e-9 {
				t.Fatalf("day %d: %v, and %v with one more lost", i, s[i], x)
			}
		}
	})
}

func TestIntervalsOfSharesAreWilsons(t *testing.T) {
	cases := []struct {
		X, N      int64
		Low, High float64
	}{{81, 263, 0.255288519878, 0.366209576983}, {0, 20, 0, 0.161125158053}, {448, 560, 0.764876502618, 0.831035689973}}
	if dir := os.Getenv("CALLWHEEL_ORACLES"); dir != "" {
		var all struct {
			Wilson []struct {
				X, N      int64
				Low, High float64
			} `json:"wilson_95"`
		}
		oracle(t, &all, "oracles", "statistics.json")
		cases = append(cases, all.Wilson...)
	}
	for _, c := range cases {
		got := wilson(c.X, c.N)
		if math.Abs(got[0]-c.Low) > 1e-6 || math.Abs(got[1]-c.High) > 1e-6 {
			t.Errorf("%d of %d: got %v, want %v to %v", c.X, c.N, got, c.Low, c.High)
		}
	}
}

func TestTheIntervalOfACountHoldsTheCount(t *testing.T) {
	// Exact limits by the chi-square distribution: 10 → 4.795 to 18.390.
	got := poisson(10)
	if math.Abs(got[0]-4.795) > 0.01 || math.Abs(got[1]-18.390) > 0.01 {
		t.Errorf("ten: got %v, want 4.795 to 18.390", got)
	}
	if got := poisson(0); got[0] != 0 || math.Abs(got[1]-3.689) > 0.2 {
		t.Errorf("none: got %v, want 0 to about 3.7", got)
	}
}

// The monthly figures of England's NHS 111 in 2015-16: a real wheel of three
// parts, pushed harder and slowed by friction.
func TestARealWheelIsSlowedByFriction(t *testing.T) {
	type month struct {
		Month    string  `json:"month"`
		Days     float64 `json:"elapsed_days"`
		Offered  float64 `json:"offered"`
		Answered float64 `json:"answered"`
		Within   float64 `json:"within_60s"`
		Index    float64 `json:"index"`
		Contrib  struct {
			Speed, Answered, Prompt float64
		} `json:"contributions"`
	}
	months := []month{
		{Month: "2015-04", Days: 30, Offered: 1130894, Answered: 1076194, Within: 1010054, Index: 100},
		{Month: "2016-03", Days: 30.958333333333332, Offered: 1515031, Answered: 1298102, Within: 917519, Index: 88.026646316},
	}
	months[1].Contrib.Speed, months[1].Contrib.Answered, months[1].Contrib.Prompt = 24.502640931, -9.853814413, -26.622180201
	if os.Getenv("CALLWHEEL_ORACLES") != "" {
		var all struct{ Months []month }
		oracle(t, &all, "calls", "nhs111_momentum_expected.json")
		months = all.Months
	}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	counts := func(m month) Counts {
		first, err := time.Parse("2006-01", m.Month)
		if err != nil {
			t.Fatal(err)
		}
		p := Period{From: dayStart(first, london), Until: dayStart(first.AddDate(0, 1, 0), london), Zone: london}
		near(t, m.Month+" days", p.Days(), m.Days)
		// Answered within a minute is all goodwill, later is none.
		return Counts{
			Days: p.Days(), Opportunities: m.Offered, Reached: m.Answered,
			Prompt: Sample{N: m.Answered, Mean: m.Within / m.Answered, SD: 0.3},
		}
	}
	base := counts(months[0])
	for _, m := range months {
		c := Compare(base, counts(m))
		if c.Index == nil || len(c.Parts) != 3 {
			t.Fatalf("%s: got %+v, want three parts", m.Month, c)
		}
		for what, pair := range map[string][2]float64{
			"index": {*c.Index, m.Index}, "speed": {c.Change[partSpeed], m.Contrib.Speed},
			"answered": {c.Change[partReached], m.Contrib.Answered}, "prompt": {c.Change[partPrompt], m.Contrib.Prompt},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-8 {
				t.Errorf("%s %s: got %.9f, want %.9f", m.Month, what, pair[0], pair[1])
			}
		}
	}
}

func TestARealChartIsAlarmedInTheWeekThatWentWrong(t *testing.T) {
	var want struct {
		Baseline   int     `json:"baseline_days"`
		Share      float64 `json:"p_bar"`
		Sigma      float64 `json:"sigma_z"`
		Range      float64 `json:"mean_moving_range"`
		FirstAlert string  `json:"first_alert_after_baseline"`
		Rows       []struct {
			Date  string
			Z     float64 `json:"z_corrected"`
			Cusum float64 `json:"cusum_high"`
		}
	}
	oracle(t, &want, "calls", "nhs111_cusum_expected.json")
	file, err := os.Open(oracle(t, nil, "calls", "nhs111_daily_2025_26.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	byDate := map[string]lost{}
	for _, r := range records[1:] {
		received, err1 := strconv.ParseFloat(r[4], 64)
		within, err2 := strconv.ParseFloat(r[6], 64)
		if err1 != nil || err2 != nil {
			continue // not reported
		}
		d := byDate[r[0]]
		byDate[r[0]] = lost{d.n + received, d.x + received - within}
	}
	var days []lost
	for _, r := range want.Rows {
		days = append(days, byDate[r.Date])
	}
	c, ok := newChart(days[:want.Baseline], 0)
	if !ok {
		t.Fatal("no chart")
	}
	if math.Abs(c.Share-want.Share) > 1e-12 || math.Abs(c.Sigma-want.Sigma) > 1e-9 {
		t.Errorf("got p %v and σ %v, want %v and %v", c.Share, c.Sigma, want.Share, want.Sigma)
	}
	if math.Abs(c.Sigma*1.128-want.Range) > 1e-9 {
		t.Errorf("mean moving range: got %v, want %v", c.Sigma*1.128, want.Range)
	}
	statistic := c.run(days)
	// Uncorrected, nearly every day would be beyond three standard deviations.
	beyond := 0
	for _, d := range days {
		if math.Abs((chart{Share: c.Share, Sigma: 1}).raw(d)) > 3 {
			beyond++
		}
	}
	if share := float64(beyond) / float64(len(days)); share < 0.9 {
		t.Errorf("without correction %.3f of the days are beyond three standard deviations, want nearly all", share)
	}
	first := ""
	for i, r := range want.Rows {
		if z := c.raw(days[i]) / c.Sigma; math.Abs(z-r.Z) > 1e-8 || math.Abs(statistic[i]-r.Cusum) > 1e-8 {
			t.Errorf("%s: got z %.9f and %.9f, want %.9f and %.9f", r.Date, z, statistic[i], r.Z, r.Cusum)
		}
		if first == "" && i >= want.Baseline && statistic[i] > chartLimit {
			first = r.Date
		}
	}
	if first != want.FirstAlert || first != "2026-03-21" {
		t.Errorf("first alert: got %s, want %s", first, want.FirstAlert)
	}
}
