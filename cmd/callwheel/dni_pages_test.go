package main

import (
	"testing"
	"time"
)

func reactPage(t *testing.T, s *swapping) { framework(t, s, "/react.html") }

func vuePage(t *testing.T, s *swapping) { framework(t, s, "/vue.html") }

// framework: a page that a server wrote and a framework takes over. It must find
// the page as the server wrote it, also when the number is known already; what
// it renders afterwards is swapped again.
func framework(t *testing.T, s *swapping, path string) {
	w := s.site(t, nil)
	w.head = `<script src="` + w.script() + `"></script>`
	v := w.visitor()
	end := ""
	for range 2 { // the second time the number is known before the page is there
		v.open(path)
		end = ending(v.shown())
		v.becomes("window.hydrated && phone.textContent === 'Call 312-555-" + end + "'")
		is(t, "what it had to write anew", v.eval("window.recovered || ''"), "")
		is(t, "link", v.eval("link.getAttribute('href')"), "tel:+1312555"+end)
	}
	v.run("tick()")
	v.becomes("window.late && late.textContent === 'Or (312) 555-" + end + "'")
	is(t, "the framework still counts", v.text("count"), "1")
	v.run("say('(312) 555-0100 day and night')")
	v.becomes("phone.textContent === 'Call (312) 555-" + end + " day and night'")
	v.run("tick(); tick();")
	v.becomes("document.getElementById('count').textContent === '3' && link.textContent === '312-555-" + end + "' && link.getAttribute('href') === 'tel:+1312555" + end + "'")
	is(t, "failed requests", v.says(), 0)
}

func routes(t *testing.T, s *swapping) {
	w := s.site(t, nil)
	v := w.visitor()
	v.open("/spa.html?utm_source=google&gclid=Cj0")
	end := ending(v.shown())
	v.run("go('/contact')")
	v.becomes("phone.textContent === 'Contact (312) 555-" + end + "' && link.getAttribute('href') === 'tel:+1312555" + end + "'")
	v.run("go('/about')")
	v.run("history.back()")
	v.becomes("location.pathname === '/contact' && window.phone && phone.textContent === 'Contact (312) 555-" + end + "'")
	is(t, "visits without new evidence", len(w.visits()), 1)
	const touches = "SELECT count(*) FROM touches WHERE session_id IN (SELECT session_id FROM sessions WHERE site_id = ?)"
	is(t, "touches", s.count(touches, w.id), 1)
	v.run("history.pushState({}, '', '/contact?utm_source=bing&msclkid=x'); draw()")
	eventually(t, "new evidence is told and kept", pagePatience, func() bool { return len(w.visits()) == 2 && s.count(touches, w.id) == 2 })
	v.open("/late.html")
	eventually(t, "each route is reported", pagePatience, func() bool {
		return s.count("SELECT count(*) FROM swap_pages WHERE site_id = ? AND last_swapped_at > 0 AND page IN ('/spa.html', '/contact')", w.id) == 2
	})
	is(t, "failed requests", v.says(), 0)
}

const printedPromise = `{"e164":"+13125550100","national":"(312) 555-0100","swapped":false}`

// An answer after 0.8 s changes nothing on the page that waits for it, and is
// used by the pages after it.
func slowServer(t *testing.T, s *swapping) {
	w := s.site(t, nil)
	v := w.visitor()
	s.wire.set("slow")
	defer s.wire.set("")
	v.open("/plain.html")
	is(t, "the promised number", v.promised("callwheel.number()"), printedPromise)
	v.becomes("sessionStorage.getItem('callwheel')")
	is(t, "the page that waited", v.text("phone"), "We answer 24/7: 312.555.0100")
	is(t, "why", v.eval("callwheel.swap().failed.some((f) => f.why === 'late')"), "true")
	is(t, "the page that waited", v.text("phone"), "We answer 24/7: 312.555.0100")
	v.open("/formats.html")
	v.becomes("/555-0(?!100)/.test(document.querySelector('li').textContent)")
	is(t, "failed requests", v.says(), 0)
}

