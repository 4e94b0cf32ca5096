package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/callwheel/callwheel/scripts/ports"
)

const (
	workers   = 64 // of each server
	numbers   = 20
	origin    = "https://shop.example"
	printed   = "+13125550100"
	firstLife = 13 * time.Second // two beats and a half: the load begins to count when the first numbers come round
)

func main() {
	binary := flag.String("binary", "./callwheel", "the program")
	database := flag.String("database", "", "address of an empty PostgreSQL database")
	seconds := flag.Int("seconds", 10, "how long the load lasts after the first numbers have come round")
	out := flag.String("answers", "", "file for what was answered")
	logs := flag.String("log", os.DevNull, "file for what the servers say")
	kill := flag.Bool("kill", false, "kill one server in the middle and start it again")
	flag.Parse()
	if err := run(*binary, *database, *out, *logs, time.Duration(*seconds)*time.Second, *kill); err != nil {
		fmt.Fprintln(os.Stderr, "leases:", err)
		os.Exit(1)
	}
}

// answer is what a visitor was told.
type answer struct {
	Session  string    `json:"session"`
	Number   string    `json:"number"`
	Asked    time.Time `json:"asked"`
	Told     time.Time `json:"told"`
	Until    time.Time `json:"until"`
	Overflow bool      `json:"overflow"`
}

// server is one of the two.
type server struct {
	listen, ops string
	env         []string
	cmd         *exec.Cmd
}

func (s *server) url() string { return "http://" + s.listen }

type rig struct {
	binary  string
	servers [2]*server
	client  *http.Client
	key     string
	log     *os.File // what the servers say

	mu      sync.Mutex
	out     *json.Encoder
	counts  map[string]int
	elapsed time.Duration
}

func run(binary, database, out, logs string, load time.Duration, kill bool) error {
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	log, err := os.Create(logs)
	if err != nil {
		return err
	}
	defer log.Close()
	dir, err := os.MkdirTemp("", "callwheel-leases")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &rig{
		binary: binary, log: log, out: json.NewEncoder(file), counts: map[string]int{},
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * workers}},
	}
	for i := range r.servers {
		s := &server{listen: ports.Free(), ops: ports.Free()}
		s.env = append(os.Environ(),
			"CALLWHEEL_DATABASE_URL="+database, "CALLWHEEL_LISTEN="+s.listen, "CALLWHEEL_OPS_LISTEN="+s.ops, "CALLWHEEL_PUBLIC_URL="+s.url(),
			"CALLWHEEL_SECRET_KEY="+strings.Repeat("leases", 8), "CALLWHEEL_VISITS_BEAT_INTERVAL=5s", "CALLWHEEL_LOG_LEVEL=error",
			"CALLWHEEL_SERVING_DRAIN_DELAY=0s", fmt.Sprintf("CALLWHEEL_SPOOL_DIR=%s/spool%d", dir, i), "CALLWHEEL_RECORDINGS_DIR="+dir+"/recordings")
		r.servers[i] = s
	}
	defer func() {
		for _, s := range r.servers {
			s.stop()
		}
	}()
	if err := r.prepare(); err != nil {
		return err
	}
	if err := r.load(firstLife+load, kill); err != nil {
		return err
	}
	fmt.Printf("two servers, %d visitors at a time on each, %d numbers, %s: %d answers with a number, %d with none free, %d beats, %d failed requests\n",
		workers, numbers, r.elapsed.Round(time.Second), r.counts["leased"], r.counts["overflow"], r.counts["beats"], r.counts["failed"])
	if r.counts["leased"] <= numbers {
		return errors.New("the numbers did not come round: nothing was proved")
	}
	return nil
}

// prepare makes the account, its pool of numbers and its site.
func (r *rig) prepare() error {
	account, err := r.command("account", "create", "--name", "Leases", "--destination", "+13125550199")
	if err != nil {
		return fmt.Errorf("make account: %w", err)
	}
	token, err := r.command("token", "create", "--account", account, "--role", "owner")
	if err != nil {
		return fmt.Errorf("make token: %w", err)
	}
	for _, s := range r.servers {
		if err := r.start(s); err != nil {
			return err
		}
	}
	var pool, site struct{ ID, Key string }
	if err := r.make(token, "/v1/pools", map[string]any{"name": "Web", "lease_tail_seconds": 0, "cooldown_seconds": 0}, &pool); err != nil {
		return err
	}
	for i := range numbers {
		if err := r.make(token, "/v1/numbers", map[string]any{"number": fmt.Sprintf("+131255501%02d", 10+i), "pool_id": pool.ID}, nil); err != nil {
			return err
		}
	}
	err = r.make(token, "/v1/sites", map[string]any{"name": "Shop", "origins": []string{origin}, "pool_id": pool.ID, "swap": []string{printed}}, &site)
	r.key = site.Key
	return err
}

