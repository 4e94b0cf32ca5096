package api_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// An export of calls over a real connection is written as it is read: little is
// held however long it is, its beginning is there before its end was looked up, it
// outlasts the time that other answers have, and while calls come in it tells what
// the list by pages tells, each call once and in order.
func TestAnExportOfCallsIsWrittenAsItIsRead(t *testing.T) {
	rows := 20_000
	if raced {
		rows = 3_000 // what is held of so few tells nothing; goroutines meet as they do in many
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		l.run(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, status, outcome, from_kind, from_e164, tracking_number, started_at, updated_at, caller_name, caller_city)
			WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < CAST(? AS BIGINT))
			SELECT CAST(? AS TEXT), 'call_' || i, 'test', 'call_' || i, 'completed', 'answered', 'e164', '+1312555' || (1000 + i % 900), '+13125550171',
				CAST(? AS BIGINT) + (i / 10) * 1000000, 0, CAST(? AS TEXT), 'Chicago' FROM n`, rows, l.account.ID, store.Micros(noon), strings.Repeat("a long name ", 60))
		arrived := 0
		arrive := func() { // while somebody reads
			arrived++
			id := fmt.Sprintf("new_%d", arrived)
			l.run(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, status, outcome, started_at, updated_at) VALUES (?, ?, 'test', ?, 'completed', 'answered', ?, 0)`,
				l.account.ID, id, id, store.Micros(noon.AddDate(0, 0, 1))+int64(arrived))
		}
		e := exportReader{t, l.serve(time.Minute), l.tokens[account.Owner]}
		ids, hashes := e.pages(arrive)
		e.base = l.serve(time.Millisecond) // so long as other answers have
		if len(ids) != rows {
			t.Fatalf("by pages there are %d calls, want %d", len(ids), rows)
		}
		for _, form := range []string{"application/x-ndjson", "text/csv"} {
			late := "late in " + form
			told, early, held := 0, uint64(0), uint64(0)
			before := arrived // newer ones are no part of what is told from here on
			e.export(form, func(id string, item []byte) {
				told++
				if told <= before {
					if !strings.HasPrefix(id, "new_") {
						t.Fatalf("%s: %s came before a newer one", form, id)
					}
					return
				}
				i := told - before - 1
				if i >= len(ids) || ids[i] != id {
					t.Fatalf("%s: call %d is %s, the pages tell otherwise", form, i+1, id)
				}
				switch i {
				case 0:
					arrive()
					// Megabytes before the end of a list of which only a few are read.
					l.run(`UPDATE calls SET caller_name = ? WHERE account_id = ? AND call_id = 'call_1'`, late, l.account.ID)
				case 2_000:
					early = heapInUse()
					arrive()
				case rows - 500:
					held = heapInUse()
				case rows - 1:
					if !strings.Contains(string(item), late) {
						t.Errorf("%s: the last call was read before the first was told: %s", form, item)
					}
					return
				}
				if form == "application/x-ndjson" && sha256.Sum256(item) != hashes[i] {
					t.Fatalf("%s: the page tells something else than %s", form, item)
				}
			})
			if told != before+rows {
				t.Errorf("%s: %d calls, want %d", form, told, before+rows)
			}
			// 17,500 more lines have more than 12 MB, in either form.
			if grown := int64(held) - int64(early); grown > 8<<20 {
				t.Errorf("%s: %d bytes more were held at the end", form, grown)
			}
		}
	})
}

// serve opens the doors on a loopback socket, with a limit for how long an answer
// may take, and returns where they are.
func (h *house) serve(limit time.Duration) string {
	h.t.Helper()
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	server := api.NewHTTPServer(h.server.Public())
	server.WriteTimeout = limit
	go server.Serve(at) //nolint:errcheck // ends with Close
	h.t.Cleanup(func() { server.Close() })
	return "http://" + at.Addr().String()
}

type exportReader struct {
	t           *testing.T
	base, token string
}

func (e exportReader) get(target, accept string) *http.Response {
	e.t.Helper()
	r, err := http.NewRequest(http.MethodGet, e.base+target, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+e.token)
	r.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		e.t.Fatalf("GET %s: %v %v", target, answer, err)
	}
	return answer
}

// pages reads the list page by page and returns the ids in order and what each
// line says. Between pages something else happens.
func (e exportReader) pages(between func()) (ids []string, hashes [][32]byte) {
	e.t.Helper()
	for cursor := ""; ; between() {
		answer := e.get("/v1/calls?limit=200&cursor="+cursor, "application/json")
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  *string           `json:"next_cursor"`
		}
		err := json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil {
			e.t.Fatal(err)
		}
		for _, item := range page.Items {
			ids, hashes = append(ids, idOf(e.t, item)), append(hashes, sha256.Sum256(item))
		}
		if page.Next == nil || *page.Next == "" {
			return ids, hashes
		}
		cursor = *page.Next
	}
}

func idOf(t *testing.T, item []byte) string {
	t.Helper()
	var one struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(item, &one); err != nil || one.ID == "" {
		t.Fatalf("%s: %v", item, err)
	}
	return one.ID
}

// export reads a whole list line by line.
func (e exportReader) export(form string, fn func(id string, item []byte)) {
	e.t.Helper()
	answer := e.get("/v1/calls", form)
	defer answer.Body.Close()
	if form == "application/x-ndjson" {
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			fn(idOf(e.t, lines.Bytes()), lines.Bytes())
		}
		if err := lines.Err(); err != nil {
			e.t.Fatalf("%s: %v", form, err)
		}
		return
	}
	table := csv.NewReader(answer.Body)
	header, err := table.Read()
	if err != nil {
		e.t.Fatal(err)
	}
	at := slices.Index(header, "id")
	for {
		row, err := table.Read()
		if err == io.EOF {
			return
		}
		if err != nil {
			e.t.Fatalf("%s: %v", form, err)
		}
		fn(row[at], []byte(strings.Join(row, ",")))
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
