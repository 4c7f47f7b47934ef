// What is personal leaves the screen when its time is over, also where nobody loads the page again. What is half
// written in a form stays. Without scripts it is masked at the next load.
const open = document.querySelector("[data-open-until]");
if (open) {
  // By the server's clock: staff machines' clocks are wrong at times.
  const ahead = Date.parse(open.dataset.now) - Date.now();
  const look = () => {
    const left = Date.parse(open.dataset.openUntil) - (Date.now() + ahead);
    if (left > 0) return setTimeout(look, Math.min(left, 15_000)); // a machine may have slept
    for (const one of document.querySelectorAll("[data-personal]")) one.remove();
    document.getElementById("masked").hidden = false;
  };
  look();
}
