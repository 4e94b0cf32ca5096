package scoring_test

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/scoring"
)

func near(got *float64, want, within float64) bool {
	return got != nil && math.Abs(*got-want) <= within
}

func TestProbabilitiesAreJudgedAsWorkedOut(t *testing.T) {
	y := []bool{true, false, true, true, false, false, true, false}
	p := []float64{.9, .4, .65, .8, .3, .55, .5, .1}
	j := scoring.JudgeProbabilities(p, y)
	if !near(j.Brier, 0.123125, 1e-12) || !near(j.AUC, 0.9375, 1e-12) || !near(j.LogLoss, 0.4029753679, 1e-10) || !near(j.Skill, 0.5075, 1e-12) {
		t.Errorf("got Brier %v, AUC %v, log-loss %v, skill %v", *j.Brier, *j.AUC, *j.LogLoss, *j.Skill)
	}
	if j.Outcomes != 8 || j.Positives != 4 || len(j.Bins) != 8 {
		t.Errorf("got %d outcomes, %d positives, %d bins", j.Outcomes, j.Positives, len(j.Bins))
	}
	none := scoring.JudgeProbabilities([]float64{.2, .3}, []bool{false, false})
	if none.AUC != nil || none.Skill != nil || none.Slope != nil || !near(none.Brier, 0.065, 1e-12) {
		t.Errorf("without a positive: got %+v", none)
	}
	if empty := scoring.JudgeProbabilities(nil, nil); empty.Brier != nil || len(empty.Bins) != 0 {
		t.Errorf("of nothing: got %+v", empty)
	}
}

// By hand: of four outcomes at x = 0 one is positive, of four at x = 1 three.
// The fit meets both shares: b₀ = ln(1/3), b₀ + b₁ = ln 3.
func TestLogisticByHand(t *testing.T) {
	x := [][]float64{{0}, {0}, {0}, {0}, {1}, {1}, {1}, {1}}
	y := []bool{true, false, false, false, true, true, true, false}
	l, err := scoring.FitLogistic(x, y, 0)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(l.Coefficients[0]-math.Log(1.0/3)) > 1e-9 || math.Abs(l.Coefficients[1]-2*math.Log(3)) > 1e-9 || math.Abs(l.Probability([]float64{1})-0.75) > 1e-9 {
		t.Errorf("got %v", l.Coefficients)
	}
	// Errors from the table: √(1/1+1/3) of the intercept; deviance by its formula.
	if math.Abs(l.Errors[0]-math.Sqrt(4.0/3)) > 1e-6 || math.Abs(l.Deviance+4*(math.Log(.25)+3*math.Log(.75))) > 1e-9 {
		t.Errorf("got errors %v and deviance %v", l.Errors, l.Deviance)
	}

	// A figure that tells all apart has no answer without a ridge, and one with.
	apart := []bool{false, false, false, false, true, true, true, true}
	if l, err := scoring.FitLogistic(x, apart, 0); err == nil {
		t.Errorf("separated: got %v", l.Coefficients)
	}
	// Where the four residuals at x = 1 are together as large as b₁.
	if l, err := scoring.FitLogistic(x, apart, 1); err != nil || math.Abs(4*(1-l.Probability([]float64{1}))-l.Coefficients[1]) > 1e-9 {
		t.Errorf("separated, with a ridge: got %v, %v", l.Coefficients, err)
	}
	if _, err := scoring.FitLogistic(nil, nil, 1); err == nil {
		t.Error("of nothing: got no error")
	}
}

// The fit's own conditions: the residuals of a maximum likelihood fit are
// orthogonal to every figure, and those of a ridge to all but ridge·b.
func TestLogisticConditions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 40).Draw(t, "n")
		ridge := rapid.Float64Range(0.5, 5).Draw(t, "ridge")
		var x [][]float64
		var y []bool
		positives := 0
		for range n {
			x = append(x, []float64{float64(rapid.IntRange(-5, 5).Draw(t, "a")), float64(rapid.IntRange(0, 1).Draw(t, "b"))})
			y = append(y, rapid.Bool().Draw(t, "y"))
			if y[len(y)-1] {
				positives++
			}
		}
		if positives == 0 || positives == n {
			return
		}
		l, err := scoring.FitLogistic(x, y, ridge)
		if err != nil {
			t.Fatal(err)
		}
		sums := make([]float64, 3)
		for i, row := range x {
			rest := -l.Probability(row)
			if y[i] {
				rest++
			}
			sums[0] += rest
			sums[1] += rest * row[0]
			sums[2] += rest * row[1]
		}
		for i, s := range sums {
			want := 0.0
			if i > 0 {
				want = ridge * l.Coefficients[i]
			}
			if math.Abs(s-want) > 1e-6 {
				t.Fatalf("figure %d: got %v, want %v", i, s, want)
			}
		}
	})
}

