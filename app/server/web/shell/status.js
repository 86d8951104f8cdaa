// @ts-check
import { find } from "../element.js";
import { interruptedLine, keptLine, sendingLine, waitingLine } from "../words.js";

/**
 * @typedef {import("../connection.js").Clock} Clock
 * @typedef {{ kept(): number, closed(): string, slow(): string, close(isClosed: boolean): void }} Facts messages without
 *   an ack, in all rooms; why one cannot write in this one, and what slow mode says there: sentences, or empty; `close`:
 *   the form goes by that, which ends by itself
 */

/** Nobody needs to hear of an interruption that is over before they would have noticed. */
const UNNOTICED_MS = 3_000;
/** How long it is said that one was moved. */
const MOVED_MS = 4_000;

/**
 * What is true now, over the form: whether somebody serves us, what of ours is on its way, and
 * whether one can write here. And in the header, which replica and release serve.
 */
export class Status {
  /** @param {Clock} clock @param {Facts} facts */
  constructor(clock, facts) {
    this.clock = clock;
    this.facts = facts;
    this.element = find("status");
    this.notice = find("notice");
    this.countdown = find("countdown");
    this.retry = find("retry");
    this.strip = find("strip");
    this.chip = find("serving");
    this.replica = find("replica");
    this.release = find("release");
    this.chip.addEventListener("animationend", () => this.chip.classList.remove("moved"));
    /** Since when nobody serves us. @type {number | null} */
    this.waitingSince = null;
    /** When the next try is, if it is planned. @type {number | null} */
    this.retryAt = null;
    /** Since when something is on its way. @type {number | null} */
    this.sendingSince = null;
    this.movedUntil = -Infinity;
    this.logAway = false;
    this.isOver = false;
    this.cancel = () => {};
  }

  /** @param {{ replica: string, release: string }} welcome */
  serving({ replica, release }) {
    this.waitingSince = null;
    const before = this.chip.textContent;
    const wasServed = !this.chip.hidden;
    this.replica.textContent = replica;
    this.release.textContent = release;
    this.chip.hidden = false;
    if (wasServed && before !== this.chip.textContent) {
      this.chip.classList.add("moved");
      this.movedUntil = this.clock.now() + MOVED_MS;
    }
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
    this.isOver = true;
    this.cancel();
    this.#say("ended", "");
    this.chip.hidden = this.retry.hidden = true;
    this.countdown.textContent = this.strip.textContent = "";
  }

  /** Brings the words up to date, and again each second for as long as they change by themselves. */
  show() {
    this.cancel();
    if (this.isOver) return;
    this.facts.close(this.facts.closed() !== "");
    const now = this.clock.now();
    const waited = this.waitingSince === null ? 0 : now - this.waitingSince;
    const waiting = this.waitingSince !== null && waited >= UNNOTICED_MS;
    const left = this.retryAt === null ? null : Math.ceil((this.retryAt - now) / 1000);
    if (waiting) this.#say("waiting", interruptedLine(this.facts.kept()));
    else if (this.waitingSince === null) this.#say(this.logAway ? "away" : "serving", "");
    this.countdown.textContent = waiting ? waitingLine(left) : "";
    this.retry.hidden = !waiting || left === null || left < 1;
    const { words, tone, next } = waiting ? { words: "", tone: "", next: 1000 } : this.#truth(now);
    if (this.strip.textContent !== words) this.strip.textContent = words;
    this.strip.dataset.tone = tone;
    const soon = this.waitingSince !== null && !waiting ? UNNOTICED_MS - waited : next;
    if (soon < Infinity) this.cancel = this.clock.after(soon, () => this.show());
  }

  /** The one thing that matters most of what is true while somebody serves us. @param {number} now */
  #truth(now) {
    const kept = this.facts.kept();
    if (kept === 0) this.sendingSince = null;
    else this.sendingSince ??= now;
    const sent = this.sendingSince === null ? 0 : now - this.sendingSince;
    const closed = this.facts.closed();
    const slow = this.facts.slow();
    if (this.logAway && this.waitingSince === null) return { words: keptLine(kept), tone: "warn", next: closed ? 1000 : Infinity };
    if (closed) return { words: closed, tone: "warn", next: 1000 };
    if (slow) return { words: slow, tone: "", next: 1000 };
    if (sent >= UNNOTICED_MS) return { words: sendingLine(kept), tone: "", next: Infinity };
    if (now < this.movedUntil) {
      const moved = `Moved to ${this.replica.textContent}; nothing was interrupted`;
      return { words: moved, tone: "good", next: this.movedUntil - now };
    }
    return { words: "", tone: "", next: this.sendingSince === null ? Infinity : UNNOTICED_MS - sent };
  }

  /** @param {string} state @param {string} words */
  #say(state, words) {
    this.element.dataset.state = document.body.dataset.state = state;
    document.body.dataset.log = this.logAway && state !== "waiting" ? "away" : "up";
    if (this.notice.textContent !== words) this.notice.textContent = words;
  }
}
