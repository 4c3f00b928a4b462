// The waiting room's page: keeps what is known, shows it, sends what the
// visitor does.

import { Attention } from "./attention.js";
import { Feed } from "./feed.js";
import { scene, sceneName } from "./scene.js";
import { Problem, Session, pause, spread } from "./session.js";
import { verifyProof } from "./verify.js";
import { seatWords } from "./seat-words.js";
import { languageButtons, words as wordsOf } from "./words.js";

/** The live region speaks of the position at most so often. */
const SPEAK_EVERY_MS = 60_000;
/** The exact position is asked for at most so often, while waiting. */
const POSITION_EVERY_MS = 15_000;
const HEARTBEAT_AGAIN_MS = 5_000;

const opening = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const session = new Session(opening);
const attention = new Attention();
const model = { status: null, ticket: null, missing: false, full: false, busy: false, first: session.recall("first") };
const $ = (id) => document.getElementById(id);

let tag = "en";
let words = wordsOf(tag);
let heart = new AbortController();
let askedAt = 0;
let asking = null;
let spoken = { name: "", at: 0 };
let drawChecked = false;
let feed = null;
let seatWindow = null;

// --- what is known -----------------------------------------------------------

function setTicket(ticket) {
  model.ticket = { ...model.ticket, ...ticket };
  const { position } = model.ticket;
  if (position && !model.first) {
    model.first = position;
    session.remember("first", position);
  }
  render();
  checkDraw();
}

/** Asks for the own ticket; one request at a time. */
function askTicket(after) {
  asking ??= (async () => {
    try {
      setTicket(await session.ticketNow(after));
      askedAt = Date.now();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status !== 404) trouble(problem);
    } finally {
      asking = null;
    }
  })();
  return asking;
}

function onStatus(status) {
  const before = model.status;
  model.status = status;
  model.missing = false;
  render();
  if (!model.ticket) return;
  const { number, state } = model.ticket;
  const turnMayBe = state === "waiting" && number && status.serving_number >= number;
  const changed = before && before.state !== status.state;
  if (turnMayBe || changed || Date.now() - askedAt > POSITION_EVERY_MS) askTicket();
}

function trouble(problem) {
  if (problem?.status === 404 && !model.status) model.missing = true;
  // A device without a network knows it before any request fails.
  const offline = !navigator.onLine || problem?.status === 0;
  $("trouble").hidden = !offline && !problem?.passing;
  $("trouble").textContent = offline ? words.offline : words.busy;
  render();
}

// --- presence ----------------------------------------------------------------

/** Says "still here" at the pace that the server asks for, and at once when
 * the page is looked at again. */
async function beat() {
  for (;;) {
    let wait = HEARTBEAT_AGAIN_MS;
    const waits = model.ticket && !["done", "left", "spent"].includes(model.ticket.state);
    if (waits) {
      try {
        const { state, next_in_s: nextInS } = await session.heartbeat();
        wait = nextInS * 1_000;
        if (state !== model.ticket.state) await askTicket();
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        if (problem.status === 410 || problem.status === 404) await askTicket();
        else wait = Math.max((problem.retryAfterS ?? 0) * 1_000, wait);
      }
    }
    heart = new AbortController();
    await pause(spread(wait) * 0.95, heart.signal);
  }
}

// --- what the visitor does ---------------------------------------------------

async function doing(act) {
  if (model.busy) return;
  model.busy = true;
  render();
  try {
    await act();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "full") model.full = true;
    else await Promise.all([askTicket(), session.status().then((status) => status && onStatus(status))]);
  } finally {
    model.busy = false;
    render();
  }
}

const acts = {
  join: () => doing(async () => {
    const joined = await session.join(trouble);
    setTicket(joined);
    heart.abort();
    await askTicket(joined.as_of);
  }),
  again: () => doing(async () => {
    await session.beginAnew();
    Object.assign(model, { ticket: null, first: null });
    drawChecked = false;
    const joined = await session.join(trouble);
    setTicket(joined);
    await askTicket(joined.as_of);
  }),
  enter: () => doing(async () => {
    const entry = await session.enter(trouble);
    setTicket({ state: entry.state, leave_by: entry.leave_by });
  }),
  leaveWindow,
};

/** Asks before something that cannot be taken back. */
function sure(title, text, stay) {
  const dialog = $("confirm-leave");
  say("confirm-title", title);
  say("confirm-text", text);
  say("confirm-stay", stay);
  dialog.returnValue = "stay";
  dialog.showModal();
  return new Promise((decided) => {
    dialog.addEventListener("close", () => decided(dialog.returnValue === "leave"), { once: true });
  });
}

async function leave() {
  if (!await sure(words.leaveSure, words.leaveText, words.stay)) return;
  doing(async () => setTicket(await session.leave(trouble)));
}

async function leaveWindow() {
  const said = seatWords(tag);
  if (seatWindow?.holding && !await sure(said.leaveSure, said.leaveText, said.stay)) return;
  doing(async () => setTicket(await session.leaveWindow(trouble)));
}

// --- the seat window ---------------------------------------------------------

/** The seats are loaded by those who get in, and shown to who has booked. */
const loadSeats = () => import("./seats.js").then(({ SeatWindow }) => {
  seatWindow = new SeatWindow({ session, feed, onTrouble: trouble, onTicket: askTicket });
});
let loadingSeats = null;

