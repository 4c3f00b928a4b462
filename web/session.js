// A visitor's place in one opening: the secret, the ticket, and the requests.
//
// The secret stays on this device, one for each opening, shared by its tabs:
// a reload or a second tab is the same visitor. It travels only in the
// `Authorization` header.

const TIMEOUT_MS = 15_000;

/** An answer that is no success: a problem document, or nobody answered. */
export class Problem extends Error {
  constructor(status, document, retryAfterS) {
    super(document?.title ?? "no answer");
    this.status = status;
    this.kind = (document?.type ?? "").replace("urn:usher:problem:", "");
    this.document = document ?? {};
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may do better later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const bytesOf = (secret) =>
  Uint8Array.from(atob(secret.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** SHA-256 of the secret's 32 bytes: public, and never a right. */
export async function ticketOf(secret) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(secret))));
}

// Where storage is forbidden the place lasts as long as the page.
function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Kept by the page itself.
  }
}

/** Waits, or less when `signal` says so. */
export function pause(ms, signal) {
  return new Promise((done) => {
    if (signal?.aborted) return done();
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}

/** A number of milliseconds, spread by a fifth so that not all come at once. */
export const spread = (ms) => ms * (0.9 + Math.random() * 0.2);

export class Session {
  constructor(opening) {
    this.opening = opening;
    this.base = `/v1/openings/${encodeURIComponent(opening)}`;
    this.key = `usher:${opening}`;
    /** Server time minus this device's, in milliseconds. */
    this.clockOffsetMs = 0;
  }

  /** Finds this device's secret, or makes one; of two tabs that start at
   * once, both use the one that was stored last. */
  async begin() {
    let secret = stored(this.key);
    /** Whether this device has been here before, and may have a ticket. */
    this.known = secret !== null;
    if (!/^[A-Za-z0-9_-]{43}$/.test(secret ?? "")) {
      store(this.key, base64url(crypto.getRandomValues(new Uint8Array(32))));
      await pause(50);
      secret = stored(this.key) ?? base64url(crypto.getRandomValues(new Uint8Array(32)));
    }
    this.secret = secret;
    this.ticket = await ticketOf(secret);
    this.place = `${this.base}/tickets/${this.ticket}`;
  }

  /** A new visitor, after a place that is used up. */
  async beginAnew() {
    store(this.key, base64url(crypto.getRandomValues(new Uint8Array(32))));
    this.forget("first");
    await this.begin();
  }

  remember(name, value) { store(`${this.key}:${name}`, JSON.stringify(value)); }
  recall(name) {
    try {
      return JSON.parse(stored(`${this.key}:${name}`));
    } catch {
      return null;
    }
  }
  forget(name) {
    try {
      localStorage.removeItem(`${this.key}:${name}`);
    } catch {
      // Nothing was kept.
    }
  }

  /** Now, by the server's clock. */
  now() { return Date.now() + this.clockOffsetMs; }

  /** One request. `mine` sends the secret along. */
  async request(method, url, { mine = false, body, headers = {}, fresh = false } = {}) {
    const options = { method, headers: { ...headers }, signal: AbortSignal.timeout(TIMEOUT_MS), credentials: "omit" };
    if (mine) options.headers.authorization = `Bearer ${this.secret}`;
    if (fresh) options.cache = "no-store";
    if (body !== undefined) {
      options.headers["content-type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    let answer;
    try {
      answer = await fetch(url, options);
    } catch {
      throw new Problem(0);
    }
    this.#setClock(answer);
    if (answer.status === 304) return null;
    const document = await answer.json().catch(() => null);
    if (!answer.ok) {
      throw new Problem(answer.status, document, Number(answer.headers.get("retry-after")) || undefined);
    }
    return document;
  }

  // The header has whole seconds, and a cached answer an old one: only what
  // is off by more than that moves the clock.
  #setClock(answer) {
    const date = Date.parse(answer.headers.get("date") ?? "");
    if (Number.isNaN(date) || answer.headers.has("age")) return;
    const offset = date + 500 - Date.now();
    if (Math.abs(offset - this.clockOffsetMs) > 1_500) this.clockOffsetMs = offset;
  }

  /** A command, sent again until its answer is definite: the same request
   * again never has a second effect. `onTrouble` hears of each failure. */
  async send(method, url, { mine = true, body, onTrouble = () => {} } = {}) {
    for (let turn = 0; ; turn++) {
      try {
        return await this.request(method, url, { mine, body });
      } catch (problem) {
        if (!(problem instanceof Problem) || !problem.passing) throw problem;
        onTrouble(problem);
        await pause(spread(Math.max((problem.retryAfterS ?? 0) * 1_000, Math.min(500 * 2 ** turn, 15_000))));
      }
    }
  }

  /** A command of the own ticket. */
  command(method, path, options) { return this.send(method, `${this.place}${path}`, options); }

  status() { return this.request("GET", this.base); }
  ticketNow(after) {
    return this.request("GET", `${this.place}${after ? `?after=${encodeURIComponent(after)}` : ""}`, { fresh: true });
  }
  join(onTrouble) { return this.command("PUT", "", { mine: false, body: {}, onTrouble }); }
  leave(onTrouble) { return this.command("DELETE", "", { onTrouble }); }
  enter(onTrouble) { return this.command("PUT", "/entry", { onTrouble }); }
  leaveWindow(onTrouble) { return this.command("DELETE", "/entry", { onTrouble }); }
  heartbeat() { return this.request("POST", `${this.place}/presence`, { mine: true }); }
  draw() { return this.request("GET", `${this.base}/draw`); }
  proof() { return this.request("GET", `${this.place}/proof`); }
}
