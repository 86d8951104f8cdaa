// @ts-check
import { backoff } from "./backoff.js";
import { Conversation } from "./talk/conversation.js";
import { Past } from "./talk/past.js";
import { Recent } from "./recent.js";
import { calls } from "./mention.js";

/**
 * @typedef {import("./frame.js").Message} Message
 * @typedef {import("./frame.js").State} State
 * @typedef {import("./people/roster.js").Roster} Roster
 * @typedef {{ participant: import("./participant.js").Participant, clock: import("./connection.js").Clock,
 *   api: import("./api.js").Api, me(): string | null, myName(): string, seen(room: Room): void,
 *   again(room: Room, item: import("./outbox.js").Item): void }} House what all rooms share
 */

/** A message that speaks of more people than this is not drawn by looking for each of them. */
const NAMES = 300;

/** One room: what was said there, who is there, and how far one has read. */
export class Room {
  /** @param {string} name @param {House} house @param {Message[]} kept what an earlier page knew of it */
  constructor(name, house, kept) {
    this.name = name;
    this.house = house;
    this.recent = new Recent(kept);
    this.past = new Past(house.api, name);
    /** @type {State | null} */
    this.state = null;
    /** @type {Roster | null} */
    this.roster = null;
    /** Why we are not in it, if we are not. */
    this.shut = "";
    this.loading = false;
    /** Until when slow mode holds us, by the clock. */
    this.slowUntil = 0;
    this.conversation = new Conversation(name, {
      me: house.me,
      myName: house.myName,
      names: () => this.names(),
      sent: (message) => this.isSent(message),
      older: () => void this.#older(),
      newer: () => void this.#newer(),
      seen: () => house.seen(this),
      again: (item) => house.again(this, item),
    });
    this.conversation.element.hidden = true;
    this.conversation.fill(this.recent.messages);
  }

  /** Where we stand in it. Asking makes it a room of ours. */
  get place() {
    return this.house.participant.room(this.name);
  }

  /** Whether it has our number, or else is at least ours. @param {Message} message */
  isSent(message) {
    return this.house.participant.sent(message);
  }

  /** @param {Message} message */
  isOwn(message) {
    return this.isSent(message) || message.member === this.house.me();
  }

  /** People of two are called by the other one's name. */
  get title() {
    if (this.state?.access !== "direct") return this.name;
    const others = [...(this.roster?.names ?? [])].filter(([member]) => member !== this.house.me()).map(([, name]) => name);
    const author = this.recent.messages.findLast((message) => !this.isOwn(message))?.name;
    return author ?? others[0] ?? (this.#invited || this.state.topic || this.name);
  }

  /** Whom we asked into a room of two, as the server's first words there say, before they have come. */
  get #invited() {
    const we = `${this.house.myName()} and `;
    const notice = this.recent.messages.find(({ kind, text }) => kind === "notice" && text.startsWith(we));
    return notice?.text.slice(we.length).split(" talk here")[0];
  }

  /** Whom one may speak to by name. @returns {string[]} */
  names() {
    const names = new Set([...(this.roster?.names.values() ?? [])].slice(0, NAMES));
    for (const { name } of this.recent.messages) names.add(name);
    return [...names];
  }

  get unread() {
    const isToUs = (/** @type {Message} */ { text }) => calls(text, this.house.myName());
    return this.recent.unread(this.place.read, (message) => this.isOwn(message), isToUs);
  }

  /** What cannot be written here, in a sentence; empty: one can. @param {number} wall ms since 1970 */
  closed(wall) {
    if (this.shut) return `You are not in this room: ${this.shut}`;
    if (this.state?.archived) return "This room is archived: one can read it, and nobody can write";
    const { moderates = false, muted_until: until = -1 } = this.state?.you ?? {};
    if (this.state?.frozen && !moderates) return "This room is frozen: nobody can write until a moderator thaws it";
    // 0 is for good.
    if (until === 0 || until > wall) return `A moderator muted you here${until ? ` for another ${spell(Math.ceil((until - wall) / 1000))}` : ""}`;
    return "";
  }

