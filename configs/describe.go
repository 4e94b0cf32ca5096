package configs

import (
	"fmt"
	"net/url"
	"reflect"
	"sort"
	"strings"
)

// secretKeys are settings whose value is never printed.
var secretKeys = map[string]bool{"secret_key": true, "twilio.auth_token": true}

// Describe lists every setting as "key: value", with "set" or "not set" in the
// place of a secret, for an operator to read.
func (c Config) Describe() []string {
	var lines []string
	for key, field := range c.fields() {
		lines = append(lines, key+": "+show(key, field))
	}
	sort.Strings(lines)
	return lines
}

func show(key string, v reflect.Value) string {
	switch {
	case secretKeys[key] && v.IsZero():
		return "not set"
	case secretKeys[key]:
		return "set"
	case key == "database_url":
		return hidePassword(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// hidePassword returns a database's address as it may be shown. One that cannot
// be read is not shown at all: nobody knows where the password stands in it.
func hidePassword(address string) string {
	scheme, _, isURL := strings.Cut(address, "://")
	if !isURL || strings.HasPrefix(address, "sqlite:") {
		return address
	}
	if checkPostgres(address) != "" {
		return scheme + "://…"
	}
	u, err := url.Parse(address)
	if err != nil {
		return scheme + "://…"
	}
	query := u.Query()
	for key := range query {
		if strings.Contains(strings.ToLower(key), "password") {
			query.Set(key, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}
