// The board, live: rows are drawn by the server and put in their places here. Without this script the page is
// whole and is read anew with its link. Nothing here moves the focus, or a row that somebody works on.

const $ = (id) => document.getElementById(id);
const board = $("board");
const calls = $("calls");
const act = $("act");
const japanese = document.documentElement.lang === "ja";
const t = (ja, en) => (japanese ? ja : en);

const NEAR_MS = 5 * 60_000;
const SILENCE_MS = 12_000; // the server says something every five seconds
const POINTER_MS = 10_000; // a pointer that lies still works on nothing
const RESOLVED_MS = 60_000; // so long a resolved call stays to be seen
const MOST_ROWS = 100;
const MOST_NEW = 20;
const OTHER_PAGES_MS = 60_000; // a call on one of them becomes overdue too, and belongs here then
const ONCE_MORE_MS = 5_000;

// -- time: the server's, counted on -------------------------------------------------------------------

const ahead = Number(board.dataset.now) - Date.now();
const now = () => Date.now() + ahead;

function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(seconds / 3600);
  const days = Math.floor(seconds / 86_400);
  const two = (number) => String(number).padStart(2, "0");
  if (days) return t(`${days}日${hours % 24}時間`, `${days} d ${hours % 24} h`);
  if (hours) return t(`${hours}時間${two(minutes % 60)}分`, `${hours} h ${two(minutes % 60)} min`);
  if (minutes) return t(`${minutes}分`, `${minutes} min`);
  return t(`${seconds}秒`, `${seconds} s`);
}

function left(ms) {
  if (ms <= 0) return ["over", t(`超過 ${span(-ms)}`, `${span(-ms)} over`)];
  if (ms < NEAR_MS) {
    const minutes = Math.floor(ms / 60_000);
    const seconds = String(Math.floor(ms / 1000) % 60).padStart(2, "0");
    return ["near", t(`間近 ${minutes}分${seconds}秒`, `soon: ${minutes} min ${seconds} s`)];
  }
  return ["enough", t(`残り ${span(ms)}`, `${span(ms)} left`)];
}

function write(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}

function count() {
  const at = now();
  for (const row of calls.children) {
    write(row.querySelector(".age"), span(at - Number(row.dataset.since)));
    if (!row.dataset.due) continue;
    const [tone, words] = left(Number(row.dataset.due) - at);
    const cell = row.querySelector(".left");
    write(cell, words);
    if (!cell.classList.contains(tone)) cell.className = `left ${tone}`;
  }
}

// -- told to whoever does not see it: at most one sentence a moment, emergencies at once ----------------

const spoken = { polite: [], assertive: [] };

function say(words, how = "polite") {
  const waiting = spoken[how];
  waiting.push(words);
  if (waiting.length > 1) return;
  $(how).textContent = "";
  setTimeout(() => {
    const all = waiting.splice(0);
    const few = all.slice(0, 3);
    if (all.length > 3) few.push(t(`ほか ${all.length - 3}件`, `and ${all.length - 3} more`));
    if (paused && held.size) few.push(t(`一時停止中。${held.size}件待っています`, `Paused, ${held.size} wait`));
    $(how).textContent = few.join(t("。", ". "));
  }, 150);
}

// -- where somebody works -------------------------------------------------------------------------------

let pointer = null;
let pointedAt = 0;
const sending = new Set();

calls.addEventListener("pointermove", (event) => {
  pointer = event.target.closest("tr[data-call]");
  pointedAt = Date.now();
});
calls.addEventListener("pointerleave", () => {
  pointer = null;
  setTimeout(settle, 0);
});
calls.addEventListener("focusout", () => setTimeout(settle, 0));

function worked() {
  const focused = document.activeElement?.closest("#calls tr[data-call]");
  if (focused) return focused;
  const sent = [...sending].map((id) => $(`call-${id}`)).find(Boolean);
  if (sent) return sent;
  return pointer?.isConnected && Date.now() - pointedAt < POINTER_MS ? pointer : null;
}

// -- rows -----------------------------------------------------------------------------------------------

const held = new Map(); // by call: what waits until nobody works, or until somebody says so
const goneAt = new Map();
let paused = false;

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.querySelector("tr");
}

