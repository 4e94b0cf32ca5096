//go:build unix

package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
)

// The benchmarks measure a server that answers on a loopback socket, so that
// what net/http and echo cost is in every figure, the yardstick's too. Requests
// are made and signed before the clock starts and sent by a second process
// (this test binary again): the CPU time of this process is then the server's
// alone, with the database in it where that is SQLite.

// loadMark tells a copy of this binary that it is to send requests.
const loadMark = "CALLWHEEL_BENCH_LOAD"

// TestMain lets the test binary be the load generator of its benchmarks.
func TestMain(m *testing.M) {
	if os.Getenv(loadMark) == "" {
		os.Exit(m.Run())
	}
	if err := generate(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "send load:", err)
		os.Exit(1)
	}
}

// load is what the generator is asked to do: send the requests over so many
// connections, each waiting for its answer before the next; the first Warm of
// them before the clock starts.
type load struct {
	Addr     string
	Clients  int
	Warm     int
	Requests [][]byte
	Want     string // what a good answer contains
	Late     string // what an answer contains that was given up for lack of time
}

// heard is what came back.
type heard struct {
	Good int
	Late int
	Bad  string // an answer that was not what it should be
	P50  time.Duration
	P99  time.Duration
}

func generate(in io.Reader, out io.Writer) error {
	ask, tell := gob.NewDecoder(in), gob.NewEncoder(out)
	var l load
	if err := ask.Decode(&l); err != nil {
		return err
	}
	lines := make([]*line, l.Clients)
	for i := range lines {
		conn, err := net.Dial("tcp", l.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		lines[i] = &line{conn: conn, in: bufio.NewReader(conn)}
	}
	if err := tell.Encode(send(lines, l.Requests[:l.Warm], l)); err != nil {
		return err
	}
	var start bool
	if err := ask.Decode(&start); err != nil {
		return err
	}
	return tell.Encode(send(lines, l.Requests[l.Warm:], l))
}

// line is one kept-alive connection.
type line struct {
	conn net.Conn
	in   *bufio.Reader
}

func send(lines []*line, requests [][]byte, what load) heard {
	var next atomic.Int64
	var mu sync.Mutex
	var h heard
	var took []time.Duration
	var wg sync.WaitGroup
	for _, l := range lines {
		wg.Go(func() {
			var mine []time.Duration
			late, bad := 0, ""
			for n := next.Add(1) - 1; n < int64(len(requests)) && bad == ""; n = next.Add(1) - 1 {
				began := time.Now()
				answer, err := l.ask(requests[n])
				switch {
				case err != nil:
					bad = err.Error()
				case strings.Contains(answer, what.Want):
					mine = append(mine, time.Since(began))
				case what.Late != "" && strings.Contains(answer, what.Late):
					late++
				default:
					bad = answer
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			h.Late += late
			if bad != "" {
				h.Bad = bad
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	if h.Good = len(took); h.Good > 0 {
		h.P50, h.P99 = took[h.Good/2], took[h.Good*99/100]
	}
	return h
}

// ask sends a request and returns its answer. Anything but success is an error.
func (l *line) ask(request []byte) (string, error) {
	if _, err := l.conn.Write(request); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%d %s", res.StatusCode, body)
	}
	return string(body), err
}

// drill is one benchmark: a handler, and the requests it is asked.
type drill struct {
	handler http.Handler
	db      *store.DB // nil for the yardstick
	clients int
	request func(n int) []byte // the whole request as it goes over the wire
	want    string
	late    string // see load
}

// warm is how many requests go ahead of the clock: connections, prepared
// statements and caches are there when it starts.
const warm = 200

// sends is how many requests a drill makes in all.
func sends(b *testing.B) int { return warm + b.N }

// run sends the requests and reports, besides what testing reports:
//
//	cpu-µs/op  CPU time of this process a request: the server, and SQLite
//	pg-µs/op   CPU time of the PostgreSQL processes that served it
//	p50-ms, p99-ms  from the request's first byte to the answer's last
//	late/op    the share that was answered without what it asked for, because
//	           its time was up
//
// Benchmarks of one machine and one run may be compared by their cpu-µs/op;
// ns/op is what the neighbours leave.
//
// It returns how many requests were answered with what they asked for, those
// ahead of the clock among them.
func (d drill) run(b *testing.B) int {
	b.Helper()
	g, good := d.start(b)
	d.request = nil
	runtime.GC()
	before, beforePG := processTime(b), backendTimes(b, d.db)
	b.ReportAllocs()
	b.ResetTimer()
	h := g.next()
	b.StopTimer()
	cpu, pg := processTime(b)-before, beforePG.until(backendTimes(b, d.db))
	if h.Good+h.Late != b.N {
		b.Fatalf("%d of %d requests were answered as they should be; one was: %s", h.Good, b.N, h.Bad)
	}
	micros := func(t time.Duration) float64 { return float64(t.Nanoseconds()) / 1e3 / float64(b.N) }
	b.ReportMetric(micros(cpu), "cpu-µs/op")
	if len(beforePG) > 0 {
		b.ReportMetric(micros(pg), "pg-µs/op")
	}
	b.ReportMetric(float64(h.P50.Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(h.P99.Microseconds())/1e3, "p99-ms")
	if d.late != "" {
		b.ReportMetric(float64(h.Late)/float64(b.N), "late/op")
	}
	return good + h.Good
}

// start opens the doors on a loopback socket, and the generator, and waits
// until the requests ahead of the clock are answered; so many as they should be.
func (d drill) start(b *testing.B) (*generator, int) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := api.NewHTTPServer(d.handler)
	go server.Serve(l)
	b.Cleanup(func() { server.Close() })
	out := load{Addr: l.Addr().String(), Clients: d.clients, Warm: warm, Want: d.want, Late: d.late}
	for n := range sends(b) {
		out.Requests = append(out.Requests, d.request(n))
	}
	g := newGenerator(b)
	g.tell(out)
	h := g.hear()
	if h.Good+h.Late != warm {
		b.Fatalf("%d of %d requests were answered as they should be; one was: %s", h.Good, warm, h.Bad)
	}
	return g, h.Good
}

// generator is the other process.
type generator struct {
	b   *testing.B
	in  *gob.Encoder
	out *gob.Decoder
}

func newGenerator(b *testing.B) *generator {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), loadMark+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &generator{b, gob.NewEncoder(in), gob.NewDecoder(out)}
}

func (g *generator) tell(what any) {
	if err := g.in.Encode(what); err != nil {
		g.b.Fatal(err)
	}
}

func (g *generator) hear() heard {
	var h heard
	if err := g.out.Decode(&h); err != nil {
		g.b.Fatal(err)
	}
	return h
}

// next sends the requests that are left and waits for their answers.
func (g *generator) next() heard {
	g.tell(true)
	return g.hear()
}

// processTime is the CPU time of this process so far, user and system.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// backends is the CPU time so far of the PostgreSQL processes that serve us, by
// process.
type backends map[int]time.Duration

// backendTimes is empty on SQLite, and where the server's processes cannot be
// seen: on another machine, or without /proc.
func backendTimes(b *testing.B, db *store.DB) backends {
	b.Helper()
	all := backends{}
	if db == nil || db.Dialect().Name() != "postgres" {
		return all
	}
	var pids []int
	if err := db.Select(context.Background(), &pids, `SELECT pid FROM pg_stat_activity WHERE datname = current_database()`); err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if err != nil {
			continue
		}
		if ran, err := strconv.ParseInt(string(bytes.Fields(text)[0]), 10, 64); err == nil {
			all[pid] = time.Duration(ran)
		}
	}
	return all
}

// until is what was used up between two readings. What a process used that came
// and went in between, and what PostgreSQL's own writers did, is not in it.
func (b backends) until(later backends) time.Duration {
	var sum time.Duration
	for pid, ran := range later {
		sum += ran - b[pid]
	}
	return sum
}
