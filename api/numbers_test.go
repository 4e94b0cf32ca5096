package api_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestNumbersAreAddedChangedAndRetired(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		made := h.ask(owner, "POST", "/v1/numbers", `{"number":"+1 (312) 555-0171","destination":"+13125550100","campaign":"Spring","whisper":"Call from {source}"}`).is(201)
		n := made.json()
		if made.Header().Get("Location") != "/v1/numbers/"+n["id"].(string) || made.Header().Get("ETag") == "" {
			t.Errorf("headers: got %v", made.Header())
		}
		for field, want := range map[string]any{"state": "active", "source_id": nil, "pool_id": nil, "campaign": "Spring", "record": false, "confirmed_at": nil, "whisper": "Call from {source}"} {
			if n[field] != want {
				t.Errorf("%s: got %v, want %v", field, n[field], want)
			}
		}
		if e164 := n["number"].(map[string]any)["e164"]; e164 != "+13125550171" {
			t.Errorf("number: got %v", n["number"])
		}
		path := made.Header().Get("Location")
		changed := h.ask(owner, "PATCH", path, `{"destination":null,"record":true}`, "If-Match", made.Header().Get("ETag")).is(200)
		if c := changed.json(); c["destination"] != nil || c["record"] != true || c["campaign"] != "Spring" {
			t.Errorf("changed: got %v", c)
		}
		h.ask(owner, "PATCH", path, `{"record":false}`, "If-Match", made.Header().Get("ETag")).is(412)
		h.ask(owner, "DELETE", path, "", "If-Match", made.Header().Get("ETag")).is(412)
		h.ask(owner, "DELETE", path, "").is(204)
		if state := h.ask(owner, "GET", path, "").is(200).json()["state"]; state != "draining" {
			t.Errorf("retired: got %v", state)
		}
		// Networks repeat requests: the same DELETE again is the same DELETE.
		before := h.ask(owner, "GET", path, "").is(200)
		h.ask(owner, "DELETE", path, "").is(204)
		if again := h.ask(owner, "GET", path, "").is(200); again.Body.String() != before.Body.String() || again.Header().Get("ETag") != before.Header().Get("ETag") {
			t.Errorf("retired twice: got %s", again.Body.String())
		}
		h.ask(owner, "DELETE", path+"?now=perhaps", "").is(422)
		h.ask(owner, "DELETE", path+"?now=true", "").is(204)
		if state := h.ask(owner, "GET", path, "").is(200).json()["state"]; state != "quarantined" {
			t.Errorf("given back before the provider was told: got %v", state)
		}
	})
}

func TestNumbersThatCannotBeAreRefusedByField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		h.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550171"}`).is(201)
		h.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550171"}`).is(409)
		h.ask(h.stranger, "POST", "/v1/numbers", `{"number":"+13125550171"}`).is(409)
		for body, field := range map[string]string{
			`{"number":"911"}`: "number",
			`{"number":"+13125550172","destination":"911"}`:          "destination",
			`{"number":"+13125550172","destination":"+13125550171"}`: "destination",
			`{"number":"+13125550172","source_id":"src_of_nobody"}`:  "source_id",
			`{"number":"+13125550172","pool_id":"pool_of_nobody"}`:   "pool_id",
			`{"number":"+13125550172","route_id":"route_of_nobody"}`: "route_id",
			`{"number":"+13125550172","state":"released"}`:           "state",
			`{"destination":"+13125550100"}`:                         "number",
		} {
			if got := h.ask(owner, "POST", "/v1/numbers", body).is(422).fields(); !slices.Contains(got, field) {
				t.Errorf("%s: got fields %v, want %s", body, got, field)
			}
		}
		// An account's own destination: a call that would go round for ever.
		h.ask(owner, "PATCH", "/v1/account", `{"destination":"+13125550171"}`).is(422)
		h.ask(owner, "PATCH", "/v1/account", `{"destination":"+13125550100"}`).is(200)
		h.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550100"}`).is(422)
		h.ask(owner, "POST", "/v1/numbers/search", `{"country":"US","area_code":"312"}`).is(503)
		h.ask(owner, "POST", "/v1/numbers/buy", `{"number":"+13125550179"}`).is(503)
		if items := h.ask(owner, "GET", "/v1/numbers", "").is(200).json()["items"].([]any); len(items) != 1 {
			t.Errorf("numbers: got %d", len(items))
		}
	})
}

