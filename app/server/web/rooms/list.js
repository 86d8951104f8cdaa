// @ts-check
import { find, make } from "../element.js";
import { hashOf } from "../address.js";
import { icon } from "../shell/icons.js";
import { avatar } from "../people/avatar.js";

/** @typedef {import("../room.js").Room} Room */

const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** The rooms that one is in, with the last line of each and how much is new there. */
export class RoomsList {
  /** @param {() => Room | null} current @param {() => Iterable<Room>} rooms */
  constructor(current, rooms) {
    this.current = current;
    this.rooms = rooms;
    this.list = find("rooms");
    /** @type {Map<Room, { item: HTMLLIElement, link: HTMLAnchorElement, last: HTMLElement, when: HTMLElement, badge: HTMLElement, more: HTMLElement, title: HTMLElement, sign: HTMLElement }>} */
    this.entries = new Map();
    this.drawing = 0;
    this.list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
  }

  /** Hundreds of messages can come within a moment; one drawing a frame is enough. */
  show() {
    this.drawing ||= requestAnimationFrame(() => this.#draw());
  }

  /** The room before or after the one on the screen. @param {number} step @returns {Room | undefined} */
  beside(step) {
    const rooms = [...this.rooms()].filter(({ shut }) => !shut);
    const at = rooms.findIndex((room) => room === this.current());
    return rooms[(at + step + rooms.length) % rooms.length];
  }

  #draw() {
    this.drawing = 0;
    const rooms = new Set(this.rooms());
    for (const [room, { item }] of this.entries) {
      if (rooms.has(room)) continue;
      item.remove();
      this.entries.delete(room);
    }
    let [total, mentions] = [0, 0];
    for (const room of rooms) {
      const counts = room.unread;
      if (room !== this.current()) [total, mentions] = [total + counts.unread, mentions + counts.mentions];
      this.#update(room, counts);
    }
    const count = total > 99 ? "99+" : String(total);
    document.title = `${mentions ? "@ " : ""}${total ? `(${count}) ` : ""}${this.current()?.title ?? ""} · Rollcall`;
    find("elsewhere").textContent = total ? count : "";
    find("rooms-open").setAttribute("aria-label", total ? `Rooms, ${count} new messages` : "Rooms");
  }

  /** @param {Room} room @param {{ unread: number, mentions: number }} counts */
  #update(room, { unread, mentions }) {
    const entry = this.entries.get(room) ?? this.#add(room);
    const isCurrent = room === this.current();
    const { link, title, last, when, badge, item } = entry;
    const message = room.recent.last;
    title.textContent = room.title;
    last.textContent = message ? lastLine(message, room) : room.shut || "";
    when.textContent = message ? moment(message.at, Date.now()) : "";
    const shown = isCurrent ? 0 : unread;
    badge.textContent = shown === 0 ? "" : `${mentions ? "@" : ""}${shown > 99 ? "99+" : shown}`;
    badge.classList.toggle("calls", mentions > 0);
    item.classList.toggle("unread", shown > 0);
    item.classList.toggle("shut", room.shut !== "");
    entry.more.textContent = shown === 0 ? "" : mentions === 0 ? " new" : ` new, ${mentions} to you`;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    this.#sign(room, entry);
  }

  /** @param {Room} room @param {{ sign: HTMLElement }} entry */
  #sign(room, { sign }) {
    const access = room.state?.access ?? "open";
    const kind = `${access} ${access === "direct" ? room.title : ""}`;
    if (sign.dataset.kind === kind) return;
    sign.dataset.kind = kind;
    if (access === "direct") sign.replaceChildren(avatar(room.name, room.title));
    else sign.replaceChildren(access === "private" ? icon("lock", "private") : make("span", "hash", "#"));
  }

  /** @param {Room} room */
  #add(room) {
    const link = make("a", "room");
    link.href = hashOf(room.name);
    const [sign, title, when, last, badge, more] = ["sign", "title", "when", "last", "badge", "unseen"].map((name) => make("span", name));
    // Who hears the list wants to hear where to go, and what is new there.
    for (const ornament of [sign, when, last]) ornament.setAttribute("aria-hidden", "true");
    for (const text of [title, last]) text.dir = "auto";
    link.append(sign, title, when, last, badge, more);
    const item = make("li");
    item.append(link);
    this.list.append(item);
    const entry = { item, link, last, when, badge, more, title, sign };
    this.entries.set(room, entry);
    return entry;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = [...this.list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    links[(at + step + links.length) % links.length]?.focus();
    event.preventDefault();
  }
}

/** @param {import("../frame.js").Message} message @param {Room} room */
export function lastLine(message, room) {
  if (message.removed) return "A message was removed";
  const text = message.text.replace(/\s+/gu, " ").slice(0, 120);
  if (message.kind === "notice" || room.state?.access === "direct") return text;
  return `${room.isOwn(message) ? "You" : message.name}: ${text}`;
}

/** The time of today, the date of another day. @param {number} at @param {number} now */
export function moment(at, now) {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  return (isToday ? HOUR : DATE).format(at);
}
