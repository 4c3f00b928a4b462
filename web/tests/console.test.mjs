// The operator's console in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DESKTOP, KEY, PHONE, Service, accessibilityFaults, launch, open, visitor } from "./service.mjs";

let service;
let browser;
before(async () => {
  [service, browser] = [await Service.start(), await launch()];
});
after(async () => {
  await browser.close();
  await service.stop();
});

async function signIn(page, key) {
  await page.fill("#key", key);
  await page.press("#key", "Enter");
}

const state = (page, name) => page.waitForFunction((name) => document.getElementById("state").dataset.state === name, name);

test("an operator signs in, pauses, changes the policy, and reads who did it", async () => {
  await service.schedule({ opensInS: 1, policy: { capacity: 5 } });
  const context = await visitor(browser, DESKTOP);
  const page = await open(context, `${service.base}/console`);
  assert.deepEqual(await accessibilityFaults(page), []);
  await signIn(page, "a-key-that-nobody-knows-a-key-that-nobody-knows");
  await page.waitForSelector("#trouble:not([hidden])");
  await signIn(page, KEY);
  await state(page, "open");
  await page.click("[data-does=pause]");
  await state(page, "paused");
  await page.fill("#capacity", "7");
  await page.click("#policy button");
  await page.waitForFunction(() => document.getElementById("occupancy-text").textContent.includes("of 7"));
  await page.click("[data-does=resume]");
  await state(page, "open");
  await page.waitForFunction(() => document.getElementById("acts").rows[0]?.cells[2].textContent === "OpeningResumed");
  const acts = await page.locator("#acts tr").allTextContents();
  assert.equal(acts.length, 4, acts.join("\n"));
  assert.match(acts[1], /operator.*PolicyChanged: capacity 7/);
  assert.deepEqual(await accessibilityFaults(page), []);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, document.documentElement.outerHTML]));
  assert.ok(!kept.includes(KEY), "the key is kept nowhere");
  assert.deepEqual(context.faults, []);
  await context.close();
});

test("what cannot be taken back is asked for twice, on a phone in Korean too", async () => {
  const opening = await service.schedule({ opensInS: 1 });
  const context = await visitor(browser, PHONE);
  const page = await open(context, `${service.base}/console`);
  await signIn(page, KEY);
  await page.waitForSelector("#opening:not([hidden])");
  for (const button of await page.locator("#openings button").all()) {
    if (await button.locator("[data-state=open], [data-state=scheduled]").count()) await button.click();
  }
  await page.click("[data-does=close]");
  await page.waitForSelector("#sure[open]");
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#sure", { state: "hidden" });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${overflow} px too wide`);
  const { state } = await (await fetch(`${service.base}/v1/openings/${opening}`)).json();
  assert.notEqual(state, "closed");
  assert.deepEqual(context.faults, []);
  await context.close();
});