func TestNumbersAreReadByAllRolesAndChangedByFew(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		path := h.ask(h.tokens[account.Manager], "POST", "/v1/numbers", `{"number":"+13125550171"}`).is(201).Header().Get("Location")
		for _, role := range account.Roles() {
			h.ask(h.tokens[role], "GET", path, "").is(200)
			want := 403
			if role == account.Owner || role == account.Admin || role == account.Manager {
				want = 200
			}
			h.ask(h.tokens[role], "PATCH", path, `{"campaign":"x"}`).is(want)
		}
		stranger := h.ask(h.stranger, "GET", path, "").is(404).Body.String()
		if never := h.ask(h.stranger, "GET", "/v1/numbers/num_never", "").is(404).Body.String(); never != stranger {
			t.Errorf("another account's number answers differently:\n%s\n%s", stranger, never)
		}
	})
}

func TestNumbersArePaged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		for _, number := range []string{"+13125550171", "+13125550172", "+13125550173"} {
			h.ask(owner, "POST", "/v1/numbers", `{"number":"`+number+`"}`).is(201)
		}
		first := h.ask(owner, "GET", "/v1/numbers?limit=2", "").is(200).json()
		cursor, _ := first["next_cursor"].(string)
		if len(first["items"].([]any)) != 2 || cursor == "" {
			t.Fatalf("first page: got %v", first)
		}
		second := h.ask(owner, "GET", "/v1/numbers?limit=2&cursor="+cursor, "").is(200).json()
		if len(second["items"].([]any)) != 1 || second["next_cursor"] != nil {
			t.Errorf("second page: got %v", second)
		}
		h.ask(h.stranger, "GET", "/v1/numbers?limit=2&cursor="+cursor, "").is(400)
		if one := h.ask(owner, "GET", "/v1/numbers?number=%2B13125550172", "").is(200).json(); len(one["items"].([]any)) != 1 {
			t.Errorf("by number: got %v", one)
		}
	})
}

func TestRoutesAndBlockedCallersHaveDoors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		owner := h.tokens[account.Owner]
		made := h.ask(owner, "POST", "/v1/routes", `{"name":"Desk","plan":{"steps":[{"destinations":["+13125550100"]}],"voicemail":true}}`).is(201)
		path := made.Header().Get("Location")
		if got := h.ask(owner, "POST", "/v1/routes", `{"name":"x","plan":{"steps":[]}}`).is(422).fields(); len(got) == 0 {
			t.Error("a route that reaches nobody names no field")
		}
		h.ask(owner, "POST", "/v1/numbers", `{"number":"+13125550171","route_id":"`+made.json()["id"].(string)+`"}`).is(201)
		h.ask(owner, "DELETE", path, "").is(409)
		h.ask(owner, "PATCH", path, `{"name":"Front desk"}`, "If-Match", `"9"`).is(412)
		if r := h.ask(owner, "PATCH", path, `{"name":"Front desk"}`).is(200).json(); r["name"] != "Front desk" || r["plan"].(map[string]any)["voicemail"] != true {
			t.Errorf("route: got %v", r)
		}
		if list := h.ask(h.tokens[account.ReadOnly], "GET", "/v1/routes", "").is(200).json(); len(list["items"].([]any)) != 1 {
			t.Errorf("routes: got %v", list)
		}

		b := h.ask(owner, "POST", "/v1/blocked-callers", `{"caller":"+12125550143","reason":"spam"}`).is(201).json()
		if b["caller"].(map[string]any)["e164"] != "+12125550143" || b["anonymous"] != false {
			t.Errorf("blocked: got %v", b)
		}
		h.ask(owner, "POST", "/v1/blocked-callers", `{"caller":"anonymous"}`).is(201)
		h.ask(owner, "POST", "/v1/blocked-callers", `{"caller":"nobody"}`).is(422)
		h.ask(h.tokens[account.Agent], "POST", "/v1/blocked-callers", `{"caller":"+12125550144"}`).is(403)
		h.ask(h.tokens[account.Marketer], "GET", "/v1/blocked-callers", "").is(403)
		var list struct {
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(h.ask(h.tokens[account.Agent], "GET", "/v1/blocked-callers", "").is(200).Body.Bytes(), &list); err != nil || len(list.Items) != 2 {
			t.Errorf("list: got %d, %v", len(list.Items), err)
		}
		h.ask(owner, "DELETE", "/v1/blocked-callers/+12125550143", "").is(204)
		h.ask(owner, "DELETE", "/v1/blocked-callers/%2B12125550143", "").is(404)
	})
}
