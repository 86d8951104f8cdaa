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
  }

  /** From now on, and again and again; a page that nobody sees does not ask. */
  async look() {
    this.cancel();
    if (!this.house.isSigned()) return;
    if (!document.hidden) await this.#ask();
    this.cancel = this.house.clock.after(EVERY_MS, () => void this.look());
  }

  /** @param {string} room */
  leave(room) {
    if (this.house.isSigned()) void this.house.api.call("DELETE", roomPath(room, "/membership"));
  }

  async #ask() {
    const { ok, data } = await this.house.api.call("GET", "rooms?mine=true&limit=100");
    const list = Array.isArray(data) ? data : data?.rooms;
    if (!ok || !Array.isArray(list)) return;
    for (const it of list) {
      const name = it?.name ?? it?.room;
      if (typeof name !== "string" || it.archived === true) continue;
      if (!this.house.rooms.byName.has(name)) this.house.enter(name);
      const { place } = this.house.rooms.get(name);
      if (isId(it.read) && (place.read === null || compare(it.read, place.read) > 0)) place.read = it.read;
    }
  }
}
