// @ts-check
import { make } from "../element.js";

/** @typedef {"talk" | "lantern" | "vote" | "receipt"} View */

/** What is said of a question wherever one does not answer it. @type {{ vote: string, receipt: string }} */
const CALLS = { vote: "Which is to die next? Vote.", receipt: "The roll is called: answer on your receipt." };

/** @type {[View, string, string][]} view, words, lines on a ground of 24 × 24 */
const VIEWS = [
  ["talk", "Talk", "M4 5h16v11H9l-5 4V5Z"],
  ["lantern", "Lantern", "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.5 10.9V16h7v-2.1A6 6 0 0 0 12 3Z"],
  ["vote", "Vote", "M5 12l4.5 4.5L19 7"],
  ["receipt", "Receipt", "M6 3h12v18l-3-2-3 2-3-2-3 2V3ZM9 8h6M9 12h6"],
];
const SVG = "http://www.w3.org/2000/svg";

/** The row of buttons at the foot of a phone, and what it shows above it. */
export class Bar {
  /**
   * @param {Record<View, HTMLElement>} views
   * @param {{ tap(): void, shown(view: View): void }} on
   */
  constructor(views, on) {
    this.views = views;
    this.on = on;
    /** @type {View} */
    this.view = "talk";
    this.said = make("p", "hall-said");
    this.said.setAttribute("role", "status");
    /** Something is asked: it is in a row of its own, where it is over nothing. */
    this.asks = make("div", "hall-asks");
    this.asks.setAttribute("role", "status");
    this.asks.hidden = true;
    this.buttons = VIEWS.map(([view, words, lines]) => this.#button(view, words, lines));
    this.notice = make("button", "hall-notice", "I noticed!");
    this.notice.addEventListener("click", on.tap);
    this.element = make("nav", "hall-bar");
    this.element.setAttribute("aria-label", "The hall");
    this.element.append(this.said, ...this.buttons.slice(0, 2), this.notice, ...this.buttons.slice(2));
    for (const button of [...this.buttons, this.notice]) button.type = "button";
    this.element.hidden = true;
    document.body.append(this.asks, ...VIEWS.slice(1).map(([view]) => views[view]), this.element);
  }

  /** @param {View} view @param {string} words @param {string} lines */
  #button(view, words, lines) {
    const button = make("button", "hall-view");
    const icon = document.createElementNS(SVG, "svg");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("class", "icon");
    icon.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", lines);
    icon.append(path);
    button.append(icon, make("span", "", words));
    button.addEventListener("click", () => this.show(view));
    return button;
  }

  open() {
    if (!this.element.hidden) return;
    this.element.hidden = false;
    document.body.classList.add("hall");
    this.show(this.view);
  }

  /** The chat alone: it is over. */
  close() {
    if (this.element.hidden) return;
    this.show("talk");
    this.element.hidden = true;
    document.body.classList.remove("hall");
  }

  /** @param {View} view */
  show(view) {
    this.view = view;
    for (const [index, [other]] of VIEWS.entries()) {
      this.views[other].hidden = other !== view;
      if (other === view) this.buttons[index].setAttribute("aria-current", "page");
      else this.buttons[index].removeAttribute("aria-current");
    }
    document.body.dataset.view = view;
    this.on.shown(view);
  }

  /** @param {"vote" | "receipt" | null} place where one answers what one has not seen yet; null: there is no such question */
  call(place) {
    for (const [index, [view]] of VIEWS.entries()) this.buttons[index].classList.toggle("asked", view === place);
    this.asks.hidden = place === null;
    this.asks.replaceChildren();
    if (place === null) return;
    const button = make("button", "", CALLS[place]);
    button.type = "button";
    button.addEventListener("click", () => this.show(place));
    this.asks.append(button);
  }

  /** @param {string} words @param {string} tone */
  say(words, tone) {
    this.said.textContent = words;
    this.said.dataset.tone = tone;
  }
}
