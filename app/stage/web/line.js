// @ts-check
import { prepared } from "./canvas.js";

/** What is shown of the past. */
const SHOWN_MS = 40_000;
/** The line's height is at least so many ms: a flat line is a calm one. */
const LEAST_MS = 30;

/** A running line of the 99th percentile. */
export class Line {
  #canvas;
  #drawnAt = -Infinity;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  measure() {
    prepared(this.#canvas);
    this.#drawnAt = -Infinity;
  }

  /** @param {{ at: number, ms: number }[]} line @param {number} at */
  draw(line, at) {
    // Its movement is slow: ten times a second are enough.
    if (Math.abs(at - this.#drawnAt) < 100) return;
    this.#drawnAt = at;
    const { width, height } = this.#canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const unit = height / 52;
    context.setTransform(unit, 0, 0, unit, 0, 0);
    context.clearRect(0, 0, width / unit, 52);
    context.fillStyle = "#262d3e";
    context.fillRect(0, 50, width / unit, 2);
    const most = Math.max(LEAST_MS, ...line.map(({ ms }) => ms)) * 1.1;
    const spots = line.map((it) => [width / unit - 5 - ((at - it.at) / SHOWN_MS) * (width / unit), 49 - (it.ms / most) * 46]);
    context.beginPath();
    for (const [x, y] of spots) context.lineTo(x, y);
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = "#9fb6e8";
    context.stroke();
    const last = spots.at(-1);
    if (!last) return;
    context.fillStyle = "#eef1f8";
    context.beginPath();
    context.arc(last[0], last[1], 5, 0, 7);
    context.fill();
  }
}
