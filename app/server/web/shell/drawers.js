// @ts-check
import { find } from "../element.js";

/** The rooms and the people, which a narrow screen hides behind buttons; see the stylesheet. */
export class Drawers {
  constructor() {
    this.drawers = [["rooms-panel", "rooms-open"], ["people", "people-toggle"]].map(([panel, button]) =>
      ({ panel: find(panel), button: find(button) }));
    for (const { panel, button } of this.drawers) {
      button.addEventListener("click", () => {
        const open = !panel.classList.contains("open");
        this.close();
        this.#set(panel, button, open);
        if (open) panel.querySelector("a, button, h2")?.focus();
      });
    }
    find("shade").addEventListener("click", () => this.close());
  }

  /** @returns {boolean} whether one was open */
  close() {
    const open = this.drawers.filter(({ panel }) => panel.classList.contains("open"));
    for (const { panel, button } of open) {
      this.#set(panel, button, false);
      if (panel.contains(document.activeElement)) button.focus();
    }
    return open.length > 0;
  }

  /** @param {HTMLElement} panel @param {HTMLElement} button @param {boolean} open */
  #set(panel, button, open) {
    panel.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
    find("shade").hidden = !this.drawers.some((drawer) => drawer.panel.classList.contains("open"));
  }
}
