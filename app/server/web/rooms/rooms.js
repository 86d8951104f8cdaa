// @ts-check
import { find } from "../element.js";
import { Kept } from "../kept.js";
import { Room } from "../room.js";
import { browser } from "../storage.js";

/** @typedef {import("../room.js").House} House */

/** Silent for longer, and nobody talks there any more. */
const LIVELY_MS = 10 * 60_000;

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

  /** But for rooms that cannot be entered any more: since one has signed out, perhaps. */
  save() {
    this.kept.save([...this].filter(({ shut }) => !shut));
  }

  /** Who signs out leaves nothing of private rooms to whoever sits here next. */
  forget() {
    this.kept.forget();
  }

  /** Where people talk, if they do not in the room on the screen: the one with most people of those. @param {number} now */
  liveliest(now) {
    const isLively = (/** @type {Room} */ { recent }) => now - (recent.last?.at ?? 0) < LIVELY_MS;
    if (!this.current || isLively(this.current)) return undefined;
    const rooms = [...this].filter((room) => !room.shut && isLively(room));
    return rooms.sort((a, b) => (b.roster?.present ?? 0) - (a.roster?.present ?? 0))[0];
  }
}
