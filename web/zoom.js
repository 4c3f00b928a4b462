// Zooming and panning a drawing in a box that scrolls: the browser's own
// scrolling pans it, by touch, wheel and keyboard.

const STEP = 1.4;

export class Zoom {
  #pinch = null;
  #touches = new Map();
  #drag = null;

  /** `extent` is the drawing's size in its own units, `unit` the side of what
   * one points at; `onScale` hears the size of that in pixels. */
  constructor(box, svg, { extent, unit, focus, onScale }) {
    Object.assign(this, { box, svg, extent, unit, onScale });
    const touch = matchMedia("(pointer: coarse)").matches;
    // What one points at is at least so large as it is first shown.
    this.comfortable = (touch ? 32 : 24) / unit;
    this.most = 72 / unit;
    this.#listen();
    this.#set(Math.max(this.#fit(), this.comfortable));
    this.center(focus);
  }

  /** Pixels of one unit at which all is seen. */
  #fit() {
    const room = parseFloat(getComputedStyle(this.box).maxHeight) || innerHeight;
    return Math.min(this.box.clientWidth / this.extent.width, room / this.extent.height, this.most);
  }

  get pixels() { return this.scale * this.unit; }
  get whole() { return this.scale <= this.#fit() * 1.01; }

  #set(scale) {
    this.scale = Math.min(Math.max(scale, Math.min(this.#fit(), this.comfortable)), this.most);
    this.svg.setAttribute("width", this.extent.width * this.scale);
    this.svg.setAttribute("height", this.extent.height * this.scale);
    this.onScale(this.pixels);
  }

  #at(place) {
    return { x: (place.x - this.extent.x) * this.scale, y: (place.y - this.extent.y) * this.scale };
  }

  /** Shows a place of the drawing in the middle. */
  center(place) {
    const { x, y } = this.#at(place);
    this.box.scrollTo({ left: x - this.box.clientWidth / 2, top: y - this.box.clientHeight / 2, behavior: "instant" });
  }

  /** Scrolls as little as it takes to show a place with some room around it. */
  reveal(place) {
    const [{ x, y }, room, box] = [this.#at(place), this.pixels * 1.5, this.box];
    const moved = (at, from, size) => Math.min(Math.max(from, at + room - size), at - room);
    box.scrollTo({ left: moved(x, box.scrollLeft, box.clientWidth), top: moved(y, box.scrollTop, box.clientHeight), behavior: "instant" });
  }

  /** Zooms; what is at `point` of the window, or in the middle, stays there. */
  to(scale, point) {
    const frame = this.box.getBoundingClientRect();
    const [x, y] = point ? [point.x - frame.left, point.y - frame.top] : [this.box.clientWidth / 2, this.box.clientHeight / 2];
    const before = this.scale;
    const [left, top] = [this.box.scrollLeft + x, this.box.scrollTop + y];
    this.#set(scale);
    const grown = this.scale / before;
    this.box.scrollTo({ left: left * grown - x, top: top * grown - y, behavior: "instant" });
  }

  nearer(point) { this.to(this.scale * STEP, point); }
  farther(point) { this.to(this.scale / STEP, point); }
  all() { this.to(this.#fit()); }

  #listen() {
    this.stop = new AbortController();
    const on = (name, act, options = {}) => this.box.addEventListener(name, act, { ...options, signal: this.stop.signal });
    on("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.to(this.scale * Math.exp(-event.deltaY / 200), { x: event.clientX, y: event.clientY });
    }, { passive: false });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) on(name, (event) => this.#up(event));
    // What ends a drag is no click on what is below it.
    on("click", (event) => {
      if (!this.#drag?.far) return;
      event.stopPropagation();
      this.#drag = null;
    }, { capture: true });
    this.sizes = new ResizeObserver(() => this.#set(this.scale));
    this.sizes.observe(this.box);
  }

  end() {
    this.stop.abort();
    this.sizes.disconnect();
  }

  #down(event) {
    this.#drag = null;
    if (event.pointerType === "mouse" && event.button === 0) {
      this.#drag = { x: event.clientX, y: event.clientY, left: this.box.scrollLeft, top: this.box.scrollTop, far: false, on: true };
    } else if (event.pointerType === "touch") {
      this.#touches.set(event.pointerId, event);
    }
  }

  #move(event) {
    const drag = this.#drag;
    if (drag?.on) {
      const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
      drag.far ||= Math.hypot(x, y) > 5;
      if (drag.far) this.box.scrollTo({ left: drag.left - x, top: drag.top - y, behavior: "instant" });
      return;
    }
    if (!this.#touches.has(event.pointerId)) return;
    this.#touches.set(event.pointerId, event);
    if (this.#touches.size !== 2) return;
    const [a, b] = [...this.#touches.values()];
    const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    this.#pinch ??= { apart, scale: this.scale };
    this.to(this.#pinch.scale * (apart / this.#pinch.apart), { x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2 });
  }

  #up(event) {
    this.#touches.delete(event.pointerId);
    if (this.#touches.size < 2) this.#pinch = null;
    if (this.#drag) this.#drag.on = false;
  }
}
