// @ts-check
import { find } from "./element.js";

/** Nobody needs to hear of an interruption that is over before they would have noticed. */
const UNNOTICED_MS = 3_000;

/** Which replica and release serve us, and a word when for a while none does. */
export class Status {
  /** @param {import("./connection.js").Clock} clock */
  constructor(clock) {
    this.clock = clock;
    this.element = find("status");
    this.replica = find("replica");
    this.release = find("release");
    this.notice = find("notice");
    this.cancel = () => {};
    const chip = find("serving");
    chip.addEventListener("animationend", () => chip.classList.remove("moved"));
    this.chip = chip;
  }

  /** @param {{ replica: string, release: string }} welcome */
  serving({ replica, release }) {
    this.cancel();
    this.#say("serving", "");
    const before = this.chip.textContent;
    const moved = !this.chip.hidden;
    this.replica.textContent = replica;
    this.release.textContent = release;
    this.chip.hidden = false;
    if (moved && before !== this.chip.textContent) this.chip.classList.add("moved");
  }

  /** @param {string} words */
  waiting(words) {
    this.cancel();
    this.cancel = this.clock.after(UNNOTICED_MS, () => this.#say("waiting", words));
  }

  ended() {
    this.cancel();
    this.#say("ended", "");
    this.chip.hidden = true;
  }

  /** @param {string} state @param {string} words */
  #say(state, words) {
    this.element.dataset.state = state;
    this.notice.textContent = words;
  }
}
