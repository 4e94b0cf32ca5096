package report

import (
	"fmt"
	"math"
	"strconv"

	"github.com/callwheel/callwheel"
)

// Yardsticks are what momentum is measured with. They are frozen with a
// baseline: moving one starts a new baseline.
type Yardsticks struct {
	PromptTargetSeconds int64  `json:"prompt_target_seconds" doc:"Waiting that costs no goodwill"`
	PromptHalfSeconds   int64  `json:"prompt_half_seconds" doc:"Waiting beyond the target that halves goodwill"`
	PromptHalfFrom      string `json:"prompt_half_from" enum:"own,default,set" doc:"Where that comes from. own: the median patience of the account's own callers when the baseline was frozen; default: too few of them had given up to tell (50 are needed), or too many were answered before; set: by a person"`
	PromptHalfAbandoned int64  `json:"prompt_half_abandoned" doc:"How many calls were seen that were given up; 0 when it was set"`
	AttemptGapSeconds   int64  `json:"attempt_gap_seconds" doc:"Calls of one number at most so far apart are one attempt"`
	CallbackHours       int64  `json:"callback_hours" doc:"Time to call back somebody who was not reached"`
	HangupSeconds       int64  `json:"hangup_seconds" doc:"Abandoned calls shorter than this are no attempt"`
	MaturityDays        int64  `json:"maturity_days" doc:"Age at which a lead is judged, and time it has to buy"`
	ReturnDays          int64  `json:"return_days" doc:"Window in which repeat purchases and referred leads count"`
	HalfLifeDays        int64  `json:"half_life_days" doc:"Age at which a fact counts half in the smoothed index"`
	WonStage            string `json:"won_stage" doc:"What counts as won: won (a sale) or qualified"`
}

// The defaults that other reports share.
const (
	returnDays    = 90.0
	callbackHours = 24
)

// maxHalf is the longest wait that may halve goodwill, in seconds.
const maxHalf = 86400

// DefaultYardsticks are those of an account that has set none.
func DefaultYardsticks() Yardsticks {
	return Yardsticks{
		PromptTargetSeconds: 20, PromptHalfSeconds: defaultHalf, PromptHalfFrom: HalfDefault, AttemptGapSeconds: 30 * 60, CallbackHours: callbackHours, HangupSeconds: 5,
		MaturityDays: 30, ReturnDays: returnDays, HalfLifeDays: 14, WonStage: "won",
	}
}

// Check fails with kind Invalid and names the fields that cannot be.
func (y Yardsticks) Check() error {
	var bad []callwheel.FieldError
	for _, f := range []struct {
		name      string
		value     int64
		low, high int64
	}{
		{"prompt_target_seconds", y.PromptTargetSeconds, 0, 3600},
		{"prompt_half_seconds", y.PromptHalfSeconds, 1, maxHalf},
		{"attempt_gap_seconds", y.AttemptGapSeconds, 0, 43200},
		{"callback_hours", y.CallbackHours, 0, 24},
		{"hangup_seconds", y.HangupSeconds, 0, 60},
		{"maturity_days", y.MaturityDays, 1, 365},
		{"return_days", y.ReturnDays, 7, 365},
		{"half_life_days", y.HalfLifeDays, 1, 90},
	} {
		if f.value < f.low || f.value > f.high {
			bad = append(bad, callwheel.FieldError{Field: "yardsticks." + f.name, Message: fmt.Sprintf("must be from %d to %d", f.low, f.high)})
		}
	}
	if y.WonStage != "won" && y.WonStage != "qualified" {
		bad = append(bad, callwheel.FieldError{Field: "yardsticks.won_stage", Message: "must be won or qualified"})
	}
	return callwheel.InvalidFields(bad)
}

// String names what the figures depend on.
func (y Yardsticks) String() string {
	gap := strconv.FormatInt(y.AttemptGapSeconds, 10) + " s"
	if y.AttemptGapSeconds%60 == 0 {
		gap = strconv.FormatInt(y.AttemptGapSeconds/60, 10) + " min"
	}
	half := map[string]string{HalfOwn: " by own patience", HalfSet: " as set"}[y.PromptHalfFrom]
	text := fmt.Sprintf("momentum (target %d s, half %d s%s, attempts %s, call-backs %d h, maturity %d days, returns %d days",
		y.PromptTargetSeconds, y.PromptHalfSeconds, half, gap, y.CallbackHours, y.MaturityDays, y.ReturnDays)
	if y.WonStage != "won" {
		text += ", won means " + y.WonStage
	}
	return text + ")"
}

// Goodwill is what is left of a person's goodwill after waiting so many
// seconds: all up to the target, half so many seconds beyond it, never nothing.
func (y Yardsticks) Goodwill(wait float64) float64 {
	return 1 / (1 + math.Max(0, wait-float64(y.PromptTargetSeconds))/float64(y.PromptHalfSeconds))
}
