package loopback

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the provider's protocol fixes HMAC-SHA1
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// Sign computes X-Twilio-Signature of a form request: base64 of HMAC-SHA1, under
// the account's auth token, of the URL followed by every parameter as name and
// value, sorted by name as bytes; a repeated name counts once per distinct
// value, sorted. The URL is taken as it is: see SignedURL.
func Sign(token, rawURL string, params url.Values) string {
	var b strings.Builder
	b.WriteString(rawURL)
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(params[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(b.String()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// SignedURL is the form of a configured URL over which the provider signs a
// voice request: without fragment and credentials, and over https without the
// port. Path and query stay byte for byte as configured.
func SignedURL(rawURL string) string {
	rawURL, _, _ = strings.Cut(rawURL, "#")
	scheme, rest, found := strings.Cut(rawURL, "://")
	if !found {
		return rawURL
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, tail := rest[:end], rest[end:]
	if at := strings.LastIndex(host, "@"); at >= 0 {
		host = host[at+1:]
	}
	if strings.EqualFold(scheme, "https") {
		if colon := strings.LastIndex(host, ":"); colon > strings.LastIndex(host, "]") {
			host = host[:colon]
		}
	}
	return scheme + "://" + host + tail
}
