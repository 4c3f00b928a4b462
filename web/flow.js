// What an opening's counts say over time: inflow, outflow, and how far off
// the estimated waits were.

const SPAN_MS = 10 * 60_000;
/** Flow is measured over this much time, so that single admissions do not jitter. */
const WINDOW_MS = 60_000;
const ESTIMATE_EVERY_MS = 10_000;
const ESTIMATES = 200;

export class Flow {
  spanMs = SPAN_MS;
  /** `{at, in, out}`: joined and admitted a minute. */
  points = [];
  #samples = [];
  #open = [];
  #errorsS = [];

  /** `{at, joined, served, waiting, recent}`: all who ever joined, the serving
   * number, how many wait, and the admissions of the last five minutes. */
  add(sample) {
    this.#samples.push(sample);
    while (this.#samples[0].at < sample.at - WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    const minutes = Math.max(sample.at - first.at, 1_000) / 60_000;
    this.points.push({
      at: sample.at,
      in: Math.max(sample.joined - first.joined, 0) / minutes,
      out: Math.max(sample.served - first.served, 0) / minutes,
    });
    while (this.points[0].at < sample.at - SPAN_MS) this.points.shift();
    this.#judgeEstimates(sample);
  }

  // What a visitor somewhere in the line is told now is compared with when
  // their number is served.
  #judgeEstimates(sample) {
    while (this.#open.length > 0 && this.#open[0].number <= sample.served) {
      const { expected } = this.#open.shift();
      this.#errorsS.push(Math.abs(sample.at - expected) / 1_000);
      if (this.#errorsS.length > ESTIMATES) this.#errorsS.shift();
    }
    const last = this.#open.at(-1);
    const due = !last || sample.at - last.asked >= ESTIMATE_EVERY_MS;
    if (!due || sample.recent === 0 || sample.waiting === 0 || this.#open.length >= ESTIMATES) return;
    const ahead = sample.waiting;
    const number = Math.max(sample.served + ahead, (last?.number ?? 0) + 1);
    this.#open.push({ number, asked: sample.at, expected: sample.at + (ahead / sample.recent) * 300_000 });
  }

  /** The median of what was measured, in seconds; null before the first. */
  get estimateErrorS() {
    if (this.#errorsS.length === 0) return null;
    const sorted = this.#errorsS.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }
}
