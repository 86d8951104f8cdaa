// @ts-check
import { compare } from "../id.js";

/**
 * @typedef {import("../frame.js").Message} Message
 * @typedef {{ last: string, got: number }} Place where we are in a room's log, and how many of its messages came
 */

/** Numbers of our own messages that are remembered, to know one that comes again. */
const OWN = 1_000;

/**
 * What became of us, by our own eyes: each message names the one before it, so the chain says whether one is missing. It is
 * kept with the cursors, and so goes on exactly where they do.
 */
export class Tally {
  /** @param {any} [saved] */
  constructor(saved = {}) {
    /** @type {Record<string, Place>} by room */
    this.rooms = saved.rooms ?? {};
    this.missing = saved.missing ?? 0;
    this.doubled = saved.doubled ?? 0;
    /** The log itself could not go on from where we were. */
    this.gaps = saved.gaps ?? 0;
    /** A replica passed a message over, and gave it when it was asked again. */
    this.asked = saved.asked ?? 0;
    this.moves = saved.moves ?? 0;
    /** Connections that were lost, and not moved. */
    this.cuts = saved.cuts ?? 0;
    this.silence = saved.silence ?? 0;
    this.right = saved.right ?? 0;
    this.wrong = saved.wrong ?? 0;
    this.taken = saved.taken ?? 0;
    /** @type {string[]} room and number of ours that came back from the log */
    this.own = saved.own ?? [];
    /** @type {number | null} */
    this.seat = saved.seat ?? null;
    /** The number of what the hall was asked last. @type {number | null} */
    this.round = saved.round ?? null;
    /** None if the roll is called. @type {string[]} */
    this.ballot = saved.ballot ?? [];
    this.vote = saved.vote ?? "";
    /** One has not looked yet at what is asked. */
    this.isNew = saved.isNew ?? false;
  }

  /** All that came. */
  get got() {
    return Object.values(this.rooms).reduce((sum, { got }) => sum + got, 0);
  }

  /** We are in a room, and what follows this one is to come. @param {string} room @param {string | null} cursor */
  entered(room, cursor) {
    if (cursor !== null) this.rooms[room] ??= { last: cursor, got: 0 };
  }

  /** @param {Message} message @param {boolean} isOwn */
  message({ room, id, prev, n }, isOwn) {
    const place = (this.rooms[room] ??= { last: prev, got: 0 });
    if (compare(id, place.last) <= 0) {
      this.doubled += 1;
      return;
    }
    if (compare(prev, place.last) !== 0) this.missing += 1;
    place.last = id;
    place.got += 1;
    if (!isOwn) return;
    if (this.own.includes(`${room} ${n}`)) this.doubled += 1;
    this.own = [...this.own, `${room} ${n}`].slice(-OWN);
  }

  /** @param {{ room: string, resumes_at: string }} gap */
  gap({ room, resumes_at: resumes }) {
    this.gaps += 1;
    this.rooms[room] = { last: resumes, got: this.rooms[room]?.got ?? 0 };
  }

  /** Somebody else serves us. @param {number | null} silence ms without anybody; null: the next one did before the last one went */
  served(silence) {
    if (silence === null) this.moves += 1;
    else {
      this.cuts += 1;
      this.silence = Math.max(this.silence, Math.round(silence));
    }
  }

  /** @param {import("./said.js").Asked} question @returns {boolean} whether it is another question */
  asks({ round, of }) {
    if (round === this.round) return false;
    Object.assign(this, { round, ballot: of, vote: "", isNew: true });
    return true;
  }

  /** @type {"vote" | "receipt" | null} where one answers what is asked */
  get place() {
    if (this.round === null) return null;
    return this.ballot.length > 0 ? "vote" : "receipt";
  }

  /** Nothing is wrong with what came. */
  get isWhole() {
    return this.missing + this.doubled + this.gaps === 0;
  }

  /** All of it in a line. */
  get receipt() {
    const all = `${count(this.got)} of ${count(this.got + this.missing)}`;
    return `moved ${times(this.moves)}, ${all}, longest silence ${count(this.silence)} ms`;
  }
}

const NUMBER = new Intl.NumberFormat("en");

/** @param {number} number */
export function count(number) {
  return NUMBER.format(number);
}

/** @param {number} number */
export function times(number) {
  return ["never", "once", "twice"][number] ?? `${count(number)} times`;
}
