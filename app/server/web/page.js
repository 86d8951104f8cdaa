// @ts-check
import { AccountDialog } from "./account/dialog.js";
import { Identity } from "./account/identity.js";
import { Me } from "./account/me.js";
import { hashOf, parse } from "./address.js";
import { Api } from "./api.js";
import { Client } from "./client.js";
import { onJump } from "./clock.js";
import { Composer } from "./compose/composer.js";
import { Drafts } from "./compose/drafts.js";
import { Typists } from "./compose/typists.js";
import { Deeds } from "./deeds.js";
import { find } from "./element.js";
import { subjectOf } from "./frame.js";
import { Listening } from "./listening.js";
import { People } from "./people/people.js";
import { AboutRoom } from "./rooms/about.js";
import { RoomsList } from "./rooms/list.js";
import { Mine } from "./rooms/mine.js";
import { Rooms } from "./rooms/rooms.js";
import { Switcher } from "./rooms/switcher.js";
import * as session from "./session.js";
import { Quiet } from "./shell/settings.js";
import { Shell } from "./shell/shell.js";
import { Status } from "./shell/status.js";
import { Word } from "./shell/word.js";
import { browser, tab } from "./storage.js";
import { Acts, actButton } from "./talk/acts.js";
import { Transports } from "./transport/transports.js";
import { ending, ROOMS, slowLine, typingLine } from "./words.js";

/**
 * @typedef {import("./connection.js").Clock} Clock
 * @typedef {import("./participant.js").Participant} Participant
 * @typedef {import("./room.js").Room} Room
 */

const SAVE_MS = 1_000;
/** What was said is kept for a page without a network; that is more to write, and less urgent. */
const KEEP_MS = 10_000;
/** Written by a tab that is about to sign out. */
const OUT = "rollcall.out";
/** How often others of our devices are told how far we have read. */
const READ_MS = 1_000;

