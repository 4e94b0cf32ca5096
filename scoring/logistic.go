package scoring

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Logistic is a fitted logistic regression: P(y) = 1 ÷ (1 + exp(−(b₀ + Σ bᵢxᵢ))).
type Logistic struct {
	Coefficients []float64 // b₀, the intercept, first
	Errors       []float64 // their standard errors
	Deviance     float64   // −2 ln likelihood
}

// errSeparated is the failure of a fit that has no answer: a figure tells the
// outcomes apart without error, or says what another one says.
var errSeparated = errors.New("the outcomes do not determine the coefficients")

const (
	maxNewton  = 100
	tinyChange = 1e-10
)

// FitLogistic fits outcomes y to the rows of x by Newton's method (iteratively
// reweighted least squares), with ridge ÷ 2 · Σ bᵢ² as a penalty on all
// coefficients but the intercept. Without a ridge it is the maximum likelihood
// fit, which fails where the outcomes do not determine it.
func FitLogistic(x [][]float64, y []bool, ridge float64) (Logistic, error) {
	if len(x) == 0 || len(x) != len(y) {
		return Logistic{}, errSeparated
	}
	n := len(x[0]) + 1
	b := make([]float64, n)
	loss := penalised(x, y, b, ridge)
	for range maxNewton {
		gradient, curvature := slopes(x, y, b, ridge)
		var chol mat.Cholesky
		if !chol.Factorize(curvature) {
			return Logistic{}, errSeparated
		}
		var step mat.VecDense
		if err := chol.SolveVecTo(&step, mat.NewVecDense(n, gradient)); err != nil {
			return Logistic{}, errSeparated
		}
		next, change, better := descend(x, y, b, &step, ridge, loss)
		b, loss = next, better
		if change > tinyChange {
			continue
		}
		return finished(x, y, b, ridge)
	}
	return Logistic{}, errSeparated
}

// descend goes along the step, less far while that makes nothing better.
func descend(x [][]float64, y []bool, b []float64, step *mat.VecDense, ridge, loss float64) (next []float64, change, better float64) {
	for scale := 1.0; ; scale /= 2 {
		next, change = make([]float64, len(b)), 0
		for i := range b {
			d := scale * step.AtVec(i)
			next[i] = b[i] + d
			change = max(change, math.Abs(d)/(1+math.Abs(b[i])))
		}
		better = penalised(x, y, next, ridge)
		if better <= loss+1e-9*math.Abs(loss) || change <= tinyChange {
			return next, change, better
		}
	}
}

func finished(x [][]float64, y []bool, b []float64, ridge float64) (Logistic, error) {
	_, curvature := slopes(x, y, b, ridge)
	var chol mat.Cholesky
	var inverse mat.SymDense
	// Beyond a logit of 30 the likelihood is flat: that is where separated
	// outcomes run to.
	if !chol.Factorize(curvature) || chol.Cond() > 1e15 || chol.InverseTo(&inverse) != nil {
		return Logistic{}, errSeparated
	}
	l := Logistic{Coefficients: b, Deviance: 2 * penalised(x, y, b, 0)}
	for i := range b {
		l.Errors = append(l.Errors, math.Sqrt(inverse.At(i, i)))
	}
	return l, nil
}

// logit is b₀ + Σ bᵢxᵢ.
func logit(b, x []float64) float64 {
	sum := b[0]
	for i, v := range x {
		sum += b[i+1] * v
	}
	return sum
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// Probability is what the regression says of one row.
func (l Logistic) Probability(x []float64) float64 { return sigmoid(logit(l.Coefficients, x)) }

// penalised is the negative log-likelihood with the penalty.
func penalised(x [][]float64, y []bool, b []float64, ridge float64) float64 {
	var sum float64
	for i, row := range x {
		z := logit(b, row)
		if y[i] {
			z = -z
		}
		// ln(1 + exp z) without overflow.
		sum += max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
	}
	for _, v := range b[1:] {
		sum += ridge / 2 * v * v
	}
	return sum
}

// slopes is the downhill direction of penalised and its matrix of second
// derivatives.
func slopes(x [][]float64, y []bool, b []float64, ridge float64) ([]float64, *mat.SymDense) {
	n := len(b)
	gradient, curvature := make([]float64, n), mat.NewSymDense(n, nil)
	raw := curvature.RawSymmetric() // upper triangle
	row := make([]float64, n)
	row[0] = 1
	for i := range x {
		copy(row[1:], x[i])
		p := sigmoid(logit(b, x[i]))
		weight, rest := p*(1-p), -p
		if y[i] {
			rest++
		}
		for j, v := range row {
			if v == 0 {
				continue
			}
			gradient[j] += rest * v
			for k := j; k < n; k++ {
				raw.Data[j*raw.Stride+k] += weight * v * row[k]
			}
		}
	}
	for j := 1; j < n; j++ {
		gradient[j] -= ridge * b[j]
		raw.Data[j*raw.Stride+j] += ridge
	}
	return gradient, curvature
}
