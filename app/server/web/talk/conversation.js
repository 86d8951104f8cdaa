// @ts-check
import { make } from "../element.js";
import { subjectOf } from "../frame.js";
import { compare } from "../id.js";
import { Follower } from "./follower.js";
import { change, follow, introduce, mark, noticeRow, separator, sign, textRow } from "./message_row.js";

/**
 * @typedef {import("./message_row.js").Message} Message
 * @typedef {import("./message_row.js").Row} Row
 * @typedef {import("../outbox.js").Item} Item
 * @typedef {import("../recent.js").Change} Change
 * @typedef {import("./message_row.js").Reader & { sent(message: Message): boolean, older(): void,
 *   newer(): void, seen(): void, again(item: Item): void }} Owner `older`, `newer`: one has scrolled near that end of
 *   what is here; `seen`: the end is in sight; `again`: what was refused is to be written again
 */

/** Rows beyond this go at the top while one follows the talk: a page may stay open for days. */
const ROWS = 500;
/** Who reads further up keeps what is around: only then something goes, at the end far from them. */
const MOST_ROWS = 2_000;

/** What was said in one room: a part of the log, in its order, then what is still on its way there. */
export class Conversation {
  /** @param {string} room @param {Owner} owner */
  constructor(room, owner) {
    this.owner = owner;
    this.element = make("section", "conversation");
    this.element.setAttribute("role", "log");
    this.element.setAttribute("aria-label", `Messages in ${room}`);
    this.element.tabIndex = 0;
    this.log = make("ol", "log");
    this.waiting = make("ol", "waiting");
    const content = make("div", "content");
    content.append(this.log, this.waiting);
    this.element.append(content);
    this.follower = new Follower(this.element, content, owner);
    /** Rows of the log, by message. @type {Map<string, Row>} */
    this.byId = new Map();
    /** Ours that were not seen in the log yet. @type {Map<Item, Row>} */
    this.rows = new Map();
    /** Whether the oldest row is the oldest message that is kept. */
    this.atStart = false;
  }

  /** Whether the newest row is the newest message; else one reads a part of the log further up. */
  get atEnd() {
    return !this.follower.detached;
  }

  set atEnd(is) {
    this.follower.detached = !is;
    this.waiting.hidden = !is;
  }

  /** A message as it comes. @param {Message} message */
  add(message) {
    if (!this.atEnd) {
      this.#awaited(message)?.remove();
      return this.follower.arrived(false);
    }
    if (this.byId.has(message.id)) return void this.#awaited(message)?.remove();
    this.#put(message);
    this.follower.arrived(this.owner.sent(message));
    this.#cut();
  }

  /** Messages from elsewhere in the log, in its order; where they belong is up to their IDs. @param {Message[]} messages */
  fill(messages) {
    this.follower.keeping(() => {
      for (const message of messages) {
        // A page that was left between a message and its ack has kept both it and what waits for it.
        if (this.byId.has(message.id)) this.#awaited(message)?.remove();
        else this.#put(message);
      }
      this.#cut();
    });
  }

  /** Another part of the log instead. @param {Message[]} messages @param {boolean} atEnd */
  reset(messages, atEnd) {
    this.log.replaceChildren();
    this.byId.clear();
    this.atEnd = atEnd;
    if (!atEnd) this.follower.following = false;
    this.atStart = false;
    this.fill(messages);
    if (atEnd) this.follower.jump();
  }

  /** @param {string} id @param {Change} now */
  change(id, now) {
    const row = this.byId.get(id);
    if (row) change(row, now, this.owner);
    if (row?.dataset.state === "pending") mark(row, "sent");
  }

  /** @param {Item} item */
  pending(item) {
    if (subjectOf(item)) return this.#changing(item);
    const row = textRow(true, item.text, this.owner);
    introduce(row, this.owner, this.waiting.lastElementChild ?? this.log.lastElementChild);
    mark(row, "pending");
    this.rows.set(item, row);
    this.waiting.append(row);
    this.follower.arrived(true);
  }

  /** @param {Item} item */
  acked(item) {
    const row = this.rows.get(item);
    if (row) mark(row, "sent");
    if (subjectOf(item)) this.rows.delete(item);
  }

  /** @param {Item} item @param {string} detail @param {Message | null} [was] the message that is not changed then */
  refused(item, detail, was = null) {
    if (subjectOf(item)) return this.#unchanged(item, `Not changed: ${detail}`, was);
    this.#settle(item, "refused", `Not sent: ${detail}`);
  }

  /** @param {Item} item */
  unknown(item) {
    this.#settle(item, "unknown", "Perhaps not sent: no answer came");
  }

  /** History is here: now an empty log says that it is empty. */
  loaded() {
    this.element.classList.add("loaded");
  }

  /** A word of the page's own, behind this message of the log. @param {string} words @param {string} [behind] */
  note(words, behind) {
    this.#stand(/** @type {Row} */ (make("li", "note", words)), behind);
    this.follower.arrived(false);
  }

