package api

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/httprate"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/telephony"
)

// Deps is everything the doors open onto.
type Deps struct {
	Accounts    *account.Directory
	Webhook     http.Handler           // telephony.Webhook, mounted below /webhooks/
	Switchboard *telephony.Switchboard // told to refresh when routing changed
	Numbers     *telephony.Numbers
	Calls       *telephony.Calls
	Recorder    *telephony.Recorder
	Ledger      *attribution.Ledger
	Desk        *scoring.Desk
	Reports     *report.Desk
	CallList    *report.Calls // calls with what every room knows of them

	Now       func() time.Time // nil: the real clock
	Log       *slog.Logger     // nil: nowhere
	Registry  *prometheus.Registry
	SecretKey []byte // signs cursors, under a key derived from it
	PublicURL string // https:// makes the session cookie a __Host- cookie
	Version   string // of the program, for the dashboard's foot

	// RequestsPerMinute is how many requests one token or person may make
	// below /v1, on this replica; 0: 6000, negative: no limit.
	RequestsPerMinute int
	// ReportLimit is how long a report may take; 0: three minutes.
	ReportLimit time.Duration
	// TrustedProxies are the networks whose X-Forwarded-For is believed; none:
	// the address of the connection counts.
	TrustedProxies []netip.Prefix

	// VoiceReady and DatabaseReady back /readyz; nil: always ready.
	VoiceReady    func(ctx context.Context) error
	DatabaseReady func(ctx context.Context) error
}

// Server is the doors. Its routes are complete when New returns; nothing is
// added later.
type Server struct {
	accounts    *account.Directory
	webhook     http.Handler
	switchboard *telephony.Switchboard
	numbers     *telephony.Numbers
	calls       *telephony.Calls
	recorder    *telephony.Recorder
	ledger      *attribution.Ledger
	desk        *scoring.Desk
	reports     *report.Desk
	callList    *report.Calls

	now       func() time.Time
	log       *slog.Logger
	registry  *prometheus.Registry
	metrics   *metrics
	publicURL string
	version   string
	cursorKey []byte
	limiter   *httprate.RateLimiter
	signIns   *httprate.RateLimiter // tries, by address
	failed    budget                // tries that failed, by user
	refused   budget                // refusals that the audit log keeps, by actor
	origins   *http.CrossOriginProtection

	voiceReady func(ctx context.Context) error
	apiReady   func(ctx context.Context) error

	echo *echo.Echo
	api  huma.API
	ops  map[string]*operation // by method and echo's path

	streams     streams       // the live ones
	reporting   chan struct{} // holds one for each report that is being worked out
	reportLimit time.Duration

	unproxied sync.Once // the warning about a proxy that hides addresses
}

// New builds the doors. It fails when the public URL or the secret key cannot
// be used.
func New(d Deps) (*Server, error) {
	key, err := hkdf.Key(sha256.New, d.SecretKey, nil, "callwheel cursor v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive cursor key: %w", err)
	}
	s := &Server{
		accounts:    d.Accounts,
		webhook:     d.Webhook,
		switchboard: d.Switchboard,
		numbers:     d.Numbers,
		calls:       d.Calls,
		recorder:    d.Recorder,
		ledger:      d.Ledger,
		desk:        d.Desk,
		reports:     d.Reports,
		callList:    d.CallList,
		now:         d.Now,
		log:         d.Log,
		registry:    d.Registry,
		publicURL:   strings.TrimRight(d.PublicURL, "/"),
		version:     d.Version,
		cursorKey:   key,
		origins:     http.NewCrossOriginProtection(),
		voiceReady:  d.VoiceReady,
		apiReady:    d.DatabaseReady,
		ops:         map[string]*operation{},
		reporting:   make(chan struct{}, turns()),
		reportLimit: cmp.Or(d.ReportLimit, reportTimeout),
	}
	s.setDefaults(d)
	if s.publicURL != "" {
		if err := s.origins.AddTrustedOrigin(s.publicURL); err != nil {
			return nil, fmt.Errorf("use public URL %s: %w", s.publicURL, err)
		}
	}
	s.metrics = newMetrics(s.registry)
	s.echo = s.newEcho(d.TrustedProxies)
	s.api = s.newHuma()
	s.routes()
	s.documentProviderDoors()
	s.documentBrowserDoors()
	s.markNullable()
	return s, nil
}

