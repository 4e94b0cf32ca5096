package twilio

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	v2010 "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
)

// CarrierConfig is what a Carrier needs. Only the first two have no default.
type CarrierConfig struct {
	AccountSID string // AC and 32 digits
	AuthToken  string // the current one

	// APIURL is where the REST API is, scheme and host only; "" for Twilio's.
	APIURL string
	// HTTP sends the requests; nil for a copy of Go's default transport.
	HTTP http.RoundTripper
	// Timeout bounds every single request, within the deadline of the context;
	// of media only the wait for the first byte. 0 means 10 seconds.
	Timeout time.Duration
	// Sleep waits between the attempts of one GET and returns early, with an
	// error, when the context ends. nil really waits.
	Sleep func(context.Context, time.Duration) error
	// Metrics takes the carrier's figures; nil for none.
	Metrics prometheus.Registerer
}

// Carrier is one Twilio account's REST API as a telephony.Carrier. It is safe
// for concurrent use.
//
// Only reads are repeated, at most twice, and only when Twilio said that it is
// busy (429, 503). A purchase that fails with kind Unavailable may have
// happened: look it up with Owned before trying again. Phone numbers in Twilio's
// error texts are masked.
type Carrier struct {
	accountSID string
	authToken  string
	base       *url.URL
	rest       *transport
	media      *transport
}

var _ telephony.Carrier = (*Carrier)(nil)

// References end up in paths, and twilio-go does not escape them.
var (
	refPattern      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	containsPattern = regexp.MustCompile(`^[0-9A-Za-z*+]{1,16}$`)
	areaPattern     = regexp.MustCompile(`^[2-9][0-9]{2}$`)
	mediaPattern    = regexp.MustCompile(`^/2010-04-01/Accounts/AC[0-9a-zA-Z]{32}/Recordings/RE[0-9a-zA-Z]{32}$`)
)

// NewCarrier returns a Carrier, or an Invalid error that names the settings
// which cannot be right. It asks nothing of the network.
func NewCarrier(cfg CarrierConfig) (*Carrier, error) {
	var bad []callwheel.FieldError
	if !refPattern.MatchString(cfg.AccountSID) {
		bad = append(bad, callwheel.FieldError{Field: "account_sid", Message: "must be the account's SID, AC and 32 digits"})
	}
	if cfg.AuthToken == "" {
		bad = append(bad, callwheel.FieldError{Field: "auth_token", Message: "must be set"})
	}
	if cfg.APIURL == "" {
		cfg.APIURL = "https://" + apiHost
	}
	api, err := url.Parse(cfg.APIURL)
	if err != nil || api.Scheme != "https" && api.Scheme != "http" || api.Host == "" || api.User != nil ||
		strings.Trim(api.Path, "/") != "" || api.RawQuery != "" || api.Fragment != "" {
		bad = append(bad, callwheel.FieldError{Field: "api_url", Message: "must be a scheme and a host only, such as https://" + apiHost})
	}
	if err := callwheel.InvalidFields(bad); err != nil {
		return nil, err
	}
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultTransport.(*http.Transport).Clone()
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	rest := transport{base: cfg.HTTP, api: api, timeout: cfg.Timeout, sleep: cfg.Sleep, metrics: newMetrics(cfg.Metrics)}
	media := rest
	media.streams = true
	return &Carrier{accountSID: cfg.AccountSID, authToken: cfg.AuthToken, base: api, rest: &rest, media: &media}, nil
}

func (c *Carrier) authorize(req *http.Request) {
	req.SetBasicAuth(c.accountSID, c.authToken)
	req.Header.Set("User-Agent", "callwheel (twilio-go)")
}

// Numbers.

const (
	defaultOffers = 20
	maxOffers     = 100
)

