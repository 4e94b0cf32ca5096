package telephony

import "testing"

func TestClassifyTellsPeopleFromPlaceholders(t *testing.T) {
	for _, c := range []struct {
		raw  string
		kind CallerKind
		e164 string
	}{
		{"+12125550143", CallerE164, "+12125550143"},
		{" +12125550143 ", CallerE164, "+12125550143"},
		{"+442079460123", CallerE164, "+442079460123"},
		{"+266696687", CallerAnonymous, ""},
		{"+1266696687", CallerAnonymous, ""},
		{"266696687", CallerAnonymous, ""},
		{"+7378742833", CallerAnonymous, ""},
		{"+2562533", CallerAnonymous, ""},
		{"+8656696", CallerAnonymous, ""},
		{"+86282452253", CallerAnonymous, ""},
		{"anonymous", CallerAnonymous, ""},
		{"Anonymous", CallerAnonymous, ""},
		{"RESTRICTED", CallerAnonymous, ""},
		{"", CallerAnonymous, ""},
		{"sip:anonymous@anonymous.invalid", CallerAnonymous, ""},
		{"sip:alice@example.sip.twilio.com", CallerSIP, ""},
		{"client:jenny", CallerClient, ""},
		{"72345", CallerShort, ""},
		{"5125550143", CallerInvalid, ""},
		{"+1", CallerInvalid, ""},
		{"+19999", CallerInvalid, ""},
		{"+１２１２５５５０１４３", CallerInvalid, ""},
		{"<Dial>+12125550143</Dial>", CallerInvalid, ""},
	} {
		kind, e164 := Classify(c.raw)
		if kind != c.kind || e164 != c.e164 {
			t.Errorf("%q: got %s %q, want %s %q", c.raw, kind, e164, c.kind, c.e164)
		}
	}
}

func TestParseNumberTakesWhatPeopleWriteAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{
		"+13125550171":      "+13125550171",
		"+1 (312) 555-0171": "+13125550171",
		"+1.312.555.0171":   "+13125550171",
		"312-555-0171":      "",
		"+1312":             "",
		"1-800-FLOWERS":     "",
		"911":               "",
		"sip:x@y":           "",
		"+999123456789":     "",
		"":                  "",
	} {
		got, err := ParseNumber(text, "")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	if got, err := ParseNumber("(312) 555-0171", "US"); err != nil || got != "+13125550171" {
		t.Errorf("with a region: got %q, %v", got, err)
	}
	if got := National("+13125550171"); got != "(312) 555-0171" {
		t.Errorf("national: got %q", got)
	}
	if got := Mask("+13125550171"); got != "••••••••••71" {
		t.Errorf("mask: got %q", got)
	}
}

func TestPhoneNumbersInATextAreMasked(t *testing.T) {
	mask := MaskText
	for text, want := range map[string]string{
		"":                                   "",
		"call at 9, room 12, order 123456":   "call at 9, room 12, order 123456",
		"call (212) 555-0143 now":            "call (•••) •••-••43 now",
		"+12125550143":                       "+•••••••••43",
		"+1 212.555.0143, ext. 7":            "+• •••.•••.••43, ext. 7",
		"020\u00a07946\u20110123 or 5550199": "•••\u00a0••••\u2011••23 or •••••99",
		"２１２５５５０１４３":                         "••••••••４３",
		"555 — 0143":                         "••• — ••43",
	} {
		if got := mask(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
