// The hall as a drawing that can be walked through with the keyboard: a grid
// of rows and seats. A seat's category is told by its shape and colour, its
// state by its mark and filling.

import { Zoom } from "./zoom.js";

const SVG = "http://www.w3.org/2000/svg";
/** In halls with more seats no number is drawn into each. */
const NUMBERED = 3_000;
/** Below so many pixels a seat is too small to be pointed at. */
const POINTABLE = 24;
/** Below so many pixels a number is too small to be read. */
const READABLE = 22;
/** For plans that name no colours of their own. */
const COLORS = ["#2563eb", "#b45309", "#15803d", "#9333ea", "#be123c", "#0e7490"];

const round = (value) => Math.round(value * 100) / 100;
const polygon = (corners, radius, turn = 0) => `M${Array.from({ length: corners }, (_, i) => {
  const angle = turn + (i * 2 * Math.PI) / corners;
  return `${round(radius * Math.cos(angle))},${round(radius * Math.sin(angle))}`;
}).join("L")}Z`;

// The categories' shapes, in a circle of about radius 1.
const SHAPES = [
  "M-0.62,-0.86H0.62A0.24,0.24 0 0 1 0.86,-0.62V0.62A0.24,0.24 0 0 1 0.62,0.86H-0.62A0.24,0.24 0 0 1 -0.86,0.62V-0.62A0.24,0.24 0 0 1 -0.62,-0.86Z",
  "M-0.94,0A0.94,0.94 0 1 1 0.94,0A0.94,0.94 0 1 1 -0.94,0Z",
  polygon(6, 1),
  polygon(4, 1.1),
  polygon(8, 0.98, Math.PI / 8),
  "M-0.9,-0.84H0.9V0.2Q0.9,0.96 0,0.96Q-0.9,0.96 -0.9,0.2Z",
];
// What the states draw over them.
const MARKS = {
  chosen: "M-0.42,0.04L-0.1,0.38L0.46,-0.34",
  mine: "M-0.42,0.04L-0.1,0.38L0.46,-0.34",
  held: "M-0.4,0H0.4",
  booked: "M-0.36,-0.36L0.36,0.36M-0.36,0.36L0.36,-0.36",
  lost: "M-0.36,-0.36L0.36,0.36M-0.36,0.36L0.36,-0.36",
  blocked: "M-0.4,0.4L0.4,-0.4",
};
const KINDS = {
  wheelchair: "M-0.16,-0.62A0.13,0.13 0 1 1 -0.159,-0.62M-0.14,-0.4L-0.08,0.08H0.32L0.52,0.5M-0.1,-0.18H0.24M-0.3,-0.1A0.4,0.4 0 1 0 0.3,0.46",
  companion: "M-0.3,-0.4A0.17,0.17 0 1 1 -0.299,-0.4M0.34,-0.4A0.17,0.17 0 1 1 0.341,-0.4M-0.66,0.44Q-0.6,-0.04 -0.3,-0.04Q0,-0.04 0,0.44M0.04,0.44Q0.1,-0.04 0.34,-0.04Q0.64,-0.04 0.68,0.44",
  restricted_view: "M-0.6,0Q0,-0.6 0.6,0Q0,0.6 -0.6,0ZM-0.5,0.5L0.5,-0.5",
};

function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A category's colour: of the plan, if it is one, else one of ours. */
function colorOf(category, at) {
  const known = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i.test(category.color);
  return known ? category.color : COLORS[at % COLORS.length];
}

