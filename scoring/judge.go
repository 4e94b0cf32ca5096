package scoring

import (
	"cmp"
	"math"
	"slices"
)

// LeadJudgement is how well probabilities foretold outcomes that they were not
// fitted to. What cannot be told is nil.
type LeadJudgement struct {
	Outcomes  int64     `json:"outcomes" doc:"They were judged by"`
	Positives int64     `json:"positives" doc:"Of them, qualified ones"`
	AUC       *float64  `json:"auc" doc:"Chance that a qualified call was given a higher probability than another: 0.5 is guessing"`
	Brier     *float64  `json:"brier" doc:"Mean squared error of the probabilities; 0 is best"`
	BaseBrier *float64  `json:"base_brier" doc:"The same, had every call been given the share of qualified ones"`
	Skill     *float64  `json:"skill" doc:"1 − brier ÷ base_brier: above 0 is better than the share alone"`
	LogLoss   *float64  `json:"log_loss" doc:"Mean surprise, in nats"`
	Intercept *float64  `json:"calibration_intercept" doc:"0 where probabilities are neither too high nor too low"`
	Slope     *float64  `json:"calibration_slope" doc:"1 where probabilities are as far apart as they should be, less where they are too far"`
	Bins      []LeadBin `json:"bins" doc:"The calls in ten parts by probability"`
}

// LeadBin is a tenth of the calls that were judged by.
type LeadBin struct {
	From     float64 `json:"from" doc:"The least probability in it"`
	Until    float64 `json:"until" doc:"The greatest"`
	Calls    int64   `json:"calls"`
	Expected float64 `json:"expected" doc:"Mean probability"`
	Observed float64 `json:"observed" doc:"Share of qualified ones"`
}

// leadBins is into how many parts the calls are cut.
const leadBins = 10

// JudgeProbabilities compares probabilities with what came. AUC counts equal
// probabilities half; calibration is the logistic regression of the outcomes on
// the logits of the probabilities.
func JudgeProbabilities(p []float64, y []bool) LeadJudgement {
	j := LeadJudgement{Outcomes: int64(len(p)), Bins: []LeadBin{}}
	if len(p) == 0 {
		return j
	}
	n := float64(len(p))
	var brier, surprise float64
	for i := range p {
		hit := 0.0
		if y[i] {
			hit = 1
			j.Positives++
		}
		brier += (p[i] - hit) * (p[i] - hit)
		surprise -= math.Log(min(max(math.Abs(1-hit-p[i]), 1e-15), 1))
	}
	rate := float64(j.Positives) / n
	brier, base := brier/n, rate*(1-rate)
	surprise /= n
	j.Brier, j.BaseBrier, j.LogLoss = &brier, &base, &surprise
	order := byProbability(p)
	j.bin(p, y, order)
	if base == 0 {
		return j // all alike: there is nothing to tell apart
	}
	skill, auc := 1-brier/base, rankArea(p, y, order)
	j.Skill, j.AUC = &skill, &auc
	j.calibrate(p, y)
	return j
}

func byProbability(p []float64) []int {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	return order
}

// rankArea is the area under the ROC curve from the ranks of the positives
// (Mann and Whitney).
func rankArea(p []float64, y []bool, order []int) float64 {
	var ranks, positives float64
	for i := 0; i < len(order); {
		end := i
		for end < len(order) && p[order[end]] == p[order[i]] {
			end++
		}
		for _, k := range order[i:end] {
			if y[k] {
				ranks += float64(i+1+end) / 2
				positives++
			}
		}
		i = end
	}
	return (ranks - positives*(positives+1)/2) / (positives * (float64(len(p)) - positives))
}

func (j *LeadJudgement) bin(p []float64, y []bool, order []int) {
	for b := range leadBins {
		part := order[b*len(order)/leadBins : (b+1)*len(order)/leadBins]
		if len(part) == 0 {
			continue
		}
		bin := LeadBin{From: p[part[0]], Until: p[part[len(part)-1]], Calls: int64(len(part))}
		for _, i := range part {
			bin.Expected += p[i] / float64(len(part))
			if y[i] {
				bin.Observed += 1 / float64(len(part))
			}
		}
		j.Bins = append(j.Bins, bin)
	}
}

func (j *LeadJudgement) calibrate(p []float64, y []bool) {
	x := make([][]float64, len(p))
	for i, v := range p {
		v = min(max(v, 1e-12), 1-1e-12)
		x[i] = []float64{math.Log(v / (1 - v))}
	}
	fit, err := FitLogistic(x, y, 0)
	if err != nil {
		return
	}
	j.Intercept, j.Slope = &fit.Coefficients[0], &fit.Coefficients[1]
}

// EarlierPart is how many of n outcomes in order of time a model is fitted to
// that is then judged by the rest: the first 70 %. A random split would promise
// what the future does not keep.
func EarlierPart(n int) int { return n * 7 / 10 }
