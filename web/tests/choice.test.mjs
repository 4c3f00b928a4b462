// The rules of choosing against a reckoning that tries everything, in the
// browser that will run them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DESKTOP, Service, launch, open, visitor } from "./service.mjs";

let service;
let browser;
let page;
before(async () => {
  [service, browser] = [await Service.start(), await launch()];
  page = await open(await visitor(browser, DESKTOP), `${service.base}/`);
});
after(async () => {
  await browser.close();
  await service.stop();
});

// Runs in the page: random halls of short rows with aisles, of which some
// seats are free. A line for each fault.
async function judge(halls) {
  const { Hall, middle, distance } = await import("/web/hall.js");
  const { alternative, orphans } = await import("/web/choice.js");
  const faults = [];
  for (let seed = 1; seed <= halls; seed++) faults.push(...judgeOne(seed));
  return faults;

  function judgeOne(seed) {
    let at = seed;
    const random = (below) => {
      at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((at / 2 ** 32) * below);
    };
    const row = (r) => {
      let x = 0;
      const seats = Array.from({ length: 2 + random(8) }, (_, s) => {
        x += s > 0 && random(5) === 0 ? 3 : 1;
        return { seat_guid: `${r}-${s}`, seat_number: `${s}`, position: { x, y: 0 }, category: random(4) === 0 ? "B" : "A" };
      });
      return { row_number: `${r}`, position: { x: 0, y: r }, seats };
    };
    const plan = { name: "Hall", categories: [{ name: "A" }, { name: "B" }], zones: [{ name: "", rows: Array.from({ length: 1 + random(4) }, (_, r) => row(r)) }] };
    const hall = new Hall({ seating: plan, details: { kinds: {}, blocked: {}, category_prices: {}, seat_prices: {} } });
    const free = new Set(hall.seats.filter(() => random(3) > 0));
    const isFree = (seat) => free.has(seat);
    const faults = [];

    // Blocks of free seats by where they stand, without the links of the hall.
    const blocks = (taken) => hall.rows.flatMap(({ seats }) => {
      const found = [];
      let last = null;
      for (const seat of seats) {
        const open = free.has(seat) && !taken.includes(seat);
        if (open && last && seat.x - last.x < hall.gap * 1.5) found.at(-1).push(seat);
        else if (open) found.push([seat]);
        last = open ? seat : null;
      }
      return found;
    });
    const singles = (taken) => blocks(taken).filter((block) => block.length === 1).map(([seat]) => seat);
    const before = new Set(singles([]));
    const left = (taken) => singles(taken).filter((seat) => !before.has(seat));

    const chosen = [...free].filter(() => random(3) === 0).slice(0, 4);
    const ids = (seats) => seats.map(({ id }) => id).sort().join(" ");
    if (ids(orphans(chosen, isFree)) !== ids(left(chosen))) faults.push(`${seed}: ${ids(chosen)} leaves ${ids(left(chosen))}, not ${ids(orphans(chosen, isFree))}`);

    const like = hall.seats.slice(random(hall.seats.length)).slice(0, 1 + random(3));
    const places = blocks([]).flatMap((block) => block.map((_, i) => block.slice(i, i + like.length))).filter(({ length }) => length === like.length);
    const cost = (seats) => distance(middle(seats), middle(like)) + hall.gap * (3 * left(seats).length + 4 * seats.filter(({ category }) => !like.some((wanted) => wanted.category === category)).length);
    const found = alternative(hall, like, isFree);
    const least = Math.min(...places.map(cost));
    if ((found === null) !== (places.length === 0)) faults.push(`${seed}: found ${found && ids(found)} of ${places.length}`);
    else if (found && Math.abs(cost(found) - least) > 1e-9) faults.push(`${seed}: ${ids(found)} costs ${cost(found)}, not ${least}`);
    return faults;
  }
}

test("single seats and the next best choice are what a reckoning over all choices says, in random halls", async () => {
  assert.deepEqual(await page.evaluate(judge, 2_000), []);
});
