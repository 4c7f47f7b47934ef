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

const ending = document.getElementById("ending");
if (ending) session(ending, document.getElementById("ended"));

function session(ending, ended) {
  // By the server's clock: staff machines' clocks are wrong at times.
  const ahead = Date.parse(ending.dataset.now) - Date.now();
  let until = Date.parse(ending.dataset.until);
  let typed = 0;
  document.addEventListener("keydown", () => (typed = Date.now()), true);

  const form = ending.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault(); // what is half written on this page stays
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { accept: "application/json" },
        redirect: "error",
      });
      if (!answer.ok) throw new Error(String(answer.status));
      until = Date.parse((await answer.json()).until);
      ending.close();
    } catch {
      form.submit(); // the page that comes says what is wrong
    }
  });

  function look() {
    const left = until - (Date.now() + ahead);
    if (left <= 0) {
      if (ending.open) ending.close();
      document.documentElement.classList.add("ended");
      document.title = ended.querySelector("h2").textContent;
      ended.addEventListener("cancel", (event) => event.preventDefault());
      ended.showModal();
      return;
    }
    const quiet = Date.now() - typed > PAUSE_MS || left < WARNED_MS - PATIENCE_MS;
    if (left <= WARNED_MS && !ending.open && quiet) ending.showModal();
    setTimeout(look, left > WARNED_MS ? Math.min(left - WARNED_MS, 60_000) : Math.min(left, 500));
  }
  look();
}
