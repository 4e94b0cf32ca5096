// The dashboard: an ordinary client of /v1. The cookie says who is asking; what
// comes back is written as text, never as HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const { tz, currency, judge, hear } = document.body.dataset;
const mayJudge = judge === "true";
const mayHear = hear === "true";

// ---- the API

class Problem extends Error {}

async function api(method, path, body) {
  const init = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  if (method === "POST") {
    init.headers["Idempotency-Key"] = newKey();
  }
  let response;
  let text;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch {
    throw new Problem("The server cannot be reached. Try again in a moment.");
  }
  if (response.status === 401) {
    location.assign("/sign-in");
    throw new Problem("You are signed out.");
  }
  const data = parse(text);
  if (!response.ok) {
    throw new Problem(explain(response.status, data || {}));
  }
  return data;
}

// newKey works over plain http too, where randomUUID is not to be had.
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

function parse(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function explain(status, problem) {
  const fields = (problem.errors || []).map((e) => `${e.field.replaceAll("_", " ")}: ${e.message}`).join("; ");
  const text = fields || problem.detail || problem.title || `The server answered with ${status}.`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function query(path, params) {
  const set = Object.entries(params).filter(([, value]) => value !== "" && value != null);
  return set.length === 0 ? path : `${path}?${new URLSearchParams(set)}`;
}

const callPath = (id) => `/v1/calls/${encodeURIComponent(id)}`;

function tell(place, error) {
  place.hidden = error === null;
  place.textContent = error === null ? "" : String(error.message || error);
}

// guarded runs something that may fail and says so in its place. It returns
// whether it went well.
async function guarded(place, work) {
  try {
    tell(place, null);
    await work();
    return true;
  } catch (error) {
    tell(place, error);
    return false;
  }
}

// ---- how things are written

const timeFormat = new Intl.DateTimeFormat(undefined, { timeZone: tz, month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const yearFormat = new Intl.DateTimeFormat(undefined, { timeZone: tz, dateStyle: "medium", timeStyle: "short" });
const dayFormat = new Intl.DateTimeFormat(undefined, { timeZone: tz, dateStyle: "medium" });
const halfYear = 183 * 24 * 3600 * 1000;

function when(text) {
  if (!text) {
    return "";
  }
  const at = new Date(text);
  return (Math.abs(Date.now() - at) < halfYear ? timeFormat : yearFormat).format(at);
}

const none = "–";
const money = (m) => (m ? new Intl.NumberFormat(undefined, { style: "currency", currency: m.currency }).format(Number(m.amount)) : none);
const count = (n) => (n == null ? none : new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 }).format(n));
const whole = (n) => (n == null ? none : new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 }).format(n));
const percent = (n) => (n == null ? none : new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 }).format(n));
const seconds = (n) => (n == null ? "" : `${Math.floor(n / 60)}:${String(Math.floor(n % 60)).padStart(2, "0")}`);
const words = (text) => text.replaceAll("_", " ");
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function caller(from) {
  if (!from) {
    return "unknown";
  }
  return from.national || from.e164 || (from.kind === "anonymous" ? "withheld" : from.kind || "unknown");
}

// source is where a call came from; a call that only just rings has no
// attribution yet.
const source = (attribution) => (attribution ? attribution.source || "untracked" : "…");

function el(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined && text !== null) {
    node.textContent = text;
  }
  if (className) {
    node.className = className;
  }
  return node;
}

// cell is a table cell that knows the name of its column, which narrow screens
// show beside it, and has a second, quieter line.
function cell(label, content, className, second) {
  const td = el("td", undefined, className);
  td.setAttribute("role", "cell");
  td.dataset.label = label;
  td.append(content);
  if (second) {
    td.append(el("span", second, "sub"));
  }
  if (td.textContent === "") {
    td.classList.add("none");
  }
  return td;
}

function row(cells) {
  const tr = el("tr");
  tr.setAttribute("role", "row");
  tr.append(...cells);
  return tr;
}

function empty(body, columns, text) {
  const td = el("td", text, "empty");
  td.colSpan = columns;
  body.replaceChildren(row([td]));
}

// ---- calls

const callsBody = $("calls-table").tBodies[0];
let filter = {};
let cursor = null;

const missed = ["voicemail", "abandoned", "busy", "no-answer", "failed"];

