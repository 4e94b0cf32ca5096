package attribution

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// network is a place on the internet that sends visitors: the name it has as a
// source and the medium of an arrival from it.
type network struct {
	name, medium string
}

// clickID is a query parameter that a network adds to its links. Paid is the
// network whose paid click it proves; an id without one is only kept.
type clickID struct {
	param string
	paid  network
}

// clickIDs in the order in which they decide when a URL carries several.
var clickIDs = []clickID{
	{"gclid", network{"google", Paid}},
	{"gbraid", network{"google", Paid}},
	{"wbraid", network{"google", Paid}},
	{"msclkid", network{"bing", Paid}},
	{"ttclid", network{"tiktok", Paid}},
	{"twclid", network{"twitter", Paid}},
	{"li_fat_id", network{"linkedin", Paid}},
	{"epik", network{"pinterest", Paid}},
	{"ScCid", network{"snapchat", Paid}},
	{"yclid", network{"yandex", Paid}},
	{"dclid", network{"google", Display}},
	{"gad_source", network{"google", Paid}},
	{"fbclid", network{}},
	{"srsltid", network{}}, // a merchant's unpaid listing
}

// paidClick returns the click id that proves a paid click, "" for none.
func paidClick(ids map[string]string) (string, network) {
	for _, id := range clickIDs {
		if ids[id.param] != "" && id.paid.name != "" {
			return id.param, id.paid
		}
	}
	return "", network{}
}

// known are the parameters that are read at all: a URL may carry a thousand.
var known = func() map[string]bool {
	m := map[string]bool{
		"utm_source": true, "utm_medium": true, "utm_campaign": true, "utm_term": true, "utm_content": true,
		ParamSource: true, ParamMedium: true, ParamCampaign: true, ParamExclude: true,
	}
	for _, id := range clickIDs {
		m[strings.ToLower(id.param)] = true
	}
	return m
}()

// searchEngines by the label before the public suffix: google.co.uk and
// google.com are one engine.
var searchEngines = map[string]string{
	"google": "google", "bing": "bing", "yahoo": "yahoo", "duckduckgo": "duckduckgo", "ecosia": "ecosia",
	"yandex": "yandex", "ya": "yandex", "baidu": "baidu", "naver": "naver", "qwant": "qwant",
	"startpage": "startpage", "seznam": "seznam", "ask": "ask", "aol": "aol", "sogou": "sogou",
	"swisscows": "swisscows", "mojeek": "mojeek", "kagi": "kagi", "daum": "daum", "rambler": "rambler",
	"lycos": "lycos", "presearch": "presearch", "petalsearch": "petalsearch", "coccoc": "coccoc", "gibiru": "gibiru",
	"dogpile": "dogpile", "metager": "metager", "so": "so.com",
}

// searchHosts are engines that share their domain with something else.
var searchHosts = map[string]string{
	"search.brave.com": "brave", "search.lilo.org": "lilo", "www.so.com": "so.com", "cn.bing.com": "bing",
}

// soleDomains restricts labels that are also ordinary words to the domains that
// are really the engine.
var soleDomains = map[string][]string{
	"ask": {"ask.com"}, "so": {"so.com"}, "ya": {"ya.ru"}, "aol": {"aol.com", "aol.co.uk", "aol.de"},
	"lycos": {"lycos.com", "lycos.de"}, "daum": {"daum.net"}, "kagi": {"kagi.com"}, "rambler": {"rambler.ru"},
	"naver": {"naver.com"}, "bing": {"bing.com"}, "duckduckgo": {"duckduckgo.com"}, "qwant": {"qwant.com"}, "startpage": {"startpage.com"},
}

