package twilio

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"

	"github.com/callwheel/callwheel/telephony"
)

// Why a request is not believed. The sentences go to the log and to a counter;
// whoever sent the request learns nothing.
var (
	errNoHeader   = refusal("header missing")
	errEmpty      = refusal("header empty")
	errTwoHeaders = refusal("more than one header")
	errNotBase64  = refusal("header is not a signature")
	errTarget     = refusal("request target is not a path")
	errBase       = refusal("public URL is not configured")
	errNoSecret   = refusal("unknown account")
	errUnsigned   = refusal("body is neither a form nor hashed in the URL")
	errBodyHash   = refusal("body does not have the hash that the URL names")
	errMismatch   = refusal("no secret and no spelling of the URL gives it")
)

func refusal(why string) error { return fmt.Errorf("%w: %s", telephony.ErrSignature, why) }

// macSize is the length of an HMAC-SHA1.
const macSize = sha1.Size

// Verify checks the X-Twilio-Signature of a request that Twilio was told to send
// to base plus r.Target. It returns the secret that signed it: the one whose
// AccountRef is the AccountSid in the parameters, or one of the installation's when
// none has that name. The AccountSid only chooses what is tried; it is to be
// believed after Verify succeeded, and then only as far as the secret reaches.
//
// While a caller waits, a body that names no account that we know, or two, is
// tried with the secrets of every account: whichever signed it speaks for its
// own account alone, whatever the body says, so a malformed request costs nobody
// their call and opens no door to another account.
//
// When the URL carries bodySHA256 the signature covers the URL alone, and the
// body, whatever its type, must have that hash. Otherwise the body must be a
// form (or empty), and all of it is signed. While a caller waits that holds
// whatever type the body is said to have, and the parameters of a request without
// a body, as of every GET, are those of its URL.
//
// Every refusal wraps telephony.ErrSignature and says why.
func (p *Provider) Verify(r telephony.Request, base string, secrets []telephony.Secret) (telephony.Secret, error) {
	want, err := readSignature(r.Signatures)
	if err != nil {
		return telephony.Secret{}, err
	}
	if !strings.HasPrefix(r.Target, "/") {
		return telephony.Secret{}, errTarget
	}
	s := scratchPool.Get().(*scratch)
	defer s.release()
	s.several = false

	accountRef, err := s.readBody(r)
	if err != nil {
		return telephony.Secret{}, err
	}
	if !s.spell(base, r.Target) {
		return telephony.Secret{}, errBase
	}
	return p.tryAll(s, want, accountRef, r.Door.Live(), secrets)
}

// maxTried bounds, in bytes, what is hashed for a body that names nobody: a
// stranger must not make us work for every account of a large installation.
const maxTried = 16 << 20

// tryAll looks for the secret and the spelling of the URL that give the
// signature: first among the likely ones, those that have the name in the body,
// else the installation's; where the name leaves a doubt and a caller waits,
// then among the others.
func (p *Provider) tryAll(s *scratch, want [macSize]byte, accountRef []byte, live bool, secrets []telephony.Secret) (telephony.Secret, error) {
	named := false
	for i := range secrets {
		named = named || len(accountRef) > 0 && secrets[i].AccountRef == string(accountRef)
	}
	likely := func(secret *telephony.Secret) bool {
		if named {
			return secret.AccountRef == string(accountRef)
		}
		return secret.AccountID == ""
	}
	tried, work := false, 0
	for _, first := range [...]bool{true, false} {
		if !first && (!live || named && !s.several) {
			break
		}
		for i := range secrets {
			if likely(&secrets[i]) != first {
				continue
			}
			for _, token := range secrets[i].Tokens {
				if work += len(s.urls) + len(s.ends)*len(s.body); token == "" || !first && work > maxTried {
					continue
				}
				tried = true
				if p.keys.signed(token, s, want[:]) {
					return secrets[i], nil
				}
			}
		}
	}
	if !tried {
		return telephony.Secret{}, errNoSecret
	}
	return telephony.Secret{}, errMismatch
}

