// The panels beside the hall: the showings, the legend, the choice, what is
// held, the bookings. Each is made of what it shows, and only when that
// changes.

import { total } from "./choice.js";
import { element, fill, say } from "./element.js";
import { sample } from "./seat-map.js";
import { list, money } from "./seat-words.js";
import { clock, moment } from "./words.js";

const $ = (id) => document.getElementById(id);
const button = (name, text, onclick, properties = {}) => element("button", { type: "button", name, textContent: text, onclick, ...properties });

/** What seats cost together, as text; null when it is not known. */
export function cost(language, seats) {
  const sums = total(seats);
  return sums && sums.length > 0 ? sums.map((sum) => money(language, sum)).join(" + ") : null;
}

const names = (language, seats) => list(language, seats.map(({ label }) => label));

export function showings({ words, tag, status, chosen, choose }) {
  say($("showings-title"), words.showing);
  fill($("showing-choices"), [tag, status.showings, chosen], () => status.showings.map(({ showing, title, starts_at: startsAt }) => element(
    "label", {},
    element("input", { type: "radio", name: "showing", value: showing, checked: showing === chosen, onchange: () => choose(showing) }),
    element("span", {}, title, element("small", { textContent: moment(tag, Date.parse(startsAt)) })),
  )));
}

export function legend({ words, tag, hall }) {
  const line = (picture, text, also) => element("li", {}, picture, element("span", {}, text, also ? element("small", { textContent: also }) : null));
  const kinds = [...new Set(hall.seats.map(({ kind }) => kind))].filter(Boolean);
  const states = ["chosen", "mine", "held", "booked"];
  const used = new Set(hall.seats.map(({ category }) => category));
  fill($("categories"), [tag, hall.name], () => [...used].sort((a, b) => a - b).map((i) => {
    const { name, price } = hall.categories[i];
    return line(sample(hall, i), name || words.states.free, price && money(tag, price));
  }));
  fill($("legend-list"), [tag, hall.name], () => [
    ...states.map((state) => line(sample(hall, 0, state), words.states[state])),
    ...kinds.map((kind) => line(sample(hall, 0, "free", kind), words.kinds[kind])),
  ]);
  say($("legend-title"), words.legend);
}

/** What is chosen and not yet held. */
export function choice({ words, tag, chosen, orphans, instead, most, busy, asksWheelchair, remove, take, hold }) {
  say($("choice-title"), words.choice);
  fill($("chosen"), [tag, chosen.map(({ id }) => id)], () => chosen.map((seat) => element("li", {}, button(
    `remove-${seat.id}`, `${seat.label} ×`, () => remove(seat), { class: "chip", "aria-label": words.remove(seat.label) },
  ))));
  say($("choice-empty"), chosen.length > 0 ? null : most > 0 ? words.nothing(most) : words.enough(0));
  const sum = cost(tag, chosen);
  say($("choice-total"), chosen.length > 0 && sum ? `${words.total} ${sum}` : null);
  $("wheelchair").parentElement.hidden = !asksWheelchair;
  say($("wheelchair-label"), words.wheelchair);
  const warned = orphans.length > 0;
  $("orphan").hidden = !warned;
  fill($("orphan"), [tag, orphans.map(({ id }) => id), instead?.map(({ id }) => id)], () => (warned ? [
    element("p", { textContent: words.orphan(names(tag, orphans)) }),
    instead && button("instead", words.instead(names(tag, instead)), () => take(instead)),
  ].filter(Boolean) : []));
  const send = $("hold");
  send.hidden = chosen.length === 0;
  send.setAttribute("aria-disabled", String(busy));
  say(send, chosen.length === 0 ? null : busy ? words.holding : words.hold(chosen.length));
  send.onclick = hold;
}

/** Why seats could not be had: taken by others, or kept by a rule. And what
 * could be had instead. */
export function clash({ words, tag, clash: { rule = null, seats = [], instead = null }, take }) {
  const shown = seats.length > 0;
  const why = words.rules[rule] ?? words.taken;
  $("conflict").hidden = !shown;
  fill($("conflict"), [tag, rule, seats.map(({ id }) => id), instead?.map(({ id }) => id)], () => (shown ? [
    element("p", { textContent: why(names(tag, seats)) }),
    instead
      ? button("alternative", words.instead(names(tag, instead)), () => take(instead), { class: "main" })
      : element("p", { textContent: words.noAlternative }),
  ] : []));
}

