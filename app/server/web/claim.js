// @ts-check

/**
 * Who owns a client key. A duplicated tab starts with a copy of this tab's storage, and two pages
 * with one key would use up each other's numbers.
 */

/** How long a page that was just left may still hold its lock. */
const HANDOVER_MS = 1_500;
/** How long another page has to object: on a busy machine a page in the background takes its time. */
const OBJECTION_MS = 1_000;

/**
 * @param {string} key
 * @param {() => void} lost another page has taken the key: this one was frozen when it was asked
 * @param {boolean} [isNew] nobody else can have it yet
 * @returns {Promise<boolean>} whether this page alone has the key, for as long as it lives
 */
export function claim(key, lost, isNew = false) {
  return globalThis.navigator?.locks ? claimByLock(key) : claimByAsking(key, lost, { isNew });
}

/** @param {string} key @returns {Promise<boolean>} */
function claimByLock(key) {
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise(() => {});
    };
    const signal = AbortSignal.timeout(HANDOVER_MS);
    navigator.locks.request(`rollcall.${key}`, { signal }, held).catch(() => resolve(false));
  });
}

/**
 * Without locks, which plain http to another name than localhost does not have: asks all pages of
 * this browser, and answers for the key from then on. A page that is being left does not answer.
 *
 * @param {string} key
 * @param {() => void} lost
 * @param {{ patience?: number, now?: () => number, isNew?: boolean }} [how] ms, the time of day, and whether nobody else
 *   can have the key yet: then nobody is asked, and a copy of this tab that comes at once is told
 * @returns {Promise<boolean>}
 */
export async function claimByAsking(key, lost, { patience = OBJECTION_MS, now = Date.now, isNew = false } = {}) {
  const me = Math.random();
  let owned = isNew;
  const channel = new BroadcastChannel(`rollcall.${key}`);
  let left = false;
  globalThis.addEventListener?.("pagehide", () => (left = true));
  // Kept for the back button, and back.
  globalThis.addEventListener?.("pageshow", () => (left = false));
  const objected = await new Promise((resolve) => {
    channel.onmessage = ({ data: { to, from, at } }) => {
      if (left) return;
      if (to !== undefined) return to === me && resolve(true);
      const object = () => channel.postMessage({ to: from });
      // Of two that ask at the same time the one with the lower number goes first.
      if (!owned) return from > me ? object() : resolve(true);
      if (now() - at <= patience) return object();
      // This page was frozen, and the other one has begun meanwhile.
      owned = false;
      channel.close();
      lost();
    };
    if (isNew) return resolve(false);
    channel.postMessage({ from: me, at: now() });
    setTimeout(() => resolve(false), patience);
  });
  owned = !objected;
  if (objected) channel.close();
  return owned;
}
