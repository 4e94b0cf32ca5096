package telephony

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"github.com/callwheel/callwheel"
)

var e164Pattern = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// ParseNumber reads a phone number that a person wrote and returns it in E.164.
// Without a leading + it is read as a number of the region (ISO 3166 two
// letters; "" allows only +). It fails with kind Invalid for anything that
// cannot be dialled: letters, wrong length, an unknown country.
func ParseNumber(text, region string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("+0123456789 -.()\u00a0", r) }) {
		return "", callwheel.InvalidField("number", "must be a phone number in E.164, such as +13125550171")
	}
	if !strings.HasPrefix(text, "+") && region == "" {
		return "", callwheel.InvalidField("number", "must begin with + and the country code, such as +13125550171")
	}
	n, err := phonenumbers.Parse(text, region)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", callwheel.InvalidField("number", "cannot be dialled: wrong length or unknown country code")
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// National writes an E.164 number as people of its country do, "(312)
// 555-0171"; what it cannot read it returns as it is.
func National(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return e164
	}
	return phonenumbers.Format(n, phonenumbers.NATIONAL)
}

// CountryCode returns the country calling code of an E.164 number, "44" for one
// of the United Kingdom, "" when it has none.
func CountryCode(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	return strconv.Itoa(int(n.GetCountryCode()))
}

// Region returns the ISO 3166 code of an E.164 number's country, "" when it has
// none.
func Region(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	return phonenumbers.GetRegionCodeForNumber(n)
}

// dearTypes are the kinds of number that cost whoever calls them more than a
// call, or reach nobody who talks.
var dearTypes = []phonenumbers.PhoneNumberType{
	phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.PERSONAL_NUMBER, phonenumbers.PAGER, phonenumbers.VOICEMAIL,
}

// isDear says whether a number belongs to one of dearTypes, to a satellite or
// another network without a country, or has the form of a premium number of
// North America whether or not it is assigned. International freephone numbers
// (+800) are the one kind without a country that may be rung.
func isDear(e164 string) bool {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return false
	}
	if slices.Contains(dearTypes, phonenumbers.GetNumberType(n)) {
		return true
	}
	if national, north := strings.CutPrefix(e164, "+1"); north && len(national) == 10 {
		return strings.HasPrefix(national, "900") || national[3:6] == "976"
	}
	return phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode())) == noCountry && n.GetCountryCode() != 800
}

// noCountry is the region of calling codes that belong to no country.
const noCountry = "001"

// Area returns the country and area code of a geographical number, "+1312" for
// +13125550171; "" for a number that belongs to no place, as mobile numbers of
// most countries do.
func Area(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	digits := phonenumbers.GetLengthOfGeographicalAreaCode(n)
	code := strconv.Itoa(int(n.GetCountryCode()))
	if national := phonenumbers.GetNationalSignificantNumber(n); digits > 0 && digits <= len(national) {
		return "+" + code + national[:digits]
	}
	return ""
}

// LineKind is what kind of telephone a number rings.
type LineKind string

// The kinds of line. In countries whose numbers do not tell, such as the United
// States and Canada, it is not known.
const (
	LineUnknown LineKind = ""
	LineMobile  LineKind = "mobile"
	LineFixed   LineKind = "fixed"
)

// LineKindOf says what kind of telephone an E.164 number rings, as far as the
// number itself tells.
func LineKindOf(e164 string) LineKind {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return LineUnknown
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE:
		return LineMobile
	case phonenumbers.FIXED_LINE:
		return LineFixed
	}
	return LineUnknown
}

// Mask hides all but the last two digits, for logs and for roles that may not
// see callers.
func Mask(e164 string) string {
	if len(e164) < 4 {
		return "••"
	}
	return strings.Repeat("•", len(e164)-2) + e164[len(e164)-2:]
}

// phoneLike is a run of digits as people write phone numbers, with what they put
// between them.
var phoneLike = regexp.MustCompile(`\p{Nd}(?:[\s\x{a0}\x{2007}\x{202f}.()/_\p{Pd}]{0,3}\p{Nd}){6,}`)

// MaskText hides in a text whatever could be a phone number: seven digits and
// more, however they are grouped, all but the last two. It would rather hide a
// date than show a caller.
func MaskText(text string) string {
	return phoneLike.ReplaceAllStringFunc(text, func(run string) string {
		left := -2
		for _, r := range run {
			if unicode.IsDigit(r) {
				left++
			}
		}
		return strings.Map(func(r rune) rune {
			if !unicode.IsDigit(r) {
				return r
			}
			if left--; left < 0 {
				return r
			}
			return '•'
		}, run)
	})
}

// keypadNames are numbers that spell a word on the key pad: networks write
// them where a caller withheld the number. Some look like real numbers of
// China, Russia or Ethiopia, so they are looked up before anything is parsed.
var keypadNames = map[string]bool{
	"266696687":   true, // ANONYMOUS
	"7378742833":  true, // RESTRICTED
	"2562533":     true, // BLOCKED
	"8656696":     true, // UNKNOWN
	"86282452253": true, // UNAVAILABLE
}

var anonymousWords = map[string]bool{
	"": true, "anonymous": true, "unknown": true, "restricted": true, "private": true,
	"unavailable": true, "withheld": true, "blocked": true,
}

// Classify says what a provider's From or To really is, and its E.164 form
// when it identifies a person. Everything else is kept raw and never merged
// with another caller.
func Classify(raw string) (CallerKind, string) {
	text := strings.TrimSpace(raw)
	lower := strings.ToLower(text)
	if anonymousWords[lower] {
		return CallerAnonymous, ""
	}
	digits := strings.TrimPrefix(text, "+")
	if keypadNames[digits] || keypadNames[strings.TrimPrefix(digits, "1")] {
		return CallerAnonymous, ""
	}
	switch {
	case strings.HasPrefix(lower, "sip:"), strings.HasPrefix(lower, "sips:"):
		user, _, _ := strings.Cut(lower[strings.Index(lower, ":")+1:], "@")
		if anonymousWords[user] {
			return CallerAnonymous, ""
		}
		return CallerSIP, ""
	case strings.HasPrefix(lower, "client:"):
		return CallerClient, ""
	case e164Pattern.MatchString(text):
		n, err := phonenumbers.Parse(text, "")
		if err != nil || !phonenumbers.IsPossibleNumber(n) {
			return CallerInvalid, ""
		}
		return CallerE164, text
	case len(text) >= 3 && len(text) <= 6 && strings.Trim(text, "0123456789") == "":
		return CallerShort, ""
	}
	return CallerInvalid, ""
}
