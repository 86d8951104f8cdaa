// @ts-check
import { find, make } from "../element.js";
import { avatar, markOf } from "./avatar.js";

/**
 * @typedef {import("./roster.js").Roster} Roster
 * @typedef {{ me(): string | null, mark(member: string): string | undefined,
 *   acts(member: string, name: string): HTMLElement[] }} House `acts`: what one can do with somebody
 */

const BY_NAME = new Intl.Collator(undefined, { numeric: true });

/** The people in the room on the screen. */
export class People {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.list = find("people-list");
    this.count = find("people-count");
    this.toggle = find("people-toggle");
    /** @type {Roster | null} */
    this.roster = null;
    this.drawing = 0;
  }

  /** @param {Roster | null} roster */
  show(roster) {
    this.roster = roster;
    // Hundreds can come within a moment; one drawing a frame is enough.
    this.drawing ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.drawing = 0;
    const present = this.roster?.present ?? 0;
    this.count.textContent = `${present} here`;
    find("people-number").textContent = String(present);
    this.toggle.setAttribute("aria-label", `${present} here`);
    // Not under the hands of who does something with one of them.
    if (this.list.contains(document.activeElement) && document.activeElement !== this.list) return;
    const me = this.house.me();
    const members = [...(this.roster?.names ?? [])].sort(([a, aName], [b, bName]) =>
      Number(b === me) - Number(a === me) || BY_NAME.compare(aName, bName) || (a < b ? -1 : 1));
    this.list.replaceChildren(...members.map(([member, name]) => this.#person(member, name, me)));
    const more = present - members.length;
    if (more > 0) this.list.append(make("li", "more", `and ${more} more`));
  }

  /** @param {string} member @param {string} name @param {string | null} me */
  #person(member, name, me) {
    const row = make("li", "person");
    const label = make("span", "name", name);
    label.dir = "auto";
    const mark = markOf(this.house.mark(member));
    row.append(avatar(member, name), label, ...(mark ? [mark] : []));
    if (member === me) row.append(make("span", "you", "you"));
    else {
      const acts = make("div", "acts");
      acts.append(...this.house.acts(member, name));
      row.append(acts);
    }
    return row;
  }
}
