package report

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	seconds *prometheus.HistogramVec
	rolled  prometheus.Counter
}

// newMetrics makes the room's metrics and registers them, where a registry is
// given.
func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "callwheel_report_answer_seconds",
			Help:    "How long a report took, by report.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30},
		}, []string{"report"}),
		rolled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_report_rolled_days_total",
			Help: "Days that were counted ahead.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.seconds, m.rolled)
	}
	return m
}
