// @ts-check
import { showAudience, showVotes } from "./audience.js";
import { showVerdict } from "./verdict.js";
import { showWifi } from "./wifi.js";

/** Phases in their order, as the hall reads them. */
const PHASES = ["start", "smoke", "ready", "canary", "drain", "stop", "undo", "put back"];
/** Said no more once the replica is ready. */
const BEFORE_READY = new Set(["start", "smoke"]);
const STATES = new Map(Object.entries({ empty: "free", starting: "starts", up: "", draining: "drains", kept: "stopped, kept", down: "gone" }));
/** What a slot may be while its release is one that people are on, or soon will be. */
const SERVES = new Set(["starting", "up", "draining"]);
/** Letters of a figure that is written large. */
const FITS = 4;

const number = new Intl.NumberFormat("en");

/** @param {string} id */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} tag @param {Record<string, string>} [attributes] @param {...(string | Node)} inside */
function element(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

/** Changes what an element says, if it says something else. @param {Element} it @param {string} words */
function say(it, words) {
  if (it.textContent !== words) it.textContent = words;
}

/** All words on the stage. @typedef {import("./model.js").Model} Model */
export class Words {
  /** @type {Map<string, Element>} */
  places = new Map();
  #names = "";
  #isOpen = false;
  #talk = "";
  #shownReleases = "";

  /** @param {Model} model @param {number} at @returns {boolean} whether boxes are elsewhere now */
  show(model, at) {
    const isElsewhere = this.#build(model);
    this.#header(model);
    this.clock(model, at);
    this.#replicas(model);
    this.#figures(model);
    this.#said(model);
    showVerdict(find("verdict"), model.verdict);
    return isElsewhere;
  }

  /** @param {Model} model @param {number} at */
  clock({ scene }, at) {
    const spent = Math.max(0, Math.min(at, scene.ended) - scene.began) / 1000;
    const [minutes, seconds] = [Math.floor(spent / 60), spent % 60];
    say(find("clock"), `${minutes}:${(Math.floor(seconds * 10) / 10).toFixed(1).padStart(4, "0")}`);
  }

  /** Boxes for replicas and slots, when there are others. @param {Model} model */
  #build({ replicas, stage }) {
    // Nobody is asked in before there is somebody to serve them.
    this.#isOpen ||= replicas.some(({ slots }) => slots.some(({ state }) => state === "up"));
    const names = JSON.stringify([replicas.map(({ name, slots }) => [name, slots.map(({ slot }) => slot)]), stage, this.#isOpen]);
    if (names === this.#names) return false;
    this.#names = names;
    this.places.clear();
    find("replicas").replaceChildren(...replicas.map(({ name, slots }) => this.#column(name, slots)));
    say(find("room"), `#${stage.room}`);
    find("join").hidden = !stage.join || !this.#isOpen;
    if (stage.join) {
      find("qr").setAttribute("src", "/stage/join.svg");
      say(find("address"), stage.join.replace(/^https?:\/\//u, ""));
      showWifi(find("join"));
    }
    return true;
  }

  /** @param {string} name @param {{ slot: string }[]} slots */
  #column(name, slots) {
    const boxes = slots.map(({ slot }) => {
      const seats = element("div", { class: "seats" });
      this.places.set(`${name}/${slot}`, seats);
      const label = element("p", {}, element("b"), element("span", { class: "word" }));
      return element("div", { class: "slot", "data-place": `${name}/${slot}` }, label, seats);
    });
    const votes = element("i", { class: "votes", hidden: "" });
    const title = element("h3", {}, name, votes, element("span"));
    return element("article", { class: "replica" }, title, ...boxes, element("ol", { class: "steps" }));
  }

  /** @param {Model} model */
  #header({ releases, colours, replicas, scene, deploy, steps, links }) {
    const serves = (/** @type {string} */ release) => replicas.some(({ slots }) => slots.some((slot) => slot.release === release && SERVES.has(slot.state)));
    const brought = new Set(links.list.map(({ release }) => release));
    const [shown, known] = [releases.filter(serves).slice(-2), releases.filter((release) => serves(release) || brought.has(release)).slice(-3)];
    const key = `${shown} of ${known}`;
    if (this.#shownReleases !== key) {
      this.#shownReleases = key;
      const named = (/** @type {string} */ release) => element("span", { class: `release-${colours.of(release)}` }, release);
      find("releases").replaceChildren(...shown.map(named).flatMap((name, index) => index ? [element("i", {}, "→"), name] : [name]));
      find("key").replaceChildren(...known.map(named));
    }
    const turn = deploy.isOn ? turnOf(replicas, steps) : null;
    const words = find("words");
    const told = turn ? `${scene.words ? `${scene.words} · ` : ""}${turn.name}: ` : scene.words;
    if (words.textContent !== told + (turn?.phase ?? "")) words.replaceChildren(told, ...(turn ? [element("b", {}, turn.phase)] : []));
  }

  /** @param {Model} model */
  #replicas(model) {
    for (const [index, article] of [...find("replicas").children].entries()) {
      const { name, slots } = model.replicas[index];
      const counts = slots.map(({ slot }) => model.people.count(`${name}/${slot}`));
      showVotes(/** @type {HTMLElement} */ (article.querySelector(".votes")), name, model.audience.votes);
      say(/** @type {Element} */ (article.querySelector("h3 span")), number.format(counts.reduce((a, b) => a + b, 0)));
      for (const [nth, box] of [...article.querySelectorAll(".slot")].entries()) this.#slot(box, slots[nth], counts[nth], model, `${name}/${slots[nth].slot}`);
      this.#steps(/** @type {Element} */ (article.querySelector(".steps")), name, model);
    }
  }

  /** @param {Element} box @param {{ release?: string, state: string }} slot @param {number} count @param {Model} model @param {string} place */
  #slot(box, { release, state }, count, { colours, servers }, place) {
    const kind = release ? `slot release-${colours.of(release)}` : "slot";
    if (box.className !== kind) box.className = kind;
    if (box.getAttribute("data-state") !== state) box.setAttribute("data-state", state);
    const [label, word] = /** @type {HTMLCollection} */ (box.firstElementChild?.children);
    say(label, release ?? "");
    // It serves, and the proxy sends nobody there yet, or no more.
    const isAlone = state === "up" && !(servers.get(place) ?? "UP").startsWith("UP");
    const told = isAlone ? "no newcomers" : STATES.get(state) ?? state;
    say(word, count && told ? `${told} · ${number.format(count)}` : told || (count ? number.format(count) : ""));
  }

  /** @param {Element} list @param {string} replica @param {Model} model */
  #steps(list, replica, { steps, figures, deploy }) {
    const told = steps.get(replica) ?? new Map();
    // All of these have two lines.
    const isOver = (/** @type {string} */ phase) => BEFORE_READY.has(phase) && told.get("ready")?.outcome === "ok";
    const known = [...told].filter(([phase]) => !isOver(phase)).sort(([a], [b]) => PHASES.indexOf(a) - PHASES.indexOf(b));
    const chips = known.map(([phase, { is, outcome, moved, forced }]) => {
      const drain = figures.drains?.[replica] ?? { told: 0, moved: 0 };
      const isNow = is === "begin";
      const gone = moved || drain.moved;
      const counts = phase !== "drain" ? "" : isNow && drain.told ? ` ${drain.moved} / ${drain.told}` : !isNow && gone ? ` ${gone}` : "";
      if (forced) return ["failed", `${phase} ${moved} · ${forced} forced`];
      const state = isNow ? "now" : outcome === "failed" ? "failed" : "ok";
      return [state, `${phase}${counts}${state === "ok" ? " ✓" : state === "failed" ? " ✗" : ""}`];
    });
    if (!chips.length && deploy.isOn) chips.push(["", "waits"]);
    const shown = JSON.stringify(chips);
    if (list.getAttribute("data-shown") === shown) return;
    list.setAttribute("data-shown", shown);
    list.replaceChildren(...chips.map(([state, words]) => element("li", state ? { class: state } : {}, words)));
  }

  /** @param {Model} model */
  #figures({ figures, audience }) {
    const shown = { lost: figures.lost, doubled: figures.doubled, moved: figures.moved, silence: figures.silence_ms };
    for (const [id, value] of Object.entries(shown)) {
      const told = /** @type {Element} */ (find(id).querySelector("dd"));
      if (id === "silence") silence(told, value);
      else say(told, number.format(value));
      told.classList.toggle("long", (told.firstChild?.textContent ?? "").length > FITS);
      find(id).classList.toggle("bad", value > 0 && (id === "lost" || id === "doubled"));
    }
    say(find("here"), number.format(figures.here));
    showAudience(find("audience"), audience);
    say(/** @type {Element} */ (document.querySelector("#lost .of")), number.format(figures.messages));
    // No message came lately.
    say(find("p99"), figures.p99_ms === undefined ? "–" : `${number.format(figures.p99_ms)} ms`);
  }

  /** @param {Model} model */
  #said({ said, stage }) {
    const key = said.map(({ id }) => id).join();
    if (key === this.#talk) return;
    this.#talk = key;
    const rows = said.map(({ member, name, text, room, hue }) => {
      const row = element("li", {}, element("b", {}, name), room === stage.room ? "" : element("i", {}, ` in #${room}`), ` ${text}`);
      row.style.setProperty("--hue", String(hue));
      return row;
    });
    find("talk").replaceChildren(...rows);
  }
}

/** @param {Element} it @param {number} ms */
function silence(it, ms) {
  const [value, unit] = ms < 1_000 ? [number.format(ms), " ms"] : [(ms / 1_000).toFixed(1), " s"];
  if (it.textContent !== value + unit) it.replaceChildren(value, element("small", {}, unit));
}

/** The replica whose turn it is, and the phase that it is in. @param {Model["replicas"]} replicas @param {Model["steps"]} steps */
function turnOf(replicas, steps) {
  // In the order in which they have their turns.
  for (const [index, its] of [...steps.values()].entries()) {
    for (const [phase, { is }] of its) {
      if (is === "begin") return { name: `replica ${index + 1} of ${replicas.length}`, phase };
    }
  }
  return null;
}
