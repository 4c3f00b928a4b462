// The seat page in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { twoHalls } from "./halls.mjs";
import { DESKTOP, PHONE, Service, done, launch, looksWell, open, scene, visitor } from "./service.mjs";

const TOUCH = { ...PHONE, hasTouch: true, isMobile: true };

let service;
let browser;
before(async () => {
  [service, browser] = [await Service.start(), await launch()];
});
after(async () => {
  await browser.close();
  await service.stop();
});

const seat = (page, id) => page.locator(`[data-seat="${id}"]`);
const state = (page, id, name) => page.waitForSelector(`[data-seat="${id}"][data-state="${name}"]`, { state: "attached" });
const says = (page, id, text) => page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);
const focused = (page, id) => page.waitForFunction((id) => document.activeElement?.dataset.seat === id, id);
const opensSeats = (policy = {}, halls = twoHalls()) => service.schedule({ opensInS: 2, policy, halls });

/** A visitor's page in the seat window, with the hall drawn. */
async function inside(context, opening, seat = "G7") {
  const page = await open(context, `${service.base}/openings/${opening}`);
  await page.click("#main-action");
  await scene(page, "turn");
  await page.click("#main-action");
  await scene(page, "inside");
  if (seat) await state(page, seat, "free");
  return page;
}

async function choose(page, ...ids) {
  for (const id of ids) {
    await seat(page, id).click();
    await state(page, id, "chosen");
  }
}

async function hold(page, ...ids) {
  await choose(page, ...ids);
  await page.click("#hold");
  for (const id of ids) await state(page, id, "mine");
}

/** What the service says of some seats, once it is that. */
async function told(opening, expected, showing = "evening") {
  const url = `${service.base}/v1/openings/${opening}/showings/${showing}/seats`;
  for (const give = Date.now() + 15_000; ;) {
    const { seats } = await (await fetch(url)).json();
    const known = Object.fromEntries(seats.filter(({ seat }) => seat in expected).map(({ seat, state }) => [seat, state]));
    if (isDeepStrictEqual(known, expected)) return;
    if (Date.now() > give) assert.deepEqual(known, expected);
    await new Promise((done) => setTimeout(done, 100));
  }
}

for (const [name, kind, said] of [
  ["desktop", DESKTOP, { held: "Held for you: G7 and G8", label: "row G, seat 7, Prime, ₩27,000, free", booked: "Your booking", own: "en", other: "ko" }],
  ["phone", TOUCH, { held: "맡아 둔 좌석: G7 및 G8", label: "G열 7번, Prime, ₩27,000, 선택 가능", booked: "예매 내역", own: "ko", other: "en" }],
]) {
  test(`from the seat window to the booking, on a ${name}`, async () => {
    const opening = await opensSeats();
    const context = await visitor(browser, kind);
    const page = await inside(context, opening);
    assert.equal(await seat(page, "G7").getAttribute("aria-label"), said.label);
    await looksWell(page, `seats-${name}`);
    await choose(page, "G7", "G8");
    await page.click(`[data-language=${said.other}]`);
    assert.notEqual(await seat(page, "G6").getAttribute("aria-label"), said.label.replace("7", "6"));
    await page.click(`[data-language=${said.own}]`);
    assert.equal(await seat(page, "G6").getAttribute("aria-label"), said.label.replace("7", "6"));
    assert.match(await page.textContent("#choice-total"), /54,000/);
    await looksWell(page, `seats-chosen-${name}`);
    await page.click("#hold");
    await state(page, "G7", "mine");
    assert.equal(await page.textContent("#held h3"), said.held);
    assert.match(await page.textContent("#held .countdown"), /^[45]:\d\d /);
    await looksWell(page, `seats-held-${name}`);
    await page.click("#held [name^=confirm]");
    await scene(page, "done");
    assert.equal(await page.textContent("#bookings h2"), said.booked);
    await looksWell(page, `seats-booked-${name}`);
    const reference = await page.textContent(".reference");
    assert.match(reference, /^[346789ACEFGHJKMNPQRTWXY]{3}-[346789ACEFGHJKMNPQRTWXY]{4}$/);
    await told(opening, { G6: "free", G7: "booked", G8: "booked" });
    await page.reload();
    await scene(page, "done");
    await says(page, "bookings", reference);
    await done(context);
  });
}