function outcome(call) {
  if (!call.outcome) {
    return el("span", call.ended_at ? "ended" : "ringing", call.ended_at ? "state" : "state ringing");
  }
  const kind = missed.includes(call.outcome) ? "missed" : call.outcome;
  return el("span", call.outcome.replace("-", " "), `state ${kind}`);
}

function chips(tags) {
  const list = document.createDocumentFragment();
  list.append(...(tags || []).map((tag) => el("span", tag, "chip")));
  return list;
}

function callRow(call) {
  const from = [call.first_time_caller ? "first call" : "", call.caller && call.caller.city ? call.caller.city : ""].filter(Boolean).join(", ");
  const talked = call.talk_seconds == null ? "" : `talked ${seconds(call.talk_seconds)}`;
  const via = [call.attribution && call.attribution.campaign, call.tracking_number && call.tracking_number.national].filter(Boolean).join(" · ");
  const cells = [
    cell("Started", when(call.started_at), "nowrap", call.agent ? `with ${call.agent.name}` : ""),
    cell("Caller", caller(call.from), "nowrap", from),
    cell("Source", source(call.attribution), "text", via),
    cell("Outcome", outcome(call), "", talked),
    cell("Tags", chips(call.tags)),
    cell("Disposition", call.disposition || ""),
    cell("Score", call.score == null ? "" : whole(call.score), "num"),
    cell("Value", call.value ? money(call.value) : "", "num"),
  ];
  const act = cell("", "", "act");
  if (mayJudge) {
    const button = el("button", "Open", "plain small");
    button.type = "button";
    button.setAttribute("aria-label", `Open the call of ${when(call.started_at)} from ${caller(call.from)}`);
    button.addEventListener("click", () => openDesk(call));
    act.classList.remove("none");
    act.append(button);
  }
  const tr = row([...cells, act]);
  tr.dataset.id = call.id;
  return tr;
}

const rowOf = (id) => [...callsBody.rows].find((tr) => tr.dataset.id === id);

// putCall shows the call as it is now, and keeps the keyboard where it was.
function putCall(call) {
  const old = rowOf(call.id);
  const fresh = callRow(call);
  if (old) {
    const focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (focused) {
      fresh.querySelector("button").focus();
    }
  } else if (!isFiltered()) {
    callsBody.querySelector(".empty")?.closest("tr").remove();
    callsBody.prepend(fresh);
  }
}

const isFiltered = () => Object.values(filter).some((value) => value !== "");

async function loadCalls(more) {
  const page = await api("GET", query("/v1/calls", { ...filter, limit: 25, cursor: more ? cursor : "" }));
  const rows = page.items.filter((call) => !more || !rowOf(call.id)).map(callRow);
  if (more) {
    callsBody.append(...rows);
    rows[0]?.querySelector("button")?.focus();
  } else if (rows.length === 0) {
    empty(callsBody, 9, isFiltered() ? "No calls match." : "No calls yet.");
  } else {
    callsBody.replaceChildren(...rows);
  }
  showRecent(page.items);
  cursor = page.next_cursor;
  $("more").hidden = cursor === null;
}

async function refreshCall(id) {
  const call = await api("GET", callPath(id));
  putCall(call);
  return call;
}

$("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  filter = Object.fromEntries(new FormData(event.target));
  guarded($("calls-problem"), () => loadCalls(false));
});
$("more").addEventListener("click", () => guarded($("calls-problem"), () => loadCalls(true)));

// ---- the desk

const desk = $("desk");
const lists = { tags: [], dispositions: [], scorecards: [] };
let current = null;

function option(text, value) {
  const node = el("option", text);
  node.value = value;
  return node;
}

function options(select, items, first) {
  select.replaceChildren(option(first, ""), ...items.map((item) => option(item.name, item.name)));
}

async function loadLists() {
  for (const name of Object.keys(lists)) {
    lists[name] = (await api("GET", `/v1/${name}?limit=500`)).items;
  }
  options($("filter-disposition"), lists.dispositions, "All");
  options($("filter-tag"), lists.tags, "All");
  options($("tag"), lists.tags, "Choose…");
  options($("disposition"), lists.dispositions, "Choose…");
  $("scorecard").replaceChildren(...lists.scorecards.map((card) => option(card.name, card.name)));
  $("desk-score").hidden = lists.scorecards.length === 0;
  showMarks();
}

