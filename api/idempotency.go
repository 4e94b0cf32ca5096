package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
)

var idempotencyKey = regexp.MustCompile(`^[\x21-\x7e]{1,255}$`)

// kept are the headers that are repeated with a kept answer.
var kept = []string{"Content-Type", "Location", "ETag"}

// once runs a POST at most once for its Idempotency-Key. Only what changed
// something is kept: after an error the same key may be tried again.
func (s *Server) once(c echo.Context, who account.Identity, body []byte, next echo.HandlerFunc) error {
	keys := c.Request().Header.Values("Idempotency-Key")
	if c.Request().Method != http.MethodPost || len(keys) == 0 {
		return next(c)
	}
	if len(keys) > 1 || !idempotencyKey.MatchString(keys[0]) {
		return malformed("the Idempotency-Key must be 1 to 255 visible ASCII characters")
	}
	ctx, key := c.Request().Context(), keys[0]
	first, err := s.accounts.ClaimKey(ctx, who.AccountID, key, requestHash(who, c.Request(), body))
	if err != nil {
		return err
	}
	if first != nil {
		for name, value := range first.Header {
			c.Response().Header().Set(name, value)
		}
		c.Response().Header().Set("Idempotent-Replayed", "true")
		c.Response().WriteHeader(first.Status)
		_, err := c.Response().Write(first.Body)
		return err
	}
	return s.recordAnswer(c, who, key, next)
}

// recordAnswer lets the operation run and keeps what it answered. The client
// may be gone by then; what happened is written all the same. A panic gives the
// key back: its transaction was rolled back, and a client that sends the request
// again shall not be told for a day that the first is still at work.
func (s *Server) recordAnswer(c echo.Context, who account.Identity, key string, next echo.HandlerFunc) error {
	ctx := context.WithoutCancel(c.Request().Context())
	tee := &teeWriter{ResponseWriter: c.Response().Writer}
	c.Response().Writer = tee
	finished := false
	defer func() {
		if !finished || tee.status < 200 || tee.status >= 300 {
			s.logIdempotency(ctx, s.accounts.ReleaseKey(ctx, who.AccountID, key))
			return
		}
		answer := account.Answer{Status: tee.status, Header: map[string]string{}, Body: tee.body.Bytes()}
		for _, name := range kept {
			if v := c.Response().Header().Get(name); v != "" {
				answer.Header[name] = v
			}
		}
		s.logIdempotency(ctx, s.accounts.KeepAnswer(ctx, who.AccountID, key, answer))
	}()
	err := next(c)
	if err != nil {
		c.Error(err)
	}
	finished = true
	return nil
}

func (s *Server) logIdempotency(ctx context.Context, err error) {
	if err != nil {
		s.log.ErrorContext(ctx, "idempotency key not settled", "request_id", requestID(ctx), "kind", string(callwheel.KindOf(err)), "error", err)
	}
}

func requestHash(who account.Identity, r *http.Request, body []byte) string {
	h := sha256.New()
	for _, part := range []string{who.Actor, r.Method, r.URL.RequestURI(), mediaType(r.Header.Get("Content-Type"))} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// teeWriter keeps a copy of an answer.
type teeWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (w *teeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write copies the bytes.
func (w *teeWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
