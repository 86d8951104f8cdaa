// @ts-check
import { find } from "../element.js";
import { browser } from "../storage.js";
import { icon } from "./icons.js";

const THEME = "rollcall.theme";
const QUIET = "rollcall.quiet";

/** @type {Record<string, [string, string]>} icon, words */
const THEMES = {
  system: ["system", "Colours: as the system"],
  light: ["sun", "Colours: light"],
  dark: ["moon", "Colours: dark"],
};
const ORDER = Object.keys(THEMES);

/** Light or dark, by the person's wish or the system's. */
export class Theme {
  constructor() {
    this.button = find("theme");
    this.button.addEventListener("click", () => this.#set(ORDER[(ORDER.indexOf(this.theme) + 1) % ORDER.length]));
    this.#set(browser.get(THEME) ?? "system");
  }

  /** @param {string} theme */
  #set(theme) {
    /** @type {string} */
    this.theme = THEMES[theme] ? theme : "system";
    browser.set(THEME, this.theme === "system" ? null : this.theme);
    if (this.theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.theme;
    const [lines, words] = THEMES[this.theme];
    this.button.replaceChildren(icon(lines));
    this.button.title = words;
    this.button.setAttribute("aria-label", words);
  }
}

/** Whether a screen reader says each message as it comes: in a busy room one may not want that. */
export class Quiet {
  constructor() {
    this.button = find("quiet");
    this.is = browser.get(QUIET) === "yes";
    this.button.addEventListener("click", () => this.#set(!this.is));
    this.#set(this.is);
  }

  /** @param {HTMLElement} log that is to obey */
  apply(log) {
    log.setAttribute("aria-live", this.is ? "off" : "polite");
  }

  /** @param {boolean} is */
  #set(is) {
    this.is = is;
    browser.set(QUIET, is ? "yes" : null);
    this.button.replaceChildren(icon(is ? "quiet" : "loud"));
    this.button.setAttribute("aria-pressed", String(is));
    const words = "Quiet: screen readers do not say new messages";
    this.button.title = words;
    this.button.setAttribute("aria-label", words);
    for (const log of document.querySelectorAll("section[role=log]")) this.apply(/** @type {HTMLElement} */ (log));
  }
}
