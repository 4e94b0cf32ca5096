package callwheel

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	_ "github.com/callwheel/callwheel/scripts/draws"
)

func TestMoneyIsReadOnlyWhenItIsPlain(t *testing.T) {
	for _, c := range []struct {
		amount, currency string
		micros           int64
		ok               bool
	}{
		{"1234.50", "USD", 1_234_500_000, true},
		{"0", "USD", 0, true},
		{"-3.99", "EUR", -3_990_000, true},
		{"500", "JPY", 500_000_000, true},
		{"1.500", "BHD", 1_500_000, true},
		{"999999999999.99", "USD", 999_999_999_999_990_000, true},
		{"500.5", "JPY", 0, false},
		{"1.005", "USD", 0, false},
		{"1e3", "USD", 0, false},
		{"1,234.50", "USD", 0, false},
		{"NaN", "USD", 0, false},
		{"", "USD", 0, false},
		{" 1", "USD", 0, false},
		{"+1", "USD", 0, false},
		{"1.", "USD", 0, false},
		{"1234567890123", "USD", 0, false},
		{"1", "usd", 0, false},
		{"1", "XXZ", 0, false},
		{"1", "", 0, false},
		{"500", "XOF", 500_000_000, true},
		{"1", "XXX", 0, false},
		{"1", "XTS", 0, false},
		{"1", "XAU", 0, false},
	} {
		got, err := ParseMoney(c.amount, c.currency)
		if (err == nil) != c.ok || got.Micros != c.micros {
			t.Errorf("%q %q: got %d, %v, want %d, ok %v", c.amount, c.currency, got.Micros, err, c.micros, c.ok)
		}
		if err != nil && KindOf(err) != Invalid {
			t.Errorf("%q %q: kind %s, want invalid", c.amount, c.currency, KindOf(err))
		}
	}
}

func TestMoneyOnTheWireReadsBackTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Money{
			Micros:   rapid.Int64Range(-1e15, 1e15).Draw(t, "cents") / 10_000 * 10_000,
			Currency: rapid.SampledFrom([]string{"USD", "EUR", "GBP"}).Draw(t, "currency"),
		}
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Money
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Fatalf("%s: got %v, %v, want %v", b, got, err, want)
		}
	})
}

func TestMoneyIsNeverAddedAcrossCurrenciesNorBeyondItsRange(t *testing.T) {
	dollar, euro := Money{1_000_000, "USD"}, Money{1_000_000, "EUR"}
	if got, err := dollar.Add(dollar); err != nil || got.Amount() != "2.00" {
		t.Errorf("1 USD + 1 USD: got %v, %v", got, err)
	}
	if _, err := dollar.Add(euro); KindOf(err) != Invalid {
		t.Errorf("1 USD + 1 EUR: got %v, want kind invalid", err)
	}
	if _, err := (Money{math.MaxInt64, "USD"}).Add(dollar); KindOf(err) != Invalid {
		t.Errorf("overflow: got %v, want kind invalid", err)
	}
	if got, err := (Money{math.MinInt64 + 1_000_000, "USD"}).Add(Money{-1_000_000, "USD"}); err != nil || got.Micros != math.MinInt64 {
		t.Errorf("down to the edge: got %v, %v", got, err)
	}
	if got, err := dollar.Add(Money{0, "USD"}); err != nil || got != dollar {
		t.Errorf("plus nothing: got %v, %v", got, err)
	}
}

func TestDerivedIDsAreTheSameForTheSamePartsOnly(t *testing.T) {
	a, b := DerivedID("call", "twilio", "CA1"), DerivedID("call", "twilio", "CA1")
	if a != b {
		t.Errorf("same parts: %s and %s", a, b)
	}
	if c := DerivedID("call", "twili", "oCA1"); c == a {
		t.Error("parts run together")
	}
	if one, other := NewID("pool"), NewID("pool"); len(one) != len("pool_")+26 || one >= other {
		t.Error("new ids are not 26 characters, or not in the order of their making")
	}
}
