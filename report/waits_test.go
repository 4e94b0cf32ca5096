package report

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Remission of 21 patients under 6-mercaptopurine in weeks, twelve of them still
// in remission when the study ended (Freireich and others, Blood 21 (1963),
// 699-716): the textbook case of the product-limit estimate, with its printed
// values and the 95 % interval of R's survfit, conf.type "log-log", at 10 weeks.
func TestKaplanAndMeierOfTheTextbook(t *testing.T) {
	var list []waited
	for _, weeks := range []float64{6, 6, 6, 7, 10, 13, 16, 22, 23} {
		list = append(list, waited{weeks, true})
	}
	for _, weeks := range []float64{6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35} {
		list = append(list, waited{weeks, false})
	}
	s := newSurvival(list)
	for at, left := range map[float64]float64{5.9: 1, 6: 0.857, 7: 0.807, 9: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 90: 0.448} {
		if got, _ := s.within(at); math.Abs(1-got-left) > 5e-4 {
			t.Errorf("after %v weeks: got %v, want %v", at, 1-got, left)
		}
	}
	if got := s.quantile(0.5); got == nil || *got != 23 {
		t.Errorf("median: got %v, want 23", got)
	}
	if got := s.quantile(0.9); got != nil {
		t.Errorf("90th percentile: got %v, want none: too many are left", *got)
	}
	// S(10) = 0.7529, Greenwood's error 0.0963: 0.503 to 0.889.
	if _, i := s.within(10); i == nil || math.Abs(1-i[1]-0.503) > 1e-3 || math.Abs(1-i[0]-0.889) > 1e-3 {
		t.Errorf("interval at 10 weeks: got %v", i)
	}
}

func TestWaitsWithoutAnEnd(t *testing.T) {
	none := newSurvival(nil)
	if share, i := none.within(20); share != 0 || i != nil || none.quantile(0.5) != nil {
		t.Errorf("of nobody: got %v %v", share, i)
	}
	all := newSurvival([]waited{{3, true}, {5, true}})
	if share, i := all.within(5); share != 1 || i != nil || *all.quantile(0.5) != 3 || *all.quantile(0.9) != 5 {
		t.Errorf("of two: got %v %v", share, i)
	}
}

// What must hold of any waits: shares lie in [0, 1] and never fall with time;
// without anybody who gave up they are the plain shares; whoever gave up makes
// the estimate at least the share of all who were served in time, and at most
// that of those who did not give up before; the interval holds the share.
func TestWaitRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) waited {
			return waited{float64(rapid.IntRange(0, 40).Draw(t, "seconds")), rapid.Bool().Draw(t, "ended")}
		}), 1, 40).Draw(t, "waits")
		s := newSurvival(list)
		before := 0.0
		for at := 0.0; at <= 41; at++ {
			share, interval := s.within(at)
			if !(share >= before-1e-12 && share <= 1) {
				t.Fatalf("share within %v: got %v after %v", at, share, before)
			}
			before = share
			served, gaveUp := 0.0, 0.0
			for _, w := range list {
				switch {
				case w.ended && w.seconds <= at:
					served++
				case !w.ended && w.seconds <= at:
					gaveUp++
				}
			}
			n := float64(len(list))
			if share < served/n-1e-9 || gaveUp == 0 && math.Abs(share-served/n) > 1e-9 {
				t.Fatalf("share within %v: got %v, %v of %v were served and %v gave up", at, share, served, n, gaveUp)
			}
			if n > gaveUp && share > served/(n-gaveUp)+1e-9 {
				t.Fatalf("share within %v: got %v, more than %v of %v", at, share, served, n-gaveUp)
			}
			if interval != nil && !(interval[0] <= share+1e-9 && interval[1] >= share-1e-9 && interval[0] >= 0 && interval[1] <= 1) {
				t.Fatalf("interval within %v: got %v around %v", at, *interval, share)
			}
		}
		if m := s.quantile(0.5); m != nil {
			if share, _ := s.within(*m); share < 0.5-1e-9 {
				t.Fatalf("median %v: only %v had ended", *m, share)
			}
		}
	})
}
