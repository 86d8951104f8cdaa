// @ts-check
import { Window } from "./window.js";
import { wellFormed } from "./words.js";

/**
 * @typedef {{ n: number, text: string, trace: Trace, onItsWay: boolean, edit?: string,
 *   remove?: string, by?: Writer }} Item one message of ours that has no ack yet; its `n` changes when
 *   one before it is dropped, its identity stays. `edit`, `remove`: the message that it is about; `by`:
 *   whoever wrote it, once that is known
 * @typedef {import("./participant.js").Writer} Writer
 * @typedef {import("./frame.js").About} About
 * @typedef {"" | "sent" | "skipped" | "seen"} Trace what is known of a message without an answer:
 *   no connection was lost with it; one was, so it may be in the log; and we could not see the
 *   place of the log where it would be; it is in the log
 * @typedef {import("./frame.js").Reject} Reject
 */

/** More than this waiting for a connection, and the person should be told instead. */
const CAPACITY = 100;

/** Pause before everything is sent again a second time in a row: no hot loop. */
const STUBBORN_MS = 100;

/**
 * What was sent to one room and not acknowledged. `app/protocol` has the rules, and the scenarios
 * that this and the Rust client are tested with.
 *
 * Nothing goes out before `live`: by then everything of ours that got into the log has been seen,
 * whatever the log itself remembers. After a refusal nothing goes out until every later message
 * that was on its way is answered too: only then is it certain which number the log waits for.
 */
export class Outbox {
  /** @param {{ next?: number, pending?: ({ n: number, text: string, trace?: Trace, by?: Writer } & About)[],
   *   seen?: number }} [saved] */
  constructor({ next = 1, pending = [], seen = 0 } = {}) {
    this.next = next;
    /** @type {Item[]} what an older page saved has no trace: it may have been sent */
    this.pending = pending.map(({ n, text, trace = "sent", by, ...about }) =>
      ({ n, text: wellFormed(text), trace, onItsWay: false, by, ...subject(about) }));
    /** Our highest number that was seen in the log. */
    this.seen = seen;
    this.reset();
  }

  get isFull() {
    return this.pending.length >= CAPACITY;
  }

  /** How many the connection carries. */
  get onItsWay() {
    return this.pending.filter(({ onItsWay }) => onItsWay).length;
  }

  /** When `take` may have something that it does not have now; null if no clock helps. */
  get wakeAt() {
    const waits = this.open && !this.settling && this.pending.length > 0;
    return waits && this.notBefore > 0 ? this.notBefore : null;
  }

  /** @param {string} text @param {About} [about] @param {Writer} [by] @returns {Item} */
  add(text, about = {}, by = undefined) {
    /** @type {Item} */
    const item = { n: this.next, text: wellFormed(text), trace: "", onItsWay: false, by, ...subject(about) };
    this.next += 1;
    this.pending.push(item);
    return item;
  }

  /**
   * The connection that carries the sends is live in the room, as it may have been before.
   *
   * @returns {{ taken: Item[], unknown: Item[] }} what is settled: seen in the log; or perhaps in
   *   it, and not sent again
   */
  live() {
    const first = !this.open;
    this.open = true;
    const taken = this.#takeOut(({ trace, onItsWay }) => trace === "seen" && !onItsWay);
    const unknown = first ? this.#takeOut(({ trace }) => trace === "skipped") : [];
    // The log has our number, but not this text under it: its turn comes after that.
    if (first && (this.pending[0]?.n ?? this.next) <= this.seen) this.#renumber(this.seen + 1);
    return { taken, unknown };
  }

  /**
   * The next one to put on the wire, now counted as on its way; null if none is there or may go.
   *
   * @param {number} now
   * @returns {Item | null}
   */
  take(now) {
    this.#settle(now);
    const { open, settling, notBefore } = this;
    if (!open || settling || now < notBefore) return null;
    this.notBefore = 0;
    if (this.onItsWay >= this.window.size) return null;
    const item = this.pending.find(({ onItsWay }) => !onItsWay);
    if (!item) return null;
    item.onItsWay = true;
    return item;
  }

  /** @param {number} n @returns {Item | null} what is now in the room log */
  ack(n) {
    const item = this.#answered(n);
    if (!item) return null;
    this.refusedRounds = 0;
    this.window.acked();
    this.#takeOut((other) => other === item);
    return item;
  }

  /**
   * @param {Reject} reject
   * @param {number} now
   * @returns {Item | null} what will never be sent, if that was the verdict
   */
  reject(reject, now) {
    const item = this.#answered(reject.n);
    if (!item) return null;
    this.settling = true;
    this.window.refused(reject.code);
    const dropped = !NUMBERING.has(reject.code) && reject.retry_ms === undefined;
    if (dropped) {
      this.due = { n: reject.n, takenBelow: false };
      this.#takeOut((other) => other === item);
    } else {
      this.#expect(reject);
      item.onItsWay = false;
      if (item.trace === "skipped") item.trace = "sent"; // this try was answered
      if (reject.retry_ms !== undefined) this.#hold(now + reject.retry_ms);
    }
    this.#settle(now);
    return dropped ? item : null;
  }

