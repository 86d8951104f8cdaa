// @ts-check
import { find } from "../element.js";
import { bytesOf, cleanText } from "../words.js";
import { Mentions } from "./mentions.js";

/**
 * @typedef {{ id: string, text: string }} Edited the message that gets another text
 * @typedef {{ send(text: string, edited: Edited | null): boolean, typing(): void, typed(): void,
 *   names(): string[], up(): boolean, escape(): void }} On `send`: whether it was taken; `up`: one
 *   wants what is above the form, and whether there is something; `escape`: there is nothing here to leave
 */

/** The text's length is nobody's business until it comes near the limit. */
const CLOSE_BYTES = 200;

/** While composing, Enter belongs to the input method. Safari ends the composition before it tells
 * of the key, which then has this code. @param {{ isComposing: boolean, keyCode: number }} event */
export function isComposing({ isComposing, keyCode }) {
  return isComposing || keyCode === 229;
}

/** Where one writes. */
export class Composer {
  /** @param {On} on */
  constructor(on) {
    this.on = on;
    this.form = find("composer");
    this.input = find("text");
    this.button = find("send");
    this.hint = find("hint");
    this.limit = 4096;
    /** @type {Edited | null} */
    this.edited = null;
    /** What was being written before the edit. */
    this.aside = "";
    this.isClosed = false;
    this.mentions = new Mentions(this.input, on.names);
    this.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    });
    this.input.addEventListener("keydown", (/** @type {any} */ event) => this.#key(event));
    this.input.addEventListener("input", () => this.#typed());
    find("edit-cancel").addEventListener("click", () => this.endEdit());
  }

  /** @param {string} title of the room @param {string} draft */
  address(title, draft) {
    this.#leaveEdit();
    this.input.placeholder = `Message ${title}`;
    this.input.setAttribute("aria-label", `Message ${title}`);
    if (this.input.value !== draft) this.draft = draft;
  }

  /** @param {boolean} isClosed nobody can write here now; what is written stays */
  close(isClosed) {
    this.isClosed = isClosed;
    this.#measure();
  }

  enable() {
    this.form.hidden = false;
    this.#measure();
    this.focus();
  }

  /** On a phone the keyboard would cover the conversation before one has seen it. */
  focus() {
    // A change of the address takes the caret of what has the focus: nothing that is typed would arrive.
    const hadFocus = document.activeElement === this.input;
    if (hadFocus) this.input.blur();
    if (hadFocus || matchMedia("(hover: hover)").matches) this.input.focus();
  }

  /** What is being written, which is not the message that is being changed. */
  get draft() {
    const changed = this.edited && this.input.value !== this.edited.text ? this.input.value : "";
    return this.edited ? [this.aside, changed].filter(Boolean).join("\n") : this.input.value;
  }

  set draft(text) {
    this.input.value = text;
    this.#measure();
  }

  /** @param {Edited} edited */
  edit(edited) {
    // With what another edit was at.
    this.aside = this.draft;
    this.edited = edited;
    find("editing").hidden = false;
    this.draft = edited.text;
    this.input.focus();
  }

  /** Writes what was being written before. */
  endEdit() {
    if (this.edited) this.draft = this.aside;
    this.#leaveEdit();
  }

  #leaveEdit() {
    this.edited = null;
    find("editing").hidden = true;
    this.aside = "";
  }

  disable() {
    this.form.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (isComposing(event) || this.mentions.key(event)) return;
    if (event.key === "Escape") {
      if (this.edited) this.endEdit();
      else this.on.escape();
    } else if (event.key === "ArrowUp" && this.input.value === "") {
      if (this.on.up()) event.preventDefault();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#send();
    }
  }

  #typed() {
    this.#measure();
    this.mentions.look();
    this.on.typed();
    if (this.input.value.trim() && !this.edited) this.on.typing();
  }

  /** @returns {boolean} whether it may be sent */
  #measure() {
    const left = this.limit - bytesOf(cleanText(this.input.value));
    const near = left < CLOSE_BYTES ? `${left} left` : "";
    this.hint.textContent = left < 0 ? `${-left} too long` : near;
    this.hint.classList.toggle("over", left < 0);
    this.button.disabled = left < 0 || left === this.limit || this.isClosed;
    return !this.button.disabled;
  }

  #send() {
    if (!this.#measure()) return;
    if (!this.on.send(cleanText(this.input.value), this.edited)) {
      this.hint.textContent = "It cannot be sent yet; try again in a moment";
      return;
    }
    if (this.edited) return this.endEdit();
    this.input.value = "";
    this.#measure();
    this.on.typed();
  }
}
