// A usher of one's own, and a browser that looks at it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { chromium } from "playwright-core";

export const KEY = "an-operator-key-for-the-tests-of-pages";
const MERCHANT_KEY = "a-merchant-key-for-the-tests-of-pages-";
const BINARY = process.env.PAGES_BINARY ?? new URL("../../target/debug/usher", import.meta.url).pathname;
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
// Nothing of the browser's own goes out of the machine.
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const AXE = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const freePort = () => new Promise((done) => {
  const server = createServer();
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

/** A running `usher serve` with a data directory of its own. */
export class Service {
  static async start() {
    const service = new Service();
    service.dir = mkdtempSync(join(tmpdir(), "usher-pages-"));
    const port = await freePort();
    service.base = `http://127.0.0.1:${port}`;
    const env = { ...process.env, USHER_HTTP__LISTEN: `127.0.0.1:${port}`, USHER_DATA__DIR: service.dir, USHER_AUTH__OPERATOR_KEY: KEY, USHER_AUTH__MERCHANT_KEY: MERCHANT_KEY };
    service.child = spawn(BINARY, ["serve"], { env, stdio: ["ignore", "ignore", "pipe"] });
    let log = "";
    await new Promise((done, failed) => {
      service.child.stderr.on("data", (data) => {
        log += data;
        if (log.includes(" listening ")) done();
      });
      service.child.on("error", failed);
      service.child.on("exit", () => failed(new Error(`usher ended: ${log}`)));
    });
    return service;
  }

  async stop() {
    this.child.removeAllListeners("exit");
    const ended = new Promise((done) => this.child.on("exit", done));
    this.child.kill();
    await ended;
    rmSync(this.dir, { recursive: true });
  }

  /** The merchant's settlement of a payment. */
  settle(opening, hold) {
    const body = { hold, payment_reference: `paid-${hold}` };
    return this.operate("PUT", `${opening}/bookings/${randomUUID()}`, body, MERCHANT_KEY);
  }

  /** A command of an operator, or of who has another key. */
  async operate(method, path, body, key = KEY) {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "idempotency-key": randomUUID() };
    const answer = await fetch(`${this.base}/v1/openings/${path}`, { method, headers, body: JSON.stringify(body ?? {}) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** Schedules an opening of a name of its own that opens in so many seconds. */
  async schedule({ opensInS = 5, policy = {}, halls = {} } = {}) {
    const opening = `o-${randomUUID()}`;
    const at = (seconds) => new Date(Date.now() + seconds * 1_000).toISOString();
    const seats = ["G6", "G7", "G8"].map((guid) => ({ seat_guid: guid, category: "All" }));
    await this.operate("PUT", opening, {
      title: "Northern Lights: the concert film",
      opens_at: at(opensInS),
      closes_at: at(3_600),
      policy: { payment: "none", ...policy },
      plans: { hall: { name: "Hall", categories: [{ name: "All" }], zones: [{ rows: [{ row_number: "G", seats }] }] } },
      showings: [{ showing: "evening", title: "Evening", starts_at: at(86_400), plan: "hall" }],
      ...halls,
    });
    return opening;
  }
}

export const launch = () => chromium.launch({ executablePath: BROWSER, args: FLAGS });

export const PHONE = { viewport: { width: 390, height: 844 }, locale: "ko-KR" };
export const DESKTOP = { viewport: { width: 1280, height: 800 }, locale: "en-US" };

/** A browser of one visitor, whose pages must not fail. */
export async function visitor(browser, kind) {
  const context = await browser.newContext(kind);
  context.faults = [];
  context.on("weberror", (fault) => context.faults.push(fault.error().message));
  return context;
}

/** A page of the visitor's, once it shows something. */
export async function open(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Waits until the waiting room's page shows a scene. */
export const scene = (page, name) =>
  page.waitForFunction((name) => document.body.dataset.scene === name, name, { timeout: 45_000 });

/** What axe-core finds, a line each. The policy that keeps scripts out keeps
 * axe out too: it comes in by the debugger's door. */
export async function accessibilityFaults(page) {
  const client = await page.context().newCDPSession(page);
  const { frameTree } = await client.send("Page.getFrameTree");
  const { executionContextId } = await client.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id, worldName: "axe" });
  const run = `${AXE}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((found) => JSON.stringify(
    found.violations.flatMap((fault) => fault.nodes.map((node) => fault.id + ": " + node.html))))`;
  const { result, exceptionDetails } = await client.send("Runtime.evaluate", { expression: run, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
  await client.detach();
  return JSON.parse(result.value);
}

/** Closes the visitor's pages; none of them may have failed. */
export async function done(...contexts) {
  for (const context of contexts) {
    assert.deepEqual(context.faults, []);
    await context.close();
  }
}

/** Accessible, and no wider than the screen. */
export async function looksWell(page, name) {
  assert.deepEqual(await accessibilityFaults(page), [], name);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name} is ${overflow} px too wide`);
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
}
