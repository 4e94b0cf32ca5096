package api_test

import (
	"math"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// figure reads a number of an answer; null is NaN.
func figure(body map[string]any, name string) float64 {
	n, ok := body[name].(interface{ Float64() (float64, error) })
	if !ok {
		return math.NaN()
	}
	x, err := n.Float64()
	if err != nil {
		return math.NaN()
	}
	return x
}

func TestAPoolSaysHowManyNumbersItNeeds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		marketer := w.tokens[account.Marketer]
		path := "/v1/pools/" + w.pool + "/plan"
		p := w.ask(marketer, "GET", path+"?visitors_per_hour=60&session_minutes=5&tail_minutes=30&target_accuracy=0.7&numbers=40&number_cost=1.15", "").is(200).json()
		for name, want := range map[string]float64{
			"offered_erlangs": 35, "overflow": 0.05424359953494628, "expected_accuracy": 0.711387056311063, "reuse_gap_minutes": 35,
			"numbers": 40, "numbers_now": 2, "numbers_for_overflow": 47, "numbers_needed": 47, "target_accuracy": 0.7, "target_overflow": 0.01,
		} {
			if got := figure(p, name); math.Abs(got-want) > 1e-11 {
				t.Errorf("%s: got %v, want %v", name, p[name], want)
			}
		}
		one := p["one_more"].(map[string]any)
		if cost := one["cost"].(map[string]any); cost["amount"] != "1.15" || cost["currency"] != "USD" || one["cost_per_point"] == nil {
			t.Errorf("one more: got %v", one)
		}
		if len(p["by_numbers"].([]any)) < 5 || len(p["by_tail"].([]any)) < 5 || len(p["advice"].([]any)) == 0 || p["no_number_helps"] != nil {
			t.Errorf("got %v", p)
		}
		none := w.ask(marketer, "GET", path+"?visitors_per_hour=60&session_minutes=5&tail_minutes=0&target_accuracy=0.99", "").is(200).json()
		if none["numbers_for_accuracy"] != nil || none["numbers_needed"] != nil || none["no_number_helps"] == nil {
			t.Errorf("an accuracy that numbers cannot bring: got %v", none)
		}
		from := map[string]any{}
		for _, in := range w.ask(marketer, "GET", path, "").is(200).json()["computed_from"].([]any) {
			in := in.(map[string]any)
			from[in["input"].(string)] = in["from"]
		}
		if from["visitors_per_hour"] != "assumed" || from["tail_minutes"] != "pool" || from["mean_delay_minutes"] != "assumed" {
			t.Errorf("of an unused pool: got %v", from)
		}
		for _, query := range []string{"visitors_per_hour=0", "visitors_per_hour=NaN", "target_accuracy=1", "tail_minutes=-1", "numbers=1.5", "numbers=-1", "number_cost=cheap", "number_cost=-1", "numbers=10000000"} {
			w.ask(marketer, "GET", path+"?"+query, "").is(422)
		}
		w.ask(w.stranger, "GET", path, "").is(404)
	})
}
