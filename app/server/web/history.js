// @ts-check
import { backoff } from "./backoff.js";
import { isId, successor } from "./id.js";

/**
 * @typedef {import("./connection.js").Clock} Clock
 * @typedef {import("./frame.js").Message} Message
 */

const LIMIT = 50;

/** Answers that another try does not change: there can be no such room. */
const NEVER = [400, 404];

/**
 * The last messages of a room. With a cursor: those up to it, as everything after it comes over
 * the connection; without one the head that comes along is where the connection starts.
 *
 * @param {string} room
 * @param {string | null} cursor
 * @returns {Promise<{ messages: Message[], head: string } | null>} null: there can be no such room
 */
async function read(room, cursor) {
  const query = new URLSearchParams({ limit: String(LIMIT) });
  if (cursor !== null) query.set("before", successor(cursor));
  const answer = await fetch(`/api/v1/rooms/${encodeURIComponent(room)}/messages?${query}`);
  if (NEVER.includes(answer.status)) return null;
  if (!answer.ok) throw new Error(`history of ${room}: ${answer.status}`);
  const { messages, head } = await answer.json();
  if (!Array.isArray(messages) || !isId(head)) throw new Error(`history of ${room}: no history`);
  return { messages, head };
}

/**
 * As `read`, until it succeeds.
 *
 * @param {string} room
 * @param {string | null} cursor
 * @param {Clock} clock
 */
export async function history(room, cursor, clock) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await read(room, cursor);
    } catch (error) {
      console.warn(error);
      const ms = backoff(attempt, Math.random);
      await new Promise((resolve) => clock.after(ms, () => resolve(null)));
    }
  }
}