test("of two who want the same seats one gets them, and the other is told where, with the next best a click away", async () => {
  const opening = await opensSeats();
  const [ahead, behind] = [await visitor(browser, DESKTOP), await visitor(browser, TOUCH)];
  const [first, second] = [await inside(ahead, opening), await inside(behind, opening)];
  // What happens meanwhile comes to the second too late.
  await second.route(/\/seats(\?|$)/, (route) => route.abort());
  await second.route(/\/updates/, (route) => route.abort());
  await second.reload({ waitUntil: "commit" });
  await second.unroute(/\/seats(\?|$)/);
  await state(second, "G7", "free");
  await second.route(/\/seats(\?|$)/, (route) => route.abort());
  await choose(second, "G7", "G8");
  await hold(first, "G8", "G9");
  await second.click("#hold");
  await second.waitForSelector("#conflict:not([hidden])");
  assert.match(await second.textContent("#conflict"), /G8/);
  assert.doesNotMatch(await second.textContent("#conflict p"), /G7/);
  await state(second, "G8", "lost");
  assert.equal(await second.evaluate(() => document.activeElement?.name), "alternative");
  await looksWell(second, "seats-conflict-phone");
  await second.click("#conflict [name=alternative]");
  // Beside G7 there would be a single seat left.
  await state(second, "F7", "chosen");
  await second.waitForSelector("#conflict", { state: "hidden" });
  await second.click("#hold");
  await state(second, "F7", "mine");
  await told(opening, { F7: "held", F8: "held", G7: "free", G8: "held", G9: "held" });
  await done(ahead, behind);
});

test("a seat that somebody takes while one only thinks is gone at once, and free again when it is given back", async () => {
  const opening = await opensSeats();
  const [ahead, behind] = [await visitor(browser, DESKTOP), await visitor(browser, DESKTOP)];
  const [first, second] = [await inside(ahead, opening), await inside(behind, opening)];
  await choose(second, "G7", "G8");
  await hold(first, "G7");
  await state(second, "G7", "lost");
  await says(second, "conflict", "G7");
  await looksWell(second, "seats-lost-desktop");
  assert.equal(await seat(second, "G7").getAttribute("aria-disabled"), "true");
  await seat(second, "G7").click({ force: true });
  await says(second, "seat-live", "row G, seat 7 is");
  await state(second, "G7", "held");
  await first.click("#held [name^=release]");
  await state(first, "G7", "free");
  await state(second, "G7", "free");
  await done(ahead, behind);
});

test("everything up to the booking can be done with the keyboard", async () => {
  const opening = await opensSeats();
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  const tabTo = async (selector) => {
    for (let i = 0; i < 25; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
    }
    assert.fail(`${selector} cannot be reached`);
  };
  const go = async (key, id) => {
    await page.keyboard.press(key);
    await focused(page, id);
  };
  await tabTo("[data-seat]");
  await go("Home", "H1");
  await go("ArrowUp", "G1");
  await go("ArrowRight", "G2");
  await go("End", "G18");
  await go("ArrowRight", "G18");
  await go("ArrowDown", "H18");
  await go("PageUp", "A18");
  await go("PageDown", "L18");
  await go("ArrowLeft", "L17");
  await page.keyboard.press("Space");
  await state(page, "L17", "chosen");
  await says(page, "seat-live", "row L, seat 17 chosen, 1 in all.");
  await go("ArrowRight", "L18");
  await page.keyboard.press("Enter");
  await state(page, "L18", "chosen");
  assert.equal(await seat(page, "L18").getAttribute("aria-selected"), "true");
  await page.keyboard.press("Space");
  await state(page, "L18", "free");
  await page.keyboard.press("Space");
  // One Tab leaves the whole plan.
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.dataset.seat), undefined);
  await tabTo("#hold");
  await page.keyboard.press("Enter");
  await state(page, "L18", "mine");
  await page.waitForFunction(() => document.activeElement?.matches("#held h3"));
  await tabTo("[name^=confirm]");
  await page.keyboard.press("Enter");
  await scene(page, "done");
  await page.waitForFunction(() => document.activeElement?.matches("#bookings h2"));
  await done(context);
});

/** Whether the service's holds may say this. */
async function offers(field) {
  const { components } = await (await fetch(`${service.base}/openapi.json`)).json();
  return field in components.schemas.HoldBody.properties;
}

