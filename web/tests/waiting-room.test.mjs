// The waiting room's page in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DESKTOP, PHONE, Service, accessibilityFaults, done, launch, looksWell, open, scene, visitor } from "./service.mjs";

let service;
let browser;
before(async () => {
  [service, browser] = [await Service.start(), await launch()];
});
after(async () => {
  await browser.close();
  await service.stop();
});

const at = (opening) => `${service.base}/openings/${opening}`;
const join = (page) => page.click("#main-action");

test("from the lobby to the seat window, on a phone in Korean and on a desktop in English", async () => {
  const opening = await service.schedule({ opensInS: 15, policy: { capacity: 1 } });
  const visitors = { phone: await visitor(browser, PHONE), desktop: await visitor(browser, DESKTOP) };
  const pages = {};
  for (const [name, context] of Object.entries(visitors)) {
    pages[name] = await open(context, at(opening));
    await scene(pages[name], "before");
    await looksWell(pages[name], `before-${name}`);
    await join(pages[name]);
    await scene(pages[name], "lobby");
    await looksWell(pages[name], `lobby-${name}`);
  }
  assert.equal(await pages.phone.textContent("#headline"), "대기실에 입장했습니다");
  assert.equal(await pages.desktop.textContent("#headline"), "You are in the lobby");
  // The draw says who is first.
  const first = await Promise.any(Object.keys(pages).map(async (name) => {
    await scene(pages[name], "turn");
    return name;
  }));
  const second = first === "phone" ? "desktop" : "phone";
  await scene(pages[second], "waiting");
  for (const name of [first, second]) {
    await pages[name].waitForFunction(() => /checked the draw|추첨을 확인했습니다/.test(document.getElementById("draw-check").textContent));
    await looksWell(pages[name], `${name === first ? "turn" : "waiting"}-${name}`);
  }
  assert.equal(await pages[second].textContent("#figure"), "1");
  await join(pages[first]);
  await scene(pages[first], "inside");
  await looksWell(pages[first], `inside-${first}`);
  // Who leaves makes room at once.
  await pages[first].click("#main-action");
  await scene(pages[first], "left");
  await scene(pages[second], "turn");
  await done(...Object.values(visitors));
});

test("a reload and a second tab keep the place", async () => {
  const opening = await service.schedule({ opensInS: 4, policy: { capacity: 1 } });
  const [ahead, context] = [await visitor(browser, DESKTOP), await visitor(browser, PHONE)];
  const first = await open(ahead, at(opening));
  await join(first);
  await scene(first, "turn");
  const page = await open(context, at(opening));
  await scene(page, "open");
  await join(page);
  await scene(page, "waiting");
  const number = () => page.locator("#facts dd").last().textContent();
  const before = await number();
  await page.reload();
  await scene(page, "waiting");
  assert.equal(await number(), before);
  const tab = await open(context, at(opening));
  await scene(tab, "waiting");
  assert.equal(await tab.locator("#facts dd").last().textContent(), before);
  const { waiting } = await (await fetch(`${service.base}/v1/openings/${opening}`)).json();
  assert.equal(waiting, 1, "one visitor, however many tabs");
  await done(ahead, context);
});

test("a lost network is told and changes nothing", async () => {
  const opening = await service.schedule({ opensInS: 4, policy: { capacity: 1 } });
  const [ahead, context] = [await visitor(browser, DESKTOP), await visitor(browser, DESKTOP)];
  const first = await open(ahead, at(opening));
  await join(first);
  await scene(first, "turn");
  const page = await open(context, at(opening));
  await scene(page, "open");
  await join(page);
  await scene(page, "waiting");
  await context.setOffline(true);
  await page.waitForSelector("#trouble:not([hidden])");
  assert.match(await page.textContent("#trouble"), /Your place is kept/);
  assert.equal(await page.getAttribute("body", "data-scene"), "waiting");
  await context.setOffline(false);
  await page.waitForSelector("#trouble", { state: "hidden" });
  await first.click("#main-action");
  await scene(first, "inside");
  await first.click("#main-action");
  await scene(page, "turn");
  await done(ahead, context);
});

