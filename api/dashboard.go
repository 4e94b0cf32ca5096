package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/web"
)

// dashboard is the one page for people: live calls, the call list with the
// desk, and what the sources return. The page comes from here, its data from
// /v1 like everybody's.
func (s *Server) dashboard(c echo.Context) error {
	ctx := c.Request().Context()
	cookie, err := c.Cookie(s.cookieName())
	if err != nil {
		return c.Redirect(http.StatusSeeOther, "/sign-in")
	}
	who, err := s.accounts.BySession(ctx, cookie.Value)
	if callwheel.KindOf(err) == callwheel.Forbidden {
		return c.Redirect(http.StatusSeeOther, "/sign-in")
	}
	if err != nil {
		return err
	}
	a, err := s.accounts.Get(ctx, who.AccountID)
	if err != nil {
		return err
	}
	u, err := s.accounts.GetUser(ctx, who.AccountID, who.Actor)
	if err != nil {
		return err
	}
	return s.page(c, http.StatusOK, web.Dashboard, web.DashboardData{
		Account:  a.Name,
		TZ:       a.TZ,
		Currency: a.Currency,
		Name:     u.Name,
		Role:     string(who.Role),
		CanJudge: who.May(account.WriteDesk),
		CanHear:  who.May(account.Recordings),
		Version:  s.version,
	})
}
