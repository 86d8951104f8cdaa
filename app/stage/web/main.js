// @ts-check
import { Asker } from "./asker.js";
import { Chain } from "./chain.js";
import { Dots } from "./dots.js";
import { Feed } from "./feed.js";
import { Line } from "./line.js";
import { Model } from "./model.js";
import { Words } from "./words.js";

const INKS = ["#74a4ff", "#5fe3a1", "#d3a6ff"];

/** @param {string} id */
const canvas = (id) => /** @type {HTMLCanvasElement} */ (document.getElementById(id));

let model = new Model();
const reduced = matchMedia("(prefers-reduced-motion: reduce)");
const look = (/** @type {string} */ release) => {
  const kind = release ? model.colours.of(release) : 0;
  return { kind, colour: release ? INKS[kind] : "#3a4358" };
};
/** The colour of the release in a place. @param {string} place */
function releaseColour(place) {
  const [name, slot] = place.split("/");
  const found = model.replicas.find((replica) => replica.name === name)?.slots.find((it) => it.slot === slot);
  return look(found?.release ?? "").colour;
}

const asker = new Asker(say);
const feed = new Feed(() => {
  model = new Model();
  shown = -1;
  asker.meet();
});
const words = new Words();
const dots = new Dots(canvas("dots"), () => model.people, releaseColour);
const chain = new Chain(canvas("chain"), look);
const line = new Line(canvas("line"));

let shown = -1;
/** What is told to the speaker stays so long. */
const SAID_MS = 4_000;
/** Frames of a moment that stands still. */
const STILL = 3;
let still = 0;
/** For tests: what is shown, and in how many frames. */
const frames = { drawn: 0 };
Object.assign(window, { frames, shown: () => model });

function measure() {
  dots.measure(words.places);
  chain.measure();
  line.measure();
}
addEventListener("resize", () => {
  measure();
  if (still > STILL) requestAnimationFrame(draw);
});

const notice = /** @type {HTMLElement} */ (document.getElementById("notice"));
let saidUntil = 0;
/** Tells the speaker something, for a while. @param {string} words */
function say(words) {
  notice.textContent = words;
  saidUntil = performance.now() + SAID_MS;
}

function draw() {
  const { events, at } = feed.take();
  for (const event of events) model.apply(event);
  if (model.version !== shown) {
    shown = model.version;
    if (words.show(model, at)) measure();
  } else words.clock(model, at);
  dots.draw(at, !reduced.matches);
  chain.draw(model.links, model.version, at, !reduced.matches);
  line.draw(model.line, at);
  frames.drawn += 1;
  const { trouble } = feed;
  notice.hidden = !trouble && performance.now() > saidUntil;
  if (trouble && performance.now() > saidUntil) notice.textContent = trouble;
  // One moment is drawn, and drawn again when boxes have found their places; then there is nothing more to do.
  still = feed.frozen ? still + 1 : 0;
  if (still > STILL) document.documentElement.dataset.at = String(at);
  else requestAnimationFrame(draw);
}

addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey, repeat }) => {
  // With these a key is the browser's: Alt+D is its address, and no act.
  if (ctrlKey || metaKey || altKey || repeat) return;
  if (key === "b") document.body.classList.toggle("black");
  else if (key === "n") document.body.classList.toggle("mute");
  else asker.press(key);
});

requestAnimationFrame(draw);
