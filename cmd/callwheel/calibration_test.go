package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/telephony/loopback"
)

// claims makes calls of one sort: the server names vis_1 of google with this
// confidence, and so many of them were.
func claims(calls, trueOnes int, stated float64) (truth []truthLine, known []attributed) {
	for i := range calls {
		line := truthLine{Kind: "call", ProviderCallID: fmt.Sprint("CA", i), VisitorID: "vis_1", Source: "google", Medium: "cpc", Dialled: "shown", Shown: "leased"}
		if i >= trueOnes {
			line.VisitorID, line.Source = "vis_2", "bing"
		}
		truth = append(truth, line)
		known = append(known, attributed{
			ProviderCallID: line.ProviderCallID, Method: "past_lease", Source: "Google", Medium: "cpc", VisitorID: "vis_1", Confidence: stated, VisitorConfidence: stated,
		})
	}
	return truth, known
}

// 1,000 calls of which the server says 0.75 each have a standard error of
// 0.0137: 790 right ones are 2.9 of it too many, 800 are 3.7.
func TestABandThatIsOffByMoreThanChanceAllowsIsFound(t *testing.T) {
	for _, one := range []struct {
		calls, right int
		off          string
		found        int
	}{
		{1000, 790, "+2.92", 0},
		{1000, 800, "+3.65", 4},
		{1000, 700, "-3.65", 4},
		{199, 120, "-4.79", 0}, // too few to be judged
	} {
		a := compare(claims(one.calls, one.right, 0.75))
		if b := a.Source.Bands[7]; b.Calls != one.calls || b.Right != one.right || fmt.Sprintf("%+.2f", b.off()) != one.off {
			t.Errorf("%d of %d: got %+v, %+.2f off, want %s", one.right, one.calls, b, b.off(), one.off)
		}
		if a.calibrated(); len(a.details) != one.found { // source and visitor, the band and the whole
			t.Errorf("%d of %d: got %q, want %d sentences", one.right, one.calls, a.details, one.found)
		}
	}
}

func TestAccuracyJudgesWhatWasClaimedAndNothingElse(t *testing.T) {
	call := func(id string, f func(*truthLine)) truthLine {
		line := truthLine{Kind: "call", ProviderCallID: id, VisitorID: "vis_1", Source: "direct", Dialled: "shown", Shown: "leased", Latest: "vis_2"}
		f(&line)
		return line
	}
	stranger := func(l *truthLine) { l.Dialled, l.VisitorID, l.Source, l.Shown = "pool", "", "", "" }
	truth := []truthLine{
		{Kind: "server", Plain: &plainWorld{
			PerHour: 60, Stay: 5 * time.Minute, PoolSize: 40, Lend: "rested",
			Delays: []loopback.Delay{{Share: 0.6, Mean: 4 * time.Minute}, {Share: 0.25, Mean: time.Hour}, {Share: 0.15, Mean: 48 * time.Hour}},
		}},
		call("right", func(l *truthLine) { l.Latest = "vis_1" }),
		call("source-only", func(*truthLine) {}),
		call("other-medium", func(l *truthLine) { l.Open = true }),
		call("nobody", stranger),
		call("somebody", stranger),
		call("missed", func(*truthLine) {}),
		call("overflow", func(l *truthLine) { l.Shown = "overflow" }),
		call("unjudged", func(*truthLine) {}),
		call("afterwards", func(l *truthLine) { l.After = true }),
	}
	claim := attributed{Method: "past_lease", Source: "direct", Medium: "(none)", VisitorID: "vis_1", Confidence: 0.95, VisitorConfidence: 0.65}
	other, medium, none := claim, claim, attributed{Method: "none", Confidence: 0.55}
	other.VisitorID, medium.Medium = "vis_3", "email"
	var known []attributed
	for id, c := range map[string]attributed{
		"right": claim, "source-only": other, "other-medium": medium, "nobody": none, "somebody": claim, "missed": none,
		"overflow": {Method: "overflow_number", Confidence: 1}, "unjudged": {}, "afterwards": claim,
	} {
		c.ProviderCallID = id
		known = append(known, c)
	}
	a := compare(truth, known)
	is(t, "pool", a.Pool, tally{Right: 3, Wrong: 1, Unknown: 3})
	is(t, "strangers", a.Strangers, tally{Right: 1, Wrong: 1})
	is(t, "sources named", [2]int{a.Source.Bands[9].Calls, a.Source.Bands[9].Right}, [2]int{4, 2})
	is(t, "visitors named", [2]int{a.Visitor.Bands[6].Calls, a.Visitor.Bands[6].Right}, [2]int{4, 2})
	is(t, "nobody named", [2]int{a.Source.Bands[5].Calls, a.Source.Bands[5].Right}, [2]int{2, 1})
	is(t, "calls judged", a.Source.All.Calls, 6)
	is(t, "not attributed", a.Unattributed, 1)
	is(t, "latest holders", [2]int{a.Latest.Calls, a.Latest.Right}, [2]int{5, 1})
	var out bytes.Buffer
	a.print(&out)
	for _, want := range []string{"pool, by strangers", "0.9 to 1.0", "by the formula 0.7114"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed %s\nwant %q in it", &out, want)
		}
	}
}
