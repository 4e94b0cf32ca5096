package attribution

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
)

// RulesVersion names the built-in classification. It is stored with every
// touch, and changes whenever the same landing would be read differently.
const RulesVersion = "1"

// Names that stand for an absence.
const (
	// Direct is the source of an arrival that says nothing about where it came
	// from. A source that people name direct, in any case, is the same thing.
	Direct = "direct"
	// None is the medium of which nothing is known.
	None = "(none)"
)

// The media that the built-in classification gives by itself. A utm_medium is
// kept as it was written, in lower case; MediumClass says to which of these it
// belongs.
const (
	Paid      = "cpc"       // a paid click
	Organic   = "organic"   // a search engine's own results
	Local     = "local"     // maps and business profiles
	Social    = "social"    // social networks, unpaid as far as we know
	Assistant = "ai"        // an AI assistant's answer
	Email     = "email"     // mail, newsletters, web mail
	Affiliate = "affiliate" // partners paid by result
	Display   = "display"   // banners, paid by view
	SMS       = "sms"       // text messages
	Print     = "print"     // paper, posters, QR codes
	Referral  = "referral"  // a link on another website
)

// Parameters by which a landing page names its source outright, before
// anything else is looked at.
const (
	ParamSource   = "cw_source"
	ParamMedium   = "cw_medium"
	ParamCampaign = "cw_campaign"
	// ParamExclude marks visits of one's own staff: such a page is left alone.
	ParamExclude = "cw_exclude"
)

// Bounds of what is kept, in characters. Longer values are cut.
const (
	maxURL   = 2048
	maxWord  = 200
	maxClick = 512
)

// Source is a place that calls come from, as the account names it. Its rules
// recognise arrivals on websites; an offline source (a billboard) needs none.
// Sources are tried in the order of Position, then of their ids.
type Source struct {
	AccountID string
	ID        string
	Name      string
	Medium    string // medium of its arrivals; "" takes the page's utm_medium
	Kind      string // online, offline
	Rules     []Rule // the first that matches decides; any is enough
	Position  int64
	Version   int64 // of its last change; starts at 1
	CreatedAt time.Time
	RetiredAt *time.Time
}

// Rule recognises an arrival: it matches when every pattern that is given
// matches and none of the negated ones does.
//
// A pattern without * is looked for anywhere in the text. With *, which stands
// for any run of characters, it must cover the whole text. Upper and lower case
// are the same. Landing patterns that begin with / are about the path and
// query, all others about the whole URL.
type Rule struct {
	Landing        string `json:"landing,omitempty"`
	Referrer       string `json:"referrer,omitempty"`
	UTMSource      string `json:"utm_source,omitempty"`
	UTMMedium      string `json:"utm_medium,omitempty"`
	UTMCampaign    string `json:"utm_campaign,omitempty"`
	NotLanding     string `json:"not_landing,omitempty"`
	NotReferrer    string `json:"not_referrer,omitempty"`
	NotUTMSource   string `json:"not_utm_source,omitempty"`
	NotUTMMedium   string `json:"not_utm_medium,omitempty"`
	NotUTMCampaign string `json:"not_utm_campaign,omitempty"`
}

// Landing is one arrival as the browser tells it.
type Landing struct {
	Page     string
	Referrer string
	// OwnHosts are the account's own websites. The page's own host counts as
	// one of them without being named.
	OwnHosts []string
}

// Classification is what an arrival means. Texts are valid UTF-8 without
// control characters and bounded.
type Classification struct {
	SourceID    string // of the account's source, "" when it has none of that name
	Source      string
	Medium      string
	Campaign    string
	Term        string
	Content     string
	ClickIDs    map[string]string // verbatim, by the parameter's usual spelling
	LandingPage string            // "" unless http or https; secrets dropped from its query
	Referrer    string            // the same
	// Rule says what decided, with RulesVersion: "click_id:gclid/1".
	Rule string
	// Tagged says that the page's URL itself carried campaign evidence: an
	// override, a click id or a utm parameter.
	Tagged bool
}

// Direct says whether the arrival told nothing about where it came from.
func (c Classification) Direct() bool { return strings.EqualFold(c.Source, Direct) }

