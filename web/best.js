// "The best seats together": the server chooses them, in the moment in which
// it holds them.
//
// What a hold may say beyond its seats is looked up in the service's own
// description: an older one shows no button that it would not understand.

import { element, fill, say } from "./element.js";
import { Problem } from "./session.js";

const $ = (id) => document.getElementById(id);

export class Best {
  #known = {};
  #count = 2;
  #most = 1;

  /** `take` holds what is asked for: `{best: {count, category?, relax?}, wheelchair?}`. */
  constructor(session, { take, say: speak }) {
    Object.assign(this, { session, take, speak });
    $("best-fewer").addEventListener("click", () => this.#set(this.#count - 1));
    $("best-more").addEventListener("click", () => this.#set(this.#count + 1));
    $("best-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take();
    });
  }

  /** Asks what a hold may say. */
  async begin() {
    try {
      const { components } = await this.session.request("GET", "/openapi.json");
      this.#known = components.schemas.HoldBody.properties;
    } catch (problem) {
      if (!(problem instanceof Problem || problem instanceof TypeError)) throw problem;
    }
  }

  /** Whether a hold may say that somebody comes in a wheelchair. */
  get knowsWheelchairs() { return "wheelchair" in this.#known; }

  #set(count) {
    this.#count = Math.min(Math.max(count, 1), this.#most);
    this.#show();
  }

  #take(relax) {
    const category = $("best-category").value;
    const best = { count: this.#count, ...(category ? { category } : {}), ...(relax ? { relax } : {}) };
    const box = $("best-wheelchair");
    const wheelchair = box.checked && !box.parentElement.hidden;
    this.take({ best, ...(wheelchair ? { wheelchair } : {}) });
  }

  render({ words, hall, most, busy }) {
    Object.assign(this, { words });
    this.#most = most;
    $("best").hidden = !("best" in this.#known) || most === 0;
    if ($("best").hidden) return;
    this.#count = Math.min(this.#count, most);
    say($("best-title"), words.bestTitle);
    say($("best-count-label"), words.bestCount);
    say($("best-category-label"), words.bestCategory);
    $("best-fewer").lastElementChild.textContent = words.fewer;
    $("best-more").lastElementChild.textContent = words.more;
    $("best-take").setAttribute("aria-disabled", String(busy));
    const names = hall.categories.map(({ name }) => name).filter(Boolean);
    $("best-category").parentElement.hidden = names.length < 2;
    fill($("best-category"), [words.anyCategory, names], () => [
      element("option", { value: "", textContent: words.anyCategory }),
      ...names.map((name) => element("option", { value: name, textContent: name })),
    ]);
    const places = hall.seats.some(({ kind }) => kind === "wheelchair");
    $("best-wheelchair").parentElement.hidden = !places || !this.knowsWheelchairs;
    say($("best-wheelchair-label"), words.wheelchair);
    this.#show();
  }

  #show() {
    say($("best-count"), String(this.#count));
    say($("best-take"), this.words.best(this.#count));
    $("best-fewer").disabled = this.#count <= 1;
    $("best-more").disabled = this.#count >= this.#most;
  }

  /** No seats are as they should be: says what would have to be relaxed. */
  refused({ document: { would_do: relax } }) {
    const text = { single: this.words.bestSingle, split: this.words.bestSplit }[relax];
    if (!text) return false;
    const notice = $("seat-notice");
    say(notice, `${text} `);
    const button = element("button", { type: "button", textContent: this.words.bestAnyway, onclick: () => this.#take(relax) });
    notice.append(button);
    button.focus();
    return true;
  }
}
