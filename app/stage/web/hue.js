// @ts-check

/** A person who is named after a colour gets that colour, as in the chat. Hues of OKLCH, in degrees. */
const NAMED = new Map(Object.entries({
  crimson: 20, scarlet: 28, rust: 45, copper: 55, amber: 75, gold: 88, ochre: 80, olive: 112,
  lime: 125, moss: 135, green: 145, jade: 160, emerald: 158, mint: 168, teal: 190, cyan: 205,
  azure: 235, cobalt: 258, blue: 260, navy: 265, indigo: 278, violet: 298, purple: 305, plum: 325,
  magenta: 335, mauve: 312, slate: 245, pink: 350, rose: 5, ruby: 15, red: 25, orange: 60,
}));

/**
 * A person's hue: the same here and on everybody's page.
 *
 * @param {string} member
 * @param {string} name
 * @returns {number} degrees
 */
export function hueOf(member, name) {
  const named = NAMED.get(name.toLowerCase());
  if (named !== undefined) return named;
  let hash = 0;
  for (const letter of member) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
  return hash % 360;
}