// Classify says where an arrival came from. It is pure: the same landing and
// the same sources always give the same answer. The order, first match decides:
//
//  1. the override parameter cw_source
//  2. the account's sources, by position, by their rules
//  3. a click id that means a paid click
//  4. utm_medium, with utm_source
//  5. utm_source alone, or a click id that does not mean a paid click
//  6. the referrer: own websites and payment pages are no source at all; then
//     paid redirectors, maps, web mail, AI assistants, search engines, social
//     networks, apps
//  7. the referrer's domain
//  8. direct
//
// Moving about on one's own website, or coming back from paying, is no arrival:
// without campaign evidence in the URL the account's rules are not asked either.
func Classify(landing Landing, sources []Source) Classification {
	page, ref := readURL(landing.Page), readURL(landing.Referrer)
	if page.Scheme == "android-app" {
		page = &url.URL{}
	}
	p := readParams(page)
	a := arrival{page: page, ref: ref, params: p, landing: landing}
	c := Classification{
		Campaign:    p.word("utm_campaign", maxWord),
		Term:        p.word("utm_term", maxWord),
		Content:     p.word("utm_content", maxWord),
		ClickIDs:    p.clickIDs(),
		LandingPage: cleanURL(page),
		Referrer:    cleanURL(ref),
	}
	c.Tagged = len(c.ClickIDs) > 0 || p.anyOf("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", ParamSource)
	a.decide(&c, sources)
	c.name(sources)
	c.Rule += "/" + RulesVersion
	return c
}

// arrival is a landing taken apart.
type arrival struct {
	page, ref *url.URL
	params    params
	landing   Landing
}

func (a arrival) decide(c *Classification, sources []Source) {
	if name := a.params.folded(ParamSource); name != "" {
		c.set("override", name, firstOf(a.params.folded(ParamMedium), a.params.folded("utm_medium"), None))
		c.Campaign = firstOf(a.params.word(ParamCampaign, maxWord), c.Campaign)
		return
	}
	a.builtIn(c)
	if c.Rule == "own_host" || c.Rule == "payment_host" {
		return
	}
	for _, s := range sources {
		for i, r := range s.Rules {
			if r.matches(a, c) {
				c.SourceID = s.ID
				c.set(fmt.Sprintf("source:%s:%d", s.ID, i+1), s.Name, firstOf(strings.ToLower(s.Medium), a.params.folded("utm_medium"), c.Medium))
				return
			}
		}
	}
}

func (a arrival) builtIn(c *Classification) {
	utmSource, utmMedium := told(a.params.folded("utm_source")), told(a.params.folded("utm_medium"))
	class := MediumClass(utmMedium)
	if id, network := paidClick(c.ClickIDs); id != "" {
		source, medium := network.name, network.medium
		if class == Paid || class == Display {
			source, medium = firstOf(utmSource, source), utmMedium
		}
		c.set("click_id:"+id, source, medium)
		return
	}
	if utmMedium != "" {
		c.set("utm_medium:"+firstOf(class, "other"), firstOf(utmSource, a.referrerName(), c.clickNetwork(), None), utmMedium)
		return
	}
	if utmSource != "" {
		c.set("utm_source", utmSource, a.mediumOf(utmSource))
		return
	}
	a.byReferrer(c)
	if c.Direct() && c.Rule == "direct" && c.ClickIDs["fbclid"] != "" {
		// Meta writes fbclid on unpaid links too: it says who, not whether paid.
		c.set("click_id:fbclid", "facebook", Social)
	}
}

// told reads the words that analytics tools write where they know nothing.
func told(word string) string {
	switch word {
	case "(direct)":
		return Direct
	case "(none)", "(not set)", "(not provided)":
		return ""
	}
	return word
}

func (c *Classification) set(rule, source, medium string) {
	c.Rule, c.Source, c.Medium = rule, source, medium
}

// clickNetwork names the network of an unpaid click id, "" without one.
func (c *Classification) clickNetwork() string {
	if c.ClickIDs["fbclid"] != "" {
		return "facebook"
	}
	return ""
}

// name writes the source as the account's people wrote it, when one of their
// sources has that name in any case.
func (c *Classification) name(sources []Source) {
	if c.SourceID != "" {
		return
	}
	for _, s := range sources {
		if strings.EqualFold(s.Name, c.Source) {
			c.SourceID, c.Source = s.ID, s.Name
			return
		}
	}
}

// mediumOf guesses the medium of a utm_source that came without one. It guesses
// only where the name leaves no doubt: "google" alone may be paid or not.
func (a arrival) mediumOf(source string) string {
	if n, ok := networkNamed(source); ok && (n.medium != Organic || a.referrerName() == n.name) {
		return n.medium
	}
	if mailers[source] {
		return Email
	}
	if class := MediumClass(source); class == SMS || class == Print {
		return class
	}
	return None
}

