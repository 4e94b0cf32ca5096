package web

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/js"
)

//go:embed dni/dni.js dni/frozen/*.js
var dniFiles embed.FS

// Script is a script for websites, ready to be sent.
type Script struct {
	etag  string
	plain []byte
	// versioned says that the bytes below this address never change.
	versioned bool
}

// Bytes returns the script's text.
func (s Script) Bytes() []byte { return s.plain }

// unset is the end of dni.js, where a site's settings go.
const unset = "(null)"

// minified is dni.js as it is served: the comments and long names are for
// people.
var minified = sync.OnceValue(func() []byte {
	source, err := dniFiles.ReadFile("dni/dni.js")
	if err != nil {
		panic("web: embedded files: " + err.Error())
	}
	var out bytes.Buffer
	m := js.Minifier{Version: 2018}
	if err := m.Minify(minify.New(), &out, bytes.NewReader(source), nil); err != nil {
		panic("web: dni.js: " + err.Error())
	}
	text := bytes.TrimRight(out.Bytes(), ";\n")
	if !bytes.HasSuffix(text, []byte(unset)) {
		panic("web: dni.js does not end with " + unset)
	}
	return text
})

// SiteScript is the swapping script with a site's settings, a JSON object, in
// it.
func SiteScript(settings []byte) Script {
	text := bytes.TrimSuffix(minified(), []byte(unset))
	return newScript(slices.Concat(text, []byte("("), settings, []byte(");\n")), false)
}

func newScript(text []byte, versioned bool) Script {
	sum := sha256.Sum256(text)
	return Script{etag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: text, versioned: versioned}
}

// Frozen is a version of the swapping script whose bytes never change, so that
// a website can pin it. It learns its site from an attribute of its tag.
type Frozen struct {
	Version   string `json:"version"`
	Path      string `json:"path"`
	Integrity string `json:"integrity"`
	Bytes     int    `json:"bytes"`
}

// FrozenVersions lists them, the newest last.
func FrozenVersions() []Frozen {
	var list []Frozen
	for version, script := range frozen() {
		list = append(list, Frozen{Version: version, Path: "/dni/v1/dni-" + version + ".js", Integrity: script.Integrity(), Bytes: len(script.plain)})
	}
	slices.SortFunc(list, func(a, b Frozen) int { return strings.Compare(a.Version, b.Version) })
	return list
}

// FrozenScript returns a version, false when there is none.
func FrozenScript(version string) (Script, bool) {
	s, ok := frozen()[version]
	return s, ok
}

var frozen = sync.OnceValue(func() map[string]Script {
	entries, err := dniFiles.ReadDir("dni/frozen")
	if err != nil {
		panic("web: embedded files: " + err.Error())
	}
	list := map[string]Script{}
	for _, e := range entries {
		text, err := dniFiles.ReadFile("dni/frozen/" + e.Name())
		if err != nil {
			panic("web: embedded files: " + err.Error())
		}
		version := strings.TrimSuffix(strings.TrimPrefix(e.Name(), "dni-"), ".js")
		list[version] = newScript(text, true)
	}
	return list
})

// Integrity is what goes into a script tag's integrity attribute.
func (s Script) Integrity() string {
	sum := sha512.Sum384(s.plain)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// zippedScripts keeps the compressed form of the scripts that were asked for.
var zippedScripts = struct {
	sync.Mutex
	byETag map[string][]byte
}{byETag: map[string][]byte{}}

// maxZipped bounds how many sites' scripts are kept compressed.
const maxZipped = 512

func (s Script) zipped() []byte {
	zippedScripts.Lock()
	defer zippedScripts.Unlock()
	if z, ok := zippedScripts.byETag[s.etag]; ok {
		return z
	}
	if len(zippedScripts.byETag) >= maxZipped {
		clear(zippedScripts.byETag)
	}
	z := zip(s.plain)
	zippedScripts.byETag[s.etag] = z
	return z
}

// ServeHTTP answers with the script. Any page may load it: what it may do is
// decided by the doors that it asks.
func (s Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("ETag", s.etag)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Add("Vary", "Accept-Encoding")
	// A site's settings change now and then; while we are away the old ones do.
	h.Set("Cache-Control", "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800")
	if s.versioned {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == s.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := s.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = s.zipped()
	}
	w.Write(body) //nolint:errcheck // the client is gone
}
