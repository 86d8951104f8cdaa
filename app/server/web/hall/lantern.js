// @ts-check
import { make } from "../element.js";

/** The whole screen in the colour of the release that serves: one light of many in a hall. */
export class Lantern {
  /** @param {() => void} tap */
  constructor(tap) {
    this.element = make("main", "hall-lantern");
    this.element.hidden = true;
    this.seat = make("b", "seat");
    this.release = make("p", "release");
    this.replica = make("p", "replica");
    const button = make("button", "hall-noticed", "I noticed!");
    button.type = "button";
    button.addEventListener("click", tap);
    const place = make("h1", "", "Seat");
    place.append(this.seat);
    const served = make("div");
    served.append(this.release, this.replica);
    this.element.append(place, served, button);
    /** @type {any} */
    this.lock = null;
  }

  /** @param {{ replica: string, release: string }} welcome @param {number} colour */
  serving({ replica, release }, colour) {
    this.release.textContent = release;
    this.replica.textContent = `served by ${replica}`;
    this.element.dataset.colour = document.body.dataset.colour = String(colour);
  }

  /** @param {number | null} seat @param {boolean} isWaiting nobody serves us: nothing shines */
  show(seat, isWaiting) {
    this.seat.textContent = seat === null ? "–" : String(seat);
    this.element.classList.toggle("out", isWaiting);
    if (isWaiting) this.replica.textContent = "connecting…";
  }

  /** The screen stays on while it shines, where a page may ask for that. @param {boolean} is */
  async light(is) {
    if (is && !this.lock) this.lock = await /** @type {any} */ (navigator).wakeLock?.request("screen").catch(() => null);
    else if (!is) {
      void this.lock?.release();
      this.lock = null;
    }
  }
}
