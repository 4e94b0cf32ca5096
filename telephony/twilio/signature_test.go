package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
	"pgregory.net/rapid"

	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

const formType = "application/x-www-form-urlencoded"

type vector struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Base        string      `json:"base"`
	Target      string      `json:"target"`
	Method      string      `json:"method"`
	Token       string      `json:"token"`
	Params      [][2]string `json:"params"`
	Body        string      `json:"body"`
	ContentType string      `json:"content_type"`
	Signature   string      `json:"signature"`
	Accept      bool        `json:"accept"`
}

func (v vector) request() telephony.Request {
	body, contentType := v.Body, v.ContentType
	if len(v.Params) > 0 {
		body, contentType = encode(v.Params), formType
	}
	return telephony.Request{
		Method: "POST", Target: v.Target, ContentType: contentType,
		Body: []byte(body), Signatures: []string{v.Signature},
	}
}

func encode(params [][2]string) string {
	var parts []string
	for _, p := range params {
		parts = append(parts, url.QueryEscape(p[0])+"="+url.QueryEscape(p[1]))
	}
	return strings.Join(parts, "&")
}

func vectors(t testing.TB) []vector {
	t.Helper()
	var file struct{ Vectors []vector }
	readJSON(t, "testdata/vectors.json", &file)
	return file.Vectors
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// installation is a list of secrets with one account of the installation.
func installation(tokens ...string) []telephony.Secret {
	return []telephony.Secret{{AccountRef: "AC_installation", Tokens: tokens}}
}

func TestVerifyAgreesWithTheConformanceVectors(t *testing.T) {
	list := vectors(t)
	if len(list) < 35 {
		t.Fatalf("got %d vectors, want at least 35", len(list))
	}
	p := twilio.New()
	for _, v := range list {
		t.Run(v.ID+" "+v.Name, func(t *testing.T) {
			token := v.Token
			if token == "" {
				token = "12345"
			}
			_, err := p.Verify(v.request(), v.Base, installation(token))
			if (err == nil) != v.Accept {
				t.Errorf("got %v, want accepted %v", err, v.Accept)
			}
			if err != nil && !errors.Is(err, telephony.ErrSignature) {
				t.Errorf("got %v, want an error that wraps ErrSignature", err)
			}
			if _, err := p.Verify(v.request(), v.Base, installation("other", token)); (err == nil) != v.Accept {
				t.Errorf("with two tokens: got %v, want accepted %v", err, v.Accept)
			}
			if _, err := p.Verify(v.request(), v.Base, installation("other")); err == nil {
				t.Error("accepted under another token")
			}
		})
	}
}

// scenario is one signed request of the shared scenarios.
type scenario struct {
	Name      string            `json:"name"`
	Scenario  string            `json:"scenario"`
	Door      string            `json:"door"`
	URL       string            `json:"url"`
	Params    map[string]string `json:"params"`
	Signature string            `json:"signature"`
}

func (s scenario) request(t testing.TB) (r telephony.Request, base string) {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	values := url.Values{}
	for name, value := range s.Params {
		values.Set(name, value)
	}
	return telephony.Request{
		Door: telephony.Door(s.Door), Method: "POST", Target: u.RequestURI(), ContentType: formType,
		Body: []byte(values.Encode()), Signatures: []string{s.Signature},
		ReceivedAt: time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC),
	}, u.Scheme + "://" + u.Host
}

func scenarios(t testing.TB) (token string, list []scenario) {
	t.Helper()
	dir := os.Getenv("CALLWHEEL_ORACLES")
	if dir == "" {
		t.Skip("CALLWHEEL_ORACLES does not say where the signed scenarios are")
	}
	var file struct {
		Token    string     `json:"auth_token"`
		Requests []scenario `json:"requests"`
	}
	readJSON(t, filepath.Join(dir, "twilio", "scenarios.json"), &file)
	if len(file.Requests) != 51 {
		t.Fatalf("got %d scenarios, want 51", len(file.Requests))
	}
	return file.Token, file.Requests
}

