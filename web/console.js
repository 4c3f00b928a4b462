// The operator's console. Every action is a call of the service's interface,
// and an event in the log.

import { draw } from "./chart.js";
import { Desk, Refused } from "./desk.js";
import { Flow } from "./flow.js";
import { WORDS } from "./console-words.js";
import { languageButtons, moment, number } from "./words.js";

/** How often to look, where the service does not say. */
const LOOK_EVERY_MS = 2_000;
const ACTS_EVERY_MS = 5_000;
const COUNTS = ["joined", "lobby", "waiting", "away", "admitted", "inside", "done", "left", "spent"];
const BUTTONS = {
  pause: ["open"],
  resume: ["paused"],
  drain: ["open", "paused"],
  close: ["scheduled", "drawing", "open", "paused", "draining"],
};

const $ = (id) => document.getElementById(id);
let [tag, words] = ["en", WORDS.en];
let desk = null;
let chosen = null;
let status = null;
let flow = new Flow();

const joined = (now) => COUNTS.slice(1).reduce((sum, name) => sum + now[name], 0);
const time = (at) => moment(tag, Date.parse(at));
const second = (at) => new Intl.DateTimeFormat(tag, { dateStyle: "medium", timeStyle: "medium" }).format(Date.parse(at));

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function rows(list, facts) {
  list.replaceChildren(...facts.map(([term, value]) => {
    const [row, dt, dd] = ["div", "dt", "dd"].map((name) => document.createElement(name));
    dt.textContent = term;
    dd.textContent = value;
    row.append(dt, dd);
    return row;
  }));
}

function trouble(problem) {
  const text = problem === null ? "" : problem.status === 401 || problem.status === 403 ? words.wrongKey
    : problem.status === 0 || problem.status >= 500 ? words.noAnswer
    : [problem.document.title, problem.document.detail].filter(Boolean).join(": ");
  $("trouble").hidden = text === "";
  $("trouble").textContent = text;
}

// --- the list ------------------------------------------------------------------

async function showOpenings() {
  const { openings } = await desk.read("/v1/openings");
  const list = openings.map(({ opening, title, state }) => {
    const [item, button, name, chip] = ["li", "button", "span", "span"].map((kind) => document.createElement(kind));
    button.type = "button";
    button.setAttribute("aria-current", String(opening === chosen));
    name.textContent = title;
    chip.className = "state";
    chip.dataset.state = state;
    chip.textContent = words.states[state];
    button.append(name, chip);
    button.addEventListener("click", () => choose(opening));
    item.append(button);
    return item;
  });
  $("openings").replaceChildren(...list);
  if (!chosen && openings.length > 0) await choose(openings.at(-1).opening);
}

async function choose(opening) {
  [chosen, status, flow] = [opening, null, new Flow()];
  await look();
  $("message-text").value = status?.message ?? "";
  $("capacity").value = status?.rate.capacity ?? "";
  $("rate").value = status?.rate.limit_per_minute ?? "";
  await Promise.all([showOpenings(), showActs()]);
}

// --- one opening ---------------------------------------------------------------

async function look() {
  if (!chosen) return;
  const asked = chosen;
  const [now, views] = await Promise.all([
    desk.read(`/v1/openings/${asked}`),
    desk.read(`/v1/openings/${asked}/views`),
  ]);
  if (asked !== chosen) return;
  status = now;
  flow.add({ at: Date.now(), joined: joined(now), served: now.serving_number, waiting: now.waiting, recent: now.rate.admitted_in_last_5_min });
  show(views);
}

function show(views) {
  $("opening").hidden = false;
  say($("name"), status.title);
  say($("state"), words.states[status.state]);
  $("state").dataset.state = status.state;
  say($("times"), words.times(time(status.opens_at), time(status.closes_at)));
  const seats = Object.entries(status.seats).map(([name, value]) => [words[name], number(tag, value)]);
  const counts = COUNTS.map((name) => [words[name], number(tag, name === "joined" ? joined(status) : status[name])]);
  rows($("counts"), [...counts, ...seats]);
  showOccupancy();
  const last = flow.points.at(-1) ?? { in: 0, out: 0 };
  const label = words.flowLabel(number(tag, Math.round(last.in)), number(tag, Math.round(last.out)));
  draw($("chart"), flow.points, flow.spanMs, label, (at) => new Intl.DateTimeFormat(tag, { timeStyle: "medium" }).format(at));
  const error = flow.estimateErrorS;
  rows($("health"), [
    [words.estimateError, error === null ? words.noEstimate : words.seconds(number(tag, Math.round(error)))],
    ...Object.entries(views.views).map(([view, { behind }]) => [words.lag(view), words.records(number(tag, behind))]),
  ]);
  for (const button of $("buttons").children) button.disabled = !BUTTONS[button.dataset.does].includes(status.state);
}

