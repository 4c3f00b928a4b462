// A hall as it is drawn and walked through, made once of its plan: where each
// seat stands, what is beside it, what it costs.

/** Beyond this many times the usual gap of two seats there is an aisle. */
const AISLE = 1.5;
/** A row that stands so much nearer than seats do is drawn over them. */
const TIGHT = 0.5;

const add = (a, b) => ({ x: (a?.x ?? 0) + (b?.x ?? 0), y: (a?.y ?? 0) + (b?.y ?? 0) });
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** G7, or 12-7: what stands on a ticket. */
function labelOf(row, { seat_number: number, seat_guid: id }) {
  if (!number) return id;
  return /\d$/.test(row) ? `${row}-${number}` : `${row}${number}`;
}

export class Hall {
  /** `plan` is what `GET .../plans/{plan}` answers. */
  constructor({ seating, details }) {
    this.name = seating.name;
    /** `{name, color, price}`, in the plan's order. */
    this.categories = seating.categories.map(({ name, color }) => ({ name, color, price: details.category_prices[name] ?? null }));
    if (this.categories.length === 0) this.categories.push({ name: "", color: "", price: null });
    /** Front to back: `{name, zone, seats}`. */
    this.rows = [];
    for (const zone of seating.zones) {
      for (const row of zone.rows) this.#addRow(zone, row, details);
    }
    this.seats = this.rows.flatMap((row) => row.seats);
    this.byId = new Map(this.seats.map((seat) => [seat.id, seat]));
    this.#place();
    for (const row of this.rows) this.#seatTogether(row.seats);
  }

  #addRow(zone, row, details) {
    const from = add(zone.position, row.position);
    const made = { name: row.row_number, zone: zone.name, at: this.rows.length, seats: [] };
    for (const seat of row.seats) {
      const category = Math.max(this.categories.findIndex(({ name }) => name === seat.category), 0);
      made.seats.push({
        id: seat.seat_guid,
        number: seat.seat_number || seat.seat_guid,
        label: labelOf(row.row_number, seat),
        row: made,
        ...add(from, seat.position),
        category,
        kind: details.kinds[seat.seat_guid] === "house" ? null : details.kinds[seat.seat_guid] ?? null,
        isHouse: details.kinds[seat.seat_guid] === "house",
        price: details.seat_prices[seat.seat_guid] ?? this.categories[category].price,
        before: null,
        after: null,
      });
    }
    if (made.seats.length > 0) this.rows.push(made);
  }

  // How far apart seats stand, and the extent. A plan that says of no seat
  // where it stands is set out in straight rows.
  #place() {
    const { x, y } = this.seats[0];
    if (this.seats.every((seat) => seat.x === x && seat.y === y)) {
      this.rows.forEach((row, r) => row.seats.forEach((seat, s) => Object.assign(seat, { x: s, y: r })));
    }
    const gaps = this.rows.flatMap(({ seats }) => seats.slice(1).map((seat, i) => distance(seat, seats[i]))).filter((gap) => gap > 0);
    this.gap = gaps.length > 0 ? median(gaps) : 1;
    const between = this.rows.slice(1).map((row, i) => Math.abs(row.seats[0].y - this.rows[i].seats[0].y)).filter((gap) => gap > 0);
    const rowGap = between.length > 0 ? median(between) : this.gap;
    /** The side of a seat's square. */
    this.pitch = Math.max(Math.min(this.gap, rowGap), this.gap * TIGHT);
    const [xs, ys] = [this.seats.map((seat) => seat.x), this.seats.map((seat) => seat.y)];
    const least = (values) => values.reduce((a, b) => Math.min(a, b));
    const most = (values) => values.reduce((a, b) => Math.max(a, b));
    this.left = least(xs);
    this.right = most(xs);
    this.top = least(ys);
    this.bottom = most(ys);
    /** Whether the screen is above the rows in the drawing. */
    this.screenAbove = this.rows[0].seats[0].y <= this.rows.at(-1).seats[0].y;
    const back = (this.bottom - this.top) * (2 / 3);
    /** Where people like to sit. */
    this.focus = { x: (this.left + this.right) / 2, y: this.screenAbove ? this.top + back : this.bottom - back };
  }

  #seatTogether(seats) {
    for (let i = 1; i < seats.length; i++) {
      if (distance(seats[i - 1], seats[i]) > this.gap * AISLE) continue;
      seats[i].before = seats[i - 1];
      seats[i - 1].after = seats[i];
    }
  }

  seatsOf(ids) { return ids.map((id) => this.byId.get(id)).filter(Boolean); }

  /** Whether rows are known apart only with their zone's name. */
  get manyZones() { return new Set(this.rows.map((row) => row.zone)).size > 1; }

  /** Where a key leads from a seat; null when the key is none of ours. */
  step(seat, key) {
    const { seats, at } = seat.row;
    const i = seats.indexOf(seat);
    switch (key) {
      case "ArrowLeft": return seats[i - 1] ?? seat;
      case "ArrowRight": return seats[i + 1] ?? seat;
      case "Home": return seats[0];
      case "End": return seats.at(-1);
      case "ArrowUp": return this.#across(seat, at + (this.screenAbove ? -1 : 1));
      case "ArrowDown": return this.#across(seat, at + (this.screenAbove ? 1 : -1));
      case "PageUp": return this.#across(seat, this.screenAbove ? 0 : this.rows.length - 1);
      case "PageDown": return this.#across(seat, this.screenAbove ? this.rows.length - 1 : 0);
      default: return null;
    }
  }

  #across(seat, at) {
    const row = this.rows[at];
    return row ? nearest(row.seats, seat) : seat;
  }
}

/** The seat that stands nearest to a place. */
export function nearest(seats, place) {
  return seats.reduce((best, seat) => (distance(seat, place) < distance(best, place) ? seat : best));
}

/** The middle of some seats. */
export function middle(seats) {
  const sum = seats.reduce(add, { x: 0, y: 0 });
  return { x: sum.x / seats.length, y: sum.y / seats.length };
}

export { distance };
