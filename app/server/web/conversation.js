// @ts-check
import { tint } from "./colour.js";
import { make } from "./element.js";
import { Follower } from "./follower.js";

/**
 * @typedef {import("./frame.js").Message} Message
 * @typedef {import("./outbox.js").Item} Item
 */

/** Rows beyond this are taken from the top: a page may stay open for days. */
const ROWS = 500;

/** Messages of one person closer than this share one name. */
const TOGETHER_MS = 5 * 60_000;

/** A state for those who cannot see the tick. */
const STATES = { pending: "sending", sent: "sent", refused: "not sent", unknown: "perhaps not sent" };

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** What was said in one room: first the log, in its order, then what is still on its way there. */
export class Conversation {
  /** @param {string} room @param {() => string | null} me our member, once known */
  constructor(room, me) {
    this.me = me;
    this.element = make("section", "conversation");
    this.element.setAttribute("role", "log");
    this.element.setAttribute("aria-label", `Messages in ${room}`);
    this.element.tabIndex = 0;
    this.log = make("ol", "log");
    this.waiting = make("ol", "waiting");
    const content = make("div", "content");
    content.append(this.log, this.waiting);
    this.element.append(content);
    this.follower = new Follower(this.element, content);
    /** Ours that were not seen in the log yet. @type {Map<Item, HTMLLIElement>} */
    this.rows = new Map();
  }

  /** @param {Message} message */
  add(message) {
    const own = message.member === this.me();
    const awaited = own ? this.#awaited(message) : null;
    const row = awaited ?? this.#row(own, message.text);
    if (awaited) this.#mark(awaited, "sent");
    else if (own) row.append(this.#state("sent"));
    row.dataset.id = message.id;
    row.dataset.member = message.member;
    this.#sign(row, message);
    this.#append(row);
    this.follower.arrived(own);
  }

  /** @param {Item} item */
  pending(item) {
    const row = this.#row(true, item.text);
    row.append(this.#state("pending"));
    row.dataset.state = "pending";
    this.rows.set(item, row);
    this.waiting.append(row);
    this.follower.arrived(true);
  }

  /** @param {Item} item */
  acked(item) {
    const row = this.rows.get(item);
    if (row) this.#mark(row, "sent");
  }

  /** @param {Item} item @param {string} detail */
  refused(item, detail) {
    this.#settle(item, "refused", `Not sent: ${detail}`);
  }

  /** @param {Item} item */
  unknown(item) {
    this.#settle(item, "unknown", "Part of the log is missing, so nobody knows whether this was sent");
  }

  /** It will not go out any more. @param {Item} item @param {keyof typeof STATES} state @param {string} why */
  #settle(item, state, why) {
    const row = this.rows.get(item);
    if (!row) return;
    this.rows.delete(item);
    this.#mark(row, state);
    row.append(make("p", "why", why));
    this.#append(row);
  }

  /** History is here: now an empty log says that it is empty. */
  loaded() {
    this.element.classList.add("loaded");
  }

  /** A word of the page's own, at this place of the log. @param {string} words */
  note(words) {
    this.#append(make("li", "note", words));
    this.follower.arrived(false);
  }

  /** @param {Message} message */
  #awaited({ n, text }) {
    for (const [item, row] of this.rows) {
      if (item.n !== n || item.text !== text) continue;
      this.rows.delete(item);
      return row;
    }
    return null;
  }

  /** @param {boolean} own @param {string} text */
  #row(own, text) {
    const row = make("li", own ? "message own" : "message");
    row.append(make("p", "text", text));
    return row;
  }

  /** @param {keyof typeof STATES} state */
  #state(state) {
    const element = make("span", "state");
    element.dataset.state = state;
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", STATES[state]);
    return element;
  }

  /** @param {HTMLLIElement} row @param {keyof typeof STATES} state */
  #mark(row, state) {
    row.dataset.state = state;
    row.querySelector(".state")?.replaceWith(this.#state(state));
  }

  /** Name and time. @param {HTMLLIElement} row @param {Message} message */
  #sign(row, message) {
    const at = new Date(message.at);
    const time = make("time", "", TIME.format(at));
    time.dateTime = at.toISOString();
    time.title = MOMENT.format(at);
    row.dataset.at = String(message.at);
    row.querySelector(".text")?.before(make("span", "name", message.name), time);
    tint(row, message.member, message.name);
  }

  /** @param {HTMLLIElement} row */
  #append(row) {
    const last = /** @type {HTMLLIElement | null} */ (this.log.lastElementChild);
    const same = last?.dataset.member !== undefined && last.dataset.member === row.dataset.member;
    const close = Number(row.dataset.at) - Number(last?.dataset.at) < TOGETHER_MS;
    row.classList.toggle("follows", same && close);
    this.log.append(row);
    while (this.log.childElementCount > ROWS) this.log.firstElementChild?.remove();
    this.log.firstElementChild?.classList.remove("follows");
  }
}