  /**
   * A message of ours came, on whichever connection.
   *
   * @param {{ n: number, text: string, kind?: string, of?: string, removed?: boolean }} message
   * @param {boolean} tellsKinds a release before tells an edit as if it were a message by itself
   */
  own({ n, text, kind, of, removed }, tellsKinds) {
    this.seen = Math.max(this.seen, n);
    const about = (/** @type {string} */ what) => (kind === what ? of : undefined);
    const isIt = (/** @type {Item} */ item) => item.edit === about("edit") && item.remove === about("remove");
    // A text alone can be said twice; a number alone can be that of one given up as unknown. What
    // was removed since comes without its text.
    const item = this.pending.find((other) =>
      other.n === n && (removed || other.text === text) && (!tellsKinds || isIt(other)));
    if (item) item.trace = "seen";
  }

  /**
   * Gives up what waits and fits. What is on its way stays until it is answered, or its connection is lost.
   *
   * @param {(item: Item) => boolean} fits
   * @returns {{ taken: Item[], unknown: Item[], unsent: Item[] }} `unknown`: perhaps in the log
   */
  giveUp(fits) {
    const out = this.#takeOut((item) => !item.onItsWay && fits(item));
    const of = (/** @type {Trace[]} */ ...traces) => out.filter(({ trace }) => traces.includes(trace));
    return { taken: of("seen"), unknown: of("sent", "skipped"), unsent: of("") };
  }

  /** The log does not continue where we were. @param {string} reason */
  gap(reason) {
    if (reason === "rewound") this.seen = 0;
    for (const item of this.pending) {
      // What was lost is not in the log any more: that goes again.
      if (reason === "rewound") item.trace = item.trace === "seen" ? "sent" : item.trace;
      else if (item.trace === "sent" || (item.onItsWay && item.trace === "")) item.trace = "skipped";
    }
  }

  /** The connection is gone: what is not in the log by the next `live` goes again. */
  reset() {
    for (const item of this.pending) {
      if (item.onItsWay && item.trace === "") item.trace = "sent";
      item.onItsWay = false;
    }
    this.open = false;
    /** @type {Window} */
    this.window = new Window();
    /** The number that the log waits for, as a refusal told; `takenBelow`: lower ones are other
     * texts'. A due number that was not settled is forgotten: the log will name it again.
     * @type {{ n: number, takenBelow: boolean } | null} */
    this.due = null;
    /** A refusal stands between what is on its way and the next one. */
    this.settling = false;
    /** @type {number} */
    this.notBefore = 0;
    /** Times that everything was to be sent again since the last ack. @type {number} */
    this.refusedRounds = 0;
  }

  toJSON() {
    const pending = this.pending.map(({ n, text, trace, onItsWay, ...about }) =>
      ({ n, text, trace: trace || (onItsWay ? "sent" : ""), ...about }));
    return { next: this.next, pending, seen: this.seen };
  }

  /** @param {Reject} reject */
  #expect({ n, code, expected }) {
    if (code === "number_taken") this.due = { n: expected ?? n + 1, takenBelow: true };
    else if (code !== "out_of_order") return;
    else if (this.due?.takenBelow) this.due.n = Math.max(this.due.n, expected ?? 0);
    else this.due = expected === undefined ? null : { n: expected, takenBelow: false };
  }

  /**
   * After a refusal, once nothing is on its way: gives the number that is due to the first message
   * if none has it, and the numbers after it to the rest.
   *
   * @param {number} now
   */
  #settle(now) {
    if (!this.settling || this.onItsWay > 0) return;
    this.settling = false;
    this.refusedRounds += 1;
    if (this.refusedRounds > 1) this.#hold(now + STUBBORN_MS);
    const due = this.due;
    this.due = null;
    if (!due) return;
    // With the first at or below it, what the log waits for is here: what is below was taken, and
    // is acknowledged as a duplicate. Lower than the first, perhaps acknowledged: the log lost its end.
    if (due.takenBelow || (this.pending[0]?.n ?? Infinity) > due.n) this.#renumber(due.n);
  }

  /** @param {number} until */
  #hold(until) {
    this.notBefore = Math.max(this.notBefore, until);
  }

  /** @param {number} n */
  #answered(n) {
    return this.pending.find((item) => item.n === n && item.onItsWay) ?? null;
  }

  /** @param {(item: Item) => boolean} which @returns {Item[]} those, which are out now */
  #takeOut(which) {
    const out = this.pending.filter(which);
    if (out.length > 0) this.pending = this.pending.filter((item) => !out.includes(item));
    return out;
  }

  /** @param {number} from */
  #renumber(from) {
    for (const item of this.pending) item.n = from++;
    this.next = from;
  }
}

/** Refusals that are about the number: the message goes again. */
const NUMBERING = new Set(["out_of_order", "number_taken"]);

/** Nothing else of it than what it is about. @param {About} about @returns {About} */
function subject({ edit, remove }) {
  return edit !== undefined ? { edit } : remove !== undefined ? { remove } : {};
}
