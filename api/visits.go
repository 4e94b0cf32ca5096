package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
)

// Bounds of what a page on a customer's site may cost us, and wait for us.
const (
	maxPageBody = 8 << 10
	visitBudget = 800 * time.Millisecond
	beatBudget  = 5 * time.Second // nobody waits for a beat, and one that is dropped may cost the visitor the number
)

// visitDoors are for pages on customers' sites. A page asks with its site's key
// and proves nothing but its origin, which the browser vouches for. Whatever is
// broken here, the page keeps the number that is printed on it.
func (s *Server) visitDoors() {
	for path, door := range map[string]echo.HandlerFunc{"/dni/v1/:site_key/visits": s.visit, "/dni/v1/:site_key/beats": s.beat} {
		s.echo.POST(path, door)
		s.echo.OPTIONS(path, s.preflight)
	}
}

type visitBody struct {
	Visitor  *string  `json:"visitor"`
	Session  *string  `json:"session"`
	Page     *string  `json:"page"`
	Referrer *string  `json:"referrer"`
	Numbers  []string `json:"numbers"`
	Consent  *bool    `json:"consent"`
	Region   *string  `json:"region"` // where the visitor is, if the page was told: see regionHeader
	Debug    *bool    `json:"debug"`  // answer with what was concluded and why
}

// regionHeader is how a proxy or content network in front of us, which knows
// where addresses are, tells the visitor's region: "US-IL".
const regionHeader = "X-Visitor-Region"

type visitAnswer struct {
	Visitor string                 `json:"visitor"`
	Session string                 `json:"session"`
	Swap    map[string]*wireNumber `json:"swap"`
	Lease   *visitLease            `json:"lease"`
	Reason  attribution.Reason     `json:"reason"`
	Debug   *visitDebug            `json:"debug,omitempty"`
}

// visitDebug is for the script's overlay: where this session came from.
type visitDebug struct {
	Source   string `json:"source"`
	Medium   string `json:"medium"`
	Campaign string `json:"campaign"`
	Rule     string `json:"rule"`
}

type visitLease struct {
	Until       stamp `json:"until"`
	BeatSeconds int   `json:"beat_seconds"`
	ForSeconds  int64 `json:"for_seconds"` // until, for browsers whose clock is wrong
}

type beatBody struct {
	Session *string         `json:"session"`
	Swapped json.RawMessage `json:"swapped"` // a count, or a list of what was swapped
	Found   json.RawMessage `json:"found"`
	Failed  []struct {
		Number string `json:"number"`
		Why    string `json:"why"`
	} `json:"failed"`
	Page    *string `json:"page"`    // address; without it that of the session's last visit
	Visible *bool   `json:"visible"` // false: the page was looked at until now, and is not any more
}

// preflight answers the browser's question whether a page may ask at all.
func (s *Server) preflight(c echo.Context) error {
	if err := s.admitPage(c); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	if c.Request().Header.Get("Access-Control-Request-Method") == http.MethodGet {
		h.Set("Access-Control-Allow-Methods", "GET")
	}
	h.Set("Access-Control-Max-Age", "7200")
	return c.NoContent(http.StatusNoContent)
}

// admitPage refuses unknown sites and foreign origins, and lets an own page
// read the answer. While the database is away and the site was never seen it
// lets everybody in: there is nothing to give away then.
func (s *Server) admitPage(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Origin")
	origin := c.Request().Header.Get("Origin")
	ctx, cancel := context.WithTimeout(c.Request().Context(), visitBudget)
	defer cancel()
	site, err := s.ledger.SiteByKey(ctx, c.Param("site_key"))
	switch {
	case callwheel.KindOf(err) == callwheel.NotFound:
		return err
	case err == nil && !site.Allows(origin):
		return callwheel.Errorf(callwheel.Forbidden, "the page's origin is not one of the site's")
	case err != nil:
		s.logPage(c, err)
	}
	if origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
	}
	return nil
}

