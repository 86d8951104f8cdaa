// @ts-check

/** Blue, green, violet. */
const COLOURS = 3;

/**
 * Which colour each release has: 0 for 1.0.0, 1 for 1.1.0, and so on. By its name, so that everybody who looks sees the same,
 * whenever they came; another one only if that one is taken.
 */
export class Colours {
  /** @type {Map<string, number>} */
  #known = new Map();

  /** @param {string} release */
  of(release) {
    const known = this.#known.get(release);
    if (known !== undefined) return known;
    const taken = [...this.#known.values()];
    const wanted = wantedBy(release);
    const free = Array.from({ length: COLOURS }, (_, further) => (wanted + further) % COLOURS).find((it) => !taken.includes(it));
    this.#known.set(release, free ?? wanted);
    return free ?? wanted;
  }
}

/** Releases that follow each other differ by one in one of their numbers. @param {string} release */
function wantedBy(release) {
  const numbers = release.match(/\d+/gu) ?? ["3"];
  return (numbers.reduce((sum, number) => sum + Number(number), 0) + COLOURS - 1) % COLOURS;
}