func readSignature(headers []string) (mac [macSize]byte, err error) {
	switch {
	case len(headers) == 0:
		return mac, errNoHeader
	case len(headers) > 1:
		return mac, errTwoHeaders
	case headers[0] == "":
		return mac, errEmpty
	case len(headers[0]) != base64.StdEncoding.EncodedLen(macSize):
		return mac, errNotBase64
	}
	// Strict: one signature has one spelling.
	var text [28]byte
	var buf [21]byte
	copy(text[:], headers[0])
	n, err := base64.StdEncoding.Strict().Decode(buf[:], text[:])
	if err != nil || n != macSize {
		return mac, errNotBase64
	}
	copy(mac[:], buf[:n])
	return mac, nil
}

// scratch is what one check works with. It is pooled: a webhook arrives every
// few microseconds on a busy day, and most of the cost of a naive check is
// garbage.
type scratch struct {
	pairs   []pair
	several bool   // the body names more than one account
	arena   []byte // decoded parameters
	body    []byte // the parameters as they are signed, after the URL
	urls    []byte // the spellings of the URL, one after the other
	ends    []int  // where each spelling ends in urls
	sum     []byte
}

var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

// maxKept bounds what a pooled scratch may hold on to after a giant request.
const maxKept = 64 << 10

func (s *scratch) release() {
	if cap(s.arena)+cap(s.body)+cap(s.urls) > maxKept || cap(s.pairs) > 1024 {
		return
	}
	clear(s.pairs) // or the pool keeps the bodies alive
	s.pairs, s.arena, s.body, s.urls, s.ends = s.pairs[:0], s.arena[:0], s.body[:0], s.urls[:0], s.ends[:0]
	scratchPool.Put(s)
}

// readBody prepares the signed form of the body and returns the AccountSid among
// the parameters, nil when they name none; the first, and several, when they name
// more.
func (s *scratch) readBody(r telephony.Request) (accountRef []byte, err error) {
	_, query := splitTarget(r.Target)
	hashed, err := checkBodyHash(query, r.Body)
	if err != nil {
		return nil, err
	}
	text, readable := parameters(r, query, hashed)
	if !readable {
		if !hashed && len(r.Body) > 0 {
			return nil, errUnsigned
		}
		return nil, nil
	}
	if cap(s.arena) < len(text) {
		s.arena = make([]byte, 0, len(text))
	}
	s.pairs, s.arena = appendPairs(s.pairs[:0], s.arena[:0], text)
	for i := range s.pairs {
		switch value := s.pairs[i].value; {
		case string(s.pairs[i].name) != "AccountSid":
		case accountRef == nil:
			accountRef = value
		default:
			s.several = s.several || !bytes.Equal(accountRef, value)
		}
	}
	if hashed || len(r.Body) == 0 { // what stands in the URL is signed with it
		return accountRef, nil
	}
	for _, p := range sortPairs(s.pairs) {
		s.body = append(s.body, p.name...)
		s.body = append(s.body, p.value...)
	}
	return accountRef, nil
}

// checkBodyHash compares the body with every bodySHA256 in the raw query. An
// empty one does not count as one.
func checkBodyHash(query string, body []byte) (hashed bool, err error) {
	for query != "" {
		var piece string
		piece, query, _ = strings.Cut(query, "&")
		value, ok := strings.CutPrefix(piece, "bodySHA256=")
		if !ok || value == "" {
			continue
		}
		var want [sha256.Size]byte
		if hex.DecodedLen(len(value)) != len(want) || len(value)%2 != 0 {
			return true, errBodyHash
		}
		if _, err := hex.Decode(want[:], []byte(value)); err != nil {
			return true, errBodyHash
		}
		got := sha256.Sum256(body)
		if !hmac.Equal(got[:], want[:]) {
			return true, errBodyHash
		}
		hashed = true
	}
	return hashed, nil
}

