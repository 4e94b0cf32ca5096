package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/web"
)

// scriptDoors give websites the swapping script, and pages that cannot run it
// the number alone.
func (s *Server) scriptDoors() {
	s.echo.GET("/dni/v1/:script", s.script)
	s.echo.GET("/dni/v1/:site_key/settings", s.scriptSettings)
	s.echo.GET("/dni/v1/:site_key/number", s.pageNumber)
	s.echo.OPTIONS("/dni/v1/:site_key/settings", s.preflight)
	s.echo.OPTIONS("/dni/v1/:site_key/number", s.preflight)
}

// settings are what the script knows of its site.
type settings struct {
	Key         string          `json:"key"`
	Server      string          `json:"server"`
	Swap        []printedNumber `json:"swap"`
	Consent     string          `json:"consent"`
	ConsentMode string          `json:"consent_mode,omitempty"` // absent: ignored
	CookieDays  int64           `json:"cookie_days"`
	Cookieless  bool            `json:"cookieless,omitempty"`
	RespectDNT  bool            `json:"respect_dnt,omitempty"`
	BeatSeconds int             `json:"beat_seconds"`
}

// printedNumber is a number that the script looks for.
type printedNumber struct {
	E164        string `json:"e164"`
	National    string `json:"national"`
	CountryCode string `json:"cc"`
}

func (s *Server) settingsOf(site attribution.Site) settings {
	out := settings{
		Key: site.Key, Server: s.publicURL, Swap: []printedNumber{}, Consent: site.Consent,
		CookieDays: site.CookieDays, Cookieless: site.Cookieless, RespectDNT: site.RespectDNT, BeatSeconds: s.ledger.BeatSeconds(),
	}
	if site.ConsentMode != attribution.ConsentModeIgnored {
		out.ConsentMode = site.ConsentMode
	}
	for _, e164 := range site.Swap {
		out.Swap = append(out.Swap, printedNumber{e164, telephony.National(e164), telephony.CountryCode(e164)})
	}
	return out
}

// script answers with a site's script, a frozen version, or the list of those.
func (s *Server) script(c echo.Context) error {
	name := c.Param("script")
	if name == "scripts.json" {
		c.Response().Header().Set("Access-Control-Allow-Origin", "*")
		return c.JSON(http.StatusOK, map[string]any{"items": web.FrozenVersions()})
	}
	name, ok := strings.CutSuffix(name, ".js")
	if !ok {
		return errNoSuchPath
	}
	if version, ok := strings.CutPrefix(name, "dni-"); ok {
		script, ok := web.FrozenScript(version)
		if !ok {
			return errNoSuchPath
		}
		script.ServeHTTP(c.Response(), c.Request())
		return nil
	}
	text, err := s.settingsJSON(c, name)
	if err != nil {
		return err
	}
	web.SiteScript(text).ServeHTTP(c.Response(), c.Request())
	return nil
}

// scriptSettings are for the frozen script, which has none in it. They are as
// public as the script.
func (s *Server) scriptSettings(c echo.Context) error {
	text, err := s.settingsJSON(c, c.Param("site_key"))
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800")
	return c.JSONBlob(http.StatusOK, text)
}

// settingsJSON is safe inside a script: encoding/json escapes what could end
// one.
func (s *Server) settingsJSON(c echo.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), visitBudget)
	defer cancel()
	site, err := s.ledger.SiteByKey(ctx, key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(s.settingsOf(site))
}

// numberAnswer is the number for a page that cannot be looked at: the first
// two names are those of AMP's call tracking.
type numberAnswer struct {
	PhoneNumber          string             `json:"phoneNumber"`
	FormattedPhoneNumber string             `json:"formattedPhoneNumber"`
	Number               *wireNumber        `json:"number"`
	Printed              *wireNumber        `json:"printed"`
	Visitor              string             `json:"visitor"`
	Session              string             `json:"session"`
	Lease                *visitLease        `json:"lease"`
	Reason               attribution.Reason `json:"reason"`
}

