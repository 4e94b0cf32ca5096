package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/callwheel/callwheel/scripts/ports"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony/loopback"
)

const (
	accountSID = "AC00000000000000000000000000000009"
	authToken  = "killninetoken"
	tracking   = "+13125550171"
	agent      = "+17735550101"
	caller     = "+12125550143"
	workers    = 16
)

func main() {
	binary := flag.String("binary", "./callwheel", "the program to kill")
	rounds := flag.Int("rounds", 5, "how many times")
	seed := flag.Uint64("seed", 1, "fixes the moments of the kills")
	flag.Parse()
	if err := run(*binary, *rounds, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "kill9:", err)
		os.Exit(1)
	}
}

// ledger is what the server acknowledged: an event is a call and a door.
type ledger struct {
	mu    sync.Mutex
	acked map[event]bool
}

type event struct{ call, door string }

func (l *ledger) note(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[e] = true
}

type rig struct {
	binary string
	dir    string
	env    []string
	base   string
	ops    string
	ledger ledger
	dice   *rand.Rand
	nextID int
	client *http.Client
}

func run(binary string, rounds int, seed uint64) error {
	dir, err := os.MkdirTemp("", "callwheel-kill9")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &rig{
		binary: binary,
		dir:    dir,
		ledger: ledger{acked: map[event]bool{}},
		dice:   rand.New(rand.NewPCG(seed, 9)), //nolint:gosec // repeatable, not secret
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: workers}},
	}
	if err := r.prepare(); err != nil {
		return err
	}
	fmt.Printf("seed %d, %d rounds\n", seed, rounds)
	for round := 1; round <= rounds; round++ {
		if err := r.round(round); err != nil {
			return fmt.Errorf("round %d (seed %d): %w", round, seed, err)
		}
	}
	fmt.Printf("kill -9, %d rounds: %d events acknowledged, none missing, none twice\n", rounds, len(r.ledger.acked))
	return nil
}

// prepare makes the account, its token and one tracking number.
func (r *rig) prepare() error {
	listen, ops := ports.Free(), ports.Free()
	r.base, r.ops = "http://"+listen, "http://"+ops
	r.env = append(os.Environ(),
		"CALLWHEEL_DATABASE_URL=sqlite:"+r.database(), "CALLWHEEL_LISTEN="+listen, "CALLWHEEL_OPS_LISTEN="+ops,
		"CALLWHEEL_PUBLIC_URL="+r.base, "CALLWHEEL_TWILIO_ACCOUNT_SID="+accountSID, "CALLWHEEL_TWILIO_AUTH_TOKEN="+authToken,
		"CALLWHEEL_TWILIO_API_URL=http://127.0.0.1:1", "CALLWHEEL_LOG_LEVEL=error", "CALLWHEEL_SERVING_DRAIN_DELAY=0s")
	account, err := r.command("account", "create", "--name", "Kill nine", "--destination", agent)
	if err != nil {
		return err
	}
	token, err := r.command("token", "create", "--account", account, "--role", "owner")
	if err != nil {
		return err
	}
	server, err := r.start()
	if err != nil {
		return err
	}
	defer kill(server)
	body, _ := json.Marshal(map[string]string{"number": tracking, "destination": agent}) //nolint:errcheck // plain texts
	req, err := http.NewRequest(http.MethodPost, r.base+"/v1/numbers", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body) //nolint:errcheck // only for the message
		return fmt.Errorf("make tracking number: %s %s", resp.Status, text)
	}
	return nil
}

func (r *rig) database() string { return filepath.Join(r.dir, "callwheel.db") }

