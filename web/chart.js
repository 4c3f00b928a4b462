// Two lines over time, as SVG: what comes in and what goes out a minute.

const NS = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [720, 190, 44, 20];

function element(name, attributes, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A round number at or above `value`, for the axis. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

/** Draws `points` of `{at, in, out}`, the newest at the right; `label` says
 * for a screen reader what a glance would. */
export function draw(place, points, spanMs, label, timeOf) {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  const newest = points.at(-1)?.at ?? 0;
  const top = ceiling(Math.max(10, ...points.map((point) => Math.max(point.in, point.out))));
  const x = (at) => LEFT + (1 - (newest - at) / spanMs) * (WIDTH - LEFT - 4);
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - 10);
  for (const value of [0, top / 2, top]) {
    svg.append(element("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }));
    svg.append(element("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, Math.round(value).toLocaleString()));
  }
  for (const share of [0, 0.5, 1]) {
    const at = newest - spanMs * (1 - share);
    const anchor = share === 1 ? "end" : share === 0 ? "start" : "middle";
    svg.append(element("text", { x: x(at), y: HEIGHT - 4, "text-anchor": anchor }, newest ? timeOf(at) : ""));
  }
  for (const name of ["in", "out"]) {
    const line = points.map((point) => `${x(point.at).toFixed(1)},${y(point[name]).toFixed(1)}`).join(" ");
    svg.append(element("polyline", { class: name, points: line }));
  }
  place.replaceChildren(svg);
}