function place(row, at) {
  const due = row.dataset.due ? Number(row.dataset.due) : Infinity;
  return [
    due > at,
    row.dataset.urgency !== "emergency",
    due,
    row.dataset.state !== "raised",
    Number(row.dataset.since),
    Number(row.dataset.change),
  ];
}

function comparedAt(at) {
  return (one, other) => {
    const [a, b] = [place(one, at), place(other, at)];
    const i = a.findIndex((each, n) => each !== b[n]);
    return i < 0 ? 0 : a[i] < b[i] ? -1 : 1;
  };
}

// What became overdue goes up, though nothing changed but the time. Resolved ones stay where they are.
function inOrder() {
  if (calls.querySelector("tr.told")) return;
  const rows = [...calls.children];
  const standing = rows.filter((row) => row.dataset.state !== "resolved").sort(comparedAt(now())).values();
  const [x, y] = [scrollX, scrollY];
  rows.forEach((row, n) => {
    const right = row.dataset.state === "resolved" ? row : standing.next().value;
    if (calls.children[n] !== right) calls.insertBefore(right, calls.children[n]);
  });
  if (scrollY !== y) scrollTo(x, y);
}

// The row that this one would come before; null: at the end; undefined: on another page.
function placeOf(row) {
  const rows = [...calls.children].filter((r) => r.dataset.call && r.dataset.state !== "resolved");
  const compared = comparedAt(now());
  const next = rows.find((other) => compared(row, other) < 0);
  if (next) return Number(board.dataset.page) > 1 && next === rows[0] ? undefined : next;
  return board.dataset.full || rows.length >= MOST_ROWS ? undefined : null;
}

function isAbove(place, row) {
  return place && (place === row || place.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING);
}

function told(data) {
  const row = $(`call-${data.id}`);
  if (row && !data.anew && Number(row.dataset.change) >= data.change) return;
  if (!row && !(data.fits && data.state !== "resolved")) {
    held.delete(data.id);
    forget(data.id);
    return;
  }
  if (!row && !held.has(data.id) && data.state === "raised") isNew(data);
  if (data.state !== "raised") forget(data.id);
  if (mayPut(data, row)) put(data, row);
  else hold(data, row);
  waitingWords();
}

function mayPut(data, row) {
  if (paused || sending.has(data.id)) return false;
  const busy = worked();
  if (!busy) return true;
  return row ? row !== busy : !isAbove(placeOf(made(data.html)), busy);
}

function hold(data, row) {
  held.set(data.id, data);
  if (row && row === worked() && !sending.has(data.id)) notice(row, data);
}

function put(data, row) {
  held.delete(data.id);
  if (data.state === "resolved") goneAt.set(data.id, Date.now());
  if (!data.html) {
    if (row) remove(row);
    return;
  }
  const fresh = made(data.html);
  if (row) {
    unnotice(row);
    row.replaceWith(fresh);
  } else {
    const next = placeOf(fresh);
    if (next === undefined) return; // on another page
    fresh.classList.add("new-here");
    setTimeout(() => fresh.classList.remove("new-here"), 10_000);
    calls.insertBefore(fresh, next);
  }
  $("nothing").hidden = calls.children.length > 0;
  count();
}

function remove(row) {
  unnotice(row);
  row.remove();
  goneAt.delete(row.dataset.call);
  $("nothing").hidden = calls.children.length > 0;
}

// Under the row that is worked on, so that it stays as it is until its reader has left it.
function notice(row, data) {
  const words = {
    acknowledged: t("他の人が応答しました", "Somebody else acknowledged") + (data.by ? t(`（${data.by}）`, ` (${data.by})`) : ""),
    resolved: t("解決されました", "It was resolved"),
    raised: t("次の窓口に回りました", "It went to the next desk"),
  }[data.state];
  unnotice(row);
  const line = document.createElement("tr");
  line.className = "told";
  line.setAttribute("role", "row");
  const cell = line.insertCell();
  cell.colSpan = 6;
  cell.setAttribute("role", "cell");
  cell.textContent = words;
  row.after(line);
  say(words);
}

function unnotice(row) {
  if (row.nextElementSibling?.classList.contains("told")) row.nextElementSibling.remove();
}

function settle() {
  if (!paused && !worked()) {
    for (const data of [...held.values()]) put(data, $(`call-${data.id}`));
    for (const [id, at] of goneAt) {
      const row = $(`call-${id}`);
      if (!row) goneAt.delete(id);
      else if (Date.now() - at > RESOLVED_MS) remove(row);
    }
    inOrder();
    if (Date.now() > lookAt && hasOtherPages()) fromOtherPages();
  }
  later();
  waitingWords();
}