func (r *rig) command(args ...string) (string, error) {
	cmd := exec.Command(r.binary, args...)
	cmd.Env = r.env
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// start starts the server and waits until it is ready.
func (r *rig) start() (*exec.Cmd, error) {
	cmd := exec.Command(r.binary, "serve")
	cmd.Env = r.env
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if resp, err := r.client.Get(r.ops + "/readyz/api"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return cmd, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	kill(cmd)
	return nil, errors.New("the server did not become ready within a minute")
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGKILL) //nolint:errcheck // it may be gone already
	cmd.Wait()                          //nolint:errcheck // it was killed
}

func (r *rig) round(round int) error {
	server, err := r.start()
	if err != nil {
		return err
	}
	before := len(r.ledger.acked)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range workers {
		r.nextID++
		first := r.nextID * 1_000_000
		wg.Go(func() { r.load(first, stop) })
	}
	time.Sleep(time.Duration(150+r.dice.IntN(1100)) * time.Millisecond)
	kill(server)
	close(stop)
	wg.Wait()
	// A second start finds the files as the kill left them and drains the spool.
	server, err = r.start()
	if err != nil {
		return err
	}
	err = r.check()
	server.Process.Signal(syscall.SIGTERM) //nolint:errcheck // Wait tells
	if waitErr := server.Wait(); err == nil && waitErr != nil {
		return fmt.Errorf("stop after the check: %w", waitErr)
	}
	if err == nil {
		fmt.Printf("round %d: %d events acknowledged before the kill, all there\n", round, len(r.ledger.acked)-before)
	}
	return err
}

// load sends one call after another, each with its five requests, and notes
// what was acknowledged.
func (r *rig) load(first int, stop <-chan struct{}) {
	for i := first; ; i++ {
		call := fmt.Sprintf("CA%032x", i)
		leg := fmt.Sprintf("CB%032x", i)
		for _, step := range []struct {
			door   string
			params map[string]string
		}{
			{"voice", map[string]string{"CallSid": call, "CallStatus": "ringing", "Direction": "inbound", "From": caller, "To": tracking}},
			{"leg", map[string]string{"CallSid": leg, "ParentCallSid": call, "CallStatus": "ringing", "Direction": "outbound-dial", "From": caller, "To": agent, "SequenceNumber": "1"}},
			{"leg", map[string]string{"CallSid": leg, "ParentCallSid": call, "CallStatus": "completed", "Direction": "outbound-dial", "From": caller, "To": agent, "SequenceNumber": "3", "CallDuration": "30"}},
			{"voice/next", map[string]string{"CallSid": call, "CallStatus": "in-progress", "Direction": "inbound", "From": caller, "To": tracking, "DialCallStatus": "completed", "DialCallSid": leg, "DialCallDuration": "30", "DialBridged": "true"}},
			{"status", map[string]string{"CallSid": call, "CallStatus": "completed", "Direction": "inbound", "From": caller, "To": tracking, "CallDuration": "30", "SequenceNumber": "0"}},
		} {
			select {
			case <-stop:
				return
			default:
			}
			if r.post(step.door, step.params) {
				r.ledger.note(event{call: call, door: step.door + "/" + step.params["CallStatus"]})
			}
		}
	}
}

// post sends one signed request and says whether it was acknowledged.
func (r *rig) post(door string, params map[string]string) bool {
	form := url.Values{"AccountSid": {accountSID}, "ApiVersion": {"2010-04-01"}}
	for name, value := range params {
		form.Set(name, value)
	}
	target := r.base + "/webhooks/twilio/" + door
	req, err := http.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", loopback.Sign(authToken, target, form))
	resp, err := r.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // the status is what counts
	return resp.StatusCode/100 == 2
}

// check compares the ledger with the database, waiting for the spool to drain.
func (r *rig) check() error {
	db, err := store.Open("sqlite:" + r.database())
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.Now().Add(time.Minute)
	for {
		err := r.compare(db)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (r *rig) compare(db *store.DB) error {
	ctx := context.Background()
	var rows []struct {
		Call string `db:"call_ref"`
		Door string `db:"door"`
		Body []byte `db:"body"`
	}
	if err := db.Select(ctx, &rows, `SELECT call_ref, door, body FROM journal WHERE door <> 'reconcile'`); err != nil {
		return err
	}
	kept := map[event]int{}
	for _, row := range rows {
		form, err := url.ParseQuery(string(row.Body))
		if err != nil {
			return fmt.Errorf("journal of %s cannot be read: %w", row.Call, err)
		}
		kept[event{call: row.Call, door: row.Door + "/" + form.Get("CallStatus")}]++
	}
	for e := range r.ledger.acked {
		if kept[e] != 1 {
			return fmt.Errorf("%s of %s was acknowledged and is in the journal %d times", e.door, e.call, kept[e])
		}
	}
	var calls []string
	if err := db.Select(ctx, &calls, `SELECT provider_call_id FROM calls`); err != nil {
		return err
	}
	seen := map[string]int{}
	for _, call := range calls {
		seen[call]++
	}
	for e := range r.ledger.acked {
		if seen[e.call] != 1 {
			return fmt.Errorf("call %s has %d rows", e.call, seen[e.call])
		}
	}
	var verdict string
	if err := db.Get(ctx, &verdict, `PRAGMA integrity_check`); err != nil || verdict != "ok" {
		return fmt.Errorf("integrity: %s %w", verdict, err)
	}
	return nil
}
