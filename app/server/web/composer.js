// @ts-check
import { find } from "./element.js";
import { bytesOf, cleanText } from "./words.js";

/** The text's length is nobody's business until it comes near the limit. */
const CLOSE_BYTES = 200;

/** While composing, Enter belongs to the input method. Safari ends the composition before it tells
 * of the key, which then has this code. @param {KeyboardEvent} event */
export function isComposing({ isComposing, keyCode }) {
  return isComposing || keyCode === 229;
}

/** Where one writes. */
export class Composer {
  /** @param {{ send(text: string): boolean, typing(): void }} on `send`: whether it was taken */
  constructor(on) {
    this.on = on;
    this.form = find("composer");
    this.input = find("text");
    this.button = find("send");
    this.hint = find("hint");
    this.limit = 4096;
    this.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    });
    this.input.addEventListener("keydown", (/** @type {any} */ event) => this.#key(event));
    this.input.addEventListener("input", () => this.#typed());
  }

  /** @param {string} room */
  address(room) {
    this.input.placeholder = `Message ${room}`;
    this.input.setAttribute("aria-label", `Message ${room}`);
  }

  enable() {
    this.form.hidden = false;
    this.#measure();
    // On a phone the keyboard would cover the conversation before one has seen it.
    if (matchMedia("(hover: hover)").matches) this.input.focus();
  }

  get draft() {
    return this.input.value;
  }

  set draft(text) {
    this.input.value = text;
    this.#measure();
  }

  disable() {
    this.form.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    this.#send();
  }

  #typed() {
    this.#measure();
    if (this.input.value.trim()) this.on.typing();
  }

  /** @returns {boolean} whether it may be sent */
  #measure() {
    const left = this.limit - bytesOf(cleanText(this.input.value));
    const near = left < CLOSE_BYTES ? `${left} left` : "";
    this.hint.textContent = left < 0 ? `${-left} too long` : near;
    this.hint.classList.toggle("over", left < 0);
    this.button.disabled = left < 0 || left === this.limit;
    return !this.button.disabled;
  }

  #send() {
    if (!this.#measure()) return;
    if (!this.on.send(cleanText(this.input.value))) {
      this.hint.textContent = "It cannot be sent yet; try again in a moment";
      return;
    }
    this.input.value = "";
    this.#measure();
  }
}