func TestEverySignedScenarioIsBelievedAndNoAlterationOfIt(t *testing.T) {
	token, list := scenarios(t)
	p := twilio.New()
	secrets := []telephony.Secret{
		{AccountRef: "AC00000000000000000000000000000002", AccountID: "acct_other", Tokens: []string{"another"}},
		{AccountRef: "AC00000000000000000000000000000001", AccountID: "acct_mine", Tokens: []string{"next", token}},
	}
	for _, s := range list {
		t.Run(s.Scenario+" "+s.Name, func(t *testing.T) {
			r, base := s.request(t)
			secret, err := p.Verify(r, base, secrets)
			if err != nil || secret.AccountID != "acct_mine" {
				t.Fatalf("got %q, %v, want acct_mine", secret.AccountID, err)
			}
			refused := func(what string, r telephony.Request, base string, secrets []telephony.Secret) {
				t.Helper()
				if _, err := p.Verify(r, base, secrets); !errors.Is(err, telephony.ErrSignature) {
					t.Errorf("%s: got %v, want ErrSignature", what, err)
				}
			}
			change := func(edit func(v url.Values)) telephony.Request {
				values, _ := url.ParseQuery(string(r.Body))
				edit(values)
				changed := r
				changed.Body = []byte(values.Encode())
				return changed
			}
			for name, value := range s.Params {
				refused(name+" with one byte more", change(func(v url.Values) { v.Set(name, value+"x") }), base, secrets)
				refused(name+" removed", change(func(v url.Values) {
					v.Del(name)
					if value == "" { // a name without a value is signed as its name
						v.Set(name[:len(name)-1], "")
					}
				}), base, secrets)
				if value != "" {
					flipped := []byte(value)
					flipped[len(flipped)/2] ^= 1
					refused(name+" with one bit changed", change(func(v url.Values) { v.Set(name, string(flipped)) }), base, secrets)
				}
			}
			refused("a parameter added", change(func(v url.Values) { v.Set("Extra", "") }), base, secrets)
			refused("a second From", change(func(v url.Values) { v.Add("From", "+13125550199") }), base, secrets)
			refused("other tokens", r, base, []telephony.Secret{{AccountRef: secrets[1].AccountRef, Tokens: []string{"testauthtoke", "TESTAUTHTOKEN", ""}}})
			refused("http for https", r, strings.Replace(base, "https:", "http:", 1), secrets)
			refused("another host", r, "https://calls.example.org", secrets)
			target := r
			target.Target += "&x=1"
			refused("another query", target, base, secrets)
			target.Target = strings.Replace(r.Target, "/", "//", 1)
			refused("another path", target, base, secrets)
		})
	}
}

func TestARetryAndItsFragmentDoNotMatter(t *testing.T) {
	params := [][2]string{{"AccountSid", "AC1"}, {"CallSid", "CA1"}}
	r := telephony.Request{Target: "/cb", ContentType: formType, Body: []byte(encode(params))}
	r.Signatures = []string{sign("tok", "https://a.example/cb", params)}
	for _, base := range []string{"https://a.example", "https://a.example/", "https://a.example#rc=2&rp=5xx", "https://a.example/#rc=2", "https://u:p@a.example:8443"} {
		if _, err := twilio.New().Verify(r, base, installation("tok")); err != nil {
			t.Errorf("base %s: got %v, want accepted", base, err)
		}
	}
	withPrefix := r
	withPrefix.Signatures = []string{sign("tok", "https://a.example/in/cb", params)}
	if _, err := twilio.New().Verify(withPrefix, "https://a.example/in/", installation("tok")); err != nil {
		t.Errorf("base with a path: got %v, want accepted", err)
	}
	v6 := r
	v6.Signatures = []string{sign("tok", "http://[::1]:8080/cb", params)}
	if _, err := twilio.New().Verify(v6, "http://[::1]:8080", installation("tok")); err != nil {
		t.Errorf("IPv6 base: got %v, want accepted", err)
	}
}