// pageNumber answers which number a page shall show, for pages without a DOM
// to look through: AMP, a program, or a server that writes the page. Whatever
// is broken here, the answer is a number that works: the printed one.
func (s *Server) pageNumber(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Origin")
	ctx, cancel := context.WithTimeout(c.Request().Context(), visitBudget)
	defer cancel()
	site, err := s.ledger.SiteByKey(ctx, c.Param("site_key"))
	if err != nil {
		return err
	}
	origin, err := s.admitCaller(c, site)
	if err != nil {
		return err
	}
	q := c.QueryParams()
	printed := printedOf(site, q.Get("number"))
	if printed == "" {
		return callwheel.InvalidField("number", "must be one of the printed numbers that the site swaps")
	}
	req := attribution.VisitRequest{
		SiteKey: site.Key, Session: q.Get("session"), Page: q.Get("page"), Referrer: q.Get("referrer"), Numbers: []string{printed},
		OptOut: c.Request().Header.Get("Sec-GPC") == "1" || q.Get("gpc") == "1", Origin: origin,
		UserAgent: cmp.Or(q.Get("user_agent"), c.Request().UserAgent()), Prerender: prerendered(c.Request().Header),
	}
	if yes, err := strconv.ParseBool(q.Get("consent")); err == nil {
		req.Consent = &yes
	}
	if c.Request().Header.Get("Origin") != "" { // else a server asks, for any number of visitors
		req.Address = s.pageAddress(c)
	}
	if id := q.Get("visitor"); strings.HasPrefix(id, "vis_") {
		req.Visitor = id
	} else {
		req.Known = id
	}
	return c.JSON(http.StatusOK, s.numberFor(ctx, c, req, printed))
}

// numberFor asks for the number; the printed one stands where there is none.
func (s *Server) numberFor(ctx context.Context, c echo.Context, req attribution.VisitRequest, printed string) numberAnswer {
	now := s.now()
	got, err := s.ledger.Visit(ctx, req, now)
	if err != nil {
		s.logPage(c, err)
		got = attribution.VisitAnswer{Reason: attribution.Overflow}
	}
	shown := cmp.Or(got.Swap[printed], printed)
	n := number(shown)
	out := numberAnswer{
		PhoneNumber: n.E164, FormattedPhoneNumber: n.National, Number: n, Printed: number(printed),
		Visitor: got.Visitor, Session: got.Session, Reason: got.Reason,
	}
	if !got.LeaseUntil.IsZero() {
		out.Lease = leaseOf(got, now)
	}
	return out
}

// admitCaller says for which origin a caller of the number door speaks: a page
// of the site, an AMP cache that shows one, or a server with a token of the
// site's account.
func (s *Server) admitCaller(c echo.Context, site attribution.Site) (string, error) {
	r, h := c.Request(), c.Response().Header()
	origin, source := r.Header.Get("Origin"), c.QueryParam("__amp_source_origin")
	switch {
	case site.Allows(origin):
		h.Set("Access-Control-Allow-Origin", origin)
		return origin, nil
	case isAMPCache(origin) && site.Allows(source):
		// AMP asks with credentials; there are none of ours, and none is read.
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("AMP-Access-Control-Allow-Source-Origin", source)
		h.Set("Access-Control-Expose-Headers", "AMP-Access-Control-Allow-Source-Origin")
		return source, nil
	case origin == "" && r.Header.Get("Authorization") != "" && len(site.Origins) > 0:
		who, err := s.identifyBearer(r.Context(), r.Header.Get("Authorization"))
		if err != nil {
			return "", err
		}
		if who.AccountID == site.AccountID && who.May(account.ReadNumbers) {
			return site.Origins[0], nil
		}
	}
	return "", callwheel.Errorf(callwheel.Forbidden, "the page's origin is not one of the site's, and there is no token of its account")
}

// ampCaches serve copies of AMP pages below these hosts.
var ampCaches = []string{".cdn.ampproject.org", ".bing-amp.com"}

func isAMPCache(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Port() != "" {
		return false
	}
	for _, host := range ampCaches {
		if strings.HasSuffix(u.Hostname(), host) {
			return true
		}
	}
	return false
}

// printedOf is the printed number that is asked for, the site's first when none
// is named, "" when it is not one of the site's.
func printedOf(site attribution.Site, wanted string) string {
	if rest, ok := strings.CutPrefix(wanted, " "); ok {
		wanted = "+" + rest // a plus sign that was not escaped
	}
	for _, e164 := range site.Swap {
		if wanted == "" || wanted == e164 {
			return e164
		}
	}
	return ""
}

func leaseOf(got attribution.VisitAnswer, now time.Time) *visitLease {
	return &visitLease{Until: at(got.LeaseUntil), BeatSeconds: got.BeatSeconds, ForSeconds: int64(got.LeaseUntil.Sub(now) / time.Second)}
}