  /** At the end, for good: what is filled in later knows what it comes before. @param {Row} row @param {string} [behind] */
  #stand(row, behind = this.newest ?? "") {
    row.dataset.behind = behind;
    this.log.append(row);
  }

  /** What is new begins with this message; null: nothing is. @param {string | null} id */
  newFrom(id) {
    const old = this.log.querySelector(".line.new");
    const row = id === null ? undefined : this.byId.get(id);
    if (old && old.parentElement === row) return;
    const before = old?.closest("li");
    old?.remove();
    if (before) follow(before, before.previousElementSibling);
    if (!row) return;
    row.prepend(separator("new", "New"));
    follow(row, row.previousElementSibling);
  }

  /** Brings a message into sight. @param {string} id @returns {boolean} whether it is here */
  reveal(id) {
    const row = this.byId.get(id);
    if (!row) return false;
    this.follower.turnAway();
    row.scrollIntoView({ block: "center" });
    for (const other of this.log.querySelectorAll(".target")) other.classList.remove("target");
    row.classList.add("target");
    row.focus({ preventScroll: true });
    return true;
  }

  get oldest() {
    return this.byId.size === 0 ? null : (this.#end("firstElementChild", "nextElementSibling")?.dataset.id ?? null);
  }

  get newest() {
    return this.byId.size === 0 ? null : (this.#end("lastElementChild", "previousElementSibling")?.dataset.id ?? null);
  }

  /** The row of a message at one end. @param {"firstElementChild" | "lastElementChild"} first @param {"nextElementSibling" | "previousElementSibling"} next */
  #end(first, next) {
    let row = /** @type {Row | null} */ (this.log[first]);
    while (row && row.dataset.id === undefined) row = /** @type {Row | null} */ (row[next]);
    return row;
  }

  /** @param {Message} message */
  #put(message) {
    const awaited = this.#awaited(message);
    const row = awaited ?? this.#made(message);
    if (awaited) sign(awaited, message);
    if (awaited || (this.owner.sent(message) && message.kind !== "notice")) mark(row, "sent");
    if (message.removed || message.edited) change(row, message, this.owner);
    this.byId.set(message.id, row);
    this.#place(row, message.id);
  }

  /** @param {Message} message */
  #made(message) {
    if (message.kind === "notice") return noticeRow(message);
    const own = this.owner.sent(message) || message.member === this.owner.me();
    const row = textRow(own, message.text, this.owner);
    sign(row, message);
    return row;
  }

  /** @param {Row} row @param {string} id */
  #place(row, id) {
    let before = this.log.lastElementChild;
    while (before instanceof HTMLElement && !isBefore(before, id)) before = before.previousElementSibling;
    if (before) before.after(row);
    else this.log.prepend(row);
    follow(row, before);
    const next = row.nextElementSibling;
    if (next instanceof HTMLLIElement) follow(next, row);
  }

  /** Keeps the number of rows bounded, never where somebody reads. */
  #cut() {
    const { following } = this.follower;
    const most = following && this.atEnd ? ROWS : MOST_ROWS;
    if (this.log.childElementCount <= most) return;
    const fromTop = following || this.follower.isLow;
    if (fromTop) this.atStart = false;
    else this.atEnd = false;
    while (this.log.childElementCount > most) this.#drop(fromTop ? this.log.firstElementChild : this.log.lastElementChild);
    const top = this.log.firstElementChild;
    if (top instanceof HTMLLIElement) follow(top, null);
  }

  /** @param {Element | null} row */
  #drop(row) {
    if (row instanceof HTMLElement && row.dataset.id !== undefined) this.byId.delete(row.dataset.id);
    row?.remove();
  }

  /** @param {Item} item */
  #changing(item) {
    const row = this.byId.get(String(subjectOf(item)));
    if (!row) return;
    this.rows.set(item, row);
    change(row, { text: item.text, edited: item.edit, removed: item.remove !== undefined }, this.owner);
    mark(row, "pending");
  }

  /** @param {Item} item @param {string} why @param {Message | null} was */
  #unchanged(item, why, was) {
    let row = this.rows.get(item);
    this.rows.delete(item);
    if (row && was) change(row, was, this.owner);
    // The message is not here, and the text is not thrown away.
    if (!row && item.edit) this.#stand(row = textRow(true, item.text, this.owner));
    if (!row) return;
    mark(row, "sent", why);
    if (item.edit) this.#offerAgain(row, item);
  }

  /** It will not go out any more. @param {Item} item @param {import("./message_row.js").State} state @param {string} why */
  #settle(item, state, why) {
    const row = this.rows.get(item);
    if (!row) return;
    this.rows.delete(item);
    mark(row, state, why);
    this.#stand(row);
    this.#offerAgain(row, item);
  }

  /** Nothing typed is thrown away. @param {Row} row @param {Item} item */
  #offerAgain(row, item) {
    const again = make("button", "again", "Write it again");
    again.type = "button";
    again.addEventListener("click", () => this.owner.again(item));
    row.querySelector(".why")?.append(" ", again);
  }

  /** @param {Message} message */
  #awaited(message) {
    const { n, text, kind } = message;
    if (kind !== undefined || !this.owner.sent(message)) return null;
    for (const [item, row] of this.rows) {
      if (item.n !== n || item.text !== text || subjectOf(item)) continue;
      this.rows.delete(item);
      return row;
    }
    return null;
  }
}

/** What has no place in the log by itself stands behind what came before it. @param {HTMLElement} row @param {string} id */
function isBefore(row, id) {
  const place = row.dataset.id ?? row.dataset.behind;
  return !place || compare(place, id) < 0;
}
