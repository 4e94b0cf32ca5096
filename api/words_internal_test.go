package api

import "testing"

func TestWhatTheFrameworkRefusesIsSaidInWordsForAPerson(t *testing.T) {
	for theirs, want := range map[string]string{
		"expected string to be RFC 3339 date":                                   "must be a date such as 2026-01-31",
		"expected number >= 1":                                                  "must be at least 1",
		"expected number <= 1e+06":                                              "must be at most 1000000",
		"expected length <= 200":                                                "must have at most 200 characters",
		"expected array length >= 1":                                            "must have at least 1 items",
		`expected value to be one of "csat, nps"`:                               "must be one of csat, nps",
		"expected string to be a plain decimal amount such as 1234.50":          "must be a plain decimal amount such as 1234.50",
		"invalid integer":                                                       "must be a whole number",
		"invalid date/time for format 2006-01-02T15:04:05.999999999Z07:00":      "cannot be read as what it should be",
		"json: cannot unmarshal string into Go struct field .value of type int": "cannot be read as what it should be",
		"anything else":                                                         "anything else",
	} {
		if got := forPeople(theirs); got != want {
			t.Errorf("%s: got %q, want %q", theirs, got, want)
		}
	}
}
