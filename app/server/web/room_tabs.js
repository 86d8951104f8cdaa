// @ts-check
import { find, make } from "./element.js";

/** The rooms that one is in, and how much is new in those that are not on the screen. */
export class RoomTabs {
  constructor() {
    this.list = find("rooms");
    /** @type {Map<string, { link: HTMLAnchorElement, badge: HTMLElement, count: number }>} */
    this.tabs = new Map();
  }

  /** @param {string} room */
  add(room) {
    const link = make("a", "", room);
    link.href = `#${encodeURIComponent(room)}`;
    const badge = make("span", "badge");
    link.append(badge);
    const item = make("li");
    item.append(link);
    this.list.append(item);
    this.tabs.set(room, { link, badge, count: 0 });
  }

  /** @param {string} room */
  show(room) {
    for (const [other, { link }] of this.tabs) {
      if (other === room) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#count(room, 0);
    this.tabs.get(room)?.link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** @param {string} room */
  unread(room) {
    this.#count(room, (this.tabs.get(room)?.count ?? 0) + 1);
  }

  /** @param {string} room @param {number} count */
  #count(room, count) {
    const tab = this.tabs.get(room);
    if (!tab) return;
    tab.count = count;
    tab.badge.textContent = count === 0 ? "" : count > 99 ? "99+" : String(count);
    if (count === 0) tab.link.removeAttribute("aria-label");
    else tab.link.setAttribute("aria-label", `${room}, ${count} new`);
  }
}