func TestSecretsAreChosenByTheAccountInTheBody(t *testing.T) {
	mine := telephony.Secret{AccountRef: "AC1", AccountID: "acct_1", Tokens: []string{"one"}}
	theirs := telephony.Secret{AccountRef: "AC2", AccountID: "acct_2", Tokens: []string{"two"}}
	ours := telephony.Secret{AccountRef: "AC9", Tokens: []string{"nine", "nine-next"}}
	all := []telephony.Secret{mine, theirs, ours}
	cases := []struct {
		name, account, token string
		secrets              []telephony.Secret
		want                 string // AccountRef; "" is refused
	}{
		{"its own token", "AC1", "one", all, "AC1"},
		{"the token of another account", "AC1", "two", all, ""},
		{"the installation's token for an account with its own", "AC1", "nine", all, ""},
		{"the installation by name", "AC9", "nine", all, "AC9"},
		{"the installation's next token", "AC9", "nine-next", all, "AC9"},
		{"an unknown account with the installation's token", "AC5", "nine", all, "AC9"},
		{"an unknown account with some account's token", "AC5", "one", all, ""},
		{"no account with the installation's token", "", "nine", all, "AC9"},
		{"no account with some account's token", "", "one", all, ""},
		{"no secrets at all", "AC1", "one", nil, ""},
		{"a secret without tokens", "AC1", "", []telephony.Secret{{AccountRef: "AC1"}}, ""},
		{"an empty token is no token", "AC1", "", []telephony.Secret{{AccountRef: "AC1", Tokens: []string{""}}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			params := [][2]string{{"CallSid", "CA1"}}
			if c.account != "" {
				params = append(params, [2]string{"AccountSid", c.account})
			}
			r := telephony.Request{Target: "/x", ContentType: formType, Body: []byte(encode(params))}
			r.Signatures = []string{sign(c.token, "https://a.example/x", params)}
			got, err := twilio.New().Verify(r, "https://a.example", c.secrets)
			if got.AccountRef != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v, want %q", got.AccountRef, err, c.want)
			}
		})
	}
}

func TestWhileACallerWaitsABodyThatNamesNobodyIsTriedWithEverySecret(t *testing.T) {
	mine := telephony.Secret{AccountRef: "AC1", AccountID: "acct_1", Tokens: []string{"one"}}
	theirs := telephony.Secret{AccountRef: "AC2", AccountID: "acct_2", Tokens: []string{"two", "two-old"}}
	ours := telephony.Secret{AccountRef: "AC9", Tokens: []string{"nine"}}
	cases := []struct {
		name, token string
		accounts    []string
		want        string // AccountRef on a live door; "" is refused
		elsewhere   string // on any other
	}{
		{"none, an account's token", "one", nil, "AC1", ""},
		{"none, an account's older token", "two-old", nil, "AC2", ""},
		{"none, the installation's token", "nine", nil, "AC9", "AC9"},
		{"none, a stranger's token", "three", nil, "", ""},
		{"an empty one", "one", []string{""}, "AC1", ""},
		{"an unknown one", "one", []string{"AC5"}, "AC1", ""},
		{"two, the second signed", "one", []string{"AC9", "AC1"}, "AC1", ""},
		{"two, the first signed", "one", []string{"AC1", "AC9"}, "AC1", "AC1"},
		{"two of others", "one", []string{"AC9", "AC2"}, "AC1", ""},
		{"the same twice", "two", []string{"AC1", "AC1"}, "", ""},
		{"another account by name", "two", []string{"AC1"}, "", ""},
		{"an account by name, the installation's token", "nine", []string{"AC1"}, "", ""},
	}
	for _, c := range cases {
		for door, want := range map[telephony.Door]string{
			telephony.DoorVoice: c.want, telephony.DoorNext: c.want, telephony.DoorWhisper: c.want,
			telephony.DoorStatus: c.elsewhere, telephony.DoorMessage: c.elsewhere,
		} {
			params := [][2]string{{"CallSid", "CA1"}}
			for _, account := range c.accounts {
				params = append(params, [2]string{"AccountSid", account})
			}
			r := telephony.Request{Door: door, Target: "/x", ContentType: formType, Body: []byte(encode(params))}
			r.Signatures = []string{sign(c.token, "https://a.example/x", params)}
			got, err := twilio.New().Verify(r, "https://a.example", []telephony.Secret{mine, theirs, ours})
			if got.AccountRef != want || (err == nil) != (want != "") {
				t.Errorf("%s, %s: got %q, %v, want %q", c.name, door, got.AccountRef, err, want)
			}
		}
	}
}

