// @ts-check
import { colour, prepared } from "./canvas.js";
import { LEAVES_MS } from "./people.js";
import { Seats, eased, mix } from "./seats.js";

/** How long a move is seen. */
const FLIGHT_MS = 700;
/** How long a newcomer takes to appear, and a ring around somebody who speaks to go. */
const APPEARS_MS = 350;
const RING_MS = 1_500;
const LANDED_MS = 450;
/** Somebody who was asked to go and is still here so long after their moment stays. */
const STAYS_MS = 3_000;
/** Pieces of a tail. */
const TAIL = 9;
/** So often it is looked who sits still by now. */
const SETTLES_MS = 400;
/** Hues that are told apart. */
const HUE_STEP = 6;
const NOW = "#f5c451";

/** @typedef {import("./people.js").Dot} Dot */

/** Everybody, drawn. */
export class Dots {
  #canvas;
  #people;
  #seats = new Seats();
  /** @type {Map<string, HTMLCanvasElement>} */
  #sprites = new Map();
  #radius = 0;
  #drawn = { version: -1, at: -1, until: 0, anew: 0 };
  /** Those who sit still, drawn. */
  #settled = document.createElement("canvas");
  /** The others. @type {Dot[]} */
  #lively = [];
  /** @type {(place: string) => string} */
  #releaseColour;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => import("./people.js").People} people
   * @param {(place: string) => string} releaseColour
   */
  constructor(canvas, people, releaseColour) {
    this.#canvas = canvas;
    this.#people = people;
    this.#releaseColour = releaseColour;
  }

