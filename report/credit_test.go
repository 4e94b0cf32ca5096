package report

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestPartsOfAnAmountAddUpAndAreWithinAUnitOfTheirShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(-1e12, 1e12).Draw(t, "amount")
		raw := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 12).Draw(t, "weights")
		var sum float64
		for _, w := range raw {
			sum += w
		}
		if sum == 0 {
			raw[0], sum = 1, 1
		}
		weights := make([]float64, len(raw))
		for i, w := range raw {
			weights[i] = w / sum
		}
		var total int64
		for i, part := range divide(amount, weights) {
			total += part
			if math.Abs(float64(part)-float64(amount)*weights[i]) > 1.001 {
				t.Fatalf("part %d of %d is %d, its share is %v", i, amount, part, float64(amount)*weights[i])
			}
		}
		if total != amount {
			t.Fatalf("parts add up to %d, want %d", total, amount)
		}
	})
}

func TestALumpIsSpreadByCumulativeRounding(t *testing.T) {
	count := map[int64]int{}
	for i := range int64(31) {
		count[perDay(100_000, 31, i)]++
	}
	if count[3226] != 25 || count[3225] != 6 {
		t.Errorf("1,000.00 over 31 days: got %v, want 25 days of 32.26 and 6 of 32.25", count)
	}
	rapid.Check(t, func(t *rapid.T) {
		cost, n := rapid.Int64Range(0, 1e15).Draw(t, "cost"), rapid.Int64Range(1, 3700).Draw(t, "n")
		from := rapid.Int64Range(0, n).Draw(t, "from")
		until := rapid.Int64Range(from, n).Draw(t, "until")
		var sum int64
		for i := from; i < until; i++ {
			sum += perDay(cost, n, i)
		}
		if want := cumulative(cost, n, until) - cumulative(cost, n, from); sum != want {
			t.Fatalf("a sub-range adds up to %d, want %d", sum, want)
		}
		if got := cumulative(cost, n, n); got != cost {
			t.Fatalf("the whole adds up to %d, want %d", got, cost)
		}
	})
}

func TestAQueryIsRefusedBeforeAnySQLWithEveryFieldThatIsWrong(t *testing.T) {
	q := Query{
		GroupBy: []Dimension{"channel", Source, Source}, Model: "best", CreditFor: "click", WindowDays: 9999,
		Reading: "guess", From: "yesterday", Until: "2026-02-30", TZ: "Mars/Base", Filters: map[Dimension]string{Day: "2026-01-01"},
	}
	_, _, err := q.check()
	fields := map[string]bool{}
	for _, f := range fieldsOf(err) {
		fields[f.Field] = true
	}
	for _, want := range []string{"group_by", "model", "credit_for", "window_days", "reading", "from", "until", "tz", "day"} {
		if !fields[want] {
			t.Errorf("%s was not refused: %v", want, err)
		}
	}
}
