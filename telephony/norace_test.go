//go:build !race

package telephony_test

// exhaustive is up to how many events every order is tried: nine have 362,880.
// The one scenario that is longer has 39,916,800.
const exhaustive = 9
