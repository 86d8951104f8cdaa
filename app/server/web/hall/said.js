// @ts-check
/**
 * What is said in the room `hall`: ordinary messages, which the page says for who taps. The stage reads the same:
 * `app/stage/src/hall.rs`.
 *
 * @typedef {{ is: "noticed" } | { is: "vote", for: string } | { is: "here" } | { is: "ask", of: string[] } | { is: "call" }} Said
 */

/** Where taps and votes go. */
export const HALL = "hall";
/** More are no choice for a thumb. */
const MOST = 9;

export const NOTICED = "noticed";
const CALL = "roll call";
const NAME = /^[\w.-]{1,16}$/u;

/** @param {string} replica */
export function vote(replica) {
  return `vote ${replica}`;
}

/** @param {string} text @returns {Said | null} null: somebody talks */
export function read(text) {
  if (text === NOTICED) return { is: "noticed" };
  if (text === CALL) return { is: "call" };
  const [word, ...names] = text.split(" ");
  if (word === "here") return { is: "here" };
  if (names.length === 0 || names.length > MOST || !names.every((name) => NAME.test(name))) return null;
  if (word === "ask") return { is: "ask", of: names };
  return word === "vote" && names.length === 1 ? { is: "vote", for: names[0] } : null;
}
