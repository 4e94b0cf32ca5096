package attribution_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/callwheel/callwheel/attribution"
)

// accountSources are the sources that testdata/landings.txt is read with.
var accountSources = []attribution.Source{
	{ID: "src_radio", Name: "Radio 7", Medium: "audio", Rules: []attribution.Rule{{Landing: "/radio"}}},
	{ID: "src_yt", Name: "YouTube Ads", Rules: []attribution.Rule{{UTMSource: "yt", NotUTMMedium: "organic"}, {UTMCampaign: "yt-*"}}},
	{ID: "src_deals", Name: "Deals", Rules: []attribution.Rule{{Referrer: "https://deals.partner.example/*", NotReferrer: "*/internal"}}},
	{ID: "src_gads", Name: "Google Ads"},
}

type landingCase struct {
	line                                           int
	page, referrer, source, medium, campaign, rule string
}

func landingCases(t testing.TB) []landingCase {
	t.Helper()
	f, err := os.Open("testdata/landings.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []landingCase
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(line, " | ")
		if len(col) != 6 {
			t.Fatalf("line %d has %d columns, want 6", n, len(col))
		}
		for i := range col {
			if col[i] == "-" {
				col[i] = ""
			}
		}
		if strings.HasPrefix(col[0], "/") || strings.HasPrefix(col[0], "?") {
			col[0] = "https://shop.example" + col[0]
		}
		cases = append(cases, landingCase{n, col[0], col[1], col[2], col[3], col[4], col[5]})
	}
	return cases
}

func TestLandingsMeanWhatTheTableSays(t *testing.T) {
	cases := landingCases(t)
	if len(cases) < 150 {
		t.Errorf("the table has %d landings, want at least 150", len(cases))
	}
	for _, c := range cases {
		got := attribution.Classify(attribution.Landing{Page: c.page, Referrer: c.referrer, OwnHosts: []string{"brand.example"}}, accountSources)
		rule := c.rule + "/" + attribution.RulesVersion
		if got.Source != c.source || got.Medium != c.medium || got.Campaign != c.campaign || got.Rule != rule {
			t.Errorf("line %d: %s from %q:\n got %q %q %q %s\nwant %q %q %q %s", c.line, c.page, c.referrer,
				got.Source, got.Medium, got.Campaign, got.Rule, c.source, c.medium, c.campaign, rule)
		}
	}
}

func TestClickIDsAreKeptVerbatim(t *testing.T) {
	got := attribution.Classify(attribution.Landing{Page: "https://shop.example/?gclid=Cj0KCQ-_aB&fbclid=IwAR%2B1&sccid=Q&utm_term=blue+shoes&utm_content=B&other=1"}, nil)
	want := map[string]string{"gclid": "Cj0KCQ-_aB", "fbclid": "IwAR+1", "ScCid": "Q"}
	if len(got.ClickIDs) != len(want) {
		t.Errorf("got %v, want %v", got.ClickIDs, want)
	}
	for name, id := range want {
		if got.ClickIDs[name] != id {
			t.Errorf("%s: got %q, want %q", name, got.ClickIDs[name], id)
		}
	}
	if got.Term != "blue shoes" || got.Content != "B" || !got.Tagged {
		t.Errorf("got term %q content %q tagged %v", got.Term, got.Content, got.Tagged)
	}
}

func TestSecretsInAddressesAreNotKept(t *testing.T) {
	for page, want := range map[string]string{
		"https://user:pw@shop.example/a?x=1#frag":                         "https://shop.example/a?x=1",
		"https://shop.example/?password=hunter2&utm_source=a":             "https://shop.example/?utm_source=a",
		"https://shop.example/?a=1&access_token=t&reset-token=t&b=2":      "https://shop.example/?a=1&b=2",
		"https://shop.example/?Email=jo%40x.test&e=jo@x.test&q=fish":      "https://shop.example/?q=fish",
		"https://shop.example/?who=jo%40mail.test":                        "https://shop.example/",
		"https://shop.example/?phone=%2B13125550171&PHPSESSION=1&code=42": "https://shop.example/",
		"ftp://shop.example/x":                                            "",
		"javascript:alert(document.cookie)":                               "",
		"data:text/html,<script>":                                         "",
		"https://SHOP.example/A?b=<script>":                               "https://shop.example/A?b=<script>",
	} {
		if got := attribution.Classify(attribution.Landing{Page: page}, nil).LandingPage; got != want {
			t.Errorf("%s: got %q, want %q", page, got, want)
		}
		if got := attribution.Classify(attribution.Landing{Referrer: page}, nil).Referrer; got != want {
			t.Errorf("as referrer %s: got %q, want %q", page, got, want)
		}
	}
}

func TestSourcesAreTriedInTheirOrder(t *testing.T) {
	first := attribution.Source{ID: "src_a", Name: "A", Rules: []attribution.Rule{{UTMSource: "x"}}}
	second := attribution.Source{ID: "src_b", Name: "B", Rules: []attribution.Rule{{UTMSource: "x"}}}
	landing := attribution.Landing{Page: "https://shop.example/?utm_source=x"}
	if got := attribution.Classify(landing, []attribution.Source{first, second}); got.SourceID != "src_a" {
		t.Errorf("got %s, want src_a", got.SourceID)
	}
	if got := attribution.Classify(landing, []attribution.Source{second, first}); got.SourceID != "src_b" {
		t.Errorf("got %s, want src_b", got.SourceID)
	}
}

func FuzzClassifyIsBoundedAndClean(f *testing.F) {
	for _, c := range landingCases(f) {
		f.Add(c.page, c.referrer)
	}
	f.Add("https://shop.example/?utm_source="+strings.Repeat("é", 5000), "https://"+strings.Repeat("a.", 3000))
	f.Add("https://shop.example/"+strings.Repeat("?&=%zz", 3000), "\x00\xff")
	f.Fuzz(func(t *testing.T, page, referrer string) {
		c := attribution.Classify(attribution.Landing{Page: page, Referrer: referrer, OwnHosts: []string{"brand.example"}}, accountSources)
		if c.Source == "" || c.Medium == "" || c.Rule == "" {
			t.Errorf("an arrival without source, medium or rule: %+v", c)
		}
		texts := []string{c.Source, c.Medium, c.Campaign, c.Term, c.Content, c.LandingPage, c.Referrer, c.Rule}
		for name, id := range c.ClickIDs {
			texts = append(texts, name, id)
		}
		for _, s := range texts {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || utf8.RuneCountInString(s) > 2048 {
				t.Errorf("%q is not clean", s)
			}
		}
		for _, u := range []string{c.LandingPage, c.Referrer} {
			app := u == c.Referrer && strings.HasPrefix(u, "android-app://")
			if u != "" && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") && !app {
				t.Errorf("%q is not an address of the web", u)
			}
		}
		again := attribution.Classify(attribution.Landing{Page: page, Referrer: referrer, OwnHosts: []string{"brand.example"}}, accountSources)
		if again.Source != c.Source || again.Rule != c.Rule || again.LandingPage != c.LandingPage {
			t.Errorf("asked again: got %+v, then %+v", c, again)
		}
	})
}
