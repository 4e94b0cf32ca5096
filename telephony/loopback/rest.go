package loopback

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel/telephony"
)

// REST is the provider's API over what this network knows, for the account of
// the Config: numbers to buy and owned ones, the call list, recordings and
// their media. Serve it anywhere; its paths begin with /2010-04-01/Accounts/.
func (n *Network) REST() http.Handler {
	mux := http.NewServeMux()
	base := "/" + apiVersion + "/Accounts/{account}/"
	route := func(method, path string, fn func(http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(method+" "+base+path, fn)
	}
	route("GET", "AvailablePhoneNumbers/{country}/{kind}", n.listAvailable)
	route("GET", "IncomingPhoneNumbers.json", n.listOwned)
	route("POST", "IncomingPhoneNumbers.json", n.buy)
	route("GET", "IncomingPhoneNumbers/{sid}", n.getOwned)
	route("POST", "IncomingPhoneNumbers/{sid}", n.updateOwned)
	route("DELETE", "IncomingPhoneNumbers/{sid}", n.releaseOwned)
	route("GET", "Calls.json", n.listCalls)
	route("GET", "Calls/{sid}", n.getCall)
	route("POST", "Calls/{sid}", n.updateCall)
	route("GET", "Recordings.json", n.listRecordings)
	route("GET", "Recordings/{sid}", n.getRecording)
	route("DELETE", "Recordings/{sid}", n.deleteRecording)
	mux.HandleFunc("/", notFound)

	do := n.authorized(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := n.faults.match(r); fault != nil {
			fault.spoil(w, r, do)
			return
		}
		do.ServeHTTP(w, r)
	})
}

// Take lets somebody else buy a number: search goes on offering it for a while,
// as the provider's does, and buying it fails.
func (n *Network) Take(e164 string) { n.registry.take(e164) }

// authorized checks the account's Basic credentials, and that the path is that
// account's.
func (n *Network) authorized(next http.Handler) http.Handler {
	account := "/" + apiVersion + "/Accounts/" + n.config.AccountSID + "/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != n.config.AccountSID || subtle.ConstantTimeCompare([]byte(password), []byte(n.config.AuthToken)) != 1 {
			writeError(w, http.StatusUnauthorized, 20003, "Authenticate")
			return
		}
		if !strings.HasPrefix(r.URL.Path, account) {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// object is a JSON object as the provider writes it: numbers are mostly texts.
type object map[string]any

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func writeError(w http.ResponseWriter, status, code int, message string) {
	writeJSON(w, status, object{
		"code": code, "message": message, "status": status,
		"more_info": "https://www.twilio.com/docs/errors/" + strconv.Itoa(code),
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, 20404, "The requested resource "+r.URL.Path+" was not found")
}

// resourceSID reads a path's last part without its .json.
func resourceSID(r *http.Request) string { return strings.TrimSuffix(r.PathValue("sid"), ".json") }

func (n *Network) path(parts ...string) string {
	return "/" + apiVersion + "/Accounts/" + n.config.AccountSID + "/" + strings.Join(parts, "/")
}

// writePage answers one page of a list under the resource's name.
func writePage[T any](w http.ResponseWriter, r *http.Request, name string, all []T, show func(T) object) {
	size := clamp(r.URL.Query().Get("PageSize"), 50, 1, 1000)
	page := clamp(r.URL.Query().Get("Page"), 0, 0, 1<<20)
	from := min(page*size, len(all))
	until := min(from+size, len(all))
	items := []object{}
	for _, item := range all[from:until] {
		items = append(items, show(item))
	}
	at := func(p int) string {
		q := r.URL.Query()
		q.Set("PageSize", strconv.Itoa(size))
		q.Set("Page", strconv.Itoa(p))
		return r.URL.Path + "?" + q.Encode()
	}
	body := object{
		name: items, "page": page, "page_size": size, "start": from, "end": max(from, until-1),
		"uri": at(page), "first_page_uri": at(0), "next_page_uri": nil, "previous_page_uri": nil,
	}
	if until < len(all) {
		body["next_page_uri"] = at(page + 1)
	}
	if page > 0 {
		body["previous_page_uri"] = at(page - 1)
	}
	writeJSON(w, http.StatusOK, body)
}

func clamp(text string, otherwise, low, high int) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		return otherwise
	}
	return min(max(value, low), high)
}

// Numbers.

func (n *Network) listAvailable(w http.ResponseWriter, r *http.Request) {
	kind := strings.TrimSuffix(r.PathValue("kind"), ".json")
	list, ok := n.inventory(r.PathValue("country"), kind, r.URL.Query())
	if !ok {
		notFound(w, r)
		return
	}
	size := clamp(r.URL.Query().Get("PageSize"), 30, 1, 1000)
	items := []object{}
	for _, number := range list[:min(size, len(list))] {
		items = append(items, number.object())
	}
	// The provider's own answer has no paging for this list.
	writeJSON(w, http.StatusOK, object{"available_phone_numbers": items, "uri": r.URL.RequestURI()})
}