function renderSeats(name) {
  const wanted = ["turn", "inside"].includes(name) || (model.status && session.recall("holds")?.length > 0);
  if (wanted && feed && !loadingSeats) {
    loadingSeats = loadSeats().then(render, () => { loadingSeats = null; });
  }
  if (model.status) seatWindow?.render(name, model.status, tag);
}

// --- the draw ----------------------------------------------------------------

/** Checks on this device that the own place follows from the published draw. */
async function checkDraw() {
  if (drawChecked || !model.ticket?.number) return;
  drawChecked = true;
  say("draw-check", words.drawChecking);
  try {
    const draw = await session.draw();
    if (!draw.order_root) {
      drawChecked = false;
      return say("draw-check", null);
    }
    if (model.ticket.number > draw.count) return sayDraw("drawLate");
    const verdict = await verifyProof(draw, await session.proof(), model.ticket.number);
    sayDraw(verdict.ok ? "drawFair" : "drawBroken");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    drawChecked = false;
    say("draw-check", null);
  }
}

let drawVerdict = null;
function sayDraw(key) {
  drawVerdict = key;
  say("draw-check", words[key]);
  $("draw-check").classList.toggle("failed", key === "drawBroken");
}

// --- what is shown -----------------------------------------------------------

function say(id, text) {
  const element = $(id);
  element.hidden = text === null || text === undefined || text === "";
  // Untouched where it says the same: screen readers and selections stay calm.
  if (!element.hidden && element.textContent !== text) element.textContent = text;
}

function render() {
  const shown = scene(model, words, tag, session.now());
  document.body.dataset.scene = shown.name;
  const title = model.status?.title ?? opening;
  say("title", title);
  say("message", model.status?.message);
  say("headline", shown.headline);
  say("figure", shown.figure);
  say("figure-label", shown.figure ? shown.label : null);
  say("explanation", shown.text);
  renderProgress(shown.progress);
  renderFacts(shown.facts);
  renderAction(shown.action);
  document.querySelector(".card").classList.toggle("turn", Boolean(shown.call));
  $("attention").hidden = !shown.waits;
  $("notify").hidden = !attention.mayAskToNotify;
  attention.title(`${shown.tab ?? shown.headline} · ${title}`);
  if (shown.call) attention.call(words.turnTab, title);
  else attention.calm();
  renderSeats(shown.name);
  speak(shown);
}

function renderProgress(percent) {
  const bar = $("progress");
  bar.hidden = percent === null || percent === undefined;
  if (bar.hidden) return;
  bar.setAttribute("aria-valuenow", percent);
  bar.setAttribute("aria-label", words.waitingTitle);
  bar.firstElementChild.style.width = `${percent}%`;
}

function renderFacts(facts) {
  const list = $("facts");
  const text = JSON.stringify(facts);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...facts.map(([term, value]) => {
    const [row, dt, dd] = ["div", "dt", "dd"].map((name) => document.createElement(name));
    dt.textContent = term;
    dd.textContent = value;
    row.append(dt, dd);
    return row;
  }));
}

function renderAction(action) {
  const button = $("main-action");
  button.hidden = !action;
  if (!action) return;
  if (button.textContent !== action.text) button.textContent = action.text;
  button.dataset.does = action.does;
  button.setAttribute("aria-disabled", String(model.busy));
}

/** Speaks when the scene changes, and of the position now and then. */
function speak(shown) {
  const changed = shown.name !== spoken.name;
  const due = Date.now() - spoken.at > SPEAK_EVERY_MS;
  if (shown.name === "loading" || !(changed || (shown.spoken && due))) return;
  spoken = { name: shown.name, at: Date.now() };
  $("live").textContent = shown.spoken ?? [shown.headline, shown.text].filter(Boolean).join(". ");
}

function renderWords() {
  say("attention-title", words.attentionTitle);
  say("sound", attention.soundOn ? words.soundOn : words.soundOff);
  $("sound").setAttribute("aria-pressed", String(attention.soundOn));
  say("notify", words.notify);
  $("notify").hidden = !attention.mayAskToNotify;
  say("leave", words.leave);
  say("reload-note", words.reload);
  say("confirm-go", words.go);
  if (drawVerdict) say("draw-check", words[drawVerdict]);
}

// --- start -------------------------------------------------------------------

async function start() {
  languageButtons((chosen) => {
    tag = chosen;
    words = wordsOf(tag);
    renderWords();
    render();
  });
  await session.begin();
  $("main-action").addEventListener("click", (event) => acts[event.currentTarget.dataset.does]?.());
  $("leave").addEventListener("click", leave);
  $("sound").addEventListener("click", async () => {
    await attention.toggleSound();
    renderWords();
  });
  $("notify").addEventListener("click", async () => {
    await attention.askToNotify();
    renderWords();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") heart.abort();
  });
  addEventListener("online", () => heart.abort());
  addEventListener("offline", () => trouble(null));
  // Another tab may have begun a new place.
  addEventListener("storage", (event) => {
    if (event.key === session.key) location.reload();
  });
  if (session.known) await askTicket();
  feed = new Feed(session, { onStatus, onTrouble: trouble });
  feed.start();
  beat();
  // Only what counts down changes by itself.
  setInterval(() => {
    if (["before", "lobby", "turn", "inside"].includes(sceneName(model))) render();
  }, 1_000);
}

start();
