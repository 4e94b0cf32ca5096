package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/configs"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// The pretend provider account of every stage. Visibly fake, as the provider's
// real secrets are recognised by their form.
const (
	stageAccountSID = "AC00000000000000000000000000000001"
	stageAuthToken  = "pretendauthtoken"
)

// stage is the product and a pretend phone network on one clock, connected by
// nothing but HTTP: the network signs requests to the server's public doors,
// and the server uses the network's REST API. The demo, the simulation and the
// end-to-end test play on it.
type stage struct {
	clock   *loopback.Clock
	program *program
	network *loopback.Network
	rest    *http.Server
	client  *http.Client
}

// stageParams say what a stage is made of.
type stageParams struct {
	DatabaseURL string
	Dir         string // spool, recordings, key
	Listen      string // "": any free port
	OpsListen   string
	Start       time.Time // where the clock stands at first
	Seed        uint64
	Chaos       loopback.Chaos
	BeatEvery   time.Duration           // that pages are asked to beat; the default when zero
	Lend        string                  // which number is lent next; the default when empty
	Observe     func(loopback.Exchange) // shown every request of the network; nil
	Log         *slog.Logger
}

// newStage starts both sides. Background jobs do not run by themselves until
// goLive: on a moved clock they are run where the play says.
func newStage(ctx context.Context, sp stageParams) (*stage, error) {
	const free = "127.0.0.1:0"
	restListener, err := net.Listen("tcp", free)
	if err != nil {
		return nil, fmt.Errorf("listen for the pretend provider: %w", err)
	}
	// The ports are taken first and kept: the public address is part of the
	// settings, and a port let go is soon somebody's.
	public, ops, err := openPorts(cmp.Or(sp.Listen, free), cmp.Or(sp.OpsListen, free))
	if err != nil {
		restListener.Close()
		return nil, err
	}
	failed := func(err error) (*stage, error) {
		return nil, errors.Join(err, restListener.Close(), public.Close(), ops.Close())
	}
	clock := loopback.NewClock(sp.Start)
	cfg := configs.Defaults()
	cfg.DatabaseURL = sp.DatabaseURL
	cfg.Listen, cfg.OpsListen = public.Addr().String(), ops.Addr().String()
	cfg.PublicURL = configs.LocalURL(cfg.Listen)
	cfg.SecretKey = ""
	cfg.SpoolDir, cfg.RecordingsDir = filepath.Join(sp.Dir, "spool"), filepath.Join(sp.Dir, "recordings")
	if cfg.SecretKey, err = configs.MakeSecretKey(sp.Dir, randomText); err != nil {
		return failed(err)
	}
	cfg.Twilio = configs.Twilio{AccountSID: stageAccountSID, AuthToken: stageAuthToken, APIURL: "http://" + restListener.Addr().String()}
	cfg.API.RequestsPerMinute = 1_000_000
	cfg.API.TrustedProxies = []string{"127.0.0.1/32"} // browsers of many networks, played from one
	cfg.Visits.BeatInterval = cmp.Or(sp.BeatEvery, cfg.Visits.BeatInterval)
	cfg.Visits.Lend = cmp.Or(sp.Lend, cfg.Visits.Lend)
	cfg.Voice.WriteBudget = 5 * time.Second // a play is no live call: let a slow disk be slow
	cfg.Serving.DrainDelay = 0

	s := &stage{clock: clock, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	s.network = loopback.New(loopback.Config{
		PublicURL: cfg.PublicURL, AccountSID: stageAccountSID, AuthToken: stageAuthToken,
		Clock: clock, HTTP: s.client, APIURL: cfg.Twilio.APIURL, Seed: sp.Seed, Chaos: sp.Chaos, Observe: sp.Observe,
	})
	if s.program, err = assemble(cfg, clock.Now, sp.Log); err != nil {
		return failed(err)
	}
	s.rest = &http.Server{Handler: s.network.REST(), ReadHeaderTimeout: 5 * time.Second}
	go s.rest.Serve(restListener) //nolint:errcheck // ends with close
	s.program.answerOn(public, ops)
	if err := s.program.openDatabase(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// goLive turns the moved clock into the machine's and starts the background
// jobs.
func (s *stage) goLive() {
	s.clock.GoLive()
	s.program.runner.Start()
}

func (s *stage) close(ctx context.Context) error {
	return errors.Join(s.program.stop(ctx), s.rest.Close())
}

// opened is an account to play with, and who may enter it.
type opened struct {
	AccountID string
	Tokens    map[account.Role]string
	Email     string
	Password  string
}

// openAccount does what an operator does on the command line: make an account
// with its lists, an owner who can sign in, and tokens. Everything after that
// goes through the doors.
func (s *stage) openAccount(ctx context.Context, params account.AccountParams, roles ...account.Role) (*opened, error) {
	made, err := s.program.directory.Create(ctx, params)
	if err != nil {
		return nil, err
	}
	if err := s.program.desk.SeedLists(ctx, made.ID); err != nil {
		return nil, err
	}
	o := &opened{AccountID: made.ID, Tokens: map[account.Role]string{}, Email: "owner@example.com", Password: randomText()[:16]}
	operator := account.Operator(made.ID)
	if _, err := s.program.directory.CreateUser(ctx, operator, account.UserParams{Email: o.Email, Name: "Owner", Password: o.Password, Role: account.Owner}); err != nil {
		return nil, err
	}
	for _, role := range roles {
		_, text, err := s.program.directory.CreateToken(ctx, operator, account.TokenParams{Name: "demo " + string(role), Role: role})
		if err != nil {
			return nil, err
		}
		o.Tokens[role] = text
	}
	return o, s.program.switchboard.Refresh(ctx)
}

// apiClient speaks to a server's REST API as one token.
type apiClient struct {
	base  string
	token string
	http  *http.Client
}

// call sends one request and reads the JSON answer into out (nil: not wanted).
// Anything but a 2xx is an error with the problem's words.
func (c *apiClient) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// api is the stage's REST API as one token.
func (s *stage) api(token string) *apiClient {
	return &apiClient{base: s.program.cfg.PublicURL, token: token, http: s.client}
}
