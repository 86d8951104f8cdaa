// @ts-check
import { find } from "../element.js";
import { Kept } from "../kept.js";
import { Room } from "../room.js";
import { browser } from "../storage.js";

/** @typedef {import("../room.js").House} House */

/** All rooms that the page knows, and the one on the screen. */
export class Rooms {
  /** @param {House} house @param {import("../shell/settings.js").Quiet} quiet */
  constructor(house, quiet) {
    this.house = house;
    this.quiet = quiet;
    this.kept = new Kept(browser);
    /** @type {Map<string, Room>} */
    this.byName = new Map();
    /** @type {Room | null} */
    this.current = null;
  }

  [Symbol.iterator]() {
    return this.byName.values();
  }

  /** @param {string} name */
  get(name) {
    let room = this.byName.get(name);
    if (!room) {
      room = new Room(name, this.house, this.kept.of(name));
      this.byName.set(name, room);
      this.quiet.apply(room.conversation.element);
      find("conversations").append(room.conversation.element);
      for (const item of room.place.outbox.pending) room.conversation.pending(item);
    }
    return room;
  }

  /** @param {Room} room */
  show(room) {
    if (this.current && this.current !== room) {
      this.current.conversation.element.hidden = true;
      this.current.conversation.newFrom(null);
    }
    this.current = room;
    const { element, follower } = room.conversation;
    element.hidden = false;
    follower.show();
  }

  /** @param {Room} room */
  remove(room) {
    room.conversation.element.remove();
    this.byName.delete(room.name);
  }

  save() {
    this.kept.save(this);
  }

  /** Who signs out leaves nothing of private rooms to whoever sits here next. */
  forget() {
    this.kept.forget();
  }

  /** The room with the most people. */
  get busiest() {
    const rooms = [...this].filter(({ shut }) => !shut);
    return rooms.sort((a, b) => (b.roster?.present ?? 0) - (a.roster?.present ?? 0))[0];
  }
}
