package scoring

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	judgements *prometheus.CounterVec
	refused    *prometheus.CounterVec
}

// newMetrics makes the room's counters and registers them, where a registry is
// given.
func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		judgements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_scoring_judgements_total",
			Help: "Judgements written, by kind.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_scoring_refused_total",
			Help: "Writes on a desk that were refused, by kind of error.",
		}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.judgements, m.refused)
	}
	return m
}
