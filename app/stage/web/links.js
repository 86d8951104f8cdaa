// @ts-check
import { hueOf } from "./hue.js";

/** Links that are kept. */
const KEPT = 120;

/** @typedef {{ id: string, prev: string, at: number, hue: number, release: string, seen: number[], isLost: boolean, isCut: boolean }} Link */

/** @param {string} id @returns {[number, number]} */
const parts = (id) => /** @type {[number, number]} */ (id.split("-").map(Number));

/** Whether an ID is before another. @param {string} a @param {string} b */
export function isBefore(a, b) {
  const [[ms, seq], [otherMs, otherSeq]] = [parts(a), parts(b)];
  return ms < otherMs || (ms === otherMs && seq < otherSeq);
}

/** The chain of a room's log: a link for each message. */
export class Links {
  /** Oldest first. @type {Link[]} */
  list = [];
  /** Links that were added so far: what moves the chain on. */
  added = 0;
  addedAt = -Infinity;
  /** Where each witness is. @type {(string | undefined)[]} */
  #heads = [];
  /** What a witness had not got when the next one came. It was given it later: it asked again. @type {Set<string>} */
  #missed = new Set();

  /** @param {number} at @param {any} message */
  add(at, { id, prev, member, name, release, witness }) {
    const known = this.list.find((link) => link.id === id);
    if (known) known.seen[witness] = (known.seen[witness] ?? 0) + 1;
    else this.#insert({ id, prev, at, hue: hueOf(member, name), release: release ?? "", seen: counted(witness), isLost: false, isCut: false });
    if (!this.#heads[witness] || isBefore(this.#heads[witness], id)) this.#heads[witness] = id;
    this.#judge();
  }

  /** @param {string} id */
  missed(id) {
    this.#missed.add(id);
    // A link that is as long ago is not kept any more.
    if (this.#missed.size > KEPT) this.#missed.delete([...this.#missed][0]);
    this.#judge();
  }

  /** @param {Link} link */
  #insert(link) {
    const later = this.list.findIndex(({ id }) => isBefore(link.id, id));
    const oldest = this.list[0];
    if (later === 0 && oldest && this.added > this.list.length) return;
    this.list.splice(later < 0 ? this.list.length : later, 0, link);
    this.added += 1;
    this.addedAt = link.at;
    if (this.list.length > KEPT) this.list.shift();
  }

  /** What does not follow what is before it, and what a witness has passed without getting it. */
  #judge() {
    this.list.forEach((link, index) => {
      const before = this.list[index - 1];
      link.isCut = before !== undefined && link.prev !== before.id;
      link.isLost = this.#missed.has(link.id) || this.#heads.some((head, witness) => head !== undefined && !link.seen[witness] && isBefore(link.id, head) && this.#wasThere(witness, link));
    });
  }

  /** Whether a witness had come before a link: what was said earlier is not its matter. @param {number} witness @param {Link} link */
  #wasThere(witness, { id }) {
    const first = this.list.find(({ seen }) => seen[witness]);
    return first !== undefined && isBefore(first.id, id);
  }
}

/** How often the witness got it that got it most often. Later witnesses have higher numbers. @param {Link} link */
export function mostSeen({ seen }) {
  return Math.max(...Array.from(seen, (times) => times ?? 0));
}

/** @param {number} witness */
function counted(witness) {
  const seen = [];
  seen[witness] = 1;
  return seen;
}
