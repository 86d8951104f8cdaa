// @ts-check
import { find } from "../element.js";

/** One sentence over the form that stays until it is answered. */
export class Word {
  constructor() {
    this.bar = find("word");
    this.text = this.bar.querySelector("span");
    this.button = this.bar.querySelector("button");
    this.run = () => {};
    this.button.addEventListener("click", () => {
      this.hide();
      this.run();
    });
  }

  /** @param {string} words @param {string} [label] of the button @param {() => void} [run] */
  say(words, label = "Close", run = () => {}) {
    this.text.textContent = words;
    this.text.dir = "auto";
    this.button.textContent = label;
    this.run = run;
    this.bar.hidden = false;
  }

  hide() {
    this.bar.hidden = true;
  }
}
