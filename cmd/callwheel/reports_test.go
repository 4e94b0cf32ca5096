package main

import (
	"strings"
	"testing"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
)

func TestTheHelpOfReportsNamesEveryModel(t *testing.T) {
	for _, kind := range []string{"attribution", "roi"} {
		text := command(t, nil, "help", "report", kind).ok(t)
		for _, name := range append(attribution.Models(), report.StoredWinner) {
			if !strings.Contains(text, name) {
				t.Errorf("help of report %s does not name the model %s", kind, name)
			}
		}
	}
}
