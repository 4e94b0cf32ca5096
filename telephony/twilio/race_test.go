//go:build race

package twilio_test

// raceEnabled: the race detector empties pools at random, so allocations are
// not counted under it.
const raceEnabled = true
