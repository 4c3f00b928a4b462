// The seat page in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { twoHalls } from "./halls.mjs";
import { DESKTOP, PHONE, Service, done, launch, looksWell, open, scene, visitor } from "./service.mjs";

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
const opensSeats = (policy = {}) => service.schedule({ opensInS: 2, policy, halls: twoHalls() });

/** A visitor's page in the seat window, with the hall drawn. */
async function inside(context, opening) {
  const page = await open(context, `${service.base}/openings/${opening}`);
  await page.click("#main-action");
  await scene(page, "turn");
  await page.click("#main-action");
  await scene(page, "inside");
  await state(page, "G7", "free");
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

for (const [name, kind, said] of [
  ["desktop", DESKTOP, { held: "Held for you: G7 and G8", total: /54,000/, booked: "Your seats are booked", label: "row G, seat 7, Prime, ₩27,000, free" }],
  ["phone", PHONE, { held: "맡아 둔 좌석: G7 및 G8", total: /54,000/, booked: "예매가 완료되었습니다", label: "G열 7번, Prime, ₩27,000, 선택 가능" }],
]) {
  test(`from the seat window to the booking, on a ${name}`, async () => {
    const opening = await opensSeats();
    const context = await visitor(browser, kind);
    const page = await inside(context, opening);
    assert.equal(await seat(page, "G7").getAttribute("aria-label"), said.label);
    await looksWell(page, `seats-${name}`);
    await choose(page, "G7", "G8");
    assert.match(await page.textContent("#choice-total"), said.total);
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
    assert.match(reference, /^[0-9A-Z-]{6,}$/);
    await page.reload();
    await scene(page, "done");
    await page.waitForFunction((known) => document.querySelector(".reference")?.textContent === known, reference);
    await done(context);
  });
}
