// @ts-check
import { Outbox } from "./outbox.js";

/**
 * @typedef {{ member: string, name: string }} Writer whose words something is: those of an account, or of a guest
 */

/** This device is one guest, whatever it is called. @type {Writer} */
const GUEST = { member: "", name: "a guest" };
/** It was written before anybody knew as whom, and then that changed. No member is called so. @type {Writer} */
const ANOTHER = { member: "?", name: "somebody else" };

/**
 * Who speaks over a connection; undefined: its server knows no accounts, and so cannot tell.
 *
 * @param {import("./frame.js").Welcome} welcome
 * @returns {Writer | undefined}
 */
export function writerOf({ account, member, features }) {
  if (account) return { member, name: account.name };
  return features?.includes("accounts") ? GUEST : undefined;
}

/**
 * Who we are over all connections, and where we stand in each room. The client key and the
 * numbers of what it sent live and die together, hence one object and one saved form.
 */
export class Participant {
  /** @param {string} key the client key @param {string} name */
  constructor(key, name) {
    this.key = key;
    this.name = name;
    /** Our public ID, once a server told it. @type {string | null} */
    this.member = null;
    /** This device's public ID: the member's, unless that is an account's. @type {string | null} */
    this.sender = null;
    /** Whether we speak as an account; what of that is kept belongs to the whole browser, not here. */
    this.isSigned = false;
    /** Of the account's session; null if the browser's cookie tells. @type {string | null} */
    this.token = null;
    /** Who spoke last; undefined if that is not known, or not any more. @type {Writer | undefined} */
    this.writer = undefined;
    /** Where we are, or were refused, and so do not ask again; the numbers stay with the key.
     * `read`: up to where the person has read.
     * @type {Map<string, { cursor: string | null, outbox: Outbox, refused: boolean, read: string | null }>} */
    this.rooms = new Map();
  }

  /** @param {string} room */
  room(room) {
    let place = this.rooms.get(room);
    if (!place) this.rooms.set(room, (place = { cursor: null, outbox: new Outbox(), refused: false, read: null }));
    return place;
  }

  /** @returns {[string, string | null][]} rooms to be in, with their cursors */
  cursors() {
    const rooms = Array.from(this.rooms).filter(([, { refused }]) => !refused);
    return rooms.map(([room, { cursor }]) => [room, cursor]);
  }

  /** Whether a message has a number of ours. @param {import("./frame.js").Message} message */
  sent({ sender, member }) {
    return (sender ?? member) === (this.sender ?? this.member);
  }

  /** Messages that wait for their ack. @returns {import("./outbox.js").Item[]} */
  get #pending() {
    return Array.from(this.rooms.values()).flatMap(({ outbox }) => outbox.pending);
  }

  /** How many they are. */
  get kept() {
    return this.#pending.length;
  }

  /** What nobody's name is on yet is theirs. @param {Writer} writer who speaks from now on */
  spokenBy(writer) {
    this.writer = writer;
    for (const item of this.#pending) item.by ??= writer;
  }

  /** Somebody has signed in, or out. As whom we speak the next connection will know. */
  changesHands() {
    this.spokenBy(ANOTHER);
    this.writer = undefined;
  }

  /** Whoever spoke before this was saved may not be whoever is signed in now. */
  goesOn() {
    const fits = this.isSigned ? this.writer?.name === this.name : this.writer?.member === GUEST.member;
    if (!fits) this.writer = undefined;
  }

  toJSON() {
    const { key, name, member, sender, writer } = this;
    return { key, name, member, sender, writer, rooms: Object.fromEntries(this.rooms) };
  }

  /** @param {any} saved */
  static from(saved) {
    const participant = new Participant(saved.key, saved.name);
    participant.member = saved.member;
    participant.sender = saved.sender ?? null;
    participant.writer = saved.writer;
    for (const [room, { cursor, outbox, refused = false, read = null }] of Object.entries(saved.rooms)) {
      participant.rooms.set(room, { cursor, outbox: new Outbox(outbox), refused, read });
    }
    return participant;
  }
}

/** @param {(bytes: Uint8Array<ArrayBuffer>) => Uint8Array} fill with random bytes */
export function newKey(fill = (bytes) => crypto.getRandomValues(bytes)) {
  const bytes = fill(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
