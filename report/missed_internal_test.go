package report

import (
	"strings"
	"testing"

	"github.com/callwheel/callwheel/telephony"
)

func TestStatementsListTheOutcomesThatAreMissed(t *testing.T) {
	for _, o := range []telephony.Outcome{
		"", telephony.Answered, telephony.Voicemail, telephony.Abandoned, telephony.OutcomeBusy, telephony.OutcomeNoAnswer, telephony.OutcomeFailed, telephony.Blocked,
	} {
		if listed := strings.Contains(missedOutcomes, "'"+string(o)+"'"); listed != o.Missed() {
			t.Errorf("%q: listed %v, missed %v", o, listed, o.Missed())
		}
	}
}
