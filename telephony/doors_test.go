package telephony_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/twilio"
)

const formType = "application/x-www-form-urlencoded"

// question is what the provider asks at a live door, and what brings the caller on.
type question struct {
	door   telephony.Door
	query  string
	form   func(t *testing.T) url.Values
	read   string // stands in the answer when the parameters could be read
	unread string // when they could not
	never  string // must not stand in either, "" for nothing
}

// The plan: agent1 hears where the call comes from, then agent2, then a mailbox.
var questions = []question{
	{telephony.DoorVoice, "", askedWith("c1"), ">" + agent1 + "</Number>", ">" + officePhone + "</Number>", "<Hangup"},
	{telephony.DoorNext, "n=%2B13125550171&hop=1", askedWith("c4"), ">" + agent2 + "</Number>", ">" + agent2 + "</Number>", "<Hangup"},
	// Bridged is whoever answers a whisper that does not hang up.
	{telephony.DoorWhisper, "n=%2B13125550171&hop=1", askedWith("a4"), "<Say>Call from (312) 555-0171</Say>", "<Say>Call from (312) 555-0171</Say>", "<Hangup"},
	// The agent took the call; or nobody can tell, and the next one is rung.
	{telephony.DoorKeys, "n=%2B13125550171&hop=1", askedWith("a4", "Digits", "1"), "<Response></Response>", "<Hangup>", "<Dial"},
	// The message is on its way.
	{telephony.DoorVoicemail, "", askedWith("b9"), "<Hangup>", "<Hangup>", "<Dial"},
}

func askedWith(tape string, more ...string) func(t *testing.T) url.Values {
	return func(t *testing.T) url.Values {
		form := played(t, tape)[0].values()
		for i := 0; i+1 < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return form
	}
}

// shape is a way in which a question may arrive.
type shape struct {
	name     string
	method   string
	typ      string // content type
	read     bool   // the signature covers parameters that can be read
	unsigned int    // the answer to the same without a good signature
	// write makes target and body, and says what is signed beside the URL.
	write func(target string, form url.Values) (string, string, url.Values)
}

func join(target, query string) string {
	switch {
	case query == "":
		return target
	case strings.Contains(target, "?"):
		return target + "&" + query
	}
	return target + "?" + query
}

var (
	asForm = func(target string, form url.Values) (string, string, url.Values) {
		return target, form.Encode(), form
	}
	asQuery = func(target string, form url.Values) (string, string, url.Values) {
		return join(target, form.Encode()), "", nil
	}
	unread = func(body string) func(string, url.Values) (string, string, url.Values) {
		return func(target string, _ url.Values) (string, string, url.Values) { return target, body, nil }
	}
	hashed = func(body string) func(string, url.Values) (string, string, url.Values) {
		sum := sha256.Sum256([]byte(body))
		return func(target string, _ url.Values) (string, string, url.Values) {
			return join(target, "bodySHA256="+hex.EncodeToString(sum[:])), body, nil
		}
	}
	more = func(name, value string) func(string, url.Values) (string, string, url.Values) {
		return func(target string, form url.Values) (string, string, url.Values) {
			form.Set(name, value)
			return target, form.Encode(), form
		}
	}
)

