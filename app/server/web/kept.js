// @ts-check
import { isId } from "./id.js";

/**
 * @typedef {import("./frame.js").Message} Message
 * @typedef {{ get(key: string): string | null, set(key: string, value: string | null): boolean }} Store
 */

const PAST = "rollcall.past";
const MESSAGES = 30;
const MOST_ROOMS_KEPT = 20;
/** Well below what any browser keeps for a site. */
const LETTERS = 300_000;

/** The last messages of each room, for a page that opens without a network. */
export class Kept {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.rooms = messagesOf(store.get(PAST));
  }

  /** @param {string} room @returns {Message[]} */
  of(room) {
    return this.rooms.get(room) ?? [];
  }

  /** @param {Iterable<{ name: string, recent: { messages: Message[] } }>} rooms */
  save(rooms) {
    const newest = (/** @type {Message[]} */ messages) => messages.at(-1)?.at ?? 0;
    const list = Array.from(rooms, ({ name, recent }) => /** @type {[string, Message[]]} */ ([name, recent.messages.slice(-MESSAGES)]))
      .filter(([, messages]) => messages.length > 0)
      .sort(([, a], [, b]) => newest(b) - newest(a)).slice(0, MOST_ROOMS_KEPT);
    let text = JSON.stringify(list);
    while (text.length > LETTERS && list.length > 1) text = JSON.stringify(list.splice(-1) && list);
    this.store.set(PAST, text.length > LETTERS ? null : text);
  }

  forget() {
    this.rooms.clear();
    this.store.set(PAST, null);
  }
}

/** @param {string | null} saved @returns {Map<string, Message[]>} */
function messagesOf(saved) {
  try {
    const isMessage = (/** @type {any} */ it) => isId(it?.id) && isId(it.prev) && typeof it.text === "string"
      && typeof it.name === "string" && typeof it.member === "string" && Number.isFinite(it.at);
    const rooms = JSON.parse(saved ?? "[]").filter((/** @type {any} */ it) =>
      typeof it?.[0] === "string" && Array.isArray(it[1]) && it[1].every(isMessage));
    return new Map(rooms);
  } catch {
    return new Map();
  }
}