/** Black or white: what is read better on a colour. */
function inkOn(color) {
  const digits = color.length === 4 ? [...color.slice(1)].map((digit) => digit + digit) : color.slice(1).match(/../g);
  const [r, g, b] = digits.map((digit) => {
    const part = parseInt(digit, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** One seat as it looks: in the plan and in the legend. */
function figure(categories, { category, kind, number }) {
  const color = colorOf(categories[category], category);
  const parts = [
    draw("path", { class: "shape", d: SHAPES[category % SHAPES.length], fill: color }),
    draw("path", { class: "mark", d: "" }),
  ];
  if (kind) parts.push(draw("path", { class: "kind", d: KINDS[kind], transform: "translate(0 0.06) scale(0.82)", stroke: inkOn(color) }));
  else if (number) parts.push(draw("text", { class: "number", y: 0.3, fill: inkOn(color) }, number));
  return parts;
}

/** A small picture for the legend. */
export function sample(hall, category, state = "free", kind = null) {
  const parts = figure(hall.categories, { category, kind });
  parts[1].setAttribute("d", MARKS[state] ?? "");
  const seat = draw("g", { class: "seat", "data-state": state }, ...parts);
  return draw("svg", { viewBox: "-1.25 -1.25 2.5 2.5", width: 24, height: 24, "aria-hidden": "true", focusable: "false" }, seat);
}

export class SeatMap {
  #figures = new Map();
  #current = null;

  /** Draws `hall` into `box`. `onChoose` gets a seat that was chosen by key or
   * pointer. */
  constructor(box, hall, { onChoose }) {
    Object.assign(this, { box, hall, onChoose });
    const margin = hall.pitch * 2;
    const screen = hall.pitch * 3;
    this.extent = {
      x: hall.left - margin,
      y: hall.top - (hall.screenAbove ? screen : margin * 0.6),
      width: hall.right - hall.left + 2 * margin,
      height: hall.bottom - hall.top + margin * 0.6 + screen,
    };
    const { x, y, width, height } = this.extent;
    this.svg = draw("svg", { role: "grid", "aria-multiselectable": "true", "aria-describedby": "map-help", viewBox: [x, y, width, height].map(round).join(" ") });
    this.svg.append(this.#screen(), ...hall.rows.map((row) => this.#row(row)));
    box.replaceChildren(this.svg);
    this.svg.addEventListener("click", (event) => this.#clicked(event));
    this.svg.addEventListener("keydown", (event) => this.#pressed(event));
    this.svg.addEventListener("focusin", (event) => this.#focused(event));
    const { extent, hall: { focus, pitch } } = this;
    this.zoom = new Zoom(box, this.svg, { extent, focus, unit: pitch, onScale: (pixels) => {
      this.svg.classList.toggle("small", pixels < READABLE);
    } });
  }

  end() {
    this.zoom.end();
    this.box.replaceChildren();
  }

  #screen() {
    const { hall, extent: { width } } = this;
    const [middle, half] = [(hall.left + hall.right) / 2, width * 0.32];
    const y = hall.screenAbove ? hall.top - hall.pitch * 1.7 : hall.bottom + hall.pitch * 1.7;
    const bend = hall.pitch * (hall.screenAbove ? -0.5 : 0.5);
    this.screenName = draw("text", { x: middle, y: y + bend * 0.2 + hall.pitch * (hall.screenAbove ? 0.7 : 0), "font-size": hall.pitch * 0.5 });
    const line = draw("path", { d: `M${middle - half},${y}Q${middle},${y + bend} ${middle + half},${y}`, "stroke-width": hall.pitch * 0.14 });
    return draw("g", { class: "screen", "aria-hidden": "true" }, line, this.screenName);
  }

  #row(row) {
    const { pitch, seats: { length } } = this.hall;
    const name = (seat, side) => draw("text", {
      class: "row-name", "aria-hidden": "true", x: seat.x + side * pitch * 1.15, y: seat.y + pitch * 0.17, "font-size": pitch * 0.5,
    }, row.name);
    const seats = row.seats.map((seat) => {
      const element = draw("g", {
        class: "seat", role: "gridcell", tabindex: -1, "data-seat": seat.id,
        transform: `translate(${round(seat.x)} ${round(seat.y)}) scale(${round(pitch * 0.43)})`,
      }, ...figure(this.hall.categories, length > NUMBERED ? { ...seat, number: null } : seat));
      this.#figures.set(seat.id, element);
      return element;
    });
    const labels = row.name ? [name(row.seats[0], -1), name(row.seats.at(-1), 1)] : [];
    return draw("g", { role: "row" }, ...labels, ...seats);
  }

  /** What the drawing is called, in the page's language. */
  name(words) {
    this.svg.setAttribute("aria-label", words.map(this.hall.name));
    this.screenName.textContent = words.screen;
    [...this.svg.querySelectorAll("[role=row]")].forEach((element, i) => {
      const row = this.hall.rows[i];
      element.setAttribute("aria-label", words.row(this.hall.manyZones ? row.zone : "", row.name));
    });
  }

  /** Shows a seat in a state; `label` is what a screen reader says of it. */
  show(seat, state, label) {
    const element = this.#figures.get(seat.id);
    element.setAttribute("aria-label", label);
    if (element.dataset.state === state) return;
    element.dataset.state = state;
    element.setAttribute("aria-selected", String(state === "chosen" || state === "mine"));
    element.setAttribute("aria-disabled", String(state !== "free" && state !== "chosen"));
    element.querySelector(".mark").setAttribute("d", MARKS[state] ?? "");
  }

  /** Points at seats that could be taken instead. */
  suggest(seats) {
    this.svg.querySelectorAll("[data-suggested]").forEach((element) => delete element.dataset.suggested);
    seats.forEach(({ id }) => { this.#figures.get(id).dataset.suggested = ""; });
  }

  reveal(seats) {
    seats.toReversed().forEach((seat) => this.zoom.reveal(seat));
  }

  /** Makes a seat the one that Tab comes to. */
  makeCurrent(seat) {
    if (this.#current) this.#figures.get(this.#current.id).setAttribute("tabindex", -1);
    this.#current = seat;
    this.#figures.get(seat.id).setAttribute("tabindex", 0);
  }

  get current() { return this.#current; }

  focus(seat) {
    this.makeCurrent(seat);
    this.#figures.get(seat.id).focus({ preventScroll: true });
    this.zoom.reveal(seat);
  }

  #seatOf(event) {
    const element = event.target.closest("[data-seat]");
    return element && this.hall.byId.get(element.dataset.seat);
  }

  // In a drawing that is too small to point at a seat, one points at a place
  // to see it nearer.
  #clicked(event) {
    const seat = this.#seatOf(event);
    if (this.zoom.pixels < POINTABLE) {
      this.zoom.to(this.zoom.comfortable, { x: event.clientX, y: event.clientY });
      return;
    }
    if (!seat) return;
    this.makeCurrent(seat);
    this.onChoose(seat);
  }

  #focused(event) {
    const seat = this.#seatOf(event);
    if (!seat) return;
    if (seat !== this.#current) this.makeCurrent(seat);
    if (event.target.matches(":focus-visible")) this.zoom.reveal(seat);
  }

  #pressed(event) {
    const seat = this.#seatOf(event);
    if (!seat || event.altKey || event.metaKey) return;
    const { key } = event;
    if (key === " " || key === "Enter") this.onChoose(seat);
    else if (key === "+" || key === "=") this.zoom.nearer();
    else if (key === "-") this.zoom.farther();
    else {
      const to = this.hall.step(seat, key);
      if (!to) return;
      this.focus(to);
    }
    event.preventDefault();
  }
}
