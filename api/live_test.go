package api_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// watch opens a live stream and waits until it listens.
func (h *house) watch(ctx context.Context, server *httptest.Server, credential func(*http.Request)) *http.Response {
	h.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/live", http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	credential(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode == http.StatusOK {
		bufio.NewScanner(response.Body).Scan()
	}
	return response
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func TestALiveStreamEndsWithItsCredential(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		l := openLine(t, db)
		server := httptest.NewServer(l.server.Public())
		t.Cleanup(server.Close)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		t.Cleanup(cancel)
		signIn := func(email string) (account.User, *browser) {
			u := l.newUser(email, account.Manager)
			b := &browser{h: l.house}
			b.send("POST", "/sign-in", url.Values{"email": {email}, "password": {"correct horse"}}).is(303)
			return u, b
		}
		owner := account.Operator(l.account.ID)
		change := func(u account.User, ch account.UserChange) {
			if _, err := l.accounts.UpdateUser(ctx, owner, u.ID, ch, nil); err != nil {
				t.Fatal(err)
			}
		}
		disabled, off := signIn("disabled@shop.example")
		demoted, lower := signIn("demoted@shop.example")
		_, out := signIn("out@shop.example")
		moved, _ := signIn("moved@shop.example")
		token, revoked, err := l.accounts.CreateToken(ctx, owner, account.TokenParams{Name: "wall", Role: account.Agent})
		if err != nil {
			t.Fatal(err)
		}
		_, movedText, err := l.accounts.CreateToken(ctx, moved.Identity(), account.TokenParams{Name: "theirs", Role: account.Manager})
		if err != nil {
			t.Fatal(err)
		}
		cookie := func(b *browser) func(*http.Request) {
			kept := *b.cookie
			return func(r *http.Request) { r.AddCookie(&kept) }
		}
		streams := map[string]*http.Response{}
		for name, credential := range map[string]func(*http.Request){
			"revoked": bearer(revoked), "disabled": cookie(off), "demoted": cookie(lower), "signed out": cookie(out), "person demoted": bearer(movedText),
		} {
			streams[name] = l.watch(ctx, server, credential)
		}
		stays := l.watch(ctx, server, bearer(l.tokens[account.Agent]))

		agent, yes := account.Agent, true
		if err := l.accounts.RevokeToken(ctx, owner, token.ID); err != nil {
			t.Fatal(err)
		}
		change(disabled, account.UserChange{Disabled: &yes})
		change(demoted, account.UserChange{Role: &agent})
		change(moved, account.UserChange{Role: &agent})
		out.send("POST", "/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin").is(303)
		for name, response := range streams {
			for lines := bufio.NewScanner(response.Body); lines.Scan(); { // ends by itself
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: the stream went on", name)
			}
		}
		id := l.tell(l.board, "CA1", "+12125550143", "ringing", time.Now())
		if name, data := (reader{t: t, lines: bufio.NewScanner(stays.Body)}).next(); name != "ring" || data == "" {
			t.Errorf("a good credential sees %s %s of %s", name, data, id)
		}
		l.server.EndStreams()
	})
}

func TestOneActorHasOnlySoManyLiveStreams(t *testing.T) {
	l := openLine(t, storetestSQLite(t))
	server := httptest.NewServer(l.server.Public())
	t.Cleanup(server.Close)
	t.Cleanup(l.server.EndStreams)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	agent := l.tokens[account.Agent]
	var first *http.Response
	for range 20 {
		if r := l.watch(ctx, server, bearer(agent)); r.StatusCode != http.StatusOK {
			t.Fatalf("got %d", r.StatusCode)
		} else if first == nil {
			first = r
		}
	}
	if r := l.watch(ctx, server, bearer(agent)); r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("one more: got %d, %v", r.StatusCode, r.Header)
	}
	if r := l.watch(ctx, server, bearer(l.tokens[account.Manager])); r.StatusCode != http.StatusOK {
		t.Errorf("somebody else: got %d", r.StatusCode)
	}
	first.Body.Close()
	for l.watch(ctx, server, bearer(agent)).StatusCode != http.StatusOK { // until the server has seen it go
		if ctx.Err() != nil {
			t.Fatal("the place was not given back")
		}
	}
}

// slow is a connection that notes its write deadlines.
type slow struct {
	*httptest.ResponseRecorder
	mu        sync.Mutex
	deadlines []time.Time
	written   func()
}

// SetWriteDeadline notes a deadline.
func (s *slow) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlines = append(s.deadlines, t)
	return nil
}

// Write says that something was written.
func (s *slow) Write(b []byte) (int, error) {
	s.written()
	return s.ResponseRecorder.Write(b)
}

func TestEachPieceOfALiveStreamHasItsOwnDeadline(t *testing.T) {
	l := openLine(t, storetestSQLite(t))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/live", http.NoBody)
	bearer(l.tokens[account.Agent])(r)
	w := &slow{ResponseRecorder: httptest.NewRecorder(), written: cancel}
	began := time.Now()
	l.server.Public().ServeHTTP(w, r)
	if len(w.deadlines) != 3 || !w.deadlines[0].IsZero() || !w.deadlines[2].IsZero() {
		t.Fatalf("deadlines: %v", w.deadlines)
	}
	if got := w.deadlines[1]; got.Before(began.Add(10*time.Second)) || got.After(time.Now().Add(10*time.Second)) {
		t.Errorf("a piece has until %v, from %v", got, began)
	}
}
