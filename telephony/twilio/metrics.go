package twilio

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what we ask of Twilio. Several carriers (accounts with their
// own credentials) share one registry and therefore one set.
type metrics struct{ seconds *prometheus.HistogramVec }

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "callwheel_telephony_carrier_request_seconds",
		Help:    "Requests to the provider's REST API, each attempt by itself. Answer is the HTTP status, or none.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"provider", "method", "answer"})}
	if reg == nil {
		return m
	}
	var known prometheus.AlreadyRegisteredError
	if errors.As(reg.Register(m.seconds), &known) {
		if shared, ok := known.ExistingCollector.(*prometheus.HistogramVec); ok {
			m.seconds = shared
		}
	}
	return m
}

// observe counts one attempt; status 0 means that there was no answer.
func (m metrics) observe(method string, status int, took time.Duration) {
	answer := "none"
	if status > 0 {
		answer = strconv.Itoa(status)
	}
	m.seconds.WithLabelValues(Name, method, answer).Observe(took.Seconds())
}
