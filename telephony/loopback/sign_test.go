package loopback_test

import (
	"net/url"
	"testing"

	"github.com/callwheel/callwheel/telephony/loopback"
)

func TestSignaturesEqualTheLibrariesVectors(t *testing.T) {
	const u = "https://mycompany.com/myapp.php?foo=1&bar=2"
	p := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"},
		"From": {"+14158675309"}, "To": {"+18005551212"},
	}
	p7 := url.Values{"Reason": {"Participant"}, "ReasonConferenceEnded": {"test"}}
	for name, values := range p {
		p7[name] = values
	}
	vectors := []struct {
		name, url string
		params    url.Values
		want      string
	}{
		{"base case", u, p, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
		{"one name is the beginning of another", u, p7, "vOEb5UThFn24KEfnOFLQY2AE5FY="},
		{"http", "http://mycompany.com/myapp.php?foo=1&bar=2", p7, "n2xBNyzSW7rfYStDtOFiFMv7qNo="},
		{"with the default port", "https://mycompany.com:443/myapp.php?foo=1&bar=2", p, "kvajT1Ptam85bY51eRf/AJRuM3w="},
		{"http keeps its port", "http://mycompany.com:1234/myapp.php?foo=1&bar=2", p, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="},
		{"repeated parameters", u, url.Values{"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"}}, "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
		{"no parameters", u, nil, "zYQTYrRWXE7LtzbG4PfP7/bkkGo="},
		{"no query", "https://mycompany.com/myapp.php", p, "1xaxFBvyzXYvWplzNOSs28HWO94="},
		{"the encoding of the query stays", "https://mycompany.com/myapp.php?foo=hello%20world&bar=test%2Bvalue", p, "er2tvAP1Wx+iuTTE2BPgvEaN1cs="},
		{"special characters", u, url.Values{"Message": {"Hello & goodbye! @#$%^*()"}, "From": {"+1 (415) 867-5309"}, "Special": {"unicode: ñáéíóú"}}, "dCPiR4WtQ6QFN6pJh81CtlCcWLQ="},
		{"empty values", u, url.Values{"Digits": {""}, "CallSid": {"CA1234567890ABCDE"}, "EmptyParam": {""}}, "9HHp/OqQMEwdrVebHDdA/+tqjX8="},
		{"names sort as bytes", u, url.Values{"callSid": {"lowercase"}, "CallSid": {"uppercase"}, "CALLSID": {"allcaps"}}, "jDK7WKT8wiNrwggd4ceTv4e1MJ4="},
		{"a path that is not ASCII", "https://mycompany.com/webhook/España?año=2023", p, "G/Hx6mqqnjUNlPAoi2Sp9bGst0g="},
		{"sorting", u, url.Values{"Zebra": {"last"}, "Alpha": {"first"}, "Beta": {"second"}, "Gamma": {"third"}}, "enveUe73ZTVLAekHxez3Qx6JuuQ="},
		{"all of the query counts", u + "&type=thiswontbeusedinthesignaturegeneratorandsoshouldbeignored", p, "hYkNsTBttoNGkyCS0p+wWmQoRTg="},
	}
	for _, v := range vectors {
		if got := loopback.Sign("12345", v.url, v.params); got != v.want {
			t.Errorf("%s: signature %s, want %s", v.name, got, v.want)
		}
	}
}

func TestTheSignedURLLosesFragmentCredentialsAndTheHTTPSPort(t *testing.T) {
	for configured, want := range map[string]string{
		"https://user:pass@host.example:8443/v?x=%20#rc=2": "https://host.example/v?x=%20",
		"http://user@host.example:8080/v#rp=all":           "http://host.example:8080/v",
		"https://[::1]:8443/v":                             "https://[::1]/v",
		"https://[::1]/v":                                  "https://[::1]/v",
		"https://host.example?n=1":                         "https://host.example?n=1",
	} {
		if got := loopback.SignedURL(configured); got != want {
			t.Errorf("%s is signed as %s, want %s", configured, got, want)
		}
	}
}