// spell writes the ways in which Twilio may have written the URL: as
// configured, without the port, and with the scheme's own port. It returns false
// when base is not a URL.
func (s *scratch) spell(base, target string) bool {
	scheme, rest, ok := strings.Cut(base, "://")
	if !ok {
		return false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	authority, prefix := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, prefix = rest[:i], strings.TrimSuffix(rest[i:], "/")
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	host, port := splitPort(authority)
	if scheme == "" || host == "" {
		return false
	}
	target, _, _ = strings.Cut(target, "#")

	s.spelling(scheme, host, port, prefix, target)
	if port != "" {
		s.spelling(scheme, host, "", prefix, target)
		return true
	}
	if standard := standardPort(scheme); standard != "" {
		s.spelling(scheme, host, standard, prefix, target)
	}
	return true
}

// spelling adds one URL, and beside it the older encoding of the query, in
// which an apostrophe is written %27.
func (s *scratch) spelling(scheme, host, port, prefix, target string) {
	start := len(s.urls)
	s.urls = append(s.urls, scheme...)
	s.urls = append(s.urls, "://"...)
	s.urls = append(s.urls, host...)
	s.urls = append(s.urls, port...)
	s.urls = append(s.urls, prefix...)
	head := len(s.urls)
	s.urls = append(s.urls, target...)
	s.ends = append(s.ends, len(s.urls))

	path, query := splitTarget(target)
	if strings.IndexByte(query, '\'') < 0 {
		return
	}
	s.urls = append(s.urls, s.urls[start:head]...)
	s.urls = append(s.urls, path...)
	s.urls = append(s.urls, '?')
	for i := range len(query) {
		if query[i] == '\'' {
			s.urls = append(s.urls, "%27"...)
			continue
		}
		s.urls = append(s.urls, query[i])
	}
	s.ends = append(s.ends, len(s.urls))
}

// splitPort separates "host:8080" into "host" and ":8080". The colons inside an
// IPv6 address in brackets are its own.
func splitPort(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i < strings.LastIndexByte(authority, ']') {
		return authority, ""
	}
	return authority[:i], authority[i:]
}

func standardPort(scheme string) string {
	switch {
	case strings.EqualFold(scheme, "https"):
		return ":443"
	case strings.EqualFold(scheme, "http"):
		return ":80"
	}
	return ""
}

// keyRing keeps keyed HMACs for reuse. Setting a key costs as much as signing a
// short request.
type keyRing struct {
	mu    sync.RWMutex
	pools map[string]*sync.Pool // by token
}

// maxKeys bounds the ring; when it is full it begins anew. Tokens come from the
// configuration and change by rotation only, so this hardly ever happens.
const maxKeys = 4096

func (k *keyRing) pool(token string) *sync.Pool {
	k.mu.RLock()
	pool := k.pools[token]
	k.mu.RUnlock()
	if pool != nil {
		return pool
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if pool := k.pools[token]; pool != nil {
		return pool
	}
	if k.pools == nil || len(k.pools) >= maxKeys {
		k.pools = make(map[string]*sync.Pool)
	}
	pool = &sync.Pool{New: func() any { return hmac.New(sha1.New, []byte(token)) }}
	k.pools[token] = pool
	return pool
}

// signed says whether the token gives the signature for any spelling of the
// URL.
func (k *keyRing) signed(token string, s *scratch, want []byte) bool {
	pool := k.pool(token)
	mac := pool.Get().(hash.Hash)
	defer pool.Put(mac)
	start := 0
	for _, end := range s.ends {
		mac.Reset()
		mac.Write(s.urls[start:end])
		mac.Write(s.body)
		s.sum = mac.Sum(s.sum[:0])
		if hmac.Equal(s.sum, want) {
			return true
		}
		start = end
	}
	return false
}