// AUC of the opposite probabilities and of the opposite outcomes is 1 − AUC, and
// only the order of probabilities matters to it.
func TestAUCIsSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(t, "n")
		var p, other, squared []float64
		var y, not []bool
		for range n {
			v := float64(rapid.IntRange(1, 19).Draw(t, "p")) / 20
			hit := rapid.Bool().Draw(t, "y")
			p, other, squared = append(p, v), append(other, 1-v), append(squared, v*v)
			y, not = append(y, hit), append(not, !hit)
		}
		j := scoring.JudgeProbabilities(p, y)
		if j.AUC == nil {
			return
		}
		if !near(scoring.JudgeProbabilities(other, y).AUC, 1-*j.AUC, 1e-9) || !near(scoring.JudgeProbabilities(p, not).AUC, 1-*j.AUC, 1e-9) ||
			!near(scoring.JudgeProbabilities(squared, y).AUC, *j.AUC, 1e-9) || *j.AUC < 0 || *j.AUC > 1 {
			t.Fatalf("AUC %v of %v and %v", *j.AUC, p, y)
		}
		var calls int64
		for i, b := range j.Bins {
			calls += b.Calls
			if b.From > b.Until || i > 0 && b.From < j.Bins[i-1].Until {
				t.Fatalf("bins are not in order: %+v", j.Bins)
			}
		}
		if calls != int64(n) {
			t.Fatalf("bins hold %d of %d calls", calls, n)
		}
	})
}

// The bank's sales calls (Moro, Cortez and Rita 2014) against coefficients that
// were computed elsewhere, to 1e-6.
func TestLogisticOnTheBanksCalls(t *testing.T) {
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("left out: CALLWHEEL_ORACLES is not set")
	}
	type fitted struct {
		Coef       []float64
		SE         []float64
		AUC, Brier *float64
		LogLoss    *float64
		Deviance   float64
		TrainN     int      `json:"train_n"`
		TestAUC    *float64 `json:"test_auc"`
		TestBrier  *float64 `json:"test_brier"`
		TestBase   *float64 `json:"test_base_brier"`
		Intercept  *float64 `json:"calibration_intercept"`
		Slope      *float64 `json:"calibration_slope"`
	}
	var oracle struct {
		Full    fitted `json:"full"`
		Later   fitted `json:"time_split_first_70_percent"`
		OddEven fitted `json:"odd_rows_train_even_rows_test"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "oracles", "lead_scoring.json"))
	if err == nil {
		err = json.Unmarshal(text, &oracle)
	}
	if err != nil {
		t.Fatal(err)
	}
	x, y := bankCalls(t, filepath.Join(dir, "leads", "bank_telemarketing.csv"))
	fit := func(x [][]float64, y []bool, want fitted) scoring.Logistic {
		t.Helper()
		l, err := scoring.FitLogistic(x, y, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range want.Coef {
			if math.Abs(l.Coefficients[i]-c) > 1e-6 {
				t.Errorf("coefficient %d: got %v, want %v", i, l.Coefficients[i], c)
			}
		}
		return l
	}
	judge := func(l scoring.Logistic, x [][]float64, y []bool) scoring.LeadJudgement {
		var p []float64
		for _, row := range x {
			p = append(p, l.Probability(row))
		}
		return scoring.JudgeProbabilities(p, y)
	}

	full := fit(x, y, oracle.Full)
	for i, se := range oracle.Full.SE {
		if math.Abs(full.Errors[i]-se) > 1e-6 {
			t.Errorf("error %d: got %v, want %v", i, full.Errors[i], se)
		}
	}
	if math.Abs(full.Deviance-oracle.Full.Deviance) > 1e-5 {
		t.Errorf("deviance: got %v, want %v", full.Deviance, oracle.Full.Deviance)
	}
	j := judge(full, x, y)
	if !near(j.AUC, *oracle.Full.AUC, 1e-8) || !near(j.Brier, *oracle.Full.Brier, 1e-8) || !near(j.LogLoss, *oracle.Full.LogLoss, 1e-7) {
		t.Errorf("all rows: got AUC %v, Brier %v, log-loss %v", *j.AUC, *j.Brier, *j.LogLoss)
	}

	n := scoring.EarlierPart(len(x))
	if n != oracle.Later.TrainN {
		t.Errorf("the first 70 %%: got %d rows, want %d", n, oracle.Later.TrainN)
	}
	j = judge(fit(x[:n], y[:n], oracle.Later), x[n:], y[n:])
	if !near(j.AUC, *oracle.Later.TestAUC, 1e-8) || !near(j.Brier, *oracle.Later.TestBrier, 1e-8) || !near(j.BaseBrier, *oracle.Later.TestBase, 1e-8) {
		t.Errorf("later rows: got AUC %v, Brier %v of %v", *j.AUC, *j.Brier, *j.BaseBrier)
	}

	var odd, even [][]float64
	var oddY, evenY []bool
	for i := range x {
		if i%2 == 0 { // the first row is number one
			odd, oddY = append(odd, x[i]), append(oddY, y[i])
		} else {
			even, evenY = append(even, x[i]), append(evenY, y[i])
		}
	}
	j = judge(fit(odd, oddY, oracle.OddEven), even, evenY)
	if !near(j.AUC, *oracle.OddEven.TestAUC, 1e-8) || !near(j.Intercept, *oracle.OddEven.Intercept, 1e-6) || !near(j.Slope, *oracle.OddEven.Slope, 1e-6) {
		t.Errorf("even rows: got AUC %v, calibration %v and %v", *j.AUC, *j.Intercept, *j.Slope)
	}
}

// bankCalls reads age, contacts capped at 10, previous, contacted before,
// employment variation and Euribor.
func bankCalls(t *testing.T, path string) (x [][]float64, y []bool) {
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
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	for _, r := range records[1:] {
		value := func(name string) float64 {
			v, err := strconv.ParseFloat(r[column[name]], 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		contacted := 0.0
		if value("pdays") < 999 {
			contacted = 1
		}
		x = append(x, []float64{value("age"), min(value("campaign"), 10), value("previous"), contacted, value("emp.var.rate"), value("euribor3m")})
		y = append(y, value("y") == 1)
	}
	return x, y
}
