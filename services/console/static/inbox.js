// The inbox, live: a word that something came, and a link to see it. Nothing on the page moves by itself, for
// somebody may be answering an offer. Without scripts the page is whole and is read anew.

const news = document.getElementById("news");
const after = Number(news.dataset.after);
const SILENCE_MS = 5_000;
let lost = 0;
let isLost = false;
let before = [];

const stream = new EventSource(`/inbox/stream?after=${after}`);
stream.addEventListener("came", (event) => {
  const { head, new: count } = JSON.parse(event.data);
  if (head === after) return;
  isLost = false;
  show(count > 1 ? news.dataset.more.replace("{n}", count) : news.dataset.one, news.dataset.show);
});
stream.addEventListener("open", () => {
  clearTimeout(lost);
  if (isLost) news.replaceChildren(...before);
  isLost = false;
});
stream.addEventListener("error", () => {
  // A line that is back in a moment is nobody's trouble.
  clearTimeout(lost);
  lost = setTimeout(() => {
    if (isLost) return;
    before = [...news.childNodes];
    isLost = true;
    show(news.dataset.lost);
  }, SILENCE_MS);
});
addEventListener("pagehide", () => stream.close());

function show(words, link = null) {
  const told = document.createElement("p");
  told.className = "notice";
  told.append(words);
  if (link !== null) {
    const anchor = document.createElement("a");
    anchor.href = "/inbox";
    anchor.textContent = link;
    told.append(" ", anchor);
  }
  news.replaceChildren(told);
}
