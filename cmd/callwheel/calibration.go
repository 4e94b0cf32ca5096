package main

import (
	"fmt"
	"io"
	"math"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// calibration is how sure the server was against how often it was right. It is
// calibrated when the mean of what it stated equals the share that was right, in
// every band, as far as chance allows.
type calibration struct {
	All   band   `json:"all"`
	Bands []band `json:"bands"` // by tenths of the stated confidence
}

// band are the attributions of which the server was so sure.
type band struct {
	From       float64 `json:"from"`
	Until      float64 `json:"until"`
	Calls      int     `json:"calls"`
	Right      int     `json:"right"`
	Confidence float64 `json:"mean_confidence"`
	Share      float64 `json:"share_right"`
	// Error is the standard error of Share if every stated confidence is true:
	// √Σπ(1−π) ÷ calls.
	Error float64 `json:"standard_error"`
}

// Calls that a band must have to be judged, and how many standard errors it may
// be off.
const (
	bandCalls  = 200
	bandErrors = 3
)

func (c *calibration) add(stated float64, isRight bool) {
	if c.Bands == nil {
		for i := range 10 {
			c.Bands = append(c.Bands, band{From: float64(i) / 10, Until: float64(i+1) / 10})
		}
		c.All = band{From: 0, Until: 1}
	}
	c.All.add(stated, isRight)
	c.Bands[min(9, int(stated*10+1e-9))].add(stated, isRight)
}

func (c *calibration) finish() {
	c.All.finish()
	for i := range c.Bands {
		c.Bands[i].finish()
	}
}

// add keeps sums, of which finish makes means.
func (b *band) add(stated float64, isRight bool) {
	b.Calls++
	b.Confidence += stated
	b.Error += stated * (1 - stated)
	if isRight {
		b.Right++
	}
}

func (b *band) finish() {
	if n := float64(b.Calls); n > 0 {
		b.Confidence /= n
		b.Share = float64(b.Right) / n
		b.Error = math.Sqrt(b.Error) / n
	}
}

// off is by how many standard errors the share that was right is above what was
// stated.
func (b band) off() float64 {
	switch d := b.Share - b.Confidence; {
	case math.Abs(d) < 1e-12:
		return 0
	default:
		return d / b.Error
	}
}

// judged says whether the band has enough calls to say something.
func (b band) judged() bool { return b.Calls >= bandCalls }

func (b band) name() string { return fmt.Sprintf("%.1f to %.1f", b.From, b.Until) }

func (c calibration) print(w io.Writer, what string) {
	fmt.Fprintf(w, "\n%-34s %7s %11s %11s %9s %7s\n", "confidence in the "+what, "calls", "mean stated", "share right", "± (1 SE)", "off, SE")
	for _, b := range append(c.Bands[:len(c.Bands):len(c.Bands)], c.All) {
		if b.Calls > 0 {
			fmt.Fprintf(w, "%-34s %7d %11.4f %11.4f %9.4f %+7.2f\n", b.name(), b.Calls, b.Confidence, b.Share, b.Error, b.off())
		}
	}
}

// calibrated notes every band that is off by more than chance allows.
func (a *accuracy) calibrated() {
	for what, c := range map[string]calibration{"source": a.Source, "visitor": a.Visitor} {
		for _, b := range append(c.Bands[:len(c.Bands):len(c.Bands)], c.All) {
			if b.judged() && math.Abs(b.off()) > bandErrors {
				a.details = append(a.details, fmt.Sprintf("the %s was stated with %.4f in the band %s, and right in %.4f of %d calls: %.1f standard errors off",
					what, b.Confidence, b.name(), b.Share, b.Calls, b.off()))
			}
		}
	}
}

// latest is how often a call after the visit would rightly be credited to the
// visitor who saw the number last, which is what most products do. It says how
// often a pool shows a number again before the call, and nothing of the server's
// judgement.
type latest struct {
	Calls int     `json:"calls"`
	Right int     `json:"right"`
	Share float64 `json:"share_right"`
	// Formula is what is to be expected of a plain world without tails whose
	// numbers are lent in the order of their release; null for others.
	Formula *float64 `json:"formula"`
	Error   float64  `json:"standard_error"` // of Share
}

func (l *latest) expect(w *plainWorld) {
	if w != nil && w.Tail == 0 && w.Lend == string(attribution.LendRested) {
		l.Formula = new(w.latestHolder())
	}
}

func (l *latest) add(line truthLine) {
	if line.VisitorID == "" || line.Open || line.Shown != "leased" || line.Dialled != string(loopback.ShownNumber) {
		return
	}
	l.Calls++
	if line.Latest == line.VisitorID {
		l.Right++
	}
}

func (l *latest) finish() {
	if n := float64(l.Calls); n > 0 {
		l.Share = float64(l.Right) / n
		l.Error = math.Sqrt(l.Share * (1 - l.Share) / n)
	}
}

func (l latest) print(w io.Writer) {
	if l.Calls == 0 {
		return
	}
	fmt.Fprintf(w, "\nWhoever saw the number last made %.4f ± %.4f of %d calls after the visit", l.Share, l.Error, l.Calls)
	if l.Formula != nil {
		fmt.Fprintf(w, "; by the formula %.4f", *l.Formula)
	}
	fmt.Fprintln(w, ".")
}
