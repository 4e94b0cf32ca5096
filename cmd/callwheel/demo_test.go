package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// Programs take the first tracking number and its source; people paste the
// request that is printed, and then try the others of the README with its token.
func TestTheDemoSaysWhatItsReaderCanUse(t *testing.T) {
	s, err := newStage(t.Context(), stageParams{DatabaseURL: storetest.SQLiteURL(t), Dir: t.TempDir(), Start: storyStart, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	channels := loopback.DefaultChannels()
	b, err := furnish(t.Context(), s, channels, 3)
	if err != nil {
		t.Fatal(err)
	}
	offline := 0
	for _, c := range channels {
		if c.Offline {
			offline++
		}
	}
	ready := b.ready(s)
	is(t, "tracking numbers", len(ready.TrackingNumbers), offline+3+1) // and the overflow number
	for i, n := range ready.TrackingNumbers {
		if (n.Source != "") != (i < offline) {
			t.Errorf("tracking number %d: got %+v, want numbers with a source first and none for the others", i, n)
		}
	}
	var said strings.Builder
	demoCmd{}.welcome(s, b, func(format string, args ...any) { fmt.Fprintf(&said, format, args...) })
	if !strings.Contains(said.String(), "Bearer "+b.Tokens[account.Owner]+"'") {
		t.Errorf("got %s, want the owner's token", said.String())
	}
}
