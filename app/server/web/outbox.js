// @ts-check
/**
 * @typedef {{ n: number, text: string }} Item one message of ours that has no ack yet; its `n`
 *   goes down when one before it is dropped, its identity stays
 * @typedef {import("./frame.js").Reject} Reject
 */

/** More than this waiting for a connection, and the person should be told instead. */
const CAPACITY = 100;

/**
 * What was sent to one room and not acknowledged.
 *
 * After a refusal everything behind it is refused too, and a refusal can overtake the acks of what
 * was sent before. So nothing more goes out until all answers are in, and then everything from the
 * first on: starting over at each of them would send the queue once per refusal.
 */
export class Outbox {
  /** @param {{ next?: number, pending?: Item[] }} [saved] */
  constructor({ next = 1, pending = [] } = {}) {
    this.next = next;
    /** @type {Item[]} */
    this.pending = pending.map(({ n, text }) => ({ n, text }));
    /** Sends of the present connection that wait for an answer, with the number they went under.
     * @type {{ n: number, item: Item }[]} */
    this.inFlight = [];
    /** Whether something was refused: start over with the first once `inFlight` is empty. */
    this.rewinding = false;
    this.notBefore = 0;
  }

  get isFull() {
    return this.pending.length >= CAPACITY;
  }

  /** @param {string} text @returns {Item} */
  add(text) {
    const item = { n: this.next, text };
    this.next += 1;
    this.pending.push(item);
    return item;
  }

  /**
   * The next one to put on the wire, now counted as in flight; null if none is there or may go.
   *
   * @param {number} now
   * @returns {Item | null}
   */
  take(now) {
    if (this.rewinding && this.inFlight.length > 0) return null;
    if (now < this.notBefore) return null;
    this.rewinding = false;
    const item = this.pending[this.inFlight.length];
    if (!item) return null;
    this.inFlight.push({ n: item.n, item });
    return item;
  }

  /** @param {number} n @returns {Item | null} what is now in the room log */
  ack(n) {
    const item = this.#answered(n);
    return item && this.#remove(item) ? item : null;
  }

  /**
   * @param {Reject} reject
   * @param {number} now
   * @returns {Item | null} what will never be sent, if that was the verdict
   */
  reject(reject, now) {
    const item = this.#answered(reject.n);
    if (!item) return null;
    this.rewinding = true;
    if (reject.code === "out_of_order") {
      this.#expect(reject.expected);
      return null;
    }
    if (reject.retry_ms !== undefined) {
      this.notBefore = Math.max(this.notBefore, now + reject.retry_ms);
      return null;
    }
    return this.#drop(item) ? item : null;
  }

  /** The connection is gone: the outcome of what is in flight is unknown, all of it goes again. */
  reset() {
    this.inFlight = [];
    this.rewinding = false;
    this.notBefore = 0;
  }

  toJSON() {
    return { next: this.next, pending: this.pending };
  }

  /** @param {number} n */
  #answered(n) {
    const at = this.inFlight.findIndex((sent) => sent.n === n);
    return at < 0 ? null : this.inFlight.splice(at, 1)[0].item;
  }

  /** @param {Item} item */
  #remove(item) {
    const at = this.pending.indexOf(item);
    if (at >= 0) this.pending.splice(at, 1);
    return at >= 0;
  }

  /** @param {Item} item */
  #drop(item) {
    const removed = this.#remove(item);
    if (removed) this.#number(item.n, (other) => other.n > item.n);
    return removed;
  }

  /**
   * A log that lost its newest entries waits for a number that was acknowledged once; what is
   * still here takes it. A higher one than ours only says that earlier tries got there: they are
   * sent again and acknowledged as duplicates.
   *
   * @param {number | undefined} expected
   */
  #expect(expected) {
    const first = this.pending[0];
    if (first && expected !== undefined && expected < first.n) this.#number(expected, () => true);
  }

  /** @param {number} from @param {(item: Item) => boolean} whom */
  #number(from, whom) {
    for (const item of this.pending.filter(whom)) item.n = from++;
    this.next = from;
  }
}