func TestABodyThatNamesNobodyDoesNotMakeUsHashForEverybody(t *testing.T) {
	var secrets []telephony.Secret
	for i := range 200 {
		secrets = append(secrets, telephony.Secret{AccountRef: fmt.Sprint("AC", i), AccountID: "acct_1", Tokens: []string{fmt.Sprint("token", i)}})
	}
	params := [][2]string{{"CallSid", strings.Repeat("x", 1<<20)}}
	r := telephony.Request{Door: telephony.DoorVoice, Target: "/x", ContentType: formType, Body: []byte(encode(params))}
	for i, believed := range map[int]bool{2: true, 199: false} {
		r.Signatures = []string{sign(secrets[i].Tokens[0], "https://a.example/x", params)}
		if _, err := twilio.New().Verify(r, "https://a.example", secrets); (err == nil) != believed {
			t.Errorf("signed with secret %d: %v", i, err)
		}
	}
}

func TestOddRequestsAreRefusedWithTheirReason(t *testing.T) {
	params := [][2]string{{"CallSid", "CA1"}}
	good := sign("tok", "https://a.example/x", params)
	// The last character of 20 bytes in base64 has two unused bits; setting
	// them spells the same bytes differently.
	respelt := good[:26] + string(rune(good[26]+1)) + "="
	body := encode(params)
	sum := sha256.Sum256([]byte(body))
	hashed := "/x?bodySHA256=" + hex.EncodeToString(sum[:])
	wrong := "/x?bodySHA256=" + strings.Repeat("0", 64)
	cases := []struct {
		name, target, contentType, base string
		signatures                      []string
		why                             string // "" is accepted
	}{
		{"signed", "/x", formType, "https://a.example", []string{good}, ""},
		{"signed, with a character set", "/x", "Application/X-WWW-Form-URLEncoded; charset=UTF-8", "https://a.example", []string{good}, ""},
		{"no header", "/x", formType, "https://a.example", nil, "header missing"},
		{"an empty header", "/x", formType, "https://a.example", []string{""}, "header empty"},
		{"two headers", "/x", formType, "https://a.example", []string{good, good}, "more than one header"},
		{"two signatures in one header", "/x", formType, "https://a.example", []string{good + "," + good}, "not a signature"},
		{"not base64", "/x", formType, "https://a.example", []string{strings.Repeat("!", 28)}, "not a signature"},
		{"line ends in base64", "/x", formType, "https://a.example", []string{strings.Repeat("\n", 28)}, "not a signature"},
		{"another spelling of the same bytes", "/x", formType, "https://a.example", []string{respelt}, "not a signature"},
		{"a proxy's target", "https://a.example/x", formType, "https://a.example", []string{good}, "not a path"},
		{"no public URL", "/x", formType, "", []string{good}, "public URL"},
		{"a public URL without host", "/x", formType, "https://", []string{good}, "public URL"},
		{"a body that is no form", "/x", "application/json", "https://a.example", []string{good}, "neither a form"},
		{"a hashed form, signed as URL alone", hashed, formType, "https://a.example", []string{sign("tok", "https://a.example"+hashed, nil)}, ""},
		{
			"a hashed form in capitals", strings.ToUpper(hashed[:2]) + hashed[2:14] + strings.ToUpper(hashed[14:]), formType, "https://a.example",
			[]string{sign("tok", "https://a.example"+strings.ToUpper(hashed[:2])+hashed[2:14]+strings.ToUpper(hashed[14:]), nil)},
			"",
		},
		{"a hashed form, signed with its parameters", hashed, formType, "https://a.example", []string{sign("tok", "https://a.example"+hashed, params)}, "no secret"},
		{"the hash of another body, signed as URL alone", wrong, formType, "https://a.example", []string{sign("tok", "https://a.example"+wrong, nil)}, "hash"},
		{"the hash of another body, signed with the parameters", wrong, formType, "https://a.example", []string{sign("tok", "https://a.example"+wrong, params)}, "hash"},
		{
			"a right hash and a wrong one", hashed + "&bodySHA256=" + wrong[14:], formType, "https://a.example",
			[]string{sign("tok", "https://a.example"+hashed+"&bodySHA256="+wrong[14:], nil)},
			"hash",
		},
		{"a hash that is none", "/x?bodySHA256=zz", formType, "https://a.example", []string{sign("tok", "https://a.example/x?bodySHA256=zz", nil)}, "hash"},
		{"an empty hash does not switch off the form rule", "/x?bodySHA256=", formType, "https://a.example", []string{sign("tok", "https://a.example/x?bodySHA256=", nil)}, "no secret"},
		{"an empty hash and signed parameters", "/x?bodySHA256=", formType, "https://a.example", []string{sign("tok", "https://a.example/x?bodySHA256=", params)}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := telephony.Request{Method: "POST", Target: c.target, ContentType: c.contentType, Body: []byte(body), Signatures: c.signatures}
			_, err := twilio.New().Verify(r, c.base, installation("tok"))
			if c.why == "" {
				if err != nil {
					t.Errorf("got %v, want accepted", err)
				}
				return
			}
			if !errors.Is(err, telephony.ErrSignature) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %v, want ErrSignature because of %q", err, c.why)
			}
		})
	}
}

