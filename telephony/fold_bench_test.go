package telephony_test

import (
	"testing"

	"github.com/callwheel/callwheel/telephony"
)

// BenchmarkFold is the fold of a whole call. The doors around it are measured in
// package api, over a socket and on both databases.
func BenchmarkFold(b *testing.B) {
	events := facts(whispering, played(b, scenarios[0].tapes...))
	b.ReportAllocs()
	for b.Loop() {
		if c := telephony.Fold("acct_1", events); c.TalkSeconds == nil || *c.TalkSeconds != 126 {
			b.Fatal("wrong row")
		}
	}
}
