// What every page can do a little better with scripts. Without them everything works all the same.

// -- a page from the browser's memory may show what its reader may see no longer -----------------------
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// -- what is to be told is told: screen readers keep silent about what was there from the beginning ----
const problems = document.getElementById("problems");
if (problems) problems.focus();
for (const told of document.querySelectorAll(".flash[role=status] p")) {
  const words = told.textContent;
  told.textContent = "";
  setTimeout(() => (told.textContent = words), 150);
}

// -- a link in the summary of errors leads into the field itself ---------------------------------------
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".problems a[href^='#']");
  const field = link && document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  (field.matches("fieldset") ? field.querySelector("input, select, textarea") : field)?.focus();
});

// -- the session's end: told two minutes before, and when it has come, nothing stays on the screen -----
const WARNED_MS = 120_000;
const PAUSE_MS = 1_500; // nobody is interrupted in the middle of a word
const PATIENCE_MS = 20_000;
const ASK_EVERY_MS = 15_000;

const ending = document.getElementById("ending");
if (ending) session(ending, document.getElementById("ended"));

function session(ending, ended) {
  // By the server's clock: staff machines' clocks are wrong at times.
  const ahead = Date.parse(ending.dataset.now) - Date.now();
  let until = Date.parse(ending.dataset.until);
  let typed = 0;
  let asked = 0;
  document.addEventListener("keydown", () => (typed = Date.now()), true);

  // What is half written on this page stays on it, whatever comes of this. A screen on a wall has no form:
  // nobody stands before it who could go on.
  const form = ending.querySelector("form");
  const failed = ending.querySelector("[role=alert]");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    failed.hidden = await told(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  });

  // Another tab may have gone on, or signed out. Asking prolongs nothing.
  const ask = () => told("/session");
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask().then(look);
  });
  document.addEventListener("session-doubted", () => ask().then(look)); // from rooms that are told nothing more

  async function told(url, how = {}) {
    asked = Date.now();
    try {
      const answer = await fetch(url, { ...how, headers: { accept: "application/json" }, redirect: "manual" });
      if (answer.type === "opaqueredirect") until = 0; // to the login page: it is over
      else if (answer.ok) prolonged(Date.parse((await answer.json()).until));
      else return false;
      return true;
    } catch {
      return false; // what is known already holds
    }
  }

  function prolonged(moment) {
    if (moment === until) return;
    until = moment;
    document.querySelector(".bottom time")?.replaceWith(inJapan(until));
    if (left() > WARNED_MS && ending.open) ending.close();
  }

  const left = () => until - (Date.now() + ahead);

  let next;
  async function look() {
    clearTimeout(next);
    const every = left() > 0 ? ASK_EVERY_MS : 1_000;
    if (left() <= WARNED_MS && until && Date.now() - asked > every) await ask();
    if (left() <= 0) return end();
    const quiet = Date.now() - typed > PAUSE_MS || left() < WARNED_MS - PATIENCE_MS;
    if (form && left() <= WARNED_MS && !ending.open && quiet) ending.showModal();
    next = setTimeout(look, left() > WARNED_MS ? Math.min(left() - WARNED_MS, 60_000) : 500);
  }

  function end() {
    if (ending.open) ending.close();
    if (ended.open) return;
    document.documentElement.classList.add("ended");
    document.dispatchEvent(new Event("session-ended")); // for rooms that have a stream to close
    document.title = ended.querySelector("h2").textContent;
    ended.addEventListener("cancel", (event) => event.preventDefault());
    ended.showModal();
  }

  look();
}

function inJapan(moment) {
  const time = document.createElement("time");
  time.dateTime = new Date(moment).toISOString();
  time.textContent = new Date(moment).toLocaleString(document.documentElement.lang, {
    timeZone: "Asia/Tokyo", month: "short", day: "numeric", weekday: "short", hour: "2-digit", minute: "2-digit",
  });
  return time;
}
