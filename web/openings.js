// The list of openings.

import { languageButtons, moment } from "./words.js";

const WORDS = {
  en: { title: "Ticket openings", none: "There are no ticket openings now.", failed: "The list cannot be shown now. Please reload." },
  ko: { title: "예매 목록", none: "지금은 예매가 없습니다.", failed: "목록을 표시할 수 없습니다. 새로고침해 주세요." },
};
const $ = (id) => document.getElementById(id);

let tag = "en";
let openings = null;
let failed = false;

function row(opening) {
  const [item, link, when] = ["li", "a", "span"].map((name) => document.createElement(name));
  link.href = `/openings/${encodeURIComponent(opening.opening)}`;
  link.textContent = opening.title;
  when.textContent = moment(tag, Date.parse(opening.opens_at));
  link.append(when);
  item.append(link);
  return item;
}

function render() {
  const words = WORDS[tag];
  document.title = `${words.title} · usher`;
  $("title").textContent = words.title;
  $("none").hidden = !failed && (openings === null || openings.length > 0);
  $("none").textContent = failed ? words.failed : words.none;
  $("list").replaceChildren(...(openings ?? []).filter(({ state }) => state !== "closed").map(row));
}

languageButtons((chosen) => {
  tag = chosen;
  render();
});
try {
  const answer = await fetch("/v1/openings", { credentials: "omit" });
  openings = (await answer.json()).openings;
} catch {
  failed = true;
}
render();
