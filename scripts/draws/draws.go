// Package draws makes property tests draw the same cases again. A test program
// that imports it starts all its draws from the seed that RAPID_SEED names; CI
// sets it, so that a change is judged by what it changes and not by the luck of
// the day. Without it every run draws anew, as `make explore` does on purpose.
// A seed on the command line (-rapid.seed) wins.
package draws

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid" // whose flags must be there first
)

func init() {
	seed := os.Getenv("RAPID_SEED")
	if seed == "" {
		return
	}
	if err := flag.Set("rapid.seed", seed); err != nil {
		panic(fmt.Sprintf("RAPID_SEED: %v", err))
	}
}

// Thousands checks a property on 2,000 cases, unless the command line says how
// many.
func Thousands(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("2000")
		defer func() { _ = checks.Value.Set(checks.DefValue) }()
	}
	rapid.Check(t, property)
}

// Few leaves a percentage of the cases that the command line asks for, at least
// one, to the properties of a test whose cases take long.
func Few(t *testing.T, percent int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	asked := checks.String()
	all, err := strconv.Atoi(asked)
	if err == nil {
		err = checks.Set(strconv.Itoa(max(1, all*percent/100)))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Set(asked) }) // which it was before, so it cannot fail
}
