// @ts-check
import { hueOf } from "./hue.js";

/** So long somebody whose replica is gone is waited for. */
const WAITED_FOR_MS = 12_000;
/** Two replicas tell of one move, each in its own time: so long nobody is taken for lost. */
const TOLD_LATER_MS = 300;
/** So long somebody who leaves is seen leaving. */
export const LEAVES_MS = 500;
/** When half of the seats have not been needed for so long, everybody sits wider again. A roll moves fewer than that. */
const ROOMY_MS = 8_000;
/** But a few seats cannot be larger than they are. */
const FEW = 40;

/** @typedef {{ place: string, seat: number }} Seat */
/**
 * A person on a connection, or on the way to the next.
 * @typedef {{
 *   id: number, member: string, hue: number, key: string, seat: Seat, from: Seat | null, movedAt: number, liveAt: number,
 *   goesAt: number, lostAt: number, leftAt: number, spokeAt: number,
 * }} Dot
 */

const NEVER = Infinity;

/** Everybody who is there, each on a seat of their own in the place that serves them. A fold of events: no clock. */
export class People {
  /** @type {Map<number, Dot>} */
  dots = new Map();
  /** Connections, by replica, slot and number. @type {Map<string, Dot>} */
  #connections = new Map();
  /** @type {Map<string, Set<Dot>>} */
  #members = new Map();
  /** Which seats are taken. @type {Map<string, boolean[]>} */
  #seats = new Map();
  /** Seats that there are in each place. */
  needed = 0;
  /** Since when that has been twice of what is needed. */
  #roomySince = NEVER;
  #count = 0;
  /** Counts changes of who sits where. */
  version = 0;

  /** @param {number} at @param {any[]} list */
  apply(at, list) {
    this.expire(at);
    for (const step of list) this.#step(at - (step.ago_ms ?? 0), step);
    this.#look(at);
    this.version += 1;
  }

  /** @param {string} member @param {number} at */
  spoke(member, at) {
    for (const dot of this.#members.get(member) ?? []) dot.spokeAt = at;
    this.version += 1;
  }

  /** @param {string} place how many people sit there */
  count(place) {
    let count = 0;
    for (const { seat, lostAt, leftAt } of this.dots.values()) {
      if (seat.place === place && lostAt === NEVER && leftAt === NEVER) count += 1;
    }
    return count;
  }

  /** @param {number} at @param {any} step */
  #step(at, { is, replica, slot, number, member, name, in_ms: wait }) {
    const place = `${replica}/${slot}`;
    const key = `${place}/${number}`;
    if (is === "opened") return this.#opened(at, key, place, member, name);
    const dot = this.#connections.get(key);
    if (!dot) return;
    const isHere = dot.key === key;
    if (is === "live" && isHere) dot.liveAt = Math.min(dot.liveAt, at);
    if (is === "goaway" && isHere) {
      dot.goesAt = at + (wait ?? 0);
      this.#joinTwin(dot, at);
    }
    if (is === "forced" || is === "lost") this.#lost(dot, key, at);
    if (is === "closed" || is === "lost") this.#connections.delete(key);
    if (is === "closed" && isHere && dot.lostAt === NEVER) {
      // Somebody who was told to go may close first, and come back; or where they are now is told a little later.
      if (dot.goesAt < NEVER) this.#lost(dot, key, at + TOLD_LATER_MS);
      else this.#leaves(dot, at);
    }
  }

  /** Where somebody went may be told before that they were to go: then whoever seemed to come there is they. @param {Dot} dot @param {number} at */
  #joinTwin(dot, at) {
    const isTwin = (/** @type {Dot} */ it) => it !== dot && !it.from && it.leftAt === NEVER && Math.abs(at - it.movedAt) < TOLD_LATER_MS;
    const twin = [...this.#members.get(dot.member) ?? []].find(isTwin);
    if (!twin) return;
    const { key, seat, movedAt, liveAt } = twin;
    this.#forget(twin);
    this.#free(dot.seat);
    Object.assign(dot, { from: dot.seat, seat, key, movedAt, liveAt, goesAt: NEVER });
    this.#connections.set(key, dot);
  }