test("who misses the turn with the page closed is back in the old place with the page open", async () => {
  const opening = await service.schedule({ opensInS: 4, policy: { capacity: 1, enter_within_s: 5, misses: 3 } });
  const context = await visitor(browser, DESKTOP);
  let page = await open(context, at(opening));
  await join(page);
  await scene(page, "turn");
  await page.close();
  const away = async () => (await (await fetch(`${service.base}/v1/openings/${opening}`)).json()).away;
  for (const give = Date.now() + 60_000; await away() === 0;) {
    assert.ok(Date.now() < give, "the admission never ran out");
    await new Promise((done) => setTimeout(done, 200));
  }
  page = await open(context, at(opening));
  await scene(page, "turn");
  await done(context);
});

test("everything can be done with the keyboard", async () => {
  const opening = await service.schedule({ opensInS: 4, policy: { capacity: 1 } });
  const context = await visitor(browser, DESKTOP);
  const page = await open(context, at(opening));
  await scene(page, "before");
  const press = async (id) => {
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((id) => document.activeElement?.id === id, id)) return page.keyboard.press("Enter");
    }
    assert.fail(`${id} cannot be reached`);
  };
  await press("main-action");
  await scene(page, "turn");
  await press("leave");
  await page.waitForSelector("#confirm-leave[open]");
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#confirm-leave", { state: "hidden" });
  await scene(page, "turn");
  await press("main-action");
  await scene(page, "inside");
  await done(context);
});

test("paused, draining, closed, full and missing openings say so", async () => {
  const context = await visitor(browser, DESKTOP);
  const ahead = await visitor(browser, DESKTOP);
  const opening = await service.schedule({ opensInS: 2, policy: { capacity: 1, max_tickets: 2 } });
  const first = await open(ahead, at(opening));
  await join(first);
  await scene(first, "turn");
  const page = await open(context, at(opening));
  await scene(page, "open");
  await join(page);
  await scene(page, "waiting");
  await service.operate("PUT", `${opening}/message`, { message: "A short break." });
  await service.operate("POST", `${opening}/pause`);
  await scene(page, "paused");
  await page.waitForFunction(() => document.getElementById("message").textContent === "A short break.");
  await looksWell(page, "paused-desktop");
  const late = await visitor(browser, PHONE);
  const full = await open(late, at(opening));
  await scene(full, "open");
  await join(full);
  await scene(full, "full");
  await looksWell(full, "full-phone");
  await service.operate("POST", `${opening}/drain`);
  await full.reload();
  await scene(full, "draining");
  await service.operate("POST", `${opening}/close`);
  await scene(page, "closed");
  await looksWell(page, "closed-desktop");
  await scene(await open(late, at("nowhere")), "missing");
  await done(ahead, context, late);
});

test("an old answer that comes late undoes nothing", async () => {
  const context = await visitor(browser, PHONE);
  const opening = await service.schedule({ opensInS: 1 });
  const page = await context.newPage();
  let deliver;
  const late = new Promise((resolve) => (deliver = resolve));
  await page.route(`**/v1/openings/${opening}`, async (route) => {
    const old = await route.fetch();
    await late;
    await route.fulfill({ response: old });
  });
  await page.goto(at(opening));
  await scene(page, "open");
  await service.operate("POST", `${opening}/close`);
  await scene(page, "closed");
  const answer = page.waitForResponse((answer) => answer.url().endsWith(opening));
  deliver();
  await (await answer).finished();
  await page.evaluate(() => new Promise((shown) => requestAnimationFrame(() => setTimeout(shown))));
  assert.equal(await page.evaluate(() => document.body.dataset.scene), "closed");
  await done(context);
});

test("nobody else's script gets into the page", async () => {
  const context = await visitor(browser, DESKTOP);
  const page = await open(context, `${service.base}/`);
  const inline = page.evaluate(() => document.body.setAttribute("onclick", "document.title = 'taken'"));
  await assert.rejects(inline, /TrustedScript/);
  const refused = new Promise((done) => page.on("console", (line) => /Content Security Policy/.test(line.text()) && done(line.text())));
  await page.evaluate(() => {
    const image = document.createElement("img");
    image.src = "http://127.0.0.1:1/elsewhere.png";
    document.body.append(image);
  });
  assert.match(await refused, /img-src/);
  await done(context);
});
