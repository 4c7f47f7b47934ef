// The board on a wall: nobody works on it, so nothing has to stay where it is. It is read anew whenever the
// server says anything, which it does every five seconds; and it tells when it is no longer right.

const SILENCE_MS = 12_000;
const AGAIN_MS = 2_000;
const PAUSE_MS = 500; // however much changes
const FITS = "(min-width: 64rem)"; // a smaller one is in somebody's hands, who can scroll

const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let source = null;
let heardAt = Date.now();
let opening = 0;
let over = false;

// -- the page, anew ---------------------------------------------------------------------------------------

let reading = false;
let again = false;

async function read() {
  again = true;
  if (reading) return;
  reading = true;
  while (again && !over) {
    again = false;
    try {
      await readOnce();
    } catch {
      isLost(true);
    }
    await pause(PAUSE_MS);
  }
  reading = false;
}

async function readOnce() {
  const answer = await fetch(location.href, { redirect: "manual", signal: AbortSignal.timeout(SILENCE_MS) });
  // To the login page: this screen was signed out. Nothing stays on it.
  if (answer.type === "opaqueredirect" || answer.status === 403) return leave();
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // The console is another one than four weeks ago: so are its scripts and style sheets.
  if (String(files(page)) !== String(files(document))) return leave();
  $("board").replaceWith(document.adoptNode(page.getElementById("board")));
  fit();
  if (source?.readyState === EventSource.OPEN) isLost(false);
}

const files = (page) =>
  [...page.querySelectorAll("link[rel=stylesheet], script[src]")].map((one) => one.getAttribute("href") ?? one.getAttribute("src"));

function leave() {
  over = true;
  source?.close();
  location.reload();
}

// Nobody scrolls a wall: as many calls as it has room for, and how many more there are.
function fit() {
  const more = $("more");
  if (!more || !matchMedia(FITS).matches) return;
  const rows = [...$("calls").rows];
  const tell = () => {
    const shown = rows.filter((row) => !row.hidden).length;
    more.hidden = shown === Number(more.dataset.of);
    more.textContent = more.dataset.words.replace("%n", String(Number(more.dataset.of) - shown));
  };
  for (const row of rows) row.hidden = false;
  tell();
  const root = document.documentElement;
  for (const row of rows.slice(1).reverse()) {
    if (root.scrollHeight <= innerHeight) break;
    row.hidden = true;
    tell();
  }
}

// -- the line to the server -------------------------------------------------------------------------------

function connect() {
  clearTimeout(opening);
  source?.close();
  if (over) return;
  heardAt = Date.now();
  const { stream, after } = $("board").dataset;
  source = new EventSource(`${stream}&after=${after}`);
  for (const name of ["call", "counts", "fresh", "beat"]) source.addEventListener(name, heard);
  // The page is read, and says where to go on from: not where this one was.
  source.addEventListener("again", () => {
    heard();
    source.close();
    reopen();
  });
  source.onopen = heard;
  source.onerror = () => {
    isLost(true);
    read(); // which finds out whether it was signed out
    if (source.readyState === EventSource.CLOSED) reopen();
  };
}

function heard() {
  heardAt = Date.now();
  read();
}

function reopen(ms = AGAIN_MS) {
  clearTimeout(opening);
  opening = setTimeout(connect, ms);
}

function isLost(yes) {
  if ($("lost").hidden === !yes) return;
  $("lost").hidden = !yes;
  fit();
}

document.addEventListener("session-ended", () => {
  over = true;
  source?.close();
});
addEventListener("offline", () => isLost(true));
addEventListener("online", () => reopen(0));
addEventListener("resize", fit);

// -- begin ------------------------------------------------------------------------------------------------

// Where it can be, the screen is kept from going dark; where not, the machine has to be set so.
const wake = () => document.hidden || navigator.wakeLock?.request("screen").catch(() => {});
document.addEventListener("visibilitychange", wake);
wake();

fit();
connect();
setInterval(() => {
  if (over || Date.now() - heardAt < SILENCE_MS) return;
  isLost(true);
  connect();
}, 1_000);
