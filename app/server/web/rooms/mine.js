// @ts-check
import { roomPath } from "../api.js";
import { compare, isId } from "../id.js";

/**
 * @typedef {{ api: import("../api.js").Api, clock: import("../connection.js").Clock,
 *   rooms: import("./rooms.js").Rooms, isSigned(): boolean, enter(name: string): void }} House
 */

const EVERY_MS = 30_000;

/** The rooms of an account: those that its other devices entered, and those it was asked into. */
export class Mine {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.cancel = () => {};
    /** Those that the account is in for sure. @type {Set<string>} */
    this.entered = new Set();
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

  /** @param {string} room */
  leave(room) {
    this.entered.delete(room);
    if (this.house.isSigned()) void this.house.api.call("DELETE", roomPath(room, "/membership"));
  }

  async #ask() {
    const { ok, data } = await this.house.api.call("GET", "rooms?mine=true&limit=100");
    if (!ok) return;
    for (const { name, archived, read } of data.rooms) {
      if (archived) continue;
      if (!this.house.rooms.byName.has(name)) this.house.enter(name);
      const { place } = this.house.rooms.get(name);
      if (isId(read) && (place.read === null || compare(read, place.read) > 0)) place.read = read;
    }
  }
}
