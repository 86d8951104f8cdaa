// @ts-check
import { Colours } from "./colours.js";
import { hueOf } from "./hue.js";
import { isBefore, Links } from "./links.js";
import { People } from "./people.js";

/** Messages that are shown. */
const SAID = 8;
/** What phones say there is counted, and no talk. */
const HALL = "hall";
/** Of the line of the 99th percentile, ms. */
const LINE_MS = 45_000;

const SILENT = { votes: {}, noticed: 0, false_alarms: 0, answered: 0 };

/** What is true on the stage, folded from events. It knows no clock but theirs. */
export class Model {
  people = new People();
  links = new Links();
  colours = new Colours();
  stage = { room: "", join: "" };
  /** @type {{ name: string, slots: { slot: string, release?: string, state: string }[] }[]} */
  replicas = [];
  /** What the proxy says of each place. @type {Map<string, string>} */
  servers = new Map();
  /** In the order in which they were first seen. @type {string[]} */
  releases = [];
  /** Steps of the deploy, by replica. @type {Map<string, Map<string, { is: string, outcome: string, moved: number, forced: number, words: string }>>} */
  steps = new Map();
  /** @type {any[]} */
  said = [];
  /** Room → the newest message: what a witness brings later than the other is older. @type {Map<string, string>} */
  #newest = new Map();
  /** @type {{ messages: number, lost: number, doubled: number, moved: number, cut: number, silence_ms: number, here: number, p99_ms?: number, drains?: Record<string, { told: number, moved: number }> }} */
  figures = { messages: 0, lost: 0, doubled: 0, moved: 0, cut: 0, silence_ms: 0, here: 0 };
  /** What the audience says by its phones. @type {{ votes: Record<string, number>, noticed: number, false_alarms: number, answered: number }} */
  audience = SILENT;
  /** @type {{ at: number, ms: number }[]} */
  line = [];
  act = { act: "", words: "", began: 0, ended: Infinity };
  /** What happens where nobody names an act: a deploy, or a replica that is gone. */
  #unnamed = { act: "", words: "", began: 0, ended: Infinity };
  /** Witnesses whose replica has lost the log. @type {Set<number>} */
  #withoutLog = new Set();
  /** Of the last roll call, until another act begins. @type {any} */
  verdict = null;
  deploy = { what: "", outcome: "", isOn: false };
  /** Counts changes of words. */
  version = 0;

  /** @param {any} event */
  apply(event) {
    const { at } = event;
    this.version += 1;
    switch (event.event) {
      case "stage": this.stage = { room: event.room, join: event.join ?? "" }; break;
      case "replicas": this.#replicas(at, event.replicas); break;
      case "connections": this.people.apply(at, event.list); break;
      case "phase": this.#phase(event); break;
      case "message": this.#message(event); break;
      case "proxy": this.servers = new Map(event.servers.map((/** @type {any} */ it) => [`${it.replica}/${it.slot}`, it.status])); break;
      case "figures": this.#figures(event); break;
      case "log": this.#log(event); break;
      case "gap": this.#gap(event); break;
      case "act": this.#act(event); break;
      case "verdict": this.verdict = event; break;
      default: break;
    }
  }