func deadServer(t *testing.T, s *swapping) {
	defer s.wire.set("")
	w := s.site(t, nil)
	for _, mode := range []string{"dead", "garbage", "broken"} {
		v := w.visitor()
		s.wire.set(mode)
		v.open("/plain.html")
		is(t, mode+": the promised number", v.promised("callwheel.number()"), printedPromise)
		is(t, mode+": the page", v.text("phone"), "We answer 24/7: 312.555.0100")
		v.nothingIsStored()
		s.wire.set("")
		v.open("/plain.html")
		v.shown()
		// The browser itself notes a request that failed; the script asks once.
		if n := v.says(); n > 2 {
			t.Errorf("%s: %d lines about failed requests in the console, want those of one request", mode, n)
		}
	}
	// The script itself cannot be loaded.
	v := w.visitor()
	w.key = "dni_nobody"
	v.open("/plain.html")
	is(t, "no script: the page", v.text("phone"), "We answer 24/7: 312.555.0100")
}

func consentRequired(t *testing.T, s *swapping) {
	w := s.site(t, map[string]any{"consent": "required"})
	v := w.visitor()
	v.open("/plain.html")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	v.nothingIsStored()
	is(t, "sent before consent", len(w.visits())+len(w.beats()), 0)

	v.run("callwheel.consent(true)")
	first := v.shown()
	visitor := v.eval("document.cookie.match(/vis_\\w+/)[0]")
	is(t, "visitors", s.count("SELECT count(*) FROM visitors WHERE visitor_id = ?", visitor), 1)
	// Who has agreed is not asked again on the next page.
	v.open("/plain.html")
	is(t, "the number on the next page", v.shown(), first)

	v.run("callwheel.consent(false)")
	v.becomes("phone.textContent === 'We answer 24/7: 312.555.0100' && link.getAttribute('href') === 'tel:+13125550100'")
	v.nothingIsStored()
	eventually(t, "the visitor is forgotten", pagePatience, func() bool {
		return s.count("SELECT count(*) FROM visitors WHERE visitor_id = ?", visitor) == 0
	})
	told := len(w.visits())
	v.open("/plain.html")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	v.nothingIsStored()
	is(t, "sent after consent was taken back", len(w.visits()), told)
	is(t, "failed requests", v.says(), 0)

	// Where consent is not asked for, a refusal is remembered without an id.
	free := s.site(t, map[string]any{"name": "free"}).visitor()
	free.open("/plain.html")
	free.shown()
	free.run("callwheel.consent(false)")
	free.becomes("document.cookie === 'callwheel=no'")
	free.open("/formats.html")
	free.becomes("window.callwheel && document.readyState === 'complete'")
	is(t, "the promised number", free.promised("callwheel.number()"), printedPromise)
	is(t, "visits after the refusal: the first and the withdrawal", len(free.site.visits()), 2)
}