function showOccupancy() {
  const [taken, capacity] = [status.admitted + status.inside, status.rate.capacity];
  const bar = $("occupancy");
  const text = words.occupancy(number(tag, taken), number(tag, capacity));
  bar.setAttribute("aria-valuemax", capacity);
  bar.setAttribute("aria-valuenow", Math.min(taken, capacity));
  bar.setAttribute("aria-label", text);
  bar.firstElementChild.style.width = `${Math.min(100 * taken / capacity, 100)}%`;
  say($("occupancy-text"), text);
}

async function showActs() {
  if (!chosen) return;
  const { acts } = await desk.read(`/v1/openings/${chosen}/acts`);
  $("acts").replaceChildren(...acts.map(({ at, who, what, detail }) => {
    const row = document.createElement("tr");
    for (const text of [second(at), who, detail ? `${what}: ${detail}` : what]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
}

// --- commands ------------------------------------------------------------------

async function command(what, method, path, body) {
  try {
    await desk.command(method, `/v1/openings/${chosen}${path}`, body);
    trouble(null);
    $("done").textContent = words.did(what);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    trouble(problem);
  }
  await loop(async () => {
    await look();
    await showActs();
  });
}

function sure(title, text) {
  const dialog = $("sure");
  $("sure-title").textContent = title;
  $("sure-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

async function run(does) {
  const warning = { drain: words.sureDrain, close: words.sureClose }[does];
  if (!warning || await sure(words[does], warning)) await command(words[does], "POST", `/${does}`);
}

function onSubmit(id, act) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

const whole = (id) => ($(id).value === "" ? null : Number($(id).value));
const utc = (id) => ($(id).value === "" ? undefined : new Date($(id).value).toISOString());

function wire() {
  $("buttons").replaceChildren(...Object.keys(BUTTONS).map((does) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.does = does;
    button.dataset.word = does;
    button.addEventListener("click", () => run(does));
    return button;
  }));
  onSubmit("admit", () => command(words.admit, "PUT", `/admissions/${crypto.randomUUID()}`, { count: whole("admit-count") }));
  onSubmit("policy", () => command(words.change, "PATCH", "/policy", { capacity: whole("capacity"), admissions_per_minute: whole("rate") }));
  onSubmit("message-form", () => command(words.say, "PUT", "/message", { message: $("message-text").value.trim() || null }));
  onSubmit("schedule", () => command(words.change, "PATCH", "", { opens_at: utc("opens"), closes_at: utc("closes") }));
  onSubmit("sign-in", signIn);
}

// --- start ---------------------------------------------------------------------

async function loop(look) {
  try {
    await look();
    trouble(null);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    trouble(problem);
  }
}

async function every(ms, look) {
  for (;;) {
    await new Promise((done) => setTimeout(done, ms));
    if (document.visibilityState === "visible") await loop(look);
  }
}

async function signIn() {
  const asked = new Desk($("key").value);
  $("key").value = "";
  try {
    await asked.read("/v1/console");
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    return trouble(problem);
  }
  desk = asked;
  trouble(null);
  $("sign-in").hidden = true;
  $("desk").hidden = false;
  await loop(showOpenings);
  every(LOOK_EVERY_MS, look);
  every(ACTS_EVERY_MS, async () => {
    await showOpenings();
    await showActs();
  });
}

wire();
languageButtons((language) => {
  [tag, words] = [language, WORDS[language]];
  document.querySelectorAll("[data-word]").forEach((element) => say(element, words[element.dataset.word]));
  document.title = `${words.title} · usher`;
  if (status) loop(look);
});
