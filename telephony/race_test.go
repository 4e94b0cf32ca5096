//go:build race

package telephony_test

// exhaustive is up to how many events every order is tried; the race detector
// makes each ten times as dear and has nothing to find in a pure function.
const exhaustive = 7