function showMarks() {
  const card = lists.scorecards.find((c) => c.name === $("scorecard").value);
  $("marks").replaceChildren(...(card ? card.criteria : []).map((criterion) => {
    const select = el("select");
    select.name = `mark:${criterion.id}`;
    select.required = true;
    select.append(option("Choose…", ""));
    for (let level = criterion.max_level; level >= 0; level--) {
      select.append(option(`${level} of ${criterion.max_level}`, String(level)));
    }
    select.append(option("does not apply", "null"));
    const label = el("label", criterion.name + (criterion.critical ? " (critical)" : ""), "stack");
    label.append(select);
    return label;
  }));
}

function showCall(call) {
  current = call;
  $("desk-title").textContent = `${caller(call.from)}, ${when(call.started_at)}`;
  $("desk-facts").textContent = [
    sentence(source(call.attribution)), call.attribution && call.attribution.campaign, `called ${caller(call.tracking_number)}`,
    call.outcome || call.status, call.talk_seconds == null ? "" : `talked ${seconds(call.talk_seconds)}`, call.agent ? `with ${call.agent.name}` : "",
  ].filter(Boolean).join(" · ");
  $("desk-tags").replaceChildren(...(call.tags || []).map((tag) => {
    const li = el("li", tag, "chip");
    const remove = el("button", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", `Take the tag ${tag} away`);
    remove.addEventListener("click", async () => {
      await judged("DELETE", `tags/${encodeURIComponent(tag)}`, undefined, "The tag is gone.");
      $("tag").focus();
    });
    li.append(remove);
    return li;
  }));
  const gone = call.disposition && !lists.dispositions.some((d) => d.name === call.disposition);
  if (gone) {
    $("disposition").append(option(call.disposition, call.disposition)); // retired since
  }
  $("disposition").value = call.disposition || "";
  $("desk-last-score").textContent = call.score == null ? "Not scored yet." : `Now ${whole(call.score)} of 100.`;
}

function showMedia(call) {
  const place = $("desk-media");
  place.replaceChildren();
  if (!mayHear || !call.recording || call.recording.state !== "kept") {
    return;
  }
  const audio = el("audio");
  audio.controls = true;
  audio.preload = "none";
  audio.setAttribute("aria-label", "Recording of the call");
  audio.src = call.recording.url;
  place.append(audio);
}

// What is told of a judgement, by its kind.
const deeds = {
  tagged: (d) => `Tagged “${d.tag}”`,
  untagged: (d) => `Took the tag “${d.tag}” away`,
  disposed: (d) => (d.disposition ? `Disposition “${d.disposition}”` : "Took the disposition away"),
  scored: (d) => `Scored ${d.score == null ? "nothing that applies" : whole(d.score)} on “${d.scorecard}”`,
};

const deed = (j) => (deeds[j.kind] ? deeds[j.kind](j.detail || {}) : sentence(words(j.kind)));

function fill(list, items, write, nothing) {
  list.replaceChildren(...(items.length === 0 && nothing ? [el("li", nothing, "quiet")] : items.map((item) => {
    const [text, at] = write(item);
    const li = el("li", text);
    li.append(el("span", when(at), "sub"));
    return li;
  })));
}

// showPast fills what the call's own row does not hold.
async function showPast(id) {
  const [sales, notes, history] = await Promise.all(["sales", "notes", "history"].map((part) => api("GET", `${callPath(id)}/${part}?limit=100`)));
  if (!current || current.id !== id) {
    return; // another call was opened meanwhile
  }
  fill($("desk-sales"), sales.items, (s) => [(s.refund_of ? "Refund of " : "") + money(s.value), s.sold_at]);
  fill($("desk-notes"), notes.items, (n) => [n.text, n.written_at]);
  fill($("desk-history"), history.items.reverse(), (j) => [deed(j), j.at], "Nothing yet.");
}

function openDesk(call) {
  tell($("desk-problem"), null);
  $("desk-done").textContent = "";
  for (const form of desk.querySelectorAll("form")) {
    form.reset();
  }
  for (const id of ["desk-sales", "desk-notes", "desk-history"]) {
    $(id).replaceChildren();
  }
  showMarks();
  showCall(call);
  showMedia(call);
  desk.showModal();
  guarded($("desk-problem"), async () => {
    showCall(await refreshCall(call.id));
    await showPast(call.id);
  });
}

desk.addEventListener("close", () => {
  $("desk-media").replaceChildren(); // silence
  rowOf(current.id)?.querySelector("button")?.focus();
});
$("desk-close").addEventListener("click", () => desk.close());

// judged sends one judgement and shows the call as it is then.
async function judged(method, path, body, done) {
  const id = current.id;
  $("desk-done").textContent = "";
  const ok = await guarded($("desk-problem"), async () => {
    await api(method, `${callPath(id)}/${path}`, body);
    const call = await refreshCall(id);
    if (current.id === id) {
      showCall(call);
      await showPast(id);
    }
    $("desk-done").textContent = done;
  });
  return ok;
}

function onSubmit(id, send) {
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    const ok = await send(new FormData(form));
    button.disabled = false;
    if (ok && id !== "desk-disposition") {
      form.reset();
      showMarks();
    }
    button.focus();
  });
}