  /** @param {Dot} dot @param {string} key @param {number} at */
  #lost(dot, key, at) {
    if (dot.key === key) dot.lostAt = Math.min(dot.lostAt, at);
  }

  /** @param {number} at @param {string} key @param {string} place @param {string} member @param {string} name */
  #opened(at, key, place, member, name) {
    const known = [...this.#members.get(member) ?? []].filter(({ leftAt }) => leftAt === NEVER);
    // A person who has lost a connection goes on with this one; one who was told to go moves to it.
    const dot = known.find(({ lostAt }) => lostAt < NEVER) ?? known.find(({ goesAt }) => goesAt < NEVER);
    if (dot) this.#moves(dot, at, key, place);
    else this.#comes(at, key, place, member, name);
  }

  /** @param {number} at @param {string} key @param {string} place @param {string} member @param {string} name */
  #comes(at, key, place, member, name) {
    const dot = {
      id: this.#count++, member, hue: hueOf(member, name), key, seat: this.#take(place), from: null, movedAt: at, liveAt: NEVER,
      goesAt: NEVER, lostAt: NEVER, leftAt: NEVER, spokeAt: -NEVER,
    };
    this.dots.set(dot.id, dot);
    this.#connections.set(key, dot);
    const dots = this.#members.get(member) ?? new Set();
    this.#members.set(member, dots.add(dot));
  }

  /** @param {Dot} dot @param {number} at @param {string} key @param {string} place */
  #moves(dot, at, key, place) {
    this.#free(dot.seat);
    Object.assign(dot, { from: dot.seat, seat: this.#take(place), key, movedAt: at, liveAt: NEVER, goesAt: NEVER, lostAt: NEVER });
    this.#connections.set(key, dot);
  }

  /** @param {Dot} dot @param {number} at */
  #leaves(dot, at) {
    this.version += 1;
    dot.leftAt = at;
    this.#free(dot.seat);
  }

  /** The first seat that is free. @param {string} place @returns {Seat} */
  #take(place) {
    const seats = this.#seats.get(place) ?? [];
    this.#seats.set(place, seats);
    const free = seats.indexOf(false);
    const seat = free < 0 ? seats.length : free;
    seats[seat] = true;
    this.needed = Math.max(this.needed, seats.length);
    return { place, seat };
  }

  /** @param {Seat} seat */
  #free({ place, seat }) {
    const seats = this.#seats.get(place);
    if (seats) seats[seat] = false;
  }

  /** Those who did not come back, and those who have been seen leaving, are forgotten. @param {number} at */
  expire(at) {
    for (const dot of this.dots.values()) {
      if (dot.leftAt === NEVER && at - dot.lostAt > WAITED_FOR_MS) {
        this.#leaves(dot, dot.lostAt + WAITED_FOR_MS);
        this.#look(dot.leftAt);
      }
      if (at - dot.leftAt > LEAVES_MS) this.#forget(dot);
    }
    if (at - this.#roomySince > ROOMY_MS) this.#sitWider();
  }

  /** Seats that are needed, where most people are. */
  #crowd() {
    return Math.max(FEW, ...[...this.#seats.values()].map((seats) => seats.filter(Boolean).length));
  }

  /** Are there far more seats than people now? @param {number} at */
  #look(at) {
    const isRoomy = this.needed >= 2 * FEW && this.needed >= 2 * this.#crowd();
    this.#roomySince = isRoomy ? Math.min(this.#roomySince, at) : NEVER;
  }

  /** There are as many seats as are needed, and those whose seat is gone take others. */
  #sitWider() {
    this.needed = this.#crowd();
    this.#roomySince = NEVER;
    for (const seats of this.#seats.values()) seats.splice(this.needed);
    for (const dot of this.dots.values()) {
      if (dot.from && dot.from.seat >= this.needed) dot.from = null;
      if (dot.seat.seat < this.needed) continue;
      if (dot.leftAt < NEVER) this.#forget(dot);
      else dot.seat = this.#take(dot.seat.place);
    }
    this.version += 1;
  }

  /** @param {Dot} dot */
  #forget(dot) {
    this.version += 1;
    this.dots.delete(dot.id);
    this.#connections.delete(dot.key);
    const dots = this.#members.get(dot.member);
    dots?.delete(dot);
    if (!dots?.size) this.#members.delete(dot.member);
  }
}
