package loopback

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/callwheel/callwheel/telephony"
)

// available is a number that the provider would sell. All are from ranges that
// are set aside for fiction, so that nobody's phone rings by mistake.
type available struct{ e164, country, region, locality string }

// area is where numbers come from: a prefix and the two last digits.
type area struct{ prefix, region, locality, code string }

var inventoryAreas = map[string][]area{
	"US/Local": {
		{"+131255501", "IL", "Chicago", "312"},
		{"+121255501", "NY", "New York", "212"},
		{"+177355501", "IL", "Chicago", "773"},
		{"+141555501", "CA", "San Francisco", "415"},
		{"+161755501", "MA", "Boston", "617"},
		{"+130355501", "CO", "Denver", "303"},
	},
	"US/TollFree": {{"+183355501", "", "", "833"}, {"+184455501", "", "", "844"}, {"+185555501", "", "", "855"}},
	"CA/Local":    {{"+141655501", "ON", "Toronto", "416"}, {"+160455501", "BC", "Vancouver", "604"}},
	"GB/Local":    {{"+4416329600", "", "", ""}, {"+4420794600", "", "London", ""}},
	"GB/Mobile":   {{"+4477009000", "", "", ""}},
}

// inventory is what a search offers; false when the provider has no such list.
func (n *Network) inventory(country, kind string, q url.Values) ([]available, bool) {
	areas, ok := inventoryAreas[country+"/"+kind]
	if !ok {
		return nil, false
	}
	if code := q.Get("AreaCode"); code != "" {
		areas = areasOf(areas, code, country, kind)
	}
	contains := containsPattern(q.Get("Contains"))
	var list []available
	for digits := range 100 {
		for _, a := range areas {
			number := available{e164: fmt.Sprintf("%s%02d", a.prefix, digits), country: country, region: a.region, locality: a.locality}
			if region := q.Get("InRegion"); region != "" && region != a.region {
				continue
			}
			if !contains.MatchString(number.e164) || n.registry.isOwned(number.e164) {
				continue
			}
			list = append(list, number)
		}
	}
	return list, true
}

// areasOf finds the areas with a code; an area code that the list does not know
// has numbers too.
func areasOf(areas []area, code, country, kind string) []area {
	found := slices.DeleteFunc(slices.Clone(areas), func(a area) bool { return a.code != code })
	if len(found) == 0 && country == "US" && kind == "Local" && len(code) == 3 && strings.Trim(code, "0123456789") == "" {
		return []area{{prefix: "+1" + code + "55501", code: code}}
	}
	return found
}

// containsPattern reads the provider's pattern: digits, and * for any digit.
func containsPattern(text string) *regexp.Regexp {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '*':
			b.WriteString("[0-9]")
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return regexp.MustCompile(b.String())
}

func (r *registry) isOwned(e164 string) bool {
	_, ok := r.number(e164)
	return ok
}

func (number available) object() object {
	return object{
		"phone_number": number.e164, "friendly_name": telephony.National(number.e164),
		"iso_country": number.country, "region": orNull(number.region), "locality": orNull(number.locality),
		"lata": nil, "rate_center": nil, "postal_code": nil, "latitude": nil, "longitude": nil,
		"address_requirements": "none", "beta": false,
		"capabilities": object{"voice": true, "SMS": true, "MMS": true},
	}
}