var socialDomains = map[string]string{
	"facebook.com": "facebook", "fb.com": "facebook", "fb.me": "facebook", "messenger.com": "facebook",
	"instagram.com": "instagram", "threads.net": "threads", "threads.com": "threads",
	"twitter.com": "twitter", "x.com": "twitter", "t.co": "twitter",
	"linkedin.com": "linkedin", "lnkd.in": "linkedin", "tiktok.com": "tiktok", "snapchat.com": "snapchat",
	"reddit.com": "reddit", "redd.it": "reddit", "youtube.com": "youtube", "youtu.be": "youtube",
	"nextdoor.com": "nextdoor", "whatsapp.com": "whatsapp", "wa.me": "whatsapp", "t.me": "telegram", "telegram.org": "telegram",
	"tumblr.com": "tumblr", "quora.com": "quora", "vk.com": "vk", "ok.ru": "ok", "weibo.com": "weibo", "xing.com": "xing",
	"discord.com": "discord", "mastodon.social": "mastodon", "bsky.app": "bluesky", "pin.it": "pinterest", "line.me": "line",
}

// assistants by host, or by domain for every host below it. They keep the
// domain as their name: it is also what they write into utm_source.
var assistants = map[string]string{
	"chatgpt.com": "chatgpt.com", "chat.openai.com": "chatgpt.com", "perplexity.ai": "perplexity.ai",
	"gemini.google.com": "gemini.google.com", "bard.google.com": "gemini.google.com",
	"copilot.microsoft.com": "copilot.microsoft.com", "copilot.cloud.microsoft": "copilot.microsoft.com", "m365.cloud.microsoft": "copilot.microsoft.com",
	"copilot.com": "copilot.microsoft.com", "notebooklm.google.com": "gemini.google.com", "aistudio.google.com": "gemini.google.com",
	"claude.ai": "claude.ai", "you.com": "you.com", "poe.com": "poe.com", "deepseek.com": "deepseek.com",
	"grok.com": "grok.com", "x.ai": "grok.com", "meta.ai": "meta.ai", "mistral.ai": "mistral.ai",
	"phind.com": "phind.com", "pi.ai": "pi.ai", "kimi.com": "kimi.com", "doubao.com": "doubao.com", "character.ai": "character.ai",
}

// assistantNames are what people write into utm_source for an assistant.
var assistantNames = map[string]string{
	"chatgpt": "chatgpt.com", "openai": "chatgpt.com", "perplexity": "perplexity.ai", "gemini": "gemini.google.com",
	"copilot": "copilot.microsoft.com", "claude": "claude.ai", "deepseek": "deepseek.com", "grok": "grok.com",
}

// paymentDomains send people back after they paid: not where they came from.
var paymentDomains = map[string]bool{
	"paypal.com": true, "paypalobjects.com": true, "stripe.com": true, "stripe.network": true, "klarna.com": true, "klarna.net": true,
	"adyen.com": true, "mollie.com": true, "squareup.com": true, "square.site": true, "afterpay.com": true, "clearpay.co.uk": true,
	"affirm.com": true, "sezzle.com": true, "worldpay.com": true, "braintreegateway.com": true, "braintree-api.com": true,
	"authorize.net": true, "2checkout.com": true, "paddle.com": true, "razorpay.com": true, "sofort.com": true, "giropay.de": true,
	"ideal.nl": true, "3dsecure.io": true, "shop.app": true, "payments.google.com": true, "pay.google.com": true, "pay.amazon.com": true,
	"arcot.com": true, "cardinalcommerce.com": true, "gocardless.com": true, "payu.com": true, "payfast.co.za": true, "mercadopago.com": true,
}

