// What the pages say, in Korean and English.

const count = (language) => new Intl.NumberFormat(language);

/** "12 minutes", by the language's own rules. */
function unit(language, value, of) {
  return new Intl.NumberFormat(language, { style: "unit", unit: of, unitDisplay: "long" }).format(value);
}

/** A span of time as people say it. */
export function span(language, ms) {
  const minutes = Math.round(ms / 60_000);
  if (ms < 90_000) return unit(language, Math.max(Math.round(ms / 10_000) * 10, 10), "second");
  if (minutes < 90) return unit(language, minutes, "minute");
  return unit(language, Math.round(minutes / 60), "hour");
}

/** 4:05, or 1:04:05: what is left of a time, in whole seconds. */
export function clock(ms) {
  const seconds = Math.max(Math.ceil(ms / 1_000), 0);
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** A moment in the visitor's own time zone. */
export function moment(language, ms) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

export const number = (language, value) => count(language).format(value);

const EN = {
  joinEarly: "Get in line",
  beforeTitle: "Tickets are not open yet",
  opensIn: "until tickets open",
  beforeText: "Everyone who is here when tickets open gets a place by a draw. Coming earlier than others gives no advantage.",
  lobbyTitle: "You are in the lobby",
  lobbyText: "When tickets open, the order of everyone in the lobby is drawn. Keep this page open.",
  drawingTitle: "The order is being drawn",
  drawingText: "This takes a moment. Keep this page open.",
  openTitle: "Tickets are open",
  openText: "Get in line; you will be let in when it is your turn.",
  join: "Get in line",
  joining: "Getting you in line…",
  waitingTitle: "You are in line",
  position: "your position",
  waitingText: "Keep this page open. You need not do anything.",
  ahead: "Ahead of you",
  nowServing: "Now serving",
  yourNumber: "Your number",
  estimate: "Estimated wait",
  estimateRange: (expected, early, late) => `about ${expected} (${early} to ${late})`,
  noEstimate: "not known yet",
  pausedTitle: "Admissions are paused",
  pausedText: "Your place is kept. It goes on as soon as the organiser resumes.",
  awayTitle: "Welcome back",
  awayText: "You were away for a while. Your place was kept; you are being put back in line.",
  turnTitle: "It is your turn",
  toEnter: "left to enter",
  enter: "Enter now",
  entering: "Opening the door…",
  turnText: "If you do not enter in time, the next visitor is let in first.",
  insideTitle: "Choose your seats",
  toChoose: "left in the seat window",
  insideText: "Your seats are waiting.",
  leaveWindow: "Leave",
  doneTitle: "Thank you",
  doneText: "Your booking is complete.",
  leftTitle: "You have left the line",
  leftText: "You may get in line again, at its end.",
  again: "Get in line again",
  spentTitle: "Your turn has passed",
  spentText: "Your time to enter or to choose is over.",
  closedTitle: "This opening is closed",
  closedText: "Nobody is let in any more.",
  drainingTitle: "The line is closed",
  drainingText: "No more visitors can get in line.",
  fullTitle: "The line is full",
  fullText: "As many people as there can be are in line already.",
  missingTitle: "There is no such opening",
  missingText: "Check the address.",
  loading: "One moment…",
  offline: "No connection. Your place is kept; trying again by itself.",
  busy: "The service is busy. Your place is kept; trying again by itself.",
  soundOn: "Sound is on",
  soundOff: "Play a sound on my turn",
  notify: "Notify me on my turn",
  attentionTitle: "While you wait",
  reload: "You may reload this page or open it twice: you keep your place. If you close it, come back on this device soon.",
  leave: "Leave the line",
  leaveSure: "Leave the line?",
  leaveText: "Your place goes to the next visitor at once and cannot be taken back.",
  stay: "Stay in line",
  go: "Leave",
  drawChecking: "Checking the draw…",
  drawFair: "This device checked the draw: your place follows from the published data.",
  drawBroken: "The draw does not check out on this device. Please tell the organiser.",
  drawLate: "You came after the draw: your number follows the order of arrival.",
  waitingTab: (position) => `${position} · in line`,
  turnTab: "It is your turn!",
  livePosition: (position, estimate) => `Your position is ${position}. ${estimate}`,
};

const KO = {
  joinEarly: "대기열에 들어가기",
  beforeTitle: "아직 예매가 시작되지 않았습니다",
  opensIn: "후에 예매가 시작됩니다",
  beforeText: "예매 시작 시점에 이 페이지에 있는 모든 분의 순서를 추첨으로 정합니다. 먼저 와도 유리하지 않습니다.",
  lobbyTitle: "대기실에 입장했습니다",
  lobbyText: "예매가 시작되면 대기실에 있는 모든 분의 순서를 추첨합니다. 이 페이지를 열어 두세요.",
  drawingTitle: "순서를 추첨하고 있습니다",
  drawingText: "잠시만 기다려 주세요. 이 페이지를 열어 두세요.",
  openTitle: "예매가 진행 중입니다",
  openText: "대기열에 들어가면 차례가 되었을 때 입장할 수 있습니다.",
  join: "대기열에 들어가기",
  joining: "대기열에 들어가는 중…",
  waitingTitle: "순서를 기다리고 있습니다",
  position: "번째 순서입니다",
  waitingText: "이 페이지를 열어 두세요. 아무것도 하지 않아도 됩니다.",
  ahead: "앞에 있는 사람",
  nowServing: "현재 입장 번호",
  yourNumber: "내 번호",
  estimate: "예상 대기 시간",
  estimateRange: (expected, early, late) => `약 ${expected} (${early} ~ ${late})`,
  noEstimate: "아직 알 수 없음",
  pausedTitle: "입장이 잠시 중단되었습니다",
  pausedText: "순서는 그대로 유지되며, 재개되는 대로 이어집니다.",
  awayTitle: "다시 오셨군요",
  awayText: "잠시 자리를 비우셨습니다. 순서는 유지되었으며 대기열로 복귀하는 중입니다.",
  turnTitle: "입장할 차례입니다",
  toEnter: "안에 입장해 주세요",
  enter: "지금 입장하기",
  entering: "입장하는 중…",
  turnText: "시간 안에 입장하지 않으면 다음 분이 먼저 입장합니다.",
  insideTitle: "좌석을 선택하세요",
  toChoose: "남았습니다",
  insideText: "좌석을 선택할 수 있습니다.",
  leaveWindow: "나가기",
  doneTitle: "감사합니다",
  doneText: "예매가 완료되었습니다.",
  leftTitle: "대기열에서 나왔습니다",
  leftText: "다시 들어가면 맨 뒤에 서게 됩니다.",
  again: "다시 대기열에 들어가기",
  spentTitle: "차례가 지나갔습니다",
  spentText: "입장 또는 좌석 선택 시간이 끝났습니다.",
  closedTitle: "예매가 종료되었습니다",
  closedText: "더 이상 입장할 수 없습니다.",
  drainingTitle: "대기열이 마감되었습니다",
  drainingText: "더 이상 대기열에 들어갈 수 없습니다.",
  fullTitle: "대기열이 가득 찼습니다",
  fullText: "더 이상 대기열에 들어갈 수 없습니다.",
  missingTitle: "존재하지 않는 예매입니다",
  missingText: "주소를 확인해 주세요.",
  loading: "잠시만 기다려 주세요…",
  offline: "연결이 끊겼습니다. 순서는 유지되며 자동으로 다시 연결합니다.",
  busy: "접속이 많습니다. 순서는 유지되며 자동으로 다시 시도합니다.",
  soundOn: "소리 알림 켜짐",
  soundOff: "차례가 되면 소리로 알림",
  notify: "차례가 되면 알림 받기",
  attentionTitle: "기다리는 동안",
  reload: "새로고침하거나 창을 하나 더 열어도 순서는 그대로입니다. 창을 닫았다면 이 기기에서 곧 다시 열어 주세요.",
  leave: "대기열에서 나가기",
  leaveSure: "대기열에서 나갈까요?",
  leaveText: "순서는 바로 다음 분에게 넘어가며 되돌릴 수 없습니다.",
  stay: "계속 기다리기",
  go: "나가기",
  drawChecking: "추첨을 확인하는 중…",
  drawFair: "이 기기에서 추첨을 확인했습니다. 내 순서는 공개된 자료와 일치합니다.",
  drawBroken: "이 기기에서 추첨을 확인하지 못했습니다. 주최 측에 알려 주세요.",
  drawLate: "추첨 이후에 오셨습니다. 번호는 도착 순서대로입니다.",
  waitingTab: (position) => `${position}번째 · 대기 중`,
  turnTab: "입장할 차례입니다!",
  livePosition: (position, estimate) => `현재 ${position}번째입니다. ${estimate}`,
};

const WORDS = { en: EN, ko: KO };
const STORED = "usher:language";

/** The language that was chosen, or the browser's. */
export function language() {
  let chosen = null;
  try {
    chosen = localStorage.getItem(STORED);
  } catch {
    // Not kept, then.
  }
  const asked = new URLSearchParams(location.search).get("lang");
  const candidates = [asked, chosen, ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return candidates.find((tag) => tag in WORDS) ?? "en";
}

export function chooseLanguage(tag) {
  try {
    localStorage.setItem(STORED, tag);
  } catch {
    // Asked again next time.
  }
}

export const words = (tag) => WORDS[tag];

/** Wires the two language buttons of a page; calls `changed` with the tag. */
export function languageButtons(changed) {
  const buttons = document.querySelectorAll("[data-language]");
  const show = (tag) => {
    document.documentElement.lang = tag;
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.language === tag)));
    changed(tag);
  };
  buttons.forEach((button) => button.addEventListener("click", () => {
    chooseLanguage(button.dataset.language);
    show(button.dataset.language);
  }));
  show(language());
}
