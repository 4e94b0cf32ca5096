package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/callwheel/callwheel"
)

// readyFor is how long an answer about readiness may be repeated: asking often
// must not become work.
const readyFor = time.Second

// Ops returns the operator's doors: /metrics, /livez, /readyz/voice and
// /readyz/api. They belong on a private address.
func (s *Server) Ops() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writePlain(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz/voice", ready(s.now, s.voiceReady))
	mux.HandleFunc("GET /readyz/api", ready(s.now, s.apiReady))
	return mux
}

// ready answers 200 or 503 and remembers the answer for a moment.
func ready(now func() time.Time, check func(ctx context.Context) error) http.HandlerFunc {
	var mu sync.Mutex
	var until time.Time
	var last error
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if t := now(); !t.Before(until) || until.Sub(t) > readyFor {
			ctx, cancel := context.WithTimeout(r.Context(), readyFor)
			last, until = check(ctx), t.Add(readyFor)
			cancel()
		}
		err := last
		mu.Unlock()
		if err != nil {
			writePlain(w, http.StatusServiceUnavailable, string(callwheel.KindOf(err)))
			return
		}
		writePlain(w, http.StatusOK, "ready")
	}
}

func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n")) //nolint:errcheck // whoever asked is gone
}

// metrics are the doors' own. Labels are route patterns, never paths: a path
// may hold a phone number.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callwheel_api_requests_total",
			Help: "Requests by route pattern, method and status.",
		}, []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "callwheel_api_request_duration_seconds",
			Help:    "Time from the first byte read to the answer, by route pattern.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "callwheel_api_requests_in_flight",
			Help: "Requests being answered.",
		}),
	}
	r.MustRegister(m.requests, m.seconds, m.inFlight)
	return m
}

// knownMethods keeps a stranger's invented method out of the labels.
var knownMethods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true}

// observe is the outermost layer: it counts, times and logs every request, and
// turns an error into its answer. The log has the route pattern and ids, no
// path, no query.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		id := callwheel.NewID("req")
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), keyRequestID, id)))
		c.Response().Header().Set("X-Request-Id", id)
		s.metrics.inFlight.Inc()
		defer s.metrics.inFlight.Dec()
		if err := next(c); err != nil {
			c.Error(err)
		}
		took := time.Since(began)
		route, method, status := c.Path(), c.Request().Method, c.Response().Status
		if route == "" || status == http.StatusNotFound && s.ops[method+" "+route] == nil {
			route = "none"
		}
		if !knownMethods[method] {
			method = "other"
		}
		s.metrics.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
		s.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
		s.log.InfoContext(c.Request().Context(), "request", "request_id", id, "method", method, "route", route,
			"status", status, "milliseconds", took.Milliseconds(), "actor", identity(c.Request().Context()).Actor)
		return nil
	}
}
