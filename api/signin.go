package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/httprate"
	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/web"
)

// maxForm bounds the sign-in form.
const maxForm = 8 << 10

// peopleDoors are the pages: sign-in, the dashboard, the page of the API, and
// their scripts and styles.
func (s *Server) peopleDoors() {
	s.echo.GET("/sign-in", func(c echo.Context) error {
		return s.page(c, http.StatusOK, web.SignIn, web.SignInData{Next: localPath(c.QueryParam("next"))})
	})
	s.echo.POST("/sign-in", s.signIn)
	s.echo.POST("/sign-out", s.signOut)
	s.echo.GET("/", s.dashboard)
	s.echo.GET("/docs", func(c echo.Context) error { return s.page(c, http.StatusOK, web.Docs, nil) })
	s.echo.GET("/assets/*", func(c echo.Context) error {
		if !web.ServeAsset(c.Response(), c.Request(), c.Param("*")) {
			return echo.ErrNotFound
		}
		return nil
	})
}

// page sends a page under the strict policy that all pages share.
func (s *Server) page(c echo.Context, status int, name string, data any) error {
	var b strings.Builder
	if err := web.Render(&b, name, data); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", web.Policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if s.secure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return c.HTML(status, b.String())
}

// signIn takes the form. An unknown address, a wrong password and a disabled
// user get the same page after the same work. Too many tries from one address
// get 429, whoever they are for. What strangers try elsewhere must not keep a
// person out, so that a user has only a much larger budget, of failures alone,
// against tries from very many addresses.
func (s *Server) signIn(c echo.Context) error {
	if err := s.sameOrigin(c.Request()); err != nil {
		return err
	}
	form, err := readForm(c.Request())
	if err != nil {
		return err
	}
	email, next := form.Get("email"), localPath(form.Get("next"))
	again := web.SignInData{Email: clip(email), Next: next}
	user := strings.ToLower(strings.TrimSpace(email))
	if s.signIns.OnLimit(c.Response(), c.Request(), httprate.CanonicalizeIP(c.RealIP())) || s.failed.spent(user) {
		c.Response().Header().Set("Retry-After", "60")
		again.Failed = "Too many tries. Wait a minute, then try again."
		return s.page(c, http.StatusTooManyRequests, web.SignIn, again)
	}
	_, token, err := s.accounts.SignIn(c.Request().Context(), email, form.Get("password"))
	switch callwheel.KindOf(err) {
	case "":
		c.SetCookie(s.sessionCookie(token))
		return c.Redirect(http.StatusSeeOther, next)
	case callwheel.Forbidden:
		s.failed.spend(c.Request().Context(), user)
		again.Failed = "The e-mail address or the password is wrong."
		return s.page(c, http.StatusUnauthorized, web.SignIn, again)
	}
	return err
}

func (s *Server) signOut(c echo.Context) error {
	if err := s.sameOrigin(c.Request()); err != nil {
		return err
	}
	if cookie, err := c.Cookie(s.cookieName()); err == nil {
		if err := s.accounts.SignOut(c.Request().Context(), cookie.Value); err != nil {
			return err
		}
	}
	c.SetCookie(s.sessionCookie(""))
	return c.Redirect(http.StatusSeeOther, "/sign-in")
}

// readForm reads a small form body; the query adds nothing to it.
func readForm(r *http.Request) (url.Values, error) {
	if mediaType(r.Header.Get("Content-Type")) != "application/x-www-form-urlencoded" {
		return nil, newProblem(http.StatusUnsupportedMediaType, "", "the body must be a form")
	}
	body, err := readAll(r, maxForm)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, malformed("the form cannot be read")
	}
	for _, list := range values {
		if len(list) != 1 || !isText(list[0]) {
			return nil, malformed("the form cannot be read")
		}
	}
	return values, nil
}

// localPath accepts only a path of our own to go to after signing in.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return next
}
