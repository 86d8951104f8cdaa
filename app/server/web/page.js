// @ts-check
import { Client } from "./client.js";
import { Composer } from "./composer.js";
import { onJump } from "./clock.js";
import { Conversation } from "./conversation.js";
import { find } from "./element.js";
import { history } from "./history.js";
import { People } from "./people.js";
import { RoomTabs } from "./room_tabs.js";
import * as session from "./session.js";
import { Status } from "./status.js";
import { Typists } from "./typists.js";
import { ending, roomOf, ROOMS, typingLine } from "./words.js";

/**
 * @typedef {import("./connection.js").Clock} Clock
 * @typedef {import("./participant.js").Participant} Participant
 * @typedef {import("./client.js").Listener} Listener
 */

const SAVE_MS = 1_000;

/** The release that this page is of, as the server wrote it into the page. */
const RELEASE = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=release]")).content;

/** The chat, from the moment that one has a name: what the client tells goes into the views. */
export class Page {
  /** @param {Participant} participant @param {Clock} clock */
  constructor(participant, clock) {
    this.participant = participant;
    this.clock = clock;
    this.room = roomOf(location.hash);
    /** @type {Map<string, Conversation>} */
    this.conversations = new Map();
    /** @type {Map<string, import("./roster.js").Roster>} */
    this.rosters = new Map();
    this.me = () => participant.member;
    this.status = new Status(clock, () => participant.kept);
    this.cancelSave = () => {};
    this.people = new People(this.me);
    this.tabs = new RoomTabs();
    this.typists = new Typists(clock, (room) => this.#showTyping(room));
    this.composer = new Composer({
      send: (text) => this.#send(text),
      typing: () => this.typists.due() && this.client.typing(this.room),
    });
    this.client = new Client({
      participant, clock, open: openSocket, random: Math.random, on: this.#listener(),
    });
  }

  /** @param {import("./frame.js").Why} why */
  async start(why) {
    this.status.interrupted();
    // Whoever asks for a room by its address may ask again.
    if (this.participant.rooms.has(this.room)) this.participant.room(this.room).refused = false;
    const rooms = new Set([...ROOMS, ...this.participant.rooms.keys(), this.room]);
    for (const [room, { refused }] of this.participant.rooms) if (refused) rooms.delete(room);
    const entered = [...rooms].map((room) => this.#enter(room));
    this.#show(this.room);
    await Promise.all(entered);
    this.client.start(why);
    this.composer.enable();
    this.composer.draft = session.draft();
    this.#listen();
  }

  #listen() {
    addEventListener("hashchange", () => this.#goTo(roomOf(location.hash)));
    const probe = () => this.client.probe();
    for (const event of ["online", "offline", "pageshow"]) addEventListener(event, probe);
    onJump(this.clock, Date.now, probe);
    // No `bye` here: nothing tells a reload, or a page kept for the back button, from the end, and
    // everybody would see us leave and come back. Who closes the tab leaves when the lease ends;
    // the Leave button is the way to go at once.
    for (const event of ["pagehide", "freeze"]) addEventListener(event, () => this.#save());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#save() : probe()));
    session.whenLost(() => this.#lost());
    find("retry").addEventListener("click", probe);
    find("reload").addEventListener("click", () => location.reload());
    find("leave").addEventListener("click", () => this.#leave());
    find("news").addEventListener("click", () => this.#conversation(this.room).follower.jump());
    find("again").addEventListener("click", () => location.reload());
  }

  /** Everything that a reload goes on from. */
  #save() {
    this.cancelSave();
    if (this.client.over) return;
    session.save(this.participant);
    session.keepDraft(this.composer.draft);
  }

  /** A tab that is discarded, or whose process dies, says nothing before: what it has seen is saved
   * a moment later at most. */
  #saveSoon() {
    this.cancelSave();
    this.cancelSave = this.clock.after(SAVE_MS, () => this.#save());
  }

  /**
   * Shows what was said up to our cursor, from where the connection goes on.
   *
   * @param {string} room
   */
  async #enter(room) {
    const conversation = this.#conversation(room);
    const known = this.participant.rooms.get(room)?.cursor ?? null;
    const past = await history(room, known, this.clock);
    if (!past) return conversation.note("This room cannot be entered");
    const { messages, head } = past;
    for (const message of messages) conversation.add(message);
    conversation.loaded();
    // Only now is it a room of ours: without a cursor a connection would start at a later head.
    const place = this.participant.room(room);
    place.cursor ??= head;
    const taken = messages.filter(({ member }) => member === this.me()).map(({ n }) => n);
    for (const item of place.outbox.pending) {
      if (!taken.includes(item.n)) conversation.pending(item);
    }
  }

  /** @param {string} room */
  async #goTo(room) {
    const isNew = !this.conversations.has(room);
    this.#show(room);
    if (!isNew) return;
    await this.#enter(room);
    if (this.participant.rooms.has(room)) this.client.join(room);
  }

  /** @param {string} room */
  #conversation(room) {
    let conversation = this.conversations.get(room);
    if (!conversation) {
      conversation = new Conversation(room, this.me);
      conversation.element.hidden = true;
      this.conversations.set(room, conversation);
      find("conversations").append(conversation.element);
      this.tabs.add(room);
    }
    return conversation;
  }

  /** @param {string} room */
  #show(room) {
    this.#conversation(this.room).element.hidden = true;
    this.room = room;
    const { element, follower } = this.#conversation(room);
    element.hidden = false;
    follower.show();
    this.tabs.show(room);
    this.people.show(this.rosters.get(room) ?? null);
    this.composer.address(room);
    this.#showTyping(room);
    document.title = `${room} · Rollcall`;
  }

  /** @param {string} text */
  #send(text) {
    if (!this.participant.rooms.has(this.room)) return false;
    const item = this.client.send(this.room, text);
    if (!item) return false;
    this.#conversation(this.room).pending(item);
    session.keepDraft("");
    this.typists.said();
    this.status.show();
    return true;
  }

