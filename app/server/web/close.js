// @ts-check

/** This replica goes away: come back at once. */
export const RESTART = 1012;
/** The connection broke, or was given up on, without a close frame. */
export const BROKEN = 1006;
export const NORMAL = 1000;
/** Banned, or signed out everywhere. */
export const DISMISSED = 4403;

const FINAL = new Set([NORMAL, 1002, 1003, 1007, 1008, 1009]);

/**
 * Whether a client should not come back by itself: it is done, or was refused for a reason that
 * another try does not change.
 *
 * @param {number} code
 */
export function isFinal(code) {
  return FINAL.has(code) || (code >= 4400 && code <= 4499);
}
