// @ts-check
import { compare } from "./id.js";

/** @typedef {import("./frame.js").Message} Message */
/** @typedef {{ text: string, edited?: string, removed: boolean }} Change what became of a message; `edited`: its newest edit */

/** Unread messages are counted among these, and the end of a conversation is drawn anew from them. */
const KEPT = 200;
/** Changes of messages that are not here, in case one pages back to them. */
const CHANGES = 1_000;

/** Whether it is about another entry, and so no row by itself. @param {Message} message */
export function isChange({ kind, of }) {
  return (kind === "edit" || kind === "remove") && of !== undefined;
}

/** The newest messages of a room, as they are now: the end of its log without gaps. */
export class Recent {
  /** @param {Message[]} [messages] */
  constructor(messages = []) {
    /** @type {Message[]} in the log's order, none of them a change */
    this.messages = [];
    /** By the ID of the message that was changed. @type {Map<string, Change>} */
    this.changes = new Map();
    for (const message of messages) this.add(message);
  }

  get last() {
    return this.messages.at(-1) ?? null;
  }

  /** @param {string} id */
  find(id) {
    return this.messages.find((message) => message.id === id) ?? null;
  }

  /**
   * @param {Message} message
   * @returns {Change | null} what it makes of the message that it is about, if it is a change
   */
  add(message) {
    if (isChange(message)) return this.#change(message);
    const at = this.messages.findLastIndex(({ id }) => compare(id, message.id) <= 0);
    if (this.messages[at]?.id === message.id) return null;
    this.messages.splice(at + 1, 0, this.now(message));
    if (this.messages.length > KEPT) this.messages.shift();
    return null;
  }

  /** A message of any age, as it is now. @param {Message} message @returns {Message} */
  now(message) {
    const { id, edited, text, removed } = message;
    // A page of history has the newest edit in the message already.
    if (edited) this.#keep(id, this.#newest(id, { text, edited, removed: false }));
    const change = this.changes.get(id);
    return change ? { ...message, ...change, removed: change.removed || removed } : message;
  }

  /**
   * How many of them the person has not read, and how many of those speak to them.
   *
   * @param {string | null} read the last one that was read; null: all were
   * @param {(message: Message) => boolean} isOwn
   * @param {(message: Message) => boolean} isToUs
   */
  unread(read, isOwn, isToUs) {
    const counts = { unread: 0, mentions: 0, first: /** @type {string | null} */ (null) };
    if (read === null) return counts;
    for (const message of this.messages) {
      if (compare(message.id, read) <= 0 || isOwn(message) || message.kind === "notice") continue;
      counts.first ??= message.id;
      counts.unread += 1;
      if (isToUs(message)) counts.mentions += 1;
    }
    return counts;
  }

  /** @param {string} id @returns {boolean} whether there was anything before it */
  forgetBefore(id) {
    const before = this.messages.length;
    this.messages = this.messages.filter((message) => compare(message.id, id) >= 0);
    return this.messages.length < before;
  }

  /** The log does not continue where we were: what comes now is another end. @param {string} resumes */
  rewind(resumes) {
    this.messages = this.messages.filter(({ id }) => compare(id, resumes) <= 0);
  }

  /** @param {Message} message */
  #change({ id, kind, of = "", text, removed }) {
    const gone = { text: "", removed: true };
    const change = kind === "remove" || removed ? gone : this.#newest(of, { text, edited: id, removed: false });
    this.#keep(of, change);
    this.messages = this.messages.map((message) => (message.id === of ? this.now(message) : message));
    return change;
  }

  /** Pages come in any order. @param {string} of @param {Change & { edited: string }} change */
  #newest(of, change) {
    const known = this.changes.get(of);
    return known && (known.removed || compare(String(known.edited), change.edited) > 0) ? known : change;
  }

  /** @param {string} of @param {Change} change */
  #keep(of, change) {
    this.changes.delete(of);
    this.changes.set(of, change);
    if (this.changes.size > CHANGES) this.changes.delete(String(this.changes.keys().next().value));
  }
}
