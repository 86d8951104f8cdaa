// @ts-check
import { find, make } from "../element.js";
import { callBefore, meant } from "../mention.js";

/** Names to choose from while one types an `@`. */
export class Mentions {
  /** @param {HTMLTextAreaElement} input @param {() => string[]} names */
  constructor(input, names) {
    this.input = input;
    this.names = names;
    this.list = find("mentions");
    /** @type {string[]} */
    this.offered = [];
    this.chosen = 0;
    this.from = 0;
    input.addEventListener("blur", () => this.#close());
    // Before the field loses the focus.
    this.list.addEventListener("pointerdown", (/** @type {any} */ event) => {
      event.preventDefault();
      const at = [...this.list.children].indexOf(event.target.closest("[role=option]"));
      if (at >= 0) this.#take(at);
    });
  }

  /** Something was typed. */
  look() {
    const call = callBefore(this.input.value, this.input.selectionEnd);
    const offered = call ? meant(call.typed, this.names()) : [];
    const isDone = offered.length === 1 && call?.typed === offered[0];
    if (!call || offered.length === 0 || isDone) return this.#close();
    this.from = call.from;
    this.offered = offered;
    this.chosen = 0;
    this.list.hidden = false;
    this.#draw();
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether it was for this */
  key(event) {
    if (this.list.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.chosen = (this.chosen + step + this.offered.length) % this.offered.length;
    else if (event.key === "Enter" || event.key === "Tab") this.#take(this.chosen);
    else if (event.key === "Escape") this.#close();
    else return false;
    if (step) this.#draw();
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #draw() {
    this.list.replaceChildren(...this.offered.map((name, at) => {
      const option = make("li", "", name);
      option.id = `mention-${at}`;
      option.dir = "auto";
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(at === this.chosen));
      return option;
    }));
    this.input.setAttribute("aria-activedescendant", `mention-${this.chosen}`);
  }

  /** @param {number} at */
  #take(at) {
    const { input, from } = this;
    input.setRangeText(`@${this.offered[at]} `, from, input.selectionEnd, "end");
    this.#close();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #close() {
    this.list.hidden = true;
    this.input.removeAttribute("aria-activedescendant");
  }
}
