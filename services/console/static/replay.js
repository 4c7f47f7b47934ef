// The replay: while the slider moves, the part of the page that shows the moment is fetched. The focus stays
// where it is. Without scripts the slider is a form, and the steps are links.

const QUIET_MS = 100; // between the slider's last movement and the question
const EVERY_MS = 1_000; // how often a verification that runs is looked at

const slider = document.getElementById("slider");
const then = document.getElementById("then");
const said = document.getElementById("said");
const ja = document.documentElement.lang === "ja";

let asked = null;
let waiting = 0;

if (slider) follow(slider);
if (then?.dataset.follow) keepLooking(then.dataset.follow);

function follow(slider) {
  const marks = slider.dataset.marks.split(" ");
  const slid = document.getElementById("slid");
  const typed = document.getElementById("at");
  const steps = Object.fromEntries(
    ["first", "previous", "next", "now"].map((name) => [name, document.getElementById(`to-${name}`)]),
  );
  const address = (at) => {
    const query = new URLSearchParams();
    if (at) query.set("at", at);
    if (at && slider.dataset.known) query.set("known", "1");
    return slider.dataset.path + (at ? `?${query}` : "");
  };
  const words = new Intl.DateTimeFormat(ja ? "ja-JP" : "en-GB", {
    timeZone: "Asia/Tokyo", dateStyle: "medium", timeStyle: "medium",
  });

  async function show(at) {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    then.setAttribute("aria-busy", "true");
    const url = address(at);
    try {
      const answer = await fetch(url + (at ? "&" : "?") + "part=1", { signal, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const shown = put(await answer.text());
      if (!shown) throw new Error("not a part");
      history.replaceState(null, "", url);
      settle(shown);
    } catch (error) {
      if (error.name === "AbortError") return;
      say(ja ? "いま返事がありません。もう一度動かすか、数秒おいて読み直してください。" : "There is no answer just now. Please move it again, or reload in a few seconds.");
    }
    if (!signal.aborted) then.removeAttribute("aria-busy");
  }

  function settle(shown) {
    const { at, index, previous, next, slid: moment } = shown.dataset;
    slider.value = String(Math.max(0, Number(index)));
    slider.setAttribute("aria-valuetext", moment);
    slid.textContent = moment;
    lead(steps.previous, previous);
    lead(steps.next, next);
    if (at) typed.value = inJapan(at);
    say(shown.dataset.said);
  }

  function lead(step, at) {
    if (at) {
      step.href = address(at);
      step.removeAttribute("aria-disabled");
      step.removeAttribute("role");
    } else {
      // It keeps the focus, if it has it: who steps through would otherwise lose the place.
      step.setAttribute("aria-disabled", "true");
      step.setAttribute("role", "link");
      if (document.activeElement !== step) step.removeAttribute("href");
      else step.setAttribute("href", location.href);
    }
  }

  slider.addEventListener("input", () => {
    const at = marks[Number(slider.value)];
    const about = words.format(new Date(at.replace(/(\.\d{3})\d*/, "$1")));
    slid.textContent = about;
    slider.setAttribute("aria-valuetext", about);
    clearTimeout(waiting);
    waiting = setTimeout(() => show(at), QUIET_MS);
  });
  slider.form.addEventListener("submit", (event) => event.preventDefault());
  for (const step of Object.values(steps)) {
    step.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return; // in a window of its own
      event.preventDefault();
      if (step.getAttribute("aria-disabled") === "true") return;
      clearTimeout(waiting);
      show(new URL(step.href).searchParams.get("at"));
    });
  }
}

// What came, in the place of what was there: what was opened stays open, what was scrolled stays so.
function put(text) {
  const shown = new DOMParser().parseFromString(text, "text/html").getElementById("shown");
  if (!shown) return null;
  const open = [...then.querySelectorAll("details")].map((one) => one.open);
  const places = [...then.querySelectorAll(".scroll")].map((one) => [one.getAttribute("aria-labelledby") ?? one.getAttribute("aria-label"), one.scrollLeft]);
  shown.querySelectorAll("details").forEach((one, n) => (one.open = open[n] ?? false));
  then.replaceChildren(shown);
  for (const [name, left] of places) {
    const same = [...then.querySelectorAll(".scroll")].find((one) => (one.getAttribute("aria-labelledby") ?? one.getAttribute("aria-label")) === name);
    if (same && left) same.scrollLeft = left;
  }
  return shown;
}

function say(words) {
  if (said && words) said.textContent = words;
}

function inJapan(at) {
  const nine = new Date(Date.parse(at.replace(/(\.\d{3})\d*/, "$1")) + 9 * 3_600_000);
  return nine.toISOString().slice(0, 19).replace("T", " ");
}

// A verification that runs: how far it is, every second; said when it is over.
async function keepLooking(url) {
  while (document.getElementById("shown")?.dataset.running) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    try {
      const answer = await fetch(`${url}?part=1`, { redirect: "error" });
      if (!answer.ok) continue;
      const shown = put(await answer.text());
      if (shown && !shown.dataset.running) say(shown.dataset.said);
    } catch {
      // It is asked again.
    }
  }
}