func (s *Server) setDefaults(d Deps) {
	always := func(context.Context) error { return nil }
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.registry == nil {
		s.registry = prometheus.NewRegistry()
	}
	if s.voiceReady == nil {
		s.voiceReady = always
	}
	if s.apiReady == nil {
		s.apiReady = always
	}
	if s.webhook == nil {
		s.webhook = http.NotFoundHandler()
	}
	perMinute := d.RequestsPerMinute
	if perMinute == 0 {
		perMinute = 6000
	}
	if perMinute > 0 {
		s.limiter = httprate.NewRateLimiter(perMinute, time.Minute)
	}
	s.signIns = httprate.NewRateLimiter(10, time.Minute)
	s.failed = newBudget(100)
	s.refused = newBudget(10)
}

// routes is the one table of every door.
func (s *Server) routes() {
	// The provider: signed requests about live calls. Telephony answers them
	// alone; nothing of ours stands before it but counting and a last net.
	s.echo.Any("/webhooks/*", echo.WrapHandler(s.webhook))

	// Browsers on customers' sites: a site key and an allowed origin.
	s.visitDoors()
	s.scriptDoors()

	// Agents, marketers and programs: /v1, by token or cookie.
	s.accountDoors()
	s.userDoors()
	s.tokenDoors()
	s.auditDoors()
	s.listDoors()
	s.deskDoors()
	s.leadDoors()
	s.callerDoors()
	s.referralDoors()
	s.sourceDoors()
	s.poolDoors()
	s.siteDoors()
	s.attributionDoors()
	s.delayModelDoors()
	s.telephonyDoors()
	s.callDoors()
	s.liveDoors()
	s.spendDoors()
	s.rateDoors()
	s.enquiryDoors()
	s.reportDoors()

	// Anyone, and people: the API's document, pages, sign-in.
	s.openAPIDoor()
	s.peopleDoors()
}

func (s *Server) newEcho(proxies []netip.Prefix) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = clientIP(proxies)
	e.HTTPErrorHandler = func(err error, c echo.Context) { s.writeProblem(c, err) }
	e.Use(
		s.observe,
		middleware.RecoverWithConfig(middleware.RecoverConfig{
			DisableStackAll: true, // of the goroutine that panicked
			LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
				s.log.ErrorContext(c.Request().Context(), "panic", "request_id", requestID(c.Request().Context()), "error", err, "stack", string(stack))
				return newProblem(http.StatusInternalServerError, "", "")
			},
		}),
		secureHeaders,
		allowHead,
		s.guard,
	)
	return e
}

// clientIP believes a forwarded address only when a trusted proxy hands it on.
func clientIP(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		options = append(options, echo.TrustIPRange(ipNet(p)))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// secureHeaders go on every answer; pages add a policy of their own.
func secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if guarded(c) {
			h.Set("Cache-Control", "no-store")
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		}
		return next(c)
	}
}

// Public returns the handler of every door but the operator's. HEAD is answered
// as GET is, without the body, which net/http leaves out.
func (s *Server) Public() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && !strings.HasPrefix(r.URL.Path, "/webhooks/") {
			r = r.WithContext(context.WithValue(r.Context(), keyHead, true))
			r.Method = http.MethodGet
		}
		s.echo.ServeHTTP(w, r)
	})
}

// isHead says whether only the head of an answer was asked for.
func isHead(ctx context.Context) bool {
	head, _ := ctx.Value(keyHead).(bool)
	return head
}

// allowHead adds HEAD to what echo says is allowed: wherever GET is.
func allowHead(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Before(func() {
			h := c.Response().Header()
			if allow := h.Get(echo.HeaderAllow); strings.Contains(allow, http.MethodGet) {
				h.Set(echo.HeaderAllow, strings.Replace(allow, http.MethodGet, "GET, HEAD", 1))
			}
		})
		return next(c)
	}
}

// NewHTTPServer wraps a handler with the limits that keep slow and greedy
// clients from holding a server: http.Server has none by itself. Doors that
// stream lift the write deadline for themselves.
func NewHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
}

// Route is one door: what it answers to and, below /v1, what it needs.
type Route struct {
	Method string
	Path   string // with {parameters}
	Need   account.Permission
	Stream bool // answers for as long as somebody listens
}

// Routes lists the operations below /v1, in the order of their paths.
func (s *Server) Routes() []Route {
	var list []Route
	for _, o := range s.ops {
		list = append(list, Route{Method: o.Method, Path: o.Path, Need: o.Need, Stream: o.Stream})
	}
	slices.SortFunc(list, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return list
}
