// @ts-check
import { DISMISSED } from "./close.js";
import { compare } from "./id.js";
import { find } from "./element.js";
import { subjectOf } from "./frame.js";
import * as session from "./session.js";
import { ending } from "./words.js";

/**
 * @typedef {import("./listener.js").Listener} Listener
 * @typedef {import("./page.js").Page} Page
 */

/** The release that this page is of, as the server wrote it into the page. */
const RELEASE = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=release]")).content;

/** What the client tells, into the views. */
export class Listening {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @returns {Listener} */
  listener() {
    const { page } = this;
    const room = (/** @type {string} */ name) => page.rooms.get(name);
    /** One that was left is not to come back for a late word of it. @param {string} name */
    const known = (name) => page.rooms.byName.get(name);
    /** @param {string} name @param {import("./outbox.js").Item} item @param {string} detail */
    const refused = (name, item, detail) => {
      const was = known(name)?.recent.find(subjectOf(item) ?? "");
      known(name)?.conversation.refused(item, detail, was);
      page.status.show();
    };
    return {
      message: (message) => this.#message(message),
      gap: ({ room: name, after, resumes_at: resumes, reason }) => {
        if (reason === "rewound") room(name).recent.rewind(resumes);
        room(name).conversation.note("Some messages could not be recovered", after);
      },
      acked: (name, item) => {
        known(name)?.conversation.acked(item);
        page.status.show();
      },
      refused,
      held: ({ room: name, code, retry_ms: ms }) => {
        if (code === "slow_mode" && ms) room(name).slowUntil = page.clock.now() + ms;
        page.status.show();
      },
      unknown: (name, item) => {
        // The row of a change is that of the message that it is about, which stays where it is.
        if (subjectOf(item)) return refused(name, item, "no answer came");
        known(name)?.conversation.unknown(item);
        page.status.show();
      },
      shut: (name, detail) => {
        room(name).shut = detail;
        room(name).conversation.note(`This room cannot be entered: ${detail}`);
        page.showState(room(name));
      },
      entered: (name) => {
        const { place } = room(name);
        place.read ??= place.cursor;
        if (place.cursor !== null) void room(name).load(place.cursor).then(() => this.#loaded(room(name)));
      },
      people: (name, roster) => {
        room(name).roster = roster;
        if (room(name) === page.rooms.current) page.people.show(roster);
        if (room(name).state?.access === "direct") page.showState(room(name));
      },
      state: (state) => {
        room(state.room).state = state;
        page.showState(room(state.room));
      },
      read: (name, id) => {
        // Entered on another device, or somebody wants to talk to us.
        if (!page.rooms.byName.has(name)) page.enter(name);
        const { place } = room(name);
        if (place.read === null || compare(id, place.read) > 0) place.read = id;
        page.list.show();
      },
      typing: (typing) => typing.member !== page.me.member && page.typists.typing(typing),
      serving: (welcome) => this.#serving(welcome),
      interrupted: () => page.status.interrupted(),
      waiting: (retryAt) => page.status.waiting(retryAt),
      log: (away) => page.status.log(away),
      signedOut: (detail, wasSigned) => {
        page.me.identity.forget();
        if (wasSigned) page.rooms.forget();
        if (wasSigned && !page.client.signsOut) page.word.say(`You are signed out: ${detail}. You go on as a guest.`, "Sign in", () => page.account.open());
        // A cookie of that session would be refused at the next connection, too.
        void page.api.call("DELETE", "sessions/current");
      },
      ended: (code, detail) => {
        session.forget();
        if (code === DISMISSED) {
          page.me.identity.forget();
          page.rooms.forget();
        }
        page.end(ending(code, detail));
      },
      broken: ({ room: name, id, prev }, cursor) =>
        console.error(`${name}: ${id} follows ${prev}, and ${cursor} was the last one here`),
      changed: () => session.save(page.participant),
    };
  }

  /** @param {import("./frame.js").Message} message */
  #message(message) {
    const { page } = this;
    const room = page.rooms.get(message.room);
    page.marks.set(message.member, message.mark);
    room.message(message);
    page.typists.stopped(message.room, message.member);
    if (document.hidden && room === page.rooms.current) room.conversation.newFrom(room.unread.first);
    page.list.show();
    page.saveSoon();
  }

  /** @param {import("./frame.js").Welcome} welcome */
  #serving(welcome) {
    const { page } = this;
    page.composer.limit = welcome.limits.text_bytes;
    page.status.serving(welcome);
    const why = page.me.welcomed(welcome);
    if (why) page.word.say(why, page.me.can("accounts") ? "It is mine" : "Close", () => page.me.can("accounts") && page.account.open());
    page.people.show(page.room.roster);
    // What only some releases have comes once one of them serves.
    const claps = page.me.can("applause");
    if (claps || document.body.dataset.claps) void import("/web/applause.js").then((it) => it.show(page, claps)).catch(console.warn);
    find("renewed").hidden = RELEASE === "" || welcome.release === RELEASE;
    void page.mine.look();
    // Only once it serves: nothing is to delay that.
    navigator.serviceWorker?.register("/web/offline.js", { scope: "/" }).catch(console.warn);
  }

  /** One more room's history is here. @param {import("./room.js").Room} room */
  #loaded(room) {
    // Which may say whose room it is.
    this.page.showState(room);
    this.#findPeople();
  }

  /** Brings a newcomer to where people talk, unless they do here, or one writes already. */
  #findPeople() {
    const { page } = this;
    const isKnown = [...page.rooms].every(({ conversation }) => conversation.element.classList.contains("loaded"));
    if (!page.isNewcomer || !isKnown) return;
    page.isNewcomer = false;
    const room = page.rooms.liveliest(Date.now());
    if (room && !page.composer.draft) page.go(room.name);
  }
}
