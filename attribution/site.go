package attribution

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
)

// Site is a website on which numbers are swapped.
type Site struct {
	AccountID string
	ID        string
	Name      string
	Key       string   // public: it stands in the website's source
	Origins   []string // "https://shop.example": who may ask with the key
	PoolID    string   // "" for a site with source numbers only
	Swap      []string // printed numbers to replace, E.164
	Consent   string   // ConsentRequired or ConsentNotRequired
	Script
	Version   int64
	CreatedAt time.Time
	RetiredAt *time.Time

	zone *time.Location // the account's, where the site was found by its key
}

// Whether a site may store anything before the person has agreed.
const (
	ConsentRequired    = "required"
	ConsentNotRequired = "not_required"
)

// Allows says whether a page of this origin may ask with the site's key.
func (s Site) Allows(origin string) bool {
	return origin != "" && slices.Contains(s.Origins, strings.ToLower(origin))
}

// alias is the id of the visitor whom somebody else calls by that name: the
// client id of an AMP page, or a cookie of the site's own server.
func (s Site) alias(name string) string {
	return callwheel.DerivedID("vis", s.ID, clip(name, maxURL))
}

// hosts returns the site's own host names.
func (s Site) hosts() []string {
	var hosts []string
	for _, origin := range s.Origins {
		if u, err := url.Parse(origin); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

// crawlers are words by which crawlers name themselves. Tools that people also
// drive by hand are not among them.
var crawlers = []string{"crawler", "spider", "slurp", "facebookexternalhit", "bingpreview", "lighthouse", "pingdom", "mediapartners-google", "feedfetcher", "ia_archiver"}

// isCrawler says whether a user agent says of itself that it is no person.
func isCrawler(userAgent string) bool {
	ua := strings.ToLower(clip(userAgent, maxClick))
	// Cubot makes phones.
	if strings.Contains(strings.ReplaceAll(ua, "cubot", ""), "bot") {
		return true
	}
	return slices.ContainsFunc(crawlers, func(word string) bool { return strings.Contains(ua, word) })
}

// excluded says whether the page's address asks to be left alone, as the
// business's own people do.
func excluded(page string) bool {
	v := readParams(readURL(page)).word(ParamExclude, maxWord)
	return v != "" && v != "0"
}
