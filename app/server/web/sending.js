// @ts-check
import * as frames from "./frame.js";

/**
 * @typedef {import("./listener.js").Listener} Listener
 * @typedef {import("./connection.js").Clock} Clock
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {import("./outbox.js").Item} Item
 * @typedef {import("./participant.js").Participant} Participant
 */

/** Brings what is in the outboxes of all rooms onto the connection that serves. */
export class Sending {
  /**
   * @param {{ participant: Participant, clock: Clock, on: () => Listener,
   *   carrier: () => Connection | null }} parts `carrier`: the connection that serves
   */
  constructor({ participant, clock, on, carrier }) {
    this.participant = participant;
    this.clock = clock;
    this.on = on;
    this.carrier = carrier;
    this.cancelWake = () => {};
  }

  /**
   * @param {string} room
   * @param {string} text
   * @param {import("./frame.js").About} [about]
   * @returns {Item | null} null: too much is waiting
   */
  send(room, text, about) {
    const { outbox, refused } = this.participant.room(room);
    if (refused || outbox.isFull) return null;
    const item = outbox.add(text, about);
    const due = this.#due();
    this.on().changed();
    this.#put(due);
    return item;
  }

  /** Puts on the wire what may go now. */
  flush() {
    const due = this.#due();
    if (due.length > 0) this.on().changed();
    this.#put(due);
  }

  /** Another connection carries from now on. */
  startOver() {
    for (const { outbox } of this.participant.rooms.values()) outbox.reset();
  }

  /** @param {any} ack */
  ack({ room, n }) {
    const item = this.participant.room(room).outbox.ack(n);
    if (item) {
      this.on().changed();
      this.on().acked(room, item);
    }
    this.flush();
  }

  /** @param {any} reject */
  reject(reject) {
    const dropped = this.participant.room(reject.room).outbox.reject(reject, this.clock.now());
    this.on().changed();
    if (dropped) this.on().refused(reject.room, dropped, reject.detail);
    else this.on().held(reject);
    this.flush();
  }

  /**
   * Only where we are live, since before that the log may hold what has no answer; never more than
   * the server takes; and nothing while the log is away.
   *
   * @returns {{ room: string, item: Item }[]}
   */
  #due() {
    /** @type {{ room: string, item: Item }[]} */
    const due = [];
    // One moment for all: a wait that ended between two looks at the clock would wake nobody.
    const now = this.clock.now();
    const carrier = this.carrier();
    if (!carrier?.welcome) return due;
    let free = carrier.welcome.limits.pending;
    for (const { outbox } of this.participant.rooms.values()) free -= outbox.onItsWay;
    for (const [room] of Array.from(carrier.rooms).filter(([, live]) => live)) {
      this.#caughtUp(room);
      if (carrier.logAway) continue;
      const { outbox } = this.participant.room(room);
      for (let item; free > 0 && (item = outbox.take(now)); free -= 1) due.push({ room, item });
    }
    this.#wake(now);
    return due;
  }

  /** What catch-up settled. @param {string} room */
  #caughtUp(room) {
    const { taken, unknown } = this.participant.room(room).outbox.live();
    if (taken.length + unknown.length > 0) this.on().changed();
    for (const item of taken) this.on().acked(room, item);
    for (const item of unknown) this.on().unknown(room, item);
  }

  /** What was refused for now goes out when its time has come. @param {number} now */
  #wake(now) {
    this.cancelWake();
    const moments = Array.from(this.participant.rooms.values(), ({ outbox }) => outbox.wakeAt ?? Infinity);
    // What is past and still waits, waits for something else, such as an ack, which looks here again.
    const next = Math.min(...moments.filter((at) => at > now));
    if (next < Infinity) this.cancelWake = this.clock.after(next - now, () => this.flush());
  }

  /** @param {{ room: string, item: Item }[]} due */
  #put(due) {
    for (const { room, item } of due) this.carrier()?.send(frames.send(room, item.n, item.text, item));
  }
}
