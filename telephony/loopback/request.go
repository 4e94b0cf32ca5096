package loopback

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// request is one webhook with its retries.
type request struct {
	call   *call
	url    string // as configured: the fragment holds the connection rules
	params params
	live   bool
	token  string
	rules  overrides
	fate   fate
	sent   int           // attempts so far
	spent  time.Duration // by them together
	then   func(answer)
}

// answer is what came back from one attempt.
type answer struct {
	status      int
	contentType string
	body        []byte
	failure     failure // "" when the status is 2xx
	err         error
	took        time.Duration // as the retry rules count it: the pause before a repetition included
}

// ask sends a request that wants TwiML, and hands over the verbs to play. When
// it fails for good, also at the number's fallback URL, verbs are nil and err
// says why. The continuation runs on the network's goroutine.
func (c *call) ask(url string, p params, then func(verbs []verb, err error)) {
	c.askWithFallback(url, p, true, then)
}

func (c *call) askWithFallback(url string, p params, fallback bool, then func([]verb, error)) {
	r := c.newRequest(url, p, true)
	r.then = func(a answer) {
		if r.fate.again {
			c.repeat(r, a)
		}
		verbs, code, err := c.readDocument(url, a)
		if err == nil {
			then(verbs, nil)
			return
		}
		c.warn(code + " " + err.Error())
		if fallback && c.number.urls.Fallback != "" && p["ParentCallSid"] == "" {
			failed, _, _ := strings.Cut(url, "#")
			c.askWithFallback(c.number.urls.Fallback, p.with("ErrorCode", code, "ErrorUrl", failed), false, then)
			return
		}
		then(nil, err)
	}
	c.net.attempt(r)
}

// repeat sends a live request once more, as the provider does when it lost the
// answer: the server must say the same again.
func (c *call) repeat(r *request, first answer) {
	twin := *r
	twin.then = func(second answer) {
		if first.failure == "" && (second.status != first.status || string(second.body) != string(first.body)) {
			c.warn("the repeated request to " + r.url + " was answered differently")
		}
	}
	c.net.attempt(&twin)
}

// tell sends a status callback; nobody waits for its answer. Chaos may hold it
// back, double it or lose it, and what the server refuses for good is lost too.
func (c *call) tell(url string, p params) {
	if url == "" {
		return
	}
	r := c.newRequest(url, p, false)
	r.then = func(a answer) {
		if a.failure != "" {
			c.placed.Lost++
			c.warn("15003 status callback lost: " + a.describe())
		}
	}
	f := r.fate
	if f.dropped {
		c.placed.Dropped++
		return
	}
	if f.again {
		twin := *r
		twin.then = func(answer) {}
		c.net.after(f.hold+f.pause, func() { c.net.attempt(&twin) })
	}
	if f.hold > 0 {
		c.net.after(f.hold, func() { c.net.attempt(r) })
		return
	}
	c.net.attempt(r)
}

func (c *call) newRequest(url string, p params, live bool) *request {
	c.requests++
	rules, warning := parseOverrides(url)
	if warning != "" {
		c.warn(warning)
	}
	return &request{
		call: c, url: url, params: p, live: live, token: c.net.nextToken(), rules: rules,
		fate: c.net.config.Chaos.fateOf(c.net.config.Seed, c.placed.SID, c.requests),
	}
}

// attempt sends the request, again as its rules allow, and at last calls then.
func (n *Network) attempt(r *request) {
	r.sent++
	sentAt := n.clock.Now()
	n.roundTrip(r, func(a answer) {
		n.observe(r, sentAt, a)
		r.spent += a.took
		if r.rules.again(a.failure, r.sent, r.spent) {
			n.agenda.add(n.clock.Now().Add(retryPause), func() { n.attempt(r) })
			return
		}
		r.then(a)
	})
}

// roundTrip performs one HTTP request: at once on a moved clock, beside
// everything else on a live one. done runs on the network's goroutine.
func (n *Network) roundTrip(r *request, done func(answer)) {
	if !n.clock.Live() {
		done(n.post(r))
		return
	}
	n.inFlight.Add(1)
	go func() {
		a := n.post(r)
		n.agenda.add(n.clock.Now(), func() {
			n.inFlight.Add(-1)
			done(a)
		})
	}()
}

// post sends the request once, within what the attempts before have left of the
// time for all of them. On a live clock its own time is what passed; on a moved
// one, where nothing passes, what the failure would have taken.
func (n *Network) post(r *request) answer {
	limit := min(r.rules.connect+r.rules.read, r.rules.total-r.spent)
	began := time.Now()
	a := n.exchange(r, limit)
	a.took = retryPause
	switch {
	case n.clock.Live():
		a.took += time.Since(began)
	case errors.Is(a.err, context.DeadlineExceeded), a.failure == timedOut:
		a.took += limit
	}
	return a
}

func (n *Network) exchange(r *request, limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	address, _, _ := strings.Cut(r.url, "#")
	values := r.params.values()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		return answer{failure: garbled, err: err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	req.Header.Set("User-Agent", "TwilioProxy/1.1")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("X-Twilio-Signature", r.signature(n.config.AuthToken))
	req.Header.Set("I-Twilio-Idempotency-Token", r.token)

	resp, err := n.http.Do(req)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return failed(err)
	}
	a := answer{status: resp.StatusCode, contentType: resp.Header.Get("Content-Type"), body: body}
	switch {
	case a.status >= 500:
		a.failure = broken
	case a.status >= 300: // the provider would follow a redirect and lose the form
		a.failure = refused
	}
	return a
}

func (r *request) signature(token string) string {
	return Sign(token, SignedURL(r.url), r.params.values())
}

// failed sorts a transport error into the words of the retry rules.
func failed(err error) answer {
	var dial *net.OpError
	var untrusted *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.As(err, &untrusted), errors.As(err, &dial) && dial.Op == "dial":
		return answer{failure: noLine, err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return answer{failure: timedOut, err: err}
	}
	return answer{failure: garbled, err: err}
}

func (a answer) describe() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("answered %d", a.status)
}

// readDocument turns an answer into verbs, or into the provider's error code.
func (c *call) readDocument(url string, a answer) (verbs []verb, code string, err error) {
	switch a.failure {
	case noLine:
		return nil, "11205", a.err
	case timedOut, garbled:
		return nil, "11200", a.err
	case refused, broken:
		if a.status < 400 {
			return nil, "11215", errors.New("redirected: the form would be lost")
		}
		return nil, "11217", errors.New(a.describe())
	}
	if len(a.body) > maxDocument {
		return nil, "11750", errors.New("document over 64 kB")
	}
	media, _, _ := mime.ParseMediaType(a.contentType)
	if media != "text/xml" && media != "application/xml" && media != "text/html" {
		return nil, "12300", errors.New("content type " + a.contentType + " is not TwiML")
	}
	verbs, warnings, err := parseDocument(a.body)
	if err != nil {
		return nil, "12100", err
	}
	for _, w := range warnings {
		c.warn(w)
	}
	c.placed.Documents = append(c.placed.Documents, Document{At: c.net.clock.Now(), URL: url, Body: string(a.body)})
	return verbs, "", nil
}

func (n *Network) observe(r *request, sentAt time.Time, a answer) {
	if n.config.Observe == nil {
		return
	}
	n.config.Observe(Exchange{
		CallSID: r.call.placed.SID, At: sentAt, URL: r.url, Params: r.params,
		Signature: r.signature(n.config.AuthToken), Token: r.token, Attempt: r.sent, Live: r.live,
		Status: a.status, Body: string(a.body), Err: a.err,
	})
}
