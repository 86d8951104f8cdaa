// @ts-check
/** @typedef {import("../connection.js").Clock} Clock */

/** Who types says so again within this time, or has stopped. */
const FADE_MS = 5_000;
/** How often we say so ourselves. */
const REPEAT_MS = 3_000;
/** A server tells others no more often, and drops what comes sooner. */
const SOONEST_MS = 1_000;

/** The people who are typing, per room; and when to tell others that we are. */
export class Typists {
  /** @param {Clock} clock @param {(room: string) => void} changed */
  constructor(clock, changed) {
    this.clock = clock;
    this.changed = changed;
    /** Room → member → name, and what cancels its end.
     * @type {Map<string, Map<string, { name: string, cancel: () => void }>>} */
    this.rooms = new Map();
    this.toldAt = -Infinity;
    this.pause = REPEAT_MS;
  }

  /** @param {{ room: string, member: string, name: string }} typing */
  typing({ room, member, name }) {
    this.#stop(room, member);
    if (!this.rooms.has(room)) this.rooms.set(room, new Map());
    const cancel = this.clock.after(FADE_MS, () => this.stopped(room, member));
    this.rooms.get(room)?.set(member, { name, cancel });
    this.changed(room);
  }

  /** @param {string} room @param {string} member */
  stopped(room, member) {
    if (this.#stop(room, member)) this.changed(room);
  }

  /** @param {string} room @returns {string[]} */
  names(room) {
    return Array.from(this.rooms.get(room)?.values() ?? [], ({ name }) => name);
  }

  /** Whether it is time to tell others again. */
  due() {
    if (this.clock.now() - this.toldAt < this.pause) return false;
    this.toldAt = this.clock.now();
    this.pause = REPEAT_MS;
    return true;
  }

  /** What was said is no longer being typed; the next letter is news again. */
  said() {
    this.pause = SOONEST_MS;
  }

  /** @param {string} room @param {string} member */
  #stop(room, member) {
    this.rooms.get(room)?.get(member)?.cancel();
    return this.rooms.get(room)?.delete(member) ?? false;
  }
}