// -- other pages: what is on them may belong here later -------------------------------------------------

let lookAt = Date.now() + OTHER_PAGES_MS;
let overdue = Number(document.querySelector("[data-count=overdue]").textContent);

function hasOtherPages() {
  return board.dataset.full || Number(board.dataset.page) > 1 || calls.children.length >= MOST_ROWS;
}

// Nothing of it is new, so nothing is told. What the stream has told since, or is about to tell, this page
// does not know, or must not know first: then it is read once more.
async function fromOtherPages() {
  lookAt = Date.now() + ONCE_MORE_MS;
  let there = null;
  try {
    there = await readPage();
  } catch {
    return; // that the line is lost is told elsewhere
  }
  const same = Number(there.dataset.after) === position && there.dataset.stream === board.dataset.stream;
  if (!same || over || paused || held.size || worked()) return;
  lookAt = Date.now() + OTHER_PAGES_MS;
  const rows = [...there.querySelectorAll("#calls tr[data-call]")];
  const here = new Set(rows.map((row) => row.id));
  for (const row of [...calls.children]) {
    if (row.dataset.call && !here.has(row.id) && row.dataset.state !== "resolved") remove(row);
  }
  for (const row of rows) if (!$(row.id)) calls.append(document.adoptNode(row));
  Object.assign(board.dataset, { page: there.dataset.page, full: there.dataset.full });
  board.querySelector("p").replaceWith(document.adoptNode(there.querySelector("p")));
  const links = board.querySelector("nav.pages");
  if (!links?.contains(document.activeElement)) {
    links?.remove();
    board.append(...there.querySelectorAll("nav.pages"));
  }
  $("nothing").hidden = calls.children.length > 0;
  inOrder();
  count();
}

async function readPage() {
  const answer = await fetch($("refresh").href, { headers: { accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") document.dispatchEvent(new Event("session-doubted"));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const there = page.getElementById("board");
  if (!answer.ok || !there) throw new Error(String(answer.status));
  return there;
}

// -- the strip: new calls are seen at once, wherever their rows have to wait -----------------------------

const strip = $("new");
let unseen = [];

function isNew(data) {
  const urgent = data.urgency === "emergency";
  const words = t(`新しい上申 ${data.said}`, `New call: ${data.said}`);
  say(words, urgent ? "assertive" : "polite");
  tone();
  notify(data);
  unseen.push(data);
  later();
}

function later() {
  if ($("waiting").contains(document.activeElement) && document.activeElement !== $("waiting")) return;
  for (const data of unseen) {
    const item = document.createElement("li");
    item.dataset.of = data.id;
    if (data.urgency === "emergency") item.className = "emergency";
    const link = document.createElement("a");
    link.href = `/board/${data.id}`;
    link.textContent = data.said;
    const at = new Date(now()).toLocaleTimeString("ja-JP", { timeZone: "Asia/Tokyo", hour: "2-digit", minute: "2-digit" });
    item.append(`${at} `, link);
    strip.prepend(item);
  }
  unseen = [];
  while (strip.children.length > MOST_NEW) strip.lastElementChild.remove();
  $("none-waiting").hidden = strip.children.length > 0;
}

function forget(id) {
  unseen = unseen.filter((data) => data.id !== id);
  const item = [...strip.children].find((each) => each.dataset.of === id);
  if (item && !item.contains(document.activeElement)) item.remove();
  $("none-waiting").hidden = strip.children.length > 0;
}

function waitingWords() {
  const button = $("put-in");
  const some = held.size > 0;
  button.setAttribute("aria-disabled", String(!some));
  write(button, some ? t(`一覧に入れる（${held.size}件）`, `Put ${held.size} into the list`) : t("一覧は最新です", "The list is up to date"));
}

$("put-in").addEventListener("click", () => {
  for (const data of [...held.values()]) put(data, $(`call-${data.id}`));
  waitingWords();
});

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  say(paused ? t("一時停止しました", "Paused") : t(`再開しました。${held.size}件を入れます`, `Going on; ${held.size} put in`));
  settle();
});

// -- sound and desktop notices, for whoever wants them ----------------------------------------------------

let audio = null;

function kept(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(`board.${name}`) === "yes";
    localStorage.setItem(`board.${name}`, value ? "yes" : "");
  } catch {
    // A browser that keeps nothing: it is as it was at the start.
  }
  return false;
}

