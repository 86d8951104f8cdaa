// @ts-check
import { roomPath } from "../api.js";
import { compare, isId, successor } from "../id.js";

/**
 * @typedef {import("../frame.js").Message} Message
 * @typedef {{ messages: Message[], head: string }} Part of a log, in its order
 */

const LIMIT = 50;

/** Pages of a room's log, by the HTTP API. */
export class Past {
  /** @param {import("../api.js").Api} api @param {string} room */
  constructor(api, room) {
    this.api = api;
    this.room = room;
  }

  /** Those up to this one, as everything after it comes over the connection. @param {string} id */
  upTo(id) {
    return this.#read({ before: successor(id) });
  }

  /** @param {string} id */
  before(id) {
    return this.#read({ before: id });
  }

  /** Those that follow it; null too if the server, of a release before, does not know how. @param {string} id */
  async after(id) {
    const part = await this.#read({ after: id });
    // It would have answered with the newest ones.
    return part && part.messages.every((message) => compare(message.id, id) > 0) && continues(part, id) ? part : null;
  }

  /** Those around a message. @param {string} id */
  async around(id) {
    const part = await this.#read({ around: id });
    return part?.messages.some((message) => message.id === id) ? part : this.upTo(id);
  }

  /** @param {Record<string, string>} where @returns {Promise<Part | null>} null: there is no answer now */
  async #read(where) {
    const query = new URLSearchParams({ limit: String(LIMIT), ...where });
    const { ok, data } = await this.api.call("GET", roomPath(this.room, `/messages?${query}`));
    return ok && Array.isArray(data?.messages) && isId(data.head) ? { messages: data.messages, head: data.head } : null;
  }
}

/** @param {Part} part @param {string} id */
function continues({ messages, head }, id) {
  return messages.length === 0 ? compare(head, id) <= 0 : compare(messages[0].prev, id) === 0;
}
