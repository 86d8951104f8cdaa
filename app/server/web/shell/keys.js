// @ts-check
import { make } from "../element.js";
import { Dialog } from "./dialog.js";

/** @type {[string, string][]} */
const KEYS = [
  ["Ctrl K", "Go to a room, or make one"],
  ["Alt ↑ ↓", "The room before, the next one"],
  ["↑", "In an empty form: change your last message"],
  ["↑ ↓", "In the messages or the rooms: one up, one down"],
  ["Enter", "On a message: what can be done with it"],
  ["Escape", "Leave what is open; back to the form and to the newest message"],
  ["Shift Enter", "A new line"],
  ["@", "Call somebody by name"],
  ["`code`", "Code; between ``` several lines"],
  ["?", "This list"],
];

/** The keys, on `?`. */
export class Keys {
  constructor() {
    this.dialog = new Dialog("keys", "Keys");
    const list = make("dl", "keys");
    for (const [key, what] of KEYS) {
      const term = make("dt");
      term.append(make("kbd", "", key));
      list.append(term, make("dd", "", what));
    }
    this.dialog.body.append(list);
  }

  open() {
    this.dialog.open();
  }
}

/** Whether one writes somewhere, and so letters are letters. @param {EventTarget | null} target */
export function isWriting(target) {
  return target instanceof HTMLElement && target.closest("input, textarea, select, dialog") !== null;
}
