// @ts-check
import { isId } from "./id.js";

/**
 * The frames of the wire protocol, version 1. `app/protocol` is its definition; the golden
 * fixtures there are read by this folder's tests too.
 *
 * @typedef {{ member: string, name: string }} Member
 * @typedef {{ room: string, id: string, prev: string, member: string, name: string, n: number,
 *   text: string, at: number, sender?: string, kind?: string, of?: string, mark?: string,
 *   removed?: boolean, edited?: string }} Message
 * @typedef {{ name: string, role: string }} Account
 * @typedef {{ room: string, topic?: string, access: string, frozen: boolean, archived: boolean,
 *   slow_ms: number, owner?: string, you: { moderates: boolean, muted_until?: number } }} State
 * @typedef {{ edit?: string, remove?: string }} About the message that a send is about, if it is
 * @typedef {{ text_bytes: number, frame_bytes: number, rooms: number, pending: number }} Limits
 * @typedef {{ replica: string, release: string, member: string, heartbeat_ms: number,
 *   limits: Limits, name?: string, sender?: string, account?: Account, features?: string[] }} Welcome
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
/** @param {any} value */
const isAccount = (value) => isText(value?.name) && isText(value?.role);
/** @param {unknown} value */
const isTexts = (value) => Array.isArray(value) && value.every(isText);
/** @param {(value: unknown) => boolean} test */
const optional = (test) => (/** @type {unknown} */ value) => value === undefined || test(value);

/** @param {any} value */
const isStanding = (value) => isFlag(value?.moderates) && optional(isCount)(value.muted_until);

/** @type {Record<string, Record<string, (value: unknown) => boolean>>} */
const SERVER = {
  welcome: {
    v: isCount, member: isText, replica: isText, release: isText, heartbeat_ms: isCount,
    limits: isLimits, name: optional(isText), sender: optional(isText), account: optional(isAccount),
    features: optional(isTexts),
  },
  joined: { room: isText, head: isId, status: isText, present: isCount, members: isMembers },
  message: {
    room: isText, id: isId, prev: isId, member: isText, name: isText, n: isCount, text: isText,
    at: isCount, sender: optional(isText), kind: optional(isText), of: optional(isId),
    mark: optional(isText), removed: optional(isFlag),
    edited: optional(isId),
  },
  room: {
    room: isText, topic: optional(isText), access: isText, frozen: isFlag, archived: isFlag, slow_ms: isCount,
    owner: optional(isText), you: isStanding,
  },
  read: { room: isText, id: isId },
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
 * @param {string | null} [token] of the account's session
 * @returns {Frame}
 */
export function hello(client, name, why, rooms, token = null) {
  const places = Array.from(rooms, ([room, after]) => place(room, after));
  const signed = token === null ? {} : { token };
  return { type: "hello", v: VERSION, client, name, why, moves: true, rooms: places, ...signed };
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

/** @param {string} room @param {string | null} after @param {string} [invite] @returns {Frame} */
export function join(room, after, invite) {
  return { type: "join", ...place(room, after), ...(invite === undefined ? {} : { invite }) };
}

/** @param {string} room @returns {Frame} */
export function leave(room) {
  return { type: "leave", room };
}

/** The message that an edit or a removal is about; undefined: it is a message by itself. @param {About} about */
export function subjectOf({ edit, remove }) {
  return edit ?? remove;
}

/** @param {string} room @param {number} n @param {string} text @param {About} [about] @returns {Frame} */
export function send(room, n, text, { edit, remove } = {}) {
  const about = edit !== undefined ? { edit } : remove !== undefined ? { remove } : {};
  return { type: "send", room, n, text, ...about };
}

/** @param {string} room @param {string} id @returns {Frame} */
export function read(room, id) {
  return { type: "read", room, id };
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