func (r Rule) matches(a arrival, c *Classification) bool {
	landing := c.LandingPage
	path := ""
	if landing != "" {
		path = landing[strings.Index(landing, "://")+3:]
		if i := strings.IndexByte(path, '/'); i >= 0 {
			path = path[i:]
		} else {
			path = "/"
		}
	}
	on := func(pattern string) string {
		if strings.HasPrefix(pattern, "/") {
			return path
		}
		return landing
	}
	source, medium, campaign := a.params.folded("utm_source"), a.params.folded("utm_medium"), c.Campaign
	tests := [...]struct {
		pattern, text string
		want          bool
	}{
		{r.Landing, on(r.Landing), true},
		{r.NotLanding, on(r.NotLanding), false},
		{r.Referrer, c.Referrer, true},
		{r.NotReferrer, c.Referrer, false},
		{r.UTMSource, source, true},
		{r.NotUTMSource, source, false},
		{r.UTMMedium, medium, true},
		{r.NotUTMMedium, medium, false},
		{r.UTMCampaign, campaign, true},
		{r.NotUTMCampaign, campaign, false},
	}
	given := false
	for _, t := range tests {
		if t.pattern == "" {
			continue
		}
		given = true
		if matchPattern(t.pattern, t.text) != t.want {
			return false
		}
	}
	return given
}

// patterns returns the rule's fields by name, for validation.
func (r Rule) patterns() map[string]string {
	return map[string]string{
		"landing": r.Landing, "referrer": r.Referrer, "utm_source": r.UTMSource, "utm_medium": r.UTMMedium, "utm_campaign": r.UTMCampaign,
		"not_landing": r.NotLanding, "not_referrer": r.NotReferrer, "not_utm_source": r.NotUTMSource, "not_utm_medium": r.NotUTMMedium, "not_utm_campaign": r.NotUTMCampaign,
	}
}

// validate returns what is wrong with the rule at position i of a source.
func (r Rule) validate(i int) []callwheel.FieldError {
	var bad []callwheel.FieldError
	given := false
	patterns := r.patterns()
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		pattern := patterns[name]
		given = given || pattern != ""
		field := fmt.Sprintf("rules[%d].%s", i, name)
		switch {
		case utf8.RuneCountInString(pattern) > maxWord:
			bad = append(bad, callwheel.FieldError{Field: field, Message: fmt.Sprintf("must have at most %d characters", maxWord)})
		case pattern != "" && strings.Trim(pattern, "* ") == "":
			bad = append(bad, callwheel.FieldError{Field: field, Message: "must have a character other than *"})
		}
	}
	if !given {
		bad = append(bad, callwheel.FieldError{Field: fmt.Sprintf("rules[%d]", i), Message: "must have at least one pattern"})
	}
	return bad
}

// matchPattern says whether pattern describes text; see Rule.
func matchPattern(pattern, text string) bool {
	pattern, text = strings.ToLower(pattern), strings.ToLower(text)
	pieces := strings.Split(pattern, "*")
	if len(pieces) == 1 {
		return strings.Contains(text, pattern)
	}
	first, last := pieces[0], pieces[len(pieces)-1]
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for _, piece := range pieces[1 : len(pieces)-1] {
		i := strings.Index(text, piece)
		if i < 0 {
			return false
		}
		text = text[i+len(piece):]
	}
	return strings.HasSuffix(text, last)
}

// MediumClass says which kind of marketing a medium belongs to: one of the
// media above, or "" for a word it does not know.
func MediumClass(medium string) string {
	m := strings.NewReplacer("-", "", "_", "", " ", "", ".", "").Replace(strings.ToLower(medium))
	switch m {
	case "":
		return ""
	case "cpm", "display", "banner", "banners", "interstitial", "programmatic", "retargeting", "remarketing", "video":
		return Display
	case "ppc", "cpc", "cpa", "cpv", "cpv2", "sem", "adwords", "googleads", "ads", "ad":
		return Paid
	case "email", "mail", "newsletter", "emailmarketing", "drip":
		return Email
	case "affiliate", "affiliates", "partner", "partners":
		return Affiliate
	case "social", "socialmedia", "socialnetwork", "sm", "socialpost":
		return Social
	case "sms", "mms", "text", "textmessage", "whatsapp":
		return SMS
	case "print", "qr", "qrcode", "flyer", "poster", "billboard", "ooh", "brochure", "directmail", "postcard", "magazine", "newspaper":
		return Print
	case "organic", "seo", "organicsearch":
		return Organic
	case "local", "gbp", "gmb", "maps", "businessprofile", "directory":
		return Local
	case "ai", "llm", "aiassistant", "chatbot":
		return Assistant
	case "referral", "link", "app", "blog", "pr":
		return Referral
	}
	if strings.HasPrefix(m, "paid") {
		return Paid
	}
	return ""
}

