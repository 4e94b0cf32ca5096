package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/web"
)

var pages = map[string]any{
	web.SignIn:    web.SignInData{Email: `"><script>alert(1)</script>`, Failed: "no", Next: "/"},
	web.Dashboard: web.DashboardData{Account: `<img src=x onerror=alert(1)>`, TZ: "UTC", Currency: "USD", CanJudge: true},
	web.Docs:      nil,
}

// The policy forbids inline scripts and styles; a page that has one would be
// broken in the browser and nowhere else.
var forbidden = regexp.MustCompile(`(?i)<script(>|[^>]*[^"]>[^<])|<style|\sstyle=|\son[a-z]+=["']|javascript:|https?://`)

func TestPagesFitTheirPolicyAndEscapeWhatTheyAreGiven(t *testing.T) {
	for name, data := range pages {
		var b strings.Builder
		if err := web.Render(&b, name, data); err != nil {
			t.Fatal(err)
		}
		if m := forbidden.FindString(b.String()); m != "" {
			t.Errorf("%s holds %q", name, m)
		}
		if strings.Contains(b.String(), "<img src=x") || strings.Contains(b.String(), "<script>alert") {
			t.Errorf("%s does not escape", name)
		}
	}
}

func TestEveryFileThatAPageNamesIsThere(t *testing.T) {
	named := regexp.MustCompile(`(?:src|href)="/assets/([^"]+)"`)
	for name, data := range pages {
		var b strings.Builder
		if err := web.Render(&b, name, data); err != nil {
			t.Fatal(err)
		}
		found := named.FindAllStringSubmatch(b.String(), -1)
		if len(found) == 0 {
			t.Errorf("%s names no file", name)
		}
		for _, m := range found {
			w := httptest.NewRecorder()
			if !web.ServeAsset(w, httptest.NewRequest(http.MethodGet, "/assets/"+m[1], nil), m[1]) || w.Body.Len() == 0 {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
}

func TestLabelsAndCaptionsAreThere(t *testing.T) {
	var b strings.Builder
	if err := web.Render(&b, web.Dashboard, pages[web.Dashboard]); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if tables, captions := strings.Count(text, "<table"), strings.Count(text, "<caption"); tables == 0 || tables != captions {
		t.Errorf("%d tables, %d captions", tables, captions)
	}
	for _, m := range regexp.MustCompile(`<(?:input|select|textarea) id="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, `for="`+m[1]+`"`) {
			t.Errorf("%s has no label", m[1])
		}
	}
}

func TestAssetsAreAnExactList(t *testing.T) {
	for _, path := range []string{"", "web.go", "dashboard", "dashboard/", "dashboard/signin.html", "../web.go", "dashboard/../docs/docs.js", "/dashboard/callwheel.js", "dashboard/callwheel.js/"} {
		w := httptest.NewRecorder()
		if web.ServeAsset(w, httptest.NewRequest(http.MethodGet, "/assets/x", nil), path) {
			t.Errorf("%q was served", path)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/assets/dashboard/callwheel.js", nil)
	w := httptest.NewRecorder()
	web.ServeAsset(w, r, "dashboard/callwheel.js")
	if got := w.Header().Get("Content-Type"); got != "text/javascript; charset=utf-8" {
		t.Errorf("Content-Type: got %q", got)
	}
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	r.Header.Set("Accept-Encoding", "gzip")
	again := httptest.NewRecorder()
	web.ServeAsset(again, r, "dashboard/callwheel.js")
	if again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("the second time: %d with %d bytes", again.Code, again.Body.Len())
	}
	r.Header.Del("If-None-Match")
	zipped := httptest.NewRecorder()
	web.ServeAsset(zipped, r, "dashboard/callwheel.js")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() >= w.Body.Len() {
		t.Errorf("zipped: %d of %d bytes", zipped.Body.Len(), w.Body.Len())
	}
}

func TestTheScriptWritesNoHTML(t *testing.T) {
	w := httptest.NewRecorder()
	web.ServeAsset(w, httptest.NewRequest(http.MethodGet, "/", nil), "dashboard/callwheel.js")
	for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", ".style"} {
		if strings.Contains(w.Body.String(), word) {
			t.Errorf("the script holds %s", word)
		}
	}
}
