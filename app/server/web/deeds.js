// @ts-check
import { hashOf } from "./address.js";
import { roomPath } from "./api.js";

/**
 * @typedef {import("./room.js").Room} Room
 * @typedef {import("./talk/acts.js").Act} Act
 * @typedef {{ api: import("./api.js").Api, can(feature: string): boolean, isSigned(): boolean,
 *   me(): string | null, room(): Room, go(room: string): void, edit(room: Room, id: string): void,
 *   remove(room: Room, id: string): void, say(words: string): void }} House
 */

const MUTE_S = 600;

/** What one can do with a message or with a person, and doing it. */
export class Deeds {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
  }

  /** @param {HTMLElement} row @returns {Act[]} */
  ofMessage({ dataset: { id = "", member = "", name = "" } }) {
    const { house } = this;
    const room = house.room();
    const isOwn = member === house.me();
    /** @type {Act[]} */
    const acts = [{ icon: "link", label: "Copy link", run: () => void this.#copy(room, id) }];
    const canWrite = room.closed(Date.now()) === "";
    if (isOwn && house.can("edit") && canWrite) acts.push({ icon: "edit", label: "Change", run: () => house.edit(room, id) });
    if (house.can("edit") && ((isOwn && canWrite) || this.#moderates(room))) {
      acts.push({ icon: "remove", label: "Remove", sure: "Remove it", run: () => house.remove(room, id) });
    }
    return isOwn ? acts : [...acts, ...this.ofPerson(member, name)];
  }

  /** @param {string} member @param {string} name @returns {Act[]} */
  ofPerson(member, name) {
    const { house } = this;
    const room = house.room();
    /** @type {Act[]} */
    const acts = [];
    const isDirect = room.state?.access === "direct";
    if (house.can("rooms") && house.isSigned() && !isDirect) {
      acts.push({ icon: "direct", label: `Write to ${name} alone`, run: () => void this.#direct(member, name) });
    }
    if (!this.#moderates(room) || isDirect) return acts;
    const at = (/** @type {string} */ what) => roomPath(room.name, `/${what}/${encodeURIComponent(member)}`);
    acts.push(
      { icon: "mute", label: `Mute ${name} for 10 minutes`, run: () => void this.#do("PUT", at("mutes"), { seconds: MUTE_S }) },
      { icon: "out", label: `Send ${name} out`, sure: "Send out", run: () => void this.#do("POST", roomPath(room.name, "/kicks"), { member }) },
      { icon: "ban", label: `Ban ${name} from this room`, sure: "Ban", run: () => void this.#do("PUT", at("bans"), {}) },
    );
    return acts;
  }

  /** @param {Room} room */
  #moderates(room) {
    return room.state?.you.moderates === true && this.house.can("moderation");
  }

  /** @param {string} method @param {string} path @param {unknown} body */
  async #do(method, path, body) {
    const { ok, detail } = await this.house.api.call(method, path, body);
    if (!ok) this.house.say(detail);
  }

  /** @param {string} member @param {string} name */
  async #direct(member, name) {
    const { ok, data, detail } = await this.house.api.call("POST", "directs", { member, name });
    if (ok) this.house.go(data.name);
    else this.house.say(detail);
  }

  /** @param {Room} room @param {string} id */
  async #copy(room, id) {
    const { href } = new URL(hashOf(room.name, id), location.href);
    try {
      await navigator.clipboard.writeText(href);
      this.house.say("The link to this message is copied.");
    } catch {
      // On plain http there is no clipboard for pages.
      this.house.say(href);
    }
  }
}
