package loopback_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callwheel/callwheel/telephony/loopback"
)

// await asks the REST API in a bubble, gives up after the patience, and returns
// the status, 0 when there was no answer, and how long it took.
func await(t *testing.T, n *loopback.Network, patience time.Duration, method, path string, form url.Values) (status int, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := httptest.NewRequest(method, "/2010-04-01/Accounts/"+account+"/"+path, strings.NewReader(form.Encode())).WithContext(ctx)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(account, token)
	w := httptest.NewRecorder()
	began := time.Now()
	n.REST().ServeHTTP(w, r)
	if ctx.Err() != nil {
		return 0, time.Since(began)
	}
	return w.Code, time.Since(began)
}

func TestAnAPIThatHangsIsLeftByItsClientWithOrWithoutTheDeed(t *testing.T) {
	for kind, bought := range map[loopback.FaultKind]int{loopback.Hang: 0, loopback.HangAfter: 1} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, n := newOffice(t, nil)
				n.Fault(loopback.Fault{Kind: kind, Method: "POST", Path: "IncomingPhoneNumbers"})
				form := url.Values{"PhoneNumber": {"+13035550107"}}
				if status, took := await(t, n, 10*time.Second, "POST", "IncomingPhoneNumbers.json", form); status != 0 || took != 10*time.Second {
					t.Errorf("answered %d after %v, want to be left waiting", status, took)
				}
				if got := owned(t, n, "+13035550107"); got != bought {
					t.Errorf("%d such numbers, want %d", got, bought)
				}
				// It was for one request; what another attempt finds is what was done.
				want := map[int]int{0: http.StatusCreated, 1: http.StatusBadRequest}[bought]
				if status, took := await(t, n, 10*time.Second, "POST", "IncomingPhoneNumbers.json", form); status != want || took != 0 {
					t.Errorf("bought again: answered %d after %v, want %d at once", status, took, want)
				}
				if got := owned(t, n, "+13035550107"); got != 1 {
					t.Errorf("%d such numbers at last, want 1", got)
				}
			})
		})
	}
}

// owned counts the numbers of this name that the account owns, without a socket.
func owned(t *testing.T, n *loopback.Network, number string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/2010-04-01/Accounts/"+account+"/IncomingPhoneNumbers.json?PhoneNumber="+url.QueryEscape(number), nil)
	r.SetBasicAuth(account, token)
	w := httptest.NewRecorder()
	n.REST().ServeHTTP(w, r)
	var listed struct {
		Numbers []any `json:"incoming_phone_numbers"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &listed); err != nil || w.Code != http.StatusOK {
		t.Errorf("list the numbers: %d, %v", w.Code, err)
	}
	return len(listed.Numbers)
}

func TestAnUnavailableAPIDoesNothingAndSaysSo(t *testing.T) {
	_, n := newOffice(t, nil)
	a := newAPI(t, n)
	form := url.Values{"PhoneNumber": {"+13035550108"}}
	n.Fault(loopback.Fault{Kind: loopback.Unavailable, Times: 2})
	for range 2 {
		status, answer := a.do("POST", "IncomingPhoneNumbers.json", form)
		if status != http.StatusServiceUnavailable || answer["code"] != 20503.0 || answer["status"] != 503.0 {
			t.Errorf("got %d %v, want 503 with its code", status, answer)
		}
	}
	if got := owned(t, n, "+13035550108"); got != 0 {
		t.Errorf("%d such numbers, want none", got)
	}
	if status, _ := a.do("POST", "IncomingPhoneNumbers.json", form); status != http.StatusCreated {
		t.Errorf("after two faults: got %d, want 201", status)
	}
}

func TestFaultsWithoutEndLastUntilTheyAreCleared(t *testing.T) {
	_, n := newOffice(t, nil)
	a := newAPI(t, n)
	n.Fault(loopback.Fault{Kind: loopback.Unavailable, Times: -1})
	for range 5 {
		if status, _ := a.do("GET", "Calls.json", nil); status != http.StatusServiceUnavailable {
			t.Errorf("got %d, want 503", status)
		}
	}
	n.ClearFaults()
	if status, _ := a.do("GET", "Calls.json", nil); status != http.StatusOK {
		t.Errorf("cleared: got %d", status)
	}
}