/** The chat, from the moment that one has a name: what the client tells goes into the views. */
export class Page {
  /** @param {Participant} participant @param {Clock} clock */
  constructor(participant, clock) {
    this.participant = participant;
    this.clock = clock;
    this.me = new Me(participant, new Identity(browser));
    this.api = new Api(() => participant.token, participant.key);
    /** What each person is, as their messages told. @type {Map<string, string | undefined>} */
    this.marks = new Map();
    const can = (/** @type {string} */ feature) => this.me.can(feature);
    const { api } = this;
    this.rooms = new Rooms({
      participant, clock, api,
      me: () => this.me.member, myName: () => this.me.name,
      seen: (room) => this.seen(room), again: (room, { text }) => this.#again(room, text),
    }, new Quiet());
    this.list = new RoomsList(() => this.rooms.current, () => this.rooms);
    this.status = new Status(clock, {
      kept: () => participant.kept, closed: () => this.room.closed(Date.now()), slow: () => this.#slow(),
      close: (isClosed) => this.composer.close(isClosed),
    });
    this.word = new Word();
    this.typists = new Typists(clock, (room) => this.showTyping(room));
    this.composer = new Composer({
      send: (text, edited) => this.#send(text, edited ? { edit: edited.id } : {}),
      typing: () => this.typists.due() && this.client.typing(this.room.name),
      typed: () => this.saveSoon(),
      names: () => this.room.names().filter((name) => name !== this.me.name),
      up: () => this.#changeLast(),
      escape: () => this.room.toEnd(),
    });
    this.deeds = new Deeds({
      api, can, isSigned: () => this.me.isSigned, me: () => this.me.member, room: () => this.room,
      go: (room) => this.go(room), edit: (room, id) => this.#edit(room, id), say: (words) => this.word.say(words),
      remove: (room, id) => this.#send("", { remove: id }, room),
    });
    this.acts = new Acts(find("conversations"), {
      acts: (row) => this.deeds.ofMessage(row), out: () => this.composer.input.focus(),
    });
    this.people = new People({
      me: () => this.me.member, mark: (member) => this.marks.get(member),
      acts: (member, name) => this.deeds.ofPerson(member, name).map(actButton),
    });
    this.about = new AboutRoom({ api, can, leave: (room) => this.#quit(room) });
    this.switcher = new Switcher({ api, can, rooms: () => this.rooms, go: (room) => this.go(room) });
    this.account = new AccountDialog({
      api, identity: this.me.identity, changed: () => this.identityChanged(),
      signsOut: () => this.#signsOut(), name: () => participant.name, isSigned: () => this.me.isSigned,
    });
    this.mine = new Mine({ api, clock, rooms: this.rooms, isSigned: () => this.me.isSigned && can("rooms"), enter: (name) => this.enter(name),
      gone: (room) => this.gone(room), isFull: () => this.rooms.byName.size >= this.client.limits.rooms, show: () => this.list.show() });
    const place = parse(location.hash);
    this.drafts = new Drafts(tab, place.room);
    this.transports = new Transports({ participant, clock, api, current: () => this.rooms.current?.name ?? place.room });
    this.client = new Client({
      participant, clock, open: () => this.transports.open(), random: Math.random, on: new Listening(this).listener(),
    });
    this.cancelSave = this.cancelKeep = () => {};
    /** Where one has read on: told a moment later, all at once. @type {Set<Room>} */
    this.reads = new Set();
  }

  /** The one on the screen. @returns {Room} */
  get room() {
    return this.rooms.current ?? this.rooms.get(parse(location.hash).room);
  }

  /** @param {import("./frame.js").Why} why */
  start(why) {
    this.status.interrupted();
    const { room, invite } = parse(location.hash);
    // Whoever asks for a room by its address may ask again.
    if (this.participant.rooms.has(room)) this.participant.room(room).refused = false;
    for (const name of new Set([...ROOMS, ...this.participant.rooms.keys(), room])) {
      if (!this.participant.rooms.get(name)?.refused) this.rooms.get(name).place;
    }
    this.isNewcomer = why === "fresh" && location.hash.length < 2;
    if (invite) this.client.invites.set(room, invite);
    this.#arrive();
    this.client.start(why);
    this.composer.enable();
    this.#listen();
    this.#keepSoon();
  }

  #listen() {
    addEventListener("hashchange", () => this.#arrive());
    const probe = () => this.client.probe();
    for (const event of ["online", "offline", "pageshow"]) addEventListener(event, probe);
    onJump(this.clock, Date.now, probe);
    // No `bye` here: nothing tells a reload, or a page kept for the back button, from the end, and
    // everybody would see us leave and come back. Who closes the tab leaves when the lease ends;
    // the Leave button is the way to go at once.
    for (const event of ["pagehide", "freeze"]) addEventListener(event, () => this.#saveAll());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#saveAll() : this.#back(probe)));
    addEventListener("storage", ({ key }) => {
      if (key === OUT) this.client.signsOut = true;
      if (key === "rollcall.account") this.identityChanged();
    });
    session.whenLost(() => this.#lost());
    this.shell = new Shell({
      switch: () => this.switcher.open(), about: () => this.about.open(this.room), account: () => this.account.open(),
      leave: () => this.#leave(), step: (step) => this.#step(step), retry: probe,
      write: () => this.composer.input.focus(), toEnd: () => this.room.toEnd(),
    });
  }

  // Going somewhere

  /** @param {string} room */
  go(room) {
    if (parse(location.hash).room === room) this.#arrive();
    else location.hash = hashOf(room);
  }

  /** To where the address says. */
  #arrive() {
    const { room: name, id, invite } = parse(location.hash);
    if (invite) {
      this.client.invites.set(name, invite);
      // Nobody finds it in the address that one shows to others.
      history.replaceState(null, "", hashOf(name));
    }
    this.show(this.enter(name));
    if (id) void this.room.goTo(id).then((found) => found || this.word.say("That message is not there any more."));
  }

  /** @param {string} name @returns {Room} one that we are in, or will be */
  enter(name) {
    const room = this.rooms.get(name);
    if (room.shut || room.place.refused) {
      room.shut = "";
      room.place.refused = false;
    }
    this.client.join(name);
    this.list.show();
    return room;
  }

  /** @param {Room} room */
  show(room) {
    if (this.rooms.current) this.drafts.put(this.rooms.current.name, this.composer.draft);
    this.rooms.show(room);
    this.shell?.drawers.close();
    this.people.show(room.roster);
    this.composer.address(room.title, this.drafts.of(room.name));
    this.showState(room);
    this.showTyping(room.name);
    room.conversation.newFrom(room.unread.first);
    this.seen(room);
    this.list.show();
    if (room.conversation.follower.following) room.conversation.follower.jump();
    this.composer.focus();
  }

  /** @param {number} step */
  #step(step) {
    const room = this.list.beside(step);
    if (room) this.go(room.name);
  }

  /** What the room is now. @param {Room} room */
  showState(room) {
    this.about.changed(room);
    this.list.show();
    if (room !== this.rooms.current) return;
    find("room-title").textContent = room.title;
    find("topic").textContent = room.state?.topic ?? "";
    this.composer.input.placeholder = `Message ${room.title}`;
    this.status.show();
  }

  /** @param {string} room */
  showTyping(room) {
    if (room === this.room.name) find("typing").textContent = typingLine(this.typists.names(room));
  }

  // Reading

  /** Its end is on the screen, or would be if the page were. @param {Room} room */
  seen(room) {
    const last = room.recent.last;
    const isRead = !last || room.place.read === last.id || room.place.read === null;
    if (isRead || document.hidden || room !== this.rooms.current || !room.conversation.atEnd) return;
    room.place.read = last.id;
    this.list.show();
    this.saveSoon();
    if (this.reads.size === 0) this.clock.after(READ_MS, () => this.#tellReads());
    this.reads.add(room);
  }

  #tellReads() {
    const rooms = [...this.reads];
    this.reads.clear();
    for (const room of rooms) void this.#tellRead(room);
  }

  /** @param {Room} room */
  async #tellRead({ name, place }) {
    if (place.refused) return;
    await this.mine.enter(name);
    if (place.read !== null) this.client.read(name, place.read);
  }

  /** The page is on the screen again. @param {() => void} probe */
  #back(probe) {
    probe();
    this.room.conversation.newFrom(this.room.unread.first);
    if (this.room.conversation.follower.following) this.seen(this.room);
  }

