package report

// casesOf is x cases of n.
type casesOf struct{ x, n int64 }

// defaultStrength is how many cases the pooled rate counts as where the groups
// cannot say how much they differ.
const defaultStrength = 20

// shrunken draws the rates of groups towards their pooled rate, the more, the
// smaller the group: (x + m·p) ÷ (n + m). m follows from how much more the groups
// differ than chance would have them, by the moments of a beta-binomial
// distribution; 20 where that cannot be told. It is nil without a case. For
// ranking groups, never for what an account is told of itself.
func shrunken(groups []casesOf) (rates []*float64) {
	rates = make([]*float64, len(groups))
	p, m := pool(groups)
	for i, g := range groups {
		if p != nil {
			rates[i] = number(g.drawn(*p, m))
		}
	}
	return rates
}

// drawn is the group's rate drawn towards a pooled one that counts as m cases.
func (g casesOf) drawn(p, m float64) float64 { return (float64(g.x) + m*p) / (float64(g.n) + m) }

// pool is the pooled rate and its strength in cases.
func pool(groups []casesOf) (rate *float64, strength float64) {
	var cases, n, squares, k float64
	for _, g := range groups {
		if g.n > 0 {
			cases, n, squares, k = cases+float64(g.x), n+float64(g.n), squares+float64(g.n)*float64(g.n), k+1
		}
	}
	if n == 0 {
		return nil, 0
	}
	p := cases / n
	var spread float64
	for _, g := range groups {
		if g.n > 0 {
			d := float64(g.x)/float64(g.n) - p
			spread += float64(g.n) * d * d
		}
	}
	rho := (spread - p*(1-p)*(k-1)) / (p * (1 - p) * (n - squares/n - (k - 1)))
	strength = (1 - rho) / rho
	if !finite(strength) || rho <= 0 || rho > 1 {
		strength = defaultStrength
	}
	return &p, strength
}
