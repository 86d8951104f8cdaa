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
    /** That move was noticed. */
    this.isNoticed = false;
    /** Nobody serves us. */
    this.isAway = false;
    /** A tap waits for its verdict. */
    this.isJudging = false;
    this.cancel = () => {};
  }

  /** Nobody serves us any more: what is tapped is told later, and is judged only then. */
  away() {
    this.isAway = true;
    this.cancel();
  }

  /** Somebody else serves us now. */
  moved() {
    this.isAway = false;
    this.movedAt = this.clock.now();
    this.isNoticed = false;
    if (this.isJudging) this.#judge(true);
  }

  /** Whether a tap says anything: one waits for its verdict at a time, and a move is noticed once. */
  get takesTaps() {
    return !this.isJudging && !(this.isNoticed && this.#isNear);
  }

  get #isNear() {
    return this.clock.now() - this.movedAt <= NEAR_MS;
  }

  tapped() {
    this.isJudging = true;
    if (this.#isNear) this.#judge(true);
    else if (!this.isAway) this.cancel = this.clock.after(NEAR_MS, () => this.#judge(false));
  }

  /** @param {boolean} isRight */
  #judge(isRight) {
    this.cancel();
    this.isJudging = false;
    this.isNoticed ||= isRight;
    this.judged(isRight);
  }
}
