// @ts-check
import { isId } from "./id.js";

/**
 * The frames of the wire protocol, version 1. `app/protocol` is its definition; the golden
 * fixtures there are read by this folder's tests too.
 *
 * @typedef {{ member: string, name: string }} Member
 * @typedef {{ room: string, id: string, prev: string, member: string, name: string, n: number,
 *   text: string, at: number }} Message
 * @typedef {{ text_bytes: number, frame_bytes: number, rooms: number, pending: number }} Limits
 * @typedef {{ replica: string, release: string, member: string, heartbeat_ms: number,
 *   limits: Limits }} Welcome
 * @typedef {{ room: string, after: string, resumes_at: string, reason: string }} Gap
 * @typedef {{ room: string, n: number, code: string, detail: string, expected?: number,
 *   retry_ms?: number }} Reject
 * @typedef {"fresh" | "resume" | "move"} Why
 * @typedef {{ type: string, [field: string]: any }} Frame
 */

export const VERSION = 1;

/** @param {unknown} value */
const isText = (value) => typeof value === "string";
/** @param {unknown} value */
const isCount = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
/** @param {unknown} value */
const isFlag = (value) => typeof value === "boolean";
/** @param {unknown} value */
const isMembers = (value) =>
  Array.isArray(value) && value.every((one) => isText(one?.member) && isText(one?.name));
/** @param {any} value */
const isLimits = (value) =>
  ["text_bytes", "frame_bytes", "rooms", "pending"].every((limit) => isCount(value?.[limit]));
/** @param {(value: unknown) => boolean} test */
const optional = (test) => (/** @type {unknown} */ value) => value === undefined || test(value);

/** @type {Record<string, Record<string, (value: unknown) => boolean>>} */
const SERVER = {
  welcome: {
    v: isCount, member: isText, replica: isText, release: isText, heartbeat_ms: isCount,
    limits: isLimits,
  },
  joined: { room: isText, head: isId, status: isText, present: isCount, members: isMembers },
  message: {
    room: isText, id: isId, prev: isId, member: isText, name: isText, n: isCount, text: isText,
    at: isCount,
  },
  live: { room: isText, id: isId },
  gap: { room: isText, after: isId, resumes_at: isId, reason: isText },
  ack: { room: isText, n: isCount, id: optional(isId), duplicate: isFlag },
  reject: {
    room: isText, n: isCount, code: isText, detail: isText, expected: optional(isCount),
    retry_ms: optional(isCount),
  },
  presence: { room: isText, event: isText, member: isText, name: isText },
  members: { room: isText, present: isCount, members: isMembers },
  typing: { room: isText, member: isText, name: isText },
  pong: { t: isCount },
  error: { code: isText, detail: isText, room: optional(isText) },
  goaway: { in_ms: isCount, deadline_ms: isCount, reason: isText },
  status: { log: isText },
};

/**
 * @param {string} text
 * @returns {Frame | null} null for a type that this version does not know
 * @throws {TypeError} if it is not a frame, or a known one with a field missing or of a wrong type
 */
export function decode(text) {
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    throw new TypeError("not JSON");
  }
  if (!isText(frame?.type)) throw new TypeError("a frame has a type");
  if (!Object.hasOwn(SERVER, frame.type)) return null;
  for (const [field, test] of Object.entries(SERVER[frame.type])) {
    if (!test(frame[field])) throw new TypeError(`${frame.type}: bad ${field}`);
  }
  return frame;
}

/** A room and the cursor in it; a null cursor stays off the wire.
 * @param {string} room @param {string | null} after */
function place(room, after) {
  return after === null ? { room } : { room, after };
}

/**
 * @param {string} client the client key
 * @param {string} name
 * @param {Why} why
 * @param {Iterable<[string, string | null]>} rooms with their cursors
 * @returns {Frame}
 */
export function hello(client, name, why, rooms) {
  const places = Array.from(rooms, ([room, after]) => place(room, after));
  return { type: "hello", v: VERSION, client, name, why, moves: true, rooms: places };
}

/** What a server allows as long as it has not said otherwise. @type {Limits} */
export const USUAL_LIMITS = { text_bytes: 4096, frame_bytes: 16_384, rooms: 64, pending: 1 };

/**
 * A `hello` within the limits: it names as many rooms as fit, in this order. The others are joined
 * after `welcome`.
 *
 * @param {Frame} hello
 * @param {Limits} limits
 * @returns {Frame}
 */
export function fitting(hello, limits) {
  const bytes = (/** @type {unknown} */ value) => new TextEncoder().encode(JSON.stringify(value)).length;
  let left = limits.frame_bytes - bytes({ ...hello, rooms: [] });
  const rooms = hello.rooms.slice(0, limits.rooms);
  const over = rooms.findIndex((/** @type {unknown} */ place) => (left -= bytes(place) + 1) < 0);
  return { ...hello, rooms: over < 0 ? rooms : rooms.slice(0, over) };
}

/** @param {string} room @param {string | null} after @returns {Frame} */
export function join(room, after) {
  return { type: "join", ...place(room, after) };
}

/** @param {string} room @returns {Frame} */
export function leave(room) {
  return { type: "leave", room };
}

/** @param {string} room @param {number} n @param {string} text @returns {Frame} */
export function send(room, n, text) {
  return { type: "send", room, n, text };
}

/** @param {string} room @returns {Frame} */
export function typing(room) {
  return { type: "typing", room };
}

/** @param {number} t @returns {Frame} */
export function ping(t) {
  return { type: "ping", t };
}

/** @returns {Frame} */
export function bye() {
  return { type: "bye" };
}
