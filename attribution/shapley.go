package attribution

// shapley divides a conversion equally among the distinct channels of its path,
// and a channel's part among its touches. With the value of a set of channels
// being the conversions of the paths that lie inside it, that is the Shapley
// value, and by position the ordered one, exactly and for any number of
// channels (Zhao, Mahboobi, Bagheri 2018, arXiv 1804.05327).
func shapley(p Path) []float64 {
	touches := map[string]int{}
	for _, s := range p.Steps {
		touches[s.Channel]++
	}
	w := make([]float64, len(p.Steps))
	for i, s := range p.Steps {
		w[i] = 1 / float64(len(touches)*touches[s.Channel])
	}
	return w
}
