// @ts-check
import { find, make } from "../element.js";
import { iconButton } from "./icons.js";

/**
 * A dialog over the page: the browser keeps the focus in it, closes it on Escape, and gives the focus
 * back.
 */
export class Dialog {
  /** @param {string} id @param {string} title */
  constructor(id, title) {
    this.element = make("dialog", "dialog");
    this.element.id = id;
    this.title = make("h2", "", title);
    this.title.id = `${id}-title`;
    this.element.setAttribute("aria-labelledby", this.title.id);
    const head = make("div", "head");
    head.append(this.title, iconButton("close", "Close", () => this.close()));
    this.body = make("div", "body");
    // What is longer than the window is scrolled by the arrow keys.
    this.body.tabIndex = 0;
    this.element.append(head, this.body);
    // Beside the dialog is the backdrop, which is it, too.
    this.element.addEventListener("click", ({ target }) => target === this.element && this.close());
    find("dialogs").append(this.element);
  }

  get isOpen() {
    return this.element.open;
  }

  open() {
    if (!this.element.open) this.element.showModal();
  }

  close() {
    this.element.close();
  }
}

/**
 * A field with its label above and, once something is wrong with it, why below.
 *
 * @param {string} id
 * @param {string} label
 * @param {Record<string, string>} attributes
 */
export function field(id, label, attributes) {
  const input = make("input");
  input.id = id;
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  const why = make("p", "error");
  why.id = `${id}-error`;
  why.setAttribute("aria-live", "polite");
  const text = make("label", "", label);
  text.htmlFor = id;
  const element = make("div", "field");
  element.append(text, input, why);
  const complain = (/** @type {string} */ words) => {
    why.textContent = words;
    input.toggleAttribute("aria-invalid", words !== "");
    if (words) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", why.id);
      input.focus();
    } else input.removeAttribute("aria-describedby");
  };
  return { element, input, complain };
}

/**
 * @param {string} words
 * @param {() => void} pressed
 * @param {string} [className]
 */
export function button(words, pressed, className = "") {
  const element = make("button", className, words);
  element.type = "button";
  element.addEventListener("click", pressed);
  return element;
}
