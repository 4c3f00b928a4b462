// What a visitor sees, as a pure function of what is known: the opening's
// status, the own ticket, and whether a request is under way.

import { clock, moment, number, span } from "./words.js";

const OVER = { done: ["doneTitle", "doneText"], left: ["leftTitle", "leftText"], spent: ["spentTitle", "spentText"] };
const BEFORE = ["scheduled"];
const TAKES_JOINS = ["scheduled", "drawing", "open", "paused"];

/** The name of the scene, for tests and styles. */
export function sceneName({ status, ticket, missing, full }) {
  if (missing) return "missing";
  if (!status) return "loading";
  if (ticket) {
    if (ticket.state in OVER) return ticket.state;
    if (ticket.state === "inside") return "inside";
    if (status.state === "closed") return "closed";
    if (ticket.state === "admitted") return "turn";
    if (ticket.state === "away") return "away";
    if (BEFORE.includes(status.state)) return "lobby";
    if (!ticket.number || ticket.position === null || ticket.position === undefined) return "drawing";
    return status.state === "paused" ? "paused" : "waiting";
  }
  if (full) return "full";
  if (status.state === "closed") return "closed";
  if (status.state === "draining") return "draining";
  return BEFORE.includes(status.state) ? "before" : "open";
}

/** Whether somebody without a ticket may get in line now. */
const mayJoin = (status) => TAKES_JOINS.includes(status.state);

function estimate(words, language, eta, now) {
  if (!eta) return words.noEstimate;
  const until = (time) => span(language, Math.max(Date.parse(time) - now, 0));
  const [expected, early, late] = [eta.expected, eta.early, eta.late].map(until);
  return early === late ? `≈ ${expected}` : words.estimateRange(expected, early, late);
}

/** Everything that the page shows. `now` is the server's time in milliseconds. */
export function scene(model, words, language, now) {
  const { status, ticket, busy } = model;
  const name = sceneName(model);
  const shown = { name, facts: [], waits: false };
  const left = (time) => clock(Date.parse(time) - now);
  switch (name) {
    case "loading":
      return { ...shown, headline: words.loading };
    case "missing":
      return { ...shown, headline: words.missingTitle, text: words.missingText };
    case "before":
    case "lobby": {
      const mine = name === "lobby";
      return {
        ...shown,
        headline: mine ? words.lobbyTitle : words.beforeTitle,
        figure: left(status.opens_at),
        label: `${words.opensIn} · ${moment(language, Date.parse(status.opens_at))}`,
        text: mine ? words.lobbyText : words.beforeText,
        action: mine ? null : { does: "join", text: busy ? words.joining : words.joinEarly },
        waits: mine,
      };
    }
    case "open":
      return {
        ...shown,
        headline: words.openTitle,
        text: words.openText,
        action: mayJoin(status) ? { does: "join", text: busy ? words.joining : words.join } : null,
      };
    case "drawing":
      return { ...shown, headline: words.drawingTitle, text: words.drawingText, waits: true };
    case "waiting":
    case "paused": {
      const waiting = name === "waiting";
      return {
        ...shown,
        headline: waiting ? words.waitingTitle : words.pausedTitle,
        figure: number(language, ticket.position),
        label: words.position,
        progress: progress(model),
        text: waiting ? words.waitingText : words.pausedText,
        facts: [
          [words.estimate, estimate(words, language, waiting ? ticket.eta : null, now)],
          [words.ahead, number(language, ticket.ahead)],
          [words.nowServing, number(language, status.serving_number)],
          [words.yourNumber, number(language, ticket.number)],
        ],
        tab: words.waitingTab(number(language, ticket.position)),
        spoken: words.livePosition(
          number(language, ticket.position),
          waiting ? estimate(words, language, ticket.eta, now) : words.pausedTitle,
        ),
        waits: true,
      };
    }
    case "away":
      return { ...shown, headline: words.awayTitle, text: words.awayText, waits: true };
    case "turn":
      return {
        ...shown,
        headline: words.turnTitle,
        figure: ticket.enter_by ? left(ticket.enter_by) : null,
        label: words.toEnter,
        text: words.turnText,
        action: { does: "enter", text: busy ? words.entering : words.enter },
        call: true,
        waits: true,
      };
    case "inside":
      return {
        ...shown,
        headline: words.insideTitle,
        figure: ticket.leave_by ? left(ticket.leave_by) : null,
        label: words.toChoose,
        text: words.insideText,
        action: { does: "leaveWindow", text: words.leaveWindow },
      };
    case "full":
      return { ...shown, headline: words.fullTitle, text: words.fullText };
    case "closed":
      return { ...shown, headline: words.closedTitle, text: words.closedText };
    case "draining":
      return { ...shown, headline: words.drainingTitle, text: words.drainingText };
    default: {
      const [headline, text] = OVER[name].map((key) => words[key]);
      const again = name !== "done" && status && mayJoin(status);
      return { ...shown, headline, text, action: again ? { does: "again", text: words.again } : null };
    }
  }
}

/** How far the line has moved since the visitor's first position, in percent. */
function progress({ ticket, first }) {
  if (!first || first <= 1) return null;
  return Math.min(Math.max(Math.round((1 - (ticket.position - 1) / first) * 100), 0), 100);
}
