// @ts-check
import { make } from "../element.js";
import { Dialog, field } from "../shell/dialog.js";
import { cleanRoom } from "../words.js";

/**
 * @typedef {import("../room.js").Room} Room
 * @typedef {{ name: string, title: string, hint: string, make?: "open" | "private" }} Choice
 * @typedef {{ rooms(): Iterable<Room>, go(room: string): void, can(feature: string): boolean,
 *   api: import("../api.js").Api }} House
 */

/**
 * What one may mean by what was typed: first the rooms that one is in, then others, then a new one.
 *
 * @param {string} typed
 * @param {Choice[]} own
 * @param {Choice[]} others
 * @param {boolean} canMake private ones, too
 * @returns {Choice[]}
 */
export function choices(typed, own, others, canMake) {
  const wanted = typed.trim().toLowerCase();
  const fits = (/** @type {Choice} */ { title }) => score(title.toLowerCase(), wanted) > 0;
  const best = (/** @type {Choice[]} */ list) => list.filter(fits).sort((a, b) =>
    score(b.title.toLowerCase(), wanted) - score(a.title.toLowerCase(), wanted));
  const known = new Set(own.map(({ name }) => name));
  const found = [...best(own), ...best(others.filter(({ name }) => !known.has(name)))].slice(0, 12);
  const name = cleanRoom(typed);
  if (!name || [...own, ...others].some((choice) => choice.name === name)) return found;
  found.push({ name, title: name, hint: "New room", make: "open" });
  if (canMake) found.push({ name, title: name, hint: "New private room", make: "private" });
  return found;
}

/** @param {string} title @param {string} wanted both in lower case */
function score(title, wanted) {
  if (title.startsWith(wanted)) return 3;
  if (title.split(/[\s_-]/u).some((word) => word.startsWith(wanted))) return 2;
  return title.includes(wanted) ? 1 : 0;
}

/** Ctrl-K: goes to a room by a few letters of its name, or makes one. */
export class Switcher {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.dialog = new Dialog("switcher", "Go to a room");
    this.field = field("switch-to", "Name of a room", {
      autocomplete: "off", role: "combobox", "aria-expanded": "true", "aria-controls": "switch-list",
      "aria-autocomplete": "list", maxlength: "64", spellcheck: "false",
    });
    this.list = make("ul", "choices");
    this.list.id = "switch-list";
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Rooms");
    this.dialog.body.append(this.field.element, this.list);
    /** @type {Choice[]} */
    this.others = [];
    /** @type {Choice[]} */
    this.shown = [];
    this.chosen = 0;
    this.field.input.addEventListener("input", () => this.#look());
    this.field.input.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("click", (/** @type {any} */ { target }) => {
      const at = [...this.list.children].indexOf(target.closest("li"));
      if (at >= 0) void this.#take(this.shown[at]);
    });
  }

  open() {
    this.field.input.value = "";
    this.field.complain("");
    this.dialog.open();
    this.field.input.focus();
    this.#look();
    if (this.house.can("rooms")) void this.#ask();
  }

  /** What rooms there are beside ours. */
  async #ask() {
    const { ok, data } = await this.house.api.call("GET", "rooms?active=true&limit=50");
    if (!ok) return;
    this.others = data.rooms.map((/** @type {any} */ { name, topic, present }) =>
      ({ name, title: name, hint: topic || (present ? `${present} there` : "") }));
    this.#look();
  }

  #look() {
    const own = Array.from(this.house.rooms(), (room) => {
      const { unread } = room.unread;
      return { name: room.name, title: room.title, hint: unread ? `${unread} new` : (room.state?.topic ?? "") };
    });
    this.shown = choices(this.field.input.value, own, this.others, this.house.can("rooms"));
    this.chosen = 0;
    this.#draw();
  }

  #draw() {
    this.list.replaceChildren(...this.shown.map(({ title, hint }, at) => {
      const option = make("li", "choice");
      option.id = `choice-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(at === this.chosen));
      const name = make("span", "title", title);
      name.dir = "auto";
      option.append(name, make("span", "hint", hint));
      return option;
    }));
    this.list.children[this.chosen]?.scrollIntoView({ block: "nearest" });
    this.field.input.setAttribute("aria-activedescendant", this.shown.length ? `choice-${this.chosen}` : "");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.shown.length) {
      this.chosen = (this.chosen + step + this.shown.length) % this.shown.length;
      this.#draw();
    } else if (event.key === "Enter" && !event.isComposing) void this.#take(this.shown[this.chosen]);
    else return;
    event.preventDefault();
  }

  /** @param {Choice | undefined} choice */
  async #take(choice) {
    if (!choice) return this.field.complain("Type the name of a room");
    if (choice.make && this.house.can("rooms")) {
      const answer = await this.house.api.call("POST", "rooms", { name: choice.name, access: choice.make });
      // One that is there, and open, one can simply enter.
      const isThere = answer.status === 409 && choice.make === "open";
      if (!answer.ok && !isThere) return this.field.complain(answer.detail);
    }
    this.dialog.close();
    this.house.go(choice.name);
  }
}