func TestBodiesThatOtherParsersRefuseStillVerify(t *testing.T) {
	cases := []struct {
		body   string
		signed [][2]string
	}{
		{"a=1;2&b=3", [][2]string{{"a", "1;2"}, {"b", "3"}}},
		{"a=100%&b=%zz", [][2]string{{"a", "100%"}, {"b", "%zz"}}},
		{"a&&b=&=c", [][2]string{{"", "c"}, {"a", ""}, {"b", ""}}},
		{"a=b=c", [][2]string{{"a", "b=c"}}},
		{"a=%C3%BC+%2B", [][2]string{{"a", "ü +"}}},
		{"a=%ff%00", [][2]string{{"a", "\xff\x00"}}},
	}
	for _, c := range cases {
		r := telephony.Request{Target: "/x", ContentType: formType, Body: []byte(c.body)}
		r.Signatures = []string{sign("tok", "https://a.example/x", c.signed)}
		if _, err := twilio.New().Verify(r, "https://a.example", installation("tok")); err != nil {
			t.Errorf("body %q: got %v, want accepted", c.body, err)
		}
	}
}

func TestVerifyHardlyAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	p, r, base, secrets := benchRequest()
	if _, err := p.Verify(r, base, secrets); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(200, func() { p.Verify(r, base, secrets) })
	if allocs > 2 {
		t.Errorf("got %v allocations, want at most 2", allocs)
	}
}

