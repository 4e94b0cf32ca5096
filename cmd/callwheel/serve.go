package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/jobs"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// program is callwheel as a value: every room, wired in flow order, nothing
// running yet. The server, the demo, the simulation and the tests all run this.
type program struct {
	cfg      configs.Config
	now      func() time.Time
	log      *slog.Logger
	registry *prometheus.Registry

	db          *store.DB
	directory   *account.Directory
	keys        *providerKeys
	switchboard *telephony.Switchboard
	numbers     *telephony.Numbers
	calls       *telephony.Calls
	recorder    *telephony.Recorder
	reconciler  *telephony.Reconciler
	ledger      *attribution.Ledger
	desk        *scoring.Desk
	reports     *report.Desk
	doors       *api.Server
	runner      *jobs.Runner

	public, ops         *http.Server
	publicAddr, opsAddr string
	healing             sync.WaitGroup
	stopHealing         context.CancelFunc
	migrated            atomic.Bool // the schema is up to date
	draining            atomic.Bool // a stop has begun
}

// assemble wires the rooms: facts, conclusion, judgement, knowledge, doors.
func assemble(cfg configs.Config, now func() time.Time, log *slog.Logger) (*program, error) {
	p := &program{cfg: cfg, now: now, log: log, registry: newRegistry()}
	key, err := secretKey(cfg)
	if err != nil {
		return nil, err
	}

	// The database as a mechanism. It may be away: callers get through anyway.
	if p.db, err = store.Open(cfg.DatabaseURL); err != nil {
		return nil, err
	}

	// Who may do what.
	p.directory, err = account.NewDirectory(p.db, account.Config{SecretKey: key, Now: now, OnRouting: telephony.BumpRouting})
	if err != nil {
		return nil, err
	}
	p.keys = newProviderKeys(cfg.Twilio, p.directory, cfg.SpoolDir, log, p.registry)

	// Facts: the phone network.
	p.switchboard = telephony.NewSwitchboard(p.db, cfg.Switchboard(), telephony.Deps{
		Providers: map[string]telephony.Provider{"twilio": twilio.New()},
		Secrets:   p.keys.Secrets, Log: log, Registerer: p.registry, Now: now,
	})
	p.numbers = telephony.NewNumbers(p.db, p.keys.Carrier, telephony.NumbersConfig{
		Provider: "twilio",
		Settings: telephony.NumberSettings{
			VoiceURL:    cfg.PublicURL + "/webhooks/twilio/voice",
			StatusURL:   cfg.PublicURL + "/webhooks/twilio/status",
			FallbackURL: cfg.Voice.FallbackURL,
		},
	}, now, log, p.registry)
	p.calls = telephony.NewCalls(p.db)
	p.recorder = telephony.NewRecorder(p.db, p.keys.Carrier, telephony.RecorderConfig{Dir: cfg.RecordingsDir}, now, log, p.registry)
	p.reconciler = telephony.NewReconciler(p.db, p.keys.Carrier, p.switchboard, telephony.ReconcilerConfig{}, log, p.registry)

	// Conclusion: which touch earned the call. The forward calls of the house:
	// the switchboard asks the ledger whose a call is, and numbers ask it what
	// they may stand for.
	p.ledger = attribution.NewLedger(p.db, cfg.Attribution(), now, log, p.registry)
	p.switchboard.SetAttributor(p.ledger)
	p.numbers.SetOwners(p.ledger)

	// Judgement: what it was worth. Knowledge: what the owner learns.
	p.desk = scoring.NewDesk(p.db, now, log, p.registry)
	p.reports = report.NewDesk(p.db, now, log, p.registry)

	// The doors, and background work.
	p.doors, err = api.New(api.Deps{
		Accounts: p.directory, Webhook: telephony.NewWebhook(p.switchboard), Switchboard: p.switchboard,
		Numbers: p.numbers, Calls: p.calls, Recorder: p.recorder, Ledger: p.ledger, Desk: p.desk,
		Reports: p.reports, CallList: report.NewCalls(p.db),
		Now: now, Log: log, Registry: p.registry, SecretKey: key, PublicURL: cfg.PublicURL, Version: version(),
		RequestsPerMinute: cfg.API.RequestsPerMinute, TrustedProxies: networks(cfg.API.TrustedProxies),
		VoiceReady: p.voiceReady, DatabaseReady: p.databaseReady,
	})
	if err != nil {
		return nil, err
	}
	p.runner = jobs.NewRunner(p.db, p.jobs(), now, log, p.registry)
	return p, nil
}

// start opens the doors first, with the last known good routes, so that callers
// get through before anything else is looked at; then comes the database, then
// routing, then background work. A database that is away or broken does not stop
// it: it is tried again until it is there. Only what no waiting mends does: a
// setting that cannot work, and a schema newer than this program.
func (p *program) start(ctx context.Context) error {
	if err := p.switchboard.LoadLastGood(); err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		p.log.Error("last known good routes", "error", err)
	}
	if err := p.keys.LoadLastGood(); err != nil && callwheel.KindOf(err) != callwheel.NotFound {
		p.log.Error("last known good provider keys", "error", err)
	}
	if err := p.listen(); err != nil {
		return err
	}
	err := p.openDatabase(ctx)
	switch callwheel.KindOf(err) {
	case "":
		p.runner.Start()
		return nil
	case callwheel.Invalid, callwheel.Conflict:
		return err
	}
	p.log.Error("database not usable: answering calls from the last known good routes", "error", err)
	p.heal()
	return nil
}

