package loopback

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// retryPause passes between two attempts of one request.
const retryPause = time.Second

// overrides are the connection rules of one webhook URL, from its fragment.
type overrides struct {
	retries int           // rc
	on      []string      // rp: 4xx, 5xx, ct, rt, all
	connect time.Duration // ct
	read    time.Duration // rt
	total   time.Duration // tt
}

// parseOverrides reads "#rc=2&rp=5xx,ct,rt". Without a fragment only a failed
// connect is retried, once. What is out of range keeps its default, and the
// provider's warning is returned.
func parseOverrides(rawURL string) (o overrides, warning string) {
	o = overrides{retries: 1, on: []string{"ct"}, connect: 5 * time.Second, read: 15 * time.Second, total: 15 * time.Second}
	_, fragment, found := strings.Cut(rawURL, "#")
	if !found {
		return o, ""
	}
	values, err := url.ParseQuery(fragment)
	if err != nil {
		return o, "11243 unreadable connection overrides"
	}
	wrong := func(name string) { warning = "11243 connection override " + name + " out of range" }
	number := func(name string, low, high int, set func(int)) {
		text := values.Get(name)
		if text == "" {
			return
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			wrong(name)
			return
		}
		set(n)
	}
	number("rc", 0, 5, func(n int) { o.retries = n })
	number("ct", 100, 10_000, func(n int) { o.connect = time.Duration(n) * time.Millisecond })
	number("rt", 100, 15_000, func(n int) { o.read = time.Duration(n) * time.Millisecond })
	number("tt", 100, 15_000, func(n int) { o.total = time.Duration(n) * time.Millisecond })
	if text := values.Get("rp"); text != "" {
		kinds := strings.Split(text, ",")
		for _, kind := range kinds {
			if !slices.Contains([]string{"4xx", "5xx", "ct", "rt", "all"}, kind) {
				wrong("rp")
				return o, warning
			}
		}
		o.on = kinds
	}
	return o, warning
}

// again says whether a failure is retried after the given number of attempts
// and the time they took together.
func (o overrides) again(f failure, attempts int, spent time.Duration) bool {
	if f == "" || attempts > o.retries || spent >= o.total {
		return false
	}
	return slices.Contains(o.on, "all") || slices.Contains(o.on, string(f))
}

// failure is why a request did not succeed, in the words of the retry policy.
type failure string

const (
	refused  failure = "4xx"
	broken   failure = "5xx"
	noLine   failure = "ct"
	timedOut failure = "rt"
	garbled  failure = "garbled" // connected, and then no readable HTTP answer: only "all" retries it
)
