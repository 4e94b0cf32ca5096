package callwheel

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// Money is an amount in millionths of a currency unit (micros) with its ISO
// 4217 code. It is exact: sums never lose a cent, and unlike currencies are
// never added. On the wire it is {"amount":"1234.50","currency":"USD"}.
type Money struct {
	Micros   int64
	Currency string
}

var amountPattern = regexp.MustCompile(`^-?[0-9]{1,12}(\.[0-9]{1,6})?$`)

// ParseMoney reads a plain decimal amount ("1234.5", "-3") in a currency. It
// refuses, with kind Invalid, grouping, exponents, more decimals than the
// currency has, unknown or lower-case codes and amounts beyond 10^12.
func ParseMoney(amount, code string) (Money, error) {
	digits, err := minorDigits(code)
	if err != nil {
		return Money{}, err
	}
	if !amountPattern.MatchString(amount) {
		return Money{}, InvalidField("amount", "%q is not a plain decimal amount such as 1234.50", clip(amount))
	}
	d, err := decimal.NewFromString(amount)
	if err != nil {
		return Money{}, InvalidField("amount", "%q is not a plain decimal amount", clip(amount))
	}
	if !d.Equal(d.Truncate(int32(digits))) {
		return Money{}, InvalidField("amount", "%s has more decimals than %s allows (%d)", amount, code, digits)
	}
	return Money{Micros: d.Shift(6).IntPart(), Currency: code}, nil
}

// CheckCurrency returns an Invalid error when code is not an upper-case ISO
// 4217 code that money can be kept in.
func CheckCurrency(code string) error {
	_, err := minorDigits(code)
	return err
}

// MinorUnit returns the smallest amount of the currency in micros: 10,000 for
// a cent. An unknown currency counts as having two decimals.
func MinorUnit(code string) int64 {
	digits, err := minorDigits(code)
	if err != nil {
		digits = 2
	}
	return int64(math.Pow10(6 - digits))
}

// Amount returns the plain decimal text with the currency's own number of
// decimals, and more only where the amount needs them.
func (m Money) Amount() string {
	digits, err := minorDigits(m.Currency)
	if err != nil {
		digits = 2
	}
	d := decimal.New(m.Micros, -6)
	if d.Equal(d.Truncate(int32(digits))) {
		return d.StringFixed(int32(digits))
	}
	return d.String()
}

// String returns amount and code, for people: "1234.50 USD".
func (m Money) String() string { return m.Amount() + " " + m.Currency }

// Add returns the sum. It fails with kind Invalid when the currencies differ
// and with kind Invalid when the sum does not fit.
func (m Money) Add(n Money) (Money, error) {
	if m.Currency != n.Currency {
		return Money{}, Errorf(Invalid, "cannot add %s to %s", n.Currency, m.Currency)
	}
	sum := m.Micros + n.Micros
	if (sum > m.Micros) != (n.Micros > 0) && n.Micros != 0 {
		return Money{}, Errorf(Invalid, "sum of money is too large")
	}
	return Money{Micros: sum, Currency: m.Currency}, nil
}

type wireMoney struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// MarshalJSON writes {"amount","currency"} with the amount as decimal text.
func (m Money) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireMoney{Amount: m.Amount(), Currency: m.Currency})
}

// UnmarshalJSON reads what MarshalJSON writes, with the checks of ParseMoney.
func (m *Money) UnmarshalJSON(b []byte) error {
	var w wireMoney
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("money is {\"amount\":\"1234.50\",\"currency\":\"USD\"}: %w", err)
	}
	parsed, err := ParseMoney(w.Amount, w.Currency)
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// isMoney says whether an ISO 4217 code is of something that people pay with.
// Codes with an X belong to no country: a few unions' money, and metals, units
// of account, the code for tests and the one for no currency.
func isMoney(code string) bool {
	switch code {
	case "XAF", "XCD", "XCG", "XOF", "XPF":
		return true
	}
	return code[0] != 'X'
}

func minorDigits(code string) (int, error) {
	if len(code) != 3 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' || code[2] < 'A' || code[2] > 'Z' {
		return 0, InvalidField("currency", "%q is not an upper-case ISO 4217 code", clip(code))
	}
	unit, err := currency.ParseISO(code)
	if err != nil || !isMoney(code) {
		return 0, InvalidField("currency", "%q is not the ISO 4217 code of a known currency", code)
	}
	scale, _ := currency.Standard.Rounding(unit)
	return scale, nil
}

// clip keeps an echoed value short: error texts are read by people and kept in
// logs.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
