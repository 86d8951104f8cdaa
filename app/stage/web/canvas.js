// @ts-check

/** As many pixels as the screen has, up to so many a unit: more are not seen from a row. */
const FINEST = 2;

/**
 * A canvas as large as its element is now, in the screen's own pixels. Whoever draws does so in those.
 *
 * @param {HTMLCanvasElement} canvas
 * @returns {{ context: CanvasRenderingContext2D, scale: number, rect: DOMRect, isNew: boolean }}
 */
export function prepared(canvas) {
  const rect = canvas.getBoundingClientRect();
  const scale = Math.min(FINEST, devicePixelRatio);
  const [width, height] = [Math.round(rect.width * scale), Math.round(rect.height * scale)];
  const isNew = canvas.width !== width || canvas.height !== height;
  if (isNew) Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  return { context, scale, rect, isNew };
}

/** The colour of a hue. @param {number} hue @param {number} [lightness] @param {number} [alpha] */
export function colour(hue, lightness = 0.78, alpha = 1) {
  return `oklch(${lightness} 0.13 ${hue} / ${alpha})`;
}
