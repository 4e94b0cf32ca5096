package loopback

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind is a way in which the REST API misbehaves.
type FaultKind string

// The faults.
const (
	TooMany     FaultKind = "429"     // answered 429 with error 20429 and Retry-After; nothing was done
	ServerError FaultKind = "500"     // an HTML page; nothing was done
	Unavailable FaultKind = "503"     // error JSON; nothing was done
	Hang        FaultKind = "hang"    // no answer until the client gives up; nothing was done
	HangAfter   FaultKind = "hang-ok" // the same, but it was done
	CutAfter    FaultKind = "cut"     // it was done, and then the connection was cut without an answer
)

// Fault spoils requests to the REST API.
type Fault struct {
	Kind       FaultKind
	Method     string        // "" for any
	Path       string        // a part of the path: "IncomingPhoneNumbers"; "" for any
	Times      int           // how many matching requests; 0 means one, below 0 all
	RetryAfter time.Duration // with TooMany; 1 s when zero
}

// Fault adds a fault to the script of the REST API. The oldest one that
// matches a request and is not used up spoils it.
func (n *Network) Fault(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	n.faults.script = append(n.faults.script, &f)
}

// ClearFaults makes the REST API behave again.
func (n *Network) ClearFaults() {
	n.faults.mu.Lock()
	defer n.faults.mu.Unlock()
	n.faults.script = nil
}

type faults struct {
	mu     sync.Mutex
	script []*Fault
}

func (f *faults) match(r *http.Request) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.script {
		if fault.Times == 0 || (fault.Method != "" && fault.Method != r.Method) || !strings.Contains(r.URL.Path, fault.Path) {
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return fault
	}
	return nil
}

// spoil answers a request as the fault says; do performs it properly.
func (fault *Fault) spoil(w http.ResponseWriter, r *http.Request, do http.Handler) {
	switch fault.Kind {
	case TooMany:
		wait := max(fault.RetryAfter, time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(wholeSeconds(wait), 10))
		writeError(w, http.StatusTooManyRequests, 20429, "Too Many Requests")
	case ServerError:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("<html><body><h1>Internal Server Error</h1></body></html>"))
	case Unavailable:
		writeError(w, http.StatusServiceUnavailable, 20503, "Service unavailable")
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client has gone
		<-r.Context().Done()
	case HangAfter:
		do.ServeHTTP(httptest.NewRecorder(), r)
		<-r.Context().Done()
	case CutAfter:
		do.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
}
