package report

import (
	"testing"
	"time"
)

// A day that is not over yet, or that is cut off by the end of the range, is no
// quiet day.
func TestADayThatIsNotOverDoesNotWidenTheInterval(t *testing.T) {
	w := newGainWheel()
	for d := range 28 {
		for i := range 90 + d%2*20 {
			w.tried("", false, float64(24*d)+8+float64(i)/60)
		}
	}
	whole := w.counts(gainDays(0, 28)).Dispersion
	near(t, "28 days of 90 and 110", whole, 28.0*100/27/100)
	w.now = gainStart.AddDate(0, 0, 28).Add(30 * time.Minute).UnixMicro()
	near(t, "half an hour into the 29th", w.counts(gainDays(0, 40)).Dispersion, whole)
	w.now = gainStart.AddDate(1, 0, 0).UnixMicro()
	cut := gainDays(0, 28)
	cut.Until = cut.Until.Add(30 * time.Minute)
	near(t, "a range that ends so", w.counts(cut).Dispersion, whole)
}
