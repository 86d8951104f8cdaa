// @ts-check

/** Acks that one place more takes after the server found us too fast. */
const CAREFUL = 4;

/**
 * How many sends of one room may be on their way on one connection. One at first: a log that
 * remembers nothing of us takes any number, and so tells nothing about the one before it. Each ack
 * gives one place more. A server that is too busy refuses all that is on its way, so after that it
 * is one place again, and more come slowly.
 */
export class Window {
  size = 1;
  /** Acks since the size changed, and how many change it. */
  acks = 0;
  step = 1;

  acked() {
    this.acks += 1;
    if (this.acks < this.step) return;
    this.size += 1;
    this.acks = 0;
  }

  /** @param {string} code */
  refused(code) {
    // Neither says anything of the server's pace: the one follows from the refusal before it, the
    // other is the text's fault.
    if (code === "out_of_order" || code === "bad_text") return;
    this.size = 1;
    this.acks = 0;
    this.step = code === "number_taken" ? 1 : CAREFUL;
  }
}
