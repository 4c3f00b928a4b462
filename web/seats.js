// The seat window: keeps what the visitor chooses and holds, and sends it.

import { RESERVED, alternative, orphans } from "./choice.js";
import { say } from "./element.js";
import { Best } from "./best.js";
import { Hall, nearest } from "./hall.js";
import { Holds } from "./holds.js";
import { SeatFeed } from "./seat-feed.js";
import { SeatMap } from "./seat-map.js";
import * as panels from "./seat-panels.js";
import { list, money, seatWords } from "./seat-words.js";
import { Problem } from "./session.js";
import { clock } from "./words.js";

const $ = (id) => document.getElementById(id);
/** A hold's end is told once, so long before. */
const LAST_MS = 60_000;
/** What the map knows a taken seat to be. */
const STATES = ["held", "booked", "blocked"];
/** A payment at the merchant's is asked for at most so often. */
const PAYMENT_EVERY_MS = 5_000;

export class SeatWindow {
  #halls = new Map();
  #chosen = [];
  /** Why seats could not be had: `{seats, rule?, instead}`. */
  #clash = {};
  #busy = false;
  #asked = 0;
  #warned = new Set();
  #begun = false;
  #asking = null;
  #shown = { tag: null, map: null };

  /** `onTicket` hears that the ticket may be something else, as of when. */
  constructor({ session, feed, onTrouble, onTicket }) {
    Object.assign(this, { session, feed, onTrouble, onTicket });
    this.holds = new Holds(session, onTrouble);
    this.best = new Best(session, { take: (wanted) => this.#hold(wanted), say: (text) => this.#say(text) });
    $("zoom-in").addEventListener("click", () => this.map?.zoom.nearer());
    $("zoom-out").addEventListener("click", () => this.map?.zoom.farther());
    $("zoom-whole").addEventListener("click", () => this.map?.zoom.all());
  }

  get holding() { return this.holds.live.length > 0; }

  // --- what is shown ---------------------------------------------------------

  /** Shows what fits the page's scene; called whenever something changes. */
  render(scene, status, tag) {
    Object.assign(this, { status, tag, words: seatWords(tag) });
    const inside = scene === "inside";
    if (!this.#begun) this.#begin();
    $("seat-window").hidden = !inside;
    if (inside) {
      this.#asking ??= this.best.begin().then(() => this.#render());
      this.#choose(this.showing ?? status.showings[0]?.showing);
      this.#tick();
    } else {
      this.#close();
    }
    this.#render();
  }

  #render() {
    const { words, tag, status, showing, hall } = this;
    if (!status) return;
    const common = { words, tag, status };
    const hallOf = (name) => this.#halls.get(name) ?? null;
    panels.bookings({ ...common, booked: this.holds.booked, hallOf });
    if ($("seat-window").hidden) return;
    panels.showings({ ...common, chosen: showing, choose: (name) => this.#choose(name) });
    panels.held({
      ...common, hallOf, holds: this.holds.live, now: this.session.now(), busy: this.#busy,
      acts: {
        confirm: (kept) => this.#confirm(kept),
        extend: (kept) => this.#doing(() => this.holds.extend(kept)),
        release: (kept) => this.#release(kept),
        copy: (kept, button) => this.#copy(kept, button),
      },
    });
    say($("map-loading"), hall && this.map ? null : words.loading);
    if (!hall || !this.map) return;
    panels.legend({ words, tag, hall });
    panels.clash({ words, tag, clash: this.#clash, take: (seats) => this.#takeInstead(seats) });
    const left = orphans(this.#chosen, this.#isFree);
    const fitting = left.length > 0 ? alternative(hall, this.#chosen, this.#isFree) : null;
    const better = fitting && orphans(fitting, this.#isFree).length === 0 ? fitting : null;
    this.map.suggest(this.#clash.instead ?? better ?? []);
    panels.choice({
      words, tag, chosen: this.#chosen, orphans: left, instead: better, most: this.#room, busy: this.#busy,
      asksWheelchair: this.best.knowsWheelchairs && this.#chosen.some(({ kind }) => RESERVED.includes(kind)),
      remove: (seat) => this.#toggle(seat),
      take: (seats) => this.#takeInstead(seats),
      hold: () => this.#hold({ seats: this.#chosen.map(({ id }) => id), ...this.#wheelchair }),
    });
    this.best.render({ words, hall, most: this.#room, busy: this.#busy });
    this.#renderMap();
  }

  /** The words around the map, where the language or the hall is another. */
  #renderMap() {
    const { words, tag, map } = this;
    if (this.#shown.tag === tag && this.#shown.map === map) return;
    this.#shown = { tag, map };
    map.name(words);
    say($("map-help"), words.mapHelp);
    say($("zoom-whole"), words.whole);
    for (const [id, text] of [["zoom-in", words.zoomIn], ["zoom-out", words.zoomOut]]) $(id).lastElementChild.textContent = text;
    this.#show(this.hall.seats);
  }

  #show(seats) {
    for (const seat of seats) {
      const state = this.#stateOf(seat);
      this.map.show(seat, state, this.#label(seat, state));
    }
  }

  #name(seat) { return this.words.seat(this.hall.manyZones ? seat.row.zone : "", seat.row.name, seat.number); }

  #label(seat, state) {
    const { words, tag, hall } = this;
    const price = seat.price && money(tag, seat.price);
    const parts = [this.#name(seat), hall.categories[seat.category].name, seat.kind && words.kinds[seat.kind], price, words.states[state]];
    return parts.filter(Boolean).join(", ");
  }

  #stateOf(seat) {
    const mine = this.holds.live.some((kept) => kept.showing === this.showing && kept.seats.includes(seat.id));
    if (mine) return "mine";
    if (this.#chosen.includes(seat)) return "chosen";
    if (!this.#clash.rule && this.#clash.seats?.includes(seat) && !this.#isFree(seat)) return "lost";
    const state = this.seatFeed.states.get(seat.id);
    return state === "free" && seat.isHouse ? "blocked" : state ?? "blocked";
  }

  // What the house keeps is for nobody here.
  #isFree = (seat) => !seat.isHouse && this.seatFeed.states.get(seat.id) === "free";

  /** How many more seats the visitor may have. */
  get #room() {
    const booked = this.holds.booked.filter(({ booking }) => booking.state !== "cancelled");
    const had = [...this.holds.live, ...booked].flatMap(({ seats }) => seats).length;
    return Math.max(this.status.rules.max_seats - had, 0);
  }

  get #wheelchair() {
    const box = $("wheelchair");
    return box.checked && !box.parentElement.hidden ? { wheelchair: true } : {};
  }

  #say(text) { $("seat-live").textContent = text; }

  #notice(text) {
    say($("seat-notice"), text);
  }

  // --- the hall --------------------------------------------------------------

  async #begin() {
    this.#begun = true;
    await Promise.all(this.holds.all.map((kept) => this.#look(kept)));
    for (const kept of [...this.holds.live, ...this.holds.booked]) {
      this.#hallOf(kept.showing).then(() => this.#render(), () => {});
    }
  }

  async #hallOf(showing) {
    const plan = this.status.showings.find((known) => known.showing === showing)?.plan;
    const known = this.#halls.get(showing);
    if (known || !plan) return known;
    const hall = new Hall(await this.session.request("GET", `${this.session.base}/plans/${encodeURIComponent(plan)}`));
    this.#halls.set(showing, hall);
    return hall;
  }

  async #choose(showing) {
    if (!showing || showing === this.showing) return;
    this.#close();
    this.showing = showing;
    this.#render();
    try {
      const hall = await this.#hallOf(showing);
      if (this.showing !== showing) return;
      this.hall = hall;
      this.seatFeed = new SeatFeed(this.session, this.feed, showing, {
        onSeats: (ids) => this.#onSeats(ids),
        onTrouble: this.onTrouble,
      });
      this.seatFeed.start();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      // Tried again when the page looks again.
      this.showing = undefined;
      this.onTrouble(problem);
    }
  }

  #close() {
    this.seatFeed?.stop();
    this.map?.end();
    Object.assign(this, { showing: undefined, hall: undefined, map: undefined, seatFeed: undefined });
    [this.#chosen, this.#clash] = [[], {}];
  }

  // The first states draw the map; from then on only what changed is touched.
  #onSeats(ids) {
    if (!this.map) {
      this.map = new SeatMap($("map"), this.hall, { onChoose: (seat) => this.#toggle(seat) });
      this.map.makeCurrent(nearest(this.hall.seats, this.hall.focus));
      this.#render();
      return;
    }
    const changed = this.hall.seatsOf(ids);
    const gone = this.#chosen.filter((seat) => !this.#isFree(seat));
    // Somebody took seats that were only chosen.
    if (gone.length > 0 && !this.#busy) this.#clashes(this.#chosen, gone);
    const { instead } = this.#clash;
    if (instead && !instead.every(this.#isFree)) this.#clash.instead = alternative(this.hall, instead, this.#isFree);
    this.#show(changed);
    this.#render();
    if (this.#busy) return;
    const mine = this.holds.live.filter((kept) => kept.showing === this.showing && kept.seats.some((seat) => ids.includes(seat)));
    mine.filter(({ seats }) => seats.some((seat) => this.seatFeed.states.get(seat) !== "held")).forEach((kept) => this.#look(kept));
  }

  // --- choosing --------------------------------------------------------------

  #toggle(seat) {
    if (this.#busy) return;
    const { words } = this;
    const state = this.#stateOf(seat);
    this.#notice(null);
    if (state === "chosen") {
      this.#chosen = this.#chosen.filter((other) => other !== seat);
      this.#say(words.removedNow(this.#name(seat), this.#chosen.length));
    } else if (state !== "free") {
      this.#say(words.notFree(this.#name(seat), words.states[state]));
    } else if (this.#chosen.length >= this.#room) {
      this.#notice(words.enough(this.status.rules.max_seats));
    } else {
      this.#chosen = [...this.#chosen, seat];
      this.#say(words.chosenNow(this.#name(seat), this.#chosen.length));
    }
    this.#forgetClash();
    this.#show([seat]);
    this.#render();
    if (this.#chosen.length === 0 && !document.activeElement?.closest("#map")) $("choice-title").focus();
  }

  #takeInstead(seats) {
    const before = this.#chosen;
    this.#chosen = seats;
    this.#forgetClash();
    this.#show([...before, ...seats]);
    this.map.reveal(seats);
    this.#render();
    this.#say(this.words.chosenNow(list(this.tag, seats.map(({ label }) => label)), seats.length));
    $("hold").focus();
  }

  #forgetClash() {
    const { seats = [] } = this.#clash;
    this.#clash = {};
    this.#show(seats);
  }

  /** Shows why `wanted` could not be had, at the seats that are the reason,
   * and what could be had instead. */
  #clashes(wanted, seats, { rule, instead = alternative(this.hall, wanted, this.#isFree) } = {}) {
    if (!rule) this.#chosen = this.#chosen.filter((seat) => !seats.includes(seat));
    this.#clash = { rule, seats, instead };
    this.#show([...wanted, ...seats]);
    this.map.reveal([...seats, ...(instead ?? [])]);
    this.#render();
  }

  // --- holding and booking ---------------------------------------------------

  /** One thing at a time; what is refused is told where it happened. */
  async #doing(act, onRefused = () => false) {
    if (this.#busy) return;
    this.#busy = true;
    this.#notice(null);
    this.#render();
    let refused = null;
    try {
      await act();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      refused = problem;
    } finally {
      this.#busy = false;
    }
    if (refused && !(await onRefused(refused))) await this.#refused(refused);
    if (this.map) this.#show(this.hall.seats);
    this.#render();
  }

  async #refused(problem) {
    const { words, tag } = this;
    const texts = {
      "too-many-seats": () => words.enough(problem.document.max_seats),
      "no-such-choice": () => words.bestNone,
      "refund-due": () => words.refund,
    };
    this.#notice(texts[problem.kind]?.() ?? `${words.refused} ${tag === "en" ? problem.message : ""}`.trim());
    if (["gone", "not-inside", "wrong-state"].includes(problem.kind)) await this.onTicket(problem.document.as_of);
    await Promise.all(this.holds.live.map((kept) => this.#look(kept)));
  }

  #hold(what) {
    const { showing } = this;
    const wanted = this.#chosen;
    return this.#doing(async () => {
      const kept = await this.holds.take({ showing, ...what });
      this.#chosen = [];
      this.#forgetClash();
      this.#warned.delete(kept.hold);
      this.#render();
      this.#say(this.words.heldNow(list(this.tag, this.hall.seatsOf(kept.seats).map(({ label }) => label))));
      document.getElementById(`held-${kept.hold}`)?.focus();
    }, async (problem) => {
      if (problem.kind === "no-such-choice") return this.best.refused(problem);
      const { document } = problem;
      if (wanted.length === 0 || !["seats-taken", "place-rule"].includes(problem.kind)) return false;
      await this.seatFeed?.refresh(document.as_of).catch(() => {});
      // The service's own alternative, where it has one to tell.
      const instead = document.alternative === undefined ? undefined : document.alternative && this.hall.seatsOf(document.alternative);
      if (problem.kind === "place-rule") {
        this.#clashes(wanted, this.hall.seatsOf(document.seats), { rule: document.rule, instead });
      } else {
        // The map may be behind the refusal, and never ahead of it.
        const taken = document.seats.filter(({ why }) => STATES.includes(why));
        taken.forEach(({ seat, why }) => this.seatFeed.states.set(seat, why));
        this.#clashes(wanted, this.hall.seatsOf(document.seats.map(({ seat }) => seat)), { instead });
      }
      $("conflict").querySelector("button")?.focus();
      return true;
    });
  }

  #confirm(kept) {
    return this.#doing(async () => {
      await this.holds.confirm(kept);
      await this.#booked(kept);
    });
  }

  async #booked(kept) {
    await this.onTicket(kept.booking.as_of ?? kept.asOf);
    this.#render();
    const { seats, booking } = kept;
    const hall = this.#halls.get(kept.showing);
    this.#say(this.words.bookedNow(list(this.tag, hall ? hall.seatsOf(seats).map(({ label }) => label) : seats)));
    document.getElementById(`booking-${booking.booking}`)?.focus();
  }

  #release(kept) {
    return this.#doing(async () => {
      const asOf = await this.holds.release(kept);
      await this.seatFeed?.refresh(asOf).catch(() => {});
      this.#notice(this.words.released);
      $("choice-title").focus();
    });
  }

  /** Finds out what has become of a hold, and tells it. */
  async #look(kept) {
    const before = kept.state;
    try {
      await this.holds.look(kept);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.passing) return;
    }
    if (kept.state === "expired" || kept.state === "released") {
      this.holds.forget(kept);
      if (before === "live" && kept.state === "expired") this.#notice(this.words.expired(list(this.tag, kept.seats)));
    }
    if (before === "live" && kept.state === "booked") await this.#booked(kept);
    if (this.map) this.#show(this.hall.seatsOf(kept.seats));
    this.#render();
  }

  // What time brings: a hold's last minute, its end, a payment elsewhere.
  #tick() {
    const now = this.session.now();
    for (const kept of this.holds.live) {
      const left = Date.parse(kept.expiresAt) - now;
      if (left < LAST_MS && left > 0 && !this.#warned.has(kept.hold)) {
        this.#warned.add(kept.hold);
        this.#say(this.words.lastMinute(clock(left)));
      }
    }
    const due = this.holds.live.filter((kept) => this.status.rules.payment === "merchant" || Date.parse(kept.expiresAt) < now);
    if (due.length > 0 && Date.now() - this.#asked > PAYMENT_EVERY_MS && !this.#busy) {
      this.#asked = Date.now();
      due.forEach((kept) => this.#look(kept));
    }
  }

  /** Puts a hold and a fresh pass where they can be pasted; neither is shown. */
  async #copy(kept, button) {
    const { words } = this;
    try {
      const { pass } = await this.session.enter(this.onTrouble);
      await navigator.clipboard.writeText(JSON.stringify({ opening: this.session.opening, hold: kept.hold, pass }));
      button.textContent = words.copied;
    } catch {
      button.textContent = words.notCopied;
    }
  }
}