var apps = map[string]network{
	"com.google.android.googlequicksearchbox": {"google", Organic},
	"com.google.android.gm":                   {"mail.google.com", Email},
	"com.google.android.apps.maps":            {"google", Local},
	"com.google.android.youtube":              {"youtube", Social},
	"com.facebook.katana":                     {"facebook", Social},
	"com.facebook.orca":                       {"facebook", Social},
	"com.instagram.android":                   {"instagram", Social},
	"com.twitter.android":                     {"twitter", Social},
	"com.linkedin.android":                    {"linkedin", Social},
	"com.pinterest":                           {"pinterest", Social},
	"com.zhiliaoapp.musically":                {"tiktok", Social},
	"com.reddit.frontpage":                    {"reddit", Social},
	"com.slack":                               {"slack", Referral},
	"com.microsoft.bing":                      {"bing", Organic},
	"com.duckduckgo.mobile.android":           {"duckduckgo", Organic},
	"com.openai.chatgpt":                      {"chatgpt.com", Assistant},
	"ai.perplexity.app.android":               {"perplexity.ai", Assistant},
	"com.anthropic.claude":                    {"claude.ai", Assistant},
	"com.microsoft.office.outlook":            {"outlook.com", Email},
	"com.yahoo.mobile.client.android.mail":    {"mail.yahoo.com", Email},
}

// mailers are names that people give to newsletters in utm_source.
var mailers = map[string]bool{
	"newsletter": true, "email": true, "e-mail": true, "mailchimp": true, "klaviyo": true, "sendgrid": true,
	"hubspot": true, "hs_email": true, "activecampaign": true, "constantcontact": true, "brevo": true, "sendinblue": true, "convertkit": true,
}

var secretNames = map[string]bool{
	"pass": true, "pwd": true, "pw": true, "auth": true, "authorization": true, "jwt": true, "code": true, "otp": true, "pin": true,
	"key": true, "sig": true, "sid": true, "ssn": true, "cc": true, "card": true, "cvv": true, "cvc": true, "mail": true, "tel": true,
	"mobile": true, "nonce": true, "dob": true, "birthday": true, "firstname": true, "lastname": true,
	"fullname": true, "username": true, "login": true, "iban": true,
}

// networkNamed finds a network by the name that people write in utm_source.
func networkNamed(name string) (network, bool) {
	for _, names := range []map[string]string{assistants, assistantNames} {
		if domain, ok := names[name]; ok {
			return network{domain, Assistant}, true
		}
	}
	if engine, ok := searchEngines[name]; ok && len(name) > 3 {
		return network{engine, Organic}, true
	}
	if social, ok := socialDomains[name]; ok {
		return network{social, Social}, true
	}
	for _, social := range socialDomains {
		if social == name {
			return network{social, Social}, true
		}
	}
	if name == "pinterest" {
		return network{name, Social}, true
	}
	return network{}, false
}

// referrerName names the referrer as a source, "" when it is none.
func (a arrival) referrerName() string {
	var c Classification
	a.byReferrer(&c)
	if c.Direct() {
		return ""
	}
	return c.Source
}

// byReferrer classifies by the referrer alone, down to direct.
func (a arrival) byReferrer(c *Classification) {
	host := hostOf(a.ref)
	switch {
	case host == "":
		c.set("direct", Direct, None)
	case a.ref.Scheme == "android-app":
		n, ok := apps[host]
		if !ok {
			n = network{host, Referral}
		}
		c.set("referrer:app", n.name, n.medium)
	case a.own(host):
		c.set("own_host", Direct, None)
	case paymentDomains[host] || paymentDomains[domainOf(host)]:
		c.set("payment_host", Direct, None)
	default:
		rule, n := classifyHost(host, a.ref)
		c.set(rule, n.name, n.medium)
	}
}

// own says whether host belongs to the account: the page's own domain, or one
// of the named hosts or a host below the same domain.
func (a arrival) own(host string) bool {
	if page := hostOf(a.page); page != "" && domainOf(page) == domainOf(host) {
		return true
	}
	return slices.ContainsFunc(a.landing.OwnHosts, func(own string) bool {
		own = strings.ToLower(strings.TrimPrefix(own, "www."))
		return own != "" && (host == own || domainOf(own) == domainOf(host))
	})
}