// params are a URL's query parameters by lower-case name; the first that is not
// empty counts.
type params map[string]string

// readParams reads the query, and a fragment that looks like one, as some
// websites carry their campaign there.
func readParams(u *url.URL) params {
	p := params{}
	p.read(u.RawQuery)
	if _, query, ok := strings.Cut(u.EscapedFragment(), "?"); ok {
		p.read(query)
	} else {
		p.read(u.EscapedFragment())
	}
	return p
}

func (p params) read(query string) {
	for len(query) > 0 {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		name = strings.ToLower(unescape(name))
		if !known[name] || p[name] != "" {
			continue
		}
		p[name] = unescape(value)
	}
}

// word returns a parameter as clean text.
func (p params) word(name string, limit int) string { return cleanText(p[name], limit) }

// folded is word in lower case.
func (p params) folded(name string) string { return strings.ToLower(p.word(name, maxWord)) }

func (p params) anyOf(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return p.word(n, maxWord) != "" })
}

func (p params) clickIDs() map[string]string {
	ids := map[string]string{}
	for _, id := range clickIDs {
		if v := p.word(strings.ToLower(id.param), maxClick); v != "" {
			ids[id.param] = v
		}
	}
	return ids
}

func unescape(s string) string {
	if v, err := url.QueryUnescape(s); err == nil {
		return v
	}
	return s
}

// cleanText makes a stranger's text fit to keep: valid UTF-8, no control
// characters, single blanks, bounded.
func cleanText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	return clip(strings.Join(strings.Fields(s), " "), limit)
}

// clip cuts s to at most limit characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit {
			return s[:i]
		}
		n++
	}
	return s
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// readURL reads an http, https or android-app address; anything else is the
// empty address.
func readURL(raw string) *url.URL {
	raw = strings.TrimSpace(raw)
	if len(raw) > 8*maxURL {
		raw = raw[:8*maxURL]
	}
	// url.Parse refuses the whole for one bad escape or control character;
	// whoever arrives with one still came from somewhere.
	raw = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return -1
		}
		return r
	}, raw)
	main, fragment, _ := strings.Cut(raw, "#")
	main, query, _ := strings.Cut(main, "?")
	u, err := url.Parse(main)
	if err != nil {
		return &url.URL{}
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "android-app" || u.Hostname() == "" {
		return &url.URL{}
	}
	u.RawQuery = query
	u.Fragment, u.RawFragment = fragment, ""
	if f, err := url.PathUnescape(fragment); err == nil {
		u.Fragment, u.RawFragment = f, fragment
	}
	return u
}

// cleanURL writes what may be kept of an address: no credentials, no fragment,
// no secrets in the query.
func cleanURL(u *url.URL) string {
	if u.Host == "" {
		return ""
	}
	clean := url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: u.Path, RawPath: u.RawPath}
	text := clean.String()
	var kept []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair != "" && !secret(unescape(name), unescape(value)) {
			kept = append(kept, pair)
		}
	}
	if len(kept) > 0 {
		text += "?" + strings.Join(kept, "&")
	}
	return cleanText(text, maxURL)
}

// secret says whether a query parameter may carry what must not be kept: a
// credential, or a person's address or number.
func secret(name, value string) bool {
	n := strings.NewReplacer("-", "", "_", "", ".", "", "[", "", "]", "").Replace(strings.ToLower(name))
	if secretNames[n] {
		return true
	}
	for _, part := range []string{"password", "passwd", "token", "secret", "email", "apikey", "session", "phone", "creditcard", "signature"} {
		if strings.Contains(n, part) {
			return true
		}
	}
	return looksLikeAddress(value)
}

func looksLikeAddress(value string) bool {
	at := strings.IndexByte(value, '@')
	return at > 0 && strings.IndexByte(value[at:], '.') > 1
}
