// callwheel: shows each visitor of a website a phone number of their own.
//
// It finds the site's printed numbers, asks the server which number this
// visitor shall see, and writes its digits over the printed ones. It never
// hides a number: whatever fails, the page keeps its own.
//
// Lines that hold only a comment are left out when the file is served. There
// is no build step, no dependency, and one global: callwheel.
(function (baked) {
'use strict';
var w = window, d = document, n = navigator;

// <pure>
// What may stand between two digits of a phone number: spaces of every width,
// brackets, dots, slashes, hyphens, marks that cannot be seen.
var SEP = '[\\s().\\/\\u00ad\\u00b7\\u200b-\\u200f\\u2010-\\u2015\\u202a-\\u202e\\u2060\\u2066-\\u2069\\u2212\\ufeff-]';
var GAP = new RegExp('^' + SEP + '{0,40}$');
// The country code of a number that is none of ours.
var FOREIGN = new RegExp('\\+' + SEP + '*\\d{1,3}' + SEP + '*(\\(0\\))?' + SEP + '*$');

function digits(text) { return text.replace(/\D/g, ''); }

// target prepares a printed number {e164, national, cc} for being looked for:
// its significant digits (nsn), and what may stand before them.
function target(number) {
  var nsn = digits(number.e164).slice(number.cc.length);
  var national = digits(number.national);
  var at = national.length - nsn.length;
  var trunk = at > 0 && national.slice(at) === nsn ? national.slice(0, at) : '';
  var sep = SEP + '*';
  return {
    e164: number.e164, national: number.national, cc: number.cc, nsn: nsn, trunk: trunk,
    lead: new RegExp('(^|[^\\d+])((\\+|00|011)' + sep + number.cc + sep + '(\\(0\\)' + sep + ')?|' + number.cc + sep +
      (trunk ? '|\\(?' + trunk + sep + ')$' : '|)$'))
  };
}

// find returns where a text shows the targets: for each place the positions of
// the significant digits, the range of the whole number, and its target. why
// is set where something other than separators stands between the digits.
function find(text, targets) {
  var only = '', at = [], hits = [], i, c;
  for (i = 0; i < text.length; i++) {
    c = text.charCodeAt(i);
    if (c > 47 && c < 58) { only += text.charAt(i); at.push(i); }
  }
  targets.forEach(t => {
    for (var k = only.indexOf(t.nsn); k >= 0; k = only.indexOf(t.nsn, k + 1)) {
      var hit = check(text, at.slice(k, k + t.nsn.length + 1), t);
      if (hit) hits.push(hit);
    }
  });
  return hits;
}

function check(text, at, t) {
  var last = at[t.nsn.length - 1], broken = 0, i, gap;
  if (at[t.nsn.length] === last + 1) return null;
  for (i = 1; i < t.nsn.length; i++) {
    gap = text.slice(at[i - 1] + 1, at[i]);
    if (!GAP.test(gap)) broken += gap.length;
  }
  var before = text.slice(Math.max(0, at[0] - 60), at[0]);
  var lead = t.lead.exec(before);
  if (!lead || broken > 40 || !lead[2] && FOREIGN.test(before)) return null;
  var from = at[0] - lead[2].length;
  if (text.charAt(from - 1) === '(' && text.slice(from, last).indexOf('(') < 0) from--;
  return { target: t, at: at.slice(0, t.nsn.length), from: from, to: last + 1, plus: !!lead[3], why: broken ? 'format' : '' };
}

function shape(text) { return digits(text.replace(/\d+/g, run => run.length)); }

// edits returns what to write over a hit so that it shows another number: the
// new digits in the places of the old, or where the two countries, lengths or
// groups differ the new number as its own country writes it.
function edits(text, hit, shown) {
  var t = hit.target, e = digits(shown.e164), nsn = e.slice(t.cc.length);
  var home = e.slice(0, t.cc.length) === t.cc, bare = text.slice(hit.at[0], hit.to) === t.nsn;
  if (home && nsn.length === t.nsn.length && (bare || shape(shown.national) === shape(t.national))) {
    return hit.at.map((p, i) => ({ from: p, to: p + 1, text: nsn.charAt(i) }));
  }
  var whole = shown.national;
  if (!home) whole = shown.e164;
  else if (hit.plus) whole = '+' + t.cc + ' ' + (t.trunk ? whole.replace(t.trunk, '') : whole);
  return [{ from: hit.from, to: hit.to, text: whole }];
}

// splice applies edits to the part of a longer text that begins at offset. An
// edit that reaches over several parts puts its text into the first of them.
function splice(part, offset, list) {
  var out = '', done = offset, end = offset + part.length;
  list.forEach(x => {
    if (x.to <= offset || x.from >= end) return;
    if (x.from > done) out += part.slice(done - offset, x.from - offset);
    if (x.from >= offset) out += x.text;
    done = Math.min(x.to, end);
  });
  return out + part.slice(done - offset);
}

// plan lists the edits of one text. map says for each printed number what to
// show; seen(hit, shown) is told of each place and may refuse it.
function plan(text, targets, map, seen) {
  var list = [];
  find(text, targets).forEach(hit => {
    var shown = map && map[hit.target.e164];
    if (!list.some(x => x.from < hit.to && x.to > hit.from) && seen(hit, shown) && shown && !hit.why) list = list.concat(edits(text, hit, shown));
  });
  return list.sort((a, b) => a.from - b.from);
}

// link reads the number of a tel: or sms: address.
function link(href) {
  var m = /^\s*(tel|sms):([^;?,&]*)(.*)$/i.exec(href);
  if (!m) return null;
  try { m[2] = decodeURIComponent(m[2]); } catch (e) { /* as it is */ }
  return { scheme: m[1], number: m[2], rest: m[3] };
}

// tagged says whether an address carries evidence of where somebody came from.
function tagged(query) { return /[?&](utm_\w+|\w*cl?k?id|[gw]braid|li_fat_id|epik)=./i.test(query); }

// decided reads Google's consent mode: the last word on a kind of storage, null
// before one was said. A default for some regions counts only as a refusal.
function decided(layer, kind) {
  var said = null;
  [].forEach.call(layer || [], e => {
    var v = e && e[0] === 'consent' && e[2] && e[2][kind];
    if (v && (e[1] === 'update' || v !== 'granted' || !e[2].region)) said = v === 'granted';
  });
  return said;
}

// answered reads what the server said; anything unexpected is no answer.
function answered(text) {
  try {
    var a = JSON.parse(text), k, ok = a.session.concat && a.visitor.concat;
    for (k in a.swap) ok = ok && /^\+\d{6,15}$/.test(a.swap[k].e164) && a.swap[k].national.length < 40;
    return ok && a.swap ? a : null;
  } catch (e) { return null; }
}
// </pure>

if (w.callwheel && w.callwheel.number) return;

var NAME = 'callwheel', MARK = 'data-callwheel', PATIENCE = 800;
var tag = d.currentScript instanceof HTMLScriptElement ? d.currentScript : null;
var set = baked, server = '', targets = [];
// Who this is, what to show until when, and what the server said last.
var visitor = '', session = '', map = null, usable, until = 0, answer = null;
// How things stand: the person's word; whether visits are told; whether an
// answer is awaited, came too late for this page, or did not come.
var said = null, began, gone, forced, settled, asking, late, dead, misses = 0, leader;
var wanted = {}, asked = {}, waiting = [], followers = [];
// Places with a number on them, and what is reported of them.
var places = new WeakMap(), known = [], count, failed, here;
var domain, timer, beatAt = 0, burstAt = 0, burst = 0, overlay, attrs = ['href', 'title', 'aria-label'];

function option(name) { return tag && tag.getAttribute(MARK + '-' + name); }
function address() { return location.href.split('#')[0].slice(0, 4e3); }
function now() { return Date.now(); }
// safely: the page goes first, whatever happens here.
function safely(fn) { return x => { try { return fn(x); } catch (e) { /* no word of it */ } }; }
function on(what, event, fn) { what.addEventListener(event, safely(fn)); }

// ---- what is kept in the browser

function cookie(name, text, seconds, at) {
  d.cookie = name + '=' + text + ';path=/;max-age=' + seconds + ';SameSite=Lax' + (/^https/.test(location) ? ';Secure' : '') + (at ? ';domain=' + at : '');
}
function read(name) { return (d.cookie.match('(?:^|; )' + name + '=([^;]*)') || [])[1] || ''; }

// widest finds the widest domain on which a cookie may be set, by trying.
function widest() {
  var parts = location.hostname.split('.'), i, at;
  for (i = parts.length; i-- && domain === undefined;) {
    at = parts.slice(i).join('.');
    cookie('callwheel_try', 1, 9, at);
    if (read('callwheel_try')) domain = at;
    cookie('callwheel_try', '', 0, at);
  }
  return domain;
}

var stored = safely(() => read(NAME));
function store(text, seconds) { safely(() => { if (seconds || read(NAME)) cookie(NAME, text, seconds, widest()); })(); }

function recall() {
  var kept = safely(() => JSON.parse(sessionStorage.getItem(NAME)))() || {}, c = stored() || '';
  if (c === 'no' && said === null) said = false;
  var pair = !set.cookieless && /^(vis_\w+)\.(ses_\w+)$/.exec(c);
  if (pair) { visitor = pair[1]; session = pair[2]; }
  if (kept.key !== set.key) return;
  if (!pair && set.cookieless) { visitor = kept.visitor; session = kept.session; }
  if (kept.session === session && kept.until > now()) { map = kept.swap; until = kept.until; }
}

function keep() {
  safely(() => { sessionStorage.setItem(NAME, JSON.stringify({ key: set.key, visitor, session, swap: answer.swap, until })); })();
  if (!set.cookieless) store(visitor + '.' + session, set.cookie_days * 86400);
}

function forget() {
  safely(() => sessionStorage.removeItem(NAME))();
  if (stored() !== 'no') store('', 0);
  visitor = session = '';
}

// allowed is true, false, or null while the person was not asked. A frame is
// told by the page around it.
function allowed() {
  if (n.globalPrivacyControl || set.respect_dnt && n.doNotTrack === '1') return false;
  if (leader) return true;
  if (said !== null) return said;
  if (set.consent_mode) return decided(w.dataLayer, set.consent_mode);
  return set.consent !== 'required' || session ? true : null;
}

// ---- finding and writing

// Kinds of elements: those whose text is not for people, fields, and those
// inside which text goes on, so that a number may be split over them.
var KINDS = {
  skip: /^(script|style|noscript|template|iframe|object)$/,
  input: /^(input|textarea|select)$/,
  inline: /^(a|abbr|b|bd[io]|button|code|em|font|i|ins|label|mark|small|span|strong|su[bp]|time|u|wbr|.*-.*)$/
}, kinds = {};
function kind(el) {
  var name = el.localName, k;
  if (!kinds[name]) {
    kinds[name] = 'line';
    for (k in KINDS) if (KINDS[k].test(name)) kinds[name] = k;
  }
  return kinds[name];
}
// Servers that write a page which a framework takes over in the browser must
// find it as they wrote it: there nothing is swapped until that has happened.
var HYDRATED = '#__next,[src*="/_next/"],#__nuxt,#___gatsby,[ng-server-context],astro-island[ssr]';

function may() {
  var start = option('start');
  return map && allowed() === true && (forced || start !== 'manual' && (settled || start !== 'load' && !d.querySelector(HYDRATED)));
}

// loaded waits after the page has loaded until the framework has taken over its
// part, which it marks, or for three seconds.
function takenOver() {
  var e = d.querySelector(HYDRATED);
  return !e || Object.keys(e).concat(Object.keys(d)).some(k => /^_+(react|vue)/.test(k));
}
function loaded() {
  var tries = 0;
  (function again() {
    if (++tries > 30 || tries > 1 && takenOver()) { settled = true; revisit(); } else setTimeout(safely(again), 100);
  })();
}

function fail(number, why) {
  if (failed.length < 20 && !failed.some(f => f.number === number && f.why === why)) failed.push({ number, why });
}

// place is what we know of a text, or of one attribute of an element.
function place(node, attr) {
  var all = places.get(node), p;
  if (!all) places.set(node, all = {});
  p = all[attr] || (all[attr] = { node, attr, writes: 0 });
  if (!p.known) known.push(p);
  p.known = 1;
  return p;
}
function lookup(node, attr) { return (places.get(node) || {})[attr]; }
function get(p) { return p.attr === '#' ? p.node.data : p.node.getAttribute(p.attr); }
function put(p, text) { if (p.attr === '#') p.node.data = text; else p.node.setAttribute(p.attr, text); }

// write keeps what the page had. Somebody who writes the old number again and
// again wins after ten times in ten seconds: two scripts must not fight for ever.
function write(p, text) {
  var old = get(p);
  if (old === text) return true;
  if (now() - p.at > 1e4) p.writes = 0;
  if (++p.writes > 10) return false;
  p.at = now(); p.own = old; p.wrote = text;
  put(p, text);
  return true;
}

// over swaps in one text, or in one attribute. The text may be that of several
// nodes, each of which begins at its start.
function over(text, nodes, starts, blocked, attr, l) {
  var hits = [], list = plan(text, targets, usable, (hit, shown) => {
    var i = nodes.length - 1, e = hit.target.e164, why = hit.why || blocked, p;
    while (starts[i] > hit.at[0]) i--;
    p = place(nodes[i], attr);
    if (p.wrote === get(p)) return false;
    p.found = 1; p.swapped = 0;
    if (why) fail(e, why);
    else { wanted[e] = 1; if (shown) hits.push({ p, e, shown }); }
    return !why;
  }), ok = true;
  if (!hits.length) return;
  nodes.forEach((node, i) => {
    var p = place(node, attr);
    ok = write(p, l ? l.scheme + ':' + hits[0].shown.e164 + l.rest : splice(get(p), starts[i], list)) && ok;
  });
  hits.forEach(h => { if (ok) h.p.swapped = 1; else fail(h.e, 'rewritten'); });
}

function swapRun(run, blocked) {
  var text = '', starts = run.map(node => { var at = text.length; text += node.data; return at; });
  if (/\d/.test(text)) over(text, run, starts, blocked, '#');
}

function swapAttr(el, attr, blocked) {
  var old = el.getAttribute(attr), l = attr === 'href' && old && link(old);
  if (old && (l || attr !== 'href')) over(l ? l.number : old, [el], [0], blocked, attr, l);
}

function swapElement(el, blocked) {
  if (!el.attributes.length) return;
  var marked = el.getAttribute(MARK);
  attrs.slice(0, 3).forEach(name => { if (el.hasAttribute(name)) swapAttr(el, name, blocked); });
  if (marked) marked.split(/[\s,]+/).forEach(name => {
    if (name && attrs.indexOf(name) < 0) { attrs.push(name); watch(); }
    if (name) swapAttr(el, name, blocked);
  });
  if (blocked === 'input' && el.placeholder) find(el.placeholder, targets).forEach(hit => fail(hit.target.e164, 'input'));
}

function blockedBy(el) {
  if (kind(el) === 'input') return 'input';
  if (!el.attributes.length) return '';
  var edit = el.getAttribute('contenteditable');
  return edit !== null && edit !== 'false' ? 'input' : el.hasAttribute(MARK + '-noswap') ? 'noswap' : '';
}

// walk goes through an element: its attributes, and its text in runs that end
// where a line does.
function walk(root, blocked) {
  var run = [];
  function flush(why) { if (run.length) swapRun(run, why); run = []; }
  function enter(el, outer) {
    if (kind(el) === 'skip') return;
    var why = outer || blockedBy(el), line = why !== outer || kind(el) !== 'inline';
    swapElement(el, why);
    if (line) flush(outer);
    for (var c = el.firstChild; c; c = c.nextSibling) {
      if (c.nodeType === 1) enter(c, why);
      else if (c.nodeType === 3 && (run.length || /[\d+(]/.test(c.data))) run.push(c);
    }
    if (line) flush(why);
  }
  enter(root, blocked);
  flush(blocked);
}

function scan(root) {
  var began = performance.now(), blocked = '';
  for (var e = root.parentElement; e; e = e.parentElement) {
    if (kind(e) === 'skip') return;
    blocked = blocked || blockedBy(e);
  }
  usable = may() && map;
  walk(root, blocked);
  count.ms += performance.now() - began;
}
function sweep() { if (d.body) { scan(d.body); tally(); } }

// revisit goes to the places where numbers are known to be.
function revisit() {
  new Set(known.map(p => p.attr === '#' ? line(p.node) : p.node)).forEach(e => { if (e && e.isConnected) scan(e); });
  tally();
}

// tally counts the places that the page has now.
function tally() {
  count.found = count.swapped = 0;
  known = known.filter(p => {
    if (p.known = p.node.isConnected) { count.found += p.found || 0; count.swapped += p.swapped || 0; }
    return p.known;
  });
  paint();
}

// line is the element in which the line of a node begins.
function line(node) {
  var e = node.nodeType === 1 ? node : node.parentElement;
  while (e && e.parentElement && kind(e) === 'inline') e = e.parentElement;
  return e;
}

function changed(records) {
  var roots = new Set();
  function add(e) { if (e && d.body && d.body.contains(e)) roots.add(e); }
  route();
  // Whatever somebody else does, a second has at most 200 of our turns.
  if (now() - burstAt > 1e3) { burstAt = now(); burst = 0; }
  if (++burst > 200) {
    if (burst === 201) setTimeout(safely(sweep), 1e3);
    return;
  }
  records.forEach(r => {
    var p = lookup(r.target, r.attributeName || '#');
    if (r.type !== 'childList') {
      if (!p || p.wrote !== get(p)) add(r.attributeName ? r.target : line(r.target));
    } else [].forEach.call(r.addedNodes, a => add(a.nodeType === 1 && kind(a) !== 'inline' ? a : line(a)));
  });
  if (roots.size) { roots.forEach(scan); tally(); need(); }
}

var observer = new MutationObserver(safely(changed));
function watch() { observer.observe(d.documentElement, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: attrs }); }

// restore gives every place its own number back.
function restore() {
  known.forEach(p => {
    if (p.wrote === get(p)) put(p, p.own);
    p.wrote = p.swapped = p.writes = 0;
  });
}

// ---- asking the server

function door(name) { return server + '/dni/v1/' + set.key + name; }

function post(name, body, done) {
  var x = new XMLHttpRequest();
  x.open(body ? 'POST' : 'GET', door(name));
  x.timeout = 1e4;
  x.onloadend = safely(() => done(x.status >= 200 && x.status < 300 ? x.responseText : null));
  // A text is sent as text/plain, for which the browser does not ask first.
  x.send(body && JSON.stringify(body));
}

function settle() { waiting.splice(0).forEach(tell => tell()); }

// need asks when the page shows a number that was not asked for yet.
function need() {
  if (began && !asking && !dead && !late && Object.keys(wanted).some(e => !asked[e])) visit();
}

function visit() {
  var due = now() + PATIENCE, from = here, list = Object.keys(wanted);
  list.forEach(e => (asked[e] = 1));
  if (leader) return leader.follow(list, follow);
  asking = due;
  setTimeout(() => { if (asking === due) { late = true; settle(); } }, PATIENCE);
  post('/visits', {
    visitor, session, page: address(), referrer: d.referrer, numbers: list,
    consent: said || set.consent === 'required' || null, debug: debug()
  }, text => {
    var a = text && answered(text);
    asking = 0;
    if (allowed() !== true) return;
    if (a) learn(a, now() > due && here === from); else dead = true;
    settle();
    need();
  });
}

// learn keeps an answer. One that is too late is for the pages to come: on this
// one nothing shall change before somebody's eyes.
function learn(a, slow) {
  answer = a;
  if (a.session) {
    visitor = a.visitor; session = a.session;
    extend();
  }
  late = slow && !map;
  if (late) Object.keys(wanted).forEach(e => fail(e, 'late'));
  if (!slow) use();
}

function extend() {
  until = now() + ((answer.lease || {}).for_seconds || 1800) * 1e3;
  keep();
}

function follow(a, v, s) {
  if (!a) return stop();
  visitor = v; session = s; answer = a;
  use();
  settle();
}

// use shows what the server answered.
function use() {
  if (JSON.stringify(map) !== JSON.stringify(answer.swap)) restore();
  map = answer.swap;
  revisit();
  Object.keys(wanted).forEach(e => { if (!map[e]) fail(e, answer.reason); });
  share();
  paint();
}

// share tells the frames.
function share() { followers.forEach(f => safely(() => f(answer, visitor, session))()); }

function beat(visible) {
  if (!session || dead || !began || gone && !visible) return;
  gone = !visible;
  var body = { session, swapped: count.swapped, found: count.found, failed, visible, page: here };
  beatAt = now();
  // Without an answer every beat would be a line in the console.
  if (visible) post('/beats', body, ok => {
    if (ok === null) dead = ++misses > 3;
    else { misses = 0; if (answer && until > now()) extend(); }
  });
  else n.sendBeacon(door('/beats'), JSON.stringify(body));
}

// look is called from time to time and when the page is looked at again.
function look() {
  if (!began || dead || d.visibilityState === 'hidden') return;
  route();
  if (until && until < now()) asking || visit();
  else if (gone || now() - beatAt > set.beat_seconds * 900) beat(true);
}

function fresh() { count = { found: 0, swapped: 0, ms: 0 }; failed = []; here = address(); }

// route notices that a page changed its address without loading.
function route() {
  if (!began || address() === here) return;
  beat(d.visibilityState !== 'hidden');
  gone = false;
  fresh();
  dead = false;
  if (late && answer && !asking) { late = false; use(); } else sweep();
  if (tagged(location.search)) visit(); else need();
}

// ---- the overlay

function debug() { return /[?&]callwheel_debug=1\b/.test(location.search); }

function paint() {
  if (!debug() || !d.body) return;
  if (!overlay) {
    var host = d.createElement('div');
    overlay = d.createElement('div');
    overlay.style.cssText = 'position:fixed;right:9px;bottom:9px;z-index:99999;padding:9px;background:#123;color:#fff;font:12px monospace;white-space:pre';
    host.attachShadow({ mode: 'open' }).appendChild(overlay);
    d.body.appendChild(host);
  }
  var a = answer || {}, numbers = {};
  for (var e in map) numbers[e] = map[e].e164;
  overlay.textContent = NAME + JSON.stringify(Object.assign({
    reason: dead ? 'no answer' : late ? 'late' : a.reason || (allowed() ? 'asking' : 'no consent'), session
  }, a.debug, { numbers }, count, { ms: Math.round(count.ms), failed: failed.map(f => f.number + ' ' + f.why) }), null, 2).replace(/[{}[\]",]/g, '').replace(/\n\s*(?=\n|$)/g, '');
}

// ---- beginning and ending

function begin() {
  if (began || allowed() !== true) return paint();
  if (d.visibilityState === 'hidden') return;
  began = true;
  beatAt = now();
  timer = setInterval(safely(look), set.beat_seconds * 1e3);
  sweep();
  visit();
}

function start() {
  if (d.prerendering) return on(d, 'prerenderingchange', start);
  if (began !== undefined) return;
  began = false;
  fresh();
  targets = set.swap.map(target);
  recall();
  if (allowed() === false) forget();
  watch();
  if (map) sweep();
  on(w, 'popstate', route);
  on(w, 'pagehide', () => beat(false));
  if (d.readyState === 'complete') loaded(); else on(w, 'load', loaded);
  on(d, 'visibilitychange', () => {
    if (d.visibilityState === 'hidden') beat(false); else { begin(); look(); }
  });
  if (set.consent_mode) setInterval(safely(() => {
    var ok = allowed();
    if (ok === true) begin(); else if (ok === false && (began || session)) stop();
  }), 500);
  // Which numbers the page has is known when all of it is there.
  if (d.readyState === 'loading') on(d, 'DOMContentLoaded', begin); else begin();
}

function stop() {
  clearInterval(timer);
  if (session) post('/visits', { visitor, session, consent: false }, () => {});
  began = false; map = answer = null; until = 0; asked = {};
  forget();
  restore();
  tally();
  settle();
  share();
}

// frame looks for a page of the same site around this one: its session is ours.
function frame() {
  var tries = 0, up = w.parent;
  if (up === w) return start();
  if (!safely(() => up.document)()) return setTimeout(safely(start), stored() ? 0 : 1e3);
  (function search() {
    leader = (up[NAME] || {}).follow && up[NAME];
    if (leader || ++tries > 20 || tries > 3 && up.document.readyState === 'complete') start();
    else setTimeout(safely(search), 100);
  })();
}

w[NAME] = {
  // consent says what the person decided: true begins, false forgets.
  consent: safely(yes => {
    said = !!yes;
    if (!count) return;
    if (said) return begin();
    stop();
    if (set.consent !== 'required') store('no', set.cookie_days * 86400);
  }),
  // number promises what the page shows for a printed number, without one for
  // the first: {e164, national, swapped}; null where there is none.
  number: printed => new Promise(done => {
    function tell() {
      var t = targets.filter(x => !printed || x.e164 === printed)[0], s = t && may() && map[t.e164], x = s || t;
      done(x ? { e164: x.e164, national: x.national, swapped: !!s } : null);
    }
    if (dead || late || count && allowed() === false || map && !asking) return tell();
    waiting.push(tell);
    setTimeout(tell, 2 * PATIENCE);
  }),
  // swap looks at the page again, or at a shadow root that it is given, and
  // says what it found.
  swap: safely(root => {
    forced = true;
    sweep();
    if (root && root.host) [].forEach.call(root.children, c => walk(c, ''));
    need();
    return { found: count.found, swapped: count.swapped, failed: failed.slice(), ms: count.ms };
  }),
  // follow is for frames of the same site.
  follow: (list, fn) => {
    if (followers.indexOf(fn) < 0) followers.push(fn);
    list.forEach(e => (wanted[e] = 1));
    if (answer && !late) fn(answer, visitor, session);
    need();
  }
};

safely(() => {
  var at = (tag && tag.src || '').split('/dni/v1/');
  server = option('server') || (at[1] ? at[0] : set && set.server);
  if (set) return frame();
  set = { key: option('site') };
  if (set.key) post('/settings', null, text => { set = JSON.parse(text); if (set.swap) frame(); });
})();
})(null);