onSubmit("desk-tag", (form) => judged("PUT", `tags/${encodeURIComponent(form.get("tag"))}`, undefined, "Tagged."));
onSubmit("desk-disposition", (form) => judged("PUT", "disposition", { disposition: form.get("disposition") }, "The disposition is kept."));
onSubmit("desk-score", (form) => {
  const marks = [...form].filter(([name]) => name.startsWith("mark:"))
    .map(([name, value]) => ({ criterion: name.slice(5), level: value === "null" ? null : Number(value) }));
  return judged("POST", "scores", { scorecard: form.get("scorecard"), marks, comment: form.get("comment") }, "Scored.");
});
onSubmit("desk-sale", (form) => judged("POST", "sales", { value: { amount: form.get("amount").trim(), currency } }, "The sale is recorded."));
onSubmit("desk-note", (form) => judged("POST", "notes", { text: form.get("text") }, "The note is kept."));
$("scorecard").addEventListener("change", showMarks);

// ---- live

const live = new Map();
const liveBody = $("live-table").tBodies[0];

function hasEnded(call) {
  return Boolean(call.ended_at) || ["completed", "busy", "no-answer", "failed", "canceled"].includes(call.status);
}

const age = (started) => seconds(Math.max(0, (Date.now() - new Date(started)) / 1000));

function liveRow(call) {
  const talking = call.answered_at || call.outcome === "answered";
  const since = el("span", age(call.started_at), "since");
  since.dataset.at = call.started_at;
  return row([
    cell("Since", since, "nowrap"),
    cell("Caller", caller(call.from), "nowrap"),
    cell("Number", caller(call.tracking_number), "nowrap"),
    cell("Source", source(call.attribution), "text", call.attribution ? call.attribution.campaign : ""),
    cell("State", el("span", talking ? "talking" : "ringing", talking ? "state talking" : "state ringing"), "", talking && call.agent ? `with ${call.agent.name}` : ""),
  ]);
}

function keepLive(call) {
  if (hasEnded(call)) {
    live.delete(call.id);
  } else {
    live.set(call.id, call);
  }
}

function showLive() {
  const calls = [...live.values()].sort((a, b) => (a.started_at < b.started_at ? 1 : -1));
  liveBody.replaceChildren(...calls.map(liveRow));
  $("live-table").hidden = calls.length === 0;
}

function tick() {
  for (const since of liveBody.querySelectorAll(".since")) {
    since.textContent = age(since.dataset.at);
  }
}

// state says how the stream is, and how many calls there are.
function state(lost) {
  $("live-dot").className = lost ? "dot off" : live.size > 0 ? "dot on" : "dot";
  const calls = live.size === 0 ? "Nobody is on the phone." : live.size === 1 ? "One call." : `${live.size} calls.`;
  const text = lost ? "The connection was lost; trying again…" : calls;
  if ($("live-state").textContent !== text) {
    $("live-state").textContent = text;
  }
}

// A call that rang before the page was opened is still on the phone; one
// without an end for much longer lost its last message.
const longestCall = 4 * 3600 * 1000;

function showRecent(calls) {
  for (const call of calls) {
    if (live.has(call.id) || (!hasEnded(call) && Date.now() - new Date(call.started_at) < longestCall)) {
      keepLive(call);
    }
  }
  showLive();
  state(false);
}

function onLive(event) {
  const call = JSON.parse(event.data);
  keepLive(call);
  showLive();
  state(false);
  putCall(call);
}

let again = 1000; // milliseconds until a stream that ended for good is tried anew

function watch() {
  const stream = new EventSource("/v1/live");
  let broken = false;
  stream.addEventListener("open", () => {
    again = 1000;
    if (broken) {
      catchUp();
    }
    broken = false;
    state(false);
  });
  stream.addEventListener("error", () => {
    broken = true;
    state(true);
    if (stream.readyState === EventSource.CLOSED) { // refused: signed out, or the server is starting
      setTimeout(() => guarded($("problem"), () => api("GET", "/v1/account")).then(() => { watch(); catchUp(); }), again);
      again = Math.min(again * 2, 30000);
    }
  });
  for (const kind of ["ring", "answered", "end"]) {
    stream.addEventListener(kind, onLive);
  }
}

