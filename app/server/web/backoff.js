// @ts-check

const CEILING_MS = 10_000;
const FIRST_MS = 200;

/**
 * Full jitter: anywhere between nothing and an exponentially growing bound. After a replica died,
 * its clients come back spread out instead of all at once.
 *
 * @param {number} attempt 0 for the first try
 * @param {() => number} random in [0, 1)
 * @returns {number} ms to wait
 */
export function backoff(attempt, random) {
  return random() * Math.min(CEILING_MS, FIRST_MS * 2 ** attempt);
}
