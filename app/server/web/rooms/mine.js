// @ts-check
import { roomPath } from "../api.js";
import { compare, isId } from "../id.js";

/**
 * @typedef {{ api: import("../api.js").Api, clock: import("../connection.js").Clock,
 *   rooms: import("./rooms.js").Rooms, isSigned(): boolean, enter(name: string): void,
 *   gone(room: import("../room.js").Room): void, isFull(): boolean, show(): void }} House
 */

/** So long it may take until one sees that somebody has written to one alone. */
const EVERY_MS = 15_000;
const LEFT = { ok: true, detail: "" };

/** The rooms of an account: those that its other devices entered, and those it was asked into. */
export class Mine {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.cancel = () => {};
    /** Those that the account is in for sure. @type {Set<string>} */
    this.entered = new Set();
    /** How often one has left: an answer from before is not true any more. */
    this.leaves = 0;
  }

  /** From now on, and again and again; a page that nobody sees does not ask. */
  async look() {
    this.cancel();
    if (!this.house.isSigned()) return;
    if (!document.hidden) await this.#ask();
    this.cancel = this.house.clock.after(EVERY_MS, () => void this.look());
  }

  /** One reads here: it is a room of the account's, on all its devices. @param {string} room */
  async enter(room) {
    if (!this.house.isSigned() || this.entered.has(room)) return;
    const { ok } = await this.house.api.call("PUT", roomPath(room, "/membership"), {});
    if (ok) this.entered.add(room);
  }

  /** @param {string} room @returns {Promise<string>} why one is still in it, or nothing */
  async leave(room) {
    const { ok, detail } = this.house.isSigned() ? await this.house.api.call("DELETE", roomPath(room, "/membership")) : LEFT;
    this.leaves += 1;
    if (ok) this.entered.delete(room);
    return detail;
  }

  async #ask() {
    const { rooms } = this.house;
    const [before, leaves, found] = [[...this.entered], this.leaves, []];
    for (let after = ""; ; ) {
      const { ok, data } = await this.house.api.call("GET", `rooms?mine=true&limit=100${after}`);
      if (!ok || leaves !== this.leaves) return;
      found.push(...data.rooms);
      if (!data.next) break;
      after = `&after=${encodeURIComponent(data.next)}`;
    }
    for (const { name, archived, read } of found) {
      this.entered.add(name);
      if (archived || (!rooms.byName.has(name) && this.house.isFull())) continue;
      if (!rooms.byName.has(name)) this.house.enter(name);
      const { place } = rooms.get(name);
      if (isId(read) && (place.read === null || compare(read, place.read) > 0)) place.read = read;
    }
    // Left on another device. One that we were sent out of stays, and says so.
    for (const gone of before.filter((name) => !found.some((it) => it.name === name))) {
      this.entered.delete(gone);
      const room = rooms.byName.get(gone);
      if (room && !room.shut) this.house.gone(room);
    }
    this.house.show();
  }
}