func classifyHost(host string, ref *url.URL) (rule string, n network) {
	domain := domainOf(host)
	label, _, _ := strings.Cut(domain, ".")
	path := strings.ToLower(ref.Path)
	if n, ok := adRedirector(host, domain, label, path); ok {
		return "referrer:ads", n
	}
	if name, ok := localName(host, label, path); ok {
		return "referrer:local", network{name, Local}
	}
	if name, ok := assistantName(host, domain, label, path); ok {
		return "referrer:ai", network{name, Assistant}
	}
	if isMail(host) {
		return "referrer:mail", network{host, Email}
	}
	if name, ok := searchName(host, domain, label); ok {
		return "referrer:search", network{name, Organic}
	}
	if name, ok := socialDomains[domain]; ok {
		return "referrer:social", network{name, Social}
	}
	if label == "pinterest" {
		return "referrer:social", network{"pinterest", Social}
	}
	return "referrer:domain", network{domain, Referral}
}

func adRedirector(host, domain, label, path string) (network, bool) {
	switch {
	case domain == "googleadservices.com", label == "google" && (path == "/aclk" || strings.HasPrefix(path, "/pagead/")):
		return network{"google", Paid}, true
	case domain == "doubleclick.net", domain == "googlesyndication.com":
		return network{"google", Display}, true
	case label == "bing" && (strings.HasPrefix(path, "/aclk") || strings.HasPrefix(path, "/aclick")):
		return network{"bing", Paid}, true
	case host == "r.search.yahoo.com" && strings.Contains(path, "cbclk"):
		return network{"yahoo", Paid}, true
	}
	return network{}, false
}

func localName(host, label, path string) (string, bool) {
	switch {
	case label == "google" && (strings.HasPrefix(host, "maps.") || strings.HasPrefix(host, "business.") || path == "/maps" || strings.HasPrefix(path, "/maps/") || strings.HasPrefix(path, "/localservices")):
		return "google", true
	case host == "g.page", host == "maps.app.goo.gl", host == "business.site":
		return "google", true
	case host == "maps.apple.com":
		return "apple maps", true
	case label == "bing" && (path == "/maps" || strings.HasPrefix(path, "/maps/")):
		return "bing", true
	}
	return "", false
}

func assistantName(host, domain, label, path string) (string, bool) {
	if name, ok := assistants[host]; ok {
		return name, true
	}
	if name, ok := assistants[strings.TrimPrefix(host, "www.")]; ok {
		return name, true
	}
	if name, ok := assistants[domain]; ok {
		return name, true
	}
	if label == "bing" && (path == "/chat" || strings.HasPrefix(path, "/chat/")) {
		return "copilot.microsoft.com", true
	}
	return "", false
}

func isMail(host string) bool {
	return strings.HasPrefix(host, "mail.") || strings.HasPrefix(host, "webmail.") || strings.Contains(host, ".mail.") ||
		strings.HasPrefix(host, "outlook.live.") || strings.HasPrefix(host, "outlook.office") || host == "deref-mail.com"
}

func searchName(host, domain, label string) (string, bool) {
	if name, ok := searchHosts[host]; ok {
		return name, true
	}
	name, ok := searchEngines[label]
	if !ok {
		return "", false
	}
	if sole := soleDomains[label]; len(sole) > 0 && !slices.Contains(sole, domain) {
		return "", false
	}
	if name == "google" && googleProduct(host) {
		return "", false
	}
	return name, true
}

// googleProduct says whether a host of Google's is a product with pages of its
// own rather than the search engine.
func googleProduct(host string) bool {
	sub, _, _ := strings.Cut(host, ".google.")
	switch sub {
	case "docs", "drive", "sites", "groups", "calendar", "meet", "chat", "classroom", "support", "accounts":
		return true
	}
	return false
}

// hostOf returns the lower-case host without port.
func hostOf(u *url.URL) string {
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// domainOf returns the registrable domain of a host, or the host itself where
// it has none (an address, localhost).
func domainOf(host string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return domain
}