  /** The boxes may be elsewhere now. @param {Iterable<[string, Element]>} places */
  measure(places) {
    const { rect, scale } = prepared(this.#canvas);
    const boxes = new Map();
    for (const [place, element] of places) {
      const { left, top, width, height } = element.getBoundingClientRect();
      boxes.set(place, { x: (left - rect.left) * scale, y: (top - rect.top) * scale, width: width * scale, height: height * scale });
    }
    this.#seats.measure(boxes);
    this.#sprites.clear();
    this.#drawn.version = -1;
  }

  /** @param {number} at @param {boolean} isMoving whether things may move @returns {boolean} whether anything was drawn */
  draw(at, isMoving) {
    const people = this.#people();
    people.expire(at);
    this.#seats.fit(people.needed, at, isMoving);
    if (people.version === this.#drawn.version && this.#drawn.at > this.#drawn.until && !this.#seats.isChanging(at)) return false;
    this.#size(this.#seats.radius(at));
    if (people.version !== this.#drawn.version || at >= this.#drawn.anew || this.#seats.isChanging(at)) this.#settle(people, at, isMoving);
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    context.globalCompositeOperation = "copy";
    context.drawImage(this.#settled, 0, 0);
    context.globalCompositeOperation = "source-over";
    for (const dot of this.#lively) if (!isFlying(dot, at)) this.#seated(context, dot, at, isMoving);
    for (const dot of this.#lively) {
      if (!isFlying(dot, at)) continue;
      if (isMoving) this.#flying(context, dot, at);
      else this.#changes(context, dot, at);
    }
    this.#drawn.at = at;
    return true;
  }

  /** Draws those about whom nothing changes by itself once for many frames. @param {import("./people.js").People} people @param {number} at @param {boolean} isMoving */
  #settle(people, at, isMoving) {
    const { width, height } = this.#canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#settled.getContext("2d"));
    // To make a canvas anew costs more than to wipe it.
    if (this.#settled.width !== width || this.#settled.height !== height) Object.assign(this.#settled, { width, height });
    else context.clearRect(0, 0, width, height);
    this.#lively = [];
    let until = 0;
    for (const dot of people.dots.values()) {
      const ends = lasts(dot);
      const stays = dot.goesAt < Infinity ? dot.goesAt + STAYS_MS : 0;
      until = Math.max(until, ends, stays);
      if (ends > at) this.#lively.push(dot);
      else this.#seated(context, dot, at, isMoving);
    }
    this.#drawn = { version: people.version, at, until, anew: at + SETTLES_MS };
  }

  /** @param {number} radius */
  #size(radius) {
    if (Math.abs(radius - this.#radius) < 0.01) return;
    this.#radius = radius;
    this.#sprites.clear();
  }

  /** A dot of a hue: drawn once, then copied. @param {number} hue @param {"full" | "hollow"} kind */
  #sprite(hue, kind) {
    const step = Math.round(hue / HUE_STEP) * HUE_STEP;
    const name = `${kind}${step}`;
    const known = this.#sprites.get(name);
    if (known) return known;
    const size = Math.ceil(this.#radius * 2 + 4);
    const sprite = Object.assign(document.createElement("canvas"), { width: size, height: size });
    const context = /** @type {CanvasRenderingContext2D} */ (sprite.getContext("2d"));
    context.beginPath();
    if (kind === "full") {
      context.arc(size / 2, size / 2, this.#radius, 0, 7);
      context.fillStyle = colour(step);
      context.fill();
    } else {
      context.lineWidth = Math.max(1.5, this.#radius * 0.18);
      context.arc(size / 2, size / 2, this.#radius - context.lineWidth / 2, 0, 7);
      context.strokeStyle = colour(step, 0.6);
      context.stroke();
    }
    this.#sprites.set(name, sprite);
    return sprite;
  }

  /** @param {CanvasRenderingContext2D} context @param {number} hue @param {"full" | "hollow"} kind @param {number} x @param {number} y @param {number} [scale] */
  #put(context, hue, kind, x, y, scale = 1) {
    const sprite = this.#sprite(hue, kind);
    if (scale === 1) context.drawImage(sprite, Math.round(x - sprite.width / 2), Math.round(y - sprite.height / 2));
    else {
      const size = sprite.width * scale;
      context.drawImage(sprite, x - size / 2, y - size / 2, size, size);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Dot} dot @param {number} at @param {boolean} isMoving */
  #seated(context, dot, at, isMoving) {
    const [x, y] = this.#seats.position(dot.seat, at);
    const age = at - (dot.from ? -Infinity : dot.movedAt);
    const appears = Math.min(1, age / APPEARS_MS);
    const leaves = Math.max(0, 1 - Math.max(0, at - dot.leftAt) / LEAVES_MS);
    context.globalAlpha = appears * leaves;
    const grows = isMoving ? eased(appears) * mix(0.4, 1, leaves) : 1;
    this.#put(context, dot.hue, dot.lostAt < at ? "hollow" : "full", x, y, grows);
    context.globalAlpha = 1;
    if (at < dot.goesAt + STAYS_MS && dot.goesAt < Infinity && dot.lostAt === Infinity) this.#asked(context, x, y);
    if (dot.from && isMoving) this.#landed(context, dot, at, x, y);
    this.#ring(context, dot, at, x, y, isMoving);
  }

  /** It was asked to go, and its moment has not come. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y */
  #asked(context, x, y) {
    context.strokeStyle = NOW;
    context.lineWidth = Math.max(1.5, this.#radius * 0.16);
    context.beginPath();
    context.arc(x, y, this.#radius * 1.05, 0, 7);
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context @param {Dot} dot @param {number} at @param {number} x @param {number} y @param {boolean} isMoving */
  #ring(context, { spokeAt }, at, x, y, isMoving) {
    const done = (at - spokeAt) / RING_MS;
    if (!(done >= 0 && done < 1)) return;
    context.strokeStyle = `rgb(255 255 255 / ${1 - done ** 2})`;
    context.lineWidth = Math.max(2, this.#radius * 0.22);
    context.beginPath();
    context.arc(x, y, this.#radius * (isMoving ? mix(1.15, 1.75, Math.sqrt(done)) : 1.4), 0, 7);
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context @param {Dot} dot @param {number} at @param {number} x @param {number} y */
  #landed(context, { movedAt, seat }, at, x, y) {
    const done = (at - movedAt - FLIGHT_MS) / LANDED_MS;
    if (!(done >= 0 && done < 1)) return;
    context.globalAlpha = 0.8 * (1 - done);
    context.strokeStyle = this.#releaseColour(seat.place);
    context.lineWidth = Math.max(1.5, this.#radius * 0.25 * (1 - done));
    context.beginPath();
    context.arc(x, y, this.#radius * mix(1, 2.1, done), 0, 7);
    context.stroke();
    context.globalAlpha = 1;
  }

  /** Nothing moves: it goes here and comes there. @param {CanvasRenderingContext2D} context @param {Dot} dot @param {number} at */
  #changes(context, dot, at) {
    const done = (at - dot.movedAt) / FLIGHT_MS;
    const [from, to] = [this.#seats.position(dot.from ?? dot.seat, at), this.#seats.position(dot.seat, at)];
    context.globalAlpha = 1 - done;
    this.#put(context, dot.hue, "hollow", ...from);
    context.globalAlpha = done;
    this.#put(context, dot.hue, "full", ...to);
    context.globalAlpha = 1;
    this.#ring(context, dot, at, ...to, false);
  }

  /** On the way, along an arc, with a tail. @param {CanvasRenderingContext2D} context @param {Dot} dot @param {number} at */
  #flying(context, dot, at) {
    const done = Math.max(0, (at - dot.movedAt) / FLIGHT_MS);
    const way = this.#way(dot, at);
    this.#tail(context, way, dot.hue, done);
    const [x, y] = way(eased(done));
    this.#put(context, dot.hue, "full", x, y, 1 + 0.45 * Math.sin(Math.PI * done));
    this.#ring(context, dot, at, x, y, true);
  }

  /** Narrow and faint where it was, wide and bright where it is.
   * @param {CanvasRenderingContext2D} context @param {(part: number) => [number, number]} way @param {number} hue @param {number} done */
  #tail(context, way, hue, done) {
    const begin = Math.max(0, done - 0.32);
    const spots = Array.from({ length: TAIL + 1 }, (_, part) => way(eased(mix(begin, done, part / TAIL))));
    const [[fromX, fromY], [toX, toY]] = [spots[0], spots[TAIL]];
    if (Math.hypot(toX - fromX, toY - fromY) < this.#radius) return;
    const gradient = context.createLinearGradient(fromX, fromY, toX, toY);
    gradient.addColorStop(0, colour(hue, 0.8, 0));
    gradient.addColorStop(1, colour(hue, 0.8, 0.6));
    context.fillStyle = gradient;
    context.beginPath();
    for (const side of [1, -1]) {
      for (let nth = 0; nth <= TAIL; nth += 1) {
        const part = side > 0 ? nth : TAIL - nth;
        const [[beforeX, beforeY], [afterX, afterY]] = [spots[Math.max(0, part - 1)], spots[Math.min(TAIL, part + 1)]];
        const long = Math.hypot(afterX - beforeX, afterY - beforeY) || 1;
        const wide = side * this.#radius * mix(0.1, 0.95, part / TAIL) / long;
        context.lineTo(spots[part][0] - (afterY - beforeY) * wide, spots[part][1] + (afterX - beforeX) * wide);
      }
    }
    context.fill();
  }

  /** @param {Dot} dot @param {number} at @returns {(part: number) => [number, number]} */
  #way(dot, at) {
    const [fromX, fromY] = this.#seats.position(dot.from ?? dot.seat, at);
    const [toX, toY] = this.#seats.position(dot.seat, at);
    const [away, down] = [toX - fromX, toY - fromY];
    const far = Math.hypot(away, down);
    // To the side of the way, each a little differently, so that those who fly together are told apart.
    const bend = (0.16 + 0.1 * ((dot.id * 0.618) % 1)) * far * (away < 0 ? -1 : 1);
    const [viaX, viaY] = [(fromX + toX) / 2 + (bend * down) / (far || 1), (fromY + toY) / 2 - (bend * away) / (far || 1)];
    return (part) => {
      const rest = 1 - part;
      return [
        rest * rest * fromX + 2 * rest * part * viaX + part * part * toX,
        rest * rest * fromY + 2 * rest * part * viaY + part * part * toY,
      ];
    };
  }
}

/** @param {Dot} dot @param {number} at */
function isFlying({ from, movedAt }, at) {
  return from !== null && at - movedAt < FLIGHT_MS;
}

/** Until when something about it changes by itself. @param {Dot} dot */
function lasts({ from, movedAt, spokeAt, leftAt, lostAt }) {
  const moves = movedAt + (from ? FLIGHT_MS + LANDED_MS : APPEARS_MS);
  const lost = lostAt < Infinity ? lostAt + 1 : 0;
  return Math.max(moves, lost, spokeAt + RING_MS, leftAt < Infinity ? leftAt + LEAVES_MS : 0);
}
