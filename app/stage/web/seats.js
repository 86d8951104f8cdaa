// @ts-check

/** A dot is so much of its seat. */
const FILLS = 0.37;
/** The largest seat, as a part of a box's height. */
const LARGEST = 0.19;
/** When seats become smaller, everybody takes so long to sit closer. */
const CLOSER_MS = 600;

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */
/** @typedef {{ columns: number, pitch: number }} Grid */

/** The largest seats of which so many fit into a box. @param {Box} box @param {number} needed @returns {Grid} */
export function grid({ width, height }, needed) {
  let pitch = LARGEST * height;
  while (Math.floor(width / pitch) * Math.floor(height / pitch) < needed) {
    const [columns, rows] = [Math.floor(width / pitch) + 1, Math.floor(height / pitch) + 1];
    pitch = Math.max(width / columns, height / rows) * 0.99999;
  }
  const columns = Math.floor(width / pitch);
  return { columns, pitch: Math.min(width / columns, height / Math.ceil(needed / columns), LARGEST * height) };
}

/** Places where people sit, and where in them. */
export class Seats {
  /** @type {Map<string, Box>} */
  boxes = new Map();
  /** @type {Grid} */
  #grid = { columns: 1, pitch: 1 };
  /** @type {Grid} */
  #before = this.#grid;
  #changedAt = -Infinity;
  #needed = 0;

  /** The boxes are where they are now. @param {Map<string, Box>} boxes */
  measure(boxes) {
    this.boxes = boxes;
    this.#needed = 0;
  }

  /** There is a seat for so many in each place. @param {number} needed @param {number} at @param {boolean} isMoving */
  fit(needed, at, isMoving) {
    const [box] = this.boxes.values();
    if (!box || needed === this.#needed) return;
    const next = grid(box, needed);
    if (next.pitch !== this.#grid.pitch) {
      this.#before = this.#needed && isMoving ? this.#grid : next;
      this.#grid = next;
      this.#changedAt = at;
    }
    this.#needed = needed;
  }

  /** Whether everybody is sitting closer just now. @param {number} at */
  isChanging(at) {
    return at - this.#changedAt < CLOSER_MS;
  }

  /** A dot's radius. @param {number} at */
  radius(at) {
    return FILLS * mix(this.#before.pitch, this.#grid.pitch, this.#done(at));
  }

  /** Where a seat is. @param {{ place: string, seat: number }} seat @param {number} at @returns {[number, number]} */
  position({ place, seat }, at) {
    const box = this.boxes.get(place);
    if (!box) return [-1e4, -1e4];
    const done = this.#done(at);
    const [x, y] = middle(box, this.#grid, seat);
    if (done === 1) return [x, y];
    const [fromX, fromY] = middle(box, this.#before, seat);
    return [mix(fromX, x, done), mix(fromY, y, done)];
  }

  /** @param {number} at */
  #done(at) {
    return eased(Math.min(1, (at - this.#changedAt) / CLOSER_MS));
  }
}

/** @param {Box} box @param {Grid} grid @param {number} seat @returns {[number, number]} */
function middle({ x, y, width }, { columns, pitch }, seat) {
  const left = (width - columns * pitch) / 2;
  return [x + left + (seat % columns + 0.5) * pitch, y + (Math.floor(seat / columns) + 0.5) * pitch];
}

/** @param {number} from @param {number} to @param {number} part */
export function mix(from, to, part) {
  return from + (to - from) * part;
}

/** Slow at both ends. @param {number} part */
export function eased(part) {
  return part <= 0 ? 0 : part >= 1 ? 1 : part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2;
}
