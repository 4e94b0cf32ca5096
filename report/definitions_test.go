package report

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Names of rows that are no figures: what a row is about, and what stands in
// other figures.
var noFigures = []string{"agent_id", "agent", "pool_id", "pool", "from", "until", "parts_used", "missing", "interval"}

func TestEveryFigureOfEveryReportIsDefined(t *testing.T) {
	defined := map[string]bool{}
	for _, d := range Definitions {
		if defined[d.Figure] {
			t.Errorf("%s is defined twice", d.Figure)
		}
		if d.Text == "" {
			t.Errorf("%s has no text", d.Figure)
		}
		defined[d.Figure] = true
	}
	for name, c := range map[string]struct {
		row    any
		linked []string
	}{
		"roi":      {Figures{}, append([]string{"origin", "positions", "compare", "difference"}, roiFigures...)},
		"agents":   {AgentRow{}, agentFigures},
		"pools":    {PoolRow{}, poolFigures},
		"response": {ResponseFigures{}, responseFigures},
		"momentum": {MomentumPeriod{}, momentumFigures},
	} {
		for _, figure := range c.linked {
			if !defined[figure] {
				t.Errorf("%s links to %s, which is not defined", name, figure)
			}
		}
		typ := reflect.TypeOf(c.row)
		for i := range typ.NumField() {
			figure, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !slices.Contains(noFigures, figure) && !slices.Contains(c.linked, figure) {
				t.Errorf("%s shows %s and does not say what it means", name, figure)
			}
		}
	}
}
