// @ts-check
import { find } from "../element.js";
import { Drawers } from "./drawers.js";
import { icon } from "./icons.js";
import { isWriting, Keys } from "./keys.js";
import { Theme } from "./settings.js";

/**
 * @typedef {{ switch(): void, about(): void, account(): void, leave(): void, step(step: number): void,
 *   write(): void, toEnd(): void, retry(): void }} House
 */

/** Buttons and keys of the page itself. */
export class Shell {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.drawers = new Drawers();
    this.keys = new Keys();
    this.theme = new Theme();
    for (const [id, lines] of ICONS) find(id).prepend(icon(lines));
    /** @type {[string, () => void][]} */
    const buttons = [
      ["switch", () => this.#switch()], ["room-about", house.about], ["account-open", house.account],
      ["keys-open", () => this.keys.open()], ["leave", house.leave], ["news", house.toEnd],
      ["retry", house.retry], ["reload", () => location.reload()], ["again", () => location.reload()],
    ];
    for (const [id, run] of buttons) find(id).addEventListener("click", run);
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  #switch() {
    this.drawers.close();
    this.house.switch();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { key, altKey, ctrlKey, metaKey } = event;
    const step = { ArrowUp: -1, ArrowDown: 1 }[key];
    if ((ctrlKey || metaKey) && key.toLowerCase() === "k") this.#switch();
    else if (altKey && step) this.house.step(step);
    else if (key === "?" && !isWriting(event.target)) this.keys.open();
    else if (key === "Escape" && this.drawers.close()) return;
    else return;
    event.preventDefault();
  }
}

/** @type {[string, string][]} */
const ICONS = [
  ["switch", "search"], ["keys-open", "keys"], ["rooms-open", "menu"], ["people-toggle", "people"],
  ["room-about", "about"], ["send", "send"],
];