func globalPrivacyControl(t *testing.T, s *swapping) {
	w := s.site(t, nil)
	v := w.visitor("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
	v.open("/plain.html?utm_source=google")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	is(t, "the promised number", v.promised("callwheel.number()"), printedPromise)
	v.nothingIsStored()
	v.run("callwheel.consent(true)")
	v.open("/formats.html")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	v.nothingIsStored()
	is(t, "sent", len(w.visits())+len(w.beats()), 0)
	is(t, "failed requests", v.says(), 0)
}

// nothingIsStored looks at every place where a page can keep something.
func (v *tab) nothingIsStored() {
	v.t.Helper()
	is(v.t, "stored", v.eval("document.cookie + sessionStorage.length + localStorage.length"), "00")
}

func cookieless(t *testing.T, s *swapping) {
	w := s.site(t, map[string]any{"cookieless": true})
	v := w.visitor()
	v.open("/plain.html")
	first := v.shown()
	is(t, "cookies", v.eval("document.cookie"), "")
	v.open("/formats.html")
	is(t, "the number on the next page", v.shown(), first)
	eventually(t, "the second visit", pagePatience, func() bool { return len(w.visits()) == 2 })
	is(t, "cookies", v.eval("document.cookie"), "")
	is(t, "sessions", s.count("SELECT count(*) FROM sessions WHERE site_id = ?", w.id), 1)
	is(t, "failed requests", v.says(), 0)
}

func consentMode(t *testing.T, s *swapping) {
	w := s.site(t, map[string]any{"consent_mode": "ad_storage"})
	v := w.visitor("window.dataLayer = []; function gtag() { dataLayer.push(arguments); } gtag('consent', 'default', { ad_storage: 'denied' });")
	v.open("/plain.html")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	v.nothingIsStored()
	is(t, "sent", len(w.visits()), 0)
	v.run("gtag('consent', 'update', { ad_storage: 'granted' })")
	v.shown()
	v.run("gtag('consent', 'update', { ad_storage: 'denied' })")
	v.becomes("phone.textContent === 'We answer 24/7: 312.555.0100'")
	v.nothingIsStored()
	is(t, "failed requests", v.says(), 0)
}

func doNotTrack(t *testing.T, s *swapping) {
	const asked = "Object.defineProperty(navigator, 'doNotTrack', { value: '1' })"
	honours := s.site(t, map[string]any{"respect_dnt": true})
	v := honours.visitor(asked)
	v.open("/plain.html")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	v.nothingIsStored()
	is(t, "sent", len(honours.visits()), 0)
	ignores := s.site(t, map[string]any{"name": "ignores", "cookie_days": 30}).visitor(asked)
	ignores.open("/plain.html")
	ignores.shown()
}

// A page that nobody looks at yet opens no lease. The browser's own state is
// played here: nothing else can be told from outside.
func renderedAhead(t *testing.T, s *swapping) {
	w := s.site(t, nil)
	v := w.visitor(`let ahead = true; Object.defineProperty(document, 'prerendering', { get: () => ahead });
		window.look = () => { ahead = false; document.dispatchEvent(new Event('prerenderingchange')); }`)
	v.open("/plain.html")
	v.becomes("window.callwheel && document.readyState === 'complete'")
	is(t, "sent", len(w.visits()), 0)
	v.nothingIsStored()
	v.run("look()")
	v.shown()

	hidden := w.visitor(`let state = 'hidden'; Object.defineProperty(document, 'visibilityState', { get: () => state });
		window.look = () => { state = 'visible'; document.dispatchEvent(new Event('visibilitychange')); }`)
	hidden.open("/plain.html")
	hidden.becomes("window.callwheel && document.readyState === 'complete'")
	is(t, "sent by a tab in the background", len(w.visits()), 1)
	hidden.run("look()")
	hidden.shown()
}

// The page tells that it is open while somebody can see it, and once when it is
// left. The browser's clock is moved, and so is the server's.
func beats(t *testing.T, s *swapping) {
	w := s.site(t, nil)
	v := w.visitor(`let skew = 0, state = 'visible';
		const clock = Date.now, every = setInterval;
		Date.now = () => clock() + skew;
		window.turns = 0;
		window.setInterval = (fn, ms) => every(() => { turns++; fn(); }, ms === 30000 ? 50 : ms);
		window.pass = (seconds) => { skew += seconds * 1000; };
		Object.defineProperty(document, 'visibilityState', { get: () => state });
		window.look = (how) => { state = how; document.dispatchEvent(new Event('visibilitychange')); };`)
	v.open("/plain.html?utm_source=google")
	e164 := v.shown()
	is(t, "beats at first", len(w.beats()), 0)
	s.until(s.stage.program.now().Add(30 * time.Second))
	v.run("pass(30)")
	eventually(t, "a beat", pagePatience, func() bool { return len(w.beats()) == 1 })
	const kept = "SELECT count(*) FROM leases WHERE last_beat_at > leased_from AND session_id IN (SELECT session_id FROM sessions WHERE site_id = ?)"
	eventually(t, "the lease is kept", pagePatience, func() bool { return s.count(kept, w.id) == 1 })
	if b := w.lastBeat(); !b.Visible || b.Swapped == 0 || b.Found <= b.Swapped || len(b.Failed) == 0 {
		t.Errorf("the beat tells %+v", b)
	}
	v.run("look('hidden')")
	eventually(t, "the page tells that it is left", pagePatience, func() bool { return len(w.beats()) == 2 && !w.lastBeat().Visible })
	v.run("pass(60); turns = 0")
	v.becomes("turns > 3")
	is(t, "beats of a page that nobody sees", len(w.beats()), 2)
	v.run("look('visible')")
	eventually(t, "it is looked at again", pagePatience, func() bool { return len(w.beats()) == 3 && w.lastBeat().Visible })
	is(t, "visits", len(w.visits()), 1)
	// After a sleep the lease has ended: the page asks which number is its own, once,
	// however long the answer takes.
	s.wire.set("slow")
	defer s.wire.set("")
	v.run("look('hidden'); pass(4000); look('visible')")
	eventually(t, "it asks again", pagePatience, func() bool { return len(w.visits()) > 1 })
	v.run("turns = 0")
	v.becomes("turns > 10")
	is(t, "visits", len(w.visits()), 2)
	is(t, "the number of a visitor who comes back", v.shown(), e164)
	is(t, "failed requests", v.says(), 0)
}
