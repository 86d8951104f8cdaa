// @ts-check
import { find, make } from "../element.js";
import { browser, tab } from "../storage.js";
import { Hall } from "./hall.js";
import { proposed } from "./names.js";
import { Tally } from "./tally.js";

const LAST_NAME = "rollcall.name";
const STORE = "rollcall";

const style = make("link");
style.rel = "stylesheet";
style.href = "/web/hall.css";
document.head.append(style);
// As if it had been used before: the page offers that one.
if (!browser.get(LAST_NAME)) browser.set(LAST_NAME, proposed(Math.random));

/** The page goes on in the hall. @param {import("../page.js").Page} page */
export function begin(page) {
  const tally = new Tally(saved());
  const { participant } = page;
  const alone = participant.toJSON.bind(participant);
  // Kept with the cursors, at the same moment.
  Object.assign(participant, { toJSON: () => ({ ...alone(), hall: tally }) });
  new Hall(page, tally, find("chat"));
}

function saved() {
  try {
    return JSON.parse(tab.get(STORE) ?? "{}").hall;
  } catch {
    return undefined;
  }
}
