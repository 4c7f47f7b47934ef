// The inbox, live: a word that something came, and a link to see it. Nothing on the page moves by itself, for
// somebody may be answering an offer. Without scripts the page is whole and is read anew.

const news = document.getElementById("news");
const after = Number(news.dataset.after);
const SILENCE_MS = 5_000;
let lost = 0;

const stream = new EventSource(`/inbox/stream?after=${after}`);
stream.addEventListener("came", (event) => {
  const { head, new: count } = JSON.parse(event.data);
  if (head === after) return;
  show(count > 1 ? news.dataset.more.replace("{n}", count) : news.dataset.one);
});
stream.addEventListener("open", () => {
  clearTimeout(lost);
  if (news.firstElementChild?.dataset.lost) news.replaceChildren();
});
stream.addEventListener("error", () => {
  // A line that is back in a moment is nobody's trouble.
  clearTimeout(lost);
  lost = setTimeout(() => {
    if (!news.childElementCount) show(news.dataset.lost, true);
  }, SILENCE_MS);
});
addEventListener("pagehide", () => stream.close());

function show(words, isLost = false) {
  const told = document.createElement("p");
  told.className = "notice";
  if (isLost) told.dataset.lost = "yes";
  told.append(words);
  if (!isLost) {
    const link = document.createElement("a");
    link.href = "/inbox";
    link.textContent = news.dataset.show;
    told.append(" ", link);
  }
  news.replaceChildren(told);
}
