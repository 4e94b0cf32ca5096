package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/web"
)

// settings are those of a usual site: two printed numbers.
const settings = `{"key":"dni_06h13psxxsz4scg6sdcww6wqem","server":"https://calls.example.com","swap":[` +
	`{"e164":"+13125550100","national":"(312) 555-0100","cc":"1"},{"e164":"+442079460018","national":"020 7946 0018","cc":"44"}],` +
	`"consent":"not_required","cookie_days":90,"beat_seconds":30}`

// maxScript is what the script may weigh, gzipped, with a site's settings in it.
const maxScript = 6000

func get(h http.Handler, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheScriptIsAsLightAsTheReadmeSays(t *testing.T) {
	size := get(web.SiteScript([]byte(settings)), "Accept-Encoding", "gzip").Body.Len()
	t.Logf("the script with a site's settings: %d bytes gzipped", size)
	if size > maxScript {
		t.Errorf("it has %d bytes, the limit is %d", size, maxScript)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`script weighs ([0-9]\.[0-9]) kB gzipped`).FindSubmatch(readme)
	if said == nil {
		t.Fatal("the README does not say what the script weighs")
	}
	kB, err := strconv.ParseFloat(string(said[1]), 64)
	if err != nil || kB*1000 < float64(size) || kB*1000 > float64(size)+300 {
		t.Errorf("the README says %s kB, it has %d bytes", said[1], size)
	}
}

func TestTheScriptCarriesItsSettingsAndMayBeKept(t *testing.T) {
	evil := `{"key":"\u003c/script\u003e"}`
	first := get(web.SiteScript([]byte(settings)))
	if !strings.HasSuffix(first.Body.String(), "("+settings+");\n") {
		t.Error("the settings are not at the end")
	}
	if strings.Contains(get(web.SiteScript([]byte(evil))).Body.String(), "</script") {
		t.Error("settings can end the script")
	}
	h := first.Header()
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Access-Control-Allow-Origin": "*",
		"Cross-Origin-Resource-Policy": "cross-origin", "Vary": "Accept-Encoding",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(h.Get("Cache-Control"), "max-age=300") || !strings.Contains(h.Get("Cache-Control"), "stale-if-error") {
		t.Errorf("Cache-Control: got %q", h.Get("Cache-Control"))
	}
	if again := get(web.SiteScript([]byte(settings)), "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked whether it is the same: %d with %d bytes", again.Code, again.Body.Len())
	}
	if other := get(web.SiteScript([]byte(evil)), "If-None-Match", h.Get("ETag")); other.Code != http.StatusOK {
		t.Error("other settings have the same tag")
	}
}

// What a website pins must never change, or its visitors' browsers refuse it. A
// new version is a new file and a new line here.
var integrities = map[string]string{
	"1.0.0": "sha384-GXHHJVBD0HeNM2nmdVs9jFp0H2rJYDSHBudznCUAFuLMzcF85L4b6Pai5mq6wOHo",
}

func TestFrozenScriptsNeverChange(t *testing.T) {
	list := web.FrozenVersions()
	if len(list) != len(integrities) {
		t.Errorf("%d versions are there, %d are known", len(list), len(integrities))
	}
	docs, err := os.ReadFile("../docs/dni.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		script, ok := web.FrozenScript(f.Version)
		if !ok || script.Integrity() != integrities[f.Version] || f.Integrity != integrities[f.Version] {
			t.Errorf("version %s: got %s, want %s", f.Version, f.Integrity, integrities[f.Version])
		}
		if !strings.Contains(string(docs), f.Integrity) {
			t.Errorf("docs/dni.md does not name the integrity of version %s", f.Version)
		}
		w := get(script, "Accept-Encoding", "gzip")
		if w.Body.Len() > maxScript || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("version %s: %d bytes, %s", f.Version, w.Body.Len(), w.Header().Get("Cache-Control"))
		}
	}
	if _, ok := web.FrozenScript("0.0.0"); ok {
		t.Error("a version that never was is there")
	}
	if _, err := json.Marshal(list); err != nil {
		t.Error(err)
	}
}

// A page's policy may forbid all of these.
func TestTheScriptNeedsNothingThatAPolicyForbids(t *testing.T) {
	text := string(web.SiteScript([]byte(settings)).Bytes())
	for _, word := range []string{
		"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "setAttribute('style", `setAttribute("style`,
		"createElement('script", `createElement("script`, "localStorage", "import(",
	} {
		if strings.Contains(text, word) {
			t.Errorf("the script holds %s", word)
		}
	}
}

// TestFreeze writes the script for scripts/freeze.sh.
func TestFreeze(t *testing.T) {
	file := os.Getenv("FREEZE")
	if file == "" {
		t.Skip("nothing is to be frozen")
	}
	if err := os.WriteFile(file, web.SiteScript([]byte("null")).Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
