// @ts-check
import { tint } from "./colour.js";
import { find, make } from "./element.js";

/** @typedef {import("./roster.js").Roster} Roster */

const ORDER = new Intl.Collator(undefined, { numeric: true });

/** The people in the room on the screen. */
export class People {
  /** @param {() => string | null} me */
  constructor(me) {
    this.me = me;
    this.list = find("people-list");
    this.count = find("people-count");
    this.toggle = find("people-toggle");
    this.panel = find("people");
    /** @type {Roster | null} */
    this.roster = null;
    this.drawing = 0;
    this.toggle.addEventListener("click", () => this.#open(!this.isOpen));
    find("conversations").addEventListener("pointerdown", () => this.#open(false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.isOpen) this.#open(false);
    });
  }

  get isOpen() {
    return this.panel.classList.contains("open");
  }

  /** @param {Roster | null} roster */
  show(roster) {
    this.roster = roster;
    // Hundreds can come within a moment; one drawing a frame is enough.
    this.drawing ||= requestAnimationFrame(() => this.#draw());
  }

  /** We are not here any more, so nobody tells us. */
  end() {
    this.#open(false);
    this.panel.hidden = this.toggle.hidden = true;
  }

  /** Only a narrow screen hides it; see the stylesheet. @param {boolean} open */
  #open(open) {
    this.panel.classList.toggle("open", open);
    this.toggle.setAttribute("aria-expanded", String(open));
  }

  #draw() {
    this.drawing = 0;
    const present = this.roster?.present ?? 0;
    this.count.textContent = this.toggle.textContent = `${present} here`;
    const me = this.me();
    const members = [...(this.roster?.names ?? [])].sort(([a, aName], [b, bName]) =>
      Number(b === me) - Number(a === me) || ORDER.compare(aName, bName) || (a < b ? -1 : 1));
    this.list.replaceChildren(...members.map(([member, name]) => this.#person(member, name, me)));
    const more = present - members.length;
    if (more > 0) this.list.append(make("li", "more", `and ${more} more`));
  }

  /** @param {string} member @param {string} name @param {string | null} me */
  #person(member, name, me) {
    const row = make("li", "person");
    row.append(make("span", "name", name));
    if (member === me) row.append(make("span", "you", "you"));
    tint(row, member, name);
    return row;
  }
}
