// What a choice of seats would do, and what else could be chosen: pure, so
// that the page can say it before anything is sent.

import { distance, middle } from "./hall.js";

/** Places that are kept for those who need them. */
export const RESERVED = ["wheelchair", "companion"];

/** The free seats that a choice would leave with nobody beside them, though
 * they had a free neighbour before. `isFree` says what is free now. */
export function orphans(chosen, isFree) {
  const taken = new Set(chosen);
  const free = (seat) => seat !== null && isFree(seat) && !taken.has(seat);
  const beside = new Set(chosen.flatMap((seat) => [seat.before, seat.after]));
  return [...beside].filter((seat) => free(seat) && !free(seat.before) && !free(seat.after));
}

/** The seats side by side that are nearest to where `like` are, as many, all
 * free, none of them reserved for others; null when there are none. A choice
 * that leaves a single seat or costs something else comes later. */
export function alternative(hall, like, isFree) {
  const count = like.length;
  const wanted = middle(like);
  const categories = new Set(like.map((seat) => seat.category));
  const reserved = like.some((seat) => RESERVED.includes(seat.kind));
  const usable = (seat) => isFree(seat) && (reserved || !RESERVED.includes(seat.kind));
  let best = null;
  for (const first of hall.seats) {
    const seats = [];
    for (let seat = first; seat && seats.length < count && usable(seat); seat = seat.after) seats.push(seat);
    if (seats.length < count) continue;
    const other = seats.filter((seat) => !categories.has(seat.category)).length;
    const cost = distance(middle(seats), wanted)
      + hall.gap * (3 * orphans(seats, isFree).length + 4 * other);
    if (!best || cost < best.cost) best = { cost, seats };
  }
  return best?.seats ?? null;
}

/** What seats cost together, a sum for each currency; null when one has no price. */
export function total(seats) {
  const sums = new Map();
  for (const { price } of seats) {
    if (!price) return null;
    sums.set(price.currency, (sums.get(price.currency) ?? 0) + price.amount);
  }
  return [...sums].map(([currency, amount]) => ({ currency, amount }));
}