// Search asks for numbers that can be bought and can take calls. An unknown
// country is NotFound; a question that makes no sense is Invalid.
func (c *Carrier) Search(ctx context.Context, q telephony.CarrierSearch) ([]telephony.CarrierNumber, error) {
	area, contains, err := checkSearch(q)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultOffers
	}
	limit = min(limit, maxOffers)
	voice := true
	api := c.api(ctx)
	var found []telephony.CarrierNumber
	offer := func(number, city, region, country *string) {
		if text(number) == "" || len(found) == limit {
			return
		}
		found = append(found, telephony.CarrierNumber{Number: text(number), City: text(city), Region: text(region), Country: text(country)})
	}
	// Twilio answers with one page only, whatever number exists.
	switch q.Kind {
	case "", "local":
		page, err := api.PageAvailablePhoneNumberLocal(q.Country, &v2010.ListAvailablePhoneNumberLocalParams{
			AreaCode: area, Contains: contains, VoiceEnabled: &voice, PageSize: &limit,
		}, "", "")
		if err != nil {
			return nil, failure("search numbers", err)
		}
		for _, n := range page.AvailablePhoneNumbers {
			offer(n.PhoneNumber, n.Locality, n.Region, n.IsoCountry)
		}
	case "toll_free":
		page, err := api.PageAvailablePhoneNumberTollFree(q.Country, &v2010.ListAvailablePhoneNumberTollFreeParams{
			AreaCode: area, Contains: contains, VoiceEnabled: &voice, PageSize: &limit,
		}, "", "")
		if err != nil {
			return nil, failure("search numbers", err)
		}
		for _, n := range page.AvailablePhoneNumbers {
			offer(n.PhoneNumber, n.Locality, n.Region, n.IsoCountry)
		}
	case "mobile":
		page, err := api.PageAvailablePhoneNumberMobile(q.Country, &v2010.ListAvailablePhoneNumberMobileParams{
			AreaCode: area, Contains: contains, VoiceEnabled: &voice, PageSize: &limit,
		}, "", "")
		if err != nil {
			return nil, failure("search numbers", err)
		}
		for _, n := range page.AvailablePhoneNumbers {
			offer(n.PhoneNumber, n.Locality, n.Region, n.IsoCountry)
		}
	}
	return found, nil
}

func checkSearch(q telephony.CarrierSearch) (area *int, contains *string, err error) {
	var bad []callwheel.FieldError
	refuse := func(field, message string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: message})
	}
	if len(q.Country) != 2 || strings.Trim(q.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		refuse("country", "must be an ISO 3166 code of two capital letters, such as US")
	}
	switch q.Kind {
	case "", "local", "toll_free", "mobile":
	default:
		refuse("kind", "must be local, toll_free or mobile")
	}
	if q.AreaCode != "" {
		if !areaPattern.MatchString(q.AreaCode) {
			refuse("area_code", "must be three digits")
		}
		n, _ := strconv.Atoi(q.AreaCode)
		area = &n
	}
	if q.Contains != "" {
		if !containsPattern.MatchString(q.Contains) {
			refuse("contains", "must be up to 16 digits or letters, * for any")
		}
		contains = &q.Contains
	}
	return area, contains, callwheel.InvalidFields(bad)
}

// Buy buys a number and sets it up in the same request. It is Conflict when the
// number is gone, Invalid when it is none (or needs papers that the account does
// not have), and Unavailable when it is not known whether it was bought.
func (c *Carrier) Buy(ctx context.Context, number string, s telephony.NumberSettings) (telephony.CarrierNumber, error) {
	if !dialable(number) {
		return telephony.CarrierNumber{}, callwheel.InvalidField("number", "must be a phone number in E.164, such as +13125550171")
	}
	post := "POST"
	voiceURL, fallbackURL, statusURL := withOverrides(s)
	params := &v2010.CreateIncomingPhoneNumberParams{
		PhoneNumber:          &number,
		VoiceUrl:             &voiceURL,
		VoiceMethod:          &post,
		StatusCallback:       &statusURL,
		StatusCallbackMethod: &post,
	}
	if fallbackURL != "" {
		params.VoiceFallbackUrl, params.VoiceFallbackMethod = &fallbackURL, &post
	}
	bought, err := c.api(ctx).CreateIncomingPhoneNumber(params)
	if err != nil {
		return telephony.CarrierNumber{}, failure("buy number", err)
	}
	n := ownedNumber(*bought)
	if n.Ref == "" || n.Number != number {
		return telephony.CarrierNumber{}, callwheel.Errorf(callwheel.Unavailable, "buy number: the answer names another number, or none")
	}
	return n, nil
}

// Owned lists the account's numbers, or the one that is asked for: an empty
// list when the account does not have it.
func (c *Carrier) Owned(ctx context.Context, number string) ([]telephony.CarrierNumber, error) {
	params := &v2010.ListIncomingPhoneNumberParams{PageSize: pageSize()}
	if number != "" {
		if !dialable(number) {
			return nil, callwheel.InvalidField("number", "must be a phone number in E.164, such as +13125550171")
		}
		params.PhoneNumber = &number
	}
	api := c.api(ctx)
	var owned []telephony.CarrierNumber
	err := eachPage(func(token, page string) (*string, error) {
		list, err := api.PageIncomingPhoneNumber(params, token, page)
		if err != nil {
			return nil, err
		}
		for _, raw := range list.IncomingPhoneNumbers {
			// The filter is a pattern at Twilio's and matches parts of numbers.
			if n := ownedNumber(raw); number == "" || n.Number == number {
				owned = append(owned, n)
			}
		}
		return list.NextPageUri, nil
	})
	if err != nil {
		return nil, failure("list numbers", err)
	}
	return owned, nil
}

