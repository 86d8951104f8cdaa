// @ts-check
import { newKey, Participant } from "./participant.js";

/**
 * Where a participant lives: in the tab's own storage, so that a reload goes on as the same one,
 * and two tabs are two participants.
 */

const STORE = "rollcall";
const NAME = "rollcall.name";

/** How long a reloaded page waits for its former self to let go of the key. */
const HANDOVER_MS = 1_500;

/**
 * A duplicated tab starts with a copy of this storage, and two pages with one key would use up
 * each other's numbers. A lock per key tells them apart. Without locks (they need a secure context)
 * nobody can tell, and a new key is always right, so that is what the page gets then.
 *
 * @param {string} key
 * @returns {Promise<boolean>} whether this page alone has the key, for as long as it lives
 */
function claim(key) {
  return new Promise((resolve) => {
    if (!navigator.locks) return resolve(false);
    const held = () => {
      resolve(true);
      return new Promise(() => {});
    };
    const signal = AbortSignal.timeout(HANDOVER_MS);
    navigator.locks.request(`${STORE}.${key}`, { signal }, held).catch(() => resolve(false));
  });
}

/** @returns {Promise<Participant | null>} who this tab was before a reload */
export async function restore() {
  try {
    const participant = Participant.from(JSON.parse(sessionStorage.getItem(STORE) ?? "null"));
    return (await claim(participant.key)) ? participant : null;
  } catch {
    return null;
  }
}

/** @param {string} name @returns {Participant} */
export function create(name) {
  const participant = new Participant(newKey(), name);
  localStorage.setItem(NAME, name);
  void claim(participant.key);
  save(participant);
  return participant;
}

/** @param {Participant} participant */
export function save(participant) {
  sessionStorage.setItem(STORE, JSON.stringify(participant));
}

export function forget() {
  sessionStorage.removeItem(STORE);
}

/** The name that was used last in this browser. */
export function lastName() {
  return localStorage.getItem(NAME) ?? "";
}
