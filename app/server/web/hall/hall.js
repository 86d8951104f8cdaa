// @ts-check
import { Bar } from "./bar.js";
import { Colours } from "./colours.js";
import { Lantern } from "./lantern.js";
import { Notices } from "./notice.js";
import { Receipt } from "./receipt.js";
import { asked, HALL, here, NOTICED, read, vote } from "./said.js";
import { Votes } from "./votes.js";

/**
 * @typedef {import("../listener.js").Listener} Listener
 * @typedef {import("../frame.js").Message} Message
 * @typedef {import("./tally.js").Tally} Tally
 */

/** Where people talk. */
const TALK = "the-plan";
const FEATURE = "hall";
/** So long it is said how a tap was judged, or that something was not taken. */
const SAID_MS = 3_000;

/** The page of somebody in the audience: it is the chat, and there is more to see and to press. */
export class Hall {
  /** @param {import("../page.js").Page} page @param {Tally} tally @param {HTMLElement} chat */
  constructor(page, tally, chat) {
    this.page = page;
    this.tally = tally;
    /** The connection that serves, as far as we have seen. @type {unknown} */
    this.served = null;
    /** Since when nobody does. @type {number | null} */
    this.since = null;
    this.isOpen = false;
    this.isTold = false;
    this.colours = new Colours();
    this.cancel = () => {};
    this.notices = new Notices(page.clock, (isRight) => this.#judged(isRight));
    this.lantern = new Lantern(() => this.#tap());
    this.votes = new Votes(tally, (replica) => this.#vote(replica));
    this.receipt = new Receipt(tally, () => this.#answer());
    this.bar = new Bar({ talk: chat, lantern: this.lantern.element, vote: this.votes.element, receipt: this.receipt.element }, {
      tap: () => this.#tap(), shown: (view) => this.#shown(view),
    });
    this.#ask();
    this.#listen();
    // Once the page has begun, and gone to where its address says.
    queueMicrotask(() => {
      addEventListener("hashchange", () => this.#arrive());
      this.#arrive();
    });
  }

  #listen() {
    const { client, participant, clock } = this.page;
    const { tally } = this;
    const on = client.on;
    /** @type {Listener} */
    const more = {
      ...on,
      entered: (room) => {
        tally.entered(room, participant.room(room).cursor);
        on.entered(room);
      },
      message: (message) => {
        tally.message(message, participant.sent(message));
        on.message(message);
        if (message.room === HALL) this.#heard(message);
        this.#show();
      },
      gap: (gap) => {
        tally.gap(gap);
        on.gap(gap);
      },
      broken: (message, cursor) => {
        tally.asked += 1;
        on.broken(message, cursor);
      },
      acked: (room, item) => {
        if (item.edit === undefined && item.remove === undefined) tally.taken += 1;
        on.acked(room, item);
        if (room === HALL) this.#taken(item);
      },
      refused: (room, item, detail) => {
        on.refused(room, item, detail);
        if (room === HALL) this.#say(`Not taken: ${detail}`, "bad");
      },
      state: (state) => {
        on.state(state);
        if (state.room === HALL) this.#asked(state.topic ?? "");
      },
      people: (room, roster) => {
        on.people(room, roster);
        if (room === HALL) tally.seat ??= roster.present;
        this.#show();
      },
      interrupted: () => {
        this.since ??= clock.now();
        this.notices.away();
        on.interrupted();
        this.#show();
      },
      serving: (welcome) => {
        this.#serving(welcome);
        on.serving(welcome);
        this.#show();
      },
      ended: (code, detail) => {
        on.ended(code, detail);
        this.bar.close();
      },
    };
    client.on = more;
  }

  /** The address of the hall leads to where people talk. */
  #arrive() {
    if (location.hash === `#${HALL}`) this.page.show(this.page.enter(TALK));
  }

  /** @param {import("../frame.js").Welcome} welcome */
  #serving(welcome) {
    const { current } = this.page.client;
    if (this.served !== null && current !== this.served) {
      this.tally.served(this.since === null ? null : this.page.clock.now() - this.since);
      this.notices.moved();
    }
    this.served = current;
    this.since = null;
    this.lantern.serving(welcome, this.colours.of(welcome.release));
    this.#open(welcome.features?.includes(FEATURE) ?? false);
  }

  /** @param {boolean} isHall whether whoever serves us knows of a hall: in a roll one may, and the next one not */
  #open(isHall) {
    this.isOpen ||= isHall;
    if (this.isOpen) this.bar.open();
    else if (!this.isTold) {
      this.isTold = true;
      this.page.word.say("There is no hall on this server: this is the chat.");
    }
  }

  /** What is said there is no talk that one has to read. @param {Message} message */
  #heard({ id }) {
    this.page.participant.room(HALL).read = id;
    this.page.list.show();
  }

  /** @param {string} topic of the room, as it is told after each move, too */
  #asked(topic) {
    const question = asked(topic);
    if (!question || !this.tally.asks(question)) return;
    this.#ask();
    this.page.saveSoon();
  }

  /** What is asked now is told in every view, until one has looked at it. */
  #ask() {
    const { place } = this.tally;
    this.votes.asked();
    this.receipt.asked(place === "receipt");
    if (place === this.bar.view) this.tally.isNew = false;
    this.bar.call(this.tally.isNew ? place : null);
  }

  #tap() {
    if (!this.notices.takesTaps || !this.#put(NOTICED)) return;
    this.cancel();
    this.bar.say("Noted…", "");
    this.notices.tapped();
  }

  /** @param {boolean} isRight */
  #judged(isRight) {
    if (isRight) this.tally.right += 1;
    else this.tally.wrong += 1;
    this.#say(isRight ? "Right: you were just moved!" : "False alarm: you were not moved.", isRight ? "good" : "warn");
    this.#show();
    this.page.saveSoon();
  }

  /** @param {string} replica */
  #vote(replica) {
    const { round } = this.tally;
    if (round === null || !this.#put(vote(round, replica))) return;
    this.votes.voted(replica);
    this.page.saveSoon();
  }

  #answer() {
    const { round } = this.tally;
    if (round !== null && this.#put(here(round, this.tally))) this.receipt.answered("sending");
  }

  /** @param {string} text @returns {boolean} whether it is on its way */
  #put(text) {
    const isTaken = this.page.client.send(HALL, text) !== null;
    if (!isTaken) this.#say("Not taken: too much is waiting", "bad");
    return isTaken;
  }

  /** One of ours is in the log. @param {{ text: string }} item */
  #taken({ text }) {
    const said = read(text);
    if (said?.is === "vote") this.votes.taken(said.round, said.for);
    if (said?.is === "here" && said.round === this.tally.round) this.receipt.answered("sent");
  }

  /** For a moment. @param {string} words @param {string} tone */
  #say(words, tone) {
    this.cancel();
    this.bar.say(words, tone);
    this.cancel = this.page.clock.after(SAID_MS, () => this.bar.say("", ""));
  }

  /** @param {string} view */
  #shown(view) {
    this.lantern.light(view === "lantern");
    if (view === this.tally.place) {
      this.tally.isNew = false;
      this.bar.call(null);
      this.page.saveSoon();
    }
    this.#show();
  }

  #show() {
    this.lantern.show(this.tally.seat, this.since !== null);
    if (this.bar.view === "receipt") this.receipt.show(this.since !== null);
  }
}
