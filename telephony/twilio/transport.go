package twilio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// How the REST API is asked. A list of a thousand calls is about a megabyte.
const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 16 << 20
	maxRetries     = 2
	maxWait        = 5 * time.Second // a longer Retry-After is for the caller to schedule
	firstWait      = 100 * time.Millisecond
)

// apiHost is where twilio-go believes the API to be, and where recordings are.
const apiHost = "api.twilio.com"

var errSlow = errors.New("no answer in time")

// transport is the http.RoundTripper below twilio-go. It sends every request to
// the configured API, gives each attempt a time limit within the context's own,
// repeats a GET that was answered 429 or 503, and follows no redirect.
//
// An answer is read whole and its connection given back before it is returned,
// because twilio-go never closes the body of an error; only media (streams)
// are handed on as they come.
type transport struct {
	base    http.RoundTripper
	api     *url.URL
	timeout time.Duration
	streams bool
	sleep   func(context.Context, time.Duration) error
	metrics metrics
}

// RoundTrip sends the request and returns the last answer, whatever its status.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = t.redirected(req)
	for attempt := 0; ; attempt++ {
		res, err := t.once(req)
		if err != nil || attempt == maxRetries || req.Method != http.MethodGet || !busy(res.StatusCode) {
			return res, err
		}
		wait := waitFor(res.Header, attempt)
		if wait > maxWait || beyond(req.Context(), wait) {
			return res, nil
		}
		discard(res)
		if err := t.sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// redirected returns a copy of the request for the configured API. A transport
// must not change the request that it was given.
func (t *transport) redirected(req *http.Request) *http.Request {
	clone := req.Clone(req.Context())
	clone.URL.Scheme, clone.URL.Host = t.api.Scheme, t.api.Host
	clone.Host = ""
	return clone
}

func (t *transport) once(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(t.timeout, func() { cancel(errSlow) })
	began := time.Now()
	res, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		timer.Stop()
		t.metrics.observe(req.Method, 0, time.Since(began))
		err = whyEnded(ctx, err)
		cancel(nil)
		return nil, err
	}
	if t.streams {
		timer.Stop() // the caller's context bounds the rest
		t.metrics.observe(req.Method, res.StatusCode, time.Since(began))
		res.Body = &cancelBody{ReadCloser: res.Body, cancel: cancel}
		return res, nil
	}
	defer cancel(nil)
	defer timer.Stop()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	res.Body.Close()
	t.metrics.observe(req.Method, res.StatusCode, time.Since(began))
	if err != nil {
		return nil, whyEnded(ctx, err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("answer is longer than %d bytes", maxAnswer)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// whyEnded prefers the reason for which a context ended over what the network
// made of it.
func whyEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// cancelBody releases the request's context with its body.
type cancelBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *cancelBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// busy says whether an answer means "not done, ask again".
func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// waitFor is how long to wait before asking again: what the answer says, or a
// doubling wait with jitter.
func waitFor(h http.Header, attempt int) time.Duration {
	if wait, ok := retryAfter(h); ok {
		return wait
	}
	wait := firstWait << attempt
	return wait/2 + rand.N(wait/2+1)
}

// retryAfter reads Retry-After, as seconds or as a date; a date is compared
// with the answer's own, so that our clock does not matter.
func retryAfter(h http.Header) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	return max(at.Sub(date), 0), true
}

// beyond says whether the context would end during the wait.
func beyond(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < wait
}

// discard gives the connection of an unwanted answer back.
func discard(res *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	res.Body.Close()
}

// sleep waits for d or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