var shapes = []shape{
	{"a form", "POST", formType, true, 403, asForm},
	{"a form without a type", "POST", "", true, 403, asForm},
	{"a form that is called text", "POST", "text/plain", true, 415, asForm},
	{"a form that is called JSON", "POST", "application/json", true, 415, asForm},
	{"a form that is called multipart", "POST", "multipart/form-data; boundary=x", true, 415, asForm},
	{"a form by PUT", "PUT", formType, true, 405, asForm},
	{"a form at a final slash", "POST", formType, true, 404, func(target string, form url.Values) (string, string, url.Values) {
		path, query, _ := strings.Cut(target, "?")
		return join(path+"/", query), form.Encode(), form
	}},
	{"a form with broken escapes", "POST", formType, true, 403, func(target string, form url.Values) (string, string, url.Values) {
		body := form.Encode() + "&Odd=%zz;100%&%=%u0041&&="
		form.Set("Odd", "%zz;100%")
		form.Set("%", "%u0041")
		form.Set("", "")
		return target, body, form
	}},
	{"a form of 900 kB", "POST", formType, true, 413, more("SipHeader_X-Big", strings.Repeat("<", 300<<10))},
	{"GET", "GET", "", true, 403, asQuery},
	{"GET with a type", "GET", "application/json", true, 403, asQuery},
	{"GET with a broken escape", "GET", "", true, 403, func(target string, form url.Values) (string, string, url.Values) {
		return join(target, form.Encode()+"&Odd=%zz"), "", nil
	}},
	{"HEAD", "HEAD", "", true, 405, asQuery},
	{"POST without a body, all in the query", "POST", formType, true, 403, asQuery},
	{"nothing at all", "POST", formType, false, 403, unread("")},
	{"GET without parameters", "GET", "", false, 403, unread("")},
	{"text", "POST", "text/plain", false, 415, unread("hello")},
	{"900 kB of text", "POST", "text/plain", false, 415, unread(strings.Repeat("x", 900<<10))},
	{"multipart", "POST", "multipart/form-data; boundary=x", false, 415, unread("--x\r\nContent-Disposition: form-data; name=\"CallSid\"\r\n\r\nCA1\r\n--x--\r\n")},
	{"JSON with its hash", "POST", "application/json", false, 415, hashed(`{"CallSid":"CA1"}`)},
	{"JSON by PUT with its hash", "PUT", "application/json", false, 405, hashed(`{"CallSid":"CA2"}`)},
}

// make returns the request, signed with the secret.
func (s shape) make(q question, form url.Values, secret string) *http.Request {
	target, body, signed := s.write(join("/webhooks/twilio/"+string(q.door), q.query), form)
	r := httptest.NewRequest(s.method, target, strings.NewReader(body))
	if s.typ != "" {
		r.Header.Set("Content-Type", s.typ)
	}
	r.Header.Set("X-Twilio-Signature", sign(secret, base+target, signed))
	return r
}

func (x *exchange) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	x.door.ServeHTTP(w, r)
	return w
}

// whispers is hunting, with something for the agent's ear.
func whispers() telephony.Plan {
	plan := hunting
	plan.Whisper = "Call from {source}"
	return plan
}

func TestEverySignedQuestionAtEveryLiveDoorBringsTheCallerOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, whispers())
		ask := func(when string) {
			for i, q := range questions {
				for j, s := range shapes {
					form := q.form(t)
					id := fmt.Sprintf("CA%s%02d%02d%026d", when[:2], i, j, 0)
					form.Set("CallSid", id)
					if form.Has("RecordingSid") { // each message is its own
						form.Set("RecordingSid", "RE"+id[2:])
						form.Set("RecordingUrl", mediaURL("b")+id[2:])
					}
					body := document(t, x.serve(s.make(q, form, token)))
					want := q.read
					if !s.read {
						want = q.unread
					}
					if !strings.Contains(body, want) || q.never != "" && strings.Contains(body, q.never) {
						t.Errorf("%s, %s, %s: got %s, want %s", when, q.door, s.name, body, want)
					}
					if when != "with a database" || q.door != telephony.DoorVoice || !s.read {
						continue
					}
					if c := x.row("acct_1", id); c.Shell || c.From != caller || c.NumberID != "num_"+tracking {
						t.Errorf("%s: kept %+v", s.name, c)
					}
				}
			}
		}
		ask("with a database")
		readable := 0
		for _, s := range shapes {
			if s.read {
				readable++
			}
		}
		if n := x.count(`SELECT count(*) FROM calls`); n < 2*readable {
			t.Errorf("%d calls of %d requests that name one", n, len(questions)*readable)
		}
		// What came by GET is read from the journal as it was read when it came.
		if res, err := x.board.Replay(context.Background(), false); err != nil || res.Differents != 0 || res.Calls == 0 {
			t.Errorf("replay: got %+v, %v, want no difference", res, err)
		}
		db.Close()
		ask("no database")
	})
}

