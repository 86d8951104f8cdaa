// @ts-check
import * as frames from "./frame.js";
import { writerOf } from "./participant.js";

/**
 * @typedef {import("./listener.js").Listener} Listener
 * @typedef {import("./connection.js").Clock} Clock
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {import("./outbox.js").Item} Item
 * @typedef {import("./participant.js").Participant} Participant
 */

/** A release without edits would take one for a message. */
const NO_EDITS = "this server knows no edits";

/** Of what was on its way when one was put out of a room, and was to be sent again. */
const GONE = "you are not in this room";

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
   * @returns {Item | null} null: too much is waiting, or who serves knows no edits
   */
  send(room, text, about = {}) {
    const { outbox, refused } = this.participant.room(room);
    if (refused || outbox.isFull || (frames.subjectOf(about) && this.#isOld)) return null;
    const item = outbox.add(text, about, this.#writer);
    const due = this.#due();
    this.on().changed();
    this.#put(due);
    return item;
  }

  /** Whether the server is of a release without edits. */
  get #isOld() {
    const welcome = this.carrier()?.welcome;
    return welcome && !welcome.features?.includes("edit");
  }

  /** Who speaks here; undefined as long as nobody knows. */
  get #writer() {
    const welcome = this.carrier()?.welcome;
    return (welcome && writerOf(welcome)) ?? this.participant.writer;
  }

  /**
   * Of what waits in a room nothing that fits goes out any more.
   *
   * @param {string} room @param {string} why @param {(item: Item) => boolean} [fits] all of it, where we are not in the room
   */
  giveUp(room, why, fits = () => true) {
    this.#tell(room, this.participant.room(room).outbox.giveUp(fits), why);
  }

  /** Puts on the wire what may go now. */
  flush() {
    for (const [room, { refused }] of this.participant.rooms) if (refused) this.giveUp(room, GONE);
    const due = this.#due();
    if (due.length > 0) this.on().changed();
    this.#put(due);
  }

  /** Another connection carries from now on. */
  startOver() {
    const writer = this.#writer;
    if (writer) this.participant.spokenBy(writer);
    for (const { outbox } of this.participant.rooms.values()) outbox.reset();
    this.on().changed();
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
      // What catch-up settled.
      this.#tell(room, this.participant.room(room).outbox.live());
      if (this.#isOld) this.giveUp(room, NO_EDITS, (item) => frames.subjectOf(item) !== undefined);
      this.#keepNames(room);
      if (carrier.logAway) continue;
      const { outbox } = this.participant.room(room);
      for (let item; free > 0 && (item = outbox.take(now)); free -= 1) due.push({ room, item });
    }
    this.#wake(now);
    return due;
  }

  /** Nothing goes out under another name than that of whoever wrote it. @param {string} room */
  #keepNames(room) {
    const writer = this.#writer;
    for (const { by } of [...this.participant.room(room).outbox.pending]) {
      if (writer && by && by.member !== writer.member) this.giveUp(room, `written as ${by.name}`, (item) => item.by === by);
    }
  }

  /**
   * What became of messages without an answer.
   *
   * @param {string} room
   * @param {{ taken: Item[], unknown: Item[], unsent?: Item[] }} settled
   * @param {string} [why] of those that are not sent at all
   */
  #tell(room, { taken, unknown, unsent = [] }, why = "") {
    if (taken.length + unknown.length + unsent.length > 0) this.on().changed();
    for (const item of taken) this.on().acked(room, item);
    for (const item of unknown) this.on().unknown(room, item);
    for (const item of unsent) this.on().refused(room, item, why);
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