  /** @param {string} room */
  #showTyping(room) {
    if (room === this.room) find("typing").textContent = typingLine(this.typists.names(room));
  }

  #leave() {
    this.client.leave();
    session.forget();
    this.#end(ending(1000, ""));
  }

  /** Another tab has our key, having found this one asleep. */
  #lost() {
    this.client.stop();
    session.forget();
    this.#end("You go on in another tab.");
  }

  /** @param {string} sentence */
  #end(sentence) {
    this.cancelSave();
    this.status.ended();
    this.people.end();
    this.composer.disable();
    find("sentence").textContent = sentence;
    find("ended").hidden = false;
    find("again").focus();
  }

  /** @returns {Listener} */
  #listener() {
    return {
      message: (message) => {
        this.#conversation(message.room).add(message);
        this.typists.stopped(message.room, message.member);
        if (message.room !== this.room) this.tabs.unread(message.room);
        this.#saveSoon();
      },
      gap: ({ room }) => this.#conversation(room).note("Some messages could not be recovered"),
      acked: (room, item) => {
        this.#conversation(room).acked(item);
        this.status.show();
      },
      refused: (room, item, detail) => this.#conversation(room).refused(item, detail),
      unknown: (room, item) => this.#conversation(room).unknown(item),
      shut: (room, detail) => this.#conversation(room).note(`This room cannot be entered: ${detail}`),
      people: (room, roster) => {
        this.rosters.set(room, roster);
        if (room === this.room) this.people.show(roster);
      },
      typing: (typing) => typing.member !== this.me() && this.typists.typing(typing),
      serving: (welcome) => {
        this.composer.limit = welcome.limits.text_bytes;
        this.status.serving(welcome);
        find("renewed").hidden = RELEASE === "" || welcome.release === RELEASE;
      },
      interrupted: () => this.status.interrupted(),
      waiting: (retryAt) => this.status.waiting(retryAt),
      log: (away) => this.status.log(away),
      ended: (code, detail) => {
        session.forget();
        this.#end(ending(code, detail));
      },
      broken: ({ room, id, prev }, cursor) =>
        console.error(`${room}: ${id} follows ${prev}, and ${cursor} was the last one here`),
      changed: () => session.save(this.participant),
    };
  }
}

function openSocket() {
  const address = new URL("/api/v1/ws", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return new WebSocket(address);
}
