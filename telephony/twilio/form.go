package twilio

import (
	"bytes"
	"slices"
	"strings"

	"github.com/callwheel/callwheel/telephony"
)

// pair is one decoded form parameter. The bytes belong to the body or to the
// arena it was decoded into.
type pair struct{ name, value []byte }

// appendPairs decodes an application/x-www-form-urlencoded body in the order in
// which it was written. It never fails: a percent sign that introduces nothing
// and a semicolon stand for themselves, as in browsers and in Twilio's own
// libraries. Undecoded text is not copied; what has to be decoded goes to arena.
func appendPairs(dst []pair, arena, body []byte) ([]pair, []byte) {
	for len(body) > 0 {
		var piece []byte
		piece, body, _ = cutByte(body, '&')
		if len(piece) == 0 {
			continue
		}
		var p pair
		name, value, _ := cutByte(piece, '=')
		p.name, arena = unescape(name, arena)
		p.value, arena = unescape(value, arena)
		dst = append(dst, p)
	}
	return dst, arena
}

func cutByte(s []byte, sep byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, nil, false
}

// unescape decodes one name or value, in place of a copy where nothing is
// encoded.
func unescape(s, arena []byte) (decoded, grown []byte) {
	plain := 0
	for plain < len(s) && s[plain] != '%' && s[plain] != '+' {
		plain++
	}
	if plain == len(s) {
		return s, arena
	}
	from := len(arena)
	arena = append(arena, s[:plain]...)
	for i := plain; i < len(s); i++ {
		switch {
		case s[i] == '+':
			arena = append(arena, ' ')
		case s[i] == '%' && i+2 < len(s) && unhex[s[i+1]] < 16 && unhex[s[i+2]] < 16:
			arena = append(arena, unhex[s[i+1]]<<4|unhex[s[i+2]])
			i += 2
		default:
			arena = append(arena, s[i])
		}
	}
	return arena[from:len(arena):len(arena)], arena
}

// unhex is the value of a hexadecimal digit, 255 for any other byte.
var unhex = func() (table [256]byte) {
	for i := range table {
		table[i] = 255
	}
	for i := range 10 {
		table['0'+i] = byte(i)
	}
	for i := range 6 {
		table['a'+i], table['A'+i] = byte(10+i), byte(10+i)
	}
	return table
}()

// sortPairs puts the pairs into the order in which they are signed: by name and
// then by value, as bytes, each different pair once.
func sortPairs(pairs []pair) []pair {
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := bytes.Compare(a.name, b.name); c != 0 {
			return c
		}
		return bytes.Compare(a.value, b.value)
	})
	return slices.CompactFunc(pairs, func(a, b pair) bool {
		return bytes.Equal(a.name, b.name) && bytes.Equal(a.value, b.value)
	})
}

// splitTarget separates a raw request target into path and query. A fragment is
// no part of a request and is dropped.
func splitTarget(target string) (path, query string) {
	target, _, _ = strings.Cut(target, "#")
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// parameters returns where the parameters of a request are written, and whether
// they can be read. Neither the method nor the content type is signed, so while a
// caller waits neither decides more than it must: what has no body has its
// parameters in the query (GET, which Twilio signs as the URL alone), and a body
// without a hash in the URL can only have been signed as a form, whatever its
// type says.
func parameters(r telephony.Request, query string, hashed bool) (text []byte, readable bool) {
	switch live := r.Door.Live(); {
	case live && len(r.Body) == 0:
		return []byte(query), true
	case telephony.IsForm(r.ContentType), live && !hashed:
		return r.Body, true
	}
	return nil, false
}