test("the best seats together are held with one click, and what would have to give way is asked about", async (t) => {
  if (!await offers("best")) return t.skip("this usher does not choose seats");
  const opening = await opensSeats({ max_seats: 8 });
  const context = await visitor(browser, TOUCH);
  const page = await inside(context, opening);
  await looksWell(page, "seats-best-phone");
  await page.click("#best-more");
  await page.selectOption("#best-category", "Standard");
  await page.click("#best-take");
  await page.waitForFunction(() => document.querySelectorAll("#map [data-state=mine]").length === 3);
  const mine = await page.locator("#map [data-state=mine]").evaluateAll((seats) => seats.map((seat) => seat.dataset.seat));
  assert.ok(mine.every((seat) => /^[JKL]/.test(seat)), mine);
  await page.check("input[value=late]", { force: true });
  await state(page, "D6", "free");
  await page.selectOption("#best-category", "");
  for (let i = 0; i < 2; i++) await page.click("#best-more");
  await page.click("#best-take");
  // Five of six in a row leave one.
  await says(page, "seat-notice", "한 자리가 홀로 남습니다");
  await page.click("#seat-notice button");
  await page.waitForFunction(() => document.querySelectorAll("#map [data-state=mine]").length === 5);
  await page.waitForSelector("#best", { state: "hidden" });
  await done(context);
});

test("the best seats for who comes in a wheelchair are a place for it and those beside it", async (t) => {
  if (!await offers("wheelchair")) return t.skip("this usher keeps no places");
  const opening = await opensSeats();
  const context = await visitor(browser, TOUCH);
  const page = await inside(context, opening);
  await page.check("#best-wheelchair");
  await looksWell(page, "seats-best-wheelchair-phone");
  await page.click("#best-take");
  await state(page, "L1", "mine");
  await state(page, "L2", "mine");
  // The small hall has no such place.
  await page.check("input[value=late]", { force: true });
  await state(page, "D6", "free");
  assert.equal(await page.isHidden("#best-wheelchair"), true);
  await done(context);
});

test("what the house keeps is not for sale on the page", async () => {
  const opening = await opensSeats();
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  await state(page, "A3", "blocked");
  await state(page, "A4", "free");
  await choose(page, "A4");
  await seat(page, "A3").click({ force: true });
  assert.equal(await page.locator("#map [data-state=chosen]").count(), 1);
  await done(context);
});

test("a rule about seats is told where it stands against a choice, and who comes in a wheelchair says so", async (t) => {
  if (!await offers("wheelchair")) return t.skip("this usher keeps no places");
  const opening = await opensSeats({ no_single_seat: true, wheelchair_until_s: 60, companion_with_wheelchair: true });
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  await choose(page, "G2", "G3");
  await page.click("#hold");
  await says(page, "conflict", "a single empty seat would be left: G1 and G4");
  await looksWell(page, "seats-rule-desktop");
  await page.click("#conflict [name=alternative]");
  assert.equal(await page.locator("#map [data-state=chosen]").count(), 2);
  for (const id of await page.locator("#map [data-state=chosen]").evaluateAll((seats) => seats.map((seat) => seat.dataset.seat))) await seat(page, id).click();
  await choose(page, "L1", "L2");
  await page.click("#hold");
  await says(page, "conflict", "kept for people who come in a wheelchair");
  await page.check("#wheelchair");
  await page.click("#hold");
  await state(page, "L1", "mine");
  await done(context);
});

test("a choice that leaves a single seat is warned of before it is sent, with a better one a click away", async () => {
  const opening = await opensSeats();
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  await choose(page, "G2", "G3");
  await page.waitForSelector("#orphan:not([hidden])");
  assert.match(await page.textContent("#orphan"), /G1 and G4/);
  await looksWell(page, "seats-orphan-desktop");
  await page.click("#orphan [name=instead]");
  await state(page, "G3", "free");
  await state(page, "G1", "chosen");
  assert.equal(await page.isHidden("#orphan"), true);
  assert.equal(await page.locator("#map [data-state=chosen]").count(), 2);
  await done(context);
});

test("where the merchant confirms, the page waits for the payment and shows the booking by itself", async () => {
  const opening = await opensSeats({ payment: "merchant" });
  const context = await visitor(browser, { ...DESKTOP, colorScheme: "dark", permissions: ["clipboard-read", "clipboard-write"] });
  const page = await inside(context, opening);
  await hold(page, "G7", "G8");
  assert.equal(await page.locator("[name^=confirm]").count(), 0);
  await says(page, "held", "Waiting for the payment");
  await page.click("#held summary");
  await page.click("#held [name^=copy]");
  await says(page, "held", "Copied");
  const handed = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assert.deepEqual([handed.opening, handed.hold], [opening, await page.textContent("#held code")]);
  assert.equal(JSON.parse(atob(handed.pass.split(".")[1])).aud, opening);
  assert.ok(!(await page.content()).includes(handed.pass), "the pass is not shown");
  await looksWell(page, "seats-payment-dark");
  await service.settle(opening, handed.hold);
  await scene(page, "done");
  await says(page, "bookings", "G7 and G8");
  await done(context);
});