  // Writing

  /** @param {string} text @param {import("./frame.js").About} about @param {Room} [room] */
  #send(text, about, room = this.room) {
    const item = this.client.send(room.name, text, about);
    if (!item) return false;
    if (!room.conversation.atEnd && !subjectOf(about)) room.toEnd();
    room.conversation.pending(item);
    if (!subjectOf(about)) {
      this.drafts.put(room.name, "");
      room.conversation.newFrom(null);
    }
    this.typists.said();
    this.status.show();
    return true;
  }

  #slow() {
    const { state, slowUntil } = this.room;
    if (!state?.slow_ms || state.you.moderates) return "";
    return slowLine(state.slow_ms / 1000, Math.ceil((slowUntil - this.clock.now()) / 1000));
  }

  /** What was refused is written again, before what is being written. @param {Room} room @param {string} text */
  #again(room, text) {
    const writing = room === this.room ? this.composer.draft : "";
    this.composer.endEdit();
    this.composer.draft = [text, writing].filter(Boolean).join("\n");
    this.composer.input.focus();
    this.saveSoon();
  }

  /** @returns {boolean} whether there is a message of ours to change */
  #changeLast() {
    const last = this.room.recent.messages.findLast((it) => it.member === this.me.member && !it.removed && it.kind !== "notice");
    if (!last || !this.me.can("edit") || this.room.closed(Date.now())) return false;
    this.#edit(this.room, last.id);
    return true;
  }

  /** @param {Room} room @param {string} id */
  #edit(room, id) {
    const text = room.recent.find(id)?.text ?? room.conversation.byId.get(id)?.querySelector(".text")?.textContent;
    if (text) this.composer.edit({ id, text });
  }

  // Who we are

  /** About to: the tabs of this browser are told before the server ends what it has of the session. */
  #signsOut() {
    this.client.signsOut = true;
    browser.set(OUT, String(Date.now()));
  }

  /** Signed in, or out, here or in another tab. */
  identityChanged() {
    this.client.signsOut &&= !this.me.identity.signed;
    this.me.takeIdentity();
    this.mine.entered.clear();
    if (!this.participant.isSigned) this.rooms.forget();
    session.save(this.participant);
    this.client.renew();
  }

  // Keeping

  /** Everything that a reload goes on from. */
  save() {
    this.cancelSave();
    if (this.client.over) return;
    session.save(this.participant);
    this.drafts.put(this.room.name, this.composer.draft);
  }

  /** A tab that is discarded, or whose process dies, says nothing before: what it has seen is saved
   * a moment later at most. */
  saveSoon() {
    this.cancelSave();
    this.cancelSave = this.clock.after(SAVE_MS, () => this.save());
  }

  #saveAll() {
    this.save();
    if (!this.client.over) this.rooms.save();
  }

  #keepSoon() {
    this.cancelKeep = this.clock.after(KEEP_MS, () => {
      this.rooms.save();
      this.#keepSoon();
    });
  }

  // The end

  /** @param {Room} room */
  async #quit(room) {
    this.reads.delete(room);
    const failed = await this.mine.leave(room.name);
    if (failed) this.word.say(failed);
    else this.gone(room);
  }

  /** We are not in it any more. @param {Room} room */
  gone(room) {
    const wasHere = room === this.rooms.current;
    this.reads.delete(room);
    this.client.quit(room.name);
    this.rooms.remove(room);
    const next = [...this.rooms][0];
    this.list.show();
    // Whoever writes in another room goes on there.
    if (wasHere && next) this.go(next.name);
  }

  #leave() {
    this.client.leave();
    session.forget();
    this.rooms.forget();
    this.end(ending(1000, ""));
  }

  /** Another tab has our key, having found this one asleep. */
  #lost() {
    this.client.stop();
    session.forget();
    this.end("You go on in another tab.");
  }

  /** @param {string} sentence */
  end(sentence) {
    this.cancelSave();
    this.cancelKeep();
    this.drafts.put(this.room.name, this.composer.draft);
    this.status.ended();
    this.composer.disable();
    for (const id of ["people", "people-toggle", "word", "editing"]) find(id).hidden = true;
    find("sentence").textContent = sentence;
    find("ended").hidden = false;
    find("again").focus();
  }
}
