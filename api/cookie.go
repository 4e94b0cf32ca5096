package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/callwheel/callwheel/account"
)

// cookieName is the session cookie's. Over https it has the __Host- prefix:
// browsers then take it only from this host, only encrypted.
func (s *Server) cookieName() string {
	if s.secure() {
		return "__Host-callwheel"
	}
	return "callwheel"
}

func (s *Server) secure() bool { return strings.HasPrefix(s.publicURL, "https://") }

// sessionCookie carries a session's token; "" takes the cookie away.
func (s *Server) sessionCookie(token string) *http.Cookie {
	c := &http.Cookie{
		Name:     s.cookieName(),
		Value:    token,
		Path:     "/",
		MaxAge:   int(account.SessionLifetime.Seconds()),
		Secure:   s.secure(),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}

// ipNet is a prefix as echo wants it.
func ipNet(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
