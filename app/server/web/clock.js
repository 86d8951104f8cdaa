// @ts-check
/** @typedef {import("./connection.js").Clock} Clock */

/**
 * The page's clock. A browser runs the timers of a hidden tab once a minute only, which is too
 * late for heartbeats, and for a move that has twenty seconds; those of a worker it leaves alone.
 *
 * @returns {Clock}
 */
export function pageClock() {
  const worker = new Worker(new URL("./clock-worker.js", import.meta.url));
  /** @type {Map<number, { due: number, run: () => void }>} */
  const timers = new Map();
  let tickets = 0;
  const now = () => performance.now();

  worker.onmessage = ({ data: ticket }) => {
    const timer = timers.get(ticket);
    if (!timer) return;
    const early = timer.due - now();
    // The worker's clock is another one; nobody who waits for a moment is called before it.
    if (early > 0) return worker.postMessage([ticket, early]);
    timers.delete(ticket);
    timer.run();
  };

  return {
    now,
    after(ms, run) {
      const ticket = (tickets += 1);
      timers.set(ticket, { due: now() + ms, run });
      worker.postMessage([ticket, Math.max(0, ms)]);
      return () => timers.delete(ticket);
    },
  };
}