  /** @param {Message} message as it comes over the connection */
  message(message) {
    const change = this.recent.add(message);
    if (change) this.conversation.change(String(message.of), change);
    else this.conversation.add(message);
    if (this.isSent(message) && this.state?.slow_ms && !this.state.you.moderates) {
      this.slowUntil = this.house.clock.now() + this.state.slow_ms;
    }
  }

  /**
   * Shows what was said up to our cursor, where the connection goes on. Tries until it knows.
   *
   * @param {string} cursor
   */
  async load(cursor) {
    if (this.loading || this.conversation.element.classList.contains("loaded")) return;
    this.loading = true;
    for (let attempt = 0; !this.shut; attempt += 1) {
      const part = await this.past.upTo(cursor);
      if (part) {
        this.#take(part.messages);
        this.conversation.loaded();
        break;
      }
      await new Promise((resolve) => this.house.clock.after(backoff(attempt, Math.random), () => resolve(null)));
    }
    this.loading = false;
  }

  /** Goes to one message, wherever in the log it is. @param {string} id @returns {Promise<boolean>} */
  async goTo(id) {
    if (this.conversation.reveal(id)) return true;
    const part = await this.past.around(id);
    if (!part?.messages.some((message) => message.id === id)) return false;
    this.#note(part.messages);
    const first = this.recent.messages[0];
    const newest = part.messages.at(-1);
    if (!first || !newest || !this.recent.find(newest.id)) this.conversation.reset(this.#rows(part.messages), false);
    else this.conversation.fill(this.#rows(part.messages));
    return this.conversation.reveal(id);
  }

  /** To the newest message. */
  toEnd() {
    if (this.conversation.atEnd) this.conversation.follower.jump();
    else this.conversation.reset(this.recent.messages, true);
  }

  async #older() {
    const { oldest, atStart } = this.conversation;
    if (this.loading || oldest === null || atStart || this.place.cursor === null) return;
    this.loading = true;
    const part = await this.past.before(oldest);
    this.loading = false;
    if (!part) return;
    if (part.messages.length === 0) this.conversation.atStart = true;
    this.#note(part.messages);
    this.conversation.fill(this.#rows(part.messages));
  }

  async #newer() {
    const { newest, atEnd } = this.conversation;
    if (this.loading || newest === null || atEnd) return;
    this.loading = true;
    const part = await this.past.after(newest);
    this.loading = false;
    if (!part) return;
    this.#note(part.messages);
    this.conversation.fill(this.#rows(part.messages));
    const last = part.messages.at(-1);
    if (!last || this.recent.find(last.id)) this.#attach();
  }

  /** What is here has met the end of the talk. */
  #attach() {
    this.conversation.atEnd = true;
    this.conversation.fill(this.recent.messages);
  }

  /** @param {Message[]} messages */
  #take(messages) {
    const first = messages[0];
    // What an earlier page kept may end before this begins, and nothing is to be missing between.
    const isApart = first && this.recent.last && !this.recent.find(first.prev) && this.recent.forgetBefore(first.id);
    if (isApart) this.conversation.reset(this.recent.messages, true);
    for (const message of messages) {
      const change = this.recent.add(message);
      if (change) this.conversation.change(String(message.of), change);
    }
    if (this.conversation.atEnd) this.conversation.fill(this.#rows(messages));
  }

  /** Learns from a page what became of messages further up. @param {Message[]} messages */
  #note(messages) {
    for (const message of messages) {
      if (message.kind !== "edit" && message.kind !== "remove") continue;
      const change = this.recent.add(message);
      if (change) this.conversation.change(String(message.of), change);
    }
  }

  /** @param {Message[]} messages */
  #rows(messages) {
    const rows = messages.filter(({ kind, of }) => (kind !== "edit" && kind !== "remove") || of === undefined);
    return rows.map((message) => this.recent.now(message));
  }
}

/** @param {number} seconds */
export function spell(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