function tone() {
  if (!$("sound").checked) return;
  audio ??= new AudioContext();
  audio.resume();
  const from = audio.currentTime;
  const oscillator = audio.createOscillator();
  const volume = audio.createGain();
  oscillator.frequency.setValueAtTime(660, from);
  oscillator.frequency.setValueAtTime(880, from + 0.14);
  volume.gain.setValueAtTime(0.0001, from);
  volume.gain.exponentialRampToValueAtTime(0.25, from + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, from + 0.4);
  oscillator.connect(volume).connect(audio.destination);
  oscillator.start(from);
  oscillator.stop(from + 0.42);
}

$("sound").checked = kept("sound");
$("sound").addEventListener("change", () => {
  kept("sound", $("sound").checked);
  tone(); // so one hears what it is like
});

function notify(data) {
  if (!$("notice").checked || document.hasFocus()) return;
  try {
    const shown = new Notification(t("新しい上申", "New call"), { body: data.brief, tag: data.id });
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  } catch {
    // Some browsers only let service workers do it.
  }
}

const canNotify = "Notification" in window;
$("notice").checked = canNotify && Notification.permission === "granted" && kept("notice");
$("notice").addEventListener("change", async () => {
  const wanted = $("notice").checked;
  const may = wanted && canNotify && (await Notification.requestPermission()) === "granted";
  if (wanted && !may) {
    $("notice").checked = false;
    say(t("このブラウザでは通知が許されていません", "This browser does not allow notices"));
  }
  kept("notice", may);
});

// -- the line to the server ---------------------------------------------------------------------------------

let source = null;
let position = Number(board.dataset.after);
let heardAt = Date.now();
let connected = null;
let reopening = 0;
let over = false; // whoever was here has been signed out

function connect() {
  clearTimeout(reopening);
  source?.close();
  if (over) return;
  heardAt = Date.now();
  source = new EventSource(`${board.dataset.stream}&after=${position}`);
  const on = (name, what) =>
    source.addEventListener(name, (event) => {
      heardAt = Date.now();
      isConnected(true);
      what(JSON.parse(event.data));
      // After it is in its place: whoever is cut off in between is told it once more.
      position = Number(event.lastEventId);
    });
  on("call", (data) => told(data));
  on("counts", counted);
  on("beat", () => {});
  on("fresh", (data) => isFresh(data.fresh));
  on("again", () => readAnew());
  source.onopen = () => {
    heardAt = Date.now();
    isConnected(true);
  };
  source.onerror = () => {
    isConnected(false);
    // What the browser has given up is tried again here.
    if (source.readyState !== EventSource.CLOSED) return;
    document.dispatchEvent(new Event("session-doubted"));
    reopen();
  };
}

function reopen(ms = 2_000) {
  source?.close();
  clearTimeout(reopening);
  if (!over) reopening = setTimeout(connect, ms);
}

document.addEventListener("session-ended", () => {
  over = true;
  clearTimeout(reopening);
  source?.close();
});

function isConnected(yes) {
  if (yes === connected) return;
  const first = connected === null;
  connected = yes;
  const badge = $("line");
  badge.textContent = `${yes ? "●" : "×"} ${yes ? badge.dataset.on : badge.dataset.off}`;
  badge.className = `badge ${yes ? "good" : "bad"}`;
  $("lost").hidden = yes;
  if (!yes) say($("lost").textContent.trim(), "assertive");
  else if (!first) say(t("つながりました。届いていなかった分を入れています", "Connected again; catching up"));
}

function isFresh(yes) {
  $("stale").hidden = yes;
  say(yes ? t("最新の状態に戻りました", "Up to date again") : $("stale").textContent.trim(), yes ? "polite" : "assertive");
}

function counted(counts) {
  const { of, ...numbers } = counts;
  write($("of"), String(of));
  for (const [name, number] of Object.entries(numbers)) {
    write(document.querySelector(`[data-count=${name}]`), String(number));
  }
  if (counts.overdue !== overdue) lookAt = Math.min(lookAt, Date.now());
  overdue = counts.overdue;
  document.title = document.title.replace(/^(\(\d+\) )?/, counts.raised ? `(${counts.raised}) ` : "");
}