// catchUp asks what became of the calls that were on the phone when the stream
// broke off.
async function catchUp() {
  for (const id of live.keys()) {
    try {
      keepLive(await api("GET", callPath(id)));
    } catch {
      return; // the next break or event tries again
    }
  }
  showLive();
  state(false);
}

setInterval(tick, 1000);

// ---- return

const figures = [
  ["calls", "Calls", count], ["answered", "Answered", count], ["qualified", "Qualified", count], ["credit", "Sales credited", count],
  ["revenue", "Revenue", money], ["spend", "Spend", money], ["cost_per_call", "Cost per call", money], ["cost_per_qualified", "Cost per qualified", money],
  ["roi", "ROI", percent], ["roi_margin", "ROI on margin", percent], ["roas", "ROAS", count],
];

function heading(text, scope, className) {
  const th = el("th", text, className);
  th.scope = scope;
  return th;
}

function returnLine(name, values) {
  const tr = el("tr");
  tr.append(heading(name, "row", "nowrap"));
  for (const [key, , write] of figures) {
    const below = (key === "roi" || key === "roi_margin") && values[key] < 0;
    tr.append(el("td", write(values[key]), below ? "num below" : "num"));
  }
  return tr;
}

const groupName = (value) => String((value && value.national) || (value ?? ""));

async function loadReturn(params) {
  const by = params.group_by || "source";
  const report = await api("GET", query("/v1/reports/roi", { ...params, group_by: by }));
  const table = $("roi-table");
  const head = el("tr");
  head.append(heading(sentence(words(by)), "col"), ...figures.map(([, label]) => heading(label, "col", "num")));
  table.tHead.replaceChildren(head);
  if (report.rows.length === 0) {
    empty(table.tBodies[0], figures.length + 1, "Nothing in this range.");
  } else {
    table.tBodies[0].replaceChildren(...report.rows.map((r) => returnLine(groupName(r[by]), r)));
  }
  table.tFoot.replaceChildren(...(report.totals && report.rows.length > 0 ? [returnLine("All", report.totals)] : []));
  showMissing($("roi-missing"), report.missing);
  const lastDay = new Date(new Date(report.until).getTime() - 1);
  $("roi-range").textContent = `${dayFormat.format(new Date(report.from))} to ${dayFormat.format(lastDay)} (${report.tz}), in ${report.currency}. ` +
    `Sales are credited by ${words(report.model)} within ${report.window_days} days. ROI is (revenue − spend) ÷ spend; without spend there is none.`;
  return report;
}

// showMissing says what the figures leave out and why: a dash alone does not.
function showMissing(list, missing) {
  list.replaceChildren(...missing.map((m) =>
    el("li", `${sentence(words(m.figure))} without ${money(m.amount)} (${count(m.count)} ${m.count === 1 ? "amount" : "amounts"}): ${m.reason}.`)));
  list.hidden = missing.length === 0;
}

function showTiles(report) {
  const t = report.totals;
  showMissing($("summary-missing"), report.missing);
  const share = (n) => (t.calls > 0 ? `${percent(n / t.calls)} of calls` : "");
  const tiles = [
    ["Calls", count(t.calls), t.first_time == null ? "" : `${count(t.first_time)} first-time callers`],
    ["Answered", count(t.answered), share(t.answered)],
    ["Qualified", count(t.qualified), share(t.qualified)],
    ["Revenue", money(t.revenue), `${count(t.credit)} sales`],
    ["Spend", money(t.spend), t.cost_per_qualified ? `${money(t.cost_per_qualified)} per qualified` : ""],
    ["ROI", percent(t.roi), t.roi_margin == null ? "" : `${percent(t.roi_margin)} on margin`],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, value, more]) => {
    const tile = el("div");
    tile.append(el("dt", name), el("dd", value), el("dd", more, "quiet"));
    return tile;
  }));
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded($("roi-problem"), () => loadReturn(Object.fromEntries(new FormData(event.target))));
});

// ---- begin

guarded($("calls-problem"), () => loadCalls(false));
guarded($("problem"), loadLists);
guarded($("roi-problem"), async () => showTiles(await loadReturn({})));
watch();
