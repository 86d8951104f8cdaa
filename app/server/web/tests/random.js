// @ts-check

/**
 * Reproducible randomness: a run prints its seed, and SEED=… repeats it.
 *
 * @param {import("node:test").TestContext} t
 * @returns {(below: number) => number}
 */
export function seeded(t) {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`SEED=${seed}`);
  let state = seed >>> 0;
  // Mulberry32.
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
