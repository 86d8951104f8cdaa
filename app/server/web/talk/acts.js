// @ts-check
import { make } from "../element.js";
import { icon, iconButton } from "../shell/icons.js";

/**
 * @typedef {{ icon: string, label: string, run(): void, sure?: string }} Act `sure`: what the button
 *   says before it does what cannot be undone
 */

/** A button of one act; what cannot be undone takes two presses. @param {Act} act */
export function actButton({ icon: lines, label, run, sure }) {
  const button = iconButton(lines, label, () => {
    if (!sure || button.classList.contains("sure")) return run();
    button.classList.add("sure");
    button.removeAttribute("aria-label");
    button.replaceChildren(sure);
  });
  button.addEventListener("blur", () => {
    if (!button.classList.contains("sure")) return;
    button.classList.remove("sure");
    button.setAttribute("aria-label", label);
    button.replaceChildren(icon(lines));
  });
  return button;
}

/** What one can do with the row under the pointer or with the focus: one bar, which goes from row to row. */
export class Acts {
  /**
   * @param {HTMLElement} ground where all conversations are
   * @param {{ acts(row: HTMLElement): Act[], out(): void }} house `out`: one leaves the rows, to write
   */
  constructor(ground, house) {
    this.house = house;
    this.bar = make("div", "acts");
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", "Message");
    for (const event of ["pointerover", "focusin"]) {
      ground.addEventListener(event, ({ target }) => this.#over(/** @type {Element} */ (target)));
    }
    ground.addEventListener("focusout", ({ relatedTarget: to }) => ground.contains(/** @type {Node} */ (to)) || this.bar.remove());
    ground.addEventListener("pointerleave", () => this.#rest());
    ground.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Element} target */
  #over(target) {
    if (this.bar.contains(target)) return;
    const row = target.closest("li.message[data-id]:not(.removed)");
    if (!(row instanceof HTMLElement)) return this.#rest();
    if (this.bar.parentElement === row || this.bar.contains(document.activeElement)) return;
    this.bar.replaceChildren(...this.house.acts(row).map(actButton));
    row.append(this.bar);
  }

  #rest() {
    if (!this.bar.contains(document.activeElement)) this.bar.remove();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const log = target.closest("section");
    if (!log || target instanceof HTMLAnchorElement) return;
    const row = target.closest("li");
    const isButton = target instanceof HTMLButtonElement;
    if (event.key === "Escape") return isButton && row ? row.focus() : this.house.out();
    if (event.key === "Enter" && row === target) return void this.bar.querySelector("button")?.focus();
    const next = isButton ? this.#button(target, event.key) : this.#row(log, row, event.key);
    if (!next) return;
    next.focus();
    event.preventDefault();
  }

  /** @param {HTMLElement} log @param {Element | null} row @param {string} key @returns {HTMLElement | null | undefined} */
  #row(log, row, key) {
    const rows = Array.from(log.querySelectorAll("li.message"), (it) => /** @type {HTMLElement} */ (it));
    const at = row ? rows.indexOf(/** @type {HTMLElement} */ (row)) : rows.length;
    if (key === "Home") return row && rows[0];
    if (key === "ArrowUp") return rows[Math.max(0, at - 1)];
    if (key === "ArrowDown" && row) return rows[at + 1];
    return null;
  }

  /** @param {Element} button @param {string} key */
  #button(button, key) {
    const buttons = [...this.bar.querySelectorAll("button")];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    return step ? buttons[buttons.indexOf(/** @type {any} */ (button)) + step] : null;
  }
}