// visit answers which numbers a page shall show.
func (s *Server) visit(c echo.Context) error {
	var in visitBody
	if err := s.readPage(c, &in); err != nil {
		return err
	}
	r := c.Request()
	req := attribution.VisitRequest{
		SiteKey: c.Param("site_key"), Visitor: told(in.Visitor), Session: told(in.Session), Page: told(in.Page), Referrer: told(in.Referrer),
		Numbers: in.Numbers, Consent: in.Consent, OptOut: r.Header.Get("Sec-GPC") == "1", Origin: r.Header.Get("Origin"),
		UserAgent: r.UserAgent(), Prerender: prerendered(r.Header), Region: cmp.Or(r.Header.Get(regionHeader), told(in.Region)),
		Address: s.pageAddress(c),
	}
	ctx, cancel := context.WithTimeout(r.Context(), visitBudget)
	defer cancel()
	now := s.now()
	got, err := s.ledger.Visit(ctx, req, now)
	if refusal(err) {
		return err
	}
	if err != nil {
		s.logPage(c, err)
		return c.JSON(http.StatusOK, visitAnswer{Visitor: clip(req.Visitor), Session: clip(req.Session), Swap: map[string]*wireNumber{}, Reason: attribution.Overflow})
	}
	out := visitAnswer{Visitor: got.Visitor, Session: got.Session, Swap: map[string]*wireNumber{}, Reason: got.Reason}
	for printed, shown := range got.Swap {
		out.Swap[printed] = number(shown)
	}
	if !got.LeaseUntil.IsZero() {
		out.Lease = leaseOf(got, now)
	}
	if in.Debug != nil && *in.Debug && got.Session != "" {
		out.Debug = &visitDebug{got.Touch.Source, got.Touch.Medium, got.Touch.Campaign, got.Touch.Rule}
	}
	return c.JSON(http.StatusOK, out)
}

// pageAddress is where the page is, for the lease caps. It is the zero address
// when it cannot be told: this machine itself, or a proxy that is not trusted to
// say whom it speaks for. All visitors behind that would look like one.
func (s *Server) pageAddress(c echo.Context) netip.Addr {
	address, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	address = address.Unmap().WithZone("")
	h := c.Request().Header
	forwarded := h.Get("X-Forwarded-For") != "" || h.Get("Forwarded") != ""
	switch {
	case forwarded && (address.IsPrivate() || address.IsLoopback()):
		s.unproxied.Do(func() {
			s.log.WarnContext(c.Request().Context(), "a proxy hides the visitors' addresses, so nobody's leases are capped: name its network in api.trusted_proxies")
		})
		return netip.Addr{}
	case address == thisMachine4, address == thisMachine6:
		return netip.Addr{}
	}
	return address
}

var (
	thisMachine4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	thisMachine6 = netip.IPv6Loopback()
)

// beat keeps the number of an open page its own.
func (s *Server) beat(c echo.Context) error {
	var in beatBody
	if err := s.readPage(c, &in); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), beatBudget)
	defer cancel()
	err := s.ledger.Beat(ctx, attribution.BeatRequest{
		SiteKey: c.Param("site_key"), Session: told(in.Session), Origin: c.Request().Header.Get("Origin"),
		Swapped: counted(in.Swapped), Found: counted(in.Found), Failed: len(in.Failed), Left: in.Visible != nil && !*in.Visible,
		Why: whys(in), Page: told(in.Page),
	}, s.now())
	if refusal(err) {
		return err
	}
	if err != nil {
		s.logPage(c, err)
	}
	return c.NoContent(http.StatusNoContent)
}

// whys are the reasons that a page told.
func whys(in beatBody) []string {
	var list []string
	for _, f := range in.Failed {
		list = append(list, f.Why)
	}
	return list
}

// readPage admits the page and reads what it says. Besides JSON it takes
// text/plain, the one type that a page may send while it is left without
// asking first.
func (s *Server) readPage(c echo.Context, in any) error {
	if err := s.admitPage(c); err != nil {
		return err
	}
	r := c.Request()
	switch mediaType(r.Header.Get("Content-Type")) {
	case "", "application/json", "text/plain":
	default:
		return newProblem(http.StatusUnsupportedMediaType, "", "the body must be JSON")
	}
	body, err := readAll(r, maxPageBody)
	if err != nil {
		return err
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return refusedField(err)
	}
	return nil
}

// refusedField says which field of a page's JSON cannot be, without repeating
// what was in it.
func refusedField(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return callwheel.InvalidField(wrong.Field, "must not be a %s", wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return callwheel.InvalidField(clip(strings.Trim(name, `"`)), "is not known")
	}
	return malformed("the body is not JSON")
}

// refusal says whether a page did something that it may not.
func refusal(err error) bool {
	switch callwheel.KindOf(err) {
	case callwheel.NotFound, callwheel.Forbidden:
		return true
	}
	return false
}

// logPage tells the operator what the page is not told.
func (s *Server) logPage(c echo.Context, err error) {
	ctx := c.Request().Context()
	s.log.ErrorContext(ctx, "page not served", "request_id", requestID(ctx), "error", err)
}

// prerendered says whether the browser loads the page before anybody looks.
func prerendered(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		purpose := strings.ToLower(h.Get(name))
		if strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "prerender") {
			return true
		}
	}
	return false
}

// counted reads a number, or the length of a list; anything else is none.
func counted(raw json.RawMessage) int {
	var n float64
	if json.Unmarshal(raw, &n) == nil {
		return int(min(max(n, 0), 1e6))
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return len(list)
	}
	return 0
}

// told is a text of a page, "" for null and absent.
func told(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