func (n *Network) listOwned(w http.ResponseWriter, r *http.Request) {
	want := r.URL.Query().Get("PhoneNumber")
	list := slices.DeleteFunc(n.registry.owned(), func(number ownedNumber) bool {
		return want != "" && number.e164 != want
	})
	writePage(w, r, "incoming_phone_numbers", list, n.numberObject)
}

func (n *Network) getOwned(w http.ResponseWriter, r *http.Request) {
	number, ok := n.registry.numberBySID(resourceSID(r), nil)
	if !ok {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, n.numberObject(number))
}

// buy makes a number ours: the one that is asked for, or any of an area.
func (n *Network) buy(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	e164 := r.PostForm.Get("PhoneNumber")
	if e164 == "" && r.PostForm.Get("AreaCode") != "" {
		list, _ := n.inventory("US", "Local", r.PostForm)
		list = slices.DeleteFunc(list, func(number available) bool { return n.registry.isTaken(number.e164) })
		if len(list) == 0 {
			writeError(w, http.StatusBadRequest, 21452, "No phone numbers found in area code")
			return
		}
		e164 = list[0].e164
	}
	switch {
	case !dialable.MatchString(e164):
		writeError(w, http.StatusBadRequest, 21421, "PhoneNumber is invalid")
		return
	case n.registry.isTaken(e164):
		writeError(w, http.StatusBadRequest, 21422, e164+" is not available")
		return
	}
	number := n.registry.own(e164, NumberURLs{}, n.clock.Now())
	number, _ = n.registry.numberBySID(number.sid, n.changes(r.PostForm))
	writeJSON(w, http.StatusCreated, n.numberObject(number))
}

func (n *Network) updateOwned(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	number, ok := n.registry.numberBySID(resourceSID(r), n.changes(r.PostForm))
	if !ok {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, n.numberObject(number))
}

// changes applies the settings that a form names.
func (n *Network) changes(form url.Values) func(*ownedNumber) {
	now := n.clock.Now()
	return func(number *ownedNumber) {
		for name, field := range map[string]*string{
			"FriendlyName": &number.name, "VoiceUrl": &number.urls.Voice, "VoiceFallbackUrl": &number.urls.Fallback,
			"StatusCallback": &number.urls.Status, "VoiceApplicationSid": &number.application, "TrunkSid": &number.trunk,
		} {
			if form.Has(name) {
				*field = form.Get(name)
			}
		}
		number.updatedAt = now
	}
}

