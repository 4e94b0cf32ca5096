package telephony

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// switchMetrics are the figures of the call path. No tenant, number or person
// is a label: the values are counted, not who they belong to.
type switchMetrics struct {
	answers      *prometheus.CounterVec   // what a live call was told
	events       *prometheus.CounterVec   // what became of an event
	refused      *prometheus.CounterVec   // requests that were not believed or not read
	commit       *prometheus.HistogramVec // how long keeping an event took
	attributions *prometheus.CounterVec
	panics       *prometheus.CounterVec
	parked       prometheus.Gauge
}

func newSwitchMetrics(reg prometheus.Registerer, s *Switchboard) *switchMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callwheel_telephony_" + name, Help: help}, labels)
	}
	m := &switchMetrics{
		answers:      counter("answers_total", "Answers given to live calls, by door and decision.", "door", "decision"),
		events:       counter("events_total", "Provider events, by door and what became of them: new, duplicate, spooled, lost, nameless.", "door", "result"),
		refused:      counter("refused_total", "Provider requests that were refused, by reason.", "reason"),
		attributions: counter("attributions_total", "Questions to the attributor, by moment and result.", "moment", "result"),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "callwheel_telephony_parked_entries", Help: "Journal entries that no account has, when the adopting job last looked.",
		}),
		panics: counter("panics_total", "Panics that a live call was shielded from, by place.", "place"),
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "callwheel_telephony_commit_seconds", Help: "Time until an event was on disk, or given up on.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .2, .3, .5, 1, 2},
		}, []string{"result"}),
	}
	if reg == nil {
		return m
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callwheel_telephony_" + name, Help: help}, value)
	}
	reg.MustRegister(m.answers, m.events, m.refused, m.commit, m.attributions, m.panics, m.parked,
		gauge("spool_bytes", "Bytes of events that wait for the database.", func() float64 { return float64(s.spool.Bytes()) }),
		gauge("spool_oldest_seconds", "Age of the oldest event that waits for the database.", func() float64 { return s.spool.Age(s.deps.Now()).Seconds() }),
		gauge("spool_refused_events", "Events that were acknowledged and that the database refuses; set aside in events.refused.", func() float64 { return float64(s.spool.Refused()) }),
		gauge("snapshot_age_seconds", "Time since routing was last known to be current.", func() float64 { return s.SnapshotAge().Seconds() }),
	)
	return m
}

func (m *switchMetrics) observeCommit(started time.Time, result string) {
	m.commit.WithLabelValues(result).Observe(time.Since(started).Seconds())
}
