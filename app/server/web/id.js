// @ts-check
/**
 * Message IDs: `ms-seq`, as text on the wire.
 *
 * A part may be any number below 2^64, more than a JavaScript number can tell apart, so parts are
 * kept as digits: without leading zeros the longer one is the larger one.
 */

/** The place before the first entry of any log. */
export const ZERO = "0-0";

const FORM = /^(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})$/;

/** @param {unknown} value @returns {value is string} */
export function isId(value) {
  return typeof value === "string" && FORM.test(value);
}

/** @param {string} id @returns {[string, string]} */
function parts(id) {
  const match = FORM.exec(id);
  if (!match) throw new TypeError(`not a message ID: ${JSON.stringify(id.slice(0, 64))}`);
  return [match[1], match[2]];
}

/** @param {string} a @param {string} b */
function compareDigits(a, b) {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Below 0 if `a` comes before `b`, 0 if they are the same, above 0 otherwise.
 *
 * @param {string} a @param {string} b @returns {number}
 */
export function compare(a, b) {
  const [aMs, aSeq] = parts(a);
  const [bMs, bSeq] = parts(b);
  return compareDigits(aMs, bMs) || compareDigits(aSeq, bSeq);
}

/**
 * The smallest ID after `id`; turns the history API's exclusive `before` into an inclusive one.
 *
 * @param {string} id @returns {string}
 */
export function successor(id) {
  const [ms, seq] = parts(id);
  return `${ms}-${BigInt(seq) + 1n}`;
}