// Configure tells a number where its calls go. It does not remove an
// application or a trunk that overrides the URLs, because those are somebody's
// work: see CarrierNumber.Overridden. Neither does it touch the fallback URL when
// the settings have none.
func (c *Carrier) Configure(ctx context.Context, ref string, s telephony.NumberSettings) error {
	if err := checkRef("number", ref); err != nil {
		return err
	}
	post := "POST"
	voiceURL, fallbackURL, statusURL := withOverrides(s)
	params := &v2010.UpdateIncomingPhoneNumberParams{
		VoiceUrl:             &voiceURL,
		VoiceMethod:          &post,
		StatusCallback:       &statusURL,
		StatusCallbackMethod: &post,
	}
	if fallbackURL != "" {
		params.VoiceFallbackUrl, params.VoiceFallbackMethod = &fallbackURL, &post
	}
	_, err := c.api(ctx).UpdateIncomingPhoneNumber(ref, params)
	return failure("configure number", err)
}

// Release gives a number back. It is NotFound when the account does not have it
// (any more).
func (c *Carrier) Release(ctx context.Context, ref string) error {
	if err := checkRef("number", ref); err != nil {
		return err
	}
	return failure("release number", c.api(ctx).DeleteIncomingPhoneNumber(ref, nil))
}

// withOverrides adds the repetition rules to the URLs of a number.
func withOverrides(s telephony.NumberSettings) (voice, fallback, status string) {
	voice, _ = link(s.VoiceURL, liveRetry)
	fallback, _ = link(s.FallbackURL, liveRetry)
	status, _ = link(s.StatusURL, callbackRetry)
	return voice, fallback, status
}

// withoutOverrides undoes withOverrides, so that what was configured compares
// equal. A fragment that is not ours stays, and therefore differs.
func withoutOverrides(href *string) string {
	u := text(href)
	u = strings.TrimSuffix(u, liveRetry)
	return strings.TrimSuffix(u, callbackRetry)
}

func ownedNumber(raw v2010.ApiV2010IncomingPhoneNumber) telephony.CarrierNumber {
	n := telephony.CarrierNumber{
		Ref:         text(raw.Sid),
		Number:      text(raw.PhoneNumber),
		VoiceURL:    withoutOverrides(raw.VoiceUrl),
		FallbackURL: withoutOverrides(raw.VoiceFallbackUrl),
		StatusURL:   withoutOverrides(raw.StatusCallback),
	}
	n.Country = telephony.Region(n.Number)
	switch {
	case text(raw.TrunkSid) != "":
		n.Overridden = "trunk " + text(raw.TrunkSid)
	case text(raw.VoiceApplicationSid) != "":
		n.Overridden = "application " + text(raw.VoiceApplicationSid)
	}
	return n
}

// Calls.

// Call returns the provider's record of one leg; NotFound when it has none.
func (c *Carrier) Call(ctx context.Context, ref string) (telephony.CarrierCall, error) {
	if err := checkRef("call", ref); err != nil {
		return telephony.CarrierCall{}, err
	}
	raw, err := c.api(ctx).FetchCall(ref, nil)
	if err != nil {
		return telephony.CarrierCall{}, failure("fetch call", err)
	}
	return carrierCall(*raw), nil
}

// Legs lists the legs that a call dialled, none for an unknown call.
func (c *Carrier) Legs(ctx context.Context, parentRef string) ([]telephony.CarrierCall, error) {
	if err := checkRef("call", parentRef); err != nil {
		return nil, err
	}
	legs, err := c.calls(ctx, &v2010.ListCallParams{ParentCallSid: &parentRef})
	return legs, failure("list legs", err)
}

// Calls lists every leg, of callers and of agents, that started in
// [from, until). The provider's list may lack a call for some seconds after its
// webhook.
func (c *Carrier) Calls(ctx context.Context, from, until time.Time) ([]telephony.CarrierCall, error) {
	// The filter knows whole seconds; the exact bounds are applied here.
	after := from.UTC().Truncate(time.Second)
	before := until.UTC().Add(time.Second - 1).Truncate(time.Second)
	all, err := c.calls(ctx, &v2010.ListCallParams{StartTimeAfter: &after, StartTimeBefore: &before})
	if err != nil {
		return nil, failure("list calls", err)
	}
	kept := all[:0]
	for _, call := range all {
		if call.StartedAt.IsZero() || !call.StartedAt.Before(after) && call.StartedAt.Before(until) {
			kept = append(kept, call)
		}
	}
	return kept, nil
}

