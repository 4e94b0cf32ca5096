package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	_ "github.com/callwheel/callwheel/scripts/draws"
)

func TestATableHasOneColumnPerFigure(t *testing.T) {
	type inner struct {
		Source   string `json:"source"`
		Campaign string `json:"campaign"`
	}
	type item struct {
		ID     string           `json:"id"`
		From   *wireNumber      `json:"from"`
		Value  *callwheel.Money `json:"value"`
		Inner  *inner           `json:"attribution"`
		Tags   []string         `json:"tags"`
		Count  *int64           `json:"count"`
		hidden string           //nolint:unused // must not become a column
	}
	list, fields, header := shapeOf(reflect.TypeFor[page[item]]())
	if list != "items" || !slices.Equal(fields, []string{"id", "from", "value", "attribution", "tags", "count"}) {
		t.Errorf("shape: got %q, %v", list, fields)
	}
	want := []string{"id", "from", "value", "value_currency", "attribution_source", "attribution_campaign", "tags", "count"}
	if !slices.Equal(header, want) {
		t.Errorf("header: got %v, want %v", header, want)
	}
	n := int64(-3)
	text, err := marshal(page[item]{Items: []item{
		{ID: "a", From: number("+13125550171"), Value: &callwheel.Money{Micros: 1_234_500_000, Currency: "USD"}, Inner: &inner{"ads", "=1+1"}, Tags: []string{"x", "y"}, Count: &n},
		{ID: "b"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := parseObject(text)
	if err != nil {
		t.Fatal(err)
	}
	items, err := whole.items("items", nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(toCSV(items, header))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rows[1], []string{"a", "+13125550171", "1234.50", "USD", "ads", "'=1+1", "x; y", "-3"}; !slices.Equal(got, want) {
		t.Errorf("first row: got %q, want %q", got, want)
	}
	if got, want := rows[2], []string{"b", "", "", "", "", "", "", ""}; !slices.Equal(got, want) {
		t.Errorf("second row: got %q, want %q", got, want)
	}
}

func TestNoCellIsTakenForAFormula(t *testing.T) {
	for text, want := range map[string]string{
		"plain":          "plain",
		"":               "",
		"=1+1":           "'=1+1",
		"+1+1":           "'+1+1",
		"-1+cmd":         "'-1+cmd",
		"@SUM(A1)":       "'@SUM(A1)",
		"\t=1":           "'\t=1",
		"\r=1":           "'\r=1",
		"+13125550171":   "+13125550171",
		"+••••••••••71":  "+••••••••••71",
		"-12.50":         "-12.50",
		"-1e-05":         "-1e-05",
		"+1312555=0171x": "'+1312555=0171x",
	} {
		if got := safeCell(text); got != want {
			t.Errorf("safeCell(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestAnObjectComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.MapOf(rapid.String(), rapid.OneOf(
			rapid.Just(any(nil)), rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Int64(), func(n int64) any { return float64(n % 1e15) }),
		)).Draw(t, "object")
		text, err := marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		o, err := parseObject(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.json(); !bytes.Equal(got, text) {
			t.Fatalf("got %s, want %s", got, text)
		}
	})
}

// What checkJSON lets through must be one JSON object that means the same to
// every reader, and must not hold what one of the databases refuses.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, `{"a":{"a":[1,"\u00e9",null]}}`, `{"a":"\ud83d\ude00"}`, `{"a":1,"a":2}`, `{"a":"\u0000"}`, `{"a":"\\u0000"}`, `{"a":"\ud83d"}`, `[]`, `{"a":1}x`, "\ufeff{}", `{"a":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) || checkJSON(body) != nil {
			return
		}
		var v map[string]any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%q was let through and is not JSON: %v", body, err)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(again), `\u0000`) && !strings.Contains(string(body), `\\u0000`) {
			t.Fatalf("%q was let through with a NUL", body)
		}
		if strings.ContainsRune(string(again), utf8.RuneError) && !strings.ContainsRune(string(body), utf8.RuneError) && !strings.Contains(strings.ToLower(string(body)), `\ufffd`) {
			t.Fatalf("%q was let through with half a surrogate pair", body)
		}
	})
}

// A cursor that somebody else made is never taken, and reading one never fails
// in another way.
func FuzzReadCursor(f *testing.F) {
	s := &Server{cursorKey: []byte("key")}
	who := account.Identity{AccountID: "acct_a"}
	f.Add(s.cursor(who, "calls", Paging{}, "call_1"))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		var position string
		ok, err := s.readCursor(who, "calls", Paging{Cursor: text}, &position)
		if ok && s.cursor(who, "calls", Paging{}, position) != text {
			t.Fatalf("%q was taken and was not made here", text)
		}
		if err != nil && problemOf(t.Context(), err).Type != "bad-cursor" {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func TestKindsAreStatusesOnce(t *testing.T) {
	for kind, want := range map[callwheel.Kind]int{
		callwheel.Malformed: 400, callwheel.Invalid: 422, callwheel.NotFound: 404, callwheel.Conflict: 409, callwheel.Stale: 412,
		callwheel.Forbidden: 403, callwheel.Exhausted: 409, callwheel.Unavailable: 503, callwheel.Internal: 500,
	} {
		p := problemOf(t.Context(), callwheel.Errorf(kind, "secret cause"))
		if p.Status != want {
			t.Errorf("%s: got %d, want %d", kind, p.Status, want)
		}
		if told := strings.Contains(p.Detail, "secret cause"); told != (want < 500 && want != 404) {
			t.Errorf("%s: detail %q", kind, p.Detail)
		}
		if want == 503 && p.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

func TestFreeNamesShareOneColumnOnEveryPage(t *testing.T) {
	header := []string{"id", "click_ids", "note"}
	items := []object{
		mustObject(t, `{"id":"a","click_ids":{"gclid":"1","fbclid":"=2"},"note":null}`),
		mustObject(t, `{"id":"b","click_ids":{},"note":"n"}`),
	}
	got := string(toCSV(items, header))
	want := "id,click_ids,note\r\na,gclid=1; fbclid==2,\r\nb,,n\r\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func mustObject(t *testing.T, text string) object {
	t.Helper()
	o, err := parseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}