func (r *rig) command(args ...string) (string, error) {
	cmd := exec.Command(r.binary, args...)
	cmd.Env, cmd.Stderr = r.servers[0].env, os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (r *rig) make(token, path string, body map[string]any, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, r.servers[0].url()+path, bytes.NewReader(text))
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
		words, _ := io.ReadAll(resp.Body) //nolint:errcheck // only for the message
		return fmt.Errorf("make %s: %s %s", path, resp.Status, words)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// start starts a server and waits until it is ready.
func (r *rig) start(s *server) error {
	s.cmd = exec.Command(r.binary, "serve")
	s.cmd.Env, s.cmd.Stderr = s.env, r.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if resp, err := r.client.Get("http://" + s.ops + "/readyz/api"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the server did not become ready within a minute")
}

func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGKILL) //nolint:errcheck // it may be gone already
	s.cmd.Wait()                          //nolint:errcheck // it was killed
	s.cmd = nil
}

// load lets the visitors ask until the time is over.
func (r *rig) load(length time.Duration, kill bool) error {
	began := time.Now()
	stop := began.Add(length)
	var wg sync.WaitGroup
	for i := range r.servers {
		for w := range workers {
			dice := rand.New(rand.NewPCG(uint64(i), uint64(w))) //nolint:gosec // repeatable, not secret
			wg.Go(func() {
				for time.Now().Before(stop) {
					r.visitor(i, dice)
				}
			})
		}
	}
	var err error
	if kill {
		time.Sleep(length / 2)
		r.servers[1].stop()
		time.Sleep(time.Second)
		err = r.start(r.servers[1])
	}
	wg.Wait()
	r.elapsed = time.Since(began)
	return err
}

// visitor comes once: some stay for a beat, some come back at once from an
// advertisement, some change the server in between. Most vanish.
func (r *rig) visitor(i int, dice *rand.Rand) {
	visitor, session := r.visit(i, "", "", dice)
	time.Sleep(time.Duration(100+dice.IntN(200)) * time.Millisecond)
	if session == "" {
		return
	}
	for range max(0, dice.IntN(9)-6) {
		if dice.IntN(2) == 0 {
			i = 1 - i
		}
		if dice.IntN(4) == 0 {
			r.beat(i, session)
			continue
		}
		visitor, session = r.visit(i, visitor, session, dice)
	}
}

// visit asks for a number, notes the answer, and returns who the visitor is now.
func (r *rig) visit(i int, visitor, session string, dice *rand.Rand) (newVisitor, newSession string) {
	asked := time.Now()
	var got struct {
		Visitor, Session, Reason string
		Swap                     map[string]struct {
			E164 string `json:"e164"`
		}
		Lease *struct{ Until time.Time }
	}
	ok := r.post(i, "/visits", map[string]any{
		"visitor": visitor, "session": session, "numbers": []string{printed},
		"page": fmt.Sprintf("%s/?utm_source=s%d", origin, dice.IntN(3)),
	}, &got)
	if !ok {
		return visitor, session
	}
	a := answer{Session: got.Session, Number: got.Swap[printed].E164, Asked: asked.UTC(), Told: time.Now().UTC(), Overflow: got.Reason != "leased"}
	if got.Lease != nil {
		a.Until = got.Lease.Until
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[got.Reason]++
	if err := r.out.Encode(a); err != nil {
		r.counts["failed"]++
	}
	return got.Visitor, got.Session
}

func (r *rig) beat(i int, session string) {
	if r.post(i, "/beats", map[string]any{"session": session, "swapped": 1, "found": 1, "visible": true}, nil) {
		r.mu.Lock()
		r.counts["beats"]++
		r.mu.Unlock()
	}
}

// post says whether the server answered. While it is being killed it does not.
func (r *rig) post(i int, door string, body map[string]any, into any) bool {
	ok := func() bool {
		text, err := json.Marshal(body)
		if err != nil {
			return false
		}
		req, err := http.NewRequest(http.MethodPost, r.servers[i].url()+"/dni/v1/"+r.key+door, bytes.NewReader(text))
		if err != nil {
			return false
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Content-Type", "application/json")
		resp, err := r.client.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		if into == nil {
			return resp.StatusCode == http.StatusNoContent
		}
		return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(into) == nil
	}()
	if !ok {
		r.mu.Lock()
		r.counts["failed"]++
		r.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
	return ok
}
