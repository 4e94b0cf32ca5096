package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
)

//go:embed dashboard/*.html dashboard/*.css dashboard/*.js docs/*.html docs/*.js docs/*.css
var files embed.FS

// Policy is the content security policy of every page.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; media-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Pages that Render knows.
const (
	SignIn    = "signin.html"
	Dashboard = "dashboard.html"
	Docs      = "docs.html"
)

var pages = template.Must(template.ParseFS(files, "dashboard/*.html", "docs/*.html"))

// SignInData fills the sign-in page.
type SignInData struct {
	Email  string // what was typed before
	Failed string // why the last try failed, "" for none
	Next   string // where to go afterwards
}

// DashboardData fills the dashboard.
type DashboardData struct {
	Account  string
	TZ       string
	Currency string
	Name     string // of the person
	Role     string
	CanJudge bool // may write at the desk
	CanHear  bool // may hear recordings
	Version  string
}

// Render writes a page.
func Render(w io.Writer, page string, data any) error {
	return pages.ExecuteTemplate(w, page, data)
}

// asset is a file as it is sent.
type asset struct {
	contentType string
	etag        string
	plain       []byte
	zipped      func() []byte
}

// assets are the scripts and styles by their path below /assets/. It is an exact
// list: a path that is not on it is not there, however it is written.
var assets = loadAssets()

func loadAssets() map[string]asset {
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
	list := map[string]asset{}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		kind, ok := types[filepath.Ext(path)]
		if err != nil || d.IsDir() || !ok {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		list[path] = asset{
			contentType: kind,
			etag:        `"` + hex.EncodeToString(sum[:8]) + `"`,
			plain:       text,
			zipped:      sync.OnceValue(func() []byte { return zip(text) }),
		}
		return nil
	})
	if err != nil {
		panic("web: embedded files: " + err.Error())
	}
	return list
}

func zip(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) //nolint:errcheck // there is this level
	w.Write(text)                                         //nolint:errcheck // into memory
	w.Close()                                             //nolint:errcheck // into memory
	return b.Bytes()
}

// ServeAsset answers with the script or style of that path below /assets/, and
// returns false when there is none. Browsers keep it and ask whether it is still
// the same.
func ServeAsset(w http.ResponseWriter, r *http.Request, path string) bool {
	a, ok := assets[path]
	if !ok {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.zipped()
	}
	w.Write(body) //nolint:errcheck // the client is gone
	return true
}
