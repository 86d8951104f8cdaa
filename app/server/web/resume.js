// @ts-check
import { compare } from "./id.js";

/**
 * What to do with a message, on whichever connection it came.
 *
 * During a move two connections deliver the same messages, so the cursor belongs to the room and
 * not to a connection. `broken`: something between the cursor and this message is missing.
 *
 * @param {string} cursor the last ID processed
 * @param {{ id: string, prev: string }} message
 * @returns {"deliver" | "duplicate" | "broken"}
 */
export function judge(cursor, message) {
  if (compare(message.id, cursor) <= 0) return "duplicate";
  return compare(message.prev, cursor) === 0 ? "deliver" : "broken";
}

/**
 * The cursor after `joined`: only who came without one starts at the head.
 *
 * @param {string | null} cursor
 * @param {{ head: string }} joined
 * @returns {string}
 */
export function afterJoined(cursor, joined) {
  return cursor ?? joined.head;
}

/**
 * The cursor after `gap`, or null if the gap is not ours: the other connection of a move has
 * taken us past the place that this one could not continue from. Should they disagree for real,
 * the next message on this connection does not chain, and a resume asks again with our cursor.
 *
 * @param {string} cursor
 * @param {{ after: string, resumes_at: string }} gap
 * @returns {string | null}
 */
export function afterGap(cursor, gap) {
  return compare(gap.after, cursor) === 0 ? gap.resumes_at : null;
}