func TestNoQuestionIsBelievedWithoutASignature(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, whispers())
		for _, q := range questions {
			for _, s := range shapes {
				good := s.make(q, q.form(t), token)
				bad := map[string]*http.Request{
					"another token": s.make(q, q.form(t), "other"),
					"another query": s.make(q, q.form(t), token),
				}
				bad["another query"].RequestURI = join(good.RequestURI, "a=acct_1")
				if s.read && good.ContentLength > 0 {
					form := q.form(t)
					form.Set("To", "+13125550199")
					bad["another number"] = s.make(q, form, token)
					bad["another number"].Header.Set("X-Twilio-Signature", good.Header.Get("X-Twilio-Signature"))
				}
				for name, r := range bad {
					if w := x.serve(r); w.Code != s.unsigned {
						t.Errorf("%s, %s, %s: got %d, want %d", q.door, s.name, name, w.Code, s.unsigned)
					}
				}
				good.Header.Del("X-Twilio-Signature")
				if w := x.serve(good); w.Code/100 != 4 {
					t.Errorf("%s, %s, no signature: got %d", q.door, s.name, w.Code)
				}
			}
		}
		if n := x.count(`SELECT count(*) FROM journal`); n != 0 {
			t.Errorf("%d requests were kept", n)
		}
	})
}

// broken ends before its end.
type broken struct{ io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// What cannot be verified is not signed: see the package's documentation.
func TestWhatCannotBeVerifiedIsRefusedAndChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		huge := strings.Repeat("x", 1<<20)
		for _, q := range questions {
			form := q.form(t)
			for name, c := range map[string]struct {
				status int
				change func(r *http.Request)
			}{
				"over 1 MB": {413, func(r *http.Request) {
					form.Set("Big", huge)
					r.Body = io.NopCloser(strings.NewReader(form.Encode()))
					r.Header.Set("X-Twilio-Signature", sign(token, base+r.RequestURI, form))
					form.Del("Big")
				}},
				"text over 1 MB": {413, func(r *http.Request) {
					r.Header.Set("Content-Type", "text/plain")
					r.Body = io.NopCloser(strings.NewReader(huge + "x"))
					r.Header.Set("X-Twilio-Signature", sign(token, base+r.RequestURI, nil))
				}},
				"a body that breaks off": {400, func(r *http.Request) {
					r.Body = io.NopCloser(broken{strings.NewReader(form.Encode())})
				}},
				"the signature twice": {403, func(r *http.Request) {
					r.Header.Add("X-Twilio-Signature", r.Header.Get("X-Twilio-Signature"))
				}},
				"a good signature among others": {403, func(r *http.Request) {
					r.Header["X-Twilio-Signature"] = []string{sign("other", base+r.RequestURI, form), r.Header.Get("X-Twilio-Signature")}
				}},
				"signatures in one header": {403, func(r *http.Request) {
					good := r.Header.Get("X-Twilio-Signature")
					r.Header.Set("X-Twilio-Signature", good+", "+good)
				}},
				"a form beside what is signed": {403, func(r *http.Request) {
					r.Header.Set("X-Twilio-Signature", sign(token, base+r.RequestURI, nil))
				}},
			} {
				r := shapes[0].make(q, form, token)
				c.change(r)
				if w := x.serve(r); w.Code != c.status {
					t.Errorf("%s, %s: got %d, want %d", q.door, name, w.Code, c.status)
				}
			}
		}
		if n := x.count(`SELECT count(*) FROM journal`); n != 0 {
			t.Errorf("%d requests were kept", n)
		}
	})
}

func TestOfABodyThatNobodySignedNothingIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var log bytes.Buffer
		x := open(t, db, func(_ *telephony.Config, d *telephony.Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		target := "/webhooks/twilio/voice?n=" + url.QueryEscape(tracking)
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader("CallSid=CAsmuggled and To=+19995550100"))
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("X-Twilio-Signature", sign(token, base+target, nil))
		document(t, x.serve(r))
		var kept []byte
		if err := db.Get(context.Background(), &kept, `SELECT body FROM journal`); err != nil || len(kept) != 0 {
			t.Errorf("kept %q, %v", kept, err)
		}
		if !strings.Contains(log.String(), "dropped") || !strings.Contains(log.String(), "bytes=38") || strings.Contains(log.String(), "smuggled") {
			t.Errorf("the log says %s", log.String())
		}
	})
}

// A number that was set up with GET may have a fallback URL that is asked with
// POST: both are one question about one call.
func TestOneCallAskedByGETAndByPOSTIsOneCall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db)
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		form := played(t, "c1")[0].values()
		first := document(t, x.serve(shapes[index(t, "GET")].make(questions[0], form, token)))
		again := document(t, x.post("/webhooks/twilio/voice", token, form))
		y := open(t, db) // and a replica that did not hear the first
		y.refresh()
		third := document(t, y.post("/webhooks/twilio/voice", token, form))
		if again != first || third != first {
			t.Errorf("answers differ:\n%s\n%s\n%s", first, again, third)
		}
		if entries, calls := x.count(`SELECT count(*) FROM journal`), x.count(`SELECT count(*) FROM calls`); entries != 1 || calls != 1 {
			t.Errorf("got %d entries and %d calls, want one each", entries, calls)
		}
	})
}

