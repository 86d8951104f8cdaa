// @ts-check
/** @typedef {import("./connection.js").Clock} Clock */

/**
 * The page's clock. A browser runs the timers of a hidden tab once a minute only, which is too
 * late for heartbeats, and for a move that has twenty seconds; those of a worker it leaves alone.
 * Where there can be no worker, the page's own timers have to do.
 *
 * @returns {Clock}
 */
export function pageClock() {
  /** @type {Map<number, { due: number, run: () => void }>} */
  const timers = new Map();
  let tickets = 0;
  const now = () => performance.now();

  /** @param {number} ticket */
  const ring = (ticket) => {
    const timer = timers.get(ticket);
    if (!timer) return;
    const early = timer.due - now();
    // The worker's clock is another one; nobody who waits for a moment is called before it.
    if (early > 0) return arm(ticket, early);
    timers.delete(ticket);
    timer.run();
  };

  let worker = startWorker();
  if (worker) {
    worker.onmessage = ({ data: ticket }) => ring(ticket);
    worker.onerror = (event) => {
      event.preventDefault();
      console.warn("No timers of a worker:", event.message);
      worker = null;
      for (const [ticket, { due }] of timers) arm(ticket, due - now());
    };
  }

  /** @param {number} ticket @param {number} ms */
  function arm(ticket, ms) {
    if (worker) worker.postMessage([ticket, Math.max(0, ms)]);
    else setTimeout(() => ring(ticket), ms);
  }

  return {
    now,
    after(ms, run) {
      const ticket = (tickets += 1);
      timers.set(ticket, { due: now() + ms, run });
      arm(ticket, ms);
      return () => timers.delete(ticket);
    },
  };
}

function startWorker() {
  try {
    return new Worker("/web/clock-worker.js");
  } catch (error) {
    console.warn("No timers of a worker:", error);
    return null;
  }
}

const LOOK_MS = 1_000;
/** More than a busy machine is late; less than a person notices. */
const JUMP_MS = 3_000;

/**
 * Calls whenever this machine has slept, or its clock was set: the connection may be dead since.
 *
 * @param {Clock} clock
 * @param {() => number} wall the time of day, which goes on during a sleep where `clock` does not
 * @param {() => void} jumped
 */
export function onJump(clock, wall, jumped) {
  let [wallWas, clockWas] = [wall(), clock.now()];
  const look = () => {
    const [onWall, onClock] = [wall() - wallWas, clock.now() - clockWas];
    [wallWas, clockWas] = [wall(), clock.now()];
    if (Math.abs(onWall - LOOK_MS) > JUMP_MS || onClock - LOOK_MS > JUMP_MS) jumped();
    clock.after(LOOK_MS, look);
  };
  clock.after(LOOK_MS, look);
}
