package attribution

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what happens in this room. No account, number or person is a
// label.
type metrics struct {
	visits       *prometheus.CounterVec
	beats        *prometheus.CounterVec
	swapFailures prometheus.Counter
	refused      *prometheus.CounterVec
	verdicts     *prometheus.CounterVec
	leasesActive prometheus.Gauge
	lapsed       prometheus.Counter
	forgotten    prometheus.Counter
	silentPages  prometheus.Gauge
}

// newMetrics registers with reg; nil leaves the counters unregistered.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		visits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_attribution_visits_total", Help: "Page views told by the browser door, by what was answered.",
		}, []string{"reason"}),
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_attribution_beats_total", Help: "Beats of open pages, by what became of the lease.",
		}, []string{"result"}),
		swapFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_attribution_swap_failures_total", Help: "Printed numbers that a page could not replace.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_attribution_leases_refused_total", Help: "Visitors who were lent no number, by why.",
		}, []string{"why"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_attribution_calls_total", Help: "Calls attributed, by verdict and method.",
		}, []string{"verdict", "method"}),
		leasesActive: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "callwheel_attribution_leases_active", Help: "Pool numbers on lease when the reaper last looked.",
		}),
		lapsed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_attribution_leases_lapsed_total", Help: "Leases whose tail ended and that the reaper cleared.",
		}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callwheel_attribution_visitors_forgotten_total", Help: "Visitors removed by retention.",
		}),
		silentPages: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "callwheel_attribution_dni_silent_pages", Help: "Pages of sites that swapped nothing for 24 hours while sessions went on.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.visits, m.beats, m.swapFailures, m.refused, m.verdicts, m.leasesActive, m.lapsed, m.forgotten, m.silentPages)
	}
	return m
}
