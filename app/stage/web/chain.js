// @ts-check
import { colour, prepared } from "./canvas.js";
import { mostSeen } from "./links.js";

/** Of the stage's units: a link's width and height, and from one to the next. */
const [WIDTH, HEIGHT, PITCH] = [47, 27, 28];
const TOP = 16;
/** And the whole canvas's height. */
const HIGH = 82;
/** How long the chain takes to move on by a link. */
const MOVES_MS = 350;
const BAD = "#ff7a85";

/** The chain of the log, newest to the right. */
export class Chain {
  #canvas;
  /** @type {(release: string) => { colour: string, kind: number }} */
  #look;
  #drawn = { at: -1, added: -1, links: /** @type {unknown} */ (null), seen: -1 };

  /** @param {HTMLCanvasElement} canvas @param {(release: string) => { colour: string, kind: number }} look */
  constructor(canvas, look) {
    this.#canvas = canvas;
    this.#look = look;
  }

  measure() {
    prepared(this.#canvas);
    this.#drawn.at = -1;
  }

  /** @param {import("./links.js").Links} links @param {number} version @param {number} at @param {boolean} isMoving */
  draw(links, version, at, isMoving) {
    const moves = at - links.addedAt < MOVES_MS && isMoving;
    if (!moves && this.#drawn.at >= links.addedAt + MOVES_MS && this.#drawn.seen === version && this.#drawn.links === links) return;
    this.#drawn = { at, added: links.added, links, seen: version };
    const { width, height } = this.#canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const unit = height / HIGH;
    context.setTransform(unit, 0, 0, unit, 0, 0);
    context.clearRect(0, 0, width / unit, height / unit);
    const late = moves ? (1 - (at - links.addedAt) / MOVES_MS) ** 3 : 0;
    const right = width / unit - WIDTH - 4 + late * PITCH;
    const shown = links.list.slice(-Math.ceil(width / unit / PITCH) - 1);
    const spots = shown.map((link, index) => ({ link, x: right - (shown.length - 1 - index) * PITCH }));
    spots.forEach(({ link, x }, index) => this.#link(context, link, x, spots[index - 1]));
    this.#releases(context, spots);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  /**
   * A link lies over the upper half of the one before it, and under the lower half.
   * @param {CanvasRenderingContext2D} context @param {import("./links.js").Link} link @param {number} x
   * @param {{ link: import("./links.js").Link, x: number } | undefined} before
   */
  #link(context, link, x, before) {
    const times = mostSeen(link);
    if (link.isCut && before) this.#gap(context, x);
    this.#ring(context, link, x, TOP);
    if (times > 1) this.#ring(context, { ...link, isLost: false }, x + 7, TOP - 8, BAD);
    if (!before || link.isCut) return;
    context.save();
    context.beginPath();
    context.rect(x - 4, TOP + HEIGHT / 2, WIDTH - PITCH + 8, HEIGHT);
    context.clip();
    this.#ring(context, before.link, before.x, TOP);
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {import("./links.js").Link} link @param {number} x @param {number} y @param {string} [ink] */
  #ring(context, link, x, y, ink) {
    const ring = () => {
      context.beginPath();
      context.roundRect(x + 4, y, WIDTH - 8, HEIGHT, HEIGHT / 2);
      context.stroke();
    };
    context.lineWidth = 10;
    context.strokeStyle = "#0a0d14";
    ring();
    context.lineWidth = 5;
    context.strokeStyle = ink ?? (link.isLost ? BAD : colour(link.hue));
    if (link.isLost) context.setLineDash([5, 6]);
    ring();
    context.setLineDash([]);
  }

  /** Nothing is where a message should be. @param {CanvasRenderingContext2D} context @param {number} x */
  #gap(context, x) {
    context.strokeStyle = BAD;
    context.lineWidth = 5;
    context.beginPath();
    context.moveTo(x - 3, TOP - 10);
    context.lineTo(x + 9, TOP + HEIGHT + 10);
    context.moveTo(x + 9, TOP - 10);
    context.lineTo(x - 3, TOP + HEIGHT + 10);
    context.stroke();
  }

  /** Which release took each message: by colour, and by the form of the line.
   * @param {CanvasRenderingContext2D} context @param {{ link: import("./links.js").Link, x: number }[]} spots */
  #releases(context, spots) {
    const y = TOP + HEIGHT + 16;
    spots.forEach(({ link, x }) => {
      const { colour: ink, kind } = this.#look(link.release);
      context.fillStyle = ink;
      const [left, wide] = [x + (WIDTH - PITCH) / 2 + 1, PITCH - 2];
      if (kind % 3 === 0) context.fillRect(left, y, wide, 7);
      else if (kind % 3 === 1) for (let part = 0; part < 3; part += 1) context.fillRect(left + (part * wide) / 3, y, wide / 3 - 4, 7);
      else for (const down of [-4, 6]) context.fillRect(left, y + down, wide, 4);
    });
  }
}