test("a reload keeps what is held, and a hold whose answer was lost is found again", async () => {
  const opening = await opensSeats();
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  await page.route(/\/holds\//, async (route) => {
    await route.fetch();
    await route.abort();
  });
  await choose(page, "G7", "G8");
  await page.click("#hold");
  await page.waitForSelector("#trouble:not([hidden])");
  await page.unroute(/\/holds\//);
  await page.reload();
  await state(page, "G7", "mine");
  await state(page, "G8", "mine");
  assert.equal(await page.locator("#held h3").count(), 1);
  await page.click("#held [name^=extend]");
  await page.waitForSelector("#held [name^=extend]", { state: "detached" });
  assert.match(await page.textContent("#held .countdown"), /^(9:\d\d|10:00) /);
  await done(context);
});

test("a hold that runs out is told, and its seats are free again", async () => {
  const opening = await opensSeats({ hold_for_s: 5 });
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  await hold(page, "G7");
  await says(page, "seat-notice", "Your time to book G7 is over");
  await state(page, "G7", "free");
  assert.equal(await page.locator("#held h3").count(), 0);
  await done(context);
});

test("nobody chooses more than they may have, and what leaves is asked about while something is held", async () => {
  const opening = await opensSeats({ max_seats: 2 });
  const context = await visitor(browser, DESKTOP);
  const page = await inside(context, opening);
  await choose(page, "G7", "G8");
  await seat(page, "G9").click();
  await says(page, "seat-notice", "You may have 2 seats at most");
  await state(page, "G9", "free");
  await page.click("#chosen [name=remove-G8]");
  await state(page, "G8", "free");
  await page.click("#hold");
  await state(page, "G7", "mine");
  await page.click("#main-action");
  await page.waitForSelector("#confirm-leave[open]");
  await page.click("#confirm-stay");
  await scene(page, "inside");
  await page.click("#main-action");
  await page.click("#confirm-go");
  await scene(page, "left");
  await told(opening, { G7: "free" });
  await done(context);
});

test("another showing has its own hall, and a plan that says not where its seats stand is drawn all the same", async () => {
  const halls = twoHalls();
  halls.plans.small.zones[0].rows.forEach((row) => row.seats.forEach((seat) => delete seat.position));
  halls.plans.small.zones[0].rows.forEach((row) => delete row.position);
  const opening = await opensSeats({}, halls);
  const context = await visitor(browser, TOUCH);
  const page = await inside(context, opening);
  await page.check("input[value=late]", { force: true });
  await page.waitForSelector("[data-seat=G7]", { state: "detached" });
  await state(page, "D6", "free");
  const [a, b] = [await seat(page, "A1").boundingBox(), await seat(page, "B2").boundingBox()];
  assert.ok(b.x > a.x && b.y > a.y);
  await hold(page, "B2");
  await told(opening, { B2: "held" }, "late");
  await looksWell(page, "seats-small-phone");
  await done(context);
});

test("on a phone a seat is large enough to be pointed at, and in the whole hall one points to see it nearer", async () => {
  const opening = await opensSeats();
  const context = await visitor(browser, TOUCH);
  const page = await inside(context, opening);
  const apart = async () => (await seat(page, "G8").boundingBox()).x - (await seat(page, "G7").boundingBox()).x;
  assert.ok(await apart() >= 24, `${await apart()} px`);
  await page.tap("#zoom-whole");
  const box = await page.locator("#map").boundingBox();
  const last = await seat(page, "L18").boundingBox();
  assert.ok(last.x + last.width <= box.x + box.width, "the whole hall is seen");
  await looksWell(page, "seats-whole-phone");
  const { x, y } = await seat(page, "D15").boundingBox();
  await page.touchscreen.tap(x + 3, y + 3);
  await page.waitForFunction(() => document.querySelector("[data-seat=D15]").getBoundingClientRect().width > 20);
  assert.equal(await page.locator("#map [data-state=chosen]").count(), 0);
  await seat(page, "D15").tap();
  await state(page, "D15", "chosen");
  await done(context);
});