func (n *Network) releaseOwned(w http.ResponseWriter, r *http.Request) {
	if !n.registry.release(resourceSID(r)) {
		notFound(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (n *Network) numberObject(number ownedNumber) object {
	return object{
		"sid": number.sid, "account_sid": n.config.AccountSID, "phone_number": number.e164,
		"friendly_name": number.name, "voice_url": number.urls.Voice, "voice_method": "POST",
		"voice_fallback_url": number.urls.Fallback, "voice_fallback_method": "POST",
		"status_callback": number.urls.Status, "status_callback_method": "POST",
		"voice_caller_id_lookup": false, "voice_application_sid": number.application, "trunk_sid": orNull(number.trunk),
		"sms_url": "", "sms_method": "POST", "sms_fallback_url": "", "sms_fallback_method": "POST", "sms_application_sid": "",
		"capabilities": object{"voice": true, "sms": true, "mms": true, "fax": false},
		"api_version":  apiVersion, "beta": false, "origin": "twilio", "status": "in-use",
		"address_requirements": "none", "voice_receive_mode": "voice",
		"date_created": rfc2822(number.createdAt), "date_updated": rfc2822(number.updatedAt),
		"uri": n.path("IncomingPhoneNumbers", number.sid+".json"),
	}
}

// Calls.

func (n *Network) listCalls(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	within, err := instantFilter(q)
	if err != nil {
		writeError(w, http.StatusBadRequest, 20001, err.Error())
		return
	}
	rows := slices.DeleteFunc(n.registry.callList(n.clock.Now().Add(-n.config.ListLag)), func(row callRow) bool {
		return differs(q, "To", row.to) || differs(q, "From", row.from) || differs(q, "ParentCallSid", row.parentSID) ||
			differs(q, "Status", string(row.status)) || !within(row.startedAt)
	})
	writePage(w, r, "calls", rows, n.callObject)
}

func differs(q url.Values, name, value string) bool { return q.Get(name) != "" && q.Get(name) != value }

// instantFilter reads StartTime, StartTime< and StartTime>: a day or an
// instant; a day's end is included, as at the provider.
func instantFilter(q url.Values) (func(time.Time) bool, error) {
	var checks []func(time.Time) bool
	for name, check := range map[string]func(at, from, until time.Time) bool{
		"StartTime":  func(at, from, until time.Time) bool { return !at.Before(from) && at.Before(until) },
		"StartTime<": func(at, _, until time.Time) bool { return at.Before(until) },
		"StartTime>": func(at, from, _ time.Time) bool { return !at.Before(from) },
	} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		from, length, err := instant(text)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read", name)
		}
		checks = append(checks, func(at time.Time) bool { return check(at, from, from.Add(length)) })
	}
	return func(at time.Time) bool {
		return !slices.ContainsFunc(checks, func(check func(time.Time) bool) bool { return !check(at) })
	}, nil
}

func instant(text string) (time.Time, time.Duration, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, 24 * time.Hour, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, time.Second, err
}

func (n *Network) getCall(w http.ResponseWriter, r *http.Request) {
	row, ok := n.registry.call(resourceSID(r))
	if !ok {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, n.callObject(row))
}

// updateCall ends a call: Status=completed or canceled.
func (n *Network) updateCall(w http.ResponseWriter, r *http.Request) {
	row, ok := n.registry.call(resourceSID(r))
	if !ok {
		notFound(w, r)
		return
	}
	_ = r.ParseForm()
	if status := r.PostForm.Get("Status"); status != "completed" && status != "canceled" {
		writeError(w, http.StatusBadRequest, 21206, "Status must be completed or canceled")
		return
	}
	end := n.registry.hangup(row.sid)
	if end == nil || row.status.Final() {
		writeError(w, http.StatusBadRequest, 21220, "Call is not in-progress. Cannot redirect.")
		return
	}
	n.Schedule(n.clock.Now(), end)
	writeJSON(w, http.StatusOK, n.callObject(row))
}

func (n *Network) callObject(row callRow) object {
	status := row.status
	if status == telephony.Initiated { // a word of the callbacks only
		status = telephony.Queued
	}
	var ended, seconds any
	if !row.endedAt.IsZero() {
		ended = rfc2822(row.endedAt)
	}
	if text := row.seconds(); text != "" {
		seconds = text
	}
	return object{
		"sid": row.sid, "parent_call_sid": orNull(row.parentSID), "account_sid": n.config.AccountSID,
		"from": row.from, "from_formatted": row.from, "to": row.to, "to_formatted": row.to,
		"direction": row.direction, "status": string(status), "start_time": rfc2822(row.startedAt),
		"end_time": ended, "duration": seconds, "price": nil, "price_unit": "USD",
		"phone_number_sid": row.numberSID, "caller_name": row.callerName, "answered_by": nil, "forwarded_from": nil,
		"group_sid": nil, "queue_time": "0", "trunk_sid": "", "api_version": apiVersion,
		"date_created": rfc2822(row.createdAt), "date_updated": rfc2822(n.clock.Now()),
		"uri":              n.path("Calls", row.sid+".json"),
		"subresource_uris": object{"recordings": n.path("Calls", row.sid, "Recordings.json")},
	}
}

// Recordings.

func (n *Network) listRecordings(w http.ResponseWriter, r *http.Request) {
	writePage(w, r, "recordings", n.registry.recordingList(r.URL.Query().Get("CallSid")), n.recordingObject)
}

// getRecording answers the row for .json, and media for .wav, .mp3 and no
// suffix.
func (n *Network) getRecording(w http.ResponseWriter, r *http.Request) {
	sid, suffix, _ := strings.Cut(r.PathValue("sid"), ".")
	rec, ok := n.registry.recording(sid)
	if !ok {
		notFound(w, r)
		return
	}
	switch {
	case suffix == "json":
		writeJSON(w, http.StatusOK, n.recordingObject(rec))
	case rec.status != "completed":
		notFound(w, r)
	case suffix == "mp3":
		writeMedia(w, "audio/mpeg", mp3(rec))
	default:
		writeMedia(w, "audio/x-wav", wav(rec))
	}
}

func writeMedia(w http.ResponseWriter, contentType string, media []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(media)))
	_, _ = w.Write(media)
}

func (n *Network) deleteRecording(w http.ResponseWriter, r *http.Request) {
	if !n.registry.deleteRecording(resourceSID(r)) {
		notFound(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (n *Network) recordingObject(rec recording) object {
	var errorCode any
	if rec.status == "absent" {
		errorCode = 0
	}
	ended := rfc2822(rec.startedAt.Add(time.Duration(rec.seconds) * time.Second))
	return object{
		"sid": rec.sid, "account_sid": n.config.AccountSID, "call_sid": rec.callSID, "conference_sid": nil,
		"status": rec.status, "channels": rec.channels, "source": rec.source, "duration": strconv.FormatInt(rec.seconds, 10),
		"start_time": rfc2822(rec.startedAt), "date_created": rfc2822(rec.startedAt), "date_updated": ended,
		"price": nil, "price_unit": "USD", "error_code": errorCode, "api_version": apiVersion, "encryption_details": nil,
		"media_url": n.mediaURL(rec.sid), "uri": n.path("Recordings", rec.sid+".json"),
	}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
