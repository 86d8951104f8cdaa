// @ts-check

/** So near to one's own move a tap is right: before it, since a connection is opened before the last one closes. */
const NEAR_MS = 1_000;

/** Judges taps of who thinks that a deploy has hit them. */
export class Notices {
  /**
   * @param {import("../connection.js").Clock} clock
   * @param {(isRight: boolean) => void} judged
   */
  constructor(clock, judged) {
    this.clock = clock;
    this.judged = judged;
    this.movedAt = -Infinity;
    /** Of the tap that is not judged yet. @type {(() => void) | null} */
    this.cancel = null;
  }

  /** Somebody else serves us now. */
  moved() {
    this.movedAt = this.clock.now();
    if (this.cancel) this.#judge(true);
  }

  /** A tap waits for its verdict: there is one at a time. */
  get isJudging() {
    return this.cancel !== null;
  }

  tapped() {
    this.cancel = this.clock.after(NEAR_MS, () => this.#judge(false));
    if (this.clock.now() - this.movedAt <= NEAR_MS) this.#judge(true);
  }

  /** @param {boolean} isRight */
  #judge(isRight) {
    this.cancel?.();
    this.cancel = null;
    this.judged(isRight);
  }
}
