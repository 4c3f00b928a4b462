// The visitor's holds and bookings in one opening. Their ids are made here and
// kept on this device before they are sent, so that an answer that was lost,
// or a reload, loses nothing: the same request again has no second effect.

import { Problem } from "./session.js";

export class Holds {
  /** `{hold, body, state, showing, seats, expiresAt, extensions, asOf, booking}`;
   * `booking` is the document, once there is one. */
  all = [];

  constructor(session, onTrouble) {
    Object.assign(this, { session, onTrouble });
    this.all = (session.recall("holds") ?? []).map((kept) => ({ ...kept, state: "unknown", seats: [], extensions: 0 }));
  }

  get live() { return this.all.filter(({ state }) => state === "live"); }
  get booked() { return this.all.filter(({ booking }) => booking); }
  /** Seats of which this visitor has a hold. */
  get seats() { return this.live.flatMap(({ showing, seats }) => seats.map((seat) => ({ showing, seat }))); }

  #keep() {
    this.session.remember("holds", this.all.map(({ hold, body, bookingId }) => ({ hold, body, bookingId })));
  }

  #send(method, path, body) {
    return this.session.send(method, `${this.session.base}${path}`, { mine: true, body, onTrouble: this.onTrouble });
  }

  /** Holds what `body` asks for: `{showing, seats}` or `{showing, best}`. */
  async take(body) {
    const kept = { hold: crypto.randomUUID(), body, state: "unknown", showing: body.showing, seats: [], extensions: 0 };
    this.all.push(kept);
    this.#keep();
    await this.#take(kept);
    return kept;
  }

  async #take(kept) {
    try {
      this.#told(kept, await this.#send("PUT", `/holds/${kept.hold}`, kept.body));
    } catch (problem) {
      this.forget(kept);
      throw problem;
    }
  }

  #told(kept, { state, showing, seats, expires_at: expiresAt, as_of: asOf }) {
    Object.assign(kept, { state, showing, seats, expiresAt, asOf: asOf ?? kept.asOf });
  }

  forget(kept) {
    this.all = this.all.filter((other) => other !== kept);
    this.#keep();
  }

  async extend(kept) {
    kept.extensions += 1;
    const path = `/holds/${kept.hold}/extensions/${crypto.randomUUID()}`;
    this.#told(kept, await this.#send("PUT", path, {}));
  }

  async release(kept) {
    this.#told(kept, await this.#send("DELETE", `/holds/${kept.hold}`));
    this.forget(kept);
    return kept.asOf;
  }

  /** Books where nothing is paid. */
  async confirm(kept) {
    kept.bookingId ??= crypto.randomUUID();
    this.#keep();
    const body = { hold: kept.hold, payment_reference: `none-${kept.hold}` };
    kept.booking = await this.#send("PUT", `/bookings/${kept.bookingId}`, body);
    Object.assign(kept, { state: "booked", asOf: kept.booking.as_of });
  }

  /** Finds out what has become of a hold. */
  async look(kept) {
    try {
      this.#told(kept, await this.#read(`/holds/${kept.hold}`, kept.asOf, (told) => { kept.bookingId = told.booking ?? kept.bookingId; }));
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 404) throw problem;
      // Its answer never came: it may never have been sent.
      await this.#take(kept);
    }
    if (kept.state !== "booked") return;
    kept.booking = await this.#read(`/bookings/${kept.bookingId}`, kept.asOf);
    this.#keep();
  }

  async #read(path, after, also = () => {}) {
    const query = after ? `?after=${encodeURIComponent(after)}` : "";
    const told = await this.session.request("GET", `${this.session.base}${path}${query}`, { mine: true, fresh: true });
    also(told);
    return told;
  }
}
