package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Only what streams may take longer than requestTimeout: an export of a large
// account was cut off after half a minute once.
func TestOnlyWhatStreamsLastsAsLongAsItTakes(t *testing.T) {
	list, rows, media := operation{list: "items"}, operation{list: "rows"}, operation{op: op{Stream: true}}
	for _, c := range []struct {
		o              operation
		target, accept string
		bounded        bool
	}{
		{list, "/v1/calls", "text/csv", false},
		{list, "/v1/calls?outcome=missed", "application/x-ndjson", false},
		{list, "/v1/calls", "application/json", true},
		{list, "/v1/calls", "", true},
		{list, "/v1/calls?limit=100", "text/csv", true},
		{list, "/v1/calls?cursor=abc", "application/x-ndjson", true},
		{rows, "/v1/reports/roi", "text/csv", true},
		{media, "/v1/recordings/rec_1/media", "", false},
	} {
		r := httptest.NewRequest(http.MethodGet, c.target, http.NoBody)
		r.Header.Set("Accept", c.accept)
		if got := c.o.bounded(r); got != c.bounded {
			t.Errorf("GET %s as %q: got bounded %v, want %v", c.target, c.accept, got, c.bounded)
		}
	}
}