/** What is held, each with its time. `hallOf` gives the hall of a showing, if
 * it is drawn already. */
export function held({ words, tag, holds, status, now, busy, hallOf, acts }) {
  const { payment, max_extensions: maxExtensions } = status.rules;
  const merchant = payment === "merchant";
  const known = holds.map(({ hold, seats, extensions, showing, expiresAt }) => [hold, seats, extensions, showing, expiresAt, Boolean(hallOf(showing))]);
  fill($("held"), [tag, known, busy, payment], () => holds.map((kept) => {
    const seats = hallOf(kept.showing)?.seatsOf(kept.seats) ?? [];
    const sum = cost(tag, seats);
    const title = status.showings.find(({ showing }) => showing === kept.showing)?.title ?? kept.showing;
    const extend = kept.extensions < maxExtensions;
    return element(
      "section", { class: "panel held", "aria-labelledby": `held-${kept.hold}`, "data-hold": kept.hold },
      element("h3", { id: `held-${kept.hold}`, tabIndex: -1 }, `${words.heldTitle}: ${seats.length > 0 ? names(tag, seats) : list(tag, kept.seats)}`),
      element("p", { class: "small", textContent: [title, sum && `${words.total} ${sum}`].filter(Boolean).join(" · ") }),
      element("p", { class: "countdown" }, element("strong", { "data-until": kept.expiresAt }), ` ${words.heldLeft}`),
      merchant ? payment_(words, kept, acts) : null,
      element(
        "p", { class: "actions" },
        merchant ? null : button(`confirm-${kept.hold}`, busy ? words.confirming : words.confirm, () => acts.confirm(kept), { class: "main", "aria-disabled": String(busy) }),
        extend ? button(`extend-${kept.hold}`, words.extend, () => acts.extend(kept)) : null,
        button(`release-${kept.hold}`, words.release, () => acts.release(kept), { class: "quiet" }),
      ),
    );
  }));
  for (const time of $("held").querySelectorAll("[data-until]")) say(time, clock(Date.parse(time.dataset.until) - now));
}

// Where the merchant confirms, the page waits for it, and hands over what the
// merchant's site needs.
function payment_(words, kept, acts) {
  return element(
    "div", { class: "payment" },
    element("h4", { textContent: words.payTitle }),
    element("p", { textContent: words.payText }),
    element("p", { class: "waiting", textContent: words.payWaiting }),
    element(
      "details", {},
      element("summary", { textContent: words.shop }),
      element("p", { class: "small", textContent: words.shopText }),
      element("p", { class: "small" }, `${words.shopHold} `, element("code", { textContent: kept.hold })),
      button(`copy-${kept.hold}`, words.copy, (event) => acts.copy(kept, event.currentTarget)),
    ),
  );
}

/** What is booked. */
export function bookings({ words, tag, booked, status, hallOf }) {
  const area = $("bookings");
  area.hidden = booked.length === 0;
  const known = booked.map(({ booking: { booking, state, reference }, seats, showing }) => [booking, state, reference, seats, Boolean(hallOf(showing))]);
  return fill(area, [tag, known, status.showings], () => booked.map(({ booking, showing, seats: ids }) => {
    const shown = status.showings.find((other) => other.showing === showing);
    const hall = hallOf(showing);
    const seats = hall?.seatsOf(ids) ?? [];
    const sum = cost(tag, seats);
    const cancelled = booking.state === "cancelled";
    const facts = [
      [words.where, shown?.title ?? showing],
      shown && [words.when, moment(tag, Date.parse(shown.starts_at))],
      [words.seats, list(tag, seats.length > 0 ? seats.map(({ label }) => label) : ids)],
      sum && [words.total, sum],
    ].filter(Boolean);
    return element(
      "section", { class: "card booking", "aria-labelledby": `booking-${booking.booking}` },
      element("h2", { id: `booking-${booking.booking}`, tabIndex: -1, textContent: cancelled ? words.cancelled : words.bookedTitle }),
      element("p", { class: "figure-label", textContent: words.reference }),
      element("p", { class: "reference", textContent: referenceOf(booking) }),
      element("dl", { class: "facts" }, ...facts.map(([term, value]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: value })))),
    );
  }));
}

/** What people read out: the booking's own, else the beginning of its id. */
function referenceOf({ reference, booking }) {
  return reference ?? booking.slice(0, 8).toUpperCase();
}