func TestConcurrentChecksDoNotShareTheirScratch(t *testing.T) {
	p := twilio.New()
	errs := make(chan error, 8)
	for g := range 8 {
		go func() {
			for i := range 300 {
				params := [][2]string{{"CallSid", strings.Repeat("x", g*7+i%31)}, {"Text", "a b+c"}}
				r := telephony.Request{Target: "/x", ContentType: formType, Body: []byte(encode(params))}
				r.Signatures = []string{sign("tok", "https://a.example/x", params)}
				if _, err := p.Verify(r, "https://a.example", installation("old", "tok")); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// FuzzVerifyAgreesWithTwilioGo compares the two validators wherever twilio-go
// is right: a URL in plain ASCII, a form that it can parse, no repeated names.
func FuzzVerifyAgreesWithTwilioGo(f *testing.F) {
	for _, v := range []struct{ target, body string }{
		{"/v/in", "CallSid=CA1&From=%2B12125550143&ToCity="},
		{"/v/after?hop=1", "CallSid=CA1&DialCallStatus=no-answer"},
		{"/x?bodySHA256=" + strings.Repeat("a", 64), "CallSid=CA1"},
		{"/x", ""},
		{"/x?a=%27b", "Body=It%27s+%E2%98%95&a=b"},
		{"/x?bodySHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ""},
	} {
		for _, port := range []string{"", "443", "8443"} {
			f.Add(v.target, v.body, port, true, uint16(0))
			f.Add(v.target, v.body, port, false, uint16(3))
		}
	}
	p := twilio.New()
	f.Fuzz(func(t *testing.T, target, body, signedPort string, https bool, flip uint16) {
		if !plainTarget(target) || strings.Trim(signedPort, "0123456789") != "" || len(signedPort) > 5 {
			t.Skip()
		}
		values, err := url.ParseQuery(body)
		if err != nil {
			t.Skip()
		}
		var params [][2]string
		for name, list := range values {
			if len(list) > 1 {
				t.Skip()
			}
			params = append(params, [2]string{name, list[0]})
		}
		base := "https://calls.example.com"
		if !https {
			base = "http://calls.example.com"
		}
		signedBase := base
		if signedPort != "" {
			signedBase += ":" + signedPort
		}
		if strings.Contains(target, "bodySHA256") {
			params = nil
		}
		signature := []byte(sign("testauthtoken", signedBase+target, params))
		if flip > 0 { // another signature of the right shape
			signature = []byte(sign("othertoken", signedBase+target, params))
		}
		validator := client.NewRequestValidator("testauthtoken")
		want := validator.ValidateBody(base+target, []byte(body), string(signature))

		r := telephony.Request{Target: target, ContentType: formType, Body: []byte(body), Signatures: []string{string(signature)}}
		_, err = p.Verify(r, base, installation("testauthtoken"))
		if (err == nil) != want {
			t.Errorf("target %q body %q signed for %q: got %v, twilio-go says %v", target, body, signedBase, err, want)
		}
	})
}

// A live request is believed exactly where twilio-go's validator believes it,
// however it comes: the method and the content type are not signed, so neither
// can make a difference to who sent it.
func TestALiveRequestIsBelievedAsByTwilioGo(t *testing.T) {
	p, validator := twilio.New(), client.NewRequestValidator("testauthtoken")
	const base = "https://calls.example.com"
	rapid.Check(t, func(t *rapid.T) {
		params := [][2]string{{"AccountSid", "AC00000000000000000000000000000001"}}
		for name, value := range rapid.MapOfN(rapid.StringMatching(`[A-Z][A-Za-z]{0,8}`), rapid.StringMatching(`[ -~]{0,12}`), 0, 6).Draw(t, "params") {
			if name != "AccountSid" {
				params = append(params, [2]string{name, value})
			}
		}
		r := telephony.Request{
			Door:        rapid.SampledFrom([]telephony.Door{telephony.DoorVoice, telephony.DoorNext, telephony.DoorWhisper, telephony.DoorKeys, telephony.DoorVoicemail}).Draw(t, "door"),
			Method:      rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method"),
			ContentType: rapid.SampledFrom([]string{"", formType, "text/plain", "application/json", "multipart/form-data; boundary=x"}).Draw(t, "type"),
			Target:      "/webhooks/twilio/voice?" + encode([][2]string{{"n", "+13125550171"}, {"hop", "1"}}),
		}
		signed := params
		switch rapid.SampledFrom([]string{"form", "query", "hash"}).Draw(t, "where") {
		case "form":
			r.Body = []byte(encode(params))
		case "query":
			r.Target, signed = r.Target+"&"+encode(params), nil
		case "hash":
			r.Body, r.ContentType = []byte(rapid.StringMatching(`[ -~]{1,40}`).Draw(t, "body")), "application/json"
			sum := sha256.Sum256(r.Body)
			r.Target, signed = r.Target+"&bodySHA256="+hex.EncodeToString(sum[:]), nil
		}
		r.Signatures = []string{sign("testauthtoken", base+r.Target, signed)}
		switch rapid.SampledFrom([]string{"", "", "target", "body", "token"}).Draw(t, "change") {
		case "target":
			r.Target += "&x=1"
		case "body":
			r.Body = append(slices.Clone(r.Body), "&x=1"...)
		case "token":
			r.Signatures = []string{sign("other", base+r.Target, signed)}
		}
		want := validator.ValidateBody(base+r.Target, r.Body, r.Signatures[0])
		_, err := p.Verify(r, base, installation("testauthtoken"))
		if (err == nil) != want {
			t.Fatalf("%s %s as %q, body %q: got %v, twilio-go says %v", r.Method, r.Target, r.ContentType, r.Body, err, want)
		}
	})
}

func TestTheParametersOfALiveRequestWithoutABodyAreThoseOfItsURL(t *testing.T) {
	const base, theirSID = "https://calls.example.com", "AC00000000000000000000000000000002"
	secrets := append(installation("ours"), telephony.Secret{AccountRef: theirSID, AccountID: "acct_2", Tokens: []string{"theirs"}})
	ask := func(door telephony.Door, token, query string) (telephony.Secret, telephony.Event, error) {
		r := telephony.Request{Door: door, Method: "GET", Target: "/x?" + query}
		r.Signatures = []string{sign(token, base+r.Target, nil)}
		secret, err := twilio.New().Verify(r, base, secrets)
		return secret, twilio.New().Parse(r), err
	}
	query := "n=%2B13125550171&hop=2&CallSid=CA1&AccountSid=" + theirSID + "&From=%2B12125550143&From=x"
	secret, e, err := ask(telephony.DoorVoice, "theirs", query)
	if err != nil || secret.AccountID != "acct_2" {
		t.Errorf("signed by %+v, %v", secret, err)
	}
	if e.CallRef != "CA1" || e.AccountRef != theirSID || e.From != "+12125550143" || e.Query.Hop != 2 || e.Query.Number != "+13125550171" || !slices.Contains(e.Flags, "repeated_parameter") {
		t.Errorf("read %+v", e)
	}
	if _, _, err := ask(telephony.DoorVoice, "ours", query); err == nil {
		t.Error("the installation's token speaks for an account that has its own")
	}
	// The same question by POST is the same fact.
	form := telephony.Request{Door: telephony.DoorVoice, Target: "/x", ContentType: formType, Body: []byte("CallSid=CA1&AccountSid=" + theirSID)}
	if other := twilio.New().Parse(form); other.Key != e.Key {
		t.Errorf("keys %s and %s of one call", other.Key, e.Key)
	}
	// Where nobody waits the query is ours alone; beside a body it is everywhere.
	if _, e, _ := ask(telephony.DoorStatus, "ours", query); e.CallRef != "" {
		t.Errorf("a status callback was read from its query: %+v", e)
	}
	form.Target, form.Body = "/x?CallSid=CA2", []byte("From=%2B12125550143")
	if e := twilio.New().Parse(form); e.CallRef != "" {
		t.Errorf("the query was read beside a body: %+v", e)
	}
}

// plainTarget says whether twilio-go's rewriting of the URL leaves the target
// as it is, and reads its query as we do.
func plainTarget(target string) bool {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "'#;") {
		return false
	}
	u, err := url.Parse("https://calls.example.com" + target)
	if err != nil || u.String() != "https://calls.example.com"+target {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false
	}
	hashes := query["bodySHA256"]
	if len(hashes) > 1 || len(hashes) == 0 && strings.Contains(target, "bodySHA256") {
		return false
	}
	if len(hashes) == 1 {
		// An encoded or upper-case hash, and an empty one, are read differently.
		return hashes[0] != "" && hashes[0] == strings.ToLower(hashes[0]) && strings.Contains(target, "bodySHA256="+hashes[0])
	}
	return true
}

// sign is the algorithm written the simple way.
func sign(token, url string, params [][2]string) string {
	params = slices.Clone(params)
	slices.SortFunc(params, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(url))
	for _, p := range slices.Compact(params) {
		mac.Write([]byte(p[0] + p[1]))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// benchRequest is a voice request as Twilio sends it: 28 parameters.
func benchRequest() (*twilio.Provider, telephony.Request, string, []telephony.Secret) {
	params := [][2]string{
		{"AccountSid", "AC00000000000000000000000000000001"},
		{"ApiVersion", "2010-04-01"},
		{"CallSid", "CAa0000000000000000000000000000001"},
		{"CallStatus", "ringing"},
		{"Direction", "inbound"},
		{"From", "+12125550143"},
		{"To", "+13125550171"},
		{"Caller", "+12125550143"},
		{"Called", "+13125550171"},
		{"FromCity", "NEW YORK"},
		{"FromState", "NY"},
		{"FromZip", "10001"},
		{"FromCountry", "US"},
		{"CallerCity", "NEW YORK"},
		{"CallerState", "NY"},
		{"CallerZip", "10001"},
		{"CallerCountry", "US"},
		{"ToCity", ""},
		{"ToState", "IL"},
		{"ToZip", ""},
		{"ToCountry", "US"},
		{"CalledCity", ""},
		{"CalledState", "IL"},
		{"CalledZip", ""},
		{"CalledCountry", "US"},
		{"StirVerstat", "TN-Validation-Passed-A"},
		{"CallerName", "MIRA OBERLIN"},
		{"CallToken", strings.Repeat("t", 200)},
	}
	base, target := "https://calls.example.com", "/webhooks/twilio/voice?a=acct_1"
	r := telephony.Request{
		Door: telephony.DoorVoice, Method: "POST", Target: target, ContentType: formType, Body: []byte(encode(params)),
		Signatures: []string{sign("testauthtoken", base+target, params)},
	}
	secrets := []telephony.Secret{{AccountRef: "AC00000000000000000000000000000001", AccountID: "acct_1", Tokens: []string{"testauthtoken"}}}
	return twilio.New(), r, base, secrets
}

func BenchmarkSignature(b *testing.B) {
	p, r, base, secrets := benchRequest()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Verify(r, base, secrets); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("twilio-go", func(b *testing.B) {
		validator := client.NewRequestValidator("testauthtoken")
		b.ReportAllocs()
		for b.Loop() {
			if !validator.ValidateBody(base+r.Target, r.Body, r.Signatures[0]) {
				b.Fatal("not accepted")
			}
		}
	})
	// What a server pays for a request that somebody made up.
	b.Run("ours, refused", func(b *testing.B) {
		b.ReportAllocs()
		forged := r
		forged.Signatures = []string{sign("other", base+r.Target, nil)}
		for b.Loop() {
			if _, err := p.Verify(forged, base, secrets); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	p, r, _, _ := benchRequest()
	b.ReportAllocs()
	for b.Loop() {
		p.Parse(r)
	}
}