// The server no longer knows what this page has missed: it is read whole, and put in like anything new.
async function readAnew() {
  source?.close();
  if (over) return;
  try {
    const there = await readPage();
    const seen = new Set();
    for (const row of there.querySelectorAll("#calls tr[data-call]")) {
      const { call, change, state, urgency } = row.dataset;
      seen.add(call);
      const said = row.querySelector(".what").textContent;
      told({ id: call, change: Number(change), state, urgency, fits: true, said, brief: "", by: "", html: row.outerHTML, anew: true });
    }
    for (const row of [...calls.children]) {
      const id = row.dataset.call;
      if (id && !seen.has(id)) told({ id, change: Infinity, state: "resolved", fits: false, html: "" });
    }
    for (const cell of there.ownerDocument.querySelectorAll("[data-count]")) {
      write(document.querySelector(`[data-count=${cell.dataset.count}]`), cell.textContent);
    }
    // What waits is on this page no longer, or on none.
    for (const id of held.keys()) if (!seen.has(id) && !$(`call-${id}`)) held.delete(id);
    waitingWords();
    board.dataset.stream = there.dataset.stream;
    position = Number(there.dataset.after);
    connect();
  } catch {
    isConnected(false);
    setTimeout(readAnew, 3_000);
  }
}

addEventListener("offline", () => isConnected(false));
addEventListener("online", () => reopen(0));

// -- what is done in a row -----------------------------------------------------------------------------------

act.addEventListener("submit", async (event) => {
  const button = event.submitter;
  const row = button?.closest("tr[data-call]");
  if (!row) return;
  event.preventDefault();
  const id = row.dataset.call;
  if (sending.has(id)) return; // a double press is one deed
  sending.add(id);
  button.setAttribute("aria-disabled", "true");
  const body = new URLSearchParams(new FormData(act));
  body.set(button.name, button.value);
  let answer = null;
  try {
    answer = await fetch(button.formAction, {
      method: "POST",
      body,
      headers: { accept: "application/json" },
      redirect: "manual",
      signal: AbortSignal.timeout(SILENCE_MS),
    });
  } catch {
    // Said below: the key is the same, so to press once more is safe.
  }
  sending.delete(id);
  button.removeAttribute("aria-disabled");
  if (!answer) {
    said(t("送れませんでした。つながりを確かめて、もう一度押してください。", "It could not be sent. Please check the connection and press again."));
    return;
  }
  if (!(answer.headers.get("content-type") ?? "").startsWith("application/json")) {
    withoutScript(button); // the page that comes says what is wrong
    return;
  }
  const done = await answer.json();
  if (!done.alert) act.elements.key.value = crypto.randomUUID?.() ?? String(Math.random());
  $("said").innerHTML = done.note;
  say(done.said, done.alert ? "assertive" : "polite");
  const focused = row.contains(document.activeElement) || document.activeElement === document.body;
  if (held.get(id)?.change <= done.change) held.delete(id);
  if (done.html) {
    const state = made(done.html).dataset.state;
    put({ id, state, html: done.html, fits: true }, $(`call-${id}`));
    forget(id);
  }
  // The button that was pressed is gone: the next thing to do in its row has its place.
  const fresh = $(`call-${id}`);
  if (focused && fresh) (fresh.querySelector(".do button, .do a") ?? fresh.querySelector("a"))?.focus({ preventScroll: true });
  settle();
});

function said(words) {
  const flash = document.createElement("div");
  flash.className = "flash bad";
  const line = document.createElement("p");
  line.textContent = words;
  flash.append(line);
  $("said").replaceChildren(flash);
  say(words, "assertive");
}

function withoutScript(button) {
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = button.name;
  field.value = button.value;
  act.append(field);
  act.action = button.formAction;
  act.submit();
}

$("close-said").addEventListener("click", () => $("said").replaceChildren());

// -- begin ---------------------------------------------------------------------------------------------------

$("live").hidden = false;
waitingWords();
connect();
setInterval(() => {
  count();
  settle();
  if (!over && source.readyState !== EventSource.CLOSED && Date.now() - heardAt > SILENCE_MS) {
    isConnected(false);
    reopen(0);
  }
}, 1_000);
