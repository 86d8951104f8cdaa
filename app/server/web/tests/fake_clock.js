// @ts-check

/** Time that passes only when told to; what is due runs in order, as in a browser. */
export class FakeClock {
  constructor() {
    this.time = 1_000_000;
    /** @type {{ at: number, run: () => void }[]} */
    this.timers = [];
  }

  now() {
    return this.time;
  }

  /** @param {number} ms @param {() => void} run */
  after(ms, run) {
    const timer = { at: this.time + Math.max(0, ms), run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** @param {number} ms */
  pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((other) => other !== due);
      // One that is overdue runs now.
      this.time = Math.max(this.time, due.at);
      due.run();
    }
    this.time = end;
  }
}
