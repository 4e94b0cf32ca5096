package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
)

type contextKey int

const (
	keyIdentity contextKey = iota
	keyRequestID
	keyHead
)

// identity returns who is asking; the guard has put it there.
func identity(ctx context.Context) account.Identity {
	who, _ := ctx.Value(keyIdentity).(account.Identity)
	return who
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(keyRequestID).(string)
	return id
}

// unauthorized is what a request without a good credential gets.
func unauthorized(detail string) error {
	return newProblem(http.StatusUnauthorized, "", detail)
}

// identify finds out who is asking: a bearer token, or the dashboard's cookie.
// A request that carries an Authorization header is judged by that alone. What
// a request says about its account or role is not looked at.
func (s *Server) identify(r *http.Request) (account.Identity, error) {
	switch headers := r.Header.Values("Authorization"); len(headers) {
	case 0:
		return s.identifyCookie(r)
	case 1:
		return s.identifyBearer(r.Context(), headers[0])
	default:
		return account.Identity{}, unauthorized("two credentials were given")
	}
}

func (s *Server) identifyBearer(ctx context.Context, header string) (account.Identity, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return account.Identity{}, unauthorized("the Authorization header must be: Bearer TOKEN")
	}
	who, err := s.accounts.ByToken(ctx, strings.TrimSpace(token))
	if callwheel.KindOf(err) == callwheel.Forbidden {
		p := newProblem(http.StatusUnauthorized, "", "the token is not valid")
		p.set("WWW-Authenticate", `Bearer realm="callwheel", error="invalid_token"`)
		return account.Identity{}, p
	}
	return who, err
}

// identifyCookie accepts the dashboard's session. A cookie travels by itself,
// so a change made with it must come from our own pages.
func (s *Server) identifyCookie(r *http.Request) (account.Identity, error) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return account.Identity{}, unauthorized("a bearer token is needed")
	}
	who, err := s.accounts.BySession(r.Context(), cookie.Value)
	if callwheel.KindOf(err) == callwheel.Forbidden {
		return account.Identity{}, unauthorized("the session has ended")
	}
	if err != nil {
		return account.Identity{}, err
	}
	return who, s.sameOrigin(r)
}

// sameOrigin refuses a change that a page of somebody else asked the browser
// for.
func (s *Server) sameOrigin(r *http.Request) error {
	if s.origins.Check(r) != nil {
		return newProblem(http.StatusForbidden, "cross-origin", "this was sent by a page of another site")
	}
	return nil
}

// guard stands before everything below /v1: deny by default. What it lets
// through has an identity, the permission that the operation names, and
// parameters and a body that can be read.
func (s *Server) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !guarded(c) {
			return next(c)
		}
		r := c.Request()
		who, err := s.identify(r)
		if err != nil {
			return err
		}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), keyIdentity, who)))
		o := s.ops[r.Method+" "+c.Path()]
		if o == nil {
			return next(c) // echo answers 404 or 405
		}
		if err := s.permit(c, who, o); err != nil {
			return err
		}
		return s.admit(c, who, o, next)
	}
}

// publicPaths are the doors below /v1 that need no credential.
var publicPaths = map[string]bool{"/v1/openapi.json": true}

// guarded looks at both what was asked for and what the router made of it.
func guarded(c echo.Context) bool {
	if publicPaths[c.Path()] {
		return false
	}
	return strings.HasPrefix(c.Path(), "/v1/") || strings.HasPrefix(c.Request().URL.Path, "/v1/")
}

func (s *Server) permit(c echo.Context, who account.Identity, o *operation) error {
	need := o.Need
	if o.Export != "" && wanted(c.Request().Header) != asJSON {
		need = o.Export
	}
	if !who.May(o.Need) || !who.May(need) {
		s.noteRefusal(c.Request().Context(), who, o.op)
		return callwheel.Errorf(callwheel.Forbidden, "the role %s may not do this", who.Role)
	}
	if s.limiter != nil && s.limiter.OnLimit(c.Response(), c.Request(), who.Actor) {
		return newProblem(http.StatusTooManyRequests, "", "too many requests; wait a little")
	}
	return nil
}

// noteRefusal tells of a right that somebody did not have: in the log, and in
// the audit log as far as the actor's budget goes, so that a program that asks
// in a loop does not fill it.
func (s *Server) noteRefusal(ctx context.Context, who account.Identity, o op) {
	s.log.InfoContext(ctx, "permission refused", "request_id", requestID(ctx), "actor", who.Actor, "operation", o.ID, "needs", string(o.Need))
	if !s.refused.spend(ctx, who.Actor) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := s.accounts.NoteRefusal(ctx, who, o.ID); err != nil {
		s.log.WarnContext(ctx, "refusal not in the audit log", "actor", who.Actor, "operation", o.ID, "error", err)
	}
}
