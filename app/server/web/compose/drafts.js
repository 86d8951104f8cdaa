// @ts-check

/** @typedef {{ get(key: string): string | null, set(key: string, value: string | null): boolean }} Store */

const DRAFTS = "rollcall.drafts";
/** Where a page of the release before kept the only draft that it had. */
const OLD = "rollcall.draft";
const MOST = 64;

/** What was typed and not sent yet, per room; a reload finds it. */
export class Drafts {
  /** @param {Store} store @param {string} room where a draft of an older page goes */
  constructor(store, room) {
    this.store = store;
    /** @type {Map<string, string>} */
    this.texts = new Map(entries(store.get(DRAFTS)));
    const old = store.get(OLD);
    if (!old) return;
    if (!this.texts.has(room)) this.put(room, old);
    store.set(OLD, null);
  }

  /** @param {string} room */
  of(room) {
    return this.texts.get(room) ?? "";
  }

  /** @param {string} room @param {string} text */
  put(room, text) {
    if (this.of(room) === text) return;
    this.texts.delete(room);
    if (text) this.texts.set(room, text);
    if (this.texts.size > MOST) this.texts.delete(String(this.texts.keys().next().value));
    this.store.set(DRAFTS, this.texts.size === 0 ? null : JSON.stringify([...this.texts]));
  }

  forget() {
    this.texts.clear();
    this.store.set(DRAFTS, null);
  }
}

/** @param {string | null} saved @returns {[string, string][]} */
function entries(saved) {
  try {
    const list = JSON.parse(saved ?? "[]");
    return list.filter((/** @type {any} */ it) => typeof it?.[0] === "string" && typeof it?.[1] === "string");
  } catch {
    return [];
  }
}