// openDatabase migrates and loads routing. A database that cannot be written to
// at the moment may still be read: callers are worth the try.
func (p *program) openDatabase(ctx context.Context) error {
	err := p.db.Migrate(ctx)
	if err != nil && callwheel.KindOf(err) != callwheel.Unavailable {
		return err
	}
	p.migrated.Store(err == nil)
	return errors.Join(err, p.keys.Refresh(ctx), p.switchboard.Refresh(ctx))
}

// heal tries the database again until it is there, then starts what waits for it.
func (p *program) heal() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stopHealing = cancel
	p.healing.Go(func() {
		for wait := 500 * time.Millisecond; ; wait = min(2*wait, 15*time.Second) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			err := p.openDatabase(ctx)
			if err == nil {
				p.log.Info("database is back")
				p.runner.Start()
				return
			}
			p.log.Error("database away", "error", err)
		}
	})
}

func (p *program) listen() error {
	public, ops, err := openPorts(p.cfg.Listen, p.cfg.OpsListen)
	if err != nil {
		return err
	}
	p.answerOn(public, ops)
	return nil
}

// openPorts takes both addresses, or none.
func openPorts(publicAddr, opsAddr string) (public, ops net.Listener, err error) {
	if public, err = net.Listen("tcp", publicAddr); err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	if ops, err = net.Listen("tcp", opsAddr); err != nil {
		public.Close()
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	return public, ops, nil
}

func (p *program) answerOn(public, ops net.Listener) {
	p.publicAddr, p.opsAddr = public.Addr().String(), ops.Addr().String()
	p.public, p.ops = api.NewHTTPServer(p.doors.Public()), api.NewHTTPServer(p.doors.Ops())
	go p.answer(p.public, public)
	go p.answer(p.ops, ops)
	p.log.Info("listening", "public", p.publicAddr, "ops", p.opsAddr, "public_url", p.cfg.PublicURL)
}

func (p *program) answer(server *http.Server, l net.Listener) {
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("doors closed", "error", err)
	}
}

// stop ends in the reverse order: not ready but still answering for the
// balancer's sake, then no new work, then the requests and job steps under way
// for as long as the limit allows, then the database. Calls in progress live at the provider and are not cut.
func (p *program) stop(ctx context.Context) error {
	p.draining.Store(true)
	select {
	case <-time.After(p.cfg.Serving.DrainDelay):
	case <-ctx.Done():
	}
	if p.stopHealing != nil {
		p.stopHealing()
		p.healing.Wait()
	}
	limit, cancel := context.WithTimeout(ctx, p.cfg.Serving.DrainLimit)
	defer cancel()
	var steps sync.WaitGroup
	steps.Go(func() {
		if err := p.runner.Stop(limit); err != nil {
			p.log.Warn("stop", "error", err)
		}
	})
	p.doors.EndStreams()
	var errs []error
	if p.public != nil {
		errs = append(errs, shut(limit, p.public), shut(limit, p.ops))
	}
	steps.Wait()
	return errors.Join(append(errs, p.close())...)
}

// shut waits for the requests under way; whoever is left at the end is cut off.
func shut(ctx context.Context, server *http.Server) error {
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

// close gives back what assemble took.
func (p *program) close() error {
	return errors.Join(p.switchboard.Close(), p.db.Close())
}

// voiceReady says whether calls can be answered: from the database's routes, or
// from the last known good ones.
func (p *program) voiceReady(context.Context) error {
	if p.switchboard.Ready() {
		return nil
	}
	return callwheel.Errorf(callwheel.Unavailable, "no routes are loaded")
}

// databaseReady says whether the database takes a write.
func (p *program) databaseReady(ctx context.Context) error {
	if !p.migrated.Load() || p.draining.Load() {
		return callwheel.Errorf(callwheel.Unavailable, "starting or stopping")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return p.db.Ping(ctx)
}

func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// networks reads what the settings have validated.
func networks(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range list {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix)
		}
	}
	return out
}

type serveCmd struct {
	Listen    *string `help:"Address of the public doors." placeholder:"HOST:PORT"`
	OpsListen *string `help:"Address of metrics and health; keep it private." placeholder:"HOST:PORT"`
	PublicURL *string `name:"public-url" help:"The base URL that the provider was given." placeholder:"URL"`
}

// Help shows an example.
func (serveCmd) Help() string {
	return `Example: CALLWHEEL_TWILIO_ACCOUNT_SID=AC… CALLWHEEL_TWILIO_AUTH_TOKEN=… callwheel serve --public-url https://calls.example.com`
}

// Run serves until a signal comes.
func (c serveCmd) Run(ctx context.Context, s *settings, std stdio) error {
	flags := map[string]any{}
	for key, value := range map[string]*string{"listen": c.Listen, "ops_listen": c.OpsListen, "public_url": c.PublicURL} {
		if value != nil {
			flags[key] = *value
		}
	}
	cfg, err := s.load(std.environ, flags)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, std.err)
	for _, name := range configs.UnknownEnv(std.environ) {
		log.Warn("this environment name is no setting", "name", name)
	}
	p, err := assemble(cfg, time.Now, log)
	if err != nil {
		return err
	}
	if err := p.start(ctx); err != nil {
		return errors.Join(err, p.close())
	}
	<-ctx.Done()
	log.Info("stopping")
	return p.stop(context.WithoutCancel(ctx))
}
