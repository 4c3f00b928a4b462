// The opening's public status, as it changes: by server-sent events where
// they work, else by polling at the pace that the server asks for.

import { Problem, pause, spread } from "./session.js";

const SLOWEST_MS = 30_000;
/** Events that fail so often in a row are given up for this page. */
const GIVE_UP_AFTER = 3;

export class Feed {
  #stopped = false;
  #failures = 0;
  #source = null;
  /** The showing whose seats are told too, and who hears of them. */
  #watched = null;
  /** When the newest status was made, by the server's clock. */
  #madeAt = 0;
  #wake = new AbortController();

  /** `onStatus` gets each status, `onTrouble` each failure and null when well. */
  constructor(session, { onStatus, onTrouble }) {
    Object.assign(this, { session, onStatus, onTrouble });
  }

  start() {
    this.#poll();
    this.#listen();
    addEventListener("online", () => this.look());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.look();
    });
  }

  stop() {
    this.#stopped = true;
    this.#source?.close();
    this.#wake.abort();
  }

  /** Looks at once. */
  look() {
    this.#wake.abort();
  }

  /** Hears of a showing's seats too, by the same connection; null ends it.
   * `onSeats` gets each change, `onReset` that some are missing. */
  watch(showing, listeners) {
    this.#watched = showing === null ? null : { showing, ...listeners };
    this.#source?.close();
    this.#failures = 0;
    this.#listen();
  }

  /** Whether events come. */
  get live() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  #listen() {
    if (typeof EventSource === "undefined") return;
    const watched = this.#watched;
    const query = watched ? `?showing=${encodeURIComponent(watched.showing)}` : "";
    const source = new EventSource(`${this.session.base}/updates${query}`);
    this.#source = source;
    source.addEventListener("status", (event) => {
      this.#failures = 0;
      this.#told(JSON.parse(event.data));
    });
    source.addEventListener("seats", (event) => watched?.onSeats(JSON.parse(event.data)));
    source.addEventListener("reset", () => {
      this.look();
      watched?.onReset();
    });
    source.addEventListener("error", () => {
      this.#failures += 1;
      if (source.readyState === EventSource.CLOSED || this.#failures >= GIVE_UP_AFTER) {
        source.close();
        this.look();
      }
    });
  }

  #told(status) {
    this.onTrouble(null);
    this.#madeAt = Date.parse(status.server_time);
    this.onStatus(status);
  }

  // While events come, polling only makes sure: rarely.
  async #poll() {
    let failed = 0;
    while (!this.#stopped) {
      let wait = SLOWEST_MS;
      try {
        const status = await this.session.status();
        failed = 0;
        if (status) {
          // An answer that was kept on its way may be older than what an event told.
          if (Date.parse(status.server_time) >= this.#madeAt) this.#told(status);
          else this.onTrouble(null);
          wait = this.live ? SLOWEST_MS * 2 : status.poll_after_ms;
        }
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        this.onTrouble(problem);
        failed += 1;
        wait = Math.max((problem.retryAfterS ?? 0) * 1_000, Math.min(1_000 * 2 ** failed, SLOWEST_MS));
      }
      this.#wake = new AbortController();
      await pause(spread(wait), this.#wake.signal);
    }
  }
}
