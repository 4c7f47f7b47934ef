// The referral form: the district while an address is typed, and a draft that outlives the window.
// Without scripts two buttons of the form do the same.

const form = document.getElementById("refer");
const LOCATE_MS = 600;
const SAVE_MS = 1_000;
const AGAIN_MS = 10_000;
const MOST_KEPT_ALIVE = 60_000; // bytes that a browser sends for a page that is closing (Fetch: 64 KiB)

function post(path, fields, more = {}) {
  return fetch(path, {
    method: "POST",
    headers: { accept: "application/json", "x-csrf": form.elements.csrf.value },
    body: new URLSearchParams(fields),
    redirect: "manual", // to sign in, say: an answer, though not the one that was wanted
    ...more,
  });
}

// While a Japanese input method composes, what stands in a field is not yet what its writer means.
let composing = false;
form.addEventListener("compositionstart", () => (composing = true));
form.addEventListener("compositionend", (event) => {
  composing = false;
  changed(event);
});
form.addEventListener("input", changed);
form.addEventListener("change", changed);

function changed(event) {
  if (composing || event.isComposing) return;
  if (event.target.name === "address") later("district", locate, LOCATE_MS);
  dirty = true;
  later("draft", save, SAVE_MS);
}

const waiting = {};
function later(what, act, after) {
  clearTimeout(waiting[what]);
  waiting[what] = setTimeout(act, after);
}

// -- the district ------------------------------------------------------------------------------------

const district = document.getElementById("district");
const SHAPES = { good: "◎", warn: "？", bad: "！" };
let asked = 0;
let known = null;

async function locate() {
  clearTimeout(waiting.district);
  const address = form.elements.address.value;
  if (address === known) return;
  known = address;
  const mine = ++asked;
  if (!address.trim()) return say("", "");
  try {
    const answer = await post("/refer/district", { address });
    if (!answer.ok) throw new Error(String(answer.status));
    const { tone, text } = await answer.json();
    if (mine === asked) say(tone, text);
  } catch {
    known = null;
    if (mine === asked) say("", district.dataset.failed);
  }
}

function say(tone, text) {
  const shape = document.createElement("span");
  shape.setAttribute("aria-hidden", "true");
  shape.textContent = tone ? `${SHAPES[tone]} ` : "";
  if (district.textContent !== shape.textContent + text) district.replaceChildren(shape, text);
}

document.getElementById("look").addEventListener("click", (event) => {
  event.preventDefault();
  known = null;
  locate();
});

// -- the draft ---------------------------------------------------------------------------------------

const kept = document.getElementById("kept");
let dirty = false;
let leaving = false;
let saving = null;
// Nobody answered the last save: a form that is sent now would end, with its words, on the browser's own page.
let unreachable = false;
const NOBODY_BEHIND = [502, 503, 504];

function fields() {
  const all = new FormData(form);
  all.delete("csrf");
  return all;
}

async function save() {
  clearTimeout(waiting.draft);
  if (!dirty || leaving) return;
  if (saving) return later("draft", save, SAVE_MS);
  dirty = false;
  form.elements.written.value = Number(form.elements.written.value) + 1;
  saving = write({});
  await saving;
  saving = null;
}

async function write(more) {
  try {
    const answer = await post("/refer/draft", fields(), more).catch((lost) => {
      unreachable = true;
      throw lost;
    });
    unreachable = NOBODY_BEHIND.includes(answer.status);
    if (answer.status === 409) return tell(kept.dataset.full);
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    if (told.posted) return;
    form.elements.draft.value = told.draft;
    form.elements.version.value = told.version;
    const here = `/refer?draft=${encodeURIComponent(told.draft)}`;
    if (location.pathname + location.search !== here) history.replaceState(null, "", here);
    if (told.left_out.length) tell(`${kept.dataset.leftout}: ${told.left_out.join("、")}`);
    else if (told.moved) tell(kept.dataset.moved);
    else tell(kept.dataset.saved);
  } catch {
    dirty = true;
    tell(kept.dataset.failed);
    later("draft", save, AGAIN_MS);
  }
}

function tell(words) {
  // The same words are not said again after every sentence.
  if (kept.textContent !== words) kept.textContent = words;
}

// What is sent into the void is lost: first one save must arrive.
async function sendOnceReachable(button) {
  tell(kept.dataset.saving);
  await saving;
  dirty = true;
  await save();
  if (unreachable) tell(kept.dataset.held);
  else form.requestSubmit(button);
}

form.addEventListener("submit", (event) => {
  if (unreachable) {
    event.preventDefault();
    sendOnceReachable(event.submitter);
    return;
  }
  // What is sent is no draft any more; a refusal comes back as a page, and is kept by the server.
  leaving = event.submitter?.value !== "district";
  clearTimeout(waiting.draft);
});

addEventListener("pageshow", () => (leaving = false));

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "hidden" || !dirty || leaving) return;
  clearTimeout(waiting.draft);
  dirty = false;
  form.elements.written.value = Number(form.elements.written.value) + 1;
  const size = new Blob([new URLSearchParams(fields()).toString()]).size;
  write({ keepalive: size < MOST_KEPT_ALIVE });
});
