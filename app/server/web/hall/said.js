// @ts-check
/**
 * What is said in the room `hall`: ordinary messages, which the page says for who taps. What the hall is asked is the room's
 * topic, which only its moderators set. The stage reads the same: `app/stage/src/hall.rs`.
 *
 * @typedef {{ is: "noticed" } | { is: "vote", round: number, for: string } | { is: "here", round: number }} Said what is said to a
 *   question names its number: it may be sent long after it was pressed, when something else is asked
 * @typedef {{ is: "ask" | "roll call", round: number, of: string[] }} Asked each has a number of its own, also where the same is asked
 */

/** Where taps and votes go. */
export const HALL = "hall";
/** More are no choice for a thumb. */
const MOST = 9;

export const NOTICED = "noticed";
const NAME = /^[\w.-]{1,16}$/u;
const ROUND = /^\d{1,9}$/u;
const ASKED = /^(ask|roll call) (\d{1,9})(?: (.+))?$/u;

/** @param {number} round @param {string} replica */
export function vote(round, replica) {
  return `vote ${round} ${replica}`;
}

/** @param {number} round @param {{ got: number, missing: number, moves: number, silence: number }} seen */
export function here(round, { got, missing, moves, silence }) {
  return `here ${round} ${got} of ${got + missing}, moved ${moves}, silent ${silence} ms`;
}

/** @param {string} text @returns {Said | null} null: somebody talks */
export function read(text) {
  if (text === NOTICED) return { is: "noticed" };
  const [word, number = "", ...rest] = text.split(" ");
  if (!ROUND.test(number)) return null;
  const round = Number(number);
  if (word === "here") return { is: "here", round };
  return word === "vote" && rest.length === 1 && NAME.test(rest[0]) ? { is: "vote", round, for: rest[0] } : null;
}

/** @param {string} topic @returns {Asked | null} null: nothing is */
export function asked(topic) {
  const [, is, round, names] = ASKED.exec(topic) ?? [];
  const of = names?.split(" ") ?? [];
  if (is === "roll call") return of.length === 0 ? { is, round: Number(round), of } : null;
  const isBallot = is === "ask" && of.length > 0 && of.length <= MOST && of.every((name) => NAME.test(name));
  return isBallot ? { is, round: Number(round), of } : null;
}
