package jobs

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	seconds *prometheus.HistogramVec
	done    *prometheus.CounterVec
	failed  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "callwheel_jobs_step_seconds", Help: "How long one step of a job took.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 60},
		}, []string{"job"}),
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_jobs_done_total", Help: "Things that the steps of a job did.",
		}, []string{"job"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_jobs_failed_total", Help: "Steps of a job that ended with an error.",
		}, []string{"job"}),
	}
	if reg != nil {
		reg.MustRegister(m.seconds, m.done, m.failed)
	}
	return m
}
