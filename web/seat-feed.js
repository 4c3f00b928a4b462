// The states of a showing's seats as they change: by the page's server-sent
// events where they work, else by asking what changed since.

import { Problem, pause, spread } from "./session.js";

/** While events come, asking only makes sure. */
const SURE_MS = 30_000;
const POLL_MS = 2_000;
const SLOWEST_MS = 15_000;

export class SeatFeed {
  #stopped = false;
  #asking = null;
  #wake = new AbortController();
  /** What every seat is, by id. */
  states = new Map();
  version = -1;

  /** `onSeats` gets the ids of the seats that changed, `onTrouble` each
   * failure and null when well. */
  constructor(session, feed, showing, { onSeats, onTrouble }) {
    Object.assign(this, { session, feed, showing, onSeats, onTrouble });
    this.url = `${session.base}/showings/${encodeURIComponent(showing)}/seats`;
  }

  start() {
    this.feed.watch(this.showing, {
      onSeats: (document) => this.#take(document),
      onReset: () => this.refresh(),
    });
    this.#poll();
  }

  stop() {
    this.#stopped = true;
    this.feed.watch(null);
    this.#wake.abort();
  }

  /** Asks what changed, true of `after` where it is given. */
  refresh(after) {
    if (after) return this.#ask(after);
    this.#asking ??= this.#ask().finally(() => { this.#asking = null; });
    return this.#asking;
  }

  async #ask(after) {
    const asked = new URLSearchParams();
    if (this.version >= 0) asked.set("since", this.version);
    if (after) asked.set("after", after);
    const query = asked.size > 0 ? `?${asked}` : "";
    try {
      this.#take(await this.session.request("GET", `${this.url}${query}`));
    } catch (problem) {
      // This version is not known there: from the start, then.
      if (!(problem instanceof Problem) || problem.status !== 404 || this.version < 0) throw problem;
      this.version = -1;
      this.#take(await this.session.request("GET", this.url));
    }
  }

  // Changes are taken where they follow on what is known.
  #take(document) {
    if (!document || this.#stopped) return;
    const whole = document.since === undefined;
    if (!whole && document.since > this.version) {
      this.#wake.abort();
      return;
    }
    if (document.version <= this.version) return;
    const changed = document.seats.filter(({ seat, state }) => this.states.get(seat) !== state);
    changed.forEach(({ seat, state }) => this.states.set(seat, state));
    this.version = document.version;
    this.onSeats(changed.map(({ seat }) => seat));
  }

  async #poll() {
    let failed = 0;
    while (!this.#stopped) {
      let wait = this.feed.live ? SURE_MS : POLL_MS;
      this.#wake = new AbortController();
      try {
        await this.refresh();
        failed = 0;
        this.onTrouble(null);
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        this.onTrouble(problem);
        failed += 1;
        wait = Math.max((problem.retryAfterS ?? 0) * 1_000, Math.min(1_000 * 2 ** failed, SLOWEST_MS));
      }
      await pause(spread(wait), this.#wake.signal);
    }
  }
}