func (c *Carrier) calls(ctx context.Context, params *v2010.ListCallParams) ([]telephony.CarrierCall, error) {
	params.PageSize = pageSize()
	api := c.api(ctx)
	var calls []telephony.CarrierCall
	err := eachPage(func(token, page string) (*string, error) {
		list, err := api.PageCall(params, token, page)
		if err != nil {
			return nil, err
		}
		for _, raw := range list.Calls {
			calls = append(calls, carrierCall(raw))
		}
		return list.NextPageUri, nil
	})
	return calls, err
}

func carrierCall(raw v2010.ApiV2010Call) telephony.CarrierCall {
	call := telephony.CarrierCall{
		Ref:       text(raw.Sid),
		ParentRef: text(raw.ParentCallSid),
		From:      text(raw.From),
		To:        text(raw.To),
		Direction: text(raw.Direction),
		Status:    statuses[strings.ToLower(text(raw.Status))],
		Seconds:   -1,
	}
	call.StartedAt, _ = parseTime(text(raw.StartTime))
	call.EndedAt, _ = parseTime(text(raw.EndTime))
	if n, err := strconv.ParseUint(text(raw.Duration), 10, 31); err == nil && n <= maxSeconds {
		call.Seconds = int64(n)
	}
	return call
}

// Media.

// Media opens a finished recording as a WAV file. The URL must be one that
// Twilio gives: its own host (or the configured one), an account and a
// recording, and nothing else; anything else is Invalid and is not asked for.
// Credentials go to the configured API only, and no redirect is followed. A
// recording that does not exist, or not yet, is NotFound.
//
// The context must live as long as the body is read. The caller closes the body.
func (c *Carrier) Media(ctx context.Context, rawURL string) (io.ReadCloser, string, error) {
	path, err := c.mediaPath(rawURL)
	if err != nil {
		return nil, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.Scheme+"://"+c.base.Host+path+".wav", nil)
	if err != nil {
		return nil, "", failure("open recording", err)
	}
	c.authorize(req)
	res, err := c.media.RoundTrip(req)
	if err != nil {
		return nil, "", failure("open recording", err)
	}
	if res.StatusCode != http.StatusOK {
		err := readError(res)
		return nil, "", failure("open recording", err)
	}
	contentType := res.Header.Get("Content-Type")
	if !audio(contentType) {
		discard(res)
		return nil, "", callwheel.Errorf(callwheel.Unavailable, "open recording: the answer is not audio")
	}
	return res.Body, contentType, nil
}

// DeleteRecording deletes a recording at the provider; NotFound when it is gone
// already.
func (c *Carrier) DeleteRecording(ctx context.Context, ref string) error {
	if err := checkRef("recording", ref); err != nil {
		return err
	}
	return failure("delete recording", c.api(ctx).DeleteRecording(ref, nil))
}

// mediaPath returns the path of a recording's URL when it has the one allowed
// shape. The path is matched as it is written, so no encoding and no dot segment
// can hide in it.
func (c *Carrier) mediaPath(rawURL string) (string, error) {
	refused := callwheel.InvalidField("url", "is not the address of a recording at the provider")
	for _, origin := range []string{"https://" + apiHost, c.base.Scheme + "://" + c.base.Host} {
		if path, ok := strings.CutPrefix(rawURL, origin); ok && mediaPattern.MatchString(path) {
			return path, nil
		}
	}
	return "", refused
}

// audio says whether a content type is a sound; some servers only say bytes.
func audio(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(media, "audio/") || media == "application/octet-stream")
}

// Lists.

const maxPages = 1000

func pageSize() *int {
	size := 1000
	return &size
}

// eachPage asks for one page after the other. Twilio names the next page by its
// address; only the two parameters that say which page it is are taken from
// there, so an answer cannot send us anywhere else.
func eachPage(ask func(token, page string) (next *string, err error)) error {
	token, page := "", ""
	for range maxPages {
		next, err := ask(token, page)
		if err != nil {
			return err
		}
		if text(next) == "" {
			return nil
		}
		u, err := url.Parse(*next)
		if err != nil {
			return errors.New("the address of the next page cannot be read")
		}
		q := u.Query()
		if q.Get("PageToken") == token && q.Get("Page") == page {
			return errors.New("the next page is the same page")
		}
		token, page = q.Get("PageToken"), q.Get("Page")
	}
	return errors.New("the list does not end")
}

func checkRef(what, ref string) error {
	if refPattern.MatchString(ref) {
		return nil
	}
	return callwheel.Errorf(callwheel.NotFound, "no such %s at the provider", what)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
