// Getting a visitor's attention when it is their turn: the tab's title, a
// sound if they asked for it, a notification if they allowed it.

export class Attention {
  #audio = null;
  #timer = 0;
  #title = document.title;

  get soundOn() { return this.#audio !== null; }

  /** Must be called from a click: browsers start no sound by themselves. */
  async toggleSound() {
    if (this.#audio) {
      await this.#audio.close();
      this.#audio = null;
      return;
    }
    this.#audio = new AudioContext();
    this.#beep(0, 660);
  }

  get mayAskToNotify() { return "Notification" in globalThis && Notification.permission === "default"; }
  get notifies() { return "Notification" in globalThis && Notification.permission === "granted"; }
  askToNotify() { return Notification.requestPermission(); }

  /** What the tab shows while nothing is urgent. */
  title(text) {
    this.#title = text;
    if (!this.#timer) document.title = text;
  }

  /** Calls for the visitor until `calm`. */
  call(title, body) {
    if (this.#timer) return;
    document.title = title;
    this.#timer = setInterval(() => {
      document.title = document.title === title ? this.#title : title;
    }, 1_500);
    [0, 0.25, 0.5].forEach((delay, i) => this.#beep(delay, 660 + i * 220));
    if (this.notifies && document.visibilityState !== "visible") this.#notify(title, body);
  }

  calm() {
    clearInterval(this.#timer);
    this.#timer = 0;
    document.title = this.#title;
  }

  #notify(title, body) {
    try {
      const note = new Notification(title, { body, tag: "usher-turn", requireInteraction: true });
      note.addEventListener("click", () => { focus(); note.close(); });
    } catch {
      // Some phones allow notifications only to installed pages.
    }
  }

  #beep(delay, pitch) {
    if (!this.#audio) return;
    const [tone, volume] = [this.#audio.createOscillator(), this.#audio.createGain()];
    const from = this.#audio.currentTime + delay;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.2, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + 0.22);
    tone.connect(volume).connect(this.#audio.destination);
    tone.start(from);
    tone.stop(from + 0.25);
  }
}
