// @ts-check
import { find } from "./element.js";
import { keptLine, waitingLine } from "./words.js";

/** Nobody needs to hear of an interruption that is over before they would have noticed. */
const UNNOTICED_MS = 3_000;

/** Which replica and release serve us, and what one waits for when for a while none does. */
export class Status {
  /** @param {import("./connection.js").Clock} clock @param {() => number} kept messages without an ack */
  constructor(clock, kept) {
    this.clock = clock;
    this.kept = kept;
    this.element = find("status");
    this.replica = find("replica");
    this.release = find("release");
    this.notice = find("notice");
    this.retry = find("retry");
    this.away = find("away");
    /** Since when nobody serves us. @type {number | null} */
    this.waitingSince = null;
    /** When the next try is, if it is planned. @type {number | null} */
    this.retryAt = null;
    this.logAway = false;
    this.cancel = () => {};
    const chip = find("serving");
    chip.addEventListener("animationend", () => chip.classList.remove("moved"));
    this.chip = chip;
  }

  /** @param {{ replica: string, release: string }} welcome */
  serving({ replica, release }) {
    this.waitingSince = null;
    const before = this.chip.textContent;
    const moved = !this.chip.hidden;
    this.replica.textContent = replica;
    this.release.textContent = release;
    this.chip.hidden = false;
    if (moved && before !== this.chip.textContent) this.chip.classList.add("moved");
    this.show();
  }

  /** Nobody serves us now. */
  interrupted() {
    this.waitingSince ??= this.clock.now();
    this.show();
  }

  /** @param {number | null} retryAt when the next try is; null: it is under way */
  waiting(retryAt) {
    this.retryAt = retryAt;
    this.interrupted();
  }

  /** @param {boolean} away whether the replica has lost the log */
  log(away) {
    this.logAway = away;
    this.show();
  }

  ended() {
    this.cancel();
    this.#say("ended", "");
    this.chip.hidden = this.away.hidden = this.retry.hidden = true;
  }

  /** Brings the words up to date, and again each second of a countdown. */
  show() {
    this.cancel();
    const waited = this.waitingSince === null ? 0 : this.clock.now() - this.waitingSince;
    const waiting = this.waitingSince !== null && waited >= UNNOTICED_MS;
    const left = this.retryAt === null ? null : Math.ceil((this.retryAt - this.clock.now()) / 1000);
    if (waiting) this.#say("waiting", waitingLine(left));
    else if (this.waitingSince === null) this.#say(this.logAway ? "away" : "serving", "");
    this.retry.hidden = !waiting || left === null || left < 1;
    this.away.hidden = !this.logAway || this.waitingSince !== null;
    if (!this.away.hidden) this.away.textContent = keptLine(this.kept());
    document.body.dataset.log = this.away.hidden ? "up" : "away";
    if (this.waitingSince === null) return;
    const next = waiting ? 1000 : UNNOTICED_MS - waited;
    this.cancel = this.clock.after(next, () => this.show());
  }

  /** @param {string} state @param {string} words */
  #say(state, words) {
    this.element.dataset.state = state;
    this.notice.textContent = words;
  }
}