  /** What the hall is told to look at: an act that goes on, or else what happens by itself, or what was last. */
  get scene() {
    // Whatever an act says of itself.
    if (this.#unnamed.act === "gap" && this.#unnamed.began >= this.act.began) return this.#unnamed;
    const isOn = this.act.act && this.act.ended === Infinity;
    const last = ({ began, ended } = this.#unnamed) => (ended === Infinity ? began : ended);
    return isOn || last(this.act) > last() ? this.act : this.#unnamed;
  }

  /** @param {number} at @param {Model["replicas"]} replicas */
  #replicas(at, replicas) {
    for (const { name, slots } of replicas) {
      for (const { slot, state } of slots) {
        if (state === "down" && this.#stateOf(name, slot) === "up") this.#unnamed = { act: "gone", words: `${name} is gone`, began: at, ended: Infinity };
        if (state === "up" && this.#stateOf(name, slot) !== "up" && this.#unnamed.words === `${name} is gone`) {
          this.#unnamed = { ...this.#unnamed, words: `${name} is back`, ended: at };
        }
      }
    }
    this.replicas = replicas;
    for (const { slots } of replicas) {
      for (const { release } of slots) {
        if (release && !this.releases.includes(release)) this.releases.push(release);
        if (release) this.colours.of(release);
      }
    }
  }

  /** @param {string} name @param {string} slot */
  #stateOf(name, slot) {
    return this.replicas.find((it) => it.name === name)?.slots.find((it) => it.slot === slot)?.state;
  }

  /** @param {any} phase */
  #phase({ at, replica, phase, is, outcome, moved, forced, words, what }) {
    if (!replica) {
      const named = sentence(what ?? this.deploy.what);
      if (is === "begin") this.#unnamed = { act: "deploy", words: named, began: at, ended: Infinity };
      else if (this.#unnamed.act === "deploy") {
        // One that found everything as it was to be is nothing to show.
        const words = outcome === "done" && this.steps.size === 0 ? "" : `${named}: ${outcome}`;
        this.#unnamed = { ...this.#unnamed, words, ended: at };
      }
      this.deploy = { what: what ?? this.deploy.what, outcome: outcome ?? "", isOn: is === "begin" };
      if (is === "begin") this.steps.clear();
      return;
    }
    const steps = this.steps.get(replica) ?? new Map();
    this.steps.set(replica, steps.set(phase, { is, outcome: outcome ?? "", moved: moved ?? 0, forced: forced ?? 0, words: words ?? "" }));
  }

  /** @param {any} message */
  #message(message) {
    if (message.broken) {
      if (message.room === this.stage.room) this.links.missed(message.prev);
      return;
    }
    if (message.room === this.stage.room) this.links.add(message.at, message);
    if (!isBefore(this.#newest.get(message.room) ?? "0-0", message.id)) return;
    this.#newest.set(message.room, message.id);
    this.people.spoke(message.member, message.at);
    if (message.kind === "remove") this.said = this.said.filter(({ id, room }) => id !== message.of || room !== message.room);
    if (message.kind) return;
    if (message.room === HALL) return;
    this.said.push({ ...message, hue: hueOf(message.member, message.name) });
    if (this.said.length > SAID) this.said.shift();
  }

  /** @param {any} log */
  #log({ at, witness, up }) {
    const wasAway = this.#withoutLog.size > 0;
    if (up) this.#withoutLog.delete(witness);
    else this.#withoutLog.add(witness);
    const isAway = this.#withoutLog.size > 0;
    if (isAway && !wasAway) this.#unnamed = { act: "log", words: "The log is away: what is said waits", began: at, ended: Infinity };
    else if (wasAway && !isAway && this.#unnamed.act === "log") this.#unnamed = { ...this.#unnamed, words: "The log is back", ended: at };
  }

  /** What a witness missed while it was away itself is nothing to tell a hall. @param {any} gap */
  #gap({ at, reason }) {
    if (reason === "rewound") this.#unnamed = { act: "gap", words: "The log has lost what came last", began: at, ended: at };
  }

  /** @param {any} figures */
  #figures(figures) {
    this.figures = figures;
    this.audience = figures.audience ?? SILENT;
    if (figures.p99_ms !== undefined) this.line.push({ at: figures.at, ms: figures.p99_ms });
    while (this.line.length > 1 && this.line[1].at < figures.at - LINE_MS) this.line.shift();
  }

  /** @param {any} act */
  #act({ at, act, is, words }) {
    if (is === "begin") this.verdict = null;
    // What was done to replicas before is no part of it.
    if (is === "begin" && !this.deploy.isOn) this.steps.clear();
    if (is === "begin") this.act = { act, words: words ?? "", began: at, ended: Infinity };
    else this.act = { ...this.act, words: words || this.act.words, ended: at };
  }
}

/** @param {string} words */
function sentence(words) {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