func index(t *testing.T, name string) int {
	t.Helper()
	for i, s := range shapes {
		if s.name == name {
			return i
		}
	}
	t.Fatalf("no shape %s", name)
	return 0
}

// namelessProvider panics wherever its name is asked for: also where the
// emergency answer is written.
type namelessProvider struct{ telephony.Provider }

func (namelessProvider) Name() string                            { panic("name") }
func (namelessProvider) Parse(telephony.Request) telephony.Event { panic("parse") }
func (p namelessProvider) Verify(r telephony.Request, base string, secrets []telephony.Secret) (telephony.Secret, error) {
	return p.Provider.Verify(r, base, secrets)
}

func TestAPanicInsideTheEmergencyIsAnsweredToo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		x := open(t, db, func(_ *telephony.Config, d *telephony.Deps) {
			d.Providers = map[string]telephony.Provider{"twilio": namelessProvider{twilio.New()}}
		})
		x.account("acct_1", officePhone)
		x.number("acct_1", tracking, hunting)
		for _, c := range []struct {
			q    question
			want string
		}{
			{questions[0], "<Dial>" + lastResort + "</Dial>"},
			{questions[1], "<Dial>" + lastResort + "</Dial>"},
			{questions[2], "<Response></Response>"}, // bridges
			{questions[3], "<Hangup/>"},             // of the agent's leg: the next one is rung
			{questions[4], "<Hangup/>"},
		} {
			body := document(t, x.serve(shapes[0].make(c.q, c.q.form(t), token)))
			if !strings.Contains(body, c.want) {
				t.Errorf("%s: got %s, want %s", c.q.door, body, c.want)
			}
		}
	})
}

// hangingProvider never comes back from a door of its own until it is let go.
type hangingProvider struct {
	telephony.Provider
	parse, render bool
	let           chan struct{}
}

func (h hangingProvider) Parse(r telephony.Request) telephony.Event {
	if h.parse {
		<-h.let
	}
	return h.Provider.Parse(r)
}

func (h hangingProvider) Render(list []telephony.Instruction) ([]byte, string, error) {
	if h.render {
		<-h.let
	}
	return h.Provider.Render(list)
}

func TestAnAnswerThatIsNotFoundInTimeIsTheEmergencyAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		hanging hangingProvider
		want    string
	}{
		"reading hangs": {hangingProvider{parse: true}, "<Dial>" + lastResort + "</Dial>"}, // whose it is was not known yet
		"writing hangs": {hangingProvider{render: true}, "<Dial>" + agent1 + "</Dial>"},
	} {
		t.Run(name, func(t *testing.T) {
			address := storetest.SQLiteURL(t)
			db, err := store.Open(address)
			if err != nil {
				t.Fatal(err)
			}
			spool := t.TempDir()
			x := open(t, db, in(spool))
			x.account("acct_1", officePhone)
			x.number("acct_1", tracking, hunting)
			x.board.Close()
			db.Close()
			synctest.Test(t, func(t *testing.T) {
				h := c.hanging
				h.Provider, h.let = twilio.New(), make(chan struct{})
				x := open(t, db, in(spool), func(cfg *telephony.Config, d *telephony.Deps) {
					cfg.WriteBudget, cfg.AttributeBudget, cfg.WhisperBudget = 0, 0, 0 // what is usual
					d.Providers = map[string]telephony.Provider{"twilio": h}
				})
				if err := x.board.LoadLastGood(); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				body := document(t, x.post("/webhooks/twilio/voice", token, played(t, "c1")[0].values()))
				if !strings.Contains(body, c.want) {
					t.Errorf("got %s, want %s", body, c.want)
				}
				// The provider asks again after 4 s, and gives up after 14.
				if took := time.Since(began); took < time.Second || took >= 4*time.Second {
					t.Errorf("the caller waited %v", took)
				}
				close(h.let)
				synctest.Wait()
			})
		})
	}
}
