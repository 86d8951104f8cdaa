// @ts-check
import { claim } from "./claim.js";
import { newKey, Participant } from "./participant.js";
import { browser, tab } from "./storage.js";
import { cleanName } from "./words.js";

/**
 * Where a participant lives: in the tab's own storage, so that a reload goes on as the same one,
 * and two tabs are two participants.
 */

const STORE = "rollcall";
const NAME = "rollcall.name";

/** Called when another page has taken our key. */
let lost = () => {};

/** @param {() => void} run */
export function whenLost(run) {
  lost = run;
}

/** @returns {Promise<Participant | null>} who this tab was before a reload */
export async function restore() {
  try {
    const participant = Participant.from(JSON.parse(tab.get(STORE) ?? "null"));
    // The rules for names may have become stricter since.
    participant.name = cleanName(participant.name);
    const known = participant.name !== "" && (await claim(participant.key, () => lost()));
    return known ? participant : null;
  } catch {
    return null;
  }
}

/** @param {string} name @returns {Participant} */
export function create(name) {
  const participant = new Participant(newKey(), name);
  browser.set(NAME, name);
  claim(participant.key, () => lost(), true).catch(console.warn);
  save(participant);
  return participant;
}

/** @param {Participant} participant @returns {boolean} whether a reload will find it */
export function save(participant) {
  return tab.set(STORE, JSON.stringify(participant));
}

export function forget() {
  tab.set(STORE, null);
}

/** The name that was used last in this browser. */
export function lastName() {
  return browser.get(NAME) ?? "";
}
